"""Ordering and replaying a recorded graph."""

from .loading import budget
from .scope import watched
from .symbolic import flatten


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
    if (counts := budget()) is not None:  # models that call each other twice add up
        counts.count_calls(len(nodes))
    for node in nodes:
        if all(id(x) in feed for x in node.outputs):
            continue
        args, kwargs = node.fill(lambda x: feed[id(x)])
        results = watched(node.operation, "outputs", node.operation(*args, **kwargs))
        results = [results] if hasattr(results, "shape") else flatten(results)[0]
        for tensor, result in zip(node.outputs, results, strict=True):
            feed[id(tensor)] = result
    return feed
