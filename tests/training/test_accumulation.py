"""Gradient accumulation in `fit` equals training on the large batches, to the last row."""

import numpy as np
import pytest

import hornbeam as keras
from hornbeam import optimizers

pytestmark = pytest.mark.usefixtures("quick_compiles")

ROWS = 22  # in batches of 8 and 6 rows, or 2 and 4 times 3 and 1


def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, 4)).astype("float32")
    return x, rng.normal(size=(ROWS, 1)).astype("float32"), rng.uniform(size=ROWS)


def trained(batch_size, steps, make=optimizers.Adam, sample_weight=None, **options):
    """A model after two epochs of shuffled batches."""
    keras.utils.set_random_seed(0)
    dense = keras.layers.Dense
    model = keras.Sequential(
        [keras.Input((4,)), dense(3, "tanh", kernel_regularizer="l2"), dense(1)]
    )
    optimizer = make(
        optimizers.schedules.PolynomialDecay(0.1, 6, 0.01),
        weight_decay=0.1,
        clipnorm=0.5,
        use_ema=True,
        ema_momentum=0.5,
        ema_overwrite_frequency=4,
        gradient_accumulation_steps=steps,
    )
    model.compile(optimizer, "mse", metrics=["mae"], **options.pop("compile", {}))
    x, y, _ = data()
    fit = dict(batch_size=batch_size, epochs=2, verbose=0, sample_weight=sample_weight)
    history = model.fit(x, y, **fit, **options).history
    return model, history


def assert_same(ours, theirs):
    model, history = ours
    wanted, wanted_history = theirs
    for a, b in zip(model.get_weights(), wanted.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    for name, values in wanted_history.items():
        if not name.startswith("val_"):
            values = [values[0]]  # later ones are of weights that change within the large batch
        np.testing.assert_allclose(history[name][: len(values)], values, rtol=1e-5)


def adam_and_sgd(rate, **options):
    adam, sgd = optimizers.Adam(rate, **options), optimizers.SGD(rate, **options)
    return optimizers.MultiOptimizer(optimizers.OptimizerMap(sgd, {".*/kernel": adam}))


def loss_scaled(rate, **options):
    return optimizers.LossScaleOptimizer(optimizers.Adam(rate, **options), 64.0)


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (optimizers.Adam, {}),
        (optimizers.Adam, {"sample_weight": data()[2]}),
        (optimizers.Adam, {"compile": {"steps_per_execution": 3}}),
        (optimizers.Adam, {"compile": {"run_eagerly": True}}),
        (adam_and_sgd, {}),
        (loss_scaled, {"sample_weight": data()[2]}),
    ],
)
def test_equals_large_batches(make, options):
    """Eight rows at once, or four batches of two; six in the last batch, or three of two."""
    large = trained(8, None, make, sample_weight=options.get("sample_weight"))
    small = trained(2, 4, make, **options)
    assert_same(small, large)
    counts = [[int(p.iterations) for p in m.optimizer._parts] for m, _ in (small, large)]
    assert counts[0] == counts[1] == [6] * len(counts[0])


def test_shorter_last_batch():
    """A last batch of one row counts as one row."""
    assert_same(trained(3, 2), trained(6, None))


def test_the_rest_comes_before_validation():
    x, y, _ = data()
    assert_same(trained(2, 4, validation_data=(x, y)), trained(8, None, validation_data=(x, y)))


def test_masked_steps_weigh_nothing():
    """Batches of different numbers of words: the mean is that over all words."""
    x = np.array([[1, 2, 3], [1, 0, 0], [2, 3, 0], [3, 0, 0]])
    y = np.random.default_rng(0).normal(size=(4, 3, 1)).astype("float32")

    def weights(batch_size, steps):
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [keras.Input((3,)), keras.layers.Embedding(4, 2, mask_zero=True), keras.layers.Dense(1)]
        )
        model.compile(optimizers.SGD(0.1, gradient_accumulation_steps=steps), "mse")
        model.fit(x, y, batch_size=batch_size, epochs=3, verbose=0)
        return model.get_weights()

    for a, b in zip(weights(1, 4), weights(4, None), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_train_on_batch_goes_on_where_it_was():
    """Only `fit` knows where an epoch ends."""
    x, y, _ = data()
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(optimizers.SGD(0.1, gradient_accumulation_steps=3), "mse")
    before = model.get_weights()
    model.train_on_batch(x, y)
    model.train_on_batch(x, y)
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
    model.optimizer.apply_accumulated()
    assert np.any(model.get_weights()[0] != before[0])
    assert int(model.optimizer.iterations) == 1


def test_traces_once():
    """Also the weight of what is accumulated is known before the step is traced."""
    traces = []

    class Counting(optimizers.SGD):
        def update_step(self, gradient, variable, learning_rate):
            traces.append(variable.name)
            super().update_step(gradient, variable, learning_rate)

    x, y, _ = data()
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(Counting(0.1, gradient_accumulation_steps=2), "mse")
    model.fit(x, y, batch_size=ROWS // 2, verbose=0)
    assert traces == ["kernel"]


def test_compiles_once(compiles):
    """One program for whole batches, one for the shorter one, one for the rest of a round."""
    x, y, _ = data()
    model, _ = trained(3, 4)
    assert len(model._programs) == 2
    with compiles() as n:
        model.fit(x, y, batch_size=3, epochs=2, verbose=0)
    assert n.total == 0, n.names
