"""Ops of neural networks: values and gradients against the real Keras."""

import jax
import jax.numpy as jnp
import keras as real
import numpy as np
import pytest

from hornbeam import ops


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def probabilities(*shape):
    x = np.exp(numbers(*shape))
    return x / x.sum(-1, keepdims=True)


X = numbers(2, 7, 6, 4)
Q, K, V = (numbers(2, 5, 4, 8, seed=s) for s in range(3))
MASK = numbers(2, 1, 5, 5, seed=7) > -0.5
ONE_HOT = np.eye(3, dtype="float32")[[0, 2, 1, 1]]

# name: function of the module of ops
CASES = {
    "relu": lambda o: o.relu(X),
    "gelu": lambda o: o.gelu(X),
    "gelu exact": lambda o: o.gelu(X, approximate=False),
    "threshold": lambda o: o.threshold(X, 0.5, -2.0),
    "softmax axes": lambda o: o.softmax(X, axis=(1, 2)),
    "softmax list": lambda o: o.softmax(X, axis=[1, 2]),
    "one_hot": lambda o: o.one_hot(np.array([0, 2, -1, 5]), 3),
    "one_hot axis": lambda o: o.one_hot(np.array([[0, 2]]), 3, axis=1, dtype="int32"),
    "multi_hot": lambda o: o.multi_hot(np.array([[0, 2], [1, -1]]), 4),
    "multi_hot vector": lambda o: o.multi_hot(np.array([0, 2]), num_tokens=4, dtype="int32"),
    "multi_hot 3d": lambda o: o.multi_hot(np.array([[[0, 2], [1, 1]]]), 4),
    "binary": lambda o: o.binary_crossentropy(np.array([0.0, 1, 0.3]), np.array([1.0, 0, 0.9])),
    "binary logits": lambda o: o.binary_crossentropy(X > 0, 30 * X, from_logits=True),
    "categorical": lambda o: o.categorical_crossentropy(ONE_HOT, 3 * probabilities(4, 3)),
    "categorical extreme": lambda o: o.categorical_crossentropy(ONE_HOT, ONE_HOT[::-1]),
    "categorical logits": lambda o: o.categorical_crossentropy(ONE_HOT, numbers(4, 3), True),
    "categorical axis": lambda o: o.categorical_crossentropy(
        ONE_HOT.T, numbers(3, 4), from_logits=True, axis=0
    ),
    "sparse": lambda o: o.sparse_categorical_crossentropy([0, 2, 1, 1], probabilities(4, 3)),
    "sparse logits": lambda o: o.sparse_categorical_crossentropy(
        np.array([[0], [2], [1], [1]]), numbers(4, 3), from_logits=True
    ),
    "sparse out of range": lambda o: o.sparse_categorical_crossentropy([-1, 3], numbers(2, 3) ** 2),
    "normalize": lambda o: o.normalize(X),
    "normalize order": lambda o: o.normalize(X, axis=1, order=3),
    "normalize small": lambda o: o.normalize(1e-8 * X),
    "moments": lambda o: o.moments(X, (0, 1, 2)),
    "moments keepdims": lambda o: o.moments(X, [1], keepdims=True),
    "moments all": lambda o: o.moments(X + 1000, None),
    "moments overflow": lambda o: o.moments(np.array([1000, 1, 60000], "float16"), 0),
    "batch_normalization": lambda o: o.batch_normalization(
        X, numbers(4), numbers(4) ** 2, -1, numbers(4), numbers(4)
    ),
    "batch_normalization axis 1": lambda o: o.batch_normalization(X, numbers(7), np.ones(7), 1),
    "layer_normalization": lambda o: o.layer_normalization(X, numbers(4), numbers(4)),
    "layer_normalization axes": lambda o: o.layer_normalization(X, numbers(7, 4), axis=[1, 3]),
    "layer_normalization rms": lambda o: o.layer_normalization(X, rms_scaling=True),
    "layer_normalization half": lambda o: o.layer_normalization(X.astype("float16")),
    "rms_normalization": lambda o: o.rms_normalization(X, numbers(4), epsilon=0.1),
    "rms_normalization axes": lambda o: o.rms_normalization(X, axis=(1, 2)),
    "max_pool": lambda o: o.max_pool(X, (3, 2), (2, 2), "same"),
    "max_pool first": lambda o: o.max_pool(X, (2, 2), (1, 2), data_format="channels_first"),
    "average_pool": lambda o: o.average_pool(X, (3, 2), (2, 2), "same"),
    "average_pool 1d": lambda o: o.average_pool(X[0], (3,), (2,)),
    "conv": lambda o: o.conv(X, numbers(3, 2, 4, 6), (2, 1), "same"),
    "conv groups": lambda o: o.conv(X, numbers(3, 2, 2, 6), dilation_rate=2),
    "conv first": lambda o: o.conv(X, numbers(3, 3, 7, 5), data_format="channels_first"),
    "conv 1d": lambda o: o.conv(X[0], numbers(3, 4, 5), 2),
    "depthwise_conv": lambda o: o.depthwise_conv(X, numbers(3, 3, 4, 2), padding="same"),
    "depthwise_conv first": lambda o: o.depthwise_conv(
        X, numbers(3, 3, 7, 2), 2, data_format="channels_first"
    ),
    "separable_conv": lambda o: o.separable_conv(X, numbers(3, 3, 4, 2), numbers(1, 1, 8, 5), 2),
    "ctc_loss": lambda o: o.ctc_loss(
        np.array([[1, 1, 3], [2, 1, 0], [0, 0, 0]]), numbers(3, 7, 4), [3, 2, 0], [7, 5, 6]
    ),
    "attention": lambda o: o.dot_product_attention(Q, K, V),
    "attention mask": lambda o: o.dot_product_attention(Q, K, V, mask=MASK, is_causal=True),
    "attention bias": lambda o: o.dot_product_attention(Q, K, V, numbers(1, 4, 5, 5), scale=0.5),
    "attention groups": lambda o: o.dot_product_attention(Q, K[:, :, :2], V[:, :, :2]),
}


@pytest.mark.parametrize("name", CASES)
def test_values(name):
    run = CASES[name]
    # One compiled function takes half the time of its ops one by one.
    ours, theirs = (jax.tree.leaves(jax.jit(lambda o=o: run(o))()) for o in (ops, real.ops))
    assert len(ours) == len(theirs)
    for x, y in zip(ours, theirs):
        assert x.dtype == y.dtype
        atol = 2e-3 if x.dtype == "float16" else 1e-5
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=atol)


# window, stride, dilation, padding, output padding
TRANSPOSED = [
    (3, 1, 2, "valid", None),
    (3, 2, 1, "valid", 1),
    (2, 3, 1, "valid", None),
    (3, 1, 2, "same", None),
    (4, 2, 1, "same", None),
    (2, 3, 1, "same", None),
    (3, 2, 1, "same", 0),
    (3, 2, 1, "same", 1),
    (2, 4, 1, "same", 3),
]


@pytest.mark.parametrize(("window", "stride", "dilation", "padding", "output_padding"), TRANSPOSED)
def test_conv_transpose(window, stride, dilation, padding, output_padding):
    x, kernel = numbers(1, 5, 2), numbers(window, 3, 2)
    args = x, kernel, stride, padding, output_padding, None, dilation
    ours, theirs = ops.conv_transpose(*args), real.ops.conv_transpose(*args)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_conv_transpose_in_two_dimensions():
    args = X, numbers(3, 2, 5, 7), (2, 1), "same", None, "channels_first"
    ours, theirs = ops.conv_transpose(*args), real.ops.conv_transpose(*args)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


GRADIENTS = {
    "gelu": lambda o, x: o.gelu(x),
    "layer_normalization": lambda o, x: o.layer_normalization(x) * X,
    "rms_normalization": lambda o, x: o.rms_normalization(x) * X,
    "softmax": lambda o, x: o.softmax(x) * X,
    "binary": lambda o, x: o.binary_crossentropy(X > 0, x, from_logits=True),
    "sparse": lambda o, x: o.sparse_categorical_crossentropy(
        np.ones(X.shape[:-1], "int32"), x, from_logits=True
    ),
    "normalize": lambda o, x: o.normalize(x) * X,
    "ctc_loss": lambda o, x: o.ctc_loss(
        np.array([[1, 1, 3], [2, 1, 0]]), x[:, :, 0], [3, 2], [7, 5]
    ),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients(name):
    x = jnp.asarray(numbers(*X.shape, seed=3))
    ours, theirs = (
        jax.jit(jax.grad(lambda x, o=o: GRADIENTS[name](o, x).sum()))(x) for o in (ops, real.ops)
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
