"""Settings and fixtures for every test. This file is read before any test imports JAX."""

import gc
import os
import pathlib
import sys

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


@pytest.fixture(autouse=True)
def fresh_state():
    """Automatic names, flags and seeds start over, so that tests pass in any order, every time."""
    utils = sys.modules.get("hornbeam.utils")  # absent in tests that only read the source
    if utils is not None:
        utils.clear_session(free_memory=False)  # collecting garbage takes longer than most tests
        utils.set_random_seed(0)


@pytest.fixture(autouse=True, scope="module")
def free_memory():
    """What one file compiled is of no use to the next, and adds up to gigabytes."""
    yield
    jax = sys.modules.get("jax")
    if jax is not None:
        gc.collect()
        jax.clear_caches()


@pytest.fixture
def compiles():
    """`with compiles() as n: ...; assert n.total == 1`, counting XLA compiles."""
    from helpers import count_compiles  # here, because importing it imports JAX

    return count_compiles
