"""Models that begin with layers which work on the host."""

import numpy as np
import pandas as pd
import pytest

import hornbeam as keras
from helpers import count_compiles
from hornbeam import layers
from hornbeam.layers._host import HostLayer


@keras.saving.register_keras_serializable("test_host")
class Letters(HostLayer):
    """The numbers of the letters of words, as many as asked for, or as the longest word has."""

    def __init__(self, length=None, **kwargs):
        super().__init__(**kwargs)
        self.length, self.seen = length, []

    def call(self, inputs):
        words = [str(word) for word in inputs.ravel()]
        self.seen.append(len(words))
        length = self.length or max(map(len, words))
        out = np.zeros((len(words), length), "int64")
        for i, word in enumerate(words):
            out[i, : len(word)] = [ord(c) - ord("a") + 1 for c in word[:length]]
        return out

    def output_spec(self, inputs):
        return (inputs.shape[0], self.length), "int32"


@keras.saving.register_keras_serializable("test_host")
class Upper(HostLayer):
    """Text from text."""

    def call(self, inputs):
        return np.array([word.upper() for word in inputs.ravel()], object).reshape(inputs.shape)

    def output_spec(self, inputs):
        return inputs.shape, "string"


@keras.saving.register_keras_serializable("test_host")
class Lower(Upper):
    """Text from text."""

    def call(self, inputs):
        return np.array([word.lower() for word in inputs.ravel()], object).reshape(inputs.shape)


pytestmark = pytest.mark.usefixtures("quick_compiles")

WORDS = ["ab", "cde", "b", "dab"] * 5
Y = np.arange(20.0).reshape(20, 1)


def body():
    return [layers.Embedding(30, 4), layers.GlobalAveragePooling1D(), layers.Dense(1)]


def sequential(length=4):
    model = keras.Sequential([keras.Input((), dtype="string"), Letters(length), *body()])
    model.compile("adam", "mse")
    return model


def two_inputs():
    """A model of a text and of numbers, with a model inside that has a host part of its own."""
    text, number = keras.Input((1,), dtype="string", name="text"), keras.Input((2,), name="number")
    encode = keras.Sequential([keras.Input((1,), dtype="string"), Letters(4), *body()])
    x = encode(Lower()(text))
    outputs = layers.Dense(1)(layers.Concatenate()([x, number]))
    model = keras.Model({"text": text, "number": number}, outputs)
    model.compile("adam", "mse")
    return model


NUMBERS = np.linspace(0, 1, 40).reshape(20, 2).astype("float32")
COLUMNS = {"text": np.array(WORDS, object), "number": NUMBERS}


def batches():
    for i in range(0, 20, 8):
        yield np.array(WORDS[i : i + 8], object), Y[i : i + 8]


@pytest.mark.parametrize(
    "x",
    [
        WORDS,
        np.array(WORDS),
        np.array(WORDS, object),
        np.array(WORDS, object)[:, None],
        np.array(WORDS, np.dtypes.StringDType()),
        pd.Series(WORDS),
        pd.DataFrame({"word": WORDS}),
    ],
    ids=["list", "str", "object", "column", "long", "series", "frame"],
)
def test_text_in_any_form(x):
    model = sequential()
    expected = np.asarray(model(np.array(WORDS, object)))
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-6)
    model.fit(x, Y, batch_size=8, verbose=0)
    assert model.evaluate(x, Y, verbose=0) > 0


def test_training_is_that_of_the_compiled_part():
    text, numbers = sequential(), keras.Sequential([keras.Input((4,), dtype="int32"), *body()])
    numbers.compile("adam", "mse")
    numbers.set_weights(text.get_weights())
    options = {"epochs": 3, "batch_size": 8, "verbose": 0, "validation_split": 0.2}
    for model, x in ((text, WORDS), (numbers, np.asarray(Letters(4)(WORDS)))):
        keras.utils.set_random_seed(1)
        model.fit(x, Y, **options)
    assert text.history.history == numbers.history.history
    for one, other in zip(text.get_weights(), numbers.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_one_program_and_one_look_at_each_row():
    model = sequential()
    model.fit(WORDS, Y, batch_size=4, epochs=1, verbose=0)
    seen = model.layers[0].seen
    assert sum(seen) <= len(WORDS) + 2, "what was made of a row is kept"
    with count_compiles() as n:
        model.fit(WORDS, Y, batch_size=4, epochs=2, verbose=0)
    assert n.of("_loop") == 0, n.names


def test_lengths_of_batches():
    """Where a layer makes a batch as long as its longest word, other rows don't matter."""
    model = sequential(length=None)
    model.fit(WORDS, Y, batch_size=4, epochs=2, verbose=0)
    found = model.predict(WORDS, batch_size=1, verbose=0)
    expected = np.concatenate([model([word]) for word in WORDS])
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("make", [dict, pd.DataFrame], ids=["dict", "frame"])
def test_several_inputs(make):
    model = two_inputs()
    x = COLUMNS
    if make is pd.DataFrame:  # of plain columns
        text, one = keras.Input((), dtype="string", name="text"), keras.Input((), name="one")
        merged = layers.Concatenate()([Letters(4)(text), layers.Reshape((1,))(one)])
        model = keras.Model([text, one], layers.Dense(1)(merged))
        model.compile("adam", "mse")
        x = {"text": np.array(WORDS, object), "one": NUMBERS[:, 0]}
    expected = np.asarray(model(x))
    np.testing.assert_allclose(model.predict(make(x), verbose=0), expected, rtol=1e-6)
    assert model.fit(make(x), Y, epochs=2, verbose=0).history["loss"]


def test_other_sources_and_steps():
    model = sequential()
    model.fit(batches(), verbose=0)
    dataset = [(x, y) for x, y in batches()]

    class Again:
        def __iter__(self):
            return iter(dataset)

    model.fit(Again(), epochs=2, verbose=0)
    x, y = dataset[0]
    assert model.train_on_batch(x, y) > 0 and model.test_on_batch(x, y) > 0
    assert model.predict_on_batch(x).shape == (8, 1)
    model.compile("adam", "mse", run_eagerly=True)
    model.fit(WORDS, Y, verbose=0)


def test_unbuilt_sequential():
    model = keras.Sequential([Letters(4), *body()])
    model.compile("adam", "mse")
    model.fit(np.array(WORDS, object)[:, None], Y, verbose=0)
    assert model.input_shape == (None, 1)
    other = keras.Sequential([Letters(4), *body()])
    assert other(WORDS).shape == (20, 1)


def test_a_step_of_ones_own():
    class Own(keras.Model):
        def train_step(self, data):
            x, y = data
            loss, grads = keras.value_and_grad(
                lambda: keras.ops.mean((self(x, training=True) - y) ** 2), self.trainable_variables
            )()
            self.optimizer.apply(grads, self.trainable_variables)
            return {"loss": loss}

    base = sequential()
    model = Own(base.inputs, base.outputs)
    model.compile("adam")
    before = model.fit(WORDS, Y, verbose=0).history["loss"][0]
    assert model.fit(WORDS, Y, epochs=20, verbose=0).history["loss"][-1] < before


def test_files_and_copies(tmp_path):
    model = two_inputs()
    model.fit(COLUMNS, Y, verbose=0)
    model.save(tmp_path / "m.keras")
    expected = model.predict(COLUMNS, verbose=0)
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(loaded.predict(COLUMNS, verbose=0), expected)
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    np.testing.assert_array_equal(copy.predict(COLUMNS, verbose=0), expected)


def test_stage():
    model = two_inputs()
    staged = model.stage(COLUMNS)
    np.testing.assert_allclose(model(staged), model(COLUMNS), rtol=1e-6)
    plain = keras.Sequential([keras.Input((3,)), layers.Dense(1)])
    assert plain.stage(Y) is Y


def test_all_of_it_on_the_host():
    text = keras.Input((), dtype="string")
    lower = keras.Model(text, Lower()(text))
    assert list(lower(["A", "b"])) == ["a", "b"]
    model = keras.Sequential([lower, Letters(2)])
    assert model.predict(["AB", "c"], verbose=0).tolist() == [[1, 2], [3, 0]]
    assert keras.Model(text, Letters(2)(lower(text))).output_shape == (None, 2)
    with pytest.raises(TypeError, match=r"Layer 'lower.*' gives text .* call the model directly"):
        lower.predict(["A"], verbose=0)


def test_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = two_inputs()
    model.fit(COLUMNS, Y, verbose=0)
    assert model.predict(COLUMNS, verbose=0).shape == (20, 1)


class Subclass(keras.Model):
    def __init__(self):
        super().__init__()
        self.letters, self.rest = Letters(4), keras.Sequential(body())

    def call(self, x):
        return self.rest(self.letters(x))


def test_called_directly():
    assert Subclass()(WORDS).shape == (20, 1)
    assert Letters(2)("ab").tolist() == [[1, 2]]
    x = Upper()(["ab", b"cd"])
    assert isinstance(x, np.ndarray) and x.tolist() == ["AB", b"CD"]


@pytest.mark.parametrize(
    "mistake, message",
    [
        (
            lambda: keras.Sequential([keras.Input((3,)), layers.Dense(2), Letters(2)]),
            r"Layer 'letters' \(Letters\) works on the host, and takes what 'dense' \(Dense\)",
        ),
        (
            lambda: layers.TimeDistributed(Letters(2))(keras.Input((3, 1))),
            "Layer '.*letters' .* works on the host, so it can't be in a compiled step",
        ),
        (lambda: sequential().fit(np.ones((20, 3, 2)), Y), r"should have shape \(None,\)"),
        (lambda: two_inputs().fit({"text": WORDS}, Y), "lacks its input 'number'"),
    ],
)
def test_mistakes(mistake, message):
    with pytest.raises((ValueError, TypeError), match=message):
        mistake()


def test_a_call_of_ones_own_is_not_split():
    model = Subclass()
    model.compile("adam", "mse")
    with pytest.raises(ValueError, match=r"a compiled step needs numbers.*functional"):
        model.fit(np.array(WORDS, object), Y, verbose=0)


def test_integers_keep_their_64_bits():
    wide = np.array([[2**60], [2**60 + 1], [5], [7]])
    lookup = layers.IntegerLookup(vocabulary=[2**60, 2**60 + 1, 5])
    inputs = keras.Input((1,), dtype="int64")
    for model in (keras.Sequential([lookup]), keras.Model(inputs, lookup(inputs))):
        assert model(wide).tolist() == [[1], [2], [3], [0]]
        assert model.predict(wide, verbose=0).tolist() == [[1], [2], [3], [0]]


def test_nested_inputs():
    a, b = keras.Input((), dtype="string"), keras.Input((1,), dtype="string")
    n = keras.Input((2,))
    merged = layers.Concatenate()([Letters(2)(a), Letters(2)(b), n])
    model = keras.Model([a, [b, {"n": n}]], merged)
    words = np.array(WORDS, object)
    expected = model([words, [words[:, None], {"n": NUMBERS}]])
    assert expected.shape == (20, 6)
    for x in ([words, [words[:, None], {"n": NUMBERS}]], [WORDS, [words, {"n": NUMBERS.tolist()}]]):
        np.testing.assert_allclose(model(x), expected)
        np.testing.assert_allclose(model.predict(x, verbose=0), expected)


def test_what_is_too_much_is_not_kept(monkeypatch):
    from hornbeam.data import _rows

    monkeypatch.setattr(_rows, "_KEPT_BYTES", 100)
    model = sequential()
    model.fit(WORDS, Y, batch_size=4, epochs=3, verbose=0)
    assert sum(model.layers[0].seen) > 3 * len(WORDS) - 5


class Rows:
    """Rows by number, as a data set of PyTorch has them."""

    __module__ = "torch.utils.data.dataset"

    def __len__(self):
        return len(WORDS)

    def __getitem__(self, i):
        return WORDS[i], Y[i]


Rows.__name__ = "Dataset"


def test_rows_by_number():
    """Also where batches have different lengths: they aren't stacked then."""
    for length in (4, None):
        model = sequential(length)
        model.fit(Rows(), batch_size=4, epochs=2, shuffle=False, verbose=0)
        expected = np.asarray(model(WORDS)) if length else None
        found = model.predict(Rows(), batch_size=1, verbose=0)
        if expected is None:
            expected = np.concatenate([model([word]) for word in WORDS])
        np.testing.assert_allclose(found, expected, rtol=1e-6)
