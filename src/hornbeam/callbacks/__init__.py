"""Objects that act during training, evaluation and prediction."""

from ._backup import BackupAndRestore
from ._base import Callback
from ._checkpoint import ModelCheckpoint
from ._ema import SwapEMAWeights
from ._history import History
from ._list import CallbackList
from ._logging import CSVLogger, LambdaCallback, RemoteMonitor, TerminateOnNaN
from ._orbax import OrbaxCheckpoint
from ._progbar import ProgbarLogger
from ._schedule import EarlyStopping, LearningRateScheduler, ReduceLROnPlateau
from ._tensorboard import TensorBoard

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "OrbaxCheckpoint",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "RemoteMonitor",
    "SwapEMAWeights",
    "TensorBoard",
    "TerminateOnNaN",
]
