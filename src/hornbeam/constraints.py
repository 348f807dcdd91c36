"""Constraints: projections that are applied to weights after every optimizer step."""

import jax.numpy as jnp

from .core import objects, settings
from .core.objects import Configurable, publish
from .core.tree import Ints

__all__ = [
    "Constraint",
    "MaxNorm",
    "MinMaxNorm",
    "NonNeg",
    "UnitNorm",
    "deserialize",
    "get",
    "max_norm",
    "min_max_norm",
    "non_neg",
    "serialize",
    "unit_norm",
]


class Constraint(Configurable):
    """A function from a weight to an allowed weight of the same shape.

    Subclasses write `__call__`.

    Example:

    >>> class ZeroMean(keras.constraints.Constraint):
    ...     def __call__(self, w):
    ...         return w - jnp.mean(w)
    >>> ZeroMean()(jnp.array([1.0, 3.0]))
    Array([-1.,  1.], dtype=float32)
    """

    def __call__(self, w):
        """The allowed weight for `w`."""
        return w


class NonNeg(Constraint):
    """`max(w, 0)`."""

    def __call__(self, w):
        w = jnp.asarray(w)
        return jnp.maximum(w, jnp.zeros((), w.dtype))


class MaxNorm(Constraint):
    """Scales vectors down whose norm exceeds `max_value`.

    Args:
        max_value: largest norm.
        axis: axis or axes that the norm is taken over: `0` for the vectors of weights that lead
            to one unit of `Dense`, `[0, 1, 2]` for one filter of `Conv2D`.

    Example:

    >>> keras.constraints.MaxNorm(1.0)(jnp.array([[3.0, 0.1], [4.0, 0.0]]))
    Array([[0.6, 0.1],
           [0.8, 0. ]], dtype=float32)
    """

    def __init__(self, max_value: float = 2, axis: Ints = 0):
        self.max_value = max_value
        self.axis = axis

    def __call__(self, w):
        return _with_norm(w, self.axis, lambda norm: jnp.clip(norm, 0, self.max_value))


class MinMaxNorm(Constraint):
    """Moves the norms of vectors into a range, at once or by degrees.

    The norm `n` becomes `rate * clip(n, min_value, max_value) + (1 - rate) * n`.

    Args:
        min_value, max_value: the range.
        rate: how far to go in one step: `1.0` to the range.
        axis: axis or axes that the norm is taken over, as in `MaxNorm`.
    """

    def __init__(self, min_value=0.0, max_value=1.0, rate=1.0, axis: Ints = 0):
        self.min_value = min_value
        self.max_value = max_value
        self.rate = rate
        self.axis = axis

    def __call__(self, w):
        def wanted(norm):
            inside = jnp.clip(norm, self.min_value, self.max_value)
            return self.rate * inside + (1 - self.rate) * norm

        return _with_norm(w, self.axis, wanted)


class UnitNorm(Constraint):
    """Scales vectors to norm 1.

    Args:
        axis: axis or axes that the norm is taken over, as in `MaxNorm`.
    """

    def __init__(self, axis: Ints = 0):
        self.axis = axis

    def __call__(self, w):
        return _with_norm(w, self.axis, lambda norm: 1)


def _with_norm(w, axis, wanted):
    """`w` with the norm `n` of its vectors along `axis` turned into `wanted(n)`."""
    w = jnp.asarray(w)
    axis = tuple(axis) if isinstance(axis, (list, tuple)) else axis
    # In at least float32: the squares of large half-precision numbers overflow.
    wide = w.astype(jnp.promote_types(w.dtype, jnp.float32))
    norm = jnp.sqrt(jnp.sum(jnp.square(wide), axis=axis, keepdims=True))
    return (wide * (wanted(norm) / (settings.epsilon() + norm))).astype(w.dtype)


def serialize(constraint):
    """The constraint as plain data."""
    return objects.serialize(constraint)


def deserialize(config, custom_objects=None):
    """The constraint that `serialize` described."""
    return objects.get("constraints", config, custom_objects)


def get(identifier):
    """The constraint that a name, a config, a class or a function means.

    Example:

    >>> keras.constraints.get("max_norm").max_value
    2
    """
    return objects.get("constraints", identifier)


max_norm = MaxNorm
min_max_norm = MinMaxNorm
non_neg = NonNeg
unit_norm = UnitNorm

publish("keras.constraints", globals(), __all__)
