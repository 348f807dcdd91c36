"""F-scores: precision and recall in one number."""

import jax.numpy as jnp

from ..core import masks
from ..core.messages import expected, one_of
from ..losses._base import to_arrays, weigh
from ._base import Metric
from ._compiled import compiled


class FBetaScore(Metric):
    """`(1 + beta²) precision recall / (beta² precision + recall)`, for 2D labels and scores.

    Args:
        average: `None` (one score per class), `"micro"` (of all classes' counts together),
            `"macro"` (mean over classes) or `"weighted"` (mean weighted by the classes' sizes).
        beta: how many times more recall weighs than precision.
        threshold: scores above it are taken for 1; by default the largest score of a sample is.
        name: name of the metric.
        dtype: number type.

    Example:

    >>> metric = keras.metrics.FBetaScore(beta=2.0, threshold=0.5)
    >>> metric(np.array([[1, 0], [1, 1]]), np.array([[0.9, 0.1], [0.6, 0.4]])).round(2)
    Array([1., 0.], dtype=float32)
    """

    _adds_up = True
    _direction = "up"
    _sums = ("true_positives", "false_positives", "false_negatives", "intermediate_weights")

    def __init__(
        self, average=None, beta=1.0, threshold=None, name: str | None = "fbeta_score", dtype=None
    ):
        super().__init__(dtype=dtype, name=name)
        owner = type(self).__name__
        self.average = one_of(f"{owner}'s average", average, (None, "micro", "macro", "weighted"))
        if not isinstance(beta, (int, float)) or beta <= 0:
            raise ValueError(expected(f"{owner}'s beta", "a number above 0", beta))
        if threshold is not None and not 0 < threshold <= 1:
            raise ValueError(expected(f"{owner}'s threshold", "above 0 and at most 1", threshold))
        self.beta = beta
        self.threshold = threshold
        self.built = False

    def build(self, y_true_shape, y_pred_shape):
        """Make the sums, one per class."""
        if len(y_pred_shape) != 2 or len(y_true_shape) != 2:
            raise ValueError(
                f"{type(self).__name__} takes labels and scores of shape (batch_size, classes); "
                f"received {tuple(y_true_shape)} and {tuple(y_pred_shape)}."
            )
        shape = () if self.average == "micro" else (y_pred_shape[-1],)
        for name in self._sums:
            setattr(self, name, self.add_weight(shape, name=name))
        self.built = True

    @compiled
    def update_state(self, y_true, y_pred, sample_weight=None):
        """Take in a batch of labels and scores, weighted by `sample_weight`."""
        mask = masks.get_mask(y_pred)
        y_true, y_pred = to_arrays(y_true, self.dtype), to_arrays(y_pred, self.dtype)
        if not self.built:
            self.build(y_true.shape, y_pred.shape)
        if self.threshold is None:
            largest = y_pred >= jnp.max(y_pred, axis=-1, keepdims=True)
            found = (largest & (jnp.abs(y_pred) > 1e-12)).astype(y_pred.dtype)
        else:
            found = (y_pred > self.threshold).astype(y_pred.dtype)
        axis = None if self.average == "micro" else 0
        batches = (y_true * found, (1 - y_true) * found, y_true * (1 - found), y_true)
        for name, values in zip(self._sums, batches, strict=True):
            values, _, _ = weigh(values, sample_weight, mask)
            getattr(self, name).assign_add(jnp.sum(values, axis=axis))

    def result(self):
        """The score so far, one per class unless averaged."""
        if not self.built:
            return jnp.zeros((), self.dtype)
        tp, fp, fn, size = (getattr(self, name).value for name in self._sums)
        epsilon = 1e-7
        precision, recall = tp / (tp + fp + epsilon), tp / (tp + fn + epsilon)
        square = self.beta**2
        score = (1 + square) * precision * recall / (square * precision + recall + epsilon)
        if self.average == "weighted":
            return jnp.sum(score * size / (jnp.sum(size) + epsilon))
        return score if self.average is None else jnp.mean(score)


class F1Score(FBetaScore):
    """`2 precision recall / (precision + recall)`, for 2D labels and scores.

    Args:
        average: `None` (one score per class), `"micro"` (of all classes' counts together),
            `"macro"` (mean over classes) or `"weighted"` (mean weighted by the classes' sizes).
        threshold: scores above it are taken for 1; by default the largest score of a sample is.
        name: name of the metric.
        dtype: number type.

    Example:

    >>> metric = keras.metrics.F1Score(threshold=0.5)
    >>> metric(np.array([[1, 0], [1, 1]]), np.array([[0.9, 0.1], [0.6, 0.4]])).round(2)
    Array([1., 0.], dtype=float32)
    """

    def __init__(self, average=None, threshold=None, name: str | None = "f1_score", dtype=None):
        super().__init__(average=average, threshold=threshold, name=name, dtype=dtype)
