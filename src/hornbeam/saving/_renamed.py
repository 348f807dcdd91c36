"""Configs of earlier releases, put into the form of today's, and a report of what was mapped.

Everything here is data to data, before any object is made. What is the same in both forms stays as
it is, so that configs of any release may go through.
"""

from typing import Any

from ..core import objects
from ..core.loading import LoadError

# The release whose format this is; Keras reads the field, and checks nothing.
FORMAT_VERSION = "3.15.1"

DROPPED = object()


class Must:
    """An argument that is gone, and meant what is done now as long as it had one of `values`."""

    def __init__(self, *values):
        self.values = values


# Arguments that have another name today, or none; under the release that last wrote them. For each
# class (or "*" for all): the argument, and what became of it: its new name, DROPPED if nothing
# depends on it, or what it must be.
RENAMED = {
    "tf.keras 2": {
        "*": {
            "autocast": DROPPED,
            "batch_input_shape": DROPPED,
            "batch_size": DROPPED,
            "trainable": DROPPED,
        },
        "InputLayer": {"batch_input_shape": "batch_shape", "input_dtype": DROPPED},
        "BatchNormalization": {
            "fused": DROPPED,
            "virtual_batch_size": Must(None),
            "adjustment": Must(None),
        },
        "SyncBatchNormalization": {"fused": DROPPED},
        "Bidirectional": {"input_dim": DROPPED},
        "ConvLSTM1D": {"implementation": DROPPED},
        "ConvLSTM2D": {"implementation": DROPPED},
        "ConvLSTM3D": {"implementation": DROPPED},
        "Dot": {"normalize_axes": DROPPED},
        "Embedding": {"input_length": DROPPED, "sparse": DROPPED},
        "GRU": {"time_major": Must(False), "implementation": DROPPED},
        "GRUCell": {"implementation": DROPPED},
        "LSTM": {"time_major": Must(False), "implementation": DROPPED},
        "LSTMCell": {"implementation": DROPPED},
        "LeakyReLU": {"alpha": "negative_slope"},
        "MultiHeadAttention": {
            "query_shape": DROPPED,
            "key_shape": DROPPED,
            "value_shape": DROPPED,
            "softmax_robust_masking": DROPPED,
        },
        "RNN": {"time_major": Must(False), "constants": Must(None)},
        "RandomContrast": {"fill_mode": DROPPED},
        "SpatialDropout1D": {"noise_shape": Must(None)},
        "SpatialDropout2D": {"noise_shape": Must(None)},
        "SpatialDropout3D": {"noise_shape": Must(None)},
        "SimpleRNN": {"time_major": Must(False)},
        "SeparableConv1D": {
            "groups": Must(1),
            "kernel_initializer": DROPPED,
            "kernel_regularizer": DROPPED,
            "kernel_constraint": DROPPED,
        },
        "SeparableConv2D": {
            "groups": Must(1),
            "kernel_initializer": DROPPED,
            "kernel_regularizer": DROPPED,
            "kernel_constraint": DROPPED,
        },
        "DepthwiseConv1D": {"groups": Must(1), "filters": DROPPED},
        "DepthwiseConv2D": {"groups": Must(1), "filters": DROPPED},
        "Conv1DTranspose": {"groups": Must(1)},
        "Conv2DTranspose": {"groups": Must(1)},
        "Conv3DTranspose": {"groups": Must(1)},
        "ThresholdedReLU": {"theta": "threshold"},
        "optimizers": {
            "decay": Must(0, 0.0, None),
            "is_legacy_optimizer": DROPPED,
            "jit_compile": DROPPED,
        },
        "initializers": {"dtype": DROPPED, "partition_shape": DROPPED},
    },
    "Keras 3.0": {
        "Embedding": {"input_length": DROPPED},
    },
}

# Classes that are another one today.
CLASSES = {
    "Model": "Functional",
    "SyncBatchNormalization": "BatchNormalization",
    "ThresholdedReLU": "ReLU",
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "Policy": "DTypePolicy",
    "PolicyV1": "DTypePolicy",
}
# Arguments that make the new class what the old one was.
IMPLIED = {"SyncBatchNormalization": {"synchronized": True}}

# Attributes that lead to layers, and so are parts of paths in files of weights, of tf.keras 2.
ATTRIBUTES: dict[str, str] = {
    "_layer_checkpoint_dependencies": "layers",
    "_query_dense": "query_dense",
    "_key_dense": "key_dense",
    "_value_dense": "value_dense",
    "_output_dense": "output_dense",
}

# Classes of functions in a graph that are another one today.
OPERATIONS = {"TrueDivide": "Divide"}

_GONE = {
    "CuDNNGRU": "a GRU (its weights have another layout)",
    "CuDNNLSTM": "an LSTM (its weights have another layout)",
    "DenseFeatures": "keras.utils.FeatureSpace",
    "LocallyConnected1D": "keras.ops.unfold and a Dense layer of your own",
    "LocallyConnected2D": "keras.ops.unfold and a Dense layer of your own",
    "RandomHeight": "RandomZoom",
    "RandomWidth": "RandomZoom",
}

# TensorFlow's functions in a graph, and the class of keras.ops that does the same: its name, and
# the names of the arguments by position.
_BINARY = ("x1", "x2")
_FUNCTIONS = {
    "__operators__.add": ("numpy", "Add", _BINARY),
    "math.add": ("numpy", "Add", _BINARY),
    "math.subtract": ("numpy", "Subtract", _BINARY),
    "math.multiply": ("numpy", "Multiply", _BINARY),
    "math.truediv": ("numpy", "Divide", _BINARY),
    "math.divide": ("numpy", "Divide", _BINARY),
    "math.floordiv": ("numpy", "FloorDivide", _BINARY),
    "math.pow": ("numpy", "Power", _BINARY),
    "math.maximum": ("numpy", "Maximum", _BINARY),
    "math.minimum": ("numpy", "Minimum", _BINARY),
    "math.greater": ("numpy", "Greater", _BINARY),
    "math.greater_equal": ("numpy", "GreaterEqual", _BINARY),
    "math.less": ("numpy", "Less", _BINARY),
    "math.less_equal": ("numpy", "LessEqual", _BINARY),
    "linalg.matmul": ("numpy", "Matmul", _BINARY),
    "math.negative": ("numpy", "Negative", ("x",)),
    "math.abs": ("numpy", "Absolute", ("x",)),
    "math.exp": ("numpy", "Exp", ("x",)),
    "math.log": ("numpy", "Log", ("x",)),
    "math.sqrt": ("numpy", "Sqrt", ("x",)),
    "math.square": ("numpy", "Square", ("x",)),
    "math.tanh": ("numpy", "Tanh", ("x",)),
    "math.sin": ("numpy", "Sin", ("x",)),
    "math.cos": ("numpy", "Cos", ("x",)),
    "math.sigmoid": ("nn", "Sigmoid", ("x",)),
    "nn.relu": ("nn", "Relu", ("x",)),
    "nn.softplus": ("nn", "Softplus", ("x",)),
    "nn.silu": ("nn", "Silu", ("x",)),
}
# Those whose further arguments are settings: TensorFlow's name, and that of keras.ops.
_SETTINGS = {
    "math.reduce_mean": ("numpy", "Mean", {"axis": "axis", "keepdims": "keepdims"}),
    "math.reduce_sum": ("numpy", "Sum", {"axis": "axis", "keepdims": "keepdims"}),
    "math.reduce_max": ("numpy", "Max", {"axis": "axis", "keepdims": "keepdims"}),
    "math.reduce_min": ("numpy", "Min", {"axis": "axis", "keepdims": "keepdims"}),
    "nn.softmax": ("nn", "Softmax", {"axis": "axis"}),
    "concat": ("numpy", "Concatenate", {"axis": "axis"}),
    "stack": ("numpy", "Stack", {"axis": "axis"}),
    "expand_dims": ("numpy", "ExpandDims", {"axis": "axis"}),
    "squeeze": ("numpy", "Squeeze", {"axis": "axis"}),
    "reshape": ("numpy", "Reshape", {"shape": "newshape"}),
    "transpose": ("numpy", "Transpose", {"perm": "axes"}),
    "cast": ("core", "Cast", {"dtype": "dtype"}),
    "compat.v1.transpose": ("numpy", "Transpose", {"perm": "axes"}),
}
# The default of an argument there, where it isn't that of keras.ops.
_DEFAULTS = {"nn.softmax": {"axis": -1}}


def upgraded(config, release=None) -> Any:
    """A model's or object's config in today's form.

    Args:
        config: the config, of any release.
        release: the release that wrote it, if that is known.

    Returns:
        `(config, report)`; the report is a list of texts that say what was mapped.
    """
    upgrade = _Upgrade(release not in (None, FORMAT_VERSION))
    return upgrade.value(config), list(upgrade.report)


def upgraded_path(path):
    """A path in a file of weights as it is called today."""
    return "/".join(ATTRIBUTES.get(part) or part for part in path.split("/"))


class _Upgrade:
    """One pass over a config.

    Args:
        unwrap: whether a list of one input or output means that itself, as in Keras up to 3.6.
    """

    def __init__(self, unwrap):
        self.unwrap, self.report = unwrap, {}

    def value(self, value):
        """Any part of the config."""
        if isinstance(value, list):
            return [self.value(x) for x in value]
        if not isinstance(value, dict):
            return value
        if isinstance(value.get("class_name"), str) and isinstance(value.get("config"), dict):
            return self.object(value)
        return {k: self.value(v) for k, v in value.items()}

    def object(self, entry):
        """The description of an object."""
        entry = dict(entry)
        old = entry["class_name"].removeprefix("Custom>")
        if entry["class_name"] != old and objects.published(None, old) is not None:
            entry["class_name"] = old
            entry.pop("registered_name", None)
        module = entry.get("module")
        if isinstance(module, str) and module.partition(".")[0] in ("tf_keras", "keras_core"):
            entry["module"] = "keras" + module[len(module.partition(".")[0]) :]
            if objects.published(None, old) is not None or old in CLASSES:
                entry.pop("registered_name", None)
                entry["module"] = None
        if isinstance(module, str) and module.startswith("keras.src.ops") and old in OPERATIONS:
            entry["class_name"] = OPERATIONS[old]
        if old in _GONE and objects.published("keras.layers", old) is None:
            raise LoadError(f"There is no '{old}' any more; {_GONE[old]} takes its place.")
        config = dict(entry["config"])
        if old in CLASSES and (old != "Model" or "layers" in config):
            entry["class_name"] = new = CLASSES[old]
            entry.pop("module", None)
            config.update(IMPLIED.get(old, {}))
            if old not in ("Model", "Policy", "PolicyV1"):
                self.report[f"{old} is a {new}"] = True
        cls = objects.published(entry.get("module"), entry["class_name"])
        if isinstance(cls, type):
            config = self.rename(old, cls, config)
        if isinstance(config.get("dtype"), dict) and "class_name" not in config["dtype"]:
            config["dtype"] = config["dtype"].get("name")
        if entry["class_name"] == "BatchNormalization" and isinstance(config.get("axis"), list):
            (config["axis"],) = config["axis"]
        if isinstance(config.get("layers"), list) and entry["class_name"] != "StackedRNNCells":
            config = _upgrade_graph(config)
            if self.unwrap:
                config |= {k: _single(config[k]) for k in _ENDS if k in config}
        if isinstance(entry.get("compile_config"), dict):  # what wasn't given is None in Keras 2
            given = {k: v for k, v in entry["compile_config"].items() if v is not None}
            entry["compile_config"] = given
        entry["config"] = {k: self.value(v) for k, v in config.items()}
        return {k: v if k == "config" else self.value(v) for k, v in entry.items()}

    def rename(self, old, cls, config):
        """The config with the arguments that the class has now."""
        config = dict(config)
        for release, classes in RENAMED.items():
            family = (objects.public_name(cls) or ("",))[0].removeprefix("keras.")
            for key in (old, family, "*"):
                for argument, now in classes.get(key, {}).items():
                    if argument not in config or _takes(cls, argument):
                        continue
                    value = config.pop(argument)
                    if isinstance(now, str):
                        config[now] = value
                        self.report[f"{old}({argument}=…) of {release} is {now}"] = True
                    elif isinstance(now, Must) and value not in now.values:
                        raise LoadError(
                            f"A {old} of {release} has {argument}={value!r}, which is gone."
                        )
                    elif key != "*":
                        self.report[f"{old}({argument}=…) of {release} is left out"] = True
        return config


def _takes(cls, argument):
    if argument == "trainable":  # one of those that go on to `Layer`
        return objects.accepts(cls, argument)
    return argument in objects.constructor_parameters(cls)


# Graphs ------------------------------------------------------------------------------------------


def _upgrade_graph(config):
    """The config of a model with calls in Keras 2's form, `[[name, call, tensor, kwargs], …]`."""
    layers = [entry for entry in config["layers"] if isinstance(entry, dict)]
    if any(_is_operation(entry) for entry in layers):
        found = [{**e, "module": _module(e)} if _is_operation(e) else e for e in config["layers"]]
        return {**config, "layers": found}
    if not any(_is_old(entry.get("inbound_nodes")) for entry in layers):
        return config
    # Where a model is called in another, making it counted as its first call.
    later = {
        entry.get("name")
        for entry in layers
        if isinstance(entry.get("config"), dict) and _begins_with_input(entry["config"])
    }
    chains = {e.get("name") for e in layers if e.get("class_name") == "Sequential"}
    names = {entry.get("name") for entry in layers}

    def reference(name, call, tensor):
        return [name, call - (name in later), tensor]

    def tensor(ref):
        history = {"keras_history": reference(*ref[:3])}
        return {"class_name": "__keras_tensor__", "config": history}

    def fill(value):
        """Arguments with tensors in the place of what looks like a reference to one."""
        if not isinstance(value, (list, dict)):
            return value
        if isinstance(value, dict):
            return {k: fill(v) for k, v in value.items()}
        numbers = [type(x) is int for x in value[1:3]]
        is_reference = len(value) in (3, 4) and len(numbers) == 2 and all(numbers)
        if is_reference and isinstance(value[0], str) and value[0] in names:
            return tensor(value)
        return [fill(x) for x in value]

    upgraded = []
    for entry in config["layers"]:
        calls = entry.get("inbound_nodes")
        if _is_old(calls):
            calls = [_call(call, tensor, fill) for call in calls]
        if entry.get("class_name") in ("TFOpLambda", "SlicingOpLambda"):
            entry, calls = _function(entry, calls)
        # The calls build a layer; tf.keras noted one shape also where there are several inputs.
        upgraded.append({k: v for k, v in entry.items() if k != "build_config"})
        upgraded[-1]["inbound_nodes"] = calls

    def outputs(value):
        if isinstance(value, dict):
            return {k: outputs(v) for k, v in value.items()}
        if value and isinstance(value[0], str):
            return reference(*value[:3]) if value[0] in chains else value[:3]
        return [outputs(v) for v in value]

    ends = {key: _single(outputs(config[key])) for key in _ENDS if key in config}
    return {**config, "layers": upgraded, **ends}


_ENDS = ("input_layers", "output_layers")


def _single(references):
    """The one reference in a list of one."""
    alone = isinstance(references, list) and len(references) == 1
    return references[0] if alone and isinstance(references[0], list) else references


def _is_operation(entry):
    """Whether an entry describes a function of keras.ops, of which .h5 files don't say so."""
    config, calls = entry.get("config"), entry.get("inbound_nodes")
    if "module" in entry or not isinstance(config, dict) or "trainable" in config:
        return False
    called = isinstance(calls, list) and bool(calls) and not _is_old(calls)
    is_layer = objects.published("keras.layers", entry.get("class_name")) is not None
    return called and not (is_layer and "dtype" in config)


def _module(entry):
    is_activation = entry["class_name"] in ("Mish", "ReLU")
    return "keras.src.activations.activations" if is_activation else "keras.src.ops.numpy"


def _is_old(calls):
    return (
        isinstance(calls, list)
        and bool(calls)
        and all(isinstance(c, (list, dict)) for c in calls)
        and not all(isinstance(c, dict) and "args" in c for c in calls)
    )


def _begins_with_input(config):
    layers = config.get("layers")
    first = layers[0] if isinstance(layers, list) and layers else None
    return isinstance(first, dict) and first.get("class_name") == "InputLayer"


def _call(call, tensor, fill):
    """One call as `{"args": …, "kwargs": …}`."""
    if isinstance(call, dict):  # inputs by name
        return {"args": [fill(call)], "kwargs": {}}
    if call and isinstance(call[0], str):
        call = [call]
    inputs = [tensor(ref) if ref[0] != "_CONSTANT_VALUE" else ref[2] for ref in call]
    kwargs = fill(call[0][3]) if len(call[0]) > 3 else {}
    kwargs.pop("name", None)
    return {"args": [inputs[0] if len(inputs) == 1 else inputs], "kwargs": kwargs}


def _function(entry, calls):
    """The entry of a function of keras.ops for one of TensorFlow."""
    name = entry["config"].get("function", "")
    (call,) = calls
    operand, kwargs = call["args"][0], dict(call["kwargs"])
    settings = {}
    if name == "__operators__.getitem":
        module, class_name, args = "numpy", "GetItem", [operand, _index(kwargs["slice_spec"])]
    elif name in _FUNCTIONS:
        module, class_name, parameters = _FUNCTIONS[name]
        args = [operand] if len(parameters) == 1 else [operand, _only(name, kwargs)]
    elif name in _SETTINGS:
        module, class_name, known = _SETTINGS[name]
        kwargs = {**_DEFAULTS.get(name, {}), **kwargs}
        if strange := [k for k in kwargs if k not in known and kwargs[k] is not None]:
            raise _no_function(name, f" with {', '.join(strange)}")
        settings = {known[k]: v for k, v in kwargs.items() if k in known}
        args = [operand]
    else:
        raise _no_function(name)
    config = {"name": entry["config"]["name"], **settings}
    module = f"keras.src.ops.{module}"
    found = {"module": module, "class_name": class_name, "config": config, "name": entry["name"]}
    return found, [{"args": args, "kwargs": {}}]


def _only(name, kwargs):
    """The second operand, which TensorFlow's functions call by different names."""
    for key in ("y", "b"):
        if key in kwargs:
            value = kwargs.pop(key)
            if not any(kwargs.values()):
                return value
    raise _no_function(name, f" with {', '.join(kwargs) or 'one argument'}")


def _no_function(name, how=""):
    return LoadError(
        f"The model calls TensorFlow's function tf.{name}{how} on symbolic tensors, of which there "
        "is no counterpart here. Put the call into a layer of your own, and save the model again."
    )


def _index(spec):
    """What stands between the brackets."""

    def part(value):
        if isinstance(value, dict) and "start" in value:
            return {"class_name": "__slice__", "config": value}
        return {"class_name": "__ellipsis__", "config": {}} if value == "..." else value

    return [part(x) for x in spec] if isinstance(spec, list) else part(spec)
