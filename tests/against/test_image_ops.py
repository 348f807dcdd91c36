"""Ops on images: values, dtypes, gradients and symbolic shapes against the real Keras."""

import jax
import jax.numpy as jnp
import keras as real
import numpy as np
import pytest

import hornbeam
from hornbeam import ops


def uniform(*shape, seed=0):
    return np.random.default_rng(seed).uniform(size=shape).astype("float32")


X = uniform(2, 9, 7, 3)
OTHER = np.clip(X + 0.3 * uniform(*X.shape, seed=1), 0, 1)
FIRST = np.ascontiguousarray(np.moveaxis(X, -1, 1))
BYTES = np.round(255 * X).astype("uint8")
LARGE = uniform(1, 40, 90, 2)
VOLUMES = uniform(2, 5, 6, 4, 2)
# A rotation with a zoom, and a shear that leaves the image on every side.
AFFINE = np.array(
    [[0.9, -0.4, 1.3, 0.5, 0.8, -2.1, 0, 0], [2.1, 0.3, -7.2, -0.4, 2.3, -5.3, 0, 0]],
    "float32",
)
START = np.array([[[0, 0], [0, 8], [6, 0], [6, 8]]] * 2, "float32")
END = START + 2 * uniform(2, 4, 2, seed=2)
# Indices into X, up to two sizes away from it.
POINTS = np.array([2, 9, 7, 3]).reshape(4, 1, 1) * (5 * uniform(4, 5, 8, seed=3) - 2)
FILL_MODES = ["constant", "nearest", "wrap", "mirror", "reflect"]
LAST = "channels_last"

# name: function of the module of ops
CASES = {
    "rgb_to_grayscale": lambda o: o.rgb_to_grayscale(X),
    "rgb_to_grayscale one": lambda o: o.rgb_to_grayscale(X[0]),
    "rgb_to_grayscale first": lambda o: o.rgb_to_grayscale(FIRST, "channels_first"),
    "rgb_to_grayscale gray": lambda o: o.rgb_to_grayscale(X[..., :1]),
    "rgb_to_hsv": lambda o: o.rgb_to_hsv(X),
    "rgb_to_hsv one": lambda o: o.rgb_to_hsv(X[0]),
    "rgb_to_hsv first": lambda o: o.rgb_to_hsv(FIRST, data_format="channels_first"),
    "rgb_to_hsv ties": lambda o: o.rgb_to_hsv(np.round(2 * X) / 2),
    "rgb_to_hsv beyond": lambda o: o.rgb_to_hsv(3 * X - 1),
    "hsv_to_rgb": lambda o: o.hsv_to_rgb(X),
    "hsv_to_rgb one": lambda o: o.hsv_to_rgb(X[0]),
    "hsv_to_rgb first": lambda o: o.hsv_to_rgb(FIRST, data_format="channels_first"),
    "hsv_to_rgb beyond": lambda o: o.hsv_to_rgb(3 * X - 1),
    "resize": lambda o: o.resize(X, (5, 12)),
    "resize one": lambda o: o.resize(X[0], [12, 7]),
    "resize first": lambda o: o.resize(FIRST, (5, 12), data_format="channels_first"),
    "resize nearest": lambda o: o.resize(X, (4, 13), "nearest"),
    "resize nearest first": lambda o: o.resize(
        FIRST, (20, 3), "nearest", data_format="channels_first"
    ),
    "resize nearest int32": lambda o: o.resize(np.array([[[2**30 + 1], [7]]]), (1, 4), "nearest"),
    "resize bicubic": lambda o: o.resize(X, (5, 12), "bicubic"),
    "resize lanczos3": lambda o: o.resize(X, (5, 12), "lanczos3"),
    "resize lanczos5": lambda o: o.resize(X, (5, 12), "lanczos5"),
    "resize antialias": lambda o: o.resize(X, (5, 3), antialias=True),
    "resize antialias bicubic": lambda o: o.resize(X, (2, 12), "bicubic", antialias=True),
    "resize antialias lanczos3": lambda o: o.resize(X, (4, 4), "lanczos3", antialias=True),
    "resize antialias far": lambda o: o.resize(LARGE, (1, 1), "lanczos3", antialias=True),
    "resize bytes": lambda o: o.resize(BYTES, (5, 5)),  # weights in fifths: no halves
    "resize bytes bicubic": lambda o: o.resize(BYTES // 255 * 255, (5, 12), "bicubic"),
    "resize bytes halves": lambda o: o.resize(BYTES, (18, 7)),
    "resize half precision": lambda o: o.resize(X.astype("float16"), (5, 12)),
    "resize double precision": lambda o: o.resize(X.astype("float64"), (5, 12)),
    "resize crop": lambda o: o.resize(X, (6, 2), crop_to_aspect_ratio=True),
    "resize crop wide": lambda o: o.resize(X, (2, 9), crop_to_aspect_ratio=True),
    "resize crop first": lambda o: o.resize(
        FIRST, (3, 3), "nearest", crop_to_aspect_ratio=True, data_format="channels_first"
    ),
    "resize pad": lambda o: o.resize(X, (6, 2), pad_to_aspect_ratio=True, fill_value=0.5),
    "resize pad wide": lambda o: o.resize(X, (2, 9), pad_to_aspect_ratio=True),
    "resize pad first": lambda o: o.resize(
        FIRST, (8, 8), "nearest", pad_to_aspect_ratio=True, data_format="channels_first"
    ),
    "resize pad bytes": lambda o: o.resize(BYTES, (6, 2), pad_to_aspect_ratio=True, fill_value=9),
    "scale_and_translate": lambda o: o.scale_and_translate(
        X, (2, 8, 11, 3), np.float32([0.7, 1.9]), np.float32([1.2, -0.4]), (1, 2), "linear"
    ),
    "scale_and_translate cubic": lambda o: o.scale_and_translate(
        X[0, 0], (9, 3), [1.5], [-2.2], [0], "cubic", antialias=False
    ),
    "scale_and_translate lanczos3": lambda o: o.scale_and_translate(
        BYTES, (2, 4, 7, 3), [0.5], [0.0], (1,), "lanczos3"
    ),
    "crop_images": lambda o: o.crop_images(X, 1, 2, 3, 0),
    "crop_images target": lambda o: o.crop_images(X[0], 1, 2, target_height=4, target_width=5),
    "crop_images from the end": lambda o: o.crop_images(
        FIRST,
        bottom_cropping=1,
        right_cropping=2,
        target_height=4,
        target_width=3,
        data_format="channels_first",
    ),
    "crop_images to nothing": lambda o: o.crop_images(BYTES, 4, 0, 5, 0),
    "pad_images": lambda o: o.pad_images(X, 1, 2, 3, 0),
    "pad_images target": lambda o: o.pad_images(X[0], 1, 2, target_height=12, target_width=9),
    "pad_images from the end": lambda o: o.pad_images(
        FIRST,
        bottom_padding=1,
        right_padding=2,
        target_height=12,
        target_width=9,
        data_format="channels_first",
    ),
    "pad_images bytes": lambda o: o.pad_images(BYTES, 0, 1, 0, 1),
    "extract_patches": lambda o: o.extract_patches(X, 3),
    "extract_patches one": lambda o: o.extract_patches(X[0], (2, 3)),
    "extract_patches first": lambda o: o.extract_patches(
        FIRST, (2, 3), (1, 2), data_format="channels_first"
    ),
    "extract_patches same": lambda o: o.extract_patches(X, 3, 2, padding="same"),
    "extract_patches dilated": lambda o: o.extract_patches(X, (2, 3), 1, (3, 2)),
    "extract_patches dilated same": lambda o: o.extract_patches(X, 2, 1, 2, "same"),
    "extract_patches bytes": lambda o: o.extract_patches(BYTES, 2),
    "extract_patches volumes": lambda o: o.extract_patches(VOLUMES, (2, 3, 2)),
    "extract_patches_3d": lambda o: o.extract_patches_3d(VOLUMES, 2, 1),
    "extract_patches_3d one": lambda o: o.extract_patches_3d(VOLUMES[0], (2, 3, 1), padding="same"),
    "extract_patches_3d first": lambda o: o.extract_patches_3d(
        VOLUMES, 2, (1, 2, 1), data_format="channels_first"
    ),
    "gaussian_blur": lambda o: o.gaussian_blur(X, data_format=LAST),
    "gaussian_blur one": lambda o: o.gaussian_blur(X[0], (5, 5), (0.7, 0.7), LAST),
    "gaussian_blur first": lambda o: o.gaussian_blur(FIRST, (7, 7), (2.0, 2.0), "channels_first"),
    "gaussian_blur even": lambda o: o.gaussian_blur(X, (4, 4), jnp.array([1.0, 1.0]), LAST),
    "gaussian_blur half precision": lambda o: o.gaussian_blur(
        X.astype("float16"), data_format=LAST
    ),
    "gaussian_blur wider": lambda o: o.gaussian_blur(X, (21, 21), (3.0, 3.0), LAST),
    "sobel_edges": lambda o: o.sobel_edges(X),
    "sobel_edges first": lambda o: o.sobel_edges(FIRST, data_format="channels_first"),
    "sobel_edges integers": lambda o: o.sobel_edges(BYTES.astype("int32")),
    "ssim": lambda o: o.ssim(X, OTHER, filter_size=5),
    "ssim one": lambda o: o.ssim(X[0], OTHER[0], filter_size=3, k1=0.1, k2=0.2),
    "ssim first": lambda o: o.ssim(
        FIRST, FIRST**2, 2.0, 3, filter_sigma=0.8, data_format="channels_first"
    ),
    "ssim default": lambda o: o.ssim(LARGE, 0.5 + LARGE / 2),
    "affine_transform": lambda o: o.affine_transform(X, AFFINE),
    "affine_transform one": lambda o: o.affine_transform(X[0], AFFINE[0], fill_value=0.5),
    "affine_transform first": lambda o: o.affine_transform(
        FIRST, AFFINE, data_format="channels_first"
    ),
    "affine_transform half": lambda o: o.affine_transform(
        BYTES, np.array([[1, 0, 0.5, 0, 1, 0, 0, 0]] * 2), fill_value=9
    ),
    "affine_transform bfloat16": lambda o: o.affine_transform(jnp.asarray(X, "bfloat16"), AFFINE),
    "affine_transform nearest": lambda o: o.affine_transform(X, AFFINE, "nearest", fill_value=0.3),
    "affine_transform wrap": lambda o: o.affine_transform(X, AFFINE, "nearest", "wrap"),
    "affine_transform reflect": lambda o: o.affine_transform(X, AFFINE, fill_mode="reflect"),
    "perspective_transform": lambda o: o.perspective_transform(X, START, END),
    "perspective_transform one": lambda o: o.perspective_transform(X[0], START[0], END[0]),
    "perspective_transform first": lambda o: o.perspective_transform(
        FIRST, END, START, fill_value=0.4, data_format="channels_first"
    ),
    "perspective_transform nearest": lambda o: o.perspective_transform(
        BYTES, START, END, "nearest", 7
    ),
    "perspective_transform turned": lambda o: o.perspective_transform(
        X, START, START[:, [2, 0, 3, 1]]
    ),
    "elastic_transform": lambda o: o.elastic_transform(X[..., :1], seed=3),
    "elastic_transform one": lambda o: o.elastic_transform(X[0], 8.0, 1.2, "nearest", seed=3),
    "elastic_transform first": lambda o: o.elastic_transform(
        FIRST[:, :1], 5.0, 2.0, "bilinear", "constant", 0.5, 5, "channels_first"
    ),
    **{
        f"map_coordinates {mode} {order}": lambda o, m=mode, n=order: o.map_coordinates(
            X, POINTS, n, m, 0.3
        )
        for mode in FILL_MODES
        for order in (0, 1)
    },
    "map_coordinates vector": lambda o: o.map_coordinates([1.0, 2.0, 4.0], [[0.5, 1.25, 3.0]], 1),
    "map_coordinates integers": lambda o: o.map_coordinates(
        np.array([1, 2, 4, 8]), [[-1.0, -0.5, 0.5, 1.5]], 1, fill_value=5.7
    ),
    "map_coordinates whole": lambda o: o.map_coordinates(X[0, 0], [[0, 1], [2, 5]], 1),
}


def quickly_compiled(function):
    """For functions that run once: compiled in half the time, without optimizations."""
    return jax.jit(function, compiler_options={"xla_backend_optimization_level": 0})


def compare(ours, theirs, name=""):
    assert ours.dtype == theirs.dtype, name
    assert ours.shape == theirs.shape, name
    atol = {"float16": 2e-3, "bfloat16": 2e-2, "float32": 1e-4}.get(str(ours.dtype), 0)
    ours, theirs = (np.asarray(x.astype("float32")) for x in (ours, theirs))
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=atol, err_msg=name)


@pytest.mark.parametrize("op", ops.image.__all__)
def test_values(op):
    cases = {name: run for name, run in CASES.items() if name.split()[0] == op}
    # One compiled function takes a fraction of the time of many.
    traced = jax.jit(lambda: {name: run(ops.image) for name, run in cases.items()}).trace()
    assert "callback" not in str(traced.jaxpr)
    ours = traced.lower().compile()()
    theirs = lambda: {name: run(real.ops.image) for name, run in cases.items()}
    # Keras can't compile its elastic transform.
    theirs = theirs() if op == "elastic_transform" else quickly_compiled(theirs)()
    assert cases
    for name in cases:
        compare(ours[name], theirs[name], name)


# Number types and symbolic shapes ----------------------------------------------------------------

# name: function of the module and of images of shape [b, h, w, 3]
OF_IMAGES = {
    "affine_transform": lambda o, x: o.affine_transform(x, AFFINE),
    "crop_images": lambda o, x: o.crop_images(x, 1, 2, target_height=5, target_width=4),
    "crop_images end": lambda o, x: o.crop_images(
        x, bottom_cropping=1, right_cropping=2, target_height=5, target_width=4
    ),
    "elastic_transform": lambda o, x: o.elastic_transform(x, 0.1, 1.0, seed=1),
    "extract_patches": lambda o, x: o.extract_patches(x, 2),
    "extract_patches same": lambda o, x: o.extract_patches(x, 3, 2, padding="same"),
    "extract_patches_3d": lambda o, x: o.extract_patches_3d(x, (1, 2, 1)),
    "gaussian_blur": lambda o, x: o.gaussian_blur(x, data_format=LAST),
    "hsv_to_rgb": lambda o, x: o.hsv_to_rgb(x),
    "map_coordinates": lambda o, x: o.map_coordinates(x, POINTS, 1, fill_value=1),
    "pad_images": lambda o, x: o.pad_images(x, 1, 2, 3, 0),
    "pad_images end": lambda o, x: o.pad_images(
        x, bottom_padding=1, right_padding=2, target_height=12, target_width=300
    ),
    "perspective_transform": lambda o, x: o.perspective_transform(x, START, END),
    "resize": lambda o, x: o.resize(x, (5, 300)),
    "resize pad": lambda o, x: o.resize(x, (5, 6), "nearest", pad_to_aspect_ratio=True),
    "rgb_to_grayscale": lambda o, x: o.rgb_to_grayscale(x),
    "rgb_to_hsv": lambda o, x: o.rgb_to_hsv(x),
    "scale_and_translate": lambda o, x: o.scale_and_translate(
        x, (2, 8, 7, 3), [0.75, 1.0], [1.5, 0.0], (1, 2), "linear"
    ),
    "sobel_edges": lambda o, x: o.sobel_edges(x),
    "ssim": lambda o, x: o.ssim(x, x, filter_size=3),
}
TYPES = ["bool", "uint8", "int32", "float16", "bfloat16"]
# What Keras refuses, or answers with numbers that have lost their meaning; see test_integers.
FLOATS = {op: TYPES[3:] for op in ("gaussian_blur", "hsv_to_rgb", "rgb_to_hsv", "ssim")}
FLOATS["sobel_edges"] = TYPES[2:]


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        (name, dtype)
        for name in OF_IMAGES
        for dtype in FLOATS.get(name, TYPES)
        if name != "elastic_transform"  # which Keras can't trace
    ],
)
def test_dtypes(name, dtype):
    ours, theirs = (
        jax.eval_shape(
            lambda x, o=o: OF_IMAGES[name](o.image, x), jax.ShapeDtypeStruct(X.shape, dtype)
        )
        for o in (ops, real.ops)
    )
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)


@pytest.mark.parametrize("shape", [(None, 9, 7, 3), (None, None, None, 3)])
@pytest.mark.parametrize(
    "name", sorted(OF_IMAGES.keys() - {"affine_transform", "perspective_transform"})
)
def test_symbolic_shapes(name, shape):
    ours, theirs = (
        OF_IMAGES[name](package.ops.image, package.KerasTensor(shape))
        for package in (hornbeam, real)
    )
    wanted = theirs.shape
    if name == "scale_and_translate":  # axes that aren't scaled keep the size of the input
        wanted = (None, *wanted[1:])
    assert (ours.shape, ours.dtype) == (wanted, theirs.dtype)


@pytest.mark.parametrize("batch", [(), (None,)])
def test_symbolic_transforms(batch):
    ours, theirs = (
        (
            image.affine_transform(tensor((*batch, None, 7, 3)), tensor((*batch, 8))),
            image.perspective_transform(
                tensor((*batch, 3, None, 7)),
                tensor((*batch, 4, 2)),
                tensor((*batch, 4, 2)),
                data_format="channels_first",
            ),
            image.resize(tensor((*batch, None, None, 3)), (300, 2), crop_to_aspect_ratio=True),
            image.extract_patches_3d(tensor((*batch, None, 4, 5, 2)), 2),
            image.map_coordinates(tensor((None, 4)), tensor((2, None, 7)), 1),
        )
        for image, tensor in (
            (ops.image, hornbeam.KerasTensor),
            (real.ops.image, real.KerasTensor),
        )
    )
    assert [x.shape for x in ours] == [x.shape for x in theirs]


def image_model(k):
    x, volume, points = k.Input((6, 5, 3)), k.Input((4, 4, 4, 2)), k.Input((4, 2))
    image = k.ops.image
    outputs = [
        image.rgb_to_hsv(image.resize(x, (4, 3), antialias=True)),
        image.extract_patches_3d(volume, 2),
        image.perspective_transform(x, points, points + 0.5, fill_value=1),
        image.ssim(x, x**2, filter_size=3),
    ]
    return k.Model([x, volume, points], outputs)


@pytest.mark.parametrize(("source", "target"), [(hornbeam, real), (real, hornbeam)])
def test_graphs_travel(source, target):
    model = image_model(source)
    copy = target.models.model_from_json(model.to_json())
    data = uniform(2, 6, 5, 3), uniform(2, 4, 4, 4, 2), START
    for ours, theirs in zip(model(data), copy(data), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


# Gradients ---------------------------------------------------------------------------------------

# name: function of the module and of an array, and the array
GRADIENTS = {
    "rgb_to_grayscale": (lambda o, x: o.rgb_to_grayscale(x), X),
    "rgb_to_hsv": (lambda o, x: o.rgb_to_hsv(x), X),
    "rgb_to_hsv gray": (lambda o, x: o.rgb_to_hsv(x)[..., 2], np.zeros_like(X)),
    "hsv_to_rgb": (lambda o, x: o.hsv_to_rgb(x), X),
    "resize": (lambda o, x: o.resize(x, (5, 12)), X),
    "resize nearest": (lambda o, x: o.resize(x, (5, 12), "nearest"), X),
    "resize antialias": (lambda o, x: o.resize(x, (2, 12), "bicubic", antialias=True), X),
    "resize far": (lambda o, x: o.resize(x, (1, 1), "lanczos3", antialias=True), LARGE),
    "resize pad": (lambda o, x: o.resize(x, (6, 2), pad_to_aspect_ratio=True), X),
    "scale_and_translate": (
        lambda o, x: o.scale_and_translate(X, (2, 8, 11, 3), x, x, (1, 2), "linear"),
        np.float32([0.7, 1.9]),
    ),
    "crop_images": (lambda o, x: o.crop_images(x, 1, 2, 3, 0), X),
    "pad_images": (lambda o, x: o.pad_images(x, 1, 2, 3, 0), X),
    "extract_patches": (lambda o, x: o.extract_patches(x, 3, 2, padding="same"), X),
    "extract_patches_3d": (lambda o, x: o.extract_patches_3d(x, 2), VOLUMES),
    "gaussian_blur": (lambda o, x: o.gaussian_blur(x, (5, 5), data_format=LAST), X),
    "gaussian_blur sigma": (
        lambda o, x: o.gaussian_blur(X, (3, 3), jnp.stack([x, x]), data_format=LAST),
        np.float32(1.3),
    ),
    "sobel_edges": (lambda o, x: o.sobel_edges(x), X),
    "ssim": (lambda o, x: o.ssim(x, OTHER, filter_size=3), X),
    "affine_transform": (lambda o, x: o.affine_transform(x, AFFINE), X),
    "affine_transform wrap": (lambda o, x: o.affine_transform(x, AFFINE, "nearest", "wrap"), X),
    "affine_transform transform": (
        lambda o, x: o.affine_transform(X, jnp.pad(x, ((0, 0), (0, 2)))),
        AFFINE[:, :6],
    ),
    "perspective_transform": (lambda o, x: o.perspective_transform(x, START, END), X),
    "perspective_transform points": (lambda o, x: o.perspective_transform(X, START, x), END),
    "map_coordinates": (lambda o, x: o.map_coordinates(x, POINTS, 1, "reflect"), X),
    "map_coordinates points": (lambda o, x: o.map_coordinates(X, x, 1, "mirror"), POINTS),
}


@pytest.fixture(scope="module")
def gradients():
    """Those of our functions and of Keras's, all from one compiled function each."""

    def gradient(image, function, x):
        def total(x):
            y = function(image, x)
            return jnp.sum(y * jnp.sin(3.0 * jnp.arange(y.size)).reshape(y.shape))

        return jax.grad(total)(x)

    return [
        quickly_compiled(
            lambda image=image: {n: gradient(image, *case) for n, case in GRADIENTS.items()}
        )()
        for image in (ops.image, real.ops.image)
    ]


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients(name, gradients):
    ours, theirs = (g[name] for g in gradients)
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3)


def test_resize_is_linear_in_every_mode_of_differentiation():
    resize = lambda x: ops.image.resize(x, (5, 12), "bicubic", antialias=True)
    np.testing.assert_allclose(jax.jvp(resize, (X,), (OTHER,))[1], resize(OTHER), atol=1e-5)
    np.testing.assert_allclose(jax.vmap(resize)(X[None])[0], resize(X), atol=1e-5)
    square = lambda x: jnp.sum(resize(x) ** 2) / 2
    back = lambda y: jax.vjp(resize, X)[1](y)[0]
    product = jax.jvp(jax.grad(square), (X,), (OTHER,))[1]
    np.testing.assert_allclose(product, back(resize(OTHER)), rtol=1e-4, atol=1e-4)


# Where Keras differs (docs/differences.md) -------------------------------------------------------


def test_one_transform_for_all_images():
    one, each = ops.image.affine_transform(X, AFFINE[0]), ops.image.affine_transform(X, AFFINE)
    np.testing.assert_array_equal(one[0], each[0])
    one, each = (ops.image.perspective_transform(X, START[n], END[n]) for n in (0, slice(None)))
    np.testing.assert_allclose(one[0], each[0], atol=1e-5)


def test_affine_transform_ignores_the_last_two_numbers():
    skewed = AFFINE.copy()
    skewed[:, 6:] = 0.3
    ours, plain = (ops.image.affine_transform(X, t) for t in (skewed, AFFINE))
    np.testing.assert_array_equal(ours, plain)


def test_gaussian_blur_by_rows_and_columns():
    x = np.zeros((1, 9, 9, 1), "float32")
    x[0, 4, 4] = 1
    y = np.asarray(ops.image.gaussian_blur(x, (5, 3), (2.0, 0.5)))[0, :, :, 0]
    rows, columns = (np.exp(-((np.arange(-n, n + 1) / s) ** 2) / 2) for n, s in ((2, 2), (1, 0.5)))
    wanted = np.outer(rows / rows.sum(), columns / columns.sum())
    np.testing.assert_allclose(y[2:7, 3:6], wanted, rtol=1e-5)
    assert np.count_nonzero(y) == 15


def test_integers():
    close = lambda ours, of_floats: np.testing.assert_allclose(ours, of_floats, atol=0.501)
    image = ops.image
    blurred = image.gaussian_blur(BYTES)
    assert blurred.dtype == "uint8"
    close(blurred, image.gaussian_blur(BYTES.astype("float32")))
    moved = image.elastic_transform(BYTES, seed=1)
    assert moved.dtype == "uint8"
    close(moved, image.elastic_transform(BYTES.astype("float32"), seed=1))
    edges = image.sobel_edges(BYTES)
    assert edges.dtype == "int32"
    np.testing.assert_array_equal(edges, image.sobel_edges(BYTES.astype("float32")))
    similarity = image.ssim(BYTES, BYTES[::-1], 255, 3)
    assert similarity.dtype == "float32"
    wanted = image.ssim(BYTES / np.float32(255), BYTES[::-1] / np.float32(255), filter_size=3)
    np.testing.assert_allclose(similarity, wanted, rtol=1e-4)


def test_elastic_transform_compiles_and_draws():
    seeds = hornbeam.random.SeedGenerator(4), real.random.SeedGenerator(4)
    for _ in range(2):
        ours = ops.image.elastic_transform(X[:1, :, :, :1], sigma=1.0, seed=seeds[0])
        compare(ours, real.ops.image.elastic_transform(X[:1, :, :, :1], sigma=1.0, seed=seeds[1]))
    eager, compiled = (
        run(X)
        for f in [lambda x: ops.image.elastic_transform(x, seed=1)]
        for run in (f, jax.jit(f))
    )
    np.testing.assert_allclose(eager, compiled, atol=1e-4)


def test_variables_and_lists():
    assert ops.image.resize(hornbeam.Variable(X), (2, 2)).shape == (2, 2, 2, 3)
    assert ops.image.affine_transform(X.tolist(), AFFINE.tolist()).shape == X.shape
    assert ops.image.scale_and_translate(
        np.ones((3, 3), "float32"), (5, 5), [2, 2], [0, 0], (0, 1), "triangle"
    ).shape == (5, 5)


# Bad input ---------------------------------------------------------------------------------------

image = ops.image
ERRORS = {
    "rank of rgb_to_grayscale": (
        lambda: image.rgb_to_grayscale(X[0, 0]),
        r"images should be one image \(3 axes\) or a batch of them \(4 axes\); received .*\(7, 3\)",
    ),
    "channels of rgb_to_grayscale": (
        lambda: image.rgb_to_grayscale(X[..., :2]),
        r"images of rgb_to_grayscale should be with 1 or 3 channels \(axis -1\)",
    ),
    "channels of rgb_to_hsv": (
        lambda: image.rgb_to_hsv(FIRST[:, :2], "channels_first"),
        r"images of rgb_to_hsv should be with 3 channels \(axis -3\)",
    ),
    "integers in hsv_to_rgb": (
        lambda: image.hsv_to_rgb(BYTES),
        r"images of hsv_to_rgb should be floats in \[0, 1\].*Divide integers by 255",
    ),
    "rank of resize": (lambda: image.resize(X[0, 0], (2, 2)), "images should be one image"),
    "data_format": (
        lambda: image.resize(X, (2, 2), data_format="last"),
        "data_format should be one of 'channels_last', 'channels_first'",
    ),
    "interpolation of resize": (
        lambda: image.resize(X, (2, 2), "bilnear"),
        "interpolation should be one of 'nearest', .*received 'bilnear'.*mean 'bilinear'",
    ),
    "fill_mode of resize": (
        lambda: image.resize(X, (2, 2), pad_to_aspect_ratio=True, fill_mode="wrap"),
        "fill_mode should be one of 'constant'; received 'wrap'",
    ),
    "size of resize": (
        lambda: image.resize(X, (2, 2, 2)),
        r"size should be two ints of at least 1, \(height, width\); received \(2, 2, 2\)",
    ),
    "no size of resize": (lambda: image.resize(X, (0, 2)), "size should be two ints of at least 1"),
    "one size of resize": (lambda: image.resize(X, 4), "size should be two ints.*received 4"),
    "crop and pad": (
        lambda: image.resize(X, (2, 2), crop_to_aspect_ratio=True, pad_to_aspect_ratio=True),
        "Only one of crop_to_aspect_ratio and pad_to_aspect_ratio can be true",
    ),
    "method": (
        lambda: image.scale_and_translate(X[0, 0], (2, 3), [1.0], [0.0], (0,), "area"),
        "method should be one of 'linear'.*received 'area'",
    ),
    "output_shape": (
        lambda: image.scale_and_translate(X, (2, 3), [1.0], [0.0], (0,), "linear"),
        r"output_shape should be of 4 sizes; received \(2, 3\)",
    ),
    "scale": (
        lambda: image.scale_and_translate(X[0, 0], (2, 3), [1.0], [0.0, 1.0], (0, 1), "linear"),
        r"scale should be of shape \(2,\), as spatial_dims says",
    ),
    "rank of crop_images": (lambda: image.crop_images(X[0, 0], 1, 1, 1, 1), "images should be one"),
    "crop too little said": (
        lambda: image.crop_images(X, 1, 1, target_height=3),
        "Exactly two of left_cropping, right_cropping, target_width should be given; received "
        "left_cropping=1, right_cropping=None, target_width=None",
    ),
    "crop too large": (
        lambda: image.crop_images(X, 0, 0, target_height=10, target_width=2),
        "top_cropping, bottom_cropping, target_height should be at least 0 and fit the images' "
        "size of 9; received top_cropping=0, bottom_cropping=None, target_height=10",
    ),
    "crop more than all": (lambda: image.crop_images(X, 5, 0, 5, 0), "fit the images' size of 9"),
    "crop a negative number": (lambda: image.crop_images(X, -1, 0, 0, 0), "should be at least 0"),
    "pad to less": (
        lambda: image.pad_images(X, 0, 0, target_height=10, target_width=6),
        "left_padding, right_padding, target_width should be at least 0 and fit the images' "
        "size of 7",
    ),
    "pad too much said": (
        lambda: image.pad_images(X, 1, 1, 1, 1, target_width=9),
        "Exactly two of left_padding, right_padding, target_width",
    ),
    "rank of extract_patches": (
        lambda: image.extract_patches(X, (2, 2, 2, 2)),
        r"size should be an int, or 2 ints \(images\) or 3 \(volumes\)",
    ),
    "rank of images in extract_patches": (
        lambda: image.extract_patches(X[0, 0], 2),
        r"images should be one of 3 axes, or a batch of them \(4 axes\)",
    ),
    "patches larger than the image": (
        lambda: image.extract_patches(X, 5, 1, 2),
        r"images should be no smaller than the windows' \(9, 9\)",
    ),
    "padding": (
        lambda: image.extract_patches(X, 2, padding="full"),
        "padding should be one of 'valid', 'same'; received 'full'",
    ),
    "sizes of extract_patches_3d": (
        lambda: image.extract_patches_3d(VOLUMES, (2, 2)),
        "size should be an int of at least 1, or 3 of them",
    ),
    "rank of gaussian_blur": (lambda: image.gaussian_blur(X[0, 0]), "images should be one image"),
    "sigma": (
        lambda: image.gaussian_blur(X, sigma=1.0),
        r"sigma should be two numbers, for rows and columns; received 1\.0",
    ),
    "sigma 0": (
        lambda: image.gaussian_blur(X, sigma=(1.0, 0)),
        "sigma should be a positive number of pixels; received 0",
    ),
    "rank of sobel_edges": (
        lambda: image.sobel_edges(X[0]),
        r"images should be a batch of images \(4 axes\)",
    ),
    "rank of ssim": (lambda: image.ssim(X[0, 0], X[0, 0]), "image1 should be one image"),
    "shapes of ssim": (
        lambda: image.ssim(X, X[:, :8]),
        r"image2 should be of the shape of image1, \(2, 9, 7, 3\); received .*\(2, 8, 7, 3\)",
    ),
    "filter_size": (
        lambda: image.ssim(X, X),
        r"filter_size should be at most the images' \(9, 7\); received 11",
    ),
    "rank of affine_transform": (
        lambda: image.affine_transform(X[0, 0], AFFINE[0]),
        r"images should be one of 3 axes, or a batch of them \(4 axes\)",
    ),
    "shape of a transform": (
        lambda: image.affine_transform(X, AFFINE[:, :6]),
        r"transform should be of shape \(8,\) or \(batch, 8\); received .* shape \(2, 6\)",
    ),
    "number of transforms": (
        lambda: image.affine_transform(X[0], AFFINE),
        "transform should be one for all images or one for each of 1",
    ),
    "interpolation of affine_transform": (
        lambda: image.affine_transform(X, AFFINE, "bicubic"),
        "interpolation should be one of 'nearest', 'bilinear'; received 'bicubic'",
    ),
    "fill_mode of affine_transform": (
        lambda: image.affine_transform(X, AFFINE, fill_mode="edge"),
        "fill_mode should be one of 'constant', 'nearest', 'wrap', 'mirror', 'reflect'",
    ),
    "shape of points": (
        lambda: image.perspective_transform(X, START[:, :3], END),
        r"start_points should be of shape \(4, 2\) or \(batch, 4, 2\)",
    ),
    "interpolation of perspective_transform": (
        lambda: image.perspective_transform(X, START, END, "cubic"),
        "interpolation should be one of 'nearest', 'bilinear'",
    ),
    "fill_mode of elastic_transform": (
        lambda: image.elastic_transform(X, fill_mode="edge"),
        "fill_mode should be one of",
    ),
    "interpolation of elastic_transform": (
        lambda: image.elastic_transform(X, interpolation="cubic"),
        "interpolation should be one of",
    ),
    "rank of coordinates": (
        lambda: image.map_coordinates(X, POINTS[:3], 1),
        r"coordinates should be of shape \(4, ...\), an index into every axis",
    ),
    "coordinates of one point": (
        lambda: image.map_coordinates(np.arange(5.0), [0.5], 1),
        r"coordinates should be of shape \(1, ...\)",
    ),
    "order": (lambda: image.map_coordinates(X, POINTS, 3), "order should be one of 0, 1"),
    "fill_mode of map_coordinates": (
        lambda: image.map_coordinates(X, POINTS, 1, "edge"),
        "fill_mode should be one of",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    call, message = ERRORS[name]
    with pytest.raises(ValueError, match=message):
        call()
