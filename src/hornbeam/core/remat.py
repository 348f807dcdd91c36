"""Rematerialization: computing values again in the backward pass instead of keeping them.

`jax.checkpoint` does it for pure functions. Here, functions may read and assign variables and add
losses, as `call` does; what they assign leaves the recomputed part as results of it.
"""

import functools

import jax
import jax.numpy as jnp

from . import masks
from .scope import bind, current


def remat(f):
    """A function like `f` whose intermediate values are computed again in the backward pass.

    Args:
        f: function of arrays; it may read and assign variables, and call layers.

    Example:

    >>> @keras.remat
    ... def block(x):
    ...     return jnp.sin(jnp.sin(x))
    >>> float(jax.grad(block)(0.0))
    1.0
    """

    @functools.wraps(f, updated=())  # a layer has attributes of its own
    def run(*args, **kwargs):
        return rematerialize(functools.partial(f, *args, **kwargs))

    return run


def rematerialize(fn):
    """`fn()`, computed again in the backward pass; what `fn` closes over is kept."""
    outer, sink = current().values, current().losses
    written, added = [], []

    def pure():
        losses = []
        with bind(outer or {}, losses=losses) as now:
            outputs = jax.tree.map(jnp.asarray, fn())
        written[:] = [v for v, x in now.items() if (outer or {}).get(v) is not x]
        added[:] = [layer for layer, _ in losses]
        state = [now[v] for v in written], [jnp.asarray(value) for _, value in losses]
        return outputs, jax.tree.map(masks.get_mask, outputs), state

    outputs, output_masks, (values, losses) = jax.checkpoint(pure)()
    for variable, value in zip(written, values, strict=True):
        variable.assign(value)
    for layer, loss in zip(added, losses, strict=True):
        (layer._losses if sink is None else sink).append((layer, loss))
    leaves, treedef = jax.tree.flatten(outputs)
    for x, mask in zip(leaves, treedef.flatten_up_to(output_masks), strict=True):
        if mask is not None:
            masks.set_mask(x, mask)
    return outputs
