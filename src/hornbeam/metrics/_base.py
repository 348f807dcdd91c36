"""`Metric`: variables that sum up what batches say, and a result computed from them."""

import numpy as np

from .. import dtype_policies, initializers
from ..core import settings
from ..core.messages import expected
from ..core.naming import auto_name
from ..core.objects import Configurable
from ..core.scope import functionalize, name_scope
from ..core.variable import Variable
from ..losses._base import written

_MSG_NO_SUPER = """\
{cls}.__init__ didn't call `super().__init__()` before anything else. Write

    class {cls}({base}):
        def __init__(self, name="…", **kwargs):
            super().__init__(name=name, **kwargs)
            ..."""


class Metric(Configurable):
    """A number about many batches, kept as running sums.

    Subclasses make variables in `__init__` (with `add_weight`), change them in
    `update_state(y_true, y_pred, sample_weight=None)`, and compute `result()` from them.
    Calling a metric does both and returns the result so far.

    Args:
        dtype: the dtype or policy to compute in; by default `keras.config.floatx()`.
        name: name of the metric.

    Example:

    >>> class Largest(keras.Metric):
    ...     def __init__(self, **kwargs):
    ...         super().__init__(**kwargs)
    ...         self.largest = self.add_weight(name="largest", initializer="zeros")
    ...
    ...     def update_state(self, values):
    ...         self.largest.assign(keras.ops.maximum(self.largest, keras.ops.max(values)))
    ...
    ...     def result(self):
    ...         return self.largest.value
    >>> metric = Largest()
    >>> float(metric(np.array([1.0, 5.0]))), float(metric(np.array([2.0])))
    (5.0, 5.0)
    """

    built = True  # whether the variables exist; some metrics make them in their first batch
    _adds_up = False  # whether the state of two batches is the sum of their states
    _direction = None  # "up" or "down": which way is better, where that is known
    _unwritten = ()  # arguments that Keras leaves out of configs; see `losses._base.written`

    def __init__(self, dtype=None, name=None):
        self.name = name or auto_name(type(self).__name__)
        self.dtype_policy = dtype_policies.get(dtype or settings.floatx())
        self._initial_values = {}

    @property
    def dtype(self):
        """The number type that it computes in, as a string."""
        return self.dtype_policy.compute_dtype

    # State -----------------------------------------------------------------------------------

    def __setattr__(self, name, value):
        vars(self).pop("_key", None)  # of the compiled update, which holds the old value
        super().__setattr__(name, value)

    def add_variable(self, shape, initializer, dtype=None, aggregation="sum", name=None):
        """Make a variable that belongs to the metric.

        Args:
            shape: tuple of ints.
            initializer: name, object or function; zeros by default.
            dtype: number type, by default the metric's variable dtype.
            aggregation: how replicas combine.
            name: name within the metric.

        Returns:
            The `Variable`.
        """
        if "_initial_values" not in vars(self):
            cls = type(self)
            raise RuntimeError(
                _MSG_NO_SUPER.format(cls=cls.__name__, base=cls.__bases__[0].__name__)
            )
        with name_scope(self.name.replace("/", ">")):
            variable = Variable(
                initializers.get("zeros" if initializer is None else initializer),
                shape=shape,
                dtype=dtype or self.dtype_policy.variable_dtype,
                trainable=False,
                autocast=False,  # half precision can't count
                aggregation=aggregation,
                name=name,
            )
        # On the host, because a training step may free the device's copy.
        self._initial_values[variable] = np.asarray(variable._array)
        return variable

    def add_weight(self, shape=(), initializer=None, dtype=None, name=None):
        """The same as `add_variable`, for a scalar unless `shape` says otherwise."""
        return self.add_variable(shape, initializer, dtype, name=name)

    @property
    def variables(self):
        """The metric's variables, then those of metrics in its attributes."""
        own, nested = self._state()
        return list(dict.fromkeys([*own, *(v for metric in nested for v in metric.variables)]))

    def _state(self):
        found = list(_state_in(list(vars(self).values())))
        own = [*self._initial_values, *(x for x in found if isinstance(x, Variable))]
        return dict.fromkeys(own), [x for x in found if isinstance(x, Metric)]

    def reset_state(self):
        """Go back to the state before the first batch."""
        own, nested = self._state()
        for variable in own:
            initial = self._initial_values.get(variable)
            variable.assign(np.zeros(variable.shape) if initial is None else initial)
        for metric in nested:
            metric.reset_state()

    def merge_state(self, metrics):
        """Add the states of metrics of the same kind, such as those of other workers.

        Args:
            metrics: list of metrics, made with the same arguments.

        Raises:
            NotImplementedError: if it isn't known that the state adds up, as in classes of yours.
            ValueError: for metrics of another kind.

        Example:

        >>> parts = [keras.metrics.Mean(), keras.metrics.Mean()]
        >>> for part, values in zip(parts, ([1.0, 2.0], [6.0])):
        ...     part.update_state(values)
        >>> parts[0].merge_state(parts[1:])
        >>> float(parts[0].result())
        3.0
        """
        metrics = list(metrics)
        if not self._adds_up:
            raise NotImplementedError(
                f"It isn't known how two states of {type(self).__name__} make one: give it a "
                "method `merge_state(self, metrics)`."
            )
        for other in metrics:
            if type(other) is not type(self) or _kind(other) != _kind(self):
                raise ValueError(
                    expected(
                        f"{self!r}.merge_state: metrics",
                        "metrics of its class, made with its arguments and updated as it was",
                        other,
                    )
                )
        for other in metrics:
            for variable, value in zip(self.variables, other.variables, strict=True):
                variable.assign_add(value)

    # What subclasses write -------------------------------------------------------------------

    def update_state(self, *args, **kwargs):
        """Take in a batch; subclasses write this."""
        raise NotImplementedError(
            f"{type(self).__name__} doesn't say what it measures: give it a method "
            "`update_state(self, y_true, y_pred, sample_weight=None)`."
        )

    def result(self):
        """The number so far; subclasses write this."""
        raise NotImplementedError(
            f"{type(self).__name__} doesn't say what it measures: give it a method `result(self)`."
        )

    def __call__(self, *args, **kwargs):
        self.update_state(*args, **kwargs)
        return self.result()

    # As pure functions -----------------------------------------------------------------------

    def stateless_update_state(self, metric_variables, *args, **kwargs):
        """The list of values that `update_state` makes of the values `metric_variables`.

        Example:

        >>> mean = keras.metrics.Mean()
        >>> state = mean.stateless_reset_state()
        >>> state = mean.stateless_update_state(state, np.array([1.0, 3.0]))
        >>> float(mean.stateless_result(state)), float(mean.result())
        (2.0, 0.0)
        """
        return self._pure(self.update_state, metric_variables, args, kwargs)[1]

    def stateless_result(self, metric_variables):
        """The result when the variables have the values `metric_variables`."""
        return self._pure(self.result, metric_variables)[0]

    def stateless_reset_state(self):
        """The list of values that the variables have after `reset_state`."""
        return self._pure(self.reset_state, self.variables)[1]

    def _pure(self, method, values, args=(), kwargs=None):
        variables = self.variables
        if len(values) != len(variables):
            raise ValueError(
                f"metric_variables should hold one value for each of the {len(variables)} "
                f"variables of {self!r}; received {len(values)}."
            )
        values = [v.value if isinstance(v, Variable) else v for v in values]
        result = functionalize(method, variables)(values, *args, **(kwargs or {}))
        if len(self.variables) != len(variables):
            raise ValueError(
                f"{self!r} made its variables only now, in its first batch, so they weren't among "
                "metric_variables. Start over with `metric.stateless_reset_state()`."
            )
        return result

    # What it is ------------------------------------------------------------------------------

    def get_config(self):
        """The constructor's arguments as plain data."""
        config = {**super().get_config(), "name": self.name, "dtype": self.dtype_policy.name}
        return written(self, config)

    def __repr__(self):
        return f"<{type(self).__name__} name={self.name}>"

    def __str__(self):
        return repr(self)


def _kind(metric):
    """What must be equal in metrics whose states are added."""
    return {**metric.get_config(), "name": None}, [v.shape for v in metric.variables]


def _state_in(value):
    """The variables and metrics in a value, through nested containers."""
    if isinstance(value, (Variable, Metric)):
        yield value
    elif isinstance(value, (list, tuple)):
        for x in value:
            yield from _state_in(x)
    elif isinstance(value, dict):
        yield from _state_in(list(value.values()))
