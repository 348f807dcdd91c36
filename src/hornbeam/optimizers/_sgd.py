"""Stochastic gradient descent."""

from ..core.messages import expected
from ._base import LearningRate, Optimizer, shared_options


class SGD(Optimizer):
    """Gradient descent, with optional momentum.

    `m = momentum * m - learning_rate * g; w = w + m`, or with `nesterov`,
    `w = w + momentum * m - learning_rate * g` with the new `m`.

    Args:
        learning_rate: number, schedule or function.
        momentum: share of the last step that is repeated, from 0 to 1.
        nesterov: whether to look ahead along the momentum.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum: see `Optimizer`.
        ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name: likewise.

    Example:

    >>> w = keras.Variable(1.0)
    >>> keras.optimizers.SGD(learning_rate=0.1).apply([2.0], [w])
    >>> round(float(w), 4)
    0.8
    """

    @shared_options
    def __init__(self, learning_rate: LearningRate = 0.01, momentum=0.0, nesterov=False, **options):
        super().__init__(learning_rate, **options)
        if not 0 <= momentum <= 1:
            raise ValueError(expected("SGD: momentum", "a number between 0 and 1", momentum))
        self.momentum = momentum
        self.nesterov = nesterov

    def build(self, variables):
        """Make the momenta."""
        if self.built:
            return
        super().build(variables)
        if self.momentum:
            self._momentums = self.add_optimizer_variables(variables, "momentum")

    def update_step(self, gradient, variable, learning_rate):
        """One step of the formula."""
        step = -learning_rate * gradient
        if self.momentum:
            m = self._momentums[self._get_variable_index(variable)]
            velocity = self.momentum * m.value + step
            self.assign(m, velocity)
            step = self.momentum * velocity + step if self.nesterov else velocity
        self.assign_add(variable, step)
