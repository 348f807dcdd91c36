"""Ordering and replaying a recorded graph, and splitting it between host and device."""

from typing import Any

import jax
import numpy as np

from . import dtypes
from .loading import count_calls
from .scope import watched
from .symbolic import Node, flatten


def sort_nodes(inputs, outputs):
    """The nodes between `inputs` and `outputs`, in the order in which to run them.

    The order is Keras's, since the numbering of layers in its files follows from it: by distance
    from the outputs (the longest path counts), farthest first, and at the same distance in the
    order in which a walk from the outputs meets the operations.

    Args:
        inputs, outputs: flat lists of `KerasTensor`s.

    Returns:
        List of `Node`s.

    Raises:
        ValueError: if an output depends on a tensor that `inputs` doesn't lead to.
    """
    given = {id(x) for x in inputs}
    met = {}  # {operation's id: when the walk met it}
    finished, post_order = set(), []
    # Depth first with an explicit stack, since graphs may be thousands of nodes deep.
    stack = [(output, False) for output in reversed(outputs)]
    while stack:
        tensor, expanded = stack.pop()
        node = tensor.node
        if node is None or (node.is_input and id(tensor) not in given):
            raise ValueError(
                f"The graph isn't connected: the output depends on {tensor!r} (from "
                f"'{node.operation.name if node else 'nothing'}'), which is not among the model's "
                "inputs. Add it to `inputs`."
            )
        if id(node) in finished:
            continue
        if expanded:
            finished.add(id(node))
            post_order.append(node)
            continue
        met.setdefault(id(node.operation), len(met))
        stack.append((tensor, True))
        if id(tensor) not in given:
            stack.extend((x, False) for x in reversed(node.inputs))
    for x in inputs:  # an input that no output needs is still an input
        if id(x.node) not in finished:
            finished.add(id(x.node))
            post_order.append(x.node)
            met.setdefault(id(x.node.operation), len(met))
    node_depth, depth = {}, {}
    for node in reversed(post_order):
        here = max(node_depth.get(id(node), 0), depth.get(id(node.operation), 0))
        node_depth[id(node)] = depth[id(node.operation)] = here
        if not all(id(x) in given for x in node.outputs):
            for x in node.inputs:
                node_depth[id(x.node)] = max(here + 1, node_depth.get(id(x.node), 0))
    return sorted(post_order, key=lambda n: (-node_depth[id(n)], met[id(n.operation)]))


def replay(nodes, feed):
    """Run `nodes` in order.

    Args:
        nodes: what `sort_nodes` returned.
        feed: dict from the id of each input tensor to its array.

    Returns:
        `feed`, with an array for the id of every tensor that the nodes made.
    """
    count_calls(len(nodes))  # models that call each other twice add up
    for node in nodes:
        if all(id(x) in feed for x in node.outputs):
            continue
        args, kwargs = node.fill(lambda x: feed[id(x)])
        results = watched(node.operation, "outputs", node.operation(*args, **kwargs))
        results = [results] if hasattr(results, "shape") else flatten(results)[0]
        for tensor, result in zip(node.outputs, results, strict=True):
            feed[id(tensor)] = result
    return feed


class Staged:
    """What the host part of a model hands to the rest: a tree of arrays that stands for inputs."""

    def __init__(self, values):
        self.values = tuple(values)


jax.tree_util.register_pytree_node(Staged, lambda s: (s.values, None), lambda _, v: Staged(v))


class Split:
    """Which nodes of a graph run on the host, ahead of those that are compiled.

    An operation says in `_stage` where it runs: on the "device", which is the rule, on the "host",
    on "either", as others need it, or "split", which means a model with a split of its own.

    Args:
        nodes: what `sort_nodes` returned.
        outputs: flat list of the graph's outputs.

    Attributes:
        needed: the tensors that the host part takes.
        kept: what comes over to the device: tensors, and the node of each split model inside, for
            what its host part makes.

    Raises:
        ValueError: if something on the host depends on something that is compiled.
    """

    def __init__(self, nodes, outputs):
        stages: dict[int, str] = {}  # of the nodes that have a part on the host
        needed: dict[int, Any] = {}  # {tensor's id: the node that takes it there}
        for node in reversed(nodes):
            if node.is_input:
                continue
            stage = getattr(node.operation, "_stage", "device")
            takers = [needed[id(x)] for x in node.outputs if id(x) in needed]
            if takers and stage in ("device", "split"):
                raise ValueError(_no_prefix(node.operation, takers[0].operation))
            if stage in ("host", "split") or takers:
                stages[id(node)] = stage
                needed.update((id(x), node) for x in node.inputs)
        self.needed = [x for n in nodes for x in n.outputs if id(x) in needed]
        self.host = [n for n in nodes if id(n) in stages]
        self.device = [n for n in nodes if not n.is_input and stages.get(id(n)) in (None, "split")]
        made = {id(x) for n in self.device for x in n.outputs}
        staged_inputs = {id(n) for n in self.host}
        taken = [x for n in self.device if id(n) not in staged_inputs for x in n.inputs]
        kept = {id(x): x for x in (*taken, *outputs) if id(x) not in made}
        self.kept = [*kept.values(), *(n for n in self.host if stages[id(n)] == "split")]

    @property
    def fixed_shapes(self):
        """Whether only the number of rows of what comes over is open."""
        return all(
            x.operation.stages_fixed_shapes if isinstance(x, Node) else None not in x.shape[1:]
            for x in self.kept
        )

    def run_host(self, feed, symbolic=False):
        """Run the host part on `{input's id: value}`; returns that and what was computed.

        Args:
            symbolic: whether values are `KerasTensor`s, and shapes are to be found.
        """
        for node in self.host:
            args, kwargs = node.fill(lambda x: feed[id(x)])
            operation = node.operation
            if operation._stage == "split":
                feed[id(node)] = (
                    operation._stage_spec(*args) if symbolic else operation.stage(*args)
                )
                continue
            if symbolic:
                results = operation.compute_output_spec(*args, **kwargs)
            elif operation._stage == "host":
                results = operation._host_call(*args, **kwargs)
            else:
                results = jax.tree.map(np.asarray, operation(*args, **kwargs))
            results = [results] if hasattr(results, "shape") else flatten(results)[0]
            feed.update((id(x), r) for x, r in zip(node.outputs, results, strict=True))
        return feed

    def staged(self, feed):
        """What comes over to the device, of what `run_host` returned, as a `Staged`."""
        for x in self.kept:
            value = feed[id(x)]
            if isinstance(value, np.ndarray) and dtypes.is_text(value):
                raise TypeError(
                    f"Layer '{x.node.operation.name}' gives text or ragged lists, which can't go "
                    "into the compiled part of the model. Put a layer behind it that makes numbers "
                    "of them, or call the model directly: `model(x)`."
                )
        return Staged(feed[id(x)] for x in self.kept)

    def run_device(self, staged):
        """Run the rest on a `Staged`; returns `{tensor's id: array}`."""
        feed = {id(x): value for x, value in zip(self.kept, staged.values, strict=True)}
        for node in self.device:
            if id(node) not in feed:
                replay([node], feed)
                continue
            args, kwargs = node.fill(lambda x: feed.get(id(x)))
            results = node.operation(feed[id(node)], *args[1:], **kwargs)
            feed.update((id(x), r) for x, r in zip(node.outputs, flatten(results)[0], strict=True))
        return feed


def split(nodes, outputs):
    """The `Split` of a graph, or `None` if all of it is compiled."""
    found = Split(nodes, outputs)
    return found if found.host else None


def _no_prefix(compiled, on_host):
    return (
        f"Layer '{on_host.name}' ({type(on_host).__name__}) works on the host, and takes what "
        f"'{compiled.name}' ({type(compiled).__name__}) computes on the device. Layers of the host "
        "stand next to the inputs of a model, in front of all others: move "
        f"'{on_host.name}' there, or call it on the model's results."
    )
