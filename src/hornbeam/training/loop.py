"""`fit`, `evaluate` and `predict`: loops around compiled steps, and what they tell callbacks."""

import contextlib
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..callbacks import CallbackList
from ..core import settings
from ..core.messages import did_you_mean, expected
from ..data import are_names, pack, source_of, split_source, stands_alone, unpack
from . import nonfinite
from .interrupts import interrupts_deferrable, uninterrupted
from .program import Program
from .snapshots import Snapshots, backup_of
from .state import RunningState, array_of, copy_of
from .step import (
    imperative_step,
    known_variables,
    prepare,
    trained_variables,
)

_STACK = 32  # so many batches are gathered at once …
_STACK_BYTES = 1 << 22  # … if they take no more than that together: what a cache may hold
_MOMENT = 0.05  # seconds to read for at once, at most, if data comes slowly

_MSG_ENDED = """\
{name} came to its end {when}. An iterator, such as a generator, yields each batch \
once. Pass something that can be iterated again (a PyDataset, a data loader, an object with an \
`__iter__`), an endless generator together with `steps_per_epoch`, or ask for fewer steps."""


def fit(
    model,
    x,
    y,
    *,
    batch_size,
    epochs,
    verbose,
    callbacks,
    validation_split,
    validation_data,
    shuffle,
    class_weight,
    sample_weight,
    initial_epoch,
    steps_per_epoch,
    validation_steps,
    validation_batch_size,
    validation_freq,
    resume,
):
    """Train; see `Model.fit`."""
    options = {"batch_size": batch_size, "shuffle": shuffle, **_form(model)}
    other, validation = validation_batch_size or batch_size, None
    if validation_split and validation_data is None:
        train, validation = split_source(
            x, y, sample_weight, validation_split, other=other, **options
        )
    else:
        train = source_of(x, y, sample_weight, **options)
    if validation_data is not None:
        options.update(batch_size=other, shuffle=False)
        names = tuple(f"validation {name}" for name in ("x", "y", "sample_weight"))
        x, y, sample_weight = _as_data(validation_data, y, sample_weight)
        validation = source_of(x, y, sample_weight, names=names, **options)
    # More steps than the data has batches are fine: one pass follows another.
    steps = _limit(steps_per_epoch, train, "steps_per_epoch", several_passes=True)
    epochs = min(epochs, settings.max_epochs() or epochs)
    with (
        _closing(train, validation),
        interrupts_deferrable(),
        contextlib.ExitStack() as stack,
        RunningState() as state,
    ):
        prepare(model, train)
        if class_weight is not None:
            train.map(lambda data: _with_class_weight(model, data, class_weight))
        for source in (train, validation):
            if source is not None:
                source.map(lambda data: _with_checked_targets(model, data))
        callbacks = _callback_list(
            model,
            callbacks,
            verbose,
            add_history=True,
            epochs=epochs,
            steps=steps or train.num_batches,
            batch_size=train.batch_size,
        )
        runner = Runner(model, "train")
        validator = None if validation is None else Runner(model, "test")
        model.stop_training = False
        backup = backup_of(resume, callbacks)
        changing = lambda: trained_variables(model, runner.run_batch, train)
        snapshots = stack.enter_context(Snapshots(backup, model, changing, train, callbacks))
        first_epoch, done = snapshots.find(initial_epoch)
        callbacks.on_train_begin()
        if done:
            callbacks.on_epoch_begin(first_epoch)
        snapshots.restore()
        logs = snapshots.logs
        for epoch in range(first_epoch, epochs):
            if model.stop_training:  # since before an interruption
                break
            if train.exhausted:
                when = f"after {train.batch} batches, before epoch {epoch + 1} of {epochs}"
                raise ValueError(_MSG_ENDED.format(name=train.name, when=when))
            if not done:
                model.reset_metrics()
                callbacks.on_epoch_begin(epoch)
            logs = runner.epoch(state, train, steps, callbacks, snapshots=snapshots, done=done)
            done = 0
            if model.optimizer is not None:
                model.optimizer.apply_accumulated(model.trainable_variables)
            if validator is not None and _is_due(validation_freq, epoch + 1):
                limit = _limit(validation_steps, validation, "validation_steps")
                found = _evaluate(model, validator, validation, limit, callbacks)
                logs = {**logs, **{f"val_{name}": value for name, value in found.items()}}
            callbacks.on_epoch_end(epoch, logs)
            snapshots.after_epoch(epoch + 1, logs)
            if model.stop_training:
                break
        if model.optimizer is not None and model.optimizer.built:
            model.optimizer.finalize_variable_values(model.trainable_variables)
        callbacks.on_train_end(logs)
        snapshots.finish()
    return model.history


def evaluate(model, x, y, *, batch_size, verbose, sample_weight, steps, callbacks):
    """Loss and metrics as a dict of floats; see `Model.evaluate`."""
    source = source_of(x, y, sample_weight, batch_size=batch_size, **_form(model))
    limit = _limit(steps, source, "steps")
    with _closing(source), interrupts_deferrable():
        prepare(model, source)
        source.map(lambda data: _with_checked_targets(model, data))
        shown = limit or source.num_batches
        callbacks = _callback_list(model, callbacks, verbose, steps=shown, epochs=1)
        return _evaluate(model, Runner(model, "test"), source, limit, callbacks)


def _evaluate(model, runner, source, limit, callbacks):
    with RunningState() as state:
        model.reset_metrics()
        source.rewind()
        callbacks.on_test_begin()
        logs = runner.epoch(state, source, limit, callbacks)
        callbacks.on_test_end(logs)
    return logs


def predict(model, x, *, batch_size, verbose, steps, callbacks):
    """Predictions as NumPy arrays; see `Model.predict`."""
    source = source_of(x, batch_size=batch_size, **_form(model))
    limit = _limit(steps, source, "steps")
    shown = limit or source.num_batches
    callbacks = _callback_list(model, callbacks, verbose, steps=shown, epochs=1)
    outputs = []
    with _closing(source), interrupts_deferrable(), RunningState() as state:
        callbacks.on_predict_begin()
        Runner(model, "predict").epoch(state, source, limit, callbacks, outputs)
        callbacks.on_predict_end()
    return jax.tree.map(lambda *parts: np.concatenate(parts), *outputs)


def on_batch(model, kind, x, y=None, sample_weight=None, class_weight=None):
    """One step on one batch: logs as a dict of floats, or predictions."""
    data = unpack(pack(x, y, sample_weight))
    source = source_of(*data, batch_size=np.iinfo("int32").max, **_form(model))
    if kind != "predict":
        prepare(model, source)
        if class_weight is not None:
            source.map(lambda data: _with_class_weight(model, data, class_weight))
        source.map(lambda data: _with_checked_targets(model, data))
        model.reset_metrics()
    outputs = [] if kind == "predict" else None
    with interrupts_deferrable(), RunningState() as state:
        logs = Runner(model, kind).epoch(state, source, 1, CallbackList([], model=model), outputs)
    return logs if outputs is None else outputs[0]


def find_nonfinite(model, x, y, sample_weight):
    """The first value that isn't finite in a step on one batch; see `keras.debug`."""
    kind = "train" if model.compiled else "predict"
    data = pack(x, y, sample_weight)
    source = source_of(*unpack(data), batch_size=np.iinfo("int32").max, **_form(model))
    if kind == "train":
        prepare(model, source)
    batches, _ = source.take(1, 1)
    batch = jax.tree.map(lambda a: jnp.asarray(a[0]), batches)
    values = {v: array_of(v) for v in known_variables(model, kind)}
    return nonfinite.find(imperative_step(model, kind), values, batch)


class Runner:
    """Runs epochs of one kind of step: `"train"`, `"test"` or `"predict"`."""

    def __init__(self, model, kind):
        self.model, self.kind = model, kind
        self.run_batch = imperative_step(model, kind)
        self.run = self._run_eagerly if model.run_eagerly else self._run_compiled
        if nonfinite.raising.get():
            self.run, self._run_unchecked = self._run_checked, self.run
        self._checked = 0  # number of steps run by `_run_checked`

    def epoch(self, state, source, steps, callbacks, outputs=None, snapshots=None, done=0):
        """Run the next batches of `source`; returns the last logs as a dict of floats.

        Args:
            state: the `RunningState` that holds the variables.
            source: where the batches come from.
            steps: number of batches; `None` for those of one pass.
            callbacks: the `CallbackList`.
            outputs: list that predictions are appended to, as NumPy arrays.
            snapshots: the `Snapshots` to take on the way.
            done: how many batches of the epoch were run before an interruption.
        """
        self._began, self._reading, self._read = time.perf_counter(), 0.0, 0
        self._programs = {}  # of this epoch; a callback may have frozen a layer since the last one
        events, self._callbacks = _Events(callbacks, self.kind), callbacks
        self.fused = self.model.steps_per_execution
        if self.fused == "auto" or (self.fused == 1 and not callbacks.follow_steps(self.kind)):
            self.fused = None  # as many as take a moment
        stacked = self._stacked(source)
        start, count, results, before = 0, 0, None, None
        with callbacks.reading(None):
            batches, left = self._take(source, stacked, None if steps is None else steps - done)
        while left:
            events.begin(done)
            most = left if snapshots is None else snapshots.most(left)
            results, count = self.run(state, batches, start, most)
            start, left, done = start + count, left - count, done + count
            if not left:
                # The next batches are read, and go to the device, while it computes these, and
                # before anybody asks for results; no more than these two stacks are there.
                jax.block_until_ready(before)
                before, start = results, 0
                wanted = None if steps is None else steps - done
                with callbacks.reading(results):
                    batches, left = self._take(source, stacked, wanted)
            if outputs is not None:
                outputs.append(_joined(results, count))
            events.end(done, results, count)
            if snapshots is not None:
                snapshots.after_steps(done, count, left)
            if self.model.stop_training and self.kind == "train":
                return _floats(results, count - 1)
        if not done or (steps is not None and done < steps):
            when = "before the first batch" if steps is None else f"after {done} of {steps} steps"
            raise ValueError(_MSG_ENDED.format(name=source.name, when=when))
        return {} if outputs is not None else _floats(results, count - 1)

    def _take(self, source, stacked, wanted):
        """The next batches; those of the next pass only if a number of them is wanted."""
        if wanted == 0:
            return None, 0
        most = stacked if wanted is None else min(stacked, wanted)
        now = time.perf_counter()
        if not source.at_hand:
            # One at first, then more and more: the device mustn't wait for a whole stack.
            in_time = int(min(_MOMENT, (now - self._began) / 4) * self._read / (self._reading or 1))
            most = min(most, self.fused or max(min(in_time, 2 * self._read), 1))
        batches, number = source.take(most, stacked)
        if not number and wanted is not None and not source.exhausted:
            batches, number = source.take(most, stacked)
        self._reading, self._read = time.perf_counter() - now, number
        return batches, number

    def _stacked(self, source):
        """How many batches to gather at once, which saves calls.

        At least 2, if there are, since XLA would compile another body, with other roundings, for
        a loop over one.
        """
        if source.num_batches == 1:
            return 1
        if self.fused and not source.at_hand:
            return max(self.fused, 2)  # more wouldn't be read at once
        fits = _STACK_BYTES // max(source.batch_bytes, 1)
        return max(self.fused or 1, min(_STACK, fits), 2)

    def _run_compiled(self, state, batches, start, left):
        """Run some of the `left` steps from `start` on; returns their results, and how many."""
        program, log_names, first = self._program_of_epoch(state, batches)
        count = min(self.fused or program.pace or 1, program.width, left)
        # Once an epoch, waiting for the device does no harm.
        timed = self.fused is None and left > 1 and (first or program.pace is None)
        run = program.run_timed if timed else program.run
        results = run(state, batches, start, count)
        return dict(zip(log_names, results, strict=True)) if log_names else results, count

    def _program_of_epoch(self, state, batches):
        """The program for such batches, the names of its logs, whether it is new in this epoch."""
        leaves, treedef = jax.tree.flatten(batches)
        key = treedef, *((a.shape, a.dtype) for a in leaves)
        first = key not in self._programs
        if first:
            self._programs[key] = self._program(batches, key)
            state.take(self._programs[key][0].written)
        return *self._programs[key], first

    def _program(self, batches, key):
        """The compiled program for such batches, compiled if it is the first time."""
        model = self.model
        variables = known_variables(model, self.kind)
        key = self.kind, key, tuple((id(v), v.trainable) for v in variables)
        if key not in model._programs:
            log_names = []

            def step(batch):
                results = self.run_batch(batch)
                if self.kind == "predict":
                    return results
                # As a list, since JAX sorts the keys of dicts.
                log_names[:] = results
                return list(results.values())

            specs = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), batches)
            with self._callbacks.compiling(self.kind), uninterrupted():
                program = Program(step, variables, specs, self.fused or 1)
            model._programs[key] = program, log_names
        return model._programs[key]

    def _run_eagerly(self, state, batches, start, left):
        """The same steps as plain Python, for debugging."""
        results = []
        for i in range(start, start + min(self.fused or 1, left)):
            results.append(self.run_batch(jax.tree.map(lambda a, i=i: a[i], batches)))
        stack = lambda *xs: jnp.stack([jnp.asarray(x) for x in xs])
        return jax.tree.map(stack, *results), len(results)

    def _run_checked(self, state, batches, start, left):
        """One step, and an error if it makes a value that isn't finite."""
        variables = known_variables(self.model, self.kind)
        if not self.model.run_eagerly:
            program, *_ = self._program_of_epoch(state, batches)
            variables = [*program.read, *program.written]
        before = {v: copy_of(array_of(v)) for v in variables}
        results, count = self._run_unchecked(state, batches, start, 1)
        self._checked += 1
        changed = [array_of(v) for v in variables]
        if not nonfinite.all_finite((jax.tree.map(lambda a: a[0], results), changed)):
            for variable, value in before.items():
                variable.assign(value)
            batch = jax.tree.map(lambda a: a[start], batches)
            found = nonfinite.find(self.run_batch, before, batch, self._checked)
            raise nonfinite.error_for(found, self._checked)
        return results, count


class _Events:
    """Tells callbacks about batches, and reads values from the device only for those that ask."""

    def __init__(self, callbacks, kind):
        self.callbacks, self.kind = callbacks, kind
        self.wanted = callbacks.wants_batches(kind)
        if self.wanted:
            self.on_begin = getattr(callbacks, f"on_{kind}_batch_begin")
            self.on_end = getattr(callbacks, f"on_{kind}_batch_end")

    def begin(self, step):
        if self.wanted:
            self.on_begin(step)

    def end(self, steps_done, results, count):
        if self.wanted:
            first = steps_done - count
            for i in range(count):
                if i:
                    self.on_begin(first + i)
                if self.kind == "predict":
                    logs = {"outputs": jax.tree.map(lambda a, i=i: np.asarray(a[i]), results)}
                else:
                    logs = _floats(results, i)
                self.on_end(first + i, logs)
        self.callbacks.on_steps_end(
            steps_done,
            lambda: {} if self.kind == "predict" else _floats(results, count - 1),
        )


def _floats(results, index):
    """The logs of one step as Python floats (arrays stay arrays)."""
    logs = {}
    for name, values in zip(results, jax.device_get(list(results.values())), strict=True):
        value = values[index]
        logs[name] = float(value) if np.ndim(value) == 0 else value
    return logs


def _joined(results, count):
    """Predictions of `count` batches as one array per output."""
    return jax.tree.map(
        lambda a: np.asarray(a)[:count].reshape(-1, *a.shape[2:]) if a.ndim > 1 else np.asarray(a),
        results,
    )


# Arguments ------------------------------------------------------------------------------------


def _as_data(data, *columns):
    """`(x, y, sample_weight)` from what was given as `validation_data`.

    Args:
        columns: `y` and `sample_weight` of `fit`, which hold if they name columns.
    """
    if stands_alone(data):
        return data, *(names if are_names(names) else None for names in columns)
    if isinstance(data, (list, tuple)) and len(data) in (1, 2, 3):
        return unpack(tuple(data))
    wanted = "(x, y), (x, y, sample_weight), or an iterable of batches"
    raise ValueError(expected("validation_data", wanted, data))


def _form(model) -> dict[str, Any]:
    """How data feeds the model: names that a table's columns may have, and its part on the host."""
    host = None if model._stage == "device" else model
    if model._function is None:
        return {"inputs": None, "outputs": None, "host": host}
    inputs = list(model.input) if isinstance(model.input, dict) else model.input_names
    several = isinstance(model.input, dict) or len(inputs) > 1
    outputs = model.output_names if len(model.outputs) > 1 else None
    return {"inputs": inputs if several else None, "outputs": outputs, "host": host}


@contextlib.contextmanager
def _closing(*sources):
    try:
        yield
    finally:
        for source in sources:
            if source is not None:
                source.close()


def _with_checked_targets(model, data):
    model._compiled.check_targets(unpack(data)[1])
    return data


def _checked_steps(steps, what):
    if steps is not None and (not isinstance(steps, int) or steps < 1):
        raise ValueError(expected(what, "an int of at least 1", steps))
    return steps


def _limit(steps, source, what, several_passes=False):
    """The number of batches to run; `None` for a pass whose end the source tells."""
    steps, available = _checked_steps(steps, what), source.num_batches
    if steps and available is not None and steps > available and not several_passes:
        raise ValueError(f"{what}={steps}, but the data has only {available} batches.")
    limits = [n for n in (steps, settings.max_steps_per_epoch()) if n is not None]
    return min(limits, default=None)


def _is_due(frequency, epoch):
    if isinstance(frequency, int):
        if frequency < 1:
            raise ValueError(expected("validation_freq", "at least 1", frequency))
        return epoch % frequency == 0
    return epoch in frequency


def _callback_list(model, callbacks, verbose, add_history=False, **params):
    if isinstance(callbacks, CallbackList):
        return callbacks
    if verbose == "auto":
        verbose = 1
    return CallbackList(
        callbacks,
        add_history=add_history,
        add_progbar=verbose != 0,
        model=model,
        verbose=verbose,
        **params,
    )


def _with_class_weight(model, data, class_weight):
    """The data with sample weights multiplied by those of the samples' classes."""
    x, y, sample_weight = unpack(data)
    if y is None or isinstance(y, (dict, list, tuple)):
        raise ValueError("class_weight needs a single array of targets `y`.")
    y = np.asarray(y)
    classes = y.reshape(-1) if y.ndim == 1 or y.shape[-1] == 1 else y.argmax(-1)
    if classes.shape != y.shape[:1]:
        raise ValueError(f"class_weight needs one class per sample; received y of shape {y.shape}.")
    present = np.unique(classes)
    missing = [c for c in present.tolist() if c not in class_weight]
    number = model._compiled.number_of_classes(y) or np.inf
    unknown = [
        c for c in class_weight if not isinstance(c, (int, np.integer)) or not 0 <= c < number
    ]
    if missing or unknown:
        problem = f"lacks class {missing[0]}" if missing else f"names the class {unknown[0]!r}"
        raise ValueError(
            f"class_weight {problem}; the classes in y are {present.tolist()[:20]}, and "
            f"class_weight has {sorted(class_weight, key=str)[:20]}. "
            + (did_you_mean(unknown[0], present.tolist()) if unknown else "")
        )
    table = np.array([class_weight[c] for c in present.tolist()], dtype="float32")
    weights = table[np.searchsorted(present, classes)]
    if sample_weight is not None:
        weights = weights * np.asarray(sample_weight).reshape(len(weights))
    return x, y, weights
