"""Recurrent cells: what happens in one step."""

import contextlib
import dataclasses
from collections.abc import Callable

import jax.numpy as jnp

from .. import activations, constraints, initializers, random, regularizers
from ..core.messages import expected
from ..core.rng import SeedGenerator
from ..core.scope import current
from ..core.variable import Variable
from ..initializers import InitializerLike
from ._arguments import positive_int, share
from ._rnn_base import (
    Formula,
    Loop,
    OneProduct,
    RunsOverTime,
    build_cell,
    call_cell,
    check_cell,
    initial_states,
    output_shape,
    output_size,
    products,
    project,
    run_cell,
    run_steps,
    zeros,
)
from ._wrappers import HoldsLayers


class BaseCell(RunsOverTime):
    """What the cells share: weights, dropout, and the way they run over time.

    A subclass says what its formula is, how many gates it has, and what it needs beyond `units`.
    """

    gates = 1  # equal parts of the kernels, along their last axis
    kernel: Variable
    recurrent_kernel: Variable
    bias: Variable | None

    def __init__(
        self,
        units,
        activation,
        use_bias,
        kernel_initializer,
        recurrent_initializer,
        bias_initializer,
        kernel_regularizer,
        recurrent_regularizer,
        bias_regularizer,
        kernel_constraint,
        recurrent_constraint,
        bias_constraint,
        dropout,
        recurrent_dropout,
        seed,
        implementation=2,
        **kwargs,
    ):
        super().__init__(**kwargs)
        owner = type(self).__name__
        self.units = positive_int(f"{owner}'s units", units)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.recurrent_initializer = initializers.get(recurrent_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = regularizers.get(recurrent_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.recurrent_constraint = constraints.get(recurrent_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.dropout = share(f"{owner}'s dropout", dropout)
        self.recurrent_dropout = share(f"{owner}'s recurrent_dropout", recurrent_dropout)
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)
        # As in Keras: the gates' dropout differs if that of the hidden state does anything.
        self.implementation = 1 if self.recurrent_dropout else implementation
        parts = self.gates if self.implementation == 1 else 1
        self._input_noise = Noise(self.dropout, parts, self.seed_generator)
        self._hidden_noise = Noise(self.recurrent_dropout, parts, self.seed_generator)
        self.state_size = self.output_size = self.units

    @property
    def formula(self) -> Formula:
        """What a step calculates."""
        raise NotImplementedError

    # Weights --------------------------------------------------------------------------------------

    def build(self, input_shape):
        width = self.gates * self.units
        self.kernel = self._weight("kernel", "kernel", (input_shape[-1], width))
        self.recurrent_kernel = self._weight("recurrent", "recurrent_kernel", (self.units, width))
        self.bias = self._weight("bias", "bias", self._bias_shape(width)) if self.use_bias else None

    def _weight(self, kind, name, shape, initializer=None):
        return self.add_weight(
            shape,
            initializer or getattr(self, f"{kind}_initializer"),
            regularizer=getattr(self, f"{kind}_regularizer"),
            constraint=getattr(self, f"{kind}_constraint"),
            name=name,
        )

    def _bias_shape(self, width):
        return (width,)

    def _biases(self):
        return None if self.bias is None else jnp.split(self.bias.value, self.gates, axis=-1)

    # Running --------------------------------------------------------------------------------------

    def call(self, inputs, states, training=False):
        nested = isinstance(states, (list, tuple))
        states = tuple(states) if nested else (states,)
        noise = hidden_noise = None
        if training:
            noise = self.get_dropout_mask(inputs)
            hidden_noise = self.get_recurrent_dropout_mask(states[0])
        x, kernel = self._project(inputs, noise), self.recurrent_kernel.value
        states = self.formula.once(kernel, self._biases(), x, states, hidden_noise)
        return states[0], list(states) if nested else states[0]

    def over_time(self, xs, states, mask, training, loop: Loop):
        """As `run_cell`: dropout is drawn once, and the inputs are multiplied all at once."""
        noise = hidden_noise = None
        if training:
            noise = self._input_noise.draw(xs.shape[1:], xs.dtype)
            hidden_noise = self._hidden_noise.draw(states[0].shape, states[0].dtype)
        xs, kernel = self._project(xs, noise), self.recurrent_kernel.value
        states, outputs = run_steps(
            self.formula, loop, kernel, self._biases(), xs, tuple(states), mask, hidden_noise
        )
        return states[0], outputs, list(states)

    def calls_over_time(self, xs, states, mask, training, loop: Loop):
        with self._input_noise.kept(xs[0], training), self._hidden_noise.kept(states[0], training):
            return super().calls_over_time(xs, states, mask, training, loop)

    def _project(self, x, noise):
        """The input's part of a step, or of all steps."""
        return project(x, self.kernel.value, self.gates, noise)

    def get_initial_state(self, batch_size=None):
        """Zeros for a batch of this size: a list of arrays `[batch, units]`."""
        return zeros(self.state_size, batch_size, self.compute_dtype)

    # Dropout --------------------------------------------------------------------------------------

    def get_dropout_mask(self, step_input):
        """Factors for a step's input, drawn at the first call after `reset_dropout_mask`.

        Returns:
            An array like `step_input`, or a list of them, one for each gate, if there is recurrent
            dropout; `None` without dropout.
        """
        return self._input_noise.get(step_input)

    def get_recurrent_dropout_mask(self, step_input):
        """Factors for the hidden state, drawn at the first call after
        `reset_recurrent_dropout_mask`; as `get_dropout_mask`."""
        return self._hidden_noise.get(step_input)

    def reset_dropout_mask(self):
        """Forget the factors for inputs. Do so before every sequence when you call a cell in a
        loop of your own; recurrent layers draw new ones at every call."""
        self._input_noise.reset()

    def reset_recurrent_dropout_mask(self):
        """Forget the factors for hidden states, as `reset_dropout_mask`."""
        self._hidden_noise.reset()


class Noise:
    """Dropout that stays the same from step to step: factors `0` and `1 / (1 - rate)`.

    Args:
        rate: share of zeros.
        parts: how many arrays of factors, one for each gate.
        seed_generator: where they are drawn from.
    """

    def __init__(self, rate, parts, seed_generator):
        self.rate, self.parts, self.seed_generator = rate, parts, seed_generator
        self.reset()

    def draw(self, shape, dtype):
        """New factors, or `None` for a rate of 0."""
        if not self.rate:
            return None
        ones = jnp.ones(shape, dtype)
        drawn = [
            random.dropout(ones, self.rate, seed=self.seed_generator) for _ in range(self.parts)
        ]
        return drawn[0] if self.parts == 1 else drawn

    def get(self, like):
        """The factors drawn at the first call since `reset`."""
        # Those drawn while a function was traced mean nothing outside of it, or in another one.
        scope = current().values
        if self._scope is not scope and self._scope is not _ANY:
            self._drawn, self._scope = self.draw(like.shape, like.dtype), scope
        return self._drawn

    def reset(self):
        self._drawn, self._scope = None, _NONE

    @contextlib.contextmanager
    def kept(self, like, training):
        """Draw factors that `get` returns inside of the block, wherever it is called."""
        if training:
            self._drawn, self._scope = self.draw(like.shape, like.dtype), _ANY
        yield
        self.reset()


# Where factors of `Noise` are good: nowhere, everywhere, or with certain values of variables.
_NONE, _ANY = object(), object()


@dataclasses.dataclass(frozen=True)
class SimpleFormula(OneProduct):
    """The output is an activation of the sum of all."""

    activation: Callable

    def advance(self, z, states):
        return (self.activation(z[0]),)


class SimpleRNNCell(BaseCell):
    """One step of `SimpleRNN`: `h = activation(x @ kernel + h @ recurrent_kernel + bias)`.

    Args: as those of `SimpleRNN`.

    Example:

    >>> cell = keras.layers.SimpleRNNCell(4)
    >>> output, states = cell(np.ones((2, 3)), cell.get_initial_state(2))
    >>> output.shape
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
        kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None,
        dropout=0.0,
        recurrent_dropout=0.0,
        seed=None,
        **kwargs,
    ):
        super().__init__(
            *(units, activation, use_bias),
            *(kernel_initializer, recurrent_initializer, bias_initializer),
            *(kernel_regularizer, recurrent_regularizer, bias_regularizer),
            *(kernel_constraint, recurrent_constraint, bias_constraint),
            *(dropout, recurrent_dropout, seed),
            **kwargs,
        )

    @property
    def formula(self):
        return SimpleFormula(self.activation)

    over_time = BaseCell.over_time

    def call(self, sequence, states, training=False):  # Keras's name for the input
        return super().call(sequence, states, training)


@dataclasses.dataclass(frozen=True)
class GRUFormula(OneProduct):
    """Gated recurrent units that reset after the product."""

    activation: Callable
    gate: Callable

    def join(self, x, products, biases):
        if biases is not None:
            x = [a + bias[0] for a, bias in zip(x, biases)]
            products = [a + bias[1] for a, bias in zip(products, biases)]
        return x[0] + products[0], x[1] + products[1], x[2], products[2]

    def advance(self, z, states):
        update, reset, candidate, past = z
        candidate = self.activation(candidate + self.gate(reset) * past)
        return _mixed(self.gate(update), states[0], candidate)


@dataclasses.dataclass(frozen=True)
class GRUFormulaBefore(Formula):
    """Gated recurrent units that reset before the product."""

    activation: Callable
    gate: Callable

    def once(self, kernel, biases, x, states, noise):
        hidden, n = states[0], 2 * x[0].shape[-1]
        noise, last = (noise[:2], noise[2]) if isinstance(noise, list) else (noise, noise)
        if biases is not None:
            x = [a + bias for a, bias in zip(x, biases)]
        update, reset = products(hidden, kernel[:, :n], 2, noise)
        reset = self.gate(x[1] + reset)
        (past,) = products(reset * hidden, kernel[:, n:], 1, last)
        return _mixed(self.gate(x[0] + update), hidden, self.activation(x[2] + past))


def _mixed(update, hidden, candidate):
    return (update * hidden + (1 - update) * candidate,)


class GRUCell(BaseCell):
    """One step of `GRU`.

    With `u` (how much stays), `r` (how much of the past the candidate sees) and the candidate `c`,
    which have a third each of the kernels and the biases:

        u = recurrent_activation(x @ kernel_u + h @ recurrent_kernel_u + biases)
        r = recurrent_activation(x @ kernel_r + h @ recurrent_kernel_r + biases)
        c = activation(x @ kernel_c + bias + r * (h @ recurrent_kernel_c + recurrent_bias))
        h = u * h + (1 - u) * c

    Without `reset_after`, there is one bias, and
    `c = activation(x @ kernel_c + (r * h) @ recurrent_kernel_c + bias)`.

    Args: as those of `GRU`.

    Example:

    >>> cell = keras.layers.GRUCell(4)
    >>> output, states = cell(np.ones((2, 3)), cell.get_initial_state(2))
    >>> output.shape
    (2, 4)
    """

    gates = 3

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
        kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None,
        dropout=0.0,
        recurrent_dropout=0.0,
        reset_after=True,
        seed=None,
        **kwargs,
    ):
        super().__init__(
            *(units, activation, use_bias),
            *(kernel_initializer, recurrent_initializer, bias_initializer),
            *(kernel_regularizer, recurrent_regularizer, bias_regularizer),
            *(kernel_constraint, recurrent_constraint, bias_constraint),
            *(dropout, recurrent_dropout, seed),
            **kwargs,
        )
        self.recurrent_activation = activations.get(recurrent_activation)
        self.reset_after = bool(reset_after)

    def _bias_shape(self, width):
        return (2, width) if self.reset_after else (width,)

    @property
    def formula(self):
        formula = GRUFormula if self.reset_after else GRUFormulaBefore
        return formula(self.activation, self.recurrent_activation)


@dataclasses.dataclass(frozen=True)
class LSTMFormula(OneProduct):
    """Long short-term memory."""

    activation: Callable
    gate: Callable

    def advance(self, z, states):
        carry = self.gate(z[1]) * states[1] + self.gate(z[0]) * self.activation(z[2])
        return self.gate(z[3]) * self.activation(carry), carry


class LSTMCell(BaseCell):
    """One step of `LSTM`.

    With the gates `i` (input), `f` (forget) and `o` (output) and the candidate `g`, which have a
    fourth each of the kernels and the bias, in the order `i, f, g, o`:

        i = recurrent_activation(x @ kernel_i + h @ recurrent_kernel_i + bias_i)    f and o alike
        g = activation(x @ kernel_g + h @ recurrent_kernel_g + bias_g)
        c = f * c + i * g
        h = o * activation(c)

    Args: as those of `LSTM`.

    Example:

    >>> cell = keras.layers.LSTMCell(4)
    >>> output, (hidden, carry) = cell(np.ones((2, 3)), cell.get_initial_state(2))
    >>> output.shape, carry.shape
    ((2, 4), (2, 4))
    """

    gates = 4

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
        kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None,
        dropout=0.0,
        recurrent_dropout=0.0,
        seed=None,
        **kwargs,
    ):
        super().__init__(
            *(units, activation, use_bias),
            *(kernel_initializer, recurrent_initializer, bias_initializer),
            *(kernel_regularizer, recurrent_regularizer, bias_regularizer),
            *(kernel_constraint, recurrent_constraint, bias_constraint),
            *(dropout, recurrent_dropout, seed),
            **kwargs,
        )
        self.recurrent_activation = activations.get(recurrent_activation)
        self.unit_forget_bias = unit_forget_bias
        self.state_size = [self.units, self.units]

    def _weight(self, kind, name, shape, initializer=None):
        if kind == "bias" and self.unit_forget_bias:
            initializer = self._forget_bias
        return super()._weight(kind, name, shape, initializer)

    def _forget_bias(self, shape, dtype):
        """1 for the forget gate, so that the carry lasts at first."""
        n = shape[0] // 4
        first, last = (self.bias_initializer((k,), dtype=dtype) for k in (n, 2 * n))
        return jnp.concatenate([first, jnp.ones(n, dtype), last])

    @property
    def formula(self):
        return LSTMFormula(self.activation, self.recurrent_activation)


class StackedRNNCells(HoldsLayers, RunsOverTime):
    """Cells on top of each other, as one cell: the output of one is the input of the next.

    Args:
        cells: list of cells.

    The states are a list with those of every cell.

    Example:

    >>> cell = keras.layers.StackedRNNCells([keras.layers.LSTMCell(8), keras.layers.GRUCell(4)])
    >>> keras.layers.RNN(cell)(np.ones((2, 5, 3))).shape
    (2, 4)
    """

    def __init__(self, cells, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(cells, (list, tuple)) or not cells:
            raise ValueError(expected("StackedRNNCells's cells", "a list of cells", cells))
        for cell in cells:
            check_cell("StackedRNNCells's cells", cell)
        self.cells = list(cells)

    @property
    def state_size(self):
        """The sizes of the states, a list with those of every cell."""
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self):
        """The size of the last cell's output."""
        return output_size(self.cells[-1])

    def get_initial_state(self, batch_size=None):
        """The states at the start, a list with those of every cell."""
        return [initial_states(cell, batch_size, self.compute_dtype) for cell in self.cells]

    def build(self, input_shape):
        for cell in self.cells:
            build_cell(cell, input_shape)
            input_shape = output_shape(cell, input_shape)

    def call(self, inputs, states, training=False, **kwargs):
        after = []
        for cell, own in zip(self.cells, states, strict=True):
            inputs, own = call_cell(cell, inputs, own, training, **kwargs)
            after.append(own)
        return inputs, after

    def over_time(self, xs, states, mask, training, loop: Loop):
        # One cell after the other over the whole time: each multiplies all its inputs at once.
        after, last = [], None
        for i, (cell, own) in enumerate(zip(self.cells, states, strict=True), 1):
            keep = loop.keep or i < len(self.cells)
            last, xs, own = run_cell(cell, xs, own, mask, training, loop._replace(keep=keep))
            after.append(own)
        return last, xs, after
