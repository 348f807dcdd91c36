"""Training in mixed precision compared with the real Keras: the same losses, to half precision."""

import keras as real
import numpy as np
import pytest

import hornbeam as keras

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(64, 6)).astype("float32")
Y = np.tanh(X[:, :2] * X[:, 2:4])
IMAGES = RANDOM.normal(size=(48, 8, 8, 2)).astype("float32")
LABELS = (IMAGES.mean((1, 2, 3)) > 0).astype("int64")


def dense(k):
    layers = [
        k.Input((6,)),
        k.layers.Dense(16, "relu"),
        k.layers.LayerNormalization(),
        k.layers.Dense(2, "tanh"),
    ]
    return k.Sequential(layers), "mse", (X, Y)


def convolutional(k):
    layers = [
        k.Input((8, 8, 2)),
        k.layers.Conv2D(4, 3, padding="same", use_bias=False),
        k.layers.BatchNormalization(momentum=0.7),
        k.layers.ReLU(),
        k.layers.MaxPooling2D(),
        k.layers.Flatten(),
        k.layers.Dense(2, "softmax", dtype="float32"),  # as Keras's guide recommends
    ]
    return k.Sequential(layers), "sparse_categorical_crossentropy", (IMAGES, LABELS)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("make", [dense, convolutional])
def test_same_losses(make, policy):
    found = []
    for k in (keras, real):
        k.utils.clear_session(free_memory=False)
        k.utils.set_random_seed(7)
        k.config.set_dtype_policy(policy)
        try:
            model, loss, data = make(k)
            model.compile(k.optimizers.Adam(0.01), loss)
            history = model.fit(*data, batch_size=16, epochs=4, verbose=0).history["loss"]
        finally:
            k.config.set_dtype_policy("float32" if k is real else None)
        dtypes = [layer.compute_dtype for layer in model.layers]
        weights = [(v.path, v.dtype, np.asarray(v)) for v in model.weights]
        output = np.asarray(model(data[0][:2]))
        optimizer = type(model.optimizer).__name__, len(model.optimizer.variables)
        found.append((history, dtypes, weights, optimizer, output.dtype))
    (ours, *our_kinds), (theirs, *their_kinds) = found
    precision = 0.01 if policy == "mixed_bfloat16" else 2e-3
    np.testing.assert_allclose(ours, theirs, rtol=precision)
    assert ours[-1] < ours[0]
    (dtypes, weights, *kinds), (their_dtypes, their_weights, *their) = our_kinds, their_kinds
    assert dtypes == their_dtypes and kinds == their
    for (path, dtype, value), (its_path, its_dtype, its_value) in zip(
        weights, their_weights, strict=True
    ):
        assert (path, dtype) == (its_path, its_dtype)
        np.testing.assert_allclose(value, its_value, rtol=0.1, atol=10 * precision)
