"""Rematerialization: what is computed again, and that nothing else changes."""

import jax
import jax.numpy as jnp
import numpy as np

import hornbeam as keras
from helpers import Busy
from hornbeam.core.masks import get_mask, set_mask

X = np.linspace(-1, 1, 8).reshape(2, 4).astype("float32")


def test_values_are_computed_again():
    def block(x):
        return jnp.sin(jnp.sin(jnp.sin(x)))

    def cosines(function):
        return str(jax.make_jaxpr(jax.grad(lambda x: function(x).sum()))(X))

    stored, again = cosines(block), cosines(keras.remat(block))
    assert (stored.count(" sin "), again.count(" sin ")) == (3, 5)  # the last isn't needed twice
    np.testing.assert_allclose(keras.remat(block)(X), block(X))
    assert keras.remat(block).__name__ == "block"


def test_functions_with_state_and_masks():
    layer, count = Busy(), keras.Variable(0.0)
    layer.build((None, 4))

    @keras.remat
    def block(x, scale, flag):
        count.assign_add(1.0)
        y = layer(x, training=flag) * scale
        set_mask(y, x[:, 0] > 0)
        return {"y": y, "nothing": None}

    with keras.StatelessScope() as scope:
        found = block(jnp.asarray(X), 2.0, flag=True)
        assert get_mask(found["y"]).tolist() == [False, True] and found["nothing"] is None
    assert float(scope.get_current_value(count)) == 1
    assert float(scope.get_current_value(layer.calls.total)) == 1
    assert len(layer.losses) == 2  # what was added, and the weights' regularization
