"""Layers as plain data."""

from ..core import objects
from ..core.loading import LoadError
from ..core.messages import expected
from ._base import Layer


def serialize(layer):
    """The layer as plain data, without the values of its weights.

    Example:

    >>> keras.layers.serialize(keras.layers.Dense(3))["class_name"]
    'Dense'
    """
    return objects.serialize(layer)


def deserialize(config, custom_objects=None):
    """The layer that `serialize` described.

    Args:
        config: the description.
        custom_objects: dict from names to classes and functions that it uses.
    """
    layer = objects.deserialize(config, custom_objects)
    if not isinstance(layer, Layer):
        raise LoadError(expected("config", "the description of a layer", config))
    return layer
