"""Weights in Keras's HDF5 layout: one group per layer, named after the attributes that lead to it.

Reading is all or nothing: everything is read and checked first, and only then assigned.
"""

import collections
import contextlib
import functools
import itertools
import os
import pathlib
import warnings

import numpy as np

from ..core import objects
from ..core.loading import LoadError, loading
from ..core.messages import unknown_keywords
from ..core.naming import to_snake_case
from ..core.scope import enter
from ..core.variable import Variable
from ._archive import INDEX, WEIGHTS, Archive, atomic_write, is_model_folder
from ._hdf5 import WeightsFile, add_checksum
from ._orbax import Checkpoint, find_checkpoint
from ._renamed import upgraded_path
from ._safetensors import SafetensorsFile, names_of, write_safetensors
from ._shards import Item, Shards, read_index, shards_of, write_shards
from ._whole_h5 import open_h5

# Instance attributes that lead to layers, but not as parts of what the file describes.
_NOT_STATE = {"_arguments", "_inbound_nodes", "_layers", "_losses"}


# Where things are in a file ----------------------------------------------------------------------


def walk(root):
    """Pairs `(path, object)` of everything in a model that has a group in a file.

    Paths, order and numbering are Keras's: attributes in sorted order (in a graph of layers
    `layers` comes first), each object at its first visit only, the members of a container
    numbered per class.
    """
    found, met = [], {}

    def visit(path, value):
        if id(value) in met:
            return
        if _is_saved(value):
            met[id(value)] = value
            found.append((path, value))
            for name, child in _attributes(value):
                visit(f"{path}/{name}" if path else name, child)
        elif type(value) in (list, tuple, dict):
            met[id(value)] = value
            counts = collections.Counter()
            for member in value.values() if isinstance(value, dict) else value:
                if (key := _member_key(member)) is not None:
                    # One that is written elsewhere still takes up a number.
                    number = counts[key]
                    counts[key] += 1
                    visit(f"{path}/{key}_{number}" if number else f"{path}/{key}", member)

    visit("", root)
    return found


def _is_saved(value):
    return hasattr(value, "load_own_variables") and not isinstance(value, type)


def _member_key(member):
    if _is_saved(member):
        return to_snake_case(objects.class_name(member))
    return "container" if type(member) in (list, tuple, dict) else None


def _attributes(obj):
    """Pairs `(name, value)` of an object's attributes in the order of the file."""
    names = {name for name in vars(obj) if name not in _NOT_STATE}
    for cls in type(obj).__mro__:
        if not objects.is_ours(cls) and cls is not object:  # the user's properties and constants
            names.update(name for name in vars(cls) if not name.startswith("__"))
    graph = vars(obj).get("_layers")
    if graph is not None:
        names.add("layers")
    if graph:
        inside = {id(layer) for layer in graph}
        yield "layers", [layer for layer in obj.layers if id(layer) in inside]
        names.discard("layers")
    for name in sorted(names):
        with contextlib.suppress(Exception):  # a property may not be ready to be read
            yield name, getattr(obj, name)


# Writing -----------------------------------------------------------------------------------------


def write_weights(model, file):
    """Write all weights, and the optimizer's state, to a binary file object."""
    write_groups(file, ((path, _name(obj), store) for path, obj, store in stores(model)))


def write_groups(file, groups):
    """Write `(group, name of its object, {name: variable or array})` to a binary file object."""
    import h5py

    with h5py.File(file, "w") as root:
        for path, name, store in groups:
            group = root.require_group(path)
            if name is not None:
                group.attrs["name"] = name
            for key, value in store.items():
                _write(group, key, value)


def _name(obj):
    return str(getattr(obj, "name", type(obj).__name__))


def stores(model):
    """`(group, object, {name: variable or array})` of everything in a model that has a group."""
    for path, obj in walk(model):
        store = {}
        obj.save_own_variables(store)
        yield f"{path}/vars" if path else "vars", obj, store


def _write(group, key, value):
    value = np.asarray(value.value if isinstance(value, Variable) else value)
    if value.dtype.kind == "V" and value.dtype.names is None:  # a number type that HDF5 lacks
        dataset = group.create_dataset(key, data=value.view(f"V{value.dtype.itemsize}"))
        dataset.attrs["dtype"] = value.dtype.name
    else:
        group.create_dataset(key, data=value)


# Reading -----------------------------------------------------------------------------------------

# Files of up to so many bytes are read once, and all is kept until it is known to fit.
_HELD = 256 << 20


def read_weights(model, file, skip_mismatch=False, fresh=False):
    """Assign everything that a `WeightsFile` holds to the variables of a model.

    A large file is read twice, one object after the other: first to see whether all of it fits and
    is whole, then to assign it. So it takes little memory beside the model's.

    Args:
        model: the model.
        file: the `WeightsFile`.
        skip_mismatch: whether to leave out, with a warning, what doesn't fit.
        fresh: whether nothing is lost when only a part is assigned, since the model is new.

    Raises:
        ValueError: listing all that doesn't fit; nothing is changed then.
    """
    found = walk(model)
    if file.groups and not model.built and not model.weights:
        raise LoadError(
            f"Model '{model.name}' is not built yet, so it has no variables to load the weights "
            f"of '{file.name}' into. Call it on some data first, or `model.build(input_shape)`."
        )
    known = {f"{path}/vars" for path, _ in found}
    for group in [g for g in file.groups if g not in known and upgraded_path(g) in known]:
        file.groups[upgraded_path(group)] = file.groups.pop(group)
    report, values = _Report(model, file), {}
    held = file.nbytes <= _HELD
    # Optimizers come last: they are built only when all else fits.
    found.sort(key=lambda pair: _is_optimizer(pair[1]))
    for path, obj in found:
        if _is_optimizer(obj) and not report.fits and not skip_mismatch:
            break
        _build_optimizer(path, obj, dict(found), file)
        group = f"{path}/vars" if path else "vars"
        report.used.add(group)
        written = {} if held else _Forgetful()
        try:
            with enter(values=None if fresh else collections.ChainMap(written, values)):
                _load_own(obj, file.read(group))
        except LoadError:
            raise
        except Exception as error:
            report.add(group, obj, error)
        else:
            values.update(written)
    report.finish(skip_mismatch)
    if fresh:
        return
    if held:
        for variable, value in values.items():
            variable.assign(value)
        return
    for path, obj in found:
        group = f"{path}/vars" if path else "vars"
        if group not in report.differing:
            _load_own(obj, file.read(group))


class _Forgetful(dict):
    """Values of variables, of which none is kept: each reads as it was before."""

    def __setitem__(self, variable, value):
        pass


def _is_optimizer(obj):
    return hasattr(obj, "iterations")


def _build_optimizer(path, obj, by_path, file):
    """Make the slots of an optimizer whose state in the file has some."""
    if _is_optimizer(obj) and not obj.built:
        held = len(file.groups.get(f"{path}/vars", ()))
        if held > len(obj.variables):
            obj.build(by_path[path.rpartition("/")[0]].trainable_variables)


def _load_own(obj, store):
    if _is_optimizer(obj):
        own = obj.variables
        if not store:
            return  # weights without an optimizer are no mistake: it goes on as it is
        if len(store) == len(own) - 1 and str(len(store)) not in store:
            # tf.keras 2 didn't write the learning rate, which comes second.
            later = {str(i + 1): store[str(i)] for i in range(1, len(store)) if str(i) in store}
            store = {"0": store.get("0"), "1": np.asarray(own[1]), **later}
        if len(store) <= 2 < len(own) and not int(obj.iterations):
            # Both before their first step, the file's without slots.
            own = own[: len(store)]
            for i, variable in enumerate(own):
                variable.assign(store[str(i)])
            return
    elif not store and not _own_variables(obj):
        return
    obj.load_own_variables(store)


def _own_variables(obj):
    """What the object would store: `{name: variable or array}`."""
    store = {}
    with contextlib.suppress(Exception):
        obj.save_own_variables(store)
    return store


class _Report:
    """What doesn't fit between a file and a model, on both sides."""

    def __init__(self, model, file):
        self.model, self.file = model, file
        self.used = set()  # groups that belong to something in the model
        self.differing = set()  # those that their objects couldn't load
        self.file_only, self.model_only, self.differ, self.optimizers = [], [], [], []

    @property
    def fits(self):
        """Whether every object could load its group so far."""
        return not (self.file_only or self.model_only or self.differ)

    def add(self, group, obj, error):
        """Note that an object couldn't load its group."""
        self.differing.add(group)
        if _is_optimizer(obj):
            self.optimizers.append(f"'{obj.name}': {error}")
            return
        held, own = self.file.groups.get(group, {}), _own_variables(obj)
        before = len(self.file_only) + len(self.model_only) + len(self.differ)
        for key in held.keys() | own.keys():
            path = f"{group}/{key}"
            if key not in own:
                hint = "" if getattr(obj, "built", True) else f" (layer '{obj.name}' is not built)"
                self.file_only.append(f"{path} {held[key].shape}{hint}")
            elif key not in held:
                self.model_only.append(f"{path} {_described(own[key])}")
            elif np.shape(own[key]) != held[key].shape:
                self.differ.append(
                    f"{path}: {_described(own[key])} in the model, {held[key].shape} in the file"
                )
        if len(self.file_only) + len(self.model_only) + len(self.differ) == before:
            self.differ.append(f"{group}: {error}")

    def finish(self, skip_mismatch):
        """Raise or warn if anything was noted."""
        for group in self.file.groups.keys() - self.used:
            # The state of an optimizer means nothing to a model that isn't compiled; tf.keras 2
            # also wrote those of metrics.
            if "optimizer" not in group.split("/") and not group.startswith("metrics/"):
                datasets = self.file.groups[group]
                where = f"{group}/" if group else ""
                self.file_only += [f"{where}{key} {d.shape}" for key, d in datasets.items()]
        if self.optimizers:
            warnings.warn(
                "The state of the optimizer wasn't loaded, since it doesn't fit: "
                + "; ".join(self.optimizers),
                stacklevel=4,
            )
        parts = [
            _listed("In the file, but not in the model", self.file_only),
            _listed("In the model, but not in the file", self.model_only),
            _listed("Different", self.differ),
        ]
        if not any(parts):
            return
        details = "\n".join(filter(None, parts))
        where = f"'{self.file.name}' and model '{self.model.name}'"
        if skip_mismatch:
            warnings.warn(f"Skipped what differs between {where}.\n{details}", stacklevel=4)
            return
        raise LoadError(
            f"{where} don't fit together; nothing was changed.\n{details}\n"
            "To load what fits, pass skip_mismatch=True to load_weights."
        )


def _described(value):
    if isinstance(value, Variable):
        return f"{value.shape} ({value.path})"
    return f"{np.shape(value)}"


def _listed(title, lines, limit=20):
    if not lines:
        return ""
    lines = sorted(lines)
    if len(lines) > limit:
        lines = [*lines[:limit], f"… and {len(lines) - limit} more"]
    return "\n  ".join([f"{title}:", *lines])


# Several files, and other formats -----------------------------------------------------------------

_H5, _H5_INDEX = ".weights.h5", ".weights.json"
_SAFE, _SAFE_INDEX = ".safetensors", ".safetensors.index.json"


def _items(model, with_optimizer):
    """An `Item` for every array to write."""
    for group, obj, store in stores(model):
        if with_optimizer or not _is_optimizer(obj):
            for key, value in store.items():
                array = value.value if isinstance(value, Variable) else np.asarray(value)
                yield Item(group, _name(obj), key, value, array.nbytes)


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
            empty = ((g, _name(obj), {}) for g, obj, _ in stores(model)) if number == 0 else ()
            parts = ((x.group, x.owner, {x.key: x.value}) for x in shard)
            with open(path, "w+b") as file:
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


# Public ------------------------------------------------------------------------------------------


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
