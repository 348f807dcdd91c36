"""How to quantize: one config class for each number format."""

from ..core.messages import expected, one_of
from ..core.objects import Configurable
from ._quantizers import AbsMaxQuantizer, get


class QuantizationConfig(Configurable):
    """How to quantize a layer's weights, and the inputs that they are multiplied with.

    The base of `Int8QuantizationConfig` and the others.

    Args:
        weight_quantizer: a `Quantizer` for weights; `None` for the usual one.
        activation_quantizer: a `Quantizer` for inputs; `None` leaves them floats.
    """

    def __init__(self, weight_quantizer=None, activation_quantizer=None):
        self.weight_quantizer = get(weight_quantizer)
        self.activation_quantizer = get(activation_quantizer)

    @property
    def mode(self) -> str:
        """The number format, such as `"int8"`."""
        raise NotImplementedError(
            f"{type(self).__name__} has no mode: use Int8QuantizationConfig or another subclass."
        )

    def policy_mode(self):
        """The format as dtype policies write it, with its numbers."""
        return self.mode

    def kept(self):
        """What a quantized layer remembers of it."""
        return self

    @staticmethod
    def weight_quantizer_or_default(config, default):
        """The config's quantizer for weights, or `default`."""
        found = None if config is None else config.weight_quantizer
        return default if found is None else found

    @staticmethod
    def activation_quantizer_or_default(config, default):
        """The config's quantizer for inputs (or `None`), or `default` without a config."""
        return default if config is None else config.activation_quantizer


class Int8QuantizationConfig(QuantizationConfig):
    """Weights, and the inputs that they meet, as 8-bit integers.

    Args:
        weight_quantizer: quantizer of the weights; by default `AbsMaxQuantizer` over the axes that
            are summed over.
        activation_quantizer: quantizer of the inputs; `"default"` is `AbsMaxQuantizer` over the
            axes that are summed over; `None` leaves them floats.

    Example:

    >>> layer = keras.layers.Dense(4)
    >>> layer.build((None, 3))
    >>> layer.quantize(config=keras.quantizers.Int8QuantizationConfig(activation_quantizer=None))
    >>> layer.kernel.dtype
    'int8'
    """

    @property
    def mode(self):
        return "int8"

    def __init__(self, weight_quantizer=None, activation_quantizer="default"):
        if activation_quantizer == "default":
            activation_quantizer = AbsMaxQuantizer()
        super().__init__(weight_quantizer, activation_quantizer)
        _check_integers(self, self.weight_quantizer)


class Int4QuantizationConfig(QuantizationConfig):
    """Weights as 4-bit integers, two in a byte; inputs stay floats.

    Args:
        weight_quantizer, activation_quantizer: as in `Int8QuantizationConfig`, but only without
            blocks.
        block_size: how many weights that are summed over share a scale and a zero point; `None` or
            -1 for one scale per output.

    Example:

    >>> layer = keras.layers.Dense(4)
    >>> layer.build((None, 64))
    >>> layer.quantize(config=keras.quantizers.Int4QuantizationConfig(block_size=16))
    >>> layer.kernel.shape, layer.kernel_scale.shape
    ((64, 2), (4, 4))
    """

    @property
    def mode(self):
        return "int4"

    def __init__(self, weight_quantizer=None, activation_quantizer="default", block_size=128):
        whole = isinstance(block_size, int) and (block_size == -1 or block_size > 0)
        if block_size is not None and not whole:
            raise ValueError(
                expected("Int4QuantizationConfig's block_size", "None, -1 or above 0", block_size)
            )
        self.block_size = block_size
        if activation_quantizer == "default":
            activation_quantizer = None
        super().__init__(weight_quantizer, activation_quantizer)
        if self.has_blocks and (self.weight_quantizer or self.activation_quantizer):
            raise ValueError(
                f"Int4QuantizationConfig: with blocks (block_size={block_size}) weights have a "
                "zero point, which quantizers don't. Leave weight_quantizer and "
                "activation_quantizer out, or pass block_size=-1."
            )
        _check_integers(self, self.weight_quantizer, (-8, 7))

    @property
    def has_blocks(self):
        """Whether weights have scales and zero points for each block."""
        return self.block_size not in (None, -1)

    def policy_mode(self):
        return f"int4/{self.block_size if self.has_blocks else -1}"


class Float8QuantizationConfig(QuantizationConfig):
    """Inputs, weights and gradients rounded to 8-bit floats, with scales that follow them.

    Weights are kept in floats, since this is for training.
    """

    @property
    def mode(self):
        return "float8"

    def __init__(self):
        super().__init__()


class _CalibratedConfig(QuantizationConfig):
    """How to quantize with the help of data that shows which inputs the layers get."""

    weight_bits: int

    def _set(self, dataset, tokenizer, num_samples, sequence_length, group_size, structure):
        self.dataset = dataset
        self.tokenizer = tokenizer
        owner = type(self).__name__
        self.num_samples = _positive(f"{owner}'s num_samples", num_samples)
        self.sequence_length = _positive(f"{owner}'s sequence_length", sequence_length)
        if group_size != -1:
            _positive(f"{owner}'s group_size, if not -1,", group_size)
        self.group_size = group_size
        self.quantization_layer_structure = structure

    def dtype_policy_string(self):
        """The format as dtype policies write it, such as `"gptq/4/128"`."""
        return f"{self.mode}/{self.weight_bits}/{self.group_size}"

    policy_mode = dtype_policy_string

    def constructor_arguments(self):
        # Data, tokenizers and layers are needed once, for the calibration.
        gone = ("dataset", "tokenizer", "quantization_layer_structure")
        return {**super().constructor_arguments(), **dict.fromkeys(gone)}

    def kept(self):
        return self.clone()


class GPTQConfig(_CalibratedConfig):
    """Weights in few bits by GPTQ, which makes up for the error of each by those not yet rounded.

    Args:
        dataset: iterable of texts, or of arrays of tokens.
        tokenizer: function from a text to tokens.
        weight_bits: 2, 3, 4 or 8.
        num_samples: how many samples of the dataset are used.
        per_channel: whether each output has its own scale; else one for all.
        sequence_length: length of the samples, in tokens.
        hessian_damping: share of the mean of the Hessian's diagonal that is added to it.
        group_size: how many weights share a scale; -1 for all of an output.
        symmetric: whether the range is symmetric around 0.
        activation_order: whether weights whose inputs are large are rounded first.
        quantization_layer_structure: dict with the lists `"pre_block_layers"` and
            `"sequential_blocks"`: the layers before the blocks, and the blocks. By default the
            model's `get_quantization_layer_structure` says it.

    Reference: [Frantar et al., 2022](https://arxiv.org/abs/2210.17323)

    Example:

    >>> config = keras.quantizers.GPTQConfig(None, None, weight_bits=4, group_size=64)
    >>> config.dtype_policy_string()
    'gptq/4/64'
    """

    @property
    def mode(self):
        return "gptq"

    def __init__(
        self,
        dataset,
        tokenizer,
        *,
        weight_bits: int = 4,
        num_samples: int = 128,
        per_channel: bool = True,
        sequence_length: int = 512,
        hessian_damping: float = 0.01,
        group_size: int = 128,
        symmetric: bool = False,
        activation_order: bool = False,
        quantization_layer_structure: dict | None = None,
    ):
        super().__init__()
        structure = quantization_layer_structure
        self._set(dataset, tokenizer, num_samples, sequence_length, group_size, structure)
        self.weight_bits = one_of("GPTQConfig's weight_bits", weight_bits, (2, 3, 4, 8))
        if not 0 <= hessian_damping <= 1:
            raise ValueError(
                expected("GPTQConfig's hessian_damping", "between 0 and 1", hessian_damping)
            )
        self.hessian_damping = hessian_damping
        self.per_channel = per_channel
        self.symmetric = symmetric
        self.activation_order = activation_order


class AWQConfig(_CalibratedConfig):
    """Weights in 4 bits by AWQ, which scales up those that meet large inputs before rounding.

    Args:
        dataset: iterable of texts, or of arrays of tokens.
        tokenizer: function from a text to tokens.
        weight_bits: 4.
        num_samples: how many samples of the dataset are used.
        sequence_length: length of the samples, in tokens.
        group_size: how many weights share a scale; -1 for all of an output.
        num_grid_points: how many exponents between 0 and 1 are tried.
        quantization_layer_structure: as in `GPTQConfig`.

    Reference: [Lin et al., 2023](https://arxiv.org/abs/2306.00978)

    Example:

    >>> keras.quantizers.AWQConfig(None, None).dtype_policy_string()
    'awq/4/128'
    """

    @property
    def mode(self):
        return "awq"

    def __init__(
        self,
        dataset,
        tokenizer,
        *,
        weight_bits: int = 4,
        num_samples: int = 128,
        sequence_length: int = 512,
        group_size: int = 128,
        num_grid_points: int = 20,
        quantization_layer_structure: dict | None = None,
    ):
        super().__init__()
        structure = quantization_layer_structure
        self._set(dataset, tokenizer, num_samples, sequence_length, group_size, structure)
        self.weight_bits = one_of("AWQConfig's weight_bits", weight_bits, (4,))
        self.num_grid_points = _positive("AWQConfig's num_grid_points", num_grid_points)


def _positive(argument, value):
    if not isinstance(value, int) or value < 1:
        raise ValueError(expected(argument, "a positive int", value))
    return value


def _check_integers(config, quantizer, value_range=None):
    """An error unless a quantizer's results fit into the format."""
    owner = f"{type(config).__name__}'s weight_quantizer"
    if quantizer is not None and getattr(quantizer, "output_dtype", "int8") != "int8":
        raise ValueError(expected(f"{owner}.output_dtype", "'int8'", quantizer.output_dtype))
    given = getattr(quantizer, "value_range", None)
    if value_range and given and (given[0] < value_range[0] or given[1] > value_range[1]):
        raise ValueError(expected(f"{owner}.value_range", f"within {value_range}", given))


_BY_MODE = {
    "int8": Int8QuantizationConfig,
    "int4": Int4QuantizationConfig,
    "float8": Float8QuantizationConfig,
}
_CALIBRATED = {"gptq": GPTQConfig, "awq": AWQConfig}


def resolve(mode, config) -> QuantizationConfig:
    """The config that the arguments `mode` and `config` of `quantize` mean together."""
    if mode is config is None:
        raise ValueError("quantize needs a `mode`, such as 'int8', or a `config`.")
    if config is None:
        mode = str(mode)
        one_of("quantize's mode", mode, (*_BY_MODE, *_CALIBRATED))
        if mode in _CALIBRATED:
            name = _CALIBRATED[mode].__name__
            raise ValueError(f"quantize: mode {mode!r} needs its data: pass config={name}(…).")
        return _BY_MODE[mode]()
    if not isinstance(config, QuantizationConfig):
        raise ValueError(expected("quantize's config", "a QuantizationConfig", config))
    if mode not in (None, config.mode):
        raise ValueError(
            f"quantize: mode={mode!r} contradicts config, a {type(config).__name__} "
            f"(mode {config.mode!r}). Leave mode out."
        )
    return config
