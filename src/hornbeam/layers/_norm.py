"""Normalization layers: mean 0 and variance 1, then a trained scale and shift."""

import jax
import jax.numpy as jnp

from .. import constraints, initializers, regularizers
from ..core.messages import expected
from ..core.tree import Ints
from ..core.variable import Variable
from ..initializers import InitializerLike
from ._arguments import refuse_unfinished
from ._base import Layer
from ._input_spec import InputSpec


class BatchNormalization(Layer):
    """Normalizes every channel over the batch.

    `gamma * (x - mean) / sqrt(variance + epsilon) + beta`. While training, mean and variance are
    those of the batch, and moving averages of them are kept; otherwise those averages are used.
    Masked positions don't count.

    Args:
        axis: the axis of the channels.
        momentum: how much of the moving averages remains in every step.
        epsilon: added to the variance.
        center, scale: whether there is a beta, and a gamma.
        beta_initializer, gamma_initializer, moving_mean_initializer,
            moving_variance_initializer: initial values.
        beta_regularizer, gamma_regularizer: penalties.
        beta_constraint, gamma_constraint: functions applied after every training step.
        renorm, renorm_clipping, renorm_momentum: not implemented yet.
        synchronized: accepted for compatibility: a batch sharded over devices is one batch.

    With `trainable = False` the layer uses its moving averages, also while training.

    Reference: Ioffe & Szegedy, 2015, https://arxiv.org/abs/1502.03167

    Example:

    >>> layer = keras.layers.BatchNormalization(epsilon=0.0)
    >>> layer(np.array([[1.0], [3.0]]), training=True)
    Array([[-1.],
           [ 1.]], dtype=float32)
    >>> layer.moving_mean.numpy()
    array([0.02], dtype=float32)
    """

    gamma: Variable  # `None` without `scale`
    beta: Variable  # `None` without `center`

    def __init__(
        self,
        axis=-1,
        momentum=0.99,
        epsilon=1e-3,
        center=True,
        scale=True,
        beta_initializer: InitializerLike = "zeros",
        gamma_initializer: InitializerLike = "ones",
        moving_mean_initializer: InitializerLike = "zeros",
        moving_variance_initializer: InitializerLike = "ones",
        beta_regularizer=None,
        gamma_regularizer=None,
        beta_constraint=None,
        gamma_constraint=None,
        renorm=False,
        renorm_clipping=None,
        renorm_momentum=0.99,
        synchronized=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        refuse_unfinished(self, renorm=renorm, renorm_clipping=renorm_clipping)
        if not isinstance(axis, int):
            raise TypeError(expected("BatchNormalization's axis", "an int", axis))
        self.axis = axis
        self.momentum = momentum
        self.epsilon = epsilon
        self.center = center
        self.scale = scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.renorm = renorm
        self.renorm_clipping = renorm_clipping
        self.renorm_momentum = renorm_momentum
        self.synchronized = synchronized
        self.supports_masking = True

    def build(self, input_shape):
        if not -len(input_shape) <= self.axis < len(input_shape):
            raise ValueError(
                f"Layer '{self.path}': axis={self.axis} doesn't exist in inputs of shape "
                f"{input_shape}."
            )
        channels = input_shape[self.axis]
        _make_gamma_and_beta(self, (channels,), self.scale, self.center)
        self.moving_mean = self._moving(channels, self.moving_mean_initializer, "moving_mean")
        self.moving_variance = self._moving(
            channels, self.moving_variance_initializer, "moving_variance"
        )
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: channels})

    def _moving(self, channels, initializer, name):
        # Never read in half precision, which would drop the small updates.
        return self.add_weight((channels,), initializer, trainable=False, autocast=False, name=name)

    def call(self, inputs, training=None, mask=None):
        x = _wide(inputs)
        if training and self.trainable:
            mean, variance = self._batch_statistics(x, mask)
            self._update(self.moving_mean, mean)
            self._update(self.moving_variance, variance)
        else:
            mean, variance = self.moving_mean.value, self.moving_variance.value
        shape = [1] * inputs.ndim
        shape[self.axis] = -1
        factor = jax.lax.rsqrt(variance + self.epsilon)
        if self.scale:
            factor = factor * self.gamma.value
        outputs = (x - mean.reshape(shape)) * factor.reshape(shape)
        if self.center:
            outputs = outputs + self.beta.value.reshape(shape)
        return outputs.astype(self.compute_dtype)

    def _batch_statistics(self, x, mask):
        """Mean and (biased) variance of every channel over the positions that count."""
        axis = self.axis % x.ndim
        axes = tuple(i for i in range(x.ndim) if i != axis)
        if mask is None:
            return jnp.mean(x, axes), jnp.var(x, axes)
        weights = mask.reshape(*mask.shape, *(1,) * (x.ndim - mask.ndim)).astype(x.dtype)
        weights = jnp.broadcast_to(weights, [1 if i == axis else n for i, n in enumerate(x.shape)])
        count = jnp.maximum(jnp.sum(weights), 1)
        mean = jnp.sum(weights * x, axes, keepdims=True) / count
        variance = jnp.sum(weights * (x - mean) ** 2, axes) / count
        return mean.reshape(-1), variance

    def _update(self, moving, value):
        moving.assign(moving.value * self.momentum + value * (1 - self.momentum))


class LayerNormalization(Layer):
    """Normalizes every example by itself, over the features.

    `gamma * (x - mean) / sqrt(variance + epsilon) + beta`, with mean and variance along `axis`.

    Args:
        axis: axis or axes to normalize over; gamma and beta have their sizes.
        epsilon: added to the variance.
        center, scale: whether there is a beta, and a gamma.
        beta_initializer, gamma_initializer: initial values.
        beta_regularizer, gamma_regularizer: penalties.
        beta_constraint, gamma_constraint: functions applied after every training step.
        rms_scaling: for old models only: `gamma * x / sqrt(variance + epsilon)`. For what is
            known as RMS normalization, use `RMSNormalization`.

    Reference: Ba et al., 2016, https://arxiv.org/abs/1607.06450

    Example:

    >>> keras.layers.LayerNormalization(epsilon=0.0)(np.array([[1.0, 3.0]]))
    Array([[-1.,  1.]], dtype=float32)
    """

    gamma: Variable  # `None` without `scale`
    beta: Variable  # `None` without `center`

    def __init__(
        self,
        axis: Ints = -1,
        epsilon=1e-3,
        center=True,
        scale=True,
        beta_initializer: InitializerLike = "zeros",
        gamma_initializer: InitializerLike = "ones",
        beta_regularizer=None,
        gamma_regularizer=None,
        beta_constraint=None,
        gamma_constraint=None,
        rms_scaling=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.axis = _axes("LayerNormalization", axis)
        self.epsilon = epsilon
        self.center = center
        self.scale = scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.rms_scaling = rms_scaling
        self.supports_masking = True

    def build(self, input_shape):
        shape = [input_shape[a] for a in _distinct(self, input_shape)]
        scale, center = self.scale or self.rms_scaling, self.center and not self.rms_scaling
        _make_gamma_and_beta(self, shape, scale, center)

    def call(self, inputs):
        x = _wide(inputs)
        axes = [a % x.ndim for a in self.axis]
        variance = jnp.var(x, axes, keepdims=True)
        factor = jax.lax.rsqrt(variance + self.epsilon)
        if self.scale or self.rms_scaling:
            factor = factor * _along(self.gamma.value, axes, x)
        if self.rms_scaling:
            return (x * factor).astype(self.compute_dtype)
        outputs = (x - jnp.mean(x, axes, keepdims=True)) * factor
        if self.center:
            outputs = outputs + _along(self.beta.value, axes, x)
        return outputs.astype(self.compute_dtype)


class GroupNormalization(Layer):
    """Normalizes groups of channels of every example by themselves.

    `gamma * (x - mean) / sqrt(variance + epsilon) + beta`, with mean and variance over the
    channels of a group and all other axes but the batch.

    Args:
        groups: number of groups, which divides that of the channels; -1 for a group per channel
            (instance normalization).
        axis: the axis of the channels.
        epsilon: added to the variance.
        center, scale: whether there is a beta, and a gamma, for each channel.
        beta_initializer, gamma_initializer: initial values.
        beta_regularizer, gamma_regularizer: penalties.
        beta_constraint, gamma_constraint: functions applied after every training step.

    Reference: Wu & He, 2018, https://arxiv.org/abs/1803.08494

    Example:

    >>> keras.layers.GroupNormalization(2, epsilon=0.0)(np.array([[1.0, 3.0, 5.0, 5.5]]))
    Array([[-1.,  1., -1.,  1.]], dtype=float32)
    """

    gamma: Variable  # `None` without `scale`
    beta: Variable  # `None` without `center`

    def __init__(
        self,
        groups=32,
        axis=-1,
        epsilon=1e-3,
        center=True,
        scale=True,
        beta_initializer: InitializerLike = "zeros",
        gamma_initializer: InitializerLike = "ones",
        beta_regularizer=None,
        gamma_regularizer=None,
        beta_constraint=None,
        gamma_constraint=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not isinstance(groups, int) or (groups < 1 and groups != -1):
            raise ValueError(
                expected("GroupNormalization's groups", "a positive int or -1", groups)
            )
        if not isinstance(axis, int):
            raise TypeError(expected("GroupNormalization's axis", "an int", axis))
        self.groups = groups
        self.axis = axis
        self.epsilon = epsilon
        self.center = center
        self.scale = scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.supports_masking = True

    def build(self, input_shape):
        rank = len(input_shape)
        channels = input_shape[self.axis] if -rank <= self.axis < rank else None
        if channels is None:
            raise ValueError(
                f"Layer '{self.path}': axis={self.axis} should be an axis of the inputs with a "
                f"known size; they have shape {input_shape}."
            )
        if self.groups == -1:
            self.groups = channels
        if channels % self.groups:
            raise ValueError(
                f"Layer '{self.path}': groups={self.groups} should divide the number of channels, "
                f"which is {channels} in inputs of shape {input_shape}."
            )
        _make_gamma_and_beta(self, (channels,), self.scale, self.center)
        self.input_spec = InputSpec(ndim=rank, axes={self.axis: channels})

    def call(self, inputs):
        x = _wide(inputs)
        axis = self.axis % x.ndim
        centered = x - self._group_mean(x, axis)
        factor = jax.lax.rsqrt(self._group_mean(jnp.square(centered), axis) + self.epsilon)
        if self.scale:
            factor = factor * _along(self.gamma.value, [axis], x)
        outputs = centered * factor
        if self.center:
            outputs = outputs + _along(self.beta.value, [axis], x)
        return outputs.astype(self.compute_dtype)

    def _group_mean(self, x, axis):
        """For every channel the mean over its group, with size 1 along the axes in between."""
        # Of every channel first: that is fast, since channels are next to each other.
        axes = [a for a in range(1, x.ndim) if a != axis]
        means = jnp.mean(x, axes, keepdims=True)
        shape = (*means.shape[:axis], self.groups, -1, *means.shape[axis + 1 :])
        groups = means.reshape(shape)
        groups = jnp.broadcast_to(jnp.mean(groups, axis + 1, keepdims=True), groups.shape)
        return groups.reshape(means.shape)


class RMSNormalization(Layer):
    """Divides every example by its root mean square: `scale * x / sqrt(mean(x²) + epsilon)`.

    Args:
        axis: axis or axes to take the mean over; the scale has their sizes.
        epsilon: added to the mean.

    Reference: Zhang & Sennrich, 2019, https://arxiv.org/abs/1910.07467

    Example:

    >>> keras.layers.RMSNormalization()(np.array([[3.0, 4.0]]))
    Array([[0.8485, 1.1314]], dtype=float32)
    """

    scale: Variable

    def __init__(self, axis: Ints = -1, epsilon=1e-6, **kwargs):
        super().__init__(**kwargs)
        self.axis = _axes("RMSNormalization", axis)
        self.epsilon = epsilon
        self.supports_masking = True

    def build(self, input_shape):
        shape = [input_shape[a] for a in _distinct(self, input_shape)]
        self.scale = self.add_weight(shape, "ones", name="scale")

    def call(self, x):
        wide = _wide(x)
        axes = [a % x.ndim for a in self.axis]
        factor = jax.lax.rsqrt(jnp.mean(jnp.square(wide), axes, keepdims=True) + self.epsilon)
        return (wide * factor * _along(self.scale.value, axes, x)).astype(self.compute_dtype)


class UnitNormalization(Layer):
    """Divides every example by its length, `sqrt(sum(x²))`.

    Args:
        axis: axis or axes to sum over.

    Example:

    >>> keras.layers.UnitNormalization()(np.array([[3.0, 4.0]]))
    Array([[0.6, 0.8]], dtype=float32)
    """

    def __init__(self, axis: Ints = -1, **kwargs):
        super().__init__(**kwargs)
        axes = _axes("UnitNormalization", axis)
        self.axis = axis if isinstance(axis, int) else axes
        self.supports_masking = True

    def call(self, inputs):
        x = _wide(inputs)
        axes = self.axis if isinstance(self.axis, int) else tuple(self.axis)
        squares = jnp.sum(jnp.square(x), axes, keepdims=True)
        # A vector of zeros stays one.
        return (x * jax.lax.rsqrt(jnp.maximum(squares, 1e-12))).astype(inputs.dtype)


def _axes(layer, axis):
    """One axis or several as a list, or a `TypeError`."""
    axes = [axis] if isinstance(axis, int) else axis
    if not isinstance(axes, (list, tuple)) or not all(isinstance(a, int) for a in axes):
        raise TypeError(expected(f"{layer}'s axis", "an int or a list of ints", axis))
    return list(axes)


def _distinct(layer, input_shape):
    """The layer's axes counted from the front, or a `ValueError` if some are not there or equal."""
    rank = len(input_shape)
    axes = [a % rank for a in layer.axis if -rank <= a < rank]
    if len(set(axes)) != len(layer.axis):
        raise ValueError(
            f"Layer '{layer.path}': axis={layer.axis} should name different axes of the inputs, "
            f"which have shape {input_shape}."
        )
    return axes


def _make_gamma_and_beta(layer, shape, scale, center):
    layer.gamma = layer.beta = None
    if scale:
        layer.gamma = layer.add_weight(
            shape,
            layer.gamma_initializer,
            regularizer=layer.gamma_regularizer,
            constraint=layer.gamma_constraint,
            name="gamma",
        )
    if center:
        layer.beta = layer.add_weight(
            shape,
            layer.beta_initializer,
            regularizer=layer.beta_regularizer,
            constraint=layer.beta_constraint,
            name="beta",
        )


def _wide(x):
    """`x` in at least float32: sums of squares overflow half precision."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def _along(weight, axes, x):
    """`weight`, whose axes are `axes` of `x`, in a shape that broadcasts to that of `x`."""
    order = sorted(range(len(axes)), key=lambda i: axes[i])
    weight = jnp.transpose(weight, order)
    return weight.reshape([x.shape[a] if a in axes else 1 for a in range(x.ndim)])
