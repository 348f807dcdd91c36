"""The list that passes the events of a loop on to the callbacks that listen to them."""

import contextlib
import inspect
import time

import jax

from ..core.loading import LoadError
from ..core.messages import expected
from ..core.objects import is_ours
from ._base import Callback
from ._history import History
from ._progbar import ProgbarLogger

EVENTS = {name: m for name, m in vars(Callback).items() if name.startswith("on_")}

# An old name is called by the new one, in `Callback`'s own method.
_OLD_NAMES = {"on_train_batch_begin": "on_batch_begin", "on_train_batch_end": "on_batch_end"}


def _overrides(callback, event):
    method = getattr(callback, event)
    return getattr(method, "__func__", method) is not EVENTS[event]


def _listens(callback, event):
    return _overrides(callback, event) or (
        event in _OLD_NAMES and _overrides(callback, _OLD_NAMES[event])
    )


class CallbackList(Callback):
    """A list of callbacks that passes every event on to those that override its method.

    Args:
        callbacks: a callback, or a (nested) list of callbacks.
        add_history: whether to add a `History` if there is none.
        add_progbar: whether to add a `ProgbarLogger` if there is none.
        model: the model that the callbacks get.
        **params: the parameters that the callbacks get as their `params`.

    Raises:
        TypeError: if something isn't a callback, or has a method that takes other arguments
            than its event has.

    Example:

    >>> events = keras.callbacks.CallbackList(add_history=True)
    >>> events.on_train_begin()
    >>> events.on_epoch_end(0, {"loss": 2.0})
    >>> events.callbacks[0].history
    {'loss': [2.0]}
    """

    def __init__(self, callbacks=None, add_history=False, add_progbar=False, model=None, **params):
        super().__init__()
        self.callbacks = _flatten(callbacks)
        for wanted, cls in ((add_progbar, ProgbarLogger), (add_history, History)):
            if wanted and not any(isinstance(c, cls) for c in self.callbacks):
                self.callbacks.append(cls())
        self._connect()
        if model is not None:
            self.set_model(model)
        self.set_params(params)

    def append(self, callback):
        """Add a callback."""
        self.callbacks.append(callback)
        self._connect()
        callback.set_params(self.params)
        if self.model is not None:
            callback.set_model(self.model)

    def _connect(self):
        for callback in self.callbacks:
            _check(callback)
        self._listeners = {
            event: [getattr(c, event) for c in self.callbacks if _listens(c, event)]
            for event in EVENTS
        }
        self._after_steps = self._listeners["on_steps_end"]
        self._outer = self._after_steps

    def set_params(self, params):
        """Hand the parameters to every callback."""
        super().set_params(params)
        for callback in self.callbacks:
            callback.set_params(params)

    def set_model(self, model):
        """Hand the model to every callback; its `history` becomes that of this list."""
        super().set_model(model)
        for callback in self.callbacks:
            callback.set_model(model)
            if isinstance(callback, History):
                model.history = callback

    def wants_batches(self, kind):
        """Whether a callback listens to single batches of `"train"`, `"test"` or `"predict"`.

        If none does, the loop neither waits for the device after every step nor calls
        `on_<kind>_batch_begin` and `on_<kind>_batch_end`.
        """
        begin, end = f"on_{kind}_batch_begin", f"on_{kind}_batch_end"
        return bool(self._listeners[begin] or self._listeners[end])

    def follow_steps(self, kind):
        """Whether a callback has to be called after every `steps_per_execution` steps of a kind.

        If none does, the loop may run as many steps at once as it likes.
        """
        event = "on_steps_end" if kind == "train" else f"on_{kind}_steps_end"
        return self.wants_batches(kind) or any(
            c.follows_steps and _overrides(c, event) for c in self.callbacks
        )

    def state(self):
        """The states of the callbacks that have some: pairs `(name of the class, state)`."""
        states = [(type(callback).__name__, callback.state()) for callback in self.callbacks]
        return [(name, state) for name, state in states if state]

    def set_state(self, state):
        """Hand every callback its state; those of one class in their order."""
        for callback, part in self._paired(state):
            callback.set_state(part)

    def check_state(self, state):
        """An error if a state holds other things than those that the callbacks remember."""
        for callback, part in self._paired(state):
            if is_ours(type(callback)) and {*part} != {*callback.state()}:
                name = f"The state of {type(callback).__name__}"
                raise LoadError(expected(name, f"made of {sorted(callback.state())}", {*part}))

    def _paired(self, state):
        """Pairs of a callback and its state, of those that have one."""
        states = list(state)
        for callback in self.callbacks:
            for i, (name, part) in enumerate(states):
                if name == type(callback).__name__:
                    yield callback, part
                    del states[i]
                    break

    def on_steps_end(self, steps_done, read_logs):
        """Tell those that listen to the steps of the loop that is running."""
        for listener in self._after_steps:
            listener(steps_done, read_logs)

    def on_test_begin(self, logs=None):
        """Pass `on_test_begin` on; steps are now those of an evaluation."""
        self._outer, self._after_steps = self._after_steps, self._listeners["on_test_steps_end"]
        self._tell("on_test_begin", logs)

    def on_test_end(self, logs=None):
        """Pass `on_test_end` on; steps are again those of the loop around the evaluation."""
        self._after_steps = self._outer
        self._tell("on_test_end", logs)

    def on_predict_begin(self, logs=None):
        """Pass `on_predict_begin` on; steps are now those of `predict`."""
        self._after_steps = self._listeners["on_predict_steps_end"]
        self._tell("on_predict_begin", logs)

    def on_train_begin(self, logs=None):
        """Pass `on_train_begin` on; steps are now those of a training."""
        self._after_steps = self._listeners["on_steps_end"]
        self._tell("on_train_begin", logs)

    def on_compile_begin(self, kind):
        """Pass `on_compile_begin` on."""
        self._pass_on("on_compile_begin", kind)

    def on_compile_end(self, kind, seconds):
        """Pass `on_compile_end` on."""
        self._pass_on("on_compile_end", kind, seconds)

    def on_data_wait(self, seconds):
        """Pass `on_data_wait` on."""
        self._pass_on("on_data_wait", seconds)

    @contextlib.contextmanager
    def compiling(self, kind):
        """Context manager for the loop: what is inside compiles a step of a kind."""
        self.on_compile_begin(kind)
        start = time.perf_counter()
        yield
        self.on_compile_end(kind, time.perf_counter() - start)

    @contextlib.contextmanager
    def reading(self, results):
        """Context manager for the loop: what is inside reads batches.

        No time is lost if the device still computes `results` (a tree of arrays) at the end.
        """
        start = time.perf_counter()
        yield
        if all(array.is_ready() for array in jax.tree.leaves(results)):
            self.on_data_wait(time.perf_counter() - start)

    def _tell(self, event, *args):
        *index, logs = args
        self._pass_on(event, *index, {} if logs is None else logs)

    def _pass_on(self, event, *args):
        for listener in self._listeners[event]:
            listener(*args)


def _flatten(callbacks):
    if callbacks is None:
        return []
    if not isinstance(callbacks, (list, tuple)):
        return [callbacks]
    return [c for item in callbacks for c in _flatten(item)]


def _passing_on(event):
    """The method of `CallbackList` for one event: tell the listeners."""

    def numbered(self, index, logs=None):
        self._tell(event, index, logs)

    def plain(self, logs=None):
        self._tell(event, logs)

    method = numbered if "batch" in event or "epoch" in event else plain
    method.__name__, method.__doc__ = event, f"Pass `{event}` on."
    return method


for _event in EVENTS:
    if _event not in vars(CallbackList) and not _event.endswith("steps_end"):
        setattr(CallbackList, _event, _passing_on(_event))


def _check(callback):
    """Complain about what isn't a callback, or has methods that can't be called."""
    if isinstance(callback, type):
        raise TypeError(
            f"callbacks should hold objects; received the class {callback.__name__}. "
            f"Write `{callback.__name__}(…)`."
        )
    if not isinstance(callback, Callback):
        raise TypeError(expected("callbacks", "Callback objects", callback))
    for event in EVENTS:
        if _overrides(callback, event):
            _check_arguments(callback, event)


def _check_arguments(callback, event):
    wanted = list(inspect.signature(EVENTS[event]).parameters)[1:]
    try:
        signature = inspect.signature(getattr(callback, event))
    except (TypeError, ValueError):  # functions written in C don't always tell
        return
    try:
        signature.bind(*wanted)
    except TypeError:
        name = type(callback).__name__
        shown = ["logs=None" if w == "logs" else w for w in wanted]
        raise TypeError(
            f"{name}.{event} takes {signature}, but is called with ({', '.join(wanted)}). "
            f"Write `def {event}(self, {', '.join(shown)})`."
        ) from None
