"""Every row of contracts/cases_layers.py against Keras, with the same weights and inputs."""

import functools
import inspect
import json
import pathlib
import sys

import jax
import keras as real
import numpy as np
import pytest

import hornbeam
from hornbeam import layers
from hornbeam.core.naming import reset_names
from hornbeam.layers._image import RandomImageLayer

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "contracts"))
from cases_layers import Inner, rows

# What Keras's MixUp says of itself.
pytestmark = pytest.mark.filterwarnings("ignore:[^$]*dtype int64 requested in arange:UserWarning")

every_case = pytest.mark.parametrize("case", rows(layers), ids=str)

# Parameters that Keras leaves out of its configs, and reads from them all the same.
OMITTED = {"activity_regularizer", "lora_rank", "lora_alpha", "output_shape", "mask", "seed"}
OMITTED |= {"renorm", "renorm_clipping", "renorm_momentum"}
OMITTED |= {"flash_attention", "gptq_unpacked_column_size", "fill_value", "seed", "sparse"}


def draws_itself(case):
    """Whether a layer draws other numbers than Keras's, or (Equalization) acts at inference, too.

    These are compared in test_augment.py.
    """
    return issubclass(getattr(layers, case.layer), RandomImageLayer | layers.Equalization)


same_draws = pytest.mark.parametrize(
    "case", [c for c in rows(layers) if not draws_itself(c)], ids=str
)


@pytest.fixture(autouse=True)
def same_names():
    reset_names()
    real.utils.clear_session(free_memory=False)


@functools.cache  # building takes longer than comparing does
def pair(case, seed=0):
    """Our layer and Keras's, built, with the same random weights."""
    ours, theirs = case.make(layers), case.make(real.layers)
    case.call(ours)
    case.call(theirs)
    rng = np.random.default_rng(seed)
    weights = [rng.uniform(0.5, 1.5, w.shape) for w in theirs.weights]
    ours.set_weights(weights)
    theirs.set_weights(weights)
    if len(ours.variables) == len(theirs.variables):  # Keras's policies are layers of layers
        for a, b in zip(ours.variables, theirs.variables, strict=True):
            b.assign(a.numpy())  # random states
    if case.layer == "Normalization":
        theirs.finalize_state()  # ours follows the variables
    return ours, theirs


def assert_same(ours, theirs):
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)


@same_draws
@pytest.mark.parametrize("training", [False, True])
def test_outputs(case, training):
    ours, theirs = pair(case)
    # Keras refuses `training` where `call` doesn't take it.
    takes = "training" in inspect.signature(theirs.call).parameters
    expected = case.call(theirs, **({"training": training} if takes else {}))
    assert_same(case.call(ours, training=training), expected)
    for a, b in zip(ours.variables, theirs.variables, strict=True):
        assert_same(a.numpy(), np.asarray(b))


@same_draws
def test_weights(case):
    ours, theirs = pair(case)
    for group in ("weights", "trainable_variables", "non_trainable_variables"):
        described = [
            [(v.name, v.path, tuple(v.shape), v.dtype) for v in getattr(layer, group)]
            for layer in (ours, theirs)
        ]
        assert described[0] == described[1]


def restricted(config, keys):
    """A config, and those in it, with no other keys than another one has."""
    if isinstance(keys, dict):
        return {k: restricted(config[k], v) for k, v in keys.items()}
    return list(map(restricted, config, keys)) if isinstance(keys, list) else config


def without_builds(config):
    """A config without what the layers inside were built for."""
    if isinstance(config, dict):
        return {k: without_builds(v) for k, v in config.items() if k != "build_config"}
    return list(map(without_builds, config)) if isinstance(config, list) else config


@every_case
def test_config(case):
    # In a file a tuple is a list.
    config, theirs = (json.loads(json.dumps(layer.get_config())) for layer in pair(case))
    extra = config.keys() - theirs.keys()
    assert extra <= OMITTED and not any(
        config[k] for k in extra - {"renorm_momentum", "fill_value"}
    )
    if case.layer.startswith("SpatialDropout"):
        # Keras writes "float32" in the place of the policy, and so forgets mixed precision.
        theirs["dtype"] = config["dtype"]
    assert restricted(config, theirs) == theirs


@every_case
def test_configs_are_exchanged(case):
    ours, theirs = pair(case)
    type(theirs).from_config(ours.get_config())
    copy = type(ours).from_config(theirs.get_config())
    assert copy.get_config() == without_builds(ours.get_config())


@every_case
def test_symbolic_shapes(case):
    for unknown in {(), case.open_axes}:
        shapes = []
        for keras in (hornbeam, real):
            outputs = case.call(case.make(keras.layers), case.symbolic(keras, unknown))
            # Keras gives scores of attention the wrong shape (they are no part of its tests).
            outputs = outputs[0] if isinstance(outputs, tuple) else outputs
            shapes.append(outputs.shape)
        if case.layer == "EinsumDense":  # Keras knows only what `output_shape` says
            shapes[0] = tuple(a if b else None for a, b in zip(*shapes, strict=True))
        assert shapes[0] == shapes[1]


BAD = [
    ("Activation", {"activation": "relux"}, None),
    ("Add", {}, (2, 3)),
    ("Add", {}, [(2, 3), (2, 4)]),
    ("Add", {}, [(2, 3), (3, 3)]),
    ("AveragePooling2D", {"pool_size": 0}, None),
    ("BatchNormalization", {"axis": 3}, (2, 3)),
    ("Bidirectional", {"layer": 3}, None),
    ("Bidirectional", {"layer": Inner("Dense", {"units": 3})}, None),
    ("Bidirectional", {"layer": Inner("LSTM", {"units": 3}), "merge_mode": "max"}, None),
    ("Bidirectional", {"layer": Inner("LSTM", {"units": 3, "go_backwards": True})}, None),
    ("Bidirectional", {"layer": Inner("GRU", {"units": 3}), "backward_layer": 3}, None),
    (
        "Bidirectional",
        {
            "layer": Inner("GRU", {"units": 3}),
            "backward_layer": Inner("GRU", {"units": 3, "go_backwards": True, "stateful": True}),
        },
        None,
    ),
    ("Concatenate", {}, [(2, 3, 4), (2, 4, 4)]),
    ("Concatenate", {}, [(2, 3), (2, 4, 4)]),
    ("Conv1D", {"filters": 0, "kernel_size": 1}, None),
    ("Conv2D", {"filters": 3, "kernel_size": 0}, None),
    ("Conv2D", {"filters": 3, "kernel_size": (1, 2, 3)}, None),
    ("Conv2D", {"filters": 3, "kernel_size": 1, "groups": 2}, None),
    ("Conv2D", {"filters": 4, "kernel_size": 1, "groups": 2}, (1, 4, 4, 3)),
    ("Conv2D", {"filters": 3, "kernel_size": 1, "padding": "causal"}, None),
    ("Conv2D", {"filters": 3, "kernel_size": 1, "strides": 2, "dilation_rate": 2}, None),
    ("Conv2D", {"filters": 3, "kernel_size": 1, "data_format": "last"}, None),
    ("Conv2D", {"filters": 3, "kernel_size": 3}, (1, 2, 2, 1)),
    ("Conv2D", {"filters": 3, "kernel_size": 3}, (1, 5, 5)),
    ("ConvLSTM1D", {"filters": 2, "kernel_size": 3, "padding": "causal"}, None),
    ("ConvLSTM1D", {"filters": 2, "kernel_size": 3, "strides": 2, "dilation_rate": 2}, None),
    ("ConvLSTM1D", {"filters": 2, "kernel_size": 3}, (1, 3, 2, 1)),
    ("ConvLSTM2D", {"filters": 2, "kernel_size": 3}, (1, 3, 4, 1)),
    ("Cropping1D", {"cropping": 3}, (1, 4, 1)),
    ("Cropping2D", {"cropping": (1, 2, 3)}, None),
    ("Dense", {"units": 0}, None),
    ("Dense", {"units": 2.5}, None),
    ("Dense", {"units": 3, "activation": "relux"}, None),
    ("Dense", {"units": 3, "kernel_initializer": "glorot"}, None),
    ("Dense", {"units": 3}, (4,)),
    ("Dot", {"axes": "a"}, None),
    ("Dot", {"axes": (1, 2)}, [(2, 3, 4), (2, 3, 5)]),
    ("Dropout", {"rate": -1}, None),
    ("Dropout", {"rate": 2}, None),
    ("Dropout", {"rate": "a"}, None),
    ("Embedding", {"input_dim": 0, "output_dim": 1}, None),
    ("GRU", {"units": 3}, (2, 4)),
    ("GRU", {"units": 3, "seed": "a"}, None),
    ("GRU", {"units": 3, "recurrent_initializer": "orthogonl"}, None),
    ("GRU", {"units": 3, "use_cudnn": "maybe"}, None),
    ("GaussianNoise", {"stddev": -1}, None),
    ("LSTM", {"units": 0}, None),
    ("LSTM", {"units": 3, "recurrent_activation": "relux"}, None),
    ("LSTM", {"units": 3, "time_major": True}, None),
    ("LayerNormalization", {"axis": "a"}, None),
    ("LeakyReLU", {"negative_slope": None}, None),
    ("Normalization", {"mean": 1.0}, None),
    ("Normalization", {"axis": 5}, (2, 3)),
    ("Permute", {"dims": (1, 3)}, None),
    ("Permute", {"dims": (2, 1)}, (2, 3)),
    ("RNN", {"cell": 3}, None),
    ("RNN", {"cell": Inner("Dense", {"units": 3})}, None),
    ("ReLU", {"max_value": -1}, None),
    ("ReLU", {"negative_slope": -1.0}, None),
    ("RepeatVector", {"n": 0}, None),
    ("Reshape", {"target_shape": (4,)}, (2, 3)),
    ("Reshape", {"target_shape": (-1, -1)}, None),
    ("StackedRNNCells", {"cells": [3]}, None),
    ("StackedRNNCells", {"cells": [Inner("Dense", {"units": 3})]}, None),
    ("Subtract", {}, [(2, 3)] * 3),
    ("TimeDistributed", {"layer": 3}, None),
    ("TimeDistributed", {"layer": Inner("Dense", {"units": 3})}, (2, 3)),
    ("UpSampling1D", {"size": 0}, None),
    ("ZeroPadding1D", {"padding": -1}, None),
    ("ZeroPadding2D", {"padding": (1, 2, 3)}, None),
]


# `Embedding(0, 1)` and a few others fail in Keras only later, or with an error of another type.
LATER = {"Embedding"}


@pytest.mark.parametrize(("name", "kwargs", "shape"), BAD, ids=lambda x: str(x))
def test_both_refuse(name, kwargs, shape):
    def use(package):
        layer = Inner(name, kwargs).make(package)
        if shape is not None:
            many = isinstance(shape, list)
            layer([np.ones(s) for s in shape] if many else np.ones(shape))

    with pytest.raises((ValueError, TypeError)):
        use(layers)
    if name not in LATER:
        with pytest.raises((ValueError, TypeError, IndexError)):
            use(real.layers)
