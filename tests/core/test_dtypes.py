import jax.numpy as jnp
import numpy as np
import pytest

import hornbeam as keras
from hornbeam.core import dtypes


@pytest.mark.parametrize(
    "given, name",
    [
        ("float32", "float32"),
        (None, "float32"),
        (float, "float32"),
        (int, "int32"),
        ("int", "int32"),
        (bool, "bool"),
        (np.float64, "float64"),
        (np.dtype("int8"), "int8"),
        (jnp.bfloat16, "bfloat16"),
        (jnp.zeros(1).dtype, "float32"),
        (str, "string"),
    ],
)
def test_standard_names(given, name):
    assert dtypes.standardize_dtype(given) == name


def test_unknown_names():
    with pytest.raises(ValueError, match="Did you mean 'float16'"):
        dtypes.standardize_dtype("flot16")


@pytest.mark.parametrize("name", ["float32", "mixed_bfloat16", "mixed_float16", "bfloat16"])
def test_policies(name):
    policy = keras.DTypePolicy(name)
    compute = name.removeprefix("mixed_")
    assert policy.compute_dtype == compute
    assert policy.variable_dtype == ("float32" if name.startswith("mixed") else compute)
    again = keras.dtype_policies.deserialize(keras.dtype_policies.serialize(policy))
    assert again == policy and hash(again) == hash(policy)


def test_default_policy_follows_floatx():
    try:
        keras.config.set_floatx("bfloat16")
        assert keras.config.dtype_policy().name == "bfloat16"
        keras.config.set_dtype_policy("mixed_float16")
        assert keras.layers.Dense(1).compute_dtype == "float16"
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy(None)
    assert keras.layers.Dense(1).compute_dtype == "float32"
