"""Tables: columns feed inputs and outputs by name, or side by side; what can't be said clearly is
an error that names the column."""

import warnings

import numpy as np
import pytest

import hornbeam as keras
from hornbeam import layers
from hornbeam.data import source_of

N = 20
RNG = np.random.default_rng(0)
COLUMNS = {
    "age": RNG.integers(20, 60, N),
    "height": RNG.normal(size=N),
    "member": RNG.random(N) > 0.5,
    "price": RNG.normal(size=N),
    "weight": np.linspace(0.5, 2, N),
}
CITIES = ["Ulm", "Bonn"] * (N // 2)


def table(kind, columns):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        package = pytest.importorskip(kind)
    if kind == "datasets":
        return package.Dataset.from_dict(columns)
    return package.table(columns) if kind == "pyarrow" else package.DataFrame(columns)


@pytest.fixture(params=["pandas", "polars", "pyarrow", "datasets"])
def make(request):
    return lambda **others: table(request.param, {**COLUMNS, **others})


def by_list():
    inputs = [keras.Input((1,), name=name) for name in ("height", "age")]
    return keras.Model(inputs, layers.Dense(1)(layers.Concatenate()(inputs)))


def by_dict():
    inputs = {name: keras.Input((1,), name=f"input_{name}") for name in ("height", "age")}
    return keras.Model(inputs, layers.Dense(1)(layers.Concatenate()(list(inputs.values()))))


def single():
    return keras.Sequential([keras.Input((3,)), layers.Dense(1)])


@pytest.mark.parametrize("model", [by_list, by_dict, single])
def test_columns_feed_inputs(make, model):
    """By name, with strings among the columns that nobody asks for; or side by side."""
    model = model()
    model.compile("sgd", "mse")
    start = model.get_weights()
    named = len(model.inputs) > 1
    wanted = ("height", "age") if named else ("age", "height", "member")
    arrays = {name: COLUMNS[name] for name in wanted}
    x = arrays if named else np.stack([*arrays.values()], 1)
    options = {"batch_size": 8, "shuffle": False, "verbose": 0}
    history = model.fit(
        x, COLUMNS["price"], sample_weight=COLUMNS["weight"], validation_split=0.25, **options
    ).history
    weights = model.get_weights()
    model.set_weights(start)
    data = make(city=CITIES) if named else make()
    found = model.fit(
        data, "price", sample_weight="weight", validation_split=0.25, **options
    ).history
    assert found == history
    for a, b in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(a, b)
    loss = model.evaluate(data, y="price", sample_weight="weight", verbose=0)
    assert loss == model.evaluate(x, COLUMNS["price"], sample_weight=COLUMNS["weight"], verbose=0)
    found = model.fit(data, "price", sample_weight="weight", validation_data=data, **options)
    assert len(found.history["val_loss"]) == 1
    if named:
        np.testing.assert_array_equal(model.predict(data, verbose=0), model.predict(x, verbose=0))


def test_columns_are_targets(make):
    x = keras.Input((3,))
    outputs = [layers.Dense(1, name="price")(x), layers.Dense(1, name="weight")(x)]
    model = keras.Model(x, outputs)
    model.compile("sgd", "mse")
    start = model.get_weights()
    targets = {name: COLUMNS[name] for name in ("price", "weight")}
    inputs = np.stack([COLUMNS[name] for name in ("age", "height", "member")], 1)
    options = {"shuffle": False, "verbose": 0}
    wanted = model.fit(inputs, targets, **options).history
    model.set_weights(start)
    assert model.fit(make(), ["weight", "price"], **options).history == wanted


def test_weights_by_name_beside_targets_of_their_own(make):
    if type(make()).__module__.startswith("datasets"):  # whose rows are never all there
        with pytest.raises(ValueError, match="x gives whole rows"):
            source_of(make(), np.arange(N), "weight")
        return
    (x, y, sample_weight), _ = source_of(make(), np.arange(N), "weight").take(1)
    assert x.shape == (1, N, 4) and y[0].tolist() == [*range(N)]
    np.testing.assert_allclose(sample_weight[0], COLUMNS["weight"], rtol=1e-6)


def test_several_targets_are_one_array(make):
    source = source_of(make(), ["price", "weight"])
    (x, y), _ = source.take(1)
    assert x.shape == (1, N, 3) and y.shape == (1, N, 2)
    np.testing.assert_allclose(y[0, :, 1], COLUMNS["weight"], rtol=1e-6)


MISTAKES = {
    "a string column": (
        lambda m, t: m.fit(t(city=CITIES), "price"),
        r"x\['city'\] holds a .* of shape \(\d+,\) and dtype .*needs numbers",
    ),
    "an input without a column": (
        lambda m, t: by_list_of("height", "agee").predict(t(), verbose=0),
        "lacks its input 'agee'; received .*Did you mean 'age'",
    ),
    "targets without a column": (
        lambda m, t: m.fit(t(), "prize"),
        "x has no column 'prize', which y names; it has age.*Did you mean 'price'",
    ),
    "weights without a column": (
        lambda m, t: m.fit(t(), "price", sample_weight="w"),
        "x has no column 'w', which sample_weight names",
    ),
    "names without a table": (
        lambda m, t: m.fit(np.ones((3, 2)), "price"),
        "x should be a table, since y names its column 'price'; received ndarray",
    ),
    "targets twice": (
        lambda m, t: m.fit(iter([({"a": np.ones(3), "b": np.ones(3)}, np.ones(3))]), "b"),
        "y names a column of x, but is in the data, too",
    ),
    "batches of arrays": (
        lambda m, t: m.fit(iter([np.ones((3, 2))]), "price"),
        "x should be a table, since y names its column 'price'; received ndarray",
    ),
}


def by_list_of(*names):
    inputs = [keras.Input((1,), name=name) for name in names]
    return keras.Model(inputs, layers.Dense(1)(layers.Concatenate()(inputs)))


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_mistakes(mistake, make):
    act, match = mistake
    model = single()
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=match):
        act(model, make)


def test_a_deep_column_among_others(make):
    data = make(picture=RNG.normal(size=(N, 4)).tolist())
    with pytest.raises(ValueError, match=r"x\['picture'\] has several axes.*'age', 'height'"):
        source_of(data, "price").batch_specs()
    source = source_of(data, inputs=["picture", "age"])
    (x,), _ = source.take(1)
    assert x["picture"].shape == (1, N, 4) and x["age"].shape == (1, N)


def test_missing_numbers_are_nan(make):
    source = source_of(make(some=[1.0, None] * (N // 2)), inputs=["some", "age"])
    (x,), _ = source.take(1)
    assert np.isnan(np.asarray(x["some"])).sum() == N // 2


def test_two_columns_of_one_name():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(np.ones((3, 2)), columns=["a", "a"])
    with pytest.raises(ValueError, match="Two columns of a table have one name"):
        source_of(frame)


class Rows:
    """Iterates over whatever it is given, any number of times."""

    def __init__(self, *batches):
        self.batches = batches

    def __iter__(self):
        return iter(self.batches)


A, B = np.ones((4, 2)), np.ones((3, 2))
BATCHES = {
    "other parts": (
        [(A, A), A],
        r"Batch 2 of x holds x; the first batch held x, y. All batches should have the same parts",
    ),
    "other names": (
        [{"a": A}, {"a": A}, {"b": A}],
        r"Batch 3 of x holds x\['b'\]; the first batch held x\['a'\]",
    ),
    "other lengths": ([(A, A), (A, B)], "same number of rows; received x: 4, y: 3"),
    "no rows": ([A, A[:0]], "There is no data: x has 0 rows"),
    "single rows": ([(A[0], 1)], r"y should be an array with one row per sample.*Single rows"),
    "strings": ([np.array(["a"])], "x holds a ndarray of shape .1,. and dtype <U1"),
    "nothing": ([], "There is no data: x yields no batch"),
}


@pytest.mark.parametrize("mistake", BATCHES.values(), ids=BATCHES)
def test_mistakes_in_batches(mistake):
    batches, match = mistake
    with pytest.raises(ValueError, match=match) as info:
        source_of(Rows(*batches)).take(4, stacked=4)
    if batches and "Batch" not in match:
        assert info.value.__notes__ == [f"In batch {len(batches)} of x."]


FOREIGN = {
    "torch": (
        lambda torch: type("Stream", (torch.utils.data.IterableDataset,), {"__iter__": iter})(),
        r"x is a Stream. It yields single rows: wrap it in a torch.utils.data.DataLoader",
    ),
    "datasets": (
        lambda datasets: datasets.DatasetDict(train=datasets.Dataset.from_dict({"x": [1]})),
        r"x is a DatasetDict. It holds several data sets: pass one of them, such as x\['train'\]",
    ),
    "polars": (
        lambda polars: polars.LazyFrame({"x": [1]}),
        r"x is a LazyFrame. It isn't computed yet: pass x.collect\(\)",
    ),
    "grain": (
        lambda grain: grain.MapDataset.source([1, 2]),
        r"x should be an array with one row per sample.*`batch`",
    ),
}


@pytest.mark.parametrize("package", FOREIGN)
def test_what_is_not_taken(package):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = pytest.importorskip(package)
    make, match = FOREIGN[package]
    with pytest.raises(ValueError, match=match):
        source_of(make(module)).batch_specs()


def test_torch_bfloat16():
    torch = pytest.importorskip("torch")
    (x,), _ = source_of(torch.tensor([[1.5], [2.5]], dtype=torch.bfloat16)).take(1)
    assert str(x.dtype) == "bfloat16" and np.asarray(x, "float32").ravel().tolist() == [1.5, 2.5]
