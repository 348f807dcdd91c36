"""Symbolic tensors, the graph they record, and shape inference by tracing.

Calling an `Operation` (a layer, or a function under `op`) on a `KerasTensor` computes nothing: it
finds the output's shape and dtype with `jax.eval_shape` and records a `Node`.
"""

import contextlib
import functools
import itertools
import sys

import jax
import jax.numpy as jnp
import numpy as np
from jax import export
from jax.typing import DTypeLike

from . import dtypes, masks
from .loading import check_tensor
from .messages import expected
from .naming import auto_name
from .objects import Configurable
from .remat import rematerialize
from .scope import enter
from .variable import Variable


class KerasTensor:
    """A placeholder for an array: shape (with `None` for unknown sizes) and dtype, no values.

    Args:
        shape: tuple of ints and `None`.
        dtype: number type.
        sparse, ragged: accepted for compatibility; must be `False`.
        record_history: whether calls on it are recorded in a graph.
        name: optional name.

    Example:

    >>> x = keras.KerasTensor((None, 3))
    >>> (x @ np.ones((3, 5))).shape
    (None, 5)
    """

    shape: tuple = ()
    dtype: str = "float32"
    sparse = ragged = False
    ragged_rank = row_splits_dtype = None
    node: "Node | None"
    _keras_mask: "KerasTensor | None" = None

    def __init__(
        self,
        shape,
        dtype: DTypeLike | None = "float32",
        sparse: bool | None = False,
        ragged: bool | None = False,
        record_history=True,
        name=None,
        **kwargs,
    ):
        if sparse or ragged:
            raise ValueError("A KerasTensor can't be sparse or ragged: XLA has dense arrays only.")
        self.shape = standardize_shape(shape)
        check_tensor(self.shape)
        self.dtype = dtypes.standardize_dtype(dtype)
        self.record_history = record_history
        self.name = name or auto_name(type(self).__name__)
        self.node = None  # the call that made it
        self.index = 0  # which output of that call it is

    @property
    def ndim(self):
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self):
        """The number of elements, or `None` if a size is unknown."""
        return None if None in self.shape else int(np.prod(self.shape, dtype=int))

    def __repr__(self):
        return (
            f"<KerasTensor shape={self.shape}, dtype={self.dtype}, sparse=False, ragged=False, "
            f"name={self.name}>"
        )

    def _no_value(self, what):
        raise ValueError(
            f"A KerasTensor has no value, so {what} is impossible: {self!r} stands for an input "
            "that comes later. Use functions of `keras.ops` (or operators) on it, or put the "
            "calculation into a Layer's `call` or a Lambda layer."
        )

    def __array__(self, *args, **kwargs):
        self._no_value("converting it to a NumPy array")

    def __bool__(self):
        self._no_value("using it in a condition (`if`, `while`, `and`, `or`)")

    def __int__(self):
        self._no_value("converting it to an int")

    def __float__(self):
        self._no_value("converting it to a float")

    def __iter__(self):
        self._no_value("iterating over it")

    def __getattr__(self, name):
        # JAX's functions look for a `__jax_array__`. So do the operators of its arrays, which
        # leave the operation to ours if there is none.
        in_operator = sys._getframe(1).f_code.co_name.startswith("_operator_")
        if name == "__jax_array__" and not in_operator:
            self._no_value(
                "calling a function of JAX on it (keras.ops has those of jax.numpy and jax.nn)"
            )
        raise AttributeError(f"A KerasTensor has no attribute {name!r}.{self._hint(name)}")

    def _hint(self, name):
        """What to do instead of using the attribute `name` of arrays."""
        return ""  # `ops` knows


def is_keras_tensor(x):
    """Whether `x` is a symbolic tensor, such as `keras.Input` returns.

    Example:

    >>> keras.utils.is_keras_tensor(keras.Input((3,)))
    True
    """
    return isinstance(x, KerasTensor)


def standardize_shape(shape):
    """A tuple of ints and `None`; unknown sizes that JAX writes as formulas become `None`."""
    if isinstance(shape, (int, np.integer)):
        shape = (shape,)
    sizes = []
    for size in shape:
        if isinstance(size, (int, np.integer)) and not isinstance(size, bool):
            if size < 0:
                raise ValueError(f"A shape holds sizes of at least 0; received {tuple(shape)}.")
            sizes.append(int(size))
        elif size is None or export.is_symbolic_dim(size):
            sizes.append(None)
        else:
            raise ValueError(f"A shape holds ints and None; received {shape!r}.")
    return tuple(sizes)


def flatten(structure):
    """The leaves of nested tuples, lists and dicts (`None` counts as empty), and the structure."""
    return jax.tree.flatten(structure, is_leaf=_is_leaf)


def tree_map(fn, *structures):
    """`fn` over the leaves of nested structures of arrays and symbolic tensors."""
    return jax.tree.map(fn, *structures, is_leaf=_is_leaf)


def _is_leaf(x):
    return isinstance(x, (KerasTensor, Variable))


def any_symbolic(values):
    """Whether a `KerasTensor` is among `values` or in containers among them."""
    for value in values:
        kind = type(value)
        if kind is KerasTensor:
            return True
        if kind is list or kind is tuple:
            if any_symbolic(value):
                return True
        elif isinstance(value, dict):
            if any_symbolic(value.values()):
                return True
        elif isinstance(value, (KerasTensor, tuple, list)) and any_symbolic(flatten(value)[0]):
            return True
    return False


class Node:
    """One recorded call: `operation(*args, **kwargs)` gave `outputs`."""

    __slots__ = ("_leaves", "_slots", "_treedef", "args", "kwargs", "operation", "outputs")

    def __init__(self, operation, args=(), kwargs=None, outputs=()):
        self.operation = operation
        self.args = args
        self.kwargs = kwargs or {}
        self.outputs = outputs  # flat list of KerasTensors
        self._leaves, self._treedef = flatten((self.args, self.kwargs))
        self._slots = [i for i, leaf in enumerate(self._leaves) if isinstance(leaf, KerasTensor)]
        for index, output in enumerate(outputs):
            output.node, output.index = self, index

    @property
    def is_input(self):
        """Whether it stands for an input of a model rather than for a call."""
        return not self._slots

    @property
    def inputs(self):
        """The symbolic tensors among the arguments, in order."""
        return [self._leaves[i] for i in self._slots]

    def fill(self, value_of):
        """`(args, kwargs)` with `value_of(tensor)` in the place of every symbolic tensor."""
        leaves = list(self._leaves)
        for i in self._slots:
            leaves[i] = value_of(leaves[i])
        return jax.tree.unflatten(self._treedef, leaves)


class Operation(Configurable):
    """Something that computes outputs from inputs and can be recorded in a graph.

    Subclasses write `call`. Called with arrays an operation computes; called with `KerasTensor`s
    it records a node and returns `KerasTensor`s.

    Args:
        name: a name, by default made from the class's.

    Example:

    >>> class Double(keras.Operation):
    ...     def call(self, x):
    ...         return x * 2
    >>> Double()(keras.Input((3,))).shape
    (None, 3)
    """

    def __init__(self, name=None):
        self.name = checked_name(name) if name else auto_name(type(self).__name__)
        self._inbound_nodes = []

    def __call__(self, *args, **kwargs):
        if any_symbolic(args) or any_symbolic(kwargs.values()):
            return self.symbolic_call(*args, **kwargs)
        return self.call(*args, **kwargs)

    def call(self, *args, **kwargs):
        """Compute the outputs; subclasses write this."""
        raise NotImplementedError(
            f"{type(self).__name__} doesn't say what it computes: give it a `call` method."
        )

    def compute_output_spec(self, *args, **kwargs):
        """`KerasTensor`s like the outputs for inputs like these, computing nothing."""
        return infer(self.call, args, kwargs)

    def symbolic_call(self, *args, **kwargs):
        """Record the call in the graph; returns `KerasTensor`s."""
        outputs = self.compute_output_spec(*args, **kwargs)
        return self.record(args, kwargs, outputs)

    def record(self, args, kwargs, outputs):
        """Make the node of a call with these symbolic outputs."""
        leaves, treedef = flatten(outputs)
        # A tensor that is passed through belongs to the node that made it.
        leaves = [copy_spec(x) if x.node is not None else x for x in leaves]
        self._inbound_nodes.append(Node(self, args, kwargs, leaves))
        return jax.tree.unflatten(treedef, leaves)

    def quantized_call(self, *args, **kwargs):
        """Compute with quantized weights; only some layers can."""
        raise NotImplementedError(f"{type(self).__name__} can't be quantized.")

    def rematerialized_call(self, fn, *args, **kwargs):
        """`fn(*args, **kwargs)`, recomputed in the backward pass instead of stored."""
        return rematerialize(functools.partial(fn, *args, **kwargs))

    @property
    def input(self):
        """The symbolic inputs, of an operation called once."""
        node = self._only_node("input")
        inputs = node.inputs
        return inputs[0] if len(inputs) == 1 else inputs

    @property
    def output(self):
        """The symbolic outputs, of an operation called once."""
        outputs = self._only_node("output").outputs
        return outputs[0] if len(outputs) == 1 else outputs

    def _only_node(self, what):
        count = len(self._inbound_nodes)
        if count != 1:
            raise AttributeError(
                f"'{self.name}' has no single {what}: it was called on symbolic tensors "
                f"{count} times. Take the tensors that its calls returned instead."
            )
        return self._inbound_nodes[0]


def checked_name(name):
    """`name` when it can be part of a path, else an error."""
    if isinstance(name, str) and len(name) <= 1000 and not {"/", "\0"} & {*name}:
        with contextlib.suppress(UnicodeEncodeError):  # half of a surrogate pair
            name.encode()
            return name
    wanted = "a string without '/' and NUL, of at most 1000 characters"
    raise ValueError(expected("A name", wanted, name))


def copy_spec(x):
    """A new unconnected `KerasTensor` with the shape, dtype and mask of `x`."""
    copy = KerasTensor(x.shape, x.dtype)
    copy._keras_mask = masks.get_mask(x)
    return copy


class FunctionCall(Operation):
    """One recorded call of a function under `op`."""

    def __init__(self, function, name=None):
        super().__init__(name or auto_name(function.__name__))
        self.function = function  # what users call, with the decorator

    def call(self, *args, **kwargs):
        return self.function(*args, **kwargs)

    def compute_output_spec(self, *args, **kwargs):
        if not self.function.elementwise:
            return infer(self.function, args, kwargs, cache=True)
        outputs = infer_elementwise(self.function, args, kwargs)
        flat = flatten((args, kwargs))[0]
        masked = [x for x in flat if isinstance(x, KerasTensor)]
        found = [m for m in map(masks.get_mask, masked) if m is not None]
        if found:
            outputs._keras_mask = found[0]
        return outputs


def op(function=None, *, elementwise=False):
    """Make a function of arrays accept `Variable`s and symbolic tensors too.

    On arrays the function runs as it is. On `KerasTensor`s the call is recorded as a node.

    Args:
        function: a function written with `jax.numpy` and `jax.lax`.
        elementwise: whether the output has the shape that the arguments broadcast to, and their
            positions, so that masks carry over.
    """
    if function is None:
        return functools.partial(op, elementwise=elementwise)

    @functools.wraps(function)
    def call(*args, **kwargs):
        if any_symbolic(args) or (kwargs and any_symbolic(kwargs.values())):
            return FunctionCall(call).symbolic_call(*args, **kwargs)
        args = [plain(a) for a in args]
        if kwargs:
            kwargs = {k: plain(v) for k, v in kwargs.items()}
        output = function(*args, **kwargs)
        return masks.carry_mask(args, output) if elementwise else output

    call.elementwise = elementwise  # pyright: ignore[reportAttributeAccessIssue]
    return call


def plain(x):
    """`x` with variables replaced by their values, also one level down in lists and tuples."""
    if isinstance(x, Variable):
        return x.value
    if type(x) in (list, tuple) and any(isinstance(y, Variable) for y in x):
        return type(x)(plain(y) for y in x)
    return x


# Shape inference ------------------------------------------------------------------------------

# Stand-ins for an unknown size when a calculation can't do with a symbol: sizes that many numbers
# divide, and no small constant equals.
_PROBES = (240, 480)
_cache = {}


@functools.cache
def unknown_size():
    """The symbol for every unknown size: two unknowns are taken to be equal, and `>= 2` keeps
    JAX from treating them as broadcastable."""
    return export.symbolic_shape("d", constraints=["d >= 2"])[0]


def infer(function, args, kwargs, cache=False):
    """`KerasTensor`s like `function(*args, **kwargs)` would return, computing nothing.

    Variables made by `function` are real; assignments to variables are dropped. If the function
    can't handle a symbolic size (say, an `if` on it), two concrete sizes are tried in its place,
    and what differs between the two results is unknown. If it fails with these (say, it stacks
    arrays of `(None, 3)` and `(4, 3)`), one unknown size after the other is tried as each of the
    sizes known from the arguments.
    """
    leaves, treedef = flatten((args, kwargs))
    if cache and (key := _key(function, leaves, treedef)) is not None:
        if key not in _cache:
            if len(_cache) > 10_000:
                _cache.clear()
            _cache[key] = _infer(function, leaves, treedef)
        specs = _cache[key]
    else:
        specs = _infer(function, leaves, treedef)
    return jax.tree.map(_tensor, specs, is_leaf=_is_spec)


def infer_elementwise(function, args, kwargs):
    """`infer` for a function whose result has the shape that its arguments broadcast to.

    The dtype of the result doesn't depend on sizes, so one trace serves them all.
    """
    arguments, shapes = (*args, *kwargs.values()), []

    def of_any_size(x):
        x = plain(x)
        if not hasattr(x, "shape"):
            return x
        shapes.append(tuple(x.shape))
        return KerasTensor((None,) * len(x.shape), x.dtype, name="any size")

    if not any(isinstance(x, (list, tuple)) for x in arguments):
        stand_ins = [of_any_size(x) for x in args], {k: of_any_size(v) for k, v in kwargs.items()}
        if (shape := _broadcast(shapes)) is not None:
            outputs = infer(function, *stand_ins, cache=True)
            outputs.shape = shape
            return outputs
    return infer(function, args, kwargs, cache=True)


def _broadcast(shapes):
    """The shape that arrays of these shapes broadcast to, or `None` if they don't."""
    result = []
    for sizes in itertools.zip_longest(*(shape[::-1] for shape in shapes), fillvalue=1):
        found = {n for n in sizes if n != 1}
        known = found - {None}
        if len(known) > 1:
            return None
        result.append(next(iter(known or found), 1))
    return tuple(result[::-1])


def _key(function, leaves, treedef):
    key = [function, treedef]
    for leaf in leaves:
        if isinstance(leaf, KerasTensor):
            key.append((KerasTensor, leaf.shape, leaf.dtype))
        elif isinstance(leaf, slice):  # has no hash before Python 3.12
            key.append((slice, leaf.start, leaf.stop, leaf.step))
        else:
            key.append((type(leaf), leaf))  # 1, 1.0 and True are equal, but differ in dtype
    try:
        hash(key := tuple(key))
    except TypeError:
        return None
    return None if any(isinstance(leaf, Variable) for leaf in leaves) else key


class _Spec:
    """Shape, dtype and mask of an output."""

    __slots__ = ("dtype", "mask", "shape")

    def __init__(self, x, mask):
        self.shape = standardize_shape(x.shape)
        self.dtype = str(x.dtype)
        self.mask = None if mask is None else _Spec(mask, None)


def _is_spec(x):
    return isinstance(x, _Spec)


def _tensor(spec):
    tensor = KerasTensor(spec.shape, spec.dtype)
    tensor._keras_mask = None if spec.mask is None else _tensor(spec.mask)
    return tensor


def _infer(function, leaves, treedef):
    slots = [i for i, leaf in enumerate(leaves) if isinstance(leaf, KerasTensor)]

    def run(values):
        filled = list(leaves)
        for i, (value, mask) in zip(slots, values, strict=True):
            filled[i] = value
            if mask is not None:
                masks.set_mask(value, mask)
        args, kwargs = jax.tree.unflatten(treedef, filled)
        with enter(values={}, losses=[], unbound=None):
            outputs = function(*args, **kwargs)
        outputs = jax.tree.map(_as_output, outputs, is_leaf=lambda x: isinstance(x, Variable))
        return outputs, jax.tree.map(masks.get_mask, outputs)

    def trace(size):
        def struct(i, x):
            shape = [size(i, axis) if d is None else d for axis, d in enumerate(x.shape)]
            return jax.ShapeDtypeStruct(shape, dtypes.numpy_dtype(x.dtype))

        inputs = []
        for i in slots:
            mask = masks.get_mask(leaves[i])
            inputs.append((struct(i, leaves[i]), None if mask is None else struct(i, mask)))
        outputs, out_masks = jax.eval_shape(run, inputs)
        specs, spec_tree = jax.tree.flatten(outputs)
        out_masks = spec_tree.flatten_up_to(out_masks)
        specs = [_Spec(x, m) for x, m in zip(specs, out_masks, strict=True)]
        return specs, spec_tree

    unknown = [(i, axis) for i in slots for axis, d in enumerate(leaves[i].shape) if d is None]
    try:
        specs, spec_tree = trace(lambda *_: unknown_size())
    except Exception as error:
        if not unknown:
            raise
        try:
            (specs, spec_tree), (other, _) = (trace(lambda *_, n=n: n) for n in _PROBES)
            for a, b in zip(specs, other, strict=True):
                _forget_differences(a, b)
        except Exception:
            for place, n in itertools.product(unknown, _known_sizes(leaves)):
                size = lambda *at, place=place, n=n: n if at == place else unknown_size()
                with contextlib.suppress(Exception):
                    specs, spec_tree = trace(size)
                    break
            else:
                # The first error speaks of the user's code; later ones have made-up sizes.
                raise error from None
    return jax.tree.unflatten(spec_tree, specs)


def _known_sizes(leaves):
    """The sizes among several arguments: an unknown size that meets one of them must equal it."""
    shapes = [x.shape for x in leaves if hasattr(x, "shape")]
    known = {d for shape in shapes for d in shape} - {None, 0, 1}
    return sorted(known) if len(shapes) > 1 else []


def _forget_differences(spec, other):
    pairs = zip(spec.shape, other.shape, strict=True)
    spec.shape = tuple(a if a == b else None for a, b in pairs)
    if spec.mask is not None:
        _forget_differences(spec.mask, other.mask)


def _as_output(x):
    if isinstance(x, Variable):
        return x.value
    return x if hasattr(x, "shape") else jnp.asarray(x)
