"""Sums of products of inputs and a weight: what layers compute that can be quantized."""

import math

import jax.numpy as jnp

from ..ops._project import project


class Product:
    """A sum over products of inputs and a weight, written as an equation.

    Args:
        equation: such as `"...i,io->...o"`; the inputs and the outputs may have an ellipsis, at
            the start or at the end.
        packed: the axis along which two 4-bit numbers share a byte, for a weight of two axes that
            is summed over it; by default it is the last axis of the weight as a matrix.
    """

    def __init__(self, equation, packed=None):
        self.equation = equation
        operands, self.outputs = equation.split("->")
        self.inputs, self.weight = operands.split(",")
        self.packed = packed
        # How many axes are summed over, if they are the last of the inputs and the first of the
        # weight.
        n = len(self.summed)
        rows = self.inputs[: len(self.inputs) - n]
        ordered = self.inputs[len(rows) :] == self.weight[:n]
        self._ordered = n if ordered and self.outputs == rows + self.weight[n:] else 0

    @property
    def summed(self):
        """The weight's axes that are summed over."""
        return tuple(i for i, name in enumerate(self.weight) if name not in self.outputs)

    @property
    def ends_alike(self):
        """Whether the last axis of the weight is that of the outputs."""
        last = self.weight[-1]
        return self.outputs[-1] == last and last not in self.inputs

    def __call__(self, inputs, weight, **options):
        """The outputs; options are those of `jnp.einsum`."""
        if not options:
            if self._ordered:
                return project(inputs, weight, self._ordered)
            if self.is_turned:
                return project(inputs, weight.T)
        return jnp.einsum(self.equation, inputs, weight, **options)

    def summed_inputs(self, rank):
        """The axes that are summed over, of inputs with `rank` axes."""
        names = self._named(self.inputs, rank)
        return tuple(
            i for i, name in enumerate(names) if isinstance(name, str) and name not in self.outputs
        )

    def _named(self, axes, rank):
        """The names of all axes; those of the ellipsis are numbers."""
        before, dots, after = axes.partition("...")
        elided = range(rank - len(before) - len(after)) if dots else ()
        return [*before, *elided, *after]

    # A scale has size 1 along the axes that are summed over, so it can be lined up with the weight,
    # the inputs or the outputs.

    def weight_to_outputs(self, scale):
        """A scale of the weight, as the outputs have its axes, without those of the ellipsis."""
        return _aligned(scale, self.weight, self.outputs.replace("...", ""))

    def outputs_to_weight(self, scale):
        """A scale that `weight_to_outputs` returned, as the weight has its axes."""
        return _aligned(scale, self.outputs.replace("...", "")[-scale.ndim :], self.weight)

    def inputs_to_outputs(self, scale):
        """A scale of the inputs, as the outputs have its axes."""
        names = self._named(self.inputs, scale.ndim)
        elided = sum(isinstance(name, int) for name in names)
        rank = len(self.outputs.replace("...", "")) + elided
        return _aligned(scale, names, self._named(self.outputs, rank))

    def on_outputs(self, scale, rank):
        """A scale from `weight_to_outputs` for outputs with `rank` axes."""
        behind = rank - scale.ndim if self.outputs.endswith("...") else 0
        return scale.reshape(*scale.shape, *(1,) * behind)

    # Weights as matrices, `[summed over, others]`.

    def _rows_first(self, rank):
        others = (axis for axis in range(rank) if axis not in self.summed)
        return *self.summed, *others

    def rows(self, weight):
        """The weight as a matrix of which each row is multiplied with one input."""
        turned = weight.transpose(self._rows_first(weight.ndim))
        return turned.reshape(self.matrix_shape(weight.shape))

    def from_rows(self, matrix, shape):
        """The weight of this shape that `rows` was made from."""
        order = self._rows_first(len(shape))
        turned = matrix.reshape([shape[axis] for axis in order])
        return turned.transpose([order.index(axis) for axis in range(len(shape))])

    def input_rows(self, inputs):
        """The inputs as a matrix `[any, inputs]`: what meets the rows of `rows`."""
        names = self._named(self.inputs, inputs.ndim)
        last = [names.index(self.weight[axis]) for axis in self.summed]
        turned = jnp.moveaxis(inputs, last, range(-len(last), 0))
        return turned.reshape(-1, math.prod(inputs.shape[axis] for axis in last))

    @property
    def is_turned(self):
        """Whether the weight is a matrix with the axis that is summed over last."""
        return self.packed is not None and self.summed == (1,)

    @property
    def packed_axis(self):
        """The axis of the matrix along which two 4-bit numbers share a byte."""
        return 1 if self.packed is None else 0

    def matrix(self, weight):
        """The weight as a matrix.

        The axes keep their order, so a row of the matrix isn't always a row of the product. It is
        Keras's layout, and any is fine that is undone.
        """
        return weight.T if self.is_turned else weight.reshape(self.matrix_shape(weight.shape))

    def matrix_shape(self, shape):
        """The shape of that matrix for a weight of this shape."""
        rows = math.prod(shape[axis] for axis in self.summed)
        return rows, math.prod(shape) // rows

    def from_matrix(self, matrix, shape):
        """The weight of this shape that `matrix` was made from."""
        return matrix.T if self.is_turned else matrix.reshape(shape)


def _aligned(array, names, wanted):
    """An array with the axes `names`, laid out along the axes `wanted`.

    Axes of size 1 may be left out, and are put in where the array lacks one.
    """
    kept = [(name, size) for name, size in zip(names, array.shape) if name in wanted]
    array = array.reshape([size for _, size in kept])
    order = [name for name, _ in kept]
    sizes = dict(kept)
    array = array.transpose([order.index(name) for name in wanted if name in sizes])
    return array.reshape([sizes.get(name, 1) for name in wanted])
