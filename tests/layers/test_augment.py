"""Laws of image layers, beside those of tests/contracts: what is drawn, and what moves together."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hornbeam as keras
from hornbeam import layers
from hornbeam.layers._image import ImageLayer, RandomImageLayer

FIRST = "channels_first"

# Arguments of every layer; those of a random one change images in any case.
ARGUMENTS = {
    "AugMix": {"all_ops": False, "num_chains": 2, "chain_depth": 2},
    "AutoContrast": {},
    "CenterCrop": {"height": 5, "width": 6},
    "ContrastLimitedAdaptiveHistogramEqualization": {"tile_grid_size": (2, 2)},
    "CutMix": {"factor": (1.0, 1.0)},
    "Equalization": {},
    "MaxNumBoundingBoxes": {"max_number": 3},
    "MixUp": {"alpha": 1.0},
    "RandAugment": {},
    "RandomBrightness": {"factor": (0.1, 0.3)},
    "RandomColorDegeneration": {"factor": (0.3, 0.9)},
    "RandomColorJitter": {"brightness_factor": (0.1, 0.3), "hue_factor": (0.1, 0.3)},
    "RandomContrast": {"factor": 0.5},
    "RandomCrop": {"height": 5, "width": 6},
    "RandomElasticTransform": {"factor": (1.0, 1.0), "scale": (1.0, 1.0)},
    "RandomErasing": {"factor": (1.0, 1.0), "scale": (0.3, 0.4)},
    "RandomFlip": {},
    "RandomGaussianBlur": {"factor": (1.0, 1.0), "sigma": (0.5, 2.0)},
    "RandomGrayscale": {"factor": 1.0},
    "RandomHue": {"factor": (0.2, 0.3)},
    "RandomInvert": {"factor": (1.0, 1.0)},
    "RandomPerspective": {"factor": (1.0, 1.0)},
    "RandomPosterization": {"factor": (1, 3)},
    "RandomRotation": {"factor": (0.1, 0.2)},
    "RandomSaturation": {"factor": (0.1, 0.3)},
    "RandomSharpness": {"factor": (0.0, 0.2)},
    "RandomShear": {"x_factor": (0.1, 0.3), "y_factor": (0.1, 0.3)},
    "RandomTranslation": {"height_factor": (0.1, 0.3), "width_factor": (0.1, 0.3)},
    "RandomZoom": {"height_factor": (0.1, 0.3)},
    "Resizing": {"height": 5, "width": 6},
    "Solarization": {"threshold_factor": (0.3, 0.5)},
}
RANDOM = [name for name in ARGUMENTS if issubclass(getattr(layers, name), RandomImageLayer)]
# What the base does for all is tried with one of each kind.
SOME = ["ContrastLimitedAdaptiveHistogramEqualization", "RandomBrightness", "RandomContrast"]
SOME += ["RandomCrop", "RandomElasticTransform", "RandomErasing", "RandomFlip", "RandomGrayscale"]
SOME += ["RandomPerspective", "Resizing"]
SHAPE = (4, 8, 9, 3)


def make(name, **more):
    seed = {"seed": 7} if name in RANDOM else {}
    kind = getattr(layers, name)
    return kind(**{**ARGUMENTS[name], **seed, "bounding_box_format": "xyxy", **more})


def images(seed=0, dtype="uint8", shape=SHAPE):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(dtype)


def everything(seed=0):
    """Images and all that may come with them."""
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 5, (4, 2, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(1, 3, (4, 2, 2))], -1)
    return {
        "images": images(seed),
        "labels": np.eye(4, 5, dtype="float32"),
        "bounding_boxes": {
            "boxes": boxes.astype("float32"),
            "labels": rng.integers(0, 9, (4, 2)).astype("int32"),
        },
        "segmentation_masks": rng.integers(0, 4, (*SHAPE[:3], 1)).astype("uint8"),
        "weights": np.ones(4, "float32"),
    }


def assert_same(a, b, **tolerance):
    tolerance = tolerance or {"rtol": 1e-5, "atol": 2e-3}
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert (x.shape, x.dtype) == (y.shape, y.dtype)
        np.testing.assert_allclose(np.asarray(x, "float32"), np.asarray(y, "float32"), **tolerance)


def test_every_layer_is_here():
    kinds = {n for n, x in vars(layers).items() if inspect.isclass(x) and issubclass(x, ImageLayer)}
    assert kinds == ARGUMENTS.keys()


@pytest.mark.parametrize("name", ARGUMENTS)
def test_all_parts(name):
    """Shapes and dtypes of all parts; the same compiled, for equal seeds, and symbolically."""
    data = everything()
    layer = make(name)
    result = layer(data, training=True)
    assert_same(make(name)(data, training=True), result, rtol=0, atol=0)

    @jax.jit
    def step(state, data):
        return layer.stateless_call([], state, data, training=True)

    again = make(name)
    state = [v.value for v in again.non_trainable_variables]
    compiled, after = step(state, jax.tree.map(jnp.asarray, data))
    assert_same(compiled, result)
    assert_same(after, [v.value for v in layer.non_trainable_variables])

    count = 4 if name in ("CutMix", "MixUp") else 3 if name == "MaxNumBoundingBoxes" else 2
    size = (5, 6) if {"height", "width"} <= ARGUMENTS[name].keys() else SHAPE[1:3]
    keeps = layer.keeps_integers
    assert result["images"].shape == (4, *size, 3)
    assert result["images"].dtype == ("uint8" if keeps else "float32")
    assert result["segmentation_masks"].shape == (4, *size, 1)
    assert result["segmentation_masks"].dtype == "uint8"
    assert result["bounding_boxes"]["boxes"].shape == (4, count, 4)
    assert result["bounding_boxes"]["boxes"].dtype == "float32"
    assert result["bounding_boxes"]["labels"].shape == (4, count)
    assert result["bounding_boxes"]["labels"].dtype == "int32"
    np.testing.assert_allclose(result["labels"].sum(1), 1, rtol=1e-6)
    assert_same(result["weights"], data["weights"])


@pytest.mark.parametrize("name", ARGUMENTS)
def test_inference(name):
    """Random layers leave everything as it is, and others do what they always do."""
    data = everything()
    layer = make(name)
    result = layer(data, training=False)
    if layer.trains_only:
        dtype = "uint8" if layer.keeps_integers else "float32"
        assert_same(result, {**data, "images": data["images"].astype(dtype)})
    elif name not in RANDOM:
        assert_same(result, layer(data, training=True))
    for generator in layer._state(keras.random.SeedGenerator):
        assert generator.state.numpy()[1] == 0  # nothing was drawn


@pytest.mark.parametrize("name", SOME)
def test_one_image_is_a_batch_of_one(name):
    data = jax.tree.map(lambda x: x[:1], everything())
    one = make(name)(jax.tree.map(lambda x: x[0], data), training=True)
    batch = make(name)(data, training=True)
    assert_same(one, jax.tree.map(lambda x: x[0], batch))


@pytest.mark.parametrize("name", SOME)
def test_channels_first(name):
    if "data_format" not in inspect.signature(getattr(layers, name).__init__).parameters:
        return
    x = images()
    result = make(name, data_format=FIRST)(np.moveaxis(x, -1, 1), training=True)
    expected = make(name)(x, training=True)
    assert_same(jnp.moveaxis(result, 1, -1), expected)


@pytest.mark.parametrize("name", [n for n in RANDOM if n not in ("AugMix", "RandAugment")])
def test_seeds(name):
    """Draws go on from call to call; an int is a draw of its own."""

    def draw(seed=None):
        drawn = layer.get_random_transformation(x, seed=seed)
        return jax.tree.leaves({k: v for k, v in drawn.items() if k != "input_shape"})

    layer, x = make(name), images()
    assert not np.array_equal(layer(x, training=True), x)
    if name not in ("RandomCrop", "RandomGrayscale", "RandomInvert"):  # few possibilities
        assert any(not np.array_equal(a, b) for a, b in zip(draw(), draw(), strict=True))
    assert_same(draw(3), draw(3))


def test_one_compile_per_shape(compiles):
    layer, other = layers.RandomRotation(0.1), layers.RandomRotation(0.1)
    x = images(dtype="float32", shape=(3, 7, 11, 1))
    layer(x)
    with compiles() as n:
        layer(x + 1)
        other(x)
    assert n.total == 0, n.names
    layer.fill_mode = "constant"
    with compiles() as n:
        layer(x)
    assert n.of("_compiled") == 1


def test_on_the_host():
    """`keras.device` says where a layer runs; the numbers that are drawn are the same."""
    x = images()
    there = layers.RandomRotation(0.1, seed=1)(x)
    with keras.device("cpu:0"):
        here = layers.RandomRotation(0.1, seed=1)(x)
    assert here.devices() == set(jax.devices("cpu")[:1])
    np.testing.assert_allclose(here, there, atol=1e-2)


def test_in_a_model():
    """In the compiled step the layer draws anew for every batch; at inference it does nothing."""
    model = keras.Sequential([keras.Input((8, 8, 1)), layers.RandomBrightness((0.5, 0.5), (0, 1))])
    model.add(layers.Flatten())
    model.add(layers.Dense(1, use_bias=False, kernel_initializer="ones"))
    model.compile("sgd", "mse", metrics=["mae"])
    x = np.zeros((8, 8, 8, 1), "float32")
    y = np.full((8, 1), 32.0)  # 64 pixels of 0.5
    history = model.fit(x, y, batch_size=4, verbose=0)
    assert history.history["mae"] == [0.0]
    assert model.predict(x, verbose=0).max() == 0


def test_no_new_numbers_in_masks():
    data = everything()
    masks = data["segmentation_masks"] * 50
    for name in ("RandomRotation", "RandomZoom", "RandomPerspective", "Resizing", "RandAugment"):
        result = make(name)({**data, "segmentation_masks": masks})["segmentation_masks"]
        assert set(np.unique(result)) <= {0, 50, 100, 150}


def test_masks_without_channels_and_of_booleans():
    data = {"images": images(), "segmentation_masks": images()[..., 0] > 100}
    with_channels = {**data, "segmentation_masks": data["segmentation_masks"][..., None]}
    for extra in ({}, {"data_format": FIRST}):
        flat, full = data, with_channels
        if extra:
            flat = {**data, "images": np.moveaxis(data["images"], -1, 1)}
            full = jax.tree.map(lambda x: np.moveaxis(x, -1, 1), with_channels)
        results = [make("RandomRotation", **extra)(d)["segmentation_masks"] for d in (flat, full)]
        assert results[0].dtype == bool
        np.testing.assert_array_equal(results[0], results[1].squeeze(1 if extra else -1))


MOVING = ["RandomFlip", "RandomRotation", "RandomZoom", "RandomTranslation", "RandomShear"]
MOVING += ["RandomPerspective", "RandomElasticTransform", "Resizing", "CenterCrop", "RandomCrop"]
MOVING += ["RandAugment"]
SIZES = {"Resizing": (60, 25), "CenterCrop": (30, 20), "RandomCrop": (30, 20)}


@pytest.mark.parametrize(
    ("name", "box_format"),
    [(name, "xyxy") for name in MOVING]
    + [(name, "rel_center_xywh") for name in ("RandomRotation", "Resizing", "CenterCrop")],
)
def test_boxes_and_masks_go_where_pixels_go(name, box_format):
    """A rectangle drawn into image and mask is found again in the box."""
    height, width = 40, 50
    arguments = {"fill_mode": "constant"} if "fill_mode" in ARGUMENTS[name] else {}
    if name in SIZES:
        arguments = dict(zip(("height", "width"), SIZES[name], strict=True))
    if name in MOVING[1:5] or name == "RandomElasticTransform":
        arguments = {"fill_mode": "constant"}
    layer = make(name, **arguments, bounding_box_format=box_format)
    corners = np.array([[12, 9, 30, 25], [20, 15, 28, 22], [14, 18, 33, 30], [22, 12, 34, 20]])
    x = np.zeros((4, height, width, 1), "float32")
    for image, (left, top, right, bottom) in zip(x, corners, strict=True):
        image[top:bottom, left:right] = 255
    convert = keras.utils.bounding_boxes.convert_format
    boxes = convert(corners[:, None], "xyxy", box_format, height, width)
    data = {"images": x, "segmentation_masks": (x > 0).astype("int32")}
    data["bounding_boxes"] = {"boxes": boxes, "labels": np.ones((4, 1), int)}
    if name == "RandAugment":
        layer._choices = {n: layer._choices[n] for n in list(layer._choices)[:3]}  # the moving ones
        for moving in layer._choices.values():
            moving.fill_mode = "constant"
    result = layer(data)
    size = result["images"].shape[1:3]
    moved = convert(result["bounding_boxes"]["boxes"], box_format, "xyxy", *size)[:, 0]
    for pixels, mask, box in zip(
        result["images"][..., 0], result["segmentation_masks"][..., 0], moved, strict=True
    ):
        for seen in (pixels > 127, mask > 0):
            rows, columns = np.nonzero(np.asarray(seen))
            if not len(rows):
                continue
            found = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
            # The box around turned corners may be larger than what is seen, never smaller.
            slack = 1.2 if name in ("RandomFlip", "Resizing", "CenterCrop", "RandomCrop") else 8
            assert (np.array(found[:2]) - box[:2] > -1.2).all()
            assert (np.array(found[:2]) - box[:2] < slack).all()
            assert (box[2:] - np.array(found[2:]) > -1.2).all()
            assert (box[2:] - np.array(found[2:]) < slack).all()


def test_boxes_that_leave():
    layer = layers.RandomTranslation(0.0, (0.5, 0.5), bounding_box_format="xyxy")
    boxes = {"boxes": np.array([[[6.0, 0, 8, 4], [1, 0, 5, 4]]]), "labels": np.array([[3, 4]])}
    result = layer({"images": np.zeros((1, 8, 8, 1)), "bounding_boxes": boxes})["bounding_boxes"]
    assert result["labels"].tolist() == [[-1, 4]]
    assert result["boxes"][0, 1].tolist() == [5, 0, 8, 4]


def test_parts_by_hand():
    """Each method on its own; layers that draw nothing do without a transformation."""
    data, layer = everything(), make("Resizing")
    whole = layer(data)
    assert_same(layer.transform_images(data["images"]), whole["images"])
    assert_same(layer.transform_labels(data["labels"]), data["labels"])
    masks = layer.transform_segmentation_masks(data["segmentation_masks"])
    assert_same(masks, whole["segmentation_masks"])
    flip = make("RandomFlip", mode="horizontal")
    drawn = flip.get_random_transformation(data["images"][0], seed=1)
    one = flip.transform_single_image(data["images"][0], drawn)
    assert_same(one, flip.transform_images(data["images"][:1], drawn)[0])


def test_half_precision_keeps_boxes():
    layer = layers.RandomFlip("horizontal", dtype="mixed_bfloat16", bounding_box_format="xyxy")
    boxes = {"boxes": np.array([[[257.0, 3, 301, 5]]], "float32"), "labels": np.array([[1]])}
    result = layer({"images": np.zeros((1, 8, 601, 1)), "bounding_boxes": boxes})
    assert result["images"].dtype == jnp.bfloat16
    assert result["bounding_boxes"]["boxes"][0, 0, 0] in (257, 300)


# What is drawn ---------------------------------------------------------------------------------

SHARE = (0.2, 0.6)

# layer, arguments, name of what is drawn, its lowest and highest value
DRAWN = [
    ("RandomBrightness", {"factor": 0.3}, "rgb_delta", -76.5, 76.5),
    ("RandomBrightness", {"factor": SHARE, "value_range": (-1, 1)}, "rgb_delta", 0.4, 1.2),
    ("RandomColorDegeneration", {"factor": 0.3}, "factor", 0, 0.3),
    ("RandomContrast", {"factor": 0.3}, "contrast_factor", 0.7, 1.3),
    ("RandomContrast", {"factor": (0.6, 0.1)}, "contrast_factor", 0.4, 1.1),
    ("RandomGaussianBlur", {"sigma": SHARE}, "blur_factor", 0.2, 0.6),
    ("RandomHue", {"factor": 0.3}, "factor", -0.15, 0.15),
    ("RandomPosterization", {"factor": (2, 5)}, "shift_factor", 3, 6),
    ("RandomPosterization", {"factor": 3}, "shift_factor", 5, 7),
    ("RandomRotation", {"factor": 0.25}, "angle", -90, 90),
    ("RandomRotation", {"factor": SHARE}, "angle", 72, 216),
    ("RandomSaturation", {"factor": SHARE}, "factor", 0.25, 1.5),
    ("RandomSharpness", {"factor": SHARE}, "factor", 0.2, 0.6),
    ("RandomShear", {"x_factor": SHARE, "y_factor": SHARE}, "shear_factor", 0.2, 0.6),
    ("RandomTranslation", {"height_factor": 0.2, "width_factor": 0.2}, "translations", -1, 1),
    ("RandomZoom", {"height_factor": SHARE}, "height_zoom", 1.2, 1.6),
    ("RandomZoom", {"height_factor": 0.0, "width_factor": -0.5}, "width_zoom", 0.5, 1.5),
    ("Solarization", {"addition_factor": SHARE}, "additions", 51, 153),
    ("Solarization", {"threshold_factor": 0.5}, "thresholds", 0, 127.5),
    ("MixUp", {}, "mix_weight", 0, 1),
    ("RandomPerspective", {"scale": 0.8}, "end_points", -1, 5),
]


@pytest.mark.parametrize(("name", "kwargs", "drawn", "low", "high"), DRAWN)
def test_draws_fill_their_bounds(name, kwargs, drawn, low, high):
    layer = getattr(layers, name)(**kwargs, seed=1)
    values = layer.get_random_transformation(np.zeros((300, 5, 5, 3)))[drawn]
    spread = high - low
    assert values.min() >= low - 1e-4
    assert values.max() <= high + 1e-4
    assert values.min() < low + 0.05 * spread
    assert values.max() > high - 0.05 * spread


# layer, arguments, name of the decisions, their share
CHANCES = [
    ("RandomFlip", {}, "flips", 0.5),
    ("RandomFlip", {"mode": "vertical"}, "flips", 0.25),
    ("RandomErasing", {"factor": (0.3, 0.3)}, "apply_erasing", 0.3),
    ("RandomGaussianBlur", {"factor": (0.0, 1.0)}, "should_apply_blur", 0.5),
    ("RandomGrayscale", {"factor": 0.2}, "apply_grayscale", 0.2),
    ("RandomInvert", {"factor": 0.4}, "apply_inversion", 0.2),
    ("RandomPerspective", {"factor": (1.0, 1.0)}, "apply_perspective", 1),
]


@pytest.mark.parametrize(("name", "kwargs", "drawn", "share"), CHANCES)
def test_chances(name, kwargs, drawn, share):
    layer = getattr(layers, name)(**kwargs, seed=1)
    values = layer.get_random_transformation(np.zeros((2000, 2, 2, 3)))[drawn]
    assert abs(float(values.mean()) - share) < 0.04


def test_flips_are_independent():
    values = layers.RandomFlip(seed=1).get_random_transformation(np.zeros((2000, 2, 2, 1)))["flips"]
    both = float((values[:, 0] & values[:, 1]).mean())
    assert abs(both - 0.25) < 0.04


def test_erased_areas():
    """A rectangle lies within the image, at any place; its sides are roots of shares."""
    layer = layers.RandomErasing((1.0, 1.0), (0.04, 0.25), fill_value=0.0, seed=1)
    erased = np.asarray(layer(np.ones((300, 20, 40, 1)))[..., 0] == 0)
    rows, columns = erased.any(2), erased.any(1)
    for sides, n in ((rows, 20), (columns, 40)):
        counts = sides.sum(1)
        assert counts.min() == 0.2 * n
        assert counts.max() == 0.5 * n
        assert sides.any(0).all()
    np.testing.assert_array_equal(erased.sum((1, 2)), rows.sum(1) * columns.sum(1))


def test_cut_rectangles_and_weights_agree():
    layer = layers.CutMix((1.0, 1.0), seed=1)
    drawn = layer.get_random_transformation(np.zeros((50, 20, 40, 1)))
    share = drawn["batch_masks"].mean((1, 2, 3))
    np.testing.assert_allclose(drawn["mix_weight"], 1 - share, atol=1e-5)
    assert sorted(drawn["permutation_order"].tolist()) == list(range(50))


def test_boxes_of_mixed_images():
    x = np.zeros((2, 8, 8, 1))
    boxes = {
        "boxes": np.array([[[1.0, 1, 3, 3]], [[2, 2, 7, 7]]]),
        "labels": np.array([[5], [6]]),
    }
    drawn = {"permutation_order": np.array([1, 0]), "input_shape": x.shape}
    mixed = layers.MixUp(bounding_box_format="xyxy").transform_bounding_boxes(boxes, drawn)
    assert mixed["labels"].tolist() == [[5, 6], [6, 5]]
    drawn["rectangles"] = np.array([[0, 0, 4, 4], [7, 7, 8, 8]], "float32")
    cut = layers.CutMix(bounding_box_format="xyxy").transform_bounding_boxes(boxes, drawn)
    assert cut["labels"].tolist() == [[-1, 6], [6, -1]]
    assert cut["boxes"][0, 1].tolist() == [2, 2, 4, 4]


def test_masks_of_mixed_images():
    drawn = {"mix_weight": np.array([0.7, 0.4]), "permutation_order": np.array([1, 0])}
    drawn["input_shape"] = (2, 1, 1, 3)
    masks = np.array([1, 2]).reshape(2, 1, 1, 1)
    layer = layers.MixUp()
    assert layer.transform_segmentation_masks(masks, drawn).ravel().tolist() == [1, 1]
    mixed = layer.transform_segmentation_masks(masks.astype("float32"), drawn)
    np.testing.assert_allclose(mixed.ravel(), [1.3, 1.4], rtol=1e-6)


def test_lengths_of_chains():
    layer = layers.AugMix(chain_depth=3, all_ops=False, seed=1)
    draw = jax.jit(lambda key: layer._draw(key, 4, SHAPE[1:3])["layer_idxes"])
    lengths = [(draw(np.array([1, i], "uint32")) >= 0).sum(-1) for i in range(20)]
    assert set(np.ravel(lengths)) == {1, 2, 3}


def test_values_stay_in_range():
    """Also where formulas lead beyond it; bytes don't wrap around."""
    x = images()
    for name in ("RandomBrightness", "RandomContrast", "RandomSaturation", "RandomSharpness"):
        values = make(name)(x, training=True)
        assert 0 <= float(values.min()) <= float(values.max()) <= 255
    bright = layers.RandomBrightness((0.5, 0.5))(x)
    assert (np.asarray(bright) >= x).all()
    strong = layers.RandomSaturation((1.0, 1.0))(np.array([[[100.0, 150.0, 200.0]]]))
    np.testing.assert_allclose(strong[0, 0], [0, 100, 200], atol=1e-3)


def test_layers_see_images_one_by_one():
    """What is in one image of a batch doesn't change another."""
    x = images(shape=(2, 8, 9, 3))
    for layer in (
        layers.Equalization(),
        layers.AutoContrast(),
        layers.ContrastLimitedAdaptiveHistogramEqualization(tile_grid_size=(2, 2)),
    ):
        np.testing.assert_allclose(layer(x)[1], layer(x[1]), atol=1e-3)


def test_crops_at_inference_have_the_inferred_shape():
    layer = layers.RandomCrop(4, 4)
    assert layer.compute_output_shape((None, 8, 9, 3)) == (None, 4, 4, 3)
    assert layer(images(), training=False).shape == (4, 4, 4, 3)


def test_posterization_keeps_what_it_made():
    """Also where bytes are shares of 1, which floats don't hold exactly."""
    layer = layers.RandomPosterization((3, 3), value_range=(0, 1))
    once = layer(np.arange(256).reshape(1, 16, 16, 1) / 255)
    assert len(np.unique(once)) == 8
    np.testing.assert_allclose(layer(once), once, atol=1e-6)


# Errors ----------------------------------------------------------------------------------------

BAD = [
    (lambda: layers.RandomRotation(1.5), "RandomRotation's factor should be a number from -1 to 1"),
    (lambda: layers.RandomZoom((0.1, 0.2, 0.3)), "RandomZoom's height_factor"),
    (lambda: layers.RandomHue((-0.3, 0.1)), "from 0.0 to 1.0, or two of them"),
    (lambda: layers.RandomShear(-0.2), "RandomShear's x_factor"),
    (lambda: layers.RandomHue("a"), "RandomHue's factor"),
    (lambda: layers.RandomBrightness(True), "RandomBrightness's factor"),
    (lambda: layers.RandomPosterization(9), "a number of bits from 1 to 8"),
    (lambda: layers.RandomPosterization(0.5), "RandomPosterization's factor"),
    (lambda: layers.RandomGrayscale(2), "a number from 0 to 1"),
    (lambda: layers.RandomPerspective(scale=2.0), "RandomPerspective's scale"),
    (lambda: layers.RandomGaussianBlur(kernel_size=4), "an odd int"),
    (lambda: layers.RandomFlip("diagonal"), "mode should be one of 'horizontal'"),
    (lambda: layers.RandomRotation(0.1, fill_mode="mirror"), "fill_mode should be one of"),
    (lambda: layers.RandomRotation(0.1, interpolation="cubic"), "interpolation should be one of"),
    (lambda: layers.RandomHue(0.1, value_range=(1, 0)), r"two numbers \(low, high\)"),
    (lambda: layers.Resizing(0, 4), "Resizing's height should be a positive int"),
    (lambda: layers.Resizing(4, 4, "cubic"), "Resizing's interpolation"),
    (lambda: layers.Resizing(4, 4, "nearest", True, True), "Only one of"),
    (lambda: layers.CenterCrop(4, 2.5), "CenterCrop's width"),
    (lambda: layers.MaxNumBoundingBoxes(0), "max_number should be a positive int"),
    (lambda: layers.MixUp(0), "MixUp's alpha should be a positive number"),
    (lambda: layers.RandAugment(num_ops=0), "RandAugment's num_ops"),
    (lambda: layers.AugMix(num_chains=0), "AugMix's num_chains"),
    (lambda: layers.RandomFlip(bounding_box_format="xyhw"), "RandomFlip's bounding_box_format"),
    (
        lambda: layers.RandomFlip()(np.zeros((8, 8))),
        r"one of 3 axes, or a batch of them \(4 axes\)",
    ),
    (lambda: layers.RandomFlip()({"labels": np.zeros(3)}), "a dict with 'images'"),
    (
        lambda: layers.RandomFlip()({**everything(), "images": images()}),
        "bounding_box_format='xyxy'",
    ),
    (
        lambda: make("RandomFlip")({"images": images(), "bounding_boxes": np.zeros((4, 2, 4))}),
        "the keys 'boxes' and 'labels'",
    ),
    (
        lambda: layers.MixUp()({"images": images(), "labels": np.arange(4)}),
        "Numbers of classes can't be mixed",
    ),
    (lambda: layers.RandomHue(0.1)(images(shape=(2, 8, 8, 2))), "with 3 channels"),
    (lambda: layers.STFTSpectrogram("phase"), "mode should be one of 'log'"),
    (lambda: layers.STFTSpectrogram(frame_step=300), "from 1 to frame_length, 256"),
    (lambda: layers.STFTSpectrogram(fft_length=100), "at least frame_length, 256"),
    (lambda: layers.STFTSpectrogram(window=np.ones(3)), r"of shape \(256,\)"),
    (lambda: layers.MelSpectrogram(sequence_length=5000), "at most fft_length, 2048"),
    (lambda: layers.MelSpectrogram(min_freq=9000.0), "below max_freq, 8000"),
    (lambda: layers.MelSpectrogram()(np.zeros((1, 2, 3))), r"of shape \(\[batch,\] time\)"),
]


@pytest.mark.parametrize(("call", "message"), BAD, ids=[message for _, message in BAD])
def test_errors(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()
