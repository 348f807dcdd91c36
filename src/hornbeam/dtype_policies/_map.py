"""`DTypePolicyMap`: another policy for each layer, by its path."""

import re
from collections.abc import MutableMapping

from ..core import objects
from ..core.loading import LoadError
from ..core.messages import expected
from ._get import get
from ._policy import DTypePolicy, dtype_policy

# Of a path that is matched by regular expressions, and of such an expression from a file.
_LONGEST = 500
_REPEATS = re.compile(r"[*+{]")
_NESTED = re.compile(r"\)[*+?{]|\\\d|\(\?")  # groups that repeat, and what refers to groups


class DTypePolicyMap(DTypePolicy, MutableMapping):
    """A dict from paths of layers to their policies.

    Keys are paths, or regular expressions that match whole paths. Layers without an entry get the
    default policy.

    Args:
        default_policy: policy or name; by default the one that layers have when they are given
            none.
        policy_map: dict from paths to policies or names.

    Raises:
        ValueError: when a key is set twice, or when a path matches several keys.

    Example:

    >>> policies = keras.dtype_policies.DTypePolicyMap("mixed_bfloat16")
    >>> policies["encoder/.*"] = "float32"
    >>> policies["encoder/dense"].name, policies["decoder/dense"].name
    ('float32', 'mixed_bfloat16')
    """

    def __init__(self, default_policy=None, policy_map=None):
        if policy_map is not None and not isinstance(policy_map, dict):
            raise TypeError(expected("DTypePolicyMap's policy_map", "a dict", policy_map))
        self._given = None if default_policy is None else get(default_policy)
        self.policy_map = {}
        self.update(policy_map or {})

    @property
    def default_policy(self):
        """The policy of layers without an entry."""
        return self._given or dtype_policy()

    @property
    def name(self):
        """The name, such as `"map_float32"`."""
        return f"map_{self.default_policy.name}"

    @property
    def compute_dtype(self):
        """The dtype that layers without an entry compute in."""
        return self.default_policy.compute_dtype

    @property
    def variable_dtype(self):
        """The dtype that variables of layers without an entry are kept in."""
        return self.default_policy.variable_dtype

    @property
    def quantization_mode(self):
        """The kind of quantization of layers without an entry, or `None`."""
        return self.default_policy.quantization_mode

    def __getitem__(self, key):
        """The policy of the layer with the path `key`."""
        if key in self.policy_map:
            return self.policy_map[key]
        patterns = self.policy_map if len(key) <= _LONGEST else ()
        matching = [pattern for pattern in patterns if re.fullmatch(pattern, key)]
        if len(matching) > 1:
            raise ValueError(
                f"The path {key!r} matches several keys of the DTypePolicyMap: "
                f"{', '.join(map(repr, matching))}. At most one may match."
            )
        return self.policy_map[matching[0]] if matching else self.default_policy

    def __setitem__(self, key, policy):
        if not isinstance(key, str):
            raise TypeError(expected("A key of DTypePolicyMap", "a string", key))
        if key in self.policy_map:
            raise ValueError(
                f"DTypePolicyMap has a policy for {key!r} already, {self.policy_map[key]!r}; "
                "delete it first."
            )
        self.policy_map[key] = get(policy)

    def __delitem__(self, key):
        del self.policy_map[key]

    def __contains__(self, key):
        return key in self.policy_map

    def __len__(self):
        return len(self.policy_map)

    def __iter__(self):
        return iter(self.policy_map)

    def __bool__(self):
        return True  # an empty map is a policy, too

    # As `__getitem__` finds something for every path, these can't build on it.

    def pop(self, key, *default):
        """Remove the entry of exactly this key, and return its policy."""
        return self.policy_map.pop(key, *default)

    def setdefault(self, key, default=None):
        """The policy of exactly this key, which is set to `default` if there is none."""
        if key not in self:
            self[key] = default
        return self.policy_map[key]

    def constructor_arguments(self):
        """The arguments that would make an equal map."""
        default = None if self._given is None else self._given.name
        return {"default_policy": default, "policy_map": self.policy_map}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """A map made from what `get_config` returned.

        Raises:
            LoadError: if a key is a regular expression that could take forever: one that repeats
                what has repeats in it, or has more than three of them.
        """
        for key in config.get("policy_map") or {}:
            if len(_REPEATS.findall(key)) > 3 or _NESTED.search(key) or len(key) > _LONGEST:
                wanted = "a path, or a regular expression with few repeats, none of groups"
                raise LoadError(expected("A key of DTypePolicyMap", wanted, key))
        with objects.CustomObjectScope(custom_objects):
            return super().from_config(config)

    def __repr__(self):
        entries = ", ".join(f"{key!r}: {policy.name}" for key, policy in self.policy_map.items())
        return f"<DTypePolicyMap default_policy={self.default_policy.name}, {{{entries}}}>"


objects.publish("keras.dtype_policies", globals(), ["DTypePolicyMap"])
