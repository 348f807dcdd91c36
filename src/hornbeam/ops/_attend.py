"""Dot-product attention, in the order of axes and of calculations that is fast.

`attend` computes what the textbook formula says; what this file adds is speed and memory. All
measurements: XLA:CPU of JAX 0.10.2, one core, float32, value and gradients, repeated by
`benchmarks/attention.py`.

* *Products in canonical order.* A batched product runs fast when the batch axes come first and
  the sum runs over the last axis of the left and the second to last axis of the right matrix;
  otherwise XLA transposes. Transposing queries, keys and values (`[b, t, h, d]`) costs 1 ms,
  transposing logits (`[b, h, t, s]`) 2 ms each time. 32x128x4x16: 34 ms as in
  `jax.nn.dot_product_attention`, 14 with canonical axes.
* *The gradient of the softmax* needs the sum over `s` of weights times their gradient. It equals
  the sum over `d` of the output times its gradient, which are smaller, and the division by the
  total can be done on the output, too. So no more than the exponentials are kept. 10 ms.
* *Causal attention* computes the logits of four groups of queries, each with the keys up to its
  last query: 8x512x4x32 takes 69 ms in place of 114.
* *Memory.* Logits of more than 256 MB are computed for a part of the queries at a time, and again
  for the gradients: 1x4096x4x64 needs 40 MB in place of 520, and 1.4 s in place of 1.6.

Every path consists of ordinary differentiable operations, so `jvp`, `vmap`, higher derivatives
and symbolic sizes work.
"""

import functools
import math

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero

_MAX_LOGITS = 2**26  # more are computed in parts
_PART = 2**23  # of at most this many
_CAUSAL_GROUPS = 4
_MIN_CAUSAL = 256  # fewer queries gain nothing from groups


def attend(
    query,
    key,
    value,
    bias=None,
    allowed=None,
    causal=False,
    window=None,
    soft_cap=None,
    kept=None,
    rate=0.0,
):
    """`softmax(query · key + bias) · value` for every head.

    Args:
        query: `[b, t, h, d]`, scaled.
        key: `[b, s, k, d]`, where `k` divides `h`: groups of heads share keys and values.
        value: `[b, s, k, e]`.
        bias: added to the logits; broadcasts to `[b, h, t, s]`.
        allowed: booleans, false where nothing is to be attended to; broadcasts to `[b, h, t, s]`.
        causal: whether queries attend to no later positions.
        window: how many positions around its own a query attends to: `|t - s| < window`.
        soft_cap: `c`, for `c * tanh(logits / c)` in place of the logits.
        kept: booleans `[b, h, t, s]`, false where dropout zeroes a weight.
        rate: share of the weights that dropout zeroes; the others are divided by `1 - rate`.

    Returns:
        `[b, t, h, e]`.
    """
    t, s = query.shape[1], key.shape[1]
    query, key, value = _heads_first(query, key, value)
    # These have a row for every query, or one for all: `None` or four axes.
    rows = (query, *map(_four_axes, (bias, allowed, kept)))
    groups = 1
    if (causal or window) and isinstance(t, int) and isinstance(s, int) and t >= _MIN_CAUSAL:
        groups = _CAUSAL_GROUPS
    outputs = []
    for n in range(groups):
        first, last = (t * n // groups, t * (n + 1) // groups) if groups > 1 else (0, t)
        seen = _seen(first, last, s, causal, window) if groups > 1 else slice(0, s)
        these = [None if x is None else _cut(x, 2, slice(first, last)) for x in rows]
        these[1:] = [None if x is None else _cut(x, 3, seen) for x in these[1:]]
        part = functools.partial(
            _attend_some,
            key=key[..., seen],
            value=value[:, :, seen],
            first_key=seen.start,
            causal=causal,
            window=window,
            soft_cap=soft_cap,
            rate=rate,
        )
        outputs.append(_in_parts(part, jnp.arange(t)[first:last], *these, keys=seen))
    output = outputs[0] if groups == 1 else jnp.concatenate(outputs, axis=2)
    return jnp.swapaxes(output, 1, 2)


def attention_weights(
    query, key, bias=None, allowed=None, causal=False, window=None, soft_cap=None
):
    """What `attend` weights the values by before dropout: `[b, h, t, s]`."""
    query, key, _ = _heads_first(query, key, key)
    positions = jnp.arange(query.shape[2])
    bias, allowed = _four_axes(bias), _four_axes(allowed)
    logits = _logits(positions, query, bias, allowed, key, 0, causal, window, soft_cap)
    return jax.nn.softmax(logits).astype(query.dtype)


def _heads_first(query, key, value):
    """`[b, h, t, d]`, `[b, k, d, s]` and `[b, k, s, e]`."""
    key = jnp.transpose(key, (0, 2, 3, 1))
    if jax.default_backend() == "cpu":
        # Otherwise XLA merges the transpositions in the gradient, and transposes the logits.
        key = lax.optimization_barrier(key)
    return jnp.swapaxes(query, 1, 2), key, jnp.swapaxes(value, 1, 2)


def _four_axes(x):
    """`x`, which broadcasts to `[b, h, t, s]`, with all four axes."""
    return None if x is None else x.reshape((1,) * (4 - x.ndim) + x.shape)


def _seen(first, last, s, causal, window):
    """The keys that the queries from `first` to before `last` may attend to."""
    start, stop = 0, s
    if window is not None:
        start, stop = max(first - window + 1, 0), min(last + window - 1, s)
    if causal:
        stop = min(last, stop)
    return slice(min(start, s - 1), max(stop, 1))  # never empty


def _cut(x, axis, part):
    """A slice along an axis, unless it has size 1 and stands for all positions."""
    return x if x.shape[axis] == 1 else x[(slice(None),) * axis + (part,)]


def _in_parts(attend_some, positions, query, bias, allowed, kept, keys):
    """`attend_some` of all queries, or of a part at a time where the logits would take too much
    memory. Parts are computed again for the gradients, so that none are kept."""
    b, h, t, _ = query.shape
    sizes = (b, h, t, keys.stop - keys.start)
    if not all(isinstance(n, int) for n in sizes) or math.prod(sizes) <= _MAX_LOGITS:
        return attend_some(positions, query, bias, allowed, kept)
    parts = min(-(-math.prod(sizes) // _PART), t)
    size = -(-t // parts)
    parts = -(-t // size)

    def split(x, axis):
        """`[…, t, …]` to `[parts, …, size, …]`, filled up with zeros."""
        if x is None or (axis == 2 and x.shape[axis] == 1):
            return None
        x = jnp.pad(x, [(0, parts * size - t if i == axis else 0) for i in range(x.ndim)])
        x = x.reshape(*x.shape[:axis], parts, size, *x.shape[axis + 1 :])
        return jnp.moveaxis(x, axis, 0)

    whole = positions, query, bias, allowed, kept
    splits = [split(x, 0 if x is positions else 2) for x in whole]

    @jax.checkpoint
    def some(these):
        return attend_some(*(x if y is None else y for x, y in zip(whole, these)))

    outputs = jnp.moveaxis(lax.map(some, splits), 0, 2)
    return outputs.reshape(b, h, parts * size, -1)[:, :, :t]


def _attend_some(positions, query, bias, allowed, kept, key, value, *, rate, **options):
    """Attention of the queries at `positions` to the keys from `first_key` on: `[b, h, t, e]`."""
    logits = _logits(positions, query, bias, allowed, key, **options)
    (b, h, t, s), k = logits.shape, key.shape[1]
    merged = (b, k, h // k * t, s)
    kept = None if kept is None else kept.reshape(merged)
    return weighted_mean(logits.reshape(merged), value, kept, rate).reshape(b, h, t, -1)


def _logits(positions, query, bias, allowed, key, first_key, causal, window, soft_cap):
    """Logits in at least float32, very low where nothing is to be attended to: `[b, h, t, s]`."""
    (b, h, t, d), (k, s) = query.shape, (key.shape[1], key.shape[3])
    # The queries of heads that share keys become rows of one matrix.
    logits = _product(query.reshape(b, k, h // k * t, d), key).reshape(b, h, t, s)
    if soft_cap is not None:
        logits = soft_cap * jnp.tanh(logits / soft_cap)
    if bias is not None:
        logits = logits + bias
    distances = positions[:, None] - jnp.arange(first_key, first_key + s)
    if causal:
        allowed = _both(allowed, distances >= 0)
    if window is not None:
        allowed = _both(allowed, jnp.abs(distances) < window)
    if allowed is None:
        return logits
    # Finite, so that a query with nothing to attend to doesn't become NaN.
    return jnp.where(allowed, logits, 0.5 * jnp.finfo(logits.dtype).min)


def _both(allowed, also):
    return also if allowed is None else allowed & also


def _product(x, y):
    """A matrix product that adds up in at least float32."""
    wide = jnp.promote_types(x.dtype, jnp.float32)
    return jnp.matmul(x, y, preferred_element_type=wide)


@functools.partial(jax.custom_jvp, nondiff_argnums=(3,))
def weighted_mean(logits, values, kept=None, rate=0.0):
    """`dropout(softmax(logits)) @ values`: `[…, t, s]` and `[…, s, e]` to `[…, t, e]`."""
    weights, total = _exponentials(logits)
    weights, scaled = _drop(weights, values, kept, rate)
    return (_mix(weights, scaled) / total).astype(values.dtype)


def _weighted_mean_jvp(rate, primals, tangents):
    """With `w = exp(logits)`, `u = dropout(w)` and `y = u @ v / sum(w)`, where sums run over `s`,

        y' = ((u * logits') @ v - sum(w * logits') * y + u @ v') / sum(w)

    The transpose of this is the gradient that the head of the file speaks of.
    """
    logits, values, kept = primals
    logits_dot, values_dot, _ = tangents
    weights, total = _exponentials(logits)
    used, scaled = _drop(weights, values, kept, rate)
    y = _mix(used, scaled) / total
    y_dot = jnp.zeros_like(y)
    if not isinstance(logits_dot, SymbolicZero):
        y_dot += _mix(used * logits_dot, scaled)
        y_dot -= y * jnp.sum(weights * logits_dot, -1, keepdims=True)
    if not isinstance(values_dot, SymbolicZero):
        y_dot += _mix(*_drop(weights, values_dot, kept, rate))
    return y.astype(values.dtype), (y_dot / total).astype(values.dtype)


weighted_mean.defjvp(_weighted_mean_jvp, symbolic_zeros=True)


def _exponentials(logits):
    """`exp(logits)`, up to a common factor in each row, and their sums."""
    weights = jnp.exp(logits - lax.stop_gradient(jnp.max(logits, -1, keepdims=True)))
    return weights, jnp.sum(weights, -1, keepdims=True)


def _drop(weights, values, kept, rate):
    """The weights that dropout keeps, and the values divided by `1 - rate` in their place."""
    if kept is None:
        return weights, values
    return jnp.where(kept, weights, 0), values / (1 - rate) if rate < 1 else values


def _mix(weights, values):
    return _product(weights.astype(values.dtype), values)
