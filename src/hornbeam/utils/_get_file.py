"""Files from the network, kept in a folder."""

import hashlib
import os
import pathlib
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from ..callbacks._progbar import Progbar
from ..core.messages import expected, one_of
from ..core.settings import is_interactive_logging_enabled
from ..saving._atomic import atomic_write
from ._archives import DownloadLimits, extract_archive, format_of

download_limits = DownloadLimits()

_CHUNK = 1 << 16
_DIGITS = {"md5": 32, "sha256": 64}


def get_file(
    fname=None,
    origin=None,
    untar=False,
    md5_hash=None,
    file_hash=None,
    cache_subdir="datasets",
    hash_algorithm="auto",
    extract=False,
    archive_format="auto",
    cache_dir=None,
    force_download=False,
):
    """Fetch a file, unless it is there, and say where it is.

    It has its final name only when all of it is there and its hash is right; until then, whatever
    happens, the folder holds what it held before. Archives are taken apart into a folder of which
    the same is true: one with names that lead out of it, links to the outside, devices or far more
    content than size is refused. Links inside become copies. `keras.utils.download_limits` has the
    limits of size and time.

    Args:
        fname: name of the file, or of the folder for what an archive holds; by default the
            last part of the URL.
        origin: the URL, of http, https or file.
        untar: an older name for `extract`.
        md5_hash: an older name for `file_hash`.
        file_hash: its hash in hexadecimal digits. A file that is there with another one is fetched
            again.
        cache_subdir: folder inside `cache_dir`.
        hash_algorithm: `"md5"`, `"sha256"`, or `"auto"` by the number of digits.
        extract: whether to take an archive apart.
        archive_format: `"tar"` (also compressed), `"zip"`, a list of these, or `"auto"` for both.
        cache_dir: by default what the environment's KERAS_HOME says, otherwise `~/.keras`.
        force_download: whether to fetch also what is there.

    Returns:
        Path of the file, or of the folder for an archive's content.

    Raises:
        ValueError: if the hash is another one, or an archive is broken or hostile.
        OSError: if the file can't be fetched.

    Example:

    >>> import pathlib, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> source = pathlib.Path(folder.name, "source.txt")
    >>> _ = source.write_text("hello")
    >>> keras.config.disable_interactive_logging()  # no progress bar
    >>> path = keras.utils.get_file("a.txt", source.as_uri(), cache_dir=folder.name)
    >>> keras.config.enable_interactive_logging()
    >>> pathlib.Path(path).read_text()
    'hello'
    >>> folder.cleanup()
    """
    if not isinstance(origin, str) or not origin:
        raise ValueError(expected("origin", "the URL of the file", origin))
    name = _name(fname, origin)
    file_hash = file_hash or md5_hash
    algorithm = _algorithm(hash_algorithm, file_hash)
    folder = pathlib.Path(cache_home(cache_dir), os.path.expanduser(cache_subdir))
    folder.mkdir(parents=True, exist_ok=True)
    unpack = extract or untar
    path = folder / name
    content = path
    if unpack:
        if fname is None or "." not in name:
            path = folder / f"{name}_archive"
        else:
            stem = path.with_suffix("").with_suffix("") if path.stem.endswith(".tar") else None
            content = folder / f"{(stem or path.with_suffix('')).name}_extracted"
    fresh = force_download or not path.exists()
    if not fresh and file_hash and _hash_of(path, algorithm) != file_hash.lower():
        print(f"{path} has another {algorithm} hash than {file_hash}: it is fetched again.")
        fresh = True
    if fresh:
        _fetch(origin, path, algorithm, file_hash)
    if unpack and (fresh or not content.exists()):
        _unpack(path, content, archive_format)
    return str(content if unpack else path)


def cache_home(cache_dir=None):
    """The folder for what is kept: `cache_dir`, or the environment's KERAS_HOME, or `~/.keras`."""
    return os.path.expanduser(cache_dir or os.environ.get("KERAS_HOME") or "~/.keras")


def _name(fname, origin):
    if fname is None:
        fname = os.path.basename(urllib.parse.unquote(urllib.parse.urlsplit(origin).path))
        if not fname:
            raise ValueError(f"{origin} doesn't end in the name of a file; pass fname.")
    fname = os.fspath(fname)
    if fname in ("", ".", "..") or any(c in fname for c in "/\\\0"):
        hint = "cache_dir and cache_subdir say in which folder."
        raise ValueError(expected("fname", "a name without a path", fname, hint))
    return fname


def _algorithm(algorithm, file_hash):
    one_of("hash_algorithm", algorithm, ("auto", *_DIGITS))
    if not file_hash:
        return None
    by_digits = {digits: name for name, digits in _DIGITS.items()}
    if algorithm == "auto":
        algorithm = by_digits.get(len(file_hash))
    if by_digits.get(len(file_hash)) != algorithm or algorithm is None:
        wanted = "32 hexadecimal digits for md5, or 64 for sha256"
        raise ValueError(expected("file_hash", wanted, file_hash))
    return algorithm


def _hash_of(path, algorithm):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def _unpack(path, content, archive_format):
    formats = archive_format or ()
    if isinstance(formats, str):
        formats = ("tar", "zip") if formats == "auto" else (formats,)
    kind = format_of(path, formats)
    if kind is None:
        raise ValueError(
            f"{path} is no archive of a kind that archive_format={archive_format!r} allows."
        )
    extract_archive(path, kind, content, download_limits)


# The network -------------------------------------------------------------------------------------


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirections to http and https only."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        scheme = urllib.parse.urlsplit(newurl).scheme
        if scheme not in ("http", "https"):
            raise OSError(f"{req.full_url} leads to {newurl}, which is not of http or https.")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener(scheme):
    handlers: list[Any] = (
        [urllib.request.FileHandler]
        if scheme == "file"
        else [
            urllib.request.ProxyHandler,
            urllib.request.HTTPHandler,
            urllib.request.HTTPSHandler,
            urllib.request.HTTPDefaultErrorHandler,
            urllib.request.HTTPErrorProcessor,
            _Redirects,
        ]
    )
    opener = urllib.request.OpenerDirector()
    for handler in handlers:
        opener.add_handler(handler())
    return opener


def _fetch(origin, path, algorithm, file_hash):
    """Write what a URL holds to a file, which gets its name when its hash was right."""
    scheme = urllib.parse.urlsplit(origin).scheme
    if scheme not in ("http", "https", "file"):
        raise ValueError(expected("origin", "a URL of http, https or file", origin))
    if is_interactive_logging_enabled():
        print(f"Downloading data from {origin}")
    request = urllib.request.Request(origin, headers={"User-Agent": "hornbeam"})
    digest = None if algorithm is None else hashlib.new(algorithm)
    with atomic_write(path) as temporary:
        try:
            with (
                _opener(scheme).open(request, timeout=download_limits.stall_seconds) as response,
                open(temporary, "xb") as file,
            ):
                for chunk in _chunks(response, origin):
                    file.write(chunk)
                    if digest is not None:
                        digest.update(chunk)
        except urllib.error.HTTPError as error:
            raise OSError(f"{origin} can't be fetched: {error.code} {error.reason}.") from error
        except TimeoutError as error:
            raise TimeoutError(
                f"{origin} sent nothing for {download_limits.stall_seconds} seconds, as "
                "keras.utils.download_limits.stall_seconds says."
            ) from error
        except urllib.error.URLError as error:
            raise OSError(f"{origin} can't be fetched: {error.reason}.") from error
        if digest is not None and digest.hexdigest() != file_hash.lower():
            raise ValueError(
                f"What {origin} holds has the {algorithm} hash {digest.hexdigest()}; expected "
                f"{file_hash}. It was not kept."
            )


def _chunks(response, origin):
    """The bytes of a response, as long as there aren't too many, in too long a time."""
    limits, start, got = download_limits, time.monotonic(), 0
    declared = response.headers.get("Content-Length")
    size = int(declared) if declared and declared.isdigit() else None
    bar = Progbar(size, unit_name="byte") if is_interactive_logging_enabled() else None
    if size is not None and size > limits.download_bytes:
        raise OSError(_beyond(origin, "bytes"))
    read = getattr(response, "read1", response.read)  # what is there, without waiting for more
    while chunk := read(_CHUNK):
        got += len(chunk)
        if got > limits.download_bytes:
            raise OSError(_beyond(origin, "bytes"))
        if time.monotonic() - start > limits.download_seconds:
            raise OSError(_beyond(origin, "seconds"))
        yield chunk
        if bar is not None:
            bar.update(got)
    if size is not None and got < size:
        raise OSError(f"{origin} was cut off after {got} of {size} bytes.")
    if bar is not None and size is None:
        bar.update(got, finalize=True)


def _beyond(origin, unit):
    name = f"download_{unit}"
    limit = getattr(download_limits, name)
    return f"{origin} takes more than {limit} {unit}, as keras.utils.download_limits.{name} says."
