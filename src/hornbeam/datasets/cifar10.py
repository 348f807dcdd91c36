"""Small pictures of ten kinds."""

from ._cifar import load

__all__ = ["load_data"]


def load_data():
    """CIFAR-10: 50000 colour images and 10000 for tests (Krizhevsky, 2009).

    The classes are airplane, automobile, bird, cat, deer, dog, frog, horse, ship and truck.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: images `[n, 32, 32, 3]` (or with channels first, if
        that is the default data format) and labels `[n, 1]`, both uint8.
    """
    train = [f"data_batch_{i}.bin" for i in range(1, 6)]
    return load("cifar-10-binary", "cifar-10-batches-bin", train, ["test_batch.bin"], 1, 0)
