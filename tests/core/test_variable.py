import copy
import operator

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hornbeam as keras
from hornbeam import Variable

OPERATORS = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow"]
OPERATORS += ["eq", "ne", "lt", "le", "gt", "ge"]


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_are_those_of_arrays(name):
    function = getattr(operator, name)
    a, b = np.array([1.0, 2.0, 3.0], "float32"), np.array([3.0, 2.0, 2.0], "float32")
    v, w = Variable(a), Variable(b)
    expected = np.asarray(function(jnp.asarray(a), jnp.asarray(b)))
    for left, right in ((v, w), (v, b), (a, w), (v, jnp.asarray(b)), (jnp.asarray(a), w)):
        np.testing.assert_array_equal(np.asarray(function(left, right)), expected)


@pytest.mark.parametrize("name", ["and_", "or_", "xor"])
def test_bit_operators(name):
    function = getattr(operator, name)
    v = Variable(np.array([1, 2, 3]), dtype="int32")
    np.testing.assert_array_equal(np.asarray(function(v, 2)), function(np.array([1, 2, 3]), 2))


def test_unary_operators_and_protocols():
    v = Variable([-1.5, 2.0])
    np.testing.assert_array_equal(np.asarray(-v), [1.5, -2.0])
    np.testing.assert_array_equal(np.asarray(abs(v)), [1.5, 2.0])
    np.testing.assert_array_equal(np.asarray(v), [-1.5, 2.0])
    np.testing.assert_array_equal(np.asarray(jnp.asarray(v)), [-1.5, 2.0])
    np.testing.assert_array_equal(np.asarray(keras.ops.sin(v)), np.asarray(jnp.sin(v.value)))
    np.testing.assert_array_equal(np.asarray(v[1:]), [2.0])
    assert len(v) == 2 and [float(x) for x in v] == [-1.5, 2.0]
    assert float(Variable(2.5)) == 2.5 and int(Variable(2.5)) == 2 and bool(Variable(1.0))
    assert list(range(4))[Variable(2, dtype="int32")] == 2
    np.testing.assert_array_equal(
        np.asarray(Variable(np.eye(2)) @ np.ones((2, 2))), np.ones((2, 2))
    )


def test_assignments():
    v = Variable([1.0, 2.0])
    v.assign([3.0, 4.0])
    v.assign_add([1.0, 1.0])
    v.assign_sub(2.0 * np.ones(2))
    np.testing.assert_array_equal(v.numpy(), [2.0, 3.0])
    assert v.dtype == "float32" and v.shape == (2,) and v.ndim == 1 and v.size == 2


def test_assigned_arrays_have_the_dtype_for_good():
    """Of JAX's own array too: a weak type would compile another program."""
    v, value = Variable(1.0), jnp.asarray(2.0)
    assert value.weak_type and value.dtype == v.dtype
    v.assign(value)
    assert not v.value.weak_type
    v.assign(strong := jnp.float32(3))
    assert v.value is strong


def test_initial_values():
    assert Variable(1).dtype == "int32" and Variable(1.0).dtype == "float32"
    assert Variable(np.float64(1)).dtype == "float32" and Variable(True).dtype == "bool"
    assert Variable("ones", shape=(2, 3), dtype="bfloat16").value.dtype == jnp.bfloat16
    source = np.zeros(3, "float32")
    v = Variable(source)
    source[:] = 1
    assert v.numpy().sum() == 0, "a variable has an array of its own"


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Variable(jnp.zeros), "needs a shape"),
        (lambda: Variable("zeros", shape=(None, 2)), "known sizes"),
        (lambda: Variable([1.0], shape=(2,)), r"shape \(1,\).*\(2,\) was asked"),
        (lambda: Variable(1.0, name="a/b"), "without '/'"),
        (lambda: Variable(1.0, aggregation="median"), "aggregation should be one of"),
        (lambda: Variable([1.0]).assign([1.0, 2.0]), r"shape \(1,\); received.*\(2,\)"),
        (lambda: setattr(Variable(1.0), "regularizer", 3), "callable"),
        (lambda: Variable(1.0, dtype="flot32"), "Did you mean 'float32'"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_stateless_scope_reads_and_collects():
    v, w = Variable(1.0), Variable(10.0)
    with keras.StatelessScope([(v, jnp.float32(5))]) as scope:
        assert float(v) == 5.0 and float(w) == 10.0
        w.assign(v + w)
    assert float(v) == 1.0 and float(w) == 10.0
    assert float(scope.get_current_value(w)) == 15.0 and float(scope.get_current_value(v)) == 5.0


def test_assigning_while_tracing_is_refused_with_a_mend():
    v = Variable(1.0, name="v")

    @jax.jit
    def f(x):
        v.assign(x)
        return x

    with pytest.raises(RuntimeError, match=r"(?s)Variable v was assigned.*StatelessScope"):
        f(2.0)
    assert float(v) == 1.0


def test_functions_of_variables_are_pure():
    v = Variable(2.0)

    def step(x):
        v.assign_add(x)
        return v * x

    pure = jax.jit(keras.core.scope.functionalize(step, [v]))
    out, (new,) = pure([jnp.float32(3)], 4.0)
    assert float(out) == 28.0 and float(new) == 7.0 and float(v) == 2.0


def test_value_and_grad_keeps_what_was_assigned():
    w, count = Variable(3.0), Variable(0.0, trainable=False)

    def loss(x):
        count.assign_add(1.0)
        return x * w**2

    value, (gradient,) = keras.value_and_grad(loss, [w])(2.0)
    assert float(value) == 18.0 and float(gradient) == 12.0 and float(count) == 1.0

    def inner_and_outer():
        _, (g,) = keras.value_and_grad(lambda: w**3, [w])()
        return g

    assert float(keras.value_and_grad(inner_and_outer, [w])()[1][0]) == 18.0


def test_regularizer_constraint_flags():
    v = Variable([1.0], trainable=False)
    v.trainable = True
    v.regularizer, v.constraint = (lambda x: x), (lambda x: x)
    assert v.trainable and v.regularizer is not None and v.constraint is not None


def test_copies_are_independent():
    v = Variable([1.0, 2.0], name="v")
    w = copy.deepcopy(v)
    w.assign([0.0, 0.0])
    assert v.numpy().tolist() == [1.0, 2.0] and w.name == "v"


def test_dict_keys_are_identities():
    a, b = Variable(1.0), Variable(1.0)
    assert {a: 1, b: 2}[a] == 1


@pytest.mark.parametrize(
    "function",
    [
        jnp.sin,
        jnp.sum,
        jax.nn.relu,
        lambda v: jnp.where(v > 1, v, 0),
        lambda v: jnp.matmul(v, v),
        lambda v: jnp.concatenate([v, v]),
        lambda v: jax.grad(lambda v: jnp.sum(v**2))(v),
        lambda v: jax.jit(lambda tree: tree["v"] * 2)({"v": v}),
    ],
)
def test_functions_of_jax_take_variables(function):
    value = jnp.array([1.0, 2.0])
    np.testing.assert_array_equal(function(keras.Variable(value)), function(value))


def test_variables_are_leaves_of_keras_trees():
    v = keras.Variable(1.0)
    assert keras.tree.flatten({"a": [v]})[0] is v
    assert keras.tree.map_structure(lambda x: x, [v])[0] is v
    assert not keras.tree.is_nested(v)
