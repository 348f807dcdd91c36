"""Losses as functions of `(y_true, y_pred)`: one value per sample."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from .. import ops
from ..core import dtypes, masks, settings


def arrays(y_true, y_pred):
    """Both as arrays of one float type and one rank (a last axis of size 1 may be missing)."""
    y_pred = jnp.asarray(y_pred)
    if not dtypes.is_float_dtype(y_pred.dtype):
        y_pred = y_pred.astype(settings.floatx())
    return squeeze_to_same_rank(jnp.asarray(y_true).astype(y_pred.dtype), y_pred)


def squeeze_to_same_rank(y_true, y_pred):
    """Both with the same number of axes, if one of them only has another last axis of size 1.

    One number per sample keeps its axis: `(batch,)` becomes `(batch, 1)`, so that a mean over
    the last axis leaves one value per sample.
    """
    if y_true.ndim == y_pred.ndim + 1 and y_true.shape[-1] == 1:
        return (y_true, y_pred[:, None]) if y_pred.ndim == 1 else (y_true[..., 0], y_pred)
    if y_pred.ndim == y_true.ndim + 1 and y_pred.shape[-1] == 1:
        return (y_true[:, None], y_pred) if y_true.ndim == 1 else (y_true, y_pred[..., 0])
    return y_true, y_pred


# Regression --------------------------------------------------------------------------------------


def mean_squared_error(y_true, y_pred):
    """`mean((y_true - y_pred)**2)` over the last axis.

    Example:

    >>> float(keras.losses.mean_squared_error(np.array([0.0, 1.0]), np.array([1.0, 3.0])))
    2.5
    """
    y_true, y_pred = arrays(y_true, y_pred)
    return jnp.mean(jnp.square(y_true - y_pred), axis=-1)


def mean_absolute_error(y_true, y_pred):
    """`mean(|y_true - y_pred|)` over the last axis.

    Example:

    >>> float(keras.losses.mean_absolute_error(np.array([0.0, 1.0]), np.array([1.0, 3.0])))
    1.5
    """
    y_true, y_pred = arrays(y_true, y_pred)
    return jnp.mean(jnp.abs(y_true - y_pred), axis=-1)


def mean_absolute_percentage_error(y_true, y_pred):
    """`100 mean(|y_true - y_pred| / |y_true|)` over the last axis.

    Example:

    >>> float(keras.losses.mean_absolute_percentage_error(np.array([4.0]), np.array([3.0])))
    25.0
    """
    y_true, y_pred = arrays(y_true, y_pred)
    size = jnp.maximum(jnp.abs(y_true), _epsilon(y_true))
    return 100.0 * jnp.mean(jnp.abs((y_true - y_pred) / size), axis=-1)


def mean_squared_logarithmic_error(y_true, y_pred):
    """`mean((log(1 + y_true) - log(1 + y_pred))**2)` over the last axis, of values above 0.

    Example:

    >>> e = np.e
    >>> y_true, y_pred = np.array([e - 1]), np.array([e**2 - 1])
    >>> round(float(keras.losses.mean_squared_logarithmic_error(y_true, y_pred)), 4)
    1.0
    """
    y_true, y_pred = arrays(y_true, y_pred)
    epsilon = _epsilon(y_pred)
    difference = jnp.log1p(jnp.maximum(y_true, epsilon)) - jnp.log1p(jnp.maximum(y_pred, epsilon))
    return jnp.mean(jnp.square(difference), axis=-1)


def huber(y_true, y_pred, delta=1.0):
    """The mean over the last axis of `e**2 / 2`, or `delta (|e| - delta / 2)` where `|e| > delta`.

    Example:

    >>> float(keras.losses.huber(np.array([0.0, 0.0]), np.array([1.0, 3.0])))
    1.5
    """
    y_true, y_pred = arrays(y_true, y_pred)
    error = jnp.abs(y_true - y_pred)
    # delta |e| - delta² / 2 is the tangent of e² / 2 at delta.
    near = jnp.minimum(error, delta)
    return jnp.mean(0.5 * near * near + delta * (error - near), axis=-1)


def log_cosh(y_true, y_pred):
    """`mean(log(cosh(y_pred - y_true)))` over the last axis: like a square near 0, then linear.

    Example:

    >>> round(float(keras.losses.log_cosh(np.array([0.0]), np.array([20.0]))), 3)
    19.307
    """
    y_true, y_pred = arrays(y_true, y_pred)
    error = y_pred - y_true
    # log((exp(e) + exp(-e)) / 2), without an exponential of anything positive.
    return jnp.mean(jnp.logaddexp(error, -error) - np.log(2.0).astype(error.dtype), axis=-1)


def poisson(y_true, y_pred):
    """`mean(y_pred - y_true log(y_pred))` over the last axis.

    Example:

    >>> float(keras.losses.poisson(np.array([1.0]), np.array([1.0])))
    1.0
    """
    y_true, y_pred = arrays(y_true, y_pred)
    return jnp.mean(y_pred - y_true * jnp.log(y_pred + _epsilon(y_pred)), axis=-1)


def kl_divergence(y_true, y_pred):
    """`sum(y_true log(y_true / y_pred))` over the last axis, of probabilities.

    Example:

    >>> round(float(keras.losses.kl_divergence(np.array([0.0, 1.0]), np.array([0.5, 0.5]))), 4)
    0.6931
    """
    y_true, y_pred = arrays(y_true, y_pred)
    epsilon = _epsilon(y_pred)
    y_true, y_pred = jnp.clip(y_true, epsilon, 1), jnp.clip(y_pred, epsilon, 1)
    return jnp.sum(y_true * jnp.log(y_true / y_pred), axis=-1)


def cosine_similarity(y_true, y_pred, axis=-1):
    """Minus the cosine of the angle between `y_true` and `y_pred`: -1 for the same direction.

    Example:

    >>> float(keras.losses.cosine_similarity(np.array([0.0, 2.0]), np.array([0.0, 1.0])))
    -1.0
    """
    return -jnp.sum(_cosines(*arrays(y_true, y_pred), axis), axis=axis)


def _cosines(y_true, y_pred, axis):
    return _unit(y_true, axis) * _unit(y_pred, axis)


def _unit(x, axis):
    smallest = max(1e-12, float(jnp.finfo(x.dtype).tiny))
    return x * jax.lax.rsqrt(jnp.maximum(jnp.sum(x * x, axis=axis, keepdims=True), smallest))


# Margins -----------------------------------------------------------------------------------------


def hinge(y_true, y_pred):
    """`mean(max(0, 1 - y_true y_pred))` over the last axis, of labels -1 and 1 (or 0 and 1).

    Example:

    >>> float(keras.losses.hinge(np.array([-1.0, 1.0]), np.array([0.5, 0.5])))
    1.0
    """
    return jnp.mean(_margin(y_true, y_pred), axis=-1)


def squared_hinge(y_true, y_pred):
    """`mean(max(0, 1 - y_true y_pred)**2)` over the last axis, of labels -1 and 1 (or 0 and 1).

    Example:

    >>> float(keras.losses.squared_hinge(np.array([-1.0, 1.0]), np.array([0.5, 0.5])))
    1.25
    """
    return jnp.mean(jnp.square(_margin(y_true, y_pred)), axis=-1)


def _margin(y_true, y_pred):
    y_true, y_pred = arrays(y_true, y_pred)
    binary = jnp.all((y_true == 0) | (y_true == 1))
    y_true = jnp.where(binary, 2 * y_true - 1, y_true)
    return jnp.maximum(1 - y_true * y_pred, 0)


def categorical_hinge(y_true, y_pred):
    """`max(0, 1 + neg - pos)`: the largest score of a wrong class, and that of the right one.

    Example:

    >>> y_true, y_pred = np.array([0.0, 1.0]), np.array([0.5, 0.25])
    >>> float(keras.losses.categorical_hinge(y_true, y_pred))
    1.25
    """
    y_true, y_pred = arrays(y_true, y_pred)
    right = jnp.sum(y_true * y_pred, axis=-1)
    wrong = jnp.max((1 - y_true) * y_pred, axis=-1)
    return jnp.maximum(wrong - right + 1, 0)


# Crossentropies ----------------------------------------------------------------------------------


def check_labels(y_true, num_classes, ignore_class=None):
    """Raise a `ValueError` if an array on the host holds a label outside 0…`num_classes` - 1."""
    labels = np.asarray(y_true)
    wrong = (labels < 0) | (labels >= num_classes)
    if ignore_class is not None:
        wrong &= labels != ignore_class
    if wrong.any():
        worst = labels[wrong][0].item()
        hint = (
            "The model's last layer should have as many units as there are classes."
            if worst >= 0
            else "To leave labels out of the loss, name them in `ignore_class`."
        )
        raise ValueError(
            f"y_true holds the class {worst:g}, but there are {num_classes} classes "
            f"(0…{num_classes - 1}), the size of y_pred along its class axis. {hint}"
        )


def sparse_categorical_crossentropy(y_true, y_pred, from_logits=False, ignore_class=None, axis=-1):
    """`-log(y_pred[y_true])`, where `y_true` holds the index of each right class.

    Args:
        y_true: class indices, of the shape of `y_pred` without the class axis.
        y_pred: probabilities, or logits.
        from_logits: whether `y_pred` holds logits.
        ignore_class: index that stands for "no label": the loss is 0 there.
        axis: the class axis of `y_pred`.

    Raises:
        ValueError: for an index outside the classes. (Compiled code can't raise: there, such a
            sample's loss is 0.)

    Example:

    >>> y_pred = np.array([[0.5, 0.5], [0.25, 0.75]])
    >>> keras.losses.sparse_categorical_crossentropy(np.array([0, 1]), y_pred).round(3)
    Array([0.693, 0.288], dtype=float32)
    """
    y_pred = jnp.asarray(y_pred)
    if not isinstance(y_true, Tracer):
        check_labels(y_true, y_pred.shape[axis], ignore_class)
    y_true = jnp.asarray(y_true).astype("int32")
    values = ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits, axis)
    if ignore_class is None:
        return values
    counts = jnp.reshape(y_true, values.shape) != ignore_class
    values = jnp.where(counts, values, 0)
    masks.set_mask(values, counts)  # so that a mean doesn't count them
    return values


def categorical_crossentropy(y_true, y_pred, from_logits=False, label_smoothing=0.0, axis=-1):
    """`-sum(y_true log(y_pred))` over the class axis, of one-hot labels or probabilities.

    Args:
        y_true: one-hot labels, of the shape of `y_pred`.
        y_pred: probabilities, or logits.
        from_logits: whether `y_pred` holds logits.
        label_smoothing: share of the label that is spread evenly over the classes.
        axis: the class axis.

    Example:

    >>> y_pred = np.array([[0.5, 0.5], [0.25, 0.75]])
    >>> keras.losses.categorical_crossentropy(np.eye(2), y_pred).round(3)
    Array([0.693, 0.288], dtype=float32)
    """
    y_true, y_pred = _same_shape(y_true, y_pred)
    y_true = _smooth(y_true, label_smoothing, y_pred.shape[axis])
    return ops.categorical_crossentropy(y_true, y_pred, from_logits, axis)


def binary_crossentropy(y_true, y_pred, from_logits=False, label_smoothing=0.0, axis=-1):
    """`-mean(y_true log(y_pred) + (1 - y_true) log(1 - y_pred))` over `axis`.

    Args:
        y_true: labels 0 and 1, or probabilities.
        y_pred: probabilities, or logits.
        from_logits: whether `y_pred` holds logits.
        label_smoothing: how far labels move towards 1/2, from 0 to 1.
        axis: the axis to average over.

    Example:

    >>> y_true, y_pred = np.array([0.0, 1.0]), np.array([0.5, 0.5])
    >>> round(float(keras.losses.binary_crossentropy(y_true, y_pred)), 3)
    0.693
    """
    y_true, y_pred = _same_shape(y_true, y_pred)
    y_true = _smooth(y_true, label_smoothing, 2)
    return jnp.mean(ops.binary_crossentropy(y_true, y_pred, from_logits), axis=axis)


def binary_focal_crossentropy(
    y_true,
    y_pred,
    apply_class_balancing=False,
    alpha=0.25,
    gamma=2.0,
    from_logits=False,
    label_smoothing=0.0,
    axis=-1,
):
    """Binary crossentropy times `(1 - p)**gamma`, `p` being the probability of the right label.

    Args:
        y_true: labels 0 and 1.
        y_pred: probabilities, or logits.
        apply_class_balancing: whether to weight the classes 1 and 0 by `alpha` and `1 - alpha`.
        alpha: weight of class 1.
        gamma: how much easy samples are played down.
        from_logits: whether `y_pred` holds logits.
        label_smoothing: how far labels move towards 1/2, from 0 to 1.
        axis: the axis to average over.

    Reference:
        [Lin et al., 2017](https://arxiv.org/abs/1708.02002)

    Example:

    >>> y_true, y_pred = np.array([0.0, 1.0]), np.array([0.5, 0.5])
    >>> round(float(keras.losses.binary_focal_crossentropy(y_true, y_pred)), 3)
    0.173
    """
    y_true, y_pred = _same_shape(y_true, y_pred)
    y_true = _smooth(y_true, label_smoothing, 2)
    p = jax.nn.sigmoid(y_pred) if from_logits else y_pred
    right = y_true * p + (1 - y_true) * (1 - p)
    values = (1 - right) ** gamma * ops.binary_crossentropy(y_true, y_pred, from_logits)
    if apply_class_balancing:
        values = values * (y_true * alpha + (1 - y_true) * (1 - alpha))
    return jnp.mean(values, axis=axis)


def categorical_focal_crossentropy(
    y_true, y_pred, alpha=0.25, gamma=2.0, from_logits=False, label_smoothing=0.0, axis=-1
):
    """`-alpha sum(y_true (1 - y_pred)**gamma log(y_pred))` over the class axis.

    Args:
        y_true: one-hot labels, of the shape of `y_pred`.
        y_pred: probabilities, or logits.
        alpha: factor, or one factor per class.
        gamma: how much easy samples are played down.
        from_logits: whether `y_pred` holds logits.
        label_smoothing: share of the label that is spread evenly over the classes.
        axis: the class axis.

    Reference:
        [Lin et al., 2017](https://arxiv.org/abs/1708.02002)

    Example:

    >>> y_pred = np.array([[0.5, 0.5], [0.25, 0.75]])
    >>> keras.losses.categorical_focal_crossentropy(np.eye(2), y_pred).round(3)
    Array([0.043, 0.004], dtype=float32)
    """
    y_true, y_pred = _same_shape(y_true, y_pred)
    y_true = _smooth(y_true, label_smoothing, y_pred.shape[axis])
    if from_logits:
        log_p = jax.nn.log_softmax(y_pred, axis=axis)
    else:
        total = jnp.sum(y_pred, axis=axis, keepdims=True)
        p = y_pred / jnp.where(total == 0, 1, total)
        log_p = jnp.log(jnp.clip(p, _epsilon(p), 1 - _epsilon(p)))
    alpha = jnp.asarray(alpha, dtype=y_pred.dtype)
    focus = alpha * (1 - jnp.exp(log_p)) ** gamma
    return -jnp.sum(y_true * focus * log_p, axis=axis)


def categorical_generalized_cross_entropy(y_true, y_pred, q):
    """`(1 - y_pred[y_true]**q) / q`: between crossentropy (`q` → 0) and absolute error (`q` = 1).

    Args:
        y_true: class indices.
        y_pred: probabilities.
        q: robustness against wrong labels, in (0, 1).

    Reference:
        [Zhang and Sabuncu, 2018](https://arxiv.org/abs/1805.07836)

    Example:

    >>> y_pred = np.array([[0.25, 0.75]])
    >>> keras.losses.categorical_generalized_cross_entropy(np.array([0]), y_pred, 0.5)
    Array([1.], dtype=float32)
    """
    y_true, y_pred = jnp.asarray(y_true), arrays(y_pred, y_pred)[1]
    if y_true.ndim == y_pred.ndim and y_true.shape[-1] == 1:
        y_true = y_true[..., 0]
    if y_true.shape != y_pred.shape[:-1]:
        raise ValueError(
            "y_true should hold class indices in the shape of y_pred without its last axis; "
            f"received {tuple(y_true.shape)} and {tuple(y_pred.shape)}."
        )
    p = jnp.take_along_axis(y_pred, y_true.astype("int32")[..., None], axis=-1)[..., 0]
    powered = jnp.where(p > 0, jnp.where(p > 0, p, 1) ** q, 0)  # finite gradient at 0
    return (1 - powered) / q


def _same_shape(y_true, y_pred):
    y_true, y_pred = arrays(y_true, y_pred)
    if y_true.shape != y_pred.shape:
        raise ValueError(
            "y_true and y_pred should have the same shape; received "
            f"{tuple(y_true.shape)} and {tuple(y_pred.shape)}. For labels that are class indices "
            "use sparse_categorical_crossentropy."
        )
    return y_true, y_pred


def _smooth(y_true, amount, classes):
    return y_true * (1 - amount) + amount / classes if amount else y_true


def _epsilon(x):
    """The fuzz factor, large enough for the dtype to tell `1 - epsilon` from 1."""
    return max(settings.epsilon(), float(jnp.finfo(x.dtype).eps) / 2)


# Overlaps and embeddings -------------------------------------------------------------------------


def dice(y_true, y_pred, axis=None):
    """`1 - 2 sum(y_true y_pred) / (sum(y_true) + sum(y_pred))` over `axis` (by default all axes).

    Example:

    >>> y_true, y_pred = np.array([1.0, 1.0, 0.0]), np.array([1.0, 0.0, 0.0])
    >>> round(float(keras.losses.dice(y_true, y_pred)), 4)
    0.3333
    """
    y_true, y_pred = arrays(y_true, y_pred)
    axis = _axes(axis)
    both = jnp.sum(y_true * y_pred, axis=axis)
    total = jnp.sum(y_true, axis=axis) + jnp.sum(y_pred, axis=axis)
    return 1 - 2 * both / (total + _epsilon(y_pred))


def tversky(y_true, y_pred, alpha=0.5, beta=0.5, axis=None):
    """`1 - both / (both + alpha missed + beta wrong)` over `axis` (by default all axes).

    `both` is the overlap, `missed` what only `y_true` has and `wrong` what only `y_pred` has.

    Args:
        y_true: labels 0 and 1.
        y_pred: probabilities.
        alpha: weight of false negatives.
        beta: weight of false positives.
        axis: the axes that make up one sample.

    Reference:
        [Salehi et al., 2017](https://arxiv.org/abs/1706.05721), where the two weights have each
        other's names.

    Example:

    >>> y_true, y_pred = np.array([1.0, 1.0, 0.0]), np.array([1.0, 0.0, 0.0])
    >>> round(float(keras.losses.tversky(y_true, y_pred, alpha=1.0, beta=0.0)), 4)
    0.5
    """
    y_true, y_pred = arrays(y_true, y_pred)
    axis = _axes(axis)
    both = jnp.sum(y_true * y_pred, axis=axis)
    missed = jnp.sum(y_true * (1 - y_pred), axis=axis)
    wrong = jnp.sum((1 - y_true) * y_pred, axis=axis)
    return 1 - both / (both + alpha * missed + beta * wrong + _epsilon(y_pred))


def _axes(axis):
    return tuple(axis) if isinstance(axis, list) else axis


def circle(
    y_true,
    y_pred,
    ref_labels=None,
    ref_embeddings=None,
    remove_diagonal=True,
    gamma: float = 80,
    margin=0.4,
):
    """Circle loss: pulls embeddings of one class together and pushes those of others away.

    `softplus(logsumexp(-gamma a (s - 1 + margin)) + logsumexp(gamma b (t - margin)))`, with the
    cosines `s` to samples of the same class, `t` to the others, `a = max(1 + margin - s, 0)` and
    `b = max(t + margin, 0)`.

    Args:
        y_true: class indices, `(batch,)`.
        y_pred: embeddings of length 1, `(batch, features)`.
        ref_labels: class indices of the samples to compare with; by default `y_true`.
        ref_embeddings: their embeddings; by default `y_pred`.
        remove_diagonal: whether a sample isn't compared with itself.
        gamma: scale.
        margin: relaxation.

    Reference:
        [Sun et al., 2020](https://arxiv.org/abs/2002.10857)

    Example:

    >>> y_pred = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    >>> keras.losses.circle(np.array([0, 0, 1, 1]), y_pred, gamma=1.0).round(3)
    Array([0.897, 0.897, 0.897, 0.897], dtype=float32)
    """
    y_pred = jnp.asarray(y_pred)
    labels = jnp.reshape(jnp.asarray(y_true), (-1,))
    ref_labels = labels if ref_labels is None else jnp.reshape(jnp.asarray(ref_labels), (-1,))
    ref_embeddings = y_pred if ref_embeddings is None else jnp.asarray(ref_embeddings)
    similarity = jnp.minimum(y_pred @ ref_embeddings.T, 1)
    same = labels[:, None] == ref_labels[None, :]
    other = ~same
    if remove_diagonal:
        same &= ~jnp.eye(*same.shape, dtype=bool)
    pull = -gamma * jnp.maximum(1 + margin - similarity, 0) * (similarity - 1 + margin)
    push = gamma * jnp.maximum(similarity + margin, 0) * (similarity - margin)
    near, far = _logsumexp(pull, same), _logsumexp(push, other)
    # A sample without a partner, or without an opponent, has nothing to compare.
    complete = jnp.any(same, axis=1) & jnp.any(other, axis=1)
    return jnp.where(complete, jax.nn.softplus(near + far), 0)


def _logsumexp(x, where):
    """`logsumexp` over the last axis where `where`, and 0 (not -inf) where that is nowhere."""
    some = jnp.any(where, axis=-1, keepdims=True)
    return jax.nn.logsumexp(jnp.where(where | ~some, x, -jnp.inf), axis=-1)


def ctc(y_true, y_pred):
    """Connectionist temporal classification: `-log p(y_true)` over all alignments.

    Args:
        y_true: class indices, `(batch, length)`, padded with 0, which is also the blank.
        y_pred: logits, `(batch, steps, classes)`.

    Reference:
        [Graves et al., 2006](https://www.cs.toronto.edu/~graves/icml_2006.pdf)

    Example:

    >>> y_pred = np.zeros((1, 2, 2))
    >>> keras.losses.ctc(np.array([[1, 0]]), y_pred).round(4)
    Array([0.2877], dtype=float32)
    """
    y_true, y_pred = jnp.asarray(y_true), jnp.asarray(y_pred)
    if y_true.ndim != 2 or y_pred.ndim != 3:
        raise ValueError(
            "CTC expects y_true of shape (batch, length) and y_pred of shape (batch, steps, "
            f"classes); received {tuple(y_true.shape)} and {tuple(y_pred.shape)}."
        )
    y_true = y_true.astype("int32")
    label_lengths = jnp.sum(y_true != 0, axis=-1)
    steps = jnp.full(y_pred.shape[:1], y_pred.shape[1])
    return ops.ctc_loss(y_true, y_pred, label_lengths, steps, mask_index=0)
