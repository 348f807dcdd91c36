"""What a `.keras` file holds, as a zip or as a folder."""

import contextlib
import functools
import io
import json
import pathlib
import re
import shutil
import tempfile
import zipfile

from ..core.loading import LoadError
from ._atomic import atomic_folder, atomic_write
from ._folder import FolderReader
from ._zip import ZipReader, is_plain_name

METADATA, CONFIG, WEIGHTS, ASSETS = "metadata.json", "config.json", "model.weights.h5", "assets"
INDEX = "model.weights.json"

# What a `.keras` file may hold: also weights in several files, as Keras writes large ones.
MEMBERS = re.compile(
    r"metadata\.json|config\.json|model\.weights\.(h5|json)|model_\d+\.weights\.h5|assets/.+",
    re.DOTALL,
)

# A member without a date, so that equal models give equal bytes.
MEMBER_DATE = (1980, 1, 1, 0, 0, 0)


def write_archive(path, metadata, config, write_weights, save_assets):
    """Write a `.keras` file, atomically.

    Args:
        path: where.
        metadata, config: dicts of plain data.
        write_weights: function that writes the weights to the file object it is given.
        save_assets: dict from an object's path in the model to a function that writes the
            object's files into a folder it is given.
    """
    with atomic_write(path) as temporary, zipfile.ZipFile(temporary, "x") as archive:
        add = functools.partial(add_member, archive)
        write_members(add, temporary.parent, metadata, config, write_weights, save_assets)


def add_member(archive, name, source):
    """Add what a file object holds to a `zipfile.ZipFile`."""
    source.seek(0)
    with archive.open(zipfile.ZipInfo(name, MEMBER_DATE), "w", force_zip64=True) as target:
        shutil.copyfileobj(source, target, 1 << 20)


def write_folder(path, metadata, config, write_weights, save_assets):
    """Write a folder with what a `.keras` file holds; the arguments are those of `write_archive`.

    Raises:
        FileExistsError: if there is a file of this name, or a folder that holds anything else.
    """
    path = pathlib.Path(path)
    if path.exists():
        names = FolderReader(path).names if path.is_dir() else [path.name]
        others = [name for name in names if not MEMBERS.fullmatch(name)]
        if others:
            raise FileExistsError(
                f"'{path}' holds {others[0]!r}, which is no part of a model; it isn't replaced. "
                "Choose a new name."
            )
    with atomic_folder(path) as temporary:

        def add(name, source):
            source.seek(0)
            target = temporary / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:
                shutil.copyfileobj(source, file, 1 << 20)

        write_members(add, temporary, metadata, config, write_weights, save_assets)


def write_members(add, scratch, metadata, config, write_weights, save_assets):
    """Hand everything that a `.keras` file holds to `add(name, file object)`.

    Args:
        add: the function.
        scratch: folder with room for the weights; the rest as in `write_archive`.
    """
    for name, data in ((METADATA, metadata), (CONFIG, config)):
        add(name, io.BytesIO(json.dumps(data).encode()))
    # HDF5 seeks while it writes, which a zip can't. The file has no name, so nothing is left
    # behind by a kill; it lies in the target's folder, where there must be room anyway.
    with tempfile.TemporaryFile(dir=scratch) as weights:
        write_weights(weights)
        add(WEIGHTS, weights)
    for object_path, save in save_assets.items():
        with tempfile.TemporaryDirectory() as folder:
            save(folder)
            for file in sorted(f for f in pathlib.Path(folder).rglob("*") if f.is_file()):
                name = f"{ASSETS}/{object_path}/{file.relative_to(folder).as_posix()}"
                if not is_plain_name(name):
                    raise ValueError(
                        f"The file {name!r}, which `save_assets` wrote, needs a name without "
                        "control characters, backslashes and colons, and of at most 255 bytes."
                    )
                with file.open("rb") as source:
                    add(name, source)


def is_model_folder(path):
    """Whether there is a folder at `path` with what a `.keras` file holds."""
    path = pathlib.Path(path)
    return path.is_dir() and (path / CONFIG).is_file() and (path / METADATA).is_file()


class Archive:
    """A `.keras` file, or a folder with the same members, to read from.

    Members are read by name; a file with others than Keras writes is refused.

    Raises:
        FileNotFoundError: if there is no such file.
        LoadError: if it is no zip, or not as Keras writes it.
    """

    def __init__(self, path):
        self.path = pathlib.Path(path)
        if not self.path.exists():
            raise FileNotFoundError(f"There is no file '{self.path}'.")
        self._stack = contextlib.ExitStack()
        try:
            if self.path.is_dir():
                self._zip = FolderReader(self.path)
            else:
                file = self._stack.enter_context(self.path.open("rb"))
                self._zip = ZipReader(file, str(self.path))
            for name in self._zip.names:
                if not MEMBERS.fullmatch(name):
                    raise LoadError(f"'{self.path}': a .keras file has no member {name!r}.")
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stack.close()

    @property
    def names(self):
        """The names of all members."""
        return self._zip.names

    def size(self, name):
        """How many bytes a member has when unpacked."""
        return self._zip.size(name)

    def json(self, name):
        """The data in a JSON member: a dict."""
        self._check(name)
        return self._zip.json(name)

    def open(self, name):
        """Context manager: a member as a file object that can be read from anywhere."""
        self._check(name)
        return self._zip.open(name)

    def weights(self):
        """Context manager: the weights as a file object that can be read from anywhere."""
        return self.open(WEIGHTS)

    def assets(self, object_path):
        """The files of one object: pairs of plain names (which may have folders) and bytes."""
        prefix = f"{ASSETS}/{object_path}/"
        for name in self._zip.names:
            if name.startswith(prefix):
                yield name.removeprefix(prefix), self._zip.read(name)

    def _check(self, name):
        if name not in self._zip.names:
            held = ", ".join(self._zip.names[:8]) or "nothing"
            raise LoadError(
                f"'{self.path}' is not a whole .keras file: {name} is missing. It holds: {held}."
            )
