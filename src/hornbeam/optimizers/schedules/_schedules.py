"""Learning rates as functions of the step."""

import math

import jax
import jax.numpy as jnp

from ...core import objects
from ...core.messages import expected
from ...core.objects import Configurable


class LearningRateSchedule(Configurable):
    """A learning rate that depends on the step; subclasses write `__call__(step)`.

    Example:

    >>> class Halving(keras.optimizers.schedules.LearningRateSchedule):
    ...     def __init__(self, start):
    ...         self.start = start
    ...
    ...     def __call__(self, step):
    ...         return self.start * 0.5**step
    >>> float(Halving(0.1)(2))
    0.025
    """

    def __call__(self, step):
        """The learning rate in a step, which is a number or an integer array (perhaps traced)."""
        raise NotImplementedError(
            f"{type(self).__name__} doesn't say what the rate is: give it a method "
            "`__call__(self, step)`."
        )


class _Decay(LearningRateSchedule):
    """Checks and arithmetic that the schedules with `decay_steps` share."""

    def __init__(self, initial_learning_rate, decay_steps, name):
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.name = name
        if decay_steps <= 0:
            raise ValueError(
                expected(f"{type(self).__name__}: decay_steps", "positive", decay_steps)
            )


class ExponentialDecay(_Decay):
    """The rate `initial_learning_rate * decay_rate ** (step / decay_steps)`.

    Args:
        initial_learning_rate: the rate in step 0.
        decay_steps: number of steps after which the rate has been multiplied by `decay_rate`.
        decay_rate: that factor.
        staircase: whether to decay in jumps, every `decay_steps` steps.
        name: name.

    Example:

    >>> schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    >>> round(float(schedule(20)), 4)
    0.025
    """

    def __init__(
        self,
        initial_learning_rate,
        decay_steps,
        decay_rate,
        staircase=False,
        name="ExponentialDecay",
    ):
        super().__init__(initial_learning_rate, decay_steps, name)
        self.decay_rate = decay_rate
        self.staircase = staircase

    def __call__(self, step):
        exponent = _float(step) / self.decay_steps
        if self.staircase:
            exponent = jnp.floor(exponent)
        return self.initial_learning_rate * jnp.power(self.decay_rate, exponent)


class InverseTimeDecay(_Decay):
    """The rate `initial_learning_rate / (1 + decay_rate * step / decay_steps)`.

    Args:
        initial_learning_rate: the rate in step 0.
        decay_steps: number of steps that `decay_rate` refers to.
        decay_rate: how fast it decays.
        staircase: whether to decay in jumps, every `decay_steps` steps.
        name: name.

    Example:

    >>> schedule = keras.optimizers.schedules.InverseTimeDecay(0.1, 10, 1.0)
    >>> round(float(schedule(10)), 4)
    0.05
    """

    def __init__(
        self,
        initial_learning_rate,
        decay_steps,
        decay_rate,
        staircase=False,
        name="InverseTimeDecay",
    ):
        super().__init__(initial_learning_rate, decay_steps, name)
        self.decay_rate = decay_rate
        self.staircase = staircase

    def __call__(self, step):
        periods = _float(step) / self.decay_steps
        if self.staircase:
            periods = jnp.floor(periods)
        return self.initial_learning_rate / (1 + self.decay_rate * periods)


class PolynomialDecay(_Decay):
    """From `initial_learning_rate` to `end_learning_rate` in `decay_steps` steps.

    With `s = step / decay_steps`, the rate is `(initial - end) * (1 - s) ** power + end`.

    Args:
        initial_learning_rate: the rate in step 0.
        decay_steps: number of steps until the end.
        end_learning_rate: the rate from there on.
        power: 1 for a straight line.
        cycle: whether to start again from a higher rate each time the end is reached, with
            `decay_steps` multiplied by 2, 3, ….
        name: name.

    Example:

    >>> schedule = keras.optimizers.schedules.PolynomialDecay(0.1, 10, 0.0)
    >>> round(float(schedule(5)), 4)
    0.05
    """

    def __init__(
        self,
        initial_learning_rate,
        decay_steps,
        end_learning_rate=0.0001,
        power=1.0,
        cycle=False,
        name="PolynomialDecay",
    ):
        super().__init__(initial_learning_rate, decay_steps, name)
        self.end_learning_rate = end_learning_rate
        self.power = power
        self.cycle = cycle

    def __call__(self, step):
        done = _float(step) / self.decay_steps
        done = done / jnp.maximum(jnp.ceil(done), 1) if self.cycle else jnp.minimum(done, 1)
        height = self.initial_learning_rate - self.end_learning_rate
        return height * jnp.power(1 - done, self.power) + self.end_learning_rate


class PiecewiseConstantDecay(LearningRateSchedule):
    """A constant rate between boundaries.

    Args:
        boundaries: increasing step numbers; the rate changes after each.
        values: the rates, one more than boundaries.
        name: name.

    Example:

    >>> schedule = keras.optimizers.schedules.PiecewiseConstantDecay([10, 20], [0.1, 0.01, 0.001])
    >>> [round(float(schedule(step)), 4) for step in (10, 11, 21)]
    [0.1, 0.01, 0.001]
    """

    def __init__(self, boundaries, values, name="PiecewiseConstant"):
        if len(values) != len(boundaries) + 1:
            raise ValueError(
                f"PiecewiseConstantDecay: values should be one more than boundaries; received "
                f"{len(boundaries)} boundaries and {len(values)} values."
            )
        self.boundaries = boundaries
        self.values = values
        self.name = name

    def __call__(self, step):
        step = jnp.asarray(step)
        rate = jnp.asarray(self.values[0], "float32")
        for boundary, value in zip(self.boundaries, self.values[1:]):
            rate = jnp.where(step > boundary, value, rate)
        return rate


class CosineDecay(_Decay):
    """Half a cosine wave down to `alpha` times the starting rate, after an optional warm-up.

    Args:
        initial_learning_rate: the rate in step 0.
        decay_steps: length of the decay, the warm-up not included.
        alpha: the lowest rate, as a share of the highest one.
        name: name.
        warmup_target: the rate that the warm-up leads to, in a straight line; `None` for none.
        warmup_steps: length of the warm-up.

    Reference: [Loshchilov & Hutter, 2016](https://arxiv.org/abs/1608.03983).

    Example:

    >>> schedule = keras.optimizers.schedules.CosineDecay(
    ...     0.0, decay_steps=100, warmup_target=0.1, warmup_steps=10
    ... )
    >>> [round(float(schedule(step)), 4) for step in (0, 5, 10, 60, 110)]
    [0.0, 0.05, 0.1, 0.05, 0.0]
    """

    def __init__(
        self,
        initial_learning_rate,
        decay_steps,
        alpha=0.0,
        name="CosineDecay",
        warmup_target=None,
        warmup_steps=0,
    ):
        super().__init__(initial_learning_rate, decay_steps, name)
        self.alpha = alpha
        self.warmup_target = warmup_target
        self.warmup_steps = warmup_steps

    def __call__(self, step):
        step, start = _float(step), self.initial_learning_rate
        if self.warmup_target is None:
            return start * _cosine(step / self.decay_steps, self.alpha)
        top, warmup = self.warmup_target, self.warmup_steps
        decayed = top * _cosine((step - warmup) / self.decay_steps, self.alpha)
        if not warmup:
            return decayed
        return jnp.where(step < warmup, start + (top - start) * step / warmup, decayed)


class CosineDecayRestarts(LearningRateSchedule):
    """Cosine decay that starts again, each time for longer.

    Args:
        initial_learning_rate: the rate in step 0.
        first_decay_steps: length of the first period.
        t_mul: how many times as long as the one before each period is.
        m_mul: how many times as high as the one before each period starts.
        alpha: the lowest rate, as a share of the highest one.
        name: name.

    Reference: [Loshchilov & Hutter, 2016](https://arxiv.org/abs/1608.03983).

    Example:

    >>> schedule = keras.optimizers.schedules.CosineDecayRestarts(0.1, 10, t_mul=2.0, m_mul=0.5)
    >>> [round(float(schedule(step)), 4) for step in (0, 5, 10, 20, 30)]
    [0.1, 0.05, 0.05, 0.025, 0.025]
    """

    def __init__(
        self,
        initial_learning_rate,
        first_decay_steps,
        t_mul=2.0,
        m_mul=1.0,
        alpha=0.0,
        name="SGDRDecay",
    ):
        if first_decay_steps <= 0:
            raise ValueError(
                expected("CosineDecayRestarts: first_decay_steps", "positive", first_decay_steps)
            )
        self.initial_learning_rate = initial_learning_rate
        self.first_decay_steps = first_decay_steps
        self.t_mul = t_mul
        self.m_mul = m_mul
        self.alpha = alpha
        self.name = name

    def __call__(self, step):
        # In units of the first period: the n-th one starts at 1 + t + … + t^(n-1).
        done, t = _float(step) / self.first_decay_steps, self.t_mul
        if t == 1:
            period = jnp.floor(done)
            done = done - period
        else:
            period = jnp.floor(jnp.log(1 - done * (1 - t)) / math.log(t))
            done = (done - (1 - jnp.power(t, period)) / (1 - t)) / jnp.power(t, period)
        height = jnp.power(self.m_mul, period)
        return self.initial_learning_rate * _cosine(done, self.alpha, height)


def _cosine(done, alpha, height: float | jax.Array = 1.0):
    """From `height` (when `done` is 0) to `alpha` (from 1 on)."""
    wave = 0.5 * height * (1 + jnp.cos(math.pi * jnp.clip(done, 0, 1)))
    return (1 - alpha) * wave + alpha


def _float(step):
    return jnp.asarray(step, "float32")


def serialize(learning_rate_schedule):
    """The schedule as plain data."""
    return objects.serialize(learning_rate_schedule)


def deserialize(config, custom_objects=None):
    """The schedule that `serialize` described."""
    return objects.deserialize(config, custom_objects)
