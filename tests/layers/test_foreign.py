"""Layers that hold models of other libraries."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hornbeam as keras
from hornbeam import layers

rng = np.random.default_rng(0)
X = rng.normal(size=(8, 4)).astype("float32")


@keras.saving.register_keras_serializable("test_foreign")
def call(params, state, rng, inputs, training):
    x = inputs @ params["w"] + params["b"][0]
    if training:
        x = jnp.where(jax.random.bernoulli(rng, 0.5, x.shape), x, 0)
    return x, {"calls": state["calls"] + 1}


@keras.saving.register_keras_serializable("test_foreign")
def init(rng, inputs):
    w = jax.random.normal(rng, (inputs.shape[-1], 2))
    return {"w": w, "b": [jnp.zeros(2)]}, {"calls": jnp.int32(0)}


def test_function_with_state_and_random_numbers():
    layer = layers.JaxLayer(call, init, seed=1)
    out = layer(X)
    np.testing.assert_allclose(out, X @ layer.params["w"].numpy(), rtol=1e-5)
    assert [(v.path, v.shape, v.trainable) for v in layer.weights] == [
        ("jax_layer/variable", (2,), True),
        ("jax_layer/variable_1", (4, 2), True),
        ("jax_layer/variable_2", (), False),
    ]
    one, two = layer(X, training=True), layer(X, training=True)
    assert not np.array_equal(one, two)
    assert int(layer.state["calls"]) == 3 and int(layer.seed_generator.state[1]) == 2
    assert layers.JaxLayer(call, init)(keras.Input((4,))).shape == (None, 2)


def test_a_function_is_trained_and_saved(tmp_path):
    model = keras.Sequential([keras.Input((4,)), layers.JaxLayer(call, init), layers.Dense(1)])
    model.compile("adam", "mse")
    before = model.get_weights()
    model.fit(X, X[:, :1], epochs=1, batch_size=4, verbose=0)
    assert all(not np.array_equal(a, b) for a, b in zip(before, model.get_weights()))
    assert int(model.layers[0].state["calls"]) == 2
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict(X, verbose=0), model.predict(X, verbose=0), rtol=1e-6)


def test_given_params_and_any_tree_of_inputs():
    params = {"scale": np.float32(2), "steps": np.int32(3)}
    layer = layers.JaxLayer(lambda params, inputs: inputs["a"] * params["scale"], params=params)
    np.testing.assert_array_equal(layer({"a": X}), 2 * X)
    assert [v.dtype for v in layer.trainable_variables] == ["float32"]
    assert [v.dtype for v in layer.non_trainable_variables] == ["int32"]


def test_zeros_for_init_have_the_dtype_of_the_inputs():
    def look_up(params, inputs):
        return params[inputs]

    layer = layers.JaxLayer(look_up, lambda rng, inputs, training: jnp.eye(3)[inputs[0] :])
    assert layer(np.array([1, 2])).shape == (2, 3)


def test_a_layer_without_variables():
    layer = layers.JaxLayer(lambda inputs, training: -inputs if training else inputs)
    np.testing.assert_array_equal(layer(X, training=True), -X)
    assert layer.params is None and layer.weights == []


@pytest.mark.parametrize(
    "act, error, message",
    [
        (lambda: layers.JaxLayer(call), ValueError, "give init_fn, or params"),
        (lambda: layers.JaxLayer(lambda x: x), ValueError, "call_fn should.*takes inputs.*takes x"),
        (lambda: layers.JaxLayer(call, lambda key: 0), ValueError, "init_fn should"),
        (lambda: layers.JaxLayer(3), ValueError, "call_fn should be a function"),
        (
            lambda: layers.JaxLayer(lambda inputs, state: (inputs, 1), state={"n": 0})(X),
            ValueError,
            "state of the same structure",
        ),
        (lambda: layers.TorchModuleWrapper(None), NotImplementedError, "PyTorch.*JaxLayer"),
        (lambda: layers.TFSMLayer.from_config({"filepath": "x"}), ValueError, "a program"),
    ],
)
def test_mistakes_are_explained(act, error, message):
    with pytest.raises(error, match=message):
        act()


@pytest.mark.parametrize(
    "module, make",
    [("flax", lambda: layers.FlaxLayer(None)), ("tensorflow", lambda: layers.TFSMLayer("x"))],
)
def test_missing_packages_are_named(module, make, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=f"needs the package {module}.*pip install"):
        make()


# Flax ---------------------------------------------------------------------------------------------


def linen_module():
    nn = pytest.importorskip("flax.linen")

    class Module(nn.Module):
        @nn.compact
        def __call__(self, inputs, training=False):
            x = nn.BatchNorm(use_running_average=not training)(nn.Dense(3)(inputs))
            return nn.Dense(1)(nn.Dropout(0.5, deterministic=not training)(x))

        @nn.compact
        def twice(self, inputs):
            return nn.Dense(2, name="dense")(inputs) * 2

    return Module()


def nnx_module():
    nnx = pytest.importorskip("flax.nnx")

    class Module(nnx.Module):
        def __init__(self, rngs):
            self.first = nnx.Linear(4, 3, rngs=rngs)
            self.norm = nnx.BatchNorm(3, rngs=rngs)
            self.dropout = nnx.Dropout(0.5, rngs=rngs)
            self.last = nnx.Linear(3, 1, rngs=rngs)

        def __call__(self, inputs):
            return self.last(self.dropout(self.norm(self.first(inputs))))

    return Module(nnx.Rngs(0))


@pytest.mark.parametrize("make", [linen_module, nnx_module])
def test_flax_modules_are_trained(make):
    layer = layers.FlaxLayer(make())
    model = keras.Sequential([keras.Input((4,)), layer])
    assert len(layer.trainable_variables) == 6
    assert {v.shape for v in layer.tracked_state} >= {(3,)}
    one, two = layer(X, training=True), layer(X, training=True)
    assert not np.array_equal(one, two), "dropout"
    np.testing.assert_array_equal(layer(X), layer(X))
    model.compile("adam", "mse")
    before = model.get_weights()
    model.fit(X, X[:, :1], epochs=2, batch_size=4, verbose=0)
    changed = [not np.array_equal(a, b) for a, b in zip(before, model.get_weights())]
    assert sum(changed) >= 8, "parameters and running means"


def test_flax_variables_and_methods():
    module = linen_module()
    variables = module.init(jax.random.key(0), X)
    layer = layers.FlaxLayer(module, variables=variables)
    np.testing.assert_allclose(layer(X), module.apply(variables, X), rtol=1e-5)
    for method in ("twice", lambda module, inputs: module.twice(inputs)):
        layer = layers.FlaxLayer(module, method=method)
        layer.build((None, 4))
        kernel = layer.params["params"]["dense"]["kernel"].numpy()
        np.testing.assert_allclose(layer(X), 2 * X @ kernel, rtol=1e-5)


def test_flax_modules_only():
    pytest.importorskip("flax")
    with pytest.raises(ValueError, match=r"flax.linen.Module or a flax.nnx.Module"):
        layers.FlaxLayer(3)
