"""Layers that change colours and brightness, and leave everything in its place."""

import jax
import jax.numpy as jnp
import numpy as np

from ..core.loading import count_calls
from ..core.messages import expected
from ..ops._filters import filtered, gaussian
from ..ops._image import hsv_to_rgb, rgb_to_grayscale, rgb_to_hsv
from ._arguments import int_tuple, positive_int
from ._image import (
    ImageLayer,
    RandomImageLayer,
    as_tuple,
    checked_range,
    chosen,
    factor_range,
    is_number,
    per_image,
    uniform,
)

_LAST = "channels_last"

# Values that lie between two bytes by rounding errors count as the upper one.
_ROUNDING = 1e-3


class _Ranged:
    """What is shared by the layers whose images have values in a `value_range`."""

    value_range: tuple

    @property
    def _span(self):
        return self.value_range[1] - self.value_range[0]

    def _clip(self, images):
        return jnp.clip(images, *self.value_range)

    def _scaled(self, images, top=255.0):
        """Images with values from 0 to `top`."""
        return (images - self.value_range[0]) * (top / self._span)

    def _unscaled(self, images, top=255.0):
        return images * (self._span / top) + self.value_range[0]


class _RandomColour(_Ranged, RandomImageLayer):
    """Base of the random ones."""

    def __init__(self, value_range, **kwargs):
        super().__init__(**kwargs)
        self.value_range = checked_range(self, value_range)


# Brightness and contrast -------------------------------------------------------------------------


class RandomBrightness(_RandomColour):
    """While training, adds a number to every image, and clips it to the range of values.

    Args:
        factor: the number, as a share of the range, in `[-1, 1]`: `(lower, upper)`, or a number `f`
            for `(-f, f)`.
        value_range: lowest and highest value of a pixel.
        seed: int or `SeedGenerator`, for repeatable numbers.

    Example:

    >>> keras.layers.RandomBrightness((0.2, 0.2))(np.array([[[0, 100, 230]]], "uint8"))
    Array([[[ 51, 151, 255]]], dtype=uint8)
    """

    keeps_integers = True

    def __init__(self, factor, value_range=(0, 255), seed=None, **kwargs):
        super().__init__(value_range, seed=seed, **kwargs)
        self.factor = factor_range("RandomBrightness's factor", factor, -1, 1, symmetric=True)

    def _draw(self, key, count, size):
        return {"rgb_delta": per_image(uniform(key, (count,), self.factor)) * self._span}

    def _pixels(self, images, transformation):
        return self._clip(images + per_image(transformation["rgb_delta"]))


class RandomContrast(_RandomColour):
    """While training, moves pixels away from their channel's mean, or towards it.

    `(x - mean) * factor + mean`, clipped to the range of values; the factor of every image is drawn
    from `[1 - lower, 1 + upper]`.

    Args:
        factor: `(lower, upper)` in `[0, 1]`, or one number for both.
        value_range: lowest and highest value of a pixel.
        seed: int or `SeedGenerator`, for repeatable numbers.

    Example:

    >>> layer = keras.layers.RandomContrast(0.5, seed=1)
    >>> x = layer(np.array([[[90.0], [110.0]]]))
    >>> float(x.mean()), 10 <= float(jnp.ptp(x)) <= 30
    (100.0, True)
    """

    def __init__(self, factor, value_range=(0, 255), seed=None, **kwargs):
        super().__init__(value_range, seed=seed, **kwargs)
        both = (factor, factor) if is_number(factor) else factor
        pair = factor_range("RandomContrast's factor", both)
        # In this order, (lower, upper), not sorted: they are two different things.
        self.factor = pair if is_number(factor) else tuple(factor)

    def _draw(self, key, count, size):
        lower, upper = self.factor
        return {"contrast_factor": per_image(uniform(key, (count,), (1 - lower, 1 + upper)))}

    def _pixels(self, images, transformation):
        mean = images.mean(1, keepdims=True).mean(2, keepdims=True)  # half the time of both at once
        factor = per_image(transformation["contrast_factor"])
        return self._clip((images - mean) * factor + mean)


class AutoContrast(_Ranged, ImageLayer):
    """Stretches the values of every channel over the whole range; also at inference.

    Args:
        value_range: lowest and highest value of a pixel.

    Example:

    >>> keras.layers.AutoContrast()(np.array([[[50.0], [60.0], [100.0]]])).ravel()
    Array([  0.,  51., 255.], dtype=float32)
    """

    trains_only = False

    def __init__(self, value_range=(0, 255), **kwargs):
        super().__init__(**kwargs)
        self.value_range = checked_range(self, value_range)

    def _pixels(self, images, transformation):
        low, high = (f(images, (1, 2), keepdims=True) for f in (jnp.min, jnp.max))
        spread = high - low
        stretched = self._unscaled((images - low) / jnp.where(spread > 0, spread, 1), 1)
        return jnp.where(spread > 0, stretched, images)


class Equalization(_Ranged, ImageLayer):
    """Spreads the values of every channel so that all are about equally frequent.

    A value becomes the share of pixels that are lower than it or equal, without those of the lowest
    value. Also at inference.

    Args:
        value_range: lowest and highest value of a pixel.
        bins: how many values are told apart.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.

    Example:

    >>> x = np.array([10.0, 20.0, 20.0, 90.0, 250.0])
    >>> keras.layers.Equalization()(x.reshape(1, 5, 1)).ravel()
    Array([  0., 128., 128., 191., 255.], dtype=float32)
    """

    trains_only = False

    def __init__(self, value_range=(0, 255), bins=256, data_format=None, **kwargs):
        super().__init__(data_format=data_format, **kwargs)
        self.value_range = checked_range(self, value_range)
        self.bins = positive_int("Equalization's bins", bins)

    def _pixels(self, images, transformation):
        top = self.bins - 1
        bins = jnp.clip(jnp.floor(self._scaled(images, top) + _ROUNDING), 0, top).astype("int32")
        below = jnp.cumsum(_histogram(bins, self.bins), -1)  # [b, c, bins]
        lowest = jnp.min(jnp.where(below > 0, below, jnp.inf), -1, keepdims=True)
        others = below[..., -1:] - lowest
        table = jnp.round((below - lowest) / jnp.where(others > 0, others, 1) * 255)
        equalized = self._unscaled(_looked_up(table, bins))
        flat = jnp.moveaxis(others == 0, 1, -1)[:, None]  # [b, 1, 1, c]: of one value only
        return jnp.where(flat, images, equalized)


def _histogram(bins, count):
    """`[b, c, count]`: how many pixels of `[b, h, w, c]` fall into each bin."""

    def one(index):
        return jnp.zeros(count, "float32").at[index.reshape(-1)].add(1)

    return jax.vmap(jax.vmap(one, in_axes=-1))(bins)


def _looked_up(table, index):
    """`[b, h, w, c]`: entries of tables `[b, c, n]`."""
    return jax.vmap(jax.vmap(jnp.take, in_axes=(0, -1), out_axes=-1))(table, index)


class ContrastLimitedAdaptiveHistogramEqualization(_Ranged, ImageLayer):
    """Spreads values, as `Equalization` does, but by what is around a pixel: CLAHE.

    The image is divided into tiles, each of which has its own table of values; a pixel gets a mean
    of the tables of the four nearest tiles, by its distance from their middles. Before that, bins
    with many pixels are cut off at a limit, and what was above it is spread over all bins, so that
    noise in even regions isn't blown up. Also at inference.

    Args:
        value_range: lowest and highest value of a pixel.
        clip_limit: the limit, as a multiple of what every bin would have if all were equal. With 0
            there is none.
        tile_grid_size: `(rows, columns)` of tiles.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.

    Reference: Zuiderveld, 1994, "Contrast limited adaptive histogram equalization", in: Graphics
    Gems IV, pp. 474-485

    Example:

    >>> x = np.random.default_rng(0).integers(100, 120, (64, 64, 3)).astype("uint8")
    >>> y = keras.layers.ContrastLimitedAdaptiveHistogramEqualization()(x)
    >>> y.dtype, bool(np.ptp(y) > np.ptp(x))
    (dtype('uint8'), True)
    """

    trains_only = False
    keeps_integers = True

    def __init__(
        self,
        value_range=(0, 255),
        clip_limit=4.0,
        tile_grid_size=(8, 8),
        data_format=None,
        **kwargs,
    ):
        super().__init__(data_format=data_format, **kwargs)
        self.value_range = checked_range(self, value_range)
        self.clip_limit = clip_limit
        self.tile_grid_size = int_tuple("tile_grid_size", tile_grid_size, 2)

    def _pixels(self, images, transformation):
        bins = jnp.clip(jnp.floor(self._scaled(images) + _ROUNDING), 0, 255).astype("int32")
        (rows, columns), (height, width) = self.tile_grid_size, images.shape[1:3]
        missing = -height % rows, -width % columns
        count_calls(missing[0] // height + missing[1] // width)  # of `pad`
        padded = jnp.pad(bins, ((0, 0), *((0, n) for n in missing), (0, 0)), "symmetric")
        h, w = (height + missing[0]) // rows, (width + missing[1]) // columns
        # [b, rows, h, columns, w, c] to [b, h, w, c, tile]
        tiles = padded.reshape(-1, rows, h, columns, w, images.shape[-1])
        tiles = jnp.moveaxis(tiles, (1, 3), (-2, -1)).reshape(*tiles.shape[:1], h, w, -1)
        counts = _histogram(tiles, 256)
        if self.clip_limit > 0:
            limit = self.clip_limit * h * w / 256
            counts = jnp.minimum(counts, limit)
            counts += (h * w - counts.sum(-1, keepdims=True)) / 256
        below = jnp.cumsum(counts, -1)
        first, others = below[..., :1], below[..., -1:] - below[..., :1]
        table = (below - first) / jnp.where(others > 0, others, 1) * 255
        table = table.reshape(-1, images.shape[-1], rows, columns, 256)
        return self._unscaled(_between_tiles(table, bins, h, w))


def _between_tiles(table, bins, h, w):
    """`[b, h, w, c]`: entries of tables `[b, c, rows, columns, n]`, between tiles of `h` by `w`."""

    def nearest(n, step, tiles):
        """The tiles before and after each of `n` pixels, and their shares."""
        place = jnp.arange(n) / step - 0.5
        before = jnp.floor(place).astype("int32")
        after = place - before
        limited = (jnp.clip(before + k, 0, tiles - 1) for k in (0, 1))
        return list(zip(limited, (1 - after, after)))

    def entries(tables, index):  # of one image and channel
        return sum(
            tables[row[:, None], column, index] * (row_share[:, None] * column_share)
            for row, row_share in nearest(bins.shape[1], h, table.shape[2])
            for column, column_share in nearest(bins.shape[2], w, table.shape[3])
        )

    return jax.vmap(jax.vmap(entries, in_axes=(0, -1), out_axes=-1))(table, bins)


# Colours -----------------------------------------------------------------------------------------


class RandomSaturation(_RandomColour):
    """While training, makes the colours of every image weaker or stronger.

    The saturation is multiplied by `f / (1 - f)`, up to what is possible.

    Args:
        factor: `f`: 0 makes the image grey, 0.5 leaves it, 1 makes it as colourful as possible.
            `(lower, upper)`, or a number `f` for `(0, f)`.
        value_range: lowest and highest value of a pixel.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.
        seed: int or `SeedGenerator`, for repeatable numbers.

    Example:

    >>> keras.layers.RandomSaturation((0.4, 0.4))(np.array([[[100.0, 160.0, 40.0]]])).round()
    Array([[[120., 160.,  80.]]], dtype=float32)
    """

    def __init__(self, factor, value_range=(0, 255), data_format=None, seed=None, **kwargs):
        super().__init__(value_range, data_format=data_format, seed=seed, **kwargs)
        self.factor = _share("RandomSaturation's factor", factor)

    def _draw(self, key, count, size):
        share = uniform(key, (count,), self.factor)
        return {"factor": share / jnp.maximum(1 - share, 1e-7)}

    def _pixels(self, images, transformation):
        # In HSV a colour is `value - value * saturation * g(hue)`: no need to compute the hue.
        x = images - self.value_range[0]
        value, least = x.max(-1, keepdims=True), x.min(-1, keepdims=True)
        spread = value - least
        most = value / jnp.where(spread > 0, spread, 1)
        factor = jnp.clip(per_image(transformation["factor"]), 0, most)
        return value - factor * (value - x) + self.value_range[0]


def _share(argument, value):
    # Keras writes a number f as (-f, f) into files.
    return factor_range(argument, value) if is_number(value) else factor_range(argument, value, -1)


class RandomHue(_RandomColour):
    """While training, turns the hue of every image to the left or right.

    Args:
        factor: by how many half turns: `(lower, upper)` in `[0, 1]`, or a number `f` for `(0, f)`.
        value_range: lowest and highest value of a pixel.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.
        seed: int or `SeedGenerator`, for repeatable numbers.

    Example:

    >>> keras.layers.RandomHue((1.0, 1.0))(np.array([[[200.0, 0.0, 0.0]]])).round()
    Array([[[  0., 200., 200.]]], dtype=float32)
    """

    def __init__(self, factor, value_range=(0, 255), data_format=None, seed=None, **kwargs):
        super().__init__(value_range, data_format=data_format, seed=seed, **kwargs)
        self.factor = factor_range("RandomHue's factor", factor)

    def _draw(self, key, count, size):
        keys = jax.random.split(key)
        sign = jnp.where(uniform(keys[0], (count,)) < 0.5, 0.5, -0.5)
        return {"factor": sign * uniform(keys[1], (count,), self.factor)}

    def _pixels(self, images, transformation):
        hue, saturation, value = jnp.split(rgb_to_hsv(self._scaled(images, 1), _LAST), 3, -1)
        hue = hue + per_image(transformation["factor"])  # a place on the circle
        colours = jnp.concatenate([hue, saturation, value], -1)
        return self._unscaled(hsv_to_rgb(colours, _LAST), 1)


class RandomColorDegeneration(_RandomColour):
    """While training, mixes every image with its grey version: `(1 - f) * x + f * grey`.

    Args:
        factor: `f`: `(lower, upper)`, or a number `f` for `(0, f)`.
        value_range: lowest and highest value of a pixel.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.
        seed: int or `SeedGenerator`, for repeatable numbers.

    Example:

    >>> layer = keras.layers.RandomColorDegeneration((0.5, 0.5))
    >>> layer(np.array([[[200.0, 0.0, 0.0]]])).round(1)
    Array([[[129.9,  29.9,  29.9]]], dtype=float32)
    """

    def __init__(self, factor, value_range=(0, 255), data_format=None, seed=None, **kwargs):
        super().__init__(value_range, data_format=data_format, seed=seed, **kwargs)
        self.factor = _share("RandomColorDegeneration's factor", factor)

    def _draw(self, key, count, size):
        return {"factor": per_image(uniform(key, (count,), self.factor))}

    def _pixels(self, images, transformation):
        grey = rgb_to_grayscale(images, _LAST)
        return self._clip(images + per_image(transformation["factor"]) * (grey - images))


class RandomGrayscale(RandomImageLayer):
    """While training, makes some images grey; they keep their channels.

    Args:
        factor: the chance of every image.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.
        seed: int or `SeedGenerator`, for repeatable numbers.

    Example:

    >>> keras.layers.RandomGrayscale(1.0)(np.array([[[100.0, 0.0, 0.0]]])).round(1)
    Array([[[29.9, 29.9, 29.9]]], dtype=float32)
    """

    keeps_integers = True

    def __init__(self, factor=0.5, data_format=None, seed=None, **kwargs):
        super().__init__(data_format=data_format, seed=seed, **kwargs)
        if not is_number(factor) or not 0 <= factor <= 1:
            raise ValueError(expected("RandomGrayscale's factor", "a number from 0 to 1", factor))
        self.factor = factor

    def _draw(self, key, count, size):
        return {"apply_grayscale": uniform(key, (count,)) < self.factor}

    # Keras gives these arguments other names here than in the other layers.

    def get_random_transformation(self, images, training=True, seed=None):
        """What is drawn for these images, or a dict with them."""
        return super().get_random_transformation(images, training, seed)

    def transform_labels(self, labels, transformations=None, training=True):
        """The labels, unchanged."""
        return labels

    def transform_segmentation_masks(self, segmentation_masks, transformations=None, training=True):
        """The masks, unchanged."""
        return segmentation_masks

    def _pixels(self, images, transformation):
        grey = rgb_to_grayscale(images, _LAST)
        return jnp.where(per_image(transformation["apply_grayscale"]), grey, images)


class RandomInvert(_RandomColour):
    """While training, inverts some images: high values become low ones.

    Args:
        factor: chance of an image to be changed: drawn for each from `(lower, upper)`; a number `f`
            means `(0, f)`.
        value_range: lowest and highest value of a pixel.
        seed: int or `SeedGenerator`, for repeatable numbers.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.

    Example:

    >>> keras.layers.RandomInvert((1.0, 1.0))(np.array([[[0.0, 55.0, 255.0]]]))
    Array([[[255., 200.,   0.]]], dtype=float32)
    """

    def __init__(self, factor=1.0, value_range=(0, 255), seed=None, data_format=None, **kwargs):
        super().__init__(value_range, seed=seed, data_format=data_format, **kwargs)
        self.factor = factor_range("RandomInvert's factor", factor)

    def _draw(self, key, count, size):
        return {"apply_inversion": chosen(key, count, self.factor)}

    def _pixels(self, images, transformation):
        apply = per_image(transformation["apply_inversion"])
        return jnp.where(apply, sum(self.value_range) - images, images)


class RandomPosterization(_RandomColour):
    """While training, keeps only the upper bits of every value.

    Args:
        factor: how many of 8 bits are left: drawn for every image from `lower, …, upper`; a number
            `f` means `(1, f)`.
        value_range: lowest and highest value of a pixel.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.
        seed: int or `SeedGenerator`, for repeatable numbers.

    Example:

    >>> keras.layers.RandomPosterization((2, 2))(np.array([[[3.0, 70.0, 250.0]]]))
    Array([[[  0.,  64., 192.]]], dtype=float32)
    """

    def __init__(self, factor, value_range=(0, 255), data_format=None, seed=None, **kwargs):
        super().__init__(value_range, data_format=data_format, seed=seed, **kwargs)
        pair = (1, factor) if is_number(factor) else factor
        self.factor = int_tuple("RandomPosterization's factor", pair, 2)
        if not self.factor[0] <= self.factor[1] <= 8:
            wanted = "a number of bits from 1 to 8, or two of them (lower, upper)"
            raise ValueError(expected("RandomPosterization's factor", wanted, factor))

    def _draw(self, key, count, size):
        lower, upper = self.factor
        return {"shift_factor": 8 - jax.random.randint(key, (count,), lower, upper + 1)}

    def _pixels(self, images, transformation):
        step = jnp.exp2(per_image(transformation["shift_factor"]).astype(images.dtype))
        return self._unscaled(jnp.floor((self._scaled(images) + _ROUNDING) / step) * step)


class Solarization(_RandomColour):
    """While training, adds a number to every image and inverts its bright pixels.

    Args:
        addition_factor: the number, as a share of the range: drawn for every image from `(lower,
            upper)` in `[0, 1]`; a number `f` means `(0, f)`.
        threshold_factor: from which share of the range on pixels are inverted, drawn in this way.
        value_range: lowest and highest value of a pixel.
        seed: int or `SeedGenerator`, for repeatable numbers.

    Example:

    >>> keras.layers.Solarization(threshold_factor=(0.5, 0.5))(np.array([[[0.0, 100.0, 200.0]]]))
    Array([[[  0., 100.,  55.]]], dtype=float32)
    """

    def __init__(
        self, addition_factor=0.0, threshold_factor=0.0, value_range=(0, 255), seed=None, **kwargs
    ):
        super().__init__(value_range, seed=seed, **kwargs)
        self.addition_factor = factor_range("Solarization's addition_factor", addition_factor)
        self.threshold_factor = factor_range("Solarization's threshold_factor", threshold_factor)

    def _draw(self, key, count, size):
        keys = jax.random.split(key)
        names = {"additions": self.addition_factor, "thresholds": self.threshold_factor}
        return {
            name: per_image(uniform(k, (count,), bounds)) * 255
            for k, (name, bounds) in zip(keys, names.items())
        }

    def _pixels(self, images, transformation):
        x = jnp.clip(self._scaled(images) + per_image(transformation["additions"]), 0, 255)
        x = jnp.where(x < per_image(transformation["thresholds"]), x, 255 - x)
        return self._unscaled(x)


# Sharpness ---------------------------------------------------------------------------------------


class RandomSharpness(_RandomColour):
    """While training, blurs or sharpens every image: `blurred + 2 f (x - blurred)`, clipped.

    In the blurred image, a pixel counts five times as much as each of the eight around it, and
    beyond the edges is the lowest value.

    Args:
        factor: `f`: 0 blurs, 0.5 leaves the image, 1 sharpens. `(lower, upper)`, or a number `f`
            for `(0, f)`.
        value_range: lowest and highest value of a pixel.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.
        seed: int or `SeedGenerator`, for repeatable numbers.

    Example:

    >>> x = np.array([0.0, 0.0, 130.0, 130.0, 0.0]).reshape(1, 5, 1)
    >>> keras.layers.RandomSharpness((0.0, 0.0))(x).ravel().round(3)
    Array([ 0., 10., 60., 60., 10.], dtype=float32)
    """

    def __init__(self, factor, value_range=(0, 255), data_format=None, seed=None, **kwargs):
        super().__init__(value_range, data_format=data_format, seed=seed, **kwargs)
        self.factor = factor_range("RandomSharpness's factor", factor)

    def _draw(self, key, count, size):
        return {"factor": uniform(key, (count,), self.factor)}

    def _pixels(self, images, transformation):
        x = images - self.value_range[0]
        ones = np.ones(3)
        blurred = (filtered(x, (ones, ones), -3) + 4 * x) / 13
        x = blurred + 2 * per_image(transformation["factor"]) * (x - blurred)
        return self._clip(x + self.value_range[0])


class RandomGaussianBlur(_RandomColour):
    """While training, blurs images by a Gaussian. Beyond the edges there are zeros.

    Args:
        factor: chance of an image to be changed: drawn for each from `(lower, upper)`; a number `f`
            means `(0, f)`.
        kernel_size: how many `(rows, columns)` a mean is taken over, odd numbers, or one for both.
        sigma: standard deviation in pixels, drawn for every image along rows and columns from
            `(lower, upper)`; a number `f` means `(0, f)`.
        value_range: accepted for compatibility; values stay in the range that they have.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.
        seed: int or `SeedGenerator`, for repeatable numbers.

    Example:

    >>> layer = keras.layers.RandomGaussianBlur((1.0, 1.0), sigma=(1.0, 1.0))
    >>> layer(np.array([0.0, 0.0, 1.0, 0.0]).reshape(1, 4, 1)).ravel().round(3)
    Array([0.   , 0.124, 0.204, 0.124], dtype=float32)
    """

    def __init__(
        self,
        factor=1.0,
        kernel_size=3,
        sigma=1.0,
        value_range=(0, 255),
        data_format=None,
        seed=None,
        **kwargs,
    ):
        super().__init__(value_range, data_format=data_format, seed=seed, **kwargs)
        self.factor = factor_range("RandomGaussianBlur's factor", factor)
        self.kernel_size = int_tuple("RandomGaussianBlur's kernel_size", kernel_size, 2)
        if any(n % 2 == 0 for n in self.kernel_size):
            raise ValueError(
                expected("RandomGaussianBlur's kernel_size", "an odd int, or two", kernel_size)
            )
        self.sigma = factor_range("RandomGaussianBlur's sigma", sigma, 0, float("inf"))

    def _draw(self, key, count, size):
        keys = jax.random.split(key)
        return {
            "should_apply_blur": chosen(keys[0], count, self.factor),
            "blur_factor": uniform(keys[1], (count, 2), self.sigma),
        }

    def _pixels(self, images, transformation):
        def blur(image, sigmas):
            kernels = tuple(gaussian(n, s) for n, s in zip(self.kernel_size, sigmas))
            return filtered(image, kernels, -3)

        sigmas = jnp.maximum(transformation["blur_factor"], 1e-3)  # of 0, all would be NaN
        sigmas = jnp.broadcast_to(sigmas, (images.shape[0], 2))
        blurred = jax.vmap(blur)(images, sigmas)
        return jnp.where(per_image(transformation["should_apply_blur"]), blurred, images)


# All of it ---------------------------------------------------------------------------------------


class RandomColorJitter(_RandomColour):
    """While training, changes brightness, contrast, saturation and hue, in this order.

    Args:
        value_range: lowest and highest value of a pixel.
        brightness_factor: as for `RandomBrightness`; by default it stays. So do the others:
        contrast_factor: as for `RandomContrast`.
        saturation_factor: as for `RandomSaturation`.
        hue_factor: as for `RandomHue`.
        seed: int or `SeedGenerator`, for repeatable numbers.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.

    Example:

    >>> layer = keras.layers.RandomColorJitter(brightness_factor=0.2, hue_factor=0.1, seed=1)
    >>> layer(np.ones((2, 8, 8, 3)), training=True).shape
    (2, 8, 8, 3)
    """

    def __init__(
        self,
        value_range=(0, 255),
        brightness_factor=None,
        contrast_factor=None,
        saturation_factor=None,
        hue_factor=None,
        seed=None,
        data_format=None,
        **kwargs,
    ):
        super().__init__(value_range, seed=seed, data_format=data_format, **kwargs)
        self.brightness_factor = as_tuple(brightness_factor)
        self.contrast_factor = as_tuple(contrast_factor)
        self.saturation_factor = as_tuple(saturation_factor)
        self.hue_factor = as_tuple(hue_factor)
        steps = {
            "brightness": (RandomBrightness, brightness_factor),
            "contrast": (RandomContrast, contrast_factor),
            "saturation": (RandomSaturation, saturation_factor),
            "hue": (RandomHue, hue_factor),
        }
        self._steps = {
            name: layer(factor, value_range, seed=self.generator)
            for name, (layer, factor) in steps.items()
            if factor is not None
        }

    def _draw(self, key, count, size):
        keys = jax.random.split(key, len(self._steps) + 1)
        return {n: s._draw(k, count, size) for k, (n, s) in zip(keys, self._steps.items())}

    def _pixels(self, images, transformation):
        for name, step in self._steps.items():
            images = step._pixels(images, transformation[name])
        return images
