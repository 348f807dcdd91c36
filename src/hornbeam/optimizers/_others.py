"""Lion: steps of one length."""

import jax.numpy as jnp

from ..core.messages import expected
from ._adam import mix
from ._base import LearningRate, Optimizer, shared_options


class Lion(Optimizer):
    """Steps by the sign of the momentum: every coordinate moves by the learning rate.

    `w = w - learning_rate * sign(beta_1 * m + (1 - beta_1) * g);
    m = beta_2 * m + (1 - beta_2) * g`

    Args:
        learning_rate: number, schedule or function; usually 3 to 10 times smaller than Adam's.
        beta_1: share of the momentum in the step.
        beta_2: how slowly the momentum changes.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum: see `Optimizer`.
        ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name: likewise.

    Reference: [Chen et al., 2023](https://arxiv.org/abs/2302.06675).

    Example:

    >>> w = keras.Variable(1.0)
    >>> keras.optimizers.Lion(learning_rate=0.1).apply([20.0], [w])
    >>> round(float(w), 4)
    0.9
    """

    @shared_options
    def __init__(self, learning_rate: LearningRate = 0.001, beta_1=0.9, beta_2=0.99, **options):
        super().__init__(learning_rate, **options)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        if not 0 < beta_1 <= 1:
            raise ValueError(expected("Lion: beta_1", "above 0 and at most 1", beta_1))

    def build(self, var_list):
        """Make the momenta."""
        if self.built:
            return
        super().build(var_list)
        self._momentums = self.add_optimizer_variables(var_list, "momentum")

    def update_step(self, gradient, variable, learning_rate):
        """One step of the formula."""
        m = self._momentums[self._get_variable_index(variable)]
        direction = jnp.sign(mix(m.value, gradient, self.beta_1))
        self.assign_sub(variable, learning_rate * direction)
        self.assign(m, mix(m.value, gradient, self.beta_2))
