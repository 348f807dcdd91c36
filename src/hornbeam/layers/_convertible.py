"""Layers that can become variants: with quantized weights, or a low-rank addition to one."""

from .. import dtype_policies
from ..core.messages import expected
from ..quantizers import QuantizationConfig
from ._base import Layer
from ._formats import FORMATS, quantize
from ._lora import Lora, enable_lora
from ._variants import variant
from ._weights import WeightLayer


class ConvertibleLayer(WeightLayer):
    """A layer whose weights may be quantized, or get a low-rank addition."""

    formats = tuple(FORMATS)  # that the weights can be quantized to

    def __init__(self, *, lora_rank=None, lora_alpha=None, quantization_config=None, **kwargs):
        # First, since the dtype policy decides about the class.
        self.lora_rank = lora_rank or None
        self.lora_alpha = lora_rank if lora_alpha is None else lora_alpha
        if not isinstance(quantization_config, QuantizationConfig | None):
            wanted = "a QuantizationConfig or None"
            raise ValueError(expected("quantization_config", wanted, quantization_config))
        self.quantization_config = quantization_config
        super().__init__(**kwargs)

    def enable_lora(self, rank, lora_alpha=None, a_initializer="he_uniform", b_initializer="zeros"):
        """Freeze the weight, and train a low-rank addition to it instead.

        Args:
            rank: the addition's rank.
            lora_alpha: what the addition is multiplied with, times the rank; by default the rank.
            a_initializer, b_initializer: initial values of its two factors.

        Raises:
            ValueError: if the layer isn't built, or has an addition, or a constraint.
        """
        enable_lora(self, rank, lora_alpha, a_initializer, b_initializer)

    def quantize(self, mode=None, type_check=True, config=None):
        """Quantize the layer's weights.

        Args:
            mode: `"int8"`, `"int4"` or `"float8"`.
            type_check: whether a class of your own is refused: it may read weights in other ways.
            config: a `QuantizationConfig` in place of the mode.

        Raises:
            ValueError: if the layer isn't built, or is quantized already.
        """
        quantize(self, mode, type_check, config)

    @property
    def variable_serialization_spec(self):
        weights = tuple(self.products) or (self.main_weight,)
        spec: dict[str | None, list[str]] = {}
        for mode in (None, *self.formats):
            kept = FORMATS[mode].attributes if mode else lambda name: (name,)
            names = [part for name in weights for part in kept(name)]
            if hasattr(self, "bias_initializer"):  # comes behind the kernel, if that is kept
                names.insert(names[0] == self.main_weight, "bias")
            spec[mode] = list(dict.fromkeys(names))
        return spec

    # The class, as it follows from the policy and from LoRA ---------------------------------------

    @property
    def formats_in_use(self):
        """The class that changes how weights are kept, as a tuple."""
        mode = self.quantization_mode
        return (FORMATS[mode],) if mode and self.formats else ()

    @property
    def lora_in_use(self):
        """The class that adds LoRA, as a tuple."""
        return (Lora,) if self.lora_enabled else ()

    @Layer.dtype_policy.setter
    def dtype_policy(self, policy):
        policy = dtype_policies.get(policy)
        if self.built and policy.quantization_mode != self.quantization_mode:
            raise ValueError(
                f"Layer '{self.path}' is built, so its dtype_policy can't become '{policy.name}': "
                "call layer.quantize instead."
            )
        Layer.dtype_policy.fset(self, policy)  # pyright: ignore[reportOptionalCall]
        if not self.built:
            changes = (Lora,) if self.lora_rank else ()
            self.__class__ = variant(self.plain_class, *changes, *self.formats_in_use)

    def constructor_arguments(self):
        arguments = super().constructor_arguments()
        ours = {"lora_rank": self.lora_rank, "lora_alpha": self.lora_alpha}
        arguments = {k: v for k, v in arguments.items() if k not in ours}
        if self.formats:
            arguments["quantization_config"] = self.quantization_config
        return {**arguments, **ours} if self.lora_rank else arguments
