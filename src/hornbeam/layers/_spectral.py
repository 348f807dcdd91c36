"""Spectral normalization: kernels that stretch no vector."""

import jax
import jax.numpy as jnp

from .. import initializers
from ..core.loading import count_calls
from ..core.messages import expected
from ..core.variable import Variable
from ._arguments import positive_int
from ._base import Layer

_AT_ONCE = 8  # rounds that are compiled one after the other; more of them are a loop


class SpectralNormalization(Layer):
    """Divides the kernel of a layer by its largest singular value, in every training step.

    The singular value is found by power iteration, which goes on from where the last step left it.

    Args:
        layer: a layer with a kernel or embeddings.
        power_iterations: rounds of the iteration in every step.

    Reference: [Miyato et al., 2018](https://arxiv.org/abs/1802.05957)

    Example:

    >>> dense = keras.layers.Dense(3, use_bias=False)
    >>> layer = keras.layers.SpectralNormalization(dense, power_iterations=30)
    >>> layer(np.eye(3), training=True).shape
    (3, 3)
    >>> float(jnp.linalg.norm(dense.kernel.value, 2))
    1.0
    """

    kernel: Variable
    vector_u: Variable

    def __init__(self, layer, power_iterations=1, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(layer, Layer):
            raise ValueError(expected("SpectralNormalization's layer", "a layer", layer))
        self.layer = layer
        self.power_iterations = positive_int(
            "SpectralNormalization's power_iterations", power_iterations
        )
        count_calls(self.power_iterations)

    def build(self, input_shape):
        if not self.layer.built:
            self.layer.build(input_shape)
        if self.layer.quantization_mode is not None:
            raise ValueError(
                f"Layer '{self.path}' (SpectralNormalization): the kernel of "
                f"{type(self.layer).__name__} is quantized, so it can't be normalized."
            )
        found = [getattr(self.layer, name, None) for name in ("kernel", "embeddings")]
        kernel = next((v for v in found if isinstance(v, Variable)), None)
        if kernel is None:
            raise ValueError(
                f"Layer '{self.path}' (SpectralNormalization): "
                f"{type(self.layer).__name__} has neither a kernel nor embeddings to normalize."
            )
        self.kernel = kernel
        self.vector_u = self.add_weight(
            (1, kernel.shape[-1]),
            initializers.TruncatedNormal(stddev=0.02),
            trainable=False,
            name="vector_u",
        )

    def call(self, inputs, training=False):
        if training:
            vector, kernel = self.normalized_weights()
            self.vector_u.assign(vector)
            self.kernel.assign(kernel)
        return self.layer(inputs)

    def compute_mask(self, inputs, mask=None):
        return None  # the output has the one that the layer gave it

    def normalized_weights(self):
        """The next `vector_u`, and the kernel divided by its largest singular value."""
        kernel = self.kernel.value
        matrix = kernel.reshape(-1, kernel.shape[-1])
        fixed = jax.lax.stop_gradient(matrix)  # both vectors are, for the gradient

        def iterate(_, vectors):
            v = _unit(vectors[0] @ fixed.T)
            return _unit(v @ fixed), v

        start = self.vector_u.value.astype(matrix.dtype), jnp.zeros_like(matrix[:, 0])[None]
        at_once = min(self.power_iterations, _AT_ONCE)
        u, v = jax.lax.fori_loop(0, self.power_iterations, iterate, start, unroll=at_once)
        sigma = (v @ matrix @ u.T).reshape(())
        # A kernel of zeros stays one.
        return u, kernel / jnp.where(sigma == 0, 1, sigma)


def _unit(vector):
    return vector * jax.lax.rsqrt(jnp.maximum(jnp.sum(jnp.square(vector)), 1e-12))
