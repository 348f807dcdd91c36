"""Folders read by names, as strictly as a zip."""

import pathlib

from ..core.loading import LoadError, check_limit
from ._json import parse_json
from ._zip import is_plain_name


class FolderReader:
    """A folder that is read by names, as a `ZipReader` is.

    Raises:
        LoadError: if it holds links, or anything else than usual files and folders.
    """

    def __init__(self, path):
        self.name, self._path, self._sizes = str(path), pathlib.Path(path), {}
        for number, file in enumerate(self._path.rglob("*")):
            check_limit(f"'{path}' has … members or more", number + 1, "members")
            name = file.relative_to(self._path).as_posix()
            usual = not file.is_symlink() and (file.is_file() or file.is_dir())
            if not usual or not is_plain_name(name):
                raise LoadError(f"'{path}': {name!r} is a link, or no usual file.")
            if file.is_file():
                self._sizes[name] = file.stat().st_size

    @property
    def names(self):
        """The names of all files inside."""
        return sorted(self._sizes)

    def size(self, name):
        """How many bytes a file has."""
        return self._sizes[name]

    def read(self, name):
        """The bytes of a file."""
        return (self._path / name).read_bytes()

    def json(self, name):
        """The data in a JSON file: a dict."""
        what = f"'{self.name}': {name}"
        check_limit(f"{what} has … bytes", self.size(name), "config_bytes")
        return parse_json(self.read(name), what)

    def open(self, name):
        """Context manager: a file to read from anywhere."""
        return (self._path / name).open("rb")
