"""The progress bar, and the callback that draws it."""

import math
import os
import shutil
import time

import numpy as np

from ..core.messages import one_of
from ._base import Callback
from ._printing import can_redraw, draw_line, is_terminal, print_line, to_json

_GREEN, _PLAIN = "\x1b[32m", "\x1b[0m"
_LEAST_SHARE = 0.05  # of time spent waiting for data that is worth saying
_NAMES = {"train": "training", "test": "evaluation", "predict": "prediction"}


class Progbar:
    """Shows on standard output how far a loop is, how fast, and some numbers.

    In a terminal or a notebook the line is drawn again and again; elsewhere (a pipe, a log file)
    it is written once, when the loop has finished.

    Args:
        target: number of steps in all, or `None` if it isn't known.
        width: length of the bar in characters.
        verbose: 0 for nothing, 1 for a bar, 2 for one line at the end.
        interval: seconds between two drawings, at least.
        stateful_metrics: names of the values to be shown as they are; the others are averaged.
        stateless_metrics: names of the values to be averaged; the others are shown as they are.
        unit_name: what a step is called.

    Example:

    >>> bar = keras.utils.Progbar(2, verbose=2)
    >>> bar.add(1, [("loss", 3.0)])
    >>> bar.add(1, [("loss", 1.0)])
    2/2 - 0s - .../step - loss: 2.0000
    """

    def __init__(
        self,
        target,
        width=20,
        verbose=1,
        interval=0.05,
        stateful_metrics=None,
        stateless_metrics=None,
        unit_name="step",
    ):
        self.target = target
        self.width = width
        self.verbose = one_of("verbose", verbose, (0, 1, 2))
        self.interval = interval
        self.stateful_metrics = set(stateful_metrics or ())
        self.stateless_metrics = None if stateless_metrics is None else set(stateless_metrics)
        self.unit_name = unit_name
        self.prefix = ""  # stands before the line that is written at the end, if it is the only one
        self.redraws = verbose == 1 and can_redraw()
        self._values = {}  # {name: (sum, weight)}
        self._waited = 0.0  # seconds spent waiting for data
        self._skipped = 0.0  # seconds that belong to no step
        self._done = 0
        self._start = time.perf_counter()
        self._first = None  # (time, steps) of the first report, which includes compiling
        self._stopped = None  # (time, steps) of the last step
        self._next_drawing = 0.0

    def add(self, n, values=None):
        """Report `n` further steps, with `values` as in `update`."""
        self.update(self._done + n, values)

    def update(self, current, values=None, finalize=None):
        """Report that `current` steps are done.

        Args:
            current: number of steps done.
            values: list of pairs `(name, value)`.
            finalize: whether that was the last step; by default, whether `current` has reached
                the target. With `True`, `values` are final: they are shown as they are.
        """
        for name, value in values or ():
            self._keep(name, value, current - self._done, bool(finalize))
        self._done = current
        now = time.perf_counter()
        if self._stopped is None or current > self._stopped[1]:
            self.mark(current)
        if finalize is None:
            finalize = self.target is not None and current >= self.target
        if finalize:
            self.finish()
        elif self.redraws and now >= self._next_drawing:
            self._next_drawing = now + self.interval
            self.draw()

    def mark(self, current):
        """Measure speed by `current` steps being done by now."""
        self._stopped = (time.perf_counter() - self._skipped, current)
        self._first = self._first or self._stopped

    def begin(self, done=0):
        """Measure speed from now on, after `done` steps."""
        self._first = None
        self.mark(done)

    def skip(self, seconds):
        """Leave seconds that have just passed, such as those of compiling, out of the speed."""
        self._skipped += seconds

    def wait(self, seconds):
        """Count seconds that have just passed as spent waiting for data."""
        self._waited += seconds

    @property
    def seconds(self):
        """Seconds since the start."""
        return time.perf_counter() - self._start

    @property
    def seconds_left(self):
        """Seconds to go, or `None` if nobody knows."""
        if self.target is None or self._stopped is None:
            return None
        return self.seconds_per_step * max(self.target - self._done, 0)

    @property
    def seconds_per_step(self):
        """Without the first report, where much is done once, as soon as there is a second."""
        if self._first is None or self._stopped is None:
            return 0.0
        (first, before), (last, done) = self._first, self._stopped
        if done > before:
            return (last - first) / (done - before)
        return (last - self._start) / max(done, 1)

    @property
    def share_waiting(self):
        """The share of the time that was spent waiting for data, from 0 to 1."""
        if self._stopped is None:
            return 0.0
        return min(1.0, self._waited / max(self._stopped[0] - self._start, 1e-9))

    def _keep(self, name, value, steps, final):
        averaged = (
            name not in self.stateful_metrics
            if self.stateless_metrics is None
            else name in self.stateless_metrics
        )
        if final or not averaged:
            self._values[name] = (value, 1)
        else:
            # At least 1, since the first report may come before the first step.
            weight = max(steps, 1)
            total, count = self._values.get(name, (0.0, 0))
            self._values[name] = (total + np.mean(value) * weight, count + weight)

    def draw(self):
        """Draw the line over the last one."""
        line = self._live_line(remaining=True)
        columns = shutil.get_terminal_size().columns
        if is_terminal() and len(line) >= columns:
            line = line[: columns - 2] + "…"  # a second row could not be drawn over
        draw_line(self._coloured(line), len(line))

    def finish(self):
        """Write the line of a finished loop."""
        if self.verbose == 0:
            return
        self.target = self._done
        if self.redraws:
            line = self._live_line(remaining=False)
            draw_line(self._coloured(line), len(line), end="\n")
        else:
            self.print(_duration(self.seconds))

    def print(self, seconds):
        """Write a line that stays, with a text about time."""
        parts = [self._count(), seconds, self._speed(), *self._numbers()]
        print_line(self.prefix + " - ".join(filter(None, parts)))

    def print_remaining(self):
        """Write a line that stays, of a loop that goes on."""
        left = self.seconds_left
        self.print("" if left is None else f"{_duration(left)} left")

    def _coloured(self, line):
        bar = self._bar()
        if not bar or "NO_COLOR" in os.environ:
            return line
        return line.replace(bar, f"{_GREEN}{bar}{_PLAIN}", 1)

    def _live_line(self, remaining):
        left = self.seconds_left if remaining else None
        seconds = self.seconds if left is None else left
        head = " ".join(filter(None, [self._count(), self._bar(), _duration(seconds)]))
        return " - ".join([f"{head} {self._speed()}".rstrip(), *self._numbers()])

    def _count(self):
        if self.target is None:
            return f"{self._done:>7}/Unknown"
        return f"{self._done:>{len(str(self.target))}}/{self.target}"

    def _bar(self):
        if not self.target:
            return ""
        halves = min(2 * self.width, 2 * self.width * self._done // self.target)
        full = "━" * (halves // 2) + "╸" * (halves % 2)
        return full.ljust(self.width, "─")

    def _speed(self):
        seconds = self.seconds_per_step
        if not seconds:
            return ""
        units = (("s", 1), ("ms", 1e3), ("us", 1e6))
        unit, scale = next(((u, s) for u, s in units if seconds * s >= 1), units[-1])
        text = f"{seconds * scale:.0f}{unit}/{self.unit_name}"
        share = self.share_waiting
        return text if share < _LEAST_SHARE else f"{text}, {share:.0%} waiting for data"

    def _numbers(self):
        return [f"{name}: {_number(total, n)}" for name, (total, n) in self._values.items()]


def _number(total, count):
    try:
        value = float(np.mean(total)) / max(count, 1)
    except (TypeError, ValueError):
        return str(total)
    return f"{value:.4f}" if abs(value) > 1e-3 or value == 0 else f"{value:.4e}"


def _duration(seconds):
    seconds = int(seconds)
    hours, minutes = seconds // 3600, seconds // 60 % 60
    if hours:
        return f"{hours}:{minutes:02d}:{seconds % 60:02d}"
    return f"{minutes}:{seconds % 60:02d}" if minutes else f"{seconds}s"


class ProgbarLogger(Callback):
    """Shows the progress of `fit`, `evaluate` and `predict`; they add it by themselves.

    What it shows follows from where it writes, and from their `verbose`:

    - In a terminal or a notebook, one line is drawn again, at most ten times a second: steps, time
      left, time per step, loss and metrics.
    - In a log file, there is one line for each epoch, and one every minute of a long one.
    - With `verbose=2` there is only the line for each epoch.
    - With `verbose="json"` every line is a JSON object: `{"event": "progress", ...}` once a
      second, `{"event": "end", ...}` when an epoch (or an evaluation, or a prediction) is over,
      `{"event": "compiled", ...}` when a step was compiled. NaN and infinity become `null`.

    The share of time in which the device had nothing to do but wait for data is named if it is 5%
    or more. Compiling doesn't count in the time per step; if it takes a second or more, that is a
    line of its own.

    Example:

    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> loss = model.evaluate(np.ones((8, 4)), np.ones((8, 1)), verbose="json")
    {"event": "compiled", "kind": "test", "seconds": ...}
    {"event": "end", "kind": "test", "step": 1, "steps": 1, ..., "logs": {"loss": ...}}
    """

    interval = 0.1  # seconds between two drawings, at least
    log_interval = 60.0  # between two lines of an epoch, where nothing can be drawn again
    json_interval = 1.0  # between two lines of JSON
    long_compile = 1.0  # seconds of compiling that are worth a line
    follows_steps = False
    _bar: Progbar

    def __init__(self):
        super().__init__()
        self.verbose = 1
        self._in_fit = False
        self._kind, self._epoch = "train", None
        self._steps = 0  # done in this epoch
        self._last_steps = None  # done in the epoch before
        self._next_report = 0.0
        self._measured = False  # whether the steps are over, and what is left is validation

    def set_params(self, params):
        super().set_params(params)
        verbose = (params or {}).get("verbose", 1)
        self.verbose = one_of("verbose", verbose, (0, 1, 2, "auto", "json"))
        if verbose in (True, "auto"):
            self.verbose = 1

    def on_train_begin(self, logs=None):
        self._in_fit, self._steps, self._last_steps = True, 0, None

    def on_train_end(self, logs=None):
        self._in_fit = False

    def state(self):
        return {"_steps": self._steps, "_last_steps": self._last_steps}

    def set_state(self, state):
        vars(self).update(state)
        if hasattr(self, "_bar"):  # within an epoch, whose first steps took no time here
            self._bar.begin(self._steps)

    def on_epoch_begin(self, epoch, logs=None):
        epochs = self.params.get("epochs") or 1
        self._epoch = epoch
        self._begin("train", f"Epoch {epoch + 1}/{epochs}" if epochs > 1 else "")

    def on_epoch_end(self, epoch, logs=None):
        self._end(logs)

    def on_test_begin(self, logs=None):
        if self._in_fit:
            self._bar.mark(self._steps)
            self._measured = True
        else:
            self._begin("test")

    def on_test_end(self, logs=None):
        if not self._in_fit:
            self._end(logs)

    def on_predict_begin(self, logs=None):
        self._begin("predict")

    def on_predict_end(self, logs=None):
        self._end(None)

    def on_test_steps_end(self, steps_done, read_logs):
        if not self._in_fit:
            self.on_steps_end(steps_done, read_logs)

    def on_predict_steps_end(self, steps_done, read_logs):
        self.on_steps_end(steps_done, read_logs)

    def on_steps_end(self, steps_done, read_logs):
        self._steps = steps_done
        if time.perf_counter() >= self._next_report:
            self._report(read_logs())
            self._next_report = time.perf_counter() + self._pause()

    def on_data_wait(self, seconds):
        if not self._measured:
            self._bar.wait(seconds)

    def on_compile_begin(self, kind):
        if self._bar.redraws:
            text = f"Compiling the {_NAMES[kind]} step…"
            draw_line(text, len(text))

    def on_compile_end(self, kind, seconds):
        if not self._measured:
            self._bar.skip(seconds)
        if self.verbose == "json":
            data = {"event": "compiled", "kind": kind, "seconds": round(seconds, 3)}
            print_line(to_json(data))
        elif self.verbose and seconds >= self.long_compile:
            print_line(f"Compiled the {_NAMES[kind]} step in {seconds:.1f}s.")

    def _pause(self):
        """Seconds between two reports."""
        if self.verbose == "json":
            return self.json_interval
        if self._bar.redraws:
            return self.interval
        return self.log_interval if self.verbose == 1 else math.inf

    def _begin(self, kind, title=""):
        steps = self.params.get("steps") or self._last_steps
        verbose = 0 if self.verbose == "json" else int(self.verbose)
        # The logs are means already, and this class decides when to draw.
        self._bar = bar = Progbar(steps, verbose=verbose, interval=0, stateless_metrics=())
        bar.begin()  # the first step counts, too, since compiling is known and left out
        self._kind, self._steps, self._measured = kind, 0, False
        self._next_report = 0.0 if bar.redraws else time.perf_counter() + self._pause()
        if title and bar.redraws:
            print_line(title)
        elif title:
            bar.prefix = f"{title} - "

    def _report(self, logs):
        bar, steps = self._bar, self._steps
        bar.mark(steps)  # now, since the device is done with these steps when their logs are there
        if bar.target is not None and steps > bar.target:
            bar.target = None  # the epoch before was shorter
        bar.update(steps, list(logs.items()), finalize=False)
        if self.verbose == "json":
            self._print_json("progress", logs)
        elif self.verbose and not bar.redraws:
            bar.print_remaining()

    def _end(self, logs):
        bar, logs = self._bar, logs or {}
        if not self._measured:
            bar.mark(self._steps)
        bar.update(self._steps, list(logs.items()), finalize=True)
        self._last_steps = self._steps
        if self.verbose == "json":
            bar.target = self._steps
            self._print_json("end", logs)

    def _print_json(self, event, logs):
        bar = self._bar
        data = {"event": event, "kind": self._kind}
        if self._kind == "train":
            data.update(epoch=(self._epoch or 0) + 1, epochs=self.params.get("epochs") or 1)
        left = bar.seconds_left
        data.update(
            step=self._steps,
            steps=bar.target,
            seconds=round(bar.seconds, 3),
            seconds_per_step=float(f"{bar.seconds_per_step:.4g}"),
            seconds_left=None if left is None else round(left, 3),
            waiting_for_data=round(bar.share_waiting, 3),
            logs=logs,
        )
        print_line(to_json(data))
