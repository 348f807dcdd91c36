"""Convolution and pooling against plain `jax.lax`: values and every kind of derivative."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from hornbeam.ops import _conv

RNG = np.random.default_rng(0)

# x shape, kernel shape, strides, padding, dilation, groups
CONVOLUTIONS = {
    "1d": ((2, 9, 3), (3, 3, 4), (1,), "same", (1,), 1),
    "1d causal": ((2, 9, 3), (3, 3, 4), (1,), ((4, 0),), (2,), 1),
    "1d even strided": ((2, 10, 3), (4, 3, 2), (3,), "same", (1,), 1),
    "2d valid": ((2, 7, 6, 3), (3, 2, 3, 4), (1, 1), "valid", (1, 1), 1),
    "2d same": ((2, 7, 6, 3), (3, 2, 3, 4), (1, 1), "same", (1, 1), 1),
    "2d strided": ((2, 8, 7, 3), (3, 3, 3, 4), (2, 3), "same", (1, 1), 1),
    "2d strided valid": ((2, 8, 7, 3), (3, 2, 3, 4), (2, 3), "valid", (1, 1), 1),
    "2d dilated": ((2, 8, 9, 3), (3, 2, 3, 4), (1, 1), "same", (2, 3), 1),
    "2d stride beyond window": ((2, 9, 9, 3), (2, 1, 3, 4), (3, 2), "valid", (1, 1), 1),
    "2d one channel": ((2, 7, 6, 1), (3, 3, 1, 4), (1, 1), "valid", (1, 1), 1),
    "2d pairs": ((2, 5, 6, 3), (3, 3, 3, 4), (2, 1), ((2, 1), (0, 3)), (1, 1), 1),
    "pointwise": ((2, 5, 6, 3), (1, 1, 3, 4), (1, 1), "same", (1, 1), 1),
    "pointwise strided": ((2, 5, 6, 3), (1, 1, 3, 4), (2, 3), "same", (1, 1), 1),
    "pointwise pairs": ((2, 5, 6, 3), (1, 1, 3, 4), (2, 1), ((1, 0), (0, 2)), (1, 1), 1),
    "window beyond input": ((2, 2, 3, 3), (5, 5, 3, 4), (1, 1), "same", (1, 1), 1),
    "window beyond input, valid": ((2, 2, 3, 3), (5, 5, 3, 4), (1, 1), "valid", (1, 1), 1),
    "3d": ((2, 4, 5, 3, 2), (2, 3, 2, 2, 3), (1, 2, 1), "same", (1, 1, 1), 1),
    "groups": ((2, 5, 6, 6), (3, 3, 2, 9), (1, 1), "same", (1, 1), 3),
    "groups strided": ((2, 7, 6, 4), (3, 2, 2, 2), (2, 1), "valid", (1, 1), 2),
    "groups dilated 1d": ((2, 9, 4), (3, 2, 6), (1,), "same", (2,), 2),
    "depthwise": ((2, 5, 6, 3), (3, 3, 1, 3), (1, 1), "same", (1, 1), 3),
    "depthwise multiplied": ((2, 7, 6, 3), (3, 2, 1, 6), (2, 2), "same", (1, 1), 3),
    "depthwise dilated": ((2, 7, 8, 2), (2, 3, 1, 4), (1, 1), "valid", (2, 1), 2),
    "depthwise, many taps": ((2, 9, 9, 2), (9, 9, 1, 2), (1, 1), "same", (1, 1), 2),
    "depthwise beyond input": ((2, 2, 3, 2), (5, 5, 1, 2), (3, 1), "valid", (1, 1), 2),
    "depthwise 3d": ((2, 3, 4, 3, 2), (2, 2, 2, 1, 2), (1, 1, 2), "same", (1, 1, 1), 2),
}

# x shape, kernel shape, strides, dilation, what is cut off
TRANSPOSED = {
    "1d": ((2, 5, 3), (3, 4, 3), (1,), (1,), ((0, 0),)),
    "1d strided": ((2, 5, 3), (4, 2, 3), (3,), (1,), ((1, 0),)),
    "1d stride beyond window": ((2, 4, 3), (2, 2, 3), (3,), (1,), ((0, -1),)),
    "2d": ((2, 4, 3, 2), (3, 2, 4, 2), (1, 1), (1, 1), ((1, 1), (0, 1))),
    "2d strided": ((2, 4, 3, 2), (3, 3, 2, 2), (2, 3), (1, 1), ((0, 1), (0, 0))),
    "2d dilated": ((2, 4, 3, 2), (3, 2, 2, 2), (1, 1), (2, 1), ((2, 2), (0, 0))),
    "3d": ((1, 2, 3, 2, 2), (2, 2, 3, 3, 2), (1, 2, 1), (1, 1, 1), ((0, 0), (0, 1), (1, 0))),
}

# x shape, window, strides, padding
POOLS = {
    "1d": ((2, 9, 3), (2,), (2,), "valid"),
    "2d": ((2, 6, 8, 3), (2, 2), (2, 2), "valid"),
    "2d cropped": ((2, 7, 9, 3), (2, 3), (2, 3), "valid"),
    "2d same": ((2, 7, 9, 3), (2, 3), (2, 3), "same"),
    "2d overlapping": ((2, 9, 8, 3), (3, 3), (2, 2), "same"),
    "2d dense": ((2, 5, 6, 3), (3, 2), (1, 1), "valid"),
    "2d gaps": ((2, 9, 8, 3), (2, 2), (3, 4), "valid"),
    "2d pairs": ((2, 5, 6, 3), (3, 3), (2, 2), ((1, 0), (1, 1))),
    "2d many taps": ((2, 10, 10, 3), (9, 9), (1, 1), "same"),
    "2d window beyond input": ((2, 2, 3, 3), (4, 4), (2, 2), "valid"),
    "3d": ((2, 4, 5, 6, 2), (2, 2, 3), (2, 2, 3), "same"),
}


def table(cases):
    return pytest.mark.parametrize("case", cases.values(), ids=cases.keys())


# Compiling takes most of the time of these tests.
jit = functools.partial(
    jax.jit,
    compiler_options={
        "xla_backend_optimization_level": 0,  # halves it
        "xla_llvm_disable_expensive_passes": True,
    },
)


def assert_close(got, expected, tolerance=1e-4):
    expected = dict(jax.tree_util.tree_leaves_with_path(expected))
    for path, value in jax.tree_util.tree_leaves_with_path(got):
        where = jax.tree_util.keystr(path)
        value, wanted = np.asarray(value, "float32"), np.asarray(expected.pop(path), "float32")
        np.testing.assert_allclose(value, wanted, tolerance, tolerance, err_msg=where)
    assert not expected


def normal(*shape):
    return RNG.normal(size=shape).astype("float32")


def rectified(*shape):
    """Half of the elements are equal (zero), so that nearly every window has ties."""
    return np.maximum(normal(*shape), 0)


def plain_conv(x, kernel, strides, padding, dilation, groups):
    padding = padding.upper() if isinstance(padding, str) else padding
    space = "DHW"[-len(strides) :]
    numbers = (f"N{space}C", f"{space}IO", f"N{space}C")
    return lax.conv_general_dilated(
        x,
        kernel,
        strides,
        padding,
        rhs_dilation=dilation,
        dimension_numbers=numbers,
        feature_group_count=groups,
    )


def plain_pool(init, reduce, x, window, strides, padding):
    padding = padding.upper() if isinstance(padding, str) else ((0, 0), *padding, (0, 0))
    return lax.reduce_window(x, init, reduce, (1, *window, 1), (1, *strides, 1), padding)


plain_max_pool = functools.partial(plain_pool, -jnp.inf, lax.max)


def plain_avg_pool(x, *args):
    count = plain_pool(0.0, lax.add, jnp.ones_like(x), *args)
    return plain_pool(0.0, lax.add, x, *args) / count


def derivatives(function, args, gradient, direction):
    """The value, both products with the jacobian, and a product with a second derivative."""

    def backward(args):
        return jax.vjp(function, *args)[1](gradient)

    return {
        "value and forward": jax.jvp(function, args, direction),
        "backward and forward over backward": jax.jvp(backward, (args,), (direction,)),
    }


def first_derivatives(function, args, gradient, direction):
    return {
        "value and forward": jax.jvp(function, args, direction),
        "backward": jax.vjp(function, *args)[1](gradient),
    }


def grad_of_grad(function, args, gradient, direction):
    loss = lambda args: jnp.sum(jnp.sin(function(*args)) * gradient)
    norm = lambda args: sum(jnp.sum(g**2) for g in jax.grad(loss)(args))
    return {"grad of grad": jax.grad(norm)(args)}


def assert_same(ours, plain, args, derivatives=derivatives):
    gradient = normal(*jax.eval_shape(plain, *args).shape)
    direction = tuple(normal(*a.shape) for a in args)
    both = jit(lambda *a: [derivatives(f, *a) for f in (ours, plain)])
    assert_close(*both(args, gradient, direction))


@table(CONVOLUTIONS)
def test_convolution_and_its_derivatives(case):
    x, kernel, *rest = case
    assert_same(
        lambda x, k: _conv.convolve(x, k, *rest),
        lambda x, k: plain_conv(x, k, *rest),
        (normal(*x), normal(*kernel)),
    )


@pytest.mark.parametrize("name", ["1d", "2d strided", "pointwise", "groups", "depthwise"])
def test_convolution_grad_of_grad(name):
    x, kernel, *rest = CONVOLUTIONS[name]
    assert_same(
        lambda x, k: _conv.convolve(x, k, *rest),
        lambda x, k: plain_conv(x, k, *rest),
        (normal(*x), normal(*kernel)),
        grad_of_grad,
    )


def plain_transpose(x, kernel, strides, dilation, crops):
    reach = [(k - 1) * d for k, d in zip(kernel.shape, dilation)]
    pads = [(r - low, r - high) for r, (low, high) in zip(reach, crops)]
    space = "DHW"[-len(strides) :]
    numbers = (f"N{space}C", f"{space}IO", f"N{space}C")
    return lax.conv_transpose(
        x,
        kernel,
        strides,
        pads,
        rhs_dilation=dilation,
        dimension_numbers=numbers,
        transpose_kernel=True,
    )


@table(TRANSPOSED)
def test_transposed_convolution_and_its_derivatives(case):
    x, kernel, strides, dilation, crops = case
    assert_same(
        lambda x, k: _conv.convolve_transposed(x, k, strides, crops, dilation),
        lambda x, k: plain_transpose(x, k, strides, dilation, crops),
        (normal(*x), normal(*kernel)),
    )


@table(POOLS)
@pytest.mark.parametrize("make", [normal, rectified], ids=["distinct", "ties"])
def test_max_pool_and_its_derivatives(case, make):
    x, *rest = case
    x = make(*x)
    ours, plain = (lambda x, f=f: f(x, *rest) for f in (_conv.max_pool, plain_max_pool))
    if make is normal:
        return assert_same(ours, plain, (x,))
    # Only the gradient: in forward mode, lax breaks ties by the larger tangent.
    gradient = normal(*jax.eval_shape(plain, x).shape)
    backward = lambda f: jax.vjp(f, x)[1](gradient)
    assert_close(*jit(lambda: [backward(ours), backward(plain)])())


@table(POOLS)
def test_avg_pool_and_its_derivatives(case):
    x, *rest = case
    ours, plain = (lambda x, f=f: f(x, *rest) for f in (_conv.avg_pool, plain_avg_pool))
    assert_same(ours, plain, (normal(*x),), first_derivatives)  # it is linear


@pytest.mark.parametrize("name", ["1d causal", "2d strided", "pointwise", "groups", "depthwise"])
def test_vmap_over_examples_kernels_and_gradients(name):
    x, kernel, *rest = CONVOLUTIONS[name]
    x, kernel = jnp.asarray(normal(3, *x)), jnp.asarray(normal(3, *kernel))

    def per_example(conv, axes):
        loss = lambda x, k: jnp.sum(jnp.sin(conv(x, k, *rest)))
        args = [a if axis == 0 else a[0] for a, axis in zip((x, kernel), axes)]
        return jax.vmap(jax.value_and_grad(loss, argnums=(0, 1)), axes)(*args)

    every = lambda conv: [per_example(conv, axes) for axes in [(0, 0), (0, None), (None, 0)]]
    assert_close(*jit(lambda: [every(_conv.convolve), every(plain_conv)])())


@pytest.mark.parametrize("pool", ["max_pool", "avg_pool"])
def test_vmap_of_pool_gradients(pool):
    x = jnp.asarray(normal(3, 2, 7, 6, 2))

    def per_example(pool):
        return jax.vmap(jax.grad(lambda x: jnp.sum(pool(x, (3, 2), (2, 2), "same") ** 2)))(x)

    both = getattr(_conv, pool), globals()[f"plain_{pool}"]
    assert_close(*jit(lambda: [per_example(pool) for pool in both])())


def symbolic(shape):
    d = jax.export.symbolic_shape("d", constraints=["d >= 2"])[0]
    return jax.ShapeDtypeStruct((*[d] * (len(shape) - 1), shape[-1]), "float32")


@table(CONVOLUTIONS)
def test_convolution_of_unknown_sizes(case):
    x, kernel, *rest = case
    specs = symbolic(x), jax.ShapeDtypeStruct(kernel, "float32")
    ours, plain = (
        jax.eval_shape(lambda x, k, conv=conv: conv(x, k, *rest), *specs)
        for conv in (_conv.convolve, plain_conv)
    )
    assert ours == plain


@table(POOLS)
def test_pools_of_unknown_sizes(case):
    x, *rest = case
    x = symbolic(x)
    for pools in [(_conv.max_pool, plain_max_pool), (_conv.avg_pool, plain_avg_pool)]:
        ours, plain = (jax.eval_shape(lambda x, pool=pool: pool(x, *rest), x) for pool in pools)
        assert ours == plain


@pytest.mark.parametrize("name", ["2d same", "groups", "depthwise"])
def test_unknown_batch_size_is_exported(name):
    x, kernel, *rest = CONVOLUTIONS[name]
    (b,) = jax.export.symbolic_shape("b")
    loss = lambda x, k: jnp.sum(_conv.convolve(x, k, *rest) ** 2)
    grad = jit(jax.grad(loss, argnums=(0, 1)))
    specs = [jax.ShapeDtypeStruct(s, "float32") for s in [(b, *x[1:]), kernel]]
    args = normal(*x), normal(*kernel)
    exported = jax.export.export(grad)(*specs)
    assert_close(exported.call(*args), grad(*args))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", ["2d same", "groups", "depthwise"])
def test_half_precision_sums_in_single(name, dtype):
    x, kernel, *rest = CONVOLUTIONS[name]
    x, kernel = (jnp.asarray(normal(*s), dtype) for s in (x, kernel))
    gradient = jnp.ones(jax.eval_shape(lambda: plain_conv(x, kernel, *rest)).shape)

    def value_and_gradients(conv, *args):
        y, pull = jax.vjp(lambda x, k: conv(x, k, *rest), *args)
        return y, pull(gradient.astype(y.dtype))

    got = jit(lambda *a: value_and_gradients(_conv.convolve, *a))(x, kernel)
    wide = x.astype("float32"), kernel.astype("float32")
    assert all(a.dtype == dtype for a in jax.tree.leaves(got))
    assert_close(got, jit(lambda *a: value_and_gradients(plain_conv, *a))(*wide), 1e-2)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "int32"])
@pytest.mark.parametrize("pool", ["max_pool", "avg_pool"])
def test_pools_keep_the_dtype(pool, dtype):
    x = jnp.asarray(4 * normal(2, 6, 6, 3), dtype)
    y = jit(lambda x: getattr(_conv, pool)(x, (3, 3), (2, 2), "same"))(x)
    exact = globals()[f"plain_{pool}"](x.astype("float32"), (3, 3), (2, 2), "same")
    assert y.dtype == dtype
    assert_close(y, exact.astype(dtype), 1e-2 if y.itemsize == 2 else 1e-5)


def test_dtypes_are_promoted():
    y = _conv.convolve(jnp.ones((1, 4, 2), "bfloat16"), jnp.ones((2, 2, 3)), (1,), "same", (1,), 1)
    assert y.dtype == "float32"


@pytest.mark.parametrize("groups", [1, 2])
def test_gradients_are_canonical_convolutions(groups):
    """In a loop, any other order of the dimensions is up to 80 times slower on the CPU."""
    x, kernel = normal(2, 8, 8, 4), normal(3, 3, 4 // groups, 6)
    loss = lambda x, k: jnp.sum(_conv.convolve(x, k, (1, 1), "same", (1, 1), groups) ** 2)
    text = str(jax.make_jaxpr(jax.grad(loss, argnums=(0, 1)))(x, kernel))
    canonical = "lhs_spec=(0, 3, 1, 2), rhs_spec=(3, 2, 0, 1), out_spec=(0, 3, 1, 2)"
    assert text.count("lhs_spec") == text.count(canonical) == 3
    assert text.count("batch_group_count=1\n") == 3


def test_unused_gradients_are_not_computed():
    x, kernel = normal(2, 8, 8, 4), normal(3, 3, 4, 6)
    loss = lambda k: jnp.sum(_conv.convolve(x, k, (1, 1), "same", (1, 1), 1) ** 2)
    text = str(jax.make_jaxpr(jax.grad(loss))(kernel))
    assert text.count("conv_general_dilated[") == 2  # the value, the kernel's gradient
