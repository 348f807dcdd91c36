"""Operators and NumPy's functions on symbolic tensors: each records the op of that name."""

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
_COMPARISONS = {
    "ge": e.greater_equal,
    "gt": e.greater,
    "le": e.less_equal,
    "lt": e.less,
    "ne": e.not_equal,
}
_UNARY = {"abs": e.abs, "invert": e.logical_not, "neg": e.negative}
# What NumPy and the methods of arrays call differently.
_OTHER_NAMES = {
    "T": "transpose",
    "astype": "cast",
    "at": "slice_update",
    "degrees": "rad2deg",
    "flatten": "ravel",
    "invert": "bitwise_not",
    "radians": "deg2rad",
    "remainder": "mod",
}


def attach(ops):
    """Give `KerasTensor` its operators and methods, and NumPy's functions the ops of their names.

    Args:
        ops: `{name: function}` of all ops.
    """

    def op_name(name):
        return name if name in ops else _OTHER_NAMES.get(name)

    def hint(self, name):
        op = op_name(name)
        return f" Use `keras.ops.{op}`." if op else ""

    def array_ufunc(self, ufunc, method, *args, **kwargs):
        op = op_name(ufunc.__name__)
        if op is None or method != "__call__" or kwargs:
            options = "".join(f", {key}=…" for key in kwargs)
            call = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
            self._no_value(f"calling np.{call}(…{options}) on it")
        return ops[op](*args)

    def array_function(self, function, types, args, kwargs):
        op = op_name(function.__name__)
        # np.fft and others have functions of other meanings.
        if op is None or function.__module__ not in ("numpy", "numpy.linalg"):
            self._no_value(f"calling {function.__module__}.{function.__name__} on it")
        return ops[op](*args, **kwargs)

    for name, op in (_BINARY | _COMPARISONS).items():
        setattr(KerasTensor, f"__{name}__", _method(op))
    for name, op in _BINARY.items():
        setattr(KerasTensor, f"__r{name}__", _reflected(op))
    for name, op in _UNARY.items():
        setattr(KerasTensor, f"__{name}__", _method(op))
    for name, value in {
        "__array_function__": array_function,
        "__array_ufunc__": array_ufunc,
        "__getitem__": _method(get_item),
        "__round__": lambda self, ndigits=None: e.round(self, ndigits or 0),
        "_hint": hint,
        "reshape": _reshape,
        "squeeze": lambda self, axis=None: squeeze(self, axis),
    }.items():
        setattr(KerasTensor, name, value)


def _method(op):
    return lambda self, *args: op(self, *args)


def _reflected(op):
    return lambda self, other: op(other, self)


def _reshape(self, newshape, *more):
    return reshape(self, (newshape, *more) if more else newshape)
