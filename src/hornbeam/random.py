"""Random numbers: functions of a shape and a seed, with the same numbers as Keras on JAX.

Every `seed` may be an int (the same numbers at every call), a `SeedGenerator` (new ones at every
call) or `None` (from the global generator, which `keras.utils.set_random_seed` restarts).
"""

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from .core import dtypes
from .core.messages import expected
from .core.objects import publish
from .core.rng import SeedGenerator, bernoulli, draw, draw_seed
from .core.symbolic import op

__all__ = [
    "SeedGenerator",
    "beta",
    "binomial",
    "categorical",
    "dropout",
    "gamma",
    "normal",
    "randint",
    "shuffle",
    "truncated_normal",
    "uniform",
]


@op
def normal(shape, mean=0.0, stddev=1.0, dtype=None, seed=None):
    """Numbers from the normal distribution.

    Example:

    >>> keras.random.normal((2, 3), seed=1).shape
    (2, 3)
    """
    dtype = _float("normal", dtype)
    x = draw(jax.random.normal, draw_seed(seed), _shape(shape), dtype)
    return x * _as(stddev, dtype) + _as(mean, dtype)


@op
def uniform(shape, minval=0.0, maxval=1.0, dtype=None, seed=None):
    """Numbers spread evenly over `[minval, maxval)`.

    Example:

    >>> x = keras.random.uniform((100,), minval=2.0, maxval=3.0, seed=1)
    >>> bool(((x >= 2) & (x < 3)).all())
    True
    """
    dtype = _float("uniform", dtype)
    if jnp.ndim(minval) or jnp.ndim(maxval):
        return jax.random.uniform(draw_seed(seed), _shape(shape), dtype, minval, maxval)
    return draw(jax.random.uniform, draw_seed(seed), _shape(shape), dtype, minval, maxval)


@op
def randint(shape, minval, maxval, dtype: DTypeLike | None = "int32", seed=None):
    """Whole numbers spread evenly over `minval, …, maxval - 1`.

    Example:

    >>> x = keras.random.randint((100,), 0, 3, seed=1)
    >>> sorted(set(x.tolist()))
    [0, 1, 2]
    """
    dtype = dtypes.standardize_dtype("int32" if dtype is None else dtype)
    if not dtypes.is_int_dtype(dtype):
        raise ValueError(expected("dtype of randint", "a type of integers", dtype))
    return jax.random.randint(draw_seed(seed), _shape(shape), minval, maxval, dtype)


@op
def truncated_normal(shape, mean=0.0, stddev=1.0, dtype=None, seed=None):
    """Numbers from the normal distribution, cut off at two standard deviations.

    Example:

    >>> x = keras.random.truncated_normal((100,), stddev=0.5, seed=1)
    >>> bool((abs(x) <= 1).all())
    True
    """
    dtype = _float("truncated_normal", dtype)
    sampler = lambda key, shape: jax.random.truncated_normal(key, -2.0, 2.0, shape, dtype)
    x = draw(sampler, draw_seed(seed), _shape(shape))
    return x * _as(stddev, dtype) + _as(mean, dtype)


@op
def gamma(shape, alpha, dtype=None, seed=None):
    """Numbers from the gamma distribution with concentration `alpha` and rate 1.

    `alpha` may be an array that broadcasts to `shape`.
    """
    dtype = _float("gamma", dtype)
    return jax.random.gamma(draw_seed(seed), alpha, _shape(shape), dtype)


@op
def beta(shape, alpha, beta, dtype=None, seed=None):
    """Numbers from the beta distribution with concentrations `alpha` and `beta`.

    Both may be arrays that broadcast to `shape`.
    """
    dtype = _float("beta", dtype)
    return jax.random.beta(draw_seed(seed), alpha, beta, _shape(shape), dtype)


@op
def binomial(shape, counts, probabilities, dtype=None, seed=None):
    """How many of `counts` independent trials succeed, each with chance `probabilities`.

    Both may be arrays that broadcast to `shape`.
    """
    dtype = _float("binomial", dtype)
    return jax.random.binomial(
        jnp.asarray(draw_seed(seed)), counts, probabilities, _shape(shape), dtype
    )


@op
def categorical(logits, num_samples, dtype: DTypeLike = "int32", seed=None):
    """Class indices, drawn with the chances `softmax(logits)`.

    Args:
        logits: `[b, classes]`.
        num_samples: how many to draw for each row.
        dtype: number type of the indices.
        seed: int, `SeedGenerator` or `None`.

    Returns:
        Array of shape `[b, num_samples]`.

    Example:

    >>> logits = np.log([[0.999, 0.001], [0.001, 0.999]])
    >>> keras.random.categorical(logits, 3, seed=1)
    Array([[0, 0, 0],
           [1, 1, 1]], dtype=int32)
    """
    logits = jnp.asarray(logits)
    if logits.ndim != 2:
        raise ValueError(expected("logits", "of shape [batch, classes]", logits))
    shape = (logits.shape[0], num_samples)
    samples = jax.random.categorical(draw_seed(seed), logits[..., None], axis=1, shape=shape)
    return samples.astype(dtypes.standardize_dtype(dtype))


@op
def dropout(inputs, rate, noise_shape=None, seed=None):
    """Sets elements to 0 with the chance `rate`, and divides the others by `1 - rate`.

    Args:
        inputs: float array.
        rate: chance of each element to be dropped, in `[0, 1]`.
        noise_shape: shape of the random decisions, which broadcasts to the inputs' shape; `None`
            in it means the inputs' size.
        seed: int, `SeedGenerator` or `None`.

    Example:

    >>> np.unique(keras.random.dropout(np.ones(100, "float32"), 0.5, seed=1))
    array([0., 2.], dtype=float32)
    """
    inputs = jnp.asarray(inputs)
    _float("dropout", inputs.dtype)
    shape = _noise_shape(inputs, noise_shape)
    if isinstance(rate, (int, float)) and rate >= 1:
        return jnp.zeros_like(inputs)
    keep = 1.0 - rate
    kept = bernoulli(draw_seed(seed), keep, shape)
    return jnp.where(kept, inputs / keep, 0).astype(inputs.dtype)


@op
def shuffle(x, axis=0, seed=None):
    """The elements of `x` in random order along `axis`.

    Every vector along the axis gets an order of its own: rows of a matrix don't stay together.

    Example:

    >>> sorted(keras.random.shuffle(jnp.arange(4), seed=1).tolist())
    [0, 1, 2, 3]
    """
    return jax.random.permutation(draw_seed(seed), jnp.asarray(x), axis, independent=True)


def _shape(shape):
    return (shape,) if isinstance(shape, int) else tuple(shape)


def _noise_shape(inputs, noise_shape):
    if noise_shape is None:
        return inputs.shape
    skipped = inputs.ndim - len(noise_shape)  # like all broadcasting, from the last axis
    if skipped < 0:
        raise ValueError(
            expected("noise_shape", f"of at most {inputs.ndim} sizes", tuple(noise_shape))
        )
    sizes = zip(noise_shape, inputs.shape[skipped:], strict=True)
    return tuple(size if given is None else given for given, size in sizes)


def _float(function, dtype):
    dtype = dtypes.standardize_dtype(dtype)
    if not dtypes.is_float_dtype(dtype):
        raise ValueError(
            expected(f"dtype of {function}", "a float type", dtype, "See keras.random.randint.")
        )
    return dtype


def _as(x, dtype):
    """`x` in `dtype`; a Python number yields to the type it meets, and stays."""
    return x if isinstance(x, (bool, int, float)) else jnp.asarray(x, dtype)


publish("keras.random", globals(), __all__)
