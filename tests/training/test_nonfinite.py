"""`keras.debug` names the first value that isn't finite: layer, row, step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hornbeam as keras
from hornbeam import layers, ops

pytestmark = pytest.mark.usefixtures("quick_compiles")

X = np.ones((6, 3), "float32")
X[4, 1] = 0.0  # whose logarithm and whose root's gradient are infinite
Y = np.ones((6, 3), "float32")


class Applies(layers.Layer):
    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self.function = function

    def call(self, x):
        return self.function(x)


def identity(**kwargs):
    return layers.Dense(3, kernel_initializer="identity", name="same", **kwargs)


def model_of(*parts, loss="mse", optimizer=None, **compile_arguments):
    model = keras.Sequential([keras.Input((3,)), *parts], name="net")
    model.compile(optimizer or keras.optimizers.SGD(0.1), loss, **compile_arguments)
    return model


def log_in_a_graph():
    x = keras.Input((3,))
    model = keras.Model(x, layers.Dense(3)(ops.log(x)), name="net")
    model.compile("sgd", "mse")
    return model


def inside_a_layer():
    class Block(layers.Layer):
        def __init__(self):
            super().__init__(name="block")
            self.first, self.log = identity(), Applies(jnp.log, name="log")

        def call(self, x):
            return self.log(self.first(x)) + x

    return model_of(Block(), layers.Dense(3))


def broken_weight():
    model = model_of(identity())
    model.layers[0].bias.assign([0.0, np.nan, 0.0])
    return model


def half_precision():
    """2**15 times 3 is no float16."""
    big = keras.initializers.Constant(2.0**15)
    return model_of(
        layers.Dense(3, kernel_initializer=big, dtype="float16", name="big"),
        layers.Dense(3),
    )


def step_by_jax():
    class Stateless(keras.Model):
        def __init__(self):
            super().__init__(name="net")
            self.log = Applies(jnp.log, name="log")
            self.dense = layers.Dense(3)

        def call(self, x):
            return self.dense(self.log(x))

        def train_step(self, state, data):
            trainable, others, optimizer, metrics = state
            x, y = data
            loss_fn = lambda w: jnp.mean((self.stateless_call(w, others, x)[0] - y) ** 2)
            loss, gradients = jax.value_and_grad(loss_fn)(trainable)
            trainable, optimizer = self.optimizer.stateless_apply(optimizer, gradients, trainable)
            return {"loss": loss}, (trainable, others, optimizer, metrics)

    model = Stateless()
    model.compile("sgd")
    return model


# Model, place, name, row, what the sentence says.
CASES = {
    "layer": (
        lambda: model_of(Applies(jnp.log, name="log"), layers.Dense(3)),
        ("forward", "net/log", 4),
        r"-inf in the forward pass, in layer 'net/log' \(Applies\), row 4.*index \(4, 1\)",
    ),
    "layer in a layer": (inside_a_layer, ("forward", "net/block/log", 4), "'net/block/log'"),
    "op of a graph": (log_in_a_graph, ("forward", "log", 4), "in operation 'log', row 4"),
    "half precision": (half_precision, ("forward", "net/big", 0), r"inf in .*'net/big' \(Dense\)"),
    "gradient of a layer": (
        lambda: model_of(identity(), Applies(jnp.sqrt, name="root"), layers.Dense(3)),
        ("gradient", "net/root", 4),
        r"the gradient with respect to the inputs of layer 'net/root' \(Applies\), row 4",
    ),
    "gradient of the loss": (
        lambda: model_of(identity(), loss=lambda y, p: jnp.sqrt(p)),
        ("gradient", "net", 4),
        r"the gradient with respect to the outputs of layer 'net' \(Sequential\), row 4",
    ),
    "gradient of a variable": (
        lambda: model_of(identity(bias_regularizer=lambda b: jnp.sum(jnp.sqrt(b)))),
        ("gradient", "net/same/bias", None),
        "inf in the gradient of the variable 'net/same/bias', at index",
    ),
    "loss": (
        lambda: model_of(identity(), loss=lambda y, p: 1 / p),
        ("loss", "<lambda>", 4),
        "inf in the loss '<lambda>', row 4 of the batch, at index",
    ),
    "regularizer": (
        lambda: model_of(identity(kernel_regularizer=lambda k: jnp.sum(jnp.log(k)))),
        ("loss", "loss", None),
        "-inf in the loss, a mean or sum over the batch",
    ),
    "weight": (
        broken_weight,
        ("weights", "net/same/bias", None),
        r"nan in the variable 'net/same/bias', before the step, at index \(1,\)",
    ),
    "update": (
        lambda: model_of(identity(), optimizer=keras.optimizers.SGD(1e38), loss=_large),
        ("update", "net/same/kernel", None),
        "the new value of the variable 'net/same/kernel'",
    ),
    "stateless step": (step_by_jax, ("forward", "net/log", 4), "'net/log'"),
}


def _large(y, p):
    return 100 * (p - 2 * y) ** 2


@pytest.mark.parametrize("name", CASES)
def test_first_value_of_a_batch(name):
    make, (where, owner, row), sentence = CASES[name]
    model = make()
    if not model.built:
        model(X)
    before = [np.asarray(v) for v in model.variables]
    found = keras.debug.find_nonfinite(model, X, Y)
    assert (found.where, found.name, found.row) == (where, owner, row)
    assert found.step is None and not np.isfinite(found.value)
    with pytest.raises(AssertionError, match=sentence):
        raise AssertionError(str(found))
    for a, b in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("part", ["x", "y", "sample_weight"])
def test_data(part):
    data = {"x": np.ones((6, 3)), "y": np.ones((6, 3)), "sample_weight": np.ones(6)}
    model = model_of(identity())
    assert keras.debug.find_nonfinite(model, **data) is None
    data[part][5] = np.inf
    found = keras.debug.find_nonfinite(model, **data)
    assert (found.where, found.name, found.row) == ("data", part, 5)


def test_without_compile():
    model = keras.Sequential([keras.Input((3,)), Applies(jnp.log, name="log")], name="net")
    assert keras.debug.find_nonfinite(model, X).name == "net/log"


def test_recurrent_layers_and_masks():
    """What leaves a loop is seen; masks stay with their tensors."""
    tokens = np.array([[1, 2, 0], [3, 0, 0]])
    model = keras.Sequential(
        [
            keras.Input((3,), dtype="int32"),
            layers.Embedding(4, 2, mask_zero=True),
            layers.LSTM(2, return_sequences=True, name="lstm"),
            layers.Dense(1),
        ],
        name="net",
    )
    model.compile("sgd", "mse")
    y = np.ones((2, 3, 1))
    assert keras.debug.find_nonfinite(model, tokens, y) is None
    embedding = model.layers[0].embeddings
    embedding.assign(np.full((4, 2), 3e38))
    model.layers[1].cell.kernel.assign(np.full((2, 8), 1e5))
    model.layers[1].cell.recurrent_kernel.assign(np.full((2, 8), -3e38))
    found = keras.debug.find_nonfinite(model, tokens, y)
    assert found.name.startswith("net/lstm") and found.where in ("forward", "gradient")


def test_arguments_keep_their_order():
    """The first one is asked for the mask, whatever the names of the others."""

    class Two(layers.Layer):
        def compute_mask(self, inputs, previous_mask):
            firsts.append(inputs.shape[-1])
            return previous_mask

        def call(self, z, a):
            return jnp.concatenate([z, a], -1)

    firsts = []
    inputs = keras.Input((3,)), keras.Input((2,))
    model = keras.Model(inputs, Two()(*inputs))
    assert keras.debug.find_nonfinite(model, (np.ones((4, 3)), np.ones((4, 2)))) is None
    assert set(firsts) == {3}


# In `fit` -------------------------------------------------------------------------------------


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize("fused", [1, 8])
def test_stops_at_the_step(eager, fused):
    """Steps are counted over epochs; the weights stay as they were before the step."""
    x = np.ones((12, 3), "float32")
    parts = identity(), Applies(lambda x: jnp.log(3.2 - x), name="log"), layers.Dropout(0.5)
    model = model_of(*parts, steps_per_execution=fused, run_eagerly=eager)
    weights = []

    class Grows(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.layers[0].bias.assign([epoch, epoch, epoch])

        def on_train_batch_begin(self, batch, logs=None):
            weights[:] = self.model.get_weights()

    x[7] = 1.5  # with a bias of 2, the logarithm of -0.3 (epoch 3, batch 2 of 3)
    model.optimizer.learning_rate = 0.0
    options = {"batch_size": 4, "epochs": 5, "shuffle": False, "verbose": 0}
    message = r"of step 8 is nan in .*'net/log'.*row 3"
    with (
        pytest.raises(FloatingPointError, match=message) as info,
        keras.debug.raise_on_nonfinite(),
    ):
        model.fit(x, x, callbacks=[Grows()], **options)
    found = info.value.found
    assert (found.step, found.row, found.name) == (8, 3, "net/log")
    np.testing.assert_array_equal(found.batch[0], x[4:8])
    for a, b in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert int(model.optimizer.iterations) == 7
    again = keras.debug.find_nonfinite(model, *found.batch)
    assert (again.name, again.row) == ("net/log", 3)


def test_evaluation_prediction_and_skipped_steps():
    bad = model_of(Applies(jnp.log, name="log"))
    with keras.debug.raise_on_nonfinite():
        for act in (lambda: bad.evaluate(X, Y, verbose=0), lambda: bad.predict(X, verbose=0)):
            with pytest.raises(FloatingPointError, match="'net/log'"):
                act()
        # A skipped step is no error: that is how the scale is found.
        scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(1e-3), 2.0**127)
        model = model_of(identity(), optimizer=scaled, loss=_large)
        model.fit(Y, Y, verbose=0, epochs=3)
        assert int(scaled.skipped_steps) == 3


def test_the_same_numbers_and_nothing_outside():
    def weights(raising):
        keras.utils.set_random_seed(0)
        model = model_of(layers.Dense(4, "relu"), layers.Dropout(0.5), layers.Dense(3))
        options = {"batch_size": 2, "epochs": 3, "verbose": 0}
        if raising:
            with keras.debug.raise_on_nonfinite():
                model.fit(X, Y, **options)
        else:
            model.fit(X, Y, **options)
        return model.get_weights()

    for a, b in zip(weights(True), weights(False), strict=True):
        np.testing.assert_array_equal(a, b)
    model_of(Applies(jnp.log)).fit(X, Y, verbose=0)  # no error
