"""The one context frame: everything that is ambient while layers compute.

A frame is a record on one stack (a context variable, so threads don't see each other's). It says
which value each variable has at the moment, whether training is going on, in which dtype to
compute, where in the model we are, and where losses are collected. Tracing a model as a pure
function, mixed precision, name scopes and `StatelessScope` are all frames.
"""

import contextvars
from collections import ChainMap

import jax
import jax.numpy as jnp


class Frame:
    """What is ambient now. Never changed once made, except for the dicts and lists it points to."""

    __slots__ = (
        "autocast",
        "layer",
        "losses",
        "names",
        "remat",
        "scaling",
        "training",
        "unbound",
        "values",
        "watch",
    )

    def __init__(
        self,
        values=None,
        losses=None,
        autocast=None,
        names=(),
        training=None,
        layer=None,
        unbound=None,
        remat=None,
        watch=None,
        scaling=None,
    ):
        self.values = values  # {Variable: value now}, or None: variables hold their own
        self.losses = losses  # list that `Layer.add_loss` appends (layer, value) to, or None
        self.autocast = autocast  # dtype that float variables are read in, or None
        self.names = names  # name scopes from the outside in, as strings
        self.training = training  # whether layers train, or None where nobody said
        self.layer = layer  # the layer whose `call` is running, or None
        self.unbound = unbound  # dict: its keys are the variables read though not in `values`
        self.remat = remat  # which of the layers made now are rematerialized (core/remat.py)
        self.watch = watch  # function that sees what is computed, or None: see `watched`
        self.scaling = scaling  # the `LossScaling` of a step (optimizers/_wrappers.py), or None


_current = contextvars.ContextVar("hornbeam_frame", default=Frame())  # noqa: B039

current = _current.get  # `current()` is the frame in force


def watched(owner, what, values):
    """`values`, or what the frame's `watch` makes of them: `watch(owner, what, values)`.

    Args:
        owner: the operation, loss or variable that the values belong to, or `None`.
        what: `"inputs"`, `"outputs"`, `"values"` (of a loss, per sample), `"loss"` or `"gradient"`.
        values: a tree of arrays; of inputs, a dict of them by the names of the arguments.
    """
    watch = _current.get().watch
    return values if watch is None else watch(owner, what, values)


class enter:
    """Context manager: a frame like the current one, with some fields replaced.

    Written as a class because every eager layer call enters one: a generator costs 1 µs more.
    """

    __slots__ = ("changes", "frame", "token")

    def __init__(self, **changes):
        self.changes = changes

    def __enter__(self):
        old, frame = _current.get(), Frame.__new__(Frame)
        for field in Frame.__slots__:
            setattr(frame, field, getattr(old, field))
        for field, value in self.changes.items():
            setattr(frame, field, value)
        self.token = _current.set(frame)
        self.frame = frame
        return frame

    def __exit__(self, *_):
        _current.reset(self.token)


class bind(enter):
    """Context manager: read and write variables through a copy of the dict `values`.

    Yields the copy, which holds every value written meanwhile. Variables that are absent from
    `values` keep being read from their own arrays, but are never written.
    """

    __slots__ = ("values",)

    def __init__(self, values, losses=None):
        self.values = dict(values)
        super().__init__(values=self.values, losses=losses)

    def __enter__(self):
        super().__enter__()
        return self.values


def functionalize(fn, variables):
    """Turn code that reads and assigns `variables` into a pure function.

    Returns `pure(values, *args, **kwargs) -> (fn(*args, **kwargs), new_values)`, where `values`
    is a list parallel to `variables`. jit, grad, scan, vmap and sharding all work on it.
    """
    variables = list(variables)

    def pure(values, *args, **kwargs):
        with bind(zip(variables, values, strict=True)) as now:
            outputs = fn(*args, **kwargs)
        return outputs, [now[v] for v in variables]

    return pure


def value_and_grad(fn, variables, has_aux=False):
    """A function that computes `fn` and its gradients with respect to `variables`.

    The plain way to write a training step: `fn` reads variables, calls layers and assigns
    variables as usual; what it assigns (moving averages, random states, metrics) is kept. In a
    `train_step(self, data)` of a model that computes in float16, it scales the loss for its
    `LossScaleOptimizer`, and the gradients back.

    Args:
        fn: function returning a scalar, or `(scalar, anything)` with `has_aux`.
        variables: the `Variable`s to differentiate with respect to, usually
            `model.trainable_variables`.
        has_aux: whether `fn` returns a pair.

    Returns:
        A function of `fn`'s arguments that returns `(fn(...), gradients)`, the gradients a list
        parallel to `variables`.

    Example:

    >>> w = keras.Variable(3.0)
    >>> loss, (gradient,) = keras.value_and_grad(lambda x: x * w**2, [w])(2.0)
    >>> float(loss), float(gradient)
    (18.0, 12.0)
    """
    variables = list(variables)

    def run(*args, **kwargs):
        outer = current().values or {}
        written = []

        def pure(values):
            start = {**outer, **dict(zip(variables, values, strict=True))}
            with bind(start, losses=[]) as now:
                result = fn(*args, **kwargs)
            loss, aux = result if has_aux else (result, None)
            loss = watched(None, "loss", loss)
            written[:] = [v for v, x in now.items() if start.get(v) is not x]
            return jnp.asarray(loss), (aux, [now[v] for v in written])

        with enter(autocast=None):
            values = [v.value for v in variables]
        scaling = current().scaling
        if scaling is None:
            (loss, (aux, new)), grads = jax.value_and_grad(pure, has_aux=True)(values)
        else:
            (loss, (aux, new)), grads = scaling.value_and_grad(pure, values, variables)
        grads = [watched(v, "gradient", g) for v, g in zip(variables, grads, strict=True)]
        for variable, value in zip(written, new, strict=True):
            variable.assign(value)
        return ((loss, aux) if has_aux else loss), grads

    return run


class StatelessScope:
    """Context in which variables have the values you give, and writes go to the scope.

    Args:
        state_mapping: pairs `(variable, value)`: what `variable` reads as inside.
        collect_losses: whether `losses` collects what layers pass to `add_loss`.
        initialize_variables: accepted for compatibility; variables made inside always get their
            initial value at once.

    Example:

    >>> v = keras.Variable(1.0)
    >>> with keras.StatelessScope([(v, jnp.asarray(5.0))]) as scope:
    ...     v.assign(v + 1)
    Array(6., dtype=float32)
    >>> float(scope.get_current_value(v)), float(v)
    (6.0, 1.0)
    """

    def __init__(self, state_mapping=None, collect_losses=False, initialize_variables=True):
        self.collect_losses = collect_losses
        self.initialize_variables = initialize_variables
        self.losses = []
        self.state_mapping = {}
        for variable, value in state_mapping or ():
            self.add_update((variable, value))

    def add_loss(self, loss):
        """Collect a loss value."""
        self.losses.append(loss)

    def add_update(self, update):
        """Set the value that a variable has inside: `update` is `(variable, value)`."""
        variable, value = update
        if not hasattr(variable, "read_as"):
            raise ValueError(
                f"StatelessScope binds Variables; received a {type(variable).__name__}."
            )
        self.state_mapping[variable] = variable.check_value(value)

    def get_current_value(self, variable):
        """The value of `variable` inside, or `None` if it has neither been given nor written."""
        return self.state_mapping.get(variable)

    def __enter__(self):
        self._losses = _LossSink(self) if self.collect_losses else None
        # What isn't given is read as it is outside; what is written stays here.
        values = ChainMap(self.state_mapping, current().values or {})
        self._frame = enter(values=values, losses=self._losses)
        self._frame.__enter__()
        return self

    def __exit__(self, *exc):
        self._frame.__exit__(*exc)


class _LossSink(list):
    """The list that layers append `(layer, loss)` to, feeding a scope's plain `losses`."""

    def __init__(self, scope):
        self.scope = scope

    def append(self, pair):
        super().append(pair)
        self.scope.add_loss(pair[1])


class SymbolicScope(enter):
    """Context manager that marks code in which only shapes matter.

    Accepted for compatibility: nothing depends on it, since shapes are found by tracing.
    """

    __slots__ = ()

    def __init__(self, *args, **kwargs):
        super().__init__()


class name_scope(enter):
    """Context manager: variables made inside get `name/` before their own name.

    Example:

    >>> with keras.name_scope("encoder"):
    ...     keras.Variable(0.0, name="gain").path
    'encoder/gain'
    """

    __slots__ = ("name",)

    def __init__(self, name, **kwargs):
        if not name or "/" in name:
            raise ValueError(f"A scope's name should be a string without '/'; received {name!r}.")
        self.name = name

    def __enter__(self):
        self.changes = {"names": (*current().names, self.name)}
        super().__enter__()
        return self


def current_path():
    """The names of the enclosing scopes, joined by `/`."""
    return "/".join(current().names)
