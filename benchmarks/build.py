"""Times building a functional model of 500 operations, in hornbeam and in Keras on JAX.

    python benchmarks/build.py             about a minute on an idle machine
    python benchmarks/build.py --rounds 9  more turns

Every turn is a fresh process, timed after its imports; the libraries take turns, in an order that
reverses every round. The time is that of the processors, which other work on the machine disturbs
less. "layers" repeats ten operations of one width, a dense layer among them, as most models do;
it includes drawing the initial weights. "alike" has functions in place of the layer, 600 in all,
so it times the graph and its shapes. In "various" every block has a width of its own, so that
shapes are new. "again" is the same model, built once more in the same process.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

LIBRARIES = ("keras", "hornbeam")
BLOCKS = 50
CASES = ("layers", "alike", "various")


def build(keras, case):
    """A model of 50 blocks: dense or elementwise, matmul, reshape, transpose, concat, slice."""
    ops = keras.ops
    inputs = x = keras.Input((64,))
    for block in range(BLOCKS):
        width = 8 + (block if case == "various" else 0)
        if case == "layers":
            y = keras.layers.Dense(8 * width, activation="relu")(x)
        else:
            y = ops.relu(ops.tile(x, (1, width))[:, : 8 * width])
        y = ops.tanh(y * 0.5 + 1)
        z = ops.reshape(y, (-1, 8, width))
        z = ops.matmul(z, ops.transpose(z, (0, 2, 1)))
        z = ops.reshape(z, (-1, 64))
        x = ops.concatenate([y[:, width:], z], axis=-1)
    return keras.Model(inputs, x)


def worker(library):
    """Print the milliseconds of the first and the second build of every case."""
    keras = __import__(library)
    keras.Model(x := keras.Input((3,)), keras.layers.Dense(2)(x + 1))  # starts the backend
    times = {}
    for case in CASES:
        for name in (case, f"{case}, again"):
            start = time.process_time()
            build(keras, case)
            times[name] = 1e3 * (time.process_time() - start)
    print(json.dumps(times))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="processes per library")
    parser.add_argument("--worker", choices=LIBRARIES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(options.worker)
        return
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_ENABLE_COMPILATION_CACHE": "0"}
    times = {library: [] for library in LIBRARIES}
    for turn in range(options.rounds):
        for library in LIBRARIES if turn % 2 else reversed(LIBRARIES):
            command = [sys.executable, __file__, "--worker", library]
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
            times[library].append(json.loads(done.stdout.splitlines()[-1]))
    print("\nMilliseconds to build a model of 500 operations, median and best")
    print(f"{'':24}{'Keras':>16}{'hornbeam':>16}{'times as fast':>16}")
    for case in times["keras"][0]:
        row, medians = f"{case:24}", []
        for library in LIBRARIES:
            found = [t[case] for t in times[library]]
            medians.append(statistics.median(found))
            row += f"{medians[-1]:9.0f}{min(found):7.0f}"
        print(f"{row}{medians[0] / medians[1]:16.2f}")


if __name__ == "__main__":
    main()
