"""Activations: elementwise functions (and a few along an axis) between layers."""

import jax
import jax.numpy as jnp

from .core import objects
from .core.objects import publish
from .core.symbolic import op
from .ops import _activations
from .ops._activations import (
    celu,
    elu,
    glu,
    hard_shrink,
    hard_sigmoid,
    hard_silu,
    hard_tanh,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    relu6,
    selu,
    sigmoid,
    silu,
    soft_shrink,
    softmax,
    softplus,
    softsign,
    sparse_plus,
    sparse_sigmoid,
    sparsemax,
    squareplus,
    tanh_shrink,
    threshold,
)
from .ops._convert import float_array

__all__ = [
    "celu",
    "deserialize",
    "elu",
    "exponential",
    "gelu",
    "get",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "serialize",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "squareplus",
    "swish",
    "tanh",
    "tanh_shrink",
    "threshold",
]


@op(elementwise=True)
def relu(x, negative_slope=0.0, max_value=None, threshold=0.0):
    """`max(x, 0)`, or with all arguments

        max_value                        where x >= max_value
        x                                where threshold < x < max_value
        negative_slope * (x - threshold) elsewhere

    Example:

    >>> keras.activations.relu(jnp.array([-2.0, 3.0, 9.0]), negative_slope=0.5, max_value=6.0)
    Array([-1.,  3.,  6.], dtype=float32)
    """
    x = jnp.asarray(x)
    if not negative_slope and not threshold:
        y = jax.nn.relu(x)
    else:
        below = negative_slope * (x - threshold) if negative_slope else jnp.zeros((), x.dtype)
        y = jnp.where(x > threshold, x, below)
    return y if max_value is None else jnp.minimum(y, max_value)


@op(elementwise=True)
def gelu(x, approximate=False):
    """`x` times the probability that a standard normal number is below it.

    Args:
        x: array.
        approximate: whether to compute it by a `tanh` rather than exactly by `erf`.

    Reference: [Hendrycks & Gimpel, 2016](https://arxiv.org/abs/1606.08415)
    """
    return _activations.gelu(x, approximate)


@op(elementwise=True)
def tanh(x):
    """Hyperbolic tangent, from -1 to 1."""
    return jnp.tanh(float_array(x))


@op(elementwise=True)
def exponential(x):
    """`exp(x)`."""
    return jnp.exp(float_array(x))


@op(elementwise=True)
def mish(x):
    """`x * tanh(softplus(x))`.

    Reference: [Misra, 2020](https://arxiv.org/abs/1908.08681)
    """
    return jax.nn.mish(float_array(x))


def linear(x):
    """`x` itself."""
    return x


hard_swish = hard_silu
swish = silu


def serialize(activation):
    """The activation as plain data: the name of one of these functions, a config of others.

    Example:

    >>> keras.activations.serialize(keras.activations.swish)
    'silu'
    """
    name = getattr(activation, "__name__", None)
    if name in __all__ and globals()[name] is activation:
        return name
    return objects.serialize(activation)


def deserialize(config, custom_objects=None):
    """The activation that `serialize` described."""
    return objects.get("activations", config, custom_objects)


def get(identifier):
    """The activation that a name, a config, a layer or a function means; `None` is `linear`.

    Example:

    >>> keras.activations.get("relu") is keras.activations.relu
    True
    """
    return linear if identifier is None else objects.get("activations", identifier)


publish("keras.activations", globals(), __all__)
