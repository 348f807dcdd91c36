"""Images seen from elsewhere: flipped, turned, zoomed, moved, sheared, tilted, crumpled.

All but the last are maps of the plane, written as matrices that take columns `(x, y, 1)` of the
output to where they come from. In them pixels are points with whole coordinates, as in
`keras.ops.image`; boxes count from the edges of pixels, half a pixel further.
"""

import jax
import jax.numpy as jnp
from jax import lax

from ..core.messages import expected, one_of
from ..core.rng import draw
from ..ops._boxes import without
from ..ops._filters import filtered, gaussian
from ..ops._geometry import displace, frames, project
from ._image import (
    RandomImageLayer,
    as_tuple,
    checked_range,
    chosen,
    factor_range,
    is_number,
    per_image,
    uniform,
)

_FILL_MODES = ("reflect", "wrap", "constant", "nearest")
_ORDERS = {"nearest": 0, "bilinear": 1}


class RandomFlip(RandomImageLayer):
    """While training, flips every image with a chance of one half.

    Args:
        mode: `"horizontal"` (left and right), `"vertical"` (top and bottom), or
            `"horizontal_and_vertical"`, where each is decided on its own.
        seed: int or `SeedGenerator`, for repeatable numbers.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.

    Example:

    >>> layer = keras.layers.RandomFlip("horizontal", seed=1)
    >>> x = np.array([1.0, 2.0, 3.0]).reshape(1, 1, 3, 1)
    >>> sorted({tuple(layer(x).ravel().tolist()) for _ in range(10)})
    [(1.0, 2.0, 3.0), (3.0, 2.0, 1.0)]
    """

    def __init__(self, mode="horizontal_and_vertical", seed=None, data_format=None, **kwargs):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        modes = "horizontal", "vertical", "horizontal_and_vertical"
        self.mode = one_of("RandomFlip's mode", mode, modes)

    def _draw(self, key, count, size):
        allowed = jnp.array(["horizontal" in self.mode, "vertical" in self.mode])
        return {"flips": (uniform(key, (count, 2)) < 0.5) & allowed}

    def _pixels(self, images, transformation):
        return self._mask(images, transformation)

    def _mask(self, masks, transformation):
        flips = jnp.moveaxis(transformation["flips"], -1, 0)
        for axis, name, flip in zip((2, 1), ("horizontal", "vertical"), flips):
            if name in self.mode:
                masks = jnp.where(per_image(flip), jnp.flip(masks, axis), masks)
        return masks

    def _plane(self, transformation, size):
        flips = transformation["flips"]
        sign = jnp.where(flips, -1.0, 1.0)
        offset = jnp.where(flips, jnp.array([size[1], size[0]]), 0)
        zero = jnp.zeros_like(sign[:, 0])
        return _matrices(sign[:, 0], zero, offset[:, 0], zero, sign[:, 1], offset[:, 1]), size


def _matrices(a, b, c, d, e, f):
    """`[b, 3, 3]`, from the six numbers of affine maps, each a number or `[b]`."""
    numbers = jnp.broadcast_arrays(
        *(jnp.atleast_1d(jnp.asarray(n, "float32")) for n in (a, b, c, d, e, f))
    )
    zero = jnp.zeros_like(numbers[0])
    return jnp.stack([*numbers, zero, zero, zero + 1], -1).reshape(-1, 3, 3)


def _about(centre_x, centre_y, a, b, d, e):
    """The linear map `(a b; d e)` of the plane that leaves a point in its place."""
    c = centre_x - a * centre_x - b * centre_y
    return _matrices(a, b, c, d, e, centre_y - d * centre_x - e * centre_y)


def _forward(matrices):
    """Where the edges of pixels go, from where pixels come from; up to a factor."""
    rows = matrices[:, 0], matrices[:, 1], matrices[:, 2]
    # The adjugate is the inverse times the determinant.
    columns = [jnp.cross(rows[i - 2], rows[i - 1]) for i in range(3)]
    half = jnp.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    back = half.at[:2, 2].multiply(-1)
    exact = lax.Precision.HIGHEST
    return jnp.matmul(
        jnp.matmul(half, jnp.stack(columns, -1), precision=exact), back, precision=exact
    )


class _Warp(RandomImageLayer):
    """What is shared by the layers that are a map of the plane: a subclass writes `_sources`."""

    fill_mode = "constant"

    def __init__(self, interpolation, fill_value, fill_mode="constant", **kwargs):
        super().__init__(**kwargs)
        name = type(self).__name__
        self.interpolation = one_of(f"{name}'s interpolation", interpolation, tuple(_ORDERS))
        self.fill_mode = one_of(f"{name}'s fill_mode", fill_mode, _FILL_MODES)
        self.fill_value = fill_value

    def _sources(self, transformation, size):
        """Matrices `[b, 3, 3]`: from where a pixel is in the output to where it comes from."""
        raise NotImplementedError

    def _warped(self, x, transformation, interpolation):
        matrices = self._sources(transformation, x.shape[1:3])
        matrices = jnp.broadcast_to(matrices, (x.shape[0], 3, 3))
        return project(x, matrices, _ORDERS[interpolation], self.fill_mode, self.fill_value)

    def _pixels(self, images, transformation):
        return self._warped(images, transformation, self.interpolation)

    def _mask(self, masks, transformation):
        return self._warped(masks, transformation, "nearest")

    def _plane(self, transformation, size):
        return _forward(self._sources(transformation, size)), size

    def get_transformed_x_y(self, x, y, transform):
        """Points after a map `[8]` or `[b, 8]` as `keras.ops.image.affine_transform` takes it."""
        a0, a1, a2, b0, b1, b2, c0, c1 = jnp.moveaxis(jnp.asarray(transform), -1, 0)[..., None]
        depth = c0 * x + c1 * y + 1
        points = (a0 * x + a1 * y + a2) / depth, (b0 * x + b1 * y + b2) / depth
        return points if jnp.ndim(transform) > 1 else tuple(p.reshape(jnp.shape(x)) for p in points)

    def get_shifted_bbox(self, bounding_boxes, w_shift_factor, h_shift_factor):
        """Boxes `"xyxy"` (a dict with them) moved to the left and up by so many pixels."""
        shift = jnp.stack([jnp.asarray(n) for n in (w_shift_factor, h_shift_factor)] * 2, -1)
        return {**bounding_boxes, "boxes": bounding_boxes["boxes"] - shift[..., None, :]}


class RandomRotation(_Warp):
    """While training, turns every image about its middle.

    Args:
        factor: share of a whole turn, counter-clockwise: `(lower, upper)`, or a number `f` for
            `(-f, f)`.
        fill_mode: what lies beyond the edges: `"reflect"`, `"wrap"`, `"constant"` or `"nearest"`.
        interpolation: `"nearest"` or `"bilinear"`.
        seed: int or `SeedGenerator`, for repeatable numbers.
        fill_value: number for `"constant"`.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.

    Example:

    >>> x = np.array([[1.0, 2.0], [3.0, 4.0]])[:, :, None]
    >>> keras.layers.RandomRotation((0.25, 0.25))(x)[:, :, 0].round(3)
    Array([[2., 4.],
           [1., 3.]], dtype=float32)
    """

    def __init__(
        self,
        factor,
        fill_mode="reflect",
        interpolation="bilinear",
        seed=None,
        fill_value=0.0,
        data_format=None,
        **kwargs,
    ):
        super().__init__(
            interpolation, fill_value, fill_mode, seed=seed, data_format=data_format, **kwargs
        )
        self.factor = factor_range("RandomRotation's factor", factor, -1, 1, symmetric=True)

    def _draw(self, key, count, size):
        lower, upper = self.factor
        return {"angle": uniform(key, (count,), (360.0 * lower, 360.0 * upper))}

    def _sources(self, transformation, size):
        angle = jnp.radians(jnp.asarray(transformation["angle"]))
        cos, sin = jnp.cos(angle), jnp.sin(angle)
        height, width = size
        return _about((width - 1) / 2, (height - 1) / 2, cos, -sin, sin, cos)


class RandomZoom(_Warp):
    """While training, stretches every image about its middle.

    Args:
        height_factor: by how much more rows are seen than before: 0.2 shrinks what is in the image,
            -0.2 makes it larger. `(lower, upper)`, or a number `f` for `(-f, f)`.
        width_factor: the same for columns; by default what was drawn for rows.
        fill_mode: what lies beyond the edges: `"reflect"`, `"wrap"`, `"constant"` or `"nearest"`.
        interpolation: `"nearest"` or `"bilinear"`.
        seed: int or `SeedGenerator`, for repeatable numbers.
        fill_value: number for `"constant"`.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.

    Example:

    >>> x = np.arange(4.0).reshape(1, 4, 1)
    >>> keras.layers.RandomZoom((0.0, 0.0), (-0.5, -0.5))(x).ravel()
    Array([0.75, 1.25, 1.75, 2.25], dtype=float32)
    """

    def __init__(
        self,
        height_factor,
        width_factor=None,
        fill_mode="reflect",
        interpolation="bilinear",
        seed=None,
        fill_value=0.0,
        data_format=None,
        **kwargs,
    ):
        super().__init__(
            interpolation, fill_value, fill_mode, seed=seed, data_format=data_format, **kwargs
        )
        self.height_factor, self.width_factor = as_tuple(height_factor), as_tuple(width_factor)
        self._rows = factor_range("RandomZoom's height_factor", height_factor, -1, 1, True)
        self._columns = None
        if width_factor is not None:
            self._columns = factor_range("RandomZoom's width_factor", width_factor, -1, 1, True)

    def _draw(self, key, count, size):
        shares = uniform(key, (2, count))
        (low, high), columns = self._rows, self._columns
        height = 1 + low + shares[0] * (high - low)
        if columns is None:
            return {"height_zoom": height, "width_zoom": height}
        return {
            "height_zoom": height,
            "width_zoom": 1 + columns[0] + shares[1] * (columns[1] - columns[0]),
        }

    def get_clipped_bbox(self, bounding_boxes, h_end, h_start, w_end, w_start):
        """Boxes `"xyxy"` (a dict with them) in a part of the image, cut off at its edges."""
        boxes = self.get_shifted_bbox(bounding_boxes, w_start, h_start)
        limits = jnp.stack([jnp.asarray(n) for n in (w_end - w_start, h_end - h_start)] * 2, -1)
        return {**boxes, "boxes": jnp.clip(boxes["boxes"], 0, limits[..., None, :])}

    def _sources(self, transformation, size):
        y, x = (jnp.reshape(transformation[f"{n}_zoom"], -1) for n in ("height", "width"))
        height, width = size
        return _about((width - 1) / 2, (height - 1) / 2, x, 0, 0, y)


class RandomTranslation(_Warp):
    """While training, moves every image.

    Args:
        height_factor: how far down, in heights: `(lower, upper)`, or a number `f` for `(-f, f)`.
        width_factor: how far to the right, in widths; in the same way.
        fill_mode: what lies beyond the edges: `"reflect"`, `"wrap"`, `"constant"` or `"nearest"`.
        interpolation: `"nearest"` or `"bilinear"`.
        seed: int or `SeedGenerator`, for repeatable numbers.
        fill_value: number for `"constant"`.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.

    Example:

    >>> x = np.arange(4.0).reshape(1, 4, 1)
    >>> layer = keras.layers.RandomTranslation(0.0, (0.25, 0.25), fill_mode="constant")
    >>> layer(x).ravel()
    Array([0., 0., 1., 2.], dtype=float32)
    """

    def __init__(
        self,
        height_factor,
        width_factor,
        fill_mode="reflect",
        interpolation="bilinear",
        seed=None,
        fill_value=0.0,
        data_format=None,
        **kwargs,
    ):
        super().__init__(
            interpolation, fill_value, fill_mode, seed=seed, data_format=data_format, **kwargs
        )
        self.height_factor, self.width_factor = as_tuple(height_factor), as_tuple(width_factor)
        self._rows = factor_range("RandomTranslation's height_factor", height_factor, -1, 1, True)
        self._columns = factor_range("RandomTranslation's width_factor", width_factor, -1, 1, True)

    def _draw(self, key, count, size):
        low, high = jnp.array([self._columns, self._rows], "float32").T
        share = low + uniform(key, (count, 2)) * (high - low)
        return {"translations": share * jnp.array([size[1], size[0]])}

    def _sources(self, transformation, size):
        right, down = jnp.moveaxis(transformation["translations"], -1, 0)
        return _matrices(1, 0, -right, 0, 1, -down)


class RandomShear(_Warp):
    """While training, shears every image: rows and columns become slanted.

    The output at column `x` and row `y` is the input at column `x + a y` and row `y + b x`.

    Args:
        x_factor: `a`: `(lower, upper)` in `[0, 1]`, or a number `f` for `(-f, f)`.
        y_factor: `b`, in the same way.
        interpolation: `"nearest"` or `"bilinear"`.
        fill_mode: what lies beyond the edges: `"reflect"`, `"wrap"`, `"constant"` or `"nearest"`.
        fill_value: number for `"constant"`.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.
        seed: int or `SeedGenerator`, for repeatable numbers.

    Example:

    >>> x = np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])[:, :, None]
    >>> keras.layers.RandomShear((1.0, 1.0), fill_mode="constant")(x)[:, :, 0]
    Array([[1., 2., 3.],
           [2., 3., 0.]], dtype=float32)
    """

    def __init__(
        self,
        x_factor=0.0,
        y_factor=0.0,
        interpolation="bilinear",
        fill_mode="reflect",
        fill_value=0.0,
        data_format=None,
        seed=None,
        **kwargs,
    ):
        super().__init__(
            interpolation, fill_value, fill_mode, seed=seed, data_format=data_format, **kwargs
        )
        self.x_factor = _shear("RandomShear's x_factor", x_factor)
        self.y_factor = _shear("RandomShear's y_factor", y_factor)

    def _draw(self, key, count, size):
        low, high = jnp.array([self.x_factor, self.y_factor], "float32").T
        return {"shear_factor": low + uniform(key, (count, 2)) * (high - low)}

    def _sources(self, transformation, size):
        x, y = jnp.moveaxis(transformation["shear_factor"], -1, 0)
        return _matrices(1, x, 0, y, 1, 0)


def _shear(argument, value):
    # A number may not be negative, but a pair may be what a number has become.
    if is_number(value):
        factor_range(argument, value)
    return factor_range(argument, value, -1, 1, symmetric=True)


class RandomPerspective(_Warp):
    """While training, images as seen from the side: their corners move by random distances.

    Args:
        factor: chance of an image to be changed: drawn for each from `(lower, upper)`; a number `f`
            means `(0, f)`.
        scale: how far corners move: up to `scale / 4` of the height and of the width, so that they
            never fold the image.
        interpolation: `"nearest"` or `"bilinear"`.
        fill_value: what lies beyond the edges.
        seed: int or `SeedGenerator`, for repeatable numbers.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.

    Example:

    >>> layer = keras.layers.RandomPerspective(scale=0.5, seed=1)
    >>> layer(np.ones((2, 8, 8, 3)), training=True).shape
    (2, 8, 8, 3)
    """

    def __init__(
        self,
        factor=1.0,
        scale=1.0,
        interpolation="bilinear",
        fill_value=0.0,
        seed=None,
        data_format=None,
        **kwargs,
    ):
        super().__init__(interpolation, fill_value, seed=seed, data_format=data_format, **kwargs)
        self.factor = factor_range("RandomPerspective's factor", factor)
        if not is_number(scale) or not 0 <= scale <= 1:
            raise ValueError(expected("RandomPerspective's scale", "a number from 0 to 1", scale))
        self.scale = scale

    def _draw(self, key, count, size):
        keys = jax.random.split(key)
        corners = jnp.array([[0.0, 0], [1, 0], [0, 1], [1, 1]]) * jnp.array(
            [size[1] - 1, size[0] - 1]
        )
        reach = jnp.array([size[1], size[0]]) * self.scale / 4
        moves = uniform(keys[0], (count, 4, 2), (-1, 1)) * reach
        return {
            "apply_perspective": chosen(keys[1], count, self.factor),
            "start_points": jnp.broadcast_to(corners, moves.shape),
            "end_points": corners + moves,
        }

    def _sources(self, transformation, size):
        start = jnp.asarray(transformation["start_points"])
        apply = jnp.reshape(transformation["apply_perspective"], (-1, 1, 1))
        end = jnp.where(apply, transformation["end_points"], start)
        return jnp.matmul(frames(start)[0], frames(end)[1], precision=lax.Precision.HIGHEST)


class RandomElasticTransform(RandomImageLayer):
    """While training, images whose pixels are moved at random, neighbours alike.

    Every pixel moves by smooth noise along the rows, and by other noise along the columns: noise
    that was smoothed by a Gaussian as wide as `scale / 20` of the smaller side of the image. The
    distances have a standard deviation of about `scale / 35` of the larger side.

    Args:
        factor: chance of an image to be changed: drawn for each from `(lower, upper)`; a number `f`
            means `(0, f)`.
        scale: how strong the distortion is, drawn for each image in the same way.
        interpolation: `"nearest"` or `"bilinear"`.
        fill_mode: what lies beyond the edges: `"reflect"`, `"wrap"`, `"constant"` or `"nearest"`.
        fill_value: number for `"constant"`.
        value_range: accepted for compatibility; values stay in the range that they have.
        seed: int or `SeedGenerator`, for repeatable numbers.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.

    Reference: [Simard et al., 2003](https://doi.org/10.1109/ICDAR.2003.1227801)

    Example:

    >>> layer = keras.layers.RandomElasticTransform(seed=1)
    >>> layer(np.ones((2, 8, 8, 3)), training=True).shape
    (2, 8, 8, 3)
    """

    def __init__(
        self,
        factor=1.0,
        scale=1.0,
        interpolation="bilinear",
        fill_mode="reflect",
        fill_value=0.0,
        value_range=(0, 255),
        seed=None,
        data_format=None,
        **kwargs,
    ):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        name = type(self).__name__
        self.factor = factor_range(f"{name}'s factor", factor)
        self.scale = factor_range(f"{name}'s scale", scale)
        self.interpolation = one_of(f"{name}'s interpolation", interpolation, tuple(_ORDERS))
        self.fill_mode = one_of(f"{name}'s fill_mode", fill_mode, _FILL_MODES)
        self.fill_value = fill_value
        self.value_range = checked_range(self, value_range)

    def get_elastic_transform_params(self, height, width, factor):
        """`(alpha, sigma)` of `keras.ops.image.elastic_transform`: strength and width in pixels."""
        return 0.1 * factor * max(height, width), 0.05 * factor * min(height, width)

    def _draw(self, key, count, size):
        keys = jax.random.split(key, 3)
        scale = uniform(keys[0], (count,), self.scale)
        _, widest = self.get_elastic_transform_params(size[0], size[1], self.scale[1])
        taps = int(6 * widest) | 1

        def distance(noise, scale):
            alpha, sigma = self.get_elastic_transform_params(size[0], size[1], scale)
            kernel = gaussian(taps, jnp.maximum(sigma, 1e-3))  # of 0, all would be NaN
            return alpha * sigma * filtered(noise, (kernel, kernel), -2)

        noise = draw(jax.random.normal, keys[1], (count, 2, *size))
        apply = chosen(keys[2], count, self.factor)
        scale = jnp.where(apply, scale, 0)
        return {"distances": jax.vmap(distance)(noise, scale)}

    def _displaced(self, x, transformation, interpolation):
        down, right = jnp.moveaxis(transformation["distances"], 1, 0)
        order = _ORDERS[interpolation]
        return displace(x, down, right, order, self.fill_mode, self.fill_value)

    def _pixels(self, images, transformation):
        return self._displaced(images, transformation, self.interpolation)

    def _mask(self, masks, transformation):
        return self._displaced(masks, transformation, "nearest")

    def _boxes(self, boxes, labels, transformation, size):
        # The box around all pixels of the output that come from inside of the box.
        down, right = jnp.moveaxis(transformation["distances"], 1, 0)[:, :, None]  # [b, 1, h, w]
        rows, columns = jnp.arange(size[0])[:, None], jnp.arange(size[1])
        y, x = down + rows + 0.5, right + columns + 0.5
        left, top, right, bottom = jnp.moveaxis(boxes[..., None, None], -3, 0)  # [b, n, 1, 1]
        inside = (left <= x) & (x < right) & (top <= y) & (y < bottom)
        seen = jnp.any(inside, (-2, -1))
        found = []
        for places in (columns, rows):
            first = jnp.min(jnp.where(inside, places, max(size)), (-2, -1))
            last = jnp.max(jnp.where(inside, places + 1, 0), (-2, -1))
            found.append(jnp.stack([first, last], -1))
        moved = jnp.stack(found, -1).reshape(boxes.shape)  # (left, top, right, bottom)
        return jnp.where(seen[..., None], moved, 0.0), without(labels, seen), size
