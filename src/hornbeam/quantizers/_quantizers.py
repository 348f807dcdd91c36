"""Quantizers: functions from floats to integers and their scale, that a config describes."""

from ..core import objects
from ..core.objects import Configurable
from ._functions import abs_max_quantize


class Quantizer(Configurable):
    """A function from floats to integers and the scale that they belong to.

    Subclasses write `__call__`.

    Args:
        output_dtype: type of the integers.

    Example:

    >>> class Ternary(keras.Quantizer):
    ...     def __call__(self, x):
    ...         return jnp.sign(x).astype(self.output_dtype), jnp.ones((1,) * x.ndim)
    >>> Ternary()(jnp.array([0.3, -2.0]))[0]
    Array([ 1, -1], dtype=int8)
    """

    def __init__(self, output_dtype="int8"):
        self.output_dtype = output_dtype

    def __call__(self, x):
        """The integers and the scale for `x`; this one returns `x` as it is."""
        return x


class AbsMaxQuantizer(Quantizer):
    """`abs_max_quantize` with these arguments.

    Args:
        axis: the axis or axes that share a scale; `None` leaves it to who calls it.
        value_range: the lowest and the highest integer.
        epsilon: added to the largest absolute value.
        output_dtype: type of the integers.

    Example:

    >>> quantizer = keras.quantizers.AbsMaxQuantizer(axis=-1)
    >>> quantizer(np.array([[0.25, -1.0]]))[0]
    Array([[  32, -127]], dtype=int8)
    """

    def __init__(self, axis=None, value_range=(-127, 127), epsilon=1e-7, output_dtype="int8"):
        super().__init__(output_dtype)
        self.axis = (axis,) if isinstance(axis, int) else axis and tuple(axis)
        self.value_range = tuple(value_range)
        self.epsilon = epsilon

    def __call__(self, x, axis=None, to_numpy=False):
        """The integers and the scale for `x`.

        Args:
            x: floats.
            axis: the axes that share a scale, by default those given to the constructor, or the
                last one.
            to_numpy: whether to compute on the host.
        """
        axis = (self.axis or -1) if axis is None else axis
        return abs_max_quantize(
            x, axis, self.value_range, self.output_dtype, self.epsilon, to_numpy
        )

    def constructor_arguments(self):
        arguments = super().constructor_arguments()
        return arguments if self.axis else {k: v for k, v in arguments.items() if k != "axis"}


def serialize(initializer):
    """The quantizer as plain data.

    Args:
        initializer: the quantizer, under the name that the argument has in Keras.
    """
    return objects.serialize(initializer)


def deserialize(config, custom_objects=None):
    """The quantizer that `serialize` described."""
    return objects.get("quantizers", config, custom_objects)


def get(identifier, **kwargs):
    """The quantizer that a name, a config, a class or an object means.

    Args:
        identifier: such as `"abs_max_quantizer"`.
        **kwargs: arguments for the constructor, if it names a class.

    Example:

    >>> keras.quantizers.get("abs_max_quantizer", axis=0).axis
    (0,)
    """
    found = objects.lookup("quantizers", identifier) if isinstance(identifier, str) else None
    if isinstance(identifier, type):
        found = identifier
    if kwargs and isinstance(found, type):
        return found(**kwargs)
    return objects.get("quantizers", identifier)
