"""What a file holds, told without making any of it."""

import collections
import dataclasses
import hashlib
import json
import math
import os
import pathlib

from ..core import objects
from ..core.loading import LoadError, loading
from ..core.naming import to_snake_case
from ._archive import CONFIG, METADATA, Archive, is_model_folder
from ._editor import natural
from ._orbax import find_checkpoint
from ._renamed import upgraded
from ._shards import files_of, read_index
from ._weight_files import is_h5, open_weights
from ._whole_h5 import compile_config, open_h5

_CHUNK = 1 << 20


@dataclasses.dataclass(frozen=True)
class Member:
    """A part of a file, or one of several files: its size in bytes and its SHA-256."""

    nbytes: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class LayerReport:
    """A layer that a file describes.

    `depth` is 0 for the layers of the model itself, 1 for those of a model inside it, and so on.
    `path` is where its weights are, `parameters` how many numbers they have.
    """

    name: str
    class_name: str
    path: str
    parameters: int
    depth: int


@dataclasses.dataclass(frozen=True, repr=False)
class FileReport:
    """What `inspect_file` found; it prints as a text."""

    path: str
    format: str
    nbytes: int
    members: dict
    keras_version: str | None = None
    date_saved: str | None = None
    model: str | None = None
    layers: tuple = ()
    weights: dict = dataclasses.field(default_factory=dict)
    parameters: int = 0
    compiled: dict | None = None
    custom_objects: tuple = ()
    bytecode: bool = False
    mapped: tuple = ()

    def __repr__(self):
        return "\n".join(_lines(self))


def inspect_file(filepath):
    """Tell what a file of a model or of weights holds, without making anything of it.

    No layer is built, no class looked up, no array read (but for their checksums).

    Args:
        filepath: a file or folder that `load_model` or `load_weights` reads.

    Returns:
        An object that prints as a text, with these attributes:

        - `format`, `nbytes`, `keras_version`, `date_saved`;
        - `model`, the class and name of the model, and `layers`, in their order, each with `name`,
          `class_name`, `path`, `parameters` and `depth`;
        - `weights`, a dict from paths to `(shape, dtype)`; `parameters`, how many numbers they
          have, without those of the optimizer;
        - `compiled`, the names of optimizer, loss and metrics;
        - `members`, a dict from the names of the parts to their `nbytes` and `sha256`;
        - `custom_objects`, the names of classes and functions that are not Keras's and have to be
          registered, or passed as `custom_objects`, to load the file;
        - `bytecode`, whether it holds a lambda as Python bytecode, which only loads with
          `safe_mode=False`;
        - `mapped`, what has another name today than in the release that wrote the file, and is
          mapped by loading.

    Raises:
        LoadError: if the file isn't whole, or of no known format.

    Example:

    >>> import tempfile
    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="a")], name="m")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(folder + "/m.keras")
    ...     report = keras.saving.inspect_file(folder + "/m.keras")
    >>> report.model, report.parameters, report.layers[-1].name, report.custom_objects
    ('Sequential m', 8, 'a', ())
    """
    path = pathlib.Path(filepath)
    if not path.exists():
        raise FileNotFoundError(f"There is no file '{path}'.")
    with loading(str(path)):
        if str(path).endswith(".keras") or is_model_folder(path):
            return _of_archive(path)
        if is_h5(path.name):
            return _of_whole_h5(path)
        found = find_checkpoint(path)
        members = _members(path if found is None else found)
        with open_weights(path) as weights:
            held = _weights(weights)
            about = getattr(weights, "about", None) or {}
        return FileReport(
            str(path),
            _format(path),
            sum(m.nbytes for m in members.values()),
            members,
            weights=held,
            parameters=_parameters(held),
            **_structure(about.get("config"), held),
        )


def _of_archive(path):
    with Archive(path) as archive:
        members = {}
        for name in archive.names:
            with archive.open(name) as file:
                members[name] = Member(archive.size(name), _sha256(file))
        metadata = archive.json(METADATA) if METADATA in archive.names else {}
        config = archive.json(CONFIG)
    with open_weights(path) as weights:
        held = _weights(weights)
    nbytes = sum(m.nbytes for m in members.values()) if path.is_dir() else path.stat().st_size
    return FileReport(
        str(path),
        _format(path),
        nbytes,
        members,
        keras_version=_text(metadata.get("keras_version")),
        date_saved=_text(metadata.get("date_saved")),
        weights=held,
        parameters=_parameters(held),
        **_structure(config, held, metadata.get("keras_version")),
    )


def _of_whole_h5(path):
    members = _members(path)
    with open_h5(path) as file:
        held = _weights(file.held)
        layers = {
            name: sum(math.prod(array.shape) for array in arrays.values())
            for name, arrays in file.layers().items()
        }
        total = sum(layers.values()) + sum(math.prod(a.shape) for a in file.top().values())
        config, training = file.config, file.training
        if config is not None and training is not None:
            config = {**config, "compile_config": compile_config(training)}
        about = _structure(config, held, file.keras_version)
    if about:
        about["layers"] = tuple(
            dataclasses.replace(x, path=x.name, parameters=layers.get(x.name, 0))
            for x in about["layers"]
        )
    return FileReport(
        str(path),
        "old Keras model (HDF5)" if about else "old Keras weights (HDF5)",
        path.stat().st_size,
        members,
        weights=held,
        parameters=total,
        keras_version=_text(file.keras_version),
        **about,
    )


def _format(path):
    if path.is_dir():
        return "folder of a model" if is_model_folder(path) else "Orbax checkpoint"
    kinds = {
        ".keras": "Keras model",
        ".weights.h5": "Keras weights",
        ".weights.json": "index of Keras weights in several files",
        ".safetensors": "safetensors",
        ".safetensors.index.json": "index of safetensors in several files",
    }
    return next(text for ending, text in reversed(kinds.items()) if path.name.endswith(ending))


def _members(path):
    """Sizes and digests of a file, of all that an index names, or of all in a folder."""
    if path.is_dir():
        files = sorted(f for f in path.rglob("*") if f.is_file())
        names = [f.relative_to(path).as_posix() for f in files]
    else:
        beside = files_of(read_index(path), str(path)) if path.suffix == ".json" else []
        names = [path.name, *beside]
        files = [path.parent / name for name in names]
    found = {}
    for name, file in zip(names, files, strict=True):
        with file.open("rb") as opened:
            found[name] = Member(os.path.getsize(file), _sha256(opened))
    return found


def _sha256(file):
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def _text(value):
    return None if value is None else str(value)[:100]


# Weights -----------------------------------------------------------------------------------------


def _weights(file):
    """`{path: (shape, dtype)}` of everything in a file of weights."""
    return {
        f"{group}/{key}".lstrip("/"): (tuple(array.shape), _dtype(array))
        for group in sorted(file.groups)
        for key, array in sorted(file.groups[group].items(), key=lambda pair: natural(pair[0]))
    }


def _dtype(array):
    """The name of the numbers' type, which an HDF5 file may only hold as an attribute."""
    attributes = getattr(array, "attrs", {})
    return (
        str(attributes.get("dtype", array.dtype)) if array.dtype.kind == "V" else str(array.dtype)
    )


def _parameters(weights, prefix=""):
    """How many numbers there are below a path, without those of optimizers."""
    return sum(
        math.prod(shape)
        for path, (shape, _) in weights.items()
        if path.startswith(prefix) and "optimizer" not in path.split("/")
    )


# Structure ---------------------------------------------------------------------------------------


def _structure(config, weights, release=None):
    """What a config says of a model: a part of a `FileReport`'s fields."""
    if not isinstance(config, dict):
        return {}
    try:
        config, mapped = upgraded(config, release)
    except LoadError as error:
        mapped = [str(error)]
    found = _Names()
    found.visit(config)
    inner = config.get("config")
    name = inner.get("name") if isinstance(inner, dict) else None
    return {
        "model": " ".join(filter(None, (_text(config.get("class_name")), _text(name)))),
        "layers": tuple(_layers(config, weights, "", 0)),
        "compiled": _compiled(config.get("compile_config")),
        "custom_objects": tuple(sorted(found.custom)),
        "bytecode": found.bytecode,
        "mapped": tuple(mapped),
    }


def _layers(config, weights, prefix, depth):
    """The layers that the config of a model describes, those of models inside it included."""
    inner = config.get("config")
    entries = inner.get("layers") if isinstance(inner, dict) else None
    counts = collections.Counter()
    for entry in entries if isinstance(entries, list) else ():
        class_name = str(entry["class_name"])
        key = to_snake_case(class_name)
        number, counts[key] = counts[key], counts[key] + 1
        path = f"{prefix}layers/{key}_{number}" if number else f"{prefix}layers/{key}"
        name = str(entry.get("name") or entry["config"].get("name", ""))
        parameters = _parameters(weights, f"{path}/")
        yield LayerReport(name, class_name, path, parameters, depth)
        yield from _layers(entry, weights, f"{path}/", depth + 1)


def _compiled(config):
    """The names of what a model is compiled with."""
    if not isinstance(config, dict):
        return None
    return {
        key: _short(config[key])
        for key in ("optimizer", "loss", "metrics", "weighted_metrics")
        if config.get(key) is not None
    }


def _short(value):
    """A description without its config."""
    if isinstance(value, dict) and "class_name" in value:
        name = value["class_name"]
        return value.get("config") if name == "function" else name
    if isinstance(value, dict):
        return {key: _short(inner) for key, inner in value.items()}
    return [_short(inner) for inner in value] if isinstance(value, list) else value


class _Names:
    """What a config names beside Keras's own classes and functions."""

    def __init__(self):
        self.custom, self.bytecode = set(), False

    def visit(self, value):
        if isinstance(value, list):
            for inner in value:
                self.visit(inner)
        elif isinstance(value, dict):
            if "class_name" in value and "config" in value:
                self._enter(value)
            for inner in value.values():
                self.visit(inner)

    def _enter(self, entry):
        module, name = entry.get("module"), entry["class_name"]
        if name == "__lambda__":
            self.bytecode = True
        if not isinstance(name, str) or name.startswith("__"):
            return
        registered = entry.get("registered_name")
        if name == "function":
            name, registered = entry["config"], None
        ours = isinstance(module, str) and module.partition(".")[0] == "keras"
        if isinstance(name, str) and not ours and objects.published(module, name) is None:
            self.custom.add(registered if isinstance(registered, str) else name)


# As a text ---------------------------------------------------------------------------------------


def _lines(report):
    yield f"'{report.path}': {report.format}, {report.nbytes:,} bytes"
    if report.keras_version:
        date = f", {report.date_saved}" if report.date_saved else ""
        yield f"Saved with Keras {report.keras_version}{date}"
    if report.model:
        yield f"{report.model}: {report.parameters:,} parameters"
    for layer in report.layers:
        indent = "  " * (layer.depth + 1)
        yield f"{indent}{layer.name} ({layer.class_name}): {layer.parameters:,}"
    if not report.layers:
        for path, (shape, dtype) in report.weights.items():
            yield f"  {path}: {shape} {dtype}"
    if report.compiled is not None:
        yield "Compiled: " + ", ".join(f"{k}={json.dumps(v)}" for k, v in report.compiled.items())
    if report.custom_objects:
        yield "Needs custom_objects: " + ", ".join(report.custom_objects)
    if report.bytecode:
        yield "Holds Python bytecode, which loads only with safe_mode=False"
    for text in report.mapped:
        yield f"Mapped: {text}"
    for name, member in report.members.items():
        yield f"{name}: {member.nbytes:,} bytes, sha256 {member.sha256}"
