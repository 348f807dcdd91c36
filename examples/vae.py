"""A variational autoencoder: handwritten digits from two numbers each."""

import numpy as np
from sklearn.datasets import load_digits

import hornbeam as keras
from hornbeam import layers, ops


class VAE(keras.Model):
    def __init__(self, pixels, latent):
        super().__init__()
        relu = {"activation": "relu"}
        self.encoder = keras.Sequential([layers.Dense(128, **relu), layers.Dense(2 * latent)])
        self.decoder = keras.Sequential([layers.Dense(128, **relu), layers.Dense(pixels)])
        self.seed_generator = keras.random.SeedGenerator(0)
        self.trackers = [keras.metrics.Mean(name=n) for n in ("reconstruction", "divergence")]

    def call(self, images):
        mean, log_variance = ops.split(self.encoder(images), 2, axis=-1)
        noise = keras.random.normal(mean.shape, seed=self.seed_generator)
        logits = self.decoder(mean + ops.exp(log_variance / 2) * noise)
        crossentropy = ops.binary_crossentropy(images, logits, from_logits=True)
        divergence = (mean**2 + ops.exp(log_variance) - log_variance - 1) / 2
        return ops.mean(ops.sum(crossentropy, -1)), ops.mean(ops.sum(divergence, -1))

    def train_step(self, data):
        (images,) = data

        def loss_fn():
            parts = self(images)
            return sum(parts), parts

        variables = self.trainable_variables
        (_, parts), gradients = keras.value_and_grad(loss_fn, variables, has_aux=True)()
        self.optimizer.apply(gradients, variables)
        for tracker, part in zip(self.trackers, parts, strict=True):
            tracker.update_state(part, sample_weight=len(images))
        return {tracker.name: tracker.result() for tracker in self.trackers}


def main():
    keras.utils.set_random_seed(0)
    images = load_digits().data / 16
    vae = VAE(pixels=64, latent=2)
    vae.compile(keras.optimizers.Adam(2e-3))
    history = vae.fit(images, epochs=40, verbose=0).history
    grid = np.stack(np.meshgrid([-1.5, 0, 1.5], [-1.5, 0, 1.5]), -1).reshape(-1, 2)
    drawn = np.asarray(ops.sigmoid(vae.decoder(grid))).reshape(3, 3, 8, 8)
    for row in drawn.transpose(0, 2, 1, 3).reshape(24, 24):
        print("".join(" .:+#"[int(pixel * 4.99)] * 2 for pixel in row))
    return history, images, drawn


if __name__ == "__main__":
    main()
