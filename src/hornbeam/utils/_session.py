"""Starting over."""

import gc

from ..core.naming import reset_names
from ..core.rng import reset_global_generator


def clear_session(free_memory=True):
    """Forget automatic names and the global random state, as if Python had just started.

    Settings (float type, dtype policy, …) and models that exist stay as they are.

    Args:
        free_memory: whether to run Python's garbage collector, which frees the arrays of
            models that nothing refers to any more.

    Example:

    >>> keras.utils.clear_session()
    >>> keras.layers.Dense(1).name, keras.layers.Dense(1).name
    ('dense', 'dense_1')
    """
    reset_names()
    reset_global_generator()
    if free_memory:
        gc.collect()
