"""Layers that mix images of a batch, or erase a part of each."""

import jax
import jax.numpy as jnp

from ..core.messages import expected
from ..core.rng import draw
from ..ops._boxes import clipped, without
from ..ops._convert import floats
from ._image import (
    RandomImageLayer,
    checked_range,
    chosen,
    factor_range,
    is_number,
    per_image,
    uniform,
)


def _rectangles(starts, stops, size):
    """`[b, h, w, 1]` booleans: which pixels lie from `starts` to `stops`, both `[b, 2]`."""
    inside = [
        (starts[:, i, None] <= places) & (places < stops[:, i, None])
        for i, places in enumerate(map(jnp.arange, size))
    ]
    return (inside[0][:, :, None] & inside[1][:, None, :])[..., None]


class RandomErasing(RandomImageLayer):
    """While training, overwrites a rectangle of images.

    Args:
        factor: chance of an image to be changed: drawn for each from `(lower, upper)`; a number `f`
            means `(0, f)`.
        scale: share of the image that rectangles cover, `(lower, upper)`: height and width are the
            roots of two such shares, times those of the image. A number `f` means `(0, f)`.
        fill_value: what to write; by default noise, from a normal distribution around the lowest
            value with the range as its standard deviation, clipped to the range.
        value_range: lowest and highest value of a pixel.
        seed: int or `SeedGenerator`, for repeatable numbers.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.

    Reference: [Zhong et al., 2017](https://arxiv.org/abs/1708.04896)

    Example:

    >>> layer = keras.layers.RandomErasing((1.0, 1.0), (0.25, 0.25), fill_value=0.0)
    >>> float(layer(np.ones((8, 8, 1))).sum())  # 4 x 4 pixels are 0
    48.0
    """

    def __init__(
        self,
        factor=1.0,
        scale=(0.02, 0.33),
        fill_value=None,
        value_range=(0, 255),
        seed=None,
        data_format=None,
        **kwargs,
    ):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.factor = factor_range("RandomErasing's factor", factor)
        self.scale = factor_range("RandomErasing's scale", scale)
        self.fill_value = fill_value
        self.value_range = checked_range(self, value_range)

    def _draw(self, key, count, size):
        keys = jax.random.split(key, 4)
        limits = jnp.array(size)
        sides = jnp.round(limits * jnp.sqrt(uniform(keys[0], (count, 2), self.scale)))
        starts = jnp.floor(uniform(keys[1], (count, 2)) * (limits - sides + 1))
        return {
            "apply_erasing": chosen(keys[2], count, self.factor),
            "batch_masks": _rectangles(starts, starts + sides, size),
            "fill_key": keys[3],
        }

    def _pixels(self, images, transformation):
        low, high = self.value_range
        if self.fill_value is None:
            noise = draw(jax.random.normal, transformation["fill_key"], images.shape)
            fill = jnp.clip(noise, 0, 1) * (high - low) + low
        else:
            fill = jnp.clip(jnp.asarray(self.fill_value, images.dtype), low, high)
        erased = per_image(transformation["apply_erasing"]) & transformation["batch_masks"]
        return jnp.where(erased, fill, images)


class _Mixing(RandomImageLayer):
    """What is shared by the layers that mix every image with another one of the batch."""

    def _labels(self, labels, transformation):
        if labels.ndim < 2:
            hint = "Numbers of classes can't be mixed; see keras.ops.one_hot."
            raise ValueError(
                expected(f"{type(self).__name__}'s labels", "of shape [b, classes]", labels, hint)
            )
        (labels,) = floats(labels)
        weight = jnp.reshape(transformation["mix_weight"], (-1, *(1,) * (labels.ndim - 1)))
        return _mixed(labels, weight, transformation)


def _partners(x, transformation):
    return jnp.take(x, jnp.asarray(transformation["permutation_order"]), axis=0)


def _mixed(x, weight, transformation):
    weight = weight.astype(x.dtype)
    return weight * x + (1 - weight) * _partners(x, transformation)


class MixUp(_Mixing):
    """While training, mixes every image with another one of the batch, and their labels alike.

    `w * x + (1 - w) * other`, with a weight `w` from `Beta(alpha, alpha)`. An image has the boxes
    of both. Masks of floats are mixed, too; of masks of classes, that of the heavier image is left.

    Args:
        alpha: a positive number: the smaller, the closer weights are to 0 or 1.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.
        seed: int or `SeedGenerator`, for repeatable numbers.

    Reference: [Zhang et al., 2017](https://arxiv.org/abs/1710.09412)

    Example:

    >>> data = {"images": np.zeros((4, 8, 8, 3)), "labels": np.eye(4)}
    >>> keras.layers.MixUp(seed=1)(data)["labels"].sum(1)
    Array([1., 1., 1., 1.], dtype=float32)
    """

    def __init__(self, alpha=0.2, data_format=None, seed=None, **kwargs):
        super().__init__(data_format=data_format, seed=seed, **kwargs)
        self.alpha = positive("MixUp's alpha", alpha)

    def _draw(self, key, count, size):
        keys = jax.random.split(key)
        return {
            "mix_weight": beta(keys[0], self.alpha, count),
            "permutation_order": jax.random.permutation(keys[1], count),
        }

    def _pixels(self, images, transformation):
        return _mixed(images, per_image(transformation["mix_weight"]), transformation)

    def _mask(self, masks, transformation):
        weight = per_image(transformation["mix_weight"])
        if jnp.issubdtype(masks.dtype, jnp.floating):
            return _mixed(masks, weight, transformation)
        return jnp.where(weight >= 0.5, masks, _partners(masks, transformation))

    def _boxes(self, boxes, labels, transformation, size):
        both = (jnp.concatenate([x, _partners(x, transformation)], 1) for x in (boxes, labels))
        return *both, size


def beta(key, alpha, count):
    """`[count]` numbers from `Beta(alpha, alpha)`: the shares of the first of two gamma variables.

    `jax.random.beta` draws the two one after the other, which takes twice as long to compile.
    """
    first, second = jax.random.loggamma(key, alpha, (2, count))
    return jax.nn.sigmoid(first - second)


def positive(argument, value):
    if not is_number(value) or not value > 0:
        raise ValueError(expected(argument, "a positive number", value))
    return value


class CutMix(_Mixing):
    """While training, writes a rectangle of another image of the batch into every image.

    Labels are mixed by the areas, of which the image's own has a share from `Beta(f, f)`, before
    rectangles are cut off at the edges. Masks are cut like images. An image has the boxes of both,
    those of the other as far as they lie in the rectangle; boxes that it covers have the label -1.

    Args:
        factor: `f`, drawn for every image from `(lower, upper)`; a number means `(0, f)`.
        seed: int or `SeedGenerator`, for repeatable numbers.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.

    Reference: [Yun et al., 2019](https://arxiv.org/abs/1905.04899)

    Example:

    >>> data = {"images": np.zeros((4, 8, 8, 3)), "labels": np.eye(4)}
    >>> keras.layers.CutMix(seed=1)(data)["labels"].sum(1)
    Array([1., 1., 1., 1.], dtype=float32)
    """

    def __init__(self, factor=1.0, seed=None, data_format=None, **kwargs):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.factor = factor_range("CutMix's factor", factor)

    def _draw(self, key, count, size):
        keys = jax.random.split(key, 4)
        spread = jnp.maximum(uniform(keys[0], (count,), self.factor), 1e-3)  # Beta(0, 0) is NaN
        own = beta(keys[1], spread, count)
        limits = jnp.array(size)
        sides = jnp.floor(limits * jnp.sqrt(1 - own)[:, None])
        starts = jnp.floor(uniform(keys[2], (count, 2)) * limits - sides / 2)
        stops = jnp.clip(starts + sides, 0, limits)
        starts = jnp.clip(starts, 0, limits)
        return {
            "batch_masks": _rectangles(starts, stops, size),
            "rectangles": jnp.concatenate([starts, stops], 1)[:, jnp.array([1, 0, 3, 2])],
            "mix_weight": 1 - jnp.prod((stops - starts) / limits, 1),
            "permutation_order": jax.random.permutation(keys[3], count),
        }

    def _pixels(self, images, transformation):
        return self._mask(images, transformation)

    def _mask(self, masks, transformation):
        inside = jnp.asarray(transformation["batch_masks"])[..., :1]
        return jnp.where(inside, _partners(masks, transformation), masks)

    def _boxes(self, boxes, labels, transformation, size):
        patch = transformation["rectangles"][:, None]  # (left, top, right, bottom)
        start, stop = patch[..., :2], patch[..., 2:]
        outside = (boxes[..., :2] < start) | (boxes[..., 2:] > stop)
        corner = jnp.concatenate([start, start], -1)
        others, others_labels = (_partners(x, transformation) for x in (boxes, labels))
        width, height = jnp.moveaxis(stop - start, -1, 0)
        others, seen = clipped(others - corner, height, width)
        labels = [without(labels, outside.any(-1)), without(others_labels, seen)]
        return jnp.concatenate([boxes, others + corner], 1), jnp.concatenate(labels, 1), size
