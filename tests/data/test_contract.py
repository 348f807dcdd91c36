"""Every kind of data, and the laws that hold for all: the same rows, order, weights, passes,
length, seek, state, shards, training, and an error when there is nothing."""

import dataclasses
import functools
import gc
import json
import pathlib
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hornbeam as keras
from helpers import BatchesByNumber
from hornbeam import layers
from hornbeam.data import Dataset, source_of

N, SIZE, CLASSES = 22, 8, 3  # three batches, the last of 6 rows
X = np.random.default_rng(0).normal(size=(N, 3)).astype("float32")
Y = (np.arange(N) % CLASSES).astype("int32")
W = np.linspace(0.5, 2, N).astype("float32")


def parts(n, size=SIZE):
    for start in range(0, n, size):
        rows = slice(start, min(start + size, n))
        yield X[rows], Y[rows], W[rows]


class Loader:
    """Can be iterated any number of times, and knows how long it is, as data loaders do."""

    def __init__(self, n):
        self.n = n

    def __len__(self):
        return -(-self.n // SIZE)

    def __iter__(self):
        return parts(self.n)


def pandas_named(n):
    import pandas

    frame = pandas.DataFrame(X[:n], columns=["a", "b", "c"]).assign(label=Y[:n], weight=W[:n])
    return frame, "label", "weight"


def pandas_parts(n):
    import pandas

    frame = pandas.DataFrame({"a": X[:n, 0], "b": X[:n, 1], "c": X[:n, 2].astype("float64")})
    return frame.set_index(-frame.index), pandas.Series(Y[:n], dtype="Int64"), pandas.Series(W[:n])


def polars_named(n):
    import polars

    return polars.DataFrame(columns(n)), "label", "weight"


def polars_parts(n):
    import polars

    return polars.DataFrame(X[:n]), polars.Series(Y[:n]), polars.Series(W[:n])


def columns(n):
    return {**{k: X[:n, i] for i, k in enumerate("abc")}, "label": Y[:n], "weight": W[:n]}


def arrow_table(n):
    import pyarrow

    return pyarrow.table(columns(n)), "label", "weight"


def arrow_batch(n):
    import pyarrow

    x = pyarrow.record_batch({"x": pyarrow.array(X[:n].tolist(), pyarrow.list_(pyarrow.float32()))})
    return x, pyarrow.array(Y[:n]), pyarrow.chunked_array([W[: n // 2], W[n // 2 : n]])


def sparse(kind):
    def make(n):
        import scipy.sparse

        return getattr(scipy.sparse, kind)(X[:n]), Y[:n], W[:n]

    return make


def hf_dataset(n):
    import datasets

    return datasets.Dataset.from_dict({"x": X[:n], "y": Y[:n], "w": W[:n]}), "y", "w"


def hf_stream(n):
    return (hf_dataset(n)[0].to_iterable_dataset(), "y", "w")


def torch_tensors(n):
    import torch

    return tuple(torch.tensor(a[:n]) for a in (X, Y, W))


def torch_rows(n):
    """A data set that gives one row at a time."""
    import torch

    class Rows(torch.utils.data.Dataset):
        def __len__(self):
            return n

        def __getitem__(self, i):
            return X[i], Y[i], torch.tensor(W[i])

    return (Rows(),)


def torch_tensor_rows(n):
    import torch

    whole = torch.utils.data.TensorDataset(*(torch.tensor(a) for a in (X, Y, W)))
    return (torch.utils.data.Subset(whole, range(n)),)


def torch_loader(n):
    import torch

    return (torch.utils.data.DataLoader(torch_tensor_rows(n)[0], SIZE),)


def torch_stream_loader(n):
    import torch

    class Stream(torch.utils.data.IterableDataset):
        def __iter__(self):
            return iter(zip(X[:n], Y[:n], W[:n]))

    return (torch.utils.data.DataLoader(Stream(), SIZE),)


def grain_map(n):
    import grain

    return (grain.MapDataset.source([*zip(X[:n], Y[:n], W[:n])]).batch(SIZE),)


def grain_iter(n):
    return (grain_map(n)[0].to_iter_dataset(),)


def grain_loader(n):
    import grain

    return (
        grain.DataLoader(
            data_source=[*zip(X[:n], Y[:n], W[:n])],
            sampler=grain.samplers.IndexSampler(n, shuffle=False, num_epochs=1),
            operations=[grain.transforms.Batch(SIZE)],
        ),
    )


def tf_dataset(n):
    import tensorflow as tf

    return (tf.data.Dataset.from_tensor_slices((X[:n], Y[:n], W[:n])).batch(SIZE),)


def numbered(**kwargs):
    return lambda n: (BatchesByNumber([*parts(n)], **kwargs),)


def dataset(n):
    """Rows by number, in batches."""
    fetch = lambda numbers: tuple(a[numbers] for a in (X, Y, W))
    return Dataset.of_rows(n, fetch, SIZE)


def changed_dataset(n):
    ds = dataset(n).map(lambda x, y, w: (-x, y, w)).cache().unbatch().batch(SIZE)
    return (ds.map(lambda x, y, w: (-x, y, w)).prefetch(2),)


FOLDER = tempfile.TemporaryDirectory(prefix="hornbeam-")  # removed when the process ends


@functools.cache
def text_files(n):
    folder = pathlib.Path(FOLDER.name, str(n))
    folder.mkdir()
    for i in range(n):
        folder.joinpath(f"{i:02}.txt").write_text(" ".join(map(str, [*X[i].tolist(), Y[i], W[i]])))
    return folder


def numbers_in(texts):
    table = np.array([text.split() for text in texts])
    return table[:, :3].astype("f4"), table[:, 3].astype("i4"), table[:, 4].astype("f4")


def read_dataset(n):
    ds = keras.utils.text_dataset_from_directory(
        text_files(n), labels=None, batch_size=SIZE, shuffle=False, verbose=False
    )
    return (ds.map(numbers_in, num_parallel_calls=3),)


@dataclasses.dataclass
class Row:
    """A kind of data: its maker, a function from a number of rows to arguments of `source_of`."""

    make: Callable[[int], Any]
    needs: str | None = None  # a package
    batches: int | None = 3  # in a pass, as far as it tells
    seeks: bool = True
    once: bool = False
    keeps_place: bool = False  # it can go where it was, though it can't seek
    rows: bool = False  # they are shuffled singly
    nothing: str = "There is no data"  # part of the error, if there are no rows


SOURCES = {
    "numpy": Row(lambda n: (X[:n], Y[:n], W[:n]), rows=True),
    "float64 and int64": Row(
        lambda n: (X[:n].astype(float), Y[:n].astype("int64"), W[:n].astype(float)), rows=True
    ),
    "jax": Row(lambda n: (jnp.array(X[:n]), jnp.array(Y[:n]), jnp.array(W[:n])), rows=True),
    "lists": Row(lambda n: (X[:n].tolist(), Y[:n].tolist(), W[:n].tolist()), rows=True),
    "dict": Row(lambda n: ({k: X[:n, i] for i, k in enumerate("abc")}, Y[:n], W[:n]), rows=True),
    "nested": Row(lambda n: ({"a": (X[:n, :1], {"b": X[:n, 1:]})}, Y[:n], W[:n]), rows=True),
    "pandas": Row(pandas_parts, "pandas", rows=True),
    "pandas, named": Row(pandas_named, "pandas", rows=True),
    "polars": Row(polars_parts, "polars", rows=True),
    "polars, named": Row(polars_named, "polars", rows=True),
    "pyarrow": Row(arrow_table, "pyarrow", rows=True),
    "pyarrow, a column of lists": Row(arrow_batch, "pyarrow", rows=True),
    "scipy csr": Row(sparse("csr_matrix"), "scipy", rows=True),
    "scipy coo": Row(sparse("coo_array"), "scipy", rows=True),
    "datasets": Row(hf_dataset, "datasets", rows=True),
    "datasets, streamed": Row(
        hf_stream, "datasets", batches=None, seeks=False, nothing="dataset of size 0"
    ),
    "torch tensors": Row(torch_tensors, "torch", rows=True),
    "torch Dataset": Row(torch_rows, "torch", rows=True),
    "torch TensorDataset": Row(torch_tensor_rows, "torch", rows=True),
    "torch DataLoader": Row(torch_loader, "torch", seeks=False),
    "torch DataLoader, streamed": Row(torch_stream_loader, "torch", batches=None, seeks=False),
    "grain MapDataset": Row(grain_map, "grain"),
    "grain IterDataset": Row(grain_iter, "grain", batches=None, seeks=False, keeps_place=True),
    "grain DataLoader": Row(
        grain_loader,
        "grain",
        batches=None,
        seeks=False,
        keeps_place=True,
        nothing="Got 0 records",
    ),
    "tf.data": Row(tf_dataset, "tensorflow", seeks=False),
    "generator": Row(lambda n: (parts(n),), batches=None, seeks=False, once=True),
    "iterator": Row(lambda n: (iter([*parts(n)]),), batches=None, seeks=False, once=True),
    "loader": Row(lambda n: (Loader(n),), seeks=False),
    "Dataset": Row(lambda n: (dataset(n),)),
    "Dataset, changed": Row(changed_dataset),
    "Dataset of files": Row(read_dataset, nothing="There are no text files in"),
    "PyDataset": Row(numbered()),
    "PyDataset with threads": Row(numbered(workers=3, max_queue_size=1)),
    "PyDataset with processes": Row(numbered(workers=1, use_multiprocessing=True)),
}


# Starting processes takes a second; what they do is in the other laws.
QUICK = pytest.mark.parametrize("row", list(SOURCES)[:-1], indirect=True)


@pytest.fixture(params=SOURCES)
def row(request):
    row = SOURCES[request.param]
    if row.needs:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # their own, at import
            pytest.importorskip(row.needs)
    yield row
    assert not [t for t in threading.enumerate() if t.name.startswith("hornbeam")]


@pytest.fixture
def make(row):
    made = []

    def make(n=N, **options):
        source = source_of(*row.make(n), batch_size=SIZE, **options)
        made.append(source)
        return source

    yield make
    for source in made:
        source.close()


def flat(part):
    """A part of a batch as one array of two axes; what it is called doesn't matter here."""
    return np.concatenate([np.asarray(a).reshape(len(a), -1) for a in jax.tree.leaves(part)], 1)


def rest(source):
    """What is left of the pass: a list of batches, each `[rows, 3 of x, y, weight]`."""
    found = []
    while True:
        batches, number = source.take(2, stacked=2)
        if not number:
            return found
        for i in range(number):
            batch = jax.tree.map(lambda a, i=i: a[i], batches)
            found.append(np.concatenate([flat(part) for part in batch], 1))


WHOLE = [np.concatenate([flat(a) for a in batch], 1) for batch in parts(N)]


def assert_same(found, wanted):
    assert [len(batch) for batch in found] == [len(batch) for batch in wanted]
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(a, b)


def test_rows_order_weights_and_passes(row, make):
    source = make()
    assert source.num_batches == row.batches
    assert (source.epoch, source.batch, source.exhausted) == (0, 0, False)
    leaves = jax.tree.leaves(source.batch_specs())
    assert {str(a.dtype) for a in leaves} == {"float32", "int32"}
    assert source.batch_bytes > 0
    assert_same(rest(source), WHOLE)
    if row.once:
        assert source.exhausted and rest(source) == []
        return
    assert (source.epoch, source.batch, source.exhausted) == (1, 0, False)
    assert_same(rest(source), WHOLE)
    source.take(1)
    source.rewind()
    assert (source.epoch, source.batch) == (3, 0)
    assert_same(rest(source), WHOLE)


def test_seek(row, make):
    source = make()
    assert source.can_seek == row.seeks
    if not row.seeks:
        with pytest.raises(ValueError, match=r"x can't seek to batch 1 of pass 0.*replay=True"):
            source.seek(0, 1)
    for place in ((0, 1), (0, 2)):
        source.seek(*place, replay=True)
        assert (source.epoch, source.batch) == place
    assert_same(rest(source), WHOLE[2:])
    if row.once:
        with pytest.raises(ValueError, match=r"x can't go back to batch 1: a .* yields each batch"):
            source.seek(0, 1, replay=True)
        with pytest.raises(ValueError, match="x has one pass only"):
            source.seek(1, 0, replay=True)
        return
    source.seek(3, 1, replay=True)
    assert_same(rest(source), WHOLE[1:])
    assert source.epoch == 4
    source.take(1)
    for place in ((4, 0), (2, 1)):  # back
        source.seek(*place, replay=True)
        assert_same(rest(source), WHOLE[place[1] :])
    with pytest.raises(ValueError, match=r"x .* batches.*there is no (batch )?7"):
        source.seek(3, 7, replay=True)
    with pytest.raises(ValueError, match="seek's batch should be an int of at least 0"):
        source.seek(0, -1)


@QUICK
def test_state(row, make):
    source = make()
    source.batch_specs()  # as `fit` does
    _, number = source.take(2, stacked=2)
    states = [source.state(unused) for unused in range(number, -1, -1)]
    assert [state["batch"] for state in states] == [*range(number + 1)]
    for i, state in enumerate(states):
        again = make()
        if not isinstance(state.get("iterator"), bytes):
            state = json.loads(json.dumps(state))
        replay = not (row.seeks or row.keeps_place)
        if replay and i:
            with pytest.raises(ValueError, match=r"x can't seek"):
                make().restore(state)
        again.restore(state, replay)
        assert again.state()["batch"] == i
        assert_same(rest(again), WHOLE[i:])
    rest(source)
    if not row.once:
        again = make()
        again.restore(source.state(), replay=True)
        assert again.epoch == 1
        assert_same(rest(again), WHOLE)


@QUICK
def test_shards_make_up_the_whole(make):
    shards = []
    for index in range(3):
        source = make()
        source.shard(index, 3)
        shards.append(rest(source))
    for k, whole in enumerate(WHOLE):
        for index in range(3):
            np.testing.assert_array_equal(shards[index][k], whole[index::3])
    with pytest.raises(ValueError, match="A shard's index is from 0 to 2; received 3"):
        make().shard(3, 3)


def test_nothing(row, make):
    with pytest.raises(ValueError, match=row.nothing):
        make(0).batch_specs()


@QUICK
def test_functions_of_batches(make):
    source = make()
    source.map(lambda batch: (batch[0], batch[1], batch[2] * 2))
    source.map(lambda batch: (batch[0], batch[1], batch[2] + 1))
    for found, whole in zip(rest(source), WHOLE, strict=True):
        np.testing.assert_allclose(found[:, 4], whole[:, 4] * 2 + 1, rtol=1e-6)


@QUICK
def test_shuffled_passes(row, make):
    source = make(shuffle=True)
    passes = [rest(source) if not row.once else WHOLE for _ in range(2)]
    for found in passes:
        by_first = lambda a: a[np.argsort(a[:, 0])]
        found = np.concatenate(found)
        np.testing.assert_array_equal(by_first(found), by_first(np.concatenate(WHOLE)))
    data = row.make(N)[0]
    shuffles = row.rows or (
        isinstance(data, keras.utils.PyDataset) and not isinstance(data, Dataset)
    )
    if not shuffles:
        assert_same(passes[1], WHOLE)
        return
    orders = {tuple(np.concatenate(found)[:, 0].tolist()) for found in (*passes, WHOLE)}
    assert len(orders) == 3 if row.rows else len(orders) > 1
    # A state holds what the order of its pass is drawn from.
    source.take(1)
    middle = json.loads(json.dumps(source.state()))
    wanted = [rest(source), rest(source)]
    np.random.seed(5)
    again = make(shuffle=True)
    again.restore(middle)
    for found in wanted:
        assert_same(rest(again), found)
    with pytest.raises(ValueError, match="x is shuffled and in pass 4; the order of pass 0 is"):
        again.seek(0, 0)
    with pytest.raises(ValueError, match="x is shuffled; the state is of a source that wasn't"):
        again.restore(make().state())
    # Seeking draws the orders of the passes between.
    found = []
    for skip in (False, True):
        np.random.seed(3)
        source = make(shuffle=True)
        if skip:
            source.seek(1, 1)
        else:
            rest(source)
            source.take(1)
        found.append(rest(source))
    assert_same(*found)


@pytest.fixture(scope="module")
def model():
    """Takes any structure of the inputs."""

    class Classifier(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(CLASSES)

        def call(self, x):
            leaves = jax.tree.leaves(x)
            return self.dense(jnp.concatenate([a.reshape(len(a), -1) for a in leaves], 1))

    keras.utils.set_random_seed(0)
    model = Classifier()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, weighted_metrics=["accuracy"])
    model(X)
    model.start = model.get_weights()
    options = {"sample_weight": W, "batch_size": SIZE, "shuffle": False, "verbose": 0}
    model.wanted = model.fit(X, Y, **options).history, model.get_weights()
    return model


def test_training(row, model):
    """As from NumPy, to the bit; and nothing that it started is left."""
    model.set_weights(model.start)
    x, y, sample_weight = (*row.make(N), None, None)[:3]
    options = {"batch_size": SIZE, "shuffle": False, "verbose": 0, "sample_weight": sample_weight}
    before = set(threading.enumerate())
    history = model.fit(x, y, validation_data=(X, Y, W), **options).history
    wanted, weights = model.wanted
    for name in wanted:
        assert history[name] == pytest.approx(wanted[name], rel=1e-6), name
    for a, b in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(a, b)
    deadline = time.monotonic() + 5
    while set(threading.enumerate()) - before and time.monotonic() < deadline:
        gc.collect()  # grain's threads end with its iterators
        time.sleep(0.01)
    assert set(threading.enumerate()) <= before
    if row.rows:
        history = model.fit(x, y, validation_split=0.25, **options).history
        assert len(history["val_loss"]) == 1
