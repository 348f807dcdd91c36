"""Number formats of weights that are found with the help of data: GPTQ and AWQ."""

import functools

import jax
import jax.numpy as jnp

from ..quantizers import AWQConfig, GPTQConfig, pack_int4, unpack_int4
from ._quantized import Quantized, wide


class Calibrated(Quantized):
    """Integers of a few bits, with a scale and a zero point for each group of each output.

    4-bit integers are kept two in a byte, others one. Without data, weights are rounded to the
    nearest; `calibrate` finds better ones.
    """

    @classmethod
    def pack(cls, name, product, weight, config):
        return cls.calibrate(name, product, weight, config, None)

    @classmethod
    def calibrate(cls, name, product, weight, config, statistics):
        """What is kept of a weight, given the `Statistics` of its inputs."""
        raise NotImplementedError

    def adopt(self, packed, floats):
        super().adopt(packed, floats)
        for name in packed:
            self.drop_weight(name)
        if hasattr(self, "gptq_unpacked_column_size"):
            shape = self._shapes[self.main_weight]
            columns = self.products[self.main_weight].matrix_shape(shape)[1]
            self.gptq_unpacked_column_size = columns

    def unpack(self, name, parts, shape):
        product = self.products[name]
        scale, zero = wide(parts[f"{name}_scale"]), wide(parts[f"{name}_zero"])
        q = parts[f"quantized_{name}"]
        if self.dtype_policy.weight_bits == 4:  # pyright: ignore[reportAttributeAccessIssue]
            q = unpack_int4(q, len(scale), axis=0, dtype="uint8")
        group = parts["g_idx"].astype("int32")
        matrix = ((q - zero[:, group]) * scale[:, group]).T
        if "awq_scales" in parts:
            matrix = matrix / wide(parts["awq_scales"])[:, None]
        return product.from_rows(matrix, shape)


class GPTQ(Calibrated):
    """Integers found by GPTQ: the error of each weight is made up for by those not yet rounded.

    Reference: [Frantar et al., 2022](https://arxiv.org/abs/2210.17323)
    """

    @staticmethod
    def attributes(name):
        return f"quantized_{name}", f"{name}_scale", f"{name}_zero", "g_idx"

    def default_config(self):
        policy = self.dtype_policy
        bits, size = policy.weight_bits, policy.group_size  # pyright: ignore
        return GPTQConfig(None, None, weight_bits=bits, group_size=size)

    @classmethod
    def calibrate(cls, name, product, weight, config, statistics):
        matrix = wide(product.rows(weight)).T  # [outputs, inputs]
        inputs = matrix.shape[1]
        size = inputs if config.group_size == -1 else config.group_size
        order = jnp.arange(inputs)
        factor = jnp.eye(inputs)
        if statistics is not None:
            hessian = statistics.hessian()
            if config.activation_order:
                order = jnp.argsort(-jnp.diag(hessian))
            factor = _inverse_factor(hessian[order][:, order], config.hessian_damping)
        q, scale, zero = _round_in_turn(
            matrix[:, order], factor, size, config.weight_bits, config.symmetric, config.per_channel
        )
        place = jnp.argsort(order)
        return _kept(name, q[:, place], scale, zero, place // size, config.weight_bits)


class AWQ(Calibrated):
    """Integers found by AWQ: weights that meet large inputs are scaled up before rounding.

    Reference: [Lin et al., 2023](https://arxiv.org/abs/2306.00978)
    """

    @staticmethod
    def attributes(name):
        parts = f"quantized_{name}", f"{name}_scale", f"{name}_zero"
        return *parts, "awq_scales", "g_idx"

    def default_config(self):
        size = self.dtype_policy.group_size  # pyright: ignore[reportAttributeAccessIssue]
        return AWQConfig(None, None, group_size=size)

    @classmethod
    def calibrate(cls, name, product, weight, config, statistics):
        matrix = wide(product.rows(weight)).T  # [outputs, inputs]
        inputs = matrix.shape[1]
        size = inputs if config.group_size == -1 else config.group_size
        scales = jnp.ones(inputs)
        if statistics is not None:
            points, bits = config.num_grid_points, config.weight_bits
            scales = _best_scales(
                matrix, statistics.hessian(), statistics.magnitude(), size, points, bits
            )
        q, scale, zero = _round_in_groups(matrix * scales, size, config.weight_bits)
        kept = _kept(name, q, scale, zero, jnp.arange(inputs) // size, config.weight_bits)
        return {**kept, "awq_scales": scales}


class Statistics:
    """What GPTQ and AWQ need to know of a weight's inputs, gathered call by call.

    Args:
        product: the `Product` that the inputs take part in.
    """

    def __init__(self, product):
        self.product = product
        self.count, self.squares, self.absolute = 0, 0.0, 0.0

    def add(self, inputs):
        """Take note of the inputs of one call."""
        rows = wide(self.product.input_rows(inputs))
        self.count += len(rows)
        self.squares = self.squares + rows.T @ rows
        self.absolute = self.absolute + jnp.abs(rows).sum(axis=0)

    def hessian(self):
        """`[inputs, inputs]`: that of half the mean squared error of the outputs."""
        return self.squares / self.count

    def magnitude(self):
        """`[inputs]`: the mean absolute values."""
        return self.absolute / self.count


def _kept(name, q, scale, zero, groups, bits):
    q, zero = q.astype("uint8"), zero.astype("uint8")
    return {
        f"quantized_{name}": pack_int4(q, axis=0, dtype="uint8")[0] if bits == 4 else q,
        f"{name}_scale": scale,
        f"{name}_zero": zero,
        "g_idx": groups.astype("float32"),
    }


def _range(weights, bits, symmetric=False, per_channel=True):
    """The scale and the zero point `[outputs]` of groups `[outputs, inputs]`."""
    levels = 2**bits - 1
    low, high = jnp.minimum(weights.min(axis=1), 0), jnp.maximum(weights.max(axis=1), 0)
    if not per_channel:
        low, high = jnp.full_like(low, low.min()), jnp.full_like(high, high.max())
    if symmetric:
        high = jnp.maximum(high, -low)
        low = -high
    flat = low == high
    scale = jnp.where(flat, 1.0, (high - low) / levels)
    zero = jnp.full_like(scale, 2 ** (bits - 1)) if symmetric else jnp.round(-low / scale)
    return scale, zero


def _nearest(weights, scale, zero, bits):
    return jnp.clip(jnp.round(weights / scale) + zero, 0, 2**bits - 1)


@functools.partial(jax.jit, static_argnums=(1, 2))
def _round_in_groups(matrix, size, bits):
    """Integers, scales and zero points of `[outputs, inputs]`, each rounded to the nearest."""
    outputs, inputs = matrix.shape
    # Zeros are in every range, so they change none.
    groups = jnp.pad(matrix, ((0, 0), (0, -inputs % size))).reshape(outputs, -1, size)
    scale, zero = jax.vmap(lambda g: _range(g, bits), in_axes=1, out_axes=1)(groups)
    q = _nearest(groups, scale[:, :, None], zero[:, :, None], bits)
    return q.reshape(outputs, -1)[:, :inputs], scale, zero


@jax.jit
def _inverse_factor(hessian, damping):
    """The upper Cholesky factor of the inverse of the damped Hessian."""
    diagonal = jnp.diag(hessian)
    mean = jnp.where(diagonal.any(), diagonal.mean(), 1.0)
    # Inputs that are always 0 say nothing about their weights, which then count as the others do.
    damped = jnp.where(diagonal == 0, mean, damping * mean)
    lower = jnp.linalg.cholesky(hessian + jnp.diag(damped))
    inverse = jax.scipy.linalg.cho_solve((lower, True), jnp.eye(len(hessian)))
    return jnp.linalg.cholesky(inverse).T


@functools.partial(jax.jit, static_argnums=(2, 3, 4, 5))
def _round_in_turn(matrix, factor, size, bits, symmetric, per_channel):
    """Integers, scales and zero points of `[outputs, inputs]`, by the loop of GPTQ."""
    outputs, inputs = matrix.shape
    columns = jnp.arange(inputs)
    number = -(-inputs // size)

    def one_column(i, state):
        matrix, q, scales, zeros = state
        group = i // size
        members = jnp.where(columns // size == group, matrix, 0)
        scale, zero = jax.lax.cond(
            i % size == 0,
            lambda: _range(members, bits, symmetric, per_channel),
            lambda: (scales[:, group], zeros[:, group]),
        )
        column = _nearest(matrix[:, i], scale, zero, bits)
        error = (matrix[:, i] - (column - zero) * scale) / factor[i, i]
        row = jnp.where(columns > i, factor[i], 0)
        return (
            matrix - error[:, None] * row,
            q.at[:, i].set(column),
            scales.at[:, group].set(scale),
            zeros.at[:, group].set(zero),
        )

    empty = jnp.zeros((outputs, number), matrix.dtype)
    state = matrix, jnp.zeros_like(matrix), empty, empty
    return jax.lax.fori_loop(0, inputs, one_column, state)[1:]


@functools.partial(jax.jit, static_argnums=(3, 4, 5))
def _best_scales(matrix, hessian, magnitude, size, points, bits):
    """The power of the inputs' magnitudes that leaves the least error in the outputs."""
    magnitude = jnp.maximum(magnitude, 1e-4 * jnp.maximum(magnitude.max(), 1e-30))

    def scaled(power):
        scales = magnitude**power
        return scales / jnp.sqrt(scales.max() * scales.min())

    def error(power):
        scales = scaled(power)
        q, scale, zero = _round_in_groups(matrix * scales, size, bits)
        group = jnp.arange(matrix.shape[1]) // size
        difference = (q - zero[:, group]) * scale[:, group] / scales - matrix
        return jnp.sum((difference @ hessian) * difference)

    powers = jnp.arange(points) / points
    return scaled(powers[jnp.argmin(jax.lax.map(error, powers))])
