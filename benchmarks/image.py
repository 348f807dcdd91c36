"""Times `keras.ops.image` here against the real Keras on JAX, on this machine.

    python benchmarks/image.py

Both are timed in turns in one process on images of 8x224x224x3: as a compiled function
("jit"), op by op ("eager"), and the compiled gradient of the images ("gradient").
"""

import functools
import os
import time

os.environ["KERAS_BACKEND"] = "jax"  # read by Keras while it is imported

import jax
import jax.numpy as jnp
import keras as real
import numpy as np

from hornbeam import ops

IMAGES = (8, 224, 224, 3)
LAST = "channels_last"  # which Keras's gaussian_blur must be told

rng = np.random.default_rng(0)
ANGLES = rng.uniform(-0.3, 0.3, IMAGES[0])
TURNS = np.zeros((IMAGES[0], 8), "float32")
TURNS[:, [0, 4]] = np.cos(ANGLES)[:, None]
TURNS[:, 1], TURNS[:, 3] = -np.sin(ANGLES), np.sin(ANGLES)
TURNS[:, [2, 5]] = rng.uniform(-30, 30, (IMAGES[0], 2))
# An index into the batch, the rows, the columns and the channels of every element.
POINTS = np.indices(IMAGES).astype("float32")
POINTS[1:3] += rng.normal(size=(2, *IMAGES))

# function of the module of ops, images, and more (which would be constants if it weren't passed)
CASES = {
    "affine_transform": (lambda o, x, t: o.affine_transform(x, t), TURNS),
    "affine_transform, reflect": (
        lambda o, x, t: o.affine_transform(x, t, fill_mode="reflect"),
        TURNS,
    ),
    "map_coordinates": (lambda o, x, p: o.map_coordinates(x, p, 1), POINTS),
    "map_coordinates, nearest": (lambda o, x, p: o.map_coordinates(x, p, 0, "nearest"), POINTS),
    "resize to 112": (lambda o, x: o.resize(x, (112, 112)),),
    "resize to 256": (lambda o, x: o.resize(x, (256, 256)),),
    "resize to 112, antialias": (lambda o, x: o.resize(x, (112, 112), antialias=True),),
    "resize to 256, bicubic": (lambda o, x: o.resize(x, (256, 256), "bicubic"),),
    "resize to 112, nearest": (lambda o, x: o.resize(x, (112, 112), "nearest"),),
    "gaussian_blur 3x3": (lambda o, x: o.gaussian_blur(x, data_format=LAST),),
    "gaussian_blur 7x7": (lambda o, x: o.gaussian_blur(x, (7, 7), (1.5, 1.5), LAST),),
    "extract_patches 16": (lambda o, x: o.extract_patches(x, 16),),
    "extract_patches 3, stride 1": (lambda o, x: o.extract_patches(x, 3, 1),),
}


def milliseconds(functions, args, repeats=5):
    """Best time of each function on `args`, measured in turns."""
    best = dict.fromkeys(functions, float("inf"))
    for repeat in range(repeats + 1):  # the first compiles
        for name, function in functions.items():
            start = time.perf_counter()
            jax.block_until_ready(function(*args))
            if repeat:
                best[name] = min(best[name], 1e3 * (time.perf_counter() - start))
    return best


def main():
    x = jnp.asarray(rng.uniform(size=IMAGES), jnp.float32)
    for title, (case, *more) in CASES.items():
        args = x, *map(jnp.asarray, more)
        eager = {
            "keras": functools.partial(case, real.ops.image),
            "ours": functools.partial(case, ops.image),
        }
        squares = {n: lambda *a, f=f: jnp.sum(f(*a) ** 2) for n, f in eager.items()}
        places = {
            "jit": {name: jax.jit(f) for name, f in eager.items()},
            "eager": eager,
            "gradient": {name: jax.jit(jax.grad(f)) for name, f in squares.items()},
        }
        row = f"{title:28}"
        for place, functions in places.items():
            t = milliseconds(functions, args)
            ratio = t["keras"] / t["ours"]
            row += f"  {place} {t['keras']:7.1f} -> {t['ours']:6.1f} ms ({ratio:5.1f}x)"
        print(row, flush=True)


if __name__ == "__main__":
    main()
