"""Copies of models with fresh weights."""

from ..core.loading import unlimited
from ..core.messages import unknown_keywords
from ..core.symbolic import flatten, tree_map
from ..layers import Input, InputLayer, Layer
from ._model import Model
from ._sequential import Sequential


def clone_model(
    model,
    input_tensors=None,
    clone_function=None,
    call_function=None,
    recursive=False,
    **kwargs,
):
    """A model of new layers with the same structure, and weights of its own.

    Args:
        model: a `Sequential` or functional model, or (without the other arguments) any model that
            has a config.
        input_tensors: symbolic tensors to use as the new model's inputs.
        clone_function: function from a layer to the new one; by default
            `layer.from_config(layer.get_config())`.
        call_function: function `(layer, *args, **kwargs)` that calls a new layer (functional
            models only).
        recursive: whether to go into models inside the model.

    Returns:
        The new model.

    Example:

    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    >>> copy = keras.models.clone_model(model)
    >>> copy.layers[0] is model.layers[0], copy.output_shape
    (False, (None, 2))
    """
    if kwargs:
        raise unknown_keywords("clone_model", kwargs, ("input_tensors", "clone_function"))
    special = (input_tensors, clone_function, call_function)
    if model._function is None and not isinstance(model, Sequential):
        if any(x is not None for x in special) or recursive:
            raise ValueError(
                "clone_model can only copy a subclassed model as a whole: its `call` decides "
                "which layers there are. Pass the model alone."
            )
        with unlimited():
            return type(model).from_config(model.get_config())
    clone_function = clone_function or (lambda layer: layer.clone())

    def clone(layer):
        if recursive and isinstance(layer, Model):
            return clone_model(layer, None, clone_function, call_function, True)
        return clone_function(layer)

    if isinstance(model, Sequential):
        if call_function is not None:
            raise ValueError("clone_model: call_function is for functional models only.")
        layers = [clone(layer) for layer in model.layers]
        if input_tensors is not None:
            layers = [flatten(input_tensors)[0][0], *layers]
        elif model._layers and isinstance(model._layers[0], InputLayer):
            head = model._layers[0]
            head = Input(batch_shape=head.batch_shape, dtype=head.dtype, name=head.name)
            layers = [head, *layers]
        return type(model)(layers, name=model.name)
    return _clone_graph(model, input_tensors, clone, call_function)


def _clone_graph(model, input_tensors, clone, call_function):
    function = model._function
    if input_tensors is None:
        given = [clone(x.node.operation).output for x in function.inputs]
    else:
        given = flatten(input_tensors)[0]
    feed = {id(x): new for x, new in zip(function.inputs, given, strict=True)}
    new_layers = {}
    for node in function.nodes:
        if all(id(x) in feed for x in node.outputs):
            continue
        operation = node.operation
        if isinstance(operation, Layer):
            if id(operation) not in new_layers:
                new_layers[id(operation)] = clone(operation)
            operation = new_layers[id(operation)]
        args, kwargs = node.fill(lambda x: feed[id(x)])
        is_layer = isinstance(operation, Layer)
        if call_function is not None and is_layer:
            results = call_function(operation, *args, **kwargs)
        else:
            results = operation(*args, **kwargs)
        for tensor, result in zip(node.outputs, flatten(results)[0], strict=True):
            feed[id(tensor)] = result
    inputs = _refilled(function._inputs_struct, feed)
    outputs = _refilled(function._outputs_struct, feed)
    return type(model)(inputs=inputs, outputs=outputs, name=model.name)


def _refilled(structure, feed):
    return tree_map(lambda x: feed[id(x)], structure)
