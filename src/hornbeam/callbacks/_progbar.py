"""The progress bar, and the callback that draws it."""

import math
import os
import shutil
import time

import numpy as np

from ..core.messages import one_of
from ._base import Callback
from ._printing import can_redraw, draw_line, is_terminal, print_line

_GREEN, _PLAIN = "\x1b[32m", "\x1b[0m"


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
        self.mark(current, now)
        if finalize is None:
            finalize = self.target is not None and current >= self.target
        if finalize:
            self.finish()
        elif self.redraws and now >= self._next_drawing:
            self._next_drawing = now + self.interval
            self.draw()

    def mark(self, current, now):
        """Remember when `current` steps were done, to measure speed."""
        if self._stopped is None or current > self._stopped[1]:
            self._stopped = (now, current)
            self._first = self._first or self._stopped

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
            seconds = _duration(time.perf_counter() - self._start)
            parts = [self._count(), seconds, self._speed(), *self._numbers()]
            print_line(self.prefix + " - ".join(filter(None, parts)))

    def _coloured(self, line):
        bar = self._bar()
        if not bar or "NO_COLOR" in os.environ:
            return line
        return line.replace(bar, f"{_GREEN}{bar}{_PLAIN}", 1)

    def _live_line(self, remaining):
        seconds = time.perf_counter() - self._start
        if remaining and self.target is not None:
            seconds = self._seconds_per_step() * (self.target - self._done)
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

    def _seconds_per_step(self):
        """Without the first report, in which programs were compiled, once there is a second."""
        if self._first is None or self._stopped is None:
            return 0.0
        (first, before), (last, done) = self._first, self._stopped
        if done > before:
            return (last - first) / (done - before)
        return (last - self._start) / max(done, 1)

    def _speed(self):
        seconds = self._seconds_per_step()
        if not seconds:
            return ""
        for unit, scale in (("s", 1), ("ms", 1e3), ("us", 1e6)):
            if seconds * scale >= 1 or unit == "us":
                return f"{seconds * scale:.0f}{unit}/{self.unit_name}"

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
    """Draws the progress bar of `fit`, `evaluate` and `predict`, at most ten times a second."""

    interval = 0.1
    follows_steps = False
    _bar: Progbar

    def __init__(self):
        super().__init__()
        self.verbose = 1
        self._in_fit = False
        self._steps = 0  # done in this epoch
        self._last_steps = None  # done in the epoch before
        self._next_drawing = 0.0

    def set_params(self, params):
        super().set_params(params)
        verbose = (params or {}).get("verbose", 1)
        self.verbose = 1 if verbose == "auto" else int(verbose)

    def on_train_begin(self, logs=None):
        self._in_fit, self._last_steps = True, None

    def on_train_end(self, logs=None):
        self._in_fit = False

    def on_epoch_begin(self, epoch, logs=None):
        epochs = self.params.get("epochs") or 1
        self._begin(f"Epoch {epoch + 1}/{epochs}" if epochs > 1 else "")

    def on_epoch_end(self, epoch, logs=None):
        self._end(logs)

    def on_test_begin(self, logs=None):
        if self._in_fit:
            self._bar.mark(self._steps, time.perf_counter())
        else:
            self._begin()

    def on_test_end(self, logs=None):
        if not self._in_fit:
            self._end(logs)

    def on_predict_begin(self, logs=None):
        self._begin()

    def on_predict_end(self, logs=None):
        self._end(None)

    def on_test_steps_end(self, steps_done, read_logs):
        if not self._in_fit:
            self.on_steps_end(steps_done, read_logs)

    def on_predict_steps_end(self, steps_done, read_logs):
        self.on_steps_end(steps_done, read_logs)

    def on_steps_end(self, steps_done, read_logs):
        self._steps = steps_done
        now = time.perf_counter()
        if now >= self._next_drawing:
            self._draw(now, read_logs)

    def _begin(self, title=""):
        steps = self.params.get("steps") or self._last_steps
        # The logs are means already, and this class decides when to draw.
        self._bar = bar = Progbar(steps, verbose=self.verbose, interval=0, stateless_metrics=())
        self._steps, self._next_drawing = 0, 0.0
        if title and bar.redraws:
            print_line(title)
        elif title:
            bar.prefix = f"{title} - "

    def _draw(self, now, read_logs):
        bar, steps = self._bar, self._steps
        bar.mark(steps, now)
        if not bar.redraws:
            self._next_drawing = math.inf
            return
        if bar.target is not None and steps > bar.target:
            bar.target = None  # the epoch before was shorter
        bar.update(steps, list(read_logs().items()), finalize=False)
        self._next_drawing = time.perf_counter() + self.interval

    def _end(self, logs):
        self._bar.mark(self._steps, time.perf_counter())
        self._bar.update(self._steps, list((logs or {}).items()), finalize=True)
        self._last_steps = self._steps
