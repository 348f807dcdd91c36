"""Checkpoints in Orbax's form: a numbered folder for each, sharded arrays as they are.

A checkpoint has two items: `weights`, a tree of arrays with the paths that a weights file has, and
`about`, JSON with the model's structure and what is known of its training.
"""

import math
import pathlib
from typing import Any

import jax
import numpy as np

from ..core.loading import SLACK, LoadError, check_limit, limits, loading
from ..core.messages import missing_package
from ..core.variable import Variable
from ._folder import FolderReader
from ._zip import is_plain_name

_WEIGHTS, _ABOUT = "weights", "about"
_JSON = {"_METADATA", "_CHECKPOINT_METADATA", "metadata"}
_COMMITTED = "_CHECKPOINT_METADATA"  # Orbax gives a folder its name when all is in it


def orbax(what) -> Any:
    """The package orbax.checkpoint, or an error that says how to install it."""
    try:
        import orbax.checkpoint
    except ImportError:
        raise missing_package("orbax-checkpoint", "orbax", what) from None
    return orbax.checkpoint


class CheckpointFolder:
    """A folder that checkpoints are written to.

    Args:
        directory: path of the folder; it is made if it doesn't exist.
        max_to_keep: how many checkpoints to keep, the last ones; `None` for all.
        background: whether writing goes on in the background.
    """

    def __init__(self, directory, max_to_keep, background):
        self._orbax = orbax("keras.callbacks.OrbaxCheckpoint")
        options = self._orbax.CheckpointManagerOptions(
            max_to_keep=max_to_keep,
            enable_async_checkpointing=background,
            cleanup_tmp_directories=True,
        )
        self._manager = self._orbax.CheckpointManager(
            pathlib.Path(directory).absolute(), options=options
        )

    def save(self, step, values, about):
        """Write a checkpoint.

        Args:
            step: its number; the next free one if there are such or later ones.
            values: `(group, name, variable or array)` of everything in it.
            about: dict of plain data to keep beside that.

        Returns:
            The number.
        """
        latest = self._manager.latest_step()
        step = step if latest is None else max(step, latest + 1)
        tree = {}
        for group, name, value in values:
            inner = tree
            for part in group.split("/"):
                inner = inner.setdefault(part, {})
            # A variable's array may be spread over devices, and is not moved here.
            inner[name] = value.value if isinstance(value, Variable) else np.asarray(value)
        args = self._orbax.args
        items = {_WEIGHTS: args.PyTreeSave(tree), _ABOUT: args.JsonSave(about)}
        self._manager.save(step, args=args.Composite(**items), force=True)
        return step

    def wait(self):
        """Wait until everything is on the disk."""
        self._manager.wait_until_finished()

    def close(self):
        """Wait, and end what was started to write."""
        self._manager.close()


def find_checkpoint(path):
    """The folder of a checkpoint: `path` itself, or the last one in it; `None` if there is none."""
    path = pathlib.Path(path).absolute()
    if not path.is_dir():
        return None
    if (path / _COMMITTED).exists():
        return path
    numbered = [p for p in path.iterdir() if p.name.isdigit() and (p / _COMMITTED).exists()]
    return max(numbered, key=lambda p: int(p.name), default=None)


class Checkpoint:
    """A checkpoint that is read: `about`, and weights as a `WeightsFile` gives them.

    Raises:
        LoadError: if the checkpoint was written by something else, or is broken.
    """

    def __init__(self, path):
        ocp = orbax("Loading an Orbax checkpoint")
        self.name, self.groups, self.nbytes = str(path), {}, 0
        if not (path / _WEIGHTS).is_dir() or not (path / _ABOUT).is_dir():
            held = ", ".join(sorted(p.name for p in path.iterdir() if p.is_dir())) or "nothing"
            raise LoadError(
                f"'{path}' is not a checkpoint of hornbeam's OrbaxCheckpoint, which has the items "
                f"'{_WEIGHTS}' and '{_ABOUT}'; it holds {held}."
            )
        held = _check_files(path)
        handlers = {_WEIGHTS: ocp.PyTreeCheckpointHandler(), _ABOUT: ocp.JsonCheckpointHandler()}
        with (
            loading(self.name),
            ocp.Checkpointer(ocp.CompositeCheckpointHandler(**handlers)) as reader,
        ):
            tree = reader.metadata(path).item_metadata[_WEIGHTS].tree
            self._check_arrays(tree, held)
            on_host = ocp.args.PyTreeRestore(
                restore_args=_mapped(tree, ocp.RestoreArgs(np.ndarray))
            )
            args = ocp.args.Composite(**{_WEIGHTS: on_host, _ABOUT: ocp.args.JsonRestore()})
            restored = reader.restore(path, args=args)
        self.about = restored[_ABOUT]
        self._collect(restored[_WEIGHTS], ())

    def _check_arrays(self, tree, held):
        """The arrays that the checkpoint says it has are not much larger than its files."""
        nbytes = sum(math.prod(x.shape) * np.dtype(x.dtype).itemsize for x in jax.tree.leaves(tree))
        most = max(SLACK, limits().unpacked_ratio * held)
        check_limit(f"'{self.name}' unpacks to … bytes", nbytes, "unpacked_ratio", most)

    def _collect(self, tree, path):
        for key, value in tree.items():
            if isinstance(value, dict):
                self._collect(value, (*path, key))
            else:
                self.groups.setdefault("/".join(path), {})[key] = value
                self.nbytes += value.nbytes

    def read(self, group):
        """The arrays of a group: `{name: array}`."""
        return dict(self.groups.get(group, {}))


def _check_files(path):
    """An error unless there are only usual files in a folder; returns how many bytes they have."""
    reader = FolderReader(path)
    for name in reader.names:
        if name.rpartition("/")[2] in _JSON:
            _check_keys(reader.json(name).get("tree_metadata") or {}, path)
    return sum(map(reader.size, reader.names))


def _check_keys(tree, path):
    """An error if a name in a checkpoint's tree could lead Orbax out of its folder."""
    with loading(str(path)):
        for entry in tree.values():
            for part in entry["key_metadata"]:
                if not is_plain_name(str(part["key"])) or "/" in str(part["key"]):
                    raise LoadError(f"the name {part['key']!r} points outside the folder.")


def _mapped(tree, value):
    """A tree with `value` in the place of every leaf."""
    if isinstance(tree, dict):
        return {key: _mapped(inner, value) for key, inner in tree.items()}
    return value
