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


def cifar_files(folder, names, labels):
    """Binary files of three records each; their labels and pixels."""
    folder.mkdir(parents=True)
    (folder.parent.parent / f"{folder.parent.name}_archive").write_bytes(b"was fetched")
    records = [images(3, labels + 3072) % 100 for _ in names]
    for name, part in zip(names, records):
        (folder / f"{name}.bin").write_bytes(part.tobytes())
    return [(part[:, :labels], part[:, labels:]) for part in records]


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_cifar100(cache, real, data_format):
    """The same data as the pickles that Keras reads."""
    import keras as theirs

    names, pickles = ["train", "test"], cache / "cifar-100-python"
    records = cifar_files(cache / "cifar-100-binary" / "cifar-100-binary", names, 2)
    pickles.mkdir()
    for name, (labels, pixels) in zip(names, records):
        coarse, fine = labels.T.tolist()
        found = {b"coarse_labels": coarse, b"fine_labels": fine, b"data": pixels}
        (pickles / name).write_bytes(pickle.dumps(found))
    try:
        for k in (keras, theirs):
            k.config.set_image_data_format(data_format)
        for mode in ("coarse", "fine"):
            wanted = real("cifar100", cache).load_data(mode)
            for ours, true in zip(keras.datasets.cifar100.load_data(mode), wanted):
                for a, b in zip(ours, true):
                    assert a.dtype == "uint8"
                    np.testing.assert_array_equal(a, b)
    finally:
        for k in (keras, theirs):
            k.config.set_image_data_format("channels_last")


def test_cifar10(cache):
    """Not compared with Keras, which reads nothing less than 60000 images."""
    names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    folder = cache / "cifar-10-binary" / "cifar-10-batches-bin"
    records = cifar_files(folder, names, 1)
    (x, y), (x_test, y_test) = keras.datasets.cifar10.load_data()
    assert x.shape == (15, 32, 32, 3) and x_test.shape == (3, 32, 32, 3)
    np.testing.assert_array_equal(y, np.concatenate([labels for labels, _ in records[:5]]))
    np.testing.assert_array_equal(y_test, records[5][0])
    red_of_second = records[0][1][1].reshape(3, 32, 32)[0]
    np.testing.assert_array_equal(x[1, :, :, 0], red_of_second)
    with open(folder / "test_batch.bin", "ab") as file:
        file.write(b"x")
    with pytest.raises(ValueError, match=r"test_batch.bin isn't made of records of 3073 bytes"):
        keras.datasets.cifar10.load_data()


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
