"""Optimizers beside the real Keras and optax: weights, state, names, configs, files."""

import contextlib

import jax
import jax.numpy as jnp
import keras as real
import numpy as np
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
    ("Muon", {}),
    ("Muon", dict(nesterov=False, rms_rate=None, adam_lr_ratio=0.5, exclude_embeddings=False)),
    ("Muon", dict(exclude_layers=["dense/w[03]"], adam_weight_decay=0.1, ns_steps=2)),
    ("ScheduleFreeAdamW", {}),
    ("ScheduleFreeAdamW", dict(warmup_steps=5, beta_1=0.8, epsilon=1e-3)),
]
OPTIONS = [
    dict(weight_decay=0.01),
    dict(clipnorm=0.5),
    dict(clipvalue=0.3),
    dict(global_clipnorm=0.5),
    dict(use_ema=True, ema_momentum=0.8, ema_overwrite_frequency=3),
    dict(loss_scale_factor=4.0),
    # Without constraints, schedules or averages, which Keras also moves between the updates.
    dict(gradient_accumulation_steps=2),
]
SCHEDULE = ("ExponentialDecay", (0.1, 3, 0.5))
EVERYTHING = dict(
    learning_rate=SCHEDULE,
    weight_decay=0.01,
    clipnorm=0.5,
    use_ema=True,
    ema_momentum=0.8,
    ema_overwrite_frequency=4,
)
# Their optimizers have variables without a proper name.
UNNAMED = {"Nadam", "Adafactor"}
SHAPES = {"embedding/w0": (5, 3), "dense/w1": (3,), "dense/w2": (2, 4, 3), "dense/w3": (3, 4)}


OVERFLOW = 99  # the number of a step in which a gradient isn't finite


def arrays(seed):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape).astype("float32") for shape in SHAPES.values()]


def variables_of(library):
    variables = []
    for path, value in zip(SHAPES, arrays(0)):
        *scopes, name = path.split("/")
        with contextlib.ExitStack() as stack:
            for scope in scopes:
                stack.enter_context(library.name_scope(scope))
            variables.append(library.Variable(value, name=name))
    return variables


def make(module, name, options):
    options = dict(options)
    if options.get("learning_rate") is SCHEDULE:
        options["learning_rate"] = getattr(module.schedules, SCHEDULE[0])(*SCHEDULE[1])
    return getattr(module, name)(**{"learning_rate": 0.05, **options, "name": "o"})


class Training:
    """An optimizer and its variables, updated by the pure update, compiled."""

    def __init__(self, library, optimizer):
        self.optimizer, self.variables = optimizer, variables_of(library)
        inner = getattr(optimizer, "inner_optimizer", optimizer)
        if not inner.gradient_accumulation_steps:
            # Keras hands the variable itself to its constraint.
            self.variables[0].constraint = lambda x: jnp.clip(getattr(x, "value", x), -1, 1)
        optimizer.build(self.variables)
        self.step = jax.jit(optimizer.stateless_apply)

    def run(self, steps):
        weights = [v.value for v in self.variables]
        state = [v.value for v in self.optimizer.variables]
        for i in steps:
            grads = [jnp.asarray(g) for g in arrays(i + 1)]
            if i == OVERFLOW:
                grads[1] = grads[1].at[0].set(jnp.inf)
            weights, state = self.step(state, grads, weights)
        for v, value in zip((*self.variables, *self.optimizer.variables), (*weights, *state)):
            v.assign(value)

    def values(self):
        return [v.numpy() for v in (*self.variables, *state_of(self.optimizer))]


def state_of(optimizer):
    """The variables that mean the same in both: a `LossScaleOptimizer`'s own first one is 0 in
    Keras, and here the number of steps that were skipped."""
    return optimizer.variables[1 if hasattr(optimizer, "dynamic_scale") else 0 :]


def assert_close(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=3e-5, atol=1e-5)


def compare(make_optimizer, later=range(3, 13)):
    """The first steps are equal, and so are the next ones from the state that Keras saved."""
    theirs = Training(real, make_optimizer(real.optimizers))
    ours = Training(keras, make_optimizer(optimizers))
    ours.run(range(3))
    theirs.run(range(3))
    assert_close(ours.values(), theirs.values())
    store = {}
    theirs.optimizer.save_own_variables(store)
    ours.optimizer.load_own_variables(store)
    for a, b in zip(ours.variables, theirs.variables, strict=True):
        a.assign(b.numpy())
    ours.run(later)
    theirs.run(later)
    assert_close(ours.values(), theirs.values())
    return ours.optimizer, theirs.optimizer


def compare_by_name(name, options):
    ours, theirs = compare(lambda module: make(module, name, options))
    assert ours.get_config() == theirs.get_config()
    assert [str(v.dtype) for v in ours.variables] == [v.dtype for v in theirs.variables]
    paths = [v.path for v in theirs.variables]
    if name in UNNAMED:
        # Keras makes these outside of its name scope.
        paths = [p if p.startswith("o/") else v.path for p, v in zip(paths, ours.variables)]
    assert [v.path for v in ours.variables] == paths


@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_steps(name, options):
    compare_by_name(name, options)


@pytest.mark.parametrize("name", sorted({name for name, _ in CASES}))
def test_steps_with_every_option(name):
    options = dict(EVERYTHING)
    if name == "ScheduleFreeAdamW":  # decays other weights than Keras, see docs/differences.md
        del options["weight_decay"]
    compare_by_name(name, options)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop"])
def test_options(name, options):
    compare_by_name(name, options)


def scaled(module, inner):
    return module.LossScaleOptimizer(inner, initial_scale=8.0, dynamic_growth_steps=3, name="l")


def map_of(module):
    return module.OptimizerMap(
        module.RMSprop(0.05, momentum=0.5, name="r", use_ema=True, ema_momentum=0.8),
        {
            "embedding/.*": module.Adam(0.1, clipnorm=0.5, name="a", weight_decay=0.1),
            "dense/w[13]": make(module, "SGD", dict(learning_rate=SCHEDULE, momentum=0.9)),
            "nobody": module.Lion(name="n"),
        },
    )


def several(module, **options):
    return module.MultiOptimizer(map_of(module), name="m", **options)


WRAPPED = {
    "scaled": lambda m: scaled(m, m.Adam(0.05, name="a")),
    # Not Nadam, which Keras lacks a part of in here.
    "scaled, every option": lambda m: scaled(m, make(m, "RMSprop", EVERYTHING)),
    "scaled, accumulated": lambda m: scaled(
        m, m.Adam(0.1, gradient_accumulation_steps=2, name="a")
    ),
    "several": several,
    "several by a function": lambda m: m.MultiOptimizer(
        lambda v: m.Adam(0.05, name=v.name) if v.ndim > 1 else m.SGD(0.1, name=v.name), name="m"
    ),
    "several, scaled by a number": lambda m: several(m, loss_scale_factor=4.0),
    "scaled, several": lambda m: scaled(m, several(m)),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_wrappers(name):
    later = range(3, 8)
    if name.startswith("scaled"):  # these leave out a step that overflows
        later = (3, 4, OVERFLOW, 5, OVERFLOW, OVERFLOW, 6, 7, 8, 9)
    ours, theirs = compare(WRAPPED[name], later)
    assert [v.path for v in ours.variables] == [v.path for v in theirs.variables]
    assert int(ours.iterations) == int(theirs.iterations)


@pytest.mark.parametrize("options", [EVERYTHING, dict(gradient_accumulation_steps=2)], ids=str)
def test_mixed_float16(options):
    """The first steps overflow, and change nothing but the scale."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(32, 4)), rng.normal(size=(32, 1))
    start = [rng.normal(size=shape) * 0.5 for shape in ((4, 3), (3,), (3, 1), (1,))]
    results, skipped = [], 0
    for library in (keras, real):
        module, layers = library.optimizers, library.layers
        model = library.Sequential(
            [
                library.Input((4,)),
                layers.Dense(3, "tanh", dtype="mixed_float16"),
                layers.Dense(1, dtype="mixed_float16"),
            ]
        )
        model.set_weights(start)
        inner = make(module, "Adam", options)
        optimizer = module.LossScaleOptimizer(inner, 2.0**22, dynamic_growth_steps=6, name="l")
        model.compile(optimizer, "mse")
        for i in (0, 8, 16, 24) * 5:  # at the end of an epoch `fit` would use what is accumulated
            model.train_on_batch(x[i : i + 8], y[i : i + 8])
        results.append((model.get_weights(), [v.numpy() for v in state_of(optimizer)]))
        skipped = int(optimizer.variables[0]) if library is keras else skipped
    (ours, our_state), (theirs, their_state) = results
    *counts, _ = zip(our_state[:4], their_state[:4])
    assert all(a == b for a, b in counts), "steps and scale"
    assert 0 < skipped == 20 - int(our_state[3])
    for a, b in zip((*ours, *our_state), (*theirs, *their_state), strict=True):
        np.testing.assert_allclose(a, b, rtol=0.02, atol=0.02)


def test_schedule_free_weights_in_fit():
    """They are the same in training, validation, prediction and files: `y` of the paper."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(16, 3)), rng.normal(size=(16, 1))
    results = []
    for library in (keras, real):
        model = library.Sequential([library.Input((3,)), library.layers.Dense(1)])
        model.set_weights([np.ones((3, 1)), np.zeros(1)])
        model.compile(library.optimizers.ScheduleFreeAdamW(0.1, warmup_steps=3), "mse")
        fit = dict(batch_size=4, epochs=2, shuffle=False, verbose=0)
        history = model.fit(x, y, validation_data=(x, y), **fit).history
        predicted = model.predict(x, verbose=0)
        results.append([*history.values(), predicted, *model.get_weights()])
    assert_close(*results)


def test_map_of_optimizers():
    """What is found under which key, and the config."""
    maps, configs = [], []
    for module in (optimizers, real.optimizers):
        maps.append(map_of(module))
        optimizer = module.MultiOptimizer(maps[-1], name="m")
        configs.append(optimizer.get_config())
        assert [o.name for o in optimizer.optimizers] == ["a", "o", "n", "r"]
        with pytest.raises(AttributeError, match=r"learning.rate"):
            _ = optimizer.learning_rate
        with pytest.raises(AttributeError, match=r"learning.rate"):
            optimizer.learning_rate = 0.1
    assert configs[0] == configs[1]
    ours, theirs = maps
    assert list(ours) == list(theirs)
    for key in ("embedding/w0", "dense/w1", "xdense/w1", "dense/w12", "dense/w[13]", ""):
        assert ours[key].name == theirs[key].name
    for map_ in maps:
        map_["dense/.*"] = type(map_.default_optimizer)()
        with pytest.raises(ValueError, match=r"Multiple|one pattern"):
            _ = map_["dense/w1"]
        with pytest.raises(ValueError, match="already"):
            map_["dense/.*"] = map_.default_optimizer
        with pytest.raises(KeyError):
            del map_["absent"]


@pytest.mark.parametrize("name", ["Adagrad", "Adam", "Ftrl", "Optimizer", "RMSprop", "SGD"])
def test_legacy(name):
    for module in (optimizers, real.optimizers):
        with pytest.raises(ImportError, match=r"keras\.optimizers\.legacy"):
            getattr(module.legacy, name)(learning_rate=0.1)


@pytest.mark.parametrize("kind", ["names", "list", "both", "none"])
def test_exclusions(kind):
    results = []
    for library, module in ((keras, optimizers), (real, real.optimizers)):
        optimizer = module.AdamW(0.1, weight_decay=0.5, name="o")
        with library.name_scope("dense"):
            variables = [library.Variable([1.0], name=n) for n in ("kernel", "bias", "gamma")]
        if kind in ("list", "both"):
            optimizer.exclude_from_weight_decay(var_list=variables[:1])
        if kind in ("names", "both"):  # the last word counts
            optimizer.exclude_from_weight_decay(var_names=["^bi", "dense"])
        optimizer.apply([jnp.ones(1)] * 3, variables)
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
    steps = np.arange(40)
    wanted = [float(theirs(step)) for step in steps]
    np.testing.assert_allclose([float(ours(s)) for s in steps], wanted, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(jax.jit(jax.vmap(ours))(steps), wanted, rtol=1e-4, atol=1e-7)
    config = real.optimizers.schedules.serialize(theirs)
    assert optimizers.schedules.serialize(ours) == config
    copied = optimizers.schedules.deserialize(config)
    assert (type(copied), copied.get_config()) == (type(ours), ours.get_config())
