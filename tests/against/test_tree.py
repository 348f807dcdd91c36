"""Nested structures, compared with the real Keras."""

import collections

import keras as real
import numpy as np
import pytest

import hornbeam as keras

Pair = collections.namedtuple("Pair", "a b")
STRUCTURES = [
    1, None, "abc", [], {}, [[], {}], [1, [1, [2, 3]]], (1, (2,)), [None, 1], {"a": [2], "b": 1},
    {"x": (1, 2), "y": {"z": 3}}, collections.OrderedDict([("b", 1), ("a", 2)]), Pair(1, [2]),
    {"p": Pair([1], None)}, collections.defaultdict(list, {"q": 1}), [{1, 2}],
]  # fmt: skip

FUNCTIONS = {
    "flatten": lambda t, s: t.flatten(s),
    "flatten_with_path": lambda t, s: t.flatten_with_path(s),
    "is_nested": lambda t, s: t.is_nested(s),
    "lists_to_tuples": lambda t, s: t.lists_to_tuples(s),
    "map_structure": lambda t, s: t.map_structure(lambda x: (x, x), s),
    "map_structure, keeping None": lambda t, s: t.map_structure(str, s, none_is_leaf=False),
    "map_structure of two": lambda t, s: t.map_structure(lambda x, y: [x, y], s, s),
    "pack_sequence_as": lambda t, s: t.pack_sequence_as(s, list(range(len(t.flatten(s))))),
    "traverse": lambda t, s: t.traverse(lambda x: -x if isinstance(x, int) else None, s),
    "traverse upwards": lambda t, s: t.traverse(
        lambda x: len(x) if isinstance(x, (list, dict)) else None, s, top_down=False
    ),
    "traverse to None": lambda t, s: t.traverse(lambda x: t.MAP_TO_NONE if x == 2 else None, s),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name):
    for structure in STRUCTURES:
        ours, theirs = (FUNCTIONS[name](k.tree, structure) for k in (keras, real))
        assert ours == theirs, structure
        assert type(ours) is type(theirs)


@pytest.mark.parametrize("check", ["assert_same_structure", "assert_same_paths"])
def test_comparisons(check):
    pairs = [
        ([1], [2]), ([1], [1, 2]), ([1], (1,)), ({"a": 1}, {"b": 1}), ([[1]], [1]), (1, [1]),
        ([1], [None]), (Pair(1, 2), Pair(3, 4)), ({"a": 1, "b": 2}, {"b": 3, "a": 4}),
    ]  # fmt: skip
    for a, b in pairs:
        outcomes = []
        for k in (keras, real):
            try:
                getattr(k.tree, check)(a, b)
                outcomes.append("same")
            except (TypeError, ValueError):
                outcomes.append("different")
        assert outcomes[0] == outcomes[1], (a, b)


def test_parts_and_shapes():
    for t in (keras.tree, real.tree):
        assert t.map_structure_up_to([0, {"a": 0}], len, [[1, 2], {"a": [3]}]) == [2, {"a": 1}]
        shapes = {"a": (1, 2), "b": [(None, 3), [4, 5]]}
        assert t.map_shape_structure(len, shapes) == {"a": 2, "b": [2, 2]}


def test_arrays_are_leaves():
    upwards = keras.tree.traverse(lambda x: x, {"x": np.ones(2)}, top_down=False)
    np.testing.assert_array_equal(upwards["x"], np.ones(2))


def test_errors():
    with pytest.raises(ValueError, match="has 2 leaves, but flat_sequence has 1"):
        keras.tree.pack_sequence_as([1, 2], [1])
    with pytest.raises(TypeError, match="func should be callable; received 3"):
        keras.tree.map_structure(3, [1])
    with pytest.raises(ValueError, match="at least one structure"):
        keras.tree.map_structure(len)
    with pytest.raises(ValueError, match="different paths: only in the first"):
        keras.tree.assert_same_paths({"a": 1}, {"b": 1})
