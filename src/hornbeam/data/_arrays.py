"""Data as trees of arrays: what was given, made into numbers, with as many rows each."""

from typing import Any

import jax
import numpy as np

from ..core.messages import did_you_mean, expected
from ..core.variable import Variable
from ._foreign import Columns, columns_of, is_column, is_sparse, refused, to_numpy
from ._host import to_host

NAMES = ("x", "y", "sample_weight")


def pack(x, y=None, sample_weight=None):
    """The tuple that a step gets: `(x,)`, `(x, y)` or `(x, y, sample_weight)`."""
    if sample_weight is not None:
        return (x, y, sample_weight)
    return (x,) if y is None else (x, y)


def unpack(data):
    """`(x, y, sample_weight)` of such a tuple, `None` for what it lacks."""
    if not isinstance(data, tuple):
        return data, None, None
    if len(data) > 3:
        raise ValueError(
            f"A batch is (x,), (x, y) or (x, y, sample_weight); received a tuple of {len(data)}."
        )
    return (*data, None, None)[:3]


class Form:
    """What a model takes: how tables, and what names their columns, become its batches.

    Args:
        inputs, outputs: names of the model's inputs and outputs, `None` for a single one without
            a name. A table feeds named ones by its columns, and is one array otherwise.
        y, sample_weight: names of the columns that hold them, if the data has columns.
        host: the model, if a part of it works on the host: with `stage(x)`, which does that, and
            `stages_fixed_shapes`, which says whether the shapes of the result follow from the
            number of rows.
    """

    def __init__(self, inputs=None, outputs=None, y=None, sample_weight=None, host=None):
        self.wanted = (inputs, outputs, outputs if sample_weight is not None else None)
        self.y, self.sample_weight = y, sample_weight
        self.host = host

    def arrays(self, parts: Any, names=NAMES):
        """A batch, `x` alone or a tuple, as a tuple of trees of arrays of numbers."""
        return self.staged(self.raw_arrays(parts, names))

    def staged(self, parts):
        """A batch with the host's work done."""
        return parts if self.host is None else (self.host.stage(parts[0]), *parts[1:])

    def raw_arrays(self, parts: Any, names=NAMES):
        """A batch as a tuple of trees of arrays; `x` has strings, if the host does work."""
        parts = parts if isinstance(parts, (tuple, list)) else (parts,)
        if len(parts) > 3:
            raise ValueError(
                "A batch is x, (x, y) or (x, y, sample_weight); received "
                f"a {type(parts).__name__} of {len(parts)}."
            )
        if self.y is not None or self.sample_weight is not None:
            x, y, sample_weight = unpack(tuple(parts))
            parts = self._by_name(x, y, sample_weight, names)
        first = self.host is not None
        return tuple(
            as_arrays(part, name, wanted, raw=first and i == 0)
            for i, (part, name, wanted) in enumerate(zip(parts, names, self.wanted))
        )

    def _by_name(self, x, y, sample_weight, names):
        """`(x, y, sample_weight)` with the named columns of `x` in their places."""
        columns: Any = x if isinstance(x, dict) else columns_of(x)
        parts, taken = [y, sample_weight], []
        for i, given in enumerate((self.y, self.sample_weight)):
            if given is None:
                continue
            what, listed = names[i + 1], [given] if isinstance(given, str) else given
            if columns is None:
                wanted = f"a table, since {what} names its column {listed[0]!r}"
                raise ValueError(expected(names[0], wanted, x))
            if parts[i] is not None:
                raise ValueError(f"{what} names a column of {names[0]}, but is in the data, too.")
            for name in listed:
                if name not in columns:
                    raise ValueError(
                        f"{names[0]} has no column {name!r}, which {what} names; it has "
                        f"{', '.join(map(str, columns))}. " + did_you_mean(name, columns)
                    )
            single = isinstance(given, str)
            parts[i] = columns[given] if single else Columns((k, columns[k]) for k in listed)
            taken += listed
        return pack(Columns((k, v) for k, v in columns.items() if k not in taken), *parts)


def are_names(x):
    """Whether `x` is the name of a column, or a list of names."""
    if isinstance(x, (list, tuple)):
        return bool(x) and all(isinstance(name, str) for name in x)
    return isinstance(x, str)


def as_arrays(part: Any, name, wanted=None, raw=False) -> Any:
    """`part` with arrays in the place of everything that is data.

    Args:
        part: nested dicts, lists and tuples of what holds an array.
        name: what to call it in messages.
        wanted: names of the columns to take from a table; `None` for one array of them all.
        raw: whether strings and ragged lists are data, too.
    """
    if part is None:
        return None
    given: Any = part
    if not isinstance(part, (np.ndarray, jax.Array)):
        columns = part if isinstance(part, Columns) else columns_of(part)
        if columns is not None:
            return _from_table(columns, name, wanted, raw)
        hint = refused(part)
        if hint is not None:
            raise ValueError(f"{name} is a {type(part).__name__}. {hint}")
        if isinstance(part, dict):
            return {k: as_arrays(v, f"{name}[{k!r}]", raw=raw) for k, v in part.items()}
        several = raw and wanted is not None  # a list of texts is data, one of inputs isn't
        if isinstance(part, (list, tuple)) and (several or not is_written_out(part, raw)):
            return type(part)(as_arrays(v, f"{name}[{i}]", raw=raw) for i, v in enumerate(part))
        if is_sparse(part):
            return given if given.format == "csr" else given.tocsr()
        plain = isinstance(part, (list, tuple, int, float, range)) or is_column(part)
        if isinstance(part, str) or not (plain or hasattr(part, "__array__")):
            raise ValueError(
                expected(
                    name,
                    "an array, or a list, tuple or dict of arrays",
                    part,
                    "A generator, PyDataset or data loader of whole batches stands for x alone.",
                )
            )
        if isinstance(part, Variable):
            part = part.value
        else:
            part = to_host(part) if raw else to_numpy(part)
    if part.ndim == 0:
        hint = "Single rows make a batch by their loader's or data set's `batch`."
        raise ValueError(expected(name, "an array with one row per sample", part, hint))
    refused_kinds = "Mm" if raw else "OSUTMm"
    if isinstance(part, np.ndarray) and part.dtype.kind in refused_kinds and len(part):
        dtype = getattr(given, "dtype", getattr(given, "type", part.dtype))
        raise ValueError(
            f"{name} holds a {type(given).__name__} of shape {part.shape} and dtype {dtype}; a "
            "compiled step needs numbers. Turn it into numbers first, leave it out, or put a layer "
            "for text at the beginning of a Sequential or functional model."
        )
    return part


def _from_table(columns, name, wanted, raw) -> Any:
    """The columns that are wanted, by name, or all side by side."""
    if wanted is not None and all(column in columns for column in wanted):
        columns = {column: columns[column] for column in wanted}
    arrays = {k: as_arrays(v, f"{name}[{k!r}]", raw=raw) for k, v in columns.items()}
    if wanted is not None:
        return arrays  # if the model lacks one, it says so
    values = list(arrays.values())
    if len(values) == 1 and values[0].ndim > 1:
        return values[0]
    deep = [k for k, a in arrays.items() if a.ndim > 1]
    if deep:
        raise ValueError(
            f"{name}[{deep[0]!r}] has several axes, so it doesn't become a column of one array "
            f"with {', '.join(repr(k) for k in arrays if k != deep[0])}. Name the model's inputs "
            "after columns, or leave columns out."
        )
    return np.stack(values, axis=-1) if values else None


def is_written_out(x, raw=False):
    """Whether a list is one array written out, such as `[[1, 2], [3, 4]]`."""
    while isinstance(x, (list, tuple)):
        if not x:
            return True
        x = x[0]
    kinds = (bool, int, float, np.generic)
    return isinstance(x, kinds) or (raw and (x is None or isinstance(x, (str, bytes))))


def paths_of(data, names=NAMES):
    """`{name of an array: array}`, such as `x['a']`."""
    return {
        name + jax.tree_util.keystr(path): leaf
        for part, name in zip(data, names, strict=False)
        for path, leaf in jax.tree_util.tree_leaves_with_path(part)
    }


def count_rows(data, names=NAMES):
    """The number of rows that all arrays have, or an error."""
    counts = {leaf.shape[0] for leaf in jax.tree.leaves(data)}
    if len(counts) == 1 and counts != {0}:
        return counts.pop()
    rows = {name: leaf.shape[0] for name, leaf in paths_of(data, names).items()}
    if not rows:
        raise ValueError(f"There is no data: {names[0]} holds no array.")
    if len(counts) > 1:
        listed = ", ".join(f"{name}: {n}" for name, n in rows.items())
        raise ValueError(
            f"The arrays should have the same number of rows; received {listed}. The first axis "
            "counts samples."
        )
    raise ValueError(f"There is no data: {', '.join(rows)} has 0 rows.")
