"""Ops that rearrange, join, split and repeat."""

import jax
import jax.numpy as jnp
import numpy as np

from ..core.loading import count_calls
from ..core.messages import expected
from ..core.symbolic import op
from ._convert import array, arrays


@op
def reshape(x, newshape):
    """The elements of `x` in another shape.

    Args:
        x: array.
        newshape: the shape. One size may be -1: what the number of elements leaves. `None`, as
            shapes of symbolic tensors hold it, means the size of `x` along the same axis; if it
            is the only unknown, what the number of elements leaves.

    Example:

    >>> x = keras.Input((2, 3))
    >>> keras.ops.reshape(x, (keras.ops.shape(x)[0], -1)).shape
    (None, 6)
    """
    x = array(x)
    newshape = tuple(newshape) if isinstance(newshape, (tuple, list)) else (newshape,)
    if sum(n is None or (isinstance(n, int) and n == -1) for n in newshape) == 1:
        newshape = [-1 if n is None else n for n in newshape]
    elif None in newshape:
        newshape = [x.shape[i] if n is None else n for i, n in enumerate(newshape)]
    return jnp.reshape(x, newshape)


@op
def ravel(x):
    """The elements of `x` along one axis."""
    return jnp.ravel(array(x))


@op
def transpose(x, axes=None):
    """`x` with its axes in another order, by default reversed."""
    return jnp.transpose(array(x), axes)


@op
def swapaxes(x, axis1, axis2):
    """`x` with two axes exchanged."""
    return jnp.swapaxes(array(x), axis1, axis2)


@op
def moveaxis(x, source, destination):
    """`x` with the axes `source` moved to the places `destination`, the others in order."""
    return jnp.moveaxis(array(x), source, destination)


@op
def expand_dims(x, axis):
    """`x` with new axes of size 1 at the places `axis` of the result."""
    return jnp.expand_dims(array(x), axis)


@op
def squeeze(x, axis=None):
    """`x` without the axes of size 1, or without those of them in `axis`."""
    return jnp.squeeze(array(x), axis)


@op
def concatenate(xs, axis=0):
    """Join arrays along an existing axis.

    Example:

    >>> keras.ops.concatenate([[1, 2], [3]])
    Array([1, 2, 3], dtype=int32)
    """
    return jnp.concatenate(arrays(*xs), axis)


@op
def append(x1, x2, axis=None):
    """`x1`, then `x2`, along an axis, or both flat."""
    return jnp.append(*arrays(x1, x2), axis=axis)


@op
def stack(x, axis=0):
    """Join arrays of the same shape along a new axis.

    Example:

    >>> keras.ops.stack([[1, 2], [3, 4]], axis=1)
    Array([[1, 3],
           [2, 4]], dtype=int32)
    """
    return jnp.stack(arrays(*x), axis)


@op
def vstack(xs):
    """Join arrays along the first axis, vectors as rows."""
    return jnp.vstack(arrays(*xs))


@op
def hstack(xs):
    """Join arrays along the second axis, vectors along their only one."""
    return jnp.hstack(arrays(*xs))


@op
def dstack(xs):
    """Join arrays along the third axis, matrices along a new one."""
    return jnp.dstack(arrays(*xs))


@op
def unstack(x, num=None, axis=0):
    """The parts of `x` at 0, 1, 2, … along an axis, as a list.

    Args:
        x: array.
        num: their number; needed where the size of the axis is unknown.
        axis: the axis.

    Example:

    >>> keras.ops.unstack([[1, 2], [3, 4]])
    [Array([1, 2], dtype=int32), Array([3, 4], dtype=int32)]
    """
    x = array(x)
    count = x.shape[axis] if num is None else num
    if not isinstance(count, int):
        raise ValueError(
            f"unstack: the size of axis {axis} is unknown, so the number of parts is, too; pass "
            "`num`."
        )
    count_calls(count)
    x = jnp.moveaxis(x, axis, 0)
    return [x[i] for i in range(count)]


@op
def split(x, indices_or_sections, axis=0):
    """Cut `x` along an axis.

    Args:
        x: array.
        indices_or_sections: number of equal parts, or the positions of the cuts.
        axis: the axis.

    Returns:
        List of arrays.

    Raises:
        ValueError: if the size of the axis isn't a multiple of the number of parts.

    Example:

    >>> keras.ops.split(np.arange(4), 2)
    [Array([0, 1], dtype=int32), Array([2, 3], dtype=int32)]
    """
    return _split(jnp.split, x, indices_or_sections, axis)


@op
def array_split(x, indices_or_sections, axis=0):
    """`split`, with the first parts longer by one where equal parts are impossible."""
    return _split(jnp.array_split, x, indices_or_sections, axis)


@op
def vsplit(x, indices_or_sections):
    """`split` along the first axis."""
    return _split(jnp.vsplit, x, indices_or_sections)


@op
def hsplit(x, indices_or_sections):
    """`split` along the second axis, of vectors along their only one."""
    return _split(jnp.hsplit, x, indices_or_sections)


@op
def dsplit(x, indices_or_sections):
    """`split` along the third axis."""
    return _split(jnp.dsplit, x, indices_or_sections)


def _split(function, x, where, *axis):
    count_calls(where if isinstance(where, int) else len(where))
    where = where if isinstance(where, int) else tuple(int(i) for i in where)
    return list(function(array(x), where, *axis))


@op
def repeat(x, repeats, axis=None):
    """Every element (or part along `axis`) several times in a row.

    Example:

    >>> keras.ops.repeat([1, 2], [1, 3])
    Array([1, 2, 2, 2], dtype=int32)
    """
    x = array(x)
    if isinstance(repeats, int):
        # Written with a broadcast, which can do with unknown sizes.
        x, axis = (x.ravel(), 0) if axis is None else (x, axis % x.ndim)
        shape = (*x.shape[: axis + 1], repeats, *x.shape[axis + 1 :])
        x = jnp.broadcast_to(jnp.expand_dims(x, axis + 1), shape)
        return x.reshape(*shape[:axis], shape[axis] * repeats, *shape[axis + 2 :])
    # Known counts stay NumPy: the size of the result depends on them.
    repeats = repeats if isinstance(repeats, jax.Array) else np.asarray(repeats)
    return jnp.repeat(x, repeats, axis)


@op
def tile(x, repeats):
    """The whole of `x` several times: `repeats[i]` times along axis `i`."""
    return jnp.tile(array(x), repeats)


@op
def flip(x, axis=None):
    """`x` in reverse order along axes, by default along all."""
    return jnp.flip(array(x), axis)


@op
def fliplr(x):
    """`x` in reverse order along its second axis."""
    return jnp.fliplr(array(x))


@op
def flipud(x):
    """`x` in reverse order along its first axis."""
    return jnp.flipud(array(x))


@op
def roll(x, shift, axis=None):
    """`x` moved on by `shift` places along axes, what falls off the end coming back in front."""
    return jnp.roll(array(x), shift, axis)


@op
def rot90(array, k=1, axes=(0, 1)):
    """`array` turned `k` times by 90 degrees, from the first of `axes` towards the second."""
    return jnp.rot90(_array(array), k, axes)


_array = array  # for the op above, whose parameter has the same name


@op
def pad(x, pad_width, mode="constant", constant_values=None):
    """`x` with elements added on both ends of its axes.

    Args:
        x: array.
        pad_width: `(before, after)` for each axis, or one pair or int for all axes.
        mode: what to add: `"constant"`, `"edge"`, `"reflect"`, `"symmetric"` or another mode of
            `jax.numpy.pad`.
        constant_values: the constant, 0 by default; only for `mode="constant"`.

    Example:

    >>> keras.ops.pad([1, 2], (1, 2), constant_values=9)
    Array([9, 1, 2, 9, 9], dtype=int32)
    """
    if mode != "constant":
        if constant_values is not None:
            raise ValueError(
                expected("pad: constant_values", f"None with mode={mode!r}", constant_values)
            )
        return jnp.pad(array(x), pad_width, mode)
    return jnp.pad(array(x), pad_width, constant_values=constant_values or 0)


@op
def broadcast_to(x, shape):
    """`x` repeated along new axes and axes of size 1, so that it has this shape."""
    return jnp.broadcast_to(array(x), shape)


@op
def diag(x, k=0):
    """Matrix with `x` on its `k`-th diagonal; for a matrix `x`, that diagonal."""
    return jnp.diag(array(x), k)


@op
def diagflat(x, k=0):
    """Matrix with the elements of `x`, of any shape, on its `k`-th diagonal."""
    return jnp.diagflat(array(x), k)


@op
def diagonal(x, offset=0, axis1=0, axis2=1):
    """The diagonals of the matrices along two axes, as a new last axis."""
    return jnp.diagonal(array(x), offset, axis1, axis2)
