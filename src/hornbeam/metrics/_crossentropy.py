"""Means of crossentropies."""

import jax
import numpy as np

from ..losses import _functions as f
from ._mean import MeanMetricWrapper


class BinaryCrossentropy(MeanMetricWrapper):
    """The mean of `-(y_true log(y_pred) + (1 - y_true) log(1 - y_pred))`.

    Args:
        name: name of the metric.
        dtype: number type.
        from_logits: whether predictions are logits.
        label_smoothing: how far labels move towards a uniform distribution, from 0 to 1.

    Example:

    >>> metric = keras.metrics.BinaryCrossentropy()
    >>> round(float(metric(np.ones((2, 1)), np.full((2, 1), 0.5))), 4)
    0.6931
    """

    _direction = "down"

    def __init__(
        self,
        name: str | None = "binary_crossentropy",
        dtype=None,
        from_logits=False,
        label_smoothing: float = 0,
    ):
        super().__init__(
            f.binary_crossentropy,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
        )
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing


class CategoricalCrossentropy(MeanMetricWrapper):
    """The mean of `-sum(y_true log(y_pred))`, of one-hot labels.

    Args:
        name: name of the metric.
        dtype: number type.
        from_logits: whether predictions are logits.
        label_smoothing: how far labels move towards a uniform distribution, from 0 to 1.
        axis: the class axis.

    Example:

    >>> metric = keras.metrics.CategoricalCrossentropy()
    >>> round(float(metric(np.eye(2), np.full((2, 2), 0.5))), 4)
    0.6931
    """

    _direction = "down"

    def __init__(
        self,
        name: str | None = "categorical_crossentropy",
        dtype=None,
        from_logits=False,
        label_smoothing: float = 0,
        axis=-1,
    ):
        super().__init__(
            f.categorical_crossentropy,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis


class SparseCategoricalCrossentropy(MeanMetricWrapper):
    """The mean of `-log(y_pred[y_true])`, of labels that are class indices.

    Args:
        name: name of the metric.
        dtype: number type.
        from_logits: whether predictions are logits.
        ignore_class: index that stands for "no label"; such samples don't count.
        axis: the class axis.

    Example:

    >>> metric = keras.metrics.SparseCategoricalCrossentropy()
    >>> round(float(metric(np.array([0, 1]), np.full((2, 2), 0.5))), 4)
    0.6931
    """

    _direction = "down"

    def __init__(
        self,
        name: str | None = "sparse_categorical_crossentropy",
        dtype=None,
        from_logits=False,
        ignore_class=None,
        axis=-1,
    ):
        super().__init__(
            f.sparse_categorical_crossentropy,
            name,
            dtype,
            from_logits=from_logits,
            ignore_class=ignore_class,
            axis=axis,
        )
        self.from_logits = from_logits
        self.ignore_class = ignore_class
        self.axis = axis

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Take in a batch of labels and predictions, weighted by `sample_weight`.

        Raises:
            ValueError: for a label on the host that is no class.
        """
        if not isinstance(y_true, jax.Array):
            f.check_labels(y_true, np.shape(y_pred)[self.axis], self.ignore_class)
        super().update_state(y_true, y_pred, sample_weight)
