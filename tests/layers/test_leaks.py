"""Errors about traced values that a layer kept name the layer, the attribute and the line."""

import gc
import re
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hornbeam as keras
from hornbeam.layers import _leaks

X, Y = np.ones((4, 2), "float32"), np.ones((4, 1), "float32")


class Keeps(keras.layers.Layer):
    """Adds the value of the call before."""

    def __init__(self, wrap=lambda x: x, unwrap=lambda x: x, **kwargs):
        super().__init__(**kwargs)
        self.last, self.wrap, self.unwrap = None, wrap, unwrap

    def call(self, x):
        if self.last is not None:
            x = x + self.unwrap(self.last)
        self.last = self.wrap(x)  # the line
        return x


def line():
    with open(__file__) as file:
        number = 1 + next(i for i, text in enumerate(file) if text.rstrip().endswith("# the line"))
    return f"{re.escape(__file__)}, line {number}"


def notes(error):
    return "\n".join(error.value.__notes__)


@pytest.mark.parametrize(
    "containers",
    [(), (lambda x: [x], lambda c: c[0]), (lambda x: {"a": (x,)}, lambda c: c["a"][0])],
    ids=["plain", "list", "nested"],
)
def test_within_the_layer(containers):
    layer = Keeps(*containers, name="keeps")
    jax.jit(lambda x: layer(x))(X)
    with pytest.raises(jax.errors.UnexpectedTracerError) as error:
        layer(X[:1])
    assert re.search(rf"Attribute 'last' of layer 'keeps' \(Keeps\) .* {line()}", notes(error))
    assert "In layer 'keeps' (Keeps), called with x: (1, 2)" in notes(error)


@pytest.mark.parametrize("loop", ["fit", "predict", "evaluate"])
def test_within_a_loop(loop):
    model = keras.Sequential([keras.Input((2,)), Keeps(name="keeps"), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    data = (X,) if loop == "predict" else (X, Y)
    with pytest.raises((TypeError, jax.errors.UnexpectedTracerError)) as error:
        getattr(model, loop)(*data, verbose=0)
    found = notes(error)
    assert re.search(rf"Attribute 'last' of layer '.*/keeps' \(Keeps\) .* {line()}", found)
    assert found.count("Attribute 'last'") == 1


def test_within_a_step_of_the_users():
    """The error comes from code that runs in no layer."""

    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.keeps, self.head = Keeps(name="keeps"), keras.layers.Dense(1)

        def call(self, x):
            return self.head(self.keeps(x))

        def train_step(self, data):
            if self.keeps.last is not None:
                return {"loss": self.keeps.last.sum()}
            self(data[0])
            return {"loss": jnp.float32(0)}

    model = Model()
    model.compile("sgd", "mse")
    wanted = rf"Attribute 'last' of layer '.*keeps' \(Keeps\) .* {line()}"
    with pytest.raises(jax.errors.UnexpectedTracerError, match=wanted):
        for rows in (4, 3):  # traced once for each
            model.fit(X[:rows], Y[:rows], verbose=0)


def test_kept_outside_of_layers():
    kept = []

    class Model(keras.Sequential):
        def train_step(self, data):
            kept.append(data[0].sum())
            return {"loss": kept[0]}

    model = Model([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    message = r"The step uses a value of an earlier trace \(.* of shape \(\) and dtype float32\)"
    with pytest.raises(jax.errors.UnexpectedTracerError, match=message):
        for rows in (4, 3):
            model.fit(X[:rows], Y[:rows], verbose=0)


def test_innocent_attributes_are_not_named():
    """What is used in the call that stored it, and what was overwritten since."""

    class Scores(keras.layers.Layer):
        def call(self, x):
            self.scores = x * 2
            self.gone = self.scores
            self.gone = None
            return self.scores + jnp.ones(3)

    with pytest.raises(ValueError, match="Incompatible shapes") as error:
        jax.jit(Scores())(X)
    assert "Attribute" not in notes(error)


def test_layers_are_not_kept_alive():
    layer = Keeps()
    jax.jit(layer.__call__)(X)
    before = len(_leaks._stored)
    del layer
    jax.clear_caches()
    gc.collect()
    assert len(_leaks._stored) < before


def test_costs_nothing():
    """Setting an attribute to a number, an array, or a long list."""
    values = [1, jnp.ones(2), ["word"] * 1_000_000]

    def seconds():
        start = time.perf_counter()
        for _ in range(1000):
            for value in values:
                _leaks.is_traced(value)
        return time.perf_counter() - start

    assert min(seconds() for _ in range(5)) / 3000 < 2e-6


def test_line_is_that_of_the_user():
    """And not that of a `__setattr__` in between."""

    class Checks(Keeps):
        def __setattr__(self, name, value):
            super().__setattr__(name, value)

    layer = Checks(name="checks")
    jax.jit(layer.__call__)(X)
    with pytest.raises(jax.errors.UnexpectedTracerError) as error:
        layer(X)
    assert re.search(rf"layer 'checks' \(Checks\) .* {line()}", notes(error))
