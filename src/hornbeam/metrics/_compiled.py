"""Updates of metrics as one compiled call, in place of a dispatch for each operation."""

import functools

import jax
import numpy as np
from jax.core import Tracer

from ..core import masks, objects, settings
from ..core.scope import bind, current, enter, functionalize
from ..core.variable import Variable
from ..losses._base import as_leaves


def compiled(update):
    """Turn a method that changes the metric's variables into one compiled call.

    Metrics made with equal arguments share a program. Where something else is traced already, and
    in metrics that hold code or attributes of a user, which may do anything, the method runs as
    it is written.
    """

    @functools.wraps(update)
    def run(self, *args, **kwargs):
        args, kwargs = tuple(map(as_leaves, args)), {k: as_leaves(v) for k, v in kwargs.items()}
        leaves, treedef = jax.tree.flatten((args, kwargs))
        traced = current().values is not None or any(isinstance(x, Tracer) for x in leaves)
        if traced or (arguments := _arguments(self)) is None:
            update(self, *args, **kwargs)
            return
        function = functools.partial(update, self)
        if not self.built:
            with bind({}):  # makes the variables, and changes none
                jax.eval_shape(function, *args, **kwargs)
        variables = list(self._initial_values)
        with enter(autocast=None):
            old = [v.value for v in variables]
        key = update, treedef, arguments, settings.floatx(), settings.epsilon()
        program = _Program(function, variables, treedef, key)
        leaf_masks = [masks.get_mask(x) for x in leaves]
        for variable, value in zip(variables, _run(program, old, leaves, leaf_masks), strict=True):
            variable.assign(value)

    return run


class _Program:
    """A function over variables; the same as any other with an equal `key`."""

    __slots__ = ("function", "key", "treedef", "variables")

    def __init__(self, function, variables, treedef, key):
        self.function, self.variables, self.treedef, self.key = function, variables, treedef, key

    def __hash__(self):
        return hash(self.key)

    def __eq__(self, other):
        return self.key == other.key


@functools.partial(jax.jit, static_argnums=0)
def _run(program, values, leaves, leaf_masks):
    """The values that the variables have after the update."""
    for leaf, mask in zip(leaves, leaf_masks, strict=True):
        if mask is not None:
            masks.set_mask(leaf, mask)
    args, kwargs = jax.tree.unflatten(program.treedef, leaves)
    return functionalize(program.function, program.variables)(values, *args, **kwargs)[1]


def _arguments(metric):
    """What makes a metric of hornbeam the one it is, hashable; `None` if that holds other code.

    `Metric.__setattr__` forgets it.
    """
    if "_key" not in vars(metric):
        plain = {
            name: value
            for name, value in vars(metric).items()
            if name not in ("name", "_initial_values") and not isinstance(value, Variable)
        }
        leaves, treedef = jax.tree.flatten(plain)
        own = all(objects.is_ours(x) for x in [type(metric), *filter(callable, leaves)])
        key = type(metric), treedef, tuple(map(_hashable, leaves))
        vars(metric)["_key"] = key if own else None
    return vars(metric)["_key"]


def _hashable(x):
    if not hasattr(x, "__array__"):
        return x
    x = np.asarray(x)
    return x.dtype, x.shape, x.tobytes()
