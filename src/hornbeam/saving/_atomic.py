"""Files and folders that are whole or as before, whatever happens while they are written."""

import contextlib
import ctypes
import os
import pathlib
import re
import secrets
import shutil
import stat
import sys

_ABANDONED = 3600  # seconds without a write after which nobody writes a temporary file any more
_CURRENT_FOLDER = -100  # AT_FDCWD
_EXCHANGE = 2


@contextlib.contextmanager
def atomic_write(path):
    """Context manager: gives a path to write to, which takes the name `path` at the end.

    Whatever happens meanwhile (an error, a full disk, a killed process), `path` holds either what
    it held before or the whole new file.

    Raises:
        FileNotFoundError: if the folder doesn't exist.
    """
    path = _target(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        if path.exists():
            temporary.chmod(stat.S_IMODE(path.stat().st_mode))
        sync(temporary)
        now = temporary.stat().st_mtime  # by the clock of the disk, which may be another machine's
        os.replace(temporary, path)
        sync(path.parent)
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


def sync(path):
    """Wait until a file or folder is on the disk."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except PermissionError:  # Windows doesn't open folders, and needs no such call for them
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def atomic_folder(path):
    """Context manager: gives a new folder to fill, which takes the name `path` at the end.

    Whatever happens meanwhile, `path` is the old folder or the whole new one. Where the system
    can't exchange two folders in one go (Linux and macOS can), a kill in the instant between two
    renames leaves the old one as `.name.….old`.

    Raises:
        FileNotFoundError: if the folder around it doesn't exist.
    """
    path = _target(path)
    token = secrets.token_hex(4)
    temporary = path.with_name(f".{path.name}.{token}.tmp")
    old = path.with_name(f".{path.name}.{token}.old")
    temporary.mkdir()
    try:
        yield temporary
        for inner in temporary.rglob("*"):
            sync(inner)
        sync(temporary)
        if not path.exists():
            os.rename(temporary, path)
        elif _exchange(temporary, path):
            pass  # what is called temporary now is the old one
        else:
            os.rename(path, old)
            os.rename(temporary, path)
        sync(path.parent)
    finally:
        for folder in (temporary, old):
            shutil.rmtree(folder, ignore_errors=True)


def _exchange(a, b):
    """Exchange the names of two folders; returns whether the system could."""
    library = ctypes.CDLL(None) if os.name == "posix" else None
    paths = os.fsencode(a), os.fsencode(b)
    if sys.platform == "darwin":
        swap, arguments = getattr(library, "renamex_np", None), (*paths, _EXCHANGE)
    else:
        swap = getattr(library, "renameat2", None)
        arguments = (_CURRENT_FOLDER, paths[0], _CURRENT_FOLDER, paths[1], _EXCHANGE)
    return swap is not None and swap(*arguments) == 0


def _target(path):
    """The path to write to: through a symbolic link that of the file behind it; the link stays."""
    path = pathlib.Path(os.path.realpath(path))
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"Can't write '{path}': there is no folder '{path.parent}'. Make it first, with "
            "`pathlib.Path(...).mkdir(parents=True)`."
        )
    return path
