"""Times the update of 200 variables in hornbeam, in Keras on JAX, and in optax.

    python benchmarks/optimizers.py           everything, a minute or two on an idle machine
    python benchmarks/optimizers.py --quick   fewer rounds
    python benchmarks/optimizers.py --json    the numbers as JSON

Contestants take turns in one process, an update each, over and over, in an order that reverses
every round; every update waits for its results. "Eager" is `optimizer.apply(gradients, variables)`
from Python. "Compiled" is the pure update under `jax.jit`, from and to lists of arrays. The table
shows the median of the rounds and the best one; ratios are of medians.
"""

import argparse
import importlib
import json
import os
import statistics
import time

os.environ.setdefault("KERAS_BACKEND", "jax")

import jax
import jax.numpy as jnp
import numpy as np
import optax

# Kernels and biases, a hundred of each: their title and width.
CASES = {"small": ("32x32 and 32", 32), "large": ("512x512 and 512", 512)}
OPTIONS = {"learning_rate": 1e-3, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}


def eager(library):
    """Adam from Python."""

    def make(weights, gradients):
        variables, optimizer = built(library, weights)

        def update():
            optimizer.apply(gradients, variables)
            return [v.value for v in variables]

        return update

    return make


def compiled(library):
    """Adam as a pure function."""

    def make(weights, gradients):
        variables, optimizer = built(library, weights)
        step = jax.jit(optimizer.stateless_apply)
        values = [[v.value for v in variables], [v.value for v in optimizer.variables]]

        def update():
            values[:] = step(values[1], gradients, values[0])
            return values[0]

        return update

    return make


def built(library, weights):
    keras = importlib.import_module(library)
    variables = [keras.Variable(w) for w in weights]
    optimizer = keras.optimizers.Adam(**OPTIONS)
    optimizer.build(variables)
    return variables, optimizer


def in_optax(weights, gradients):
    """Optax's Adam, jitted as its users do."""
    rate, b1, b2, eps = OPTIONS.values()
    transformation = optax.adam(rate, b1, b2, eps)
    params = [jnp.asarray(w) for w in weights]
    values = [params, transformation.init(params)]

    @jax.jit
    def step(params, state):
        updates, state = transformation.update(gradients, state, params)
        return optax.apply_updates(params, updates), state

    def update():
        values[:] = step(*values)
        return values[0]

    return update


CONTESTANTS = {
    "Keras, eager": eager("keras"),
    "hornbeam, eager": eager("hornbeam"),
    "Keras, compiled": compiled("keras"),
    "hornbeam, compiled": compiled("hornbeam"),
    "optax, compiled": in_optax,
}


def race(width, rounds):
    """Let all update variables of one size in turns; returns their numbers by name."""
    rng = np.random.default_rng(0)
    shapes = [(width, width), (width,)] * 100
    weights = [rng.normal(size=shape).astype("float32") for shape in shapes]
    gradients = [jnp.asarray(rng.normal(size=shape), "float32") for shape in shapes]
    updates, results = {}, {}
    for name, make in CONTESTANTS.items():
        updates[name] = make(weights, gradients)
        start = time.perf_counter()
        jax.block_until_ready(updates[name]())
        results[name] = {"first_s": time.perf_counter() - start, "ms": []}
    names = list(CONTESTANTS)
    for turn in range(rounds):
        for name in names if turn % 2 else reversed(names):
            start = time.perf_counter()
            jax.block_until_ready(updates[name]())
            results[name]["ms"].append((time.perf_counter() - start) * 1e3)
    for result in results.values():
        result["median_ms"] = statistics.median(result["ms"])
        result["best_ms"] = min(result["ms"])
    return results


def show(title, results):
    print(f"\nAdam, 200 variables: {title}")
    print(f"{'':22}{'median, ms':>12}{'best, ms':>12}{'first, s':>12}{'of optax':>12}")
    for name, r in results.items():
        ratio = r["median_ms"] / results["optax, compiled"]["median_ms"]
        print(
            f"{name:22}{r['median_ms']:12.2f}{r['best_ms']:12.2f}{r['first_s']:12.2f}{ratio:12.2f}",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--json", action="store_true", help="print JSON rather than tables")
    options = parser.parse_args()
    found = {}
    for name, (title, width) in CASES.items():
        found[name] = race(width, 10 if options.quick else 60)
        if not options.json:
            show(title, found[name])
    if options.json:
        print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
