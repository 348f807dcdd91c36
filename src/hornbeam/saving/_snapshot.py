"""Snapshots of a training: nested plain data with arrays, in one file that can be verified.

A zip with one member of JSON, for the structure, and one of bytes for every array. The zip's
checksums tell whether a file is whole. Reading builds nothing but numbers, strings and containers.
"""

import json
import math
import pathlib
import zipfile

import jax
import numpy as np

from ..core import dtypes
from ..core.loading import LoadError
from ._archive import MEMBER_DATE
from ._atomic import atomic_write
from ._zip import ZipReader

_FORMAT = "hornbeam training snapshot 1"
_STRUCTURE = "snapshot.json"


def write_snapshot(path, data):
    """Write nested dicts, lists, tuples, arrays, numbers, strings and `None`, atomically.

    Nothing has the name `path` before what was written has been read again and found whole.

    Raises:
        TypeError: if there is something else in `data`; the message says where.
        OSError: if it can't be written.
    """
    arrays = []
    structure = {"format": _FORMAT, "data": _encode(data, arrays, "snapshot")}
    with atomic_write(path) as temporary:
        with zipfile.ZipFile(temporary, "x") as archive:
            archive.writestr(zipfile.ZipInfo(_STRUCTURE, MEMBER_DATE), json.dumps(structure))
            for i, array in enumerate(arrays):
                info = zipfile.ZipInfo(str(i), MEMBER_DATE)
                with archive.open(info, "w", force_zip64=True) as member:
                    member.write(np.ascontiguousarray(array).reshape(-1).view("uint8").data)
        with zipfile.ZipFile(temporary) as archive:
            if (name := archive.testzip()) is not None:
                raise OSError(f"'{path}': what was written differs from what is there, in {name}.")


def read_snapshot(path):
    """What `write_snapshot` wrote, with NumPy arrays.

    Raises:
        LoadError: if the file isn't whole, or something else.
    """
    path = pathlib.Path(path)
    with path.open("rb") as file:
        try:
            archive = ZipReader(file, str(path))
            structure = archive.json(_STRUCTURE)
            if structure.get("format") != _FORMAT:
                raise LoadError("it has another format")
            return _decode(structure["data"], archive)
        except Exception as error:
            text = f"'{path}' is not a whole snapshot of a training: {error}."
            raise LoadError(text) from None


def _encode(x, arrays, where):
    if x is None or isinstance(x, (bool, int, float, str)):
        return x
    if isinstance(x, (list, tuple)):
        items = [_encode(v, arrays, f"{where}[{i}]") for i, v in enumerate(x)]
        return items if isinstance(x, list) else {"tuple": items}
    if isinstance(x, dict):
        return {
            "dict": [
                [_encode(k, arrays, where), _encode(v, arrays, f"{where}[{k!r}]")]
                for k, v in x.items()
            ]
        }
    if isinstance(x, (np.ndarray, np.generic, jax.Array)):
        array = np.asarray(x)
        if array.dtype.kind not in "OUSMm":
            arrays.append(array)
            return {"array": [len(arrays) - 1, array.dtype.name, list(array.shape)]}
    raise TypeError(
        f"{where} is a {type(x).__name__}, which a snapshot can't hold: it takes dicts, lists, "
        "tuples, arrays of numbers, numbers, strings and None."
    )


def _decode(x, archive):
    if isinstance(x, list):
        return [_decode(v, archive) for v in x]
    if not isinstance(x, dict):
        return x
    ((kind, value),) = x.items()
    if kind == "tuple":
        return tuple(_decode(v, archive) for v in value)
    if kind == "dict":
        return {_decode(k, archive): _decode(v, archive) for k, v in value}
    if kind != "array":
        raise LoadError(f"it has a part of the unknown kind {kind!r}")
    number, dtype, shape = value
    dtype = dtypes.numpy_dtype(dtype)
    size = archive.size(str(number))
    if size != math.prod(shape) * dtype.itemsize:
        raise LoadError(f"array {number} has {size} bytes, which isn't its shape's size")
    return np.frombuffer(archive.read(str(number)), dtype).reshape(shape)
