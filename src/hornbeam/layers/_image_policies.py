"""Layers that choose among other layers, at random."""

import jax
import jax.numpy as jnp
from jax import lax

from ..core.loading import count_calls
from ._arguments import positive_int
from ._image import RandomImageLayer, checked_range, factor_range, per_image
from ._image_colours import (
    AutoContrast,
    Equalization,
    RandomBrightness,
    RandomColorDegeneration,
    RandomContrast,
    RandomPosterization,
    RandomSharpness,
    Solarization,
)
from ._image_geometry import RandomRotation, RandomShear, RandomTranslation
from ._image_mixing import positive


class _Policy(RandomImageLayer):
    """What is shared: layers of one strength, and how those that were chosen are applied.

    What a step does is drawn for the batch, so that one layer runs instead of all of them; how
    strongly, for every image.
    """

    def __init__(self, value_range, factor, interpolation, gentle, **kwargs):
        super().__init__(**kwargs)
        self.value_range = checked_range(self, value_range)
        self.factor = f = factor_range(f"{type(self).__name__}'s factor", factor)
        self.interpolation = interpolation
        seed = {"seed": self.generator}
        moving = {"interpolation": interpolation, **seed}
        coloured = {"value_range": value_range, **seed}
        layers = {
            "random_shear": RandomShear(f, f, **moving),
            "random_translation": RandomTranslation(f, f, **moving),
            "random_rotation": RandomRotation(f, **moving),
            "solarization": Solarization(f, f, **coloured),
            "random_posterization": RandomPosterization(max(1, int(8 * f[1])), **coloured),
            "auto_contrast": AutoContrast(value_range),
            "equalization": Equalization(value_range),
        }
        if not gentle:
            layers |= {
                "random_brightness": RandomBrightness(f, **coloured),
                "random_color_degeneration": RandomColorDegeneration(f, **coloured),
                "random_contrast": RandomContrast(f, **coloured),
                "random_sharpness": RandomSharpness(f, **coloured),
            }
        self._choices = layers

    def _draw_steps(self, key, steps, count, size):
        """For `steps` steps, with a leading axis for them: which layer, and what all would do."""
        which, what = jax.random.split(key)

        def draw(key):
            keys = jax.random.split(key, len(self._choices))
            return {n: x._draw(k, count, size) for k, (n, x) in zip(keys, self._choices.items())}

        choice = jax.random.randint(which, (steps,), 0, len(self._choices))
        return choice, jax.vmap(draw)(jax.random.split(what, steps))

    def _apply_steps(self, hook, x, choice, drawn):
        """`x` after the hook of the layers that were chosen, one after the other; -1 is none."""

        def through(name, layer):
            return lambda x, drawn: getattr(layer, hook)(x, drawn[name])

        branches = [lambda x, _: x, *(through(*item) for item in self._choices.items())]

        def step(x, chosen):
            choice, drawn = chosen
            return lax.switch(choice + 1, branches, x, drawn), None

        return lax.scan(step, x, (choice, drawn))[0]


class RandAugment(_Policy):
    """While training, applies a few layers that are drawn for the batch, each of some strength.

    They are drawn from shear, translation, rotation, brightness, colour, contrast, sharpness,
    solarization, posterization, auto-contrast and equalization.

    Args:
        value_range: lowest and highest value of a pixel.
        num_ops: how many layers.
        factor: their strength, drawn for every image from `(lower, upper)` in `[0, 1]`; a number
            `f` means `(0, f)`.
        interpolation: `"nearest"` or `"bilinear"`.
        seed: int or `SeedGenerator`, for repeatable numbers.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.

    Reference: [Cubuk et al., 2019](https://arxiv.org/abs/1909.13719)

    Example:

    >>> x = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3)).astype("uint8")
    >>> keras.layers.RandAugment(seed=1)(x).shape
    (2, 8, 8, 3)
    """

    def __init__(
        self,
        value_range=(0, 255),
        num_ops=2,
        factor=0.5,
        interpolation="bilinear",
        seed=None,
        data_format=None,
        **kwargs,
    ):
        super().__init__(
            value_range, factor, interpolation, False, seed=seed, data_format=data_format, **kwargs
        )
        self.num_ops = positive_int("RandAugment's num_ops", num_ops)

    def _draw(self, key, count, size):
        choice, drawn = self._draw_steps(key, self.num_ops, count, size)
        return {"layer_idxes": choice, "transforms": drawn}

    def _pixels(self, images, transformation):
        choice, drawn = transformation["layer_idxes"], transformation["transforms"]
        return self._apply_steps("_pixels", images, choice, drawn)

    def _mask(self, masks, transformation):
        choice, drawn = transformation["layer_idxes"], transformation["transforms"]
        return self._apply_steps("_mask", masks, choice, drawn)

    def _plane(self, transformation, size):
        choice, drawn = transformation["layer_idxes"], transformation["transforms"]
        total = jnp.eye(3)[None]
        count_calls(self.num_ops)
        for step in range(self.num_ops):
            for index, (name, layer) in enumerate(self._choices.items()):
                plane = layer._plane(jax.tree.map(lambda x: x[step], drawn[name]), size)  # noqa: B023
                if plane is not None:
                    moved = jnp.matmul(plane[0], total, precision=lax.Precision.HIGHEST)
                    total = jnp.where(choice[step] == index, moved, total)
        return total, size


class AugMix(_Policy):
    """While training, mixes every image with what several chains of other layers make of it.

    `(1 - m) x + m (w1 chain1(x) + w2 chain2(x) + …)`. The layers of a chain are drawn for the batch
    from shear, translation, rotation, solarization, posterization, auto-contrast, equalization,
    and with `all_ops` brightness, colour, contrast and sharpness. Boxes and masks stay as they are:
    a part of the image stays in its place.

    Args:
        value_range: lowest and highest value of a pixel.
        num_chains: how many chains.
        chain_depth: how many layers a chain has at most; it has 1 to so many.
        factor: their strength, drawn for every image from `(lower, upper)` in `[0, 1]`; a number
            `f` means `(0, f)`.
        alpha: for every image, `m` comes from `Beta(alpha, alpha)` and the weights from a Dirichlet
            distribution with this concentration.
        all_ops: whether layers are drawn whose effect is among the corruptions that models are
            commonly tested with.
        interpolation: `"nearest"` or `"bilinear"`.
        seed: int or `SeedGenerator`, for repeatable numbers.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for the default.

    Reference: [Hendrycks et al., 2019](https://arxiv.org/abs/1912.02781)

    Example:

    >>> x = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3)).astype("uint8")
    >>> keras.layers.AugMix(seed=1)(x).shape
    (2, 8, 8, 3)
    """

    def __init__(
        self,
        value_range=(0, 255),
        num_chains=3,
        chain_depth=3,
        factor=0.3,
        alpha=1.0,
        all_ops=True,
        interpolation="bilinear",
        seed=None,
        data_format=None,
        **kwargs,
    ):
        super().__init__(
            value_range,
            factor,
            interpolation,
            not all_ops,
            seed=seed,
            data_format=data_format,
            **kwargs,
        )
        self.num_chains = positive_int("AugMix's num_chains", num_chains)
        self.chain_depth = positive_int("AugMix's chain_depth", chain_depth)
        count_calls(self.num_chains * self.chain_depth)
        self.alpha = positive("AugMix's alpha", alpha)
        self.all_ops = all_ops

    def _draw(self, key, count, size):
        keys = jax.random.split(key, 3)
        chains, depth = self.num_chains, self.chain_depth
        choice, drawn = self._draw_steps(keys[0], chains * depth, count, size)
        length = jax.random.randint(keys[1], (chains, 1), 1, depth + 1)
        choice = jnp.where(jnp.arange(depth) < length, choice.reshape(chains, depth), -1)
        by_chain = jax.tree.map(lambda x: x.reshape(chains, depth, *x.shape[1:]), drawn)
        # Beta and Dirichlet are shares of gamma variables.
        gammas = jax.random.loggamma(keys[2], self.alpha, (count, chains + 2))
        return {
            "chain_mixing_weights": jax.nn.softmax(gammas[:, :chains]),
            "weight_sample": jax.nn.sigmoid(gammas[:, -2] - gammas[:, -1]),
            "layer_idxes": choice,
            "chain_transforms": by_chain,
        }

    def _pixels(self, images, transformation):
        def add(total, chain):
            weight, choice, drawn = chain
            return total + per_image(weight) * self._apply_steps(
                "_pixels", images, choice, drawn
            ), None

        names = "chain_mixing_weights", "layer_idxes", "chain_transforms"
        weights, choices, drawn = (transformation[name] for name in names)
        mixture = lax.scan(add, jnp.zeros_like(images), (weights.T, choices, drawn))[0]
        share = per_image(transformation["weight_sample"])
        return images + share * (mixture - images)
