"""A model that is gone leaves nothing: no objects, no memory, no threads."""

import gc
import os
import pathlib
import threading
import weakref

import numpy as np
import pytest

import hornbeam as keras

# `MODELS=1000 pytest tests/training/test_leaks.py` looks at the memory of the process, too.
MODELS = int(os.environ.get("MODELS", "20"))

X, Y = np.zeros((32, 4), "float32"), np.zeros((32, 1), "float32")


def use_a_model():
    layers = [keras.layers.Dense(8), keras.layers.Dropout(0.1), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((4,)), *layers])
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(X, Y, validation_split=0.5, verbose=0)
    model.predict(X, verbose=0)
    return weakref.ref(model)


def megabytes():
    pages = pathlib.Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6


def test_models_come_and_go():
    def objects():
        gc.collect()
        return len(gc.get_objects())

    for _ in range(MODELS if MODELS > 100 else 2):
        gone = use_a_model()
    before, threads, memory = objects(), threading.active_count(), None
    if MODELS > 100:
        memory = megabytes()
    for _ in range(MODELS):
        gone = use_a_model()
    assert objects() - before < 5 * MODELS  # JAX keeps a weak reference or two
    assert gone() is None
    assert threading.active_count() == threads
    if memory is not None:
        assert megabytes() - memory < 10


@pytest.mark.parametrize("fails", [False, True])
def test_no_thread_is_left(fails):
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 4

        def __getitem__(self, i):
            if fails and i == 2:
                raise RuntimeError("mine")
            return X, Y

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(X, Y, verbose=0)  # JAX's own threads are there
    before = set(threading.enumerate())
    if fails:
        with pytest.raises(RuntimeError, match="mine"):
            model.fit(Batches(workers=3), shuffle=False, verbose=0)
    else:
        model.fit(Batches(workers=3), shuffle=False, verbose=0)
    assert set(threading.enumerate()) <= before
