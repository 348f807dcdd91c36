"""Sequences read in both directions."""

import operator

import jax
import jax.numpy as jnp

from ..core import objects
from ..core.messages import expected, one_of
from ._base import Layer
from ._rnn import first_mask
from ._wrappers import HoldsLayers, check_layer

_MERGE = {
    "concat": lambda a, b: jnp.concatenate([a, b], axis=-1),
    "sum": operator.add,
    "mul": operator.mul,
    "ave": lambda a, b: (a + b) / 2,
}
_ALIKE = ("return_sequences", "return_state", "stateful")


class Bidirectional(HoldsLayers, Layer):
    """Runs a recurrent layer over sequences from the first step on, and another from the last.

    Args:
        layer: a recurrent layer. This one has copies of it, `forward_layer` and, in the other
            direction, `backward_layer`.
        merge_mode: how the outputs of the two are combined: `"concat"`, `"sum"`, `"mul"`, `"ave"`
            or `None` (a tuple of both). Outputs of one step stand together.
        weights: list of arrays, the initial weights.
        backward_layer: a recurrent layer with `go_backwards=True` in the place of the second copy.

    Called as the layer is. `initial_state` is a list of the states of the first, then of the
    second.

    Returns:
        What the layer returns; with `return_state`, a tuple of the output, or both for
        `merge_mode=None`, and the states of the first and of the second.

    Outputs of masked steps are 0.

    Example:

    >>> layer = keras.layers.Bidirectional(keras.layers.LSTM(4, return_sequences=True))
    >>> layer(np.ones((2, 5, 3))).shape
    (2, 5, 8)
    """

    def __init__(self, layer, merge_mode="concat", weights=None, backward_layer=None, **kwargs):
        check_layer("Bidirectional's layer", layer)
        for name in ("go_backwards", *_ALIKE):
            if not hasattr(layer, name):
                hint = f"{type(layer).__name__} has no attribute `{name}`."
                raise ValueError(expected("Bidirectional's layer", "recurrent", layer, hint))
        if backward_layer is not None:
            check_layer("Bidirectional's backward_layer", backward_layer)
        super().__init__(**kwargs)
        self.merge_mode = one_of("Bidirectional's merge_mode", merge_mode, (*_MERGE, None))
        name = layer.name.removeprefix("forward_")
        self.forward_layer = _copy(layer, name=f"forward_{name}")
        if backward_layer is None:
            backward_layer = _copy(layer, name=f"backward_{name}", go_backwards=True)
        self.backward_layer = backward_layer
        _check_pair(self.forward_layer, backward_layer)
        self.return_sequences = self.forward_layer.return_sequences
        self.return_state = self.forward_layer.return_state
        self.stateful = self.forward_layer.stateful
        for one in (self.forward_layer, backward_layer):
            one.zero_output_for_mask = self.return_sequences
        self.supports_masking = True
        self.input_spec = layer.input_spec
        self._initial_weights = weights

    def build(self, sequences_shape, initial_state_shape=None):
        self.forward_layer.build(sequences_shape)
        self.backward_layer.build(sequences_shape)
        if self._initial_weights is not None:
            self.set_weights(self._initial_weights)

    # Two loops and not one over both: XLA:CPU takes 5 to 10% longer for products of a batch of
    # matrices than for two products (an LSTM of 8 to 256 units).
    def call(self, sequences, initial_state=None, mask=None, training=None):
        forward_state, backward_state = self._halves(initial_state)
        forward = self.forward_layer(sequences, initial_state=forward_state, mask=mask)
        backward = self.backward_layer(sequences, initial_state=backward_state, mask=mask)
        states = ()
        if self.return_state:
            (forward, *first), (backward, *second) = forward, backward
            states = (*first, *second)
        if self.return_sequences:
            backward = jnp.flip(backward, axis=1)
        if self.merge_mode is None:
            return (forward, backward, *states)
        output = _MERGE[self.merge_mode](forward, backward)
        return (output, *states) if self.return_state else output

    def _halves(self, states):
        if states is None:
            return None, None
        half, odd = divmod(len(states) if isinstance(states, (list, tuple)) else 1, 2)
        if odd:
            raise ValueError(
                f"Layer '{self.path}' (Bidirectional): initial_state should be a list with the "
                "states of the forward and of the backward layer; received "
                f"{jax.tree.map(lambda s: tuple(s.shape), states)}."
            )
        return list(states[:half]), list(states[half:])

    @property
    def states(self):
        """The `Variable`s of stateful layers, those of the forward layer first; else `None`."""
        if not self.forward_layer.states:
            return None
        return (*self.forward_layer.states, *self.backward_layer.states)

    def reset_state(self):
        """Let the next batch start anew; for stateful layers."""
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    def reset_states(self):
        """The same as `reset_state`."""
        self.reset_state()

    def compute_mask(self, _, mask):
        """The mask of the outputs: that of the sequences if the outputs are sequences."""
        mask = first_mask(mask) if self.return_sequences else None
        outputs = [mask, mask] if self.merge_mode is None else [mask]
        if self.return_state:
            cells = self.forward_layer.cell, self.backward_layer.cell
            return outputs + [None] * len(jax.tree.leaves([cell.state_size for cell in cells]))
        return outputs if self.merge_mode is None else mask

    def constructor_arguments(self):
        # `weights` is a property of every layer; files hold the values elsewhere.
        return {
            "layer": self.forward_layer,
            "merge_mode": self.merge_mode,
            "backward_layer": self.backward_layer,
        }


def _copy(layer, **changes):
    """A new layer like this one, but for some arguments."""
    inside = {type(part) for part in layer._flatten_layers()}
    custom = {cls.__name__: cls for cls in inside if not objects.is_ours(cls)}
    with objects.CustomObjectScope(custom):
        return type(layer).from_config({**layer.get_config(), **changes})


def _check_pair(forward, backward):
    if forward.go_backwards == backward.go_backwards:
        raise ValueError(
            "Bidirectional's layers should go in different directions; received "
            f"go_backwards={forward.go_backwards} for both."
        )
    for name in _ALIKE:
        values = getattr(forward, name), getattr(backward, name, None)
        if values[0] != values[1]:
            raise ValueError(
                f"Bidirectional's layers should be alike in `{name}`; received {values[0]} for the "
                f"forward layer and {values[1]} for the backward one."
            )
