"""What every layer does: rows in cases_layers.py, laws here."""

import functools
import inspect
import json
import os
import pathlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hornbeam
from hornbeam import layers
from hornbeam.core.symbolic import flatten

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from cases_layers import CASES, EXCEPTIONS, HOST_CASES, STEPS, rows

every_case = pytest.mark.parametrize("case", rows(layers), ids=str)


def assert_same(a, b, tolerance=1e-6):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(
            np.asarray(x, "float32"), np.asarray(y, "float32"), rtol=tolerance, atol=tolerance
        )


@functools.cache  # building takes longer than the laws do
def built(case, **more):
    layer = case.make(layers, **more)
    case.call(layer)
    return layer


def copy_state(to, layer):
    """Give a layer the weights of another one, and its random state."""
    for variable, other in zip(to.variables, layer.variables, strict=True):
        variable.assign(other)


def values(variables):
    return [v.value for v in variables]


def pure_call(case, layer, training):
    def call(trainable, others, x):
        bound = functools.partial(layer.stateless_call, trainable, others)
        return case.call(bound, x, training=training)

    return call


def test_every_class_has_a_row():
    public = {
        cls.__name__
        for cls in vars(layers).values()
        if inspect.isclass(cls) and cls.__module__.startswith("hornbeam.layers")
    }
    classes = {getattr(layers, case.layer).__name__ for case in [*CASES, *HOST_CASES]}
    assert not public - classes - EXCEPTIONS.keys(), "add rows to cases_layers.py"
    assert not classes & EXCEPTIONS.keys()


@every_case
def test_inferred_shape_is_real_shape(case):
    layer = case.make(layers)
    inferred = flatten(case.call(layer, case.symbolic(hornbeam)))[0]
    for batch in (2, 3):
        for spec, real in zip(inferred, flatten(case.call(layer, case.inputs(batch)))[0]):
            assert spec.shape == (None, *real.shape[1:])
            assert spec.dtype == str(real.dtype)


@pytest.mark.parametrize("case", [c for c in rows(layers) if c.open_axes], ids=str)
def test_unknown_sizes(case):
    inferred = case.call(case.make(layers), case.symbolic(hornbeam, unknown=case.open_axes))
    real = case.call(case.make(layers))
    for spec, array in zip(flatten(inferred)[0], flatten(real)[0], strict=True):
        assert len(spec.shape) == array.ndim
        for size, known in zip(spec.shape, array.shape):
            assert size in (None, known)


@every_case
@pytest.mark.parametrize("training", [False, True])
def test_eager_is_compiled(case, training):
    layer, x = built(case), case.inputs()
    state = values(layer.trainable_variables), values(layer.non_trainable_variables)
    compiled, after = jax.jit(pure_call(case, layer, training))(*state, x)
    assert_same(case.call(layer, x, training=training), compiled)
    for variable, value in zip(layer.non_trainable_variables, after, strict=True):
        assert_same(variable, value)


@every_case
def test_config_makes_an_equal_layer(case):
    layer = built(case)
    for i, weight in enumerate(layer.weights):
        weight.assign(np.random.default_rng(i).uniform(0.5, 1.5, weight.shape))
    data = json.loads(json.dumps(layers.serialize(layer)))
    copy = layers.deserialize(data)
    copy.build_from_config(data["build_config"])
    assert json.dumps(copy.get_config()) == json.dumps(layer.get_config())
    assert [w.path for w in copy.weights] == [w.path for w in layer.weights]
    copy_state(copy, layer)
    assert_same(case.call(copy), case.call(layer))


@pytest.mark.parametrize("case", [c for c in rows(layers) if c.top is None], ids=str)
def test_gradients_are_finite(case):
    layer, x = built(case), case.inputs()
    others = values(layer.non_trainable_variables)

    def loss(trainable, x):
        outputs, _ = pure_call(case, layer, True)(trainable, others, x)
        return sum(jnp.sum(jnp.square(y)) for y in jax.tree.leaves(outputs))

    weights = values(layer.trainable_variables)
    gradients = jax.grad(loss, argnums=(0, 1))(weights, x)
    assert all(bool(jnp.isfinite(g).all()) for g in jax.tree.leaves(gradients))
    assert any(bool(g.any()) for g in jax.tree.leaves(gradients)) != (case.layer in STEPS)


@every_case
def test_half_precision(case):
    policy = case.kwargs.get("dtype", "float32").replace("float32", "mixed_bfloat16")
    layer = case.make(layers, dtype=policy)
    outputs = case.call(layer, training=True)
    assert all(y.dtype in (jnp.bfloat16, jnp.int32) for y in jax.tree.leaves(outputs))
    assert {w.dtype for w in layer.weights} <= {"float32", "int32", "int8"}
    exact = built(case)
    copy_state(layer, exact)
    assert_same(case.call(layer), case.call(exact), tolerance=0.1)


@every_case
def test_one_compile(case, compiles):
    layer = built(case)
    step = jax.jit(pure_call(case, layer, True))
    state = values(layer.trainable_variables), values(layer.non_trainable_variables)
    x, y = (jax.tree.map(jnp.asarray, case.inputs(seed=seed)) for seed in (1, 2))
    with compiles() as n:
        _, others = step(*state, x)
        step(state[0], others, y)
    assert n.total == 1, n.names


# In CI, the rows whose sizes may be open; the others have nothing but the batch.
EXPORTED = [c for c in rows(layers) if c.open_axes or os.environ.get("HYPOTHESIS_PROFILE")]


@pytest.mark.parametrize("case", EXPORTED, ids=str)
def test_exported(case, tmp_path):
    """A model of it, as a program, computes the same for any size."""
    inputs = case.symbolic(hornbeam, case.open_axes)
    model = hornbeam.Model(inputs, case.call(case.make(layers), inputs))
    model.export(tmp_path / "m", format="stablehlo", verbose=False, platforms=["cpu"])
    x = case.inputs(batch=3)
    exported = hornbeam.export.load(tmp_path / "m")
    assert_same(exported(x), model(x), tolerance=1e-5)


ONE_INPUT = [c for c in rows(layers) if not isinstance(c.shape, list) and c.top is None]


@pytest.mark.parametrize("case", [c for c in ONE_INPUT if len(c.shape) > 1], ids=str)
def test_masks_travel(case):
    """A layer that supports masks hands on one that fits, or ends it on purpose."""
    layer, x = built(case), jnp.asarray(case.inputs())
    if not layer.supports_masking:
        return
    mask = jnp.asarray(np.random.default_rng(0).integers(0, 2, x.shape[:2]), bool)
    x._keras_mask = mask
    outputs = layer(x)
    travelled = getattr(outputs, "_keras_mask", None)
    if travelled is not None:
        assert travelled.shape == outputs.shape[: travelled.ndim]
        if case.layer != "Masking":
            assert (travelled == mask).all()


@every_case
def test_refuses_unknown_arguments(case):
    layer = built(case)
    with pytest.raises(TypeError, match=f"'{layer.path}'.*'unheard_of'"):
        case.call(layer, unheard_of=1)
    case.call(layer)
