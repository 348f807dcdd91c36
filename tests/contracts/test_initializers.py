"""Laws of all initializers: shape and dtype, spread, seeds, configs, names."""

import inspect

import jax
import numpy as np
import pytest

from hornbeam import initializers
from hornbeam.core.objects import constructor_parameters
from hornbeam.core.rng import SeedGenerator

# class: (arguments, shape, mean, standard deviation or None)
CASES = {
    "Constant": ({"value": 3.0}, (50, 40), 3, 0),
    "GlorotNormal": ({}, (50, 40), 0, (1 / 45) ** 0.5),
    "GlorotUniform": ({}, (50, 40), 0, (1 / 45) ** 0.5),
    "HeNormal": ({}, (50, 40), 0, (2 / 50) ** 0.5),
    "HeUniform": ({}, (50, 40), 0, (2 / 50) ** 0.5),
    "Identity": ({"gain": 2.0}, (50, 40), 2 / 50, None),
    "LecunNormal": ({}, (50, 40), 0, (1 / 50) ** 0.5),
    "LecunUniform": ({}, (5, 10, 40), 0, (1 / 50) ** 0.5),
    "Ones": ({}, (50, 40), 1, 0),
    "Orthogonal": ({"gain": 2.0}, (50, 40), 0, 2 * (1 / 50) ** 0.5),
    "RandomNormal": ({"mean": 1.0, "stddev": 0.5}, (50, 40), 1, 0.5),
    "RandomUniform": ({"minval": 1.0, "maxval": 3.0}, (50, 40), 2, 2 / 12**0.5),
    "STFT": ({"window": None, "side": "imag"}, (8, 1, 5), 0, None),
    "TruncatedNormal": ({"mean": 1.0, "stddev": 0.5}, (50, 40), 1, 0.5 * 0.8796),
    "VarianceScaling": ({"scale": 4.0, "mode": "fan_out"}, (50, 40), 0, (4 / 40) ** 0.5),
    "Zeros": ({}, (50, 40), 0, 0),
}
SEEDED = [n for n in CASES if "seed" in inspect.signature(getattr(initializers, n)).parameters]


def make(name, **more):
    return getattr(initializers, name)(**CASES[name][0], **more)


def test_every_class_has_a_row():
    public = {getattr(initializers, name) for name in initializers.__all__}
    classes = {c.__name__ for c in public if inspect.isclass(c)} - {"Initializer"}
    assert classes == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_values(name):
    _, shape, mean, stddev = CASES[name]
    x = make(name, **({"seed": 0} if name in SEEDED else {}))(shape)
    assert x.shape == shape
    assert x.dtype == "float32"
    assert float(x.mean()) == pytest.approx(mean, abs=0.04)
    if stddev is not None:
        assert float(x.std()) == pytest.approx(stddev, rel=0.05, abs=1e-6)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(name, dtype):
    shape = CASES[name][1]
    x = jax.eval_shape(lambda: make(name)(shape, dtype=dtype))
    assert (x.shape, x.dtype) == (shape, dtype)


@pytest.mark.parametrize("name", CASES)
def test_config_round_trip(name):
    initializer = make(name, **({"seed": 7} if name in SEEDED else {}))
    config = initializer.get_config()
    assert set(config) == set(constructor_parameters(type(initializer)))
    shape = CASES[name][1]
    again = initializers.deserialize(initializers.serialize(initializer))
    for other in (again, initializer.clone(), type(initializer).from_config(config)):
        assert type(other) is type(initializer)
        assert other.get_config() == config
        np.testing.assert_array_equal(other(shape), initializer(shape))


@pytest.mark.parametrize("name", SEEDED)
def test_seeds(name):
    shape = CASES[name][1]  # compiled already
    unseeded = make(name)
    np.testing.assert_array_equal(unseeded(shape), unseeded(shape), "one object, one seed")
    assert unseeded.get_config()["seed"] is None
    assert isinstance(unseeded.seed, int)
    assert not np.array_equal(unseeded(shape), make(name)(shape))
    assert not np.array_equal(unseeded(shape), unseeded.clone()(shape))
    stream = make(name, seed=SeedGenerator(1))
    assert not np.array_equal(stream(shape), stream(shape))
    assert type(stream.clone().seed) is SeedGenerator
    with pytest.raises(ValueError, match=f"{name}'s seed should be an int or a SeedGenerator"):
        make(name, seed="a")


@pytest.mark.parametrize("name", [n for n in initializers.__all__ if n.islower()])
def test_names(name):
    if name not in ("deserialize", "get", "serialize"):
        assert initializers.get(name).__class__ is getattr(initializers, name)


@pytest.mark.parametrize(
    ("name", "cls"),
    [("zero", "Zeros"), ("one", "Ones"), ("uniform", "RandomUniform"), ("normal", "RandomNormal")],
)
def test_short_names(name, cls):
    assert type(initializers.get(name)).__name__ == cls


def test_get_takes_more_than_names():
    assert initializers.get(None) is None
    assert type(initializers.get(initializers.Zeros)) is initializers.Zeros
    assert type(initializers.get({"class_name": "Ones", "config": {}})) is initializers.Ones
    np.testing.assert_array_equal(initializers.get(np.array([1.0, 2.0]))((2,)), [1, 2])

    def own(shape, dtype=None):
        return np.ones(shape, dtype)

    assert initializers.get(own) is own
    with pytest.raises(ValueError, match="Unknown initializer 'glorot'"):
        initializers.get("glorot")


def test_orthogonal_is_orthogonal():
    for shape in [(6, 4), (4, 6), (2, 3, 4)]:
        q = np.asarray(initializers.Orthogonal(seed=0)(shape)).reshape(-1, shape[-1])
        product = q.T @ q if q.shape[0] >= q.shape[1] else q @ q.T
        np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-6)


@pytest.mark.parametrize(
    ("axes", "fan"),
    [((None, None), 4 * 3), (([0], [1]), 3), (([0, -1], [1]), 15), (([0], None), 12)],
)
def test_axes_of_variance_scaling(axes, fan):
    x = initializers.VarianceScaling(
        1.0, "fan_in", "uniform", seed=0, input_axes=axes[0], output_axes=axes[1]
    )((3, 4, 5))
    unit = initializers.RandomUniform(-1, 1, seed=0)((3, 4, 5))
    np.testing.assert_allclose(x, unit * (3 / fan) ** 0.5, rtol=1e-5)


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (lambda: initializers.VarianceScaling(scale=0), "scale should be a positive number"),
        (lambda: initializers.VarianceScaling(mode="fan"), "mode should be one of 'fan_in'"),
        (lambda: initializers.VarianceScaling(distribution="x"), "distribution should be one of"),
        (lambda: initializers.Orthogonal()((3,)), "Orthogonal's shape should be of at least two"),
        (lambda: initializers.Identity()((3,)), r"Identity's shape should be \(rows, columns\)"),
        (lambda: initializers.STFT(side="left"), "side should be one of 'real', 'imag'"),
        (lambda: initializers.STFT(window="han"), "Did you mean 'hann'"),
        (lambda: initializers.STFT(window=np.ones(3))((4, 1, 3)), "an array of 4 numbers"),
        (lambda: initializers.RandomNormal()((2,), dtype="int32"), "should be a float type"),
        (lambda: initializers.Orthogonal()((2, 2), dtype="int32"), "should be a float type"),
    ],
)
def test_mistakes(mistake, message):
    with pytest.raises(ValueError, match=message):
        mistake()


def test_a_class_without_call_says_so():
    class Empty(initializers.Initializer):
        pass

    with pytest.raises(NotImplementedError, match="Empty doesn't say what it computes"):
        Empty()((2,))
