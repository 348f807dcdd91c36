"""`OrbaxCheckpoint`: what is kept, and that it can be loaded; needs orbax-checkpoint."""

import builtins
import os

import numpy as np
import pytest

import hornbeam as keras
from hornbeam.callbacks import LambdaCallback, OrbaxCheckpoint

X, Y = np.ones((8, 2), "float32"), np.ones((8, 1), "float32")


def compiled():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    return model


def fit(model, folder, epochs=3, watch=(), **options):
    """Train, with a checkpoint of 4 batches an epoch; returns the callback."""
    pytest.importorskip("orbax.checkpoint")
    callback = OrbaxCheckpoint(folder, **options)
    callbacks = [*watch, callback]
    model.fit(X, Y, batch_size=2, epochs=epochs, verbose=0, callbacks=callbacks)
    return callback


def numbers(folder):
    return sorted(int(name) for name in os.listdir(folder) if name.isdigit())


@pytest.mark.parametrize("background", [True, False])
def test_model_is_restored_with_its_optimizer(tmp_path, background):
    model = compiled()
    fit(model, tmp_path / "c", save_on_background=background)
    loaded = keras.models.load_model(tmp_path / "c")
    for mine, its in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, its)
    for mine, its in zip(loaded.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(mine.numpy(), its.numpy())
    assert int(loaded.optimizer.iterations) == 12
    losses = [m.fit(X, Y, verbose=0, shuffle=False).history["loss"] for m in (model, loaded)]
    assert losses[0] == losses[1]


def test_checkpoints_hold_the_moment_they_were_taken(tmp_path):
    """Although the next steps free the arrays while they are written."""
    model, weights = compiled(), []
    watch = LambdaCallback(on_epoch_end=lambda epoch, logs: weights.append(model.get_weights()))
    fit(model, tmp_path, watch=[watch], max_to_keep=None)
    assert numbers(tmp_path) == [0, 1, 2]
    for epoch in (1, 0):
        model.load_weights(tmp_path / str(epoch))
        np.testing.assert_array_equal(model.get_weights()[0], weights[epoch][0])
        assert int(model.optimizer.iterations) == 4 * (epoch + 1)


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({}, [2]),
        ({"max_to_keep": 2}, [1, 2]),
        ({"max_to_keep": None}, [0, 1, 2]),
        ({"save_freq": 5, "max_to_keep": None}, [5, 10]),
        ({"save_best_only": True, "monitor": "loss", "mode": "max"}, [0]),
        (
            {"save_best_only": True, "monitor": "loss", "initial_value_threshold": 0.0},
            [],
        ),
    ],
)
def test_which_are_kept(tmp_path, options, kept):
    model = compiled()
    (tmp_path / "c").mkdir()
    fit(model, tmp_path / "c", **options)
    assert numbers(tmp_path / "c") == kept


def test_numbers_go_on_in_a_folder_that_has_some(tmp_path):
    model = compiled()
    for epochs in (2, 1):
        fit(model, tmp_path, epochs=epochs, max_to_keep=None)
    assert numbers(tmp_path) == [0, 1, 2]
    saved = keras.models.load_model(tmp_path).get_weights()
    np.testing.assert_array_equal(saved[0], model.get_weights()[0])


def test_weights_only(tmp_path):
    model, other = compiled(), compiled()
    fit(model, tmp_path, save_weights_only=True)
    other.load_weights(tmp_path)
    np.testing.assert_array_equal(other.get_weights()[0], model.get_weights()[0])
    assert int(other.optimizer.iterations) == 0
    with pytest.raises(ValueError, match=r"2' holds weights only. Make the model and use its `loa"):
        keras.models.load_model(tmp_path)


def test_half_precision_and_messages(tmp_path, capsys):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, dtype="bfloat16")])
    model.compile("sgd", "mse")
    callback = fit(model, tmp_path, epochs=1, verbose=1)
    assert capsys.readouterr().out == f"Epoch 1: saved the model to {tmp_path}/0.\n"
    loaded = keras.models.load_model(tmp_path)
    assert loaded.weights[0].dtype == "bfloat16"
    np.testing.assert_array_equal(loaded.get_weights()[0], model.get_weights()[0])
    callback.wait_until_finished()
    assert (callback.is_multihost_enabled(), callback.is_primary_host()) == (False, True)


def test_another_model(tmp_path):
    fit(compiled(), tmp_path, epochs=1)
    other = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    with pytest.raises(ValueError, match=r"don't fit together; nothing was changed"):
        other.load_weights(tmp_path)


def test_batches_count_on_from_a_state(tmp_path):
    pytest.importorskip("orbax.checkpoint")
    one, other = (OrbaxCheckpoint(tmp_path, save_freq=3) for _ in range(2))
    one.on_train_begin()
    one.on_epoch_begin(0)
    one.on_steps_end(2, dict)
    one.on_epoch_end(0)
    other.on_train_begin()
    other.set_state(one.state())
    other.on_epoch_begin(1)
    written = []
    other.write = lambda logs, epoch, batch: written.append((other._batches + batch, epoch))
    other.on_steps_end(1, dict)
    assert written == [(3, 2)]


def test_folders_without_a_checkpoint(tmp_path):
    with pytest.raises(ValueError, match=r"no known format.*folders with Orbax checkpoints"):
        keras.models.load_model(tmp_path)
    with pytest.raises(ValueError, match=r"no known format.*folders with Orbax checkpoints"):
        compiled().load_weights(tmp_path)


def test_checkpoint_of_something_else(tmp_path):
    ocp = pytest.importorskip("orbax.checkpoint")
    with ocp.StandardCheckpointer() as other:
        other.save(tmp_path / "3", {"a": np.ones(2)})
    with pytest.raises(ValueError, match="not a checkpoint of hornbeam's OrbaxCheckpoint"):
        compiled().load_weights(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_to_keep": 0}, "max_to_keep should be a positive int, or None to keep all; received"),
        ({"save_freq": "batch"}, "OrbaxCheckpoint's save_freq should be 'epoch' or a positive int"),
        ({"mode": "up"}, "OrbaxCheckpoint's mode should be one of"),
    ],
)
def test_arguments(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        OrbaxCheckpoint(tmp_path, **options)


def test_without_the_package(tmp_path, monkeypatch):
    imported = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.startswith("orbax"):
            raise ImportError(name)
        return imported(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    message = r'OrbaxCheckpoint needs orbax-checkpoint.*pip install "hornbeam\[orbax]"'
    with pytest.raises(ImportError, match=message):
        OrbaxCheckpoint(tmp_path)
