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
of rows. A `BatchSource` reads whole batches: generators, loaders, a `PyDataset`; also a `Dataset`,
which is what the functions that read files return. What belongs to
other packages is in `_foreign.py`, and [docs/data.md](../../../docs/data.md) is for users.
"""

from ._adapt import host_batches, host_tables
from ._arrays import Form, are_names, is_written_out, pack, unpack
from ._batches import BatchSource
from ._dataset import Dataset
from ._foreign import columns_of
from ._host import place, to_host
from ._images import (
    array_to_img,
    image_dataset_from_directory,
    img_to_array,
    load_img,
    save_img,
    smart_resize,
)
from ._pydataset import PyDataset
from ._rows import RowSource
from ._sounds import audio_dataset_from_directory
from ._source import Source
from ._source_of import source_of, split_source, stands_alone
from ._texts import text_dataset_from_directory
from ._windows import split_dataset, timeseries_dataset_from_array

__all__ = [
    "BatchSource",
    "Dataset",
    "Form",
    "PyDataset",
    "RowSource",
    "Source",
    "are_names",
    "array_to_img",
    "audio_dataset_from_directory",
    "columns_of",
    "host_batches",
    "host_tables",
    "image_dataset_from_directory",
    "img_to_array",
    "is_written_out",
    "load_img",
    "pack",
    "place",
    "save_img",
    "smart_resize",
    "source_of",
    "split_dataset",
    "split_source",
    "stands_alone",
    "text_dataset_from_directory",
    "timeseries_dataset_from_array",
    "to_host",
    "unpack",
]
