"""Linear algebra: decompositions, equations, and what matrices are summed up by.

Matrices are the last two axes of an array; the axes before are a batch.
"""

import functools

import jax
import jax.numpy as jnp
from jax.core import Tracer

from ..core.messages import expected, one_of
from ..core.symbolic import op, standardize_shape
from ._convert import array, floats, in_float32


def _shape(x):
    return standardize_shape(x.shape)  # None where JAX writes a formula


def _matrices(argument, x):
    x = array(x)
    if x.ndim < 2:
        raise ValueError(expected(argument, "matrices, of shape (..., m, n)", _shape(x)))
    return x


def _squares(argument, x):
    x = _matrices(argument, x)
    if x.shape[-1] != x.shape[-2]:
        raise ValueError(expected(argument, "square matrices, of shape (..., n, n)", _shape(x)))
    return x


def _adjoint(x):
    return jnp.conj(jnp.swapaxes(x, -1, -2))


# Decompositions ---------------------------------------------------------------------------------


@op
def cholesky(x, upper=False):
    """The triangular matrix `l` with `l @ l.T = x`.

    Args:
        x: `[..., n, n]`, symmetric (of others, the symmetric part counts) and positive definite.
        upper: whether to return `l.T` instead, which is upper triangular.

    Returns:
        `[..., n, n]`.

    Raises:
        ValueError: if a matrix isn't positive definite. A compiled function can't raise this; it
            returns NaN.

    Example:

    >>> keras.ops.cholesky([[4.0, 2.0], [2.0, 5.0]])
    Array([[2., 0.],
           [1., 2.]], dtype=float32)
    """
    x = _squares("cholesky: x", x)
    factor = in_float32(lambda x: jnp.linalg.cholesky(x, upper=upper), x)
    if not isinstance(factor, Tracer) and bool(jnp.isnan(factor).any()):
        hint = "Adding a small number to the diagonal often helps."
        raise ValueError(expected("cholesky: x", "positive definite", x, hint))
    return factor


@op
def cholesky_inverse(x, upper=False):
    """The inverse of `x @ x.T`, the matrix whose Cholesky factor is `x`.

    Args:
        x: `[..., n, n]`, lower triangular; elements above the diagonal don't count.
        upper: whether `x` is upper triangular instead, and the inverse that of `x.T @ x`.

    Returns:
        `[..., n, n]`.

    Example:

    >>> keras.ops.cholesky_inverse([[2.0, 0.0], [1.0, 2.0]])
    Array([[ 0.3125, -0.125 ],
           [-0.125 ,  0.25  ]], dtype=float32)
    """

    def invert(x):
        identity = jnp.broadcast_to(jnp.eye(x.shape[-1], dtype=x.dtype), x.shape)
        inverse = jax.scipy.linalg.solve_triangular(x, identity, lower=not upper)
        return inverse @ _adjoint(inverse) if upper else _adjoint(inverse) @ inverse

    return in_float32(invert, _squares("cholesky_inverse: x", x))


@op
def qr(x, mode="reduced"):
    """Matrices `q`, with orthonormal columns, and `r`, upper triangular, with `q @ r = x`.

    Args:
        x: `[..., m, n]`.
        mode: `"reduced"`, for `k = min(m, n)` columns of `q` and rows of `r`, or `"complete"`, for
            `k = m`.

    Returns:
        `(q, r)`, of shapes `[..., m, k]` and `[..., k, n]`.

    Example:

    >>> q, r = keras.ops.qr([[0.0, 1.0], [2.0, 3.0]])
    >>> keras.ops.abs(r)
    Array([[2., 3.],
           [0., 1.]], dtype=float32)
    """
    one_of("qr: mode", mode, ("reduced", "complete"))
    return in_float32(lambda x: jnp.linalg.qr(x, mode), _matrices("qr: x", x))


@op
def svd(x, full_matrices=True, compute_uv=True):
    """The singular value decomposition `x = u @ diag(s) @ v`.

    Args:
        x: `[..., m, n]`.
        full_matrices: whether `u` and `v` are square; otherwise they have `k = min(m, n)` columns
            and rows.
        compute_uv: whether to return `u` and `v` at all.

    Returns:
        `(u, s, v)`: orthonormal columns, the singular values from the largest down (`[..., k]`),
        and orthonormal rows. Or `s` alone.

    Example:

    >>> keras.ops.svd([[3.0, 0.0], [4.0, 0.0]], compute_uv=False)
    Array([5., 0.], dtype=float32)
    """
    x = _matrices("svd: x", x)
    return in_float32(lambda x: jnp.linalg.svd(x, full_matrices, compute_uv), x)


@op
def lu_factor(x):
    """The LU decomposition with partial pivoting.

    Args:
        x: `[..., m, n]`.

    Returns:
        `(lu, pivots)`. `lu`, `[..., m, n]`, holds the upper triangular factor, and below the
        diagonal the lower one, whose diagonal is 1. Row `i` was exchanged with row `pivots[i]`,
        one after the other; `pivots` is `[..., min(m, n)]`.

    Example:

    >>> keras.ops.lu_factor([[1.0, 2.0], [4.0, 4.0]])
    (Array([[4.  , 4.  ],
           [0.25, 1.  ]], dtype=float32), Array([1, 1], dtype=int32))
    """
    return in_float32(jax.scipy.linalg.lu_factor, _matrices("lu_factor: x", x))


@op
def eig(x):
    """Eigenvalues and eigenvectors.

    Args:
        x: `[..., n, n]`.

    Returns:
        `(values, vectors)`, complex numbers of shapes `[..., n]` (in no order) and `[..., n, n]`.
        Column `vectors[:, i]` belongs to `values[i]` and has length 1.

    Example:

    >>> values, _ = keras.ops.eig([[0.0, -1.0], [1.0, 0.0]])
    >>> keras.ops.sort(keras.ops.imag(values))
    Array([-1.,  1.], dtype=float32)
    """
    return in_float32(jnp.linalg.eig, _squares("eig: x", x))


@op
def eigh(x):
    """Eigenvalues and eigenvectors of symmetric (or Hermitian) matrices.

    Args:
        x: `[..., n, n]`; of others, the symmetric part counts.

    Returns:
        `(values, vectors)`, real eigenvalues from the smallest up (`[..., n]`) and orthonormal
        columns (`[..., n, n]`).

    Example:

    >>> keras.ops.eigh([[2.0, 1.0], [1.0, 2.0]])[0]
    Array([1., 3.], dtype=float32)
    """
    return in_float32(jnp.linalg.eigh, _squares("eigh: x", x))


# Equations --------------------------------------------------------------------------------------


@op
def inv(x):
    """The inverse of square matrices.

    Example:

    >>> keras.ops.inv([[2.0, 0.0], [0.0, 4.0]])
    Array([[0.5 , 0.  ],
           [0.  , 0.25]], dtype=float32)
    """
    return in_float32(jnp.linalg.inv, _squares("inv: x", x))


@op
def pinv(x, rcond=None):
    """The pseudoinverse of Moore and Penrose.

    Args:
        x: `[..., m, n]`.
        rcond: singular values up to `rcond` times the largest count as 0; by default
            `10 * max(m, n)` times the precision of the dtype.

    Returns:
        `[..., n, m]`.

    Example:

    >>> keras.ops.pinv([[2.0], [0.0]])
    Array([[0.5, 0. ]], dtype=float32)
    """
    return in_float32(lambda x: jnp.linalg.pinv(x, rcond), _matrices("pinv: x", x))


@op
def solve(a, b):
    """The solution `x` of the linear equations `a @ x = b`.

    Args:
        a: `[..., n, n]`.
        b: one right side, `[n]`, or several as columns, `[..., n, k]`. (A different vector for
            each matrix is one column: `b[..., None]`.)

    Returns:
        Array of the shape of `b`, with the batch of `a`.

    Example:

    >>> keras.ops.solve([[2.0, 0.0], [1.0, 1.0]], [4.0, 3.0])
    Array([2., 1.], dtype=float32)
    """
    a, b = _squares("solve: a", a), array(b)
    hint = "A vector for each matrix is one column: b[..., None]."
    _check_right_side("solve: b", a, b, b.ndim == 1, hint)
    return in_float32(jnp.linalg.solve, a, b)


@op
def solve_triangular(a, b, lower=False):
    """The solution `x` of `a @ x = b`, where `a` is triangular.

    Args:
        a: `[..., n, n]`; only the elements on and above the diagonal count.
        b: one right side, `[n]`, one for each matrix, `[..., n]` with one axis fewer than `a`, or
            several as columns, `[..., n, k]`.
        lower: whether the elements on and below the diagonal of `a` count instead.

    Returns:
        Array of the shape of `b`, with the batch of `a`.

    Example:

    >>> keras.ops.solve_triangular([[2.0, 0.0], [1.0, 1.0]], [4.0, 3.0], lower=True)
    Array([2., 1.], dtype=float32)
    """
    a, b = _squares("solve_triangular: a", a), array(b)
    vectors = b.ndim == 1 or (b.ndim == a.ndim - 1 and b.shape[-1] == a.shape[-1])
    _check_right_side("solve_triangular: b", a, b, vectors)
    substitute = functools.partial(jax.scipy.linalg.solve_triangular, lower=lower)
    x = in_float32(substitute, a, b[..., None] if vectors else b)
    return x[..., 0] if vectors else x


def _check_right_side(argument, a, b, vectors, hint=None):
    n = a.shape[-1]
    if (b.shape[-1:] if vectors else b.shape[-2:-1]) != (n,):
        wanted = f"of shape ({n},) or (..., {n}, k) for matrices of shape {_shape(a)}"
        raise ValueError(expected(argument, wanted, _shape(b), hint))


@op
def lstsq(a, b, rcond=None):
    """The `x` that makes `a @ x - b` smallest in the sum of squares; of several, the shortest.

    Args:
        a: `[m, n]`.
        b: `[m]`, or `[m, k]` for `k` problems.
        rcond: singular values of `a` below `rcond` times the largest count as 0; by default
            `max(m, n)` times the precision of the dtype.

    Returns:
        `[n]` or `[n, k]`.

    Example:

    >>> keras.ops.lstsq([[1.0], [1.0]], [1.0, 3.0])
    Array([2.], dtype=float32)
    """
    a, b = array(a), array(b)
    if a.ndim != 2:
        raise ValueError(expected("lstsq: a", "one matrix, of shape (m, n)", _shape(a)))
    if b.ndim not in (1, 2) or b.shape[0] != a.shape[0]:
        m = a.shape[0]
        wanted = f"of shape ({m},) or ({m}, k) for a of shape {_shape(a)}"
        raise ValueError(expected("lstsq: b", wanted, _shape(b)))
    return in_float32(lambda a, b: jnp.linalg.lstsq(a, b, rcond)[0], a, b)


# Numbers ----------------------------------------------------------------------------------------


@op
def det(x):
    """The determinant of square matrices.

    Example:

    >>> keras.ops.det([[1.0, 2.0], [3.0, 4.0]])
    Array(-2., dtype=float32)
    """
    return in_float32(jnp.linalg.det, _squares("det: x", x))


@op
def slogdet(x):
    """The determinant of square matrices in two parts, which neither overflow nor underflow.

    Args:
        x: `[..., n, n]`.

    Returns:
        `(sign, logabsdet)`, both `[...]`: the determinant is `sign * exp(logabsdet)`.

    Example:

    >>> keras.ops.slogdet([[1.0, 0.0], [0.0, -1.0]])
    (Array(-1., dtype=float32), Array(0., dtype=float32))
    """
    return in_float32(_slogdet, _squares("slogdet: x", x))


def _slogdet(x):
    # JAX's "lu" multiplies 2 × 2 matrices out, which overflows.
    return tuple(jnp.linalg.slogdet(x, method="qr" if x.shape[-1] == 2 else "lu"))


@op
def logdet(x):
    """The logarithm of the determinant of symmetric (or Hermitian) positive definite matrices.

    Example:

    >>> keras.ops.logdet([[1e30, 0.0], [0.0, 1e30]])
    Array(138.155, dtype=float32)
    """
    return in_float32(_slogdet, _squares("logdet: x", x))[1]


@op
def matrix_rank(x, tol=None):
    """The number of singular values above a threshold.

    Args:
        x: `[..., m, n]`.
        tol: the threshold; by default the largest singular value times `max(m, n)` times the
            precision of the dtype.

    Returns:
        Integers, `[...]`.

    Example:

    >>> keras.ops.matrix_rank([[1.0, 2.0], [2.0, 4.0]])
    Array(1, dtype=int32)
    """
    x = _matrices("matrix_rank: x", x)
    s = in_float32(lambda x: jnp.linalg.svd(x, compute_uv=False), x)
    if tol is None:
        tol = s[..., :1] * max(x.shape[-2:]) * jnp.finfo(s.dtype).eps
    else:
        tol = jnp.expand_dims(tol, -1)
    return jnp.sum(s > tol, -1, dtype="int32")


@op
def cdist(x, y):
    """The Euclidean distance of every vector in `x` from every one in `y`.

    Args:
        x: `[..., m, d]`.
        y: `[..., n, d]`.

    Returns:
        `[..., m, n]`.

    Example:

    >>> keras.ops.cdist([[0.0, 0.0], [3.0, 0.0]], [[0.0, 4.0]])
    Array([[4.],
           [5.]], dtype=float32)
    """
    x, y = _matrices("cdist: x", x), _matrices("cdist: y", y)
    if x.shape[-1] != y.shape[-1]:
        wanted = f"vectors of size {x.shape[-1]}, like x of shape {_shape(x)}"
        raise ValueError(expected("cdist: y", wanted, _shape(y)))
    x, y = floats(x, y)
    difference = x[..., :, None, :] - y[..., None, :, :]
    squares = (difference * difference.conj()).real.sum(-1)
    # Where two vectors are equal the square root has no gradient; 0 is the one that moves neither.
    return jnp.where(squares == 0, 0, jnp.sqrt(jnp.where(squares == 0, 1, squares)))


# Derivatives ------------------------------------------------------------------------------------


@op
def jvp(fun, primals, tangents, has_aux=False):
    """The value of a function, and its derivative in a direction.

    Args:
        fun: function of arrays (or of nested structures of them).
        primals: tuple or list, the arguments of `fun`.
        tangents: tuple or list, the direction: for each argument an array of its shape.
        has_aux: whether `fun` returns a pair, whose second part isn't differentiated.

    Returns:
        `(output, derivative)`, both in the form that `fun` returns; with `has_aux`,
        `(output, derivative, second part)`.

    Example:

    >>> keras.ops.jvp(keras.ops.square, (jnp.array([1.0, 3.0]),), (jnp.array([1.0, 0.0]),))
    (Array([1., 9.], dtype=float32), Array([2., 0.], dtype=float32))
    """
    for argument, value in (("primals", primals), ("tangents", tangents)):
        if not isinstance(value, (tuple, list)):
            raise TypeError(expected(f"jvp: {argument}", "a tuple or list of arguments", value))
    if len(primals) != len(tangents):
        wanted = f"as many as primals, {len(primals)}"
        raise ValueError(expected("jvp: tangents", wanted, len(tangents)))
    return jax.jvp(fun, primals, tangents, has_aux)
