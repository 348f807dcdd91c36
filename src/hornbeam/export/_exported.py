"""Exported functions that are loaded again."""

import contextlib
import pathlib
import re
import tempfile
import threading

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from ..core.loading import LoadError, explained
from ..core.messages import did_you_mean
from ..data import place
from ..saving import load_model
from ..saving._safetensors import SafetensorsFile
from ..saving._zip import ZipReader
from ._endpoint import line
from ._stablehlo import FORMAT, SIGNATURE, WEIGHTS, need_flatbuffers

# What a program may call beside StableHLO's own operations: linear algebra, random numbers, checks
# of sizes. Whatever else the process has registered, Python's functions too, could be called so.
_CALL = re.compile(r"custom_call\s*@\"?([^\s\"(]+)|call_target_name = \"([^\"]*)\"")
_ALLOWED = re.compile(
    r"shape_assertion|ApproxTopK|Eigh|Qr|LuDecomposition|ProductOfElementaryHouseholderReflectors"
    r"|lapack_\w+_ffi|cu(solver|sparse)?_\w+|hip(solver)?_\w+|(stablehlo|mhlo|chlo)\.\w+"
)


def load(filepath, custom_objects=None):
    """Read what `model.export(format="stablehlo")`, or an `ExportArchive`, wrote.

    Of the code that made the model nothing is needed, but for your own layers that work on the
    host. The file holds programs: load those of people you trust. Checksums find damage, and a
    program that calls functions of the process is refused; but XLA's readers aren't made for
    hostile input, and what a program takes of time and memory isn't limited.

    Args:
        filepath: the file.
        custom_objects: dict from names to your classes and functions that run on the host.

    Returns:
        An `ExportedModel`.

    Raises:
        FileNotFoundError: if there is no such file.
        LoadError: if it is another file, or broken.

    Example:

    >>> import tempfile
    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.export(folder + "/m", format="stablehlo", verbose=False)
    ...     exported = keras.export.load(folder + "/m")
    >>> exported
    ExportedModel with the endpoint serve(input_layer: float32[batch, 3]) -> float32[batch, 2]
    >>> bool((exported(np.ones((4, 3))) == model(np.ones((4, 3)))).all())
    True
    """
    need_flatbuffers()
    path = pathlib.Path(filepath)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file '{path}'.")
    with path.open("rb") as file:
        archive = ZipReader(file, str(path))
        about = _read_signature(archive)
        with archive.open(WEIGHTS) as inner, SafetensorsFile(inner, f"{path}: {WEIGHTS}") as held:
            entries = [entry for group in held.groups.values() for entry in group.values()]
            weights = {entry.name: jnp.asarray(held.array(entry)) for entry in entries}
        endpoints = {}
        for name in about["endpoints"]:
            with explained(str(path), f"the endpoint {name!r} can't be loaded"):
                front = _read_front(archive, f"{name}.keras", custom_objects)
                program = _read_program(archive, f"{name}.jax")
                endpoints[name] = ExportedEndpoint(name, program, front, weights)
        with explained(str(path), f"{SIGNATURE} is damaged"):
            return ExportedModel(about, endpoints, weights)


def _read_signature(archive):
    """What stands in a file about its endpoints, after a look whether it is an exported model."""
    if SIGNATURE not in archive.names or WEIGHTS not in archive.names:
        hint = (
            " It is a model: use keras.saving.load_model." if "config.json" in archive.names else ""
        )
        raise LoadError(f"'{archive.name}' isn't what `model.export` writes.{hint}")
    about = archive.json(SIGNATURE)
    if about.get("format") != FORMAT:
        raise LoadError(
            f"'{archive.name}' has the format {about.get('format')!r}; this release reads "
            f"{FORMAT!r}."
        )
    with explained(archive.name, f"{SIGNATURE} is damaged"):
        for name, endpoint in about["endpoints"].items():
            line(name, endpoint)
        if not about["endpoints"]:
            raise LoadError("there is no endpoint")
    return about


def _read_front(archive, member, custom_objects):
    """The model that inputs go through before, or `None`."""
    if member not in archive.names:
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, member)
        path.write_bytes(archive.read(member))
        return load_model(path, custom_objects)


def _read_program(archive, member):
    """The compiled part as a `jax.export.Exported`, or `None`."""
    if member not in archive.names:
        return None
    program = export.deserialize(bytearray(archive.read(member)))
    for call in _CALL.finditer(program.mlir_module()):
        target = call[1] or call[2]
        if not _ALLOWED.fullmatch(target):
            raise LoadError(f"its program calls {target!r}, which isn't known to be harmless")
    return program


class ExportedModel:
    """What `keras.export.load` gives: functions to call, as attributes and in `endpoints`.

    Calling it calls the first one. What a function assigns to variables is seen by the next call
    of any of them.

    Attributes:
        endpoints: dict from names to `ExportedEndpoint`s.
    """

    def __init__(self, about, endpoints, weights):
        self._about, self.endpoints, self._weights = about, endpoints, weights
        missing = {v for members in about["collections"].values() for v in members} - set(weights)
        if missing:
            raise LoadError(f"a collection names {min(missing)!r}, which isn't there")
        if any(endpoint.changes for endpoint in endpoints.values()):
            lock = threading.Lock()
            for endpoint in endpoints.values():
                endpoint.lock = lock

    @property
    def collections(self):
        """What `add_variable_collection` named: dict from names to dicts of arrays, as they are."""
        return {
            name: {v: self._weights[v] for v in members}
            for name, members in self._about["collections"].items()
        }

    def __call__(self, *arguments):
        """What the first endpoint computes."""
        return next(iter(self.endpoints.values()))(*arguments)

    def __getattr__(self, name):
        endpoints = vars(self).get("endpoints", {})
        if name in endpoints:
            return endpoints[name]
        raise AttributeError(
            f"The exported model has no endpoint {name!r}. "
            + (did_you_mean(name, endpoints) or f"It has: {', '.join(endpoints)}.")
        )

    def __dir__(self):
        return [*super().__dir__(), *self.endpoints]

    def __repr__(self):
        lines = [line(*item) for item in self._about["endpoints"].items()]
        several = "s" if len(lines) > 1 else ""
        return f"ExportedModel with the endpoint{several} {'; '.join(lines)}"


class ExportedEndpoint:
    """A function of an `ExportedModel`. It compiles once for each size of the inputs.

    Args:
        name: name.
        program: a `jax.export.Exported`, or `None` if `front` does all.
        front: the model that inputs go through before, or `None`.
        weights: dict of all variables; what the program changes is put into it.

    Attributes:
        program: see above. `program.call(weights, *arguments)` is what JAX can do without hornbeam.
        changes: whether it assigns variables.
        lock: what it holds while it reads and changes them.
    """

    def __init__(self, name, program, front, weights):
        self.name, self.program, self._front, self._weights = name, program, front, weights
        self.changes, self.lock = False, contextlib.nullcontext()
        if front is not None and not hasattr(front, "stage"):
            raise LoadError("its model for the inputs is none")
        if program is None:
            if front is None or front._stage != "host":
                raise LoadError("it has no program")
            return
        (held, *arguments), options = jax.tree.unflatten(program.in_tree, program.in_avals)
        _, changed = jax.tree.unflatten(program.out_tree, program.out_avals)
        if options or not isinstance(held, dict) or not isinstance(changed, dict):
            raise LoadError("its program takes other arguments than weights and inputs")
        for key, spec in (*held.items(), *changed.items()):
            found = weights.get(key)
            if found is None or (found.shape, found.dtype) != (spec.shape, spec.dtype):
                raise LoadError(f"its program needs the weight {key!r}, of shape {spec.shape}")
        self._names = list(held)
        self._specs, self._tree = jax.tree.flatten(tuple(arguments))
        self._run = jax.jit(program.call)
        self.changes = bool(changed)

    def __call__(self, *arguments):
        """The results, as arrays, in the structure in which the function gave them."""
        if self.program is None:
            return self._front(*arguments)
        if self._front is not None:
            arguments = self._through_front(*arguments)
        with self.lock:
            weights = {name: self._weights[name] for name in self._names}
            results, changed = self._computed(weights, self._fitted(arguments))
            self._weights.update(changed)
        return results

    def _computed(self, weights, arguments):
        try:
            return self._run(weights, *arguments)
        except Exception as error:  # too small a size, another platform, too little memory
            shapes = ", ".join(str(x.shape) for x in jax.tree.leaves(arguments))
            raise RuntimeError(
                f"Endpoint '{self.name}' can't be computed for inputs of shapes {shapes}: "
                f"{str(error).splitlines()[0]}"
            ) from error

    def _through_front(self, inputs):
        if self._front._stage == "host":
            return place(self._front.stage(inputs).values)
        # `call` alone is quicker than a whole call, which also takes numbers in lists.
        is_arrays = all(hasattr(x, "shape") for x in jax.tree.leaves(inputs))
        return (self._front.call(inputs) if is_arrays else self._front(inputs),)

    def _fitted(self, arguments):
        """The arguments as arrays of the right types, or an error that says which isn't."""
        try:
            leaves = self._tree.flatten_up_to(arguments)
        except ValueError:
            raise TypeError(
                f"Endpoint '{self.name}' takes arrays in the structure {self._tree}; received "
                f"{jax.tree.structure(arguments)}."
            ) from None
        sizes = {}
        leaves = [
            self._fitted_one(i, x, spec, sizes)
            for i, (x, spec) in enumerate(zip(leaves, self._specs, strict=True))
        ]
        return jax.tree.unflatten(self._tree, leaves)

    def _fitted_one(self, i, x, spec, sizes):
        x = x if isinstance(x, jax.Array) else np.asarray(x)
        fits = len(x.shape) == len(spec.shape) and all(
            n == (wanted if isinstance(wanted, int) else sizes.setdefault(str(wanted), n)) and n
            for n, wanted in zip(x.shape, spec.shape, strict=True)
        )
        if not (fits and _casts(x, spec.dtype)):
            shape = ", ".join(map(str, spec.shape))
            raise ValueError(
                f"Endpoint '{self.name}': array {i} of its inputs should be {spec.dtype}[{shape}]; "
                f"received {x.dtype}{list(x.shape)}. Sizes with a name are any of at least 1, the "
                "same wherever the name stands."
            )
        return x if x.dtype == spec.dtype else x.astype(spec.dtype)


def _casts(x, dtype):
    """Whether an array can be cast to a dtype: floats to others, whole numbers if they fit."""
    kinds = []
    for d in (x.dtype, dtype):
        rank = {"b": 0, "i": 1, "u": 1}.get(d.kind)
        if rank is None and not jnp.issubdtype(d, jnp.floating):
            return x.dtype == dtype
        kinds.append(2 if rank is None else rank)
    if kinds == [1, 1] and not np.can_cast(x.dtype, dtype) and x.size:
        limits = np.iinfo(dtype)
        return limits.min <= x.min() and x.max() <= limits.max
    return kinds[0] <= kinds[1]
