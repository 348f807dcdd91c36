"""What the user sees on standard output: lines, and one line that is drawn again and again."""

import json
import logging
import math
import sys

import numpy as np

from ..core import settings

_logger = logging.getLogger("hornbeam")
_unfinished = None, 0  # the stream with an unfinished line, and how many columns that takes


def print_line(text):
    """Print a line, or log it if `keras.config.disable_interactive_logging()` was called."""
    if settings.is_interactive_logging_enabled():
        erase_line()
        print(text, flush=True)
    elif _logger.hasHandlers():
        _logger.info(text)
    else:
        print(text, file=sys.stderr, flush=True)


def to_json(data):
    """A dict of numbers, strings, arrays and dicts as JSON, which has no NaN and no infinity."""
    return json.dumps(_plain(data))


def _plain(value):
    if isinstance(value, dict):
        return {name: _plain(x) for name, x in value.items()}
    value = value if isinstance(value, list) else np.asarray(value).tolist()
    if isinstance(value, list):
        return [_plain(x) for x in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def draw_line(text, length, end=""):
    """Put `text`, which takes `length` columns, over the unfinished line."""
    global _unfinished
    stream, drawn = _unfinished
    excess = drawn - length if stream is sys.stdout else 0
    sys.stdout.write(f"\r{text}{' ' * excess}{end}")
    sys.stdout.flush()
    _unfinished = sys.stdout, 0 if end else length


def erase_line():
    """Remove the unfinished line, so that other text may stand in its place."""
    stream, drawn = _unfinished
    if drawn and stream is sys.stdout:
        draw_line("", 0, end="\r")


def can_redraw():
    """Whether a line on standard output can be drawn again: in a terminal or a notebook."""
    notebook = type(sys.stdout).__module__.startswith("ipykernel")
    return settings.is_interactive_logging_enabled() and (notebook or is_terminal())


def is_terminal():
    """Whether standard output is a terminal."""
    isatty = getattr(sys.stdout, "isatty", None)
    return bool(isatty and isatty())
