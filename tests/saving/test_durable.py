"""Saving is whole or as before, whatever happens; loading is all or nothing, whatever it is given.

`KILLS=300 HYPOTHESIS_PROFILE=long pytest tests/saving/test_durable.py` for more of it.
"""

import errno
import json
import os
import pathlib
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import hornbeam as keras
from hornbeam.saving import _weights
from hornbeam.saving._atomic import atomic_write
from hornbeam.saving._snapshot import read_snapshot, write_snapshot

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "contracts"))
from cases_layers import HOST_CASES, rows

L = keras.layers
CHILD = pathlib.Path(__file__).with_name("durable_child.py")
LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
KILLS = int(os.environ.get("KILLS", "16"))
X = np.ones((2, 3), "float32")


def model(value=1.0, width=8):
    made = keras.Sequential([keras.Input((3,)), L.Dense(width), L.Dense(width)])
    fill(made, value)
    return made


def fill(made, value):
    for variable in made.weights:
        variable.assign(np.full(variable.shape, value))


def number(made):
    """The one number in all weights."""
    (found,) = {float(x) for v in made.weights for x in v.numpy().flat}
    return found


def save_model(path, value):
    model(value).save(path)


def save_weights(path, value):
    model(value).save_weights(path)


def save_snapshot(path, value):
    write_snapshot(path, {"values": [np.full(100, value)]})


def save_json(path, value):
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(value))


def load_weights(path):
    made = model(-1)
    made.load_weights(path)
    return number(made)


# How each kind of file is written, and the number in it read again.
KINDS = {
    "m.keras": (save_model, lambda path: number(keras.saving.load_model(path))),
    "m.weights.h5": (save_weights, load_weights),
    "m.snapshot": (save_snapshot, lambda path: float(read_snapshot(path)["values"][0].max())),
    "m.json": (save_json, lambda path: json.loads(path.read_text())),
}


def names(folder):
    return sorted(p.name for p in folder.iterdir())


# Writing -----------------------------------------------------------------------------------------


def test_killed_at_any_moment(tmp_path):
    paths = [str(tmp_path / name) for name in ("m.keras", "m.weights.h5")]
    command = [sys.executable, str(CHILD), "kills", str(KILLS), *paths]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as child:
        for _ in range(KILLS):
            path = child.stdout.readline().strip()
            assert path in paths
            if path.endswith(".keras"):
                found = number(keras.saving.load_model(path))
            else:
                made = model(-1, 200)
                made.load_weights(path)
                found = number(made)
            assert found in (1, 2)
            child.stdin.write("\n")
            child.stdin.flush()
    assert child.returncode == 0


@pytest.mark.parametrize("name", KINDS)
def test_errors_of_the_disk(tmp_path, monkeypatch, name):
    """At the first fsync or rename, at the second, …, until it succeeds."""
    save, load = KINDS[name]
    path = tmp_path / name
    save(path, 1)
    for n in range(1, 20):
        calls = []

        def failing(function, calls=calls, n=n):
            def call(*args):
                calls.append(function)
                if len(calls) == n:
                    raise OSError(errno.EIO, "injected")
                return function(*args)

            return call

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", failing(os.fsync))
            patch.setattr(os, "replace", failing(os.replace))
            try:
                save(path, 2)
            except OSError as error:
                assert "injected" in str(error)
            else:
                break
        assert load(path) in (1, 2)
        assert names(tmp_path) == [name]
        # The last one is that of the folder, when the new name is there already.
        assert load(path) == 1 or len(calls) == 3
        save(path, 1)
    assert n == 4  # the file, the rename, the folder
    assert load(path) == 2


@pytest.mark.parametrize("name", KINDS)
def test_a_full_disk(tmp_path, name):
    """No file may become larger than so many bytes: HDF5 writes without Python's knowledge."""
    save, load = KINDS[name]
    path = tmp_path / name
    save(path, 1)
    size, before = path.stat().st_size, resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    failed = 0
    try:
        for limit in sorted({0, 1, 7, *range(0, size + 1, max(size // 12, 1))}):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
            try:
                save(path, 2)
            except OSError:
                failed += 1
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, before)
            assert names(tmp_path) == [name]
            assert load(path) == (1 if failed else 2) or limit >= size
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert failed > 2 or name == "m.json"


def test_what_killed_writers_left(tmp_path):
    """The next save of the same file removes it, unless somebody may still write it."""
    path, hour = tmp_path / "m[1].json", 3600
    ages = {
        ".m[1].json.0123abcd.tmp": 2 * hour,
        ".m[1].json.fedcba98.tmp": hour // 2,
        ".m[1].json.mine.tmp": 2 * hour,
        ".m1.json.0123abcd.tmp": 2 * hour,
        ".other.json.0123abcd.tmp": 2 * hour,
        "m[1].json.0123abcd.tmp": 2 * hour,
    }
    for name, age in ages.items():
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    (tmp_path / ".m[1].json.00000000.tmp").symlink_to(tmp_path / ".other.json.0123abcd.tmp")
    (tmp_path / ".m[1].json.11111111.tmp").mkdir()
    before = names(tmp_path)
    with pytest.raises(ZeroDivisionError), atomic_write(path):
        raise ZeroDivisionError
    assert names(tmp_path) == before
    save_json(path, 1)
    before.remove(".m[1].json.0123abcd.tmp")
    assert names(tmp_path) == sorted([*before, path.name])


# Reading -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["m.keras", "m.weights.h5", "m.snapshot"])
def test_cut_off_anywhere(tmp_path, name):
    save, load = KINDS[name]
    path = tmp_path / name
    save(path, 1)
    data = path.read_bytes()
    for part in range(200):
        path.write_bytes(data[: len(data) * part // 200])
        with pytest.raises(keras.saving.LoadError, match=name):
            load(path)


@pytest.mark.parametrize("ending", [".keras", ".weights.h5"])
def test_a_bit_anywhere(tmp_path, ending):
    """What hornbeam writes has a checksum: a bit that matters doesn't go unnoticed."""
    path = tmp_path / f"m{ending}"
    model(1).save(path) if ending == ".keras" else model(1).save_weights(path)
    data = path.read_bytes()
    made = model(7)
    for place in range(0, len(data), len(data) // 100):
        path.write_bytes(data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])
        try:
            made.load_weights(path)
        except keras.saving.LoadError as error:
            assert str(path) in str(error)
            assert number(made) == 7
        else:  # dates and versions in a zip's headers mean nothing
            assert number(made) == 1
            fill(made, 7)


def test_anything_wrong(tmp_path):
    """Seeded mutations of valid files, in a process of their own: HDF5 might crash."""
    count = 10_000 if LONG else 300
    command = [sys.executable, str(CHILD), "mutations", str(tmp_path), str(count), "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3600)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    last = (tmp_path / "last").read_text()
    assert done.returncode == 0, f"at {last}: {done.returncode} {done.stderr[-2000:]}"
    assert [line for line in lines if line[0] != "loaded"] == []


def test_a_change_of_the_file_ends_its_checksum(tmp_path):
    """h5py cuts off what is behind HDF5's own end, so that a change isn't taken for damage."""
    import h5py

    path = tmp_path / "m.weights.h5"
    model(1).save_weights(path)
    with h5py.File(path, "r+") as file:
        for name in ("dense", "dense_1"):
            for array in file[f"layers/{name}/vars"].values():
                array[...] = 3
    assert load_weights(path) == 3


def test_a_foreign_file_changes_nothing(tmp_path):
    path = tmp_path / "m.weights.h5"
    other = keras.Sequential([keras.Input((3,)), L.Dense(8), L.Dense(9)])
    other.save_weights(path)
    made = model(7)
    made.compile("adam", "mse")
    before = [id(v) for v in made.variables]
    with pytest.raises(keras.saving.LoadError, match=r"layers/dense_1/vars/0.*\n.*\(9,\)"):
        made.load_weights(path)
    assert number(made) == 7
    assert [id(v) for v in made.variables] == before
    assert not made.optimizer.built


def grown(function):
    """How many bytes more the process had at once while it ran a function."""

    def memory(key):
        lines = pathlib.Path("/proc/self/status").read_text().splitlines()
        return next(int(x.split()[1]) << 10 for x in lines if x.startswith(key))

    pathlib.Path("/proc/self/clear_refs").write_text("5")
    before = memory("VmRSS")
    function()
    return memory("VmHWM") - before


@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="only Linux tells")
def test_large_files_are_streamed(tmp_path, monkeypatch):
    mebibytes, count = (64, 48) if LONG else (8, 48)
    made = Many(count, mebibytes)
    if not LONG:
        monkeypatch.setattr(_weights, "_HELD", 1 << 20)
    path = tmp_path / "m.weights.h5"
    made.save_weights(path)
    made.load_weights(path)  # what is compiled at the first use is
    extra = grown(lambda: made.load_weights(path))
    assert extra < (1 << 30 if LONG else (count // 2) * (mebibytes << 20))
    assert path.stat().st_size > count * (mebibytes << 20)


class Many(keras.Model):
    """So many layers of so many MiB."""

    def __init__(self, count, mebibytes):
        super().__init__()
        self.all = [L.Embedding(mebibytes << 10, 256, "zeros") for _ in range(count)]
        for layer in self.all:
            layer.build()
        self.built = True

    def call(self, x):
        return x


# What must keep working --------------------------------------------------------------------------


def test_every_layer_in_one_model(tmp_path):
    """A row of each class, and the layers of strings, in one file. In the long run it is all rows,
    and they are called: that takes longer than the rest."""
    found = {case if LONG else case.layer: case for case in rows(L)}
    cases = [*reversed(found.values()), *HOST_CASES]
    inputs = [case.symbolic(keras) for case in cases]
    outputs = [case.call(case.make(L), x) for case, x in zip(cases, inputs)]
    made = keras.Model(keras.tree.flatten(inputs), outputs)
    made.save(tmp_path / "m.keras")
    copy = keras.saving.load_model(tmp_path / "m.keras")
    assert [type(layer) for layer in copy.layers] == [type(layer) for layer in made.layers]
    for one, other in zip(made.weights, copy.weights, strict=True):
        if "/lora_" not in one.path:  # files hold the sum of kernel and update
            np.testing.assert_array_equal(one, other, one.path)
    assert copy.to_json() == made.to_json()
    if not LONG:
        return
    arrays = keras.tree.flatten([case.inputs() for case in cases])
    found = [keras.tree.flatten(m(arrays, training=False)) for m in (made, copy)]
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_custom_objects(tmp_path):
    """What is passed explicitly is used, also under a name of ours, and only in that call."""

    class Mine(L.Layer):
        def __init__(self, inner, **kwargs):
            super().__init__(**kwargs)
            self.inner = inner

        def call(self, x):
            return self.inner(x) + 1

    def relu(x):
        return -x

    made = keras.Sequential([keras.Input((3,)), Mine(L.Dense(2)), L.Dense(2, activation=relu)])
    path = tmp_path / "m.keras"
    with pytest.warns(UserWarning, match="pass `custom_objects={'Mine': …}` when loading"):
        made.save(path)
    copy = keras.saving.load_model(path, custom_objects={"Mine": Mine, "relu": relu})
    np.testing.assert_array_equal(copy(X), made(X))
    with pytest.raises(keras.saving.LoadError, match="Unknown class 'Mine'"):
        keras.saving.load_model(path)


def test_unicode_names(tmp_path):
    name = "größe 大小 🌳"
    made = keras.Sequential([keras.Input((3,), name="é"), L.Dense(2, name=name)], name="模型")
    path = tmp_path / "ünï 大.keras"
    made.save(path)
    copy = keras.saving.load_model(path)
    assert copy.layers[0].name == name
    np.testing.assert_array_equal(copy(X), made(X))
    copy.save_weights(tmp_path / "大.weights.h5")
    made.load_weights(tmp_path / "大.weights.h5")


def test_a_folder_that_is_only_read(tmp_path):
    path = tmp_path / "m.keras"
    model(1).save(path)
    tmp_path.chmod(0o555)
    try:
        assert number(keras.saving.load_model(path)) == 1
        if os.geteuid():  # root may do anything
            with pytest.raises(PermissionError):
                model(2).save(path)
            assert number(keras.saving.load_model(path)) == 1
    finally:
        tmp_path.chmod(0o755)


@pytest.mark.skipif(not LONG, reason="takes minutes")
def test_a_model_of_2000_layers(tmp_path):
    x = y = keras.Input((4,))
    for _ in range(2000):
        y = L.Dense(4)(y)
    made = keras.Model(x, y)
    made.save(tmp_path / "m.keras")
    copy = keras.saving.load_model(tmp_path / "m.keras")
    for a, b in zip(made.get_weights(), copy.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert len(copy.layers) == 2001
    outer = keras.Input((4,))
    nested = keras.Model(outer, copy(copy(outer)))
    nested.save(tmp_path / "n.keras")
    keras.saving.load_model(tmp_path / "n.keras")


def test_limits_can_be_raised():
    text = keras.Sequential([keras.Input((3,)), L.Dense(4), L.Dense(4)]).to_json()
    for name in ("nodes", "depth", "objects", "calls", "tensor_size", "variable_bytes"):
        with (
            keras.saving.load_limits(**{name: 1}),
            pytest.raises(
                keras.saving.LimitError, match=rf"the limit is 1\..*load_limits\({name}="
            ),
        ):
            keras.models.model_from_json(text)
        with keras.saving.load_limits(**{name: 10**12}):
            keras.models.model_from_json(text)
    with pytest.raises(TypeError, match="layers"):
        keras.saving.load_limits(layers=3).__enter__()


def test_copies_of_what_exists_have_no_limits():
    with keras.saving.load_limits(variable_bytes=1, objects=1, calls=1):
        made = model()
        assert keras.models.clone_model(made).count_params() == made.count_params()
        assert L.Dense(3).clone().units == 3
