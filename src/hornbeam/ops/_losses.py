"""How far a prediction is from its target: crossentropies, and the noise of a signal."""

import jax
import jax.numpy as jnp

from ..core import settings
from ..core.messages import expected
from ..core.symbolic import op
from ._convert import array, differ, float_array, floats, widened


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
        Array without the axis of the classes, of at least float32.

    Example:

    >>> keras.ops.sparse_categorical_crossentropy([1], [[0.5, 0.5]])
    Array([0.6931], dtype=float32)
    """
    target, output = jnp.asarray(target), widened(float_array(output))
    if output.ndim == 0:
        raise ValueError(expected("output", "of at least one axis", output))
    if target.ndim == output.ndim and target.shape[axis] == 1:
        target = jnp.squeeze(target, axis)
    axis = axis % output.ndim
    wanted = output.shape[:axis] + output.shape[axis + 1 :]
    if target.ndim != len(wanted) or differ(target.shape, wanted):
        raise ValueError(
            f"target should have output's shape without axis {axis}: {wanted}; received "
            f"target.shape={target.shape} and output.shape={output.shape}."
        )
    log_prob = _log_probabilities(output, output.dtype, from_logits, axis)
    # Compare and select fuse into the sum; a gather would have a scatter as its gradient.
    index = jax.lax.broadcasted_iota("int32", log_prob.shape, axis)
    hit = index == jnp.expand_dims(target.astype("int32"), axis)
    return -jnp.sum(jnp.where(hit, log_prob, 0), axis=axis)


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
    """Both in at least float32, and the dtype that the loss should have: their common one."""
    target, output = floats(array(target), array(output))
    return widened(target), widened(output), output.dtype


def _check_same_shape(target, output):
    if target.ndim != output.ndim or differ(target.shape, output.shape) or not output.ndim:
        raise ValueError(
            "target and output should have the same shape, of at least one axis; received "
            f"target.shape={target.shape} and output.shape={output.shape}."
        )


@op
def psnr(x1, x2, max_val):
    """Peak signal-to-noise ratio in decibels: `10 * log10(max_val² / mean((x1 - x2)²))`.

    Args:
        x1, x2: signals of the same shape.
        max_val: the largest value that a signal can have, such as 255 for bytes.

    Returns:
        Scalar; infinite for equal signals.

    Example:

    >>> keras.ops.psnr(np.zeros(3), np.full(3, 0.1), max_val=1.0).round(3)
    Array(20., dtype=float32)
    """
    x1, x2 = (array(x) for x in floats(x1, x2))
    if x1.ndim != x2.ndim or differ(x1.shape, x2.shape):
        raise ValueError(
            "x1 and x2 should have the same shape; received "
            f"x1.shape={x1.shape} and x2.shape={x2.shape}."
        )
    error = jnp.mean(jnp.square(widened(x1) - widened(x2)))
    return (20 * jnp.log10(max_val) - 10 * jnp.log10(error)).astype(x1.dtype)
