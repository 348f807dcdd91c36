import json

import numpy as np
import pytest

import hornbeam as keras
from hornbeam import saving
from hornbeam.core import objects


class Scaled(keras.layers.Layer):
    def __init__(self, factor, inner=None, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor * 2  # the attribute isn't the argument
        self.inner = inner

    def call(self, x):
        x = x * self.factor
        return x if self.inner is None else self.inner(x)


def round_trip(thing, **custom):
    text = json.dumps(saving.serialize_keras_object(thing))
    return saving.deserialize_keras_object(json.loads(text), custom_objects=custom)


def test_a_users_config_holds_the_arguments_as_given():
    layer = Scaled(3, inner=keras.layers.Dense(2), name="mine", trainable=False)
    again = round_trip(layer, Scaled=Scaled)
    assert again.factor == 6 and again.name == "mine" and not again.trainable
    assert isinstance(again.inner, keras.layers.Dense) and again.inner.units == 2
    np.testing.assert_array_equal(round_trip(Scaled(2), Scaled=Scaled)(np.ones(2)), [4, 4])


def test_subclass_of_our_layer():
    class Wide(keras.layers.Dense):
        def __init__(self, units, scale, **kwargs):
            super().__init__(units, activation="relu", **kwargs)
            self.scale = scale

    again = round_trip(Wide(3, scale=2, use_bias=False), Wide=Wide)
    assert (again.units, again.scale, again.use_bias) == (3, 2, False)
    assert again.activation is keras.activations.relu


@pytest.mark.parametrize(
    "value",
    [
        1,
        None,
        [1, 2.5, "a"],
        (1, (2, None)),
        {"a": (1,), "b": [slice(1, None), Ellipsis]},
        b"bytes",
    ],
)
def test_plain_values(value):
    assert round_trip(value) == value


def test_arrays():
    array = round_trip(np.arange(3, dtype="int8"))
    assert array.dtype == "int8" and array.tolist() == [0, 1, 2]


def test_registered_objects():
    @keras.saving.register_keras_serializable("tests")
    class Registered(keras.layers.Layer):
        pass

    config = saving.serialize_keras_object(Registered())
    assert config["registered_name"] == "tests>Registered"
    assert isinstance(saving.deserialize_keras_object(config), Registered)
    assert saving.get_registered_object("tests>Registered") is Registered


@pytest.mark.parametrize(
    "config, message",
    [
        ({"class_name": "Dens", "module": "keras.layers", "config": {}}, "Did you mean 'Dense'"),
        (
            {"class_name": "system", "module": "os", "config": {"command": "true"}},
            "Unknown class 'system'",
        ),
        (
            {"class_name": "function", "module": "os", "config": "system"},
            "Unknown function 'system'",
        ),
        ({"class_name": "__lambda__", "config": {"value": ["4wEA"]}}, "bytecode"),
    ],
)
def test_nothing_is_imported_or_run(config, message):
    with pytest.raises(ValueError, match=message):
        saving.deserialize_keras_object(config)


def test_lambdas_are_refused_with_a_mend():
    with pytest.raises(ValueError, match="register_keras_serializable"):
        saving.serialize_keras_object(lambda x: x)


def test_get_explains_unknown_names():
    with pytest.raises(ValueError, match=r"Unknown initializer 'glorot_unifrm'\. Did you mean"):
        objects.get("initializers", "glorot_unifrm")
