"""`CategoryEncoding` and `Discretization` with arguments and data beyond the rows of layers."""

import keras as real
import numpy as np
import pytest

from hornbeam import layers

MODES = ["one_hot", "multi_hot", "count"]
NUMBERS = np.array([[-1.5, 1.0, 3.4, np.nan], [0.0, np.inf, -np.inf, 2.0]], "float32")


def both(cls, *args, **kwargs):
    return getattr(layers, cls)(*args, **kwargs), getattr(real.layers, cls)(*args, **kwargs)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("inputs", [3, [0, 2], [[0], [2]], [[0, 2], [1, 1]], [[0, 7], [-1, 1]]])
@pytest.mark.parametrize("dtype", ["float32", "float16", "int32"])
def test_category_encoding(mode, inputs, dtype):
    ours, theirs = both("CategoryEncoding", 4, mode, dtype=dtype)
    y, z = ours(np.array(inputs)), theirs(np.array(inputs))
    np.testing.assert_array_equal(y, z)
    assert y.dtype == z.dtype


@pytest.mark.parametrize("shape", [(2, 3), (3,)])
def test_count_weights(shape):
    rng = np.random.default_rng(0)
    numbers, weights = rng.integers(0, 4, shape), rng.random(shape)
    ours, theirs = both("CategoryEncoding", 4, "count")
    expected = theirs(numbers, count_weights=weights)
    np.testing.assert_allclose(ours(numbers, count_weights=weights), expected, rtol=1e-6)


@pytest.mark.parametrize("mode", ["int", *MODES])
@pytest.mark.parametrize("index", [..., 0, (0, 0), np.s_[:, :1]], ids=str)
def test_discretization(mode, index):
    ours, theirs = both("Discretization", [0.0, 1.0, 2.0], output_mode=mode)
    y, z = ours(NUMBERS[index]), theirs(NUMBERS[index])
    np.testing.assert_array_equal(y, z)
    assert y.dtype == z.dtype


def learned(layer, parts):
    for part in parts:
        layer.update_state(part)
    layer.finalize_state()
    return np.array([float(b) for b in layer.bin_boundaries])


@pytest.mark.parametrize("epsilon", [0.001, 0.01, 0.1])
@pytest.mark.parametrize("bins", [1, 2, 5, 50])
def test_boundaries_of_one_batch(epsilon, bins):
    data = np.random.default_rng(0).normal(size=(100, 100)).astype("float32")
    ours, theirs = both("Discretization", num_bins=bins, epsilon=epsilon, name="bins")
    expected = learned(theirs, [data])
    np.testing.assert_allclose(learned(ours, [data]), expected, rtol=1e-3, atol=1e-4)
    if bins == 5:
        assert ours.get_config() == {**theirs.get_config(), "bin_boundaries": ours.bin_boundaries}
        copy = layers.Discretization.from_config(ours.get_config())
        assert copy.bin_boundaries == ours.bin_boundaries
        theirs = real.layers.Discretization.from_config(ours.get_config())
        np.testing.assert_array_equal(theirs(data), copy(data))


@pytest.mark.parametrize(
    "data", [[1.0] * 3, [1.0, 2.0], np.arange(10.0), [0.0, 0.0, 1.0, 5.0, 9.0]]
)
@pytest.mark.parametrize("bins", [2, 3, 10])
def test_boundaries_of_few_numbers(data, bins):
    ours, theirs = both("Discretization", num_bins=bins)
    np.testing.assert_allclose(learned(ours, [data]), learned(theirs, [np.array(data)]), rtol=1e-5)


def test_boundaries_of_many_batches():
    """Both summaries are rough; ours is the closer one."""
    data = np.random.default_rng(0).normal(size=10_000).astype("float32")
    shares = []
    for layer in both("Discretization", num_bins=5):
        boundaries = learned(layer, np.split(data, 10))
        shares.append([(data < b).mean() for b in boundaries])
    ours, theirs = np.abs(np.array(shares) - [0.2, 0.4, 0.6, 0.8]).max(axis=1)
    assert ours < 0.005 < theirs < 0.05
