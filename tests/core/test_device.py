import jax
import pytest

import hornbeam as keras


@pytest.mark.parametrize("name", ["cpu:0", "CPU", jax.devices("cpu")[0]])
def test_arrays_are_made_there(name):
    with keras.device(name):
        assert keras.ops.ones(2).devices() == {jax.devices("cpu")[0]}


@pytest.mark.parametrize("name", ["cpu:7", "cpu:x", "gpux:0", 0, None])
def test_no_such_device(name):
    with pytest.raises(ValueError, match=r"device_name should be a string such as 'gpu:0'"):
        keras.device(name)


def test_symbolic_scope():
    with keras.SymbolicScope():
        assert keras.layers.Dense(3)(keras.Input((2,))).shape == (None, 3)
