"""The record of a training."""

import numpy as np

from ..core.messages import missing_package
from ._base import Callback


class History(Callback):
    """Keeps the logs of every epoch; `fit` returns one.

    `history` is a dict from names to lists of floats, `epoch` the list of the epochs' numbers.

    Example:

    >>> record = keras.callbacks.History()
    >>> record.on_train_begin()
    >>> record.on_epoch_end(0, {"loss": 2.0})
    >>> record.on_epoch_end(1, {"loss": 1.0, "val_loss": 1.5})
    >>> record.history, record.epoch
    ({'loss': [2.0, 1.0], 'val_loss': [1.5]}, [0, 1])
    """

    history: dict[str, list]
    epoch: list[int]

    def __init__(self):
        super().__init__()
        self._reset()

    def _reset(self):
        self.history, self.epoch = {}, []
        self._epochs = {}  # {name: the epochs that had it}; validation may be rarer than training

    def on_train_begin(self, logs=None):
        self._reset()

    def on_epoch_end(self, epoch, logs=None):
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
            self._epochs.setdefault(name, []).append(epoch)

    def to_frame(self):
        """The record as a pandas `DataFrame`: a row for each epoch, a column for each name.

        An epoch without validation has NaN in the columns of validation.

        Raises:
            ImportError: without pandas.
        """
        try:
            import pandas
        except ImportError:
            raise missing_package("pandas", None, "History.to_frame") from None
        index = pandas.Index(self.epoch, name="epoch")
        columns = {
            name: pandas.Series(values, index=self._epochs.get(name, self.epoch))
            for name, values in self.history.items()
        }
        return pandas.DataFrame(columns, index=index)

    def plot(self):
        """Draw the losses and metrics: a panel for each, with training and validation together.

        Arrays among the logs are left out. Epochs count from 1.

        Returns:
            A Matplotlib `Figure`; `history.plot().savefig("history.png")` writes it to a file.
            pyplot isn't involved, so nothing has to be closed.

        Raises:
            ImportError: without Matplotlib.
        """
        try:
            from matplotlib.figure import Figure
            from matplotlib.ticker import MaxNLocator
        except ImportError:
            raise missing_package("matplotlib", "plot", "History.plot") from None
        numbers = {k: v for k, v in self.history.items() if all(np.ndim(x) == 0 for x in v)}
        panels = list(dict.fromkeys(name.removeprefix("val_") for name in numbers))
        columns = max(1, min(len(panels), 3))
        rows = -(-len(panels) // columns)
        figure = Figure(figsize=(4 * columns, 3 * max(rows, 1)), layout="constrained")
        for i, panel in enumerate(panels):
            axes = figure.add_subplot(rows, columns, i + 1, title=panel, xlabel="epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            for name, label in ((panel, "training"), (f"val_{panel}", "validation")):
                if name in numbers:
                    epochs = [epoch + 1 for epoch in self._epochs.get(name, self.epoch)]
                    axes.plot(epochs, numbers[name], marker=".", label=label)
            if f"val_{panel}" in numbers:
                axes.legend()
        return figure

    def state(self):
        copied = lambda lists: {name: list(values) for name, values in lists.items()}
        return {
            "history": copied(self.history),
            "epoch": [*self.epoch],
            "_epochs": copied(self._epochs),
        }

    def set_state(self, state):
        vars(self).update(state)
