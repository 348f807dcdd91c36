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
    fast, plain, (kernel, bias, x, first) = one_loop("GRUCell", "none")
    tangents = data(*kernel.shape), data(*bias.shape), data(*x.shape), data(*first.shape)

    def everything(f):
        loss = lambda kernel, first: jnp.sum(f(kernel, bias, x, first)[1] ** 2)
        twice = lambda scale: jax.grad(lambda s: loss(s * kernel, first))(scale)
        return (
            jax.jvp(f, (kernel, bias, x, first), tangents),
            jax.vmap(f, in_axes=(None, None, 0, None))(kernel, bias, np.stack([x, 2 * x]), first),
            jax.hessian(loss, argnums=1)(kernel, first),
            jax.grad(twice)(1.0),
        )

    same(jax.jit(lambda: everything(fast))(), jax.jit(lambda: everything(plain))(), 1e-5)


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
    values = [v.value for v in cell.variables]

    @jax.jit
    def twice(x):
        with keras.StatelessScope(zip(cell.variables, values)):
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
    assert all(
        bool(jnp.isfinite(g).all()) for g in jax.grad(lambda w: call(w, noise).sum())(weights)
    )


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
    cells = [layers.LSTMCell(3), Leaky(), layers.GRUCell(4)]
    stack = layers.RNN(cells, return_state=True, go_backwards=True)
    whole = stack(x)
    y, states = x, []
    for cell in cells[:-1]:
        y, *last = layers.RNN(cell, True, True, go_backwards=True)(y)
        y = masked(y[:, ::-1], padding([4, 2], 4))
        states.append(last)
    same(
        whole,
        (*layers.RNN(cells[-1], go_backwards=True, return_state=True)(y)[:1], *states, whole[-1]),
    )
    output, states = stack.cell(x[:, 0], stack.get_initial_state(2))
    assert output.shape == (2, 4) and jax.tree.structure(states) == jax.tree.structure(
        list(whole[1:])
    )


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


def gradients(layer, x, **options):
    call, weights = as_function(layer, **options)
    return jax.jit(jax.grad(lambda w, x: total(call(w, x)), argnums=(0, 1)))(weights, x)


def total(outputs):
    return sum(jnp.sum(y**2) for y in jax.tree.leaves(outputs))


@pytest.mark.parametrize("name", LAYERS)
def test_masked_steps_count_for_nothing(name):
    """Not in outputs, states or gradients, wherever they stand."""
    layer, x, steps = LAYERS[name](return_state=True), data(1, 3, 3), [1, 3, 4]
    spread = np.full((1, 6, 3), 9.0, "float32")
    spread[:, steps] = x
    mask = np.isin(np.arange(6), steps)[None]
    same(layer(x), layer(spread, mask=mask))
    (weights, inputs), (w, i) = gradients(layer, x), gradients(layer, spread, mask=mask)
    same((weights, inputs), (w, i[:, steps]), 1e-5)
    assert not i[:, ~mask[0]].any()


@settings(max_examples=6, derandomize=True, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    units=st.integers(1, 3),
    name=st.sampled_from(["SimpleRNN", "GRU", "LSTM"]),
    backwards=st.booleans(),
)
def test_every_sample_of_a_batch_is_on_its_own(lengths, units, name, backwards):
    layer = getattr(layers, name)(units, return_sequences=True, go_backwards=backwards)
    x = data(len(lengths), 5, 2)
    outputs = layer(masked(x, padding(lengths, 5)))
    for i, n in enumerate(lengths):
        alone = layer(x[i : i + 1, :n])[0]
        same(outputs[i, -n:] if backwards else outputs[i, :n], alone)


def test_the_mask_of_a_text_reaches_every_layer():
    embedding = layers.Embedding(9, 3, mask_zero=True)
    inside = [
        layers.Bidirectional(layers.LSTM(2, return_sequences=True)),
        layers.TimeDistributed(layers.Dense(3)),
        layers.GRU(3, return_sequences=True),
        layers.RNN([layers.LSTMCell(2), layers.GRUCell(2)]),
    ]
    model = keras.Sequential([keras.Input((None,), dtype="int32"), embedding, *inside])
    same(model(np.array([[3, 1, 4, 0, 0]])), model(np.array([[3, 1, 4]])))


def test_masks_of_texts_made_of_sentences():
    """A sentence counts if one of its words does."""
    words = layers.TimeDistributed(layers.LSTM(3))
    sentences = layers.GRU(2)
    x = layers.Embedding(9, 3, mask_zero=True)(np.array([[[3, 1, 0], [4, 0, 0], [0, 0, 0]]]))
    inner = words(x)
    assert masks.get_mask(inner).tolist() == [[True, True, False]]
    first, second = (words(x[:, i : i + 1, :n])[:, 0] for i, n in ((0, 2), (1, 1)))
    same(sentences(inner), sentences(jnp.stack([first, second], 1)))


def test_masks_that_a_layer_inside_makes():
    tokens = np.array([[[3, 0], [0, 0]]])
    outputs = layers.TimeDistributed(layers.Embedding(9, 3, mask_zero=True))(tokens)
    assert masks.get_mask(outputs).tolist() == (tokens != 0).tolist()
    outer = layers.TimeDistributed(layers.Masking())(masked(np.ones((1, 2, 4, 3)), [[True, False]]))
    assert masks.get_mask(outer).tolist() == [[[True] * 4, [False] * 4]]


def test_masks_of_outputs():
    mask = padding([3, 1], 4)
    x = masked(data(2, 4, 3), mask)

    def found(layer):
        outputs = jax.tree.leaves(layer(x))
        return [None if m is None else m.tolist() for m in map(masks.get_mask, outputs)]

    seq, states = {"return_sequences": True}, {"return_state": True}
    assert found(layers.LSTM(2, **seq)) == [mask.tolist()]
    assert found(layers.LSTM(2, **seq, **states)) == [mask.tolist(), None, None]
    assert found(layers.LSTM(2, **states)) == [None] * 3
    assert found(layers.GRU(2, **seq, go_backwards=True)) == [mask[:, ::-1].tolist()]
    both = layers.Bidirectional(layers.GRU(2, **seq, **states), merge_mode=None)
    assert found(both) == [mask.tolist()] * 2 + [None] * 2
    assert found(layers.Bidirectional(layers.GRU(2))) == [None]


def test_steps_of_images_are_masked_by_any_pixel():
    x = data(1, 3, 4, 2)
    x[:, 1] = 0
    layer = layers.ConvLSTM1D(2, 2)
    same(layer(layers.Masking()(x)), layer(x[:, [0, 2]]))


# State that lasts ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["GRU", "GRU before", "LSTM", "own", "stacked"])
def test_a_stateful_layer_goes_on(name):
    layer, x = LAYERS[name](stateful=True), data(2, 6, 3)
    layer(x[:, :2]), layer(x[:, 2:4])
    last = layer(x[:, 4:])
    layer.reset_state()
    same(layer(x), last)
    assert {v.name for v in keras.tree.flatten(layer.states)} == {"rnn_state"}


def stateful_model(batch=2, **options):
    return keras.Sequential(
        [
            keras.Input(batch_shape=(batch, 3, 2)),
            layers.GRU(3, stateful=True, return_sequences=True, name="one"),
            layers.Bidirectional(layers.LSTM(2, stateful=True), name="two"),
            layers.Dense(1),
        ]
    )


def test_states_in_compiled_loops():
    """`predict`, `fit` and `stateless_call` carry them on as eager calls do."""
    model, x, y = stateful_model(), data(8, 3, 2), data(8, 1)
    expected = np.concatenate([model(x[i : i + 2]) for i in range(0, 8, 2)])
    after = [v.numpy() for v in model.layers[0].states]

    def reset():
        for layer in model.layers[:2]:
            layer.reset_states()

    reset()
    same(model.predict(x, batch_size=2, verbose=0), expected)
    same([v.value for v in model.layers[0].states], after)
    reset()
    assert not any(v.numpy().any() for v in (*model.layers[0].states, *model.layers[1].states))

    others = [v.value for v in model.non_trainable_variables]
    weights = [v.value for v in model.trainable_variables]
    for i in range(0, 8, 2):
        output, others = jax.jit(model.stateless_call)(weights, others, x[i : i + 2])
        same(output, expected[i : i + 2])

    model.compile("sgd", "mse")
    model.optimizer.learning_rate = 0.0
    model.fit(x, y, batch_size=2, epochs=1, shuffle=False, verbose=0)
    same([v.value for v in model.layers[0].states], after)


def test_states_are_no_weights(tmp_path):
    model = stateful_model()
    model(data(2, 3, 2))
    assert not any("rnn_state" in v.path for v in model.weights)
    assert [v.path for v in model.layers[0].non_trainable_variables] == [
        "sequential/one/rnn_state",
        "seed_generator/seed_generator_state",
    ]
    model.save(tmp_path / "m.keras")
    copy = keras.models.load_model(tmp_path / "m.keras")
    assert not copy.layers[0].states[0].numpy().any()
    model.layers[0].reset_state(), model.layers[1].reset_state()
    same(copy(data(2, 3, 2)), model(data(2, 3, 2)))


def test_initial_states_of_a_stateful_layer():
    class Ones(Leaky):
        def get_initial_state(self, batch_size=None):
            return [jnp.ones((batch_size, 3)), [jnp.zeros((batch_size, 3))]]

    layer = layers.RNN(Ones(keep=1.0), stateful=True)
    x = np.zeros((2, 3, 3), "float32")
    assert float(layer(x)[0, 0]) == 1.0
    layer(x, initial_state=[jnp.full((2, 3), 7.0), jnp.zeros((2, 3))])
    assert float(layer(x)[0, 0]) == 7.0
    layer.reset_state()
    assert float(layer(x)[0, 0]) == 1.0
    assert layers.RNN(Ones()).states is None and layers.RNN(Ones()).reset_state() is None


# Models -------------------------------------------------------------------------------------------


def test_states_travel_through_a_graph(tmp_path):
    """An encoder hands its states to a decoder; the model comes back from a file."""
    source, target = keras.Input((None, 3)), keras.Input((None, 2))
    _, *states = layers.LSTM(4, return_state=True)(source)
    outputs = layers.LSTM(4, return_sequences=True)(target, initial_state=states)
    model = keras.Model([source, target], outputs)
    assert outputs.shape == (None, None, 4)
    x = [data(2, 5, 3), data(2, 3, 2)]
    _, *states = model.layers[2](x[0])
    same(model(x), model.layers[3](x[1], initial_state=states))
    model.save(tmp_path / "m.keras")
    same(keras.models.load_model(tmp_path / "m.keras")(x), model(x))


def test_cells_of_ones_own_are_copied():
    layer = layers.Bidirectional(layers.RNN(Leaky(keep=0.25), name="leaky"))
    assert layer(data(2, 3, 3)).shape == (2, 12)
    assert layer.forward_layer.cell.keep == layer.backward_layer.cell.keep == 0.25
    names = {v.path for v in layer.weights}
    assert names == {f"bidirectional/{d}_leaky/leaky/kernel" for d in ("forward", "backward")}
    config = keras.saving.serialize_keras_object(layer)
    copy = keras.saving.deserialize_keras_object(config, custom_objects={"Leaky": Leaky})
    copy.build((None, None, 3))
    assert {v.path for v in copy.weights} == names


def test_bidirectional_weights():
    weights = [data(3, 2), data(2, 2), data(2)] * 2
    layer = layers.Bidirectional(layers.SimpleRNN(2), weights=weights)
    layer.build((None, None, 3))
    same(layer.get_weights(), weights)


def test_time_distributed_is_one_call_per_step():
    x = data(2, 3, 5, 5, 2)
    layer = layers.TimeDistributed(layers.Conv2D(2, 3))
    outputs = layer(x)
    same(outputs, jnp.stack([layer.layer(x[:, t]) for t in range(3)], 1), 1e-5)
    assert layer.compute_output_shape((None, None, 5, 5, 2)) == (None, None, 3, 3, 2)
    states = layers.TimeDistributed(layers.GRU(2, return_state=True))(data(2, 3, 4, 1))
    assert [y.shape for y in states] == [(2, 3, 2)] * 2


def test_training_reaches_the_layer_inside():
    layer = layers.TimeDistributed(layers.Dropout(0.5, seed=1))
    x = np.ones((2, 3, 4), "float32")
    assert set(np.unique(layer(x, training=True))) == {0.0, 2.0} and bool((layer(x) == 1).all())


# Errors -------------------------------------------------------------------------------------------

X = np.ones((2, 4, 3), "float32")


class Forgetful(Leaky):
    def call(self, inputs, states):
        return states[0], states[:1]


def stateful_call(batch):
    layer = layers.GRU(2, stateful=True)
    layer(X)
    layer(np.ones((batch, 4, 3)))


@pytest.mark.parametrize(
    "act, message",
    [
        (lambda: layers.LSTM(2)(X, mask=np.ones((2, 3), bool)), r"mask should have.*\(2, 3\)"),
        (lambda: layers.LSTM(2)(X, initial_state=[np.ones((2, 2))]), "a list of 2 states"),
        (lambda: layers.GRU(2)(X, initial_state=np.ones((3, 2))), r"\[\(2, 2\)\].*\[\(3, 2\)\]"),
        (lambda: layers.GRU(2, stateful=True)(keras.Input((4, 3))), "stateful.*batch_shape"),
        (lambda: stateful_call(3), "batches of 2; received one of 3"),
        (lambda: layers.RNN(layers.Dense(2)), "attribute `state_size`"),
        (lambda: layers.RNN([]), "cells should be a list of cells"),
        (lambda: layers.RNN(Forgetful())(X), "as many states as it takes, 2; it returned 1"),
        (lambda: layers.LSTMCell(2).get_initial_state(), "needs to know the batch size"),
        (lambda: layers.LSTM(2, dropout=1.5), "dropout should be a number from 0 to 1"),
        (lambda: layers.Bidirectional(layers.Dense(2)), "recurrent.*`go_backwards`"),
        (
            lambda: layers.Bidirectional(layers.GRU(2), backward_layer=layers.GRU(2)),
            "different directions; received go_backwards=False",
        ),
        (
            lambda: layers.Bidirectional(layers.GRU(2))(X, initial_state=[np.ones((2, 2))]),
            "states of the forward and of the backward layer",
        ),
        (lambda: layers.TimeDistributed(layers.Dense(2))(X[0]), "at least 3 axes"),
        (
            lambda: layers.TimeDistributed(layers.Dense(2))(X, mask=np.ones((2, 3), bool)),
            r"begin with the axes.*\(2, 3\)",
        ),
        (
            lambda: layers.ConvLSTM1D(2, 3)(keras.Input((4, None, 3))),
            "needs to know all sizes.*batch and time",
        ),
    ],
)
def test_mistakes_are_explained(act, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        act()


def test_cudnn_is_refused():
    with pytest.raises(NotImplementedError, match="use_cudnn"):
        layers.LSTM(2, use_cudnn=True)
