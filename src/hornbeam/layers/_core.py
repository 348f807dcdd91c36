"""The layers that nearly every model has, and those that wrap a function or a mask."""

import inspect

import jax.numpy as jnp

from .. import activations, constraints, initializers, regularizers
from ..core import dtypes, objects
from ..core.messages import expected
from ..core.variable import Variable
from ..initializers import InitializerLike
from ._arguments import positive_int
from ._base import Layer
from ._convertible import ConvertibleLayer
from ._input_spec import InputSpec
from ._products import Product
from ._variants import quantized_build


class Dense(ConvertibleLayer):
    """Every output is a weighted sum of all inputs: `activation(x @ kernel + bias)`.

    Args:
        units: size of the output's last axis.
        activation: function applied to the result.
        use_bias: whether to add a bias.
        kernel_initializer, bias_initializer: initial values.
        kernel_regularizer, bias_regularizer, activity_regularizer: penalties.
        kernel_constraint, bias_constraint: functions applied after every training step.
        lora_rank, lora_alpha: for a low-rank addition that is trained in the place of the kernel,
            see `enable_lora`.
        quantization_config: how the kernel is quantized if the dtype says that it is.

    Shapes: `(batch, …, features)` to `(batch, …, units)`.

    Example:

    >>> layer = keras.layers.Dense(4, activation="relu")
    >>> layer(np.ones((2, 3))).shape
    (2, 4)
    """

    kernel: Variable = None  # pyright: ignore[reportAssignmentType]  # until it is built
    products = {"kernel": Product("...i,io->...o")}

    def __init__(
        self,
        units,
        activation=None,
        use_bias=True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        lora_rank=None,
        lora_alpha=None,
        quantization_config=None,
        **kwargs,
    ):
        super().__init__(
            activity_regularizer=activity_regularizer,
            lora_rank=lora_rank,
            lora_alpha=lora_alpha,
            quantization_config=quantization_config,
            **kwargs,
        )
        self.units = positive_int("Dense's units", units)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.input_spec = InputSpec(min_ndim=2)
        self.supports_masking = True

    def build(self, input_shape):
        features = input_shape[-1]
        self.kernel = self.add_weight(
            (features, self.units),
            self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            name="kernel",
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                (self.units,),
                self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                name="bias",
            )
        self.input_spec = InputSpec(min_ndim=2, axes={-1: features})

    def call(self, inputs, training=None):
        outputs = self.multiply(inputs, "kernel")
        if self.bias is not None:
            outputs = outputs + self.bias.value
        return self.activation(outputs)

    def quantized_build(self, kernel_shape, mode, config=None):
        """Make the variables of a quantized kernel, for a `build` that makes no others.

        Args:
            kernel_shape: the kernel's shape.
            mode: the layer's quantization mode.
            config: the `QuantizationConfig`, by default that of the layer.
        """
        quantized_build(self, "kernel", kernel_shape, mode, config)


class Embedding(ConvertibleLayer):
    """Looks up a trained vector for every integer.

    Args:
        input_dim: how many different integers there are: inputs are `0 … input_dim - 1`.
        output_dim: length of the vectors.
        embeddings_initializer: initial values.
        embeddings_regularizer: penalty.
        embeddings_constraint: function applied after every training step.
        mask_zero: whether 0 means padding, which later layers shall skip.
        weights: list of one array, the initial vectors.
        lora_rank, lora_alpha, quantization_config: as in `Dense`.

    Shapes: any, `(batch, …)` to `(batch, …, output_dim)`. Integers outside give `nan`.

    Example:

    >>> layer = keras.layers.Embedding(10, 4, mask_zero=True)
    >>> layer(np.array([[3, 1, 0]])).shape
    (1, 3, 4)
    >>> layer.compute_mask(np.array([[3, 1, 0]]))
    Array([[ True,  True, False]], dtype=bool)
    """

    embeddings: Variable = None  # pyright: ignore[reportAssignmentType]  # until it is built
    products = {"embeddings": Product("...d,nd->...n", packed="d")}
    main_weight = "embeddings"
    formats = ("int8", "int4")

    def __init__(
        self,
        input_dim,
        output_dim,
        embeddings_initializer: InitializerLike = "uniform",
        embeddings_regularizer=None,
        embeddings_constraint=None,
        mask_zero=False,
        weights=None,
        lora_rank=None,
        lora_alpha=None,
        quantization_config=None,
        **kwargs,
    ):
        kwargs.pop("input_length", None)  # said in old models, and never used
        # Casting to half precision would merge neighbouring integers given as floats.
        super().__init__(
            lora_rank=lora_rank,
            lora_alpha=lora_alpha,
            quantization_config=quantization_config,
            **{"autocast": False, **kwargs},
        )
        self.input_dim = positive_int("Embedding's input_dim", input_dim)
        self.output_dim = positive_int("Embedding's output_dim", output_dim)
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.embeddings_constraint = constraints.get(embeddings_constraint)
        self.mask_zero = mask_zero
        self.supports_masking = mask_zero
        self._initial_weights = weights

    def build(self, input_shape=None):
        self.embeddings = self.add_weight(
            (self.input_dim, self.output_dim),
            self.embeddings_initializer,
            regularizer=self.embeddings_regularizer,
            constraint=self.embeddings_constraint,
            name="embeddings",
        )
        if self._initial_weights is not None:
            self.set_weights(self._initial_weights)

    def call(self, inputs):
        if not dtypes.is_int_dtype(inputs.dtype):
            inputs = inputs.astype("int32")
        return self.look_up(inputs, "embeddings")

    def compute_mask(self, inputs, mask=None):
        return jnp.not_equal(inputs, 0) if self.mask_zero else None

    def constructor_arguments(self):
        # `weights` is a property of every layer; files hold the values elsewhere.
        arguments = {k: v for k, v in super().constructor_arguments().items() if k != "weights"}
        return {**arguments, "activity_regularizer": self.activity_regularizer}

    def quantized_build(self, embeddings_shape, mode, config=None):
        """Make the variables of quantized embeddings, for a `build` that makes no others.

        Args:
            embeddings_shape: the embeddings' shape.
            mode: the layer's quantization mode.
            config: the `QuantizationConfig`, by default that of the layer.
        """
        quantized_build(self, "embeddings", embeddings_shape, mode, config)


class ReversibleEmbedding(Embedding):
    """An `Embedding` that also leads back: from vectors to a logit for every integer.

    Called with `reverse=True`, it computes `x @ embeddings.T`.

    Args:
        input_dim: how many different integers there are: inputs are `0 … input_dim - 1`.
        output_dim: length of the vectors.
        tie_weights: whether both ways use the same numbers; else `reverse=True` has its own.
        embeddings_initializer: initial values.
        embeddings_regularizer: penalty.
        embeddings_constraint: function applied after every training step.
        mask_zero: whether 0 means padding, which later layers shall skip.
        reverse_dtype: dtype of the way back, by default the compute dtype.
        logit_soft_cap: `c`, for `c * tanh(logits / c)` in place of the logits.

    Reference: [Press & Wolf, 2016](https://arxiv.org/abs/1608.05859)

    Example:

    >>> layer = keras.layers.ReversibleEmbedding(10, 4)
    >>> vectors = layer(np.array([[3, 1, 0]]))
    >>> layer(vectors, reverse=True).shape
    (1, 3, 10)
    """

    def __init__(
        self,
        input_dim,
        output_dim,
        tie_weights=True,
        embeddings_initializer: InitializerLike = "uniform",
        embeddings_regularizer=None,
        embeddings_constraint=None,
        mask_zero=False,
        reverse_dtype=None,
        logit_soft_cap=None,
        **kwargs,
    ):
        super().__init__(
            input_dim,
            output_dim,
            embeddings_initializer,
            embeddings_regularizer,
            embeddings_constraint,
            mask_zero,
            **kwargs,
        )
        self.tie_weights = tie_weights
        if not tie_weights:
            back = Product("...d,dn->...n", packed="d")
            self.products = {**self.products, "reverse_embeddings": back}
        self.reverse_dtype = reverse_dtype
        self.logit_soft_cap = logit_soft_cap

    def build(self, input_shape=None):
        super().build(input_shape)
        if not self.tie_weights:
            self.reverse_embeddings = self.add_weight(
                (self.output_dim, self.input_dim),
                self.embeddings_initializer,
                regularizer=self.embeddings_regularizer,
                constraint=self.embeddings_constraint,
                name="reverse_embeddings",
            )

    def call(self, inputs, reverse=False):
        if not reverse:
            return super().call(inputs)
        dtype = dtypes.numpy_dtype(self.reverse_dtype or self.compute_dtype)
        name = "embeddings" if self.tie_weights else "reverse_embeddings"
        logits = self.multiply(inputs.astype(dtype), name).astype(dtype)
        cap = self.logit_soft_cap
        return logits if cap is None else cap * jnp.tanh(logits / cap)

    def compute_mask(self, inputs, mask=None):
        return super().compute_mask(inputs) if dtypes.is_int_dtype(inputs.dtype) else mask


class Identity(Layer):
    """Returns its input.

    Example:

    >>> keras.layers.Identity()(np.array([1.0, 2.0]))
    Array([1., 2.], dtype=float32)
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs):
        return inputs


class Masking(Layer):
    """Marks the time steps whose features all equal `mask_value` as padding, and zeroes them.

    Args:
        mask_value: the number that padding is filled with.

    Shapes: `(batch, time, …, features)`, unchanged; the mask lacks the last axis.

    Example:

    >>> layer = keras.layers.Masking(mask_value=-1.0)
    >>> x = np.array([[[1.0, 2.0], [-1.0, -1.0]]])
    >>> layer(x)
    Array([[[1., 2.],
            [0., 0.]]], dtype=float32)
    >>> layer.compute_mask(x)
    Array([[ True, False]], dtype=bool)
    """

    def __init__(self, mask_value=0.0, **kwargs):
        super().__init__(**kwargs)
        self.mask_value = mask_value

    def call(self, inputs):
        kept = self.compute_mask(inputs)
        return inputs * kept[..., None].astype(inputs.dtype)

    def compute_mask(self, inputs, mask=None):
        return jnp.any(jnp.not_equal(inputs, self.mask_value), axis=-1)


class Lambda(Layer):
    """A function as a layer.

    Variables that the function uses are not the layer's: they are neither saved nor trained. Write
    a `Layer` for those. A model with a `lambda` can't be written to a file, one with a named
    function can.

    Args:
        function: function of the inputs, which may also take `mask` and `training`.
        output_shape: accepted for compatibility: the shape is found by tracing.
        mask: the output's mask, or a function `mask(inputs, mask)` that returns it.
        arguments: dict of further keyword arguments for `function`.

    Example:

    >>> layer = keras.layers.Lambda(lambda x, by: x * by, arguments={"by": 3.0})
    >>> layer(np.array([1.0, 2.0]))
    Array([3., 6.], dtype=float32)
    """

    def __init__(self, function, output_shape=None, mask=None, arguments=None, **kwargs):
        super().__init__(**kwargs)
        if not callable(function):
            raise TypeError(expected("Lambda's function", "callable", function))
        self.function = function
        self.output_shape = output_shape
        self.mask = mask
        self.arguments = arguments or {}
        self.supports_masking = mask is not None
        self._passed = [n for n in ("mask", "training") if n in _parameters(function)]

    def call(self, inputs, mask=None, training=None):
        given = {"mask": mask, "training": training}
        passed = {name: given[name] for name in self._passed}
        return self.function(inputs, **{**self.arguments, **passed})

    def compute_mask(self, inputs, mask=None):
        return self.mask(inputs, mask) if callable(self.mask) else self.mask

    def get_config(self):
        config = super().get_config()
        for name in ("function", "mask"):
            value = getattr(self, name)
            if callable(value) and getattr(value, "__name__", "") != "<lambda>":
                config[name] = objects.serialize(value)
        return config

    @classmethod
    def from_config(cls, config, custom_objects=None, safe_mode=None):
        """A layer made from what `get_config` returned.

        A lambda that Keras wrote as bytecode is code, which could do anything: it needs
        `safe_mode=False` in this call, or in the one that loads the file.
        """
        with objects.CustomObjectScope(custom_objects), objects.bytecode_if(safe_mode is False):
            return super().from_config(config)


def _parameters(function):
    try:
        return inspect.signature(function).parameters
    except ValueError:  # some built-in functions have no signature
        return ()
