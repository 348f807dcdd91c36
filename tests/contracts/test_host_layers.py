"""What every layer on the host does: rows in cases_layers.py, laws here."""

import json
import pathlib
import sys

import jax
import numpy as np
import pytest

import hornbeam
from hornbeam import layers

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from cases_layers import HOST_CASES

LONGEST = {"vocabulary": ["w1", "w2", "w3"]}  # whose rows are as long as the longest text
every_case = pytest.mark.parametrize("case", HOST_CASES, ids=str)


def dtype_of(array):
    return "string" if array.dtype == object else str(array.dtype)


@every_case
@pytest.mark.parametrize("unknown", [False, True])
def test_inferred_shape_is_real_shape(case, unknown):
    layer = case.make(layers)
    spec = case.call(layer, case.symbolic(hornbeam, unknown=case.open_axes if unknown else ()))
    for batch in (2, 3):
        real = case.call(layer, case.inputs(batch))
        assert spec.dtype == dtype_of(real)
        assert len(spec.shape) == real.ndim
        assert all(size in (None, known) for size, known in zip(spec.shape, real.shape))
        open_sizes = sum(size is None for size in spec.shape)
        if not unknown:
            assert open_sizes == 1 + (case.layer == "TextVectorization" and case.kwargs == LONGEST)


@every_case
def test_config_makes_an_equal_layer(case):
    layer = case.make(layers)
    data = json.loads(json.dumps(layers.serialize(layer)))
    copy = layers.deserialize(data)
    assert json.dumps(copy.get_config()) == json.dumps(layer.get_config())
    np.testing.assert_array_equal(case.call(copy), case.call(layer))


@every_case
def test_rows_are_by_themselves(case):
    """What a row becomes depends on no other, and the order of rows stays."""
    layer = case.make(layers)
    whole = np.asarray(case.call(layer, case.inputs(7)))
    order = np.array([3, 0, 6])
    some = np.asarray(case.call(layer, jax.tree.map(lambda x: x[order], case.inputs(7))))
    np.testing.assert_array_equal(some, whole[order][..., : some.shape[-1]])


@every_case
def test_half_precision(case):
    numbers = "Hash" in case.layer and "output_mode" not in case.kwargs
    outputs = case.call(case.make(layers, dtype="int32" if numbers else "mixed_bfloat16"))
    assert dtype_of(outputs) in ("bfloat16", "int32", "string")
    exact = case.call(case.make(layers))
    if dtype_of(exact) != "string":
        np.testing.assert_allclose(np.asarray(outputs, "float32"), exact, rtol=1e-2)


@pytest.mark.parametrize("case", [c for c in HOST_CASES if not c.words], ids=str)
def test_cannot_be_compiled(case):
    layer = case.make(layers)
    inputs = jax.tree.map(lambda x: x.astype("int32"), case.inputs())
    with pytest.raises(TypeError, match=f"'{layer.path}'.* works on the host"):
        jax.jit(lambda x: case.call(layer, x))(inputs)


@every_case
def test_refuses_unknown_arguments(case):
    layer = case.make(layers)
    with pytest.raises(TypeError, match=f"'{layer.path}'.*'unheard_of'"):
        case.call(layer, unheard_of=1)


@every_case
def test_missing_values_have_a_place(case):
    """`None`, and NaN, are never an error, and shift no other row."""
    if isinstance(case.shape, list):
        return
    layer, inputs = case.make(layers), case.inputs(3)
    whole = np.asarray(case.call(layer, inputs))
    for missing in (None, np.nan):
        broken = inputs.astype(object)
        broken[1] = missing
        outputs = np.asarray(case.call(layer, broken))
        np.testing.assert_array_equal(outputs[[0, 2]], whole[[0, 2]][..., : outputs.shape[-1]])
