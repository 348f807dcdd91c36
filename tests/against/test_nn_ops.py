"""Ops of neural networks: values and gradients against the real Keras."""

import collections
import functools
import itertools
import math

import jax
import jax.numpy as jnp
import keras as real
import numpy as np
import pytest

import hornbeam
from hornbeam import ops


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def probabilities(*shape):
    x = np.exp(numbers(*shape))
    return x / x.sum(-1, keepdims=True)


X = numbers(2, 7, 6, 4)
Q, K, V = (numbers(2, 5, 4, 8, seed=s) for s in range(3))
MASK = numbers(2, 1, 5, 5, seed=7) > -0.5
LOGITS = 2 * numbers(3, 6, 4, seed=1)
BYTES = (50 * numbers(2, 7, 6, 4)).astype("int32")
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
    "adaptive_max_pool": lambda o: o.adaptive_max_pool(X, (3, 4)),
    "adaptive_max_pool first": lambda o: o.adaptive_max_pool(X, 3, "channels_first"),
    "adaptive_max_pool 1d int": lambda o: o.adaptive_max_pool(BYTES[0], 4),
    "adaptive_average_pool": lambda o: o.adaptive_average_pool(X, (3, 9)),
    "adaptive_average_pool 3d": lambda o: o.adaptive_average_pool(X[None], (2, 3, 4)),
    "adaptive_average_pool half": lambda o: o.adaptive_average_pool(X.astype("float16"), [2, 3]),
    "adaptive_average_pool int": lambda o: o.adaptive_average_pool(BYTES, 2, "channels_first"),
    "space_to_depth": lambda o: o.space_to_depth(X[:, :6], 2),
    "space_to_depth first": lambda o: o.space_to_depth(X[:, :2, :, :3], 3, "channels_first"),
    "depth_to_space": lambda o: o.depth_to_space(X, 2),
    "depth_to_space first": lambda o: o.depth_to_space(BYTES[:, :4], 2, "channels_first"),
    "unfold": lambda o: o.unfold(X, 3),
    "unfold all": lambda o: o.unfold(BYTES, (2, 3), (1, 2), (1, 2), (2, 1)),
    "fold": lambda o: o.fold(numbers(2, 12, 6), (4, 3), 2),
    "fold all": lambda o: o.fold(numbers(2, 12, 9), [5, 3], (2, 3), (1, 2), (1, 2), (2, 1)),
    "ctc_loss": lambda o: o.ctc_loss(
        np.array([[1, 1, 3], [2, 1, 0], [0, 0, 0]]), numbers(3, 7, 4), [3, 2, 0], [7, 5, 6]
    ),
    "ctc_decode": lambda o: o.ctc_decode(LOGITS, [6, 3, 1]),
    "ctc_decode apart": lambda o: o.ctc_decode(LOGITS, [6, 3, 1], merge_repeated=False),
    "ctc_decode last blank": lambda o: o.ctc_decode(LOGITS, [6, 3, 1], mask_index=None),
    "ctc_decode beams": lambda o: o.ctc_decode(
        LOGITS.astype("float16"), [6, 5, 1], "beam_search", 4, 3, mask_index=2
    ),
    "psnr": lambda o: o.psnr(X, X[::-1], 3.0),
    "psnr half": lambda o: o.psnr(X.astype("float16"), X[::-1].astype("float16"), 3),
    "polar": lambda o: o.polar(X, numbers(7, 1, 1)),
    "polar numbers": lambda o: o.polar(2, [1.0, 2.0]),
    "attention": lambda o: o.dot_product_attention(Q, K, V),
    "attention mask": lambda o: o.dot_product_attention(Q, K, V, mask=MASK, is_causal=True),
    "attention bias": lambda o: o.dot_product_attention(Q, K, V, numbers(1, 4, 5, 5), scale=0.5),
    "attention masks": lambda o: o.dot_product_attention(
        Q, K, V, mask=MASK[:, 0, 0, None, None], is_causal=True, flash_attention=False
    ),
    "attention mixed": lambda o: o.dot_product_attention(Q, K.astype("float16"), V > 0),
    "attention longer": lambda o: o.dot_product_attention(
        Q[:, :3], K, V, bias=numbers(5), mask=MASK[0, 0, :3], is_causal=True
    ),
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
    "adaptive_max_pool": lambda o, x: o.adaptive_max_pool(x, (3, 4)) ** 2,
    "adaptive_average_pool": lambda o, x: o.adaptive_average_pool(x, (3, 4)) ** 2,
    "depth_to_space": lambda o, x: o.depth_to_space(x, 2) ** 2,
    "unfold": lambda o, x: o.unfold(x, (2, 3), (1, 2), (1, 2), (2, 1)) ** 2,
    "fold": lambda o, x: o.fold(x[:, :4, :, 0], (3, 4), 2) ** 2,
    "psnr": lambda o, x: o.psnr(x, X, 3.0),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients(name):
    x = jnp.asarray(numbers(*X.shape, seed=3))
    ours, theirs = (
        jax.jit(jax.grad(lambda x, o=o: GRADIENTS[name](o, x).sum()))(x) for o in (ops, real.ops)
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


LOSSES = [
    "binary_crossentropy",
    "categorical_crossentropy",
    "sparse_categorical_crossentropy",
]


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("target", ["bool", "int32", "float16", "float32"])
@pytest.mark.parametrize("output", ["float16", "bfloat16", "float32"])
def test_dtypes_of_losses(name, target, output):
    x = jax.ShapeDtypeStruct((2, 3), output)
    y = jax.ShapeDtypeStruct((2,) if name.startswith("sparse") else (2, 3), target)
    for from_logits in (False, True):
        ours, theirs = (
            jax.eval_shape(functools.partial(getattr(o, name), from_logits=from_logits), y, x)
            for o in (ops, real.ops)
        )
        assert ours.dtype == theirs.dtype


# function of the module of ops, and of the class of symbolic tensors
SYMBOLIC = {
    "one_hot": lambda o, t: o.one_hot(t((None, 3), "int32"), 5),
    "multi_hot": lambda o, t: o.multi_hot(t((None, 3), "int32"), 5, dtype="int32"),
    "glu": lambda o, t: o.glu(t((None, 6))),
    "softmax": lambda o, t: o.softmax(t((None, None, 3)), axis=(1, 2)),
    "binary": lambda o, t: o.binary_crossentropy(t((None, 3)), t((None, 3))),
    "categorical": lambda o, t: o.categorical_crossentropy(t((None, 3, 4)), t((None, 3, 4))),
    "sparse": lambda o, t: o.sparse_categorical_crossentropy(t((None, 1), "int32"), t((None, 4))),
    "normalize": lambda o, t: o.normalize(t((None, None, 3))),
    "moments": lambda o, t: o.moments(t((None, None, 3)), (0, 1), keepdims=True),
    "layer_normalization": lambda o, t: o.layer_normalization(t((None, 3)), t((3,)), t((3,))),
    "max_pool": lambda o, t: o.max_pool(t((None, None, 6, 3)), 2, padding="same"),
    "average_pool": lambda o, t: o.average_pool(
        t((None, 3, None)), 2, 1, "valid", "channels_first"
    ),
    "conv": lambda o, t: o.conv(t((None, None, 6, 3)), numbers(3, 3, 3, 8), 2),
    "conv_transpose": lambda o, t: o.conv_transpose(t((None, None, 3)), numbers(3, 8, 3), 2),
    "adaptive_max_pool": lambda o, t: o.adaptive_max_pool(
        t((None, 3, 6, None)), (2, 4), "channels_first"
    ),
    "adaptive_average_pool": lambda o, t: o.adaptive_average_pool(
        t((None, 3, None, None)), (2, 5), "channels_first"
    ),
    "space_to_depth": lambda o, t: o.space_to_depth(t((None, None, 6, 3)), 2),
    "depth_to_space": lambda o, t: o.depth_to_space(t((None, 8, None, 6)), 2, "channels_first"),
    "unfold": lambda o, t: o.unfold(t((None, 3, 5, 6)), 2, padding=1),
    "fold": lambda o, t: o.fold(t((None, None, 6)), (3, 4), 2),
    "ctc_loss": lambda o, t: o.ctc_loss(
        t((None, 3), "int32"), t((None, None, 5)), t((None,), "int32"), t((None,), "int32")
    ),
    "ctc_decode": lambda o, t: o.ctc_decode(t((None, None, 5)), t((None,), "int32")),
    "ctc_decode beams": lambda o, t: o.ctc_decode(
        t((None, 7, 5)), t((None,), "int32"), "beam_search", top_paths=3
    ),
    "attention": lambda o, t: o.dot_product_attention(
        t((None, None, 4, 8)), t((None, 5, 2, 8)), t((None, 5, 2, 8)), is_causal=True
    ),
    "psnr": lambda o, t: o.psnr(t((None, 3)), t((None, 3)), 1.0),
}


@pytest.mark.parametrize("name", SYMBOLIC)
def test_symbolic_shapes(name):
    results = (SYMBOLIC[name](library.ops, library.KerasTensor) for library in (hornbeam, real))
    ours, theirs = ([(x.shape, x.dtype) for x in jax.tree.leaves(r)] for r in results)
    assert ours == theirs


def test_attention_falls_back_where_the_fused_kernel_does_not_fit():
    expected = ops.dot_product_attention(Q, K, V)
    hornbeam.config.enable_flash_attention()
    try:
        np.testing.assert_array_equal(ops.dot_product_attention(Q, K, V), expected)
    finally:
        hornbeam.config.disable_flash_attention()
    # A model may be built where the kernel can't run.
    x = hornbeam.KerasTensor((None, 5, 4, 8), "float16")
    assert ops.dot_product_attention(x, x, x, flash_attention=True).shape == x.shape


def test_soft_cap_of_attention():
    """Keras has it on TPUs only."""
    logits = np.einsum("bthd,bshd->bhts", Q, K) / np.sqrt(8)
    weights = jax.nn.softmax(2 * np.tanh(logits / 2))
    expected = np.einsum("bhts,bshd->bthd", weights, V)
    result = ops.dot_product_attention(Q, K, V, attn_logits_soft_cap=2.0)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)


def test_polar_knows_that_it_is_complex():
    """Keras infers the dtype of the operands."""
    result = ops.polar(hornbeam.KerasTensor((None, 3)), hornbeam.KerasTensor((3,), "float16"))
    assert (result.shape, result.dtype) == ((None, 3), "complex64")


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 10])
@pytest.mark.parametrize("n", [1, 3, 6, 7])
def test_adaptive_windows(n, size):
    """By the definition: Keras computes the bounds in floats, and misses some by one."""
    x = numbers(2, n, 3)
    bounds = [(i * n // size, math.ceil((i + 1) * n / size)) for i in range(size)]
    for op, reduce in (ops.adaptive_max_pool, np.max), (ops.adaptive_average_pool, np.mean):
        expected = np.stack([reduce(x[:, a:b], axis=1) for a, b in bounds], axis=1)
        np.testing.assert_allclose(op(x, size), expected, rtol=1e-5, atol=1e-6)


def test_fold_leaves_out_what_no_window_covers():
    x = numbers(1, 4, 4)
    image = np.asarray(ops.fold(x, 5, kernel_size=2, stride=2))
    assert image.shape == (1, 1, 5, 5) and not image[..., 4].any() and not image[..., 4, :].any()
    np.testing.assert_array_equal(image[..., :4, :4], real.ops.fold(x, 4, 2, stride=2))


def test_beam_search_sums_over_all_alignments():
    logits = numbers(1, 5, 3, seed=2)
    log_p = np.asarray(jax.nn.log_softmax(logits[0]))
    total = collections.defaultdict(float)
    for alignment in itertools.product(range(3), repeat=5):
        labels = tuple(label for label, _ in itertools.groupby(alignment) if label != 2)
        total[labels] += np.exp(log_p[np.arange(5), list(alignment)].sum())
    best = sorted(total, key=total.get, reverse=True)[:4]
    decode = jax.jit(lambda x: ops.ctc_decode(x, [5], "beam_search", top_paths=4, mask_index=2))
    labels, scores = decode(logits)
    assert [tuple(int(i) for i in path if i >= 0) for path in labels[:, 0]] == best
    np.testing.assert_allclose(scores[0], [np.log(total[k]) for k in best], rtol=1e-5)


def test_decoding_no_steps_gives_no_labels():
    """Keras's beam search takes one step at least."""
    decode = jax.jit(lambda x: ops.ctc_decode(x, [0], "beam_search", 3, top_paths=2))
    labels, scores = decode(np.zeros((1, 2, 3)))
    assert (labels == -1).all() and scores.tolist() == [[0.0, -np.inf]]


def test_psnr_of_bytes():
    """Keras subtracts them as bytes, which wraps around."""
    x, y = np.array([200, 3], "uint8"), np.array([3, 200], "uint8")
    assert float(ops.psnr(x, y, 255)) == pytest.approx(20 * np.log10(255 / 197), abs=1e-5)


# call, words of the message
MISTAKES = [
    (lambda: ops.adaptive_max_pool(X, (3,)), r"output_size .*at least 1, or 2 of them; .*\(3,\)"),
    (lambda: ops.adaptive_max_pool(X, 2.5), "output_size .*received 2.5"),
    (lambda: ops.adaptive_average_pool(X[0, 0], 2), r"shape \(batch, \*spatial, channels\)"),
    (lambda: ops.conv(X, numbers(3, 3, 4, 5), strides="2"), "strides .*received '2'"),
    (lambda: ops.space_to_depth(X, 2), r"space_to_depth .*block_size=2 divides.*\(2, 7, 6, 4\)"),
    (lambda: ops.space_to_depth(X, 1), "block_size .*at least 2; received 1"),
    (lambda: ops.depth_to_space(X, 3), "depth_to_space .*block_size²=9 divides"),
    (lambda: ops.depth_to_space(X[0], 2), "depth_to_space's x .*4 axes"),
    (lambda: ops.depth_to_space(X, 2, "channels"), "data_format .*'channels_last'"),
    (lambda: ops.unfold(X[0], 2), "unfold's x .*batch, channels, height, width"),
    (lambda: ops.unfold(X, 7), r"7 x 7 .*fit into the image; received sizes \(6, 4\)"),
    (lambda: ops.unfold(X, 2, padding=-1), "padding .*at least 0"),
    (
        lambda: ops.fold(numbers(1, 4, 5), 3, 2),
        r"\(batch, channels \* 4, 4\).*received .*\(1, 4, 5\)",
    ),
    (lambda: ops.fold(X, 3, 2), "fold's x"),
    (lambda: ops.ctc_decode(LOGITS, [6, 3, 1], "best"), "strategy .*'greedy', 'beam_search'"),
    (lambda: ops.ctc_decode(LOGITS[0], [6]), r"shape \(batch, steps, classes\).*\(6, 4\)"),
    (
        lambda: ops.ctc_decode(LOGITS, [1] * 3, top_paths=9, beam_width=8),
        "top_paths .*beam_width=8",
    ),
    (lambda: ops.psnr(X, X[0], 1.0), r"x1 and x2 .*same shape"),
    (
        lambda: ops.ctc_loss([[1]], LOGITS, [1], [6]),
        r"batch, steps, classes.*\(\(1, 1\), \(3, 6, 4\)",
    ),
    (lambda: ops.ctc_decode(LOGITS, [6, 6]), r"received \(3, 6, 4\) and \(2,\)"),
    (lambda: ops.moments(X, 4), "axis 4 is out of bounds"),
    (lambda: ops.layer_normalization(X, axis=-5), "axis -5 is out of bounds"),
    (
        lambda: ops.layer_normalization(X, numbers(7)),
        r"gamma .*shape \(4,\), .* axis \(3,\); .*\(7,\)",
    ),
    (lambda: ops.rms_normalization(X, numbers(4, 7), (1, 3)), r"scale .*shape \(7, 4\)"),
    (lambda: ops.batch_normalization(X, numbers(4), numbers(4), 1), r"variance .*shape \(7,\)"),
    (lambda: ops.dot_product_attention(Q, K[:, :, :3], V[:, :, :3]), "as many heads or a divisor"),
    (lambda: ops.dot_product_attention(Q, K, V[:, :2]), r"value.shape=\(2, 2, 4, 8\)"),
    (lambda: ops.dot_product_attention(Q[0], K[0], V[0]), r"query \(batch, time, heads, features"),
    (
        lambda: ops.dot_product_attention(Q, K, V, flash_attention=True, attn_logits_soft_cap=2.0),
        "flash_attention=True has no attn_logits_soft_cap=2.0",
    ),
]


@pytest.mark.parametrize(("call", "words"), MISTAKES)
def test_mistakes(call, words):
    with pytest.raises(ValueError, match=words):
        call()
