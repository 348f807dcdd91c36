"""What the constructors of several layers share: checks, and defaults that depend on the rank."""

import inspect
import types

import numpy as np

from ..core.messages import expected


def positive_int(argument, value):
    """`value` as an int, or a `ValueError` unless it is a whole number above zero."""
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value > 0:
        return int(value)
    raise ValueError(expected(argument, "a positive int", value))


def int_tuple(argument, value, rank, least=1):
    """`value`, an int or `rank` ints, as a tuple of `rank` ints, none below `least`."""
    given = (value,) * rank if isinstance(value, (int, np.integer)) else value
    if isinstance(given, (list, tuple)) and len(given) == rank and all(_is_int(n) for n in given):
        sizes = tuple(int(n) for n in given)
        if min(sizes) >= least:
            return sizes
    wanted = f"an int of at least {least}" + (f", or {rank} of them" if rank > 1 else "")
    raise ValueError(expected(argument, wanted, value))


def margins(argument, value, rank):
    """`((before, after), …)` for each of `rank` axes, from one int, one per axis, or pairs."""
    given = (value,) * rank if isinstance(value, (int, np.integer)) else value
    if isinstance(given, (list, tuple)) and len(given) == rank:
        pairs = [(n, n) if isinstance(n, (int, np.integer)) else n for n in given]
        if all(isinstance(p, (list, tuple)) and len(p) == 2 and _natural(p) for p in pairs):
            return tuple((int(before), int(after)) for before, after in pairs)
    wanted = f"an int of at least 0, {rank} of them, or {rank} pairs (before, after)"
    raise ValueError(expected(argument, wanted, value))


def share(argument, value, below=None):
    """`value`, or a `ValueError` unless it is a number from 0 to 1, and not `below`."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= 1 or value == below:
        wanted = "a number from 0 to 1" + (", and not 1" if below else "")
        raise ValueError(expected(argument, wanted, value))
    return value


def _is_int(n):
    return isinstance(n, (int, np.integer)) and not isinstance(n, bool)


def _natural(sizes):
    return all(_is_int(n) and n >= 0 for n in sizes)


def refuse_unfinished(layer, **arguments):
    """Raise a `NotImplementedError` that names an argument whose feature doesn't exist yet."""
    for name, value in arguments.items():
        if value not in (None, False):
            raise NotImplementedError(
                f"{type(layer).__name__}: {name}={value!r} isn't implemented yet; leave {name} out."
            )


def with_defaults(function, **defaults):
    """A copy of `function` whose parameters have other default values.

    N-dimensional layers share one constructor, but `strides` shows `(1, 1)` in two dimensions.
    """
    copy = types.FunctionType(
        function.__code__,
        function.__globals__,
        function.__name__,
        closure=function.__closure__,
    )
    parameters = inspect.signature(function).parameters.values()
    copy.__defaults__ = tuple(
        defaults.get(p.name, p.default)
        for p in parameters
        if p.kind is p.POSITIONAL_OR_KEYWORD and p.default is not p.empty
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy
