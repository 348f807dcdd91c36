"""Images in another size: resized, or a part of them. And boxes in a given number."""

import jax
import jax.numpy as jnp
from jax import lax

from ..core.messages import one_of
from ..ops._convert import array
from ..ops._image import resize
from ._arguments import positive_int
from ._image import ImageLayer, RandomImageLayer

_INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")


def scaling(x, y, left: float = 0, top: float = 0):
    """`[1, 3, 3]`: points times `(x, y)`, then moved by `(left, top)`."""
    return jnp.array([[[x, 0, left], [0, y, top], [0, 0, 1]]], "float32")


class Resizing(ImageLayer):
    """Images in the size `height` by `width`, in their own dtype.

    Args:
        height, width: the size.
        interpolation: `"nearest"`, `"bilinear"`, `"bicubic"`, `"lanczos3"` or `"lanczos5"`.
        crop_to_aspect_ratio: whether to cut images to the proportions of the size first.
        pad_to_aspect_ratio: whether to extend them to the proportions of the size first.
        fill_mode: `"constant"`, how to extend them.
        fill_value: what to extend them with.
        antialias: whether images that shrink are smoothed first.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.

    Example:

    >>> keras.layers.Resizing(2, 4)(np.zeros((3, 8, 8, 1), "uint8")).shape
    (3, 2, 4, 1)
    """

    trains_only = False
    keeps_integers = True

    def __init__(
        self,
        height,
        width,
        interpolation="bilinear",
        crop_to_aspect_ratio=False,
        pad_to_aspect_ratio=False,
        fill_mode="constant",
        fill_value=0.0,
        antialias=False,
        data_format=None,
        **kwargs,
    ):
        super().__init__(data_format=data_format, **kwargs)
        self.height = positive_int("Resizing's height", height)
        self.width = positive_int("Resizing's width", width)
        self.interpolation = one_of("Resizing's interpolation", interpolation, _INTERPOLATIONS)
        if crop_to_aspect_ratio and pad_to_aspect_ratio:
            raise ValueError(
                "Only one of Resizing's crop_to_aspect_ratio and pad_to_aspect_ratio can be true; "
                "received both."
            )
        self.crop_to_aspect_ratio = crop_to_aspect_ratio
        self.pad_to_aspect_ratio = pad_to_aspect_ratio
        self.fill_mode = one_of("Resizing's fill_mode", fill_mode, ("constant",))
        self.fill_value = fill_value
        self.antialias = antialias

    def _resized(self, x, interpolation):
        return resize(
            x,
            (self.height, self.width),
            interpolation,
            self.antialias,
            self.crop_to_aspect_ratio,
            self.pad_to_aspect_ratio,
            self.fill_mode,
            self.fill_value,
            "channels_last",
        )

    def _pixels(self, images, transformation):
        return self._resized(images, self.interpolation)

    def _mask(self, masks, transformation):
        return self._resized(masks, "nearest")

    def _plane(self, transformation, size):
        old, new = size, (self.height, self.width)
        # Each side as the other one and the proportions want it.
        fitting = old[1] * new[0] // new[1], old[0] * new[1] // new[0]
        margins = 0, 0
        if self.crop_to_aspect_ratio:
            margins = tuple(-(max(m - max(n, 1), 0) // 2) for m, n in zip(old, fitting))
            old = tuple(min(m, max(n, 1)) for m, n in zip(old, fitting))
        elif self.pad_to_aspect_ratio:
            margins = tuple(max(n - m, 0) // 2 for m, n in zip(old, fitting))
            old = tuple(m + 2 * margin for m, margin in zip(old, margins))
        y, x = (n / m for n, m in zip(new, old))
        return scaling(x, y, x * margins[1], y * margins[0]), new


class _Crop(ImageLayer):
    """What is shared by the layers that cut out a rectangle.

    Of images that are smaller than it, they return the largest part of its proportions, resized.
    """

    def __init__(self, height, width, data_format=None, **kwargs):
        super().__init__(data_format=data_format, **kwargs)
        self.height = positive_int(f"{type(self).__name__}'s height", height)
        self.width = positive_int(f"{type(self).__name__}'s width", width)
        self._resizing = Resizing(height, width, crop_to_aspect_ratio=True)

    def _corner(self, transformation, size):
        """The first row and column of the rectangle; `None` where the image is too small."""
        raise NotImplementedError

    def _fits(self, size):
        return size[0] >= self.height and size[1] >= self.width

    def _cut(self, x, transformation, interpolation):
        corner = self._corner(transformation, x.shape[1:3])
        if corner is None:
            return self._resizing._resized(x, interpolation)
        sizes = (x.shape[0], self.height, self.width, x.shape[3])
        return lax.dynamic_slice(x, (0, *corner, 0), sizes)

    def _pixels(self, images, transformation):
        return self._cut(images, transformation, "bilinear")

    def _mask(self, masks, transformation):
        return self._cut(masks, transformation, "nearest")

    def _plane(self, transformation, size):
        corner = self._corner(transformation, size)
        if corner is None:
            return self._resizing._plane(transformation, size)
        top, left = corner
        return scaling(1, 1, -left, -top), (self.height, self.width)


class CenterCrop(_Crop):
    """The middle of images.

    Of an image that is smaller than `height` by `width`, the largest part of these proportions is
    resized to them.

    Args:
        height, width: the size of the middle.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.

    Example:

    >>> keras.layers.CenterCrop(1, 2)(np.arange(12.0).reshape(3, 4, 1)).ravel()
    Array([5., 6.], dtype=float32)
    """

    trains_only = False

    def _corner(self, transformation, size):
        if not self._fits(size):
            return None
        return tuple((m - n) // 2 for m, n in zip(size, (self.height, self.width)))


class RandomCrop(_Crop, RandomImageLayer):
    """While training, a rectangle of images, at a place that is drawn for the batch.

    Otherwise, and of images that are smaller than the rectangle, the largest part of these
    proportions is resized to `height` by `width`.

    Args:
        height, width: the size of the rectangle.
        seed: int or `SeedGenerator`, for repeatable numbers.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.

    Example:

    >>> layer = keras.layers.RandomCrop(2, 2, seed=1)
    >>> layer(np.ones((3, 8, 8, 1)), training=True).shape
    (3, 2, 2, 1)
    """

    trains_only = False

    def __init__(self, height, width, seed=None, data_format=None, name=None, **kwargs):
        super().__init__(height, width, seed=seed, data_format=data_format, name=name, **kwargs)

    def _draw(self, key, count, size):
        if not self._fits(size):
            return {}
        most = jnp.array([m - n + 1 for m, n in zip(size, (self.height, self.width))])
        return {"corner": jax.random.randint(key, (2,), 0, most)}

    def _corner(self, transformation, size):
        corner = transformation.get("corner")
        return None if corner is None else (corner[0], corner[1])


class MaxNumBoundingBoxes(ImageLayer):
    """As many bounding boxes for every image: the first ones, and padding where there are fewer.

    Args:
        max_number: how many.
        fill_value: what the padding's boxes and labels are made of.

    Example:

    >>> layer = keras.layers.MaxNumBoundingBoxes(2, bounding_box_format="xyxy")
    >>> boxes = {"boxes": np.ones((1, 1, 4)), "labels": np.array([[3]])}
    >>> data = layer({"images": np.zeros((1, 8, 8, 3)), "bounding_boxes": boxes})
    >>> data["bounding_boxes"]["labels"]
    Array([[ 3, -1]], dtype=int32)
    """

    trains_only = False
    keeps_integers = True

    def __init__(self, max_number, fill_value=-1, **kwargs):
        super().__init__(**kwargs)
        self.max_number = positive_int("MaxNumBoundingBoxes's max_number", max_number)
        self.fill_value = fill_value

    def transform_bounding_boxes(self, bounding_boxes, transformation=None, training=True):
        """The first boxes, and padding."""
        boxes, labels = (array(bounding_boxes[name]) for name in ("boxes", "labels"))
        axis = boxes.ndim - 2
        return {
            **bounding_boxes,
            "boxes": self._fill(boxes, axis),
            "labels": self._fill(labels, axis),
        }

    def _fill(self, x, axis):
        margins = [(0, 0)] * x.ndim
        margins[axis] = (0, self.max_number)
        x = jnp.pad(x, margins, constant_values=self.fill_value)
        return lax.slice_in_dim(x, 0, self.max_number, axis=axis)
