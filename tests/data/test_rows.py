"""Rows by number: gathered where they are, never copied as a whole."""

import tracemalloc

import jax
import numpy as np
import pytest

from hornbeam.data import _rows, source_of

X = np.arange(60.0, dtype="float32").reshape(20, 3)


def rest(source):
    found = []
    while (taken := source.take(2, stacked=2))[1]:
        batches, number = taken
        found += [np.asarray(a[i]) for a in jax.tree.leaves(batches) for i in range(number)]
    return np.concatenate(found)


@pytest.mark.parametrize("free", [0, 479, 480, 1 << 40])
def test_data_stays_on_the_device_if_it_fits(monkeypatch, free):
    """On half of what is free; where a GPU would gather, here on a CPU."""
    gathered = []
    gather = _rows._gather
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(_rows, "_free_bytes", lambda: free)
    monkeypatch.setattr(_rows, "_gather", lambda *args: gathered.append(1) or gather(*args))
    source = source_of(X.astype("float64"), batch_size=8)
    np.testing.assert_array_equal(rest(source), X)
    np.testing.assert_array_equal(rest(source), X)
    assert bool(gathered) == (free >= 2 * X.nbytes)


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_arrays_are_never_copied(dtype, tmp_path):
    x = np.memmap(tmp_path / "x", dtype, "w+", shape=(20_000, 100))
    source = source_of(x, np.zeros(20_000), batch_size=100, shuffle=True)
    tracemalloc.start()
    while source.take(1)[1]:
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1e6 < x.nbytes


def test_sparse_matrices_are_made_dense_batch_by_batch():
    sparse = pytest.importorskip("scipy.sparse")
    x = sparse.random(20_000, 1_000, 1e-4, "csr", dtype="float32", random_state=0)
    source = source_of(x, batch_size=100, shuffle=True)
    tracemalloc.start()
    total = 0
    while (taken := source.take(1))[1]:
        total += float(taken[0][0].sum())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total == pytest.approx(x.sum(), rel=1e-4)
    assert peak < 4e6 < 80e6
