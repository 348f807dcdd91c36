"""Layers that run a cell over time."""

import operator

import jax
import jax.numpy as jnp

from ..core import objects, tree
from ..core.messages import one_of
from ..core.variable import Variable
from ..initializers import InitializerLike
from ._arguments import refuse_unfinished
from ._base import Layer
from ._input_spec import InputSpec
from ._rnn_base import Loop, build_cell, check_cell, initial_states, run_cell
from ._rnn_cells import GRUCell, LSTMCell, SimpleRNNCell, StackedRNNCells
from ._wrappers import HoldsLayers


class RNN(HoldsLayers, Layer):
    """Runs a cell over the steps of sequences.

    Args:
        cell: a cell, or a list of cells, of which one takes the outputs of the one before. A cell
            has a method `call(inputs, states)` that returns `(output, states)`, the inputs of one
            step being `(batch, …)` and the states a list, and an attribute `state_size`, an int
            or a list of ints (one for each state; lists may be nested). It may have a method
            `get_initial_state(batch_size)` (by default zeros) and an `output_size`.
        return_sequences: whether to return the outputs of all steps in place of the last one.
        return_state: whether to return the last states, too.
        go_backwards: whether to start at the last step. Outputs are in the order in which they
            were calculated.
        stateful: whether a batch starts with the states in which the one before ended: sample `i`
            goes on with those of sample `i`. All batches must then have one size. `reset_state`
            begins anew.
        unroll: whether to write out all steps in place of a loop: it may run faster for a few
            steps, and compiles slower.
        zero_output_for_mask: whether outputs of masked steps are 0 in place of repeated.

    Called with:
        sequences: `(batch, time, …)`.
        initial_state: list of the states to start with.
        mask: bool `(batch, time)`. At a step with `False`, the states stay as they are, and the
            output is that of the step before.
        training: whether dropout acts.

    Returns:
        The last output `(batch, …)`, or `(batch, time, …)` for `return_sequences`; with
        `return_state`, a tuple of it and the states.

    Example:

    >>> class Sum(keras.layers.Layer):
    ...     state_size = 3
    ...
    ...     def call(self, inputs, states):
    ...         total = states[0] + inputs
    ...         return total, [total]
    >>> keras.layers.RNN(Sum())(np.ones((1, 5, 3)))
    Array([[5., 5., 5.]], dtype=float32)
    """

    def __init__(
        self,
        cell,
        return_sequences=False,
        return_state=False,
        go_backwards=False,
        stateful=False,
        unroll=False,
        zero_output_for_mask=False,
        **kwargs,
    ):
        if isinstance(cell, (list, tuple)):
            cell = StackedRNNCells(cell)
        check_cell(f"{type(self).__name__}'s cell", cell)
        super().__init__(**kwargs)
        self.cell = cell
        self.return_sequences = bool(return_sequences)
        self.return_state = bool(return_state)
        self.go_backwards = bool(go_backwards)
        self.stateful = bool(stateful)
        self.unroll = bool(unroll)
        self.zero_output_for_mask = bool(zero_output_for_mask)
        self.supports_masking = True
        self._lasting_states = None

    def build(self, sequences_shape, initial_state_shape=None):
        build_cell(self.cell, (sequences_shape[0], *sequences_shape[2:]))
        if self.stateful:
            self._make_states(sequences_shape)

    def call(self, sequences, initial_state=None, mask=None, training=False):
        batch_size = sequences.shape[0]
        # Of an unknown size where a model's shapes are inferred, and nothing else.
        lasting = self._state_variables() if isinstance(batch_size, int) else []
        if initial_state is not None:
            initial_state = self._check_states(initial_state, batch_size)
        elif lasting:
            initial_state = self._read_states(batch_size)
        else:
            initial_state = self.get_initial_state(batch_size)
        mask = _step_mask(self, sequences, mask)
        last, outputs, states = self.inner_loop(sequences, initial_state, mask, training)
        for variable, value in zip(lasting, jax.tree.leaves(states)):
            variable.assign(value)
        output = outputs if self.return_sequences else last
        return (output, *states) if self.return_state else output

    def inner_loop(self, sequences, initial_state, mask, training=False):
        """Run the cell over time.

        Args:
            sequences: `(batch, time, …)`.
            initial_state: list of states.
            mask: bool `(batch, time)`, or `None`.
            training: whether dropout acts.

        Returns:
            `(last output, outputs or None, last states)`; outputs only if the layer returns
            sequences.
        """
        xs, mask = _swap(sequences), None if mask is None else mask.T
        loop = Loop(self.go_backwards, self.unroll, self.return_sequences)
        last, outputs, states = run_cell(self.cell, xs, initial_state, mask, training, loop)
        if self.zero_output_for_mask and mask is not None:
            last = _zero(last, mask[0 if self.go_backwards else -1])
            outputs = _zero(outputs, mask)
        outputs = jax.tree.map(_swap, outputs)
        if self.go_backwards:
            outputs = jax.tree.map(lambda y: jnp.flip(y, 1), outputs)
        return last, outputs, states

    def get_initial_state(self, batch_size):
        """The states that a batch of this size starts with, as a list."""
        return initial_states(self.cell, batch_size, self.compute_dtype)

    def _check_states(self, states, batch_size):
        """States that a user gave, nested as the cell takes them."""
        given = jax.tree.leaves(states)
        wanted = jax.eval_shape(lambda: self.get_initial_state(batch_size))
        wanted, structure = jax.tree.flatten(wanted)
        shapes = [tuple(w.shape) for w in wanted]
        if [tuple(g.shape) for g in given] != shapes:
            shown = [tuple(g.shape) for g in given]
            raise ValueError(
                f"Layer '{self.path}' ({type(self).__name__}): initial_state should be a list of "
                f"{len(shapes)} states, of shapes {shapes}; received shapes {shown}."
            )
        return jax.tree.unflatten(structure, [g.astype(w.dtype) for g, w in zip(given, wanted)])

    # State that lasts -----------------------------------------------------------------------------

    def _make_states(self, sequences_shape):
        if sequences_shape[0] is None:
            raise ValueError(
                f"Layer '{self.path}' ({type(self).__name__}) is stateful, so it needs to know the "
                f"batch size; received inputs of shape {sequences_shape}. Give it with "
                "`Input(batch_shape=(batch, time, …))`."
            )

        def variable(value):
            return Variable(value, dtype=self.variable_dtype, trainable=False, name="rnn_state")

        with jax.ensure_compile_time_eval():
            self._lasting_states = jax.tree.map(
                variable, self.get_initial_state(sequences_shape[0])
            )

    def _read_states(self, batch_size):
        states = tree.map_structure(lambda v: v.value, self._lasting_states)
        built_for = jax.tree.leaves(states)[0].shape[0]
        if batch_size != built_for:
            raise ValueError(
                f"Layer '{self.path}' ({type(self).__name__}) is stateful and was built for "
                f"batches of {built_for}; received one of {batch_size}. Leave out the last batch "
                "if it is smaller, or give the layer no state (stateful=False)."
            )
        return states

    @property
    def states(self):
        """The `Variable`s of a stateful layer, as a list; `None` for others and before `build`."""
        return self._lasting_states

    def _state_variables(self):
        return [] if self._lasting_states is None else tree.flatten(self._lasting_states)

    def _transient_variables(self):
        return [*super()._transient_variables(), *self._state_variables()]

    def reset_state(self):
        """Let the next batch start anew; for stateful layers."""
        if variables := self._state_variables():
            first = jax.tree.leaves(self.get_initial_state(variables[0].shape[0]))
            for variable, value in zip(variables, first, strict=True):
                variable.assign(value)

    def reset_states(self):
        """The same as `reset_state`."""
        self.reset_state()

    # Masks and configs ----------------------------------------------------------------------------

    def compute_mask(self, _, mask):
        """The mask of the outputs: that of the sequences, in the outputs' order, if they are
        sequences."""
        mask = first_mask(mask) if self.return_sequences else None
        if mask is not None and self.go_backwards:
            mask = jnp.flip(mask, 1)
        if not self.return_state:
            return mask
        return [mask] + [None] * len(jax.tree.leaves(self.cell.state_size))


def first_mask(mask):
    return mask[0] if isinstance(mask, (list, tuple)) else mask


def _step_mask(layer, sequences, mask):
    """Which steps count, `(batch, time)`: those of which any part does."""
    mask = first_mask(mask)
    if mask is None:
        return None
    mask = jnp.asarray(mask, bool)
    if mask.ndim < 2 or tuple(mask.shape[:2]) != tuple(sequences.shape[:2]):
        raise ValueError(
            f"Layer '{layer.path}' ({type(layer).__name__}): its mask should have shape "
            f"(batch, time), for sequences of shape {tuple(sequences.shape)}; received shape "
            f"{tuple(mask.shape)}."
        )
    return mask.any(tuple(range(2, mask.ndim)))


def _swap(x):
    """Batch and time exchanged."""
    return jnp.swapaxes(x, 0, 1)


def _zero(outputs, mask):
    def zero(y):
        return jnp.where(mask.reshape(*mask.shape, *(1,) * (y.ndim - mask.ndim)), y, 0)

    return jax.tree.map(zero, outputs)


class CellLayer(RNN):
    """A layer with a cell of its own, whose arguments are the layer's, too."""

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        own = {*objects.constructor_parameters(RNN), "activity_regularizer", "use_cudnn"}
        if objects.is_ours(cls):
            for name in objects.constructor_parameters(cls):
                if name not in own:
                    setattr(cls, name, property(operator.attrgetter(f"cell.{name}")))

    def constructor_arguments(self):
        arguments = super().constructor_arguments()
        if objects.is_ours(type(self)):
            # Some of them go through `**kwargs`.
            names = objects.constructor_parameters(RNN)[1:]
            arguments.update({name: getattr(self, name) for name in names})
            arguments.pop("use_cudnn", None)  # no part of the model
        return arguments


def cell_options(kwargs):
    """The keyword arguments of a layer that its cell takes, too."""
    options = {name: kwargs[name] for name in ("dtype", "trainable") if name in kwargs}
    return {"implementation": kwargs.pop("implementation", 2), **options}


class SimpleRNN(CellLayer):
    """A layer whose output goes back into it: `h = tanh(x @ kernel + h @ recurrent_kernel + bias)`.

    Args:
        units: size of the output, which is the state.
        activation: function in the place of `tanh`.
        use_bias: whether there is a bias.
        kernel_initializer, recurrent_initializer, bias_initializer: initial values.
        kernel_regularizer, recurrent_regularizer, bias_regularizer, activity_regularizer:
            penalties.
        kernel_constraint, recurrent_constraint, bias_constraint: functions applied after every
            training step.
        dropout: share of the inputs' features to drop while training, the same at all steps.
        recurrent_dropout: share of the hidden state to drop while training.
        return_sequences, return_state, go_backwards, stateful, unroll: as in `RNN`.
        seed: int, for repeatable dropout.

    Called as `RNN` is.

    Example:

    >>> keras.layers.SimpleRNN(4)(np.ones((2, 5, 3))).shape
    (2, 4)
    """

    def __init__(
        self,
        units,
        activation="tanh",
        use_bias=True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        recurrent_initializer: InitializerLike = "orthogonal",
        bias_initializer: InitializerLike = "zeros",
        kernel_regularizer=None,
        recurrent_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None,
        dropout=0.0,
        recurrent_dropout=0.0,
        return_sequences=False,
        return_state=False,
        go_backwards=False,
        stateful=False,
        unroll=False,
        seed=None,
        **kwargs,
    ):
        cell = SimpleRNNCell(
            *(units, activation, use_bias),
            *(kernel_initializer, recurrent_initializer, bias_initializer),
            *(kernel_regularizer, recurrent_regularizer, bias_regularizer),
            *(kernel_constraint, recurrent_constraint, bias_constraint),
            *(dropout, recurrent_dropout, seed),
            name="simple_rnn_cell",
            **cell_options(kwargs),
        )
        super().__init__(
            *(cell, return_sequences, return_state, go_backwards, stateful, unroll),
            activity_regularizer=activity_regularizer,
            **kwargs,
        )
        self.input_spec = [InputSpec(ndim=3)]


class GRU(CellLayer):
    """Gated recurrent units: gates say how much of the state stays, and what the rest is made of.

    The formula is with `GRUCell`.

    Args:
        units: size of the output, which is the state.
        activation: function that makes the candidates for the state.
        recurrent_activation: function that makes the gates.
        use_bias: whether there is a bias.
        kernel_initializer, recurrent_initializer, bias_initializer: initial values.
        kernel_regularizer, recurrent_regularizer, bias_regularizer, activity_regularizer:
            penalties.
        kernel_constraint, recurrent_constraint, bias_constraint: functions applied after every
            training step.
        dropout: share of the inputs' features to drop while training, the same at all steps.
        recurrent_dropout: share of the hidden state to drop while training; every gate draws its
            own, for the inputs too.
        seed: int, for repeatable dropout.
        return_sequences, return_state, go_backwards, stateful, unroll: as in `RNN`.
        reset_after: whether the reset gate is applied after the matrix product, which is faster,
            or before it, as in the paper's first version.
        use_cudnn: `"auto"` or `False`; `True` is not implemented, since XLA's loop is used.

    Called as `RNN` is.

    Reference: Cho et al., 2014, https://arxiv.org/abs/1406.1078

    Example:

    >>> layer = keras.layers.GRU(4, return_sequences=True, return_state=True)
    >>> outputs, state = layer(np.ones((2, 5, 3)))
    >>> outputs.shape, state.shape
    ((2, 5, 4), (2, 4))
    """

    def __init__(
        self,
        units,
        activation="tanh",
        recurrent_activation="sigmoid",
        use_bias=True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        recurrent_initializer: InitializerLike = "orthogonal",
        bias_initializer: InitializerLike = "zeros",
        kernel_regularizer=None,
        recurrent_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None,
        dropout=0.0,
        recurrent_dropout=0.0,
        seed=None,
        return_sequences=False,
        return_state=False,
        go_backwards=False,
        stateful=False,
        unroll=False,
        reset_after=True,
        use_cudnn="auto",
        **kwargs,
    ):
        cell = GRUCell(
            *(units, activation, recurrent_activation, use_bias),
            *(kernel_initializer, recurrent_initializer, bias_initializer),
            *(kernel_regularizer, recurrent_regularizer, bias_regularizer),
            *(kernel_constraint, recurrent_constraint, bias_constraint),
            *(dropout, recurrent_dropout, reset_after, seed),
            name="gru_cell",
            **cell_options(kwargs),
        )
        super().__init__(
            *(cell, return_sequences, return_state, go_backwards, stateful, unroll),
            activity_regularizer=activity_regularizer,
            **kwargs,
        )
        self.use_cudnn = _cudnn(self, use_cudnn)
        self.input_spec = InputSpec(ndim=3)


class LSTM(CellLayer):
    """Long short-term memory: beside its output a layer carries on a sum that gates protect.

    The formula is with `LSTMCell`.

    Args:
        units: size of the output. The states are the output and the carry, both of this size.
        activation: function that makes the candidates for the carry, and the output from it.
        recurrent_activation: function that makes the gates.
        use_bias: whether there is a bias.
        kernel_initializer, recurrent_initializer, bias_initializer: initial values.
        unit_forget_bias: whether the forget gate's bias is 1 at first.
        kernel_regularizer, recurrent_regularizer, bias_regularizer, activity_regularizer:
            penalties.
        kernel_constraint, recurrent_constraint, bias_constraint: functions applied after every
            training step.
        dropout: share of the inputs' features to drop while training, the same at all steps.
        recurrent_dropout: share of the hidden state to drop while training; every gate draws its
            own, for the inputs too.
        seed: int, for repeatable dropout.
        return_sequences, return_state, go_backwards, stateful, unroll: as in `RNN`.
        use_cudnn: `"auto"` or `False`; `True` is not implemented, since XLA's loop is used.

    Called as `RNN` is.

    Reference: Hochreiter & Schmidhuber, 1997, https://doi.org/10.1162/neco.1997.9.8.1735

    Example:

    >>> layer = keras.layers.LSTM(4, return_sequences=True, return_state=True)
    >>> outputs, hidden, carry = layer(np.ones((2, 5, 3)))
    >>> outputs.shape, hidden.shape, carry.shape
    ((2, 5, 4), (2, 4), (2, 4))
    """

    def __init__(
        self,
        units,
        activation="tanh",
        recurrent_activation="sigmoid",
        use_bias=True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        recurrent_initializer: InitializerLike = "orthogonal",
        bias_initializer: InitializerLike = "zeros",
        unit_forget_bias=True,
        kernel_regularizer=None,
        recurrent_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None,
        dropout=0.0,
        recurrent_dropout=0.0,
        seed=None,
        return_sequences=False,
        return_state=False,
        go_backwards=False,
        stateful=False,
        unroll=False,
        use_cudnn="auto",
        **kwargs,
    ):
        cell = LSTMCell(
            *(units, activation, recurrent_activation, use_bias),
            *(kernel_initializer, recurrent_initializer, bias_initializer, unit_forget_bias),
            *(kernel_regularizer, recurrent_regularizer, bias_regularizer),
            *(kernel_constraint, recurrent_constraint, bias_constraint),
            *(dropout, recurrent_dropout, seed),
            name="lstm_cell",
            **cell_options(kwargs),
        )
        super().__init__(
            *(cell, return_sequences, return_state, go_backwards, stateful, unroll),
            activity_regularizer=activity_regularizer,
            **kwargs,
        )
        self.use_cudnn = _cudnn(self, use_cudnn)
        self.input_spec = InputSpec(ndim=3)


def _cudnn(layer, use_cudnn):
    owner = type(layer).__name__
    one_of(f"{owner}'s use_cudnn", use_cudnn, ("auto", True, False))
    refuse_unfinished(layer, use_cudnn=use_cudnn is True)
    return use_cudnn
