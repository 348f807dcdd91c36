"""Optax's gradient transformations as optimizers. Optax itself is never imported."""

import contextlib

import jax
import jax.numpy as jnp

from ..core.messages import expected
from ._base import SHARED_OPTIONS, Optimizer, array_now

_MSG_NO_RATE = """\
'{name}' wraps an optax transformation that has {number}. To read or set it, inject it in one \
place (and build the optimizer, or train a step):

    optax.inject_hyperparams(optax.adam)(learning_rate=1e-3)"""

_MSG_SCHEDULE = """\
'{name}' has a schedule as its learning rate, so the rate can't be set. Inject a number instead:

    optax.inject_hyperparams(optax.adam)(learning_rate=1e-3)"""

_MSG_NO_CONFIG = """\
An optax transformation is code, which a file doesn't hold. Load with a fresh one,

    keras.saving.load_model(path, custom_objects={
        "OptaxOptimizer": keras.optimizers.get(optax.adam(1e-3))})

or load with compile=False and call `compile` again."""

_MSG_CALLED = """\
The transformation was called as `init(params)` and `update(grads, state, params)`, where params \
is a dict of dicts of arrays. One that needs other arguments (the loss, as optax.lbfgs does) or \
other parameters (pairs of them, as optax.lookahead does) can't be used in `compile`."""


def is_transformation(x):
    """Whether `x` looks like an optax `GradientTransformation`."""
    return callable(getattr(x, "init", None)) and callable(getattr(x, "update", None))


class OptaxOptimizer(Optimizer):
    """An optimizer from an optax `GradientTransformation`.

    `compile(optimizer=optax.adamw(1e-3))` makes one. Parameters are handed to the transformation
    as a dict of dicts, after the variables' paths: `{"dense": {"kernel": …, "bias": …}}`; masks
    and labels have that form, or that of its upper levels. The transformation's state becomes
    `variables`, one per array in it, named by its place: `0_mu_dense_kernel`. To accumulate
    gradients, `gradient_accumulation_steps` knows where epochs end; `optax.MultiSteps` doesn't.

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
        self._rates, self._is_scheduled = [], False

    def build(self, variables):
        """Make a variable for every array of the transformation's state."""
        if self.built:
            return
        super().build(variables)
        self._places = _places(v.path for v in self._trainable_variables)
        params = _nested(self._places, map(array_now, self._trainable_variables))
        with jax.ensure_compile_time_eval(), _explained():
            state = self.transformation.init(params)
        leaves, self._structure = jax.tree_util.tree_flatten_with_path(state)
        self._leaves, self._key_types = [], []
        for path, leaf in leaves:
            is_key = isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
            self._key_types.append(jax.random.key_impl(leaf) if is_key else None)
            name = jax.tree_util.keystr(path, simple=True, separator="_").replace("/", "_")
            leaf = jax.random.key_data(leaf) if is_key else leaf
            self._leaves.append(self._new_variable(leaf, name=name or "state"))
            # Where `inject_hyperparams` keeps the rate, and what it computes it from.
            place = jax.tree_util.keystr(path)
            if place.endswith(".hyperparams['learning_rate']"):
                self._rates.append(self._leaves[-1])
            self._is_scheduled |= ".hyperparams_states['learning_rate']" in place

    def _update_steps(self, grads, variables, learning_rate):
        params = [v.value for v in self._trainable_variables]
        # The transformation wants a gradient for everything that it has state for, of its dtype.
        complete = [jnp.zeros_like(value) for value in params]
        mine = [self._get_variable_index(v) for v in variables]
        for i, gradient in zip(mine, grads):
            complete[i] = gradient.astype(params[i].dtype)
        leaves = [
            v.value if key_type is None else jax.random.wrap_key_data(v.value, impl=key_type)
            for v, key_type in zip(self._leaves, self._key_types)
        ]
        with _explained():
            updates, state = self.transformation.update(
                _nested(self._places, complete),
                jax.tree.unflatten(self._structure, leaves),
                _nested(self._places, params),
            )
        for variable, leaf, key_type in zip(
            self._leaves, jax.tree.leaves(state), self._key_types, strict=True
        ):
            self.assign(variable, leaf if key_type is None else jax.random.key_data(leaf))
        for i, variable in zip(mine, variables):
            update = updates
            for key in self._places[i]:
                update = update[key]
            self.assign_add(variable, update)

    @property
    def learning_rate(self):
        """The rate, where `optax.inject_hyperparams` made it known."""
        if len(self._rates) != 1:
            number = "several learning rates" if self._rates else "its rate inside its functions"
            raise AttributeError(_MSG_NO_RATE.format(name=self.name, number=number))
        return self._rates[0]

    @learning_rate.setter
    def learning_rate(self, value):
        rate = self.learning_rate
        if self._is_scheduled:
            raise TypeError(_MSG_SCHEDULE.format(name=self.name))
        rate.assign(value)

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


def _places(paths):
    """Where each path lies in a dict of dicts: tuples of keys, none alike, none inside another."""
    keys = [tuple(path.split("/")) for path in paths]
    inner = {key[:n] for key in keys for n in range(1, len(key))}
    places = []
    for number, key in enumerate(keys):
        if key in inner or key in places:
            key = (*key[:-1], f"{key[-1]}_{number}")
        places.append(key)
    return places


def _nested(places, values):
    """The values as a dict of dicts."""
    tree = {}
    for (*scopes, name), value in zip(places, values, strict=True):
        inside = tree
        for scope in scopes:
            inside = inside.setdefault(scope, {})
        inside[name] = value
    return tree


@contextlib.contextmanager
def _explained():
    """Adds to an error how a transformation is called."""
    try:
        yield
    except (AttributeError, TypeError) as error:
        error.add_note(_MSG_CALLED)
        raise
