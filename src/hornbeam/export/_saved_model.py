"""Exported functions as a SavedModel of TensorFlow, which its servers and converters read."""

import functools
import pathlib
from typing import Any

import jax

from ..core.messages import unknown_keywords
from ..saving._atomic import atomic_folder
from ._endpoint import line

# What TensorFlow writes into such a folder.
_PARTS = {"saved_model.pb", "fingerprint.pb", "variables", "assets", "assets.extra", "debug"}


def write_saved_model(path, endpoints, names, collections, options=None, **kwargs):
    """Write endpoints to a folder, atomically; returns a line about each.

    Args:
        path, endpoints, names, collections: as in `write_stablehlo`.
        options: a `tf.saved_model.SaveOptions`.
        platforms: where it will run; by default where it is written.
    """
    platforms = kwargs.pop("platforms", None)
    if kwargs:
        raise unknown_keywords("format='tf_saved_model'", kwargs, ("platforms",))
    on_host = next((e for e in endpoints if e.on_host), None)
    if on_host is not None:
        raise ValueError(
            f"Endpoint '{on_host.name}' begins with layers that work on the host, which a "
            'SavedModel can\'t hold. Use format="stablehlo", or export a model of the layers '
            "behind them."
        )
    others = {p.name for p in pathlib.Path(path).glob("*")} - _PARTS
    if others or pathlib.Path(path).is_file():
        what = f"holds '{min(others)}', which is no part of a SavedModel" if others else "is a file"
        raise FileExistsError(f"'{path}' {what}; it isn't replaced. Choose a new name.")
    try:
        import tensorflow as tf  # pyright: ignore[reportMissingModuleSource]
        from jax.experimental import jax2tf
    except ImportError:
        raise ImportError(
            'format="tf_saved_model" needs the package tensorflow, which is not installed: pip '
            'install tensorflow-cpu. format="stablehlo" needs much less.'
        ) from None
    module: Any = tf.Module()
    variables = {name: tf.Variable(v.numpy(), name=name) for v, name in names.items()}
    module.hornbeam_variables = list(variables.values())
    for name, members in collections.items():
        setattr(module, name, [variables[names[v]] for v in members])
    signatures = {}
    for endpoint in endpoints:
        convert = functools.partial(jax2tf.convert, native_serialization_platforms=platforms)
        function, signatures[endpoint.name] = _tf_functions(tf, convert, endpoint, names, variables)
        setattr(module, endpoint.name, function)
    signatures["serving_default"] = next(iter(signatures.values()))
    with atomic_folder(path) as folder:
        tf.saved_model.save(module, str(folder), signatures=signatures, options=options)
    return [line(e.name, e.described()) for e in endpoints]


def _tf_functions(tf, convert, endpoint, names, variables):
    """An endpoint as a `tf.function` that reads and assigns TensorFlow's variables.

    And the same for a signature, which knows no results inside of results.
    """
    used = {names[v]: variables[names[v]] for v in (*endpoint.written, *endpoint.read)}
    leaves, structure = jax.tree.flatten(endpoint.arguments)
    sizes = [f"({', '.join(map(str, x.shape))})" for x in leaves]
    program = convert(
        endpoint.program(names),
        polymorphic_shapes=[None, *jax.tree.unflatten(structure, sizes)],
        polymorphic_constraints=endpoint.constraints,
        with_gradient=False,
    )
    specs = []
    for x, takes in zip(leaves, endpoint.described()["takes"], strict=True):
        shape = [n if isinstance(n, int) else None for n in x.shape]
        specs.append(tf.TensorSpec(shape, x.dtype.name, name=takes["name"]))

    specs = jax.tree.unflatten(structure, specs)

    def call(*arguments):
        weights = {name: tf.convert_to_tensor(v) for name, v in used.items()}
        results, changed = program(weights, *arguments)
        for name, value in changed.items():
            variables[name].assign(value)
        return results

    def flat_call(*arguments):
        leaves = jax.tree.leaves_with_path(call(*arguments))
        name = functools.partial(jax.tree_util.keystr, simple=True, separator="_")
        return {name(path): x for path, x in leaves}

    tf_function = functools.partial(tf.function, input_signature=specs, autograph=False)
    function = tf_function(call)
    nested = any(len(path) > 1 for path, _ in jax.tree.leaves_with_path(endpoint.results))
    return function, tf_function(flat_call) if nested else function
