"""The base of all layers that change images: who is moved, when, in which layout and dtype."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..core import objects, settings
from ..core.messages import expected
from ..core.rng import SeedGenerator, draw, draw_seed
from ..ops._boxes import clipped, corners, format_parts, from_corners, mapped, without
from ..ops._convert import array, widened
from ..ops._image import as_pixels, batched
from ._base import Layer

_PARTS = ("images", "labels", "bounding_boxes", "segmentation_masks")


class _Program:
    """A layer as a static argument; equal to any other of the same class and arguments."""

    __slots__ = ("key", "layer")

    def __init__(self, layer):
        given = {k: v for k, v in layer.get_config().items() if k not in ("name", "seed")}
        self.layer, self.key = layer, (type(layer), repr(given))

    def __hash__(self):
        return hash(self.key)

    def __eq__(self, other):
        return self.key == other.key


@functools.partial(jax.jit, static_argnums=(0, 3))
def _compiled(program, key, parts, training):
    """All that a layer does, as one program in place of a dispatch for each operation."""
    return program.layer._changed(key, parts, training)


class ImageLayer(Layer):
    """Base of the layers that change images, alone or with what belongs to them.

    A layer takes images, or a dict of any of

    - `"images"`: `[b, h, w, c]` (or `[b, c, h, w]`), or one image without `b`;
    - `"labels"`: whatever belongs to an image as a whole, `[b, ...]`;
    - `"bounding_boxes"`: `{"boxes": [b, n, 4], "labels": [b, n]}`; a box that has left the image
      gets the label -1;
    - `"segmentation_masks"`: `[b, h, w, 1]` or `[b, h, w]`, which go where their pixels go and get
      no new numbers between theirs.

    Other keys pass through. What is random is drawn once, by `get_random_transformation`, for all
    parts, and for every image anew. Images are computed in float32, and returned in the compute
    dtype; boxes stay in float32, labels and masks in their own dtype.

    Inside a compiled step a layer is part of the step, and runs where the step runs. Called
    directly it runs on the default device; **in a data pipeline, call it on the host** by

        with keras.device("cpu:0"):
            batch = layer(batch)

    which is the same program with the same random numbers: equal seeds give equal images, up to
    the rounding of floats on another device.

    A subclass says what is drawn (`_draw`) and what becomes of pixels (`_pixels`), and, if it moves
    them, of masks (`_mask`) and of the plane (`_plane`). These see batches `[b, h, w, c]`, those of
    images as floats, whatever the layer is given.

    Args:
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.
        bounding_box_format: format of boxes, such as `"xyxy"`; see
            `keras.utils.bounding_boxes.convert_format`.
    """

    trains_only = True  # whether inference leaves images alone
    keeps_integers = False  # whether images of integers come back as such
    generator = None  # where random numbers come from, if there are any

    def __init__(self, data_format=None, bounding_box_format=None, **kwargs):
        super().__init__(**kwargs)
        # The compute dtype is for pixels: half precision can't tell the columns 256 and 257 apart.
        self.autocast = False
        self.data_format = settings.standardize_data_format(data_format)
        if bounding_box_format is not None:
            format_parts(f"{type(self).__name__}'s bounding_box_format", bounding_box_format)
        self.bounding_box_format = bounding_box_format

    def get_config(self):
        """The constructor's arguments as plain data, with those that all image layers take."""
        config = {**super().get_config(), "data_format": self.data_format}
        if self.bounding_box_format is not None:
            config["bounding_box_format"] = self.bounding_box_format
        return config

    # What a subclass writes ---------------------------------------------------------------------

    def _draw(self, key, count, size):
        """The random parameters of `count` images of `size = (height, width)`, as a dict."""
        return {}

    def _pixels(self, images, transformation):
        """Images `[b, h, w, c]` of floats, changed."""
        return images

    def _mask(self, masks, transformation):
        """Masks `[b, h, w, c]`, moved like the pixels."""
        return masks

    def _plane(self, transformation, size) -> Any:
        """Where points go: matrices `[b, 3, 3]` for columns `(x, y, 1)`, and the new size.

        `None` if all stays in its place.
        """

    def _labels(self, labels, transformation):
        """Labels of images, changed."""
        return labels

    def _boxes(self, boxes, labels, transformation, size):
        """Corners `[b, n, 4]` of boxes and their labels, moved, and the new size."""
        plane = self._plane(transformation, size)
        if plane is None:
            return boxes, labels, size
        matrices, size = plane
        boxes, seen = clipped(mapped(boxes, matrices), *size)
        return boxes, without(labels, seen), size

    # Calling ------------------------------------------------------------------------------------

    def call(self, data, training=True):
        """The images, and what belongs to them, changed."""
        parts = data if isinstance(data, dict) else {"images": data}
        if "images" not in parts:
            hint = "It may also have the keys " + ", ".join(map(repr, _PARTS[1:])) + "."
            raise ValueError(expected("data", "images, or a dict with 'images'", list(parts), hint))
        known = {name: parts[name] for name in _PARTS if name in parts}
        key = draw_seed(self.generator) if training and self.generator is not None else None
        if objects.is_ours(type(self)):
            changed = _compiled(_Program(self), key, known, training)
        else:
            changed = self._changed(key, known, training)
        return {**parts, **changed} if isinstance(data, dict) else changed["images"]

    def _changed(self, key, parts, training):
        transformation = self.get_random_transformation(parts, training, key)
        return {
            name: getattr(self, f"transform_{name}")(part, transformation, training)
            for name, part in parts.items()
        }

    def get_random_transformation(self, data, training=True, seed=None):
        """What is drawn for these images, for the methods `transform_...`.

        Args:
            data: images or a dict with them.
            training: whether to draw.
            seed: int, `SeedGenerator`, or `None` for the layer's own next one.

        Returns:
            A dict of the random parameters and `"input_shape"`; `None` if the layer leaves images
            alone outside of training.
        """
        if self.trains_only and not training:
            return None
        images = data["images"] if isinstance(data, dict) else data
        x, _ = self._batched(images)
        drawn = {}
        if training and self.generator is not None:
            key = draw_seed(self.generator if seed is None else seed)
            drawn = self._draw(key, x.shape[0], tuple(x.shape[1:3]))
        return {**drawn, "input_shape": tuple(array(images).shape)}

    def transform_images(self, images, transformation: Any = None, training=True):
        """Images changed as `get_random_transformation` says."""
        images = array(images)
        keep = self.keeps_integers and jnp.issubdtype(images.dtype, jnp.integer)
        dtype = images.dtype if keep else self.compute_dtype
        if self._is_idle(transformation):
            return as_pixels(images, dtype)
        x, restore = self._batched(images)
        return as_pixels(restore(self._pixels(widened(x), transformation)), dtype)

    def transform_labels(self, labels, transformation: Any = None, training=True):
        """Labels changed with the images."""
        if transformation is None:
            return labels
        labels = array(labels)
        if len(transformation["input_shape"]) == 3:
            return self._labels(labels[None], transformation)[0]
        return self._labels(labels, transformation)

    def transform_bounding_boxes(self, bounding_boxes, transformation: Any = None, training=True):
        """Boxes moved with the images."""
        if self.bounding_box_format is None:
            raise ValueError(
                f"{type(self).__name__} got bounding boxes, but wasn't told their format: pass it "
                "bounding_box_format='xyxy', or whatever it is."
            )
        if not isinstance(bounding_boxes, dict) or not {"boxes", "labels"} <= bounding_boxes.keys():
            wanted = "a dict with the keys 'boxes' and 'labels'"
            raise ValueError(expected("bounding_boxes", wanted, bounding_boxes))
        if self._is_idle(transformation):
            return bounding_boxes
        size = self._size(transformation)
        boxes = corners(bounding_boxes["boxes"], self.bounding_box_format, *size)
        labels = array(bounding_boxes["labels"])
        single = boxes.ndim == 2
        if single:
            boxes, labels = boxes[None], labels[None]
        boxes, labels, size = self._boxes(boxes, labels, transformation, size)
        if single:
            boxes, labels = boxes[0], labels[0]
        boxes = from_corners(boxes, self.bounding_box_format, *size)
        return {**bounding_boxes, "boxes": boxes, "labels": labels}

    def transform_segmentation_masks(
        self, segmentation_masks, transformation: Any = None, training=True
    ):
        """Masks moved with the images."""
        if self._is_idle(transformation):
            return segmentation_masks
        masks = array(segmentation_masks)
        dtype = masks.dtype
        masks = masks.astype("uint8") if dtype == "bool" else masks
        shape = (transformation or {}).get("input_shape")
        flat = shape is not None and masks.ndim == len(shape) - 1  # without channels
        channels = -1 if self.data_format == "channels_last" else -3
        x, restore = self._batched(jnp.expand_dims(masks, channels) if flat else masks)
        y = restore(self._mask(x, transformation)).astype(dtype)
        return y.squeeze(channels) if flat else y

    def transform_single_image(self, image, transformation, training=True):
        """`transform_images` of one image."""
        return self.transform_images(image, transformation, training)

    def transform_single_label(self, label, transformation, training=True):
        """`transform_labels` of one label."""
        return self.transform_labels(label, transformation, training)

    def transform_single_bounding_box(self, bounding_box, transformation, training=True):
        """`transform_bounding_boxes` of one image's boxes."""
        return self.transform_bounding_boxes(bounding_box, transformation, training)

    def transform_single_segmentation_mask(self, segmentation_mask, transformation, training=True):
        """`transform_segmentation_masks` of one mask."""
        return self.transform_segmentation_masks(segmentation_mask, transformation, training)

    def convert_weight(self, weight):
        """`weight` as an array."""
        return np.asarray(weight)

    def _batched(self, images):
        return batched(images, self.data_format)

    def _is_idle(self, transformation):
        return transformation is None and self.trains_only

    def _size(self, transformation):
        """Height and width of the images that a transformation was drawn for."""
        shape = transformation["input_shape"]
        return tuple(shape[-3:-1] if self.data_format == "channels_last" else shape[-2:])


class RandomImageLayer(ImageLayer):
    """Base of those that draw random numbers, from a stream of their own."""

    def __init__(self, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed
        self.generator = seed if isinstance(seed, SeedGenerator) else SeedGenerator(seed)


# Arguments that several layers take --------------------------------------------------------------


def factor_range(argument, value, low=0.0, high=1.0, symmetric=False) -> Any:
    """`(lower, upper)`, from such a pair, or from a number.

    A number `f` means `(0, f)`, or `(-f, f)` for `symmetric`.
    """
    if is_number(value):
        least = -max(abs(low), high) if symmetric else low
        pair = (-abs(value), abs(value)) if symmetric else (0, value)
        fits = least <= value <= high
    else:
        pairs = isinstance(value, (list, tuple)) and len(value) == 2 and all(map(is_number, value))
        pair = tuple(sorted(value)) if pairs else (low, high)
        fits = pairs and low <= pair[0] and pair[1] <= high
    if not fits:
        bounds = f"from {low} to {high}" if math.isfinite(high) else f"of at least {low}"
        wanted = f"a number {bounds}, or two of them (lower, upper)"
        raise ValueError(expected(argument, wanted, value))
    return pair


def is_number(value):
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


def checked_range(layer, value):
    """The pair of numbers that a `value_range` is."""
    pair = isinstance(value, (list, tuple)) and len(value) == 2 and all(map(is_number, value))
    if not pair or not value[0] < value[1]:
        wanted = "two numbers (low, high), such as (0, 255)"
        raise ValueError(expected(f"{type(layer).__name__}'s value_range", wanted, value))
    return tuple(value)


def as_tuple(value):
    """A list, which a file makes of a tuple, as one."""
    return tuple(value) if isinstance(value, list) else value


def uniform(key, shape, bounds=(0.0, 1.0)):
    """Numbers spread evenly over `bounds`, a pair.

    By JAX's generator, a loop: XLA would draw what is written out (see `rng.bernoulli`) again for
    every pixel that it fuses the few numbers of an image with, and take 40 times as long.
    """
    return draw(jax.random.uniform, key, shape, "float32", *bounds)


def chosen(key, count, bounds):
    """`[count]` booleans: each image has a chance of its own, drawn from `bounds`."""
    chance, place = uniform(key, (2, count))
    return place < bounds[0] + chance * (bounds[1] - bounds[0])


def per_image(x):
    """Numbers of images, one each, in a shape that broadcasts to `[b, h, w, c]`."""
    return jnp.reshape(jnp.asarray(x), (-1, 1, 1, 1))
