"""Files are whole or as before, whatever happens while they are written."""

import json
import os
import signal
import stat
import subprocess
import sys
import textwrap
import zipfile

import pytest

from hornbeam.saving._archive import Archive, write_archive
from hornbeam.saving._atomic import atomic_write


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_a_write_replaces_the_file(tmp_path):
    path = tmp_path / "a.bin"
    path.write_text("old")
    with atomic_write(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.parent == tmp_path
    assert path.read_text() == "new"
    assert names(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("existing", ["old", None])
def test_an_error_changes_nothing(tmp_path, existing):
    path = tmp_path / "a.bin"
    if existing:
        path.write_text(existing)
    with pytest.raises(KeyError), atomic_write(path) as temporary:
        temporary.write_text("half")
        raise KeyError
    assert names(tmp_path) == (["a.bin"] if existing else [])
    assert not existing or path.read_text() == existing


def test_permissions_and_links_stay(tmp_path):
    path, link = tmp_path / "a.bin", tmp_path / "link"
    path.write_text("old")
    path.chmod(0o640)
    link.symlink_to(path)
    with atomic_write(link) as temporary:
        temporary.write_text("new")
    assert link.is_symlink()
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_new_file_has_the_usual_permissions(tmp_path):
    (tmp_path / "usual").write_text("")
    with atomic_write(tmp_path / "a") as temporary:
        temporary.write_text("")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_missing_folder(tmp_path):
    with (
        pytest.raises(FileNotFoundError, match=r"there is no folder '.*nowhere'.*mkdir"),
        atomic_write(tmp_path / "nowhere" / "a"),
    ):
        pass


KILLED = """
    import os, signal, sys
    from hornbeam.saving._archive import write_archive

    def write_weights(file):
        file.write(b"half")
        file.flush()
        print("writing", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

    write_archive(sys.argv[1], {}, {"new": True}, write_weights, {})
"""


def test_a_kill_in_the_middle_leaves_the_old_file(tmp_path):
    path = tmp_path / "m.keras"
    write_archive(path, {}, {"old": True}, lambda f: f.write(b"weights"), {})
    before = path.read_bytes()
    script = [sys.executable, "-c", textwrap.dedent(KILLED), str(path)]
    result = subprocess.run(script, capture_output=True, text=True, env={**os.environ})
    assert result.returncode == -signal.SIGKILL, result.stderr
    assert "writing" in result.stdout
    assert path.read_bytes() == before


def test_contents(tmp_path):
    path = tmp_path / "m.keras"

    def save_assets(folder):
        with open(os.path.join(folder, "vocab.txt"), "w") as file:
            file.write("a\nb")

    assets = {"layers/text": save_assets}
    write_archive(path, {"v": 1}, {"c": [2, None]}, lambda f: f.write(b"weights"), assets)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == [
            "metadata.json",
            "config.json",
            "model.weights.h5",
            "assets/layers/text/vocab.txt",
        ]
        assert {i.compress_type for i in archive.infolist()} == {zipfile.ZIP_STORED}
    with Archive(path) as archive:
        assert archive.json("config.json") == {"c": [2, None]}
        with archive.weights() as file:
            assert file.read() == b"weights"
            file.seek(2)
            assert file.read(3) == b"igh"
        assert list(archive.assets("layers/text")) == [("vocab.txt", b"a\nb")]
        assert list(archive.assets("layers/tex")) == []


def test_equal_models_give_equal_bytes(tmp_path):
    for name in "ab":
        write_archive(tmp_path / name, {"v": 1}, {}, lambda f: f.write(b"w"), {})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_deflated(tmp_path):
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", b"weights" * 1000)
    with Archive(path) as archive, archive.weights() as file:
        file.seek(7)
        assert file.read(7) == b"weights"


def make_zip(path, **members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name.replace("_", "."), data)


def test_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no file '.*m\.keras'"):
        Archive(tmp_path / "m.keras")


def test_not_a_zip(tmp_path):
    path = tmp_path / "m.keras"
    path.write_bytes(b"hello")
    with pytest.raises(ValueError, match=r"m\.keras': it can't be read as a zip"):
        Archive(path)


def test_cut_short(tmp_path):
    path = tmp_path / "m.keras"
    write_archive(path, {}, {}, lambda f: f.write(b"w" * 100), {})
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ValueError, match="cut short"):
        Archive(path)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"metadata_json": "{}"}, r"config\.json is missing. It holds: metadata\.json"),
        ({"config_json": "{"}, r"config\.json is not JSON"),
        ({"config_json": "[1]"}, r"should hold a JSON object; it holds a list"),
        ({"config_json": "[" * 100_000}, r"config\.json is nested 201 levels deep or more"),
    ],
)
def test_broken_config(tmp_path, members, message):
    make_zip(tmp_path / "m.keras", **members)
    with Archive(tmp_path / "m.keras") as archive, pytest.raises(ValueError, match=message):
        archive.json("config.json")


@pytest.mark.parametrize("name", ["../../evil", "/evil", "a/../../evil", "C:/evil", "..\\evil"])
def test_assets_never_leave_their_folder(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr(f"assets/layers/text/{name}", "x")
    with pytest.raises(ValueError, match="points outside its folder"):
        Archive(tmp_path / "m.keras")


def test_json_is_plain(tmp_path):
    path = tmp_path / "m.keras"
    write_archive(path, {}, {"a": float("inf")}, lambda f: None, {})
    with zipfile.ZipFile(path) as archive:
        assert json.loads(archive.read("config.json")) == {"a": float("inf")}
