"""Objects as data in the form of Keras 2: `{"class_name": ..., "config": ...}`, or a name."""

import inspect

from ..core import objects
from ..core.loading import LoadError, loading
from ..core.messages import did_you_mean, shown


def serialize_keras_object(instance):
    """Describe an object in the form of Keras 2.

    Args:
        instance: an object with `get_config`, a function, or `None`.

    Returns:
        A dict with the class's name and the config; of a function, its name.

    Raises:
        ValueError: for anything else.

    Example:

    >>> keras.legacy.saving.serialize_keras_object(keras.regularizers.L2(0.1))
    {'class_name': 'L2', 'config': {'l2': 0.1}}
    """
    if instance is None:
        return None
    if hasattr(instance, "get_config"):
        config = {k: objects.config_value(v) for k, v in instance.get_config().items()}
        return {"class_name": objects.get_registered_name(type(instance)), "config": config}
    if hasattr(instance, "__name__"):
        return objects.get_registered_name(instance)
    raise ValueError(f"Can't describe {shown(instance)} as data: it has no `get_config` method.")


def deserialize_keras_object(
    identifier, module_objects=None, custom_objects=None, printable_module_name="object"
):
    """Make the object that `serialize_keras_object` described.

    Args:
        identifier: the description: a dict, a name, `None`, or a function (returned as it is).
        module_objects: dict from names to the classes and functions that may be meant.
        custom_objects: further ones.
        printable_module_name: what the objects are, for errors.

    Raises:
        LoadError: for an unknown name, or what is no description.

    Example:

    >>> config = {"class_name": "L2", "config": {"l2": 0.1}}
    >>> keras.legacy.saving.deserialize_keras_object(config, vars(keras.regularizers)).l2
    0.1
    """
    if identifier is None or inspect.isroutine(identifier):
        return identifier
    with loading():
        return _made(identifier, module_objects, custom_objects, printable_module_name)


def _made(identifier, module_objects, custom_objects, printable_module_name):
    named = isinstance(identifier, str)
    if not named and not (
        isinstance(identifier, dict) and {"class_name", "config"} <= {*identifier}
    ):
        raise LoadError(
            f"A description of one of the {printable_module_name}s is a name, or a dict with "
            f"'class_name' and 'config'; received {shown(identifier)}."
        )
    name = identifier if named else identifier["class_name"]
    found = objects.get_registered_object(name, custom_objects, module_objects)
    if found is None:
        raise LoadError(
            f"Unknown {printable_module_name} {name!r}. "
            f"{did_you_mean(name, {**(module_objects or {}), **(custom_objects or {})})}".strip()
        )
    if named:
        return found() if inspect.isclass(found) else found
    with objects.CustomObjectScope(custom_objects):
        if (refusal := getattr(found, "__dict__", {}).get("no_config")) is not None:
            raise LoadError(refusal)
        if hasattr(found, "from_config"):
            return found.from_config(identifier["config"])
        if not (inspect.isclass(found) and hasattr(found, "get_config")):  # it could be anything
            raise LoadError(f"{name!r} can't be made from a config: it has no `get_config`.")
        return found(**identifier["config"])
