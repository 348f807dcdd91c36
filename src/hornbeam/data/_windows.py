"""Data sets of arrays: windows of a time series, and the two parts of a split."""

from typing import Any

import jax
import numpy as np

from ..core.messages import expected, one_of
from ._arrays import as_arrays, count_rows, is_written_out
from ._dataset import Dataset, collate
from ._files import FORMATS
from ._foreign import Columns, rows_of, to_numpy


def timeseries_dataset_from_array(
    data,
    targets,
    sequence_length,
    sequence_stride=1,
    sampling_rate=1,
    batch_size: int | None = 128,
    shuffle=False,
    seed=None,
    start_index=None,
    end_index=None,
    format="tf",
):
    """A data set of the windows of a time series.

    Window `i` holds the rows `start + i * sequence_stride + k * sampling_rate` of `data`, for `k`
    from 0 to `sequence_length - 1`; its target is the row of `targets` where it begins.

    Args:
        data: array `[time, ...]`.
        targets: array `[time, ...]`, or `None` for windows alone.
        sequence_length: rows in a window.
        sequence_stride: rows between the beginnings of windows.
        sampling_rate: rows between those of a window.
        batch_size: windows in a batch; `None` for single ones.
        shuffle: whether windows are in another order, a new one in each pass.
        seed: int that the orders come from.
        start_index, end_index: rows before `start_index`, and from `end_index` on, aren't used.
        format: `"tf"` or `"grain"`, without a difference.

    Returns:
        A `Dataset` of `(windows, targets)`, or of windows `[b, sequence_length, ...]` alone.

    Example:

    >>> x = np.arange(10)
    >>> ds = keras.utils.timeseries_dataset_from_array(x[:-3], x[3:], 3, batch_size=2)
    >>> windows, targets = ds[0]
    >>> windows.tolist(), targets.tolist()
    ([[0, 1, 2], [1, 2, 3]], [3, 4])
    """
    one_of("format", format, FORMATS)
    data = to_numpy(data)
    targets = None if targets is None else to_numpy(targets)
    count = len(data)
    for name, value, top in (
        ("sequence_length", sequence_length, count),
        ("sequence_stride", sequence_stride, count - 1),
        ("sampling_rate", sampling_rate, count - 1),
    ):
        if not isinstance(value, (int, np.integer)) or not 1 <= value <= top:
            raise ValueError(
                expected(name, f"an int from 1 to {top}, for {count} rows of data", value)
            )
    start = 0 if start_index is None else start_index
    end = count if end_index is None else end_index
    if not 0 <= start < end <= count:
        wanted = f"0 <= start_index < end_index <= {count}, the rows of data"
        raise ValueError(f"timeseries_dataset_from_array needs {wanted}; received {start}, {end}.")
    offsets = np.arange(sequence_length) * sampling_rate
    last = end - offsets[-1]  # where no window begins any more
    if targets is not None:
        last = min(last, len(targets))
    starts = np.arange(start, last, sequence_stride)
    if not len(starts):
        raise ValueError(
            f"Rows {start} to {end} of data hold no window of sequence_length={sequence_length} "
            f"with sampling_rate={sampling_rate}{'' if targets is None else ' and a target'}."
        )
    return Dataset.of_rows(
        len(starts), Windows(data, targets, starts, offsets), batch_size, shuffle, seed
    )


class Windows:
    """Makes batches of windows; see `timeseries_dataset_from_array`."""

    def __init__(self, data, targets, starts, offsets):
        self._data, self._targets = data, targets
        self._starts, self._offsets = starts, offsets

    def __call__(self, numbers):
        starts = self._starts[numbers]
        windows = self._data[starts[:, None] + self._offsets]
        return windows if self._targets is None else (windows, self._targets[starts])


def split_dataset(
    dataset,
    left_size=None,
    right_size=None,
    shuffle=False,
    seed=None,
    preferred_backend=None,
):
    """Two data sets: of the first samples, and of the last ones.

    Args:
        dataset: an array, a tuple, list or dict of arrays with as many rows each, a data set that
            gives rows by number (of PyTorch or Hugging Face), or a `Dataset`. If the latter has
            batches, its rows are split, and batched again.
        left_size, right_size: a part between 0 and 1, or a number of samples; what is missing is
            the rest.
        shuffle: whether samples are shuffled first.
        seed: int that the order comes from.
        preferred_backend: is ignored: the parts are always of one kind.

    Returns:
        Two `Dataset`s of single samples (or batches, see above).

    Example:

    >>> left, right = keras.utils.split_dataset(np.arange(10), left_size=0.8)
    >>> len(left), [int(x) for x in right]
    (8, [8, 9])
    """
    size = None
    if isinstance(dataset, Dataset):
        whole: Any = dataset
        if whole.is_batched:
            size, whole = whole.batch_size, whole.unbatch()
    else:
        whole = Dataset.of_rows(*_rows(dataset))
    left, right = _sizes(len(whole), left_size, right_size)
    if shuffle:
        whole = whole.shuffle(seed=seed, reshuffle_each_iteration=False)
    parts = whole.take(left), whole.skip(len(whole) - right)
    return parts if size is None else tuple(part.batch(size) for part in parts)


def _rows(data):
    """How many rows, and a function that makes a batch of some of them."""
    by_number = rows_of(data)
    if by_number is not None:
        count, get = by_number
        return count, lambda numbers: _batch(get(numbers))
    if isinstance(data, list) and not is_written_out(data):
        data = tuple(data)
    arrays = jax.tree.map(np.asarray, as_arrays(data, "dataset", raw=True))
    return count_rows(arrays, ("dataset",)), lambda numbers: jax.tree.map(
        lambda a: a[numbers], arrays
    )


def _batch(rows):
    if isinstance(rows, Columns):
        return {name: to_numpy(column) for name, column in rows.items()}
    return collate([jax.tree.map(to_numpy, row) for row in rows])


def _sizes(count, left, right):
    """Numbers of samples on the left and on the right."""
    if left is None and right is None:
        raise ValueError("split_dataset needs left_size or right_size; received neither.")
    numbers: list[Any] = [
        _number(name, size, count) for name, size in (("left_size", left), ("right_size", right))
    ]
    left, right = (count - numbers[1 - i] if n is None else n for i, n in enumerate(numbers))
    if left + right > count:
        raise ValueError(
            f"left_size and right_size should have at most the {count} samples that there are; "
            f"received {left} and {right} of them."
        )
    if not left or not right:
        raise ValueError(
            f"split_dataset of {count} samples into {left} and {right} leaves one part empty."
        )
    return left, right


def _number(name, size, count):
    if size is None:
        return None
    if isinstance(size, (int, np.integer)) and 0 < size < count:
        return int(size)
    if isinstance(size, float) and 0 <= size <= 1:
        return round(size * count)
    wanted = f"a part from 0.0 to 1.0, or an int from 1 to {count - 1}, one less than the samples"
    raise ValueError(expected(name, wanted, size))
