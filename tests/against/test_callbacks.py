"""The same logs fed into our callbacks and Keras's: the same decisions."""

import os
from types import SimpleNamespace

import keras as real
import numpy as np
import pytest

import hornbeam as ours


class Fake:
    metrics = ()

    def __init__(self):
        self.optimizer = SimpleNamespace(learning_rate=0.5)
        self.stop_training = False
        self.weights = [np.zeros(1)]

    def get_weights(self):
        return list(self.weights)

    def set_weights(self, weights):
        self.weights = list(weights)

    def save(self, path, overwrite=True):
        with open(path, "w") as file:
            file.write("x")

    save_weights = save


def run(callback, values, steps=()):
    """[(learning rate, logs)] of the epochs until training stops, and the weights at the end."""
    model, decisions = Fake(), []
    callback.set_model(model)
    callback.set_params({"epochs": len(values), "verbose": 0, "steps": None})
    callback.on_train_begin()
    for epoch, value in enumerate(values):
        callback.on_epoch_begin(epoch, {})
        model.weights = [np.full(1, epoch)]
        for step in steps:
            callback.on_train_batch_end(step - 1, {"loss": 1 / step})
            if hasattr(callback, "on_steps_end"):
                callback.on_steps_end(step, lambda step=step: {"loss": 1 / step})
        logs = {"loss": value / 2, "val_loss": value}
        callback.on_epoch_end(epoch, logs)
        decisions.append((model.optimizer.learning_rate, logs))
        if model.stop_training:
            break
    callback.on_train_end()
    return decisions, model.weights[0].tolist()


FALLING = [3, 2.8, 2.6, 2.4, 2.2]
ROUGH = [3, 2, 2.5, 2.5, 1, 1.5, 1.4, 0.5]
FLAT = [3.0] * 9


@pytest.mark.parametrize("values", [FALLING, ROUGH, FLAT, [5, 1, 2, 2, 2], [3, float("nan"), 2]])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"patience": 1},
        {"patience": 2, "restore_best_weights": True},
        {"patience": 1, "mode": "max"},
        {"patience": 2, "min_delta": 0.5},
        {"patience": 2, "min_delta": -0.5},
        {"patience": 2, "baseline": 1.0},
        {"patience": 2, "baseline": 2.5, "restore_best_weights": True},
        {"patience": 2, "start_from_epoch": 2, "restore_best_weights": True},
        {"monitor": "loss"},
    ],
)
def test_early_stopping(options, values):
    mine, theirs = (k.callbacks.EarlyStopping(**options) for k in (ours, real))
    assert repr(run(mine, values)) == repr(run(theirs, values))
    assert (mine.best, mine.wait, mine.stopped_epoch) == (
        theirs.best,
        theirs.wait,
        theirs.stopped_epoch,
    )


@pytest.mark.parametrize("values", [FALLING, ROUGH, FLAT])
@pytest.mark.parametrize(
    "options",
    [
        {"patience": 0},
        {"patience": 1, "factor": 0.5},
        {"patience": 2, "factor": 0.5, "cooldown": 2, "min_lr": 0.2},
        {"patience": 1, "factor": 0.5, "cooldown": 3},
        {"patience": 1, "min_delta": 0.5},
        {"patience": 1, "mode": "max", "monitor": "loss"},
    ],
)
def test_reduce_on_plateau(options, values):
    mine, theirs = (k.callbacks.ReduceLROnPlateau(**options) for k in (ours, real))
    got, wanted = run(mine, values)[0], run(theirs, values)[0]
    rates = lambda decisions: [(rate, logs["learning_rate"]) for rate, logs in decisions]
    np.testing.assert_allclose(rates(got), rates(wanted), rtol=1e-6)


@pytest.mark.parametrize("schedule", [lambda e: 0.1 / (e + 1), lambda e, rate: rate / 2])
def test_scheduler(schedule):
    found = [run(k.callbacks.LearningRateScheduler(schedule), FLAT)[0] for k in (ours, real)]
    rates = [[(rate, logs["learning_rate"]) for rate, logs in d] for d in found]
    np.testing.assert_allclose(*rates, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("m.keras", {}),
        ("m-{epoch:02d}-{val_loss:.2f}.keras", {}),
        ("m-{epoch}.keras", {"save_best_only": True}),
        ("m-{epoch}.keras", {"save_best_only": True, "mode": "max"}),
        ("m-{epoch}.keras", {"save_best_only": True, "initial_value_threshold": 2.2}),
        ("m-{epoch}.weights.h5", {"save_weights_only": True}),
        ("m-{epoch}-{batch}.keras", {"save_freq": 2}),
        ("m-{epoch}-{batch}.keras", {"save_freq": 4, "save_best_only": True, "monitor": "loss"}),
    ],
)
def test_checkpoint(tmp_path, name, options):
    found = []
    for keras in (ours, real):
        folder = tmp_path / keras.__name__
        folder.mkdir()
        run(keras.callbacks.ModelCheckpoint(folder / name, **options), ROUGH, steps=[1, 2, 3])
        found.append(sorted(f for f in os.listdir(folder) if not f.endswith(".json")))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    "options",
    [
        {"max_to_keep": 2},
        {"max_to_keep": None},
        {"max_to_keep": None, "save_freq": 3},
        {"max_to_keep": None, "save_freq": 5, "save_on_background": False},
        {"max_to_keep": None, "save_best_only": True, "monitor": "loss", "mode": "max"},
    ],
)
def test_orbax_checkpoint(tmp_path, options):
    """The numbers of the checkpoints."""
    pytest.importorskip("orbax.checkpoint")
    x, y = np.ones((8, 2), "float32"), np.ones((8, 1), "float32")
    found = []
    for keras in (ours, real):
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        folder = tmp_path / keras.__name__
        callback = keras.callbacks.OrbaxCheckpoint(str(folder), **options)
        model.fit(x, y, epochs=3, batch_size=2, verbose=0, callbacks=[callback])
        found.append(sorted(os.listdir(folder)))
    assert found[0] == found[1]


@pytest.mark.parametrize("swap_on_epoch", [False, True])
@pytest.mark.parametrize("wrapped", [False, True])
def test_swap_ema_weights(swap_on_epoch, wrapped):
    """The kernel at every event of callbacks that stand behind."""
    x, y = np.ones((8, 2), "float32"), np.ones((8, 1), "float32")
    found = []
    for keras in (ours, real):
        kernel_init = keras.initializers.Constant(1.0)
        model = keras.Sequential([keras.layers.Dense(1, kernel_initializer=kernel_init)])
        model.build((None, 2))
        optimizer = keras.optimizers.SGD(0.05, use_ema=True, ema_momentum=0.5)
        if wrapped:
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=1.0)
        model.compile(optimizer, "mse")
        seen = []

        def record(event, model=model, seen=seen):
            return lambda *_: seen.append((event, float(model.get_weights()[0][0, 0])))

        events = ["on_epoch_begin", "on_epoch_end", "on_test_begin", "on_test_end", "on_train_end"]
        behind = keras.callbacks.LambdaCallback(**{event: record(event) for event in events})
        swap = keras.callbacks.SwapEMAWeights(swap_on_epoch)
        options = {"batch_size": 4, "validation_data": (x, y), "verbose": 0}
        history = model.fit(x, y, epochs=3, callbacks=[swap, behind], **options)
        seen.append(("end", float(model.get_weights()[0][0, 0])))
        found.append((seen, history.history["val_loss"]))
    (mine, loss), (theirs, real_loss) = found
    assert [event for event, _ in mine] == [event for event, _ in theirs]
    np.testing.assert_allclose([k for _, k in mine], [k for _, k in theirs], rtol=1e-6)
    np.testing.assert_allclose(loss, real_loss, rtol=1e-5)


@pytest.mark.parametrize("options", [{}, {"separator": ";"}, {"append": True}])
def test_csv(tmp_path, options):
    texts = []
    for keras in (ours, real):
        path = tmp_path / keras.__name__
        callback = keras.callbacks.CSVLogger(str(path), **options)
        for _ in range(2):
            run(callback, ROUGH)
        texts.append(path.read_text())
    assert texts[0] == texts[1]


@pytest.mark.parametrize("x", [[0, 2, 1], [[0], [2]], [[0, 1], [1, 0]], np.array([1.0, 2.0])])
def test_to_categorical(x):
    mine, theirs = (k.utils.to_categorical(x) for k in (ours, real))
    np.testing.assert_array_equal(mine, theirs)
    assert mine.dtype == theirs.dtype


@pytest.mark.parametrize("options", [{}, {"axis": 1}, {"order": 1}, {"order": 3}])
def test_normalize(options):
    x = np.random.default_rng(0).normal(size=(3, 4))
    np.testing.assert_allclose(
        ours.utils.normalize(x, **options), real.utils.normalize(x, **options), rtol=1e-6
    )


@pytest.mark.parametrize("padding", ["pre", "post"])
@pytest.mark.parametrize("truncating", ["pre", "post"])
@pytest.mark.parametrize("maxlen", [None, 2, 5])
def test_pad_sequences(padding, truncating, maxlen):
    rows = [
        k.utils.pad_sequences(
            [[1], [2, 3], [4, 5, 6], []], maxlen, padding=padding, truncating=truncating, value=7
        )
        for k in (ours, real)
    ]
    np.testing.assert_array_equal(*rows)
    assert rows[0].dtype == rows[1].dtype
