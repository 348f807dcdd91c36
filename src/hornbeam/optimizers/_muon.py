"""Muon: steps along the nearest orthogonal matrix."""

import math
import re

import jax.numpy as jnp

from ._adam import Adam
from ._base import LearningRate, Optimizer, shared_options


class Muon(Adam):
    """Momentum made orthogonal for matrices, AdamW for everything else.

    The momentum `m = momentum * m + g` of a matrix is replaced by the orthogonal matrix nearest to
    it, roughly, so that the step has the same length in all directions. Embeddings and the output
    layer should not be trained so: name the latter in `exclude_layers`.

    Args:
        learning_rate: number, schedule or function.
        adam_beta_1, adam_beta_2, epsilon: AdamW's, see `Adam`.
        adam_weight_decay: the weight decay of what AdamW updates.
        weight_decay: the weight decay of matrices.
        clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum: see `Optimizer`.
        ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name: likewise.
        exclude_layers: list of regular expressions, looked for in the variables' paths; what
            matches is updated by AdamW.
        exclude_embeddings: whether AdamW updates variables with "embedding" in their path.
        muon_a, muon_b, muon_c: coefficients of the iteration that makes a matrix orthogonal.
        adam_lr_ratio: what AdamW's learning rate is multiplied by.
        momentum: share of the old momentum that each step keeps.
        ns_steps: number of iterations.
        nesterov: whether to look ahead along the momentum.
        rms_rate: root mean square of a step's elements, divided by the learning rate, about that
            of AdamW; `None` for steps with singular values of 1.

    Reference: [Jordan et al., 2024](https://kellerjordan.github.io/posts/muon);
    [Liu et al., 2025](https://arxiv.org/abs/2502.16982) for `rms_rate`.

    Example:

    >>> w = keras.Variable(np.zeros((2, 2)), name="kernel")
    >>> optimizer = keras.optimizers.Muon(learning_rate=0.1, rms_rate=None)
    >>> optimizer.apply([jnp.array([[3.0, 0.0], [0.0, -3.0]])], [w])
    >>> bool(w.numpy()[0, 0] < 0 and w.numpy()[1, 1] > 0)
    True
    """

    @shared_options
    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        adam_beta_1=0.9,
        adam_beta_2=0.999,
        adam_weight_decay: float | None = 0.004,
        epsilon=1e-7,
        weight_decay: float | None = 0.004,
        *,
        exclude_layers=None,
        exclude_embeddings=True,
        muon_a=3.4445,
        muon_b=-4.775,
        muon_c=2.0315,
        adam_lr_ratio=1,
        momentum=0.95,
        ns_steps=5,
        nesterov=True,
        rms_rate: float | None = 0.2,
        **options,
    ):
        super().__init__(
            learning_rate, adam_beta_1, adam_beta_2, epsilon, weight_decay=weight_decay, **options
        )
        self.adam_beta_1 = adam_beta_1
        self.adam_beta_2 = adam_beta_2
        self.adam_weight_decay = adam_weight_decay
        self.exclude_layers = exclude_layers or []
        self.exclude_embeddings = exclude_embeddings
        self.muon_a = muon_a
        self.muon_b = muon_b
        self.muon_c = muon_c
        self.adam_lr_ratio = adam_lr_ratio
        self.momentum = momentum
        self.ns_steps = ns_steps
        self.nesterov = nesterov
        self.rms_rate = rms_rate

    def _should_use_adamw(self, variable):
        path = variable.path
        return (
            variable.ndim != 2
            or (self.exclude_embeddings and "embedding" in path.lower())
            or any(re.search(pattern, path) for pattern in self.exclude_layers)
        )

    def build(self, var_list):
        """Make the momenta, and the means of squares that AdamW needs."""
        if self.built:
            return
        Optimizer.build(self, var_list)
        self._momentums, self._velocities = [], []
        for variable in var_list:
            self._momentums += self.add_optimizer_variables([variable], "momentum")
            self._velocities += (
                self.add_optimizer_variables([variable], "velocity")
                if self._should_use_adamw(variable)
                else [None]
            )

    def update_step(self, gradient, variable, learning_rate):
        """One step of the formula."""
        if self._should_use_adamw(variable):
            super().update_step(gradient, variable, learning_rate * self.adam_lr_ratio)
            return
        slot = self._momentums[self._get_variable_index(variable)]
        m = self.momentum * slot.value + gradient
        self.assign(slot, m)
        direction = gradient + self.momentum * m if self.nesterov else m
        direction = self.zeropower_via_newtonschulz5(direction, self.ns_steps)
        self.assign_sub(variable, learning_rate * self.lr_adjust(direction))

    def _decay_rate(self, variable):
        adamw = self._should_use_adamw(variable)
        return self.adam_weight_decay if adamw else self.weight_decay

    def transpose_last_axis(self, X):
        """The transposed matrices: `(…, n, m)` to `(…, m, n)`."""
        return jnp.swapaxes(X, -1, -2)

    def lr_adjust(self, x):
        """The matrices times `rms_rate * sqrt(larger side)`."""
        if self.rms_rate is None:
            return x
        return x * (self.rms_rate * math.sqrt(max(x.shape[-2:])))

    def zeropower_via_newtonschulz5(self, x, steps):
        """Move all singular values of matrices near 1, by a Newton-Schulz iteration.

        With the default coefficients they end between 0.7 and 1.2, which is near enough.

        Args:
            x: array `(…, n, m)`.
            steps: number of iterations.
        """
        tall = x.shape[-2] > x.shape[-1]
        x = self.transpose_last_axis(x) if tall else x  # the products below are smaller then
        # Singular values of at most 1, for which the iteration converges.
        x = x / (jnp.linalg.norm(x, axis=(-2, -1), keepdims=True) + 1e-7)
        for _ in range(steps):
            square = x @ self.transpose_last_axis(x)
            x = self.muon_a * x + (self.muon_b * square + self.muon_c * square @ square) @ x
        return self.transpose_last_axis(x) if tall else x
