"""Pieces of clothing."""

import gzip
import os

import numpy as np

from ._fetch import fetch

__all__ = ["load_data"]


def load_data():
    """Fashion-MNIST: 60000 pictures of clothes and 10000 for tests (Xiao, Rasul & Vollgraf, 2017).

    The classes are T-shirt or top, trouser, pullover, dress, coat, sandal, shirt, sneaker, bag and
    ankle boot.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: images `[n, 28, 28]` and labels `[n]`, both uint8.
        Their licence is MIT.
    """

    def read(name):
        options = {"cache_subdir": os.path.join("datasets", "fashion-mnist")}
        file = fetch(f"{name}.gz", **options)
        with gzip.open(file, "rb") as unpacked:
            data = unpacked.read()
        # Two zero bytes, the type (8: bytes), the number of axes, and their sizes of 4 bytes each.
        rank = data[3]
        sizes = [int(n) for n in np.frombuffer(data, ">u4", rank, 4)]
        if data[:3] != b"\0\0\x08" or len(data) != 4 + 4 * rank + np.prod(sizes, dtype=int):
            raise ValueError(f"{file} isn't an array of bytes in the format IDX.")
        return np.frombuffer(data, "uint8", offset=4 + 4 * rank).reshape(sizes)

    return (
        (read("train-images-idx3-ubyte"), read("train-labels-idx1-ubyte")),
        (read("t10k-images-idx3-ubyte"), read("t10k-labels-idx1-ubyte")),
    )
