"""Where batches come from: any data, in one form for the loops in `training`.

`source_of(x, y, sample_weight, …)` makes a `Source`. Its contract:

- `take(count, stacked)` gives the next batches, stacked on the device, and how many they are;
  `(None, 0)` says that a pass is over, and the next `take` begins another one;
- `num_batches` in a pass (`None` if nobody knows), `batch_size`, `batch_bytes`, `batch_specs()`,
  and `at_hand`: whether batches take next to no time to make;
- `rewind()` starts a pass, `close()` ends what reading started, `exhausted` says whether nothing
  will ever come again;
- `map(function)` changes every batch; `shard(index, count)` takes a part of the rows of each;
- `epoch` and `batch` say where it is: the number of the pass, and of the next batch in it;
- `seek(epoch, batch)` goes there. A source whose `can_seek` is false refuses, or draws the batches
  before and drops them if told so: `seek(epoch, batch, replay=True)`;
- `state(unused)` is the place as plain data, and `restore(state)` goes back to it, also in another
  process. It includes what the order of shuffled passes is drawn from.

There are two kinds. A `RowSource` has rows by number: arrays, tables, sparse matrices, data sets
of rows. A `BatchSource` reads whole batches: generators, loaders, a `PyDataset`. What belongs to
other packages is in `_foreign.py`, and [docs/data.md](../../../docs/data.md) is for users.
"""

from ._arrays import Form, are_names, pack, unpack
from ._batches import BatchSource
from ._foreign import columns_of
from ._host import host_batches, host_tables, is_text, place, to_host
from ._pydataset import PyDataset
from ._rows import RowSource
from ._source import Source
from ._source_of import source_of, split_source, stands_alone

__all__ = [
    "BatchSource",
    "Form",
    "PyDataset",
    "RowSource",
    "Source",
    "are_names",
    "columns_of",
    "host_batches",
    "host_tables",
    "is_text",
    "pack",
    "place",
    "source_of",
    "split_source",
    "stands_alone",
    "to_host",
    "unpack",
]
