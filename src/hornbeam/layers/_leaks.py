"""Who stored a traced value, so that an error about it can say so.

Inside `call`, values are often tracers of JAX, which mean nothing once the trace is over. A layer
that keeps one (`self.last = x`) fails later, somewhere else. So the line that stores one is
remembered, and named by the errors that may come of it.
"""

import sys
import weakref

import jax
from jax.core import Tracer
from jax.errors import TracerArrayConversionError, UnexpectedTracerError

from ..core.messages import shown
from ..core.scope import current

_stored = weakref.WeakKeyDictionary()  # {layer: {attribute: "file:line"}}

_MSG_LEAKED = """\
Attribute '{name}' of layer '{path}' ({cls}) holds a value of an earlier trace. It was stored in \
{where}, and means nothing outside of the call that stored it. Return it, or keep it in a \
variable: `self.{name} = self.add_weight(...)` in `build`, `self.{name}.assign(...)` in `call`."""

_MSG_USED = """\
The step uses a value of an earlier trace ({shown}), which was kept somewhere else than in an \
attribute of a layer. Code that runs in a step must keep what it computes in variables only."""


def is_traced(value):
    """Whether a value is a tracer or, while a layer's `call` runs, a container that holds one."""
    if isinstance(value, Tracer):
        return True
    # Elsewhere containers may be large, such as vocabularies.
    return (
        isinstance(value, (list, tuple, dict))
        and current().layer is not None
        and next(_tracers_in(value), None) is not None
    )


def _tracers_in(value):
    if isinstance(value, Tracer):
        yield value
    elif isinstance(value, (list, tuple)):
        for x in value:
            yield from _tracers_in(x)
    elif isinstance(value, dict):
        for x in value.values():
            yield from _tracers_in(x)


def remember(layer, name):
    """Remember the line that sets an attribute; called by the layer's `__setattr__`."""
    frame = sys._getframe(1)
    while frame.f_code.co_name == "__setattr__" and frame.f_back is not None:
        frame = frame.f_back
    where = f"{frame.f_code.co_filename}, line {frame.f_lineno}"
    _stored.setdefault(layer, {})[name] = where


def explain_leaks(error, layer=None, arguments=()):
    """Add notes to an error that stored tracers may be the reason of.

    Errors about tracers may come from the attributes of any layer. Others (a tracer may have
    another shape, too) only from those of `layer`, in whose call they were raised; what was stored
    in the trace that its `arguments` belong to is still alive.
    """
    about_tracers = isinstance(error, (UnexpectedTracerError, TracerArrayConversionError))
    alive = {_trace_of(x) for x in jax.tree.leaves(arguments)}
    for holder, name, value in _holders():
        if (about_tracers or holder is layer) and _trace_of(value) not in alive:
            note = _described(holder, name)
            if note not in getattr(error, "__notes__", ()):
                error.add_note(note)


def refuse_tracers(constants):
    """Raise an error if there is a tracer among the constants of a program that was traced.

    Raises:
        jax.errors.UnexpectedTracerError: it names the layer, the attribute, and the line.
    """
    for value in constants:
        if isinstance(value, Tracer):
            found = [_described(h, n) for h, n, x in _holders() if x is value]
            text = found[0] if found else _MSG_USED.format(shown=shown(value))
            raise UnexpectedTracerError(text)


def _holders():
    """`(layer, attribute, tracer)` of all that was remembered and is still there."""
    for layer, names in list(_stored.items()):
        for name in names:
            for value in _tracers_in(vars(layer).get(name)):
                yield layer, name, value


def _described(layer, name):
    where = _stored[layer][name]
    cls = type(layer).__name__
    return _MSG_LEAKED.format(name=name, path=layer.path, cls=cls, where=where)


def _trace_of(tracer):
    return getattr(tracer, "_trace", None)
