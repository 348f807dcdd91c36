"""What `training.py` lets run against each other; as a script, one contestant.

    python benchmarks/_contestants.py CASE CONTESTANT STEPS EPOCHS

For every line on standard input it trains one epoch and prints
`{"seconds": …, "cpu_seconds": …, "loss": …}`.
"""

import dataclasses
import functools
import importlib
import itertools
import json
import sys
import time

import numpy as np

CONTESTANTS = {
    "keras": "Keras, as it comes",
    "keras-32": "Keras, steps_per_execution=32",
    "hornbeam": "hornbeam, as it comes",
    "hornbeam-32": "hornbeam, steps_per_execution=32",
    "hornbeam-auto": 'hornbeam, steps_per_execution="auto"',
    "jax": "a jitted JAX step by hand",
}


@dataclasses.dataclass
class Case:
    """A network and its data.

    shape: of one sample. steps: in an epoch, and with `--quick`.
    """

    title: str
    shape: tuple
    classes: int
    batch_size: int
    steps: int
    quick_steps: int
    contestants: tuple
    hidden: tuple = ()

    @property
    def sizes(self):
        """Widths of the dense layers, from the input on."""
        return (*self.shape, *self.hidden, self.classes)

    def data(self, steps):
        """Images of noise, and classes that can be learned from them."""
        rng = np.random.default_rng(0)
        x = rng.normal(size=(steps * self.batch_size, *self.shape)).astype("float32")
        flat = x.reshape(len(x), -1)
        return x, (flat @ rng.normal(size=(flat.shape[1], self.classes))).argmax(-1)


ALL = tuple(CONTESTANTS)
CASES = {
    "mlp": Case(
        "784-512-512-10, batch 128, Adam, accuracy",
        (784,),
        10,
        128,
        steps=200,
        quick_steps=60,
        contestants=("keras", "keras-32", "hornbeam", "hornbeam-32", "jax"),
        hidden=(512, 512),
    ),
    "tiny": Case(
        "8-16-3, batch 16, Adam, accuracy",
        (8,),
        3,
        16,
        steps=2000,
        quick_steps=500,
        contestants=ALL,
        hidden=(16,),
    ),
    "cnn": Case(
        "28x28, two 3x3 convolutions (32, 64) with pooling, batch 128, Adam, accuracy",
        (28, 28, 1),
        10,
        128,
        steps=20,
        quick_steps=8,
        contestants=("keras", "hornbeam"),
    ),
}


# A model in Keras's API ------------------------------------------------------------------------


def make_model(keras, case):
    """The network, with weights that don't depend on the library."""
    layers = keras.layers
    if case.hidden:
        inside = [layers.Dense(n, activation="relu") for n in case.hidden]
    else:
        inside = [
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
        ]
    last = layers.Dense(case.classes, activation="softmax")
    model = keras.Sequential([keras.Input(case.shape), *inside, last])
    model.set_weights(initial_weights([w.shape for w in model.get_weights()]))
    return model


def initial_weights(shapes):
    """He's normal initialization for kernels, zeros for biases."""
    rng = np.random.default_rng(1)
    weights = []
    for shape in shapes:
        scale = np.sqrt(2 / np.prod(shape[:-1])) if len(shape) > 1 else 0.0
        weights.append((rng.normal(size=shape) * scale).astype("float32"))
    return weights


def train_model(keras, case, steps, epochs, steps_per_execution):
    """One long `fit`, whose epochs wait for the word."""

    class Turns(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            wait()
            self.clock = Clock()

        def on_epoch_end(self, epoch, logs=None):
            self.clock.report(logs["loss"])

    model = make_model(keras, case)
    options = {} if steps_per_execution == "" else {"steps_per_execution": steps_per_execution}
    loss = "sparse_categorical_crossentropy"
    model.compile(optimizer="adam", loss=loss, metrics=["accuracy"], **options)
    x, y = case.data(steps)
    keras.utils.set_random_seed(0)
    model.fit(x, y, batch_size=case.batch_size, epochs=epochs, verbose=0, callbacks=[Turns()])


# The same by hand ------------------------------------------------------------------------------


def train_by_hand(case, steps, epochs):
    """The dense network in plain JAX: data on the device, one jitted step, its state donated."""
    import jax
    import jax.numpy as jnp

    def probabilities(weights, x):
        *hidden, (kernel, bias) = zip(weights[::2], weights[1::2])
        for k, b in hidden:
            x = jax.nn.relu(x @ k + b)
        return jax.nn.softmax(x @ kernel + bias)

    def loss_fn(weights, x, y):
        p = probabilities(weights, x)
        picked = jnp.take_along_axis(p, y[:, None], axis=1)[:, 0]
        return -jnp.log(jnp.clip(picked, 1e-7, 1 - 1e-7)).mean(), p

    @functools.partial(jax.jit, donate_argnums=0)
    def step(state, x, y, rows):
        weights, first, second, count, totals = state
        x, y = x[rows], y[rows]
        (loss, p), gradients = jax.value_and_grad(loss_fn, has_aux=True)(weights, x, y)
        count = count + 1
        rate = 1e-3 * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
        first = [m + (g - m) * 0.1 for m, g in zip(first, gradients)]
        second = [v + (g * g - v) * 0.001 for v, g in zip(second, gradients)]
        weights = [w - rate * m / (jnp.sqrt(v) + 1e-7) for w, m, v in zip(weights, first, second)]
        hits = (p.argmax(-1) == y).sum()
        return weights, first, second, count, totals + jnp.stack([loss * len(y), hits])

    sizes = case.sizes
    shapes = [shape for n, m in itertools.pairwise(sizes) for shape in ((n, m), (m,))]
    weights = [jnp.asarray(w) for w in initial_weights(shapes)]
    moments = [[jnp.zeros_like(w) for w in weights] for _ in range(2)]
    x, y = case.data(steps)
    x, y = jnp.asarray(x), jnp.asarray(y, "int32")
    state = (weights, *moments, jnp.float32(0), jnp.zeros(2))
    rng = np.random.default_rng(0)
    for _ in range(epochs):
        wait()
        clock = Clock()
        state = (*state[:-1], jnp.zeros(2))
        for rows in rng.permutation(len(x)).astype("int32").reshape(steps, -1):
            state = step(state, x, y, rows)
        loss, _accuracy = np.asarray(state[-1]) / len(x)
        clock.report(loss)


# As a script -----------------------------------------------------------------------------------


def wait():
    if not sys.stdin.readline():
        sys.exit("The race was called off.")


class Clock:
    """Times from its making on."""

    def __init__(self):
        self.start, self.cpu_start = time.perf_counter(), time.process_time()

    def report(self, loss):
        """Print the time since, of the clock on the wall and of all threads together."""
        times = {
            "seconds": time.perf_counter() - self.start,
            "cpu_seconds": time.process_time() - self.cpu_start,
        }
        print(json.dumps({**times, "loss": float(loss)}), flush=True)


def main(case, contestant, steps, epochs):
    case, steps, epochs = CASES[case], int(steps), int(epochs)
    library, _, width = contestant.partition("-")
    if library == "jax":
        train_by_hand(case, steps, epochs)
    else:
        width = int(width) if width.isdigit() else width
        train_model(importlib.import_module(library), case, steps, epochs, width)


if __name__ == "__main__":
    main(*sys.argv[1:])
