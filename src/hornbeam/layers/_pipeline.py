"""Layers one after the other, as a layer."""

from ..core import masks
from ..core.messages import expected
from ._base import Layer


class Pipeline(Layer):
    """Applies layers one after the other.

    Unlike a `Sequential` model it is a plain layer: part of a model, or of the preparation of data,
    without `fit`.

    Args:
        layers: list of layers.

    Call arguments:
        inputs: what the first layer takes.
        training: passed on to the layers; `True` by default, since data are prepared for training.
        mask: the mask of the inputs, if it doesn't travel with them.

    Example:

    >>> layer = keras.layers.Pipeline([keras.layers.Rescaling(2.0), keras.layers.ReLU()])
    >>> layer(np.array([-1.0, 1.0]))
    Array([0., 2.], dtype=float32)
    """

    def __init__(self, layers, name=None):
        super().__init__(name=name)
        if not isinstance(layers, (list, tuple)) or not all(isinstance(x, Layer) for x in layers):
            raise ValueError(expected("Pipeline's layers", "a list of layers", layers))
        self._layers = list(layers)

    @property
    def layers(self):
        """The layers, in the order they are applied in."""
        return self._layers

    def compute_mask(self, inputs, mask=None):
        return None  # the output has the one that the last layer gave it

    def call(self, inputs, training=True, mask=None):
        if mask is not None and masks.get_mask(inputs) is None:
            masks.set_mask(inputs, mask)
        for layer in self._layers:
            inputs = layer(inputs, training=training)
        return inputs
