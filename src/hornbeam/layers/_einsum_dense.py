"""`Dense` for any axes: a product with a kernel, written as an equation."""

import copy
import re

from .. import activations, constraints, initializers, regularizers
from ..core.messages import expected
from ..core.variable import Variable
from ..initializers import InitializerLike, VarianceScaling
from ._convertible import ConvertibleLayer
from ._products import Product
from ._variants import quantized_build


class EinsumDense(ConvertibleLayer):
    """Sums of products over named axes: `activation(einsum(equation, x, kernel) + bias)`.

    Args:
        equation: the axes of the inputs, the kernel and the outputs, such as `"abc,cd->abd"`. An
            ellipsis, at the start or the end of inputs and outputs, stands for any axes.
        output_shape: sizes of the outputs without the batch and the axes of the ellipsis; an int
            for one size. `None` is a size that follows from the inputs.
        activation: function applied to the result.
        bias_axes: the output axes that the bias has, such as `"d"`; `None` for no bias.
        kernel_initializer, bias_initializer: initial values. Fans count the axes that are summed
            over as inputs, the kernel's others as outputs.
        kernel_regularizer, bias_regularizer: penalties.
        kernel_constraint, bias_constraint: functions applied after every training step.
        lora_rank, lora_alpha, quantization_config: as in `Dense`.
        gptq_unpacked_column_size: in the config of a layer quantized by GPTQ, the number of columns
            of its kernel as a matrix.

    Example:

    >>> layer = keras.layers.EinsumDense("bte,ehd->bthd", (None, 2, 4), bias_axes="hd")
    >>> layer(np.ones((1, 5, 3))).shape
    (1, 5, 2, 4)
    >>> layer.kernel.shape, layer.bias.shape
    ((3, 2, 4), (2, 4))
    """

    kernel: Variable = None  # pyright: ignore[reportAssignmentType]  # until it is built

    def __init__(
        self,
        equation,
        output_shape,
        activation=None,
        bias_axes=None,
        kernel_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        lora_rank=None,
        lora_alpha=None,
        gptq_unpacked_column_size=None,
        quantization_config=None,
        **kwargs,
    ):
        super().__init__(
            lora_rank=lora_rank,
            lora_alpha=lora_alpha,
            quantization_config=quantization_config,
            **kwargs,
        )
        self.equation = equation
        self.output_shape = (
            tuple(output_shape) if isinstance(output_shape, (list, tuple)) else (output_shape,)
        )
        self.activation = activations.get(activation)
        self.bias_axes = bias_axes
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.gptq_unpacked_column_size = gptq_unpacked_column_size
        self._plan = _Equation(equation, self.output_shape, bias_axes)
        self.products = {"kernel": Product("".join(equation.split()))}

    def build(self, input_shape):
        sizes = self._plan.sizes(self.path, input_shape)
        self.kernel = self.add_weight(
            self._plan.kernel_shape(sizes),
            self._plan.with_fans(self.kernel_initializer),
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            name="kernel",
        )
        self.bias = None
        if self.bias_axes is not None:
            self.bias = self.add_weight(
                self._plan.bias_shape(sizes, len(input_shape)),
                self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                name="bias",
            )

    def call(self, inputs, training=None):
        outputs = self.multiply(inputs, "kernel")
        if self.bias is not None:
            outputs = outputs + self.bias.value
        return self.activation(outputs)

    def constructor_arguments(self):
        arguments = super().constructor_arguments()
        if self.gptq_unpacked_column_size is None:
            del arguments["gptq_unpacked_column_size"]
        return {**arguments, "activity_regularizer": self.activity_regularizer}

    def quantized_build(self, kernel_shape, mode, config=None):
        """Make the variables of a quantized kernel, as in `Dense`."""
        quantized_build(self, "kernel", kernel_shape, mode, config)


_LEFT = re.compile(r"\.\.\.([a-zA-Z]+),([a-zA-Z]+)->\.\.\.([a-zA-Z]*)")
_RIGHT = re.compile(r"([a-zA-Z]+)(?:\.\.\.)?,([a-zA-Z]+)->([a-zA-Z]*)(\.\.\.)?")


class _Equation:
    """The names of axes in an equation, and the sizes that follow from it."""

    def __init__(self, equation, output_shape, bias_axes):
        text = "".join(equation.split()) if isinstance(equation, str) else ""
        left = _LEFT.fullmatch(text)
        found = left or _RIGHT.fullmatch(text)
        if found is None or (not left and text.count("...") not in (0, 2)):
            wanted = '"ab,bc->ac", "...ab,bc->...ac" or "ab...,bc->ac...", with any letters'
            raise ValueError(expected("EinsumDense's equation", wanted, equation))
        self.equation = equation
        self.elided = "..." in text
        self.elided_right = self.elided and not left
        self.inputs, self.kernel, self.outputs = found.groups()[:3]
        self.bias = bias_axes or ""
        for name in self.bias:
            if name not in self.outputs:
                raise ValueError(
                    f"EinsumDense's bias_axes={bias_axes!r} should name axes of the outputs "
                    f"'{self.outputs}'; '{name}' is none of them."
                )
        for name in self.kernel:
            if name not in self.inputs + self.outputs:
                raise ValueError(
                    f"EinsumDense's equation {equation!r}: the size of the kernel's axis '{name}' "
                    "is unknown, since neither the inputs nor the outputs have such an axis."
                )
        # The batch comes first and has no size, unless the ellipsis stands for it.
        self.sized = self.outputs if left else self.outputs[1:]
        if len(output_shape) != len(self.sized):
            wanted = f"one size for each of the axes '{self.sized}' in {equation!r}"
            raise ValueError(expected("EinsumDense's output_shape", wanted, output_shape))
        self.output_sizes = dict(zip(self.sized, output_shape))

    def sizes(self, path, input_shape):
        """`{axis: size}` for inputs of this shape."""
        rank = len(self.inputs)
        if len(input_shape) < rank or (len(input_shape) > rank and not self.elided):
            raise ValueError(
                f"Layer '{path}' (EinsumDense): {self.equation!r} takes inputs of {rank} axes"
                f"{' or more' if self.elided else ''}; received shape {tuple(input_shape)}."
            )
        here = input_shape[:rank] if self.elided_right else input_shape[-rank:]
        sizes = dict(zip(self.inputs, here))
        for name, size in self.output_sizes.items():
            known = sizes.get(name)
            if size is not None and known not in (None, size):
                raise ValueError(
                    f"Layer '{path}' (EinsumDense): output_shape says that axis '{name}' of "
                    f"{self.equation!r} has size {size}; the inputs, of shape {input_shape}, have "
                    f"{known}."
                )
            sizes[name] = known if size is None else size
        return sizes

    def kernel_shape(self, sizes):
        return tuple(sizes[name] for name in self.kernel)

    def bias_shape(self, sizes, rank):
        """The bias's axes where the outputs have them, with 1 between and after them."""
        names = self.outputs[min(map(self.outputs.index, self.bias)) :]
        shape = [sizes[name] if name in self.bias else 1 for name in names]
        return (*shape, *(1,) * (rank - len(self.inputs) if self.elided_right else 0))

    def with_fans(self, initializer):
        """The initializer, which counts the axes that are summed over as inputs."""
        axes = (getattr(initializer, "input_axes", None), getattr(initializer, "output_axes", None))
        if not isinstance(initializer, VarianceScaling) or axes != (None, None):
            return initializer
        initializer = copy.copy(initializer)
        is_output = [name in self.outputs for name in self.kernel]
        initializer.input_axes = [i for i, output in enumerate(is_output) if not output]
        initializer.output_axes = [i for i, output in enumerate(is_output) if output]
        return initializer
