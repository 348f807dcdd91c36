"""News of 1987."""

import json

import numpy as np

from ._fetch import fetch, read_npz
from ._sequences import prepared

__all__ = ["get_label_names", "get_word_index", "load_data"]

_TOPICS = """
cocoa grain veg-oil earn acq wheat copper housing money-supply coffee sugar trade reserves ship
cotton carcass crude nat-gas cpi money-fx interest gnp meal-feed alum oilseed gold tin
strategic-metal livestock retail ipi iron-steel rubber heat jobs lei bop zinc orange pet-chem dlr
gas silver wpi hog lead
"""


def load_data(
    path="reuters.npz",
    num_words=None,
    skip_top=0,
    maxlen=None,
    test_split=0.2,
    seed=113,
    start_char=1,
    oov_char=2,
    index_from=3,
):
    """Reuters: 11228 pieces of news of 46 topics.

    A piece is a list of word numbers, by falling frequency. 0 stands for nothing: it is meant for
    padding.

    Args:
        test_split: the part to return as the second one.

    The other arguments are those of `keras.datasets.imdb.load_data`.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: arrays of lists, and of topics.
    """
    x, y = read_npz(fetch("reuters.npz", path), "x", "y")
    order = np.arange(len(x))
    np.random.RandomState(seed).shuffle(order)
    options = (num_words, skip_top, maxlen, start_char, oov_char, index_from)
    x, y = prepared(x[order], y[order], *options)
    stop = int(len(x) * (1 - test_split))
    return (x[:stop], y[:stop]), (x[stop:], y[stop:])


def get_word_index(path="reuters_word_index.json"):
    """The numbers of words, `{word: number}`, before `index_from` is added.

    Args:
        path: name to keep the file under, in the folder of data sets.
    """
    with open(fetch("reuters_word_index.json", path), encoding="utf-8") as file:
        return json.load(file)


def get_label_names():
    """The topics, in the order of their numbers.

    Example:

    >>> keras.datasets.reuters.get_label_names()[3]
    'earn'
    """
    return tuple(_TOPICS.split())
