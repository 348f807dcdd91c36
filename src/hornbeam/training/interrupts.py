"""Ctrl-C and SIGTERM while a loop runs: at a moment that loses nothing, and never overheard.

Between the moment a step has taken its old arrays and the moment its new ones are stored, there is
no valid state to return to; an exception there would lose the model. And Python drops an exception
that a signal raises while a finalizer happens to run.
"""

import contextlib
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


@contextlib.contextmanager
def interrupts_deferrable():
    """While active, `uninterrupted` blocks can put off Ctrl-C and SIGTERM to their end."""
    if _guard.active or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    handlers = {number: h for number, h in before.items() if callable(h)}
    if before[signal.SIGTERM] is signal.SIG_DFL:
        handlers[signal.SIGTERM] = _terminate
    hook = sys.unraisablehook

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
            hook(dropped)

    _guard.active, _guard.depth, _guard.pending = True, 0, None
    sys.unraisablehook = on_unraisable
    for number in handlers:
        signal.signal(number, on_signal)
    try:
        yield
    finally:
        for number in handlers:
            signal.signal(number, before[number])
        sys.unraisablehook = hook
        _guard.active = False


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
