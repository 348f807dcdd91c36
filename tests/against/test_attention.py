"""What tables of layers can't say about attention and its neighbours: masks, gradients, first
values, files and mistakes, against Keras."""

import functools

import jax
import jax.numpy as jnp
import keras as real
import numpy as np
import pytest

import hornbeam
from hornbeam import layers
from hornbeam.core.naming import reset_names

rng = np.random.default_rng(0)


def data(*shape):
    return rng.normal(size=shape).astype("float32")


QUERY, VALUE = data(2, 3, 4), data(2, 5, 4)
QUERY_MASK = np.array([[1, 1, 0], [1, 0, 0]], bool)
VALUE_MASK = np.array([[1, 0, 1, 1, 0], [0, 1, 1, 0, 0]], bool)
KEY_MASK = np.array([[1, 1, 1, 0, 0], [1, 1, 0, 0, 1]], bool)
PAIRS = rng.integers(0, 2, (2, 3, 5)).astype(bool) | (np.arange(5) == 2)


@pytest.fixture(autouse=True)
def same_names():
    reset_names()
    real.utils.clear_session(free_memory=False)


def pair(name, *args, inputs=(QUERY, VALUE), **kwargs):
    """Our layer and Keras's, with the same random weights."""
    ours, theirs = (getattr(p.layers, name)(*args, **kwargs) for p in (hornbeam, real))
    ours(*inputs), theirs(*inputs)
    weights = [np.random.default_rng(i).normal(size=w.shape) for i, w in enumerate(ours.weights)]
    ours.set_weights(weights), theirs.set_weights(weights)
    return ours, theirs


def assert_same(ours, theirs, tolerance=2e-5):
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


HEADS = [("MultiHeadAttention", 2, 3), ("GroupQueryAttention", 3, 2, 1)]
CALLS = [
    {"value_mask": VALUE_MASK},
    {"key_mask": KEY_MASK, "value_mask": VALUE_MASK | True},
    {"query_mask": QUERY_MASK},
    {"attention_mask": PAIRS},
    {"attention_mask": PAIRS[:, None], "use_causal_mask": True},
    {"attention_mask": PAIRS[0].astype("int32")},
    {"attention_mask": PAIRS, "value_mask": VALUE_MASK | PAIRS[:, 0], "query_mask": QUERY_MASK},
]


@functools.cache
def heads(name):
    (row,) = [r for r in HEADS if r[0] == name]
    return pair(*row)


@pytest.mark.parametrize("call", CALLS, ids=lambda c: ",".join(c))
@pytest.mark.parametrize("name", [row[0] for row in HEADS])
def test_masks_of_heads(name, call):
    ours, theirs = (layer(QUERY, VALUE, **call) for layer in heads(name))
    if "query_mask" in call:  # Keras's MultiHeadAttention uses only one that travels
        ours, theirs = ours[QUERY_MASK], theirs[QUERY_MASK]
    assert_same(ours, theirs)


@pytest.mark.parametrize("name", [row[0] for row in HEADS])
def test_masks_that_travel(name):
    outputs = []
    for layer, array in zip(heads(name), (jnp.asarray, real.ops.convert_to_tensor)):
        query, value = array(QUERY), array(VALUE)  # Keras takes the masks off
        query._keras_mask, value._keras_mask = array(QUERY_MASK), array(VALUE_MASK)
        outputs.append(layer(query, value))
    assert_same(*outputs)
    np.testing.assert_array_equal(outputs[0]._keras_mask, QUERY_MASK)
    query, value = jnp.asarray(QUERY), jnp.asarray(VALUE)
    query._keras_mask, value._keras_mask = QUERY_MASK, VALUE_MASK
    _, scores = heads(name)[0](query, value, return_attention_scores=True)
    used = scores[0][:, QUERY_MASK[0]] > 0
    np.testing.assert_array_equal(used, np.broadcast_to(VALUE_MASK[0], used.shape))
    assert getattr(scores, "_keras_mask", None) is None


@pytest.mark.parametrize("name", ["Attention", "AdditiveAttention"])
@pytest.mark.parametrize(
    "masks", [[None, VALUE_MASK], [QUERY_MASK, VALUE_MASK], [QUERY_MASK, None]]
)
def test_masks_in_lists(name, masks):
    ours, theirs = pair(name, use_scale=True, inputs=([QUERY, VALUE],))
    for options in ({}, {"use_causal_mask": True, "return_attention_scores": True}):
        call = {"mask": masks, **options}
        assert_same(ours([QUERY, VALUE], **call), theirs([QUERY, VALUE], **call))
    assert_same(
        ours.compute_mask([QUERY, VALUE], masks), theirs.compute_mask([QUERY, VALUE], masks)
    )


def test_scores_with_dropout():
    for name, *arguments in [*HEADS, ("Attention",)]:
        inputs = ([QUERY, VALUE],) if name == "Attention" else (QUERY, VALUE)
        ours, theirs = pair(name, *arguments, dropout=0.4, seed=3, inputs=inputs)
        call = {"return_attention_scores": True, "training": True}
        assert_same(ours(*inputs, **call), theirs(*inputs, **call))


def test_several_axes_of_attention():
    query, value = data(2, 2, 3, 4), data(2, 2, 5, 4)
    mask = rng.integers(0, 2, (2, 2, 3, 5)).astype(bool) | (np.arange(5) == 1)
    ours, theirs = pair("MultiHeadAttention", 2, 3, attention_axes=(2,), inputs=(query, value))
    assert_same(ours(query, value, attention_mask=mask), theirs(query, value, attention_mask=mask))
    ours, theirs = pair("MultiHeadAttention", 2, 3, inputs=(query, value))
    mask = rng.integers(0, 2, (2, 2, 3, 2, 5)).astype(bool) | (np.arange(5) == 1)
    assert_same(ours(query, value, attention_mask=mask), theirs(query, value, attention_mask=mask))


def test_embedding_masks():
    tokens = np.array([[1, 0, 2]])
    outputs = [k.layers.ReversibleEmbedding(4, 3, mask_zero=True)(tokens) for k in (hornbeam, real)]
    np.testing.assert_array_equal(outputs[0]._keras_mask, outputs[1]._keras_mask)


# Gradients ----------------------------------------------------------------------------------------

GRADIENTS = [
    ("MultiHeadAttention", (2, 3), {"use_gate": True}, (QUERY, VALUE)),
    ("GroupQueryAttention", (3, 2, 1), {"sliding_window": 2}, (QUERY, VALUE)),
    ("Attention", (), {"score_mode": "concat", "use_scale": True}, ([QUERY, VALUE],)),
    ("EinsumDense", ("abc,cde->abde", (None, 2, 3)), {"bias_axes": "e"}, (QUERY,)),
    ("GroupNormalization", (2,), {}, (QUERY,)),
    ("RMSNormalization", (), {}, (QUERY,)),
    ("SeparableConv1D", (3, 2), {"depth_multiplier": 2}, (QUERY,)),
    ("Conv1DTranspose", (3, 3), {"strides": 2, "padding": "same"}, (QUERY,)),
    ("Conv2DTranspose", (3, (2, 3)), {"strides": (1, 3), "output_padding": 0}, (data(2, 3, 4, 2),)),
    ("Conv2DTranspose", (3, 2), {"dilation_rate": 2}, (data(2, 3, 4, 2),)),
    ("Conv3DTranspose", (2, 2), {"strides": 2}, (data(1, 2, 2, 2, 2),)),
]


@pytest.mark.parametrize("name, args, kwargs, inputs", GRADIENTS, ids=lambda x: str(x)[:30])
def test_gradients(name, args, kwargs, inputs):
    gradients = []
    for layer in pair(name, *args, inputs=inputs, **kwargs):
        others = [v.value for v in layer.non_trainable_variables]

        @jax.jit
        def loss(weights, inputs, layer=layer, others=others):
            outputs, _ = layer.stateless_call(weights, others, *inputs)
            return jnp.sum(jnp.sin(outputs))

        weights = [jnp.asarray(v.value) for v in layer.trainable_variables]
        gradients.append(jax.grad(loss, argnums=(0, 1))(weights, inputs))
    assert_same(*gradients, tolerance=1e-4)


# First values, and files --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, args, kwargs, inputs",
    [
        *((n, a, {}, (QUERY, VALUE)) for n, *a in HEADS),
        ("AdditiveAttention", (), {}, ([QUERY, VALUE],)),
        ("EinsumDense", ("abc,cde->abde", (None, 2, 3)), {}, (QUERY,)),
        ("EinsumDense", ("abc,bcd->abd", (3, 2)), {"kernel_initializer": "he_normal"}, (QUERY,)),
        ("ReversibleEmbedding", (4, 3), {"tie_weights": False}, (np.array([1]),)),
        ("SeparableConv1D", (3, 2), {}, (QUERY,)),
        ("DepthwiseConv1D", (3,), {}, (QUERY,)),
    ],
    ids=lambda x: str(x)[:30],
)
def test_first_values(name, args, kwargs, inputs):
    values = []
    for keras in (hornbeam, real):
        keras.utils.set_random_seed(1)
        layer = getattr(keras.layers, name)(*args, **kwargs)
        layer(*inputs)
        values.append(layer.get_weights())
    assert_same(*values, tolerance=1e-6)


def build(keras):
    """A model of everything that has a place of its own in files."""
    L = keras.layers
    tokens = keras.Input((6,), dtype="int32")
    embedding = L.ReversibleEmbedding(7, 4, tie_weights=False)
    x = embedding(tokens)
    x = L.MultiHeadAttention(2, 3, dropout=0.1, use_gate=True)(x, x, use_causal_mask=True)
    x = L.GroupQueryAttention(3, 2, 1, use_gate=True)(x, x)
    x = L.Attention(use_scale=True)([x, x])
    x = L.EinsumDense("abc,cd->abd", (None, 4), bias_axes="d")(x)
    x = L.SpectralNormalization(L.Conv1D(4, 1))(L.RMSNormalization()(x))
    x = L.Pipeline([L.GroupNormalization(2), L.Dense(4)])(x, training=False)
    x = L.Conv1DTranspose(4, 2)(L.SeparableConv1D(4, 2)(L.DepthwiseConv1D(1)(x)))
    return keras.Model(tokens, embedding(x, reverse=True))


def test_files_are_exchanged(tmp_path):
    tokens = rng.integers(0, 7, (2, 6))
    for write, read in ((hornbeam, real), (real, hornbeam)):
        model = build(write)
        weights = [
            np.random.default_rng(i).normal(size=w.shape) for i, w in enumerate(model.weights)
        ]
        model.set_weights(weights)
        expected = model.predict(tokens, verbose=0)
        model.save(tmp_path / "model.keras")
        model.save_weights(tmp_path / "model.weights.h5")
        assert_same(
            read.models.load_model(tmp_path / "model.keras").predict(tokens, verbose=0),
            expected,
            tolerance=1e-4,
        )
        other = build(read)
        other.load_weights(tmp_path / "model.weights.h5")
        assert_same(other.predict(tokens, verbose=0), expected, tolerance=1e-4)


def test_regularization_losses():
    options = {"activity_regularizer": "l2", "kernel_regularizer": "l1", "bias_regularizer": "l2"}
    for row in HEADS:
        ours, theirs = pair(*row, **options)
        ours(QUERY, VALUE), theirs(QUERY, VALUE)
        assert len(ours.losses) == len(theirs.losses)
        assert_same(sorted(map(float, ours.losses)), sorted(map(float, theirs.losses)))


# Mistakes -----------------------------------------------------------------------------------------

MISTAKES = [
    (lambda: layers.MultiHeadAttention(0, 3), "num_heads should be a positive int"),
    (lambda: layers.MultiHeadAttention(1, 3, sliding_window=0), "sliding_window should be"),
    (lambda: layers.MultiHeadAttention(1, 3, dropout=0.1, flash_attention=True), "no dropout"),
    (
        lambda: layers.MultiHeadAttention(1, 3, flash_attention=True)(
            QUERY, VALUE, return_attention_scores=True
        ),
        "no attention scores",
    ),
    (
        lambda: layers.MultiHeadAttention(1, 3)(QUERY, VALUE, VALUE[:, 1:]),
        "should have equal shapes",
    ),
    (lambda: layers.MultiHeadAttention(1, 3, attention_axes=4)(QUERY, VALUE), "attention_axes"),
    (
        lambda: layers.MultiHeadAttention(1, 3)(QUERY, VALUE, attention_mask=np.ones(5)),
        "attention_mask should be of at least 2 axes",
    ),
    (lambda: layers.GroupQueryAttention(3, 4, 3), "multiple of num_key_value_heads"),
    (lambda: layers.GroupQueryAttention(3, 4, 2)(data(1, 2, 3, 4), VALUE), "axes"),
    (lambda: layers.Attention(score_mode="cat"), "score_mode should be.*'dot'"),
    (lambda: layers.Attention()(QUERY), r"called on a list \[query, value\]"),
    (lambda: layers.Attention()([QUERY, VALUE], mask=[None]), "mask should be a list"),
    (lambda: layers.EinsumDense("ab-c", 3), "equation should be"),
    (lambda: layers.EinsumDense("ab,cd->ad", 3), "size of the kernel's axis 'c' is unknown"),
    (lambda: layers.EinsumDense("ab,bc->ac", 3, bias_axes="z"), "'z' is none of them"),
    (lambda: layers.EinsumDense("abc,cd->abd", 3), "one size for each of the axes 'bd'"),
    (lambda: layers.EinsumDense("abc,cd->abd", (7, 4))(QUERY), "axis 'b'.* has size 7"),
    (lambda: layers.EinsumDense("ab,bc->ac", 3)(QUERY), "takes inputs of 2 axes"),
    (lambda: layers.GroupNormalization(0), "groups should be a positive int or -1"),
    (lambda: layers.GroupNormalization(3)(QUERY), "should divide the number of channels"),
    (lambda: layers.GroupNormalization(axis=[1]), "axis should be an int"),
    (lambda: layers.GroupNormalization(2, axis=5)(QUERY), "axis=5 should be an axis"),
    (lambda: layers.UnitNormalization(axis="a"), "axis should be an int or a list"),
    (lambda: layers.Conv1DTranspose(3, 3, output_padding=1), "output_padding should be less"),
    (lambda: layers.Conv2DTranspose(3, 3, strides=2, dilation_rate=2), "can't both be above 1"),
    (lambda: layers.Conv2DTranspose(0, 3), "filters should be a positive int"),
    (lambda: layers.DepthwiseConv2D(3, depth_multiplier=0), "depth_multiplier should be"),
    (lambda: layers.DepthwiseConv2D(3)(data(1, 2, 2, 1)), "larger than the inputs"),
    (lambda: layers.AdaptiveAveragePooling2D((1, 2, 3)), "output_size should be"),
]


@pytest.mark.parametrize("act, message", MISTAKES, ids=lambda x: x if isinstance(x, str) else "")
def test_mistakes_are_explained(act, message):
    with pytest.raises((ValueError, TypeError), match=message):
        act()
