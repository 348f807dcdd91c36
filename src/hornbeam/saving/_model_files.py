"""Whole models as `.keras` files: structure, weights, optimizer, compile settings, assets."""

import pathlib
import tempfile

from ..core import objects
from ..core.loading import LoadError, loading
from ..core.messages import expected, shown, unknown_keywords
from ._archive import CONFIG, WEIGHTS, Archive, write_archive
from ._hdf5 import WeightsFile
from ._json import check_structure
from ._orbax import Checkpoint, find_checkpoint
from ._weights import check_overwrite, read_weights, walk, write_weights

# The release whose format this is; Keras reads the field, and checks nothing.
FORMAT_VERSION = "3.15.1"


def save_model(model, filepath, overwrite=True, zipped=None, **kwargs):
    """Write a model (structure, weights, optimizer, compile settings) to a `.keras` file.

    The file is replaced as a whole or not at all, also when the process is killed.

    Args:
        model: the model.
        filepath: path ending in `.keras`.
        overwrite: whether an existing file is replaced; otherwise that is an error.
        zipped: `True` (the default) for one file. Folders are not supported yet.

    Raises:
        ValueError: for another ending.
        FileExistsError: if the file exists and `overwrite` is false.
        TypeError: if something in the model can't be described as data.

    Example:

    >>> import tempfile
    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     keras.saving.save_model(model, folder + "/model.keras")
    ...     copy = keras.saving.load_model(folder + "/model.keras")
    >>> bool((copy(np.ones((1, 3))) == model(np.ones((1, 3)))).all())
    True
    """
    include_optimizer = kwargs.pop("include_optimizer", True)
    if kwargs:
        raise unknown_keywords("save_model", kwargs, ("overwrite", "zipped", "include_optimizer"))
    if zipped is False:
        raise NotImplementedError(
            "save_model(zipped=False), a folder in the place of a file, is not implemented yet. "
            "Leave it out to write one .keras file."
        )
    if not str(filepath).endswith(".keras"):
        raise ValueError(
            expected(
                "filepath",
                "a path ending in '.keras'",
                str(filepath),
                "For the weights alone use `model.save_weights('….weights.h5')`."
                + (" Old whole-model .h5 files are not supported yet." if _is_h5(filepath) else ""),
            )
        )
    check_overwrite(filepath, overwrite)
    # No date, which the file has anyway, so that equal models give equal bytes.
    metadata = {"keras_version": FORMAT_VERSION}
    config = model_config(model, include_optimizer)
    assets = {path: obj.save_assets for path, obj in walk(model) if hasattr(obj, "save_assets")}
    write_archive(filepath, metadata, config, lambda file: write_weights(model, file), assets)


def model_config(model, compiled=True):
    """A model's structure, and how it is compiled, as plain data."""
    config = objects.serialize(model)
    if not compiled:
        config.pop("compile_config", None)
    _check_plain(config, model.name)
    return config


def load_model(filepath, custom_objects=None, compile=True, safe_mode=True):
    """Read a model that `model.save` (of hornbeam or of Keras) wrote.

    A file is data: classes and functions are looked up by name among hornbeam's own, the
    registered ones and `custom_objects`; nothing is imported or run. What a file may ask for is
    limited, see `load_limits`.

    Args:
        filepath: path of a `.keras` file, or of a folder that `callbacks.OrbaxCheckpoint` wrote:
            of one checkpoint, or of all, for the last one.
        custom_objects: dict from names to your classes and functions that the model uses.
        compile: whether to compile the model as it was.
        safe_mode: `False` lets this call run the Python bytecode that Keras writes for a lambda.
            That code can do anything: only for files whose author you trust.

    Raises:
        FileNotFoundError: if there is no such file.
        LoadError: if it is no whole `.keras` file, if it names something unknown, asks for too
            much, or if its weights don't fit its structure.
    """
    name = str(filepath)
    if not name.endswith(".keras"):
        if (folder := find_checkpoint(filepath)) is None:
            raise LoadError(
                f"'{filepath}' has no known format: load_model reads '.keras' files, and folders "
                "with Orbax checkpoints."
                + (" Old whole-model .h5 files are not supported yet." if _is_h5(filepath) else "")
            )
        checkpoint = Checkpoint(folder)
        if checkpoint.about["config"] is None:
            raise LoadError(
                f"'{folder}' holds weights only. Make the model and use its `load_weights`."
            )
        with loading(str(folder), checkpoint.nbytes):
            return _load(checkpoint.about["config"], checkpoint, custom_objects, compile, safe_mode)
    with Archive(filepath) as archive:
        config = archive.json(CONFIG)
        with (
            archive.weights() as source,
            WeightsFile(source, f"{filepath}/{WEIGHTS}") as weights,
            loading(name, weights.nbytes),
        ):
            model = _load(config, weights, custom_objects, compile, safe_mode)
            _load_assets(model, archive)
    return model


def _load(config, weights, custom_objects, compile, safe_mode):
    """The model that a config describes, with its weights."""
    if not compile:
        config.pop("compile_config", None)
    model = objects.deserialize(config, custom_objects, safe_mode)
    if not hasattr(model, "load_own_variables"):
        raise LoadError(f"{CONFIG} describes no model, but {shown(model)}.")
    read_weights(model, weights, fresh=True)
    return model


def _load_assets(model, archive):
    for path, obj in walk(model):
        files = list(archive.assets(path)) if hasattr(obj, "load_assets") else ()
        if not files:
            continue
        with tempfile.TemporaryDirectory() as folder:
            for name, data in files:
                if name.endswith(".json"):  # whoever reads it: it unpacks to far more
                    check_structure(data.decode("utf-8", "replace"), f"'{archive.path}': {name}")
                target = pathlib.Path(folder, name)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
            obj.load_assets(folder)


def _is_h5(filepath):
    return str(filepath).endswith((".h5", ".hdf5"))


def _check_plain(data, path):
    """An error that says where in a config something stands that JSON can't hold."""
    if isinstance(data, dict):
        for key, value in data.items():
            _check_plain(value, f"{path}.{key}")
    elif isinstance(data, (list, tuple)):
        for i, value in enumerate(data):
            _check_plain(value, f"{path}[{i}]")
    elif not isinstance(data, (str, int, float, bool, type(None))):
        raise TypeError(
            f"Can't write {shown(data)}, which the model's config holds at {path}. Let the "
            "owner's `get_config` describe it with numbers, strings, lists and dicts (or give its "
            "class a `get_config`). A lambda needs a name: define it with `def`."
        )
