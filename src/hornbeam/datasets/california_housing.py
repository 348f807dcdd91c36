"""Prices of houses in California."""

from ..core.messages import one_of
from ._fetch import fetch, read_npz, split

__all__ = ["load_data"]


def load_data(version="large", path="california_housing.npz", test_split=0.2, seed=113):
    """California housing: 8 features of 20640 blocks, and the median price of houses in dollars.

    They are longitude and latitude, age of houses, rooms, bedrooms, people, households and income
    (Pace & Barry, 1997).

    Args:
        version: `"large"` for all, `"small"` for the first 600 of them.
        path: name to keep the file under, in the folder of data sets.
        test_split: the part to return as the second one.
        seed: int that the order comes from.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: features `[n, 8]` and prices `[n]`.
    """
    one_of("version", version, ("large", "small"))
    x, y = read_npz(fetch("california_housing.npz", path), "x", "y")
    if version == "small":
        x, y = x[:600], y[:600]
    return split(x, y, test_split, seed)
