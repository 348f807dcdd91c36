"""What `compile` was given: which loss and which metric goes with which output."""

from typing import Any

import jax
import jax.numpy as jnp

from .. import losses, metrics, optimizers
from ..core.messages import did_you_mean, expected
from ..core.objects import config_value
from ..core.scope import watched
from ..losses import _base as weighting
from ..losses._functions import check_labels, squeeze_to_same_rank
from ..metrics import Mean, Metric
from ..metrics._accuracy import accuracy_for


class Compiled:
    """Optimizer, losses and metrics of a model.

    One definition of a mean holds throughout: the sum of weighted values over the sum of the
    weights. So neither the batch size nor writing a sample twice instead of giving it the weight
    2 makes a difference.
    """

    def __init__(
        self,
        model,
        optimizer,
        loss,
        loss_weights,
        metrics,
        weighted_metrics,
        run_eagerly,
        steps_per_execution,
        jit_compile,
        auto_scale_loss,
    ):
        self._model = model
        self._arguments = {
            "optimizer": optimizer,
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
            "run_eagerly": run_eagerly,
            "steps_per_execution": steps_per_execution,
            "jit_compile": jit_compile,
        }
        self.optimizer = optimizers.get(optimizer)
        scale = auto_scale_loss and model.dtype_policy.name == "mixed_float16" and self.optimizer
        if scale and not isinstance(self.optimizer, optimizers.LossScaleOptimizer):
            self.optimizer = optimizers.LossScaleOptimizer(self.optimizer, name="loss_scale")
        self.run_eagerly = bool(run_eagerly) or jit_compile is False
        self.set_steps_per_execution(steps_per_execution)
        self._loss, self._loss_weights = _resolved_losses(loss), loss_weights
        self._metrics, self._weighted_metrics = _checked(metrics), _checked(weighted_metrics)
        self.loss_tracker = Mean(name="loss")
        self._outputs = None  # list of _Output, once the outputs are known
        self._weight = None  # what the last loss was divided by, while a step is traced

    def set_steps_per_execution(self, value):
        if value != "auto" and (not isinstance(value, int) or value < 1):
            raise ValueError(
                expected("steps_per_execution", "an int of at least 1, or 'auto'", value)
            )
        self.steps_per_execution = value

    def config(self):
        """The arguments as plain data."""
        config = {k: config_value(v) for k, v in self._arguments.items()}
        config["optimizer"] = config_value(self.optimizer)
        return config

    # Pairing --------------------------------------------------------------------------------

    @property
    def built(self):
        """Whether the outputs are known."""
        return self._outputs is not None

    def build(self, y, y_pred):
        """Pair losses and metrics with outputs, for targets and predictions of these shapes.

        Args:
            y, y_pred: trees of anything with a shape; `y` may be `None`.
        """
        names = output_names(self._model, y_pred)
        preds = jax.tree.leaves(y_pred)
        targets = paired(y, y_pred, names, "y") if y is not None else [None] * len(names)
        if isinstance(y_pred, dict) and len(names) > 1:
            for what in ("loss", "loss_weights", "metrics", "weighted_metrics"):
                _check_is_named(self._arguments[what], names, what)
        loss = _per_output(self._loss, names, "loss", single=_is_loss, broadcast=True)
        weights = _per_output(
            self._loss_weights,
            names,
            "loss_weights",
            single=lambda x: isinstance(x, (int, float)),
            broadcast=True,
        )
        by_kind = [
            _per_output(m, names, what, single=lambda m: not _has_parts(m, names), broadcast=False)
            for m, what in (
                (self._metrics, "metrics"),
                (self._weighted_metrics, "weighted_metrics"),
            )
        ]
        several = len(names) > 1
        outputs = []
        for i, name in enumerate(names):
            output = _Output(name, f"{name}_" if several else "")
            output.loss = loss[i]
            output.weight = 1.0 if weights[i] is None else weights[i]
            if several and output.loss is not None:
                output.tracker = Mean(name=f"{name}_loss")
            if output.loss is not None and targets[i] is None and y is not None:
                raise ValueError(f"Output '{name}' has a loss, but `y` has no targets for it.")
            for kind, weighted in zip(by_kind, (False, True), strict=True):
                for metric in kind[i] or []:
                    output.add_metric(metric, weighted, targets[i], preds[i])
            output.num_classes = preds[i].shape[-1] if preds[i].shape else None
            outputs.append(output)
        self._outputs, self._predictions = outputs, y_pred
        self._other_losses = Mean(name="other_losses") if several else None

    def trackers(self):
        """Every metric, the loss first."""
        found = [self.loss_tracker]
        for output in self._outputs or []:
            found += [output.tracker] if output.tracker is not None else []
        for output in self._outputs or []:
            found += [metric for _, metric, _ in output.metrics]
        if self._outputs and self._other_losses is not None:
            found.append(self._other_losses)
        return found

    def check_targets(self, y):
        """Raise a `ValueError` if class numbers in `y` (on the host) are out of range."""
        if self._outputs is None or y is None:
            return
        names = [output.name for output in self._outputs]
        targets = paired(y, self._predictions, names, "y")
        for output, target in zip(self._outputs, targets, strict=True):
            if target is not None and _takes_class_numbers(output.loss):
                ignored = getattr(output.loss, "ignore_class", None)
                check_labels(target, output.num_classes, ignored)

    def number_of_classes(self, y):
        """How many classes there are, as far as the one output tells; else `None`."""
        if y.ndim > 1 and y.shape[-1] > 1:
            return y.shape[-1]
        if self._outputs is None or len(self._outputs) > 1:
            return None
        (output,) = self._outputs
        if _takes_class_numbers(output.loss):
            return output.num_classes
        return 2 if _is_binary(output.loss) else None

    # Computing ------------------------------------------------------------------------------

    def compute_loss(self, y, y_pred, sample_weight):
        """The sum over the outputs of their losses, and of the losses that layers added."""
        total, self._weight = None, None
        if self._outputs is None and self._loss is not None:
            self.build(y, y_pred)
        outputs = self._outputs or []
        if any(output.loss is not None for output in outputs):
            names = [output.name for output in outputs]
            if y is None:
                raise ValueError(
                    "The model has a loss, but no targets: pass `y` to `fit` or `evaluate`."
                )
            preds = jax.tree.leaves(y_pred)
            targets = paired(y, y_pred, names, "y")
            weights = weights_per_output(sample_weight, y_pred, names)
            for output, t, p, w in zip(outputs, targets, preds, weights, strict=True):
                if output.loss is None:
                    continue
                value, weight = loss_and_weight(output.loss, t, p, w)
                if output.tracker is not None:
                    output.tracker.update_state(value, sample_weight=weight)
                self._weight = weight if self._weight is None else self._weight
                value = value * output.weight
                total = value if total is None else total + value
        added = self._model.losses
        other = sum(added[1:], added[0]) if added else None
        if other is not None:
            total = other if total is None else total + other
        if total is None:
            raise ValueError(
                f"Model '{self._model.name}' has nothing to minimize: give `compile` a loss, or "
                "call `add_loss` in a layer."
            )
        if self._outputs and self._other_losses is not None:
            other = jnp.zeros(()) if other is None else other
            self._other_losses.update_state(other, sample_weight=num_rows(y_pred))
        return total

    def track_loss(self, loss, rows):
        """Count a batch's loss, with the weight that it was divided by, or its rows; returns it."""
        weight = rows if self._weight is None else self._weight
        self._weight = None
        self.loss_tracker.update_state(loss, sample_weight=weight)
        return weight

    def update_metrics(self, y, y_pred, sample_weight):
        """Update the metrics of all outputs."""
        if self._outputs is None:
            self.build(y, y_pred)
        outputs = self._outputs or []
        if not any(output.metrics for output in outputs):
            return
        if y is None:
            raise ValueError("The model has metrics, but no targets: pass `y`.")
        names = [output.name for output in outputs]
        preds = jax.tree.leaves(y_pred)
        targets = paired(y, y_pred, names, "y")
        weights = weights_per_output(sample_weight, y_pred, names)
        for output, t, p, w in zip(outputs, targets, preds, weights, strict=True):
            for _, metric, weighted in output.metrics:
                metric.update_state(t, p, sample_weight=w if weighted else None)

    def results(self):
        """The values of loss and metrics as a dict, the loss first."""
        outputs = self._outputs or []
        logs = {"loss": self.loss_tracker.result()}
        with_loss = [(output, output.tracker) for output in outputs if output.tracker is not None]
        for _, tracker in with_loss:
            logs[tracker.name] = tracker.result()
        is_ours = getattr(type(self._model).compute_loss, "built_in", False)
        if with_loss and is_ours and self._other_losses is not None:
            # Outputs may weigh batches differently, so the mean of the sums isn't their sum.
            parts = [tracker.result() * output.weight for output, tracker in with_loss]
            logs["loss"] = sum(parts) + self._other_losses.result()
        for output in outputs:
            for name, metric, _ in output.metrics:
                value = metric.result()
                if isinstance(value, dict):
                    logs.update({f"{output.prefix}{k}": v for k, v in value.items()})
                else:
                    logs[name] = value
        return logs


class _Output:
    """Loss and metrics of one output."""

    def __init__(self, name, prefix):
        self.name, self.prefix = name, prefix
        self.loss: losses.Loss | None = None
        self.weight = 1.0
        self.tracker: Mean | None = None
        self.num_classes: int | None = None
        self.metrics = []  # (name in the logs, Metric, whether it takes sample weights)

    def add_metric(self, given, weighted, target, pred):
        metric = _as_metric(given, target, pred)
        name = given if isinstance(given, str) else metric.name
        name = self.prefix + name
        taken = {other for other, _, _ in self.metrics}
        if name in taken:
            name = f"{self.prefix}weighted_{name.removeprefix(self.prefix)}" if weighted else name
        number = 1
        while name in taken:
            name, number = f"{name}_{number}", number + 1
        self.metrics.append((name, metric, weighted))


def output_names(model, y_pred):
    """A name for every output, in flat order."""
    leaves = jax.tree_util.tree_leaves_with_path(y_pred)
    if isinstance(y_pred, dict):
        return [
            "_".join(str(getattr(k, "key", getattr(k, "idx", k))) for k in p) for p, _ in leaves
        ]
    names = getattr(model, "output_names", None)
    if names is not None and len(names) == len(leaves):
        return list(names)
    return [f"output_{i + 1}" for i in range(len(leaves))] if len(leaves) > 1 else ["output"]


def paired(tree, y_pred, names, what):
    """The parts of `tree` that belong to each output, as a flat list."""
    if isinstance(tree, dict):
        if isinstance(y_pred, dict) and jax.tree.structure(tree) == jax.tree.structure(y_pred):
            return jax.tree.leaves(tree)
        _check_names(tree, names, what)
        return [tree.get(name) for name in names]
    if len(names) == 1:
        if isinstance(tree, (list, tuple)) and len(tree) == 1:
            return [tree[0]]
        return [tree]
    if isinstance(tree, (list, tuple)):
        if isinstance(y_pred, dict):
            _check_is_named(tree, names, what)
        if len(tree) != len(names):
            raise ValueError(
                f"{what} has {len(tree)} parts, but the model has {len(names)} outputs: "
                f"{', '.join(names)}."
            )
        return list(tree)
    raise ValueError(
        f"The model has {len(names)} outputs ({', '.join(names)}); {what} should be a list or a "
        f"dict with a part for each. Received a {type(tree).__name__}."
    )


def _check_is_named(spec, names, what):
    """Raise a `ValueError` if `spec`, for a dict of outputs, is a list."""
    if isinstance(spec, (list, tuple)):
        raise ValueError(
            f"{what} is a {type(spec).__name__}, but the model's outputs are a dict, so it isn't "
            f"clear what belongs to what. Pass a dict with the keys {', '.join(names)}."
        )


def _check_names(by_name, names, what):
    """Raise a `ValueError` unless every key of `by_name` is the name of one output."""
    for name in by_name:
        if name not in names:
            raise ValueError(
                f"{what} names {name!r}, which is no output of the model. Its outputs: "
                f"{', '.join(names)}. {did_you_mean(name, names)}"
            )
        if names.count(name) > 1:
            raise ValueError(
                f"{what} names {name!r}, but {names.count(name)} outputs of the model have that "
                "name, since one layer made them. Pass a list, or give the model a dict of outputs."
            )


def weights_per_output(sample_weight, y_pred, names):
    """The sample weights of every output: one array serves all."""
    if sample_weight is None or hasattr(sample_weight, "shape"):
        return [sample_weight] * len(names)
    return paired(sample_weight, y_pred, names, "sample_weight")


def num_rows(tree):
    """The size of the first axis of the first array."""
    leaves = [x for x in jax.tree.leaves(tree) if getattr(x, "shape", ())]
    return leaves[0].shape[0] if leaves else 1


def _per_output(spec, names, what, single, broadcast) -> list[Any]:
    """A list with one entry per output, from what the user wrote for `what`."""
    if spec is None:
        return [None] * len(names)
    if isinstance(spec, dict):
        _check_names(spec, names, what)
        missing = [name for name in names if name not in spec]
        if missing and what == "loss":
            raise ValueError(
                f"Output '{missing[0]}' has no loss: `loss` names only {', '.join(spec)}. To leave "
                f"it untrained, say so: loss={{..., {missing[0]!r}: None}}."
            )
        values = [spec.get(name) for name in names]
        return [_listed(v) for v in values] if not broadcast else values
    if single(spec):
        if broadcast or len(names) == 1:
            return [spec if broadcast else _listed(spec)] * len(names)
        raise ValueError(
            f"The model has {len(names)} outputs ({', '.join(names)}), so {what} should be a dict "
            f"or list with a part for each; received {spec!r}."
        )
    if len(spec) != len(names):
        raise ValueError(
            f"{what} has {len(spec)} parts, but the model has {len(names)} outputs: "
            f"{', '.join(names)}."
        )
    return list(spec) if broadcast else [_listed(v) for v in spec]


def _has_parts(spec, names):
    """Whether metrics are written per output, rather than as one list for a single output."""
    if len(names) > 1:
        return isinstance(spec, (list, tuple))
    return isinstance(spec, (list, tuple)) and len(spec) == 1 and isinstance(spec[0], (list, tuple))


def _listed(x):
    return [] if x is None else list(x) if isinstance(x, (list, tuple)) else [x]


def _is_loss(x):
    return not isinstance(x, (list, tuple, dict))


def _map_leaves(fn, spec):
    if isinstance(spec, dict) and not {"class_name", "config"} <= set(spec):
        return {k: _map_leaves(fn, v) for k, v in spec.items()}
    if isinstance(spec, (list, tuple)):
        return [_map_leaves(fn, v) for v in spec]
    return None if spec is None else fn(spec)


def _resolved_losses(loss):
    """The same structure with `Loss` objects; an unknown name is an error here already."""

    def resolve(x):
        found = losses.get(x)
        return found if isinstance(found, losses.Loss) else UserLoss(found)

    return _map_leaves(resolve, loss)


class UserLoss(losses.Loss):
    """A plain function `(y_true, y_pred) -> values` as a `Loss`."""

    def __init__(self, function):
        super().__init__(name=getattr(function, "__name__", "loss"))
        self.function = function

    def call(self, y_true, y_pred):
        return self.function(*squeeze_to_same_rank(y_true, y_pred))


def _takes_class_numbers(loss):
    function = getattr(loss, "function", None)
    return (
        isinstance(loss, losses.SparseCategoricalCrossentropy)
        or function is losses.sparse_categorical_crossentropy
    )


def _is_binary(loss):
    kinds = losses.BinaryCrossentropy, losses.BinaryFocalCrossentropy
    functions = losses.binary_crossentropy, losses.binary_focal_crossentropy
    return isinstance(loss, kinds) or getattr(loss, "function", None) in functions


# Names whose meaning depends on the shapes: binary, one-hot or class numbers.
_ACCURACIES = ("BinaryAccuracy", "CategoricalAccuracy", "SparseCategoricalAccuracy")
_CROSSENTROPIES = (
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "SparseCategoricalCrossentropy",
)
_BY_SHAPE = {
    "accuracy": _ACCURACIES,
    "acc": _ACCURACIES,
    "crossentropy": _CROSSENTROPIES,
    "ce": _CROSSENTROPIES,
}


def _checked(spec):
    """The same structure; an unknown metric name is an error here already."""

    def check(x):
        if isinstance(x, str) and x not in _BY_SHAPE:
            metrics.get(x)
        elif not isinstance(x, (str, Metric, dict)) and not callable(x):
            raise ValueError(expected("A metric", "a name, a function or a Metric", x))
        return x

    return _map_leaves(check, spec)


def _as_metric(given, target, pred):
    """The metric that a user means for one output."""
    if isinstance(given, str) and given in _BY_SHAPE:
        shape = pred.shape if target is None else target.shape
        binary, categorical, sparse = _BY_SHAPE[given]
        kind = accuracy_for(shape, pred.shape)
        by_kind = {
            metrics.BinaryAccuracy: binary,
            metrics.CategoricalAccuracy: categorical,
            metrics.SparseCategoricalAccuracy: sparse,
        }
        return getattr(metrics, by_kind[kind])(name=given)
    found = metrics.get(given)
    if isinstance(found, Metric):
        return found
    return metrics.MeanMetricWrapper(found, name=getattr(found, "__name__", "metric"))


def loss_and_weight(loss, y_true, y_pred, sample_weight):
    """The mean loss of a batch, and the weight that it has among batches."""
    if type(loss).__call__ is not losses.Loss.__call__:
        # The user's own reduction: all there is to know is how many rows went in.
        return loss(y_true, y_pred, sample_weight=sample_weight), num_rows(y_pred)
    values, weight, mask = loss._values(y_true, y_pred, sample_weight)
    values = watched(loss, "values", values)
    reduction = "sum" if loss.reduction == "sum" else "mean_with_sample_weight"
    total, count = weighting.total_and_count(values, weight, mask, reduction)
    return weighting.ratio(total, count), count
