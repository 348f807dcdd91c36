"""Every loss, every law."""

import inspect
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hornbeam as keras
from hornbeam.core.masks import set_mask
from hornbeam.losses._base import reduce_weighted, total_and_count
from hornbeam.losses._functions import check_labels

RANDOM = np.random.RandomState(0)


def scores(*shape):
    x = RANDOM.rand(*shape) + 0.1
    return (x / x.sum(-1, keepdims=True)).astype("float32")


REAL = (RANDOM.rand(6, 4).astype("float32"), RANDOM.rand(6, 4).astype("float32") + 0.05)
BINARY = ((RANDOM.rand(6, 4) > 0.5).astype("float32"), scores(6, 4))
ONE_HOT = (np.eye(4, dtype="float32")[[0, 1, 2, 3, 0, 1]], scores(6, 4))
INDEX = (np.array([0, 1, 2, 3, 0, 1]), scores(6, 4))
UNIT = RANDOM.randn(6, 4).astype("float32")
UNIT /= np.linalg.norm(UNIT, axis=-1, keepdims=True)
SPEECH = (np.array([[1, 2], [3, 0], [1, 1]]), RANDOM.randn(3, 6, 4).astype("float32"))

# Class: (further arguments, data). "whole batch" losses compare samples with each other.
CASES = {
    "BinaryCrossentropy": ({"label_smoothing": 0.1}, BINARY),
    "BinaryFocalCrossentropy": ({"gamma": 1.5, "apply_class_balancing": True}, BINARY),
    "CTC": ({}, SPEECH),
    "CategoricalCrossentropy": ({"from_logits": True}, ONE_HOT),
    "CategoricalFocalCrossentropy": ({"alpha": 0.3}, ONE_HOT),
    "CategoricalGeneralizedCrossEntropy": ({"q": 0.4}, INDEX),
    "CategoricalHinge": ({}, ONE_HOT),
    "Circle": ({"gamma": 4.0}, (np.array([0, 0, 1, 1, 2, 2]), UNIT)),
    "CosineSimilarity": ({"axis": -1}, REAL),
    "Dice": ({"axis": [1]}, BINARY),
    "Hinge": ({}, BINARY),
    "Huber": ({"delta": 0.3}, REAL),
    "KLDivergence": ({}, (scores(6, 4), scores(6, 4))),
    "LogCosh": ({}, REAL),
    "MeanAbsoluteError": ({}, REAL),
    "MeanAbsolutePercentageError": ({}, (REAL[0] + 0.5, REAL[1])),
    "MeanSquaredError": ({}, REAL),
    "MeanSquaredLogarithmicError": ({}, REAL),
    "Poisson": ({}, REAL),
    "SparseCategoricalCrossentropy": ({"ignore_class": 3}, INDEX),
    "SquaredHinge": ({}, BINARY),
    "Tversky": ({"alpha": 0.3, "beta": 0.7, "axis": -1}, BINARY),
}
WHOLE_BATCH = {"Circle"}
PER_SAMPLE = sorted(set(CASES) - WHOLE_BATCH)


def make(name, /, **kwargs):
    if name == "CTC" and not hasattr(keras.ops, "ctc_loss"):
        pytest.skip("no ops.ctc_loss yet")
    return getattr(keras.losses, name)(**{**CASES[name][0], **kwargs})


def test_no_loss_is_missing_from_the_table():
    classes = {n for n in keras.losses.__all__ if inspect.isclass(getattr(keras.losses, n))}
    assert classes - {"Loss"} == set(CASES)


@pytest.mark.parametrize("name", sorted(CASES))
class TestEveryLoss:
    def test_config_round_trip(self, name):
        loss = make(name, reduction="sum", name="mine", dtype="float16")
        config = json.loads(json.dumps(keras.losses.serialize(loss)))
        again = keras.losses.deserialize(config)
        assert type(again) is type(loss)
        assert again.get_config() == loss.get_config()
        assert (again.name, again.reduction, again.dtype) == ("mine", "sum", "float16")
        for argument, value in CASES[name][0].items():
            assert getattr(again, argument) == value

    def test_by_name(self, name):
        assert type(keras.losses.get(name)) is getattr(keras.losses, name)
        assert type(keras.losses.get(type(make(name)))) is type(make(name))

    def test_reductions_agree(self, name):
        data = CASES[name][1]
        values = np.asarray(make(name, reduction="none")(*data))
        assert values.shape == (len(data[0]),)
        count = np.sum(data[0] != 3) if name == "SparseCategoricalCrossentropy" else values.size
        np.testing.assert_allclose(make(name, reduction="sum")(*data), values.sum(), 1e-5)
        np.testing.assert_allclose(make(name)(*data), values.sum() / count, 1e-5)
        total, count = make(name).total_and_count(*data)
        np.testing.assert_allclose(make(name)(*data), total / count, 1e-6)

    def test_compiled_equals_eager(self, name):
        loss, data = make(name), CASES[name][1]
        np.testing.assert_allclose(jax.jit(loss)(*data), loss(*data), 2e-5, 1e-6)

    def test_gradients_are_finite(self, name):
        y_true, y_pred = CASES[name][1]
        for at in (y_pred, np.zeros_like(y_pred), np.ones_like(y_pred)):
            gradient = jax.grad(lambda p: make(name)(y_true, p))(jnp.asarray(at))
            assert bool(jnp.isfinite(gradient).all())

    def test_half_precision(self, name):
        y_true, y_pred = CASES[name][1]
        exact = float(make(name)(y_true, y_pred))
        for dtype in ("float16", "bfloat16"):
            value = make(name, dtype=dtype)(y_true, jnp.asarray(y_pred, dtype))
            assert value.dtype == dtype
            np.testing.assert_allclose(np.asarray(value, "float32"), exact, 5e-2, 5e-2)
        assert make(name)(y_true, jnp.asarray(y_pred, "bfloat16")).dtype == "float32"

    def test_sample_weight_scales_each_value(self, name):
        data = CASES[name][1]
        weight = np.linspace(0, 2, len(data[0])).astype("float32")
        values = make(name, reduction="none")(*data)
        weighted = make(name, reduction="none")(*data, sample_weight=weight)
        np.testing.assert_allclose(weighted, values * weight, 1e-5)


@pytest.mark.parametrize("name", PER_SAMPLE)
def test_weight_two_equals_a_duplicated_row(name):
    y_true, y_pred = CASES[name][1]
    twice = [np.concatenate([y[:1], y]) for y in (y_true, y_pred)]
    weight = np.array([2.0] + [1.0] * (len(y_true) - 1))
    loss = make(name, reduction="mean_with_sample_weight")
    np.testing.assert_allclose(loss(y_true, y_pred, sample_weight=weight), loss(*twice), rtol=1e-5)


@pytest.mark.parametrize("name", PER_SAMPLE)
def test_parts_of_a_batch_add_up(name):
    (y_true, y_pred), loss = CASES[name][1], make(name)
    parts = np.array_split(y_true, 3), np.array_split(y_pred, 3)  # of one shape
    pairs = [loss.total_and_count(*part) for part in zip(*parts, strict=True)]
    total, count = (sum(x) for x in zip(*pairs, strict=True))
    np.testing.assert_allclose(total / count, loss(y_true, y_pred), rtol=1e-5)


REDUCTIONS = ("sum", "sum_over_batch_size", "mean", "mean_with_sample_weight")


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", [(2,), (2, 3), (2, 1)])
def test_masked_steps_do_not_matter(reduction, shape):
    """What is masked may hold anything; the rest counts as if it stood alone."""
    mask = np.array([[True, False, True], [True, True, False]])
    y_pred = RANDOM.rand(2, 3, 4).astype("float32")
    y_true = RANDOM.rand(2, 3, 4).astype("float32")
    weight = RANDOM.rand(*shape).astype("float32") + 0.5
    loss = keras.losses.MeanSquaredError(reduction=reduction)
    masked = jnp.asarray(np.where(mask[..., None], y_pred, np.inf))
    set_mask(masked, jnp.asarray(mask))
    full = weight.reshape(weight.shape + (1,) * (2 - weight.ndim)) * np.ones((2, 3))
    alone = loss(y_true[mask], y_pred[mask], sample_weight=full[mask])
    result = loss(y_true, masked, sample_weight=weight)
    np.testing.assert_allclose(result, alone, rtol=1e-5)


def test_a_fully_masked_batch_has_loss_zero():
    y_pred = jnp.ones((2, 3))
    set_mask(y_pred, jnp.zeros((2,), bool))
    assert float(keras.losses.MeanSquaredError()(np.zeros((2, 3)), y_pred)) == 0


def test_mask_of_one_number_per_step():
    y_pred = jnp.asarray([[[1.0], [5.0]], [[2.0], [3.0]]])
    set_mask(y_pred, jnp.asarray([[True, False], [True, True]]))
    loss = keras.losses.MeanAbsoluteError()
    assert float(loss(np.zeros((2, 2)), y_pred)) == pytest.approx(2.0)


@pytest.mark.parametrize(("true", "pred"), [((3,), (3, 1)), ((3, 1), (3,)), ((3, 2, 1), (3, 2))])
def test_a_missing_last_axis(true, pred):
    values = keras.losses.mean_squared_error(np.zeros(true), np.ones(pred))
    assert values.shape == (3,)


@pytest.mark.parametrize("name", ["MeanSquaredError", "BinaryCrossentropy", "Hinge"])
@pytest.mark.parametrize("reduction", ["sum", "sum_over_batch_size", "mean_with_sample_weight"])
def test_weights_and_masks_of_single_numbers(name, reduction):
    """One number per sample is the same with and without an axis of size 1."""
    y_true, y_pred, weight = (np.float32([0, 1, 1]), np.float32([0.2, 0.4, 0.9]), [1.0, 0.0, 3.0])
    loss = getattr(keras.losses, name)(reduction=reduction)
    columns = y_true[:, None], y_pred[:, None]
    np.testing.assert_allclose(loss(y_true, y_pred, weight), loss(*columns, weight), 1e-6)
    masked = [jnp.asarray(y_pred), jnp.asarray(y_pred[:, None])]
    for pred in masked:
        set_mask(pred, jnp.asarray([True, False, True]))
    np.testing.assert_allclose(loss(y_true, masked[0]), loss(columns[0], masked[1]), 1e-6)


def test_weights_that_do_not_fit():
    loss = keras.losses.MeanSquaredError()
    with pytest.raises(ValueError, match=r"sample_weight has shape \(2,\).*\(3,\) values"):
        loss(np.ones((3, 4)), np.ones((3, 4)), sample_weight=np.ones(2))
    with pytest.raises(ValueError, match="one entry per sample"):
        loss(np.ones((3, 4)), np.ones((3, 4)), sample_weight=np.ones((3, 4)))


@pytest.mark.parametrize("label", [4, -1])
def test_labels_out_of_range(label):
    y_true, y_pred = np.array([0, label]), scores(2, 4)
    loss = keras.losses.SparseCategoricalCrossentropy()
    with pytest.raises(ValueError, match=f"holds the class {label}, but there are 4 classes"):
        loss(y_true, y_pred)
    with pytest.raises(ValueError, match="0…3"):
        check_labels(y_true, 4)
    check_labels(y_true, 4, ignore_class=label)
    # Compiled code can't raise: such a sample has the loss 0.
    compiled = jax.jit(keras.losses.sparse_categorical_crossentropy)(y_true, y_pred)
    assert float(compiled[1]) == 0


def test_class_indices_survive_half_precision():
    y_pred = np.full((1, 400), 1e-3, "float32")
    y_pred[0, 257] = 1.0  # bfloat16 would round the label 257 to 256
    loss = keras.losses.SparseCategoricalCrossentropy(dtype="bfloat16")
    assert float(loss(np.array([257]), y_pred)) < 1


def test_indices_for_one_hot_labels():
    with pytest.raises(ValueError, match="sparse_categorical_crossentropy"):
        keras.losses.categorical_crossentropy(np.array([0, 1]), scores(2, 4))
    with pytest.raises(ValueError, match=r"without its last axis; received \(2, 2\) and \(2, 2\)"):
        keras.losses.categorical_generalized_cross_entropy(np.eye(2), scores(2, 2), 0.5)
    with pytest.raises(ValueError, match="shape"):
        keras.losses.sparse_categorical_crossentropy(np.array([[0, 1], [1, 0]]), scores(2, 2))


def test_loss_of_nested_structures():
    class Both(keras.Loss):
        def call(self, y_true, y_pred):
            return sum(jnp.mean(jnp.abs(y_true[k] - y_pred[k]), axis=-1) for k in "ab")

    y = {"a": np.ones((2, 3)), "b": np.ones((2, 1))}
    zeros = {"a": np.zeros((2, 3)), "b": np.zeros((2, 1))}
    assert float(Both()(y, zeros, sample_weight=[1.0, 0.0])) == 1.0


def test_users_loss():
    class Scaled(keras.Loss):
        def __init__(self, factor, name="scaled", **kwargs):
            super().__init__(name=name, **kwargs)
            self.factor = factor

        def call(self, y_true, y_pred):
            return self.factor * jnp.mean(y_pred - y_true, axis=-1)

        def get_config(self):
            return {**super().get_config(), "factor": self.factor}

    loss = Scaled(3.0)
    config = keras.losses.serialize(loss)
    again = keras.losses.deserialize(config, custom_objects={"Scaled": Scaled})
    assert again.get_config() == loss.get_config()
    assert float(again(np.zeros((2, 1)), np.ones((2, 1)))) == 3.0


def test_names_and_errors():
    assert keras.losses.get("MSE") is keras.losses.mean_squared_error
    assert keras.losses.get(None) is None
    assert [keras.Loss().name, keras.Loss().name] == ["loss", "loss_1"]
    with pytest.raises(ValueError, match=r"Unknown loss 'mean_square_error'.*mean_squared_error"):
        keras.losses.get("mean_square_error")
    with pytest.raises(ValueError, match=r"Huber's reduction should be one of.*'summ'"):
        keras.losses.Huber(reduction="summ")
    with pytest.raises(NotImplementedError, match=r"give it a method `call"):
        keras.Loss()(np.ones(2), np.ones(2))
    with pytest.raises(ValueError, match="q should be between 0 and 1; received 2"):
        keras.losses.CategoricalGeneralizedCrossEntropy(q=2)


def test_parts_of_batches_add_up():
    values, weight = RANDOM.rand(10).astype("float32"), RANDOM.rand(10).astype("float32")
    parts = [slice(0, 3), slice(3, 10)]
    for reduction in ("sum_over_batch_size", "mean_with_sample_weight"):
        pairs = [total_and_count(values[p], weight[p], None, reduction) for p in parts]
        total, count = (sum(x) for x in zip(*pairs, strict=True))
        whole = reduce_weighted(values, weight, None, reduction)
        np.testing.assert_allclose(total / count, whole, 1e-5)
