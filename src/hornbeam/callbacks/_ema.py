"""Evaluating the moving average of the weights instead of the weights."""

from ._base import Callback


class SwapEMAWeights(Callback):
    """Lets evaluations see the moving average of the weights; training goes on with the weights.

    The optimizer has to keep the average: `use_ema=True`.

    Args:
        swap_on_epoch: whether the model holds the average at the end of an epoch, too. A
            `ModelCheckpoint` or another callback that stands behind this one then gets it.

    Raises:
        ValueError: if the optimizer doesn't keep an average.

    Example:

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile(keras.optimizers.SGD(use_ema=True), "mse")
    >>> data = np.ones((8, 2)), np.ones((8, 1))
    >>> callback = keras.callbacks.SwapEMAWeights()
    >>> history = model.fit(*data, validation_data=data, verbose=0, callbacks=[callback])
    """

    def __init__(self, swap_on_epoch=False):
        super().__init__()
        self.swap_on_epoch = swap_on_epoch
        self._weights = None  # the weights while the model holds their average

    def on_train_begin(self, logs=None):
        self._weights = None
        self._check()

    def on_test_begin(self, logs=None):
        self._check()
        self._show_average()

    def on_test_end(self, logs=None):
        self._show_weights()

    def on_epoch_begin(self, epoch, logs=None):
        self._show_weights()

    def on_epoch_end(self, epoch, logs=None):
        if self.swap_on_epoch:
            self._show_average()

    def on_train_end(self, logs=None):
        self._weights = None  # the model has its average, for good

    def _check(self):
        optimizer = self.model.optimizer
        if not any(getattr(part, "use_ema", False) for part in getattr(optimizer, "_parts", ())):
            raise ValueError(
                "SwapEMAWeights needs an optimizer that keeps a moving average of the weights; "
                f"received {optimizer!r}. Pass use_ema=True to it."
            )

    def _averaged(self):
        return list(self.model.optimizer.averaged(self.model.trainable_variables))

    def _show_average(self):
        optimizer = self.model.optimizer
        # Before the first update there is no average.
        if self._weights is None and optimizer.built and int(optimizer.iterations) > 0:
            pairs = self._averaged()
            self._weights = [variable.value for variable, _ in pairs]
            for variable, average in pairs:
                variable.assign(average.value)

    def _show_weights(self):
        if self._weights is not None:
            for (variable, _), value in zip(self._averaged(), self._weights, strict=True):
                variable.assign(value)
            self._weights = None

    def state(self):
        return {"_weights": self._weights}

    def set_state(self, state):
        vars(self).update(state)
