"""The record of a training."""

from ._base import Callback


class History(Callback):
    """Keeps the logs of every epoch; `fit` returns one.

    `history` is a dict from names to lists of floats, `epoch` the list of the epochs' numbers.

    Example:

    >>> record = keras.callbacks.History()
    >>> record.on_train_begin()
    >>> record.on_epoch_end(0, {"loss": 2.0})
    >>> record.on_epoch_end(1, {"loss": 1.0})
    >>> record.history, record.epoch
    ({'loss': [2.0, 1.0]}, [0, 1])
    """

    history: dict[str, list]
    epoch: list[int]

    def __init__(self):
        super().__init__()
        self.history = {}
        self.epoch = []

    def on_train_begin(self, logs=None):
        self.history, self.epoch = {}, []

    def on_epoch_end(self, epoch, logs=None):
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)

    def state(self):
        return {"history": {k: list(v) for k, v in self.history.items()}, "epoch": [*self.epoch]}

    def set_state(self, state):
        self.history = {k: list(v) for k, v in state["history"].items()}
        self.epoch = list(state["epoch"])
