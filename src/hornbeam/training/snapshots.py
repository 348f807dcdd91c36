"""Going on with an interrupted training, bit for bit as if nothing had happened."""

import contextlib
import random
import re
import warnings

import jax
import numpy as np

from ..callbacks import BackupAndRestore
from ..core.loading import LoadError, check_limit, loading
from ..core.messages import expected
from .interrupts import uninterrupted
from .state import array_of, copy_of

_MSG_OTHER = """\
The snapshot in '{folder}' is of another training: {what}. Use another folder, or remove what is \
in it to begin anew."""

_PARTS = {
    *("epoch", "step", "of", "source", "values"),
    *("callbacks", "stop_training", "logs", "numpy", "python"),
}


def backup_of(resume, callbacks):
    """The `BackupAndRestore` among what `fit` was given, or `None`."""
    found = [c for c in callbacks.callbacks if isinstance(c, BackupAndRestore)]
    if resume is not None:
        if not isinstance(resume, BackupAndRestore):
            resume = BackupAndRestore(resume, delete_checkpoint=False, replay=False)
        found.append(resume)
    if len(found) > 1:
        wanted = "at most one BackupAndRestore, `resume` included"
        raise ValueError(expected("fit's callbacks", wanted, found))
    return found[0] if found else None


class Snapshots:
    """Takes snapshots of a training, and restores one.

    Args:
        backup: the `BackupAndRestore` that says when, and keeps the files; `None` for no snapshots.
        model: the model.
        variables: function that returns all variables that the training changes.
        source: where the batches come from.
        callbacks: the `CallbackList`.
    """

    def __init__(self, backup, model, variables, source, callbacks):
        self.backup, self.model, self.source, self.callbacks = backup, model, source, callbacks
        self.epoch, self.logs = 0, {}
        self._snapshot = None
        if backup is None:
            return
        self.variables = variables()
        if not source.can_seek and backup.replay is None:
            warnings.warn(
                f"{source.name} can't seek. After an interruption the training goes on with "
                "whatever comes next, and not with what would have come. "
                "BackupAndRestore(replay=True) draws and drops what came before; "
                "BackupAndRestore(replay=False) makes this an error.",
                stacklevel=4,
            )
        if not source.can_seek and backup.replay is False:
            raise ValueError(
                f"{source.name} can't seek, so an interrupted training can't go on exactly where "
                "it was. Pass resume=BackupAndRestore(folder, replay=True) if it yields the same "
                "batches again, to draw and drop those that came before; replay=None to go on "
                "with whatever comes next; or data that can seek, such as arrays or a PyDataset."
            )

    def find(self, initial_epoch):
        """Where to start: `(epoch, steps of it that are done)`, by the last snapshot."""
        self.epoch = initial_epoch
        if self.backup is None or (snapshot := self.backup.load()) is None:
            return initial_epoch, 0
        with loading():
            self._check(snapshot)
        self._snapshot, self.epoch = snapshot, snapshot["epoch"]
        return snapshot["epoch"], snapshot["step"]

    def _check(self, snapshot):
        """Refuse a snapshot that doesn't fit, before anything is changed."""
        mine, its = self._described(), snapshot["of"]
        differing = [name for name in mine if mine[name] != its.get(name)]
        if not differing:
            self._check_values(snapshot)
            return
        name = differing[0]
        if name == "variables":
            pairs = zip(mine[name], its[name])
            a, b = next(((a, b) for a, b in pairs if a != b), (len(mine[name]), len(its[name])))
            what = f"its variables differ, {b} there and {a} here"
        else:
            what = f"{name} is {its.get(name)} there and {mine[name]} here"
        raise LoadError(_MSG_OTHER.format(folder=self.backup.backup_dir, what=what))

    def _check_values(self, snapshot):
        """Everything in it can be restored: half of it would be worse than nothing."""
        if missing := _PARTS - snapshot.keys():
            raise LoadError(f"The snapshot lacks {', '.join(sorted(missing))}.")
        for variable, value in zip(self.variables, snapshot["values"], strict=True):
            variable.check_value(value)
        self.callbacks.check_state(snapshot["callbacks"])
        np.random.RandomState().set_state(snapshot["numpy"])
        random.Random().setstate(snapshot["python"])
        if not isinstance(snapshot["logs"], dict):
            raise LoadError(expected("A snapshot's logs", "a dict", snapshot["logs"]))
        for name in ("epoch", "step"):
            if not isinstance(snapshot[name], int) or snapshot[name] < 0:
                raise LoadError(expected(f"A snapshot's {name}", "a number", snapshot[name]))
        # Their orders are drawn again, one after the other.
        check_limit("The training went … times over the data", snapshot["source"]["epoch"], "nodes")

    def _described(self):
        return {
            # Without the numbers of automatic names, which count what the process made before.
            "variables": [
                (re.sub(r"_\d+", "", v.name), str(v.dtype), tuple(v.shape)) for v in self.variables
            ],
            "num_batches": self.source.num_batches,
            "batch_size": self.source.batch_size,
        }

    def restore(self):
        """Put everything into the state of the snapshot that `find` found, if it found one."""
        if (snapshot := self._snapshot) is None:
            return
        self._snapshot = None
        replay = bool(self.backup.replay)
        if self.source.can_seek or replay:
            # A replay runs code of the user, whose errors stay what they are.
            with contextlib.nullcontext() if replay else loading(str(self.backup.backup_dir)):
                self.source.restore(snapshot["source"], replay)
        for variable, value in zip(self.variables, snapshot["values"], strict=True):
            variable.assign(value)
        self.callbacks.set_state(snapshot["callbacks"])
        self.model.stop_training = bool(snapshot["stop_training"])
        self.logs = snapshot["logs"]
        np.random.set_state(snapshot["numpy"])
        random.setstate(snapshot["python"])

    # While it runs --------------------------------------------------------------------------------

    def most(self, left):
        """How many of the `left` steps may run before a snapshot is due."""
        due = None if self.backup is None else self.backup.steps_left()
        return left if due is None else max(1, min(left, due))

    def after_steps(self, done, count, unused):
        """Take a snapshot if one is due. `unused` batches were read and not used yet."""
        # At the end of an epoch its own snapshot is near, and the data is in its next pass.
        if self.backup is not None and self.backup.is_due(count) and unused:
            self._save(self.epoch, done, self.source.state(unused))

    def after_epoch(self, epoch, logs):
        """Take a snapshot when an epoch, with its validation, is over; `epoch` is the next one."""
        self.epoch, self.logs = epoch, logs
        if self.backup is not None:
            self._save(epoch, 0, self.source.state())

    def _save(self, epoch, step, source):
        data = {
            "epoch": epoch,
            "step": step,
            "of": self._described(),
            "source": source,
            # Copies, since the next step frees what it is given.
            "values": [copy_of(array_of(v)) for v in self.variables],
            "callbacks": _copied(self.callbacks.state()),
            "stop_training": bool(self.model.stop_training),
            "logs": dict(self.logs),
            "numpy": tuple(np.random.get_state()),
            "python": random.getstate(),
        }
        self.backup.wait()
        with uninterrupted():  # a thread that was interrupted while it starts can't be joined
            self.backup.save(data)

    def finish(self):
        """The training is over: remove what isn't to be kept."""
        if self.backup is not None and self.backup.delete_checkpoint:
            self.backup.delete()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.backup is not None:
            self.backup.wait()


def _copied(state):
    """The same state, in containers and NumPy arrays of its own."""
    copy = lambda x: x.copy() if isinstance(x, np.ndarray) else x
    return jax.tree.map(copy, state)
