"""Activation functions as layers."""

import jax.numpy as jnp

from .. import activations, constraints, initializers, regularizers
from ..core.messages import expected
from ..core.tree import Ints
from ..initializers import InitializerLike
from ._base import Layer
from ._input_spec import InputSpec


class Activation(Layer):
    """Applies an activation function.

    Args:
        activation: name of the function, such as `"relu"`, or the function itself.

    Example:

    >>> keras.layers.Activation("relu")(np.array([-1.0, 2.0]))
    Array([0., 2.], dtype=float32)
    """

    def __init__(self, activation, **kwargs):
        super().__init__(**kwargs)
        self.activation = activations.get(activation)
        self.supports_masking = True

    def call(self, inputs):
        return self.activation(inputs)


class ReLU(Layer):
    """`max(x, 0)`, with a slope below the threshold and a ceiling if wanted.

    Args:
        max_value: ceiling of the output, `None` for none.
        negative_slope: slope below the threshold.
        threshold: where the linear part begins.

    Example:

    >>> keras.layers.ReLU(max_value=1.5)(np.array([-1.0, 1.0, 2.0]))
    Array([0. , 1. , 1.5], dtype=float32)
    """

    def __init__(self, max_value=None, negative_slope=0.0, threshold=0.0, **kwargs):
        super().__init__(**kwargs)
        _check_at_least_zero("ReLU's max_value", 0 if max_value is None else max_value)
        _check_at_least_zero("ReLU's negative_slope", negative_slope)
        _check_at_least_zero("ReLU's threshold", threshold)
        self.max_value = max_value
        self.negative_slope = negative_slope
        self.threshold = threshold
        self.supports_masking = True

    def call(self, inputs):
        return activations.relu(
            inputs,
            negative_slope=self.negative_slope,
            max_value=self.max_value,
            threshold=self.threshold,
        )


class LeakyReLU(Layer):
    """`x` where it is positive, else `negative_slope * x`.

    Args:
        negative_slope: slope below zero.

    Example:

    >>> keras.layers.LeakyReLU(0.5)(np.array([-1.0, 2.0]))
    Array([-0.5,  2. ], dtype=float32)
    """

    def __init__(self, negative_slope=0.3, **kwargs):
        negative_slope = kwargs.pop("alpha", negative_slope)  # the name in older models
        super().__init__(**kwargs)
        _check_at_least_zero("LeakyReLU's negative_slope", negative_slope)
        self.negative_slope = negative_slope
        self.supports_masking = True

    def call(self, inputs):
        return activations.leaky_relu(inputs, negative_slope=self.negative_slope)


class ELU(Layer):
    """`x` where it is positive, else `alpha * (exp(x) - 1)`.

    Args:
        alpha: what the output tends to, negated, for very negative inputs.

    Reference: Clevert et al., 2015, https://arxiv.org/abs/1511.07289

    Example:

    >>> keras.layers.ELU()(np.array([-1.0, 2.0]))
    Array([-0.63,  2.  ], dtype=float32)
    """

    def __init__(self, alpha=1.0, **kwargs):
        super().__init__(**kwargs)
        self.alpha = alpha
        self.supports_masking = True

    def call(self, inputs):
        return activations.elu(inputs, alpha=self.alpha)


class PReLU(Layer):
    """`x` where it is positive, else `alpha * x` with a trained `alpha` for every position.

    Args:
        alpha_initializer: initial values.
        alpha_regularizer: penalty.
        alpha_constraint: function applied after every training step.
        shared_axes: axes along which positions share one slope, such as `[1, 2]` for images.

    Reference: He et al., 2015, https://arxiv.org/abs/1502.01852

    Example:

    >>> layer = keras.layers.PReLU(shared_axes=[1])
    >>> layer(np.ones((2, 5, 3))).shape, layer.alpha.shape
    ((2, 5, 3), (1, 3))
    """

    def __init__(
        self,
        alpha_initializer: InitializerLike = "Zeros",
        alpha_regularizer=None,
        alpha_constraint=None,
        shared_axes=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.alpha_regularizer = regularizers.get(alpha_regularizer)
        self.alpha_constraint = constraints.get(alpha_constraint)
        self.shared_axes = _axes_list(shared_axes)
        self.supports_masking = True

    def build(self, input_shape):
        rank = len(input_shape)
        shared = {axis % rank for axis in self.shared_axes or ()}
        shape = [1 if i in shared else input_shape[i] for i in range(1, rank)]
        self.alpha = self.add_weight(
            shape,
            self.alpha_initializer,
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
            name="alpha",
        )
        axes = {i: input_shape[i] for i in range(1, rank) if i not in shared}
        self.input_spec = InputSpec(ndim=rank, axes=axes)

    def call(self, inputs):
        return activations.relu(inputs) - self.alpha.value * activations.relu(-inputs)


class Softmax(Layer):
    """Positive numbers that sum to 1: `exp(x) / sum(exp(x))`.

    Args:
        axis: axis or axes along which they sum to 1.

    Where a `mask` is `False`, positions get 0.

    Example:

    >>> keras.layers.Softmax()(np.log([[1.0, 3.0]]))
    Array([[0.25, 0.75]], dtype=float32)
    """

    def __init__(self, axis: Ints = -1, **kwargs):
        super().__init__(**kwargs)
        self.axis = axis
        self.supports_masking = True

    def call(self, inputs, mask=None):
        if mask is not None:
            # A mask of time steps, say, holds for all features.
            mask = mask.reshape(*mask.shape, *(1,) * (inputs.ndim - mask.ndim))
            # Finite, so that a row without any position gives no nan.
            lowest = jnp.finfo(inputs.dtype).min / 2
            inputs = inputs + jnp.where(mask, 0, lowest).astype(inputs.dtype)
        axes = list(self.axis) if isinstance(self.axis, (list, tuple)) else [self.axis]
        if len(axes) > 1:
            axis = tuple(axes)
            shifted = jnp.exp(inputs - jnp.max(inputs, axis=axis, keepdims=True))
            return shifted / jnp.sum(shifted, axis=axis, keepdims=True)
        return activations.softmax(inputs, axis=axes[0])


def _axes_list(axes):
    if axes is None:
        return None
    return [axes] if isinstance(axes, int) else list(axes)


def _check_at_least_zero(argument, value):
    if value is None or value < 0:
        raise ValueError(expected(argument, "a number of at least 0", value))
