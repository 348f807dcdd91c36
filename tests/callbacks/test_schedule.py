"""When training stops, and how the learning rate changes."""

from types import SimpleNamespace

import numpy as np
import pytest

from hornbeam.callbacks import CallbackList, EarlyStopping, LearningRateScheduler, ReduceLROnPlateau


class Fake:
    """As much of a model as these callbacks touch."""

    metrics = ()

    def __init__(self):
        self.optimizer = SimpleNamespace(learning_rate=0.5)
        self.stop_training = False
        self.weights = [0.0]

    def get_weights(self):
        return list(self.weights)

    def set_weights(self, weights):
        self.weights = list(weights)


def run(callback, values, name="val_loss", model=None):
    """Feed one value per epoch; returns the model and the last epoch's number."""
    model = model or Fake()
    events = CallbackList([callback], model=model, epochs=len(values))
    model.stop_training = False
    events.on_train_begin()
    for epoch, value in enumerate(values):
        events.on_epoch_begin(epoch)
        model.weights = [float(epoch)]
        events.on_epoch_end(epoch, {} if value is None else {name: value})
        if model.stop_training:
            break
    events.on_train_end()
    return model, epoch


def metric(name, direction=None, inner=()):
    return SimpleNamespace(name=name, _direction=direction, metrics=list(inner))


@pytest.mark.parametrize(
    ("name", "metrics", "stops"),
    [
        ("loss", [], 2),
        ("val_loss", [], 2),
        ("val_out_loss", [], 2),
        ("mae", [metric("mae", "down")], 2),
        ("val_acc", [], 1),
        ("val_out_mae", [], 2),
        ("val_accuracy", [metric("accuracy", "up")], 1),
        ("val_out_accuracy", [metric("all", inner=[metric("accuracy", "up")])], 1),
    ],
)
def test_auto_mode_follows_the_metric(name, metrics, stops):
    model = Fake()
    model.metrics = metrics
    assert run(EarlyStopping(name, patience=1), [3, 2, 2.5], name, model)[1] == stops


def test_auto_mode_of_an_unknown_number():
    with pytest.raises(ValueError, match=r"EarlyStopping can't tell .*'score'.*mode='max'"):
        run(EarlyStopping("score"), [1], "score")


def test_mode_is_checked():
    with pytest.raises(ValueError, match="EarlyStopping's mode should be one of 'auto', 'min'"):
        EarlyStopping(mode="lowest")


@pytest.mark.parametrize("callback", [EarlyStopping("val_los"), ReduceLROnPlateau("val_los")])
def test_missing_number_warns_once(callback):
    with pytest.warns(
        UserWarning, match="'val_los', which is not among the logs: val_loss"
    ) as seen:
        run(callback, [3, 2, 1])
    assert len(seen) == 1
    assert "Did you mean 'val_loss'?" in str(seen[0].message)


def test_number_has_to_be_one():
    with pytest.raises(ValueError, match="'val_loss', which should be one number; received"):
        run(EarlyStopping(), [np.ones(2)])


def test_nan_is_never_best():
    callback = EarlyStopping(patience=2)
    assert run(callback, [np.nan, 3, 2, 1])[1] == 3
    assert callback.best == 1


@pytest.mark.parametrize("callback", [EarlyStopping(patience=2), ReduceLROnPlateau(patience=2)])
def test_second_fit_starts_afresh(callback):
    run(callback, [1, 1])
    assert callback.wait == 1
    run(callback, [5, 4])
    assert (callback.wait, callback.best) == (0, 4)


@pytest.mark.parametrize("cls", [EarlyStopping, ReduceLROnPlateau])
def test_state(cls):
    one, other = cls(patience=5), cls(patience=5)
    run(one, [2, 3, 3])
    other.set_state(one.state())
    assert (other.wait, other.best) == (one.wait, one.best) == (2, 2)


def test_best_weights():
    callback = EarlyStopping(patience=2, restore_best_weights=True)
    model, last = run(callback, [3, 1, 2, 2, 0])
    assert (last, model.weights) == (3, [1.0])
    model, last = run(callback, [3, 2, 1])
    assert model.weights == [2.0], "of this training, not of the one before"


def test_messages(capsys):
    run(EarlyStopping(verbose=1, restore_best_weights=True), [1, 2])
    run(ReduceLROnPlateau(patience=1, factor=0.5, verbose=1), [1, 1])
    run(LearningRateScheduler(lambda epoch: 0.25, verbose=1), [1])
    assert capsys.readouterr().out.splitlines() == [
        "Epoch 2: early stopping.",
        "The model has its weights of epoch 1, the best.",
        "Epoch 2: ReduceLROnPlateau set the learning rate to 0.25.",
        "Epoch 1: LearningRateScheduler set the learning rate to 0.25.",
    ]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"factor": 1.0}, ValueError, "factor should be less than 1; received 1.0"),
        ({"epsilon": 0.1}, TypeError, "ReduceLROnPlateau takes no argument 'epsilon'"),
        ({"patient": 3}, TypeError, "Did you mean 'patience'"),
    ],
)
def test_reduce_arguments(options, error, message):
    with pytest.raises(error, match=message):
        ReduceLROnPlateau(**options)


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        (lambda epoch: 0.1 * (epoch + 1), [0.1, 0.2]),
        (lambda epoch, rate: rate / 2, [0.25, 0.125]),
        (lambda epoch: 1, [1.0, 1.0]),
        (lambda epoch: np.float32(0.25), [0.25, 0.25]),
    ],
)
def test_scheduler(schedule, rates):
    found = []
    model, callback = Fake(), LearningRateScheduler(schedule)
    events = CallbackList([callback], model=model)
    for epoch in range(2):
        logs = {"loss": 1.0}
        events.on_epoch_begin(epoch)
        events.on_epoch_end(epoch, logs)
        found.append(logs["learning_rate"])
    assert found == pytest.approx(rates)


@pytest.mark.parametrize("wrong", ["x", None, [1.0, 2.0]])
def test_scheduler_wants_numbers(wrong):
    with pytest.raises(ValueError, match="should return a number; for epoch 0 it returned"):
        run(LearningRateScheduler(lambda epoch: wrong), [1])


def test_scheduler_raises_errors_of_the_schedule():
    """A TypeError inside isn't taken for a schedule of one argument."""
    with pytest.raises(TypeError, match="inside"):
        run(LearningRateScheduler(_broken), [1])


def _broken(epoch, rate):
    raise TypeError("inside")
