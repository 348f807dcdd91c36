"""The NumPy-like ops give what Keras gives: values, number types and symbolic shapes."""

import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import keras as real
import numpy as np
import pytest

import hornbeam
from hornbeam import ops


@pytest.fixture(autouse=True)
def fresh_state():
    """In the place of the common one: ops keep no state, and its garbage collection takes long."""


UNKNOWN = 4  # the concrete size that stands for None


@dataclasses.dataclass(frozen=True)
class T:
    """An array argument: random numbers, or in symbolic calls a KerasTensor."""

    shape: tuple
    dtype: str = "float32"
    low: float = 0.1
    high: float = 0.9

    def value(self, seed):
        shape = [UNKNOWN if n is None else n for n in self.shape]
        x = np.random.default_rng(seed).uniform(self.low, self.high, shape)
        if self.dtype == "bool":
            return jnp.asarray(x > 0.5)
        return jnp.asarray(x, dtype=self.dtype)


class C:
    """A constant argument that both libraries get as an array of theirs."""

    def __init__(self, value, dtype=None):
        self.array = jnp.asarray(np.asarray(value), dtype=dtype)


def t(*shape, **kwargs):
    return T(shape, **kwargs)


def i(*shape, high=5, low=0):
    return T(shape, "int32", low, high)


X, Y, V, W = t(None, 3), t(None, 3), t(3), t(3, 2)
M = t(3, 3)
POS = t(None, 3, low=1.1, high=4)
B = T((None, 3), "bool")
I = i(None, 3)  # noqa: E741

# Name of the op: argument lists. A dict at the end holds keyword arguments.
ELEMENTWISE_1 = [
    "abs",
    "absolute",
    "angle",
    "arccos",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctanh",
    "cbrt",
    "ceil",
    "conj",
    "conjugate",
    "cos",
    "cosh",
    "deg2rad",
    "erf",
    "erfc",
    "erfinv",
    "exp",
    "exp2",
    "expm1",
    "fabs",
    "floor",
    "i0",
    "imag",
    "isfinite",
    "isinf",
    "isnan",
    "isneginf",
    "isposinf",
    "isreal",
    "log",
    "log10",
    "log1p",
    "log2",
    "logical_not",
    "nan_to_num",
    "negative",
    "rad2deg",
    "real",
    "reciprocal",
    "round",
    "rsqrt",
    "sign",
    "signbit",
    "sin",
    "sinc",
    "sinh",
    "sqrt",
    "square",
    "tan",
    "tanh",
    "trunc",
]
# Keras computes these for floats only; here integers become floats.
REFUSED = ("erf", "ldexp", "rsqrt")
ELEMENTWISE_2 = [
    "add",
    "arctan2",
    "divide",
    "divide_no_nan",
    "equal",
    "floor_divide",
    "fmax",
    "fmin",
    "fmod",
    "greater",
    "greater_equal",
    "heaviside",
    "hypot",
    "isclose",
    "less",
    "less_equal",
    "logaddexp",
    "logaddexp2",
    "logical_and",
    "logical_or",
    "logical_xor",
    "maximum",
    "minimum",
    "mod",
    "multiply",
    "nextafter",
    "not_equal",
    "power",
    "subtract",
    "true_divide",
]
INTEGER_2 = [
    "bitwise_and",
    "bitwise_left_shift",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "gcd",
    "lcm",
    "left_shift",
    "right_shift",
]
REDUCTIONS = [
    "all",
    "amax",
    "amin",
    "any",
    "count_nonzero",
    "max",
    "mean",
    "median",
    "min",
    "nanmax",
    "nanmean",
    "nanmedian",
    "nanmin",
    "nanprod",
    "nanstd",
    "nansum",
    "nanvar",
    "prod",
    "ptp",
    "std",
    "sum",
    "var",
    "logsumexp",
]

CASES = {
    **{
        name: [(t(2, None, 1, low=-3, high=3),)] + [(I,)] * (name not in REFUSED)
        for name in ELEMENTWISE_1
    },
    **{name: [(X, V), (I, I), (X, 2)] for name in ELEMENTWISE_2},
    **{name: [(I, i(3)), (I, 2)] for name in INTEGER_2},
    **{
        name: [(X,), (X, 0), (X, {"axis": -1}), (X, (0, 1)), (I, 1)]
        + (
            []
            if name == "count_nonzero"
            else [(t(2, None, 4), (0, 2), True), (X, {"keepdims": True})]
        )
        for name in REDUCTIONS
    },
    "allclose": [(V, V), (V, t(3, low=5, high=6))],
    "append": [(X, Y), (V, V, {"axis": 0}), (I, X)],
    "arange": [(5,), (5.0,), (1, 7, 2), (0, 1, 0.25), (3, {"dtype": "uint8"}), (3, {"step": 2})],
    "arccosh": [(POS,), (i(3, low=1),)],
    "argmax": [(X,), (X, 0), (X, 1, True), (I, {"keepdims": True}), (C([-1, -0.0, 0]),)],
    "argmin": [(X,), (X, 0), (X, 1, True), (B, 1), (C([0, -1e-40, 0], "float32"),)],
    "nanargmax": [(X,), (X, 0), (X, 1, True)],
    "nanargmin": [(X,), (X, 0), (X, 1, True)],
    "argpartition": [(V, 1)],
    "argsort": [(X,), (X, 0), (I,), (X, None)],
    "array": [([1, 2],), (1.5,), ([[True]],), ([1, 2], "float32"), (X, {"dtype": "int32"})],
    "array_split": [(t(7), 3), (t(None, 7), 3, 1)],
    "average": [(X,), (X, 0), (X, 1, C([1, 2, 3])), (X, {"weights": Y}), (I, {"axis": 1})],
    "bartlett": [(5,)],
    "bincount": [(C([1, 2, 2, 5]),), (C([1, 2]), {"minlength": 6}), (C([1, 2, 2]), C([0.5, 1, 2]))],
    "bitwise_invert": [(I,)],
    "bitwise_not": [(I,), (B,)],
    "blackman": [(5,)],
    "broadcast_to": [(V, (2, 3)), (t(1, 3), (5, 3)), (t(1, 3), (2, 5, 3))],
    "cast": [(X, "int32"), (I, "float16"), (X, "bool"), (X, "float64"), ([1.5], "int32")],
    "clip": [(X, 0.2, 0.5), (I, 1, 3), (I, 0.5, 2), (B, 0, 1), (T((3,), "int8"), 0, 1)],
    "concatenate": [([X, Y],), ([X, t(None, 4)], 1), ([T((2,), "int8"), T((2,), "float16"), V],)],
    "convert_to_tensor": [(1,), (1.5,), ([1, 2.5],), (True,), (X,), (X, "int32")],
    "copy": [(X,)],
    "corrcoef": [(t(3, 5),)],
    "correlate": [(t(5), t(3)), (t(5), t(3), "full"), (t(5), t(3), {"mode": "same"})],
    "cross": [(X, Y), (t(None, 2), t(None, 2)), (i(3), i(3)), (t(3, 4), t(3, 4), {"axis": 0})],
    "cumprod": [(X, 0), (X, 1), (I, 0), (V,), (B, 0)],
    "cumsum": [(X, 0), (X, 1), (I, 0), (X,), (B, 0), (I, 0, "float32")],
    "diag": [(V,), (t(3, 4),), (t(3, 4), 1), (V, -1)],
    "diagflat": [(V,), (t(2, 2), 1)],
    "diagonal": [
        (t(3, 4),),
        (t(None, 3, 4), 0, 1, 2),
        (t(None, 3, 4), {"offset": 1, "axis1": 1, "axis2": 2}),
    ],
    "diff": [(X,), (t(5), 2), (t(5, None), {"axis": 0})],
    "digitize": [(X, C([0.0, 0.3, 0.6])), (I, C([1, 3]))],
    "dot": [(X, W), (V, V), (t(2, None, 3), W), (I, i(3, 2)), (V, 2)],
    "dsplit": [(t(None, 2, 4), 2)],
    "dstack": [([X, Y],)],
    "einsum": [
        ("ij,jk->ik", X, W),
        ("ij,jk", X, W),
        ("bij,bkj->bik", t(None, 2, 3), t(None, 4, 3)),
        ("...j->...", X),
        ("ij,jk->ik", T((2, 3), "int8"), T((3, 2), "int8")),
        ("ij,j->i", T((2, 3), "bfloat16"), V),
    ],
    "empty": [(2,), ((2, 3), "int32")],
    "empty_like": [(X,), (X, "int32")],
    "expand_dims": [(X, 0), (X, -1), (X, (0, -1))],
    "eye": [(3,), (2, 3), (3, {"k": 1, "dtype": "int32"})],
    "flip": [(X,), (X, 0), (X, {"axis": (0, 1)})],
    "fliplr": [(X,)],
    "flipud": [(X,)],
    "full": [(2, 3), ((2, 3), 1.5), ((2,), True, "bool")],
    "full_like": [(X, 3), (I, 3), (X, 2, {"dtype": "int32"})],
    "geomspace": [(1, 8, 4), (1.0, 2.0)],
    "get_item": [(X, 0), (X, (slice(None), None, slice(None, None, 2))), (X, (..., -1))],
    "hamming": [(5,)],
    "hanning": [(5,)],
    "histogram": [
        (t(5), 3),
        (i(8), {"bins": 3, "range": (0, 4)}),
    ],
    "hsplit": [(t(None, 4), 2), (t(4), [1])],
    "hstack": [([X, t(None, 4)],), ([V, V],)],
    "identity": [(3,), (3, "int32")],
    "in_top_k": [
        (i(4, high=3), t(4, 3), 1),
        (i(4, high=5), t(4, 3), 2),
        (C([0, 1]), C([[0.5, 0.5]] * 2), 1),
    ],
    "inner": [(X, t(2, 3)), (V, V), (I, i(3))],
    "isin": [(I, C([1, 2])), (I, C([1, 2]), {"invert": True})],
    "kaiser": [(5, 2.0)],
    "kron": [(t(2, 2), t(3, 2)), (V, i(2))],
    "ldexp": [(X, I), (I, i(3))],
    "linspace": [
        (0, 1, 5),
        (0, 1, {"num": 4, "endpoint": False}),
        (0, 10, 5, {"dtype": "int32"}),
        (V, 2, 3),
        (0, 10, 3, {"retstep": True}),
    ],
    "logspace": [(0, 3, 4), (0.0, 1.0)],
    "matmul": [
        (X, W),
        (t(None, 2, 3), W),
        (V, V),
        (I, i(3, 2)),
        (T((2, 3), "int8"), T((3, 2), "int8")),
        (T((2, 3), "bool"), T((3, 2), "bool")),
    ],
    "meshgrid": [(V, t(2)), (V, t(2), {"indexing": "ij"}), (V,)],
    "moveaxis": [(t(None, 3, 4), 0, -1), (t(None, 3, 4), (0, 1), (1, 0))],
    "nancumprod": [(X, 0)],
    "nancumsum": [(X, 0), (B, 1)],
    "nanpercentile": [(X, 30.0, 1)],
    "nanquantile": [(X, 0.3, 1), (X, 0.3, {"axis": 1, "keepdims": True})],
    "nonzero": [(C([0, 1, 2]),)],
    "norm": [
        (X,),
        (t(3, 2), "fro"),
        (X, 1, 1),
        (t(2, 2, 3), "nuc", (1, 2)),
        (X, {"keepdims": True}),
        (I, {"axis": -1}),
        (X, np.inf, 1),
        (X, 3, {"axis": 1}),
    ],
    "ones": [(2,), ((2, 3), "bool")],
    "ones_like": [(X,), (I,), (X, "int8")],
    "outer": [(V, t(2)), (X, t(2, 3)), (I, V)],
    "pad": [
        (X, 1),
        (X, (1, 2)),
        (X, ((1, 2), (0, 1)), {"constant_values": 5}),
        (X, ((0, 0), (1, 1)), "reflect"),
        (X, ((0, 0), (1, 1)), {"mode": "symmetric"}),
        (I, 1),
    ],
    "percentile": [(X, 30.0, 1)],
    "quantile": [
        (X, 0.3),
        (X, 0.3, 1),
        (X, C([0.25, 0.5]), 1),
        (i(5), 0.5),
        (X, 0.4, {"axis": 1, "method": "nearest", "keepdims": True}),
    ],
    "ravel": [(X,), (t(2, 3, 4),)],
    "repeat": [(V, 2), (X, 2), (X, 2, 0), (X, 2, 1), (X, C([1, 2, 1]), 1)],
    "reshape": [(X, (-1,)), (t(None, 6), (-1, 2, 3)), (t(2, 6), (4, 3)), (t(None, 2, 3), (-1, 6))],
    "roll": [(X, 1), (X, 1, 0), (X, (1, 2), (0, 1))],
    "rot90": [(t(None, 3),), (t(2, 3), {"k": 2, "axes": (0, 1)}), (t(2, 3), -1)],
    "saturate_cast": [
        (t(3, low=-300, high=300), "uint8"),
        (i(3, low=-9), "uint8"),
        (X, "float16"),
        (t(3, low=-1e6, high=1e6), "float16"),
        (B, "int32"),
        (X, "bool"),
        (i(3, high=300), "int8"),
    ],
    "scatter": [
        (C([[0], [2]]), C([1.0, 2.0]), (4,)),
        (C([[0], [0]]), t(2, 3), (4, 3)),
        (C([[0, 1], [2, 2]]), i(2), (3, 3)),
    ],
    "scatter_update": [
        (X, C([[0], [2]]), t(2, 3)),
        *[
            (t(4), C([[0], [0]]), C([0.2, 0.3]), {"reduction": r})
            for r in ("add", "mul", "min", "max")
        ],
        (t(4, 3), C([[0, 1], [2, 2]]), t(2)),
    ],
    "searchsorted": [(C([1, 2, 3]), I), (C([0.1, 0.5]), V, "right"), (C([1, 2, 3]), 2)],
    "select": [([C([True, False])], [C([1, 2])], 9), ([B, B], [X, Y], 1.5)],
    "size": [(X,), (t(2, 3),)],
    "slice": [
        (t(3, 4), (1, 1), (2, 2)),
        (t(3, 4), (1, 1), (2, -1)),
        (t(None, 4), (0, 1), (-1, 2)),
        (t(3, 4), C([1, 1]), (2, 2)),
        (t(3, 4), (2, 2), (2, 2)),
    ],
    "slice_update": [(t(3, 4), (1, 1), t(2, 2)), (X, (0, 1), t(2, 2)), (I, (1, 0), i(1, 1))],
    "sort": [(X,), (X, 0), (I, {"axis": -1}), (X, None)],
    "split": [
        (t(6), 3),
        (t(None, 6), 3, 1),
        (t(6), [2, 4]),
        (t(None, 6), {"indices_or_sections": (1, 3), "axis": -1}),
    ],
    "squeeze": [(t(None, 1, 3),), (t(1, None, 1), 0), (t(1, 3, 1), {"axis": (0, 2)})],
    "stack": [
        ([X, Y],),
        ([X, Y], 1),
        ([X, Y], {"axis": -1}),
        ([T((2,), "int8"), T((2,), "float16")],),
    ],
    "swapaxes": [(t(None, 3, 4), 0, 2)],
    "take": [
        (t(5), C([1, -1])),
        (t(5), C([7])),
        (t(None, 5), C([0, 1]), 1),
        (t(None, 5), i(None, 2), 1),
        (X, 1),
        (t(3, 5), C([[0, 1]]), {"axis": -1}),
    ],
    "take_along_axis": [
        (X, i(None, 1, high=3), 1),
        (t(6), C([0, 5]), None),
        (t(2, 3), i(2, 2, high=3), -1),
    ],
    "fft": [([t(2, 8), t(2, 8)],), ([X, X],)],
    "fft2": [([t(4, 8), t(4, 8)],)],
    "ifft2": [([t(4, 8), t(4, 8)],)],
    "irfft": [([t(2, 5), t(2, 5)],), ([t(2, 5), t(2, 5)], {"fft_length": 6})],
    "rfft": [(t(2, 8),), (t(2, 8), {"fft_length": 6})],
    **{
        f"segment_{name}": [
            (t(5, 2), C([0, 0, 2, 1, 2]), {"num_segments": 4}),
            (t(5), C([0, 0, 1, 1, 3]), {"num_segments": 5, "sorted": True}),
        ]
        for name in ("max", "min", "prod", "sum")
    },
    "tensordot": [(X, W, 1), (t(2, 3), t(2, 3)), (t(None, 3, 4), t(4, 3), ([1, 2], [1, 0]))],
    "tile": [(X, (2, 1)), (V, 2), (X, (1, 1, 2))],
    "top_k": [(X, 2), (I, 1), (V, 2, False)],
    "trace": [(t(3, 4),), (t(None, 3, 4), 0, 1, 2), (T((3, 3), "bool"),), (t(3, 3), {"offset": 1})],
    "transpose": [(X,), (t(None, 3, 4), (2, 0, 1))],
    "trapezoid": [(X,), (X, {"dx": 2.0}), (X, C([1.0, 2.0, 4.0])), (t(3, 2), {"axis": 0})],
    "tri": [(3,), (3, 4, 1), (2, {"dtype": "int32"})],
    "tril": [(M,), (t(None, 3, 4), 1), (i(3, 3), -1)],
    "triu": [(M,), (t(None, 3, 4), 1), (i(3, 3), -1)],
    "unique": [
        (C([3, 1, 1, 2]),),
        (C([3, 1, 1]), {"return_counts": True, "size": 4}),
        (C([3, 1, 1]), {"return_inverse": True}),
    ],
    "unravel_index": [(i(4), (2, 3))],
    "unstack": [(t(2, 3),), (X, {"axis": 1}), (t(2, 3), 3, -1)],
    "vander": [(V,), (V, 2, True)],
    "vdot": [(V, V), (t(2, 3), t(2, 3))],
    "view": [(V, "int32")],
    "view_as_complex": [(t(None, 2),)],
    "view_as_real": [(T((2,), "complex64"),)],
    "vsplit": [(t(4, 2), 2)],
    "vstack": [([X, Y],), ([V, V],)],
    "where": [(B, X, Y), (B, X, 0), (B, 1, 2.0), (I, X, 1), (C([True, False]),)],
    "zeros": [(2,), ((2, 3), "int32"), ((),)],
    "zeros_like": [(X,), (T((2,), "int8"),), (X, {"dtype": "bool"})],
}

ELSEWHERE = {
    "convert_to_numpy": "returns NumPy: tests/ops/test_numpy_ops.py",
    "dtype": "returns a string: tests/ops/test_numpy_ops.py",
    "is_tensor": "returns a bool: tests/ops/test_numpy_ops.py",
    "polar": "an op of neural networks in Keras: test_nn_ops.py",
    "ndim": "an int where Keras returns a tensor: tests/ops/test_numpy_ops.py",
    "shape": "returns a tuple: tests/ops/test_numpy_ops.py",
    **dict.fromkeys(
        [
            *("associative_scan", "cond", "custom_gradient", "fori_loop", "map", "scan"),
            *("stop_gradient", "switch", "vectorize", "vectorized_map", "while_loop"),
        ],
        "takes a function: tests/ops/test_control.py",
    ),
}

# Where Keras itself fails or is plainly wrong: (op, number of the case).
_NUMBER = "Keras refuses Python numbers beside symbolic tensors"
_VECTORS = "Keras fails for symbolic vectors"
NOT_SYMBOLIC = {
    ("bitwise_and", 1): _NUMBER,
    ("bitwise_or", 1): _NUMBER,
    ("bitwise_xor", 1): _NUMBER,
    ("heaviside", 2): _NUMBER,
    ("hypot", 2): _NUMBER,
    ("corrcoef", 0): "Keras gives the shape of the input",
    ("hstack", 1): _VECTORS,
    ("meshgrid", 2): _VECTORS,
    ("rot90", 1): "Keras exchanges the axes for two turns, too",
    ("vstack", 1): _VECTORS,
}


# The shape of their results depends on values, so they can't be traced.
EAGER = ("bincount", "nonzero", "unique", "where")
EAGER += ("bartlett", "blackman", "hamming", "hanning", "kaiser")
NAMES = sorted(CASES)


def fill(case, make):
    """`(args, kwargs)` with `make(T, seed)` for the arrays; constants become arrays."""
    seeds = itertools.count()

    def convert(x):
        if isinstance(x, T):
            return make(x, next(seeds))
        if isinstance(x, C):
            return x.array
        return [convert(y) for y in x] if type(x) is list else x

    *args, kwargs = case if isinstance(case[-1], dict) else (*case, {})
    return [convert(x) for x in args], {k: convert(v) for k, v in kwargs.items()}


def shapes_of(x):
    """The shapes and dtypes in a result."""
    if isinstance(x, (list, tuple)):
        return [shapes_of(y) for y in x]
    return tuple(np.shape(x)) if not hasattr(x, "shape") else tuple(x.shape)


def dtypes_of(x):
    if isinstance(x, (list, tuple)):
        return [dtypes_of(y) for y in x]
    return str(x.dtype) if hasattr(x, "dtype") else type(x).__name__


def call(library, name, number, make):
    args, kwargs = fill(CASES[name][number], make)
    return getattr(library.ops, name)(*args, **kwargs)


@pytest.mark.parametrize("name", NAMES)
def test_values(name):
    """All cases of an op in one compiled function, since compiling is what takes time."""
    numbers = range(len(CASES[name]))
    inputs = []
    for case in CASES[name]:
        fill(case, lambda x, seed: inputs.append(x.value(seed)))

    def run(inputs):
        pairs = []
        for library in (hornbeam, real):
            take = functools.partial(next, iter(inputs))
            pairs.append([call(library, name, n, lambda *_, take=take: take()) for n in numbers])
        return pairs

    results, wanted = (run if name in EAGER else jax.jit(run))(inputs)
    for number, result, expected in zip(numbers, results, wanted, strict=True):
        where = f"{name}, case {number}: {CASES[name][number]}"
        assert shapes_of(result) == shapes_of(expected), where
        assert dtypes_of(result) == dtypes_of(expected), where
        if not name.startswith("empty"):
            for a, b in zip(jax.tree.leaves(result), jax.tree.leaves(expected), strict=True):
                a, b = (np.asarray(x, "complex64") for x in (a, b))
                np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6, err_msg=where)


@pytest.mark.parametrize("name", NAMES)
def test_symbolic_shapes(name):
    """A KerasTensor result has Keras's shape, and the dtype of the computed result."""
    for number, case in enumerate(CASES[name]):
        arrays = jax.tree.leaves(fill(case, lambda x, _: x)[0])
        if not any(isinstance(x, T) for x in arrays) or (name, number) in NOT_SYMBOLIC:
            continue
        where = f"{name}, case {number}: {case}"
        expected = call(real, name, number, lambda x, _: real.KerasTensor(x.shape, x.dtype))
        result = call(hornbeam, name, number, lambda x, _: hornbeam.KerasTensor(x.shape, x.dtype))
        assert shapes_of(result) == shapes_of(expected), where
        traced = jax.eval_shape(lambda n=number: call(hornbeam, name, n, T.value))
        if name != "size":
            assert dtypes_of(result) == dtypes_of(traced), where


# Number types -----------------------------------------------------------------------------------

DTYPES = [
    "bool",
    "int8",
    "uint8",
    "int16",
    "uint16",
    "int32",
    "uint32",
    "float16",
    "bfloat16",
    "float32",
]


def dtype_or_error(function, *args):
    try:
        return str(jax.eval_shape(function, *args).dtype)
    except (TypeError, ValueError):
        return "error"


UNARY = [
    *ELEMENTWISE_1,
    *REDUCTIONS,
    "arccosh",
    "argmax",
    "cumsum",
    "cumprod",
    "sort",
    "trace",
    "norm",
]


@pytest.mark.parametrize("name", UNARY)
def test_dtypes_of_one(name):
    structs = {d: jax.ShapeDtypeStruct((3, 3), d) for d in DTYPES}
    expected = {d: dtype_or_error(getattr(real.ops, name), s) for d, s in structs.items()}
    result = {d: dtype_or_error(getattr(ops, name), s) for d, s in structs.items()}
    expected = {
        d: result[d] if name in REFUSED and e == "error" else e for d, e in expected.items()
    }
    assert result == expected


DTYPES_2 = ["bool", "int8", "uint32", "float16", "bfloat16", "float32"]
# Keras lets a Python float widen half-precision arrays here, and nowhere else.
LITERALS_YIELD = ("arctan2", "logaddexp", "logaddexp2")
BINARY = [
    *ELEMENTWISE_2,
    *INTEGER_2,
    "ldexp",
    "matmul",
    "dot",
    "inner",
    "outer",
    "tensordot",
    "vdot",
]
BINARY += ["average_weights", "append", "digitize", "where_both"]
PAIR = {
    "average_weights": lambda k: lambda a, b: k.average(a, weights=b),
    "digitize": lambda k: lambda a, b: k.digitize(a, b[0]),
    "tensordot": lambda k: lambda a, b: k.tensordot(a, b, 1),
    "where_both": lambda k: lambda a, b: k.where(a, a, b),
}


@pytest.mark.parametrize("name", BINARY)
def test_dtypes_of_two(name):
    wanted = PAIR.get(name, lambda k: getattr(k, name))
    different = {}
    literals = name in LITERALS_YIELD
    for a, b in itertools.product([*DTYPES_2, 2, 2.0], repeat=2):
        if isinstance(a, (int, float)) and isinstance(b, (int, float)):
            continue
        structs = [jax.ShapeDtypeStruct((3, 3), d) for d in (a, b) if isinstance(d, str)]

        def call(k, a=a, b=b, structs=structs):
            def run(*arrays):
                arrays = iter(arrays)
                args = [next(arrays) if isinstance(d, str) else d for d in (a, b)]
                return wanted(k)(*args)

            return dtype_or_error(run, *structs)

        pair = call(ops), call(real.ops)
        refused = name in REFUSED and pair[1] == "error"
        if pair[0] != pair[1] and not refused and not (literals and 2.0 in (a, b)):
            different[a, b] = pair
    assert not different
