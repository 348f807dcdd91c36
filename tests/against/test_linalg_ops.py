"""Linear algebra, pieces of signals and rearrange: the real Keras's results, and the mistakes."""

import math
import re
import string

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import keras as real
import numpy as np
import pytest

import hornbeam
from hornbeam import ops


@pytest.fixture(autouse=True)
def fresh_state():
    """In the place of the common one: ops keep no state."""


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


# Far from singular, so that no result hangs on rounding; the eigenvalues are distinct.
SQUARE = numbers(2, 3, 3) + np.diag([3, 5, 8]).astype("float32")
SPD = np.float32(0.2) * SQUARE @ SQUARE.transpose(0, 2, 1) + np.eye(3, dtype="float32")
LOWER = np.tril(SQUARE)
TALL, WIDE = numbers(2, 4, 3, seed=1), numbers(2, 3, 4, seed=2)
SINGULAR = np.float32([[1, 2, 3], [2, 4, 6], [1, 0, 1]])
VECTOR, COLUMNS = numbers(3, seed=3), numbers(2, 3, 2, seed=4)
SIGNAL = numbers(2, 19, seed=5)
SPECTRUM = numbers(2, 9, 4, seed=6), numbers(2, 9, 4, seed=7)
WINDOW = np.float32([1, 3, 2, 4])
IMAGES = numbers(2, 4, 6, 3, seed=8)

# name: function of the module of ops and of arrays, the arrays
CASES = {
    "cdist": (lambda o, x, y: o.cdist(x, y), TALL, COLUMNS.transpose(0, 2, 1)),
    "cdist broadcast": (lambda o, x, y: o.cdist(x, y), TALL, numbers(5, 3)),
    "cholesky": (lambda o, x: o.cholesky(x), SPD),
    "cholesky upper": (lambda o, x: o.cholesky(x, upper=True), SPD),
    "cholesky unsymmetric": (lambda o, x: o.cholesky(x), SPD + np.float32([0, 0.5, 1])),
    "cholesky_inverse": (lambda o, x: o.cholesky_inverse(x), LOWER[0]),
    "cholesky_inverse upper": (lambda o, x: o.cholesky_inverse(x, True), SQUARE[0]),
    "det": (lambda o, x: o.det(x), SQUARE),
    "det large": (lambda o, x: o.det(x), numbers(5, 5)),
    "eig": (lambda o, x: o.eig(x), SQUARE),
    "eigh": (lambda o, x: o.eigh(x), SPD),
    "eigh unsymmetric": (lambda o, x: o.eigh(x), SQUARE),
    "extract_sequences": (lambda o, x: o.extract_sequences(x, 4, 3), SIGNAL),
    "extract_sequences apart": (lambda o, x: o.extract_sequences(x, 2, 5), SIGNAL),
    "extract_sequences short": (lambda o, x: o.extract_sequences(x, 22, 3), SIGNAL),
    "inv": (lambda o, x: o.inv(x), SQUARE),
    "istft": (lambda o, *x: o.istft(x, 4, 2, 6), *SPECTRUM),
    "istft length": (lambda o, *x: o.istft(x, 4, 2, 6, length=13), *SPECTRUM),
    "istft hamming": (lambda o, *x: o.istft(x, 6, 3, 6, None, "hamming", False), *SPECTRUM),
    "istft window": (lambda o, *x: o.istft(x, 4, 1, 7, window=WINDOW), *SPECTRUM),
    "istft gaps": (lambda o, *x: o.istft(x, 2, 5, 6), *SPECTRUM),
    "jvp": (lambda o, x, y: o.jvp(lambda x: x**3, (x,), (y,)), VECTOR, numbers(3)),
    "jvp several": (
        lambda o, x, y: o.jvp(lambda a, b: {"sum": a @ b, "sin": o.sin(a)}, [x, y], [y, x]),
        SQUARE,
        SPD,
    ),
    "jvp aux": (
        lambda o, x, y: o.jvp(lambda x: (x * x, {"half": x / 2}), (x,), (y,), has_aux=True),
        VECTOR,
        numbers(3),
    ),
    "logdet": (lambda o, x: o.logdet(x), SPD),
    "lstsq": (lambda o, a, b: o.lstsq(a, b), TALL[0], numbers(4)),
    "lstsq columns": (lambda o, a, b: o.lstsq(a, b), WIDE[0], COLUMNS[0]),
    "lstsq rcond": (lambda o, a, b: o.lstsq(a, b, rcond=0.6), SQUARE[0], VECTOR),
    "lu_factor": (lambda o, x: o.lu_factor(x), SQUARE),
    "lu_factor tall": (lambda o, x: o.lu_factor(x), TALL),
    "matrix_rank": (lambda o, x: o.matrix_rank(x), np.stack([SINGULAR, SQUARE[0]])),
    "matrix_rank tol": (lambda o, x: o.matrix_rank(x, tol=4.0), SQUARE),
    "matrix_rank tols": (lambda o, x: o.matrix_rank(x, tol=np.float32([4, 9])), SQUARE),
    "norm": (lambda o, x: o.norm(x, "nuc", axis=(1, 2)), TALL),
    "pinv": (lambda o, x: o.pinv(x), TALL),
    "pinv rcond": (lambda o, x: o.pinv(x, rcond=0.6), SQUARE),
    "qr": (lambda o, x: o.qr(x), TALL),
    "qr wide": (lambda o, x: o.qr(x), WIDE),
    "qr complete": (lambda o, x: o.qr(x, mode="complete"), TALL),
    "rearrange": (lambda o, x: o.rearrange(x, "b h w c -> c b h w"), IMAGES),
    "rearrange join": (lambda o, x: o.rearrange(x, "b h w c -> h (b w) c"), IMAGES),
    "rearrange split": (
        lambda o, x: o.rearrange(x, "b (h h1) (w w1) c -> b h w (c h1 w1)", h1=2, w1=3),
        IMAGES,
    ),
    "slogdet": (lambda o, x: o.slogdet(x), SQUARE * np.float32([[-1], [1], [1]])),
    "slogdet small": (lambda o, x: o.slogdet(x), SQUARE[:, :2, :2]),
    "solve": (lambda o, a, b: o.solve(a, b), SQUARE, COLUMNS),
    "solve vector": (lambda o, a, b: o.solve(a, b), SQUARE, VECTOR),
    "solve columns": (lambda o, a, b: o.solve(a, b), SQUARE, COLUMNS[0]),
    "solve_triangular": (lambda o, a, b: o.solve_triangular(a, b), SQUARE, COLUMNS),
    "solve_triangular lower": (lambda o, a, b: o.solve_triangular(a, b, True), SQUARE, COLUMNS),
    "solve_triangular vectors": (lambda o, a, b: o.solve_triangular(a, b), SQUARE, numbers(2, 3)),
    "solve_triangular vector": (lambda o, a, b: o.solve_triangular(a, b), SQUARE, VECTOR),
    "stft": (lambda o, x: o.stft(x, 4, 2, 4), SIGNAL),
    "stft hamming": (lambda o, x: o.stft(x, 5, 3, 8, "hamming", center=False), SIGNAL),
    "stft none": (lambda o, x: o.stft(x, 3, 1, 6, window=None), SIGNAL),
    "stft window": (lambda o, x: o.stft(x, 4, 3, 7, window=WINDOW), SIGNAL),
    "stft mirrors": (lambda o, x: o.stft(x, 45, 9, 50), SIGNAL),
    "svd": (lambda o, x: o.svd(x), TALL),
    "svd reduced": (lambda o, x: o.svd(x, full_matrices=False), WIDE),
    "svd values": (lambda o, x: o.svd(x, compute_uv=False), TALL),
}


def each(o, run, arrays):
    return jax.tree.leaves(run(o, *arrays))


def assert_close(ours, theirs, tolerance=1e-5):
    assert [(x.shape, x.dtype) for x in ours] == [(x.shape, x.dtype) for x in theirs]
    for x, y in zip(ours, theirs):
        x, y = np.asarray(x, "complex64"), np.asarray(y, "complex64")
        np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)


@pytest.mark.filterwarnings("ignore:jax.scipy.linalg.solve_triangular:FutureWarning")  # Keras's
@pytest.mark.parametrize("name", CASES)
def test_values(name):
    run, *arrays = CASES[name]

    def both(arrays):
        return [each(o, run, arrays) for o in (ops, real.ops)]

    # One compiled function takes less time than its ops one by one, but Keras can't compile this.
    both = both if name == "rearrange split" else jax.jit(both)
    assert_close(*both(list(map(jnp.asarray, arrays))))


PLAIN = [name for name in CASES if " " not in name]


@pytest.mark.parametrize("name", [n for n in PLAIN if n != "jvp"])
def test_integers(name):
    run, *arrays = CASES[name]
    whole = [jnp.asarray(np.rint(3 * x), "int32") for x in arrays]
    # Keras refuses integers here; ours become floats.
    exact = [x.astype("float32") for x in whole] if name in ("istft", "stft") else whole
    assert_close(*jax.jit(lambda x, y: (each(ops, run, x), each(real.ops, run, y)))(whole, exact))


@pytest.mark.parametrize("name", PLAIN)
def test_half_precision(name):
    """Computed in float32 and returned in the dtype of the arguments, also where Keras refuses."""
    run, *arrays = CASES[name]
    narrow = [jnp.asarray(x, "bfloat16") for x in arrays]
    wide = [x.astype("float32") for x in narrow]
    ours, exact = jax.jit(lambda *x: [each(ops, run, arrays) for arrays in x])(narrow, wide)
    for x, y in zip(ours, exact, strict=True):
        assert x.dtype == ("bfloat16" if y.dtype == "float32" else y.dtype)
        np.testing.assert_allclose(x.astype(y.dtype), y, rtol=0.01, atol=0.05)
    try:
        theirs = jax.eval_shape(lambda x: each(real.ops, run, x), narrow)
    except Exception:
        return
    assert [x.dtype for x in ours] == [x.dtype for x in theirs]


# matrix_rank gives integers. The gradient of eigenvectors that aren't orthogonal depends on what
# they were multiplied by, and that of all of `u` and `v` isn't determined.
NO_GRADIENT = ("eig", "matrix_rank", "svd")


@pytest.mark.parametrize("name", [*(n for n in PLAIN if n not in NO_GRADIENT), "svd reduced"])
def test_gradients(name):
    run, *arrays = CASES[name]

    def loss(arrays, o):
        results = [x for x in each(o, run, arrays) if x.dtype == "float32"]
        return sum(jnp.sum(x * jnp.cos(jnp.arange(x.size)).reshape(x.shape)) for x in results)

    gradients = jax.jit(lambda x: [jax.grad(loss)(x, o) for o in (ops, real.ops)])
    ours, theirs = gradients(list(map(jnp.asarray, arrays)))
    assert_close(ours, theirs, 1e-4)


_BATCH = "Keras forgets the batch of a"
_REARRANGE = "Keras refuses unknown sizes"
NOT_SYMBOLIC = {
    "matrix_rank tols": "its second argument has a batch, too",
    "rearrange": _REARRANGE,
    "rearrange join": _REARRANGE,
    "rearrange split": _REARRANGE,
    "slogdet": "Keras forgets the batch of the signs",
    "slogdet small": "the same",
    "solve columns": _BATCH,
    "solve vector": _BATCH,
    "solve_triangular vector": _BATCH,
}


@pytest.mark.parametrize("name", CASES)
def test_symbolic(name):
    run, *arrays = CASES[name]

    def specs(library, batch):
        shapes = [(batch, *x.shape[1:]) if x.shape[0] == 2 else x.shape for x in arrays]
        results = run(library.ops, *map(library.KerasTensor, shapes))
        leaves = jax.tree.leaves(results, is_leaf=lambda x: isinstance(x, library.KerasTensor))
        return [(x.shape, x.dtype) for x in leaves]

    traced = jax.eval_shape(lambda x: each(ops, run, x), arrays)
    assert specs(hornbeam, 2) == [(x.shape, x.dtype) for x in traced]
    if name not in NOT_SYMBOLIC:
        ours, theirs = specs(hornbeam, None), specs(real, None)
        assert [shape for shape, _ in ours] == [shape for shape, _ in theirs]


# What only hornbeam does ------------------------------------------------------------------------


def test_cholesky_inverse_of_a_batch():
    ours = ops.cholesky_inverse(LOWER)
    theirs = np.stack([real.ops.cholesky_inverse(x) for x in LOWER])
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_complex_matrices():
    x = (SPD + 0.2j * (SQUARE - SQUARE.transpose(0, 2, 1))).astype("complex64")
    factor = ops.cholesky(x)
    np.testing.assert_allclose(factor @ factor.conj().swapaxes(-1, -2), x, atol=1e-5)
    for upper in (False, True):
        inverse = ops.cholesky_inverse(ops.cholesky(x, upper), upper)
        np.testing.assert_allclose(inverse, np.linalg.inv(x), atol=1e-5)
    vectors = x[0]
    expected = np.linalg.norm(vectors[:, None] - vectors[None], axis=-1)
    np.testing.assert_allclose(ops.cdist(vectors, vectors), expected, atol=1e-5)


def test_distance_of_equal_vectors_has_a_gradient():
    gradient = jax.jit(jax.grad(lambda x, y: ops.cdist(x, y).sum()))
    np.testing.assert_array_equal(gradient(VECTOR[None], VECTOR[None]), 0)
    assert np.isfinite(gradient(TALL[0], TALL[0])).all()


@pytest.mark.parametrize("size", [1, 2, 3])
def test_logarithm_of_a_determinant_beyond_the_range_of_float32(size):
    for scale in (1e30, 1e-30):
        sign, logdet = ops.slogdet(np.float32(scale) * np.eye(size, dtype="float32"))
        assert sign == 1
        np.testing.assert_allclose(logdet, size * np.log(scale), rtol=1e-6)


def test_empty_matrices():
    assert ops.det(np.ones((0, 0))) == 1 and ops.matrix_rank(np.ones((2, 0))) == 0
    assert ops.inv(np.ones((0, 3, 3))).shape == (0, 3, 3)


def test_jvp_of_variables():
    v = hornbeam.Variable(VECTOR)
    output, derivative = ops.jvp(lambda x: x * v, (v,), (np.ones_like(VECTOR),))
    np.testing.assert_allclose(output, VECTOR**2, rtol=1e-6)
    np.testing.assert_allclose(derivative, VECTOR)


@pytest.mark.parametrize(
    ("window", "stride", "size", "n"),
    [
        ("hann", 1, 4, 19),
        ("hann", 3, 7, 19),
        ("hamming", 2, 6, 19),
        # From here on Keras's doesn't: no window, no overlap, few pieces.
        (None, 2, 4, 19),
        (None, 6, 6, 18),
        (WINDOW, 4, 4, 16),
        ("hann", 1, 20, 5),
    ],
)
def test_istft_inverts_stft(window, stride, size, n):
    def there_and_back(x):
        spectrum = ops.stft(x, 4, stride, size, window)
        return ops.istft(spectrum, 4, stride, size, length=n + 30, window=window)

    x = SIGNAL[:, :n]
    result = jax.jit(there_and_back)(x)
    assert result.shape == (2, n + 30)
    np.testing.assert_allclose(result[:, :n], x, atol=1e-5)
    np.testing.assert_array_equal(result[:, -5:], 0)


def test_signals_of_half_precision_and_integers():
    x = np.arange(8)
    exact = ops.stft(x.astype("float32"), 4, 2, 4)
    assert [y.dtype for y in ops.stft(x.astype("float16"), 4, 2, 4)] == ["float16"] * 2
    for real_part, wanted in zip(ops.stft(x, 4, 2, 4), exact):
        np.testing.assert_array_equal(real_part, wanted)
    half = jnp.ones(4, "bfloat16")
    assert ops.fft((half, half))[0].dtype == ops.rfft(half)[0].dtype == "bfloat16"


# Mistakes ---------------------------------------------------------------------------------------

MATRICES = "should be matrices, of shape (..., m, n); received (3,)"
SQUARES = "should be square matrices, of shape (..., n, n); received (2, 3)"
RIGHT = "should be of shape (3,) or (..., 3, k) for matrices of shape (2, 3, 3)"
PAIR = "should be a pair of arrays of one shape, the real and the imaginary part"
ONE = np.ones(3, "float32")
TWO = np.ones((2, 3), "float32")

# function of the module of ops, what our message says
MISTAKES = [
    *(
        (lambda o, n=n: getattr(o, n)(ONE), f"{n}: x {MATRICES}")
        for n in ("cholesky", "det", "eig", "eigh", "inv", "lu_factor", "matrix_rank", "pinv")
    ),
    *((lambda o, n=n: getattr(o, n)(ONE), f"{n}: x {MATRICES}") for n in ("logdet", "qr", "svd")),
    *(
        (lambda o, n=n: getattr(o, n)(TWO), f"{n}: x {SQUARES}")
        for n in ("cholesky", "cholesky_inverse", "det", "eig", "eigh", "inv", "logdet", "slogdet")
    ),
    (lambda o: o.cholesky(-SPD), "cholesky: x should be positive definite; received"),
    (lambda o: o.qr(TWO, "raw"), "qr: mode should be one of 'reduced', 'complete'; received 'raw'"),
    (lambda o: o.solve(TWO, ONE[:2]), f"solve: a {SQUARES}"),
    (lambda o: o.solve(SQUARE, ONE[:2]), f"solve: b {RIGHT}; received (2,)"),
    (lambda o: o.solve(SQUARE, TWO), f"solve: b {RIGHT}; received (2, 3). A vector for each"),
    (lambda o: o.solve(SQUARE, np.float32(1)), f"solve: b {RIGHT}; received ()"),
    (lambda o: o.solve_triangular(SQUARE, ONE[:2]), f"solve_triangular: b {RIGHT}; received (2,)"),
    (
        lambda o: o.lstsq(SQUARE, TWO),
        "lstsq: a should be one matrix, of shape (m, n); received (2,",
    ),
    (
        lambda o: o.lstsq(TWO, ONE),
        "lstsq: b should be of shape (2,) or (2, k) for a of shape (2, 3)",
    ),
    (lambda o: o.cdist(ONE, TWO), f"cdist: x {MATRICES}"),
    (lambda o: o.cdist(TWO, np.ones((4, 2))), "cdist: y should be vectors of size 3, like x of sh"),
    (lambda o: o.jvp(o.sin, ONE, ONE), "jvp: primals should be a tuple or list of arguments; rec"),
    (
        lambda o: o.jvp(o.sin, (ONE,), ()),
        "jvp: tangents should be as many as primals, 1; received 0",
    ),
    (lambda o: o.extract_sequences(np.float32(1), 1, 1), "extract_sequences: x should be of at le"),
    (
        lambda o: o.extract_sequences(ONE, 0, 1),
        "sequence_length should be an int of at least 1; re",
    ),
    (
        lambda o: o.extract_sequences(ONE, 1, 0),
        "sequence_stride should be an int of at least 1; re",
    ),
    (
        lambda o: o.stft(ONE, 3, 1, 2),
        "stft: fft_length should be at least sequence_length, 3; rece",
    ),
    (lambda o: o.stft(ONE, 3, 1, 3, "han"), "stft: window should be one of 'hann', 'hamming'; rec"),
    (lambda o: o.stft(ONE, 3, 1, 3, WINDOW), "stft: window should be of shape (3,), which is [seq"),
    (lambda o: o.stft(ONE, 3, 0, 3), "stft: sequence_stride should be an int of at least 1; recei"),
    (
        lambda o: o.stft(np.float32(1), 3, 1, 3),
        "stft: x should be of at least one axis; received ()",
    ),
    (
        lambda o: o.istft((ONE, ONE), 4, 1, 4),
        "istft: x should be of shape [..., t, fft_length // 2",
    ),
    (lambda o: o.istft((TWO, ONE), 4, 1, 4), f"istft: x {PAIR}; received"),
    (lambda o: o.istft((TWO, TWO), 4, 1, 4, window="x"), "istft: window should be one of 'hann', "),
    (lambda o: o.fft(TWO[0]), f"fft: x {PAIR}; received"),
    (lambda o: o.irfft((TWO, ONE)), f"irfft: x {PAIR}; received"),
    (lambda o: o.rearrange(TWO, 3), "rearrange: pattern should be a string such as"),
    (lambda o: o.rearrange(TWO, "a b"), "rearrange 'a b', shape (2, 3): it needs one '->', from"),
    (lambda o: o.rearrange(TWO, "a b c -> c b a"), "the left is for 3 axes, and the tensor has 2."),
    (
        lambda o: o.rearrange(ONE, "a b ... -> b a ..."),
        "for at least 2 axes, and the tensor has 1.",
    ),
    (lambda o: o.rearrange(TWO, "a b -> a"), "only the left has 'b', and no axis can get lost."),
    (lambda o: o.rearrange(TWO, "a b -> a b c"), "only the right has 'c'; write 1 for a new axis"),
    (lambda o: o.rearrange(TWO, "a a -> a"), "the left has 'a' more than once."),
    (lambda o: o.rearrange(TWO, "a b -> a (b (1))"), "parentheses can't be inside of parentheses."),
    (lambda o: o.rearrange(TWO, "a b -> a 2"), "an axis of size 2 needs a name; only 1 is written"),
    (lambda o: o.rearrange(TWO, "a b - > b a"), "it needs one '->'"),
    (lambda o: o.rearrange(TWO, "a-b c -> c"), "'-' can't be the name of an axis."),
    (
        lambda o: o.rearrange(TWO, "a (b c) -> a b c"),
        "size 3 can be split into 'b' and 'c' in many",
    ),
    (lambda o: o.rearrange(TWO, "a (b c) -> a b c", b=2), "size 3 can't be (b c) with b=2."),
    (lambda o: o.rearrange(TWO, "a (b c) -> a b c", b=2, c=2), "can't be (b c) with b=2, c=2."),
    (lambda o: o.rearrange(TWO, "a (b c) -> a b c", b=0), "'b' should be an int of at least 1, no"),
    (lambda o: o.rearrange(TWO, "1 b -> b"), "an axis of size 2 can't be 1."),
]


@pytest.mark.parametrize(("mistake", "message"), MISTAKES, ids=[m for _, m in MISTAKES])
def test_mistakes(mistake, message):
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        mistake(ops)
    with pytest.raises(Exception):  # noqa: B017 - of whatever kind
        mistake(real.ops)


@pytest.mark.parametrize(
    ("pattern", "lengths", "message"),
    [  # Keras takes these, and reads something else into them
        ("a b) -> b a", {}, "a ')' has no '(' before it."),
        ("a (b -> b a", {}, "a '(' has no ')' after it."),
        ("a b -> b a", {"a": 3}, "an axis of size 2 can't be a with a=3."),
        (
            "row column -> column row",
            {"rows": 2},
            "no axis 'rows' to have a length. Did you mean 'r",
        ),
        ("(...) b -> b ...", {}, "'...' can be inside of parentheses on the right only."),
        ("... -> ... ...", {}, "the right has '...' more than once."),
    ],
)
def test_mistakes_in_patterns(pattern, lengths, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        ops.rearrange(TWO, pattern, **lengths)


def test_unknown_sizes_in_patterns():
    x = hornbeam.KerasTensor((None, 3))
    assert ops.rearrange(x, "(a b) c -> b (a c)", a=7).shape == (None, 21)
    assert ops.rearrange(x, "(a b) c -> a b c", a=2, b=4).shape == (2, 4, 3)
    assert ops.rearrange(x, "1 ... -> ...").shape == (3,)
    with pytest.raises(
        ValueError, match=r"shape \(None, 3\): an axis of unknown size can be split"
    ):
        ops.rearrange(x, "(a b) c -> a b c")


# Laws of rearrange ------------------------------------------------------------------------------


@st.composite
def patterns(draw):
    """Both sides of a pattern, and the sizes of its axes."""
    names = string.ascii_lowercase[: draw(st.integers(0, 5))]
    sizes = {name: draw(st.integers(1, 3)) for name in names}

    def side(names):
        axes = []
        names = list(names)
        while names:
            count = draw(st.integers(0, len(names)))
            group, names = names[:count], names[count:]
            axes.append(tuple(group))  # an empty one is an axis of size 1
            if not count and len(axes) > 4:
                axes.append(tuple(names))
                break
        return axes

    return side(names), side(draw(st.permutations(names))), sizes


def written(axes):
    return " ".join("1" if not a else a[0] if len(a) == 1 else f"({' '.join(a)})" for a in axes)


def shape_of(axes, sizes):
    return tuple(math.prod(sizes[name] for name in parts) for parts in axes)


@hypothesis.given(patterns(), st.data())
def test_rearrange_is_reshape_transpose_reshape(pattern, data):
    left, right, sizes = pattern
    x = np.arange(math.prod(sizes.values())).reshape(shape_of(left, sizes))
    # One size in every axis follows from the others.
    left_out = {data.draw(st.sampled_from(parts)) for parts in left if parts}
    lengths = {name: size for name, size in sizes.items() if name not in left_out}
    result = ops.rearrange(x, f"{written(left)} -> {written(right)}", **lengths)
    before, after = ([name for parts in axes for name in parts] for axes in (left, right))
    parts = x.reshape([sizes[name] for name in before])
    expected = parts.transpose([before.index(name) for name in after])
    np.testing.assert_array_equal(result, expected.reshape(shape_of(right, sizes)))


@hypothesis.given(patterns())
def test_a_pattern_and_its_reverse_change_nothing(pattern):
    left, right, sizes = pattern
    x = np.arange(math.prod(sizes.values())).reshape(shape_of(left, sizes))
    there = ops.rearrange(x, f"{written(left)} -> {written(right)}", **sizes)
    back = ops.rearrange(there, f"{written(right)}->{written(left)}", **sizes)
    np.testing.assert_array_equal(back, x)


@pytest.mark.parametrize(
    ("pattern", "same"),
    [
        ("... c -> c ...", "a b c -> c a b"),
        ("a ... -> ... a", "a b c -> b c a"),
        ("a ... -> a (...)", "a b c -> a (b c)"),
        ("... -> (...)", "a b c -> (a b c)"),
        ("a b c ... -> a b (... c)", "a b c -> a b c"),
        ("a b c->(c)(a b)", "a  b c  ->  c (a b)"),
        ("a b c -> a () b (c 1)", "a b c -> a 1 b c"),
    ],
)
def test_patterns_that_mean_the_same(pattern, same):
    x = np.arange(24).reshape(2, 3, 4)
    np.testing.assert_array_equal(ops.rearrange(x, pattern), ops.rearrange(x, same))
