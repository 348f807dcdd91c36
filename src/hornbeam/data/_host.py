"""Values that stay on the host: strings, 64-bit integers, ragged lists, columns of tables."""

import contextlib
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from ..core import dtypes, settings
from ..core.variable import Variable
from ._foreign import comes_from, to_numpy


def to_host(value: Any) -> np.ndarray:
    """A value as a NumPy array, with all its bits.

    Strings become arrays of Python objects. Lists of lists of different lengths become an array of
    lists.

    Args:
        value: an array, a number, a string, nested lists of them, a column of a table, a tensor of
            another package.

    Raises:
        TypeError: if it is a value that is being traced, of which only shape and dtype are known.
    """
    if isinstance(value, np.ndarray):  # "T": NumPy's strings of any length
        return value.astype(object) if value.dtype.kind == "T" else value
    if isinstance(value, Tracer):
        raise TypeError("A traced value has no numbers yet, let alone strings.")
    if isinstance(value, Variable):
        value = value.value
    if comes_from(value, "tensorflow"):
        value = value.to_list() if hasattr(value, "to_list") else value.numpy()
    if isinstance(value, (list, tuple)):
        return _of_list(value)
    if isinstance(value, (str, bytes)) or value is None:
        return np.array(value, dtype=object)
    return to_numpy(value)


def _of_list(value):
    """Nested lists as an array, regular or of lists."""
    if value and all(hasattr(x, "shape") for x in value):
        value = [to_host(x) for x in value]
        if len({x.shape for x in value}) == 1:
            return np.stack(value)
        value = [x.tolist() for x in value]
    if isinstance(first_leaf(value), (bool, int, float, np.generic)):
        with contextlib.suppress(ValueError):  # lists of different lengths
            array = np.array(value)
            if not dtypes.is_text(array):
                return array
    # As objects: NumPy's own strings take the space of the longest for each, and lose NULs.
    with contextlib.suppress(ValueError):
        return np.array(value, dtype=object)
    array = np.empty(len(value), object)
    array[:] = value
    return array


def first_leaf(value):
    """The first leaf of nested lists, or what is in its place if there is none."""
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    return value


def device_dtype(a):
    """The dtype on the device: 64-bit types become what the default types are."""
    if a.dtype.itemsize < 8:
        return a.dtype
    name = str(a.dtype)
    if name == "float64":
        return np.dtype(settings.floatx()) if not dtypes.has_64_bits() else a.dtype
    if name in ("int64", "uint64") and not dtypes.has_64_bits():
        return np.dtype(name[:-2] + "32")
    return a.dtype


def place(values):
    """NumPy arrays on the device, in its dtypes; strings stay where they are."""

    def put(a):
        if not isinstance(a, np.ndarray) or dtypes.is_text(a):
            return a
        dtype = device_dtype(a)
        if a.dtype.kind in "iu" and dtype.itemsize < a.dtype.itemsize and a.size:
            limits = np.iinfo(dtype)
            if a.min() < limits.min or a.max() > limits.max:
                raise ValueError(
                    f"Integers from {a.min()} to {a.max()} don't fit into {dtype}, which is what "
                    "the device has. Map them to smaller ones (IntegerLookup, Hashing), or enable "
                    "64 bits: `jax.config.update('jax_enable_x64', True)`."
                )
        return jax.device_put(a.astype(dtype, copy=False))

    return jax.tree.map(put, values)
