import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hornbeam as keras
from hornbeam.core import symbolic
from hornbeam.core.symbolic import KerasTensor, infer, op


@pytest.mark.parametrize(
    "function, shapes, expected",
    [
        (lambda x: x * 2, [(None, 3)], (None, 3)),
        (lambda x: x.reshape(x.shape[0], -1), [(None, 3, 4)], (None, 12)),
        (lambda x: x.mean(1), [(None, None, 4)], (None, 4)),
        (lambda x, y: x @ y, [(None, 3), (3, 5)], (None, 5)),
        (lambda x: jnp.concatenate([x, x], 1), [(None, None)], (None, None)),
        (lambda x: x[::2], [(None, 2)], (None, 2)),
        # An `if` on a size, and an equal split of an unknown size, need concrete stand-ins.
        (lambda x: x if x.shape[0] > 4 else x * 2, [(None, 2)], (None, 2)),
        (lambda x: jnp.split(x, 2)[0], [(None, 2)], (None, 2)),
        (lambda x: jnp.zeros((len(range(x.shape[0])), 7)), [(None,)], (None, 7)),
    ],
)
def test_shapes_are_found_by_tracing(function, shapes, expected):
    out = infer(function, [KerasTensor(s) for s in shapes], {})
    assert out.shape == expected


def test_inference_is_cached_per_call_and_arguments():
    calls = []

    @op
    def plus(x, n=1):
        calls.append(n)
        return x + n

    x = KerasTensor((None, 3))
    plus(x), plus(x), plus(x, n=2), plus(KerasTensor((None, 4)))
    assert calls == [1, 2, 1]
    assert (
        plus(x, n=1).dtype == "float32" and plus(KerasTensor((2,), "int32"), n=1).dtype == "int32"
    )
    assert plus(KerasTensor((2,), "int32"), n=1.0).dtype == "float32", "1 and 1.0 differ"


def test_the_users_error_comes_first():
    def wrong(x):
        return x @ jnp.ones((7, 7))

    with pytest.raises(TypeError, match="dot_general"):
        infer(wrong, [KerasTensor((None, 3))], {})


def test_inference_changes_no_state():
    v = keras.Variable(0.0)

    def counting(x):
        v.assign_add(1.0)
        return x

    infer(counting, [KerasTensor((2,))], {})
    assert float(v) == 0.0


def test_variables_made_while_inferring_are_real():
    made = []

    def making(x):
        made.append(keras.Variable(jnp.ones, shape=(3,)))
        return x * made[-1]

    infer(making, [KerasTensor((None, 3))], {})
    assert not isinstance(made[0].value, jax.core.Tracer) and made[0].numpy().sum() == 3


@pytest.mark.parametrize(
    "use",
    [np.asarray, bool, float, int, iter, jnp.sin, lambda x: 1 if x > 0 else 0],
)
def test_using_the_value_explains_itself(use):
    with pytest.raises((ValueError, TypeError), match="KerasTensor"):
        use(keras.Input(()))


def test_operations_record_nodes():
    class Double(keras.Operation):
        def call(self, x):
            return x * 2

    double = Double()
    x = keras.Input((3,))
    y = double(x)
    assert y.node.operation is double and double.input is x and double.output is y
    assert np.asarray(double(np.ones(2))).tolist() == [2, 2]
    double(x)
    with pytest.raises(AttributeError, match="called on symbolic tensors 2 times"):
        _ = double.output


def test_unknown_sizes_are_one_symbol():
    assert str(symbolic.unknown_size()) == "d"
    a, b = KerasTensor((None, 3)), KerasTensor((None, 3))
    assert (a + b).shape == (None, 3)
