"""Batches from generators, data loaders and `PyDataset`s: the same training as from arrays."""

import threading
import time

import numpy as np
import pytest

import hornbeam as keras
from helpers import BatchesByNumber, count_compiles
from hornbeam import layers

RNG = np.random.default_rng(0)
X = RNG.normal(size=(39, 4)).astype("float32")
Y = X.sum(-1) > 0
W = np.linspace(0.5, 2, 39).astype("float32")


def batches(passes=1, size=8):
    for _ in range(passes):
        for start in range(0, len(X), size):
            part = slice(start, start + size)
            yield X[part], Y[part], W[part]


class Loader:
    """Can be iterated any number of times, and knows how long it is, as data loaders do."""

    def __len__(self):
        return 5

    def __iter__(self):
        for batch in batches():
            yield list(batch)  # as PyTorch's does


class Endless(keras.utils.PyDataset):
    num_batches = None

    def __getitem__(self, index):
        return X[:8] + index, Y[:8]


def dataset(**kwargs):
    return BatchesByNumber([b for b in batches()], **kwargs)


def classifier():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(8, "relu"), layers.Dropout(0.2), layers.Dense(2)]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, weighted_metrics=["accuracy"])
    return model


@pytest.fixture(scope="module")
def from_arrays():
    model = classifier()
    history = model.fit(
        X,
        Y,
        sample_weight=W,
        batch_size=8,
        shuffle=False,
        epochs=3,
        validation_data=(X, Y, W),
        verbose=0,
    )
    return model.get_weights(), history.history, model.predict(X, verbose=0)


SOURCES = {
    "generator": lambda: batches(passes=3),
    "loader": Loader,
    "dataset": dataset,
    "dataset with threads": lambda: dataset(workers=3, max_queue_size=1),
    "dataset with processes": lambda: dataset(workers=2, use_multiprocessing=True),
}


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_the_same_as_from_arrays(source, from_arrays):
    weights, history, predictions = from_arrays
    model, data = classifier(), source()
    options = {"steps_per_epoch": 5} if hasattr(data, "__next__") else {}
    found = model.fit(
        data, shuffle=False, epochs=3, validation_data=Loader(), verbose=0, **options
    ).history
    for name, values in history.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-6, err_msg=name)
    for a, b in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(a, b)
    evaluated = model.evaluate(source(), verbose=0, steps=5, return_dict=True)
    assert evaluated["loss"] == pytest.approx(history["val_loss"][-1], rel=1e-6)
    if not options:
        inputs = [x for x, _, _ in batches()]
        found = model.predict(BatchesByNumber(inputs), verbose=0)
        np.testing.assert_allclose(found, predictions, rtol=1e-6, atol=1e-6)
    assert not [t for t in threading.enumerate() if t.name.startswith("hornbeam-data")]


def test_compiles_as_often_as_arrays():
    model = classifier()
    with count_compiles() as n:
        model.fit(Loader(), epochs=2, verbose=0)
    assert n.of("_loop") == 2, n.names  # the last batch is shorter
    with count_compiles() as n:
        model.fit(dataset(), epochs=2, verbose=0)
    assert n.of("_loop") == 0, n.names


def test_batches_of_many_lengths():
    model = keras.Sequential(
        [keras.Input((None, 2)), layers.GlobalAveragePooling1D(), layers.Dense(1)]
    )
    model.compile("sgd", "mse")
    lengths = [3, 3, 5, 3, 7, 3]
    data = [(np.ones((4, n, 2)), np.full((4, 1), n)) for n in lengths]
    assert model.evaluate(BatchesByNumber(data), verbose=0) > 0
    assert model.predict(BatchesByNumber([x for x, _ in data]), verbose=0).shape == (24, 1)
    assert model.fit(BatchesByNumber(data), verbose=0).epoch == [0]


def test_a_generator_is_read_on_where_it_stopped():
    model, endless = classifier(), Endless()
    seen = []

    def watched():
        for i, batch in enumerate(endless):
            seen.append(i)
            yield batch

    model.fit(watched(), steps_per_epoch=3, epochs=2, verbose=0)
    assert seen[:6] == [*range(6)]
    assert len(model.fit(endless, steps_per_epoch=4, verbose=0).epoch) == 1


def test_shuffling_takes_the_batches_in_another_order():
    orders = []

    class Watched(BatchesByNumber):
        def on_epoch_begin(self):
            orders.append([])

        def __getitem__(self, index):
            orders[-1].append(index)
            return super().__getitem__(index)

        def on_epoch_end(self):
            assert sorted(orders[-1]) == [*range(5)]

    classifier().fit(Watched([*batches()]), epochs=4, verbose=0)
    assert len({tuple(order) for order in orders}) > 1
    assert len(orders) == 4


def test_a_generator_that_ends_too_early():
    model = classifier()
    with pytest.raises(ValueError, match="x came to its end after 5 batches, before epoch 2 of 3"):
        model.fit(batches(), epochs=3, verbose=0)
    assert model.history.epoch == [0]
    with pytest.raises(ValueError, match="x came to its end after 5 of 7 steps"):
        model.fit(batches(), steps_per_epoch=7, verbose=0)
    with pytest.raises(ValueError, match="x came to its end after 5 of 6 steps"):
        model.evaluate(batches(), steps=6, verbose=0)
    with pytest.raises(ValueError, match="validation x came to its end before the first batch"):
        model.fit(Loader(), validation_data=batches(), epochs=2, verbose=0)


MISTAKES = {
    "y beside batches": (
        lambda m: m.fit(batches(), Y),
        ValueError,
        "x yields whole batches .it is a generator., so y should be in them",
    ),
    "no batch": (lambda m: m.fit(iter(())), ValueError, "There is no data: x yields no batch"),
    "split": (
        lambda m: m.fit(Loader(), validation_split=0.2),
        ValueError,
        "validation_split is for data with rows; x yields batches .it is a Loader.",
    ),
    "four parts": (lambda m: m.fit(iter([(X, Y, W, W)])), ValueError, "received a tuple of 4"),
    "rows that differ": (
        lambda m: m.fit(iter([(X, Y[:3])])),
        ValueError,
        "same number of rows; received x: 39, y: 3",
    ),
    "class out of range": (
        lambda m: m.fit(iter([(X, Y), (X, Y + 5)])),
        ValueError,
        "5|6",
    ),
    "a data set without batches": (
        lambda m: m.fit(keras.utils.PyDataset()),
        NotImplementedError,
        "PyDataset doesn't say what its batches are",
    ),
    "workers": (
        lambda m: keras.utils.PyDataset(workers=-1),
        ValueError,
        "PyDataset's workers should be an int of at least 0",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_mistakes(mistake):
    act, error, match = mistake
    with pytest.raises(error, match=match):
        act(classifier())


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("use_multiprocessing", [False, True])
def test_an_error_in_the_data_set_is_the_users_own(workers, use_multiprocessing):
    data = [*batches()]
    data[2] = "fails"
    model = classifier()
    sources = {"workers": workers, "use_multiprocessing": use_multiprocessing}
    with pytest.raises(RuntimeError, match="mine"):
        model.fit(BatchesByNumber(data, **sources), shuffle=False, verbose=0)
    assert all(np.isfinite(w).all() for w in model.get_weights())
    model.fit(dataset(), verbose=0)  # and goes on


def test_a_dead_worker_is_an_error_at_once():
    data = [*batches()]
    data[1] = "dies"
    start = time.monotonic()
    with pytest.raises(RuntimeError, match="A worker process of the BatchesByNumber died"):
        classifier().fit(BatchesByNumber(data, workers=1, use_multiprocessing=True), verbose=0)
    assert time.monotonic() - start < 60
