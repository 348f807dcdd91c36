"""Functional models as configs: what stands in them, and models made from them."""

import json

import numpy as np
import pytest

import hornbeam as keras
from hornbeam.models._graph_config import (
    _describe_function_call,
    build_functional,
    functional_config,
)

L, ops = keras.layers, keras.ops
X = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")


def through_json(model):
    config = json.loads(json.dumps(functional_config(model)))
    copy = keras.Model(**build_functional(config))
    copy.set_weights(model.get_weights())
    assert json.loads(json.dumps(functional_config(copy))) == config
    return config, copy


def entries(config):
    return {layer["name"]: layer for layer in config["layers"]}


def same(a, b):
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        a, b = list(a.values()), list(b.values())
    for p, q in zip(a, b) if isinstance(a, list) else [(a, b)]:
        np.testing.assert_array_equal(np.asarray(p), np.asarray(q))


def test_shared_layer():
    x, dense = keras.Input((3,), name="x"), L.Dense(3, name="d")
    model = keras.Model(x, dense(dense(x)))
    config, copy = through_json(model)
    assert config["input_layers"] == ["x", 0, 0]
    assert config["output_layers"] == ["d", 1, 0]
    second = entries(config)["d"]["inbound_nodes"][1]
    assert second == {
        "args": [
            {
                "class_name": "__keras_tensor__",
                "config": {
                    "shape": [None, 3],
                    "dtype": "float32",
                    "keras_history": ["d", 0, 0],
                },
            }
        ],
        "kwargs": {},
    }
    same(model(X), copy(X))
    assert len(copy.layers) == 2


def test_calls_outside_the_model_do_not_count():
    dense = L.Dense(3, name="d")
    dense(keras.Input((3,)))
    x = keras.Input((3,))
    config, _ = through_json(keras.Model(x, dense(x)))
    assert config["output_layers"] == ["d", 0, 0]


@pytest.mark.parametrize("kind", ["dict", "list", "nested"])
def test_structures(kind):
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    y, z = L.Add(name="y")([a, b]), L.Dense(2, name="z")(a)
    inputs, outputs, feed = {
        "dict": ({"b": b, "a": a}, {"z": z, "y": y}, {"a": X, "b": X}),
        "list": ([a, b], [z], [X, X]),
        "nested": ([a, b], {"p": [z, y], "q": y}, [X, X]),
    }[kind]
    model = keras.Model(inputs, outputs)
    config, copy = through_json(model)
    if kind == "list":
        assert config["output_layers"] == [["z", 0, 0]]
    else:
        assert set(config["output_layers"]) == set(outputs)
    first, second = model(feed), copy(feed)
    if kind == "nested":
        same(first["p"], second["p"])
        same(first["q"], second["q"])
    else:
        same(first, second)


def test_outputs_of_nested_graphs_count_from_one():
    a = keras.Input((3,))
    inner = keras.Model(a, L.Dense(3)(a), name="inner")
    sequential = keras.Sequential([keras.Input((3,)), L.Dense(3)], name="s")
    x = keras.Input((3,))
    y = inner(x)
    model = keras.Model(x, [y, inner(y), sequential(x)])
    config, copy = through_json(model)
    assert config["output_layers"] == [["inner", 1, 0], ["inner", 2, 0], ["s", 0, 0]]
    same(model(X), copy(X))


def test_layers_in_any_order():
    x = keras.Input((3,))
    model = keras.Model(x, L.Dense(2)(L.Dense(3)(x) + 1))
    config = functional_config(model)
    config["layers"].reverse()
    copy = keras.Model(**build_functional(config))
    copy.set_weights([w for w in model.get_weights()])
    same(model(X), copy(X))


def test_nodes_of_keras_2():
    x = keras.Input((3,), name="x")
    model = keras.Model(x, L.Dense(2, name="d")(x))
    config = functional_config(model)
    entry = entries(config)["d"]
    entry["inbound_nodes"] = [[["x", 0, 0, {}]]]
    copy = keras.Model(**build_functional(config))
    assert copy.output_shape == (None, 2)


def test_noted_defaults_are_no_wish():
    x = keras.Input((3,), name="x")
    model = keras.Model(x, L.Dropout(0.5, name="d")(x))
    config = functional_config(model)
    entries(config)["d"]["inbound_nodes"][0]["kwargs"] = {"training": False, "mask": None}
    copy = keras.Model(**build_functional(config))
    assert (np.asarray(copy(X, training=True)) == 0).any()


def test_input_in_the_middle():
    x = keras.Input((3,))
    middle = L.Dense(4)(x)
    model = keras.Model(middle, L.Dense(2)(middle))
    config, copy = through_json(model)
    assert len(config["layers"]) == 2
    data = np.ones((2, 4), "float32")
    same(model(data), copy(data))


# Functions ---------------------------------------------------------------------------------------

# (function, module, class, config, arguments with None for the tensor)
FUNCTIONS = [
    (lambda x: x + 1, "numpy", "Add", {}, ["T", 1]),
    (lambda x: 1 + x, "numpy", "Add", {}, [1, "T"]),
    (lambda x: ops.divide(x, 2), "numpy", "Divide", {}, ["T", 2]),
    (lambda x: -x, "numpy", "Negative", {}, ["T"]),
    (lambda x: x[:, 0], "numpy", "GetItem", {}, ["T", ["slice", 0]]),
    (
        lambda x: ops.mean(x, axis=-1, keepdims=True),
        "numpy",
        "Mean",
        {"axis": -1, "keepdims": True},
        ["T"],
    ),
    (lambda x: ops.reshape(x, (-1, 3, 1)), "numpy", "Reshape", {"newshape": [-1, 3, 1]}, ["T"]),
    (lambda x: ops.concatenate([x, x], axis=1), "numpy", "Concatenate", {"axis": 1}, [["T", "T"]]),
    (lambda x: ops.maximum(x, 0.0), "numpy", "Maximum", {}, ["T", 0.0]),
    (lambda x: ops.clip(x, 0, 1), "numpy", "Clip", {"x_min": 0, "x_max": 1}, ["T"]),
    (
        lambda x: ops.einsum("ab,ab->a", x, x),
        "numpy",
        "Einsum",
        {"subscripts": "ab,ab->a"},
        ["T", "T"],
    ),
    (lambda x: ops.full_like(x, 2), "numpy", "FullLike", {"dtype": None}, ["T", 2]),
    (lambda x: ops.softmax(x), "nn", "Softmax", {"axis": -1}, ["T"]),
    (lambda x: ops.leaky_relu(x, 0.3), "nn", "LeakyRelu", {"negative_slope": 0.3}, ["T"]),
    (lambda x: ops.cast(x, "float16"), "core", "Cast", {"dtype": "float16"}, ["T"]),
    (
        lambda x: ops.logsumexp(x, axis=1),
        "math",
        "Logsumexp",
        {"axis": 1, "keepdims": False},
        ["T"],
    ),
    (lambda x: ops.top_k(x, 2)[0], "math", "TopK", {"k": 2, "sorted": True}, ["T"]),
    (lambda x: ops.norm(x, axis=1), "linalg", "Norm", None, ["T"]),
    (lambda x: ops.swish(x), "nn", "Silu", {}, ["T"]),
    (lambda x: keras.activations.gelu(x), "nn", "Gelu", {"approximate": False}, ["T"]),
]


def shown(value):
    """Arguments with "T" for tensors and "slice" for slices."""
    if isinstance(value, list):
        return [shown(x) for x in value]
    if isinstance(value, dict):
        return {"__keras_tensor__": "T", "__slice__": "slice"}[value["class_name"]]
    return value


@pytest.mark.parametrize("case", FUNCTIONS, ids=[c[2] for c in FUNCTIONS])
def test_functions(case):
    function, module, class_name, settings, args = case
    x = keras.Input((3,), name="x")
    try:
        y = function(x)
    except (AttributeError, TypeError) as error:
        pytest.skip(f"not there yet: {error}")
    model = keras.Model(x, y)
    config, copy = through_json(model)
    (entry,) = (e for e in config["layers"] if e["name"] != "x")
    assert entry["module"] == f"keras.src.ops.{module}"
    assert entry["class_name"] == entry["registered_name"] == class_name
    written = {k: v for k, v in entry["config"].items() if k != "name"}
    assert settings is None or written == settings
    assert shown(entry["inbound_nodes"][0]["args"]) == args
    same(model(X), copy(X))


def test_relu_is_an_activation():
    x = keras.Input((3,))
    model = keras.Model(x, keras.activations.relu(x, max_value=1.0))
    config, copy = through_json(model)
    entry = config["layers"][1]
    assert entry["module"] == "keras.src.activations.activations"
    assert entry["class_name"] == "ReLU"
    assert entry["config"]["max_value"] == 1.0
    same(model(X), copy(X))


# Broken configs ----------------------------------------------------------------------------------


def broken(change):
    x = keras.Input((3,), name="x")
    config = json.loads(json.dumps(functional_config(keras.Model(x, ops.add(x, 1) * 2))))
    change(config)
    return config


def lose_a_key(config):
    del config["output_layers"]


def lose_a_layer(config):
    del config["layers"][1]


def name_twice(config):
    config["layers"].append(config["layers"][0])


def wrong_output(config):
    config["output_layers"] = ["multiplied", 0, 0]


def unknown_function(config):
    config["layers"][1]["class_name"] = "Addd"


def unknown_setting(config):
    config["layers"][1]["config"]["colour"] = "red"


def surplus_operand(config):
    config["layers"][1]["inbound_nodes"][0]["args"] += [1, 2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lose_a_key, "lacks 'output_layers'"),
        (lose_a_layer, "inputs of 'multiply' can't be found"),
        (name_twice, "two layers 'x'"),
        (wrong_output, r"no tensor \('multiplied', 0, 0\). Did you mean 'multiply'"),
        (unknown_function, "'Addd' of keras.src.ops.numpy.*Did you mean 'Add"),
        (unknown_setting, "sets colour='red' for the function 'add'"),
        (surplus_operand, "2 operands too many"),
    ],
)
def test_broken_configs(change, message):
    with pytest.raises(ValueError, match=message):
        build_functional(broken(change))


def test_other_functions_are_refused():
    @keras.core.symbolic.op
    def mine(x):
        return x

    x = keras.Input((3,))
    y = mine(x)
    with pytest.raises(ValueError, match="put the call into a Layer's `call`"):
        _describe_function_call(y.node.operation, y.node)
