"""Ops that take functions: values, and variables that those functions assign."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hornbeam as keras
from hornbeam import ops


@pytest.fixture
def counter():
    return keras.Variable(0, dtype="int32", name="counter")


def counting(counter, function):
    def count(*args):
        counter.assign_add(1)
        return function(*args)

    return count


# op, called with the wrapper of its function: (the call, the result, how often the function ran)
LOOPS = {
    "cond": (lambda w: ops.cond(True, w(lambda: 2.0), lambda: 3.0), 2.0, 1),
    "cond, other branch": (lambda w: ops.cond(False, w(lambda: 2.0), lambda: 3.0), 3.0, 0),
    "switch": (lambda w: ops.switch(1, [jnp.sin, w(lambda x: 2 * x)], 4.0), 8.0, 1),
    "switch, beyond": (lambda w: ops.switch(9, [jnp.sin, w(lambda x: 2 * x)], 4.0), 8.0, 1),
    "while": (lambda w: ops.while_loop(lambda i: i < 5, w(lambda i: i + 2), 0), 6, 3),
    "while, limited": (
        lambda w: ops.while_loop(lambda i, x: i < 5, w(lambda i, x: (i + 1, 2 * x)), (0, 1), 3)[1],
        8,
        3,
    ),
    "fori": (lambda w: ops.fori_loop(2, 6, w(lambda i, x: x + i), 0), 14, 4),
    "fori, no turn": (lambda w: ops.fori_loop(2, 2, w(lambda i, x: x + i), 7), 7, 0),
    "scan": (lambda w: ops.scan(w(lambda c, x: (c + x, c)), 0, jnp.arange(4))[1], [0, 0, 1, 3], 4),
    "scan, backwards": (
        lambda w: ops.scan(w(lambda c, x: (c + x, c)), 0, jnp.arange(4), reverse=True)[1],
        [6, 5, 3, 0],
        4,
    ),
    "scan, no input": (lambda w: ops.scan(w(lambda c, _: (2 * c, None)), 1, None, 3)[0], 8, 3),
    "map": (lambda w: ops.map(w(lambda x: x * x), jnp.arange(3)), [0, 1, 4], 3),
}


@pytest.mark.parametrize("case", LOOPS)
@pytest.mark.parametrize("compiled", [False, True])
def test_values_and_assigned_variables(case, compiled, counter):
    call, expected, times = LOOPS[case]
    run = lambda: call(lambda function: counting(counter, function))
    if compiled:
        with keras.StatelessScope([(counter, counter.value)]):
            result, count = jax.jit(lambda: (run(), counter.value))()
    else:
        result, count = run(), counter.value
    np.testing.assert_allclose(result, expected)
    assert int(count) == times


def test_shapes_of_symbolic_results():
    x = keras.Input((3,), batch_size=4)
    assert ops.cond(x[0, 0] > 0, lambda: 1.0, lambda: 2.0).shape == ()
    assert ops.map(lambda row: row.sum(), x).shape == (4,)
    assert ops.vectorized_map(lambda row: row[:2], x).shape == (4, 2)
    assert ops.associative_scan(jnp.add, x).shape == (4, 3)
    model = keras.Model(x, ops.fori_loop(0, 3, lambda i, v: v + 1, x))
    np.testing.assert_allclose(model(np.zeros((4, 3))), np.full((4, 3), 3.0))


def test_gradients():
    @ops.custom_gradient
    def clipped(x):
        return x * 10, lambda upstream: jnp.clip(upstream * 10, -1, 1)

    assert float(jax.grad(clipped)(2.0)) == 1.0
    assert float(jax.grad(lambda x: x * ops.stop_gradient(x))(3.0)) == 3.0
    loop = lambda x: ops.scan(lambda c, _: (c * x, None), 1.0, None, 3)[0]
    assert float(jax.grad(loop)(2.0)) == 12.0


def test_maps_at_once():
    x = np.arange(6.0).reshape(3, 2)
    doubled = ops.vectorized_map(lambda pair: pair["a"] + pair["b"], {"a": x, "b": x})
    np.testing.assert_allclose(doubled, 2 * x)
    outer = ops.vectorize(jnp.dot, signature="(n),(n)->()")
    np.testing.assert_allclose(outer(x, x[0]), x @ x[0])
    sums = ops.associative_scan(jnp.add, x, reverse=True, axis=1)
    np.testing.assert_allclose(sums, x[:, ::-1].cumsum(1)[:, ::-1])
