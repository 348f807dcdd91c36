"""Ctrl-C and SIGTERM while a loop runs: at a moment that loses nothing, and never overheard.

Between the moment a step has taken its old arrays and the moment its new ones are stored, there is
no valid state to return to; an exception there would lose the model. While it traces, JAX 0.10.2
catches every exception in some places, and was seen to crash. And Python drops an exception that a
signal raises while a finalizer happens to run.
"""

import signal
import sys
import threading
from collections.abc import Callable
from typing import Any


class _Guard(threading.local):
    active = False  # whether `interrupts_deferrable` is at work in this thread
    depth = 0  # how many `uninterrupted` blocks there are
    pending: Callable[[], Any] | None = None  # raises what was put off


_guard = _Guard()


def _terminate(signum, _):
    # As a shell reports it. As an exception, so that files are closed and workers ended.
    raise SystemExit(128 + signum)


class interrupts_deferrable:
    """Context manager: `uninterrupted` blocks in it can put off Ctrl-C and SIGTERM to their end.

    Whenever a signal comes, also while it is entered or left, what was there before is restored.
    """

    def __enter__(self):
        in_main = threading.current_thread() is threading.main_thread()
        self._outermost = in_main and not _guard.active
        if self._outermost:
            self._before = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)}
            self._hook = sys.unraisablehook
            try:
                self._install()
            except BaseException:
                self._restore()
                raise

    def _install(self):
        handlers = {number: h for number, h in self._before.items() if callable(h)}
        if self._before[signal.SIGTERM] is signal.SIG_DFL:
            handlers[signal.SIGTERM] = _terminate

        def on_signal(number, frame):
            if _guard.depth:
                _guard.pending = lambda: handlers[number](number, frame)
            else:
                handlers[number](number, frame)

        def on_unraisable(dropped):
            in_main = threading.current_thread() is threading.main_thread()
            if in_main and isinstance(dropped.exc_value, (KeyboardInterrupt, SystemExit)):
                _guard.pending = lambda error=dropped.exc_value: _raise(error)
            else:
                self._hook(dropped)

        _guard.active, _guard.depth, _guard.pending = True, 0, None
        sys.unraisablehook = on_unraisable
        for number in handlers:
            signal.signal(number, on_signal)

    def _restore(self):
        sys.unraisablehook = self._hook
        _guard.active = False
        for number, handler in self._before.items():
            if handler is not None:  # one that Python doesn't know
                signal.signal(number, handler)
        pending, _guard.pending = _guard.pending, None
        if pending is not None:
            pending()

    def __exit__(self, *_):
        if self._outermost:
            try:
                _guard.depth += 1
            finally:
                self._restore()


def _raise(error):
    raise error


class uninterrupted:
    """Context manager: Ctrl-C takes effect at its end."""

    def __enter__(self):
        _guard.depth += 1

    def __exit__(self, *_):
        _guard.depth -= 1
        if _guard.depth == 0 and _guard.pending is not None:
            pending, _guard.pending = _guard.pending, None
            pending()
