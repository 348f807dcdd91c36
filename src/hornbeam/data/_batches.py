"""Batches that somebody else makes: generators, data loaders, `PyDataset`s."""

import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ._arrays import Form, count_rows, paths_of
from ._foreign import columns_of, comes_from, is_column, is_sparse
from ._host import device_dtype
from ._pydataset import PyDataset, Workers
from ._source import Source


class BatchSource(Source):
    """Batches from an iterable.

    Batches of the first one's shape are stacked, so that several steps can run in one call. Others
    (a smaller last one, sequences of another length) come alone.

    Args:
        data: an iterable of batches, each `x`, `(x, y)` or `(x, y, sample_weight)`. An iterator,
            such as a generator, is read once, from where it is.
        shuffle: whether to take the batches of a `PyDataset` in a new order in each pass.
        name: what to call the data in messages.
        form: the `Form` that tells what the batches become.
    """

    def __init__(self, data: Any, shuffle=False, name="x", form=None):
        super().__init__(name, shuffle and isinstance(data, PyDataset))
        self._data, self._form = data, form or Form()
        self._reader = reader_of(data, self._order)
        self._iterator: Any = None
        self._functions = []  # of a batch
        self._held = None  # a batch that was read too early, and the mark behind it
        self._first = None  # shapes and dtypes of the first batch
        self._start = 0  # number of the batch to begin reading at
        self._number = 0  # of batches read, or skipped, in this pass
        self._begun = False  # whether this pass was begun
        self._over = False  # whether it was read to its end
        self._marks: list[Any] = [None]  # where the iterator was after each batch of a `take`

    @property
    def num_batches(self):
        """Batches in a pass, as far as the data tells; `None` if it doesn't."""
        return self._reader.num_batches

    @property
    def can_seek(self):
        """Whether any batch can be had without those before it."""
        return self._reader.can_seek

    @property
    def exhausted(self):
        """Whether there is nothing more, ever."""
        if self._reader.once and self._held is None:
            self._held = self._read()
        return self._reader.once and self._held is None

    def map(self, function):
        """Apply a function to every batch to come, as a tuple of nested arrays."""
        self._functions.append(function)

    def batch_specs(self):
        """Shapes and dtypes of the first batch."""
        if self._first is None:
            self._held = self._held or self._read()
            if self._held is None:
                raise ValueError(f"There is no data: {self.name} yields no batch.")
            self._first = _specs(self._held[0])
        return self._first

    @property
    def batch_bytes(self):
        """The size of the first batch on the device."""
        return sum(a.size * a.dtype.itemsize for a in jax.tree.leaves(self.batch_specs()))

    def rewind(self):
        """Start the next `take` at the beginning of a pass, if the data can."""
        if not self._reader.once and (self.batch or self._over):
            self._stop()
            self._next_pass()

    def take(self, count, stacked=1):
        """The next batches; see `Source.take`."""
        first = self.batch_specs()
        batches, marks, usual = [], self._marks[-1:], True
        while usual and len(batches) < count and not self._over:
            found = self._read()
            if found is None:
                break
            if self._specs_like(found[0], first) != first:
                if batches:
                    self._held = found
                    break
                usual = False
            batches.append(self._ready(found[0]))
            marks.append(found[1])
        if not batches:
            self._next_pass()
            return None, 0
        self._marks = marks
        self.batch += len(batches)
        return _stack(batches, stacked if usual else 1), len(batches)

    def state(self, unused=0):
        """Where the source is, as plain data; see `Source.state`."""
        state = super().state(unused)
        if self._reader.keeps_place:
            state["iterator"] = self._marks[-1 - unused]
        return state

    def restore(self, state, replay=False):
        """Go to where a source over the same data was; see `Source.restore`."""
        if "iterator" not in state:
            return super().restore(state, replay)
        self._stop()
        self.epoch, self.batch = state["epoch"], state["batch"]
        if state["iterator"] is not None:
            self._iterator = self._reader.batches(0)
            self._iterator.set_state(state["iterator"])
            self._number, self._marks = self.batch, [state["iterator"]]

    def close(self):
        """End what was started to read the data."""
        self._stop()
        self._reader.close()

    def _next_pass(self):
        self._over = False
        if not self._reader.once:
            super()._next_pass()
            self._start, self._marks = 0, [None]

    def _stop(self):
        """Leave the pass."""
        if not self._reader.once:
            if hasattr(self._iterator, "close"):
                self._iterator.close()
            self._iterator, self._held = None, None
            self._begun = self._over = False

    def _why_not(self):
        if self._reader.once:
            return f"a {type(self._data).__name__} yields each batch once, in its order"
        return f"a {type(self._data).__name__} is read from its beginning to its end"

    def _skip_pass(self):
        if self._reader.once:
            raise ValueError(f"{self.name} has one pass only: {self._why_not()}.")
        if self.can_seek:
            self._begin()
            super()._skip_pass()
            self._reader.end_pass()
        else:
            while self._read() is not None:
                pass
        self._stop()

    def _go(self, batch, replay):
        if batch < self.batch and self._reader.once:
            raise ValueError(f"{self.name} can't go back to batch {batch}: {self._why_not()}.")
        last = self.num_batches
        if self.can_seek and last is not None and batch > last:
            raise ValueError(
                f"{self.name} has {last} batches in a pass; there is no batch {batch}."
            )
        if batch < self.batch or self.can_seek:
            begun = self._begun
            self._stop()
            self._begun = begun and self.can_seek
            self.batch, self._start = batch if self.can_seek else 0, batch
        while self.batch < batch:
            if self._read() is None:
                raise ValueError(
                    f"{self.name} came to its end after {self.batch} batches; there is no batch "
                    f"{batch}."
                )
            self.batch += 1

    def _begin(self):
        if not self._begun:
            self._reader.begin_pass()
            self._begun = True

    def _read(self):
        """The next batch as a tuple of nested arrays, and the iterator's place behind it.

        `None` at the end of a pass.
        """
        if self._held is not None:
            found, self._held = self._held, None
            return found
        if self._iterator is None:
            self._begin()
            self._iterator, self._number = self._reader.batches(self._start), self._start
        try:
            batch = next(self._iterator)
        except StopIteration:
            self._reader.end_pass()
            self._stop()
            self._over = True
            return None
        mark = self._iterator.get_state() if self._reader.keeps_place else None
        self._number += 1
        try:
            arrays = self._form.arrays(batch)
            count_rows(arrays)
        except ValueError as error:
            error.add_note(f"In batch {self._number} of {self.name}.")
            raise

        def ready(a):
            if not isinstance(a, np.ndarray) and is_sparse(a):
                a = a.toarray()
            return a.astype(device_dtype(a), copy=False)

        return jax.tree.map(ready, arrays), mark

    def _ready(self, batch):
        if self._shard is not None:
            batch = jax.tree.map(lambda a: a[self._shard], batch)
        for function in self._functions:
            batch = function(batch)
        return batch

    def _specs_like(self, batch, first):
        """The shapes and dtypes of a batch, which should have the parts of the first one."""
        if jax.tree.structure(batch) != jax.tree.structure(first):
            now, then = (", ".join(paths_of(parts)) for parts in (batch, first))
            raise ValueError(
                f"Batch {self._number} of {self.name} holds {now}; the first batch held {then}. "
                "All batches should have the same parts."
            )
        return _specs(batch)


def yields_batches(x):
    """Whether `x` is neither an array nor a structure of arrays, but yields batches of them."""
    if isinstance(x, PyDataset) or comes_from(x, "grain"):
        return True
    is_data = isinstance(x, (list, tuple, dict, str, bytes, range)) or hasattr(x, "__array__")
    is_data = is_data or columns_of(x) is not None or is_column(x)
    return not is_data and not hasattr(x, "shape") and hasattr(x, "__iter__")


class _Reader:
    """Reads an iterable.

    Attributes:
        once: whether it is an iterator, which has only one pass.
        can_seek: whether `batches` can begin anywhere.
        keeps_place: whether the iterators have `get_state` and `set_state`.
    """

    can_seek = False

    def __init__(self, data):
        self._data = data
        self.once = hasattr(data, "__next__")
        self.keeps_place = comes_from(data, "grain") and not self.can_seek

    @property
    def num_batches(self):
        """Batches in a pass; `None` if it has no end, or nobody knows."""
        try:
            n = len(self._data)
        except (TypeError, NotImplementedError):
            return None
        return n if n < sys.maxsize else None

    def begin_pass(self):
        """Called before the first batch of a pass is read."""

    def end_pass(self):
        """Called when the last one was read."""

    def batches(self, start):
        """An iterator over the batches of a pass from number `start` on."""
        return self._data if self.once else iter(self._data)

    def close(self):
        """End what was started."""


class _SliceReader(_Reader):
    """Reads a data set whose `[start:]` is the data set without the first batches."""

    can_seek = True

    def batches(self, start):
        return iter(self._data[start:] if start else self._data)


def reader_of(data, order):
    if isinstance(data, PyDataset):
        return Workers(data, order)
    return (_SliceReader if comes_from(data, "grain", "MapDataset") else _Reader)(data)


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
