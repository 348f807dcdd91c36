"""`Input` and its layer."""

import pytest

from hornbeam import KerasTensor, layers


def test_the_tensor_knows_its_layer():
    x = layers.Input((None, 3), batch_size=2, dtype="int32", name="tokens")
    layer = x.node.operation
    assert (x.shape, x.dtype, x.name) == ((2, None, 3), "int32", "tokens")
    assert isinstance(layer, layers.InputLayer) and layer.output is x and x.node.is_input
    assert (layer.batch_shape, layer.dtype, layer.name) == ((2, None, 3), "int32", "tokens")


def test_config():
    layer = layers.InputLayer(batch_shape=(None, 3), dtype="string", optional=True, name="x")
    config = layer.get_config()
    assert config == {
        "batch_shape": (None, 3),
        "dtype": "string",
        "sparse": False,
        "ragged": False,
        "name": "x",
        "optional": True,
    }
    assert layers.InputLayer.from_config(config).get_config() == config


def test_a_given_tensor():
    fresh = KerasTensor((2, 3))
    assert layers.Input(tensor=fresh) is fresh
    made = layers.Dense(4)(layers.Input((3,)))
    again = layers.Input(tensor=made)
    assert again.shape == made.shape and made.node.operation is not again.node.operation


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({}, "needs a shape"),
        ({"shape": 3}, r"Write \(3,\)"),
        ({"shape": (3,), "batch_shape": (2, 3)}, "not both"),
        ({"batch_size": 3, "batch_shape": (2, 3)}, "not both"),
        ({"shape": (3,), "sparse": True}, "dense arrays only"),
        ({"tensor": 3}, "a KerasTensor"),
        ({"tensor": KerasTensor((2, 3)), "dtype": "int32"}, "contradicts"),
        ({"shape": (-1,)}, "at least 0"),
    ],
)
def test_errors(kwargs, match):
    with pytest.raises(ValueError, match=match):
        layers.Input(**kwargs)


def test_calling_it():
    with pytest.raises(NotImplementedError, match="computes nothing"):
        layers.InputLayer((3,)).call()
