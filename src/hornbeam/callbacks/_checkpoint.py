"""Saving the model while it is trained."""

import json
import os
import string

from ..core.messages import did_you_mean, expected
from ..saving._atomic import atomic_write
from ._base import MonitorCallback
from ._printing import print_line


class SavingCallback(MonitorCallback):
    """Base of callbacks that save at the end of epochs or every so many batches.

    A subclass writes `write(logs, epoch, batch)`, which returns the place for a message. The
    arguments are those of `ModelCheckpoint`.
    """

    def __init__(self, monitor, verbose, save_best_only, mode, save_freq, initial_value_threshold):
        super().__init__(monitor, mode, best=initial_value_threshold)
        if save_freq != "epoch" and not (isinstance(save_freq, int) and save_freq > 0):
            name = f"{type(self).__name__}'s save_freq"
            raise ValueError(expected(name, "'epoch' or a positive int", save_freq))
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_freq = save_freq
        self.follows_steps = save_freq != "epoch"
        self.initial_value_threshold = initial_value_threshold
        self._epoch = self._steps_seen = self._unsaved = 0

    def write(self, logs, epoch, batch):
        """Save the model.

        Args:
            logs: dict of the logs.
            epoch: number of the epoch, from 1.
            batch: number of batches of the epoch that were run; `None` at its end.
        """
        raise NotImplementedError

    def on_train_begin(self, logs=None):
        super().on_train_begin()
        self._unsaved = self._steps_seen = 0

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch, self._steps_seen = epoch, 0

    def on_epoch_end(self, epoch, logs=None):
        if self.save_freq == "epoch":
            self._save(logs or {}, epoch + 1)

    def on_steps_end(self, steps_done, read_logs):
        if self.save_freq == "epoch":
            return
        self._unsaved += steps_done - self._steps_seen
        self._steps_seen = steps_done
        if self._unsaved >= self.save_freq:
            self._unsaved = 0
            self._save(read_logs(), self._epoch + 1, steps_done)

    def _save(self, logs, epoch, batch=None):
        improved = self._improvement(logs) if self.save_best_only else ""
        if improved is not None:
            self._say(f"{improved}saved the model to {self.write(logs, epoch, batch)}.")

    def _improvement(self, logs):
        """A text about the improvement, or `None` if there was none."""
        value = self.read(logs)
        if value is None:
            return ""  # rather one model too many than none
        if not self.is_better(value, self.best):
            self._say(f"{self.monitor} did not improve on {self.best:.5f}.")
            return None
        before = "" if self.best is None else f" from {self.best:.5f}"
        self.best = value
        return f"{self.monitor} improved{before} to {value:.5f}; "

    def describe(self, logs, epoch):
        """What is known about the model that was just saved, as plain data."""
        best = self.best if self.save_best_only and self.monitor in logs else None
        return {"monitor": self.monitor, "best": best, "epoch": epoch}

    def _say(self, text):
        if self.verbose > 0:
            print_line(f"Epoch {self._epoch + 1}: {text}")

    def state(self):
        return {name: getattr(self, name) for name in ("best", "_unsaved", "_steps_seen")}

    def set_state(self, state):
        vars(self).update(state)


class ModelCheckpoint(SavingCallback):
    """Saves the model, or its weights, at the end of epochs or every so many batches.

    With `save_best_only`, the value that made a file the best is written beside it, as
    `<file>.json` with `monitor`, `best` and `epoch` (from 1). A training in another process goes
    on from there with `initial_value_threshold=json.load(open("best.keras.json"))["best"]`.

    Args:
        filepath: the file: `.keras`, or `.weights.h5` with `save_weights_only`. The name may hold
            `{epoch}` (from 1), `{batch}` and names of logs, with formats:
            `"{epoch:02d}-{val_loss:.2f}.keras"`.
        monitor: name of the number that says which model is best.
        verbose: 1 to say what is saved.
        save_best_only: whether to save only when that number is better than ever before; also
            than in an earlier `fit` with the same callback.
        save_weights_only: whether to save only the weights.
        mode: `"min"`, `"max"` or `"auto"`.
        save_freq: `"epoch"`, or a number of batches. Batches that run as one program on the
            device are over at once, so it may be a few more.
        initial_value_threshold: the value that the first model has to beat.

    Raises:
        ValueError: for a path without such an ending.
        KeyError: when the path names a log that there isn't.

    Example:

    >>> callback = keras.callbacks.ModelCheckpoint("best.keras", save_best_only=True)
    """

    def __init__(
        self,
        filepath,
        monitor="val_loss",
        verbose=0,
        save_best_only=False,
        save_weights_only=False,
        mode="auto",
        save_freq: int | str = "epoch",
        initial_value_threshold=None,
    ):
        super().__init__(monitor, verbose, save_best_only, mode, save_freq, initial_value_threshold)
        self.filepath = _checked_path(os.fspath(filepath), save_weights_only)
        self.save_weights_only = save_weights_only

    def write(self, logs, epoch, batch):
        numbers = {"epoch": epoch} if batch is None else {"epoch": epoch, "batch": batch}
        path = _filled(self.filepath, {**logs, **numbers})
        if folder := os.path.dirname(path):
            os.makedirs(folder, exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path, overwrite=True)
        else:
            self.model.save(path, overwrite=True)
        if self.save_best_only:
            # After the file that it describes: a kill in between leaves an older, worse value.
            with atomic_write(f"{path}.json") as temporary:
                temporary.write_text(json.dumps(self.describe(logs, epoch)), encoding="utf-8")
        return path


def _checked_path(path, save_weights_only):
    is_weights = path.endswith(".weights.h5")
    if save_weights_only and not is_weights:
        hint = "It is what holds weights only (save_weights_only=True)."
        raise ValueError(
            expected("ModelCheckpoint's filepath", "a path ending in '.weights.h5'", path, hint)
        )
    if not save_weights_only and (is_weights or not path.endswith((".keras", ".h5"))):
        hint = "For '.weights.h5' pass save_weights_only=True."
        raise ValueError(
            expected("ModelCheckpoint's filepath", "a path ending in '.keras'", path, hint)
        )
    return path


def _filled(path, values):
    names = {name for _, name, _, _ in string.Formatter().parse(path) if name}
    for name in sorted(names - values.keys()):
        raise KeyError(
            f"ModelCheckpoint's filepath {path!r} names '{name}', which is not among the logs: "
            f"{', '.join(sorted(values))}. {did_you_mean(name, values)}"
        )
    return path.format(**values)
