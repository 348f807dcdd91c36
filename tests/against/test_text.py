"""Layers for strings and hashes, with what Keras on TensorFlow gives (`scripts/record_text`)."""

import json
import pathlib
import sys

import numpy as np
import pytest

from hornbeam import layers

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from cases_text import CASES

RECORDED = json.loads((pathlib.Path(__file__).parent / "recorded" / "text.json").read_text())


def as_inputs(inputs):
    if isinstance(inputs, tuple):
        return tuple(np.array(x) for x in inputs)
    return inputs


def test_all_rows_are_recorded():
    assert RECORDED.keys() - {"keras"} == {name for name, *_ in CASES}, "run scripts/record_text"


@pytest.mark.parametrize("case", CASES, ids=[name for name, *_ in CASES])
def test_as_recorded(case):
    name, cls, kwargs, data, inputs = case
    layer = getattr(layers, cls)(**kwargs)
    if data is not None:
        layer.adapt(data)
    expected = RECORDED[name]
    if "vocabulary" in expected:
        assert layer.get_vocabulary() == expected["vocabulary"]
    outputs = layer(as_inputs(inputs))
    if kwargs.get("ragged"):
        assert [row.tolist() for row in outputs] == expected["outputs"]
    elif outputs.dtype == object:
        assert outputs.tolist() == expected["outputs"]
    else:
        np.testing.assert_allclose(outputs, np.array(expected["outputs"]), rtol=1e-5)
        assert outputs.shape == np.shape(expected["outputs"])
