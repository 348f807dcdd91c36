"""Policies of layers whose weights are quantized: the mode, and the policy that they come from."""

from ..core import objects
from ..core.messages import expected, one_of
from ._policy import DTypePolicy, dtype_policy

MODES = ("int8", "float8", "int4", "gptq", "awq")


class QuantizedDTypePolicy(DTypePolicy):
    """The number types of a layer with quantized weights.

    Args:
        mode: `"int8"`, `"int4"`, `"float8"`, `"gptq"` or `"awq"`.
        source_name: name of the policy that the layer had before, which says what it computes in;
            by default the one that layers have now.

    Example:

    >>> policy = keras.dtype_policies.QuantizedDTypePolicy("int8", "mixed_bfloat16")
    >>> policy.name, policy.compute_dtype, policy.quantization_mode
    ('int8_from_mixed_bfloat16', 'bfloat16', 'int8')
    """

    _form = "mode"  # how the mode is written; what follows a slash is an integer

    def __init__(self, mode, source_name=None):
        source_name = dtype_policy().name if source_name is None else source_name
        super().__init__(source_name)
        self._mode, self._source_name = mode, source_name
        self._name = f"{mode}_from_{source_name}"
        kind, *numbers = self._parts(mode)
        self.quantization_mode = one_of(f"{type(self).__name__}'s mode", kind, MODES)
        self._set_numbers(*numbers)

    def _parts(self, mode):
        """The kind of quantization, and the numbers after it."""
        kind, *numbers = str(mode).split("/")
        wanted, *names = self._form.split("/")
        try:
            numbers = [int(n) for n in numbers]
        except ValueError:
            numbers = []
        if len(numbers) != len(names) or wanted not in ("mode", kind):
            raise ValueError(expected(f"{type(self).__name__}'s mode", repr(self._form), mode))
        return kind, *numbers

    def _set_numbers(self, *numbers):
        """Keep the numbers of the mode; subclasses that have some check them here."""

    def constructor_arguments(self):
        """The arguments that would make an equal policy."""
        return {"mode": self._mode, "source_name": self._source_name}


class QuantizedFloat8DTypePolicy(QuantizedDTypePolicy):
    """A policy that quantizes to 8-bit floats, by scales that follow the largest values seen.

    Args:
        mode: `"float8"`.
        source_name: as in `QuantizedDTypePolicy`.
        amax_history_length: of how many steps the largest values are kept.

    Example:

    >>> policy = keras.dtype_policies.QuantizedFloat8DTypePolicy("float8", "float32", 16)
    >>> policy.amax_history_length
    16
    """

    def __init__(self, mode, source_name=None, amax_history_length=1024):
        super().__init__(mode, source_name)
        if not isinstance(amax_history_length, int):
            raise TypeError(expected("amax_history_length", "an int", amax_history_length))
        self._amax_history_length = amax_history_length

    @property
    def amax_history_length(self):
        """Of how many steps the largest values are kept."""
        return self._amax_history_length

    def constructor_arguments(self):
        """The arguments that would make an equal policy."""
        return {**super().constructor_arguments(), "amax_history_length": self.amax_history_length}


class Int4DTypePolicy(QuantizedDTypePolicy):
    """A policy that quantizes to 4-bit integers with a scale for each block of weights.

    Args:
        mode: `"int4/<block_size>"`; the block size is -1 for one scale per channel.
        source_name: as in `QuantizedDTypePolicy`.

    Example:

    >>> keras.dtype_policies.Int4DTypePolicy("int4/128", "float32").block_size
    128
    """

    _form = "int4/<block_size>"

    def _set_numbers(self, block_size):
        self.mode, self.block_size = self.quantization_mode, _size("block_size", block_size)


class _GroupsPolicy(QuantizedDTypePolicy):
    """A policy that says how many bits a weight has, and how many weights share a scale."""

    _bits: tuple[int, ...]

    def _set_numbers(self, weight_bits, group_size):
        self.mode = self.quantization_mode
        self.weight_bits = one_of(f"{type(self).__name__}'s weight_bits", weight_bits, self._bits)
        self.group_size = _size("group_size", group_size)


class GPTQDTypePolicy(_GroupsPolicy):
    """A policy that quantizes by GPTQ.

    Args:
        mode: `"gptq/<weight_bits>/<group_size>"`; the bits are 2, 3, 4 or 8, the group size is -1
            for the whole tensor.
        source_name: as in `QuantizedDTypePolicy`.

    Reference: [Frantar et al., 2022](https://arxiv.org/abs/2210.17323)

    Example:

    >>> policy = keras.dtype_policies.GPTQDTypePolicy("gptq/4/128", "mixed_bfloat16")
    >>> policy.weight_bits, policy.group_size
    (4, 128)
    """

    _form = "gptq/<weight_bits>/<group_size>"
    _bits = (2, 3, 4, 8)


class AWQDTypePolicy(_GroupsPolicy):
    """A policy that quantizes to 4 bits by AWQ.

    Args:
        mode: `"awq/4/<group_size>"`; the group size is -1 for one group per channel.
        source_name: as in `QuantizedDTypePolicy`.

    Reference: [Lin et al., 2023](https://arxiv.org/abs/2306.00978)

    Example:

    >>> keras.dtype_policies.AWQDTypePolicy("awq/4/128", "mixed_bfloat16").group_size
    128
    """

    _form = "awq/<weight_bits>/<group_size>"
    _bits = (4,)


def _size(name, value):
    if value < 1 and value != -1:
        raise ValueError(expected(name, "a positive int, or -1", value))
    return value


objects.publish(
    "keras.dtype_policies",
    globals(),
    [
        "AWQDTypePolicy",
        "GPTQDTypePolicy",
        "Int4DTypePolicy",
        "QuantizedDTypePolicy",
        "QuantizedFloat8DTypePolicy",
    ],
)
