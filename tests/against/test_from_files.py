"""Files, splits, windows and Pillow's images, compared with the real Keras and grain."""

import contextlib
import io

import keras as real
import numpy as np
import pytest

import hornbeam as keras

PIL_Image = pytest.importorskip("PIL.Image")
pytest.importorskip("grain")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Images of several sizes and kinds in folders whose names sort in different ways."""
    root, random = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for i, name in enumerate(
        ["b/1", "b/10", "b/2", "b/sub/3", "b-x/1", "a/1", "a/Z", "a/z", "B/1"]
    ):
        path = root / f"{name}{'.png' if i % 3 else '.jpg'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        shape = (7 + i % 2, 12 - i % 2, *((3,) if i % 3 == 0 else (4,) if i % 3 == 1 else ()))
        PIL_Image.fromarray(random.integers(0, 255, shape, "uint8")).save(path)
        path.with_suffix(".txt").write_text(f"text {i}, ä")
    (root / "a" / "notes.md").write_text("no data")
    (root / ".hidden").mkdir()
    return root


def printed(function, *args, **kwargs):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        found = function(*args, **kwargs)
    return found, out.getvalue()


def assert_same_batches(ours, theirs, atol=0.01):
    ours, theirs = list(ours), list(theirs)
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs):
        pairs = zip(a, b) if isinstance(a, tuple) else [(a, b)]
        for x, y in pairs:
            if isinstance(x, str) or (isinstance(x, np.ndarray) and x.dtype == object):
                assert np.asarray(x).tolist() == np.asarray(y).tolist()
                continue
            x, y = np.asarray(x), np.asarray(y)
            assert x.shape == y.shape and x.dtype == y.dtype
            np.testing.assert_allclose(x, y, atol=atol)


def compare(name, folder, **options):
    options = {"batch_size": 4, "format": "grain", **options}
    ours, ours_said = printed(getattr(keras.utils, name), folder, **options)
    theirs, theirs_said = printed(getattr(real.utils, name), folder, **options)
    assert ours_said == theirs_said
    pairs = zip(ours, theirs) if options.get("subset") == "both" else [(ours, theirs)]
    for a, b in pairs:
        assert a.class_names == b.class_names
        if name.startswith("image"):  # theirs of texts lack them
            assert a.file_paths == b.file_paths
        if "seed" in options:  # grain has its own orders
            continue
        assert_same_batches(a, b)


@pytest.mark.parametrize(
    "options",
    [
        {"shuffle": False},
        {"seed": 3},
        {"seed": 3, "batch_size": None},
        {"seed": 3, "validation_split": 0.3, "subset": "training"},
        {"seed": 4, "validation_split": 0.3, "subset": "validation"},
        {"shuffle": False, "validation_split": 0.5, "subset": "both"},
        {"shuffle": False, "label_mode": "categorical"},
        {"shuffle": False, "label_mode": "binary", "class_names": ["b", "a"]},
        {"shuffle": False, "label_mode": None},
        {"shuffle": False, "labels": None},
        {"shuffle": False, "labels": [0, 1, 2, 3, 4, 5, 6, 7, 3]},
        {"shuffle": False, "class_names": ["b-x", "a"]},
    ],
)
def test_files_labels_and_splits(folder, options):
    compare("image_dataset_from_directory", folder, image_size=(3, 4), **options)
    compare("text_dataset_from_directory", folder, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"color_mode": "grayscale"},
        {"color_mode": "rgba"},
        {"interpolation": "nearest"},
        {"interpolation": "bicubic"},
        {"interpolation": "lanczos3"},
        {"interpolation": "lanczos5"},
        {"image_size": 20},
        {"data_format": "channels_first"},
        {"crop_to_aspect_ratio": True},
        {"pad_to_aspect_ratio": True},
        {"pad_to_aspect_ratio": True, "image_size": (4, 9)},
        {"crop_to_aspect_ratio": True, "image_size": (9, 2), "data_format": "channels_first"},
    ],
)
def test_images(folder, options):
    options = {"image_size": (6, 5), "shuffle": False, **options}
    compare("image_dataset_from_directory", folder, **options)


def test_texts_are_cut(folder):
    compare("text_dataset_from_directory", folder, shuffle=False, max_length=5)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"sequence_stride": 3},
        {"sampling_rate": 2},
        {"start_index": 3, "end_index": 20},
        {"batch_size": None, "sampling_rate": 3},
    ],
)
@pytest.mark.parametrize("targets", [None, np.arange(28)])
def test_windows(options, targets):
    x = np.arange(60, dtype="float32").reshape(30, 2)
    options = {"batch_size": 4, "format": "grain", **options}
    make = lambda k: k.utils.timeseries_dataset_from_array(x, targets, 5, **options)
    for a, b in zip(list(make(keras)), list(make(real)), strict=True):
        for x, y in zip(a, b) if targets is not None else [(a, b)]:
            np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("mode", ["rgb", "rgba", "grayscale"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"target_size": (4, 4)},
        {"target_size": (10, 3), "keep_aspect_ratio": True},
        {"target_size": (3, 10), "keep_aspect_ratio": True, "interpolation": "lanczos"},
        {"target_size": (5, 6), "interpolation": "box"},
    ],
)
def test_load_img(folder, mode, options):
    for path in sorted(folder.rglob("*.png")):
        a, b = (k.utils.load_img(path, color_mode=mode, **options) for k in (keras, real))
        assert (a.size, a.mode) == (b.size, b.mode)
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
        for data_format in ("channels_first", "channels_last"):
            for dtype in (None, "uint8"):
                x, y = (k.utils.img_to_array(a, data_format, dtype) for k in (keras, real))
                assert x.dtype == y.dtype
                np.testing.assert_array_equal(x, y)


IMAGE = np.random.default_rng(0).normal(size=(4, 5, 4)).astype("float32")


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize(
    "x", [IMAGE, IMAGE[..., :3], IMAGE[..., :1], np.full((3, 3, 1), 300.0), np.full((3, 3, 3), 7)]
)
def test_array_to_img(x, scale):
    x = x if scale else np.abs(x)
    a, b = (k.utils.array_to_img(x, scale=scale) for k in (keras, real))
    assert (a.size, a.mode) == (b.size, b.mode)
    np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
    if scale:
        first = [
            k.utils.array_to_img(x.transpose(2, 0, 1), "channels_first") for k in (keras, real)
        ]
        np.testing.assert_array_equal(*map(np.asarray, first))


@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.bmp"])
def test_save_img(tmp_path, name):
    found = []
    for k in (keras, real):
        k.utils.save_img(tmp_path / name, IMAGE[..., :3])
        found.append((tmp_path / name).read_bytes())
        k.utils.save_img(tmp_path / "y", IMAGE[..., :1], file_format="jpg", quality=50)
        found.append((tmp_path / "y").read_bytes())
    assert found[:2] == found[2:]


@pytest.mark.parametrize("size", [(3, 3), (8, 4), (2, 7)])
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_smart_resize(size, interpolation):
    for x in (IMAGE, np.stack([IMAGE, IMAGE + 1])):
        a, b = (
            k.preprocessing.image.smart_resize(x, size, interpolation=interpolation)
            for k in (keras, real)
        )
        assert type(a) is type(b) is np.ndarray and a.dtype == b.dtype
        np.testing.assert_allclose(a, b, atol=1e-5)
    x = np.moveaxis(IMAGE, -1, 0)
    a, b = (
        k.preprocessing.image.smart_resize(x, size, data_format="channels_first")
        for k in (keras, real)
    )
    np.testing.assert_allclose(a, b, atol=1e-5)
