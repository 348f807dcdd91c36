"""Sums over segments, and Fourier transforms."""

import jax
import jax.numpy as jnp
from jax import lax
from jax.core import Tracer

from ..core.messages import expected
from ..core.symbolic import op
from ._convert import array, differ, floats


def _segments(function, data, segment_ids, num_segments, is_sorted):
    data, ids = array(data), array(segment_ids)
    if ids.ndim != 1 or not jnp.issubdtype(ids.dtype, jnp.integer):
        raise ValueError(expected("segment_ids", "a vector of integers", ids))
    if data.ndim == 0 or differ(ids.shape, data.shape[:1]):
        raise ValueError(
            "segment_ids should have one number for each part of data along its first axis; "
            f"received data.shape={data.shape} and segment_ids.shape={ids.shape}."
        )
    if num_segments is None:
        if isinstance(ids, Tracer):
            raise ValueError(
                "segment ops: in a compiled function the number of segments can't depend on "
                "segment_ids; pass `num_segments`."
            )
        num_segments = int(ids.max()) + 1
    return function(data, ids, num_segments, indices_are_sorted=is_sorted)


@op
def segment_sum(data, segment_ids, num_segments=None, sorted=False):
    """Sums of the parts of `data` along the first axis that have the same segment number.

    Args:
        data: `[n, ...]`.
        segment_ids: `[n]`, integers; parts with a number beyond the last segment don't count.
        num_segments: how many segments; needed inside `jit`.
        sorted: whether `segment_ids` is known to be ascending, which is faster.

    Returns:
        `[num_segments, ...]`.

    Example:

    >>> keras.ops.segment_sum([1, 2, 10], [0, 0, 2], num_segments=3)
    Array([ 3,  0, 10], dtype=int32)
    """
    return _segments(jax.ops.segment_sum, data, segment_ids, num_segments, sorted)


@op
def segment_max(data, segment_ids, num_segments=None, sorted=False):
    """Like `segment_sum`, the largest element; the lowest possible one for empty segments."""
    return _segments(jax.ops.segment_max, data, segment_ids, num_segments, sorted)


@op
def segment_min(data, segment_ids, num_segments=None, sorted=False):
    """Like `segment_sum`, the smallest element; the highest possible one for empty segments."""
    return _segments(jax.ops.segment_min, data, segment_ids, num_segments, sorted)


@op
def segment_prod(data, segment_ids, num_segments=None, sorted=False):
    """Like `segment_sum`, the product; 1 for empty segments."""
    return _segments(jax.ops.segment_prod, data, segment_ids, num_segments, sorted)


# Complex arrays are pairs (real part, imaginary part) here, as in Keras.


def _complex(x):
    return lax.complex(*floats(*x))


@op
def fft(x):
    """Discrete Fourier transform along the last axis.

    Args:
        x: pair of arrays, the real and the imaginary part.

    Returns:
        Such a pair.
    """
    y = jnp.fft.fft(_complex(x))
    return y.real, y.imag


@op
def fft2(x):
    """Discrete Fourier transform along the last two axes, of a pair as for `fft`."""
    y = jnp.fft.fft2(_complex(x))
    return y.real, y.imag


@op
def ifft2(x):
    """Inverse of `fft2`."""
    y = jnp.fft.ifft2(_complex(x))
    return y.real, y.imag


@op
def rfft(x, fft_length=None):
    """The non-negative frequencies of the Fourier transform of a real array.

    Args:
        x: real array, transformed along the last axis.
        fft_length: cut or fill up the axis to this size first.

    Returns:
        Pair of arrays, the real and the imaginary part.
    """
    y = jnp.fft.rfft(*floats(x), n=fft_length)
    return y.real, y.imag


@op
def irfft(x, fft_length=None):
    """Inverse of `rfft`: a real array, of size `fft_length` along the last axis."""
    return jnp.fft.irfft(_complex(x), n=fft_length)
