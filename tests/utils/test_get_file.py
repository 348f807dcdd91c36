"""`get_file`: all or nothing, from honest and hostile servers and archives."""

import functools
import hashlib
import http.server
import io
import pathlib
import tarfile
import threading
import time
import zipfile

import pytest

import hornbeam as keras
from hornbeam.utils._archives import DownloadLimits

HELLO = b"hello" * 1000


class Handler(http.server.BaseHTTPRequestHandler):
    """What a path does; otherwise it is a file of the folder."""

    def __init__(self, *args, folder, asked):
        self.folder, self.asked = folder, asked
        super().__init__(*args)

    def log_message(self, *args):
        pass

    def do_GET(self):
        self.asked.append(self.path)
        kind = self.path.partition("?")[0].strip("/")
        if kind.startswith("to-"):
            target = {"to-file": "file:///etc/passwd", "to-ftp": "ftp://x/y"}.get(
                kind, "/hello.txt"
            )
            self.send_response(302)
            self.send_header("Location", target)
            self.end_headers()
            return
        path = self.folder / kind
        if kind not in ("short", "endless", "slow", "stalls") and not path.exists():
            self.send_error(404)
            return
        body = HELLO if not path.exists() else path.read_bytes()
        self.send_response(200)
        if kind != "endless":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            if kind == "short":
                self.wfile.write(body[:100])
            elif kind == "endless":
                while True:
                    self.wfile.write(body)
            elif kind in ("slow", "stalls"):
                for i in range(100):
                    self.wfile.write(body[i : i + 1])
                    self.wfile.flush()
                    time.sleep(0.02 if kind == "slow" else 1.5)
            else:
                self.wfile.write(body)
        except OSError:
            pass  # the other side gave up


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A folder that is served, its URL, and what was asked for; the cache is another folder."""
    folder, asked = tmp_path / "served", []
    folder.mkdir()
    (folder / "hello.txt").write_bytes(HELLO)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    keras.config.disable_interactive_logging()
    handler = functools.partial(Handler, folder=folder, asked=asked)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as served:
        served.daemon_threads = True
        thread = threading.Thread(target=served.serve_forever, args=(0.02,))
        thread.start()
        yield folder, f"http://127.0.0.1:{served.server_port}/", asked
        served.shutdown()
        thread.join()
    keras.config.enable_interactive_logging()


@pytest.fixture
def limits(monkeypatch):
    limits = DownloadLimits()
    monkeypatch.setattr("hornbeam.utils._get_file.download_limits", limits)
    return limits


def everything(folder):
    """What there is, as `{path: content}`."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(pathlib.Path(folder).rglob("*"))
    }


def test_a_file_is_fetched_once(server, tmp_path):
    _, url, asked = server
    path = pathlib.Path(keras.utils.get_file(origin=url + "hello.txt?version=1"))
    assert path == tmp_path / "home" / "datasets" / "hello.txt" and path.read_bytes() == HELLO
    assert path.stat().st_mode & 0o777 == (tmp_path / "served/hello.txt").stat().st_mode & 0o777
    keras.utils.get_file("hello.txt", url + "other")
    assert len(asked) == 1
    keras.utils.get_file("hello.txt", url + "to-hello", force_download=True)
    assert len(asked) == 3
    path = keras.utils.get_file("b", url + "hello.txt", cache_dir=tmp_path / "c", cache_subdir="d")
    assert path == str(tmp_path / "c" / "d" / "b")
    assert keras.utils.get_file("e", url + "hello.txt", cache_subdir=str(tmp_path)).startswith(
        str(tmp_path / "e")
    )


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_hashes(server, tmp_path, capsys, algorithm):
    folder, url, asked = server
    right = hashlib.new(algorithm, HELLO).hexdigest()
    path = pathlib.Path(keras.utils.get_file("a", url + "hello.txt", file_hash=right.upper()))
    keras.utils.get_file("a", url + "hello.txt", md5_hash=right)
    assert len(asked) == 1
    path.write_bytes(b"damaged")
    keras.utils.get_file("a", url + "hello.txt", file_hash=right, hash_algorithm=algorithm)
    assert path.read_bytes() == HELLO and "another" in capsys.readouterr().out
    before = everything(tmp_path / "home")
    (folder / "hello.txt").write_bytes(b"something else")
    with pytest.raises(
        ValueError, match=f"hello.txt holds has the {algorithm} hash .* {right}. It"
    ):
        keras.utils.get_file("a", url + "hello.txt", file_hash=right, force_download=True)
    assert everything(tmp_path / "home") == before


@pytest.mark.parametrize(
    ("path", "changes", "error", "message"),
    [
        ("absent", {}, OSError, "absent can't be fetched: 404 Not Found"),
        (
            "to-file",
            {},
            OSError,
            "to-file can't be fetched: 302 .*file:///etc/passwd' is not allowed",
        ),
        ("to-ftp", {}, OSError, "to-ftp leads to ftp://x/y, which is not of http"),
        ("short", {}, OSError, "short was cut off after 100 of 5000 bytes"),
        ("hello.txt", {"download_bytes": 4999}, OSError, "takes more than 4999 bytes, as keras"),
        ("endless", {"download_bytes": 9999}, OSError, "takes more than 9999 bytes, as keras"),
        ("slow", {"download_seconds": 0.1}, OSError, "takes more than 0.1 seconds, as keras"),
        ("stalls", {"stall_seconds": 0.1}, TimeoutError, "sent nothing for 0.1 seconds, as keras"),
    ],
)
def test_servers_that_misbehave(server, tmp_path, limits, path, changes, error, message):
    _, url, _ = server
    keras.utils.get_file("kept", url + "hello.txt")
    before = everything(tmp_path / "home")
    for name, value in changes.items():
        setattr(limits, name, value)
    with pytest.raises(error, match=message):
        keras.utils.get_file("kept", url + path, force_download=True)
    assert everything(tmp_path / "home") == before


def test_no_server(tmp_path):
    with pytest.raises(OSError, match=r"127\.0\.0\.1:1/x can't be fetched: .*refused"):
        keras.utils.get_file("x", "http://127.0.0.1:1/x", cache_dir=tmp_path)
    with pytest.raises(OSError, match="absent can't be fetched"):
        keras.utils.get_file("x", (tmp_path / "absent").as_uri(), cache_dir=tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "origin should be the URL of the file"),
        ({"origin": "http://x/"}, "doesn't end in the name of a file; pass fname"),
        ({"origin": "http://x/%2e%2e"}, r"fname should be a name without a path; received '\.\.'"),
        ({"origin": "http://x/a", "fname": "a/b"}, "fname should be a name without a path"),
        ({"origin": "http://x/a", "fname": ".."}, "fname should be a name without a path"),
        ({"origin": "ftp://x/a"}, "origin should be a URL of http, https or file"),
        ({"origin": "data:,hello", "fname": "a"}, "origin should be a URL of http, https or file"),
        ({"origin": "http://x/a", "file_hash": "123"}, "file_hash should be 32 hexadecimal digits"),
        (
            {"origin": "http://x/a", "file_hash": "0" * 64, "hash_algorithm": "md5"},
            "file_hash should be 32 hexadecimal digits",
        ),
        ({"origin": "http://x/a", "hash_algorithm": "sha1"}, "hash_algorithm should be one of"),
    ],
)
def test_wrong_arguments(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        keras.utils.get_file(cache_dir=tmp_path, **arguments)


# Archives ----------------------------------------------------------------------------------------


def tar(*members, mode="w:gz", cut=None, change=None):
    """A tar with `(name, content or type, link)`, cut off after some bytes."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        for name, content, *link in members:
            member = tarfile.TarInfo(name)
            if isinstance(content, bytes) and link:
                member.type, member.linkname = content, link[0]
            elif content is None:
                member.type = tarfile.DIRTYPE
            else:
                member.size = len(content)
            archive.addfile(member, None if link or content is None else io.BytesIO(content))
    return out.getvalue()[:cut]


def zipped(*members, mode=0, cut=None):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            member = zipfile.ZipInfo(name)
            member.external_attr, member.compress_type = mode << 16, zipfile.ZIP_DEFLATED
            archive.writestr(member, content)
    return out.getvalue()[:cut]


def overlapping():
    """Two members of one zip whose headers lie at the same place."""
    data = bytearray(zipped(("a", b"a" * 99), ("b", b"b" * 99)))
    second = data.rfind(b"PK\x01\x02")
    data[second + 42 : second + 46] = (10).to_bytes(4, "little")
    return bytes(data)


def lying_about_size():
    """A zip whose directory says that a member is small."""
    data = bytearray(zipped(("a", b"a" * 100_000)))
    at = data.rfind(b"PK\x01\x02")
    data[at + 24 : at + 28] = (5).to_bytes(4, "little")
    return bytes(data)


def with_large_header():
    """A tar whose first header alone takes as much memory as it likes."""
    member = tarfile.TarInfo("a")
    member.pax_headers = {"comment": "x" * 2_000_000}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(member)
    return out.getvalue()


def without_end():
    """A tar of two members, cut off between them."""
    return tar(("a", b"a" * 512), ("b", b"b"), mode="w")[: 2 * 512]


GOOD = {"top": None, "top/x.txt": b"x", "top/y.txt": b"yy"}


@pytest.mark.parametrize(
    ("name", "body", "options", "folder"),
    [
        ("a.tar.gz", tar(*GOOD.items()), {"extract": True}, "a.tar.gz"),
        ("a.tar", tar(*GOOD.items(), mode="w"), {"untar": True}, "a.tar"),
        ("a.tbz", tar(*GOOD.items(), mode="w:bz2"), {"fname": "mine", "extract": True}, "mine"),
        (
            "a.tar.gz",
            tar(("top/x.txt", b"x"), ("top/y.txt", b"yy")),
            {"fname": "b.tar.gz", "extract": True, "archive_format": "tar"},
            "b_extracted",
        ),
        ("a.zip", zipped(("top/", ""), ("top/x.txt", "x"), ("top/y.txt", "yy")), {}, "a.zip"),
        (
            "a.zip",
            zipped(("top/x.txt", "x"), ("./top/y.txt", "yy")),
            {"fname": "c.zip"},
            "c_extracted",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_archives(server, tmp_path, name, body, options, folder):
    served, url, asked = server
    (served / name).write_bytes(body)
    for _ in range(2):
        path = keras.utils.get_file(origin=url + name, **{"extract": True, **options})
        assert path == str(tmp_path / "home" / "datasets" / folder)
        assert everything(path) == GOOD
    assert len(asked) == 1
    keras.utils.get_file(origin=url + name, **{"extract": True, "force_download": True, **options})
    assert everything(path) == GOOD


def test_links_inside_become_copies(server, tmp_path):
    served, url, _ = server
    members = [("d/b", tarfile.SYMTYPE, "../a"), ("a", b"data"), ("c", tarfile.LNKTYPE, "a")]
    (served / "a.tar").write_bytes(tar(*members))
    path = pathlib.Path(keras.utils.get_file("x", url + "a.tar", extract=True))
    assert everything(path) == {"a": b"data", "c": b"data", "d": None, "d/b": b"data"}
    assert not any(found.is_symlink() for found in path.rglob("*"))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (tar(("../out", b"x")), "the name '../out' leads out of its folder"),
        (tar(("a/../../out", b"x")), "leads out of its folder"),
        (tar(("/tmp/out", b"x")), "the name '/tmp/out' leads out of its folder"),
        (tar(("C:\\out", b"x")), "leads out of its folder"),
        (tar(("a", tarfile.SYMTYPE, "../out")), "the link 'a' leads to '../out'|leads out"),
        (tar(("a", tarfile.SYMTYPE, "/etc/passwd")), "the link 'a' leads to '/etc/passwd'"),
        (
            tar(("a", tarfile.SYMTYPE, ".."), ("a/out", b"x")),
            "the name '..' leads|lies in|leads out",
        ),
        (tar(("a", tarfile.LNKTYPE, "../../secret")), "leads out of its folder"),
        (tar(("a", tarfile.SYMTYPE, "b")), "the link 'a' leads to 'b', which is no file"),
        (tar(("a", tarfile.FIFOTYPE, "b")), "'a' is neither a file nor a folder, nor a link"),
        (tar(("a", tarfile.CHRTYPE, "b")), "'a' is neither a file nor a folder, nor a link"),
        (tar(("a", b"x"), ("./a", b"y")), "two members have the name './a'"),
        (tar(("a", b"x"), ("a/b", b"y")), "'a/b' lies in a member that is a file"),
        (tar(("a", bytes(2_000_000))), "with 'a' it holds more than allowed"),
        (tar(*[(f"{i}", b"") for i in range(21)]), "it has more than 20 members"),
        (tar(("a", b"x" * 5000), cut=60), "wasn't extracted: "),
        (tar(("a", b"x" * 5000), mode="w", cut=2000), "wasn't extracted: .*unexpected end of data"),
        (with_large_header(), "it has a header of 20000[0-9][0-9] bytes"),
        (without_end(), "wasn't extracted: its end is missing"),
        (b"no archive at all", "is no archive of a kind that archive_format='auto' allows"),
        (zipped(("../out", b"x")), "the name '../out' leads out of its folder"),
        (zipped(("/out", b"x")), "the name '/out' leads out of its folder"),
        (zipped(("a\\..\\..\\out", b"x")), "leads out of its folder"),
        (zipped(("a", b"/etc/passwd"), mode=0o120777), "'a' is neither a file nor a folder"),
        (zipped(("a", b"x"), ("A/../a", b"y")), "leads out of its folder"),
        (zipped(("a", b"x"), ("./a", b"y")), "two members have the name './a'"),
        (zipped(("a", bytes(2_000_000))), "with 'a' it holds more than allowed"),
        (zipped(("a", bytes(900_000)), ("b", bytes(900_000))), "with 'b' it holds more than"),
        (overlapping(), "overlap"),
        (lying_about_size(), "wasn't extracted: "),
        (zipped(("a", b"x" * 5000), cut=-30), "is no archive of a kind"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_hostile_archives(server, tmp_path, limits, monkeypatch, body, message):
    """The folder holds what it held before, and nothing lies outside of it."""
    served, url, _ = server
    (served / "good.tar").write_bytes(tar(("a", b"kept")))
    keras.utils.get_file("data", url + "good.tar", extract=True)
    (served / "bad").write_bytes(body)
    limits.extracted_bytes, limits.members = 1_000_000, 20
    before = everything(tmp_path)
    with pytest.raises(ValueError, match=message):
        keras.utils.get_file("data", url + "bad", extract=True, force_download=True)
    before["home/datasets/data_archive"] = body
    assert everything(tmp_path) == before


def test_the_ratio_counts_for_large_archives(server, limits, monkeypatch):
    served, url, _ = server
    monkeypatch.setattr("hornbeam.utils._archives._FREE_BYTES", 1000)
    (served / "a").write_bytes(tar(("a", bytes(1_000_000))))
    with pytest.raises(ValueError, match="extracted_ratio"):
        keras.utils.get_file("x", url + "a", extract=True)
    limits.extracted_ratio = 2000
    keras.utils.get_file("x", url + "a", extract=True)


def test_progress(server, capsys):
    _, url, _ = server
    keras.config.enable_interactive_logging()
    keras.utils.get_file("x", url + "hello.txt")
    out = capsys.readouterr().out
    assert f"Downloading data from {url}hello.txt" in out and "5000/5000" in out
