"""Processes of tests/saving/test_durable.py: `durable_child.py kills|mutations …`."""

import io
import json
import os
import pathlib
import random
import signal
import sys
import time
import zipfile

import numpy as np

import hornbeam as keras
from hornbeam.saving._weights import write_weights


def model(value, width=200):
    layers = [keras.Input((3,)), keras.layers.Dense(width), keras.layers.Dense(width)]
    made = keras.Sequential(layers)
    for variable in made.weights:
        variable.assign(np.full(variable.shape, value))
    return made


def save_forever(path, ready):
    """Save models over each other, each with one number in all its weights."""
    first, second = model(1), model(2)
    save = keras.saving.save_weights if path.endswith(".h5") else keras.saving.save_model
    save(first, path)
    os.write(ready, b"x")
    while True:
        save(second, path)
        save(first, path)


def kills(paths, count):
    """Fork a process that saves, and kill it, `count` times; says after each which file it was."""
    moments = random.Random(0)
    for i in range(count):
        path = paths[i % len(paths)]
        done, ready = os.pipe()
        process = os.fork()  # before JAX has started anything
        if not process:
            try:
                save_forever(path, ready)
            finally:
                os._exit(1)
        os.close(ready)
        assert os.read(done, 1), "it can't save"
        time.sleep(moments.uniform(0, 0.03))
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(done)
        print(path, flush=True)
        sys.stdin.readline()  # until the file has been looked at


def mutated(data, draw):
    """The bytes with something wrong."""
    data = bytearray(data)
    for _ in range(draw.choice([1, 1, 1, 3, 10])):
        place = draw.randrange(len(data))
        length = draw.choice([1, 2, 8, 64])
        kind = draw.randrange(6)
        if kind == 0:
            data[place] ^= 1 << draw.randrange(8)
        elif kind == 1:
            data[place : place + length] = draw.randbytes(length)
        elif kind == 2:
            del data[place : place + length]
        elif kind == 3:
            data[place:place] = draw.randbytes(length)
        elif kind == 4:
            other = draw.randrange(len(data))
            data[place : place + length] = data[other : other + length]
        else:
            data[place : place + length] = bytes([draw.choice([0, 255])]) * length
        if not data:
            break
    return bytes(data)


def mutations(folder, count, seed):
    """Load files with something wrong; prints what isn't as it should be."""
    folder, draw = pathlib.Path(folder), random.Random(seed)
    made = model(1, 4)
    made.compile("adam", "mse")
    made.save(folder / "a.keras")
    made.save_weights(folder / "a.weights.h5")
    with zipfile.ZipFile(folder / "a.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with io.BytesIO() as file:
        write_weights(made, file)
        bare = file.getvalue()  # as Keras writes it, without a checksum
    valid = {
        "keras": (folder / "a.keras").read_bytes(),
        "weights.h5": (folder / "a.weights.h5").read_bytes(),
        "bare": bare,
        "config": members["config.json"],
    }
    target = model(5, 4)
    loaded = 0
    for i in range(count):
        kind = draw.choice([*valid])
        data = mutated(valid[kind], draw)
        path = folder / ("b.keras" if kind in ("keras", "config") else "b.weights.h5")
        if kind == "config":
            with zipfile.ZipFile(path, "w") as archive:
                for name, member in {**members, "config.json": data}.items():
                    archive.writestr(name, member)
        else:
            path.write_bytes(data)
        (folder / "last").write_text(f"{i} {kind}")
        start, problem = time.monotonic(), None
        try:
            if path.suffix == ".keras":
                keras.saving.load_model(path)
            else:
                target.load_weights(path)
                for variable in target.weights:
                    variable.assign(np.full(variable.shape, 5))
            loaded += 1
        except keras.saving.LoadError:
            if any((v.numpy() != 5).any() for v in target.weights):
                problem = "it changed the model"
        except BaseException as error:
            problem = repr(error)[:300]
        if time.monotonic() - start > 20:
            problem = "it took too long"
        if problem:
            print(json.dumps([i, kind, problem]), flush=True)
    print(json.dumps(["loaded", loaded]), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "kills":
        kills(sys.argv[3:], int(sys.argv[2]))
    else:
        import warnings

        warnings.simplefilter("ignore")
        mutations(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
