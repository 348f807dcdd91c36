"""What a callback is, and what those that watch one number have in common."""

import math
import warnings
from typing import Any

import numpy as np

from ..core.messages import did_you_mean, one_of, shown
from ..core.objects import lookup


class Callback:
    """Something that acts at certain moments of `fit`, `evaluate` and `predict`.

    Subclasses override the methods of the events they want. `self.model` is the model and
    `self.params` a dict with `verbose`, `epochs` and `steps`. Setting
    `self.model.stop_training = True` ends the training.

    A method of single batches makes the loop wait for the device after every step; a method
    `on_steps_end` only when it reads the logs. Without either, the loop runs as many steps at once
    as it likes.

    Example:

    >>> class Report(keras.callbacks.Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         print(epoch, sorted(logs))
    >>> events = keras.callbacks.CallbackList([Report()])
    >>> events.on_epoch_end(0, {"loss": 0.5})
    0 ['loss']
    """

    # On the class, for subclasses that don't call `super().__init__()`.
    params: Any = None
    _model: Any = None
    # Whether `on_steps_end` and its like must be called after every `steps_per_execution` steps. A
    # callback that only looks now and then says no, and the loop may run more steps at once.
    follows_steps = True

    def __init__(self):
        self.params = None
        self._model = None

    @property
    def model(self):
        """The model that is trained, evaluated or asked for predictions."""
        return self._model

    def set_params(self, params):
        """Receive the dict of the loop's parameters."""
        self.params = params

    def set_model(self, model):
        """Receive the model."""
        self._model = model

    def state(self):
        """What the callback has to remember to go on in another process, as plain data."""
        return {}

    def set_state(self, state):
        """Go on from what `state` returned."""

    def on_train_begin(self, logs=None):
        """Called at the start of `fit`."""

    def on_train_end(self, logs=None):
        """Called at the end of `fit`, with the logs of the last epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        """Called at the start of an epoch."""

    def on_epoch_end(self, epoch, logs=None):
        """Called at the end of an epoch; `logs` holds floats, `val_…` among them."""

    def on_batch_begin(self, batch, logs=None):
        """An older name of `on_train_batch_begin`."""

    def on_batch_end(self, batch, logs=None):
        """An older name of `on_train_batch_end`."""

    def on_train_batch_begin(self, batch, logs=None):
        """Called before each training batch."""
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch, logs=None):
        """Called after each training batch; `logs` holds the means over the epoch so far."""
        self.on_batch_end(batch, logs=logs)

    def on_test_begin(self, logs=None):
        """Called at the start of `evaluate`, and of the validation inside `fit`."""

    def on_test_end(self, logs=None):
        """Called at the end of an evaluation, with its logs."""

    def on_test_batch_begin(self, batch, logs=None):
        """Called before each batch of an evaluation."""

    def on_test_batch_end(self, batch, logs=None):
        """Called after each batch of an evaluation."""

    def on_predict_begin(self, logs=None):
        """Called at the start of `predict`."""

    def on_predict_end(self, logs=None):
        """Called at the end of `predict`."""

    def on_predict_batch_begin(self, batch, logs=None):
        """Called before each batch of `predict`."""

    def on_predict_batch_end(self, batch, logs=None):
        """Called after each batch of `predict`."""

    def on_steps_end(self, steps_done, read_logs):
        """Called whenever the device has been given one or more further training steps.

        Several steps may run as one program; unlike the methods of single batches this one
        leaves that as it is.

        Args:
            steps_done: how many steps of the epoch that makes.
            read_logs: function that waits for the device and returns the logs so far.
        """

    def on_test_steps_end(self, steps_done, read_logs):
        """The same for the steps of an evaluation."""

    def on_predict_steps_end(self, steps_done, read_logs):
        """The same for the steps of `predict`; the logs are empty."""

    def on_compile_begin(self, kind):
        """Called before a step is compiled: one of `"train"`, `"test"` or `"predict"`."""

    def on_compile_end(self, kind, seconds):
        """Called when the step is compiled, with the time that took."""

    def on_data_wait(self, seconds):
        """Called when new batches are there and the device had nothing to do meanwhile."""


class MonitorCallback(Callback):
    """Base of callbacks that watch one number among the logs of an epoch.

    Args:
        monitor: the number's name.
        mode: `"min"` if small is good, `"max"` if large is, `"auto"` to go by the model's metric
            of that name.
        best: the value to beat; `None` for any.
        min_delta: by how much a value has to be better to count.
    """

    def __init__(self, monitor="val_loss", mode="auto", best=None, min_delta: float = 0):
        super().__init__()
        self.monitor = monitor
        self.mode = one_of(f"{type(self).__name__}'s mode", mode, ("auto", "min", "max"))
        self.best = best
        self.min_delta = abs(min_delta)
        self._sign = {"min": -1, "max": 1}.get(mode)  # 1 if large is good
        self._has_warned = False

    def on_train_begin(self, logs=None):
        self._has_warned = False

    def read(self, logs):
        """The number as a float, or `None`, after a warning, if it isn't among the logs."""
        logs = logs or {}
        if self.monitor not in logs:
            self._warn(logs)
            return None
        try:
            return float(np.asarray(logs[self.monitor]).reshape(()))
        except (TypeError, ValueError):
            raise ValueError(
                f"{type(self).__name__} monitors '{self.monitor}', which should be one number; "
                f"received {shown(logs[self.monitor])}."
            ) from None

    def _warn(self, logs):
        if not self._has_warned:
            self._has_warned = True
            warnings.warn(
                f"{type(self).__name__} monitors '{self.monitor}', which is not among the logs: "
                f"{', '.join(sorted(logs)) or 'there are none'}. "
                f"{did_you_mean(self.monitor, logs)}".rstrip(),
                stacklevel=2,
            )

    def is_better(self, value, than):
        """Whether `value` beats `than` by more than `min_delta`."""
        if self._sign is None:
            self._sign = self._find_sign()
        if than is None or math.isnan(than):
            return not math.isnan(value)
        return self._sign * (value - than) > self.min_delta

    def _find_sign(self):
        """Which way is better, according to the loss or the metric of that name."""
        name = self.monitor.removeprefix("val_")
        if name == "loss" or name.endswith("_loss"):
            return -1
        # The metrics of a model with several outputs are called `output_metric`.
        parts = name.split("_")
        names = ["_".join(parts[i:]) for i in range(len(parts))]
        own = {metric.name: metric for metric in _metrics_of(self.model)}
        for n in names:
            direction = getattr(own.get(n) or lookup("metrics", n), "_direction", _SHORT.get(n))
            if direction is not None:
                return {"up": 1, "down": -1}[direction]
        raise ValueError(
            f"{type(self).__name__} can't tell whether a large '{self.monitor}' is good or bad: "
            "pass mode='max' or mode='min'."
        )


# Names that `compile` takes for several metrics.
_SHORT = {"acc": "up", "ce": "down", "crossentropy": "down"}


def _metrics_of(model):
    """The metrics in a model, those inside its containers of metrics too."""
    for metric in getattr(model, "metrics", ()):
        yield metric
        yield from getattr(metric, "metrics", ())
