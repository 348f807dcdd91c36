"""What a step of a model does: code over variables that reads and assigns them.

A step takes a batch and returns logs or predictions. `program.py` compiles it.
"""

import inspect
import itertools

import jax

from ..core import masks, rng
from ..core.scope import enter, functionalize, value_and_grad
from ..core.symbolic import KerasTensor, infer
from ..data import unpack
from ..optimizers import LossScaleOptimizer
from ..optimizers._wrappers import LossScaling
from .compile import num_rows
from .interrupts import uninterrupted
from .program import trace

# The built-in steps ----------------------------------------------------------------------------


def default_train_step(model, data):
    """Predict, compute the loss, differentiate, update; returns the metrics."""
    x, y, sample_weight = unpack(data)
    variables = model.trainable_variables

    def loss_fn():
        y_pred, loss, weight = _forward(model, x, y, sample_weight, training=True)
        scaled = loss if model.optimizer is None else model.optimizer.scale_loss(loss)
        # Masks are attached to arrays, and `grad` returns other arrays.
        return scaled, (y_pred, jax.tree.map(masks.get_mask, y_pred), weight)

    (_, aux), gradients = value_and_grad(loss_fn, variables, has_aux=True)()
    y_pred, pred_masks, weight = aux
    for pred, mask in zip(*_with_masks(y_pred, pred_masks), strict=True):
        if mask is not None:
            masks.set_mask(pred, mask)
    if variables and model.optimizer is None:
        raise ValueError(f"Model '{model.name}' can't train: compile it with an optimizer.")
    if variables and model.optimizer.accumulates:
        model.optimizer.apply(gradients, variables, weight=weight)
    elif variables:
        model.optimizer.apply(gradients, variables)
    return model.compute_metrics(x, y, y_pred, sample_weight=sample_weight)


def default_test_step(model, data):
    """Predict and compute the loss; returns the metrics."""
    x, y, sample_weight = unpack(data)
    y_pred, *_ = _forward(model, x, y, sample_weight, training=False)
    return model.compute_metrics(x, y, y_pred, sample_weight=sample_weight)


def default_predict_step(model, data):
    """The outputs for the inputs in `data`."""
    return model(unpack(data)[0], training=False)


def _forward(model, x, y, sample_weight, training):
    y_pred = model(x, training=training)
    loss = model.compute_loss(
        x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=training
    )
    weight = model._compiled.track_loss(loss, num_rows(x))
    return y_pred, loss, weight


def _with_masks(y_pred, pred_masks):
    leaves, treedef = jax.tree.flatten(y_pred)
    return leaves, treedef.flatten_up_to(pred_masks)


_DEFAULTS = {
    "train": default_train_step,
    "test": default_test_step,
    "predict": default_predict_step,
}

# The model's steps, whoever wrote them ----------------------------------------------------------


def imperative_step(model, kind):
    """The model's step of a kind as a function of the data alone.

    A user's step comes in two styles: `step(self, data)`, which assigns variables, and Keras's
    `step(self, state, data)`, which is given their values and returns new ones.
    """
    if _is_built_in(model, kind):
        return lambda data: _DEFAULTS[kind](model, data)
    bound = getattr(model, f"{kind}_step")
    if not _takes_state(model, kind):

        def run_plain(data):
            optimizer = model.optimizer
            scales = kind == "train" and isinstance(optimizer, LossScaleOptimizer)
            with enter(scaling=LossScaling(optimizer) if scales else None):
                return _as_logs(model, kind, bound(data))

        return run_plain

    def run(data):
        groups = state_groups(model, kind)
        logs, new = bound(tuple([v.value for v in group] for group in groups), data)
        if len(new) != len(groups):
            raise ValueError(
                f"{type(model).__name__}.{kind}_step should return (logs, state) with a state of "
                f"{len(groups)} lists, as it was given; received {len(new)}."
            )
        for group, values in zip(groups, new, strict=True):
            for variable, value in zip(group, values, strict=True):
                variable.assign(value)
        return _as_logs(model, kind, logs)

    return run


def _is_built_in(model, kind):
    return getattr(getattr(type(model), f"{kind}_step"), "built_in", False)


def _takes_state(model, kind):
    """Whether a step of the user's is in Keras's style."""
    required = [
        p
        for p in inspect.signature(getattr(model, f"{kind}_step")).parameters.values()
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    return len(required) > 1


def _as_logs(model, kind, logs):
    if kind != "predict" and not isinstance(logs, dict):
        raise ValueError(
            f"{type(model).__name__}.{kind}_step should return a dict of logs, such as "
            f"{{'loss': loss}}; it returned a {type(logs).__name__}."
        )
    return logs


def state_groups(model, kind):
    """The lists of variables whose values Keras's stateless steps get and return."""
    groups = [model.trainable_variables, model.non_trainable_variables]
    if kind == "train":
        groups.append(model.optimizer.variables)
    if kind != "predict":
        groups.append(model.metrics_variables)
    return groups


def stateless(model, step, state, data):
    """Run a step over variables as a pure function of `state`; returns `(logs, state)`."""
    state = tuple(list(values) for values in state)
    kind = {4: "train", 3: "test", 2: "predict"}[len(state)]
    groups = state_groups(model, kind)
    pure = functionalize(lambda: step(data), itertools.chain(*groups))
    logs, new = pure(list(itertools.chain(*state)))
    new = iter(new)
    return logs, tuple([next(new) for _ in group] for group in groups)


def known_variables(model, kind):
    """The variables that a step is expected to touch; tracing finds any others."""
    found = list(model.variables)
    if kind != "predict":
        found += model.metrics_variables
    if kind == "train" and model.optimizer is not None:
        found += model.optimizer.all_state
    found.append(rng.global_generator().state)
    return list(dict.fromkeys(found))


def trained_variables(model, run_batch, source):
    """All variables that training changes, before the first step runs."""
    variables = known_variables(model, "train")
    if _is_built_in(model, "train") or model.run_eagerly:
        return variables
    # A step of the user's may have optimizers and other variables of its own.
    size = source.batch_size
    resized = lambda a: a.shape if size is None else (min(size, a.shape[0]), *a.shape[1:])
    batch = jax.tree.map(lambda a: jax.ShapeDtypeStruct(resized(a), a.dtype), source.batch_specs())
    with uninterrupted():
        traced = trace(run_batch, variables, batch)
    return list(dict.fromkeys([*variables, *traced.written]))


def prepare(model, source):
    """Make all variables, and pair losses with outputs, before a step is traced."""
    with uninterrupted():  # shapes are found by tracing, too
        compiled = model._compiled
        if not compiled.built or not model.built:
            specs = jax.tree.map(
                lambda a: KerasTensor((None, *a.shape[1:]), str(a.dtype)), source.batch_specs()
            )
            x, y, _ = unpack(specs)
            try:
                y_pred = infer(model, (x,), {"training": True})
                compiled.build(y, y_pred)
            except NotImplementedError:
                # A model with a `train_step` of its own need not have a `call`.
                if _is_built_in(model, "train"):
                    raise
        # An imperative step builds its optimizers itself: they may be for some of the variables.
        # Run uncompiled, it can't be traced for what it changes, so all must be there if possible.
        known = _is_built_in(model, "train") or _takes_state(model, "train")
        known = known or (model.run_eagerly and all(la.built for la in model._flatten_layers()))
        if known and model.optimizer is not None and not model.optimizer.built and model.built:
            model.optimizer.build(model.trainable_variables)
