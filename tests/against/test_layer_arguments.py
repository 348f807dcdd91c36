"""Layers with arguments drawn at random, against Keras with the same weights and inputs.

Outputs, gradients of inputs and weights, and symbolic shapes are compared; where Keras refuses the
arguments, so do we.
"""

import inspect
import os

import jax
import jax.numpy as jnp
import keras as real
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hornbeam import layers
from hornbeam.core.naming import reset_names

sizes = lambda low, high: st.integers(low, high)
data_formats = st.sampled_from(["channels_last", "channels_first"])
paddings = st.sampled_from(["valid", "same"])


def per_axis(rank, low, high):
    """One number for all axes, or one for each."""
    each = st.tuples(*[sizes(low, high)] * rank)
    return st.one_of(sizes(low, high), each)


def images(draw, rank, channels, data_format, low=4, high=7):
    """A shape with its batch."""
    space = [draw(sizes(low, high)) for _ in range(rank)]
    inside = [*space, channels] if data_format == "channels_last" else [channels, *space]
    return (draw(sizes(1, 2)), *inside)


@st.composite
def convolutions(draw):
    rank = draw(sizes(1, 2))
    kind = draw(st.sampled_from(["Conv", "Transpose", "Depthwise", "Separable"]))
    groups = draw(st.sampled_from([1, 1, 2])) if kind == "Conv" else 1
    options = {
        "kernel_size": draw(per_axis(rank, 1, 3)),
        "strides": draw(st.one_of(sizes(1, 3), st.tuples(*[sizes(2, 2)] * rank))),
        "padding": draw(paddings),
        # Keras has no kernel for channels first on a CPU, in some of these.
        "data_format": draw(data_formats) if kind == "Conv" else "channels_last",
        "dilation_rate": draw(st.sampled_from([1, 1, 2])),
        "use_bias": draw(st.booleans()),
        "activation": draw(st.sampled_from([None, "relu", "tanh"])),
    }
    if kind in ("Depthwise", "Separable"):
        options["depth_multiplier"] = draw(sizes(1, 2))
        options["strides"] = draw(sizes(1, 2))
    if kind != "Depthwise":
        options["filters"] = groups * draw(sizes(1, 2))
    if kind == "Conv":
        options["groups"] = groups
    names = {
        "Conv": f"Conv{rank}D",
        "Transpose": f"Conv{rank}DTranspose",
        "Depthwise": f"DepthwiseConv{rank}D",
        "Separable": f"SeparableConv{rank}D",
    }
    channels = groups * draw(sizes(1, 2))
    return names[kind], options, images(draw, rank, channels, options["data_format"])


@st.composite
def poolings(draw):
    rank = draw(sizes(1, 3))
    options = {"data_format": draw(data_formats)}
    kind = draw(st.sampled_from(["Max", "Average"]))
    name = f"Global{kind}Pooling{rank}D"
    if draw(st.booleans()):
        options["keepdims"] = draw(st.booleans())
    else:
        name = f"{kind}Pooling{rank}D"
        options["pool_size"] = draw(sizes(1, 3) if rank == 1 else per_axis(rank, 1, 3))
        options["strides"] = draw(st.one_of(st.none(), sizes(1, 3)))
        options["padding"] = draw(paddings)
    return name, options, images(draw, rank, draw(sizes(1, 3)), options["data_format"])


@st.composite
def normalizations(draw):
    shape = tuple(draw(st.lists(sizes(1, 4), min_size=2, max_size=4)))
    axes = sizes(1, len(shape) - 1)
    name = draw(
        st.sampled_from(
            ["BatchNormalization", "LayerNormalization", "GroupNormalization", "UnitNormalization"]
        )
    )
    options = {"axis": draw(st.one_of(axes, st.just(-1)))}
    if name == "UnitNormalization":
        return name, options, shape
    options["epsilon"] = draw(st.sampled_from([1e-3, 0.1]))
    options["center"], options["scale"] = draw(st.booleans()), draw(st.booleans())
    if name == "GroupNormalization":
        n = shape[options["axis"]]
        options["groups"] = draw(st.sampled_from([d for d in range(1, n + 1) if n % d == 0]))
    if name == "BatchNormalization":
        options["momentum"] = draw(st.sampled_from([0.5, 0.99]))
    return name, options, shape


@st.composite
def recurrences(draw):
    name = draw(st.sampled_from(["SimpleRNN", "GRU", "LSTM"]))
    options = {
        "units": draw(sizes(1, 3)),
        "activation": draw(st.sampled_from(["tanh", "relu"])),
        "use_bias": draw(st.booleans()),
        "return_sequences": draw(st.booleans()),
        "return_state": draw(st.booleans()),
        "go_backwards": draw(st.booleans()),
        "unroll": draw(st.booleans()),
    }
    if name != "SimpleRNN":
        options["recurrent_activation"] = draw(st.sampled_from(["sigmoid", "tanh"]))
    if name == "GRU":
        options["reset_after"] = draw(st.booleans())
    return name, options, tuple(draw(sizes(1, 4)) for _ in range(3))


@st.composite
def products(draw):
    if draw(st.booleans()):
        rank = draw(sizes(2, 4))
        options = {"units": draw(sizes(1, 4)), "use_bias": draw(st.booleans())}
        return "Dense", options, tuple(draw(sizes(1, 4)) for _ in range(rank))
    equation, output, bias, rank = draw(
        st.sampled_from(
            [
                ("ab,bc->ac", 3, "c", 2),
                ("abc,cd->abd", (None, 3), "d", 3),
                ("abc,bcd->ad", 3, "d", 3),
                ("abc,cde->abde", (None, 2, 3), "de", 3),
                ("abc,cde->abde", (None, 2, 3), "e", 3),
                ("...x,xy->...y", 3, "y", 3),
                ("ab...,bc->ac...", 3, None, 3),
                ("abc,bd->adc", (3, None), None, 3),
            ]
        )
    )
    options = {"equation": equation, "output_shape": output, "bias_axes": bias}
    return "EinsumDense", options, tuple(draw(sizes(1, 4)) for _ in range(rank))


@st.composite
def shapes(draw):
    rank = draw(sizes(1, 3))
    kind = draw(st.sampled_from(["ZeroPadding", "Cropping", "UpSampling"]))
    options = {}
    if kind == "UpSampling":
        options["size"] = draw(sizes(1, 3) if rank == 1 else per_axis(rank, 1, 3))
    else:
        pair = st.tuples(sizes(0, 2), sizes(0, 2))
        amount = pair if rank == 1 else st.tuples(*[pair] * rank)
        argument = "padding" if kind == "ZeroPadding" else "cropping"
        options[argument] = draw(st.one_of(sizes(0, 2), amount))
    if rank > 1 or kind == "ZeroPadding":
        options["data_format"] = draw(data_formats)
    channels = draw(sizes(1, 2))
    return (
        f"{kind}{rank}D",
        options,
        images(draw, rank, channels, options.get("data_format", "channels_last"), 5),
    )


# Every example is a program of its own: fewer than elsewhere.
EXAMPLES = 200 if os.environ.get("HYPOTHESIS_PROFILE") == "long" else 4

STRATEGIES = {
    "convolutions": convolutions,
    "normalizations": normalizations,
    "poolings": poolings,
    "products": products,
    "recurrences": recurrences,
    "shapes": shapes,
}


def built(package, name, options, shape):
    layer = getattr(package, name)(**options)
    layer.build(shape)
    return layer


def function(layer, training):
    """A layer as a function of weights and inputs."""
    others = [jnp.asarray(v.numpy()) for v in layer.non_trainable_variables]
    takes = "training" in inspect.signature(layer.call).parameters
    kwargs = {"training": training} if takes else {}

    def run(weights, x):
        return layer.stateless_call(weights, others, x, **kwargs)[0]

    return run


def compare(drawn, training, seed):
    name, options, shape = drawn
    reset_names()
    real.utils.clear_session(free_memory=False)
    try:
        theirs = built(real.layers, name, options, shape)
        symbolic = theirs.compute_output_shape((None, *shape[1:]))
    except ValueError as refusal:
        with pytest.raises(ValueError):
            ours = built(layers, name, options, shape)
            ours.compute_output_shape(shape)
            pytest.fail(f"Keras says: {refusal}")
        return
    ours = built(layers, name, options, shape)
    rng = np.random.default_rng(seed)
    weights = [rng.uniform(0.5, 1.5, w.shape).astype("float32") for w in theirs.weights]
    ours.set_weights(weights)
    theirs.set_weights(weights)
    assert [w.path for w in ours.weights] == [w.path for w in theirs.weights]
    x = jnp.asarray(rng.normal(size=shape), "float32")
    found = []
    for layer in (ours, theirs):
        run = function(layer, training)
        values = [jnp.asarray(v.numpy()) for v in layer.trainable_variables]
        outputs = run(values, x)
        total = lambda values, x, run=run: sum(
            jnp.sum(jnp.sin(y)) for y in jax.tree.leaves(run(values, x))
        )
        found.append((outputs, jax.grad(total, argnums=(0, 1))(values, x)))
    for a, b in zip(jax.tree.leaves(found[0]), jax.tree.leaves(found[1]), strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
    inferred = ours.compute_output_shape((None, *shape[1:]))
    flat = lambda shapes: jax.tree.leaves(shapes, is_leaf=lambda n: n is None)
    # Keras sometimes knows less.
    for a, b in zip(flat(inferred), flat(symbolic), strict=True):
        assert a == b or b is None


@pytest.mark.parametrize("kind", STRATEGIES)
def test_any_arguments(kind):
    @settings(max_examples=EXAMPLES)
    @given(STRATEGIES[kind](), st.booleans(), sizes(0, 100))
    def check(drawn, training, seed):
        compare(drawn, training, seed)

    check()
