"""What a layer demands of its inputs, and the errors for inputs that don't meet it."""

import jax

from ..core import dtypes
from ..core.objects import Configurable
from ..core.symbolic import flatten, standardize_shape


class InputSpec(Configurable):
    """Rank, shape and dtype that an input must have; `None` leaves a thing open.

    Args:
        dtype: number type, by name.
        shape: tuple of ints and `None` (any size).
        ndim: exact number of axes.
        max_ndim, min_ndim: bounds of the number of axes.
        axes: dict from axis to the size it must have.
        allow_last_axis_squeeze: whether a last axis of size 1 may be missing or added.
        name: which input of a dict it is about.
        optional: whether the input may be `None`.

    Example:

    >>> layer = keras.layers.Dense(2)
    >>> layer.input_spec = keras.layers.InputSpec(min_ndim=2, axes={-1: 3})
    """

    def __init__(
        self,
        dtype=None,
        shape=None,
        ndim=None,
        max_ndim=None,
        min_ndim=None,
        axes=None,
        allow_last_axis_squeeze=False,
        name=None,
        optional=False,
    ):
        self.dtype = None if dtype is None else dtypes.standardize_dtype(dtype)
        self.shape = None if shape is None else standardize_shape(shape)
        self.ndim = ndim if self.shape is None else len(self.shape)
        self.max_ndim = max_ndim
        self.min_ndim = min_ndim
        self.axes = {int(k): v for k, v in (axes or {}).items()}
        self.allow_last_axis_squeeze = allow_last_axis_squeeze
        self.name = name
        self.optional = optional
        rank = self.ndim if self.ndim is not None else self.max_ndim
        for axis in self.axes:
            if rank is not None and not -rank <= axis < rank:
                raise ValueError(f"InputSpec: axis {axis} doesn't exist in {rank} axes.")

    def __repr__(self):
        parts = (f"{k}={v}" for k, v in vars(self).items() if v not in (None, {}, False))
        return f"InputSpec({', '.join(parts)})"


def check_input(layer, spec, inputs):
    """Raise a `ValueError` unless `inputs` meet `spec`."""
    specs = jax.tree.leaves(spec, is_leaf=lambda x: isinstance(x, InputSpec))
    if isinstance(spec, InputSpec):
        leaves = flatten(inputs)[0] if inputs is not None else [None]
        if len(leaves) > 1:
            return
    elif isinstance(inputs, dict) and all(s.name for s in specs):
        leaves = [inputs.get(s.name) for s in specs]
    else:
        leaves = jax.tree.leaves(inputs, is_leaf=lambda x: x is None or hasattr(x, "shape"))
    if len(leaves) != len(specs):
        raise ValueError(
            f"Layer '{layer.path}' ({type(layer).__name__}) takes {len(specs)} inputs; received "
            f"{len(leaves)}."
        )
    for i, (one, x) in enumerate(zip(specs, leaves, strict=True)):
        which = f"input '{one.name}'" if one.name else "input" if len(specs) == 1 else f"input {i}"
        if x is None:
            if not one.optional:
                raise ValueError(f"Layer '{layer.path}': {which} is None, and is not optional.")
        elif (problem := _problem(one, x)) is not None:
            raise ValueError(
                f"Layer '{layer.path}' ({type(layer).__name__}): its {which} should have "
                f"{problem}; received shape {_shown(x.shape)}."
            )


def _problem(spec, x):
    """What `x` should have had, or `None` if it is as it should be."""
    shape = standardize_shape(x.shape)
    rank = len(shape)
    if spec.dtype is not None and str(x.dtype) != spec.dtype:
        return f"dtype {spec.dtype}, not {x.dtype}"
    if spec.ndim is not None and rank != spec.ndim:
        squeezed = spec.allow_last_axis_squeeze and (
            (rank == spec.ndim + 1 and shape[-1] == 1)
            or (rank == spec.ndim - 1 and spec.shape is not None and spec.shape[-1] == 1)
        )
        if not squeezed:
            wanted = "" if spec.shape is None else f" (shape {_shown(spec.shape)})"
            return f"{spec.ndim} axes, the batch among them{wanted}, not {rank}"
        shape = shape[: spec.ndim] if rank > spec.ndim else (*shape, 1)
    if spec.min_ndim is not None and rank < spec.min_ndim:
        return f"at least {spec.min_ndim} axes, the batch among them, not {rank}"
    if spec.max_ndim is not None and rank > spec.max_ndim:
        return f"at most {spec.max_ndim} axes, the batch among them, not {rank}"
    for axis, size in spec.axes.items():
        if size is not None and shape[axis] not in (size, None):
            return f"size {size} along axis {axis}, not {shape[axis]}"
    if spec.shape is not None:
        for axis, (wanted, size) in enumerate(zip(spec.shape, shape, strict=True)):
            if wanted is not None and size is not None and wanted != size:
                return f"shape {_shown(spec.shape)} (size {wanted} along axis {axis}, not {size})"
    return None


def _shown(shape):
    return str(tuple(shape)) if None not in shape else f"({', '.join(map(str, shape))})"
