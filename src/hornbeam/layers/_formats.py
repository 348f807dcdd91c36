"""All number formats of weights, and how a layer comes to have one."""

from .. import dtype_policies
from ..core import objects
from ..quantizers._configs import resolve
from ._calibrated import AWQ, GPTQ
from ._float8 import Float8
from ._lora import MSG_LORA
from ._quantized import Int4, Int8
from ._variants import unlocked, variant

FORMATS = {"int8": Int8, "int4": Int4, "float8": Float8, "gptq": GPTQ, "awq": AWQ}


def quantize(layer, mode, type_check, config, statistics=None):
    """Make a layer quantized; an error changes nothing.

    Args:
        layer: the layer.
        mode, type_check, config: the arguments of `Layer.quantize`.
        statistics: for GPTQ and AWQ, `{weight's name: Statistics}`.
    """
    config = resolve(mode, config)
    check(layer, config.mode, type_check)
    cls = FORMATS[config.mode]
    floats = {name: getattr(layer, name).value for name in layer.products}  # without LoRA
    packed = {}
    for name, weight in floats.items():
        product = layer.products[name]
        if statistics is None or not statistics[name].count:
            packed[name] = cls.pack(name, product, weight, config)
        else:
            packed[name] = cls.calibrate(name, product, weight, config, statistics[name])
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
    if layer.lora_enabled and mode in ("gptq", "awq"):
        raise NotImplementedError(MSG_LORA.format(owner=owner, mode=mode))
    if mode not in layer.formats:
        known = ", ".join(map(repr, layer.formats))
        raise NotImplementedError(f"{owner} can be quantized to {known}; received mode {mode!r}.")


def become(layer, config):
    """Change a layer's class and policy."""
    policy = f"{config.policy_mode()}_from_{layer.dtype_policy.name}"
    vars(layer)["_dtype_policy"] = dtype_policies.get(policy)
    layer.quantization_config = config.kept()
    layer.__class__ = variant(layer.plain_class, *layer.lora_in_use, *layer.formats_in_use)
