"""Low-rank additions to weights: a large weight stays as it is, and two small ones are trained."""

import jax.numpy as jnp

from ..core.dtypes import is_float_dtype
from ._arguments import positive_int
from ._variants import Variant, unlocked, variant

MSG_LORA = """\
{owner}: LoRA doesn't go with {mode}, since saving would have to quantize the sum without the data \
for it. Use int8 or int4."""


class Lora(Variant):
    """In front of a layer's class: `kernel + lora_alpha / lora_rank · a @ b` in place of `kernel`.

    `a` has the kernel's shape with `lora_rank` as its last size, `b` is `[lora_rank, last size]`.
    `b` starts as zeros, so the layer computes at first what it did.

    Reference: [Hu et al., 2021](https://arxiv.org/abs/2106.09685)
    """

    lora_enabled = True
    lora_rank: int
    lora_alpha: float

    def build(self, input_shape=None):
        super().build(input_shape)
        check(self)
        self.add_factors("he_uniform", "zeros")

    def add_factors(self, a_initializer, b_initializer):
        """Make the two factors, and freeze the weight."""
        name, rank = self.main_weight, self.lora_rank
        *leading, last = self.weight_shape(name)
        regularizer = getattr(self, f"{name}_regularizer")
        for factor, shape, initializer in (
            ("a", (*leading, rank), a_initializer),
            ("b", (rank, last), b_initializer),
        ):
            variable = self.add_weight(
                shape, initializer, regularizer=regularizer, name=f"lora_{name}_{factor}"
            )
            setattr(self, f"lora_{name}_{factor}", variable)
        weight = getattr(self, name)
        weight.trainable = weight.trainable_by_design = False

    def _own_variables(self):
        # The weight keeps its place before the others, though it isn't trained any more.
        weight = getattr(self, self.main_weight)
        own = super()._own_variables()
        if weight is None or not is_float_dtype(weight.dtype):
            return own
        return [weight, *(v for v in own if v is not weight)]

    def added(self):
        return self._factors()

    def _factors(self):
        name = self.main_weight
        return getattr(self, f"lora_{name}_a"), getattr(self, f"lora_{name}_b")

    def _scaled_b(self):
        return self._factors()[1].value * (self.lora_alpha / self.lora_rank)

    def whole(self, name):
        weight = super().whole(name)
        if name != self.main_weight:
            return weight
        return weight + self._factors()[0].value @ self._scaled_b()

    def multiply(self, inputs, name):
        outputs = super().multiply(inputs, name)
        if name != self.main_weight:
            return outputs
        product, (a, _) = self.products[name], self._factors()
        if product.ends_alike:  # then there is no need to multiply the factors with each other
            return outputs + product(inputs, a.value) @ self._scaled_b()
        return outputs + product(inputs, a.value @ self._scaled_b())

    def look_up(self, indices, name):
        rows = super().look_up(indices, name)
        if name != self.main_weight:
            return rows
        return rows + jnp.take(self._factors()[0].value, indices, axis=0) @ self._scaled_b()

    def save_own_variables(self, store):
        """Put the variables into a store, with the addition added to the weight."""
        name = self.main_weight
        merged = self.packed(name, self.whole(name))
        merged = {getattr(self, attribute): value for attribute, value in merged.items()}
        for i, variable in enumerate(self._saved_variables()):
            store[f"{i}"] = merged.get(variable, variable)

    def load_own_variables(self, store):
        """Set the variables from a store; nothing is added to the weight from it."""
        super().load_own_variables(store)
        b = self._factors()[1]
        b.assign(jnp.zeros_like(b.value))


def enable_lora(layer, rank, alpha, a_initializer, b_initializer):
    """Give a built layer a low-rank addition."""
    owner = f"Layer '{layer.path}' ({layer.class_name})"
    if not layer.built:
        raise ValueError(f"{owner}: enable_lora needs a built layer; call it on data first.")
    if layer.lora_enabled:
        raise ValueError(f"{owner} has LoRA already, of rank {layer.lora_rank}.")
    rank = positive_int("enable_lora's rank", rank)
    check(layer)
    layer.lora_rank, layer.lora_alpha = rank, rank if alpha is None else alpha
    layer.__class__ = variant(layer.plain_class, Lora, *layer.formats_in_use)
    with unlocked(layer):
        layer.add_factors(a_initializer, b_initializer)


def check(layer):
    """An error if the layer's weight can't have a low-rank addition."""
    owner = f"Layer '{layer.path}' ({layer.class_name})"
    constraint = f"{layer.main_weight}_constraint"
    if getattr(layer, constraint) is not None:
        raise ValueError(
            f"{owner}: LoRA doesn't go with a constraint, which would have to hold for the sum. "
            f"Leave {constraint} out."
        )
    if layer.quantization_mode in ("gptq", "awq"):
        raise NotImplementedError(MSG_LORA.format(owner=owner, mode=layer.quantization_mode))
