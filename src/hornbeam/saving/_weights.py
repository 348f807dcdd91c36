"""Weights in Keras's HDF5 layout: one group per layer, named after the attributes that lead to it.

Reading is all or nothing: everything is read and checked first, and only then assigned.
"""

import collections
import contextlib
import warnings

import numpy as np

from ..core import objects
from ..core.loading import LoadError
from ..core.naming import to_snake_case
from ..core.scope import enter
from ..core.variable import Variable
from ._hdf5 import hdf5_writer
from ._renamed import upgraded_path

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
    write_groups(file, ((path, owner_name(obj), store) for path, obj, store in stores(model)))


def write_groups(file, groups):
    """Write `(group, name of its object, {name: variable or array})` to a binary file object."""
    with hdf5_writer(file) as root:
        for path, name, store in groups:
            group = root.require_group(path)
            if name is not None:
                group.attrs["name"] = name
            for key, value in store.items():
                _write(group, key, value)


def owner_name(obj):
    """The name that a group has in a file, of the object that it belongs to."""
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
    found.sort(key=lambda pair: is_optimizer(pair[1]))
    for path, obj in found:
        if is_optimizer(obj) and not report.fits and not skip_mismatch:
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


def is_optimizer(obj):
    """Whether an object is an optimizer: it counts its steps."""
    return hasattr(obj, "iterations")


def _build_optimizer(path, obj, by_path, file):
    """Make the slots of an optimizer whose state in the file has some."""
    if is_optimizer(obj) and not obj.built:
        held = len(file.groups.get(f"{path}/vars", ()))
        if held > len(obj.variables):
            obj.build(by_path[path.rpartition("/")[0]].trainable_variables)


def _load_own(obj, store):
    if is_optimizer(obj):
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
        if is_optimizer(obj):
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
