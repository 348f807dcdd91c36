"""Taking tar and zip archives apart, so that a hostile one does no harm.

Nothing of an archive is trusted: members are written here, not by `tarfile` or `zipfile`; as plain
files and folders, under names that were checked, into a new folder, and no more than allowed.
"""

import contextlib
import dataclasses
import os
import pathlib
import stat
import tarfile
import tempfile
import zipfile
import zlib

from ..core.messages import expected

_CHUNK = 1 << 20


@dataclasses.dataclass
class DownloadLimits:
    """What `get_file` takes before it gives up.

    Args:
        download_bytes: size of a file.
        download_seconds: time for a file.
        stall_seconds: time without a byte.
        extracted_bytes: size of all that an archive holds.
        extracted_ratio: the same, as a multiple of the archive's size; the first 64 MiB are free.
        members: files and folders in an archive.

    Example:

    >>> keras.utils.download_limits.stall_seconds
    60.0
    """

    download_bytes: int = 1 << 40
    download_seconds: float = 24 * 3600.0
    stall_seconds: float = 60.0
    extracted_bytes: int = 1 << 41
    extracted_ratio: float = 300.0
    members: int = 5_000_000


_FREE_BYTES = 64 << 20


class Unsafe(ValueError):
    """An archive that isn't what it should be."""


def format_of(path, formats):
    """`"tar"`, `"zip"` or `None`: which of `formats` a file has."""
    known = {"tar": _is_tar, "zip": zipfile.is_zipfile}
    for name in formats:
        if name not in known:
            raise ValueError(expected("archive_format", "'auto', 'tar', 'zip' or None", name))
        if known[name](path):
            return name
    return None


def _is_tar(path):
    try:
        with _open_tar(path):
            return True
    except tarfile.TarError:
        return False
    except (OSError, EOFError, zlib.error, Unsafe) as error:  # compressed, and cut off
        raise ValueError(f"{path} wasn't extracted: {error}.") from error


def extract_archive(path, kind, folder, limits):
    """Take an archive apart into a folder, which gets its name when all is there.

    Args:
        path: the archive.
        kind: `"tar"` or `"zip"`.
        folder: the folder to make; what was there is replaced at the end.
        limits: the `DownloadLimits`.

    Raises:
        ValueError: if the archive is broken, holds more than allowed, or anything but files and
            folders with names inside. Then nothing has changed.
    """
    folder = pathlib.Path(folder)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as work:
        made, old = pathlib.Path(work, "new"), pathlib.Path(work, "old")
        made.mkdir()
        writer = _Writer(made, limits, os.path.getsize(path))
        try:
            (_read_tar if kind == "tar" else _read_zip)(path, writer)
        except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, Unsafe) as error:
            raise ValueError(f"{path} wasn't extracted: {error}.") from error
        except (OSError, RuntimeError, NotImplementedError) as error:
            raise type(error)(f"{path} wasn't extracted: {error}.") from error
        with contextlib.suppress(FileNotFoundError):
            os.rename(folder, old)
        try:
            os.rename(made, folder)
        except OSError:
            if old.exists():
                os.rename(old, folder)
            raise


class _Writer:
    """Writes members of an archive into a new folder, and counts."""

    def __init__(self, root, limits, archive_bytes):
        self._root, self._limits = root, limits
        self._left = min(
            limits.extracted_bytes, max(_FREE_BYTES, limits.extracted_ratio * archive_bytes)
        )
        self._files: set[tuple] = set()
        self._folders: set[tuple] = {()}
        self._members = 0

    def parts(self, name):
        """The parts of a member's name, which must stay inside."""
        parts = name.replace("\\", "/").split("/")
        if name.startswith(("/", "\\")) or ".." in parts or ":" in parts[0] or "\0" in name:
            raise Unsafe(f"the name {name!r} leads out of its folder")
        return tuple(part for part in parts if part not in ("", "."))

    def folder(self, name):
        """Make a folder."""
        self._count()
        self._make(self.parts(name), name)

    def file(self, name, size, source):
        """Write a file of a declared size from a file object."""
        self._count()
        parts = self.parts(name)
        self._room(size, name)
        if not parts or parts in self._files or parts in self._folders:
            raise Unsafe(f"two members have the name {name!r}")
        self._make(parts[:-1], name)
        self._files.add(parts)
        written = 0
        with open(self._root.joinpath(*parts), "xb") as file:
            while chunk := source.read(_CHUNK):
                written += len(chunk)
                if written > size:
                    raise Unsafe(f"{name!r} is longer than the {size} bytes it is said to have")
                file.write(chunk)
        if written < size:
            raise Unsafe(f"{name!r} ends after {written} of {size} bytes")
        self._left -= written

    def copy(self, name, target):
        """Write a file that an earlier member holds, for a link to it."""
        parts = self.parts(target)
        if parts not in self._files:
            raise Unsafe(f"the link {name!r} leads to {target!r}, which is no file of the archive")
        source = self._root.joinpath(*parts)
        with open(source, "rb") as file:
            self.file(name, source.stat().st_size, file)

    def _make(self, parts, name):
        for n in range(1, len(parts) + 1):
            if parts[:n] in self._files:
                raise Unsafe(f"{name!r} lies in a member that is a file")
            if parts[:n] not in self._folders:
                self._folders.add(parts[:n])
                self._root.joinpath(*parts[:n]).mkdir()

    def _count(self):
        self._members += 1
        if self._members > self._limits.members:
            raise Unsafe(f"it has more than {self._limits.members} members")

    def _room(self, size, name):
        if size < 0 or size > self._left:
            raise Unsafe(
                f"with {name!r} it holds more than allowed; keras.utils.download_limits has "
                "extracted_bytes and extracted_ratio"
            )


class _Header(tarfile.TarInfo):
    """A tar's header, of which the parts that are read as a whole (long names) are limited."""

    @classmethod
    def frombuf(cls, buf, encoding, errors):
        found = super().frombuf(buf, encoding, errors)
        if found.type in _READ_WHOLE and found.size > _CHUNK:
            raise Unsafe(f"it has a header of {found.size} bytes")
        return found


_READ_WHOLE = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


def _open_tar(path):
    return tarfile.open(path, "r:*", tarinfo=_Header)


def _read_tar(path, writer):
    links = []
    with _open_tar(path) as tar:
        for member in tar:
            name = member.name
            if member.isdir():
                writer.folder(name)
            elif member.isfile():
                source = tar.extractfile(member)
                assert source is not None  # for a file
                writer.file(name, member.size, source)
            elif member.islnk():
                links.append((name, member.linkname))
            elif member.issym():
                if member.linkname.startswith("/"):
                    raise Unsafe(f"the link {name!r} leads to {member.linkname!r}")
                target = os.path.normpath(os.path.join(os.path.dirname(name), member.linkname))
                links.append((name, target))
            else:
                raise Unsafe(f"{name!r} is neither a file nor a folder, nor a link")
        # Without its end, two blocks of zeros, it was cut off between two members.
        file = tar.fileobj
        assert file is not None
        file.seek(tar.offset)
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise Unsafe("its end is missing")
    for name, target in links:
        writer.copy(name, target)


def _read_zip(path, writer):
    with zipfile.ZipFile(path) as archive:
        members = sorted(archive.infolist(), key=lambda member: member.header_offset)
        end = 0
        for member in members:
            if member.header_offset < end:
                raise Unsafe(f"{member.filename!r} overlaps the member before it")
            end = member.header_offset + 30 + member.compress_size  # 30: the shortest header
        for member in members:
            name, mode = member.filename, member.external_attr >> 16
            if member.flag_bits & 1:
                raise Unsafe(f"{name!r} is encrypted")
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise Unsafe(f"{name!r} is neither a file nor a folder")
            if member.is_dir():
                writer.folder(name)
            else:
                with archive.open(member) as source:
                    writer.file(name, member.file_size, source)
