"""Counts of right and wrong decisions at thresholds; precision and recall."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from ..core import masks
from ..core.messages import expected
from ..losses._base import ratio, to_arrays, weigh
from ..losses._functions import squeeze_to_same_rank
from ._base import Metric
from ._compiled import compiled

_COUNTS = ("true_positives", "false_positives", "true_negatives", "false_negatives")
_NEVER = -1e10  # a score below every threshold


def count_decisions(y_true, y_pred, thresholds, weights, per_label=False):
    """How many decisions `y_pred > threshold` are right and wrong.

    Args:
        y_true: labels 0 and 1.
        y_pred: scores, of the same shape.
        thresholds: list of numbers.
        weights: array of the same shape.
        per_label: whether to count each entry of the last axis by itself.

    Returns:
        Dict from `"true_positives"` and so on to arrays `(thresholds,)` or `(thresholds, labels)`.
    """
    labels = y_pred.shape[-1] if per_label else 1
    y_true, y_pred, weights = (jnp.reshape(x, (-1, labels)) for x in (y_true, y_pred, weights))
    thresholds = np.asarray(thresholds, y_pred.dtype)
    order = np.argsort(thresholds)
    # A score exceeds the lowest `bin` thresholds. Summing by bin and accumulating from above takes
    # one pass over the scores, however many thresholds there are.
    bins = jnp.searchsorted(thresholds[order], y_pred.ravel()).reshape(y_pred.shape)
    bins = jnp.where(jnp.isnan(y_pred), 0, bins)
    is_true = (y_true != 0).astype("int32")
    histogram = jnp.zeros((thresholds.size + 1, labels, 2), weights.dtype)
    histogram = histogram.at[bins, jnp.arange(labels), is_true].add(weights)
    above = jax.lax.cumsum(histogram, reverse=True)
    exceeding, all = above[1 + np.argsort(order)], above[0]
    wrong, right = exceeding[..., 0], exceeding[..., 1]
    counts = {
        "true_positives": right,
        "false_positives": wrong,
        "true_negatives": all[..., 0] - wrong,
        "false_negatives": all[..., 1] - right,
    }
    return counts if per_label else {name: count[:, 0] for name, count in counts.items()}


def _only_top_k(y_pred, k):
    """`y_pred` where it is one of the `k` largest along the last axis, else a score below all."""
    _, index = jax.lax.top_k(y_pred, k)
    chosen = jnp.any(index[..., None] == jnp.arange(y_pred.shape[-1]), axis=-2)
    return jnp.where(chosen, y_pred, _NEVER)


class CountsMetric(Metric):
    """Keeps some of the four counts, at some thresholds."""

    thresholds: Sequence[float]
    top_k: int | None = None
    class_id: int | None = None
    _adds_up = True
    _counts = _COUNTS
    _per_label = False

    @compiled
    def update_state(self, y_true, y_pred, sample_weight=None):
        """Take in a batch of labels and scores, weighted by `sample_weight`."""
        mask = masks.get_mask(y_pred)
        y_true, y_pred = squeeze_to_same_rank(
            to_arrays(y_true, self.dtype), to_arrays(y_pred, self.dtype)
        )
        if y_true.shape != y_pred.shape:
            raise ValueError(
                f"{type(self).__name__} takes labels and scores of one shape; received "
                f"{tuple(y_true.shape)} and {tuple(y_pred.shape)}."
            )
        self._add(y_true, y_pred, sample_weight, mask)

    def _add(self, y_true, y_pred, sample_weight, mask):
        ones = jnp.ones(y_pred.shape, jnp.promote_types(self.dtype, "float32"))
        weights, _, _ = weigh(ones, sample_weight, mask)
        if self.top_k is not None:
            y_pred = _only_top_k(y_pred, self.top_k)
        if self.class_id is not None:
            if not 0 <= self.class_id < y_pred.shape[-1]:
                wanted = f"below {y_pred.shape[-1]}, the size of the last axis of y_pred"
                raise ValueError(expected(f"{self!r}'s class_id", wanted, self.class_id))
            y_true, y_pred, weights = (x[..., self.class_id] for x in (y_true, y_pred, weights))
        counts = count_decisions(y_true, y_pred, self.thresholds, weights, self._per_label)
        for name in self._counts:
            self._variable(name).assign_add(counts[name])

    def _variable(self, name):
        return getattr(self, name)

    def _add_counts(self, shape):
        for name in self._counts:
            setattr(self, name, self.add_weight(shape, name=name))

    def _values(self):
        """The arrays of counts that are kept."""
        return [self._variable(name).value for name in self._counts]


def as_list(thresholds, default, owner):
    """Thresholds given as a number, a list or `None`, as a list."""
    given = default if thresholds is None else thresholds
    values = list(given) if isinstance(given, (list, tuple, np.ndarray)) else [given]
    if thresholds is not None and not all(t is not None and 0 <= t <= 1 for t in values):
        raise ValueError(expected(f"{owner}'s thresholds", "between 0 and 1", thresholds))
    return [float(t) for t in values]


def _scalar_if_one(values):
    return values[0] if values.shape[0] == 1 else values


# One count ---------------------------------------------------------------------------------------


class _OneCount(CountsMetric):
    """A metric that is one of the four counts."""

    def __init__(self, thresholds=None, name=None, dtype=None):
        super().__init__(dtype=dtype, name=name)
        self.init_thresholds = thresholds
        self.thresholds = as_list(thresholds, 0.5, type(self).__name__)
        self.accumulator = self.add_weight((len(self.thresholds),), name="accumulator")

    def _variable(self, name):
        return self.accumulator

    def result(self):
        """The count so far, one per threshold if there are several."""
        return _scalar_if_one(self.accumulator.value)

    def get_config(self):
        """The constructor's arguments as plain data."""
        return {**super().get_config(), "thresholds": self.init_thresholds}


class TruePositives(_OneCount):
    """How many samples of label 1 have a score above the threshold.

    Args:
        thresholds: a number from 0 to 1, or a list; by default 0.5.
        name: name of the metric.
        dtype: number type.

    Example:

    >>> float(keras.metrics.TruePositives()(np.array([0, 1, 1]), np.array([0.9, 0.9, 0.1])))
    1.0
    """

    _counts = ("true_positives",)


class FalsePositives(_OneCount):
    """How many samples of label 0 have a score above the threshold.

    Args:
        thresholds: a number from 0 to 1, or a list; by default 0.5.
        name: name of the metric.
        dtype: number type.

    Example:

    >>> float(keras.metrics.FalsePositives()(np.array([0, 1, 1]), np.array([0.9, 0.9, 0.1])))
    1.0
    """

    _counts = ("false_positives",)


class TrueNegatives(_OneCount):
    """How many samples of label 0 have a score up to the threshold.

    Args:
        thresholds: a number from 0 to 1, or a list; by default 0.5.
        name: name of the metric.
        dtype: number type.

    Example:

    >>> float(keras.metrics.TrueNegatives()(np.array([0, 1, 1]), np.array([0.9, 0.9, 0.1])))
    0.0
    """

    _counts = ("true_negatives",)


class FalseNegatives(_OneCount):
    """How many samples of label 1 have a score up to the threshold.

    Args:
        thresholds: a number from 0 to 1, or a list; by default 0.5.
        name: name of the metric.
        dtype: number type.

    Example:

    >>> float(keras.metrics.FalseNegatives()(np.array([0, 1, 1]), np.array([0.9, 0.9, 0.1])))
    1.0
    """

    _counts = ("false_negatives",)


# Precision and recall ----------------------------------------------------------------------------


class _Share(CountsMetric):
    """A count divided by that count and another."""

    _direction = "up"

    def __init__(self, thresholds=None, top_k=None, class_id=None, name=None, dtype=None):
        super().__init__(dtype=dtype, name=name)
        self.init_thresholds = thresholds
        self.top_k = top_k
        self.class_id = class_id
        default = 0.5 if top_k is None else _NEVER
        self.thresholds = as_list(thresholds, default, type(self).__name__)
        self._add_counts((len(self.thresholds),))

    def result(self):
        """The share so far, one per threshold if there are several."""
        right, wrong = self._values()
        return _scalar_if_one(ratio(right, right + wrong))

    def get_config(self):
        """The constructor's arguments as plain data."""
        return {**super().get_config(), "thresholds": self.init_thresholds}


class Precision(_Share):
    """`true positives / (true positives + false positives)`: how many of the found are right.

    Args:
        thresholds: a number from 0 to 1, or a list; by default 0.5.
        top_k: only the `top_k` largest scores of a sample count as found (with no threshold
            unless one is given).
        class_id: the one class to look at; by default all.
        name: name of the metric.
        dtype: number type.

    Example:

    >>> float(keras.metrics.Precision()(np.array([0, 1, 1]), np.array([0.9, 0.9, 0.1])))
    0.5
    """

    _counts = ("true_positives", "false_positives")


class Recall(_Share):
    """`true positives / (true positives + false negatives)`: how many of the right are found.

    Args:
        thresholds: a number from 0 to 1, or a list; by default 0.5.
        top_k: only the `top_k` largest scores of a sample count as found (with no threshold
            unless one is given).
        class_id: the one class to look at; by default all.
        name: name of the metric.
        dtype: number type.

    Example:

    >>> float(keras.metrics.Recall()(np.array([0, 1, 1]), np.array([0.9, 0.9, 0.9])))
    1.0
    """

    _counts = ("true_positives", "false_negatives")
