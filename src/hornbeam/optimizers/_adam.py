"""Adam and its relatives: a mean of gradients over the root of a mean of squares.

Throughout, `g` is the gradient, `w` the weights, `t` the number of the step (1, 2, …), and
`mix(old, new, beta)` is `beta * old + (1 - beta) * new`.
"""

import jax.numpy as jnp

from ._base import LearningRate, Optimizer, at_least_float32, shared_options


def mix(old, new, beta):
    """`beta * old + (1 - beta) * new`, written so that little is lost when `beta` is near 1."""
    return old + (new - old) * (1 - beta)


class _Moments(Optimizer):
    """The two means of Adam's family, and the number of the step."""

    beta_1: float
    beta_2: float

    def build(self, var_list):
        """Make the means."""
        if self.built:
            return
        super().build(var_list)
        self._momentums, self._velocities = self.add_optimizer_variables(
            var_list, ["momentum", self._second_name]
        )

    _second_name = "velocity"

    def _step(self):
        """The number of this step, from 1, as a float array."""
        return (jnp.asarray(self.iterations) + 1).astype(jnp.float32)

    def _update_moments(self, gradient, variable):
        """Mix the gradient and its square into the means; returns them."""
        i = self._get_variable_index(variable)
        m = mix(self._momentums[i].value, gradient, self.beta_1)
        v = mix(self._velocities[i].value, jnp.square(gradient), self.beta_2)
        self.assign(self._momentums[i], m)
        self.assign(self._velocities[i], v)
        return m, v


class Adam(_Moments):
    """Adam: steps of about the learning rate in every coordinate.

    `m = mix(m, g, beta_1); v = mix(v, g², beta_2);
    w = w - learning_rate * sqrt(1 - beta_2^t) / (1 - beta_1^t) * m / (sqrt(v) + epsilon)`

    Args:
        learning_rate: number, schedule or function.
        beta_1: how slowly the mean of gradients changes.
        beta_2: how slowly the mean of squares changes.
        epsilon: small number beside the root ("epsilon hat" of the paper).
        amsgrad: whether to divide by the largest `v` so far.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum: see `Optimizer`.
        ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name: likewise.

    Reference: [Kingma & Ba, 2014](https://arxiv.org/abs/1412.6980);
    [Reddi et al., 2018](https://openreview.net/pdf?id=ryQu7f-RZ) for `amsgrad`.

    Example:

    >>> w = keras.Variable(1.0)
    >>> keras.optimizers.Adam(learning_rate=0.1).apply([20.0], [w])
    >>> round(float(w), 4)
    0.9
    """

    @shared_options
    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-7,
        amsgrad=False,
        **options,
    ):
        super().__init__(learning_rate, **options)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.amsgrad = amsgrad

    def build(self, var_list):
        """Make the means."""
        if self.built:
            return
        super().build(var_list)
        if self.amsgrad:
            self._velocity_hats = self.add_optimizer_variables(var_list, "velocity_hat")

    def update_step(self, gradient, variable, learning_rate):
        """One step of the formula."""
        t = self._step()
        alpha = learning_rate * jnp.sqrt(1 - self.beta_2**t) / (1 - self.beta_1**t)
        m, v = self._update_moments(gradient, variable)
        if self.amsgrad:
            largest = self._velocity_hats[self._get_variable_index(variable)]
            v = jnp.maximum(largest.value, v)
            self.assign(largest, v)
        self.assign_sub(variable, m * alpha / (jnp.sqrt(v) + self.epsilon))


class AdamW(Adam):
    """Adam with weight decay that is independent of the gradient's scale.

    Args:
        learning_rate: number, schedule or function.
        weight_decay: share of every weight that is subtracted per step, times the learning rate.
        beta_1, beta_2, epsilon, amsgrad: see `Adam`.
        clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum: see `Optimizer`.
        ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name: likewise.

    Reference: [Loshchilov & Hutter, 2017](https://arxiv.org/abs/1711.05101).

    Example:

    >>> w = keras.Variable(1.0)
    >>> keras.optimizers.AdamW(learning_rate=0.1, weight_decay=0.5).apply([20.0], [w])
    >>> round(float(w), 4)
    0.85
    """

    @shared_options
    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        weight_decay: float | None = 0.004,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-7,
        amsgrad=False,
        **options,
    ):
        super().__init__(
            learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=weight_decay, **options
        )
        if weight_decay is None:
            raise ValueError("AdamW: weight_decay should be a number; use Adam for none.")


class Adamax(_Moments):
    """Adam with the largest gradient so far (slowly forgotten) in the place of the root.

    `m = mix(m, g, beta_1); u = max(beta_2 * u, |g|);
    w = w - learning_rate / (1 - beta_1^t) * m / (u + epsilon)`

    Args:
        learning_rate: number, schedule or function.
        beta_1: how slowly the mean of gradients changes.
        beta_2: how slowly the largest gradient is forgotten.
        epsilon: small number that keeps the division finite.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum: see `Optimizer`.
        ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name: likewise.

    Reference: [Kingma & Ba, 2014](https://arxiv.org/abs/1412.6980), section 7.

    Example:

    >>> w = keras.Variable(1.0)
    >>> keras.optimizers.Adamax(learning_rate=0.1).apply([20.0], [w])
    >>> round(float(w), 4)
    0.9
    """

    _second_name = "norm"

    @shared_options
    def __init__(
        self, learning_rate: LearningRate = 0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7, **options
    ):
        super().__init__(learning_rate, **options)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def update_step(self, gradient, variable, learning_rate):
        """One step of the formula."""
        i = self._get_variable_index(variable)
        m = mix(self._momentums[i].value, gradient, self.beta_1)
        u = jnp.maximum(self.beta_2 * self._velocities[i].value, jnp.abs(gradient))
        self.assign(self._momentums[i], m)
        self.assign(self._velocities[i], u)
        alpha = learning_rate / (1 - self.beta_1 ** self._step())
        self.assign_sub(variable, alpha * m / (u + self.epsilon))


class Nadam(_Moments):
    """Adam with Nesterov momentum.

    Args:
        learning_rate: number, schedule or function.
        beta_1: how slowly the mean of gradients changes.
        beta_2: how slowly the mean of squares changes.
        epsilon: small number beside the root.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum: see `Optimizer`.
        ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name: likewise.

    Reference: [Dozat, 2015](http://cs229.stanford.edu/proj2015/054_report.pdf).

    Example:

    >>> w = keras.Variable(1.0)
    >>> keras.optimizers.Nadam(learning_rate=0.1).apply([20.0], [w])
    >>> round(float(w), 2)
    0.9
    """

    @shared_options
    def __init__(
        self, learning_rate: LearningRate = 0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7, **options
    ):
        super().__init__(learning_rate, **options)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def build(self, var_list):
        """Make the means, and the product of all momenta so far."""
        if self.built:
            return
        super().build(var_list)
        self._u_product = self.add_variable((), jnp.ones, dtype="float32", name="u_product")

    def _momentum_of(self, step):
        return self.beta_1 * (1 - 0.5 * 0.96**step)

    def _update_steps(self, grads, variables, learning_rate):
        # Once per step, not per variable.
        self.assign(self._u_product, self._u_product.value * self._momentum_of(self._step()))
        super()._update_steps(grads, variables, learning_rate)

    def update_step(self, gradient, variable, learning_rate):
        """One step of the formula."""
        t = self._step()
        now, next_ = self._momentum_of(t), self._momentum_of(t + 1)
        product = self._u_product.value
        m, v = self._update_moments(gradient, variable)
        m_hat = next_ * m / (1 - product * next_) + (1 - now) * gradient / (1 - product)
        v_hat = v / (1 - self.beta_2**t)
        self.assign_sub(variable, m_hat * learning_rate / (jnp.sqrt(v_hat) + self.epsilon))


class Lamb(_Moments):
    """Adam whose step in each variable is as long as the variable's norm, times the rate.

    With `u` Adam's step without the learning rate,
    `w = w - learning_rate * |w| / |u| * u` (factor 1 where a norm is 0). Made for large batches.

    Args:
        learning_rate: number, schedule or function.
        beta_1: how slowly the mean of gradients changes.
        beta_2: how slowly the mean of squares changes.
        epsilon: small number beside the root.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum: see `Optimizer`.
        ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name: likewise.

    Reference: [You et al., 2019](https://arxiv.org/abs/1904.00962).

    Example:

    >>> w = keras.Variable(2.0)
    >>> keras.optimizers.Lamb(learning_rate=0.1).apply([20.0], [w])
    >>> round(float(w), 4)
    1.8
    """

    @shared_options
    def __init__(
        self, learning_rate: LearningRate = 0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7, **options
    ):
        super().__init__(learning_rate, **options)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def update_step(self, gradient, variable, learning_rate):
        """One step of the formula."""
        t = self._step()
        m, v = self._update_moments(gradient, variable)
        m_hat, v_hat = m / (1 - self.beta_1**t), v / (1 - self.beta_2**t)
        update = m_hat / (jnp.sqrt(v_hat) + self.epsilon)
        weights = jnp.linalg.norm(jnp.ravel(at_least_float32(variable.value)))
        length = jnp.linalg.norm(jnp.ravel(update))
        usable = (weights > 0) & (length > 0)
        ratio = jnp.where(usable, weights / jnp.where(usable, length, 1), 1)
        self.assign_sub(variable, ratio * learning_rate * update)
