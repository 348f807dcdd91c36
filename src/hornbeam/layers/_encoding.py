"""Category numbers as vectors: one, several or counts of them. For arrays on the host.

`_categories.py` does the same on the device.
"""

import math

import numpy as np

from ..core import dtypes
from ..core.messages import expected, one_of

MODES = ("one_hot", "multi_hot", "count")


def check_output(owner, output_mode, sparse, modes):
    """Errors about the arguments that all layers for categories share."""
    one_of(f"{owner}'s output_mode", output_mode, modes)
    if sparse:
        raise ValueError(
            expected(
                f"{owner}'s sparse",
                "False",
                sparse,
                "XLA has dense arrays only; leave it out.",
            )
        )


def device_name(dtype):
    """The dtype that an array of this one has on the device."""
    wide = dtype in ("int64", "uint64", "float64") and not dtypes.has_64_bits()
    return dtype[:-2] + "32" if wide else dtype


def encoded_shape(shape, depth, mode):
    """The shape of encoded category numbers of the shape; `()` is one example, as `(1,)` is."""
    shape = tuple(shape) or (1,)
    if mode == "one_hot" and (len(shape) == 1 or shape[-1] != 1):
        return (*shape, depth)
    return (*shape[:-1], depth)


def encode(ids, depth, mode):
    """Category numbers as vectors.

    Args:
        ids: array of ints; those below 0 count for nothing.
        depth: size of the vectors.
        mode: `"one_hot"`: a vector for each number. `"multi_hot"`: a vector for each row along the
            last axis, with 1 for the numbers in it. `"count"`: with how often they are in it.
    """
    ids = np.atleast_1d(ids)
    shape = encoded_shape(ids.shape, depth, mode)
    rows = math.prod(shape[:-1])
    lengths = np.full(rows, ids.size // rows if rows else 0)
    return encode_rows(ids.reshape(-1), lengths, depth, mode).reshape(shape)


def encode_rows(flat, lengths, depth, mode):
    """`encode` for rows of the lengths that `flat` holds one after another."""
    target = np.repeat(np.arange(len(lengths)) * depth, lengths) + flat
    target = target[flat >= 0]
    vectors = np.zeros(len(lengths) * depth, np.float32)
    if mode == "count":
        np.add.at(vectors, target, 1)
    else:
        vectors[target] = 1
    return vectors.reshape(len(lengths), depth)
