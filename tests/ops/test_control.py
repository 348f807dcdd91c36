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
    "vectorized_map": (
        lambda w: ops.vectorized_map(w(lambda x: x * x), jnp.arange(3)),
        [0, 1, 4],
        1,
    ),
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


# How a layer's `call` may go on while it assigns a variable: the op, given that step and x, and
# how often the step runs.
IN_LAYERS = {
    "cond": (lambda step, x: ops.cond(x.sum() > -1e9, lambda: step(x), lambda: x), 1),
    "switch": (lambda step, x: ops.switch(1, [lambda x: x, step], x), 1),
    "while_loop": (
        lambda step, x: ops.while_loop(lambda i, x: i < 3, lambda i, x: (i + 1, step(x)), (0, x))[
            1
        ],
        3,
    ),
    "fori_loop": (lambda step, x: ops.fori_loop(0, 3, lambda i, x: step(x), x), 3),
    "scan": (lambda step, x: ops.scan(lambda c, _: (step(c), None), x, None, 3)[0], 3),
    "map": (lambda step, x: ops.map(step, ops.stack([x, x]))[0], 2),
    "vectorized_map": (lambda step, x: ops.vectorized_map(step, x), 1),
    "nested": (
        lambda step, x: ops.fori_loop(
            0, 2, lambda i, x: ops.cond(i > 0, lambda: step(x), lambda: x), x
        ),
        1,
    ),
}


@pytest.mark.parametrize("name", [n for n in IN_LAYERS if n != "while_loop"])
def test_variables_assigned_in_a_layer_that_is_trained(name):
    run, times = IN_LAYERS[name]

    class Stepping(keras.layers.Layer):
        def build(self, shape):
            self.kernel = self.add_weight((), "ones")
            self.steps = self.add_weight((), "zeros", dtype="int32", trainable=False)

        def call(self, x):
            def step(x):
                self.steps.assign_add(1)
                return x * self.kernel

            return run(step, x)

    layer = Stepping()
    model = keras.Sequential([keras.Input((1,)), layer])
    model.compile("sgd", "mse")
    model.fit(np.ones((8, 1)), np.zeros((8, 1)), batch_size=2, epochs=1, verbose=0)
    assert int(layer.steps) == 4 * times
    assert float(layer.kernel) < 0.999
    model.predict(np.ones((2, 1)), verbose=0)
    assert int(layer.steps) == 5 * times, "predict calls the layer, too"


def test_while_loop_in_a_layer():
    """Its own test, since it has no gradient."""
    run, times = IN_LAYERS["while_loop"]
    seen = keras.Variable(0, dtype="int32")
    layer = keras.layers.Lambda(lambda x: run(counting(seen, lambda x: 2 * x), x))
    model = keras.Sequential([keras.Input((1,)), layer])
    np.testing.assert_allclose(layer(np.ones((2, 1))), np.full((2, 1), 8.0))
    assert int(seen) == times
    assert model.output_shape == (None, 1) and int(seen) == times, "shapes change no state"


def test_random_numbers_differ_from_turn_to_turn():
    generator = keras.random.SeedGenerator(0)
    draw = lambda *_: keras.random.uniform((), seed=generator)
    first = ops.map(draw, jnp.arange(4))
    assert len(set(first.tolist())) == 4
    assert not set(first.tolist()) & set(ops.map(draw, jnp.arange(4)).tolist())


def test_functions_may_return_variables(counter):
    assert int(ops.cond(True, lambda: counter, lambda: counter + 1)) == 0
    carry, ys = ops.scan(lambda c, x: (c, counter), counter, jnp.arange(2))
    assert int(carry) == 0 and ys.tolist() == [0, 0]


def test_results_of_while_loop_are_a_tuple():
    assert ops.while_loop(lambda i, x: i < 2, lambda i, x: [i + 1, x], [0, 5]) == (2, 5)
    assert ops.while_loop(lambda d: d["i"] < 2, lambda d: {"i": d["i"] + 1}, {"i": 0}) == {"i": 2}


def test_nothing_to_scan():
    carry, ys = ops.scan(lambda c, x: (c + x, 2 * x), jnp.zeros(2), jnp.ones((0, 2)))
    assert carry.tolist() == [0, 0] and ys.shape == (0, 2)


def test_parts_at_once_can_not_assign_values_of_their_own(counter):
    def assign(x):
        counter.assign(x)
        return x

    with pytest.raises(ValueError, match="out_axes") as caught:
        ops.vectorized_map(assign, jnp.arange(3))
    assert "one after the other" in caught.value.__notes__[-1]


def test_custom_gradient_takes_keywords():
    @ops.custom_gradient
    def scaled(x, by=2.0):
        return x * by, lambda upstream: -upstream

    assert float(scaled(3.0, by=4.0)) == 12.0
    assert float(jax.grad(lambda x: scaled(x, by=4.0))(3.0)) == -1.0


def test_custom_gradient_in_a_layer_that_is_trained():
    @ops.custom_gradient
    def backwards(x):
        return x, lambda upstream: -upstream

    class Away(keras.layers.Layer):
        def build(self, shape):
            self.kernel = self.add_weight((), "ones")

        def call(self, x):
            return backwards(x * self.kernel)

    model = keras.Sequential([keras.Input((1,)), Away()])
    model.compile("sgd", "mse")
    model.fit(np.ones((4, 1)), np.zeros((4, 1)), verbose=0)
    assert float(model.layers[0].kernel) > 1.01
    x = keras.Input((3,))
    assert backwards(x).shape == (None, 3)


def test_vectorized_functions_record_nodes():
    x = keras.Input((3,), batch_size=2)
    y = ops.vectorize(lambda a, b: a + b)(x, 1.0)
    np.testing.assert_allclose(keras.Function(x, y)(np.ones((2, 3))), np.full((2, 3), 2.0))


def outside():
    x = keras.Input((3,))
    return ops.cond(True, lambda: x * 2, lambda: x)


# call, words of the message
MISTAKES = {
    "no function": (lambda: ops.cond(True, 1.0, 2.0), "should be a function; received 1.0"),
    "no function to vectorize": (lambda: ops.vectorize(3), "pyfunc should be a function"),
    "vector": (lambda: ops.cond(jnp.ones(2), lambda: 1, lambda: 2), "Pred must be a scalar"),
    "float index": (lambda: ops.switch(1.0, [lambda: 1]), "must be an integer, got 1.0"),
    "branches differ": (
        lambda: ops.cond(True, lambda: 1.0, lambda: jnp.ones(2)),
        r"cond branches must have equal output types(?s:.)*test_control.py",
    ),
    "no pair": (lambda: ops.scan(lambda c, x: c, 0, jnp.ones(2)), r"a pair \(carry, y\)"),
    "scalars": (lambda: ops.map(lambda x: x, [1.0, 2.0]), "xs should be .*with a first axis"),
    "no length": (lambda: ops.scan(lambda c, x: (c, x), 0), "`length` not provided"),
    "symbolic tensor from outside": (outside, "A KerasTensor has no value"),
    "segments": (lambda: ops.segment_sum(jnp.ones(3), [0, 1]), "one number for each part of data"),
    "segment numbers": (lambda: ops.segment_max(jnp.ones(2), [0.0, 1.0]), "a vector of integers"),
    "count of segments": (
        lambda: ops.segment_sum(keras.Input((3,)), keras.KerasTensor((None,), "int32")),
        "pass `num_segments`",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(name):
    call, words = MISTAKES[name]
    with pytest.raises((TypeError, ValueError), match=words):
        call()
