"""`SwapEMAWeights`; tests/against compares what it does in `fit` with Keras."""

import numpy as np
import pytest

import hornbeam as keras
from hornbeam.callbacks import LambdaCallback, SwapEMAWeights

X, Y = np.ones((8, 2), "float32"), np.ones((8, 1), "float32")


def compiled(optimizer):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(optimizer, "mse")
    return model


@pytest.mark.parametrize("loop", ["fit", "evaluate"])
@pytest.mark.parametrize(
    "optimizer",
    [
        keras.optimizers.SGD,
        lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD()),
    ],
)
def test_optimizer_without_an_average(loop, optimizer):
    model = compiled(optimizer())
    with pytest.raises(ValueError, match=r"SwapEMAWeights needs .*received <.*Pass use_ema=True"):
        getattr(model, loop)(X, Y, verbose=0, callbacks=[SwapEMAWeights()])


def test_evaluate_before_the_first_update():
    """There is no average yet."""
    model = compiled(keras.optimizers.SGD(use_ema=True))
    with_it = model.evaluate(X, Y, verbose=0, callbacks=[SwapEMAWeights()])
    assert with_it == model.evaluate(X, Y, verbose=0) != 0


def test_checkpoints_of_the_average(tmp_path):
    """The saved weights are the average, and training goes on from the weights."""
    optimizer = keras.optimizers.SGD(0.05, use_ema=True, ema_momentum=0.9)
    model = compiled(optimizer)
    averages = []
    behind = LambdaCallback(
        on_epoch_end=lambda epoch, logs: averages.append(
            [average.numpy() for _, average in optimizer.averaged(model.trainable_variables)]
        )
    )
    save = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras")
    swap = SwapEMAWeights(swap_on_epoch=True)
    model.fit(X, Y, epochs=2, batch_size=2, verbose=0, callbacks=[swap, save, behind])
    for epoch, average in enumerate(averages):
        saved = keras.models.load_model(tmp_path / f"{epoch + 1}.keras").get_weights()
        np.testing.assert_array_equal(saved[0], average[0])
    np.testing.assert_array_equal(model.get_weights()[0], averages[-1][0])
