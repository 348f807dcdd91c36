"""Boxes, masks and galleries."""

import io
import sys

import numpy as np
import pytest

import hornbeam as keras
from hornbeam import visualization

PIL_Image = pytest.importorskip("PIL.Image")
matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

IMAGES = np.full((2, 20, 30, 3), 100, "uint8")
BOXES = {"boxes": np.array([[[5, 4, 15, 12]], [[0, 0, 3, 3]]]), "labels": np.array([[1], [-1]])}


def outline(left, top, right, bottom):
    frame = np.zeros((20, 30), bool)
    frame[top : bottom + 1, left : right + 1] = True
    frame[top + 1 : bottom, left + 1 : right] = False
    return frame


@pytest.mark.parametrize("kind", ["xyxy", "xywh", "rel_yxyx", "center_xywh"])
def test_boxes_lie_where_they_should(kind):
    boxes = keras.utils.bounding_boxes.convert_format(
        BOXES["boxes"].astype("float32"), "xyxy", kind, 20, 30
    )
    drawn = visualization.draw_bounding_boxes(
        IMAGES, {**BOXES, "boxes": boxes}, kind, color=(9, 8, 7), line_thickness=1
    )
    assert drawn.dtype == "uint8" and (drawn[1] == 100).all()  # the label -1 is padding
    np.testing.assert_array_equal((drawn[0] == (9, 8, 7)).all(-1), outline(5, 4, 15, 12))
    first = visualization.draw_bounding_boxes(
        np.moveaxis(IMAGES, -1, 1),
        {**BOXES, "boxes": boxes},
        kind,
        color=(9, 8, 7),
        line_thickness=1,
        data_format="channels_first",
    )
    np.testing.assert_array_equal(np.moveaxis(first, 1, -1), drawn)
    np.testing.assert_array_equal(IMAGES, 100)


def test_names_and_confidences_are_written():
    large = np.zeros((2, 80, 120, 3), "uint8")
    plain = visualization.draw_bounding_boxes(large, BOXES, "xyxy")
    named = visualization.draw_bounding_boxes(large, BOXES, "xyxy", class_mapping={1: "cat"})
    scored = visualization.draw_bounding_boxes(
        large, {**BOXES, "confidences": np.array([[0.5], [0.1]])}, "xyxy", {1: "cat"}
    )
    counts = [int((drawn[0] != 0).any(-1).sum()) for drawn in (plain, named, scored)]
    assert counts == sorted(set(counts))


MASKS = np.zeros((2, 20, 30), int)
MASKS[0, 1:4, :3] = np.array([[1], [2], [-1]])


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, [[100] * 3, [20, 121, 44], [21, 223, 69], [100] * 3]),  # Keras's colours
        ({"alpha": 0.5}, [[100] * 3, [50, 113, 65], [51, 177, 81], [100] * 3]),
        ({"blend": False}, [[100] * 3, [1, 127, 31], [2, 254, 62], [100] * 3]),
        ({"ignore_index": 2}, [[100] * 3, [20, 121, 44], [100] * 3, [100] * 3]),
        ({"num_classes": 1}, [[100] * 3, [20, 121, 44], [100] * 3, [100] * 3]),
        ({"color_mapping": {2: (0, 0, 0)}}, [[100] * 3, [100] * 3, [20] * 3, [100] * 3]),
    ],
)
def test_masks(options, wanted):
    for masks in (MASKS, MASKS[..., None]):
        drawn = visualization.draw_segmentation_masks(IMAGES, masks, **options)
        assert drawn.dtype == "uint8" and drawn[0, :4, 0].tolist() == wanted
    first = visualization.draw_segmentation_masks(
        np.moveaxis(IMAGES, -1, 1), MASKS[:, None], data_format="channels_first", **options
    )
    np.testing.assert_array_equal(np.moveaxis(first, 1, -1), drawn)


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (
            lambda: visualization.draw_bounding_boxes(IMAGES, [1], "xyxy"),
            TypeError,
            "bounding_boxes should be a dict",
        ),
        (
            lambda: visualization.draw_bounding_boxes(IMAGES, {"boxes": 1}, "xyxy"),
            ValueError,
            "keys 'boxes' and 'labels'",
        ),
        (
            lambda: visualization.draw_bounding_boxes(IMAGES[0], BOXES, "xyxy"),
            ValueError,
            "images should be a batch, of four axes",
        ),
        (
            lambda: visualization.draw_segmentation_masks(IMAGES, MASKS * 1.0),
            TypeError,
            "segmentation_masks should be ints",
        ),
        (
            lambda: visualization.draw_segmentation_masks(IMAGES, MASKS[:, 1:]),
            ValueError,
            "segmentation_masks should be one number for each pixel",
        ),
        (
            lambda: visualization.draw_segmentation_masks(IMAGES, MASKS, alpha=2),
            ValueError,
            "alpha should be from 0 to 1",
        ),
        (
            lambda: visualization.plot_image_gallery(IMAGES, path="x.png", show=True),
            ValueError,
            "received both",
        ),
        (
            lambda: visualization.plot_image_gallery(IMAGES, y_true=[0, 1]),
            ValueError,
            "label_map should be a dict",
        ),
        (
            lambda: visualization.plot_bounding_box_gallery(
                IMAGES, "xyxy", legend=True, legend_handles=[]
            ),
            ValueError,
            "Pass legend or legend_handles",
        ),
    ],
)
def test_mistakes(function, error, message):
    with pytest.raises(error, match=message):
        function()


@pytest.fixture
def figure():
    """The figure that a function leaves open."""
    import matplotlib.pyplot as plt

    yield lambda: plt.gcf()
    plt.close("all")


@pytest.mark.parametrize(
    ("count", "options", "rows", "cols"),
    [
        (6, {}, 3, 2),
        (5, {}, 3, 2),
        (1, {}, 1, 1),
        (6, {"rows": 2}, 2, 3),
        (7, {"cols": 4}, 2, 4),
        (6, {"rows": 2, "cols": 2, "scale": 5}, 2, 2),
    ],
)
def test_galleries(figure, count, options, rows, cols):
    images = np.random.default_rng(0).uniform(0, 1, (count, 4, 5, 3))
    visualization.plot_image_gallery(images, value_range=(0, 1), show=False, **options)
    scale = options.get("scale", 2)
    assert figure().get_size_inches().tolist() == [cols * scale, rows * scale]
    shown = [axis.images[0].get_array() for axis in figure().axes if axis.images]
    assert len(figure().axes) == rows * cols and len(shown) == min(count, rows * cols)
    np.testing.assert_array_equal(shown[0], (images[0].astype("float32") * 255).astype("uint8"))


def test_titles_and_legends(figure):
    names = {0: "cat", 1: "dog"}
    visualization.plot_image_gallery(
        IMAGES[..., :1], y_true=[0, 1], y_pred=[1, 1], label_map=names, show=False
    )
    assert [axis.get_title() for axis in figure().axes] == [
        "Label: cat  Pred: dog",
        "Label: dog  Pred: dog",
    ]
    visualization.plot_bounding_box_gallery(
        IMAGES, "xyxy", BOXES, BOXES, legend=True, show=False, cols=1
    )
    assert [text.get_text() for text in figure().legends[0].get_texts()] == [
        "Ground Truth",
        "Prediction",
    ]
    visualization.plot_segmentation_mask_gallery(IMAGES, 2, y_true=MASKS, y_pred=MASKS, show=False)
    shown = [axis.images[0].get_array() for axis in figure().axes]
    assert len(shown) == 6 and figure().get_size_inches().tolist() == [6, 4]
    assert (shown[0] == 100).all() and (shown[1] == shown[2]).all() and (shown[1] != 100).any()


def test_files_and_windows(monkeypatch):
    import matplotlib.pyplot as plt

    file, calls = io.BytesIO(), []
    visualization.plot_image_gallery(IMAGES, path=file)
    assert PIL_Image.open(file).size == (120, 240)
    monkeypatch.setattr(plt, "show", lambda: calls.append(plt.gcf()))
    visualization.plot_image_gallery(IMAGES)
    assert len(calls) == 1 and not plt.get_fignums()
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r'needs matplotlib.*"hornbeam\[plot\]"'):
        visualization.plot_image_gallery(IMAGES)
