"""Logs, weights and profiles in the form that TensorBoard shows."""

import json
import os
import time
import types
import urllib.parse
from collections.abc import Sequence

import jax
import numpy as np

from ..core.messages import did_you_mean, expected, missing_package
from ._base import Callback


class TensorBoard(Callback):
    """Writes what TensorBoard shows: `tensorboard --logdir logs`.

    Numbers of the training go to the folder `train`, those of validation to `validation`. Needs
    the package tensorboardX, and neither TensorFlow nor TensorBoard itself.

    Args:
        log_dir: the folder.
        histogram_freq: every how many epochs to write histograms of the weights; 0 for never.
        write_graph: whether to write the model's graph, and its summary as text.
        write_images: whether to write kernels as images, along with the histograms.
        write_steps_per_second: whether to write the speed.
        update_freq: `"epoch"`, `"batch"`, or a number of batches between two writings of logs.
            Batches that run as one program on the device are written as one.
        profile_batch: the number of a batch (from 1), or a pair of the first and the last, to
            write a profile of; 0 for none. Steps that run as one program are profiled together.
        embeddings_freq: every how many epochs to write the tables of `Embedding` layers for the
            projector; 0 for never. It shows the last ones.
        embeddings_metadata: path of a file with a line for each row of a table, relative to
            `log_dir`; or a dict from names of layers to such paths.

    Raises:
        ImportError: without tensorboardX.
        ValueError: if `embeddings_metadata` names no `Embedding` layer of the model.

    Example:

    >>> callback = keras.callbacks.TensorBoard("logs", histogram_freq=1, profile_batch=(10, 20))
    """

    def __init__(
        self,
        log_dir: str | os.PathLike = "logs",
        histogram_freq=0,
        write_graph=True,
        write_images=False,
        write_steps_per_second=False,
        update_freq: int | str = "epoch",
        profile_batch: int | str | Sequence[int] = 0,
        embeddings_freq=0,
        embeddings_metadata=None,
    ):
        super().__init__()
        _tensorboardx()  # complain now, not after an epoch
        self.log_dir = os.fspath(log_dir)
        self.histogram_freq = histogram_freq
        self.write_graph = write_graph
        self.write_images = write_images
        self.write_steps_per_second = write_steps_per_second
        self.update_freq = 1 if update_freq == "batch" else update_freq
        if self.update_freq != "epoch" and not (
            isinstance(self.update_freq, int) and self.update_freq > 0
        ):
            wanted = "'epoch', 'batch' or a positive int"
            raise ValueError(expected("TensorBoard's update_freq", wanted, update_freq))
        self.profile_batch = _checked_range(profile_batch)
        self.follows_steps = self.update_freq != "epoch" or self.profile_batch[1] > 0
        self.embeddings_freq = embeddings_freq
        self.embeddings_metadata = embeddings_metadata
        self._writers = {}
        self._embeddings = {}
        self._in_fit = False
        self._reset()

    def _reset(self):
        self._steps = self._epoch_start = self._last_written = 0
        self._profiling = self._profiled = False

    @property
    def summary(self) -> types.ModuleType:
        """The package that writes the files."""
        return _tensorboardx()

    def _writer(self, folder):
        if folder not in self._writers:
            path = os.path.join(self.log_dir, folder)
            self._writers[folder] = self.summary.SummaryWriter(path)
        return self._writers[folder]

    def _scalars(self, folder, values, step):
        for tag, value in values.items():
            if np.ndim(value) == 0:
                self._writer(folder).add_scalar(tag, float(value), step)

    def on_train_begin(self, logs=None):
        self._reset()
        self._in_fit = True
        if self.embeddings_freq:
            self._embeddings = self._find_embeddings()
        if self.write_graph:
            self._write_graph()

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch_start = self._steps
        self._epoch_time = self._last_step_time = time.perf_counter()
        self._start_profile(self._steps + 1)

    def on_steps_end(self, steps_done, read_logs):
        self._steps = self._epoch_start + steps_done
        self._last_step_time = time.perf_counter()
        if self.update_freq != "epoch" and self._steps - self._last_written >= self.update_freq:
            values = {f"batch_{name}": value for name, value in read_logs().items()}
            if self.write_steps_per_second:
                values["batch_steps_per_second"] = self._speed()
            self._scalars("train", values, self._steps)
            self._last_written = self._steps
        if self._profiling and self._steps >= self.profile_batch[1]:
            self._stop_profile(read_logs)
        elif not self._profiled:
            self._start_profile(self._steps + 1)

    def _speed(self):
        seconds = self._last_step_time - self._epoch_time
        return (self._steps - self._epoch_start) / max(seconds, 1e-9)

    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        train = {f"epoch_{k}": v for k, v in logs.items() if not k.startswith("val_")}
        rate = getattr(self.model.optimizer, "learning_rate", None)
        if rate is not None:  # several optimizers in one, and optax's functions, show none
            train["epoch_learning_rate"] = np.asarray(rate)
        if self.write_steps_per_second:
            train["epoch_steps_per_second"] = self._speed()
        validation = {f"epoch_{k[4:]}": v for k, v in logs.items() if k.startswith("val_")}
        self._scalars("train", train, epoch)
        self._scalars("validation", validation, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            self._write_weights(epoch)
        if self.embeddings_freq and epoch % self.embeddings_freq == 0:
            self._write_embeddings()
        for writer in self._writers.values():
            writer.flush()

    def on_test_end(self, logs=None):
        iterations = getattr(self.model.optimizer, "iterations", None)
        step = self._steps if iterations is None else int(np.asarray(iterations))
        tags = {f"evaluation_{name}_vs_iterations": value for name, value in (logs or {}).items()}
        self._scalars("validation", tags, step)
        if not self._in_fit:
            self._close()

    def on_train_end(self, logs=None):
        if self._profiling:
            self._stop_profile(lambda: None)
        self._in_fit = False
        self._close()

    def _close(self):
        for writer in self._writers.values():
            writer.close()
        self._writers = {}

    def _write_weights(self, epoch):
        writer = self._writer("train")
        for weight in self.model.weights:
            value = np.asarray(weight, dtype="float32")
            writer.add_histogram(f"{weight.path}/histogram", value, epoch)
            if self.write_images:
                _write_images(writer, f"{weight.path}/image", value, epoch)

    def _find_embeddings(self):
        """`{name: (layer, path of its metadata or None)}` of the layers with a table."""
        layers = {x.name: x for x in self.model._flatten_layers() if hasattr(x, "embeddings")}
        metadata = self.embeddings_metadata
        if not isinstance(metadata, dict):
            return {name: (layer, metadata) for name, layer in layers.items()}
        for name in metadata:
            if name not in layers:
                wanted = f"for layers with a table: {', '.join(layers) or 'there are none'}"
                hint = did_you_mean(name, layers)
                raise ValueError(expected("TensorBoard's embeddings_metadata", wanted, name, hint))
        return {name: (layer, metadata.get(name)) for name, layer in layers.items()}

    def _write_embeddings(self):
        """Tables as text, and the file that leads the projector to them."""
        folder = os.path.join(self.log_dir, "train")
        os.makedirs(folder, exist_ok=True)
        entries = []
        for name, (layer, metadata) in self._embeddings.items():
            table = np.asarray(layer.embeddings, dtype="float32")
            file = urllib.parse.quote(name, safe=" ") + ".tsv"  # no name leads out of the folder
            np.savetxt(os.path.join(folder, file), table, fmt="%.7g", delimiter="\t")
            entry = {"tensor_name": name, "tensor_path": file}
            if metadata is not None:
                path = os.path.join(self.log_dir, os.fspath(metadata))
                entry["metadata_path"] = os.path.relpath(path, folder)
            lines = [f"  {key}: {json.dumps(value)}\n" for key, value in entry.items()]
            entries.append("embeddings {\n" + "".join(lines) + "}\n")
        with open(os.path.join(folder, "projector_config.pbtxt"), "w", encoding="utf-8") as file:
            file.writelines(entries)

    def _write_graph(self):
        lines = []
        self.model.summary(print_fn=lambda text, **_: lines.append(text))
        self._writer("train").add_text("model", "```\n" + "\n".join(lines) + "\n```", 0)
        try:
            config = self.model.to_json()
        except (NotImplementedError, TypeError, ValueError):
            return  # a model that can't be described has no graph to show
        proto = self.summary.proto.summary_pb2
        summary = proto.Summary()
        value = summary.value.add(tag="keras")
        value.metadata.plugin_data.plugin_name = "graph_keras_model"
        value.metadata.plugin_data.content = b"1"
        value.tensor.dtype = "DT_STRING"
        value.tensor.string_val.append(config.encode())
        self._writer("train").file_writer.add_summary(summary, 0)

    def state(self):
        names = ("_steps", "_epoch_start", "_last_written", "_profiled")
        return {name: getattr(self, name) for name in names}

    def set_state(self, state):
        vars(self).update(state)

    def _start_profile(self, next_step):
        first, last = self.profile_batch
        if not self._profiling and not self._profiled and 0 < first <= next_step <= last:
            jax.profiler.start_trace(os.path.join(self.log_dir, "train"))
            self._profiling = True

    def _stop_profile(self, wait):
        wait()  # else the profile would end before the device is done
        jax.profiler.stop_trace()
        self._profiling, self._profiled = False, True


def _tensorboardx():
    try:
        import tensorboardX
    except ImportError:
        raise missing_package(
            "tensorboardX", "tensorboard", "keras.callbacks.TensorBoard"
        ) from None
    return tensorboardX


def _checked_range(profile_batch):
    """`(first, last)` of the batches to profile, from an int, a pair, or a string "first,last"."""
    batches = profile_batch
    if isinstance(batches, str):
        batches = batches.split(",")
    try:
        if not isinstance(batches, (list, tuple)):
            batches = (batches, batches)
        first, last = (int(b) for b in batches)
        if first < 0 or last < first:
            raise ValueError
    except (TypeError, ValueError):
        wanted = "an int or a pair (first, last)"
        raise ValueError(expected("TensorBoard's profile_batch", wanted, profile_batch)) from None
    return first, last


def _write_images(writer, tag, kernel, step):
    """A matrix as one grey image; a convolution's kernel as one image per output channel."""
    low, high = kernel.min(), kernel.max()
    grey = (kernel - low) / max(high - low, 1e-12)
    if grey.ndim == 2:
        writer.add_image(tag, grey, step, dataformats="HW")
    elif grey.ndim == 4:
        # Height, width, inputs, outputs: the inputs side by side.
        rows = grey.transpose(3, 0, 2, 1).reshape(grey.shape[3], grey.shape[0], -1)
        for number, image in enumerate(rows[:16]):
            writer.add_image(f"{tag}/{number}", image, step, dataformats="HW")
