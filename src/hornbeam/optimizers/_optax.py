"""Optax's gradient transformations as optimizers. Optax itself is never imported."""

import jax
import jax.numpy as jnp

from ..core.messages import expected
from ._base import SHARED_OPTIONS, Optimizer

_MSG_NO_RATE = """\
'{name}' wraps an optax transformation, whose learning rate is inside its functions. To read or \
set it, inject it (and build the optimizer, or train a step):

    optax.inject_hyperparams(optax.adam)(learning_rate=1e-3)"""

_MSG_NO_CONFIG = """\
An optax transformation is code, which a file doesn't hold. Load with a fresh one,

    keras.saving.load_model(path, custom_objects={
        "OptaxOptimizer": keras.optimizers.get(optax.adam(1e-3))})

or load with compile=False and call `compile` again."""


def is_transformation(x):
    """Whether `x` looks like an optax `GradientTransformation`."""
    return callable(getattr(x, "init", None)) and callable(getattr(x, "update", None))


class OptaxOptimizer(Optimizer):
    """An optimizer from an optax `GradientTransformation`.

    `compile(optimizer=optax.adamw(1e-3))` makes one. The transformation's state becomes
    `variables`, one per array in it, named by its place: `0_mu_dense_kernel`. Parameters are
    handed to it as a dict from variables' paths to arrays.

    Args:
        transformation: anything with `init(params)` and `update(grads, state, params)`.
        name: name.
        **kwargs: the options of every optimizer, see `Optimizer`; no learning rate.

    Example:

    >>> import collections
    >>> Transformation = collections.namedtuple("Transformation", ["init", "update"])
    >>> descent = Transformation(
    ...     init=lambda params: (),
    ...     update=lambda grads, state, params: ({k: -0.1 * g for k, g in grads.items()}, state),
    ... )
    >>> w = keras.Variable(1.0)
    >>> keras.optimizers.get(descent).apply([2.0], [w])
    >>> round(float(w), 4)
    0.8
    """

    def __init__(self, transformation, name=None, **kwargs):
        if kwargs.get("weight_decay") is not None:
            raise ValueError(
                "OptaxOptimizer takes no weight_decay: chain `optax.add_decayed_weights` into the "
                "transformation."
            )
        if not is_transformation(transformation):
            raise TypeError(
                expected(
                    "OptaxOptimizer: transformation",
                    "an object with init and update",
                    transformation,
                )
            )
        super().__init__(None, name=name, **kwargs)
        self.transformation = transformation

    def build(self, variables):
        """Make a variable for every array of the transformation's state."""
        if self.built:
            return
        super().build(variables)
        variables = self._trainable_variables
        paths = [v.path for v in variables]
        if len(set(paths)) < len(paths):
            paths = [f"{path}_{i}" for i, path in enumerate(paths)]
        self._paths = paths
        with jax.ensure_compile_time_eval():
            state = self.transformation.init(self._parameters())
        leaves, self._structure = jax.tree_util.tree_flatten_with_path(state)
        self._state = []
        for path, leaf in leaves:
            name = jax.tree_util.keystr(path, simple=True, separator="_").replace("/", "_")
            self._state.append(self._new_variable(leaf, name=name or "state"))
            # Where `inject_hyperparams` keeps the rate.
            if jax.tree_util.keystr(path[-2:]) == ".hyperparams['learning_rate']":
                self._learning_rate = self._state[-1]

    def _parameters(self):
        return {path: v.value for path, v in zip(self._paths, self._trainable_variables)}

    def _update_steps(self, grads, variables, learning_rate):
        params = self._parameters()
        # The transformation wants a gradient for everything that it has state for.
        complete = {path: jnp.zeros_like(value) for path, value in params.items()}
        mine = [self._paths[self._get_variable_index(v)] for v in variables]
        complete.update(zip(mine, grads))
        state = jax.tree.unflatten(self._structure, [v.value for v in self._state])
        updates, state = self.transformation.update(complete, state, params)
        for variable, value in zip(self._state, jax.tree.leaves(state), strict=True):
            self.assign(variable, value)
        for path, variable in zip(mine, variables):
            self.assign_add(variable, updates[path])

    @property
    def learning_rate(self):
        """The rate, where `optax.inject_hyperparams` made it known."""
        if self._learning_rate is None:
            raise AttributeError(_MSG_NO_RATE.format(name=self.name))
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value):
        self.learning_rate.assign(value)

    def _set_learning_rate(self, value):
        self._learning_rate = value

    def _current_learning_rate(self):
        return None

    def get_config(self):
        """The options; the transformation itself is code, which no file holds."""
        return {name: getattr(self, name) for name in SHARED_OPTIONS if name != "weight_decay"}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Explains how to load a model that was trained with an optax transformation."""
        raise ValueError(_MSG_NO_CONFIG)
