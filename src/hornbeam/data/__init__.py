"""Where batches come from.

A source brings any data into one form, for the loops in `training`:

- `take(count, stacked)` gives the next batches, stacked, and how many they are;
- `rewind()` starts a pass over the data again, `close()` ends what reading it started;
- `num_batches` in a pass (`None` if nobody knows), `batch_size`, `batch_bytes`, `batch_specs()`;
- `ends` says whether `take` stops at the end of a pass, giving 0 once, and `exhausted` whether
  nothing will ever come again;
- `map(function)` changes every batch.
"""

from ._arrays import ArraySource, pack, split_validation, unpack
from ._batches import BatchSource, yields_batches
from ._pydataset import PyDataset

__all__ = [
    "ArraySource",
    "BatchSource",
    "PyDataset",
    "pack",
    "split_validation",
    "unpack",
    "yields_batches",
]
