"""Ops that slide a window over 1 to 3 spatial axes: pooling and convolution."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from ..core import dtypes
from ..core.loading import count_calls
from ..core.messages import expected, one_of
from ..core.settings import standardize_data_format
from ..core.symbolic import op
from ..core.tree import Ints
from . import _conv
from ._convert import float_array, widened


@op
def max_pool(inputs, pool_size, strides=None, padding="valid", data_format=None):
    """The largest element in every window.

    Args:
        inputs: `[b, *spatial, c]`, or `[b, c, *spatial]` for `"channels_first"`.
        pool_size: size of the window, an int or one per spatial axis.
        strides: steps between windows, by default `pool_size`.
        padding: `"valid"` or `"same"`.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.

    Example:

    >>> keras.ops.max_pool(np.array([1.0, 3.0, 2.0, 0.0]).reshape(1, 4, 1), 2).ravel()
    Array([3., 2.], dtype=float32)
    """
    return _pool(_conv.max_pool, jnp.asarray(inputs), pool_size, strides, padding, data_format)


@op
def average_pool(inputs, pool_size, strides=None, padding="valid", data_format=None):
    """The mean of every window, not counting padding.

    Args:
        inputs: `[b, *spatial, c]`, or `[b, c, *spatial]` for `"channels_first"`.
        pool_size: size of the window, an int or one per spatial axis.
        strides: steps between windows, by default `pool_size`.
        padding: `"valid"` or `"same"`.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.
    """
    return _pool(_conv.avg_pool, float_array(inputs), pool_size, strides, padding, data_format)


def _pool(pool, inputs, pool_size, strides, padding, data_format):
    rank = inputs.ndim - 2
    window = per_axis("pool_size", pool_size, rank)
    strides = window if strides is None else per_axis("strides", strides, rank)
    x, restore = _channels_last(inputs, data_format)
    return restore(pool(x, window, strides, checked_padding(padding)))


@op
def adaptive_max_pool(inputs, output_size, data_format=None):
    """The largest element in each of `output_size` windows, which fill the input evenly.

    Along an axis of `n` elements, window `i` of `size` is
    `floor(i * n / size) : ceil((i + 1) * n / size)`.

    Args:
        inputs: `[b, *spatial, c]`, or `[b, c, *spatial]` for `"channels_first"`.
        output_size: number of windows, an int or one per spatial axis.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.

    Example:

    >>> keras.ops.adaptive_max_pool(np.arange(5.0).reshape(1, 5, 1), 2).ravel()
    Array([2., 4.], dtype=float32)
    """
    return _adaptive_pool(jnp.max, jnp.asarray(inputs), output_size, data_format)


@op
def adaptive_average_pool(inputs, output_size, data_format=None):
    """The mean of each of `output_size` windows, which fill the input evenly.

    The windows are those of `adaptive_max_pool`.

    Args:
        inputs: `[b, *spatial, c]`, or `[b, c, *spatial]` for `"channels_first"`.
        output_size: number of windows, an int or one per spatial axis.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.

    Example:

    >>> keras.ops.adaptive_average_pool(np.arange(5.0).reshape(1, 5, 1), 2).ravel()
    Array([1., 3.], dtype=float32)
    """
    inputs = float_array(inputs)
    y = _adaptive_pool(jnp.mean, widened(inputs), output_size, data_format)
    return y.astype(inputs.dtype)


def _adaptive_pool(reduce, inputs, output_size, data_format):
    x, restore = _channels_last(inputs, data_format)
    sizes = per_axis("output_size", output_size, x.ndim - 2)
    for axis, size in enumerate(sizes, start=1):
        # Windows repeat after every `size / repeats` of them, and are slices of such a period.
        before, n, after = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
        repeats = math.gcd(n, size)
        count_calls(size // repeats)
        x = x.reshape(*before, repeats, n // repeats, *after)
        bounds = [(i * n // size, -(-(i + 1) * n // size)) for i in range(size // repeats)]
        windows = [jax.lax.slice_in_dim(x, a, b, axis=axis + 1) for a, b in bounds]
        x = jnp.stack([reduce(w, axis=axis + 1) for w in windows], axis + 1)
        x = x.reshape(*before, size, *after)
    return restore(x)


@op
def conv(
    inputs,
    kernel,
    strides: Ints = 1,
    padding="valid",
    data_format=None,
    dilation_rate: Ints = 1,
):
    """Cross-correlation with a kernel, over 1, 2 or 3 spatial axes.

    Args:
        inputs: `[b, *spatial, c]`, or `[b, c, *spatial]` for `"channels_first"`.
        kernel: `[*window, c / groups, filters]`; the number of groups follows from it.
        strides, dilation_rate: an int or one per spatial axis.
        padding: `"valid"` or `"same"`.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.

    Example:

    >>> keras.ops.conv(np.ones((1, 8, 8, 3)), np.ones((3, 3, 3, 16)), padding="same").shape
    (1, 8, 8, 16)
    """
    x, kernel, restore = _operands(inputs, kernel, data_format)
    rank = x.ndim - 2
    channels, taken = x.shape[-1], kernel.shape[-2]
    if channels % taken or kernel.shape[-1] % (channels // taken):
        raise ValueError(
            f"The kernel's last two sizes should be (channels / groups, a multiple of groups), "
            f"for inputs of {channels} channels; received kernel.shape={kernel.shape}."
        )
    strides = per_axis("strides", strides, rank)
    dilation = per_axis("dilation_rate", dilation_rate, rank)
    groups = channels // taken
    return restore(_conv.convolve(x, kernel, strides, checked_padding(padding), dilation, groups))


@op
def depthwise_conv(
    inputs,
    kernel,
    strides: Ints = 1,
    padding="valid",
    data_format=None,
    dilation_rate: Ints = 1,
):
    """Cross-correlation of every channel by itself, with `multiplier` kernels each.

    Args:
        inputs: `[b, *spatial, c]`, or `[b, c, *spatial]` for `"channels_first"`.
        kernel: `[*window, c, multiplier]`.
        strides, dilation_rate: an int or one per spatial axis.
        padding: `"valid"` or `"same"`.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.

    Returns:
        Array with `c * multiplier` channels.
    """
    x, kernel, restore = _operands(inputs, kernel, data_format)
    rank = x.ndim - 2
    *window, channels, multiplier = kernel.shape
    if channels != x.shape[-1]:
        raise ValueError(
            f"The kernel should be of shape (*window, {x.shape[-1]}, multiplier), for inputs of "
            f"{x.shape[-1]} channels; received kernel.shape={kernel.shape}."
        )
    kernel = kernel.reshape(*window, 1, channels * multiplier)
    strides = per_axis("strides", strides, rank)
    dilation = per_axis("dilation_rate", dilation_rate, rank)
    return restore(_conv.convolve(x, kernel, strides, checked_padding(padding), dilation, channels))


@op
def separable_conv(
    inputs,
    depthwise_kernel,
    pointwise_kernel,
    strides: Ints = 1,
    padding="valid",
    data_format=None,
    dilation_rate: Ints = 1,
):
    """A `depthwise_conv`, then a `conv` with a window of one element.

    Args:
        inputs: `[b, *spatial, c]`, or `[b, c, *spatial]` for `"channels_first"`.
        depthwise_kernel: `[*window, c, multiplier]`.
        pointwise_kernel: `[1, …, 1, c * multiplier, filters]`.
        strides, dilation_rate: an int or one per spatial axis.
        padding: `"valid"` or `"same"`.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.
    """
    x = depthwise_conv(inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    return conv(x, pointwise_kernel, data_format=data_format)


@op
def conv_transpose(
    inputs,
    kernel,
    strides: Ints = 1,
    padding="valid",
    output_padding=None,
    data_format=None,
    dilation_rate: Ints = 1,
):
    """The transpose of `conv` (its gradient with respect to the inputs), which upsamples.

    With the window's reach `r = (k - 1) * dilation + 1`, a size `n` becomes `n * stride` for
    `"same"` and `n * stride + max(r - stride, 0)` for `"valid"`. With `output_padding` it becomes
    `(n - 1) * stride + r - 2 * p + output_padding`, where `p` is `r // 2` for `"same"`, else 0.

    Args:
        inputs: `[b, *spatial, c]`, or `[b, c, *spatial]` for `"channels_first"`.
        kernel: `[*window, filters, c]`.
        strides, dilation_rate: an int or one per spatial axis.
        padding: `"valid"` or `"same"`.
        output_padding: an int or one per spatial axis, less than the stride, or `None`.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.

    Example:

    >>> keras.ops.conv_transpose(np.ones((1, 4, 3)), np.ones((3, 5, 3)), 2, "same").shape
    (1, 8, 5)
    """
    x, kernel, restore = _operands(inputs, kernel, data_format)
    rank = x.ndim - 2
    strides = per_axis("strides", strides, rank)
    dilation = per_axis("dilation_rate", dilation_rate, rank)
    extra = [None] * rank
    if output_padding is not None:
        extra = per_axis("output_padding", output_padding, rank, least=0)
    padding = checked_padding(padding)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel.shape, dilation)]
    crops = tuple(_crops(padding, *sizes) for sizes in zip(reach, strides, extra))
    return restore(_conv.convolve_transposed(x, kernel, strides, crops, dilation))


def _crops(padding, reach, stride, extra):
    """What to cut off everything that the windows reach, for the documented output size."""
    if extra is not None:
        crop = (2 * (reach // 2) if padding == "same" else 0) - extra
    else:
        crop = reach - stride if padding == "same" else min(reach - stride, 0)
    low = max(crop // 2, 0)
    return low, crop - low


def _operands(inputs, kernel, data_format):
    """Inputs with channels last and kernel, in their common dtype, and the way back."""
    inputs, kernel = jnp.asarray(inputs), jnp.asarray(kernel)
    if inputs.ndim not in (3, 4, 5) or kernel.ndim != inputs.ndim:
        raise ValueError(
            "inputs should have 1 to 3 spatial axes, and the kernel as many; received "
            f"inputs.shape={inputs.shape} and kernel.shape={kernel.shape}."
        )
    dtype = dtypes.result_type(dtypes.of(inputs), dtypes.of(kernel))
    x, restore = _channels_last(inputs.astype(dtype), data_format)
    return x, kernel.astype(dtype), restore


def _channels_last(x, data_format):
    """`x` with its channels last, and the function that puts a result's where they were."""
    if x.ndim < 3:
        raise ValueError(expected("inputs", "of shape (batch, *spatial, channels)", x))
    if standardize_data_format(data_format) == "channels_last":
        return x, lambda y: y
    return jnp.moveaxis(x, 1, -1), lambda y: jnp.moveaxis(y, -1, 1)


def per_axis(name, value, rank, least=1):
    """A tuple of `rank` ints, from such a tuple or from one int for all axes."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,) * rank
    good = all(isinstance(v, (int, np.integer)) and v >= least for v in values)
    if len(values) != rank or not good:
        wanted = f"an int of at least {least}, or {rank} of them"
        raise ValueError(expected(name, wanted, value))
    return values


def checked_padding(padding):
    return one_of("padding", str(padding).lower(), ("valid", "same"))
