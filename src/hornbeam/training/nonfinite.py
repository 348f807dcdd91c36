"""Which value of a step is the first that isn't finite: layer, row, step."""

import contextvars
import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ..core import masks
from ..core.scope import enter
from ..core.tree import flatten_with_path
from ..data import unpack


@dataclasses.dataclass(frozen=True)
class NonFinite:
    """The first value of a step that isn't finite. Its text is one sentence.

    Attributes:
        where: `"weights"` (before the step), `"data"`, `"forward"` (in a layer or an operation),
            `"loss"`, `"gradient"`, `"update"` (of weights and other variables), or `"logs"`.
        name: path of the layer or variable, or name of the part of the data or of the logs.
        place: `where` and `name` in words.
        value: the value: `nan`, `inf` or `-inf`.
        index: its index in the array.
        row: its row in the batch, or `None` where values belong to no row.
        step: number of the step in `fit`, from 1, or `None` outside.
        batch: the batch, as `(x, y, sample_weight)`.
    """

    where: str
    name: str
    place: str
    value: float
    index: tuple[int, ...]
    row: int | None = None
    step: int | None = None
    batch: Any = dataclasses.field(default=None, repr=False)

    def __str__(self):
        step = "" if self.step is None else f" of step {self.step}"
        row = "" if self.row is None else f", row {self.row} of the batch"
        index = f", at index {self.index}" if len(self.index) > (self.row is not None) else ""
        return f"The first non-finite value{step} is {self.value} in {self.place}{row}{index}."


raising = contextvars.ContextVar("raise_on_nonfinite", default=False)  # whether `Runner`s check


def error_for(found, step):
    """The error that stops a training."""
    if found is None:
        text = f"Step {step} made a value that isn't finite; run uncompiled, it makes none."
    else:
        text = str(found)
    error = FloatingPointError(text)
    error.found = found  # pyright: ignore[reportAttributeAccessIssue]
    return error


@jax.jit
def _each_finite(arrays):
    return [jnp.all(jnp.isfinite(a)) for a in arrays]


def all_finite(tree):
    """Whether all floats in a tree of arrays are finite."""
    floats = [x for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.inexact)]
    return all(map(bool, _each_finite(floats)))


def find(run_batch, values, batch, step=None):
    """Run a step on a batch with these values of the variables; returns a `NonFinite` or `None`.

    Args:
        run_batch: the step, as a function of the batch.
        values: `{Variable: array}`.
        batch: the data of the step.
        step: number of the step, to be reported.
    """
    finder = _Finder(step, batch)
    for variable, value in values.items():
        place = f"the variable '{variable.path}', before the step"
        finder.look("weights", variable.path, place, value)
    for part, data in zip(("x", "y", "sample_weight"), unpack(batch), strict=True):
        for path, value in flatten_with_path(data):
            name = "/".join([part, *map(str, path)])
            finder.look("data", name, f"the data, in {name}", value, by_row=True)
    if finder.found is None:
        now = dict(values)
        with enter(values=now, losses=[], watch=finder):
            logs = run_batch(batch)
        for variable, value in now.items():
            if value is not values.get(variable):
                place = f"the new value of the variable '{variable.path}'"
                finder.look("update", variable.path, place, value)
        for path, value in flatten_with_path(logs):
            name = "/".join(map(str, path))
            finder.look("logs", name, f"the logs, in '{name}'", value)
    return finder.found


class _Finder:
    """A frame's `watch` that remembers the first value that isn't finite.

    A forward pass is seen as it goes. For the backward pass, every input and output of a layer is
    handed on through an identity that looks at its gradient.
    """

    def __init__(self, step, batch):
        self.step, self.batch = step, batch
        self.found = None
        self.rows = next((x.shape[0] for x in jax.tree.leaves(batch) if np.ndim(x)), None)

    def __call__(self, owner, what, values):
        name = getattr(owner, "path", None) or getattr(owner, "name", "loss")
        if what == "gradient":
            where = "gradient", name, f"the gradient of the variable '{name}'"
        elif what == "loss":
            where = "loss", name, "the loss, a mean or sum over the batch"
        elif what == "values":
            where = "loss", name, f"the loss '{name}'"
        else:
            before = "what goes into " if what == "inputs" else ""
            where = "forward", name, f"the forward pass, in {before}{_named(owner)}"
        by_row = what not in ("gradient", "loss")
        for value in jax.tree.leaves(values):
            self.look(*where, value, by_row)
        if what in ("inputs", "outputs"):
            place = f"the gradient with respect to the {what} of {_named(owner)}"
            probed = lambda x: self._probed(x, name, place)
            if what == "inputs":  # by name, in an order that counts; JAX would sort them
                return {key: jax.tree.map(probed, value) for key, value in values.items()}
            return jax.tree.map(probed, values)
        return values

    def look(self, where, name, place, value, by_row=False):
        """Remember the place if `value` is the first that isn't finite."""
        if self.found is not None or not _is_float(value):
            return
        finite = jnp.isfinite(value)
        if isinstance(finite, Tracer) or np.all(finite):  # a tracer: inside of a loop
            return
        index = tuple(int(i) for i in np.argwhere(~np.asarray(finite))[0])
        # Within `grad`, `value` is a tracer, though what it stands for is known.
        signs = {"inf": jnp.isposinf, "-inf": jnp.isneginf}
        kind = next((text for text, test in signs.items() if bool(test(value)[index])), "nan")
        row = index[0] if by_row and index and np.shape(value)[0] == self.rows else None
        batch = unpack(self.batch)
        self.found = NonFinite(where, name, place, float(kind), index, row, self.step, batch)

    def _probed(self, x, name, place):
        """`x`, with a look at its gradient when that is computed."""
        if not _is_float(x):
            return x

        def backward(_, gradient):
            self.look("gradient", name, place, gradient, by_row=True)
            return (gradient,)

        probe = jax.custom_vjp(lambda x: x)
        probe.defvjp(lambda x: (x, None), backward)
        seen = probe(x)
        if (mask := masks.get_mask(x)) is not None:
            masks.set_mask(seen, mask)
        return seen


def _named(operation):
    path, kind = getattr(operation, "path", None), type(operation).__name__
    return f"layer '{path}' ({kind})" if path else f"operation '{operation.name}'"


def _is_float(x):
    return hasattr(x, "dtype") and jnp.issubdtype(x.dtype, jnp.inexact)
