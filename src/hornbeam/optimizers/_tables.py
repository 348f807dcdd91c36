"""Optimizers by name, as data, and back."""

from ..core import objects
from ..core.messages import expected
from ._base import Optimizer
from ._optax import OptaxOptimizer, is_transformation


def get(identifier):
    """The optimizer that a name, a config, or an object means.

    Args:
        identifier: a name such as `"adam"` (upper and lower case alike), a config dict, an
            `Optimizer`, an optax `GradientTransformation`, or `None`.

    Raises:
        ValueError: for anything else; for an unknown name, with the closest known ones.

    Example:

    >>> type(keras.optimizers.get("rmsprop")).__name__
    'RMSprop'
    """
    if isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        known = objects.lookup("optimizers", identifier) is not None
        return objects.get("optimizers", identifier if known else identifier.lower())
    if is_transformation(identifier):
        return OptaxOptimizer(identifier)
    if identifier is None:
        return None
    if isinstance(identifier, type) and issubclass(identifier, Optimizer):
        return objects.get("optimizers", identifier)
    raise ValueError(
        expected(
            "optimizer",
            "a name, a config, an Optimizer, or an optax transformation (init and update)",
            identifier,
        )
    )


def serialize(optimizer):
    """The optimizer as plain data; its state isn't part of it.

    Example:

    >>> keras.optimizers.serialize(keras.optimizers.Lion())["class_name"]
    'Lion'
    """
    return objects.serialize(optimizer)


def deserialize(config, custom_objects=None):
    """The optimizer that `serialize` described, or that `{"class_name": "adam", "config": {}}`
    means."""
    with objects.CustomObjectScope(custom_objects):
        name = config.get("class_name") if isinstance(config, dict) else None
        if isinstance(name, str) and not config.get("module"):
            known = objects.lookup("optimizers", name) or objects.lookup("optimizers", name.lower())
            if (home := objects.public_name(known)) is not None:
                config = {**config, "module": home[0], "class_name": home[1]}
        return objects.deserialize(config, custom_objects)
