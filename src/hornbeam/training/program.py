"""Turning a step, written as plain code over variables, into one compiled loop.

A step is a function of a batch that reads and assigns variables and returns logs or predictions.
It is traced once, as a pure function of the values of all variables that it touches. The compiled
program runs it in a loop over stacked batches: one dispatch for one step or for many, and the same
body however many they are, so that fusing steps changes no bit of the result.
"""

import functools
import time

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import eval_jaxpr

from ..core.scope import enter
from ..layers._leaks import refuse_tracers
from .interrupts import uninterrupted
from .state import array_of

_RESULT_BYTES = 1 << 24  # what the results of all steps of one call may take
_MOMENT = 0.05  # seconds: the progress bar and Ctrl-C should stay quick


class Program:
    """A step, compiled for batches of one kind.

    Args:
        step: function of a batch.
        variables: the variables it is expected to touch; others are found by tracing.
        batches: batches like those to come, stacked, as a tree of `jax.ShapeDtypeStruct`.
        at_once: how many steps one call has to be able to run, however large their results.

    Attributes:
        width: how many steps one call can run: as many as there are stacked batches, or fewer if
            their results (predictions, say) would take too much memory.
        pace: how many steps take a moment together; `None` until `run_timed` has found out.
    """

    def __init__(self, step, variables, batches, at_once=1):
        stacked = jax.tree.leaves(batches)[0].shape[0]
        batch = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), batches)
        traced = trace(step, variables, batch)
        self.read, self.written = traced.read, traced.written
        size = sum(s.size * s.dtype.itemsize for s in jax.tree.leaves(traced.results))
        self.width = min(stacked, max(at_once, _RESULT_BYTES // max(size, 1)))
        self.pace, self._seconds = None, None

        def specs(variables):
            return [jax.ShapeDtypeStruct(v.shape, v._array.dtype) for v in variables]

        loop = jax.jit(functools.partial(_loop, traced, self.width), donate_argnums=0)
        number = jax.ShapeDtypeStruct((), np.dtype("int32"))
        lowered = loop.lower(specs(self.written), specs(self.read), batches, number, number)
        self._compiled = lowered.compile()

    def run(self, state, batches, start, count):
        """Run the step on some of the stacked batches, one after the other.

        Args:
            state: the `RunningState` that has taken `self.written`.
            batches: tree of arrays, stacked along their first axis.
            start: number of the first one.
            count: how many; at most `width`.

        Returns:
            A tree of arrays `[width, …]`: the results, of which the first `count` are meant.
        """
        written, read = state.get(self.written), [array_of(v) for v in self.read]
        start, count = _on_device(start), _on_device(count)
        with uninterrupted():
            values, results = self._compiled(written, read, batches, start, count)
            state.update(self.written, values)
        return results

    def run_timed(self, state, batches, start, count):
        """Run steps and wait for them, to find the pace.

        The first call is slow, and others may be slowed down by whatever else the machine does: it
        takes two for a pace, and the fastest of all counts.
        """
        jax.block_until_ready(state.get(self.written))
        began = time.perf_counter()
        results = jax.block_until_ready(self.run(state, batches, start, count))
        seconds = (time.perf_counter() - began) / count
        if self._seconds is None:
            self._seconds = seconds
        else:
            self._seconds = min(self._seconds, seconds)
            self.pace = max(1, int(_MOMENT / self._seconds))
        return results


@functools.lru_cache(maxsize=256)
def _on_device(n):
    """An int32, kept: moving it anew would cost as much as a small step."""
    return jnp.int32(n)


class _Traced:
    """A step as a pure function: `traced(written values, read values, batch)`."""

    def __init__(self, function, results, variables, written):
        self.function, self.written = function, written
        self.results = results  # tree of `jax.ShapeDtypeStruct`
        changed = set(written)
        self.read = [v for v in variables if v not in changed]
        place = {v: (True, i) for i, v in enumerate(written)}
        place.update({v: (False, i) for i, v in enumerate(self.read)})
        self.places = [place[v] for v in variables]

    def __call__(self, written, read, batch):
        values = [(written if changed else read)[i] for changed, i in self.places]
        flat = self.function(*values, *jax.tree.leaves(batch))
        n = len(self.written)
        return list(flat[:n]), jax.tree.unflatten(jax.tree.structure(self.results), flat[n:])


def trace(step, variables, batch):
    """Trace `step` once; again only if it touches variables that `variables` lacks."""
    variables = list(dict.fromkeys(variables))
    while True:
        written, unbound = [], {}

        def pure(values, batch, variables=variables, written=written, unbound=unbound):
            start = dict(zip(variables, values, strict=True))
            now = dict(start)
            with enter(values=now, losses=[], unbound=unbound):
                results = jax.tree.map(jnp.asarray, step(batch))
            written[:] = [v for v, x in now.items() if start.get(v) is not x]
            return [now[v] for v in written], results

        specs = [jax.ShapeDtypeStruct(v.shape, v._array.dtype) for v in variables]
        closed, (_, results) = jax.make_jaxpr(pure, return_shape=True)(specs, batch)
        refuse_tracers(closed.consts)
        missed = [v for v in (*unbound, *written) if v not in set(variables)]
        if not missed:
            function = functools.partial(eval_jaxpr, closed.jaxpr, closed.consts)
            return _Traced(function, results, variables, written)
        variables += dict.fromkeys(missed)


def _loop(traced, width, written, read, batches, start, count):
    batch_at = lambda i: jax.tree.map(
        lambda a: jax.lax.dynamic_index_in_dim(a, i, keepdims=False), batches
    )

    def body(i, carry):
        written, results = carry
        written, result = traced(written, read, batch_at(start + i))
        put = lambda all, one: jax.lax.dynamic_update_index_in_dim(all, one, i, 0)
        return written, jax.tree.map(put, results, result)

    results = jax.tree.map(lambda s: jnp.zeros((width, *s.shape), s.dtype), traced.results)
    return jax.lax.fori_loop(0, count, body, (written, results))
