"""Loads files one after the other, and tells what each of them did: `hostile_child.py folder`.

Runs in a process of its own, with a home, a cache and a working folder of its own, and limits.
`folder/cases.json` lists the cases; a line of JSON is printed for each.
"""

import io
import json
import os
import pathlib
import resource
import signal
import socket
import sys
import tempfile
import time
import warnings

import jax
import numpy as np

import hornbeam as keras
from hornbeam.core import rng
from hornbeam.saving._snapshot import read_snapshot

# What a load has no business with. Only the file itself is opened.
FORBIDDEN = (
    "import",
    "exec",
    "compile",
    "marshal.loads",
    "pickle.find_class",
    "ctypes.",
    "os.",
    "shutil.",
    "socket.",
    "subprocess.",
    "tempfile.",
    "urllib.",
    "webbrowser.",
)
HARMLESS = {"os.listdir", "os.scandir"}
# Assets are written for their layer, and removed: only there, and `state` sees what is left.
FILES = (
    "open",
    "os.mkdir",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "shutil.rmtree",
    "tempfile.mkdtemp",
)
TEMPORARY = os.path.join(tempfile.gettempdir(), "")

X = np.ones((2, 3), "float32")


def model():
    layers = [keras.Input((3,)), keras.layers.Dense(4, name="a"), keras.layers.Dense(2, name="b")]
    made = keras.Sequential(layers)
    made.compile("adam", "mse")
    return made


def resume(folder):
    made, drawn = model(), np.random.get_state()
    try:  # it sets NumPy's random numbers, which a training goes on with
        made.fit(X, np.ones((2, 2)), epochs=1, verbose=0, resume=folder)
    finally:
        np.random.set_state(drawn)


DOORS = {
    "load_model": keras.saving.load_model,
    "load_weights": lambda path: model().load_weights(path),
    "skip_mismatch": lambda path: model().load_weights(path, skip_mismatch=True),
    "model_from_json": keras.models.model_from_json,
    "deserialize": keras.saving.deserialize_keras_object,
    "layers": keras.layers.deserialize,
    "Sequential": lambda config: keras.Sequential.from_config(config["config"]),
    "legacy": lambda c: keras.legacy.saving.deserialize_keras_object(c, vars(keras.layers)),
    "activation": lambda config: keras.layers.Dense(1, activation=config),
    "optimizer": keras.optimizers.deserialize,
    "loss function": keras.losses.deserialize,
    "metric": keras.metrics.deserialize,
    "initializer": keras.initializers.deserialize,
    "regularizer": keras.regularizers.deserialize,
    "constraint": keras.constraints.deserialize,
    "snapshot": read_snapshot,
    "resume": resume,
}


class Watch:
    """What the interpreter is asked to do between `start` and `stop`."""

    def __init__(self):
        self.allowed, self.seen = None, []
        sys.addaudithook(self._hear)

    def start(self, *allowed):
        self.seen, self.allowed = [], {str(path) for path in allowed}
        self.folders = [TEMPORARY, *(path for path in self.allowed if os.path.isdir(path))]

    def stop(self):
        self.allowed = None

    def _hear(self, event, args):
        if self.allowed is None or _is_inside(self.folders, event, args):
            return
        if event == "open":
            # JAX looks for the lines of source of the errors that it passes on.
            source = str(args[0]).endswith(".py") and os.path.isfile(args[0])
            if not source and (str(args[0]) not in self.allowed or args[1] not in ("r", "rb")):
                self.seen.append(f"open {args[0]} {args[1]}")
        elif event == "socket.__new__" and args[1] == socket.AF_UNIX:
            return  # asyncio, which Orbax uses, wakes its own loop by a pair of them
        elif event.startswith(FORBIDDEN) and event not in HARMLESS:
            self.seen.append(f"{event} {str(args)[:100]}")


def _is_inside(folders, event, args):
    """Whether something is done to files in these folders."""
    path = str(args[0]) if args else ""
    if event in ("os.remove", "os.rmdir") and args[1] != -1:  # in an open folder
        path = os.path.join(os.readlink(f"/proc/self/fd/{args[1]}"), path)
    path = os.path.normpath(path)
    return event.startswith(FILES) and any(path.startswith(folder) for folder in folders)


def state():
    """What loading must not change."""
    return [
        keras.config.floatx(),
        keras.config.epsilon(),
        keras.config.image_data_format(),
        keras.config.dtype_policy().name,
        keras.config.max_epochs(),
        keras.config.max_steps_per_epoch(),
        keras.config.is_flash_attention_enabled(),
        keras.config.is_traceback_filtering_enabled(),
        keras.config.is_interactive_logging_enabled(),
        sorted(keras.saving.get_custom_objects()),
        sorted(os.environ.items()),
        os.getcwd(),
        sys.path[:],
        sorted(str(p) for p in pathlib.Path.cwd().parent.rglob("*")),
        sorted(jax.config.values.items(), key=str),
        np.geterr(),
        warnings.filters[:],
        sys.getrecursionlimit(),
        signal.getsignal(signal.SIGINT),
        rng.global_generator().state.numpy().tolist(),
        str(np.random.get_state()),
    ]


def peak():
    """The most memory the process had since `reset_peak`, and what it has now, in bytes."""
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    found = dict(line.split(":", 1) for line in lines)
    return [int(found[key].split()[0]) << 10 for key in ("VmHWM", "VmRSS")]


def some(x):
    """Two rows for an input."""
    shape = [n or 2 for n in x.shape]
    return np.full(shape, "a") if x.dtype == "string" else np.zeros(shape, x.dtype)


def use(loaded):
    """What one does with a model that was loaded."""
    is_space = isinstance(loaded, keras.utils.FeatureSpace)
    if not is_space and not (isinstance(loaded, keras.Model) and loaded.built):
        return
    inputs = loaded.get_inputs() if is_space else loaded.input
    if not is_space:
        loaded.summary(print_fn=lambda *_, **__: None)
    sizes = [x.shape for x in keras.tree.flatten(inputs)]
    if max(np.prod([n or 1 for n in shape], dtype=float) for shape in sizes) < 1e6:
        loaded(keras.tree.map_structure(some, inputs))
    if not is_space:
        keras.models.clone_model(loaded)
        keras.models.model_from_json(loaded.to_json())
    loaded.save("again.keras")
    os.remove("again.keras")


def too_slow(*_):
    raise TimeoutError("too slow")


def run(case, watch):
    argument = case["argument"]
    before = state()
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    memory, start = peak()[1], time.monotonic()
    signal.alarm(30)
    watch.start(argument if isinstance(argument, str) and len(argument) < 1000 else "")
    loaded = error = None
    try:
        loaded = DOORS[case["door"]](argument)
    except BaseException as caught:
        error = caught
    watch.stop()
    seconds, memory = time.monotonic() - start, peak()[0] - memory
    result = {
        "error": None if error is None else type(error).__name__,
        "own": isinstance(error, keras.saving.LoadError),
        "message": str(error)[:2000],
        "seen": watch.seen,
        "changed": [f"{a} -> {b}" for a, b in zip(before, state(), strict=True) if a != b],
        "seconds": seconds,
        "memory": memory,
        "after": None,
    }
    if error is None:
        watch.start(os.path.abspath("again.keras"))
        try:
            use(loaded)
        except BaseException as caught:
            result["after"] = repr(caught)
        watch.stop()
        result["changed"] += [
            f"later: {a} -> {b}" for a, b in zip(before, state(), strict=True) if a != b
        ]
    signal.alarm(0)
    return result


def main(folder):
    cases = json.loads((pathlib.Path(folder) / "cases.json").read_text())
    for case in cases:
        if "control" in case["name"]:  # what is imported at the first use is
            use(DOORS[case["door"]](case["argument"]))
    keras.models.model_from_json(model().to_json())
    watch = Watch()
    signal.signal(signal.SIGALRM, too_slow)
    taken = int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + (4 << 30),) * 2)
    for case in cases:
        with io.StringIO() as out:
            sys.stdout, before = out, sys.stdout
            result = run(case, watch)
            sys.stdout = before
        print(json.dumps({"name": case["name"], **result}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
