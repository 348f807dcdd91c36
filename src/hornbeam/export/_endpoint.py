"""What is exported: functions that are traced for inputs of unknown sizes."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from ..core import dtypes, settings
from ..core.messages import expected
from ..core.scope import enter, functionalize
from ..core.symbolic import KerasTensor
from ..core.tree import is_shape

BATCH = "batch"  # the first axis of every input, where its size is unknown
_TOO_LARGE = 4096  # for a size without which nothing can be computed


class Endpoint:
    """A function of arrays, with the variables that it reads and assigns.

    Args:
        name: name.
        function: what it computes; `None` if `front` does all.
        signature: its arguments, as trees of `KerasTensor`s.
        front: a model that inputs go through before: layers that work on the host, or a graph of
            inputs alone, which takes them in any form and checks them. `None` for neither.

    Attributes:
        arguments: the arguments, as trees of `jax.ShapeDtypeStruct`. Unknown sizes are symbols.
        constraints: what must hold of the symbols, as texts.
        results: the results, likewise.
        written, read: the variables that it assigns, and those that it only reads.
    """

    def __init__(self, name, function, signature, front: Any = None):
        self.name, self.front, self.compiled = name, front, function is not None
        self._function = function
        self.arguments, self.constraints = (), []
        self.results, self.written, self.read = (), [], []
        if self.compiled:
            self._find_out(tuple(signature))

    def _find_out(self, signature):
        """Trace the function, for all that is known of it.

        Unknown sizes are taken to be different, and of any size, until that can't be: if the
        function adds two sequences, these are as long as each other; if it crops one, it isn't too
        short.
        """
        sizes = _Sizes(signature)
        while True:
            arguments = sizes.arguments()
            try:
                self.results, self.written, self.read = _trace(self._function, arguments)
                break
            except Exception as error:
                if sizes.learn(str(error)):
                    continue
                if sizes.names:
                    error.add_note(
                        f"Endpoint '{self.name}' was traced for inputs of unknown sizes: "
                        f"{sizes.signature}. If that is what it can't do with, pass an "
                        "input_signature with more sizes in it: the batch's, or others."
                    )
                raise
        self.arguments, self.constraints = arguments, sizes.constraints

    @property
    def on_host(self):
        """Whether its inputs go through layers that work on the host."""
        return self.front is not None and self.front._stage == "host"

    def program(self, names):
        """The pure function `(weights, *arguments) -> (results, changed)`.

        Args:
            names: dict from variables to the names that they have in the dicts `weights` and
                `changed`. The second has what the function assigned, which is nothing for most.
        """
        variables = (*self.written, *self.read)

        def function(*arguments):
            with enter(losses=[]):  # of no interest
                return self._function(*arguments)

        pure = functionalize(function, variables)

        def program(weights, *arguments):
            results, values = pure([weights[names[v]] for v in variables], *arguments)
            new = dict(zip(variables, values, strict=True))
            return jax.tree.map(jnp.asarray, results), {names[v]: new[v] for v in self.written}

        return program

    def described(self):
        """What it takes and gives, as plain data."""
        takes = self.front.inputs if self.on_host else jax.tree.leaves(self.arguments)
        gives = jax.tree.leaves(self.results) if self.compiled else self.front.outputs
        names = [None] * len(takes) if self.front is None else self.front.input_names
        takes = [{"name": n, **_described(x)} for n, x in zip(names, takes, strict=True)]
        return {"takes": takes, "gives": [_described(x) for x in gives]}


def _described(x):
    shape = [
        n if isinstance(n, int) else str(n) if n is not None else "?" if axis else BATCH
        for axis, n in enumerate(x.shape)
    ]
    return {"shape": shape, "dtype": str(x.dtype)}


def line(name, described):
    """What an endpoint takes and gives, on one line."""

    def text(spec):
        label = f"{spec['name']}: " if spec.get("name") else ""
        return f"{label}{spec['dtype']}[{', '.join(map(str, spec['shape']))}]"

    takes, gives = (", ".join(map(text, described[key])) for key in ("takes", "gives"))
    return f"{name}({takes}) -> {gives}"


def parts_of(resource, signature=None):
    """How a layer or model is exported: `(front, function, signature)`, as `Endpoint` takes them.

    Args:
        resource: a layer. A model that is a graph says itself where it begins, in `export_parts`.
        signature: list of arguments: trees of whatever has a shape and a dtype.
    """
    signature = None if signature is None else tuple(map(specs_of, signature))
    if signature is not None and not resource.built:
        resource.compute_output_spec(*signature)
    if not resource.built:
        raise ValueError(
            f"'{resource.name}' can't be exported before it is built. Call it on data, or pass "
            "input_signature=[keras.InputSpec(shape=(None, …))]."
        )
    if hasattr(resource, "export_parts") and (parts := resource.export_parts(signature)):
        return parts
    if signature is None:
        signature = _as_built(resource)

    def function(*arguments):
        with enter(training=False):
            return resource(*arguments)

    return None, function, signature


def _as_built(layer):
    """What the layer was built for, as `KerasTensor`s: of any number of rows."""
    config = layer.get_build_config() or {}
    shapes = config.get("shapes_dict") or {"input": config.get("input_shape")}
    if None in shapes.values():
        raise ValueError(
            f"It isn't known what '{layer.name}' ({type(layer).__name__}) takes. Pass "
            "input_signature=[keras.InputSpec(shape=(None, …), dtype=…)], a spec for each argument."
        )
    dtype = layer.input_dtype or settings.floatx()
    to_spec = lambda shape: KerasTensor((None, *shape[1:]), dtype)
    return tuple(jax.tree.map(to_spec, s, is_leaf=is_shape) for s in shapes.values())


def specs_of(structure):
    """A tree of `KerasTensor`s like a tree of whatever has a shape and a dtype."""

    def spec(x):
        shape = getattr(x, "shape", None)
        if isinstance(x, KerasTensor):
            return x
        if shape is None:
            raise TypeError(
                expected(
                    "input_signature",
                    "a list with one entry for each argument, made of things that have a shape "
                    "and a dtype, such as keras.InputSpec(shape=(None, 3))",
                    x,
                )
            )
        dtype = getattr(x, "dtype", None) or settings.floatx()
        dtype = getattr(dtype, "name", dtype)  # those of TensorFlow
        return KerasTensor(tuple(shape), dtype, name=getattr(x, "name", None))

    return jax.tree.map(spec, structure, is_leaf=lambda x: hasattr(x, "shape"))


def _trace(function, arguments):
    """The specs of the results of a function, and the variables that it assigns and only reads."""
    written, touched = {}, {}

    def run(*arguments):
        with enter(values=written, losses=[], unbound=touched):
            return jax.tree.map(jnp.asarray, function(*arguments))

    results = jax.eval_shape(run, *arguments)
    return results, list(written), [v for v in touched if v not in written]


class _Sizes:
    """Names for the unknown sizes of arguments.

    Args:
        signature: tree of `KerasTensor`s.

    Attributes:
        names: dict from pairs (number of a tensor, axis) to the name of the size.
    """

    def __init__(self, signature):
        self._tensors, self._structure = jax.tree.flatten(signature, is_leaf=_is_tensor)
        owners = list(map(_identifier, self._tensors))
        owners = [n if owners.count(n) == 1 else f"{n}__{i}" for i, n in enumerate(owners)]
        self.names = {
            (i, axis): f"{owners[i]}_{axis}" if axis else BATCH
            for i, x in enumerate(self._tensors)
            for axis, size in enumerate(x.shape)
            if size is None
        }
        self._least = dict.fromkeys(self.names.values(), 1)

    @property
    def signature(self):
        return ", ".join(str(x.shape) for x in self._tensors)

    @property
    def constraints(self):
        return [f"{name} >= {n}" for name, n in self._least.items() if n > 1]

    def arguments(self):
        """The arguments as `jax.ShapeDtypeStruct`s."""
        scope = export.SymbolicScope(self.constraints)
        specs = []
        for i, x in enumerate(self._tensors):
            sizes = [str(self.names.get((i, axis), n)) for axis, n in enumerate(x.shape)]
            shape = export.symbolic_shape(", ".join(sizes), scope=scope)
            specs.append(jax.ShapeDtypeStruct(shape, _device_dtype(x.dtype)))
        return jax.tree.unflatten(self._structure, specs)

    def learn(self, problem):
        """Make sizes that an error names equal, or larger; returns whether there was any."""
        words = set(re.findall(r"\w+", problem)) - {BATCH}
        for axis in {axis for _, axis in self.names}:
            alike = [n for (_, a), n in self.names.items() if a == axis and n in words]
            if len(set(alike)) > 1:
                same = dict.fromkeys(alike, alike[0])
                self.names = {place: same.get(n, n) for place, n in self.names.items()}
                least = max(self._least.pop(n) for n in same)
                self._least[alike[0]] = least
                return True
        named = [n for n in self._least if n in words and self._least[n] < _TOO_LARGE]
        for name in named:
            self._least[name] += max(1, self._least[name] // 4)
        return bool(named)


def _is_tensor(x):
    return isinstance(x, KerasTensor)


def _identifier(tensor):
    """What the sizes of a tensor are called: after the layer that made it."""
    node = tensor.node
    name = tensor.name if node is None else node.operation.name
    name = re.sub(r"\W", "_", name, flags=re.ASCII)
    return name if name[:1].isalpha() else f"input_{name}"


def _device_dtype(dtype):
    if dtype == "string":
        raise TypeError("Strings can't be compiled: put a layer that makes numbers of them first.")
    return jax.dtypes.canonicalize_dtype(np.dtype(dtypes.standardize_dtype(dtype)))
