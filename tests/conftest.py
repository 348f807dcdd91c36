"""Settings and fixtures for every test. This file is read before any test imports JAX."""

import gc
import os
import pathlib
import signal
import sys

import hypothesis
import pytest

# One device and the same kernels everywhere, unless asked otherwise (JAX_PLATFORMS=cuda make test).
os.environ.setdefault("JAX_PLATFORMS", "cpu")

# What XLA compiled is kept on disk, for the other worker and the next run: most of the time goes
# into compiling thousands of small programs, and reading one back takes a tenth of that.
_CACHE = pathlib.Path(__file__).parents[1] / ".pytest_cache" / "xla"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(_CACHE))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

pytest.register_assert_rewrite("helpers")

# The same few examples every time. HYPOTHESIS_PROFILE=long looks at many new ones.
hypothesis.settings.register_profile(
    "quick", max_examples=10, derandomize=True, database=None, deadline=None
)
hypothesis.settings.register_profile("long", max_examples=200, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


@pytest.fixture(autouse=True)
def fresh_state():
    """Automatic names, types and seeds start over, so that tests pass in any order, every time."""
    keras = sys.modules.get("hornbeam")  # absent in tests that only read the source
    if keras is not None:
        # Collecting garbage takes longer than most tests.
        keras.utils.clear_session(free_memory=False)
        keras.utils.set_random_seed(0)
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy(None)


@pytest.fixture(autouse=True, scope="module")
def free_memory():
    """What one file compiled is of no use to the next, and adds up to gigabytes."""
    yield
    jax = sys.modules.get("jax")
    if jax is not None:
        gc.collect()
        jax.clear_caches()


# Folders whose files run hundreds of small programs a few times each: XLA's care would take longer
# than it saves. Others may say `pytestmark = pytest.mark.usefixtures("quick_compiles")`.
QUICK = {
    "against",
    "callbacks",
    "contracts",
    "export",
    "layers",
    "models",
    "ops",
    "saving",
    "utils",
}


@pytest.fixture(scope="module")
def quick_compiles():
    """Programs are compiled with few optimizations."""
    import jax

    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(autouse=True, scope="module")
def quick_compiles_in_some_folders(request):
    """`quick_compiles` for the folders above."""
    if request.path.parent.name in QUICK:
        request.getfixturevalue("quick_compiles")


@pytest.fixture
def ctrl_c():
    """Ctrl-C raises, also in a process that a shell started in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def compiles():
    """`with compiles() as n: ...; assert n.total == 1`, counting XLA compiles."""
    from helpers import count_compiles  # here, because importing it imports JAX

    return count_compiles
