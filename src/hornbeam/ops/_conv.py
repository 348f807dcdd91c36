"""Convolution and pooling over 1 to 3 spatial dimensions, channels last.

The results are those of `jax.lax`; what this file adds is speed on the CPU, where three
of XLA's choices are slow. All measurements: XLA:CPU of JAX 0.10.2, 2 cores, float32,
repeated by `benchmarks/conv.py`.

* *Gradients inside a loop.* XLA hands a convolution to its fast kernel only when the
  dimensions are in canonical order (`NHWC`, `HWIO`). It reorders other convolutions in
  the entry computation, but not in the body of a `lax.fori_loop`, where we train:
  there the kernel gradient of 16x28x28x64 -> 64 takes 1055 ms in place of 13.
  `_conv` arranges that its gradients are canonical as written.
* *Transposed convolution* has the same trouble with the gradients of both arguments: stride 2,
  16x14x14x64 -> 32, takes 120 ms in a loop in place of 6.
* *Depthwise convolution* has no fast kernel, forward or backward: a sum over
  the window of elementwise products takes 0.6 ms in place of 16 for 8x28x28x64.
* *The gradient of max pooling* is a scalar loop over windows, 41 ms for
  128x26x26x32; such a sum over the window takes 4.

Every path consists of ordinary differentiable operations, so `jvp`, `vmap`, higher
derivatives and symbolic sizes work as they do for `jax.lax`.
"""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero

from ..core.loading import check_tensor
from ._convert import widened
from ._project import project

# A sum over the window has one term per position; many terms compile slowly.
_MAX_TAPS = 64


def convolve(x, kernel, strides, padding, dilation, groups):
    """Cross-correlates `x` with `kernel`.

    Args:
        x: `[b, *spatial, c]`.
        kernel: `[*window, c / groups, o]`.
        strides, dilation: one int per spatial dimension.
        padding: `"valid"`, `"same"`, or one `(low, high)` per spatial dimension.
        groups: number of groups the channels are split into; `c` means depthwise.

    Returns:
        `[b, *out, o]` in the promoted dtype of `x` and `kernel`.
    """
    dtype = jnp.result_type(x, kernel)
    x, kernel = jnp.asarray(x, dtype), jnp.asarray(kernel, dtype)
    strides, dilation, padding = tuple(strides), tuple(dilation), _padding(padding)
    window = kernel.shape[:-2]
    if not _tuned(x):
        return _lax_conv(x, kernel, strides, padding, dilation, groups)
    if groups > 1 and groups == x.shape[-1] and math.prod(window) <= _MAX_TAPS:
        return _depthwise(x, kernel, strides, padding, dilation)
    if groups == math.prod(window) == 1 and isinstance(padding, str):
        # A matrix product, in twice the speed of the convolution kernel.
        x = x[:, *(slice(None, None, s) for s in strides)]
        return project(x, kernel.reshape(kernel.shape[-2:]))
    return _conv(x, kernel, strides, padding, dilation, groups)


def max_pool(x, window, strides, padding):
    """Largest element of every window: `[b, *spatial, c]` to `[b, *out, c]`.

    Where several elements are largest, the first in window order gets the gradient.
    """
    args = tuple(window), tuple(strides), _padding(padding)
    if _tuned(x) and math.prod(window) <= _MAX_TAPS:
        return _max_pool(x, *args)
    return _lax_max_pool(x, *args)


def avg_pool(x, window, strides, padding):
    """Mean over every window, not counting padding: `[b, *spatial, c]` to `[b, *out, c]`."""
    window, strides, padding = tuple(window), tuple(strides), _padding(padding)
    wide = widened(x)
    if _tuned(x) and math.prod(window) <= _MAX_TAPS:
        # The gradient of `reduce_window` is 2 to 6 times slower where windows overlap.
        total = sum(_taps(wide, window, strides, padding))
    else:
        total = _lax_sum_pool(wide, window, strides, padding)
    if padding == "VALID":
        mean = total / math.prod(window)
        return mean.astype(x.dtype)  # pyright: ignore[reportAttributeAccessIssue]
    return (total / _real_elements(x.shape[1:-1], window, strides, padding)).astype(x.dtype)


def _tuned(x):
    """Whether to use the formulations that are faster on the CPU.

    They slice by known sizes. With symbolic ones only shapes matter, and those are alike.
    """
    sizes_known = all(isinstance(n, int) for n in x.shape[1:])
    return jax.default_backend() == "cpu" and jnp.issubdtype(x.dtype, jnp.floating) and sizes_known


def _padding(padding):
    return padding.upper() if isinstance(padding, str) else tuple(map(tuple, padding))


def _taps(x, window, strides, padding, dilation=None, fill: float = 0):
    """Yields for every window position, in row-major order, what all windows see there.

    Padded with `fill`; each `[b, *out, c]`. Window reductions become elementwise
    operations on these, which XLA fuses into one loop over contiguous channels.
    """
    dilation = dilation or (1,) * len(window)
    reach = [(k - 1) * d + 1 for k, d in zip(window, dilation)]
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(x.shape[1:-1], reach, strides, padding)
    zero = (0, 0, 0)
    x = lax.pad(
        x, jnp.asarray(fill, x.dtype), [zero, *((low, high, 0) for low, high in padding), zero]
    )
    last = [(n - r) // s * s for n, r, s in zip(x.shape[1:-1], reach, strides)]
    for position in itertools.product(*map(range, window)):
        starts = [p * d for p, d in zip(position, dilation)]
        stops = [max(a, a + n + 1) for a, n in zip(starts, last)]  # a window may fit nowhere
        yield x[:, *map(slice, starts, stops, strides)]


# Convolution


def _lax_conv(x, kernel, strides, padding, dilation, groups):
    space = "DHW"[-len(strides) :]
    return lax.conv_general_dilated(
        x,
        kernel,
        strides,
        padding,
        rhs_dilation=dilation,
        dimension_numbers=(f"N{space}C", f"{space}IO", f"N{space}C"),
        feature_group_count=groups,
    )


@functools.partial(jax.custom_jvp, nondiff_argnums=(2, 3, 4, 5))
def _conv(x, kernel, strides, padding, dilation, groups):
    """`_lax_conv`, whose derivatives transpose to canonical convolutions."""
    return _lax_conv(x, kernel, strides, padding, dilation, groups)


def _conv_jvp(strides, padding, dilation, groups, primals, tangents):
    """conv(x, k)' = conv(x', k) + conv(x, k'), each term over rearranged arrays.

    Reverse mode never runs these two convolutions, only their transposes, in which
    `jax.lax` exchanges the roles of the dimensions:

        d/dx': kernel  I <-> O                                        must become HWIO
        d/dk': x       N <-> C, the kernel becomes the output, and the output the kernel

    So we lay out the arrays, and name their dimensions, such that *after* the exchange
    the convolution is canonical. Forward mode computes the same numbers, but runs the
    exchanged dimensions, slowly inside of loops.
    """
    x, kernel = primals
    x_dot, kernel_dot = tangents
    y = _conv(x, kernel, strides, padding, dilation, groups)
    conv = functools.partial(
        lax.conv_general_dilated,
        window_strides=strides,
        padding=padding,
        rhs_dilation=dilation,
    )
    space = "DHW"[-len(strides) :]
    y_dot = jnp.zeros_like(y)
    if not isinstance(x_dot, SymbolicZero):
        y_dot += conv(
            x_dot,
            kernel.swapaxes(-1, -2),
            dimension_numbers=(f"N{space}C", f"{space}OI", f"N{space}C"),
            feature_group_count=groups,
        )
    if not isinstance(kernel_dot, SymbolicZero):
        # The groups of channels move into the batch: [b, h, w, g * c] to [c, h, w, g * b].
        b, *spatial, c = x.shape
        by_group = x.reshape(b, *spatial, groups, c // groups)
        x = by_group.swapaxes(0, -1).reshape(c // groups, *spatial, groups * b)
        y_dot += jnp.moveaxis(
            conv(
                x,
                jnp.moveaxis(kernel_dot, -2, 0),
                dimension_numbers=(f"C{space}N", f"I{space}O", f"{space}NC"),
                batch_group_count=groups,
            ),
            -2,
            0,
        )
    return y, y_dot


_conv.defjvp(_conv_jvp, symbolic_zeros=True)


@functools.partial(jax.custom_jvp, nondiff_argnums=(2, 3, 4))
def convolve_transposed(x, kernel, strides, crops, dilation):
    """The transpose of `convolve` with respect to its first argument.

    Args:
        x: `[b, *spatial, c]`.
        kernel: `[*window, o, c]`, in the dtype of `x`.
        strides, dilation: tuples of one int per spatial dimension.
        crops: how much of everything that the windows reach is cut off, a tuple of one
            `(low, high)` per spatial dimension; more is added where it is negative.

    Returns:
        `[b, *out, o]`.
    """
    window = tuple(range(len(strides)))
    reach = [(kernel.shape[a] - 1) * dilation[a] for a in window]
    pads = [(r - low, r - high) for r, (low, high) in zip(reach, crops)]
    space = "DHW"[-len(strides) :]
    return lax.conv_general_dilated(
        x,
        jnp.flip(kernel, window).swapaxes(-1, -2),
        (1,) * len(strides),
        pads,
        lhs_dilation=strides,
        rhs_dilation=dilation,
        dimension_numbers=(f"N{space}C", f"{space}IO", f"N{space}C"),
    )


def _convolve_transposed_jvp(strides, crops, dilation, primals, tangents):
    """Both terms are transposes of canonical convolutions, so that their transposes, which are
    the gradients, are canonical, too."""
    x, kernel = primals
    x_dot, kernel_dot = tangents
    y = convolve_transposed(x, kernel, strides, crops, dilation)

    def gradient_of_x(g):
        return _lax_conv(g, kernel, strides, crops, dilation, 1)

    def gradient_of_kernel(g):
        by_channel = jnp.swapaxes(g, 0, -1)  # [o, *out, b]
        return jnp.moveaxis(
            _lax_conv(by_channel, jnp.moveaxis(x, 0, -2), dilation, crops, strides, 1), 0, -2
        )

    y_dot = jnp.zeros_like(y)
    if not isinstance(x_dot, SymbolicZero):
        y_dot += jax.linear_transpose(gradient_of_x, y)(x_dot)[0]
    if not isinstance(kernel_dot, SymbolicZero):
        y_dot += jax.linear_transpose(gradient_of_kernel, y)(kernel_dot)[0]
    return y, y_dot


convolve_transposed.defjvp(_convolve_transposed_jvp, symbolic_zeros=True)


def _depthwise(x, kernel, strides, padding, dilation):
    """Convolution of each channel by itself: kernel `[*window, 1, c * m]` to `[b, *out, c * m]`."""
    *window, _, features = kernel.shape
    channels = x.shape[-1]
    taps = list(_taps(widened(x), window, strides, padding, dilation))
    kernel = widened(kernel).reshape(-1, channels, features // channels)
    # One sum for each output per channel: as one product with a last axis of 2, the
    # gradient of x takes 20 ms in place of 1 (8x28x28x32).
    outputs = [
        sum(tap * weight for tap, weight in zip(taps, kernel[..., m]))
        for m in range(kernel.shape[-1])
    ]
    y = jnp.stack(outputs, axis=-1)
    return y.reshape(*y.shape[:-2], features).astype(x.dtype)


# Pooling


def _lax_max_pool(x, window, strides, padding):
    floating = jnp.issubdtype(x.dtype, jnp.floating)
    lowest = -jnp.inf if floating else jnp.iinfo(x.dtype).min
    return _reduce_windows(x, lowest, lax.max, window, strides, padding)


def _lax_sum_pool(x, window, strides, padding):
    return _reduce_windows(x, 0, lax.add, window, strides, padding)


def _real_elements(sizes, window, strides, padding):
    """How many elements of every window are not padding: `[1, *out, 1]`.

    A product over the dimensions, because XLA would compute the whole count of a large
    image while compiling, in seconds.
    """
    count = jnp.ones((1,) * (len(sizes) + 2))
    for axis, n in enumerate(sizes):
        this = slice(axis, axis + 1)
        pairs = padding if isinstance(padding, str) else padding[this]
        line = _lax_sum_pool(jnp.ones((1, n, 1)), window[this], strides[this], pairs)
        count *= jnp.expand_dims(line, [a + 1 for a in range(len(sizes)) if a != axis])
    return count


def _reduce_windows(x, init, reduce, window, strides, padding):
    padding = padding if isinstance(padding, str) else ((0, 0), *padding, (0, 0))
    init = x.dtype.type(init)  # a constant, by which lax recognises max and sum
    out = lax.reduce_window(x, init, reduce, (1, *window, 1), (1, *strides, 1), padding)
    check_tensor((*out.shape[1:-1], *window))  # with padding, windows may be larger than the image
    return out


@functools.partial(jax.custom_jvp, nondiff_argnums=(1, 2, 3))
def _max_pool(x, window, strides, padding):
    return _lax_max_pool(x, window, strides, padding)


@_max_pool.defjvp
def _max_pool_jvp(window, strides, padding, primals, tangents):
    (x,), (x_dot,) = primals, tangents
    y = _max_pool(x, window, strides, padding)
    # The first largest element gets it, as in XLA; after a relu, ties are common.
    first, largest = 0, -jnp.inf
    for n, tap in enumerate(_taps(x, window, strides, padding, fill=-jnp.inf)):
        first = jnp.where(tap > largest, n, first)
        largest = jnp.maximum(tap, largest)
    dots = _taps(x_dot, window, strides, padding)
    return y, sum(jnp.where(first == n, dot, 0) for n, dot in enumerate(dots))
