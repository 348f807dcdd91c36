"""Error texts of one form: which argument, what was expected, what was received."""

import difflib


def shown(value, limit=120):
    """`repr(value)`, shortened so that an array can't fill the screen."""
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is not None and dtype is not None:
        return f"{type(value).__name__} of shape {tuple(shape)} and dtype {dtype}"
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def expected(argument, wanted, received, hint=None):
    """The one sentence of every argument error."""
    text = f"{argument} should be {wanted}; received {shown(received)}."
    return f"{text} {hint}" if hint else text


def did_you_mean(name, known):
    """A question naming the closest known names, or an empty string."""
    close = difflib.get_close_matches(str(name), [str(k) for k in known], n=3)
    return f"Did you mean {' or '.join(map(repr, close))}?" if close else ""


def one_of(argument, value, allowed):
    """`value` when it is in `allowed`, else a `ValueError` that lists what is."""
    if value not in allowed:
        wanted = "one of " + ", ".join(map(repr, allowed))
        raise ValueError(expected(argument, wanted, value, did_you_mean(value, allowed)))
    return value


def unknown_keywords(owner, names, known=()):
    """The error for keyword arguments that `owner` doesn't take."""
    names = sorted(names)
    hints = [did_you_mean(name, known) for name in names]
    text = f"{owner} takes no argument {', '.join(map(repr, names))}."
    return TypeError(" ".join([text, *filter(None, hints)]))


def missing_package(package, extra, what):
    """The one-line error for an optional package that isn't installed.

    `extra` is the name under which hornbeam asks for it, `None` for none.
    """
    target = package if extra is None else f'"hornbeam[{extra}]"'
    return ImportError(f"{what} needs {package}, which is not installed: pip install {target}")
