"""Layers whose policy depends on their path."""

import numpy as np

import hornbeam as keras


class Encoder(keras.layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first = keras.layers.Dense(2, name="first", dtype=self.dtype_policy)
        self.second = keras.layers.Dense(2, name="second", dtype=self.dtype_policy)

    def call(self, inputs):
        return self.second(self.first(inputs))


def test_layers_find_their_policy_by_path():
    policies = keras.dtype_policies.DTypePolicyMap("float32", {"encoder/second": "mixed_bfloat16"})
    encoder = Encoder(name="encoder", dtype=policies)
    outputs = encoder(np.ones((1, 3)))
    layers = encoder, encoder.first, encoder.second
    assert [layer.compute_dtype for layer in layers] == ["float32", "float32", "bfloat16"]
    assert outputs.dtype == "bfloat16" and encoder.second.kernel.dtype == "float32"
    config = keras.saving.serialize_keras_object(encoder.first)
    again = keras.saving.deserialize_keras_object(config)
    assert again.dtype_policy == policies


def test_a_map_as_the_default_policy():
    keras.config.set_dtype_policy(keras.dtype_policies.DTypePolicyMap("mixed_float16"))
    try:
        layer = keras.layers.Dense(2)
        assert (layer.compute_dtype, layer.variable_dtype) == ("float16", "float32")
    finally:
        keras.config.set_dtype_policy(None)
