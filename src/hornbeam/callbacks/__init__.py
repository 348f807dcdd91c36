"""Objects that act during training, evaluation and prediction."""

from ..core.objects import publish
from ._base import Callback
from ._history import History
from ._list import CallbackList
from ._progbar import ProgbarLogger

__all__ = [
    "Callback",
    "CallbackList",
    "History",
    "ProgbarLogger",
]

publish("keras.callbacks", globals(), __all__)
