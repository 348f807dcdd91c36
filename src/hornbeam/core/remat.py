"""Rematerialization: computing values again in the backward pass instead of keeping them.

`jax.checkpoint` does it for pure functions. Here, functions may read and assign variables and add
losses, as `call` does; what they assign leaves the recomputed part as results of it.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from . import masks
from .messages import one_of
from .scope import bind, current, enter

_MODES = ("full", "activations", "larger_than", "list_of_layers", None)


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


def rematerialize(fn, policy=None, if_larger_than=None):
    """`fn()`, computed again in the backward pass.

    Args:
        fn: function without arguments; what it closes over is kept.
        policy: what is kept all the same, as in `jax.checkpoint`.
        if_larger_than: the number of elements of the outputs up to which nothing is recomputed.
    """
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

    if if_larger_than is not None and not _exceeds(jax.eval_shape(pure)[0], if_larger_than):
        return fn()
    outputs, output_masks, (values, losses) = jax.checkpoint(pure, policy=policy)()
    for variable, value in zip(written, values, strict=True):
        variable.assign(value)
    for layer, loss in zip(added, losses, strict=True):
        (layer._losses if sink is None else sink).append((layer, loss))
    leaves, treedef = jax.tree.flatten(outputs)
    for x, mask in zip(leaves, treedef.flatten_up_to(output_masks), strict=True):
        if mask is not None:
            masks.set_mask(x, mask)
    return outputs


def _exceeds(outputs, threshold):
    """Whether the outputs have more elements than `threshold`; unknown sizes don't count."""
    shapes = [x.shape for x in jax.tree.leaves(outputs)]
    return sum(math.prod(n for n in s if isinstance(n, int)) for s in shapes) > threshold


# Which layers -------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class RematMode:
    """Which layers are rematerialized."""

    mode: str | None
    output_size_threshold: int
    layer_names: Sequence[str]


class RematScope(enter):
    """Context manager: layers made inside compute values again instead of keeping them.

    In training, the backward pass needs what the forward pass computed. Keeping it takes memory;
    computing it again takes time, about as much as a forward pass for what is rematerialized.

    Args:
        mode: `"full"`: all layers. `"activations"`: layers with an activation keep only the results
            of matrix products and convolutions. `"larger_than"`: layers whose outputs have more
            elements than `output_size_threshold`. `"list_of_layers"`: layers of the names
            `layer_names`. `None`: no layers, inside another scope.
        output_size_threshold: number of elements of a layer's outputs, the batch included.
        layer_names: list of names.

    Reference: [Chen et al., 2016](https://arxiv.org/abs/1604.06174)

    Example:

    >>> with keras.RematScope(mode="larger_than", output_size_threshold=10_000):
    ...     model = keras.Sequential([keras.layers.Dense(64, "relu"), keras.layers.Dense(1)])
    """

    __slots__ = ()

    def __init__(self, mode="full", output_size_threshold=1024, layer_names=None):
        one_of("RematScope's mode", mode, _MODES)
        super().__init__(remat=RematMode(mode, output_size_threshold, layer_names or ()))


def only_products(primitive, *_, **__):
    """Policy: matrix products and convolutions are kept, what is cheap is computed again."""
    return primitive in (jax.lax.dot_general_p, jax.lax.conv_general_dilated_p)


def run_layer(layer, mode, fn):
    """`fn()`, a call of the layer, rematerialized as the scope wants it that it was made in."""
    if mode is None or mode.mode is None:
        return fn()
    if mode.mode == "activations":
        has_one = getattr(layer, "activation", None) is not None
        return rematerialize(fn, policy=only_products) if has_one else fn()
    if mode.mode == "list_of_layers":
        return rematerialize(fn) if layer.name in mode.layer_names else fn()
    threshold = mode.output_size_threshold if mode.mode == "larger_than" else None
    return rematerialize(fn, if_larger_than=threshold)
