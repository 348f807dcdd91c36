"""Models from JSON texts."""

import json

from ..core import objects


def model_from_json(json_string, custom_objects=None):
    """The model, with fresh weights, that a text from `model.to_json()` describes.

    Example:

    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    >>> keras.models.model_from_json(model.to_json()).output_shape
    (None, 2)
    """
    return objects.deserialize(json.loads(json_string), custom_objects)
