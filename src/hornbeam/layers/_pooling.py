"""Pooling layers: windows or whole inputs become one number per channel."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from ..core import settings
from ..core.messages import one_of
from ..core.tree import Ints
from ..ops._conv import avg_pool, max_pool
from ..ops._windows import adaptive_average_pool, adaptive_max_pool
from ._arguments import int_tuple, with_defaults
from ._base import Layer
from ._conv import check_not_empty
from ._input_spec import InputSpec


class BasePooling(Layer):
    """Reduces every window over `rank` spatial axes."""

    rank: int  # set by the subclasses
    reduce: Callable[..., jax.Array]  # `max_pool` or `avg_pool`

    def __init__(
        self, pool_size, strides=None, padding="valid", data_format=None, name=None, **kwargs
    ):
        super().__init__(name=name, **kwargs)
        owner, rank = type(self).__name__, self.rank
        self.pool_size = int_tuple(f"{owner}'s pool_size", pool_size, rank)
        strides = self.pool_size if strides is None else strides
        self.strides = int_tuple(f"{owner}'s strides", strides, rank)
        self.padding = one_of(f"{owner}'s padding", str(padding).lower(), ("valid", "same"))
        self.data_format = settings.standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=rank + 2)

    def call(self, inputs):
        first = self.data_format == "channels_first"
        x = jnp.moveaxis(inputs, 1, -1) if first else inputs
        outputs = type(self).reduce(x, self.pool_size, self.strides, self.padding)
        check_not_empty(self, inputs, outputs.shape[1:-1], self.pool_size)
        return jnp.moveaxis(outputs, -1, 1) if first else outputs


class BaseMaxPooling(BasePooling):
    """The largest number in every window."""

    reduce = max_pool

    def __init_subclass__(cls, rank, **kwargs):
        super().__init_subclass__(**kwargs)
        cls.rank = rank
        twos = (2,) * rank if rank > 1 else 2
        cls.__init__ = with_defaults(cls.__init__, pool_size=twos)

    def __init__(
        self,
        pool_size: Ints = 2,
        strides=None,
        padding="valid",
        data_format=None,
        name=None,
        **kwargs,
    ):
        super().__init__(pool_size, strides, padding, data_format, name, **kwargs)


class BaseAveragePooling(BasePooling):
    """The mean of every window; positions added by padding don't count."""

    reduce = avg_pool

    def __init_subclass__(cls, rank, **kwargs):
        super().__init_subclass__(**kwargs)
        cls.rank = rank


class MaxPooling1D(BaseMaxPooling, rank=1):
    """The largest number in every window along a sequence.

    Args:
        pool_size: length of the window.
        strides: steps between windows, by default `pool_size`.
        padding: `"valid"` (none) or `"same"`.
        data_format: `"channels_last"`, `(batch, steps, channels)`, or `"channels_first"`.

    Example:

    >>> keras.layers.MaxPooling1D(2)(np.ones((2, 10, 4))).shape
    (2, 5, 4)
    """


class MaxPooling2D(BaseMaxPooling, rank=2):
    """The largest number in every window of images.

    Args:
        pool_size: height and width of the window, or one int for both.
        strides: steps between windows, by default `pool_size`.
        padding: `"valid"` (none) or `"same"`.
        data_format: `"channels_last"`, `(batch, height, width, channels)`, or
            `"channels_first"`.

    Example:

    >>> keras.layers.MaxPooling2D()(np.ones((1, 28, 28, 3))).shape
    (1, 14, 14, 3)
    """


class MaxPooling3D(BaseMaxPooling, rank=3):
    """The largest number in every window of volumes.

    Args:
        pool_size: three sizes of the window, or one int for all.
        strides: steps between windows, by default `pool_size`.
        padding: `"valid"` (none) or `"same"`.
        data_format: `"channels_last"` or `"channels_first"`.
    """


class AveragePooling1D(BaseAveragePooling, rank=1):
    """The mean of every window along a sequence.

    Args:
        pool_size: length of the window.
        strides: steps between windows, by default `pool_size`.
        padding: `"valid"` (none) or `"same"`, where positions outside don't count.
        data_format: `"channels_last"`, `(batch, steps, channels)`, or `"channels_first"`.

    Example:

    >>> x = np.array([[[1.0], [3.0], [5.0]]])
    >>> keras.layers.AveragePooling1D(2, padding="same")(x)
    Array([[[2.],
            [5.]]], dtype=float32)
    """


class AveragePooling2D(BaseAveragePooling, rank=2):
    """The mean of every window of images.

    Args:
        pool_size: height and width of the window, or one int for both.
        strides: steps between windows, by default `pool_size`.
        padding: `"valid"` (none) or `"same"`, where positions outside don't count.
        data_format: `"channels_last"`, `(batch, height, width, channels)`, or
            `"channels_first"`.

    Example:

    >>> keras.layers.AveragePooling2D(2)(np.ones((1, 28, 28, 3))).shape
    (1, 14, 14, 3)
    """


class AveragePooling3D(BaseAveragePooling, rank=3):
    """The mean of every window of volumes.

    Args:
        pool_size: three sizes of the window, or one int for all.
        strides: steps between windows, by default `pool_size`.
        padding: `"valid"` (none) or `"same"`, where positions outside don't count.
        data_format: `"channels_last"` or `"channels_first"`.
    """


class BaseGlobalPooling(Layer):
    """Reduces all `rank` spatial axes.

    Args:
        data_format: `"channels_last"`, `(batch, …, channels)`, or `"channels_first"`.
        keepdims: whether the spatial axes remain, with size 1.
    """

    rank: int  # set by the subclasses

    def __init_subclass__(cls, rank=None, **kwargs):
        super().__init_subclass__(**kwargs)
        if rank is not None:
            cls.rank = rank

    def __init__(self, data_format=None, keepdims=False, **kwargs):
        super().__init__(**kwargs)
        self.data_format = settings.standardize_data_format(data_format)
        self.keepdims = keepdims
        self.input_spec = InputSpec(ndim=self.rank + 2)

    @property
    def spatial_axes(self):
        """The axes that are reduced."""
        start = 1 if self.data_format == "channels_last" else 2
        return tuple(range(start, start + self.rank))


class _GlobalAverage(BaseGlobalPooling):
    def call(self, inputs):
        return jnp.mean(inputs, axis=self.spatial_axes, keepdims=self.keepdims)


class _GlobalMax(BaseGlobalPooling):
    def call(self, inputs):
        return jnp.max(inputs, axis=self.spatial_axes, keepdims=self.keepdims)


class GlobalAveragePooling1D(BaseGlobalPooling, rank=1):
    """The mean over all steps of a sequence; masked steps don't count.

    Args:
        data_format: `"channels_last"`, `(batch, steps, channels)`, or `"channels_first"`.
        keepdims: whether the steps remain as an axis of size 1.

    Example:

    >>> x = np.array([[[1.0], [3.0], [9.0]]])
    >>> keras.layers.GlobalAveragePooling1D()(x, mask=np.array([[True, True, False]]))
    Array([[2.]], dtype=float32)
    """

    def call(self, inputs, mask=None):
        (axis,) = self.spatial_axes
        if mask is None:
            return jnp.mean(inputs, axis=axis, keepdims=self.keepdims)
        counts = jnp.expand_dims(mask, 3 - axis).astype(inputs.dtype)
        total = jnp.sum(inputs * counts, axis=axis, keepdims=self.keepdims)
        number = jnp.sum(counts, axis=axis, keepdims=self.keepdims)
        # The mean of no steps is 0, not nan, which would spread to all weights.
        return total / jnp.maximum(number, 1)

    def compute_mask(self, inputs, mask=None):
        return None


class GlobalAveragePooling2D(_GlobalAverage, rank=2):
    """The mean over all pixels of an image.

    Args:
        data_format: `"channels_last"`, `(batch, height, width, channels)`, or
            `"channels_first"`.
        keepdims: whether the spatial axes remain, with size 1.

    Example:

    >>> keras.layers.GlobalAveragePooling2D()(np.ones((2, 7, 7, 64))).shape
    (2, 64)
    """


class GlobalAveragePooling3D(_GlobalAverage, rank=3):
    """The mean over a volume.

    Args:
        data_format: `"channels_last"` or `"channels_first"`.
        keepdims: whether the spatial axes remain, with size 1.
    """


class GlobalMaxPooling1D(_GlobalMax, rank=1):
    """The maximum over all steps of a sequence.

    Args:
        data_format: `"channels_last"`, `(batch, steps, channels)`, or `"channels_first"`.
        keepdims: whether the steps remain as an axis of size 1.
    """


class GlobalMaxPooling2D(_GlobalMax, rank=2):
    """The maximum over all pixels of an image.

    Args:
        data_format: `"channels_last"`, `(batch, height, width, channels)`, or
            `"channels_first"`.
        keepdims: whether the spatial axes remain, with size 1.

    Example:

    >>> keras.layers.GlobalMaxPooling2D()(np.ones((2, 7, 7, 64))).shape
    (2, 64)
    """


class GlobalMaxPooling3D(_GlobalMax, rank=3):
    """The maximum over a volume.

    Args:
        data_format: `"channels_last"` or `"channels_first"`.
        keepdims: whether the spatial axes remain, with size 1.
    """


class BaseAdaptivePooling(Layer):
    """Reduces `output_size` windows, which fill the input evenly, over `rank` spatial axes."""

    rank: int  # set by the subclasses
    pool: Callable[..., jax.Array]  # `adaptive_max_pool` or `adaptive_average_pool`

    def __init_subclass__(cls, rank=None, **kwargs):
        super().__init_subclass__(**kwargs)
        if rank is not None:
            cls.rank = rank

    def __init__(self, output_size, data_format=None, **kwargs):
        super().__init__(**kwargs)
        owner = type(self).__name__
        self.output_size = int_tuple(f"{owner}'s output_size", output_size, self.rank)
        self.data_format = settings.standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def call(self, inputs):
        return type(self).pool(inputs, self.output_size, self.data_format)


class _AdaptiveAverage(BaseAdaptivePooling):
    pool = adaptive_average_pool


class _AdaptiveMax(BaseAdaptivePooling):
    pool = adaptive_max_pool


class AdaptiveAveragePooling1D(_AdaptiveAverage, rank=1):
    """The mean of `output_size` windows, which fill a sequence evenly.

    Args:
        output_size: number of windows.
        data_format: `"channels_last"`, `(batch, steps, channels)`, or `"channels_first"`.

    Example:

    >>> x = np.array([[[1.0], [3.0], [5.0], [9.0]]])
    >>> keras.layers.AdaptiveAveragePooling1D(2)(x)
    Array([[[2.],
            [7.]]], dtype=float32)
    """


class AdaptiveAveragePooling2D(_AdaptiveAverage, rank=2):
    """The mean of `output_size` windows, which fill an image evenly.

    Args:
        output_size: number of windows along height and width, or one int for both.
        data_format: `"channels_last"`, `(batch, height, width, channels)`, or
            `"channels_first"`.

    Example:

    >>> keras.layers.AdaptiveAveragePooling2D((3, 2))(np.ones((1, 7, 5, 4))).shape
    (1, 3, 2, 4)
    """


class AdaptiveAveragePooling3D(_AdaptiveAverage, rank=3):
    """The mean of `output_size` windows, which fill a volume evenly.

    Args:
        output_size: three numbers of windows, or one int for all.
        data_format: `"channels_last"` or `"channels_first"`.
    """


class AdaptiveMaxPooling1D(_AdaptiveMax, rank=1):
    """The largest number in each of `output_size` windows, which fill a sequence evenly.

    Args:
        output_size: number of windows.
        data_format: `"channels_last"`, `(batch, steps, channels)`, or `"channels_first"`.
    """


class AdaptiveMaxPooling2D(_AdaptiveMax, rank=2):
    """The largest number in each of `output_size` windows, which fill an image evenly.

    Args:
        output_size: number of windows along height and width, or one int for both.
        data_format: `"channels_last"`, `(batch, height, width, channels)`, or
            `"channels_first"`.
    """


class AdaptiveMaxPooling3D(_AdaptiveMax, rank=3):
    """The largest number in each of `output_size` windows, which fill a volume evenly.

    Args:
        output_size: three numbers of windows, or one int for all.
        data_format: `"channels_last"` or `"channels_first"`.
    """
