"""Numbers in few bits, as functions of arrays: 8-bit and 4-bit integers, 8-bit floats."""

import jax
import jax.numpy as jnp

from ..core.messages import expected, one_of
from ..core.symbolic import op
from ..ops._convert import float_array, widened

# Integers ----------------------------------------------------------------------------------------


@op
def abs_max_quantize(
    inputs, axis, value_range=(-127, 127), dtype="int8", epsilon=1e-7, to_numpy=False
):
    """Integers whose largest possible value stands for the largest absolute value along axes.

    `q = round(x · scale)` with `scale = value_range[1] / (max|x| + epsilon)`, so `x ≈ q / scale`;
    the error is at most half a step, `0.5 / scale`.

    Args:
        inputs: floats.
        axis: the axis or axes that share a scale; `None` for all.
        value_range: the lowest and the highest integer.
        dtype: type of the integers.
        epsilon: added to the largest absolute value, so that it isn't 0.
        to_numpy: whether to compute on the host instead of the device, to save its memory.

    Returns:
        The integers, and the scale, of size 1 along `axis`.

    Example:

    >>> q, scale = keras.quantizers.abs_max_quantize(np.array([[0.25, -1.0]]), axis=-1)
    >>> q
    Array([[  32, -127]], dtype=int8)
    >>> scale
    Array([[127.]], dtype=float32)
    """
    with _place(to_numpy):
        x = float_array(inputs)
        largest = jnp.max(jnp.abs(x), axis=axis, keepdims=True)
        scale = jnp.asarray(value_range[1] / (largest + epsilon), x.dtype)
        return _rounded(x * scale, value_range, dtype), scale


@op
def abs_max_quantize_grouped_with_zero_point(
    inputs, block_size, value_range=(-8, 7), dtype="int8", epsilon=1e-7, to_numpy=False
):
    """Integers with a scale and a zero point for each block of rows of each column.

    `x ≈ (q - zero) · scale`. The integers from the lowest to the highest span the values of the
    block and 0; the error is at most one step, `scale`.

    Args:
        inputs: floats `[rows, columns]`.
        block_size: how many rows share a scale; the last block may have fewer.
        value_range: the lowest and the highest integer.
        dtype: type of the integers and of the zero points.
        epsilon: added to the span of a block.
        to_numpy: whether to compute on the host instead of the device, to save its memory.

    Returns:
        The integers `[rows, columns]`, the scales and the zero points `[blocks, columns]`.

    Example:

    >>> x = np.array([[0.0], [1.0], [-3.0], [0.0]])
    >>> q, scale, zero = keras.quantizers.abs_max_quantize_grouped_with_zero_point(x, 2)
    >>> q.ravel(), zero.ravel()
    (Array([-8,  7, -8,  7], dtype=int8), Array([-8,  7], dtype=int8))
    """
    if jnp.ndim(inputs) != 2:
        raise ValueError(expected("inputs", "a matrix, [rows, columns]", inputs))
    if block_size < 1:
        raise ValueError(expected("block_size", "a positive int", block_size))
    low, high = value_range
    with _place(to_numpy):
        x = float_array(inputs)
        rows, columns = x.shape
        # Repeating the last row leaves a short block's range as it is.
        padded = jnp.pad(x, ((0, -rows % block_size), (0, 0)), mode="edge")
        blocks = padded.reshape(-1, block_size, columns)
        # Zero has to be in the range, since the zero point is one of the integers.
        least = jnp.minimum(blocks.min(axis=1), 0)
        most = jnp.maximum(blocks.max(axis=1), 0)
        flat = least == most
        least, most = jnp.where(flat, -1, least), jnp.where(flat, 1, most)
        scale = ((most - least + epsilon) / (high - low)).astype(x.dtype)
        zero = jnp.clip(jnp.round(low - least / scale), low, high)
        q = jnp.round(blocks / scale[:, None]) + zero[:, None]
        q = _rounded(q, value_range, dtype).reshape(-1, columns)[:rows]
        return q, scale, zero.astype(dtype)


def _rounded(x, value_range, dtype):
    return jnp.clip(jnp.round(x), *value_range).astype(dtype)


def _place(to_numpy):
    """Where to compute: on the host's own device, or wherever JAX does."""
    return jax.default_device(jax.devices("cpu")[0] if to_numpy else None)


@op
def pack_int4(arr, axis=0, dtype="int8"):
    """Two 4-bit integers in each byte.

    The low half of a byte holds the first number, the high half the one after it.

    Args:
        arr: integers from -8 to 7 (of 0 to 15, without a sign), of type `dtype`.
        axis: the axis along which pairs are made; an odd length is filled up with a 0.
        dtype: `"int8"` or `"uint8"`.

    Returns:
        The bytes, their shape, and the length of the axis before.

    Example:

    >>> packed, shape, length = keras.quantizers.pack_int4(np.array([1, 2, 3], "int8"))
    >>> packed
    Array([33,  3], dtype=int8)
    >>> keras.quantizers.unpack_int4(packed, length)
    Array([1, 2, 3], dtype=int8)
    """
    arr = jnp.moveaxis(_bytes("pack_int4", arr, dtype), axis, -1)
    length = arr.shape[-1]
    even = jnp.pad(arr, [(0, 0)] * (arr.ndim - 1) + [(0, length % 2)]).astype("uint8")
    packed = (even[..., ::2] & 15) | (even[..., 1::2] << 4)
    packed = jnp.moveaxis(packed.astype(dtype), -1, axis)
    return packed, packed.shape, length


@op
def unpack_int4(packed, orig_len, axis=0, dtype="int8"):
    """The 4-bit integers that `pack_int4` packed.

    Args:
        packed: bytes.
        orig_len: the length of the axis before packing.
        axis: the axis along which pairs were made.
        dtype: `"int8"` for numbers from -8 to 7, `"uint8"` for numbers from 0 to 15.

    Example:

    >>> keras.quantizers.unpack_int4(np.array([33, 3], "int8"), 3)
    Array([1, 2, 3], dtype=int8)
    """
    packed = jnp.moveaxis(_bytes("unpack_int4", packed, dtype), axis, -1)
    # Shifting right repeats the sign, if the type has one.
    halves = jnp.stack([packed << 4, packed], axis=-1) >> 4
    numbers = halves.reshape(*packed.shape[:-1], -1)[..., :orig_len]
    return jnp.moveaxis(numbers, -1, axis)


def _bytes(function, x, dtype):
    one_of(f"{function}'s dtype", dtype, ("int8", "uint8"))
    x = jnp.asarray(x)
    if x.dtype.name not in ("int8", "uint8"):
        raise TypeError(expected(f"{function}'s first argument", "of type int8 or uint8", x))
    return x.astype(dtype)


@op(elementwise=True)
def fake_quant_with_min_max_vars(
    inputs, min_vals, max_vals, num_bits=8, narrow_range=False, axis=None
):
    """What remains of values after quantizing them: training with it prepares a model for that.

    The range is moved a little, so that one of the integers stands for 0 exactly. Values outside
    become its ends.

    Args:
        inputs: floats.
        min_vals, max_vals: the range, below and above 0: scalars, or one per position of `axis`.
        num_bits: number of bits; the integers are `0 … 2^num_bits - 1`.
        narrow_range: whether the lowest integer is 1 instead of 0.
        axis: the axis that has its own range at each position; `None` for one range.

    Returns:
        Floats like the inputs. The gradient goes to the inputs where they are in the range, and to
        the end of the range that they were moved to elsewhere.

    Reference: [Jacob et al., 2017](https://arxiv.org/abs/1712.05877)

    Example:

    >>> x = np.array([-2.0, 0.1, 0.2])
    >>> keras.quantizers.fake_quant_with_min_max_vars(x, -1.0, 0.5, num_bits=2)
    Array([-1. ,  0. ,  0. ], dtype=float32)
    """
    dtype = float_array(inputs).dtype
    x = widened(float_array(inputs))

    def along(ends):
        ends = jnp.asarray(ends, x.dtype)
        if axis is None or ends.ndim == 0:
            return ends
        return ends.reshape([-1 if i == axis % x.ndim else 1 for i in range(x.ndim)])

    low, high = along(min_vals), along(max_vals)
    first, last = int(narrow_range), 2**num_bits - 1
    step = (high - low) / (last - first)
    zero = jnp.clip(jnp.floor(first - low / step + 0.5), first, last)
    bottom, top = (first - zero) * step, (last - zero) * step
    # The rounded value, with the gradient of the clipped one: that of the end where it was clipped.
    clipped = jnp.where(x < bottom, low, jnp.where(x > top, high, x))
    level = jnp.floor((jnp.clip(x, bottom, top) - bottom) / step + 0.5)
    rounded = level * step + bottom
    return (clipped + jax.lax.stop_gradient(rounded - clipped)).astype(dtype)


# 8-bit floats -------------------------------------------------------------------------------------


@op
def compute_float8_scale(amax, scale, dtype_max, margin=0):
    """The scale that moves values of up to `amax` into the range of a float type.

    Args:
        amax: the largest absolute value.
        scale: the scale so far, which stays where `amax` is 0 or not finite.
        dtype_max: the largest number of the float type.
        margin: how many times 2 the values may grow without leaving the range.

    Reference: [Micikevicius et al., 2022](https://arxiv.org/abs/2209.05433)

    Example:

    >>> keras.quantizers.compute_float8_scale(896.0, 1.0, 448.0)
    Array(2., dtype=float32)
    """
    amax, scale = float_array(amax), float_array(scale)
    known = jnp.isfinite(amax) & (amax > 0)
    return jnp.where(known, amax / dtype_max * 2.0**margin, scale)


@op
def compute_float8_amax_history(x, amax_history):
    """The largest absolute values of the last steps, with that of `x` in the first place.

    Args:
        x: floats.
        amax_history: `[steps]`; the second value is the oldest, and the first of the last step
            moves to the end.

    Example:

    >>> history = np.array([3.0, 1.0, 2.0])
    >>> keras.quantizers.compute_float8_amax_history(np.array([-5.0, 4.0]), history)
    Array([5., 2., 3.], dtype=float32)
    """
    history = float_array(amax_history)
    largest = jnp.max(jnp.abs(float_array(x))).astype(history.dtype)
    return jnp.roll(history, -1).at[0].set(largest)


@op
def quantize_and_dequantize(inputs, scale, quantized_dtype, compute_dtype):
    """What remains of values after storing them as 8-bit floats.

    Args:
        inputs: floats.
        scale: what they are divided by before, and multiplied with after.
        quantized_dtype: such as `"float8_e4m3fn"`; larger values become its largest number.
        compute_dtype: type of the result.

    Example:

    >>> x = np.array([1.03, 500.0])
    >>> keras.quantizers.quantize_and_dequantize(x, 1.0, "float8_e4m3fn", "float32")
    Array([  1., 448.], dtype=float32)
    """
    dtype = jnp.dtype(quantized_dtype)
    most = float(jnp.finfo(dtype).max)
    scale = jnp.asarray(scale, compute_dtype)
    scaled = jnp.clip(jnp.asarray(inputs).astype(compute_dtype) / scale, -most, most)
    return scaled.astype(dtype).astype(compute_dtype) * scale
