"""`model.summary()`: the layers of a model as a table."""

import io
import re
import shutil

import jax

from ..core import objects
from ..core.messages import missing_package
from ..core.symbolic import KerasTensor


def print_summary(
    model, line_length, positions, print_fn, expand_nested, show_trainable, layer_range
):
    """Print the table of a model's layers; see `Model.summary`."""
    text = summary_text(model, line_length, positions, expand_nested, show_trainable, layer_range)
    (print_fn or print)(text)


def summary_text(
    model,
    line_length=None,
    positions=None,
    expand_nested=False,
    show_trainable=False,
    layer_range=None,
):
    """The table as a text."""
    try:
        import rich.console
        import rich.table
    except ImportError:
        raise missing_package("rich", "all", "summary()") from None
    connected = model._function is not None and not _is_chain(model)
    headers = ["Layer (type)", "Output Shape", "Param #"]
    headers += ["Connected to"] if connected else []
    headers += ["Trainable"] if show_trainable else []
    table = rich.table.Table(*headers, show_lines=True)
    table.columns[2].justify = "right"
    for i, share in enumerate(positions or []):
        table.columns[i].ratio = share
    for depth, layer in _rows(model, expand_nested, layer_range):
        row = [
            "  " * depth + f"{layer.name} ({objects.class_name(layer)})",
            _output_shape(layer),
            f"{layer.count_params():,}" if layer.built else "0 (unbuilt)",
        ]
        row += [_connections(model, layer)] if connected else []
        row += ["Y" if layer.trainable else "N"] if show_trainable else []
        table.add_row(*row)
    # Narrower than the terminal, so that lines stay whole when they are copied.
    width = line_length or min(shutil.get_terminal_size().columns, 110 if connected else 80)
    text = io.StringIO()
    console = rich.console.Console(file=text, width=width, color_system=None)
    console.print(f'Model: "{model.name}"', highlight=False)
    console.print(table)
    for what, variables in _totals(model):
        size = sum(v.size * _bytes(v) for v in variables)
        count = sum(v.size for v in variables)
        console.print(f" {what} params: {count:,} ({_readable(size)})", highlight=False)
    return text.getvalue()


def _totals(model):
    trainable, others = model.trainable_weights, model.non_trainable_weights
    yield "Total", [*trainable, *others]
    yield "Trainable", trainable
    yield "Non-trainable", others
    if model.optimizer is not None and model.optimizer.built:
        yield "Optimizer", model.optimizer.variables


def _bytes(variable):
    return variable._array.dtype.itemsize


def _readable(size):
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1024 or unit == "GB":
            return f"{size:.2f} {unit}"
        size /= 1024


def _rows(model, expand_nested, layer_range, depth=0):
    layers = model._layers if model._function is not None and depth == 0 else model.layers
    if model._function is not None and _is_chain(model):
        layers = model.layers
    if layer_range is not None:
        layers = _between(layers, layer_range)
    for layer in layers:
        yield depth, layer
        if expand_nested and hasattr(layer, "_function"):
            yield from _rows(layer, expand_nested, None, depth + 1)


def _between(layers, layer_range):
    if len(layer_range) != 2:
        raise ValueError(
            f"layer_range is a pair: the first and the last layer's name; received {layer_range}."
        )
    found = []
    for pattern in layer_range:
        hits = [i for i, layer in enumerate(layers) if re.match(pattern, layer.name)]
        if not hits:
            raise ValueError(
                f"layer_range: no layer is named {pattern!r}. "
                f"There are {', '.join(layer.name for layer in layers)}."
            )
        found.append(hits)
    return layers[min(found[0]) : max(found[1]) + 1]


def _is_chain(model):
    """Whether every layer takes just the output of the one before it."""
    function = model._function
    if len(function.inputs) != 1 or len(function.operations) != len(model._layers):
        return False
    return all(
        len(node.inputs) == 1 and node.inputs[0].node is before
        for before, node in zip(function.nodes, function.nodes[1:], strict=False)
    )


def _output_shape(layer):
    nodes = layer._inbound_nodes
    if nodes:
        shapes = [str(x.shape) for x in nodes[-1].outputs]
        return ", ".join(shapes)
    shapes = layer._build_shapes
    if layer.built and shapes and len(shapes) == 1:
        try:
            outputs = layer.compute_output_shape(*shapes.values())
        except Exception:  # a layer whose call needs more than its shapes say
            return "?"
        leaves = jax.tree.leaves(outputs, is_leaf=lambda s: isinstance(s, tuple))
        return ", ".join(map(str, leaves))
    return "?"


def _connections(model, layer):
    members = set(map(id, model._function.nodes))
    sources = []
    for node in layer._inbound_nodes:
        if id(node) in members:
            for x in node.inputs:
                if isinstance(x, KerasTensor) and x.node is not None:
                    sources.append(f"{x.node.operation.name}[{x.index}]")
    return ", ".join(sources) or "-"
