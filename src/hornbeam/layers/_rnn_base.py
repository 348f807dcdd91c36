"""The loop that all recurrent layers share, and the gradient that makes it fast.

`fold` runs any step over time. `run_steps` runs the formula of a cell that we know; if all its
products with the hidden state are one, as in an LSTM, its gradient leaves the loop as few and as
large products as possible (`_fold_product`). `run_cell` runs a cell of any kind, and `fold_calls`
one that has nothing but `cell(inputs, states)`.

Arrays are time-major in here, `[t, b, …]`: a loop reads and writes the leading axis.

What was measured, on XLA:CPU of JAX 0.10.2 in float32, in processor time of value and gradient for
32 sequences of 200 steps (`benchmarks/rnn.py`):

* *Every gate has arrays of its own.* What is cut out of one array at every step isn't vectorized
  if it is cut again into gates: a GRU's loop takes three times as long.
* *The gradient of the kernel is one product after the loop*, in place of one that is added up in
  every step; *the backward loop calculates the gates again*, which takes less time than writing
  and reading their derivatives. Together they save 22% for an LSTM of 256 units, and 8% for a GRU
  of 64.
* *The backward loop multiplies by a kernel that was transposed before it*: 3%.
* Unrolling by 2 takes 9% longer, and longer to compile.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from ..core import objects
from ..core.loading import count_calls
from ..core.messages import expected
from ..core.scope import bind, current, enter
from ..core.symbolic import KerasTensor, infer
from ._base import Layer


class Loop(NamedTuple):
    """How a loop goes over time."""

    reverse: bool = False  # from the last step to the first
    unroll: bool = False  # no loop, but as many copies of the step
    keep: bool = False  # whether the outputs of all steps are wanted


def fold(step, states, xs, mask, loop: Loop, emit, free=()):
    """Run `step` along the leading axis.

    Args:
        step: function `(x, states, free) -> (states, free, more)`.
        states: arrays `[b, …]`, nested in any way. Where the mask is false they stay.
        xs: arrays `[t, b, …]`, nested in any way.
        mask: bool `[t, b]`, or `None`.
        loop: the direction, and whether to unroll.
        emit: function of the states after a step, giving what to stack.
        free: further values that go from step to step, whatever the mask says.

    Returns:
        `(last states, last free, (what was emitted, what was more))`, the latter stacked in the
        order of `xs`.
    """

    def body(carry, now):
        states, free = carry
        x, counts = now
        new, free, more = step(x, states, free)
        new = jax.tree.map(lambda a, b: a.astype(b.dtype), new, states)
        if counts is not None:
            new = _select(counts, new, states)
        return (new, free), (emit(new), more)

    if loop.unroll:
        count_calls(len(jax.tree.leaves(xs)[0]))
    (states, free), stacked = lax.scan(
        body, (states, free), (xs, mask), reverse=loop.reverse, unroll=loop.unroll
    )
    return states, free, stacked


def _select(counts, new, old):
    def select(a, b):
        return jnp.where(counts.reshape(-1, *(1,) * (a.ndim - 1)), a, b)

    return jax.tree.map(select, new, old)


# Formulas -----------------------------------------------------------------------------------------


class Formula:
    """What a cell calculates in a step: a frozen dataclass, so that equal ones compile once.

    `x` is the input's part, calculated for all steps before. It and biases are lists with an array
    for each gate.
    """

    def once(self, kernel, biases, x, states, noise):
        """The states after a step, the first of which is the output and the hidden state."""
        raise NotImplementedError


class OneProduct(Formula):
    """A step `advance(join(x, products, biases), states)`.

    The products are those of the hidden state with each gate's part of the kernel.
    """

    def join(self, x, products, biases):
        """What a step depends on beside the states; linear in the three arguments together."""
        if biases is None:
            return [a + b for a, b in zip(x, products)]
        return [a + b + c for a, b, c in zip(x, products, biases)]

    def advance(self, z, states):
        """The states after a step, without matrix products."""
        raise NotImplementedError

    def once(self, kernel, biases, x, states, noise):
        return self.advance(
            self.join(x, products(states[0], kernel, len(x), noise), biases), states
        )


def run_steps(formula: Formula, loop: Loop, kernel, biases, xs, states, mask, noise):
    """Run a formula along the leading axis.

    Args:
        formula: what a step computes.
        loop: the direction, and whether to unroll and to keep all hidden states.
        kernel: by which the hidden state is multiplied.
        biases: list of arrays, one for each gate, or `None`.
        xs: list of `[t, b, …]`, one for each gate.
        states: tuple of arrays `[b, …]`.
        mask: bool `[t, b]`, or `None`.
        noise: dropout of the hidden state: factors `[b, …]`, a list of those, one for each gate,
            or `None`.

    Returns:
        `(last states, hidden states [t, b, …] or None)`.
    """
    # Outside of a traced function a loop is compiled at every call, unless it is kept here. A
    # function of the user's might read a variable, whose value would be kept, too.
    functions = [f for f in vars(formula).values() if callable(f)]
    run = _kept if all(objects.public_name(f) for f in functions) else _run_steps
    return run(formula, loop, kernel, biases, xs, states, mask, noise)


def _run_steps(formula, loop, kernel, biases, xs, states, mask, noise):
    if isinstance(formula, OneProduct):
        return _fold_product(formula, loop, kernel, biases, xs, states, mask, noise)

    def run(x, states, _):
        return formula.once(kernel, biases, x, states, noise), (), None

    states, _, (outputs, _) = fold(run, states, xs, mask, loop, _hidden(loop))
    return states, outputs


_kept = jax.jit(_run_steps, static_argnums=(0, 1), inline=True)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _fold_product(step: OneProduct, loop: Loop, kernel, biases, xs, states, mask, noise):
    states, hidden, _ = _forward(step, loop, kernel, biases, xs, states, mask, noise)
    return states, hidden


def _forward(
    step, loop, kernel, biases, xs, states, mask, noise, everything=False
) -> tuple[Any, Any, Any]:
    """What `_fold_product` returns, and, on request, what `advance` was given at every step."""

    def run(x, states, _):
        z = step.join(x, products(states[0], kernel, len(x), noise), biases)
        return step.advance(z, states), (), (z, states) if everything else None

    states, _, (hidden, given) = fold(run, states, xs, mask, loop, _hidden(loop))
    return states, hidden, given


def _hidden(loop):
    return lambda states: states[0] if loop.keep else None


@_fold_product.defjvp
def _tangents(step, loop, primals, tangents):
    kernel, biases, xs, _, mask, noise = primals
    d_kernel, d_biases, d_xs, d_states, *_ = tangents
    *outputs, given = _forward(step, loop, *primals, everything=True)
    hidden = given[1][0]
    # All that the kernel's tangent does, in one product over all steps; so is the gradient.
    d_zs = step.join(d_xs, products(hidden, d_kernel, len(xs), noise), d_biases)
    transposed = kernel.T
    no_biases = jax.tree.map(jnp.zeros_like, biases)

    # Without this, a second loop would write the derivatives of the gates before the backward
    # loop reads them.
    @functools.partial(jax.checkpoint, prevent_cse=False)
    def advance(z, states, d_z, d_states):
        return jax.jvp(step.advance, (z, states), (d_z, d_states))[1]

    def run(now, d_states, _):
        (z, states), d_z = now
        d_products = products(d_states[0], transposed, len(xs), noise, transposed=True)
        change = step.join([jnp.zeros_like(d) for d in d_products], d_products, no_biases)
        d_z = jax.tree.map(jnp.add, d_z, change)
        return advance(z, states, d_z, d_states), (), None

    d_states, _, (d_hidden, _) = fold(run, d_states, (given, d_zs), mask, loop, _hidden(loop))
    return tuple(outputs), (d_states, d_hidden)


def products(x, kernel, parts, noise=None, transposed=False):
    """`[(x * noise) @ part of the kernel, …]`, over the last axis of `x`.

    Args:
        x: `[…, b, m]`.
        kernel: `[m, parts * n]`, or `[parts * n, m]` if it is `transposed`.
        parts: into how many equal parts the kernel is divided.
        noise: `[b, m]`, or a list of those, one for each part, or `None`.

    Returns:
        List of arrays `[…, b, n]`.
    """
    if isinstance(noise, list):
        kernels = jnp.split(kernel, parts, axis=0 if transposed else 1)
        return [_product(x * n, k, transposed) for k, n in zip(kernels, noise)]
    return jnp.split(_product(x if noise is None else x * noise, kernel, transposed), parts, -1)


def project(x, kernel, parts, noise=None):
    """As `products`, for all steps at once."""
    if isinstance(noise, list):
        return products(x, kernel, parts, noise)
    return _project(x if noise is None else x * noise, kernel, parts)


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def _project(x, kernel, parts):
    return [_product(x, k) for k in jnp.split(kernel, parts, axis=1)]


@_project.defjvp
def _project_tangents(parts, primals, tangents):
    (x, kernel), (d_x, d_kernel) = primals, tangents
    # The gradient is one product for all parts, and not a sum of several.
    tangent = _product(d_x, kernel) + _product(x, d_kernel)
    return _project(x, kernel, parts), jnp.split(tangent, parts, axis=-1)


def _product(x, kernel, transposed=False):
    # As matrices: XLA:CPU copies the operands of a product that contracts two axes, and so those
    # of the gradient.
    flat = x.reshape(-1, x.shape[-1])
    flat = lax.dot_general(flat, kernel, (((1,), (int(transposed),)), ((), ())))
    return flat.reshape(*x.shape[:-1], flat.shape[-1])


# Cells --------------------------------------------------------------------------------------------


class RunsOverTime(Layer):
    """A cell with a method `over_time`, which does what `run_cell` says, faster than calls."""

    over_time: Callable[..., Any]

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "call" in vars(cls) and "over_time" not in vars(cls):
            cls.over_time = cls.calls_over_time  # `over_time` doesn't know that `call`

    def calls_over_time(self, xs, states, mask, training, loop):
        return fold_calls(self, xs, states, mask, training, loop)


def check_cell(argument, cell):
    """Raise a `ValueError` unless `cell` is a cell."""
    if not callable(getattr(cell, "call", None)):
        wanted = "a cell, with a method `call(inputs, states)`"
        raise ValueError(expected(argument, wanted, cell))
    if not hasattr(cell, "state_size"):
        hint = "An int, or a list of ints, one for each state."
        raise ValueError(expected(argument, "a cell, with an attribute `state_size`", cell, hint))


def zeros(sizes, batch_size, dtype):
    """States of these sizes, as a list."""
    if batch_size is None:
        raise ValueError("get_initial_state needs to know the batch size; received None.")
    states = jax.tree.map(lambda n: jnp.zeros((batch_size, n), dtype), sizes)
    return list(states) if isinstance(states, (list, tuple)) else [states]


def initial_states(cell, batch_size, dtype):
    """The states that a cell starts with, as a list."""
    if not hasattr(cell, "get_initial_state"):
        return zeros(cell.state_size, batch_size, dtype)
    states = cell.get_initial_state(batch_size=batch_size)
    return list(states) if isinstance(states, (list, tuple)) else [states]


def output_size(cell):
    """The size of a cell's output, or of its first state if it doesn't say."""
    size = getattr(cell, "output_size", None)
    return jax.tree.leaves(cell.state_size)[0] if size is None else size


def build_cell(cell, shape):
    """Build a cell for inputs of this shape, `(batch, …)`."""
    if not getattr(cell, "built", True):
        if cell._overrides("build"):
            cell.build(shape)
        else:
            output_shape(cell, shape)  # its layers are built by the first call


def output_shape(cell, shape):
    """The shape of a cell's output for inputs of this shape, found by tracing."""

    def call(x):
        return call_cell(cell, x, initial_states(cell, x.shape[0], x.dtype), False)[0]

    dtype = getattr(cell, "compute_dtype", "float32")
    return infer(call, (KerasTensor(shape, dtype),), {}).shape


def call_cell(cell, inputs, states, training, **kwargs):
    """One step: `(output, states)`."""
    if isinstance(cell, Layer):
        kwargs["training"] = training
    return cell(inputs, states, **kwargs)


def run_cell(cell, xs, states, mask, training, loop: Loop):
    """Run a cell over `xs`: `(last output, outputs [t, b, …] or None, last states)`.

    Args:
        cell: a layer or another callable, `cell(inputs, states) -> (output, states)`.
        xs: `[t, b, …]`.
        states: as the cell takes them.
        mask: bool `[t, b]`, or `None`. Where it is false the states stay, and the output is that
            of the step before: where the output is the first state, that state, else at first 0.
        training: whether dropout acts.
        loop: direction, unrolling, and whether to return all outputs.
    """
    if not isinstance(cell, RunsOverTime):
        return fold_calls(cell, xs, states, mask, training, loop)
    with enter(autocast=cell._autocast_dtype(), layer=cell):
        return cell.over_time(xs.astype(cell.compute_dtype), states, mask, training, loop)


def fold_calls(cell, xs, states, mask, training, loop: Loop):
    """`run_cell` by calling the cell at every step.

    What the cell changes beside its states goes from step to step, too: random states, and moving
    averages. What it adds to the loss is added up.
    """
    changing = getattr(cell, "non_trainable_variables", [])
    outer = current().values or {}
    first, tree = jax.tree.flatten(states)
    output_is_state, adders = False, []

    def call(x, states, values):
        nonlocal output_is_state
        losses = []
        given = {**outer, **dict(zip(changing, values, strict=True))}
        with bind(given, losses=losses) as now:
            output, new = call_cell(cell, x, jax.tree.unflatten(tree, states), training)
        new = jax.tree.leaves(new)
        if len(new) != len(states):
            raise ValueError(
                f"The cell {cell} should return as many states as it takes, {len(states)}; it "
                f"returned {len(new)}."
            )
        output_is_state = output is new[0]
        adders[:] = [layer for layer, _ in losses]
        return output, new, [now[v] for v in changing], [loss for _, loss in losses]

    # The output goes from step to step, too, for the masked ones; unless it is a state anyway.
    def step(x, carry, values):
        output, states, values, losses = call(x, carry[1], values)
        return (None if output_is_state else output, states), values, losses

    def output_of(carry):
        return carry[1][0] if output_is_state else carry[0]

    def emit(carry):
        return output_of(carry) if loop.keep else None

    with enter(autocast=None):
        values = [v.value for v in changing]
    x = jax.ShapeDtypeStruct(xs.shape[1:], xs.dtype)
    output, *_ = jax.eval_shape(call, x, first, values)
    before = jax.tree.map(lambda y: jnp.zeros(y.shape, y.dtype), output)
    carry = None if output_is_state else before, first
    carry, values, (outputs, losses) = fold(step, carry, xs, mask, loop, emit, values)
    for variable, value in zip(changing, values, strict=True):
        variable.assign(value)
    for layer, loss in zip(adders, losses, strict=True):
        layer.add_loss(jnp.sum(loss, axis=0))
    return output_of(carry), outputs, jax.tree.unflatten(tree, carry[1])
