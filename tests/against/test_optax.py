"""Optax's transformations in `compile`, beside the same ones by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import hornbeam as keras
from hornbeam import optimizers

SHAPES = {"body": {"dense": {"kernel": (4, 3), "bias": (3,)}}, "head": {"kernel": (3, 2)}}


def is_kernel(path, _):
    return path[-1].key == "kernel"


def by_dimension(params):
    return jax.tree.map(lambda p: p.ndim > 1, params)


TRANSFORMATIONS = {
    "adamw": lambda: optax.adamw(1e-2),
    "chain": lambda: optax.chain(optax.clip_by_global_norm(1.0), optax.lion(1e-2)),
    "schedule": lambda: optax.sgd(optax.cosine_decay_schedule(0.1, 10), momentum=0.9),
    "multi_steps": lambda: optax.MultiSteps(optax.adam(1e-2), 3),
    "hyperparams": lambda: optax.inject_hyperparams(optax.lion)(learning_rate=1e-2),
    "hyperparams in a chain": lambda: optax.chain(
        optax.clip(1.0), optax.inject_hyperparams(optax.sgd)(learning_rate=1e-2, momentum=0.9)
    ),
    "injected schedule": lambda: optax.inject_hyperparams(optax.sgd)(
        learning_rate=optax.linear_schedule(0.1, 0.01, 5)
    ),
    "mask by a function": lambda: optax.adamw(1e-2, weight_decay=0.1, mask=by_dimension),
    "mask": lambda: optax.chain(
        optax.masked(optax.add_decayed_weights(0.1), {"body": True, "head": False}), optax.sgd(0.1)
    ),
    "labels by paths": lambda: optax.partition(
        {True: optax.sgd(0.1, momentum=0.9), False: optax.adam(0.1)},
        lambda params: jax.tree_util.tree_map_with_path(is_kernel, params),
    ),
    "labels of layers": lambda: optax.multi_transform(
        {"train": optax.adam(1e-2), "freeze": optax.set_to_zero()},
        {"body": {"dense": "freeze"}, "head": "train"},
    ),
    "adafactor": lambda: optax.adafactor(1e-2, min_dim_size_to_factor=2, momentum=0.9),
    "muon": lambda: optax.contrib.muon(1e-2),
    "schedule-free": lambda: optax.contrib.schedule_free_adamw(1e-2),
    "only if finite": lambda: optax.apply_if_finite(optax.adam(1e-2), 3),
    "noise": lambda: optax.noisy_sgd(1e-2, key=jax.random.key(3)),
}
WITH_RATE = {"hyperparams", "hyperparams in a chain", "injected schedule"}


def arrays(seed, dtype="float32"):
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda shape: jnp.asarray(rng.normal(size=shape), dtype),
        SHAPES,
        is_leaf=lambda x: isinstance(x, tuple),
    )


def variables_of(tree):
    """A variable for each array in a dict of dicts."""
    found = []
    for name, inside in tree.items():
        if isinstance(inside, dict):
            with keras.name_scope(name):
                found += variables_of(inside)
        else:
            found.append(keras.Variable(inside, name=name))
    return found


def close(variables, params, tolerance=1e-6):
    for a, b in zip(variables, jax.tree.leaves(params), strict=True):
        a, b = np.asarray(a, "float32"), np.asarray(b, "float32")
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


HALF = ["adamw", "multi_steps", "only if finite", "muon"]  # some compare dtypes


@pytest.mark.parametrize(
    ("name", "dtype"),
    [*((name, "float32") for name in TRANSFORMATIONS), *((name, "bfloat16") for name in HALF)],
)
def test_ten_steps(name, dtype):
    transformation = TRANSFORMATIONS[name]()
    params = arrays(0, dtype)
    variables = sorted(variables_of(params), key=lambda v: v.path)
    optimizer, state = optimizers.get(TRANSFORMATIONS[name]()), transformation.init(params)
    update = jax.jit(transformation.update)
    for step in range(10):
        grads = arrays(step + 1, dtype)
        updates, state = update(grads, state, params)
        params = optax.apply_updates(params, updates)
        optimizer.apply(jax.tree.leaves(grads), variables)
    close(variables, params)
    assert hasattr(optimizer, "learning_rate") == (name in WITH_RATE)


def network(optimizer):
    keras.utils.set_random_seed(0)
    layers = [keras.Input((4,)), keras.layers.Dense(3, name="body"), keras.layers.Dense(1)]
    layers[-1] = keras.layers.Dense(1, name="head")
    model = keras.Sequential(layers)
    model.compile(optimizer, "mse")
    return model


def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(12, 4)).astype("float32"), rng.normal(size=(12, 1)).astype("float32")


@pytest.mark.parametrize(
    "name", ["multi_steps", "labels by paths", "hyperparams in a chain", "noise"]
)
def test_saved_and_resumed(tmp_path, name):
    """Two steps, a file, three more steps: as if there had been no file."""
    x, y = data()
    model = network(TRANSFORMATIONS[name]())
    model.fit(x, y, batch_size=6, epochs=1, shuffle=False, verbose=0)
    model.save(tmp_path / "m.keras")
    fresh = optimizers.get(TRANSFORMATIONS[name]())
    custom = {"OptaxOptimizer": fresh}
    copy = keras.saving.load_model(tmp_path / "m.keras", custom_objects=custom)
    assert copy.optimizer is fresh
    close(fresh.variables, model.optimizer.variables, 0)
    for m in (model, copy):
        m.fit(x, y, batch_size=4, epochs=1, shuffle=False, verbose=0)
    close(copy.trainable_variables, model.trainable_variables, 0)
    close(fresh.variables, model.optimizer.variables, 0)


def test_training_is_that_by_hand():
    x, y = data()
    transformation = optax.adamw(1e-2)
    model = network(transformation)
    params = [jnp.asarray(v) for v in model.trainable_variables]
    state = transformation.init(params)

    @jax.jit
    def step(params, state, x, y):
        loss = lambda p: jnp.mean((((x @ p[0] + p[1]) @ p[2] + p[3]) - y) ** 2)
        updates, state = transformation.update(jax.grad(loss)(params), state, params)
        return optax.apply_updates(params, updates), state

    for _ in range(5):
        for i in range(0, 12, 4):
            params, state = step(params, state, x[i : i + 4], y[i : i + 4])
    model.fit(x, y, batch_size=4, epochs=5, shuffle=False, verbose=0)
    close(model.trainable_variables, params)


def test_options_of_every_optimizer():
    """Accumulation, clipping and averages come from outside of the transformation."""
    x, y = data()
    whole, parts = (
        network(
            optimizers.OptaxOptimizer(
                optax.adam(1e-2), clipnorm=0.5, use_ema=True, gradient_accumulation_steps=steps
            )
        )
        for steps in (None, 4)
    )
    whole.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
    parts.fit(x, y, batch_size=2, epochs=2, shuffle=False, verbose=0)
    close(whole.trainable_variables, parts.trainable_variables)


def test_learning_rate():
    x, y = data()
    model = network(optax.inject_hyperparams(optax.sgd)(learning_rate=0.5))
    rates = keras.callbacks.LearningRateScheduler(lambda epoch: [0.25, 0.0][epoch])
    history = model.fit(x, y, epochs=1, verbose=0, callbacks=[rates]).history
    assert history["learning_rate"] == [0.25]
    before = [v.numpy() for v in model.trainable_variables]
    model.fit(x, y, initial_epoch=1, epochs=2, verbose=0, callbacks=[rates])
    close(model.trainable_variables, before, 0)
    assert float(model.optimizer.learning_rate) == 0.0


@pytest.mark.parametrize(
    ("name", "error", "text"),
    [
        ("adamw", AttributeError, "rate inside its functions"),
        ("twice", AttributeError, "several learning rates"),
        ("injected schedule", TypeError, "has a schedule as its learning rate"),
    ],
)
def test_no_rate_to_set(name, error, text):
    x, y = data()
    inject = lambda: optax.inject_hyperparams(optax.sgd)(learning_rate=0.5)
    twice = lambda: optax.chain(inject(), inject())
    model = network({**TRANSFORMATIONS, "twice": twice}[name]())
    reduce = keras.callbacks.ReduceLROnPlateau(patience=0, monitor="loss", min_delta=1e9)
    with pytest.raises(error, match=text):
        model.fit(x, y, epochs=2, verbose=0, callbacks=[reduce])


@pytest.mark.parametrize("name", ["lookahead", "lbfgs"])
def test_those_that_need_more(name):
    transformation = {
        "lookahead": lambda: optax.lookahead(optax.sgd(0.1), 5, 0.5),
        "lbfgs": optax.lbfgs,
    }[name]()
    with pytest.raises((AttributeError, TypeError)) as caught:
        optimizers.get(transformation).apply([jnp.ones(2)], [keras.Variable([1.0, 1.0])])
    assert "can't be used in `compile`" in caught.value.__notes__[0]


def test_paths_that_clash():
    """Two variables of one path, and one inside the path of another, have places of their own."""
    variables = variables_of({"a": jnp.ones(1), "b": jnp.ones(1)})
    variables += variables_of({"a": {"b": jnp.ones(1)}, "b": jnp.ones(1)})
    optimizers.get(optax.sgd(1.0)).apply([jnp.full(1, i) for i in range(4)], variables)
    assert [float(v[0]) for v in variables] == [1.0, 0.0, -1.0, -2.0]
