import numpy as np
import pytest

import hornbeam as keras
from hornbeam import layers


def ones(*shape):
    return np.ones(shape, "float32")


@pytest.mark.parametrize(
    "make, inputs, shape",
    [
        (lambda a, b: (a, a * 2), ones(2, 3), (2, 3)),
        (lambda a, b: ([a, b], a + b), [ones(2, 3), ones(2, 3)], (2, 3)),
        (lambda a, b: ((a, b), a + b), (ones(2, 3), ones(2, 3)), (2, 3)),
        (lambda a, b: ({"x": a, "y": b}, a + b), {"x": ones(2, 3), "y": ones(2, 3)}, (2, 3)),
        (lambda a, b: ([a, b], a + b), {"a": ones(2, 3), "b": ones(2, 3)}, (2, 3)),
        (lambda a, b: ({"x": [a, (b,)]}, a + b), {"x": [ones(2, 3), (ones(2, 3),)]}, (2, 3)),
    ],
)
def test_inputs_in_any_structure(make, inputs, shape):
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    model = keras.Model(*make(a, b))
    out = model(inputs)
    assert out.shape == shape and float(out[0, 0]) == 2.0
    np.testing.assert_array_equal(model.predict(inputs, verbose=0), out)


def test_outputs_in_any_structure():
    a = keras.Input((3,))
    model = keras.Model(a, {"sum": a + 1, "parts": [a * 2, (a * 3,)]})
    out = model(ones(1, 3))
    assert float(out["parts"][1][0][0, 0]) == 3.0 and float(out["sum"][0, 0]) == 2.0


def test_shared_layers_and_models_as_layers():
    a, b = keras.Input((3,)), keras.Input((3,))
    shared = layers.Dense(2)
    inner = keras.Sequential([keras.Input((2,)), layers.Dense(4)])
    model = keras.Model([a, b], inner(shared(a) + shared(b)))
    assert len(model.weights) == 4 and model.output_shape == (None, 4)
    both = shared(ones(1, 3)) * 2
    np.testing.assert_allclose(model([ones(1, 3), ones(1, 3)]), inner(both), rtol=1e-6)
    twice = keras.Model(a, keras.layers.Concatenate()([model([a, a]), model([a, a])]))
    assert twice.output_shape == (None, 8) and len(twice.weights) == 4


def test_optional_inputs():
    class Maybe(layers.Layer):
        def call(self, x, extra=None):
            return x if extra is None else x + extra

    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b", optional=True)
    model = keras.Model({"a": a, "b": b}, Maybe()(a, b))
    assert float(model({"a": ones(1, 3), "b": None})[0, 0]) == 1.0
    assert float(model({"a": ones(1, 3), "b": ones(1, 3)})[0, 0]) == 2.0


def test_intermediate_tensors_as_inputs():
    a = keras.Input((3,))
    h = layers.Dense(4)(a)
    out = layers.Dense(2)(h)
    head = keras.Model(h, out)
    assert head.input_shape == (None, 4) and head(ones(1, 4)).shape == (1, 2)
    assert keras.Model(a, h)(ones(1, 3)).shape == (1, 4)


def test_integers_and_a_missing_last_axis_are_accepted():
    a = keras.Input((1,))
    model = keras.Model(a, layers.Dense(2)(a))
    assert model(np.arange(4)).shape == (4, 2)


def test_deep_graphs():
    x = a = keras.Input((1,))
    for _ in range(1500):
        x = x + 1.0
    assert float(keras.Model(a, x)(ones(1, 1))[0, 0]) == 1501.0


def test_subclass_with_a_graph():
    class Mine(keras.Model):
        def __init__(self):
            a = keras.Input((3,))
            super().__init__(inputs=a, outputs=layers.Dense(1)(a))
            self.note = "x"

    assert Mine()(ones(1, 3)).shape == (1, 1) and Mine().name.startswith("mine")


@pytest.mark.parametrize(
    "act, message",
    [
        (lambda m: m([ones(1, 3)]), "takes 2 inputs.*received 1"),
        (lambda m: m({"a": ones(1, 3), "c": ones(1, 3)}), "lacks its input 'b'"),
        (lambda m: m([ones(1, 3), ones(1, 4)]), r"input 'b' should have shape \(None, 3\)"),
        (lambda m: m([ones(3), ones(3)]), r"single sample needs `x\[None\]`"),
        (lambda m: m.get_layer("dens"), "Did you mean 'dense'"),
        (lambda m: m.get_layer(index=9), "none at index 9"),
        (lambda m: keras.Model(m.inputs[0], m.outputs), "not connected|isn't connected"),
        (lambda m: keras.Model(m.inputs), "needs both"),
        (lambda m: keras.Model(3, m.outputs), "inputs should be symbolic tensors"),
        (lambda m: keras.Model([m.inputs[0]] * 2, m.outputs), "appears twice"),
        (lambda m: m.fit(ones(1, 3), ones(1, 2)), r"must be compiled before `fit`"),
    ],
)
def test_mistakes_are_explained(act, message):
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    model = keras.Model([a, b], layers.Dense(2, name="dense")(a + b))
    with pytest.raises(ValueError, match=message):
        act(model)


def test_two_layers_of_one_name():
    a = keras.Input((3,))
    with pytest.raises(ValueError, match="two layers named 'd'"):
        keras.Model(a, layers.Dense(1, name="d")(layers.Dense(1, name="d")(a)))


# Sequential -----------------------------------------------------------------------------------


def test_sequential_with_and_without_input():
    with_input = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    assert with_input.built and [v.path for v in with_input.weights] == [
        "sequential/dense/kernel",
        "sequential/dense/bias",
    ]
    later = keras.Sequential([layers.Dense(2), layers.Dense(1)])
    assert not later.built
    assert later(ones(4, 3)).shape == (4, 1)
    assert later.weights[0].path == "sequential_1/dense_1/kernel"
    assert later.input_shape == (None, 3) or later.input_shape == (4, 3)
    later.pop()
    later.add(layers.Dense(5))
    assert later(ones(4, 3)).shape == (4, 5)


def test_sequential_of_sequentials_and_indices():
    model = keras.Sequential([layers.Embedding(7, 3), keras.Sequential([layers.Flatten()])])
    assert model(np.array([[1, 6]])).shape == (1, 6)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: keras.Sequential([3]), "takes layers; received 3"),
        (lambda: keras.Sequential([lambda x: x]), "Lambda"),
        (
            lambda: keras.Sequential([layers.Dense(1, name="a"), layers.Dense(1, name="a")]),
            "'a' al",
        ),
        (lambda: keras.Sequential().build((None, 1)), "no layers yet"),
        (lambda: keras.Sequential([layers.Dense(1)]).build(), "keras.Input"),
    ],
)
def test_sequential_mistakes(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# Copies, configs, summary ---------------------------------------------------------------------


def functional():
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    shared = layers.Dense(2, name="shared")
    x = layers.Concatenate()([shared(a), shared(b * 2.0)])
    return keras.Model({"a": a, "b": b}, [layers.Dense(1, name="out")(x), x])


@pytest.mark.parametrize("copy", [keras.models.clone_model, lambda m: m.clone()])
def test_copies_compute_the_same_with_the_same_weights(copy):
    model = functional()
    again = copy(model)
    assert again is not model and again.layers[2] is not model.layers[2]
    again.set_weights(model.get_weights())
    x = {k: np.random.default_rng(0).random((4, 3)) for k in "ab"}
    for one, two in zip(model(x), again(x), strict=True):
        np.testing.assert_array_equal(one, two)


def test_json():
    model = functional()
    again = keras.models.model_from_json(model.to_json())
    again.set_weights(model.get_weights())
    x = {"a": ones(4, 3), "b": ones(4, 3)}
    np.testing.assert_array_equal(model(x)[0], again(x)[0])


def test_clone_function_and_new_inputs():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])

    def wider(layer):
        return layers.Dense(layer.units * 2)

    assert keras.models.clone_model(model, clone_function=wider).output_shape == (None, 4)


def test_summary():
    text = []
    functional().summary(print_fn=text.append)
    for part in ("shared (Dense)", "(None, 2)", "Total params: 13", "Connected to"):
        assert part in text[0]

    class Sub(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(2)

        def call(self, x):
            return self.dense(x)

    model = Sub()
    model(ones(5, 3))
    model.summary(print_fn=text.append)
    assert "dense" in text[1] and "Total params: 8" in text[1] and "(5, 2)" in text[1]


def test_one_output_in_a_list_comes_alone():
    x = keras.Input((3,))
    y = layers.Dense(2)(x)
    for outputs in ([y], (y,)):
        model = keras.Model([x], outputs)
        assert (model.input_shape, model.output_shape) == ((None, 3), (None, 2))
        assert model(ones(4, 3)).shape == model.predict(ones(4, 3), verbose=0).shape == (4, 2)
        assert isinstance(model.output, type(outputs))
        model.compile("sgd", "mse", metrics=["mae"])
        assert set(model.fit(ones(4, 3), ones(4, 2), verbose=0).history) == {"loss", "mae"}
    part = keras.Model(model.inputs, model.outputs)
    assert keras.Sequential([keras.Input((3,)), part])(ones(4, 3)).shape == (4, 2)
    assert keras.Model(x, {"a": y})(ones(4, 3))["a"].shape == (4, 2)
