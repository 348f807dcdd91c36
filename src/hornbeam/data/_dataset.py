"""`Dataset`: elements by number in every pass, in steps that keep it so.

A step (`Rows`, `_Batches`, `_Mapped`, …) knows how many elements it has and makes any of them; so
does each step on top of it. `Place` says which pass, and the number that its order comes from.
"""

import copy
import functools
import itertools
import os
from typing import Any, NamedTuple

import jax
import numpy as np

from ..core.messages import expected
from ._batches import BatchSource
from ._pydataset import PyDataset, Workers


class Place(NamedTuple):
    """An element: of which pass, in the orders that `seed` stands for, and its number."""

    seed: int
    epoch: int
    index: int

    def __str__(self):
        return str(self.index)


class Dataset(PyDataset):
    """Batches (or single elements) that are read when they are asked for, in any order.

    It can be iterated again and again, and passed to `fit`, `evaluate` and `predict`, which go to
    any place in it (`fit(resume=...)`), and where each process reads its own rows. It isn't
    changed: its methods return other data sets. `len(dataset)` is the number of elements in a
    pass, `dataset[i]` one of the first pass.

    As for every `PyDataset`, `workers` threads (processes, with `use_multiprocessing`) make up to
    `max_queue_size` elements ahead; they end with the loop that needed them.

    Attributes:
        class_names: names of the classes, in the order of their numbers; `None` without any.
        file_paths: paths of the files in the order of the first pass; `None` after `shuffle`,
            `take`, `skip` and `batch`.

    Example:

    >>> ds = keras.utils.timeseries_dataset_from_array(np.arange(6), None, 3, batch_size=2)
    >>> len(ds), ds.skip(1).map(lambda x: 10 * x)[0].tolist()
    (2, [[20, 30, 40], [30, 40, 50]])
    """

    def __init__(self, step, workers=1, class_names=None, file_paths=None):
        super().__init__(workers)
        self._step = step
        self._seed = random_seed()  # of orders that have none of their own
        self._passes = 0  # that were begun
        self.class_names, self.file_paths = class_names, file_paths

    @classmethod
    def of_rows(cls, count, fetch, batch_size=None, shuffle=False, seed=None, first=0, **about):
        """Rows that `fetch` makes from an array of numbers, batched if there is a size.

        With `shuffle`, they are in a new order in each pass from number `first` on.
        """
        step = Rows(count, fetch)
        if shuffle:
            step = _Shuffled(step, seed, first=first)
        return cls(step if batch_size is None else _Batches(step, batch_size), **about)

    def __len__(self):
        return len(self._step)

    def __getitem__(self, index):
        if not isinstance(index, Place):
            if not -len(self) <= index < len(self):
                raise IndexError(f"There is no element {index}: the data set has {len(self)}.")
            index = Place(self._seed, 0, index % len(self))
        return self._step.get(index)

    def __iter__(self):
        epoch, self._passes = self._passes, self._passes + 1
        return _read(self, epoch)

    def as_numpy_iterator(self):
        """The same as `iter(dataset)`: elements are NumPy arrays."""
        return iter(self)

    def take(self, count):
        """The first `count` elements of each pass; all if it is -1."""
        return self._slice(0, len(self) if count < 0 else count)

    def skip(self, count):
        """What follows the first `count` elements of each pass; nothing if it is -1."""
        return self._slice(len(self) if count < 0 else count, len(self))

    def map(self, map_func, num_parallel_calls=None):
        """A function of every element: of `(x, y)` it is called as `map_func(x, y)`.

        Args:
            map_func: the function; with several workers, threads call it at the same time.
            num_parallel_calls: the number of workers; -1 for one per processor. By default it
                stays as it is.
        """
        changes = {}
        if num_parallel_calls is not None:
            changes["workers"] = processors() if num_parallel_calls < 0 else num_parallel_calls
        return self._with(_Mapped(self._step, map_func), True, **changes)

    def batch(self, batch_size, drop_remainder=False):
        """Batches of `batch_size` elements each; the last one may be smaller, or is dropped."""
        return self._with(_Batches(self._step, batch_size, drop_remainder))

    def unbatch(self):
        """The rows of batches as elements. A function in between must leave their number as it is.

        It isn't possible after `shuffle`.
        """
        if isinstance(self._step, _Batches) and not self._step.drops:
            return self._with(self._step.of, True)
        return self._with(_Unbatched(self._step), True)

    def shuffle(self, buffer_size=None, seed=None, reshuffle_each_iteration=True):
        """Elements in another order, by default another one in each pass.

        Args:
            buffer_size: is ignored: all elements are shuffled, since each can be had by number.
            seed: int that the orders come from; by default one is drawn when the data set is made.
            reshuffle_each_iteration: whether each pass has its own order.
        """
        return self._with(_Shuffled(self._step, seed, once=not reshuffle_each_iteration))

    def cache(self):
        """Elements as the first pass has them, kept in memory when they have been made."""
        return self._with(_Cached(self._step), True)

    def prefetch(self, buffer_size):
        """Elements made ahead by threads, at least two, up to `buffer_size` (-1: 10) of them."""
        ahead = 10 if buffer_size < 0 else buffer_size
        return self._with(self._step, True, workers=max(self.workers, 2), max_queue_size=ahead)

    def __repr__(self):
        return f"<Dataset of {len(self)} {'batches' if self.is_batched else 'elements'}>"

    @property
    def is_batched(self):
        """Whether elements are batches."""
        return self._step.is_batched

    @property
    def batch_size(self):
        """Rows in a batch; `None` if elements aren't batches, or nobody knows."""
        return None if self._step.sizes is None else int(max(self._step.sizes, default=0))

    def _slice(self, start, stop):
        return self._with(_Slice(self._step, start, stop))

    def _with(self, step, keeps_order=False, **changes):
        other = copy.copy(self)
        other._step, other._passes = step, 0
        if not keeps_order:
            other.file_paths = None
        for name, value in changes.items():
            setattr(other, name, value)
        return other


def processors():
    """How many processors this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # absent on macOS and Windows
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def random_seed():
    """A number that `keras.utils.set_random_seed` sets."""
    return int(np.random.randint(2**31 - 1))  # as `keras.utils.set_random_seed` has it


def _read(dataset, epoch):
    reader = _Reader(dataset, lambda: (dataset._seed, epoch))
    try:
        yield from reader.batches(0)
    finally:
        reader.close()


class _Reader(Workers):
    """Reads a pass of a `Dataset`: which one, and its seed, `place()` says."""

    def __init__(self, dataset, place):
        super().__init__(dataset, None)
        self._place = place

    def batches(self, start):
        """An iterator over the elements of a pass from number `start` on."""
        seed, epoch = self._place()
        return self.made(Place(seed, epoch, i) for i in range(start, len(self._dataset)))


class DatasetSource(BatchSource):
    """Batches of a `Dataset`, which needs to make only the rows of a shard."""

    def __init__(self, data, name="x", form=None):
        if not data.is_batched:
            raise ValueError(
                f"{name} is a data set of single elements (batch_size=None); a step needs "
                "batches: pass dataset.batch(32)."
            )
        super().__init__(data, name=name, form=form)
        self._dataset, self._seed = data, data._seed
        self._base = data._passes  # so that a second `fit` goes on with other orders
        self._read_from(data)

    def _read_from(self, data):
        self._reader.close()
        self._reader: Any = _Reader(data, self._pass)

    def _pass(self):
        epoch = self._base + self.epoch
        self._dataset._passes = max(self._dataset._passes, epoch + 1)
        return self._seed, epoch

    def shard(self, index, count):
        """From now on, take only every `count`-th row of each batch; see `Source.shard`."""
        super().shard(index, count)
        self._read_from(self._dataset._with(self._dataset._step.shard(self._shard)))

    def state(self, unused=0):
        """Where the source is, as plain data; see `Source.state`."""
        return {**super().state(unused), "seed": self._seed, "base": self._base}

    def restore(self, state, replay=False):
        """Go to where a source over the same data was; see `Source.restore`."""
        self._stop()
        self._seed, self._base = state["seed"], state["base"]
        super().restore(state, replay)


# Steps -------------------------------------------------------------------------------------------


class _Step:
    """Elements by number, most often made from those of the step before, `of`.

    Attributes:
        is_batched: whether elements are batches.
        sizes: number of rows in each of them; `None` if unknown, or there are none.
    """

    def __init__(self, of):
        self.of = of

    def __len__(self):
        return len(self.of)

    is_batched: Any = property(lambda self: self.of.is_batched)
    sizes: Any = property(lambda self: self.of.sizes)

    def get(self, place):
        """The element at a `Place`."""
        raise NotImplementedError

    def several(self, place, numbers):
        """A batch of the elements with these numbers."""
        return collate([self.get(place._replace(index=int(i))) for i in numbers])

    def shard(self, rows):
        """The step that needs to make only a slice of the rows of each batch.

        Any others may stand in the places of the rest, so that batches have the same shapes.
        """
        return self


class Rows(_Step):
    """Rows by number.

    Args:
        count: how many.
        fetch: function from an array of numbers to a batch. Its attribute `pads`, if true, says
            that rows depend on others of the batch.
    """

    is_batched, sizes = False, None

    def __init__(self, count, fetch):
        self._count, self._fetch = count, fetch
        self.pads = getattr(fetch, "pads", False)

    def __len__(self):
        return self._count

    def get(self, place):
        return jax.tree.map(lambda a: a[0], self._fetch(np.array([place.index])))

    def several(self, place, numbers):
        return self._fetch(np.asarray(numbers))


class _Shuffled(_Step):
    sizes = None

    def __init__(self, of, seed=None, once=False, first=0):
        super().__init__(of)
        if seed is not None and not isinstance(seed, (int, np.integer)):
            raise ValueError(expected("seed", "an int or None", seed))
        self._seed, self._once, self._first = seed, once, first

    @property
    def pads(self):
        return getattr(self.of, "pads", False)

    def _order(self, place):
        epoch = 0 if self._once else place.epoch
        if epoch < self._first:
            return range(len(self))
        return _order(len(self), place.seed if self._seed is None else int(self._seed), epoch)

    def get(self, place):
        return self.of.get(place._replace(index=int(self._order(place)[place.index])))

    def several(self, place, numbers):
        order = self._order(place)
        return self.of.several(place, [order[i] for i in numbers])


@functools.lru_cache(8)
def _order(count, seed, epoch):
    return np.random.default_rng([abs(seed), epoch]).permutation(count)


class _Batches(_Step):
    is_batched = True

    def __init__(self, of, size, drops=False, rows=None):
        super().__init__(of)
        if not isinstance(size, (int, np.integer)) or size < 1:
            raise ValueError(expected("batch_size", "an int of at least 1, or None", size))
        self._size, self.drops, self._rows = int(size), drops, rows

    def __len__(self):
        return len(self.of) // self._size if self.drops else -(-len(self.of) // self._size)

    @property
    def sizes(self):
        return [len(self._numbers(i)) for i in range(len(self))]

    def _numbers(self, i):
        return range(len(self.of))[i * self._size : (i + 1) * self._size]

    def get(self, place):
        numbers = self._numbers(place.index)
        if self._rows is None:
            return self.of.several(place, numbers)
        made = numbers[self._rows] or numbers[:1]
        at = np.zeros(len(numbers), int)
        at[self._rows] = np.arange(len(numbers[self._rows]))
        return jax.tree.map(lambda a: a[at], self.of.several(place, made))

    def shard(self, rows):
        whole = getattr(self.of, "pads", False)
        return self if whole else _Batches(self.of, self._size, self.drops, rows)


class _Mapped(_Step):
    def __init__(self, of, function):
        super().__init__(of)
        self._function = function

    def get(self, place):
        element = self.of.get(place)
        return self._function(*element) if isinstance(element, tuple) else self._function(element)


class _Slice(_Step):
    def __init__(self, of, start, stop):
        super().__init__(of)
        self._numbers = range(len(of))[start:stop]

    def __len__(self):
        return len(self._numbers)

    @property
    def sizes(self):
        sizes = self.of.sizes
        return None if sizes is None else [sizes[i] for i in self._numbers]

    def get(self, place):
        return self.of.get(place._replace(index=self._numbers[place.index]))

    def several(self, place, numbers):
        return self.of.several(place, [self._numbers[i] for i in numbers])


class _Unbatched(_Step):
    is_batched, sizes = False, None

    def __init__(self, of):
        super().__init__(of)
        if of.sizes is None:
            raise ValueError(
                "unbatch needs batches of known sizes: call it after `batch`, and before `shuffle`."
            )
        self._ends = [*itertools.accumulate(of.sizes)]
        self._last = (None, None)  # the last batch, since its rows mostly come in turn

    def __len__(self):
        return self._ends[-1] if self._ends else 0

    def get(self, place):
        number = int(np.searchsorted(self._ends, place.index, side="right"))
        size = self.of.sizes[number]
        at = place._replace(index=number)
        last, batch = self._last
        if last != at:
            batch = self.of.get(at)
            found = {len(a) for a in jax.tree.leaves(batch)}
            if found != {size}:
                raise ValueError(
                    f"unbatch expected {size} rows in batch {number}; received {sorted(found)}. A "
                    "function of batches must leave the number of rows as it is."
                )
            self._last = at, batch
        row = place.index - (self._ends[number] - size)
        return jax.tree.map(lambda a: a[row], batch)


class _Cached(_Step):
    def __init__(self, of):
        super().__init__(of)
        self._kept = {}

    def get(self, place):
        if place.index not in self._kept:
            self._kept[place.index] = self.of.get(place._replace(epoch=0))
        return self._kept[place.index]


def collate(elements):
    """Elements as one batch; strings become an array of objects."""

    def stack(*parts):
        if any(isinstance(part, str) for part in parts):
            return np.array(parts, dtype=object)
        shapes = {np.shape(part) for part in parts}
        if len(shapes) > 1:
            raise ValueError(
                f"A batch needs elements of one shape; received shapes {sorted(shapes)}."
            )
        return np.stack(parts)

    return jax.tree.map(stack, *elements)
