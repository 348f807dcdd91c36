"""Code over variables, traced as a pure function of the values of those that it touches."""

import functools

import jax
import jax.numpy as jnp
from jax.core import eval_jaxpr

from .scope import enter


class Traced:
    """Such a function: `traced(written values, read values, argument)`.

    Attributes:
        written, read: the variables whose values it takes. It returns
            `(new values of the written ones, results)`.
        results: the results, as a tree of `jax.ShapeDtypeStruct`.
        constants: arrays that are part of it.
    """

    def __init__(self, closed, results, variables, written):
        self.results, self.written, self.constants = results, written, closed.consts
        self._function = functools.partial(eval_jaxpr, closed.jaxpr, closed.consts)
        changed = set(written)
        self.read = [v for v in variables if v not in changed]
        place = {v: (True, i) for i, v in enumerate(written)}
        place.update({v: (False, i) for i, v in enumerate(self.read)})
        self._places = [place[v] for v in variables]

    def __call__(self, written, read, argument):
        values = [(written if changed else read)[i] for changed, i in self._places]
        flat = self._function(*values, *jax.tree.leaves(argument))
        n = len(self.written)
        return list(flat[:n]), jax.tree.unflatten(jax.tree.structure(self.results), flat[n:])


def trace(function, variables, argument):
    """Trace `function(argument)` once; again only if it touches variables that `variables` lacks.

    Args:
        function: it reads and assigns variables, and returns a tree of arrays.
        variables: those it is expected to touch.
        argument: tree of `jax.ShapeDtypeStruct`.

    Returns:
        A `Traced`.
    """
    variables = list(dict.fromkeys(variables))
    while True:
        written, unbound = [], {}

        def pure(values, argument, variables=variables, written=written, unbound=unbound):
            start = dict(zip(variables, values, strict=True))
            now = dict(start)
            with enter(values=now, losses=[], unbound=unbound):
                results = jax.tree.map(jnp.asarray, function(argument))
            written[:] = [v for v, x in now.items() if start.get(v) is not x]
            return [now[v] for v in written], results

        specs = [jax.ShapeDtypeStruct(v.shape, v._array.dtype) for v in variables]
        closed, (_, results) = jax.make_jaxpr(pure, return_shape=True)(specs, argument)
        missed = [v for v in (*unbound, *written) if v not in set(variables)]
        if not missed:
            return Traced(closed, results, variables, written)
        variables += dict.fromkeys(missed)
