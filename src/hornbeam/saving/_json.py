"""JSON of files: small enough, flat enough, and meaning one thing only."""

import json
import re

from ..core.loading import LoadError, check_limit, limits

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")
_LARGEST = 1 << 64


def parse_json(data, name):
    """The dict that a JSON text holds.

    Size, depth and the number of values are checked before anything is made of them.

    Args:
        data: the text, or its bytes.
        name: what it is, for messages, such as `"'m.keras': config.json"`.

    Raises:
        LoadError: if it isn't JSON, is too large or too deep, has a key twice, or is no object.
    """
    check_limit(f"{name} has … bytes", len(data), "config_bytes")
    try:
        text = data if isinstance(data, str) else bytes(data).decode("utf-8")
        check_structure(text, name)
        found = json.loads(text, object_pairs_hook=_unique, parse_int=_int)
    except LoadError:
        raise
    except (ValueError, RecursionError) as error:
        raise LoadError(f"{name} is not JSON: {error}.") from None
    if not isinstance(found, dict):
        raise LoadError(f"{name} should hold a JSON object; it holds a {type(found).__name__}.")
    return found


def check_structure(text, name):
    """An error if a JSON text holds too many values, or is nested too deeply."""
    bare = _STRING.sub("", text)
    values = bare.count(",") + bare.count("[") + bare.count("{")
    check_limit(f"{name} holds … values", values, "nodes")
    depth, limit = 0, limits().depth
    for bracket in _BRACKET.finditer(bare):
        depth += 1 if bracket.group() in "[{" else -1
        if depth > limit:
            check_limit(f"{name} is nested … levels deep or more", depth, "depth")


def _unique(pairs):
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} stands in one object twice")
    return found


def _int(digits):
    number = int(digits) if len(digits) <= 21 else _LARGEST + 1
    if abs(number) > _LARGEST:
        raise ValueError(f"the number {digits[:30]} is too large")
    return number
