"""`PyDataset`: batches by number, made by threads or processes ahead of time."""

import collections.abc
import concurrent.futures
import contextlib
import functools
import itertools
import multiprocessing
import signal
import threading
import warnings
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
    """Reads a `PyDataset`: in order, and ahead of time if it has workers.

    Args:
        dataset: the `PyDataset`.
        order: function from a number of batches to their order in this pass.
    """

    once, can_seek, keeps_place = False, True, False

    def __init__(self, dataset, order):
        self._dataset, self._order = dataset, order
        cls = type(dataset)
        self._changes = any(
            getattr(cls, event) is not getattr(PyDataset, event)
            for event in ("on_epoch_begin", "on_epoch_end")
        )
        self._pool: Any = None

    @property
    def num_batches(self):
        """Batches in a pass; `None` if it has no end."""
        return self._dataset.num_batches

    def begin_pass(self):
        """Called before the first batch of a pass is made."""
        self._dataset.on_epoch_begin()

    def end_pass(self):
        """Called when the last one was made."""
        self._dataset.on_epoch_end()
        if self._changes:
            self.close()

    def batches(self, start):
        """An iterator over the batches of a pass from number `start` on."""
        n = self._dataset.num_batches
        return self.made(itertools.count(start) if n is None else self._order(n)[start:].tolist())

    def made(self, numbers):
        """An iterator over the batches of these numbers."""
        if self._dataset.workers > 1 or self._dataset.use_multiprocessing:
            return self._ahead(numbers)
        return (self._dataset[number] for number in numbers)

    def _ahead(self, numbers):
        """Batches in order, while the next ones are being made.

        An exception is raised at once, also if it is that of a later batch.
        """
        if self._pool is None:
            self._pool = _pool(self._dataset)
        in_copy = self._dataset.use_multiprocessing
        get = _get_from_copy if in_copy else self._dataset.__getitem__
        most = max(self._dataset.max_queue_size, self._dataset.workers)
        waiting, failed = collections.deque(), concurrent.futures.Future()

        def watch(made):
            if not made.cancelled() and made.exception() is not None:
                with contextlib.suppress(
                    concurrent.futures.InvalidStateError
                ):  # others failed, too
                    failed.set_result(made.exception())

        def oldest():
            concurrent.futures.wait((waiting[0][1], failed), return_when="FIRST_COMPLETED")
            if failed.done():
                self._raise(failed.result(), waiting[0][0])
            return waiting.popleft()[1].result()

        for number in numbers:
            waiting.append((number, self._pool.submit(get, number)))
            waiting[-1][1].add_done_callback(watch)
            if len(waiting) > most:
                yield oldest()
        while waiting:
            yield oldest()

    def _raise(self, error, number):
        if isinstance(error, concurrent.futures.BrokenExecutor):
            raise RuntimeError(
                f"A worker process of the {type(self._dataset).__name__} died while batch {number} "
                "was awaited: it was killed (perhaps for memory), or ended itself. workers=0 and "
                "use_multiprocessing=False make the batches here."
            ) from error
        raise error

    def close(self):
        """End the workers: those that are still busy after a second and a half by force."""
        pool, self._pool = self._pool, None
        if pool is None:
            return
        # An executor can't wait for a limited time, and doesn't show its processes.
        processes = list((getattr(pool, "_processes", None) or {}).values())
        end = functools.partial(pool.shutdown, cancel_futures=True)
        ending = threading.Thread(target=end, name="hornbeam-data-end", daemon=True)
        ending.start()
        ending.join(_PATIENCE)
        if not ending.is_alive():
            return
        for process in processes:
            process.kill()
        if processes:
            ending.join()
        else:
            warnings.warn(
                f"A thread is still making a batch of the {type(self._dataset).__name__}; nothing "
                "can end it before it is done.",
                stacklevel=2,
            )


_PATIENCE = 1.5  # seconds


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
    # Ctrl-C in a terminal goes to all processes; the first one ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _copy = dataset


def _get_from_copy(number):
    return _copy[number]
