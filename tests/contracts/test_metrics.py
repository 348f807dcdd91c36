"""Every metric, every law."""

import copy
import functools
import inspect
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hornbeam as keras
from hornbeam.core.masks import set_mask
from hornbeam.metrics._accuracy import accuracy_for

RANDOM = np.random.RandomState(0)


def scores(*shape):
    x = RANDOM.rand(*shape) + 0.1
    return (x / x.sum(-1, keepdims=True)).astype("float32")


REAL = (RANDOM.rand(8, 3).astype("float32"), RANDOM.rand(8, 3).astype("float32") + 0.05)
BINARY = ((RANDOM.rand(8, 3) > 0.5).astype("float32"), RANDOM.rand(8, 3).astype("float32"))
INDEX = (np.array([0, 1, 2, 2, 1, 0, 1, 2]), scores(8, 3))
ONE_HOT = (np.eye(3, dtype="float32")[INDEX[0]], INDEX[1])
CLASSES = (INDEX[0], np.array([0, 1, 1, 2, 2, 0, 1, 2]))
ONE = (RANDOM.rand(8).astype("float32"),)

# Class: (arguments, one batch of data).
CASES = {
    "AUC": ({"num_thresholds": 20}, BINARY),
    "Accuracy": ({}, CLASSES),
    "BinaryAccuracy": ({"threshold": 0.4}, BINARY),
    "BinaryCrossentropy": ({"label_smoothing": 0.1}, BINARY),
    "BinaryIoU": ({"target_class_ids": [0, 1], "dtype": "float32"}, BINARY),
    "CategoricalAccuracy": ({}, ONE_HOT),
    "CategoricalCrossentropy": ({"from_logits": True}, ONE_HOT),
    "CategoricalHinge": ({}, ONE_HOT),
    "ConcordanceCorrelation": ({}, REAL),
    "CosineSimilarity": ({"axis": -1}, REAL),
    "F1Score": ({"threshold": 0.4}, BINARY),
    "FBetaScore": ({"beta": 2.0, "average": "weighted"}, BINARY),
    "FalseNegatives": ({"thresholds": [0.2, 0.8]}, BINARY),
    "FalsePositives": ({}, BINARY),
    "Hinge": ({}, BINARY),
    "IoU": ({"num_classes": 3, "target_class_ids": [0, 2], "dtype": "float32"}, CLASSES),
    "KLDivergence": ({}, (scores(8, 3), scores(8, 3))),
    "LogCoshError": ({}, REAL),
    "Mean": ({}, ONE),
    "MeanAbsoluteError": ({}, REAL),
    "MeanAbsolutePercentageError": ({}, (REAL[0] + 0.5, REAL[1])),
    "MeanIoU": ({"num_classes": 3, "dtype": "float32", "ignore_class": 1}, CLASSES),
    "MeanMetricWrapper": ({"fn": keras.losses.huber, "delta": 0.3}, REAL),
    "MeanSquaredError": ({}, REAL),
    "MeanSquaredLogarithmicError": ({}, REAL),
    "OneHotIoU": ({"num_classes": 3, "target_class_ids": [0], "dtype": "float32"}, ONE_HOT),
    "OneHotMeanIoU": ({"num_classes": 3, "dtype": "float32"}, ONE_HOT),
    "PearsonCorrelation": ({}, REAL),
    "Poisson": ({}, REAL),
    "Precision": ({"top_k": 2}, BINARY),
    "PrecisionAtRecall": ({"recall": 0.6, "num_thresholds": 20}, BINARY),
    "R2Score": ({"class_aggregation": "variance_weighted_average"}, REAL),
    "Recall": ({"thresholds": [0.3, 0.1], "class_id": 1}, BINARY),
    "RecallAtPrecision": ({"precision": 0.4, "num_thresholds": 20}, BINARY),
    "RootMeanSquaredError": ({}, REAL),
    "SensitivityAtSpecificity": ({"specificity": 0.4, "num_thresholds": 20}, BINARY),
    "SparseCategoricalAccuracy": ({}, INDEX),
    "SparseCategoricalCrossentropy": ({"ignore_class": 2}, INDEX),
    "SparseTopKCategoricalAccuracy": ({"k": 2}, INDEX),
    "SpecificityAtSensitivity": ({"sensitivity": 0.4, "num_thresholds": 20}, BINARY),
    "SquaredHinge": ({}, BINARY),
    "Sum": ({}, ONE),
    "TopKCategoricalAccuracy": ({"k": 2}, ONE_HOT),
    "TrueNegatives": ({}, BINARY),
    "TruePositives": ({"thresholds": 0.3}, BINARY),
}
# In Keras these can't be made without arguments.
NEEDS_ARGUMENTS = {
    "IoU", "MeanIoU", "MeanMetricWrapper", "OneHotIoU", "OneHotMeanIoU", "PrecisionAtRecall",
    "RecallAtPrecision", "SensitivityAtSpecificity", "SpecificityAtSensitivity",
}  # fmt: skip


def make(name, /, **kwargs):
    return getattr(keras.metrics, name)(**{**CASES[name][0], **kwargs})


def part(data, rows):
    return tuple(x[rows] for x in data)


def result(metric, *batches):
    for batch in batches:
        metric.update_state(*batch)
    return np.asarray(metric.result(), "float32")


@functools.cache
def in_different_ways(name):
    """The results for the same rows, given in ways that should make no difference."""
    data = *labels, preds = CASES[name][1]
    halves = part(data, slice(0, 4)), part(data, slice(4, 8))
    times = np.array([2, 0, 1, 3, 0, 0, 1, 1])
    kept = np.arange(8) % 3 > 0
    masked = jnp.asarray(preds)
    set_mask(masked, jnp.asarray(kept))
    half = jnp.asarray(preds, "bfloat16") if preds.dtype == "float32" else preds
    metric, other = make(name), make(name)

    def of(*batches):
        metric.reset_state()
        return result(metric, *batches)

    def pure():
        state = metric.stateless_update_state(metric.stateless_reset_state(), *data)
        return np.asarray(metric.stateless_result(state), "float32")

    def merged():
        for m, batch in ((metric, halves[0]), (other, halves[1])):
            m.reset_state()
            m.update_state(*batch)
        metric.merge_state([other])
        return result(metric)

    metric.update_state(*data), other.update_state(*data)  # some make their variables only then
    before = [np.asarray(v) for m in (metric, other) for v in m.variables]
    # Operation by operation, since the operations of all metrics together are far fewer to compile
    # than their programs; that these give the same is a law of its own.
    with keras.StatelessScope():
        found = {
            "whole": of(data),
            "halves": of(*halves),
            "merged": merged(),
            "pure": pure(),
            "weights": of((*data, times.astype("float32"))),
            "copies": of(tuple(np.repeat(x, times, axis=0) for x in data)),
            "masked": of((*labels, masked)),
            "weights of 0 and 1": of((*data, kept.astype("float32"))),
            "half": of((*labels, half)),
            "rounded": of((*labels, np.asarray(half, preds.dtype))),
        }
    for variable, value in zip([v for m in (metric, other) for v in m.variables], before):
        np.testing.assert_array_equal(variable, value)
    return found


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_no_metric_is_missing_from_the_table():
    classes = {n for n in keras.metrics.__all__ if inspect.isclass(getattr(keras.metrics, n))}
    assert classes - {"Metric"} == set(CASES)


@pytest.mark.parametrize("name", sorted(CASES))
class TestEveryMetric:
    def test_config_round_trip(self, name):
        metric = make(name, name="mine")
        config = json.loads(json.dumps(keras.metrics.serialize(metric)))
        again = keras.metrics.deserialize(config)
        assert type(again) is type(metric)
        assert again.get_config() == metric.get_config()
        assert again.name == "mine"
        np.testing.assert_array_equal(result(again, CASES[name][1]), result(metric, CASES[name][1]))

    def test_by_name(self, name):
        if name not in NEEDS_ARGUMENTS:
            snake = keras.metrics.get(name).name
            assert type(keras.metrics.get(name)) is getattr(keras.metrics, name)
            if name != "LogCoshError":  # its own name isn't that of the class
                assert type(keras.metrics.get(snake)) is getattr(keras.metrics, name)

    def test_batches_equal_all_at_once(self, name):
        found = in_different_ways(name)
        close(found["halves"], found["whole"])
        close(found["merged"], found["whole"])
        close(found["pure"], found["whole"])

    def test_weight_n_equals_n_copies(self, name):
        found = in_different_ways(name)
        close(found["weights"], found["copies"])

    def test_masked_rows_equal_weights_of_zero(self, name):
        found = in_different_ways(name)
        close(found["masked"], found["weights of 0 and 1"])

    def test_compiled_equals_operation_by_operation(self, name):
        metric, data = make(name), CASES[name][1]
        close(result(metric, data), in_different_ways(name)["whole"])

    def test_reset(self, name):
        metric, data = make(name), CASES[name][1]
        first = result(metric, data)
        metric.reset_state()
        np.testing.assert_array_equal(result(metric, data), first)

    def test_half_precision_predictions(self, name):
        found = in_different_ways(name)
        np.testing.assert_allclose(found["half"], found["rounded"], 1e-6)

    def test_state_round_trip(self, name):
        metric, data = make(name), CASES[name][1]
        first = result(metric, data)
        state = [v.numpy() for v in metric.variables]
        again, copied = make(name), copy.deepcopy(metric)
        result(again, data), metric.reset_state()  # the variables of some exist only now
        for variable, value in zip(again.variables, state, strict=True):
            variable.assign(value)
        np.testing.assert_array_equal(np.asarray(again.result(), "float32"), first)
        np.testing.assert_array_equal(np.asarray(copied.result(), "float32"), first)

    def test_variables(self, name):
        metric = make(name, name="mine")
        metric.update_state(*CASES[name][1])
        assert metric.variables
        for v in metric.variables:
            assert v.path.startswith("mine/") and not v.trainable and v.aggregation == "sum"

    def test_empty_result_is_a_number(self, name):
        if name != "R2Score":  # nothing to divide by
            assert np.isfinite(np.asarray(make(name).result(), "float32")).all()


@pytest.mark.parametrize(
    ("true", "pred", "kind"),
    [
        ((4,), (4, 1), "BinaryAccuracy"),
        ((4, 1), (4, 1), "BinaryAccuracy"),
        ((4,), (4,), "BinaryAccuracy"),
        ((4, 5), (4, 5, 1), "BinaryAccuracy"),
        ((4,), (4, 3), "SparseCategoricalAccuracy"),
        ((4, 1), (4, 3), "SparseCategoricalAccuracy"),
        ((None, 5), (None, 5, 3), "SparseCategoricalAccuracy"),
        ((4, 3), (4, 3), "CategoricalAccuracy"),
        ((None, 5, 3), (None, 5, 3), "CategoricalAccuracy"),
    ],
)
def test_what_accuracy_means(true, pred, kind):
    assert accuracy_for(true, pred) is getattr(keras.metrics, kind)


class Nested(keras.Metric):
    def __init__(self, start=5.0, **kwargs):
        super().__init__(**kwargs)
        self.start = start
        self.lowest = self.add_weight(
            name="lowest", initializer=lambda s, dtype: start + jnp.zeros(s)
        )
        self.parts = {"mean": keras.metrics.Mean(), "more": [keras.metrics.Sum(name="s")]}

    def update_state(self, values, sample_weight=None):
        self.lowest.assign(jnp.minimum(self.lowest.value, jnp.min(values)))
        self.parts["mean"].update_state(values, sample_weight)
        self.parts["more"][0].update_state(values)

    def result(self):
        return {"lowest": self.lowest.value, "mean": self.parts["mean"].result()}

    def get_config(self):
        return {**super().get_config(), "start": self.start}


def test_users_metric_with_metrics_inside():
    metric = Nested(name="n")
    assert [v.path for v in metric.variables] == ["n/lowest", "mean/total", "mean/count", "s/total"]
    found = metric(np.array([3.0, 9.0]))
    assert (float(found["lowest"]), float(found["mean"])) == (3.0, 6.0)
    metric.reset_state()
    assert [float(v) for v in metric.variables] == [5.0, 0.0, 0.0, 0.0]
    again = Nested.from_config(metric.get_config())
    assert again.get_config() == {"name": "n", "dtype": "float32", "start": 5.0}


def test_errors():
    class NoSuper(keras.Metric):
        def __init__(self):
            self.total = self.add_weight()

    with pytest.raises(RuntimeError, match=r"NoSuper.__init__ didn't call `super\(\).__init__"):
        NoSuper()
    with pytest.raises(NotImplementedError, match="update_state"):
        keras.Metric().update_state()
    with pytest.raises(NotImplementedError, match=r"result\(self\)"):
        keras.Metric().result()
    mean = keras.metrics.Mean()
    with pytest.raises(ValueError, match="each of the 2 variables of <Mean name=mean>; received 1"):
        mean.stateless_update_state([0.0], 1.0)
    with pytest.raises(ValueError, match="only now"):
        keras.metrics.F1Score().stateless_update_state([], *BINARY)
    with pytest.raises(ValueError, match=r"Unknown metric 'binary_acuracy'.*binary_accuracy"):
        keras.metrics.get("binary_acuracy")
    with pytest.raises(ValueError, match=r"one shape; received \(2, 4\) and \(2, 3\)"):
        keras.metrics.Recall()(np.ones((2, 4)), np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"AUC's curve should be one of.*'ROK'"):
        keras.metrics.AUC(curve="rok")
    with pytest.raises(ValueError, match=r"IoU's target_class_ids should be from 0 to 1"):
        keras.metrics.IoU(2, [2])
    with pytest.raises(ValueError, match=r"class_id should be below 3, the size .*; received 3"):
        keras.metrics.Recall(class_id=3)(*BINARY)
    with pytest.raises(ValueError, match="only with multi_label=True"):
        keras.metrics.AUC(num_labels=3)
    with pytest.raises(ValueError, match=r"num_labels should be the size .* received \(8, 3\)"):
        keras.metrics.AUC(multi_label=True, num_labels=2)(*BINARY)
    with pytest.warns(UserWarning, match='dtype="float32"'):
        keras.metrics.MeanIoU(3)(*CLASSES, sample_weight=np.full(8, 0.5))


def test_adjusted_r2_does_not_count_masked_rows():
    masked = jnp.asarray(REAL[1])
    set_mask(masked, jnp.arange(8) < 6)
    metric = keras.metrics.R2Score(num_regressors=2)
    close(metric(REAL[0], masked), keras.metrics.R2Score(num_regressors=2)(*part(REAL, slice(6))))


def test_a_mean_counts_past_half_precision():
    mean = keras.metrics.Mean(dtype="mixed_float16")
    for _ in range(3):
        mean.update_state(np.ones(2000))
    assert float(mean.count) == 6000
    assert float(mean.result()) == 1


def test_weights_and_masks_of_single_numbers():
    """One number per sample is the same with and without an axis of size 1."""
    y_true, y_pred, weight = np.float32([0, 1, 1]), np.float32([0.2, 0.4, 0.9]), [1.0, 0.0, 3.0]
    for name in ("MeanSquaredError", "RootMeanSquaredError", "R2Score", "Precision"):
        make = getattr(keras.metrics, name)
        column = make()(y_true[:, None], y_pred[:, None], weight)
        np.testing.assert_allclose(make()(y_true, y_pred[:, None], weight), column, 1e-6)
        if name != "R2Score":  # which wants two axes, as in Keras
            np.testing.assert_allclose(make()(y_true, y_pred, weight), column, 1e-6)


def test_updates_do_not_leave_the_device():
    metric, data = keras.metrics.SparseCategoricalAccuracy(), [jnp.asarray(x) for x in INDEX]
    metric.update_state(*data)
    with jax.transfer_guard_device_to_host("disallow"):
        metric.update_state(*data)


def test_metrics_of_one_kind_share_a_program(compiles):
    keras.metrics.Precision(name="a").update_state(*BINARY)
    with compiles() as n:
        keras.metrics.Precision(name="b", thresholds=None).update_state(*BINARY)
        assert n.of("_run") == 0
        metric = keras.metrics.Precision(thresholds=np.array([0.25, 0.75]))
        metric.update_state(*BINARY)
        assert n.of("_run") == 1
    metric.class_id = 1  # a changed argument is another program
    metric.reset_state()
    metric.update_state(*BINARY)
    expected = keras.metrics.Precision(thresholds=[0.25, 0.75], class_id=1)
    np.testing.assert_array_equal(metric.result(), expected(*BINARY))


def test_code_of_users_is_not_compiled():
    """It may look at values, print, or count batches."""
    seen = []

    def error(y_true, y_pred):
        seen.append(float(y_pred[0]))
        return np.abs(np.asarray(y_true) - np.asarray(y_pred))

    metric = keras.metrics.MeanMetricWrapper(error)
    for prediction in (1.0, 3.0):
        metric.update_state(np.zeros(1), np.array([prediction]))
    assert (seen, float(metric.result())) == ([1.0, 3.0], 2.0)

    class Batches(keras.metrics.Mean):
        def update_state(self, values):
            self.batches = getattr(self, "batches", 0) + 1
            super().update_state(values)

    metric = Batches()
    metric.update_state([1.0]), metric.update_state([5.0])
    assert (metric.batches, float(metric.result())) == (2, 3.0)


def test_merge_state():
    total, part = keras.metrics.F1Score(), keras.metrics.F1Score(threshold=0.4)
    total.update_state(*BINARY)
    for other in (part, keras.metrics.F1Score(), keras.metrics.Mean(), 3):
        with pytest.raises(ValueError, match=r"F1Score name=f1_score>.merge_state: metrics should"):
            total.merge_state([other])
    with pytest.raises(NotImplementedError, match=r"states of Nested .* `merge_state\(self"):
        Nested().merge_state([Nested()])


def test_metrics_inside_a_layer_of_mixed_precision():
    class Watched(keras.layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.mean = keras.metrics.Mean(name="mean")
            self.iou = keras.metrics.MeanIoU(2, dtype="float32")

        def call(self, inputs):
            self.mean.update_state(inputs)
            self.iou.update_state(jnp.ones(300), jnp.ones(300))
            return inputs + keras.ops.cast(self.mean.result(), inputs.dtype)

    layer = Watched(dtype="mixed_bfloat16")
    for _ in range(3):
        layer(np.ones((1001, 1)))
    assert [m.name for m in layer.metrics] == ["mean", layer.iou.name]
    # bfloat16 can't count above 256.
    assert (float(layer.mean.count), float(layer.iou.total_cm[1, 1])) == (3003, 900)


def test_labels_on_the_host_are_checked():
    metric = keras.metrics.SparseCategoricalCrossentropy()
    with pytest.raises(ValueError, match="holds the class 3, but there are 3 classes"):
        metric.update_state(np.array([0, 3]), np.full((2, 3), 0.3))
    assert float(metric.count) == 0
