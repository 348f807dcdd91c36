"""Images: colours, sizes, patches.

An image has the axes height, width, channels, or channels first; a batch has one more in front.
Every function works in the layout that it is given.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..core.loading import count_variable
from ..core.messages import expected, one_of
from ..core.settings import standardize_data_format
from ..core.symbolic import op
from ..core.tree import Ints
from ._convert import array, floats, saturate_cast, widened
from ._windows import checked_padding, per_axis

# Axes and dtypes ---------------------------------------------------------------------------------


def layout(images, data_format, argument="images"):
    """`images` as an array, and its axes of height, width and channels, counted from the end."""
    x = array(images)
    if x.ndim not in (3, 4):
        raise ValueError(expected(argument, "one image (3 axes) or a batch of them (4 axes)", x))
    last = standardize_data_format(data_format) == "channels_last"
    return x, ((-3, -2, -1) if last else (-2, -1, -3))


def batched(images, data_format, spatial=2, argument="images"):
    """`images` as `[b, *sizes, c]`, and the function that gives a result the layout they had."""
    x = array(images)
    if x.ndim - spatial not in (1, 2):
        wanted = f"one of {spatial + 1} axes, or a batch of them ({spatial + 2} axes)"
        raise ValueError(expected(argument, wanted, x))
    single = x.ndim == spatial + 1
    channels = -1 if standardize_data_format(data_format) == "channels_last" else -1 - spatial
    x = jnp.moveaxis(x, channels, -1)

    def restore(y):
        return jnp.moveaxis(y[0] if single else y, -1, channels)

    return (x[None] if single else x), restore


def as_pixels(x, dtype):
    """Floats in the dtype of an image; for integers they are rounded and kept in the range."""
    if jnp.issubdtype(dtype, jnp.integer):
        return saturate_cast(jnp.round(x), dtype)
    return x.astype(dtype)


def _check_channels(x, axis, allowed, function):
    if isinstance(x.shape[axis], int) and x.shape[axis] not in allowed:
        wanted = f"with {' or '.join(map(str, allowed))} channels (axis {axis})"
        raise ValueError(expected(f"images of {function}", wanted, x))


# Colours -----------------------------------------------------------------------------------------


@op
def rgb_to_grayscale(images, data_format=None):
    """Brightness `0.2989 red + 0.587 green + 0.114 blue`.

    Args:
        images: `[h, w, 3]` or `[b, h, w, 3]`, or with channels before height. Those with one
            channel stay as they are.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.

    Returns:
        Array with one channel, in the dtype of `images`; integers are cut off, not rounded.

    Example:

    >>> keras.ops.image.rgb_to_grayscale([[[1.0, 0.0, 0.0], [0.0, 0.0, 0.5]]]).ravel()
    Array([0.2989, 0.057 ], dtype=float32)
    """
    x, (_, _, channels) = layout(images, data_format)
    _check_channels(x, channels, (1, 3), "rgb_to_grayscale")
    if x.shape[channels] == 1:
        return x
    red, green, blue = jnp.split(widened(x), 3, channels)
    return (0.2989 * red + 0.587 * green + 0.114 * blue).astype(x.dtype)


@op
def rgb_to_hsv(images, data_format=None):
    """Hue, saturation and value of red, green and blue.

    The value is the largest of the three, the saturation the difference to the smallest relative
    to it, and the hue the place on the circle from red (0) over green (1/3) and blue (2/3).

    Args:
        images: floats in `[0, 1]`, `[h, w, 3]` or `[b, h, w, 3]`, or with channels before height.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.

    Returns:
        Array like `images`, all in `[0, 1]`.

    Reference:
        [Smith, 1978](https://doi.org/10.1145/800248.807361)

    Example:

    >>> keras.ops.image.rgb_to_hsv([[[0.0, 0.5, 0.0], [0.5, 0.5, 1.0]]])
    Array([[[0.3333, 1.    , 0.5   ],
            [0.6667, 0.5   , 1.    ]]], dtype=float32)
    """
    x, channels = _float_colours(images, data_format, "rgb_to_hsv")
    # Rounding errors around black have no colour.
    x = jnp.where(jnp.abs(x) < jnp.finfo(x.dtype).eps, 0, x)
    red, green, blue = jnp.split(x, 3, channels)
    value = jnp.max(x, channels, keepdims=True)
    spread = value - jnp.min(x, channels, keepdims=True)
    # Both branches get a gradient, so the unused one must be finite, too.
    unit = jnp.where(spread > 0, spread, 1)
    third = jnp.where(
        value == red,
        (green - blue) / unit,
        jnp.where(value == green, (blue - red) / unit + 2, (red - green) / unit + 4),
    )
    hue = jnp.where(spread > 0, _wrapped(third / 6, 1), 0)
    saturation = jnp.where(value > 0, spread / jnp.where(value > 0, value, 1), 0)
    return jnp.concatenate([hue, saturation, value], channels)


@op
def hsv_to_rgb(images, data_format=None):
    """Red, green and blue of hue, saturation and value: the inverse of `rgb_to_hsv`.

    Args:
        images: floats in `[0, 1]`, `[h, w, 3]` or `[b, h, w, 3]`, or with channels before height.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.

    Returns:
        Array like `images`.

    Example:

    >>> keras.ops.image.hsv_to_rgb([[[1 / 3, 1.0, 0.5], [2 / 3, 0.5, 1.0]]])
    Array([[[0. , 0.5, 0. ],
            [0.5, 0.5, 1. ]]], dtype=float32)
    """
    x, channels = _float_colours(images, data_format, "hsv_to_rgb")
    hue, saturation, value = jnp.split(x, 3, channels)

    def colour(place):
        # How far the hue is from this colour, in sixths of the circle; up to one it is full.
        sixths = _wrapped(place + 6 * hue, 6)
        return value * (1 - saturation * jnp.clip(jnp.minimum(sixths, 4 - sixths), 0, 1))

    return jnp.concatenate([colour(5), colour(3), colour(1)], channels)


def _wrapped(x, period):
    """`x % period`, which on the CPU calls a function for every element: four times as slow."""
    return x - period * jnp.floor(x / period)


def _float_colours(images, data_format, function):
    x, (_, _, channels) = layout(images, data_format)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        hint = "Divide integers by 255 first."
        raise ValueError(expected(f"images of {function}", "floats in [0, 1]", x, hint))
    _check_channels(x, channels, (3,), function)
    return x, channels


# Sizes -------------------------------------------------------------------------------------------

# Weight of a pixel at some distance, up to a radius. The cubic is that of Keys (1981), a = -1/2.
KERNELS = {
    "bilinear": (1, lambda x: 1 - x),
    "bicubic": (
        2,
        lambda x: np.where(x < 1, (1.5 * x - 2.5) * x**2 + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2),
    ),
    "lanczos3": (3, lambda x: np.sinc(x) * np.sinc(x / 3)),
    "lanczos5": (5, lambda x: np.sinc(x) * np.sinc(x / 5)),
}

# Sums of more gathers compile slowly: a matrix product instead.
_MAX_TAPS = 64


@op
def resize(
    images,
    size,
    interpolation="bilinear",
    antialias=False,
    crop_to_aspect_ratio=False,
    pad_to_aspect_ratio=False,
    fill_mode="constant",
    fill_value=0.0,
    data_format=None,
):
    """Images in another size.

    The centre of output pixel `i` lies at `(i + 1/2) * old / new - 1/2` between the input's
    pixels, where these are interpolated.

    Args:
        images: `[h, w, c]` or `[b, h, w, c]`, or with channels before height.
        size: `(height, width)` of the result.
        interpolation: `"nearest"`, `"bilinear"`, `"bicubic"`, `"lanczos3"` or `"lanczos5"`.
        antialias: whether images that shrink are smoothed first, by a wider kernel.
        crop_to_aspect_ratio: whether to cut images to the proportions of `size` first.
        pad_to_aspect_ratio: whether to extend images to the proportions of `size` first.
        fill_mode: `"constant"`, how to extend them.
        fill_value: what to extend them with.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.

    Returns:
        Array of that height and width, in the dtype of `images`; integers are rounded.

    Example:

    >>> keras.ops.image.resize(np.array([[0.0], [1.0]])[:, :, None], (4, 1)).ravel()
    Array([0.  , 0.25, 0.75, 1.  ], dtype=float32)
    """
    x, (height, width, _) = layout(images, data_format)
    one_of("interpolation", interpolation, ("nearest", *KERNELS))
    one_of("fill_mode", fill_mode, ("constant",))
    if np.shape(size) != (2,) or min(size) < 1:
        raise ValueError(expected("size", "two ints of at least 1, (height, width)", size))
    size = tuple(map(int, size))
    dtype = x.dtype
    x = x if interpolation == "nearest" else widened(x)
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError(
            "Only one of crop_to_aspect_ratio and pad_to_aspect_ratio can be true; received both."
        )
    if crop_to_aspect_ratio or pad_to_aspect_ratio:
        old = x.shape[height], x.shape[width]
        margins = margins_to_proportions(old, size, crop_to_aspect_ratio)
        x = _with_margins(x, height, margins, fill_value)
    return as_pixels(_resize(x, height, size, interpolation, antialias), dtype)


def margins_to_proportions(old, size, crop):
    """What to add on both sides of each axis so that `old` has the proportions of `size`.

    With `crop` it is what to cut off, as negative numbers.
    """
    # Each side as the other one and the proportions want it.
    new = old[1] * size[0] // size[1], old[0] * size[1] // size[0]
    if crop:
        removed = [max(m - max(n, 1), 0) for m, n in zip(old, new)]
        return [(-(r // 2), r // 2 - r) for r in removed]
    return [(max(n - m, 0) // 2,) * 2 for m, n in zip(old, new)]


@functools.partial(jax.jit, static_argnums=(1, 2, 3, 4))
def _resize(x, height, size, interpolation, antialias):
    for axis, n in zip((height, height + 1), size):
        m = x.shape[axis]
        if interpolation == "nearest":
            count_variable("The pixels of the resized image", (n,))
            index = (2 * np.arange(n) + 1) * m // (2 * n)
            x = jnp.take(x, index, axis, mode="clip")
        elif m != n:
            x = _interpolated(x, axis, n, interpolation, antialias)
    return x


@functools.partial(jax.custom_jvp, nondiff_argnums=(1, 2, 3, 4))
def _interpolated(x, axis, size, interpolation, antialias):
    """`x` in another size along `axis`: a product with a matrix that has few entries per column.

    As a sum of gathers it takes a tenth of the time of a matrix product (8x224x224x3 on 2 cores).
    The transpose of gathers would be scatters, which are slow: the tangent is a matrix product.
    Reverse mode runs only its transpose.
    """
    index, weight = taps(x.shape[axis], size, KERNELS[interpolation], antialias)
    if len(index) > _MAX_TAPS:
        return _matrix_product(x, axis, index, weight)
    weight = weight.reshape(*weight.shape, *(1,) * (-1 - axis)).astype(x.dtype)
    gathered = (jnp.take(x, i, axis, mode="clip") for i in index)
    return functools.reduce(jnp.add, map(jnp.multiply, gathered, weight))


@_interpolated.defjvp
def _interpolated_jvp(axis, size, interpolation, antialias, primals, tangents):
    (x,), (x_dot,) = primals, tangents
    index, weight = taps(x.shape[axis], size, KERNELS[interpolation], antialias)
    y = _interpolated(x, axis, size, interpolation, antialias)
    return y, _matrix_product(x_dot, axis, index, weight)


def _matrix_product(x, axis, index, weight):
    count_variable("The matrix that resizes images", (x.shape[axis], weight.shape[1]))
    matrix = np.zeros((x.shape[axis], weight.shape[1]))
    np.add.at(matrix, (index, np.arange(weight.shape[1])), weight)
    y = jnp.tensordot(x, matrix.astype(x.dtype), (axis, 0), precision=lax.Precision.HIGHEST)
    return jnp.moveaxis(y, -1, axis)


def taps(old, new, kernel, antialias):
    """Which pixels of `old` make up each of `new`, and their weights: two arrays `[taps, new]`.

    `kernel` is one of `KERNELS`: a radius, and the weight of a pixel at a distance within it.
    """
    radius, weigh = kernel
    stretch = max(old / new, 1) if antialias else 1
    count_variable("The weights of pixels", (math.ceil(2 * radius * stretch), new))
    centre = (np.arange(new) + 0.5) * (old / new) - 0.5
    first = np.floor(centre - radius * stretch) + 1
    index = first + np.arange(math.ceil(2 * radius * stretch))[:, None]
    distance = np.abs(index - centre) / stretch
    used = (distance < radius) & (index >= 0) & (index < old)
    weight = np.where(used, weigh(distance), 0)
    return np.clip(index, 0, old - 1).astype("int32"), weight / weight.sum(0)


@op
def scale_and_translate(
    images, output_shape, scale, translation, spatial_dims, method, antialias=True
):
    """Images stretched and moved: what was at `p` is at `p * scale + translation`.

    Positions count from the edge, so the centre of pixel `i` is at `i + 1/2`. Pixels that come
    from outside the input are 0.

    Args:
        images: array of any number of axes.
        output_shape: sizes of the result, one per axis.
        scale, translation: `[k]`, one number for each of `spatial_dims`.
        spatial_dims: the `k` axes that are stretched; along others the sizes stay.
        method: `"linear"` (or `"bilinear"`, `"trilinear"`, `"triangle"`), `"cubic"` (or
            `"bicubic"`, `"tricubic"`), `"lanczos3"` or `"lanczos5"`.
        antialias: whether images that shrink are smoothed first, by a wider kernel.

    Returns:
        Array of shape `output_shape`; floats also for integers.

    Example:

    >>> x = np.array([[1.0, 2.0, 3.0]], "float32")
    >>> keras.ops.image.scale_and_translate(x, (1, 4), [1.0], [1.0], (1,), "linear")
    Array([[0., 1., 2., 3.]], dtype=float32)
    """
    linear, cubic = (
        ("linear", "bilinear", "trilinear", "triangle"),
        ("cubic", "bicubic", "tricubic"),
    )
    one_of("method", method, (*linear, *cubic, "lanczos3", "lanczos5"))
    (x,), scale, translation = floats(images), array(scale), array(translation)
    if len(output_shape) != x.ndim:
        raise ValueError(expected("output_shape", f"of {x.ndim} sizes", output_shape))
    wanted = (len(spatial_dims),)
    for name, value in (("scale", scale), ("translation", translation)):
        if value.shape != wanted:
            raise ValueError(expected(name, f"of shape {wanted}, as spatial_dims says", value))
    return jax.image.scale_and_translate(
        x, output_shape, tuple(spatial_dims), scale, translation, method, antialias
    )


@op
def crop_images(
    images,
    top_cropping=None,
    left_cropping=None,
    bottom_cropping=None,
    right_cropping=None,
    target_height=None,
    target_width=None,
    data_format=None,
):
    """A rectangle of every image.

    Args:
        images: `[h, w, c]` or `[b, h, w, c]`, or with channels before height.
        top_cropping, bottom_cropping, target_height: two of the three: how many rows to remove
            at the top and at the bottom, and how many are left.
        left_cropping, right_cropping, target_width: the same for columns.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.

    Returns:
        Array of the smaller height and width.

    Example:

    >>> x = np.arange(12).reshape(3, 4, 1)
    >>> keras.ops.image.crop_images(x, 1, 1, target_height=1, target_width=2).ravel()
    Array([5, 6], dtype=int32)
    """
    x, (height, width, _) = layout(images, data_format)
    names = "top_cropping", "bottom_cropping", "target_height"
    rows = _margins(names, top_cropping, bottom_cropping, target_height, x.shape[height], -1)
    names = "left_cropping", "right_cropping", "target_width"
    columns = _margins(names, left_cropping, right_cropping, target_width, x.shape[width], -1)
    return _with_margins(x, height, (rows, columns), 0)


@op
def pad_images(
    images,
    top_padding=None,
    left_padding=None,
    bottom_padding=None,
    right_padding=None,
    target_height=None,
    target_width=None,
    data_format=None,
):
    """Images with zeros around them.

    Args:
        images: `[h, w, c]` or `[b, h, w, c]`, or with channels before height.
        top_padding, bottom_padding, target_height: two of the three: how many rows to add at the
            top and at the bottom, and how many there are then.
        left_padding, right_padding, target_width: the same for columns.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.

    Returns:
        Array of the larger height and width.

    Example:

    >>> x = np.ones((1, 2, 1))
    >>> keras.ops.image.pad_images(x, 0, 1, target_height=2, target_width=4)[:, :, 0]
    Array([[0., 1., 1., 0.],
           [0., 0., 0., 0.]], dtype=float32)
    """
    x, (height, width, _) = layout(images, data_format)
    names = "top_padding", "bottom_padding", "target_height"
    rows = _margins(names, top_padding, bottom_padding, target_height, x.shape[height], 1)
    names = "left_padding", "right_padding", "target_width"
    columns = _margins(names, left_padding, right_padding, target_width, x.shape[width], 1)
    return _with_margins(x, height, (rows, columns), 0)


def _margins(names, low, high, target, size, sign):
    """What to add at both sides of an axis of `size`; `sign` is -1 where this is to be removed."""
    given = ", ".join(f"{name}={value}" for name, value in zip(names, (low, high, target)))
    if sum(value is None for value in (low, high, target)) != 1:
        raise ValueError(f"Exactly two of {', '.join(names)} should be given; received {given}.")
    if target is not None:
        total = sign * (target - size)
        low, high = total - high if low is None else low, total - low if high is None else high
    left = size + sign * (low + high)
    if any(isinstance(n, (int, np.integer)) and n < 0 for n in (low, high, left)):
        raise ValueError(
            f"{', '.join(names)} should be at least 0 and fit the images' size of {size}; "
            f"received {given}."
        )
    return sign * low, sign * high


def _with_margins(x, height, margins, fill_value):
    """`x` extended along height and width, or cut where a margin is negative."""
    config = [(0, 0, 0)] * x.ndim
    config[height], config[height + 1] = [(*margin, 0) for margin in margins]
    return lax.pad(x, jnp.asarray(fill_value).astype(x.dtype), config)


# Patches -----------------------------------------------------------------------------------------


@op
def extract_patches(
    images, size, strides=None, dilation_rate: Ints = 1, padding="valid", data_format=None
):
    """Windows of images or volumes, each written as one vector.

    Args:
        images: `[h, w, c]` or `[b, h, w, c]`, or with channels before height. Volumes have one more
            axis, the depth before the height.
        size: size of the windows: an int, `(height, width)`, or `(depth, height, width)`.
        strides: steps between windows, by default `size`: they don't overlap.
        dilation_rate: steps within a window.
        padding: `"valid"`, or `"same"` for zeros around the images.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.

    Returns:
        Array with a position for every window and `prod(size) * c` channels. In these, pixels are
        in row-major order, each with its `c` numbers.

    Example:

    >>> x = np.arange(16).reshape(4, 4, 1)
    >>> keras.ops.image.extract_patches(x, 2)[0]
    Array([[0, 1, 4, 5],
           [2, 3, 6, 7]], dtype=int32)
    """
    spatial = 2 if isinstance(size, int) else np.size(size)
    if spatial not in (2, 3):
        raise ValueError(expected("size", "an int, or 2 ints (images) or 3 (volumes)", size))
    size = per_axis("size", size, spatial)
    strides = per_axis("strides", strides, spatial) if strides else size
    dilation = per_axis("dilation_rate", dilation_rate, spatial)
    x, restore = batched(images, data_format, spatial)
    reach = [(n - 1) * d + 1 for n, d in zip(size, dilation)]
    if checked_padding(padding) == "same":
        pads = lax.padtype_to_pads(x.shape[1:-1], reach, [int(s) for s in strides], "SAME")
        x = jnp.pad(x, [(0, 0), *pads, (0, 0)])
    if any(isinstance(m, int) and m < n for m, n in zip(x.shape[1:-1], reach)):
        raise ValueError(expected("images", f"no smaller than the windows' {tuple(reach)}", x))
    return restore(_patches(x, size, strides, dilation))


def extract_patches_3d(
    volumes, size, strides=None, dilation_rate: Ints = 1, padding="valid", data_format=None
):
    """Windows of volumes, each written as one vector: `extract_patches` in three dimensions.

    Args:
        volumes: `[d, h, w, c]` or `[b, d, h, w, c]`, or with channels before depth.
        size: size of the windows: an int or `(depth, height, width)`.
        strides: steps between windows, by default `size`: they don't overlap.
        dilation_rate: steps within a window.
        padding: `"valid"`, or `"same"` for zeros around the volumes.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.

    Returns:
        Array with a position for every window and `prod(size) * c` channels.

    Example:

    >>> keras.ops.image.extract_patches_3d(np.ones((1, 10, 10, 10, 3)), 3).shape
    (1, 3, 3, 3, 81)
    """
    size = per_axis("size", size, 3)
    return extract_patches(volumes, size, strides, dilation_rate, padding, data_format)


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def _patches(x, size, strides, dilation):
    """`[b, *sizes, c]` to `[b, *out, prod(size) * c]`."""
    spatial = len(size)
    for axis, window in enumerate(zip(size, strides, dilation)):
        x = _windows(x, 2 * axis + 1, *window)
    # [b, h, rows of a window, w, columns of a window, c]
    x = jnp.moveaxis(x, range(2, 2 * spatial + 1, 2), range(spatial + 1, 2 * spatial + 1))
    return x.reshape(*x.shape[: spatial + 1], math.prod(size) * x.shape[-1])


def _windows(x, axis, size, stride, dilation):
    """`x` with an axis of windows in the place of `axis`, and one of their elements behind it."""
    count = (x.shape[axis] - (size - 1) * dilation - 1) // stride + 1
    before = (slice(None),) * axis
    if size == stride and dilation == 1:
        x = x[(*before, slice(0, count * size))]
        return x.reshape(*x.shape[:axis], count, size, *x.shape[axis + 1 :])
    starts = range(0, size * dilation, dilation)
    ends = [start + (count - 1) * stride + 1 for start in starts]
    return jnp.stack([x[(*before, slice(a, b, stride))] for a, b in zip(starts, ends)], axis + 1)
