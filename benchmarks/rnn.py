"""Times recurrent layers, forward and backward, against Keras's on JAX, on this machine.

    python benchmarks/rnn.py             everything, some minutes
    python benchmarks/rnn.py "LSTM 64"   only cases whose title holds this

Sequences of 200 steps with 64 features, in batches of 32, with and without a mask (as from
padding, a third of the steps). Both libraries' layers have the same weights and run in turns in
one process, as compiled functions: the outputs of all steps alone, and the gradient of the sum of
their squares with respect to weights and inputs. Shown are the best times of the clock on the
wall, and, after the slash, of the processor, all threads together.
"""

import os
import sys
import time

os.environ["KERAS_BACKEND"] = "jax"

import jax
import jax.numpy as jnp
import keras
import numpy as np

import hornbeam

BATCH, TIME, FEATURES = 32, 200, 64


def one(name, units):
    return lambda layers: [getattr(layers, name)(units, return_sequences=True)]


def bidirectional(units):
    return lambda layers: [
        layers.Bidirectional(layers.LSTM(units, return_sequences=True)) for _ in range(2)
    ]


CASES = {
    "LSTM 64": one("LSTM", 64),
    "LSTM 256": one("LSTM", 256),
    "GRU 64": one("GRU", 64),
    "GRU 256": one("GRU", 256),
    "SimpleRNN 64": one("SimpleRNN", 64),
    "twice bidirectional LSTM 64": bidirectional(64),
}


def functions(layers, shape, weights):
    """`{title: function of (weights, x, mask)}` for the value and the gradient."""
    for layer in layers:
        layer.build(shape)
        shape = layer.compute_output_shape(shape)
    counts = [len(layer.trainable_variables) for layer in layers]
    shapes = [v.shape for layer in layers for v in layer.trainable_variables]

    def value(weights, x, mask):
        for layer, n in zip(layers, counts):
            own, weights = weights[:n], weights[n:]
            others = [v.value for v in layer.non_trainable_variables]
            x, _ = layer.stateless_call(own, others, x, mask=mask)
        return x

    gradient = jax.grad(lambda *args: jnp.sum(value(*args) ** 2), argnums=(0, 1))
    return {"forward": jax.jit(value), "gradient": jax.jit(gradient)}, weights(shapes)


def random_weights(shapes):
    rng = np.random.default_rng(0)
    return [jnp.asarray(rng.normal(size=s) / np.sqrt(s[-1]), jnp.float32) for s in shapes]


def race(functions, args, repeats=15):
    """Best times of each function on `args`, `(wall, processor)` in ms, measured in turns."""
    best = {name: [float("inf")] * 2 for name in functions}
    for repeat in range(repeats + 1):  # the first compiles
        for name, function in functions.items():
            start = time.perf_counter(), time.process_time()
            jax.block_until_ready(function(*args))
            times = time.perf_counter() - start[0], time.process_time() - start[1]
            if repeat:
                best[name] = [min(b, 1e3 * t) for b, t in zip(best[name], times)]
    return best


def main(wanted=""):
    rng = np.random.default_rng(1)
    x = jnp.asarray(rng.normal(size=(BATCH, TIME, FEATURES)), jnp.float32)
    lengths = rng.integers(TIME // 3, TIME, BATCH)
    mask = jnp.asarray(np.arange(TIME) < lengths[:, None])
    for title, make in CASES.items():
        if wanted not in title:
            continue
        both = {}
        for name, layers in (("keras", keras.layers), ("hornbeam", hornbeam.layers)):
            both[name], weights = functions(make(layers), x.shape, random_weights)
        for kind in ("forward", "gradient"):
            row = f"{title + ', ' + kind:38}"
            for label, m in (("", None), ("masked ", mask)):
                args = weights, x, m
                t = race({name: fs[kind] for name, fs in both.items()}, args)
                (a, a_cpu), (b, b_cpu) = t["keras"], t["hornbeam"]
                times = f"{a:6.1f} /{a_cpu:6.1f} -> {b:6.1f} /{b_cpu:6.1f} ms"
                row += f"  {label}{times} ({a / b:4.2f}x)"
            print(row, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
