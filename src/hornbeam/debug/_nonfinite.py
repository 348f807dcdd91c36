"""Finding the first value of a training that isn't finite."""

import contextlib

from ..training import loop, nonfinite


def find_nonfinite(model, x, y=None, sample_weight=None):
    """Run one step on one batch, uncompiled, and find the first value that isn't finite.

    Looks at the weights, the data, what goes in and out of every layer, the loss, the gradients
    (from the last layer to the first) and the updated weights. Changes nothing. Of a model that
    isn't compiled, it runs the prediction alone. Values inside a loop of JAX (the steps of a
    recurrent layer) are seen when they leave it.

    Args:
        model: the model.
        x, y, sample_weight: one batch, as `train_on_batch` takes it.

    Returns:
        A `NonFinite`, or `None` if all is finite.

    Example:

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1), keras.layers.ReLU()])
    >>> x = np.array([[1.0, 2.0], [3.0, np.inf]])
    >>> print(keras.debug.find_nonfinite(model, x))
    The first non-finite value is inf in the data, in x, row 1 of the batch, at index (1, 1).
    """
    return loop.find_nonfinite(model, x, y, sample_weight)


@contextlib.contextmanager
def raise_on_nonfinite():
    """Context manager: `fit`, `evaluate` and others stop at the first value that isn't finite.

    Inside, steps run one by one, and each one's logs and variables are looked at. If there is a
    value that isn't finite, the step runs again, uncompiled, to find where it comes from. The
    variables are left as they were before the step. Outside, nothing costs anything.

    Raises:
        FloatingPointError: with the text of a `NonFinite`, which is its attribute `found`.

    Example:

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> y = np.array([1.0, np.nan])
    >>> try:
    ...     with keras.debug.raise_on_nonfinite():
    ...         model.fit(np.ones((2, 2)), y, shuffle=False, verbose=0)
    ... except FloatingPointError as error:
    ...     print(error)
    The first non-finite value of step 1 is nan in the data, in y, row 1 of the batch.
    """
    token = nonfinite.raising.set(True)
    try:
        yield
    finally:
        nonfinite.raising.reset(token)
