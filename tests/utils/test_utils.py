"""Small helpers."""

import copy

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hornbeam as keras
from hornbeam import utils


@pytest.mark.parametrize(
    ("x", "options", "rows"),
    [
        ([0, 2], {}, [[1, 0, 0], [0, 0, 1]]),
        ([[0], [1]], {}, [[1, 0], [0, 1]]),
        ([[0, 1]], {}, [[[1, 0], [0, 1]]]),
        (np.array([1.0]), {}, [[0, 1]]),
        (1, {"num_classes": 3}, [0, 1, 0]),
        ([], {"num_classes": 2}, np.zeros((0, 2))),
    ],
)
def test_to_categorical(x, options, rows):
    np.testing.assert_array_equal(utils.to_categorical(x, **options), rows)


def test_to_categorical_of_jax_arrays():
    rows = utils.to_categorical(jnp.array([0, 1]))
    assert isinstance(rows, jax.Array)
    np.testing.assert_array_equal(rows, [[1, 0], [0, 1]])


@pytest.mark.parametrize(
    ("x", "num_classes", "message"),
    [
        ([0, 5], 3, "class numbers from 0 to 2; received numbers from 0 to 5"),
        ([-1, 0], None, "received numbers from -1 to 0"),
        ([], None, "needs num_classes when there are no labels"),
    ],
)
def test_to_categorical_errors(x, num_classes, message):
    with pytest.raises(ValueError, match=message):
        utils.to_categorical(x, num_classes)


@pytest.mark.parametrize("kind", [np.array, jnp.array])
@pytest.mark.parametrize(
    ("options", "rows"),
    [
        ({}, [[0.6, 0.8], [0, 0]]),
        ({"order": 1}, [[3 / 7, 4 / 7], [0, 0]]),
        ({"axis": 0}, [[1, 1], [0, 0]]),
    ],
)
def test_normalize(kind, options, rows):
    x = kind([[3.0, 4.0], [0.0, 0.0]])
    result = utils.normalize(x, **options)
    assert isinstance(result, np.ndarray if kind is np.array else jax.Array)
    np.testing.assert_allclose(result, rows, rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "rows"),
    [
        ({}, [[0, 0, 1], [0, 2, 3], [4, 5, 6]]),
        ({"padding": "post"}, [[1, 0, 0], [2, 3, 0], [4, 5, 6]]),
        ({"maxlen": 2}, [[0, 1], [2, 3], [5, 6]]),
        ({"maxlen": 2, "truncating": "post", "value": 9}, [[9, 1], [2, 3], [4, 5]]),
        ({"maxlen": 4, "dtype": "float32"}, [[0, 0, 0, 1], [0, 0, 2, 3], [0, 4, 5, 6]]),
        ({"maxlen": 0}, np.zeros((3, 0))),
    ],
)
def test_pad_sequences(options, rows):
    result = utils.pad_sequences([[1], [2, 3], [4, 5, 6]], **options)
    np.testing.assert_array_equal(result, rows)
    assert result.dtype == options.get("dtype", "int32")


@pytest.mark.parametrize(
    ("sequences", "shape"),
    [([], (0, 0)), ([[], [1]], (2, 1)), ([[[1, 2]], [[3, 4], [5, 6]]], (2, 2, 2))],
)
def test_pad_sequences_shapes(sequences, shape):
    assert utils.pad_sequences(sequences).shape == shape


def test_pad_strings():
    result = utils.pad_sequences([["a"], ["b", "c"]], dtype=object, value="")
    assert result.tolist() == [["", "a"], ["b", "c"]]


@pytest.mark.parametrize(
    ("sequences", "options", "message"),
    [
        ([1, 2], {}, "sequences should be a list of sequences; received"),
        ([["a"]], {}, "needs a list of sequences whose items all have one shape"),
        ([[1]], {"padding": "both"}, "padding should be one of 'pre', 'post'; received 'both'"),
        ([[1]], {"truncating": 1}, "truncating should be one of"),
        ([[1]], {"value": "x"}, "dtype should be object when value is a string"),
        ([[[1]], [[1, 2]]], {}, r"shape \(2,\), those of another \(1,\)"),
    ],
)
def test_pad_sequences_errors(sequences, options, message):
    with pytest.raises(ValueError, match=message):
        utils.pad_sequences(sequences, **options)


@pytest.mark.parametrize(
    ("parts", "packed"),
    [
        ((1,), 1),
        (([1],), ([1],)),
        ((1, 2), (1, 2)),
        ((1, 2, 3), (1, 2, 3)),
        ((1, None, 3), (1, None, 3)),
    ],
)
def test_pack_and_unpack(parts, packed):
    assert utils.pack_x_y_sample_weight(*parts) == packed
    assert utils.unpack_x_y_sample_weight(packed) == (*parts, None, None)[:3]


def test_unpack_lists():
    assert utils.unpack_x_y_sample_weight([1, 2]) == (1, 2, None)
    with pytest.raises(ValueError, match="received a tuple of 4"):
        utils.unpack_x_y_sample_weight((1, 2, 3, 4))


def test_source_inputs():
    a, b = keras.Input((2,), name="a"), keras.Input((2,), name="b")
    assert utils.get_source_inputs(keras.layers.Add()([keras.layers.Dense(2)(b), a]) * a) == [b, a]
    assert utils.get_source_inputs(a) == [a]
    with pytest.raises(ValueError, match="tensor should be a KerasTensor; received 3"):
        utils.get_source_inputs(3)


def test_clear_session():
    keras.config.set_epsilon(1e-3)
    try:
        utils.set_random_seed(1)
        first = keras.layers.Dense(1).name
        assert keras.layers.Dense(1).name != first
        utils.clear_session()
        assert keras.layers.Dense(1).name == "dense"
        assert keras.config.epsilon() == 1e-3
    finally:
        keras.config.set_epsilon(1e-7)


def test_set_random_seed():
    drawn = []
    for _ in range(2):
        utils.set_random_seed(7)
        drawn.append([float(keras.random.normal(())), np.random.rand(), keras.layers.Dense(1)])
    assert drawn[0][:2] == drawn[1][:2]
    with pytest.raises(ValueError, match="seed should be an int; received 'a'"):
        utils.set_random_seed("a")


@pytest.mark.parametrize("name", ["backend", "config", "mixed_precision", "tree", "utils"])
def test_lists_are_complete(name):
    module = getattr(keras, name)
    assert all(hasattr(module, n) for n in module.__all__)


def test_config():
    config = utils.Config(rate=0.1, sizes=[1, 2])
    config.epochs, config["seed"] = 3, 4
    assert (config.rate, config["epochs"], config.get("seed"), config.get("x", 5)) == (0.1, 3, 4, 5)
    assert "rate" in config and "x" not in config and len(config) == len([*config]) == 4
    del config.seed, config["epochs"]
    config.update({"a": 1}, b=utils.Config(c=2))
    assert config.pop("a") == 1 and config.pop("a", None) is None
    assert repr(config) == "<Config {'rate': 0.1, 'sizes': [1, 2], 'b': <Config {'c': 2}>}>"
    assert config.to_json() == '{"rate": 0.1, "sizes": [1, 2], "b": {"c": 2}}'
    assert list(zip(config.keys(), config.values())) == list(config.items())
    copied = copy.deepcopy(config)
    config.freeze()
    assert config.frozen and not copied.frozen
    before = config.as_dict()
    changes = [
        lambda: setattr(config, "rate", 1),
        lambda: config.update(rate=1),
        lambda: config.pop("rate"),
        lambda: delattr(config, "rate"),
        lambda: config.__delitem__("rate"),
    ]
    for change in changes:
        with pytest.raises(ValueError, match="The config is frozen"):
            change()
    assert config.as_dict() == before
    config.unfreeze()
    config.rate = object()
    with pytest.raises(TypeError, match="A object in a config can't be written as JSON"):
        config.to_json()
    with pytest.raises(AttributeError, match="The config has no value 'x'; it has rate, sizes, b"):
        config.x  # noqa: B018
    with pytest.raises(AttributeError, match="The config has no value 'x'"):
        del config.x
