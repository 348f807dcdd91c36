"""Metrics: numbers that say how good predictions are, over many batches."""

from ..core import objects
from ..core.naming import to_snake_case
from ..losses import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_hinge,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
)
from ._accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from ._base import (
    Metric,
)
from ._mean import (
    Mean,
    MeanMetricWrapper,
    Sum,
)


def get(identifier):
    """The metric that a name, a config, a class, a function or an object means.

    Example:

    >>> keras.metrics.get("mse")
    <MeanSquaredError name=mean_squared_error>
    """
    return objects.get("metrics", identifier)


def serialize(metric):
    """The metric as plain data."""
    return objects.serialize(metric)


def deserialize(config, custom_objects=None):
    """The metric that `serialize` described."""
    return objects.get("metrics", config, custom_objects)


__all__ = [
    "Accuracy",
    "BinaryAccuracy",
    "CategoricalAccuracy",
    "Mean",
    "MeanMetricWrapper",
    "Metric",
    "SparseCategoricalAccuracy",
    "SparseTopKCategoricalAccuracy",
    "Sum",
    "TopKCategoricalAccuracy",
    "binary_accuracy",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_accuracy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_hinge",
    "deserialize",
    "get",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
    "serialize",
    "sparse_categorical_accuracy",
    "sparse_categorical_crossentropy",
    "sparse_top_k_categorical_accuracy",
    "squared_hinge",
    "top_k_categorical_accuracy",
]

_NAMES = [name for name in __all__ if name not in ("get", "serialize", "deserialize")]
_SHORT = {}

objects.publish(
    "keras.metrics",
    globals(),
    _NAMES,
    # A name such as "hinge" means the metric, which keeps sums, and not the function.
    aliases={
        **{to_snake_case(name): globals()[name] for name in _NAMES if name[0].isupper()},
        **_SHORT,
        **{name.upper(): metric for name, metric in _SHORT.items()},
    },
)
