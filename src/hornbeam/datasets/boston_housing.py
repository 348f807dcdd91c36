"""Prices of houses in Boston."""

from ._fetch import fetch, read_npz, split

__all__ = ["load_data"]


def load_data(path="boston_housing.npz", test_split=0.2, seed=113):
    """Boston housing: 13 features of 506 places, and the median price of houses in 1000 dollars.

    One of the features assumes that prices depend on the colour of the people around; use
    `california_housing` for anything but showing what is wrong with that.

    Args:
        path: name to keep the file under, in the folder of data sets.
        test_split: the part to return as the second one.
        seed: int that the order comes from.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: features `[n, 13]` and prices `[n]`.
    """
    x, y = read_npz(fetch("boston_housing.npz", path), "x", "y")
    return split(x, y, test_split, seed)
