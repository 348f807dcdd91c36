"""Every optimizer, every law: configs, names, state, eager = compiled, options, one compile."""

import contextlib
import copy
import inspect
import re
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hornbeam as keras
from hornbeam import optimizers
from hornbeam.optimizers import schedules

# One of each class, with options that use all of its state.
CASES = {
    "SGD": dict(momentum=0.9, nesterov=True),
    "Adam": dict(amsgrad=True),
    "AdamW": dict(weight_decay=0.01),
    "Adamax": {},
    "Nadam": {},
    "Lamb": {},
    "RMSprop": dict(momentum=0.5, centered=True),
    "Adagrad": {},
    "Adadelta": {},
    "Adafactor": {},
    "Ftrl": dict(l1_regularization_strength=0.01, l2_shrinkage_regularization_strength=0.1),
    "Lion": {},
    "Muon": {},
    "ScheduleFreeAdamW": dict(warmup_steps=2),
    "LossScaleOptimizer": dict(initial_scale=4.0, dynamic_growth_steps=3),
    "MultiOptimizer": {},
    "OptaxOptimizer": {},
}
NOT_OPTIMIZERS = {"Optimizer": "the base class, without a formula"}
WITH_CONFIG = sorted(CASES.keys() - {"OptaxOptimizer"})
# What the base class does is tested with those that differ in how they get there.
BASE = ["Adam", "LossScaleOptimizer", "MultiOptimizer", "OptaxOptimizer"]
PLAIN = sorted(CASES.keys() - {"OptaxOptimizer", "LossScaleOptimizer", "MultiOptimizer"})


class Descent:
    """An optax transformation in miniature: descent with momentum."""

    def init(self, params):
        return {"m": jax.tree.map(jnp.zeros_like, params), "count": jnp.zeros((), jnp.int32)}

    def update(self, grads, state, params):
        m = jax.tree.map(lambda m, g: 0.9 * m + g, state["m"], grads)
        return jax.tree.map(lambda m: -0.1 * m, m), {"m": m, "count": state["count"] + 1}


def make(name, **options):
    if name == "OptaxOptimizer":
        return optimizers.OptaxOptimizer(Descent(), **options)
    if name == "LossScaleOptimizer":
        inner = optimizers.Adam(0.05, **options)
        return optimizers.LossScaleOptimizer(inner, **CASES[name])
    if name == "MultiOptimizer":
        rate = 0.05
        matrices = {"w0": optimizers.Muon(rate, **options)}
        default = optimizers.RMSprop(rate, **options)
        return optimizers.MultiOptimizer(optimizers.OptimizerMap(default, matrices))
    return getattr(optimizers, name)(**{"learning_rate": 0.05, **CASES[name], **options})


def weights(dtype="float32"):
    rng = np.random.default_rng(0)
    return [
        keras.Variable(rng.normal(size=shape), dtype=dtype, name=f"w{i}")
        for i, shape in enumerate([(3, 2), (2,)])
    ]


def gradients(step):
    rng = np.random.default_rng(step + 1)
    return [jnp.asarray(rng.normal(size=shape), "float32") for shape in [(3, 2), (2,)]]


def values(variables):
    return [v.numpy() for v in variables]


def train(optimizer, variables, steps):
    for step in steps:
        optimizer.apply(gradients(step), variables)


def assert_equal(a, b, tolerance=0.0):
    for x, y in zip(a, b, strict=True):
        np.testing.assert_allclose(
            np.asarray(x, "float64"), np.asarray(y, "float64"), rtol=tolerance, atol=tolerance
        )


def test_every_optimizer_is_in_the_table():
    public = {
        name
        for name in optimizers.__all__
        if inspect.isclass(thing := getattr(optimizers, name))
        and issubclass(thing, optimizers.Optimizer)
    }
    assert public - NOT_OPTIMIZERS.keys() == CASES.keys()


@pytest.mark.parametrize("name", sorted(CASES.keys() - set(PLAIN)))
def test_lowers_a_loss(name):
    optimizer, (w,) = make(name), [keras.Variable([1.0, -2.0])]
    loss = lambda: float(jnp.sum(jnp.square(w.value)))
    before = loss()
    for _ in range(5):
        optimizer.apply([2 * w.value * getattr(optimizer, "initial_scale", 1.0)], [w])
    assert loss() < before
    assert int(optimizer.iterations) == 5


def bowl(w):
    """Quadratic, ten times as steep along one axis as along the other."""
    return (w[0] - 3) ** 2 + 10 * (w[1] + 2) ** 2


def rosenbrock(w):
    """A bent valley that falls slowly to a minimum of 0 at (1, 1)."""
    return (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2


# Learning rates for the two, at the start of a straight line to 0.
RATES = {
    "SGD": (0.01, 0.002),
    "Adam": (0.1, 0.1),
    "AdamW": (0.1, 0.1),
    "Adamax": (0.1, 0.1),
    "Nadam": (0.1, 0.1),
    "Lamb": (0.03, 0.03),
    "RMSprop": (0.1, 0.01),
    "Adagrad": (1.0, 0.5),
    "Adadelta": (30.0, 10.0),
    "Adafactor": (0.1, 0.1),
    "Ftrl": (1.0, 0.5),  # without the line: its weights are a multiple of the rate
    "Lion": (0.1, 0.01),
    "Muon": (0.1, 0.1),
    "ScheduleFreeAdamW": (0.3, 0.1),
}


@pytest.mark.parametrize("name", PLAIN)
def test_converges(name):
    def loss_after(steps, loss, start, rate):
        if name != "Ftrl":
            rate = schedules.PolynomialDecay(rate, steps, 0.0)
        options = {"weight_decay": 0.001} if name == "AdamW" else {}
        optimizer = getattr(optimizers, name)(learning_rate=rate, **options)
        w = keras.Variable(np.reshape(start, (2, 1)), dtype="float32")
        optimizer.build([w])

        @jax.jit
        def run(state):
            def body(_, state):
                grads = jax.grad(lambda w: loss(w[:, 0]))(state[0][0])
                return optimizer.stateless_apply(state[1], [grads], state[0])

            return jax.lax.fori_loop(0, steps, body, state)

        (trained,), _ = run(([w.value], [v.value for v in optimizer.variables]))
        return float(loss(trained[:, 0]))

    for_bowl, for_rosenbrock = RATES[name]
    assert loss_after(500, bowl, [0.5, 0.5], for_bowl) < 0.001 * bowl([0.5, 0.5])
    assert loss_after(3000, rosenbrock, [-1.2, 1.0], for_rosenbrock) < 0.05


@pytest.mark.parametrize("name", WITH_CONFIG)
def test_config_round_trip(name):
    optimizer = make(name, ema_momentum=0.5, use_ema=True, gradient_accumulation_steps=3)
    copied = optimizers.deserialize(optimizers.serialize(optimizer))
    assert type(copied) is type(optimizer)
    assert copied.get_config() == optimizer.get_config()


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("spelled", [str, str.lower, str.upper])
def test_by_name(name, spelled):
    cls = getattr(optimizers, name)
    assert type(optimizers.get(spelled(name))) is cls
    assert type(optimizers.get(cls)) is cls
    assert type(optimizers.get({"class_name": spelled(name), "config": {}})) is cls


@pytest.mark.parametrize("name", CASES)
def test_steps_in_all_ways(name, compiles):
    """Eager calls, of which only the first compiles, or the pure function after a save and load:
    the same."""
    optimizer, variables, store = make(name, use_ema=True), weights(), {}
    optimizer.build(variables)
    given = [gradients(i) for i in range(5)]
    for step, grads in enumerate(given):
        if step == 2:
            optimizer.save_own_variables(store)
            saved = values(variables)
        with compiles() as n:
            optimizer.apply(grads, variables)
        assert n.total == (step == 0), n.names  # one program for all variables
    assert list(store) == [str(i) for i in range(len(optimizer.variables))]

    pure, others = make(name, use_ema=True), weights()
    pure.build(others)
    pure.load_own_variables(store)
    for v, value in zip(others, saved):
        v.assign(value)
    step = jax.jit(pure.stateless_apply)
    trained, state = [v.value for v in others], [v.value for v in pure.variables]
    for grads in given[2:]:
        trained, state = step(state, grads, trained)
    assert_equal(values(variables), trained, 1e-6)
    assert_equal(values(optimizer.variables), state, 1e-6)
    assert_equal(values(others), saved)  # untouched


@pytest.mark.parametrize("name", [*BASE, "Adafactor", "Muon", "Nadam", "ScheduleFreeAdamW"])
def test_fit_compiles_one_program(name, compiles):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile(make(name), "mse")
    data = dict(x=np.ones((8, 3)), y=np.ones((8, 2)), batch_size=4, verbose=0)
    model.fit(**data)
    with compiles() as n:
        model.fit(epochs=2, **data)
    assert n.total == 0, n.names
    assert len(model._programs) == 1


@pytest.mark.parametrize("name", CASES)
def test_half_precision(name):
    """Stored in half precision, a variable takes the same path, as far as it can be written."""
    optimizer, (wide, _), types = make(name), weights(), ("bfloat16", "float16")
    narrow = [keras.Variable(wide.value, dtype=dtype, name="w0") for dtype in types]
    for i in range(4):
        g = gradients(i)[0] * 1e-3  # whose squares are 0 in float16
        optimizer.apply([g, *(g.astype(dtype) for dtype in types)], [wide, *narrow])
    assert tuple(v.dtype for v in narrow) == types
    assert_equal([wide.numpy()] * 2, values(narrow), 0.05)


@pytest.mark.parametrize("name", ["Lamb", "Adafactor"])
def test_norms_of_many_weights_fit_half_precision(name):
    w = keras.Variable(np.full((300, 300), 2.0), dtype="float16")
    make(name).apply([jnp.ones((300, 300), "float16")], [w])
    assert 0 < float(w[0, 0]) < 2


# Gradient accumulation --------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_accumulation_equals_one_large_batch(name):
    """Of three batches of different weights, then of two: the rest of an epoch."""
    options = {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 2}
    options |= {"clipnorm": 0.7}
    if name != "OptaxOptimizer":
        options |= {"weight_decay": 0.1}
    if name in PLAIN:
        options |= {"learning_rate": schedules.PiecewiseConstantDecay([0], [0.05, 0.02])}
    whole, parts = make(name, **options), make(name, gradient_accumulation_steps=3, **options)
    a, b = weights(), weights()
    for shares in ([2.0, 1.0, 5.0], [3.0, 1.0]):
        batches = [gradients(int(10 * share)) for share in shares]
        means = [
            sum(share * g for share, g in zip(shares, grads)) / sum(shares)
            for grads in zip(*batches)
        ]
        whole.apply([whole.scale_loss(g) for g in means], a)
        before = values(b)
        for share, grads in zip(shares, batches):
            assert_equal(values(b), before)
            parts.apply([parts.scale_loss(g) for g in grads], b, weight=share)
        parts.apply_accumulated()
        assert_equal(values(a), values(b), 2e-6)
    assert [int(p.iterations) for p in parts._parts] == [2] * len(parts._parts)
    parts.apply_accumulated()  # nothing is left
    assert_equal(values(a), values(b), 2e-6)


def accumulated(calls, **options):
    """A weight that starts at 0 after pairs `(gradient, weight)`, by descent of rate 1."""
    optimizer, w = (
        optimizers.SGD(1.0, gradient_accumulation_steps=3, **options),
        keras.Variable(0.0),
    )
    for gradient, weight in calls:
        optimizer.apply([jnp.float32(gradient)], [w], weight=weight)
    return optimizer, w


@pytest.mark.parametrize(
    ("calls", "mean"),
    [
        ([(1.0, None), (2.0, None), (6.0, None)], 3.0),
        ([(1.0, 1), (2.0, 2.0), (4.0, jnp.float32(5))], 25 / 8),
        ([(0.0, 0.0), (2.0, 1.0), (5.0, 2.0)], 4.0),  # a batch without weight doesn't count
        ([(0.0, 0.0), (0.0, 0.0), (0.0, 0.0)], 0.0),
        ([(1.0, None), (2.0, 5.0), (6.0, 5.0)], 3.0),  # of unknown weight: as much as the next
    ],
)
def test_weights_of_batches(calls, mean):
    optimizer, w = accumulated(calls)
    np.testing.assert_allclose(float(w), -mean, rtol=1e-6)
    assert int(optimizer.iterations) == 1


def test_accumulation_is_saved_as_in_keras():
    """Without the weights: after loading, the batches so far count like the next one."""
    optimizer, w = accumulated([(1.0, 2.0), (4.0, 1.0)])
    store = {}
    optimizer.save_own_variables(store)
    assert [float(x) for x in store.values()] == [2.0, 1.0, 4.0]  # count, rate, twice the mean
    fresh, w = accumulated([(9.0, 9.0)])
    fresh.load_own_variables(store)
    fresh.apply([5.0], [w], weight=7.0)
    np.testing.assert_allclose(float(w), -(2 + 2 + 5) / 3, rtol=1e-6)


def test_rest_updates_only_what_is_trained():
    optimizer, (a, b) = (
        optimizers.SGD(0.1, weight_decay=0.5, gradient_accumulation_steps=2),
        weights(),
    )
    optimizer.build([a, b])
    frozen = b.numpy()
    optimizer.apply([jnp.zeros((3, 2))], [a])
    optimizer.apply_accumulated([a])
    assert_equal([b.numpy()], [frozen])
    assert_equal([a.numpy()], [weights()[0].numpy() * 0.95], 1e-6)
    optimizers.SGD().apply_accumulated()  # does nothing, like any without accumulation


# Options of the base class ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["SGD", "Adam", "Lamb"])  # the base class decays
def test_weight_decay(name):
    """Decay is a step of its own before the formula, whatever the formula."""
    decayed = make(name, weight_decay=0.1)
    decayed.exclude_from_weight_decay(var_names=["w1$"])
    plain = make(name, weight_decay=0.0)
    a, b = weights(), weights()
    b[0].assign(b[0].value * (1 - 0.1 * 0.05))
    train(decayed, a, [0])
    train(plain, b, [0])
    assert_equal(values(a), values(b), 1e-6)


@pytest.mark.parametrize("name", ["SGD", "Adagrad"])  # the base class clips
@pytest.mark.parametrize("option", ["clipnorm", "clipvalue", "global_clipnorm"])
def test_clipping(name, option):
    grads = gradients(0)
    norms = [jnp.sqrt(jnp.sum(g**2)) for g in grads]
    all_norm = jnp.sqrt(sum(n**2 for n in norms))
    clipped = {
        "clipnorm": [g * jnp.minimum(1, 0.5 / n) for g, n in zip(grads, norms)],
        "global_clipnorm": [g * jnp.minimum(1, 0.5 / all_norm) for g in grads],
        "clipvalue": [jnp.clip(g, -0.5, 0.5) for g in grads],
    }[option]
    a, b = weights(), weights()
    make(name, **{option: 0.5}).apply(grads, a)
    make(name).apply(clipped, b)
    assert_equal(values(a), values(b), 2e-6)


@pytest.mark.parametrize("name", BASE)
def test_moving_average(name):
    optimizer, variables = make(name, use_ema=True, ema_momentum=0.8), weights()
    mean = None
    for i in range(3):
        train(optimizer, variables, [i])
        now = values(variables)
        mean = now if mean is None else [0.8 * m + 0.2 * x for m, x in zip(mean, now)]
    optimizer.finalize_variable_values(variables)
    assert_equal(values(variables), mean, 1e-6)


@pytest.mark.parametrize("name", BASE)
def test_constraint(name):
    optimizer, variables = make(name), weights()
    variables[0].constraint = lambda x: jnp.clip(x, 0.25, 0.5)
    train(optimizer, variables, [0])
    assert np.all((variables[0].numpy() >= 0.25) & (variables[0].numpy() <= 0.5))
    assert variables[1].numpy().max() > 0.5


@pytest.mark.parametrize("name", [*BASE, "Adafactor", "Muon", "ScheduleFreeAdamW"])
def test_overwrite_with_gradient(name):
    optimizer, variables = make(name, use_ema=True), weights()
    variables[1].overwrite_with_gradient = True
    grads = gradients(0)
    optimizer.apply(grads, variables)
    np.testing.assert_array_equal(variables[1].numpy(), grads[1])
    assert not any("w1_" in v.path for v in optimizer.variables)


@pytest.mark.parametrize("name", BASE)
def test_missing_gradient(name):
    optimizer, variables = make(name), weights()
    with pytest.warns(UserWarning, match="No gradient for 'w1'"):
        optimizer.apply([gradients(0)[0], None], variables)
    assert_equal(values(variables[1:]), values(weights()[1:]))
    assert np.any(variables[0].numpy() != weights()[0].numpy())
    with pytest.raises(ValueError, match="any of the variables 'w0', 'w1'"):
        optimizer.apply([None, None], variables)


@pytest.mark.parametrize("name", ["Nadam", "OptaxOptimizer"])  # with the oddest state
def test_copies_are_independent(name):
    optimizer, variables = make(name), weights()
    train(optimizer, variables, range(2))
    before = values(optimizer.variables)
    others = copy.deepcopy((optimizer, variables))
    train(*others, range(2, 4))
    assert_equal(values(optimizer.variables), before)
    train(optimizer, variables, range(2, 4))
    assert_equal(values(variables), values(others[1]))


@pytest.mark.parametrize("name", sorted(CASES))
def test_building_is_whole_or_nothing(name, monkeypatch):
    """Ctrl-C while the state is made, at any variable."""
    make_variable = optimizers.Optimizer._new_variable
    whole = make(name)
    train(whole, expected := weights(), range(2))
    cut = made = 0
    while made >= cut:
        cut, made = cut + 1, 0

        def new_variable(self, *args, **kwargs):
            nonlocal made
            made += 1
            if made == cut:  # noqa: B023
                raise KeyboardInterrupt
            return make_variable(self, *args, **kwargs)

        optimizer, variables = make(name), weights()
        with monkeypatch.context() as patched, contextlib.suppress(KeyboardInterrupt):
            patched.setattr(optimizers.Optimizer, "_new_variable", new_variable)
            optimizer.build(variables)
        optimizer.build(variables)
        assert len(optimizer.variables) == len(whole.variables)
    train(optimizer, variables, range(2))
    assert_equal(values(variables), values(expected))


# Behaviour of the base class --------------------------------------------------------------------


def test_loss_scale_factor():
    a, b = weights(), weights()
    scaled = optimizers.SGD(0.1, loss_scale_factor=8.0)
    scaled.apply([8 * g for g in gradients(0)], a)
    optimizers.SGD(0.1).apply(gradients(0), b)
    assert_equal(values(a), values(b), 1e-6)
    assert scaled.scale_loss(2.0) == 16.0
    assert optimizers.SGD().scale_loss(2.0) == 2.0


def test_loss_scale_search():
    inner = optimizers.Adam(0.1)
    optimizer = optimizers.LossScaleOptimizer(inner, initial_scale=8.0, dynamic_growth_steps=2)
    w = keras.Variable([1.0])
    optimizer.build([w])
    seen = []
    for g in (8.0, np.inf, 4.0, 4.0, np.nan):
        before = values([w, *inner.variables])
        optimizer.apply([jnp.array([g])], [w])
        if not np.isfinite(g):
            assert_equal(values([w, *inner.variables]), before)
        seen.append((float(optimizer.dynamic_scale), int(optimizer.iterations)))
    assert seen == [(8.0, 1), (4.0, 1), (4.0, 2), (8.0, 3), (4.0, 3)]
    with pytest.raises(ValueError, match="clipnorm: give it to the inner optimizer"):
        optimizers.LossScaleOptimizer(inner, clipnorm=1.0)


def test_loss_scale_stays_a_number():
    """However often the loss overflows, or doesn't."""
    optimizer, w = optimizers.LossScaleOptimizer(optimizers.SGD(0.0), 2.0, 1), keras.Variable([1.0])
    optimizer.build([w])

    @jax.jit
    def run(gradient, state):
        step = lambda _, state: optimizer.stateless_apply(state[1], [gradient], state[0])
        return jax.lax.fori_loop(0, 300, step, state)

    state = [w.value], [v.value for v in optimizer.variables]
    for gradient in (np.nan, 0.0):
        state = run(jnp.full(1, gradient), state)
        scale = state[1][optimizer.variables.index(optimizer.dynamic_scale)]
        assert 0 < scale < np.inf


def test_learning_rate():
    optimizer, w = optimizers.SGD(0.5), keras.Variable(1.0)
    optimizer.apply([1.0], [w])
    optimizer.learning_rate = 0.25
    optimizer.apply([1.0], [w])
    assert float(w) == 0.25
    assert optimizer.get_config()["learning_rate"] == 0.25
    optimizer.learning_rate = schedules.PiecewiseConstantDecay([1, 2], [9.0, 0.125, 0.5])
    optimizer.apply([1.0], [w])
    optimizer.apply([1.0], [w])
    assert float(w) == 0.25 - 0.125 - 0.5
    assert len(optimizer.variables) == 1
    with pytest.raises(TypeError, match="schedule PiecewiseConstantDecay as its learning rate"):
        optimizer.learning_rate = 0.1
    with pytest.raises(ValueError, match="learning_rate should be a number"):
        optimizers.SGD("fast")


def test_learning_rate_from_python_is_read_in_every_step():
    rates = iter([1.0, 2.0])
    optimizer, w = optimizers.SGD(lambda: next(rates)), keras.Variable(0.0)
    optimizer.apply([1.0], [w])
    optimizer.apply([1.0], [w])
    assert float(w) == -3.0


def test_changed_hyperparameters_count():
    optimizer, w = optimizers.SGD(1.0), keras.Variable(0.0)
    optimizer.apply([1.0], [w])
    optimizer.clipvalue = 0.5
    optimizer.apply([1.0], [w])
    assert float(w) == -1.5


def test_options_of_an_optimizer_inside_another_count():
    inner, w = optimizers.SGD(1.0), keras.Variable(0.0)
    optimizer = optimizers.LossScaleOptimizer(inner, 1.0)
    optimizer.apply([1.0], [w])
    inner.clipvalue = 0.5
    optimizer.apply([1.0], [w])
    assert float(w) == -1.5


class Own(keras.Optimizer):
    """As users write them for Keras."""

    def __init__(self, learning_rate=0.1, friction=0.5, name=None, **kwargs):
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.friction = friction
        self.total = keras.Variable(0.0, trainable=False, name="total")

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self.speeds = [
            self.add_variable_from_reference(reference_variable=v, name="speed") for v in variables
        ]

    def update_step(self, gradient, variable, learning_rate):
        speed = self.speeds[self._get_variable_index(variable)]
        self.assign(speed, self.friction * speed - learning_rate * gradient)
        self.assign_add(variable, speed)
        self.assign_add(self.total, 1.0)

    def get_config(self):
        return {**super().get_config(), "friction": self.friction}


def test_own_optimizer():
    optimizer, (w, *_) = Own(0.5, clipvalue=1.0), weights()
    start = w.numpy()
    for _ in range(2):
        optimizer.apply([jnp.full((3, 2), 4.0)], [w])
    np.testing.assert_allclose(w.numpy(), start - 0.5 - 0.75, rtol=1e-6)
    assert float(optimizer.total) == 2
    assert [v.path for v in optimizer.variables] == [
        "own/iteration",
        "own/learning_rate",
        "total",
        "own/w0_speed",
    ]
    again = Own.from_config(optimizer.get_config())
    assert again.get_config() == optimizer.get_config()
    assert (again.clipvalue, float(again.learning_rate)) == (1.0, 0.5)


def test_inside_jit_with_a_scope():
    optimizer, (w, *_) = optimizers.Adam(0.1), weights()
    optimizer.build([w])

    @jax.jit
    def step(values, grad):
        with keras.StatelessScope(zip([w, *optimizer.variables], values)) as scope:
            optimizer.apply([grad], [w])
        return [scope.get_current_value(v) for v in [w, *optimizer.variables]]

    new = step([v.value for v in [w, *optimizer.variables]], jnp.ones((3, 2)))
    np.testing.assert_allclose(new[0], w.numpy() - 0.1, atol=1e-5)
    assert int(new[1]) == 1 and int(optimizer.iterations) == 0


def test_slots_lie_where_the_weights_lie():
    mesh = jax.make_mesh((1,), ("x",))
    place = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("x"))
    w = keras.Variable(np.ones((4, 2)), layout=place)
    optimizer = optimizers.Adam()
    optimizer.build([w])
    assert all(v.value.sharding == place for v in optimizer.variables[2:])


def test_apply_gradients_returns_the_count():
    optimizer, variables = optimizers.SGD(), weights()
    count = optimizer.apply_gradients(zip(gradients(0), variables))
    assert int(count) == 1


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (dict(clipnorm=1.0, clipvalue=1.0), "only one of clipnorm, clipvalue and global_clipnorm"),
        (dict(use_ema=True, ema_momentum=2.0), "ema_momentum should be between 0 and 1"),
        (dict(ema_overwrite_frequency=0), "ema_overwrite_frequency should be a positive integer"),
        (dict(gradient_accumulation_steps=1), "should be an integer of at least 2; received 1"),
        (dict(momentum=2.0), "momentum should be a number between 0 and 1"),
    ],
)
def test_wrong_options(options, text):
    with pytest.raises(ValueError, match=text):
        optimizers.SGD(**options)


def test_unknown_option():
    with pytest.raises(TypeError, match=r"no argument 'clip_norm'\. Did you mean 'clipnorm'"):
        optimizers.SGD(clip_norm=1.0)
    with pytest.warns(UserWarning, match="`decay` is ignored"):
        optimizers.SGD(decay=0.1)


def test_wrong_use():
    optimizer, variables = optimizers.SGD(), weights()
    with pytest.raises(ValueError, match=r"optimizer\.build\(model\.trainable_variables\)"):
        optimizer.apply(gradients(0))
    optimizer.build(variables)
    with pytest.raises(ValueError, match="1 gradients for 2 variables"):
        optimizer.apply(gradients(0)[:1])
    with pytest.raises(ValueError, match="was built for other variables than 'stranger'"):
        optimizer.apply([1.0], [keras.Variable(1.0, name="stranger")])
    with pytest.raises(ValueError, match="trainable_variables should have 2 arrays; received 1"):
        optimizer.stateless_apply([1, 2], gradients(0), [1.0])
    with pytest.raises(NotImplementedError, match="update_step"):
        keras.Optimizer(0.1).apply(gradients(0), weights())
    with pytest.raises(ValueError, match="2 arrays are needed; received 1"):
        optimizer.set_weights([1])
    with pytest.warns(UserWarning, match="it has 2 variables, the saved one 1"):
        optimizer.load_own_variables({"0": 1})


@pytest.mark.parametrize(
    ("identifier", "text"),
    [
        ("adm", "Unknown optimizer 'adm'. Did you mean 'adam'"),
        (3, "optimizer should be a name, a config, an Optimizer"),
    ],
)
def test_wrong_identifier(identifier, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        optimizers.get(identifier)


def test_optax_by_duck_typing():
    optimizer, variables = optimizers.get(Descent()), weights()
    optimizer.build(variables)
    assert [v.name for v in optimizer.variables] == ["iteration", "count", "m_w0", "m_w1"]
    with pytest.raises(AttributeError, match="inject_hyperparams"):
        _ = optimizer.learning_rate
    with pytest.raises(ValueError, match="add_decayed_weights"):
        optimizers.OptaxOptimizer(Descent(), weight_decay=0.1)


def test_optax_in_files():
    config = optimizers.serialize(optimizers.get(Descent()))
    with pytest.raises(ValueError, match="custom_objects"):
        optimizers.deserialize(config)
    fresh = optimizers.get(Descent())
    assert optimizers.deserialize(config, {"OptaxOptimizer": fresh}) is fresh


def by_rank(variable):
    return optimizers.SGD(1.0) if variable.ndim < 2 else optimizers.SGD(0.5)


def test_several_optimizers():
    optimizer, (a, b) = optimizers.MultiOptimizer(by_rank), weights()
    assert list(optimizer.optimizers) == []
    optimizer.apply([jnp.ones((3, 2)), jnp.ones(2)], [a, b])
    before = weights()
    assert_equal(values([a, b]), [before[0].numpy() - 0.5, before[1].numpy() - 1.0], 1e-6)
    assert [int(o.iterations) for o in optimizer.optimizers] == [1, 1]
    optimizer.apply([jnp.ones(2)], [b])  # the other one stands still
    assert [int(o.iterations) for o in optimizer.optimizers] == [1, 2]
    config = optimizers.serialize(optimizer)
    assert optimizers.deserialize(config, {"by_rank": by_rank}).optimizer_map is by_rank


def test_several_optimizers_share_exclusions_and_the_scale_of_the_loss():
    parts = optimizers.SGD(1.0, weight_decay=0.5, loss_scale_factor=3.0), optimizers.SGD(1.0)
    optimizer = optimizers.MultiOptimizer(optimizers.OptimizerMap(parts[0], {"w1": parts[1]}), 4.0)
    assert [p.loss_scale_factor for p in parts] == [4.0, 4.0]
    optimizer.exclude_from_weight_decay(var_names=["w0"])
    a, b = weights()
    optimizer.apply([optimizer.scale_loss(jnp.ones(v.shape)) for v in (a, b)], [a, b])
    assert_equal(values([a, b]), [v.numpy() - 1 for v in weights()], 1e-6)


def test_exclusions_before_the_optimizers_are_known():
    decaying = optimizers.SGD(1.0, weight_decay=0.5)
    optimizer, (a, b) = optimizers.MultiOptimizer(lambda variable: decaying), weights()
    optimizer.exclude_from_weight_decay(var_list=[a])
    optimizer.apply([jnp.zeros((3, 2)), jnp.zeros(2)], [a, b])
    start = weights()
    assert_equal(values([a, b]), [start[0].numpy(), start[1].numpy() * 0.5], 1e-6)


def test_wrong_maps():
    sgd = optimizers.SGD()
    scaled = optimizers.LossScaleOptimizer(optimizers.SGD())
    with pytest.raises(TypeError, match="optimizer_map should be an OptimizerMap or a function"):
        optimizers.MultiOptimizer({"a": sgd})
    with pytest.raises(TypeError, match="LossScaleOptimizer goes around the MultiOptimizer"):
        optimizers.MultiOptimizer(optimizers.OptimizerMap(sgd, {"a": scaled}))
    with pytest.raises(TypeError, match="made of Optimizers; received 'sgd'"):
        optimizers.MultiOptimizer(lambda variable: "sgd").build(weights())
    with pytest.raises(TypeError, match="default_optimizer should be an Optimizer; received 'sgd'"):
        optimizers.OptimizerMap("sgd")
    with pytest.raises(ValueError, match=r"OptimizerMap\['a'\] should be an Optimizer"):
        optimizers.OptimizerMap(sgd, {"a": "sgd"})
    with pytest.raises(ValueError, match="a key should be a string; received 3"):
        optimizers.OptimizerMap(sgd, {3: sgd})
    both = optimizers.OptimizerMap(sgd, {"w.": sgd, ".0": sgd})
    with pytest.raises(ValueError, match=r"'w0' should match one pattern; it matches 'w\.', '\.0'"):
        both["w0"]


def test_schedule_free_decays_the_iterate():
    """As in the paper: `z` moves by the rate times the decay times the weights, no others do."""
    a, b = weights(), weights()
    train(optimizers.ScheduleFreeAdamW(0.1, weight_decay=0.5), a, range(1))
    train(optimizers.ScheduleFreeAdamW(0.1), b, range(1))
    start = values(weights())
    assert_equal(values(a), [v - 0.1 * 0.5 * w for v, w in zip(values(b), start)], 1e-6)
    with pytest.raises(ValueError, match="ScheduleFreeAdamW: beta_1 should be above 0"):
        optimizers.ScheduleFreeAdamW(beta_1=0.0)


def test_muon_makes_matrices_orthogonal():
    optimizer, rng = optimizers.Muon(), np.random.default_rng(0)
    for shape in ((5, 3), (3, 5), (2, 4, 4)):
        x = optimizer.zeropower_via_newtonschulz5(jnp.asarray(rng.normal(size=shape)), 5)
        sizes = np.linalg.svd(np.asarray(x), compute_uv=False)
        assert x.shape == shape
        assert np.all((sizes > 0.6) & (sizes < 1.3))


def test_two_hundred_variables_in_one_program(compiles):
    """No dispatch per variable: one program, and as few calls as for a single variable."""
    variables = [keras.Variable(np.zeros(n % 7 + 1), name=f"v{n}") for n in range(200)]
    optimizer, grads = optimizers.SGD(0.1, momentum=0.9), [jnp.ones(v.shape) for v in variables]
    optimizer.build(variables)
    with compiles() as n:
        optimizer.apply(grads, variables)
    assert n.total == 1, n.names
    assert all(float(v[0]) == float(variables[0][0]) < 0 for v in variables)


def test_get_leaves_objects_alone():
    optimizer = optimizers.Adam()
    assert optimizers.get(optimizer) is optimizer
    assert optimizers.get(None) is None


def test_no_warning_from_repeated_use():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(optimizers.Adam(), weights(), range(2))
