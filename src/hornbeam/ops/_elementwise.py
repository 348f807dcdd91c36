"""Ops that treat every element alike: arithmetic, comparison, logic, powers, rounding.

Each is one expression of `jax.numpy`; what an op adds is the dtype: `promoted` operands keep the
type that their combination has, `floats` are in a float type.
"""

import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from ..core.messages import expected
from ..core.symbolic import op
from ._convert import array, arrays, counting, differ, floats, promoted, widened

# Arithmetic -------------------------------------------------------------------------------------


@op(elementwise=True)
def add(x1, x2):
    """Sum, element by element, with broadcasting.

    Example:

    >>> keras.ops.add([1, 2], 10)
    Array([11, 12], dtype=int32)
    """
    return jnp.add(*promoted(x1, x2))


@op(elementwise=True)
def subtract(x1, x2):
    """Difference `x1 - x2`, element by element, with broadcasting."""
    return jnp.subtract(*promoted(x1, x2))


@op(elementwise=True)
def multiply(x1, x2):
    """Product, element by element, with broadcasting."""
    return jnp.multiply(*promoted(x1, x2))


@op(elementwise=True)
def divide(x1, x2):
    """Quotient `x1 / x2`, a float also for integers."""
    return jnp.divide(*floats(x1, x2))


true_divide = divide


@op(elementwise=True)
def divide_no_nan(x1, x2):
    """Quotient `x1 / x2`, with 0 where `x2` is 0."""
    x1, x2 = floats(x1, x2)
    zero = jnp.equal(x2, 0)
    # Both branches get a gradient, so the unused one must be finite, too.
    return jnp.where(zero, 0, jnp.divide(x1, jnp.where(zero, 1, x2)))


@op(elementwise=True)
def floor_divide(x1, x2):
    """Quotient `x1 / x2` rounded down; -7 by 2 gives -4."""
    return jnp.floor_divide(*counting(x1, x2))


@op(elementwise=True)
def mod(x1, x2):
    """Remainder of `floor_divide`, which has the sign of `x2`; -7 by 2 gives 1."""
    return jnp.mod(*counting(x1, x2))


@op(elementwise=True)
def fmod(x1, x2):
    """Remainder of the quotient rounded towards zero, with the sign of `x1`; -7 by 2 gives -1."""
    return jnp.fmod(*counting(x1, x2))


@op(elementwise=True)
def power(x1, x2):
    """`x1` to the power of `x2`."""
    return jnp.power(*counting(x1, x2))


@op(elementwise=True)
def negative(x):
    """`-x`."""
    return jnp.negative(array(x))


@op(elementwise=True)
def abs(x):
    """Absolute value."""
    return jnp.abs(array(x))


absolute = abs


@op(elementwise=True)
def fabs(x):
    """Absolute value, a float also for integers."""
    return jnp.fabs(*floats(x))


@op(elementwise=True)
def sign(x):
    """-1, 0 or 1: the sign of each element."""
    return jnp.sign(array(x))


@op(elementwise=True)
def signbit(x):
    """Whether the sign is minus, also that of `-0.0`."""
    return jnp.signbit(array(x))


@op(elementwise=True)
def square(x):
    """`x` times itself."""
    return jnp.square(*counting(x))


@op(elementwise=True)
def sqrt(x):
    """Square root."""
    return jnp.sqrt(*floats(x))


@op(elementwise=True)
def rsqrt(x):
    """1 by the square root."""
    return lax.rsqrt(*floats(x))


@op(elementwise=True)
def cbrt(x):
    """Cube root."""
    return jnp.cbrt(*floats(x))


@op(elementwise=True)
def reciprocal(x):
    """`1 / x`."""
    return jnp.reciprocal(*floats(x))


@op(elementwise=True)
def hypot(x1, x2):
    """`sqrt(x1 ** 2 + x2 ** 2)`, without overflow."""
    return jnp.hypot(*floats(x1, x2))


@op(elementwise=True)
def maximum(x1, x2):
    """The larger of two elements; NaN where one is."""
    return jnp.maximum(*promoted(x1, x2))


@op(elementwise=True)
def minimum(x1, x2):
    """The smaller of two elements; NaN where one is."""
    return jnp.minimum(*promoted(x1, x2))


@op(elementwise=True)
def fmax(x1, x2):
    """The larger of two elements, or the other one where one is NaN."""
    return jnp.fmax(*promoted(x1, x2))


@op(elementwise=True)
def fmin(x1, x2):
    """The smaller of two elements, or the other one where one is NaN."""
    return jnp.fmin(*promoted(x1, x2))


@op(elementwise=True)
def heaviside(x1, x2):
    """0 where `x1` is negative, 1 where it is positive, `x2` where it is 0."""
    return jnp.heaviside(*floats(x1, x2))


@op(elementwise=True)
def nextafter(x1, x2):
    """The float next to `x1` in the direction of `x2`."""
    return jnp.nextafter(*floats(x1, x2))


@op(elementwise=True)
def gcd(x1, x2):
    """Greatest common divisor of integers."""
    return _of_magnitudes(jnp.gcd, x1, x2)


@op(elementwise=True)
def lcm(x1, x2):
    """Least common multiple of integers."""
    return _of_magnitudes(jnp.lcm, x1, x2)


def _of_magnitudes(function, x1, x2):
    """`function` of unsigned integers. JAX's never ends for the lowest int, whose abs is itself."""
    x1, x2 = promoted(x1, x2)
    dtype = jnp.result_type(x1, x2)
    if not jnp.issubdtype(dtype, jnp.signedinteger):
        return function(x1, x2)
    return function(*(jnp.abs(x).astype(f"u{dtype}") for x in (x1, x2))).astype(dtype)


@op(elementwise=True)
def ldexp(x1, x2):
    """`x1 * 2 ** x2`, for integers `x2`."""
    (x1,) = floats(x1)
    return jnp.ldexp(x1, array(x2))


@op(elementwise=True)
def clip(x, x_min, x_max):
    """Elements below `x_min` become `x_min`, those above `x_max` become `x_max`.

    Example:

    >>> keras.ops.clip([-1, 3, 9], 0, 5)
    Array([0, 3, 5], dtype=int32)
    """
    return jnp.clip(*counting(x, x_min, x_max))


# Exponentials and logarithms --------------------------------------------------------------------


@op(elementwise=True)
def exp(x):
    """e to the power of `x`."""
    return jnp.exp(*floats(x))


@op(elementwise=True)
def exp2(x):
    """2 to the power of `x`."""
    return jnp.exp2(*floats(x))


@op(elementwise=True)
def expm1(x):
    """`exp(x) - 1`, exact near 0."""
    return jnp.expm1(*floats(x))


@op(elementwise=True)
def log(x):
    """Natural logarithm."""
    return jnp.log(*floats(x))


@op(elementwise=True)
def log1p(x):
    """`log(1 + x)`, exact near 0."""
    return jnp.log1p(*floats(x))


@op(elementwise=True)
def log2(x):
    """Logarithm to base 2."""
    return jnp.log2(*floats(x))


@op(elementwise=True)
def log10(x):
    """Logarithm to base 10."""
    return jnp.log10(*floats(x))


@op(elementwise=True)
def logaddexp(x1, x2):
    """`log(exp(x1) + exp(x2))`, without overflow."""
    return jnp.logaddexp(*floats(x1, x2))


@op(elementwise=True)
def logaddexp2(x1, x2):
    """`log2(2 ** x1 + 2 ** x2)`, without overflow."""
    return jnp.logaddexp2(*floats(x1, x2))


# Trigonometry and special functions -------------------------------------------------------------


@op(elementwise=True)
def sin(x):
    """Sine of an angle in radians."""
    return jnp.sin(*floats(x))


@op(elementwise=True)
def cos(x):
    """Cosine of an angle in radians."""
    return jnp.cos(*floats(x))


@op(elementwise=True)
def tan(x):
    """Tangent of an angle in radians."""
    return jnp.tan(*floats(x))


@op(elementwise=True)
def arcsin(x):
    """Angle in radians, between -π/2 and π/2, whose sine is `x`."""
    return jnp.arcsin(*floats(x))


@op(elementwise=True)
def arccos(x):
    """Angle in radians, between 0 and π, whose cosine is `x`."""
    return jnp.arccos(*floats(x))


@op(elementwise=True)
def arctan(x):
    """Angle in radians, between -π/2 and π/2, whose tangent is `x`."""
    return jnp.arctan(*floats(x))


@op(elementwise=True)
def sinh(x):
    """Hyperbolic sine."""
    return jnp.sinh(*floats(x))


@op(elementwise=True)
def cosh(x):
    """Hyperbolic cosine."""
    return jnp.cosh(*floats(x))


@op(elementwise=True)
def tanh(x):
    """Hyperbolic tangent."""
    return jnp.tanh(*floats(x))


@op(elementwise=True)
def arcsinh(x):
    """Inverse of the hyperbolic sine."""
    return jnp.arcsinh(*floats(x))


@op(elementwise=True)
def arccosh(x):
    """Inverse of the hyperbolic cosine."""
    return jnp.arccosh(*floats(x))


@op(elementwise=True)
def arctanh(x):
    """Inverse of the hyperbolic tangent."""
    return jnp.arctanh(*floats(x))


@op(elementwise=True)
def deg2rad(x):
    """Degrees to radians."""
    return jnp.deg2rad(*floats(x))


@op(elementwise=True)
def rad2deg(x):
    """Radians to degrees."""
    return jnp.rad2deg(*floats(x))


@op(elementwise=True)
def sinc(x):
    """`sin(πx) / (πx)`, and 1 at 0."""
    return jnp.sinc(*floats(x))


@op(elementwise=True)
def i0(x):
    """Modified Bessel function of the first kind, of order 0."""
    return jnp.i0(*floats(x))


@op(elementwise=True)
def arctan2(x1, x2):
    """Angle in radians, between -π and π, of the point with `x2` to the right and `x1` up."""
    return jnp.arctan2(*floats(x1, x2))


@op(elementwise=True)
def erf(x):
    """Error function."""
    return lax.erf(*floats(x))


@op(elementwise=True)
def erfc(x):
    """`1 - erf(x)`, exact for large `x`."""
    return lax.erfc(*floats(x))


@op(elementwise=True)
def erfinv(x):
    """Inverse of the error function."""
    return lax.erf_inv(*floats(x))


# Rounding ---------------------------------------------------------------------------------------


@op(elementwise=True)
def floor(x):
    """The next whole number down, as a float."""
    return jnp.floor(*floats(x))


@op(elementwise=True)
def ceil(x):
    """The next whole number up, as a float."""
    return jnp.ceil(*floats(x))


@op(elementwise=True)
def trunc(x):
    """The next whole number towards zero."""
    return jnp.trunc(array(x))


@op(elementwise=True)
def round(x, decimals=0):
    """The nearest number with `decimals` digits after the point; halves go to the even digit.

    Example:

    >>> keras.ops.round([0.5, 1.5, 2.345], 1)
    Array([0.5, 1.5, 2.3], dtype=float32)
    """
    return jnp.round(array(x), decimals)


# Comparison -------------------------------------------------------------------------------------


@op(elementwise=True)
def equal(x1, x2):
    """Whether `x1 == x2`, element by element."""
    return jnp.equal(*promoted(x1, x2))


@op(elementwise=True)
def not_equal(x1, x2):
    """Whether `x1 != x2`, element by element."""
    return jnp.not_equal(*promoted(x1, x2))


@op(elementwise=True)
def greater(x1, x2):
    """Whether `x1 > x2`, element by element."""
    return jnp.greater(*promoted(x1, x2))


@op(elementwise=True)
def greater_equal(x1, x2):
    """Whether `x1 >= x2`, element by element."""
    return jnp.greater_equal(*promoted(x1, x2))


@op(elementwise=True)
def less(x1, x2):
    """Whether `x1 < x2`, element by element."""
    return jnp.less(*promoted(x1, x2))


@op(elementwise=True)
def less_equal(x1, x2):
    """Whether `x1 <= x2`, element by element."""
    return jnp.less_equal(*promoted(x1, x2))


@op(elementwise=True)
def isclose(x1, x2, rtol=1e-5, atol=1e-8, equal_nan=False):
    """Whether `|x1 - x2| <= atol + rtol * |x2|`, element by element."""
    return jnp.isclose(*promoted(x1, x2), rtol=rtol, atol=atol, equal_nan=equal_nan)


@op
def allclose(x1, x2, rtol=1e-5, atol=1e-8, equal_nan=False):
    """Whether all elements are close in the sense of `isclose`."""
    return jnp.allclose(*promoted(x1, x2), rtol=rtol, atol=atol, equal_nan=equal_nan)


@op(elementwise=True)
def isnan(x):
    """Whether each element is NaN."""
    return jnp.isnan(array(x))


@op(elementwise=True)
def isinf(x):
    """Whether each element is infinite."""
    return jnp.isinf(array(x))


@op(elementwise=True)
def isposinf(x):
    """Whether each element is plus infinity."""
    return jnp.isposinf(array(x))


@op(elementwise=True)
def isneginf(x):
    """Whether each element is minus infinity."""
    return jnp.isneginf(array(x))


@op(elementwise=True)
def isfinite(x):
    """Whether each element is neither infinite nor NaN."""
    return jnp.isfinite(array(x))


@op(elementwise=True)
def isreal(x):
    """Whether the imaginary part of each element is 0."""
    return jnp.isreal(array(x))


@op(elementwise=True)
def nan_to_num(x, nan=0.0, posinf=None, neginf=None):
    """Replace NaN and infinities by numbers.

    Args:
        x: array.
        nan: what replaces NaN.
        posinf, neginf: what replaces infinities; by default the largest and smallest finite
            numbers.

    Example:

    >>> keras.ops.nan_to_num([1.0, float("nan")], nan=7.0)
    Array([1., 7.], dtype=float32)
    """
    return jnp.nan_to_num(array(x), nan=nan, posinf=posinf, neginf=neginf)


# Logic and bits ---------------------------------------------------------------------------------


@op(elementwise=True)
def logical_and(x1, x2):
    """Whether both elements are true (not 0)."""
    return jnp.logical_and(*promoted(x1, x2))


@op(elementwise=True)
def logical_or(x1, x2):
    """Whether at least one of two elements is true (not 0)."""
    return jnp.logical_or(*promoted(x1, x2))


@op(elementwise=True)
def logical_xor(x1, x2):
    """Whether exactly one of two elements is true (not 0)."""
    return jnp.logical_xor(*promoted(x1, x2))


@op(elementwise=True)
def logical_not(x):
    """Whether each element is false (0)."""
    return jnp.logical_not(array(x))


@op(elementwise=True)
def bitwise_and(x, y):
    """Bits that are 1 in both integers."""
    return jnp.bitwise_and(*promoted(x, y))


@op(elementwise=True)
def bitwise_or(x, y):
    """Bits that are 1 in at least one of two integers."""
    return jnp.bitwise_or(*promoted(x, y))


@op(elementwise=True)
def bitwise_xor(x, y):
    """Bits that differ between two integers."""
    return jnp.bitwise_xor(*promoted(x, y))


@op(elementwise=True)
def bitwise_not(x):
    """The integers with every bit flipped."""
    return jnp.bitwise_not(array(x))


bitwise_invert = bitwise_not


@op(elementwise=True)
def bitwise_left_shift(x, y):
    """The integers `x` with the bits moved `y` places up."""
    return jnp.left_shift(*counting(x, y))


left_shift = bitwise_left_shift


@op(elementwise=True)
def bitwise_right_shift(x, y):
    """The integers `x` with the bits moved `y` places down."""
    return jnp.right_shift(*counting(x, y))


right_shift = bitwise_right_shift


# Choice -----------------------------------------------------------------------------------------


@op(elementwise=True)
def where(condition, x1=None, x2=None):
    """Elements of `x1` where `condition` is true, of `x2` elsewhere.

    With `condition` alone, the indices where it is true, as `nonzero` gives them.

    Example:

    >>> keras.ops.where([True, False], [1, 2], 0)
    Array([1, 0], dtype=int32)
    """
    if x1 is None and x2 is None:
        return jnp.nonzero(array(condition))
    if x1 is None or x2 is None:
        raise ValueError(expected("where: x1 and x2", "both given or both left out", (x1, x2)))
    return jnp.where(array(condition) != 0, *promoted(x1, x2))


@op
def select(condlist, choicelist, default: ArrayLike = 0):
    """Elements of the first of `choicelist` whose condition is true, else `default`.

    Example:

    >>> x = np.arange(5)
    >>> keras.ops.select([x < 2, x > 3], [x, x * 10], -1)
    Array([ 0,  1, -1, -1, 40], dtype=int32)
    """
    *choices, default = arrays(*choicelist, default)
    return jnp.select([array(c) for c in condlist], choices, default)


# Complex numbers --------------------------------------------------------------------------------


@op(elementwise=True)
def real(x):
    """Real part."""
    return jnp.real(array(x))


@op(elementwise=True)
def imag(x):
    """Imaginary part."""
    return jnp.imag(array(x))


@op(elementwise=True)
def conjugate(x):
    """`x` with the sign of the imaginary part changed."""
    return jnp.conjugate(array(x))


conj = conjugate


@op(elementwise=True)
def angle(x):
    """Angle of a complex number in radians."""
    (x,) = floats(x)
    return jnp.angle(x)


@op(elementwise=True)
def polar(abs_, angle):
    """Complex number of absolute value `abs_` and angle `angle` in radians.

    Example:

    >>> keras.ops.polar(2.0, 0.0)
    Array(2.+0.j, dtype=complex64)
    """
    abs_, angle = (widened(array(x)) for x in floats(abs_, angle))
    return lax.complex(abs_ * jnp.cos(angle), abs_ * jnp.sin(angle))


@op
def view_as_complex(x):
    """Complex numbers from an array whose last axis holds real and imaginary parts."""
    x = array(x)
    if x.ndim < 1 or differ(x.shape[-1:], (2,)):
        raise ValueError(expected("view_as_complex: x", "an array with a last axis of size 2", x))
    return lax.complex(x[..., 0], x[..., 1])


@op
def view_as_real(x):
    """Real and imaginary parts along a new last axis."""
    x = array(x)
    return jnp.stack([x.real, x.imag], axis=-1)
