"""Exported functions in a zip of StableHLO programs, weights, and what runs on the host before.

    signature.json         endpoints: what they take and give
    weights.safetensors    variables, each under its name
    serve.jax              an endpoint's program, as `jax.export` serializes it
    serve.keras            the model that its inputs go through before, if there is one

A program takes `(weights, *arguments)`, the weights as a dict of those that it reads, and returns
`(results, changed)`. So JAX alone can run it.
"""

import contextlib
import io
import json
import pathlib
import tempfile
import zipfile

import jax
from jax import export

from .._version import __version__
from ..core.messages import missing_package, unknown_keywords
from ..saving import save_model
from ..saving._archive import add_member
from ..saving._atomic import atomic_write
from ..saving._safetensors import write_safetensors
from ..saving._shards import Item
from ._endpoint import line

SIGNATURE, WEIGHTS = "signature.json", "weights.safetensors"
FORMAT = "hornbeam.stablehlo 1"
PLATFORMS = ("cpu", "cuda", "rocm", "tpu")


def write_stablehlo(path, endpoints, names, collections, platforms=None, **kwargs):
    """Write endpoints to a file, atomically; returns a line about each.

    Args:
        path: where.
        endpoints: list of `Endpoint`s.
        names: dict from variables to their names.
        collections: dict from names to lists of variables.
        platforms: where it will run; by default all that every endpoint can be compiled for.
    """
    if kwargs:
        raise unknown_keywords("format='stablehlo'", kwargs, ("platforms",))
    need_flatbuffers()
    if pathlib.Path(path).exists() and not is_exported(path):
        raise FileExistsError(
            f"'{path}' holds something else than an exported model; it isn't replaced. Choose a "
            "new name."
        )
    about = {
        "format": FORMAT,
        "hornbeam": __version__,
        "jax": jax.__version__,
        "endpoints": {},
        "collections": {k: [names[v] for v in vs] for k, vs in collections.items()},
    }
    programs = {e.name: _program(e, names, platforms) for e in endpoints if e.compiled}
    for endpoint in endpoints:
        described = about["endpoints"][endpoint.name] = endpoint.described()
        if endpoint.compiled:
            described["platforms"] = list(programs[endpoint.name].platforms)
    with (
        atomic_write(path) as temporary,
        tempfile.TemporaryDirectory(dir=temporary.parent) as folder,
        zipfile.ZipFile(temporary, "x") as archive,
    ):
        add_member(archive, SIGNATURE, io.BytesIO(json.dumps(about, indent=1).encode()))
        for name, program in programs.items():
            add_member(archive, f"{name}.jax", io.BytesIO(program.serialize()))
        for endpoint in endpoints:
            if endpoint.front is not None:
                front = pathlib.Path(folder, f"{endpoint.name}.keras")
                save_model(endpoint.front, front)
                _add_file(archive, front)
        weights = pathlib.Path(folder, WEIGHTS)
        write_safetensors(weights, {name: _item(name, v) for v, name in names.items()})
        _add_file(archive, weights)
    return [line(name, e) for name, e in about["endpoints"].items()]


def need_flatbuffers():
    """An error if the package is missing that `jax.export` reads and writes programs with."""
    try:
        import flatbuffers  # noqa: F401
    except ImportError:
        raise missing_package("flatbuffers", "export", 'format="stablehlo"') from None


def is_exported(path):
    """Whether there is a file at `path` that `write_stablehlo` wrote."""
    with contextlib.suppress(zipfile.BadZipFile, OSError), zipfile.ZipFile(path) as archive:
        return SIGNATURE in archive.namelist()
    return False


def _add_file(archive, path):
    with path.open("rb") as source:
        add_member(archive, path.name, source)


def _item(name, variable):
    group, _, key = name.rpartition("/")
    return Item(group, "", key, variable, variable.value.nbytes)


def _program(endpoint, names, platforms):
    """The compiled part of an endpoint as a `jax.export.Exported`."""
    variables = (*endpoint.written, *endpoint.read)
    weights = {names[v]: jax.ShapeDtypeStruct(v.shape, v.value.dtype) for v in variables}
    function = jax.jit(endpoint.program(names))
    if platforms is not None:
        return export.export(function, platforms=tuple(platforms))(weights, *endpoint.arguments)
    try:
        return export.export(function, platforms=PLATFORMS)(weights, *endpoint.arguments)
    except NotImplementedError:  # something in it is for one platform
        return export.export(function)(weights, *endpoint.arguments)
