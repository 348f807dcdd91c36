"""A number format of weights: floats that are rounded to 8-bit ones where they are multiplied."""

import jax
import jax.numpy as jnp

from ..core.scope import current
from ..quantizers import (
    Float8QuantizationConfig,
    compute_float8_amax_history,
    compute_float8_scale,
    quantize_and_dequantize,
)
from ._quantized import Quantized


class Float8(Quantized):
    """Floats, rounded to 8-bit ones where they meet: inputs, weight, and gradient of the outputs.

    The scales follow the largest values of the last steps. They are trained in so far as their
    "gradient" is their next value.

    Reference: [Micikevicius et al., 2022](https://arxiv.org/abs/2209.05433)
    """

    @staticmethod
    def attributes(name):
        kinds = ("inputs", name, "outputs_grad")
        return name, *(f"{k}_{what}" for k in kinds for what in ("scale", "amax_history"))

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
            for part in self.attributes(name)[1:]:
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
        weight, *values = (getattr(self, part).value for part in self.attributes(name))
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
