"""Every example in a docstring runs and prints what it says."""

import doctest
import importlib
import importlib.util
import inspect
import math
import pathlib
import re

import pytest

OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS

# Found as files, not with pkgutil.walk_packages, which imports what it walks over: a module
# that fails to import then fails one test here instead of the whole collection.
ROOT = pathlib.Path(importlib.util.find_spec("hornbeam").submodule_search_locations[0])


def module_names():
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        if parts[-1] != "__main__":
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NUMBER = re.compile(r"-?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?")


def number_texts(text):
    """Splits "a 1.50 b" into its words, ["a", "", "b"], and its numbers, ["1.50"]."""
    return [t.split() for t in NUMBER.split(text)], NUMBER.findall(text)


def tolerance(text):
    """Half a unit in the last digit that the example shows, and a little for rounding."""
    mantissa, _, exponent = text.partition("e")
    _, point, digits = mantissa.partition(".")
    if not point:
        return 0.0  # an integer is exact
    # NumPy shows a whole float as "1.": that says more than "to the nearest whole number".
    return 0.6 * 10.0 ** (int(exponent or 0) - (len(digits) or 4))


class Checker(doctest.OutputChecker):
    """An example that shows 0.33 accepts 0.3333334: floats need to agree only as far as shown."""

    def check_output(self, want, got, optionflags):
        if super().check_output(want, got, optionflags):
            return True
        want_words, want_numbers = number_texts(want)
        got_words, got_numbers = number_texts(got)
        return want_words == got_words and all(
            math.isclose(float(w), float(g), rel_tol=0, abs_tol=tolerance(w))
            for w, g in zip(want_numbers, got_numbers, strict=True)
        )


class Finder(doctest.DocTestFinder):
    """Finds functions behind decorators too: an op is a wrapper made in core."""

    def _from_module(self, module, object):
        if inspect.isroutine(object) and hasattr(object, "__wrapped__"):
            return object.__module__ == module.__name__
        return super()._from_module(module, object)


@pytest.mark.parametrize("name", list(module_names()))
def test_examples(name):
    module = importlib.import_module(name)
    namespace = {
        "keras": importlib.import_module("hornbeam"),
        "np": importlib.import_module("numpy"),
        "jnp": importlib.import_module("jax.numpy"),
    }
    runner = doctest.DocTestRunner(Checker(), verbose=False, optionflags=OPTIONS)
    report = []
    for example in Finder().find(module, name, extraglobs=namespace):
        runner.run(example, out=report.append)
    assert runner.failures == 0, "\n" + "".join(report)


@pytest.mark.parametrize(
    ("want", "got", "same"),
    [
        ("[0.33 1.  ]", "[0.3333334 1.0000001]", True),
        ("0.33", "0.34", False),
        ("1e-3", "0.001", True),
        ("1.0e-3", "0.00102", True),
        ("(3, 4)", "(3, 5)", False),
        ("<Dense dense_1>", "<Dense dense_2>", False),
        ("Array([1.5], dtype=float32)", "Array([1.5000001], dtype=float32)", True),
        ("loss: ...", "loss: 3.14", True),
        ("nan", "1.0", False),
        ("2", "2.5", False),
    ],
)
def test_checker(want, got, same):
    assert Checker().check_output(want + "\n", got + "\n", OPTIONS) == same
