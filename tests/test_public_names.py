"""The public names: what exists has Keras's parameters, defaults and members; lists are tidy."""

import ast
import collections
import importlib
import importlib.util
import json
import pathlib

import pytest

REPO = pathlib.Path(__file__).parents[1]
SOURCE = REPO / "src" / "hornbeam"
# The inventory of Keras's API lives beside the repository, not in it.
API = REPO.parent / "shared" / "api"


def load_coverage():
    spec = importlib.util.spec_from_file_location("coverage_of_keras", API / "coverage.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def areas():
    """{"keras.layers": [paths]}; empty where the inventory is absent."""
    if not (API / "keras_api.json").exists():
        return {}
    found = collections.defaultdict(list)
    for path in json.loads((API / "keras_api.json").read_text()):
        found[".".join(path.split(".")[:2]) if path.count(".") > 1 else "keras"].append(path)
    return dict(sorted(found.items()))


AREAS = areas()


@pytest.mark.skipif(not AREAS, reason="the API inventory, ../shared/api, is not on this machine")
@pytest.mark.parametrize("area", AREAS or ["keras"])
def test_names_that_exist_match_keras(area):
    """A name may be absent still, but never present and different."""
    coverage = load_coverage()
    inventory = json.loads((API / "keras_api.json").read_text())
    hornbeam = importlib.import_module("hornbeam")
    report = []
    for path in AREAS[area]:
        present, problems = coverage.check(hornbeam, path, inventory[path], inventory)
        if present and problems:
            report.append(f"{path}: {'; '.join(problems)}")
    assert not report, "\n" + "\n".join(report)


def packages_with_a_list():
    """Packages and public modules that assign __all__."""
    for path in sorted([*SOURCE.rglob("__init__.py"), *SOURCE.rglob("[a-z]*.py")]):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id == "__all__"}
        parts = path.relative_to(SOURCE.parent).with_suffix("").parts
        if names:
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("name", sorted(set(packages_with_a_list())))
def test_list_is_true_and_sorted(name):
    module = importlib.import_module(name)
    absent = [n for n in module.__all__ if not hasattr(module, n)]
    assert not absent
    assert list(module.__all__) == sorted(set(module.__all__))
