"""Callbacks that steer the training: learning rates, and when to stop."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.messages import expected, unknown_keywords
from ._base import Callback, MonitorCallback
from ._printing import print_line


class LearningRateScheduler(Callback):
    """Sets the learning rate at the start of every epoch.

    Args:
        schedule: function of the epoch's number (from 0), or of that and the current rate, that
            returns the new rate.
        verbose: 1 to print the rate.

    Raises:
        ValueError: if `schedule` returns something other than a number.

    Example:

    >>> halve = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    """

    def __init__(self, schedule: Callable[..., Any], verbose=0):
        super().__init__()
        if not callable(schedule):
            raise TypeError(expected("schedule", "a function of (epoch, learning_rate)", schedule))
        self.schedule = schedule
        self.verbose = verbose

    def on_epoch_begin(self, epoch, logs=None):
        arguments = (epoch, _rate(self.model)) if self._takes_rate() else (epoch,)
        rate = self.schedule(*arguments)
        try:
            if isinstance(rate, (str, bytes)):
                raise TypeError
            rate = float(rate)
        except (TypeError, ValueError):
            raise ValueError(
                f"LearningRateScheduler's schedule should return a number; for epoch {epoch} it "
                f"returned {rate!r}."
            ) from None
        self.model.optimizer.learning_rate = rate
        if self.verbose > 0:
            print_line(f"Epoch {epoch + 1}: LearningRateScheduler set the learning rate to {rate}.")

    def _takes_rate(self):
        try:
            inspect.signature(self.schedule).bind(0, 0.1)
        except (TypeError, ValueError):  # one argument, or a function written in C, not telling
            return False
        return True

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            logs["learning_rate"] = _rate(self.model)


def _rate(model):
    return float(np.asarray(model.optimizer.learning_rate))


class ReduceLROnPlateau(MonitorCallback):
    """Makes the learning rate smaller when a number has stopped getting better.

    Args:
        monitor: name of the number.
        factor: what the rate is multiplied by.
        patience: number of epochs without progress before that.
        verbose: 1 to print the new rate.
        mode: `"min"`, `"max"` or `"auto"`.
        min_delta: what counts as progress, at least.
        cooldown: number of epochs after a change in which none are counted.
        min_lr: the smallest rate.

    Example:

    >>> callback = keras.callbacks.ReduceLROnPlateau(factor=0.2, patience=5, min_lr=0.001)
    """

    def __init__(
        self,
        monitor="val_loss",
        factor=0.1,
        patience=10,
        verbose=0,
        mode="auto",
        min_delta=1e-4,
        cooldown=0,
        min_lr=0.0,
        **kwargs,
    ):
        if kwargs:
            known = inspect.signature(ReduceLROnPlateau).parameters
            raise unknown_keywords("ReduceLROnPlateau", kwargs, known)
        super().__init__(monitor, mode, min_delta=min_delta)
        if factor >= 1.0:
            raise ValueError(expected("ReduceLROnPlateau's factor", "less than 1", factor))
        self.factor = factor
        self.patience = patience
        self.verbose = verbose
        self.cooldown = cooldown
        self.min_lr = min_lr
        self.wait = self.cooldown_counter = 0

    def on_train_begin(self, logs=None):
        super().on_train_begin()
        self.best, self.wait, self.cooldown_counter = None, 0, 0

    def on_epoch_end(self, epoch, logs=None):
        logs = {} if logs is None else logs
        value = self.read(logs)
        logs["learning_rate"] = _rate(self.model)
        if value is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self.is_better(value, self.best):
            self.best, self.wait = value, 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience:
                self._reduce(epoch)

    def in_cooldown(self):
        """Whether the last change was less than `cooldown` epochs ago."""
        return self.cooldown_counter > 0

    def _reduce(self, epoch):
        old = _rate(self.model)
        if old <= self.min_lr:
            return
        rate = max(old * self.factor, self.min_lr)
        self.model.optimizer.learning_rate = rate
        if self.verbose > 0:
            print_line(f"Epoch {epoch + 1}: ReduceLROnPlateau set the learning rate to {rate}.")
        self.cooldown_counter, self.wait = self.cooldown, 0

    def state(self):
        return {"best": self.best, "wait": self.wait, "cooldown_counter": self.cooldown_counter}

    def set_state(self, state):
        vars(self).update(state)


class EarlyStopping(MonitorCallback):
    """Ends the training when a number has stopped getting better.

    Args:
        monitor: name of the number.
        min_delta: what counts as progress, at least.
        patience: number of epochs without progress before the end.
        verbose: 1 to say when it ends.
        mode: `"min"`, `"max"` or `"auto"`.
        baseline: progress that doesn't get better than this doesn't reset the count.
        restore_best_weights: whether the model gets the weights of its best epoch at the end.
        start_from_epoch: number of epochs in which the number is ignored.

    Example:

    >>> callback = keras.callbacks.EarlyStopping(patience=3, restore_best_weights=True)
    """

    def __init__(
        self,
        monitor="val_loss",
        min_delta: float = 0,
        patience=0,
        verbose=0,
        mode="auto",
        baseline=None,
        restore_best_weights=False,
        start_from_epoch=0,
    ):
        super().__init__(monitor, mode, min_delta=min_delta)
        self.patience = patience
        self.verbose = verbose
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self._reset()

    def _reset(self):
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best = self.best_weights = None

    def on_train_begin(self, logs=None):
        super().on_train_begin()
        self._reset()

    def get_monitor_value(self, logs):
        """The number as a float, or `None`, after a warning, if it isn't among the logs."""
        return self.read(logs)

    def on_epoch_end(self, epoch, logs=None):
        value = self.get_monitor_value(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            # Should no epoch count as better, these are at least not the last ones.
            self._remember(epoch)
        self.wait += 1
        if self.is_better(value, self.best):
            self.best = value
            if self.restore_best_weights:
                self._remember(epoch)
            self.best_epoch = epoch
            if self.baseline is None or self.is_better(value, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def _remember(self, epoch):
        self.best_epoch, self.best_weights = epoch, self.model.get_weights()

    def on_train_end(self, logs=None):
        if self.stopped_epoch > 0 and self.verbose > 0:
            print_line(f"Epoch {self.stopped_epoch + 1}: early stopping.")
        if self.best_weights is not None:
            if self.verbose > 0:
                print_line(f"The model has its weights of epoch {self.best_epoch + 1}, the best.")
            self.model.set_weights(self.best_weights)

    def state(self):
        names = ("best", "wait", "stopped_epoch", "best_epoch", "best_weights")
        return {name: getattr(self, name) for name in names}

    def set_state(self, state):
        vars(self).update(state)
