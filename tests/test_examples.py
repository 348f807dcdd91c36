"""The examples run from start to end, as a user runs them."""

import os
import pathlib
import subprocess
import sys

import pytest

REPO = pathlib.Path(__file__).parents[1]
PNG = b"\x89PNG\r\n\x1a\n"


def python(*arguments, folder):
    command = [sys.executable, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(REPO / "src")}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """The folder in which the example ran, and what it printed."""
    folder = tmp_path_factory.mktemp("digits")
    done = python(REPO / "examples/digits.py", folder=folder)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return folder, done.stdout


def test_digits_writes_what_it_says(digits):
    folder, printed = digits
    listed = [line.split()[0] for line in printed.splitlines() if line.startswith("  out/")]
    assert len(listed) == 5
    for path in listed:
        assert (folder / path).exists(), path
    for name in ("predictions.png", "curves.png"):
        picture = (folder / "out/digits" / name).read_bytes()
        assert picture.startswith(PNG) and len(picture) > 10_000
    assert list((folder / "out/digits/logs").rglob("*tfevents*"))


def test_digits_notices_other_predictions(digits):
    """The new process compares with what the first one wrote."""
    folder, _ = digits
    change = (
        "import numpy as np; path = 'out/digits/held_out.npz'; saved = dict(np.load(path)); "
        "saved['expected'][0, 0] += 1e-3; np.savez(path, **saved)"
    )
    assert python(REPO / "examples/digits.py", "check", folder=folder).returncode == 0
    assert python("-c", change, folder=folder).returncode == 0
    assert python(REPO / "examples/digits.py", "check", folder=folder).returncode != 0


@pytest.mark.parametrize("package", ["sklearn", "matplotlib", "tensorboardX"])
def test_digits_without_an_extra(package, tmp_path):
    code = (
        f"import runpy, sys; sys.modules[{package!r}] = None; "
        f"runpy.run_path({str(REPO / 'examples/digits.py')!r}, run_name='__main__')"
    )
    done = python("-c", code, folder=tmp_path)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert package in done.stderr and "pip install" in done.stderr
