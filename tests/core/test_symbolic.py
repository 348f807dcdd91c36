import operator

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hornbeam as keras
from hornbeam.core import symbolic
from hornbeam.core.symbolic import KerasTensor, infer, op


@pytest.mark.parametrize(
    "function, shapes, expected",
    [
        (lambda x: x * 2, [(None, 3)], (None, 3)),
        (lambda x: x.reshape(x.shape[0], -1), [(None, 3, 4)], (None, 12)),
        (lambda x: x.mean(1), [(None, None, 4)], (None, 4)),
        (lambda x, y: x @ y, [(None, 3), (3, 5)], (None, 5)),
        (lambda x: jnp.concatenate([x, x], 1), [(None, None)], (None, None)),
        (lambda x: x[::2], [(None, 2)], (None, 2)),
        # An `if` on a size, and an equal split of an unknown size, need concrete stand-ins.
        (lambda x: x if x.shape[0] > 4 else x * 2, [(None, 2)], (None, 2)),
        (lambda x: jnp.split(x, 2)[0], [(None, 2)], (None, 2)),
        (lambda x: jnp.zeros((len(range(x.shape[0])), 7)), [(None,)], (None, 7)),
        # An unknown size that meets a known one must equal it; the others stay unknown.
        (lambda x, y: jnp.stack([x, y]), [(None, 3), (4, 3)], (2, 4, 3)),
        (lambda x, y: jnp.concatenate([x, y], 1), [(5, 3), (None, None)], (5, None)),
        (lambda x, y: x + y, [(None, None, 8), (10, 8)], (None, 10, 8)),
    ],
)
def test_shapes_are_found_by_tracing(function, shapes, expected):
    out = infer(function, [KerasTensor(s) for s in shapes], {})
    assert out.shape == expected


def test_inference_is_cached_per_call_and_arguments():
    calls = []

    @op
    def plus(x, n=1):
        calls.append(n)
        return x + n

    x = KerasTensor((None, 3))
    plus(x), plus(x), plus(x, n=2), plus(KerasTensor((None, 4)))
    assert calls == [1, 2, 1]
    assert (
        plus(x, n=1).dtype == "float32" and plus(KerasTensor((2,), "int32"), n=1).dtype == "int32"
    )
    assert plus(KerasTensor((2,), "int32"), n=1.0).dtype == "float32", "1 and 1.0 differ"


def test_slices_are_cached():
    calls = []

    @op
    def part(x, index):
        calls.append(index)
        return x[index]

    x = KerasTensor((None, 3))
    for index in (slice(1), slice(1), slice(2), (slice(None), slice(1)), (slice(None), slice(1))):
        part(x, index)
    assert len(calls) == 3


def test_elementwise_functions_are_traced_once_for_all_sizes():
    calls = []

    @op(elementwise=True)
    def plus(x, y):
        calls.append(x.shape)
        return x + jnp.asarray(y)

    operands = [KerasTensor((None, 4)), np.ones((2, 1), "float32"), keras.Variable(np.ones((2, 4)))]
    operands += [KerasTensor((3, 1)), KerasTensor((1, 1))]
    shapes = [plus(KerasTensor((None, 4)), y).shape for y in operands]
    assert shapes == [(None, 4), (2, 4), (2, 4), (3, 4), (None, 4)]
    assert len(calls) == 1
    assert plus(KerasTensor((2, 3)), [1.0, 2.0, 3.0]).shape == (2, 3)
    assert plus(KerasTensor((), "int32"), 1).dtype == "int32"
    with pytest.raises(TypeError, match=r"incompatible shapes .*\(d, 3\), \(2, 4\)"):
        plus(KerasTensor((None, 3)), KerasTensor((2, 4)))


def test_the_users_error_comes_first():
    def wrong(x):
        return x @ jnp.ones((7, 7))

    with pytest.raises(TypeError, match="dot_general"):
        infer(wrong, [KerasTensor((None, 3))], {})


def test_inference_changes_no_state():
    v = keras.Variable(0.0)

    def counting(x):
        v.assign_add(1.0)
        return x

    infer(counting, [KerasTensor((2,))], {})
    assert float(v) == 0.0


def test_variables_made_while_inferring_are_real():
    made = []

    def making(x):
        made.append(keras.Variable(jnp.ones, shape=(3,)))
        return x * made[-1]

    infer(making, [KerasTensor((None, 3))], {})
    assert not isinstance(made[0].value, jax.core.Tracer) and made[0].numpy().sum() == 3


# use of a symbolic tensor, words of the error
MISUSES = {
    "asarray": (np.asarray, "has no value, so converting it to a NumPy array"),
    "array": (lambda x: np.array([x, x]), "converting it to a NumPy array"),
    "bool": (lambda x: 1 if x > 0 else 0, "using it in a condition"),
    "chain": (lambda x: 0 < x < 1, "using it in a condition"),
    "float": (float, "converting it to a float"),
    "int": (int, "converting it to an int"),
    "iter": (list, "iterating over it"),
    "len": (len, "KerasTensor"),
    "jnp": (jnp.sin, "calling a function of JAX on it .keras.ops has those of jax.numpy"),
    "jnp list": (lambda x: jnp.concatenate([x, x]), "calling a function of JAX .*Layer's `call`"),
    "jnp method": (lambda x: jnp.reshape(x, -1), "calling a function of JAX .*Lambda layer"),
    "jax.nn": (jax.nn.softmax, "calling a function of JAX"),
    "jit": (jax.jit(lambda x: x), "calling a function of JAX"),
    "grad": (jax.grad(lambda x: x), "calling a function of JAX"),
    "lax": (jax.lax.neg, "KerasTensor"),
    "ufunc": (np.frexp, r"calling np.frexp\(…\) on it is impossible"),
    "ufunc option": (lambda x: np.sin(x, out=np.ones(3)), r"calling np.sin\(…, out=…\)"),
    "ufunc method": (np.add.reduce, r"calling np.add.reduce\(…\)"),
    "in place": (lambda x: operator.iadd(np.ones(3), x), "calling np.add"),
    "numpy": (np.unwrap, "calling numpy.unwrap on it .*functions of `keras.ops`"),
    "numpy.fft": (np.fft.fft, "calling numpy.fft.fft on it"),
    "method": (lambda x: x.mean(), "no attribute 'mean'. Use `keras.ops.mean`"),
    "property": (lambda x: x.T, "no attribute 'T'. Use `keras.ops.transpose`"),
    "astype": (lambda x: x.astype("int32"), "Use `keras.ops.cast`"),
    "at": (lambda x: x.at[0].set(1), "Use `keras.ops.slice_update`"),
    "unknown": (lambda x: x.nonsense, "no attribute 'nonsense'.$"),
}


# Python 3.13 says so when JAX's C++ code asks for an attribute that explains itself.
@pytest.mark.filterwarnings("ignore:Exception ignored in PyObject_HasAttr")
@pytest.mark.parametrize("name", MISUSES)
def test_misuse_explains_itself(name):
    use, words = MISUSES[name]
    with pytest.raises((ValueError, TypeError, AttributeError), match=words):
        use(keras.Input((3,)))


# What becomes a node, and gives what it gives on an array.
RECORDED = {
    "ufunc": np.sin,
    "ufunc, other name": lambda x: np.degrees(np.remainder(x, 2)),
    "ufunc of two": lambda x: np.maximum(np.ones(3, "float32"), x),
    "function": lambda x: np.concatenate([x, x], axis=1),
    "method of the same name": lambda x: np.squeeze(np.expand_dims(x, 0), axis=0),
    "reduction": lambda x: np.mean(x, axis=1, keepdims=True),
    "einsum": lambda x: np.einsum("ij,ij->i", x, x),
    "norm": lambda x: np.linalg.norm(x, axis=1),
    "array + x": lambda x: np.ones(3, "float32") + x,
    "array @ x": lambda x: np.ones((2, 2), "float32") @ x,
    "array > x": lambda x: np.ones(3, "float32") > x,
    "scalar * x": lambda x: np.float32(2) * x,
    "JAX array + x": lambda x: jnp.ones(3) + x,
    "JAX array > x": lambda x: jnp.ones(3) > x,
    "x != number": lambda x: x != 0,
    "x != array": lambda x: x != jnp.zeros(3),
    "reshape": lambda x: x.reshape(-1, 1),
    "shape": lambda x: x + np.shape(x)[1],
}


@pytest.mark.parametrize("name", RECORDED)
def test_numpy_records_nodes(name):
    x = keras.Input((3,), batch_size=2)
    value = jnp.array([[0.0, -3, 1], [2, 0, 4]])
    y, expected = RECORDED[name](x), RECORDED[name](value)
    assert y.shape == expected.shape and y.dtype == expected.dtype
    np.testing.assert_allclose(keras.Function(x, y)(value), expected, rtol=1e-6)


def test_operations_record_nodes():
    class Double(keras.Operation):
        def call(self, x):
            return x * 2

    double = Double()
    x = keras.Input((3,))
    y = double(x)
    assert y.node.operation is double and double.input is x and double.output is y
    assert np.asarray(double(np.ones(2))).tolist() == [2, 2]
    double(x)
    with pytest.raises(AttributeError, match="called on symbolic tensors 2 times"):
        _ = double.output


def test_unknown_sizes_are_one_symbol():
    assert str(symbolic.unknown_size()) == "d"
    a, b = KerasTensor((None, 3)), KerasTensor((None, 3))
    assert (a + b).shape == (None, 3)
    # Here only that of `b` must be 2.
    assert keras.ops.scatter_update(a, np.array([[0], [2]]), b).shape == (None, 3)


@pytest.mark.parametrize("size", [5, 8, 10, 12, 16])
def test_reshape_into_parts_of_unknown_number(size):
    assert keras.ops.reshape(keras.Input((3,)), (-1, size)).shape == (None, size)
