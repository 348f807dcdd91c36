"""Layers that bring numbers into a range, with parameters given or learned from data."""

from typing import Any

import numpy as np
from jax.typing import ArrayLike

from ..core import settings
from ..core.messages import expected
from ..core.tree import Ints
from ._base import Layer
from ._host import Adapted

# Elements converted to float64 at once while data is measured.
_CHUNK = 1 << 22


class Rescaling(Layer):
    """`x * scale + offset`.

    Args:
        scale: a number, or a list of them for the last axis.
        offset: a number, or a list of them for the last axis.

    Example:

    >>> keras.layers.Rescaling(1 / 127.5, offset=-1)(np.array([0, 255], "uint8"))
    Array([-1.,  1.], dtype=float32)
    """

    def __init__(self, scale, offset: ArrayLike | list | tuple = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.scale = scale
        self.offset = offset
        self.supports_masking = True

    def call(self, inputs):
        dtype = self.compute_dtype
        scale, offset = (np.asarray(n, "float32") for n in (self.scale, self.offset))
        return inputs.astype(dtype) * scale.astype(dtype) + offset.astype(dtype)

    def convert_weight(self, weight):
        """`weight` as an array."""
        return np.asarray(weight)

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """A layer made from what `get_config` returned."""
        return super().from_config(config)


class Normalization(Adapted, Layer):
    """Shifts and scales features to mean 0 and variance 1: `(x - mean) / sqrt(variance)`.

    Mean and variance are given, or measured once by `adapt`, before training.

    Args:
        axis: axis or axes that keep their own mean and variance (by default the last, the
            features); `None` for one mean and variance of everything.
        mean, variance: numbers or arrays for `axis`; both or neither.
        invert: whether to do the opposite, `x * sqrt(variance) + mean`.

    Example:

    >>> layer = keras.layers.Normalization()
    >>> layer.adapt(np.array([[1.0, 10.0], [3.0, 30.0]]))
    >>> layer(np.array([[3.0, 10.0]]))
    Array([[ 1., -1.]], dtype=float32)
    """

    def __init__(self, axis: Ints | None = -1, mean=None, variance=None, invert=False, **kwargs):
        super().__init__(**kwargs)
        if (mean is None) != (variance is None):
            raise ValueError(
                "Normalization takes both mean and variance, or neither and then `adapt`; received "
                f"mean={mean} and variance={variance}."
            )
        self.axis = () if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
        self.input_mean, self.input_variance = mean, variance
        self.invert = invert
        self.supports_masking = True
        self._kept = None  # the sizes along `axis`, with 1 for all other axes

    # The constructor's arguments are `input_mean` and `input_variance`, as in Keras, since users
    # read `layer.mean` for what was measured.
    def constructor_arguments(self):
        return {
            "axis": self.axis,
            "mean": _as_list(self.input_mean),
            "variance": _as_list(self.input_variance),
            "invert": self.invert,
        }

    def build(self, input_shape):
        rank = len(input_shape)
        if any(not -rank <= a < rank for a in self.axis):
            raise ValueError(
                f"Layer '{self.path}': axis={self.axis} doesn't exist in inputs of shape "
                f"{input_shape}."
            )
        kept = sorted(a % rank for a in self.axis)
        if any(input_shape[a] is None for a in kept):
            raise ValueError(
                f"Layer '{self.path}': the sizes along axis={self.axis} should be known; received "
                f"inputs of shape {input_shape}."
            )
        self._kept = tuple(input_shape[a] if a in kept else 1 for a in range(rank))
        self._reduced = tuple(a for a in range(rank) if a not in kept)
        if self.input_mean is None:
            shape = [input_shape[a] for a in kept]
            self.adapt_mean = self._measured(shape, "zeros", "mean")
            self.adapt_variance = self._measured(shape, "ones", "variance")
            self.count = self.add_weight((), "zeros", dtype="int32", trainable=False, name="count")
        else:
            # Fails here, with both shapes, rather than at the first batch.
            np.broadcast_to(np.asarray(self.input_mean), self._kept)
            np.broadcast_to(np.asarray(self.input_variance), self._kept)

    def _measured(self, shape, initializer, name):
        return self.add_weight(shape, initializer, trainable=False, autocast=False, name=name)

    @property
    def mean(self):
        """The mean that is subtracted, in a shape that broadcasts to the inputs'."""
        return self._parameter(self.input_mean, "adapt_mean")

    @property
    def variance(self):
        """The variance that is divided out, in a shape that broadcasts to the inputs'."""
        return self._parameter(self.input_variance, "adapt_variance")

    def _parameter(self, given, variable) -> Any:
        if self._kept is None:
            return given
        if given is None:
            return getattr(self, variable).value.reshape(self._kept)
        return np.broadcast_to(np.asarray(given, "float32"), self._kept)

    def call(self, inputs):
        # In the variables' precision: differences of large numbers are what this is about.
        mean, variance = self.mean, self.variance
        stddev = np.sqrt(variance) if isinstance(variance, np.ndarray) else variance**0.5
        stddev = stddev.clip(settings.epsilon())
        outputs = inputs * stddev + mean if self.invert else (inputs - mean) / stddev
        return outputs.astype(self.compute_dtype)

    def start(self):
        if self.input_mean is not None:
            raise ValueError(
                f"Layer '{self.name}' was given its mean and variance, so there is nothing for "
                "`adapt` to measure."
            )
        return np.zeros(()), np.zeros(()), np.zeros(())

    def look(self, known, batch):
        if batch.dtype.kind not in "fiub" or batch.ndim == 0:
            raise ValueError(
                expected("adapt's data", "arrays of numbers, of at least one axis", batch)
            )
        if not self.built:
            self.build((None, *batch.shape[1:]))
        rows = max(1, _CHUNK // max(1, batch[:1].size))
        for start in range(0, len(batch), rows):
            known = _merged(known, self._measure(batch[start : start + rows]))
        return known

    def finish(self, known):
        count, mean, moment = known
        if not np.all(count):
            raise ValueError(
                f"Layer '{self.name}': adapt found no number in the data"
                f"{' for some features' if np.any(count) else ''}."
            )
        shape = self.adapt_mean.shape
        self.adapt_mean.assign(np.reshape(mean, shape))
        self.adapt_variance.assign(np.reshape(moment / count, shape))

    def adapt(self, data, batch_size=None, steps=None):
        """Measure mean and variance of `data`, forgetting what was measured before.

        Missing numbers (NaN) are left out.

        Args:
            data: an array, a list, a column of a table, or anything that yields batches.
            batch_size: rows to look at together, of data that has rows.
            steps: number of batches after which to stop.

        Raises:
            ValueError: if mean and variance were given, or there is no data.
        """
        super().adapt(data, batch_size or _CHUNK, steps)

    def _measure(self, chunk):
        """Number, mean, and sum of squared differences from it, of the elements reduced."""
        assert self._kept is not None  # it is built
        if chunk.ndim != len(self._kept):
            raise ValueError(
                f"Layer '{self.path}' (Normalization): adapt's data should have "
                f"{len(self._kept)} axes, the batch among them; received shape {chunk.shape}."
            )
        chunk = np.asarray(chunk, "float64")
        there = ~np.isnan(chunk)
        count = there.sum(self._reduced, keepdims=True)
        total = chunk.sum(self._reduced, keepdims=True, where=there)
        mean = total / np.maximum(count, 1)
        moment = ((chunk - mean) ** 2).sum(self._reduced, keepdims=True, where=there)
        return count, mean, moment

    def convert_weight(self, weight):
        """`weight` as an array."""
        return np.asarray(weight)


def _merged(one, other):
    """Statistics of two sets of numbers together (Chan et al., 1979)."""
    (n, mean, moment), (m, other_mean, other_moment) = one, other
    total = n + m
    share = m / np.maximum(total, 1)
    delta = other_mean - mean
    return total, mean + delta * share, moment + other_moment + delta**2 * n * share


def _as_list(value):
    return value.tolist() if hasattr(value, "tolist") else value
