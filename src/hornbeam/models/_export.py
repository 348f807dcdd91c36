"""What of a graph of layers is exported: where it is cut between host and compiled part."""

import jax

from ..core.graph import Staged
from ..core.scope import enter
from ..core.symbolic import KerasTensor, flatten
from ._functional import single


def graph_parts(model, signature, make):
    """How a model with a graph is exported: `(front, function, arguments)`, as `Endpoint` takes it.

    The front is a model of the layers that work on the host. Without any it is one of the inputs
    alone, which takes them in every form that the model does.

    Args:
        model: the model.
        signature: tuple with its inputs as `KerasTensor`s, or `None` for what it was made for.
        make: the class `Model`.
    """
    graph = model._function
    if signature is None:
        inputs = graph.inputs
    else:
        inputs = graph.flat_inputs(signature[0] if len(signature) == 1 else list(signature))
    if model._stage == "host":
        return model, None, ()
    if graph.split is None:
        front = make(graph._inputs_struct, graph._inputs_struct, name=model.name)
        structure = flatten(single(graph._inputs_struct))[1]
        arguments = (jax.tree.unflatten(structure, inputs),)
        rebuilt = lambda x: x
    else:
        staged, structure = flatten(_staged(graph, make, {}))
        front = make(graph._inputs_struct, staged, name=model.name)
        arguments = staged if signature is None else flatten(front.compute_output_spec(inputs))[0]
        rebuilt = lambda *x: jax.tree.unflatten(structure, x)

    def function(*arguments):
        with enter(training=False):
            return model(rebuilt(*arguments))

    return front, function, tuple(arguments)


def _staged(graph, make, fronts):
    """What the host part of a graph makes, as a `Staged` of symbolic tensors."""
    values = []
    for x in graph.split.kept:
        if isinstance(x, KerasTensor):
            values.append(x)
            continue
        # A model inside, with a host part of its own: that part is a model inside the front.
        if x.operation not in fronts:
            inner = x.operation._function
            tensors, structure = flatten(_staged(inner, make, fronts))
            name = x.operation.name
            fronts[x.operation] = make(inner._inputs_struct, tensors, name=name), structure
        front, structure = fronts[x.operation]
        (argument, *_), _ = x.fill(lambda tensor: tensor)
        values.append(jax.tree.unflatten(structure, flatten(front(argument))[0]))
    return Staged(values)
