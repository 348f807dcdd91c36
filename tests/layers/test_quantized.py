"""Laws of quantized layers: how near they are, how small, what is trained, what comes back."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hornbeam as keras
from hornbeam import layers, quantizers
from hornbeam.layers._calibrated import Statistics
from hornbeam.layers._formats import quantize

rng = np.random.default_rng(0)


def normal(*shape):
    return rng.normal(size=shape).astype("float32")


# What each layer is made from, and inputs for it.
LAYERS = {
    "dense": (lambda **kw: layers.Dense(24, bias_initializer="random_normal", **kw), normal(5, 40)),
    "heads": (
        lambda **kw: layers.EinsumDense("btd,dhe->bhte", (2, None, 6), bias_axes="he", **kw),
        normal(3, 4, 40),
    ),
    "merge": (
        lambda **kw: layers.EinsumDense("...he,ehd->...d", 8, bias_axes="d", **kw),
        normal(3, 4, 5, 6),
    ),
    "right": (
        lambda **kw: layers.EinsumDense("ab...,cb->ac...", 8, bias_axes="c", **kw),
        normal(3, 40, 5, 2),
    ),
    "many": (lambda **kw: layers.EinsumDense("abc,bcd->adb", (8, 4), **kw), normal(3, 4, 20)),
    "embedding": (lambda **kw: layers.Embedding(30, 12, **kw), rng.integers(0, 30, (3, 4))),
    "reversible": (
        lambda **kw: layers.ReversibleEmbedding(30, 12, **kw),
        rng.integers(0, 30, (3, 4)),
    ),
    "untied": (
        lambda **kw: layers.ReversibleEmbedding(30, 12, tie_weights=False, **kw),
        rng.integers(0, 30, (3, 4)),
    ),
}


Q = quantizers
CONFIGS = {
    "int8": Q.Int8QuantizationConfig(),
    "int8-weights": Q.Int8QuantizationConfig(activation_quantizer=None),
    "int4": Q.Int4QuantizationConfig(),
    "int4/8": Q.Int4QuantizationConfig(block_size=8),
    "int4/-1": Q.Int4QuantizationConfig(block_size=-1),
    "float8": Q.Float8QuantizationConfig(),
    "gptq": Q.GPTQConfig(None, None, weight_bits=8, group_size=16),
    "gptq/2": Q.GPTQConfig(None, None, weight_bits=2, group_size=5, symmetric=True),
    "awq": Q.AWQConfig(None, None, group_size=-1),
}
# The largest error of a weight, in parts of the largest weight.
BOUNDS = {
    "int8": 1 / 254, "int8-weights": 1 / 254, "int4": 1 / 7, "int4/8": 1 / 7, "int4/-1": 1 / 14,
    "float8": 1 / 16, "gptq": 1 / 127, "gptq/2": 2 / 3, "awq": 1 / 7,
}  # fmt: skip
# The largest size of what is kept, in parts of that of the floats.
SIZES = {
    "int8": 0.4, "int8-weights": 0.4, "int4": 0.3, "int4/8": 0.5, "int4/-1": 0.3,
    "float8": 10, "gptq": 0.5, "gptq/2": 0.6, "awq": 0.3,
}  # fmt: skip


PAIRS = [
    ("dense", CONFIGS),
    ("heads", ("int8", "int4/8", "gptq")),
    ("merge", ("int8", "int4/-1")),
    ("right", ("int8", "awq")),
    ("many", ("int8", "int4/8")),
    ("embedding", ("int8", "int4/8", "int4/-1")),
    ("reversible", ("int8", "int4/8")),
    ("untied", ("int8", "int4/8")),
]
TABLES = ("embedding", "reversible", "untied")
PAIRS = [(name, config) for name, configs in PAIRS for config in configs]
all_pairs = pytest.mark.parametrize(("name", "config"), PAIRS)


def quantized(name, config, **options):
    """The layer, inputs, and its outputs and weights before it was quantized."""
    make, x = LAYERS[name]
    layer = make(**options)
    y = np.asarray(layer(x))
    weights = {n: np.asarray(layer.whole(n)) for n in layer.products}
    layer.quantize(config=CONFIGS[config])
    return layer, x, y, weights


@all_pairs
def test_error(name, config):
    layer, x, y, weights = quantized(name, config)
    for n, before in weights.items():
        after = np.asarray(layer.whole(n))
        if config == "float8":  # rounded where it is multiplied
            np.testing.assert_array_equal(after, before)
        else:
            assert np.abs(after - before).max() <= BOUNDS[config] * np.abs(before).max() * 1.01
    error = np.abs(np.asarray(layer(x)) - y)
    assert 0 < error.mean() < 3 * BOUNDS[config] * np.abs(y).max()
    if name in ("reversible", "untied"):
        vectors = normal(3, 12)
        wanted = vectors @ (weights["embeddings"].T if name == "reversible" else weights[n])
        error = np.abs(np.asarray(layer(vectors, reverse=True)) - wanted)
        assert 0 < error.mean() < 3 * BOUNDS[config] * np.abs(wanted).max()


@all_pairs
def test_memory(name, config):
    layer, _, _, weights = quantized(name, config)
    size = sum(v.value.nbytes for v in layer.weights if v.name != "bias" and v.name != "g_idx")
    before = sum(w.nbytes for w in weights.values())
    assert size < before * SIZES[config]


@all_pairs
def test_round_trips(name, config):
    layer, x, _, _ = quantized(name, config)
    y = layer(x)
    store = {}
    layer.save_own_variables(store)
    copy = type(layer).from_config(layer.get_config())
    plain = layers.deserialize(layers.serialize(layer))
    for other in (copy, plain):
        if not other.built:
            other(x)
        assert type(other) is type(layer) and other.get_config() == layer.get_config()
        assert other.count_params() == layer.count_params()
        other.load_own_variables(store)
        np.testing.assert_array_equal(other(x), y)
    assert layers.serialize(layer)["class_name"] == layer.plain_class.__name__


@all_pairs
def test_compiled_is_eager(name, config):
    layer, x, _, _ = quantized(name, config)
    values = [
        [v.value for v in vs] for vs in (layer.trainable_variables, layer.non_trainable_variables)
    ]
    compiled = jax.jit(lambda t, n, x: layer.stateless_call(t, n, x)[0])(*values, x)
    np.testing.assert_allclose(compiled, layer(x), rtol=1e-4, atol=1e-5)


PRODUCTS = [(name, config) for name, config in PAIRS if name not in TABLES]


@pytest.mark.parametrize(("name", "config"), PRODUCTS)
def test_gradient_of_inputs(name, config):
    # That of the product with the weight as it is read.
    layer, x, _, _ = quantized(name, config)
    y = np.asarray(layer(x))
    weights = normal(*y.shape)
    found = jax.grad(lambda x: jnp.sum(layer(x) * weights))(x)
    kernel = layer.whole("kernel")
    if config == "float8":
        kernel = kernel.astype("float8_e4m3fn").astype("float32")
        weights = jnp.asarray(weights).astype("float8_e5m2").astype("float32")
    product = functools.partial(jnp.einsum, layer.products["kernel"].equation)
    wanted = jax.grad(lambda x: jnp.sum(product(x, kernel) * weights))(x)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("mode", ["int8", "int4"])
def test_a_number_out_of_range_is_nan(mode):
    layer = layers.Embedding(5, 3)
    layer.build()
    layer.quantize(mode)
    found = np.isnan(np.asarray(layer(np.array([4, 5, 0]))))
    np.testing.assert_array_equal(found, [[False] * 3, [True] * 3, [False] * 3])


def test_given_embeddings_are_quantized():
    given = normal(5, 3)
    layer = layers.Embedding(5, 3, weights=[given], dtype="int8_from_float32")
    np.testing.assert_allclose(layer(np.arange(5)), given, atol=np.abs(given).max() / 254 * 1.01)


def test_sums_of_integers_are_exact():
    # In 16-bit floats they would overflow, and lose digits.
    layer = layers.Dense(2, dtype="float16", kernel_initializer="ones", use_bias=False)
    x = np.ones((1, 30_000), "float16")
    layer.build(x.shape)
    layer.quantize("int8")
    np.testing.assert_allclose(layer(x), np.full((1, 2), 30_000.0), rtol=1e-3)


@pytest.mark.parametrize("config", ["int8", "int4/8", "awq"])
def test_mixed_precision(config):
    layer, x, y, _ = quantized("dense", config, dtype="mixed_bfloat16")
    assert layer.dtype_policy.name.endswith("_from_mixed_bfloat16")
    assert layer(x).dtype == "bfloat16"
    assert np.abs(np.asarray(layer(x), "float32") - y.astype("float32")).max() < 1
    assert layer.kernel_scale.dtype == "float32"


@pytest.mark.parametrize("mode", ["int8", "int4", "float8"])
def test_training_changes_what_it_should(mode):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6,)), layers.Dense(8), layers.Dense(3)])
    model.compile("adam", "mse")
    x, y = normal(16, 6), normal(16, 3)
    model.fit(x, y, verbose=0)
    model.quantize(mode)
    model.compile("adam", "mse")
    first = model.evaluate(x, y, verbose=0)
    before = {v.path: v.numpy() for v in model.variables}
    model.fit(x, y, epochs=10, verbose=0)
    assert model.evaluate(x, y, verbose=0) < first
    changed = {v.path for v in model.variables if np.any(v.numpy() != before[v.path])}
    wanted = {v.path for v in model.trainable_variables}
    assert changed == wanted and ("sequential/dense/kernel" in changed) == (mode == "float8")


def test_scales_of_float8_follow():
    layer, x, _, _ = quantized("dense", "float8")
    model = keras.Sequential([layer])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    y = normal(5, 24)
    model.fit(10 * x, y, batch_size=5, epochs=2, verbose=0)
    largest = np.abs(10 * x).max()
    np.testing.assert_allclose(layer.inputs_scale, largest / 448, rtol=1e-6)
    history = np.asarray(layer.inputs_amax_history)
    np.testing.assert_allclose(history[[0, -1]], [largest, largest], rtol=1e-6)
    assert np.count_nonzero(layer.outputs_grad_amax_history) == 2
    # With scales that fit, large inputs keep their digits.
    wanted = 10 * x @ np.asarray(layer.kernel) + np.asarray(layer.bias)
    assert np.abs(np.asarray(layer(10 * x)) - wanted).max() < 0.1 * np.abs(wanted).max()


@pytest.mark.parametrize("mode", ["int8", "int4"])
def test_one_compile(mode, compiles):
    model = keras.Sequential([keras.Input((6,)), layers.Dense(8), layers.Dense(3)])
    model.compile("sgd", "mse")
    x = normal(16, 6)
    model.predict(x, verbose=0)
    model.quantize(mode)
    wanted = model(x)
    with compiles() as n:
        found = model.predict(x, verbose=0)
        model.predict(x, verbose=0)
    assert n.of("_loop") <= 1, n.names
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_a_layer_converted_alone_is_noticed():
    # A compiled program that knows the old variables must not be used again.
    model = keras.Sequential([keras.Input((6,)), layers.Dense(3)])
    model.compile("sgd", "mse")
    x = normal(16, 6)
    model.predict(x, verbose=0)
    model.layers[0].quantize("int4")
    np.testing.assert_allclose(model.predict(x, verbose=0), model(x), rtol=1e-5, atol=1e-5)
    model.layers[0].enable_lora(1, b_initializer="ones")
    np.testing.assert_allclose(model.predict(x, verbose=0), model(x), rtol=1e-5, atol=1e-5)


# LoRA ---------------------------------------------------------------------------------------------

LORA = {
    **{name: LAYERS[name] for name in LAYERS},
    "conv": (lambda **kw: layers.Conv2D(6, 3, **kw), normal(2, 8, 8, 4)),
    "groups": (lambda **kw: layers.Conv1D(6, 3, groups=2, **kw), normal(2, 8, 4)),
    "channels": (
        lambda **kw: layers.Conv1D(6, 3, data_format="channels_first", **kw),
        normal(2, 4, 8),
    ),
}


def merged(layer):
    """A plain layer with the weights that `layer` saves."""
    store = {}
    layer.save_own_variables(store)
    config = {k: v for k, v in layer.get_config().items() if not k.startswith("lora")}
    plain = layer.plain_class.from_config(config)
    plain.build(layer.get_build_config()["input_shape"])
    plain.load_own_variables(store)
    return plain


@pytest.mark.parametrize("name", LORA)
def test_lora_is_a_low_rank_addition(name):
    make, x = LORA[name]
    alpha = None if name == "dense" else 3.0
    layer = make()
    y = layer(x)
    layer.enable_lora(2, lora_alpha=alpha)
    np.testing.assert_allclose(layer(x), y, rtol=1e-6)  # as b is 0
    a, b = layer._factors()
    before = np.asarray(layer.whole(layer.main_weight))
    b.assign(normal(*b.shape))
    after = np.asarray(layer.whole(layer.main_weight))
    factor = (alpha or 2) / 2
    np.testing.assert_allclose(after - before, factor * (a.numpy() @ b.numpy()), atol=1e-5)
    plain = merged(layer)
    assert not plain.lora_enabled and type(plain) is layer.plain_class
    np.testing.assert_allclose(plain(x), layer(x), rtol=1e-4, atol=1e-5)
    if isinstance(layer, layers.ReversibleEmbedding):
        vectors = normal(3, 12)
        wanted = plain(vectors, reverse=True)
        np.testing.assert_allclose(layer(vectors, reverse=True), wanted, rtol=1e-4, atol=1e-5)


TRAINED = [
    ("dense", None), ("dense", "int8"), ("dense", "float8"), ("right", "int4"), ("many", None),
    ("embedding", None), ("reversible", "int4"), ("untied", None), ("conv", None),
]  # fmt: skip


@pytest.mark.parametrize(("name", "mode"), TRAINED)
def test_training_with_lora_changes_only_the_addition(name, mode):
    make, x = LORA[name]
    layer = make(lora_rank=2)
    layer.build(x.shape)
    if mode:
        layer.quantize(mode)
    model = keras.Sequential([layer])
    model.compile("adam", "mse")
    model.build(x.shape)
    before = {v.path: v.numpy() for v in layer.variables}
    model.fit(x, normal(*layer(x).shape), epochs=2, verbose=0)
    changed = {
        v.path.split("/")[-1] for v in layer.variables if np.any(v.numpy() != before[v.path])
    }
    own = {f"lora_{layer.main_weight}_{factor}" for factor in "ab"}
    free = {"bias", "reverse_embeddings"} if mode is None or name != "untied" else {"bias"}
    if mode == "float8":
        changed = {n for n in changed if not n.endswith(("_scale", "_history"))}
    assert own <= changed <= own | free


@pytest.mark.parametrize("mode", ["int8", "int4", "float8"])
@pytest.mark.parametrize("first", ["lora", "format"])
def test_lora_and_formats(mode, first):
    layer = layers.Dense(24)
    x = normal(5, 40)
    layer(x)
    steps = {"lora": lambda: layer.enable_lora(2), "format": lambda: layer.quantize(mode)}
    for step in sorted(steps, key=lambda s: s != first):
        steps[step]()
    assert type(layer).__name__ == f"Lora{mode.title()}Dense"
    b = layer.lora_kernel_b
    b.assign(0.1 * normal(*b.shape))
    wanted = layer(x)
    plain = merged(layer)
    assert type(plain).__name__ == f"{mode.title()}Dense"
    error = np.abs(np.asarray(plain(x) - wanted))
    assert error.max() < 3 * BOUNDS[mode] * np.abs(np.asarray(wanted)).max()


def test_a_loaded_addition_can_be_trained_on(tmp_path):
    # Keras sets both factors to 0, so neither ever gets a gradient again.
    model = keras.Sequential([keras.Input((6,)), layers.Dense(3, lora_rank=2)])
    model.layers[0].lora_kernel_b.assign(normal(2, 3))
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    layer = again.layers[0]
    x = normal(4, 6)
    np.testing.assert_allclose(again(x), model(x), rtol=1e-5, atol=1e-6)
    assert np.all(layer.lora_kernel_b.numpy() == 0) and np.any(layer.lora_kernel_a.numpy())
    layer.trainable = False
    layer.trainable = True
    assert [v.name for v in layer.trainable_variables] == ["bias", "lora_kernel_a", "lora_kernel_b"]
    assert layer.weights[0].name == "kernel"


def test_alpha_in_the_constructor():
    # Keras forgets it when the layer is built.
    layer = layers.Dense(3, lora_rank=2, lora_alpha=8, use_bias=False)
    assert layer.weights == [] and layer.get_config()["lora_alpha"] == 8
    layer.build((None, 4))
    a, b = layer.trainable_variables
    b.assign(normal(2, 3))
    np.testing.assert_allclose(layer.whole("kernel") - layer.kernel, 4 * (a @ b), rtol=1e-4)


def test_classes_of_users(tmp_path):
    @keras.saving.register_keras_serializable("tests")
    class Mine(layers.Dense):
        def __init__(self, units, size=1, **kwargs):
            super().__init__(units, **kwargs)
            self.factor = size

        def call(self, inputs):
            return self.factor * super().call(inputs)

    model = keras.Sequential([keras.Input((6,)), Mine(3, size=2)])
    layer, x = model.layers[0], normal(4, 6)
    y = model(x)
    with pytest.raises(NotImplementedError, match=r"mine' .Mine. can't be quantized. If it reads"):
        layer.quantize("int8")
    layer.quantize("int8", type_check=False)
    layer.enable_lora(2)
    assert type(layer).__name__ == "LoraInt8Mine" and isinstance(layer, Mine)
    assert np.abs(np.asarray(model(x) - y)).max() < 0.1
    assert layers.serialize(layer)["registered_name"] == "tests>Mine"
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    assert type(again.layers[0]) is type(layer) and again.layers[0].factor == 2
    np.testing.assert_allclose(again(x), model(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("policy", ["int8_from_float32", "gptq/4/2_from_float32"])
def test_inside_of_a_layer_that_is_traced(policy):
    class Mine(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.inner = layers.Dense(3, dtype=policy)

        def call(self, inputs):
            return self.inner(inputs)

    x = keras.Input((4,))
    model = keras.Model(x, Mine()(x))
    assert model(normal(2, 4)).shape == (2, 3)
    assert np.all(np.isfinite(model.layers[1].inner.kernel_scale.numpy()))


def test_a_build_of_ones_own():
    class Mine(layers.Dense):
        def build(self, input_shape):
            shape = (input_shape[-1], self.units)
            if self.quantization_mode:
                self.quantized_build(shape, self.quantization_mode, self.quantization_config)
            self.bias = None

    layer = Mine(3, dtype="int8_from_float32")
    assert layer(normal(2, 4)).shape == (2, 3)
    assert [v.name for v in layer.weights] == ["kernel", "kernel_scale"]


# Models -------------------------------------------------------------------------------------------


def small_model():
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(8, name="one"),
            layers.LayerNormalization(name="norm"),
            layers.Dense(4, name="two"),
        ]
    )


FILTERS = [
    ("one", ["one"]),
    ("ne", ["one"]),
    (["^t", "zzz"], ["two"]),
    (lambda layer: layer.name != "one", ["two"]),
    ([], []),
]


@pytest.mark.parametrize(("filters", "wanted"), FILTERS)
def test_filters(filters, wanted):
    model = small_model()
    model.quantize("int8", filters=filters)
    assert [x.name for x in model.layers if x.quantization_mode] == wanted


def test_what_cant_be_quantized_is_named():
    model = small_model()
    with pytest.warns(
        UserWarning, match=r"can't be quantized to int8.*: 'sequential.*norm' .LayerNorm\w*.\."
    ):
        model.quantize("int8")
    assert "Dense" in str(model.get_config()) and "Int8Dense" not in str(model.get_config())
    lines = []
    model.summary(print_fn=lines.append)
    assert "(Dense)" in "".join(lines) and "Int8" not in "".join(lines)
    copy = keras.models.clone_model(model)
    assert type(copy.layers[0]) is type(model.layers[0])
    assert copy.count_params() == model.count_params()


def test_inside_of_other_layers():
    x = keras.Input((5, 4))
    model = keras.Model(x, layers.MultiHeadAttention(2, 3)(x, x))
    inputs = normal(2, 5, 4)
    y = model(inputs)
    model.quantize("int8")
    kinds = [type(layer).__name__ for layer in model._flatten_layers()]
    assert kinds.count("Int8EinsumDense") == 4
    assert 0 < np.abs(np.asarray(model(inputs) - y)).max() < 0.1


def unchanged(layer):
    return type(layer) is layer.plain_class and layer.kernel.dtype == "float32"


def dense(**kwargs):
    layer = layers.Dense(4, name="d", **kwargs)
    layer.build((None, 3))
    return layer


MISTAKES = [
    (layers.Dense(4, name="d"), ("int8",), {}, "'d' .Dense. can't be quantized before it is built"),
    (dense(), ("int5",), {}, "mode should be one of 'int8', .*'int5'"),
    (dense(), (), {}, "needs a `mode`, such as 'int8', or a `config`"),
    (dense(), ("int4",), {"config": Q.Int8QuantizationConfig()}, "'int4' contradicts config"),
    (dense(), ("gptq",), {}, r"'gptq' needs its data: pass config=GPTQConfig"),
    (dense(), (), {"config": 3}, "config should be a QuantizationConfig; received 3"),
    (dense(lora_rank=1), (), {"config": Q.AWQConfig(0, 0)}, "LoRA doesn't go with awq"),
    (
        dense(),
        (),
        {"config": Q.Int8QuantizationConfig(Q.AbsMaxQuantizer(axis=1))},
        r"scales of shape \(1, 4\) .* received \(3, 1\)",
    ),
]


@pytest.mark.parametrize(("layer", "arguments", "options", "message"), MISTAKES)
def test_mistakes_change_nothing(layer, arguments, options, message):
    before = type(layer), layer.get_config(), [v.numpy() for v in layer.weights]
    with pytest.raises((ValueError, NotImplementedError), match=message):
        layer.quantize(*arguments, **options)
    assert (type(layer), layer.get_config()) == before[:2]
    for old, new in zip(before[2], layer.weights, strict=True):
        np.testing.assert_array_equal(old, new)


def test_twice():
    model = small_model()
    model.quantize("int8", filters="two")
    with pytest.raises(
        ValueError, match=r"two' .Dense. is quantized already: .*'int8_from_float32'"
    ):
        model.quantize("int4", filters=lambda layer: True)
    assert unchanged(model.layers[0])
    with pytest.raises(ValueError, match=r"two' .Dense. is quantized"):
        model.layers[-1].quantize("int8")


def test_other_mistakes():
    with pytest.raises(ValueError, match=r"Model 'sequential.*' can't be quantized before it is"):
        keras.Sequential([layers.Dense(3)]).quantize("int8")
    with pytest.raises(ValueError, match="filters should be a regular expression"):
        small_model().quantize("int8", filters=3)
    with pytest.raises(
        TypeError, match=r"quantize takes no argument 'filter'. Did you mean 'filte"
    ):
        small_model().quantize("int8", filter="one")
    with pytest.raises(NotImplementedError, match="LayerNormalization can't be quantized"):
        layers.LayerNormalization().quantize("int8")
    with pytest.raises(ValueError, match=r"can't become 'int8_from_float32': call layer.quantize"):
        dense().dtype_policy = "int8_from_float32"
    with pytest.raises(ValueError, match="quantization_config should be a QuantizationConfig"):
        layers.Dense(3, quantization_config=4)
    embedding = layers.Embedding(3, 4)
    embedding.build()
    with pytest.raises(
        NotImplementedError, match=r"quantized to 'int8', 'int4'; received .*'float8'"
    ):
        embedding.quantize("float8")
    conv = layers.Conv1D(3, 2)
    conv.build((None, 4, 3))
    with pytest.raises(NotImplementedError, match=r"'conv1d.*' .Conv1D. can't be quantized"):
        conv.quantize("int8")


def test_mistakes_with_lora():
    with pytest.raises(ValueError, match="enable_lora needs a built layer"):
        layers.Dense(3).enable_lora(2)
    with pytest.raises(ValueError, match="has LoRA already, of rank 2"):
        dense(lora_rank=2).enable_lora(1)
    with pytest.raises(ValueError, match="rank should be a positive int; received 0"):
        dense().enable_lora(0)
    for make in (
        lambda: dense(kernel_constraint="non_neg").enable_lora(2),
        lambda: dense(kernel_constraint="non_neg", lora_rank=2),
    ):
        with pytest.raises(ValueError, match="Leave kernel_constraint out"):
            make()
    with pytest.raises(NotImplementedError, match="LoRA doesn't go with gptq"):
        dense(dtype="gptq/4/2_from_float32").enable_lora(2)


# GPTQ and AWQ -------------------------------------------------------------------------------------

VOCABULARY, LENGTH, WIDTH = 20, 8, 16


def language_model():
    """A model of two blocks whose layers get inputs of very different sizes, and its structure."""
    keras.utils.set_random_seed(0)
    embedding = layers.Embedding(VOCABULARY, WIDTH)
    sizes = np.exp(np.random.default_rng(1).normal(size=WIDTH))
    tokens = keras.Input((LENGTH,), dtype="int32")
    x, parts = embedding(tokens), []
    embedding.embeddings.assign(embedding.embeddings * (20 * sizes))
    for i in range(2):
        start = keras.Input((LENGTH, WIDTH))
        y = layers.Dense(24, "relu", name=f"up{i}")(start)
        y = layers.EinsumDense("btd,dhe->bthe", (None, 2, 5), name=f"in{i}")(y)
        y = layers.EinsumDense("bthe,hed->btd", (None, WIDTH), name=f"out{i}")(y)
        parts.append(keras.Model(start, start + y, name=f"block{i}"))
        x = parts[-1](x)
    model = keras.Model(tokens, layers.Dense(VOCABULARY, name="head")(x))
    return model, {"pre_block_layers": [embedding], "sequential_blocks": parts}


KEY = "sequential_blocks"
TOKENS = np.random.default_rng(2).integers(0, VOCABULARY, (40, LENGTH))
CALIBRATED = [
    (quantizers.GPTQConfig, {"group_size": 8}),
    (quantizers.GPTQConfig, {"group_size": -1, "weight_bits": 3, "activation_order": True}),
    (quantizers.GPTQConfig, {"group_size": 8, "symmetric": True, "weight_bits": 2}),
    (quantizers.GPTQConfig, {"group_size": 5, "per_channel": False}),
    (quantizers.AWQConfig, {"group_size": 8}),
    (quantizers.AWQConfig, {"group_size": 5, "num_grid_points": 5}),
]


@pytest.mark.parametrize(("cls", "options"), CALIBRATED)
def test_calibrated_is_nearer_than_rounded(cls, options, tmp_path):
    model, structure = language_model()
    y = np.asarray(model(TOKENS))
    first = structure[KEY][0].layers[1]
    wanted = np.asarray(first(structure["pre_block_layers"][0](TOKENS)))
    config = functools.partial(cls, sequence_length=LENGTH, num_samples=40, **options)
    model.quantize(config=config(TOKENS, None, quantization_layer_structure=structure))
    _, other = language_model()
    for block in other[KEY]:
        for layer in block.layers:
            if isinstance(layer, layers.Dense | layers.EinsumDense):
                layer.quantize(config=config(None, None))
    # The first layer gets the inputs that it was calibrated for.
    x = structure["pre_block_layers"][0](TOKENS)
    layer, plain = (blocks[0].layers[1] for blocks in (structure[KEY], other[KEY]))
    errors = [np.square(np.asarray(d(x)) - wanted).mean() for d in (layer, plain)]
    assert 0 < errors[0] < 0.9 * errors[1]
    assert np.abs(np.asarray(model(TOKENS)) - y).mean() < 0.4 * np.abs(y).mean()
    kinds = [layer.quantization_mode for layer in model._flatten_layers()]
    assert kinds.count(config(None, None).mode) == 6  # what is in the blocks
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(again(TOKENS), model(TOKENS))


def optimal_rounding(matrix, hessian, bits, size):
    """GPTQ as its paper derives it: by the inverse of what is left of the Hessian."""
    matrix, rounded = matrix.copy(), np.zeros_like(matrix)
    for i in range(matrix.shape[1]):
        if i % size == 0:
            group = matrix[:, i : i + size]
            low = np.minimum(group.min(axis=1), 0)
            scale = (np.maximum(group.max(axis=1), 0) - low) / (2**bits - 1)
            zero = np.round(-low / scale)
        q = np.clip(np.round(matrix[:, i] / scale) + zero, 0, 2**bits - 1)
        rounded[:, i] = (q - zero) * scale
        left = np.linalg.inv(hessian[i:, i:])
        error = (matrix[:, i] - rounded[:, i]) / left[0, 0]
        matrix[:, i:] -= np.outer(error, left[0])
    return rounded


@pytest.mark.parametrize(("bits", "size"), [(4, 4), (3, 10), (8, 3)])
def test_gptq_is_optimal_rounding(bits, size):
    x = normal(50, 10) @ normal(10, 10)
    layer = layers.Dense(6)
    layer(x)
    kernel = layer.kernel.numpy()
    statistics = Statistics(layer.products["kernel"])
    for part in (x[:20], x[20:].reshape(5, 6, 10)):
        statistics.add(jnp.asarray(part))
    config = quantizers.GPTQConfig(None, None, weight_bits=bits, group_size=size)
    quantize(layer, None, True, config, {"kernel": statistics})
    hessian = x.T.astype("float64") @ x / 50
    hessian += 0.01 * np.diag(hessian).mean() * np.eye(10)
    wanted = optimal_rounding(kernel.T.astype("float64"), hessian, bits, size).T
    found = layer.whole("kernel")
    # A weight that lies in the middle may be rounded the other way, and then others follow.
    assert np.mean(np.abs(found - wanted) < 1e-4) > 0.9


def test_texts_and_structure_of_the_model():
    class Mine(keras.Model):
        def get_quantization_layer_structure(self, mode=None):
            return {"pre_block_layers": [keras.ops.copy], "sequential_blocks": [self.layers[-1]]}

    x = keras.Input((LENGTH,), dtype="float32")
    model = Mine(x, layers.Dense(3)(x))
    config = quantizers.GPTQConfig(
        ["some text", "more"], lambda text: [ord(c) for c in text], sequence_length=LENGTH
    )
    model.quantize(config=config)
    assert model.layers[-1].quantization_mode == "gptq"


def test_mistakes_of_calibration():
    model, structure = language_model()
    make = functools.partial(quantizers.GPTQConfig, quantization_layer_structure=structure)
    cases = [
        (quantizers.GPTQConfig(TOKENS, None), "has to know which those are. .*received None"),
        (make(None, None), "GPTQConfig has no dataset"),
        (make(["text"], None), "dataset has texts, but no tokenizer"),
        (make(TOKENS[:1], None), "has 8 tokens, too few for sequence_length=512"),
    ]
    for config, message in cases:
        with pytest.raises(ValueError, match=message):
            model.quantize(config=config)
        assert not any(layer.quantization_mode for layer in model._flatten_layers())
