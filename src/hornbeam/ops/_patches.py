"""Ops that rearrange images: blocks into channels and back, windows into columns and back."""

import itertools
import math

import jax.numpy as jnp
from jax import lax

from ..core.messages import expected
from ..core.settings import standardize_data_format
from ..core.symbolic import op
from ._windows import per_axis


@op
def space_to_depth(x, block_size, data_format="channels_last"):
    """Blocks of an image become channels: `[b, h * s, w * s, c]` to `[b, h, w, s² * c]`.

    With `"channels_last"` the new channels are numbered by row of the block, column, channel;
    with `"channels_first"`, `[b, c, h * s, w * s]`, by channel, row, column.

    Args:
        x: images.
        block_size: `s`, an int of at least 2.
        data_format: `"channels_last"` or `"channels_first"`.

    Example:

    >>> keras.ops.space_to_depth(np.arange(4).reshape(1, 2, 2, 1), 2)
    Array([[[[0, 1, 2, 3]]]], dtype=int32)
    """
    x, first = _images("space_to_depth", x, block_size, data_format)
    s = block_size
    sides = x.shape[2:] if first else x.shape[1:3]
    if any(isinstance(n, int) and n % s for n in sides):
        raise ValueError(
            f"space_to_depth expects a height and width that block_size={s} divides; received "
            f"x.shape={x.shape}."
        )
    if first:
        b, c, h, w = x.shape
        blocks = x.reshape(b, c, h // s, s, w // s, s).transpose(0, 1, 3, 5, 2, 4)
        return blocks.reshape(b, c * s * s, h // s, w // s)
    b, h, w, c = x.shape
    blocks = x.reshape(b, h // s, s, w // s, s, c).transpose(0, 1, 3, 2, 4, 5)
    return blocks.reshape(b, h // s, w // s, s * s * c)


@op
def depth_to_space(x, block_size, data_format="channels_last"):
    """Channels become blocks of an image, `[b, h, w, s² * c]` to `[b, h * s, w * s, c]`.

    The inverse of `space_to_depth`, also known as pixel shuffle.

    Args:
        x: images.
        block_size: `s`, an int of at least 2.
        data_format: `"channels_last"` or `"channels_first"`.

    Reference: [Shi et al., 2016](https://arxiv.org/abs/1609.05158)

    Example:

    >>> keras.ops.depth_to_space(np.arange(4).reshape(1, 1, 1, 4), 2).squeeze()
    Array([[0, 1],
           [2, 3]], dtype=int32)
    """
    x, first = _images("depth_to_space", x, block_size, data_format)
    s = block_size
    depth = x.shape[1 if first else 3]
    if isinstance(depth, int) and depth % (s * s):
        raise ValueError(
            f"depth_to_space expects a number of channels that block_size²={s * s} divides; "
            f"received x.shape={x.shape}."
        )
    c = depth // (s * s)
    if first:
        b, _, h, w = x.shape
        blocks = x.reshape(b, c, s, s, h, w).transpose(0, 1, 4, 2, 5, 3)
        return blocks.reshape(b, c, h * s, w * s)
    b, h, w, _ = x.shape
    return x.reshape(b, h, w, s, s, c).transpose(0, 1, 3, 2, 4, 5).reshape(b, h * s, w * s, c)


def _images(owner, x, block_size, data_format):
    x = jnp.asarray(x)
    if x.ndim != 4:
        raise ValueError(expected(f"{owner}'s x", "images, an array of 4 axes", x))
    if not isinstance(block_size, int) or block_size < 2:
        raise ValueError(expected(f"{owner}'s block_size", "an int of at least 2", block_size))
    return x, standardize_data_format(data_format) == "channels_first"


@op
def unfold(x, kernel_size, dilation=1, padding=0, stride=1):
    """Every window of an image becomes a column, also known as im2col.

    Args:
        x: `[b, c, h, w]`.
        kernel_size: height and width of the window, or one int for both.
        dilation: steps between the elements of a window.
        padding: zeros to add on either side.
        stride: steps between windows.

    Returns:
        `[b, c * height * width, windows]`, windows in row-major order.

    Example:

    >>> keras.ops.unfold(np.arange(6).reshape(1, 1, 2, 3), 2)
    Array([[[0, 1],
            [1, 2],
            [3, 4],
            [4, 5]]], dtype=int32)
    """
    x = jnp.asarray(x)
    if x.ndim != 4:
        raise ValueError(expected("unfold's x", "of shape (batch, channels, height, width)", x))
    padding, stride, counts, starts = _windows(x.shape[2:], kernel_size, dilation, padding, stride)
    x = jnp.pad(x, ((0, 0), (0, 0), *((p, p) for p in padding)))
    slices = [[slice(a, a + m * s, s) for a, m, s in zip(at, counts, stride)] for at in starts]
    taps = jnp.stack([x[:, :, *window] for window in slices], axis=2)
    b, c, k, rows, columns = taps.shape
    return taps.reshape(b, c * k, rows * columns)


@op
def fold(x, output_size, kernel_size, dilation=1, padding=0, stride=1):
    """The transpose of `unfold`: columns are added up at the places of their windows.

    Args:
        x: `[b, c * height * width, windows]`.
        output_size: height and width of the image, or one int for both.
        kernel_size: height and width of the window, or one int for both.
        dilation: steps between the elements of a window.
        padding: zeros that `unfold` added on either side.
        stride: steps between windows.

    Returns:
        Images, `[b, c, *output_size]`.

    Example:

    >>> keras.ops.fold(np.ones((1, 4, 2)), (2, 3), kernel_size=2)
    Array([[[[1., 2., 1.],
             [1., 2., 1.]]]], dtype=float32)
    """
    x = jnp.asarray(x)
    if x.ndim != 3:
        raise ValueError(expected("fold's x", "of shape (batch, channels * window, windows)", x))
    size = per_axis("output_size", output_size, 2)
    padding, stride, counts, starts = _windows(size, kernel_size, dilation, padding, stride)
    b, depth, columns = x.shape
    window = len(starts)
    if columns != math.prod(counts) or (isinstance(depth, int) and depth % window):
        raise ValueError(
            f"fold expects x of shape (batch, channels * {window}, {math.prod(counts)}): windows "
            f"of {window} elements at {counts[0]} x {counts[1]} places; received x.shape={x.shape}."
        )
    x = x.reshape(b, depth // window, window, *counts)
    parts = []
    for k, at in enumerate(starts):
        low = [a - p for a, p in zip(at, padding)]  # below 0 where it lies in the padding
        last = [a + (m - 1) * s for a, m, s in zip(low, counts, stride)]
        edges = [(a, n - z - 1, s - 1) for a, n, z, s in zip(low, size, last, stride)]
        zero = jnp.zeros((), x.dtype)
        parts.append(lax.pad(x[:, :, k], zero, [(0, 0, 0), (0, 0, 0), *edges]))
    return sum(parts[1:], start=parts[0])


def _windows(sizes, kernel_size, dilation, padding, stride):
    """The places of windows on an image.

    Returns:
        `padding` and `stride` for both axes, the number of windows along both, and for every
        element of a window where the first window has it.
    """
    kernel_size = per_axis("kernel_size", kernel_size, 2)
    dilation, stride = per_axis("dilation", dilation, 2), per_axis("stride", stride, 2)
    padding = per_axis("padding", padding, 2, least=0)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel_size, dilation)]
    counts = [(n + 2 * p - r) // s + 1 for n, p, r, s in zip(sizes, padding, reach, stride)]
    if any(isinstance(m, int) and m < 1 for m in counts):
        raise ValueError(
            f"Windows of {reach[0]} x {reach[1]} elements (kernel_size with its dilation) should "
            f"fit into the image; received sizes {tuple(sizes)} with padding={padding}."
        )
    starts = itertools.product(*(range(0, r, d) for r, d in zip(reach, dilation)))
    return padding, stride, counts, list(starts)
