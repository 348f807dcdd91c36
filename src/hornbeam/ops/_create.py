"""Ops that make arrays."""

import jax.numpy as jnp

from ..core import dtypes, settings
from ..core.symbolic import op
from ._convert import convert, floats, narrow


def _type(dtype):
    return narrow(settings.floatx() if dtype is None else dtype)


@op(elementwise=True)
def array(x, dtype=None):
    """`x` as an array of the engine; the same as `convert_to_tensor`."""
    return convert(x, dtype)


@op(elementwise=True)
def copy(x):
    """A new array with the elements of `x`."""
    return jnp.copy(convert(x))


def zeros(shape, dtype=None):
    """Array of zeros, by default in the default float type."""
    return jnp.zeros(shape, _type(dtype))


def ones(shape, dtype=None):
    """Array of ones, by default in the default float type."""
    return jnp.ones(shape, _type(dtype))


def empty(shape, dtype=None):
    """Array whose elements don't matter; they are 0."""
    return zeros(shape, dtype)


@op
def full(shape, fill_value, dtype=None):
    """Array whose elements all are `fill_value`, by default in the default float type.

    Example:

    >>> keras.ops.full((2,), 7, dtype="int32")
    Array([7, 7], dtype=int32)
    """
    return jnp.full(shape, convert(fill_value, _type(dtype)))


@op
def zeros_like(x, dtype=None):
    """Zeros in the shape of `x`, by default in its dtype."""
    return jnp.zeros_like(convert(x), dtype=dtype and narrow(dtype))


@op
def ones_like(x, dtype=None):
    """Ones in the shape of `x`, by default in its dtype."""
    return jnp.ones_like(convert(x), dtype=dtype and narrow(dtype))


@op
def empty_like(x, dtype=None):
    """Array in the shape of `x` whose elements don't matter; they are 0."""
    return zeros_like(x, dtype)


@op
def full_like(x, fill_value, dtype=None):
    """Array in the shape of `x` whose elements all are `fill_value`, by default in its dtype."""
    return jnp.full_like(convert(x), fill_value, dtype=dtype and narrow(dtype))


def arange(start, stop=None, step=None, dtype=None):
    """Numbers from `start` up to but without `stop`, `step` apart.

    With one number it counts from 0 up to that number. The dtype is that of the arguments.

    Example:

    >>> keras.ops.arange(4), keras.ops.arange(0, 1, 0.5)
    (Array([0, 1, 2, 3], dtype=int32), Array([0. , 0.5], dtype=float32))
    """
    if dtype is None:
        given = [x for x in (start, stop, step) if x is not None]
        dtype = dtypes.result_type(*(dtypes.of(x) for x in given))
    return jnp.arange(start, stop, step, dtype=narrow(dtype))


@op
def linspace(start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0):
    """`num` evenly spaced numbers from `start` to `stop`.

    Args:
        start, stop: first and last number, or arrays of them.
        num: how many.
        endpoint: whether `stop` is the last number; otherwise it would be the next.
        retstep: whether to return the spacing, too.
        dtype: number type of the result, by default a float type.
        axis: axis of the result along which the numbers lie, where `start` is an array.

    Example:

    >>> keras.ops.linspace(0, 1, 3)
    Array([0. , 0.5, 1. ], dtype=float32)
    """
    start, stop = floats(start, stop)
    dtype = start.dtype if dtype is None else narrow(dtype)
    return jnp.linspace(start, stop, num, endpoint, retstep, dtype, axis)


@op
def logspace(start, stop, num=50, endpoint=True, base: float = 10, dtype=None, axis=0):
    """`base` to the power of each number of `linspace(start, stop, num)`."""
    start, stop = floats(start, stop)
    dtype = start.dtype if dtype is None else narrow(dtype)
    return jnp.logspace(start, stop, num, endpoint, base, dtype, axis)


@op
def geomspace(start, stop, num=50, endpoint=True, dtype=None, axis=0):
    """`num` numbers from `start` to `stop`, each the same multiple of the one before."""
    start, stop = floats(start, stop)
    dtype = start.dtype if dtype is None else narrow(dtype)
    return jnp.geomspace(start, stop, num, endpoint, dtype, axis)


def eye(N, M=None, k=0, dtype=None):
    """Matrix of `N` rows and `M` columns with ones on its `k`-th diagonal and zeros elsewhere."""
    return jnp.eye(N, M, k, dtype=_type(dtype))


def identity(n, dtype=None):
    """Matrix of `n` rows and columns with ones on its diagonal and zeros elsewhere."""
    return eye(n, dtype=dtype)


def tri(N, M=None, k=0, dtype=None):
    """Matrix of `N` rows and `M` columns with ones on and below its `k`-th diagonal."""
    return jnp.tri(N, M, k, dtype=_type(dtype))


@op
def tril(x, k=0):
    """`x` with zeros above the `k`-th diagonal of its last two axes."""
    return jnp.tril(convert(x), k)


@op
def triu(x, k=0):
    """`x` with zeros below the `k`-th diagonal of its last two axes."""
    return jnp.triu(convert(x), k)


@op
def meshgrid(*x, indexing="xy"):
    """The coordinates of a grid: one array per axis.

    Args:
        *x: one-dimensional arrays, the positions along each axis.
        indexing: `"xy"` (the first array runs along the second axis) or `"ij"`.

    Returns:
        List of arrays, as many as in `x`, all of the shape of the grid.
    """
    return jnp.meshgrid(*map(convert, x), indexing=indexing)


@op
def vander(x, N=None, increasing=False):
    """Matrix whose columns are powers of `x`, from the `N - 1`-th down to the 0-th."""
    return jnp.vander(convert(x), N, increasing)


@op
def bartlett(x):
    """Triangular window of `x` points, from 0 to 1 to 0."""
    return jnp.bartlett(x).astype(settings.floatx())


@op
def blackman(x):
    """Blackman window of `x` points."""
    return jnp.blackman(x).astype(settings.floatx())


@op
def hamming(x):
    """Hamming window of `x` points."""
    return jnp.hamming(x).astype(settings.floatx())


@op
def hanning(x):
    """Hann window of `x` points."""
    return jnp.hanning(x).astype(settings.floatx())


@op
def kaiser(x, beta):
    """Kaiser window of `x` points with shape parameter `beta`."""
    return jnp.kaiser(x, beta).astype(settings.floatx())
