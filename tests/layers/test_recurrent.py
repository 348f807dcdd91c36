"""Recurrent layers beyond the common laws: cells of one's own, masks, lasting state, gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hornbeam as keras
from hornbeam import layers
from hornbeam.core import masks
from hornbeam.layers._rnn_base import Loop, fold, run_steps

CELLS = ["SimpleRNNCell", "GRUCell", "LSTMCell"]
every_cell = pytest.mark.parametrize("name", CELLS)


def data(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def padding(lengths, time):
    return np.arange(time) < np.asarray(lengths)[:, None]


def masked(x, mask):
    x = jnp.asarray(x)
    masks.set_mask(x, jnp.asarray(mask))
    return x


def same(a, b, tolerance=1e-6):
    a, b = jax.tree.leaves(a), jax.tree.leaves(b)
    for p, q in zip(a, b, strict=True):
        np.testing.assert_allclose(p, q, rtol=tolerance, atol=tolerance)


def as_function(layer, *args, **kwargs):
    """The layer's outputs as a function of its weights and its input."""
    others = [v.value for v in layer.non_trainable_variables]
    weights = [v.value for v in layer.trainable_variables]
    return lambda w, x: layer.stateless_call(w, others, x, *args, **kwargs)[0], weights


# The loop and its gradient ------------------------------------------------------------------------


def one_loop(name, noise, **options):
    """The weights of a cell, and its loop with and without the special gradient."""
    cell = getattr(layers, name)(3)
    cell.build((None, 3))
    formula, parts = cell.formula, cell.gates
    bias = data(*cell.bias.shape)
    factors = {"none": None, "one": data(2, 3, seed=7)}
    factors["gates"] = [data(2, 3, seed=i) for i in range(parts)]
    loop = Loop(keep=True, **options)
    mask = jnp.asarray(padding([4, 2], 4).T)
    noise = factors[noise] if noise != "gates" or parts > 1 else None

    def arguments(kernel, bias, x, first):
        xs = [x * (i + 1) for i in range(parts)]
        states = (first,) * (2 if name == "LSTMCell" else 1)
        return kernel, jnp.split(bias, parts, axis=-1), xs, states, mask, noise

    def fast(*weights):
        return run_steps(formula, loop, *arguments(*weights))

    def plain(*weights):
        kernel, biases, xs, states, mask, noise = arguments(*weights)
        step = lambda x, s, _: (formula.once(kernel, biases, x, s, noise), (), None)
        states, _, (outputs, _) = fold(step, states, xs, mask, loop, lambda s: s[0])
        return states, outputs

    kernel = cell.recurrent_kernel.value
    return fast, plain, (kernel, bias, data(4, 2, 3), data(2, 3, seed=1))


@every_cell
@pytest.mark.parametrize(
    "noise, options", [("none", {}), ("one", {"reverse": True}), ("gates", {"unroll": True})]
)
def test_the_gradient_is_that_of_the_plain_loop(name, noise, options):
    fast, plain, weights = one_loop(name, noise, **options)
    weigh = lambda f: lambda *w: sum(jnp.sum(jnp.cos(y)) for y in jax.tree.leaves(f(*w)))
    both = [jax.jit(jax.value_and_grad(weigh(f), argnums=(0, 1, 2, 3))) for f in (fast, plain)]
    same(both[0](*weights), both[1](*weights), 2e-6)


def test_all_of_jaxs_transformations_work():
    fast, plain, weights = one_loop("GRUCell", "none")
    tangents = tuple(data(*w.shape, seed=i) for i, w in enumerate(weights))
    values = [
        (
            jax.jvp(f, weights, tangents),
            jax.vmap(f, in_axes=(None, None, 0, None))(
                *weights[:2], np.stack([weights[2]] * 2), weights[3]
            ),
            jax.hessian(lambda h: jnp.sum(f(*weights[:3], h)[1] ** 2))(weights[3]),
            jax.grad(jax.grad(lambda s: jnp.sum(f(weights[0] * s, *weights[1:])[1] ** 2)))(1.0),
        )
        for f in (fast, plain)
    ]
    same(values[0], values[1], 1e-5)


def test_an_eager_call_compiles_once(compiles):
    layer, x = layers.LSTM(3), data(2, 4, 3)
    layer(x)
    with compiles() as n:
        layer(x)
        # Other layers with the same formula use the same program.
    assert n.total == 0, n.names


def test_activations_that_read_variables_are_read_anew():
    slope = keras.Variable(1.0)
    layer = layers.SimpleRNN(3, activation=lambda x: slope * x)
    x = data(2, 4, 3)
    before = layer(x)
    slope.assign(0.0)
    assert bool(before.any()) and not bool(layer(x).any())


# Cells --------------------------------------------------------------------------------------------


def by_hand(cell, x, states, training=False):
    outputs = []
    cell.reset_dropout_mask(), cell.reset_recurrent_dropout_mask()
    for t in range(x.shape[1]):
        output, states = cell(x[:, t], states, training=training)
        outputs.append(output)
    return jnp.stack(outputs, 1), states


@every_cell
def test_a_layer_calls_its_cell_at_every_step(name):
    options = dict(dropout=0.3, recurrent_dropout=0.4, seed=3)
    cell = getattr(layers, name)(3, **options)
    layer = layers.RNN(cell, return_sequences=True, return_state=True)
    x = data(2, 4, 3)
    layer.build(x.shape)
    outputs, *states = layer(x, training=True)
    cell.seed_generator.state.assign([3, 0])
    same((outputs, states), by_hand(cell, x, cell.get_initial_state(2), True))


def test_dropout_of_a_cell_is_drawn_once_per_trace():
    cell = layers.LSTMCell(3, dropout=0.5, recurrent_dropout=0.5, seed=1)
    cell.build((None, 3))
    x, states = np.ones((2, 3), "float32"), cell.get_initial_state(2)
    trainable, others = ([v.value for v in vs] for vs in (cell.trainable_variables, cell.variables))

    @jax.jit
    def twice(x):
        scope = keras.StatelessScope(zip(cell.variables, others))
        with scope:
            return cell(x, states, training=True)[0], cell(x, states, training=True)[0]

    a, b = twice(x)
    same(a, b)
    same(a, cell(x, states, training=True)[0])  # nothing of the trace is left
    assert cell.seed_generator.state.numpy().tolist() == [1, 8]


class Leaky(layers.Layer):
    """A cell that remembers a part of the last state, and its input."""

    state_size = [3, [3]]

    def __init__(self, keep=0.5, **kwargs):
        super().__init__(**kwargs)
        self.keep = keep

    def build(self, input_shape):
        self.kernel = self.add_weight((input_shape[-1], 3), "ones", name="kernel")

    def call(self, inputs, states):
        total, (_,) = states
        total = self.keep * total + inputs @ self.kernel
        return jnp.concatenate([total, -total], -1), [total, [inputs]]


def test_nested_states_and_an_output_of_another_size():
    layer = layers.RNN(Leaky(), return_sequences=True, return_state=True)
    x = data(2, 4, 3)
    outputs, total, (last,) = layer(x)
    expected = np.zeros((2, 3))
    for t in range(4):
        expected = 0.5 * expected + x[:, t].sum(-1, keepdims=True)
        same(outputs[:, t], np.concatenate([expected, -expected], -1), 1e-5)
    same((total, last), (expected, x[:, -1]), 1e-5)
    assert [v.path for v in layer.weights] == ["rnn/leaky/kernel"]
    assert layer.compute_output_shape((None, None, 3)) == ((None, None, 6), (None, 3), [(None, 3)])


def test_a_masked_step_repeats_the_output():
    layer = layers.RNN(Leaky(), return_sequences=True)
    mask = np.array([[False, True, False, True]])
    outputs = layer(masked(data(1, 4, 3), mask))
    assert not outputs[:, 0].any()
    same(outputs[:, 1], outputs[:, 2])
    zeroed = layers.RNN(Leaky(), return_sequences=True, zero_output_for_mask=True)
    same(zeroed(masked(data(1, 4, 3), mask)), outputs * mask[..., None])


class Busy(layers.Layer):
    """A cell with random state, with a variable of its own, with layers made without shapes."""

    state_size = output_size = 3

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(3, activity_regularizer="l2")
        self.dropout = layers.Dropout(0.5, seed=1)
        self.steps = self.add_weight((), "zeros", trainable=False, name="steps")

    def call(self, inputs, states, training=False):
        self.steps.assign_add(1.0)
        self.add_loss(1.0)
        noise = self.dropout(jnp.ones_like(inputs), training=training)
        return noise, [self.dense(inputs) + states[0]]


def test_what_a_cell_changes_goes_from_step_to_step():
    layer = layers.RNN(Busy(), return_sequences=True)
    noise = layer(data(2, 5, 3), training=True)
    assert float(layer.cell.steps) == 5.0
    assert layer.cell.dropout.seed_generator.state.numpy().tolist() == [1, 5]
    assert len({noise[:, t].tobytes() for t in range(5)}) > 1
    added = sorted(float(v) for v in layer.losses)
    assert len(added) == 2 and 5.0 in added
    call, weights = as_function(layer, training=True)
    assert all(bool(jnp.isfinite(g).all()) for g in jax.grad(lambda w: call(w, noise).sum())(weights))


def test_a_cell_that_is_no_layer():
    class Count:
        state_size = 1

        def call(self, inputs, states):
            return states[0] + 1, [states[0] + 1]

        __call__ = call

        def get_initial_state(self, batch_size):
            return jnp.full((batch_size, 1), 10.0)

    assert layers.RNN(Count())(data(2, 5, 3)).tolist() == [[15.0], [15.0]]


class Doubled(layers.LSTMCell):
    def call(self, inputs, states, training=False):
        output, states = super().call(inputs, states, training=training)
        return 2 * output, states


def test_a_subclass_with_another_call_is_called():
    x = data(2, 4, 3)
    one, two = (
        layers.RNN(cell(3, dropout=0.5, recurrent_dropout=0.5, seed=1), return_sequences=True)
        for cell in (layers.LSTMCell, Doubled)
    )
    one(x), two(x)
    two.set_weights(one.get_weights())
    same(two(x, training=True), 2 * one(x, training=True))


def test_stacked_cells_are_stacked_layers():
    x = masked(data(2, 4, 3), padding([4, 2], 4))
    cells = [layers.LSTMCell(2), Leaky(), layers.GRUCell(4)]
    stack = layers.RNN(cells, return_state=True, go_backwards=True)
    whole = stack(x)
    y, states = x, []
    for cell in cells[:-1]:
        y, *last = layers.RNN(cell, True, True, go_backwards=True)(y)
        y = masked(y[:, ::-1], padding([4, 2], 4))
        states.append(last)
    same(whole, (*layers.RNN(cells[-1], go_backwards=True, return_state=True)(y)[:1], *states, whole[-1]))
    output, states = stack.cell(x[:, 0], stack.get_initial_state(2))
    assert output.shape == (2, 4) and jax.tree.structure(states) == jax.tree.structure(list(whole[1:]))


def test_layers_around_others():
    class Twice(layers.Wrapper):
        def call(self, inputs):
            return self.layer(self.layer(inputs))

    layer = Twice(layers.Dense(3))
    x = data(2, 3)
    same(layer(x), layer.layer(layer.layer(x)))
    assert [v.path for v in layer.weights] == ["twice/dense/kernel", "twice/dense/bias"]
    copy = Twice.from_config(layer.get_config())
    assert copy.layer.units == 3 and not copy.layer.built


# Masks --------------------------------------------------------------------------------------------

LAYERS = {
    "SimpleRNN": lambda **k: layers.SimpleRNN(3, **k),
    "GRU": lambda **k: layers.GRU(3, **k),
    "GRU before": lambda **k: layers.GRU(3, reset_after=False, **k),
    "LSTM": lambda **k: layers.LSTM(3, **k),
    "own": lambda **k: layers.RNN(Leaky(), **k),
    "stacked": lambda **k: layers.RNN([layers.GRUCell(3), layers.LSTMCell(3)], **k),
    "bidirectional": lambda **k: layers.Bidirectional(layers.GRU(3, **k)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_masked_steps_count_for_nothing(name):
    """Padding changes neither outputs nor states nor gradients, wherever it stands."""
    layer = LAYERS[name](return_state=True)
    x, steps = data(1, 3, 3), [1, 3, 4]
    spread = np.full((1, 6, 3), 9.0, "float32")
    spread[:, steps] = x
    mask = np.isin(np.arange(6), steps)[None]
    same(layer(x), layer(spread, mask=mask))
    for call, inputs in [as_function(layer), as_function(layer, mask=mask)], [x, spread]:
        gradients = [
            jax.grad(lambda w, x, f=f: sum(jnp.sum(y**2) for y in jax.tree.leaves(f(w, x))), (0, 1))(
                w, x
            )
            for (f, w), x in zip([call, inputs], [x, spread])
        ]
