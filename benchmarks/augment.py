"""Times image layers here against the real Keras on JAX, on this machine.

    python benchmarks/augment.py

Both are timed in turns in one process on a batch of 16x96x96x3: called directly ("eager"), and
within a compiled function ("jit"). What Keras can't compile is timed directly only.
"""

import os
import time

os.environ["KERAS_BACKEND"] = "jax"  # read by Keras while it is imported

import jax
import jax.numpy as jnp
import keras as real
import numpy as np

from hornbeam import layers

SHAPE = (16, 96, 96, 3)

CASES = {
    "Resizing": {"height": 64, "width": 64},
    "RandomCrop": {"height": 64, "width": 64},
    "RandomFlip": {},
    "RandomRotation": {"factor": 0.1},
    "RandomZoom": {"height_factor": 0.2},
    "RandomTranslation": {"height_factor": 0.1, "width_factor": 0.1},
    "RandomShear": {"x_factor": 0.2, "y_factor": 0.2},
    "RandomPerspective": {"factor": (1.0, 1.0), "scale": 0.3},
    "RandomElasticTransform": {"factor": (1.0, 1.0)},
    "RandomBrightness": {"factor": 0.2},
    "RandomContrast": {"factor": 0.2},
    "RandomSaturation": {"factor": (0.3, 0.7)},
    "RandomHue": {"factor": 0.2},
    "RandomColorJitter": {"brightness_factor": 0.2, "contrast_factor": 0.2, "hue_factor": 0.2},
    "RandomSharpness": {"factor": 0.5},
    "RandomGaussianBlur": {"factor": (1.0, 1.0), "kernel_size": 5},
    "RandomPosterization": {"factor": 4},
    "Solarization": {"threshold_factor": 0.5},
    "AutoContrast": {},
    "Equalization": {},
    "ContrastLimitedAdaptiveHistogramEqualization": {},
    "RandomErasing": {"factor": (1.0, 1.0)},
    "MixUp": {},
    "CutMix": {"factor": (1.0, 1.0)},
    "RandAugment": {},
    "AugMix": {},
}


def milliseconds(functions, repeats=5):
    """Best time of each function, measured in turns; `None` for one that fails."""
    best = dict.fromkeys(functions, float("inf"))
    for repeat in range(repeats + 1):  # the first compiles
        for name, function in functions.items():
            if best[name] is None:
                continue
            start = time.perf_counter()
            try:
                jax.block_until_ready(function())
            except Exception:  # Keras fails in many ways under `jit`
                best[name] = None
                continue
            if repeat:
                best[name] = min(best[name], 1e3 * (time.perf_counter() - start))
    return best


def compiled(layer, x):
    """A call of the layer within a compiled function, whose random state is passed around."""
    state = [v.value for v in layer.non_trainable_variables]

    @jax.jit
    def step(state, x):
        return layer.stateless_call([], state, x, training=True)

    return lambda: step(state, x)[0]


def main():
    x = jnp.asarray(np.random.default_rng(0).uniform(0, 255, SHAPE), jnp.float32)
    for name, kwargs in CASES.items():
        pair = {"keras": getattr(real.layers, name), "ours": getattr(layers, name)}
        pair = {who: make(**kwargs) for who, make in pair.items()}
        for layer in pair.values():
            layer(x, training=True)
        places = {
            "eager": {who: lambda f=layer: f(x, training=True) for who, layer in pair.items()},
            "jit": {who: compiled(layer, x) for who, layer in pair.items()},
        }
        row = f"{name[:24]:24}"
        for place, functions in places.items():
            t = milliseconds(functions)
            if t["keras"] is None:
                row += f"  {place}    fails -> {t['ours']:7.2f} ms          "
            else:
                ratio = t["keras"] / t["ours"]
                row += f"  {place} {t['keras']:8.2f} -> {t['ours']:7.2f} ms ({ratio:5.1f}x)"
        print(row, flush=True)


if __name__ == "__main__":
    main()
