"""Number formats of weights: 8-bit and 4-bit integers, 8-bit floats.

A format is a class that comes in front of a layer's class (see `_variants.py`). It says which
arrays are kept of a weight, what they stand for, and how inputs are multiplied with them.
"""

import functools

import jax
import jax.numpy as jnp

from .. import dtype_policies
from ..core import objects
from ..core.scope import current
from ..core.variable import Variable
from ..quantizers import (
    AbsMaxQuantizer,
    Float8QuantizationConfig,
    Int4QuantizationConfig,
    Int8QuantizationConfig,
    abs_max_quantize_grouped_with_zero_point,
    compute_float8_amax_history,
    compute_float8_scale,
    pack_int4,
    quantize_and_dequantize,
    unpack_int4,
)
from ..quantizers._configs import resolve
from ._products import Product
from ._variants import Variant, unlocked, variant


class Quantized(Variant):
    """In front of a layer's class: its weights are kept in another format."""

    _shapes = {}  # of the weights that are packed

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
        for parts in packed.values():
            for attribute, value in parts.items():
                self.set_weight(attribute, value)

    def _note_shapes(self, floats):
        shapes = {name: tuple(weight.shape) for name, weight in floats.items()}
        self._shapes = {**self._shapes, **shapes}

    def packed(self, name, array):
        return self.pack(name, self.products[name], array, self.config)

    def weight_shape(self, name):
        return self._shapes[name]

    def kept(self, name):
        """The arrays that are kept of a weight."""
        parts = {part: getattr(self, part, None) for part in (name, *self.parts(name))}
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

    def parts(self, name):
        return (f"{name}_scale",)

    def default_config(self):
        return Int8QuantizationConfig()

    @classmethod
    def pack(cls, name, product, weight, config):
        q, scale = _per_output(product, weight, config, (-127, 127))
        return {name: q, f"{name}_scale": product.weight_to_outputs(scale)}

    def unpack(self, name, parts, shape):
        scale = self.products[name].outputs_to_weight(_wide(parts[f"{name}_scale"]))
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
    q, input_scale = _quantized(quantizer, _wide(inputs), product.summed_inputs(inputs.ndim))
    sums = product(q, weight, preferred_element_type=jnp.int32)
    scale = product.on_outputs(_wide(scale), sums.ndim)
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

    g_idx: Variable  # the block of each row

    def parts(self, name):
        index = ("g_idx",) if name == self.main_weight else ()
        return (f"{name}_scale", f"{name}_zero", *index)

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
        scale = _wide(parts[f"{name}_scale"])
        if f"{name}_zero" not in parts:
            return product.from_matrix(q / scale, shape)
        group = self.g_idx.value.astype("int32")
        scale, zero = _turned(product, scale), _turned(product, parts[f"{name}_zero"])
        return product.from_matrix((q - _wide(zero)[group]) * scale[group], shape)


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


def _wide(x):
    """In float32 at least, for sums and quotients."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


# 8-bit floats -------------------------------------------------------------------------------------


class Float8(Quantized):
    """Floats, rounded to 8-bit ones where they meet: inputs, weight, and gradient of the outputs.

    The scales follow the largest values of the last steps. They are trained in so far as their
    "gradient" is their next value.

    Reference: [Micikevicius et al., 2022](https://arxiv.org/abs/2209.05433)
    """

    def parts(self, name):
        kinds = ("inputs", name, "outputs_grad")
        return tuple(f"{k}_{what}" for k in kinds for what in ("scale", "amax_history"))

    def default_config(self):
        return Float8QuantizationConfig()

    @classmethod
    def pack(cls, name, product, weight, config):
        return {name: weight}

    def unpack(self, name, parts, shape):
        return parts[name]

    def adopt(self, packed, floats):
        self._note_shapes(floats)
        length = getattr(self.dtype_policy, "amax_history_length", 1024)
        for name in packed:
            for part in self.parts(name):
                is_scale = part.endswith("_scale")
                variable = self.add_weight(
                    () if is_scale else (length,),
                    "ones" if is_scale else "zeros",
                    dtype="float32",
                    autocast=False,
                    overwrite_with_gradient=True,
                    name=part,
                )
                setattr(self, part, variable)

    def multiply(self, inputs, name):
        weight = getattr(self, name).value
        values = [getattr(self, part).value for part in self.parts(name)]
        if current().training:
            inputs = _rounded_in_training(inputs, *values[:2])
            weight = _rounded_in_training(weight, *values[2:4])
        else:
            inputs, weight = _rounded(inputs, values[0]), _rounded(weight, values[2])
        return _rounding_gradients(self.products[name](inputs, weight), *values[4:])


def _next_scale(scale, history, dtype):
    return compute_float8_scale(jnp.max(history), scale, float(jnp.finfo(dtype).max))


def _to_float8(x, scale, dtype):
    return quantize_and_dequantize(x, scale, dtype, x.dtype)


def _rounded(x, scale):
    """`x` rounded; the gradient passes."""
    rounded = _to_float8(x, scale, "float8_e4m3fn")
    return x + jax.lax.stop_gradient(rounded - x)


@jax.custom_vjp
def _rounded_in_training(x, scale, history):
    """`x` rounded; the gradient passes, and those of the others are their next values."""
    return _rounded_in_training_forward(x, scale, history)[0]


def _rounded_in_training_forward(x, scale, history):
    scale = _next_scale(scale, history, "float8_e4m3fn")
    history = compute_float8_amax_history(x, history)
    return _to_float8(x, scale, "float8_e4m3fn"), (scale, history)


_rounded_in_training.defvjp(
    _rounded_in_training_forward, lambda following, gradient: (gradient, *following)
)


@jax.custom_vjp
def _rounding_gradients(x, scale, history):
    """`x` as it is; its gradient is rounded, and those of the others are their next values."""
    return x


def _rounding_gradients_backward(state, gradient):
    scale, history = state
    scale = _next_scale(scale, history, "float8_e5m2")
    history = compute_float8_amax_history(gradient, history)
    return _to_float8(gradient, scale, "float8_e5m2"), scale, history


_rounding_gradients.defvjp(
    lambda x, scale, history: (x, (scale, history)), _rounding_gradients_backward
)


FORMATS = {"int8": Int8, "int4": Int4, "float8": Float8}


def quantize(layer, mode, type_check, config):
    """Make a layer quantized; an error changes nothing."""
    config = resolve(mode, config)
    check(layer, config.mode, type_check)
    cls = FORMATS[config.mode]
    floats = {name: getattr(layer, name).value for name in layer.products}  # without LoRA
    packed = {n: cls.pack(n, layer.products[n], w, config) for n, w in floats.items()}
    become(layer, config)
    with unlocked(layer):
        layer.adopt(packed, floats)


def check(layer, mode, type_check=True):
    """An error if the layer can't be quantized in this way."""
    owner = f"Layer '{layer.path}' ({layer.class_name})"
    if not layer.formats or (type_check and not objects.is_ours(layer.plain_class)):
        raise NotImplementedError(
            f"{owner} can't be quantized."
            + (
                " If it reads its weights as its base class does, pass type_check=False."
                if layer.formats
                else ""
            )
        )
    if not layer.built:
        raise ValueError(f"{owner} can't be quantized before it is built; call it on data first.")
    if layer.quantization_mode is not None:
        raise ValueError(
            f"{owner} is quantized already: its policy is '{layer.dtype_policy.name}'; received "
            f"mode {mode!r}."
        )
    if mode not in layer.formats:
        known = ", ".join(map(repr, layer.formats))
        raise NotImplementedError(f"{owner} can be quantized to {known}; received mode {mode!r}.")


def become(layer, config):
    """Change a layer's class and policy."""
    policy = f"{config.policy_mode()}_from_{layer.dtype_policy.name}"
    vars(layer)["_dtype_policy"] = dtype_policies.get(policy)
    layer.quantization_config = config
    layer.__class__ = variant(layer.plain_class, *layer.lora_in_use, *layer.formats_in_use)
