"""The examples run from start to end, as a user runs them."""

import os
import pathlib
import runpy
import subprocess
import sys

import numpy as np
import pytest

import hornbeam as keras

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


# Custom steps: short, and run in this process, since importing JAX takes longer than most of them.


def result(name):
    """What the `main` of an example returns."""
    path = REPO / "examples" / f"{name}.py"
    assert len(path.read_text(encoding="utf-8").splitlines()) < 60
    return runpy.run_path(str(path))["main"]()


def test_gan():
    center, radius = result("gan")
    np.testing.assert_allclose(center, [3, 0], atol=0.4)
    assert abs(radius.mean() - 2) < 0.2 and radius.std() < 0.5


def test_vae():
    history, images, drawn = result("vae")
    clipped = np.clip(images.mean(0), 1e-6, 1 - 1e-6)
    of_the_mean = -images * np.log(clipped) - (1 - images) * np.log(1 - clipped)
    assert history["reconstruction"][-1] < 0.9 * of_the_mean.sum(-1).mean()
    assert 1 < history["divergence"][-1] < 10
    distances = np.abs(images[:, None] - drawn.reshape(9, 64)).mean(-1)
    assert distances.min(0).max() < 0.2  # each drawn one looks like some real one


def test_distillation():
    accuracy = result("distillation")
    assert accuracy["student"] > 0.93
    assert accuracy["student"] > accuracy["alone"] + 0.1


def test_gradient_reversal():
    accuracy = result("gradient_reversal")
    assert accuracy[0.0] < 0.6 and accuracy[1.0] > 0.9


def test_maml():
    losses = result("maml")
    (_, plain), (before, after) = losses[0], losses[1]
    assert after < 0.4 * before and after < 0.4 * plain


# Raw data: trained and saved here, loaded in a new process, the same numbers.


def test_text(tmp_path):
    example = runpy.run_path(str(REPO / "examples/text.py"))
    model, accuracy = example["main"](str(tmp_path / "m.keras"))
    assert accuracy > 0.8
    said = ["Our gallant sailors have chastised the pirates.", "Jobs for American families!", ""]
    expected = model.predict(np.array(said, dtype=object), verbose=0)[:, 0]
    model.export(tmp_path / "exported", format="stablehlo", verbose=False)
    exported = keras.export.load(tmp_path / "exported")
    np.testing.assert_allclose(exported(said)[:, 0], expected, rtol=1e-5)
    done = python(REPO / "examples/text.py", "m.keras", *said, folder=tmp_path)
    assert list(map(float, done.stdout.split())) == expected.tolist(), done.stderr
    assert expected[0] < 0.5 < expected[1]


def test_table(tmp_path):
    example = runpy.run_path(str(REPO / "examples/table.py"))
    model, error = example["main"](str(tmp_path / "m.keras"))
    assert error < 2.8
    _, test = example["cars"]()
    test = test.drop(columns="mpg").copy()
    test.iloc[0, test.columns.get_loc("name")] = None
    test.iloc[1, test.columns.get_loc("origin")] = "Atlantis"
    test.to_csv(tmp_path / "cars.csv", index=False)
    expected = model.predict(test, verbose=0)[:, 0]
    model.export(tmp_path / "exported", format="stablehlo", verbose=False)
    exported = keras.export.load(tmp_path / "exported")
    np.testing.assert_allclose(exported(test)[:, 0], expected, rtol=1e-5)
    done = python(REPO / "examples/table.py", "m.keras", "cars.csv", folder=tmp_path)
    assert list(map(float, done.stdout.split())) == expected.tolist(), done.stderr
