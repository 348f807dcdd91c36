"""`Sequential` models that are built late."""

import numpy as np

import hornbeam as keras
from hornbeam import layers


def test_built_by_a_batch_it_takes_batches_of_other_sizes():
    model = keras.Sequential([layers.Dense(2)])
    model(np.ones((4, 3), "float32"))
    assert model.input_shape == (None, 3)
    assert model(np.ones((2, 3), "float32")).shape == (2, 2)
    fixed = keras.Sequential([keras.Input(batch_shape=(4, 3)), layers.Dense(2)])
    assert fixed(np.ones((2, 3), "float32")).shape == (2, 2)
