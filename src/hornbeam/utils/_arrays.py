"""Preparing arrays of labels, features and sequences."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from ..core.messages import expected, one_of


def to_categorical(x, num_classes=None):
    """Turn class numbers into rows that are 1 at the class and 0 elsewhere.

    Args:
        x: ints from 0 to `num_classes - 1`, of any shape; a last axis of size 1 is dropped.
        num_classes: number of classes; by default the largest number plus one.

    Returns:
        An array of shape `(*x.shape, num_classes)`: a NumPy array, unless `x` is a JAX array.

    Raises:
        ValueError: if a number is negative or too large.

    Example:

    >>> keras.utils.to_categorical([0, 2])
    array([[1., 0., 0.],
           [0., 0., 1.]])
    """
    classes = np.asarray(x).astype("int64")
    if classes.ndim > 1 and classes.shape[-1] == 1:
        classes = classes[..., 0]
    if num_classes is None:
        if classes.size == 0:
            raise ValueError("to_categorical needs num_classes when there are no labels.")
        num_classes = int(classes.max()) + 1
    if classes.size and not (classes.min() >= 0 and classes.max() < num_classes):
        raise ValueError(
            f"to_categorical takes class numbers from 0 to {num_classes - 1}; received numbers "
            f"from {classes.min()} to {classes.max()}."
        )
    rows = np.eye(num_classes)[classes]
    return jnp.asarray(rows, dtype="float32") if isinstance(x, jax.Array) else rows


def normalize(x, axis=-1, order: float = 2):
    """Divide by the norm along an axis, so that the norm becomes 1; zeros stay zeros.

    Args:
        x: array.
        axis: axis to take the norm along.
        order: order of the norm: 2 is the Euclidean one.

    Example:

    >>> keras.utils.normalize(np.array([[3.0, 4.0]]))
    array([[0.6, 0.8]])
    """
    xp = np if isinstance(x, np.ndarray) else jnp
    x = xp.asarray(x)
    norm = xp.atleast_1d(xp.linalg.norm(x, order, axis, keepdims=True))
    return x / xp.where(norm == 0, 1, norm)


def pad_sequences(
    sequences,
    maxlen=None,
    dtype: DTypeLike = "int32",
    padding="pre",
    truncating="pre",
    value: float | str = 0.0,
):
    """Make one array of sequences of different lengths.

    Args:
        sequences: list of sequences; their items may be arrays, all of one shape.
        maxlen: length of every row; by default that of the longest sequence.
        dtype: number type of the result; `object` for strings.
        padding: `"pre"` or `"post"`: where shorter sequences are filled up.
        truncating: `"pre"` or `"post"`: where longer sequences are cut.
        value: what to fill up with.

    Returns:
        A NumPy array of shape `(len(sequences), maxlen, *item shape)`.

    Example:

    >>> keras.utils.pad_sequences([[1], [2, 3]])
    array([[0, 1],
           [2, 3]], dtype=int32)
    """
    one_of("padding", padding, ("pre", "post"))
    one_of("truncating", truncating, ("pre", "post"))
    if isinstance(value, str) and np.dtype(dtype) != object and np.dtype(dtype).kind not in "US":
        raise ValueError(expected("dtype", "object when value is a string", dtype))
    try:
        rows = [np.asarray(row, dtype=dtype) for row in sequences]
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"pad_sequences needs a list of sequences whose items all have one shape: {error}"
        ) from None
    if any(row.ndim == 0 for row in rows):
        raise ValueError(expected("sequences", "a list of sequences", sequences))
    if maxlen is None:
        maxlen = max(map(len, rows), default=0)
    item_shape = next((row.shape[1:] for row in rows if len(row)), ())
    result = np.full((len(rows), maxlen, *item_shape), value, dtype=dtype)
    for out, row in zip(result, rows, strict=True):
        if not len(row) or not maxlen:
            continue
        if row.shape[1:] != item_shape:
            raise ValueError(
                f"pad_sequences: items of one sequence have shape {row.shape[1:]}, those of "
                f"another {item_shape}."
            )
        row = row[-maxlen:] if truncating == "pre" else row[:maxlen]
        if padding == "pre":
            out[-len(row) :] = row
        else:
            out[: len(row)] = row
    return result
