"""Convolution of every channel by itself, alone or before one that mixes the channels."""

import jax.numpy as jnp

from .. import constraints, initializers, regularizers
from ..core.tree import Ints
from ..core.variable import Variable
from ..initializers import InitializerLike
from ..ops._conv import convolve
from ..ops._project import project
from ._arguments import positive_int
from ._conv import WindowLayer


class BaseDepthwiseConv(WindowLayer):
    """Convolution of every channel by itself, with `depth_multiplier` kernels each."""

    kernel: Variable = None  # pyright: ignore[reportAssignmentType]  # until it is built

    def __init__(
        self,
        kernel_size,
        strides: Ints = 1,
        padding="valid",
        depth_multiplier=1,
        data_format=None,
        dilation_rate: Ints = 1,
        activation=None,
        use_bias=True,
        depthwise_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        depthwise_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        depthwise_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        owner = type(self).__name__
        self._set_window(kernel_size, strides, padding, data_format, dilation_rate)
        self._set_bias(activation, use_bias, bias_initializer, bias_regularizer, bias_constraint)
        self.depth_multiplier = positive_int(f"{owner}'s depth_multiplier", depth_multiplier)
        self.depthwise_initializer = initializers.get(depthwise_initializer)
        self.depthwise_regularizer = regularizers.get(depthwise_regularizer)
        self.depthwise_constraint = constraints.get(depthwise_constraint)

    def build(self, input_shape):
        channels = input_shape[self.channel_axis]
        shape = (*self.kernel_size, channels, self.depth_multiplier)
        self.kernel = self._add_kernel(shape, "depthwise")
        self._end_build(channels, channels * self.depth_multiplier)

    def call(self, inputs):
        kernel = self.kernel.value
        return self._finish(self._convolve(lambda x: _depthwise(self, x, kernel), inputs))


class BaseSeparableConv(WindowLayer):
    """A depthwise convolution, then one with a window of a single element."""

    depthwise_kernel: Variable
    pointwise_kernel: Variable

    def __init__(
        self,
        filters,
        kernel_size,
        strides: Ints = 1,
        padding="valid",
        data_format=None,
        dilation_rate: Ints = 1,
        depth_multiplier=1,
        activation=None,
        use_bias=True,
        depthwise_initializer: InitializerLike = "glorot_uniform",
        pointwise_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        depthwise_regularizer=None,
        pointwise_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        depthwise_constraint=None,
        pointwise_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        owner = type(self).__name__
        self._set_window(kernel_size, strides, padding, data_format, dilation_rate)
        self._set_bias(activation, use_bias, bias_initializer, bias_regularizer, bias_constraint)
        self.filters = positive_int(f"{owner}'s filters", filters)
        self.depth_multiplier = positive_int(f"{owner}'s depth_multiplier", depth_multiplier)
        self.depthwise_initializer = initializers.get(depthwise_initializer)
        self.depthwise_regularizer = regularizers.get(depthwise_regularizer)
        self.depthwise_constraint = constraints.get(depthwise_constraint)
        self.pointwise_initializer = initializers.get(pointwise_initializer)
        self.pointwise_regularizer = regularizers.get(pointwise_regularizer)
        self.pointwise_constraint = constraints.get(pointwise_constraint)

    def build(self, input_shape):
        channels = input_shape[self.channel_axis]
        shape = (*self.kernel_size, channels, self.depth_multiplier)
        self.depthwise_kernel = self._add_kernel(shape, "depthwise", "depthwise_kernel")
        shape = (*(1,) * self.rank, channels * self.depth_multiplier, self.filters)
        self.pointwise_kernel = self._add_kernel(shape, "pointwise", "pointwise_kernel")
        self._end_build(channels, self.filters)

    def call(self, inputs):
        kernel = self.depthwise_kernel.value
        mixing = jnp.squeeze(self.pointwise_kernel.value, range(self.rank))
        separate = lambda x: project(_depthwise(self, x, kernel), mixing)
        return self._finish(self._convolve(separate, inputs))


def _depthwise(layer, x, kernel):
    *window, channels, multiplier = kernel.shape
    kernel = kernel.reshape(*window, 1, channels * multiplier)
    return convolve(x, kernel, layer.strides, layer.padding, layer.dilation_rate, channels)


class DepthwiseConv1D(BaseDepthwiseConv, rank=1):
    """Convolution of every channel of a sequence by itself.

    Args:
        kernel_size: length of the window.
        strides: steps between windows.
        padding: `"valid"` (none) or `"same"` (output as long as the input, for strides of 1).
        depth_multiplier: number of output channels for each input channel.
        data_format: `"channels_last"`, `(batch, steps, channels)`, or `"channels_first"`.
        dilation_rate: steps between the elements of a window.
        activation, use_bias: what follows the convolution.
        depthwise_initializer, bias_initializer, depthwise_regularizer, bias_regularizer,
            activity_regularizer, depthwise_constraint, bias_constraint: as in `Dense`.

    Example:

    >>> keras.layers.DepthwiseConv1D(3, depth_multiplier=2)(np.ones((2, 10, 4))).shape
    (2, 8, 8)
    """


class DepthwiseConv2D(BaseDepthwiseConv, rank=2):
    """Convolution of every channel of images by itself.

    Args:
        kernel_size: height and width of the window, or one int for both.
        strides: steps between windows.
        padding: `"valid"` (none) or `"same"` (output as large as the input, for strides of 1).
        depth_multiplier: number of output channels for each input channel.
        data_format: `"channels_last"`, `(batch, height, width, channels)`, or
            `"channels_first"`.
        dilation_rate: steps between the elements of a window.
        activation, use_bias: what follows the convolution.
        depthwise_initializer, bias_initializer, depthwise_regularizer, bias_regularizer,
            activity_regularizer, depthwise_constraint, bias_constraint: as in `Dense`.

    Example:

    >>> keras.layers.DepthwiseConv2D(3)(np.ones((1, 28, 28, 8))).shape
    (1, 26, 26, 8)
    """


class SeparableConv1D(BaseSeparableConv, rank=1):
    """Convolution of every channel of a sequence by itself, then a mixture of the channels.

    Args:
        filters: number of output channels.
        kernel_size: length of the window.
        strides: steps between windows.
        padding: `"valid"` (none) or `"same"` (output as long as the input, for strides of 1).
        data_format: `"channels_last"`, `(batch, steps, channels)`, or `"channels_first"`.
        dilation_rate: steps between the elements of a window.
        depth_multiplier: number of channels in between, for each input channel.
        activation, use_bias: what follows the convolution.
        depthwise_initializer, pointwise_initializer, bias_initializer, depthwise_regularizer,
            pointwise_regularizer, bias_regularizer, activity_regularizer, depthwise_constraint,
            pointwise_constraint, bias_constraint: as in `Dense`.

    Example:

    >>> keras.layers.SeparableConv1D(8, 3)(np.ones((2, 10, 4))).shape
    (2, 8, 8)
    """


class SeparableConv2D(BaseSeparableConv, rank=2):
    """Convolution of every channel of images by itself, then a mixture of the channels.

    Args:
        filters: number of output channels.
        kernel_size: height and width of the window, or one int for both.
        strides: steps between windows.
        padding: `"valid"` (none) or `"same"` (output as large as the input, for strides of 1).
        data_format: `"channels_last"`, `(batch, height, width, channels)`, or
            `"channels_first"`.
        dilation_rate: steps between the elements of a window.
        depth_multiplier: number of channels in between, for each input channel.
        activation, use_bias: what follows the convolution.
        depthwise_initializer, pointwise_initializer, bias_initializer, depthwise_regularizer,
            pointwise_regularizer, bias_regularizer, activity_regularizer, depthwise_constraint,
            pointwise_constraint, bias_constraint: as in `Dense`.

    Reference: [Chollet, 2017](https://arxiv.org/abs/1610.02357)

    Example:

    >>> keras.layers.SeparableConv2D(8, 3, strides=2)(np.ones((1, 28, 28, 3))).shape
    (1, 13, 13, 8)
    """
