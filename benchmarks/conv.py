"""Times our convolution and pooling gradients against plain `jax.lax`, on this machine.

    python benchmarks/conv.py

Both are timed in turns in one process, as compiled functions by themselves ("alone") and
as the body of a `lax.fori_loop` ("loop"), the form of our training loop. In a loop the
arguments change places on every turn: XLA would compute a gradient of constant
arguments once, before the loop.
"""

import functools
import time

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from hornbeam.ops import _conv

TURNS = 4

# x shape, kernel shape, strides, groups
CONVOLUTIONS = {
    "mnist first layer": ((128, 28, 28, 1), (3, 3, 1, 32), (1, 1), 1),
    "mnist second layer": ((128, 13, 13, 32), (3, 3, 32, 64), (1, 1), 1),
    "resnet block": ((16, 28, 28, 64), (3, 3, 64, 64), (1, 1), 1),
    "resnet down": ((16, 28, 28, 64), (3, 3, 64, 128), (2, 2), 1),
    "pointwise": ((16, 28, 28, 64), (1, 1, 64, 128), (1, 1), 1),
    "depthwise": ((8, 28, 28, 64), (3, 3, 1, 64), (1, 1), 64),
}
POOLS = {
    "2x2": ((128, 26, 26, 32), (2, 2), (2, 2)),
    "3x3, stride 2": ((16, 56, 56, 64), (3, 3), (2, 2)),
}


def normal(*shape):
    return jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.float32) * 0.1


def plain_conv(x, kernel, strides, padding, dilation, groups):
    return _conv._lax_conv(x, kernel, strides, padding.upper(), dilation, groups)


def plain_max_pool(x, window, strides, padding):
    return _conv._lax_max_pool(x, window, strides, padding.upper())


def plain_avg_pool(x, window, strides, padding):
    padding = padding.upper()
    count = _conv._real_elements(x.shape[1:-1], window, strides, padding)
    return _conv._lax_sum_pool(x, window, strides, padding) / count


def in_loop(function):
    def turn(_, state):
        these, others, _ = state
        return others, these, function(*these)

    def run(*args):
        first = jax.tree.map(jnp.zeros_like, jax.eval_shape(function, *args))
        others = jax.tree.map(lambda a: a + 1e-3, args)
        return lax.fori_loop(0, TURNS, turn, (args, others, first))[2]

    return run


def milliseconds(functions, args, repeats=3):
    """Best time of each function on `args`, measured in turns."""
    compiled = {name: jax.jit(f) for name, f in functions.items()}
    best = dict.fromkeys(functions, float("inf"))
    for repeat in range(repeats + 1):  # the first compiles
        for name, function in compiled.items():
            start = time.perf_counter()
            jax.block_until_ready(function(*args))
            if repeat:
                best[name] = min(best[name], 1e3 * (time.perf_counter() - start))
    return best


def compare(title, ours, plain, args):
    row = f"{title:30}"
    functions = {"plain": plain, "ours": ours}
    loops = {name: in_loop(f) for name, f in functions.items()}
    for place, fs, turns in [("alone", functions, 1), ("loop", loops, TURNS)]:
        t = {name: ms / turns for name, ms in milliseconds(fs, args).items()}
        ratio = t["plain"] / t["ours"]
        row += f"  {place} {t['plain']:8.2f} -> {t['ours']:7.2f} ms ({ratio:5.1f}x)"
    print(row, flush=True)


def gradient(function, argument):
    """The vector-jacobian product of one argument, as a function of (*args, g)."""

    def run(*args_and_g):
        *args, g = args_and_g
        one = lambda a: function(*args[:argument], a, *args[argument + 1 :])
        return jax.vjp(one, args[argument])[1](g)[0]

    return run


def compare_gradients(title, ours, plain, args, names):
    g = normal(*jax.eval_shape(plain, *args).shape)
    forward = [lambda *a, f=f: f(*a[:-1]) for f in (ours, plain)]
    compare(f"{title}: value", *forward, (*args, g))
    for n, name in enumerate(names):
        compare(f"{title}: d/d{name}", gradient(ours, n), gradient(plain, n), (*args, g))


def train_steps(conv, max_pool, in_loop):
    """SGD steps of a small network on 28x28 images; one compiled call takes `TURNS` steps."""

    def logits(p, x):
        for kernel in p["kernels"]:
            x = jax.nn.relu(conv(x, kernel, (1, 1), "valid", (1, 1), 1))
            x = max_pool(x, (2, 2), (2, 2), "valid")
        return x.reshape(len(x), -1) @ p["dense"]

    def step(p, x, y):
        loss = lambda p: -jnp.mean(jnp.sum(jax.nn.log_softmax(logits(p, x)) * y, axis=-1))
        return jax.tree.map(lambda w, g: w - 0.01 * g, p, jax.grad(loss)(p))

    def run(p, xs, ys):
        if in_loop:
            return lax.fori_loop(0, TURNS, lambda i, p: step(p, xs[i], ys[i]), p)
        for i in range(TURNS):
            p = step(p, xs[i], ys[i])
        return p

    return run


def main():
    for title, (x, kernel, strides, groups) in CONVOLUTIONS.items():
        options = dict(strides=strides, padding="same", dilation=(1, 1), groups=groups)
        ours, plain = (functools.partial(f, **options) for f in (_conv.convolve, plain_conv))
        compare_gradients(title, ours, plain, (normal(*x), normal(*kernel)), ["x", "k"])
    for kind in ("max_pool", "avg_pool"):
        for title, (x, window, strides) in POOLS.items():
            pools = getattr(_conv, kind), globals()[f"plain_{kind}"]
            ours, plain = (
                functools.partial(f, window=window, strides=strides, padding="same") for f in pools
            )
            x = jnp.maximum(normal(*x), 0)
            compare_gradients(f"{kind} {title}", ours, plain, (x,), ["x"])

    params = {
        "kernels": [normal(3, 3, 1, 32), normal(3, 3, 32, 64)],
        "dense": normal(5 * 5 * 64, 10),
    }
    args = params, normal(TURNS, 128, 28, 28, 1), jnp.ones((TURNS, 128, 10)) / 10
    ours, plain = (_conv.convolve, _conv.max_pool), (plain_conv, plain_max_pool)
    variants = {
        "plain, straight-line": train_steps(*plain, in_loop=False),
        "plain, in a loop": train_steps(*plain, in_loop=True),
        "ours, straight-line": train_steps(*ours, in_loop=False),
        "ours, in a loop": train_steps(*ours, in_loop=True),
    }
    print("a training step, 28x28x1, batch 128, conv 32, pool, conv 64, pool, dense 10:")
    for name, ms in milliseconds(variants, args).items():
        print(f"    {name:24} {ms / TURNS:8.1f} ms")


if __name__ == "__main__":
    main()
