"""Texts as lists of word numbers: what `imdb` and `reuters` do with them."""

import numpy as np


def prepared(x, y, num_words, skip_top, maxlen, start_char, oov_char, index_from):
    """Sequences with a start, of limited words, and their labels; those that are too long left out.

    Args:
        x: sequences of word numbers, by falling frequency.
        y: their labels.
        num_words: words from this number on are out of vocabulary; `None` for none.
        skip_top: so are words before this one.
        maxlen: sequences must be shorter than this; `None` for any length.
        start_char: what to put in front of each, or `None`.
        oov_char: what stands for words out of vocabulary; `None` leaves them out.
        index_from: what to add to word numbers.
    """
    start = [] if start_char is None else [start_char]
    x = [start + [word + index_from for word in row] for row in x]
    if maxlen is not None:
        kept = [i for i, row in enumerate(x) if len(row) < maxlen]
        x, y = [x[i] for i in kept], y[kept]
        if not x:
            raise ValueError(f"No sequence is shorter than maxlen={maxlen}.")
    if num_words is None:
        num_words = max(max(row, default=0) for row in x) + 1
    if oov_char is None:
        x = [[word for word in row if skip_top <= word < num_words] for row in x]
    else:
        x = [[w if skip_top <= w < num_words else oov_char for w in row] for row in x]
    result = np.empty(len(x), dtype=object)
    result[:] = x
    return result, y
