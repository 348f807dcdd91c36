"""Which number type a calculation has, compared with the real Keras: all pairs of types."""

import itertools

import jax
import jax.numpy as jnp
import keras as real
import numpy as np
import pytest

import hornbeam as keras

TYPES = [
    "bool", "int8", "int16", "int32", "uint8", "uint16", "uint32", "bfloat16", "float16", "float32",
    bool, int, float,
]  # fmt: skip
WIDE = ["int64", "uint64", "float64"]
LITERALS = {bool: True, int: 2, float: 2.5}


def test_result_type():
    """Also of three types, and of 64-bit ones, which become 32-bit."""
    kinds = [*TYPES, *WIDE]
    triples = list(itertools.product(kinds, repeat=3))[::7]
    for types in [*itertools.product(kinds, repeat=2), *triples]:
        assert keras.backend.result_type(*types) == real.backend.result_type(*types), types


def dtype_of(function, types):
    """The result's type for arrays of these types; Python's types stand for literals."""

    def call(*arrays):
        arrays = iter(arrays)
        return function(*(LITERALS[t] if t in LITERALS else next(arrays) for t in types))

    specs = [jax.ShapeDtypeStruct((2,), jnp.dtype(t)) for t in types if t not in LITERALS]
    return jax.eval_shape(call, *specs).dtype.name


# function of a namespace and two operands
OPS = {
    **{
        name: lambda k, x, y, name=name: getattr(k.ops, name)(x, y)
        for name in (
            "add",
            "divide",
            "equal",
            "floor_divide",
            "maximum",
            "mod",
            "multiply",
            "power",
        )
    },
    "concatenate": lambda k, x, y: k.ops.concatenate([x, y]),
    "matmul": lambda k, x, y: k.ops.matmul(x, y),
    "where": lambda k, x, y: k.ops.where(np.array([True, False]), x, y),
}


@pytest.mark.parametrize("name", OPS)
def test_ops(name):
    op = OPS[name]
    only_arrays = name in ("concatenate", "matmul")
    for types in itertools.product(TYPES, repeat=2):
        literals = sum(t in LITERALS for t in types)
        if literals > (0 if only_arrays else 1):
            continue
        ours, theirs = (dtype_of(lambda x, y, k=k: op(k, x, y), types) for k in (keras, real))
        assert ours == theirs, types


@pytest.mark.parametrize("name", ["add", "multiply", "power", "where"])
def test_ops_in_64_bits(name):
    op = OPS[name]
    with jax.enable_x64(True):
        for types in itertools.product([*TYPES, *WIDE], repeat=2):
            if all(t in (*LITERALS, "bool") for t in types):
                continue
            ours, theirs = (dtype_of(lambda x, y, k=k: op(k, x, y), types) for k in (keras, real))
            assert ours == theirs, types


def test_training_in_float64():
    """`set_floatx("float64")` in JAX's 64-bit mode. Keras still multiplies in float32."""
    x = np.linspace(-1, 1, 12).reshape(4, 3)
    y, kernel = x[:, :1] ** 2, np.ones((3, 4)) / 3
    found = []
    with jax.enable_x64(True):
        for k in (keras, real):
            policy = k.config.dtype_policy()
            k.config.set_floatx("float64")
            # Keras's policy is the one of its first use, whatever `floatx` says later.
            k.config.set_dtype_policy("float64")
            try:
                first = k.layers.Dense(
                    4, "tanh", kernel_initializer=k.initializers.Constant(kernel)
                )
                second = k.layers.Dense(1, kernel_initializer="ones")
                model = k.Sequential([k.Input((3,)), first, second])
                model.compile("adam", "mse", metrics=["mae"])
                history = model.fit(x, y, batch_size=4, epochs=5, verbose=0).history
                found.append((history, [np.asarray(v) for v in model.weights]))
            finally:
                k.config.set_floatx("float32")
                k.config.set_dtype_policy(None if k is keras else policy)
    (ours, weights), (theirs, their_weights) = found
    exact = np.mean((np.tanh(x @ kernel).sum(axis=1, keepdims=True) - y) ** 2)
    np.testing.assert_allclose(ours["loss"][0], exact, rtol=1e-14)
    for name in ("loss", "mae"):
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-6)
    for mine, its in zip(weights, their_weights, strict=True):
        assert mine.dtype == its.dtype == "float64"
        np.testing.assert_allclose(mine, its, rtol=1e-4, atol=1e-6)
