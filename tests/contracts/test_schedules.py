"""Every learning-rate schedule: configs, traced = eager, values at hand-picked steps, errors."""

import inspect

import jax
import numpy as np
import pytest

from hornbeam import optimizers
from hornbeam.optimizers import schedules

# (class, arguments, {step: rate})
CASES = [
    ("ExponentialDecay", (0.8, 2, 0.25), {0: 0.8, 1: 0.4, 2: 0.2, 4: 0.05}),
    ("ExponentialDecay", (0.8, 2, 0.25, True), {1: 0.8, 2: 0.2, 3: 0.2}),
    ("InverseTimeDecay", (1.0, 2, 0.5), {0: 1.0, 2: 2 / 3, 4: 0.5}),
    ("InverseTimeDecay", (1.0, 2, 0.5, True), {1: 1.0, 3: 2 / 3}),
    ("PolynomialDecay", (1.0, 4, 0.2), {0: 1.0, 2: 0.6, 4: 0.2, 9: 0.2}),
    ("PolynomialDecay", (1.0, 4, 0.0, 2.0), {2: 0.25, 3: 1 / 16}),
    ("PolynomialDecay", (1.0, 4, 0.0, 1.0, True), {0: 1.0, 4: 0.0, 6: 0.25, 8: 0.0}),
    ("PiecewiseConstantDecay", ([2, 4], [1.0, 0.5, 0.1]), {0: 1.0, 2: 1.0, 3: 0.5, 4: 0.5, 5: 0.1}),
    ("CosineDecay", (1.0, 4), {0: 1.0, 2: 0.5, 4: 0.0, 7: 0.0}),
    ("CosineDecay", (1.0, 4, 0.2), {2: 0.6, 5: 0.2}),
    ("CosineDecay", (0.5, 4, 0.0, "n", 1.0, 2), {0: 0.5, 1: 0.75, 2: 1.0, 4: 0.5, 6: 0.0}),
    ("CosineDecayRestarts", (1.0, 2), {0: 1.0, 1: 0.5, 2: 1.0, 4: 0.5, 6: 1.0}),
    ("CosineDecayRestarts", (1.0, 2, 1.0, 0.5), {1: 0.5, 2: 0.5, 3: 0.25, 4: 0.25}),
]
NOT_SCHEDULES = {"LearningRateSchedule": "the base class"}
IDS = [f"{name}{arguments}" for name, arguments, _ in CASES]


def test_every_schedule_is_in_the_table():
    public = {n for n in schedules.__all__ if inspect.isclass(getattr(schedules, n))}
    assert public - NOT_SCHEDULES.keys() == {name for name, *_ in CASES}


@pytest.mark.parametrize(("name", "arguments", "rates"), CASES, ids=IDS)
def test_values_eager_and_traced(name, arguments, rates):
    schedule = getattr(schedules, name)(*arguments)
    traced = jax.jit(schedule)
    for step, rate in rates.items():
        np.testing.assert_allclose(schedule(step), rate, rtol=1e-5, atol=1e-6, err_msg=f"{step}")
        np.testing.assert_allclose(traced(step), rate, rtol=1e-5, atol=1e-6, err_msg=f"{step}")


@pytest.mark.parametrize(("name", "arguments", "rates"), CASES, ids=IDS)
def test_config_round_trip(name, arguments, rates):
    schedule = getattr(schedules, name)(*arguments)
    copied = schedules.deserialize(schedules.serialize(schedule))
    assert type(copied) is type(schedule)
    assert copied.get_config() == schedule.get_config()


def test_inside_an_optimizer():
    optimizer = optimizers.SGD(schedules.PolynomialDecay(1.0, 10, 0.0))
    copied = optimizers.deserialize(optimizers.serialize(optimizer))
    assert copied.get_config() == optimizer.get_config()
    assert [v.name for v in optimizer.variables] == ["iteration"]
    assert float(optimizer.learning_rate) == 1.0
    optimizer.iterations.assign(5)
    assert float(optimizer.learning_rate) == 0.5


class Own(schedules.LearningRateSchedule):
    def __init__(self, rate):
        self.own = rate

    def __call__(self, step):
        return self.own / (step + 1)


def test_own_schedule():
    schedule = schedules.deserialize(schedules.serialize(Own(2.0)), {"Own": Own})
    assert float(optimizers.SGD(schedule).learning_rate) == 2.0


def test_errors():
    with pytest.raises(ValueError, match="ExponentialDecay: decay_steps should be positive"):
        schedules.ExponentialDecay(0.1, 0, 0.5)
    with pytest.raises(ValueError, match="2 boundaries and 2 values"):
        schedules.PiecewiseConstantDecay([1, 2], [0.1, 0.2])
    with pytest.raises(NotImplementedError, match="__call__"):
        schedules.LearningRateSchedule()(0)
