"""Names of number types, and the rules for mixing them (Keras's, on JAX)."""

import contextlib
import functools

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np

from . import settings
from .messages import did_you_mean, expected

_PYTHON = {bool: "bool", int: "int32", float: None, str: "string"}  # None: the default float

ALLOWED = [
    "float16",
    "bfloat16",
    "float32",
    "float64",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "bool",
    "string",
    "int4",
    "uint4",
    "complex64",
    "complex128",
    "float8_e4m3fn",
    "float8_e5m2",
]

_FLOATS = {"bfloat16", "float8_e4m3fn", "float8_e5m2"}
_NARROW: dict[str, str] = {
    "float64": "float32",
    "int64": "int32",
    "uint64": "uint32",
    "complex128": "complex64",
}


def standardize_dtype(dtype) -> str:
    """The name of a dtype given as a name, a NumPy or JAX dtype, a Python type or `None`.

    Args:
        dtype: anything that names a number type; `None` and `float` mean the default float type,
            `int` means `"int32"`.

    Returns:
        A string, such as `"float32"`.

    Raises:
        ValueError: if no such type exists.

    Example:

    >>> keras.backend.standardize_dtype(np.float16), keras.backend.standardize_dtype(None)
    ('float16', 'float32')
    """
    if dtype.__class__ is str:
        name = dtype
    elif dtype is None:
        return settings.floatx()
    elif dtype in _PYTHON:
        return _PYTHON[dtype] or settings.floatx()
    else:
        return _name(dtype)
    if name == "int":
        return "int32"
    if name not in ALLOWED:
        raise ValueError(
            expected("dtype", "the name of a number type", dtype, did_you_mean(name, ALLOWED))
        )
    return name


@functools.lru_cache(maxsize=256)
def _name(dtype):
    # A random key of JAX has an extended dtype, which np.dtype refuses.
    name = getattr(dtype, "name", "") or getattr(dtype, "__name__", "")
    if name not in ALLOWED:
        with contextlib.suppress(TypeError):
            name = np.dtype(dtype).name
    if str(name).startswith(("str", "bytes", "object")):
        return "string"
    if name not in ALLOWED:
        raise ValueError(expected("dtype", "a number type", dtype))
    return name


def is_float_dtype(dtype):
    """Whether a dtype is a floating-point type.

    Example:

    >>> keras.backend.is_float_dtype("bfloat16"), keras.backend.is_float_dtype("int8")
    (True, False)
    """
    return standardize_dtype(dtype).startswith(("float", "bfloat"))


def is_int_dtype(dtype):
    """Whether a dtype is a signed or unsigned integer type."""
    return standardize_dtype(dtype).startswith(("int", "uint"))


def has_64_bits():
    """Whether JAX is in its 64-bit mode; otherwise it has no types that wide."""
    return jax.config.jax_enable_x64  # pyright: ignore[reportAttributeAccessIssue]


def is_text(array):
    """Whether an array of NumPy's can't go to a device: strings, bytes, mixed objects."""
    return array.dtype.kind in "OSUT"


def numpy_dtype(dtype):
    """The `np.dtype` of a standard name, including the types that NumPy lacks."""
    name = standardize_dtype(dtype)
    if name in _FLOATS or name in ("int4", "uint4"):
        return np.dtype(getattr(ml_dtypes, name))
    return np.dtype(object if name == "string" else name)


def result_type(*dtypes) -> str:
    """The dtype of a calculation that mixes `dtypes`.

    JAX's promotion, except that outside its 64-bit mode 64-bit types become 32-bit ones and a
    Python `float` mixed with integers gives the default float type. Python's `bool`, `int` and
    `float` stand for literals, which yield to any array type of their kind.

    Example:

    >>> keras.backend.result_type("int8", "bfloat16")
    'bfloat16'
    >>> keras.backend.result_type("float16", float), keras.backend.result_type("int32", float)
    ('float16', 'float32')
    """
    if not dtypes:
        return settings.floatx()
    names = (d if d in (bool, int, float) else standardize_dtype(d) for d in dtypes)
    return _result_type(settings.floatx(), has_64_bits(), *names)


@functools.lru_cache(maxsize=4096)
def _result_type(floatx, wide, *dtypes) -> str:
    strong = [d for d in dtypes if isinstance(d, str)]
    if wide and strong:
        kinds = (jnp.dtype(d) if isinstance(d, str) else d for d in dtypes)
        return jnp.result_type(*kinds).name
    # No integer type holds both: JAX then goes on with a literal float.
    no_common = "uint64" in strong and any(d.startswith("int") for d in strong)
    if (float in dtypes or no_common) and not any(map(is_float_dtype, strong)):
        return floatx if wide or floatx not in _NARROW else _NARROW[floatx]
    if not strong:
        return "int32" if int in dtypes else "bool"
    result = functools.reduce(_promote, [_NARROW.get(d, d) for d in strong])
    return "int32" if result == "bool" and int in dtypes else result


_INT_ORDER = {"int4": 4, "int8": 8, "int16": 16, "int32": 32}
_UINT_ORDER = {"uint4": 4, "uint8": 8, "uint16": 16, "uint32": 32}


def _promote(a: str, b: str) -> str:
    """Two array types; NumPy's table with bfloat16 and without growing to 64 bits."""
    if a == b or b == "bool":
        return a
    if a == "bool":
        return b
    a_float, b_float = is_float_dtype(a), is_float_dtype(b)
    if "complex64" in (a, b):
        return "complex64"
    if a_float and b_float:
        # Two different narrow types have no common one but float32.
        return "float32"
    if a_float or b_float:
        return a if a_float else b
    bits = {**_INT_ORDER, **_UINT_ORDER}
    if (a in _INT_ORDER) == (b in _INT_ORDER):
        return max(a, b, key=bits.__getitem__)
    signed, unsigned = (a, b) if a in _INT_ORDER else (b, a)
    if bits[signed] > bits[unsigned]:
        return signed
    return f"int{min(32, 2 * bits[unsigned])}"


def of(x):
    """The dtype of an array, or the Python type of a literal, as `result_type` takes it."""
    dtype = getattr(x, "dtype", None)
    if dtype is None:
        if isinstance(x, (bool, int, float)):
            return type(x)
        dtype = np.asarray(x).dtype
    return standardize_dtype(dtype)
