"""One mean in all places; mixed precision in all kinds of steps; the same steps uncompiled."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hornbeam as keras
from hornbeam import layers

pytestmark = pytest.mark.usefixtures("quick_compiles")

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(23, 4)).astype("float32")
Y = RANDOM.normal(size=(23, 2)).astype("float32")
WEIGHT = RANDOM.integers(0, 4, 23).astype("float32")


def frozen(**compile_arguments):
    """A model whose weights stay, so that its logs are those of one set of weights."""
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    model.compile(keras.optimizers.SGD(0.0), "mse", **compile_arguments)
    return model


# One mean -------------------------------------------------------------------------------------


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
def test_one_mean_in_all_places(weight):
    """Sum of weighted values over sum of weights: loss and metric, whole and in batches of 5."""
    model = frozen(weighted_metrics=["mse"])
    values = np.mean((model.predict(X, verbose=0) - Y) ** 2, axis=-1)
    wanted = np.average(values, weights=weight)
    options = {"sample_weight": weight, "batch_size": 5, "verbose": 0}
    found = {
        "evaluate": model.evaluate(X, Y, **options),
        "train_on_batch": model.train_on_batch(X, Y, weight),
        "test_on_batch": model.test_on_batch(X, Y, weight),
    }
    validation = (X, Y) if weight is None else (X, Y, weight)
    history = model.fit(X, Y, validation_data=validation, **options).history
    found["fit"] = [history[name][0] for name in ("loss", "mse")]
    found["validation"] = [history[f"val_{name}"][0] for name in ("loss", "mse")]
    for where, logs in found.items():
        np.testing.assert_allclose(logs, [wanted, wanted], rtol=1e-5, err_msg=where)


def test_one_mean_of_several_outputs_and_masks():
    """Outputs whose weights differ, one of them of steps that a mask leaves out."""
    x = keras.Input((3,), dtype="int32")
    words = layers.Embedding(5, 2, mask_zero=True)(x)
    steps = layers.Dense(1, name="steps")(words)
    whole = layers.Dense(1, name="whole")(layers.GlobalAveragePooling1D()(words))
    model = keras.Model(x, [steps, whole])
    model.compile(keras.optimizers.SGD(0.0), "mse", loss_weights=[1.0, 0.5])
    tokens = np.array([[1, 2, 3], [4, 0, 0], [1, 1, 0], [2, 0, 0], [3, 4, 1]])
    targets = [RANDOM.normal(size=(5, 3, 1)), RANDOM.normal(size=(5, 1))]
    weights = [np.arange(5.0), np.arange(5.0)[::-1].copy()]
    preds = model.predict(tokens, verbose=0)
    values = [(p - t)[..., 0] ** 2 for p, t in zip(preds, targets, strict=True)]
    per_step = np.average(values[0], weights=weights[0][:, None] * (tokens != 0))
    wanted = [per_step + 0.5 * np.average(values[1], weights=weights[1])]
    wanted += [per_step, np.average(values[1], weights=weights[1])]
    for size in (2, 5):
        found = model.evaluate(tokens, targets, size, sample_weight=weights, verbose=0)
        np.testing.assert_allclose(found, wanted, rtol=1e-5)
        history = model.fit(tokens, targets, size, sample_weight=weights, verbose=0).history
        np.testing.assert_allclose([h[0] for h in history.values()], wanted, rtol=1e-5)


def test_validation_is_a_fresh_pass_every_epoch():
    seen = []

    class Batches:
        def __iter__(self):
            seen.append("pass")
            yield X[:5], Y[:5]
            yield X[5:], Y[5:]

    model = frozen()
    logs = model.fit(X, Y, epochs=3, validation_data=Batches(), verbose=0).history["val_loss"]
    np.testing.assert_allclose(logs, [model.evaluate(X, Y, verbose=0)] * 3, rtol=1e-5)
    assert len(seen) >= 3


# Mixed precision ------------------------------------------------------------------------------


class Imperative(keras.Model):
    """Trains with a loss as it is, or one that it scales itself."""

    def __init__(self, scales):
        super().__init__()
        self.dense = layers.Dense(2)
        self.scales = scales

    def call(self, x):
        return self.dense(x)

    def train_step(self, data):
        x, y = data

        def loss_fn():
            loss = jnp.mean((self(x).astype("float32") - y) ** 2)
            return (self.optimizer.scale_loss(loss) if self.scales else loss), loss

        variables = self.trainable_variables
        (_, loss), gradients = keras.value_and_grad(loss_fn, variables, has_aux=True)()
        self.optimizer.apply(gradients, variables)
        return {"loss": loss}


class Stateless(Imperative):
    def train_step(self, state, data):
        trainable, others, slots, metrics = state
        x, y = data

        def loss_fn(trainable):
            pred, _ = self.stateless_call(trainable, others, x)
            return self.optimizer.scale_loss(jnp.mean((pred.astype("float32") - y) ** 2))

        loss, gradients = jax.value_and_grad(loss_fn)(trainable)
        trainable, slots = self.optimizer.stateless_apply(slots, gradients, trainable)
        return {"loss": loss}, (trainable, others, slots, metrics)


STEPS = {
    "fit": lambda: keras.Sequential([keras.Input((4,)), layers.Dense(2)]),
    "imperative": lambda: Imperative(False),
    "imperative, scaled": lambda: Imperative(True),
    "stateless": lambda: Stateless(True),
}


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize("step", STEPS)
def test_loss_scaling_in_every_kind_of_step(step, eager):
    """Gradients that vanish in float16 arrive; where they overflow, steps are skipped and counted.

    The learning rate makes up for the size of the loss, so that weights move by about 1.
    """
    keras.config.set_dtype_policy("mixed_float16")
    model = STEPS[step]()
    keras.config.set_dtype_policy(None)
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(1e6), 2.0**20)
    model.compile(scaled, "mse", run_eagerly=eager)
    model.build((None, 4))
    model.set_weights([np.zeros((4, 2)), np.zeros(2)])
    x, y = np.ones((24, 4)), np.full((24, 2), 1e-7)  # a gradient of 1e-7 per weight
    model.train_on_batch(x[:8], y[:8])
    np.testing.assert_allclose(model.get_weights()[0], 0.1, rtol=1e-2)
    assert int(model.optimizer.iterations) == 1 and int(model.optimizer.skipped_steps) == 0
    model.set_weights([np.full((4, 2), 1e3), np.zeros(2)])
    model.fit(x, y, batch_size=8, verbose=0)  # 2**20 * 1e3 is no float16
    assert int(model.optimizer.iterations) + int(model.optimizer.skipped_steps) == 4
    assert int(model.optimizer.skipped_steps) == 3
    assert float(model.optimizer.dynamic_scale) == 2.0**17
    np.testing.assert_array_equal(model.get_weights()[0], 1e3)


def test_files_hold_how_many_steps_were_skipped():
    """In the place of a number that is always 0 in Keras."""
    w = keras.Variable([1.0, 2.0])
    first, second = (
        keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(), 4.0) for _ in range(2)
    )
    for gradient in ([1.0, 1.0], [np.nan, 1.0], [1.0, np.inf]):
        first.apply([jnp.asarray(gradient)], [w])
    store = {}
    first.save_own_variables(store)
    second.build([w])
    second.load_own_variables(store)
    assert int(second.skipped_steps) == 2 and int(second.iterations) == 1


# Uncompiled -----------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["fit", "imperative", "stateless"])
def test_uncompiled_steps_run_as_python(step):
    """Every line runs in every step, and values can be looked at, as in a debugger."""
    seen = []

    class Looks(layers.Layer):
        def call(self, x):
            total = jax.lax.stop_gradient(jnp.sum(x))
            if not isinstance(total, jax.core.Tracer):  # when the model is built
                seen.append(float(total))
                assert "Array" in repr(x)  # what a debugger shows
            return x

    model = STEPS[step]()
    if step == "fit":
        model = keras.Sequential([keras.Input((4,)), Looks(), layers.Dense(2)])
    else:
        model.dense = keras.Sequential([keras.Input((4,)), Looks(), layers.Dense(2)])
    model.compile("sgd", "mse", run_eagerly=True)
    model.fit(X[:20], Y[:20], batch_size=5, shuffle=False, verbose=0)
    np.testing.assert_allclose(seen, [X[i : i + 5].sum() for i in range(0, 20, 5)], rtol=1e-4)
