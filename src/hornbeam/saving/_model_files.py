"""Whole models as `.keras` files: structure, weights, optimizer, compile settings, assets."""

import pathlib
import tempfile
import warnings

from ..core import objects
from ..core.loading import LoadError, loading
from ..core.messages import expected, shown, unknown_keywords
from ._archive import (
    CONFIG,
    METADATA,
    Archive,
    is_model_folder,
    write_archive,
    write_folder,
)
from ._atomic import atomic_write
from ._hdf5 import add_checksum
from ._json import check_structure
from ._orbax import Checkpoint, find_checkpoint
from ._renamed import FORMAT_VERSION, upgraded
from ._weight_files import check_overwrite, is_h5, weights_in
from ._weights import read_weights, walk, write_weights
from ._whole_h5 import compile_config, open_h5, write_whole_h5


def save_model(model, filepath, overwrite=True, zipped=None, **kwargs):
    """Write a model (structure, weights, optimizer, compile settings) to a `.keras` file.

    The file, or folder, is replaced as a whole or not at all, also when the process is killed.

    Args:
        model: the model.
        filepath: path ending in `.keras`; that of a folder has no such ending. One ending in `.h5`
            writes Keras's old format, which knows no assets.
        overwrite: whether an existing file is replaced; otherwise that is an error.
        zipped: `False` for a folder in the place of a file, with the same members in it.

    Raises:
        ValueError: for another ending.
        FileExistsError: if the file exists and `overwrite` is false; or if there is a folder of
            this name with other things in it.
        TypeError: if something in the model can't be described as data, such as a lambda.

    Warns:
        UserWarning: if something would not come back, saying what mends it: a class or function
            that is local and not registered, or a `get_config` that leaves an argument out.

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
    if zipped is False and str(filepath).endswith(".keras"):
        raise ValueError(
            f"A folder has no name ending in '.keras', which is that of a file; received "
            f"'{filepath}' with zipped=False."
        )
    whole_h5 = zipped is None and is_h5(str(filepath))
    if zipped is not False and not whole_h5 and not str(filepath).endswith(".keras"):
        raise ValueError(
            expected(
                "filepath",
                "a path ending in '.keras' (or in '.h5', for Keras's old format)",
                str(filepath),
                "For a folder, pass zipped=False. For the weights alone use "
                "`model.save_weights('….weights.h5')`.",
            )
        )
    check_overwrite(filepath, overwrite)
    if whole_h5:
        _config_to_write(model, include_optimizer, filepath)  # complains of what is no data
        with atomic_write(filepath) as temporary, temporary.open("w+b") as file:
            write_whole_h5(file, model, include_optimizer)
            add_checksum(file)
        return
    # No date, which the file has anyway, so that equal models give equal bytes.
    metadata = {"keras_version": FORMAT_VERSION}
    config = _config_to_write(model, include_optimizer, filepath)
    assets = {path: obj.save_assets for path, obj in walk(model) if hasattr(obj, "save_assets")}
    write = write_folder if zipped is False else write_archive
    write(filepath, metadata, config, lambda file: write_weights(model, file), assets)


def _config_to_write(model, compiled, filepath):
    """The config, after a warning of what would not come back from it."""
    with objects.doubting() as doubts:
        config = model_config(model, compiled)
    if doubts:
        warnings.warn(
            f"'{filepath}' is written, but not all of it would come back: {'; '.join(doubts)}.",
            stacklevel=4,
        )
    return config


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
        filepath: path of a `.keras` file, or of a whole-model `.h5` file; of the folder that
            `model.save(zipped=False)` writes; or of a folder that `callbacks.OrbaxCheckpoint`
            wrote: of one checkpoint, or of all, for the last one.
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
    if is_h5(name):
        return _load_whole_h5(filepath, custom_objects, compile, safe_mode)
    if not name.endswith(".keras") and not is_model_folder(filepath):
        if (folder := find_checkpoint(filepath)) is None:
            raise LoadError(
                f"'{filepath}' has no known format: load_model reads '.keras' and whole-model "
                "'.h5' files, folders of models, and folders with Orbax checkpoints."
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
        metadata = archive.json(METADATA) if METADATA in archive.names else {}
        with weights_in(archive) as weights, loading(name, weights.nbytes):
            release = metadata.get("keras_version")
            model = _load(config, weights, custom_objects, compile, safe_mode, release)
            _load_assets(model, archive)
    return model


def _load(config, weights, custom_objects, compile, safe_mode, release=None):
    """The model that a config describes, with its weights."""
    if not compile:
        config.pop("compile_config", None)
    model = _make(config, custom_objects, safe_mode, release)
    read_weights(model, weights, fresh=True)
    return model


def _make(config, custom_objects, safe_mode, release):
    """The model that a config of any release describes."""
    config, _ = upgraded(config, release)
    model = objects.deserialize(config, custom_objects, safe_mode)
    if not hasattr(model, "load_own_variables"):
        raise LoadError(f"{CONFIG} describes no model, but {shown(model)}.")
    return model


def _load_whole_h5(filepath, custom_objects, compile, safe_mode):
    with open_h5(filepath) as file, loading(str(filepath), file.nbytes):
        if file.config is None:
            raise LoadError(
                f"'{filepath}' holds weights only. Make the model and use its `load_weights`."
            )
        config = dict(file.config)
        if compile and file.training is not None:
            config["compile_config"] = compile_config(file.training)
        model = _make(config, custom_objects, safe_mode, file.keras_version)
        file.load_into(model)
        if getattr(model, "optimizer", None) is not None:
            model.optimizer.build(model.trainable_variables)
            file.load_optimizer(model.optimizer)
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
