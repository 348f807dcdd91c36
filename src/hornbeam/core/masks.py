"""Which rows and time steps of a tensor count: the mask that travels with it.

Arrays and symbolic tensors carry their mask in the attribute `_keras_mask`, as in Keras. Tracers
take no attributes, so theirs are kept in a table that forgets them when they die.
"""

import weakref

import jax.numpy as jnp

_of_tracers = {}  # {id(x): (weak reference to x, mask)}


def set_mask(x, mask):
    """Make `mask` (or `None`) travel with the tensor `x`."""
    try:
        x._keras_mask = mask
    except AttributeError:
        key = id(x)
        if mask is None:
            _of_tracers.pop(key, None)
        else:
            _of_tracers[key] = (weakref.ref(x, lambda _: _of_tracers.pop(key, None)), mask)


def get_mask(x):
    """The mask that travels with `x`, or `None`."""
    mask = getattr(x, "_keras_mask", None)
    if mask is None and _of_tracers:
        reference, mask = _of_tracers.get(id(x), (None, None))
        if reference is not None and reference() is not x:
            return None
    return mask


def carry_mask(inputs, output):
    """Give the result of an elementwise calculation the masks of its operands.

    Positions count in the result where they count in every operand that has a mask, as far as
    the mask still fits the result's leading axes.
    """
    masks = [m for m in map(get_mask, inputs) if m is not None]
    if not masks or get_mask(output) is not None:
        return output
    mask = masks[0]
    for other in masks[1:]:
        if other is not mask:
            mask = jnp.logical_and(mask, other)
    if tuple(mask.shape) == tuple(output.shape[: mask.ndim]):
        set_mask(output, mask)
    return output
