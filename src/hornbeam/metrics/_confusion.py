"""Counts of right and wrong decisions at thresholds, and what is computed from them."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from ..core import masks
from ..core.messages import expected, one_of
from ..losses._base import ratio, to_arrays, weigh
from ..losses._functions import squeeze_to_same_rank
from ._base import Metric

_COUNTS = ("true_positives", "false_positives", "true_negatives", "false_negatives")
_NEVER = -1e10  # a score below every threshold


def count_decisions(y_true, y_pred, thresholds, weights=None, per_label=False):
    """How many decisions `y_pred > threshold` are right and wrong.

    Args:
        y_true: labels 0 and 1.
        y_pred: scores, of the same shape.
        thresholds: array `(thresholds,)`, ascending.
        weights: array of the same shape, or `None`.
        per_label: whether to count each entry of the last axis by itself.

    Returns:
        Dict from `"true_positives"` and so on to arrays `(thresholds,)` or `(thresholds, labels)`.
    """
    labels = y_pred.shape[-1] if per_label else 1
    weights = jnp.ones_like(y_pred) if weights is None else weights
    y_true, y_pred, weights = (jnp.reshape(x, (-1, labels)) for x in (y_true, y_pred, weights))
    # A score exceeds the first `bin` thresholds. Summing by bin and accumulating from above takes
    # one pass over the scores, however many thresholds there are.
    bins = jnp.searchsorted(thresholds, y_pred.ravel(), side="left").reshape(y_pred.shape)
    column = jnp.arange(labels)

    def above(weights):
        zeros = jnp.zeros((thresholds.size + 1, labels), weights.dtype)
        histogram = zeros.at[bins, column].add(weights)
        return jnp.flip(jnp.cumsum(jnp.flip(histogram, 0), axis=0), 0)

    positive = y_true != 0
    above_true = above(jnp.where(positive, weights, 0))
    above_false = above(jnp.where(positive, 0, weights))
    counts = {
        "true_positives": above_true[1:],
        "false_positives": above_false[1:],
        "true_negatives": above_false[:1] - above_false[1:],
        "false_negatives": above_true[:1] - above_true[1:],
    }
    return counts if per_label else {name: count[:, 0] for name, count in counts.items()}


def _only_top_k(y_pred, k):
    """`y_pred` where it is one of the `k` largest along the last axis, else a score below all."""
    _, index = jax.lax.top_k(y_pred, k)
    chosen = jnp.any(index[..., None] == jnp.arange(y_pred.shape[-1]), axis=-2)
    return jnp.where(chosen, y_pred, _NEVER)


class _Counter(Metric):
    """Keeps some of the four counts, at some thresholds."""

    _counts = _COUNTS
    _threshold_values = (0.5,)
    _per_label = False
    top_k = None
    class_id = None

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
        _, weights, _ = weigh(y_pred, sample_weight, mask)
        weights = None if weights is None else weights.astype(y_pred.dtype)
        if self.top_k is not None:
            y_pred = _only_top_k(y_pred, self.top_k)
        if self.class_id is not None:
            y_true, y_pred = y_true[..., self.class_id], y_pred[..., self.class_id]
            weights = None if weights is None else weights[..., self.class_id]
        thresholds = np.asarray(self._threshold_values, self.dtype)
        order = np.argsort(thresholds)
        counts = count_decisions(y_true, y_pred, thresholds[order], weights, self._per_label)
        back = np.argsort(order)
        for name in self._counts:
            self._variable(name).assign_add(counts[name][back])

    def _variable(self, name):
        return getattr(self, name)

    def _add_counts(self, shape):
        for name in self._counts:
            setattr(self, name, self.add_weight(shape, name=name))

    def _values(self):
        """The four arrays, as far as they are kept."""
        return [self._variable(name).value for name in self._counts]


def _as_list(thresholds, default, owner):
    """Thresholds given as a number, a list or `None`, as a list."""
    given = default if thresholds is None else thresholds
    values = list(given) if isinstance(given, (list, tuple, np.ndarray)) else [given]
    if thresholds is not None and not all(t is not None and 0 <= t <= 1 for t in values):
        raise ValueError(expected(f"{owner}'s thresholds", "between 0 and 1", thresholds))
    return [float(t) for t in values]


def _scalar_if_one(values):
    return values[0] if values.shape[0] == 1 else values


# One count ---------------------------------------------------------------------------------------


class _OneCount(_Counter):
    """A metric that is one of the four counts."""

    def __init__(self, thresholds=None, name=None, dtype=None):
        super().__init__(dtype=dtype, name=name)
        self.init_thresholds = thresholds
        self.thresholds = self._threshold_values = _as_list(thresholds, 0.5, type(self).__name__)
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


class _Share(_Counter):
    """A count divided by that count and another."""

    _direction = "up"

    def __init__(self, thresholds=None, top_k=None, class_id=None, name=None, dtype=None):
        super().__init__(dtype=dtype, name=name)
        self.init_thresholds = thresholds
        self.top_k = top_k
        self.class_id = class_id
        default = 0.5 if top_k is None else _NEVER
        self.thresholds = self._threshold_values = _as_list(
            thresholds, default, type(self).__name__
        )
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


# One rate where another is good enough -----------------------------------------------------------


def precision_of(tp, fp, tn, fn):
    """Precision from the four counts."""
    return ratio(tp, tp + fp)


def recall_of(tp, fp, tn, fn):
    """Recall, also called sensitivity or true positive rate, from the four counts."""
    return ratio(tp, tp + fn)


def specificity_of(tp, fp, tn, fn):
    """Specificity from the four counts."""
    return ratio(tn, tn + fp)


class _RateAtRate(_Counter):
    """The best rate over all thresholds where another rate is at least a given number."""

    _direction = "up"
    # Functions of the four counts.
    _wanted: Callable[..., jax.Array]
    _required: Callable[..., jax.Array]

    def __init__(self, at_least, what, num_thresholds, class_id, name, dtype):
        super().__init__(dtype=dtype, name=name)
        owner = type(self).__name__
        if not 0 <= at_least <= 1:
            raise ValueError(expected(f"{owner}'s {what}", "between 0 and 1", at_least))
        if num_thresholds < 1:
            raise ValueError(expected(f"{owner}'s num_thresholds", "at least 1", num_thresholds))
        self._at_least = at_least
        self.num_thresholds = num_thresholds
        self.class_id = class_id
        spaced = (
            [i / (num_thresholds - 1) for i in range(num_thresholds)]
            if num_thresholds > 1
            else [0.5]
        )
        self.thresholds = self._threshold_values = spaced
        self._add_counts((num_thresholds,))

    def result(self):
        """The best rate so far, 0 if the other is never good enough."""
        counts = self._values()
        enough = self._required(*counts) >= self._at_least
        return jnp.max(jnp.where(enough, self._wanted(*counts), 0))


class PrecisionAtRecall(_RateAtRate):
    """The best precision over all thresholds where the recall is at least `recall`.

    Args:
        recall: the least recall, from 0 to 1.
        num_thresholds: how many evenly spaced thresholds to try.
        class_id: the one class to look at; by default all.
        name: name of the metric.
        dtype: number type.

    Example:

    >>> metric = keras.metrics.PrecisionAtRecall(0.5)
    >>> float(metric(np.array([0, 0, 1, 1]), np.array([0.0, 0.5, 0.6, 0.9])))
    1.0
    """

    _wanted = staticmethod(precision_of)
    _required = staticmethod(recall_of)

    def __init__(self, recall, num_thresholds=200, class_id=None, name=None, dtype=None):
        super().__init__(recall, "recall", num_thresholds, class_id, name, dtype)
        self.recall = recall


class RecallAtPrecision(_RateAtRate):
    """The best recall over all thresholds where the precision is at least `precision`.

    Args:
        precision: the least precision, from 0 to 1.
        num_thresholds: how many evenly spaced thresholds to try.
        class_id: the one class to look at; by default all.
        name: name of the metric.
        dtype: number type.

    Example:

    >>> metric = keras.metrics.RecallAtPrecision(0.5)
    >>> float(metric(np.array([0, 0, 1, 1]), np.array([0.0, 0.5, 0.6, 0.9])))
    1.0
    """

    _wanted = staticmethod(recall_of)
    _required = staticmethod(precision_of)

    def __init__(self, precision, num_thresholds=200, class_id=None, name=None, dtype=None):
        super().__init__(precision, "precision", num_thresholds, class_id, name, dtype)
        self.precision = precision


class SensitivityAtSpecificity(_RateAtRate):
    """The best sensitivity over all thresholds where the specificity is at least `specificity`.

    Args:
        specificity: the least specificity, from 0 to 1.
        num_thresholds: how many evenly spaced thresholds to try.
        class_id: the one class to look at; by default all.
        name: name of the metric.
        dtype: number type.

    Example:

    >>> metric = keras.metrics.SensitivityAtSpecificity(0.5)
    >>> float(metric(np.array([0, 0, 1, 1]), np.array([0.0, 0.5, 0.6, 0.9])))
    1.0
    """

    _wanted = staticmethod(recall_of)
    _required = staticmethod(specificity_of)

    def __init__(self, specificity, num_thresholds=200, class_id=None, name=None, dtype=None):
        super().__init__(specificity, "specificity", num_thresholds, class_id, name, dtype)
        self.specificity = specificity


class SpecificityAtSensitivity(_RateAtRate):
    """The best specificity over all thresholds where the sensitivity is at least `sensitivity`.

    Args:
        sensitivity: the least sensitivity, from 0 to 1.
        num_thresholds: how many evenly spaced thresholds to try.
        class_id: the one class to look at; by default all.
        name: name of the metric.
        dtype: number type.

    Example:

    >>> metric = keras.metrics.SpecificityAtSensitivity(0.5)
    >>> float(metric(np.array([0, 0, 1, 1]), np.array([0.0, 0.5, 0.6, 0.9])))
    1.0
    """

    _wanted = staticmethod(specificity_of)
    _required = staticmethod(recall_of)

    def __init__(self, sensitivity, num_thresholds=200, class_id=None, name=None, dtype=None):
        super().__init__(sensitivity, "sensitivity", num_thresholds, class_id, name, dtype)
        self.sensitivity = sensitivity


# Area under a curve ------------------------------------------------------------------------------


class AUC(_Counter):
    """The area under a curve of two rates, drawn by moving the threshold.

    The curve of true against false positive rates ("ROC") has the area 0.5 for random scores and
    1 for perfect ones. It is approximated at `num_thresholds` points.

    Args:
        num_thresholds: how many points the curve has.
        curve: `"ROC"`, `"PR"` (precision against recall) or `"PRGAIN"` (their gains over always
            deciding for 1).
        summation_method: `"interpolation"`, or `"minoring"` / `"majoring"` for the lower / upper
            bound of each interval.
        name: name of the metric.
        dtype: number type.
        thresholds: list of numbers from 0 to 1 instead of evenly spaced ones.
        multi_label: whether to average the areas of each label (the last axis) instead of
            pooling all.
        num_labels: the number of labels, if known beforehand.
        label_weights: one weight per label.
        from_logits: whether scores are logits.

    Reference:
        [Davis and Goadrich, 2006](https://dl.acm.org/doi/10.1145/1143844.1143874),
        [Flach and Kull, 2015](https://papers.nips.cc/paper/5867)

    Example:

    >>> auc = keras.metrics.AUC(num_thresholds=3)
    >>> float(auc(np.array([0, 0, 1, 1]), np.array([0.0, 0.5, 0.3, 0.9])))
    0.75
    """

    _direction = "up"

    def __init__(
        self,
        num_thresholds=200,
        curve="ROC",
        summation_method="interpolation",
        name=None,
        dtype=None,
        thresholds=None,
        multi_label=False,
        num_labels=None,
        label_weights=None,
        from_logits=False,
    ):
        super().__init__(dtype=dtype, name=name)
        self.curve = one_of("AUC's curve", str(curve).upper(), ("ROC", "PR", "PRGAIN"))
        self.summation_method = one_of(
            "AUC's summation_method",
            str(summation_method).lower(),
            ("interpolation", "minoring", "majoring"),
        )
        self._given_thresholds = thresholds
        if thresholds is not None:
            inner = sorted(_as_list(thresholds, None, "AUC"))
        else:
            if not isinstance(num_thresholds, int) or num_thresholds < 2:
                raise ValueError(expected("AUC's num_thresholds", "at least 2", num_thresholds))
            inner = [i / (num_thresholds - 1) for i in range(1, num_thresholds - 1)]
        # The ends lie just outside, so that scores 0 and 1 are above and below them.
        self._threshold_values = [-1e-7, *inner, 1 + 1e-7]
        self.num_thresholds = len(self._threshold_values)
        self.multi_label = self._per_label = multi_label
        self.num_labels = num_labels
        self.label_weights = None if label_weights is None else list(label_weights)
        self.from_logits = from_logits
        self.built = False
        if not multi_label:
            self.build()
        elif num_labels is not None:
            self.build((None, num_labels))

    @property
    def thresholds(self):
        """The list of thresholds."""
        return list(self._threshold_values)

    def build(self, y_true_shape=None, y_pred_shape=None):
        """Make the counts, one column per label with `multi_label`."""
        if self.built:
            return
        shape = (self.num_thresholds,)
        if self.multi_label:
            labels = tuple(y_true_shape or ())
            if len(labels) != 2:
                raise ValueError(
                    "AUC with multi_label=True takes labels of shape (batch_size, num_labels); "
                    f"received {labels}."
                )
            shape = (self.num_thresholds, labels[-1])
            if self.label_weights is not None and len(self.label_weights) != labels[-1]:
                raise ValueError(
                    expected(
                        "AUC's label_weights",
                        f"one weight for each of the {labels[-1]} labels",
                        self.label_weights,
                    )
                )
        self._add_counts(shape)
        self.built = True

    def _add(self, y_true, y_pred, sample_weight, mask):
        if not self.built:
            self.build(y_true.shape, y_pred.shape)
        if self.from_logits:
            y_pred = jax.nn.sigmoid(y_pred)
        if self.label_weights is not None and not self.multi_label:
            weights = jnp.broadcast_to(jnp.asarray(self.label_weights, y_pred.dtype), y_pred.shape)
            sample_weight = weigh(weights, sample_weight)[0]
        super()._add(y_true, y_pred, sample_weight, mask)

    def result(self):
        """The area so far."""
        if not self.built:
            return jnp.zeros((), self.dtype)
        tp, fp, tn, fn = counts = self._values()
        if self.curve == "PR" and self.summation_method == "interpolation":
            return self.interpolate_pr_auc()
        if self.curve == "ROC":
            x, y = ratio(fp, fp + tn), recall_of(*counts)
        elif self.curve == "PR":
            x, y = recall_of(*counts), precision_of(*counts)
        else:
            odds = ratio(tp + fn, fp + tn)
            x = jnp.maximum(1 - odds * ratio(fn, tp), 0) * (tp > 0)
            y = jnp.where(tp > 0, 1 - odds * ratio(fp, tp), 1)  # the curve begins at (0, 1)
        return self._average(jnp.sum((x[:-1] - x[1:]) * self._heights(y), axis=0))

    def _heights(self, y):
        if self.summation_method == "interpolation":
            return (y[:-1] + y[1:]) / 2
        if self.summation_method == "minoring":
            return jnp.minimum(y[:-1], y[1:])
        return jnp.maximum(y[:-1], y[1:])

    def _average(self, areas):
        if not self.multi_label:
            return areas
        if self.label_weights is None:
            return jnp.mean(areas)
        weights = jnp.asarray(self.label_weights, areas.dtype)
        return ratio(jnp.sum(areas * weights), jnp.sum(weights))

    def interpolate_pr_auc(self):
        """The area under the precision-recall curve, interpolated as Davis and Goadrich do.

        Between two thresholds the true positives are taken to be linear in the number `n` of
        found samples, `tp = slope n + offset`, and `tp / n` is integrated over `tp`.
        """
        tp, fp, _, fn = self._values()
        found = tp + fp
        gained = tp[:-1] - tp[1:]
        slope = ratio(gained, jnp.maximum(found[:-1] - found[1:], 0))
        offset = tp[1:] - slope * found[1:]
        both = (found[:-1] > 0) & (found[1:] > 0)
        growth = jnp.where(both, ratio(found[:-1], found[1:]), 1)
        area = slope * (gained + offset * jnp.log(jnp.where(both, growth, 1)))
        return self._average(jnp.sum(ratio(area, tp[1:] + fn[1:]), axis=0))

    def get_config(self):
        """The constructor's arguments as plain data."""
        config = super().get_config()
        if self._given_thresholds is None:
            del config["thresholds"]
        else:
            config["thresholds"] = self.thresholds[1:-1]
        return config
