"""Files that are whole or absent: atomic writes, and the zip that a `.keras` file is."""

import contextlib
import json
import os
import pathlib
import secrets
import shutil
import stat
import tempfile
import zipfile

METADATA, CONFIG, WEIGHTS, ASSETS = "metadata.json", "config.json", "model.weights.h5", "assets"

# A member without a date, so that equal models give equal bytes.
MEMBER_DATE = (1980, 1, 1, 0, 0, 0)


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
        os.replace(temporary, path)
        _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


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
                    with file.open("rb") as source:
                        _add(archive, source, name)


def _add(archive, source, name):
    source.seek(0)
    with archive.open(zipfile.ZipInfo(name, MEMBER_DATE), "w", force_zip64=True) as target:
        shutil.copyfileobj(source, target, 1 << 20)


class Archive:
    """A `.keras` file to read from. Members are read by name; none is ever unpacked by a path
    that the file itself chose.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no zip.
    """

    def __init__(self, path):
        self.path = pathlib.Path(path)
        if not self.path.exists():
            raise FileNotFoundError(f"There is no file '{self.path}'.")
        try:
            self._zip = zipfile.ZipFile(self.path)
        except (zipfile.BadZipFile, OSError) as error:
            raise ValueError(
                f"'{self.path}' is not a .keras file: it can't be read as a zip ({error}). It may "
                "be cut short, or of another format under this name."
            ) from None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._zip.close()

    def json(self, name):
        """The data in a JSON member: a dict."""
        try:
            data = json.loads(self._read(name))
        except (ValueError, RecursionError) as error:
            if isinstance(error, _Missing):
                raise
            raise ValueError(f"'{self.path}': {name} is not JSON: {error}.") from None
        if not isinstance(data, dict):
            raise ValueError(
                f"'{self.path}': {name} should hold a JSON object; it holds a "
                f"{type(data).__name__}."
            )
        return data

    @contextlib.contextmanager
    def weights(self):
        """The weights as a file object that can be read from anywhere."""
        info = self._info(WEIGHTS)
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(self._zip.open(info))
            if info.compress_type != zipfile.ZIP_STORED:
                # Seeking back in a compressed member would unpack it again from its start.
                unpacked = stack.enter_context(tempfile.TemporaryFile())
                shutil.copyfileobj(file, unpacked, 1 << 20)
                unpacked.seek(0)
                file = unpacked
            yield file

    def assets(self, object_path):
        """The files of one object: pairs of plain names (which may have folders) and bytes."""
        prefix = f"{ASSETS}/{object_path}/"
        for info in self._zip.infolist():
            name = info.filename.removeprefix(prefix)
            if info.filename.startswith(prefix) and name and not info.is_dir():
                parts = name.split("/")
                if any(p in ("", ".", "..") or "\\" in p or ":" in p for p in parts):
                    raise ValueError(
                        f"'{self.path}': the member {info.filename!r} points outside its folder."
                    )
                yield name, self._zip.read(info)

    def _read(self, name):
        try:
            return self._zip.read(self._info(name))
        except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
            raise ValueError(f"'{self.path}': {name} can't be read: {error}.") from None

    def _info(self, name):
        try:
            return self._zip.getinfo(name)
        except KeyError:
            held = ", ".join(self._zip.namelist()[:8]) or "nothing"
            raise _Missing(
                f"'{self.path}' is not a whole .keras file: {name} is missing. It holds: {held}."
            ) from None


class _Missing(ValueError):
    """A member that isn't there."""
