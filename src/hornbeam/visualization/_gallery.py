"""Many images in one figure."""

import math
from typing import Any

import numpy as np

from ..core.messages import expected, missing_package
from ._draw import channels_last, draw_bounding_boxes, draw_segmentation_masks


def _pyplot(what) -> Any:
    try:
        import matplotlib.pyplot
    except ImportError:
        raise missing_package("matplotlib", "plot", what) from None
    return matplotlib.pyplot


def plot_image_gallery(
    images,
    y_true=None,
    y_pred=None,
    label_map=None,
    rows=None,
    cols=None,
    value_range=(0, 255),
    scale=2,
    path=None,
    show=None,
    transparent=True,
    dpi=60,
    legend_handles=None,
    data_format=None,
):
    """Show images in rows and columns, or write them to a file.

    Args:
        images: `[b, h, w, c]`, or with channels before height.
        y_true, y_pred: class numbers `[b]` to write above the images, true and predicted ones.
        label_map: dict from class numbers to names, for these.
        rows, cols: how many; by default about as many of each, enough for all images.
        value_range: the numbers that are black and white.
        scale: inches for an image.
        path: file to write to.
        show: whether to show the figure; by default if there is no `path`.
        transparent: whether the file has no background.
        dpi: pixels per inch in the file.
        legend_handles: matplotlib's patches for a legend.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.

    Example:

    >>> import io
    >>> keras.visualization.plot_image_gallery(np.zeros((4, 8, 8, 3)), path=io.BytesIO())
    """
    if path is not None and show:
        raise ValueError("plot_image_gallery writes to path or shows the figure; received both.")
    if (y_true is not None or y_pred is not None) and label_map is None:
        raise ValueError(expected("label_map", "a dict from class numbers to names", label_map))
    pixels, _ = _bytes(images, value_range, data_format)
    if pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    plt, count = _pyplot("plot_image_gallery"), len(pixels)
    if rows is None:
        rows = math.ceil(math.sqrt(count) if cols is None else count / cols)
    cols = math.ceil(count / rows) if cols is None else cols
    figure, axes = plt.subplots(
        rows,
        cols,
        squeeze=False,
        figsize=(cols * scale, rows * scale),
        layout="tight",
        frameon=True,
    )
    for i, axis in enumerate(axes.flat):
        axis.axis("off")
        if i >= count:
            continue
        axis.imshow(pixels[i], cmap="gray" if pixels.ndim == 3 else None, vmin=0, vmax=255)
        titles = [
            f"{name}: {label_map[int(y[i])]}"
            for name, y in (("Label", y_true), ("Pred", y_pred))
            if y is not None and label_map is not None
        ]
        axis.set_title("  ".join(titles))
    if legend_handles is not None:
        figure.legend(handles=legend_handles, loc="lower center")
    if path is not None:
        figure.savefig(path, pad_inches=0, transparent=transparent, dpi=dpi)
        plt.close(figure)
    elif show or show is None:
        plt.show()
        plt.close(figure)


def plot_bounding_box_gallery(
    images,
    bounding_box_format,
    y_true=None,
    y_pred=None,
    value_range=(0, 255),
    true_color=(0, 188, 212),
    pred_color=(255, 235, 59),
    line_thickness=2,
    font_scale=1.0,
    text_thickness=None,
    class_mapping=None,
    ground_truth_mapping=None,
    prediction_mapping=None,
    legend=False,
    legend_handles=None,
    rows=None,
    cols=None,
    data_format=None,
    **kwargs,
):
    """Show images with boxes, those that are true and those that were predicted.

    Args:
        images: `[b, h, w, 3]`, or with channels before height.
        bounding_box_format, y_true, y_pred: the boxes, see `draw_bounding_boxes`.
        value_range: the numbers that are black and white.
        true_color, pred_color: colours of the boxes, three numbers from 0 to 255.
        line_thickness, font_scale: see `draw_bounding_boxes`.
        text_thickness: the same; by default that of the lines.
        class_mapping: dict from labels to names.
        ground_truth_mapping, prediction_mapping: such dicts for one kind of boxes.
        legend: whether to explain the colours.
        legend_handles: matplotlib's patches for a legend of your own.
        rows, cols, data_format, **kwargs: see `plot_image_gallery`.

    Example:

    >>> import io
    >>> boxes = {"boxes": np.array([[[1, 1, 5, 5]]]), "labels": np.array([[0]])}
    >>> images = np.zeros((1, 8, 8, 3))
    >>> keras.visualization.plot_bounding_box_gallery(images, "xyxy", boxes, path=io.BytesIO())
    """
    if legend and legend_handles is not None:
        raise ValueError("Pass legend or legend_handles; received both.")
    plt = _pyplot("plot_bounding_box_gallery")
    pixels, _ = _bytes(images, value_range, data_format)
    kinds = [
        (y_true, true_color, ground_truth_mapping, "Ground Truth"),
        (y_pred, pred_color, prediction_mapping, "Prediction"),
    ]
    for boxes, color, mapping, _ in kinds:
        if boxes is not None:
            pixels = draw_bounding_boxes(
                pixels,
                boxes,
                bounding_box_format,
                class_mapping if mapping is None else mapping,
                color,
                line_thickness,
                line_thickness if text_thickness is None else text_thickness,
                font_scale,
                "channels_last",
            )
    if legend:
        patch = plt.Rectangle
        legend_handles = [
            patch((0, 0), 1, 1, color=[c / 255 for c in color], label=label)
            for boxes, color, _, label in kinds
            if boxes is not None
        ]
    kwargs = {"legend_handles": legend_handles, "rows": rows, "cols": cols, **kwargs}
    plot_image_gallery(pixels, data_format="channels_last", **kwargs)


def plot_segmentation_mask_gallery(
    images,
    num_classes,
    value_range=(0, 255),
    y_true=None,
    y_pred=None,
    color_mapping=None,
    blend=True,
    alpha=0.8,
    ignore_index=-1,
    data_format=None,
    **kwargs,
):
    """Show images beside themselves with masks, those that are true and those that were predicted.

    Args:
        images: `[b, h, w, 3]`, or with channels before height.
        num_classes, color_mapping, blend, alpha, ignore_index: see `draw_segmentation_masks`.
        value_range: the numbers that are black and white.
        y_true, y_pred: masks, ints `[b, h, w]` or `[b, h, w, 1]`.
        data_format, **kwargs: see `plot_image_gallery`.

    Example:

    >>> import io
    >>> masks = np.eye(8, dtype="int32")[None]
    >>> keras.visualization.plot_segmentation_mask_gallery(
    ...     np.zeros((1, 8, 8, 3)), 1, y_true=masks, path=io.BytesIO()
    ... )
    """
    pixels, first = _bytes(images, value_range, data_format)
    columns = [pixels]
    for masks in (y_true, y_pred):
        if masks is not None:
            masks = np.asarray(masks)
            if first and masks.ndim == 4:
                masks = masks.transpose(0, 2, 3, 1)
            columns.append(
                draw_segmentation_masks(
                    pixels,
                    masks,
                    num_classes,
                    color_mapping,
                    alpha,
                    blend,
                    ignore_index,
                    "channels_last",
                )
            )
    side_by_side = np.stack(columns, 1).reshape(-1, *pixels.shape[1:])
    kwargs = {"rows": len(pixels), "cols": len(columns), **kwargs}
    plot_image_gallery(side_by_side, data_format="channels_last", **kwargs)


def _bytes(images, value_range, data_format):
    low, high = value_range
    return channels_last((np.asarray(images, "float32") - low) * (255 / (high - low)), data_format)
