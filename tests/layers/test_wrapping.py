"""Layers that hold other layers: SpectralNormalization and Pipeline."""

import jax.numpy as jnp
import numpy as np
import pytest

import hornbeam as keras
from hornbeam import layers
from hornbeam.core import masks

rng = np.random.default_rng(0)
X = rng.normal(size=(8, 4)).astype("float32")


def largest_singular_value(kernel):
    return float(jnp.linalg.norm(kernel.value.reshape(-1, kernel.shape[-1]), 2))


@pytest.mark.parametrize(
    "inner, x",
    [
        (lambda: layers.Dense(3), X),
        (lambda: layers.Conv1D(3, 2), X[:, :, None]),
        (lambda: layers.Embedding(7, 3), np.arange(6)),
    ],
)
def test_spectral_normalization(inner, x):
    layer = layers.SpectralNormalization(inner(), power_iterations=50)
    layer(x)
    assert largest_singular_value(layer.kernel) != pytest.approx(1)
    assert [v.name for v in layer.non_trainable_variables] == ["vector_u"]
    layer(x, training=True)
    assert largest_singular_value(layer.kernel) == pytest.approx(1, rel=1e-3)


def test_spectral_normalization_of_zeros():
    layer = layers.SpectralNormalization(layers.Dense(3, kernel_initializer="zeros"))
    assert not layer(X, training=True).any()


def test_spectral_normalization_holds_in_training_and_after_it(tmp_path):
    layer = layers.SpectralNormalization(layers.Dense(3, kernel_initializer="ones"))
    model = keras.Sequential([keras.Input((4,)), layer])
    model.compile(keras.optimizers.SGD(1e-3), "mse")
    model.fit(X, X[:, :3], epochs=3, verbose=0)
    assert largest_singular_value(layer.kernel) == pytest.approx(1, rel=0.01)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))


def test_a_layer_without_kernel():
    with pytest.raises(ValueError, match="Dropout has neither a kernel nor embeddings"):
        layers.SpectralNormalization(layers.Dropout(0.5))(X)
    with pytest.raises(ValueError, match="layer should be a layer"):
        layers.SpectralNormalization(3)
    with pytest.raises(ValueError, match=r"the kernel of .*Dense is quantized"):
        layers.SpectralNormalization(layers.Dense(3, dtype="int8_from_float32"))(X)


def test_pipeline(tmp_path):
    pipeline = layers.Pipeline([layers.Dense(3), layers.Dropout(0.5, seed=1)])
    np.testing.assert_array_equal(pipeline(X, training=False), pipeline.layers[0](X))
    assert (pipeline(X) == 0).any(), "training by default"
    model = keras.Sequential([keras.Input((4,)), pipeline, layers.Dense(1)])
    assert len(model.trainable_variables) == 4
    assert not np.array_equal(model(X, training=True), model(X))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    with pytest.raises(ValueError, match="layers should be a list of layers"):
        layers.Pipeline([3])


@pytest.mark.parametrize(
    "wrap",
    [lambda layer: layers.Pipeline([layer]), layers.SpectralNormalization],
)
def test_masks_go_through(wrap):
    x, mask = jnp.asarray(X[None]), jnp.asarray([[True, False] * 4])
    masks.set_mask(x, mask)
    assert masks.get_mask(wrap(layers.Dense(3))(x)) is mask
