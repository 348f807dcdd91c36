"""`Sequential`: layers one after the other."""

from ..core import objects
from ..core.symbolic import KerasTensor
from ..core.tree import is_shape
from ..layers import Input, InputLayer, Layer
from ..layers._call import overridable
from ._functional import Function
from ._graph_config import build_sequential, sequential_config
from ._model import Model


class Sequential(Model):
    """A model that hands its input through a list of layers.

    The layers are built as soon as the input's shape is known: from an `Input` at the head of the
    list, from `build(input_shape)`, or from the first data.

    Args:
        layers: list of layers.
        trainable: whether the variables may be trained.
        name: name.

    Example:

    >>> model = keras.Sequential([
    ...     keras.Input((4,)),
    ...     keras.layers.Dense(8, activation="relu"),
    ...     keras.layers.Dense(1),
    ... ])
    >>> model.output_shape
    (None, 1)
    """

    def __init__(self, layers=None, trainable=True, name=None):
        super().__init__(trainable=trainable, name=name)
        self._layers = []
        for layer in layers or []:
            self.add(layer, rebuild=False)
        self._build_from_input()

    def add(self, layer, rebuild=True):
        """Append a layer (or an `Input`).

        Raises:
            ValueError: if it is no layer, or a layer of that name is there already.
        """
        if isinstance(layer, KerasTensor) and layer.node is not None:
            layer = layer.node.operation
        if not isinstance(layer, Layer):
            if not callable(layer):
                raise ValueError(
                    f"Sequential takes layers; received {layer!r} ({type(layer).__name__})."
                )
            raise ValueError(
                f"Sequential takes layers; received the function {layer!r}. Wrap it: "
                "keras.layers.Lambda(function)."
            )
        if not self._layers and not isinstance(layer, InputLayer):
            shape = _known_input_shape(layer)
            if shape is not None:
                self._layers.append(InputLayer(batch_shape=shape, dtype=layer.input_dtype))
        if isinstance(layer, InputLayer) and self._layers:
            raise ValueError(
                f"Sequential '{self.name}' has its input already; an InputLayer comes first."
            )
        if any(layer.name == other.name for other in self._layers):
            raise ValueError(
                f"Sequential '{self.name}' has a layer named '{layer.name}' already. Layers need "
                "different names: files and paths depend on them."
            )
        self._layers.append(layer)
        self._forget_graph()
        if rebuild:
            self._build_from_input()

    def pop(self, rebuild=True):
        """Remove and return the last layer."""
        layer = self._layers.pop()
        self._forget_graph()
        if rebuild:
            self._build_from_input()
        return layer

    def _forget_graph(self):
        vars(self).update(built=False, _function=None, _programs={})

    def _build_from_input(self):
        if len(self._layers) > 1 and isinstance(self._layers[0], InputLayer):
            self.build(self._layers[0].batch_shape)

    @overridable
    def build(self, input_shape=None):
        """Build all layers for inputs of this shape (the batch first, `None` for any size)."""
        if not self._layers:
            raise ValueError(f"Sequential '{self.name}' has no layers yet. Add some with `add`.")
        if not isinstance(self._layers[0], InputLayer):
            if input_shape is None:
                raise ValueError(
                    f"Sequential '{self.name}' doesn't know its input's shape: put "
                    "`keras.Input(shape)` at the head of its layers, or call "
                    "`build(input_shape)`."
                )
            if not is_shape(input_shape):
                raise ValueError(
                    f"Sequential '{self.name}' takes one input; received the shapes {input_shape}."
                )
            head = Input(batch_shape=tuple(input_shape), dtype=self._layers[0].input_dtype)
            self._layers = [head.node.operation, *self._layers]
        inputs = x = self._layers[0].output
        for layer in self._layers[1:]:
            x = layer(x)
        self._function = Function(inputs, x, name=self.name)

    def _build_once(self, call):
        if not self.built and hasattr(call.first, "shape"):
            self.build((None, *call.first.shape[1:]))
        else:
            super()._build_once(call)

    @overridable
    def call(self, inputs, training=None, mask=None, **kwargs):
        """Hand the inputs through all layers."""
        return self._call_function(inputs, mask)

    def compute_output_spec(self, inputs, training=None, mask=None, **kwargs):
        """The symbolic output for a symbolic input."""
        return super().compute_output_spec(inputs, training=training)

    def compute_output_shape(self, input_shape):
        """The output's shape for this input shape."""
        if self._function is not None and self.built:
            return super().compute_output_shape(input_shape)
        for layer in self.layers:
            input_shape = layer.compute_output_shape(input_shape)
        return input_shape

    @property
    def _stage(self):
        if self._function is None:
            first = next((la for la in self._layers if not isinstance(la, InputLayer)), None)
            return "device" if first is None or first._stage == "device" else "split"
        return super()._stage

    def stage(self, inputs):
        """Run the part that works on the host; see `Model.stage`."""
        if self._stage == "split" and self._function is None:
            inputs = self._host_inputs(inputs)
            self.build((None, *inputs.shape[1:]))
        return super().stage(inputs)

    @property
    def layers(self):
        """The layers, without the input."""
        return [layer for layer in self._layers if not isinstance(layer, InputLayer)]

    @property
    def inputs(self):
        """The symbolic input, in a list."""
        return None if self._function is None else self._function.inputs

    @property
    def outputs(self):
        """The symbolic output, in a list."""
        return None if self._function is None else self._function.outputs

    @property
    def input_shape(self):
        """The input's shape."""
        return self._known_function("input_shape").inputs[0].shape

    @property
    def output_shape(self):
        """The output's shape."""
        return self._known_function("output_shape").outputs[0].shape

    def get_config(self):
        """The layers as plain data; of a subclass with a constructor of its own, its arguments."""
        if type(self).__init__ is Sequential.__init__:
            return sequential_config(self)
        return super().get_config()

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """A model made from what `get_config` returned."""
        if "layers" not in config:
            return super().from_config(config, custom_objects)
        with objects.CustomObjectScope(custom_objects):
            return build_sequential(cls, config)

    def _known_function(self, what):
        if self._function is None:
            raise AttributeError(
                f"Sequential '{self.name}' has no {what} yet: it isn't built. Start it with "
                "`keras.Input(shape)`, or call it on data."
            )
        return self._function


def _known_input_shape(layer):
    """The input shape that a first layer brings along, or `None`."""
    if isinstance(layer, Sequential) and layer._function is not None:
        return None
    shape = layer._input_shape_argument
    return None if shape is None else (None, *shape)
