"""What the progress bar writes: live in a terminal, one line elsewhere."""

import contextlib
import io
import json
import re
import time
from types import SimpleNamespace

import numpy as np
import pytest

import hornbeam as keras
from hornbeam.callbacks import CallbackList, ProgbarLogger, _progbar
from hornbeam.callbacks._progbar import Progbar, _duration


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """A context manager: a terminal as standard output."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    # Not set here already: pytest replaces sys.stdout between a fixture and its test.
    return contextlib.redirect_stdout(Terminal())


def drawings(screen):
    """What was drawn, one string for each time."""
    return [text.rstrip(" ") for text in screen.getvalue().split("\r")[1:]]


def rateless(text):
    return re.sub(r"\d+(us|ms|s)/", "?/", text)


def fit(verbose, epochs=1, steps=4, seen=4, model=None):
    events = CallbackList(
        add_progbar=verbose != 0, model=model, verbose=verbose, epochs=epochs, steps=steps
    )
    for callback in events.callbacks:
        callback.interval = 0
    events.on_train_begin()
    for epoch in range(epochs):
        events.on_epoch_begin(epoch)
        for step in range(seen):
            events.on_steps_end(step + 1, lambda step=step: {"loss": 1.0 + step})
        events.on_test_begin()
        events.on_steps_end(99, lambda: {"loss": 99.0})
        events.on_test_end({"loss": 0.25})
        events.on_epoch_end(epoch, {"loss": 2.5, "val_loss": 0.25})
    events.on_train_end({})
    return events


@pytest.mark.parametrize("verbose", [1, 2, "auto"])
def test_one_line_per_epoch_in_a_file(capsys, verbose):
    fit(verbose, epochs=2)
    assert rateless(capsys.readouterr().out).splitlines() == [
        "Epoch 1/2 - 4/4 - 0s - ?/step - loss: 2.5000 - val_loss: 0.2500",
        "Epoch 2/2 - 4/4 - 0s - ?/step - loss: 2.5000 - val_loss: 0.2500",
    ]


def test_silence(capsys):
    fit(0)
    assert capsys.readouterr().out == ""


def test_live_in_a_terminal(terminal):
    with terminal as screen:
        fit(1)
    assert list(map(rateless, drawings(screen))) == [
        "1/4 ━━━━━─────────────── 0s ?/step - loss: 1.0000",
        "2/4 ━━━━━━━━━━────────── 0s ?/step - loss: 2.0000",
        "3/4 ━━━━━━━━━━━━━━━───── 0s ?/step - loss: 3.0000",
        "4/4 ━━━━━━━━━━━━━━━━━━━━ 0s ?/step - loss: 4.0000",
        "4/4 ━━━━━━━━━━━━━━━━━━━━ 0s ?/step - loss: 2.5000 - val_loss: 0.2500\n",
    ]


def test_titles_in_a_terminal(terminal):
    with terminal as screen:
        fit(1, epochs=2, seen=1)
    assert [t for t in screen.getvalue().split("\n") if "\r" not in t] == [
        "Epoch 1/2",
        "Epoch 2/2",
        "",
    ]


def test_unknown_number_of_steps(terminal):
    with terminal as screen:
        fit(1, epochs=2, steps=None, seen=2)
    drawn = list(map(rateless, drawings(screen)))
    assert drawn[0] == "      1/Unknown 0s ?/step - loss: 1.0000"
    assert drawn[2].startswith("2/2 ━━━━━━━━━━━━━━━━━━━━ 0s ?/step - loss: 2.5000")
    assert drawn[3].startswith("1/2 ━━━━━━━━━━──────────"), "known from the epoch before"


def test_more_steps_than_before(terminal):
    with terminal as screen:
        fit(1, steps=2, seen=3)
    assert drawings(screen)[2].startswith("      3/Unknown")


def test_drawn_at_most_ten_times_a_second(terminal):
    with terminal:
        reads = []
        events = CallbackList(add_progbar=True, verbose=1, steps=1000)
        events.on_train_begin()
        events.on_epoch_begin(0)
        for step in range(1000):
            events.on_steps_end(step + 1, lambda: reads.append(1) or {})
    assert len(reads) <= 2


def test_no_reads_where_nothing_is_drawn(capsys):
    events = CallbackList(add_progbar=True, verbose=1, steps=3)
    events.on_train_begin()
    events.on_epoch_begin(0)
    for step in range(3):
        events.on_steps_end(step + 1, pytest.fail)


@pytest.mark.parametrize(
    ("kind", "line"),
    [("test", "3/3 - 0s - ?/step - loss: 1.5000\n"), ("predict", "3/3 - 0s - ?/step\n")],
)
def test_evaluate_and_predict(capsys, kind, line):
    events = CallbackList(add_progbar=True, verbose=1, steps=3, epochs=1)
    getattr(events, f"on_{kind}_begin")()
    events.on_steps_end(3, dict)
    getattr(events, f"on_{kind}_end")({"loss": 1.5})
    assert rateless(capsys.readouterr().out) == line


def test_long_lines_are_cut_while_live(terminal, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    with terminal as screen:
        fit(1)
    *live, last = drawings(screen)
    assert max(map(len, live)) < 40
    assert live[0].endswith("…")
    assert last.endswith("val_loss: 0.2500\n")


def test_a_shorter_line_covers_a_longer_one(terminal):
    with terminal as screen:
        bar = Progbar(10, interval=0, stateful_metrics=["a"])
        bar.update(1, [("a", 123456.0)])
        bar.update(2, [("a", 1.0)])
    first, second = screen.getvalue().split("\r")[1:]
    assert len(second) >= len(first)


def test_messages_take_the_place_of_the_live_line(terminal):
    with terminal as screen:
        bar = Progbar(10, interval=0)
        bar.update(1)
        length = len(drawings(screen)[0])
        from_callback = keras.callbacks._printing.print_line
        from_callback("hello")
    assert screen.getvalue().endswith("\r" + " " * length + "\rhello\n")


def test_colour(terminal, monkeypatch):
    monkeypatch.delenv("NO_COLOR")
    with terminal as screen:
        Progbar(2, interval=0).update(1)
    assert "\x1b[32m━━━━━━━━━━──────────\x1b[0m" in screen.getvalue()


def test_logging_instead_of_printing(capsys, caplog):
    keras.config.disable_interactive_logging()
    try:
        with caplog.at_level("INFO", logger="hornbeam"):
            fit(1)
    finally:
        keras.config.enable_interactive_logging()
    assert capsys.readouterr().out == ""
    assert [rateless(r.message) for r in caplog.records] == [
        "4/4 - 0s - ?/step - loss: 2.5000 - val_loss: 0.2500"
    ]


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ({}, "a: 3.0000"),
        ({"stateful_metrics": ["a"]}, "a: 5.0000"),
        ({"stateless_metrics": ["a"]}, "a: 3.0000"),
        ({"stateless_metrics": []}, "a: 5.0000"),
        ({"unit_name": "sample"}, "/sample - a: 3.0000"),
    ],
)
def test_values_are_averaged_by_steps(capsys, options, shown):
    bar = keras.utils.Progbar(4, verbose=2, **options)
    bar.update(1, [("a", 0.0)])
    bar.add(1, [("a", 2.0)])
    bar.update(4, [("a", 5.0)])
    assert capsys.readouterr().out.endswith(shown + "\n")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.5, "0.5000"), (1e-5, "1.0000e-05"), (0, "0.0000"), ([1, 2], "1.5000"), ("x", "x")],
)
def test_numbers(capsys, value, shown):
    keras.utils.Progbar(1, verbose=2, stateful_metrics=["a"]).update(1, [("a", value)])
    assert capsys.readouterr().out.endswith(f"a: {shown}\n")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0s"), (59.9, "59s"), (61, "1:01"), (3600, "1:00:00")]
)
def test_durations(seconds, text):
    assert _duration(seconds) == text


def test_verbose_is_checked():
    with pytest.raises(ValueError, match="verbose should be one of 0, 1, 2; received 3"):
        keras.utils.Progbar(1, verbose=3)
    with pytest.raises(
        ValueError, match=r"one of 0, 1, 2, 'auto', 'json'; received 'jsn'. Did you mean"
    ):
        CallbackList(add_progbar=True, verbose="jsn")


# Time, with a clock that only the test moves -----------------------------------------------------


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    clock.pass_ = lambda seconds: setattr(clock, "now", clock.now + seconds)
    monkeypatch.setattr(_progbar, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    return clock


def train(clock, steps=4, each=1.0, validation=0.0, verbose=1, **params):
    """One epoch: compiling 10 s, then for every step a quarter of the time waiting for data."""
    events = CallbackList(add_progbar=True, verbose=verbose, epochs=1, steps=steps, **params)
    events.on_train_begin()
    events.on_epoch_begin(0)
    for step in range(steps):
        clock.pass_(each / 4)
        events.on_data_wait(each / 4)
        if step == 0:
            events.on_compile_begin("train")
            clock.pass_(10)
            events.on_compile_end("train", 10.0)
        clock.pass_(each / 2)
        events.on_steps_end(step + 1, lambda: clock.pass_(each / 4) or {"loss": 2.0})
    if validation:
        events.on_test_begin()
        clock.pass_(validation)
        events.on_data_wait(validation)
        events.on_compile_end("test", 0.5)
        events.on_test_end({"loss": 1.0})
    events.on_epoch_end(0, {"loss": 2.0})
    events.on_train_end({})


@pytest.mark.parametrize("validation", [0.0, 20.0])
def test_speed_is_that_of_the_steps(clock, terminal, validation):
    """Without compiling and validation; the time in which the device computes counts."""
    with terminal as screen:
        train(clock, validation=validation)
    compiling, drawn, *_, last = [
        t.strip() for t in re.split("[\r\n]", screen.getvalue()) if t.strip()
    ]
    assert compiling == "Compiling the training step…"
    assert drawn == "Compiled the training step in 10.0s."
    seconds = 14 + int(validation)
    assert last.startswith("4/4")
    assert f" {seconds}s 1s/step, 25% waiting for data - loss: 2.0000" in last


def test_time_left(clock, terminal):
    with terminal as screen:
        train(clock, steps=3, each=100.0)
    left = [re.search(r"─ (\S+) 100s/step", text) for text in drawings(screen)]
    assert [m[1] for m in left if m] == ["3:20", "1:40"]


def test_long_epochs_in_a_log_file(clock, capsys):
    """A line every minute; with verbose=2, none."""
    train(clock, steps=3, each=40.0)  # 10 less where nobody waits for the logs
    assert capsys.readouterr().out.splitlines() == [
        "Compiled the training step in 10.0s.",
        "2/3 - 35s left - 35s/step, 29% waiting for data - loss: 2.0000",
        "3/3 - 1:50 - 33s/step, 30% waiting for data - loss: 2.0000",
    ]
    train(clock, steps=3, each=40.0, verbose=2)
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_speed_of_an_epoch_that_goes_on(clock, capsys):
    """Steps before an interruption took no time here."""
    events = CallbackList(add_progbar=True, verbose=2, epochs=1, steps=100)
    events.on_train_begin()
    events.on_epoch_begin(0)
    events.callbacks[0].set_state({"_steps": 98, "_last_steps": None})
    for step in (99, 100):
        clock.pass_(3)
        events.on_steps_end(step, pytest.fail)
    events.on_epoch_end(0, {})
    assert capsys.readouterr().out == "100/100 - 6s - 3s/step\n"


def test_short_compiles_need_no_line(clock, capsys):
    events = CallbackList(add_progbar=True, verbose=1, steps=1)
    events.on_predict_begin()
    events.on_compile_begin("predict")
    events.on_compile_end("predict", 0.9)
    assert capsys.readouterr().out == ""


def test_json_lines(clock, capsys):
    train(clock, steps=2, each=3.0, verbose="json")
    compiled, progress, second, end = map(json.loads, capsys.readouterr().out.splitlines())
    assert compiled == {"event": "compiled", "kind": "train", "seconds": 10.0}
    assert progress == {
        "event": "progress",
        "kind": "train",
        "epoch": 1,
        "epochs": 1,
        "step": 1,
        "steps": 2,
        "seconds": 13.0,
        "seconds_per_step": 3.0,
        "seconds_left": 3.0,
        "waiting_for_data": 0.25,
        "logs": {"loss": 2.0},
    }
    assert (second["step"], second["seconds_left"]) == (2, 0.0)
    assert end == {**second, "event": "end"}


def test_json_has_no_nan(capsys):
    events = CallbackList(add_progbar=True, verbose="json")
    events.on_test_begin()
    events.on_test_end({"loss": float("nan"), "table": np.array([1.0, np.inf]), "n": 3})
    line = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert line["logs"] == {"loss": None, "table": [1.0, None], "n": 3}


def test_notebook(monkeypatch):
    """Redrawn, although it is no terminal, and however long the line is."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "10")
    stream = type("OutStream", (io.StringIO,), {"__module__": "ipykernel.iostream"})()
    with contextlib.redirect_stdout(stream):
        fit(1)
    assert rateless(drawings(stream)[0]) == "1/4 ━━━━━─────────────── 0s ?/step - loss: 1.0000"


def test_costs_nothing_between_two_drawings(terminal):
    with terminal:
        bar = ProgbarLogger()
        bar.set_params({"steps": 100_000, "verbose": 1})
        bar.on_predict_begin()
        bar.interval = 1000
        bar.on_steps_end(1, dict)
        start = time.perf_counter()
        for step in range(10_000):
            bar.on_steps_end(step, pytest.fail)
        assert (time.perf_counter() - start) / 10_000 < 5e-6


# In a real loop --------------------------------------------------------------------------------


class Slow(keras.utils.PyDataset):
    def __len__(self):
        return 5

    def __getitem__(self, index):
        time.sleep(0.02)
        return np.ones((4, 2), "float32"), np.ones((4, 1), "float32")


def json_lines(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_fit_waits_for_data_and_fuses_steps(capsys):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", steps_per_execution=3)
    model.fit(Slow(), epochs=2, validation_data=Slow(), verbose="json")
    lines = json_lines(capsys)
    assert [(x["event"], x["kind"]) for x in lines if x["event"] != "progress"] == [
        ("compiled", "train"),
        ("compiled", "test"),
        ("end", "train"),
        ("end", "train"),
    ]
    for epoch, line in enumerate([x for x in lines if x["event"] == "end"]):
        assert (line["epoch"], line["epochs"], line["step"], line["steps"]) == (epoch + 1, 2, 5, 5)
        assert 0.2 < line["waiting_for_data"] <= 1
        assert set(line["logs"]) == {"loss", "val_loss"}


def test_predict_as_json(capsys):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.predict(np.ones((8, 2)), batch_size=2, verbose="json")
    assert json_lines(capsys)[-1]["step"] == 4
