"""Random state: a seed and a counter, kept in a `Variable` so that it travels with a model."""

import functools
import math
import random as python_random

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer, eval_context

from .messages import expected, unknown_keywords
from .naming import auto_name
from .objects import Configurable
from .scope import name_scope
from .variable import Variable

_global = None


def make_default_seed():
    """A seed from Python's own generator, which `set_random_seed` makes repeatable."""
    return python_random.randint(1, int(1e9))


class SeedGenerator(Configurable):
    """A stream of seeds: `next()` gives a new one each time.

    The state is an array `[seed, count]`, a non-trainable variable. Layers that keep a generator
    in an attribute draw the same numbers however training steps are fused, and a saved model
    goes on where it stopped.

    Args:
        seed: int; by default drawn from Python's `random`.
        name: name of the generator.

    Example:

    >>> seeds = keras.random.SeedGenerator(7)
    >>> np.asarray(seeds.next()), np.asarray(seeds.next())
    (array([7, 0], dtype=uint32), array([7, 1], dtype=uint32))
    """

    def __init__(self, seed=None, name=None, **kwargs):
        if kwargs:
            raise unknown_keywords("SeedGenerator", kwargs, ["seed", "name"])
        self.name = name or auto_name(type(self).__name__)
        if seed is None:
            seed = make_default_seed()
        if not isinstance(seed, (int, np.integer)):
            raise ValueError(expected("SeedGenerator's seed", "an int", seed))
        self.seed = self._initial_seed = int(seed)
        with name_scope(self.name):
            self.state = Variable(
                np.array([self.seed & 0xFFFFFFFF, 0], dtype="uint32"),
                dtype="uint32",
                trainable=False,
                aggregation="none",
                name="seed_generator_state",
            )

    def next(self, ordered=True):
        """A new seed, of shape `(2,)`: the seed and how many were drawn before.

        With `ordered=False` the state jumps instead of counting (by Keras's formula, so that both
        draw the same numbers).
        """
        state = self.state.value
        if ordered:
            self.state.assign(state + np.array([0, 1], dtype="uint32"))
        else:
            self.state.assign((state + np.uint32(1)) * np.uint32(5387) % np.uint32(933199))
        return state


def global_generator():
    """The generator that random functions use when they are given no seed."""
    global _global
    if _global is None:
        with eval_context():
            _global = SeedGenerator(name="global_seed_generator")
    return _global


def reset_global_generator():
    """Forget the global generator; the next use makes a new one."""
    global _global
    _global = None


def draw_seed(seed):
    """The raw random key of shape `(2,)` that a `seed` argument means.

    An int is a fixed key; a `SeedGenerator` gives its next one; `None` asks the global generator.
    """
    if isinstance(seed, SeedGenerator):
        return seed.next()
    if seed is None:
        return global_generator().next(ordered=False)
    if isinstance(seed, (int, np.integer)):
        return np.array([int(seed) & 0xFFFFFFFF, 0], dtype="uint32")
    if hasattr(seed, "shape") and tuple(seed.shape) == (2,):
        return seed
    raise ValueError(expected("seed", "an int, a SeedGenerator or None", seed))


def draw(sampler, key, shape, *args):
    """`sampler(key, shape, *args)`, for a sampler of JAX whose numbers are independent: the same
    numbers, from a program that compiles fast and serves many shapes.

    Number i depends on the key and on i alone, so they are drawn in a row, a few more than needed:
    one program for all shapes up to some size. For the four axes of a convolution's kernel XLA
    takes ten times as long to compile as for one.
    """
    size = math.prod(shape) if all(isinstance(n, int) for n in shape) else 0
    if not size or not jax.config.jax_threefry_partitionable:  # pyright: ignore
        return sampler(key, shape, *args)
    if isinstance(key, Tracer):
        return sampler(key, (size,), *args).reshape(shape)
    length = size if size > _MANY else 1 << (size - 1).bit_length()
    return _cut(sampler(key, (length,), *args), tuple(shape))


_MANY = 1 << 18  # numbers of which drawing some more would take longer than a compilation


@functools.partial(jax.jit, static_argnums=1)
def _cut(x, shape):
    return x[: math.prod(shape)].reshape(shape)


def bernoulli(key, chance, shape):
    """Booleans that are true with the given chance: those of `jax.random.bernoulli`.

    On the CPU JAX runs its generator in a loop of twenty small steps, so that two million of them
    take 29 ms. Written out they take 2, and compile in a tenth of the time.
    """
    plain = isinstance(chance, (int, float)) and all(isinstance(n, int) for n in shape)
    if not plain or math.prod(shape) >= 2**32 or not _is_threefry():
        return jax.random.bernoulli(key, chance, shape)
    # JAX makes a float of the upper 23 bits and compares it with the chance.
    limit = math.ceil(float(np.float32(chance)) * 2**23)
    return _upper_bits(key, tuple(shape)) < jnp.uint32(limit)


@functools.partial(jax.jit, static_argnums=1, inline=True)
def _upper_bits(key, shape):
    count = jax.lax.iota("uint32", math.prod(shape)).reshape(shape)
    left, right = _threefry(key, jnp.uint32(0), count)
    return (left ^ right) >> 9


def _is_threefry():
    config = jax.config
    return (
        jax.default_backend() == "cpu"
        and config.jax_default_prng_impl == "threefry2x32"  # pyright: ignore
        and config.jax_threefry_partitionable  # pyright: ignore
        and not config.jax_enable_x64  # pyright: ignore
    )


def _threefry(key, x, y):
    """The block cipher Threefry-2x32 with 20 rounds: two words that look random.

    Reference: [Salmon et al., 2011](https://doi.org/10.1145/2063384.2063405)
    """
    a, b = jnp.asarray(key, "uint32")
    keys = a, b, a ^ b ^ np.uint32(0x1BD11BDA)
    x, y = x + keys[0], y + keys[1]
    for block in range(5):
        for turn in ((13, 15, 26, 6), (17, 29, 16, 24))[block % 2]:
            x = x + y
            y = x ^ (y << turn | y >> 32 - turn)
        x = x + keys[(block + 1) % 3]
        y = y + keys[(block + 2) % 3] + np.uint32(block + 1)
    return x, y


def set_random_seed(seed):
    """Seed Python's, NumPy's and hornbeam's random numbers, for repeatable runs.

    Example:

    >>> keras.utils.set_random_seed(0)
    >>> a = keras.random.normal((2,))
    >>> keras.utils.set_random_seed(0)
    >>> bool((a == keras.random.normal((2,))).all())
    True
    """
    if not isinstance(seed, int):
        raise ValueError(expected("seed", "an int", seed))
    python_random.seed(seed)
    np.random.seed(seed & 0xFFFFFFFF)
    reset_global_generator()
