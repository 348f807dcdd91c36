"""Images seen through a map of their coordinates: affine, projective, elastic, or any.

One function, `_sample`, reads an image between its pixels; the others say where.
"""

import functools

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy import ndimage

from ..core import settings
from ..core.messages import expected, one_of
from ..core.rng import draw, draw_seed
from ..core.symbolic import op
from ._convert import array, widened
from ._filters import filtered, gaussian
from ._image import batched

_ORDERS = {"nearest": 0, "bilinear": 1}

_FILL_MODES = ("constant", "nearest", "wrap", "mirror", "reflect")


@op
def affine_transform(
    images,
    transform,
    interpolation="bilinear",
    fill_mode="constant",
    fill_value=0,
    data_format=None,
):
    """Images turned, stretched, sheared and moved.

    With a transform `[a0, a1, a2, b0, b1, b2, c0, c1]`, the output at column `x` and row `y` is
    the input at column `a0 x + a1 y + a2` and row `b0 x + b1 y + b2`.

    Args:
        images: `[h, w, c]` or `[b, h, w, c]`, or with channels before height.
        transform: `[8]` for all images, or `[b, 8]`. `c0` and `c1` are ignored.
        interpolation: `"nearest"` or `"bilinear"`.
        fill_mode: what lies beyond the edges of `a b c d`: `"constant"` (`fill_value`),
            `"nearest"` (`a a | a b c d | d d`), `"wrap"` (`c d | a b c d | a b`), `"reflect"`
            (`b a | a b c d | d c`) or `"mirror"` (`c b | a b c d | c b`).
        fill_value: number for `"constant"`.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.

    Returns:
        Array like `images`; integers are rounded.

    Example:

    >>> x = np.array([1.0, 2.0, 3.0]).reshape(1, 3, 1)
    >>> keras.ops.image.affine_transform(x, [1, 0, 0.5, 0, 1, 0, 0, 0]).ravel()
    Array([1.5, 2.5, 1.5], dtype=float32)
    """
    order = _ORDERS[one_of("interpolation", interpolation, tuple(_ORDERS))]
    one_of("fill_mode", fill_mode, _FILL_MODES)
    x, restore = batched(images, data_format)
    transform = _per_image("transform", transform, (8,), x)
    last = jnp.broadcast_to(jnp.asarray([0, 0, 1], transform.dtype), (x.shape[0], 3))
    matrices = jnp.concatenate([transform[:, :6], last], 1).reshape(-1, 3, 3)
    return restore(project(x, matrices, order, fill_mode, fill_value))


@op
def perspective_transform(
    images, start_points, end_points, interpolation="bilinear", fill_value=0, data_format=None
):
    """Images as seen from elsewhere: four points of each move to four given ones.

    Args:
        images: `[h, w, c]` or `[b, h, w, c]`, or with channels before height.
        start_points: `[4, 2]` for all images, or `[b, 4, 2]`: points `(x, y)` of the input, in
            columns and rows.
        end_points: where these points are in the output, of the same shape. No three of them may
            lie on a line.
        interpolation: `"nearest"` or `"bilinear"`.
        fill_value: what lies beyond the edges of the input.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.

    Returns:
        Array like `images`; integers are rounded.

    Reference:
        [Heckbert, 1989](https://www2.eecs.berkeley.edu/Pubs/TechRpts/1989/CSD-89-516.pdf)

    Example:

    >>> x = np.array([[1.0, 2.0], [3.0, 4.0]])[:, :, None]
    >>> corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
    >>> keras.ops.image.perspective_transform(x, corners, corners[[1, 0, 3, 2]])[:, :, 0]
    Array([[2., 1.],
           [4., 3.]], dtype=float32)
    """
    order = _ORDERS[one_of("interpolation", interpolation, tuple(_ORDERS))]
    x, restore = batched(images, data_format)
    start = _per_image("start_points", start_points, (4, 2), x)
    end = _per_image("end_points", end_points, (4, 2), x)
    return restore(_move_points(x, start, end, order, fill_value))


@functools.partial(jax.jit, static_argnums=(3, 4))
def _move_points(images, start, end, order, fill_value):
    from_frame, _ = frames(start)
    _, to_frame = frames(end)
    # From where a point is in the output to where it comes from.
    matrices = jnp.matmul(from_frame, to_frame, precision=lax.Precision.HIGHEST)
    return project(images, matrices, order, "constant", fill_value)


def frames(points):
    """The matrix that takes the unit vectors and `(1, 1, 1)` to four points, and its inverse.

    All in homogeneous coordinates, where factors don't matter; the inverse comes up to one.
    """
    a, b, c, d = jnp.moveaxis(jnp.pad(points, [(0, 0), (0, 0), (0, 1)], constant_values=1), 1, 0)
    adjugate = jnp.stack([jnp.cross(b, c), jnp.cross(c, a), jnp.cross(a, b)], 1)
    # d = (a b c) weights, up to the determinant.
    weights = jnp.einsum("bij,bj->bi", adjugate, d, precision=lax.Precision.HIGHEST)
    return jnp.stack([a, b, c], 2) * weights[:, None], adjugate / weights[:, :, None]


@functools.partial(jax.jit, static_argnums=(2, 3, 4))
def project(images, matrices, order, fill_mode, fill_value):
    """`[b, h, w, c]` read at `(x, y, 1)` times a matrix, one of `[b, 3, 3]` for each image."""
    h, w = images.shape[1:3]
    y, x = jnp.arange(h, dtype=matrices.dtype)[:, None], jnp.arange(w, dtype=matrices.dtype)

    def project(image, matrix):
        column, row, depth = (a * x + b * y + c for a, b, c in matrix)
        return _sample(image, row / depth, column / depth, order, fill_mode, fill_value)

    return jax.vmap(project)(images, matrices)


@op
def elastic_transform(
    images,
    alpha=20.0,
    sigma=5.0,
    interpolation="bilinear",
    fill_mode="reflect",
    fill_value=0.0,
    seed=None,
    data_format=None,
):
    """Images whose pixels are moved at random, neighbours alike.

    As in Keras, one field of noise moves a pixel along both axes by the same distance.

    Args:
        images: `[h, w, c]` or `[b, h, w, c]`, or with channels before height.
        alpha: how far pixels are moved: factor of the smoothed noise.
        sigma: standard deviation, in pixels, of the Gaussian that smooths it, and of the noise.
        interpolation: `"nearest"` or `"bilinear"`.
        fill_mode: what lies beyond the edges, as for `affine_transform`.
        fill_value: number for `"constant"`.
        seed: int, `SeedGenerator` or `None`.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.

    Returns:
        Array like `images`; integers are rounded.

    Reference:
        [Simard et al., 2003](https://doi.org/10.1109/ICDAR.2003.1227801)

    Example:

    >>> x = np.random.default_rng(0).random((2, 8, 8, 3))
    >>> keras.ops.image.elastic_transform(x, seed=1).shape
    (2, 8, 8, 3)
    """
    order = _ORDERS[one_of("interpolation", interpolation, tuple(_ORDERS))]
    one_of("fill_mode", fill_mode, _FILL_MODES)
    x, restore = batched(images, data_format)
    floating = jnp.issubdtype(x.dtype, jnp.floating)
    dtype = x.dtype if floating else settings.floatx()
    noise = draw(jax.random.normal, draw_seed(seed), x.shape[:3], dtype)
    kernel = gaussian(int(6 * sigma) | 1, sigma)
    distance = alpha * sigma * filtered(widened(noise), (kernel, kernel), -2)
    return restore(displace(x, distance, distance, order, fill_mode, fill_value))


@functools.partial(jax.jit, static_argnums=(3, 4, 5))
def displace(images, down, right, order, fill_mode, fill_value):
    """`[b, h, w, c]` read so far below and to the right of every pixel as `[b, h, w]` says."""
    h, w = down.shape[1:]
    rows, columns = down + jnp.arange(h)[:, None], right + jnp.arange(w)

    def read(image, rows, columns):
        return _sample(image, rows, columns, order, fill_mode, fill_value)

    return jax.vmap(read)(images, rows, columns)


@op
def map_coordinates(inputs, coordinates, order, fill_mode="constant", fill_value=0):
    """The values of an array at any coordinates, between its elements by interpolation.

    Args:
        inputs: array of `k` axes.
        coordinates: `[k, ...]`, an index into each axis; fractions are allowed.
        order: 0 for the nearest element, 1 for linear interpolation.
        fill_mode: what lies beyond the edges, as for `affine_transform`.
        fill_value: number for `"constant"`.

    Returns:
        Array of the shape of `coordinates` without its first axis, in the dtype of `inputs`;
        integers are rounded.

    Example:

    >>> x = np.array([[1.0, 2.0], [3.0, 4.0]])
    >>> keras.ops.image.map_coordinates(x, [[0.0, 0.5], [0.5, 0.5]], order=1)
    Array([1.5, 2.5], dtype=float32)
    """
    x, points = array(inputs), array(coordinates)
    one_of("order", order, (0, 1))
    one_of("fill_mode", fill_mode, _FILL_MODES)
    if points.ndim < 2 or points.shape[0] != x.ndim:
        wanted = f"of shape ({x.ndim}, ...), an index into every axis of the inputs"
        raise ValueError(expected("coordinates", wanted, points))
    # An array is a sequence of its rows; to take it apart here would copy it.
    return ndimage.map_coordinates(
        x,
        widened(points),  # pyright: ignore[reportArgumentType]
        order,
        fill_mode,
        fill_value,
    )


def _per_image(name, value, shape, images):
    """Floats of `shape` for every image, from such an array for each or one for all."""
    x = array(value)
    count = images.shape[0]
    one = x.shape == shape
    if not one and (x.ndim != len(shape) + 1 or x.shape[1:] != shape):
        each = ", ".join(map(str, shape))
        wanted = f"of shape ({each}{',' * (len(shape) == 1)}) or (batch, {each})"
        raise ValueError(expected(name, wanted, x))
    if not one and all(isinstance(n, int) for n in (count, x.shape[0])) and x.shape[0] != count:
        raise ValueError(expected(name, f"one for all images or one for each of {count}", x))
    return jnp.broadcast_to(widened(x), (count, *shape))


def _sample(image, rows, columns, order, fill_mode, fill_value):
    """The values of an image `[h, w, c]` at points between its pixels: `[*out, c]`.

    All channels of a point are read at once. With an index into the channels as a third coordinate
    the affine transform of 8x224x224x3 takes 15 times as long on 2 cores, and its gradient 6 times.
    """

    def channel(x):
        return ndimage.map_coordinates(x, [rows, columns], order, fill_mode, fill_value)

    return jax.vmap(channel, in_axes=-1, out_axes=-1)(image)
