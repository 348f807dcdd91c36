"""Images: files, Pillow's objects and arrays, and data sets of them."""

import functools
import io
import os
import warnings
from typing import Any

import jax
import numpy as np

from ..core import settings
from ..core.messages import expected, missing_package, one_of, unknown_keywords
from ..ops._image import KERNELS, margins_to_proportions, resize, taps
from ._dataset import processors
from ._files import from_directory

_MODES = {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}
_ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".png")

# Those of `tf.image.resize` that `ops.image.resize` doesn't have. The cubic is that of Mitchell and
# Netravali (1988), the Gaussian's deviation is half a pixel.
_MORE_KERNELS = {
    "gaussian": (1.5, lambda x: np.exp(-2 * x**2)),
    "mitchellcubic": (
        2,
        lambda x: np.where(
            x < 1,
            (7 * x**3 - 12 * x**2 + 16 / 3) / 6,
            (-7 / 3 * x**3 + 12 * x**2 - 20 * x + 32 / 3) / 6,
        ),
    ),
}
_INTERPOLATIONS = {**KERNELS, **_MORE_KERNELS}


def pillow(what) -> Any:
    """The module PIL.Image, or an error that says how to install it."""
    try:
        import PIL.Image
    except ImportError:
        raise missing_package("pillow", "data", what) from None
    return PIL.Image


def image_dataset_from_directory(
    directory,
    labels="inferred",
    label_mode="int",
    class_names=None,
    color_mode="rgb",
    batch_size: int | None = 32,
    image_size=(256, 256),
    shuffle=True,
    seed=None,
    validation_split=None,
    subset=None,
    interpolation="bilinear",
    follow_links=False,
    crop_to_aspect_ratio=False,
    pad_to_aspect_ratio=False,
    data_format=None,
    format="tf",
    verbose=True,
) -> Any:
    """A data set of the images in a folder, in which each class has a folder of its own.

    Files end in .bmp, .gif (of which the first picture counts), .jpeg, .jpg or .png. They are
    decoded by threads, one per processor, while batches before them are used; set the data set's
    `workers` and `use_multiprocessing` for other numbers, or processes.

    Args:
        directory: the folder. Folders inside folders of classes are read, too.
        labels: `"inferred"` from the folders' names, `None`, or ints, one for each file in the
            order of sorted paths.
        label_mode: `"int"`: labels are int32 `[b]`; `"categorical"`: float32 `[b, classes]`, 1 at
            the class; `"binary"`: float32 `[b, 1]`, for two classes; `None`: there are none.
        class_names: names of the folders in the order of their numbers; sorted by default. Other
            folders are left out.
        color_mode: `"grayscale"`, `"rgb"` or `"rgba"`: 1, 3 or 4 channels.
        batch_size: images in a batch; `None` for single images.
        image_size: `(height, width)` that images are resized to.
        shuffle: whether files are shuffled; the first pass has the order of `file_paths`, each
            other one a new order. Otherwise they are sorted.
        seed: int that orders come from.
        validation_split: the part of the files, between 0 and 1, that is held back. It is the one
            that Keras holds back.
        subset: with `validation_split`, `"training"`, `"validation"`, or `"both"` for a tuple.
        interpolation: `"bilinear"`, `"nearest"`, `"bicubic"`, `"area"`, `"lanczos3"`,
            `"lanczos5"`, `"gaussian"` or `"mitchellcubic"`.
        follow_links: whether to read folders behind links.
        crop_to_aspect_ratio: whether to cut images to the proportions of `image_size` first.
        pad_to_aspect_ratio: whether to extend them to these by zeros first.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.
        format: `"tf"` or `"grain"`, without a difference.
        verbose: whether to print how many files there are.

    Returns:
        A `Dataset` of `(images, labels)`, or of images without labels. Images are float32 from 0
        to 255, `[b, height, width, channels]`.

    Raises:
        ValueError: if there are no files, or other labels than files; while reading, if a file
            can't be read, with its name.

    Example:

    >>> import pathlib, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> for name in ("cat", "dog"):
    ...     pathlib.Path(folder.name, name).mkdir()
    ...     for i in range(3):
    ...         keras.utils.save_img(f"{folder.name}/{name}/{i}.png", np.ones((8, 8, 3)))
    >>> ds = keras.utils.image_dataset_from_directory(folder.name, image_size=(4, 4), batch_size=2)
    Found 6 files belonging to 2 classes.
    >>> len(ds), ds.class_names
    (3, ['cat', 'dog'])
    >>> for images, labels in ds.take(1):
    ...     print(images.shape, labels.shape)
    (2, 4, 4, 3) (2,)
    >>> folder.cleanup()
    """
    pillow("image_dataset_from_directory")
    one_of("color_mode", color_mode, _MODES)
    one_of("interpolation", interpolation, ("nearest", "area", *_INTERPOLATIONS))
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError(
            "Only one of crop_to_aspect_ratio and pad_to_aspect_ratio can be true; received both."
        )
    read = functools.partial(
        read_image,
        color_mode=color_mode,
        size=_two_sizes("image_size", image_size),
        interpolation=interpolation,
        crop=crop_to_aspect_ratio,
        pad=pad_to_aspect_ratio,
        data_format=_format(data_format),
    )
    return from_directory(
        directory,
        "image",
        _ENDINGS,
        read,
        labels=labels,
        label_mode=label_mode,
        class_names=class_names,
        batch_size=batch_size,
        shuffle=shuffle,
        seed=seed,
        validation_split=validation_split,
        subset=subset,
        follow_links=follow_links,
        verbose=verbose,
        format=format,
        workers=processors(),
    )


def read_image(path, color_mode, size, interpolation, crop, pad, data_format):
    """The image of a file, float32, in a size."""
    x = np.asarray(load_img(path, color_mode))
    x = x[:, :, None] if x.ndim == 2 else x
    x = resized(x, size, interpolation, crop, pad)
    return np.ascontiguousarray(x.transpose(2, 0, 1)) if data_format == "channels_first" else x


def resized(x, size, interpolation="bilinear", crop=False, pad=False):
    """What `ops.image.resize` does to one image `[h, w, c]`, by NumPy.

    XLA would compile a program for each size that files have.
    """
    if crop or pad:
        margins = margins_to_proportions(x.shape[:2], size, crop)
        if pad:
            x = np.pad(x, [*margins, (0, 0)])
        (top, bottom), (left, right) = margins if crop else ((0, 0), (0, 0))
        x = x[-top : x.shape[0] + bottom, -left : x.shape[1] + right]
    for axis, new in enumerate(size):
        old = x.shape[axis]
        if interpolation == "nearest":
            x = x.take((2 * np.arange(new) + 1) * old // (2 * new), axis)
        elif old != new:
            x = _interpolated(x, axis, new, interpolation)
    return x.astype("float32", copy=False)


def _interpolated(x, axis, new, interpolation):
    old = x.shape[axis]
    if interpolation == "area":
        ends = np.linspace(0, old, new + 1)[:, None]
        covered = np.minimum(ends[1:], np.arange(1, old + 1)) - np.maximum(
            ends[:-1], np.arange(old)
        )
        matrix = (np.maximum(covered, 0) * new / old).astype("float32")
        return np.moveaxis(np.tensordot(matrix, x.astype("float32"), (1, axis)), 0, axis)
    index, weight = taps(old, new, _INTERPOLATIONS[interpolation], False)
    weight = weight.astype("float32").reshape(*weight.shape, *(1,) * (x.ndim - 1 - axis))
    total = x.take(index[0], axis) * weight[0]
    for i, w in zip(index[1:], weight[1:]):
        total += x.take(i, axis) * w
    return total


def _two_sizes(argument, size: Any):
    if isinstance(size, (int, np.integer)):
        size = (size, size)
    if np.shape(size) != (2,) or min(size) < 1:
        raise ValueError(expected(argument, "two ints of at least 1, (height, width)", size))
    return int(size[0]), int(size[1])


def _format(data_format):
    if data_format is None:
        return settings.image_data_format()
    return one_of("data_format", data_format, ("channels_last", "channels_first"))


# Pillow's images ---------------------------------------------------------------------------------


def load_img(
    path, color_mode="rgb", target_size=None, interpolation="nearest", keep_aspect_ratio=False
):
    """An image file as Pillow's `Image`.

    Args:
        path: the file, or an `io.BytesIO` that holds it.
        color_mode: `"grayscale"`, `"rgb"` or `"rgba"`. Grey images of more than 8 bits stay as
            they are in the first.
        target_size: `(height, width)` to resize to; by default the size stays.
        interpolation: `"nearest"`, `"bilinear"`, `"bicubic"`, `"hamming"`, `"box"` or
            `"lanczos"`, as Pillow does it: images that shrink are smoothed, but for the first.
        keep_aspect_ratio: whether to cut the middle of the proportions of `target_size` out first.

    Example:

    >>> import io
    >>> file = io.BytesIO()
    >>> keras.utils.save_img(file, np.zeros((2, 3, 3)), file_format="png")
    >>> keras.utils.load_img(file, target_size=(4, 4)).size
    (4, 4)
    """
    Image = pillow("load_img")
    one_of("color_mode", color_mode, _MODES)
    if not isinstance(path, (str, os.PathLike, io.BytesIO)):
        raise TypeError(expected("path", "a path or an io.BytesIO", path))
    with Image.open(path) as image:
        image.load()
        many_bits = color_mode == "grayscale" and image.mode in ("I;16", "I;16B", "I", "F")
        if image.mode != _MODES[color_mode] and not many_bits:
            image = image.convert(_MODES[color_mode])
        image = image.copy()  # the file is closed
    if target_size is None:
        return image
    height, width = _two_sizes("target_size", target_size)
    methods = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")
    one_of("interpolation", interpolation, methods)
    box = None
    if keep_aspect_ratio:
        old = (image.height, image.width)
        rows, columns = margins_to_proportions(old, (height, width), crop=True)
        box = (-columns[0], -rows[0], image.width + columns[1], image.height + rows[1])
    method = Image.Resampling[interpolation.upper()]
    return image if image.size == (width, height) else image.resize((width, height), method, box)


def img_to_array(img, data_format=None, dtype=None):
    """One of Pillow's images (or an array) as a NumPy array `[height, width, channels]`.

    Args:
        img: the image.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.
        dtype: dtype of the result, by default `keras.config.floatx()`.

    Example:

    >>> image = keras.utils.array_to_img(np.ones((2, 3, 1)), scale=False)
    >>> keras.utils.img_to_array(image).shape
    (2, 3, 1)
    """
    data_format = _format(data_format)
    x = np.asarray(img, dtype=settings.floatx() if dtype is None else dtype)
    if x.ndim == 2:
        return x[None] if data_format == "channels_first" else x[:, :, None]
    if x.ndim != 3:
        raise ValueError(expected("img", "of two or three axes", x))
    is_array = isinstance(img, np.ndarray)
    return x.transpose(2, 0, 1) if data_format == "channels_first" and not is_array else x


def array_to_img(x, data_format=None, scale=True, dtype=None):
    """An array `[height, width, channels]` as Pillow's `Image`.

    Args:
        x: array of 1, 3 or 4 channels.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.
        scale: whether the smallest number becomes 0 and the largest 255; otherwise numbers are
            taken as they are.
        dtype: dtype to compute in, by default `keras.config.floatx()`.

    Returns:
        An image of 8 bits per channel. One of a single channel has 32, if a number is above 255.

    Example:

    >>> keras.utils.array_to_img(np.ones((2, 3, 3))).size
    (3, 2)
    """
    Image = pillow("array_to_img")
    data_format = _format(data_format)
    x = np.asarray(x, dtype=settings.floatx() if dtype is None else dtype)
    if x.ndim != 3:
        raise ValueError(expected("x", "an array of three axes, one image", x))
    if data_format == "channels_first":
        x = x.transpose(1, 2, 0)
    if scale:
        x = x - x.min()
        largest = x.max()
        x = x / (largest if largest else 1) * 255
    if x.shape[2] not in (1, 3, 4):
        raise ValueError(expected("x", "an image of 1, 3 or 4 channels", x))
    if x.shape[2] == 1:
        x = x[:, :, 0]
        return Image.fromarray(x.astype("int32" if x.max() > 255 else "uint8"))
    return Image.fromarray(x.astype("uint8"))


def save_img(path, x, data_format=None, file_format=None, scale=True, **kwargs):
    """Write an array `[height, width, channels]` to an image file.

    Args:
        path: the file, or a file object.
        x: array of 1, 3 or 4 channels; JPEG leaves out the fourth.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.
        file_format: such as `"png"`; by default what the ending of `path` says.
        scale: see `array_to_img`.
        **kwargs: for Pillow's `Image.save`, such as `quality=90`.

    Example:

    >>> import io
    >>> keras.utils.save_img(io.BytesIO(), np.zeros((2, 2, 1)), file_format="png")
    """
    image = array_to_img(x, data_format=data_format, scale=scale)
    ending = file_format or (os.path.splitext(path)[1][1:] if _is_path(path) else "")
    if image.mode == "RGBA" and ending.lower() in ("jpg", "jpeg"):
        warnings.warn("JPEG has no fourth channel; it is left out.", stacklevel=2)
        image = image.convert("RGB")
    name = None if not file_format else {"jpg": "jpeg"}.get(file_format.lower(), file_format)
    image.save(path, format=name, **kwargs)


def _is_path(path):
    return isinstance(path, (str, os.PathLike))


def smart_resize(x, size, interpolation="bilinear", data_format="channels_last", **kwargs):
    """Images in another size without distortion: the largest middle part of its proportions.

    Args:
        x: `[h, w, c]` or `[b, h, w, c]`, or with channels before height.
        size: `(height, width)` of the result.
        interpolation: see `keras.ops.image.resize`.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.

    Returns:
        Floats; a NumPy array unless `x` is a JAX array.

    Example:

    >>> keras.preprocessing.image.smart_resize(np.ones((8, 4, 3)), (2, 2)).shape
    (2, 2, 3)
    """
    if kwargs:
        raise unknown_keywords("smart_resize", kwargs)
    y = resize(
        x if isinstance(x, jax.Array) else np.asarray(x, settings.floatx()),
        size,
        interpolation=interpolation,
        crop_to_aspect_ratio=True,
        data_format=data_format,
    )
    return y if isinstance(x, jax.Array) else np.asarray(y)
