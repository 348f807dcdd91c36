"""Initializers: the first values of weights, as functions of a shape.

With the same seed they give the same numbers as Keras on JAX.
"""

import math

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from . import random
from .core import objects
from .core.dtypes import is_float_dtype, standardize_dtype
from .core.messages import expected, one_of
from .core.objects import Configurable, Identifier, publish
from .core.rng import SeedGenerator, make_default_seed

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "IdentityInitializer",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "OrthogonalInitializer",
    "RandomNormal",
    "RandomUniform",
    "STFT",
    "STFTInitializer",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "constant",
    "deserialize",
    "get",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "lecun_normal",
    "lecun_uniform",
    "ones",
    "orthogonal",
    "random_normal",
    "random_uniform",
    "serialize",
    "stft",
    "truncated_normal",
    "variance_scaling",
    "zeros",
]

InitializerLike = Identifier | ArrayLike  # what `get` takes


class Initializer(Configurable):
    """A function from a shape and a dtype to an array; subclasses write `__call__`.

    Example:

    >>> class Full(keras.Initializer):
    ...     def __init__(self, value):
    ...         self.value = value
    ...
    ...     def __call__(self, shape, dtype=None):
    ...         return jnp.full(shape, self.value, dtype or "float32")
    >>> Full(3.0).clone()((2,))
    Array([3., 3.], dtype=float32)
    """

    def __call__(self, shape, dtype=None):
        """An array of `shape` and `dtype` (by default the default float type)."""
        raise NotImplementedError(
            f"{type(self).__name__} doesn't say what it computes: give it a method "
            "`__call__(self, shape, dtype=None)`."
        )


# Constant values -------------------------------------------------------------------------------


class Zeros(Initializer):
    """All zeros.

    Example:

    >>> keras.initializers.Zeros()((2,))
    Array([0., 0.], dtype=float32)
    """

    def __call__(self, shape, dtype=None):
        return jnp.zeros(shape, standardize_dtype(dtype))


class Ones(Initializer):
    """All ones."""

    def __call__(self, shape, dtype=None):
        return jnp.ones(shape, standardize_dtype(dtype))


class Constant(Initializer):
    """One number everywhere, or an array that broadcasts to the shape.

    Example:

    >>> keras.initializers.Constant([1.0, 2.0])((2, 2))
    Array([[1., 2.],
           [1., 2.]], dtype=float32)
    """

    def __init__(self, value: ArrayLike | list | tuple = 0.0):
        self.value = value

    def __call__(self, shape, dtype=None):
        return jnp.broadcast_to(jnp.asarray(self.value, standardize_dtype(dtype)), shape)


class Identity(Initializer):
    """The identity matrix times `gain`; ones on the main diagonal if it isn't square.

    Raises:
        ValueError: if the shape isn't that of a matrix.

    Example:

    >>> keras.initializers.Identity(gain=2.0)((2, 2))
    Array([[2., 0.],
           [0., 2.]], dtype=float32)
    """

    def __init__(self, gain=1.0):
        self.gain = gain

    def __call__(self, shape, dtype=None):
        if len(shape) != 2:
            raise ValueError(expected("Identity's shape", "(rows, columns)", tuple(shape)))
        dtype = standardize_dtype(dtype)
        return jnp.asarray(self.gain, dtype) * jnp.eye(*shape, dtype=dtype)


_WINDOWS = {
    "hann": np.hanning,
    "hamming": np.hamming,
    "blackman": np.blackman,
    "bartlett": np.bartlett,
    "boxcar": np.ones,
}


class STFT(Initializer):
    """The kernel with which a convolution computes the short-time Fourier transform.

    For the shape `(frame_length, 1, frequencies)`, with `n` counting samples and `k` frequencies,

        real: window[n] * cos(2π n k / fft_length)        fft_length = 2 * (frequencies - 1)
        imag: -window[n] * sin(2π n k / fft_length)

    Args:
        side: `"real"` or `"imag"`.
        window: `"hann"`, `"hamming"`, `"blackman"`, `"bartlett"`, `"boxcar"`, an array of
            `frame_length` numbers, or `None` for no window.
        scaling: `"density"` divides by the root of the sum of the window's squares,
            `"spectrum"` by the window's sum, `None` by nothing. Without a window, nothing.
        periodic: whether a window given by name is periodic rather than symmetric.

    Example:

    >>> keras.initializers.STFT(window=None)((4, 1, 3))[:, 0, 1].round(3) + 0.0
    Array([ 1.,  0., -1.,  0.], dtype=float32)
    """

    def __init__(self, side="real", window="hann", scaling="density", periodic=False):
        self.side = one_of("side", side, ("real", "imag"))
        if isinstance(window, str):
            one_of("window", window, tuple(_WINDOWS))
        self.window = window
        self.scaling = one_of("scaling", scaling, (None, "density", "spectrum"))
        self.periodic = periodic

    def __call__(self, shape, dtype=None):
        length, _, frequencies = shape
        n, k = np.arange(length), np.arange(frequencies)
        # Whole turns are taken out of the angle before it is rounded to a float.
        fft_length = max(2 * (frequencies - 1), 1)
        angle = 2 * np.pi / fft_length * (np.outer(n, k) % fft_length)
        kernel = np.cos(angle) if self.side == "real" else -np.sin(angle)
        if self.window is not None:
            kernel = kernel * self._scaled_window(length)[:, None]
        return jnp.asarray(kernel[:, None, :], standardize_dtype(dtype))

    def _scaled_window(self, length):
        if isinstance(self.window, str):
            make = _WINDOWS[self.window]
            window = make(length + 1)[:-1] if self.periodic else make(length)
        else:
            window = np.asarray(self.window, dtype="float64")
            if window.shape != (length,):
                raise ValueError(
                    expected("STFT's window", f"an array of {length} numbers", self.window)
                )
        if self.scaling == "density":
            return window / np.sqrt(np.sum(window**2))
        return window / np.sum(window) if self.scaling == "spectrum" else window


# Random values -----------------------------------------------------------------------------------


class RandomInitializer(Initializer):
    """Base of those with a seed.

    Called twice an initializer gives the same numbers twice, unless its seed is a
    `SeedGenerator`. Its config keeps `seed=None`, so that clones draw seeds of their own.
    """

    def __init__(self, seed=None):
        if not (seed is None or isinstance(seed, (int, SeedGenerator))):
            if isinstance(seed, dict):
                seed = objects.deserialize(seed)
            else:
                raise ValueError(
                    expected(f"{type(self).__name__}'s seed", "an int or a SeedGenerator", seed)
                )
        self._init_seed = seed
        self.seed = make_default_seed() if seed is None else seed

    def constructor_arguments(self):
        arguments = super().constructor_arguments()
        return {**arguments, "seed": self._init_seed} if "seed" in arguments else arguments


class RandomNormal(RandomInitializer):
    """Numbers from the normal distribution.

    Example:

    >>> keras.initializers.RandomNormal(stddev=1.0, seed=0)((2, 2)).shape
    (2, 2)
    """

    def __init__(self, mean=0.0, stddev=0.05, seed=None):
        self.mean = mean
        self.stddev = stddev
        super().__init__(seed)

    def __call__(self, shape, dtype=None):
        return random.normal(shape, self.mean, self.stddev, dtype, self.seed)


class TruncatedNormal(RandomInitializer):
    """Numbers from the normal distribution, cut off at two standard deviations."""

    def __init__(self, mean=0.0, stddev=0.05, seed=None):
        self.mean = mean
        self.stddev = stddev
        super().__init__(seed)

    def __call__(self, shape, dtype=None):
        return random.truncated_normal(shape, self.mean, self.stddev, dtype, self.seed)


class RandomUniform(RandomInitializer):
    """Numbers spread evenly over `[minval, maxval)`."""

    def __init__(self, minval=-0.05, maxval=0.05, seed=None):
        self.minval = minval
        self.maxval = maxval
        super().__init__(seed)

    def __call__(self, shape, dtype=None):
        return random.uniform(shape, self.minval, self.maxval, dtype, self.seed)


# Standard deviation of the standard normal distribution cut off at -2 and 2.
_TRUNCATED_STDDEV = 0.87962566103423978


class VarianceScaling(RandomInitializer):
    """Numbers of variance `scale / fan`, so that signals keep their size through a layer.

    `fan` is how many numbers go into a unit, or how many units a number goes to, or their mean.

    Args:
        scale: a positive number.
        mode: `"fan_in"`, `"fan_out"` or `"fan_avg"`.
        distribution: `"truncated_normal"` (or `"normal"`, the same), `"untruncated_normal"` or
            `"uniform"`.
        seed: int, `SeedGenerator`, or `None` for a new seed.
        input_axes, output_axes: which axes of the shape are counted as inputs and outputs; by
            default the last but one and the last, each times the sizes of the axes before them.

    Raises:
        ValueError: for a scale that isn't positive.

    Example:

    >>> initializer = keras.initializers.VarianceScaling(scale=2.0, seed=0)
    >>> float(jnp.var(initializer((200, 200)))) * 200 / 2
    1.0
    """

    def __init__(
        self,
        scale=1.0,
        mode="fan_in",
        distribution="truncated_normal",
        seed=None,
        input_axes=None,
        output_axes=None,
    ):
        if scale <= 0:
            raise ValueError(expected("scale", "a positive number", scale))
        self.scale = scale
        self.mode = one_of("mode", mode.lower(), ("fan_in", "fan_out", "fan_avg"))
        names = {"normal": "truncated_normal"}
        self.distribution = one_of(
            "distribution",
            names.get(distribution.lower(), distribution.lower()),
            ("truncated_normal", "untruncated_normal", "uniform"),
        )
        self.input_axes = input_axes
        self.output_axes = output_axes
        super().__init__(seed)

    def __call__(self, shape, dtype=None):
        fan_in, fan_out = _fans(shape, self.input_axes, self.output_axes)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, fan)
        if self.distribution == "uniform":
            limit = math.sqrt(3.0 * variance)
            return random.uniform(shape, -limit, limit, dtype, self.seed)
        stddev = math.sqrt(variance)
        if self.distribution == "untruncated_normal":
            return random.normal(shape, 0.0, stddev, dtype, self.seed)
        return random.truncated_normal(shape, 0.0, stddev / _TRUNCATED_STDDEV, dtype, self.seed)


class GlorotUniform(VarianceScaling):
    """`VarianceScaling(1.0, "fan_avg", "uniform")`: the default for kernels.

    Reference: [Glorot & Bengio, 2010](https://proceedings.mlr.press/v9/glorot10a.html)

    Example:

    >>> kernel = keras.initializers.GlorotUniform(seed=0)((2, 4))
    >>> bool((abs(kernel) <= 1).all())
    True
    """

    def __init__(self, seed=None, input_axes=None, output_axes=None):
        super().__init__(1.0, "fan_avg", "uniform", seed, input_axes, output_axes)


class GlorotNormal(VarianceScaling):
    """`VarianceScaling(1.0, "fan_avg", "truncated_normal")`.

    Reference: [Glorot & Bengio, 2010](https://proceedings.mlr.press/v9/glorot10a.html)
    """

    def __init__(self, seed=None, input_axes=None, output_axes=None):
        super().__init__(1.0, "fan_avg", "truncated_normal", seed, input_axes, output_axes)


class LecunNormal(VarianceScaling):
    """`VarianceScaling(1.0, "fan_in", "truncated_normal")`, for `selu`.

    Reference: [Klambauer et al., 2017](https://arxiv.org/abs/1706.02515)
    """

    def __init__(self, seed=None, input_axes=None, output_axes=None):
        super().__init__(1.0, "fan_in", "truncated_normal", seed, input_axes, output_axes)


class LecunUniform(VarianceScaling):
    """`VarianceScaling(1.0, "fan_in", "uniform")`.

    Reference: [Klambauer et al., 2017](https://arxiv.org/abs/1706.02515)
    """

    def __init__(self, seed=None, input_axes=None, output_axes=None):
        super().__init__(1.0, "fan_in", "uniform", seed, input_axes, output_axes)


class HeNormal(VarianceScaling):
    """`VarianceScaling(2.0, "fan_in", "truncated_normal")`, for `relu`.

    Reference: [He et al., 2015](https://arxiv.org/abs/1502.01852)
    """

    def __init__(self, seed=None, input_axes=None, output_axes=None):
        super().__init__(2.0, "fan_in", "truncated_normal", seed, input_axes, output_axes)


class HeUniform(VarianceScaling):
    """`VarianceScaling(2.0, "fan_in", "uniform")`, for `relu`.

    Reference: [He et al., 2015](https://arxiv.org/abs/1502.01852)
    """

    def __init__(self, seed=None, input_axes=None, output_axes=None):
        super().__init__(2.0, "fan_in", "uniform", seed, input_axes, output_axes)


class Orthogonal(RandomInitializer):
    """A matrix with orthonormal rows or columns (whichever are fewer), times `gain`.

    Axes before the last are taken as one: the rows.

    Raises:
        ValueError: for a shape with fewer than two axes.

    Reference: [Saxe et al., 2014](https://arxiv.org/abs/1312.6120)

    Example:

    >>> q = keras.initializers.Orthogonal(seed=0)((3, 2))
    >>> abs(q.T @ q).round(3)
    Array([[1., 0.],
           [0., 1.]], dtype=float32)
    """

    def __init__(self, gain=1.0, seed=None):
        self.gain = gain
        super().__init__(seed)

    def __call__(self, shape, dtype=None):
        if len(shape) < 2:
            raise ValueError(expected("Orthogonal's shape", "of at least two axes", tuple(shape)))
        dtype = standardize_dtype(dtype)
        if not is_float_dtype(dtype):
            raise ValueError(expected("dtype of Orthogonal", "a float type", dtype))
        rows, columns = math.prod(shape[:-1]), shape[-1]
        tall = max(rows, columns), min(rows, columns)
        # Decompositions exist in single precision and above only.
        wide = jnp.promote_types(dtype, "float32")
        q, r = jnp.linalg.qr(random.normal(tall, dtype=wide.name, seed=self.seed))
        q *= jnp.sign(jnp.diag(r))  # makes the decomposition unique, so the result uniform
        q = q.T if rows < columns else q
        return (self.gain * q.reshape(shape)).astype(dtype)


def _fans(shape, input_axes, output_axes):
    """How many numbers go into one output of a kernel, and how many outputs one number goes to."""
    if input_axes is not None and output_axes is not None:
        return (math.prod(shape[a] for a in axes) for axes in (input_axes, output_axes))
    if len(shape) < 2:
        size = math.prod(shape)
        return size, size
    window = math.prod(shape[:-2])
    return shape[-2] * window, shape[-1] * window


# Names -------------------------------------------------------------------------------------------


def serialize(initializer):
    """The initializer as plain data."""
    return objects.serialize(initializer)


def deserialize(config, custom_objects=None):
    """The initializer that `serialize` described."""
    return objects.get("initializers", config, custom_objects)


def get(identifier):
    """The initializer that a name, a config, a class, a function or an array means.

    Args:
        identifier: such as `"he_normal"`, `keras.initializers.Zeros` or `np.ones((2, 3))`.

    Example:

    >>> keras.initializers.get("he_normal").scale
    2.0
    """
    if not isinstance(identifier, type) and hasattr(identifier, "__array__"):
        return Constant(identifier)
    return objects.get("initializers", identifier)


IdentityInitializer = Identity
OrthogonalInitializer = Orthogonal
STFTInitializer = STFT
constant = Constant
glorot_normal = GlorotNormal
glorot_uniform = GlorotUniform
he_normal = HeNormal
he_uniform = HeUniform
identity = Identity
lecun_normal = LecunNormal
lecun_uniform = LecunUniform
ones = Ones
orthogonal = Orthogonal
random_normal = RandomNormal
random_uniform = RandomUniform
stft = STFT
truncated_normal = TruncatedNormal
variance_scaling = VarianceScaling
zeros = Zeros

publish(
    "keras.initializers",
    globals(),
    __all__,
    aliases={"normal": RandomNormal, "one": Ones, "uniform": RandomUniform, "zero": Zeros},
)
