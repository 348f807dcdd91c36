"""Intersection over union of areas of classes."""

import warnings

import jax.numpy as jnp

from ..core import dtypes, masks, settings
from ..core.messages import expected
from ..losses._base import align, ratio, to_arrays
from ._base import Metric
from ._compiled import compiled


class IoU(Metric):
    """`true positives / (true positives + false positives + false negatives)`, a mean over classes.

    Args:
        num_classes: the number of classes.
        target_class_ids: the classes to average over; those that never occur don't count.
        name: name of the metric.
        dtype: number type of the counts, by default `"int32"`; use `"float32"` with weights that
            aren't whole numbers.
        ignore_class: label of positions that don't count.
        sparse_y_true: whether labels are class indices (and not one-hot).
        sparse_y_pred: whether predictions are class indices (and not scores).
        axis: the class axis where it exists.

    Example:

    >>> metric = keras.metrics.IoU(num_classes=2, target_class_ids=[0])
    >>> round(float(metric(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]))), 4)
    0.3333
    """

    _adds_up = True
    _direction = "up"

    def __init__(
        self,
        num_classes,
        target_class_ids,
        name=None,
        dtype=None,
        ignore_class=None,
        sparse_y_true=True,
        sparse_y_pred=True,
        axis=-1,
    ):
        super().__init__(dtype=dtype or "int32", name=name)
        self.num_classes = num_classes
        self.target_class_ids = list(target_class_ids)
        if not all(0 <= i < num_classes for i in self.target_class_ids):
            raise ValueError(
                expected(
                    f"{type(self).__name__}'s target_class_ids",
                    f"from 0 to {num_classes - 1}",
                    self.target_class_ids,
                )
            )
        self.ignore_class = ignore_class
        self.sparse_y_true = sparse_y_true
        self.sparse_y_pred = sparse_y_pred
        self.axis = axis
        self.total_cm = self.add_weight((num_classes, num_classes), name="total_confusion_matrix")

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Take in a batch of labels and predictions, weighted by `sample_weight`."""
        fractions = dtypes.is_float_dtype(getattr(sample_weight, "dtype", "float32"))
        if sample_weight is not None and fractions and not dtypes.is_float_dtype(self.dtype):
            warnings.warn(
                f"{self!r} counts in {self.dtype}, so sample weights lose what is behind the "
                'point. Make the metric with dtype="float32" to keep it.',
                stacklevel=2,
            )
        self._add(y_true, y_pred, sample_weight)

    @compiled
    def _add(self, y_true, y_pred, sample_weight):
        mask = masks.get_mask(y_pred)
        y_true, y_pred = self._classes(*(to_arrays(y, settings.floatx()) for y in (y_true, y_pred)))
        if y_true.size != y_pred.size:
            raise ValueError(
                f"{type(self).__name__} compares class by class; received {tuple(y_true.shape)} "
                f"labels and {tuple(y_pred.shape)} predictions."
            )
        weights = self._weights(y_true, sample_weight, mask)
        y_pred = y_pred.reshape(y_true.shape)
        # An index outside the matrix is dropped, also a negative one.
        weights = jnp.where((y_true >= 0) & (y_pred >= 0), weights, 0)
        self.total_cm.assign(self.total_cm.value.at[y_true, y_pred].add(weights, mode="drop"))

    def _classes(self, y_true, y_pred):
        """Both as class indices."""
        if not self.sparse_y_true:
            y_true = jnp.argmax(y_true, axis=self.axis)
        if not self.sparse_y_pred:
            y_pred = jnp.argmax(y_pred, axis=self.axis)
        return y_true.astype("int32"), y_pred.astype("int32")

    def _weights(self, y_true, sample_weight, mask):
        weights = jnp.ones(y_true.shape, self.dtype)
        if sample_weight is not None:
            weights = weights * align(sample_weight, y_true).astype(self.dtype)
        if mask is not None:
            weights = jnp.where(align(mask, y_true, "The mask"), weights, 0)
        if self.ignore_class is not None:
            weights = jnp.where(y_true != self.ignore_class, weights, 0)
        return weights

    def result(self):
        """The mean over the classes so far, 0 without any."""
        counts = self.total_cm.value.astype(settings.floatx())
        both = jnp.diag(counts)
        either = counts.sum(axis=0) + counts.sum(axis=1) - both
        chosen = jnp.asarray(self.target_class_ids)
        return ratio(jnp.sum(ratio(both, either)[chosen]), jnp.sum(either[chosen] > 0))


class MeanIoU(IoU):
    """The mean over all classes of `true positives / (positives or predicted as such)`.

    Args:
        num_classes: the number of classes.
        name: name of the metric.
        dtype: number type of the counts, by default `"int32"`.
        ignore_class: label of positions that don't count.
        sparse_y_true: whether labels are class indices (and not one-hot).
        sparse_y_pred: whether predictions are class indices (and not scores).
        axis: the class axis where it exists.

    Example:

    >>> metric = keras.metrics.MeanIoU(num_classes=2)
    >>> round(float(metric(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]))), 4)
    0.3333
    """

    def __init__(
        self,
        num_classes,
        name=None,
        dtype=None,
        ignore_class=None,
        sparse_y_true=True,
        sparse_y_pred=True,
        axis=-1,
    ):
        super().__init__(
            num_classes,
            range(num_classes),
            name,
            dtype,
            ignore_class,
            sparse_y_true,
            sparse_y_pred,
            axis,
        )


class OneHotIoU(IoU):
    """`IoU` for one-hot labels.

    Args:
        num_classes: the number of classes.
        target_class_ids: the classes to average over.
        name: name of the metric.
        dtype: number type of the counts, by default `"int32"`.
        ignore_class: label of positions that don't count.
        sparse_y_pred: whether predictions are class indices (and not scores).
        axis: the class axis.

    Example:

    >>> metric = keras.metrics.OneHotIoU(num_classes=2, target_class_ids=[0])
    >>> float(metric(np.eye(2), np.array([[0.9, 0.1], [0.2, 0.8]])))
    1.0
    """

    def __init__(
        self,
        num_classes,
        target_class_ids,
        name=None,
        dtype=None,
        ignore_class=None,
        sparse_y_pred=False,
        axis=-1,
    ):
        super().__init__(
            num_classes, target_class_ids, name, dtype, ignore_class, False, sparse_y_pred, axis
        )


class OneHotMeanIoU(MeanIoU):
    """`MeanIoU` for one-hot labels.

    Args:
        num_classes: the number of classes.
        name: name of the metric.
        dtype: number type of the counts, by default `"int32"`.
        ignore_class: label of positions that don't count.
        sparse_y_pred: whether predictions are class indices (and not scores).
        axis: the class axis.

    Example:

    >>> metric = keras.metrics.OneHotMeanIoU(num_classes=2)
    >>> float(metric(np.eye(2), np.array([[0.9, 0.1], [0.2, 0.8]])))
    1.0
    """

    def __init__(
        self,
        num_classes,
        name=None,
        dtype=None,
        ignore_class=None,
        sparse_y_pred=False,
        axis=-1,
    ):
        super().__init__(num_classes, name, dtype, ignore_class, False, sparse_y_pred, axis)


class BinaryIoU(IoU):
    """`IoU` of the classes 0 and 1, for scores and a threshold.

    Args:
        target_class_ids: `(0, 1)` for the mean of both classes, `[0]` or `[1]` for one.
        threshold: scores from there on mean class 1.
        name: name of the metric.
        dtype: number type of the counts, by default `"int32"`.

    Example:

    >>> metric = keras.metrics.BinaryIoU(target_class_ids=[1])
    >>> round(float(metric(np.array([0, 1, 1]), np.array([0.9, 0.8, 0.1]))), 4)
    0.3333
    """

    def __init__(self, target_class_ids=(0, 1), threshold=0.5, name=None, dtype=None):
        super().__init__(2, target_class_ids, name, dtype)
        self.threshold = threshold

    def _classes(self, y_true, y_pred):
        return y_true.astype("int32"), (y_pred >= self.threshold).astype("int32")
