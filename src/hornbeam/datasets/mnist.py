"""Handwritten digits."""

from ._fetch import fetch, read_npz

__all__ = ["load_data"]


def load_data(path="mnist.npz"):
    """MNIST: 60000 handwritten digits and 10000 for tests (LeCun et al., 1998).

    Args:
        path: name to keep the file under, in the folder of data sets.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: images `[n, 28, 28]` and digits `[n]`, both uint8.
        Their licence is CC BY-SA 3.0.
    """
    file = fetch("mnist.npz", path)
    x_train, y_train, x_test, y_test = read_npz(file, "x_train", "y_train", "x_test", "y_test")
    return (x_train, y_train), (x_test, y_test)
