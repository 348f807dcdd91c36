"""Losses as objects: a function, its arguments, and a reduction."""

from collections.abc import Sequence

from ..core.messages import expected
from . import _functions as f
from ._base import FunctionLoss


class MeanSquaredError(FunctionLoss):
    """`mean((y_true - y_pred)**2)`.

    Example:

    >>> loss = keras.losses.MeanSquaredError()
    >>> float(loss(np.zeros((2, 1)), np.array([[1.0], [3.0]])))
    5.0
    """

    function = staticmethod(f.mean_squared_error)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_squared_error",
        dtype=None,
    ):
        super().__init__(name, reduction, dtype)


class MeanAbsoluteError(FunctionLoss):
    """`mean(|y_true - y_pred|)`.

    Example:

    >>> loss = keras.losses.MeanAbsoluteError()
    >>> float(loss(np.zeros((2, 1)), np.array([[1.0], [3.0]])))
    2.0
    """

    function = staticmethod(f.mean_absolute_error)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_absolute_error",
        dtype=None,
    ):
        super().__init__(name, reduction, dtype)


class MeanAbsolutePercentageError(FunctionLoss):
    """`100 mean(|y_true - y_pred| / |y_true|)`.

    Example:

    >>> loss = keras.losses.MeanAbsolutePercentageError()
    >>> float(loss(np.array([[4.0]]), np.array([[3.0]])))
    25.0
    """

    function = staticmethod(f.mean_absolute_percentage_error)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_absolute_percentage_error",
        dtype=None,
    ):
        super().__init__(name, reduction, dtype)


class MeanSquaredLogarithmicError(FunctionLoss):
    """`mean((log(1 + y_true) - log(1 + y_pred))**2)`.

    Example:

    >>> loss = keras.losses.MeanSquaredLogarithmicError()
    >>> float(loss(np.array([[4.0]]), np.array([[4.0]])))
    0.0
    """

    function = staticmethod(f.mean_squared_logarithmic_error)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_squared_logarithmic_error",
        dtype=None,
    ):
        super().__init__(name, reduction, dtype)


class Huber(FunctionLoss):
    """The mean of `e**2 / 2`, or `delta (|e| - delta / 2)` where the error `|e| > delta`.

    Args:
        delta: where the square turns into a line.

    Example:

    >>> loss = keras.losses.Huber(delta=1.0)
    >>> float(loss(np.zeros((2, 1)), np.array([[1.0], [3.0]])))
    1.5
    """

    function = staticmethod(f.huber)
    _unwritten = ("dtype", "delta")

    def __init__(
        self,
        delta=1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "huber_loss",
        dtype=None,
    ):
        super().__init__(name, reduction, dtype)
        self.delta = delta


class LogCosh(FunctionLoss):
    """`mean(log(cosh(y_pred - y_true)))`.

    Example:

    >>> loss = keras.losses.LogCosh()
    >>> float(loss(np.zeros((2, 1)), np.zeros((2, 1))))
    0.0
    """

    function = staticmethod(f.log_cosh)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "log_cosh",
        dtype=None,
    ):
        super().__init__(name, reduction, dtype)


class Poisson(FunctionLoss):
    """`mean(y_pred - y_true log(y_pred))`.

    Example:

    >>> loss = keras.losses.Poisson()
    >>> float(loss(np.ones((2, 1)), np.ones((2, 1))))
    1.0
    """

    function = staticmethod(f.poisson)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "poisson",
        dtype=None,
    ):
        super().__init__(name, reduction, dtype)


class KLDivergence(FunctionLoss):
    """`sum(y_true log(y_true / y_pred))`, of probabilities.

    Example:

    >>> loss = keras.losses.KLDivergence()
    >>> round(float(loss(np.array([[0.0, 1.0]]), np.array([[0.5, 0.5]]))), 4)
    0.6931
    """

    function = staticmethod(f.kl_divergence)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "kl_divergence",
        dtype=None,
    ):
        super().__init__(name, reduction, dtype)


class CosineSimilarity(FunctionLoss):
    """Minus the cosine of the angle between labels and predictions.

    Args:
        axis: the axis of the vectors.

    Example:

    >>> loss = keras.losses.CosineSimilarity()
    >>> float(loss(np.array([[0.0, 2.0]]), np.array([[0.0, 1.0]])))
    -1.0
    """

    function = staticmethod(f.cosine_similarity)
    _unwritten = ("dtype", "axis")

    def __init__(
        self,
        axis=-1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "cosine_similarity",
        dtype=None,
    ):
        super().__init__(name, reduction, dtype)
        self.axis = axis


class Hinge(FunctionLoss):
    """`mean(max(0, 1 - y_true y_pred))`, of labels -1 and 1 (or 0 and 1).

    Example:

    >>> loss = keras.losses.Hinge()
    >>> float(loss(np.array([[-1.0, 1.0]]), np.array([[0.5, 0.5]])))
    1.0
    """

    function = staticmethod(f.hinge)

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str | None = "hinge", dtype=None
    ):
        super().__init__(name, reduction, dtype)


class SquaredHinge(FunctionLoss):
    """`mean(max(0, 1 - y_true y_pred)**2)`, of labels -1 and 1 (or 0 and 1).

    Example:

    >>> loss = keras.losses.SquaredHinge()
    >>> float(loss(np.array([[-1.0, 1.0]]), np.array([[0.5, 0.5]])))
    1.25
    """

    function = staticmethod(f.squared_hinge)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "squared_hinge",
        dtype=None,
    ):
        super().__init__(name, reduction, dtype)


class CategoricalHinge(FunctionLoss):
    """`max(0, 1 + neg - pos)`: the largest score of a wrong class, and that of the right one.

    Example:

    >>> loss = keras.losses.CategoricalHinge()
    >>> float(loss(np.array([[0.0, 1.0]]), np.array([[0.5, 0.25]])))
    1.25
    """

    function = staticmethod(f.categorical_hinge)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_hinge",
        dtype=None,
    ):
        super().__init__(name, reduction, dtype)


class BinaryCrossentropy(FunctionLoss):
    """`-mean(y_true log(y_pred) + (1 - y_true) log(1 - y_pred))`.

    Args:
        from_logits: whether predictions are logits.
        label_smoothing: how far labels move towards 1/2, from 0 to 1.
        axis: the axis to average over.

    Example:

    >>> loss = keras.losses.BinaryCrossentropy(from_logits=True)
    >>> round(float(loss(np.ones((2, 1)), np.zeros((2, 1)))), 4)
    0.6931
    """

    function = staticmethod(f.binary_crossentropy)

    def __init__(
        self,
        from_logits=False,
        label_smoothing=0.0,
        axis=-1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_crossentropy",
        dtype=None,
    ):
        super().__init__(name, reduction, dtype)
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis


class BinaryFocalCrossentropy(FunctionLoss):
    """Binary crossentropy times `(1 - p)**gamma`, `p` being the probability of the right label.

    Args:
        apply_class_balancing: whether to weight the classes 1 and 0 by `alpha` and `1 - alpha`.
        alpha: weight of class 1.
        gamma: how much easy samples are played down.
        from_logits: whether predictions are logits.
        label_smoothing: how far labels move towards 1/2, from 0 to 1.
        axis: the axis to average over.

    Example:

    >>> loss = keras.losses.BinaryFocalCrossentropy()
    >>> round(float(loss(np.ones((2, 1)), np.full((2, 1), 0.5))), 4)
    0.1733
    """

    function = staticmethod(f.binary_focal_crossentropy)

    def __init__(
        self,
        apply_class_balancing=False,
        alpha=0.25,
        gamma=2.0,
        from_logits=False,
        label_smoothing=0.0,
        axis=-1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_focal_crossentropy",
        dtype=None,
    ):
        super().__init__(name, reduction, dtype)
        self.apply_class_balancing = apply_class_balancing
        self.alpha = alpha
        self.gamma = gamma
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis


class CategoricalCrossentropy(FunctionLoss):
    """`-sum(y_true log(y_pred))`, of one-hot labels.

    Args:
        from_logits: whether predictions are logits.
        label_smoothing: share of the label that is spread evenly over the classes.
        axis: the class axis.

    Example:

    >>> loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    >>> round(float(loss(np.eye(2), np.zeros((2, 2)))), 4)
    0.6931
    """

    function = staticmethod(f.categorical_crossentropy)

    def __init__(
        self,
        from_logits=False,
        label_smoothing=0.0,
        axis=-1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_crossentropy",
        dtype=None,
    ):
        super().__init__(name, reduction, dtype)
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis


class CategoricalFocalCrossentropy(FunctionLoss):
    """`-alpha sum(y_true (1 - y_pred)**gamma log(y_pred))`, of one-hot labels.

    Args:
        alpha: factor, or one factor per class.
        gamma: how much easy samples are played down.
        from_logits: whether predictions are logits.
        label_smoothing: share of the label that is spread evenly over the classes.
        axis: the class axis.

    Example:

    >>> loss = keras.losses.CategoricalFocalCrossentropy()
    >>> round(float(loss(np.eye(2), np.full((2, 2), 0.5))), 4)
    0.0433
    """

    function = staticmethod(f.categorical_focal_crossentropy)

    def __init__(
        self,
        alpha: float | Sequence[float] = 0.25,
        gamma=2.0,
        from_logits=False,
        label_smoothing=0.0,
        axis=-1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_focal_crossentropy",
        dtype=None,
    ):
        super().__init__(name, reduction, dtype)
        self.alpha = alpha
        self.gamma = gamma
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis


class SparseCategoricalCrossentropy(FunctionLoss):
    """`-log(y_pred[y_true])`, of labels that are class indices.

    Args:
        from_logits: whether predictions are logits.
        ignore_class: index that stands for "no label"; such samples neither add up nor count.
        axis: the class axis.

    Example:

    >>> loss = keras.losses.SparseCategoricalCrossentropy()
    >>> round(float(loss(np.array([0, 1]), np.full((2, 2), 0.5))), 4)
    0.6931
    """

    function = staticmethod(f.sparse_categorical_crossentropy)
    _unwritten = ("dtype", "axis")

    def __init__(
        self,
        from_logits=False,
        ignore_class=None,
        reduction: str | None = "sum_over_batch_size",
        axis=-1,
        name: str | None = "sparse_categorical_crossentropy",
        dtype=None,
    ):
        super().__init__(name, reduction, dtype)
        self.from_logits = from_logits
        self.ignore_class = ignore_class
        self.axis = axis


class CategoricalGeneralizedCrossEntropy(FunctionLoss):
    """`(1 - y_pred[y_true]**q) / q`, of labels that are class indices.

    Args:
        q: robustness against wrong labels, in (0, 1).

    Example:

    >>> loss = keras.losses.CategoricalGeneralizedCrossEntropy()
    >>> float(loss(np.array([0]), np.array([[0.25, 0.75]])))
    1.0
    """

    function = staticmethod(f.categorical_generalized_cross_entropy)

    def __init__(
        self,
        q=0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_generalized_cross_entropy",
        dtype=None,
    ):
        if not 0 < q < 1:
            raise ValueError(
                expected("CategoricalGeneralizedCrossEntropy's q", "between 0 and 1", q)
            )
        super().__init__(name, reduction, dtype)
        self.q = q


class Dice(FunctionLoss):
    """`1 - 2 sum(y_true y_pred) / (sum(y_true) + sum(y_pred))`.

    Args:
        axis: the axes that make up one sample; all by default.

    Example:

    >>> loss = keras.losses.Dice()
    >>> round(float(loss(np.array([[1.0, 1.0]]), np.array([[1.0, 0.0]]))), 4)
    0.3333
    """

    function = staticmethod(f.dice)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "dice",
        axis=None,
        dtype=None,
    ):
        super().__init__(name, reduction, dtype)
        self.axis = axis


class Tversky(FunctionLoss):
    """`1 - both / (both + alpha missed + beta wrong)`, of overlapping areas.

    Args:
        alpha: weight of false negatives.
        beta: weight of false positives.
        axis: the axes that make up one sample; all by default.

    Example:

    >>> loss = keras.losses.Tversky()
    >>> round(float(loss(np.array([[1.0, 1.0]]), np.array([[1.0, 0.0]]))), 4)
    0.3333
    """

    function = staticmethod(f.tversky)

    def __init__(
        self,
        alpha=0.5,
        beta=0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "tversky",
        axis=None,
        dtype=None,
    ):
        super().__init__(name, reduction, dtype)
        self.alpha = alpha
        self.beta = beta
        self.axis = axis


class Circle(FunctionLoss):
    """Circle loss: pulls embeddings of one class together and pushes those of others away.

    Args:
        gamma: scale.
        margin: relaxation.
        remove_diagonal: whether a sample isn't compared with itself.

    Example:

    >>> loss = keras.losses.Circle(gamma=1.0)
    >>> round(float(loss(np.array([0, 0, 1, 1]), np.repeat(np.eye(2), 2, 0))), 3)
    0.897
    """

    function = staticmethod(f.circle)

    def __init__(
        self,
        gamma=80.0,
        margin=0.4,
        remove_diagonal=True,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "circle",
        dtype=None,
    ):
        super().__init__(name, reduction, dtype)
        self.gamma = gamma
        self.margin = margin
        self.remove_diagonal = remove_diagonal


class CTC(FunctionLoss):
    """Connectionist temporal classification: `-log p(y_true)` over all alignments.

    Example:

    >>> loss = keras.losses.CTC()
    >>> round(float(loss(np.array([[1, 0]]), np.zeros((1, 2, 2)))), 4)
    0.2877
    """

    function = staticmethod(f.ctc)

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str | None = "ctc", dtype=None
    ):
        super().__init__(name, reduction, dtype)
