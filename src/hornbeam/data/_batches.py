"""Batches that somebody else makes: generators, data loaders, `PyDataset`s."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ._arrays import as_arrays, count_rows, device_dtype
from ._pydataset import PyDataset, Workers

_NAMES = ("x", "y", "sample_weight")


def yields_batches(x):
    """Whether `x` is neither an array nor a structure of arrays, but yields batches of them."""
    if isinstance(x, PyDataset):
        return True
    is_data = isinstance(x, (list, tuple, dict, str, bytes)) or hasattr(x, "__array__")
    return not is_data and not hasattr(x, "shape") and hasattr(x, "__iter__")


class BatchSource:
    """Batches from an iterable, for a loop.

    Batches of the first one's shape are stacked, so that several steps can run in one call. Others
    (a smaller last one, sequences of another length) come alone.

    Args:
        data: an iterable of batches, each `x`, `(x, y)` or `(x, y, sample_weight)`. An iterator,
            such as a generator, is read once, from where it is.
        shuffle: whether to take the batches of a `PyDataset` in a new order in each pass.
        name: what to call the data in messages.
    """

    batch_size = None
    ends = True  # `take` tells when a pass is over

    def __init__(self, data: Any, shuffle=False, name="x"):
        self._data, self._name = data, name
        self._workers = Workers(data, shuffle) if isinstance(data, PyDataset) else None
        self._once = hasattr(data, "__next__")
        self._iterator: Any = data if self._once else None
        self._steps = []  # functions of a batch
        self._held = None  # a batch that was read too early
        self._first = None  # shapes and dtypes of the first batch
        self._number = 0  # of batches read in this pass
        self._ended = False  # whether the last `take` read the end of the pass

    @property
    def num_batches(self):
        """Batches in a pass, as far as the data tells; `None` if it doesn't."""
        if isinstance(self._data, PyDataset):
            return self._data.num_batches
        try:
            return len(self._data)
        except (TypeError, NotImplementedError):  # it has no length, or knows none
            return None

    @property
    def exhausted(self):
        """Whether there is nothing more, ever."""
        if self._once and self._held is None:
            self._held = self._read()
        return self._once and self._held is None

    def map(self, function):
        """Apply a function to every batch to come, as a tuple of nested arrays."""
        self._steps.append(function)

    def batch_specs(self):
        """Shapes and dtypes of the first batch."""
        if self._first is None:
            self._held = self._read()
            if self._held is None:
                raise ValueError(f"There is no data: {self._name} yields no batch.")
            self._first = _specs(self._held)
        return self._first

    @property
    def batch_bytes(self):
        """The size of the first batch on the device."""
        return sum(a.size * a.dtype.itemsize for a in jax.tree.leaves(self.batch_specs()))

    def rewind(self):
        """Start the next `take` at the beginning of a pass, if the data can."""
        if not self._once and self._number and (self._held is None or self._number > 1):
            self._stop()
            self._held = None
        self._ended = False

    def take(self, count, stacked=1):
        """The next batches, and how many; 0 when a pass is over, after which another one begins.

        Args:
            count: how many, at most.
            stacked: the size of the first axis of the result, at least `count`.
        """
        batches = []
        usual = jax.tree.structure(self.batch_specs()), jax.tree.leaves(self.batch_specs())
        while len(batches) < count and not self._ended:
            batch = self._read()
            if batch is None:
                self._ended = True
            elif (jax.tree.structure(batch), jax.tree.leaves(_specs(batch))) == usual:
                batches.append(self._ready(batch))
            elif batches:
                self._held = batch
                break
            else:
                return _stack([self._ready(batch)], 1), 1
        if not batches:
            self._ended = False
            return None, 0
        return _stack(batches, stacked), len(batches)

    def _read(self):
        """The next batch as a tuple of nested arrays, or `None` at the end of a pass."""
        if self._held is not None:
            batch, self._held = self._held, None
            return batch
        if self._iterator is None:
            self._iterator = self._workers.one_pass() if self._workers else iter(self._data)
            self._number = 0
        try:
            batch = next(self._iterator)
        except StopIteration:
            if not self._once:
                self._iterator = None
            return None
        self._number += 1
        parts = tuple(batch) if isinstance(batch, (tuple, list)) else (batch,)
        try:
            if len(parts) > 3:
                raise ValueError(
                    "A batch is x, (x, y) or (x, y, sample_weight); received "
                    f"a {type(batch).__name__} of {len(parts)}."
                )
            arrays = tuple(as_arrays(part, name) for part, name in zip(parts, _NAMES))
            count_rows(arrays, _NAMES)
        except ValueError as error:
            error.add_note(f"In batch {self._number} of {self._name}.")
            raise
        return jax.tree.map(lambda a: a.astype(device_dtype(a), copy=False), arrays)

    def _ready(self, batch):
        for step in self._steps:
            batch = step(batch)
        return batch

    def _stop(self):
        if not self._once:
            if hasattr(self._iterator, "close"):
                self._iterator.close()
            self._iterator = None

    def close(self):
        """End what was started to read the data."""
        self._stop()
        if self._workers is not None:
            self._workers.close()


def _specs(batch):
    return jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), batch)


def _stack(batches, stacked):
    """Arrays `[stacked, batch size, …]` on the device, filled up with zeros."""

    def stack(*arrays):
        if all(isinstance(a, jax.Array) for a in arrays):
            zeros = [jnp.zeros_like(arrays[0])] * (stacked - len(arrays))
            return jnp.stack([*arrays, *zeros])
        out = np.zeros((stacked, *arrays[0].shape), arrays[0].dtype)
        for i, a in enumerate(arrays):
            out[i] = a
        return out

    return jax.device_put(jax.tree.map(stack, *batches))
