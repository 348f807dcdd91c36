"""Data sets of files in folders: which files, their labels and their split."""

import os

import numpy as np

from ..core.messages import expected, one_of
from ._dataset import Dataset, collate, random_seed

FORMATS = ("tf", "grain")  # of Keras; both mean a `Dataset` here


def from_directory(
    directory,
    what,
    endings,
    read,
    *,
    labels,
    label_mode,
    class_names,
    batch_size,
    shuffle,
    seed,
    validation_split,
    subset,
    follow_links,
    verbose,
    format="tf",
    join=collate,
    workers=1,
):
    """The data set, or the two of them, of the files in a folder.

    What isn't explained here are arguments of the functions in `utils`.

    Args:
        what: what a file holds, for messages.
        endings: how names of files may end.
        read: function from a path to an array or string.
        join: function from a list of these to a batch.
        workers: how many threads read ahead.
    """
    one_of("format", format, FORMATS)
    one_of("label_mode", label_mode, ("int", "categorical", "binary", None))
    if batch_size is not None and (not isinstance(batch_size, int) or batch_size < 1):
        raise ValueError(expected("batch_size", "an int of at least 1, or None", batch_size))
    parts = _parts_of_split(validation_split, subset, shuffle, seed)
    if not os.path.isdir(directory):
        raise FileNotFoundError(expected("directory", "an existing folder", directory))
    if label_mode is None:
        labels = None
    paths, numbers, class_names = _find(directory, endings, labels, class_names, follow_links)
    if verbose:
        classes = "" if class_names is None else f" belonging to {len(class_names)} classes"
        print(f"Found {len(paths)} files{classes}.")
    if not paths:
        raise ValueError(
            f"There are no {what} files in {directory}: their names end in {', '.join(endings)}."
        )
    encoded = None if numbers is None else _encoded(numbers, label_mode, class_names)
    order = np.arange(len(paths))
    if shuffle:
        seed = random_seed() if seed is None else seed
        np.random.RandomState(seed).shuffle(order)  # Keras's order, so that splits are its own
    held = int((validation_split or 0) * len(paths))
    found = []
    for part in parts:
        rows = {None: order, "training": order[: len(order) - held]}.get(part, order[-held:])
        if part and verbose:
            print(f"Using {len(rows)} files for {part}.")
        if part and (not len(rows) or not held):
            raise ValueError(
                f"validation_split={validation_split} of {len(paths)} files leaves nothing for "
                f"{'training' if held else 'validation'}."
            )
        files = [paths[i] for i in rows]
        fetch = Files(files, None if encoded is None else encoded[rows], what, read, join)
        about = {"workers": workers, "class_names": class_names, "file_paths": files}
        found.append(Dataset.of_rows(len(rows), fetch, batch_size, shuffle, seed, 1, **about))
    return tuple(found) if subset == "both" else found[0]


class Files:
    """Makes batches of files: what a `Dataset` calls with the numbers of rows.

    Args:
        paths: of the files.
        labels: array with a label for each, or `None`.
        what, read, join: see `from_directory`.
    """

    def __init__(self, paths, labels, what, read, join):
        self._paths, self._labels = paths, labels
        self._what, self._read, self._join = what, read, join
        self.pads = getattr(join, "pads", False)

    def __call__(self, numbers):
        x = self._join([self._one(self._paths[i]) for i in numbers])
        return x if self._labels is None else (x, self._labels[numbers])

    def _one(self, path):
        try:
            return self._read(path)
        except FileNotFoundError:
            raise FileNotFoundError(
                f"{path} was there when the data set was made, and is gone."
            ) from None
        except (ImportError, MemoryError):
            raise
        except Exception as error:
            raise ValueError(f"{path} can't be read as {self._what}: {error}") from error


def _find(directory, endings, labels, class_names, follow_links):
    """Paths, numbers of their classes (`None` without labels), and the classes' names."""
    if labels is None:
        return _walk(directory, endings, follow_links), None, None
    if not isinstance(labels, str):
        if class_names is not None:
            raise ValueError(expected("class_names", "None if labels are listed", class_names))
        return _with_labels(_walk(directory, endings, follow_links), labels, directory)
    one_of("labels", labels, ("inferred",))
    folders = sorted(
        entry.name
        for entry in os.scandir(directory)
        if entry.is_dir() and not entry.name.startswith(".")
    )
    if class_names is None:
        class_names = folders
    else:
        missing = [name for name in class_names if name not in folders]
        if missing:
            raise ValueError(
                f"class_names has {', '.join(map(repr, missing))}, but {directory} has only the "
                f"folders {', '.join(folders) or '(none)'}."
            )
        class_names = list(class_names)
    each = [_walk(os.path.join(directory, name), endings, follow_links) for name in class_names]
    numbers = np.repeat(np.arange(len(each)), [len(paths) for paths in each])
    return [path for paths in each for path in paths], numbers, class_names


def _walk(directory, endings, follow_links):
    folders = sorted(os.walk(directory, followlinks=follow_links), key=lambda found: found[0])
    return [
        os.path.join(folder, name)
        for folder, _, names in folders
        for name in sorted(names)
        if name.lower().endswith(tuple(endings))
    ]


def _with_labels(paths, labels, directory):
    numbers = np.asarray(labels)
    if len(numbers) != len(paths):
        raise ValueError(
            f"labels should have one number for each file; there are {len(numbers)} labels and "
            f"{len(paths)} files in {directory}."
        )
    if numbers.dtype.kind not in "iu" or numbers.ndim != 1:
        raise ValueError(expected("labels", "ints, one for each file", labels))
    return paths, numbers, [str(n) for n in np.unique(numbers)]


def _encoded(numbers, mode, class_names):
    if mode == "int":
        return numbers.astype("int32")
    count = len(class_names)
    if mode == "binary" and count != 2:
        raise ValueError(
            f'label_mode="binary" is for two classes; there are {count}: {class_names}.'
        )
    if numbers.min() < 0 or numbers.max() >= count:
        raise ValueError(
            f'With label_mode="{mode}" the {count} labels should be the numbers from 0 to '
            f"{count - 1}; received {', '.join(class_names)}."
        )
    if mode == "binary":
        return numbers.astype("float32")[:, None]
    return np.eye(count, dtype="float32")[numbers]


def _parts_of_split(validation_split, subset, shuffle, seed):
    one_of("subset", subset, (None, "training", "validation", "both"))
    if (validation_split is None) != (subset is None):
        raise ValueError(
            "validation_split and subset go together; received "
            f"validation_split={validation_split} and subset={subset!r}."
        )
    if validation_split is not None:
        if not 0 < validation_split < 1:
            raise ValueError(expected("validation_split", "between 0 and 1", validation_split))
        if shuffle and seed is None:
            raise ValueError(
                "A validation_split of shuffled files needs a seed, so that both parts come from "
                "one order: pass seed, or shuffle=False."
            )
    return ("training", "validation") if subset == "both" else (subset,)
