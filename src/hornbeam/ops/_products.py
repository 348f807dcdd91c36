"""Products of vectors, matrices and higher arrays."""

from collections.abc import Sequence

import jax.numpy as jnp

from ..core.messages import one_of
from ..core.symbolic import op
from ._convert import array, arrays, promoted
from ._reduce import _wide


def _accumulated(*xs):
    """The dtype to add products in: 32 bits for int8 arrays, whose products need them."""
    return "int32" if all(getattr(x, "dtype", None) == "int8" for x in xs) else None


@op
def matmul(x1, x2):
    """Matrix product over the last two axes, with broadcasting of the others.

    Two int8 arrays give int32.

    Example:

    >>> keras.ops.matmul([[1, 2]], [[3], [4]])
    Array([[11]], dtype=int32)
    """
    return jnp.matmul(*arrays(x1, x2), preferred_element_type=_accumulated(x1, x2))


@op
def dot(x1, x2):
    """Sum of products over the last axis of `x1` and the second to last (or only) one of `x2`."""
    return jnp.dot(*promoted(x1, x2))


@op
def tensordot(x1, x2, axes: int | Sequence = 2):
    """Sum of products over several axes.

    Args:
        x1, x2: arrays.
        axes: how many: the last of `x1` and the first of `x2`; or a pair of lists of axes.
    """
    return jnp.tensordot(*arrays(x1, x2), axes=axes)


@op
def einsum(subscripts, *operands, **kwargs):
    """Products and sums over axes named by letters.

    Args:
        subscripts: such as `"bij,bjk->bik"`: the axes of each operand, then of the result.
        *operands: arrays.
        **kwargs: `optimize`, and other options of `jax.numpy.einsum`.

    Example:

    >>> keras.ops.einsum("ij,j->i", [[1, 2], [3, 4]], [1, 10])
    Array([21, 43], dtype=int32)
    """
    kwargs.setdefault("preferred_element_type", _accumulated(*operands))
    return jnp.einsum(subscripts, *arrays(*operands), **kwargs)


@op
def inner(x1, x2):
    """Sum of products over the last axes of both."""
    return jnp.inner(*arrays(x1, x2))


@op
def outer(x1, x2):
    """Matrix of the products of all elements of `x1` with all of `x2`."""
    x1, x2 = arrays(x1, x2)
    return jnp.outer(x1, x2)


@op
def vdot(x1, x2):
    """Sum of the products of all elements, those of `x1` conjugated."""
    return jnp.vdot(*arrays(x1, x2))


@op
def cross(x1, x2, axisa=-1, axisb=-1, axisc=-1, axis=None):
    """Cross product of vectors in 3 (or 2) dimensions.

    Args:
        x1, x2: arrays of vectors.
        axisa, axisb, axisc: the axes of the vectors in `x1`, `x2` and the result.
        axis: one axis in the place of these three.
    """
    x1, x2 = arrays(x1, x2)
    return jnp.cross(x1, x2, axisa, axisb, axisc, axis)


@op
def kron(x1, x2):
    """Kronecker product: `x2` once for every element of `x1`, multiplied by it."""
    return jnp.kron(*arrays(x1, x2))


@op
def correlate(x1, x2, mode="valid"):
    """Sums of products of two vectors, one moved along the other.

    Args:
        x1, x2: vectors.
        mode: `"valid"` (where they overlap completely), `"same"` or `"full"`.
    """
    one_of("correlate: mode", mode, ("valid", "same", "full"))
    return jnp.correlate(*arrays(x1, x2), mode=mode)


@op
def trace(x, offset=0, axis1=0, axis2=1):
    """Sum of the diagonals of the matrices along two axes."""
    x = array(x)
    return jnp.trace(x, offset, axis1, axis2, dtype=_wide(x))
