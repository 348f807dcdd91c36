"""HDF5 files, read strictly: numbers that lie in the file itself, nothing that points elsewhere.

A file of weights ends with a checksum of all that comes before. HDF5, and so Keras, doesn't look
behind its own end, and cuts off what is there when the file is changed.
"""

import contextlib
import hashlib
import io
import math

import ml_dtypes  # JAX's own number types, as NumPy types
import numpy as np

from ..core.loading import SLACK, LoadError, check_limit, limits

_MARK = b"\nhornbeam sha256 "
_CHECKSUM = len(_MARK) + hashlib.sha256().digest_size
_CHUNK = 1 << 20
_ATTRIBUTE_BYTES = 1 << 16


def add_checksum(file):
    """Put the checksum of a file object behind its end; returns it, in hex."""
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
        with self._explained(""):
            try:
                self.root = h5py.File(file, "r")
            except Exception as error:
                raise LoadError(f"it can't be read as HDF5: {error}") from None
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
        with self._explained(""):
            size = file.seek(0, io.SEEK_END)
            if size < _CHECKSUM:
                return size
            file.seek(size - _CHECKSUM)
            end = file.read(_CHECKSUM)
            if end.startswith(_MARK):
                size -= _CHECKSUM
                if _digest(file, size) != end[len(_MARK) :]:
                    raise LoadError("its checksum is wrong: the file is damaged")
                self.digest = end[len(_MARK) :].hex()
            file.seek(0)
            return size

    @contextlib.contextmanager
    def _explained(self, path):
        """Every error is a `LoadError` that names the file and the part of it."""
        try:
            yield
        except LoadError as error:
            if str(error).startswith(f"'{self.name}'"):
                raise
            raise type(error)(f"'{self.name}': {error}.") from None
        except Exception as error:
            kind = "" if isinstance(error, (OSError, ValueError)) else f"{type(error).__name__}: "
            raise LoadError(
                f"'{self.name}': '{path or '/'}' can't be read: {kind}{error}."
            ) from None

    # Looking through it ---------------------------------------------------------------------------

    def _collect(self, group, path):
        pending = [(group, path)]
        while pending:
            group, path = pending.pop()
            with self._explained(path):
                self._check_once(group, path)
                for key in group:
                    inner = f"{path}/{key}" if path else key
                    # Links may point to other files on this disk; nothing that saves weights
                    # makes them.
                    if not isinstance(group.get(key, getlink=True), self._h5py.HardLink):
                        raise LoadError(f"'{inner}' is a link; weights have none")
                    with self._explained(inner):
                        item = group[key]
                        if isinstance(item, self._h5py.Group):
                            pending.append((item, inner))
                        elif isinstance(item, self._h5py.Dataset):
                            self._check(item, inner)
                            self.groups.setdefault(path, {})[key] = item
                        else:
                            raise LoadError(f"'{inner}' is neither a group nor an array")

    def _check_once(self, item, path):
        self._members += 1
        check_limit(f"'{self.name}' has … groups and arrays or more", self._members, "members")
        address = self._h5py.h5o.get_info(item.id).addr
        if address in self._met:
            raise LoadError(f"'{path}' has two names, or contains itself")
        self._met.add(address)
        attributes = self._h5py.h5a
        for i in range(attributes.get_num_attrs(item.id)):
            size = attributes.get_info(item.id, index=i).data_size
            if size > _ATTRIBUTE_BYTES:
                raise LoadError(f"an attribute of '{path}' has {size} bytes")

    def _check(self, dataset, path):
        """A dataset is made of numbers that lie in the file."""
        # First, since HDF5 opens the other files as soon as it is asked for a shape.
        plist = dataset.id.get_create_plist()
        layout = plist.get_layout()
        if layout == self._h5py.h5d.VIRTUAL or plist.get_external_count():
            raise LoadError(f"'{path}' takes its data from another file")
        self._check_once(dataset, path)
        filters = {plist.get_filter(i)[0] for i in range(plist.get_nfilters())}
        if not filters <= _known_filters(self._h5py):  # HDF5 would look for a library
            raise LoadError(f"'{path}' is packed by an unknown filter")
        kind = dataset.id.get_type()
        if dataset.dtype.kind not in "biufcV" or dataset.dtype.hasobject or dataset.dtype.names:
            raise LoadError(f"'{path}' holds no numbers, but {dataset.dtype}")
        if kind.get_class() == self._h5py.h5t.ARRAY:
            raise LoadError(f"'{path}' holds arrays of arrays")
        nbytes = math.prod(dataset.shape) * dataset.dtype.itemsize
        stored = dataset.id.get_storage_size()
        if layout == self._h5py.h5d.CHUNKED:
            chunk = math.prod(dataset.chunks) * dataset.dtype.itemsize
            if chunk > 2 * nbytes + _CHUNK:
                raise LoadError(f"'{path}' has chunks of {chunk} bytes for {nbytes}")
        self.nbytes += nbytes
        self.stored += stored
        if nbytes > max(limits().unpacked_ratio * stored, _CHUNK):
            what = f"'{self.name}': '{path}' claims … bytes, of which the file holds {stored:,}"
            check_limit(what, nbytes, "unpacked_ratio", limits().unpacked_ratio * stored)
        if self.stored > self._size:
            raise LoadError(f"'{path}' overlaps another array")

    # Reading --------------------------------------------------------------------------------------

    def read(self, group):
        """The arrays of a group: `{name: array}`."""
        return {key: self.array(dataset) for key, dataset in self.groups.get(group, {}).items()}

    def array(self, dataset):
        """The numbers of a dataset."""
        with self._explained(dataset.name):
            value = dataset[()]
            if dataset.dtype.kind != "V":
                return value
            name = dataset.attrs.get("dtype")
            number_type = getattr(ml_dtypes, name, None) if isinstance(name, str) else None
            if not (isinstance(number_type, type) and issubclass(number_type, np.generic)):
                raise LoadError(f"'{dataset.name}' has no known number type: {name!r}")
            return value.view(np.dtype(number_type))


def _known_filters(h5py):
    """The numbers of the filters that HDF5 and h5py bring along."""
    z = h5py.h5z
    return {z.FILTER_DEFLATE, z.FILTER_SHUFFLE, z.FILTER_FLETCHER32, z.FILTER_LZF}
