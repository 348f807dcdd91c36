"""The form that Keras 2 gave objects as data."""

import keras as real
import pytest

import hornbeam as keras


def double(x):
    return 2 * x


class Plain:
    def __init__(self, size=1):
        self.size = size

    def get_config(self):
        return {"size": self.size}


THINGS = [
    lambda k: None,
    lambda k: double,
    lambda k: Plain(3),
    lambda k: k.regularizers.L2(0.5),
    lambda k: k.initializers.Zeros(),
    lambda k: k.losses.MeanSquaredError(),
    lambda k: k.losses.mean_squared_error,
    lambda k: k.activations.relu,
]


@pytest.mark.parametrize("thing", THINGS)
def test_descriptions_are_the_same(thing):
    ours, theirs = (k.legacy.saving.serialize_keras_object(thing(k)) for k in (keras, real))
    assert ours == theirs


def test_from_descriptions():
    make = keras.utils.legacy.deserialize_keras_object
    assert make is keras.legacy.saving.deserialize_keras_object
    assert make(None) is None and make(double) is double
    assert make("double", {"double": double}) is double
    assert make({"class_name": "Plain", "config": {"size": 4}}, {"Plain": Plain}).size == 4
    assert isinstance(make("Plain", custom_objects={"Plain": Plain}), Plain)
    config = {"units": 3, "kernel_initializer": {"class_name": "Zeros", "config": {}}}
    layer = make({"class_name": "Dense", "config": config}, vars(keras.layers))
    assert (layer.units, type(layer.kernel_initializer)) == (3, keras.initializers.Zeros)
    keras.saving.register_keras_serializable("old")(double)
    try:
        assert make(keras.utils.legacy.serialize_keras_object(double)) is double
    finally:
        del keras.saving.get_custom_objects()["old>double"]


def test_errors():
    make = keras.legacy.saving.deserialize_keras_object
    with pytest.raises(ValueError, match=r"Unknown layer 'Dens'\. Did you mean 'Dense'"):
        make({"class_name": "Dens", "config": {}}, vars(keras.layers), None, "layer")
    with pytest.raises(ValueError, match="with 'class_name' and 'config'; received 3"):
        make(3)
    with pytest.raises(ValueError, match="'class_name'"):
        make({"class_name": "Dense"})
    with pytest.raises(ValueError, match="3 as data: it has no `get_config`"):
        keras.legacy.saving.serialize_keras_object(3)
