"""Imports run one way: a folder imports only from folders of a lower rank.

Also: no imports inside functions except of optional packages, no cycles, and a cheap
`import hornbeam`.
"""

import ast
import functools
import graphlib
import json
import os
import pathlib
import subprocess
import sys

import pytest

SOURCE = pathlib.Path(__file__).parents[1] / "src" / "hornbeam"

LAYOUT = [
    "_version core",
    "ops native",
    "activations initializers random regularizers constraints"
    " dtype_policies distribution quantizers",
    "losses metrics optimizers data saving",
    "export layers callbacks",
    "training",
    "models",
    "applications datasets utils wrappers visualization distillation debug"
    # Only lists of names that live elsewhere, see test_facades_hold_no_code.
    " backend config legacy mixed_precision preprocessing tree",
    "tuner serving",
]
RANKS = {name: rank for rank, names in enumerate(LAYOUT) for name in names.split()}

# A facade shows names of any folder below the optional extras, so it may import sideways.
FACADES = {"backend", "config", "legacy", "mixed_precision", "preprocessing", "tree"}

# Imports between two folders of one rank that are right all the same: (from, to): reason.
SIDEWAYS = {
    ("metrics", "losses"): "most metrics are the mean of a loss, and weigh samples like one",
    ("datasets", "utils"): "they are files that `get_file` fetches",
}

# Optional or slow to import: these alone may be imported inside a function.
LATE = {
    "IPython",
    "PIL",
    "flatbuffers",  # which JAX imports when it reads and writes programs
    "flax",
    "h5py",
    "jax.experimental",  # for jax2tf, which needs TensorFlow
    "matplotlib",
    "optax",
    "orbax",
    "pandas",
    "pyarrow",
    "pydot",
    "rich",
    "scipy",  # slow; JAX brings it
    "sklearn",
    "soundfile",
    "tensorboardX",
    "tensorflow",
}


class Import:
    """One imported module: where the statement stands and what it names."""

    def __init__(self, module, path, line, target, in_function):
        self.module, self.path, self.line = module, path, line
        self.target, self.in_function = target, in_function

    @property
    def where(self):
        return f"{self.path.relative_to(SOURCE.parent)}:{self.line}"


def module_name(path):
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(SOURCE.rglob("*.py"))}


def imports_of(module, path, source, modules):
    """The imports of one file, absolute, as [Import]."""
    found = []
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]

    def visit(node, in_function):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")
                parts = parts[: len(parts) - node.level + 1]
                base = ".".join([*parts, base] if base else parts)
            # `from hornbeam.core import scope` imports a module where there is one of that
            # name; otherwise it reads a name of hornbeam.core.
            names = [f"{base}.{alias.name}" for alias in node.names]
            targets = [name if name in modules else base for name in names]
        else:
            is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            for child in ast.iter_child_nodes(node):
                visit(child, in_function or is_function)
            return
        for target in dict.fromkeys(targets):
            found.append(Import(module, path, node.lineno, target, in_function))

    visit(ast.parse(source), False)
    return found


@functools.cache
def all_imports():
    found = []
    for module, path in MODULES.items():
        found += imports_of(module, path, path.read_text(encoding="utf-8"), MODULES)
    return found


def is_own(target):
    return target == "hornbeam" or target.startswith("hornbeam.")


def folder(module):
    """The first name below hornbeam: hornbeam.layers._core -> layers. '' for hornbeam itself."""
    return [*module.split("."), ""][1]


def order_problem(imp, modules):
    """Why this import of our own runs the wrong way, or None."""
    source, target = folder(imp.module), folder(imp.target)
    if source == "":
        return None  # hornbeam/__init__.py shows everything
    if target == "":
        return f"{imp.where} imports hornbeam itself; import the folder that has the name"
    if source == target or source not in RANKS or target not in RANKS:
        return None  # unknown names have their own test
    below, above = RANKS[target], RANKS[source]
    if below < above:
        return None
    if below == above:
        if source in FACADES or (source, target) in SIDEWAYS:
            return None
        # activations, initializers and so on are one file each and may use one another.
        if above == 2 and all(modules[f"hornbeam.{n}"].stem == n for n in (source, target)):
            return None
    return f"{imp.where}: {source} (rank {above}) imports {imp.target} (rank {below})"


def test_every_folder_has_a_rank():
    unknown = sorted({folder(m) for m in MODULES} - RANKS.keys() - {""})
    assert not unknown, f"give these a rank in LAYOUT: {', '.join(unknown)}"


def test_imports_run_one_way():
    problems = [order_problem(imp, MODULES) for imp in all_imports() if is_own(imp.target)]
    problems = [problem for problem in problems if problem]
    assert not problems, "\n" + "\n".join(problems)


def test_no_cycles():
    graph = {module: set() for module in MODULES}
    for imp in all_imports():
        if is_own(imp.target) and not imp.in_function:
            # Importing hornbeam.core.scope runs hornbeam/core/__init__.py first, unless the
            # importer is inside hornbeam.core and so runs after it has started.
            parts = imp.target.split(".")
            ran = {".".join(parts[: n + 1]) for n in range(len(parts))}
            within = {p for p in ran if f"{imp.module}.".startswith(f"{p}.")}
            graph[imp.module] |= ran - within | {imp.target} - {imp.module}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        # CycleError goes from the imported to the importer.
        pytest.fail("modules import each other: " + " -> ".join(reversed(error.args[1])))


def test_functions_import_only_optional_packages():
    problems = [
        f"{imp.where} imports {imp.target} inside a function"
        for imp in all_imports()
        if imp.in_function and not {imp.target, imp.target.split(".")[0]} & LATE
    ]
    assert not problems, "\n" + "\n".join(problems)


def test_facades_hold_no_code():
    problems = []
    for module, path in MODULES.items():
        if folder(module) not in FACADES:
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            if not docstring and not isinstance(node, ast.Import | ast.ImportFrom | ast.Assign):
                problems.append(f"{path.relative_to(SOURCE.parent)}:{node.lineno}")
    assert not problems, "move this code to a folder with a rank of its own: " + ", ".join(problems)


@pytest.mark.parametrize(
    ("module", "statement", "right"),
    [
        ("hornbeam.layers._core", "from hornbeam import ops", True),
        ("hornbeam.layers._core", "from ..core.scope import frame", True),
        ("hornbeam.layers._core", "from . import _base", True),
        ("hornbeam.random", "from hornbeam import initializers", True),
        ("hornbeam.random", "from hornbeam import quantizers", False),
        ("hornbeam.preprocessing", "from hornbeam import utils", True),
        ("hornbeam", "from .tuner import x", True),
        ("hornbeam.core.scope", "from hornbeam.ops import add", False),
        ("hornbeam.core.scope", "from ..layers import Layer", False),
        ("hornbeam.core.scope", "import hornbeam.models", False),
        ("hornbeam.core.scope", "import hornbeam", False),
        ("hornbeam.ops._nn", "from hornbeam import native", False),
        ("hornbeam.metrics._mean", "from hornbeam import losses", True),
        ("hornbeam.metrics._mean", "from hornbeam import optimizers", False),
        ("hornbeam.utils._a", "from hornbeam import tuner", False),
    ],
)
def test_the_rule_itself(module, statement, right):
    """On a made-up tree, so that it holds however much of hornbeam exists."""
    folders = RANKS.keys() - {"random", "initializers"}
    modules = {f"hornbeam.{name}": SOURCE / name / "__init__.py" for name in folders}
    modules |= {f"hornbeam.{n}": SOURCE / f"{n}.py" for n in ("random", "initializers")}
    path = SOURCE / ("__init__.py" if module == "hornbeam" else "_any.py")
    problems = [order_problem(imp, modules) for imp in imports_of(module, path, statement, modules)]
    assert (problems == [None]) == right, problems


# JAX is imported first: what it brings along (scipy is not among it) is not ours to answer for.
IMPORT_HORNBEAM = """
import json, sys, threading
import jax, numpy
before = set(sys.modules)
threads = threading.active_count()
import hornbeam
from jax._src import xla_bridge
print(json.dumps({
    "packages": sorted({name.partition(".")[0] for name in set(sys.modules) - before}),
    "backends": sorted(xla_bridge._backends),
    "threads": threading.active_count() - threads,
}))
"""


def test_import_starts_nothing():
    """No optional package, no JAX backend (so no array and no device query), no thread."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_HORNBEAM],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(SOURCE.parent)},
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    slow = LATE | {"PIL", "keras", "scipy", "tensorflow", "torch"}
    seen["packages"] = sorted(slow & set(seen["packages"]))
    assert seen == {"packages": [], "backends": [], "threads": 0}
