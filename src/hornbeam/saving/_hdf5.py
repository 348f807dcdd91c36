"""HDF5 files, read strictly: numbers that lie in the file itself, nothing that points elsewhere.

A file of weights ends with a checksum of all that comes before. HDF5, and so Keras, doesn't look
behind its own end, and cuts off what is there when the file is changed.
"""

import contextlib
import hashlib
import io
import math
from collections.abc import Mapping

import ml_dtypes  # JAX's own number types, as NumPy types
import numpy as np

from ..core.loading import SLACK, LoadError, check_limit, explained, limits

_MARK = b"\nhornbeam sha256 "
_CHECKSUM = len(_MARK) + hashlib.sha256().digest_size
_CHUNK = 1 << 20
_ATTRIBUTE_BYTES = 1 << 16


@contextlib.contextmanager
def hdf5_writer(file):
    """Context manager: gives the root group of an HDF5 file that is written to a file object.

    Raises:
        OSError: if something couldn't be written.
    """
    import h5py

    target = _Target(file)
    try:
        with h5py.File(target, "w") as root:
            yield root
        target.flush()
    finally:
        if target.error is not None:
            raise target.error


class _Target:
    """A file object whose errors come out at the end: HDF5 may crash after an error of the disk."""

    def __init__(self, file):
        self.file, self.error = file, None

    # Also these write: what a buffer still holds.

    def read(self, size=-1):
        return self._try(lambda: self.file.read(size), b"")

    def seek(self, offset, whence=io.SEEK_SET):
        return self._try(lambda: self.file.seek(offset, whence), offset)

    def tell(self):
        return self._try(self.file.tell, 0)

    def readinto(self, buffer):
        return self._try(lambda: self.file.readinto(buffer), 0)

    def write(self, data):
        return self._try(lambda: self.file.write(data), len(data))

    def truncate(self, size):
        return self._try(lambda: self.file.truncate(size), size)

    def flush(self):
        return self._try(self.file.flush, None)

    def _try(self, function, otherwise):
        if self.error is None:
            try:
                return function()
            except OSError as error:
                self.error = error
        return otherwise


def add_checksum(file):
    """Put the checksum of a file behind its end; returns it, in hex."""
    digest = _digest(file, file.seek(0, io.SEEK_END))
    file.seek(0, io.SEEK_END)
    file.write(_MARK + digest)
    return digest.hex()


def _digest(file, size):
    """The SHA-256 of the first `size` bytes."""
    file.seek(0)
    found = hashlib.sha256()
    while size > 0 and (chunk := file.read(min(size, _CHUNK))):
        found.update(chunk)
        size -= len(chunk)
    return found.digest()


class WeightsFile:
    """An HDF5 file, opened to read. Its parts are looked at one by one before anything is read.

    Args:
        file: binary file object.
        name: of the file, for messages.

    Raises:
        LoadError: if it is no whole HDF5 file, if its checksum is wrong, or if it has links, data
            in other files, or parts that claim to be larger than the file.

    `groups` is `{path: {name: dataset}}`, `nbytes` the size of all arrays, `digest` the checksum in
    hex, if there is one.
    """

    def __init__(self, file, name):
        import h5py

        self._h5py, self.name, self.digest = h5py, name, None
        self.groups, self.nbytes, self.stored = {}, 0, 0
        self._met, self._members = set(), 0
        self._size = self._check_sum(file)
        with explained(name, "it can't be read as HDF5"):
            self.root = h5py.File(file, "r")
        try:
            self._collect(self.root, "")
            most = max(SLACK, limits().unpacked_ratio * self.stored)
            check_limit(f"'{name}' unpacks to … bytes", self.nbytes, "unpacked_ratio", most)
        except BaseException:
            self.root.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.root.close()

    def _check_sum(self, file):
        """Compare the checksum, if there is one; returns the number of bytes before it."""
        with explained(self.name):
            size = file.seek(0, io.SEEK_END)
            if size < _CHECKSUM:
                return size
            file.seek(size - _CHECKSUM)
            end = file.read(_CHECKSUM)
            if end.startswith(_MARK):
                size -= _CHECKSUM
                if _digest(file, size) != end[len(_MARK) :]:
                    raise self._wrong("its checksum is wrong: the file is damaged")
                self.digest = end[len(_MARK) :].hex()
            file.seek(0)
            return size

    def _wrong(self, text):
        """The error about a part of the file."""
        return LoadError(f"'{self.name}': {text}.")

    def _reading(self, path):
        return explained(self.name, f"'{path or '/'}' can't be read")

    # Looking through it ---------------------------------------------------------------------------

    def _collect(self, group, path):
        pending = [(group, path)]
        while pending:
            group, path = pending.pop()
            with self._reading(path):
                self._check_once(group, path)
                for key in group:
                    inner = f"{path}/{key}" if path else key
                    # Links may point to other files on this disk; nothing that saves weights
                    # makes them.
                    if not isinstance(group.get(key, getlink=True), self._h5py.HardLink):
                        raise self._wrong(f"'{inner}' is a link; weights have none")
                    with self._reading(inner):
                        item = group[key]
                        if isinstance(item, self._h5py.Group):
                            pending.append((item, inner))
                        elif isinstance(item, self._h5py.Dataset):
                            self._check(item, inner)
                            self.groups.setdefault(path, {})[key] = item
                        else:
                            raise self._wrong(f"'{inner}' is neither a group nor an array")

    def _check_once(self, item, path):
        self._members += 1
        check_limit(f"'{self.name}' has … groups and arrays or more", self._members, "members")
        address = self._h5py.h5o.get_info(item.id).addr
        if address in self._met:
            raise self._wrong(f"'{path}' has two names, or contains itself")
        self._met.add(address)
        attributes = self._h5py.h5a
        for i in range(attributes.get_num_attrs(item.id)):
            size = attributes.get_info(item.id, index=i).data_size
            if size > _ATTRIBUTE_BYTES:
                raise self._wrong(f"an attribute of '{path}' has {size} bytes")

    def _check(self, dataset, path):
        """A dataset is made of numbers that lie in the file."""
        # First, since HDF5 opens the other files as soon as it is asked for a shape.
        plist = dataset.id.get_create_plist()
        layout = plist.get_layout()
        if layout == self._h5py.h5d.VIRTUAL or plist.get_external_count():
            raise self._wrong(f"'{path}' takes its data from another file")
        self._check_once(dataset, path)
        filters = {plist.get_filter(i)[0] for i in range(plist.get_nfilters())}
        if not filters <= _known_filters(self._h5py):  # HDF5 would look for a library
            raise self._wrong(f"'{path}' is packed by an unknown filter")
        kind = dataset.id.get_type()
        if dataset.dtype.kind not in "biufcV" or dataset.dtype.hasobject or dataset.dtype.names:
            raise self._wrong(f"'{path}' holds no numbers, but {dataset.dtype}")
        if kind.get_class() == self._h5py.h5t.ARRAY:
            raise self._wrong(f"'{path}' holds arrays of arrays")
        nbytes = math.prod(dataset.shape) * dataset.dtype.itemsize
        stored = dataset.id.get_storage_size()
        if layout == self._h5py.h5d.CHUNKED:
            chunk = math.prod(dataset.chunks) * dataset.dtype.itemsize
            if chunk > 2 * nbytes + _CHUNK:
                raise self._wrong(f"'{path}' has chunks of {chunk} bytes for {nbytes}")
        self.nbytes += nbytes
        self.stored += stored
        if nbytes > max(limits().unpacked_ratio * stored, _CHUNK):
            what = f"'{self.name}': '{path}' claims … bytes, of which the file holds {stored:,}"
            check_limit(what, nbytes, "unpacked_ratio", limits().unpacked_ratio * stored)
        if self.stored > self._size:
            raise self._wrong(f"'{path}' overlaps another array")

    # Reading --------------------------------------------------------------------------------------

    def read(self, group):
        """The arrays of a group: a mapping from names, which reads one when it is asked for."""
        return _Arrays(self, self.groups.get(group, {}))

    def array(self, dataset):
        """The numbers of a dataset."""
        with self._reading(dataset.name):
            value = dataset[()]
            if dataset.dtype.kind != "V":
                return value
            name = dataset.attrs.get("dtype")
            number_type = getattr(ml_dtypes, name, None) if isinstance(name, str) else None
            if not (isinstance(number_type, type) and issubclass(number_type, np.generic)):
                raise self._wrong(f"'{dataset.name}' has no known number type: {name!r}")
            return value.view(np.dtype(number_type))


class _Arrays(Mapping):
    """The arrays of a group."""

    def __init__(self, file, datasets):
        self._file, self._datasets = file, datasets

    def __getitem__(self, name):
        return self._file.array(self._datasets[name])

    def __iter__(self):
        return iter(self._datasets)

    def __len__(self):
        return len(self._datasets)


def _known_filters(h5py):
    """The numbers of the filters that HDF5 and h5py bring along."""
    z = h5py.h5z
    return {z.FILTER_DEFLATE, z.FILTER_SHUFFLE, z.FILTER_FLETCHER32, z.FILTER_LZF}
