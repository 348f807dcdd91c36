"""Questions about recorded graphs."""

from ..core.messages import expected
from ..core.symbolic import is_keras_tensor


def get_source_inputs(tensor):
    """The `keras.Input`s that a symbolic tensor was computed from, as a list.

    Example:

    >>> x = keras.Input((2,), name="x")
    >>> [t.name for t in keras.utils.get_source_inputs(x + 1)]
    ['x']
    """
    if not is_keras_tensor(tensor):
        raise ValueError(expected("tensor", "a KerasTensor", tensor))
    found, seen, stack = [], set(), [tensor]
    while stack:
        tensor = stack.pop()
        if id(tensor) in seen:
            continue
        seen.add(id(tensor))
        if tensor.node is None or tensor.node.is_input:
            found.append(tensor)
        else:
            stack.extend(reversed(tensor.node.inputs))
    return found
