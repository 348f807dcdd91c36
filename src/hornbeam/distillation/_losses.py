"""What a student is to learn from a teacher: its logits, or the features of a layer."""

from collections.abc import Callable
from typing import Any

import jax

from .. import losses
from ..core import objects, tree
from ..core.messages import expected
from ..core.objects import Configurable
from ..training.compile import UserLoss, loss_and_weight


class DistillationLoss(Configurable):
    """How far a student is from its teacher. Subclasses write `compute_loss`.

    Example:

    >>> class Spread(keras.distillation.DistillationLoss):
    ...     def compute_loss(self, teacher_outputs, student_outputs, **kwargs):
    ...         return (jnp.std(teacher_outputs) - jnp.std(student_outputs)) ** 2
    >>> float(Spread().compute_loss(np.array([1.0, 3.0]), np.array([1.0, 1.0])))
    1.0
    """

    def compute_loss(self, teacher_outputs, student_outputs, **kwargs):
        """The loss as a scalar; subclasses write this.

        Args:
            teacher_outputs: the teacher's outputs (or features): an array, or a list, tuple or
                dict of them.
            student_outputs: the student's.
            **kwargs: `sample_weight`, if `fit` was given one.
        """
        raise NotImplementedError(
            f"{type(self).__name__} doesn't say what it computes: give it a method "
            "`compute_loss(self, teacher_outputs, student_outputs, **kwargs)`."
        )

    def validate_outputs(self, teacher_outputs, student_outputs):
        """Raise a `ValueError` if the outputs of the two can't be compared."""
        _check_structure(
            f"{type(self).__name__}: the student's outputs", teacher_outputs, student_outputs
        )

    def validate_model_compatibility(self, teacher, student):
        """Raise a `ValueError` if the two models can't be compared; by default they all can."""


class _Comparison(DistillationLoss):
    """Compares each output of the teacher with that of the student, by a loss for each."""

    loss: losses.Loss | Callable | list | tuple | dict | str
    _losses: Any  # the same structure, of `Loss` objects and `None`s

    def _resolve(self, loss):
        """The given losses as functions `(y_true, y_pred, sample_weight)`; checks them, too."""
        name = type(self).__name__
        if all(leaf is None for leaf in _flatten(loss)):
            raise ValueError(expected(f"{name}: loss", "a loss, or hold at least one", loss))
        return _map_losses(_as_loss, loss)

    def get_config(self):
        """The constructor's arguments as plain data, functions as dicts, as Keras reads them."""
        return {**super().get_config(), "loss": _map_losses(_loss_config, self.loss)}

    def compute_loss(self, teacher_outputs, student_outputs, **kwargs):
        """The sum of the losses of all outputs, each a mean over the batch.

        Args:
            teacher_outputs, student_outputs: array, list, tuple or dict, as the models return
                them; in the structure of the losses.
            **kwargs: `sample_weight`: one weight per sample.
        """
        name = type(self).__name__
        self.validate_outputs(teacher_outputs, student_outputs)
        _check_structure(f"{name}: loss", teacher_outputs, self._losses)
        weight, total = kwargs.get("sample_weight"), 0.0
        pairs = zip(
            _flatten(self._losses),
            _flatten(teacher_outputs),
            _flatten(student_outputs),
            strict=True,
        )
        for loss, teacher, student in pairs:
            if loss is not None:
                try:
                    total = total + self._compare(loss, teacher, student, weight)
                except Exception as error:
                    error.add_note(
                        f"{name} compared {tuple(teacher.shape)} values of the teacher with "
                        f"{tuple(student.shape)} of the student."
                    )
                    raise
        return total

    def _compare(self, loss, teacher, student, weight):
        return loss_and_weight(loss, jax.lax.stop_gradient(teacher), student, weight)[0]


class LogitsDistillation(_Comparison):
    """The student learns the teacher's logits, softened by a temperature.

    With a divergence or crossentropy it is `T² loss(softmax(t / T), softmax(s / T))` for logits t
    and s of teacher and student: the factor makes the gradients as large at every temperature.
    With another loss, such as `"mse"`, it is `loss(t / T, s / T)`.

    Args:
        temperature: T, above 0. The higher it is, the more the wrong classes count; 3 to 5 is
            usual.
        loss: name, `Loss` or function; or a list or dict of them, one per output of the models,
            `None` for outputs that are left out.

    Reference: [Hinton, Vinyals and Dean, 2015](https://arxiv.org/abs/1503.02531).

    Example:

    >>> loss = keras.distillation.LogitsDistillation(temperature=2.0)
    >>> teacher, student = np.array([[4.0, 0.0]]), np.array([[0.0, 0.0]])
    >>> round(float(loss.compute_loss(teacher, student)), 4)
    1.3113
    """

    def __init__(self, temperature=3.0, loss="kl_divergence"):
        if not isinstance(temperature, (int, float)) or temperature <= 0:
            raise ValueError(
                expected("LogitsDistillation: temperature", "a number above 0", temperature)
            )
        self.temperature, self.loss = temperature, loss
        self._losses = self._resolve(loss)

    def _compare(self, loss, teacher, student, weight):
        t, s = teacher / self.temperature, student / self.temperature
        if not isinstance(loss, _BETWEEN_DISTRIBUTIONS):
            return super()._compare(loss, t, s, weight)
        if not getattr(loss, "from_logits", False):
            s = jax.nn.softmax(s)
        return super()._compare(loss, jax.nn.softmax(t), s, weight) * self.temperature**2


class FeatureDistillation(_Comparison):
    """The student learns what a layer of the teacher finds.

    Args:
        loss: name, `Loss` or function; or a list or dict of them, one per output of the layers,
            `None` for outputs that are left out.
        teacher_layer_name: name of a layer of the teacher, whose output is the aim; `None` for
            the teacher's own output.
        student_layer_name: name of the layer of the student that is to reach it; `None` for the
            student's own output.

    Reference: [Romero et al., 2014](https://arxiv.org/abs/1412.6550).

    Example:

    >>> loss = keras.distillation.FeatureDistillation("mse", "dense_1", "dense")
    >>> float(loss.compute_loss(np.array([[1.0, 2.0]]), np.array([[1.0, 0.0]])))
    2.0
    """

    def __init__(self, loss="mse", teacher_layer_name=None, student_layer_name=None):
        self.loss = loss
        self.teacher_layer_name, self.student_layer_name = teacher_layer_name, student_layer_name
        self._losses = self._resolve(loss)

    def validate_model_compatibility(self, teacher, student):
        """Raise a `ValueError` if a model lacks its layer."""
        for whose, model, name in (
            ("teacher", teacher, self.teacher_layer_name),
            ("student", student, self.student_layer_name),
        ):
            if name is not None:
                try:
                    model.get_layer(name)
                except ValueError as error:
                    raise ValueError(f"FeatureDistillation: in the {whose}: {error}") from None


# Losses that compare probabilities, and not any numbers.
_BETWEEN_DISTRIBUTIONS = (
    losses.KLDivergence,
    losses.CategoricalCrossentropy,
    losses.CategoricalFocalCrossentropy,
)
_BY_FUNCTION = {cls.function: cls for cls in _BETWEEN_DISTRIBUTIONS}


def _as_loss(given):
    found = losses.get(given)
    if isinstance(found, losses.Loss):
        return found
    if found in _BY_FUNCTION:
        return _BY_FUNCTION[found]()
    return UserLoss(found)


def _loss_config(given):
    found = losses.get(given)
    name = None if isinstance(found, losses.Loss) else objects.public_name(found)
    if name is None:
        return objects.serialize(found)
    function = {"class_name": "function", "registered_name": "function"}
    return {"module": "builtins", **function, "config": name[1]}


def _map_losses(fn, structure):
    return tree.map_structure(lambda x: None if x is None else fn(x), structure)


def _flatten(structure):
    """The leaves, `None`s among them."""
    return jax.tree.leaves(structure, is_leaf=lambda x: x is None)


def _check_structure(what, outputs, other):
    structures = [jax.tree.structure(x, is_leaf=lambda x: x is None) for x in (outputs, other)]
    if structures[0] != structures[1]:
        wanted, received = (str(s).removeprefix("PyTreeDef(")[:-1] for s in structures)
        raise ValueError(
            f"{what} should be in the structure of the teacher's outputs, {wanted}; received "
            f"{received}."
        )
