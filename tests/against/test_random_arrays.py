"""Ops on arrays of random shapes, also empty ones, with NaN and infinities: Keras's results.

HYPOTHESIS_PROFILE=long looks at many more of them.
"""

import itertools

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import jax
import keras as real
import numpy as np
import pytest

from against.test_ops_numpy import (
    ELEMENTWISE_1,
    ELEMENTWISE_2,
    INTEGER_2,
    LITERALS_YIELD,
    REDUCTIONS,
)
from hornbeam import ops
from hornbeam.core.dtypes import numpy_dtype


@pytest.fixture(autouse=True)
def fresh_state():
    """In the place of the common one: ops keep no state."""


LOWEST = -(2**31)
ELEMENTS = {
    "bool": [False, True],
    "int32": [0, 1, -1, 2, 3, -7, 100, 2**31 - 1, LOWEST],
    "uint8": [0, 1, 2, 5, 127, 128, 255],
    "float32": [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, 1e-3, 90.0, 1e20, np.nan, np.inf, -np.inf],
    "bfloat16": [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, 90.0, np.nan, np.inf, -np.inf],
}
SHAPES = st.one_of(
    hnp.array_shapes(min_dims=2, max_dims=3, max_side=4),
    hnp.array_shapes(min_dims=1, max_dims=3, max_side=4),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=2),
)
TOLERANCE = {"float32": 1e-5, "bfloat16": 1e-2, "complex64": 1e-5}


@st.composite
def arrays(draw, shapes=SHAPES):
    dtype, shape = draw(st.sampled_from(list(ELEMENTS))), draw(shapes)
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    return generator.choice(ELEMENTS[dtype], shape).astype(numpy_dtype(dtype))


def assert_same(calls, *arrays):
    """Where Keras computes, we compute the same.

    All calls are compiled as one function, which takes much less time.
    """
    refused = {}

    def both(arrays):
        results = {}
        for name, call in calls.items():
            try:
                theirs = call(real.ops, *arrays)
            except Exception:
                continue
            try:
                results[name] = call(ops, *arrays), theirs
            except Exception as error:
                refused[name] = error
        return results

    results = jax.jit(both)(arrays)
    assert not refused
    for name, (ours, theirs) in results.items():
        ours, theirs = jax.tree.leaves(ours), jax.tree.leaves(theirs)
        assert len(ours) == len(theirs), name
        for x, y in zip(ours, theirs):
            assert (x.shape, x.dtype) == (y.shape, y.dtype), name
            tolerance = TOLERANCE.get(str(y.dtype), 0)
            exact = "complex64" if y.dtype == "complex64" else "float64"
            x, y = np.asarray(x).astype(exact), np.asarray(y).astype(exact)
            np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance, err_msg=name)


def named(names, **arguments):
    """Calls of the ops of these names."""
    return {name: lambda o, *x, n=name: getattr(o, n)(*x, **arguments) for name in names}


@hypothesis.given(arrays())
def test_elementwise(x):
    assert_same(named(ELEMENTWISE_1), x)


PAIRS = hnp.mutually_broadcastable_shapes(num_shapes=2, min_side=0, max_side=4, max_dims=3)


def compared(*operands):
    """The ops of two operands in which Keras is right about these."""
    names = {*ELEMENTWISE_2, *INTEGER_2}
    if all(np.asarray(x).dtype == bool for x in operands):
        names -= {"fmod"}  # True by False is 1 in Keras, though 1 by 0 is 0
    if any(isinstance(x, (int, float)) for x in operands):
        names -= set(LITERALS_YIELD)
    if any((np.asarray(x) == LOWEST).any() for x in operands):
        names -= {"gcd", "lcm"}  # Keras's never end
    if any(isinstance(x, int) and x < 0 for x in operands):
        names -= {"power"}  # of integers: sometimes refused, sometimes not
    return sorted(names)


@hypothesis.given(st.data())
def test_elementwise_of_two(data):
    shapes = data.draw(PAIRS).input_shapes
    x, y = (data.draw(arrays(st.just(shape))) for shape in shapes)
    assert_same(named(compared(x, y)), x, y)


@hypothesis.given(arrays(), st.sampled_from([0, 2, -1, 0.0, 1.5, True]), st.booleans())
def test_elementwise_with_a_number(x, number, first):
    names = compared(x, number)
    if first:
        assert_same({n: lambda o, x, n=n: getattr(o, n)(number, x) for n in names}, x)
    else:
        assert_same({n: lambda o, x, n=n: getattr(o, n)(x, number) for n in names}, x)


@st.composite
def arrays_and_axes(draw):
    """An array of at least one axis, one of its axes and several of them."""
    x = draw(arrays(SHAPES.filter(len)))
    axis = draw(st.integers(-x.ndim, x.ndim - 1))
    axes = draw(st.lists(st.integers(0, x.ndim - 1), min_size=1, unique=True))
    return x, axis, tuple(axes)


@hypothesis.given(arrays_and_axes(), st.booleans())
def test_reductions(drawn, keepdims):
    x, axis, axes = drawn
    names = [n for n in REDUCTIONS if n != "count_nonzero"]
    which = itertools.product(["argmax", "argmin"], [axis, None])
    assert_same(
        {
            **{f"{n} axes": c for n, c in named(names, axis=axes, keepdims=keepdims).items()},
            **named(names, axis=axis, keepdims=keepdims),
            "count_nonzero": lambda o, x: o.count_nonzero(x, axis),
            **{f"{n} {a}": lambda o, x, n=n, a=a: getattr(o, n)(x, a) for n, a in which},
            **named(["cumsum", "cumprod", "sort", "argsort"], axis=axis),
            "average": lambda o, x: o.average(x, axis),
            "norm": lambda o, x: o.norm(x, axis=axis),
        },
        x,
    )


@hypothesis.given(arrays_and_axes(), st.data())
def test_shapes(drawn, data):
    x, axis, axes = drawn
    order = tuple(data.draw(st.permutations(range(x.ndim))))
    shift = data.draw(st.integers(-4, 4))
    count = data.draw(st.integers(1, 3))
    width = tuple(data.draw(st.tuples(st.integers(0, 2), st.integers(0, 2))) for _ in order)
    indices = data.draw(st.lists(st.integers(-4, 4), min_size=1, max_size=3))
    assert_same(
        {
            "append": lambda o, x: o.append(x, x, axis),
            "array_split": lambda o, x: o.array_split(x, count, axis),
            "broadcast_to": lambda o, x: o.broadcast_to(x, (count, *x.shape)),
            "concatenate": lambda o, x: o.concatenate([x, x], axis),
            "diagonal": lambda o, x: o.diagonal(x, shift),
            "diff": lambda o, x: o.diff(x, count, axis),
            "expand_dims": lambda o, x: o.expand_dims(x, axes),
            "flip": lambda o, x: o.flip(x, axes),
            "get_item": lambda o, x: o.get_item(x, slice(None, None, -1)),
            "moveaxis": lambda o, x: o.moveaxis(x, range(x.ndim), order),
            "pad": lambda o, x: o.pad(x, width),
            "pad edge": lambda o, x: o.pad(x, width, "edge"),
            "ravel": lambda o, x: o.ravel(x),
            "repeat": lambda o, x: o.repeat(x, count, axis),
            "repeat flat": lambda o, x: o.repeat(x, count),
            "reshape": lambda o, x: o.reshape(x, (x.shape[0], -1)),
            "roll": lambda o, x: o.roll(x, shift, axis),
            "roll flat": lambda o, x: o.roll(x, shift),
            "rot90": lambda o, x: o.rot90(x, shift),
            "split": lambda o, x: o.split(x, [1, 2], axis),
            "squeeze": lambda o, x: o.squeeze(x),
            "stack": lambda o, x: o.stack([x, x], axis),
            "swapaxes": lambda o, x: o.swapaxes(x, 0, axis),
            "take": lambda o, x: o.take(x, np.array(indices), axis),
            "tile": lambda o, x: o.tile(x, (count,) * x.ndim),
            "transpose": lambda o, x: o.transpose(x, order),
            "tril": lambda o, x: o.tril(x, shift),
            "triu": lambda o, x: o.triu(x, shift),
            "unstack": lambda o, x: o.unstack(x, axis=axis),
            "vstack": lambda o, x: o.vstack([x, x]),
            "where": lambda o, x: o.where(x, x, 0),
            "zeros_like": lambda o, x: o.zeros_like(x),
        },
        x,
    )


@hypothesis.given(st.data())
def test_products(data):
    batch = data.draw(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=1, max_side=2))
    m, k, n = (data.draw(st.integers(0, 3)) for _ in range(3))
    first, second = batch.input_shapes
    x = data.draw(arrays(st.just((*first, m, k))))
    y = data.draw(arrays(st.just((*second, k, n))))
    calls = {
        **named(["matmul", "dot", "kron", "outer"]),
        "einsum": lambda o, x, y: o.einsum("...mk,...kn->...mn", x, y),
        "inner": lambda o, x, y: o.inner(x, o.swapaxes(y, -1, -2)),
        "tensordot": lambda o, x, y: o.tensordot(x, y, axes=[[-1], [-2]]),
    }
    assert_same(calls, x, y)
