"""Regularizers: penalties on weights or activations that are added to the training loss."""

import math

import jax
import jax.numpy as jnp

from .core import objects
from .core.messages import expected, one_of
from .core.objects import Configurable, publish

__all__ = [
    "L1",
    "L1L2",
    "L2",
    "OrthogonalRegularizer",
    "Regularizer",
    "deserialize",
    "get",
    "l1",
    "l1_l2",
    "l2",
    "orthogonal_regularizer",
    "serialize",
]


class Regularizer(Configurable):
    """A function from a tensor to a scalar penalty; subclasses write `__call__`.

    Example:

    >>> class Quartic(keras.regularizers.Regularizer):
    ...     def __init__(self, factor=0.5):
    ...         self.factor = factor
    ...
    ...     def __call__(self, x):
    ...         return self.factor * jnp.sum(x**4)
    >>> float(Quartic()(jnp.array([1.0, 2.0])))
    8.5
    """

    def __call__(self, x) -> float | jax.Array:
        """The penalty for `x`."""
        return 0.0


class L1L2(Regularizer):
    """`l1 * sum(|x|) + l2 * sum(x²)`.

    Example:

    >>> float(keras.regularizers.L1L2(l1=1.0, l2=0.5)(jnp.array([1.0, -2.0])))
    5.5
    """

    def __init__(self, l1=0.0, l2=0.0):
        self.l1 = _factor("l1", 0.0 if l1 is None else l1)
        self.l2 = _factor("l2", 0.0 if l2 is None else l2)

    def __call__(self, x):
        x = jnp.asarray(x)
        penalty = jnp.zeros((), x.dtype)
        if self.l1:
            penalty += self.l1 * jnp.sum(jnp.abs(x))
        if self.l2:
            penalty += self.l2 * jnp.sum(jnp.square(x))
        return penalty


class L1(Regularizer):
    """`l1 * sum(|x|)`: drives weights to exactly zero.

    Example:

    >>> float(keras.regularizers.L1(0.5)(jnp.array([1.0, -2.0])))
    1.5
    """

    def __init__(self, l1=0.01):
        self.l1 = _factor("l1", 0.01 if l1 is None else l1)

    def __call__(self, x):
        return self.l1 * jnp.sum(jnp.abs(jnp.asarray(x)))


class L2(Regularizer):
    """`l2 * sum(x²)`: keeps weights small.

    Example:

    >>> float(keras.regularizers.L2(0.5)(jnp.array([1.0, -2.0])))
    2.5
    """

    def __init__(self, l2=0.01):
        self.l2 = _factor("l2", 0.01 if l2 is None else l2)

    def __call__(self, x):
        return self.l2 * jnp.sum(jnp.square(jnp.asarray(x)))


class OrthogonalRegularizer(Regularizer):
    """Penalizes vectors for not being orthogonal to each other.

    `factor` times the mean of `|cos(angle)|` over all pairs of different vectors.

    Args:
        factor: weight of the penalty.
        mode: which vectors of the matrix: its `"rows"` or its `"columns"`.

    Raises:
        ValueError: when called on anything but a matrix.

    Example:

    >>> regularizer = keras.regularizers.OrthogonalRegularizer(factor=1.0)
    >>> float(regularizer(jnp.array([[3.0, 0.0], [0.0, 2.0]])))
    0.0
    """

    def __init__(self, factor=0.01, mode="rows"):
        self.factor = _factor("factor", factor)
        self.mode = one_of("mode", mode, ("rows", "columns"))

    def __call__(self, x):
        x = jnp.asarray(x)
        if x.ndim != 2:
            raise ValueError(expected("OrthogonalRegularizer's input", "a matrix", x))
        vectors = x if self.mode == "rows" else x.T
        count = vectors.shape[0]
        # Where-safe, since a vector of zeros has a norm without a gradient.
        squares = jnp.sum(jnp.square(vectors), axis=1, keepdims=True)
        norms = jnp.sqrt(jnp.where(squares > 0, squares, 1))
        unit = vectors / norms
        cosines = jnp.abs(unit @ unit.T) * (1 - jnp.eye(count, dtype=x.dtype))
        pairs = count * (count - 1)  # each pair is in the matrix twice
        return self.factor * jnp.sum(cosines) / max(pairs, 1)


def _factor(name, value):
    """`value` as a finite float of at least 0."""
    # Arrays of one element come out of searches over settings.
    is_number = isinstance(value, (int, float)) or getattr(value, "shape", None) == ()
    if not is_number or not math.isfinite(value) or value < 0:
        raise ValueError(expected(name, "a finite number of at least 0", value))
    return float(value)


def serialize(regularizer):
    """The regularizer as plain data."""
    return objects.serialize(regularizer)


def deserialize(config, custom_objects=None):
    """The regularizer that `serialize` described."""
    return objects.get("regularizers", config, custom_objects)


def get(identifier):
    """The regularizer that a name, a config, a class or a function means.

    Example:

    >>> keras.regularizers.get("l2").l2
    0.01
    """
    return objects.get("regularizers", identifier)


l1 = L1
l2 = L2
l1_l2 = L1L2
orthogonal_regularizer = OrthogonalRegularizer

publish("keras.regularizers", globals(), __all__, aliases={"l1l2": L1L2})
