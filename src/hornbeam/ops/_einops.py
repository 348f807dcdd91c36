"""`rearrange`: the pattern is parsed, made into a plan, and the plan is applied.

Notation and name are those of einops: [Rogozhnikov, 2022](https://openreview.net/forum?id=oapKSVM2bcj).
"""

import functools
import math
import re
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import export

from ..core.messages import did_you_mean, expected
from ..core.symbolic import op, standardize_shape
from ._convert import array

_REST = "..."
_TOKEN = re.compile(r"\.\.\.|\w+|\S")


class _Problem(ValueError):
    """What is wrong, in the words of the pattern. `rearrange` adds the pattern and the shape."""


# Parse ------------------------------------------------------------------------------------------


def _parse(side):
    """The axes of one side of a pattern.

    Each is a tuple of the names of its parts, `"a (b c) 1"` gives `("a",), ("b", "c"), ()`; or, for
    any number of axes, `"..."`.
    """
    axes, group = [], None
    for token in _TOKEN.findall(side):
        if token == "(":
            if group is not None:
                raise _Problem("parentheses can't be inside of parentheses.")
            group = []
        elif token == ")":
            if group is None:
                raise _Problem("a ')' has no '(' before it.")
            axes.append(tuple(group))
            group = None
        elif group is not None:
            group += _parts(token)
        else:
            axes.append(_REST if token == _REST else _parts(token))
    if group is not None:
        raise _Problem("a '(' has no ')' after it.")
    return axes


def _parts(token):
    if token == "1":
        return ()
    if token == _REST or token.isidentifier():
        return (token,)
    if token.isdigit():
        raise _Problem(f"an axis of size {token} needs a name; only 1 is written as a number.")
    raise _Problem(f"{token!r} can't be the name of an axis.")


def _names(axes):
    return [name for parts in axes for name in ((_REST,) if parts == _REST else parts)]


# Plan -------------------------------------------------------------------------------------------


class _Plan(NamedTuple):
    """What to do with any array of this many axes: split axes, transpose the parts, join them."""

    split: tuple  # for each axis of the input the names of its parts
    order: tuple  # for each part of the output its number among those of the input
    join: tuple  # for each axis of the output the names of its parts


@functools.lru_cache(maxsize=1024)
def _plan(pattern, ndim):
    sides = pattern.split("->")
    if len(sides) != 2:
        raise _Problem("it needs one '->', from the axes that are there to those that should be.")
    left, right = map(_parse, sides)
    _check_names(_names(left), _names(right))
    if any(_REST in parts for parts in left if parts != _REST):
        raise _Problem("'...' can be inside of parentheses on the right only.")
    several = ndim - len(left) + 1 if _REST in left else 0
    if several < 0 or (_REST not in left and ndim != len(left)):
        at_least = "at least " if _REST in left else ""
        count = len(left) - (_REST in left)
        raise _Problem(f"the left is for {at_least}{count} axes, and the tensor has {ndim}.")
    rest = [f"{_REST}{i}" for i in range(several)]
    split, join = _expand(left, rest), _expand(right, rest)
    position = {name: i for i, name in enumerate(_names(split))}
    return _Plan(split, tuple(position[name] for name in _names(join)), join)


def _check_names(left, right):
    for side, names in (("left", left), ("right", right)):
        if twice := {n for n in names if names.count(n) > 1}:
            raise _Problem(f"the {side} has {_listed(twice)} more than once.")
    if lost := set(left) - set(right):
        raise _Problem(f"only the left has {_listed(lost)}, and no axis can get lost.")
    if new := set(right) - set(left):
        raise _Problem(f"only the right has {_listed(new)}; write 1 for a new axis (of size 1).")


def _expand(axes, rest):
    """`axes` with the names in `rest` in the place of `"..."`."""
    expanded = []
    for parts in axes:
        if parts == _REST:
            expanded += [(name,) for name in rest]
        else:
            expanded.append(tuple(n for name in parts for n in (rest if name == _REST else [name])))
    return tuple(expanded)


def _listed(names):
    return " and ".join(map(repr, sorted(names)))


# Apply ------------------------------------------------------------------------------------------


def _sizes(plan, shape, lengths):
    """The size of every part."""
    if unknown := set(lengths) - set(_names(plan.split)):
        hint = did_you_mean(min(unknown), _names(plan.split))
        raise _Problem(f"there is no axis {_listed(unknown)} to have a length. {hint}".rstrip())
    for name, length in lengths.items():
        if not isinstance(length, (int, np.integer)) or length < 1:
            raise _Problem(
                f"the length of {name!r} should be an int of at least 1, not {length!r}."
            )
    sizes = dict(lengths)
    for size, parts in zip(shape, plan.split):
        open_parts = [n for n in parts if n not in lengths]
        known = math.prod(lengths[n] for n in parts if n in lengths)
        if len(open_parts) > 1:
            of = "unknown size" if export.is_symbolic_dim(size) else f"size {size}"
            raise _Problem(
                f"an axis of {of} can be split into {_listed(open_parts)} in many ways; "
                f"give the length of all but one, as in {open_parts[0]}=2."
            )
        # A size that isn't known while shapes are traced is taken to be right.
        if not export.is_symbolic_dim(size) and (size % known if open_parts else size != known):
            written = f"({' '.join(parts)})" if len(parts) > 1 else "".join(parts) or "1"
            given = ", ".join(f"{n}={lengths[n]}" for n in parts if n in lengths)
            given = f" with {given}" if given else ""
            raise _Problem(f"an axis of size {size} can't be {written}{given}.")
        if open_parts:
            sizes[open_parts[0]] = size // known
    return sizes


@op
def rearrange(tensor, pattern, **axes_lengths):
    """Split, transpose and join axes, as a pattern of their names says.

    Args:
        tensor: array, or a list of arrays of one shape, which counts as its first axis.
        pattern: the axes of `tensor`, `->`, and the axes of the result, in words with blanks in
            between. An axis in parentheses is made up of several: it is split on the left, and
            joined on the right. `1` is an axis of size 1, and `...` any number of axes.
        **axes_lengths: the sizes of axes. Where an axis is split, those of all its parts but one
            are needed.

    Returns:
        The same numbers in the new order.

    Raises:
        ValueError: if the pattern isn't one, or not one for this shape.

    Example:

    >>> keras.ops.rearrange([[1, 2, 3], [4, 5, 6]], "row column -> column row")
    Array([[1, 4],
           [2, 5],
           [3, 6]], dtype=int32)

    Cut images into patches of 8 × 8, one after the other:

    >>> images = np.ones((32, 24, 40, 3))
    >>> pattern = "b (row h) (column w) c -> b (row column) (h w c)"
    >>> keras.ops.rearrange(images, pattern, h=8, w=8).shape
    (32, 15, 192)
    """
    x = array(tensor)
    if not isinstance(pattern, str):
        raise TypeError(expected("rearrange: pattern", 'a string such as "a b -> b a"', pattern))
    try:
        plan = _plan(pattern, x.ndim)
        sizes = _sizes(plan, x.shape, axes_lengths)
    except _Problem as problem:
        shape = standardize_shape(x.shape)
        raise ValueError(f"rearrange {pattern!r}, shape {shape}: {problem}") from None

    def size(parts):
        return math.prod(sizes[name] for name in parts)

    for axis, parts in enumerate(plan.split):
        # While shapes are traced a size may be unknown, and so not a product of its parts. This
        # makes it one, and does nothing to an axis of the right size.
        if size(parts) != x.shape[axis]:
            x = jnp.take(x, jnp.arange(size(parts)), axis, mode="clip")
    x = x.reshape([sizes[name] for name in _names(plan.split)])
    return x.transpose(plan.order).reshape([size(parts) for parts in plan.join])
