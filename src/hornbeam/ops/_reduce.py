"""Ops that combine the elements along axes: sums, means, extremes, order statistics, norms.

`axis` is an int, a tuple of ints, or `None` for all axes; with `keepdims` the combined axes stay,
with size 1.
"""

import functools

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jax.typing import ArrayLike

from ..core.symbolic import op
from ._convert import array, floats, in_float32, narrow


def _axis(axis):
    return tuple(axis) if isinstance(axis, list) else axis


def _wide(x):
    """The dtype of a sum over `x`: at least 32 bits for integers."""
    kind = str(x.dtype)
    if kind in ("bool", "int4", "int8", "int16"):
        return "int32"
    return "uint32" if kind in ("uint4", "uint8", "uint16") else kind


@op
def sum(x, axis=None, keepdims=False):
    """Sum along axes; small integers are added up in 32 bits.

    Example:

    >>> keras.ops.sum([[1, 2], [3, 4]], axis=0)
    Array([4, 6], dtype=int32)
    """
    x = array(x)
    return jnp.sum(x, _axis(axis), _wide(x), keepdims=keepdims)


@op
def prod(x, axis=None, keepdims=False, dtype=None):
    """Product along axes; small integers are multiplied in 32 bits, or in `dtype`."""
    x = array(x)
    return jnp.prod(x, _axis(axis), narrow(dtype) if dtype else _wide(x), keepdims=keepdims)


@op
def mean(x, axis=None, keepdims=False):
    """Mean along axes, a float also for integers.

    Example:

    >>> keras.ops.mean([[1, 2], [3, 4]], axis=1, keepdims=True)
    Array([[1.5],
           [3.5]], dtype=float32)
    """
    return jnp.mean(*floats(x), axis=_axis(axis), keepdims=keepdims)


@op
def var(x, axis=None, keepdims=False):
    """Variance along axes: the mean squared difference from the mean."""
    return jnp.var(*floats(x), axis=_axis(axis), keepdims=keepdims)


@op
def std(x, axis=None, keepdims=False):
    """Standard deviation along axes: the square root of the variance."""
    return jnp.std(*floats(x), axis=_axis(axis), keepdims=keepdims)


@op
def average(x, axis=None, weights=None):
    """Mean along axes, weighted.

    Args:
        x: array.
        axis: axis or axes.
        weights: array of the shape of `x`, or of the size of the axis; `None` for a plain mean.

    Example:

    >>> keras.ops.average([1.0, 2.0], weights=[3, 1])
    Array(1.25, dtype=float32)
    """
    if weights is None:
        return jnp.average(*floats(x), axis=_axis(axis))
    x, weights = floats(x, weights)
    return jnp.average(x, _axis(axis), weights)


@op
def max(x, axis=None, keepdims=False, initial=None):
    """Largest element along axes, and at least `initial`."""
    return jnp.max(array(x), _axis(axis), keepdims=keepdims, initial=initial)


@op
def min(x, axis=None, keepdims=False, initial=None):
    """Smallest element along axes, and at most `initial`."""
    return jnp.min(array(x), _axis(axis), keepdims=keepdims, initial=initial)


@op
def amax(x, axis=None, keepdims=False):
    """Largest element along axes."""
    return max(x, axis, keepdims)


@op
def amin(x, axis=None, keepdims=False):
    """Smallest element along axes."""
    return min(x, axis, keepdims)


@op
def ptp(x, axis=None, keepdims=False):
    """Difference of the largest and the smallest element along axes."""
    return jnp.ptp(array(x), _axis(axis), keepdims=keepdims)


@op
def all(x, axis=None, keepdims=False):
    """Whether all elements along axes are true (not 0)."""
    return jnp.all(array(x), _axis(axis), keepdims=keepdims)


@op
def any(x, axis=None, keepdims=False):
    """Whether at least one element along axes is true (not 0)."""
    return jnp.any(array(x), _axis(axis), keepdims=keepdims)


@op
def argmax(x, axis=None, keepdims=False):
    """Index of the first largest element along one axis, or in the flat array.

    Example:

    >>> keras.ops.argmax([[1, 3, 2]], axis=-1)
    Array([1], dtype=int32)
    """
    return jnp.argmax(_signed_zeros(x), axis, keepdims=keepdims)


def _signed_zeros(x):
    """`x` with the smallest negative number in the place of zeros with a minus sign.

    XLA on CPUs takes numbers of less than full precision (below 1.2e-38 in float32) to be zeros,
    which keep their sign. So -1e-40 is still less than 0, as it is in NumPy.
    """
    x = array(x)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        return x
    return jnp.where((x == 0) & jnp.signbit(x), -jnp.finfo(x.dtype).smallest_normal, x)


@op
def argmin(x, axis=None, keepdims=False):
    """Index of the first smallest element along one axis, or in the flat array."""
    return jnp.argmin(_signed_zeros(x), axis, keepdims=keepdims)


@op
def count_nonzero(x, axis=None):
    """How many elements along axes are not 0."""
    return jnp.count_nonzero(array(x), _axis(axis))


@op
def cumsum(x, axis=None, dtype=None):
    """Sums of the elements up to each one, along one axis or of the flat array."""
    return jnp.cumsum(array(x), axis, _running(x, dtype))


@op
def cumprod(x, axis=None, dtype=None):
    """Products of the elements up to each one, along one axis or of the flat array."""
    return jnp.cumprod(array(x), axis, _running(x, dtype))


def _running(x, dtype):
    if dtype is not None:
        return narrow(dtype)
    dtype = array(x).dtype
    return "int32" if dtype == "bool" else dtype


@op
def logsumexp(x, axis=None, keepdims=False):
    """`log(sum(exp(x)))` along axes, without overflow."""
    return jax.nn.logsumexp(*floats(x), axis=_axis(axis), keepdims=keepdims)


@op
def median(x, axis=None, keepdims=False):
    """The middle element in order of size along axes, or the mean of the two middle ones."""
    return jnp.median(*floats(x), axis=_axis(axis), keepdims=keepdims)


@op
def quantile(x, q, axis=None, method="linear", keepdims=False):
    """The number below which a share `q` of the elements lies, along axes.

    Args:
        x: array.
        q: number or array of numbers from 0 to 1.
        axis: axis or axes; `None` for all.
        method: what to take between two elements: `"linear"`, `"lower"`, `"higher"`,
            `"midpoint"` or `"nearest"`.
        keepdims: whether the axes stay, with size 1.

    Returns:
        Array with the axes of `q` first.
    """
    (x,) = floats(x)
    q = jnp.asarray(q, dtype=x.dtype)
    return jnp.quantile(x, q, _axis(axis), method=method, keepdims=keepdims)


@op
def percentile(x, q, axis=None, method="linear", keepdims=False):
    """`quantile` with `q` from 0 to 100."""
    (x,) = floats(x)
    q = jnp.asarray(q, dtype=x.dtype)
    return jnp.percentile(x, q, _axis(axis), method=method, keepdims=keepdims)


@op
def norm(x, ord=None, axis=None, keepdims=False):
    """Length of vectors, or norm of matrices.

    Args:
        x: array.
        ord: which norm; `None` for the root of the sum of squares. For vectors a number `p` (the
            p-norm) or infinity; for matrices `"fro"`, `"nuc"`, 1, 2 or infinity.
        axis: int (vectors), pair of ints (matrices), or `None` for the whole of `x`.
        keepdims: whether the axes stay, with size 1.

    Example:

    >>> keras.ops.norm([[3.0, 4.0], [6.0, 8.0]], axis=1)
    Array([ 5., 10.], dtype=float32)
    """
    return in_float32(lambda x: jnp.linalg.norm(x, ord, _axis(axis), keepdims), x)


@op
def trapezoid(y, x=None, dx=1.0, axis=-1):
    """Integral of `y` along an axis by the trapezoidal rule.

    Args:
        y: values.
        x: their positions; `None` for positions `dx` apart.
        dx: distance between positions.
        axis: the axis.
    """
    if x is None:
        return jnp.trapezoid(*floats(y), dx=dx, axis=axis)
    return jnp.trapezoid(*floats(y, x), axis=axis)


@op
def corrcoef(x):
    """Correlation coefficients between the rows of `x`."""
    (x,) = floats(x)
    return jnp.corrcoef(x)


@op
def bincount(x, weights=None, minlength=0, sparse=False):
    """How often each of 0, 1, 2, … occurs among non-negative integers.

    Args:
        x: integers, of any shape; counts are made along the last axis.
        weights: what each element counts, instead of 1.
        minlength: at least how many counts to return. In a compiled function the number of
            counts can't depend on `x`: there it is exactly `minlength`, and larger elements
            aren't counted.
        sparse: accepted for compatibility; must be `False`.

    Example:

    >>> keras.ops.bincount([1, 1, 3])
    Array([0, 2, 0, 1], dtype=int32)
    """
    if sparse:
        raise ValueError("bincount: sparse should be False: XLA has dense arrays only.")
    x = array(x)
    if isinstance(x, Tracer):
        if not minlength:
            raise ValueError(
                "bincount: in a compiled function the number of counts can't depend on x; pass "
                "`minlength`."
            )
        length = minlength
    else:
        length = minlength if x.size == 0 else int(jnp.maximum(x.max() + 1, minlength))
    weights = jnp.ones_like(x, dtype="int32") if weights is None else array(weights)
    weights = jnp.broadcast_to(weights, x.shape).astype(_wide(weights))
    count = functools.partial(jax.ops.segment_sum, num_segments=length)
    for _ in range(x.ndim - 1):
        count = jax.vmap(count)
    return count(weights, x)


@op
def histogram(x, bins: ArrayLike = 10, range=None):
    """How many elements lie in each of several bins.

    Args:
        x: array.
        bins: number of bins of equal width, or their edges.
        range: `(low, high)`, the outer edges; by default those of the data.

    Returns:
        `(counts, edges)`.
    """
    bins = bins if isinstance(bins, int) else jnp.asarray(bins)
    return jnp.histogram(array(x), bins=bins, range=range)


# Ignoring NaN -----------------------------------------------------------------------------------


@op
def nansum(x, axis=None, keepdims=False):
    """Sum along axes, without NaN elements."""
    x = array(x)
    return jnp.nansum(x, _axis(axis), _wide(x), keepdims=keepdims)


@op
def nanprod(x, axis=None, keepdims=False):
    """Product along axes, without NaN elements."""
    x = array(x)
    return jnp.nanprod(x, _axis(axis), _wide(x), keepdims=keepdims)


@op
def nanmean(x, axis=None, keepdims=False):
    """Mean along axes, without NaN elements."""
    return jnp.nanmean(*floats(x), axis=_axis(axis), keepdims=keepdims)


@op
def nanvar(x, axis=None, keepdims=False):
    """Variance along axes, without NaN elements."""
    return jnp.nanvar(*floats(x), axis=_axis(axis), keepdims=keepdims)


@op
def nanstd(x, axis=None, keepdims=False):
    """Standard deviation along axes, without NaN elements."""
    return jnp.nanstd(*floats(x), axis=_axis(axis), keepdims=keepdims)


@op
def nanmedian(x, axis=None, keepdims=False):
    """The middle element in order of size along axes, without NaN elements."""
    return jnp.nanmedian(*floats(x), axis=_axis(axis), keepdims=keepdims)


@op
def nanmax(x, axis=None, keepdims=False):
    """Largest element along axes, without NaN elements."""
    return jnp.nanmax(array(x), _axis(axis), keepdims=keepdims)


@op
def nanmin(x, axis=None, keepdims=False):
    """Smallest element along axes, without NaN elements."""
    return jnp.nanmin(array(x), _axis(axis), keepdims=keepdims)


@op
def nanargmax(x, axis=None, keepdims=False):
    """Index of the first largest element, without NaN elements."""
    return jnp.nanargmax(array(x), axis, keepdims=keepdims)


@op
def nanargmin(x, axis=None, keepdims=False):
    """Index of the first smallest element, without NaN elements."""
    return jnp.nanargmin(array(x), axis, keepdims=keepdims)


@op
def nanquantile(x, q, axis=None, method="linear", keepdims=False):
    """`quantile`, without NaN elements."""
    (x,) = floats(x)
    q = jnp.asarray(q, dtype=x.dtype)
    return jnp.nanquantile(x, q, _axis(axis), method=method, keepdims=keepdims)


@op
def nanpercentile(x, q, axis=None, method="linear", keepdims=False):
    """`percentile`, without NaN elements."""
    (x,) = floats(x)
    q = jnp.asarray(q, dtype=x.dtype)
    return jnp.nanpercentile(x, q, _axis(axis), method=method, keepdims=keepdims)


@op
def nancumsum(x, axis=None, dtype=None):
    """`cumsum`, with 0 in the place of NaN."""
    return jnp.nancumsum(array(x), axis, _running(x, dtype))


@op
def nancumprod(x, axis=None, dtype=None):
    """`cumprod`, with 1 in the place of NaN."""
    return jnp.nancumprod(array(x), axis, _running(x, dtype))
