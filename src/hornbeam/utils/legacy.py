"""Objects as data in the form of Keras 2."""

from ..saving._legacy import deserialize_keras_object, serialize_keras_object

__all__ = ["deserialize_keras_object", "serialize_keras_object"]
