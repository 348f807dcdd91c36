"""`Optimizer`: everything that optimizers share around their formulas."""

import functools
import inspect
import re
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike

from ..core import dtypes, objects
from ..core.messages import expected, unknown_keywords
from ..core.naming import auto_name
from ..core.objects import Configurable
from ..core.scope import current, enter, functionalize
from ..core.variable import Variable
from .schedules._schedules import LearningRateSchedule

_MSG_UNKNOWN_VARIABLE = """\
{name} was built for other variables than '{path}'. An optimizer keeps state for the variables of \
its first call (or of `build`); make a new optimizer, or build this one with all variables first:

    optimizer.build(model.trainable_variables)"""

_MSG_NO_GRADIENT = """\
No gradient for {paths}: the loss doesn't depend on {them}. If that is meant, set \
`trainable = False` on the layer; otherwise check that its output reaches the loss."""

# In place of the weight of the batches so far: each counts like the next one.
_UNKNOWN = -1.0

LearningRate = LearningRateSchedule | Callable[[], Any] | ArrayLike

# An initializer's name, a function of shape and dtype, or the value itself.
_Initial = str | Callable | ArrayLike | None


class Optimizer(Configurable):
    """Changes variables step by step, so that a loss gets smaller.

    A subclass writes its formula, `update_step`, for one variable, and makes the state that the
    formula needs in `build`. Everything else is here, and the same for all optimizers.

    Args:
        learning_rate: a float, a `LearningRateSchedule`, or a function without arguments.
        weight_decay: share of every weight that is subtracted per step, times the learning rate.
        clipnorm: largest norm of each gradient; longer ones are scaled down to it.
        clipvalue: largest absolute value of a gradient's elements.
        global_clipnorm: largest norm of all gradients together.
        use_ema: whether to keep a moving average of the weights.
        ema_momentum: share of the old average that each step keeps.
        ema_overwrite_frequency: after how many steps the weights are set to their average; `None`
            means only at the end of training.
        loss_scale_factor: what the loss was multiplied by (see `scale_loss`), for half precision.
        gradient_accumulation_steps: over how many calls gradients are averaged before they are
            used, as if the batches were one. Schedules, averages and `iterations` count updates.
        name: name, the prefix of the variables' paths.

    Example:

    >>> class SignDescent(keras.Optimizer):
    ...     def update_step(self, gradient, variable, learning_rate):
    ...         self.assign_sub(variable, learning_rate * jnp.sign(gradient))
    >>> weights = keras.Variable([1.0, 1.0])
    >>> SignDescent(learning_rate=0.1).apply([jnp.array([5.0, -2.0])], [weights])
    >>> weights.numpy()
    array([0.9, 1.1], dtype=float32)
    """

    _variables: list[Variable]
    _trainable_variables: list[Variable]
    _indices: dict[Variable, int]
    _changes: int  # how often an attribute was set
    _accumulated_weight: Variable  # of the batches in the sums

    def __init__(
        self,
        learning_rate,
        weight_decay=None,
        clipnorm=None,
        clipvalue=None,
        global_clipnorm=None,
        use_ema=False,
        ema_momentum=0.99,
        ema_overwrite_frequency=None,
        loss_scale_factor=None,
        gradient_accumulation_steps=None,
        name=None,
        **kwargs,
    ):
        if kwargs.pop("decay", None) is not None:
            warnings.warn(
                "`decay` is ignored; use a schedule from `keras.optimizers.schedules` as the "
                "learning rate.",
                stacklevel=3,
            )
        if kwargs:
            known = objects.constructor_parameters(type(self))
            raise unknown_keywords(type(self).__name__, kwargs, known)
        self.name = name or auto_name(type(self).__name__)
        self.weight_decay = weight_decay
        self.clipnorm = clipnorm
        self.clipvalue = clipvalue
        self.global_clipnorm = global_clipnorm
        self.use_ema = use_ema
        self.ema_momentum = ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.loss_scale_factor = loss_scale_factor
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self._check_options()
        self._not_decayed = []  # variables, and patterns of names
        self.built = False
        self._iterations = self._new_variable(0, dtype="int32", name="iteration")
        self._set_learning_rate(learning_rate)

    def _check_options(self):
        name = type(self).__name__
        clips = {k: getattr(self, k) for k in ("clipnorm", "clipvalue", "global_clipnorm")}
        if sum(value is not None for value in clips.values()) > 1:
            raise ValueError(
                f"{name}: only one of clipnorm, clipvalue and global_clipnorm may be set; received "
                + ", ".join(f"{k}={v}" for k, v in clips.items())
            )
        if self.use_ema and not 0 <= self.ema_momentum <= 1:
            raise ValueError(
                expected(f"{name}: ema_momentum", "between 0 and 1", self.ema_momentum)
            )
        frequency, steps = self.ema_overwrite_frequency, self.gradient_accumulation_steps
        if frequency is not None and (not isinstance(frequency, int) or frequency < 1):
            raise ValueError(
                expected(f"{name}: ema_overwrite_frequency", "a positive integer", frequency)
            )
        if steps is not None and (not isinstance(steps, int) or steps < 2):
            raise ValueError(
                expected(f"{name}: gradient_accumulation_steps", "an integer of at least 2", steps)
            )

    # State --------------------------------------------------------------------------------------

    def __setattr__(self, name, value):
        if isinstance(value, Variable):
            self._track(value)
        # A compiled update holds the numbers it was traced with.
        vars(self)["_changes"] = vars(self).get("_changes", 0) + 1
        super().__setattr__(name, value)

    def __getstate__(self):  # for copies
        return {k: v for k, v in vars(self).items() if k != "_compiled"}

    @property
    def _parts(self):
        """The optimizers that hold formulas and options: this one, or those that it wraps."""
        return [self]

    def _track(self, variable):
        tracked = vars(self).setdefault("_variables", [])
        if not any(variable is v for v in tracked):
            tracked.append(variable)
        return variable

    def _new_variable(self, *args, **kwargs):
        with enter(names=(self.name,), autocast=None):
            return self._track(Variable(*args, trainable=False, **kwargs))

    @property
    def variables(self):
        """List of all state: the step count, the learning rate, then each variable's slots."""
        return list(self._variables)

    @property
    def iterations(self):
        """How many times the weights were updated."""
        steps = self.gradient_accumulation_steps
        return self._iterations if steps is None else self._iterations.value // steps

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "build" in vars(cls):
            cls.build = _whole(cls.build)

    def build(self, variables):
        """Make the state for these variables; the first `apply` does so if nobody did before."""
        if self.built:
            return
        variables = list(variables)
        vars(self).update(
            _trainable_variables=variables,
            _indices={variable: i for i, variable in enumerate(variables)},
        )
        if self.use_ema:
            self._averages = self.add_optimizer_variables(variables, "average")
        if self.gradient_accumulation_steps:
            # Also for those that the gradient overwrites.
            self._sums = [
                self.add_variable_from_reference(v, "gradient_accumulator") for v in variables
            ]
            # Not among `variables`, since Keras's files lack it.
            vars(self)["_accumulated_weight"] = Variable(
                _UNKNOWN, dtype="float32", trainable=False, name="accumulated_weight"
            )
        self.built = True

    @property
    def all_state(self):
        """List of all that an update may change: the trainable variables, `variables`, and the
        weight of what is accumulated, which no file holds."""
        if not self.built:
            return self.variables
        weights = [p._accumulated_weight for p in self._parts if p.gradient_accumulation_steps]
        return [*self._trainable_variables, *self.variables, *weights]

    def add_variable(
        self,
        shape,
        initializer: _Initial = "zeros",
        dtype=None,
        aggregation="none",
        layout=None,
        name=None,
    ):
        """Make a state variable of any shape."""
        if initializer == "zeros":
            initializer = jnp.zeros
        return self._new_variable(
            initializer, shape, dtype, aggregation=aggregation, layout=layout, name=name
        )

    def add_variable_from_reference(
        self, reference_variable, name=None, initializer: _Initial = "zeros"
    ):
        """Make a state variable (a slot) with the shape, dtype and sharding of another variable.

        Slots of float16 variables are float32: squares of gradients vanish in float16.

        Args:
            reference_variable: the variable that the slot belongs to.
            name: what the slot holds, such as `"momentum"`.
            initializer: name or function of an initializer, or the initial value.
        """
        return self.add_variable(
            reference_variable.shape,
            "zeros" if initializer is None else initializer,
            dtype=slot_dtype(reference_variable),
            layout=_sharding(reference_variable),
            name=f"{reference_variable.path.replace('/', '_')}_{name or 'var'}",
        )

    def add_optimizer_variables(
        self,
        trainable_variables,
        name,
        initializer: _Initial | list[_Initial] | tuple[_Initial, ...] = "zeros",
    ) -> Any:
        """Make a slot for each variable, or several.

        Args:
            trainable_variables: the variables.
            name: the slot's name, or a list of names.
            initializer: as in `add_variable_from_reference`; one, or one per name.

        Returns:
            List of slots parallel to `trainable_variables`, or a tuple of such lists, one per
            name. Variables that the gradient overwrites have `None` in the place of a slot.
        """
        names = [name] if isinstance(name, str) else list(name)
        several = isinstance(initializer, (list, tuple))
        initializers = initializer if several else [initializer] * len(names)
        slots = tuple([] for _ in names)
        for variable in trainable_variables:
            for slot, n, initial in zip(slots, names, initializers, strict=True):
                slot.append(
                    None
                    if variable.overwrite_with_gradient
                    else self.add_variable_from_reference(variable, n, initial)
                )
        return slots[0] if isinstance(name, str) else slots

    def _get_variable_index(self, variable):
        return self._indices[variable]

    def _mine(self, variables):
        """Those of the variables that this optimizer was built for."""
        return [v for v in variables if v in self._indices]

    # The learning rate --------------------------------------------------------------------------

    @property
    def learning_rate(self):
        """The learning rate now: a `Variable`, or what the schedule says for this step."""
        if isinstance(self._learning_rate, Variable):
            return self._learning_rate
        return self._current_learning_rate()

    @learning_rate.setter
    def learning_rate(self, value):
        old = self._learning_rate
        if isinstance(old, Variable) and not callable(value):
            old.assign(value)
            return
        if isinstance(old, LearningRateSchedule) and not isinstance(value, LearningRateSchedule):
            raise TypeError(
                f"{type(self).__name__} has the schedule {type(old).__name__} as its learning "
                "rate, so the rate can't be set to a number. Make the optimizer with a number, or "
                "set another schedule."
            )
        vars(self)["_variables"] = [v for v in self._variables if v is not old]
        self._set_learning_rate(value)

    def _set_learning_rate(self, value):
        if (not callable(value) and np.ndim(value) != 0) or isinstance(value, (str, type(None))):
            raise ValueError(
                expected(
                    f"{type(self).__name__}: learning_rate",
                    "a number, a LearningRateSchedule or a function without arguments",
                    value,
                )
            )
        if not callable(value):
            value = self._new_variable(
                value, dtype=dtypes.standardize_dtype(None), name="learning_rate"
            )
        self._learning_rate = value

    def _current_learning_rate(self):
        rate = self._learning_rate
        if isinstance(rate, Variable):
            return rate.value
        if isinstance(rate, LearningRateSchedule):
            return rate(jnp.asarray(self.iterations))
        return rate()

    # Updating -----------------------------------------------------------------------------------

    def update_step(self, gradient, variable, learning_rate):
        """Update one variable; subclasses write this.

        Args:
            gradient: array of the variable's shape, in float32 at least.
            variable: the `Variable`, to be read with `.value` and written with `self.assign`.
            learning_rate: scalar array.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has no formula: give it a method "
            "`update_step(self, gradient, variable, learning_rate)`."
        )

    def apply(self, grads, trainable_variables=None, weight=None):
        """Update the variables.

        Args:
            grads: list of gradients, parallel to the variables; `None` where there is none.
            trainable_variables: list of `Variable`s; by default those of `build`.
            weight: with `gradient_accumulation_steps`, the weight of these gradients in the mean;
                by default all have the same. `fit` passes what the batch's loss was divided by.

        Raises:
            ValueError: for variables that the optimizer wasn't built for, or if every gradient
                is `None`.
        """
        grads = list(grads)
        if not grads:
            return
        variables = self._check_variables(grads, trainable_variables)
        grads, variables = _without_missing(grads, variables)
        grads = [g if isinstance(g, jax.Array) else jnp.asarray(g) for g in grads]
        self._run("_apply", variables, grads, weight)

    def apply_accumulated(self, trainable_variables=None):
        """Update by the gradients accumulated since the last update, if there are any.

        `fit` calls it at the end of an epoch, so that a last round of fewer than
        `gradient_accumulation_steps` batches counts as the smaller batch it is.

        Args:
            trainable_variables: list of the `Variable`s to update; by default those of `build`.
        """
        if not (self.built and self.accumulates):
            return
        if any(part._is_pending() for part in self._parts):
            if trainable_variables is None:
                trainable_variables = self._trainable_variables
            self._run("_apply_sums", self._mine(trainable_variables))

    @property
    def accumulates(self):
        """Whether gradients are accumulated over several calls of `apply`."""
        return any(part.gradient_accumulation_steps for part in self._parts)

    def apply_gradients(self, grads_and_vars):
        """Update the variables; takes pairs `(gradient, variable)`, returns the step count."""
        grads, variables = zip(*grads_and_vars, strict=True)
        self.apply(grads, variables)
        return self.iterations

    def stateless_apply(self, optimizer_variables, grads, trainable_variables):
        """The update as a pure function.

        Args:
            optimizer_variables: arrays parallel to `self.variables`.
            grads: arrays parallel to the variables that the optimizer was built for.
            trainable_variables: arrays parallel to them too: their values.

        Returns:
            Pair: the new values of the trainable variables, those of `self.variables`.
        """
        self._check_built("stateless_apply")
        state, count = self.variables, len(self._trainable_variables)
        for what, values, wanted in (
            ("optimizer_variables", optimizer_variables, len(state)),
            ("trainable_variables", trainable_variables, count),
        ):
            if len(values) != wanted:
                raise ValueError(
                    f"{type(self).__name__}.stateless_apply: {what} should have {wanted} arrays; "
                    f"received {len(values)}."
                )
        pure = functionalize(self.apply, [*self._trainable_variables, *state])
        _, new = pure(
            [*trainable_variables, *optimizer_variables], grads, self._trainable_variables
        )
        return new[:count], new[count:]

    def _check_built(self, what):
        if not self.built:
            raise ValueError(
                f"{type(self).__name__}.{what} needs a built optimizer: call "
                "`optimizer.build(model.trainable_variables)` first."
            )

    def _check_variables(self, grads, variables):
        """The variables that `grads` are for; builds the optimizer if need be."""
        name = type(self).__name__
        if variables is None:
            self._check_built("apply without trainable_variables")
            variables = self._trainable_variables
        variables = list(variables)
        if len(grads) != len(variables):
            raise ValueError(
                f"{name}: one gradient is needed per variable; received {len(grads)} gradients "
                f"for {len(variables)} variables."
            )
        if not self.built:
            with enter(names=(), autocast=None):
                self.build(variables)
        for variable in variables:
            if variable not in self._indices:
                raise ValueError(_MSG_UNKNOWN_VARIABLE.format(name=name, path=variable.path))
        return variables

    def _is_python_rate(self):
        """Whether the learning rate is computed by Python, anew in every step."""
        rate = self._learning_rate
        return not isinstance(rate, (Variable, LearningRateSchedule, type(None)))

    def _run(self, method, variables, *arrays):
        """Call a method of that name: as it is while JAX traces, else compiled.

        So an update is one call of the device, and not a dozen for each variable. Nothing is
        donated: the user may hold the old arrays.
        """
        traced = current().values is not None or current().scaling is not None
        traced = traced or any(isinstance(x, Tracer) for x in jax.tree.leaves(arrays))
        if traced or any(part._is_python_rate() for part in self._parts):
            getattr(self, method)(variables, *arrays)
            return
        changes = self._changes, *(part._changes for part in self._parts)
        key = method, tuple(self._indices[v] for v in variables)
        compiled = vars(self).setdefault("_compiled", {})
        state = self.all_state
        if key not in compiled or compiled[key][0] != changes:
            pure = functionalize(functools.partial(getattr(self, method), variables), state)

            def update(values, *arrays):
                return pure(values, *arrays)[1]

            compiled[key] = changes, jax.jit(update)
        with enter(autocast=None):
            old = [v.value for v in state]
        new = compiled[key][1](old, *arrays)
        for variable, before, after in zip(state, old, new, strict=True):
            if after is not before:
                variable.assign(after)

    def _apply(self, variables, grads, weight):
        """One call of `apply`: updates, or accumulates."""
        if steps := self.gradient_accumulation_steps:
            self._accumulate(variables, grads, weight, steps)
        else:
            self._update(grads, variables)
        self._iterations.assign(self._iterations.value + 1)

    # Gradient accumulation ------------------------------------------------------------------------

    def _accumulate(self, variables, grads, weight, steps):
        """Mix the gradients into the means so far; with every n-th call, update by the means."""
        count = self._iterations.value % steps
        share, after = 1 / (count + 1), _UNKNOWN
        if weight is not None:
            before = jnp.where(count == 0, 0.0, self._accumulated_weight.value)
            before = jnp.where(before == _UNKNOWN, count * weight, before)
            after = before + weight
            # If there was no weight yet, all gradients were 0.
            share = weight / jnp.maximum(after, jnp.finfo("float32").tiny)
        means = [
            jnp.maximum(mean, g) if v.overwrite_with_gradient else mean + share * (g - mean)
            for mean, g, v in zip(self._mean_gradients(variables, count), grads, variables)
        ]
        due = count + 1 == steps
        self._update_if(due, means, variables)
        for variable, mean in zip(variables, means):
            total = mean if variable.overwrite_with_gradient else mean * (count + 1)
            self._sums[self._indices[variable]].assign(jnp.where(due, 0, total))
        self._accumulated_weight.assign(after)

    def _mean_gradients(self, variables, count):
        """The means of the gradients so far; where the gradient overwrites, the largest."""
        sums = [at_least_float32(self._sums[self._indices[v]].value) for v in variables]
        return [
            total if v.overwrite_with_gradient else total / jnp.maximum(count, 1)
            for total, v in zip(sums, variables)
        ]

    def _is_pending(self):
        """Whether there are gradients in the sums, as far as can be known while JAX traces."""
        if not self.gradient_accumulation_steps:
            return False
        calls = self._iterations.value
        return isinstance(calls, Tracer) or int(calls) % self.gradient_accumulation_steps > 0

    def _apply_sums(self, variables):
        """Update by the gradients in the sums, if any, and count the round as a whole one."""
        for part in self._parts:
            if steps := part.gradient_accumulation_steps:
                count, mine = part._iterations.value % steps, part._mine(variables)
                part._update_if(count > 0, part._mean_gradients(mine, count), mine)
                for total in part._sums:
                    total.assign(jnp.zeros_like(total.value))
                part._iterations.assign(part._iterations.value + -count % steps)

    def _update_if(self, due, grads, variables):
        """`self._update` where the boolean array `due` is true."""
        run_if(due, lambda: self._update(grads, variables), self)

    # The update -----------------------------------------------------------------------------------

    def _update(self, grads, variables):
        """One real update of the weights."""
        pairs = []
        for g, v in zip(grads, variables):
            if v.overwrite_with_gradient:
                v.assign(g)
            else:
                pairs.append((self._unscaled(g), v))
        if not pairs:
            return
        grads, variables = map(list, zip(*pairs))
        grads = self._clip_gradients(grads)
        learning_rate = self._current_learning_rate()
        self._apply_weight_decay(variables, learning_rate)
        self._update_steps(grads, variables, learning_rate)
        if self.use_ema:
            self._average()
        for variable in variables:
            if variable.constraint is not None:
                variable.assign(variable.constraint(variable.value))

    def _unscaled(self, gradient):
        gradient = at_least_float32(gradient)
        return gradient / self.loss_scale_factor if self.loss_scale_factor else gradient

    def _update_steps(self, grads, variables, learning_rate):
        for gradient, variable in zip(grads, variables, strict=True):
            self.update_step(gradient, variable, learning_rate)

    def _clip_gradients(self, grads):
        if self.clipnorm is not None and self.clipnorm > 0:
            return [_clip_by_norm(g, self.clipnorm, _norm([g])) for g in grads]
        if self.global_clipnorm is not None and self.global_clipnorm > 0:
            norm = _norm(grads)
            return [_clip_by_norm(g, self.global_clipnorm, norm) for g in grads]
        if self.clipvalue is not None and self.clipvalue > 0:
            return [jnp.clip(g, -self.clipvalue, self.clipvalue) for g in grads]
        return grads

    def scale_loss(self, loss):
        """The loss times `loss_scale_factor`, so that small gradients survive half precision."""
        return loss * self.loss_scale_factor if self.loss_scale_factor else loss

    def assign(self, variable, value):
        """Set a variable, of the model or of the optimizer."""
        variable.assign(value)

    def assign_add(self, variable, value):
        """Add to a variable."""
        variable.assign(variable.value + value)

    def assign_sub(self, variable, value):
        """Subtract from a variable."""
        variable.assign(variable.value - value)

    # Weight decay ---------------------------------------------------------------------------------

    def exclude_from_weight_decay(self, var_list=None, var_names=None):
        """Say which variables never decay; call it before training.

        Args:
            var_list: list of variables.
            var_names: list of regular expressions, looked for in the variables' names (not paths).

        Example:

        >>> optimizer = keras.optimizers.AdamW()
        >>> optimizer.exclude_from_weight_decay(var_names=["bias", "gamma"])
        """
        which = [*(var_list or ()), *(re.compile(name) for name in var_names or ())]
        for optimizer in (self, *self._parts):
            optimizer._not_decayed = which

    def _decays(self, variable):
        return not any(
            which is variable if isinstance(which, Variable) else which.search(variable.name)
            for which in self._not_decayed
        )

    def _apply_weight_decay(self, variables, learning_rate):
        for variable in variables:
            rate = self._decay_rate(variable)
            if rate is not None and self._decays(variable):
                self.assign_sub(variable, variable.value * rate * learning_rate)

    def _decay_rate(self, variable):
        return self.weight_decay

    # The moving average of the weights ------------------------------------------------------------

    def _average(self):
        step = jnp.asarray(self.iterations)
        # The first average is the weights themselves, not a mixture with zeros.
        momentum = jnp.where(step == 0, 0.0, self.ema_momentum)
        frequency = self.ema_overwrite_frequency
        for average, variable in zip(self._averages, self._trainable_variables):
            if average is None:
                continue
            mean = momentum * average.value + (1 - momentum) * variable.value
            average.assign(mean)
            if frequency:
                due = (step + 1) % frequency == 0
                variable.assign(jnp.where(due, average.value, variable.value))

    def finalize_variable_values(self, var_list):
        """Set the variables to their moving averages, if `use_ema`; called when training ends."""
        for variable, average in self.averaged(var_list):
            variable.assign(average.value)

    def averaged(self, variables):
        """Pairs `(variable, its moving average)` of those among `variables` that have one."""
        for part in self._parts:
            if part.use_ema:
                part._check_built("finalize_variable_values")
                for variable in part._mine(variables):
                    if (average := part._averages[part._indices[variable]]) is not None:
                        yield variable, average

    # Configs and files ----------------------------------------------------------------------------

    def constructor_arguments(self):
        """The arguments that would make an optimizer like this one, with its present rate."""
        cls, rate = type(self), self._learning_rate
        names = objects.constructor_parameters(cls)
        arguments = {}
        if self._arguments is not None:  # a user's class, which hands its options on to this one
            arguments = super().constructor_arguments()
            names = [n for n in (*SHARED_OPTIONS, "learning_rate") if objects.accepts(cls, n)]
        arguments.update((n, getattr(self, n)) for n in names if n != "learning_rate")
        if "learning_rate" in names:
            arguments["learning_rate"] = float(rate.numpy()) if isinstance(rate, Variable) else rate
        return arguments

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """An optimizer made from what `get_config` returned."""
        with objects.CustomObjectScope(custom_objects):
            return super().from_config(config)

    def save_own_variables(self, store):
        """Write all state to `store`, a dict or an HDF5 group, under "0", "1", …."""
        for i, variable in enumerate(self.variables):
            store[str(i)] = variable.numpy()

    def load_own_variables(self, store):
        """Read what `save_own_variables` wrote; the optimizer must be built.

        Warns, and reads nothing, if the state is of other variables or of another optimizer.
        """
        if len(store.keys()) != len(self.variables):
            warnings.warn(
                f"The state of optimizer '{self.name}' wasn't loaded: it has "
                f"{len(self.variables)} variables, the saved one {len(store.keys())}. Was it "
                "another optimizer, or does the model have other trainable variables now?",
                stacklevel=2,
            )
            return
        self.set_weights([store[str(i)] for i in range(len(self.variables))])

    def set_weights(self, weights):
        """Set all state.

        Args:
            weights: list of arrays parallel to `variables`.
        """
        weights = list(weights)
        if len(weights) != len(self.variables):
            raise ValueError(
                f"{type(self).__name__}.set_weights: {len(self.variables)} arrays are needed; "
                f"received {len(weights)}."
            )
        for variable, value in zip(self.variables, weights, strict=True):
            variable.assign(np.asarray(value))
        for part in self._parts:
            if part.built and part.gradient_accumulation_steps:
                part._accumulated_weight.assign(_UNKNOWN)


SHARED_OPTIONS = objects.constructor_parameters(Optimizer)[1:]  # all but the learning rate


def _whole(build):
    """Wrap a `build`: whatever cuts it short, Ctrl-C or a full memory, leaves nothing half made."""

    @functools.wraps(build)
    def whole(self, *args, **kwargs):
        before = {**vars(self), "_variables": list(self._variables)}
        try:
            return build(self, *args, **kwargs)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    return whole


Optimizer.build = _whole(Optimizer.build)


def shared_options(init):
    """Let a constructor that takes `**options` name those of every optimizer in its signature.

    They are checked, passed by position and written to configs as if they were spelled out in
    each of the classes. They stand before arguments that can't be passed by position.
    """
    signature = inspect.signature(init)
    *own, rest = signature.parameters.values()
    base = inspect.signature(Optimizer.__init__).parameters
    first = [p for p in own if p.kind is not p.KEYWORD_ONLY]
    added = [base[name] for name in SHARED_OPTIONS if name not in signature.parameters]
    last = [p for p in own if p.kind is p.KEYWORD_ONLY]
    signature = signature.replace(parameters=[*first, *added, *last, rest.replace(name="kwargs")])

    @functools.wraps(init)
    def wrapper(self, *args, **kwargs):
        bound = signature.bind(self, *args, **kwargs).arguments
        extra = bound.pop("kwargs", {})
        init(**bound, **extra)

    wrapper.__signature__ = signature  # pyright: ignore[reportAttributeAccessIssue]
    return wrapper


def run_if(condition, fn, optimizer):
    """Call `fn`, which updates by `optimizer`, where a boolean array is true."""
    state = optimizer.all_state
    pure = functionalize(fn, state)
    with enter(autocast=None):
        values = [v.value for v in state]
    new = jax.lax.cond(condition, lambda values: pure(values)[1], lambda values: values, values)
    for variable, value in zip(state, new, strict=True):
        variable.assign(value)


def slot_dtype(variable):
    """The dtype of the state that belongs to a variable."""
    return "float32" if variable._dtype == "float16" else variable._dtype


def array_now(variable):
    """The variable's array itself, also while JAX traces a function that binds another value."""
    with enter(values=None, autocast=None):
        return variable.value


def at_least_float32(x):
    # Half precision is for storing: formulas with squares and small constants need more.
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def _sharding(variable):
    """Where the array lies, if it is spread over several devices."""
    if variable._layout is not None:
        return variable._layout
    sharding = getattr(variable._array, "sharding", None)
    return sharding if sharding is not None and len(sharding.device_set) > 1 else None


def _without_missing(grads, variables):
    """The gradients that exist, and their variables."""
    missing = [v.path for g, v in zip(grads, variables) if g is None]
    if not missing:
        return grads, variables
    paths = ", ".join(f"'{path}'" for path in missing)
    if len(missing) == len(grads):
        raise ValueError(
            f"No gradient for any of the variables {paths}: the loss depends on none of them."
        )
    text = _MSG_NO_GRADIENT.format(paths=paths, them="it" if len(missing) == 1 else "them")
    warnings.warn(text, stacklevel=3)
    pairs = [(g, v) for g, v in zip(grads, variables) if g is not None]
    return map(list, zip(*pairs))


def _norm(grads):
    return jnp.sqrt(sum(jnp.sum(jnp.square(g)) for g in grads))


def _clip_by_norm(gradient, limit, norm):
    return gradient * (limit / jnp.maximum(norm, limit))
