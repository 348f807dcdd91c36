"""`Model`: a layer with `compile`, `fit`, `evaluate`, `predict` and files."""

import inspect
import itertools
import json
import os
from collections.abc import Sequence
from typing import Any

import jax

from .. import saving
from ..callbacks import BackupAndRestore, History
from ..core import masks, objects
from ..core.messages import did_you_mean, unknown_keywords
from ..core.naming import auto_name
from ..core.scope import enter, functionalize
from ..core.symbolic import KerasTensor, flatten
from ..export import ExportArchive
from ..layers import Layer
from ..layers._call import overridable
from ..training import loop
from ..training.compile import Compiled
from ..training.step import (
    default_predict_step,
    default_test_step,
    default_train_step,
    stateless,
)
from ._export import graph_parts
from ._functional import Function, GraphLayer, single, with_own_inputs
from ._graph_config import build_functional, functional_config
from ._quantize import quantize_model
from ._summary import print_summary

_MSG_NOT_COMPILED = """\
Model '{name}' must be compiled before `{method}`:

    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])"""


class Model(GraphLayer):
    """Layers put together, with methods for training, evaluation, prediction and files.

    There are three ways to make one: from symbolic tensors (`Model(inputs, outputs)`, the
    functional API), as a list of layers (`Sequential`), or as a subclass with its own `call`.

    Args:
        inputs: symbolic inputs (`keras.Input`), nested in any way.
        outputs: symbolic outputs, nested in any way.
        name: name.
        trainable: whether the variables may be trained.

    Example:

    >>> inputs = keras.Input((4,))
    >>> x = keras.layers.Dense(8, activation="relu")(inputs)
    >>> model = keras.Model(inputs, keras.layers.Dense(1)(x))
    >>> model.compile(optimizer="adam", loss="mse")
    >>> history = model.fit(np.ones((16, 4)), np.ones((16, 1)), verbose=0)
    >>> model.predict(np.ones((2, 4)), verbose=0).shape
    (2, 1)
    """

    _locks_state = False
    _layers: list
    _compiled: Compiled | None
    _programs: dict
    optimizer: Any  # an `Optimizer`; `None` before `compile`
    history: History | None  # `None` before `fit`
    stop_training: bool

    def __init__(self, *args, **kwargs):
        graph = {k: kwargs.pop(k) for k in ("inputs", "outputs") if k in kwargs}
        graph.update(zip(("inputs", "outputs", "name"), args, strict=False))
        if "name" in graph:
            kwargs["name"] = graph.pop("name")
        if graph and len(graph) < 2:
            raise ValueError(
                "Model(inputs, outputs) needs both; received only "
                f"`{next(iter(graph))}`. For a subclass with its own `call`, pass neither."
            )
        if graph and not kwargs.get("name"):
            is_subclass = type(self) is not Model
            kwargs["name"] = auto_name(type(self).__name__ if is_subclass else "functional")
        super().__init__(**kwargs)
        vars(self).update(
            _function=None,
            _layers=[],
            _compiled=None,
            _programs={},
            optimizer=None,
            history=None,
            stop_training=False,
        )
        if graph:
            self._set_graph(**graph)

    def _set_graph(self, inputs, outputs):
        inputs, outputs = with_own_inputs(inputs, outputs)
        self._function = Function(inputs, outputs, name=self.name)
        self._layers = [op for op in self._function.operations if isinstance(op, Layer)]
        names = [layer.name for layer in self._layers]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(
                f"Model '{self.name}' has two layers named '{twice}'. Give them different names: "
                "files and paths depend on them."
            )
        self.autocast = False  # every layer casts for itself
        self.built = True

    def __getstate__(self):
        """For `pickle` and `copy`: all but compiled programs, which are made again."""
        return {**vars(self), "_programs": {}}

    # What it is made of -------------------------------------------------------------------------

    @overridable
    def call(self, inputs, training=None, mask=None):
        """Compute the outputs; subclasses without a graph write their own."""
        if self._function is None:
            raise NotImplementedError(
                f"Model {type(self).__name__} doesn't say what it computes: give it a method "
                "`call(self, inputs)`, or make it from symbolic tensors: Model(inputs, outputs)."
            )
        return self._call_function(inputs, mask)

    def _call_function(self, inputs, mask):
        if mask is not None:
            for x, m in zip(flatten(inputs)[0], flatten(mask)[0], strict=False):
                masks.set_mask(x, m)
        return self._graph("call").call(inputs)

    def compute_mask(self, inputs, previous_mask):
        """The outputs of a graph bring their masks along."""
        return None

    @property
    def layers(self):
        """The layers directly inside, in order."""
        return self._sublayers()

    @property
    def operations(self):
        """The layers and functions of the graph, in order."""
        return self._graph("operations").operations

    @property
    def inputs(self):
        """The symbolic inputs as a flat list."""
        return self._graph("inputs").inputs

    @property
    def outputs(self):
        """The symbolic outputs as a flat list."""
        return self._graph("outputs").outputs

    @property
    def input(self):
        """The symbolic inputs, as they were given."""
        return self._graph("input")._inputs_struct

    @property
    def output(self):
        """The symbolic outputs, as they were given."""
        return self._graph("output")._outputs_struct

    @property
    def input_shape(self):
        """The shapes of the inputs."""
        return _shapes(single(self.input))

    @property
    def output_shape(self):
        """The shapes of the outputs."""
        return _shapes(single(self.output))

    @property
    def input_names(self):
        """The names of the inputs as a flat list."""
        return self._graph("input_names").input_names

    @property
    def output_names(self):
        """The names of the outputs as a flat list: of the layers that made them."""
        if self._function is None:
            return None
        return [x.node.operation.name for x in self._function.outputs]

    def get_layer(self, name=None, index=None) -> Any:
        """The layer of this name, or at this index of `model.layers`.

        Raises:
            ValueError: if there is none, naming the closest.
        """
        if (name is None) == (index is None):
            raise ValueError("get_layer takes either a name or an index.")
        layers = self.layers
        if index is not None:
            if not -len(layers) <= index < len(layers):
                raise ValueError(
                    f"Model '{self.name}' has {len(layers)} layers; there is none at index {index}."
                )
            return layers[index]
        for layer in layers:
            if layer.name == name:
                return layer
        names = [layer.name for layer in layers]
        raise ValueError(
            f"Model '{self.name}' has no layer named {name!r}. "
            + (did_you_mean(name, names) or f"Its layers: {', '.join(names)}.")
        )

    def summary(
        self,
        line_length=None,
        positions=None,
        print_fn=None,
        expand_nested=False,
        show_trainable=False,
        layer_range=None,
    ):
        """Print the layers, their output shapes and numbers of parameters as a table.

        Args:
            line_length: width in characters.
            positions: relative widths of the columns.
            print_fn: function that gets the text, instead of printing it.
            expand_nested: whether to show the layers of models inside.
            show_trainable: whether to show which layers are trainable.
            layer_range: pair of layer names (or patterns): the first and the last to show.
        """
        print_summary(
            self, line_length, positions, print_fn, expand_nested, show_trainable, layer_range
        )

    # Training ----------------------------------------------------------------------------------

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss=None,
        loss_weights=None,
        metrics=None,
        weighted_metrics=None,
        run_eagerly=False,
        steps_per_execution: int | str = 1,
        jit_compile: bool | str = "auto",
        auto_scale_loss=True,
    ):
        """Say how to train: with which optimizer, for which losses, watching which metrics.

        Args:
            optimizer: name, `Optimizer`, or an optax transformation.
            loss: a name, function or `Loss`; or a list or dict of them, one per output (`None`
                for an output that isn't trained).
            loss_weights: number, list or dict: what the losses are multiplied by.
            metrics: list of names, functions or `Metric`s; or a list or dict of such lists, one
                per output.
            weighted_metrics: the same, for metrics that take the sample weights.
            run_eagerly: whether to run steps as plain Python, without compiling, for debugging.
            steps_per_execution: how many steps to run in one call of the device, or `"auto"`. The
                weights don't depend on it, bit for bit.
            jit_compile: `False` means the same as `run_eagerly=True`.
            auto_scale_loss: whether to scale the loss when computing in float16, against
                underflow of gradients.

        Example:

        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        >>> model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="mse", metrics=["mae"])
        """
        self._compiled = Compiled(
            self,
            optimizer=optimizer,
            loss=loss,
            loss_weights=loss_weights,
            metrics=metrics,
            weighted_metrics=weighted_metrics,
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
            jit_compile=jit_compile,
            auto_scale_loss=auto_scale_loss,
        )
        self.optimizer = self._compiled.optimizer
        self.loss = loss
        self.stop_training = False
        self._programs = {}

    @property
    def compiled(self):
        """Whether `compile` was called."""
        return self._compiled is not None

    def _need_compiled(self, method):
        if self._compiled is None:
            raise ValueError(_MSG_NOT_COMPILED.format(name=self.name, method=method))
        return self._compiled

    @property
    def run_eagerly(self):
        """Whether steps run as plain Python."""
        return self._compiled is not None and self._compiled.run_eagerly

    @run_eagerly.setter
    def run_eagerly(self, value):
        self._need_compiled("run_eagerly").run_eagerly = bool(value)

    @property
    def jit_compile(self):
        """Whether steps are compiled."""
        return not self.run_eagerly

    @property
    def steps_per_execution(self):
        """How many steps run in one call of the device, or `"auto"`."""
        return 1 if self._compiled is None else self._compiled.steps_per_execution

    @steps_per_execution.setter
    def steps_per_execution(self, value):
        self._need_compiled("steps_per_execution").set_steps_per_execution(value)

    @property
    def metrics(self):
        """The loss, the metrics of `compile`, and those in layers."""
        compiled = [] if self._compiled is None else self._compiled.trackers()
        return list({id(m): m for m in [*compiled, *super().metrics]}.values())

    @property
    def metrics_names(self):
        """The names of the metrics."""
        return [m.name for m in self.metrics]

    def reset_metrics(self):
        """Start all metrics again."""
        for metric in self.metrics:
            metric.reset_state()

    def get_metrics_result(self):
        """The values of all metrics as a dict from names to scalars."""
        results = {} if self._compiled is None else self._compiled.results()
        for metric in super().metrics:
            value = metric.result()
            results.update(value if isinstance(value, dict) else {metric.name: value})
        return results

    @overridable
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The scalar that training minimizes: the losses of `compile` plus those of layers.

        Override it for a loss that needs more than targets and predictions.
        """
        return self._need_compiled("compute_loss").compute_loss(y, y_pred, sample_weight)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Update the metrics of `compile` and return the values of all, as a dict."""
        self._need_compiled("compute_metrics").update_metrics(y, y_pred, sample_weight)
        return self.get_metrics_result()

    # The loop runs built-in steps directly.

    @overridable
    def train_step(self, state, data=None):
        """One step of training. Override it in one of two styles.

        Plain: `train_step(self, data)` computes, differentiates with `keras.value_and_grad`,
        calls `self.optimizer.apply(gradients, variables)` and returns a dict of logs. It is
        compiled like the built-in one.

        Stateless, as in Keras on JAX: `train_step(self, state, data)` gets and returns
        `(trainable, non-trainable, optimizer, metrics)` lists of values, with the logs:
        `return logs, state`.

        Example:

        >>> class Mine(keras.Model):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.dense = keras.layers.Dense(1)
        ...
        ...     def call(self, x):
        ...         return self.dense(x)
        ...
        ...     def train_step(self, data):
        ...         x, y = data
        ...         def loss_fn():
        ...             return jnp.mean((self(x, training=True) - y) ** 2)
        ...         variables = self.trainable_variables
        ...         loss, gradients = keras.value_and_grad(loss_fn, variables)()
        ...         self.optimizer.apply(gradients, variables)
        ...         return {"loss": loss}
        >>> model = Mine()
        >>> model.compile(optimizer="sgd")
        >>> history = model.fit(np.ones((8, 3)), np.ones((8, 1)), epochs=2, verbose=0)
        >>> history.history["loss"][1] < history.history["loss"][0]
        True
        """
        return self._default_step(default_train_step, state, data)

    @overridable
    def test_step(self, state, data=None):
        """One step of evaluation; see `train_step` for the two styles of overriding."""
        return self._default_step(default_test_step, state, data)

    @overridable
    def predict_step(self, state, data=None):
        """One step of prediction; see `train_step` for the two styles of overriding."""
        return self._default_step(default_predict_step, state, data)

    def _default_step(self, step, state, data):
        if data is None:  # the plain style: the only argument is the data
            return step(self, state)
        return stateless(self, lambda data: step(self, data), state, data)

    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        epochs=1,
        verbose: int | str = "auto",
        callbacks=None,
        validation_split=0.0,
        validation_data=None,
        shuffle=True,
        class_weight=None,
        sample_weight=None,
        initial_epoch=0,
        steps_per_epoch=None,
        validation_steps=None,
        validation_batch_size=None,
        validation_freq: int | Sequence[int] = 1,
        resume: str | os.PathLike | BackupAndRestore | None = None,
    ) -> History:
        """Train on data, for a number of epochs.

        Args:
            x: inputs: an array, or a list, tuple or dict of arrays, as the model takes them; a
                table or sparse matrix. Or whole batches, `x`, `(x, y)` or
                `(x, y, sample_weight)`, from a `PyDataset`, a data loader, a generator or another
                iterable. `docs/data.md` has them all.
            y: targets, as the losses take them, or the names of columns of a table `x`.
            batch_size: number of samples in a step; 32 by default.
            epochs: number of the epoch to stop before.
            verbose: 0 silent, 1 or `"auto"` a live bar (in a log file, plain lines), 2 one line an
                epoch, `"json"` lines of JSON; see `callbacks.ProgbarLogger`.
            callbacks: list of `Callback`s.
            validation_split: share of the samples (the last ones, before shuffling) that are
                held back for validation.
            validation_data: `(x, y)` or `(x, y, sample_weight)`, or batches as for `x`.
            shuffle: whether each epoch takes the samples in a new order.
            class_weight: dict from class number to a factor of its samples' weight.
            sample_weight: one weight per sample (or per time step); a list or dict for several
                outputs; or the name of a column of a table `x`.
            initial_epoch: number of the first epoch.
            steps_per_epoch: number of steps after which an epoch ends; the next goes on from there.
                By default, one pass over the data.
            validation_steps: number of steps of a validation.
            validation_batch_size: batch size of validations.
            validation_freq: validate every so many epochs, or a list of epochs (from 1).
            resume: a folder for snapshots, one an epoch; or a `BackupAndRestore`, which says more
                about when. If there is a snapshot from an interrupted run, training goes on from
                it, and ends as it would have without the interruption.

        Returns:
            A `History`; its `history` is a dict of lists, a value per epoch.

        Raises:
            ValueError: for data that don't fit the model or each other, before anything changed.
        """
        self._need_compiled("fit")
        return loop.fit(
            self,
            x,
            y,
            batch_size=batch_size,
            epochs=epochs,
            verbose=verbose,
            callbacks=callbacks,
            validation_split=validation_split,
            validation_data=validation_data,
            shuffle=shuffle,
            class_weight=class_weight,
            sample_weight=sample_weight,
            initial_epoch=initial_epoch,
            steps_per_epoch=steps_per_epoch,
            validation_steps=validation_steps,
            validation_batch_size=validation_batch_size,
            validation_freq=validation_freq,
            resume=resume,
        )

    def evaluate(
        self,
        x=None,
        y=None,
        batch_size=None,
        verbose: int | str = "auto",
        sample_weight=None,
        steps=None,
        callbacks=None,
        return_dict=False,
        **kwargs,
    ) -> Any:
        """The loss and metrics on data.

        Args:
            x, y, batch_size, verbose, sample_weight, callbacks: as in `fit`.
            steps: number of steps after which to stop.
            return_dict: whether to return a dict rather than a list.

        Returns:
            A float (the loss), or a list of floats in the order of the metrics, or a dict.
        """
        if kwargs:
            raise unknown_keywords("evaluate", kwargs, ("x", "y", "batch_size", "return_dict"))
        self._need_compiled("evaluate")
        logs = loop.evaluate(
            self,
            x,
            y,
            batch_size=batch_size,
            verbose=verbose,
            sample_weight=sample_weight,
            steps=steps,
            callbacks=callbacks,
        )
        return logs if return_dict else _as_list(logs)

    def predict(
        self, x, batch_size=None, verbose: int | str = "auto", steps=None, callbacks=None
    ) -> Any:
        """The outputs for inputs, computed in batches.

        Args:
            x: inputs, as in `fit`.
            batch_size: number of samples in a step; 32 by default.
            verbose: as in `fit`.
            steps: number of steps after which to stop.
            callbacks: list of `Callback`s.

        Returns:
            NumPy arrays, in the structure of the model's outputs.
        """
        return loop.predict(
            self, x, batch_size=batch_size, verbose=verbose, steps=steps, callbacks=callbacks
        )

    def train_on_batch(
        self, x, y=None, sample_weight=None, class_weight=None, return_dict=False
    ) -> Any:
        """One training step on one batch; returns its loss and metrics, as `evaluate` does."""
        self._need_compiled("train_on_batch")
        logs = loop.on_batch(self, "train", x, y, sample_weight, class_weight)
        return logs if return_dict else _as_list(logs)

    def test_on_batch(self, x, y=None, sample_weight=None, return_dict=False) -> Any:
        """The loss and metrics of one batch, without training."""
        self._need_compiled("test_on_batch")
        logs = loop.on_batch(self, "test", x, y, sample_weight)
        return logs if return_dict else _as_list(logs)

    def predict_on_batch(self, x) -> Any:
        """The outputs for one batch, as NumPy arrays."""
        return loop.on_batch(self, "predict", x)

    def make_train_function(self, force=False):
        """Forget the compiled training step if `force`; the next `fit` compiles it again."""
        return self._forget_programs("train", force)

    def make_test_function(self, force=False):
        """Forget the compiled evaluation step if `force`."""
        return self._forget_programs("test", force)

    def make_predict_function(self, force=False):
        """Forget the compiled prediction step if `force`."""
        return self._forget_programs("predict", force)

    def _forget_programs(self, kind, force):
        if force:
            self._programs = {k: v for k, v in self._programs.items() if k[0] != kind}

    def jax_state_sync(self):
        """Nothing to do: during training, variables read as they are after the last step."""

    # Pure functions -----------------------------------------------------------------------------

    def stateless_compute_loss(
        self,
        trainable_variables,
        non_trainable_variables,
        metrics_variables,
        x=None,
        y=None,
        y_pred=None,
        sample_weight=None,
        training=True,
    ):
        """`compute_loss` as a pure function of the variables' values.

        Returns:
            `(loss, (trainable, non-trainable, metrics variables' values))`.
        """
        groups = self.trainable_variables, self.non_trainable_variables, self.metrics_variables
        pure = functionalize(
            lambda: self.compute_loss(x, y, y_pred, sample_weight, training),
            list(itertools.chain(*groups)),
        )
        loss, new = pure([*trainable_variables, *non_trainable_variables, *metrics_variables])
        return loss, tuple(_split(new, groups))

    def compute_loss_and_updates(
        self,
        trainable_variables,
        non_trainable_variables,
        metrics_variables,
        x,
        y,
        sample_weight,
        training=False,
        optimizer_variables=None,
    ):
        """Loss of a call on `x`, as a pure function to differentiate.

        Returns:
            `(loss, (unscaled loss, y_pred, non-trainable values, metrics values))`.
        """
        groups = (
            self.trainable_variables,
            self.non_trainable_variables,
            self.metrics_variables,
            self.optimizer.variables if self.optimizer and optimizer_variables else [],
        )

        def compute():
            with enter(losses=[], training=training or None):
                y_pred = self(x, training=training)
                loss = self.compute_loss(x, y, y_pred, sample_weight, training)
            scaled = self.optimizer.scale_loss(loss) if training and self.optimizer else loss
            return scaled, loss, y_pred

        (scaled, loss, y_pred), new = functionalize(compute, list(itertools.chain(*groups)))(
            [
                *trainable_variables,
                *non_trainable_variables,
                *metrics_variables,
                *(optimizer_variables or []),
            ]
        )
        _, others, metrics, _ = _split(new, groups)
        return scaled, (loss, y_pred, others, metrics)

    def get_state_tree(self, value_format="backend_tensor"):
        """All variables' values as nested dicts: trainable, non-trainable, optimizer, metrics.

        Args:
            value_format: `"backend_tensor"` for JAX arrays, `"numpy_array"` for NumPy's.
        """
        groups = {
            "trainable_variables": self.trainable_variables,
            "non_trainable_variables": self.non_trainable_variables,
            "optimizer_variables": self.optimizer.variables if self.optimizer else [],
            "metrics_variables": self.metrics_variables,
        }
        read = {"backend_tensor": lambda v: v.value, "numpy_array": lambda v: v.numpy()}
        if value_format not in read:
            raise ValueError(f"value_format is one of {list(read)}; received {value_format!r}.")
        tree = {}
        for group, variables in groups.items():
            for v in variables:
                _put(tree.setdefault(group, {}), v.path, read[value_format](v))
        return tree

    def set_state_tree(self, state_tree):
        """Set variables from nested dicts as `get_state_tree` returns them."""
        groups = {
            "trainable_variables": self.trainable_variables,
            "non_trainable_variables": self.non_trainable_variables,
            "optimizer_variables": self.optimizer.variables if self.optimizer else [],
            "metrics_variables": self.metrics_variables,
        }
        for group, values in state_tree.items():
            if group not in groups:
                raise ValueError(f"Unknown part of a state tree: {group!r}.")
            by_path = {v.path: v for v in groups[group]}
            for path, value in _flat_paths(values):
                by_path[path].assign(value)

    # Files --------------------------------------------------------------------------------------

    def save(self, filepath, overwrite=True, zipped=None, **kwargs):
        """Write the model (structure, weights, optimizer, compile settings) to a `.keras` file.

        Args:
            filepath: path ending in `.keras`; in `.h5` for Keras's old format.
            overwrite: whether an existing file is replaced; otherwise that is an error.
            zipped: `False` for a folder, whose name has no such ending.
        """
        saving.save_model(self, filepath, overwrite=overwrite, zipped=zipped, **kwargs)

    def save_weights(self, filepath, overwrite=True, max_shard_size=None):
        """Write all weights to a file ending in `.weights.h5` or `.safetensors`.

        Args:
            filepath: the path.
            overwrite: whether an existing file is replaced; otherwise that is an error.
            max_shard_size: gigabytes that one file may have, for several files and an index.
        """
        saving.save_weights(self, filepath, overwrite, max_shard_size)

    def load_weights(self, filepath, skip_mismatch=False, **kwargs):
        """Set all weights from a file that `save_weights` or `save` wrote.

        Strict: every variable must be in the file, and everything in the file must be used;
        otherwise one error lists both sides and nothing is changed.
        """
        saving.load_weights(self, filepath, skip_mismatch=skip_mismatch, **kwargs)

    def export(
        self, filepath, format="tf_saved_model", verbose=None, input_signature=None, **kwargs
    ):
        """Write what the model computes to a file that runs without the code that made it.

        Args:
            filepath: where. What is there is replaced as a whole or not at all.
            format: `"stablehlo"` for one file, which `keras.export.load` reads. It may hold layers
                that work on the host, such as text vectorization. `"tf_saved_model"` for a folder
                that TensorFlow and its servers read; TensorFlow must be installed.
            verbose: `False` prints nothing; otherwise a line says what was written.
            input_signature: list with the inputs: trees of `keras.InputSpec`s, or of other things
                with a shape and a dtype. By default, what the model was made for. Sizes that are
                `None` stay open.
            platforms: list of where it will run, of `"cpu"`, `"cuda"`, `"rocm"` and `"tpu"`; by
                default all that are possible.

        Raises:
            ValueError: if the model isn't built, and there is no `input_signature`.

        Example:

        >>> import tempfile
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.export(folder + "/m", format="stablehlo", verbose=False)
        ...     keras.export.load(folder + "/m").serve(np.ones((4, 3))).shape
        (4, 2)
        """
        archive = ExportArchive()
        archive.track_and_add_endpoint("serve", self, input_signature)
        archive.write_out(filepath, verbose=verbose is not False, format=format, **kwargs)

    def export_parts(self, signature=None):
        """How the model is exported, see `export.Endpoint`; `None` if it has no graph.

        Args:
            signature: tuple with the inputs as `KerasTensor`s, in place of those it was made for.
        """
        return None if self._function is None else graph_parts(self, signature, Model)

    def quantize(self, mode=None, config=None, filters=None, **kwargs):
        """Quantize the weights of all layers that can be; a warning names those that can't.

        Args:
            mode: `"int8"`, `"int4"` or `"float8"`; `"gptq"` and `"awq"` need a config.
            config: a `QuantizationConfig` in place of the mode.
            filters: which layers: a regular expression that is searched for in their names, a list
                of those, or a function of a layer.
            type_check: whether layers of classes of your own are left as they are.

        Raises:
            ValueError: if the model isn't built, or a layer is quantized already; nothing is
                changed then.

        Example:

        >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(16)])
        >>> model.quantize("int8")
        >>> model.layers[0].kernel.dtype
        'int8'
        """
        type_check = kwargs.pop("type_check", True)
        if kwargs:
            raise unknown_keywords("quantize", kwargs, ("mode", "config", "filters", "type_check"))
        quantize_model(self, mode, config, filters, type_check)

    def get_quantization_layer_structure(self, mode=None):
        """Which layers GPTQ and AWQ calibrate; models that know it override this.

        Args:
            mode: `"gptq"` or `"awq"`.

        Returns:
            A dict with the lists `"pre_block_layers"` (such as an embedding) and
            `"sequential_blocks"`, or `None`.
        """
        return None

    def to_json(self, **kwargs):
        """The structure as a JSON text; `keras.models.model_from_json` reads it."""
        return json.dumps(objects.serialize(self), **kwargs)

    def config_home(self):
        """The module and class name that stand for the model in files."""
        if type(self) is Model and self._function is not None:
            return "keras.src.models.functional", "Functional", "Functional"
        return None

    def get_config(self):
        """The structure as plain data."""
        if type(self) is Model and self._function is not None:
            return functional_config(self)
        return super().get_config()

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """A model made from what `get_config` returned."""
        with objects.CustomObjectScope(custom_objects):
            if cls is Model or {"layers", "input_layers", "output_layers"} <= set(config):
                return cls(**build_functional(config))
            return super().from_config(config)

    def get_compile_config(self):
        """The arguments of `compile` as plain data, or `None`."""
        return None if self._compiled is None else self._compiled.config()

    def compile_from_config(self, config):
        """Compile with the arguments that `get_compile_config` returned."""
        if not config:
            return
        arguments = objects.revive(config)
        try:
            inspect.signature(self.compile).bind(**arguments)
        except TypeError:
            return  # a `compile` of the user's own takes other arguments, and is his to call
        self.compile(**arguments)
        if self.built and self.optimizer is not None:
            self.optimizer.build(self.trainable_variables)


def _as_list(logs):
    values = list(logs.values())
    return values[0] if len(values) == 1 else values


def _shapes(structure):
    return jax.tree.map(lambda x: x.shape, structure, is_leaf=lambda x: isinstance(x, KerasTensor))


def _split(values, groups):
    start = 0
    for group in groups:
        yield values[start : start + len(group)]
        start += len(group)


def _put(tree, path, value):
    *parents, name = path.split("/")
    for parent in parents:
        tree = tree.setdefault(parent, {})
    tree[name] = value


def _flat_paths(tree, prefix=()):
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _flat_paths(value, (*prefix, name))
        else:
            yield "/".join((*prefix, name)), value
