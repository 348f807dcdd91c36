"""Small helpers around models and data."""

from ..callbacks._progbar import Progbar
from ..core.dtypes import standardize_dtype
from ..core.objects import (
    CustomObjectScope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    publish,
    register_keras_serializable,
)
from ..core.objects import deserialize as deserialize_keras_object
from ..core.objects import serialize as serialize_keras_object
from ..core.rng import set_random_seed
from ..core.settings import (
    disable_interactive_logging,
    enable_interactive_logging,
    is_interactive_logging_enabled,
)
from ..core.symbolic import is_keras_tensor
from ..data import (
    PyDataset,
    array_to_img,
    audio_dataset_from_directory,
    image_dataset_from_directory,
    img_to_array,
    load_img,
    save_img,
    split_dataset,
    text_dataset_from_directory,
    timeseries_dataset_from_array,
)
from . import bounding_boxes, legacy
from ._arrays import normalize, pad_sequences, to_categorical
from ._batches import pack_x_y_sample_weight, unpack_x_y_sample_weight
from ._config import Config
from ._feature_space import FeatureSpace
from ._get_file import download_limits, get_file
from ._graph import get_source_inputs
from ._plot_model import model_to_dot, plot_model
from ._session import clear_session

custom_object_scope = CustomObjectScope
Sequence = PyDataset

__all__ = [
    "Config",
    "CustomObjectScope",
    "FeatureSpace",
    "Progbar",
    "PyDataset",
    "Sequence",
    "array_to_img",
    "audio_dataset_from_directory",
    "bounding_boxes",
    "clear_session",
    "custom_object_scope",
    "deserialize_keras_object",
    "disable_interactive_logging",
    "download_limits",
    "enable_interactive_logging",
    "get_custom_objects",
    "get_file",
    "get_registered_name",
    "get_registered_object",
    "get_source_inputs",
    "image_dataset_from_directory",
    "img_to_array",
    "is_interactive_logging_enabled",
    "is_keras_tensor",
    "legacy",
    "load_img",
    "model_to_dot",
    "normalize",
    "pack_x_y_sample_weight",
    "pad_sequences",
    "plot_model",
    "register_keras_serializable",
    "save_img",
    "serialize_keras_object",
    "set_random_seed",
    "split_dataset",
    "standardize_dtype",
    "text_dataset_from_directory",
    "timeseries_dataset_from_array",
    "to_categorical",
    "unpack_x_y_sample_weight",
]

publish("keras.utils", globals(), ["FeatureSpace", "normalize", "pad_sequences", "to_categorical"])
