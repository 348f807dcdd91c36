"""Every callback's state is plain data from which another one like it goes on."""

import json

import jax
import numpy as np
import pytest

import hornbeam as keras
from hornbeam import callbacks

X, Y = np.ones((8, 2), "float32"), np.ones((8, 1), "float32")

# How to make one, where the constructor needs something.
MAKE = {
    "CSVLogger": lambda folder: callbacks.CSVLogger(folder / "log.csv"),
    "CallbackList": lambda folder: callbacks.CallbackList(
        [callbacks.History(), callbacks.EarlyStopping(restore_best_weights=True)]
    ),
    "EarlyStopping": lambda folder: callbacks.EarlyStopping(patience=9, restore_best_weights=True),
    "LearningRateScheduler": lambda folder: callbacks.LearningRateScheduler(lambda epoch: 0.1),
    "ModelCheckpoint": lambda folder: callbacks.ModelCheckpoint(
        folder / "{epoch}.weights.h5", save_weights_only=True, save_best_only=True
    ),
    "OrbaxCheckpoint": lambda folder: callbacks.OrbaxCheckpoint(folder / "c", save_freq=1),
    "SwapEMAWeights": lambda folder: callbacks.SwapEMAWeights(swap_on_epoch=True),
    "TensorBoard": lambda folder: callbacks.TensorBoard(folder),
}
NEEDS = {"OrbaxCheckpoint": "orbax.checkpoint", "TensorBoard": "tensorboardX"}
EXCEPT = {
    "BackupAndRestore": "it keeps the others' states",
    "Callback": "the base",
    "RemoteMonitor": "it would call a server, and remembers nothing",
}
NAMES = [name for name in callbacks.__all__ if name not in EXCEPT]


def maker(name):
    """The function that makes such a callback, with its files in a folder."""
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    return MAKE.get(name, lambda folder: getattr(callbacks, name)())


class Plain(json.JSONEncoder):
    """Writes arrays; whatever else isn't JSON is an error."""

    def default(self, o):
        if isinstance(o, (np.ndarray, np.generic, jax.Array)):
            return {"array": np.asarray(o).tolist(), "dtype": str(o.dtype)}
        return super().default(o)


@pytest.mark.parametrize("name", NAMES)
def test_state_is_plain_and_restores(name, tmp_path):
    make = maker(name)
    first, second = make(tmp_path), make(tmp_path)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.01, use_ema=True), "mse")
    taken = []
    take = callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: taken.append(json.dumps(first.state(), cls=Plain))
    )
    model.fit(X, Y, epochs=2, verbose=0, validation_data=(X, Y), callbacks=[first, take])
    state = first.state()
    second.set_model(model)
    second.set_state(state)
    assert json.dumps(second.state(), cls=Plain) == json.dumps(state, cls=Plain)
    # What isn't constant has to be in the state, or a resumed training would differ.
    changing = {"CSVLogger", "CallbackList", "EarlyStopping", "History", "ModelCheckpoint"}
    changing |= {"OrbaxCheckpoint", "ReduceLROnPlateau", "SwapEMAWeights", "TensorBoard"}
    assert (len(set(taken)) > 1) == (name in changing)


@pytest.mark.parametrize("name", NAMES)
def test_a_fresh_fit_resets(name, tmp_path):
    """But for the best value of a checkpoint, which stands for a file that is there."""
    make = maker(name)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.01, use_ema=True), "mse")
    callback = make(tmp_path)
    states = []
    take = callbacks.LambdaCallback(
        on_train_begin=lambda logs: states.append(json.dumps(callback.state(), cls=Plain))
    )
    for _ in range(2):
        model.fit(X, Y, verbose=0, validation_data=(X, Y), callbacks=[callback, take])
        if name == "CSVLogger":
            (tmp_path / "log.csv").unlink()
        if name == "ModelCheckpoint":
            callback.best = None
    assert states[0] == states[1]
