"""Callbacks in a real training."""

import numpy as np
import pytest

import hornbeam as keras

X = np.ones((16, 2), "float32")
Y = np.ones((16, 1), "float32")


@pytest.fixture
def model():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), "mse", metrics=["mae"])
    return model


def fit(model, *callbacks, epochs=3, **options):
    options = {"validation_data": (X, Y), "verbose": 0, "batch_size": 4, **options}
    return model.fit(X, Y, epochs=epochs, callbacks=list(callbacks), **options)


def test_early_stopping_restores(model):
    seen = []
    record = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(model.get_weights()[0].copy())
    )
    stop = keras.callbacks.EarlyStopping(
        "val_mae", mode="max", patience=2, restore_best_weights=True
    )
    history = fit(model, record, stop, epochs=9)
    assert history.epoch == [0, 1, 2], "val_mae only falls, so the first epoch is the best"
    np.testing.assert_array_equal(model.get_weights()[0], seen[0])


def test_auto_mode_finds_the_metric(model):
    stop = keras.callbacks.EarlyStopping("val_mae", patience=5)
    history = fit(model, stop)
    assert stop.best == min(history.history["val_mae"])


def test_learning_rates_take_effect(model):
    rates = [0.5, 0.0, 0.25]
    weights = []
    record = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: weights.append(model.get_weights()[0].copy())
    )
    history = fit(model, keras.callbacks.LearningRateScheduler(rates.__getitem__), record)
    assert history.history["learning_rate"] == rates
    assert (weights[0] == weights[1]).all()
    assert (weights[1] != weights[2]).any()


def test_stop_within_an_epoch(model):
    batches = []

    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            batches.append(batch)
            self.model.stop_training = batch == 1

    fit(model, Stop())
    assert batches == [0, 1]


def test_progress(model, capsys, monkeypatch):
    monkeypatch.setattr(keras.callbacks.ProgbarLogger, "long_compile", np.inf)
    fit(model, verbose=1, epochs=2)
    model.evaluate(X, Y)
    model.predict(X)
    first, second, evaluated, predicted = capsys.readouterr().out.splitlines()
    for line, start in ((first, "Epoch 1/2 - 4/4 - "), (second, "Epoch 2/2 - 4/4 - ")):
        assert line.startswith(start)
        assert [part.split(":")[0] for part in line.split(" - ")[4:]] == [
            "loss",
            "mae",
            "val_loss",
            "val_mae",
        ]
    assert evaluated.startswith("1/1 - ")
    assert predicted.startswith("1/1 - ")


def test_checkpoint(model, tmp_path):
    path = tmp_path / "best.keras"
    history = fit(model, keras.callbacks.ModelCheckpoint(path, save_best_only=True))
    loaded = keras.models.load_model(path)
    assert loaded.evaluate(X, Y, verbose=0)[0] == pytest.approx(min(history.history["val_loss"]))


def test_trackers_get_plain_numbers(model):
    """docs/callbacks.md: `LambdaCallback(on_epoch_end=lambda epoch, logs: log_metrics(logs))`."""
    sent = []

    def log_metrics(metrics, step):
        sent.append((step, {name: type(value) for name, value in metrics.items()}))

    log = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: log_metrics(logs, step=epoch)
    )
    fit(model, log, epochs=2)
    names = ("loss", "mae", "val_loss", "val_mae")
    assert sent == [(epoch, dict.fromkeys(names, float)) for epoch in (0, 1)]


def test_compiling_is_told_once_for_each_program(model):
    heard = []
    listen = keras.callbacks.LambdaCallback(
        on_compile_begin=lambda kind: heard.append(kind),
        on_compile_end=lambda kind, seconds: heard.append((kind, seconds > 0)),
    )
    for _ in range(2):
        fit(model, listen, epochs=2)
    assert heard == ["train", ("train", True), "test", ("test", True)]


def test_resumed_training_leaves_the_files_of_an_uninterrupted_one(tmp_path):
    """Rows that were written after the last snapshot aren't there twice."""

    def train(folder, interrupted):
        folder.mkdir(exist_ok=True)
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(0.01, use_ema=True), "mse")
        kinds = keras.callbacks
        callbacks = [
            kinds.SwapEMAWeights(swap_on_epoch=True),
            kinds.ModelCheckpoint(folder / "best.keras", save_best_only=True),
            kinds.EarlyStopping(patience=9, restore_best_weights=True),
            kinds.ReduceLROnPlateau(patience=1, factor=0.5, min_delta=10.0),
            kinds.CSVLogger(folder / "log.csv"),
            kinds.BackupAndRestore(folder / "backup"),
        ]
        if interrupted:
            stop = kinds.LambdaCallback(on_epoch_end=lambda epoch, logs: 1 / (epoch != 2))
            callbacks.append(stop)
        history = fit(model, *callbacks, epochs=5)
        return history.history, model.get_weights()[0]

    wanted = train(tmp_path / "a", interrupted=False)
    with pytest.raises(ZeroDivisionError):
        train(tmp_path / "b", interrupted=True)
    history, weights = train(tmp_path / "b", interrupted=False)
    assert history == wanted[0]
    np.testing.assert_array_equal(weights, wanted[1])
    for name in ("log.csv", "best.keras.json"):
        assert (tmp_path / "b" / name).read_text() == (tmp_path / "a" / name).read_text()
