"""Which files `ModelCheckpoint` writes, and when."""

import json
import os
from types import SimpleNamespace

import pytest

import hornbeam as keras
from hornbeam.callbacks import CallbackList, ModelCheckpoint


class Fake:
    metrics = ()
    optimizer = SimpleNamespace(learning_rate=0.5)

    def save(self, path, overwrite=True):
        with open(path, "w") as file:
            file.write("x")

    save_weights = save


def run(callback, values, steps=()):
    """One epoch for each value; returns nothing, files tell."""
    events = CallbackList([callback], model=Fake())
    events.on_train_begin()
    for epoch, value in enumerate(values):
        events.on_epoch_begin(epoch)
        for step in steps:
            events.on_steps_end(step, lambda step=step: {"loss": 1 / step})
        events.on_epoch_end(epoch, {"loss": 9.0, "val_loss": value})


@pytest.mark.parametrize(
    ("name", "options", "files"),
    [
        ("m.keras", {}, ["m.keras"]),
        (
            "m-{epoch:02d}-{val_loss:.2f}.keras",
            {},
            ["m-01-3.00.keras", "m-02-2.00.keras", "m-03-2.50.keras"],
        ),
        ("m-{epoch}.keras", {"save_best_only": True}, ["m-1.keras", "m-2.keras"]),
        ("m-{epoch}.keras", {"save_best_only": True, "mode": "max"}, ["m-1.keras"]),
        (
            "m-{epoch}.keras",
            {"save_best_only": True, "initial_value_threshold": 2.2},
            ["m-2.keras"],
        ),
        (
            "m-{epoch}.weights.h5",
            {"save_weights_only": True, "save_best_only": True},
            ["m-1.weights.h5", "m-2.weights.h5"],
        ),
        (
            "m-{epoch}-{batch}.keras",
            {"save_freq": 2},
            ["m-1-2.keras", "m-2-1.keras", "m-2-3.keras", "m-3-2.keras"],
        ),
        (
            "m-{epoch}-{loss:.1f}.keras",
            {"save_freq": 3},
            ["m-1-0.3.keras", "m-2-0.3.keras", "m-3-0.3.keras"],
        ),
    ],
)
def test_files(tmp_path, name, options, files):
    run(ModelCheckpoint(tmp_path / name, **options), [3, 2, 2.5], steps=[1, 2, 3])
    if options.get("save_best_only"):
        files = [name for file in files for name in (file, f"{file}.json")]
    assert sorted(os.listdir(tmp_path)) == files


def test_best_value_stands_beside_the_file(tmp_path):
    callback = ModelCheckpoint(tmp_path / "m.keras", save_best_only=True)
    note = tmp_path / "m.keras.json"
    run(callback, [3, 2, 2.5])
    assert json.loads(note.read_text()) == {"monitor": "val_loss", "best": 2.0, "epoch": 2}

    def save(path, overwrite):
        assert json.loads(note.read_text())["best"] == 2.0, "the value follows the file"

    callback.model.save = save
    callback.on_epoch_end(6, {"val_loss": 1.0})
    assert json.loads(note.read_text()) == {"monitor": "val_loss", "best": 1.0, "epoch": 7}


def test_steps_count_on_from_a_state_within_an_epoch(tmp_path):
    one, other = (ModelCheckpoint(tmp_path / "{batch}.keras", save_freq=4) for _ in range(2))
    run(one, [], steps=[])
    one.on_epoch_begin(0)
    one.on_steps_end(3, dict)
    run(other, [])
    other.on_epoch_begin(0)
    other.set_state(one.state())
    for step in (4, 5):
        other.on_steps_end(step, dict)
    assert os.listdir(tmp_path) == ["4.keras"]


def test_steps_that_run_together(tmp_path):
    run(ModelCheckpoint(tmp_path / "{epoch}-{batch}.keras", save_freq=3), [1, 1], steps=[2, 4, 5])
    assert sorted(os.listdir(tmp_path)) == ["1-4.keras", "2-2.keras", "2-5.keras"]


def test_folders_are_made(tmp_path):
    run(ModelCheckpoint(tmp_path / "a" / "{epoch}" / "m.keras"), [1, 1])
    assert sorted(os.listdir(tmp_path / "a")) == ["1", "2"]


def test_best_outlives_a_fit(tmp_path):
    """Or a later fit would write a worse model over the best one."""
    callback = ModelCheckpoint(tmp_path / "m.keras", save_best_only=True)
    run(callback, [3, 1])
    os.remove(tmp_path / "m.keras")
    run(callback, [2])
    assert os.listdir(tmp_path) == ["m.keras.json"]
    other = ModelCheckpoint(tmp_path / "m.keras", save_best_only=True)
    other.set_state(callback.state())
    assert other.best == 1


def test_missing_number_saves_all_the_same(tmp_path):
    callback = ModelCheckpoint(tmp_path / "{epoch}.keras", monitor="val_acc", save_best_only=True)
    with pytest.warns(UserWarning, match="ModelCheckpoint monitors 'val_acc'") as seen:
        run(callback, [1, 2])
    assert len(seen) == 1
    assert sorted(os.listdir(tmp_path)) == ["1.keras", "1.keras.json", "2.keras", "2.keras.json"]
    assert json.loads((tmp_path / "1.keras.json").read_text())["best"] is None


def test_messages(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(ModelCheckpoint("m.keras", save_best_only=True, verbose=1), [3, 2, 2.5])
    assert capsys.readouterr().out.splitlines() == [
        "Epoch 1: val_loss improved to 3.00000; saved the model to m.keras.",
        "Epoch 2: val_loss improved from 3.00000 to 2.00000; saved the model to m.keras.",
        "Epoch 3: val_loss did not improve on 2.00000.",
    ]


@pytest.mark.parametrize(
    ("path", "options", "message"),
    [
        ("m", {}, "filepath should be a path ending in '.keras'; received 'm'"),
        ("m.weights.h5", {}, "pass save_weights_only=True"),
        ("m.keras", {"save_weights_only": True}, "a path ending in '.weights.h5'"),
        ("m.keras", {"save_freq": "batch"}, "save_freq should be 'epoch' or a positive int"),
        ("m.keras", {"save_freq": 0}, "save_freq should be 'epoch' or a positive int; received 0"),
    ],
)
def test_arguments(path, options, message):
    with pytest.raises(ValueError, match=message):
        ModelCheckpoint(path, **options)


def test_path_names_an_unknown_log(tmp_path):
    with pytest.raises(KeyError, match=r"names 'val_los', which is not among the logs.*'val_loss'"):
        run(ModelCheckpoint(tmp_path / "{val_los}.keras"), [1])


def test_saved_model_can_be_loaded(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    path = tmp_path / "m.weights.h5"
    callback = ModelCheckpoint(path, save_weights_only=True)
    events = CallbackList([callback], model=model)
    events.on_train_begin()
    events.on_epoch_begin(0)
    events.on_epoch_end(0, {"loss": 1.0})
    saved = model.get_weights()
    model.set_weights([w + 1 for w in saved])
    model.load_weights(path)
    assert (model.get_weights()[0] == saved[0]).all()
