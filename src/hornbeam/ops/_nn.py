"""Ops of neural networks: encoding of classes, normalization, attention."""

import jax
import jax.numpy as jnp
from numpy.lib.array_utils import normalize_axis_tuple

from ..core import dtypes, settings
from ..core.messages import expected
from ..core.symbolic import op
from ..core.tree import Ints
from ._attend import attend
from ._convert import array, differ, float_array, floats, widened

# Encoding ------------------------------------------------------------------------------------


@op
def one_hot(x, num_classes, axis=-1, dtype=None, sparse=False):
    """A new axis that is 1 at the index in `x` and 0 elsewhere; all 0 for an index out of range.

    Example:

    >>> keras.ops.one_hot([0, 2], 3)
    Array([[1., 0., 0.],
           [0., 0., 1.]], dtype=float32)
    """
    _check_dense(sparse, "one_hot")
    x = jnp.asarray(x)
    x = x if jnp.issubdtype(x.dtype, jnp.integer) else x.astype("int32")
    return jax.nn.one_hot(x, num_classes, axis=axis, dtype=_dtype(dtype))


@op
def multi_hot(inputs, num_classes=None, axis=-1, dtype=None, sparse=False, **kwargs):
    """1 at every index that a sample holds, 0 elsewhere.

    Args:
        inputs: indices, `[n]` for one sample or `[b, n, …]`.
        num_classes: the number of classes.
        axis: where the axis of the classes goes.
        dtype: number type of the result, by default the default float type.
        sparse: must be `False`.

    Example:

    >>> keras.ops.multi_hot([[0, 2], [1, 1]], num_classes=3)
    Array([[1., 0., 1.],
           [0., 1., 0.]], dtype=float32)
    """
    num_classes = kwargs.pop("num_tokens", num_classes)  # its name in Keras 2
    if kwargs:
        raise TypeError(f"multi_hot takes no argument {', '.join(map(repr, kwargs))}.")
    if num_classes is None:
        raise ValueError(expected("num_classes", "the number of classes", None))
    _check_dense(sparse, "multi_hot")
    inputs = jnp.asarray(inputs, dtype="int32")
    hits = inputs[..., None] == jnp.arange(num_classes)
    found = jnp.any(hits, axis=1 if inputs.ndim > 1 else 0)
    return jnp.moveaxis(found, -1, axis).astype(_dtype(dtype))


def _dtype(dtype):
    return dtypes.standardize_dtype(dtype)


def _check_dense(sparse, what):
    if sparse:
        raise ValueError(f"{what}: sparse=True isn't supported: XLA has dense arrays only.")


# Normalization ---------------------------------------------------------------------------------


@op
def normalize(x, axis: Ints | None = -1, order: float = 2, epsilon=None):
    """`x` divided by its norm along `axis`, or by `epsilon` where the norm is smaller.

    Args:
        x: array.
        axis: axis or axes that the norm is taken over; `None` for all.
        order: which norm, an int of at least 1: `sum(|x| ** order) ** (1 / order)`.
        epsilon: smallest divisor, by default `keras.config.epsilon()`.

    Example:

    >>> keras.ops.normalize([3.0, 4.0])
    Array([0.6, 0.8], dtype=float32)
    """
    if not isinstance(order, int) or order < 1:
        raise ValueError(expected("order", "an int of at least 1", order))
    x = float_array(x)
    wide = widened(x)
    epsilon = settings.epsilon() if epsilon is None else epsilon
    axis = tuple(axis) if isinstance(axis, list) else axis
    powers = jnp.square(wide) if order == 2 else jnp.abs(wide) ** order
    total = jnp.sum(powers, axis=axis, keepdims=True)
    # The root has no finite derivative at 0.
    root = jnp.where(total > 0, total, 1) ** (1 / order)
    return (wide / jnp.maximum(jnp.where(total > 0, root, 0), epsilon)).astype(x.dtype)


@op
def moments(x, axes, keepdims=False, synchronized=False):
    """Mean and variance over `axes`.

    Args:
        x: array.
        axes: axis or axes; `None` for all.
        keepdims: whether the axes stay, with size 1.
        synchronized: accepted for compatibility: a sharded array is one array here.

    Returns:
        Tuple `(mean, variance)` in the dtype of `x`.

    Example:

    >>> keras.ops.moments([1.0, 3.0], axes=0)
    (Array(2., dtype=float32), Array(1., dtype=float32))
    """
    x = float_array(x)
    axes = range(x.ndim) if axes is None else axes
    axes = normalize_axis_tuple(axes, x.ndim)
    wide = widened(x)
    mean = jnp.mean(wide, axis=axes, keepdims=True)
    variance = jnp.mean(jnp.square(wide - mean), axis=axes, keepdims=keepdims)
    mean = mean if keepdims else jnp.squeeze(mean, axes)
    limit = jnp.finfo(x.dtype).max  # the variance of half-precision numbers may exceed it
    return tuple(jnp.clip(m, -limit, limit).astype(x.dtype) for m in (mean, variance))


@op
def batch_normalization(x, mean, variance, axis, offset=None, scale=None, epsilon=1e-3):
    """`(x - mean) / sqrt(variance + epsilon) * scale + offset`.

    Args:
        x: array.
        mean, variance, offset, scale: vectors along `axis` of `x`.
        axis: which axis.
        epsilon: added to the variance.

    Reference: [Ioffe & Szegedy, 2015](https://arxiv.org/abs/1502.03167)
    """
    x = float_array(x)
    axes = normalize_axis_tuple(axis, x.ndim)
    factor = jax.lax.rsqrt(_along("variance", float_array(variance), x, axes) + epsilon)
    if scale is not None:
        factor = factor * _along("scale", float_array(scale), x, axes)
    y = (x - _along("mean", float_array(mean), x, axes)) * factor
    return y if offset is None else y + _along("offset", float_array(offset), x, axes)


@op
def layer_normalization(x, gamma=None, beta=None, axis: Ints = -1, epsilon=None, **kwargs):
    """`(x - mean) / sqrt(variance + epsilon) * gamma + beta`, statistics taken over `axis`.

    Args:
        x: array.
        gamma, beta: arrays of the sizes of `x` along `axis`, or `None`.
        axis: axis or axes.
        epsilon: added to the variance, by default `keras.config.epsilon()`.

    Reference: [Ba et al., 2016](https://arxiv.org/abs/1607.06450)

    Example:

    >>> keras.ops.layer_normalization([1.0, 2.0, 3.0])
    Array([-1.2247,  0.    ,  1.2247], dtype=float32)
    """
    rms_scaling = kwargs.pop("rms_scaling", False)  # scales by the deviation, keeps the mean
    if kwargs:
        raise TypeError(f"layer_normalization takes no argument {', '.join(map(repr, kwargs))}.")
    x = float_array(x)
    epsilon = settings.epsilon() if epsilon is None else epsilon
    axes = tuple(sorted(normalize_axis_tuple(axis, x.ndim)))
    wide = widened(x)
    centered = wide - jnp.mean(wide, axis=axes, keepdims=True)
    variance = jnp.mean(jnp.square(centered), axis=axes, keepdims=True)
    y = (wide if rms_scaling else centered) * jax.lax.rsqrt(variance + epsilon)
    if gamma is not None:
        y = y * _along("gamma", jnp.asarray(gamma), x, axes)
    if beta is not None and not rms_scaling:
        y = y + _along("beta", jnp.asarray(beta), x, axes)
    return y.astype(x.dtype)


@op
def rms_normalization(x, scale=None, axis: Ints = -1, epsilon=None):
    """`x / sqrt(mean(x²) + epsilon) * scale`, the mean taken over `axis`.

    Args:
        x: array.
        scale: a number, or an array of the sizes of `x` along `axis`, or `None`.
        axis: axis or axes.
        epsilon: added to the mean, by default `keras.config.epsilon()`.

    Reference: [Zhang & Sennrich, 2019](https://arxiv.org/abs/1910.07467)

    Example:

    >>> keras.ops.rms_normalization([3.0, 4.0])
    Array([0.8485, 1.1314], dtype=float32)
    """
    x = float_array(x)
    epsilon = settings.epsilon() if epsilon is None else epsilon
    axes = tuple(sorted(normalize_axis_tuple(axis, x.ndim)))
    wide = widened(x)
    mean = jnp.mean(jnp.square(wide), axis=axes, keepdims=True)
    y = wide * jax.lax.rsqrt(mean + epsilon)
    if scale is not None:
        y = y * _along("scale", jnp.asarray(scale), x, axes)
    return y.astype(x.dtype)


def _along(name, parameter, x, axes):
    """`parameter` reshaped so that its axes lie along `axes` of `x`."""
    if parameter.ndim != len(axes):
        return parameter
    sizes = tuple(x.shape[a] for a in axes)
    if differ(parameter.shape, sizes):
        wanted = f"of shape {sizes}, the sizes of x along axis {axes}"
        raise ValueError(expected(name, wanted, parameter))
    own = iter(parameter.shape)
    return parameter.reshape([next(own) if a in axes else 1 for a in range(x.ndim)])


# Attention -------------------------------------------------------------------------------------


@op
def dot_product_attention(
    query,
    key,
    value,
    bias=None,
    mask=None,
    scale=None,
    is_causal=False,
    flash_attention=None,
    attn_logits_soft_cap=None,
):
    """`softmax(scale * query · key + bias) · value` for every head.

    Args:
        query: `[b, t, h, d]`.
        key, value: `[b, s, k, d]`, where `k` divides `h`: groups of heads share keys and values.
        bias: added to the logits; broadcasts to `[b, h, t, s]`.
        mask: booleans, false where nothing is to be attended to; broadcasts to `[b, h, t, s]`.
        scale: factor of the logits, by default `1 / sqrt(d)`.
        is_causal: whether queries attend to no later positions.
        flash_attention: whether to use a fused kernel, which needs a GPU with cuDNN and half
            precision; `None` to use it where it fits after `keras.config.enable_flash_attention()`.
        attn_logits_soft_cap: `c`, for `c * tanh(logits / c)` in place of the logits.

    Returns:
        Array of the shape of `query`.

    Reference: [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762)

    Example:

    >>> x = np.ones((1, 4, 2, 8), "float32")
    >>> keras.ops.dot_product_attention(x, x, x, is_causal=True).shape
    (1, 4, 2, 8)
    """
    query, key, value = floats(array(query), array(key), array(value))
    _check_attention(query, key, value)
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    if flash_attention is None:
        flash_attention = settings.is_flash_attention_enabled() and _fits_kernel(query)
    if flash_attention and attn_logits_soft_cap is not None:
        raise ValueError(
            "dot_product_attention: the fused kernel of flash_attention=True has no "
            f"attn_logits_soft_cap={attn_logits_soft_cap}. Leave one of the two out."
        )
    if flash_attention and all(isinstance(n, int) for n in query.shape + key.shape):
        return jax.nn.dot_product_attention(
            query,
            key,
            value,
            None if bias is None else jnp.asarray(bias, query.dtype),
            None if mask is None else jnp.asarray(mask, bool),
            scale=scale,
            is_causal=is_causal,
            implementation="cudnn",
        )
    return attend(
        query * scale,
        key,
        value,
        None if bias is None else jnp.asarray(bias),
        None if mask is None else jnp.asarray(mask, bool),
        causal=is_causal,
        soft_cap=attn_logits_soft_cap,
    )


def _check_attention(query, key, value):
    shapes = query.shape, key.shape, value.shape
    if all(len(shape) == 4 for shape in shapes):
        (b, _, h, d), (_, s, k, _), _ = shapes
        divides = not (isinstance(h, int) and isinstance(k, int) and h % k)
        if (
            divides
            and not differ(key.shape, (b, s, k, d))
            and not differ(value.shape[:3], (b, s, k))
        ):
            return
    raise ValueError(
        "dot_product_attention expects query (batch, time, heads, features), and key and value "
        "(batch, steps, heads, features) with as many heads or a divisor of them; received "
        f"query.shape={query.shape}, key.shape={key.shape} and value.shape={value.shape}."
    )


def _fits_kernel(query):
    """Whether cuDNN's fused attention takes arrays like these."""
    half = query.dtype in (jnp.float16, jnp.bfloat16)
    return jax.default_backend() == "gpu" and half and query.shape[-1] in range(8, 129, 8)
