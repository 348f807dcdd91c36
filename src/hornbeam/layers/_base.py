"""`Layer`: state and computation, composed recursively."""

import functools
import warnings
from collections.abc import Iterable, Iterator
from typing import TypeVar

import jax

from .. import dtype_policies, regularizers
from ..core import dtypes, masks, objects
from ..core.loading import count_calls
from ..core.messages import expected, unknown_keywords
from ..core.remat import run_layer
from ..core.rng import SeedGenerator
from ..core.scope import current, enter, functionalize, watched
from ..core.symbolic import (
    KerasTensor,
    Operation,
    any_symbolic,
    flatten,
    infer,
    tree_map,
)
from ..core.tree import is_shape
from ..core.variable import Variable
from ..metrics import Metric
from ._call import AmbientCall, Call, overridable, parameters
from ._input_spec import InputSpec
from ._leaks import is_traced, remember

_T = TypeVar("_T")

_MSG_NO_SUPER = """\
{cls}.__init__ didn't call `super().__init__()` before anything else. Write

    class {cls}({base}):
        def __init__(self, ..., **kwargs):
            super().__init__(**kwargs)
            ..."""

_MSG_BUILT = """\
Layer '{path}' is built, so its attribute '{name}' can't become new state (a {kind}). Make \
variables and sublayers in `__init__` or in `build`, not in `call` or afterwards: files and \
optimizers know only what exists when the layer is built."""


class Layer(Operation):
    """Variables and a computation: the unit that models are made of, itself made of layers.

    Subclasses write `__init__` (arguments, sublayers), `build(input_shape)` (variables, once the
    input's shape is known) and `call(inputs, ...)` (the computation).

    Args:
        activity_regularizer: function of the output, added to the training loss (divided by the
            batch size).
        trainable: whether the variables may be trained.
        dtype: dtype or policy of computation and variables, such as `"mixed_bfloat16"`.
        autocast: whether float inputs are cast to the compute dtype.
        name: name, unique within a model.

    Example:

    >>> class Linear(keras.layers.Layer):
    ...     def __init__(self, units, **kwargs):
    ...         super().__init__(**kwargs)
    ...         self.units = units
    ...
    ...     def build(self, input_shape):
    ...         self.kernel = self.add_weight((input_shape[-1], self.units))
    ...
    ...     def call(self, inputs):
    ...         return inputs @ self.kernel
    >>> layer = Linear(4)
    >>> layer(np.ones((2, 3))).shape
    (2, 4)
    >>> [v.path for v in layer.weights]
    ['linear/variable']
    """

    _stage = "device"  # where it runs: there, on the "host", or "either", as others need it
    built: bool
    _weights: list[Variable]
    _building: bool
    _build_shapes: dict | None
    _path: str | None

    def __init__(
        self,
        *,
        activity_regularizer=None,
        trainable=True,
        dtype=None,
        autocast=True,
        name=None,
        **kwargs,
    ):
        # First, since `__setattr__` and every property look at them.
        vars(self).update(built=False, _weights=[], _building=False)
        super().__init__(name=name)
        input_shape = kwargs.pop("input_shape", None)
        if "input_dim" in kwargs:
            input_shape = (kwargs.pop("input_dim"),)
        self._input_shape_argument = input_shape
        if kwargs:
            known = [*objects.constructor_parameters(type(self)), "name", "dtype", "trainable"]
            raise unknown_keywords(f"{type(self).__name__} '{self.name}'", kwargs, known)
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self._trainable = bool(trainable)
        self.dtype_policy = dtype_policies.get(dtype)
        self.autocast = autocast
        self.supports_masking = self._overrides("compute_mask")
        self.input_spec = None
        self._losses = []
        self._build_shapes = None
        self._path = None
        self._remat = current().remat

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "build" in vars(cls):
            cls.build = _managed(cls.build)

    def _overrides(self, method):
        return getattr(type(self), method) is not getattr(Layer, method)

    # Building ---------------------------------------------------------------------------------

    @overridable
    def build(self, input_shape):
        """Make the variables, for inputs of this shape (`None` for unknown sizes).

        Called once, by the first call of the layer. The default makes none, but builds the
        sublayers by tracing `call`.
        """
        known = is_shape(input_shape) or isinstance(input_shape, (list, tuple, dict))
        if known and any(not layer.built for layer in self._sublayers()):
            spec = _map_shapes(lambda s: KerasTensor(s, self.compute_dtype), input_shape)
            infer(self._compute_traced, (spec,), {})

    def _build_once(self, call):
        """Build the layer for the shapes of a call's tensors, if it isn't built yet."""
        if self.built:
            return
        shapes = {f"{name}_shape": shape for name, shape in call.shapes().items()}
        first = next(iter(shapes.values()), None)
        if not self._overrides("build"):
            # Sublayers get built by the call that is under way.
            vars(self).update(_build_shapes={"input_shape": first} if shapes else None, built=True)
            return
        names = parameters(type(self).build)
        by_name = {name: shapes[name] for name in names if name in shapes}
        if len(names) > 1 and by_name:
            self.build(**by_name)
        else:
            self.build(*[first][: len(names)])

    def add_weight(
        self,
        shape=None,
        initializer=None,
        dtype=None,
        trainable=True,
        autocast=True,
        regularizer=None,
        constraint=None,
        aggregation="none",
        overwrite_with_gradient=False,
        name=None,
    ):
        """Make a variable that belongs to the layer.

        Args:
            shape: tuple of ints; `()` (a scalar) by default.
            initializer: name or object; by default `"glorot_uniform"` for float types, else
                `"zeros"`.
            dtype: number type, by default the layer's variable dtype.
            trainable: whether optimizers change it.
            autocast: whether it is read in the compute dtype inside `call`.
            regularizer: function of the value, added to the training loss.
            constraint: function applied to the value after every optimizer step.
            aggregation: how replicas combine.
            overwrite_with_gradient: whether the "gradient" is the new value itself.
            name: name within the layer.

        Returns:
            The `Variable`.
        """
        self._check_initialized()
        if self.built and not self._building:
            raise ValueError(_MSG_BUILT.format(path=self.path, name=name, kind="variable"))
        dtype = dtypes.standardize_dtype(dtype or self.variable_dtype)
        if initializer is None:
            initializer = "glorot_uniform" if dtypes.is_float_dtype(dtype) else "zeros"
        with enter(names=self._scope(), autocast=None):
            variable = Variable(
                objects.get("initializers", initializer),
                shape=() if shape is None else shape,
                dtype=dtype,
                trainable=trainable,
                autocast=autocast,
                aggregation=aggregation,
                name=name,
            )
        variable.regularizer = regularizers.get(regularizer)
        variable.constraint = objects.get("constraints", constraint)
        variable.overwrite_with_gradient = overwrite_with_gradient
        if not self._trainable:
            variable.trainable = False
        self._weights.append(variable)
        return variable

    def _scope(self):
        """The names that paths of the layer's variables begin with."""
        names = current().names
        return names if names and names[-1] == self.name else (*names, self.name)

    def add_variable(
        self,
        shape,
        initializer,
        dtype=None,
        trainable=True,
        autocast=True,
        regularizer=None,
        constraint=None,
        name=None,
    ):
        """The same as `add_weight`."""
        return self.add_weight(
            shape, initializer, dtype, trainable, autocast, regularizer, constraint, name=name
        )

    def get_build_config(self):
        """The input shapes that the layer was built with, or `None`."""
        shapes = self._build_shapes
        if shapes is None:
            return None
        if len(shapes) == 1:
            return {"input_shape": next(iter(shapes.values()))}
        return {"shapes_dict": shapes}

    def build_from_config(self, config):
        """Build the layer for the shapes that `get_build_config` returned."""
        if self.built or not config:
            return
        if "input_shape" in config:
            if config["input_shape"] is not None:
                self.build(_as_shapes(config["input_shape"]))
        elif "shapes_dict" in config:
            self.build(**{k: _as_shapes(v) for k, v in config["shapes_dict"].items()})

    # Calling ----------------------------------------------------------------------------------

    def __call__(self, *args, **kwargs):
        self._check_initialized()
        count_calls()
        call = Call(self, args, kwargs)
        if any_symbolic(call.arguments.values()):
            return self._call_symbolic(call)
        return self._compute(call)

    def call(self, *args, **kwargs):
        """Compute the outputs from the inputs; subclasses write this."""
        raise NotImplementedError(
            f"Layer {type(self).__name__} doesn't say what it computes: give it a method "
            "`call(self, inputs)`."
        )

    def _call_symbolic(self, call):
        outputs = self._infer(call)
        return self.record(call.args, call.kwargs, outputs)

    def _infer(self, call):
        """Shapes of the outputs for symbolic arguments, building the layer."""
        with self._ambient(call):
            call.check_inputs()
            self._build_once(call)
        return infer(self._compute_traced, call.args, call.kwargs)

    def _compute_traced(self, *args, **kwargs):
        return self._compute(Call(self, args, kwargs))

    def _compute(self, call):
        """What every layer shares around `call`: casts, checks, build, masks, losses, notes."""
        outermost = current().layer is None
        if outermost and current().losses is None:
            self._clear_losses()
        with self._ambient(call) as frame:
            call.convert_inputs()
            call.check_inputs()
            self._build_once(call)
            previous_mask = call.fill_masks()
            if (training := call.resolve_training(frame)) is not None:
                frame.training = training
            call.arguments = watched(self, "inputs", call.arguments)
            with enter(autocast=self._autocast_dtype(), layer=self):
                outputs = self._run(call)
            outputs = watched(self, "outputs", outputs)
            self._set_masks(call, outputs, previous_mask)
            if self.activity_regularizer is not None:
                for output in jax.tree.leaves(outputs):
                    batch = max(output.shape[0], 1) if output.ndim else 1
                    self.add_loss(self.activity_regularizer(output) / batch)
        return outputs

    def _run(self, call):
        if self._remat is None:
            return self.call(*call.args, **call.kwargs)
        return run_layer(self, self._remat, lambda: self.call(*call.args, **call.kwargs))

    def _ambient(self, call):
        if self._path is None:
            self._path = "/".join([*current().names, self.name])
        return AmbientCall(self, call)

    def _autocast_dtype(self):
        return self.compute_dtype if self.compute_dtype != self.variable_dtype else None

    def _set_masks(self, call, outputs, previous_mask):
        had_mask = any(m is not None for m in flatten(previous_mask)[0])
        if not self.supports_masking:
            if had_mask:
                warnings.warn(
                    f"Layer '{self.path}' ({type(self).__name__}) got an input with a mask and "
                    "doesn't handle masks, so the mask ends here. If its output has the same "
                    "positions as its input, set `self.supports_masking = True` in its "
                    "`__init__`; otherwise write `compute_mask`.",
                    stacklevel=5,
                )
            return
        if not had_mask and not self._overrides("compute_mask"):
            return
        mask = self.compute_mask(call.first, previous_mask if had_mask else None)
        if mask is None:
            return
        outputs = [outputs] if hasattr(outputs, "shape") else flatten(outputs)[0]
        # One mask is that of the first output: scores, or final states, have other positions.
        out_masks = [mask] if hasattr(mask, "shape") else list(_flat_with_none(mask))
        for output, output_mask in zip(outputs, out_masks, strict=False):
            if output_mask is not None:
                masks.set_mask(output, output_mask)

    def compute_mask(self, inputs, previous_mask):
        """The mask of the outputs; by default that of the inputs."""
        return previous_mask

    def compute_output_spec(self, *args, **kwargs):
        """`KerasTensor`s like the outputs for inputs like these, found by tracing `call`."""
        self._check_initialized()
        return self._infer(Call(self, args, kwargs))

    def compute_output_shape(self, *args, **kwargs):
        """The shape of the outputs for inputs of these shapes.

        Example:

        >>> keras.layers.Dense(5).compute_output_shape((None, 3))
        (None, 5)
        """
        to_spec = functools.partial(_map_shapes, lambda s: KerasTensor(s, self.compute_dtype))
        args = [to_spec(a) for a in args]
        kwargs = {k.removesuffix("_shape"): to_spec(v) for k, v in kwargs.items()}
        if "input" in kwargs and "input" not in parameters(type(self).call):
            args = [kwargs.pop("input"), *args]
        outputs = self.compute_output_spec(*args, **kwargs)
        return tree_map(lambda x: x.shape, outputs)

    def stateless_call(
        self,
        trainable_variables,
        non_trainable_variables,
        *args,
        return_losses=False,
        **kwargs,
    ):
        """Call the layer as a pure function of its variables' values.

        Args:
            trainable_variables: values, parallel to `layer.trainable_variables`.
            non_trainable_variables: values, parallel to `layer.non_trainable_variables`.
            *args: arguments of the layer.
            return_losses: whether to return the layer's losses, too.
            **kwargs: arguments of the layer.

        Returns:
            `(outputs, non_trainable_variables)`, or `(outputs, non_trainable_variables, losses)`.
        """
        self._check_built("stateless_call")
        trainable, others = self.trainable_variables, self.non_trainable_variables
        for what, given, own in (
            ("trainable_variables", trainable_variables, trainable),
            ("non_trainable_variables", non_trainable_variables, others),
        ):
            if len(given) != len(own):
                raise ValueError(
                    f"stateless_call: `{what}` should hold {len(own)} values, one for each of "
                    f"layer.{what}; received {len(given)}."
                )

        def call():
            with enter(losses=[]):
                outputs = self(*args, **kwargs)
                return outputs, self.losses if return_losses else None

        pure = functionalize(call, [*trainable, *others])
        (outputs, losses), new = pure([*trainable_variables, *non_trainable_variables])
        new = new[len(trainable) :]
        return (outputs, new, losses) if return_losses else (outputs, new)

    # State ------------------------------------------------------------------------------------

    def __setattr__(self, name, value):
        if "_building" not in vars(self):
            if next(_state_in(value), None) is not None:
                raise RuntimeError(_no_super(self))
        elif self.built and not self._building and self._locks_state:
            state = next(_state_in(value), None)
            if isinstance(state, (Variable, Layer)):
                kind = "variable" if isinstance(state, Variable) else "layer"
                raise ValueError(_MSG_BUILT.format(path=self.path, name=name, kind=kind))
        if is_traced(value):
            remember(self, name)
        super().__setattr__(name, value)

    _locks_state = True  # models may get new attributes at any time

    def _check_initialized(self):
        if "_building" not in vars(self):
            raise RuntimeError(_no_super(self))

    def _check_built(self, what):
        if not self.built:
            raise ValueError(
                f"{what} needs the variables of layer '{self.name}', which is not built yet: "
                "call it on data, or call `build(input_shape)`."
            )

    def _state(self, *kinds: type[_T]) -> Iterator[_T]:
        """The variables, layers, metrics and seed generators in the attributes."""
        seen = set()
        for name, value in vars(self).items():
            if name in _NO_STATE:
                continue
            for x in _state_in(value):
                if isinstance(x, kinds) and id(x) not in seen:
                    seen.add(id(x))
                    yield x

    def _sublayers(self):
        return list(self._state(Layer))

    def _flatten_layers(self, recursive=True, include_self=True):
        """This layer and all below it, each once, parents first."""
        seen = {id(self)}
        if include_self:
            yield self
        pending = self._sublayers()[::-1]
        while pending:
            layer = pending.pop()
            if id(layer) not in seen:
                seen.add(id(layer))
                yield layer
                if recursive:
                    pending.extend(layer._sublayers()[::-1])

    def _own_variables(self):
        """Those of the layer itself: the trainable ones first, as in files and `get_weights`."""
        own = list(self._state(Variable))
        return sorted(own, key=lambda v: not v.trainable_by_design)

    @property
    def weights(self):
        """All variables of the layer and its sublayers, without random and recurrent states."""
        found = list(self._own_variables())
        for layer in self._flatten_layers(include_self=False):
            found.extend(layer._own_variables())
        return _unique(found)

    @property
    def variables(self):
        """All variables of the layer and its sublayers, with random and recurrent states."""
        found = []
        for layer in self._flatten_layers():
            found.extend(layer._own_variables())
            found.extend(layer._transient_variables())
        return _unique(found)

    def _transient_variables(self):
        """Those of the layer itself that are no weights: they are neither saved nor set."""
        return [generator.state for generator in self._state(SeedGenerator)]

    @property
    def trainable_variables(self):
        """The variables that optimizers change."""
        return [v for v in self.weights if v.trainable] if self.trainable else []

    @property
    def non_trainable_variables(self):
        """All other variables, random states included."""
        if not self.trainable:
            return self.variables
        return [v for v in self.variables if not v.trainable]

    @property
    def trainable_weights(self):
        """The same as `trainable_variables`."""
        return self.trainable_variables

    @property
    def non_trainable_weights(self):
        """The variables that optimizers don't change, without random states."""
        return [v for v in self.weights if not v.trainable] if self.trainable else self.weights

    @property
    def metrics(self):
        """The metrics of the layer and its sublayers."""
        found = []
        for layer in self._flatten_layers():
            found.extend(layer._state(Metric))
        return _unique(found)

    @property
    def metrics_variables(self):
        """The variables of all metrics."""
        return [v for metric in self.metrics for v in metric.variables]

    @property
    def trainable(self):
        """Whether the variables may be trained; setting it sets it for all sublayers, too."""
        return self._trainable

    @trainable.setter
    def trainable(self, value):
        for layer in self._flatten_layers():
            vars(layer)["_trainable"] = bool(value)
            for variable in layer._own_variables():
                if variable.trainable_by_design:
                    variable.trainable = value

    def count_params(self):
        """The number of elements in all weights."""
        self._check_built("count_params")
        return sum(v.size for v in self.weights)

    def get_weights(self):
        """The values of all weights as a list of NumPy arrays."""
        return [v.numpy() for v in self.weights]

    def set_weights(self, weights):
        """Set all weights from a list of arrays, in the order of `get_weights`.

        Raises:
            ValueError: if the number or a shape differs; nothing is changed then.
        """
        own = self.weights
        if len(weights) != len(own):
            raise ValueError(
                f"Layer '{self.name}' has {len(own)} weights; received a list of {len(weights)}."
                + ("" if self.built else " The layer is not built yet: call it on data first.")
            )
        checked = [v.check_value(w) for v, w in zip(own, weights, strict=True)]
        for variable, value in zip(own, checked, strict=True):
            variable.assign(value)

    def save_own_variables(self, store):
        """Put the layer's own variables into a dict-like store, under `"0"`, `"1"`, …."""
        for i, variable in enumerate(self._saved_variables()):
            store[f"{i}"] = variable

    def _saved_variables(self):
        """The layer's own variables in the order of files."""
        return self._own_variables()

    def load_own_variables(self, store):
        """Set the layer's own variables from what `save_own_variables` stored."""
        own = self._saved_variables()
        if len(store.keys()) != len(own):
            hint = "" if self.built else " The layer is not built, so it has no variables yet."
            raise ValueError(
                f"Layer '{self.path}' ({type(self).__name__}) has {len(own)} variables "
                f"({', '.join(f'{v.name} {v.shape}' for v in own) or 'none'}), but the file holds "
                f"{len(store.keys())} for it.{hint}"
            )
        checked = [v.check_value(store[f"{i}"]) for i, v in enumerate(own)]
        for variable, value in zip(own, checked, strict=True):
            variable.assign(value)

    # Losses -----------------------------------------------------------------------------------

    def add_loss(self, loss):
        """Add a scalar (or a list of them) to the training loss; call it inside `call`."""
        for value in loss if isinstance(loss, (list, tuple)) else [loss]:
            if callable(value):
                value = value()
            sink = current().losses
            (self._losses if sink is None else sink).append((self, value))

    def _clear_losses(self):
        for layer in self._flatten_layers():
            if layer._losses:
                layer._losses.clear()

    @property
    def losses(self):
        """What `add_loss` and activity regularizers gave in the last call, and the weights'
        regularization losses, as a list of scalars."""
        sink = current().losses
        layers = list(self._flatten_layers())
        if sink is None:
            added = [value for layer in layers for _, value in layer._losses]
        else:
            own = {id(layer) for layer in layers}
            added = [value for layer, value in sink if id(layer) in own]
        return added + self._regularization_losses()

    def _regularization_losses(self):
        return [v.regularizer(v.value) for v in self.trainable_variables if v.regularizer]

    def add_metric(self, *args, **kwargs):
        """Not in Keras 3: make the metric in `__init__` and update it in `call`."""
        raise NotImplementedError(
            "Layer.add_metric doesn't exist in Keras 3. Make the metric an attribute in "
            "`__init__` and call its `update_state` in `call`."
        )

    # Description ------------------------------------------------------------------------------

    @property
    def path(self):
        """The names of the enclosing layers and its own, joined by `/`."""
        return vars(self).get("_path") or self.name

    @property
    def dtype_policy(self):
        """The `DTypePolicy`."""
        return self._dtype_policy

    @dtype_policy.setter
    def dtype_policy(self, policy):
        self._dtype_policy = dtype_policies.get(policy)

    @property
    def _own_policy(self):
        """The policy, or its entry for this layer if it is a map by paths."""
        policy = self._dtype_policy
        return policy[self.path] if isinstance(policy, dtype_policies.DTypePolicyMap) else policy

    @property
    def dtype(self):
        """The dtype of the variables; the same as `variable_dtype`."""
        return self._own_policy.variable_dtype

    @property
    def variable_dtype(self):
        """The dtype of the variables."""
        return self._own_policy.variable_dtype

    @property
    def compute_dtype(self):
        """The dtype that `call` computes in."""
        return self._own_policy.compute_dtype

    @property
    def input_dtype(self):
        """The dtype that float inputs are cast to."""
        return self.compute_dtype

    @property
    def quantization_mode(self):
        """The kind of quantization, or `None`."""
        return self._own_policy.quantization_mode

    @property
    def input_spec(self):
        """What inputs must look like: an `InputSpec` or a nested structure of them, or `None`."""
        return self._input_spec

    @input_spec.setter
    def input_spec(self, spec):
        for leaf in jax.tree.leaves(spec, is_leaf=lambda x: isinstance(x, InputSpec)):
            if not isinstance(leaf, InputSpec):
                raise TypeError(
                    expected(f"Layer {self.name}: input_spec", "made of InputSpec objects", leaf)
                )
        self._input_spec = spec

    @property
    def supports_masking(self):
        """Whether the layer hands on the mask of its input."""
        return self._supports_masking

    @supports_masking.setter
    def supports_masking(self, value):
        self._supports_masking = bool(value)

    def quantize(self, mode=None, type_check=True, config=None):
        """Quantize the layer's weights; only some layers can."""
        raise NotImplementedError(f"Layer {type(self).__name__} can't be quantized.")

    def quantized_build(self, input_shape, mode):
        """Make the variables of a quantized layer; only some layers can."""
        raise NotImplementedError(f"Layer {type(self).__name__} can't be quantized.")

    def quantized_call(self, *args, **kwargs):
        """Compute with quantized weights; only some layers can."""
        raise NotImplementedError(f"Layer {type(self).__name__} can't be quantized.")

    def rematerialized_call(self, layer_call, *args, **kwargs):
        """`layer_call(*args, **kwargs)`, recomputed in the backward pass instead of stored."""
        return super().rematerialized_call(layer_call, *args, **kwargs)

    def get_config(self):
        """The constructor's arguments as plain data; `from_config` makes an equal layer.

        The default reads them off the constructor, so a subclass needs its own only for arguments
        that aren't plain data, layers, or other objects with a config.
        """
        config = {"name": self.name, "trainable": self.trainable, "dtype": self.dtype_policy}
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = self.activity_regularizer
        config = {k: objects.config_value(v) for k, v in config.items()}
        config = {k: v for k, v in config.items() if objects.accepts(type(self), k)}
        return {**super().get_config(), **config}

    def __repr__(self):
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


# Attributes of `Layer` itself that never hold state, skipped for speed.
_NO_STATE = {"_inbound_nodes", "_losses", "_build_shapes", "_arguments", "_dtype_policy"}
_NO_STATE |= {"_lasting_states"}  # of recurrent layers: `_transient_variables`
_KINDS = (Variable, Layer, Metric, SeedGenerator)


def _state_in(value):
    """Variables, layers, metrics and seed generators in a value, through nested containers."""
    if isinstance(value, _KINDS):
        yield value
    elif isinstance(value, (list, tuple, set)):
        for x in value:
            yield from _state_in(x)
    elif isinstance(value, dict):
        for x in value.values():
            yield from _state_in(x)


def _unique(values: Iterable[_T]) -> list[_T]:
    return list({id(v): v for v in values}.values())


def _managed(build):
    """Wrap a class's `build`: name scope, bookkeeping, and once only."""

    @functools.wraps(build)
    def managed(self, *args, **kwargs):
        self._check_initialized()
        if self._building:  # `super().build(...)`
            return build(self, *args, **kwargs)
        names = self._scope()
        if self._path is None:
            vars(self)["_path"] = "/".join(names)
        vars(self)["_building"] = True
        try:
            with enter(names=names, autocast=None):
                result = build(self, *args, **kwargs)
            shapes = {**dict(zip(parameters(build), args, strict=False)), **kwargs}
            vars(self).update(_build_shapes=shapes, built=True)
        finally:
            vars(self)["_building"] = False
        return result

    return managed


Layer.build = _managed(Layer.build)


def _no_super(layer):
    cls = type(layer)
    return _MSG_NO_SUPER.format(cls=cls.__name__, base=cls.__bases__[0].__name__)


def _flat_with_none(mask):
    return jax.tree.leaves(mask, is_leaf=lambda x: x is None)


def _map_shapes(fn, value):
    return jax.tree.map(lambda s: fn(tuple(s)), value, is_leaf=is_shape)


def _as_shapes(value):
    """Shapes from a file, where tuples have become lists."""
    if is_shape(value):
        return tuple(value)
    if isinstance(value, dict):
        return {k: _as_shapes(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_shapes(v) for v in value]
    return value
