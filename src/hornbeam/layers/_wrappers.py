"""Layers around one other layer."""

import jax
import jax.numpy as jnp

from ..core import masks, objects
from ..core.messages import expected
from ._base import Layer


class HoldsLayers:
    """A layer with other layers among its arguments."""

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """A layer made from what `get_config` returned."""
        with objects.CustomObjectScope(custom_objects):
            return super().from_config(_without_builds(config))  # pyright: ignore


def _without_builds(config):
    """A config that doesn't say what the layers inside were built for: building them is up to the
    layer around them, since its name begins the paths of their variables."""
    if isinstance(config, dict):
        return {k: _without_builds(v) for k, v in config.items() if k != "build_config"}
    return [_without_builds(v) for v in config] if isinstance(config, list) else config


class Wrapper(HoldsLayers, Layer):
    """A layer around another one; subclasses say in `call` what they do with `self.layer`.

    Args:
        layer: the layer inside.

    Example:

    >>> class Twice(keras.layers.Wrapper):
    ...     def call(self, inputs):
    ...         return self.layer(self.layer(inputs))
    >>> Twice(keras.layers.Rescaling(3.0))(np.array([1.0]))
    Array([9.], dtype=float32)
    """

    def __init__(self, layer, **kwargs):
        super().__init__(**kwargs)
        self.layer = check_layer(f"{type(self).__name__}'s layer", layer)

    def build(self, input_shape=None):
        if not self.layer.built:
            self.layer.build(input_shape)


def check_layer(argument, layer):
    """`layer`, or a `ValueError` unless it is a layer."""
    if not isinstance(layer, Layer):
        raise ValueError(expected(argument, "a layer", layer))
    return layer


class TimeDistributed(Wrapper):
    """Applies a layer to every step of sequences.

    All steps of all samples are one large batch for the layer inside: batch normalization takes
    its statistics over batch and time, and dropout differs from step to step.

    Args:
        layer: a layer for the inputs of one step, `(batch, …)`.

    Called with:
        inputs: `(batch, time, …)`.
        mask: bool, `(batch, time)` for steps, or with further axes for positions in the inputs of
            the layer inside, which gets those. A step counts if any of its positions does.

    Returns:
        The layer's outputs, with an axis for the time after that for the batch.

    Example:

    >>> images = np.ones((2, 10, 8, 8, 3))
    >>> keras.layers.TimeDistributed(keras.layers.Conv2D(4, 3))(images).shape
    (2, 10, 6, 6, 4)
    """

    def __init__(self, layer, **kwargs):
        super().__init__(layer, **kwargs)
        self.supports_masking = True

    def build(self, input_shape):
        if not isinstance(input_shape, tuple) or len(input_shape) < 3:
            raise ValueError(
                f"Layer '{self.path}' (TimeDistributed) takes one input with at least 3 axes, "
                f"(batch, time, …); received shape {input_shape}."
            )
        super().build((input_shape[0], *input_shape[2:]))

    def call(self, inputs, training=None, mask=None):
        batch, time, *rest = inputs.shape
        flat = inputs.reshape(batch * time, *rest)
        if mask is not None:
            mask = jnp.asarray(mask, bool)
            if tuple(mask.shape[:2]) != (batch, time):
                raise ValueError(
                    f"Layer '{self.path}' (TimeDistributed): its mask should begin with the axes "
                    f"(batch, time) of the inputs, of shape {tuple(inputs.shape)}; received shape "
                    f"{tuple(mask.shape)}."
                )
            if mask.ndim > 2:
                masks.set_mask(flat, mask.reshape(batch * time, *mask.shape[2:]))
        outputs = self.layer(flat)

        def unmerge(y):
            return y.reshape(batch, time, *y.shape[1:])

        def with_mask(y):
            output, inner = unmerge(y), masks.get_mask(y)
            masks.set_mask(output, _combined(mask, None if inner is None else unmerge(inner)))
            return output

        return jax.tree.map(with_mask, outputs)

    def compute_mask(self, inputs, mask=None):
        """`None`: the outputs bring their masks along."""
        return None


def _combined(outer, inner):
    """The mask of an output, from that of the inputs and the one that the layer inside gave."""
    if outer is None:
        return inner
    steps = outer.any(tuple(range(2, outer.ndim)))
    if inner is None:
        return steps
    return inner & steps.reshape(*steps.shape, *(1,) * (inner.ndim - 2))
