"""The masks of merging layers."""

import jax.numpy as jnp
import numpy as np
import pytest

from hornbeam import layers

A, B = np.array([[True, True, False, False]]), np.array([[True, False, True, False]])


def tensor(mask):
    x = jnp.ones((1, 4, 3))
    if mask is not None:
        x._keras_mask = jnp.asarray(mask)
    return x


def mask_of(x):
    mask = getattr(x, "_keras_mask", None)
    return None if mask is None else np.asarray(mask)


ELEMENTWISE = [layers.Add, layers.Average, layers.Maximum, layers.Minimum, layers.Multiply]


@pytest.mark.parametrize("layer", [*ELEMENTWISE, layers.Subtract, layers.Concatenate])
@pytest.mark.parametrize(
    ("masks", "expected"), [((A, B), A | B), ((A, None), A), ((None, B), B), ((None, None), None)]
)
def test_masks_are_not_lost(layer, masks, expected):
    np.testing.assert_array_equal(mask_of(layer()([tensor(m) for m in masks])), expected)


def test_concatenating_steps_concatenates_masks():
    out = layers.Concatenate(axis=1)([tensor(A), tensor(None)])
    np.testing.assert_array_equal(mask_of(out), np.concatenate([A, np.ones((1, 4), bool)], 1))


def test_dot_ends_masks():
    assert mask_of(layers.Dot(2)([tensor(A), tensor(B)])) is None


def test_functional_forms():
    x, y = np.ones((2, 3)), np.full((2, 3), 4.0)
    results = {
        layers.add: 5,
        layers.subtract: -3,
        layers.multiply: 4,
        layers.average: 2.5,
        layers.maximum: 4,
        layers.minimum: 1,
    }
    for function, value in results.items():
        np.testing.assert_array_equal(function([x, y], name="merged"), np.full((2, 3), value))
    assert layers.concatenate([x, y], axis=0).shape == (4, 3)
    assert layers.dot([x, y], axes=1).shape == (2, 1)


@pytest.mark.parametrize(
    ("layer", "inputs", "match"),
    [
        (layers.Add(), np.ones((2, 3)), "a list of tensors"),
        (layers.Add(), [np.ones((2, 3)), np.ones((2, 4))], r"\(2, 3\), \(2, 4\)"),
        (layers.Subtract(), [np.ones((2, 3))], "takes 2 tensors"),
        (layers.Concatenate(), [np.ones((2, 3)), np.ones((3, 3))], "equal but along axis=-1"),
        (layers.Dot(1), [np.ones((2, 3)), np.ones((2, 4))], "should be equal"),
    ],
)
def test_errors(layer, inputs, match):
    with pytest.raises(ValueError, match=match):
        layer(inputs)
