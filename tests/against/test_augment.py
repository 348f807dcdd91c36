"""Image and audio layers against the real Keras: the same transformation gives the same images.

What both draw is compared as a distribution in tests/layers/test_augment.py; here Keras's draws, or
ours, are handed to both.
"""

import jax
import jax.numpy as jnp
import keras as real
import numpy as np
import pytest

from hornbeam import layers

RNG = np.random.default_rng(0)
X = RNG.uniform(0, 255, (2, 12, 15, 3)).astype("float32")
UNIT = X / 255
BYTES = X.round().astype("uint8")
MASK = (BYTES[..., :1] // 64).astype("uint8")
ONES = np.ones((2, 1, 1, 1), "float32")
BOXES = {
    "boxes": np.array([[[1, 2, 5, 6], [0, 0, 8, 4]], [[3, 2, 14, 11], [9, 1, 15, 3]]], "float32"),
    "labels": np.array([[1, 2], [3, 4]]),
}


def column(*numbers, dtype="float32"):
    return np.array(numbers, dtype).reshape(-1, 1, 1, 1)


TRUE = np.array([True, False])

# (layer, its arguments, images, transformation for Keras, and for us where it is another one)
PIXELS = [
    ("RandomBrightness", {"factor": 0.3}, X, {"rgb_delta": column(50, -80)}),
    (
        "RandomBrightness",
        {"factor": 0.3, "value_range": (-1, 1)},
        2 * UNIT - 1,
        {"rgb_delta": column(0.5, -0.9)},
    ),
    ("RandomContrast", {"factor": 0.3}, X, {"contrast_factor": column(1.4, 0.3)}),
    ("RandomSaturation", {"factor": (0.0, 1.0)}, X, {"factor": np.array([0.3, 0.9], "float32")}),
    ("RandomHue", {"factor": 0.3, "value_range": (0, 1)}, UNIT, {"factor": np.array([0.3, -0.45])}),
    ("RandomHue", {"factor": 0.3}, X, {"factor": np.array([0.5, -0.05])}),
    ("RandomColorDegeneration", {"factor": 0.3}, X, {"factor": column(0.3, 0.9)}),
    ("RandomSharpness", {"factor": 0.3}, X, {"factor": np.array([0.1, 0.9], "float32")}),
    (
        "RandomSharpness",
        {"factor": 0.3, "value_range": (0, 1)},
        UNIT,
        {"factor": np.array([0.5, 1.0], "float32")},
    ),
    (
        "RandomPosterization",
        {"factor": 3},
        X.round(),
        {"shift_factor": np.array([5, 2], "uint8")},
    ),
    (
        "Solarization",
        {},
        X,
        {"additions": column(20, 0), "thresholds": column(100, 0)},
    ),
    ("RandomInvert", {"value_range": (0, 1)}, UNIT, {"apply_inversion": TRUE}),
    ("RandomGrayscale", {}, X, column(*TRUE, dtype=bool), {"apply_grayscale": TRUE}),
    (
        "RandomGaussianBlur",
        {"kernel_size": 5},
        X,
        # Keras reads both as (columns, rows).
        {"should_apply_blur": TRUE, "blur_factor": np.array([0.4, 1.2], "float32")},
        {"should_apply_blur": TRUE, "blur_factor": np.array([1.2, 0.4], "float32")},
    ),
    ("AutoContrast", {"value_range": (0, 1)}, UNIT / 2, None),
    ("AutoContrast", {}, np.full_like(X, 7), None),
    ("Equalization", {}, X.round(), None),
    ("Equalization", {"bins": 16}, X.round(), None),
    ("Equalization", {}, BYTES, None),
    ("Equalization", {}, np.full_like(X, 7), None),
    ("ContrastLimitedAdaptiveHistogramEqualization", {"tile_grid_size": (2, 2)}, X.round(), None),
    (
        "ContrastLimitedAdaptiveHistogramEqualization",
        {"tile_grid_size": (3, 2), "clip_limit": 1.5},
        X.round(),
        None,
    ),
    (
        "ContrastLimitedAdaptiveHistogramEqualization",
        {"tile_grid_size": (2, 4), "clip_limit": 0.0},
        BYTES,
        None,
    ),
    ("RandomFlip", {}, X, {"flips": column(*TRUE, dtype=bool)}, {"flips": TRUE[:, None] & [1, 1]}),
    (
        "RandomTranslation",
        {"height_factor": 0.1, "width_factor": 0.1},
        X,
        {"translations": np.array([[2.5, -3], [20, 7]], "float32")},
    ),
    (
        "RandomZoom",
        {"height_factor": 0.1, "fill_mode": "constant", "fill_value": 3.0},
        X,
        {"height_zoom": np.array([[1.2], [0.5]]), "width_zoom": np.array([[0.9], [2.0]])},
    ),
    (
        "RandomShear",
        {"x_factor": 0.1, "interpolation": "nearest"},
        X,
        {"shear_factor": np.array([[0.3, -0.2], [0.0, 0.4]], "float32")},
    ),
    (
        "RandomPerspective",
        {"fill_value": 9.0},
        X,
        {
            "apply_perspective": TRUE,
            "start_points": np.array([[[0, 0], [14, 0], [0, 11], [14, 11]]] * 2, "float32"),
            "end_points": np.array([[[1, 2], [12, -1], [0, 9], [15, 12]]] * 2, "float32"),
        },
    ),
    (
        "MixUp",
        {},
        X,
        {"mix_weight": np.array([0.3, 0.8], "float32"), "permutation_order": np.array([1, 0])},
    ),
    (
        "CutMix",
        {},
        X,
        {
            "batch_masks": RNG.integers(0, 2, (2, 12, 15, 1)) > 0,
            "mix_weight": column(0.3, 0.8),
            "permutation_order": np.array([1, 0]),
        },
    ),
    ("Resizing", {"height": 5, "width": 7}, X, None),
    ("Resizing", {"height": 20, "width": 7, "interpolation": "nearest"}, BYTES, None),
    ("Resizing", {"height": 5, "width": 5, "crop_to_aspect_ratio": True}, X, None),
    (
        "Resizing",
        {"height": 5, "width": 5, "pad_to_aspect_ratio": True, "fill_value": 8.0},
        X,
        None,
    ),
    ("CenterCrop", {"height": 5, "width": 8}, X, None),
    ("CenterCrop", {"height": 20, "width": 8}, X, None),
    ("RandomCrop", {"height": 5, "width": 8}, X, (3, 2), {"corner": np.array([3, 2])}),
]


# Of a batch, Keras equalizes all images by one table; what it draws for one image has other shapes.
BATCHES = [(row, False) for row in PIXELS if row[0] != "Equalization"]
SINGLE = [(row, True) for row in PIXELS if row[3] is None]


@pytest.mark.parametrize(("row", "single"), BATCHES + SINGLE, ids=lambda x: str(x)[:60])
def test_pixels(row, single):
    name, kwargs, images, theirs, *other = row
    ours = other[0] if other else theirs
    images = images[0] if single else images
    ours = {**(ours or {}), "input_shape": images.shape}
    theirs = {**theirs, "input_shape": images.shape} if isinstance(theirs, dict) else theirs
    if theirs is None:
        expected = getattr(real.layers, name)(**kwargs)(images)
    else:
        floats = jnp.asarray(images, "float32") if name == "RandomHue" else jnp.asarray(images)
        theirs = jax.tree.map(lambda x: x if isinstance(x, int) else jnp.asarray(x), theirs)
        expected = getattr(real.layers, name)(**kwargs).transform_images(floats, theirs)
    layer = getattr(layers, name)(**kwargs)
    result = layer.transform_images(images, ours)
    assert (result.shape, result.dtype) == (expected.shape, expected.dtype)
    tolerance = {"rtol": 1e-5, "atol": 1e-3 if np.max(images) > 2 else 1e-5}
    if name == "RandomSaturation":  # Keras goes beyond the possible, below 0
        expected = jnp.where((expected < 0).any(-1, keepdims=True), result, expected)
    if name.startswith("Contrast") and images.dtype == "uint8":  # Keras cuts off
        tolerance["atol"] = 1
    np.testing.assert_allclose(
        result.astype("float32"), np.asarray(expected, "float32"), **tolerance
    )


@pytest.mark.parametrize("factor", [0.05, 0.25, -0.4])
@pytest.mark.parametrize("fill_mode", ["constant", "reflect", "wrap", "nearest"])
def test_rotation(factor, fill_mode):
    kwargs = {"factor": (factor, factor), "fill_mode": fill_mode, "fill_value": 5.0}
    result = layers.RandomRotation(**kwargs)(X)
    expected = real.layers.RandomRotation(**kwargs)(X, training=True)
    # Where a turn hits the edge exactly, rounding decides what is beyond it.
    close = np.isclose(result, expected, atol=0.1)
    assert close.mean() > 0.95


# (layer, arguments, allowed difference of boxes in pixels: Keras turns and zooms them about another
# point than images, half a pixel away)
MOVES = [
    ("RandomFlip", {"mode": "horizontal"}, 0),
    ("RandomFlip", {"mode": "vertical"}, 0),
    ("RandomTranslation", {"height_factor": (0.1, 0.1), "width_factor": (-0.2, -0.2)}, 0),
    ("RandomRotation", {"factor": (0.25, 0.25)}, 1),
    ("RandomRotation", {"factor": (0.07, 0.07)}, 1),
    ("RandomZoom", {"height_factor": (0.2, 0.2), "width_factor": (-0.1, -0.1)}, 1),
]


@pytest.mark.parametrize(("name", "kwargs", "allowed"), MOVES)
def test_boxes(name, kwargs, allowed):
    ours, theirs = (
        getattr(package, name)(**kwargs, bounding_box_format="xyxy")
        for package in (layers, real.layers)
    )
    drawn = ours.get_random_transformation(X)
    transformation = theirs.get_random_transformation(X, training=True, seed=1)
    if name == "RandomFlip":
        transformation["flips"] = jnp.asarray(drawn["flips"].any(1)).reshape(-1, 1, 1, 1)
    result = ours.transform_bounding_boxes(BOXES, drawn)
    expected = theirs.transform_bounding_boxes(jax.tree.map(jnp.asarray, BOXES), transformation)
    np.testing.assert_allclose(result["boxes"], expected["boxes"], atol=allowed + 1e-3)
    np.testing.assert_array_equal(result["labels"], expected["labels"])


def test_helpers_of_moving_layers():
    point, maps = (np.array([5.0]), np.array([7.0])), np.array([[1, 0.1, 2, 0.2, 1, 3, 0.01, 0.02]])
    boxes = jax.tree.map(jnp.asarray, BOXES)
    ends = (jnp.array([float(n)]) for n in (5, 1, 6, 2))
    calls = [
        lambda p: p.RandomShear(0.1).get_transformed_x_y(*point, maps),
        lambda p: p.RandomTranslation(0.1, 0.1).get_transformed_x_y(*point, maps[0]),
        lambda p: p.RandomShear(0.1).get_shifted_bbox(boxes, np.array([1.0]), np.array([2.0])),
        lambda p, ends=tuple(ends): p.RandomZoom(0.1).get_clipped_bbox(boxes, *ends),
        lambda p: p.RandomElasticTransform().get_elastic_transform_params(40, 50, 0.5),
    ]
    for call in calls:
        ours, theirs = jax.tree.leaves(call(layers)), jax.tree.leaves(call(real.layers))
        for a, b in zip(ours, theirs, strict=True):
            assert np.shape(a) == np.shape(b)
            np.testing.assert_allclose(a, b, rtol=1e-6)


def test_a_dict_passes_through_alike():
    data = {"images": BYTES, "bounding_boxes": BOXES, "labels": np.eye(2, 3, dtype="float32")}
    data |= {"segmentation_masks": MASK, "targets": np.array([5, 6])}
    ours, theirs = (
        package.Resizing(6, 5, bounding_box_format="xyxy")(data)
        for package in (layers, real.layers)
    )
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, atol=1e-5)


SOUND = RNG.normal(size=(2, 4000)).astype("float32")
MEL = {"fft_length": 256, "sequence_stride": 64, "num_mel_bins": 20, "sampling_rate": 8000}


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"mag_exp": 1.0, "ref_power": 5.0},
        {"top_db": 10.0, "window": "hamming"},
        {"sequence_length": 100, "min_power": 100.0},
        {"max_freq": 3000.0, "min_freq": 100.0, "window": None},
    ],
    ids=str,
)
def test_mel_spectrogram(kwargs):
    ours, theirs = (p.MelSpectrogram(**MEL, **kwargs) for p in (layers, real.layers))
    # One by one, since in Keras a loud signal hides the others of the batch.
    expected = [theirs(sound) for sound in SOUND]
    np.testing.assert_allclose(ours(SOUND), expected, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(ours(SOUND[0]), expected[0], rtol=1e-4, atol=1e-3)


def test_mel_matrix():
    ours, theirs = (p.MelSpectrogram().linear_to_mel_weight_matrix() for p in (layers, real.layers))
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("mode", ["log", "magnitude", "psd", "real", "imag", "angle", "stft"])
def test_stft_spectrogram(mode):
    sound = SOUND[:, :600].reshape(2, 200, 3)
    ours, theirs = (
        p.STFTSpectrogram(mode, frame_length=32, frame_step=10, fft_length=48)(sound)
        for p in (layers, real.layers)
    )
    if mode == "angle":
        ours, theirs = np.exp(1j * ours), np.exp(1j * np.asarray(theirs))
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)
