"""Files of weights in all their formats: `save_weights` and `load_weights`."""

import contextlib
import functools
import itertools
import os
import pathlib

import numpy as np

from ..core.loading import LoadError, loading
from ..core.messages import unknown_keywords
from ..core.variable import Variable
from ._archive import INDEX, WEIGHTS, Archive, is_model_folder
from ._atomic import atomic_write
from ._hdf5 import WeightsFile, add_checksum
from ._orbax import Checkpoint, find_checkpoint
from ._safetensors import SafetensorsFile, names_of, write_safetensors
from ._shards import Item, Shards, read_index, shards_of, write_shards
from ._weights import is_optimizer, owner_name, read_weights, stores, write_groups, write_weights
from ._whole_h5 import open_h5

_H5, _H5_INDEX = ".weights.h5", ".weights.json"
_SAFE, _SAFE_INDEX = ".safetensors", ".safetensors.index.json"


def _items(model, with_optimizer):
    """An `Item` for every array to write."""
    for group, obj, store in stores(model):
        if with_optimizer or not is_optimizer(obj):
            for key, value in store.items():
                array = value.value if isinstance(value, Variable) else np.asarray(value)
                yield Item(group, owner_name(obj), key, value, array.nbytes)


def _save_h5(model, filepath, max_shard_size):
    if max_shard_size is None:
        with atomic_write(filepath) as temporary, temporary.open("w+b") as file:
            write_weights(model, file)
            add_checksum(file)
        return
    stem = filepath.removesuffix(_H5).removesuffix(_H5_INDEX)
    shards = shards_of(_items(model, with_optimizer=True), max_shard_size)
    names = [f"{pathlib.Path(stem).name}_{i:05}.weights.h5" for i in range(len(shards))]
    weight_map = {}
    for name, shard in zip(names, shards, strict=True):
        for group in dict.fromkeys(item.group for item in shard):
            weight_map.setdefault(f"/{group}", []).append(name)

    def writer(number, shard):
        def write(path):
            # Keras looks into the first file for everything that has no arrays.
            empty = ((g, owner_name(obj), {}) for g, obj, _ in stores(model)) if number == 0 else ()
            parts = ((x.group, x.owner, {x.key: x.value}) for x in shard)
            with path.open("w+b") as file:
                write_groups(file, itertools.chain(empty, parts))
                return add_checksum(file)

        return write

    writers = [writer(number, shard) for number, shard in enumerate(shards)]
    total = sum(item.nbytes for shard in shards for item in shard)
    write_shards(stem + _H5_INDEX, names, writers, weight_map, total)


def _save_safetensors(model, filepath, max_shard_size):
    items = list(_items(model, with_optimizer=False))
    named = dict(zip(names_of(items), items, strict=True))
    if max_shard_size is None:
        with atomic_write(filepath) as temporary:
            write_safetensors(temporary, named)
        return
    stem = filepath.removesuffix(_SAFE_INDEX).removesuffix(_SAFE)
    name_of = {id(item): name for name, item in named.items()}
    shards = shards_of(items, max_shard_size)
    count, base = len(shards), pathlib.Path(stem).name
    files = [f"{base}-{i + 1:05}-of-{count:05}{_SAFE}" for i in range(count)]
    parts = [{name_of[id(item)]: item for item in shard} for shard in shards]
    weight_map = {name: file for file, part in zip(files, parts, strict=True) for name in part}
    writers = [functools.partial(write_safetensors, named=part) for part in parts]
    total = sum(item.nbytes for item in items)
    write_shards(stem + _SAFE_INDEX, files, writers, weight_map, total)


def _places(model):
    """Where the variables of a model are: `{path: group/key}`."""
    items = [] if model is None else list(_items(model, with_optimizer=False))
    return {
        name: f"{item.group}/{item.key}" for name, item in zip(names_of(items), items, strict=True)
    }


@contextlib.contextmanager
def _open_h5(path):
    with open(path, "rb") as file, WeightsFile(file, str(path)) as weights:
        yield weights


@contextlib.contextmanager
def _open_safetensors(path, places):
    with open(path, "rb") as file, SafetensorsFile(file, str(path), places) as weights:
        yield weights


@contextlib.contextmanager
def weights_in(archive):
    """The weights in an `Archive`, in one file or in several."""

    @contextlib.contextmanager
    def part(name):
        with archive.open(name) as file, WeightsFile(file, f"{archive.path}/{name}") as weights:
            yield weights

    if INDEX in archive.names and WEIGHTS not in archive.names:
        with Shards(archive.json(INDEX), f"{archive.path}/{INDEX}", part) as weights:
            yield weights
    else:
        with part(WEIGHTS) as weights:
            yield weights


def save_weights(model, filepath, overwrite=True, max_shard_size=None, **kwargs):
    """Write the weights of a model, and its optimizer's state, to a file.

    The file is replaced as a whole or not at all, also when the process is killed.

    Args:
        model: a model or layer.
        filepath: path ending in `.weights.h5`; or in `.safetensors`, for the weights alone, each
            under its variable's path.
        overwrite: whether an existing file is replaced; otherwise that is an error.
        max_shard_size: gigabytes (2**30 bytes) that a file may have at most. `m.weights.h5` becomes
            `m_00000.weights.h5` and so on, with an index `m.weights.json`; `m.safetensors` becomes
            `m-00001-of-00002.safetensors` and so on, with `m.safetensors.index.json`. The name of
            the index may be given, too.

    Raises:
        ValueError: for another ending, or if an array alone is larger than `max_shard_size`.
        FileExistsError: if the file exists and `overwrite` is false.

    Example:

    >>> import tempfile
    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     keras.saving.save_weights(model, folder + "/a.weights.h5")
    ...     keras.saving.load_weights(model, folder + "/a.weights.h5")
    """
    if kwargs:
        raise unknown_keywords("save_weights", kwargs, ("overwrite", "max_shard_size"))
    name = str(filepath)
    indexes = {_H5: _H5_INDEX, _SAFE: _SAFE_INDEX}
    kind = next((k for k, index in indexes.items() if name.endswith((k, index))), None)
    if kind is None or (max_shard_size is None and not name.endswith(kind)):
        raise ValueError(
            f"A file of weights ends in '.weights.h5' or '.safetensors'; received '{filepath}'."
            + (" An index belongs to several files: pass `max_shard_size`." if kind else "")
        )
    target = name
    if max_shard_size is not None:
        target = name.removesuffix(indexes[kind]).removesuffix(kind) + indexes[kind]
    check_overwrite(target, overwrite)
    save = _save_h5 if kind == _H5 else _save_safetensors
    save(model, name, max_shard_size)


def check_overwrite(filepath, overwrite):
    """An error if the file exists and must not be replaced."""
    if not overwrite and os.path.exists(filepath):
        raise FileExistsError(
            f"'{filepath}' exists. Pass overwrite=True to replace it, or another name."
        )


def load_weights(model, filepath, skip_mismatch=False, **kwargs):
    """Set the weights of a model from a file.

    Everything is checked first: each variable must have its array in the file, of the same
    shape, and each array in the file its variable. If the model is compiled and the file holds the
    optimizer's state, that is loaded, too.

    Args:
        model: a built model or layer.
        filepath: path of a `.weights.h5`, `.safetensors` or `.keras` file; of the index of several
            files (`.weights.json`, `.safetensors.index.json`); of the folder that `model.save`
            writes with `zipped=False`; or of a folder that `callbacks.OrbaxCheckpoint` wrote: of
            one checkpoint, or of all, for the last one.
            A file in Keras's old format ends in `.h5`; layers are paired in their order.
        skip_mismatch: whether to load what fits, and warn of the rest.
        by_name: for that format, whether layers are found by name instead, and others left.

    Raises:
        LoadError: if the file isn't whole, or the file and the model don't fit together, listing
            both sides; nothing is changed then.
    """
    by_name = kwargs.pop("by_name", False)
    if kwargs:
        raise unknown_keywords("load_weights", kwargs, ("skip_mismatch", "by_name"))
    if is_h5(str(filepath)):
        with open_h5(filepath) as file, loading(str(filepath), file.nbytes):
            file.load_into(model, by_name, skip_mismatch)
        return
    if by_name:
        raise ValueError(
            "`by_name` is of old .h5 files. Other formats are matched by structure; "
            "skip_mismatch=True loads what fits."
        )
    with open_weights(filepath, model) as file, loading(str(filepath), file.nbytes):
        read_weights(model, file, skip_mismatch)


def is_h5(name):
    """Whether a name is that of a file in Keras's old format, of a model or of weights."""
    return name.endswith((".h5", ".hdf5")) and not name.endswith(_H5)


@contextlib.contextmanager
def open_weights(filepath, model=None):
    """The weights at a path, in whatever format: what a `WeightsFile` gives.

    Args:
        filepath: the path, as in `load_weights`.
        model: whose variables have the paths that a safetensors file of another program names.
    """
    name, folder = str(filepath), pathlib.Path(filepath).parent
    with contextlib.ExitStack() as stack:
        if name.endswith(".keras") or is_model_folder(filepath):
            weights = weights_in(stack.enter_context(Archive(filepath)))
        elif name.endswith(_H5):
            weights = _open_h5(filepath)
        elif name.endswith(_H5_INDEX):
            weights = Shards(read_index(filepath), name, lambda part: _open_h5(folder / part))
        elif name.endswith(_SAFE):
            weights = _open_safetensors(filepath, _places(model))
        elif name.endswith(_SAFE_INDEX):
            places = _places(model)
            opener = lambda part: _open_safetensors(folder / part, places)
            weights = Shards(read_index(filepath), name, opener)
        elif (checkpoint := find_checkpoint(filepath)) is not None:
            weights = contextlib.nullcontext(Checkpoint(checkpoint))
        else:
            raise LoadError(
                f"'{name}' has no known format: weights come from '.weights.h5', '.safetensors' "
                "and '.keras' files, from indexes of several, from folders of models, and from "
                "folders with Orbax checkpoints."
            )
        yield stack.enter_context(weights)
