"""Models from JSON texts."""

from ..core import objects
from ..core.loading import LoadError, loading
from ..core.messages import expected
from ..layers import Layer
from ..saving._json import parse_json
from ..saving._renamed import upgraded


def model_from_json(json_string, custom_objects=None):
    """The model, with fresh weights, that a text from `model.to_json()` describes.

    Args:
        json_string: the text.
        custom_objects: dict from names to your classes and functions that the model uses.

    Raises:
        LoadError: if it describes none, names something unknown, or asks for more than
            `keras.saving.load_limits` allows.

    Example:

    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    >>> keras.models.model_from_json(model.to_json()).output_shape
    (None, 2)
    """
    with loading():
        config, _ = upgraded(parse_json(json_string, "The text"))
        model = objects.deserialize(config, custom_objects)
        if not isinstance(model, Layer):
            raise LoadError(expected("json_string", "the description of a model", model))
        return model
