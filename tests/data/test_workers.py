"""Workers of a `PyDataset`: errors at once and their own, an interrupt ends all."""

import multiprocessing
import os
import random
import signal
import threading
import time

import numpy as np
import pytest

import hornbeam as keras
from helpers import BatchesByNumber
from hornbeam import layers
from hornbeam.data import source_of

BATCHES = [(np.full((4, 2), i, "float32"), np.zeros((4, 1), "float32")) for i in range(6)]


class Scripted(keras.utils.PyDataset):
    """Batches that take some time, or fail."""

    def __init__(self, script, released=None, **kwargs):
        super().__init__(**kwargs)
        self.script, self.released = script, released

    def __len__(self):
        return len(self.script)

    def __getitem__(self, index):
        what = self.script[index]
        if what == "fails":
            raise RuntimeError(f"mine, of batch {index}")
        if what == "waits":
            self.released.wait(20)
        elif what:
            time.sleep(what)
        return BATCHES[index % len(BATCHES)]


def regressor():
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def fit(data):
    return regressor().fit(data, shuffle=False, verbose=0)


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    assert not multiprocessing.active_children()
    assert not [t for t in threading.enumerate() if t.name.startswith("hornbeam-data")]


def test_a_later_error_is_raised_while_an_earlier_batch_is_awaited():
    released = threading.Event()
    data = Scripted(["waits", 0, "fails", 0], released, workers=2)
    started = time.monotonic()
    threading.Timer(1.0, released.set).start()  # so that the thread can end
    with pytest.raises(RuntimeError, match="mine, of batch 2"):
        fit(data)
    assert time.monotonic() - started < 10


def test_an_error_in_a_process_has_its_own_traceback():
    data = BatchesByNumber([*BATCHES[:2], "fails"], workers=1, use_multiprocessing=True)
    with pytest.raises(RuntimeError, match="mine") as info:
        fit(data)
    assert 'raise RuntimeError("mine")' in str(info.value.__cause__)
    assert "in __getitem__" in str(info.value.__cause__)


def test_slow_batches_keep_their_order_and_the_queue_is_bounded():
    made, ahead, taken = [], [], []

    class Counted(Scripted):
        def __getitem__(self, index):
            made.append(index)
            return super().__getitem__(index)

    source = source_of(Counted([0.1, 0, 0.05, 0, 0, 0.02], workers=3, max_queue_size=2))
    for _ in range(6):
        (x, _), _ = source.take(1)
        taken.append(int(x[0, 0, 0]))
        ahead.append(len(made) - len(taken))
    source.close()
    assert taken == [*range(6)]
    assert max(ahead) <= 3


def test_a_thread_that_does_not_end_is_told_of():
    released = threading.Event()
    source = source_of(Scripted([0, "waits", 0], released, workers=2))
    source.take(1)
    with pytest.warns(UserWarning, match="A thread is still making a batch of the Scripted"):
        source.close()
    released.set()
    while [t for t in threading.enumerate() if t.name.startswith("hornbeam-data")]:
        time.sleep(0.01)


INTERRUPTED = {
    "a generator": lambda: (BATCHES[0] for _ in iter(lambda: time.sleep(0.01), 1)),
    "no workers": lambda: Scripted([0] + [30] * 5),
    "threads": lambda: Scripted([0.3] * 10_000, workers=2),
    "processes": lambda: Scripted([0] + [30] * 9, workers=2, use_multiprocessing=True),
}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("make", INTERRUPTED.values(), ids=INTERRUPTED)
def test_an_interrupt_ends_everything_in_two_seconds(make):
    times, model, data = [], regressor(), make()
    model.fit(*BATCHES[0], verbose=0)

    def interrupt():
        time.sleep(1.5)
        times.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        model.fit(data, epochs=1000, shuffle=False, verbose=0)
    assert time.monotonic() - times[0] < 2
    thread.join()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("ctrl_c")
def test_an_interrupt_while_processes_start():
    """At any moment of it: everything ends, and the model can be trained on."""
    moments, model = random.Random(0), regressor()
    model.fit(*BATCHES[0], verbose=0)
    for _ in range(int(os.environ.get("KILLS", "30")) // 10):
        times, delay = [], moments.uniform(0, 2)

        def interrupt(delay=delay, times=times):
            time.sleep(delay)
            times.append(time.monotonic())
            os.kill(os.getpid(), signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            data = BatchesByNumber(BATCHES, workers=2, use_multiprocessing=True)
            model.fit(data, epochs=10**6, verbose=0)
        assert time.monotonic() - times[0] < 4
        thread.join()
        assert not multiprocessing.active_children()
    model.fit(BatchesByNumber(BATCHES, workers=2, use_multiprocessing=True), verbose=0)


class Eventful(Scripted):
    """Notes what it is asked for, and shuffles itself at the end of a pass, as many do."""

    def __init__(self):
        super().__init__([0] * 3)
        self.events, self.order = [], [0, 1, 2]

    def __getitem__(self, index):
        self.events.append(self.order[index])
        return super().__getitem__(self.order[index])

    def on_epoch_begin(self):
        self.events.append("begin")

    def on_epoch_end(self):
        self.events.append("end")
        self.order = [*self.order[1:], self.order[0]]


def test_seek_tells_the_data_set_of_the_passes_before():
    data = Eventful()
    source = source_of(data)
    source.batch_specs()
    source.seek(0, 1)
    source.take(2, stacked=2)
    assert data.events == ["begin", 0, 1, 2]
    data = Eventful()
    source = source_of(data)
    source.batch_specs()
    state = {"epoch": 2, "batch": 1}
    source.restore(state)
    assert source.state() == state
    (x, _), _ = source.take(1)
    assert int(x[0, 0, 0]) == 0
    assert data.events == ["begin", 0, "end", "begin", "end", "begin", 0]


def test_batches_are_read_before_anybody_waits_for_results():
    """The reading of a batch overlaps with the step on the one before."""
    events = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            events.append(f"end {batch}")

    def slowly():
        for i, batch in enumerate(BATCHES[:3]):
            events.append(f"read {i}")
            time.sleep(0.06)
            yield batch

    regressor().fit(slowly(), verbose=0, callbacks=[Watch()])
    assert events == ["read 0", "read 1", "end 0", "read 2", "end 1", "end 2"]
