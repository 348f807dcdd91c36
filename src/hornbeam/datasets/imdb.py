"""Reviews of films."""

import json

import numpy as np

from ..core.messages import unknown_keywords
from ._fetch import fetch, read_npz
from ._sequences import prepared

__all__ = ["get_word_index", "load_data"]


def load_data(
    path="imdb.npz",
    num_words=None,
    skip_top=0,
    maxlen=None,
    seed=113,
    start_char=1,
    oov_char=2,
    index_from=3,
    **kwargs,
):
    """IMDB: 25000 reviews of films and 25000 for tests, good ones and bad ones (Maas et al., 2011).

    A review is a list of word numbers, by falling frequency. 0 stands for nothing: it is meant for
    padding.

    Args:
        path: name to keep the file under, in the folder of data sets.
        num_words: words from this number on become `oov_char`; by default none.
        skip_top: words before this number do, too.
        maxlen: reviews of this length, counted with `start_char`, and longer ones are left out.
        seed: int that the order comes from.
        start_char: number at the start of each review; `None` for none.
        oov_char: number for words out of vocabulary; `None` leaves them out.
        index_from: what is added to the numbers of words.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: arrays of lists, and of labels: 1 for a good one.
    """
    if kwargs:
        raise unknown_keywords("imdb.load_data", kwargs)
    file = fetch("imdb.npz", path)
    arrays = read_npz(file, "x_train", "y_train", "x_test", "y_test")
    random, parts = np.random.RandomState(seed), []
    for x, y in (arrays[:2], arrays[2:]):
        order = np.arange(len(x))
        random.shuffle(order)
        options = (num_words, skip_top, maxlen, start_char, oov_char, index_from)
        parts.append(prepared(x[order], y[order], *options))
    return tuple(parts)


def get_word_index(path="imdb_word_index.json"):
    """The numbers of words, `{word: number}`, before `index_from` is added.

    Args:
        path: name to keep the file under, in the folder of data sets.
    """
    with open(fetch("imdb_word_index.json", path), encoding="utf-8") as file:
        return json.load(file)
