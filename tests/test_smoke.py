"""The whole way once, in seconds: a model built, fitted, evaluated, saved, loaded."""

import numpy as np
import pytest

import hornbeam as keras


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 8, 8, 1)).astype("float32")
    return x, (x.mean((1, 2, 3)) > 0).astype("int32")


def small_model():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )


def test_fit_evaluate_predict_save_load(data, tmp_path):
    x, y = data
    keras.utils.set_random_seed(0)
    model = small_model()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(x, y, batch_size=32, epochs=8, validation_split=0.2, verbose=0)
    assert set(history.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert history.history["loss"][-1] < history.history["loss"][0]
    loss, accuracy = model.evaluate(x, y, verbose=0)
    assert 0 < loss < 1 and 0.5 < accuracy <= 1
    before = model.predict(x, verbose=0)
    assert before.shape == (120, 2)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(x, verbose=0), before)
    # The optimizer came along: both go on in the same way.
    np.testing.assert_allclose(
        model.train_on_batch(x, y)[0], again.train_on_batch(x, y)[0], rtol=1e-6
    )


def test_functional_model_with_two_inputs():
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    model = keras.Model({"a": a, "b": b}, keras.layers.Dense(1)(a * 2 + b))
    model.compile("sgd", "mse")
    x = {"a": np.ones((8, 3)), "b": np.zeros((8, 3))}
    first = model.train_on_batch(x, np.ones((8, 1)))
    assert model.train_on_batch(x, np.ones((8, 1))) < first
