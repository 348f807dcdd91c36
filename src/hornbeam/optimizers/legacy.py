"""Names of Keras 2, which say what to use instead."""

_MSG = """\
keras.optimizers.legacy held the optimizers of Keras 2, which are gone. Use the one of the same \
name in keras.optimizers. `decay` became a schedule, such as \
keras.optimizers.schedules.InverseTimeDecay; `lr` is learning_rate."""


class LegacyOptimizer:
    """Raises an `ImportError`."""

    def __init__(self, *args, **kwargs):
        raise ImportError(_MSG)


Adagrad = Adam = Ftrl = Optimizer = RMSprop = SGD = LegacyOptimizer

__all__ = ["Adagrad", "Adam", "Ftrl", "Optimizer", "RMSprop", "SGD"]
