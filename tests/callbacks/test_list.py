"""Which callbacks hear of which events, and what is refused when it is attached."""

import time
from types import SimpleNamespace

import pytest

import hornbeam as keras
from hornbeam.callbacks import Callback, CallbackList, History, LambdaCallback, ProgbarLogger
from hornbeam.callbacks._list import EVENTS

INDEXED = [e for e in EVENTS if "epoch" in e or "batch" in e]
WITHOUT_LOGS = {
    "on_compile_begin": ("train",),
    "on_compile_end": ("train", 0.5),
    "on_data_wait": (0.5,),
}


@pytest.mark.parametrize(
    "event", [e for e in EVENTS if not e.endswith("steps_end") and e not in WITHOUT_LOGS]
)
def test_event_reaches_listener(event):
    heard = []
    events = CallbackList([LambdaCallback(**{event: lambda *args: heard.append(args)})])
    arguments = (3,) if event in INDEXED else ()
    getattr(events, event)(*arguments, {"loss": 1.0})
    getattr(events, event)(*arguments)
    assert heard == [(*arguments, {"loss": 1.0}), (*arguments, {})]


@pytest.mark.parametrize("event", WITHOUT_LOGS)
def test_event_without_logs_reaches_listener(event):
    heard = []
    events = CallbackList([LambdaCallback(**{event: lambda *args: heard.append(args)})])
    getattr(events, event)(*WITHOUT_LOGS[event])
    assert heard == [WITHOUT_LOGS[event]]


def test_waiting_counts_only_while_the_device_is_idle():
    heard = []
    events = CallbackList([LambdaCallback(on_data_wait=heard.append)])
    for idle in (True, False):
        with events.reading([SimpleNamespace(is_ready=lambda idle=idle: idle)]):
            pass
    with events.reading(None):  # before the first step
        time.sleep(0.01)
    assert len(heard) == 2
    assert heard[0] < 0.01 <= heard[1]


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ("on_batch_begin", "train"),
        ("on_batch_end", "train"),
        ("on_train_batch_begin", "train"),
        ("on_train_batch_end", "train"),
        ("on_test_batch_begin", "test"),
        ("on_test_batch_end", "test"),
        ("on_predict_batch_begin", "predict"),
        ("on_predict_batch_end", "predict"),
        ("on_epoch_end", None),
        ("on_steps_end", None),
    ],
)
def test_wants_batches(event, kind):
    method = lambda self, *args, **kwargs: None
    events = CallbackList([type("Mine", (Callback,), {event: method})()])
    assert {k: events.wants_batches(k) for k in ("train", "test", "predict")} == {
        k: k == kind for k in ("train", "test", "predict")
    }


def test_own_callbacks_want_no_batches():
    """They would slow every training down."""
    shown = keras.callbacks
    events = CallbackList(
        [
            shown.EarlyStopping(),
            shown.ModelCheckpoint("a.keras", save_freq=3),
            shown.TerminateOnNaN(),
            shown.CSVLogger("a.csv"),
        ],
        add_history=True,
        add_progbar=True,
    )
    assert not any(events.wants_batches(kind) for kind in ("train", "test", "predict"))


def test_old_name_is_called_by_the_new_event():
    class Mine(Callback):
        def on_batch_end(self, batch, logs=None):
            self.heard = batch, logs

    mine = Mine()
    CallbackList([mine]).on_train_batch_end(2, {"loss": 1.0})
    assert mine.heard == (2, {"loss": 1.0})


def test_subclass_need_not_call_init():
    class Mine(Callback):
        def __init__(self):
            pass

    mine, model = Mine(), SimpleNamespace()
    CallbackList([mine], model=model, epochs=2)
    assert mine.model is model
    assert mine.params == {"epochs": 2}


def test_steps_are_those_of_the_running_loop():
    heard = []

    class Mine(Callback):
        def on_steps_end(self, steps_done, read_logs):
            heard.append(("train", steps_done))

        def on_test_steps_end(self, steps_done, read_logs):
            heard.append(("test", steps_done))

        def on_predict_steps_end(self, steps_done, read_logs):
            heard.append(("predict", steps_done))

    events = CallbackList([Mine()])
    events.on_train_begin()
    events.on_steps_end(1, dict)
    events.on_test_begin()
    events.on_steps_end(2, dict)
    events.on_test_end()
    events.on_steps_end(3, dict)
    events.on_predict_begin()
    events.on_steps_end(4, dict)
    assert heard == [("train", 1), ("test", 2), ("train", 3), ("predict", 4)]


def test_steps_cost_nothing_without_listeners():
    events, n = CallbackList([History()]), 10_000
    fastest = min(_seconds(events, n) for _ in range(5))
    assert fastest / n < 1e-6


def _seconds(events, n):
    start = time.perf_counter()
    for i in range(n):
        events.on_steps_end(i, None)
    return time.perf_counter() - start


def test_logs_are_one_dict():
    """What a callback adds is seen by those behind it."""
    history = History()
    add = LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(extra=2.0))
    events = CallbackList([add, history])
    events.on_epoch_end(0, {"loss": 1.0})
    events.on_epoch_end(1, {})
    assert history.history == {"loss": [1.0], "extra": [2.0, 2.0]}


def test_additions():
    model = SimpleNamespace()
    mine = History()
    events = CallbackList([[mine], None], add_history=True, add_progbar=True, model=model)
    assert [type(c) for c in events.callbacks] == [History, ProgbarLogger]
    assert model.history is mine
    late = Callback()
    events.append(late)
    assert late.model is model


def test_history_starts_anew():
    history = History()
    for _ in range(2):
        history.on_train_begin()
        history.on_epoch_end(0, {"loss": 1.0})
    assert (history.history, history.epoch) == ({"loss": [1.0]}, [0])
    other = History()
    other.set_state(history.state())
    assert (other.history, other.epoch) == ({"loss": [1.0]}, [0])


class NoLogs(Callback):
    def on_epoch_end(self, epoch):
        pass


class TooMany(Callback):
    def on_train_begin(self, logs, more):
        pass


class NoBatch(Callback):
    def on_batch_end(self):
        pass


@pytest.mark.parametrize(
    ("callbacks", "message"),
    [
        ([NoLogs()], r"NoLogs.on_epoch_end takes \(epoch\), but is called with \(epoch, logs\)"),
        ([NoLogs()], r"Write `def on_epoch_end\(self, epoch, logs=None\)`"),
        ([TooMany()], r"TooMany.on_train_begin takes \(logs, more\)"),
        ([NoBatch()], r"def on_batch_end\(self, batch, logs=None\)"),
        ([History], r"received the class History. Write `History\(…\)`"),
        ([print], "callbacks should be Callback objects; received"),
        (3, "callbacks should be Callback objects; received 3"),
        ([LambdaCallback(on_epoch_end=lambda logs: None)], "LambdaCallback.on_epoch_end takes"),
    ],
)
def test_refused_when_attached(callbacks, message):
    with pytest.raises(TypeError, match=message):
        CallbackList(callbacks)


@pytest.mark.parametrize(
    ("keyword", "error", "message"),
    [
        ("on_epoch_finish", TypeError, "LambdaCallback takes no argument 'on_epoch_finish'."),
        ("on_epoch_ends", TypeError, "Did you mean 'on_epoch_end'"),
    ],
)
def test_lambda_callback_refuses_unknown_events(keyword, error, message):
    with pytest.raises(error, match=message):
        LambdaCallback(**{keyword: print})


def test_lambda_callback_wants_functions():
    with pytest.raises(TypeError, match="on_epoch_end should be a function; received 3"):
        LambdaCallback(on_epoch_end=3)
