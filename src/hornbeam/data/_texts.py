"""Data sets of text files."""

import functools
from typing import Any

from ..core.messages import expected
from ._files import from_directory


def text_dataset_from_directory(
    directory,
    labels="inferred",
    label_mode="int",
    class_names=None,
    batch_size: int | None = 32,
    max_length=None,
    shuffle=True,
    seed=None,
    validation_split=None,
    subset=None,
    follow_links=False,
    format="tf",
    verbose=True,
) -> Any:
    """A data set of the texts in a folder, in which each class has a folder of its own.

    Args:
        directory: the folder; files end in .txt and are UTF-8.
        max_length: how many characters of a text to keep; by default all.

    The other arguments are those of `image_dataset_from_directory`.

    Returns:
        A `Dataset` of `(texts, labels)`, or of texts without labels. Texts are a NumPy array `[b]`
        of `str` objects.

    Example:

    >>> import pathlib, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> for name, text in (("bad", "Oh no."), ("good", "Oh yes!")):
    ...     pathlib.Path(folder.name, name).mkdir()
    ...     _ = pathlib.Path(folder.name, name, "1.txt").write_text(text)
    >>> ds = keras.utils.text_dataset_from_directory(folder.name, shuffle=False, verbose=False)
    >>> ds[0]
    (array(['Oh no.', 'Oh yes!'], dtype=object), array([0, 1], dtype=int32))
    >>> folder.cleanup()
    """
    if max_length is not None and (not isinstance(max_length, int) or max_length < 0):
        raise ValueError(expected("max_length", "an int of at least 0, or None", max_length))
    return from_directory(
        directory,
        "text",
        (".txt",),
        functools.partial(read_text, length=max_length),
        labels=labels,
        label_mode=label_mode,
        class_names=class_names,
        batch_size=batch_size,
        shuffle=shuffle,
        seed=seed,
        validation_split=validation_split,
        subset=subset,
        follow_links=follow_links,
        verbose=verbose,
        format=format,
    )


def read_text(path, length=None):
    """The text of a file, or its first characters."""
    with open(path, encoding="utf-8", newline="") as file:
        return file.read(-1 if length is None else length)
