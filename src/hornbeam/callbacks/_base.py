"""What a callback is, and what those that watch one number have in common."""


class Callback:
    """Something that acts at certain moments of `fit`, `evaluate` and `predict`.

    Subclasses override the methods of the events they want. `self.model` is the model and
    `self.params` a dict with `verbose`, `epochs` and `steps`. Setting
    `self.model.stop_training = True` ends the training.

    Methods of single batches cost a host synchronization per step: training waits for the
    device instead of running ahead. `on_steps_end` doesn't, unless it reads the logs.

    Example:

    >>> class Report(keras.callbacks.Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         print(epoch, sorted(logs))
    >>> events = keras.callbacks.CallbackList([Report()])
    >>> events.on_epoch_end(0, {"loss": 0.5})
    0 ['loss']
    """

    # On the class, for subclasses that don't call `super().__init__()`.
    params = None
    _model = None

    def __init__(self):
        self.params = None
        self._model = None

    @property
    def model(self):
        """The model that is trained, evaluated or asked for predictions."""
        return self._model

    def set_params(self, params):
        """Receive the dict of the loop's parameters."""
        self.params = params

    def set_model(self, model):
        """Receive the model."""
        self._model = model

    def state(self):
        """What the callback has to remember to go on in another process, as plain data."""
        return {}

    def set_state(self, state):
        """Go on from what `state` returned."""

    def on_train_begin(self, logs=None):
        """Called at the start of `fit`."""

    def on_train_end(self, logs=None):
        """Called at the end of `fit`, with the logs of the last epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        """Called at the start of an epoch."""

    def on_epoch_end(self, epoch, logs=None):
        """Called at the end of an epoch; `logs` holds floats, `val_…` among them."""

    def on_batch_begin(self, batch, logs=None):
        """An older name of `on_train_batch_begin`."""

    def on_batch_end(self, batch, logs=None):
        """An older name of `on_train_batch_end`."""

    def on_train_batch_begin(self, batch, logs=None):
        """Called before each training batch."""
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch, logs=None):
        """Called after each training batch; `logs` holds the means over the epoch so far."""
        self.on_batch_end(batch, logs=logs)

    def on_test_begin(self, logs=None):
        """Called at the start of `evaluate`, and of the validation inside `fit`."""

    def on_test_end(self, logs=None):
        """Called at the end of an evaluation, with its logs."""

    def on_test_batch_begin(self, batch, logs=None):
        """Called before each batch of an evaluation."""

    def on_test_batch_end(self, batch, logs=None):
        """Called after each batch of an evaluation."""

    def on_predict_begin(self, logs=None):
        """Called at the start of `predict`."""

    def on_predict_end(self, logs=None):
        """Called at the end of `predict`."""

    def on_predict_batch_begin(self, batch, logs=None):
        """Called before each batch of `predict`."""

    def on_predict_batch_end(self, batch, logs=None):
        """Called after each batch of `predict`."""

    def on_steps_end(self, steps_done, read_logs):
        """Called whenever the device has been given one or more further steps.

        Args:
            steps_done: how many steps of the epoch (or the evaluation) that makes.
            read_logs: function that waits for the device and returns the logs so far.
        """
