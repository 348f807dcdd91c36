"""Exported functions as a SavedModel of TensorFlow, which its servers and converters read."""

import functools
from typing import Any

import jax

from ..core.messages import unknown_keywords
from ..saving._atomic import atomic_folder
from ._endpoint import line


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
    try:
        import tensorflow as tf  # pyright: ignore[reportMissingModuleSource]
        from jax.experimental import jax2tf
    except ImportError:
        raise ImportError(
            'format="tf_saved_model" needs the package tensorflow, which is not installed: pip '
            'install tensorflow-cpu. format="stablehlo" needs nothing.'
        ) from None
    module: Any = tf.Module()
    variables = {name: tf.Variable(v.numpy(), name=name) for v, name in names.items()}
    module.hornbeam_variables = list(variables.values())
    for name, members in collections.items():
        setattr(module, name, [variables[names[v]] for v in members])
    functions = {}
    for endpoint in endpoints:
        convert = functools.partial(jax2tf.convert, native_serialization_platforms=platforms)
        functions[endpoint.name] = _tf_function(tf, convert, endpoint, names, variables)
        setattr(module, endpoint.name, functions[endpoint.name])
    signatures = {**functions, "serving_default": next(iter(functions.values()))}
    with atomic_folder(path) as folder:
        tf.saved_model.save(module, str(folder), signatures=signatures, options=options)
    return [line(e.name, e.described()) for e in endpoints]


def _tf_function(tf, convert, endpoint, names, variables):
    """An endpoint as a `tf.function` that reads and assigns TensorFlow's variables."""
    used = {names[v]: variables[names[v]] for v in (*endpoint.written, *endpoint.read)}
    leaves, structure = jax.tree.flatten(endpoint.arguments)
    sizes = [f"({', '.join(map(str, x.shape))})" for x in leaves]
    program = convert(
        endpoint.program(names),
        polymorphic_shapes=[None, *jax.tree.unflatten(structure, sizes)],
        with_gradient=False,
    )
    signature = []
    for x, takes in zip(leaves, endpoint.described()["takes"], strict=True):
        shape = [n if isinstance(n, int) else None for n in x.shape]
        signature.append(tf.TensorSpec(shape, x.dtype.name, name=takes["name"]))

    @tf.function(input_signature=jax.tree.unflatten(structure, signature), autograph=False)
    def function(*arguments):
        weights = {name: tf.convert_to_tensor(v) for name, v in used.items()}
        results, changed = program(weights, *arguments)
        for name, value in changed.items():
            variables[name].assign(value)
        return results

    return function
