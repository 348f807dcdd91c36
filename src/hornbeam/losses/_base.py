"""`Loss`, and the one place where values, sample weights and masks become a number."""

import inspect
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from .. import dtype_policies
from ..core import dtypes, masks, objects, settings
from ..core.messages import one_of
from ..core.naming import auto_name
from ..core.objects import Configurable

_REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None)


class Loss(Configurable):
    """A number that says how wrong predictions are: `call`'s values, weighted and reduced.

    Subclasses write `call(y_true, y_pred)`, which returns one value per sample (or per time step).

    Args:
        name: name of the loss.
        reduction: `"sum_over_batch_size"` or `"mean"` (sum of the weighted values, divided by how
            many values there are), `"mean_with_sample_weight"` (divided by the sum of the
            weights), `"sum"`, or `"none"` / `None` (the weighted values themselves). Masked values
            neither add up nor count.
        dtype: the dtype or policy to compute in; by default `keras.config.floatx()`.

    Raises:
        ValueError: for an unknown reduction, or weights that don't fit the values.

    Example:

    >>> class Biased(keras.Loss):
    ...     def call(self, y_true, y_pred):
    ...         return jnp.mean(y_pred - y_true, axis=-1)
    >>> float(Biased()(np.zeros((2, 1)), np.array([[1.0], [3.0]]), sample_weight=[1.0, 0.0]))
    0.5
    """

    # Keras leaves these out of configs. They are written only where they differ from the default,
    # so that an object made from a config is the same in both libraries wherever it can be.
    _unwritten = ("dtype",)

    def __init__(self, name=None, reduction: str | None = "sum_over_batch_size", dtype=None):
        self.name = name or auto_name(type(self).__name__)
        self.reduction = one_of(f"{type(self).__name__}'s reduction", reduction, _REDUCTIONS)
        self.dtype_policy = dtype_policies.get(dtype or settings.floatx())
        self._dtype_argument = dtype

    @property
    def dtype(self):
        """The number type that it computes in, as a string."""
        return self.dtype_policy.compute_dtype

    def __call__(self, y_true, y_pred, sample_weight=None):
        values, weight, mask = self._values(y_true, y_pred, sample_weight)
        return reduce_weighted(values, weight, mask, self.reduction).astype(self.dtype)

    def total_and_count(self, y_true, y_pred, sample_weight=None):
        """The loss as a pair whose ratio it is, so that batches can be added up exactly.

        Without a reduction, the pair is that of the mean.
        """
        values, weight, mask = self._values(y_true, y_pred, sample_weight)
        return total_and_count(values, weight, mask, self.reduction)

    def _values(self, y_true, y_pred, sample_weight):
        mask = masks.get_mask(y_pred)
        y_true, y_pred = to_arrays(y_true, self.dtype), to_arrays(y_pred, self.dtype)
        y_true, y_pred = by_position(y_true, y_pred, sample_weight, mask)
        values = jnp.asarray(self.call(y_true, y_pred))
        return values, sample_weight, combine(mask, masks.get_mask(values))

    def call(self, y_true, y_pred):
        """One value per sample; subclasses write this."""
        raise NotImplementedError(
            f"{type(self).__name__} doesn't say what it computes: give it a method "
            "`call(self, y_true, y_pred)`."
        )

    def get_config(self):
        """The constructor's arguments as plain data."""
        config = super().get_config()
        config |= {"name": self.name, "reduction": self.reduction, "dtype": self._dtype_argument}
        return written(self, config)

    def __repr__(self):
        return f"<{type(self).__name__} name={self.name}>"


class FunctionLoss(Loss):
    """A loss over a function; every other constructor argument is handed to the function."""

    function: Callable[..., jax.Array]  # set by the subclasses

    def call(self, y_true, y_pred):
        names = objects.constructor_parameters(type(self))
        arguments = {n: getattr(self, n) for n in names if n not in ("name", "reduction", "dtype")}
        return self.function(y_true, y_pred, **arguments)


def written(obj, config):
    """The part of a config to write: what the constructor takes, and no default among the
    arguments that Keras doesn't write."""
    cls, parameters = type(obj), inspect.signature(type(obj)).parameters
    return {
        name: objects.config_value(value)
        for name, value in config.items()
        if objects.accepts(cls, name)
        and not (
            name in cls._unwritten and name in parameters and value == parameters[name].default
        )
        and not (name in cls._unwritten and value is None)
    }


def to_arrays(x, dtype):
    """The arrays in `x`, in `dtype`; whole numbers, which may be class indices, in 32 bits."""

    def convert(x):
        x = jnp.asarray(x)
        narrow = jnp.dtype(dtype).itemsize < 4 and not dtypes.is_float_dtype(x.dtype)
        return x.astype("float32" if narrow else dtype)

    return jax.tree.map(convert, as_leaves(x))


def as_leaves(x):
    """`x` with arrays in the place of numbers and of lists of numbers; other structure stays."""

    def convert(x):
        if isinstance(x, (jax.Array, np.ndarray, np.generic)):
            return x
        return jnp.asarray(x) if hasattr(x, "dtype") else np.asarray(x, dtype=settings.floatx())

    def is_written_out(x):
        return isinstance(x, (list, tuple)) and not any(map(_has_dtype, jax.tree.leaves(x)))

    return jax.tree.map(convert, x, is_leaf=is_written_out)


def _has_dtype(x):
    return hasattr(x, "dtype")


def by_position(y_true, y_pred, sample_weight, mask):
    """Both with a further axis of size 1 where they have one number for each masked position, or
    for each weighted sample. A mean over the last axis would mix the positions."""
    if mask is not None:
        positions = tuple(mask.shape)
    elif np.ndim(sample_weight) == 1:
        positions = np.shape(sample_weight)
    else:
        return y_true, y_pred

    def shaped(y):
        return y[..., None] if getattr(y, "shape", None) == positions else y

    if getattr(y_pred, "shape", None) in (positions, (*positions, 1)):
        return shaped(y_true), shaped(y_pred)
    return y_true, y_pred


def combine(mask, other):
    """The positions that count in both masks, either of which may be `None`."""
    if mask is None or other is None:
        return other if mask is None else mask
    mask, other = (mask, other) if mask.ndim >= other.ndim else (other, mask)
    return jnp.logical_and(mask, align(other, mask, "A mask"))


# Weighting and reducing, shared by losses, metrics and the trainer -------------------------------


def align(weight, values, what="sample_weight"):
    """`weight` with axes added at the end, so that its axes stand at the first ones of `values`.

    Raises:
        ValueError: if the sizes don't fit.
    """
    weight = jnp.asarray(weight)
    if weight.ndim == 0 or values.ndim == 0:
        return weight
    if weight.ndim == values.ndim + 1 and weight.shape[-1] == 1:
        weight = weight[..., 0]
    fits = weight.ndim <= values.ndim and all(
        w == v or w == 1 or v == 1 for w, v in zip(weight.shape, values.shape, strict=False)
    )
    if not fits:
        raise ValueError(
            f"{what} has shape {tuple(weight.shape)}, which doesn't fit the {tuple(values.shape)} "
            "values that it weights: it should have one entry per sample (batch_size,), or per "
            "time step (batch_size, steps)."
        )
    return weight.reshape(weight.shape + (1,) * (values.ndim - weight.ndim))


def weigh(values, sample_weight=None, mask=None):
    """`(weighted values, weights, mask)`, the last two `None` or of the values' shape."""
    values = values if dtypes.is_float_dtype(values.dtype) else values.astype(settings.floatx())
    if sample_weight is not None:
        sample_weight = align(sample_weight, values).astype(values.dtype)
        shape = jnp.broadcast_shapes(sample_weight.shape, values.shape)
        sample_weight = jnp.broadcast_to(sample_weight, shape)
        values = values * sample_weight
    if mask is not None:
        mask = jnp.broadcast_to(align(mask, values, "The mask").astype(bool), values.shape)
        # A selection and not a product, because what is masked may be infinite.
        values = jnp.where(mask, values, 0)
        sample_weight = mask if sample_weight is None else jnp.where(mask, sample_weight, 0)
    return values, sample_weight, mask


def total_and_count(
    values, sample_weight=None, mask=None, reduction: str | None = "sum_over_batch_size"
):
    """The sum of the weighted values, and what a reduction divides it by.

    The count is that of the values that aren't masked, the sum of their weights for
    `"mean_with_sample_weight"`, and 1 for `"sum"`. Both are at least float32, since half precision
    can't count above 2048.
    """
    values, weights, mask = weigh(values, sample_weight, mask)
    dtype = jnp.promote_types(values.dtype, jnp.float32)
    total = jnp.sum(values, dtype=dtype)
    if reduction == "sum":
        return total, 1
    counted = weights if reduction == "mean_with_sample_weight" else mask
    return total, values.size if counted is None else jnp.sum(counted, dtype=dtype)


def reduce_weighted(
    values, sample_weight=None, mask=None, reduction: str | None = "sum_over_batch_size"
):
    """The weighted values, reduced to a number unless `reduction` is `"none"` or `None`."""
    if reduction in ("none", None):
        return weigh(values, sample_weight, mask)[0]
    return ratio(*total_and_count(values, sample_weight, mask, reduction))


def ratio(total, count):
    """`total / count`, and 0 where nothing was counted."""
    if isinstance(count, int):
        return total / max(count, 1)
    return jnp.where(count == 0, 0, total / jnp.where(count == 0, 1, count))
