"""What `adapt` looks at: any data, as arrays on the host, batch by batch."""

import itertools
from typing import Any

import numpy as np

from ..core.messages import expected
from ._batches import reader_of
from ._foreign import Columns, batched, columns_of, comes_from, is_column, rows_of
from ._host import first_leaf, to_host

_ROWS = 4096  # that are looked at together, of data that has rows


def host_batches(data: Any, batch_size=None, steps=None):
    """The inputs in `data`, as arrays on the host.

    Args:
        data: an array, a list of examples, a column of a table, or anything that yields batches,
            of which `x` counts if they are `(x, y)`.
        batch_size: rows in a batch, of data that has rows.
        steps: number of batches after which to stop.

    Raises:
        ValueError: if there is no data.
    """
    for batch in _some(itertools.islice(_batches(data, batch_size or _ROWS), steps)):
        if not isinstance(batch, dict):
            batch = to_host(batch)
        if isinstance(batch, dict) or batch.ndim == 0:
            wanted = "one array for each batch, of at least one axis"
            hint = "A data set of single examples has to be put in batches first."
            raise ValueError(expected("adapt's data", wanted, batch, hint))
        yield batch


def host_tables(data: Any, size=_ROWS):
    """The columns in `data`, as dicts of arrays on the host.

    Args:
        data: a table or a dict of columns, or what yields such batches of one, or single rows; of
            `(x, y)` the first counts.
        size: rows in a batch, of data that has rows.

    Raises:
        ValueError: if there is no data.
    """
    for table in _some(_batches(data, size)):
        table = columns_of(table) or table
        if not isinstance(table, dict):
            raise ValueError(expected("adapt's data", "dicts of columns", table))
        yield {name: to_host(column) for name, column in table.items()}


def _some(batches):
    """All batches; an error if there are none."""
    found = False
    for batch in batches:
        found = True
        yield batch
    if not found:
        raise ValueError("adapt needs data with at least one example; there is none.")


def _batches(data, size):
    columns = data if isinstance(data, dict) else columns_of(data)
    if columns is not None:
        columns = {name: to_host(column) for name, column in columns.items()}
        count = max((len(column) for column in columns.values()), default=0)
        get = lambda numbers: {name: column[numbers] for name, column in columns.items()}
    elif _is_array(data):
        rows = np.atleast_1d(to_host(data))
        count, get = len(rows), rows.__getitem__
    elif (by_number := rows_of(data)) is not None:
        count, fetch = by_number
        get = lambda numbers: _together(fetch(numbers))
    else:
        yield from _read(reader_of(batched(data, size), np.arange))
        return
    for start in range(0, count, size):
        yield get(np.arange(start, min(start + size, count)))


def _read(reader):
    try:
        reader.begin_pass()
        yield from map(_inputs, reader.batches(0))
        reader.end_pass()
    finally:
        reader.close()


def _inputs(batch):
    """`x` of a batch that may be `(x, y)`, also in a list, as loaders of PyTorch have it."""
    in_list = isinstance(batch, list) and batch and np.ndim(batch[0]) and hasattr(batch[0], "shape")
    return batch[0] if isinstance(batch, tuple) or in_list else batch


def _together(rows):
    return rows if isinstance(rows, Columns) else [_inputs(row) for row in rows]


def _is_array(data):
    """Whether `data` is an array, or examples written out, rather than an iterable of batches."""
    if isinstance(data, (str, bytes)) or hasattr(data, "shape") or is_column(data):
        return True
    if isinstance(data, (list, tuple)):
        first = first_leaf(data)
        return np.ndim(first) == 0 and not isinstance(first, dict)
    return any(comes_from(data, package) for package in ("pandas", "polars", "pyarrow"))
