"""Twenty steps beside the real Keras and optax: weights, state, names, configs."""

import jax
import jax.numpy as jnp
import keras as real
import numpy as np
import optax
import pytest

import hornbeam as keras
from hornbeam import optimizers

CASES = [
    ("SGD", {}),
    ("SGD", dict(momentum=0.9)),
    ("SGD", dict(momentum=0.9, nesterov=True)),
    ("Adam", {}),
    ("Adam", dict(amsgrad=True, beta_1=0.8, beta_2=0.95, epsilon=1e-3)),
    ("AdamW", {}),
    ("RMSprop", {}),
    ("RMSprop", dict(momentum=0.5, centered=True, rho=0.8)),
    ("Adamax", {}),
    ("Nadam", {}),
    ("Lamb", {}),
    ("Adagrad", {}),
    ("Adadelta", {}),
    ("Adafactor", {}),
    ("Adafactor", dict(relative_step=False, clip_threshold=0.5)),
    ("Ftrl", {}),
    (
        "Ftrl",
        dict(
            l1_regularization_strength=0.01,
            l2_regularization_strength=0.1,
            l2_shrinkage_regularization_strength=0.1,
            beta=0.1,
        ),
    ),
    ("Lion", {}),
]
OPTIONS = [
    dict(weight_decay=0.01),
    dict(clipnorm=0.5),
    dict(clipvalue=0.3),
    dict(global_clipnorm=0.5),
    dict(use_ema=True, ema_momentum=0.8, ema_overwrite_frequency=3),
    dict(loss_scale_factor=4.0),
    # Without schedules, averages or constraints, which Keras also moves between the updates.
    dict(gradient_accumulation_steps=2),
]
# Their optimizers have variables without a proper name.
UNNAMED = {"Nadam", "Adafactor"}
SHAPES = [(4, 3), (3,), (2, 4, 3)]


def arrays(seed):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape).astype("float32") for shape in SHAPES]


def make(module, name, options):
    return getattr(module, name)(**{"learning_rate": 0.05, **options, "name": "o"})


def trained(library, optimizer, steps=20):
    """Weights and state after some steps of the pure update, compiled."""
    with library.name_scope("dense"):
        variables = [library.Variable(x, name=f"w{i}") for i, x in enumerate(arrays(0))]
    # Keras hands the variable itself to its constraint.
    variables[0].constraint = lambda x: jnp.clip(getattr(x, "value", x), -1, 1)
    optimizer.build(variables)
    step = jax.jit(optimizer.stateless_apply)
    weights = [v.value for v in variables]
    state = [v.value for v in optimizer.variables]
    for i in range(steps):
        weights, state = step(state, [jnp.asarray(g) for g in arrays(i + 1)], weights)
    return [*weights, *state]


def assert_close(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=5e-6)


def compare(name, options):
    ours, theirs = make(optimizers, name, options), make(real.optimizers, name, options)
    assert_close(trained(keras, ours), trained(real, theirs))
    assert ours.get_config() == theirs.get_config()
    assert [str(v.dtype) for v in ours.variables] == [v.dtype for v in theirs.variables]
    paths = [v.path for v in theirs.variables]
    if name in UNNAMED:
        # Keras makes these outside of its name scope.
        paths = [p if p.startswith("o/") else v.path for p, v in zip(paths, ours.variables)]
    assert [v.path for v in ours.variables] == paths


@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_twenty_steps(name, options):
    compare(name, options)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop"])
def test_options(name, options):
    compare(name, options)


def test_loss_scale():
    ours, theirs = (
        library.LossScaleOptimizer(
            library.Adam(0.05, name="a"), initial_scale=8.0, dynamic_growth_steps=3, name="o"
        )
        for library in (optimizers, real.optimizers)
    )
    assert_close(trained(keras, ours, 7), trained(real, theirs, 7))
    assert [v.path for v in ours.variables] == [v.path for v in theirs.variables]


@pytest.mark.parametrize("kind", ["names", "list", "none"])
def test_exclusions(kind):
    results = []
    for library, module in ((keras, optimizers), (real, real.optimizers)):
        optimizer = module.AdamW(0.1, weight_decay=0.5, name="o")
        with library.name_scope("dense"):
            variables = [library.Variable([1.0], name=n) for n in ("kernel", "bias")]
        if kind == "names":
            optimizer.exclude_from_weight_decay(var_names=["^bi", "dense"])
        if kind == "list":
            optimizer.exclude_from_weight_decay(var_list=variables[:1])
        optimizer.apply([jnp.ones(1), jnp.ones(1)], variables)
        results.append([v.numpy() for v in variables])
    assert_close(*results)


SCHEDULES = [
    ("ExponentialDecay", (0.1, 7, 0.5)),
    ("ExponentialDecay", (0.1, 7, 0.5, True)),
    ("InverseTimeDecay", (0.1, 7, 0.5)),
    ("InverseTimeDecay", (0.1, 7, 0.5, True)),
    ("PolynomialDecay", (0.1, 10, 0.01, 2.0)),
    ("PolynomialDecay", (0.1, 10, 0.01, 0.5, True)),
    ("PiecewiseConstantDecay", ([3, 9], [0.1, 0.05, 0.01])),
    ("CosineDecay", (0.1, 20, 0.1)),
    ("CosineDecay", (0.0, 20, 0.1, "c", 0.3, 5)),
    ("CosineDecay", (0.1, 20, 0.1, "c", None, 5)),
    ("CosineDecayRestarts", (0.1, 5)),
    ("CosineDecayRestarts", (0.1, 5, 1.5, 0.8, 0.1)),
    ("CosineDecayRestarts", (0.1, 5, 1.0, 0.8, 0.1)),
]


@pytest.mark.parametrize(("name", "arguments"), SCHEDULES, ids=str)
def test_schedules(name, arguments):
    ours = getattr(optimizers.schedules, name)(*arguments)
    theirs = getattr(real.optimizers.schedules, name)(*arguments)
    steps = range(0, 40, 3)
    got, wanted = [float(ours(s)) for s in steps], [float(theirs(s)) for s in steps]
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-7)
    assert optimizers.schedules.serialize(ours) == real.optimizers.schedules.serialize(theirs)


TRANSFORMATIONS = {
    "adamw": lambda: optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-2)),
    "schedule": lambda: optax.sgd(optax.cosine_decay_schedule(0.1, 10), momentum=0.9),
    "multi_steps": lambda: optax.MultiSteps(optax.adam(1e-2), 3),
    "hyperparams": lambda: optax.inject_hyperparams(optax.lion)(learning_rate=1e-2),
}


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_optax(name):
    transformation = TRANSFORMATIONS[name]()
    optimizer = optimizers.get(transformation)
    variables = [keras.Variable(x, name=f"w{i}") for i, x in enumerate(arrays(0))]
    params = {v.path: v.value for v in variables}
    state = transformation.init(params)
    update = jax.jit(transformation.update)
    for step in range(6):
        grads = [jnp.asarray(g) for g in arrays(step + 1)]
        updates, state = update(dict(zip(params, grads)), state, params)
        params = optax.apply_updates(params, updates)
        optimizer.apply(grads, variables)
    assert_close([v.numpy() for v in variables], params.values())
    assert hasattr(optimizer, "learning_rate") == (name == "hyperparams")
