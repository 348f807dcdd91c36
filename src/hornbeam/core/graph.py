"""Ordering and replaying a recorded graph."""

from .symbolic import flatten


def sort_nodes(inputs, outputs):
    """The nodes between `inputs` and `outputs`, each after those whose results it takes.

    Args:
        inputs, outputs: flat lists of `KerasTensor`s.

    Returns:
        List of `Node`s, those that made `inputs` first, in the order of `inputs`.

    Raises:
        ValueError: if an output depends on a tensor that `inputs` doesn't lead to.
    """
    given = {id(x) for x in inputs}
    done, order = set(), []
    # Depth first with an explicit stack, since graphs may be thousands of nodes deep.
    stack = [(output, False) for output in reversed(outputs)]
    while stack:
        tensor, expanded = stack.pop()
        if id(tensor) in given:
            continue
        node = tensor.node
        if node is None or node.is_input:
            raise ValueError(
                f"The graph isn't connected: the output depends on {tensor!r} (from "
                f"'{node.operation.name if node else 'nothing'}'), which is not among the model's "
                "inputs. Add it to `inputs`."
            )
        if id(node) in done:
            continue
        if expanded:
            done.add(id(node))
            order.append(node)
        else:
            stack.append((tensor, True))
            stack.extend((x, False) for x in reversed(node.inputs))
    starts = []
    for x in inputs:
        if x.node is not None and x.node.is_input and x.node not in starts:
            starts.append(x.node)
    return starts + order


def replay(nodes, feed):
    """Run `nodes` in order.

    Args:
        nodes: what `sort_nodes` returned.
        feed: dict from the id of each input tensor to its array.

    Returns:
        `feed`, with an array for the id of every tensor that the nodes made.
    """
    for node in nodes:
        if node.is_input:
            continue
        args, kwargs = node.fill(lambda x: feed[id(x)])
        results = node.operation(*args, **kwargs)
        results = [results] if hasattr(results, "shape") else flatten(results)[0]
        for tensor, result in zip(node.outputs, results, strict=True):
            feed[id(tensor)] = result
    return feed
