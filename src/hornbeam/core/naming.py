"""Automatic names, in Keras's form, since files and configs depend on them."""

import collections
import functools
import re
import threading

_counts = collections.Counter()
_lock = threading.Lock()


@functools.cache
def to_snake_case(name):
    """`"MaxPooling2D"` becomes `"max_pooling2d"`."""
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def auto_name(prefix):
    """`prefix`, then `prefix_1`, `prefix_2`, …, since the last `clear_session`."""
    prefix = to_snake_case(prefix)
    number = get_uid(prefix) - 1
    return f"{prefix}_{number}" if number else prefix


def get_uid(prefix=""):
    """How many times this was called with `prefix` since the last `clear_session`: 1, 2, ….

    Example:

    >>> keras.backend.get_uid("thing"), keras.backend.get_uid("thing")
    (1, 2)
    """
    with _lock:
        _counts[prefix] += 1
        return _counts[prefix]


def reset_names():
    """Start every count again."""
    _counts.clear()
