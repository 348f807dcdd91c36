"""Files that are whole or absent: atomic writes, and the zip that a `.keras` file is."""

import contextlib
import json
import os
import pathlib
import re
import secrets
import shutil
import stat
import tempfile
import zipfile

from ..core.loading import LoadError
from ._zip import ZipReader, is_plain_name

METADATA, CONFIG, WEIGHTS, ASSETS = "metadata.json", "config.json", "model.weights.h5", "assets"

# What a `.keras` file may hold: also weights in several files, as Keras writes large ones.
_MEMBERS = re.compile(
    r"metadata\.json|config\.json|model\.weights\.(h5|json)|model_\d+\.weights\.h5|assets/.+",
    re.DOTALL,
)

# A member without a date, so that equal models give equal bytes.
MEMBER_DATE = (1980, 1, 1, 0, 0, 0)

_ABANDONED = 3600  # seconds without a write after which nobody writes a temporary file any more


@contextlib.contextmanager
def atomic_write(path):
    """Context manager: gives a path to write to, which takes the name `path` at the end.

    Whatever happens meanwhile (an error, a full disk, a killed process), `path` holds either what
    it held before or the whole new file.

    Raises:
        FileNotFoundError: if the folder doesn't exist.
    """
    # Through a symbolic link the file behind it is replaced, and the link stays.
    path = pathlib.Path(os.path.realpath(path))
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"Can't write '{path}': there is no folder '{path.parent}'. Make it first, with "
            "`pathlib.Path(...).mkdir(parents=True)`."
        )
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        if path.exists():
            temporary.chmod(stat.S_IMODE(path.stat().st_mode))
        _sync(temporary)
        now = temporary.stat().st_mtime  # by the clock of the disk, which may be another machine's
        os.replace(temporary, path)
        _sync(path.parent)
        _remove_abandoned(path, now)
    finally:
        temporary.unlink(missing_ok=True)


def _remove_abandoned(path, now):
    """Remove what killed processes left beside a file, unless it was written to of late."""
    left = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{8}}\.tmp")
    with contextlib.suppress(OSError), os.scandir(path.parent) as entries:
        for entry in entries:
            about = left.fullmatch(entry.name) and entry.stat(follow_symlinks=False)
            if about and stat.S_ISREG(about.st_mode) and now - about.st_mtime > _ABANDONED:
                os.unlink(entry.path)


def _sync(path):
    """Wait until a file or folder is on the disk."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except PermissionError:  # Windows doesn't open folders, and needs no such call for them
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


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
        for name, data in ((METADATA, metadata), (CONFIG, config)):
            archive.writestr(zipfile.ZipInfo(name, MEMBER_DATE), json.dumps(data))
        # HDF5 seeks while it writes, which a zip can't. The file has no name, so nothing is left
        # behind by a kill; it lies in the target's folder, where there must be room anyway.
        with tempfile.TemporaryFile(dir=temporary.parent) as weights:
            write_weights(weights)
            _add(archive, weights, WEIGHTS)
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
                        _add(archive, source, name)


def _add(archive, source, name):
    source.seek(0)
    with archive.open(zipfile.ZipInfo(name, MEMBER_DATE), "w", force_zip64=True) as target:
        shutil.copyfileobj(source, target, 1 << 20)


class Archive:
    """A `.keras` file to read from. Members are read by name; a file with others than Keras
    writes is refused.

    Raises:
        FileNotFoundError: if there is no such file.
        LoadError: if it is no zip, or not as Keras writes it.
    """

    def __init__(self, path):
        self.path = pathlib.Path(path)
        if not self.path.exists():
            raise FileNotFoundError(f"There is no file '{self.path}'.")
        self._file = self.path.open("rb")
        try:
            self._zip = ZipReader(self._file, str(self.path))
            for name in self._zip.names:
                if not _MEMBERS.fullmatch(name):
                    raise LoadError(f"'{self.path}': a .keras file has no member {name!r}.")
        except BaseException:
            self._file.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

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
