"""The code of users that the type checker looks at (tests/user_code.py) runs."""

import json

import numpy as np

import hornbeam as keras
import user_code


def test_objects_are_made():
    makers = user_code.make_losses, user_code.make_metrics, user_code.make_optimizers
    for thing in [x for make in (*makers, user_code.make_layers) for x in make()]:
        assert isinstance(thing.name, str)


def test_training():
    assert len(user_code.train()["loss"]) == 2
    assert user_code.functional().output_shape == (None, 1)


def test_calls():
    assert np.isfinite(user_code.calls())


def test_configs():
    classes = {name: thing for name, thing in vars(user_code).items() if isinstance(thing, type)}
    for thing in (user_code.Linear(3, "relu"), user_code.Scaled(2.0), user_code.Descent(0.5)):
        config = json.loads(json.dumps(keras.saving.serialize_keras_object(thing)))
        again = keras.saving.deserialize_keras_object(config, custom_objects=classes)
        assert again.get_config() == thing.get_config()
