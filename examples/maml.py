"""MAML (Finn et al., 2017): weights from which one step of descent fits a new sine."""

import jax
import numpy as np

import hornbeam as keras
from hornbeam import layers, ops


class MAML(keras.Model):
    def __init__(self, inner_steps):
        super().__init__()
        hidden = layers.Dense(40, "relu"), layers.Dense(40, "relu")
        self.net = keras.Sequential([keras.Input((1,)), *hidden, layers.Dense(1)])
        self.inner_steps = inner_steps

    def loss_after(self, steps, x, y, new_x, new_y):
        """The loss on new points, after some steps of descent on the others."""
        if steps == 0:
            return ops.mean((self.net(new_x) - new_y) ** 2)
        variables = self.net.trainable_variables
        _, gradients = keras.value_and_grad(self.loss_after, variables)(0, x, y, x, y)
        new = [v - 0.05 * g for v, g in zip(variables, gradients, strict=True)]
        with keras.StatelessScope(zip(variables, new, strict=True)):
            return self.loss_after(steps - 1, x, y, new_x, new_y)

    def mean_loss_after(self, steps, tasks):
        return ops.mean(jax.vmap(lambda *task: self.loss_after(steps, *task))(*tasks))

    def train_step(self, data):
        variables, (tasks,) = self.net.trainable_variables, data
        loss_and_gradients = keras.value_and_grad(self.mean_loss_after, variables)
        loss, gradients = loss_and_gradients(self.inner_steps, tasks)
        self.optimizer.apply(gradients, variables)
        return {"loss": loss}


def sines(number, rng):
    """Ten points, and ten others, of each of many sines."""
    amplitude, phase = rng.uniform(0.5, 3, (number, 1, 1)), rng.uniform(0, np.pi, (number, 1, 1))
    x, new_x = rng.uniform(-5, 5, (2, number, 10, 1))
    return x, amplitude * np.sin(x + phase), new_x, amplitude * np.sin(new_x + phase)


def main():
    rng, losses = np.random.default_rng(0), {}
    tasks, new = sines(4000, rng), sines(200, rng)
    for steps in (0, 1):
        keras.utils.set_random_seed(0)
        model = MAML(inner_steps=steps)
        model.compile(keras.optimizers.Adam(2e-3))
        model.fit(tasks, batch_size=50, epochs=12, verbose=0)
        losses[steps] = [float(model.mean_loss_after(n, new)) for n in (0, 1)]
        print("Trained for {} steps: error {:.2f}, after one {:.2f}".format(steps, *losses[steps]))
    return losses


if __name__ == "__main__":
    main()
