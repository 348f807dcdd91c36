"""Nested structures: lists, tuples, named tuples and dicts with anything as leaves.

Unlike `jax.tree`, `None` is a leaf here by default, and dicts keep to sorted keys.
"""

import copy

import jax

from .messages import expected
from .variable import Variable

# One int for all axes, or one per axis.
Ints = int | list[int] | tuple[int, ...]


class MAP_TO_NONE:
    """Returned by a function under `traverse` to put `None` into the result."""

    def __init__(self, *args, **kwargs):
        pass


def _is_leaf(x):
    return x is None or isinstance(x, Variable)


def _flatten(structure):
    return jax.tree.flatten(structure, is_leaf=_is_leaf)


def is_nested(structure):
    """Whether `structure` is a list, tuple or dict (or another registered container).

    Example:

    >>> keras.tree.is_nested([1]), keras.tree.is_nested(1)
    (True, False)
    """
    return not jax.tree_util.all_leaves([structure], is_leaf=_is_leaf)


def flatten(structure):
    """The leaves as a list, those of dicts in the order of sorted keys.

    Example:

    >>> keras.tree.flatten({"b": [2, None], "a": 1})
    [1, 2, None]
    """
    return _flatten(structure)[0]


def flatten_with_path(structure):
    """Pairs `(path, leaf)`, the path a tuple of keys and indices.

    Example:

    >>> keras.tree.flatten_with_path({"a": [5, 6]})
    [(('a', 0), 5), (('a', 1), 6)]
    """
    pairs, _ = jax.tree_util.tree_flatten_with_path(structure, is_leaf=_is_leaf)
    return [(_path(path, structure), leaf) for path, leaf in pairs]


def _path(entries, structure):
    path = []
    for entry in entries:
        if hasattr(entry, "name"):  # fields of named tuples count by their place
            fields = getattr(structure, "_fields", None)
            path.append(fields.index(entry.name) if fields else entry.name)
            structure = getattr(structure, entry.name, None)
        else:
            key = entry.key if hasattr(entry, "key") else entry.idx
            path.append(key)
            structure = structure[key] if isinstance(structure, (dict, list, tuple)) else None
    return tuple(path)


def map_structure(func, *structures, none_is_leaf=True):
    """Apply `func` to corresponding leaves of structures of the same form.

    Args:
        func: function of as many arguments as there are structures.
        structures: nested structures; their forms must be equal.
        none_is_leaf: whether `func` is called for `None`, which otherwise stays `None`.

    Example:

    >>> keras.tree.map_structure(lambda a, b: a + b, {"x": 1}, {"x": 10})
    {'x': 11}
    """
    if not callable(func):
        raise TypeError(expected("func", "callable", func))
    if not structures:
        raise ValueError("map_structure needs at least one structure.")
    for other in structures[1:]:
        assert_same_structure(structures[0], other)
    return jax.tree.map(func, *structures, is_leaf=_is_leaf if none_is_leaf else None)


def map_structure_up_to(shallow_structure, func, *structures):
    """Apply `func` to the parts of `structures` that stand where `shallow_structure` has leaves.

    Example:

    >>> keras.tree.map_structure_up_to([0, 0], len, [[1, 2], [3]])
    [2, 1]
    """
    _, treedef = _flatten(shallow_structure)
    parts = [treedef.flatten_up_to(structure) for structure in structures]
    return jax.tree.unflatten(treedef, [func(*leaves) for leaves in zip(*parts, strict=True)])


def pack_sequence_as(structure, flat_sequence):
    """Put a flat sequence into the form of `structure`.

    Example:

    >>> keras.tree.pack_sequence_as({"a": 0, "b": (0, 0)}, [1, 2, 3])
    {'a': 1, 'b': (2, 3)}
    """
    treedef = _flatten(structure)[1]
    flat = list(flat_sequence)
    if len(flat) != treedef.num_leaves:
        raise ValueError(
            f"The structure has {treedef.num_leaves} leaves, but flat_sequence has {len(flat)}."
        )
    return jax.tree.unflatten(treedef, flat)


def assert_same_structure(a, b, check_types=None):
    """Raise a `ValueError` unless `a` and `b` are nested in the same way."""
    if _flatten(a)[1] != _flatten(b)[1]:
        raise ValueError(f"The structures differ: {_flatten(a)[1]} and {_flatten(b)[1]}.")


def assert_same_paths(a, b):
    """Raise a `ValueError` unless `a` and `b` have leaves at the same paths."""
    paths_a = {path for path, _ in flatten_with_path(a)}
    paths_b = {path for path, _ in flatten_with_path(b)}
    if paths_a != paths_b:
        raise ValueError(
            f"The structures have different paths: only in the first {sorted(paths_a - paths_b)}, "
            f"only in the second {sorted(paths_b - paths_a)}."
        )


def lists_to_tuples(structure):
    """The structure with every list turned into a tuple.

    Example:

    >>> keras.tree.lists_to_tuples([1, {"a": [2]}])
    (1, {'a': (2,)})
    """
    if isinstance(structure, list):
        structure = tuple(structure)
    if isinstance(structure, (dict, tuple)):
        return _map_children(lists_to_tuples, structure)
    return structure


def is_shape(x):
    """Whether `x` is a shape: a list or tuple of ints and `None`."""
    return isinstance(x, (list, tuple)) and all(d is None or isinstance(d, int) for d in x)


def map_shape_structure(func, structure):
    """Apply `func` to the shapes (tuples of ints and `None`) in a nested structure.

    Example:

    >>> keras.tree.map_shape_structure(len, {"x": (None, 3)})
    {'x': 2}
    """
    return jax.tree.map(func, structure, is_leaf=is_shape)


def traverse(func, structure, top_down=True):
    """Call `func` on every part of a structure, replacing the part when it returns something.

    Args:
        func: gets a part; returns its replacement, `None` to go into it, or `MAP_TO_NONE`.
        structure: any nested structure.
        top_down: whether a container is visited before what it holds.

    Example:

    >>> keras.tree.traverse(lambda x: x * 10 if isinstance(x, int) else None, [1, [2]])
    [10, [20]]
    """
    if top_down and (replacement := func(structure)) is not None:
        return _or_none(replacement)
    if is_nested(structure):
        structure = _map_children(lambda x: traverse(func, x, top_down), structure)
    if not top_down and (replacement := func(structure)) is not None:
        return _or_none(replacement)
    return structure


def _or_none(replacement):
    none = replacement is MAP_TO_NONE or isinstance(replacement, MAP_TO_NONE)
    return None if none else replacement


def _map_children(func, structure):
    if isinstance(structure, dict):
        mapped = copy.copy(structure)  # a defaultdict has more to it than its items
        mapped.update((k, func(v)) for k, v in structure.items())
        return mapped
    if hasattr(structure, "_fields"):  # a named tuple
        return type(structure)(*map(func, structure))
    return type(structure)(func(x) for x in structure)
