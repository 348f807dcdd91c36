"""The best of one rate, where another is good enough."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from ..core.messages import expected
from ..losses._base import ratio
from ._confusion import CountsMetric


def precision_of(tp, fp, tn, fn):
    """Precision from the four counts."""
    return ratio(tp, tp + fp)


def recall_of(tp, fp, tn, fn):
    """Recall, also called sensitivity or true positive rate, from the four counts."""
    return ratio(tp, tp + fn)


def specificity_of(tp, fp, tn, fn):
    """Specificity from the four counts."""
    return ratio(tn, tn + fp)


class _RateAtRate(CountsMetric):
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
        last = num_thresholds - 1
        self.thresholds = [i / last for i in range(num_thresholds)] if last else [0.5]
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
