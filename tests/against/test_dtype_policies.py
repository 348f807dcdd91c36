"""Dtype policies compared with the real Keras: names, dtypes, configs, errors, maps by path."""

import copy
import json
import pickle

import keras as real
import pytest

import hornbeam as keras

NAMES = [
    "float32", "bfloat16", "mixed_float16", "mixed_bfloat16", "int32", "string", "bool",
    "int8_from_mixed_bfloat16", "int8_from_float32", "int4_from_float16",
    "int4/128_from_float32", "int4/-1_from_mixed_float16", "float8_from_mixed_bfloat16",
    "gptq/4/128_from_float32", "gptq/3/-1_from_bfloat16", "awq/4/128_from_mixed_bfloat16",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_names(name):
    ours, theirs = keras.dtype_policies.get(name), real.dtype_policies.get(name)
    assert type(ours).__name__ == type(theirs).__name__
    for what in ("name", "compute_dtype", "variable_dtype", "quantization_mode"):
        assert getattr(ours, what) == getattr(theirs, what) is not ...
    for what in ("block_size", "weight_bits", "group_size", "amax_history_length", "mode"):
        assert getattr(ours, what, None) == getattr(theirs, what, None)
    config = json.loads(json.dumps(keras.dtype_policies.serialize(ours)))
    assert config == real.dtype_policies.serialize(theirs)
    assert real.dtype_policies.deserialize(config) == theirs
    for again in (
        keras.dtype_policies.deserialize(config),
        keras.dtype_policies.get(config),
        copy.deepcopy(ours),
        pickle.loads(pickle.dumps(ours)),
    ):
        assert again == ours and hash(again) == hash(ours)
    assert ours != keras.DTypePolicy("float16") and repr(ours) == repr(theirs)


BAD = [
    ("DTypePolicy", ("mixed_float64",), "'mixed_float16' or 'mixed_bfloat16'"),
    ("DTypePolicy", ("flot32",), "Did you mean 'float32'"),
    ("DTypePolicy", ("int8_from_float32",), "number type"),
    ("QuantizedDTypePolicy", ("int5", "float32"), "mode should be one of 'int8', .*'int5'"),
    ("QuantizedDTypePolicy", ("int8", "int8_from_float32"), "number type"),
    ("Int4DTypePolicy", ("int4", "float32"), "'int4/<block_size>'; received 'int4'"),
    ("Int4DTypePolicy", ("int8/128", "float32"), "'int4/<block_size>'; received 'int8/128'"),
    ("Int4DTypePolicy", ("int4/0", "float32"), "block_size should be a positive int, or -1"),
    ("Int4DTypePolicy", ("int4/x", "float32"), "received 'int4/x'"),
    ("GPTQDTypePolicy", ("gptq/4", "float32"), "'gptq/<weight_bits>/<group_size>'"),
    ("GPTQDTypePolicy", ("gptq/5/128", "float32"), "weight_bits should be one of 2, 3, 4, 8"),
    ("GPTQDTypePolicy", ("gptq/4/-2", "float32"), "group_size should be a positive int, or -1"),
    ("AWQDTypePolicy", ("awq/8/128", "float32"), "weight_bits should be one of 4; received 8"),
    ("get", ("gptq/4/128",), "Say what was quantized: 'gptq/4/128_from_float32'"),
    ("get", (3,), "the name of a number type or a DTypePolicy; received 3"),
    ("get", ("int8_from_",), "number type"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "arguments", "message"), BAD)
def test_both_refuse(name, arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        getattr(keras.dtype_policies, name)(*arguments)
    with pytest.raises((TypeError, ValueError)):
        getattr(real.dtype_policies, name)(*arguments)


def test_history_of_float8():
    policy = keras.dtype_policies.QuantizedFloat8DTypePolicy("float8", "float32", 16)
    assert policy.get_config()["amax_history_length"] == policy.amax_history_length == 16
    assert policy != keras.dtype_policies.get("float8_from_float32")
    with pytest.raises(TypeError, match=r"amax_history_length should be an int; received 1\.5"):
        keras.dtype_policies.QuantizedFloat8DTypePolicy("float8", "float32", 1.5)


def test_source_is_the_default_policy():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        policy = keras.dtype_policies.GPTQDTypePolicy("gptq/4/128")
        assert (policy.name, keras.dtype_policies.DTypePolicyMap().name) == (
            "gptq/4/128_from_mixed_bfloat16",
            "map_mixed_bfloat16",
        )
    finally:
        keras.config.set_dtype_policy(None)


def test_map():
    maps = []
    for k in (keras, real):
        policies = k.dtype_policies.DTypePolicyMap("mixed_bfloat16")
        policies["encoder/.*"] = k.DTypePolicy("float16")
        policies["head"] = k.dtype_policies.QuantizedDTypePolicy("int8", "bfloat16")
        paths = ("encoder/dense", "encoder", "head", "head/dense", "xencoder/a")
        found = [policies[path].name for path in paths]
        maps.append((found, list(policies), k.dtype_policies.serialize(policies), policies.name))
        assert "encoder/dense" not in policies and "head" in policies and len(policies) == 2
        with pytest.raises(ValueError, match="already"):
            policies["head"] = k.DTypePolicy("float16")
        policies["encoder/d.*"] = k.DTypePolicy("float32")
        with pytest.raises(ValueError, match=r"multiple|several"):
            policies["encoder/dense"]
        assert policies.pop("head").quantization_mode == "int8"
        del policies["encoder/d.*"]
        with pytest.raises(KeyError):
            del policies["head"]
        policies.clear()
        assert not len(policies) and policies.compute_dtype == "bfloat16"
    assert maps[0] == maps[1]
    again = keras.dtype_policies.get(json.loads(json.dumps(maps[1][2])))
    assert (again["encoder/dense"].name, again.default_policy.name) == ("float16", "mixed_bfloat16")
    assert again == keras.dtype_policies.deserialize(maps[0][2])


def test_map_is_a_dict():
    policies = keras.dtype_policies.DTypePolicyMap(policy_map={"a": "float16"})
    assert policies.get("a").name == "float16" and policies.get("b").name == "float32"
    assert policies.pop("b", None) is None
    assert policies.setdefault("b", "bfloat16") is policies["b"] is policies.setdefault("b", "int8")
    policies.update(c="float64")
    assert {k: v.name for k, v in policies.items()} == {
        "a": "float16", "b": "bfloat16", "c": "float64"
    }  # fmt: skip
    assert policies.popitem()[0] in "abc" and bool(keras.dtype_policies.DTypePolicyMap())
    with pytest.raises(TypeError, match="key of DTypePolicyMap should be a string; received 3"):
        policies[3] = "float32"
    with pytest.raises(TypeError, match="policy_map should be a dict; received 3"):
        keras.dtype_policies.DTypePolicyMap(policy_map=3)
