"""The code in the README and in docs/ runs, and what it quotes is there.

A fenced block is one of:

    ```python                              runs, after the blocks above it on its page
    ```python as hornbeam.layers._thing    runs as that module, so that `from ._base` works
    ```python in tests/some_file.py        quotes that file, indentation aside
"""

import copy
import importlib
import pathlib
import re
import sys
import textwrap
import types

import pytest

import hornbeam
from hornbeam.core import objects

REPO = pathlib.Path(__file__).parents[1]
PAGES = [REPO / "README.md", *sorted((REPO / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```python *(?:(as|in) (\S+))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def blocks(page):
    """`(how, what, code)` for every block; line numbers in tracebacks are those of the page."""
    text = page.read_text(encoding="utf-8")
    for match in BLOCK.finditer(text):
        before = text.count("\n", 0, match.start(3))
        yield match[1], match[2], "\n" * before + match[3]


def run(page, monkeypatch, folder):
    """Run the blocks of a page in `folder`; returns the names that they defined."""
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(REPO / "tests" / "contracts"))
    limits = hornbeam.utils.download_limits  # which a page changes
    for name, value in vars(limits).items():
        monkeypatch.setattr(limits, name, value)
    namespace = {"__name__": "__main__"}
    for how, name, code in blocks(page):
        if how == "in":
            continue
        compiled = compile(code, str(page), "exec")
        if how == "as":
            module = types.ModuleType(name)
            module.__package__ = name.rpartition(".")[0]
            monkeypatch.setitem(sys.modules, name, module)
            exec(compiled, vars(module))
        else:
            exec(compiled, namespace)
    return namespace


@every_page
def test_code_runs(page, monkeypatch, tmp_path, capsys):
    run(page, monkeypatch, tmp_path)


@every_page
def test_quotes_are_true(page):
    for how, path, code in blocks(page):
        if how == "in":
            quoted = textwrap.dedent(code).strip()
            file = (REPO / path).read_text(encoding="utf-8")
            levels = (textwrap.indent(quoted, " " * n) for n in (0, 4, 8))
            assert any(level in file for level in levels), f"{path} doesn't hold\n{quoted}"


@every_page
def test_links_lead_somewhere(page):
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@pytest.fixture
def snake(monkeypatch, tmp_path, capsys):
    """The row of docs/add-a-layer.md, its layer put where such a layer belongs."""
    names = run(REPO / "docs" / "add-a-layer.md", monkeypatch, tmp_path)
    layer = sys.modules["hornbeam.layers._snake"].Snake
    monkeypatch.setattr(hornbeam.layers, "Snake", layer, raising=False)
    # `publish` enters it into copies of the tables, which last as long as the test.
    for name in ("_public", "_home", "_families"):
        monkeypatch.setattr(objects, name, copy.copy(getattr(objects, name)))
    objects._families["layers"] = dict(objects._families["layers"])
    objects.publish("keras.layers", {"Snake": layer}, ["Snake"])
    return names["row"]


def test_the_layer_of_the_docs_keeps_the_laws(snake):
    laws = importlib.import_module("test_layers")
    laws.test_inferred_shape_is_real_shape(snake)
    laws.test_unknown_sizes(snake)
    laws.test_gradients_are_finite(snake)
    laws.test_half_precision(snake)
