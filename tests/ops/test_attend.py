"""Attention and the product of dense layers against plain formulas: values and derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hornbeam.ops import _attend
from hornbeam.ops._project import project

rng = np.random.default_rng(0)
B, T, S, H, D = 2, 8, 10, 4, 3


def normal(*shape):
    return jnp.asarray(rng.normal(size=shape), "float32")


QUERY, KEY, VALUE = normal(B, T, H, D), normal(B, S, H, D), normal(B, S, H, 5)
ALLOWED = jnp.asarray(rng.integers(0, 2, (B, 1, T, S)), bool)
KEPT = jnp.asarray(rng.integers(0, 4, (B, H, T, S)) > 0)


def plain(query, key, value, bias=None, allowed=None, causal=False, **options):
    window, soft_cap = options.get("window"), options.get("soft_cap")
    key, value = (jnp.repeat(x, query.shape[2] // x.shape[2], axis=2) for x in (key, value))
    logits = jnp.einsum("bthd,bshd->bhts", query, key)
    if soft_cap:
        logits = soft_cap * jnp.tanh(logits / soft_cap)
    if bias is not None:
        logits = logits + bias
    t, s = jnp.arange(query.shape[1])[:, None], jnp.arange(key.shape[1])
    for allow in (allowed, t >= s if causal else None, abs(t - s) < window if window else None):
        if allow is not None:
            logits = jnp.where(allow, logits, -1e30)
    weights = jax.nn.softmax(logits)
    if "kept" in options:
        weights = jnp.where(options["kept"], weights / (1 - options["rate"]), 0)
    return jnp.einsum("bhts,bshd->bthd", weights, value)


OPTIONS = {
    "nothing": {},
    "allowed": {"allowed": ALLOWED},
    "a row for all queries": {"allowed": ALLOWED[:, :, :1]},
    "for all keys": {"bias": normal(T, 1)},
    "bias": {"bias": normal(1, H, T, S), "allowed": ALLOWED[0]},
    "causal": {"causal": True},
    "window": {"window": 3},
    "causal window": {"causal": True, "window": 2, "allowed": ALLOWED | jnp.eye(T, S, dtype=bool)},
    "soft cap": {"soft_cap": 1.5, "causal": True},
    "dropout": {"kept": KEPT, "rate": 0.25},
    "everything": {
        "bias": normal(B, 1, T, S),
        "allowed": ALLOWED | True,
        "causal": True,
        "window": 5,
        "soft_cap": 2.0,
        "kept": KEPT,
        "rate": 0.25,
    },
}
# How much is computed at once: all, groups of queries, or parts of them.
LIMITS = {
    "at once": {},
    "groups": {"_MIN_CAUSAL": 4},
    "parts": {"_MAX_LOGITS": 0, "_PART": 2 * B * H * S},
    "uneven parts": {"_MAX_LOGITS": 0, "_PART": 3 * B * H * S},
    "parts of groups": {"_MIN_CAUSAL": 4, "_MAX_LOGITS": 0, "_PART": B * H},
}


def assert_close(got, expected, tolerance=1e-4):
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, tolerance, tolerance)


def derivatives(function, args, direction):
    """The value, a derivative forward, the gradient, and its derivative."""
    gradient = jax.grad(lambda *a: jnp.sum(jnp.sin(function(*a))), tuple(range(len(args))))
    return jax.jvp(function, args, direction), jax.jvp(gradient, args, direction)


def assert_same(ours, theirs, args):
    direction = tuple(normal(*a.shape) for a in args)
    both = jax.jit(lambda *a: [derivatives(f, *a) for f in (ours, theirs)])
    assert_close(*both(args, direction))


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("name", OPTIONS)
def test_attention(name, limits, monkeypatch):
    for limit, value in LIMITS[limits].items():
        monkeypatch.setattr(_attend, limit, value)
    options, args = dict(OPTIONS[name]), (QUERY, KEY, VALUE)
    if limits != "at once" and name not in ("causal", "everything", "for all keys", "bias"):
        return assert_close(_attend.attend(*args, **options), plain(*args, **options))
    if (bias := options.pop("bias", None)) is not None:
        args = (*args, bias)
    assert_same(lambda *a: _attend.attend(*a, **options), lambda *a: plain(*a, **options), args)


def test_heads_that_share_keys():
    args = QUERY, KEY[:, :, :2], VALUE[:, :, :2]
    options = {"allowed": ALLOWED, "kept": KEPT, "rate": 0.25}
    assert_same(lambda *a: _attend.attend(*a, **options), lambda *a: plain(*a, **options), args)


def test_weights():
    weights = _attend.attention_weights(QUERY, KEY, allowed=ALLOWED | True, causal=True)
    assert_close(weights.sum(-1), np.ones((B, H, T)))
    mixed = jnp.einsum("bhts,bshd->bthd", weights, VALUE)
    assert_close(mixed, plain(QUERY, KEY, VALUE, causal=True))


def test_a_query_without_keys_gets_the_mean():
    out = _attend.attend(QUERY, KEY, VALUE, allowed=jnp.zeros((T, S), bool))
    assert_close(out, jnp.broadcast_to(VALUE.mean(1, keepdims=True), out.shape))
    gradient = jax.grad(lambda q: _attend.attend(q, KEY, VALUE, allowed=ALLOWED & False).sum())
    assert not gradient(QUERY).any()


def test_a_rate_without_decisions_does_nothing():
    assert_close(_attend.attend(QUERY, KEY, VALUE, rate=0.5), plain(QUERY, KEY, VALUE))


def test_all_dropped():
    out = _attend.attend(QUERY, KEY, VALUE, kept=KEPT & False, rate=1.0)
    assert not out.any()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision(dtype):
    args = [x.astype(dtype) for x in (QUERY * 20, KEY * 20, VALUE)]
    out = _attend.attend(*args, causal=True)
    assert out.dtype == dtype
    assert_close(out.astype("float32"), plain(QUERY * 20, KEY * 20, VALUE, causal=True), 0.1)


def test_examples_one_by_one():
    loss = lambda q, k, v: jnp.sum(jnp.sin(_attend.attend(q, k, v, causal=True)))
    gradients = lambda *a: jax.grad(loss, (0, 1, 2))(*a)
    single = jax.vmap(lambda *a: gradients(*(x[None] for x in a)))(QUERY, KEY, VALUE)
    assert_close([x[:, 0] for x in single], gradients(QUERY, KEY, VALUE))


def test_unknown_sizes():
    d = jax.export.symbolic_shape("d", constraints=["d >= 2"])[0]
    spec = lambda s, h, d: jax.ShapeDtypeStruct((B, s, h, d), "float32")
    attend = lambda *a: _attend.attend(*a, causal=True, window=3)
    out = jax.eval_shape(attend, spec(d, 4, 3), spec(d, 2, 3), spec(d, 2, 5))
    assert str(out.shape) == "(2, d, 4, 5)"


def test_long_sequences_take_little_memory(monkeypatch):
    x = jax.ShapeDtypeStruct((1, 512, 2, 4), "float32")

    def temporary():
        gradient = jax.grad(lambda x: jnp.sum(_attend.attend(x, x, x)))
        return jax.jit(gradient).lower(x).compile().memory_analysis().temp_size_in_bytes

    logits = 2 * 512 * 512 * 4
    assert temporary() > logits
    monkeypatch.setattr(_attend, "_MAX_LOGITS", 2**18)
    monkeypatch.setattr(_attend, "_PART", 2**14)
    assert temporary() < logits / 4


# Dense products -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "x, kernel, axes",
    [
        ((5, 3), (3, 4), 1),
        ((2, 9, 8), (8, 2), 1),  # smaller outputs are transposed
        ((2, 5, 2), (2, 9), 1),
        ((2, 5, 2, 3), (2, 3, 2), 2),
        ((2, 5, 3), (3, 2, 4), 1),
        ((3,), (3, 2), 1),
    ],
)
def test_products(x, kernel, axes):
    args = normal(*x), normal(*kernel)
    assert_same(lambda x, k: project(x, k, axes), lambda x, k: jnp.tensordot(x, k, axes), args)


def test_products_in_other_dtypes_and_sizes():
    x, kernel = np.ones((2, 3), "int32"), normal(3, 4)
    assert project(x, kernel).dtype == "float32"
    assert project(kernel.astype("bfloat16"), kernel.T).dtype == "float32"
    d = jax.export.symbolic_shape("d", constraints=["d >= 2"])[0]
    spec = jax.ShapeDtypeStruct((d, d, 3), "float32")
    assert str(jax.eval_shape(project, spec, kernel).shape) == "(d, d, 4)"
    loss = lambda x, k: jnp.sum(project(x, k) ** 2)
    xs = normal(4, 9, 8)
    one = jax.vmap(jax.grad(loss, 1), (0, None))(xs, normal(8, 2))
    assert one.shape == (4, 8, 2)
    with pytest.raises(ValueError, match=r"last sizes of the inputs.*should be the first"):
        project(normal(2, 3), normal(4, 2))
