"""Number formats of weights: 8-bit and 4-bit integers.

A format is a class that comes in front of a layer's class (see `_variants.py`). It says which
arrays are kept of a weight, what they stand for, and how inputs are multiplied with them.
"""

import functools

import jax
import jax.numpy as jnp

from ..core.scope import current
from ..quantizers import (
    AbsMaxQuantizer,
    Int4QuantizationConfig,
    Int8QuantizationConfig,
    abs_max_quantize_grouped_with_zero_point,
    pack_int4,
    unpack_int4,
)
from ._products import Product
from ._variants import Variant


class Quantized(Variant):
    """In front of a layer's class: its weights are kept in another format."""

    _shapes = {}  # of the weights that are packed

    @staticmethod
    def attributes(name):
        """The attributes that hold what is kept of a weight."""
        raise NotImplementedError

    @classmethod
    def pack(cls, name, product, weight, config):
        """What is kept of a weight: `{attribute: array}`."""
        raise NotImplementedError

    def unpack(self, name, parts, shape):
        """The array of a shape that was packed into `parts`, in float32 or more."""
        raise NotImplementedError

    def default_config(self):
        """How to quantize a layer that only has a dtype policy."""
        raise NotImplementedError

    @property
    def config(self):
        """How the weights are quantized."""
        return self.quantization_config or self.default_config()

    def build(self, input_shape=None):
        super().build(input_shape)
        names = [name for name in self.products if name not in self._shapes]
        floats = {name: getattr(self, name).value for name in names}
        self.adopt({n: self.packed(n, w) for n, w in floats.items()}, floats)

    def adopt(self, packed, floats):
        """Keep what was packed in the place of the weights, whose arrays are `floats`."""
        self._note_shapes(floats)
        parts = {part: value for parts in packed.values() for part, value in parts.items()}
        order = (part for name in packed for part in self.attributes(name))  # that of files
        for part in dict.fromkeys(order):
            if part in parts:
                self.set_weight(part, parts[part])

    def _note_shapes(self, floats):
        shapes = {name: tuple(weight.shape) for name, weight in floats.items()}
        self._shapes = {**self._shapes, **shapes}

    def packed(self, name, array):
        # In a traced function (a layer built by its first call) this makes real arrays.
        with jax.ensure_compile_time_eval():
            return self.pack(name, self.products[name], array, self.config)

    def weight_shape(self, name):
        return self._shapes[name]

    def kept(self, name):
        """The arrays that are kept of a weight."""
        parts = {part: getattr(self, part, None) for part in self.attributes(name)}
        return {part: v.value for part, v in parts.items() if v is not None}

    def stored(self, name):
        return self._cast(self.unpack(name, self.kept(name), self._shapes[name]))

    def _cast(self, array):
        """In the dtype that a variable of floats would be read in."""
        return array.astype(current().autocast or self.variable_dtype)

    def look_up(self, indices, name):
        # The table that has only the rows in question.
        rows = {
            part: value if part == "g_idx" else jnp.take(value, indices.ravel(), axis=0)
            for part, value in self.kept(name).items()
        }
        shape = (*indices.shape, *self._shapes[name][1:])
        rows = self.unpack(name, rows, (indices.size, *shape[indices.ndim :]))
        return self._cast(rows.reshape(shape))

    def quantized_call(self, *args, **kwargs):
        """The same as `call`."""
        return self.call(*args, **kwargs)


# Integers -----------------------------------------------------------------------------------------


class Int8(Quantized):
    """8-bit integers, with a scale for each output; inputs are rounded to such, too."""

    @staticmethod
    def attributes(name):
        return name, f"{name}_scale"

    def default_config(self):
        return Int8QuantizationConfig()

    @classmethod
    def pack(cls, name, product, weight, config):
        q, scale = _per_output(product, weight, config, (-127, 127))
        return {name: q, f"{name}_scale": product.weight_to_outputs(scale)}

    def unpack(self, name, parts, shape):
        scale = self.products[name].outputs_to_weight(wide(parts[f"{name}_scale"]))
        return parts[name] / scale

    def multiply(self, inputs, name):
        quantizer = self.config.activation_quantizer
        if quantizer is None:
            return super().multiply(inputs, name)
        parts = self.kept(name)
        # The derivative is that of the product with the weight as floats.
        return _int8_product(self, name, quantizer, inputs, parts[name], parts[f"{name}_scale"])


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1, 2))
def _int8_product(layer, name, quantizer, inputs, weight, scale):
    """The product of rounded inputs and an 8-bit weight, summed up in 32 bits."""
    product = layer.products[name]
    q, input_scale = _quantized(quantizer, wide(inputs), product.summed_inputs(inputs.ndim))
    sums = product(q, weight, preferred_element_type=jnp.int32)
    scale = product.on_outputs(wide(scale), sums.ndim)
    outputs = sums / (product.inputs_to_outputs(input_scale) * scale)
    return outputs.astype(inputs.dtype)


@_int8_product.defjvp
def _int8_product_jvp(layer, name, quantizer, primals, tangents):
    inputs, weight, scale = primals
    outputs = _int8_product(layer, name, quantizer, inputs, weight, scale)
    parts = {name: weight, f"{name}_scale": scale}
    whole = layer.unpack(name, parts, weight.shape).astype(outputs.dtype)
    return outputs, layer.products[name](tangents[0], whole).astype(outputs.dtype)


class Int4(Quantized):
    """4-bit integers, two in a byte.

    Weights that are summed over share a scale and a zero point in blocks, or have one scale for
    each output.
    """

    @staticmethod
    def attributes(name):
        return name, f"{name}_scale", f"{name}_zero", "g_idx"

    def default_config(self):
        block_size = getattr(self.dtype_policy, "block_size", -1)
        return Int4QuantizationConfig(block_size=block_size)

    @classmethod
    def pack(cls, name, product, weight, config):
        matrix = product.matrix(weight)
        if not config.has_blocks:
            flat = Product("...i,io->...o")
            q, scale = _per_output(flat, matrix, config, (-8, 7))
            q, _, _ = pack_int4(q, axis=product.packed_axis)
            return {name: _turned(product, q), f"{name}_scale": scale.reshape(-1)}
        rows = matrix.shape[0]
        block = min(config.block_size, rows)
        q, scale, zero = abs_max_quantize_grouped_with_zero_point(matrix, block)
        q, _, _ = pack_int4(q, axis=product.packed_axis)
        return {
            name: _turned(product, q),
            f"{name}_scale": _turned(product, scale),
            f"{name}_zero": _turned(product, zero),
            "g_idx": jnp.arange(rows, dtype="float32") // block,
        }

    def unpack(self, name, parts, shape):
        product = self.products[name]
        rows, columns = product.matrix_shape(shape)
        length = columns if product.packed_axis else rows
        q = unpack_int4(_turned(product, parts[name]), length, axis=product.packed_axis)
        scale = wide(parts[f"{name}_scale"])
        if f"{name}_zero" not in parts:
            return product.from_matrix(q / scale, shape)
        group = parts["g_idx"].astype("int32")
        scale, zero = _turned(product, scale), _turned(product, parts[f"{name}_zero"])
        return product.from_matrix((q - wide(zero)[group]) * scale[group], shape)


def _per_output(product, weight, config, value_range):
    """Integers and scales of a weight, by the config's quantizer or the usual one."""
    usual = AbsMaxQuantizer(value_range=value_range)
    quantizer = config.weight_quantizer or usual
    q, scale = _quantized(quantizer, weight, product.summed)
    wanted = tuple(1 if i in product.summed else n for i, n in enumerate(weight.shape))
    if tuple(scale.shape) != wanted:
        raise ValueError(
            f"A weight_quantizer should return scales of shape {wanted} for a weight of shape "
            f"{tuple(weight.shape)}, one for each output; received {tuple(scale.shape)}. Leave out "
            f"its axis, or make it {product.summed}."
        )
    return q, scale


def _quantized(quantizer, x, axes):
    """Integers and scales; the axes are for quantizers that were made without."""
    if isinstance(quantizer, AbsMaxQuantizer) and not quantizer.axis:
        return quantizer(x, axis=axes)
    return quantizer(x)


def _turned(product, x):
    return x.T if product.is_turned else x


def wide(x):
    """In float32 at least, for sums and quotients."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))
