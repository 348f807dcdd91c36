"""Whole models in one HDF5 file, the format of Keras before `.keras`: JSON in attributes, and the
weights of each layer under its name. Also the files of weights of that time.
"""

import contextlib
import json
import warnings

import numpy as np

from ..core import objects
from ..core.loading import LoadError
from ..core.variable import Variable
from ._hdf5 import WeightsFile
from ._json import parse_json
from ._renamed import FORMAT_VERSION

_TOP = "top_level_model_weights"
_ATTRIBUTE_BYTES = 60_000  # HDF5 takes 64 KB for all attributes of a group


@contextlib.contextmanager
def open_h5(path):
    """The `WholeH5` at a path."""
    with open(path, "rb") as file, WeightsFile(file, str(path)) as held:
        yield WholeH5(held)


class WholeH5:
    """What an HDF5 file of that time holds.

    Args:
        held: the opened `WeightsFile`.

    `config` and `training` are the model's structure and what it is compiled with, `None` where
    the file holds weights only; `keras_version` is the release that wrote it.
    """

    def __init__(self, held):
        self.held, self.name, self.nbytes = held, held.name, held.nbytes
        self.config = self._json("model_config")
        self.training = self._json("training_config")
        self.keras_version = self._attribute("", "keras_version")
        self._weights = "model_weights" if "model_weights" in held.root else ""

    def _attribute(self, group, key):
        """An attribute that is a text, or `None`."""
        try:
            value = self.held.root[group or "/"].attrs.get(key)
        except Exception as error:
            raise LoadError(f"'{self.name}': the attribute {key} can't be read: {error}.") from None
        value = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        return value if isinstance(value, str) else None

    def _json(self, key):
        text = self._attribute("", key)
        return None if text is None else parse_json(text, f"'{self.name}': {key}")

    def _names(self, group, key):
        """A list of names, which may be divided among several attributes."""
        try:
            attributes = self.held.root[group or "/"].attrs
            parts = [key] if key in attributes else []
            while not parts or parts[-1] != key:
                numbered = f"{key}{len(parts)}"
                if numbered not in attributes:
                    break
                parts.append(numbered)
            found = [name for part in parts for name in np.ravel(attributes[part])]
        except Exception as error:
            raise LoadError(f"'{self.name}': {key} of '{group}' can't be read: {error}.") from None
        texts = [n.decode("utf-8") if isinstance(n, bytes) else n for n in found]
        if not all(isinstance(text, str) for text in texts):
            raise LoadError(f"'{self.name}': {key} of '{group}' holds other things than names.")
        return texts

    def _arrays(self, group):
        """`{name: dataset}` of a group, in the order that its attribute gives."""
        found = {}
        if group not in self.held.root:
            return found
        for name in self._names(group, "weight_names"):
            where, _, key = f"{group}/{name}".lstrip("/").rpartition("/")
            if key not in self.held.groups.get(where, {}):
                raise LoadError(f"'{self.name}': '{group}' lacks its array '{name}'.")
            found[name] = self.held.groups[where][key]
        return found

    def layers(self):
        """`{layer's name: {weight's name: dataset}}` of all that have weights, in order."""
        names = self._names(self._weights, "layer_names")
        found = {name: self._arrays(f"{self._weights}/{name}".lstrip("/")) for name in names}
        return {name: arrays for name, arrays in found.items() if arrays}

    def top(self):
        """The weights of the model itself."""
        return self._arrays(f"{self._weights}/{_TOP}".lstrip("/"))

    def optimizer(self):
        """The variables of the optimizer: `{name: dataset}`."""
        return self._arrays("optimizer_weights")

    # Into a model ---------------------------------------------------------------------------------

    def load_into(self, model, by_name=False, skip_mismatch=False):
        """Assign the weights, all or none.

        Args:
            model: a built model.
            by_name: whether layers are found by their names, and others left as they are;
                otherwise those with weights are paired in their order.
            skip_mismatch: whether to leave out, with a warning, what doesn't fit.
        """
        held = self.layers()
        layers = [layer for layer in model.layers if weights_of(layer)]
        if by_name:
            pairs = [(layer, held[layer.name]) for layer in layers if layer.name in held]
        elif len(layers) == len(held):
            pairs = list(zip(layers, held.values(), strict=True))
        else:
            mine = ", ".join(f"{x.name} ({len(weights_of(x))})" for x in layers)
            theirs = ", ".join(f"{name} ({len(arrays)})" for name, arrays in held.items())
            raise LoadError(
                f"'{self.name}' holds {len(held)} layers with weights, model '{model.name}' has "
                f"{len(layers)}; nothing was changed.\nIn the file: {theirs}\nIn the model: {mine}"
                "\nTo load the layers whose names agree, pass by_name=True."
            )
        todo, differ = [], []
        own = top_of(model)
        parts = [(layer.name, weights_of(layer), arrays) for layer, arrays in pairs]
        if own or self.top():
            parts.append((model.name, own, self.top()))
        for name, variables, arrays in parts:
            shapes = [tuple(v.shape) for v in variables]
            found = [tuple(a.shape) for a in arrays.values()]
            if shapes == found:
                todo += zip(variables, arrays.values(), strict=True)
            else:
                differ.append(f"{name}: {found} in the file, {shapes} in the model")
        if differ:
            details = "\n  ".join(differ)
            if not skip_mismatch:
                raise LoadError(
                    f"'{self.name}' and model '{model.name}' don't fit together; nothing was "
                    f"changed. Different:\n  {details}"
                )
            warnings.warn(f"Skipped what differs in '{self.name}':\n  {details}", stacklevel=4)
        values = [(variable, self.held.array(dataset)) for variable, dataset in todo]
        for variable, value in values:
            variable.assign(value)

    def load_optimizer(self, optimizer):
        """Assign the state of a built optimizer; a warning if it doesn't fit."""
        arrays = self.optimizer()
        if not arrays:
            return
        values = [self.held.array(dataset) for dataset in arrays.values()]
        if not any(name.rpartition("/")[2] == "learning_rate" for name in arrays):
            values = from_keras_2(optimizer, list(arrays), values)
        own = optimizer.variables
        if [v.shape for v in own] != [np.shape(v) for v in values]:
            warnings.warn(
                f"The state of the optimizer in '{self.name}' wasn't loaded, since it doesn't fit: "
                f"it has {len(values)} arrays; {optimizer.name} has {len(own)}.",
                stacklevel=4,
            )
            return
        for variable, value in zip(own, values, strict=True):
            variable.assign(value)


def weights_of(layer):
    """A layer's weights in the order of these files."""
    return [*layer.trainable_weights, *layer.non_trainable_weights]


def top_of(model):
    """The weights of a model that none of its layers has."""
    inside = {id(v) for layer in model.layers for v in weights_of(layer)}
    return [v for v in weights_of(model) if id(v) not in inside]


# The slots of tf.keras's optimizers, by the names that the same have here.
_SLOTS = {
    "m": "momentum",
    "v": "velocity",
    "vhat": "velocity_hat",
    "rms": "velocity",
    "velocity": "velocity",
    "momentum": "momentum",
    "mg": "average_gradient",
    "average_gradient": "average_gradient",
    "accumulator": "accumulator",
    "accum_grad": "accumulated_grad",
    "accumulated_grad": "accumulated_grad",
    "accum_var": "accumulated_delta_var",
    "accumulated_delta_var": "accumulated_delta_var",
    "linear": "linear",
    "u": "norm",
}


def from_keras_2(optimizer, names, values):
    """The state that tf.keras 2 wrote, in the order of today's variables.

    That has no learning rate. Its names are `iteration`, `Adam/m/dense/kernel`; those of its older
    optimizers `Adam/iter`, `Adam/dense/kernel/m`, one slot after the other.
    """
    slots, first = {}, []
    for name, value in zip(names, values, strict=True):
        parts = name.partition(":")[0].split("/")
        found = [_SLOTS[p] for p in (parts[-1], *parts[1:2]) if p in _SLOTS]
        if np.ndim(value) == 0 and parts[-1] in ("iter", "iteration", "iterations"):
            first = [value]
        elif found:
            slots.setdefault(found[0], []).append(value)
        else:
            return values
    ordered = [*first, np.asarray(optimizer.variables[1])]
    for variable in optimizer.variables[2:]:
        slot = next(
            (s for s in sorted(slots, key=len, reverse=True) if variable.name.endswith(s)), None
        )
        # SGD has a momentum that RMSprop calls so, too.
        if slot is None and len(slots) == 1:
            (slot,) = slots
        if slot is None or not slots[slot]:
            return values
        ordered.append(slots[slot].pop(0))
    return ordered if not any(slots.values()) else values


# Compiling ---------------------------------------------------------------------------------------


def compile_config(training):
    """What `compile_from_config` takes, from a file's training config."""
    found = {key: training.get(key) for key in ("loss", "loss_weights", "weighted_metrics")}
    found["metrics"] = _metrics(training.get("metrics"))
    found["weighted_metrics"] = _metrics(training.get("weighted_metrics"))
    found["optimizer"] = _optimizer(training.get("optimizer_config"))
    return found


def _optimizer(config):
    if not isinstance(config, dict):
        return config
    inner = dict(config["config"])
    if isinstance(rate := inner.get("learning_rate"), dict) and "class_name" in rate:
        inner["learning_rate"] = {**rate, "registered_name": None}
    return {**config, "config": inner}


def _metrics(value):
    """Without what tf.keras adds by itself."""
    if isinstance(value, list):
        found = [_metrics(v) for v in value]
        return [v for v in found if v is not None] or None
    if isinstance(value, dict) and value.get("class_name") == "MeanMetricWrapper":
        function = value["config"].get("fn")
        return function["config"] if isinstance(function, dict) else function
    return value


# Writing -----------------------------------------------------------------------------------------


def write_whole_h5(file, model, include_optimizer):
    """Write a model to a binary file object: its structure, weights, how it is compiled, and the
    state of the optimizer."""
    import h5py

    config = objects.serialize(model)
    training = config.pop("compile_config", None) if include_optimizer else None
    with h5py.File(file, "w") as root:
        root.attrs["keras_version"] = FORMAT_VERSION
        root.attrs["backend"] = "jax"
        root.attrs["model_config"] = json.dumps(_plain_entry(config))
        weights = root.create_group("model_weights")
        _write_names(weights, "layer_names", [layer.name for layer in model.layers])
        for layer in model.layers:
            _write_arrays(weights.create_group(layer.name), weights_of(layer))
        _write_arrays(weights.create_group(_TOP), top_of(model))
        if training is not None:
            root.attrs["training_config"] = json.dumps(_training_config(training))
            if model.optimizer is not None and model.optimizer.built:
                state = root.create_group("optimizer_weights")
                _write_arrays(state, model.optimizer.variables)


def _write_names(group, key, names):
    encoded = np.array([name.encode() for name in names]) if names else np.array([])
    pieces = -(-encoded.nbytes // _ATTRIBUTE_BYTES)
    if pieces <= 1:
        group.attrs[key] = encoded
        return
    for number, piece in enumerate(np.array_split(encoded, pieces)):
        group.attrs[f"{key}{number}"] = piece


def _write_arrays(group, variables):
    names = []
    for number, variable in enumerate(variables):
        name = variable.path
        # One path may be the beginning of another, or the same.
        if name in group or any(
            n.startswith(f"{name}/") or name.startswith(f"{n}/") for n in names
        ):
            name = f"{name}_{number}"
        value = np.asarray(variable.value if isinstance(variable, Variable) else variable)
        if value.dtype.kind == "V":
            raise ValueError(
                f"Old .h5 files have no numbers of type {value.dtype.name}, which '{name}' has. "
                "Save the model as a '.keras' file."
            )
        group[name] = value
        names.append(name)
    _write_names(group, "weight_names", names)


def _plain_entry(entry):
    """The description of a model or layer with its class and config only, as Keras wrote it."""
    module, registered = entry.get("module"), entry.get("registered_name")
    name = registered if registered and ">" in registered else entry["class_name"]
    found = {"class_name": name, "config": dict(entry["config"])}
    layers = found["config"].get("layers")
    if isinstance(layers, list) and entry["class_name"] in ("Functional", "Sequential", "Model"):
        found["config"]["layers"] = [_plain_entry(layer) for layer in layers]
    # What Keras can't read back, a call of one of keras.ops, we can, since it says so.
    if isinstance(module, str) and module.startswith(("keras.src.ops", "keras.src.activations")):
        found["module"] = module
    return found | {k: entry[k] for k in ("name", "inbound_nodes") if k in entry}


def _training_config(config):
    """What the model is compiled with, in the form of these files."""
    optimizer = config.get("optimizer")
    found = {k: config.get(k) for k in ("loss_weights", "run_eagerly", "steps_per_execution")}
    found["loss"] = _plain(config.get("loss"), "losses")
    found["metrics"] = _plain(config.get("metrics"), "metrics")
    found["weighted_metrics"] = _plain(config.get("weighted_metrics"), "metrics")
    found["jit_compile"] = True
    if isinstance(optimizer, dict):
        found["optimizer_config"] = {
            "class_name": optimizer["class_name"],
            "config": optimizer["config"],
        }
    return found


def _plain(value, family):
    """Losses and metrics by class and config; of functions, the name that Keras knows."""
    if isinstance(value, list):
        return [_plain(v, family) for v in value]
    if isinstance(value, str) and family == "losses":
        return getattr(objects.lookup(family, value), "__name__", value)
    if not isinstance(value, dict):
        return value
    if "class_name" in value and "config" in value:
        if value["class_name"] == "function":
            return value["config"]
        name = value.get("registered_name") or value["class_name"]
        return {"class_name": name, "config": value["config"]}
    return {k: _plain(v, family) for k, v in value.items()}
