"""Means of losses, and how much of the labels' variation predictions explain."""

import jax.numpy as jnp

from ..core import masks
from ..core.messages import expected, one_of
from ..losses import _functions as f
from ..losses._base import to_arrays, weigh
from ._base import Metric
from ._compiled import compiled
from ._mean import Mean, MeanMetricWrapper


class MeanSquaredError(MeanMetricWrapper):
    """The mean of `(y_true - y_pred)**2`.

    Args:
        name: name of the metric.
        dtype: number type.

    Example:

    >>> metric = keras.metrics.MeanSquaredError()
    >>> float(metric(np.zeros((2, 1)), np.array([[1.0], [3.0]])))
    5.0
    """

    _direction = "down"

    def __init__(self, name: str | None = "mean_squared_error", dtype=None):
        super().__init__(f.mean_squared_error, name, dtype)


class MeanAbsoluteError(MeanMetricWrapper):
    """The mean of `|y_true - y_pred|`.

    Args:
        name: name of the metric.
        dtype: number type.

    Example:

    >>> metric = keras.metrics.MeanAbsoluteError()
    >>> float(metric(np.zeros((2, 1)), np.array([[1.0], [3.0]])))
    2.0
    """

    _direction = "down"

    def __init__(self, name: str | None = "mean_absolute_error", dtype=None):
        super().__init__(f.mean_absolute_error, name, dtype)


class MeanAbsolutePercentageError(MeanMetricWrapper):
    """The mean of `100 |y_true - y_pred| / |y_true|`.

    Args:
        name: name of the metric.
        dtype: number type.

    Example:

    >>> metric = keras.metrics.MeanAbsolutePercentageError()
    >>> float(metric(np.array([[4.0]]), np.array([[3.0]])))
    25.0
    """

    _direction = "down"

    def __init__(self, name: str | None = "mean_absolute_percentage_error", dtype=None):
        super().__init__(f.mean_absolute_percentage_error, name, dtype)


class MeanSquaredLogarithmicError(MeanMetricWrapper):
    """The mean of `(log(1 + y_true) - log(1 + y_pred))**2`.

    Args:
        name: name of the metric.
        dtype: number type.

    Example:

    >>> metric = keras.metrics.MeanSquaredLogarithmicError()
    >>> float(metric(np.array([[4.0]]), np.array([[4.0]])))
    0.0
    """

    _direction = "down"

    def __init__(self, name: str | None = "mean_squared_logarithmic_error", dtype=None):
        super().__init__(f.mean_squared_logarithmic_error, name, dtype)


class LogCoshError(MeanMetricWrapper):
    """The mean of `log(cosh(y_pred - y_true))`.

    Args:
        name: name of the metric.
        dtype: number type.

    Example:

    >>> metric = keras.metrics.LogCoshError()
    >>> float(metric(np.zeros((2, 1)), np.zeros((2, 1))))
    0.0
    """

    _direction = "down"

    def __init__(self, name: str | None = "logcosh", dtype=None):
        super().__init__(f.log_cosh, name, dtype)


class Poisson(MeanMetricWrapper):
    """The mean of `y_pred - y_true log(y_pred)`.

    Args:
        name: name of the metric.
        dtype: number type.

    Example:

    >>> metric = keras.metrics.Poisson()
    >>> float(metric(np.ones((2, 1)), np.ones((2, 1))))
    1.0
    """

    _direction = "down"

    def __init__(self, name: str | None = "poisson", dtype=None):
        super().__init__(f.poisson, name, dtype)


class KLDivergence(MeanMetricWrapper):
    """The mean of `sum(y_true log(y_true / y_pred))`, of probabilities.

    Args:
        name: name of the metric.
        dtype: number type.

    Example:

    >>> metric = keras.metrics.KLDivergence()
    >>> round(float(metric(np.array([[0.0, 1.0]]), np.array([[0.5, 0.5]]))), 4)
    0.6931
    """

    _direction = "down"

    def __init__(self, name: str | None = "kl_divergence", dtype=None):
        super().__init__(f.kl_divergence, name, dtype)


class Hinge(MeanMetricWrapper):
    """The mean of `max(0, 1 - y_true y_pred)`, of labels -1 and 1 (or 0 and 1).

    Args:
        name: name of the metric.
        dtype: number type.

    Example:

    >>> metric = keras.metrics.Hinge()
    >>> float(metric(np.array([[-1.0, 1.0]]), np.array([[0.5, 0.5]])))
    1.0
    """

    _direction = "down"

    def __init__(self, name: str | None = "hinge", dtype=None):
        super().__init__(f.hinge, name, dtype)


class SquaredHinge(MeanMetricWrapper):
    """The mean of `max(0, 1 - y_true y_pred)**2`, of labels -1 and 1 (or 0 and 1).

    Args:
        name: name of the metric.
        dtype: number type.

    Example:

    >>> metric = keras.metrics.SquaredHinge()
    >>> float(metric(np.array([[-1.0, 1.0]]), np.array([[0.5, 0.5]])))
    1.25
    """

    _direction = "down"

    def __init__(self, name: str | None = "squared_hinge", dtype=None):
        super().__init__(f.squared_hinge, name, dtype)


class CategoricalHinge(MeanMetricWrapper):
    """The mean of `max(0, 1 + neg - pos)`: the best score of a wrong class, and the right one's.

    Args:
        name: name of the metric.
        dtype: number type.

    Example:

    >>> metric = keras.metrics.CategoricalHinge()
    >>> float(metric(np.array([[0.0, 1.0]]), np.array([[0.5, 0.25]])))
    1.25
    """

    _direction = "down"

    def __init__(self, name: str | None = "categorical_hinge", dtype=None):
        super().__init__(f.categorical_hinge, name, dtype)


class CosineSimilarity(MeanMetricWrapper):
    """The mean of the cosine of the angle between labels and predictions: 1 for the same direction.

    Args:
        name: name of the metric.
        dtype: number type.
        axis: the axis of the vectors.

    Example:

    >>> metric = keras.metrics.CosineSimilarity()
    >>> float(metric(np.array([[0.0, 2.0]]), np.array([[0.0, 1.0]])))
    1.0
    """

    _direction = "up"
    _unwritten = ("axis",)

    def __init__(self, name: str | None = "cosine_similarity", dtype=None, axis=-1):
        super().__init__(cosine_of_angle, name, dtype, axis=axis)
        self.axis = axis


class RootMeanSquaredError(Mean):
    """The square root of the mean of `(y_true - y_pred)**2`.

    Args:
        name: name of the metric.
        dtype: number type.

    Example:

    >>> metric = keras.metrics.RootMeanSquaredError()
    >>> float(metric(np.zeros((2, 1)), np.array([[3.0], [3.0]])))
    3.0
    """

    _direction = "down"

    def __init__(self, name: str | None = "root_mean_squared_error", dtype=None):
        super().__init__(name=name, dtype=dtype)

    @compiled
    def update_state(self, y_true, y_pred, sample_weight=None):
        """Take in a batch of labels and predictions, weighted by `sample_weight`."""
        mask = masks.get_mask(y_pred)
        y_true, y_pred = f.squeeze_to_same_rank(
            to_arrays(y_true, self.dtype), to_arrays(y_pred, self.dtype)
        )
        self._add(jnp.square(y_true - y_pred), sample_weight, mask)

    def result(self):
        """The root of the mean so far."""
        return jnp.sqrt(super().result())


class R2Score(Metric):
    """The coefficient of determination: `1 - sum((y_true - y_pred)**2) / sum((y_true - mean)**2)`.

    It is 1 for perfect predictions, and 0 for predicting the mean. Inputs are 2D,
    `(batch_size, outputs)`.

    Args:
        class_aggregation: `"uniform_average"` of the outputs' scores,
            `"variance_weighted_average"`, or `None` for one score per output.
        num_regressors: number of independent variables, for the adjusted score; 0 for the plain
            one, which also stands in while there are too few samples.
        name: name of the metric.
        dtype: number type.

    Example:

    >>> metric = keras.metrics.R2Score()
    >>> float(metric(np.array([[1.0], [2.0], [3.0]]), np.array([[1.0], [2.0], [4.0]])))
    0.5
    """

    _adds_up = True
    _direction = "up"

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors=0,
        name: str | None = "r2_score",
        dtype=None,
    ):
        super().__init__(dtype=dtype, name=name)
        self.class_aggregation = one_of(
            "R2Score's class_aggregation",
            class_aggregation,
            ("uniform_average", "variance_weighted_average", None),
        )
        if num_regressors < 0:
            raise ValueError(expected("R2Score's num_regressors", "at least 0", num_regressors))
        self.num_regressors = num_regressors
        self.num_samples = self.add_weight(name="num_samples")
        self.built = False

    def build(self, y_true_shape, y_pred_shape):
        """Make one sum per output."""
        if len(y_pred_shape) != 2 or len(y_true_shape) != 2:
            raise ValueError(
                "R2Score takes labels and predictions of shape (batch_size, outputs); received "
                f"{tuple(y_true_shape)} and {tuple(y_pred_shape)}."
            )
        shape = (y_pred_shape[-1],)
        self.squared_sum = self.add_weight(shape, name="squared_sum")
        self.sum = self.add_weight(shape, name="sum")
        self.total_mse = self.add_weight(shape, name="residual")
        self.count = self.add_weight(shape, name="count")
        self.built = True

    @compiled
    def update_state(self, y_true, y_pred, sample_weight=None):
        """Take in a batch of labels and predictions, weighted by `sample_weight`."""
        mask = masks.get_mask(y_pred)
        y_true, y_pred = f.squeeze_to_same_rank(
            to_arrays(y_true, self.dtype), to_arrays(y_pred, self.dtype)
        )
        if not self.built:
            self.build(y_true.shape, y_pred.shape)
        weighted, weights, mask = weigh(y_true, sample_weight, mask)
        if weights is None:
            weights = jnp.ones_like(y_true)
        self.squared_sum.assign_add(jnp.sum(weighted * y_true, axis=0))
        self.sum.assign_add(jnp.sum(weighted, axis=0))
        self.total_mse.assign_add(jnp.sum(weights * jnp.square(y_true - y_pred), axis=0))
        self.count.assign_add(jnp.sum(weights, axis=0))
        # As in Keras, every output of a sample counts, which the adjusted score depends on.
        self.num_samples.assign_add(y_true.size if mask is None else jnp.sum(mask))

    def result(self):
        """The score so far."""
        if not self.built:
            return jnp.zeros((), self.dtype)
        mean = self.sum / self.count.value
        total = self.squared_sum - self.sum * mean
        score = 1 - self.total_mse / total
        score = jnp.where(jnp.isinf(score), 0, score)
        if self.class_aggregation == "uniform_average":
            score = jnp.mean(score)
        elif self.class_aggregation == "variance_weighted_average":
            score = jnp.sum(score * total) / jnp.sum(total)
        if self.num_regressors:
            free = self.num_samples - self.num_regressors - 1
            adjusted = 1 - (1 - score) * (self.num_samples - 1) / jnp.maximum(free, 1)
            score = jnp.where(free > 0, adjusted, score)
        return score


def cosine_of_angle(y_true, y_pred, axis=-1):
    """The cosine of the angle between labels and predictions."""
    return -f.cosine_similarity(y_true, y_pred, axis=axis)


def pearson_correlation(y_true, y_pred, axis=-1):
    """The correlation of `y_true` and `y_pred` along `axis`, from -1 to 1.

    Example:

    >>> y_true, y_pred = np.array([[0.0, 1.0, 0.5]]), np.array([[1.0, 3.0, 2.0]])
    >>> keras.metrics.pearson_correlation(y_true, y_pred).round(3)
    Array([1.], dtype=float32)
    """
    y_true, y_pred = f.arrays(y_true, y_pred)
    y_true = y_true - jnp.mean(y_true, axis=axis, keepdims=True)
    y_pred = y_pred - jnp.mean(y_pred, axis=axis, keepdims=True)
    return cosine_of_angle(y_true, y_pred, axis)


def concordance_correlation(y_true, y_pred, axis=-1):
    """Lin's concordance along `axis`: like the correlation, less for another mean or spread.

    `2 cov / (var(y_true) + var(y_pred) + (mean(y_true) - mean(y_pred))**2)`

    Example:

    >>> y_true, y_pred = np.array([[0.0, 1.0, 0.5]]), np.array([[1.0, 3.0, 2.0]])
    >>> keras.metrics.concordance_correlation(y_true, y_pred).round(3)
    Array([0.216], dtype=float32)
    """
    y_true, y_pred = f.arrays(y_true, y_pred)
    mean_true = jnp.mean(y_true, axis=axis, keepdims=True)
    mean_pred = jnp.mean(y_pred, axis=axis, keepdims=True)
    covariance = jnp.mean((y_true - mean_true) * (y_pred - mean_pred), axis=axis)
    spread = jnp.var(y_true, axis=axis) + jnp.var(y_pred, axis=axis)
    offset = jnp.squeeze(mean_true - mean_pred, axis=axis)
    return 2 * covariance / (spread + jnp.square(offset) + f._epsilon(y_pred))


class PearsonCorrelation(MeanMetricWrapper):
    """The mean of the correlations of labels and predictions, from -1 to 1.

    Args:
        name: name of the metric.
        dtype: number type.
        axis: the axis along which to correlate.

    Example:

    >>> metric = keras.metrics.PearsonCorrelation()
    >>> round(float(metric(np.array([[0.0, 1.0]]), np.array([[1.0, 3.0]]))), 3)
    1.0
    """

    _direction = "up"

    def __init__(self, name: str | None = "pearson_correlation", dtype=None, axis=-1):
        super().__init__(pearson_correlation, name, dtype, axis=axis)
        self.axis = axis


class ConcordanceCorrelation(MeanMetricWrapper):
    """The mean of Lin's concordances of labels and predictions, from -1 to 1.

    Args:
        name: name of the metric.
        dtype: number type.
        axis: the axis along which to compare.

    Example:

    >>> metric = keras.metrics.ConcordanceCorrelation()
    >>> round(float(metric(np.array([[0.0, 1.0]]), np.array([[0.0, 1.0]]))), 3)
    1.0
    """

    _direction = "up"

    def __init__(self, name: str | None = "concordance_correlation", dtype=None, axis=-1):
        super().__init__(concordance_correlation, name, dtype, axis=axis)
        self.axis = axis
