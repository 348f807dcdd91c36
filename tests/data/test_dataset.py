"""`Dataset`: its methods, orders and places; and the functions that read folders and arrays."""

import json
import multiprocessing
import os
import pathlib
import sys
import threading
import wave

import jax
import numpy as np
import pytest

import hornbeam as keras
from hornbeam import layers, utils
from hornbeam.data import Dataset, source_of
from hornbeam.data._images import resized
from hornbeam.data._sounds import read_sound, resampled

PIL_Image = pytest.importorskip("PIL.Image")


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    assert not multiprocessing.active_children()
    assert not [t for t in threading.enumerate() if t.name.startswith("hornbeam-data")]


def numbers(n, size=4, **options):
    return Dataset.of_rows(n, lambda rows: (rows, 10 * rows), size, **options)


def firsts(ds):
    return [np.asarray(x).tolist() for x, _ in ds]


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (lambda ds: ds.take(2), [[0, 1, 2, 3], [4, 5, 6, 7]]),
        (lambda ds: ds.take(-1).skip(1), [[4, 5, 6, 7], [8, 9]]),
        (lambda ds: ds.skip(-1), []),
        (lambda ds: ds.skip(5), []),
        (lambda ds: ds.take(0).unbatch(), []),
        (lambda ds: ds.map(lambda x, y: (x + y, y)).skip(2), [[88, 99]]),
        (lambda ds: ds.unbatch().batch(6), [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9]]),
        (lambda ds: ds.unbatch().batch(6, drop_remainder=True), [[0, 1, 2, 3, 4, 5]]),
        (lambda ds: ds.map(lambda *a: a).unbatch().skip(7), [7, 8, 9]),
        (lambda ds: ds.skip(1).unbatch().take(3), [4, 5, 6]),
        (lambda ds: ds.unbatch().batch(7, True).unbatch(), [0, 1, 2, 3, 4, 5, 6]),
        (lambda ds: ds.cache().prefetch(-1).take(1), [[0, 1, 2, 3]]),
        (lambda ds: ds.shuffle(seed=1).shuffle(seed=2, reshuffle_each_iteration=False).take(0), []),
    ],
)
def test_methods(change, wanted):
    ds = change(numbers(10))
    assert firsts(ds) == wanted and len(ds) == len(wanted)
    assert firsts(ds) == firsts(ds.as_numpy_iterator())
    assert [np.asarray(ds[i][0]).tolist() for i in range(len(ds))] == wanted
    with pytest.raises(IndexError, match=f"the data set has {len(wanted)}"):
        ds[len(wanted)]


def test_shuffled_passes_come_from_the_seed():
    ds = numbers(10, None).shuffle(100, seed=3)
    passes = [firsts(ds) for _ in range(3)]
    assert len({tuple(found) for found in passes}) == 3
    assert all(sorted(found) == [*range(10)] for found in passes)
    again = numbers(10, None).shuffle(seed=3)
    assert [firsts(again) for _ in range(3)] == passes
    once = numbers(10, None).shuffle(seed=3, reshuffle_each_iteration=False)
    assert firsts(once) == firsts(once) == passes[0]
    keras.utils.set_random_seed(1)
    found = firsts(numbers(10, None).shuffle())
    keras.utils.set_random_seed(1)
    assert firsts(numbers(10, None).shuffle()) == found != firsts(numbers(10, None).shuffle())
    cached = ds.cache()
    assert firsts(cached) == firsts(cached)


def test_a_source_goes_back_to_its_place_in_shuffled_passes():
    """Also over another data set, made without that seed."""
    rest = lambda source: [b[0].tolist() for b, n in iter(lambda: source.take(1), (None, 0))]
    source = source_of(numbers(10, None).shuffle().batch(4))
    first = rest(source)
    source.take(1)
    state = json.loads(json.dumps(source.state()))
    wanted = [rest(source), rest(source)]
    again = source_of(numbers(10, None).shuffle().batch(4))
    again.restore(state)
    assert [rest(again), rest(again)] == wanted
    again.seek(0, 0)  # back, which orders drawn one after the other can't
    assert rest(again) == first
    parts = []
    for index in range(3):
        shard = source_of(numbers(10, None).shuffle().batch(4))
        shard.shard(index, 3)
        shard.restore(state)
        parts.append(rest(shard))
    for k, (batch,) in enumerate(wanted[0]):
        assert [parts[i][k][0] for i in range(3)] == [batch[i::3] for i in range(3)]


def test_each_loop_and_fit_has_its_own_order():
    rest = lambda source: [b[0].tolist() for b, n in iter(lambda: source.take(1), (None, 0))]
    ds = numbers(10, None).shuffle(seed=1).batch(10)
    found = [firsts(ds), *(rest(source_of(ds))[0] for _ in range(2)), firsts(ds)]
    wanted = numbers(10, None).shuffle(seed=1).batch(10)
    assert found == [firsts(wanted) for _ in range(4)]
    assert len({str(order) for order in found}) == 4


def test_a_shard_makes_only_its_rows():
    made = []
    ds = Dataset.of_rows(10, lambda rows: made.extend(rows) or rows, 4)
    source = source_of(ds)
    source.shard(1, 2)
    while source.take(1)[1]:
        pass
    assert made == [1, 3, 5, 7, 9]


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (lambda: numbers(9).shuffle().unbatch(), ValueError, "after `batch`, and before `shuffle`"),
        (lambda: numbers(9, None).unbatch(), ValueError, "unbatch needs batches of known sizes"),
        (lambda: numbers(9, 0), ValueError, "batch_size should be an int of at least 1"),
        (lambda: numbers(9).shuffle(seed="a"), ValueError, "seed should be an int or None"),
        (lambda: source_of(numbers(9, None)), ValueError, r"pass dataset.batch\(32\)"),
        (
            lambda: [*numbers(9).map(lambda x, y: (x[:1], y[:1])).unbatch()],
            ValueError,
            r"unbatch expected 4 rows in batch 0; received \[1\]",
        ),
        (
            lambda: [*numbers(9, None).map(lambda x, y: np.zeros(x)).batch(2)],
            ValueError,
            "A batch needs elements of one shape",
        ),
    ],
)
def test_mistakes(function, error, message):
    with pytest.raises(error, match=message):
        function()


# Folders -----------------------------------------------------------------------------------------

COLOURS = np.random.default_rng(0).integers(0, 255, (12, 3), "uint8")


@pytest.fixture
def pictures(tmp_path):
    """A folder of twelve files of one colour each, in three folders."""
    tmp_path = tmp_path / "pictures"
    tmp_path.mkdir()
    for i, colour in enumerate(COLOURS):
        path = tmp_path / "abc"[i // 4] / f"{i:02}.png"
        path.parent.mkdir(exist_ok=True)
        PIL_Image.fromarray(np.full((5 + i, 6, 3), colour)).save(path)
    return tmp_path


def read(directory, **options):
    options = {"image_size": (4, 4), "batch_size": 5, "verbose": False, **options}
    return utils.image_dataset_from_directory(directory, **options)


def test_each_image_has_its_label(pictures):
    ds = read(pictures, seed=3)
    for _ in range(2):
        for images, labels in ds:
            for image, label in zip(images, labels):
                number = np.abs(COLOURS - image[0, 0]).sum(1).argmin()
                assert label == number // 4
    assert ds.file_paths[0] in map(str, pictures.rglob("*.png"))
    np.testing.assert_allclose(ds[0][0][0, 0, 0], COLOURS[int(ds.file_paths[0][-6:-4])], atol=1e-4)
    assert ds.take(1).class_names == ["a", "b", "c"]
    assert ds.take(1).file_paths is None


def test_fit(pictures, tmp_path):
    """Learns from files; goes on in the middle of an epoch as if nothing had happened."""
    keras.utils.set_random_seed(0)

    def run(epochs, **options):
        keras.utils.set_random_seed(1)
        model = keras.Sequential(
            [keras.Input((4, 4, 3)), layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(3)]
        )
        model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        training, validation = read(pictures, seed=1, validation_split=0.25, subset="both")
        model.fit(training, validation_data=validation, epochs=epochs, verbose=0, **options)
        return model

    wanted = run(4)
    backup = tmp_path / "backup"
    run(2, resume=backup)
    resumed = run(4, resume=backup)
    for a, b in zip(wanted.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert wanted.predict(read(pictures, labels=None), verbose=0).shape == (12, 3)


def test_processes(pictures):
    ds = read(pictures, seed=3)
    wanted = firsts(ds)
    ds = read(pictures, seed=3)
    ds.workers, ds.use_multiprocessing = 1, True
    assert firsts(ds) == wanted


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize(
    ("harm", "error", "message"),
    [
        (lambda path: path.write_bytes(b"no picture"), ValueError, "05.png can't be read as image"),
        (
            lambda path: path.write_bytes(path.read_bytes()[:-30]),
            ValueError,
            "05.png can't be read as image",
        ),
        (lambda path: path.unlink(), FileNotFoundError, "05.png was there when the data set was"),
    ],
)
def test_a_file_that_cannot_be_read(pictures, harm, error, message, workers):
    ds = read(pictures, shuffle=False)
    ds.workers = workers
    harm(pictures / "b" / "05.png")
    with pytest.raises(error, match=message):
        list(ds)
    model = keras.Sequential([keras.Input((4, 4, 3)), layers.Flatten(), layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(error, match=message):
        model.fit(ds, verbose=0)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"labels": [1, 2]}, ValueError, "there are 2 labels and 12 files"),
        ({"labels": ["a"] * 12}, ValueError, "labels should be ints, one for each file"),
        ({"labels": "given"}, ValueError, "labels should be one of 'inferred'"),
        ({"labels": [0] * 12, "class_names": ["a"]}, ValueError, "class_names should be None"),
        ({"labels": [7] * 12, "label_mode": "categorical"}, ValueError, "from 0 to 0; received 7"),
        ({"class_names": ["a", "z"]}, ValueError, "class_names has 'z', but .* only the folders a"),
        ({"label_mode": "binary"}, ValueError, "is for two classes; there are 3"),
        ({"label_mode": "float"}, ValueError, "label_mode should be one of"),
        ({"color_mode": "cmyk"}, ValueError, "color_mode should be one of"),
        ({"interpolation": "cubic"}, ValueError, "interpolation should be one of"),
        ({"image_size": (0, 3)}, ValueError, "image_size should be two ints"),
        ({"batch_size": 0}, ValueError, "batch_size should be an int of at least 1, or None"),
        ({"subset": "both"}, ValueError, "validation_split and subset go together"),
        ({"validation_split": 0.5}, ValueError, "validation_split and subset go together"),
        ({"validation_split": 1.5, "subset": "both"}, ValueError, "between 0 and 1"),
        ({"validation_split": 0.5, "subset": "both"}, ValueError, "needs a seed"),
        ({"validation_split": 0.01, "subset": "both", "seed": 1}, ValueError, "for validation"),
        ({"format": "torch"}, ValueError, "format should be one of 'tf', 'grain'"),
        (
            {"crop_to_aspect_ratio": True, "pad_to_aspect_ratio": True},
            ValueError,
            "Only one of crop_to_aspect_ratio and pad_to_aspect_ratio",
        ),
    ],
)
def test_wrong_arguments(pictures, options, error, message):
    with pytest.raises(error, match=message):
        read(pictures, **options)


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="directory should be an existing folder"):
        read(tmp_path / "none")
    with pytest.raises(ValueError, match=r"no image files in .*end in .bmp, .gif, .jpeg"):
        read(tmp_path)


@pytest.mark.parametrize("method", ["gaussian", "mitchellcubic", "area"])
@pytest.mark.parametrize("size", [(3, 4), (20, 9), (7, 5)])
def test_resizing_that_only_files_have(method, size):
    """Constants stay; a ramp stays one, away from the edges."""
    x = np.full((7, 5, 3), 9, "uint8")
    np.testing.assert_allclose(resized(x, size, method), np.full((*size, 3), 9.0), rtol=1e-5)
    if method == "area":
        ramp = np.arange(12.0)[:, None, None] * np.ones((1, 5, 1))
        np.testing.assert_allclose(resized(ramp, (3, 5), method)[:, 0, 0], [1.5, 5.5, 9.5])


def test_links(tmp_path, pictures):
    folder = tmp_path / "linked"
    folder.mkdir()
    (folder / "a").mkdir()
    (folder / "a" / "more").symlink_to(pictures / "b", target_is_directory=True)
    assert len(read(folder, follow_links=True).file_paths) == 4
    with pytest.raises(ValueError, match="no image files"):
        read(folder)


# Sounds ------------------------------------------------------------------------------------------


def write_wave(path, samples, rate=8000, width=2):
    path.parent.mkdir(exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((samples.shape[1], width, rate, 0, "NONE", ""))
        whole = (samples * (2 ** (8 * width - 1) - 1)).round().astype("<i4")
        raw = whole + 128 if width == 1 else whole
        file.writeframes(raw.view("uint8").reshape(-1, 4)[:, :width].tobytes())


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_sounds_with_and_without_soundfile(tmp_path, monkeypatch, width):
    samples = np.random.default_rng(0).uniform(-1, 1, (50, 2))
    write_wave(tmp_path / "x.wav", samples, width=width)
    decoded = read_sound(tmp_path / "x.wav")
    assert decoded.dtype == "float32" and decoded.shape == (50, 2)
    np.testing.assert_allclose(decoded, samples, atol=2.0 ** (2 - 8 * width) + 1e-7)
    monkeypatch.setitem(sys.modules, "soundfile", None)
    np.testing.assert_array_equal(read_sound(tmp_path / "x.wav"), decoded)
    np.testing.assert_array_equal(read_sound(tmp_path / "x.wav", length=9), decoded[:9])
    assert read_sound(tmp_path / "x.wav", length=60)[50:].tolist() == [[0, 0]] * 10


def test_resampling_keeps_the_tone(tmp_path):
    tone = lambda n: np.sin(2 * np.pi * 5 * np.arange(n) / n)[:, None]
    np.testing.assert_allclose(resampled(tone(100), 160), tone(160), atol=1e-6)
    np.testing.assert_allclose(resampled(tone(160), 99), tone(99), atol=1e-6)
    write_wave(tmp_path / "x.wav", tone(800))
    assert read_sound(tmp_path / "x.wav", rate=16000).shape == (1600, 1)


def test_sounds_of_different_lengths(tmp_path):
    for i, n in enumerate((5, 9, 7)):
        write_wave(tmp_path / "ab"[i % 2] / f"{i}.wav", np.full((n, 1), 0.5))
    options = {"shuffle": False, "verbose": False}
    sounds, labels = utils.audio_dataset_from_directory(tmp_path, **options)[0]
    assert sounds.shape == (3, 9, 1) and labels.tolist() == [0, 0, 1]
    assert (sounds[0, 5:] == 0).all() and (sounds[0, :5] > 0.4).all()
    ragged, _ = utils.audio_dataset_from_directory(tmp_path, ragged=True, **options)[0]
    assert [x.shape for x in ragged] == [(5, 1), (7, 1), (9, 1)]
    fixed, _ = utils.audio_dataset_from_directory(tmp_path, output_sequence_length=6, **options)[0]
    assert fixed.shape == (3, 6, 1)
    source = source_of(utils.audio_dataset_from_directory(tmp_path, **options))
    source.shard(0, 2)  # as long as the others of the batch
    assert jax.tree.leaves(source.take(1)[0])[0].shape == (1, 2, 9, 1)
    source.close()
    with pytest.raises(ValueError, match="ragged is for sounds of different lengths"):
        utils.audio_dataset_from_directory(tmp_path, ragged=True, output_sequence_length=6)
    with pytest.raises(ValueError, match="sampling_rate should be an int of at least 1"):
        utils.audio_dataset_from_directory(tmp_path, sampling_rate=0)


@pytest.mark.parametrize("without", [False, True])
def test_a_sound_that_is_cut_off(tmp_path, monkeypatch, without):
    write_wave(tmp_path / "a" / "x.wav", np.zeros((50, 1)))
    path = tmp_path / "a" / "x.wav"
    path.write_bytes(path.read_bytes()[:-10])
    if without:
        monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(ValueError, match=r"x.wav can't be read as sound: it has 134 bytes of 144"):
        list(utils.audio_dataset_from_directory(tmp_path, verbose=False))


# Texts, windows, splits --------------------------------------------------------------------------


def test_texts(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.TXT").write_bytes(f"ä{name}\r\nmore".encode())
    ds = utils.text_dataset_from_directory(tmp_path, shuffle=False, verbose=False)
    texts, _ = ds[0]
    assert texts.tolist() == ["äa\r\nmore", "äb\r\nmore"] and texts.dtype == object
    single = utils.text_dataset_from_directory(
        tmp_path, batch_size=None, max_length=2, label_mode=None, shuffle=False, verbose=False
    )
    assert list(single) == ["äa", "äb"]
    assert single.batch(2)[0].dtype == object
    model = keras.Sequential([layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="a compiled step needs numbers"):
        model.fit(ds, verbose=0)
    (tmp_path / "b" / "2.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"2.txt can't be read as text: 'utf-8' codec"):
        list(utils.text_dataset_from_directory(tmp_path, verbose=False))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sequence_length": 0}, "sequence_length should be an int from 1 to 10"),
        ({"sequence_length": 11}, "sequence_length should be an int from 1 to 10"),
        ({"sequence_stride": 10}, "sequence_stride should be an int from 1 to 9"),
        ({"sampling_rate": 0}, "sampling_rate should be an int from 1 to 9"),
        ({"sampling_rate": 5}, "hold no window of sequence_length=3 with sampling_rate=5"),
        ({"start_index": -1}, "0 <= start_index < end_index <= 10"),
        ({"end_index": 11}, "0 <= start_index < end_index <= 10"),
        ({"start_index": 5, "end_index": 4}, "received 5, 4"),
    ],
)
def test_wrong_windows(options, message):
    with pytest.raises(ValueError, match=message):
        utils.timeseries_dataset_from_array(
            np.arange(10), None, **{"sequence_length": 3, **options}
        )


def test_windows_can_be_learned():
    x = np.arange(30, dtype="float32")
    ds = utils.timeseries_dataset_from_array(x[:-3], x[3:], 3, shuffle=True, seed=1, batch_size=7)
    assert sorted(np.concatenate([t for _, t in ds]).tolist()) == x[3:-2].tolist()
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    assert len(model.fit(ds, epochs=2, verbose=0).history["loss"]) == 2


@pytest.mark.parametrize(
    ("data", "options", "left", "right"),
    [
        (np.arange(10), {"left_size": 0.7}, [*range(7)], [7, 8, 9]),
        ([*range(10)], {"right_size": 2}, [*range(8)], [8, 9]),
        (np.arange(10), {"left_size": 2, "right_size": 0.3}, [0, 1], [7, 8, 9]),
        (numbers(10).map(lambda x, y: x), {"left_size": 6}, [[0, 1, 2, 3], [4, 5]], [[6, 7, 8, 9]]),
    ],
)
def test_split_dataset(data, options, left, right):
    parts = utils.split_dataset(data, **options)
    assert [[np.asarray(x).tolist() for x in part] for part in parts] == [left, right]


def test_splits_of_structures():
    data = [np.arange(4), {"a": np.ones((4, 2))}]
    left, right = utils.split_dataset(data, 3, shuffle=True, seed=2)
    _, rest = left[0]
    assert rest["a"].shape == (2,)
    assert sorted(int(x) for ds in (left, right) for x, _ in ds) == [0, 1, 2, 3]
    assert [int(x) for x, _ in left] == [int(x) for x, _ in left]
    torch = pytest.importorskip("torch")
    rows = torch.utils.data.TensorDataset(torch.arange(4))
    assert [int(x) for (x,) in utils.split_dataset(rows, 2)[1]] == [2, 3]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "needs left_size or right_size"),
        ({"left_size": 1.5}, "left_size should be a part from 0.0 to 1.0, or an int from 1 to 9"),
        ({"right_size": 10}, "right_size should be"),
        ({"left_size": "a"}, "left_size should be"),
        ({"left_size": 0.01}, "into 0 and 10 leaves one part empty"),
        ({"left_size": 3, "right_size": 8}, "at most the 10 samples"),
    ],
)
def test_wrong_splits(options, message):
    with pytest.raises(ValueError, match=message):
        utils.split_dataset(np.arange(10), **options)


# Pillow's images ---------------------------------------------------------------------------------


def test_a_missing_package_is_named(monkeypatch, pictures):
    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(ImportError, match=r'needs pillow.*pip install "hornbeam\[data\]"'):
        read(pictures)


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (lambda: utils.load_img(3), TypeError, "path should be a path or an io.BytesIO"),
        (lambda: utils.load_img("x.png", "hsv"), ValueError, "color_mode should be one of"),
        (lambda: utils.array_to_img(np.zeros((2, 3))), ValueError, "x should be an array of three"),
        (lambda: utils.array_to_img(np.zeros((2, 3, 2))), ValueError, "1, 3 or 4 channels"),
        (lambda: utils.img_to_array(np.zeros((1, 2, 3, 4))), ValueError, "img should be of two"),
        (lambda: utils.img_to_array(np.zeros((2, 3)), "hwc"), ValueError, "data_format should be"),
        (
            lambda: keras.preprocessing.image.smart_resize(np.zeros((4, 4, 3)), (2, 2), size=3),
            TypeError,
            "multiple values|takes no argument",
        ),
    ],
)
def test_wrong_images(function, error, message):
    with pytest.raises(error, match=message):
        function()


def test_save_img_of_four_channels(tmp_path):
    x = np.random.default_rng(0).uniform(size=(4, 4, 4))
    with pytest.warns(UserWarning, match="JPEG has no fourth channel"):
        utils.save_img(tmp_path / "x.jpg", x)
    assert utils.load_img(str(tmp_path / "x.jpg")).mode == "RGB"
    utils.save_img(os.fspath(tmp_path / "x"), x, file_format="png")
    assert utils.load_img(pathlib.Path(tmp_path / "x"), "rgba").mode == "RGBA"
