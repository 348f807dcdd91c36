"""The tuples that a model's `train_step` gets."""

from ..data import unpack


def pack_x_y_sample_weight(x, y=None, sample_weight=None):
    """The shortest tuple that `unpack_x_y_sample_weight` takes apart again.

    Alone, an `x` that is neither a tuple nor a list is returned as it is.

    Example:

    >>> keras.utils.pack_x_y_sample_weight(1, 2), keras.utils.pack_x_y_sample_weight(1)
    ((1, 2), 1)
    """
    if sample_weight is not None:
        return (x, y, sample_weight)
    if y is not None:
        return (x, y)
    return (x,) if isinstance(x, (tuple, list)) else x


def unpack_x_y_sample_weight(data):
    """`(x, y, sample_weight)` from a batch, with `None` for what it lacks.

    Args:
        data: `x`, `(x,)`, `(x, y)` or `(x, y, sample_weight)`.

    Example:

    >>> keras.utils.unpack_x_y_sample_weight((1, 2))
    (1, 2, None)
    """
    return unpack(tuple(data) if isinstance(data, list) else data)
