"""Attention: every position of a sequence gets a weighted mean over those of another.

Axes are named `b` batch, `t` positions of the queries, `s` positions of the keys and values, `h`
heads, `d` and `e` features.
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from .. import constraints, initializers, regularizers
from ..core.messages import expected, one_of
from ..core.rng import SeedGenerator, bernoulli, draw_seed
from ..core.tree import Ints
from ..initializers import Initializer, InitializerLike
from ..ops._attend import attend, attention_weights, weighted_mean
from ..ops._nn import dot_product_attention
from ._arguments import positive_int
from ._base import Layer
from ._einsum_dense import EinsumDense
from ._regularization import Dropout

# Attention without heads -------------------------------------------------------------------------


class Attention(Layer):
    """Weighted means of values, by the likeness of queries and keys.

    `softmax(query · key) @ value`; inputs are a list `[query, value]` or `[query, value, key]`,
    where the keys are by default the values.

    Args:
        use_scale: whether the likeness is multiplied by a trained number.
        score_mode: `"dot"`, or `"concat"` for a trained number times
            `sum(tanh(scale * (query + key)))`.
        dropout: share of the weights that are zeroed while training.
        seed: int, for repeatable numbers.

    Call arguments:
        inputs: `[b, t, d]`, `[b, s, e]` and `[b, s, d]`.
        mask: list of booleans `[b, t]`, where `False` zeroes the output, and `[b, s]`, where
            `False` means that the value isn't used; either may be `None`.
        return_attention_scores: whether to return the weights `[b, t, s]`, too.
        use_causal_mask: whether queries use no later positions.

    Returns:
        `[b, t, e]`. A query that can use no value gets a mean without meaning.

    Reference: Luong et al., 2015, https://arxiv.org/abs/1508.04025

    Example:

    >>> query, value = np.ones((2, 3, 4)), np.ones((2, 5, 4))
    >>> keras.layers.Attention()([query, value]).shape
    (2, 3, 4)
    """

    def __init__(self, use_scale=False, score_mode="dot", dropout=0.0, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.use_scale = use_scale
        self.score_mode = one_of("Attention's score_mode", score_mode, ("dot", "concat"))
        self.dropout = dropout
        self.seed = seed
        if dropout > 0:
            self.seed_generator = SeedGenerator(seed)
        self.supports_masking = True
        self.scale = self.concat_score_weight = None

    def build(self, input_shape):
        _check_inputs(self, input_shape)
        if self.use_scale:
            self.scale = self.add_weight((), "ones", name="scale")
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_weight((), "ones", name="concat_score_weight")

    def _logits(self, query, key):
        """`[b, t, s]`"""
        if self.score_mode == "dot":
            logits = jnp.matmul(query, jnp.swapaxes(key, -1, -2))
            return logits if self.scale is None else logits * self.scale.value
        assert self.concat_score_weight is not None
        sums = query[..., :, None, :] + key[..., None, :, :]
        if self.scale is not None:
            sums = sums * self.scale.value
        return self.concat_score_weight.value * jnp.sum(jnp.tanh(sums), -1)

    def call(
        self,
        inputs,
        mask=None,
        training=False,
        return_attention_scores=False,
        use_causal_mask=False,
    ):
        _check_inputs(self, inputs)
        query, value, key = inputs if len(inputs) == 3 else (*inputs, inputs[1])
        query_mask, value_mask = self._masks(mask)
        logits = self._logits(query, key)
        logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
        allowed = None if value_mask is None else value_mask[..., None, :]
        if use_causal_mask:
            earlier = jnp.arange(logits.shape[-2])[:, None] >= jnp.arange(logits.shape[-1])
            allowed = earlier if allowed is None else allowed & earlier
        if allowed is not None:
            # Finite, so that a query without any value doesn't become nan.
            logits = jnp.where(allowed, logits, 0.5 * jnp.finfo(logits.dtype).min)
        kept, rate = None, float(self.dropout)
        if training and rate > 0:
            kept = bernoulli(draw_seed(self.seed_generator), 1 - rate, logits.shape)
        outputs = weighted_mean(logits, value, kept, rate)
        if query_mask is not None:
            outputs = outputs * query_mask[..., None].astype(outputs.dtype)
        if not return_attention_scores:
            return outputs
        return outputs, _softmax(logits, kept, rate).astype(outputs.dtype)

    def _masks(self, mask):
        if mask is None:
            return None, None
        if not isinstance(mask, (list, tuple)) or len(mask) not in (2, 3):
            wanted = "a list [query_mask, value_mask]"
            raise ValueError(expected(f"Layer '{self.path}': mask", wanted, mask))
        return [None if m is None else jnp.asarray(m, bool) for m in mask[:2]]

    def compute_mask(self, inputs, mask=None):
        return self._masks(mask)[0] if isinstance(mask, (list, tuple)) else None


class AdditiveAttention(Attention):
    """Weighted means of values, by a trained comparison of queries and keys.

    `softmax(sum(scale * tanh(query + key))) @ value`; inputs are a list `[query, value]` or
    `[query, value, key]`, where the keys are by default the values.

    Args:
        use_scale: whether there is a scale, a trained number for each feature.
        dropout: share of the weights that are zeroed while training.

    Call arguments and what is returned are those of `Attention`.

    Reference: Bahdanau et al., 2014, https://arxiv.org/abs/1409.0473

    Example:

    >>> query, value = np.ones((2, 3, 4)), np.ones((2, 5, 4))
    >>> keras.layers.AdditiveAttention()([query, value]).shape
    (2, 3, 4)
    """

    def __init__(self, use_scale=True, dropout=0.0, **kwargs):
        super().__init__(use_scale=use_scale, dropout=dropout, **kwargs)

    def build(self, input_shape):
        _check_inputs(self, input_shape)
        if self.use_scale:
            self.scale = self.add_weight((input_shape[0][-1],), "glorot_uniform", name="scale")

    def _logits(self, query, key):
        sums = jnp.tanh(query[..., :, None, :] + key[..., None, :, :])
        return jnp.sum(sums if self.scale is None else self.scale.value * sums, -1)

    def constructor_arguments(self):
        return {**super().constructor_arguments(), "seed": self.seed}


def _check_inputs(layer, inputs):
    if not isinstance(inputs, (list, tuple)) or len(inputs) not in (2, 3):
        wanted = "called on a list [query, value] or [query, value, key]"
        raise ValueError(expected(f"Layer '{layer.path}' ({type(layer).__name__})", wanted, inputs))


def _softmax(logits, kept=None, rate=0.0):
    weights = jnp.exp(logits - jnp.max(logits, -1, keepdims=True))
    weights = weights / jnp.sum(weights, -1, keepdims=True)
    return weights if kept is None else jnp.where(kept, weights / max(1 - rate, 1e-7), 0)


# Attention with heads ----------------------------------------------------------------------------


class BaseHeads(Layer):
    """Attention of several heads, between projections of the inputs and one of the outputs."""

    dropout: float = 0.0
    use_bias: bool = True
    _attended: Sequence[int]  # the axes of positions
    _gate_dense: EinsumDense
    _dropout_layer: Dropout

    def __init__(
        self,
        dropout,
        use_bias,
        sliding_window,
        flash_attention,
        kernel_initializer,
        bias_initializer,
        kernel_regularizer,
        bias_regularizer,
        activity_regularizer,
        kernel_constraint,
        bias_constraint,
        use_gate,
        seed,
        **kwargs,
    ):
        super().__init__(**kwargs)
        owner = type(self).__name__
        if sliding_window is not None:
            positive_int(f"{owner}'s sliding_window", sliding_window)
        if flash_attention and dropout > 0:
            raise ValueError(
                f"{owner}: flash_attention=True has no dropout; received dropout={dropout}. Leave "
                "one of the two out."
            )
        self.dropout = dropout
        self.use_bias = use_bias
        self.sliding_window = sliding_window
        self.flash_attention = flash_attention
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self._projections_activity = regularizers.get(activity_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.use_gate = use_gate
        self.seed = seed
        self.supports_masking = True

    @property
    def _projections(self) -> tuple[EinsumDense, EinsumDense, EinsumDense, EinsumDense]:
        """Those of queries, keys, values and outputs."""
        raise NotImplementedError

    def constructor_arguments(self):
        arguments = super().constructor_arguments()
        return {**arguments, "activity_regularizer": self._projections_activity}

    def _input_dense(self, name, heads, size, input_shape):
        """The projection of an input to the features of every head."""
        return self._dense(name, "...e,ehd->...hd", (heads, size), "hd", input_shape)

    def _to_output(self, heads, size, query_shape, output_shape=None):
        """The projection of what the heads give to the output."""
        sizes = output_shape or query_shape[-1:]
        names = "opqrstuvw"[: len(sizes)]
        shape = (*query_shape[:-1], heads, size)
        return self._dense("attention_output", f"...hd,hd{names}->...{names}", sizes, names, shape)

    def _dense(self, name, equation, sizes, bias_axes, input_shape):
        layer = EinsumDense(
            equation,
            sizes,
            bias_axes=bias_axes if self.use_bias else None,
            kernel_initializer=_fresh(self.kernel_initializer),
            bias_initializer=_fresh(self.bias_initializer),
            kernel_regularizer=self.kernel_regularizer,
            bias_regularizer=self.bias_regularizer,
            activity_regularizer=self._projections_activity,
            kernel_constraint=self.kernel_constraint,
            bias_constraint=self.bias_constraint,
            dtype=self.dtype_policy,
            name=name,
        )
        layer.supports_masking = True  # positions stay where they are
        layer.build(input_shape)
        return layer

    def call(
        self,
        query,
        value,
        key=None,
        query_mask=None,
        value_mask=None,
        key_mask=None,
        attention_mask=None,
        return_attention_scores=False,
        training=None,
        use_causal_mask=False,
    ):
        if return_attention_scores and self.flash_attention:
            raise ValueError(
                f"Layer '{self.path}': with flash_attention=True there are no attention scores to "
                "return. Leave out return_attention_scores=True."
            )
        axes = _Axes(query.shape, value.shape, self._attended)
        allowed = axes.mask(self.path, attention_mask)
        for mask, side in ((query_mask, "query"), (value_mask, "value"), (key_mask, "value")):
            if mask is not None:
                these = axes.positions(mask, side)
                allowed = these if allowed is None else allowed & these
        to_query, to_key, to_value, to_output = self._projections
        outputs, scores = self._attend(
            axes.merge(to_query(query)),
            axes.merge(to_key(value if key is None else key)),
            axes.merge(to_value(value)),
            allowed,
            use_causal_mask,
            training,
            return_attention_scores,
        )
        outputs = axes.split(outputs)
        if self.use_gate:
            outputs = outputs * jax.nn.sigmoid(self._gate_dense(query))
        outputs = to_output(outputs)
        return (outputs, axes.split_scores(scores)) if return_attention_scores else outputs

    def _attend(self, query, key, value, allowed, causal, training, with_scores):
        """Outputs `[b, t, h, e]` and, if wanted, scores `[b, h, t, s]` of projected inputs."""
        rate, window, scale = float(self.dropout), self.sliding_window, query.shape[-1] ** -0.5
        (b, t, h, _), s = query.shape, key.shape[1]
        kept = None
        if training and rate > 0:
            seed = draw_seed(self._dropout_layer.seed_generator)
            kept = bernoulli(seed, 1 - rate, (b, h, t, s))
        if kept is None and window is None:
            options = {"is_causal": causal, "flash_attention": self.flash_attention}
            outputs = dot_product_attention(query, key, value, mask=allowed, scale=scale, **options)
        else:
            outputs = attend(
                query * scale,
                key,
                value,
                allowed=allowed,
                causal=causal,
                window=window,
                kept=kept,
                rate=rate,
            )
        if not with_scores:
            return outputs, None
        return outputs, attention_weights(query * scale, key, None, allowed, causal, window)


class _Axes:
    """Which axes of queries and values are positions; the others, but the last, are batch."""

    def __init__(self, query_shape, value_shape, attended):
        rank = len(query_shape) - 1
        self.attended = attended
        self.batch = [a for a in range(rank) if a not in attended]
        self.order = [*self.batch, *attended]
        self.sizes = {"query": query_shape[:-1], "value": value_shape[:-1]}

    def merge(self, x):
        """`[*axes, h, d]` to `[b, t, h, d]`, where b and t are products."""
        rank = len(self.order)
        b, t = self._products(x.shape)
        x = jnp.transpose(x, [*self.order, rank, rank + 1])
        return x.reshape(b, t, *x.shape[-2:])

    def split(self, x):
        """The reverse, for outputs, whose positions are those of the queries."""
        rank, sizes = len(self.order), self.sizes["query"]
        x = x.reshape(*(sizes[a] for a in self.order), *x.shape[-2:])
        return jnp.transpose(x, [*(self.order.index(a) for a in range(rank)), rank, rank + 1])

    def split_scores(self, scores):
        """`[b, h, t, s]` to the axes of the batch, heads, positions of queries and of values."""
        queries, values = self.sizes["query"], self.sizes["value"]
        return scores.reshape(
            *(queries[a] for a in self.batch),
            scores.shape[1],
            *(queries[a] for a in self.attended),
            *(values[a] for a in self.attended),
        )

    def mask(self, path, mask):
        """An attention mask, whose axes are the last ones of the scores, or the first and the last
        ones, as booleans that broadcast to `[b, h, t, s]`."""
        if mask is None:
            return None
        mask, n = jnp.asarray(mask, bool), 2 * len(self.attended)
        if mask.ndim < n:
            wanted = f"of at least {n} axes, positions of queries and of values"
            raise ValueError(expected(f"Layer '{path}': attention_mask", wanted, mask))
        while mask.ndim < len(self.batch) + 1 + n:
            mask = jnp.expand_dims(mask, -n - 1)
        if n == 2 and len(self.batch) == 1:
            return mask
        queries, values = self.sizes["query"], self.sizes["value"]
        b, t = self._products(queries)
        heads = mask.shape[len(self.batch)]
        shape = [
            *(queries[a] for a in self.batch),
            heads,
            *(queries[a] for a in self.attended),
            *(values[a] for a in self.attended),
        ]
        return jnp.broadcast_to(mask, shape).reshape(b, heads, t, self._products(values)[1])

    def positions(self, mask, side):
        """The mask of an input, whose axes are its first ones, in the same form."""
        sizes, mask = self.sizes[side], jnp.asarray(mask, bool)
        mask = mask.reshape(*mask.shape, *(1,) * (len(sizes) - mask.ndim))
        mask = jnp.transpose(jnp.broadcast_to(mask, sizes), self.order)
        mask = mask.reshape(self._products(sizes))
        return mask[:, None, :, None] if side == "query" else mask[:, None, None, :]

    def _products(self, sizes):
        return tuple(math.prod(sizes[a] for a in axes) for axes in (self.batch, self.attended))


def _fresh(initializer):
    """A copy that draws a seed of its own, so that equal shapes get different values."""
    return initializer.clone() if isinstance(initializer, Initializer) else initializer


class MultiHeadAttention(BaseHeads):
    """Attention of several heads, each with its own projections of queries, keys and values.

    Every head computes `softmax(q · k / sqrt(key_dim)) @ v`; the results of all are projected to
    the output.

    Args:
        num_heads: number of heads.
        key_dim: features of a query and a key, in each head.
        value_dim: features of a value, in each head; by default `key_dim`.
        dropout: share of the weights that are zeroed while training.
        use_bias: whether the projections add biases.
        output_shape: sizes of the output's features; by default those of the query.
        attention_axes: which axes are positions; by default all but the first and the last.
        sliding_window: how near a value must be to be used: less than so many positions away.
        flash_attention: whether to use a fused kernel, which needs a GPU; `None` for what
            `keras.config.enable_flash_attention` says.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
            activity_regularizer, kernel_constraint, bias_constraint: of each projection, as in
            `Dense`.
        use_gate: whether the heads' results are multiplied by `sigmoid` of a projection of the
            query ([Qiu et al., 2025](https://arxiv.org/abs/2505.06708)).
        seed: int, for repeatable dropout.

    Call arguments:
        query, value, key: `[b, t, d]`, `[b, s, e]` and `[b, s, f]`; the key is by default the
            value.
        query_mask: booleans `[b, t]`, `False` where a query uses no value.
        value_mask, key_mask: booleans `[b, s]`, `False` where a value isn't to be used.
        attention_mask: booleans `[b, t, s]` or `[b, h, t, s]`, `False` where a value isn't to be
            used by a query.
        return_attention_scores: whether to return the weights `[b, h, t, s]` before dropout, too.
        use_causal_mask: whether queries use no later positions.

    Masks that travel with the inputs are used in the place of those that aren't given.

    Returns:
        `[b, t, d]`. A query that can use no value gets a mean without meaning.

    Reference: [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762)

    Example:

    >>> layer = keras.layers.MultiHeadAttention(num_heads=2, key_dim=4)
    >>> x = np.ones((1, 5, 8))
    >>> layer(x, x, use_causal_mask=True).shape
    (1, 5, 8)
    >>> layer(x, x, return_attention_scores=True)[1].shape
    (1, 2, 5, 5)
    """

    num_heads: int = 0
    key_dim: int = 0
    value_dim: int = 0
    attention_axes: tuple | None = None
    query_dense: EinsumDense | None = None
    key_dense: EinsumDense | None = None
    value_dense: EinsumDense | None = None
    output_dense: EinsumDense | None = None

    def __init__(
        self,
        num_heads,
        key_dim,
        value_dim=None,
        dropout=0.0,
        use_bias=True,
        output_shape=None,
        attention_axes: Ints | None = None,
        sliding_window=None,
        flash_attention=None,
        kernel_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        use_gate=False,
        seed=None,
        **kwargs,
    ):
        super().__init__(
            dropout,
            use_bias,
            sliding_window,
            flash_attention,
            kernel_initializer,
            bias_initializer,
            kernel_regularizer,
            bias_regularizer,
            activity_regularizer,
            kernel_constraint,
            bias_constraint,
            use_gate,
            seed,
            **kwargs,
        )
        self.num_heads = positive_int("MultiHeadAttention's num_heads", num_heads)
        self.key_dim = positive_int("MultiHeadAttention's key_dim", key_dim)
        value_dim = key_dim if value_dim is None else value_dim
        self.value_dim = positive_int("MultiHeadAttention's value_dim", value_dim)
        self.output_shape = _sizes("MultiHeadAttention's output_shape", output_shape)
        if attention_axes is not None:
            attention_axes = tuple(np.atleast_1d(attention_axes).tolist())
        self.attention_axes = attention_axes

    def build(self, query_shape, value_shape, key_shape=None):
        key_shape = value_shape if key_shape is None else key_shape
        if tuple(key_shape[:-1]) != tuple(value_shape[:-1]):
            raise ValueError(
                f"Layer '{self.path}' (MultiHeadAttention): values and keys should have equal "
                f"shapes but for the last axis; received {value_shape} and {key_shape}."
            )
        rank = len(query_shape)
        if self.attention_axes is None:
            self.attention_axes = tuple(range(1, rank - 1))
        self._attended = [a % rank for a in self.attention_axes if -rank <= a < rank]
        if len(set(self._attended)) < len(self.attention_axes) or rank - 1 in self._attended:
            raise ValueError(
                f"Layer '{self.path}' (MultiHeadAttention): attention_axes={self.attention_axes} "
                "should be different axes of the queries, and not the last, which holds the "
                f"features; they have shape {query_shape}."
            )
        heads, size = self.num_heads, self.key_dim
        self.query_dense = self._input_dense("query", heads, size, query_shape)
        self.key_dense = self._input_dense("key", heads, size, key_shape)
        if self.use_gate:
            self._gate_dense = self._input_dense("gate", heads, self.value_dim, query_shape)
        self.value_dense = self._input_dense("value", heads, self.value_dim, value_shape)
        self._dropout_layer = Dropout(self.dropout, dtype=self.dtype_policy, seed=self.seed)
        self.output_dense = self._to_output(heads, self.value_dim, query_shape, self.output_shape)

    @property
    def _projections(self):
        return self.query_dense, self.key_dense, self.value_dense, self.output_dense


class GroupedQueryAttention(BaseHeads):
    """Attention whose heads share keys and values in groups.

    As `MultiHeadAttention`, with fewer heads of keys and values, which saves memory: one for all
    queries is multi-query attention, as many as those of the queries is multi-head attention.

    Args:
        head_dim: features of a query, a key and a value, in each head.
        num_query_heads: number of heads of the queries.
        num_key_value_heads: number of heads of the keys and values, which divides it.
        dropout: share of the weights that are zeroed while training.
        use_bias: whether the projections add biases.
        sliding_window: how near a value must be to be used: less than so many positions away.
        flash_attention: whether to use a fused kernel, which needs a GPU; `None` for what
            `keras.config.enable_flash_attention` says.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
            activity_regularizer, kernel_constraint, bias_constraint: of each projection, as in
            `Dense`.
        use_gate: whether the heads' results are multiplied by `sigmoid` of a projection of the
            query ([Qiu et al., 2025](https://arxiv.org/abs/2505.06708)).
        seed: int, for repeatable dropout.

    Call arguments and what is returned are those of `MultiHeadAttention`.

    Reference: [Ainslie et al., 2023](https://arxiv.org/abs/2305.13245)

    Example:

    >>> layer = keras.layers.GroupQueryAttention(4, num_query_heads=4, num_key_value_heads=2)
    >>> x = np.ones((1, 5, 8))
    >>> layer(x, x).shape
    (1, 5, 8)
    """

    _attended = (1,)

    def __init__(
        self,
        head_dim,
        num_query_heads,
        num_key_value_heads,
        dropout=0.0,
        use_bias=True,
        sliding_window=None,
        flash_attention=None,
        kernel_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        use_gate=False,
        seed=None,
        **kwargs,
    ):
        super().__init__(
            dropout,
            use_bias,
            sliding_window,
            flash_attention,
            kernel_initializer,
            bias_initializer,
            kernel_regularizer,
            bias_regularizer,
            activity_regularizer,
            kernel_constraint,
            bias_constraint,
            use_gate,
            seed,
            **kwargs,
        )
        self.activity_regularizer = self._projections_activity  # counts the outputs twice
        owner = "GroupQueryAttention"
        self.head_dim = positive_int(f"{owner}'s head_dim", head_dim)
        self.num_query_heads = positive_int(f"{owner}'s num_query_heads", num_query_heads)
        self.num_key_value_heads = positive_int(
            f"{owner}'s num_key_value_heads", num_key_value_heads
        )
        if num_query_heads % num_key_value_heads:
            raise ValueError(
                f"{owner}: num_query_heads should be a multiple of num_key_value_heads; received "
                f"{num_query_heads} and {num_key_value_heads}."
            )

    def build(self, query_shape, value_shape, key_shape=None):
        if len(query_shape) != 3 or len(value_shape) != 3:
            raise ValueError(
                f"Layer '{self.path}' (GroupQueryAttention): inputs should have the axes (batch, "
                f"positions, features); received shapes {query_shape} and {value_shape}."
            )
        key_shape = value_shape if key_shape is None else key_shape
        heads, groups, size = self.num_query_heads, self.num_key_value_heads, self.head_dim
        self._query_dense = self._input_dense("query", heads, size, query_shape)
        self._key_dense = self._input_dense("key", groups, size, key_shape)
        if self.use_gate:
            self._gate_dense = self._input_dense("gate", heads, size, query_shape)
        self._value_dense = self._input_dense("value", groups, size, value_shape)
        self._dropout_layer = Dropout(self.dropout, dtype=self.dtype_policy, seed=self.seed)
        self._output_dense = self._to_output(heads, size, query_shape)

    @property
    def _projections(self):
        return self._query_dense, self._key_dense, self._value_dense, self._output_dense


def _sizes(argument, sizes):
    """`None`, or a tuple of positive ints."""
    if sizes is None or isinstance(sizes, (list, tuple)):
        return sizes and tuple(positive_int(argument, n) for n in sizes)
    return (positive_int(argument, sizes),)


GroupQueryAttention = GroupedQueryAttention  # its public name; its own is in names and files
