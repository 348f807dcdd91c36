"""Laws of all random functions: shape, dtype, seeds, moments."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hornbeam import random
from hornbeam.core.rng import bernoulli, draw, set_random_seed
from hornbeam.core.symbolic import KerasTensor

ONES = np.ones((40, 50), "float32")
LOGITS = np.log(np.tile([0.25, 0.75], (40, 1)).astype("float32"))

# function: (call, mean, standard deviation)
CASES = {
    "beta": (lambda **k: random.beta((40, 50), 2.0, 2.0, **k), 0.5, 0.05**0.5),
    "binomial": (lambda **k: random.binomial((40, 50), 10.0, 0.2, **k), 2, 1.6**0.5),
    "categorical": (lambda **k: random.categorical(LOGITS, 50, **k), 0.75, 0.1875**0.5),
    "dropout": (lambda **k: random.dropout(ONES, 0.2, **k), 1, 0.5),
    "gamma": (lambda **k: random.gamma((40, 50), 4.0, **k), 4, 2),
    "normal": (lambda **k: random.normal((40, 50), 3.0, 2.0, **k), 3, 2),
    "randint": (lambda **k: random.randint((40, 50), 0, 5, **k), 2, 2**0.5),
    "shuffle": (lambda **k: random.shuffle(np.tile(np.arange(5), (40, 10)), 1, **k), 2, 2**0.5),
    "truncated_normal": (lambda **k: random.truncated_normal((40, 50), **k), 0, 0.8796),
    "uniform": (lambda **k: random.uniform((40, 50), 1.0, 3.0, **k), 2, 2 / 12**0.5),
}
FLOATS = ("beta", "binomial", "gamma", "normal", "truncated_normal", "uniform")


def test_every_function_has_a_row():
    public = {n for n in random.__all__ if inspect.isroutine(getattr(random, n))}
    assert public == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_moments(name):
    sample, mean, stddev = CASES[name]
    x = sample(seed=0)
    assert x.shape == (40, 50)
    assert x.dtype == ("int32" if name in ("categorical", "randint", "shuffle") else "float32")
    assert float(x.mean()) == pytest.approx(mean, abs=0.12)
    assert float(x.std()) == pytest.approx(stddev, rel=0.1)


@pytest.mark.parametrize("name", CASES)
def test_seeds(name):
    sample = CASES[name][0]
    same = np.array_equal
    assert same(sample(seed=1), sample(seed=1))
    assert not same(sample(seed=1), sample(seed=2))
    stream = random.SeedGenerator(1)
    first, second = sample(seed=stream), sample(seed=stream)
    assert same(first, sample(seed=1)), "a generator starts at its seed"
    assert not same(first, second)
    set_random_seed(5)
    first, second = sample(), sample()
    assert not same(first, second)
    set_random_seed(5)
    assert same(first, sample())


@pytest.mark.parametrize("name", FLOATS)
def test_half_precision(name):
    sample = CASES[name][0]
    for dtype in ("float16", "bfloat16"):
        assert jax.eval_shape(lambda dtype=dtype: sample(seed=1, dtype=dtype)).dtype == dtype
    with pytest.raises(ValueError, match=f"dtype of {name} should be a float type"):
        sample(dtype="int32")


@pytest.mark.parametrize("shape", [(), (7,), (0, 3), (3, 100)])
@pytest.mark.parametrize("chance", [0.0, 0.1, 1 / 3, 0.5, 1.0])
def test_decisions_are_those_of_jax(chance, shape):
    key = np.array([3, 2**32 - 5], "uint32")
    expected = jax.random.bernoulli(key, chance, shape)
    np.testing.assert_array_equal(bernoulli(key, chance, shape), expected)
    np.testing.assert_array_equal(jax.jit(lambda k: bernoulli(k, chance, shape))(key), expected)


@pytest.mark.parametrize("shape", [(), (1000,), (3, 5)])
def test_floats_are_those_of_jax(shape):
    key = np.array([3, 5], "uint32")
    for sampler in (jax.random.uniform, jax.random.normal):
        np.testing.assert_allclose(draw(sampler, key, shape), sampler(key, shape), rtol=1e-6)


def test_symbolic_inputs():
    x = KerasTensor((None, 3))
    assert random.dropout(x, 0.5).shape == (None, 3)
    assert random.categorical(x, 7).shape == (None, 7)
    assert random.shuffle(x).shape == (None, 3)


def test_dropout_keeps_dtype_and_gradients():
    x = jnp.ones((8, 4), "float16")
    assert random.dropout(x, 0.5, seed=1).dtype == "float16"
    dropped = random.dropout(x, 0.5, seed=1) == 0
    grad = jax.grad(lambda x: random.dropout(x, 0.5, seed=1).sum())(x)
    np.testing.assert_array_equal(grad, np.where(dropped, 0, 2))
    assert not random.dropout(x, 1.0, seed=1).any()


def test_noise_shape_shares_decisions():
    y = random.dropout(ONES, 0.5, noise_shape=(None, 1), seed=1)
    assert set(np.asarray(y).sum(1)) == {0.0, 100.0}
    with pytest.raises(ValueError, match="noise_shape should be of at most 2 sizes"):
        random.dropout(ONES, 0.5, noise_shape=(1, 1, 1))


def test_shuffle_permutes_each_vector():
    x = np.arange(12).reshape(6, 2)
    y = np.asarray(random.shuffle(x, seed=1))
    np.testing.assert_array_equal(np.sort(y, axis=0), x)
    assert not np.array_equal(y[:, 0] + 1, y[:, 1])


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (lambda: random.normal((2,), seed=1.5), "seed should be an int, a SeedGenerator or None"),
        (lambda: random.randint((2,), 0, 5, dtype="float32"), "should be a type of integers"),
        (lambda: random.dropout(np.ones(3, int), 0.5), "dtype of dropout should be a float type"),
        (lambda: random.categorical(np.ones(3), 2), r"of shape \[batch, classes\]"),
    ],
)
def test_mistakes(mistake, message):
    with pytest.raises(ValueError, match=message):
        mistake()
