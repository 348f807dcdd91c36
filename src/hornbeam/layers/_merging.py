"""Layers with several inputs and one output, and their functional forms."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from ..core.messages import expected
from ._base import Layer


class Merge(Layer):
    """Combines its inputs position by position; a subclass says how, in `merge`.

    Inputs of a lower rank get axes of size 1 after the batch, and sizes of 1 are repeated. A
    position of the output counts (is not masked) if it does in any of the inputs that have a mask.
    """

    merge: Callable[..., jax.Array]  # of two arrays; set by the subclasses
    count = None  # how many inputs it takes, `None` for any number

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, input_shape):
        _check_list(self, input_shape)

    def call(self, inputs):
        return functools.reduce(type(self).merge, self._aligned(inputs))

    def _aligned(self, inputs):
        """The inputs with equal ranks, after a check that their shapes fit."""
        _check_list(self, inputs)
        rank = max(x.ndim for x in inputs)
        aligned = [jnp.expand_dims(x, tuple(range(1, 1 + rank - x.ndim))) for x in inputs]
        try:
            jnp.broadcast_shapes(*(x.shape for x in aligned))
            fits = len({x.shape[0] for x in inputs if x.ndim and x.shape[0] != 1}) < 2
        except ValueError:
            fits = False
        if not fits:
            shapes = ", ".join(str(tuple(x.shape)) for x in inputs)
            raise ValueError(
                f"Layer '{self.path}' ({type(self).__name__}): shapes that differ should differ "
                f"only where a size is 1, after the batch; received {shapes}."
            )
        return aligned

    def compute_mask(self, inputs, mask=None):
        if mask is None:
            return None
        _check_masks(self, inputs, mask)
        return _any_mask([m for m in mask if m is not None])


class Add(Merge):
    """The sum of the inputs.

    Example:

    >>> keras.layers.Add()([np.array([[1.0, 2.0]]), np.array([[10.0, 20.0]])])
    Array([[11., 22.]], dtype=float32)
    """

    merge = jnp.add


class Subtract(Merge):
    """The first of two inputs minus the second.

    Example:

    >>> keras.layers.Subtract()([np.array([[5.0]]), np.array([[2.0]])])
    Array([[3.]], dtype=float32)
    """

    merge = jnp.subtract
    count = 2


class Multiply(Merge):
    """The product of the inputs, element by element.

    Example:

    >>> keras.layers.Multiply()([np.array([[2.0, 3.0]]), np.array([[5.0]])])
    Array([[10., 15.]], dtype=float32)
    """

    merge = jnp.multiply


class Average(Merge):
    """The mean of the inputs, element by element.

    Example:

    >>> keras.layers.Average()([np.array([[1.0]]), np.array([[2.0]])])
    Array([[1.5]], dtype=float32)
    """

    merge = jnp.add

    def call(self, inputs):
        return super().call(inputs) / len(inputs)


class Maximum(Merge):
    """The largest of the inputs, element by element.

    Example:

    >>> keras.layers.Maximum()([np.array([[1.0, 5.0]]), np.array([[3.0, 2.0]])])
    Array([[3., 5.]], dtype=float32)
    """

    merge = jnp.maximum


class Minimum(Merge):
    """The smallest of the inputs, element by element.

    Example:

    >>> keras.layers.Minimum()([np.array([[1.0, 5.0]]), np.array([[3.0, 2.0]])])
    Array([[1., 2.]], dtype=float32)
    """

    merge = jnp.minimum


class Concatenate(Merge):
    """The inputs side by side along an axis.

    Args:
        axis: the axis along which their sizes may differ.

    Example:

    >>> keras.layers.Concatenate()([np.ones((2, 3)), np.ones((2, 4))]).shape
    (2, 7)
    """

    def __init__(self, axis=-1, **kwargs):
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs):
        _check_list(self, inputs)
        ranks = {x.ndim for x in inputs}
        if len(ranks) == 1 and -min(ranks) <= self.axis < min(ranks):
            axis = self.axis % min(ranks)
            if len({x.shape[:axis] + x.shape[axis + 1 :] for x in inputs}) == 1:
                return jnp.concatenate(inputs, axis)
        shapes = ", ".join(str(tuple(x.shape)) for x in inputs)
        raise ValueError(
            f"Layer '{self.path}' (Concatenate): shapes should be equal but along "
            f"axis={self.axis}; received {shapes}."
        )

    def compute_mask(self, inputs, mask=None):
        if mask is None:
            return None
        _check_masks(self, inputs, mask)
        known = [m for m in mask if m is not None]
        if not known:
            return None
        axis, rank = self.axis % inputs[0].ndim, known[0].ndim
        if axis >= rank:
            return _any_mask(known)
        # An input without a mask counts everywhere.
        masks = [jnp.ones(x.shape[:rank], bool) if m is None else m for x, m in zip(inputs, mask)]
        return jnp.concatenate(masks, axis)


class Dot(Merge):
    """Products of two inputs, summed along one axis of each, for every example.

    Args:
        axes: the axis of both inputs to sum along, or a pair of axes; axis 0 is the batch.
        normalize: whether to divide by the lengths of the vectors, which gives cosines.

    Shapes: `(batch, …a…)` and `(batch, …b…)` to `(batch, … …)`, what is left of either.

    Example:

    >>> keras.layers.Dot(axes=(2, 1))([np.ones((5, 2, 3)), np.ones((5, 3, 4))]).shape
    (5, 2, 4)
    """

    count = 2

    def __init__(self, axes, normalize=False, **kwargs):
        super().__init__(**kwargs)
        pair = isinstance(axes, (list, tuple)) and len(axes) == 2
        if not isinstance(axes, int) and not (pair and all(isinstance(a, int) for a in axes)):
            raise TypeError(expected("Dot's axes", "an int or a pair of ints", axes))
        if 0 in ([axes] if isinstance(axes, int) else axes):
            raise ValueError(expected("Dot's axes", "other than 0, the batch", axes))
        self.axes = axes if isinstance(axes, int) else tuple(axes)
        self.normalize = normalize

    def call(self, inputs):
        _check_list(self, inputs)
        pair = (self.axes, self.axes) if isinstance(self.axes, int) else self.axes
        axes = [axis % x.ndim for axis, x in zip(pair, inputs)]
        sizes = [x.shape[axis] for axis, x in zip(axes, inputs)]
        if sizes[0] != sizes[1] or inputs[0].shape[0] != inputs[1].shape[0]:
            shapes = " and ".join(str(tuple(x.shape)) for x in inputs)
            raise ValueError(
                f"Layer '{self.path}' (Dot): the batches and the sizes along axes={self.axes} "
                f"should be equal; received {shapes}."
            )
        if self.normalize:
            inputs = [_unit_length(x, axis) for axis, x in zip(axes, inputs)]
        contracted = ((axes[0],), (axes[1],))
        outputs = jax.lax.dot_general(*inputs, dimension_numbers=(contracted, ((0,), (0,))))
        return outputs if outputs.ndim > 1 else outputs[:, None]

    def compute_mask(self, inputs, mask=None):
        return None


def _unit_length(x, axis):
    squares = jnp.sum(jnp.square(x), axis=axis, keepdims=True)
    return x * jax.lax.rsqrt(jnp.maximum(squares, 1e-12))


def _any_mask(masks):
    return functools.reduce(jnp.logical_or, masks) if masks else None


def _check_list(layer, inputs):
    """Raise a `ValueError` unless `inputs` (tensors or shapes) are a list of the right length."""
    kind = f"Layer '{layer.path}' ({type(layer).__name__})"
    are_inputs = isinstance(inputs, (list, tuple)) and all(
        hasattr(x, "shape") or isinstance(x, (list, tuple)) for x in inputs
    )
    if not are_inputs:
        raise ValueError(expected(f"{kind}: its input", "a list of tensors", inputs))
    if not inputs or layer.count not in (None, len(inputs)):
        wanted = f"{layer.count} tensors" if layer.count else "at least one tensor"
        raise ValueError(f"{kind} takes {wanted} in a list; received {len(inputs)}.")


def _check_masks(layer, inputs, mask):
    if not isinstance(mask, (list, tuple)) or len(mask) != len(inputs):
        raise ValueError(
            expected(f"{type(layer).__name__}: mask", f"a list of {len(inputs)}", mask)
        )


def add(inputs, **kwargs):
    """`Add(**kwargs)(inputs)`.

    Example:

    >>> keras.layers.add([np.array([[1.0]]), np.array([[2.0]])])
    Array([[3.]], dtype=float32)
    """
    return Add(**kwargs)(inputs)


def subtract(inputs, **kwargs):
    """`Subtract(**kwargs)(inputs)`."""
    return Subtract(**kwargs)(inputs)


def multiply(inputs, **kwargs):
    """`Multiply(**kwargs)(inputs)`."""
    return Multiply(**kwargs)(inputs)


def average(inputs, **kwargs):
    """`Average(**kwargs)(inputs)`."""
    return Average(**kwargs)(inputs)


def maximum(inputs, **kwargs):
    """`Maximum(**kwargs)(inputs)`."""
    return Maximum(**kwargs)(inputs)


def minimum(inputs, **kwargs):
    """`Minimum(**kwargs)(inputs)`."""
    return Minimum(**kwargs)(inputs)


def concatenate(inputs, axis=-1, **kwargs):
    """`Concatenate(axis, **kwargs)(inputs)`."""
    return Concatenate(axis, **kwargs)(inputs)


def dot(inputs, axes=-1, **kwargs):
    """`Dot(axes, **kwargs)(inputs)`."""
    return Dot(axes, **kwargs)(inputs)
