"""Layers as users write them: each pattern is trained, saved and loaded."""

import jax.numpy as jnp
import numpy as np
import pytest

import hornbeam as keras
from hornbeam import layers
from hornbeam.core import masks

rng = np.random.default_rng(0)
X = rng.normal(size=(6, 4)).astype("float32")
Y = rng.normal(size=(6, 2)).astype("float32")

registered = keras.saving.register_keras_serializable("test_custom")


@registered
class BuildsChildrenInCall(layers.Layer):
    """Children know their shapes only when `call` calls them."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first = layers.Dense(3)
        self.last = layers.Dense(2)

    def call(self, x):
        return self.last(jnp.tanh(self.first(x)))


@registered
class VariablesInInit(layers.Layer):
    def __init__(self, size=4, **kwargs):
        super().__init__(**kwargs)
        self.scale = self.add_weight((size,), "ones", name="scale")
        self.shift = keras.Variable(np.zeros(size, "float32"), name="shift")

    def call(self, x):
        return (x * self.scale + self.shift)[:, :2]


@registered
class BuildsForSeveralInputs(layers.Layer):
    def build(self, left_shape, right_shape):
        self.left = self.add_weight((left_shape[-1], 2), name="left")
        self.right = self.add_weight((right_shape[-1], 2), name="right")

    def call(self, left, right):
        return left @ self.left + right @ self.right


@registered
class TakesAList(layers.Layer):
    def build(self, input_shape):
        self.kernels = [self.add_weight((shape[-1], 2)) for shape in input_shape]

    def call(self, inputs):
        return sum(x @ kernel for x, kernel in zip(inputs, self.kernels))


@registered
class LayersInContainers(layers.Layer):
    def __init__(self, depth=2, **kwargs):
        super().__init__(**kwargs)
        self.blocks = [[layers.Dense(3), layers.LayerNormalization()] for _ in range(depth)]
        self.ends = {"mean": layers.Dense(2), "other": (layers.Dense(2),)}

    def call(self, x):
        for dense, norm in self.blocks:
            x = norm(dense(x))
        return self.ends["mean"](x) + self.ends["other"][0](x)


@registered
class AddsLosses(layers.Layer):
    def __init__(self, rate=0.1, **kwargs):
        super().__init__(**kwargs)
        self.rate = rate
        self.dense = layers.Dense(2)

    def call(self, x):
        y = self.dense(x)
        self.add_loss(self.rate * jnp.mean(jnp.square(y)))
        return y


@registered
class OwnConfig(layers.Layer):
    """Keeps its argument under another name, so that its config is its own."""

    def __init__(self, units, kernel_initializer="ones", **kwargs):
        super().__init__(**kwargs)
        self._size = units
        self._initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        self.kernel = self.add_weight((input_shape[-1], self._size), self._initializer)

    def call(self, x):
        return x @ self.kernel

    def get_config(self):
        initializer = keras.initializers.serialize(self._initializer)
        return {**super().get_config(), "units": self._size, "kernel_initializer": initializer}


@registered
class SharesWeights(layers.Layer):
    """An encoder, and a decoder that uses the encoder's kernel."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.encoder = layers.Dense(2)
        self.also_encoder = self.encoder

    def build(self, input_shape):
        self.encoder.build(input_shape)
        self.kernel = self.encoder.kernel
        self.bias = self.add_weight((input_shape[-1],), "zeros", name="bias")

    def call(self, x):
        decoded = self.encoder(x) @ self.kernel.value.T + self.bias
        return self.also_encoder(decoded)


def one_input(make):
    x = keras.Input((4,))
    return keras.Model(x, make()(x)), X


def two_inputs(make, as_list=False):
    a, b = keras.Input((4,)), keras.Input((2,))
    layer = make()
    return keras.Model([a, b], layer([a, b]) if as_list else layer(a, b)), [X, Y]


# name: (model and inputs, number of weights)
PATTERNS = {
    "children built in call": (lambda: one_input(BuildsChildrenInCall), 4),
    "variables made in __init__": (lambda: one_input(VariablesInInit), 2),
    "build with several inputs": (lambda: two_inputs(BuildsForSeveralInputs), 2),
    "build with a list of inputs": (lambda: two_inputs(TakesAList, as_list=True), 2),
    "layers in nested containers": (lambda: one_input(LayersInContainers), 12),
    "add_loss in call": (lambda: one_input(AddsLosses), 2),
    "own get_config": (lambda: one_input(lambda: OwnConfig(2, "he_normal")), 1),
    "weights shared by layers": (lambda: one_input(SharesWeights), 3),
}


@pytest.mark.parametrize("name", PATTERNS)
def test_patterns_are_trained_saved_and_loaded(name, tmp_path):
    make, count = PATTERNS[name]
    model, x = make()
    assert len(model.trainable_variables) == count
    model.compile("sgd", "mse")
    before = model.get_weights()
    model.fit(x, Y, epochs=2, batch_size=3, verbose=0)
    assert all((a != b).any() for a, b in zip(before, model.get_weights())), "all are trained"
    expected = model.predict(x, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict(x, verbose=0), expected, rtol=1e-6)
    model.save_weights(tmp_path / "model.weights.h5")
    other, _ = make()
    other.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_allclose(other.predict(x, verbose=0), expected, rtol=1e-6)
    copy = keras.models.clone_model(model)
    assert [w.shape for w in copy.weights] == [w.shape for w in model.weights]


def test_add_loss_counts_in_training():
    model, _ = one_input(lambda: AddsLosses(rate=0.0))
    more, _ = one_input(lambda: AddsLosses(rate=100.0))
    more.set_weights(model.get_weights())
    losses = []
    for m in (model, more):
        m.compile("sgd", "mse")
        losses.append(m.evaluate(X, Y, verbose=0))
    penalty = 100 * np.mean(model.predict(X, verbose=0) ** 2)
    assert losses[1] - losses[0] == pytest.approx(penalty, rel=1e-4)


@pytest.mark.filterwarnings("ignore:.*not all of it would come back")
def test_unregistered_layers_are_passed_by_name(tmp_path):
    class Halves(layers.Layer):
        def call(self, x):
            return x / 2

    model, x = one_input(Halves)
    model.save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match=r"Unknown class 'Halves'.*custom_objects"):
        keras.models.load_model(tmp_path / "model.keras")
    for load in (
        lambda: keras.models.load_model(
            tmp_path / "model.keras", custom_objects={"Halves": Halves}
        ),
        lambda: in_scope(Halves, tmp_path / "model.keras"),
    ):
        np.testing.assert_array_equal(load().predict(x, verbose=0), x / 2)


def in_scope(cls, path):
    with keras.saving.custom_object_scope({cls.__name__: cls}):
        return keras.models.load_model(path)


def test_a_layer_made_in_call_is_refused():
    class MakesOne(layers.Layer):
        def call(self, x):
            self.dense = layers.Dense(2)
            return self.dense(x)

    with pytest.raises(ValueError, match=r"is built.*Make variables and sublayers in `__init__`"):
        MakesOne()(X)


# Masks --------------------------------------------------------------------------------------------


class TakesMasks(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, left, right, left_mask=None, right_mask=None):
        vars(self)["seen"] = left_mask, right_mask
        return left


@pytest.mark.parametrize(
    "combine",
    [
        lambda a, b: layers.Add()([a, b]),
        lambda a, b: layers.Maximum()([a, b]),
        lambda a, b: layers.Concatenate()([a, b]),
        lambda a, b: a + b,
        lambda a, b: 2 * a - b / 3,
        lambda a, b: keras.ops.maximum(a, b),
        lambda a, b: layers.Dropout(0.1)(layers.LayerNormalization()(a * b)),
    ],
    ids=["Add", "Maximum", "Concatenate", "+", "arithmetic", "ops.maximum", "layers"],
)
def test_masks_survive(combine):
    tokens = keras.Input((None,), dtype="int32")
    embedded = layers.Embedding(5, 4, mask_zero=True)(tokens)
    layer = TakesMasks()
    model = keras.Model(tokens, layer(combine(embedded, embedded), embedded))
    out = model(np.array([[1, 0, 2]]))
    assert [m.tolist() for m in layer.seen] == [[[True, False, True]]] * 2
    assert masks.get_mask(out).tolist() == [[True, False, True]]


def test_masked_attention_ignores_padding():
    tokens = keras.Input((None,), dtype="int32")
    x = layers.Embedding(5, 4, mask_zero=True)(tokens)
    x = layers.Add()([x, layers.MultiHeadAttention(2, 3)(x, x)])
    model = keras.Model(tokens, layers.GlobalAveragePooling1D()(x))
    short, padded = np.array([[1, 2]]), np.array([[1, 2, 0, 0]])
    np.testing.assert_allclose(model(short), model(padded), rtol=1e-5)


def test_statistics_know_no_padded_batch():
    """A last batch that is short is one by itself: nothing is added to it."""
    x = (10 + rng.normal(size=(10, 3))).astype("float32")
    model = keras.Sequential([keras.Input((3,)), layers.BatchNormalization(momentum=0.5)])
    model.compile("sgd", "mse")
    model.fit(x, x, batch_size=4, epochs=1, shuffle=False, verbose=0)
    mean, variance = np.zeros(3), np.ones(3)
    for batch in (x[:4], x[4:8], x[8:]):
        mean, variance = (mean + batch.mean(0)) / 2, (variance + batch.var(0)) / 2
    np.testing.assert_allclose(model.layers[0].moving_mean, mean, rtol=1e-5)
    np.testing.assert_allclose(model.layers[0].moving_variance, variance, rtol=1e-4)


def test_a_cells_own_states_are_found():
    """The layers of this package have a name for theirs that nobody else uses."""

    class Keeps(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self._states = [keras.Variable(0.0), keras.Variable(1.0)]

    assert len(Keeps().variables) == 2
