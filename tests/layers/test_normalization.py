"""Statistics: batch normalization with masks, and `Normalization.adapt`."""

import jax.numpy as jnp
import numpy as np
import pytest

from hornbeam import layers


def data(rows=50, seed=0):
    return np.random.default_rng(seed).normal(1e4, 2.0, (rows, 3))


def test_masked_positions_do_not_count():
    x = np.random.default_rng(0).normal(size=(2, 4, 3)).astype("float32")
    mask = np.array([[True, True, False, False], [True, False, False, False]])
    layer = layers.BatchNormalization(momentum=0.0)
    layer(x, training=True, mask=mask)
    np.testing.assert_allclose(layer.moving_mean, x[mask].mean(0), rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, x[mask].var(0), rtol=1e-5)


def test_nothing_but_masked_positions():
    out = layers.BatchNormalization()(
        np.ones((1, 2, 3)), training=True, mask=np.zeros((1, 2), bool)
    )
    assert bool(jnp.isfinite(out).all())


def test_frozen_batch_normalization_keeps_its_averages():
    layer = layers.BatchNormalization(trainable=False)
    layer(np.full((4, 2), 7.0), training=True)
    np.testing.assert_array_equal(layer.moving_mean, [0, 0])


def test_half_precision_statistics():
    """In bfloat16 itself the moving mean would stay at 0.125."""
    layer = layers.BatchNormalization(dtype="mixed_bfloat16")
    layer.build((None, 1))
    layer.moving_mean.assign([0.125])
    layer(np.full((4, 1), 0.126), training=True)
    assert float(layer.moving_mean[0]) > 0.125


def whole(x):
    return x


def batches(x):
    return [x[:7], x[7:8], x[8:]]


def generator(x):
    return (batch for batch in batches(x))


def pairs(x):
    return [(batch, np.zeros(len(batch))) for batch in batches(x)]


@pytest.mark.parametrize("form", [whole, jnp.asarray, np.ndarray.tolist, batches, generator, pairs])
def test_adapt_does_not_depend_on_batches(form):
    x = data().astype("float32").astype("float64")
    layer = layers.Normalization()
    layer.adapt(form(x))
    np.testing.assert_allclose(layer.mean, [x.mean(0)], rtol=1e-6)
    np.testing.assert_allclose(layer.variance, [x.var(0)], rtol=1e-5)


def test_adapting_again_forgets():
    layer = layers.Normalization()
    layer.adapt(data())
    layer.adapt(np.array([[1.0, 2.0, 3.0]]))
    np.testing.assert_array_equal(layer.mean, [[1, 2, 3]])


@pytest.mark.parametrize("axis", [-1, None, 1, (1, 2)])
def test_axes(axis):
    x = np.random.default_rng(0).normal(3, 2, (20, 4, 5))
    layer = layers.Normalization(axis=axis)
    layer.adapt(x)
    kept = {-1: (0, 1), None: (0, 1, 2), 1: (0, 2), (1, 2): (0,)}[axis]
    out = np.asarray(layer(x))
    np.testing.assert_allclose(out.mean(kept), 0, atol=1e-5)
    np.testing.assert_allclose(out.std(kept), 1, atol=1e-4)
    inverse = layers.Normalization(axis=axis, invert=True)
    inverse.adapt(x)
    np.testing.assert_allclose(inverse(out), x, rtol=1e-3, atol=1e-3)


def test_adapted_values_follow_the_weights():
    one, other = layers.Normalization(), layers.Normalization()
    one.adapt(data())
    other.build((None, 3))
    store = {}
    one.save_own_variables(store)
    assert list(store) == ["0", "1", "2"]
    other.load_own_variables(store)
    np.testing.assert_array_equal(other(data(5)), one(data(5)))


def test_errors():
    with pytest.raises(ValueError, match="given its mean"):
        layers.Normalization(mean=0.0, variance=1.0).adapt(data())
    with pytest.raises(ValueError, match="at least one example"):
        layers.Normalization().adapt(np.ones((0, 3)))
    layer = layers.Normalization()
    layer.build((None, 3))
    with pytest.raises(ValueError, match="2 axes"):
        layer.adapt(np.ones((4, 2, 3)))
    with pytest.raises(ValueError, match="should be known"):
        layers.Normalization().build((None, None))


def test_missing_numbers_are_left_out():
    layer = layers.Normalization()
    layer.adapt(np.array([[1.0, np.nan], [3.0, 10.0], [np.nan, 30.0]], "float32"))
    np.testing.assert_allclose(layer.mean, [[2.0, 20.0]])
    np.testing.assert_allclose(layer.variance, [[1.0, 100.0]])
    with pytest.raises(ValueError, match="no number in the data for some features"):
        layer.adapt(np.array([[1.0, np.nan]]))
    np.testing.assert_allclose(layer.mean, [[2.0, 20.0]])
