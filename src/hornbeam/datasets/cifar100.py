"""Small pictures of a hundred kinds."""

from ..core.messages import one_of
from ._cifar import load

__all__ = ["load_data"]


def load_data(label_mode="fine"):
    """CIFAR-100: 50000 colour images and 10000 for tests (Krizhevsky, 2009).

    Args:
        label_mode: `"fine"` for 100 classes, `"coarse"` for 20 groups of these.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: images `[n, 32, 32, 3]` (or with channels first, if
        that is the default data format) and labels `[n, 1]`, both uint8.
    """
    one_of("label_mode", label_mode, ("fine", "coarse"))
    label = ("coarse", "fine").index(label_mode)
    return load("cifar-100-binary", "cifar-100-binary", ["train.bin"], ["test.bin"], 2, label)
