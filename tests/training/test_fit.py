"""`fit`, `evaluate`, `predict`: numbers, compiles, state, interrupts."""

import os
import signal
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hornbeam as keras
from helpers import count_compiles
from hornbeam import layers


def classifier(width=8, **compile_arguments):
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(width, activation="relu"),
            layers.Dropout(0.2),
            layers.BatchNormalization(),
            layers.Dense(3),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(
        **{"optimizer": "adam", "loss": loss, "metrics": ["accuracy"], **compile_arguments}
    )
    return model


def regressor(**compile_arguments):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    model.compile(**{"optimizer": "sgd", "loss": "mse", **compile_arguments})
    return model


def noise(*shape):
    return np.random.default_rng(len(shape) + shape[-1]).random(shape)


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(103, 4)).astype("float32")
    return x, (x[:, 0] > 0).astype("int64") + (x[:, 1] > 0.5)


# Compiles -------------------------------------------------------------------------------------


def test_compiles_of_a_first_and_a_second_fit(data):
    x, y = data
    model = classifier()
    model.fit(x[:64], y[:64], batch_size=16, verbose=0)  # warms up eager conversions
    model = classifier()
    with count_compiles() as n:
        model.fit(x, y, batch_size=16, epochs=2, validation_data=(x[:40], y[:40]), verbose=0)
    # Dropout and batch normalization of 7 rows are not those of 16: a short last batch has a
    # program of its own.
    assert n.of("_loop") == 4, n.names
    with count_compiles() as n:
        model.fit(x, y, batch_size=16, epochs=2, validation_data=(x[:40], y[:40]), verbose=0)
    assert n.total == 0, n.names


def test_one_compile_without_a_short_batch(data):
    x, y = data
    model = classifier()
    with count_compiles() as n:
        model.fit(x[:96], y[:96], batch_size=16, epochs=3, verbose=0)
    assert n.of("_loop") == 1, n.names
    with count_compiles() as n:
        model.predict(x[:64], batch_size=16, verbose=0)
    assert n.of("_loop") == 1, n.names


def test_other_amounts_of_data_compile_no_step(data):
    x, y = data
    model = classifier(steps_per_execution=2)
    model.fit(x[:64], y[:64], batch_size=16, validation_data=(x[:32], y[:32]), verbose=0)
    model.predict(x[:64], batch_size=16, verbose=0)
    with count_compiles() as n:
        model.fit(x[:96], y[:96], batch_size=16, verbose=0)
        model.evaluate(x[:80], y[:80], batch_size=16, verbose=0)
        model.predict(x[:48], batch_size=16, verbose=0)
    assert n.of("_loop") == 0, n.names


def test_fusing_other_numbers_of_steps_compiles_nothing(data):
    x, y = data
    model = classifier()
    model.fit(x[:96], y[:96], batch_size=16, verbose=0)
    with count_compiles() as n:
        for fused in (4, "auto", 32):
            model.steps_per_execution = fused
            model.fit(x[:96], y[:96], batch_size=16, epochs=3, verbose=0)
    assert n.of("_loop") == 0, n.names


def test_setting_the_learning_rate_compiles_nothing(data):
    x, y = data
    model = classifier()
    model.fit(x[:96], y[:96], batch_size=16, verbose=0)
    model.optimizer.learning_rate = 0.5
    with count_compiles() as n:
        model.fit(x[:96], y[:96], batch_size=16, verbose=0)
    assert n.of("_loop") == 0, n.names


def test_freezing_a_layer_takes_effect(data):
    x, y = data
    model = classifier()
    model.fit(x, y, verbose=0)
    model.layers[0].trainable = False
    before = model.layers[0].get_weights()[0]
    last = model.layers[-1].get_weights()[0]
    model.fit(x, y, verbose=0)
    np.testing.assert_array_equal(model.layers[0].get_weights()[0], before)
    assert not np.array_equal(model.layers[-1].get_weights()[0], last)


# Numbers --------------------------------------------------------------------------------------


def run(data, watched=True, **compile_arguments):
    keras.utils.set_random_seed(1)
    model = classifier(**compile_arguments)
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append((batch, *logs.values()))

    callbacks = [Watch()] if watched else []
    history = model.fit(*data, batch_size=16, epochs=2, verbose=0, callbacks=callbacks)
    weights = [*model.get_weights(), model.layers[1].seed_generator.state.numpy()]
    return weights, seen, history.history


def test_fusing_steps_changes_no_bit(data):
    plain = run(data)
    assert len(plain[1]) == 14 and [b for b, *_ in plain[1]] == [*range(7), *range(7)]
    for watched, fused in ((True, 3), (True, 32), (True, "auto"), (False, 1), (False, 3)):
        weights, seen, history = run(data, watched, steps_per_execution=fused)
        for a, b in zip(plain[0], weights, strict=True):
            np.testing.assert_array_equal(a, b)
        assert seen == plain[1] * watched and history == plain[2]


def test_callbacks_that_follow_steps_see_as_many_as_were_asked_for(data):
    class Counts(keras.callbacks.Callback):
        def __init__(self, follows_steps):
            super().__init__()
            self.follows_steps, self.seen = follows_steps, []

        def on_steps_end(self, steps_done, read_logs):
            self.seen.append(steps_done)

    x, y = data
    model = classifier()
    options = {"batch_size": 4, "epochs": 4, "verbose": 0}
    for fused, expected in ((1, [*range(1, 26)]), (10, [10, 20, 25])):
        model.steps_per_execution = fused
        strict = Counts(follows_steps=True)
        model.fit(x[:100], y[:100], callbacks=[strict], **options)
        assert strict.seen == expected * 4
    # Steps this small are fused by themselves when nobody counts them.
    model.steps_per_execution = 1
    lenient = Counts(follows_steps=False)
    model.fit(x[:100], y[:100], callbacks=[lenient], **options)
    assert len(lenient.seen) < 50 and lenient.seen.count(25) == 4


def test_large_predictions_run_in_small_groups():
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1 << 20, use_bias=False)])
    model.layers[0].kernel.assign(np.ones((2, 1 << 20)))
    x = np.arange(12.0).reshape(6, 2)
    y = model.predict(x, batch_size=1, verbose=0)  # 4 MiB each
    np.testing.assert_array_equal(y[:, -1], x.sum(-1))
    ((program, _),) = model._programs.values()
    assert program.width == 4


def test_eager_steps_compute_the_same(data):
    plain, eager = run(data), run(data, run_eagerly=True)
    for a, b in zip(plain[0], eager[0], strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("weighted", [False, True])
def test_batch_size_does_not_change_an_evaluation(data, weighted):
    x, y = data
    model = classifier(weighted_metrics=["sparse_categorical_crossentropy"])
    weight = np.linspace(0.1, 3, len(x)) if weighted else None
    found = [
        model.evaluate(x, y, sample_weight=weight, batch_size=size, verbose=0)
        for size in (1, 7, 50, 103)
    ]
    np.testing.assert_allclose(found, [found[0]] * 4, rtol=1e-5)


def test_weight_two_equals_a_duplicated_row(data):
    x, y = data
    weight = np.ones(len(x))
    weight[:10] = 2
    doubled = np.concatenate([x, x[:10]]), np.concatenate([y, y[:10]])
    model = classifier(metrics=[], weighted_metrics=["accuracy"])
    a = model.evaluate(x, y, sample_weight=weight, verbose=0)
    np.testing.assert_allclose(a, model.evaluate(*doubled, verbose=0), rtol=1e-5)
    # … in training, too: one step on all rows.
    one, two = regressor(), regressor()
    two.set_weights(one.get_weights())
    target = np.stack([y, -y], 1)
    one.fit(x, target, sample_weight=weight, batch_size=200, verbose=0)
    target = np.concatenate([target, target[:10]])
    two.fit(doubled[0], target, batch_size=200, verbose=0)
    for v, w in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_allclose(v, w, rtol=1e-4, atol=1e-6)


def test_class_weight_is_a_sample_weight(data):
    x, y = data
    table = {0: 1.0, 1: 0.5, 2: 3.0}
    one, two = (classifier(optimizer="sgd") for _ in range(2))
    two.set_weights(one.get_weights())
    one.layers[1].seed_generator.state.assign(two.layers[1].seed_generator.state)
    a = one.fit(x, y, class_weight=table, shuffle=False, verbose=0)
    b = two.fit(x, y, sample_weight=np.array([table[k] for k in y]), shuffle=False, verbose=0)
    np.testing.assert_allclose(a.history["loss"], b.history["loss"], rtol=1e-6)


def test_last_epoch_logs_are_means_over_the_epoch():
    model = regressor(optimizer=keras.optimizers.SGD(0.0))
    x, y = noise(50, 4), noise(50, 2)
    logs = model.fit(x, y, batch_size=16, verbose=0).history["loss"]
    np.testing.assert_allclose(logs[0], model.evaluate(x, y, verbose=0), rtol=1e-5)


def test_losses_of_layers_are_counted():
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(2, kernel_regularizer=keras.regularizers.L2(0.1))]
    )
    model.compile("sgd", "mse")
    x, y = noise(8, 4), noise(8, 2)
    penalty = 0.1 * np.sum(model.layers[0].kernel.numpy() ** 2)
    plain = np.mean((model.predict(x, verbose=0) - y) ** 2)
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0), plain + penalty, rtol=1e-5)


def test_validation_split_takes_the_last_rows_and_freq():
    model = regressor(optimizer=keras.optimizers.SGD(0.0))
    x, y = noise(50, 4), noise(50, 2)
    history = model.fit(x, y, validation_split=0.3, epochs=4, validation_freq=2, verbose=0).history
    assert len(history["loss"]) == 4 and len(history["val_loss"]) == 2
    expected = model.evaluate(x[35:], y[35:], verbose=0)
    np.testing.assert_allclose(history["val_loss"][0], expected, rtol=1e-6)


def test_on_batch_methods():
    model = regressor(metrics=["mae"])
    x, y = noise(8, 4), noise(8, 2)
    first = model.train_on_batch(x, y, return_dict=True)
    assert list(first) == ["loss", "mae"]
    model.reset_metrics()
    loss, mae = model.test_on_batch(x, y)
    np.testing.assert_allclose([loss, mae], model.evaluate(x, y, verbose=0), rtol=1e-6)
    assert loss < first["loss"]
    np.testing.assert_allclose(model.predict_on_batch(x), model.predict(x, verbose=0), rtol=1e-6)


def test_jax_arrays_lists_and_limits(data):
    x, y = data
    model = classifier()
    model.fit(jnp.asarray(x), jnp.asarray(y), steps_per_epoch=2, verbose=0)
    assert int(model.optimizer.iterations) == 2
    model.fit(x.tolist(), y.tolist(), initial_epoch=1, epochs=2, batch_size=103, verbose=0)
    assert int(model.optimizer.iterations) == 3
    assert model.predict(x, steps=2, verbose=0).shape == (64, 3)


@pytest.mark.parametrize("fused", [1, 3])
def test_epochs_of_some_steps_go_on_through_the_data(fused):
    class Sees(keras.Model):
        def call(self, x):
            return x

        def train_step(self, data):
            return {"rows": data[0][:, 0]}

    model = Sees()
    model.compile("sgd", steps_per_execution=fused)
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(logs["rows"].tolist())

    x = np.arange(7.0)[:, None]
    batches = [[0, 1], [2, 3], [4, 5], [6]]
    options = {"batch_size": 2, "shuffle": False, "verbose": 0, "callbacks": [Watch()]}
    for steps, epochs in ((3, 4), (8, 2), (4, 2)):
        seen.clear()
        model.fit(x, steps_per_epoch=steps, epochs=epochs, **options)
        assert seen == (batches * 4)[: steps * epochs]
    seen.clear()
    options["shuffle"] = True
    model.fit(x, steps_per_epoch=2, epochs=4, **options)
    passes = [sorted(row for rows in part for row in rows) for part in (seen[:4], seen[4:])]
    assert passes == [list(range(7))] * 2


# Several outputs ------------------------------------------------------------------------------


def two_outputs(as_dict):
    x = keras.Input((4,))
    a, b = layers.Dense(3, activation="softmax", name="a")(x), layers.Dense(1, name="b")(x)
    return keras.Model(x, {"a": a, "b": b} if as_dict else [a, b])


@pytest.mark.parametrize(
    "as_dict, loss, metrics, y_kind",
    [
        (True, {"a": "sparse_categorical_crossentropy", "b": "mse"}, {"a": ["accuracy"]}, dict),
        (False, ["sparse_categorical_crossentropy", "mse"], [["accuracy"], []], list),
        (False, {"a": "sparse_categorical_crossentropy", "b": "mse"}, {"a": "accuracy"}, dict),
        (False, {"a": "sparse_categorical_crossentropy", "b": "mse"}, {"a": "accuracy"}, list),
    ],
)
def test_losses_and_metrics_per_output(data, as_dict, loss, metrics, y_kind):
    x, y = data
    targets = {"a": y, "b": x[:, :1]}
    targets = targets if y_kind is dict else list(targets.values())
    model = two_outputs(as_dict)
    model.compile("sgd", loss, loss_weights={"a": 1.0, "b": 0.5}, metrics=metrics)
    logs = model.evaluate(x, targets, verbose=0, return_dict=True)
    assert list(logs) == ["loss", "a_loss", "b_loss", "a_accuracy"]
    np.testing.assert_allclose(logs["loss"], logs["a_loss"] + 0.5 * logs["b_loss"], rtol=1e-5)
    model.fit(x, targets, verbose=0)


# State ----------------------------------------------------------------------------------------


def test_callbacks_read_and_write_variables_during_training(data):
    x, y = data
    kept, rates = [], []

    class Meddles(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            kept.append(self.model.layers[0].kernel.value)
            self.model.optimizer.learning_rate = 0.0 if batch >= 3 else 0.01
            rates.append(float(self.model.optimizer.learning_rate))

    model = classifier(optimizer=keras.optimizers.SGD(0.01))
    model.fit(x, y, batch_size=16, verbose=0, callbacks=[Meddles()])
    arrays = [np.asarray(k) for k in kept]  # still alive, though steps free their arguments
    assert not np.array_equal(arrays[0], arrays[1])
    np.testing.assert_array_equal(arrays[4], arrays[6])
    assert rates[-1] == 0.0


def test_stop_training(data):
    class Stops(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    history = classifier().fit(*data, epochs=9, verbose=0, callbacks=[Stops()])
    assert len(history.epoch) == 2


@pytest.mark.parametrize("delay", [0.0, 0.004, 0.02, 0.1, 0.3])
@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_leaves_the_last_finished_step(data, delay):
    x, y = data
    model = classifier(steps_per_execution=4)
    model.fit(x, y, batch_size=8, verbose=0)
    start = int(model.optimizer.iterations)

    done = threading.Event()

    def interrupt():
        time.sleep(delay)
        os.kill(os.getpid(), signal.SIGINT)
        # Python ignores what is raised in a finalizer, which may just be running.
        while not done.wait(5):
            os.kill(os.getpid(), signal.SIGINT)

    handler = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=interrupt)
    with pytest.raises(KeyboardInterrupt):
        thread.start()
        model.fit(x, y, batch_size=8, epochs=1_000_000, verbose=0)
    done.set()
    thread.join()
    assert signal.getsignal(signal.SIGINT) is handler
    done = int(model.optimizer.iterations) - start
    assert done >= 0
    # The dropout's stream and the optimizer agree on how many steps there were.
    state = model.layers[1].seed_generator.state.numpy()
    assert state[1] == start + done
    assert all(np.isfinite(w).all() for w in model.get_weights())
    model.fit(x, y, batch_size=8, verbose=0)  # and goes on


def test_an_error_in_a_callback_leaves_the_model_usable(data):
    class Fails(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 2:
                raise RuntimeError("mine")

    model = classifier()
    with pytest.raises(RuntimeError, match="mine"):
        model.fit(*data, batch_size=16, verbose=0, callbacks=[Fails()])
    assert int(model.optimizer.iterations) == 3
    assert np.isfinite(model.get_weights()[0]).all()


def test_predict_from_many_threads(data):
    model, x = classifier(), data[0]
    expected = model.predict(x, verbose=0)
    found = [None] * 8

    def work(i):
        found[i] = model.predict(x, verbose=0)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    for f in found:
        np.testing.assert_array_equal(f, expected)


# Custom steps ---------------------------------------------------------------------------------


class Plain(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(2)
        self.tracker = keras.metrics.Mean(name="my_loss")

    def call(self, x):
        return self.dense(x)

    def train_step(self, data):
        x, y = data

        def loss_fn():
            return jnp.mean((self(x, training=True) - y) ** 2)

        loss, gradients = keras.value_and_grad(loss_fn, self.trainable_variables)()
        self.optimizer.apply(gradients, self.trainable_variables)
        self.tracker.update_state(loss)
        return {"my_loss": self.tracker.result()}


class Stateless(Plain):
    def train_step(self, state, data):
        trainable, others, optimizer, metrics = state
        x, y = data

        def loss_fn(trainable, others):
            pred, others = self.stateless_call(trainable, others, x, training=True)
            return jnp.mean((pred - y) ** 2), others

        (loss, others), gradients = jax.value_and_grad(loss_fn, has_aux=True)(trainable, others)
        trainable, optimizer = self.optimizer.stateless_apply(optimizer, gradients, trainable)
        index = [
            i
            for i, v in enumerate(self.metrics_variables)
            if v is self.tracker.total or v is self.tracker.count
        ]
        new = self.tracker.stateless_update_state([metrics[i] for i in index], loss)
        metrics = list(metrics)
        for i, value in zip(index, new, strict=True):
            metrics[i] = value
        return {"my_loss": self.tracker.stateless_result(new)}, (
            trainable,
            others,
            optimizer,
            metrics,
        )


class CallsSuper(Plain):
    def train_step(self, data):
        return super(Plain, self).train_step(data)


class CallsSuperStateless(Plain):
    def train_step(self, state, data):
        return super(Plain, self).train_step(state, data)


@pytest.mark.parametrize("cls", [Plain, Stateless])
@pytest.mark.parametrize("fused", [1, 4])
def test_both_styles_of_train_step(cls, fused):
    model, reference = cls(), regressor()
    model.build((None, 4))
    model.compile("sgd", steps_per_execution=fused)
    model.set_weights(reference.get_weights())
    x, y = noise(64, 4), noise(64, 2)
    found, expected = (
        m.fit(x, y, epochs=3, shuffle=False, verbose=0).history for m in (model, reference)
    )
    assert list(found) == ["my_loss"]
    np.testing.assert_allclose(found["my_loss"], expected["loss"], rtol=1e-5)
    for a, b in zip(model.get_weights(), reference.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("cls", [CallsSuper, CallsSuperStateless])
def test_super_of_train_step(cls):
    model = cls()
    model.compile("sgd", "mse")
    x, y = noise(64, 4), noise(64, 2)
    history = model.fit(x, y, epochs=3, verbose=0).history["loss"]
    assert history[-1] < history[0]


def test_two_optimizers_and_variables_that_tracing_finds():
    hidden = {"counter": keras.Variable(0, dtype="int32", trainable=False)}

    class Pair(keras.Model):
        def __init__(self):
            super().__init__()
            self.a, self.b = layers.Dense(1), layers.Dense(1)

        def compile(self):
            super().compile()
            self.optimizers = [keras.optimizers.SGD(0.1), keras.optimizers.Adam(0.1)]

        def train_step(self, data):
            x, y = data
            logs = {}
            for layer, optimizer in zip((self.a, self.b), self.optimizers, strict=True):
                layer(x)  # builds it
                loss, g = keras.value_and_grad(
                    lambda layer=layer: jnp.mean((layer(x) - y) ** 2), layer.trainable_variables
                )()
                optimizer.apply(g, layer.trainable_variables)
                logs[layer.name] = loss
            hidden["counter"].assign_add(1)
            return logs

    model = Pair()
    model.compile()
    x = noise(64, 4)
    y = x.sum(-1, keepdims=True)
    history = model.fit(x, y, epochs=5, verbose=0).history
    for losses in history.values():
        assert losses[-1] < losses[0]
    assert int(hidden["counter"]) == 10 == int(model.optimizers[1].iterations)


def test_compute_loss_and_metrics_can_be_overridden():
    class Doubled(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(2)

        def call(self, x):
            return self.dense(x)

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return 2 * super().compute_loss(x, y, y_pred, sample_weight, training)

    x, y = noise(40, 4), noise(40, 2)
    model = Doubled()
    model.compile("sgd", "mse")
    plain = np.mean((model(x) - y) ** 2)
    np.testing.assert_allclose(model.evaluate(x, y, batch_size=16, verbose=0), 2 * plain, rtol=1e-5)


def test_mixed_precision_trains():
    x = np.random.default_rng(0).random((64, 4))
    y = (x[:, 0] > 0.5).astype(int)
    found = {}
    for policy in ("float32", "mixed_bfloat16", "mixed_float16"):
        keras.utils.set_random_seed(0)
        keras.config.set_dtype_policy(policy)
        try:
            model = classifier(optimizer=keras.optimizers.Adam(0.05))
        finally:
            keras.config.set_dtype_policy(None)
        assert model.layers[0].kernel.dtype == "float32"
        found[policy] = model.fit(x, y, epochs=10, verbose=0).history["loss"]
    assert found["float32"][-1] < 0.7 * found["float32"][0]
    np.testing.assert_allclose(found["mixed_bfloat16"], found["float32"], rtol=0.1)
    np.testing.assert_allclose(found["mixed_float16"], found["float32"], rtol=0.05)
