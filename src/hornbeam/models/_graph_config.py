"""Graphs of layers as plain data in Keras's form, and back."""

import functools
import inspect
import types

from .. import activations, ops
from ..core import dtypes, objects
from ..core.loading import check_limit, count_calls, is_loading
from ..core.messages import did_you_mean
from ..core.symbolic import FunctionCall, KerasTensor, flatten, tree_map
from ..layers import InputLayer

# Models to data ----------------------------------------------------------------------------------


def functional_config(model):
    """The config of a model made from symbolic tensors."""
    function = model._function
    nodes = _nodes_by_operation(function)
    place = {}  # {id of a tensor: (operation, which of its calls, which output)}
    for operation, calls in nodes:
        for i, node in enumerate(calls):
            for x in node.outputs:
                place[id(x)] = operation, i, x.index

    def reference(x, of_output=False):
        operation, node_index, index = place[id(x)]
        return [operation.name, node_index + (of_output and _counts_from_one(operation)), index]

    def describe(x):
        config = {"shape": list(x.shape), "dtype": x.dtype, "keras_history": reference(x)}
        return {"class_name": "__keras_tensor__", "config": config}

    layers = []
    for operation, calls in nodes:
        if isinstance(operation, FunctionCall):
            (node,) = calls
            entry, args = _describe_function_call(operation, node)
            inbound = [{"args": _as_data(args, describe), "kwargs": {}}]
        else:
            entry = objects.serialize(operation)
            inbound = [
                {
                    "args": _as_data(node.args, describe),
                    "kwargs": _as_data(node.kwargs, describe),
                }
                for node in calls
                if not node.is_input
            ]
        layers.append({**entry, "name": operation.name, "inbound_nodes": inbound})
    return {
        "name": model.name,
        "trainable": model.trainable,
        "layers": layers,
        "input_layers": tree_map(reference, function._inputs_struct),
        "output_layers": tree_map(lambda x: reference(x, True), function._outputs_struct),
    }


def sequential_config(model):
    """The config of a `Sequential`, its `Input` included."""
    config = {
        "name": model.name,
        "trainable": model.trainable,
        "dtype": objects.serialize(model.dtype_policy),
        "layers": [objects.serialize(layer) for layer in model._layers],
    }
    if model._function is not None:
        config["build_input_shape"] = list(model.input_shape)
    return config


def _nodes_by_operation(function):
    """Pairs `(operation, its calls in this graph)`, the calls in the order they were made."""
    inside = {id(node) for node in function.nodes}
    return [
        (operation, [node for node in operation._inbound_nodes if id(node) in inside])
        for operation in function.operations
    ]


def _counts_from_one(operation):
    """Whether Keras's files count the calls of this model from 1 where they list outputs.

    In Keras, making a functional model counts as its first call.
    """
    is_graph = getattr(operation, "_function", None) is not None
    return is_graph and all(cls.__name__ != "Sequential" for cls in type(operation).__mro__)


def _as_data(value, describe):
    """Arguments of a call as data: tuples are written as lists, tensors by `describe`."""
    if isinstance(value, KerasTensor):
        return describe(value)
    if isinstance(value, (list, tuple)):
        return [_as_data(x, describe) for x in value]
    if isinstance(value, dict):
        return {k: _as_data(x, describe) for k, x in value.items()}
    return objects.serialize(value)


# Data to models ----------------------------------------------------------------------------------


def build_functional(config):
    """What `functional_config` described, as the arguments of `Model`: a dict of inputs, outputs,
    name, trainable.

    Raises:
        ValueError: if the description is incomplete or contradicts itself.
    """
    missing = {"layers", "input_layers", "output_layers"} - set(config)
    if missing:
        raise ValueError(
            f"The config of a functional model lacks {', '.join(sorted(map(repr, missing)))}; it "
            f"has {sorted(config)}."
        )
    if is_loading():
        calls = sum(len(entry.get("inbound_nodes", ())) for entry in config["layers"])
        check_limit(f"The config of '{config.get('name')}' has … calls of layers", calls, "calls")
    operations, tensors, waiting = {}, {}, {}
    for entry in config["layers"]:
        name = entry.get("name") or entry["config"]["name"]
        if name in operations:
            raise ValueError(f"The config names two layers '{name}'.")
        operations[name] = operation = _revive_operation(entry, name)
        if isinstance(operation, InputLayer):
            tensors[name, 0] = [operation.output]
        waiting[name] = list(enumerate(entry.get("inbound_nodes", ())))
    while any(waiting.values()):  # layers may be listed in any order
        progress = False
        for name, calls in waiting.items():
            while calls:
                index, node = calls[0]
                try:
                    args, kwargs = _arguments(node, tensors)
                except _NotYet:
                    break
                tensors[name, index] = _call(operations[name], args, kwargs)
                calls.pop(0)
                progress = True
        if not progress:
            stuck = [name for name, calls in waiting.items() if calls]
            raise ValueError(
                f"The config of '{config.get('name')}' is broken: the inputs of "
                f"{', '.join(map(repr, stuck[:5]))} can't be found in it."
            )

    def tensor(reference, of_output=False):
        name, node_index, index = reference
        if of_output and node_index and _counts_from_one(operations.get(name)):
            node_index -= 1
        return _tensor(tensors, name, node_index, index)

    try:
        return {
            "inputs": _map_references(tensor, config["input_layers"]),
            "outputs": _map_references(lambda r: tensor(r, True), config["output_layers"]),
            "name": config.get("name"),
            "trainable": config.get("trainable", True),
        }
    except _NotYet as error:
        raise ValueError(
            f"The config of '{config.get('name')}' is broken: it has no tensor {error}. "
            + did_you_mean(error.args[0][0], operations)
        ) from None


def build_sequential(cls, config):
    """The `Sequential`, or subclass of it, that `sequential_config` described."""
    if not isinstance(config.get("layers"), list):
        raise ValueError(
            "The config of a Sequential should have a list 'layers'; it has the keys "
            f"{sorted(config)}."
        )
    known = {k: config[k] for k in ("name", "trainable") if objects.accepts(cls, k) and k in config}
    layers = [objects.deserialize(layer) for layer in config["layers"]]
    # A subclass may make its layers itself.
    model = cls(layers=layers, **known) if objects.accepts(cls, "layers") else cls(**known)
    if model._function is None and config.get("build_input_shape"):
        model.build(tuple(config["build_input_shape"]))
    return model


class _NotYet(Exception):
    """A tensor that no call has made so far."""


def _tensor(tensors, name, node_index, index):
    try:
        return tensors[name, node_index][index]
    except (KeyError, IndexError, TypeError):
        raise _NotYet((name, node_index, index)) from None


def _map_references(fn, structure):
    if isinstance(structure, dict):
        return {k: _map_references(fn, v) for k, v in structure.items()}
    if len(structure) == 3 and isinstance(structure[0], str) and isinstance(structure[1], int):
        return fn(structure)
    return [_map_references(fn, v) for v in structure]


def _revive_operation(entry, name):
    module = entry.get("module") or ""
    if module.startswith(("keras.src.ops", "keras.src.activations")):
        return functools.partial(_call_function, entry, _function_of(entry), name)
    return objects.deserialize(entry)


def _arguments(node, tensors):
    """The arguments of one call, with tensors in the place of references."""
    if isinstance(node, list):  # the form of Keras 2: [[name, node, tensor, kwargs], ...]
        inputs = [_tensor(tensors, *reference[:3]) for reference in node]
        args = [inputs[0] if len(inputs) == 1 else inputs]
        kwargs = node[0][3] if len(node[0]) > 3 else {}
        return args, kwargs

    def fill(value):
        if isinstance(value, list):
            return [fill(x) for x in value]
        if not isinstance(value, dict):
            return value
        if value.get("class_name") == "__keras_tensor__":
            return _tensor(tensors, *value["config"]["keras_history"])
        if "class_name" in value and "config" in value:
            return objects.deserialize(value)
        return {k: fill(x) for k, x in value.items()}

    return fill(node["args"]), fill(node["kwargs"])


def _call(operation, args, kwargs):
    """The flat outputs of a call."""
    if not isinstance(operation, functools.partial):
        kwargs = _wanted(operation, kwargs)
    else:
        count_calls()  # layers count their calls themselves
    return flatten(operation(*args, **kwargs))[0]


def _wanted(layer, kwargs):
    """Keras also notes arguments that nobody passed; those that say nothing are left out.

    `training=False` is noted for layers whose default it is: it doesn't mean that the layer must
    not train in a model that trains.
    """
    parameters = inspect.signature(layer.call).parameters
    kwargs = dict(kwargs)
    if kwargs.get("mask") is None or "mask" not in parameters:
        kwargs.pop("mask", None)  # masks also travel by themselves
    training = kwargs.get("training")
    default = parameters["training"].default if "training" in parameters else None
    if training is None or (training is False and default is False):
        kwargs.pop("training", None)
    return kwargs


# Functions of keras.ops --------------------------------------------------------------------------
#
# Keras has a class for each: what its constructor takes stands in the config, what its call takes
# in the node's arguments. Which parameter is which follows from its name, and the class's name
# from the function's, but for the exceptions below.

_OPERAND_NAMES = """
    x x1 x2 xs y a b q f fun key kernel depthwise_kernel pointwise_kernel data segment_ids inputs
    indices updates start_indices start stop step target output images image1 image2 transform
    translation output_shape elems elements values sequence_lengths target_length output_length
    pred true_fn false_fn bins query value bias mask scale offset mean variance gamma beta init
    init_val targets predictions rtol atol primals tangents coordinates constant_values
    start_points end_points abs_ angle tensor pattern array weights sorted_sequence condlist
    choicelist default variable index branches condition loop_vars operands
"""
_OPERANDS = set(_OPERAND_NAMES.split())
# Parameters named like operands that are settings all the same, and the other way round.
_SETTINGS = {
    "allclose": {"rtol", "atol"},
    "bincount": {"weights"},
    "histogram": {"bins"},
    "squareplus": {"b"},
    "trapezoid": {"x"},
}
_FURTHER_OPERANDS = {"full_like": {"fill_value"}}

_CLASS_NAMES = {
    "allclose": "AllClose",
    "batch_normalization": "BatchNorm",
    "cdist": "CDist",
    "ctc_decode": "CTCDecode",
    "ctc_loss": "CTCLoss",
    "exponential": "Exp",
    "fft": "FFT",
    "fft2": "FFT2",
    "hard_swish": "HardSilu",
    "hsv_to_rgb": "HSVToRGB",
    "ifft2": "IFFT2",
    "irfft": "IRFFT",
    "isin": "IsIn",
    "istft": "ISTFT",
    "jvp": "JVP",
    "layer_normalization": "LayerNorm",
    "psnr": "PSNR",
    "rfft": "RFFT",
    "rgb_to_grayscale": "RGBToGrayscale",
    "rgb_to_hsv": "RGBToHSV",
    "rms_normalization": "RMSNorm",
    "searchsorted": "SearchSorted",
    "ssim": "SSIM",
    "stft": "STFT",
    "svd": "SVD",
    "swish": "Silu",
}
# Those of Keras's activations that aren't ops.
_ACTIVATIONS = {"relu": "ReLU", "mish": "Mish"}

# The module of each class in Keras; those that are missing here are in "numpy".
_MODULES = {
    "core": "associative_scan cast cond convert_to_tensor fori_loop map saturate_cast scan scatter"
    " scatter_update slice slice_update stop_gradient switch unstack vectorized_map while_loop",
    "einops": "rearrange",
    "image": "affine_transform crop_images elastic_transform extract_patches gaussian_blur"
    " hsv_to_rgb map_coordinates pad_images perspective_transform resize rgb_to_grayscale"
    " rgb_to_hsv scale_and_translate sobel_edges ssim",
    "linalg": "cholesky cholesky_inverse det eig eigh inv jvp lstsq lu_factor matrix_rank norm"
    " pinv qr solve solve_triangular svd",
    "math": "cdist erf erfc erfinv extract_sequences fft fft2 ifft2 in_top_k irfft istft logdet"
    " logsumexp rfft rsqrt segment_max segment_min segment_prod segment_sum stft top_k"
    " view_as_complex view_as_real",
    "nn": "adaptive_average_pool adaptive_max_pool average_pool batch_normalization"
    " binary_crossentropy categorical_crossentropy celu conv conv_transpose ctc_decode ctc_loss"
    " depth_to_space depthwise_conv dot_product_attention elu fold gelu glu hard_shrink"
    " hard_sigmoid hard_silu hard_swish hard_tanh layer_normalization leaky_relu log_sigmoid"
    " log_softmax max_pool moments multi_hot normalize one_hot polar psnr relu relu6"
    " rms_normalization selu separable_conv sigmoid silu soft_shrink softmax softplus softsign"
    " space_to_depth sparse_categorical_crossentropy sparse_plus sparse_sigmoid sparsemax"
    " squareplus swish tanh_shrink threshold unfold",
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names.split()}


def _describe_function_call(call, node):
    """The entry of a recorded function call, without its node, and the operands in order."""
    function = call.function
    name = function.__name__
    is_activation = function.__module__.endswith(".activations")
    if not is_activation and _functions().get(_class_name(name)) is not function:
        raise ValueError(
            f"'{call.name}' calls {function.__module__}.{name} on symbolic tensors. A file can "
            "name layers and functions of keras.ops only: put the call into a Layer's `call`."
        )
    if is_activation and name in _ACTIVATIONS:
        module, class_name = "keras.src.activations.activations", _ACTIVATIONS[name]
    else:
        class_name = _class_name(name)
        module = f"keras.src.ops.{_MODULE_OF.get(name, 'numpy')}"
    bound = inspect.signature(function).bind(*node.args, **node.kwargs)
    bound.apply_defaults()
    operands, settings = [], {}
    for parameter in bound.signature.parameters.values():
        value = bound.arguments[parameter.name]
        if parameter.kind is parameter.VAR_POSITIONAL:
            operands.extend(value)
        elif parameter.kind is parameter.VAR_KEYWORD:
            settings.update(value)
        elif _is_operand(name, parameter.name):
            operands.append(value)
        else:
            settings[parameter.name] = value
    if settings.get("dtype") is not None:
        settings["dtype"] = dtypes.standardize_dtype(settings["dtype"])
    config = {"name": call.name, **{k: _as_data(v, None) for k, v in settings.items()}}
    entry = {
        "module": module,
        "class_name": class_name,
        "config": config,
        "registered_name": class_name,
    }
    return entry, operands


def _class_name(name):
    return _CLASS_NAMES.get(name) or "".join(part.capitalize() for part in name.split("_"))


def _is_operand(function_name, parameter):
    if parameter in _FURTHER_OPERANDS.get(function_name, ()):
        return True
    return parameter in _OPERANDS and parameter not in _SETTINGS.get(function_name, ())


def _function_of(entry):
    """The function that an entry's class stands for."""
    class_name = entry["class_name"]
    if entry["module"].startswith("keras.src.activations"):
        found = getattr(activations, class_name.lower(), None)
        if found is not None and class_name.lower() in activations.__all__:
            return found
    found = _functions().get(class_name)
    if found is None:
        raise ValueError(
            f"The file uses the function '{class_name}' of {entry['module']}, which hornbeam's "
            f"keras.ops doesn't have. {did_you_mean(class_name, _functions())}"
        )
    return found


@functools.cache
def _functions():
    """`{class name: function}` for the functions of `keras.ops`."""
    found = {}
    for namespace in (ops, *(m for m in vars(ops).values() if isinstance(m, types.ModuleType))):
        for name in getattr(namespace, "__all__", ()):
            function = getattr(namespace, name)
            if callable(function) and hasattr(function, "elementwise"):
                # An alias (`swish`) stands behind the function's own name.
                found.setdefault(_class_name(function.__name__), function)
    return found


def _call_function(entry, function, name, *operands, **kwargs):
    """Call a function as an entry says: its config holds the settings."""
    settings = {k: _as_tuples(v) for k, v in entry["config"].items() if k != "name"}
    parameters = inspect.signature(function).parameters
    any_keyword = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for key in settings.keys() - parameters.keys():
        if not settings[key]:
            del settings[key]  # a switch that is off
        elif not any_keyword:
            raise ValueError(
                f"The file sets {key}={settings[key]!r} for the function '{function.__name__}' "
                f"('{name}'), which has no such parameter."
            )
    named, operands, args = {**settings, **kwargs}, list(operands), []
    for parameter in parameters.values():
        if parameter.kind is parameter.VAR_POSITIONAL:  # what stands before it can't be named
            args = [named.pop(p) for p in parameters if p in named] + operands
            operands = []
        elif not operands or parameter.name in named:
            continue
        elif _is_operand(function.__name__, parameter.name):
            named[parameter.name] = operands.pop(0)
    if operands:
        raise ValueError(
            f"The file calls the function '{function.__name__}' ('{name}') with "
            f"{len(operands)} operands too many."
        )
    if isinstance(named.get("key"), list):  # x[:, 0]
        named["key"] = tuple(named["key"])
    return FunctionCall(function, name).symbolic_call(*args, **named)


def _as_tuples(value):
    return tuple(_as_tuples(x) for x in value) if isinstance(value, list) else value
