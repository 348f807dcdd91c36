"""`FeatureSpace`: tables to vectors, against Keras on TensorFlow, in models and in files."""

import json
import pathlib

import numpy as np
import pandas as pd
import pytest

import hornbeam as keras

Space = keras.utils.FeatureSpace
pytestmark = pytest.mark.usefixtures("quick_compiles")

GOLDEN = pathlib.Path(__file__).parents[1] / "saving" / "golden"  # by scripts/record_text
ABOUT = json.loads((GOLDEN / "space_keras_tf.json").read_text())
TABLE, VECTORS = {k: np.array(v) for k, v in ABOUT["inputs"].items()}, np.array(ABOUT["outputs"])


def make(**kwargs):
    features = {
        "normal": "float_normalized",
        "word": Space.string_categorical(max_tokens=10),
        "whole": Space.integer_categorical(num_oov_indices=2),
        "bins": Space.float_discretized(num_bins=3),
        "hash": Space.string_hashed(num_bins=5),
        "plain": "float",
        "digits": Space.integer_hashed(7),
        "scaled": Space.float_rescaled(0.5, 1.0),
    }
    crosses = [Space.cross(("word", "whole"), crossing_dim=8), ("word", "bins")]
    return Space(features, crosses=crosses, crossing_dim=16, **kwargs)


def batches(size=2):
    return [{k: v[i : i + size] for k, v in TABLE.items()} for i in range(0, 4, size)]


@pytest.mark.parametrize(
    "data",
    [
        TABLE,
        pd.DataFrame(TABLE),
        batches(),
        batches(1),
        [(batch, 0) for batch in batches()],
        [{k: v[0] for k, v in batch.items()} for batch in batches(1)],
    ],
    ids=["dict", "frame", "batches", "single", "pairs", "rows"],
)
def test_vectors_are_those_of_keras(data):
    space = make()
    space.adapt(data)
    np.testing.assert_allclose(space(TABLE), VECTORS, rtol=1e-6)
    np.testing.assert_allclose(space(pd.DataFrame(TABLE)), VECTORS, rtol=1e-6)
    row = space({key: column[1] for key, column in TABLE.items()})
    np.testing.assert_allclose(row, VECTORS[1], rtol=1e-6)


def test_files_of_keras():
    space = keras.saving.load_model(GOLDEN / "space_keras_tf.keras")
    assert isinstance(space, Space)
    np.testing.assert_allclose(space(TABLE), VECTORS, rtol=1e-6)


def test_in_a_model_and_its_file(tmp_path):
    space = make()
    space.adapt(TABLE)
    outputs = keras.layers.Dense(1)(space.get_encoded_features())
    model = keras.Model(space.get_inputs(), outputs)
    model.compile("adam", "mse")
    model.fit(pd.DataFrame(TABLE), np.arange(4.0), verbose=0)
    expected = model.predict(TABLE, verbose=0)
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(loaded.predict(TABLE, verbose=0), expected)
    space.save(tmp_path / "s.keras")
    np.testing.assert_array_equal(
        keras.saving.load_model(tmp_path / "s.keras")(TABLE), space(TABLE)
    )


def test_as_a_layer():
    space = make()
    space.adapt(TABLE)
    inputs = {key: keras.Input((1,), dtype=x.dtype) for key, x in space.get_inputs().items()}
    model = keras.Model(inputs, space(inputs))
    np.testing.assert_allclose(model.predict(TABLE, verbose=0), VECTORS, rtol=1e-6)


def test_numbers_of_categories():
    space = Space(
        {
            "word": Space.string_categorical(output_mode="int"),
            "text": Space.feature(
                "string", keras.layers.TextVectorization(output_mode="count"), "float"
            ),
        },
        output_mode="dict",
    )
    space.adapt({"word": ["b", "a", "b"], "text": ["one two", "two", ""]})
    found = space({"word": ["a", "c"], "text": ["two two", "three"]})
    assert found["word"].tolist() == [[2], [0]]
    assert found["text"].tolist() == [[0, 2, 0], [1, 0, 0]]


def test_adapting_again_and_nothing_to_adapt():
    space = Space({"word": "string_categorical"})
    space.adapt({"word": ["a"]})
    assert space({"word": ["a"]}).tolist() == [[0, 1]]
    space.adapt({"word": ["b", "c"]})
    assert space({"word": ["b", "c"]}).shape == (2, 3)
    plain = Space({"x": "float", "h": Space.string_hashed(3)})
    assert plain({"x": [1.0], "h": ["a"]}).shape == (1, 4)


def test_missing_values():
    space = Space({"n": "float_normalized", "w": "string_categorical"})
    frame = pd.DataFrame({"n": [1.0, None, 3.0], "w": ["a", None, "b"]})
    space.adapt(frame)
    found = np.asarray(space(frame))
    np.testing.assert_allclose(found[:, 0], [-1, np.nan, 1])
    assert found[1, 1:].tolist() == [1, 0, 0], "a missing word is an unknown one"


@pytest.mark.parametrize(
    "mistake, message",
    [
        (lambda: Space({}), "FeatureSpace's features should be a dict"),
        (lambda: Space({"a": "floot"}), "Feature 'a' should be one of.*Did you mean 'float'"),
        (lambda: Space({"a": "float"}, crosses=[("a", "b")]), "cross is of 'b'"),
        (lambda: make()(TABLE), r"depend on data. Call `adapt\(data\)` first"),
        (lambda: make().adapt({"normal": [1.0]}), "lacks the column"),
        (lambda: make().adapt([]), "at least one example"),
        (lambda: Space.feature("string", 3, "int"), "preprocessor should be a layer"),
        (
            lambda: Space({"w": Space.string_hashed(3, output_mode="int")}).get_inputs(),
            "'w' can't be part of one vector",
        ),
    ],
)
def test_mistakes(mistake, message):
    with pytest.raises(ValueError, match=message):
        mistake()
