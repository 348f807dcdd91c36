"""Objects of other packages, recognised by their classes' modules: nothing is imported to ask."""

import sys

import ml_dtypes
import numpy as np


class Columns(dict):
    """Columns of a table by their names."""


def comes_from(x, package, *names):
    """Whether a class of `x` is from a package (or module), and has one of the names, if any."""
    return any(
        f"{c.__module__}.".startswith(f"{package}.") and (not names or c.__name__ in names)
        for c in type(x).__mro__
    )


def columns_of(x):
    """`{name: column}` of a pandas, polars or pyarrow table; `None` for anything else."""
    if comes_from(x, "pandas", "DataFrame"):
        columns = list(x.items())
    elif comes_from(x, "polars", "DataFrame"):
        columns = [(column.name, column) for column in x.get_columns()]
    elif comes_from(x, "pyarrow", "Table", "RecordBatch"):
        columns = list(zip(x.column_names, x.columns))
    else:
        return None
    if len(dict(columns)) < len(columns):
        raise ValueError(f"Two columns of a table have one name: {[name for name, _ in columns]}.")
    return dict(columns)


def is_sparse(x):
    """Whether `x` is a matrix of SciPy's, whose rows are made dense batch by batch."""
    return comes_from(x, "scipy.sparse")


def is_column(x):
    """Whether `x` is a column of Hugging Face's, which has no `__array__`."""
    return comes_from(x, "datasets.arrow_dataset", "Column")


def to_numpy(x):
    """A series, column, tensor or list as a NumPy array."""
    if comes_from(x, "torch", "Tensor"):
        x = x.detach().cpu()
        torch = sys.modules["torch"]
        if x.dtype == torch.bfloat16:  # which NumPy doesn't have
            return x.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
        return x.numpy()
    if (comes_from(x, "pandas") or comes_from(x, "polars")) and hasattr(x, "to_numpy"):
        x = x.to_numpy()  # knows what to do with missing numbers, as `np.asarray` doesn't
    elif is_column(x):
        x = x[:]
    x = np.asarray(x)
    if x.dtype == object and x.ndim == 1 and len(x) and all(np.ndim(row) for row in x):
        rows = [np.asarray(row) for row in x]  # a column of lists
        if len({row.shape for row in rows}) == 1:
            return np.stack(rows)
    return x


def rows_of(x):
    """For a data set that gives rows by number: their number, and a function from numbers to rows.

    The rows come as `Columns`, or as a list of rows.
    """
    if comes_from(x, "datasets.arrow_dataset", "Dataset"):
        x = x if x.format["type"] else x.with_format("numpy")
        return len(x), lambda rows: Columns(x[rows])
    if comes_from(x, "torch.utils.data", "Dataset") and hasattr(x, "__getitem__"):
        if comes_from(x, "torch.utils.data", "IterableDataset"):
            return None
        if hasattr(x, "__getitems__"):
            return len(x), lambda rows: x.__getitems__(rows.tolist())
        return len(x), lambda rows: [x[i] for i in rows.tolist()]
    return None


def refused(x):
    """What to do with an iterable that is not of batches; `None` for the others."""
    if comes_from(x, "torch.utils.data", "IterableDataset"):
        return "It yields single rows: wrap it in a torch.utils.data.DataLoader."
    if comes_from(x, "datasets.dataset_dict"):
        return f"It holds several data sets: pass one of them, such as x[{next(iter(x), '')!r}]."
    if comes_from(x, "polars", "LazyFrame"):
        return "It isn't computed yet: pass x.collect()."
    return None


def batched(x, batch_size):
    """A stream of rows of Hugging Face's as an iterable of batches; anything else as it is."""
    return _Stream(x, batch_size) if comes_from(x, "datasets.iterable_dataset") else x


class _Stream:
    def __init__(self, data, batch_size):
        self._data, self._size = data.with_format("numpy"), batch_size

    def __iter__(self):
        return map(Columns, self._data.iter(self._size))
