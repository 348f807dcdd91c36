"""Times training from a loader against training from memory.

    python benchmarks/input.py            a minute
    python benchmarks/input.py --quick    shorter, for a first look

The loader waits for 80% of the time of a step, as one does that reads from a disk or a network,
and then yields a batch. Training from memory takes turns with: the loader alone, without training
(0.8, if the machine wakes it in time); training from it; the same with a callback that asks for the
loss of every batch; and from a `PyDataset` with two threads. Printed are the best of the rounds, in
terms of training from memory: 1.8 is one after the other, and 1.0 means that the waiting is hidden.
The steps keep one core busy; on a machine whose cores all have other work, nothing can be hidden.
"""

import argparse
import time

import jax
import jax.numpy as jnp
import numpy as np

import hornbeam as keras


class Loader:
    """Yields one batch over and over, and waits before each."""

    def __init__(self, batch, number, seconds):
        self.batch, self.number, self.seconds = batch, number, seconds

    def __len__(self):
        return self.number

    def __iter__(self):
        for _ in range(self.number):
            time.sleep(self.seconds)
            yield self.batch


class DataSet(keras.utils.PyDataset):
    """The same by number."""

    def __init__(self, loader):
        super().__init__(workers=2)
        self.loader = loader

    def __len__(self):
        return self.loader.number

    def __getitem__(self, index):
        time.sleep(self.loader.seconds)
        return self.loader.batch


class Watch(keras.callbacks.Callback):
    """Asks for the logs of every batch."""

    def on_train_batch_end(self, batch, logs=None):
        self.loss = logs["loss"]


class Slow(keras.layers.Layer):
    """Returns its inputs, after some work on one core."""

    def __init__(self, rounds):
        super().__init__()
        self.rounds = rounds

    def call(self, x):
        late = jax.lax.fori_loop(0, self.rounds, lambda _, x: jnp.sin(x), jax.lax.stop_gradient(x))
        return x + 1e-9 * late


def network(work):
    model = keras.Sequential([keras.Input((16,)), Slow(work), keras.layers.Dense(10)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def seconds_of(model, data, y=None, **options):
    started = time.perf_counter()
    model.fit(data, y, shuffle=False, verbose=0, **options)
    return time.perf_counter() - started


def seconds_alone(loader):
    started = time.perf_counter()
    for _ in loader:
        pass
    return time.perf_counter() - started


def race(work, steps, rounds, rows=32):
    """The least seconds that training takes, by what it reads."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(rows, 16)).astype("float32"), rng.integers(0, 10, rows)
    model, memory, targets = network(work), np.tile(x, (steps, 1)), np.tile(y, steps)
    loader = Loader((x, y), steps, 0)
    readers = {
        "memory": lambda: seconds_of(model, memory, targets, batch_size=rows),
        "alone": lambda: seconds_alone(loader),
        "training": lambda: seconds_of(model, loader),
        "callback": lambda: seconds_of(model, loader, callbacks=[Watch()]),
        "PyDataset": lambda: seconds_of(model, DataSet(loader)),
    }
    for read in readers.values():
        read()
    loader.seconds = 0.8 * min(readers["memory"]() for _ in range(3)) / steps
    times = {name: [] for name in readers}
    for turn in range(rounds):
        for name, read in list(readers.items())[:: 1 if turn % 2 else -1]:
            times[name].append(read())
    return {name: min(seconds) for name, seconds in times.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer steps and rounds")
    options = parser.parse_args()
    rounds = 3 if options.quick else 7
    print(f"{'step':>9} {'alone':>9} {'training':>9} {'callback':>9} {'PyDataset':>9}")
    for work, steps in ((1_000, 300), (5_000, 100), (50_000, 20)):
        found = race(work, steps, rounds)
        base = found.pop("memory")
        ratios = "".join(f"{seconds / base:>10.2f}" for seconds in found.values())
        print(f"{base / steps * 1e3:>6.2f} ms{ratios}")


if __name__ == "__main__":
    main()
