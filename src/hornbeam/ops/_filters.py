"""Filters over images: blur, edges, and the similarity of what windows see."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..core.messages import expected
from ..core.symbolic import op
from ._convert import array, floats, widened
from ._image import as_pixels, layout
from ._windows import per_axis


@op
def gaussian_blur(images, kernel_size=(3, 3), sigma=(1.0, 1.0), data_format=None):
    """Every pixel becomes a mean of those around it, with weights `exp(-(distance / sigma)² / 2)`.

    Beyond the edges there are zeros.

    Args:
        images: `[h, w, c]` or `[b, h, w, c]`, or with channels before height.
        kernel_size: how many `(rows, columns)` a mean is taken over.
        sigma: standard deviation of the weights along `(rows, columns)`, in pixels.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.

    Returns:
        Array like `images`; integers are rounded.

    Example:

    >>> x = np.array([0.0, 0.0, 1.0, 0.0, 0.0]).reshape(1, 5, 1)
    >>> keras.ops.image.gaussian_blur(x, (1, 3)).ravel()
    Array([0.    , 0.2741, 0.4519, 0.2741, 0.    ], dtype=float32)
    """
    x, (height, _, _) = layout(images, data_format)
    sizes = per_axis("kernel_size", kernel_size, 2)
    if not hasattr(sigma, "__len__") or len(sigma) != 2:
        raise ValueError(expected("sigma", "two numbers, for rows and columns", sigma))
    kernels = tuple(gaussian(n, s) for n, s in zip(sizes, sigma))
    return as_pixels(filtered(widened(x), kernels, height), x.dtype)


def gaussian(size, sigma):
    """Weights `exp(-(distance / sigma)² / 2)` of `size` pixels in a row, with the sum 1."""
    xp = jnp if isinstance(sigma, jax.Array) else np  # constants cost nothing on the device
    if xp is np and not sigma > 0:
        raise ValueError(expected("sigma", "a positive number of pixels", sigma))
    distance = np.arange(size) - (size - 1) / 2
    weight = xp.exp(-((distance / sigma) ** 2) / 2)
    return weight / weight.sum()


@functools.partial(jax.jit, static_argnums=(2, 3))
def filtered(x, kernels, height, padding="same"):
    """Sums over windows along `height` and the axis behind it, weighted by one kernel each.

    Shifted sums, which XLA fuses into one loop: 20 to 100 times as fast on 2 cores as a
    convolution with the kernels' product for every channel.
    """
    for axis, kernel in zip((height, height + 1), kernels):
        taps = kernel.shape[0]
        if padding == "same":
            config = [(0, 0, 0)] * x.ndim
            config[axis] = ((taps - 1) // 2, taps // 2, 0)
            x = lax.pad(x, jnp.zeros((), x.dtype), config)
        n = x.shape[axis] - taps + 1
        kernel = kernel.astype(x.dtype)
        shifted = (lax.slice_in_dim(x, i, i + n, axis=axis) for i in range(taps))
        x = functools.reduce(jnp.add, map(jnp.multiply, shifted, kernel))
    return x


@op
def sobel_edges(images, data_format=None):
    """How fast images change along rows and columns: Sobel's two filters.

    `[[-1, -2, -1], [0, 0, 0], [1, 2, 1]]` and its transpose, with zeros beyond the edges.

    Args:
        images: `[b, h, w, c]`, or `[b, c, h, w]` for `"channels_first"`.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.

    Returns:
        Array with one more axis at the end, `[change from row to row, from column to column]`.
        Integers give int32.

    Example:

    >>> x = np.zeros((1, 3, 4, 1))
    >>> x[:, :, 2:] = 1
    >>> keras.ops.image.sobel_edges(x)[0, 1, 1, 0]
    Array([0., 4.], dtype=float32)
    """
    x = array(images)
    if x.ndim != 4:
        raise ValueError(expected("images", "a batch of images (4 axes)", x))
    x, (height, _, _) = layout(x, data_format)
    floating = jnp.issubdtype(x.dtype, jnp.floating)
    wide = widened(x) if floating else x.astype("int32")
    change, mean = np.array([-1, 0, 1]), np.array([1, 2, 1])
    edges = [filtered(wide, kernels, height) for kernels in ((change, mean), (mean, change))]
    return jnp.stack(edges, -1).astype(x.dtype if floating else wide.dtype)


@op
def ssim(
    image1,
    image2,
    max_val: float = 1.0,
    filter_size=11,
    filter_sigma=1.5,
    k1=0.01,
    k2=0.03,
    data_format=None,
):
    """Structural similarity of two images: 1 where they are equal.

    `(2 m1 m2 + c1) (2 v12 + c2) / ((m1² + m2² + c1) (v1 + v2 + c2))`, of the means, variances and
    covariance under a Gaussian window, with `c = (k * max_val)²`; the mean over all windows that
    lie within the image, and over the channels.

    Args:
        image1, image2: `[h, w, c]` or `[b, h, w, c]`, or with channels before height.
        max_val: the largest value that a pixel may have, such as 1 or 255.
        filter_size: rows and columns of the window.
        filter_sigma: standard deviation of the window's weights, in pixels.
        k1, k2: how much the formula is kept away from `0 / 0`.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.

    Returns:
        A number for every pair of images, `[b]` or a scalar; floats also for integers.

    Reference:
        [Wang et al., 2004](https://doi.org/10.1109/TIP.2003.819861)

    Example:

    >>> x = np.random.default_rng(0).random((16, 16, 3))
    >>> keras.ops.image.ssim(x, x), keras.ops.image.ssim(x, 0.5 * x).round(2)
    (Array(1., dtype=float32), Array(0.64, dtype=float32))
    """
    x, (height, width, _) = layout(image1, data_format, "image1")
    y, _ = layout(image2, data_format, "image2")
    if x.ndim != y.ndim or any(
        m != n for m, n in zip(x.shape, y.shape) if isinstance(m, int) and isinstance(n, int)
    ):
        raise ValueError(expected("image2", f"of the shape of image1, {x.shape}", y))
    (window,) = per_axis("filter_size", filter_size, 1)
    sizes = x.shape[height], x.shape[width]
    if any(isinstance(n, int) and n < window for n in sizes):
        raise ValueError(expected("filter_size", f"at most the images' {sizes}", filter_size))
    (x,) = floats(x)
    kernel = gaussian(window, filter_sigma)
    c1, c2 = (k1 * max_val) ** 2, (k2 * max_val) ** 2
    return _ssim(widened(x), y, kernel, height, c1, c2).astype(x.dtype)


@functools.partial(jax.jit, static_argnums=3)
def _ssim(x, y, kernel, height, c1, c2):
    y = y.astype(x.dtype)
    means = filtered(jnp.stack([x, y, x * x, y * y, x * y]), (kernel, kernel), height, "valid")
    mean_x, mean_y, xx, yy, xy = means
    product, squares = mean_x * mean_y, mean_x**2 + mean_y**2
    luminance = (2 * product + c1) / (squares + c1)
    structure = (2 * (xy - product) + c2) / (xx + yy - squares + c2)
    return jnp.mean(luminance * structure, (-3, -2, -1))
