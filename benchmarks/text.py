"""Times `TextVectorization` against Keras's on TensorFlow, on this machine.

    TENSORFLOW_PYTHON=tf/bin/python python benchmarks/text.py

`TENSORFLOW_PYTHON` is an interpreter with tensorflow and keras; without it hornbeam runs alone.
100,000 made-up reviews of 27 words in the mean (Zipf's law, capitals, punctuation, accents) are
lowered, stripped of punctuation, split on whitespace, and become rows of 200 numbers by a
vocabulary of 20,000 words. Both take turns, each in a process of its own; what is shown is the
best of five turns: reviews per second in one call, and per second of a processor (which says more
on a machine with other work), microseconds per call with few reviews, and the seconds that `adapt`
takes. hornbeam runs as it comes and without pyarrow.
"""

import json
import os
import subprocess
import sys
import time

import numpy as np

REVIEWS, TURNS = 100_000, 5
CALLS = {"1000": (1000, 20), "32": (32, 200), "1": (1, 500)}
CONTESTANTS = ("hornbeam", "hornbeam without pyarrow", "TensorFlow")


def reviews():
    rng = np.random.default_rng(0)
    letters = np.array([*"eeeetttaaoonniisshrdlucmfwypvbgk", "é"])
    words = ["".join(rng.choice(letters, n)) for n in rng.integers(2, 10, 60_000)]
    words = [word.capitalize() if i % 7 == 0 else word for i, word in enumerate(words)]
    marks = np.array(["", "", "", "", "", ",", ".", "!", "'s", "…"])
    numbers = np.minimum(rng.zipf(1.3, 27 * REVIEWS), len(words)) - 1
    endings = rng.choice(marks, len(numbers))
    tokens = [words[i] + mark for i, mark in zip(numbers.tolist(), endings.tolist())]
    ends = np.sort(rng.choice(len(tokens), REVIEWS - 1, replace=False)).tolist()
    pairs = zip([0, *ends], [*ends, len(tokens)])
    return [" ".join(tokens[start:end]) for start, end in pairs]


def contest(contestant):
    """Measure once for each line on standard input."""
    texts = reviews()
    if contestant == "TensorFlow":
        os.environ["KERAS_BACKEND"] = "tensorflow"
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        import keras
        import tensorflow as tf

        array, finish = tf.constant, lambda y: y
    else:
        import jax

        import hornbeam as keras

        if contestant != "hornbeam":
            sys.modules["pyarrow"] = None
        array, finish = lambda x: np.array(x, object), jax.block_until_ready
    array = array(texts)
    for _ in sys.stdin:
        layer = keras.layers.TextVectorization(20_000, output_sequence_length=200)
        start = time.perf_counter()
        layer.adapt(array)
        result = {"adapt": time.perf_counter() - start}
        finish(layer(array[:1]))
        for _ in range(3):
            start, busy = time.perf_counter(), time.process_time()
            finish(layer(array))
            result["all"] = min(time.perf_counter() - start, result.get("all", 99))
            result["busy"] = min(time.process_time() - busy, result.get("busy", 99))
        for name, (rows, calls) in CALLS.items():
            batch = array[:rows]
            start = time.perf_counter()
            for _ in range(calls):
                finish(layer(batch))
            result[name] = (time.perf_counter() - start) / calls
        result["sum"] = int(np.sum(np.asarray(layer(array[:1000])), dtype=np.int64))
        print(json.dumps(result), flush=True)


def main():
    tensorflow = os.environ.get("TENSORFLOW_PYTHON")
    processes = {
        name: subprocess.Popen(
            [tensorflow if name == "TensorFlow" else sys.executable, __file__, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for name in CONTESTANTS
        if name != "TensorFlow" or tensorflow
    }
    turns = {name: [] for name in processes}
    for _ in range(TURNS):
        for name, process in processes.items():
            print("", file=process.stdin, flush=True)
            turns[name].append(json.loads(process.stdout.readline()))
    for process in processes.values():
        process.communicate()
    assert len({turn["sum"] for all in turns.values() for turn in all}) == 1, "numbers differ"
    titles = ("per s", "per CPU s", "1000: µs", "32: µs", "1: µs", "adapt: s")
    print(f"{'':26}" + "".join(f"{title:>10}" for title in titles))
    for name, all in turns.items():
        best = {key: min(turn[key] for turn in all) for key in all[0]}
        shown = [
            REVIEWS / best["all"],
            REVIEWS / best["busy"],
            *(best[k] * 1e6 for k in ("1000", "32", "1")),
        ]
        print(f"{name:26}" + "".join(f"{x:10.0f}" for x in shown) + f"{best['adapt']:10.2f}")


if __name__ == "__main__":
    contest(sys.argv[1]) if len(sys.argv) > 1 else main()
