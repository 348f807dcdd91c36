"""Layers that turn sound into pictures of its frequencies."""

import jax.numpy as jnp
import numpy as np
from jax import lax

from ..core import settings
from ..core.loading import count_variable
from ..core.messages import expected, one_of
from ..ops._convert import float_array, widened
from ..ops._math import extract_sequences, stft
from ._arguments import positive_int
from ._base import Layer
from ._input_spec import InputSpec

_MODES = ("log", "magnitude", "psd", "real", "imag", "angle", "stft")
_WINDOWS = {"hann": np.hanning, "hamming": np.hamming}


class STFTSpectrogram(Layer):
    """The frequencies in each of many short pieces of a signal, by kernels that may be trained.

    The kernels are windowed cosines and sines, so that an untrained layer computes the short-time
    Fourier transform. Their scale makes `"psd"` a density of power for a sampling rate of 1.

    Args:
        mode: what to return of the transform `z`: `"magnitude"` `|z|`, `"log"` `log |z|`, `"psd"`
            the power `|z|²`, doubled where a frequency stands for its negative, too, `"real"`,
            `"imag"`, `"angle"`, or `"stft"`, the real and then the imaginary part. In the first
            two, `|z|²` is at least `keras.config.epsilon()`.
        frame_length: samples in a piece.
        frame_step: samples from one piece to the next, by default half a piece.
        fft_length: number of frequencies on the whole circle, by default the next power of two.
        window: what to multiply pieces with: `"hann"`, `"hamming"`, `[frame_length]` numbers, or
            `None`.
        periodic: whether the window is one period, without the point that repeats the first.
        scaling: `"density"` (power per frequency), `"spectrum"` (power of a sine), or `None`.
        padding: `"valid"`, or `"same"` for zeros around the signal, so that it has
            `ceil(time / frame_step)` pieces.
        expand_dims: whether channels keep an axis of their own, as in images.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.

    Shapes: `(batch, time, channels)` to `(batch, pieces, channels * frequencies)`, or with
        `expand_dims` to `(batch, pieces, frequencies, channels)`; for `"channels_first"` from
        `(batch, channels, time)` to `(batch, channels * frequencies, pieces)` or
        `(batch, channels, pieces, frequencies)`. There are `fft_length // 2 + 1` frequencies.

    Example:

    >>> layer = keras.layers.STFTSpectrogram("magnitude", frame_length=8)
    >>> sound = np.cos(np.pi / 2 * np.arange(80)).reshape(1, 80, 1)  # 2 of 8 samples
    >>> int(layer(sound)[0, 0].argmax())
    2
    """

    def __init__(
        self,
        mode="log",
        frame_length=256,
        frame_step=None,
        fft_length=None,
        window="hann",
        periodic=False,
        scaling="density",
        padding="valid",
        expand_dims=False,
        data_format=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.autocast = False  # sums of products of sound are taken in float32 at least
        self.mode = one_of("STFTSpectrogram's mode", mode, _MODES)
        self.frame_length = n = positive_int("STFTSpectrogram's frame_length", frame_length)
        self.frame_step, self.fft_length = frame_step, fft_length
        if not 0 < self._step <= n:
            wanted = f"from 1 to frame_length, {n}"
            raise ValueError(expected("STFTSpectrogram's frame_step", wanted, frame_step))
        if self._length < n:
            wanted = f"at least frame_length, {n}"
            raise ValueError(expected("STFTSpectrogram's fft_length", wanted, fft_length))
        if isinstance(window, str):
            one_of("STFTSpectrogram's window", window, tuple(_WINDOWS))
        elif window is not None and np.shape(window) != (n,):
            raise ValueError(expected("STFTSpectrogram's window", f"of shape ({n},)", window))
        self.window = window
        self.periodic = periodic
        self.scaling = one_of("STFTSpectrogram's scaling", scaling, ("density", "spectrum", None))
        self.padding = one_of("STFTSpectrogram's padding", padding, ("valid", "same"))
        self.expand_dims = expand_dims
        self.data_format = settings.standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=3)

    @property
    def _step(self):
        return max(self.frame_length // 2, 1) if self.frame_step is None else self.frame_step

    @property
    def _length(self):
        if self.fft_length is None:
            return 1 << (self.frame_length - 1).bit_length()
        return self.fft_length

    def _window(self):
        n = self.frame_length
        if self.window is None:
            return np.ones(n)
        if not isinstance(self.window, str):
            return np.asarray(self.window)
        return _WINDOWS[self.window](n + 1)[:-1] if self.periodic else _WINDOWS[self.window](n)

    def build(self, input_shape):
        count_variable(f"{self.path}'s frequencies", (self.frame_length, self._length // 2 + 1))
        window = self._window()
        if self.scaling == "density":
            window = window / np.sqrt(np.sum(window**2))
        elif self.scaling == "spectrum":
            window = window / np.sum(window)
        frequencies = np.arange(self._length // 2 + 1) * (2 * np.pi / self._length)
        angle = np.arange(self.frame_length)[:, None] * frequencies
        kernels = {"real": np.cos(angle), "imag": -np.sin(angle)}
        for part, kernel in kernels.items():
            if self.mode not in kernels or self.mode == part:
                value = (window[:, None] * kernel)[:, None]
                weight = self.add_weight(
                    value.shape,
                    lambda shape, dtype=None, value=value: jnp.asarray(value, dtype),
                    autocast=False,
                    name=f"{part}_kernel",
                )
                setattr(self, f"{part}_kernel", weight)

    def call(self, inputs):
        x = widened(float_array(inputs))
        x = jnp.moveaxis(x, 1, 2) if self.data_format == "channels_last" else x  # [b, c, time]
        if self.padding == "same":
            n, step = x.shape[-1], self._step
            total = max((-(-n // step) - 1) * step + self.frame_length - n, 0)
            x = jnp.pad(x, ((0, 0), (0, 0), (total // 2, total - total // 2)))
        pieces = extract_sequences(x, self.frame_length, self._step)  # [b, c, t, frame_length]
        y = self._spectrum(pieces).astype(self.compute_dtype)  # [b, c, t, frequencies]
        if self.expand_dims:
            return jnp.moveaxis(y, 1, 3) if self.data_format == "channels_last" else y
        y = jnp.moveaxis(y, 2, 1).reshape(y.shape[0], y.shape[2], -1)
        return y if self.data_format == "channels_last" else jnp.moveaxis(y, 1, 2)

    def _spectrum(self, pieces):
        def part(name):
            kernel = getattr(self, f"{name}_kernel").value[:, 0]
            return jnp.matmul(pieces, kernel.astype(pieces.dtype), precision=lax.Precision.HIGHEST)

        if self.mode in ("real", "imag"):
            return part(self.mode)
        real, imag = part("real"), part("imag")
        if self.mode == "stft":
            return jnp.concatenate([real, imag], -1)
        if self.mode == "angle":
            return jnp.arctan2(imag, real)
        power = real**2 + imag**2
        if self.mode == "psd":
            # All frequencies but 0 and the highest of an even number have a negative one.
            k = np.arange(self._length // 2 + 1)
            return power * np.where((k == 0) | (2 * k == self._length), 1, 2).astype(power.dtype)
        # Silence has no logarithm, and its root no gradient.
        power = jnp.maximum(power, settings.epsilon())
        return jnp.log(power) / 2 if self.mode == "log" else jnp.sqrt(power)


class MelSpectrogram(Layer):
    """How loud a signal is over time, in bands that are as far apart as the ear hears them.

    The magnitudes of the short-time Fourier transform, to the power of `mag_exp`, are summed in
    triangular bands on the mel scale, and expressed in decibels.

    Args:
        fft_length: samples to transform at a time.
        sequence_stride: samples from one piece to the next.
        sequence_length: samples in a piece, in the middle of `fft_length`; by default all of them.
        window: what to multiply pieces with: `"hann"`, `"hamming"`, `[sequence_length]` numbers, or
            `None`.
        sampling_rate: samples per second.
        num_mel_bins: number of bands.
        min_freq, max_freq: where the bands begin and end, in hertz; by default they end at half
            the sampling rate.
        power_to_db: whether to return decibels, `10 log10(power / ref_power)`.
        top_db: how far below the loudest value of a signal others may lie; what is lower becomes
            that.
        mag_exp: 2 for power, 1 for magnitudes.
        min_power: the lowest power, and the lowest `ref_power`.
        ref_power: the power of 0 decibels.

    Shapes: `(time,)` or `(batch, time)`, to `(bands, pieces)` or `(batch, bands, pieces)`.

    Reference: [Mel scale](https://en.wikipedia.org/wiki/Mel_scale)

    Example:

    >>> layer = keras.layers.MelSpectrogram(fft_length=256, sequence_stride=128, num_mel_bins=20)
    >>> layer(np.ones((2, 1600))).shape
    (2, 20, 13)
    """

    def __init__(
        self,
        fft_length=2048,
        sequence_stride=512,
        sequence_length=None,
        window="hann",
        sampling_rate=16000,
        num_mel_bins=128,
        min_freq=20.0,
        max_freq=None,
        power_to_db=True,
        top_db=80.0,
        mag_exp=2.0,
        min_power=1e-10,
        ref_power=1.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.autocast = False  # loudness spans many orders of magnitude
        self.fft_length = positive_int("MelSpectrogram's fft_length", fft_length)
        self.sequence_stride = positive_int("MelSpectrogram's sequence_stride", sequence_stride)
        self.sequence_length = positive_int(
            "MelSpectrogram's sequence_length", sequence_length or fft_length
        )
        if self.sequence_length > fft_length:
            wanted = f"at most fft_length, {fft_length}"
            raise ValueError(expected("MelSpectrogram's sequence_length", wanted, sequence_length))
        if isinstance(window, str):
            one_of("MelSpectrogram's window", window, tuple(_WINDOWS))
        self.window = window
        self.sampling_rate = sampling_rate
        self.num_mel_bins = positive_int("MelSpectrogram's num_mel_bins", num_mel_bins)
        self.min_freq = min_freq
        self.max_freq = sampling_rate / 2 if max_freq is None else max_freq
        if not 0 <= min_freq < self.max_freq:
            wanted = f"at least 0 and below max_freq, {self.max_freq}"
            raise ValueError(expected("MelSpectrogram's min_freq", wanted, min_freq))
        self.power_to_db = power_to_db
        self.top_db = top_db
        self.mag_exp = mag_exp
        self.min_power = min_power
        self.ref_power = ref_power

    def call(self, inputs):
        x = widened(float_array(inputs))
        if x.ndim not in (1, 2):
            raise ValueError(expected("MelSpectrogram's inputs", "of shape ([batch,] time)", x))
        real, imag = stft(
            x, self.sequence_length, self.sequence_stride, self.fft_length, self.window
        )
        power = (real**2 + imag**2) ** (self.mag_exp / 2)
        bands = self.linear_to_mel_weight_matrix(
            self.num_mel_bins,
            self.fft_length // 2 + 1,
            self.sampling_rate,
            self.min_freq,
            self.max_freq,
        )
        bands = jnp.asarray(bands, power.dtype)
        power = jnp.matmul(power, bands, precision=lax.Precision.HIGHEST)
        outputs = jnp.moveaxis(power, -1, -2)
        if self.power_to_db:
            outputs = self._decibels(outputs)
        return outputs.astype(self.compute_dtype)

    def _decibels(self, power):
        reference = max(self.ref_power, self.min_power)
        decibels = 10 * jnp.log10(jnp.maximum(power, self.min_power) / reference)
        if self.top_db is None:
            return decibels
        return jnp.maximum(decibels, decibels.max((-2, -1), keepdims=True) - self.top_db)

    def linear_to_mel_weight_matrix(
        self,
        num_mel_bins=20,
        num_spectrogram_bins=129,
        sampling_rate=8000,
        lower_edge_hertz=125.0,
        upper_edge_hertz=3800.0,
        dtype="float32",
    ):
        """The share that each frequency has in each band.

        Bands are triangles on the mel scale, `2595 log10(1 + hertz / 700)`, of height 1; each
        begins and ends in the middle of its neighbours.

        Args:
            num_mel_bins: number of bands.
            num_spectrogram_bins: number of frequencies, from 0 to half the sampling rate.
            sampling_rate: samples per second.
            lower_edge_hertz, upper_edge_hertz: where the bands begin and end.
            dtype: number type of the result.

        Returns:
            Array of shape `[num_spectrogram_bins, num_mel_bins]`.
        """
        count_variable("The matrix of mel bands", (num_spectrogram_bins, num_mel_bins))
        mel = lambda hertz: 2595 * np.log10(1 + hertz / 700)
        frequencies = mel(np.linspace(0, sampling_rate / 2, num_spectrogram_bins))[:, None]
        edges = np.linspace(mel(lower_edge_hertz), mel(upper_edge_hertz), num_mel_bins + 2)
        start, middle, end = edges[:-2], edges[1:-1], edges[2:]
        rise, fall = (frequencies - start) / (middle - start), (end - frequencies) / (end - middle)
        weights = np.maximum(0, np.minimum(rise, fall))
        weights[0] = 0  # the mean isn't heard
        return jnp.asarray(weights, dtype)

    def convert_weight(self, weight):
        """`weight` as an array."""
        return np.asarray(weight)
