"""How a layer becomes another one: with a quantized weight, or with a low-rank addition to it.

A variant of a class is that class with others in front, which replace how weights are kept and
multiplied. An instance becomes one by getting the variant as its class. Its config stays that of
the plain class; the dtype policy and `lora_rank` in it say what it is.
"""

import contextlib
import functools

import jax.numpy as jnp

from ..core import objects
from ..core.messages import one_of
from ..core.scope import enter
from ..core.variable import Variable
from ._weights import WeightLayer


@functools.cache
def variant(cls, *changes):
    """The class that an instance of `cls` becomes."""
    name = "".join(change.__name__ for change in changes) + cls.__name__
    members = {
        "__module__": cls.__module__,
        "__doc__": cls.__doc__,
        "_config_home": objects.home_of(cls),
        "_plain": cls,
    }
    return type(name, (*changes, cls), members) if changes else cls


@contextlib.contextmanager
def unlocked(layer):
    """Where a built layer may get other variables."""
    before = layer._building
    vars(layer)["_building"] = True
    try:
        with enter(names=tuple(layer.path.split("/")), autocast=None):
            yield
    finally:
        vars(layer)["_building"] = before


class Variant(WeightLayer):
    """What variants share: the order of their variables in files."""

    def added(self):
        """The variables that files don't hold."""
        return ()

    def _saved_variables(self):
        spec = self.variable_serialization_spec
        names = spec.get(self.quantization_mode, spec[None])
        found = [getattr(self, name, None) for name in names]
        found = dict.fromkeys(v for v in found if isinstance(v, Variable))
        known = {*found, *self.added()}
        return [*found, *(v for v in self._own_variables() if v not in known)]


def quantized_build(layer, name, shape, mode, config):
    """Make the variables of one quantized weight, in the midst of `build`."""
    one_of("quantized_build's mode", mode, (layer.quantization_mode,))
    weight = jnp.asarray(getattr(layer, f"{name}_initializer")(shape, dtype=layer.variable_dtype))
    layer.quantization_config = config or layer.quantization_config
    layer.adopt({name: layer.packed(name, weight)}, {name: weight})
