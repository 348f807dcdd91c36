"""Laws of all activations: values, names, dtypes, finite gradients."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hornbeam import activations
from hornbeam.core import objects
from hornbeam.core.symbolic import KerasTensor

# name: the values at -3, -0.5, 0, 2
VALUES = {
    "celu": [-0.950213, -0.393469, 0, 2],
    "elu": [-0.950213, -0.393469, 0, 2],
    "exponential": [0.049787, 0.606531, 1, 7.389056],
    "gelu": [-0.004050, -0.154269, 0, 1.954500],
    "hard_shrink": [-3, 0, 0, 2],
    "hard_sigmoid": [0, 0.416667, 0.5, 0.833333],
    "hard_silu": [0, -0.208333, 0, 1.666667],
    "hard_tanh": [-1, -0.5, 0, 1],
    "leaky_relu": [-0.6, -0.1, 0, 2],
    "linear": [-3, -0.5, 0, 2],
    "log_sigmoid": [-3.048587, -0.974077, -0.693147, -0.126928],
    "log_softmax": [-5.202254, -2.702254, -2.202254, -0.202254],
    "mish": [-0.145647, -0.220744, 0, 1.943959],
    "relu": [0, 0, 0, 2],
    "relu6": [0, 0, 0, 2],
    "selu": [-1.670568, -0.691758, 0, 2.101402],
    "sigmoid": [0.047426, 0.377541, 0.5, 0.880797],
    "silu": [-0.142278, -0.188770, 0, 1.761594],
    "soft_shrink": [-2.5, 0, 0, 1.5],
    "softmax": [0.005504, 0.067054, 0.110554, 0.816888],
    "softplus": [0.048587, 0.474077, 0.693147, 2.126928],
    "softsign": [-0.75, -0.333333, 0, 0.666667],
    "sparse_plus": [0, 0.0625, 0.25, 2],
    "sparse_sigmoid": [0, 0.25, 0.5, 1],
    "sparsemax": [0, 0, 0, 1],
    "squareplus": [0.302776, 0.780776, 1, 2.414214],
    "tanh": [-0.995055, -0.462117, 0, 0.964028],
    "tanh_shrink": [-2.004945, -0.037883, 0, 1.035972],
    "threshold": [9, 9, 9, 2],
}
SPECIAL = {
    "glu": "halves its input: its own test",
    "hard_swish": "the same as hard_silu",
    "swish": "the same as silu",
    "deserialize": "no activation",
    "get": "no activation",
    "serialize": "no activation",
}
INTEGERS_STAY = ("linear", "hard_tanh", "relu", "threshold")


def call(name, x):
    function = getattr(activations, name)
    return function(x, 1.0, 9.0) if name == "threshold" else function(x)


def test_every_activation_has_a_row():
    public = {n for n in activations.__all__ if inspect.isroutine(getattr(activations, n))}
    assert public == {*VALUES, *SPECIAL}


@pytest.mark.parametrize("name", VALUES)
def test_values(name):
    x = jnp.array([-3.0, -0.5, 0.0, 2.0])
    np.testing.assert_allclose(call(name, x), VALUES[name], atol=2e-6)


@pytest.mark.parametrize("name", VALUES)
def test_dtypes(name):
    integer = "int32" if name in INTEGERS_STAY else "float32"
    for given, wanted in {"float16": "float16", "bfloat16": "bfloat16", "int32": integer}.items():
        x = jax.ShapeDtypeStruct((2,), given)
        assert jax.eval_shape(lambda x: call(name, x), x).dtype == wanted


EXTREMES = np.array([-1e30, -1e4, -30, -1, -0.5, 0, 0.5, 1, 6, 30, 1e4, 1e30])


@pytest.mark.parametrize("name", [n for n in VALUES if n != "exponential"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_gradients_are_finite(name, dtype):
    x = jnp.asarray(EXTREMES[1:-1] if dtype == "float16" else EXTREMES, dtype)
    # One number at a time: next to 1e30, a softmax has no gradient to speak of.
    function = jax.value_and_grad(lambda x: call(name, jnp.stack([x, jnp.zeros_like(x)]))[0])
    value, grad = map(np.asarray, jax.jit(jax.vmap(function))(x))
    assert np.isfinite(grad).all(), dict(zip(x.tolist(), grad.tolist()))
    if name not in ("squareplus", "log_softmax"):  # whose squares and differences overflow
        assert np.isfinite(value).all(), dict(zip(x.tolist(), value.tolist()))


@pytest.mark.parametrize("name", [n for n in VALUES if n not in ("sparsemax", "linear")])
def test_names_and_symbols(name):
    function = activations.get(name)
    assert function is getattr(activations, name)
    assert activations.serialize(function) == name
    assert activations.deserialize(name) is function
    assert call(name, KerasTensor((None, 4))).shape == (None, 4)


def test_aliases():
    assert activations.get("swish") is activations.silu
    assert activations.get("hard_swish") is activations.hard_silu
    assert activations.get(None) is activations.linear


def test_glu():
    y = activations.glu(jnp.array([[3.0, 4.0], [0.0, 100.0]]), axis=0)
    np.testing.assert_allclose(y, [[1.5, 4.0]])
    with pytest.raises(ValueError, match="along axis -1 should be of even size"):
        activations.glu(jnp.ones((2, 3)))


def test_relu_with_every_argument():
    x = jnp.array([-3.0, 0.5, 3.0, 9.0])
    y = activations.relu(x, negative_slope=0.1, max_value=6.0, threshold=1.0)
    np.testing.assert_allclose(y, [-0.4, -0.05, 3.0, 6.0])


@pytest.mark.parametrize("shift", [-100.0, 0.0, 100.0])
def test_sparsemax_sums_to_one(shift):
    x = np.random.default_rng(0).normal(size=(5, 7)) + shift
    y = activations.sparsemax(x)
    np.testing.assert_allclose(y.sum(-1), 1, atol=1e-4)
    assert 0 < int((y == 0).sum()) < y.size
    np.testing.assert_allclose(activations.sparsemax(x.T, axis=0).T, y, atol=1e-6)


def test_custom_functions():
    def double(x):
        return 2 * x

    assert activations.get(double) is double
    with objects.CustomObjectScope({"double": double}):
        assert activations.get("double") is double
        assert activations.serialize(double)["config"] == "double"


def test_unknown_name():
    with pytest.raises(ValueError, match=r"Unknown activation 'rleu'\. Did you mean 'relu'"):
        activations.get("rleu")
