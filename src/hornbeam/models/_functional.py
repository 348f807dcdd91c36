"""Graphs of layers and ops as one operation, and as configs in Keras's form."""

from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from ..core import dtypes, masks
from ..core.graph import Staged, replay, sort_nodes, split
from ..core.messages import did_you_mean
from ..core.symbolic import KerasTensor, Operation, any_symbolic, standardize_shape, tree_map
from ..core.tree import is_shape
from ..data import columns_of, is_written_out, to_host
from ..dtype_policies._policy import convert_input
from ..layers import Input, Layer
from ..layers._call import Call


class Function(Operation):
    """The computation between symbolic inputs and outputs, as an operation.

    Args:
        inputs: `KerasTensor`s, nested in any way.
        outputs: `KerasTensor`s that depend on them, nested in any way.
        name: name.

    Example:

    >>> x = keras.Input((3,))
    >>> double = keras.Function(x, x * 2)
    >>> double(np.ones((1, 3)))
    Array([[2., 2., 2.]], dtype=float32)
    """

    def __init__(self, inputs, outputs, name=None):
        super().__init__(name=name)
        self._inputs_struct, self._outputs_struct = inputs, outputs
        for what, structure in (("inputs", inputs), ("outputs", outputs)):
            leaves = _flatten(structure)[0]
            if not leaves or not all(isinstance(x, KerasTensor) for x in leaves):
                raise ValueError(
                    f"A model's {what} should be symbolic tensors (keras.Input, or what layers "
                    f"return for it), nested as you like; received {what}={structure!r}."
                )
        self._inputs, self._outputs = _flatten(inputs)[0], _flatten(outputs)[0]
        if len({id(x) for x in self._inputs}) < len(self._inputs):
            raise ValueError("A model's inputs should be different tensors; one appears twice.")
        self.nodes = sort_nodes(self._inputs, self._outputs)
        self.split: Any = split(self.nodes, self._outputs)

    @property
    def inputs(self):
        """The symbolic inputs as a flat list."""
        return self._inputs

    @property
    def outputs(self):
        """The symbolic outputs as a flat list."""
        return self._outputs

    @property
    def operations(self):
        """The layers and functions of the graph, each once, in the order of the graph."""
        return list({id(node.operation): node.operation for node in self.nodes}.values())

    @property
    def input_names(self):
        """The names of the inputs, in flat order."""
        return [x.node.operation.name if x.node.is_input else x.name for x in self.inputs]

    def call(self, inputs):
        """Compute the outputs, in the structure that they were given in; one in a list comes alone.

        Args:
            inputs: arrays, or what `stage` made of them.
        """
        if isinstance(inputs, Staged):
            feed = self.split.run_device(inputs)
        else:
            feed = {id(x): v for x, v in zip(self.inputs, self.flat_inputs(inputs), strict=True)}
            replay(self.nodes, feed)
        return tree_map(lambda x: feed[id(x)], single(self._outputs_struct))

    def compute_output_shape(self, input_shape):
        """The shapes of the outputs for inputs of these shapes."""
        shapes = jax.tree.leaves(input_shape, is_leaf=is_shape)
        specs = [KerasTensor(s, x.dtype) for s, x in zip(shapes, self._inputs, strict=True)]
        return tree_map(lambda x: x.shape, self.compute_output_spec(specs))

    def stage(self, inputs):
        """Run the host part; returns the `Staged` that `call` takes in place of the inputs."""
        return self.split.staged(self._run_host(inputs))

    def _stage_spec(self, inputs):
        """A `Staged` of `KerasTensor`s like those of `stage`, for such inputs."""
        return self.split.staged(self._run_host(inputs, symbolic=True))

    def _host_call(self, inputs):
        """The outputs as NumPy arrays, if all of the graph runs on the host.

        For `KerasTensor`s, such tensors.
        """
        feed = self._run_host(inputs, any_symbolic([inputs]))
        return tree_map(lambda x: feed[id(x)], single(self._outputs_struct))

    def _run_host(self, inputs, symbolic=False):
        flat = self.flat_inputs(inputs, all_on_host=True)
        feed = {id(x): v for x, v in zip(self.inputs, flat, strict=True)}
        return self.split.run_host(feed, symbolic)

    def flat_inputs(self, inputs, all_on_host=False):
        """One array per input: converted, and checked against the input's shape."""
        on_host = {id(x) for x in self.inputs} if all_on_host else self.on_host
        return [
            _checked(self.name, x, name, value, id(x) in on_host)
            for x, name, value in zip(
                self.inputs, self.input_names, self._in_order(inputs), strict=True
            )
        ]

    @property
    def on_host(self):
        """Ids of the tensors that the host part takes."""
        return () if self.split is None else {id(x) for x in self.split.needed}

    def _in_order(self, inputs):
        """The values of `inputs`, given in the model's structure, by name, or flat."""
        struct, names = self._inputs_struct, self.input_names
        in_structure = isinstance(struct, dict) and isinstance(inputs, dict)
        if in_structure and set(struct) <= set(inputs):
            return _flatten(struct)[1].flatten_up_to({k: inputs[k] for k in struct})
        if isinstance(inputs, dict):
            names = sorted(struct) if in_structure else names
            missing = [
                name
                for name, x in zip(names, self.inputs, strict=False)
                if name not in inputs and not _is_optional(x)
            ]
            if missing:
                raise ValueError(
                    f"Model '{self.name}' lacks its input {', '.join(map(repr, missing))}; "
                    f"received a dict with the keys {sorted(inputs)}. "
                    + did_you_mean(missing[0], inputs)
                )
            return [inputs.get(name) for name in names]
        if len(self.inputs) == 1 and not isinstance(inputs, (list, tuple)):
            return [inputs]
        flat = _flatten(inputs)[0]
        if len(flat) != len(self.inputs):
            raise ValueError(
                f"Model '{self.name}' takes {len(self.inputs)} inputs "
                f"({', '.join(names)}); received {len(flat)}."
            )
        return flat


class GraphLayer(Layer):
    """A layer that may have a graph of symbolic tensors, of which a part may work on the host."""

    _function: Function | None  # the graph, where there is one

    @property
    def _stage(self):
        """Where it runs: on the "device", the "host", or "split" between them."""
        if self._function is None or self._function.split is None:
            return "device"
        return "split" if self._function.split.device else "host"

    def stage(self, inputs):
        """Run the part of the model that works on the host: text, lookups, hashes.

        `fit` and its like do so for every batch while the device computes the one before.

        Args:
            inputs: what the model takes, on the host.

        Returns:
            What the model can be called with in place of `inputs`: a tree of NumPy arrays, of
            numbers only. A model without such layers gives the inputs back.
        """
        if self._stage == "device":
            return inputs
        return self._graph("stage").stage(self._host_inputs(inputs))

    def _host_call(self, inputs, *args, **kwargs):
        """The outputs as NumPy arrays, of a model all of which works on the host."""
        return self._graph("_host_call")._host_call(self._host_inputs(inputs))

    @property
    def stages_fixed_shapes(self):
        """Whether the shapes that `stage` gives follow from the number of rows alone."""
        return self._graph("stages_fixed_shapes").split.fixed_shapes

    def _stage_spec(self, inputs):
        """What `stage` gives for inputs like these `KerasTensor`s, as such tensors."""
        return self._graph("_stage_spec")._stage_spec(inputs)

    def _infer(self, call):
        if self._function is None or self._stage == "device":
            return super()._infer(call)
        if self._stage == "host":
            return self._function._host_call(call.first)
        staged = {call.first_name: self._function._stage_spec(call.first)}
        return super()._infer(Call(self, (), {**call.arguments, **staged}))

    def _host_inputs(self, value) -> Any:
        """What the model is called with, as NumPy arrays on the host."""
        if isinstance(value, Staged) or any(isinstance(x, Tracer) for x in jax.tree.leaves(value)):
            return value
        several = self._function is not None and len(self._function.inputs) > 1
        if several and (columns := columns_of(value)) is not None:
            value = columns
        if several and isinstance(value, (list, tuple)):
            return type(value)(_on_host(x) for x in value)
        # Of one input a list holds examples, unless it holds the one array.
        one: Any = single(value)
        return _on_host(one if np.ndim(one) else value)

    def _graph(self, what):
        if self._function is None:
            raise AttributeError(
                f"Model '{self.name}' ({type(self).__name__}) has no `{what}`: it is not made of "
                "symbolic tensors, or not built yet."
            )
        return self._function


def _on_host(value):
    """A structure of data as one of NumPy arrays; lists of numbers or texts are data."""
    if isinstance(value, dict):
        return {k: _on_host(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)) and not is_written_out(value, raw=True):
        return type(value)(_on_host(x) for x in value)
    return to_host(value)


def with_own_inputs(inputs, outputs):
    """The same graph, starting from `Input`s also where an input is the result of a layer.

    The part of the graph behind such an input is called again on a new `Input`.
    """
    leaves, treedef = _flatten(inputs)
    if not all(isinstance(x, KerasTensor) and x.node is not None for x in leaves):
        return inputs, outputs  # `Function` explains what is wrong
    if all(x.node.is_input for x in leaves):
        return inputs, outputs
    new = [
        x if x.node.is_input else Input(batch_shape=x.shape, dtype=x.dtype, name=x.name)
        for x in leaves
    ]
    feed = {id(old): x for old, x in zip(leaves, new, strict=True)}
    replay(sort_nodes(leaves, _flatten(outputs)[0]), feed)
    return jax.tree.unflatten(treedef, new), tree_map(lambda x: feed[id(x)], outputs)


def single(structure):
    """What a list or tuple of one thing holds; anything else as it is."""
    alone = isinstance(structure, (list, tuple)) and len(structure) == 1
    return structure[0] if alone else structure


def _is_optional(tensor):
    return getattr(tensor.node.operation, "optional", False)


def _checked(model, tensor, name, value, on_host):
    """`value` as an array that fits the symbolic `tensor`, or an error."""
    if value is None:
        if _is_optional(tensor):
            return None
        raise ValueError(f"Model '{model}': input '{name}' is None, and is not optional.")
    if on_host and not isinstance(value, (KerasTensor, Tracer)):
        value = _fitted_shape(to_host(value), tensor)
    elif not isinstance(value, KerasTensor):
        value = _fitted(value, tensor)
    shape = standardize_shape(value.shape)
    # A batch may have any size, also if the model was built for another.
    fits = len(shape) == len(tensor.shape) and all(
        a is None or b is None or a == b for a, b in zip(shape[1:], tensor.shape[1:], strict=True)
    )
    if not fits:
        raise ValueError(
            f"Model '{model}': input '{name}' should have shape {tensor.shape}; received an array "
            f"of shape {shape}. The first axis is the batch: a single sample needs `x[None]`."
        )
    return value


def _fitted(value, tensor):
    """The array with a last axis of size 1 added or dropped, and integers made floats, if the
    input asks for it."""
    mask = masks.get_mask(value)
    value = convert_input(value, None)
    dtype = str(value.dtype)
    if dtype != tensor.dtype and tensor.dtype != "string":
        both_float = dtypes.is_float_dtype(tensor.dtype) and dtypes.is_float_dtype(dtype)
        value = value if both_float else value.astype(tensor.dtype)  # layers cast among floats
    value = _fitted_shape(value, tensor)
    if mask is not None:
        masks.set_mask(value, mask)
    return value


def _fitted_shape(value, tensor):
    shape, rank = value.shape, len(tensor.shape)
    if len(shape) == rank - 1 and tensor.shape[-1] == 1:
        value = value[..., None]
    elif len(shape) == rank + 1 and shape[-1] == 1:
        value = value[..., 0]
    return value


def _flatten(structure):
    return jax.tree.flatten(structure, is_leaf=lambda x: x is None or isinstance(x, KerasTensor))
