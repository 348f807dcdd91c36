"""Layers that rearrange, pad, crop or repeat."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from ..core import settings
from ..core.messages import expected, one_of
from ..core.tree import Ints
from ._arguments import int_tuple, margins, positive_int
from ._base import Layer
from ._input_spec import InputSpec


class Flatten(Layer):
    """Joins all axes but the batch.

    Args:
        data_format: with `"channels_first"` the channels are moved to the end first, so that
            models with either format have the same weights.

    Example:

    >>> keras.layers.Flatten()(np.ones((2, 3, 4))).shape
    (2, 12)
    """

    def __init__(self, data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.data_format = settings.standardize_data_format(data_format)
        self.input_spec = InputSpec(min_ndim=1)

    def call(self, inputs):
        if self.data_format == "channels_first" and inputs.ndim > 2:
            inputs = jnp.moveaxis(inputs, 1, -1)
        return inputs.reshape(inputs.shape[0], math.prod(inputs.shape[1:]))


class Reshape(Layer):
    """Gives every example another shape with as many elements.

    Args:
        target_shape: the shape without the batch; one size may be -1, which means the rest.

    Example:

    >>> keras.layers.Reshape((2, -1))(np.ones((5, 6))).shape
    (5, 2, 3)
    """

    def __init__(self, target_shape, **kwargs):
        super().__init__(**kwargs)
        if isinstance(target_shape, int):
            target_shape = (target_shape,)
        sizes = tuple(-1 if n is None else n for n in target_shape)
        if sizes.count(-1) > 1 or not all(isinstance(n, int) and n >= -1 for n in sizes):
            raise ValueError(
                expected(
                    "Reshape's target_shape",
                    "a tuple of sizes, without the batch, at most one of them -1",
                    target_shape,
                )
            )
        self.target_shape = sizes

    def call(self, inputs):
        sizes = inputs.shape[1:]
        if all(isinstance(n, int) for n in sizes):
            self._check(sizes)
        return inputs.reshape(inputs.shape[0], *self.target_shape)

    def _check(self, sizes):
        have, want = math.prod(sizes), math.prod(n for n in self.target_shape if n != -1)
        fits = have % max(want, 1) == 0 if -1 in self.target_shape else have == want
        if not fits:
            raise ValueError(
                f"Layer '{self.path}' (Reshape): {have} elements of shape {tuple(sizes)} don't "
                f"fill the target_shape {self.target_shape}."
            )


class Permute(Layer):
    """Exchanges the axes, but for the batch.

    Args:
        dims: the axes in their new order, counted from 1; axis 0 is the batch.

    Example:

    >>> keras.layers.Permute((2, 1))(np.ones((5, 3, 4))).shape
    (5, 4, 3)
    """

    def __init__(self, dims, **kwargs):
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(
                expected("Permute's dims", f"the numbers 1 to {len(self.dims)} in any order", dims)
            )
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)

    def call(self, inputs):
        return jnp.transpose(inputs, (0, *self.dims))


class RepeatVector(Layer):
    """Repeats every vector as the steps of a sequence: `(batch, d)` to `(batch, n, d)`.

    Args:
        n: how many times.

    Example:

    >>> keras.layers.RepeatVector(3)(np.ones((2, 4))).shape
    (2, 3, 4)
    """

    def __init__(self, n, **kwargs):
        super().__init__(**kwargs)
        self.n = positive_int("RepeatVector's n", n)
        self.input_spec = InputSpec(ndim=2)

    def call(self, inputs):
        return jnp.repeat(inputs[:, None], self.n, axis=1)


class _Spatial(Layer):
    """A layer that acts on the `rank` spatial axes, each by itself."""

    rank: int  # set by the subclasses

    def __init__(self, data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.data_format = settings.standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    @property
    def _first_axis(self):
        return 1 if self.data_format == "channels_last" else 2


class _ZeroPadding(_Spatial):
    padding: tuple

    def __init__(self, padding, data_format=None, **kwargs):
        super().__init__(data_format, **kwargs)
        pairs = margins(f"{type(self).__name__}'s padding", padding, self.rank)
        self.padding = pairs

    def call(self, inputs):
        pads = [(0, 0)] * inputs.ndim
        pads[self._first_axis : self._first_axis + self.rank] = self._pairs
        return jnp.pad(inputs, pads)

    @property
    def _pairs(self):
        return self.padding


class ZeroPadding1D(_ZeroPadding):
    """Adds zeros before and after sequences.

    Args:
        padding: how many, or a pair `(before, after)`.
        data_format: `"channels_last"`, `(batch, steps, channels)`, or `"channels_first"`.

    Example:

    >>> keras.layers.ZeroPadding1D((1, 2))(np.ones((1, 5, 3))).shape
    (1, 8, 3)
    """

    rank = 1

    def __init__(self, padding: Ints = 1, data_format=None, **kwargs):
        super().__init__(_one_axis(padding), data_format, **kwargs)
        (self.padding,) = self.padding

    @property
    def _pairs(self):
        return (self.padding,)


class ZeroPadding2D(_ZeroPadding):
    """Adds zeros around images.

    Args:
        padding: an int, `(height, width)`, or `((top, bottom), (left, right))`.
        data_format: `"channels_last"` or `"channels_first"`.

    Example:

    >>> keras.layers.ZeroPadding2D(((0, 1), (2, 2)))(np.ones((1, 5, 5, 3))).shape
    (1, 6, 9, 3)
    """

    rank = 2

    def __init__(self, padding=(1, 1), data_format=None, **kwargs):
        super().__init__(padding, data_format, **kwargs)


class ZeroPadding3D(_ZeroPadding):
    """Adds zeros around volumes.

    Args:
        padding: an int, three ints, or three pairs `(before, after)`.
        data_format: `"channels_last"` or `"channels_first"`.
    """

    rank = 3

    def __init__(self, padding=((1, 1), (1, 1), (1, 1)), data_format=None, **kwargs):
        super().__init__(padding, data_format, **kwargs)


class _Cropping(_Spatial):
    cropping: tuple

    def __init__(self, cropping, data_format=None, **kwargs):
        super().__init__(data_format, **kwargs)
        self.cropping = margins(f"{type(self).__name__}'s cropping", cropping, self.rank)

    def call(self, inputs):
        outputs = inputs
        for axis, (before, after) in enumerate(self._pairs, self._first_axis):
            size = inputs.shape[axis]
            if isinstance(size, int) and before + after >= size:
                raise ValueError(
                    f"Layer '{self.path}' ({type(self).__name__}): cropping={self.cropping} leaves "
                    f"nothing of axis {axis} of inputs of shape {tuple(inputs.shape)}."
                )
            outputs = jax.lax.slice_in_dim(outputs, before, size - after, axis=axis)
        return outputs

    @property
    def _pairs(self):
        return self.cropping


class Cropping1D(_Cropping):
    """Cuts steps off the ends of sequences `(batch, steps, channels)`.

    Args:
        cropping: how many, or a pair `(before, after)`.

    Example:

    >>> keras.layers.Cropping1D((1, 2))(np.ones((1, 5, 3))).shape
    (1, 2, 3)
    """

    rank = 1

    def __init__(self, cropping=(1, 1), **kwargs):
        super().__init__(_one_axis(cropping), "channels_last", **kwargs)
        (self.cropping,) = self.cropping

    @property
    def _pairs(self):
        return (self.cropping,)


class Cropping2D(_Cropping):
    """Cuts the borders off images.

    Args:
        cropping: an int, `(height, width)`, or `((top, bottom), (left, right))`.
        data_format: `"channels_last"` or `"channels_first"`.

    Example:

    >>> keras.layers.Cropping2D(1)(np.ones((1, 5, 6, 3))).shape
    (1, 3, 4, 3)
    """

    rank = 2

    def __init__(self, cropping=((0, 0), (0, 0)), data_format=None, **kwargs):
        super().__init__(cropping, data_format, **kwargs)


class Cropping3D(_Cropping):
    """Cuts the borders off volumes.

    Args:
        cropping: an int, three ints, or three pairs `(before, after)`.
        data_format: `"channels_last"` or `"channels_first"`.
    """

    rank = 3

    def __init__(self, cropping=((1, 1), (1, 1), (1, 1)), data_format=None, **kwargs):
        super().__init__(cropping, data_format, **kwargs)


class _UpSampling(_Spatial):
    size: Any  # tuple of ints, or an int for one axis

    def __init__(self, size, data_format=None, **kwargs):
        super().__init__(data_format, **kwargs)
        self.size = int_tuple(f"{type(self).__name__}'s size", size, self.rank)

    def call(self, inputs):
        for axis, factor in enumerate(self._factors, self._first_axis):
            inputs = jnp.repeat(inputs, factor, axis=axis)
        return inputs

    @property
    def _factors(self):
        return self.size


class UpSampling1D(_UpSampling):
    """Repeats every step of sequences `(batch, steps, channels)`.

    Args:
        size: how many times.

    Example:

    >>> keras.layers.UpSampling1D(2)(np.ones((1, 5, 3))).shape
    (1, 10, 3)
    """

    rank = 1

    def __init__(self, size: Ints = 2, **kwargs):
        super().__init__(size, "channels_last", **kwargs)
        (self.size,) = self.size

    @property
    def _factors(self):
        return (self.size,)


class UpSampling2D(_UpSampling):
    """Enlarges images, by repeating pixels or by interpolation.

    Args:
        size: factor of height and width, or one for both.
        data_format: `"channels_last"` or `"channels_first"`.
        interpolation: `"nearest"`, `"bilinear"`, `"bicubic"`, `"lanczos3"` or `"lanczos5"`.

    Example:

    >>> keras.layers.UpSampling2D((2, 3))(np.ones((1, 5, 5, 3))).shape
    (1, 10, 15, 3)
    """

    rank = 2

    def __init__(self, size=(2, 2), data_format=None, interpolation="nearest", **kwargs):
        super().__init__(size, data_format, **kwargs)
        known = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")
        self.interpolation = one_of(
            "UpSampling2D's interpolation", str(interpolation).lower(), known
        )

    def call(self, inputs):
        if self.interpolation == "nearest":
            return super().call(inputs)
        shape = list(inputs.shape)
        for axis, factor in enumerate(self.size, self._first_axis):
            shape[axis] *= factor
        method = {"bicubic": "cubic"}.get(self.interpolation, self.interpolation)
        return jax.image.resize(inputs, shape, method).astype(inputs.dtype)


class UpSampling3D(_UpSampling):
    """Repeats the elements of volumes.

    Args:
        size: factor of every axis, or one for all.
        data_format: `"channels_last"` or `"channels_first"`.
    """

    rank = 3

    def __init__(self, size=(2, 2, 2), data_format=None, **kwargs):
        super().__init__(size, data_format, **kwargs)


def _one_axis(value):
    """`(before, after)` of the only axis, in the form of several axes' pairs."""
    return value if isinstance(value, int) else (value,)
