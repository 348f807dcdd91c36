"""Times training steps of attention and of other layers against Keras on JAX, on this machine.

    python benchmarks/attention.py [--cpu] [NAME ...]

Both take the same steps of gradient descent, in turns in one process, as the body of a
`lax.fori_loop`, the form of our training loop: value, gradients of weights and inputs, update.
The best of several runs counts. `--cpu` counts seconds of all cores in the place of those on
the clock, which depend on what else the machine does. NAME picks rows whose title holds it.
"""

import inspect
import os
import sys
import time

os.environ["KERAS_BACKEND"] = "jax"

import jax
import jax.numpy as jnp
import keras
import numpy as np
from jax import lax

import hornbeam

STEPS = 4
REPEATS = 5

TEXT = (32, 128)  # batch, tokens
PADDED = np.broadcast_to(np.arange(128) < 100, (1, 128, 128))
MHA = "MultiHeadAttention"

# title: (layer, its arguments, input shape, arguments of the call)
ROWS = {
    **{
        f"attention, 4 heads, {d} features": (MHA, (4, d // 4), {}, (*TEXT, d), {})
        for d in (64, 128, 256)
    },
    "attention, causal": (MHA, (4, 16), {}, (*TEXT, 64), {"use_causal_mask": True}),
    "attention, causal, 512 tokens": (MHA, (4, 16), {}, (8, 512, 64), {"use_causal_mask": True}),
    "attention, masked": (MHA, (4, 16), {}, (*TEXT, 64), {"attention_mask": PADDED}),
    "attention, dropout": (MHA, (4, 16), {"dropout": 0.1, "seed": 1}, (*TEXT, 64), {}),
    "attention, grouped": ("GroupQueryAttention", (16, 4, 2), {}, (*TEXT, 64), {}),
    "dense, 128 -> 512": ("Dense", (512,), {}, (*TEXT, 128), {}),
    "dense, 512 -> 128": ("Dense", (128,), {}, (*TEXT, 512), {}),
    "dropout": ("Dropout", (0.1,), {"seed": 1}, (*TEXT, 256), {}),
    "group normalization": ("GroupNormalization", (8,), {}, (16, 28, 28, 64), {}),
    "RMS normalization": ("RMSNormalization", (), {}, (*TEXT, 256), {}),
    "depthwise 3x3": ("DepthwiseConv2D", (3,), {"padding": "same"}, (8, 28, 28, 64), {}),
    "separable 3x3": ("SeparableConv2D", (64, 3), {"padding": "same"}, (8, 28, 28, 64), {}),
    "transposed 3x3, stride 2": (
        "Conv2DTranspose",
        (32, 3),
        {"strides": 2, "padding": "same"},
        (16, 14, 14, 64),
        {},
    ),
    "transposed 4x4, stride 2": (
        "Conv2DTranspose",
        (32, 4),
        {"strides": 2, "padding": "same"},
        (16, 14, 14, 64),
        {},
    ),
}


def normal(*shape):
    return jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.float32) * 0.3


def make(package, name, arguments, options, call):
    """The layer, and its call as a function of weights, other variables and the input."""
    layer = getattr(package.layers, name)(*arguments, **options)
    inputs = (lambda x: (x, x)) if "Attention" in name else (lambda x: (x,))  # query and value
    if "training" in inspect.signature(layer.call).parameters:
        call = {**call, "training": True}

    def apply(weights, others, x):
        return layer.stateless_call(weights, others, *inputs(x), **call)

    return layer, inputs, apply


def descend(apply):
    """`STEPS` steps of gradient descent on the weights, and on something added to the inputs."""

    def step(state, x, slope):
        weights, others, added = state

        def loss(trained):
            y, new = apply(trained[0], others, jnp.tanh(x + trained[1]))
            return jnp.vdot(y, slope), new

        gradients, others = jax.grad(loss, has_aux=True)((weights, added))
        weights, added = jax.tree.map(lambda w, g: w - 1e-4 * g, (weights, added), gradients)
        return weights, others, added

    def run(state, xs, slopes):
        return lax.fori_loop(0, STEPS, lambda i, s: step(s, xs[i], slopes[i]), state)

    return run


def compare(title, name, arguments, options, shape, call, clock):
    x = normal(*shape)
    runs = {}
    for package in (keras, hornbeam):
        layer, inputs, apply = make(package, name, arguments, options, call)
        layer(*inputs(x[:1]))
        variables = [
            [jnp.asarray(v.value) for v in group]
            for group in (layer.trainable_variables, layer.non_trainable_variables)
        ]
        if runs:
            variables[0] = runs["keras"][1][0][0]
        state = (*variables, jnp.zeros(shape[1:]))
        y = jax.eval_shape(apply, *variables, x)[0]
        data = jnp.stack([x] * STEPS), normal(STEPS, *y.shape)
        runs[package.__name__] = (
            jax.jit(descend(apply)).lower(state, *data).compile(),
            (state, *data),
        )
    results = [run(*args)[0] for run, args in runs.values()]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-2, atol=1e-2), *results)
    best = dict.fromkeys(runs, float("inf"))
    for _ in range(REPEATS):
        for package, (run, args) in runs.items():
            start = clock()
            jax.block_until_ready(run(*args))
            best[package] = min(best[package], 1e3 * (clock() - start) / STEPS)
    ratio = best["keras"] / best["hornbeam"]
    print(
        f"{title:34} {best['keras']:8.2f} -> {best['hornbeam']:8.2f} ms ({ratio:5.1f}x)", flush=True
    )


def main():
    names = [a for a in sys.argv[1:] if a != "--cpu"]
    clock = time.process_time if "--cpu" in sys.argv else time.perf_counter
    for title, row in ROWS.items():
        if not names or any(name in title for name in names):
            compare(title, *row, clock=clock)


if __name__ == "__main__":
    main()
