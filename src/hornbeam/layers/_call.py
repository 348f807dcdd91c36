"""One call of a layer: its arguments by name, converted, checked, and described in errors."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..core import dtypes, masks
from ..core.messages import unknown_keywords
from ..core.scope import current, enter
from ..core.symbolic import KerasTensor, flatten, standardize_shape, tree_map
from ..core.variable import Variable
from ..dtype_policies._policy import convert_input
from ._input_spec import check_input
from ._leaks import explain_leaks


def overridable(method: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a method that subclasses write anew with parameters of their own.

    To type checkers it takes anything, so they don't complain about that.
    """
    method.built_in = True
    return method


class Call:
    """The arguments of one call of a layer, by name."""

    __slots__ = ("arguments", "layer", "positional", "signature", "training")

    def __init__(self, layer, args, kwargs):
        self.layer = layer
        self.training = None
        self.signature = signature = _call_signature(type(layer).call)
        if signature.variadic or len(args) > len(signature.names):
            # Positions without a name keep their place.
            names = [*signature.names, *map(str, range(len(signature.names), len(args)))]
        else:
            names = signature.names
        self.positional = names[: len(args)]
        self.arguments = dict(zip(names, args, strict=False))
        for name, value in kwargs.items():
            if name in self.arguments:
                raise TypeError(
                    f"Layer '{layer.path}' got the argument '{name}' twice: by position and by "
                    "name."
                )
            if not signature.any_keyword and name not in signature.names:
                if name == "training":
                    self.training = value  # for the layers inside, if there are any
                    continue
                if name == "mask" and value is None:
                    continue
                raise unknown_keywords(f"Layer '{layer.path}'", [name], signature.names)
            self.arguments[name] = value
        if signature.names and not self.arguments and signature.required:
            raise TypeError(
                f"Layer '{layer.path}' needs its argument '{signature.names[0]}'; it was called "
                "with none."
            )

    @property
    def args(self):
        return tuple(self.arguments[name] for name in self.positional)

    @property
    def kwargs(self):
        return {k: v for k, v in self.arguments.items() if k not in self.positional}

    @property
    def first_name(self):
        return next(iter(self.arguments), None)

    @property
    def first(self):
        return next(iter(self.arguments.values()), None)

    def tensors(self):
        """`{name: value}` of the arguments that hold tensors, without masks and flags."""
        return {
            name: value
            for name, value in self.arguments.items()
            if name != "training"
            and name != "mask"
            and not name.endswith("_mask")
            and _holds_tensors(value)
        }

    def shapes(self):
        """`{name: shape}` of the tensor arguments, nested as they are."""
        return {
            name: tree_map(lambda x: standardize_shape(x.shape), value)
            for name, value in self.tensors().items()
        }

    def convert_inputs(self):
        """Arrays in the place of NumPy arrays and numbers; floats in the compute dtype."""
        layer = self.layer
        if layer._stage in ("host", "split"):
            for name in list(self.arguments)[:1]:
                self.arguments[name] = layer._host_inputs(self.arguments[name])
            return
        dtype = layer.input_dtype if layer.autocast else None
        if dtype is not None and not dtypes.is_float_dtype(dtype):
            dtype = None
        first = self.first_name
        for name, value in self.arguments.items():
            if name == first or _holds_tensors(value):
                self.arguments[name] = _convert(value, dtype, everything=name == first)

    def check_inputs(self):
        if self.layer._input_spec is not None:
            check_input(self.layer, self.layer._input_spec, self.first)

    def fill_masks(self):
        """Hand the masks that travel with the inputs to `call`; returns those of the first."""
        names = self.signature.names
        previous = None
        for i, (name, value) in enumerate(self.tensors().items()):
            found = jax.tree.map(masks.get_mask, value)
            if i == 0:
                previous = found
            if not any(m is not None for m in flatten(found)[0]):
                continue
            target = "mask" if i == 0 and "mask" in names else f"{name}_mask"
            if target in names and self.arguments.get(target) is None:
                self.arguments[target] = found
        explicit = self.arguments.get("mask")
        return previous if explicit is None else explicit

    def resolve_training(self, frame):
        """What `training` is: as passed, as the enclosing call has it, or the default."""
        if "training" in self.signature.names:
            value = self.arguments.get("training")
            if value is None:
                value = frame.training
            if value is None:
                value = self.signature.training_default
            if value is not None:
                self.arguments["training"] = value
            return value
        return frame.training if self.training is None else self.training

    def note(self, training):
        """One line about the call, for errors raised in it."""
        layer = self.layer
        shapes = ", ".join(
            f"{name}: {_shown_shapes(value)}" for name, value in self.tensors().items()
        )
        return (
            f"In layer '{layer.path}' ({type(layer).__name__}), called with {shapes or 'no tensor'}"
            f", training={training}"
        )


class AmbientCall(enter):
    """The frame of one layer call: its name scope, and a note on every error that leaves it."""

    __slots__ = ("call",)

    def __init__(self, layer, call):
        self.call = call
        names = current().names
        super().__init__(names=(*names, layer.name))

    def __exit__(self, kind, error, traceback):
        training = self.frame.training
        super().__exit__(kind, error, traceback)
        if isinstance(error, Exception):
            explain_leaks(error, self.call.layer, self.call.arguments)
            if len(getattr(error, "__notes__", ())) < 8:
                error.add_note(self.call.note(training))


class _Signature:
    """What a `call` method takes."""

    def __init__(self, function):
        parameters = list(inspect.signature(function).parameters.values())[1:]
        self.names = [p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
        self.any_keyword = any(p.kind is p.VAR_KEYWORD for p in parameters)
        self.variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
        self.required = bool(parameters) and parameters[0].default is inspect.Parameter.empty
        defaults = {p.name: p.default for p in parameters}
        self.training_default = defaults.get("training")
        if self.training_default is inspect.Parameter.empty:
            self.training_default = None


_call_signature = functools.lru_cache(maxsize=None)(_Signature)


@functools.cache
def parameters(function):
    """The names of a method's parameters, without `self`."""
    found = list(inspect.signature(function).parameters.values())[1:]
    return [p.name for p in found if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]


def _is_tensor(x):
    return isinstance(x, (jax.Array, KerasTensor, np.ndarray, Variable)) or (
        hasattr(x, "shape") and hasattr(x, "dtype")
    )


def _holds_tensors(value):
    if _is_tensor(value):
        return True
    leaves = flatten(value)[0] if isinstance(value, (list, tuple, dict)) else ()
    return bool(leaves) and any(map(_is_tensor, leaves))


def _convert(value, dtype, everything):
    def convert(x):
        if isinstance(x, Variable):
            x = x.value
        if not _is_tensor(x) and not (everything and isinstance(x, (bool, int, float, str))):
            return x
        converted = convert_input(x, dtype)
        if converted is not x and (mask := masks.get_mask(x)) is not None:
            masks.set_mask(converted, mask)
        return converted

    if isinstance(value, (list, tuple)) and everything and value and _is_numbers(value):
        return convert(jnp.asarray(np.asarray(value)))
    return jax.tree.map(convert, value, is_leaf=lambda x: isinstance(x, Variable))


def _is_numbers(value):
    """Whether a list is data written out, such as `[[1, 2], [3, 4]]`."""
    return all(
        isinstance(x, (bool, int, float)) or (isinstance(x, (list, tuple)) and _is_numbers(x))
        for x in value
    )


def _shown_shapes(value):
    shown = lambda x: _Raw(f"{tuple(x.shape)} {x.dtype}") if _is_tensor(x) else x
    return str(jax.tree.map(shown, value, is_leaf=_is_tensor))


class _Raw(str):
    """A string that shows without quotes inside containers."""

    def __repr__(self):
        return str(self)
