"""Optimizers around other optimizers."""

import jax.numpy as jnp

from ..core.messages import expected
from ._base import Optimizer, run_if


class LossScaleOptimizer(Optimizer):
    """Multiplies the loss by a factor that fits float16, found while training.

    The factor doubles after `dynamic_growth_steps` steps with finite gradients; it halves, and the
    step is left out, when a gradient isn't finite. Used for the policy `"mixed_float16"`.

    Args:
        inner_optimizer: the optimizer that updates the weights.
        initial_scale: the factor at first.
        dynamic_growth_steps: number of good steps in a row after which the factor doubles.
        name: name.

    Example:

    >>> optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1), 1024.0)
    >>> w = keras.Variable(1.0)
    >>> optimizer.build([w])
    >>> float(optimizer.scale_loss(0.5))
    512.0
    >>> optimizer.apply([2048.0], [w])
    >>> round(float(w), 4)
    0.8
    >>> optimizer.apply([float("inf")], [w])
    >>> round(float(w), 4), float(optimizer.scale_loss(0.5))
    (0.8, 256.0)
    """

    def __init__(
        self,
        inner_optimizer,
        initial_scale=2.0**15,
        dynamic_growth_steps=2000,
        name=None,
        **kwargs,
    ):
        if kwargs:
            names = ", ".join(sorted(kwargs))
            raise ValueError(
                f"LossScaleOptimizer takes no argument {names}: give it to the inner optimizer."
            )
        if not isinstance(inner_optimizer, Optimizer):
            raise TypeError(
                expected("LossScaleOptimizer: inner_optimizer", "an Optimizer", inner_optimizer)
            )
        # The rate of its own is never used; it has a place in files.
        super().__init__(0.0, name=name)
        self.inner_optimizer = inner_optimizer
        self.initial_scale = initial_scale
        self.dynamic_growth_steps = dynamic_growth_steps

    def build(self, var_list):
        """Make the state of the inner optimizer, the factor, and the count of good steps."""
        if self.built:
            return
        super().build(var_list)
        self.step_counter = self.add_variable((), dtype="int32", name="step_counter")
        self.dynamic_scale = self._new_variable(
            self.initial_scale, dtype="float32", name="dynamic_scale"
        )
        self.inner_optimizer.build(var_list)

    @property
    def variables(self):
        """List of all state, the inner optimizer's at the end."""
        return [*self._variables, *self.inner_optimizer.variables]

    @property
    def iterations(self):
        """How many times the weights were updated."""
        return self.inner_optimizer.iterations

    @property
    def learning_rate(self):
        """The inner optimizer's learning rate."""
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value):
        self.inner_optimizer.learning_rate = value

    def _is_python_rate(self):
        return self.inner_optimizer._is_python_rate()

    def _apply(self, grads, variables):
        scale, steps = self.dynamic_scale, self.step_counter
        # What the gradient overwrites was never multiplied.
        grads = [
            g if v.overwrite_with_gradient else g / scale.value for g, v in zip(grads, variables)
        ]
        finite = self.check_finite(grads)
        inner = self.inner_optimizer
        run_if(finite, lambda: inner._apply(grads, variables), self._trainable_variables, inner)
        grow = finite & (steps.value + 1 >= self.dynamic_growth_steps)
        steps.assign(jnp.where(finite & ~grow, steps.value + 1, 0))
        factor = jnp.where(grow, 2.0, jnp.where(finite, 1.0, 0.5))
        scale.assign(scale.value * factor)

    def check_finite(self, grads):
        """Whether every element of every gradient is finite, as a boolean array."""
        return jnp.all(jnp.stack([jnp.all(jnp.isfinite(g)) for g in grads]))

    def scale_loss(self, loss):
        """The loss times the factor."""
        loss = self.inner_optimizer.scale_loss(loss)
        return loss * (self.dynamic_scale.value if self.built else self.initial_scale)

    def exclude_from_weight_decay(self, var_list=None, var_names=None):
        """Say which variables never decay."""
        self.inner_optimizer.exclude_from_weight_decay(var_list, var_names)

    def finalize_variable_values(self, var_list):
        """Set the variables to their moving averages, if the inner optimizer keeps them."""
        self.inner_optimizer.finalize_variable_values(var_list)
