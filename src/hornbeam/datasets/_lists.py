"""Object arrays of lists of ints, read without unpickling.

NumPy writes an object array as a pickle, a program for a small machine that may call any function.
Here the few instructions that lists of ints need are read, and what would be called is only noted.
"""

import struct
from typing import Any

import numpy as np

_NAMES = {
    "numpy.core.multiarray _reconstruct",
    "numpy._core.multiarray _reconstruct",
    "numpy ndarray",
    "numpy dtype",
    "_codecs encode",
}


class _Name(str):
    """A function or class that is named."""


class _Call:
    """What a call would be, and the state that its result would get."""

    def __init__(self, function, arguments):
        self.function, self.arguments, self.state = function, arguments, None


def read_lists(data, shape):
    """The array of a pickle that NumPy wrote, which must be `shape` lists of ints.

    Raises:
        ValueError: if the pickle holds anything else.
    """
    try:
        found = _read(data)
        lists = found.state[-1]
        if not (
            found.function.endswith(" _reconstruct")
            and isinstance(found.state, tuple)
            and isinstance(lists, list)
            and shape == (len(lists),) == found.state[1]
            and all(type(row) is list and all(type(i) is int for i in row) for row in lists)
        ):
            raise ValueError("It holds other objects.")
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, struct.error) as error:
        raise ValueError("An array of objects should hold lists of ints, and doesn't.") from error
    result = np.empty(len(lists), dtype=object)
    result[:] = lists
    return result


def _read(data):
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}
    at = 0

    def since_mark():
        start = marks.pop()
        items = stack[start:]
        del stack[start:]
        return items

    def take(count):
        nonlocal at
        at += count
        if at > len(data):
            raise IndexError
        return data[at - count : at]

    while True:
        op = data[at]
        at += 1
        if op == 0x4B:  # K: nearly all instructions are ints of one or two bytes
            stack.append(data[at])
            at += 1
        elif op == 0x4D:  # M
            stack.append(data[at] | data[at + 1] << 8)
            at += 2
        elif op == 0x4A:  # J
            stack.append(int.from_bytes(take(4), "little", signed=True))
        elif op == 0x8A:
            stack.append(int.from_bytes(take(take(1)[0]), "little", signed=True))
        elif op == 0x28:  # (
            marks.append(len(stack))
        elif op == 0x5D:  # ]
            stack.append([])
        elif op == 0x65:  # e
            items = since_mark()
            _list(stack).extend(items)
        elif op == 0x61:  # a
            item = stack.pop()
            _list(stack).append(item)
        elif op == 0x94:
            memo[len(memo)] = stack[-1]
        elif op == 0x71:  # q
            memo[take(1)[0]] = stack[-1]
        elif op == 0x72:  # r
            memo[struct.unpack("<I", take(4))[0]] = stack[-1]
        elif op == 0x68:  # h
            stack.append(memo[take(1)[0]])
        elif op == 0x6A:  # j
            stack.append(memo[struct.unpack("<I", take(4))[0]])
        elif op == 0x80:
            take(1)
        elif op == 0x95:
            take(8)
        elif op in (0x4E, 0x88, 0x89):  # N
            stack.append({0x4E: None, 0x88: True, 0x89: False}[op])
        elif op == 0x58:  # X
            stack.append(take(struct.unpack("<I", take(4))[0]).decode())
        elif op in (0x8C, 0x43, 0x55):  # -, C, U
            text = take(take(1)[0])
            stack.append(text.decode() if op == 0x8C else text)
        elif op == 0x74:  # t
            stack.append(tuple(since_mark()))
        elif op in (0x85, 0x86, 0x87):
            count = op - 0x84
            stack[-count:] = [tuple(stack[-count:])]
        elif op == 0x63:  # c
            module = data.index(b"\n", at)
            name = data.index(b"\n", module + 1)
            stack.append(_name(data[at:module].decode(), data[module + 1 : name].decode()))
            at = name + 1
        elif op == 0x93:
            name = stack.pop()
            stack.append(_name(stack.pop(), name))
        elif op == 0x52:  # R
            arguments = stack.pop()
            function = stack.pop()
            if type(function) is not _Name:
                raise TypeError
            stack.append(_Call(function, arguments))
        elif op == 0x62:  # b
            state = stack.pop()
            stack[-1].state = state
        elif op == 0x2E:  # .
            return stack.pop()
        else:
            raise KeyError(op)


def _list(stack):
    if type(stack[-1]) is not list:
        raise TypeError
    return stack[-1]


def _name(module, name):
    full = f"{module} {name}"
    if full not in _NAMES:
        raise KeyError(full)
    return _Name(full)
