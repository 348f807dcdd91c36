"""What is particular to Dense, Embedding, Lambda, Masking, and convolution."""

import jax.numpy as jnp
import numpy as np
import pytest

from hornbeam import layers
from hornbeam.core.objects import register_keras_serializable


def test_renorm_is_unfinished():
    with pytest.raises(NotImplementedError, match="renorm"):
        layers.BatchNormalization(renorm=True)


def test_dense_takes_integers():
    assert layers.Dense(2)(np.ones((3, 4), "int32")).dtype == "float32"


def test_dense_needs_a_known_size():
    with pytest.raises(ValueError, match="dense/kernel"):
        layers.Dense(3, name="dense").build((None, None))


def test_activity_regularizer_is_in_the_config():
    for layer in (layers.Dropout(0.1, activity_regularizer="l2"), layers.Dense(2)):
        copy = type(layer).from_config(layer.get_config())
        assert type(copy.activity_regularizer) is type(layer.activity_regularizer)


def test_embedding_of_given_vectors():
    vectors = np.arange(6.0).reshape(3, 2)
    layer = layers.Embedding(3, 2, weights=[vectors])
    np.testing.assert_array_equal(layer(np.array([2, 0])), vectors[[2, 0]])
    assert "weights" not in layer.get_config()


def test_embedding_keeps_large_numbers_given_as_floats():
    layer = layers.Embedding(300, 1, dtype="mixed_bfloat16")
    layer.build()
    layer.set_weights([np.arange(300.0).reshape(300, 1)])
    assert float(layer(np.array([257.0]))[0, 0]) == float(jnp.bfloat16(257))
    layer.set_weights([np.eye(300)[257][:, None]])
    assert float(layer(np.array([257.0]))[0, 0]) == 1


def test_masks_reach_the_end():
    tokens = layers.Input((5,), dtype="int32")
    x = layers.Embedding(7, 3, mask_zero=True)(tokens)
    for layer in (layers.Dense(4), layers.Dropout(0.1), layers.LayerNormalization()):
        x = layer(x)
        assert x._keras_mask.shape == (None, 5)
    assert getattr(layers.GlobalAveragePooling1D()(x), "_keras_mask", None) is None


@register_keras_serializable("test_core")
def halve(x):
    return x / 2


def test_lambda_with_a_named_function():
    layer = layers.Lambda(halve)
    copy = layers.deserialize(layers.serialize(layer))
    np.testing.assert_array_equal(copy(np.array([2.0])), [1.0])


def test_lambda_without_a_name_stays_in_memory():
    layer = layers.Lambda(lambda x: x + 1)
    assert float(layers.Lambda.from_config(layer.get_config())(np.ones(1))[0]) == 2


def test_lambda_passes_training_and_mask():
    layer = layers.Lambda(
        lambda x, training, mask: x * training * mask[..., None], mask=lambda x, mask: mask
    )
    x = np.ones((1, 2, 1), "float32")
    out = layer(x, training=True, mask=np.array([[True, False]]))
    np.testing.assert_array_equal(out, [[[1.0], [0.0]]])


def test_softmax_masks():
    x = jnp.zeros((1, 3, 2))
    out = layers.Softmax(axis=1)(x, mask=jnp.array([[True, True, False]]))
    np.testing.assert_allclose(out[0, :, 0], [0.5, 0.5, 0])


def test_convolution_with_a_changed_kernel():
    class Centred(layers.Conv2D):
        def convolution_op(self, inputs, kernel):
            return super().convolution_op(inputs, kernel - jnp.mean(kernel))

    out = Centred(1, 2)(np.ones((1, 3, 3, 1)))
    np.testing.assert_allclose(out, 0, atol=1e-6)


def test_window_larger_than_the_input():
    for layer in (layers.Conv2D(1, 3), layers.MaxPooling2D(3)):
        with pytest.raises(ValueError, match="larger than the inputs"):
            layer(np.ones((1, 2, 2, 1)))
        with pytest.raises(ValueError, match="larger than the inputs"):
            layer(layers.Input((2, 2, 1)))


def test_zero_dropout_and_inference_draw_nothing():
    layer = layers.Dropout(0.5, seed=3)
    x = np.ones((2, 3))
    layer(x)
    assert layer.seed_generator.state.numpy().tolist() == [3, 0]
    layer(x, training=True)
    assert layer.seed_generator.state.numpy().tolist() == [3, 1]
    assert layers.Dropout(0.0).variables == []
