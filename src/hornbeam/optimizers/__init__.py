"""Optimizers: how gradients change weights."""

from ..core.objects import publish
from . import legacy, schedules
from ._adam import Adam, Adamax, AdamW, Lamb, Nadam
from ._adaptive import Adadelta, Adafactor, Adagrad, Ftrl, RMSprop
from ._base import Optimizer
from ._muon import Muon
from ._optax import OptaxOptimizer
from ._others import Lion
from ._schedule_free import ScheduleFreeAdamW
from ._sgd import SGD
from ._tables import deserialize, get, serialize
from ._wrappers import LossScaleOptimizer, MultiOptimizer, OptimizerMap

__all__ = [
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "Lamb",
    "Lion",
    "LossScaleOptimizer",
    "MultiOptimizer",
    "Muon",
    "Nadam",
    "OptaxOptimizer",
    "Optimizer",
    "OptimizerMap",
    "RMSprop",
    "SGD",
    "ScheduleFreeAdamW",
    "deserialize",
    "get",
    "legacy",
    "schedules",
    "serialize",
]

# Names as strings are usually written in lower case, without an underscore: "rmsprop", "adamw".
publish(
    "keras.optimizers",
    globals(),
    __all__,
    aliases={name.lower(): globals()[name] for name in __all__ if name[0].isupper()},
)
