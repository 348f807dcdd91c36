"""What the progress bar writes: live in a terminal, one line elsewhere."""

import contextlib
import io
import re

import pytest

import hornbeam as keras
from hornbeam.callbacks import CallbackList
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
