"""Category numbers as vectors, and numbers as categories: layers that run on the device, too."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..core.messages import expected
from ._arguments import positive_int
from ._base import Layer
from ._encoding import MODES, check_output
from ._host import Adapted

# Elements of `adapt`'s data that are sorted at once.
_CHUNK = 1 << 22


class CategoryEncoding(Layer):
    """Turns category numbers into vectors.

    Args:
        num_tokens: number of categories. Numbers outside of `0 … num_tokens - 1` count for nothing.
        output_mode: `"one_hot"`: a vector with a 1 for each number. `"multi_hot"`: a vector for
            each row, with 1 for the categories in it. `"count"`: with how often they are in it, or
            the sum of their `count_weights`.
        sparse: must be `False`.

    Inputs: integers of shape `(batch, n)`; a shape `(n,)` is one example. The weights have the
    shape of the inputs.

    Example:

    >>> layer = keras.layers.CategoryEncoding(4, "count")
    >>> layer([[0, 1], [0, 0], [1, 3]], count_weights=[[1, 2], [1, 1], [3, 4]])
    Array([[1., 2., 0., 0.],
           [2., 0., 0., 0.],
           [0., 3., 0., 4.]], dtype=float32)
    """

    _stage = "either"

    def __init__(self, num_tokens=None, output_mode="multi_hot", sparse=False, **kwargs):
        super().__init__(**kwargs)
        self.num_tokens = positive_int("CategoryEncoding's num_tokens", num_tokens)
        check_output("CategoryEncoding", output_mode, sparse, MODES)
        self.output_mode = output_mode
        self.sparse = sparse

    def call(self, inputs, count_weights=None):
        if count_weights is not None and self.output_mode != "count":
            raise ValueError(
                "CategoryEncoding: count_weights are for output_mode='count'; it is "
                f"{self.output_mode!r}."
            )
        return _encode(inputs, self.num_tokens, self.output_mode, self.compute_dtype, count_weights)

    def convert_weight(self, weight):
        """`weight` as an array."""
        return np.asarray(weight)


class Discretization(Adapted, Layer):
    """Numbers the bins that numbers fall into: `0` below the first boundary, `1` from it on, ….

    Boundaries are given, or learned by `adapt` so that bins hold equally many of the data. Missing
    numbers (NaN) are in the last bin.

    Args:
        bin_boundaries: list of numbers in ascending order.
        num_bins: number of bins, if `adapt` learns the boundaries.
        epsilon: how exact quantiles are: the share of the data by which a boundary may be off.
            `adapt` keeps `1 / epsilon` values.
        output_mode: `"int"` for the number of the bin, or `"one_hot"`, `"multi_hot"`, `"count"` for
            vectors as `CategoryEncoding` makes them.
        sparse: must be `False`.

    Inputs: numbers of any shape.

    Example:

    >>> keras.layers.Discretization([0.0, 1.0, 2.0])(np.array([[-1.5, 1.0, 3.4], [0.0, 3.0, 1.3]]))
    Array([[0, 2, 3],
           [1, 3, 2]], dtype=int32)
    >>> layer = keras.layers.Discretization(num_bins=2)
    >>> layer.adapt(np.array([1.0, 2.0, 10.0, 20.0]))
    >>> layer.bin_boundaries
    [2.0]
    """

    _stage = "either"

    def __init__(
        self,
        bin_boundaries=None,
        num_bins=None,
        epsilon=0.01,
        output_mode="int",
        sparse=False,
        dtype=None,
        name=None,
    ):
        super().__init__(name=name, dtype=dtype)
        if (bin_boundaries is None) == (num_bins is None):
            raise ValueError(
                "Discretization takes bin_boundaries, or num_bins and then `adapt`; received "
                f"bin_boundaries={bin_boundaries} and num_bins={num_bins}."
            )
        if num_bins is not None:
            positive_int("Discretization's num_bins", num_bins)
        if not 0 < epsilon < 1:
            raise ValueError(expected("Discretization's epsilon", "between 0 and 1", epsilon))
        check_output("Discretization", output_mode, sparse, ("int", *MODES))
        self.bin_boundaries = None if bin_boundaries is None else _ascending(bin_boundaries)
        self.num_bins = num_bins
        self.epsilon = epsilon
        self.output_mode = output_mode
        self.sparse = sparse

    @property
    def output_dtype(self):
        """The dtype of the outputs."""
        return "int32" if self.output_mode == "int" else self.compute_dtype

    def call(self, inputs):
        if self.bin_boundaries is None:
            raise ValueError(
                f"Layer '{self.path}' has no bin_boundaries yet. Call `adapt(data)` first, or pass "
                "`bin_boundaries=`."
            )
        boundaries = np.asarray(self.bin_boundaries, "float32")
        numbers = inputs.astype("float32")
        bins = jnp.searchsorted(boundaries, numbers, side="right").astype("int32")
        if self.output_mode == "int":
            return bins
        return _encode(bins, len(boundaries) + 1, self.output_mode, self.compute_dtype)

    # The summary is values in ascending order, and how many numbers of the data each stands for.

    @property
    def summary(self):
        """What `update_state` has seen: an array of values, and one of how many each stands for."""
        return self.start() if self._known is None else self._known

    def start(self):
        if self.num_bins is None:
            raise ValueError(
                f"Layer '{self.name}' was given its bin_boundaries, so there is nothing for "
                "`adapt` to learn. Pass num_bins instead."
            )
        return np.zeros((2, 0))

    def look(self, known, batch):
        if batch.dtype.kind not in "fiub":
            raise TypeError(expected("The data of Discretization", "numbers", batch))
        values = np.sort(batch.reshape(-1).astype("float64"))
        values = values[~np.isnan(values)]
        new = _compressed(np.stack([values, np.ones_like(values)]), self.epsilon)
        return _compressed(_merged(known, new), self.epsilon)

    def finish(self, known):
        assert self.num_bins is not None
        if not known.size:
            raise ValueError(f"Layer '{self.name}': adapt found no number in the data.")
        self._known = known
        self.bin_boundaries = _compressed(known, 1 / self.num_bins)[0, :-1].tolist()

    def adapt(self, data, steps=None):
        """Learn boundaries between which there are equally many numbers of the data.

        Args:
            data: an array, a list, a column of a table, or anything that yields batches.
            steps: number of batches after which to stop.

        Raises:
            ValueError: if bin_boundaries were given, or there is no data.
        """
        super().adapt(data, _CHUNK, steps)

    def convert_weight(self, weight):
        """`weight` as an array."""
        return np.asarray(weight)

    def get_config(self):
        return {**super().get_config(), "dtype": self.dtype_policy.name}

    def load_own_variables(self, store):
        # The boundaries are in the config.
        if len(store.keys()):
            super().load_own_variables(store)

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """A layer made from what `get_config` returned, with the boundaries that it learned."""
        config = dict(config)
        learned = config.get("num_bins") is not None
        boundaries = config.pop("bin_boundaries", None) if learned else None
        layer = super().from_config(config)
        if boundaries is not None:
            layer.bin_boundaries = _ascending(boundaries)
        return layer


def _compressed(summary, share):
    """A summary of as many values as it takes for each to stand for the share of all.

    Values in between are interpolated: an equi-depth histogram, see "Approximate histograms" in
    Cormode et al., 2011, Synopses for Massive Data, section 3.
    """
    values, weights = summary
    if len(values) * share < 1:
        return summary
    reached = np.cumsum(weights)
    wanted = np.minimum(np.arange(1, math.ceil(1 / share - 1e-9) + 1) * share, 1) * reached[-1]
    return np.stack([np.interp(wanted, reached, values), np.diff(wanted, prepend=0)])


def _merged(one, other):
    """The summary of two sets of numbers together: their distribution functions are added."""
    if not one.size or not other.size:
        return other if other.size else one
    values = np.sort(np.concatenate([one[0], other[0]]))
    reached = sum(np.interp(values, v, np.cumsum(weights), left=0) for v, weights in (one, other))
    return np.stack([values, np.diff(reached, prepend=0)])


def _ascending(boundaries):
    """Boundaries as a list of floats, or a `ValueError`."""
    array: Any = np.asarray(boundaries)
    numbers = array.ndim == 1 and array.dtype.kind in "fiu"
    if not numbers or not (np.diff(array) >= 0).all():
        raise ValueError(
            expected(
                "Discretization's bin_boundaries",
                "a list of numbers in ascending order",
                boundaries,
            )
        )
    return [float(x) for x in array]


def _encode(ids, depth, mode, dtype, weights=None):
    """As `encode` in `_encoding.py`, on the device."""
    ids = jnp.atleast_1d(ids)
    # Below 0 would count from the end; beyond the end is left out.
    ids = jnp.where((ids >= 0) & (ids < depth), ids, depth).astype("int32")
    if mode == "one_hot":
        if ids.ndim > 1 and ids.shape[-1] == 1:
            ids = ids[..., 0]
        return (ids[..., None] == jnp.arange(depth)).astype(dtype)
    weights = (
        jnp.ones(ids.shape, "float32") if weights is None else jnp.atleast_1d(jnp.asarray(weights))
    )
    add = lambda row, weight: jnp.zeros(depth, "float32").at[row].add(weight, mode="drop")
    vectors = jnp.vectorize(add, signature="(n),(n)->(d)")(ids, weights)
    if mode == "multi_hot":
        vectors = vectors > 0
    return vectors.astype(dtype)
