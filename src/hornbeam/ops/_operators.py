"""Python's operators on symbolic tensors: each records the op that a user would call."""

from ..core.symbolic import KerasTensor
from . import _elementwise as e
from ._index import get_item
from ._products import matmul
from ._shape import reshape, squeeze

_BINARY = {
    "add": e.add,
    "and": e.logical_and,
    "floordiv": e.floor_divide,
    "matmul": matmul,
    "mod": e.mod,
    "mul": e.multiply,
    "or": e.logical_or,
    "pow": e.power,
    "sub": e.subtract,
    "truediv": e.divide,
    "xor": e.logical_xor,
}
# `==` compares identity, as for any object: graphs keep tensors in sets and dicts.
_COMPARISONS = {"ge": e.greater_equal, "gt": e.greater, "le": e.less_equal, "lt": e.less}
_UNARY = {"abs": e.abs, "invert": e.logical_not, "neg": e.negative}


def attach():
    """Give `KerasTensor` its operators and methods."""
    for name, op in (_BINARY | _COMPARISONS).items():
        setattr(KerasTensor, f"__{name}__", _method(op))
    for name, op in _BINARY.items():
        setattr(KerasTensor, f"__r{name}__", _reflected(op))
    for name, op in _UNARY.items():
        setattr(KerasTensor, f"__{name}__", _method(op))
    for name, value in {
        "__getitem__": _method(get_item),
        "__round__": lambda self, ndigits=None: e.round(self, ndigits or 0),
        # NumPy's arrays on the left leave operators to the tensor on the right.
        "__array_priority__": 100,
        "__array_ufunc__": None,
        "reshape": lambda self, newshape: reshape(self, newshape),
        "squeeze": lambda self, axis=None: squeeze(self, axis),
    }.items():
        setattr(KerasTensor, name, value)


def _method(op):
    return lambda self, *args: op(self, *args)


def _reflected(op):
    return lambda self, other: op(other, self)
