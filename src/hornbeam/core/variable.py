"""`Variable`: a box with an array, a path, a dtype and a trainable flag."""

import operator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer, eval_context

from . import dtypes, objects
from .loading import count_variable, is_loading
from .messages import expected, one_of
from .naming import auto_name
from .scope import current

_MSG_TRACED_ASSIGN = """\
Variable {path} was assigned inside a function that JAX is tracing (jit, grad, vmap, scan), where \
its new value would be lost, or leak.
Instead of

    jax.jit(lambda x: layer(x, training=True))(x)

let the new values be returned, with `layer.stateless_call(...)` or

    with keras.StatelessScope(state_mapping=pairs) as scope: ...

In a `train_step`, use `keras.value_and_grad(fn, variables)` in place of `jax.value_and_grad`."""


def _plain(x):
    return x.value if isinstance(x, Variable) else x


def _unary(function):
    return lambda self: function(self.value)


def _binary(function):
    return lambda self, other: function(self.value, _plain(other))


def _both_ways(function):
    return _binary(function), lambda self, other: function(_plain(other), self.value)


class Variable:
    """A mutable array with a name: the state of layers, metrics and optimizers.

    Args:
        initializer: the initial value (anything array-like), or a function
            `initializer(shape, dtype=dtype)`, or the name of an initializer.
        shape: tuple of ints; required when `initializer` is a function or a name.
        dtype: the number type; by default that of the value, or the default float type.
        trainable: whether optimizers change it.
        autocast: whether it is read in the compute dtype inside a layer of mixed precision.
        aggregation: how replicas combine: `"none"`, `"mean"`, `"sum"` or
            `"only_first_replica"`.
        synchronization: accepted for compatibility; sharded arrays need none.
        name: a string without `/`.
        layout: a sharding for the array, as in `keras.distribution`.

    Raises:
        ValueError: if the initial value's shape differs from `shape`, or a name holds `/`.

    Example:

    >>> v = keras.Variable([1.0, 2.0], name="weights")
    >>> v.assign_add([1.0, 1.0])
    Array([2., 3.], dtype=float32)
    >>> v
    <Variable path=weights, shape=(2,), dtype=float32, value=[2. 3.]>
    >>> float(jnp.sum(v * 2))
    10.0
    """

    def __init__(
        self,
        initializer,
        shape=None,
        dtype=None,
        trainable=True,
        autocast=True,
        aggregation="none",
        synchronization="auto",
        name=None,
        layout=None,
        **kwargs,
    ):
        name = name or auto_name(type(self).__name__)
        if not isinstance(name, str) or "/" in name:
            raise ValueError(expected("Variable's name", "a string without '/'", name))
        self.name = name
        self.path = "/".join([*current().names, name])
        self.aggregation = one_of(
            "aggregation", aggregation, (None, "none", "mean", "sum", "only_first_replica")
        )
        self.synchronization = synchronization
        self.overwrite_with_gradient = False
        self._trainable = bool(trainable)
        self.trainable_by_design = self._trainable  # unfreezing a layer leaves the others frozen
        self._autocast = bool(autocast)
        self._layout = layout
        self._regularizer = None
        self._constraint = None
        self._owner = None  # who holds the array while a training loop runs
        if isinstance(initializer, str):
            initializer = objects.get("initializers", initializer)
        if callable(initializer) and not hasattr(initializer, "__array__"):
            if shape is None:
                raise ValueError(
                    f"Variable {self.path}: an initializer that is a function needs a shape; "
                    "received shape=None."
                )
            shape = self._check_shape(shape)
            self._dtype = dtypes.standardize_dtype(dtype)
            self._count(shape)
            # In a traced function (a layer built by its first call) this makes a real array. With
            # `ensure_compile_time_eval`, programs of random numbers would hold large constants,
            # and take twice as long to compile.
            with eval_context():
                value = jnp.asarray(initializer(shape, dtype=self._dtype), dtype=self._dtype)
        else:
            if dtype is None:
                dtype = dtypes.of(initializer)
                if dtype in (bool, int, float):
                    dtype = dtypes.standardize_dtype(dtype)
            self._dtype = dtypes.standardize_dtype(dtype)
            if (
                dtype is not None
                and self._dtype in ("float64", "int64")
                and not dtypes.has_64_bits()
            ):
                self._dtype = self._dtype[:-2] + "32"
            if is_loading():
                self._count(np.asarray(_plain(initializer)).shape)
            with jax.ensure_compile_time_eval():
                # A copy: the caller may change his array, and a training step frees ours.
                value = jnp.array(_plain(initializer), dtype=self._dtype)
        if shape is not None and tuple(value.shape) != tuple(shape):
            raise ValueError(
                f"Variable {self.path}: the initial value has shape {tuple(value.shape)}, "
                f"but shape={tuple(shape)} was asked for."
            )
        if layout is not None:
            value = jax.device_put(value, layout)
        self._array = value

    def _count(self, shape):
        """Refuse a variable that is more than a file may ask for, before anything is allocated."""
        if is_loading():
            itemsize = np.dtype(dtypes.numpy_dtype(self._dtype)).itemsize
            count_variable(f"the variable '{self.path}'", shape, itemsize)

    def _check_shape(self, shape):
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        for size in shape:
            if not isinstance(size, (int, np.integer)) or size < 0:
                raise ValueError(
                    expected(
                        f"Variable {self.path}: shape",
                        "made of known sizes",
                        shape,
                        "An unknown size (None) can't be allocated; give the layer an input "
                        "whose size along that axis is known.",
                    )
                )
        return tuple(int(size) for size in shape)

    # Reading and writing ---------------------------------------------------------------------

    @property
    def value(self):
        """The array, in the compute dtype when a layer of mixed precision is running."""
        return self.read_as(current().autocast, self._uncast())

    def read_as(self, autocast, value):
        """`value` in the dtype `autocast` (or as it is for `None`), for float variables."""
        if autocast is None or not self._autocast or autocast == self._dtype:
            return value
        return value.astype(autocast) if dtypes.is_float_dtype(self._dtype) else value

    def check_value(self, value):
        """`value` as an array of this variable's dtype, or an error if the shape differs."""
        if not (
            isinstance(value, jax.Array)
            and value.dtype == self._array.dtype
            and not value.weak_type
        ):  # converting an array to what it is takes 15 µs, which adds up in large models
            value = jnp.asarray(_plain(value), dtype=self._dtype)
        if value.shape != self._array.shape:
            raise ValueError(
                f"Variable {self.path} has shape {self.shape}; received a value of shape "
                f"{tuple(value.shape)}. A variable's shape never changes."
            )
        return value

    def assign(self, value):
        """Replace the value; returns it.

        Raises:
            ValueError: if the shape differs.
        """
        value = self.check_value(value)
        values = current().values
        if values is not None:
            values[self] = value
        elif isinstance(value, Tracer):
            raise RuntimeError(_MSG_TRACED_ASSIGN.format(path=self.path))
        elif self._owner is not None:
            self._owner.write(self, value)
        else:
            self._array = value
        return value

    def assign_add(self, value):
        """Add `value` to the variable; returns the sum."""
        # In its own dtype: a sum in half precision would lose small updates.
        return self.assign(self._uncast() + jnp.asarray(_plain(value), dtype=self._dtype))

    def assign_sub(self, value):
        """Subtract `value` from the variable; returns the difference."""
        return self.assign(self._uncast() - jnp.asarray(_plain(value), dtype=self._dtype))

    def _uncast(self):
        frame = current()
        if frame.values is not None:
            if (value := frame.values.get(self)) is not None:
                return value
            if frame.unbound is not None:
                frame.unbound[self] = None
        return self._array if self._owner is None else self._owner.read(self)

    def numpy(self):
        """The value as a NumPy array."""
        return np.asarray(self.value)

    # What it is ------------------------------------------------------------------------------

    @property
    def dtype(self):
        """The number type that it is read in, as a string."""
        autocast = current().autocast
        if autocast is None or not self._autocast or not dtypes.is_float_dtype(self._dtype):
            return self._dtype
        return autocast

    @property
    def shape(self):
        """Tuple of ints."""
        return tuple(self._array.shape)

    @property
    def ndim(self):
        """The number of axes."""
        return self._array.ndim

    @property
    def size(self):
        """The number of elements."""
        return self._array.size

    @property
    def trainable(self):
        """Whether optimizers change it."""
        return self._trainable

    @trainable.setter
    def trainable(self, value):
        self._trainable = bool(value)

    @property
    def regularizer(self):
        """Function of the value whose result is added to the training loss, or `None`."""
        return self._regularizer

    @regularizer.setter
    def regularizer(self, value):
        self._regularizer = _callable_or_none(self, "regularizer", value)

    @property
    def constraint(self):
        """Function applied to the value after every optimizer step, or `None`."""
        return self._constraint

    @constraint.setter
    def constraint(self, value):
        self._constraint = _callable_or_none(self, "constraint", value)

    def __repr__(self):
        value = None if current().values is not None else self._uncast()
        shown = "" if value is None else f", value={np.asarray(value)}"
        return f"<Variable path={self.path}, shape={self.shape}, dtype={self._dtype}{shown}>"

    # Protocols -------------------------------------------------------------------------------

    # Operators compare values, so that a dict finds a variable by identity, as it finds arrays'
    # owners: two variables are never the same key.
    __hash__ = object.__hash__

    __neg__ = _unary(operator.neg)
    __pos__ = _unary(operator.pos)
    __abs__ = _unary(operator.abs)
    __invert__ = _unary(operator.invert)

    __eq__ = _binary(operator.eq)
    __ne__ = _binary(operator.ne)
    __lt__ = _binary(operator.lt)
    __le__ = _binary(operator.le)
    __gt__ = _binary(operator.gt)
    __ge__ = _binary(operator.ge)

    __add__, __radd__ = _both_ways(operator.add)
    __sub__, __rsub__ = _both_ways(operator.sub)
    __mul__, __rmul__ = _both_ways(operator.mul)
    __truediv__, __rtruediv__ = _both_ways(operator.truediv)
    __floordiv__, __rfloordiv__ = _both_ways(operator.floordiv)
    __mod__, __rmod__ = _both_ways(operator.mod)
    __pow__, __rpow__ = _both_ways(operator.pow)
    __matmul__, __rmatmul__ = _both_ways(operator.matmul)
    __and__, __rand__ = _both_ways(operator.and_)
    __or__, __ror__ = _both_ways(operator.or_)
    __xor__, __rxor__ = _both_ways(operator.xor)

    def __jax_array__(self):
        return self.value

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.value, dtype=dtype)

    def __len__(self):
        return len(self.value)

    def __iter__(self):
        return iter(self.value)

    def __getitem__(self, index):
        return self.value[_plain(index)]

    def __bool__(self):
        return bool(self.value)

    def __int__(self):
        return int(self.value)

    def __float__(self):
        return float(self.value)

    def __index__(self):
        return operator.index(self.value)

    def __round__(self, ndigits=None):
        return round(self.value, ndigits or 0)

    def __deepcopy__(self, memo):
        copy = object.__new__(type(self))
        memo[id(self)] = copy
        vars(copy).update(vars(self), _array=jnp.copy(self._uncast()), _owner=None)
        return copy


# JAX's functions (most are jitted) take a tree of arrays apart before they look at it. To them a
# variable is a tree of one array, which they put together again as that array.
def _put_together(_, leaves) -> Any:
    return leaves[0]


jax.tree_util.register_pytree_node(Variable, lambda v: ((v.value,), None), _put_together)


def _callable_or_none(variable, what, value):
    if value is not None and not callable(value):
        raise ValueError(expected(f"Variable {variable.path}: {what}", "callable", value))
    return value
