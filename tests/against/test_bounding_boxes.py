"""`keras.utils.bounding_boxes` against the real Keras, and what it does differently."""

import jax
import jax.numpy as jnp
import keras as real
import numpy as np
import pytest

import hornbeam
from hornbeam.utils import bounding_boxes

FORMATS = ["xyxy", "yxyx", "xywh", "center_xywh", "center_yxhw"]
FORMATS += [f"rel_{name}" for name in FORMATS[:4]]

BOXES = np.array([[[1, 2, 5, 6], [0, 0, 8, 4]], [[-3, -2, 4, 20], [20, 20, 30, 30]]], "float32")
LABELLED = {"boxes": BOXES, "labels": np.array([[1, 2], [3, 4]])}
ANCHORS = np.array([[0, 0, 4, 4], [2, 2, 8, 7]], "float32")
DELTAS = np.array([[0.1, 0.2, 0.3, 0.4], [-0.1, 0, 0.5, -0.3]], "float32")
PADDED = np.array([[0, 0, 4, 4], [-1, -1, -1, -1]], "float32")
VARIANCE = [0.1, 0.1, 0.2, 0.2]
SIZE = {"height": 8, "width": 10}
ANGLE = np.array([30, 90], "float32")
MOVE, ZERO, ONE = np.array([[0.1, 0.0], [0, 0], [1, 1]], "float32")
HALF = ONE / 2

# name: function of the module of boxes
CASES = {
    "clip": lambda b: b.clip_to_image_size(LABELLED, **SIZE),
    "clip relative": lambda b: b.clip_to_image_size(
        {"boxes": BOXES / 6, "labels": LABELLED["labels"]}, bounding_box_format="rel_xyxy"
    ),
    "clip one": lambda b: b.clip_to_image_size(
        {"boxes": BOXES[0], "labels": np.array([1.0, 2.0], "float32"), "scores": ONE}, **SIZE
    ),
    "crop": lambda b: b.crop(BOXES, 1, 2, 4, 5),
    "pad": lambda b: b.pad(BOXES, 1, 2),
    "turn": lambda b: b.affine_transform(BOXES, ANGLE, ZERO, ZERO, ONE, ZERO, ZERO, **SIZE),
    "move and stretch": lambda b: b.affine_transform(
        BOXES, ANGLE, MOVE, MOVE[::-1], 1 + MOVE, ZERO, ZERO, **SIZE
    ),
    "shear x": lambda b: b.affine_transform(BOXES, ZERO, ZERO, ZERO, ONE, ANGLE / 5, ZERO, **SIZE),
    "turn and shear y": lambda b: b.affine_transform(
        BOXES, ANGLE, MOVE, ZERO, HALF, ZERO, ANGLE / 5, **SIZE, center_x=0.3, center_y=0.2
    ),
    "encode": lambda b: b.encode_box_to_deltas(ANCHORS, BOXES, "xyxy", "xyxy"),
    "encode xy": lambda b: b.encode_box_to_deltas(
        ANCHORS, BOXES[0], "xyxy", "xywh", "center_xywh", VARIANCE
    ),
    "encode relative": lambda b: b.encode_box_to_deltas(
        ANCHORS, BOXES / 10, "xyxy", "rel_xyxy", image_shape=(8, 10, 3)
    ),
    "encode empty": lambda b: b.encode_box_to_deltas(ANCHORS, 0 * ANCHORS, "xyxy", "xyxy"),
    "decode": lambda b: b.decode_deltas_to_boxes(ANCHORS, DELTAS, "xyxy", "xyxy"),
    "decode xy": lambda b: b.decode_deltas_to_boxes(
        ANCHORS, DELTAS[None], "xywh", "yxyx", "center_xywh", VARIANCE
    ),
    "decode levels": lambda b: b.decode_deltas_to_boxes(
        {"p3": ANCHORS}, {"p3": DELTAS}, "xyxy", "rel_xyxy", image_shape=(8, 10, 3)
    ),
    "iou": lambda b: b.compute_iou(ANCHORS, BOXES[0], "xyxy"),
    "iou batch": lambda b: b.compute_iou(BOXES[:1], BOXES[:1] + 1, "xywh"),
    "iou one and batch": lambda b: b.compute_iou(ANCHORS, BOXES, "xyxy"),
    "iou relative": lambda b: b.compute_iou(
        ANCHORS / 10, BOXES[0] / 10, "rel_xyxy", image_shape=(8, 10, 3)
    ),
    "iou padding": lambda b: b.compute_iou(BOXES[0], PADDED, "xyxy", use_masking=True, mask_val=-7),
    "iou of nothing": lambda b: b.compute_iou(PADDED, PADDED, "xyxy"),
    "ciou": lambda b: b.compute_ciou(ANCHORS, BOXES[0], "xyxy"),
    "ciou batch": lambda b: b.compute_ciou(BOXES, BOXES + 1, "xywh"),
    "ciou of nothing": lambda b: b.compute_ciou(0 * ANCHORS, 0 * ANCHORS, "xyxy"),
}


def assert_same(ours, theirs):
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_values(case):
    assert_same(case(bounding_boxes), case(real.utils.bounding_boxes))


@pytest.mark.parametrize("source", FORMATS)
def test_formats(source):
    for target in FORMATS:
        ours, theirs = (
            b.convert_format(BOXES, source, target, **SIZE)
            for b in (bounding_boxes, real.utils.bounding_boxes)
        )
        assert_same(ours, theirs)
        back = bounding_boxes.convert_format(ours, target, source, **SIZE)
        np.testing.assert_allclose(back, BOXES, rtol=1e-5, atol=1e-5)


def test_formats_of_dicts():
    ours = bounding_boxes.convert_format(LABELLED, "xyxy", "XYWH", dtype="float16")
    assert ours["boxes"].dtype == "float16"
    assert ours["labels"] is LABELLED["labels"]


def test_compiled_and_symbolic():
    turned = CASES["turn"](bounding_boxes)
    np.testing.assert_allclose(jax.jit(lambda: CASES["turn"](bounding_boxes))(), turned, rtol=1e-5)
    boxes = hornbeam.Input((None, 4))
    assert bounding_boxes.convert_format(boxes, "xyxy", "xywh").shape == (None, None, 4)
    assert bounding_boxes.compute_iou(boxes, ANCHORS, "xyxy").shape == (None, None, 2)


# What Keras can't do, or does wrong


@pytest.mark.parametrize("name", FORMATS)
def test_clips_any_format(name):
    boxes = bounding_boxes.convert_format(BOXES, "xyxy", name, **SIZE)
    ours = bounding_boxes.clip_to_image_size(
        {**LABELLED, "boxes": boxes}, **SIZE, bounding_box_format=name
    )
    back = bounding_boxes.convert_format(ours["boxes"], name, "xyxy", **SIZE)
    np.testing.assert_allclose(back, np.clip(BOXES, 0, [10, 8, 10, 8]), atol=1e-5)
    assert ours["labels"].tolist() == [[1, 2], [3, -1]]


def test_labels_of_several_numbers():
    boxes = {"boxes": BOXES[1], "labels": np.eye(2)}
    labels = bounding_boxes.clip_to_image_size(boxes, **SIZE)["labels"]
    assert labels.tolist() == [[1, 0], [-1, -1]]


def test_shear_keeps_areas():
    """Of a box that is turned by 90 degrees and sheared along x, width and height are known."""
    box = np.array([[0, 0, 2, 1]])
    moved = bounding_boxes.affine_transform(box, 90, 0, 0, 1, 45, 0, 11, 11)
    np.testing.assert_allclose(moved[0, 2:] - moved[0, :2], [3, 2], atol=1e-5)


def test_ciou_of_relative_boxes():
    """The proportions that count are those in pixels."""
    relative, pixels = (
        bounding_boxes.compute_ciou(x, y, name, (8, 10, 3))
        for x, y, name in (
            (ANCHORS / [10, 8, 10, 8], BOXES[0] / [10, 8, 10, 8], "rel_xyxy"),
            (ANCHORS, BOXES[0], "xyxy"),
        )
    )
    np.testing.assert_allclose(relative, pixels, rtol=1e-5)


def test_gradient_of_ciou_is_finite():
    gradient = jax.grad(lambda b: bounding_boxes.compute_ciou(b, ANCHORS, "xyxy").sum())
    for boxes in (ANCHORS, 0 * ANCHORS, BOXES[1]):
        assert jnp.isfinite(gradient(jnp.asarray(boxes))).all()


ERRORS = {
    "format": (lambda b: b.convert_format(BOXES, "xyxy", "xyhw"), "target should be one of 'xyxy'"),
    "shape": (lambda b: b.convert_format(BOXES[..., :3], "xyxy", "xywh"), r"shape \[..., 4\]"),
    "size": (lambda b: b.convert_format(BOXES, "xyxy", "rel_xyxy"), "needs the image's height"),
    "clip": (lambda b: b.clip_to_image_size(LABELLED), "needs the image's height and width"),
    "crop": (lambda b: b.crop(BOXES, 1, 2, 4, 5, "rel_xyxy"), "a format in pixels"),
    "encoding": (
        lambda b: b.encode_box_to_deltas(ANCHORS, BOXES, "xyxy", "xyxy", "xyxy"),
        "'center_xywh' or 'center_yxhw'",
    ),
    "variance": (
        lambda b: b.decode_deltas_to_boxes(ANCHORS, DELTAS, "xyxy", "xyxy", variance=[1.0]),
        "variance should be four numbers",
    ),
    "iou": (lambda b: b.compute_iou(BOXES[None], BOXES, "xyxy"), "boxes1 should be"),
}


@pytest.mark.parametrize(("case", "message"), ERRORS.values(), ids=ERRORS)
def test_errors(case, message):
    with pytest.raises((ValueError, NotImplementedError)):
        case(real.utils.bounding_boxes)
    with pytest.raises(ValueError, match=message):
        case(bounding_boxes)
