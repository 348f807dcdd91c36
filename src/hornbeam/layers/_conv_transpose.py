"""Transposed convolution: from what a convolution gives to what it takes."""

from .. import constraints, initializers, regularizers
from ..core.tree import Ints
from ..core.variable import Variable
from ..initializers import InitializerLike
from ..ops._windows import conv_transpose
from ._arguments import int_tuple, positive_int
from ._conv import WindowLayer


class BaseConvTranspose(WindowLayer):
    """Transposed convolution over `rank` spatial axes: every input is spread over a window."""

    kernel: Variable = None  # pyright: ignore[reportAssignmentType]  # until it is built

    def __init__(
        self,
        filters,
        kernel_size,
        strides: Ints = 1,
        padding="valid",
        output_padding=None,
        data_format=None,
        dilation_rate: Ints = 1,
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
        self.output_padding = output_padding
        if output_padding is not None:
            name = f"{owner}'s output_padding"
            self.output_padding = int_tuple(name, output_padding, self.rank, least=0)
            if any(p >= s for p, s in zip(self.output_padding, self.strides)):
                raise ValueError(
                    f"{owner}: output_padding should be less than strides; received "
                    f"output_padding={self.output_padding} and strides={self.strides}."
                )
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)

    def build(self, input_shape):
        channels = input_shape[self.channel_axis]
        self.kernel = self._add_kernel((*self.kernel_size, self.filters, channels))
        self._end_build(channels, self.filters)

    def call(self, inputs):
        outputs = conv_transpose(
            inputs,
            self.kernel.value,
            self.strides,
            self.padding,
            self.output_padding,
            self.data_format,
            self.dilation_rate,
        )
        return self._finish(outputs)


class Conv1DTranspose(BaseConvTranspose, rank=1):
    """Transposed convolution along a sequence, which makes it longer.

    Args:
        filters: number of output channels.
        kernel_size: length of the window.
        strides: steps between windows in the output.
        padding: `"valid"` (everything the windows reach) or `"same"` (`strides` times as long as
            the input).
        output_padding: `p` for an output of `(n - 1) * strides + window - 2 * margin + p` steps,
            where the margin is `window // 2` for `"same"`, else 0; less than `strides`.
        data_format: `"channels_last"`, `(batch, steps, channels)`, or `"channels_first"`.
        dilation_rate: steps between the elements of a window.
        activation, use_bias: what follows the convolution.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
            activity_regularizer, kernel_constraint, bias_constraint: as in `Dense`.

    Example:

    >>> keras.layers.Conv1DTranspose(8, 3, strides=2, padding="same")(np.ones((2, 10, 4))).shape
    (2, 20, 8)
    """


class Conv2DTranspose(BaseConvTranspose, rank=2):
    """Transposed convolution over images, which makes them larger.

    Args:
        filters: number of output channels.
        kernel_size: height and width of the window, or one int for both.
        strides: steps between windows in the output.
        padding: `"valid"` (everything the windows reach) or `"same"` (`strides` times as large as
            the input).
        output_padding: `p` for an output of `(n - 1) * strides + window - 2 * margin + p` pixels,
            where the margin is `window // 2` for `"same"`, else 0; less than `strides`.
        data_format: `"channels_last"`, `(batch, height, width, channels)`, or
            `"channels_first"`.
        dilation_rate: steps between the elements of a window.
        activation, use_bias: what follows the convolution.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
            activity_regularizer, kernel_constraint, bias_constraint: as in `Dense`.

    Reference: [Dumoulin & Visin, 2016](https://arxiv.org/abs/1603.07285)

    Example:

    >>> keras.layers.Conv2DTranspose(8, 3, strides=2)(np.ones((1, 14, 14, 4))).shape
    (1, 29, 29, 8)
    """


class Conv3DTranspose(BaseConvTranspose, rank=3):
    """Transposed convolution over volumes or videos, which makes them larger.

    Args:
        filters: number of output channels.
        kernel_size: three sizes of the window, or one int for all.
        strides: steps between windows in the output.
        padding: `"valid"` (everything the windows reach) or `"same"` (`strides` times as large as
            the input).
        output_padding: `p` for an output of `(n - 1) * strides + window - 2 * margin + p`, where
            the margin is `window // 2` for `"same"`, else 0; less than `strides`.
        data_format: `"channels_last"`, `(batch, depth, height, width, channels)`, or
            `"channels_first"`.
        dilation_rate: steps between the elements of a window.
        activation, use_bias: what follows the convolution.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
            activity_regularizer, kernel_constraint, bias_constraint: as in `Dense`.
    """

    def __init__(  # the order of the arguments is another one, as in Keras
        self,
        filters,
        kernel_size,
        strides: Ints = 1,
        padding="valid",
        data_format=None,
        output_padding=None,
        dilation_rate: Ints = 1,
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
        super().__init__(
            filters,
            kernel_size,
            strides,
            padding,
            output_padding,
            data_format,
            dilation_rate,
            activation,
            use_bias,
            kernel_initializer,
            bias_initializer,
            kernel_regularizer,
            bias_regularizer,
            activity_regularizer,
            kernel_constraint,
            bias_constraint,
            **kwargs,
        )
