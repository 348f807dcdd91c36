"""Small callbacks: functions as callbacks, a table on disk, a server, and a watch for NaN."""

import csv
import io
import math
import os
import time
import urllib.parse
import urllib.request
import warnings

import numpy as np

from ..core.messages import expected, unknown_keywords
from ..saving._atomic import atomic_write
from ._base import Callback
from ._list import EVENTS
from ._printing import print_line, to_json


class LambdaCallback(Callback):
    """A callback made of functions.

    Args:
        on_epoch_begin, on_epoch_end: functions of `(epoch, logs)`.
        on_train_begin, on_train_end: functions of `(logs)`.
        on_train_batch_begin, on_train_batch_end: functions of `(batch, logs)`.
        **kwargs: functions for the other events of `Callback`, by their names.

    Example:

    >>> callback = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch))
    >>> keras.callbacks.CallbackList([callback]).on_epoch_end(3, {})
    3
    """

    def __init__(
        self,
        on_epoch_begin=None,
        on_epoch_end=None,
        on_train_begin=None,
        on_train_end=None,
        on_train_batch_begin=None,
        on_train_batch_end=None,
        **kwargs,
    ):
        super().__init__()
        if unknown := kwargs.keys() - EVENTS.keys():
            raise unknown_keywords("LambdaCallback", unknown, EVENTS)
        functions = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
            **kwargs,
        }
        for event, function in functions.items():
            if function is None:
                continue
            if not callable(function):
                raise TypeError(expected(f"LambdaCallback's {event}", "a function", function))
            setattr(self, event, function)


class CSVLogger(Callback):
    """Writes the logs of every epoch as a row of a CSV file.

    The columns are those of the first epoch, and `val_…` ones where that had none, since
    validation may come later. `NA` stands for a number that an epoch lacks.

    Args:
        filename: the file.
        separator: what stands between columns.
        append: whether to keep the rows that the file has.

    Example:

    >>> callback = keras.callbacks.CSVLogger("log.csv", append=True)
    """

    def __init__(self, filename, separator=",", append=False):
        super().__init__()
        self.filename = os.fspath(filename)
        self.sep = separator
        self.append = append
        self.keys = None
        self._has_rows = False  # whether this training has written some

    def on_train_begin(self, logs=None):
        self.keys, self._has_rows = None, False

    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        if self.keys is None:
            self.keys = sorted(logs)
            if not any(key.startswith("val_") for key in logs):
                self.keys += [f"val_{key}" for key in self.keys]
        row = {key: _cell(logs[key]) if key in logs else "NA" for key in self.keys}
        going_on = self.append or self._has_rows
        with io.StringIO() as text:
            writer = csv.DictWriter(
                text, ["epoch", *self.keys], delimiter=self.sep, lineterminator="\n"
            )
            if not going_on or not self._size():
                writer.writeheader()
            writer.writerow({"epoch": epoch, **row})
            self._write(text.getvalue().encode(), going_on)
        self._has_rows = True

    def _write(self, rows, going_on):
        """Put rows on the disk, all of them or none."""
        if not going_on:
            with atomic_write(self.filename) as temporary:
                temporary.write_bytes(rows)
            return
        size = self._size()
        with open(self.filename, "ab", buffering=0) as file:
            try:
                if file.write(rows) < len(rows):
                    raise OSError(f"No room for the next row of '{self.filename}'.")
                os.fsync(file.fileno())
            except OSError:
                file.truncate(size)
                raise

    def state(self):
        return {"keys": self.keys, "_has_rows": self._has_rows, "size": self._size()}

    def set_state(self, state):
        """Go on from what `state` returned; rows that were written after that are removed."""
        state = dict(state)
        size = state.pop("size")
        if self._size() > size:
            os.truncate(self.filename, size)
        vars(self).update(state)

    def _size(self):
        """Bytes of the file."""
        return os.path.getsize(self.filename) if os.path.exists(self.filename) else 0


def _cell(value):
    if isinstance(value, str) or np.ndim(value) == 0:
        return value
    return f'"[{", ".join(map(str, np.asarray(value).tolist()))}]"'


class RemoteMonitor(Callback):
    """Sends the logs of every epoch to a server, by HTTP POST.

    NaN and infinity become `null`, since JSON lacks them. A server that can't be reached is a
    warning; the training goes on.

    Args:
        root: the server: `"http://localhost:9000"`.
        path: where on it.
        field: name of the form's field that holds the logs, as JSON; not used with
            `send_as_json`.
        headers: dict of further headers.
        send_as_json: whether to send plain JSON instead of a form.

    Raises:
        ValueError: if `root` is no address of a web server.

    Example:

    >>> callback = keras.callbacks.RemoteMonitor("http://localhost:9000", send_as_json=True)
    """

    timeout = 10.0  # seconds; the training waits no longer than that for the server

    def __init__(
        self,
        root="http://localhost:9000",
        path="/publish/epoch/end/",
        field="data",
        headers=None,
        send_as_json=False,
    ):
        super().__init__()
        if not root.startswith(("http://", "https://")):
            raise ValueError(expected("RemoteMonitor's root", "'http://…' or 'https://…'", root))
        self.root = root
        self.path = path
        self.field = field
        self.headers = headers
        self.send_as_json = send_as_json

    def on_epoch_end(self, epoch, logs=None):
        kind, data = "application/json", to_json({"epoch": epoch, **(logs or {})})
        if not self.send_as_json:
            kind = "application/x-www-form-urlencoded"
            data = urllib.parse.urlencode({self.field: data})
        headers = {"Content-Type": kind, **(self.headers or {})}
        request = urllib.request.Request(self.root + self.path, data.encode(), headers)
        try:
            urllib.request.urlopen(request, timeout=self.timeout).close()
        except OSError as error:  # a URLError is one
            warnings.warn(
                f"RemoteMonitor can't reach {self.root + self.path}: {error}.", stacklevel=2
            )


class TerminateOnNaN(Callback):
    """Ends the training when the loss is no longer a finite number.

    It looks at the loss up to ten times a second, and at the end of every epoch.

    Args:
        raise_error: whether to raise an error rather than to stop quietly.

    Raises:
        RuntimeError: with `raise_error`, when the loss is NaN or infinite.

    Example:

    >>> callback = keras.callbacks.TerminateOnNaN(raise_error=True)
    """

    interval = 0.1
    follows_steps = False

    def __init__(self, raise_error=False):
        super().__init__()
        self.raise_error = raise_error
        self._next_look = 0.0
        self._stopped = False

    def on_train_begin(self, logs=None):
        self._next_look, self._stopped = 0.0, False

    def on_steps_end(self, steps_done, read_logs):
        if time.perf_counter() >= self._next_look:
            self._check(read_logs(), f"within the first {steps_done} steps of the epoch")
            self._next_look = time.perf_counter() + self.interval

    def on_epoch_end(self, epoch, logs=None):
        self._check(logs or {}, f"in epoch {epoch + 1}")

    def _check(self, logs, when):
        loss = logs.get("loss")
        if loss is None or math.isfinite(loss) or self._stopped:
            return
        if self.raise_error:
            raise RuntimeError(f"The loss became {loss} {when}.")
        self._stopped = self.model.stop_training = True
        print_line(f"The loss became {loss} {when}: ending the training.")
