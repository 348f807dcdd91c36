"""`keras.datasets`: small files in a cache of their own, read as the real Keras reads them."""

import gzip
import importlib
import json
import pickle
import zipfile

import numpy as np
import pytest

import hornbeam as keras
from hornbeam.datasets import _fetch
from hornbeam.datasets._lists import read_lists

RANDOM = np.random.default_rng(0)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The folder that both look into; hashes are of the true files."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(_fetch, "HASHES", {})
    folder = tmp_path / "datasets"
    folder.mkdir()
    return folder


@pytest.fixture
def real(monkeypatch):
    """The real Keras's module of a name, which takes the files that it is given."""

    def module(name, *paths):
        found, left = importlib.import_module(f"keras.src.datasets.{name}"), [*map(str, paths)]
        take = lambda *args, **kwargs: left.pop(0) if len(left) > 1 else left[0]
        monkeypatch.setattr(found, "get_file", take)
        return found

    return module


def assert_same(ours, theirs):
    if isinstance(theirs, tuple):
        assert type(ours) is tuple and len(ours) == len(theirs)
        for a, b in zip(ours, theirs):
            assert_same(a, b)
        return
    assert type(ours) is type(theirs) and ours.dtype == theirs.dtype and ours.shape == theirs.shape
    if ours.dtype == object:
        assert [list(row) for row in ours] == [list(row) for row in theirs]
    else:
        np.testing.assert_array_equal(ours, theirs)


def images(n, *shape):
    return RANDOM.integers(0, 256, (n, *shape), "uint8")


def lists(n, longest=12):
    rows = np.empty(n, dtype=object)
    rows[:] = [RANDOM.integers(1, 50, k).tolist() for k in RANDOM.integers(1, longest, n)]
    return rows


def test_mnist(cache, real):
    path = cache / "mnist.npz"
    labels = {f"y_{part}": images(5) for part in ("train", "test")}
    np.savez(path, x_train=images(5, 28, 28), x_test=images(5, 28, 28), **labels)
    assert_same(keras.datasets.mnist.load_data(), real("mnist", path).load_data())
    (cache / "sub").mkdir()
    path.rename(cache / "sub" / "m.npz")
    assert keras.datasets.mnist.load_data("sub/m.npz")[0][0].shape == (5, 28, 28)


def test_fashion_mnist(cache, real):
    folder, paths = cache / "fashion-mnist", []
    folder.mkdir()
    for part, n in (("train", 5), ("t10k", 3)):
        for kind, array in (("labels-idx1", images(n)), ("images-idx3", images(n, 28, 28))):
            sizes = b"".join(k.to_bytes(4, "big") for k in array.shape)
            paths.append(folder / f"{part}-{kind}-ubyte.gz")
            with gzip.open(paths[-1], "wb") as file:
                file.write(bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes())
    ours = keras.datasets.fashion_mnist.load_data()
    assert_same(ours, real("fashion_mnist", *paths).load_data())
    with gzip.open(paths[0], "ab") as file:
        file.write(b"x")
    with pytest.raises(ValueError, match=r"train-labels-idx1-ubyte.gz isn't an array of bytes"):
        keras.datasets.fashion_mnist.load_data()


@pytest.mark.parametrize(
    ("kind", "data_format"),
    [(10, "channels_last"), (100, "channels_last"), (100, "channels_first")],
)
def test_cifar(cache, real, kind, data_format):
    """The same data as the pickles that Keras reads."""
    import keras as theirs

    label_names = (b"labels",) if kind == 10 else (b"coarse_labels", b"fine_labels")
    binary = cache / f"cifar-{kind}-binary"
    binary_folder = binary / ("cifar-10-batches-bin" if kind == 10 else "cifar-100-binary")
    pickles = cache / ("cifar-10-batches-py" if kind == 10 else "cifar-100-python")
    binary_folder.mkdir(parents=True)
    pickles.mkdir()
    (cache / f"cifar-{kind}-binary_archive").write_bytes(b"was fetched")
    if kind == 10:
        names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    else:
        names = ["train", "test"]
    for name in names:
        n = 10000 if kind == 10 else 3
        labels, pixels = images(n, len(label_names)) % kind, images(n, 3072)
        (binary_folder / f"{name}.bin").write_bytes(np.concatenate([labels, pixels], 1).tobytes())
        found = {key: labels[:, i].tolist() for i, key in enumerate(label_names)}
        (pickles / name).write_bytes(pickle.dumps({**found, b"data": pixels}))
    module = getattr(keras.datasets, f"cifar{kind}")
    try:
        for k in (keras, theirs):
            k.config.set_image_data_format(data_format)
        for options in ({},) if kind == 10 else ({}, {"label_mode": "coarse"}):
            wanted = real(f"cifar{kind}", cache).load_data(**options)
            found = module.load_data(**options)
            for (x, y), (real_x, real_y) in zip(found, wanted):
                assert x.dtype == y.dtype == "uint8"
                np.testing.assert_array_equal(x, real_x)
                np.testing.assert_array_equal(y, real_y)
    finally:
        for k in (keras, theirs):
            k.config.set_image_data_format("channels_last")
    with open(binary_folder / f"{names[0]}.bin", "ab") as file:
        file.write(b"x")
    with pytest.raises(ValueError, match=r"isn't made of records of 307[34] bytes"):
        module.load_data()


OPTIONS = [
    {},
    {"num_words": 20},
    {"num_words": 20, "oov_char": None},
    {"skip_top": 10},
    {"maxlen": 10},
    {"start_char": None},
    {"start_char": None, "index_from": 0},
    {"seed": 3, "num_words": 20, "skip_top": 10, "oov_char": None, "maxlen": 9},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_texts(cache, real, options):
    path = cache / "imdb.npz"
    np.savez(
        path,
        x_train=lists(30),
        y_train=np.arange(30) % 2,
        x_test=lists(20),
        y_test=np.arange(20) % 2,
    )
    options = {"num_words": 1000, **options}  # without it, Keras loses the last word
    ours = keras.datasets.imdb.load_data(**options)
    assert_same(ours, real("imdb", path).load_data(**options))
    path = cache / "reuters.npz"
    np.savez(path, x=lists(40), y=np.arange(40))
    ours = keras.datasets.reuters.load_data(test_split=0.3, **options)
    assert_same(ours, real("reuters", path).load_data(test_split=0.3, **options))


def test_all_words_are_kept(cache):
    rows = lists(40)
    np.savez(cache / "reuters.npz", x=rows, y=np.arange(40))
    for x, y in keras.datasets.reuters.load_data():
        for row, number in zip(x, y):
            assert row == [1, *(word + 3 for word in rows[number])]


def test_words_and_topics(cache, real):
    import keras as theirs

    for name in ("imdb", "reuters"):
        (cache / f"{name}_word_index.json").write_text(json.dumps({"the": 1, "of": 2}))
        assert getattr(keras.datasets, name).get_word_index() == {"the": 1, "of": 2}
    topics = keras.datasets.reuters.get_label_names()
    assert topics == theirs.datasets.reuters.get_label_names()
    with pytest.raises(TypeError, match=r"imdb.load_data takes no argument 'nb_words'"):
        keras.datasets.imdb.load_data(nb_words=3)
    np.savez(cache / "reuters.npz", x=lists(4), y=np.arange(4))
    with pytest.raises(ValueError, match="No sequence is shorter than maxlen=1"):
        keras.datasets.reuters.load_data(maxlen=1)


def test_houses(cache, real):
    for name, options in (
        ("boston_housing", {}),
        ("boston_housing", {"test_split": 0.5, "seed": 1}),
        ("california_housing", {}),
        ("california_housing", {"version": "small"}),
    ):
        path = cache / f"{name}.npz"
        np.savez(path, x=RANDOM.normal(size=(700, 8)), y=RANDOM.normal(size=700))
        ours = getattr(keras.datasets, name).load_data(**options)
        assert_same(ours, real(name, path).load_data(**options))
    with pytest.raises(ValueError, match="version should be one of 'large', 'small'"):
        keras.datasets.california_housing.load_data("medium")
    with pytest.raises(ValueError, match="test_split should be from 0 to below 1"):
        keras.datasets.boston_housing.load_data(test_split=1)


# Lists without unpickling ------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_lists_of_ints(protocol):
    rows = np.empty(3, dtype=object)
    rows[:] = [[], [1, 255, 256, 65535, 65536, -1, -(2**31), 2**40, -(2**80)], [*range(3000)]]
    found = read_lists(pickle.dumps(rows, protocol), rows.shape)
    assert found.dtype == object and found.tolist() == rows.tolist()


class Harm:
    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


def objects(*items):
    rows = np.empty(len(items), dtype=object)
    rows[:] = items
    return rows


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    "content",
    [
        objects([1], Harm(exec, ("raise SystemExit",))),
        objects([1, Harm(print, ("ran",))], [1]),
        objects([1], {"a": 1}),
        objects([1], [2.5]),
        objects([1], ["a"]),
        objects([1], [[1], [2]]),
        objects([1], [True]),
        objects([1], 7),
        Harm(eval, ("print('ran')",)),
        [[1], [2]],
        {"x": [1]},
    ],
    ids=str,
)
def test_anything_else_is_refused_and_not_run(content, protocol, capfd):
    with pytest.raises(ValueError, match="should hold lists of ints, and doesn't"):
        read_lists(pickle.dumps(content, protocol), (2,))
    assert "ran" not in capfd.readouterr().out


@pytest.mark.parametrize(
    "harm", [lambda b: b[:-9], lambda b: b[:40], lambda b: b"", lambda b: b * 0 + b"."]
)
def test_broken_pickles(harm):
    with pytest.raises(ValueError, match="should hold lists of ints, and doesn't"):
        read_lists(harm(pickle.dumps(objects([1], [2]), 4)), (2,))


def test_a_shape_that_lies(cache):
    np.savez(cache / "reuters.npz", x=lists(4), y=np.arange(4))
    data = (cache / "reuters.npz").read_bytes()
    with zipfile.ZipFile(cache / "reuters.npz") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    assert data.count(b"(4,)") == 2
    with zipfile.ZipFile(cache / "reuters.npz", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content.replace(b"(4,)", b"(5,)") if "x" in name else content)
    with pytest.raises(ValueError, match="should hold lists of ints"):
        keras.datasets.reuters.load_data()
