"""Files with every layer, written by Keras and read here, and the other way round.

CI puts the first row of each class into a few models; HYPOTHESIS_PROFILE=long looks at every row on
its own, also at the next step of training.
"""

import os
import pathlib
import sys

import jax
import keras as real
import numpy as np
import pytest

import hornbeam
from hornbeam.layers import Equalization
from hornbeam.layers._image import RandomImageLayer

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "contracts"))
from cases_layers import rows

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
pytestmark = [
    pytest.mark.usefixtures("quick_compiles"),
    pytest.mark.filterwarnings("ignore:[^$]*dtype int64 requested in arange:UserWarning"),
    pytest.mark.filterwarnings("ignore:Layer '.*got an input with a mask"),
]

# What draws other numbers than Keras, or acts where Keras's doesn't.
CASES = [
    case
    for case in rows(hornbeam.layers)
    if not issubclass(getattr(hornbeam.layers, case.layer), RandomImageLayer | Equalization)
]
FIRST = list({case.layer: case for case in reversed(CASES)}.values())[::-1]
SIZE = 16
GROUPS = [FIRST[i : i + SIZE] for i in range(0, len(FIRST), SIZE)]


def joined(k, cases):
    """A model with each row's layer beside the others."""
    inputs, outputs = [], []
    for case in cases:
        x = case.symbolic(k)
        inputs.append(x)
        outputs.append(case.call(case.make(k.layers), x))
    flat = jax.tree.leaves(inputs, is_leaf=lambda x: hasattr(x, "shape"))
    return k.Model(flat, jax.tree.leaves(outputs, is_leaf=lambda x: hasattr(x, "shape")))


def arrays_of(cases):
    return jax.tree.leaves([case.inputs() for case in cases])


def close(a, b):
    a, b = jax.tree.leaves(a), jax.tree.leaves(b)
    for x, y in zip(a, b, strict=True):
        np.testing.assert_allclose(np.asarray(x), np.asarray(y), rtol=2e-5, atol=2e-5)


def outputs_of(model, x):
    return model(x if len(x) > 1 else x[0])


@pytest.fixture(autouse=True)
def same_names():
    real.utils.clear_session(free_memory=False)


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: f"{group[0].layer}-{group[-1].layer}")
def test_every_layer_travels(tmp_path, group):
    """From Keras to here, and back."""
    model, x = joined(real, group), arrays_of(group)
    model.save(tmp_path / "a.keras")
    copy = hornbeam.saving.load_model(tmp_path / "a.keras")
    close(outputs_of(model, x), outputs_of(copy, x))
    report = hornbeam.saving.inspect_file(tmp_path / "a.keras")
    assert not report.custom_objects
    assert not report.mapped
    assert report.parameters >= model.count_params()
    copy.save(tmp_path / "b.keras")
    back = real.saving.load_model(tmp_path / "b.keras")
    close(outputs_of(model, x), outputs_of(back, x))


@pytest.mark.skipif(not LONG, reason="takes minutes: the long run")
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_row_trains_on(tmp_path, case):
    """What was read goes on training as what was written."""
    x, arrays = case.symbolic(real), arrays_of([case])
    flat = jax.tree.leaves(x, is_leaf=lambda t: hasattr(t, "shape"))
    outputs = jax.tree.leaves(
        case.call(case.make(real.layers), x), is_leaf=lambda t: hasattr(t, "shape")
    )
    outputs = [real.layers.Flatten()(y) for y in outputs if "float" in y.dtype]
    if not outputs or any(None in y.shape[1:] for y in outputs):
        pytest.skip("nothing to train")
    y = real.layers.Dense(2)(outputs[0])
    model = real.Model(flat, y)
    model.compile(real.optimizers.SGD(0.01), "mse")
    inputs, target = arrays if len(arrays) > 1 else arrays[0], np.ones((2, 2), "float32")
    if any(word in case.layer for word in ("Drop", "Noise")):
        target = None  # draws other numbers
    if "lora_rank" in case.kwargs:
        pytest.skip("Keras sets both factors to 0 when it loads; docs/differences.md")
    model.save(tmp_path / "a.keras")
    copy = hornbeam.saving.load_model(tmp_path / "a.keras")
    if target is not None and not case.kwargs.get("dropout"):
        model.train_on_batch(inputs, target)
        copy.train_on_batch(inputs, target)
    close(model.get_weights(), copy.get_weights())
    close(model(inputs), copy(inputs))
