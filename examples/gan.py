"""A generative adversarial network that learns a ring: two networks, two optimizers, one step."""

import numpy as np

import hornbeam as keras
from hornbeam import ops


def network(inputs, outputs):
    hidden = [keras.layers.Dense(32, activation="leaky_relu") for _ in range(2)]
    return keras.Sequential([keras.Input((inputs,)), *hidden, keras.layers.Dense(outputs)])


class GAN(keras.Model):
    def __init__(self):
        super().__init__()
        self.generator, self.discriminator = network(4, 2), network(2, 1)
        self.discriminator_optimizer = keras.optimizers.Adam(1e-3, beta_1=0.5)
        self.seed_generator = keras.random.SeedGenerator(0)

    def sample(self, number):
        return self.generator(keras.random.normal((number, 4), seed=self.seed_generator))

    def train_step(self, data):
        (real,) = data

        def discriminator_loss():
            fake = self.discriminator(self.sample(len(real)))
            return ops.mean(ops.softplus(-self.discriminator(real)) + ops.softplus(fake))

        def generator_loss():
            return ops.mean(ops.softplus(-self.discriminator(self.sample(len(real)))))

        variables = self.discriminator.trainable_variables
        d_loss, gradients = keras.value_and_grad(discriminator_loss, variables)()
        self.discriminator_optimizer.apply(gradients, variables)
        variables = self.generator.trainable_variables
        g_loss, gradients = keras.value_and_grad(generator_loss, variables)()
        self.optimizer.apply(gradients, variables)
        return {"d_loss": d_loss, "g_loss": g_loss}


def main():
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    angle, radius = rng.uniform(0, 2 * np.pi, 4096), rng.normal(2, 0.1, 4096)
    real = np.stack([3 + radius * np.cos(angle), radius * np.sin(angle)], 1)
    gan = GAN()
    gan.compile(keras.optimizers.Adam(1e-3, beta_1=0.5))
    gan.fit(real, batch_size=128, epochs=50, verbose=0)
    fake = np.asarray(gan.sample(2000))
    radius = np.hypot(fake[:, 0] - 3, fake[:, 1])
    print(f"Center {fake.mean(0).round(2)} (3, 0); radius {radius.mean():.2f} ± {radius.std():.2f}")
    return fake.mean(0), radius


if __name__ == "__main__":
    main()
