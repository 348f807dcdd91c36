"""Quantizing a whole model: a walk over its layers."""

import re
import warnings

from ..core import objects
from ..core.messages import expected
from ..layers._convertible import ConvertibleLayer
from ..layers._quantized import check
from ..quantizers._configs import resolve


def quantize_model(model, mode, config, filters, type_check=True):
    """Quantize all layers that can be, and say which couldn't; an error changes nothing."""
    config = resolve(mode, config)
    if not model.built:
        raise ValueError(
            f"Model '{model.name}' can't be quantized before it is built; call it on data first."
        )
    is_meant = _filter(filters)
    chosen = [layer for layer in model._flatten_layers(include_self=False) if is_meant(layer)]
    able = [layer for layer in chosen if _is_able(layer, config.mode, type_check)]
    for layer in able:
        check(layer, config.mode, type_check)
    left = {id(v) for layer in able for v in layer.weights}
    left = [
        layer
        for layer in chosen
        if layer not in able and any(id(v) not in left for v in layer._own_variables())
    ]
    if left and filters is None:
        names = ", ".join(f"'{layer.path}' ({objects.class_name(layer)})" for layer in left)
        warnings.warn(
            f"These layers have weights that can't be quantized to {config.mode}, and stay as they "
            f"are: {names}.",
            stacklevel=3,
        )
    for layer in able:
        layer.quantize(type_check=type_check, config=config)
    model._programs = {}  # compiled for the old variables, which they would keep


def _is_able(layer, mode, type_check):
    if not isinstance(layer, ConvertibleLayer) or mode not in layer.formats:
        return False
    return objects.is_ours(layer.plain_class) or not type_check


def _filter(filters):
    """A function that says whether a layer is meant."""
    if filters is None:
        return lambda layer: True
    if callable(filters):
        return filters
    patterns = [filters] if isinstance(filters, str) else filters
    if not isinstance(patterns, (list, tuple)) or not all(isinstance(p, str) for p in patterns):
        wanted = "a regular expression of layers' names, a list of them, or a function of a layer"
        raise ValueError(expected("quantize's filters", wanted, filters))
    return lambda layer: any(re.search(pattern, layer.name) for pattern in patterns)
