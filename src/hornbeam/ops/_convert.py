"""From and to arrays: conversion, casts, shapes; and the dtype rules that every op applies."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from ..core import dtypes, settings
from ..core.messages import expected
from ..core.symbolic import op, plain

# What ops do to their operands ------------------------------------------------------------------


def promoted(*xs):
    """The operands in the dtype that Keras's rules give their combination.

    A Python number beside an array stays one: JAX's own rule for it is the same, and a compiled
    program then holds a constant.
    """
    kinds = [_kind(x) for x in xs]
    return _in_dtype(xs, kinds, dtypes.result_type(*kinds))


def floats(*xs):
    """The operands in one float (or complex) type: that of their combination, or the default."""
    kinds = [_kind(x) for x in xs]
    dtype = dtypes.result_type(*kinds)
    if not dtype.startswith(("float", "bfloat", "complex")):
        dtype = settings.floatx()
    return _in_dtype(xs, kinds, dtype)


def float_array(x):
    """`x` as an array of a float type: its own, or the default one for integers."""
    return floats(x)[0]


def widened(x):
    """`x` in at least float32, where half precision would overflow or lose too much."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def in_float32(function, *xs):
    """`function` of the operands as `floats` gives them, in float32 at least.

    For what LAPACK and libraries of Fourier transforms compute, which know no half precision. The
    results come back in the operands' dtype.
    """
    xs = floats(*xs)
    dtype = xs[0].dtype
    if dtype.itemsize >= 4:
        return function(*xs)
    results = function(*(x.astype("float32") for x in xs))
    return jax.tree.map(lambda y: y.astype(dtype) if y.dtype == "float32" else y, results)


def counting(*xs):
    """The operands as `promoted` gives them, with integers in the place of booleans."""
    kinds = [_kind(x) for x in xs]
    return _in_dtype(xs, kinds, dtypes.result_type(*kinds, int))


def array(x):
    """`x` as a JAX array of its own dtype (the default float type for Python's floats)."""
    return x if isinstance(x, jax.Array) else convert(x)


def arrays(*xs):
    """The operands as arrays of a common dtype."""
    kinds = [_kind(x) for x in xs]
    return _in_dtype(xs, kinds, dtypes.result_type(*kinds), keep_literals=False)


def differ(shape, other):
    """Whether shapes of the same rank differ, as far as their sizes are known."""
    pairs = zip(shape, other, strict=True)
    return any(m != n for m, n in pairs if isinstance(m, int) and isinstance(n, int))


def _kind(x):
    kind = int if export.is_symbolic_dim(x) else dtypes.of(x)
    if kind == "string":
        raise TypeError(expected("An operand", "a number or an array of numbers", x))
    return kind


def _in_dtype(xs, kinds, dtype, keep_literals=True):
    literal = [kind in (bool, int, float) for kind in kinds]
    keep_literals = keep_literals and not all(literal)
    return [
        x
        if (is_literal and keep_literals) or (kind == dtype and isinstance(x, jax.Array))
        else jnp.asarray(x, dtype=dtype)
        for x, kind, is_literal in zip(xs, kinds, literal)
    ]


def convert(x, dtype=None):
    """`x` as a JAX array; `convert_to_tensor` without symbolic tensors."""
    if dtype is not None:
        return jnp.asarray(x, dtype=narrow(dtype))
    if isinstance(x, jax.Array):
        return x
    if isinstance(x, (list, tuple)) and any(isinstance(y, jax.Array) for y in x):
        return jnp.stack(arrays(*x)) if x else jnp.asarray(x)
    dtype = _kind(x)
    if dtype in (float, "float64"):
        dtype = settings.floatx()
    return jnp.asarray(x, dtype=narrow(dtype))


def narrow(dtype):
    """The standard name of `dtype`; a 64-bit type only in JAX's 64-bit mode."""
    name = dtypes.standardize_dtype(dtype)
    return name if dtypes.has_64_bits() else dtypes.result_type(name)


# What users call --------------------------------------------------------------------------------


@op(elementwise=True)
def convert_to_tensor(x, dtype=None, sparse=None, ragged=None):
    """`x` as an array of the engine.

    Args:
        x: array, number, nested list, `Variable` or symbolic tensor.
        dtype: number type; by default that of `x`, with the default float type for Python's
            floats and for float64.
        sparse, ragged: accepted for compatibility; arrays are dense.

    Example:

    >>> keras.ops.convert_to_tensor([1, 2.5])
    Array([1. , 2.5], dtype=float32)
    """
    if dtypes.of(x) == "string":
        raise TypeError(expected("x", "numbers", x, "JAX has no strings; keep them in NumPy."))
    return convert(x, dtype)


def convert_to_numpy(x):
    """`x` as a NumPy array, waiting until it has been computed."""
    return np.asarray(x)


def is_tensor(x):
    """Whether `x` is an array of the engine: a JAX array or tracer.

    Example:

    >>> keras.ops.is_tensor(jnp.ones(2)), keras.ops.is_tensor(np.ones(2))
    (True, False)
    """
    return isinstance(x, jax.Array)


@op(elementwise=True)
def cast(x, dtype):
    """`x` in another number type.

    Example:

    >>> keras.ops.cast([0.2, 1.7], "int32")
    Array([0, 1], dtype=int32)
    """
    return convert(x, dtype)


@op(elementwise=True)
def saturate_cast(x, dtype):
    """`x` in another number type, clipped to the range of that type first.

    Example:

    >>> keras.ops.saturate_cast([-5.0, 300.0], "uint8")
    Array([  0, 255], dtype=uint8)
    """
    x, name = array(x), narrow(dtype)
    if name == "bool" or name.startswith("complex"):
        return x.astype(name)
    to = jnp.finfo(name) if dtypes.is_float_dtype(name) else jnp.iinfo(name)
    if x.dtype == bool:
        return x.astype(name)
    own = jnp.finfo(x.dtype) if dtypes.is_float_dtype(x.dtype) else jnp.iinfo(x.dtype)
    # Only bounds inside the range of x are needed, and others can't be written in its dtype.
    low = to.min if to.min > own.min else None
    high = to.max if to.max < own.max else None
    return jnp.clip(x, low, high).astype(name)


def dtype(x):
    """The number type of `x`, as a string.

    Example:

    >>> keras.ops.dtype(np.ones(2, "int8"))
    'int8'
    """
    return dtypes.standardize_dtype(dtypes.of(x))


def shape(x):
    """The shape of `x`, a tuple; unknown sizes of a symbolic tensor are `None`.

    Example:

    >>> keras.ops.shape(keras.Input((3,)))
    (None, 3)
    """
    x = plain(x)
    return tuple(x.shape) if hasattr(x, "shape") else np.shape(x)


def ndim(x):
    """The number of axes of `x`, an int."""
    return len(shape(x))


@op
def size(x):
    """The number of elements of `x`, an int (symbolic for a symbolic tensor)."""
    return jnp.size(x)


@op
def view(x, dtype=None):
    """The bits of `x` read as another number type.

    Example:

    >>> keras.ops.view(np.float32([1.0]), "int32")
    Array([1065353216], dtype=int32)
    """
    return array(x).view(None if dtype is None else narrow(dtype))
