"""Layers that act only while training, against overfitting."""

import math

import jax.numpy as jnp

from .. import random, regularizers
from ..core import settings
from ..core.messages import expected
from ..core.rng import SeedGenerator
from ._arguments import share
from ._base import Layer
from ._input_spec import InputSpec

# The limit of the SELU activation for very negative inputs: -scale * alpha, from its paper.
_SELU_LIMIT = -1.0507009873554805 * 1.6732632423543772


class Dropout(Layer):
    """While training, zeroes elements at random and divides the others by `1 - rate`.

    Args:
        rate: share of the elements to zero, from 0 to 1.
        noise_shape: shape of the random decisions; a size of 1 makes an axis share them, `None`
            means the input's size.
        seed: int or `SeedGenerator`, for repeatable numbers.

    Reference: Srivastava et al., 2014, https://jmlr.org/papers/v15/srivastava14a.html

    Example:

    >>> layer = keras.layers.Dropout(0.5, seed=1)
    >>> x = np.ones((1, 4))
    >>> layer(x)
    Array([[1., 1., 1., 1.]], dtype=float32)
    >>> bool(jnp.isin(layer(x, training=True), jnp.array([0.0, 2.0])).all())
    True
    """

    def __init__(self, rate, noise_shape=None, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.rate = share(f"{type(self).__name__}'s rate", rate)
        self.noise_shape = _noise_shape(noise_shape)
        self.seed = seed
        if rate > 0:
            self.seed_generator = _generator(seed)
        self.supports_masking = True

    def call(self, inputs, training=False):
        if not training or self.rate == 0:
            return inputs
        shape = self._noise_shape(inputs)
        return random.dropout(inputs, self.rate, noise_shape=shape, seed=self.seed_generator)

    def _noise_shape(self, inputs):
        return self.noise_shape


class _SpatialDropout(Dropout):
    """Dropout of whole channels."""

    rank: int  # set by the subclasses

    def __init__(self, rate, data_format=None, seed=None, name=None, dtype=None):
        super().__init__(rate, seed=seed, name=name, dtype=dtype)
        self.data_format = settings.standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def _noise_shape(self, inputs):
        ones = (1,) * self.rank
        if self.data_format == "channels_first":
            return (*inputs.shape[:2], *ones)
        return (inputs.shape[0], *ones, inputs.shape[-1])


class SpatialDropout1D(_SpatialDropout):
    """While training, zeroes whole channels of sequences `(batch, steps, channels)`.

    Args:
        rate: share of the channels to zero, from 0 to 1.
        seed: int or `SeedGenerator`, for repeatable numbers.
    """

    rank = 1

    def __init__(self, rate, seed=None, name=None, dtype=None):
        super().__init__(rate, "channels_last", seed, name, dtype)


class SpatialDropout2D(_SpatialDropout):
    """While training, zeroes whole channels of images.

    Args:
        rate: share of the channels to zero, from 0 to 1.
        data_format: `"channels_last"` or `"channels_first"`.
        seed: int or `SeedGenerator`, for repeatable numbers.
    """

    rank = 2


class SpatialDropout3D(_SpatialDropout):
    """While training, zeroes whole channels of volumes.

    Args:
        rate: share of the channels to zero, from 0 to 1.
        data_format: `"channels_last"` or `"channels_first"`.
        seed: int or `SeedGenerator`, for repeatable numbers.
    """

    rank = 3


class GaussianDropout(Layer):
    """While training, multiplies by random numbers around 1 with variance `rate / (1 - rate)`.

    Args:
        rate: as in `Dropout`, which has the same mean and variance; below 1.
        seed: int or `SeedGenerator`, for repeatable numbers.

    Example:

    >>> keras.layers.GaussianDropout(0.5)(np.ones((1, 2)))
    Array([[1., 1.]], dtype=float32)
    """

    def __init__(self, rate, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.rate = share("GaussianDropout's rate", rate, below=1)
        self.seed = seed
        if rate > 0:
            self.seed_generator = _generator(seed)
        self.supports_masking = True

    def call(self, inputs, training=False):
        if not training or self.rate == 0:
            return inputs
        stddev = math.sqrt(self.rate / (1 - self.rate))
        seed = self.seed_generator
        return inputs * random.normal(inputs.shape, 1.0, stddev, self.compute_dtype, seed)


class GaussianNoise(Layer):
    """While training, adds random numbers from a normal distribution.

    Args:
        stddev: standard deviation of the noise.
        seed: int or `SeedGenerator`, for repeatable numbers.

    Example:

    >>> keras.layers.GaussianNoise(0.1)(np.ones((1, 2)))
    Array([[1., 1.]], dtype=float32)
    """

    def __init__(self, stddev, seed=None, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(stddev, (int, float)) or stddev < 0:
            raise ValueError(expected("GaussianNoise's stddev", "at least 0", stddev))
        self.stddev = stddev
        self.seed = seed
        if stddev > 0:
            self.seed_generator = _generator(seed)
        self.supports_masking = True

    def call(self, inputs, training=False):
        if not training or self.stddev == 0:
            return inputs
        seed = self.seed_generator
        return inputs + random.normal(inputs.shape, 0.0, self.stddev, self.compute_dtype, seed)


class AlphaDropout(Layer):
    """Dropout for SELU networks: keeps mean 0 and variance 1.

    Elements are set to SELU's lower limit in the place of 0, and the result is scaled and shifted.

    Args:
        rate: share of the elements to drop; below 1.
        noise_shape: shape of the random decisions, as in `Dropout`.
        seed: int or `SeedGenerator`, for repeatable numbers.

    Reference: Klambauer et al., 2017, https://arxiv.org/abs/1706.02515
    """

    def __init__(self, rate, noise_shape=None, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.rate = share("AlphaDropout's rate", rate, below=1)
        self.noise_shape = _noise_shape(noise_shape)
        self.seed = seed
        if rate > 0:
            self.seed_generator = _generator(seed)
        self.supports_masking = True

    def call(self, inputs, training=False):
        if not training or self.rate == 0:
            return inputs
        sizes = self.noise_shape or inputs.shape
        shape = [n if size is None else size for size, n in zip(sizes, inputs.shape)]
        kept = random.uniform(shape, seed=self.seed_generator) >= self.rate
        scale = ((1 - self.rate) * (1 + self.rate * _SELU_LIMIT**2)) ** -0.5
        shift = -scale * _SELU_LIMIT * self.rate
        return jnp.where(kept, inputs, _SELU_LIMIT).astype(inputs.dtype) * scale + shift


class ActivityRegularization(Layer):
    """Returns its input, and adds a penalty on it to the training loss.

    Args:
        l1: weight of the sum of absolute values.
        l2: weight of the sum of squares.

    Example:

    >>> layer = keras.layers.ActivityRegularization(l1=0.5)
    >>> _ = layer(np.array([[1.0, -3.0]]))
    >>> layer.losses
    [Array(2., dtype=float32)]
    """

    def __init__(self, l1=0.0, l2=0.0, **kwargs):
        super().__init__(activity_regularizer=regularizers.L1L2(l1=l1, l2=l2), **kwargs)
        self.l1 = l1
        self.l2 = l2
        self.supports_masking = True

    def call(self, inputs):
        return inputs

    def get_config(self):
        config = super().get_config()
        del config["activity_regularizer"]  # made from the others
        return config


def _generator(seed):
    return seed if isinstance(seed, SeedGenerator) else SeedGenerator(seed)


def _noise_shape(shape):
    if shape is None:
        return None
    if isinstance(shape, (list, tuple)) and all(n is None or isinstance(n, int) for n in shape):
        return tuple(shape)
    raise ValueError(expected("noise_shape", "a tuple of ints and None", shape))
