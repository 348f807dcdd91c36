"""Batches out of rows that can be had by number: shuffled by index, never copied."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..core.messages import expected
from ._arrays import NAMES, Form, count_rows, paths_of
from ._foreign import Columns, is_sparse, rows_of, to_numpy
from ._host import device_dtype
from ._source import Source

# What the rows of a model's host part may take in memory, to be kept for the next pass.
_KEPT_BYTES = 1 << 30


class RowSource(Source):
    """Rows in batches, of which the last one of a pass may have fewer.

    Args:
        rows: what `as_rows` returns.
        batch_size: rows in a batch; 32 by default.
        shuffle: whether every pass has a new order.
        name: what to call the data in messages.
    """

    def __init__(self, rows, batch_size=None, shuffle=False, name="x"):
        super().__init__(name, shuffle)
        batch_size = 32 if batch_size is None else batch_size
        if not isinstance(batch_size, (int, np.integer)) or batch_size < 1:
            raise ValueError(expected("batch_size", "an int of at least 1", batch_size))
        self._rows, self._size = rows, int(batch_size)
        self._ahead = None  # what is left of this pass, once begun: tables of the rows of batches
        if self.shuffle:
            # Keras draws one order that it doesn't use; so a seed gives the same epochs in both.
            np.random.permutation(rows.count)

    @property
    def at_hand(self):
        """Whether making a batch takes next to no time."""
        return self._rows.at_hand

    @property
    def num_batches(self):
        """Batches in one pass over the data."""
        return -(-self._rows.count // self._size)

    @property
    def batch_size(self):
        """Rows in a batch: in this shard's part of one, if there are shards."""
        return len(range(self._size)[self._shard or slice(None)])

    @functools.cached_property
    def batch_bytes(self):
        """The size of a batch on the device."""
        leaves = jax.tree.leaves(self.batch_specs())
        return sum(a.size * a.dtype.itemsize for a in leaves) // self._rows.count * self.batch_size

    def batch_specs(self):
        """Shapes and dtypes as they come to the device, with all rows."""
        return self._rows.specs()

    def map(self, function):
        """Apply a function to the data, at once if it is all there."""
        self._rows.map(function)

    def rewind(self):
        """Start the next `take` at the beginning of a pass."""
        if self._ahead is not None or self.batch:
            self._ahead = None
            self._next_pass()

    def take(self, count, stacked=1):
        """The next batches; see `Source.take`."""
        if not self._rows.stackable:
            count = stacked = 1
        if self._ahead is None:
            self._ahead = self._tables()
        if not self._ahead:
            self.rewind()
            return None, 0
        rows = self._ahead.pop(0)
        if len(rows) > count:
            self._ahead.insert(0, rows[count:])
            rows = rows[:count]
        count = len(rows)
        self.batch += count
        if rows.shape[1] == self.batch_size and count < stacked:
            rows = np.concatenate([rows, np.repeat(rows[:1], stacked - count, 0)])
        return self._rows.gather(rows), count

    def _go(self, batch, replay=False):
        if batch > self.num_batches:
            raise ValueError(
                f"{self.name} has {self.num_batches} batches in a pass; there is no {batch}."
            )
        self._ahead = None

    def _tables(self):
        """The numbers `[batches, rows in a batch]` of the rows that are left of this pass."""
        n, size, batch = self._rows.count, self._size, self.batch
        order = self._order(n).astype("int32")
        whole = n // size * size
        tables = order[:whole].reshape(-1, size)[batch:], order[whole:].reshape(1, -1)
        if batch * size > whole:
            tables = ()
        if self._shard is not None:
            tables = [rows[:, self._shard] for rows in tables]
        return [rows for rows in tables if len(rows) and (self._shard or rows.size)]

    def _draw(self):
        self._order(self._rows.count)


def as_rows(x, y=None, sample_weight=None, form=None, names=NAMES):
    """The rows of arrays, tables and sparse matrices, or of a data set that gives them by number.

    Raises:
        ValueError: if there are no rows, or the parts differ in their number of rows.
    """
    form, by_number = form or Form(), rows_of(x)
    if by_number is None:
        data = form.raw_arrays((x, y, sample_weight), names)
        while data and data[-1] is None:
            data = data[:-1]
        n = count_rows(data, names)
        if form.host is None and not any(is_sparse(a) for a in jax.tree.leaves(data)):
            return Arrays(data, n)
        take = lambda rows: form.staged(jax.tree.map(lambda a: _dense(a[rows]), data))
        return _fetched(form, n, take)
    n, get = by_number
    if not n:
        raise ValueError(f"There is no data: {names[0]} has 0 rows.")
    for name, part in zip(names[1:], (y, sample_weight)):
        if part is not None:
            raise ValueError(
                f"{names[0]} gives whole rows (it is a {type(x).__name__}), so {name} should be in "
                "them, or name a column of them."
            )

    def fetch(numbers):
        rows = get(numbers)
        if isinstance(rows, Columns):
            return form.arrays(rows, names)
        stack = lambda *parts: np.stack([to_numpy(part) for part in parts])
        return form.arrays(jax.tree.map(stack, *rows), names)

    return _fetched(form, n, fetch)


def _fetched(form, count, fetch):
    return Fetched(count, fetch) if form.host is None else Staged(form.host, count, fetch)


class Arrays:
    """Rows of arrays in memory: on the device, if they fit there."""

    at_hand = stackable = True

    def __init__(self, data, count, start=0):
        self.data, self.count = data, count
        self._start = start  # number of the first row that is meant
        self._placed = None

    def specs(self):
        """Shapes and dtypes of the arrays as they come to the device."""
        return jax.tree.map(
            lambda a: jax.ShapeDtypeStruct((self.count, *a.shape[1:]), device_dtype(a)), self.data
        )

    def map(self, function):
        """Replace the data by a function of all of it."""
        self.data, self._placed = function(self.data), None

    def part(self, start, stop):
        """Some of the rows, as rows."""
        part = jax.tree.map(lambda a: a[self._start + start : self._start + stop], self.data)
        return Arrays(part, stop - start)

    def gather(self, table):
        """Batches of the rows with these numbers: arrays `[*table.shape, …]` on the device."""
        if self._placed is None:
            self._placed = self._place()
        arrays, on_host = self._placed
        if not on_host:
            return _gather(arrays, table)
        take = lambda a: np.take(a, table, axis=0).astype(device_dtype(a), copy=False)
        return jax.device_put(jax.tree.map(take, arrays))

    def _place(self):
        """The arrays where their rows are to be gathered, and whether that is the host.

        A CPU's device is the host, where NumPy gathers rows ten times faster than XLA. Elsewhere
        data stays on the device from the first time on, if it takes no more than half of what is
        free there.
        """
        on_host = jax.default_backend() == "cpu"
        if not on_host:
            leaves = jax.tree.leaves(self.specs())
            on_host = sum(a.size * a.dtype.itemsize for a in leaves) > _free_bytes() // 2
        if on_host:
            return jax.tree.map(np.asarray, self.data), True
        return jax.tree.map(lambda a: jnp.asarray(a, device_dtype(a)), self.data), False


class Fetched:
    """Rows that a function makes from their numbers; only those of a few batches exist at once.

    Args:
        count: the number of rows.
        fetch: function from row numbers to a tree of arrays.
        start: number of the first row that is meant.
    """

    at_hand, stackable = False, True

    def __init__(self, count, fetch, start=0):
        self.count, self._fetch, self._start = count, fetch, start
        self._functions = []
        self._specs = None

    def specs(self):
        """Shapes and dtypes of the rows as they come to the device."""
        if self._specs is None:
            first = self._fetch(np.array([self._start]))
            self._specs = jax.tree.map(
                lambda a: jax.ShapeDtypeStruct((self.count, *a.shape[1:]), device_dtype(a)), first
            )
        return self._specs

    def map(self, function):
        """Apply a function to the rows that are fetched."""
        self._functions.append(function)

    def part(self, start, stop):
        """Some of the rows, as rows."""
        return Fetched(stop - start, self._fetch, self._start + start)

    def gather(self, table):
        """Batches of the rows with these numbers: arrays `[*table.shape, …]` on the device."""
        # Padding repeats rows that are there; they needn't be fetched twice.
        numbers, places = np.unique(table, return_inverse=True)
        rows, places = self._found(numbers, places.reshape(table.shape))
        return jax.device_put(jax.tree.map(lambda a: a[places], rows))

    def _found(self, numbers, places):
        """Rows, and where in them those with the numbers `numbers[places]` are."""
        return self._made(numbers), places

    def _made(self, numbers):
        rows = self._fetch(numbers + self._start)
        if count_rows(rows) != len(numbers):
            listed = ", ".join(f"{path}: {len(a)}" for path, a in paths_of(rows).items())
            raise ValueError(f"{len(numbers)} rows were asked for; received {listed}.")
        for function in self._functions:
            rows = function(rows)
        return jax.tree.map(lambda a: a.astype(device_dtype(a), copy=False), rows)


class Staged(Fetched):
    """Fetched rows, with the work of a model's host part done.

    It is the same in every pass, so rows are kept if they aren't too much.

    Args:
        host: the model.
        count, fetch, start: see `Fetched`.
    """

    def __init__(self, host, count, fetch, start=0):
        super().__init__(count, fetch, start)
        self._host = host
        self._kept: Any = None  # a tree of arrays of all rows
        self._known: Any = None  # which of them are there

    def map(self, function):
        super().map(function)
        self._kept = self._known = None

    def part(self, start, stop):
        return Staged(self._host, stop - start, self._fetch, self._start + start)

    @property
    def at_hand(self):
        """Whether all rows were kept."""
        return self._known is not None and self._known.all()

    @property
    def stackable(self):
        """Whether all batches have the same shapes, but for their number of rows."""
        self.specs()  # a model may get built by its first data
        return self._host.stages_fixed_shapes

    def _found(self, numbers, places):
        nbytes = sum(a.size * a.dtype.itemsize for a in jax.tree.leaves(self.specs()))
        if not self.stackable or nbytes > _KEPT_BYTES:
            return super()._found(numbers, places)
        if self._known is None:
            self._known = np.zeros(self.count, bool)
        missing = numbers[~self._known[numbers]]
        if len(missing):
            made = self._made(missing)
            if self._kept is None:
                new = lambda a: np.empty((self.count, *a.shape[1:]), a.dtype)
                self._kept = jax.tree.map(new, made)
            jax.tree.map(lambda all, some: all.__setitem__(missing, some), self._kept, made)
            self._known[missing] = True
        return self._kept, numbers[places]


@jax.jit
def _gather(arrays, rows):
    return jax.tree.map(lambda a: a.at[rows].get(mode="promise_in_bounds"), arrays)


def _dense(a):
    return a.toarray() if is_sparse(a) else a


def _free_bytes():
    """What the device has left, as far as it tells."""
    stats = jax.devices()[0].memory_stats() or {}
    if "bytes_limit" not in stats:
        return float("inf")
    return stats["bytes_limit"] - stats.get("bytes_in_use", 0)
