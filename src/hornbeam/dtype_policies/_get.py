"""Policies by name, as data, and the one that layers have by default."""

from ..core import dtypes, objects
from ..core.messages import expected
from ._policy import DTypePolicy, _default, dtype_policy
from ._quantized import (
    AWQDTypePolicy,
    GPTQDTypePolicy,
    Int4DTypePolicy,
    QuantizedDTypePolicy,
    QuantizedFloat8DTypePolicy,
)

_QUANTIZED = {
    "int8": QuantizedDTypePolicy,
    "int4": QuantizedDTypePolicy,
    "int4/": Int4DTypePolicy,
    "float8": QuantizedFloat8DTypePolicy,
    "gptq/": GPTQDTypePolicy,
    "awq/": AWQDTypePolicy,
}


def get(identifier) -> DTypePolicy:
    """The policy that a name, a config or a policy means; `None` means the default one.

    Args:
        identifier: such as `"float32"`, `"mixed_bfloat16"`, `"int8_from_mixed_bfloat16"` or
            `"gptq/4/128_from_float32"`.

    Example:

    >>> keras.dtype_policies.get("int4/128_from_float32")
    <Int4DTypePolicy "int4/128_from_float32">
    """
    if identifier is None:
        return dtype_policy()
    if isinstance(identifier, DTypePolicy):
        return identifier
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        return _by_name(identifier)
    try:
        return DTypePolicy(dtypes.standardize_dtype(identifier))
    except (TypeError, ValueError):
        raise ValueError(
            expected("dtype", "the name of a number type or a DTypePolicy", identifier)
        ) from None


def _by_name(name):
    mode, separator, source = name.partition("_from_")
    kind, slash, _ = mode.partition("/")
    policy = _QUANTIZED.get(kind + slash)
    if separator and policy is not None:
        return policy(mode, source)
    if not separator and slash and policy is not None:
        hint = f"Say what was quantized: '{name}_from_{dtype_policy().name}'."
        raise ValueError(expected("dtype", "a name with a source", name, hint))
    return DTypePolicy(name)


def set_dtype_policy(policy):
    """Set the policy of layers that are given none.

    Args:
        policy: a `DTypePolicy` or its name, such as `"mixed_bfloat16"`; `None` goes back to
            `keras.config.floatx()`.
    """
    _default["policy"] = None if policy is None else get(policy)


def serialize(dtype_policy):
    """The policy as plain data."""
    return objects.serialize(dtype_policy)


def deserialize(config, custom_objects=None):
    """The policy that `serialize` described."""
    return objects.deserialize(config, custom_objects)
