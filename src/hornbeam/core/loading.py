"""What loading may cost, and the errors of what can't be loaded.

Everything that turns a file or a description into objects runs inside `loading`, which counts what
is made before it is made, and lets nothing out but a `LoadError`.
"""

import contextlib
import contextvars
import dataclasses
import math


class LoadError(ValueError):
    """What was to be loaded, a file or a description of an object, is broken, foreign or hostile.

    The message says which part of it is wrong. Nothing was changed.

    Example:

    >>> try:
    ...     keras.saving.deserialize_keras_object({"class_name": "Dence", "config": {}})
    ... except keras.saving.LoadError as error:
    ...     print(str(error).split(" (")[0])
    Unknown class 'Dence'
    """


class LimitError(LoadError):
    """What was to be loaded asks for more than `load_limits` allows."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """What loading one file, or one description, may ask for; see `load_limits`."""

    members: int = 100_000
    config_bytes: int = 64 << 20
    depth: int = 200
    nodes: int = 2_000_000
    objects: int = 200_000
    calls: int = 20_000
    tensor_size: int = 1 << 28
    variable_bytes: int = 2 << 30
    variables_per_weight: int = 8
    unpacked_ratio: int = 200


# What a small file may always unpack to, and a model have in variables beside those in its file.
SLACK = 64 << 20

_limits = contextvars.ContextVar("load_limits", default=Limits())  # noqa: B039  (it is frozen)
_budget: contextvars.ContextVar["_Budget | None"] = contextvars.ContextVar("budget", default=None)


@contextlib.contextmanager
def load_limits(**limits):
    """Context manager: what files and descriptions that are loaded inside may ask for.

    A file that asks for more is refused before anything is allocated, by a `LimitError` that names
    the number and the limit. Every limit is far above what common models need.

    Args:
        members: parts of a file: members of a zip, groups and arrays of HDF5. 100,000.
        config_bytes: bytes of JSON. 64 MiB.
        depth: nesting of JSON. 200.
        nodes: values in JSON. 2,000,000.
        objects: layers, initializers and other objects that are made. 200,000.
        calls: calls of layers and functions while the model is put together. 20,000.
        tensor_size: elements of a symbolic tensor, for one sample. 2**28.
        variable_bytes: bytes of variables that a description without a file of weights makes.
            2 GiB.
        variables_per_weight: bytes of variables for each byte of weights in the file. An optimizer
            that wasn't saved takes several; 8.
        unpacked_ratio: how many times its size a compressed part may unpack to, beyond the first
            64 MiB. 200.

    Example:

    >>> text = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4)]).to_json()
    >>> try:
    ...     with keras.saving.load_limits(variable_bytes=10):
    ...         keras.models.model_from_json(text)
    ... except keras.saving.LimitError as error:
    ...     print(str(error).split(";")[1].split(".")[0])
     the limit is 10
    """
    token = _limits.set(dataclasses.replace(_limits.get(), **limits))
    try:
        yield
    finally:
        _limits.reset(token)


def unlimited():
    """`load_limits` without any: for copies of what exists already."""
    return load_limits(**{field.name: math.inf for field in dataclasses.fields(Limits)})


def limits():
    """The `Limits` that hold now."""
    return _limits.get()


def check_limit(what, number, name, limit=None):
    """An error if `number` is above a limit.

    Args:
        what: what is counted, for the message, such as `"'m.keras': config.json has … bytes"`.
        number: how many there are.
        name: name of the limit.
        limit: its value now, if that depends on something else.
    """
    limit = getattr(_limits.get(), name) if limit is None else limit
    if number > limit:
        raise LimitError(
            f"{what.replace('…', f'{number:,}', 1)}; the limit is {limit:,}. If you trust the "
            f"file, raise it: `with keras.saving.load_limits({name}=…):`."
        )


class _Budget:
    """What one loading has made so far, and how many bytes of variables it may make.

    Args:
        variable_bytes: that number.
        name: the name of that limit.
    """

    def __init__(self, variable_bytes, name):
        self.variable_bytes, self.name = variable_bytes, name
        self.objects = self.bytes = 0
        self.calls: float = 0


# Whatever makes something that a description asked for calls one of these before. Where nothing is
# loaded they do nothing.


def is_loading():
    """Whether something is being loaded."""
    return _budget.get() is not None


def count_object():
    """Count an object that is about to be made from a description."""
    if (budget := _budget.get()) is not None:
        budget.objects += 1
        check_limit("It describes … objects or more", budget.objects, "objects")


def count_calls(number: float = 1):
    """Count calls of layers and functions that put a model together, or rounds of Python's loops
    that a description asks for."""
    if (budget := _budget.get()) is not None:
        budget.calls += number
        check_limit("Putting it together takes … calls of layers or more", budget.calls, "calls")


def count_variable(what, shape, itemsize=8):
    """Count a variable, or an array that NumPy makes while a layer is built.

    Args:
        what: its name, for messages.
        shape: its shape.
        itemsize: bytes of a number.
    """
    if (budget := _budget.get()) is not None:
        budget.bytes += math.prod(shape) * itemsize
        text = f"With {what} of shape {shape}, its variables take … bytes"
        check_limit(text, budget.bytes, budget.name, budget.variable_bytes)


def check_tensor(shape):
    """Refuse a symbolic tensor that is too large."""
    if is_loading():
        size = math.prod(n for n in shape if n is not None)
        check_limit(f"A tensor of shape {shape} has … elements", size, "tensor_size")


@contextlib.contextmanager
def loading(name="", weight_bytes=None):
    """Context manager around everything that makes objects of a file or a description.

    Inside, what is made is counted. An error that leaves the outermost block is a `LoadError`.

    Args:
        name: the file that is loaded, for messages.
        weight_bytes: bytes of the weights that come with it; `None` for a description alone.
    """
    if _budget.get() is not None:
        yield
        return
    if weight_bytes is None:
        budget = _Budget(limits().variable_bytes, "variable_bytes")
    else:
        per_weight = limits().variables_per_weight
        budget = _Budget(SLACK + per_weight * weight_bytes, "variables_per_weight")
    token = _budget.set(budget)
    try:
        yield
    except Exception as error:
        raise as_load_error(name, error) from error.__cause__ or error
    finally:
        _budget.reset(token)


def as_load_error(name, error):
    """The `LoadError` that says the same as any error met while loading from the file `name`."""
    if isinstance(error, RecursionError):
        text = "It is nested too deeply."
    elif isinstance(error, MemoryError):
        text = "There isn't enough memory for it."
    elif isinstance(error, ValueError):
        text = str(error)
    else:
        text = f"It can't be loaded: {type(error).__name__}: {error}"
    kind = type(error) if isinstance(error, LoadError) else LoadError
    return kind(text if not name or text.startswith(f"'{name}") else f"'{name}': {text}")


@contextlib.contextmanager
def explained(name, what=""):
    """Context manager around the reading of a part of a file: every error that leaves it is a
    `LoadError` that begins with the file's name.

    Args:
        name: the file.
        what: what is wrong with it then, such as `"config.json is damaged"`.
    """
    try:
        yield
    except Exception as error:
        kind = type(error) if isinstance(error, LoadError) else LoadError
        text = str(error)
        if isinstance(error, LoadError) and text.startswith(f"'{name}'"):
            raise
        if not isinstance(error, (OSError, ValueError)):
            text = f"{type(error).__name__}: {text}"
        parts = [f"'{name}'", *filter(None, [what]), text.removesuffix(".")]
        raise kind(": ".join(parts) + ".") from None
