"""Zip files, read strictly: what two programs could read differently is refused.

One file without a comment, whose members follow each other without gaps or overlaps, stored or
deflated, each with one name in both of its headers. `zipfile` reads far more than that.
"""

import contextlib
import io
import re
import struct
import tempfile
import zlib

from ..core.loading import SLACK, LoadError, check_limit, explained, limits
from ._json import parse_json

_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")

_UTF8, _LATER_SIZES, _PLAIN_FLAGS = 0x800, 0x8, 0x80E  # the last with the bits of deflate's speed
_STORED, _DEFLATED = 0, 8
_ZIP64, _OTHER_NAME = 1, 0x7075
_DESCRIPTOR = 24  # bytes after a member whose sizes are written later, at most
_CHUNK = 1 << 20
_IN_MEMORY = 64 << 20
_BAD_CHARACTER = re.compile(r"[\x00-\x1f\x7f\\:]")


def is_plain_name(name):
    """Whether `name` can be that of a file inside a folder, on any system."""
    parts = name.removesuffix("/").split("/")
    return (
        not any(part in ("", ".", "..") or len(part.encode()) > 255 for part in parts)
        and not _BAD_CHARACTER.search(name)
        and len(name) <= 4000
    )


class _Member:
    """Where a member lies, and what its headers say of it."""

    __slots__ = ("crc", "flags", "is_folder", "method", "name", "offset", "packed", "raw", "size")


class ZipReader:
    """A zip that is read by names.

    Args:
        file: binary file object.
        name: of the file, for messages.

    Raises:
        LoadError: if the zip isn't whole, or is more than plain.
    """

    def __init__(self, file, name):
        self.file, self.name = file, name
        with explained(self.name, "it can't be read as a zip"):
            self._members = self._read_directory()

    @property
    def names(self):
        """The names of all files inside."""
        return [name for name, member in self._members.items() if not member.is_folder]

    def size(self, name):
        """How many bytes a member has when unpacked."""
        return self._members[name].size

    # The directory --------------------------------------------------------------------------------

    def _at(self, offset, form):
        """What a structure at a place of the file holds."""
        self.file.seek(offset)
        data = self.file.read(form.size)
        if len(data) < form.size:
            raise LoadError("it ends too early")
        return form.unpack(data)

    def _read_directory(self):
        length = self.file.seek(0, io.SEEK_END)
        if length < _END.size:
            raise LoadError("it is too short")
        end = length - _END.size
        mark, disk, first_disk, here, count, size, start, comment = self._at(end, _END)
        if mark != b"PK\x05\x06" or comment:
            raise LoadError("it has no directory at its end; it may be cut short")
        if count == 0xFFFF or 0xFFFFFFFF in (size, start):
            end -= _LOCATOR.size
            mark, disk, place, disks = self._at(end, _LOCATOR)
            end -= _END64.size
            if mark != b"PK\x06\x07" or disks != 1 or place != end:
                raise LoadError("its directory's end is broken")
            found = self._at(end, _END64)
            mark, rest, first_disk, other_disk = found[0], found[1], found[4], found[5]
            here, count, size, start = found[6:]
            if mark != b"PK\x06\x06" or rest != _END64.size - 12 or other_disk:
                raise LoadError("its directory's end is broken")
        if disk or first_disk or here != count or start + size != end:
            raise LoadError("its directory isn't where its end says")
        check_limit(f"'{self.name}' has … members", count, "members")
        if size < count * _CENTRAL.size:
            raise LoadError("its directory is too short")
        self.file.seek(start)
        directory = self.file.read(size)
        members, at = [], 0
        for _ in range(count):
            member, at = _parse_central(directory, at)
            members.append(member)
        if at != size:
            raise LoadError("its directory has a rest")
        self._check_places(members, start)
        by_name = {member.name: member for member in members}
        if len(by_name) < len(members):
            names = [member.name for member in members]
            twice = next(name for name in names if names.count(name) > 1)
            raise LoadError(f"it has two members named {twice!r}")
        self._check_sizes(members)
        return by_name

    def _check_places(self, members, directory):
        """Both headers of each member agree, and the members follow each other."""
        end = most_gap = 0
        for member in sorted(members, key=lambda m: m.offset):
            if not 0 <= member.offset - end <= most_gap:
                raise LoadError(f"the member {member.name!r} overlaps another, or follows a gap")
            end = self._check_local(member) + member.packed
            most_gap = _DESCRIPTOR if member.flags & _LATER_SIZES else 0
        if not 0 <= directory - end <= most_gap:
            raise LoadError("its last member reaches into the directory, or ends before it")

    def _check_local(self, member):
        """Where the data of a member begins, after a look at its second header."""
        found = self._at(member.offset, _LOCAL)
        (mark, _, flags, method, _, _, crc, packed, size, name_length, extra_length) = found
        raw = self.file.read(name_length)
        extra = _fields(self.file.read(extra_length))
        if mark != b"PK\x03\x04" or raw != member.raw or flags != member.flags:
            raise LoadError(f"the two headers of the member {member.name!r} differ")
        size, packed = _wide(extra, size, packed)
        same = (crc, packed, size) == (member.crc, member.packed, member.size)
        if method != member.method or not (same or flags & _LATER_SIZES):
            raise LoadError(f"the two headers of the member {member.name!r} differ")
        member.offset += _LOCAL.size + name_length + extra_length
        return member.offset

    def _check_sizes(self, members):
        for member in members:
            if member.method == _STORED and member.size != member.packed:
                raise LoadError(f"the member {member.name!r} has two sizes")
        size = sum(member.size for member in members)
        packed = sum(member.packed for member in members)
        most = max(SLACK, limits().unpacked_ratio * packed)
        check_limit(f"'{self.name}' unpacks to … bytes", size, "unpacked_ratio", most)

    # Members --------------------------------------------------------------------------------------

    def _chunks(self, member):
        """The bytes of a member, which are checked at the end."""
        unpacker = None if member.method == _STORED else zlib.decompressobj(-zlib.MAX_WBITS)
        place, left, found, crc = member.offset, member.packed, 0, 0
        pending = b""
        while found < member.size:
            if not pending and left:
                self.file.seek(place)
                pending = self.file.read(min(left, _CHUNK))
                if not pending:
                    break
                place, left = place + len(pending), left - len(pending)
            if unpacker is None:
                chunk, pending = pending, b""
            else:
                chunk = unpacker.decompress(pending, _CHUNK)
                pending = unpacker.unconsumed_tail
                if not chunk and not pending and (unpacker.eof or not left):
                    break
            found, crc = found + len(chunk), zlib.crc32(chunk, crc)
            yield chunk
        if found != member.size or crc != member.crc:
            raise LoadError("its checksum is wrong")

    def read(self, name):
        """The bytes of a member.

        Raises:
            LoadError: if its checksum is wrong.
        """
        with explained(self.name, f"{name} is damaged"):
            return b"".join(self._chunks(self._members[name]))

    def json(self, name):
        """The data in a JSON member: a dict."""
        what = f"'{self.name}': {name}"
        check_limit(f"{what} has … bytes", self.size(name), "config_bytes")
        return parse_json(self.read(name), what)

    @contextlib.contextmanager
    def open(self, name):
        """A member as a file object to read from anywhere, after its checksum was found right."""
        member = self._members[name]
        with contextlib.ExitStack() as stack:
            with explained(self.name, f"{name} is damaged"):
                if member.method == _STORED:
                    for _ in self._chunks(member):
                        pass
                    file = Window(self.file, member.offset, member.size)
                else:  # seeking back in it would unpack it again from its start
                    file = stack.enter_context(tempfile.SpooledTemporaryFile(_IN_MEMORY))
                    for chunk in self._chunks(member):
                        file.write(chunk)
                    file.seek(0)
            yield file


class Window(io.RawIOBase):
    """A part of a binary file, as a file that is read."""

    def __init__(self, file, start, size):
        super().__init__()
        self._file, self._start, self._size, self._at = file, start, size, 0

    def readable(self):
        return True

    def seekable(self):
        return True

    def seek(self, offset, whence=io.SEEK_SET):
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(base + offset, 0)
        return self._at

    def tell(self):
        return self._at

    def readinto(self, buffer):
        view = memoryview(buffer)[: max(self._size - self._at, 0)]
        self._file.seek(self._start + self._at)
        count = self._file.readinto(view)
        self._at += count
        return count


def _parse_central(directory, at):
    """The member at a place of the directory, and the place of the next."""
    found = _CENTRAL.unpack_from(directory, at)
    (mark, _, _, flags, method, _, _, crc, packed, size) = found[:10]
    name_length, extra_length, comment, disk, _, mode, offset = found[10:]
    at += _CENTRAL.size
    raw = directory[at : at + name_length]
    at += name_length
    extra = _fields(directory[at : at + extra_length])
    at += extra_length
    member = _Member()
    member.raw, member.flags, member.method, member.crc = raw, flags, method, crc
    member.size, member.packed, member.offset = _wide(extra, size, packed, offset)
    member.name = raw.decode("utf-8" if flags & _UTF8 else "cp437")
    if not is_plain_name(member.name):
        raise LoadError(f"the member {member.name[:100]!r} points outside its folder")
    member.is_folder = raw.endswith(b"/")
    kind = mode >> 16 & 0xF000  # of Unix; other systems have no such bits
    if mark != b"PK\x01\x02" or at > len(directory) or comment or disk:
        raise LoadError("its directory is broken")
    if flags & ~_PLAIN_FLAGS:
        raise LoadError(f"the member {member.name!r} is encrypted, or of an unknown kind")
    if method not in (_STORED, _DEFLATED):
        raise LoadError(f"the member {member.name!r} is packed by the unknown method {method}")
    usual = kind in (0, 0x4000) and not member.size if member.is_folder else kind in (0, 0x8000)
    if not usual:
        raise LoadError(f"the member {member.name!r} is a link, or no usual file")
    return member, at


def _fields(extra):
    """`{number: bytes}` of the further fields of a header."""
    found = {}
    while extra:
        number, length = struct.unpack_from("<2H", extra)
        if number in found or number == _OTHER_NAME or len(extra) < 4 + length:
            raise LoadError("a header has fields that contradict each other")
        found[number] = extra[4 : 4 + length]
        extra = extra[4 + length :]
    return found


def _wide(extra, *numbers):
    """The numbers of a header, with those that need 64 bits taken from its further fields."""
    data, found = extra.get(_ZIP64, b""), []
    for number in numbers:
        if number == 0xFFFFFFFF:
            (number,) = struct.unpack_from("<Q", data)
            data = data[8:]
        found.append(number)
    return found
