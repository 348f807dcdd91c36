"""Weights files changed by hand, for a model that has changed since."""

import numpy as np

from ..core.loading import loading
from ..core.messages import did_you_mean
from ._archive import METADATA, Archive, is_model_folder
from ._atomic import atomic_write
from ._hdf5 import add_checksum
from ._weight_files import open_weights
from ._weights import stores, write_groups

_VARS = "vars"


class KerasFileEditor:
    """The weights in a file, to look at, compare with a model, change, and save again.

    The file is read once, and stays as it is: `save` writes another one (or, given the same path,
    replaces it as a whole).

    Args:
        filepath: a file of weights or of a model, in any format that `load_weights` reads.

    Raises:
        LoadError: if the file isn't whole.

    Example:

    >>> import tempfile
    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="a")])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save_weights(folder + "/old.weights.h5")
    ...     editor = keras.saving.KerasFileEditor(folder + "/old.weights.h5")
    ...     editor.rename_object("dense", "einsum_dense")
    ...     editor.save(folder + "/new.weights.h5")
    ...     keras.saving.KerasFileEditor(folder + "/new.weights.h5").summary()
    Weights of 'new.weights.h5'
    └─ layers
       └─ einsum_dense
          ├─ 0: shape=(3, 2), dtype=float32
          └─ 1: shape=(2,), dtype=float32
    """

    def __init__(self, filepath):
        self.filepath = str(filepath)
        self.metadata = None  # of a `.keras` file: which release wrote it, and when
        self._objects = {}  # {"layers/dense": {"0": array, "1": array}}
        if self.filepath.endswith(".keras") or is_model_folder(filepath):
            with Archive(filepath) as archive:
                if METADATA in archive.names:
                    self.metadata = archive.json(METADATA)
        with open_weights(filepath) as file, loading(self.filepath, file.nbytes):
            for group in sorted(file.groups):
                self._objects[_object_of(group)] = dict(file.read(group))

    # Looking --------------------------------------------------------------------------------------

    def summary(self):
        """Print the objects in the file, with their weights' shapes and types."""
        lines = [f"Weights of '{self.filepath.rpartition('/')[2]}'"]
        if self.metadata is not None:
            lines.append(f"Saved with Keras {self.metadata.get('keras_version')}")
        print("\n".join([*lines, *tree_lines(self._objects)]))

    def compare(self, reference_model):
        """Print how the file differs from a model.

        An optimizer counts only if the file holds its state and the model has one.

        Args:
            reference_model: a built model.

        Returns:
            A dict: `"status"` (`"success"` or `"error"`), `"error_count"` and `"match_count"`.
            Each array that differs or is on one side only is one error.
        """
        model = {_object_of(group): store for group, _, store in stores(reference_model) if store}
        both = [model, self._objects]
        optimizers = {path for side in both for path in side if "optimizer" in path.split("/")}
        matches, errors = 0, []
        for path in sorted(model.keys() | self._objects.keys()):
            if path in optimizers and not all(path in side for side in both):
                continue
            ours, held = model.get(path, {}), self._objects.get(path, {})
            for key in sorted(ours.keys() | held.keys(), key=natural):
                where = f"{path}/{key}".lstrip("/")
                if key not in ours:
                    errors.append(f"{where} {held[key].shape}: in the file, but not in the model")
                elif key not in held:
                    errors.append(f"{where} {_shape(ours[key])}: in the model, but not in the file")
                elif held[key].shape != _shape(ours[key]):
                    errors.append(
                        f"{where}: {held[key].shape} in the file, {_shape(ours[key])} in the model"
                    )
                else:
                    matches += 1
        for line in errors:
            print(line)
        print(f"{matches} weights match, {len(errors)} don't.")
        status = "error" if errors else "success"
        return {"status": status, "error_count": len(errors), "match_count": matches}

    # Changing -------------------------------------------------------------------------------------

    def rename_object(self, object_name, new_name):
        """Give an object, such as a layer, another name; what is inside goes with it.

        Args:
            object_name: its path (`"layers/dense_2"`), or its name if only one has it.
            new_name: the name in the place of the last part of the path.

        Raises:
            ValueError: if there is no such object, or one with the new name.
        """
        if "/" in new_name or not new_name:
            raise ValueError(
                f"new_name takes the place of the last part of a path, and has no '/'; received "
                f"'{new_name}'."
            )
        path = self._find(object_name)
        parent = path.rpartition("/")[0]
        new = f"{parent}/{new_name}" if parent else new_name
        if new in self._paths():
            raise ValueError(f"There is a '{new}' in the file. Delete or rename that first.")
        inside = self._inside(path)
        self._objects = {
            new + old.removeprefix(path) if old in inside else old: arrays
            for old, arrays in self._objects.items()
        }

    def delete_object(self, object_name):
        """Remove an object, such as a layer, and what is inside it.

        Args:
            object_name: its path (`"layers/dense_2"`), or its name if only one has it.
        """
        for path in self._inside(self._find(object_name)):
            del self._objects[path]

    def add_object(self, object_path, weights):
        """Add an object, such as a layer.

        Args:
            object_path: its path (`"layers/dense_2"`).
            weights: dict from names (`"0"`, `"1"`) to arrays.

        Raises:
            ValueError: if there is one of this path.
        """
        path = object_path.strip("/")
        if path in self._paths():
            raise ValueError(
                f"There is a '{path}' in the file. `add_weights` adds to it, `delete_object` "
                "removes it."
            )
        self._objects[path] = _arrays(weights)

    def add_weights(self, object_name, weights):
        """Add weights to an object; one of a name that is there is replaced.

        Args:
            object_name: path or name of the object.
            weights: dict from names (`"0"`, `"1"`) to arrays.
        """
        self._objects.setdefault(self._find(object_name), {}).update(_arrays(weights))

    def delete_weight(self, object_name, weight_name):
        """Remove a weight from an object.

        Args:
            object_name: path or name of the object.
            weight_name: name of the weight (`"0"`).

        Raises:
            ValueError: if there is no such object or weight.
        """
        path = self._find(object_name)
        held = self._objects.get(path, {})
        if str(weight_name) not in held:
            raise ValueError(
                f"'{path}' has no weight {str(weight_name)!r}; it has {sorted(held, key=natural)}."
            )
        del held[str(weight_name)]

    def save(self, filepath):
        """Write the weights to a file; one that exists is replaced as a whole.

        Args:
            filepath: path ending in `.weights.h5`.
        """
        if not str(filepath).endswith(".weights.h5"):
            raise ValueError(f"A file of weights ends in '.weights.h5'; received '{filepath}'.")
        groups = (
            (f"{path}/{_VARS}".lstrip("/"), None, arrays) for path, arrays in self._objects.items()
        )
        with atomic_write(filepath) as temporary, temporary.open("w+b") as file:
            write_groups(file, groups)
            add_checksum(file)

    def resave_weights(self, filepath):
        """The same as `save`."""
        self.save(filepath)

    # Names ----------------------------------------------------------------------------------------

    def _paths(self):
        """The paths of all objects, and of what they are in."""
        found = {}
        for path in self._objects:
            parts = path.split("/")
            found.update(("/".join(parts[: i + 1]), True) for i in range(len(parts)))
        return found

    def _find(self, name):
        """The path that a name or path means."""
        paths, name = self._paths(), name.strip("/")
        if name in paths:
            return name
        found = [path for path in paths if path.rpartition("/")[2] == name]
        if len(found) == 1:
            return found[0]
        if found:
            raise ValueError(
                f"{len(found)} objects are named '{name}'; pass one of their paths: "
                f"{', '.join(map(repr, found))}."
            )
        names = {path.rpartition("/")[2] for path in paths} | paths.keys()
        raise ValueError(
            f"There is no object '{name}' in the file; `summary()` lists all. "
            f"{did_you_mean(name, names)}".strip()
        )

    def _inside(self, path):
        return [p for p in self._objects if p == path or p.startswith(f"{path}/")]


def _object_of(group):
    """The path of an object from that of its group: `layers/dense` of `layers/dense/vars`."""
    return group.removesuffix(_VARS).rstrip("/") if group.split("/")[-1] == _VARS else group


def _arrays(weights):
    return {str(key): np.asarray(value) for key, value in weights.items()}


def _shape(value):
    return tuple(np.shape(value) if not hasattr(value, "shape") else value.shape)


def natural(key):
    """Numbers in their order, before names."""
    return (0, int(key), "") if key.isdecimal() else (1, 0, key)


def tree_lines(objects):
    """The lines of a tree of `{path: {name: array}}`."""
    tree = {}
    for path, arrays in objects.items():
        inner = tree
        for part in filter(None, path.split("/")):
            inner = inner.setdefault(part, {})
        for key in sorted(arrays, key=natural):
            array = arrays[key]
            inner[f"{key}: shape={tuple(array.shape)}, dtype={array.dtype.name}"] = {}
    return list(_lines(tree, ""))


def _lines(tree, indent):
    for number, (name, inner) in enumerate(tree.items()):
        last = number == len(tree) - 1
        yield f"{indent}{'└─' if last else '├─'} {name}"
        yield from _lines(inner, indent + ("   " if last else "│  "))
