"""Quantizing a whole model: a walk over its layers, or over its blocks with data."""

import re
import warnings

import numpy as np
from jax.core import Tracer

from ..core import objects
from ..core.messages import expected
from ..layers._calibrated import Statistics
from ..layers._convertible import ConvertibleLayer
from ..layers._formats import check, quantize
from ..quantizers._configs import resolve


def quantize_model(model, mode, config, filters, type_check=True):
    """Quantize all layers that can be, and say which couldn't; an error changes nothing."""
    config = resolve(mode, config)
    if not model.built:
        raise ValueError(
            f"Model '{model.name}' can't be quantized before it is built; call it on data first."
        )
    is_meant = _filter(filters)
    structure = _structure(model, config) if config.mode in ("gptq", "awq") else None
    if structure is None:
        layers = list(model._flatten_layers(include_self=False))
    else:
        blocks = structure["sequential_blocks"]
        layers = list({id(x): x for b in blocks for x in b._flatten_layers()}.values())
    chosen = [layer for layer in layers if is_meant(layer)]
    able = [layer for layer in chosen if _is_able(layer, config.mode, type_check)]
    for layer in able:
        check(layer, config.mode, type_check)
    left = [layer for layer in chosen if layer not in able and layer._own_variables()]
    if left and filters is None:
        names = ", ".join(f"'{layer.path}' ({objects.class_name(layer)})" for layer in left)
        warnings.warn(
            f"These layers have weights that can't be quantized to {config.mode}, and stay as they "
            f"are: {names}.",
            stacklevel=3,
        )
    if structure is None:
        for layer in able:
            layer.quantize(type_check=type_check, config=config)
    else:
        _calibrate(structure, config, able, type_check)
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


# GPTQ and AWQ: block by block, each with the outputs of those quantized before it -----------------

_AT_ONCE = 8  # samples


def _structure(model, config):
    """The layers before the blocks, and the blocks."""
    structure = config.quantization_layer_structure
    if structure is None:
        structure = model.get_quantization_layer_structure(config.mode)
    keys = ("pre_block_layers", "sequential_blocks")
    if not isinstance(structure, dict) or not all(key in structure for key in keys):
        raise ValueError(
            f"quantize: mode {config.mode!r} goes block by block, and has to know which those are. "
            f"Pass the dict quantization_layer_structure={{'{keys[0]}': […], '{keys[1]}': […]}} to "
            f"{type(config).__name__}, or override get_quantization_layer_structure; received "
            f"{structure!r}."
        )
    return structure


def _calibrate(structure, config, layers, type_check):
    samples = _samples(config)
    states = [samples[i : i + _AT_ONCE] for i in range(0, len(samples), _AT_ONCE)]
    for layer in structure["pre_block_layers"]:
        states = [_first(layer(x)) for x in states]
    for block in structure["sequential_blocks"]:
        inside = [layer for layer in block._flatten_layers() if layer in layers]
        inside = [layer for layer in inside if layer.quantization_mode is None]
        statistics = _watch(block, inside, states)
        for layer, known in zip(inside, statistics, strict=True):
            quantize(layer, None, type_check, config, known)
        states = [_first(block(x)) for x in states]


def _watch(block, layers, states):
    """The statistics of the inputs that layers get when the block is called."""
    statistics = [{n: Statistics(p) for n, p in layer.products.items()} for layer in layers]

    def watched(layer, known):
        def multiply(inputs, name):
            if isinstance(inputs, Tracer):
                raise TypeError(
                    f"Layer '{layer.path}' can't be calibrated: '{block.name}' calls it in a "
                    "function that JAX traces. Leave it out with filters."
                )
            known[name].add(inputs)
            return type(layer).multiply(layer, inputs, name)

        return multiply

    try:
        for layer, known in zip(layers, statistics, strict=True):
            vars(layer)["multiply"] = watched(layer, known)
        for x in states:
            block(x)
    finally:
        for layer in layers:
            vars(layer).pop("multiply", None)
    return statistics


def _first(outputs):
    return outputs[0] if isinstance(outputs, (list, tuple)) else outputs


def _samples(config):
    """Windows of the data's tokens, evenly spaced: `[samples, sequence_length]`."""
    owner, length = type(config).__name__, config.sequence_length
    if config.dataset is None:
        raise ValueError(f"quantize: {owner} has no dataset. Pass texts, or arrays of tokens.")
    tokens = []
    for item in config.dataset:
        if isinstance(item, (str, bytes)):
            if config.tokenizer is None:
                raise ValueError(f"quantize: {owner}'s dataset has texts, but no tokenizer.")
            item = getattr(config.tokenizer, "tokenize", config.tokenizer)(item)
        tokens.extend(np.ravel(np.asarray(item)))
        if len(tokens) >= config.num_samples * length:
            break
    last = len(tokens) - length
    if last < 0:
        raise ValueError(
            f"quantize: {owner}'s dataset has {len(tokens)} tokens, too few for "
            f"sequence_length={length}."
        )
    starts = np.unique(np.linspace(0, last, config.num_samples).astype(int))
    return np.stack([tokens[start : start + length] for start in starts]).astype("int32")
