"""Layers that work on the host: on strings, ragged lists, 64-bit integers."""

from typing import Any

import jax
from jax.core import Tracer

from ..core.scope import watched
from ..core.symbolic import KerasTensor
from ..data import host_batches, place, to_host
from ._base import Layer

_MSG_TRACED = """\
Layer '{path}' ({cls}) works on the host, so it can't be in a compiled step. In a Sequential or \
functional model put it first, next to the inputs: the model is split there. In a model with a \
`call` of its own, run it on the data before: `x = layer(x)`."""


class HostLayer(Layer):
    """A layer whose computation XLA can't do; it runs ahead of the compiled part of a model.

    Subclasses write `call`, on NumPy arrays, and `output_spec`.

    In a Sequential or functional model such layers stand next to the inputs, and run while the
    device computes the step before. Called directly they give arrays on the device, and
    NumPy arrays of strings.
    """

    _stage = "host"
    _several = False  # whether `call` takes a list of arrays

    def build(self, input_shape=None):
        """Nothing to make: there are no variables on the host. `call` can't be traced, either."""
        for layer in self._sublayers():
            layer.build(input_shape)

    def call(self, inputs):
        """Compute the outputs, NumPy arrays, from NumPy arrays."""
        raise NotImplementedError

    def output_spec(self, inputs) -> Any:
        """`(shape, dtype)` of the output for `KerasTensor` inputs; sizes may be `None`."""
        raise NotImplementedError

    def __call__(self, *args, **kwargs):
        outputs = self._host_call(*args, **kwargs)
        return place(outputs)

    def _host_call(self, *args, **kwargs):
        """The outputs as they are on the host."""
        return super().__call__(*args, **kwargs)

    def _infer(self, call):
        with self._ambient(call):
            call.check_inputs()
            self._build_once(call)
            shape, dtype = self.output_spec(call.first)
        return KerasTensor(shape, dtype)

    def _compute(self, call):
        with self._ambient(call):
            call.convert_inputs()
            call.check_inputs()
            self._build_once(call)
            call.arguments = watched(self, "inputs", call.arguments)
            outputs = self.call(*call.args, **call.kwargs)
            return watched(self, "outputs", outputs)

    @property
    def input_dtype(self):
        """The dtype of an `Input` that is made for the layer."""
        return "string"

    def _host_inputs(self, value):
        """What the layer is called with, as NumPy arrays."""
        try:
            if self._several and isinstance(value, (list, tuple)):
                return [to_host(x) for x in value]
            return to_host(value)
        except TypeError:
            if not any(isinstance(x, Tracer) for x in jax.tree.leaves(value)):
                raise
            raise TypeError(_MSG_TRACED.format(path=self.path, cls=type(self).__name__)) from None


class Adapted:
    """What learns something from data, once, before training.

    Subclasses write `start`, `look` and `finish`. The layer changes in `finish` alone, so an error
    or Ctrl-C on the way leaves it as it was.
    """

    _known = None  # what `update_state` has seen so far

    def start(self) -> Any:
        """What is known before the first batch."""
        raise NotImplementedError

    def look(self, known, batch) -> Any:
        """`known`, and what a batch (a NumPy array) adds to it."""
        raise NotImplementedError

    def finish(self, known):
        """Keep what was learned."""
        raise NotImplementedError

    def adapt(self, data, batch_size=None, steps=None):
        """Learn from data, forgetting what was learned before.

        Args:
            data: an array, a list, a column of a table, or anything that yields batches.
            batch_size: rows to look at together, of data that has rows.
            steps: number of batches after which to stop.

        Raises:
            ValueError: if there is no data.
        """
        known = self.start()
        for batch in host_batches(data, batch_size, steps):
            known = self.look(known, batch)
        self.finish(known)

    def update_state(self, data):
        """Look at one more batch; `finalize_state` makes use of what was seen.

        Args:
            data: an array or a list.
        """
        known = self.start() if self._known is None else self._known
        self._known = self.look(known, to_host(data))

    def finalize_state(self):
        """Learn from what `update_state` has seen; the layer stays as it is if that is nothing."""
        if self._known is not None:
            self.finish(self._known)

    def reset_state(self):
        """Forget what `update_state` has seen."""
        self._known = None


class AdaptedLayer(Adapted, HostLayer):
    """A host layer that learns something from data."""
