"""How often predictions are right."""

import jax.numpy as jnp

from ..core.messages import expected
from ..losses._functions import squeeze_to_same_rank
from ._mean import MeanMetricWrapper


def accuracy_for(y_true_shape, y_pred_shape):
    """The class that `metrics=["accuracy"]` means, from the shapes of labels and predictions.

    One score per sample is a binary decision. Several are classes: labels without that axis (or
    with an axis of size 1) are class indices, others are one-hot.
    """
    y_true_shape, y_pred_shape = tuple(y_true_shape), tuple(y_pred_shape)
    if len(y_pred_shape) < 2 or y_pred_shape[-1] == 1:
        return BinaryAccuracy
    if len(y_true_shape) < len(y_pred_shape) or y_true_shape[-1] == 1:
        return SparseCategoricalAccuracy
    return CategoricalAccuracy


def accuracy(y_true, y_pred):
    """1 where `y_true` and `y_pred` are equal, else 0."""
    y_true, y_pred = squeeze_to_same_rank(jnp.asarray(y_true), jnp.asarray(y_pred))
    return _as_floats(y_true == y_pred)


def binary_accuracy(y_true, y_pred, threshold=0.5):
    """1 where `y_pred > threshold` agrees with the label 1 or 0, else 0.

    Example:

    >>> keras.metrics.binary_accuracy(np.array([1, 0]), np.array([0.7, 0.6]))
    Array([1., 0.], dtype=float32)
    """
    y_true, y_pred = squeeze_to_same_rank(jnp.asarray(y_true), jnp.asarray(y_pred))
    return _as_floats(y_true == (y_pred > threshold))


def categorical_accuracy(y_true, y_pred):
    """1 where the largest score is that of the right class (of one-hot labels), else 0.

    Example:

    >>> keras.metrics.categorical_accuracy(np.eye(2), np.array([[0.9, 0.1], [0.6, 0.4]]))
    Array([1., 0.], dtype=float32)
    """
    y_true, y_pred = jnp.asarray(y_true), jnp.asarray(y_pred)
    return _as_floats(jnp.argmax(y_true, axis=-1) == jnp.argmax(y_pred, axis=-1))


def sparse_categorical_accuracy(y_true, y_pred):
    """1 where the largest score is that of the right class (of class indices), else 0.

    Example:

    >>> y_pred = np.array([[0.9, 0.1], [0.6, 0.4]])
    >>> keras.metrics.sparse_categorical_accuracy(np.array([0, 1]), y_pred)
    Array([1., 0.], dtype=float32)
    """
    y_true, y_pred = jnp.asarray(y_true), jnp.asarray(y_pred)
    if y_true.ndim == y_pred.ndim and y_true.shape[-1] == 1:
        y_true = y_true[..., 0]
    return _as_floats(y_true == jnp.argmax(y_pred, axis=-1))


def top_k_categorical_accuracy(y_true, y_pred, k=5):
    """1 where the right class (of one-hot labels) is among the `k` largest scores, else 0.

    Example:

    >>> y_pred = np.array([[0.5, 0.3, 0.2], [0.5, 0.2, 0.3]])
    >>> keras.metrics.top_k_categorical_accuracy(np.eye(3)[:2], y_pred, k=2)
    Array([1., 0.], dtype=float32)
    """
    return sparse_top_k_categorical_accuracy(jnp.argmax(jnp.asarray(y_true), axis=-1), y_pred, k)


def sparse_top_k_categorical_accuracy(y_true, y_pred, k=5, from_sorted_ids=False):
    """1 where the right class is among the `k` largest scores, else 0.

    Args:
        y_true: class indices.
        y_pred: scores; or with `from_sorted_ids`, class indices, the most likely first.
        k: how many guesses are allowed.
        from_sorted_ids: whether `y_pred` holds sorted class indices.

    Example:

    >>> y_pred = np.array([[0.5, 0.3, 0.2], [0.5, 0.2, 0.3]])
    >>> keras.metrics.sparse_top_k_categorical_accuracy(np.array([0, 1]), y_pred, k=2)
    Array([1., 0.], dtype=float32)
    """
    y_true, y_pred = jnp.asarray(y_true), jnp.asarray(y_pred)
    has_axis = y_true.ndim == y_pred.ndim
    index = y_true if has_axis else y_true[..., None]
    if from_sorted_ids:
        right = jnp.any(y_pred[..., :k] == index, axis=-1)
    else:
        # Equal scores share the better rank, whatever the order of the classes; NaN is the worst.
        y_pred = jnp.where(jnp.isnan(y_pred), -jnp.inf, y_pred)
        classes = jnp.arange(y_pred.shape[-1])
        score = jnp.sum(jnp.where(classes == index, y_pred, 0), axis=-1, keepdims=True)
        known = (index >= 0) & (index < y_pred.shape[-1])
        right = known[..., 0] & (jnp.sum(y_pred > score, axis=-1) < k)
    return _as_floats(right[..., None] if has_axis else right)


def _as_floats(right):
    return right.astype("float32")


class Accuracy(MeanMetricWrapper):
    """How often predictions are equal to labels.

    Args:
        name: name of the metric.
        dtype: number type.

    Example:

    >>> float(keras.metrics.Accuracy()(np.array([1, 2]), np.array([1, 3])))
    0.5
    """

    _direction = "up"

    def __init__(self, name: str | None = "accuracy", dtype=None):
        super().__init__(accuracy, name, dtype)


class BinaryAccuracy(MeanMetricWrapper):
    """How often scores above a threshold agree with labels 1 and 0.

    Args:
        name: name of the metric.
        dtype: number type.
        threshold: scores above it mean label 1.

    Example:

    >>> float(keras.metrics.BinaryAccuracy()(np.array([1, 0]), np.array([0.7, 0.6])))
    0.5
    """

    _direction = "up"

    def __init__(self, name: str | None = "binary_accuracy", dtype=None, threshold=0.5):
        if threshold is None or not 0 <= threshold <= 1:
            raise ValueError(expected("BinaryAccuracy's threshold", "between 0 and 1", threshold))
        super().__init__(binary_accuracy, name, dtype, threshold=threshold)
        self.threshold = threshold


class CategoricalAccuracy(MeanMetricWrapper):
    """How often the largest score is that of the right class, for one-hot labels.

    Args:
        name: name of the metric.
        dtype: number type.

    Example:

    >>> y_pred = np.array([[0.9, 0.1], [0.6, 0.4]])
    >>> float(keras.metrics.CategoricalAccuracy()(np.eye(2), y_pred))
    0.5
    """

    _direction = "up"

    def __init__(self, name: str | None = "categorical_accuracy", dtype=None):
        super().__init__(categorical_accuracy, name, dtype)


class SparseCategoricalAccuracy(MeanMetricWrapper):
    """How often the largest score is that of the right class, for class indices.

    Args:
        name: name of the metric.
        dtype: number type.

    Example:

    >>> y_pred = np.array([[0.9, 0.1], [0.6, 0.4]])
    >>> float(keras.metrics.SparseCategoricalAccuracy()(np.array([0, 1]), y_pred))
    0.5
    """

    _direction = "up"

    def __init__(self, name: str | None = "sparse_categorical_accuracy", dtype=None):
        super().__init__(sparse_categorical_accuracy, name, dtype)


class TopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the right class is among the `k` largest scores, for one-hot labels.

    Args:
        k: how many guesses are allowed.
        name: name of the metric.
        dtype: number type.

    Example:

    >>> y_pred = np.array([[0.5, 0.3, 0.2], [0.5, 0.2, 0.3]])
    >>> float(keras.metrics.TopKCategoricalAccuracy(k=2)(np.eye(3)[:2], y_pred))
    0.5
    """

    _direction = "up"

    def __init__(self, k=5, name: str | None = "top_k_categorical_accuracy", dtype=None):
        super().__init__(top_k_categorical_accuracy, name, dtype, k=k)
        self.k = k


class SparseTopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the right class is among the `k` largest scores, for class indices.

    Args:
        k: how many guesses are allowed.
        name: name of the metric.
        dtype: number type.
        from_sorted_ids: whether predictions are class indices, the most likely first.

    Example:

    >>> y_pred = np.array([[0.5, 0.3, 0.2], [0.5, 0.2, 0.3]])
    >>> metric = keras.metrics.SparseTopKCategoricalAccuracy(k=2)
    >>> float(metric(np.array([0, 1]), y_pred))
    0.5
    """

    _direction = "up"
    _unwritten = ("from_sorted_ids",)

    def __init__(
        self,
        k=5,
        name: str | None = "sparse_top_k_categorical_accuracy",
        dtype=None,
        from_sorted_ids=False,
    ):
        super().__init__(
            sparse_top_k_categorical_accuracy, name, dtype, k=k, from_sorted_ids=from_sorted_ids
        )
        self.k = k
        self.from_sorted_ids = from_sorted_ids
