"""Schedule-free AdamW: an average in the place of a schedule."""

import jax.numpy as jnp

from ..core.messages import expected
from ._adam import mix
from ._base import LearningRate, Optimizer, array_now, shared_options


class ScheduleFreeAdamW(Optimizer):
    """AdamW without a schedule: gradients are taken between the iterate and its average.

    The weights are `y`, also for `evaluate` and in files. With `v` Adam's mean of squares, and
    `r` the learning rate, which grows in a straight line over the first `warmup_steps`,

    `z = z - r * (g / (sqrt(v / (1 - beta_2^t)) + epsilon) + weight_decay * y);
    x = x + (z - x) / t; y = (1 - beta_1) * z + beta_1 * x`

    Args:
        learning_rate: number, schedule or function.
        beta_1: share of the average `x` in the weights, above 0 and at most 1.
        beta_2: how slowly the mean of squares changes.
        epsilon: small number beside the root.
        warmup_steps: length of the warm-up.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum: see `Optimizer`.
        ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name: likewise.

    Reference: [Defazio et al., 2024](https://arxiv.org/abs/2405.15682).

    Example:

    >>> w = keras.Variable(1.0)
    >>> optimizer = keras.optimizers.ScheduleFreeAdamW(learning_rate=0.1)
    >>> optimizer.apply([20.0], [w])
    >>> round(float(w), 4)
    0.9
    """

    @shared_options
    def __init__(
        self,
        learning_rate: LearningRate = 0.0025,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        warmup_steps=0,
        **options,
    ):
        super().__init__(learning_rate, **options)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.warmup_steps = warmup_steps
        if not 0 < beta_1 <= 1:
            raise ValueError(expected("ScheduleFreeAdamW: beta_1", "above 0, at most 1", beta_1))

    def build(self, var_list):
        """Make the iterates `z`, which start as the weights, and the means of squares."""
        if self.built:
            return
        super().build(var_list)
        self._momentums, self._velocities = [], []
        for variable in var_list:
            z, v = self.add_optimizer_variables(
                [variable], ["momentum", "velocity"], [array_now(variable), "zeros"]
            )
            self._momentums += z
            self._velocities += v

    def update_step(self, gradient, variable, learning_rate):
        """One step of the formula."""
        i = self._get_variable_index(variable)
        t = (jnp.asarray(self.iterations) + 1).astype(jnp.float32)
        if self.warmup_steps:
            learning_rate = learning_rate * jnp.minimum(1, t / self.warmup_steps)
        y, z = variable.value, self._momentums[i].value
        x = z + (y - z) / self.beta_1
        v = mix(self._velocities[i].value, jnp.square(gradient), self.beta_2)
        step = gradient / (jnp.sqrt(v / (1 - self.beta_2**t)) + self.epsilon)
        if self.weight_decay is not None and self._decays(variable):
            step = step + self.weight_decay * y
        z = z - learning_rate * step
        x = x + (z - x) / t
        self.assign(self._velocities[i], v)
        self.assign(self._momentums[i], z)
        self.assign(variable, z + self.beta_1 * (x - z))

    def _decay_rate(self, variable):
        return None  # decay is part of the formula
