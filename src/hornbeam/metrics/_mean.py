"""Running means and sums."""

import jax.numpy as jnp

from ..core import masks, objects
from ..losses._base import by_position, combine, ratio, to_arrays, weigh
from ._base import Metric
from ._compiled import compiled


class Mean(Metric):
    """The weighted mean of all values so far.

    Every sample counts once, however many values (time steps) it has.

    Args:
        name: name of the metric.
        dtype: number type.

    Example:

    >>> mean = keras.metrics.Mean()
    >>> mean.update_state([1.0, 3.0, 5.0], sample_weight=[1.0, 1.0, 0.0])
    >>> float(mean.result())
    2.0
    """

    _adds_up = True

    def __init__(self, name: str | None = "mean", dtype=None):
        super().__init__(dtype=dtype, name=name)
        self.total = self.add_weight(name="total")
        self.count = self.add_weight(name="count")

    @compiled
    def update_state(self, values, sample_weight=None):
        """Take in an array of values, weighted by `sample_weight`."""
        self._add(to_arrays(values, self.dtype), sample_weight, masks.get_mask(values))

    def _add(self, values, sample_weight, mask):
        values, weights, _ = weigh(values, sample_weight, mask)
        if weights is None:
            weights = jnp.ones(values.shape[:1])
        self.total.assign_add(_sum_over_samples(values))
        self.count.assign_add(_sum_over_samples(weights))

    def result(self):
        """The mean so far, 0 without any values."""
        return ratio(self.total.value, self.count.value).astype(self.dtype)


def _sum_over_samples(x):
    """The sum over the first axis of the means over the others."""
    dtype = jnp.promote_types(x.dtype, jnp.float32)  # half precision can't count above 2048
    return jnp.sum(jnp.mean(x, axis=tuple(range(1, x.ndim)), dtype=dtype))


class Sum(Metric):
    """The weighted sum of all values so far.

    Args:
        name: name of the metric.
        dtype: number type.

    Example:

    >>> total = keras.metrics.Sum()
    >>> float(total(np.array([1.0, 3.0, 5.0]))), float(total(np.array([1.0])))
    (9.0, 10.0)
    """

    _adds_up = True

    def __init__(self, name: str | None = "sum", dtype=None):
        super().__init__(dtype=dtype, name=name)
        self.total = self.add_weight(name="total")

    @compiled
    def update_state(self, values, sample_weight=None):
        """Take in an array of values, weighted by `sample_weight`."""
        values, _, _ = weigh(to_arrays(values, self.dtype), sample_weight, masks.get_mask(values))
        self.total.assign_add(jnp.sum(values))

    def result(self):
        """The sum so far."""
        return self.total.value.astype(self.dtype)


class MeanMetricWrapper(Mean):
    """The weighted mean of `fn(y_true, y_pred, **kwargs)`.

    Args:
        fn: function that returns one value per sample.
        name: name of the metric.
        dtype: number type.
        **kwargs: further arguments of `fn`.

    Example:

    >>> metric = keras.metrics.MeanMetricWrapper(keras.losses.huber, delta=1.0)
    >>> float(metric(np.zeros((2, 1)), np.array([[1.0], [0.0]])))
    0.25
    """

    def __init__(self, fn, name=None, dtype=None, **kwargs):
        super().__init__(name=name, dtype=dtype)
        self._fn = fn
        self._fn_kwargs = kwargs

    @property
    def fn(self):
        """The function."""
        return self._fn

    @compiled
    def update_state(self, y_true, y_pred, sample_weight=None):
        """Take in a batch of labels and predictions, weighted by `sample_weight`."""
        mask = masks.get_mask(y_pred)
        y_true, y_pred = to_arrays(y_true, self.dtype), to_arrays(y_pred, self.dtype)
        y_true, y_pred = by_position(y_true, y_pred, sample_weight, mask)
        values = jnp.asarray(self._fn(y_true, y_pred, **self._fn_kwargs))
        self._add(values, sample_weight, combine(mask, masks.get_mask(values)))

    def get_config(self):
        """The constructor's arguments as plain data, those of the function among them."""
        config = super().get_config()
        if type(self) is MeanMetricWrapper:
            config |= {"fn": objects.serialize(self._fn), **self._fn_kwargs}
        return config
