"""What layers share whose weights may be kept in different ways."""

from typing import Any

import jax.numpy as jnp

from ..core import objects
from ..core.variable import Variable
from ..quantizers import QuantizationConfig
from ._base import Layer
from ._products import Product


class WeightLayer(Layer):
    """A layer with a large weight, which it only reads by `multiply`, `look_up` or `whole`.

    That is all that a subclass has to do, beside saying in `products` what is computed with each
    weight: variants (see `_variants.py`) replace the three.
    """

    products: dict[str, Product] = {}
    main_weight = "kernel"  # that LoRA adds to
    lora_enabled = False
    lora_rank: int | None
    lora_alpha: float | None
    quantization_config: QuantizationConfig | None
    _plain = None

    @property
    def variable_serialization_spec(self) -> dict[str | None, list[str]]:
        """For each quantization mode, the attributes of the variables in the order of files."""
        raise NotImplementedError

    @property
    def class_name(self):
        """The name of the class in files."""
        return objects.class_name(self)

    @property
    def plain_class(self):
        """The class that this one is a variant of."""
        return self._plain or type(self)

    def multiply(self, inputs, name):
        """The product of the inputs and a weight."""
        return self.products[name](inputs, self.stored(name))

    def look_up(self, indices, name):
        """Rows of a weight."""
        return jnp.take(self.stored(name), indices, axis=0)

    def whole(self, name) -> Any:
        """The array that inputs are multiplied with, however that is done."""
        return self.stored(name)

    def stored(self, name) -> Any:
        """The array that is kept as a weight, without what variants add to it."""
        return getattr(self, name).value

    def weight_shape(self, name):
        """The shape of that array."""
        return getattr(self, name).shape

    def packed(self, name, array):
        """What is kept of an array as a weight: `{attribute: array}`."""
        return {name: array}

    def set_weight(self, attribute, value, name=None):
        """Keep an array as a variable that isn't trained, in the place of the one there was."""
        self.drop_weight(attribute)
        variable = self.add_weight(
            value.shape,
            lambda shape, dtype: value,
            dtype=value.dtype.name,
            trainable=False,
            autocast=False,
            name=name or attribute.removeprefix("quantized_"),
        )
        setattr(self, attribute, variable)

    def drop_weight(self, attribute):
        """Forget a variable, if there is one."""
        old = getattr(self, attribute, None)
        if isinstance(old, Variable):
            vars(self)["_weights"] = [v for v in self._weights if v is not old]
            delattr(self, attribute)
