"""Optimizers whose step sizes adapt to the sizes of past gradients.

`g` is the gradient, `w` the weights.
"""

import jax.numpy as jnp

from ..core.messages import expected
from ._adam import mix
from ._base import LearningRate, Optimizer, at_least_float32, shared_options, slot_dtype


class RMSprop(Optimizer):
    """Divides the gradient by the root of a moving mean of its squares.

    `v = rho * v + (1 - rho) * g²; w = w - learning_rate * g / sqrt(v + epsilon)`

    Args:
        learning_rate: number, schedule or function.
        rho: how slowly the mean changes.
        momentum: share of the last step that is repeated.
        epsilon: small number under the root.
        centered: whether to divide by the deviation, subtracting the squared mean of gradients.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum: see `Optimizer`.
        ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name: likewise.

    Reference: [Hinton, 2012](http://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf).

    Example:

    >>> w = keras.Variable(1.0)
    >>> keras.optimizers.RMSprop(learning_rate=0.1, rho=0.75).apply([20.0], [w])
    >>> round(float(w), 4)
    0.8
    """

    @shared_options
    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        rho=0.9,
        momentum=0.0,
        epsilon=1e-7,
        centered=False,
        **options,
    ):
        super().__init__(learning_rate, **options)
        self.rho = rho
        self.momentum = momentum
        self.epsilon = epsilon
        self.centered = centered

    def build(self, var_list):
        """Make the means."""
        if self.built:
            return
        super().build(var_list)
        self._velocities = self.add_optimizer_variables(var_list, "velocity")
        if self.momentum > 0:
            self._momentums = self.add_optimizer_variables(var_list, "momentum")
        if self.centered:
            self._average_gradients = self.add_optimizer_variables(var_list, "average_gradient")

    def update_step(self, gradient, variable, learning_rate):
        """One step of the formula."""
        i = self._get_variable_index(variable)
        square = mix(self._velocities[i].value, jnp.square(gradient), self.rho)
        self.assign(self._velocities[i], square)
        if self.centered:
            mean = mix(self._average_gradients[i].value, gradient, self.rho)
            self.assign(self._average_gradients[i], mean)
            square = square - jnp.square(mean)
        step = learning_rate * gradient / jnp.sqrt(square + self.epsilon)
        if self.momentum > 0:
            step = self.momentum * self._momentums[i].value + step
            self.assign(self._momentums[i], step)
        self.assign_sub(variable, step)


class Adagrad(Optimizer):
    """Divides the gradient by the root of the sum of all its squares.

    `a = a + g²; w = w - learning_rate * g / sqrt(a + epsilon)`

    Args:
        learning_rate: number, schedule or function.
        initial_accumulator_value: what the sums start with.
        epsilon: small number under the root.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum: see `Optimizer`.
        ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name: likewise.

    Reference: [Duchi et al., 2011](http://www.jmlr.org/papers/volume12/duchi11a/duchi11a.pdf).

    Example:

    >>> w = keras.Variable(1.0)
    >>> keras.optimizers.Adagrad(0.1, initial_accumulator_value=0.0).apply([20.0], [w])
    >>> round(float(w), 4)
    0.9
    """

    @shared_options
    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        initial_accumulator_value=0.1,
        epsilon=1e-7,
        **options,
    ):
        super().__init__(learning_rate, **options)
        self.initial_accumulator_value = initial_accumulator_value
        self.epsilon = epsilon

    def build(self, var_list):
        """Make the sums."""
        if self.built:
            return
        super().build(var_list)
        self._accumulators = self.add_optimizer_variables(
            var_list, "accumulator", filled_with(self.initial_accumulator_value)
        )

    def update_step(self, gradient, variable, learning_rate):
        """One step of the formula."""
        accumulator = self._accumulators[self._get_variable_index(variable)]
        total = accumulator.value + jnp.square(gradient)
        self.assign(accumulator, total)
        self.assign_sub(variable, learning_rate * gradient / jnp.sqrt(total + self.epsilon))


class Adadelta(Optimizer):
    """Adagrad with moving means for sums, and steps in the weights' own units.

    `a = rho * a + (1 - rho) * g²; d = g * sqrt(b + epsilon) / sqrt(a + epsilon);
    b = rho * b + (1 - rho) * d²; w = w - learning_rate * d`

    Args:
        learning_rate: number, schedule or function; the paper has 1.0.
        rho: how slowly the means change.
        epsilon: small number under the roots.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum: see `Optimizer`.
        ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name: likewise.

    Reference: [Zeiler, 2012](https://arxiv.org/abs/1212.5701).

    Example:

    >>> w = keras.Variable(1.0)
    >>> keras.optimizers.Adadelta(learning_rate=1.0, epsilon=0.01).apply([2.0], [w])
    >>> round(float(w), 2)
    0.56
    """

    @shared_options
    def __init__(self, learning_rate: LearningRate = 0.001, rho=0.95, epsilon=1e-7, **options):
        super().__init__(learning_rate, **options)
        self.rho = rho
        self.epsilon = epsilon

    def build(self, var_list):
        """Make the means."""
        if self.built:
            return
        super().build(var_list)
        self._accumulated_grads, self._accumulated_delta_vars = self.add_optimizer_variables(
            var_list, ["accumulated_grad", "accumulated_delta_var"]
        )

    def update_step(self, grad, variable, learning_rate):
        """One step of the formula."""
        i = self._get_variable_index(variable)
        deltas = self._accumulated_delta_vars[i]
        square = mix(self._accumulated_grads[i].value, jnp.square(grad), self.rho)
        delta = grad * jnp.sqrt(deltas.value + self.epsilon) / jnp.sqrt(square + self.epsilon)
        self.assign(self._accumulated_grads[i], square)
        self.assign(deltas, mix(deltas.value, jnp.square(delta), self.rho))
        self.assign_sub(variable, learning_rate * delta)


class Adafactor(Optimizer):
    """Adam without momentum, whose squares take the memory of a row and a column.

    The mean of squared gradients of a matrix is kept as the means of its rows and of its columns.
    Steps are proportional to the root mean square of the weights.

    Args:
        learning_rate: number, schedule or function; the largest rate with `relative_step`.
        beta_2_decay: power of the step that says how slowly the means change.
        epsilon_1: small number added to the squares.
        epsilon_2: the least scale of the weights.
        clip_threshold: largest root mean square of an update.
        relative_step: whether the rate falls as `1 / sqrt(step)`.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum: see `Optimizer`.
        ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name: likewise.

    Reference: [Shazeer & Stern, 2018](https://arxiv.org/abs/1804.04235).

    Example:

    >>> w = keras.Variable([[1.0, 1.0]])
    >>> keras.optimizers.Adafactor(learning_rate=0.1).apply([jnp.array([[2.0, -3.0]])], [w])
    >>> w.numpy().round(2)
    array([[0.9, 1.1]], dtype=float32)
    """

    @shared_options
    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_2_decay=-0.8,
        epsilon_1=1e-30,
        epsilon_2=1e-3,
        clip_threshold=1.0,
        relative_step=True,
        **options,
    ):
        super().__init__(learning_rate, **options)
        self.beta_2_decay = beta_2_decay
        self.epsilon_1 = epsilon_1
        self.epsilon_2 = epsilon_2
        self.clip_threshold = clip_threshold
        self.relative_step = relative_step

    def build(self, var_list):
        """Make the means."""
        if self.built:
            return
        super().build(var_list)
        self._rows, self._columns, self._velocities = [], [], []
        for variable in var_list:
            for means, axis in ((self._rows, -1), (self._columns, -2)):
                means.append(self._means(variable, axis))
            self._velocities.append(
                None
                if variable.overwrite_with_gradient
                else self.add_variable_from_reference(variable, "velocity")
            )

    def _means(self, variable, axis):
        """Means over one of the last two axes. Vectors have none, but files a place for them."""
        if variable.overwrite_with_gradient:
            return None
        if variable.ndim < 2:
            return self.add_variable((), dtype="int32", name=variable.name)
        shape = [size for i, size in enumerate(variable.shape) if i != variable.ndim + axis]
        return self.add_variable(tuple(shape), dtype=slot_dtype(variable), name=variable.name)

    def update_step(self, gradient, variable, learning_rate):
        """One step of the formula."""
        i = self._get_variable_index(variable)
        t = (jnp.asarray(self.iterations) + 1).astype(jnp.float32)
        if self.relative_step:
            learning_rate = jnp.minimum(learning_rate, 1 / jnp.sqrt(t))
        alpha = jnp.maximum(self.epsilon_2, _rms(at_least_float32(variable.value))) * learning_rate
        beta = 1 - t**self.beta_2_decay
        square = jnp.square(gradient) + self.epsilon_1
        if gradient.ndim >= 2:
            rows = mix(self._rows[i].value, jnp.mean(square, axis=-1), beta)
            columns = mix(self._columns[i].value, jnp.mean(square, axis=-2), beta)
            self.assign(self._rows[i], rows)
            self.assign(self._columns[i], columns)
            share = rows / jnp.mean(rows, axis=-1, keepdims=True)
            velocity = share[..., :, None] * columns[..., None, :]
        else:
            velocity = mix(self._velocities[i].value, square, beta)
        self.assign(self._velocities[i], velocity)
        update = gradient / jnp.sqrt(velocity)
        update = update / jnp.maximum(1, _rms(update) / self.clip_threshold)
        self.assign_sub(variable, alpha * update)


def _rms(x):
    return jnp.sqrt(jnp.mean(jnp.square(x)))


class Ftrl(Optimizer):
    """Follow the regularized leader: the weights that would have been best so far, made sparse.

    With `a` the sum of squared gradients and `p = learning_rate_power`,
    `z = z + g - (a_new^-p - a^-p) / learning_rate * w;
    w = (clip(z, -l1, l1) - z) / (a_new^-p / learning_rate + 2 * l2)`

    Args:
        learning_rate: number, schedule or function.
        learning_rate_power: at most 0; 0 for a constant rate.
        initial_accumulator_value: what the sums start with.
        l1_regularization_strength, l2_regularization_strength: at least 0.
        l2_shrinkage_regularization_strength: at least 0; an L2 penalty on the gradient alone.
        beta: added to the root of the sums, as `l2 + beta / (2 * learning_rate)`.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum: see `Optimizer`.
        ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name: likewise.

    Reference: [McMahan et al., 2013](https://research.google.com/pubs/archive/41159.pdf).

    Example:

    >>> w = keras.Variable(0.0)
    >>> optimizer = keras.optimizers.Ftrl(0.1, l1_regularization_strength=1.0)
    >>> optimizer.apply([0.5], [w])
    >>> float(w)
    0.0
    """

    @shared_options
    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        learning_rate_power=-0.5,
        initial_accumulator_value=0.1,
        l1_regularization_strength=0.0,
        l2_regularization_strength=0.0,
        l2_shrinkage_regularization_strength=0.0,
        beta=0.0,
        **options,
    ):
        super().__init__(learning_rate, **options)
        self.learning_rate_power = learning_rate_power
        self.initial_accumulator_value = initial_accumulator_value
        self.l1_regularization_strength = l1_regularization_strength
        self.l2_regularization_strength = l2_regularization_strength
        self.l2_shrinkage_regularization_strength = l2_shrinkage_regularization_strength
        self.beta = beta
        if learning_rate_power > 0:
            raise ValueError(
                expected("Ftrl: learning_rate_power", "at most 0", learning_rate_power)
            )
        for name in (
            "initial_accumulator_value",
            "l1_regularization_strength",
            "l2_regularization_strength",
            "l2_shrinkage_regularization_strength",
        ):
            if getattr(self, name) < 0:
                raise ValueError(expected(f"Ftrl: {name}", "at least 0", getattr(self, name)))

    def build(self, var_list):
        """Make the sums."""
        if self.built:
            return
        super().build(var_list)
        self._accumulators, self._linears = self.add_optimizer_variables(
            var_list,
            ["accumulator", "linear"],
            [filled_with(self.initial_accumulator_value), "zeros"],
        )

    def update_step(self, gradient, variable, learning_rate):
        """One step of the formula."""
        i = self._get_variable_index(variable)
        w, z, before = variable.value, self._linears[i].value, self._accumulators[i].value
        power, l1 = -self.learning_rate_power, self.l1_regularization_strength
        l2 = self.l2_regularization_strength + self.beta / (2 * learning_rate)
        total = before + jnp.square(gradient)
        shrunk = gradient + 2 * self.l2_shrinkage_regularization_strength * w
        z = z + shrunk - (total**power - before**power) / learning_rate * w
        self.assign(self._accumulators[i], total)
        self.assign(self._linears[i], z)
        self.assign(variable, (jnp.clip(z, -l1, l1) - z) / (total**power / learning_rate + 2 * l2))


def filled_with(value):
    """An initializer that gives every element the same value."""
    return lambda shape, dtype: jnp.full(shape, value, dtype)
