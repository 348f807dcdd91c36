"""What several test files share. `from helpers import ...` works in every folder of tests/."""

import contextlib
import dataclasses
import os

import jax.monitoring
import jax.numpy as jnp

import hornbeam

# Recorded once for every program that JAX asks the backend to compile, also when the program
# then comes from the compilation cache on disk; a call of a compiled function records nothing.
_COMPILE_EVENT = "/jax/core/compile/backend_compile_duration"


@dataclasses.dataclass
class Compiles:
    """The names of the compiled functions, in order."""

    names: list = dataclasses.field(default_factory=list)

    @property
    def total(self):
        return len(self.names)

    def of(self, name):
        """How many of the programs were made from a function of this name."""
        return sum(n in (name, f"jit({name})", f"jit_{name}") for n in self.names)


@contextlib.contextmanager
def count_compiles():
    """Counts XLA compiles inside the `with` block.

    Eager `jnp` calls compile too, each once per shape: warm them up outside the block.
    A failing assertion shows `names`, which says what was compiled.
    """
    counted = Compiles()

    def listener(event, duration, **kwargs):
        if event == _COMPILE_EVENT:
            counted.names.append(kwargs.get("fun_name", "?"))

    jax.monitoring.register_event_duration_secs_listener(listener)
    try:
        yield counted
    finally:
        jax.monitoring.unregister_event_duration_listener(listener)


class BatchesByNumber(hornbeam.utils.PyDataset):
    """A list of batches as a data set; here, so that worker processes find the class."""

    def __init__(self, batches, **kwargs):
        super().__init__(**kwargs)
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        batch = self.batches[index]
        if isinstance(batch, str) and batch == "fails":
            raise RuntimeError("mine")
        if isinstance(batch, str) and batch == "dies":
            os._exit(1)
        return batch


class Busy(hornbeam.layers.Layer):
    """A layer with all that a call may do beside returning something."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner = hornbeam.layers.Dense(4, "relu", kernel_regularizer="l2")
        self.norm = hornbeam.layers.BatchNormalization()
        self.drop = hornbeam.layers.Dropout(0.5, seed=3)
        self.calls = hornbeam.metrics.Sum()
        self.supports_masking = True

    def build(self, input_shape):
        self.inner.build(input_shape)
        self.norm.build(input_shape)

    def call(self, x, training=False):
        self.calls.update_state(jnp.ones(()))
        self.add_loss(1e-2 * jnp.mean(x**2))
        return self.drop(self.norm(self.inner(x), training=training), training=training)
