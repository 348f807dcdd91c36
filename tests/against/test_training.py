"""Whole trainings with one seed: the same numbers as Keras, from shuffling to the last weight."""

import keras as real
import numpy as np
import pytest

import hornbeam

rng = np.random.default_rng(0)
X = rng.normal(size=(90, 6)).astype("float32")
LABELS = (X[:, 0] > 0).astype("int64") + (X[:, 1] > 0.3)
TARGETS = X[:, :2] * X[:, 2:4]
IMAGES = rng.normal(size=(60, 8, 8, 2)).astype("float32")
TOKENS = rng.integers(0, 11, size=(70, 5))


def regularized(k):
    """Dropout, batch normalization, a regularizer, a constraint, a metric by name."""
    L = k.layers
    layers = [
        k.Input((6,)),
        L.Dense(16, activation="relu", kernel_regularizer="l2"),
        L.Dropout(0.3),
        L.BatchNormalization(momentum=0.8),
        L.Dense(3, kernel_constraint=k.constraints.MaxNorm(2.0)),
    ]
    model = k.Sequential(layers)
    loss = k.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    return model, (X, LABELS), {"validation_split": 0.2}


def several_outputs(k):
    L = k.layers
    x = k.Input((6,))
    y = L.Dense(8, activation="tanh")(x)
    outputs = {"a": L.Dense(2, name="a")(y), "b": L.Dense(3, "softmax", name="b")(y)}
    model = k.Model(x, outputs)
    rate = k.optimizers.schedules.ExponentialDecay(0.05, 3, 0.9)
    model.compile(
        k.optimizers.RMSprop(rate, momentum=0.5),
        {"a": "mse", "b": "sparse_categorical_crossentropy"},
        loss_weights={"a": 0.5, "b": 2.0},
        metrics={"a": ["mae"], "b": ["accuracy"]},
    )
    targets = {"a": TARGETS, "b": LABELS}
    return model, (X, targets), {"validation_data": (X[:20], {"a": TARGETS[:20], "b": LABELS[:20]})}


def convolutional(k):
    L = k.layers
    layers = [
        k.Input((8, 8, 2)),
        L.Conv2D(4, 3, padding="same", activation="relu"),
        L.MaxPooling2D(),
        L.Conv2D(4, 3, strides=2),
        L.GlobalAveragePooling2D(),
        L.Dense(1, activation="sigmoid"),
    ]
    model = k.Sequential(layers)
    rate = k.optimizers.schedules.CosineDecay(0.1, 12, warmup_target=0.2, warmup_steps=3)
    model.compile(k.optimizers.SGD(rate, momentum=0.9, nesterov=True), "binary_crossentropy")
    return model, (IMAGES, (IMAGES.mean((1, 2, 3)) > 0).astype("float32")), {}


def embedded(k):
    L = k.layers
    x = k.Input((5,), dtype="int32")
    y = L.LayerNormalization()(L.Embedding(11, 4)(x))
    y = L.Flatten()(L.Add()([y, L.Dense(4)(y)]))
    model = k.Model(x, L.Dense(1)(L.Concatenate()([y, y * y])))
    optimizer = k.optimizers.AdamW(0.01, weight_decay=0.1, clipnorm=0.5, use_ema=True)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    model.compile(optimizer, "huber", metrics=["mse"])
    return (
        model,
        (TOKENS, TOKENS.sum(1) / 10.0),
        {"shuffle": False, "steps_per_epoch": 2, "epochs": 2},
    )


def by_number(k):
    """A `PyDataset`."""

    class Data(k.utils.PyDataset):
        def __len__(self):
            return 6

        def __getitem__(self, index):
            rows = slice(index * 16, index * 16 + 16)  # the last batch has 10 rows
            return X[rows], LABELS[rows]

    model, _, _ = regularized(k)
    return model, (Data(),), {"batch_size": None, "shuffle": False}


MODELS = [regularized, several_outputs, convolutional, embedded, by_number]


@pytest.mark.parametrize("fused", [1, 4])
@pytest.mark.parametrize("make", MODELS)
def test_same_numbers(make, fused):
    histories, weights = [], []
    for k in (hornbeam, real):
        k.utils.clear_session(free_memory=False)
        k.utils.set_random_seed(7)
        model, data, options = make(k)
        if k is hornbeam:
            model.steps_per_execution = fused
        history = model.fit(*data, **{"batch_size": 16, "epochs": 3, "verbose": 0, **options})
        histories.append(history.history)
        weights.append(model.get_weights())
    ours, theirs = histories
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=2e-4, atol=2e-5, err_msg=name)
    for a, b in zip(*weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-4)


def test_the_same_loop_over_batches():
    """`train_on_batch`, `test_on_batch` and `predict_on_batch`, in turns."""
    found = []
    for k in (hornbeam, real):
        k.utils.clear_session(free_memory=False)
        k.utils.set_random_seed(7)
        model, (x, y), _ = regularized(k)
        model.reset_metrics()
        logs = [model.train_on_batch(x[i : i + 16], y[i : i + 16]) for i in range(0, 64, 16)]
        model.reset_metrics()
        logs.append(model.test_on_batch(x[:30], y[:30]))
        found.append((np.asarray(logs, "float64"), model.predict_on_batch(x[:5])))
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
