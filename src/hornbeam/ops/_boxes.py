"""Bounding boxes: formats, overlap, and what happens to them when an image moves.

Coordinates count from the image's left upper corner along the edges of pixels: pixel `i` reaches
from `i` to `i + 1`. Everything is computed with the corners, `(left, top, right, bottom)`.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..core.messages import did_you_mean, expected
from ..core.symbolic import op
from ._convert import array, narrow

_KINDS = ("xyxy", "yxyx", "xywh", "center_xywh", "center_yxhw")

# Keeps logarithms and quotients of empty boxes finite.
_EPSILON = 1e-7


# Formats -----------------------------------------------------------------------------------------


def format_parts(argument, name):
    """The kind of a format, one of `_KINDS`, and whether it is relative to the image's size."""
    lowered = name.lower() if isinstance(name, str) else name
    relative = isinstance(lowered, str) and lowered.startswith("rel_")
    kind = lowered.removeprefix("rel_") if relative else lowered
    if kind not in _KINDS:
        known = [*_KINDS, *(f"rel_{k}" for k in _KINDS)]
        wanted = "one of " + ", ".join(map(repr, known))
        raise ValueError(expected(argument, wanted, name, did_you_mean(name, known)))
    return kind, relative


def corners(boxes, name, height=None, width=None):
    """Boxes `[..., 4]` of some format as floats `(left, top, right, bottom)` in pixels."""
    kind, relative = format_parts("The format of boxes", name)
    x = array(boxes)
    if x.ndim == 0 or x.shape[-1] != 4:
        raise ValueError(expected("Boxes", "of shape [..., 4]", x))
    x = x.astype(jnp.promote_types(x.dtype, "float32"))
    if kind in ("yxyx", "center_yxhw"):
        x = x[..., np.array([1, 0, 3, 2])]
    first, second = x[..., :2], x[..., 2:]
    if kind == "xywh":
        second = first + second
    elif kind.startswith("center"):
        first, second = first - second / 2, first + second / 2
    x = jnp.concatenate([first, second], -1)
    return x * _sizes(height, width, x.dtype) if relative else x


def from_corners(x, name, height=None, width=None):
    """The inverse of `corners`."""
    kind, relative = format_parts("The format of boxes", name)
    if relative:
        x = x / _sizes(height, width, x.dtype)
    first, second = x[..., :2], x[..., 2:]
    if kind == "xywh":
        second = second - first
    elif kind.startswith("center"):
        first, second = (first + second) / 2, second - first
    x = jnp.concatenate([first, second], -1)
    return x[..., np.array([1, 0, 3, 2])] if kind in ("yxyx", "center_yxhw") else x


def _sizes(height, width, dtype):
    if height is None or width is None:
        raise ValueError(
            "A relative format of boxes needs the image's height and width; received "
            f"height={height} and width={width}."
        )
    return jnp.stack([jnp.asarray(n, dtype) for n in (width, height, width, height)], -1)


def _over_boxes(function, boxes):
    """`function` of an array of boxes, or of the boxes in a dict with them."""
    if isinstance(boxes, dict):
        return {**boxes, "boxes": function(boxes["boxes"])}
    return function(boxes)


@op
def convert_format(boxes, source, target, height=None, width=None, dtype="float32"):
    """Boxes in another format.

    | format | numbers |
    |---|---|
    | `"xyxy"` | left, top, right, bottom |
    | `"yxyx"` | top, left, bottom, right |
    | `"xywh"` | left, top, width, height |
    | `"center_xywh"` | middle, its row, width, height |
    | `"center_yxhw"` | row of the middle, its column, height, width |

    With `"rel_"` in front, they are shares of the image's width and height.

    Args:
        boxes: `[..., 4]`, or a dict that holds such an array under `"boxes"`.
        source: their format, in small or capital letters.
        target: the format to return.
        height, width: the image's size, for relative formats.
        dtype: number type to return.

    Returns:
        Boxes like those given.

    Example:

    >>> keras.utils.bounding_boxes.convert_format([[10, 20, 30, 50]], "xyxy", "xywh")
    Array([[10., 20., 20., 30.]], dtype=float32)
    """
    target_parts = format_parts("convert_format's target", target)
    same = format_parts("convert_format's source", source) == target_parts

    def convert(b):
        x = corners(b, source, height, width)
        # Through pixels and back, a relative box would pick up rounding errors.
        x = array(b).astype(x.dtype) if same else from_corners(x, target, height, width)
        return x.astype(narrow(dtype))

    return _over_boxes(convert, boxes)


# Moving ------------------------------------------------------------------------------------------


def mapped(x, matrices):
    """The boxes around boxes `[b, n, 4]` (corners) after a map of the plane.

    The map is `[b, 3, 3]`, or one for all: it multiplies columns `(x, y, 1)`, whose third number
    is divided out.
    """
    picked = x[..., np.array([[0, 1], [2, 1], [2, 3], [0, 3]])]  # [b, n, 4 corners, 2]
    points = jnp.concatenate([picked, jnp.ones_like(picked[..., :1])], -1)
    matrices = matrices.astype(x.dtype)
    moved = jnp.einsum("bij,bnkj->bnki", matrices, points, precision=lax.Precision.HIGHEST)
    moved = moved[..., :2] / moved[..., 2:]
    return jnp.concatenate([moved.min(-2), moved.max(-2)], -1)


def clipped(x, height, width):
    """Boxes (corners) as far as they lie in the image, and whether something of them does."""
    limit = _sizes(height, width, x.dtype)
    x = jnp.clip(x, 0, limit)
    return x, (x[..., 2] > x[..., 0]) & (x[..., 3] > x[..., 1])


def without(labels, seen):
    """Labels of boxes, with -1 for those boxes that aren't seen any more."""
    labels = array(labels)
    seen = seen.reshape(*seen.shape, *(1,) * (labels.ndim - seen.ndim))
    return jnp.where(seen, labels, jnp.asarray(-1).astype(labels.dtype))


@op
def clip_to_image_size(bounding_boxes, height=None, width=None, bounding_box_format="xyxy"):
    """Boxes as far as they lie in the image.

    Args:
        bounding_boxes: dict of `"boxes"`, `[n, 4]` or `[b, n, 4]`, and `"labels"`, `[n]` or
            `[b, n]`.
        height, width: the image's size; relative formats do without.
        bounding_box_format: see `convert_format`.

    Returns:
        Such a dict. Boxes of which nothing is left have the label -1.

    Example:

    >>> boxes = {"boxes": np.array([[-10, 5, 20, 15], [40, 0, 50, 10]]), "labels": np.array([1, 2])}
    >>> keras.utils.bounding_boxes.clip_to_image_size(boxes, height=12, width=30)
    {'boxes': Array([[ 0.,  5., 20., 12.],
           [30.,  0., 30., 10.]], dtype=float32), 'labels': Array([ 1, -1], dtype=int32)}
    """
    if format_parts("bounding_box_format", bounding_box_format)[1]:
        height, width = 1, 1
    if height is None or width is None:
        raise ValueError(
            "clip_to_image_size needs the image's height and width; received "
            f"height={height} and width={width}."
        )
    x = corners(bounding_boxes["boxes"], bounding_box_format, height, width)
    x, seen = clipped(x, height, width)
    x = from_corners(x, bounding_box_format, height, width)
    return {**bounding_boxes, "boxes": x, "labels": without(bounding_boxes["labels"], seen)}


def _in_pixels(function, boxes, name):
    """`function` of corners, for boxes of any format that isn't relative."""
    if format_parts("bounding_box_format", name)[1]:
        hint = "Convert the boxes first; see convert_format."
        raise ValueError(expected("bounding_box_format", "a format in pixels", name, hint))

    def apply(b):
        return from_corners(function(corners(b, name)), name)

    return _over_boxes(apply, boxes)


@op
def crop(boxes, top, left, height, width, bounding_box_format="xyxy"):
    """Boxes in a rectangle that is cut out of the image.

    Args:
        boxes: `[..., 4]`.
        top, left: where the rectangle begins.
        height, width: its size, to which boxes are clipped.
        bounding_box_format: see `convert_format`; not a relative one.

    Returns:
        Boxes like those given.

    Example:

    >>> keras.utils.bounding_boxes.crop([[10, 20, 50, 60]], top=10, left=20, height=40, width=25)
    Array([[ 0., 10., 25., 40.]], dtype=float32)
    """

    def cut(x):
        return clipped(x - jnp.array([left, top, left, top]), height, width)[0]

    return _in_pixels(cut, boxes, bounding_box_format)


@op
def pad(boxes, top, left, height=None, width=None, bounding_box_format="xyxy"):
    """Boxes in an image that got rows at its top and columns at its left.

    Args:
        boxes: `[..., 4]`.
        top, left: number of rows and columns.
        height, width: accepted for compatibility; boxes don't depend on what follows them.
        bounding_box_format: see `convert_format`; not a relative one.

    Returns:
        Boxes like those given.

    Example:

    >>> keras.utils.bounding_boxes.pad([[10, 20, 50, 60]], top=1, left=2)
    Array([[12., 21., 52., 61.]], dtype=float32)
    """
    return _in_pixels(lambda x: x + jnp.array([left, top, left, top]), boxes, bounding_box_format)


@op
def affine_transform(
    boxes,
    angle,
    translate_x,
    translate_y,
    scale,
    shear_x,
    shear_y,
    height,
    width,
    center_x=None,
    center_y=None,
    bounding_box_format="xyxy",
):
    """The boxes around boxes that are moved, sheared, turned and stretched, in this order.

    Args:
        boxes: `[n, 4]` or `[b, n, 4]`.
        angle: degrees, counter-clockwise.
        translate_x, translate_y: shares of `width - 1` and `height - 1`.
        scale: factor.
        shear_x, shear_y: degrees.
        height, width: the image's size.
        center_x, center_y: what stays in its place without a translation: shares of `width - 1`
            and `height - 1`, by default the half.
        bounding_box_format: see `convert_format`.

        Numbers from `angle` to `shear_y`, and the centre, may be arrays `[b]`.

    Returns:
        Boxes like those given; they may reach beyond the image.

    Example:

    >>> turn = dict(translate_x=0, translate_y=0, scale=1, shear_x=0, shear_y=0)
    >>> boxes = np.array([[0, 0, 2, 1]])
    >>> keras.utils.bounding_boxes.affine_transform(boxes, 90, **turn, height=11, width=11).round(3)
    Array([[ 0.,  8.,  1., 10.]], dtype=float32)
    """
    centre = [0.5 if c is None else c for c in (center_x, center_y)]
    given = angle, translate_x, translate_y, scale, shear_x, shear_y, *centre
    numbers = [jnp.asarray(n, "float32").reshape(-1) for n in given]
    turn, move_x, move_y, scale, shear_x, shear_y, *centre = jnp.broadcast_arrays(*numbers)
    turn, shear_x, shear_y = (jnp.radians(a) for a in (turn, shear_x, shear_y))
    # Rows of the matrix: a turn with the shear along y, and along x.
    lower = jnp.stack([-jnp.sin(turn - shear_y), jnp.cos(turn - shear_y)]) / jnp.cos(shear_y)
    upper = jnp.stack([jnp.cos(turn), jnp.sin(turn)]) + jnp.tan(shear_x) * lower
    linear = scale * jnp.stack([upper, lower])  # [2, 2, b]
    share = jnp.array([[width - 1], [height - 1]])
    centre, move = share * jnp.stack(centre), share * jnp.stack([move_x, move_y])
    offset = jnp.sum(linear * (move - centre), 1) + centre
    rows = jnp.concatenate([linear, offset[:, None]], 1)
    last = jnp.broadcast_to(jnp.array([0.0, 0, 1])[:, None], rows.shape[1:])
    matrices = jnp.moveaxis(jnp.concatenate([rows, last[None]]), -1, 0)

    def move_boxes(b):
        x = corners(b, bounding_box_format, height, width)
        moved = mapped(x[None] if x.ndim == 2 else x, matrices)
        moved = moved[0] if x.ndim == 2 else moved
        return from_corners(moved, bounding_box_format, height, width)

    return _over_boxes(move_boxes, boxes)


# Anchors and overlap -----------------------------------------------------------------------------


def _size_of(image_shape):
    return (None, None) if image_shape is None else tuple(image_shape)[:2]


def _checked_variance(variance):
    x = np.ones(4, "float32") if variance is None else array(variance)
    if x.shape != (4,):
        raise ValueError(expected("variance", "four numbers, of shape (4,)", variance))
    return x


def _checked_encoding(argument, name):
    kind, relative = format_parts(argument, name)
    if relative or not kind.startswith("center"):
        raise ValueError(expected(argument, "'center_xywh' or 'center_yxhw'", name))


@op
def encode_box_to_deltas(
    anchors,
    boxes,
    anchor_format,
    box_format,
    encoding_format="center_yxhw",
    variance=None,
    image_shape=None,
):
    """How boxes differ from anchors, as detectors predict it.

    `(middle - anchor's middle) / anchor's size` and `log(size / anchor's size)`, divided by
    `variance`.

    Args:
        anchors: `[n, 4]`.
        boxes: `[n, 4]` or `[b, n, 4]`.
        anchor_format, box_format: their formats; see `convert_format`.
        encoding_format: order of the result, `"center_yxhw"` or `"center_xywh"`.
        variance: four numbers.
        image_shape: `(height, width, channels)`, for relative formats.

    Returns:
        Array of the shape of `boxes`.

    Example:

    >>> anchors, boxes = np.array([[0, 0, 4, 4]]), np.array([[1, 2, 5, 6]])
    >>> keras.utils.bounding_boxes.encode_box_to_deltas(anchors, boxes, "xyxy", "xyxy")
    Array([[0.5 , 0.25, 0.  , 0.  ]], dtype=float32)
    """
    _checked_encoding("encoding_format", encoding_format)
    size = _size_of(image_shape)
    anchors = from_corners(corners(anchors, anchor_format, *size), encoding_format)
    boxes = from_corners(corners(boxes, box_format, *size), encoding_format)
    unit = jnp.maximum(anchors[..., 2:], _EPSILON)
    middle = (boxes[..., :2] - anchors[..., :2]) / unit
    stretch = jnp.log(jnp.maximum(boxes[..., 2:], _EPSILON) / unit)
    return jnp.concatenate([middle, stretch], -1) / _checked_variance(variance)


@op
def decode_deltas_to_boxes(
    anchors,
    boxes_delta,
    anchor_format,
    box_format,
    encoded_format="center_yxhw",
    variance=None,
    image_shape=None,
):
    """The boxes that `encode_box_to_deltas` encoded, from the same anchors.

    Args:
        anchors: `[n, 4]`, or a dict of them.
        boxes_delta: `[n, 4]` or `[b, n, 4]`, or a dict with the same keys.
        anchor_format: format of the anchors; see `convert_format`.
        box_format: format to return.
        encoded_format: order of the deltas, `"center_yxhw"` or `"center_xywh"`.
        variance: four numbers.
        image_shape: `(height, width, channels)`, for relative formats.

    Returns:
        Array of the shape of `boxes_delta`, or a dict of them.

    Example:

    >>> anchors, deltas = np.array([[0, 0, 4, 4]]), np.array([[0.5, 0.25, 0, 0]])
    >>> keras.utils.bounding_boxes.decode_deltas_to_boxes(anchors, deltas, "xyxy", "xyxy")
    Array([[1., 2., 5., 6.]], dtype=float32)
    """
    _checked_encoding("encoded_format", encoded_format)
    size = _size_of(image_shape)
    variance = _checked_variance(variance)

    def decode(anchors, deltas):
        anchors = from_corners(corners(anchors, anchor_format, *size), encoded_format)
        deltas = array(deltas) * variance
        middle = deltas[..., :2] * anchors[..., 2:] + anchors[..., :2]
        encoded = jnp.concatenate([middle, jnp.exp(deltas[..., 2:]) * anchors[..., 2:]], -1)
        return from_corners(corners(encoded, encoded_format), box_format, *size)

    if isinstance(anchors, dict):
        return {key: decode(anchors[key], boxes_delta[key]) for key in anchors}
    return decode(anchors, boxes_delta)


def _areas(x):
    return jnp.prod(jnp.maximum(x[..., 2:] - x[..., :2], 0), -1)


def _overlap(x, y):
    """Area of the intersection over that of the union, of boxes (corners) in the same places."""
    common = jnp.concatenate(
        [jnp.maximum(x[..., :2], y[..., :2]), jnp.minimum(x[..., 2:], y[..., 2:])], -1
    )
    area = _areas(common)
    union = _areas(x) + _areas(y) - area
    return jnp.where(union > 0, area / jnp.where(union > 0, union, 1), 0)


@op
def compute_iou(
    boxes1, boxes2, bounding_box_format, use_masking=False, mask_val=-1, image_shape=None
):
    """Intersection over union of each box with each other.

    Args:
        boxes1: `[m, 4]` or `[b, m, 4]`.
        boxes2: `[n, 4]` or `[b, n, 4]`.
        bounding_box_format: format of both; see `convert_format`.
        use_masking: whether pairs with a box of four negative numbers (padding) give `mask_val`.
        mask_val: what they give.
        image_shape: `(height, width, channels)`, for relative formats.

    Returns:
        `[m, n]` or `[b, m, n]`.

    Example:

    >>> boxes = np.array([[0, 0, 2, 2], [1, 0, 3, 2]])
    >>> keras.utils.bounding_boxes.compute_iou(boxes, boxes, "xyxy").round(3)
    Array([[1.   , 0.333],
           [0.333, 1.   ]], dtype=float32)
    """
    boxes1, boxes2 = array(boxes1), array(boxes2)
    for name, x in (("boxes1", boxes1), ("boxes2", boxes2)):
        if x.ndim not in (2, 3):
            raise ValueError(expected(f"compute_iou's {name}", "[n, 4] or [b, n, 4]", x))
    size = _size_of(image_shape)
    x, y = (corners(b, bounding_box_format, *size) for b in (boxes1, boxes2))
    result = _overlap(x[..., :, None, :], y[..., None, :, :])
    if use_masking:
        empty = [jnp.all(b < 0, -1) for b in (boxes1, boxes2)]
        result = jnp.where(empty[0][..., :, None] | empty[1][..., None, :], mask_val, result)
    return result


@op
def compute_ciou(boxes1, boxes2, bounding_box_format, image_shape=None):
    """Complete IoU of boxes in the same places of two arrays.

    `iou - d² / c² - a v`, with the distance `d` of the middles, the diagonal `c` of the box around
    both, `v = 4 / π² (atan(w1 / h1) - atan(w2 / h2))²` for the proportions, and
    `a = v / (1 - iou + v)`.

    Args:
        boxes1, boxes2: `[..., 4]`.
        bounding_box_format: format of both; see `convert_format`.
        image_shape: `(height, width, channels)`, for relative formats.

    Returns:
        `[...]`.

    Reference: [Zheng et al., 2020](https://arxiv.org/abs/1911.08287)

    Example:

    >>> boxes, others = np.array([[0, 0, 2, 2]]), np.array([[1, 0, 3, 2]])
    >>> keras.utils.bounding_boxes.compute_ciou(boxes, others, "xyxy").round(4)
    Array([0.2564], dtype=float32)
    """
    size = _size_of(image_shape)
    x, y = (corners(b, bounding_box_format, *size) for b in (boxes1, boxes2))
    iou = _overlap(x, y)
    around = jnp.maximum(x[..., 2:], y[..., 2:]) - jnp.minimum(x[..., :2], y[..., :2])
    apart = (x[..., :2] + x[..., 2:] - y[..., :2] - y[..., 2:]) / 2
    distance = jnp.sum(apart**2, -1) / (jnp.sum(around**2, -1) + _EPSILON)
    shapes = [jnp.arctan2(b[..., 2] - b[..., 0], b[..., 3] - b[..., 1] + _EPSILON) for b in (x, y)]
    v = 4 / np.pi**2 * (shapes[0] - shapes[1]) ** 2
    # The weight of the proportions is fixed, as far as the gradient is concerned.
    a = jax.lax.stop_gradient(v / (1 - iou + v + _EPSILON))
    return iou - distance - a * v
