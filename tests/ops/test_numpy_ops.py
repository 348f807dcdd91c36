"""Ops whose results aren't arrays of numbers on the device, and what ops say about mistakes."""

import jax.numpy as jnp
import numpy as np
import pytest

import hornbeam as keras
from hornbeam import ops

X = np.ones((2, 3), "float32")
MAKERS = [np.asarray, jnp.asarray, keras.Variable, lambda x: keras.KerasTensor(x.shape, "float32")]


@pytest.mark.parametrize("make", MAKERS, ids=["numpy", "jax", "variable", "symbolic"])
def test_descriptions(make):
    x = make(X)
    assert ops.shape(x) == (2, 3) and ops.ndim(x) == 2 and ops.dtype(x) == "float32"
    assert ops.size(X) == 6


def test_shape_of_unknown_sizes():
    assert ops.shape(keras.Input((3,))) == (None, 3)


def test_to_numpy():
    for x in (X, jnp.asarray(X), keras.Variable(X), X.tolist()):
        found = ops.convert_to_numpy(x)
        assert type(found) is np.ndarray
        np.testing.assert_array_equal(found, X)


def test_is_tensor():
    assert ops.is_tensor(jnp.ones(2)) and not ops.is_tensor(keras.Input((2,)))
    assert not ops.is_tensor(X) and not ops.is_tensor([1.0]) and not ops.is_tensor(1)


def test_histogram_of_given_edges():
    counts, edges = ops.histogram([0.1, 0.2, 0.7, 3.0], bins=[0.0, 0.5, 2.0])
    assert counts.tolist() == [2, 1] and edges.tolist() == [0.0, 0.5, 2.0]


# call, words of the message
MISTAKES = [
    (lambda: ops.add("a", 1), "An operand should be a number or an array of numbers; received 'a'"),
    (lambda: ops.add(None, 1), "An operand .*received None"),
    (lambda: ops.slice(np.ones((2, 3)), (0,), (1,)), r"each of the 2 axes .*received \(0,\) and"),
]


@pytest.mark.parametrize(("call", "words"), MISTAKES)
def test_mistakes(call, words):
    with pytest.raises((TypeError, ValueError), match=words):
        call()


def test_divisors_of_the_lowest_integer():
    """JAX's, and with it Keras's, computes forever."""
    low = -(2**31)
    x, y = np.array([low, low, 100, 0, low], "int32"), np.array([100, low, low, low, -1], "int32")
    np.testing.assert_array_equal(ops.gcd(x, y), np.gcd(x, y))
    np.testing.assert_array_equal(ops.lcm(x, y), np.lcm(x, y))
    assert ops.gcd(np.int8(-128), np.int8(96)) == 32
