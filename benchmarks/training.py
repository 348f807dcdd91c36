"""Times training in hornbeam, in Keras on JAX, and in a JAX step written by hand.

    python benchmarks/training.py            everything, about two minutes on an idle machine
    python benchmarks/training.py --quick    shorter, for a first look
    python benchmarks/training.py tiny mlp   only some cases: mlp, tiny, cnn, import
    python benchmarks/training.py --json     the numbers as JSON

Each contestant lives in a process of its own, and they take turns: an epoch each, over and
over, in an order that reverses every round. Data and initial weights are equal; all draw new
orders of the data for every epoch. An epoch is timed from `on_epoch_begin` to `on_epoch_end`,
the first one apart, since it compiles. `fit` runs with `verbose=0` and is otherwise at its
defaults. The table shows the median of the rounds and the best one, and the median of the
processor time (of all threads together, which other work on the machine disturbs less); ratios
are of medians.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

from _contestants import CASES, CONTESTANTS

WORKER = Path(__file__).with_name("_contestants.py")
IMPORTS = ("jax", "hornbeam", "keras")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    known = [*CASES, "import"]
    parser.add_argument("cases", nargs="*", help=f"some of {', '.join(known)}; all by default")
    parser.add_argument("--quick", action="store_true", help="fewer steps and rounds")
    parser.add_argument("--rounds", type=int, help="epochs timed per contestant")
    parser.add_argument("--json", action="store_true", help="print JSON rather than tables")
    options = parser.parse_args()
    if unknown := set(options.cases) - set(known):
        parser.error(f"unknown case {unknown.pop()!r}; there are {', '.join(known)}")
    rounds = options.rounds or (3 if options.quick else 7)
    found = {}
    for case in options.cases or known:
        found[case] = time_imports(rounds) if case == "import" else race(case, rounds, options)
        if not options.json:
            (show_imports if case == "import" else show_race)(case, found[case])
    if options.json:
        machine = {"python": platform.python_version(), "cpus": os.cpu_count()}
        print(json.dumps({"machine": machine, **found}, indent=1))


def race(case, rounds, options):
    """Let the contestants of a case take turns; returns their numbers by name."""
    steps = CASES[case].quick_steps if options.quick else CASES[case].steps
    names = [name for name in CONTESTANTS if name in CASES[case].contestants]
    workers, results = {}, {}
    for name in names:
        workers[name] = Worker(case, name, steps, rounds)
        results[name] = {"first_epoch_s": workers[name].epoch()["seconds"], "ms": [], "cpu_ms": []}
    for turn in range(rounds):
        for name in names if turn % 2 else reversed(names):
            last = workers[name].epoch()
            results[name]["ms"].append(last["seconds"] / steps * 1e3)
            results[name]["cpu_ms"].append(last["cpu_seconds"] / steps * 1e3)
            results[name]["loss"] = last["loss"]
    for name, result in results.items():
        workers[name].close()
        result["median_ms"] = statistics.median(result["ms"])
        result["best_ms"] = min(result["ms"])
        result["median_cpu_ms"] = statistics.median(result["cpu_ms"])
    for result in results.values():
        for other in ("keras", "jax"):
            if other in results:
                result[f"times_as_fast_as_{other}"] = (
                    results[other]["median_ms"] / result["median_ms"]
                )
    return results


class Worker:
    """A contestant in its own process, that runs an epoch when told to."""

    def __init__(self, case, name, steps, rounds):
        environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_ENABLE_COMPILATION_CACHE": "0"}
        self._process = subprocess.Popen(
            [sys.executable, WORKER, case, name, str(steps), str(rounds + 1)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self._name = f"{name} ({case})"

    def epoch(self):
        """Run one epoch; returns its seconds and loss."""
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        sys.exit(f"{self._name} failed; its message is above.")

    def close(self):
        self._process.communicate()


def time_imports(rounds):
    """Seconds that `import name` takes in a fresh process, by name."""
    code = "import sys, time; start = time.perf_counter(); __import__(sys.argv[1]); "
    code += "print(time.perf_counter() - start, file=sys.__stdout__)"
    seconds = {name: [] for name in IMPORTS}
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    # As installed packages come: with their byte code beside them.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    for turn in range(rounds + 1):
        for name in IMPORTS:
            command = [sys.executable, "-c", code, name]
            done = subprocess.run(
                command, stdout=subprocess.PIPE, text=True, env=environment, check=True
            )
            if turn:  # the first only brings the files into memory
                seconds[name].append(float(done.stdout.splitlines()[-1]))
    results = {
        name: {"median_s": statistics.median(times), "best_s": min(times)}
        for name, times in seconds.items()
    }
    for result in results.values():
        result["more_than_jax_s"] = result["median_s"] - results["jax"]["median_s"]
    return results


def show_race(case, results):
    print(f"\n{CASES[case].title}")
    print(f"{'':38}{'ms per step':^27}{'first':>9}{'times as fast as':>19}")
    print(
        f"{'':38}{'median':>9}{'best':>9}{'CPU':>9}{'epoch, s':>9}{'Keras':>9}{'by hand':>10}"
        f"{'loss':>9}"
    )
    for name, r in results.items():
        ratios = [r.get(f"times_as_fast_as_{other}") for other in ("keras", "jax")]
        keras, jax = ["" if ratio is None else f"{ratio:.2f}" for ratio in ratios]
        print(
            f"{CONTESTANTS[name]:38}{r['median_ms']:9.3f}{r['best_ms']:9.3f}"
            f"{r['median_cpu_ms']:9.3f}{r['first_epoch_s']:9.1f}{keras:>9}{jax:>10}"
            f"{r['loss']:9.4f}",
            flush=True,
        )


def show_imports(case, results):
    print("\nImport, in a fresh process")
    print(f"{'':34}{'median, s':>12}{'best, s':>12}{'more than jax, s':>20}")
    for name, r in results.items():
        print(
            f"{'import ' + name:34}{r['median_s']:12.2f}{r['best_s']:12.2f}"
            f"{r['more_than_jax_s']:20.2f}"
        )


if __name__ == "__main__":
    main()
