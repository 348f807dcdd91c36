"""Weights in several files, with an index that says which holds what.

Keras's index is `m.weights.json` for `m_00000.weights.h5` and so on; safetensors has
`m.safetensors.index.json` for `m-00001-of-00002.safetensors`. Both map names to files.
"""

import contextlib
import dataclasses
import json
import os
import pathlib

from ..core.loading import LoadError, check_limit
from ._atomic import atomic_write
from ._json import parse_json
from ._zip import is_plain_name

GIGABYTE = 1 << 30


@dataclasses.dataclass
class Item:
    """One array to write: its group, the name of its object, its key there, the value."""

    group: str
    owner: str
    key: str
    value: object
    nbytes: int


def shards_of(items, max_shard_size):
    """`items` in their order, as lists that have at most so many gigabytes each.

    Raises:
        ValueError: if a single one has more, since an array isn't divided.
    """
    limit, shards, size = max_shard_size * GIGABYTE, [[]], 0
    for item in items:
        if item.nbytes > limit:
            raise ValueError(
                f"max_shard_size should be at least {item.nbytes / GIGABYTE:.3g} (GB), the size "
                f"of '{item.group}/{item.key}', since an array isn't divided; received "
                f"{max_shard_size!r}."
            )
        if size + item.nbytes > limit:
            shards.append([])
            size = 0
        shards[-1].append(item)
        size += item.nbytes
    return shards


def write_shards(index_path, names, writers, weight_map, total_size):
    """Write files of weights and their index.

    All are on the disk before the first takes its name, and the index comes last. It holds the
    checksum of each, so that files of two saves aren't taken for one.

    Args:
        index_path: path of the index.
        names: the files' names.
        writers: for each, a function that writes it to a path and returns its checksum.
        weight_map: what the index says is where.
        total_size: bytes of all arrays.
    """
    folder = pathlib.Path(index_path).parent
    with contextlib.ExitStack() as stack:
        digests = {}
        for name, write in zip(names, writers, strict=True):
            temporary = stack.enter_context(atomic_write(folder / name))
            digests[name] = write(temporary)
        metadata = {"total_size": total_size, "sha256": digests}
        with atomic_write(index_path) as temporary:
            text = json.dumps({"metadata": metadata, "weight_map": weight_map}, indent=4)
            temporary.write_text(text + "\n", encoding="utf-8")
            # The files take their names when the stack closes; until then the old index holds.
            stack.close()


def read_index(path):
    """The index at a path: a dict."""
    what = f"'{path}'"
    check_limit(f"{what} has … bytes", os.path.getsize(path), "config_bytes")
    return parse_json(pathlib.Path(path).read_bytes(), what)


class Shards:
    """Weights in several files, read as one.

    Args:
        index: what `read_index` returned.
        name: of the index, for messages.
        open_part: function from a file's name to a context manager that gives its weights.

    Raises:
        LoadError: if a file is missing, belongs to another save, or holds what another holds.
    """

    def __init__(self, index, name, open_part):
        self.name, self.groups, self.nbytes = name, {}, 0
        self._parts, self._stack = {}, contextlib.ExitStack()
        try:
            for file in files_of(index, name):
                try:
                    part = self._stack.enter_context(open_part(file))
                except FileNotFoundError:
                    raise LoadError(f"'{name}' lists {file}, which isn't there.") from None
                self._check_sum(index, file, part)
                self._take(part, file)
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stack.close()

    def _check_sum(self, index, file, part):
        metadata = index.get("metadata")
        sums = metadata.get("sha256") if isinstance(metadata, dict) else None
        if isinstance(sums, dict) and sums.get(file) != part.digest:
            raise LoadError(
                f"'{self.name}': {file} isn't the file that was saved with this index; saving may "
                "have been interrupted."
            )

    def _take(self, part, file):
        self.nbytes += part.nbytes
        for group, arrays in part.groups.items():
            mine = self.groups.setdefault(group, {})
            for key, array in arrays.items():
                if key in mine:
                    raise LoadError(f"'{self.name}': {file} holds '{group}/{key}' once more.")
                mine[key] = array
                self._parts[group, key] = part

    def read(self, group):
        """The arrays of a group: `{name: array}`."""
        held = self.groups.get(group, {})
        return {key: self._parts[group, key].array(array) for key, array in held.items()}


def files_of(index, name):
    """The names of the files that an index lists, in order."""
    found = index.get("weight_map")
    if not isinstance(found, dict):
        raise LoadError(f"'{name}' is no index of weights: it has no 'weight_map'.")
    files = {}
    for value in found.values():
        for file in value if isinstance(value, list) else [value]:
            if not isinstance(file, str) or not is_plain_name(file) or "/" in file:
                raise LoadError(f"'{name}': {file!r} is no name of a file beside it.")
            files[file] = True
    check_limit(f"'{name}' lists … files", len(files), "members")
    return list(files)
