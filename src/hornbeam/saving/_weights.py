"""Weights in Keras's HDF5 layout: one group per layer, named after the attributes that lead to it.

Reading is all or nothing: everything is read and checked first, and only then assigned.
"""

import collections
import contextlib
import os
import warnings

import numpy as np

from ..core import objects
from ..core.loading import LoadError, loading
from ..core.messages import unknown_keywords
from ..core.naming import to_snake_case
from ..core.scope import enter
from ..core.variable import Variable
from ._archive import Archive, atomic_write
from ._hdf5 import WeightsFile, add_checksum, hdf5_writer
from ._orbax import Checkpoint, find_checkpoint

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
    with hdf5_writer(file) as root:
        for path, obj, store in stores(model):
            group = root.create_group(path)
            group.attrs["name"] = str(getattr(obj, "name", type(obj).__name__))
            for key, value in store.items():
                _write(group, key, value)


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
            # The state of an optimizer means nothing to a model that isn't compiled.
            if "optimizer" not in group.split("/"):
                datasets = self.file.groups[group]
                self.file_only += [f"{group}/{key} {d.shape}" for key, d in datasets.items()]
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


# Public ------------------------------------------------------------------------------------------


def save_weights(model, filepath, overwrite=True, max_shard_size=None, **kwargs):
    """Write the weights of a model, and its optimizer's state, to a file.

    The file is replaced as a whole or not at all, also when the process is killed.

    Args:
        model: a model or layer.
        filepath: path ending in `.weights.h5`.
        overwrite: whether an existing file is replaced; otherwise that is an error.
        max_shard_size: not supported yet.

    Raises:
        ValueError: for another ending.
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
    if not str(filepath).endswith(".weights.h5"):
        raise ValueError(f"A file of weights ends in '.weights.h5'; received '{filepath}'.")
    if max_shard_size is not None:
        raise NotImplementedError(
            "save_weights(max_shard_size=…), several files for one model, is not implemented yet. "
            "Leave it out to write one file."
        )
    check_overwrite(filepath, overwrite)
    with atomic_write(filepath) as temporary, temporary.open("w+b") as file:
        write_weights(model, file)
        add_checksum(file)


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
        filepath: path of a `.weights.h5` or `.keras` file, or of a folder that
            `callbacks.OrbaxCheckpoint` wrote: of one checkpoint, or of all, for the last one.
        skip_mismatch: whether to load what fits, and warn of the rest.

    Raises:
        LoadError: if the file isn't whole, or the file and the model don't fit together, listing
            both sides; nothing is changed then.
    """
    if kwargs:
        if "by_name" in kwargs:
            raise ValueError(
                "`by_name` is of old .h5 files. A .weights.h5 file is matched by structure; "
                "skip_mismatch=True loads what fits."
            )
        raise unknown_keywords("load_weights", kwargs, ("skip_mismatch",))
    with open_weights(filepath) as file, loading(str(filepath), file.nbytes):
        read_weights(model, file, skip_mismatch)


@contextlib.contextmanager
def open_weights(filepath):
    """The `WeightsFile` at a path, which may lie in a `.keras` file."""
    name = str(filepath)
    with contextlib.ExitStack() as stack:
        if name.endswith(".keras"):
            source = stack.enter_context(stack.enter_context(Archive(filepath)).weights())
        elif name.endswith(".weights.h5"):
            source = stack.enter_context(open(filepath, "rb"))
        elif (folder := find_checkpoint(filepath)) is not None:
            yield Checkpoint(folder)
            return
        else:
            raise LoadError(
                f"'{name}' has no known format: weights come from '.weights.h5' and '.keras' "
                "files, and from folders with Orbax checkpoints."
                + (" Old whole-model .h5 files are not supported yet." if "h5" in name else "")
            )
        yield stack.enter_context(WeightsFile(source, name))
