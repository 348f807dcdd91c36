"""`RematScope`: which layers are rematerialized, and that nothing else changes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hornbeam as keras
from helpers import Busy

X = np.linspace(-1, 1, 8).reshape(2, 4).astype("float32")


def regions(function, *args):
    """How many parts of a function are computed again in the backward pass."""
    text = str(jax.make_jaxpr(function)(*args))
    return text.count(" remat2[") + text.count(" checkpoint[")  # JAX has called it both


def forward(layer):
    """A layer as a function of one array."""
    state = (
        [v.value for v in layer.trainable_variables],
        [v.value for v in layer.non_trainable_variables],
    )
    return lambda x: layer.stateless_call(*state, x)[0]


# mode, its arguments, and how many parts of the layers below it concerns
SCOPES = [
    ("full", {}, {"dense": 1, "plain": 1, "model": 3}),
    ("activations", {}, {"dense": 1, "plain": 0, "model": 2}),
    ("larger_than", {"output_size_threshold": 5}, {"dense": 1, "plain": 1, "model": 3}),
    ("larger_than", {"output_size_threshold": 6}, {"dense": 0, "plain": 1, "model": 0}),
    ("larger_than", {"output_size_threshold": 8}, {"dense": 0, "plain": 0, "model": 0}),
    ("list_of_layers", {"layer_names": ["dense", "b"]}, {"dense": 1, "plain": 0, "model": 1}),
    ("list_of_layers", {}, {"dense": 0, "plain": 0, "model": 0}),
    (None, {}, {"dense": 0, "plain": 0, "model": 0}),
]


@pytest.mark.parametrize(("mode", "arguments", "counts"), SCOPES)
def test_modes(mode, arguments, counts):
    def make():
        inputs = keras.Input((4,))
        outputs = keras.layers.Dense(3, name="b")(keras.layers.Dense(3, "relu", name="a")(inputs))
        return {
            "dense": keras.layers.Dense(3, "relu", name="dense"),
            "plain": keras.layers.BatchNormalization(name="plain"),
            "model": keras.Model(inputs, outputs, name="model"),
        }

    with keras.RematScope(mode, **arguments):
        layers = make()
    for layer in layers.values():
        if not layer.built:
            layer.build((None, 4))
    assert {name: regions(forward(layer), X) for name, layer in layers.items()} == counts
    plain = make()["model"]
    with keras.RematScope("full"):  # too late: what counts is the scope that layers are made in
        assert regions(forward(plain), X) == 0


def test_scopes_nest():
    with keras.RematScope("full"):
        with keras.RematScope(None):
            inner = keras.layers.Dense(3)
        outer = keras.layers.Dense(3)
    counts = []
    for layer in (inner, outer):
        layer.build((None, 4))
        counts.append(regions(forward(layer), X))
    assert counts == [0, 1]


def test_activations_keep_products():
    """Only the activation is computed again, not the matrix product before it."""
    with keras.RematScope("activations"):
        layer = keras.layers.Dense(3, jnp.tanh)
    layer.build((None, 4))
    jaxpr = str(jax.make_jaxpr(jax.grad(lambda x: forward(layer)(x).sum()))(X))
    with keras.RematScope("full"):
        whole = keras.layers.Dense(3, jnp.tanh)
    whole.build((None, 4))
    again = str(jax.make_jaxpr(jax.grad(lambda x: forward(whole)(x).sum()))(X))
    assert jaxpr.count("dot_general[") < again.count("dot_general[")


@pytest.mark.parametrize("mode", ["full", "larger_than"])
def test_training_is_the_same(mode):
    """Moving averages, random states, losses and metrics inside the recomputed parts are kept."""

    def trained(mode):
        keras.utils.set_random_seed(1)
        with keras.RematScope(mode, output_size_threshold=6):
            model = keras.Sequential([keras.Input((4,)), Busy(name="busy"), keras.layers.Dense(1)])
        model.compile("adam", "mse", metrics=["mae"])
        logs = model.fit(np.tile(X, (4, 1)), np.ones((8, 1)), 4, epochs=3, verbose=0).history
        return logs, [v.numpy() for v in model.variables]

    (logs, values), (plain_logs, plain_values) = trained(mode), trained(None)
    for name, numbers in plain_logs.items():
        np.testing.assert_allclose(logs[name], numbers, rtol=1e-6, err_msg=name)
    for value, plain in zip(values, plain_values, strict=True):
        np.testing.assert_allclose(value, plain, rtol=1e-5, atol=1e-7)


def test_errors():
    with pytest.raises(ValueError, match=r"RematScope's mode should be one of 'full'.*'ful'"):
        keras.RematScope("ful")
