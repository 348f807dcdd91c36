"""Batches out of arrays in memory: shuffled by index, never copied, kept on the device."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from ..core import dtypes, settings
from ..core.messages import expected, shown
from ..core.variable import Variable


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


class ArraySource:
    """Rows of arrays, in batches.

    Args:
        data: nested tuples, lists and dicts of arrays with as many rows each.
        names: what the top-level parts are called in messages.
        batch_size: rows in a batch; the last batch may have fewer.
        shuffle: whether every epoch has a new order.

    Raises:
        ValueError: if there are no rows, or the arrays differ in their number of rows.
    """

    def __init__(self, data, batch_size=None, shuffle=False, names=("x", "y", "sample_weight")):
        batch_size = 32 if batch_size is None else batch_size
        if not isinstance(batch_size, (int, np.integer)) or batch_size < 1:
            raise ValueError(expected("batch_size", "an int of at least 1", batch_size))
        self.data = tuple(as_arrays(part, name) for part, name in zip(data, names, strict=False))
        self.num_rows = count_rows(self.data, names)
        self.batch_size = int(batch_size)
        self.shuffle = bool(shuffle)
        self._placed = None
        self.ends, self.exhausted = False, False  # passes follow one another for ever
        self._ahead = []  # what is left of this pass: tables of the rows of each batch
        if self.shuffle:
            # Keras draws one order that it doesn't use; so a seed gives the same epochs in both.
            np.random.permutation(self.num_rows)

    @property
    def num_batches(self):
        """Batches in one pass over the data."""
        return -(-self.num_rows // self.batch_size)

    def map(self, function):
        """Apply a function to the data, as it would be applied to each batch."""
        self.data, self._placed = function(self.data), None

    def batch_specs(self):
        """Shapes and dtypes of the arrays: as they come to the device, with all rows."""
        return jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, device_dtype(a)), self.data)

    def place(self):
        """The arrays on the device, from the second time on without moving anything.

        On a CPU that is the host's memory, where NumPy gathers rows ten times faster than XLA.
        """
        if self._placed is None:
            self._on_host = jax.default_backend() == "cpu"
            put = np.asarray if self._on_host else jnp.asarray
            self._placed = jax.tree.map(lambda a: put(a, device_dtype(a)), self.data)
        return self._placed

    @functools.cached_property
    def batch_bytes(self):
        """The size of a batch on the device."""
        leaves = jax.tree.leaves(self.batch_specs())
        return sum(a.size * a.dtype.itemsize for a in leaves) // self.num_rows * self.batch_size

    def rewind(self):
        """Start the next `take` at the beginning of a pass."""
        self._ahead = []

    def close(self):
        """Nothing to do; other sources end their workers."""

    def take(self, count, stacked=1):
        """The next batches. A pass over the data is followed by another one without a gap.

        Args:
            count: how many, at most.
            stacked: the size of the first axis of the result, at least `count`.

        Returns:
            `(batches, count)`: arrays `[stacked, batch size, …]` on the device, and how many
            batches they hold; the rest is padding. A smaller last batch comes alone.
        """
        self._ahead = self._ahead or self._pass()
        rows = self._ahead.pop(0)
        if len(rows) > count:
            self._ahead.insert(0, rows[count:])
            rows = rows[:count]
        count = len(rows)
        if rows.shape[1] == self.batch_size and count < stacked:
            rows = np.concatenate([rows, np.repeat(rows[:1], stacked - count, 0)])
        arrays = self.place()
        if self._on_host:
            batches = jax.tree.map(lambda a: np.take(a, rows, axis=0), arrays)
            return jax.device_put(batches), count
        return _gather(arrays, rows), count

    def _pass(self):
        """The rows of each batch of a new pass: `[batches, batch size]`, and of a smaller last."""
        n, size = self.num_rows, self.batch_size
        order = np.random.permutation(n) if self.shuffle else np.arange(n)
        order = order.astype("int32")
        whole = n // size * size
        tables = order[:whole].reshape(-1, size), order[whole:].reshape(1, -1)
        return [rows for rows in tables if rows.size]


@jax.jit
def _gather(arrays, rows):
    return jax.tree.map(lambda a: a.at[rows].get(mode="promise_in_bounds"), arrays)


def device_dtype(a):
    """The dtype on the device: 64-bit types become what the default types are."""
    name = str(a.dtype)
    if name == "float64":
        return np.dtype(settings.floatx()) if not dtypes.has_64_bits() else a.dtype
    if name in ("int64", "uint64") and not dtypes.has_64_bits():
        return np.dtype(name[:-2] + "32")
    return a.dtype


def as_arrays(part, name):
    """`part` with arrays in the place of everything that is data."""
    if part is None:
        return None
    if isinstance(part, dict):
        return {k: as_arrays(v, f"{name}[{k!r}]") for k, v in part.items()}
    if isinstance(part, (list, tuple)) and not _is_data(part):
        return type(part)(as_arrays(v, f"{name}[{i}]") for i, v in enumerate(part))
    if isinstance(part, Variable):
        part = part.value
    if not isinstance(part, (np.ndarray, jax.Array)):
        if not (hasattr(part, "__array__") or isinstance(part, (list, tuple, int, float))):
            raise ValueError(
                expected(
                    name,
                    "an array, or a list, tuple or dict of arrays",
                    part,
                    "A generator, PyDataset or data loader of whole batches stands for x alone.",
                )
            )
        part = np.asarray(part)
    if part.ndim == 0:
        raise ValueError(expected(name, "an array with one row per sample", part))
    if isinstance(part, np.ndarray) and part.dtype.kind in "OSUTM":
        raise ValueError(
            f"{name} holds {shown(part)}; a compiled step needs numbers. Turn it into numbers "
            "first."
        )
    return part


def _is_data(x):
    """Whether a list is one array written out, such as `[[1, 2], [3, 4]]`."""
    while isinstance(x, (list, tuple)):
        if not x:
            return True
        x = x[0]
    return isinstance(x, (bool, int, float, np.generic))


def count_rows(data, names):
    rows = {}
    for part, name in zip(data, names, strict=False):
        for path, leaf in jax.tree_util.tree_leaves_with_path(part):
            rows[name + jax.tree_util.keystr(path)] = leaf.shape[0]
    if not rows:
        raise ValueError(f"There is no data: {names[0]} holds no array.")
    counts = set(rows.values())
    if len(counts) > 1:
        listed = ", ".join(f"{name}: {n}" for name, n in rows.items())
        raise ValueError(
            f"The arrays should have the same number of rows; received {listed}. The first axis "
            "counts samples."
        )
    if counts == {0}:
        raise ValueError(f"There is no data: {', '.join(rows)} has 0 rows.")
    return counts.pop()


def split_validation(data, fraction):
    """The first rows for training and the last `fraction` for validation, as two tuples."""
    if not 0 < fraction < 1:
        raise ValueError(expected("validation_split", "between 0 and 1", fraction))
    names = ("x", "y", "sample_weight")
    data = tuple(as_arrays(part, name) for part, name in zip(data, names, strict=False))
    n = count_rows(data, names)
    start = int(n * (1.0 - fraction))
    if start in (0, n):
        raise ValueError(
            f"validation_split={fraction} of {n} rows leaves nothing for "
            f"{'training' if start == 0 else 'validation'}."
        )
    return (
        jax.tree.map(lambda a: a[:start], data),
        jax.tree.map(lambda a: a[start:], data),
    )
