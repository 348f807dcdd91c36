"""Convolution layers: one class for any number of spatial axes, and its names."""

import jax.numpy as jnp

from .. import activations, constraints, initializers, regularizers
from ..core import settings
from ..core.messages import one_of
from ..core.tree import Ints
from ..core.variable import Variable
from ..initializers import InitializerLike
from ..ops._conv import convolve
from ._arguments import int_tuple, positive_int, with_defaults
from ._base import Layer
from ._convertible import ConvertibleLayer
from ._input_spec import InputSpec


class WindowLayer(Layer):
    """What layers share that multiply windows over `rank` spatial axes with a kernel."""

    rank: int  # set by the subclasses
    paddings = ("valid", "same")
    bias: Variable | None

    def __init_subclass__(cls, rank=None, **kwargs):
        super().__init_subclass__(**kwargs)
        if rank is not None:
            cls.rank = rank
            ones = (1,) * rank if rank > 1 else 1
            cls.__init__ = with_defaults(cls.__init__, strides=ones, dilation_rate=ones)

    def _set_window(self, kernel_size, strides, padding, data_format, dilation_rate):
        owner, rank = type(self).__name__, self.rank
        self.kernel_size = int_tuple(f"{owner}'s kernel_size", kernel_size, rank)
        self.strides = int_tuple(f"{owner}'s strides", strides, rank)
        self.padding = one_of(f"{owner}'s padding", str(padding).lower(), self.paddings)
        self.data_format = settings.standardize_data_format(data_format)
        self.dilation_rate = int_tuple(f"{owner}'s dilation_rate", dilation_rate, rank)
        self.input_spec = InputSpec(ndim=rank + 2)

    def _refuse_strides_and_dilation(self):
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"{type(self).__name__}: strides and dilation_rate can't both be above 1; received "
                f"strides={self.strides} and dilation_rate={self.dilation_rate}."
            )

    def _set_bias(self, activation, use_bias, initializer, regularizer, constraint):
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.bias_initializer = initializers.get(initializer)
        self.bias_regularizer = regularizers.get(regularizer)
        self.bias_constraint = constraints.get(constraint)

    @property
    def channel_axis(self):
        """The axis of the input that holds the channels."""
        return -1 if self.data_format == "channels_last" else 1

    def _add_kernel(self, shape, kind="kernel", name="kernel"):
        """A kernel with the initializer, regularizer and constraint of this kind."""
        return self.add_weight(
            shape,
            getattr(self, f"{kind}_initializer"),
            regularizer=getattr(self, f"{kind}_regularizer"),
            constraint=getattr(self, f"{kind}_constraint"),
            name=name,
        )

    def _end_build(self, channels, features):
        self.bias = self._add_kernel((features,), "bias", "bias") if self.use_bias else None
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={self.channel_axis: channels})

    def _convolve(self, convolution, inputs):
        """A function of inputs with channels last, whichever place they have."""
        first = self.data_format == "channels_first"
        outputs = convolution(jnp.moveaxis(inputs, 1, -1) if first else inputs)
        check_not_empty(self, inputs, outputs.shape[1:-1], self.kernel_size)
        return jnp.moveaxis(outputs, -1, 1) if first else outputs

    def _finish(self, outputs):
        """Bias and activation."""
        if self.bias is not None:
            bias = self.bias.value
            if self.data_format == "channels_first":
                bias = bias.reshape(-1, *(1,) * self.rank)
            outputs = outputs + bias
        return self.activation(outputs)


class BaseConv(ConvertibleLayer, WindowLayer):
    """Convolution over `rank` spatial axes: every output is a weighted sum of a window."""

    kernel: Variable = None  # pyright: ignore[reportAssignmentType]  # until it is built
    formats = ()

    def __init__(
        self,
        filters,
        kernel_size,
        strides: Ints = 1,
        padding="valid",
        data_format=None,
        dilation_rate: Ints = 1,
        groups=1,
        activation=None,
        use_bias=True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        owner = type(self).__name__
        self._set_window(kernel_size, strides, padding, data_format, dilation_rate)
        self._refuse_strides_and_dilation()
        self._set_bias(activation, use_bias, bias_initializer, bias_regularizer, bias_constraint)
        self.filters = positive_int(f"{owner}'s filters", filters)
        self.groups = positive_int(f"{owner}'s groups", groups)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        if self.filters % self.groups:
            raise ValueError(
                f"{owner}: filters should be a multiple of groups; received "
                f"filters={self.filters} and groups={self.groups}."
            )

    def build(self, input_shape):
        channels = input_shape[self.channel_axis]
        if channels is not None and channels % self.groups:
            raise ValueError(
                f"Layer '{self.path}' ({type(self).__name__}): the number of channels should be a "
                f"multiple of groups={self.groups}; received inputs of shape {input_shape} with "
                f"{channels} channels along axis {self.channel_axis} "
                f"(data_format='{self.data_format}')."
            )
        shape = (*self.kernel_size, channels and channels // self.groups, self.filters)
        self.kernel = self._add_kernel(shape)
        self._end_build(channels, self.filters)

    def convolution_op(self, inputs, kernel):
        """The convolution without bias and activation; override it to change the kernel."""
        strides, dilation = self.strides, self.dilation_rate
        return self._convolve(
            lambda x: convolve(x, kernel, strides, self._pads(), dilation, self.groups), inputs
        )

    def _pads(self):
        if self.padding == "causal":
            return [((self.kernel_size[0] - 1) * self.dilation_rate[0], 0)]
        return self.padding

    def call(self, inputs):
        return self._finish(self.convolution_op(inputs, self.whole("kernel")))


def check_not_empty(layer, inputs, spatial, window):
    """Raise a `ValueError` if the window fits nowhere, which leaves nothing to compute."""
    if any(isinstance(n, int) and n == 0 for n in spatial):
        raise ValueError(
            f"Layer '{layer.path}' ({type(layer).__name__}): its window {window} is larger than "
            f"the inputs, of shape {tuple(inputs.shape)}, so the output would be empty. Use a "
            'smaller window, fewer strides before it, or padding="same".'
        )


class Conv1D(BaseConv, rank=1):
    """Convolution along a sequence.

    Args:
        filters: number of output channels.
        kernel_size: length of the window.
        strides: steps between windows.
        padding: `"valid"` (none), `"same"` (output as long as the input, for strides of 1) or
            `"causal"` (no output sees later inputs).
        data_format: `"channels_last"`, `(batch, steps, channels)`, or `"channels_first"`.
        dilation_rate: steps between the elements of a window.
        groups: into how many groups the channels are split, each with its own filters.
        activation, use_bias: what follows the convolution.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
            activity_regularizer, kernel_constraint, bias_constraint: as in `Dense`.

    Example:

    >>> keras.layers.Conv1D(8, 3, padding="causal")(np.ones((2, 10, 4))).shape
    (2, 10, 8)
    """

    paddings = ("valid", "same", "causal")


class Conv2D(BaseConv, rank=2):
    """Convolution over images.

    Args:
        filters: number of output channels.
        kernel_size: height and width of the window, or one int for both.
        strides: steps between windows.
        padding: `"valid"` (none) or `"same"` (output as large as the input, for strides of 1).
        data_format: `"channels_last"`, `(batch, height, width, channels)`, or
            `"channels_first"`.
        dilation_rate: steps between the elements of a window.
        groups: into how many groups the channels are split, each with its own filters.
        activation, use_bias: what follows the convolution.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
            activity_regularizer, kernel_constraint, bias_constraint: as in `Dense`.

    Example:

    >>> keras.layers.Conv2D(8, 3, strides=2)(np.ones((1, 28, 28, 3))).shape
    (1, 13, 13, 8)
    """


class Conv3D(BaseConv, rank=3):
    """Convolution over volumes or videos.

    Args:
        filters: number of output channels.
        kernel_size: three sizes of the window, or one int for all.
        strides: steps between windows.
        padding: `"valid"` (none) or `"same"` (output as large as the input, for strides of 1).
        data_format: `"channels_last"`, `(batch, depth, height, width, channels)`, or
            `"channels_first"`.
        dilation_rate: steps between the elements of a window.
        groups: into how many groups the channels are split, each with its own filters.
        activation, use_bias: what follows the convolution.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
            activity_regularizer, kernel_constraint, bias_constraint: as in `Dense`.

    Example:

    >>> keras.layers.Conv3D(4, (1, 3, 3))(np.ones((1, 5, 8, 8, 2))).shape
    (1, 5, 6, 6, 4)
    """
