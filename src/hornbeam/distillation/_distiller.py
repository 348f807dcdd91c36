"""`Distiller`: trains a student on labels and on what a teacher says."""

import warnings
from typing import Any

from ..core import objects
from ..core.messages import expected
from ..core.scope import current, enter
from ..metrics import Mean
from ..models import Model
from ..training.compile import num_rows
from ._losses import DistillationLoss


class Distiller(Model):
    """A model that trains its `student` to do what labels and a `teacher` say.

    The loss is `w * loss(y, student) + (1 - w) * sum of weight * distillation loss`, with w the
    `student_loss_weight`. The teacher is frozen and predicts as outside of training. Sample weights
    count in all parts. To call the distiller is to call the student.

    Args:
        teacher: a trained `Model`.
        student: the `Model` to train; it takes what the teacher takes.
        distillation_losses: a `DistillationLoss`, or a list of them.
        distillation_loss_weights: a number for each of them; 1 by default.
        student_loss_weight: share w of the loss of `compile`, from 0 to 1. At 0, there need be
            neither that loss nor targets.
        name: name.

    Raises:
        ValueError: if teacher and student don't fit each other or the distillation losses.

    Example:

    >>> teacher = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    >>> student = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    >>> distiller = keras.distillation.Distiller(
    ...     teacher, student, keras.distillation.LogitsDistillation(temperature=2.0)
    ... )
    >>> distiller.compile("adam", "mse")
    >>> logs = distiller.fit(np.ones((8, 4)), np.ones((8, 3)), verbose=0).history
    >>> sorted(logs)
    ['distillation_loss', 'loss', 'student_loss', 'total_loss']
    """

    def __init__(
        self,
        teacher,
        student,
        distillation_losses,
        distillation_loss_weights=None,
        student_loss_weight=0.5,
        name="distiller",
        **kwargs,
    ):
        super().__init__(name=name, **kwargs)
        single = isinstance(distillation_losses, DistillationLoss)
        wanted = [distillation_losses] if single else distillation_losses
        _check(teacher, student, wanted)
        self.teacher, self.student = teacher, student
        self.distillation_losses = list(wanted)
        weights = distillation_loss_weights
        if weights is None:
            weights = [1.0] * len(wanted)
        self.distillation_loss_weights = _checked_weights(weights, len(wanted))
        if not isinstance(student_loss_weight, (int, float)) or not 0 <= student_loss_weight <= 1:
            raise ValueError(
                expected("Distiller: student_loss_weight", "from 0 to 1", student_loss_weight)
            )
        self.student_loss_weight = student_loss_weight
        self.student_loss_tracker = Mean(name="student_loss")
        self.distillation_loss_tracker = Mean(name="distillation_loss")
        self.total_loss_tracker = Mean(name="total_loss")
        self._seen: Any = None  # the student's outputs and features, within a step
        teacher.trainable = False

    def compile(self, optimizer="adam", loss=None, metrics=None, **kwargs):
        """Say how to train the student.

        Args:
            optimizer: as in `Model.compile`.
            loss: what the student's outputs are compared with targets by.
            metrics: metrics of the student's outputs.
            **kwargs: other arguments of `Model.compile`.

        Raises:
            ValueError: without a `loss`, unless `student_loss_weight` is 0.
        """
        if loss is None and self.student_loss_weight > 0:
            raise ValueError(
                "Distiller.compile needs a `loss` for the student's outputs; with labels that "
                "don't count, make the Distiller with student_loss_weight=0."
            )
        super().compile(optimizer=optimizer, loss=loss, metrics=metrics, **kwargs)

    def call(self, inputs, training=None, **kwargs):
        """The student's outputs."""
        self._seen = self._run_student(inputs, training=training, **kwargs)
        return self._seen[0]

    def _run_student(self, *args, **kwargs):
        names = {getattr(loss, "student_layer_name", None) for loss in self.distillation_losses}
        return _features(self.student, names, *args, **kwargs)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The loss to minimize: the student's, mixed with those of distillation."""
        share = self.student_loss_weight
        student_loss = 0.0
        if share > 0:
            student_loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        divided_by = self._need_compiled("compute_loss")._weight
        weight = num_rows(x) if divided_by is None else divided_by
        distillation_loss = 0.0
        if share < 1:
            distillation_loss = self._distillation_loss(x, y_pred, sample_weight, training)
        total = share * student_loss + (1 - share) * distillation_loss
        self.student_loss_tracker.update_state(student_loss, sample_weight=weight)
        self.distillation_loss_tracker.update_state(distillation_loss, sample_weight=weight)
        self.total_loss_tracker.update_state(total, sample_weight=weight)
        return total

    def _distillation_loss(self, x, y_pred, sample_weight, training):
        names = {getattr(loss, "teacher_layer_name", None) for loss in self.distillation_losses}
        with enter(losses=[]):  # the teacher's own are not to be minimized
            wanted, aims = _features(self.teacher, names, x, training=False)
        seen, self._seen = self._seen, None
        # Whoever watches the step may have put other arrays in the place of the outputs.
        if seen is None or not (seen[0] is y_pred or current().watch):
            seen = self._run_student(x, training=training)
        features = seen[1]
        features[None], aims[None] = y_pred, wanted
        given = {} if sample_weight is None else {"sample_weight": sample_weight}
        total = 0.0
        for loss, weight in zip(
            self.distillation_losses, self.distillation_loss_weights, strict=True
        ):
            aim = aims[getattr(loss, "teacher_layer_name", None)]
            found = features[getattr(loss, "student_layer_name", None)]
            total = total + weight * loss.compute_loss(aim, found, **given)
        return total

    def compile_from_config(self, config):
        """Compile with the arguments that `get_compile_config` returned."""
        if config and config.get("loss") is None and self.student_loss_weight > 0:
            warnings.warn(
                f"Distiller '{self.name}' isn't compiled: its file holds no loss (Keras writes "
                "none for distillers). Call `compile` before training it.",
                stacklevel=2,
            )
            return
        super().compile_from_config(config)

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """A distiller made from what `get_config` returned."""
        with objects.CustomObjectScope(custom_objects):
            return super().from_config(config)


def _features(model, names, *args, **kwargs):
    """The outputs of a call, and `{name: output}` of the layers of these names inside."""
    layers = {id(model.get_layer(name)): name for name in names if name is not None}
    found, outer = {}, current().watch

    def watch(owner, what, values):
        if outer is not None:
            values = outer(owner, what, values)
        if what == "outputs" and id(owner) in layers:
            found[layers[id(owner)]] = values
        return values

    with enter(watch=watch if layers else outer):
        return model(*args, **kwargs), found


def _checked_weights(weights, count):
    if not isinstance(weights, (list, tuple)) or len(weights) != count:
        wanted = f"a list of {count} numbers, one per distillation loss"
        raise ValueError(expected("Distiller: distillation_loss_weights", wanted, weights))
    return list(weights)


def _check(teacher, student, distillation_losses):
    """Raise a `ValueError` unless all fit together."""
    for what, model in (("teacher", teacher), ("student", student)):
        if not isinstance(model, Model):
            raise ValueError(expected(f"Distiller: {what}", "a Model", model))
    if not isinstance(distillation_losses, (list, tuple)):
        distillation_losses = [distillation_losses]
    for loss in distillation_losses:
        if not isinstance(loss, DistillationLoss):
            wanted = "a DistillationLoss or a list of them"
            raise ValueError(expected("Distiller: distillation_losses", wanted, loss))
        loss.validate_model_compatibility(teacher, student)
    if teacher._function is None or student._function is None:
        return  # nothing is known about shapes before the first call
    for what, ours, theirs in (
        ("input", teacher.inputs, student.inputs),
        ("output", teacher.outputs, student.outputs),
    ):
        shapes = [[x.shape for x in tensors] for tensors in (ours, theirs)]
        if len(shapes[0]) != len(shapes[1]) or not all(map(_fits, *shapes)):
            raise ValueError(
                f"Distiller: teacher and student should have the same {what} shapes; the teacher "
                f"has {shapes[0]}, the student {shapes[1]}."
            )
        dtypes = [[x.dtype for x in tensors] for tensors in (ours, theirs)]
        if dtypes[0] != dtypes[1]:
            raise ValueError(
                f"Distiller: teacher and student should have the same {what} dtypes; the teacher "
                f"has {dtypes[0]}, the student {dtypes[1]}."
            )


def _fits(a, b):
    """Whether two shapes are equal as far as they are known."""
    known = zip(a, b, strict=False)
    return len(a) == len(b) and all(x == y or x is None or y is None for x, y in known)
