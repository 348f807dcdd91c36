"""Boxes and masks drawn into images."""

import numpy as np

from ..core import settings
from ..core.messages import expected, one_of
from ..data._images import pillow
from ..ops._boxes import convert_format

_TEXT_HEIGHT = 12  # pixels, where `font_scale` is 1


def draw_bounding_boxes(
    images,
    bounding_boxes,
    bounding_box_format,
    class_mapping=None,
    color=(128, 128, 128),
    line_thickness=2,
    text_thickness=1,
    font_scale=1.0,
    data_format=None,
):
    """Images with boxes around what is in them.

    Args:
        images: `[b, h, w, 3]` (or with channels before height), from 0 to 255.
        bounding_boxes: dict of `"boxes"` `[b, n, 4]` and `"labels"` `[b, n]`; boxes of the label -1
            are padding. It may have `"confidences"` `[b, n]`, which are written beside.
        bounding_box_format: see `keras.utils.bounding_boxes.convert_format`.
        class_mapping: dict from labels to what to write at the boxes; nothing by default.
        color: of lines, three numbers from 0 to 255. Texts stand on it.
        line_thickness: in pixels.
        text_thickness: letters get heavier by strokes of this less 1.
        font_scale: letters are 12 pixels high times this.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.

    Returns:
        A NumPy array of bytes, shaped as `images`.

    Example:

    >>> boxes = {"boxes": np.array([[[1, 1, 5, 5]]]), "labels": np.array([[0]])}
    >>> images = np.zeros((1, 8, 8, 3), "uint8")
    >>> drawn = keras.visualization.draw_bounding_boxes(images, boxes, "xyxy", line_thickness=1)
    >>> drawn[0, 1, :, 0].tolist()
    [0, 128, 128, 128, 128, 128, 0, 0]
    """
    Image = pillow("draw_bounding_boxes")
    from PIL import ImageDraw, ImageFont

    images, first = channels_last(images, data_format)
    if not isinstance(bounding_boxes, dict):
        raise TypeError(expected("bounding_boxes", "a dict of boxes and labels", bounding_boxes))
    if not {"boxes", "labels"} <= bounding_boxes.keys():
        wanted = "a dict with the keys 'boxes' and 'labels'"
        raise ValueError(expected("bounding_boxes", wanted, sorted(bounding_boxes)))
    height, width = images.shape[1:3]
    boxes = np.asarray(
        convert_format(
            np.asarray(bounding_boxes["boxes"], "float32"),
            bounding_box_format,
            "xyxy",
            height,
            width,
        )
    )
    labels, scores = np.asarray(bounding_boxes["labels"]), bounding_boxes.get("confidences")
    font = ImageFont.load_default(_TEXT_HEIGHT * font_scale)
    color = tuple(int(c) for c in color)
    drawn = []
    for i, pixels in enumerate(images):
        image = Image.fromarray(pixels)
        pen = ImageDraw.Draw(image)
        for j, (box, label) in enumerate(zip(boxes[i], labels[i])):
            if label == -1:
                continue
            left, top, right, bottom = (round(float(side)) for side in box)
            corners = min(left, right), min(top, bottom), max(left, right), max(top, bottom)
            pen.rectangle(corners, outline=color, width=int(line_thickness))
            text = "" if class_mapping is None else str(class_mapping.get(int(label), int(label)))
            if scores is not None:
                text = f"{text} {float(scores[i][j]):.2f}".strip()
            if text:
                at = corners[0], max(corners[1] - round(_TEXT_HEIGHT * font_scale) - 2, 0)
                pen.rectangle(pen.textbbox(at, text, font), fill=color)
                light = sum(color) < 384
                stroke = max(int(text_thickness) - 1, 0)
                fill = (255,) * 3 if light else (0,) * 3
                pen.text(at, text, fill, font, stroke_width=stroke)
        drawn.append(np.asarray(image))
    result = np.stack(drawn) if drawn else images
    return result.transpose(0, 3, 1, 2) if first else result


def draw_segmentation_masks(
    images,
    segmentation_masks,
    num_classes=None,
    color_mapping=None,
    alpha=0.8,
    blend=True,
    ignore_index=-1,
    data_format=None,
):
    """Images with pixels in the colours of their classes. Class 0, the background, stays as it is.

    Args:
        images: `[b, h, w, 3]` (or with channels before height), from 0 to 255.
        segmentation_masks: ints `[b, h, w]` or `[b, h, w, 1]`.
        num_classes: the highest class to draw; by default that of the masks.
        color_mapping: dict from classes to colours, three numbers from 0 to 255.
        alpha: how much of a pixel is of its class's colour, from 0 to 1.
        blend: whether `alpha` counts; otherwise it is 1.
        ignore_index: a class that isn't drawn.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.

    Returns:
        A NumPy array of bytes, shaped as `images`.

    Example:

    >>> images = np.full((1, 1, 2, 3), 100, "uint8")
    >>> drawn = keras.visualization.draw_segmentation_masks(
    ...     images, np.array([[[0, 1]]]), color_mapping={1: (255, 0, 0)}, alpha=0.5
    ... )
    >>> drawn[0, 0].tolist()
    [[100, 100, 100], [177, 50, 50]]
    """
    images, first = channels_last(images, data_format)
    masks = np.asarray(segmentation_masks)
    if masks.dtype.kind not in "iu":
        raise TypeError(expected("segmentation_masks", "ints", masks))
    if first and masks.ndim == 4 and masks.shape[1] == 1:
        masks = masks[:, 0]
    elif masks.ndim == 4 and masks.shape[-1] == 1:
        masks = masks[..., 0]
    if masks.shape != images.shape[:3]:
        wanted = f"one number for each pixel, {images.shape[:3]}"
        raise ValueError(expected("segmentation_masks", wanted, masks))
    if not 0 <= alpha <= 1:
        raise ValueError(expected("alpha", "from 0 to 1", alpha))
    highest = int(masks.max(initial=0)) if num_classes is None else num_classes
    if color_mapping is None:
        color_mapping = {i: [i % 255, i * 127 % 255, i * 31 % 255] for i in range(1, highest + 1)}
    alpha, result = alpha if blend else 1, images.copy()
    for number, color in color_mapping.items():
        if not 0 < number <= highest or number == ignore_index:
            continue
        where = masks == number
        mixed = images[where] * np.float32(1 - alpha) + np.asarray(color, "float32") * np.float32(
            alpha
        )
        result[where] = mixed
    return result.transpose(0, 3, 1, 2) if first else result


def channels_last(images, data_format):
    """Bytes `[b, h, w, c]`, and whether the channels came first."""
    data_format = settings.image_data_format() if data_format is None else data_format
    one_of("data_format", data_format, ("channels_last", "channels_first"))
    images = np.asarray(images)
    if images.ndim != 4:
        raise ValueError(expected("images", "a batch, of four axes", images))
    first = data_format == "channels_first"
    images = images.transpose(0, 2, 3, 1) if first else images
    return np.ascontiguousarray(np.clip(images, 0, 255).astype("uint8")), first
