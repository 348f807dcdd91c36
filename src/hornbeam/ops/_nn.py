"""Ops of neural networks: activations, losses per sample, normalization, convolution, pooling,
attention."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from ..core import dtypes, settings
from ..core.messages import expected, one_of
from ..core.settings import standardize_data_format
from ..core.symbolic import op
from ..core.tree import Ints
from . import _conv
from ._attend import attend

# Activations ---------------------------------------------------------------------------------


def floats(x):
    """`x` as an array of a float type: its own, or the default one for integers."""
    x = jnp.asarray(x)
    return x if jnp.issubdtype(x.dtype, jnp.inexact) else x.astype(settings.floatx())


def _wide(x):
    """`x` in at least float32, where half precision would overflow or lose too much."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


@op(elementwise=True)
def relu(x):
    """`max(x, 0)`.

    Example:

    >>> keras.ops.relu([-1.0, 2.0])
    Array([0., 2.], dtype=float32)
    """
    return jax.nn.relu(jnp.asarray(x))


@op(elementwise=True)
def relu6(x):
    """`min(max(x, 0), 6)`."""
    return jax.nn.relu6(floats(x))


@op(elementwise=True)
def leaky_relu(x, negative_slope=0.2):
    """`x` where it is positive, else `negative_slope * x`."""
    return jax.nn.leaky_relu(floats(x), negative_slope)


@op(elementwise=True)
def elu(x, alpha=1.0):
    """`x` where it is positive, else `alpha * (exp(x) - 1)`.

    Reference: [Clevert et al., 2016](https://arxiv.org/abs/1511.07289)
    """
    return jax.nn.elu(floats(x), alpha)


@op(elementwise=True)
def celu(x, alpha=1.0):
    """`x` where it is positive, else `alpha * (exp(x / alpha) - 1)`: an `elu` without a kink.

    Reference: [Barron, 2017](https://arxiv.org/abs/1704.07483)
    """
    return jax.nn.celu(floats(x), alpha)


@op(elementwise=True)
def selu(x):
    """`1.0507 * elu(x, 1.67326)`, which keeps activations at mean 0 and variance 1.

    Reference: [Klambauer et al., 2017](https://arxiv.org/abs/1706.02515)
    """
    return jax.nn.selu(floats(x))


@op(elementwise=True)
def gelu(x, approximate=True):
    """`x` times the probability that a standard normal number is below it.

    Args:
        x: array.
        approximate: whether to compute it by a `tanh` rather than exactly by `erf`.

    Reference: [Hendrycks & Gimpel, 2016](https://arxiv.org/abs/1606.08415)

    Example:

    >>> keras.ops.gelu([-1.0, 1.0], approximate=False)
    Array([-0.1587,  0.8413], dtype=float32)
    """
    x = floats(x)
    if not approximate:
        return jax.nn.gelu(x, approximate=False)
    # The cube of a large number overflows and has no finite derivative. At 10 tanh is 1 already.
    small = jnp.clip(x, -10, 10)
    inner = math.sqrt(2 / math.pi) * (small + 0.044715 * (small * small * small))
    return x * (0.5 * (1.0 + jnp.tanh(inner)))


@op(elementwise=True)
def silu(x):
    """`x * sigmoid(x)`, also known as swish.

    Reference: [Ramachandran et al., 2017](https://arxiv.org/abs/1710.05941)
    """
    return jax.nn.silu(floats(x))


@op(elementwise=True)
def softplus(x):
    """`log(1 + exp(x))`: a smooth `relu`."""
    return jax.nn.softplus(floats(x))


@op(elementwise=True)
def softsign(x):
    """`x / (1 + |x|)`."""
    return jax.nn.soft_sign(floats(x))


@op(elementwise=True)
def sigmoid(x):
    """`1 / (1 + exp(-x))`.

    Example:

    >>> keras.ops.sigmoid([0.0, 100.0])
    Array([0.5, 1. ], dtype=float32)
    """
    return jax.nn.sigmoid(floats(x))


@op(elementwise=True)
def hard_sigmoid(x):
    """`clip(x / 6 + 1/2, 0, 1)`: straight pieces near `sigmoid`."""
    return jax.nn.hard_sigmoid(floats(x))


@op(elementwise=True)
def hard_silu(x):
    """`x * hard_sigmoid(x)`.

    Reference: [Howard et al., 2019](https://arxiv.org/abs/1905.02244)
    """
    return jax.nn.hard_silu(floats(x))


@op(elementwise=True)
def hard_tanh(x):
    """`clip(x, -1, 1)`."""
    return jax.nn.hard_tanh(jnp.asarray(x))


@op(elementwise=True)
def log_sigmoid(x):
    """`log(sigmoid(x))`, without overflow."""
    return jax.nn.log_sigmoid(floats(x))


@op(elementwise=True)
def tanh_shrink(x):
    """`x - tanh(x)`."""
    x = floats(x)
    return x - jnp.tanh(x)


@op(elementwise=True)
def soft_shrink(x, threshold=0.5):
    """Moves `x` towards 0 by `threshold`, stopping at 0."""
    x = floats(x)
    shrunk = jnp.where(x > 0, x - threshold, x + threshold)
    return jnp.where(jnp.abs(x) > threshold, shrunk, 0)


@op(elementwise=True)
def hard_shrink(x, threshold=0.5):
    """`x` where `|x| > threshold`, else 0."""
    x = floats(x)
    return jnp.where(jnp.abs(x) > threshold, x, 0)


@op(elementwise=True)
def threshold(x, threshold, default_value):
    """`x` where it exceeds `threshold`, else `default_value`.

    Example:

    >>> keras.ops.threshold([1.0, 3.0], threshold=2.0, default_value=-1.0)
    Array([-1.,  3.], dtype=float32)
    """
    x = jnp.asarray(x)
    return jnp.where(x > threshold, x, jnp.asarray(default_value, x.dtype))


@op(elementwise=True)
def sparse_plus(x):
    """0 up to -1, `(x + 1)² / 4` from -1 to 1, `x` from there on."""
    return jax.nn.sparse_plus(floats(x))


@op(elementwise=True)
def sparse_sigmoid(x):
    """`clip((x + 1) / 2, 0, 1)`: the derivative of `sparse_plus`."""
    return jax.nn.sparse_sigmoid(floats(x))


@op(elementwise=True)
def squareplus(x, b: float = 4):
    """`(x + sqrt(x² + b)) / 2`: a smooth `relu`.

    Reference: [Barron, 2021](https://arxiv.org/abs/2112.11687)
    """
    x = floats(x)
    return jax.nn.squareplus(_wide(x), float(b)).astype(x.dtype)


@op
def glu(x, axis=-1):
    """Gated linear unit: the first half of `x` along `axis` times the sigmoid of the second.

    Reference: [Dauphin et al., 2017](https://arxiv.org/abs/1612.08083)

    Example:

    >>> keras.ops.glu([3.0, 0.0])
    Array([1.5], dtype=float32)
    """
    x = floats(x)
    if isinstance(x.shape[axis], int) and x.shape[axis] % 2:
        raise ValueError(expected(f"glu's input along axis {axis}", "of even size", x))
    return jax.nn.glu(x, axis)


@op(elementwise=True)
def softmax(x, axis: Ints | None = -1):
    """`exp(x) / sum(exp(x))` along `axis`, which may be several axes, or `None` for all.

    Example:

    >>> keras.ops.softmax([0.0, 0.0])
    Array([0.5, 0.5], dtype=float32)
    """
    return jax.nn.softmax(floats(x), tuple(axis) if isinstance(axis, list) else axis)


@op(elementwise=True)
def log_softmax(x, axis: Ints | None = -1):
    """`log(softmax(x))` along `axis`, without overflow."""
    return jax.nn.log_softmax(floats(x), tuple(axis) if isinstance(axis, list) else axis)


@op(elementwise=True)
def sparsemax(x, axis=-1):
    """The probabilities nearest to `x` along `axis`; small ones are exactly 0.

    `max(x - t, 0)` with the `t` for which they sum to 1.

    Reference: [Martins & Astudillo, 2016](https://arxiv.org/abs/1602.02068)

    Example:

    >>> keras.ops.sparsemax([2.0, 1.5, -1.0])
    Array([0.75, 0.25, 0.  ], dtype=float32)
    """
    x = floats(x)
    z = jnp.moveaxis(_wide(x), axis, -1)
    z = z - jnp.max(z, axis=-1, keepdims=True)
    falling = -jnp.sort(-z, axis=-1)
    total = jnp.cumsum(falling, axis=-1)
    rank = jnp.arange(1, z.shape[-1] + 1, dtype=z.dtype)
    in_support = 1 + rank * falling > total
    size = jnp.sum(in_support, axis=-1, keepdims=True)
    tau = (jnp.sum(jnp.where(in_support, falling, 0), axis=-1, keepdims=True) - 1) / size
    return jnp.moveaxis(jnp.maximum(z - tau, 0), -1, axis).astype(x.dtype)


swish = silu
hard_swish = hard_silu

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


# Losses --------------------------------------------------------------------------------------


@op
def binary_crossentropy(target, output, from_logits=False):
    """`-target * log(output) - (1 - target) * log(1 - output)`, element by element.

    Args:
        target: numbers in `[0, 1]`.
        output: probabilities, or numbers whose sigmoid they are; of the shape of `target`.
        from_logits: whether `output` is to go through a sigmoid, as is more accurate.

    Example:

    >>> keras.ops.binary_crossentropy([0.0, 1.0], [0.5, 1.0])
    Array([0.6931, 0.    ], dtype=float32)
    """
    target, output, dtype = _target_and_output(target, output)
    _check_same_shape(target, output)
    if from_logits:
        # log(1 + exp(x)) - target * x, with exponents that are never positive.
        loss = jnp.maximum(output, 0) - output * target + jnp.log1p(jnp.exp(-jnp.abs(output)))
    else:
        output = _inside(output, dtype)
        loss = -target * jnp.log(output) - (1 - target) * jnp.log1p(-output)
    return loss.astype(dtype)


@op
def categorical_crossentropy(target, output, from_logits=False, axis=-1):
    """`-sum(target * log(output))` along `axis`.

    Args:
        target: probabilities of the classes, such as one-hot vectors.
        output: predicted probabilities (divided by their sum), or numbers whose softmax they are.
        from_logits: whether `output` is to go through a softmax, as is more accurate.
        axis: the axis of the classes.

    Returns:
        Array without the axis of the classes.

    Example:

    >>> keras.ops.categorical_crossentropy([[0.0, 1.0]], [[0.5, 0.5]])
    Array([0.6931], dtype=float32)
    """
    target, output, dtype = _target_and_output(target, output)
    _check_same_shape(target, output)
    log_prob = _log_probabilities(output, dtype, from_logits, axis)
    # A class whose logit is -inf counts nothing where its target is 0.
    log_prob = jnp.maximum(log_prob, jnp.finfo(log_prob.dtype).min)
    return -jnp.sum(target * log_prob, axis=axis).astype(dtype)


@op
def sparse_categorical_crossentropy(target, output, from_logits=False, axis=-1):
    """`-log(output[target])`: the crossentropy with a class index as the target.

    Args:
        target: class indices, of the shape of `output` without its axis of the classes, or with
            size 1 there. An index out of range gives the loss 0.
        output: predicted probabilities (divided by their sum), or numbers whose softmax they are.
        from_logits: whether `output` is to go through a softmax, as is more accurate.
        axis: the axis of the classes.

    Returns:
        Array without the axis of the classes.

    Example:

    >>> keras.ops.sparse_categorical_crossentropy([1], [[0.5, 0.5]])
    Array([0.6931], dtype=float32)
    """
    target, output = jnp.asarray(target), floats(output)
    if output.ndim == 0:
        raise ValueError(expected("output", "of at least one axis", output))
    if target.ndim == output.ndim and target.shape[axis] == 1:
        target = jnp.squeeze(target, axis)
    axis = axis % output.ndim
    wanted = output.shape[:axis] + output.shape[axis + 1 :]
    if target.ndim != len(wanted) or _differ(target.shape, wanted):
        raise ValueError(
            f"target should have output's shape without axis {axis}: {wanted}; received "
            f"target.shape={target.shape} and output.shape={output.shape}."
        )
    log_prob = _log_probabilities(_wide(output), output.dtype, from_logits, axis)
    # Compare and select fuse into the sum; a gather would have a scatter as its gradient.
    index = jax.lax.broadcasted_iota("int32", log_prob.shape, axis)
    hit = index == jnp.expand_dims(target.astype("int32"), axis)
    return -jnp.sum(jnp.where(hit, log_prob, 0), axis=axis).astype(output.dtype)


def _log_probabilities(output, dtype, from_logits, axis):
    if from_logits:
        return jax.nn.log_softmax(output, axis)
    total = jnp.sum(output, axis=axis, keepdims=True)
    output = output / jnp.where(total == 0, 1, total)
    return jnp.log(_inside(output, dtype))


def _inside(probability, dtype):
    """`probability` kept away from 0 and 1, whose logarithms have no finite derivatives."""
    epsilon = max(settings.epsilon(), 2 / float(jnp.finfo(dtype).max))
    return jnp.clip(probability, epsilon, 1 - epsilon)


def _target_and_output(target, output):
    """Both in at least float32, and the dtype that the loss should have."""
    output = floats(output)
    return jnp.asarray(target, _wide(output).dtype), _wide(output), output.dtype


def _check_same_shape(target, output):
    if target.ndim != output.ndim or _differ(target.shape, output.shape) or not output.ndim:
        raise ValueError(
            "target and output should have the same shape, of at least one axis; received "
            f"target.shape={target.shape} and output.shape={output.shape}."
        )


def _differ(a, b):
    """Whether shapes of the same rank differ, as far as their sizes are known."""
    return any(m != n for m, n in zip(a, b) if isinstance(m, int) and isinstance(n, int))


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
    x = floats(x)
    wide = _wide(x)
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
    x = floats(x)
    axes = tuple(axes) if isinstance(axes, list) else axes
    wide = _wide(x)
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
    x = floats(x)
    shape = [1] * x.ndim
    shape[axis] = -1
    along_axis = lambda v: jnp.reshape(floats(v), shape)
    factor = jax.lax.rsqrt(along_axis(variance) + epsilon)
    if scale is not None:
        factor = factor * along_axis(scale)
    y = (x - along_axis(mean)) * factor
    return y if offset is None else y + along_axis(offset)


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
    x = floats(x)
    epsilon = settings.epsilon() if epsilon is None else epsilon
    axes = tuple(sorted(a % x.ndim for a in np.atleast_1d(axis)))
    wide = _wide(x)
    centered = wide - jnp.mean(wide, axis=axes, keepdims=True)
    variance = jnp.mean(jnp.square(centered), axis=axes, keepdims=True)
    y = (wide if rms_scaling else centered) * jax.lax.rsqrt(variance + epsilon)
    if gamma is not None:
        y = y * _along(gamma, x, axes)
    if beta is not None and not rms_scaling:
        y = y + _along(beta, x, axes)
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
    x = floats(x)
    epsilon = settings.epsilon() if epsilon is None else epsilon
    axes = tuple(sorted(a % x.ndim for a in np.atleast_1d(axis)))
    wide = _wide(x)
    mean = jnp.mean(jnp.square(wide), axis=axes, keepdims=True)
    y = wide * jax.lax.rsqrt(mean + epsilon)
    if scale is not None:
        y = y * _along(scale, x, axes)
    return y.astype(x.dtype)


def _along(parameter, x, axes):
    """`parameter` reshaped so that its axes lie along `axes` of `x`."""
    parameter = jnp.asarray(parameter)
    if parameter.ndim != len(axes):
        return parameter
    return parameter.reshape([n if i in axes else 1 for i, n in enumerate(x.shape)])


# Convolution and pooling -----------------------------------------------------------------------


@op
def max_pool(inputs, pool_size, strides=None, padding="valid", data_format=None):
    """The largest element in every window.

    Args:
        inputs: `[b, *spatial, c]`, or `[b, c, *spatial]` for `"channels_first"`.
        pool_size: size of the window, an int or one per spatial axis.
        strides: steps between windows, by default `pool_size`.
        padding: `"valid"` or `"same"`.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.

    Example:

    >>> keras.ops.max_pool(np.array([1.0, 3.0, 2.0, 0.0]).reshape(1, 4, 1), 2).ravel()
    Array([3., 2.], dtype=float32)
    """
    return _pool(_conv.max_pool, jnp.asarray(inputs), pool_size, strides, padding, data_format)


@op
def average_pool(inputs, pool_size, strides=None, padding="valid", data_format=None):
    """The mean of every window, not counting padding.

    Args:
        inputs: `[b, *spatial, c]`, or `[b, c, *spatial]` for `"channels_first"`.
        pool_size: size of the window, an int or one per spatial axis.
        strides: steps between windows, by default `pool_size`.
        padding: `"valid"` or `"same"`.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.
    """
    return _pool(_conv.avg_pool, floats(inputs), pool_size, strides, padding, data_format)


def _pool(pool, inputs, pool_size, strides, padding, data_format):
    rank = inputs.ndim - 2
    window = _per_axis("pool_size", pool_size, rank)
    strides = window if strides is None else _per_axis("strides", strides, rank)
    x, restore = _channels_last(inputs, data_format)
    return restore(pool(x, window, strides, _padding(padding)))


@op
def conv(
    inputs,
    kernel,
    strides: Ints = 1,
    padding="valid",
    data_format=None,
    dilation_rate: Ints = 1,
):
    """Cross-correlation with a kernel, over 1, 2 or 3 spatial axes.

    Args:
        inputs: `[b, *spatial, c]`, or `[b, c, *spatial]` for `"channels_first"`.
        kernel: `[*window, c / groups, filters]`; the number of groups follows from it.
        strides, dilation_rate: an int or one per spatial axis.
        padding: `"valid"` or `"same"`.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.

    Example:

    >>> keras.ops.conv(np.ones((1, 8, 8, 3)), np.ones((3, 3, 3, 16)), padding="same").shape
    (1, 8, 8, 16)
    """
    x, kernel, restore = _operands(inputs, kernel, data_format)
    rank = x.ndim - 2
    channels, taken = x.shape[-1], kernel.shape[-2]
    if channels % taken or kernel.shape[-1] % (channels // taken):
        raise ValueError(
            f"The kernel's last two sizes should be (channels / groups, a multiple of groups), "
            f"for inputs of {channels} channels; received kernel.shape={kernel.shape}."
        )
    strides = _per_axis("strides", strides, rank)
    dilation = _per_axis("dilation_rate", dilation_rate, rank)
    groups = channels // taken
    return restore(_conv.convolve(x, kernel, strides, _padding(padding), dilation, groups))


@op
def depthwise_conv(
    inputs,
    kernel,
    strides: Ints = 1,
    padding="valid",
    data_format=None,
    dilation_rate: Ints = 1,
):
    """Cross-correlation of every channel by itself, with `multiplier` kernels each.

    Args:
        inputs: `[b, *spatial, c]`, or `[b, c, *spatial]` for `"channels_first"`.
        kernel: `[*window, c, multiplier]`.
        strides, dilation_rate: an int or one per spatial axis.
        padding: `"valid"` or `"same"`.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.

    Returns:
        Array with `c * multiplier` channels.
    """
    x, kernel, restore = _operands(inputs, kernel, data_format)
    rank = x.ndim - 2
    *window, channels, multiplier = kernel.shape
    if channels != x.shape[-1]:
        raise ValueError(
            f"The kernel should be of shape (*window, {x.shape[-1]}, multiplier), for inputs of "
            f"{x.shape[-1]} channels; received kernel.shape={kernel.shape}."
        )
    kernel = kernel.reshape(*window, 1, channels * multiplier)
    strides = _per_axis("strides", strides, rank)
    dilation = _per_axis("dilation_rate", dilation_rate, rank)
    return restore(_conv.convolve(x, kernel, strides, _padding(padding), dilation, channels))


@op
def separable_conv(
    inputs,
    depthwise_kernel,
    pointwise_kernel,
    strides: Ints = 1,
    padding="valid",
    data_format=None,
    dilation_rate: Ints = 1,
):
    """A `depthwise_conv`, then a `conv` with a window of one element.

    Args:
        inputs: `[b, *spatial, c]`, or `[b, c, *spatial]` for `"channels_first"`.
        depthwise_kernel: `[*window, c, multiplier]`.
        pointwise_kernel: `[1, …, 1, c * multiplier, filters]`.
        strides, dilation_rate: an int or one per spatial axis.
        padding: `"valid"` or `"same"`.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.
    """
    x = depthwise_conv(inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    return conv(x, pointwise_kernel, data_format=data_format)


@op
def conv_transpose(
    inputs,
    kernel,
    strides: Ints = 1,
    padding="valid",
    output_padding=None,
    data_format=None,
    dilation_rate: Ints = 1,
):
    """The transpose of `conv` (its gradient with respect to the inputs), which upsamples.

    With the window's reach `r = (k - 1) * dilation + 1`, a size `n` becomes `n * stride` for
    `"same"` and `n * stride + max(r - stride, 0)` for `"valid"`. With `output_padding` it becomes
    `(n - 1) * stride + r - 2 * p + output_padding`, where `p` is `r // 2` for `"same"`, else 0.

    Args:
        inputs: `[b, *spatial, c]`, or `[b, c, *spatial]` for `"channels_first"`.
        kernel: `[*window, filters, c]`.
        strides, dilation_rate: an int or one per spatial axis.
        padding: `"valid"` or `"same"`.
        output_padding: an int or one per spatial axis, less than the stride, or `None`.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.

    Example:

    >>> keras.ops.conv_transpose(np.ones((1, 4, 3)), np.ones((3, 5, 3)), 2, "same").shape
    (1, 8, 5)
    """
    x, kernel, restore = _operands(inputs, kernel, data_format)
    rank = x.ndim - 2
    strides = _per_axis("strides", strides, rank)
    dilation = _per_axis("dilation_rate", dilation_rate, rank)
    extra = [None] * rank
    if output_padding is not None:
        extra = _per_axis("output_padding", output_padding, rank, least=0)
    padding = _padding(padding)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel.shape, dilation)]
    crops = tuple(_crops(padding, *sizes) for sizes in zip(reach, strides, extra))
    return restore(_conv.convolve_transposed(x, kernel, strides, crops, dilation))


def _crops(padding, reach, stride, extra):
    """What to cut off everything that the windows reach, for the documented output size."""
    if extra is not None:
        crop = (2 * (reach // 2) if padding == "same" else 0) - extra
    else:
        crop = reach - stride if padding == "same" else min(reach - stride, 0)
    low = max(crop // 2, 0)
    return low, crop - low


def _operands(inputs, kernel, data_format):
    """Inputs with channels last and kernel, in their common dtype, and the way back."""
    inputs, kernel = jnp.asarray(inputs), jnp.asarray(kernel)
    if inputs.ndim not in (3, 4, 5) or kernel.ndim != inputs.ndim:
        raise ValueError(
            "inputs should have 1 to 3 spatial axes, and the kernel as many; received "
            f"inputs.shape={inputs.shape} and kernel.shape={kernel.shape}."
        )
    dtype = dtypes.result_type(dtypes.of(inputs), dtypes.of(kernel))
    x, restore = _channels_last(inputs.astype(dtype), data_format)
    return x, kernel.astype(dtype), restore


def _channels_last(x, data_format):
    """`x` with its channels last, and the function that puts a result's where they were."""
    if x.ndim < 3:
        raise ValueError(expected("inputs", "of shape (batch, *spatial, channels)", x))
    if standardize_data_format(data_format) == "channels_last":
        return x, lambda y: y
    return jnp.moveaxis(x, 1, -1), lambda y: jnp.moveaxis(y, -1, 1)


def _per_axis(name, value, rank, least=1):
    """A tuple of `rank` ints, from such a tuple or from one int for all axes."""
    values = (value,) * rank if isinstance(value, (int, np.integer)) else tuple(value)
    if len(values) != rank or any(v < least for v in values):
        wanted = f"an int of at least {least}, or {rank} of them"
        raise ValueError(expected(name, wanted, value))
    return values


def _padding(padding):
    return one_of("padding", str(padding).lower(), ("valid", "same"))


# Attention -------------------------------------------------------------------------------------


@op
def ctc_loss(target, output, target_length, output_length, mask_index=0):
    """`-log p(target | output)` of connectionist temporal classification, over all alignments.

    An alignment writes every label once or several times in a row, with blanks wherever one likes
    and at least one between equal labels.

    Args:
        target: class indices, `(batch, length)`.
        output: logits, `(batch, steps, classes)`.
        target_length: how many of the labels count, `(batch,)`.
        output_length: how many of the steps count, `(batch,)`.
        mask_index: the class that means blank.

    Returns:
        One loss per sample, `(batch,)`; huge where no alignment fits.

    Reference:
        [Graves et al., 2006](https://www.cs.toronto.edu/~graves/icml_2006.pdf)

    Example:

    >>> keras.ops.ctc_loss([[1]], np.zeros((1, 2, 2)), [1], [2]).round(4)
    Array([0.2877], dtype=float32)
    """
    target, output = jnp.asarray(target), floats(output)
    if target.ndim != 2 or output.ndim != 3:
        raise ValueError(
            "ctc_loss expects a target of shape (batch, length) and an output of shape (batch, "
            f"steps, classes); received {tuple(target.shape)} and {tuple(output.shape)}."
        )
    target_length, output_length = jnp.asarray(target_length), jnp.asarray(output_length)
    log_p = jax.nn.log_softmax(_wide(output))
    # The states of an alignment: a blank, the first label, a blank, the second label, ..., a blank.
    batch, length = target.shape
    states = jnp.full((batch, 2 * length + 1), mask_index).at[:, 1::2].set(target)
    emitted = jnp.take_along_axis(log_p, states[:, None, :], axis=2)
    # A label may follow another without a blank unless they are equal.
    skips = jnp.pad(states[:, 2:] != states[:, :-2], ((0, 0), (2, 0))) & (states != mask_index)
    never = jnp.asarray(-1e30, log_p.dtype)  # finite, since the gradient of -inf - -inf is NaN

    def shifted(alpha, by):
        return jnp.pad(alpha, ((0, 0), (by, 0)), constant_values=never)[:, : alpha.shape[1]]

    def step(alpha, inputs):
        emitted, active = inputs
        reached = jnp.logaddexp(alpha, shifted(alpha, 1))
        reached = jnp.logaddexp(reached, jnp.where(skips, shifted(alpha, 2), never)) + emitted
        return jnp.where(active[:, None], reached, alpha), None

    steps = jnp.arange(output.shape[1])[:, None] < output_length
    emitted = jnp.swapaxes(emitted, 0, 1)
    start = jnp.where(jnp.arange(states.shape[1]) < 2, emitted[0], never)
    alpha, _ = jax.lax.scan(step, start, (emitted[1:], steps[1:]))
    last = jnp.take_along_axis(alpha, 2 * target_length[:, None], axis=1)[:, 0]
    previous = jnp.take_along_axis(alpha, jnp.maximum(2 * target_length - 1, 0)[:, None], axis=1)[
        :, 0
    ]
    previous = jnp.where(target_length > 0, previous, never)
    return -jnp.logaddexp(last, previous).astype(output.dtype)


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
        flash_attention: whether to use a fused kernel, which needs a GPU with cuDNN; `None` for
            what `keras.config.enable_flash_attention` says.
        attn_logits_soft_cap: `c`, for `c * tanh(logits / c)` in place of the logits.

    Returns:
        Array of the shape of `query`.

    Reference: [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762)

    Example:

    >>> x = np.ones((1, 4, 2, 8), "float32")
    >>> keras.ops.dot_product_attention(x, x, x, is_causal=True).shape
    (1, 4, 2, 8)
    """
    query, key, value = floats(query), floats(key), floats(value)
    if query.ndim != 4 or key.ndim != 4 or value.ndim != 4:
        raise ValueError(
            "query, key and value should have the axes (batch, time, heads, features); received "
            f"shapes {query.shape}, {key.shape} and {value.shape}."
        )
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    if flash_attention is None:
        flash_attention = settings.is_flash_attention_enabled()
    if flash_attention and attn_logits_soft_cap is None:
        mask = None if mask is None else jnp.asarray(mask, bool)
        return jax.nn.dot_product_attention(
            query,
            key,
            value,
            bias,
            mask,
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
