"""Interrupted trainings go on and end as if nothing had happened, byte for byte."""

import contextlib
import datetime
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import hornbeam as keras
from hornbeam.callbacks import BackupAndRestore
from hornbeam.saving._snapshot import read_snapshot, write_snapshot

SCRIPT = pathlib.Path(__file__).with_name("resumed.py")


def run(folder, *arguments):
    command = [sys.executable, SCRIPT, folder, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    out, error = run(tmp_path_factory.mktemp("whole"), "none").communicate()
    assert out, error
    return out


# The 30 kills of a run of the tests; `KILLS=300 pytest tests/training/test_resume.py` for more.
KILLS = int(os.environ.get("KILLS", "30")) // 3


@pytest.mark.parametrize("frequency", ["epoch", "steps", "seconds"])
def test_killed_at_any_moment(tmp_path, uninterrupted, frequency):
    """SIGKILL, and the same script again, until it gets to its end."""
    moments, kills = random.Random(frequency), 0
    while True:
        process = run(tmp_path, frequency, "slow")
        begun = process.stdout.readline()
        assert begun == "training\n", process.stderr.read()
        if kills < KILLS:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(moments.uniform(0.0, 0.15))
            process.kill()
            out, error = process.communicate()
            kills += process.returncode == -signal.SIGKILL
            if process.returncode == -signal.SIGKILL:
                continue
        else:
            out, error = process.communicate()
        assert out == uninterrupted, error
        if kills >= KILLS:
            break
        for file in (tmp_path / "snapshots").iterdir():  # once more
            file.unlink()
    (snapshot,) = (p for p in (tmp_path / "snapshots").iterdir() if p.suffix == ".snapshot")
    read_snapshot(snapshot)


# In one process -----------------------------------------------------------------------------------

X = np.random.default_rng(0).normal(size=(52, 4)).astype("float32")
Y = X[:, :1] * X[:, 1:2]


class Fails(keras.callbacks.Callback):
    """Ends a training by an error, after so many epochs and steps."""

    follows_steps = False

    def __init__(self, epoch, step):
        super().__init__()
        self.at = epoch, step

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_steps_end(self, steps_done, read_logs):
        if (self.epoch, steps_done) >= self.at:
            raise RuntimeError("interrupted")


def dense(**options):
    keras.utils.set_random_seed(1)
    layers = [keras.layers.Dense(8, "relu"), keras.layers.Dropout(0.2), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((4,)), *layers])
    model.compile(**{"optimizer": "adam", "loss": "mse", "metrics": ["mae"], **options})
    return model


class Two(keras.Model):
    """Two optimizers, one of which `compile` doesn't know, and a step of its own."""

    def __init__(self):
        super().__init__()
        self.first, self.second = keras.layers.Dense(8, "relu"), keras.layers.Dense(1)
        self.other = keras.optimizers.Adam(0.01)

    def call(self, x):
        return self.second(self.first(x))

    def train_step(self, data):
        x, y = data
        variables = self.trainable_variables
        loss, gradients = keras.value_and_grad(
            lambda: keras.ops.mean((self(x, training=True) - y) ** 2), variables
        )()
        self.other.apply(gradients[:2], variables[:2])
        self.optimizer.apply(gradients[2:], variables[2:])
        return {"loss": loss}


def two(**options):
    keras.utils.set_random_seed(1)
    model = Two()
    model.build((None, 4))
    model.compile(keras.optimizers.RMSprop(0.01))
    return model


def half(**options):
    keras.utils.set_random_seed(1)
    layers = [keras.layers.Dense(8, "relu", dtype="mixed_float16"), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((4,)), *layers])
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(0.1, momentum=0.9), dynamic_growth_steps=3
    )
    model.compile(optimizer, "mse")
    return model


class Parts(keras.utils.PyDataset):
    def __len__(self):
        return 7

    def __getitem__(self, i):
        return X[8 * i : 8 * i + 8], Y[8 * i : 8 * i + 8]


def endless():
    while True:
        for i in range(7):
            yield X[8 * i : 8 * i + 8], Y[8 * i : 8 * i + 8]


ARRAYS = {"x": X, "y": Y, "batch_size": 8}
# model, arguments of `fit`
RUNS = {
    "arrays": (dense, lambda: ARRAYS),
    "fused": (lambda: dense(steps_per_execution=3), lambda: ARRAYS),
    "eager": (lambda: dense(run_eagerly=True), lambda: ARRAYS),
    "passes that are no epochs": (dense, lambda: {**ARRAYS, "steps_per_epoch": 5}),
    "own step": (two, lambda: ARRAYS),
    "half precision": (half, lambda: ARRAYS),
    "PyDataset": (dense, lambda: {"x": Parts()}),
    "generator": (dense, lambda: {"x": endless(), "steps_per_epoch": 5}),
}


def outcome(model, history):
    values = [*model.variables, *model.optimizer.variables]
    return history.history, [np.asarray(v).tobytes() for v in values]


@pytest.mark.parametrize("at", [(0, 2), (1, 4), (2, 1)], ids=str)
@pytest.mark.parametrize("name", RUNS)
def test_goes_on_exactly(tmp_path, name, at):
    make, arguments = RUNS[name]
    options = {"epochs": 4, "verbose": 0}
    model = make()
    whole = outcome(model, model.fit(**arguments(), **options))
    backup = lambda: BackupAndRestore(tmp_path, save_freq=1, replay=True)
    with pytest.raises(RuntimeError, match="interrupted"):
        make().fit(**arguments(), **options, resume=backup(), callbacks=[Fails(*at)])
    assert any(tmp_path.iterdir())
    np.random.seed(99)  # another process has other numbers
    random.seed(99)
    model = make()
    seen = []
    count = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: seen.append(epoch))
    again = outcome(model, model.fit(**arguments(), **options, resume=backup(), callbacks=[count]))
    assert again == whole
    assert seen == list(range(at[0], 4))
    assert not tmp_path.exists()  # `delete_checkpoint`


def test_resume_keeps_the_last_snapshot_and_what_is_not_its_own(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / ".training-000001.snapshot.0123abcd.tmp").write_text("left by a kill")
    first = dense().fit(**ARRAYS, epochs=3, verbose=0, resume=tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["notes.txt", "training-000002.snapshot"]
    model = dense()
    again = model.fit(**ARRAYS, epochs=3, verbose=0, resume=tmp_path)  # nothing left to do
    assert again.history == first.history and model.optimizer.iterations == 21
    longer = dense().fit(**ARRAYS, epochs=4, verbose=0, resume=tmp_path)
    assert longer.history == dense().fit(**ARRAYS, epochs=4, verbose=0).history
    callback = BackupAndRestore(tmp_path, double_checkpoint=True)
    dense().fit(**ARRAYS, epochs=5, verbose=0, callbacks=[callback])
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_a_broken_snapshot_is_passed_over(tmp_path):
    whole = dense().fit(**ARRAYS, epochs=4, verbose=0)
    keep = BackupAndRestore(tmp_path, double_checkpoint=True, delete_checkpoint=False)
    dense().fit(**ARRAYS, epochs=3, verbose=0, resume=keep)
    *_, newest = sorted(tmp_path.iterdir())
    newest.write_bytes(newest.read_bytes()[:-100])
    with pytest.warns(UserWarning, match="not a whole snapshot.*An older one is used"):
        again = dense().fit(**ARRAYS, epochs=4, verbose=0, resume=tmp_path)
    assert again.history == whole.history


def test_a_full_disk_ends_no_training(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hornbeam.callbacks._backup.write_snapshot", refuse)
    with pytest.warns(UserWarning, match="No snapshot could be written.*No space left"):
        history = dense().fit(**ARRAYS, epochs=2, verbose=0, resume=tmp_path)
    assert len(history.epoch) == 2


def test_stopped_trainings_stay_stopped(tmp_path):
    stop = lambda: keras.callbacks.EarlyStopping("loss", patience=0, min_delta=1e9)
    first = dense().fit(**ARRAYS, epochs=9, verbose=0, resume=tmp_path, callbacks=[stop()])
    again = dense().fit(**ARRAYS, epochs=9, verbose=0, resume=tmp_path, callbacks=[stop()])
    assert len(first.epoch) == 2 and again.history == first.history


class Odd(keras.callbacks.Callback):
    def state(self):
        return {"file": object()}


MISTAKES = [
    (lambda t: BackupAndRestore(t, save_freq=0), "save_freq should be 'epoch', a positive number"),
    (lambda t: BackupAndRestore(t, save_freq="batch"), "save_freq should be 'epoch'"),
    (lambda t: dense().fit(X[:24], Y[:24], resume=t), "num_batches is 2 there and 1 here"),
    (lambda t: dense().fit(X, Y, batch_size=26, resume=t), "batch_size is 32 there and 26 here"),
    (lambda t: two().fit(X, Y, resume=t), "snapshot.*of another training: its variables differ"),
    (
        lambda t: dense().fit(endless(), steps_per_epoch=2, resume=t),
        r"x can't seek, .*resume=BackupAndRestore\(folder, replay=True\)",
    ),
    (
        lambda t: dense().fit(X, Y, resume=t, callbacks=[BackupAndRestore(t)]),
        "fit's callbacks should be at most one BackupAndRestore",
    ),
]


@pytest.mark.parametrize(("act", "message"), MISTAKES, ids=[m for _, m in MISTAKES])
def test_mistakes(tmp_path, act, message):
    dense().fit(X, Y, verbose=0, resume=tmp_path)
    with pytest.raises(ValueError, match=message):
        act(tmp_path)


def test_data_that_cannot_seek_goes_on_after_a_warning(tmp_path):
    with pytest.warns(UserWarning, match="x can't seek. After an interruption"):
        dense().fit(endless(), steps_per_epoch=2, verbose=0, callbacks=[BackupAndRestore(tmp_path)])


def test_states_that_cannot_be_written(tmp_path):
    with pytest.raises(TypeError, match=r"\['callbacks'\].*\['file'\] is a object"):
        dense().fit(X, Y, verbose=0, resume=tmp_path, callbacks=[Odd()])


def test_snapshots_hold_what_they_are_given(tmp_path):
    data = {
        "a": [1, 2.5, float("inf"), None, True, "text", (1, (2,))],
        3: np.arange(6, dtype="int16").reshape(2, 3),
        "empty": np.zeros((0, 2)),
        "half": keras.ops.ones((2,), "bfloat16"),
        "scalar": np.float32(0.1),
    }
    write_snapshot(tmp_path / "s", data)
    found = read_snapshot(tmp_path / "s")
    assert list(found) == list(data) and found["a"] == data["a"]
    for name in (3, "empty", "half", "scalar"):
        assert found[name].dtype == data[name].dtype
        np.testing.assert_array_equal(found[name], np.asarray(data[name]))
    whole = (tmp_path / "s").read_bytes()
    for n in range(0, len(whole), 97):
        (tmp_path / "s").write_bytes(whole[:n])
        with pytest.raises(ValueError, match="not a whole snapshot"):
            read_snapshot(tmp_path / "s")


# Signals ------------------------------------------------------------------------------------------


# Python reports a signal that falls into a finalizer; it is raised at the next step.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.usefixtures("ctrl_c")
def test_signals_at_any_moment(tmp_path, number):
    """Also while compiling, validating and saving: the model works, the snapshot is whole."""
    moments, raised = random.Random(int(number)), []
    handler = signal.getsignal(number)
    for i in range(25):
        # Every other model is a new one, which has to be compiled.
        if i % 2 == 0:
            model = dense()
            model.build((None, 4))
        backup = BackupAndRestore(
            tmp_path / str(i // 2), datetime.timedelta(milliseconds=5), delete_checkpoint=False
        )
        delay = moments.uniform(0, 0.5)
        timer = threading.Timer(delay, os.kill, (os.getpid(), number))
        timer.start()
        with pytest.raises((KeyboardInterrupt, SystemExit)) as caught:
            model.fit(**ARRAYS, epochs=100_000, validation_split=0.2, verbose=0, resume=backup)
            timer.join()
        raised.append(caught.type)
        assert signal.getsignal(number) is handler
        assert np.isfinite(model.predict(X, verbose=0)).all()
        snapshots = list((tmp_path / str(i // 2)).glob("*.snapshot"))
        if snapshots:
            assert read_snapshot(max(snapshots))["epoch"] >= 0
    assert set(raised) == {KeyboardInterrupt if number == signal.SIGINT else SystemExit}
    assert [t.name for t in threading.enumerate() if t.name == "snapshot"] == []


@pytest.mark.parametrize("moment", [1, 2], ids=["shapes", "step"])
@pytest.mark.usefixtures("ctrl_c")
def test_an_interrupt_while_tracing_is_not_lost(moment):
    """Some of JAX's code catches every exception, as this layer does."""

    class Catches(keras.layers.Layer):
        calls_left = 0

        def call(self, x):
            self.calls_left -= 1
            if self.calls_left == 0:
                with contextlib.suppress(BaseException):
                    os.kill(os.getpid(), signal.SIGINT)
            return x

    catches = Catches()
    model = keras.Sequential([keras.Input((4,)), catches, keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    catches.calls_left = moment
    with pytest.raises(KeyboardInterrupt):
        model.fit(**ARRAYS, epochs=2, verbose=0)
    assert catches.calls_left <= 0
    model.fit(**ARRAYS, verbose=0)


def test_an_interrupt_in_a_finalizer_is_not_lost():
    class Dropped:
        def __del__(self):
            raise KeyboardInterrupt  # as Ctrl-C would, were it pressed now

    drops = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: Dropped() and None)
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        dense().fit(**ARRAYS, epochs=100_000, verbose=0, callbacks=[drops])
    assert time.monotonic() - start < 30
