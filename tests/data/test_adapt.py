"""What `adapt` looks at: all data of any source, once, and nothing else."""

import importlib.util

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import hornbeam as keras
from helpers import BatchesByNumber
from hornbeam import layers

WORDS = [f"w{i % 7}" for i in range(20)]
BATCHES = [np.array(WORDS[i : i + 6], object) for i in range(0, 20, 6)]
PAIRS = [(x, np.zeros(len(x))) for x in BATCHES]
needs = lambda package: pytest.mark.skipif(
    importlib.util.find_spec(package) is None, reason=f"needs {package}"
)


class Again:
    def __iter__(self):
        return iter(PAIRS)


def grain_batches():
    import grain

    return grain.MapDataset.source(BATCHES)


def hf_column():
    import datasets

    return datasets.Dataset.from_dict({"x": WORDS})["x"]


def tf_batches():
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(WORDS).batch(6)


SOURCES = {
    "list": lambda: WORDS,
    "array": lambda: np.array(WORDS),
    "column of an array": lambda: np.array(WORDS, object)[:, None],
    "pandas": lambda: pd.Series(WORDS),
    "polars": lambda: pl.Series(WORDS),
    "pyarrow": lambda: pa.chunked_array([WORDS]),
    "arrays": lambda: BATCHES,
    "pairs": lambda: PAIRS,
    "pairs in lists": lambda: [list(pair) for pair in PAIRS],
    "generator": lambda: iter(PAIRS),
    "iterable": Again,
    "by number": lambda: BatchesByNumber(PAIRS),
    "by threads": lambda: BatchesByNumber(PAIRS, workers=2),
    "grain": grain_batches,
    "windows": lambda: keras.utils.split_dataset(np.array(WORDS), 0.5)[0].batch(6),
    "datasets": pytest.param(hf_column, marks=needs("datasets")),
    "tensorflow": pytest.param(tf_batches, marks=needs("tensorflow")),
}


@pytest.mark.parametrize("make", SOURCES.values(), ids=SOURCES)
def test_every_source(make, request):
    layer = layers.StringLookup()
    layer.adapt(make())
    words = WORDS[:10] if "windows" in request.node.name else WORDS
    learned = layer.get_vocabulary()[1:]
    assert sorted(learned) == sorted(set(words))
    counts = [words.count(w) for w in learned]
    assert counts == sorted(counts, reverse=True)


def test_steps():
    layer = layers.StringLookup()
    layer.adapt(iter(PAIRS), steps=1)
    assert layer.vocabulary_size() == 7


def test_an_error_on_the_way_changes_nothing():
    layer = layers.StringLookup()
    layer.adapt(["a", "b"])

    def broken():
        yield np.array(["c"], object)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        layer.adapt(broken())
    assert sorted(layer.get_vocabulary()) == ["[UNK]", "a", "b"]


@pytest.mark.parametrize(
    "data, message",
    [
        ([], "at least one example"),
        (iter(()), "at least one example"),
        (pd.DataFrame({"a": WORDS}), "one array for each batch"),
        (iter([3]), "of at least one axis"),
    ],
)
def test_mistakes(data, message):
    with pytest.raises(ValueError, match=message):
        layers.StringLookup().adapt(data)
