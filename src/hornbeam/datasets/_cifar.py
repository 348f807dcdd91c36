"""CIFAR's binary files: records of labels and pixels. The pickles of the same data stay closed."""

import os

import numpy as np

from ..core.settings import image_data_format
from ._fetch import fetch

_HOST = "https://www.cs.toronto.edu/~kriz/"
_PIXELS = 3 * 32 * 32


def load(name, folder, train, test, labels, label):
    """`(x_train, y_train), (x_test, y_test)`.

    Args:
        name: of the archive.
        folder: the folder in it.
        train, test: names of files.
        labels: number of labels of a record, a byte each, in front of its pixels.
        label: which of them to return.
    """
    root = fetch(f"{name}.tar.gz", name, _HOST, extract=True)
    return tuple(_read(os.path.join(root, folder), files, labels, label) for files in (train, test))


def _read(folder, files, labels, label):
    whole = []
    for file in files:
        path = os.path.join(folder, file)
        data = np.fromfile(path, "uint8")
        if len(data) % (labels + _PIXELS) or not len(data):
            raise ValueError(f"{path} isn't made of records of {labels + _PIXELS} bytes.")
        whole.append(data.reshape(-1, labels + _PIXELS))
    records = np.concatenate(whole)
    x = records[:, labels:].reshape(-1, 3, 32, 32)
    if image_data_format() == "channels_last":
        x = x.transpose(0, 2, 3, 1)
    return np.ascontiguousarray(x), records[:, label : label + 1]
