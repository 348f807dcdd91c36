"""Times eager updates of metrics against the real Keras, on this machine.

    python benchmarks/metrics.py

Both are updated in turns in one process, with batches of 128 rows in NumPy arrays. What is shown
is the best of three turns, in microseconds per `update_state`.
"""

import os
import time

os.environ["KERAS_BACKEND"] = "jax"

import jax
import keras as real
import numpy as np

import hornbeam

UPDATES, TURNS = 300, 3

random = np.random.default_rng(0)
INDEX = random.integers(0, 10, 128).astype("int32")
SCORES = random.random((128, 10), dtype="float32")
BINARY = (random.random(128) > 0.5).astype("float32"), random.random(128, dtype="float32")

# name, arguments, batch
METRICS = [
    ("Accuracy", {}, (INDEX, INDEX[::-1].copy())),
    ("SparseCategoricalAccuracy", {}, (INDEX, SCORES)),
    ("AUC", {}, BINARY),
    ("Precision", {}, BINARY),
    ("F1Score", {}, (np.eye(10, dtype="float32")[INDEX], SCORES)),
    ("MeanIoU", {"num_classes": 10}, (INDEX, INDEX[::-1].copy())),
    ("MeanSquaredError", {}, (SCORES, SCORES)),
    ("Mean", {}, (BINARY[1],)),
]


def microseconds(metric, batch):
    start = time.perf_counter()
    for _ in range(UPDATES):
        metric.update_state(*batch)
    jax.block_until_ready([v.value for v in metric.variables])
    return (time.perf_counter() - start) / UPDATES * 1e6


if __name__ == "__main__":
    print(f"{'':28}hornbeam   Keras")
    for name, arguments, batch in METRICS:
        metrics = [getattr(k.metrics, name)(**arguments) for k in (hornbeam, real)]
        for metric in metrics:
            metric.update_state(*batch)  # compiles
        turns = [[microseconds(m, batch) for m in metrics] for _ in range(TURNS)]
        ours, theirs = np.min(turns, axis=0)
        print(f"{name:28}{ours:8.0f}{theirs:8.0f}", flush=True)
