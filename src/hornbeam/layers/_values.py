"""Values on the host: text as UTF-8 bytes, which is how layers compare, count and hash it, whole
numbers, and lists of rows."""

import math

import numpy as np

from ..core.messages import expected, shown


def to_bytes(values, owner, encoding="utf-8"):
    """Strings as bytes in UTF-8, missing ones (`None`, NaN) as `None`.

    Args:
        values: list of `str`, `bytes` or missing values.
        owner: what to name in errors.
        encoding: of `bytes` among the values.

    Raises:
        TypeError: for anything else.
    """
    if encoding == "utf-8":
        try:
            return [value.encode() for value in values]
        except (AttributeError, UnicodeEncodeError):
            pass
    return [_to_bytes(value, owner, encoding) for value in values]


def _to_bytes(value, owner, encoding):
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    if isinstance(value, bytes):
        return value if encoding == "utf-8" else value.decode(encoding).encode()
    if is_missing(value):
        return None
    raise TypeError(f"{owner} takes strings; received {shown(value)} among its inputs.")


def to_text(token):
    """Bytes as a `str`; bytes that aren't UTF-8 as lone surrogates, as Python does in paths."""
    return token.decode("utf-8", "surrogateescape")


def is_missing(value):
    """Whether a value stands for one that is missing: `None`, NaN, pandas' `NA` and `NaT`."""
    return (
        value is None
        or (isinstance(value, (float, np.floating)) and value != value)
        or type(value).__name__ in ("NAType", "NaTType")
    )


def is_ragged(array):
    """Whether an array is one of lists of different lengths."""
    if array.dtype != object or array.ndim != 1 or not len(array):
        return False
    return isinstance(array[0], (list, tuple, np.ndarray))


def joined_rows(rows):
    """All elements of an array of lists, and the length of each list."""
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    return [x for row in rows for x in row], lengths


def split_rows(flat, lengths):
    """An array of arrays: `flat` cut into pieces of the lengths."""
    rows = np.empty(len(lengths), object)
    rows[:] = np.split(flat, np.cumsum(lengths)[:-1]) if len(lengths) else []
    return rows


def padded_rows(flat, lengths, width=None):
    """A matrix of the rows that `flat` holds one after another, cut or filled up with 0.

    Args:
        flat: array of ints.
        lengths: the length of each row in it.
        width: size of the result's rows, by default that of the longest.
    """
    longest = int(lengths.max(initial=0))
    width = longest if width is None else width
    matrix = _zeros((len(lengths), width), flat.dtype)
    if not matrix.size or not len(flat):
        return matrix
    # Where each element goes: one further than that before it, and at the start of a row by what
    # the row before leaves free (or has too much of).
    starts = np.cumsum(lengths) - lengths
    steps = np.ones(len(flat) + 1, np.int64)
    steps[0] = 0
    np.add.at(steps, starts[1:], width - lengths[:-1])
    target = np.cumsum(steps[:-1])
    if longest > width:
        inside = np.arange(len(flat)) - np.repeat(starts, lengths) < width
        flat, target = flat[inside], target[inside]
    matrix.reshape(-1)[target] = flat
    return matrix


def _zeros(shape, dtype):
    """An array of zeros that JAX takes over on a CPU; one that begins elsewhere it copies."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.zeros(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size].view(dtype).reshape(shape)


def whole_numbers(flat, owner):
    """A flat array as int64, and which of its elements are missing.

    Raises:
        TypeError: for what is no number.
        ValueError: for numbers that are not whole, or too large.
    """
    kind, missing = flat.dtype.kind, np.zeros(len(flat), bool)
    if kind == "O":
        values = flat.tolist()
        missing = np.fromiter(map(is_missing, values), bool, len(values))
        numbers = [0 if lost else _whole(x, owner) for x, lost in zip(values, missing)]
        try:
            return np.array(numbers, np.int64), missing
        except OverflowError:
            raise ValueError(f"{owner}: a number needs more than 64 bits.") from None
    if kind == "f":
        missing = np.isnan(flat)
        numbers = np.where(missing, 0, flat)
        wrong = (numbers != np.floor(numbers)) | (np.abs(numbers) >= 2.0**63)
        if wrong.any():
            raise ValueError(
                f"{owner} should be whole numbers of at most 64 bits; received {flat[wrong][0]}."
            )
        return numbers.astype(np.int64), missing
    if kind not in "iub":
        raise TypeError(expected(owner, "whole numbers", flat))
    if kind == "u" and len(flat) and flat.max() > np.iinfo(np.int64).max:
        raise ValueError(f"{owner} should be below 2**63; received {flat.max()}.")
    return flat.astype(np.int64), missing


def _whole(value, owner):
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)) and value == np.floor(value):
        return int(value)
    raise TypeError(expected(owner, "whole numbers", value))
