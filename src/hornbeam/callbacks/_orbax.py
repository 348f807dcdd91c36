"""Saving the model with Orbax while it is trained."""

import os

import jax

from ..core.messages import expected
from ..saving._model_files import model_config
from ..saving._orbax import CheckpointFolder, orbax
from ..saving._weights import stores
from ._checkpoint import SavingCallback


class OrbaxCheckpoint(SavingCallback):
    """Saves the model and its optimizer as Orbax checkpoints, while the training goes on.

    For large models: arrays that are spread over devices, or over several machines, are written
    as they are, in the background. `keras.models.load_model(directory)` and
    `model.load_weights(directory)` read the last checkpoint, `f"{directory}/7"` that of number 7.
    The number is that of the epoch (from 0), or of batches with a `save_freq` in batches; it goes
    on from the last one in the folder if there are such ones already. Needs the package
    orbax-checkpoint.

    Args:
        directory: the folder; it is made if it doesn't exist.
        monitor: name of the number that says which model is best.
        verbose: 1 to say what is saved.
        save_best_only: whether to save only when that number is better than ever before.
        mode: `"min"`, `"max"` or `"auto"`.
        save_freq: `"epoch"`, or a number of batches. Batches that run as one program on the
            device are over at once, so it may be a few more.
        initial_value_threshold: the value that the first model has to beat.
        max_to_keep: how many checkpoints to keep, the last ones; `None` for all.
        save_on_background: whether training goes on while a checkpoint is written.
        save_weights_only: whether to leave out the structure and the optimizer.

    Raises:
        ImportError: without orbax-checkpoint.

    Example:

    >>> callback = keras.callbacks.OrbaxCheckpoint("checkpoints", max_to_keep=3)  # doctest: +SKIP
    """

    def __init__(
        self,
        directory,
        monitor="val_loss",
        verbose=0,
        save_best_only=False,
        mode="auto",
        save_freq: int | str = "epoch",
        initial_value_threshold=None,
        max_to_keep: int | None = 1,
        save_on_background=True,
        save_weights_only=False,
    ):
        super().__init__(monitor, verbose, save_best_only, mode, save_freq, initial_value_threshold)
        if max_to_keep is not None and not (isinstance(max_to_keep, int) and max_to_keep > 0):
            wanted = "a positive int, or None to keep all"
            raise ValueError(expected("OrbaxCheckpoint's max_to_keep", wanted, max_to_keep))
        orbax("keras.callbacks.OrbaxCheckpoint")  # complain now, not after an epoch
        self.directory = os.fspath(directory)
        self.max_to_keep = max_to_keep
        self.save_on_background = save_on_background
        self.save_weights_only = save_weights_only
        self._folder = None
        self._batches = 0  # of the epochs before

    def on_train_begin(self, logs=None):
        super().on_train_begin()
        self._batches = 0

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        self._batches += self._steps_seen

    def on_train_end(self, logs=None):
        if self._folder is not None:
            self._folder.close()
            self._folder = None

    def write(self, logs, epoch, batch):
        if self._folder is None:
            self._folder = CheckpointFolder(
                self.directory, self.max_to_keep, self.save_on_background
            )
        whole = not self.save_weights_only
        values = (
            (group, name, value)
            for group, _, store in stores(self.model)
            for name, value in store.items()
            if whole or "optimizer" not in group.split("/")
        )
        about = {
            **self.describe(logs, epoch),
            "config": model_config(self.model) if whole else None,
        }
        number = epoch - 1 if batch is None else self._batches + batch
        return os.path.join(self.directory, str(self._folder.save(number, values, about)))

    def wait_until_finished(self):
        """Wait until the checkpoints are on the disk; the end of a training waits by itself."""
        if self._folder is not None:
            self._folder.wait()

    def is_multihost_enabled(self):
        """Whether several processes train together."""
        return jax.process_count() > 1

    def is_primary_host(self):
        """Whether this is the first of the processes that train together."""
        return jax.process_index() == 0

    def state(self):
        return {**super().state(), "_batches": self._batches}
