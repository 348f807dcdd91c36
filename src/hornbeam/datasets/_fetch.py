"""Where the data sets come from, and what their files hold."""

import os
import zipfile

import numpy as np

from ..utils import get_file
from ._lists import read_lists

_HOST = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"

# Hashes of the files; those of Fashion-MNIST aren't published for this host.
HASHES = {
    "mnist.npz": "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
    "imdb.npz": "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f",
    "imdb_word_index.json": "bfafd718b763782e994055a2d397834f",
    "reuters.npz": "d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916",
    "reuters_word_index.json": "4d44cc38712099c9e383dc6e5f11a921",
    "boston_housing.npz": "f553886a1f8d56431e820c5b82552d9d95cfcb96d1e678153f8839538947dff5",
    "california_housing.npz": "1a2e3a52e0398de6463aebe6f4a8da34fb21fbb6b934cf88c3425e766f2a1a6f",
    "cifar-10-binary.tar.gz": "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    "cifar-100-binary.tar.gz": "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
}


def fetch(name, path=None, host=_HOST, **options):
    """Path of a file, under the name `path` in the folder of data sets."""
    path = os.fspath(name if path is None else path)
    folder, path = os.path.split(path)
    options.setdefault("cache_subdir", os.path.join("datasets", folder) if folder else "datasets")
    return get_file(path, host + name, file_hash=HASHES.get(name), **options)


def read_npz(path, *names):
    """Arrays of an .npz file; one of objects must hold lists of ints, and nothing is unpickled."""
    with np.load(path, allow_pickle=False) as file, zipfile.ZipFile(path) as archive:
        found = []
        for name in names:
            with archive.open(f"{name}.npy") as member:
                version = np.lib.format.read_magic(member)
                header = {
                    (1, 0): np.lib.format.read_array_header_1_0,
                    (2, 0): np.lib.format.read_array_header_2_0,
                }[version]
                shape, _, dtype = header(member)
                found.append(read_lists(member.read(), shape) if dtype.hasobject else file[name])
    return found


def split(x, y, test_split, seed):
    """`(x_train, y_train), (x_test, y_test)` of shuffled rows."""
    if not 0 <= test_split < 1:
        raise ValueError(f"test_split should be from 0 to below 1; received {test_split}.")
    order = np.arange(len(x))
    np.random.RandomState(seed).shuffle(order)
    x, y = x[order], y[order]
    stop = int(len(x) * (1 - test_split))
    return (x[:stop], y[:stop]), (x[stop:], y[stop:])
