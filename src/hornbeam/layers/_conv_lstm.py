"""LSTM layers over images and the like: their products are convolutions."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from ..core import settings
from ..core.messages import one_of
from ..core.tree import Ints
from ..initializers import InitializerLike
from ..ops._conv import convolve
from ._arguments import int_tuple, positive_int
from ._conv import check_not_empty
from ._input_spec import InputSpec
from ._rnn import CellLayer, cell_options
from ._rnn_base import Formula
from ._rnn_cells import LSTMCell, LSTMFormula


@dataclasses.dataclass(frozen=True)
class Window:
    """A convolution, but for its kernel."""

    channel_axis: int  # negative
    strides: tuple
    padding: str
    dilation: tuple

    def convolve(self, x, kernel, noise):
        """Convolutions of `x * noise` with each quarter of the kernel.

        Args:
            x: `[…, b]`, then spatial axes and one of channels.
            noise: `[b, …]`, or a list of four of those, or `None`.
        """
        if isinstance(noise, list):
            kernels = jnp.split(kernel, 4, axis=-1)
            return [self._convolve(x * n, k) for n, k in zip(noise, kernels)]
        y = self._convolve(x if noise is None else x * noise, kernel)
        return jnp.split(y, 4, axis=self.channel_axis)

    def _convolve(self, x, kernel):
        image = x.ndim - len(self.strides) - 1
        flat = x.reshape(-1, *x.shape[image:])  # all steps at once
        flat = jnp.moveaxis(flat, self.channel_axis, -1)
        y = convolve(flat, kernel, self.strides, self.padding, self.dilation, 1)
        y = jnp.moveaxis(y, -1, self.channel_axis)
        return y.reshape(*x.shape[:image], *y.shape[1:])


@dataclasses.dataclass(frozen=True)
class ConvLSTMFormula(Formula):
    """An LSTM with a convolution in the place of the product; its bias is in `x` already."""

    activation: Callable
    gate: Callable
    window: Window

    def once(self, kernel, biases, x, states, noise):
        hidden = self.window.convolve(states[0], kernel, noise)
        z = [a + b for a, b in zip(x, hidden)]
        return LSTMFormula(self.activation, self.gate).advance(z, states)


class ConvLSTMCell(LSTMCell):
    """One step of a `ConvLSTM`: that of an LSTM, with convolutions in the place of products.

    The arguments after `dilation_rate` are those of `LSTMCell` after the units.
    """

    def __init__(
        self,
        rank,
        filters,
        kernel_size,
        strides,
        padding,
        data_format,
        dilation_rate,
        *arguments,
        **kwargs,
    ):
        kwargs["implementation"] = 1  # as in Keras, every gate has dropout of its own
        super().__init__(positive_int("ConvLSTM's filters", filters), *arguments, **kwargs)
        self.filters = self.units
        self.kernel_size = int_tuple("ConvLSTM's kernel_size", kernel_size, rank)
        self.strides = int_tuple("ConvLSTM's strides", strides, rank)
        self.padding = one_of("ConvLSTM's padding", str(padding).lower(), ("valid", "same"))
        self.data_format = settings.standardize_data_format(data_format)
        self.dilation_rate = int_tuple("ConvLSTM's dilation_rate", dilation_rate, rank)
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                "ConvLSTM: strides and dilation_rate can't both be above 1; received "
                f"strides={self.strides} and dilation_rate={self.dilation_rate}."
            )
        self._channel_axis = -1 if self.data_format == "channels_last" else -1 - rank

    def build(self, input_shape):
        if None in input_shape[1:]:
            raise ValueError(
                f"Layer '{self.path}': a ConvLSTM needs to know all sizes of its inputs but those "
                f"of batch and time; received, for one step, {input_shape}."
            )
        window, width = self.kernel_size, 4 * self.filters
        channels = input_shape[self._channel_axis]
        self.kernel = self._weight("kernel", "kernel", (*window, channels, width))
        self.recurrent_kernel = self._weight(
            "recurrent", "recurrent_kernel", (*window, self.filters, width)
        )
        self.bias = self._weight("bias", "bias", (width,)) if self.use_bias else None
        step = jax.ShapeDtypeStruct((1, *input_shape[1:]), self.compute_dtype)
        self._state_shape = jax.eval_shape(lambda x: self._project(x, None)[0], step).shape[1:]

    def get_initial_state(self, batch_size=None):
        """Zeros for a batch of this size, in the shape of the outputs: a list of two arrays."""
        return [jnp.zeros((batch_size, *self._state_shape), self.compute_dtype)] * 2

    def _project(self, x, noise):
        window = Window(self._channel_axis, self.strides, self.padding, self.dilation_rate)
        parts = window.convolve(x, self.kernel.value, noise)
        check_not_empty(self, x, parts[0].shape[x.ndim - len(self.strides) - 1 :], self.kernel_size)
        if (biases := super()._biases()) is None:
            return parts
        shape = (-1, *(1,) * (-1 - self._channel_axis))
        return [part + bias.reshape(shape) for part, bias in zip(parts, biases)]

    def _biases(self):
        return None  # they are added once, to the input's part

    @property
    def formula(self):
        ones = (1,) * len(self.kernel_size)
        window = Window(self._channel_axis, ones, "same", ones)
        return ConvLSTMFormula(self.activation, self.recurrent_activation, window)


class ConvLSTM(CellLayer):
    """An LSTM layer over sequences of images with `rank` spatial axes."""

    rank: int  # set by the subclasses

    def __init__(
        self,
        filters,
        kernel_size,
        strides: Ints = 1,
        padding="valid",
        data_format=None,
        dilation_rate: Ints = 1,
        activation="tanh",
        recurrent_activation="sigmoid",
        use_bias=True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        recurrent_initializer: InitializerLike = "orthogonal",
        bias_initializer: InitializerLike = "zeros",
        unit_forget_bias=True,
        kernel_regularizer=None,
        recurrent_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None,
        dropout=0.0,
        recurrent_dropout=0.0,
        seed=None,
        return_sequences=False,
        return_state=False,
        go_backwards=False,
        stateful=False,
        **kwargs,
    ):
        cell = ConvLSTMCell(
            *(self.rank, filters, kernel_size, strides, padding, data_format, dilation_rate),
            *(activation, recurrent_activation, use_bias),
            *(kernel_initializer, recurrent_initializer, bias_initializer, unit_forget_bias),
            *(kernel_regularizer, recurrent_regularizer, bias_regularizer),
            *(kernel_constraint, recurrent_constraint, bias_constraint),
            *(dropout, recurrent_dropout, seed),
            name="conv_lstm_cell",
            **cell_options(kwargs),
        )
        super().__init__(
            *(cell, return_sequences, return_state, go_backwards, stateful),
            activity_regularizer=activity_regularizer,
            **kwargs,
        )
        self.input_spec = InputSpec(ndim=self.rank + 3)

    def build(self, sequences_shape, initial_state_shape=None):
        super().build(sequences_shape, initial_state_shape)
        sizes = dict(enumerate(sequences_shape[2:], 2))
        self.input_spec = InputSpec(ndim=self.rank + 3, axes=sizes)


class ConvLSTM1D(ConvLSTM):
    """An LSTM over sequences of sequences: its products are convolutions.

    Args:
        filters: number of output channels.
        kernel_size: length of the window.
        strides: steps between windows.
        padding: `"valid"` (none) or `"same"` (output as long as the input, for strides of 1), for
            the inputs; for the hidden state it is `"same"`.
        data_format: `"channels_last"`, `(batch, time, steps, channels)`, or `"channels_first"`.
        dilation_rate: steps between the elements of a window over the inputs.
        activation, …, stateful: as in `LSTM`.

    Called as `RNN` is. All sizes of the inputs but those of batch and time must be known.

    Reference: Shi et al., 2015, https://arxiv.org/abs/1506.04214, without its connections from the
    carry to the gates.

    Example:

    >>> keras.layers.ConvLSTM1D(4, 3)(np.ones((2, 5, 8, 3))).shape
    (2, 6, 4)
    """

    rank = 1


class ConvLSTM2D(ConvLSTM):
    """An LSTM over sequences of images: its products are convolutions.

    Args:
        filters: number of output channels.
        kernel_size: height and width of the window, or one int for both.
        strides: steps between windows.
        padding: `"valid"` (none) or `"same"` (output as large as the input, for strides of 1), for
            the inputs; for the hidden state it is `"same"`.
        data_format: `"channels_last"`, `(batch, time, height, width, channels)`, or
            `"channels_first"`.
        dilation_rate: steps between the elements of a window over the inputs.
        activation, …, stateful: as in `LSTM`.

    Called as `RNN` is. All sizes of the inputs but those of batch and time must be known.

    Reference: Shi et al., 2015, https://arxiv.org/abs/1506.04214, without its connections from the
    carry to the gates.

    Example:

    >>> layer = keras.layers.ConvLSTM2D(4, 3, padding="same", return_sequences=True)
    >>> layer(np.ones((2, 5, 8, 8, 3))).shape
    (2, 5, 8, 8, 4)
    """

    rank = 2


class ConvLSTM3D(ConvLSTM):
    """An LSTM over sequences of volumes: its products are convolutions.

    Args:
        filters: number of output channels.
        kernel_size: three sizes of the window, or one int for all.
        strides: steps between windows.
        padding: `"valid"` (none) or `"same"` (output as large as the input, for strides of 1), for
            the inputs; for the hidden state it is `"same"`.
        data_format: `"channels_last"`, `(batch, time, depth, height, width, channels)`, or
            `"channels_first"`.
        dilation_rate: steps between the elements of a window over the inputs.
        activation, …, stateful: as in `LSTM`.

    Called as `RNN` is. All sizes of the inputs but those of batch and time must be known.

    Reference: Shi et al., 2015, https://arxiv.org/abs/1506.04214, without its connections from the
    carry to the gates.

    Example:

    >>> keras.layers.ConvLSTM3D(2, 2)(np.ones((1, 3, 4, 4, 4, 2))).shape
    (1, 3, 3, 3, 2)
    """

    rank = 3
