"""Activations: functions of one array, elementwise or along an axis."""

import math

import jax
import jax.numpy as jnp

from ..core.messages import expected
from ..core.symbolic import op
from ..core.tree import Ints
from ._convert import float_array, widened


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
    return jax.nn.relu6(float_array(x))


@op(elementwise=True)
def leaky_relu(x, negative_slope=0.2):
    """`x` where it is positive, else `negative_slope * x`."""
    return jax.nn.leaky_relu(float_array(x), negative_slope)


@op(elementwise=True)
def elu(x, alpha=1.0):
    """`x` where it is positive, else `alpha * (exp(x) - 1)`.

    Reference: [Clevert et al., 2016](https://arxiv.org/abs/1511.07289)
    """
    return jax.nn.elu(float_array(x), alpha)


@op(elementwise=True)
def celu(x, alpha=1.0):
    """`x` where it is positive, else `alpha * (exp(x / alpha) - 1)`: an `elu` without a kink.

    Reference: [Barron, 2017](https://arxiv.org/abs/1704.07483)
    """
    return jax.nn.celu(float_array(x), alpha)


@op(elementwise=True)
def selu(x):
    """`1.0507 * elu(x, 1.67326)`, which keeps activations at mean 0 and variance 1.

    Reference: [Klambauer et al., 2017](https://arxiv.org/abs/1706.02515)
    """
    return jax.nn.selu(float_array(x))


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
    x = float_array(x)
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
    return jax.nn.silu(float_array(x))


@op(elementwise=True)
def softplus(x):
    """`log(1 + exp(x))`: a smooth `relu`."""
    return jax.nn.softplus(float_array(x))


@op(elementwise=True)
def softsign(x):
    """`x / (1 + |x|)`."""
    return jax.nn.soft_sign(float_array(x))


@op(elementwise=True)
def sigmoid(x):
    """`1 / (1 + exp(-x))`.

    Example:

    >>> keras.ops.sigmoid([0.0, 100.0])
    Array([0.5, 1. ], dtype=float32)
    """
    return jax.nn.sigmoid(float_array(x))


@op(elementwise=True)
def hard_sigmoid(x):
    """`clip(x / 6 + 1/2, 0, 1)`: straight pieces near `sigmoid`."""
    return jax.nn.hard_sigmoid(float_array(x))


@op(elementwise=True)
def hard_silu(x):
    """`x * hard_sigmoid(x)`.

    Reference: [Howard et al., 2019](https://arxiv.org/abs/1905.02244)
    """
    return jax.nn.hard_silu(float_array(x))


@op(elementwise=True)
def hard_tanh(x):
    """`clip(x, -1, 1)`."""
    return jax.nn.hard_tanh(jnp.asarray(x))


@op(elementwise=True)
def log_sigmoid(x):
    """`log(sigmoid(x))`, without overflow."""
    return jax.nn.log_sigmoid(float_array(x))


@op(elementwise=True)
def tanh_shrink(x):
    """`x - tanh(x)`."""
    x = float_array(x)
    return x - jnp.tanh(x)


@op(elementwise=True)
def soft_shrink(x, threshold=0.5):
    """Moves `x` towards 0 by `threshold`, stopping at 0."""
    x = float_array(x)
    shrunk = jnp.where(x > 0, x - threshold, x + threshold)
    return jnp.where(jnp.abs(x) > threshold, shrunk, 0)


@op(elementwise=True)
def hard_shrink(x, threshold=0.5):
    """`x` where `|x| > threshold`, else 0."""
    x = float_array(x)
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
    return jax.nn.sparse_plus(float_array(x))


@op(elementwise=True)
def sparse_sigmoid(x):
    """`clip((x + 1) / 2, 0, 1)`: the derivative of `sparse_plus`."""
    return jax.nn.sparse_sigmoid(float_array(x))


@op(elementwise=True)
def squareplus(x, b: float = 4):
    """`(x + sqrt(x² + b)) / 2`: a smooth `relu`.

    Reference: [Barron, 2021](https://arxiv.org/abs/2112.11687)
    """
    x = float_array(x)
    return jax.nn.squareplus(widened(x), float(b)).astype(x.dtype)


@op
def glu(x, axis=-1):
    """Gated linear unit: the first half of `x` along `axis` times the sigmoid of the second.

    Reference: [Dauphin et al., 2017](https://arxiv.org/abs/1612.08083)

    Example:

    >>> keras.ops.glu([3.0, 0.0])
    Array([1.5], dtype=float32)
    """
    x = float_array(x)
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
    return jax.nn.softmax(float_array(x), tuple(axis) if isinstance(axis, list) else axis)


@op(elementwise=True)
def log_softmax(x, axis: Ints | None = -1):
    """`log(softmax(x))` along `axis`, without overflow."""
    return jax.nn.log_softmax(float_array(x), tuple(axis) if isinstance(axis, list) else axis)


@op(elementwise=True)
def sparsemax(x, axis=-1):
    """The probabilities nearest to `x` along `axis`; small ones are exactly 0.

    `max(x - t, 0)` with the `t` for which they sum to 1.

    Reference: [Martins & Astudillo, 2016](https://arxiv.org/abs/1602.02068)

    Example:

    >>> keras.ops.sparsemax([2.0, 1.5, -1.0])
    Array([0.75, 0.25, 0.  ], dtype=float32)
    """
    x = float_array(x)
    z = jnp.moveaxis(widened(x), axis, -1)
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
