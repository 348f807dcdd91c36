"""Every optimizer, every law: configs, names, state, eager = compiled, options, one compile."""

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
    "LossScaleOptimizer": dict(initial_scale=4.0, dynamic_growth_steps=3),
    "OptaxOptimizer": {},
}
NOT_OPTIMIZERS = {"Optimizer": "the base class, without a formula"}
WITH_CONFIG = sorted(CASES.keys() - {"OptaxOptimizer"})
PLAIN = sorted(CASES.keys() - {"OptaxOptimizer", "LossScaleOptimizer"})


@pytest.fixture(autouse=True, scope="module")
def quick_compiles():
    """Hundreds of small programs run a few times each: XLA's care isn't worth its time here."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


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


@pytest.mark.parametrize("name", CASES)
def test_lowers_a_loss(name):
    optimizer, (w,) = make(name), [keras.Variable([1.0, -2.0])]
    loss = lambda: float(jnp.sum(jnp.square(w.value)))
    before = loss()
    for _ in range(5):
        optimizer.apply([2 * w.value * getattr(optimizer, "initial_scale", 1.0)], [w])
    assert loss() < before
    assert int(optimizer.iterations) == 5


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
def test_eager_is_compiled(name):
    eager, pure = make(name, use_ema=True), make(name, use_ema=True)
    a, b = weights(), weights()
    train(eager, a, range(4))
    pure.build(b)
    step = jax.jit(pure.stateless_apply)
    trained, state = [v.value for v in b], [v.value for v in pure.variables]
    for i in range(4):
        trained, state = step(state, gradients(i), trained)
    assert_equal(values(a), trained, 1e-6)
    assert_equal(values(eager.variables), state, 1e-6)
    assert_equal(values(b), values(weights()))  # untouched


@pytest.mark.parametrize("name", CASES)
def test_state_round_trip(name):
    optimizer, variables, store = make(name), weights(), {}
    train(optimizer, variables, range(3))
    optimizer.save_own_variables(store)
    assert list(store) == [str(i) for i in range(len(optimizer.variables))]
    saved = values(variables)
    train(optimizer, variables, range(3, 5))
    wanted = values(variables)
    fresh = make(name) if name in ("Adam", "OptaxOptimizer") else optimizer
    fresh.build(variables)
    fresh.load_own_variables(store)
    for v, x in zip(variables, saved):
        v.assign(x)
    train(fresh, variables, range(3, 5))
    assert_equal(values(variables), wanted)


@pytest.mark.parametrize("name", CASES)
def test_one_compile(name, compiles):
    optimizer, variables = make(name), weights()
    train(optimizer, variables, [0])
    given = [gradients(i) for i in range(1, 5)]
    with compiles() as n:
        for grads in given:
            optimizer.apply(grads, variables)
    assert n.total == 0, n.names


@pytest.mark.parametrize("name", CASES)
def test_half_precision(name):
    """Stored in half precision, a variable takes the same path, as far as it can be written."""
    optimizer, wide, narrow = make(name), weights()[0], weights("bfloat16")[0]
    for i in range(3):
        g = gradients(i)[0]
        optimizer.apply([g, g.astype("bfloat16")], [wide, narrow])
    assert narrow.dtype == "bfloat16"
    assert_equal([wide.numpy()], [narrow.numpy()], 0.05)


@pytest.mark.parametrize("name", CASES)
def test_accumulation_equals_one_large_batch(name):
    options = {} if name == "OptaxOptimizer" else {"weight_decay": 0.1}
    options |= {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 2}
    options |= {"clipnorm": 0.7}
    whole, parts = make(name, **options), make(name, gradient_accumulation_steps=2, **options)
    a, b = weights(), weights()
    for i in range(2):
        first, second = gradients(2 * i), gradients(2 * i + 1)
        whole.apply([whole.scale_loss((x + y) / 2) for x, y in zip(first, second)], a)
        before = values(b)
        parts.apply([parts.scale_loss(x) for x in first], b)
        assert_equal(values(b), before)
        parts.apply([parts.scale_loss(x) for x in second], b)
        assert_equal(values(a), values(b), 1e-6)
    assert int(parts.iterations) == int(whole.iterations) == 2


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


@pytest.mark.parametrize("name", CASES)
def test_moving_average(name):
    optimizer, variables = make(name, use_ema=True, ema_momentum=0.8), weights()
    mean = None
    for i in range(3):
        train(optimizer, variables, [i])
        now = values(variables)
        mean = now if mean is None else [0.8 * m + 0.2 * x for m, x in zip(mean, now)]
    optimizer.finalize_variable_values(variables)
    assert_equal(values(variables), mean, 1e-6)


@pytest.mark.parametrize("name", CASES)
def test_constraint(name):
    optimizer, variables = make(name), weights()
    variables[0].constraint = lambda x: jnp.clip(x, 0.25, 0.5)
    train(optimizer, variables, [0])
    assert np.all((variables[0].numpy() >= 0.25) & (variables[0].numpy() <= 0.5))
    assert variables[1].numpy().max() > 0.5


@pytest.mark.parametrize("name", CASES)
def test_overwrite_with_gradient(name):
    optimizer, variables = make(name, use_ema=True), weights()
    variables[1].overwrite_with_gradient = True
    grads = gradients(0)
    optimizer.apply(grads, variables)
    np.testing.assert_array_equal(variables[1].numpy(), grads[1])
    assert not any("w1_" in v.path for v in optimizer.variables)


@pytest.mark.parametrize("name", CASES)
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


def test_get_leaves_objects_alone():
    optimizer = optimizers.Adam()
    assert optimizers.get(optimizer) is optimizer
    assert optimizers.get(None) is None


def test_no_warning_from_repeated_use():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(optimizers.Adam(), weights(), range(2))
