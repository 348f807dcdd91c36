"""Bad input: every error names the thing, what was expected, what came, and the mend."""

import numpy as np
import pytest

import hornbeam as keras
from hornbeam import layers

X, Y = np.zeros((10, 4), "float32"), np.zeros(10, "int32")


def classifier(loss="sparse_categorical_crossentropy", units=3, **compile_arguments):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(units, activation="softmax")])
    model.compile("sgd", loss, **compile_arguments)
    return model


def two_outputs(**compile_arguments):
    x = keras.Input((4,))
    model = keras.Model(x, [layers.Dense(1, name="a")(x), layers.Dense(1, name="b")(x)])
    model.compile("sgd", **compile_arguments)
    return model


def by_name(loss="mse", **compile_arguments):
    x = keras.Input((4,))
    model = keras.Model(x, {"a": layers.Dense(1)(x), "b": layers.Dense(1)(x)})
    model.compile("sgd", loss, **compile_arguments)
    return model


def twice():
    x, dense = keras.Input((4,)), layers.Dense(1, name="dense")
    model = keras.Model(x, [dense(x), dense(-x)])
    model.compile("sgd", "mse")
    return model


MISTAKES = {
    "mismatched lengths": (
        lambda: classifier().fit(X, Y[:7]),
        r"same number of rows; received x: 10, y: 7",
    ),
    "wrong shape": (
        lambda: classifier().fit(np.zeros((10, 5)), Y),
        r"input '.*' should have shape \(None, 4\); received an array of shape \(None, 5\)",
    ),
    "wrong rank": (
        lambda: classifier().predict(np.zeros(4), verbose=0),
        r"should have shape \(None, 4\).*a single sample needs `x\[None\]`",
    ),
    "unknown loss": (lambda: classifier("mean_squred_error"), "Unknown loss.*Did you mean"),
    "unknown optimizer": (
        lambda: classifier().compile("adamm", "mse"),
        "Unknown optimizer 'adamm'. Did you mean 'adam'",
    ),
    "unknown metric": (
        lambda: classifier(metrics=["acuracy"]),
        "Unknown metric 'acuracy'",
    ),
    "label out of range": (
        lambda: classifier().fit(X, np.full(10, 3)),
        "holds the class 3, but there are 3 classes",
    ),
    "no data": (lambda: classifier().fit(X[:0], Y[:0]), "There is no data.*0 rows"),
    "no x": (lambda: classifier().fit(), "There is no data"),
    "unknown output in the loss": (
        lambda: two_outputs(loss={"a": "mse", "c": "mse"}).fit(X, [Y, Y]),
        "loss names 'c', which is no output.*Its outputs: a, b",
    ),
    "output without a loss": (
        lambda: two_outputs(loss={"a": "mse"}).fit(X, [Y, Y]),
        "Output 'b' has no loss.*None",
    ),
    "too few targets": (
        lambda: two_outputs(loss="mse").fit(X, [Y]),
        "y has 1 parts, but the model has 2 outputs: a, b",
    ),
    "targets in no order": (
        lambda: by_name().fit(X, [Y, Y]),
        "isn't clear what belongs to what. Pass a dict with the keys a, b",
    ),
    "losses in no order": (
        lambda: by_name(["mse", "mae"]).fit(X, {"a": Y, "b": Y}),
        "loss is a list, but the model's outputs are a dict.*keys a, b",
    ),
    "metrics in no order": (
        lambda: by_name(metrics=[["mae"], ["mse"]]).fit(X, {"a": Y, "b": Y}),
        "metrics is a list, but the model's outputs are a dict",
    ),
    "no targets": (lambda: classifier().fit(X), "no targets: pass `y`"),
    "nothing to minimize": (lambda: classifier(loss=None).fit(X, Y), "nothing to minimize"),
    "not compiled": (
        lambda: keras.Sequential([keras.Input((4,)), layers.Dense(3)]).fit(X, Y),
        "must be compiled before `fit`",
    ),
    "sample weights of another length": (
        lambda: classifier().fit(X, Y, sample_weight=np.ones(3)),
        "same number of rows.*sample_weight: 3",
    ),
    "class weight lacks a class": (
        lambda: classifier().fit(X, Y, class_weight={1: 2.0}),
        "class_weight lacks class 0",
    ),
    "class weight for no class": (
        lambda: classifier().fit(X, Y, class_weight={0: 1.0, "b": 2.0}),
        "class_weight names the class 'b'",
    ),
    "class weight for a class too many": (
        lambda: classifier().fit(X, Y, class_weight={0: 1.0, 1: 2.0, 2: 1.0, 3: 1.0}),
        "class_weight names the class 3",
    ),
    "class weight for a third of two": (
        lambda: classifier("binary_crossentropy", units=1).fit(
            X, Y, class_weight={0: 1.0, 1: 2.0, 2: 1.0}
        ),
        "class_weight names the class 2",
    ),
    "class weight for a column too many": (
        lambda: classifier("mse").train_on_batch(
            X, np.eye(3)[Y], class_weight={0: 1.0, 1: 2.0, 2: 1.0, 3: 1.0}
        ),
        "class_weight names the class 3",
    ),
    "targets by a name that two outputs have": (
        lambda: twice().fit(X, {"dense": Y}),
        "y names 'dense', but 2 outputs of the model have that name",
    ),
    "too many steps": (
        lambda: classifier().evaluate(X, Y, steps=3),
        "steps=3, but the data has only 1 batches",
    ),
    "split of nothing": (
        lambda: classifier().fit(X, Y, validation_split=0.99),
        "leaves nothing for training",
    ),
    "validation data": (
        lambda: classifier().fit(X, Y, validation_data=X),
        r"validation_data should be \(x, y\)",
    ),
    "batch size": (lambda: classifier().fit(X, Y, batch_size=0), "batch_size should be an int"),
    "steps per execution": (
        lambda: classifier(steps_per_execution=0),
        "steps_per_execution should be an int of at least 1, or 'auto'",
    ),
    "strings": (lambda: classifier().fit(np.array([["a"] * 4] * 10), Y), "needs numbers"),
    "another kind of data": (
        lambda: classifier().fit(object(), Y),
        "x should be an array",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_explained(name):
    act, message = MISTAKES[name]
    with pytest.raises(ValueError, match=message):
        act()


@pytest.mark.parametrize(
    "act, message",
    [
        (lambda: classifier(optimiser="adam"), "optimiser"),
        (lambda: classifier().fit(X, Y, epoch=3), "epoch"),
        (lambda: classifier().evaluate(X, Y, batchsize=3), "no argument 'batchsize'. Did you mean"),
    ],
)
def test_unknown_keywords(act, message):
    with pytest.raises(TypeError, match=message):
        act()


def test_bad_input_changes_nothing():
    model = classifier()
    before = model.get_weights()
    for act in (
        lambda: model.fit(X, Y[:7]),
        lambda: model.fit(np.zeros((10, 5)), Y),
        lambda: model.fit(X, np.full(10, 3)),
    ):
        with pytest.raises(ValueError):
            act()
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    model.fit(X, Y, verbose=0)


def test_nan_in_the_data_stops_training():
    x = X.copy()
    x[3, 1] = np.nan
    history = classifier().fit(
        x, Y, epochs=5, batch_size=2, verbose=0, callbacks=[keras.callbacks.TerminateOnNaN()]
    )
    assert len(history.epoch) == 1
    with pytest.raises(RuntimeError, match=r"(?i)nan"):
        classifier().fit(
            x, Y, verbose=0, callbacks=[keras.callbacks.TerminateOnNaN(raise_error=True)]
        )


def test_an_error_inside_a_layer_names_the_layer():
    class Broken(layers.Layer):
        def call(self, x):
            return x @ np.ones((7, 7))

    class Whole(keras.Model):
        def __init__(self):
            super().__init__()
            self.broken = Broken()

        def call(self, x):
            return self.broken(x)

    model = Whole()
    model.compile("sgd", "mse")
    with pytest.raises((TypeError, ValueError)) as info:
        model.fit(X, X)
    notes = "\n".join(info.value.__notes__)
    assert "In layer 'whole/broken' (Broken)" in notes and "training=True" in notes
