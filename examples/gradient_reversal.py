"""Gradient reversal: features that serve a label and tell nothing about where a sample is from.

In the source, not in the target, the second number tells the label. After Ganin et al., 2015.
"""

import numpy as np

import hornbeam as keras
from hornbeam import layers, ops


class Adversarial(keras.Model):
    def __init__(self, adversary_weight):
        super().__init__()
        hidden = lambda: layers.Dense(16, activation="relu")
        self.features = keras.Sequential([keras.Input((2,)), hidden(), layers.Dense(4)])
        self.label = keras.Sequential([keras.Input((4,)), layers.Dense(1, "sigmoid")])
        self.domain = keras.Sequential([keras.Input((4,)), hidden(), layers.Dense(1)])
        self.adversary_weight = adversary_weight

    def call(self, x):
        return self.label(self.features(x))

    def train_step(self, data):
        x, (y, domain) = data

        def loss_fn():
            features = self.features(x)
            wrong = ops.binary_crossentropy(y, self.label(features)) * (1 - domain)  # source only
            backwards = 2 * ops.stop_gradient(features) - features  # the same; its gradient isn't
            told = ops.binary_crossentropy(domain, self.domain(backwards), from_logits=True)
            return ops.mean(wrong + self.adversary_weight * told)

        variables = self.trainable_variables
        loss, gradients = keras.value_and_grad(loss_fn, variables)()
        self.optimizer.apply(gradients, variables)
        return {"loss": loss}


def main():
    rng, accuracy = np.random.default_rng(0), {}
    y, domain = rng.integers(0, 2, (2, 2000, 1))
    hint = np.where(domain == 0, 2 * (2 * y - 1), -3)
    x = np.concatenate([2 * y - 1, hint], 1) + rng.normal(size=(2000, 2)) * [0.6, 0.3]
    for weight in (0.0, 1.0):
        keras.utils.set_random_seed(0)
        model = Adversarial(weight)
        model.compile(keras.optimizers.Adam(3e-3))
        model.fit(x, (y, domain), epochs=12, verbose=0)
        right = (model.predict(x, verbose=0) > 0.5) == y
        accuracy[weight] = right[domain == 1].mean()
        print(f"Adversary's weight {weight}: {accuracy[weight]:.1%} right in the target.")
    return accuracy


if __name__ == "__main__":
    main()
