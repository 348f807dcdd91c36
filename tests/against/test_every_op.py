"""Every op is compared with Keras: each name in keras.ops has a case in some table."""

import contextlib
import importlib
import inspect
import pathlib
import sys
import types

import numpy

import hornbeam.ops.numpy
from hornbeam import ops

# Compared without a table.
ELSEWHERE = {
    "conv_transpose": "tests of its own in test_nn_ops.py",
    "sparsemax": "Keras's is wrong: tests/contracts/test_activations.py",
}


class Called:
    """Stands for the module of ops, and notes what is looked up in it."""

    def __init__(self):
        self.names = set()

    def __getattr__(self, name):
        self.names.add(name)
        return self

    def __call__(self, *args, **kwargs):
        return self


def tables():
    """`CASES` and `ELSEWHERE` of every file test_*ops*.py beside this one: a new one just counts.

    A row is named by the first word of its key, and by what its function calls.
    """
    for path in sorted(pathlib.Path(__file__).parent.glob("test_*ops*.py")):
        module = importlib.import_module(f"against.{path.stem}")
        yield from (getattr(module, name, {}) for name in ("CASES", "ELSEWHERE"))
    yield dict(importlib.import_module("against.test_small_parts").ACTIVATIONS)
    yield ELSEWHERE


def names_in(table):
    called = Called()
    for row, case in table.items():
        called.names.add(row.split()[0])
        if inspect.isfunction(case):
            _, *others = inspect.signature(case).parameters
            with contextlib.suppress(Exception):  # what a case does with results is no matter
                case(called, *(Called() for _ in others))
    return called.names


def public_functions(module):
    for name in module.__all__:
        value = getattr(module, name)
        if isinstance(value, types.ModuleType):
            yield from public_functions(value)
        else:
            yield name


def test_every_op_has_a_case():
    named = set().union(*map(names_in, tables()))
    assert not sorted(set(public_functions(ops)) - named)


def test_a_missing_case_is_noticed():
    table = {"add": 1, "mean rows": lambda o: o.mean(1) + 1, "square": lambda o, x: o.sum(x.max())}
    assert names_in(table) == {"add", "mean", "square", "sum"}


def test_namespaces_show_the_same_functions():
    """`keras.ops.numpy.add` is `keras.ops.add`, and NumPy is still NumPy."""
    spaces = [m for m in map(ops.__dict__.get, ops.__all__) if isinstance(m, types.ModuleType)]
    assert {m.__name__.split(".")[-1] for m in spaces} >= {"linalg", "nn", "numpy"}
    for space in spaces:
        for name in space.__all__:
            assert name not in ops.__all__ or getattr(space, name) is getattr(ops, name)
    assert sys.modules["numpy"] is numpy and not hasattr(numpy, "one_hot")
    assert ops.numpy is hornbeam.ops.numpy
