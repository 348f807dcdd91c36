"""Optimizers around other optimizers."""

import re
from collections.abc import Callable, MutableMapping, Sequence

import jax
import jax.numpy as jnp

from ..core.messages import expected
from ..core.objects import Configurable, CustomObjectScope
from ..core.scope import current
from ..core.variable import Variable
from ._base import Optimizer, run_if

_MSG_NO_RATE = """\
A MultiOptimizer has no learning rate of its own. Read or set those of its optimizers:

    for optimizer in multi_optimizer.optimizers:
        optimizer.learning_rate = 1e-3"""


class Wrapper(Optimizer):
    """An optimizer whose formulas and options are those of the ones inside, `optimizers`."""

    optimizers: Sequence[Optimizer] = ()

    def __init__(self, loss_scale_factor=None, name=None):
        # The rate of its own is never used; it has a place in files.
        super().__init__(0.0, loss_scale_factor=loss_scale_factor, name=name)

    @property
    def _parts(self):
        return [part for optimizer in self.optimizers for part in optimizer._parts]

    @property
    def variables(self):
        """List of all state, that of the optimizers inside at the end."""
        return [*self._variables, *(v for o in self.optimizers for v in o.variables)]


class LossScaleOptimizer(Wrapper):
    """Multiplies the loss by a factor that fits float16, found while training.

    The factor doubles after `dynamic_growth_steps` steps with finite gradients; it halves, and the
    step is left out, when a gradient isn't finite. Used for the policy `"mixed_float16"`. The
    attribute `skipped_steps` counts the steps left out.

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
    >>> int(optimizer.skipped_steps)
    1
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
        super().__init__(name=name)
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
    def optimizers(self):
        """List of the inner optimizer alone."""
        return [self.inner_optimizer]

    @property
    def iterations(self):
        """How many times the weights were updated."""
        return self.inner_optimizer.iterations

    @property
    def skipped_steps(self):
        """How many steps were left out so far, as a `Variable`."""
        # In Keras's files this one is the wrapper's own count of steps, which is always 0.
        return self._iterations

    @property
    def scale_factor(self):
        """What the loss is multiplied by, now."""
        return self.dynamic_scale.value if self.built else self.initial_scale

    @property
    def learning_rate(self):
        """The inner optimizer's learning rate."""
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value):
        self.inner_optimizer.learning_rate = value

    def _apply(self, variables, grads, weight):
        scale, steps = self.dynamic_scale, self.step_counter
        scaling = current().scaling
        if scaling is None or scaling.optimizer is not self or not scaling.divided:
            # What the gradient overwrites was never multiplied.
            grads = [
                g if v.overwrite_with_gradient else g / scale.value
                for g, v in zip(grads, variables)
            ]
        finite = self.check_finite(grads)
        inner = self.inner_optimizer
        run_if(finite, lambda: inner._apply(variables, grads, weight), inner)
        self.skipped_steps.assign_add(jnp.where(finite, 0, 1))
        grow = finite & (steps.value + 1 >= self.dynamic_growth_steps)
        steps.assign(jnp.where(finite & ~grow, steps.value + 1, 0))
        factor = jnp.where(grow, 2.0, jnp.where(finite, 1.0, 0.5))
        # At 0 or infinity it would stay there.
        limits = jnp.finfo("float32")
        scale.assign(jnp.clip(scale.value * factor, limits.tiny, limits.max))

    def check_finite(self, grads):
        """Whether every element of every gradient is finite, as a boolean array."""
        return jnp.all(jnp.stack([jnp.all(jnp.isfinite(g)) for g in grads]))

    def scale_loss(self, loss):
        """The loss times the factor."""
        scaling = current().scaling
        if scaling is not None and scaling.optimizer is self:
            scaling.called = True
        return self.inner_optimizer.scale_loss(loss) * self.scale_factor


class LossScaling:
    """Multiplies the losses of a step for half precision, unless the step does so itself.

    Within a frame that has one, `value_and_grad` differentiates the multiplied loss, and divides
    the gradients again. If the differentiated function has called `optimizer.scale_loss`, it
    changes nothing, and leaves it to the optimizer to divide.

    Args:
        optimizer: one with a `dynamic_scale`.
    """

    def __init__(self, optimizer):
        self.optimizer = optimizer
        self.called = False  # whether the function being differentiated called `scale_loss`
        self.divided = False  # whether the last gradients were divided already

    def value_and_grad(self, fn, values, variables):
        """`(loss, aux), gradients` of a function of the variables' values that returns the pair."""
        outside, self.called = self.called, False

        def scaled(values):
            loss, aux = fn(values)
            if self.called:
                return loss, (loss, aux)
            return loss * self.optimizer.scale_factor, (loss, aux)

        (_, (loss, aux)), grads = jax.value_and_grad(scaled, has_aux=True)(values)
        self.divided = not self.called
        if self.divided:
            factor = jnp.asarray(self.optimizer.scale_factor, "float32")
            # What the gradient overwrites was never multiplied.
            grads = [
                g if v.overwrite_with_gradient else g / factor
                for g, v in zip(grads, variables, strict=True)
            ]
        self.called = outside
        return (loss, aux), grads


class OptimizerMap(Configurable, MutableMapping):
    """Which optimizer is meant for which variable: a dict from patterns of paths to optimizers.

    A pattern is a regular expression that the whole path of a variable matches. Looking up a path
    that no pattern matches gives the default.

    Args:
        default_optimizer: the optimizer of all other variables.
        optimizer_map: dict from patterns to optimizers.

    Example:

    >>> optimizers = keras.optimizers.OptimizerMap(keras.optimizers.SGD())
    >>> optimizers["encoder/.*"] = keras.optimizers.Adam()
    >>> type(optimizers["encoder/dense/kernel"]).__name__
    'Adam'
    >>> type(optimizers["decoder/dense/kernel"]).__name__
    'SGD'
    """

    def __init__(self, default_optimizer, optimizer_map=None):
        if not isinstance(default_optimizer, Optimizer):
            raise TypeError(
                expected("OptimizerMap: default_optimizer", "an Optimizer", default_optimizer)
            )
        self._default_optimizer = default_optimizer
        self.optimizer_map = {}
        self.update(optimizer_map or {})

    @property
    def default_optimizer(self):
        """The optimizer of variables that no pattern matches."""
        return self._default_optimizer

    def __call__(self, variable):
        """The optimizer for a `Variable`."""
        return self[variable.path]

    def __getitem__(self, key):
        if key in self.optimizer_map:
            return self.optimizer_map[key]
        matching = [pattern for pattern in self.optimizer_map if re.fullmatch(pattern, key)]
        if len(matching) > 1:
            raise ValueError(
                f"OptimizerMap: '{key}' should match one pattern; it matches "
                f"{', '.join(map(repr, matching))}."
            )
        return self.optimizer_map[matching[0]] if matching else self.default_optimizer

    def __setitem__(self, key, optimizer):
        if not isinstance(key, str):
            raise ValueError(expected("OptimizerMap: a key", "a string", key))
        if key in self.optimizer_map:
            raise ValueError(
                f"OptimizerMap has an optimizer for '{key}' already; delete that one first."
            )
        if not isinstance(optimizer, Optimizer):
            raise ValueError(expected(f"OptimizerMap['{key}']", "an Optimizer", optimizer))
        self.optimizer_map[key] = optimizer

    def __delitem__(self, key):
        del self.optimizer_map[key]

    def __iter__(self):
        return iter(self.optimizer_map)

    def __len__(self):
        return len(self.optimizer_map)

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """A map made from what `get_config` returned."""
        with CustomObjectScope(custom_objects):
            return super().from_config(config)


class MultiOptimizer(Wrapper):
    """Different optimizers for different variables.

    Its optimizers are in `optimizers`, and each has a learning rate, a count of steps and options
    of its own.

    Args:
        optimizer_map: an `OptimizerMap`, or a function from a `Variable` to an `Optimizer`.
        loss_scale_factor: what the loss was multiplied by (see `scale_loss`); the optimizers get
            it in place of their own.
        name: name.

    Example:

    >>> optimizer = keras.optimizers.MultiOptimizer(
    ...     keras.optimizers.OptimizerMap(
    ...         keras.optimizers.SGD(0.1), {"embedding/.*": keras.optimizers.Adam(0.01)}
    ...     )
    ... )
    >>> [type(o).__name__ for o in optimizer.optimizers]
    ['Adam', 'SGD']
    >>> w = keras.Variable(1.0)
    >>> optimizer.apply([2.0], [w])
    >>> round(float(w), 4)
    0.8
    """

    def __init__(
        self,
        optimizer_map: OptimizerMap | Callable[[Variable], Optimizer],
        loss_scale_factor=None,
        name=None,
    ):
        if not callable(optimizer_map):
            raise TypeError(
                expected(
                    "MultiOptimizer: optimizer_map",
                    "an OptimizerMap or a function of a Variable",
                    optimizer_map,
                )
            )
        super().__init__(loss_scale_factor, name)
        self.optimizer_map = optimizer_map
        if isinstance(optimizer_map, OptimizerMap):
            for optimizer in (*optimizer_map.values(), optimizer_map.default_optimizer):
                self._number(optimizer)

    def _number(self, optimizer):
        """The optimizer's place in `optimizers`."""
        if not isinstance(optimizer, Optimizer) or isinstance(optimizer, LossScaleOptimizer):
            raise TypeError(
                expected(
                    "MultiOptimizer: optimizer_map",
                    "made of Optimizers",
                    optimizer,
                    "A LossScaleOptimizer goes around the MultiOptimizer.",
                )
            )
        for number, known in enumerate(self.optimizers):
            if known is optimizer:
                return number
        optimizer.loss_scale_factor = self.loss_scale_factor
        if self._not_decayed:
            optimizer.exclude_from_weight_decay(self._not_decayed)
        self.optimizers = [*self.optimizers, optimizer]
        return len(self.optimizers) - 1

    def build(self, var_list):
        """Make the state of every optimizer for its variables."""
        if self.built:
            return
        var_list = list(var_list)
        self._numbers = {v: self._number(self.optimizer_map(v)) for v in var_list}
        for number, optimizer in enumerate(self.optimizers):
            optimizer.build([v for v in var_list if self._numbers[v] == number])
        super().build(var_list)

    @property
    def learning_rate(self):
        """Raises an `AttributeError`: every optimizer inside has one of its own."""
        raise AttributeError(_MSG_NO_RATE)

    @learning_rate.setter
    def learning_rate(self, value):
        raise AttributeError(_MSG_NO_RATE)

    @property
    def loss_scale_factor(self):
        """What the loss was multiplied by."""
        return self._loss_scale_factor

    @loss_scale_factor.setter
    def loss_scale_factor(self, value):
        self._loss_scale_factor = value
        for optimizer in self.optimizers:
            optimizer.loss_scale_factor = value

    def _apply(self, variables, grads, weight):
        for number, optimizer in enumerate(self.optimizers):
            mine = [i for i, v in enumerate(variables) if self._numbers[v] == number]
            if mine:
                optimizer._apply([variables[i] for i in mine], [grads[i] for i in mine], weight)
        self._iterations.assign(self._iterations.value + 1)
