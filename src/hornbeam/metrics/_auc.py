"""The area under a curve of two rates."""

import jax
import jax.numpy as jnp

from ..core.messages import expected, one_of
from ..losses._base import ratio, weigh
from ._confusion import CountsMetric, as_list
from ._rates import precision_of, recall_of


class AUC(CountsMetric):
    """The area under a curve of two rates, drawn by moving the threshold.

    The curve of true against false positive rates ("ROC") has the area 0.5 for random scores and
    1 for perfect ones. It is approximated at `num_thresholds` points.

    Args:
        num_thresholds: how many points the curve has.
        curve: `"ROC"`, `"PR"` (precision against recall) or `"PRGAIN"` (their gains over always
            deciding for 1).
        summation_method: `"interpolation"`, or `"minoring"` / `"majoring"` for the lower / upper
            bound of each interval.
        name: name of the metric.
        dtype: number type.
        thresholds: list of numbers from 0 to 1 instead of evenly spaced ones.
        multi_label: whether to average the areas of each label (the last axis) instead of
            pooling all.
        num_labels: the number of labels, if known beforehand.
        label_weights: one weight per label.
        from_logits: whether scores are logits.

    Reference:
        [Davis and Goadrich, 2006](https://dl.acm.org/doi/10.1145/1143844.1143874),
        [Flach and Kull, 2015](https://papers.nips.cc/paper/5867)

    Example:

    >>> auc = keras.metrics.AUC(num_thresholds=3)
    >>> float(auc(np.array([0, 0, 1, 1]), np.array([0.0, 0.5, 0.3, 0.9])))
    0.75
    """

    _direction = "up"

    def __init__(
        self,
        num_thresholds=200,
        curve="ROC",
        summation_method="interpolation",
        name=None,
        dtype=None,
        thresholds=None,
        multi_label=False,
        num_labels=None,
        label_weights=None,
        from_logits=False,
    ):
        super().__init__(dtype=dtype, name=name)
        self.curve = one_of("AUC's curve", str(curve).upper(), ("ROC", "PR", "PRGAIN"))
        self.summation_method = one_of(
            "AUC's summation_method",
            str(summation_method).lower(),
            ("interpolation", "minoring", "majoring"),
        )
        self._spaced = thresholds is None
        if thresholds is not None:
            inner = sorted(as_list(thresholds, None, "AUC"))
        elif isinstance(num_thresholds, int) and num_thresholds >= 2:
            inner = [i / (num_thresholds - 1) for i in range(1, num_thresholds - 1)]
        else:
            raise ValueError(expected("AUC's num_thresholds", "at least 2", num_thresholds))
        # The ends lie just outside, so that scores 0 and 1 are above and below them.
        self._thresholds = [-1e-7, *inner, 1 + 1e-7]
        self.num_thresholds = len(self._thresholds)
        if num_labels is not None and not multi_label:
            raise ValueError(
                "AUC counts labels apart only with multi_label=True; received "
                f"num_labels={num_labels} without it."
            )
        self.multi_label = self._per_label = multi_label
        self.num_labels = num_labels
        self.label_weights = None if label_weights is None else list(label_weights)
        self.from_logits = from_logits
        self.built = False
        if not multi_label:
            self.build()
        elif num_labels is not None:
            self.build((None, num_labels))

    @property
    def thresholds(self):
        """The list of thresholds."""
        return self._thresholds

    def build(self, y_true_shape=None, y_pred_shape=None):
        """Make the counts, one column per label with `multi_label`."""
        if self.built:
            return
        shape = (self.num_thresholds,)
        if self.multi_label:
            labels = tuple(y_true_shape or ())
            if len(labels) != 2:
                raise ValueError(
                    "AUC with multi_label=True takes labels of shape (batch_size, num_labels); "
                    f"received {labels}."
                )
            shape = (self.num_thresholds, labels[-1])
            if self.label_weights is not None and len(self.label_weights) != labels[-1]:
                raise ValueError(
                    expected(
                        "AUC's label_weights",
                        f"one weight for each of the {labels[-1]} labels",
                        self.label_weights,
                    )
                )
        self._add_counts(shape)
        self.built = True

    def _add(self, y_true, y_pred, sample_weight, mask):
        if not self.built:
            self.build(y_true.shape, y_pred.shape)
        if self.multi_label and y_pred.shape[-1] != self._variable("true_positives").shape[-1]:
            raise ValueError(
                expected("AUC's num_labels", "the size of the last axis of y_pred", y_pred.shape)
            )
        if self.from_logits:
            y_pred = jax.nn.sigmoid(y_pred)
        # Beyond the ends, scores would be missing from the curve.
        y_pred = jnp.clip(jnp.nan_to_num(y_pred), 0, 1)
        if self.label_weights is not None and not self.multi_label:
            weights = jnp.broadcast_to(jnp.asarray(self.label_weights, y_pred.dtype), y_pred.shape)
            sample_weight = weigh(weights, sample_weight)[0]
        super()._add(y_true, y_pred, sample_weight, mask)

    def result(self):
        """The area so far."""
        if not self.built:
            return jnp.zeros((), self.dtype)
        tp, fp, tn, fn = counts = self._values()
        if self.curve == "PR" and self.summation_method == "interpolation":
            return self.interpolate_pr_auc()
        if self.curve == "ROC":
            x, y = ratio(fp, fp + tn), recall_of(*counts)
        elif self.curve == "PR":
            x, y = recall_of(*counts), precision_of(*counts)
        else:
            odds = ratio(tp + fn, fp + tn)
            x = jnp.maximum(1 - odds * ratio(fn, tp), 0) * (tp > 0)
            y = jnp.where(tp > 0, 1 - odds * ratio(fp, tp), 1)  # the curve begins at (0, 1)
        return self._average(jnp.sum((x[:-1] - x[1:]) * self._heights(y), axis=0))

    def _heights(self, y):
        if self.summation_method == "interpolation":
            return (y[:-1] + y[1:]) / 2
        if self.summation_method == "minoring":
            return jnp.minimum(y[:-1], y[1:])
        return jnp.maximum(y[:-1], y[1:])

    def _average(self, areas):
        if not self.multi_label:
            return areas
        if self.label_weights is None:
            return jnp.mean(areas)
        weights = jnp.asarray(self.label_weights, areas.dtype)
        return ratio(jnp.sum(areas * weights), jnp.sum(weights))

    def interpolate_pr_auc(self):
        """The area under the precision-recall curve, interpolated as Davis and Goadrich do.

        Between two thresholds the true positives are taken to be linear in the number `n` of
        found samples, `tp = slope n + offset`, and `tp / n` is integrated over `tp`.
        """
        tp, fp, _, fn = self._values()
        found = tp + fp
        gained = tp[:-1] - tp[1:]
        slope = ratio(gained, jnp.maximum(found[:-1] - found[1:], 0))
        offset = tp[1:] - slope * found[1:]
        both = (found[:-1] > 0) & (found[1:] > 0)
        growth = jnp.where(both, ratio(found[:-1], found[1:]), 1)
        area = slope * (gained + offset * jnp.log(jnp.where(both, growth, 1)))
        return self._average(jnp.sum(ratio(area, tp[1:] + fn[1:]), axis=0))

    def get_config(self):
        """The constructor's arguments as plain data."""
        config = super().get_config()
        inner = {} if self._spaced else {"thresholds": self.thresholds[1:-1]}
        return {k: v for k, v in config.items() if k != "thresholds"} | inner
