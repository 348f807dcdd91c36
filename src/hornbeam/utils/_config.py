"""Named values of a program."""

import json
from typing import Any


class Config:
    """Named values, as items and as attributes, which can be frozen.

    Args:
        **kwargs: the values.

    Example:

    >>> config = keras.utils.Config(rate=0.1)
    >>> config.epochs = 3
    >>> config.freeze()
    >>> config["rate"], config.frozen
    (0.1, True)
    >>> config.to_json()
    '{"rate": 0.1, "epochs": 3}'
    """

    _values: dict[str, Any]
    _frozen: bool

    def __init__(self, **kwargs):
        # Attributes of other names are values.
        object.__setattr__(self, "_values", dict(kwargs))
        object.__setattr__(self, "_frozen", False)

    @property
    def frozen(self):
        """Whether values can't be changed."""
        return self._frozen

    def freeze(self):
        """Let nobody change values."""
        object.__setattr__(self, "_frozen", True)

    def unfreeze(self):
        """Let values be changed again."""
        object.__setattr__(self, "_frozen", False)

    def as_dict(self):
        """The values as a new dict."""
        return dict(self._values)

    def to_json(self):
        """The values as JSON; they must be numbers, strings, lists, dicts or configs."""
        return json.dumps(self._values, default=_plain)

    def keys(self):
        """The names."""
        return self._values.keys()

    def values(self):
        """The values."""
        return self._values.values()

    def items(self):
        """Pairs of names and values."""
        return self._values.items()

    def get(self, keyname, value=None):
        """The value of a name, or `value` if there is none."""
        return self._values.get(keyname, value)

    def pop(self, *args):
        """Take out and return the value of a name; a second argument is for names without one."""
        self._changeable()
        return self._values.pop(*args)

    def update(self, *args, **kwargs):
        """Set values, as `dict.update` does."""
        self._changeable()
        self._values.update(*args, **kwargs)

    def _changeable(self):
        if self._frozen:
            raise ValueError("The config is frozen, so its values can't be changed; `unfreeze` it.")

    def __getattr__(self, name):
        # Not through `self`: while an object is copied it has no attributes yet.
        values = self.__dict__.get("_values", {})
        if name not in values:
            raise AttributeError(f"The config has no value {name!r}; it has {', '.join(values)}.")
        return values[name]

    def __setattr__(self, name, value):
        self[name] = value

    def __delattr__(self, name):
        if name not in self._values:
            raise AttributeError(f"The config has no value {name!r}.")
        del self[name]

    def __getitem__(self, name):
        return self._values[name]

    def __setitem__(self, name, value):
        self._changeable()
        self._values[name] = value

    def __delitem__(self, name):
        self._changeable()
        del self._values[name]

    def __contains__(self, name):
        return name in self._values

    def __iter__(self):
        return iter(self._values)

    def __len__(self):
        return len(self._values)

    def __repr__(self):
        return f"<Config {self._values}>"


def _plain(value):
    if isinstance(value, Config):
        return value.as_dict()
    raise TypeError(f"A {type(value).__name__} in a config can't be written as JSON.")
