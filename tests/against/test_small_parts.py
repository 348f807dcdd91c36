"""Initializers, random numbers, activations, regularizers and constraints: Keras's own numbers."""

import random as python_random

import jax.numpy as jnp
import keras as real
import numpy as np
import pytest

from hornbeam import activations, constraints, initializers, random, regularizers
from hornbeam.core import rng

SHAPES = [(2, 3, 3, 4), (5,), ()]

# class, arguments
RANDOM = [
    ("GlorotNormal", {}),
    ("GlorotUniform", {}),
    ("GlorotUniform", {"input_axes": [0], "output_axes": [-1]}),
    ("HeNormal", {}),
    ("HeUniform", {}),
    ("LecunNormal", {}),
    ("LecunUniform", {}),
    ("RandomNormal", {"mean": 1.0, "stddev": 2.0}),
    ("RandomUniform", {"minval": 1.0, "maxval": 3.0}),
    ("TruncatedNormal", {"mean": 1.0, "stddev": 2.0}),
    ("VarianceScaling", {"scale": 3.0, "mode": "fan_out", "distribution": "untruncated_normal"}),
    ("VarianceScaling", {"scale": 3.0, "mode": "fan_avg", "distribution": "normal"}),
]


@pytest.mark.parametrize(("name", "arguments"), RANDOM)
def test_random_initializers_give_the_same_numbers(name, arguments):
    ours = getattr(initializers, name)(seed=3, **arguments)
    theirs = getattr(real.initializers, name)(seed=3, **arguments)
    shapes = [(3, 2, 2, 4)] if "input_axes" in arguments else SHAPES
    for shape in shapes:
        np.testing.assert_array_equal(ours(shape), theirs(shape), str(shape))
    assert ours.get_config() == theirs.get_config()


@pytest.mark.parametrize("name", ["GlorotUniform", "HeNormal"])
def test_half_precision_initializers_give_the_same_numbers(name):
    x = getattr(initializers, name)(seed=3)((3, 4), dtype="bfloat16")
    y = getattr(real.initializers, name)(seed=3)((3, 4), dtype="bfloat16")
    assert x.dtype == y.dtype
    np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 4)])
def test_orthogonal_gives_the_same_numbers(shape):
    ours = initializers.Orthogonal(gain=2.0, seed=3)
    theirs = real.initializers.Orthogonal(gain=2.0, seed=3)
    np.testing.assert_array_equal(ours(shape), theirs(shape))


CONSTANT = [
    ("Constant", {"value": 3}, (2, 3)),
    ("Constant", {"value": [1.0, 2.0]}, (3, 2)),
    ("Identity", {"gain": 2.0}, (2, 3)),
    ("Ones", {}, (2, 3)),
    ("STFT", {}, (6, 1, 5)),
    ("STFT", {"side": "imag", "window": "hamming", "scaling": "spectrum"}, (6, 1, 4)),
    ("STFT", {"window": "hann", "scaling": None, "periodic": True}, (5, 1, 4)),
    ("STFT", {"window": "blackman", "scaling": "density", "periodic": True}, (5, 1, 4)),
    ("STFT", {"window": None}, (4, 1, 3)),
    ("STFT", {"window": np.array([1.0, 2.0, 3.0, 4.0])}, (4, 1, 3)),
    ("Zeros", {}, (2, 3)),
]


@pytest.mark.parametrize(("name", "arguments", "shape"), CONSTANT)
def test_constant_initializers(name, arguments, shape):
    ours = getattr(initializers, name)(**arguments)
    theirs = getattr(real.initializers, name)(**arguments)
    for dtype in ("float16", None):
        x, y = ours(shape, dtype=dtype), theirs(shape, dtype=dtype)
        assert x.dtype == y.dtype
        np.testing.assert_allclose(x, y, atol=2e-3 if dtype == "float16" else 1e-6)


def test_seeds_are_drawn_in_the_same_order():
    def numbers(module):
        python_random.seed(0)
        made = [
            module.get("he_normal"),
            module.Zeros(),  # draws none
            module.RandomNormal(seed=5),  # nor this
            module.Orthogonal(),
            module.get("uniform").clone(),  # draws twice
        ]
        return [x.seed for x in made if hasattr(x, "seed")], np.asarray(made[0]((2, 3)))

    (seeds, x), (real_seeds, y) = numbers(initializers), numbers(real.initializers)
    assert seeds == real_seeds
    np.testing.assert_array_equal(x, y)


DRAWS = {
    "normal": lambda r, s: r.normal((2, 3), mean=1.0, stddev=2.0, seed=s),
    "normal half": lambda r, s: r.normal((2, 3), dtype="float16", seed=s),
    "normal of arrays": lambda r, s: r.normal((3, 2), mean=np.array([1.0, 2.0]), seed=s),
    "uniform": lambda r, s: r.uniform((2, 3), minval=1.0, maxval=4.0, seed=s),
    "randint": lambda r, s: r.randint((2, 3), 2, 50, seed=s),
    "randint by default": lambda r, s: r.randint((2, 3), 2, 50, dtype=None, seed=s),
    "randint of bytes": lambda r, s: r.randint((2, 3), 2, 50, dtype="uint8", seed=s),
    "truncated_normal": lambda r, s: r.truncated_normal((2, 3), mean=1.0, stddev=2.0, seed=s),
    "gamma": lambda r, s: r.gamma((3, 2), np.array([1.0, 2.0], "float32"), seed=s),
    "beta": lambda r, s: r.beta((3, 2), np.array([1.0, 2.0], "float32"), 2.0, seed=s),
    "binomial": lambda r, s: r.binomial((3, 2), np.array([5.0, 2.0], "float32"), 0.3, seed=s),
    "categorical": lambda r, s: r.categorical(np.array([[0.0, 1, 2], [2, 1, 0]]), 5, seed=s),
    "dropout": lambda r, s: r.dropout(np.ones((4, 5), "float32"), 0.3, seed=s),
    "dropout half": lambda r, s: r.dropout(np.ones((4, 5), "float16"), 0.3, seed=s),
    "dropout rows": lambda r, s: r.dropout(np.ones((4, 5), "float32"), 0.3, (None, 1), seed=s),
    "dropout broadcast": lambda r, s: r.dropout(np.ones((4, 5), "float32"), 0.3, (5,), seed=s),
    "dropout nothing": lambda r, s: r.dropout(np.ones((4, 5), "float32"), 0.0, seed=s),
    "dropout all": lambda r, s: r.dropout(np.ones((4, 5), "float32"), 1.0, seed=s),
    "shuffle": lambda r, s: r.shuffle(np.arange(12).reshape(6, 2), seed=s),
    "shuffle columns": lambda r, s: r.shuffle(np.arange(12).reshape(2, 6), axis=-1, seed=s),
}


@pytest.mark.parametrize("name", DRAWS)
def test_random_functions_give_the_same_numbers(name):
    draw = DRAWS[name]
    seeds = [(3, 3), (random.SeedGenerator(5), real.random.SeedGenerator(5))]
    for ours, theirs in seeds:
        for _ in range(2):
            x, y = draw(random, ours), draw(real.random, theirs)
            assert x.dtype == y.dtype
            np.testing.assert_array_equal(x, y)


def test_global_generator_gives_the_same_numbers():
    def numbers(set_random_seed, module):
        set_random_seed(0)
        return [module.normal((4,)) for _ in range(3)]

    ours = numbers(rng.set_random_seed, random)
    np.testing.assert_array_equal(ours, numbers(real.utils.set_random_seed, real.random))


SIGNED = np.concatenate([np.linspace(-8, 8, 33), [0.999, 1.001, -1000, 1000]]).astype("float32")

# Keras's sparsemax gives zeros only for [0.5, 0.6, 0.1], and 8.5 in sum for [-8, -7.5].
NOT_COMPARED = ("deserialize", "get", "serialize", "sparsemax")

# activation, arguments
ACTIVATIONS = [
    *((name, {}) for name in activations.__all__ if name not in NOT_COMPARED),
    ("celu", {"alpha": 0.5}),
    ("elu", {"alpha": 0.5}),
    ("gelu", {"approximate": True}),
    ("hard_shrink", {"threshold": 2.0}),
    ("leaky_relu", {"negative_slope": 0.5}),
    ("relu", {"negative_slope": 0.5, "max_value": 6.0, "threshold": 1.0}),
    ("relu", {"max_value": 6.0}),
    ("relu", {"threshold": 1.0}),
    ("soft_shrink", {"threshold": 2.0}),
    ("squareplus", {"b": 1}),
]


@pytest.mark.parametrize(("name", "arguments"), ACTIVATIONS)
def test_activations(name, arguments):
    if name == "threshold":
        arguments = {"threshold": 1.0, "default_value": -3.0}
    x = SIGNED[:36].reshape(6, 6)
    ours = getattr(activations, name)(jnp.asarray(x), **arguments)
    theirs = getattr(real.activations, name)(jnp.asarray(x), **arguments)
    assert ours.dtype == theirs.dtype
    np.testing.assert_allclose(ours, theirs, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "glu"])
def test_activations_along_an_axis(name):
    x = SIGNED[:36].reshape(6, 6)
    ours = getattr(activations, name)(jnp.asarray(x), axis=0)
    np.testing.assert_allclose(ours, getattr(real.activations, name)(x, axis=0), atol=1e-6)


WEIGHT = np.array([[1.0, -2.0, 3.0], [4.0, 5.0, -6.0], [0.1, 0.0, 0.2]], "float32")

# class, arguments
PENALTIES = [
    ("L1", {"l1": 0.1}),
    ("L1L2", {"l1": 0.1, "l2": 0.2}),
    ("L1L2", {}),
    ("L2", {"l2": 0.1}),
    ("OrthogonalRegularizer", {"factor": 0.1}),
    ("OrthogonalRegularizer", {"mode": "columns"}),
]


@pytest.mark.parametrize(("name", "arguments"), PENALTIES)
def test_regularizers(name, arguments):
    ours = getattr(regularizers, name)(**arguments)
    theirs = getattr(real.regularizers, name)(**arguments)
    x = jnp.asarray(WEIGHT)
    np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-6)
    assert ours(x.astype("float16")).dtype == theirs(x.astype("float16")).dtype
    assert ours.get_config() == pytest.approx(theirs.get_config())


PROJECTIONS = [
    ("MaxNorm", {"max_value": 2.0}),
    ("MaxNorm", {"max_value": 2.0, "axis": [0, 1]}),
    ("MinMaxNorm", {"min_value": 1.0, "max_value": 2.0, "rate": 0.5, "axis": 1}),
    ("NonNeg", {}),
    ("UnitNorm", {"axis": 1}),
]


@pytest.mark.parametrize(("name", "arguments"), PROJECTIONS)
def test_constraints(name, arguments):
    ours = getattr(constraints, name)(**arguments)
    theirs = getattr(real.constraints, name)(**arguments)
    np.testing.assert_allclose(ours(WEIGHT), theirs(WEIGHT), rtol=1e-6)
    np.testing.assert_allclose(ours(0 * WEIGHT), theirs(0 * WEIGHT))
    assert ours.get_config() == theirs.get_config()


NAMES = {
    "activations": "relu swish silu hard_swish linear mish gelu tanh exponential",
    "constraints": "max_norm MaxNorm non_neg min_max_norm unit_norm",
    "initializers": "glorot_uniform GlorotUniform zeros zero ones one normal uniform random_normal "
    "truncated_normal he_normal lecun_uniform orthogonal OrthogonalInitializer identity "
    "IdentityInitializer stft STFTInitializer variance_scaling",
    "regularizers": "l1 L1 l2 L1L2 l1l2 orthogonal_regularizer",
}
OURS = {
    "activations": activations,
    "constraints": constraints,
    "initializers": initializers,
    "regularizers": regularizers,
}


@pytest.mark.parametrize(("family", "name"), [(f, n) for f in NAMES for n in NAMES[f].split()])
def test_names_mean_the_same(family, name):
    ours, theirs = OURS[family].get(name), getattr(real, family).get(name)
    if family == "activations":
        assert ours.__name__ == theirs.__name__
        assert activations.serialize(ours) == real.activations.serialize(theirs)
    else:
        assert type(ours).__name__ == type(theirs).__name__


@pytest.mark.parametrize(
    ("family", "thing"),
    [
        ("initializers", lambda m: m.HeNormal(seed=3)),
        ("initializers", lambda m: m.RandomUniform()),
        ("initializers", lambda m: m.Constant(2.0)),
        ("initializers", lambda m: m.Constant(np.arange(3.0))),
        ("initializers", lambda m: m.STFT()),
        ("regularizers", lambda m: m.L2(0.5)),
        ("constraints", lambda m: m.MaxNorm(3, axis=[0, 1])),
    ],
)
def test_configs_are_the_same(family, thing):
    ours, theirs = OURS[family], getattr(real, family)
    data = ours.serialize(thing(ours))
    assert data == theirs.serialize(thing(theirs))
    assert theirs.deserialize(data) is not None  # Keras reads what we write
    assert type(ours.deserialize(data)) is type(thing(ours))
