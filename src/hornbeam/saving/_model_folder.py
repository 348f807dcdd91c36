"""Folders that are whole or as before: the form of a `.keras` file with `zipped=False`."""

import contextlib
import ctypes
import os
import pathlib
import secrets
import shutil
import sys

from ._archive import MEMBERS, sync, write_members
from ._folder import FolderReader

_CURRENT_FOLDER = -100  # AT_FDCWD
_EXCHANGE = 2


def write_folder(path, metadata, config, write_weights, save_assets):
    """Write a folder with what a `.keras` file holds; the arguments are those of `write_archive`.

    Raises:
        FileExistsError: if there is a file of this name, or a folder that holds anything else.
    """
    path = pathlib.Path(os.path.realpath(path))
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


@contextlib.contextmanager
def atomic_folder(path):
    """Context manager: gives a new folder to fill, which takes the name `path` at the end.

    Whatever happens meanwhile, `path` is the old folder or the whole new one. Where the system
    can't exchange two folders in one go (Linux and macOS can), a kill in the instant between two
    renames leaves the old one as `.name.….old`.

    Raises:
        FileNotFoundError: if the folder around it doesn't exist.
    """
    path = pathlib.Path(os.path.realpath(path))
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"Can't write '{path}': there is no folder '{path.parent}'. Make it first, with "
            "`pathlib.Path(...).mkdir(parents=True)`."
        )
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


def left_behind(path):
    """The old folder that an interrupted write left beside `path`, or `None`."""
    path = pathlib.Path(path)
    return next(iter(sorted(path.parent.glob(f".{path.name}.*.old"))), None)
