"""Files of arrays in the safetensors format: a JSON header, then nothing but numbers.

https://huggingface.co/docs/safetensors. An array is named by its variable's path. The header also
says where each belongs in the structure of the model (`layers/dense/vars/0`), since automatic
names differ from one process to the next.
"""

import contextlib
import hashlib
import io
import json
import math
import struct
from typing import Any

import ml_dtypes  # JAX's own number types, as NumPy types
import numpy as np

from ..core.loading import LoadError, check_limit, explained
from ..core.variable import Variable
from ._json import parse_json

_TYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
    "C64": "complex64",
}
_NAMES = {name: code for code, name in _TYPES.items()}
_PLACES = "hornbeam.places"
_DIGEST = "hornbeam.sha256"
_CHUNK = 1 << 20


def _dtype(name):
    return np.dtype(getattr(ml_dtypes, name, None) or name)


def names_of(items):
    """A name for each of the `Item`s: its variable's path, where that is the only one."""
    paths = [x.value.path if isinstance(x.value, Variable) else "" for x in items]
    once = {path for path in paths if path and paths.count(path) == 1} if items else set()
    return [
        path if path in once else f"{item.group}/{item.key}"
        for path, item in zip(paths, items, strict=True)
    ]


def write_safetensors(path, named):
    """Write arrays to a file.

    Args:
        path: where.
        named: dict from names to `Item`s.

    Returns:
        The SHA-256 of the numbers, in hex, which the header holds, too.
    """
    # As others write them: those of wide numbers first, so that all lie aligned.
    order = sorted(named, key=lambda name: (-_array(named[name]).dtype.itemsize, name))
    places = {name: f"{named[name].group}/{named[name].key}" for name in order}
    digest = hashlib.sha256()
    for name in order:
        digest.update(_bytes(named[name]))
    header: dict[str, Any] = {
        "__metadata__": {
            "format": "np",
            _PLACES: json.dumps(places),
            _DIGEST: digest.hexdigest(),
        }
    }
    offset = 0
    for name in order:
        array = _array(named[name])
        if (code := _NAMES.get(array.dtype.name)) is None:
            raise ValueError(
                f"safetensors files have no numbers of type {array.dtype}, which '{name}' has. "
                "Use a '.weights.h5' file."
            )
        end = offset + array.nbytes
        header[name] = {"dtype": code, "shape": list(array.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in order:
            file.write(_bytes(named[name]))
    return digest.hexdigest()


def _array(item):
    value = item.value
    return np.asarray(value.value if isinstance(value, Variable) else value)


def _bytes(item):
    array = np.ascontiguousarray(_array(item))
    if array.dtype.byteorder == ">":
        array = array.astype(array.dtype.newbyteorder("<"))
    return array.reshape(-1).view("u1").data


class _Entry:
    """Where an array lies."""

    __slots__ = ("dtype", "name", "shape", "start")

    def __init__(self, name, dtype, shape, start):
        self.name, self.dtype, self.shape, self.start = name, dtype, shape, start

    @property
    def nbytes(self):
        return math.prod(self.shape) * self.dtype.itemsize


class SafetensorsFile:
    """A safetensors file, opened to read: weights as a `WeightsFile` gives them.

    Args:
        file: binary file object.
        name: of the file, for messages.
        places: dict from variables' paths to `group/key` in the model, for files of others.

    Raises:
        LoadError: if the arrays don't fill the file from end to end, or it is otherwise broken.
    """

    def __init__(self, file, name, places=()):
        self._file, self.name = file, name
        self.groups, self.nbytes, self.digest = {}, 0, None
        with explained(name):
            self._read_header(dict(places))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def _read_header(self, places):
        size = self._file.seek(0, io.SEEK_END)
        self._file.seek(0)
        start = self._file.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8 or length > size - 8:
            raise LoadError("it is cut short, or no safetensors file")
        what = f"'{self.name}': the header"
        check_limit(f"{what} has … bytes", length, "config_bytes")
        header = parse_json(self._file.read(length), what)
        metadata = header.pop("__metadata__", {})
        if not isinstance(metadata, dict):
            raise LoadError("its metadata is no JSON object")
        check_limit(f"'{self.name}' has … arrays", len(header), "members")
        entries = sorted((_entry(*x) for x in header.items()), key=lambda e: (e.start, e.nbytes))
        end = 0
        for entry in entries:
            if entry.start != end:
                raise LoadError(f"'{entry.name}' overlaps another array, or follows a gap")
            end += entry.nbytes
        if 8 + length + end != size:
            raise LoadError(f"its arrays have {end} bytes; it holds {size - 8 - length}")
        self._start, self.nbytes = 8 + length, end
        if _PLACES in metadata:
            places.update(parse_json(metadata[_PLACES], f"'{self.name}': {_PLACES}"))
        self._check_sum(metadata.get(_DIGEST), end)
        for entry in entries:
            self._place(entry, places.get(entry.name))

    def _check_sum(self, stated, left):
        """Compare the checksum, if there is one."""
        if stated is None:
            return
        found = hashlib.sha256()
        self._file.seek(self._start)
        while left and (chunk := self._file.read(min(left, _CHUNK))):
            found.update(chunk)
            left -= len(chunk)
        self.digest = found.hexdigest()
        if self.digest != stated:
            raise LoadError("its checksum is wrong: the file is damaged")

    def _place(self, entry, place):
        """Enter an array under the group and key where it belongs."""
        if not isinstance(place, (str, type(None))):
            raise LoadError(f"the place of '{entry.name}' is no text")
        group, _, key = (place or entry.name).rpartition("/")
        held = self.groups.setdefault(group, {})
        if key in held:
            raise LoadError(f"two arrays belong at '{group}/{key}'")
        held[key] = entry

    def read(self, group):
        """The arrays of a group: `{name: array}`."""
        return {key: self.array(entry) for key, entry in self.groups.get(group, {}).items()}

    def array(self, entry):
        """The numbers of an entry."""
        self._file.seek(self._start + entry.start)
        data = bytearray(entry.nbytes)
        if self._file.readinto(data) != len(data):
            raise LoadError(f"'{self.name}': '{entry.name}' is cut short.")
        return np.frombuffer(data, entry.dtype).reshape(entry.shape)


def _entry(name, about):
    """The entry that a header describes, checked."""
    with contextlib.suppress(KeyError, TypeError, ValueError):
        dtype, shape, (start, end) = (
            _dtype(_TYPES[about["dtype"]]),
            about["shape"],
            about["data_offsets"],
        )
        sizes = [*shape, start, end]
        if all(type(n) is int and n >= 0 for n in sizes):
            entry = _Entry(name, dtype, tuple(shape), start)
            if entry.nbytes == end - start:
                return entry
    raise LoadError(f"the header says of {name!r} what can't be: {str(about)[:200]}")
