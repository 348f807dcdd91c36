"""Laws of all regularizers and constraints."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hornbeam import constraints, regularizers

# class: (arguments, penalty of the weight)
WEIGHT = np.array([[3.0, -4.0], [0.0, 2.0]], "float32")
PENALTIES = {
    "L1": ({"l1": 0.5}, 4.5),
    "L1L2": ({"l1": 0.5, "l2": 0.1}, 4.5 + 2.9),
    "L2": ({"l2": 0.1}, 2.9),
    "OrthogonalRegularizer": ({"factor": 0.5}, 0.5 * 0.8),  # the cosine of the only two rows
}

# class: (arguments, allowed weight)
PROJECTIONS = {
    "MaxNorm": ({"max_value": 2.5, "axis": 1}, [[1.5, -2], [0, 2]]),
    "MinMaxNorm": (
        {"min_value": 3.0, "max_value": 4.0, "rate": 0.5, "axis": 1},
        [[2.7, -3.6], [0, 2.5]],
    ),
    "NonNeg": ({}, [[3, 0], [0, 2]]),
    "UnitNorm": ({"axis": 1}, [[0.6, -0.8], [0, 1]]),
}

MODULES = {"regularizers": regularizers, "constraints": constraints}
ROWS = [(regularizers, name, PENALTIES) for name in PENALTIES]
ROWS += [(constraints, name, PROJECTIONS) for name in PROJECTIONS]


@pytest.mark.parametrize(
    ("module", "base", "cases"),
    [(regularizers, "Regularizer", PENALTIES), (constraints, "Constraint", PROJECTIONS)],
    ids=list(MODULES),
)
def test_every_class_has_a_row(module, base, cases):
    classes = {c.__name__ for c in vars(module).values() if inspect.isclass(c)}
    assert classes - {base, "Configurable"} == set(cases)


@pytest.mark.parametrize(("module", "name", "cases"), ROWS, ids=[row[1] for row in ROWS])
class TestEach:
    def test_value(self, module, name, cases):
        arguments, expected = cases[name]
        np.testing.assert_allclose(getattr(module, name)(**arguments)(WEIGHT), expected, rtol=1e-5)

    def test_half_precision(self, module, name, cases):
        for dtype in ("float16", "bfloat16"):
            x = jax.ShapeDtypeStruct(WEIGHT.shape, dtype)
            assert jax.eval_shape(getattr(module, name)(**cases[name][0]), x).dtype == dtype

    def test_config_round_trip(self, module, name, cases):
        thing = getattr(module, name)(**cases[name][0])
        assert thing.get_config() == cases[name][0] | thing.get_config()
        for other in (module.deserialize(module.serialize(thing)), thing.clone()):
            assert type(other) is type(thing)
            assert other.get_config() == thing.get_config()

    def test_name(self, module, name, cases):
        cls = getattr(module, name)
        aliases = [n for n in module.__all__ if getattr(module, n) is cls]
        assert len(aliases) == 2
        for alias in aliases:
            assert type(module.get(alias)) is cls

    def test_finite_at_zero(self, module, name, cases):
        thing = getattr(module, name)(**cases[name][0])
        zeros = jnp.zeros((2, 2))
        assert np.isfinite(thing(zeros)).all()
        if module is regularizers:
            assert np.isfinite(jax.jit(jax.grad(thing))(zeros)).all()


@pytest.mark.parametrize("module", MODULES.values(), ids=list(MODULES))
def test_get(module):
    def own(x):
        return x

    assert module.get(None) is None
    assert module.get(own) is own
    with pytest.raises(ValueError, match=r"Unknown .* 'nothing'"):
        module.get("nothing")


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (lambda: regularizers.L1(-1), "l1 should be a finite number of at least 0"),
        (lambda: regularizers.L2(float("nan")), "l2 should be a finite number"),
        (lambda: regularizers.L1L2(l2="a"), "l2 should be a finite number"),
        (lambda: regularizers.OrthogonalRegularizer(mode="row"), "Did you mean 'rows'"),
        (lambda: regularizers.OrthogonalRegularizer()(np.ones(3)), "should be a matrix"),
    ],
)
def test_mistakes(mistake, message):
    with pytest.raises(ValueError, match=message):
        mistake()


def test_norms_of_large_half_precision_weights():
    w = jnp.full((4, 1), 1000.0, "float16")  # whose squares overflow
    np.testing.assert_allclose(constraints.UnitNorm()(w), np.full((4, 1), 0.5))


def test_columns_of_orthogonal_regularizer():
    regularizer = regularizers.OrthogonalRegularizer(1.0, "columns")
    np.testing.assert_allclose(regularizer(WEIGHT.T), 0.8, rtol=1e-5)


def test_base_classes_change_nothing():
    assert regularizers.Regularizer()(WEIGHT) == 0
    assert constraints.Constraint()(WEIGHT) is WEIGHT
