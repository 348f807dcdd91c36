"""Copies of models: `clone_model`, `copy.deepcopy`, `pickle`."""

import copy
import pickle

import numpy as np
import pytest

import hornbeam as keras
from hornbeam import layers

pytestmark = pytest.mark.usefixtures("quick_compiles")

TEXTS, Y = np.array(["a b", "b c", "c", "a"] * 4, dtype=object), np.arange(16.0)[:, None]
NUMBERS = np.linspace(-1, 1, 48).reshape(16, 3).astype("float32")


def of_text():
    vectorize = layers.TextVectorization(output_mode="tf_idf")
    vectorize.adapt(TEXTS)
    return keras.Sequential([keras.Input((), dtype="string"), vectorize, layers.Dense(1)]), TEXTS


def of_numbers():
    inputs = keras.Input((3,))
    x = layers.Dense(4, activation="relu", kernel_regularizer="l2")(inputs)
    x = layers.Dropout(0.5)(layers.BatchNormalization()(x))
    return keras.Model(inputs, layers.Dense(1)(x) + inputs[:, :1]), NUMBERS


@pytest.mark.parametrize("make", [of_text, of_numbers])
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_the_whole_model(make, copied):
    model, x = make()
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(x, Y, verbose=0)
    other = copied(model)
    expected = model.predict(x, verbose=0)
    np.testing.assert_array_equal(other.predict(x, verbose=0), expected)
    histories = []
    for each in (model, other):
        keras.utils.set_random_seed(0)
        histories.append(each.fit(x, Y, verbose=0).history)
    assert histories[0] == histories[1]
    other.set_weights([0 * w for w in other.get_weights()])
    assert abs(model.predict(x, verbose=0)).max() > 0, "they share nothing"


@pytest.mark.parametrize("make", [of_text, of_numbers])
def test_the_structure(make):
    model, x = make()
    other = keras.models.clone_model(model)
    other.set_weights(model.get_weights())
    expected = model.predict(x, verbose=0)
    np.testing.assert_array_equal(other.predict(x, verbose=0), expected)


def test_a_clone_has_the_vocabulary():
    lookup = layers.StringLookup()
    lookup.adapt(["a", "b", "a"])
    other = lookup.clone()
    lookup.adapt(["c"])
    assert other.get_vocabulary() == ["[UNK]", "a", "b"]
    assert lookup.get_vocabulary() == ["[UNK]", "c"]
