"""Quantized and LoRA layers compared with the real Keras: numbers kept, outputs, configs, files."""

import functools
import json
import warnings

import jax
import keras as real
import numpy as np
import pytest

import hornbeam as keras

rng = np.random.default_rng(0)


def normal(*shape):
    return rng.normal(size=shape).astype("float32")


# class, arguments, inputs
LAYERS = {
    "dense": ("Dense", {"units": 9, "activation": "tanh"}, normal(5, 20)),
    "heads": (
        "EinsumDense",
        {"equation": "btd,dhe->bhte", "output_shape": (2, 4, 3), "bias_axes": "he"},
        normal(3, 4, 20),
    ),
    "merge": (
        "EinsumDense",
        {"equation": "bthe,ehd->btd", "output_shape": (4, 8)},
        normal(3, 4, 5, 6),
    ),
    "turned": (
        "EinsumDense",
        {"equation": "btd,ehd->bthe", "output_shape": (4, 2, 5)},
        normal(3, 4, 6),
    ),
    "embedding": ("Embedding", {"input_dim": 20, "output_dim": 7}, rng.integers(0, 20, (3, 4))),
    "reversible": (
        "ReversibleEmbedding",
        {"input_dim": 20, "output_dim": 7, "logit_soft_cap": 3.0},
        rng.integers(0, 20, (3, 4)),
    ),
    "untied": (
        "ReversibleEmbedding",
        {"input_dim": 20, "output_dim": 7, "tie_weights": False},
        rng.integers(0, 20, (3, 4)),
    ),
}


def quantizer(k, **options):
    return k.quantizers.AbsMaxQuantizer(**options)


CONFIGS = {
    "int8": lambda k: k.quantizers.Int8QuantizationConfig(),
    "int8-weights": lambda k: k.quantizers.Int8QuantizationConfig(None, None),
    "int8-wide": lambda k: k.quantizers.Int8QuantizationConfig(
        activation_quantizer=quantizer(k, axis=-1, epsilon=0.1)
    ),
    "int4": lambda k: k.quantizers.Int4QuantizationConfig(),
    "int4/-1": lambda k: k.quantizers.Int4QuantizationConfig(block_size=-1),
    "float8": lambda k: k.quantizers.Float8QuantizationConfig(),
}
PAIRS = [
    (layer, config)
    for layer, (cls, *_) in LAYERS.items()
    for config in CONFIGS
    if (config != "float8" or "Embedding" not in cls)
    and (config not in ("int8-wide", "int8-weights") or layer == "dense")
]


@functools.cache
def plain_weights(name):
    """Weights without rows or blocks of one sign, which Keras rounds wrong in four bits."""
    layer, _ = make(keras, name)
    weights = [normal(*w.shape) for w in layer.weights]
    for w in weights:
        w[..., :2] = np.sign(w[..., :2]) * 0.1
        w.reshape(-1)[::3] *= -1
    return weights


def make(k, name):
    cls, arguments, x = LAYERS[name]
    layer = getattr(k.layers, cls)(**arguments, name="it")
    layer(x)
    return layer, x


def pair(name, config):
    """The layer of both, quantized from the same weights, and inputs."""
    both = []
    for k in (keras, real):
        layer, x = make(k, name)
        layer.set_weights(plain_weights(name))
        layer.quantize(config=CONFIGS[config](k))
        both.append(layer)
    return *both, x


def stored(layer):
    store = {}
    layer.save_own_variables(store)
    return {key: np.asarray(value) for key, value in store.items()}


def same(ours, theirs, tolerance=1e-5):
    ours, theirs = np.asarray(ours, "float32"), np.asarray(theirs, "float32")
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("name", "config"), PAIRS)
def test_layers(name, config):
    ours, theirs, x = pair(name, config)
    assert ours.dtype_policy.name == theirs.dtype_policy.name
    assert ours.count_params() == theirs.count_params()
    for what in ("trainable_variables", "non_trainable_variables"):
        assert [(v.path, v.shape) for v in getattr(ours, what)] == [
            (v.path, v.shape) for v in getattr(theirs, what)
        ]
    kept, wanted = stored(ours), stored(theirs)
    assert kept.keys() == wanted.keys()
    for key, value in kept.items():
        same(value, wanted[key])
    # Keras rounds the bias to bfloat16 beside 8-bit floats.
    same(ours(x), theirs(x), 2e-3 if config == "float8" else 1e-5)
    described = [k.saving.serialize_keras_object(y) for k, y in ((keras, ours), (real, theirs))]
    described = [json.loads(json.dumps(d)) for d in described]
    for d in described:
        d["config"].pop("activity_regularizer", None)
    assert described[0] == described[1]
    if "Embedding" in type(theirs).__name__ and hasattr(theirs, "tie_weights"):
        vectors = normal(3, 7)
        same(ours(vectors, reverse=True), theirs(vectors, reverse=True))


@pytest.mark.parametrize("name", LAYERS)
def test_order_in_files(name):
    (ours, _), (theirs, _) = make(keras, name), make(real, name)
    assert ours.variable_serialization_spec == theirs.variable_serialization_spec


@pytest.mark.parametrize(("name", "config"), [p for p in PAIRS if p[0] in ("dense", "heads")])
def test_gradients(name, config):
    ours, theirs, x = pair(name, config)
    weights = normal(*ours(x).shape)
    found = []
    for layer in (ours, theirs):
        trainable = [v.value for v in layer.trainable_variables]
        others = [v.value for v in layer.non_trainable_variables]
        paths = [v.path for v in layer.trainable_variables]

        def loss(trainable, x, layer=layer, others=others):
            outputs, _ = layer.stateless_call(trainable, others, x, training=True)
            return (outputs * weights).sum()

        of_weights, of_inputs = jax.grad(loss, (0, 1))(trainable, x)
        found.append({**dict(zip(paths, of_weights)), "inputs": of_inputs})
    assert found[0].keys() == found[1].keys()
    for path, value in found[0].items():
        # Keras rounds the gradient of the bias, too, which isn't multiplied with anything.
        tolerance = 0.5 if config == "float8" and path.endswith("bias") else 1e-4
        same(value, found[1][path], tolerance)


@pytest.mark.parametrize("name", [*LAYERS, "conv"])
def test_lora(name):
    LAYERS["conv"] = ("Conv2D", {"filters": 4, "kernel_size": 3}, normal(2, 6, 6, 3))
    factors, both = None, []
    for k in (keras, real):
        layer, x = make(k, name)
        layer.set_weights(plain_weights(name))
        layer.enable_lora(2, lora_alpha=3)
        own = [v for v in layer.trainable_variables if "lora" in v.path]
        factors = factors or [normal(*v.shape) for v in own]
        for variable, value in zip(own, factors, strict=True):
            variable.assign(value)
        both.append(layer)
    ours, theirs = both
    same(ours(x), theirs(x), 1e-4)
    for what in ("weights", "trainable_variables"):
        assert [(v.path, v.shape) for v in getattr(ours, what)] == [
            (v.path, v.shape) for v in getattr(theirs, what)
        ]
    kept, wanted = stored(ours), stored(theirs)
    assert kept.keys() == wanted.keys()
    for key, value in kept.items():
        same(value, wanted[key], 1e-4)
    assert {k: v for k, v in ours.get_config().items() if "lora" in k} == {
        "lora_rank": 2,
        "lora_alpha": 3,
    }


# Files --------------------------------------------------------------------------------------------


def small_model(k):
    L = k.layers
    return k.Sequential(
        [
            k.Input((4,), dtype="int32"),
            L.Embedding(9, 6),
            L.EinsumDense("abc,cde->abde", (4, 2, 5), bias_axes="de"),
            L.Flatten(),
            L.Dense(3, activation="tanh"),
        ]
    )


def with_lora(k, model):
    for layer in model.layers:
        if hasattr(layer, "enable_lora"):
            layer.enable_lora(2, b_initializer="random_normal")


def quantize(k, model, config):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # layers without weights, in Keras
        model.quantize(config=CONFIGS[config](k))


HOW = [["int8"], ["int4"], ["float8"], ["lora"], ["lora", "int4/-1"]]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("how", HOW, ids="+".join)
@pytest.mark.parametrize(("source", "target"), [(keras, real), (real, keras)], ids=["out", "in"])
def test_files(source, target, how, tmp_path):
    model = small_model(source)
    for step in how:
        with_lora(source, model) if step == "lora" else quantize(source, model, step)
    x, y = rng.integers(0, 9, (5, 4)), normal(5, 3)
    model.compile("sgd", "mse")
    model.train_on_batch(x, y)
    model.save(tmp_path / "m.keras")
    model.save_weights(tmp_path / "m.weights.h5")
    # What is read back has the additions of LoRA in its weights, which are rounded again.
    same_library = source.saving.load_model(tmp_path / "m.keras")
    wanted = np.asarray(same_library(x))
    if len(how) == 1:
        same(wanted, model(x), 2e-3 if how == ["float8"] else 1e-5)
    other = target.saving.load_model(tmp_path / "m.keras")
    same(other(x), wanted, 2e-3 if how == ["float8"] else 1e-5)
    other.train_on_batch(x, y)
    fresh = small_model(target)
    for step in how:
        with_lora(target, fresh) if step == "lora" else quantize(target, fresh, step)
    fresh.load_weights(tmp_path / "m.weights.h5")
    same(fresh(x), wanted, 2e-3 if how == ["float8"] else 1e-5)


@pytest.mark.parametrize("mode", ["gptq/4/5", "gptq/8/-1", "awq/4/5"])
def test_variables_of_gptq_and_awq(mode):
    # Keras's layers compute nothing before they are calibrated, so there are only these to compare.
    kept = []
    for k in (keras, real):
        layer = k.layers.Dense(7, dtype=f"{mode}_from_float32", name="it")
        layer.build((None, 20))
        kept.append([(v.path, v.shape, str(v.dtype)) for v in layer.variables])
    assert kept[0] == kept[1]
