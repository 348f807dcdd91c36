"""Models of other libraries as layers: functions on JAX, Flax, SavedModels and PyTorch."""

import inspect

import jax
import jax.numpy as jnp
from jax.core import eval_context

from .. import initializers
from ..core import dtypes
from ..core.loading import LoadError, is_loading
from ..core.messages import expected
from ..core.rng import SeedGenerator, draw_seed
from ..core.tree import is_shape
from ._base import Layer


class JaxLayer(Layer):
    """A function on JAX with its parameters, as a layer.

    Args:
        call_fn: function that takes, by these names, `inputs` and what it needs of `params`,
            `state`, `rng` and `training`. It returns the outputs, or `(outputs, new_state)` if it
            takes `state`. `rng` is a key while training, else `None`.
        init_fn: function of `rng`, `inputs` (zeros) and, if it wants, `training`, which is true.
            It returns the params, or `(params, state)` if `call_fn` takes `state`.
        params: the trained numbers, a tree of arrays, in the place of what `init_fn` returns.
        state: numbers that the function changes by itself, a tree of arrays.
        seed: int, for repeatable keys.
        native_serialization_platforms: accepted for compatibility.

    The inputs may be any tree of arrays. A config holds the names of the functions, so a model in a
    file needs `init_fn`, and `register_keras_serializable` on both.

    Example:

    >>> def call(params, inputs):
    ...     return inputs @ params["w"]
    >>> def init(rng, inputs):
    ...     return {"w": jnp.ones((inputs.shape[-1], 2))}
    >>> layer = keras.layers.JaxLayer(call, init)
    >>> layer(np.ones((1, 3)))
    Array([[3., 3.]], dtype=float32)
    """

    def __init__(
        self,
        call_fn,
        init_fn=None,
        params=None,
        state=None,
        seed=None,
        native_serialization_platforms=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        allowed = ("params", "state", "rng", "inputs", "training")
        self._takes = _names(self, "call_fn", call_fn, allowed)
        if init_fn is not None:
            self._init_takes = _names(self, "init_fn", init_fn, ("rng", "inputs", "training"))
        elif params is None and state is None and {"params", "state"} & self._takes:
            raise ValueError(
                f"{type(self).__name__}: call_fn takes params or state, so their first values are "
                "needed: give init_fn, or params (and state)."
            )
        self.call_fn = call_fn
        self.init_fn = init_fn
        self.native_serialization_platforms = native_serialization_platforms
        self._params = self._own_state = _Tree(self, None, trainable=False)
        self._is_filled = False
        if params is not None or state is not None:
            self._make_variables(params, state)
        if "rng" in self._takes:
            self.seed_generator = SeedGenerator(seed)

    def _make_variables(self, params, state):
        self._is_filled = True
        self._params = _Tree(self, params, trainable=True)
        self._own_state = _Tree(self, state, trainable=False)
        # Attributes, so that they are found.
        self.tracked_params = self._params.variables
        self.tracked_state = self._own_state.variables

    @property
    def params(self):
        """The tree of trained variables."""
        return self._params.of_variables()

    @property
    def state(self):
        """The tree of the other variables."""
        return self._own_state.of_variables()

    def _build_once(self, call):
        if not self.built:
            vars(self)["_inputs"] = call.first  # for their dtypes
        super()._build_once(call)
        vars(self).pop("_inputs", None)

    def build(self, input_shape):
        if self._is_filled or self.init_fn is None:
            return
        like = vars(self).get("_inputs")
        if like is None:
            struct = lambda shape: jax.ShapeDtypeStruct(
                [n or 1 for n in shape], dtypes.numpy_dtype(self.compute_dtype)
            )
            like = jax.tree.map(struct, input_shape, is_leaf=is_shape)
        one = lambda n: n if isinstance(n, int) else 1  # of an unknown size
        with eval_context():
            zeros = lambda x: jnp.zeros([one(n) for n in x.shape], x.dtype)
            inputs = jax.tree.map(zeros, like)
            training = {"training": True} if "training" in self._init_takes else {}
            made = self.init_fn(rng=jnp.asarray(draw_seed(None)), inputs=inputs, **training)
        self._make_variables(*(made if "state" in self._takes else (made, None)))

    def call(self, inputs, training=False):
        params, state = self._params.of_values(), self._own_state.of_values()
        values = {"params": params, "state": state, "inputs": inputs, "training": training}
        if "rng" in self._takes:
            values["rng"] = self.seed_generator.next() if training else None
        outputs = self.call_fn(**{name: values[name] for name in self._takes})
        if "state" in self._takes:
            outputs, state = outputs
            self._own_state.assign(state)
        return outputs

    def constructor_arguments(self):
        # Files hold the values of params and state elsewhere.
        names = ("call_fn", "init_fn", "native_serialization_platforms")
        return {name: getattr(self, name) for name in names}


class _Tree:
    """A tree of arrays that are kept in variables."""

    def __init__(self, layer, tree, trainable):
        leaves, self.structure = jax.tree.flatten(tree)
        leaves = [jnp.asarray(x) for x in leaves]
        # Random keys are no numbers; files hold the numbers they stand for.
        self.keys = [
            jax.random.key_impl(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else None
            for x in leaves
        ]
        self.variables = []
        for x in map(_as_numbers, leaves):
            self.variables.append(
                layer.add_weight(
                    x.shape,
                    initializers.Constant(x),
                    x.dtype,
                    trainable=trainable and dtypes.is_float_dtype(x.dtype),
                    autocast=trainable,  # half precision would drop small updates of the state
                )
            )

    def of_variables(self):
        return jax.tree.unflatten(self.structure, self.variables)

    def of_values(self):
        leaves = [v.value for v in self.variables]
        leaves = [
            x if impl is None else jax.random.wrap_key_data(x, impl=impl)
            for x, impl in zip(leaves, self.keys)
        ]
        return jax.tree.unflatten(self.structure, leaves)

    def assign(self, tree):
        leaves, structure = jax.tree.flatten(tree)
        if structure != self.structure:
            raise ValueError(
                "call_fn should return a state of the same structure as the first one, "
                f"{self.structure}; it returned {structure}."
            )
        for variable, value in zip(self.variables, leaves, strict=True):
            variable.assign(_as_numbers(value))


def _as_numbers(x):
    x = jnp.asarray(x)
    return jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x


def _names(layer, argument, function, allowed):
    """The names of the function's parameters, all of which are `allowed` and one `inputs`."""
    what = f"{type(layer).__name__}'s {argument}"
    if not callable(function):
        raise ValueError(expected(what, "a function", function))
    names = list(inspect.signature(function).parameters)
    if "inputs" not in names or not set(names) <= set(allowed):
        wanted = f"a function that takes inputs, and nothing but {', '.join(allowed)}"
        raise ValueError(expected(what, wanted, f"one that takes {', '.join(names)}"))
    return set(names)


class FlaxLayer(JaxLayer):
    """A module of Flax as a layer. Needs the package `flax`.

    Args:
        module: a `flax.linen.Module`, or a `flax.nnx.Module`, whose present values are the first
            ones.
        method: what to call in the place of `module(inputs)`: the name of a method, or a function
            of the module and the inputs. If it has a parameter `training`, it gets it.
        variables: the dict that `module.init` returned, for modules of `linen`.

    The collection `"params"` of a linen module, and `nnx.Param`, is trained; all else, such as
    running means, is changed by the module itself. An nnx module is switched by `module.train()`
    and `module.eval()`. A config needs a module with `get_config`.

    Example:

        import flax.linen as nn

        layer = keras.layers.FlaxLayer(nn.Dense(3))
        layer(np.ones((1, 2))).shape  # (1, 3)
    """

    def __init__(self, module, method=None, variables=None, **kwargs):
        is_flax = any(cls.__module__.startswith("flax.") for cls in type(module).__mro__)
        if is_loading() and not is_flax:  # a file imports nothing
            wanted = "a flax.linen.Module or a flax.nnx.Module"
            raise ValueError(expected("FlaxLayer's module", wanted, module))
        linen, nnx = _flax()
        called = getattr(type(module), method) if isinstance(method, str) else method
        called = called or type(module).__call__
        # How to say whether it is training, for methods that ask.
        asks = callable(called) and "training" in inspect.signature(called).parameters
        say = lambda training: {"training": training} if asks else {}
        if isinstance(module, nnx.Module):
            functions_and_values = _of_nnx(nnx, module, called, say)
        elif isinstance(module, linen.Module):
            functions_and_values = _of_linen(linen, module, method, variables, say)
        else:
            wanted = "a flax.linen.Module or a flax.nnx.Module"
            raise ValueError(expected("FlaxLayer's module", wanted, module))
        super().__init__(*functions_and_values, **kwargs)
        self.module = module
        self.method = method

    def constructor_arguments(self):
        return {"module": self.module, "method": self.method}


def _of_linen(linen, module, method, variables, say):
    """`call_fn`, `init_fn`, params and state of a module of `flax.linen`."""

    def call_fn(params, state, rng, inputs, training):
        return module.apply(
            {**params, **state},
            inputs,
            rngs=rng,
            method=method,
            mutable=linen.DenyList(["params"]),
            **say(training),
        )

    def split(variables):
        state = dict(linen.FrozenDict(variables).unfreeze())
        return {"params": state.pop("params", {})}, state

    def init_fn(rng, inputs):
        return split(module.init(rng, inputs, method=method, **say(True)))

    return call_fn, init_fn, *((None, None) if variables is None else split(variables))


def _of_nnx(nnx, module, called, say):
    """`call_fn`, `init_fn` (none is needed), params and state of a module of `flax.nnx`."""
    graph, params, state = nnx.split(module, nnx.Param, ...)

    def call_fn(params, state, inputs, training):
        module = nnx.merge(graph, params, state)
        module.train() if training else module.eval()
        outputs = called(module, inputs, **say(training))
        return outputs, nnx.split(module, nnx.Param, ...)[2]

    return call_fn, None, params, state


def _flax():
    try:
        from flax import linen, nnx  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise ImportError(
            "FlaxLayer needs the package flax, which is not installed: pip install flax"
        ) from None
    return linen, nnx


class TFSMLayer(Layer):
    """A SavedModel of TensorFlow as a layer that can't be trained. Needs the package `tensorflow`.

    Args:
        filepath: folder of the SavedModel.
        call_endpoint: name of the function to call: an attribute of what is saved, or one of its
            signatures.
        call_training_endpoint: name of the one to call while training; by default the same.
        trainable, name, dtype: as in `Layer`.

    A SavedModel is a program: loading one from an untrusted place can run anything. So a config
    that names one never leads to a layer.
    """

    no_config = (
        "A TFSMLayer can't be made from a config: a SavedModel is a program, which could do "
        "anything. Make the layer by TFSMLayer(filepath), of a file that you trust."
    )

    def __init__(
        self,
        filepath,
        call_endpoint="serve",
        call_training_endpoint=None,
        trainable=True,
        name=None,
        dtype=None,
    ):
        super().__init__(trainable=trainable, name=name, dtype=dtype)
        try:
            import tensorflow  # pyright: ignore[reportMissingModuleSource]
            from jax.experimental import jax2tf
        except ImportError:
            raise ImportError(
                "TFSMLayer runs a SavedModel, which needs the package tensorflow; it is not "
                "installed: pip install tensorflow-cpu"
            ) from None
        self.filepath = str(filepath)
        self.call_endpoint = call_endpoint
        self.call_training_endpoint = call_training_endpoint
        # Kept, since its functions don't keep their variables.
        self._loaded = tensorflow.saved_model.load(self.filepath)
        self._call = self._call_training = jax2tf.call_tf(self._endpoint(call_endpoint))
        if call_training_endpoint:
            self._call_training = jax2tf.call_tf(self._endpoint(call_training_endpoint))

    def _endpoint(self, name):
        found = getattr(self._loaded, name, None) or self._loaded.signatures.get(name)
        if found is None:
            known = ", ".join(sorted(self._loaded.signatures)) or "none"
            raise ValueError(
                f"TFSMLayer: what is saved in {self.filepath} has no endpoint {name!r}; its "
                f"signatures are: {known}."
            )
        return found

    def call(self, inputs, training=False):
        return (self._call_training if training else self._call)(inputs)

    @classmethod
    def from_config(cls, config, custom_objects=None, safe_mode=None):
        """Refuses: a SavedModel can run anything."""
        raise LoadError(cls.no_config)


class TorchModuleWrapper(Layer):
    """Not possible here: a module of PyTorch runs on PyTorch, not on JAX.

    The constructor raises a `NotImplementedError`, as Keras on JAX does.

    Args:
        module: a `torch.nn.Module`.
        name: name of the layer.
        output_shape: shape of what the module returns.
    """

    def __init__(self, module, name=None, output_shape=None, **kwargs):
        raise NotImplementedError(
            "TorchModuleWrapper runs a module of PyTorch, which JAX can neither compile nor "
            "differentiate. Write the module with keras.layers and copy its weights, or export it "
            "to a function on JAX and use JaxLayer."
        )

    def parameters(self, recurse=True):
        """The module's parameters."""
        raise NotImplementedError

    def call(self, *args, training=None, **kwargs):
        """The module's outputs."""
        raise NotImplementedError

    @classmethod
    def from_config(cls, config, custom_objects=None, safe_mode=None):
        """Refuses: a module of PyTorch can run anything."""
        return cls(None)
