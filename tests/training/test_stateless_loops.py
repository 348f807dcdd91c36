"""Keras's own loops for JAX, written with its stateless methods, give the numbers of `fit`."""

import jax
import numpy as np
import pytest

import hornbeam as keras
from hornbeam import layers

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(60, 4)).astype("float32")
Y = (X[:, 0] > 0).astype("int64") + (X[:, 1] > 0.5)
WEIGHTS = RANDOM.uniform(size=60).astype("float32")
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def classifier(optimizer="adam"):
    """A model with weights, moving averages, a random state and a regularizer."""
    keras.utils.set_random_seed(1)
    dense = layers.Dense(8, activation="relu", kernel_regularizer="l2")
    parts = [layers.Dropout(0.3), layers.BatchNormalization(), layers.Dense(3)]
    model = keras.Sequential([keras.Input((4,)), dense, *parts])
    model.compile(optimizer, LOSS, metrics=["accuracy"])
    return model


def batches(epochs=2, size=16):
    for _ in range(epochs):
        for i in range(0, len(X), size):
            yield X[i : i + size], Y[i : i + size], WEIGHTS[i : i + size]


def assert_same(model, reference):
    for a, b in zip(model.variables, reference.variables, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6, err_msg=a.path)
    assert int(model.optimizer.iterations) == int(reference.optimizer.iterations)


def fitted(optimizer="adam"):
    model = classifier(optimizer)
    history = model.fit(
        X, Y, sample_weight=WEIGHTS, batch_size=16, epochs=2, shuffle=False, verbose=0
    )
    return model, history.history


def test_stateless_call_apply_and_update_state():
    model, optimizer = classifier(), keras.optimizers.Adam()
    optimizer.build(model.trainable_variables)
    metric = keras.metrics.SparseCategoricalAccuracy()

    def loss_and_updates(trainable, others, x, y, weight):
        logits, others, added = model.stateless_call(
            trainable, others, x, training=True, return_losses=True
        )
        # A mean over weights: `LOSS` itself divides by the number of samples, as in Keras.
        total, _ = LOSS.total_and_count(y, logits, weight)
        return total / weight.sum() + sum(added), (logits, others)

    gradient = jax.value_and_grad(loss_and_updates, has_aux=True)

    @jax.jit
    def train_step(state, x, y, weight):
        trainable, others, slots, counts = state
        (loss, (logits, others)), grads = gradient(trainable, others, x, y, weight)
        trainable, slots = optimizer.stateless_apply(slots, grads, trainable)
        counts = metric.stateless_update_state(counts, y, logits)
        return loss, (trainable, others, slots, counts)

    state = [
        [v.value for v in variables]
        for variables in (
            model.trainable_variables,
            model.non_trainable_variables,
            optimizer.variables,
            metric.variables,
        )
    ]
    for i, batch in enumerate(batches()):
        if i == 4:  # a new epoch
            state = (*state[:3], metric.stateless_reset_state())
        _, state = train_step(state, *batch)
    groups = model.trainable_variables, model.non_trainable_variables, optimizer.variables
    for variables, values in zip(groups, state, strict=False):
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)

    reference, history = fitted()
    model.optimizer = optimizer
    assert_same(model, reference)
    accuracy = metric.stateless_result(state[3])
    np.testing.assert_allclose(accuracy, history["accuracy"][-1], rtol=1e-6)


@pytest.mark.parametrize("scaled", [False, True])
def test_compute_loss_and_updates(scaled):
    make = lambda: keras.optimizers.Adam()
    if scaled:
        make = lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(), 64.0)
    model = classifier(make())
    model.optimizer.build(model.trainable_variables)
    model.train_on_batch(*next(batches()))  # makes the metrics' variables …
    start = classifier(make())
    for a, b in zip(model.variables, start.variables, strict=True):
        a.assign(b)  # … and this takes the step back
    for v in model.optimizer.variables:
        if "learning_rate" not in v.path and "scale" not in v.path:
            v.assign(np.zeros(v.shape))
    gradient = jax.value_and_grad(model.compute_loss_and_updates, has_aux=True)

    @jax.jit
    def train_step(state, x, y, weight):
        trainable, others, slots, metrics = state
        (_, aux), grads = gradient(
            trainable, others, metrics, x, y, weight, training=True, optimizer_variables=slots
        )
        loss, _, others, metrics = aux
        trainable, slots = model.optimizer.stateless_apply(slots, grads, trainable)
        return loss, (trainable, others, slots, metrics)

    groups = [
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    ]
    state = [[v.value for v in variables] for variables in groups]
    losses = []
    for batch in batches():
        loss, state = train_step(state, *batch)
        losses.append(float(loss))
    for variables, values in zip(groups[:3], state, strict=False):
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
    reference, history = fitted(make())
    assert_same(model, reference)
    sums = [WEIGHTS[i : i + 16].sum() for i in range(0, 60, 16)]
    np.testing.assert_allclose(np.average(losses[4:], weights=sums), history["loss"][1], rtol=1e-5)


def test_a_scope_reads_the_rest_from_outside():
    """A `StatelessScope` sees what the step has written so far, and keeps what it writes itself."""
    a, b = keras.Variable(1.0), keras.Variable(2.0)

    @jax.jit
    def step(value):
        with keras.StatelessScope([(a, value)]):
            b.assign(a * 10)
            with keras.StatelessScope([(a, value + 1)]) as scope:
                found = a + b
                b.assign(0.0)
            return found, b.value, scope.get_current_value(b)

    assert [float(x) for x in step(3.0)] == [34.0, 30.0, 0.0]
    assert float(b) == 2.0
