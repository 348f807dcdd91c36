"""`PyDataset`: batches by number, made by threads or processes ahead of time."""

import collections.abc
import concurrent.futures
import itertools
import multiprocessing
from typing import Any

import numpy as np

from ..core.messages import expected


class PyDataset:
    """Base of data sets that make a batch from its number.

    Subclasses write `__getitem__(index)`, which returns a whole batch (`x`, `(x, y)` or
    `(x, y, sample_weight)`), and `__len__`, the number of batches. They may write
    `on_epoch_begin` and `on_epoch_end`, which are called around every pass over the data. `fit`
    takes the batches in a new order in every epoch, unless `shuffle=False`.

    Args:
        workers: how many threads (or processes) make batches while the device computes.
        use_multiprocessing: whether to use processes. They get a copy of the data set, so it must
            be picklable, and a script needs its `if __name__ == "__main__":`. They are kept for a
            whole `fit`, unless the class has `on_epoch_begin` or `on_epoch_end`, whose changes a
            new copy must hold.
        max_queue_size: how many batches to make ahead, at most.

    Example:

    >>> class Squares(keras.utils.PyDataset):
    ...     def __len__(self):
    ...         return 3
    ...
    ...     def __getitem__(self, index):
    ...         x = np.arange(4.0)[:, None] + index
    ...         return x, x**2
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile(loss="mse")
    >>> len(model.fit(Squares(), epochs=2, verbose=0).history["loss"])
    2
    """

    _workers, _use_multiprocessing, _max_queue_size = 1, False, 10  # without `super().__init__()`

    def __init__(self, workers=1, use_multiprocessing=False, max_queue_size=10):
        self.workers = workers
        self.use_multiprocessing = use_multiprocessing
        self.max_queue_size = max_queue_size

    @property
    def workers(self):
        """How many threads or processes make batches."""
        return self._workers

    @workers.setter
    def workers(self, value):
        self._workers = _natural("workers", value)

    @property
    def use_multiprocessing(self):
        """Whether workers are processes."""
        return self._use_multiprocessing

    @use_multiprocessing.setter
    def use_multiprocessing(self, value):
        self._use_multiprocessing = bool(value)

    @property
    def max_queue_size(self):
        """How many batches to make ahead, at most."""
        return self._max_queue_size

    @max_queue_size.setter
    def max_queue_size(self, value):
        self._max_queue_size = _natural("max_queue_size", value)

    def __getitem__(self, index):
        """The batch of this number."""
        raise NotImplementedError(
            f"{type(self).__name__} doesn't say what its batches are: give it a method "
            "`__getitem__(self, index)` that returns x, (x, y) or (x, y, sample_weight)."
        )

    @property
    def num_batches(self):
        """The number of batches, by default `len(self)`; `None` if there is no end."""
        return len(self) if isinstance(self, collections.abc.Sized) else None

    def __iter__(self):
        for index in range(self.num_batches) if self.num_batches is not None else itertools.count():
            yield self[index]

    def on_epoch_begin(self):
        """Called before every pass over the data."""

    def on_epoch_end(self):
        """Called after every pass over the data."""


def _natural(what, value):
    if not isinstance(value, (int, np.integer)) or value < 0:
        raise ValueError(expected(f"PyDataset's {what}", "an int of at least 0", value))
    return int(value)


class Workers:
    """Makes the batches of a `PyDataset`, in order, and ahead of time if it has workers."""

    def __init__(self, dataset, shuffle):
        self.dataset, self.shuffle = dataset, shuffle
        cls = type(dataset)
        self._changes = any(
            getattr(cls, event) is not getattr(PyDataset, event)
            for event in ("on_epoch_begin", "on_epoch_end")
        )
        self._pool = None

    def one_pass(self):
        """A generator of the batches of one pass."""
        dataset = self.dataset
        dataset.on_epoch_begin()
        n = dataset.num_batches
        numbers = itertools.count() if n is None else range(n)
        if self.shuffle and n is not None:
            numbers = np.random.permutation(n).tolist()
        if dataset.workers > 1 or dataset.use_multiprocessing:
            yield from self._ahead(numbers)
        else:
            for number in numbers:
                yield dataset[number]
        dataset.on_epoch_end()
        if self._changes:
            self.close()

    def _ahead(self, numbers):
        if self._pool is None:
            self._pool = _pool(self.dataset)
        submit = self._pool.submit
        get = _get_from_copy if self.dataset.use_multiprocessing else self.dataset.__getitem__
        waiting = collections.deque()
        for number in numbers:
            waiting.append(submit(get, number))
            if len(waiting) > max(self.dataset.max_queue_size, self.dataset.workers):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def close(self):
        """Let the workers finish what they are doing, and end them."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


def _pool(dataset):
    workers = max(dataset.workers, 1)
    if not dataset.use_multiprocessing:
        return concurrent.futures.ThreadPoolExecutor(workers, "hornbeam-data")
    # Not fork: JAX has threads, and a forked copy of a locked lock stays locked.
    return concurrent.futures.ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), _keep_copy, (dataset,)
    )


_copy: Any = None  # the data set, in a worker process


def _keep_copy(dataset):
    global _copy
    _copy = dataset


def _get_from_copy(number):
    return _copy[number]
