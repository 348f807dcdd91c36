"""Weights in several files, as safetensors, and models as folders."""

import json
import os
import pathlib
import struct
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import safetensors.numpy

import hornbeam as keras

L = keras.layers
X = np.linspace(-1, 1, 24, dtype="float32").reshape(4, 6)
PER_FILE = 200 / 2**30  # so many GB are 200 bytes


def trained(dtype="float32"):
    layers = [keras.Input((6,)), L.Dense(5, dtype=dtype), L.BatchNormalization(), L.Dense(2)]
    model = keras.Sequential(layers)
    model.compile("adam", "mse")
    model.train_on_batch(X, X[:, :2])
    return model


def same(a, b):
    for x, y in zip(a, b, strict=True):
        assert x.dtype == y.dtype
        np.testing.assert_array_equal(np.asarray(x), np.asarray(y))


def names(folder):
    return sorted(p.name for p in folder.iterdir())


@pytest.mark.parametrize("size", [PER_FILE, 1])
@pytest.mark.parametrize("given", ["m.weights.h5", "m.weights.json"])
def test_hdf5_in_several_files(tmp_path, given, size):
    model, copy = trained(), trained()
    model.save_weights(tmp_path / given, max_shard_size=size)
    held = names(tmp_path)
    assert held[:2] == ["m.weights.json", "m_00000.weights.h5"]
    assert (len(held) > 3) == (size < 1)
    copy.load_weights(tmp_path / "m.weights.json")
    same(model.weights, copy.weights)
    same(model.optimizer.variables, copy.optimizer.variables)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("size", [None, PER_FILE, 1])
def test_safetensors(tmp_path, size, dtype):
    model, copy = trained(dtype), trained(dtype)
    model.save_weights(tmp_path / "m.safetensors", max_shard_size=size)
    index = tmp_path / "m.safetensors.index.json"
    copy.load_weights(index if size else tmp_path / "m.safetensors")
    same(model.weights, copy.weights)
    assert int(copy.optimizer.iterations) == 1  # such files hold no optimizer
    if size is None:
        assert names(tmp_path) == ["m.safetensors"]
        files = {"m.safetensors"}
    else:
        files = set(json.loads(index.read_text())["weight_map"].values())
        assert files == {n for n in names(tmp_path) if n.startswith("m-0")}
    held = {}
    for file in files:
        if dtype != "bfloat16":  # of which NumPy knows nothing
            held.update(safetensors.numpy.load_file(tmp_path / file))
    if held:
        assert held.keys() == {v.path for v in model.weights}
        for v in model.weights:
            np.testing.assert_array_equal(held[v.path], v.numpy())


def test_safetensors_of_others_are_matched_by_paths(tmp_path):
    model, copy = trained(), trained()
    arrays = {c.path: m.numpy() for m, c in zip(model.weights, copy.weights, strict=True)}
    path = tmp_path / "m.safetensors"
    safetensors.numpy.save_file(arrays, path)
    copy.load_weights(path)
    same(model.weights, copy.weights)
    last = copy.weights[-1].path
    arrays["other"] = arrays.pop(last)
    safetensors.numpy.save_file(arrays, path)
    with pytest.raises(
        keras.saving.LoadError, match=rf"(?s)not in the model:\n  other.*not in the file:.*{last}"
    ):
        copy.load_weights(path)


def test_equal_paths_are_told_apart(tmp_path):
    x = keras.Input((3,))
    inner = keras.Model(x, L.Dense(3, name="same")(x))
    model = keras.Model(x, L.Dense(3, name="same")(inner(x)))
    model.save_weights(tmp_path / "m.safetensors")
    kernels = [v.numpy() for v in model.weights]
    for v in model.weights:
        v.assign(v * 0)
    model.load_weights(tmp_path / "m.safetensors")
    for v, kernel in zip(model.weights, kernels, strict=True):
        np.testing.assert_array_equal(v.numpy(), kernel)


def rewrite(path, change):
    """A safetensors file with another header."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"].pop("hornbeam.sha256")
    text = change(header)
    text = json.dumps(header).encode() if text is None else text
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])


def shift(header):
    name = next(n for n in header if n != "__metadata__")
    header[name]["data_offsets"] = [n + 4 for n in header[name]["data_offsets"]]


def grow(header):
    name = next(n for n in header if n != "__metadata__")
    header[name]["shape"] = [2**40, 2**40]


def unknown(header):
    name = next(n for n in header if n != "__metadata__")
    header[name]["dtype"] = "F4"


def negative(header):
    name = next(n for n in header if n != "__metadata__")
    header[name]["shape"] = [-1, -header[name]["shape"][0]]


def odd_metadata(header):
    header["__metadata__"] = []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (shift, "overlaps another array, or follows a gap"),
        (grow, "says of '.*' what can't be"),
        (unknown, "says of '.*' what can't be"),
        (negative, "says of '.*' what can't be"),
        (odd_metadata, "metadata is no JSON object"),
        (lambda header: b"[]", "should hold a JSON object"),
        (lambda header: b'{"a": 1, "a": 1}', "'a' stands in one object twice"),
        (lambda header: b"{", "is not JSON"),
    ],
)
def test_broken_safetensors(tmp_path, change, message):
    model, path = trained(), tmp_path / "m.safetensors"
    model.save_weights(path)
    rewrite(path, change)
    with pytest.raises(keras.saving.LoadError, match=rf"m\.safetensors'.*{message}"):
        model.load_weights(path)


@pytest.mark.parametrize("kept", [0, 5, 8, 100, -1])
def test_cut_short(tmp_path, kept):
    model, path = trained(), tmp_path / "m.safetensors"
    model.save_weights(path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(keras.saving.LoadError, match=r"m\.safetensors': "):
        model.load_weights(path)


def test_a_flipped_bit_is_found(tmp_path):
    model, path = trained(), tmp_path / "m.safetensors"
    model.save_weights(path)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(keras.saving.LoadError, match="its checksum is wrong"):
        model.load_weights(path)


@pytest.mark.parametrize("ending", ["weights.h5", "safetensors"])
def test_files_of_two_saves_are_not_mixed(tmp_path, ending):
    index = {"weights.h5": "m.weights.json", "safetensors": "m.safetensors.index.json"}[ending]
    model = trained()
    model.save_weights(tmp_path / f"m.{ending}", max_shard_size=PER_FILE)
    first = next(n for n in names(tmp_path) if n != index)
    before = (tmp_path / first).read_bytes()
    model.train_on_batch(X, X[:, :2])
    model.save_weights(tmp_path / f"m.{ending}", max_shard_size=PER_FILE)
    model.load_weights(tmp_path / index)
    (tmp_path / first).write_bytes(before)
    with pytest.raises(keras.saving.LoadError, match="isn't the file that was saved with this"):
        model.load_weights(tmp_path / index)
    (tmp_path / first).unlink()
    with pytest.raises(keras.saving.LoadError, match=first):
        model.load_weights(tmp_path / index)


@pytest.mark.parametrize("file", ["../m_00000.weights.h5", "/etc/passwd", "", 3, "a/b"])
def test_an_index_names_files_beside_it(tmp_path, file):
    path = tmp_path / "m.weights.json"
    path.write_text(json.dumps({"weight_map": {"/layers/dense/vars": [file]}}))
    with pytest.raises(keras.saving.LoadError, match="is no name of a file beside it"):
        trained().load_weights(path)


def test_refused(tmp_path):
    model = trained()
    with pytest.raises(ValueError, match=r"max_shard_size should be at least .*layers/dense"):
        model.save_weights(tmp_path / "m.weights.h5", max_shard_size=1e-8)
    with pytest.raises(ValueError, match="pass `max_shard_size`"):
        model.save_weights(tmp_path / "m.weights.json")
    with pytest.raises(ValueError, match=r"ends in '\.weights\.h5' or '\.safetensors'"):
        model.save_weights(tmp_path / "m.npz")
    (tmp_path / "m.weights.json").write_text("{}")
    with pytest.raises(FileExistsError, match=r"m\.weights\.json"):
        model.save_weights(tmp_path / "m.weights.h5", overwrite=False, max_shard_size=1)
    with pytest.raises(keras.saving.LoadError, match="it has no 'weight_map'"):
        model.load_weights(tmp_path / "m.weights.json")


# Folders -----------------------------------------------------------------------------------------


def test_a_model_as_a_folder(tmp_path):
    model, path = trained(), tmp_path / "m"
    for _ in range(2):
        model.save(path, zipped=False)
        assert names(path) == ["config.json", "metadata.json", "model.weights.h5"]
        assert names(tmp_path) == ["m"]
    copy = keras.saving.load_model(path)
    same(model.weights, copy.weights)
    same(model.optimizer.variables, copy.optimizer.variables)
    other = trained()
    other.load_weights(path)
    same(model.weights, other.weights)


def test_a_folder_with_other_things_stays(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"holds 'notes\.txt', which is no part of a model"):
        trained().save(tmp_path, zipped=False)
    with pytest.raises(FileExistsError, match="no part of a model"):
        trained().save(tmp_path / "notes.txt", zipped=False)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        trained().save(tmp_path / "nowhere" / "m", zipped=False)
    assert names(tmp_path) == ["notes.txt"]


def test_a_folder_with_links_or_strangers_is_refused(tmp_path):
    model, path = trained(), tmp_path / "m"
    model.save(path, zipped=False)
    (path / "stranger.py").write_text("")
    with pytest.raises(keras.saving.LoadError, match=r"has no member 'stranger\.py'"):
        keras.saving.load_model(path)
    (path / "stranger.py").unlink()
    weights = path / "model.weights.h5"
    weights.rename(tmp_path / "elsewhere")
    weights.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(keras.saving.LoadError, match="is a link, or no usual file"):
        keras.saving.load_model(path)


@pytest.mark.filterwarnings("ignore:.*not all of it would come back")
def test_a_failed_save_leaves_the_old_folder(tmp_path):
    class Fails(L.Layer):
        def call(self, x):
            return x

        def save_own_variables(self, store):
            raise RuntimeError("disk on fire")

    model, path = trained(), tmp_path / "m"
    model.save(path, zipped=False)
    with pytest.raises(RuntimeError, match="disk on fire"):
        keras.Sequential([keras.Input((3,)), Fails()]).save(path, zipped=False)
    assert names(tmp_path) == ["m"]
    same(model.weights, keras.saving.load_model(path).weights)


@pytest.mark.parametrize("can_exchange", [True, False])
def test_folders_change_places(tmp_path, monkeypatch, can_exchange):
    from hornbeam.saving import _atomic

    if not can_exchange:
        monkeypatch.setattr(_atomic, "_exchange", lambda a, b: False)
    for text in ("old", "new"):
        with _atomic.atomic_folder(tmp_path / "f") as temporary:
            (temporary / "a").mkdir()
            (temporary / "a" / "b").write_text(text)
    assert (tmp_path / "f" / "a" / "b").read_text() == "new"
    assert names(tmp_path) == ["f"]


KILLED = """
    import os, pathlib, signal, sys
    from hornbeam.saving._archive import write_folder

    def write_weights(file):
        file.write(b"half")
        os.kill(os.getpid(), signal.SIGKILL)

    write_folder(sys.argv[1], {}, {"new": True}, write_weights, {})
"""


def test_a_kill_in_the_middle_leaves_the_old_folder(tmp_path):
    from hornbeam.saving._archive import write_folder

    path = tmp_path / "m"
    write_folder(path, {}, {"old": True}, lambda f: f.write(b"weights"), {})
    script = [sys.executable, "-c", textwrap.dedent(KILLED), str(path)]
    subprocess.run(script, env={**os.environ}, check=False)
    assert json.loads((path / "config.json").read_text()) == {"old": True}
    assert pathlib.Path(path / "model.weights.h5").read_bytes() == b"weights"
