"""Ops that pick, place, sort, search and multiply by indices."""

import jax.numpy as jnp
from jax import lax

from ..core.loading import count_calls
from ..core.messages import one_of
from ..core.symbolic import op
from ._convert import array, arrays

# Picking ----------------------------------------------------------------------------------------


@op
def get_item(x, key):
    """`x[key]`."""
    return array(x)[key]


@op
def take(x, indices, axis=None):
    """The parts of `x` at `indices` along an axis, or the elements of the flat array.

    Indices beyond the end give NaN (or the smallest integer); negative ones count from the end.

    Example:

    >>> keras.ops.take([[1, 2, 3], [4, 5, 6]], [0, 2], axis=1)
    Array([[1, 3],
           [4, 6]], dtype=int32)
    """
    return jnp.take(array(x), array(indices), axis)


@op
def take_along_axis(x, indices, axis=None):
    """For every position along the other axes, the elements of `x` at its own `indices`."""
    return jnp.take_along_axis(array(x), array(indices), axis)


@op
def slice(inputs, start_indices, shape):
    """The part of `inputs` that starts at `start_indices` and has this shape.

    Args:
        inputs: array.
        start_indices: one int per axis.
        shape: one size per axis; -1 for everything from the start index on.

    Example:

    >>> keras.ops.slice([[1, 2, 3], [4, 5, 6]], (0, 1), (2, -1))
    Array([[2, 3],
           [5, 6]], dtype=int32)
    """
    inputs = array(inputs)
    if not len(start_indices) == len(shape) == inputs.ndim:
        raise ValueError(
            f"slice: start_indices and shape should have one number for each of the {inputs.ndim} "
            f"axes of inputs; received {start_indices} and {shape}."
        )
    sizes = [
        n - start if isinstance(size, int) and size == -1 else size
        for n, start, size in zip(inputs.shape, start_indices, shape, strict=True)
    ]
    return lax.dynamic_slice(inputs, tuple(start_indices), sizes)


@op
def slice_update(inputs, start_indices, updates):
    """`inputs` with the part that starts at `start_indices` replaced by `updates`."""
    inputs = array(inputs)
    updates = jnp.asarray(updates, dtype=inputs.dtype)
    return lax.dynamic_update_slice(inputs, updates, tuple(start_indices))


# Placing ----------------------------------------------------------------------------------------


@op
def scatter(indices, values, shape):
    """Zeros of this shape with `values` added at `indices`.

    Args:
        indices: `[..., k]`, each an index into the first `k` axes.
        values: `[..., *shape[k:]]`.
        shape: shape of the result.

    Example:

    >>> keras.ops.scatter([[1], [3]], [5, 6], (4,))
    Array([0, 5, 0, 6], dtype=int32)
    """
    values = array(values)
    return jnp.zeros(shape, values.dtype).at[_places(indices)].add(values)


@op
def scatter_update(inputs, indices, updates, reduction=None):
    """`inputs` with `updates` put at `indices`.

    Args:
        inputs: array.
        indices: `[..., k]`, each an index into the first `k` axes.
        updates: `[..., *inputs.shape[k:]]`.
        reduction: how an update combines with what is there: `None` (replaces it), `"add"`,
            `"max"`, `"min"` or `"mul"`.
    """
    one_of("scatter_update: reduction", reduction, (None, "add", "max", "min", "mul"))
    inputs = array(inputs)
    place = inputs.at[_places(indices)]
    return getattr(place, reduction or "set")(jnp.asarray(updates, dtype=inputs.dtype))


def _places(indices):
    return tuple(jnp.moveaxis(array(indices), -1, 0))


# Sorting and searching --------------------------------------------------------------------------


@op
def sort(x, axis=-1):
    """The elements in ascending order along an axis, or of the flat array for `None`."""
    return jnp.sort(array(x), axis)


@op
def argsort(x, axis=-1):
    """The indices that sort `x`; equal elements keep their order."""
    return jnp.argsort(array(x), axis)


@op
def argpartition(x, kth, axis=-1):
    """Indices that put the `kth` element in its sorted place, smaller ones before it."""
    return jnp.argpartition(array(x), kth, axis)


@op
def top_k(x, k, sorted=True):
    """The `k` largest elements along the last axis.

    Args:
        x: array.
        k: how many.
        sorted: accepted for compatibility; they are always in descending order.

    Returns:
        `(values, indices)`.

    Example:

    >>> values, indices = keras.ops.top_k([3, 1, 2], 2)
    >>> values, indices
    (Array([3, 2], dtype=int32), Array([0, 2], dtype=int32))
    """
    values, indices = lax.top_k(array(x), k)
    return values, indices


@op
def in_top_k(targets, predictions, k):
    """Whether each target class is among the `k` with the largest predictions.

    Args:
        targets: `[b]`, class numbers.
        predictions: `[b, classes]`.
        k: how many. Classes that tie for the last place all count.

    Returns:
        `[b]`, booleans; `False` where the prediction of the target isn't finite.
    """
    targets, predictions = array(targets), array(predictions)
    own = jnp.take_along_axis(predictions, targets[..., None], axis=-1, mode="fill")
    larger = jnp.sum(predictions > own, axis=-1)
    return (larger < k) & jnp.isfinite(own[..., 0])


@op
def searchsorted(sorted_sequence, values, side="left"):
    """Where to insert `values` so that a sorted vector stays sorted.

    Args:
        sorted_sequence: `[n]`, ascending.
        values: array of any shape.
        side: before (`"left"`) or after (`"right"`) equal elements.
    """
    sequence, values = arrays(sorted_sequence, values)
    if sequence.ndim != 1:
        raise ValueError(
            "searchsorted: sorted_sequence should have one axis; received shape "
            f"{sequence.shape}. Use `keras.ops.vectorized_map` for several sequences."
        )
    return jnp.searchsorted(sequence, values, one_of("side", side, ("left", "right")))


@op
def digitize(x, bins):
    """The number of the bin that each element lies in.

    Args:
        x: array.
        bins: `[n]`, ascending edges. Elements below the first are in bin 0.

    Example:

    >>> keras.ops.digitize([0.2, 1.0, 6.4], [0.0, 1.0, 2.5])
    Array([1, 2, 3], dtype=int32)
    """
    x, bins = arrays(x, bins)
    return jnp.digitize(x, bins)


@op
def nonzero(x):
    """The indices of the elements that aren't 0, one array per axis (not inside `jit`)."""
    return jnp.nonzero(array(x))


@op
def isin(x1, x2, assume_unique=False, invert=False):
    """Whether each element of `x1` is (or with `invert`, isn't) among those of `x2`."""
    return jnp.isin(*arrays(x1, x2), assume_unique=assume_unique, invert=invert)


@op
def unique(
    x,
    sorted=True,
    return_index=False,
    return_inverse=False,
    return_counts=False,
    axis=None,
    size=None,
    fill_value=None,
):
    """The different elements of `x`, ascending.

    Args:
        x: array.
        sorted: accepted for compatibility; the result is always sorted.
        return_index: whether to return the index of the first occurrence of each, too.
        return_inverse: whether to return the indices that rebuild `x`, too.
        return_counts: whether to return how often each occurs, too.
        axis: compare the parts along this axis instead of elements.
        size: exactly how many to return; needed inside `jit`.
        fill_value: what fills up to `size`; by default the smallest element.
    """
    return jnp.unique(
        array(x),
        return_index,
        return_inverse,
        return_counts,
        axis,
        size=size,
        fill_value=fill_value,
    )


@op
def unravel_index(indices, shape):
    """Indices into the flat array as indices into an array of this shape, one array per axis."""
    return jnp.unravel_index(array(indices), shape)


@op
def diff(a, n=1, axis=-1):
    """Differences of neighbours along an axis, `n` times."""
    count_calls(n)
    return jnp.diff(array(a), n, axis)
