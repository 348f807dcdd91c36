"""Models, weights and objects as files and as plain data."""

from ..core.loading import LimitError, LoadError, load_limits
from ..core.objects import (
    CustomObjectScope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from ..core.objects import deserialize as deserialize_keras_object
from ..core.objects import serialize as serialize_keras_object
from ._editor import KerasFileEditor
from ._inspect import inspect_file
from ._model_files import load_model, save_model
from ._weight_files import load_weights, save_weights

custom_object_scope = CustomObjectScope

__all__ = [
    "CustomObjectScope",
    "KerasFileEditor",
    "LimitError",
    "LoadError",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "inspect_file",
    "load_limits",
    "load_model",
    "load_weights",
    "register_keras_serializable",
    "save_model",
    "save_weights",
    "serialize_keras_object",
]
