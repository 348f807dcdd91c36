"""`DTypePolicy`: in which type a layer computes, and in which it keeps its variables."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from ..core import dtypes, objects, settings
from ..core.messages import expected
from ..core.objects import Configurable

# The policy of layers that are given none, or `None` for that of `keras.config.floatx()`.
_default: "dict[str, DTypePolicy | None]" = {"policy": None}


def dtype_policy():
    """The policy of layers that are given none: by default that of `keras.config.floatx()`."""
    return _default["policy"] or DTypePolicy(settings.floatx())


class DTypePolicy(Configurable):
    """The number types of a layer.

    Args:
        name: a float type such as `"float32"` (compute and keep in it), or `"mixed_bfloat16"` or
            `"mixed_float16"` (compute in half precision, keep variables in float32).

    Example:

    >>> policy = keras.DTypePolicy("mixed_bfloat16")
    >>> policy.compute_dtype, policy.variable_dtype
    ('bfloat16', 'float32')
    """

    quantization_mode = None

    def __init__(self, name=None):
        name = dtype_policy().name if name is None else name
        if not isinstance(name, str):
            raise TypeError(expected("DTypePolicy's name", "a string", name))
        self._name = name
        if name.startswith("mixed_"):
            if name not in ("mixed_float16", "mixed_bfloat16"):
                raise ValueError(
                    expected("DTypePolicy's name", "'mixed_float16' or 'mixed_bfloat16'", name)
                )
            self._dtypes = name.removeprefix("mixed_"), "float32"
        else:
            self._dtypes = (dtypes.standardize_dtype(name),) * 2

    @property
    def name(self):
        """The name, such as `"mixed_bfloat16"`."""
        return self._name

    @property
    def compute_dtype(self):
        """The dtype that layers compute in."""
        return self._dtypes[0]

    @property
    def variable_dtype(self):
        """The dtype that variables are kept in."""
        return self._dtypes[1]

    def convert_input(self, x, autocast, dtype):
        """`x` as an array, float ones in `dtype` if `autocast`."""
        return convert_input(x, dtype if autocast else None)

    def __repr__(self):
        return f'<{type(self).__name__} "{self.name}">'

    def __eq__(self, other):
        return type(other) is type(self) and other.get_config() == self.get_config()

    def __hash__(self):
        return hash(self.name)


class FloatDTypePolicy(DTypePolicy):
    """A `DTypePolicy`; the name that Keras gives to those without quantization."""

    _config_home = ("keras", "DTypePolicy", None)

    def __init__(self, name=None):
        super().__init__(name)


def convert_input(x, dtype) -> Any:
    """`x` as an array, in `dtype` if both that and the array's own are float types.

    NumPy's float64 means the default float type. Arrays of strings stay NumPy arrays.
    """
    if not hasattr(x, "dtype"):
        x = np.asarray(x)
    if isinstance(x, (np.ndarray, np.generic)):
        if dtypes.is_text(x):
            return x
        if x.dtype == np.float64:
            return jnp.asarray(x, dtype=dtype or settings.floatx())
        x = jnp.asarray(x)
    if dtype is None or x.dtype == dtype or not dtypes.is_float_dtype(x.dtype):
        return x
    return x.astype(dtype)


objects.publish("keras", globals(), ["DTypePolicy", "FloatDTypePolicy"])
