"""Recurrent layers against Keras's: outputs, states and gradients, dropout, cells, configs."""

import functools

import jax
import jax.numpy as jnp
import keras as real
import numpy as np
import pytest

from hornbeam import layers
from hornbeam.core.naming import reset_names


@pytest.fixture(autouse=True)
def same_names():
    reset_names()
    real.utils.clear_session(free_memory=False)


def data(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


MASK = np.array([[True, False, True, True, False], [False, True, True, False, False]])
SEQUENCES = {"return_sequences": True, "return_state": True}
DROPOUT = {"dropout": 0.3, "recurrent_dropout": 0.4, "seed": 3}


def own_cell(package):
    class Own(package.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.state_size = [3, 3]

        def build(self, input_shape):
            self.kernel = self.add_weight(shape=(input_shape[-1], 3), name="kernel")

        def call(self, inputs, states):
            first, second = states
            output = jnp.tanh(inputs @ jnp.asarray(self.kernel) + first)
            return output, [output, first - second]

    return Own()


# A layer, its input's shape without the batch, and arguments of the call.
CASES = {
    "LSTM": (
        lambda L: L.LSTM(3, **SEQUENCES),
        (5, 2),
        {"mask": MASK, "initial_state": [data(2, 3, seed=1), data(2, 3, seed=2)]},
    ),
    "LSTM dropout": (lambda L: L.LSTM(3, unit_forget_bias=False, **DROPOUT), (5, 2), {}),
    "GRU backwards": (
        lambda L: L.GRU(3, go_backwards=True, use_bias=False, **SEQUENCES),
        (5, 2),
        {"mask": MASK, "initial_state": [data(2, 3, seed=1)]},
    ),
    "GRU dropout": (lambda L: L.GRU(3, dropout=0.5, seed=2), (5, 2), {"mask": MASK}),
    "GRU before": (
        lambda L: L.GRU(3, reset_after=False, activation="relu", **DROPOUT, **SEQUENCES),
        (5, 2),
        {},
    ),
    "SimpleRNN": (
        lambda L: L.SimpleRNN(3, unroll=True, return_sequences=True, **DROPOUT),
        (5, 2),
        {},
    ),
    "Bidirectional": (
        lambda L: L.Bidirectional(L.LSTM(3, **SEQUENCES), merge_mode=None),
        (5, 2),
        {"mask": MASK, "initial_state": [data(2, 3, seed=i) for i in range(4)]},
    ),
    "Bidirectional of two": (
        lambda L: L.Bidirectional(
            L.GRU(3, **DROPOUT), "ave", backward_layer=L.LSTM(3, go_backwards=True, **DROPOUT)
        ),
        (5, 2),
        {},
    ),
    "RNN": (
        lambda L: L.RNN(
            [L.LSTMCell(3, dropout=0.5), L.GRUCell(2)],
            zero_output_for_mask=True,
            **SEQUENCES,
        ),
        (5, 2),
        {"mask": MASK},
    ),
    "RNN of one's own": (lambda L: L.RNN(own_cell(L), **SEQUENCES), (5, 2), {"mask": MASK}),
    "ConvLSTM1D": (
        lambda L: L.ConvLSTM1D(1, 3, 2, "same", "channels_first", return_sequences=True, **DROPOUT),
        (3, 2, 4),
        {},
    ),
}


@functools.cache
def pair(name):
    """Our layer and Keras's, built, with the same random weights and states."""
    make, shape, _ = CASES[name]
    both = make(layers), make(real.layers)
    for layer in both:
        layer.build((2, *shape))
    weights = [data(*w.shape, seed=i) for i, w in enumerate(both[1].weights)]
    for layer in both:
        layer.set_weights(weights)
    for a, b in zip(*(layer.non_trainable_variables for layer in both), strict=True):
        b.assign(a.numpy())
    return both


def leaves(outputs):
    return [np.asarray(y) for y in jax.tree.leaves(outputs)]


def assert_same(ours, theirs, tolerance=2e-5):
    for a, b in zip(leaves(ours), leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", CASES)
def test_training(name):
    """Outputs, states, gradients and random states of a call that trains."""
    _, shape, options = CASES[name]
    x, results = data(2, *shape), []
    for layer in pair(name):
        others = [v.value for v in layer.non_trainable_variables]

        def loss(weights, x, layer=layer, others=others):
            outputs, others = layer.stateless_call(weights, others, x, training=True, **options)
            return sum(jnp.sum(jnp.sin(y)) for y in jax.tree.leaves(outputs)), (outputs, others)

        weights = [v.value for v in layer.trainable_variables]
        results.append(jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))(weights, x))
    assert_same(*results)


@pytest.mark.parametrize("name", CASES)
def test_descriptions(name):
    ours, theirs = pair(name)
    for group in ("trainable_variables", "non_trainable_variables"):
        described = [
            [(v.name, v.path, tuple(v.shape), v.dtype) for v in getattr(layer, group)]
            for layer in (ours, theirs)
        ]
        assert described[0] == described[1]
    if "own" not in name:
        config = theirs.get_config()
        copy = type(ours).from_config(config).get_config()
        assert without(copy) == without(ours.get_config())
        assert without(type(theirs).from_config(ours.get_config()).get_config()) == without(config)


def without(config):
    """A config without build shapes, and without what Keras leaves out of it."""
    if isinstance(config, dict):
        gone = ("build_config", "seed")  # that of `SimpleRNN`
        return {k: without(v) for k, v in config.items() if k not in gone}
    return [without(v) for v in config] if isinstance(config, (list, tuple)) else config


MASKED = [
    {},
    {"return_sequences": True},
    {"zero_output_for_mask": True},
    {"zero_output_for_mask": True, "return_sequences": True, "go_backwards": True},
]


@pytest.mark.parametrize("options", MASKED, ids=str)
def test_masked_outputs(options):
    x, results = data(2, 5, 2), []
    for package in (layers, real.layers):
        layer = package.GRU(3, kernel_initializer="ones", recurrent_initializer="ones", **options)
        results.append(layer(x, mask=MASK, initial_state=[data(2, 3)]))
    assert_same(*results)


@pytest.mark.parametrize("name", ["SimpleRNNCell", "GRUCell", "LSTMCell"])
@pytest.mark.parametrize("implementation", [1, 2])
def test_cells(name, implementation):
    x, h, results = data(2, 2), data(2, 3, seed=1), []
    options = {"implementation": implementation} if name != "SimpleRNNCell" else {}
    for package in (layers, real.layers):
        cell = getattr(package, name)(3, dropout=0.4, seed=1, **options)
        cell.build((None, 2))
        for i, w in enumerate(cell.weights):
            w.assign(data(*w.shape, seed=i))
        nested = [h, h] if name == "LSTMCell" else [h]
        given = [nested] if name == "LSTMCell" else [nested, h]
        results.append(
            (
                [cell(x, states, training=True) for states in given],
                cell(x, nested),
                list(cell.get_dropout_mask(x)),
                cell.get_recurrent_dropout_mask(h),
                cell.get_initial_state(2),
                (np.array(cell.state_size), cell.output_size),
            )
        )
    assert_same(*results)


def test_shapes_of_states():
    for make in (
        lambda L: L.LSTM(3, **SEQUENCES),
        lambda L: L.Bidirectional(L.GRU(3, **SEQUENCES)),
        lambda L: L.RNN([L.LSTMCell(2), L.GRUCell(3)], return_state=True),
    ):
        shapes = [
            jax.tree.leaves(
                make(package).compute_output_shape((None, None, 2)),
                is_leaf=lambda s: isinstance(s, tuple) and not any(isinstance(n, tuple) for n in s),
            )
            for package in (layers, real.layers)
        ]
        assert shapes[0] == shapes[1]


def test_a_stateful_layer_called_by_hand():
    x, results = data(2, 5, 2), []
    for package in (layers, real.layers):
        layer = package.LSTM(3, stateful=True, kernel_initializer="ones")
        layer.build(x.shape)
        layer.set_weights([data(*w.shape, seed=i) for i, w in enumerate(layer.weights)])
        first, second = layer(x), layer(x)
        states = [np.asarray(v) for v in layer.states]
        layer.reset_state()
        results.append((first, second, states, layer(x, initial_state=[first, first])))
        assert [v.path for v in layer.states] == ["lstm/rnn_state"] * 2
    assert_same(*results)
