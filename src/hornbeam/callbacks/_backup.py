"""Snapshots of a running training, to go on from after an interruption."""

import datetime
import os
import pathlib
import re
import threading
import time
import warnings
from typing import Any

from ..core.messages import expected
from ..saving._snapshot import read_snapshot, write_snapshot
from ._base import Callback

_NAME = re.compile(r"training-\d+\.snapshot")
_UNFINISHED = re.compile(r"\.training-\d+\.snapshot\.[0-9a-f]+\.tmp")


class BackupAndRestore(Callback):
    """Keeps a snapshot of the training on disk, and goes on from it after an interruption.

    Run the same script again, and `fit` continues where the last snapshot was taken: with the same
    weights, optimizer, metrics, random numbers, order of the data, callbacks and history. The
    result is bit for bit that of a training that was never interrupted. `fit(resume="folder")`
    does the same, and keeps the last snapshot when the training is over.

    A snapshot is taken while training goes on, written to the disk in the background, read again
    to verify it, and only then the one before is removed. Nothing else in the folder is touched.

    Args:
        backup_dir: the folder; it is made if it doesn't exist.
        save_freq: `"epoch"`, a number of steps, or a `datetime.timedelta`. With the latter two,
            there is a snapshot at the end of every epoch as well.
        double_checkpoint: whether to keep the snapshot before the last one, too.
        delete_checkpoint: whether to remove the snapshots when the training is over.
        replay: what to do with data that can't seek, such as a generator, when a training goes
            on. `True`: the batches before are drawn and dropped, which is exact if the data
            yields the same ones again. `False`: an error, before the training starts. `None`: the
            training goes on with whatever comes next, after a warning.

    Raises:
        ValueError: when `fit` starts, if the snapshot is of another model or other data, or if
            the data can't seek and `replay` is `False`.

    Example:

    >>> import datetime
    >>> callback = keras.callbacks.BackupAndRestore(
    ...     "backup", save_freq=datetime.timedelta(minutes=5)
    ... )
    """

    def __init__(
        self,
        backup_dir,
        save_freq: str | int | datetime.timedelta = "epoch",
        double_checkpoint=False,
        delete_checkpoint=True,
        replay: bool | None = None,
    ):
        super().__init__()
        if isinstance(save_freq, datetime.timedelta):
            amount = save_freq.total_seconds()
        else:
            amount = 1 if save_freq == "epoch" else save_freq
        if isinstance(amount, (str, bool)) or not amount > 0:
            wanted = "'epoch', a positive number of steps, or a datetime.timedelta"
            raise ValueError(expected("BackupAndRestore's save_freq", wanted, save_freq))
        self.backup_dir = pathlib.Path(os.fspath(backup_dir))
        self.save_freq = save_freq
        self.double_checkpoint = double_checkpoint
        self.delete_checkpoint = delete_checkpoint
        self.replay = replay
        self._writer = None
        self._error = None
        self._steps, self._time = 0, time.monotonic()

    # When -----------------------------------------------------------------------------------------

    def steps_left(self):
        """After how many steps a snapshot is due, as far as steps decide; else `None`."""
        return self.save_freq - self._steps if isinstance(self.save_freq, int) else None

    def is_due(self, steps):
        """Count `steps` more steps, and tell whether it is time for a snapshot."""
        self._steps += steps
        if isinstance(self.save_freq, int):
            return self._steps >= self.save_freq
        if isinstance(self.save_freq, datetime.timedelta):
            return time.monotonic() - self._time >= self.save_freq.total_seconds()
        return False

    # Files ----------------------------------------------------------------------------------------

    def load(self) -> Any:
        """The newest snapshot that is whole, or `None`."""
        for path in self._named(_UNFINISHED):  # by a kill while it was written
            path.unlink(missing_ok=True)
        for path in reversed(self._files()):
            try:
                return read_snapshot(path)
            except ValueError as error:
                warnings.warn(f"{error} An older one is used, if there is one.", stacklevel=4)
        return None

    def save(self, data):
        """Write a snapshot in the background; `wait` for the one before first.

        `data` is nested plain data, whose containers and NumPy arrays nobody changes any more.
        """
        self._steps, self._time = 0, time.monotonic()
        self._writer = threading.Thread(target=self._write, args=(data,), name="snapshot")
        self._writer.start()

    def _write(self, data):
        try:
            self.backup_dir.mkdir(parents=True, exist_ok=True)
            before = self._files()
            number = 1 + _number(before[-1]) if before else 0
            write_snapshot(self.backup_dir / f"training-{number:06}.snapshot", data)
            for old in before[:-1] if self.double_checkpoint else before:
                old.unlink(missing_ok=True)
        except BaseException as error:  # `wait` raises it, in the thread that trains
            self._error = error

    def wait(self):
        """Wait until the last snapshot is on the disk.

        If the disk refuses it, that is a warning: the training is worth more than its snapshot.
        """
        if self._writer is not None:
            self._writer.join()
            self._writer = None
        error, self._error = self._error, None
        if isinstance(error, OSError):
            warnings.warn(
                f"No snapshot could be written to '{self.backup_dir}' ({error}). Training goes on; "
                "the snapshot before, if there is one, stays.",
                stacklevel=4,
            )
        elif error is not None:
            raise error

    def delete(self):
        """Remove the snapshots, and the folder if nothing else is in it."""
        self.wait()
        for path in self._files():
            path.unlink(missing_ok=True)
        if self.backup_dir.is_dir() and not any(self.backup_dir.iterdir()):
            self.backup_dir.rmdir()

    def _files(self):
        """The paths of the snapshots, the oldest first."""
        return sorted(self._named(_NAME), key=_number)

    def _named(self, pattern):
        found = self.backup_dir.iterdir() if self.backup_dir.is_dir() else ()
        return [path for path in found if pattern.fullmatch(path.name)]


def _number(path):
    return int(path.stem.removeprefix("training-"))
