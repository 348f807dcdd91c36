"""One row for every layer class, and more where an argument changes what it does.

`tests/contracts/test_layers.py` holds every row to the same laws, and
`tests/against/test_layers.py` compares every row with Keras.
"""

import dataclasses
import os

import numpy as np


@dataclasses.dataclass
class Inner:
    """A layer among the arguments of another one, made from the same package."""

    layer: str
    kwargs: dict = dataclasses.field(default_factory=dict)

    def __repr__(self):
        return f"{self.layer}({','.join(f'{k}={v}' for k, v in self.kwargs.items())})"

    def make(self, layers, **more):
        """The layer; `more` is for those inside it, too."""
        return getattr(layers, self.layer)(**{**_made(self.kwargs, layers, more), **more})


def _made(value, layers, more):
    if isinstance(value, Inner):
        return value.make(layers, **more)
    if isinstance(value, dict):
        return {k: _made(v, layers, more) for k, v in value.items()}
    return [_made(v, layers, more) for v in value] if isinstance(value, list) else value


@dataclasses.dataclass(eq=False)  # so that a row is itself a key
class Case:
    """A layer and inputs for it.

    shape: the input's shape without the batch, or a list of them for several inputs.
    open_axes: axes (the batch is 0) whose size may be unknown beside the batch's.
    top: integer inputs are drawn from `0 … top - 1`; `None` means float inputs.
    spread: whether several inputs are arguments of their own, not a list.
    options: further arguments of the call.
    """

    layer: str
    kwargs: dict
    shape: tuple | list
    open_axes: tuple = ()
    top: int | None = None
    spread: bool = False
    options: dict = dataclasses.field(default_factory=dict)

    def __str__(self):
        shown = ",".join(f"{k}={v}" for k, v in {**self.kwargs, **self.options}.items())
        return f"{self.layer}({shown})"

    def make(self, layers, **more):
        """The layer, from the package `layers` (ours or Keras's)."""
        return Inner(self.layer, self.kwargs).make(layers, **more)

    def call(self, layer, x=None, **more):
        """What the layer, or another function of inputs, gives for `x` or for `inputs()`."""
        x = self.inputs() if x is None else x
        return layer(*(x if self.spread else [x]), **{**self.options, **more})

    @property
    def shapes(self):
        return self.shape if isinstance(self.shape, list) else [self.shape]

    @property
    def dtype(self):
        return "float32" if self.top is None else "int32"

    def inputs(self, batch=2, seed=0):
        """Arrays, nested as the layer takes them."""
        rng = np.random.default_rng(seed)
        arrays = [self._array(rng, (batch, *shape)) for shape in self.shapes]
        return arrays if isinstance(self.shape, list) else arrays[0]

    def _array(self, rng, shape):
        if self.top is not None:
            return rng.integers(0, self.top, shape).astype("int32")
        return rng.normal(size=shape).astype("float32")

    def symbolic(self, keras, unknown=()):
        """`Input` tensors like `inputs()`, from the package `keras`."""
        tensors = []
        for shape in self.shapes:
            sizes = [None if i in unknown else n for i, n in enumerate(shape, 1)]
            tensors.append(keras.layers.Input(sizes, dtype=self.dtype))
        return tensors if isinstance(self.shape, list) else tensors[0]


PAIR = [(4, 3), (4, 3)]

QUERY_VALUE = [(3, 4), (5, 4)]
SCORES = {"return_attention_scores": True}

CASES = [
    Case("Activation", {"activation": "relu"}, (4,)),
    Case("Activation", {"activation": None}, (4,)),
    Case("ActivityRegularization", {"l1": 0.1, "l2": 0.2}, (4,)),
    Case("AdaptiveAveragePooling1D", {"output_size": 3}, (5, 2)),
    Case(
        "AdaptiveAveragePooling2D",
        {"output_size": (2, 3), "data_format": "channels_first"},
        (2, 4, 7),
    ),
    Case("AdaptiveAveragePooling3D", {"output_size": 2}, (3, 4, 2, 2)),
    Case("AdaptiveMaxPooling1D", {"output_size": 7, "data_format": "channels_first"}, (2, 5)),
    Case("AdaptiveMaxPooling2D", {"output_size": (3, 2)}, (5, 4, 2)),
    Case("AdaptiveMaxPooling3D", {"output_size": (1, 2, 3)}, (3, 4, 2, 2)),
    Case("Add", {}, PAIR, (1,)),
    Case("Add", {}, [(3,), (4, 3), (1, 3)]),
    Case("AdditiveAttention", {}, QUERY_VALUE, (1,)),
    Case(
        "AdditiveAttention", {"use_scale": False, "dropout": 0.3, "seed": 1}, [*QUERY_VALUE, (5, 4)]
    ),
    Case("AlphaDropout", {"rate": 0.3, "seed": 1}, (4, 3), (1,)),
    Case("AlphaDropout", {"rate": 0.3, "noise_shape": (None, 1, 3), "seed": 1}, (4, 3)),
    Case("Attention", {"use_scale": True, "dropout": 0.3, "seed": 1}, [*QUERY_VALUE, (5, 4)], (1,)),
    Case(
        "Attention", {"score_mode": "concat", "use_scale": True}, QUERY_VALUE, (1,), options=SCORES
    ),
    Case("Attention", {}, QUERY_VALUE, options={"use_causal_mask": True}),
    Case("Average", {}, PAIR, (1,)),
    Case("AveragePooling1D", {"pool_size": 2}, (6, 3), (1,)),
    Case("AveragePooling2D", {"pool_size": 2, "padding": "same"}, (5, 5, 3), (1, 2)),
    Case("AveragePooling2D", {"pool_size": 2, "data_format": "channels_first"}, (3, 6, 6), (2, 3)),
    Case("AveragePooling3D", {"pool_size": (1, 2, 2), "strides": 1}, (3, 4, 4, 2), (1, 2, 3)),
    Case("BatchNormalization", {}, (4, 3), (1,)),
    Case("BatchNormalization", {"axis": 1, "momentum": 0.5, "scale": False}, (3, 4, 4), (2, 3)),
    Case("BatchNormalization", {"center": False, "epsilon": 0.1}, (3,)),
    Case("Bidirectional", {"layer": Inner("LSTM", {"units": 3})}, (4, 2), (1,)),
    Case(
        "Bidirectional",
        {"layer": Inner("GRU", {"units": 3, "return_sequences": True}), "merge_mode": "mul"},
        (4, 2),
        (1,),
    ),
    Case("Concatenate", {}, [(4, 3), (4, 2)], (1,)),
    Case("Concatenate", {"axis": 1}, [(4, 3), (2, 3), (1, 3)]),
    Case("Conv1D", {"filters": 4, "kernel_size": 3, "padding": "causal"}, (6, 2), (1,)),
    Case("Conv1D", {"filters": 4, "kernel_size": 2, "dilation_rate": 2, "groups": 2}, (6, 2), (1,)),
    Case("Conv1DTranspose", {"filters": 3, "kernel_size": 3}, (5, 2), (1,)),
    Case(
        "Conv1DTranspose",
        {"filters": 3, "kernel_size": 2, "dilation_rate": 2, "padding": "same"},
        (5, 2),
        (1,),
    ),
    Case("Conv2D", {"filters": 4, "kernel_size": 3, "activation": "relu"}, (6, 5, 2), (1, 2)),
    Case("Conv2D", {"filters": 2, "kernel_size": (1, 2), "use_bias": False}, (6, 5, 2), (1, 2)),
    Case(
        "Conv2D",
        {
            "filters": 4,
            "kernel_size": 3,
            "strides": 2,
            "padding": "same",
            "data_format": "channels_first",
        },
        (2, 6, 6),
        (2, 3),
    ),
    Case(
        "Conv2DTranspose",
        {"filters": 3, "kernel_size": 3, "strides": 2, "padding": "same", "activation": "relu"},
        (3, 4, 2),
        (1, 2),
    ),
    Case(
        "Conv2DTranspose",
        {
            "filters": 3,
            "kernel_size": 3,
            "strides": 2,
            "output_padding": 1,
            "data_format": "channels_first",
        },
        (2, 3, 4),
        (2, 3),
    ),
    Case(
        "Conv2DTranspose",
        {"filters": 3, "kernel_size": (1, 2), "strides": (3, 2), "use_bias": False},
        (3, 4, 2),
        (1, 2),
    ),
    Case("Conv3D", {"filters": 2, "kernel_size": (1, 2, 2)}, (3, 4, 4, 2), (1, 2, 3)),
    Case(
        "Conv3DTranspose",
        {"filters": 2, "kernel_size": 2, "strides": (1, 2, 1)},
        (2, 2, 3, 2),
        (1, 2, 3),
    ),
    Case("ConvLSTM1D", {"filters": 2, "kernel_size": 2, "dilation_rate": 2}, (3, 4, 2), (1,)),
    Case("ConvLSTM2D", {"filters": 1, "kernel_size": (1, 2), "strides": 2}, (2, 3, 4, 2), (1,)),
    Case("ConvLSTM3D", {"filters": 1, "kernel_size": 1, "use_bias": False}, (2, 2, 1, 2, 2), (1,)),
    Case("Cropping1D", {"cropping": (1, 2)}, (6, 3), (1,)),
    Case("Cropping2D", {"cropping": ((1, 0), (2, 1))}, (5, 6, 3), (1, 2)),
    Case("Cropping2D", {"cropping": 1, "data_format": "channels_first"}, (3, 5, 6), (2, 3)),
    Case("Cropping3D", {}, (4, 4, 4, 2), (1, 2, 3)),
    Case("Dense", {"units": 3}, (4,)),
    Case("Dense", {"units": 3, "activation": "tanh", "use_bias": False}, (5, 4), (1,)),
    Case("Dense", {"units": 3, "lora_rank": 2}, (4,)),
    Case("Dense", {"units": 3, "dtype": "int8_from_float32"}, (4,)),
    Case("Dense", {"units": 3, "dtype": "int4/2_from_float32"}, (5, 4), (1,)),
    Case(
        "DepthwiseConv1D",
        {"kernel_size": 3, "depth_multiplier": 2, "strides": 2, "dilation_rate": 2},
        (7, 2),
        (1,),
    ),
    Case(
        "DepthwiseConv2D",
        {"kernel_size": 3, "padding": "same", "activation": "relu"},
        (4, 5, 2),
        (1, 2),
    ),
    Case(
        "DepthwiseConv2D",
        {"kernel_size": (2, 3), "strides": 2, "data_format": "channels_first", "use_bias": False},
        (2, 5, 6),
        (2, 3),
    ),
    Case("Dot", {"axes": 1}, [(4,), (4,)]),
    Case("Dot", {"axes": (2, 1), "normalize": True}, [(3, 4), (4, 5)]),
    Case("Dropout", {"rate": 0.5, "seed": 1}, (4, 3), (1,)),
    Case("Dropout", {"rate": 0.5, "noise_shape": (None, 1, 3), "seed": 1}, (4, 3), (1,)),
    Case("Dropout", {"rate": 0.0}, (4,)),
    Case("ELU", {"alpha": 0.5}, (4,)),
    Case(
        "EinsumDense",
        {"equation": "abc,cde->abde", "output_shape": (None, 2, 3), "bias_axes": "de"},
        (5, 4),
        (1,),
    ),
    Case(
        "EinsumDense",
        {"equation": "...x,xy->...y", "output_shape": 3, "bias_axes": "y", "activation": "relu"},
        (5, 4),
        (1,),
    ),
    Case(
        "EinsumDense",
        {"equation": "ab...,bc->ac...", "output_shape": 3, "bias_axes": "c"},
        (4, 5),
        (2,),
    ),
    Case(
        "EinsumDense",
        {"equation": "abc,bcd->abd", "output_shape": (5, 3), "bias_axes": "b"},
        (5, 4),
    ),
    Case("Embedding", {"input_dim": 7, "output_dim": 3}, (4,), (1,), top=7),
    Case("Embedding", {"input_dim": 7, "output_dim": 3, "mask_zero": True}, (4,), (1,), top=7),
    Case("Embedding", {"input_dim": 7, "output_dim": 3, "lora_rank": 1}, (4,), (1,), top=7),
    Case("Flatten", {}, (2, 3, 4), ()),
    Case("Flatten", {"data_format": "channels_first"}, (2, 3, 4), (1,)),
    Case("GRU", {"units": 3}, (4, 2), (1,)),
    Case("GRU", {"units": 3, "reset_after": False, "return_sequences": True}, (4, 2), (1,)),
    Case("GaussianDropout", {"rate": 0.3, "seed": 1}, (4,)),
    Case("GaussianNoise", {"stddev": 0.3, "seed": 1}, (4,)),
    Case("GlobalAveragePooling1D", {}, (4, 3), (1,)),
    Case("GlobalAveragePooling2D", {"keepdims": True}, (4, 5, 3), (1, 2)),
    Case("GlobalAveragePooling3D", {"data_format": "channels_first"}, (2, 3, 4, 5), (2, 3, 4)),
    Case("GlobalMaxPooling1D", {"data_format": "channels_first"}, (4, 3), (2,)),
    Case("GlobalMaxPooling2D", {}, (4, 5, 3), (1, 2)),
    Case("GlobalMaxPooling3D", {"keepdims": True}, (2, 3, 4, 5), (1, 2, 3)),
    Case("GroupNormalization", {"groups": 2}, (5, 4), (1,)),
    Case(
        "GroupNormalization",
        {"groups": -1, "axis": 1, "epsilon": 0.1, "center": False},
        (4, 3, 3),
        (2, 3),
    ),
    Case("GroupNormalization", {"groups": 2, "scale": False}, (4,)),
    Case(
        "GroupQueryAttention",
        {
            "head_dim": 3,
            "num_query_heads": 2,
            "num_key_value_heads": 1,
            "use_gate": True,
            "dropout": 0.3,
            "use_bias": False,
            "seed": 1,
        },
        QUERY_VALUE,
        (1,),
        spread=True,
        options=SCORES,
    ),
    Case(
        "GroupQueryAttention",
        {"head_dim": 2, "num_query_heads": 2, "num_key_value_heads": 2, "sliding_window": 2},
        PAIR,
        (1,),
        spread=True,
        options={"use_causal_mask": True},
    ),
    Case("Identity", {}, (4,)),
    Case("LSTM", {"units": 3, "return_sequences": True}, (4, 2), (1,)),
    Case("LSTM", {"units": 3, "go_backwards": True, "recurrent_activation": "relu"}, (4, 2), (1,)),
    Case("LSTM", {"units": 3, "unroll": True, "use_bias": False}, (4, 2)),
    Case("LayerNormalization", {}, (4, 3), (1,)),
    Case("LayerNormalization", {"axis": [1, 2], "epsilon": 0.1}, (4, 3)),
    Case("LayerNormalization", {"axis": 1, "center": False, "scale": False}, (4, 3)),
    Case("LayerNormalization", {"scale": False, "rms_scaling": True}, (4, 3)),
    Case("LeakyReLU", {"negative_slope": 0.2}, (4,)),
    Case("Masking", {}, (4, 3), (1,)),
    Case("MaxPooling1D", {"pool_size": 3, "strides": 2}, (7, 3), (1,)),
    Case("MaxPooling2D", {}, (6, 5, 3), (1, 2)),
    Case("MaxPooling2D", {"padding": "same", "data_format": "channels_first"}, (3, 5, 5), (2, 3)),
    Case("MaxPooling3D", {"pool_size": (1, 2, 2)}, (3, 4, 4, 2), (1, 2, 3)),
    Case("Maximum", {}, PAIR, (1,)),
    Case("Minimum", {}, PAIR, (1,)),
    Case(
        "MultiHeadAttention",
        {"num_heads": 2, "key_dim": 3, "value_dim": 4, "use_gate": True, "output_shape": (2, 3)},
        [*QUERY_VALUE, (5, 2)],
        (1,),
        spread=True,
        options=SCORES,
    ),
    Case(
        "MultiHeadAttention",
        {"num_heads": 2, "key_dim": 2, "dropout": 0.3, "use_bias": False, "seed": 1},
        PAIR,
        (1,),
        spread=True,
    ),
    Case(
        "MultiHeadAttention",
        {"num_heads": 1, "key_dim": 2, "sliding_window": 2},
        PAIR,
        (1,),
        spread=True,
        options={"use_causal_mask": True},
    ),
    Case(
        "MultiHeadAttention",
        {"num_heads": 2, "key_dim": 2, "attention_axes": (2,)},
        [(2, 3, 4), (2, 5, 4)],
        (2,),
        spread=True,
        options=SCORES,
    ),
    Case("Multiply", {}, PAIR, (1,)),
    Case("Normalization", {}, (4, 3), (1,)),
    Case("Normalization", {"mean": [1.0, 2.0, 3.0], "variance": [4.0, 1.0, 9.0]}, (3,)),
    Case("Normalization", {"axis": None, "mean": 1.0, "variance": 4.0, "invert": True}, (4, 3)),
    Case("PReLU", {"shared_axes": [1], "alpha_initializer": "ones"}, (4, 3), (1,)),
    Case("Permute", {"dims": (2, 1)}, (4, 3), (1,)),
    Case("RMSNormalization", {}, (4, 3), (1,)),
    Case("RMSNormalization", {"axis": [1, 2], "epsilon": 0.1}, (4, 3)),
    Case(
        "RNN",
        {
            "cell": [Inner("LSTMCell", {"units": 2}), Inner("GRUCell", {"units": 3})],
            "return_sequences": True,
            "zero_output_for_mask": True,
        },
        (4, 2),
        (1,),
    ),
    Case("ReLU", {"max_value": 1.0, "negative_slope": 0.1, "threshold": 0.2}, (4,)),
    Case("RepeatVector", {"n": 3}, (4,)),
    Case("Rescaling", {"scale": 0.5, "offset": [1.0, 2.0, 3.0]}, (4, 3), (1,)),
    Case("Rescaling", {"scale": 1 / 255}, (4, 3), (1,), top=256),
    Case("Reshape", {"target_shape": (6, 2)}, (4, 3)),
    Case("Reshape", {"target_shape": (-1, 6)}, (4, 3)),
    Case(
        "ReversibleEmbedding",
        {"input_dim": 7, "output_dim": 3, "logit_soft_cap": 2.0},
        (4, 3),
        (1,),
        options={"reverse": True},
    ),
    Case(
        "ReversibleEmbedding",
        {"input_dim": 7, "output_dim": 3, "tie_weights": False},
        (4, 3),
        options={"reverse": True},
    ),
    Case("SeparableConv1D", {"filters": 3, "kernel_size": 2, "depth_multiplier": 2}, (5, 2), (1,)),
    Case(
        "SeparableConv2D",
        {"filters": 3, "kernel_size": 3, "strides": 2, "padding": "same"},
        (5, 4, 2),
        (1, 2),
    ),
    Case(
        "SeparableConv2D",
        {"filters": 3, "kernel_size": 2, "data_format": "channels_first", "use_bias": False},
        (2, 5, 4),
        (2, 3),
    ),
    Case("SimpleRNN", {"units": 3, "activation": "relu"}, (4, 2), (1,)),
    Case("Softmax", {}, (4,)),
    Case("Softmax", {"axis": [1, 2]}, (4, 3)),
    Case("SpatialDropout1D", {"rate": 0.5, "seed": 1}, (4, 3), (1,)),
    Case(
        "SpatialDropout2D",
        {"rate": 0.5, "data_format": "channels_first", "seed": 1},
        (4, 3, 2),
        (2, 3),
    ),
    Case("SpatialDropout3D", {"rate": 0.5, "seed": 1}, (2, 3, 2, 4), (1, 2)),
    Case("Subtract", {}, PAIR, (1,)),
    Case("UnitNormalization", {}, (4, 3), (1,)),
    Case("UnitNormalization", {"axis": [1, 2]}, (4, 3)),
    Case("TimeDistributed", {"layer": Inner("Dense", {"units": 2})}, (4, 3), (1,)),
    Case("UpSampling1D", {}, (4, 3), (1,)),
    Case("UpSampling2D", {"size": (2, 3)}, (4, 3, 2), (1, 2)),
    Case("UpSampling2D", {"interpolation": "bilinear"}, (4, 3, 2), (1, 2)),
    Case("UpSampling2D", {"data_format": "channels_first"}, (2, 4, 3), (2, 3)),
    Case("UpSampling3D", {}, (2, 3, 2, 2), (1, 2, 3)),
    Case("ZeroPadding1D", {"padding": (1, 2)}, (4, 3), (1,)),
    Case("ZeroPadding2D", {"padding": (1, 2)}, (4, 3, 2), (1, 2)),
    Case("ZeroPadding2D", {"padding": 1, "data_format": "channels_first"}, (2, 4, 3), (2, 3)),
    Case("ZeroPadding3D", {}, (2, 3, 2, 2), (1, 2, 3)),
    Case("AugMix", {"value_range": (-3, 3), "all_ops": False, "seed": 1}, (5, 6, 3)),
    Case("AutoContrast", {"value_range": (-2, 2)}, (5, 6, 2), (1, 2)),
    Case("CenterCrop", {"height": 3, "width": 4}, (5, 6, 2), (1, 2)),
    Case("CenterCrop", {"height": 3, "width": 9, "data_format": "channels_first"}, (2, 5, 6)),
    Case(
        "ContrastLimitedAdaptiveHistogramEqualization",
        {"value_range": (-3, 3), "tile_grid_size": (2, 3)},
        (5, 6, 2),
    ),
    Case("CutMix", {"seed": 1}, (5, 6, 2), (1, 2)),
    Case("Equalization", {"value_range": (-3, 3), "bins": 50}, (5, 6, 2), (1, 2)),
    Case("MaxNumBoundingBoxes", {"max_number": 3}, (5, 6, 2), (1, 2)),
    Case(
        "MelSpectrogram",
        {
            "fft_length": 8,
            "sequence_stride": 3,
            "sampling_rate": 100,
            "num_mel_bins": 3,
            "power_to_db": False,
        },
        (30,),
        (1,),
    ),
    Case("MixUp", {"alpha": 0.5, "seed": 1}, (5, 6, 2), (1, 2)),
    Case("RandAugment", {"value_range": (-3, 3), "num_ops": 3, "seed": 1}, (5, 6, 3)),
    Case(
        "RandomBrightness",
        {"factor": 0.3, "value_range": (-2, 2), "seed": 1},
        (5, 6, 2),
        (1, 2),
    ),
    Case(
        "RandomColorDegeneration", {"factor": (0.1, 0.5), "value_range": (-2, 2)}, (5, 6, 3), (1, 2)
    ),
    Case(
        "RandomColorJitter",
        {
            "value_range": (-3, 3),
            "brightness_factor": 0.1,
            "contrast_factor": (0.2, 0.4),
            "saturation_factor": (0.3, 0.6),
            "hue_factor": 0.3,
            "seed": 1,
        },
        (5, 6, 3),
        (1, 2),
    ),
    Case("RandomContrast", {"factor": (0.2, 0.3), "value_range": (-2, 2)}, (5, 6, 2), (1, 2)),
    Case("RandomCrop", {"height": 3, "width": 4, "seed": 1}, (5, 6, 2), (1, 2)),
    Case("RandomElasticTransform", {"factor": (1.0, 1.0), "seed": 1}, (8, 9, 2)),
    Case("RandomErasing", {"factor": (1.0, 1.0), "value_range": (0, 1), "seed": 1}, (5, 6, 2)),
    Case("RandomFlip", {"seed": 1}, (5, 6, 2), (1, 2)),
    Case(
        "RandomFlip",
        {"mode": "vertical", "data_format": "channels_first"},
        (2, 5, 6),
    ),
    Case("RandomGaussianBlur", {"factor": (1.0, 1.0), "kernel_size": (3, 1), "seed": 1}, (5, 6, 2)),
    Case("RandomGrayscale", {"factor": 0.7, "data_format": "channels_first"}, (3, 5, 6)),
    Case("RandomHue", {"factor": (0.2, 0.2), "value_range": (-3, 3)}, (5, 6, 3), (1, 2)),
    Case("RandomInvert", {"value_range": (-2, 2), "seed": 1}, (5, 6, 2), (1, 2)),
    Case("RandomPerspective", {"factor": (1.0, 1.0), "seed": 1}, (5, 6, 2), (1, 2)),
    Case("RandomPosterization", {"factor": (4, 6), "value_range": (-3, 3)}, (5, 6, 2), (1, 2)),
    Case("RandomRotation", {"factor": (0.1, 0.1)}, (5, 6, 2), (1, 2)),
    Case(
        "RandomRotation",
        {"factor": 0.3, "fill_mode": "constant", "interpolation": "nearest", "seed": 1},
        (5, 6, 2),
    ),
    Case("RandomSaturation", {"factor": (0.3, 0.3), "value_range": (-3, 3)}, (5, 6, 3), (1, 2)),
    Case("RandomSharpness", {"factor": 0.4, "value_range": (-3, 3), "seed": 1}, (5, 6, 2), (1, 2)),
    Case(
        "RandomShear",
        {"x_factor": (0.2, 0.2), "y_factor": (0.1, 0.1)},
        (5, 6, 2),
        (1, 2),
    ),
    Case(
        "RandomTranslation",
        {"height_factor": (0.1, 0.1), "width_factor": (-0.2, -0.2), "fill_mode": "wrap"},
        (5, 6, 2),
        (1, 2),
    ),
    Case(
        "RandomTranslation",
        {"height_factor": 0.3, "width_factor": 0.0, "data_format": "channels_first", "seed": 1},
        (2, 5, 6),
    ),
    Case(
        "RandomZoom",
        {"height_factor": (0.2, 0.2), "fill_mode": "nearest"},
        (5, 6, 2),
        (1, 2),
    ),
    Case(
        "RandomZoom",
        {"height_factor": 0.2, "width_factor": 0.3, "seed": 1},
        (5, 6, 2),
    ),
    Case("Resizing", {"height": 4, "width": 9}, (5, 6, 2), (1, 2)),
    Case(
        "Resizing",
        {"height": 4, "width": 9, "pad_to_aspect_ratio": True, "interpolation": "bicubic"},
        (5, 6, 2),
        (1, 2),
    ),
    Case("STFTSpectrogram", {"frame_length": 6}, (30, 2), (1,)),
    Case(
        "STFTSpectrogram",
        {
            "mode": "psd",
            "frame_length": 6,
            "frame_step": 2,
            "scaling": "spectrum",
            "expand_dims": True,
            "padding": "same",
        },
        (29, 2),
    ),
    Case(
        "STFTSpectrogram",
        {
            "mode": "stft",
            "frame_length": 5,
            "window": "hamming",
            "periodic": True,
            "scaling": None,
            "data_format": "channels_first",
        },
        (2, 30),
        (2,),
    ),
    Case("STFTSpectrogram", {"mode": "imag", "frame_length": 6, "fft_length": 9}, (30, 2)),
    Case("STFTSpectrogram", {"mode": "magnitude", "frame_length": 4, "window": None}, (30, 2)),
    Case("CategoryEncoding", {"num_tokens": 6}, (3,), (1,), 7),
    Case("CategoryEncoding", {"num_tokens": 6, "output_mode": "count"}, (3,), (1,), 7),
    Case("CategoryEncoding", {"num_tokens": 6, "output_mode": "one_hot"}, (3,), (1,), 6),
    Case("CategoryEncoding", {"num_tokens": 6, "output_mode": "one_hot"}, (1,), (), 6),
    Case("Discretization", {"bin_boundaries": [-1.0, 0.0, 2.0]}, (3, 2), (1, 2), 4),
    Case(
        "Discretization",
        {"bin_boundaries": [-1.0, 0.5], "output_mode": "multi_hot"},
        (3,),
        (1,),
    ),
    Case("Discretization", {"bin_boundaries": [0.1], "output_mode": "one_hot"}, (1,)),
    Case("Discretization", {"bin_boundaries": [-0.5, 0.5], "output_mode": "count"}, (4,), (1,)),
    Case("Solarization", {"threshold_factor": 0.5, "value_range": (-3, 3)}, (5, 6, 2), (1, 2)),
]


@dataclasses.dataclass(eq=False)
class HostCase(Case):
    """A layer that works on the host, and strings or integers for it: `top` of them."""

    top: int | None = 7
    words: bool = True

    @property
    def dtype(self):
        return "string" if self.words else "int64"

    def _array(self, rng, shape):
        numbers = rng.integers(0, self.top, shape)
        return (
            np.array([f"w{n}" for n in numbers.flat], object).reshape(shape)
            if self.words
            else numbers
        )


_WORDS = {"vocabulary": ["w1", "w2", "w3"]}

# Laws for these are in test_host_layers.py; tests/against/test_text.py compares with Keras.
HOST_CASES = [
    HostCase("HashedCrossing", {"num_bins": 5}, [(), ()], words=False),
    HostCase("HashedCrossing", {"num_bins": 5, "output_mode": "one_hot"}, [(1,), (1,)]),
    HostCase("Hashing", {"num_bins": 5}, (3,), (1,)),
    HostCase("Hashing", {"num_bins": 5, "salt": 7, "mask_value": 3}, (3, 2), (1, 2), words=False),
    HostCase("Hashing", {"num_bins": 5, "output_mode": "count", "salt": [1, 2]}, (4,), (1,)),
    HostCase("IntegerLookup", {"vocabulary": [1, 2**60]}, (2, 3), (1, 2), words=False),
    HostCase("IntegerLookup", {"vocabulary": [1, 5], "invert": True}, (3,), (1,), words=False),
    HostCase(
        "IntegerLookup",
        {"vocabulary": [1, 5], "output_mode": "one_hot", "num_oov_indices": 3, "mask_token": 0},
        (1,),
        words=False,
    ),
    HostCase("StringLookup", _WORDS, (3,), (1,)),
    HostCase("StringLookup", {**_WORDS, "invert": True}, (3,), (1,), words=False),
    HostCase("StringLookup", {**_WORDS, "output_mode": "one_hot"}, (3,), (1,)),
    HostCase(
        "StringLookup",
        {**_WORDS, "output_mode": "multi_hot", "max_tokens": 9, "pad_to_max_tokens": True},
        (3,),
        (1,),
    ),
    HostCase(
        "StringLookup",
        {**_WORDS, "output_mode": "tf_idf", "idf_weights": [0.5, 1.0, 2.0]},
        (3,),
        (1,),
    ),
    HostCase("TextVectorization", _WORDS, (1,)),
    HostCase("TextVectorization", {**_WORDS, "output_sequence_length": 4, "ngrams": 2}, ()),
    HostCase("TextVectorization", {**_WORDS, "split": None}, (3,), (1,)),
    HostCase("TextVectorization", {**_WORDS, "output_mode": "count", "split": "character"}, (1,)),
]

# Classes whose output is made of steps: their gradient is 0.
STEPS = {
    "ContrastLimitedAdaptiveHistogramEqualization",
    "Discretization",
    "Equalization",
    "RandomPosterization",
}

# Classes without a row, and why.
EXCEPTIONS = {
    "FlaxLayer": "is for other people's code; tests/layers/test_foreign.py",
    "GRUCell": "takes states; tests/layers/test_recurrent.py",
    "InputLayer": "has no calculation; tests/layers/test_input.py",
    "InputSpec": "is not a layer; tests/core",
    "JaxLayer": "is for other people's code; tests/layers/test_foreign.py",
    "LSTMCell": "takes states; tests/layers/test_recurrent.py",
    "Lambda": "its function is its meaning; tests/layers/test_core.py",
    "Layer": "is the base class; tests/core",
    "Pipeline": "has no calculation of its own; tests/layers/test_wrapping.py",
    "SimpleRNNCell": "takes states; tests/layers/test_recurrent.py",
    "SpectralNormalization": "wraps a layer; tests/layers/test_wrapping.py",
    "StackedRNNCells": "takes states; tests/layers/test_recurrent.py",
    "TFSMLayer": "is for other people's code; tests/layers/test_foreign.py",
    "TorchModuleWrapper": "is for other people's code; tests/layers/test_foreign.py",
    "Wrapper": "leaves its calculation to subclasses; tests/layers/test_recurrent.py",
}


def rows(layers):
    """The rows to run: all in the long run, else without those of layers for images, which compile
    slowly and have tests of their own (test_augment.py)."""
    if os.environ.get("HYPOTHESIS_PROFILE") == "long":
        return CASES
    return [case for case in CASES if not _is_for_images(getattr(layers, case.layer))]


def _is_for_images(cls):
    return any(base.__name__ == "ImageLayer" for base in cls.__mro__)
