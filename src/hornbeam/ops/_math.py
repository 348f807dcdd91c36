"""Sums over segments, Fourier transforms, and pieces of signals."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer

from ..core.messages import expected, one_of
from ..core.symbolic import op
from ._convert import array, differ, in_float32


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


# Fourier transforms -----------------------------------------------------------------------------

# Complex arrays are pairs (real part, imaginary part) here, as in Keras.


def _complex(argument, x):
    if not isinstance(x, (tuple, list)) or len(x) != 2 or jnp.shape(x[0]) != jnp.shape(x[1]):
        wanted = "a pair of arrays of one shape, the real and the imaginary part"
        raise ValueError(expected(argument, wanted, x))
    return x


def _parts(x):
    return x.real, x.imag


@op
def fft(x):
    """Discrete Fourier transform along the last axis.

    Args:
        x: pair of arrays, the real and the imaginary part.

    Returns:
        Such a pair.
    """
    return in_float32(lambda *x: _parts(jnp.fft.fft(lax.complex(*x))), *_complex("fft: x", x))


@op
def fft2(x):
    """Discrete Fourier transform along the last two axes, of a pair as for `fft`."""
    return in_float32(lambda *x: _parts(jnp.fft.fft2(lax.complex(*x))), *_complex("fft2: x", x))


@op
def ifft2(x):
    """Inverse of `fft2`."""
    return in_float32(lambda *x: _parts(jnp.fft.ifft2(lax.complex(*x))), *_complex("ifft2: x", x))


@op
def rfft(x, fft_length=None):
    """The non-negative frequencies of the Fourier transform of a real array.

    Args:
        x: real array, transformed along the last axis.
        fft_length: cut or fill up the axis to this size first.

    Returns:
        Pair of arrays, the real and the imaginary part.
    """
    return in_float32(lambda x: _parts(jnp.fft.rfft(x, fft_length)), x)


@op
def irfft(x, fft_length=None):
    """Inverse of `rfft`: a real array, of size `fft_length` along the last axis."""
    x = _complex("irfft: x", x)
    return in_float32(lambda *x: jnp.fft.irfft(lax.complex(*x), fft_length), *x)


# Overlapping pieces of a signal -----------------------------------------------------------------


def _positions(count, length, stride):
    """`[count, length]`: which elements of a signal make up each of its sequences."""
    return stride * jnp.arange(count)[:, None] + jnp.arange(length)


def _positive(argument, value):
    if not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(expected(argument, "an int of at least 1", value))


@op
def extract_sequences(x, sequence_length, sequence_stride):
    """Cut the last axis into sequences, which overlap if the stride is smaller than the length.

    Args:
        x: `[..., n]`.
        sequence_length: elements in a sequence.
        sequence_stride: distance from the start of one sequence to that of the next.

    Returns:
        `[..., 1 + (n - sequence_length) // sequence_stride, sequence_length]`; what is left over
        at the end isn't in any sequence.

    Example:

    >>> keras.ops.extract_sequences([1, 2, 3, 4, 5, 6], 3, 2)
    Array([[1, 2, 3],
           [3, 4, 5]], dtype=int32)
    """
    x = array(x)
    _positive("extract_sequences: sequence_length", sequence_length)
    _positive("extract_sequences: sequence_stride", sequence_stride)
    if x.ndim == 0:
        raise ValueError(expected("extract_sequences: x", "of at least one axis", x.shape))
    count = 1 + (x.shape[-1] - sequence_length) // sequence_stride
    return x[..., _positions(count, sequence_length, sequence_stride)]


def _window(owner, window, sequence_length, sequence_stride, fft_length):
    """`[fft_length]`: the window in the middle, and zeros around it."""
    _positive(f"{owner}: sequence_length", sequence_length)
    _positive(f"{owner}: sequence_stride", sequence_stride)
    _positive(f"{owner}: fft_length", fft_length)
    if fft_length < sequence_length:
        wanted = f"at least sequence_length, {sequence_length}"
        raise ValueError(expected(f"{owner}: fft_length", wanted, fft_length))
    if window is None:
        return jnp.ones(fft_length)
    if isinstance(window, str):
        one_of(f"{owner}: window", window, ("hann", "hamming"))
        # Of period sequence_length, so that shifted copies add up to a constant: the last point
        # of NumPy's window is the first of the next period.
        window = (np.hanning if window == "hann" else np.hamming)(sequence_length + 1)[:-1]
    elif jnp.shape(window) != (sequence_length,):
        wanted = f"of shape ({sequence_length},), which is [sequence_length]"
        raise ValueError(expected(f"{owner}: window", wanted, jnp.shape(window)))
    before = (fft_length - sequence_length) // 2
    return jnp.pad(jnp.asarray(window), (before, fft_length - sequence_length - before))


@op
def stft(x, sequence_length, sequence_stride, fft_length, window="hann", center=True):
    """Short-time Fourier transform: the frequencies in each of many short pieces of a signal.

    Args:
        x: `[..., n]`, real.
        sequence_length: elements in a piece, in the middle of `fft_length` elements.
        sequence_stride: distance from one piece to the next.
        fft_length: elements to transform, at least `sequence_length`.
        window: what to multiply each piece with: `"hann"`, `"hamming"`, an array
            `[sequence_length]`, or `None` for nothing, in which case the piece is as long as
            `fft_length`.
        center: whether the middle of piece `t` lies at `t * sequence_stride`, for which `x` is
            continued by its mirror image at both ends; otherwise piece `t` starts there.

    Returns:
        Pair of arrays `[..., t, fft_length // 2 + 1]`, the real and the imaginary part.

    Example:

    >>> keras.ops.stft([1.0, 1.0, 1.0, 1.0], 2, 2, 2, window=None, center=False)[0]
    Array([[2., 0.],
           [2., 0.]], dtype=float32)
    """
    window = _window("stft", window, sequence_length, sequence_stride, fft_length)

    def transform(x):
        if center:
            ends = (fft_length // 2, fft_length // 2)
            x = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [ends], mode="reflect")
        pieces = extract_sequences(x, fft_length, sequence_stride)
        return _parts(jnp.fft.rfft(pieces * window.astype(x.dtype)))

    x = array(x)
    if x.ndim == 0:
        raise ValueError(expected("stft: x", "of at least one axis", x.shape))
    return in_float32(transform, x)


@op
def istft(x, sequence_length, sequence_stride, fft_length, length=None, window="hann", center=True):
    """Inverse of `stft`, with the same arguments.

    The inverse transforms are multiplied with the window again, added up where they overlap, and
    divided by the sum of the squared windows. So of all signals it gives the one whose transform
    is nearest to `x`.

    Args:
        x: pair of arrays `[..., t, fft_length // 2 + 1]`, the real and the imaginary part.
        sequence_length, sequence_stride, fft_length, window, center: as for `stft`.
        length: elements to return: the first ones, and zeros where there are no more. By default
            what `t` pieces cover.

    Returns:
        `[..., n]`. Where no window reaches it is 0.

    Example:

    >>> spectrum = keras.ops.stft([1.0, 2.0, 3.0, 4.0], 2, 1, 2)
    >>> keras.ops.istft(spectrum, 2, 1, 2)
    Array([1., 2., 3., 4.], dtype=float32)

    Reference: [Griffin & Lim, 1984](https://doi.org/10.1109/TASSP.1984.1164317)
    """
    window = _window("istft", window, sequence_length, sequence_stride, fft_length)
    cut = fft_length // 2 if center else 0

    def invert(real, imaginary):
        pieces = jnp.fft.irfft(lax.complex(real, imaginary), fft_length)
        w = window.astype(pieces.dtype)
        *batch, count, _ = pieces.shape
        positions = _positions(count, fft_length, sequence_stride)
        covered = fft_length + sequence_stride * (count - 1)
        stop = covered - cut if length is None else cut + length
        # What lies beyond the end is dropped.
        signal = jnp.zeros((*batch, stop), w.dtype).at[..., positions].add(pieces * w)
        weight = jnp.zeros(stop, w.dtype).at[positions].add(w * w)
        return (signal / jnp.where(weight > 1e-10, weight, 1))[..., cut:]

    real, imaginary = _complex("istft: x", x)
    if jnp.ndim(real) < 2:
        wanted = "of shape [..., t, fft_length // 2 + 1]"
        raise ValueError(expected("istft: x", wanted, jnp.shape(real)))
    return in_float32(invert, real, imaginary)
