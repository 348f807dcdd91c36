"""Losses and metrics compared with the real Keras: values, gradients, configs, variables."""

import warnings

import jax
import jax.numpy as jnp
import keras as real
import numpy as np
import pytest
from hypothesis import given, strategies

import hornbeam as keras

RANDOM = np.random.RandomState(3)
T = RANDOM.rand(6, 4).astype("float32")
P = RANDOM.rand(6, 4).astype("float32")
B = (RANDOM.rand(6, 4) > 0.5).astype("float32")
I = np.array([0, 1, 2, 3, 1, 1])  # noqa: E741
ODD = np.where(P > 0.7, np.inf, np.where(P < 0.3, np.nan, P))
UNIT = (P / np.linalg.norm(P, axis=1, keepdims=True)).astype("float32")

FUNCTIONS = [
    ("mean_squared_error", (T, P), {}),
    ("mean_absolute_error", (T, P), {}),
    ("mean_absolute_percentage_error", (T, P), {}),
    ("mean_squared_logarithmic_error", (T, P), {}),
    ("huber", (T * 3, P), {"delta": 0.7}),
    ("log_cosh", (T * 20, P), {}),
    ("poisson", (T, P), {}),
    ("kl_divergence", (T, P), {}),
    ("cosine_similarity", (T, P), {"axis": 0}),
    ("hinge", (B, P), {}),
    ("squared_hinge", (2 * B - 1, P), {}),
    ("categorical_hinge", (np.eye(4)[I], P), {}),
    ("binary_crossentropy", (B, P), {"label_smoothing": 0.2}),
    ("binary_crossentropy", (B, P * 9 - 5), {"from_logits": True, "axis": 0}),
    ("binary_focal_crossentropy", (B, P), {"apply_class_balancing": True, "alpha": 0.3}),
    ("binary_focal_crossentropy", (B, P * 9 - 5), {"from_logits": True, "gamma": 1.0}),
    ("categorical_crossentropy", (np.eye(4)[I], P), {"label_smoothing": 0.1}),
    ("categorical_crossentropy", (np.eye(4)[I].T, P.T), {"from_logits": True, "axis": 0}),
    ("categorical_focal_crossentropy", (np.eye(4)[I], P), {"alpha": 0.5, "gamma": 3.0}),
    ("categorical_focal_crossentropy", (np.eye(4)[I], P * 5), {"from_logits": True}),
    ("sparse_categorical_crossentropy", (I, P), {}),
    ("sparse_categorical_crossentropy", (I, P * 5), {"from_logits": True, "ignore_class": 1}),
    ("sparse_categorical_crossentropy", (I[:, None], P), {}),
    ("categorical_generalized_cross_entropy", (I, P / P.sum(-1, keepdims=True)), {"q": 0.3}),
    ("dice", (B, P), {"axis": (0, 1)}),
    ("tversky", (B, P), {"alpha": 0.2, "beta": 0.9, "axis": -1}),
    ("circle", (np.array([0, 0, 1, 1, 0, 2]), UNIT), {"gamma": 8.0, "margin": 0.3}),
    ("ctc", (np.array([[1, 2, 0], [3, 3, 1]]), RANDOM.randn(2, 8, 4).astype("float32")), {}),
]


@pytest.mark.parametrize(("name", "data", "kwargs"), FUNCTIONS)
def test_functions(name, data, kwargs):
    y_true, y_pred = data
    found = []
    for function in (getattr(keras.losses, name), getattr(real.losses, name)):

        def total(y_pred, function=function):
            values = function(y_true, y_pred, **kwargs)
            return values.sum(), values

        found.append(jax.jit(jax.value_and_grad(total, has_aux=True))(jnp.asarray(y_pred)))
    ((_, ours), our_gradient), ((_, theirs), their_gradient) = found
    np.testing.assert_allclose(ours, theirs, 2e-5, 2e-6)
    np.testing.assert_allclose(our_gradient, their_gradient, 2e-4, 2e-5)


REDUCTIONS = ("sum", "sum_over_batch_size", "mean", "mean_with_sample_weight", "none", None)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weight", [None, "samples", "steps"])
@pytest.mark.parametrize("masked", [False, True])
def test_reductions(reduction, weight, masked):
    if masked and weight == "samples":
        return  # Keras lines up the weights with the wrong axis of the mask
    if weight == "samples" and reduction == "mean_with_sample_weight":
        return  # Keras divides by the weights before they are spread over the steps
    y_true, y_pred = RANDOM.rand(3, 2, 4).astype("float32"), jnp.asarray(RANDOM.rand(3, 2, 4))
    if masked:
        y_pred._keras_mask = jnp.asarray([[True, False], [True, True], [False, False]])
    weights = {"samples": RANDOM.rand(3, 1), "steps": RANDOM.rand(3, 2), None: None}[weight]
    results = [
        k.losses.MeanAbsoluteError(reduction=reduction)(y_true, y_pred, sample_weight=weights)
        for k in (keras, real)
    ]
    np.testing.assert_allclose(*results, rtol=1e-5)


METRICS = [
    ("Accuracy", {}, (I, np.array([0, 1, 1, 3, 2, 1]))),
    ("BinaryAccuracy", {"threshold": 0.3}, (B, P)),
    ("CategoricalAccuracy", {}, (np.eye(4)[I], P)),
    ("SparseCategoricalAccuracy", {}, (I, P)),
    ("TopKCategoricalAccuracy", {"k": 2}, (np.eye(4)[I], P)),
    ("SparseTopKCategoricalAccuracy", {"k": 2}, (I, P)),
    ("SparseTopKCategoricalAccuracy", {"k": 2}, (I, ODD)),
    ("MeanSquaredError", {}, (T, P)),
    ("RootMeanSquaredError", {}, (T, P)),
    ("MeanAbsoluteError", {}, (T, P)),
    ("MeanAbsolutePercentageError", {}, (T, P)),
    ("MeanSquaredLogarithmicError", {}, (T, P)),
    ("LogCoshError", {}, (T, P)),
    ("CosineSimilarity", {}, (T, P)),
    ("PearsonCorrelation", {}, (T, P)),
    ("ConcordanceCorrelation", {}, (T, P)),
    ("R2Score", {"num_regressors": 1}, (T, P)),
    ("R2Score", {}, (T[:, 0], P[:, :1])),
    ("R2Score", {"class_aggregation": None}, (T, P)),
    ("BinaryCrossentropy", {"label_smoothing": 0.1}, (B, P)),
    ("CategoricalCrossentropy", {}, (np.eye(4)[I], P)),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, (I, P)),
    ("KLDivergence", {}, (T, P)),
    ("Poisson", {}, (T, P)),
    ("Hinge", {}, (B, P)),
    ("SquaredHinge", {}, (B, P)),
    ("CategoricalHinge", {}, (B, P)),
    ("TruePositives", {"thresholds": [0.2, 0.7]}, (B, P)),
    ("FalsePositives", {}, (B, P)),
    ("TrueNegatives", {"thresholds": 0.4}, (B, P)),
    ("FalseNegatives", {}, (B, P)),
    ("Precision", {"top_k": 2, "class_id": 1}, (B, P)),
    ("Recall", {"thresholds": [0.1, 0.6]}, (B, P)),
    ("PrecisionAtRecall", {"recall": 0.5}, (B, P)),
    ("RecallAtPrecision", {"precision": 0.5}, (B, P)),
    ("SensitivityAtSpecificity", {"specificity": 0.5}, (B, P)),
    ("SpecificityAtSensitivity", {"sensitivity": 0.5}, (B, P)),
    ("AUC", {}, (B, P)),
    ("AUC", {"num_thresholds": 20}, (B, np.where(P > 0.9, np.nan, P * 3 - 1))),
    ("AUC", {"curve": "PR", "num_thresholds": 30}, (B, P)),
    ("AUC", {"curve": "PR", "summation_method": "majoring", "thresholds": [0.3, 0.6]}, (B, P)),
    ("AUC", {"curve": "prgain"}, (B, P)),
    ("AUC", {"multi_label": True, "label_weights": [0.1, 0.2, 0.3, 0.4]}, (B, P)),
    ("AUC", {"from_logits": True, "summation_method": "minoring"}, (B, P * 6 - 3)),
    ("F1Score", {}, (B, P)),
    ("FBetaScore", {"beta": 0.5, "threshold": 0.4, "average": "micro"}, (B, P)),
    ("FBetaScore", {"average": "weighted"}, (B, P)),
    ("IoU", {"num_classes": 4, "target_class_ids": [1, 2], "dtype": "float32"}, (I, I[::-1])),
    ("MeanIoU", {"num_classes": 4, "ignore_class": 1, "dtype": "float32"}, (I, I[::-1])),
    ("OneHotIoU", {"num_classes": 4, "target_class_ids": [1], "dtype": "float32"},
     (np.eye(4)[I], P)),
    ("OneHotMeanIoU", {"num_classes": 4, "dtype": "float32"}, (np.eye(4)[I], P)),
    ("BinaryIoU", {"dtype": "float32"}, (B, P)),
    ("Mean", {}, (P,)),
    ("Sum", {}, (P,)),
]  # fmt: skip


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("name", "kwargs", "data"), METRICS)
def test_metrics(name, kwargs, data, weighted):
    if name == "BinaryIoU" and weighted:
        return  # Keras can't spread one weight per sample over the positions
    weight = np.array([1.0, 0.5, 2.0, 0.0, 1.5, 0.7], "float32")
    ours, theirs = (getattr(k.metrics, name)(name="m", **kwargs) for k in (keras, real))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras's own
        for rows in (slice(0, 3), slice(3, 6)):
            batch = [x[rows] for x in data] + ([weight[rows]] if weighted else [])
            results = [metric(*batch) for metric in (ours, theirs)]
            np.testing.assert_allclose(*results, rtol=2e-5, atol=2e-6)
        assert len(ours.variables) == len(theirs.variables)
        for mine, its in zip(ours.variables, theirs.variables, strict=True):
            assert (mine.path, mine.shape, mine.dtype) == (its.path, tuple(its.shape), its.dtype)
            np.testing.assert_allclose(mine, its.value, 2e-5, 2e-6)
    assert _plain(ours.get_config()) == _plain(theirs.get_config())
    assert ours._direction == getattr(theirs, "_direction", None)


def _plain(config):
    """Keras writes values that differ from ours only in type (tuples, NumPy numbers)."""
    return {
        k: v if isinstance(v, str) or np.ndim(v) == 0 else [round(float(x), 6) for x in v]
        for k, v in config.items()
    }


def test_loss_configs():
    for name in keras.losses.__all__:
        if isinstance(getattr(keras.losses, name), type) and name != "Loss":
            ours, theirs = (k.losses.__dict__[name]() for k in (keras, real))
            assert keras.losses.serialize(ours) == real.losses.serialize(theirs), name


def test_keras_loads_our_configs():
    loss = keras.losses.Huber(delta=2.0, reduction="sum")
    assert real.losses.deserialize(keras.losses.serialize(loss)).reduction == "sum"
    metric = keras.metrics.TopKCategoricalAccuracy(k=3)
    assert real.metrics.deserialize(keras.metrics.serialize(metric))._fn_kwargs == {"k": 3}


# Inputs of any kind ------------------------------------------------------------------------------

ELEMENTWISE = [
    "MeanSquaredError", "MeanAbsoluteError", "MeanSquaredLogarithmicError", "Huber",
    "Poisson", "KLDivergence", "Hinge", "SquaredHinge", "CategoricalHinge", "CosineSimilarity",
    "BinaryCrossentropy", "BinaryFocalCrossentropy", "Dice", "Tversky",
]  # fmt: skip
COUNTS = [
    "BinaryAccuracy", "Accuracy", "Precision", "Recall", "TruePositives", "TrueNegatives",
    "RootMeanSquaredError", "MeanSquaredError", "CategoricalAccuracy", "TopKCategoricalAccuracy",
]  # fmt: skip
SHAPES = [((3, 2), (3, 2)), ((3,), (3, 1)), ((3, 1), (3,)), ((2, 3, 1), (2, 3)), ((0, 2), (0, 2))]
KINDS = {
    "floats": lambda x: x,
    "half": lambda x: x.astype("float16"),
    "booleans": lambda x: x > 0.5,
    "integers": lambda x: (x > 0.5).astype("int64"),
    "NaN": lambda x: np.where(x > 0.7, np.float32("nan"), x),
    "infinite": lambda x: np.where(x > 0.7, np.float32("inf"), x),
    "zeros": lambda x: x * 0,
}


def inputs(names, preds):
    return strategies.tuples(
        strategies.sampled_from(names),
        strategies.sampled_from(SHAPES),
        strategies.sampled_from(sorted(KINDS)),
        strategies.sampled_from(preds),
    )


def same_number(ours, theirs):
    """Compare what two functions return, unless Keras refuses."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about infinite numbers
        try:
            theirs = theirs()
        except (TypeError, ValueError):
            return
        ours = ours()
    assert ours.dtype == theirs.dtype
    np.testing.assert_allclose(ours, np.reshape(theirs, np.shape(ours)), rtol=1e-5, atol=1e-6)


# Integer predictions aren't among these: Keras casts labels to the type of predictions.
@given(inputs(ELEMENTWISE, ["floats", "half", "NaN", "infinite", "zeros"]))
def test_losses_of_any_input(case):
    name, (true, pred), true_kind, pred_kind = case
    y_true, y_pred = KINDS[true_kind](T[:3, :2]), KINDS[pred_kind](P[:3, :2])
    y_true, y_pred = np.resize(y_true, true), np.resize(y_pred, pred)
    if 0 in true:
        assert float(getattr(keras.losses, name)(reduction="sum")(y_true, y_pred)) in (0.0, 1.0)
        return  # Keras returns an array without a number
    same_number(*(lambda k=k: getattr(k.losses, name)()(y_true, y_pred) for k in (keras, real)))


@given(inputs(COUNTS, ["floats", "NaN", "infinite", "zeros"]))
def test_metrics_of_any_input(case):
    name, (true, pred), true_kind, pred_kind = case
    y_true, y_pred = KINDS[true_kind](T[:3, :2]), KINDS[pred_kind](P[:3, :2])
    y_true, y_pred = np.resize(y_true, true), np.resize(y_pred, pred)
    arguments = {"k": 1} if "TopK" in name else {}
    same_number(
        *(lambda k=k: getattr(k.metrics, name)(**arguments)(y_true, y_pred) for k in (keras, real))
    )
