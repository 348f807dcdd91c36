"""Drawings of models: boxes in ranks, from the inputs down, with lines between."""

import dataclasses
import itertools
import os
import pathlib
from typing import Any
from xml.sax.saxutils import escape

from ..core import objects
from ..core.messages import expected, missing_package, one_of, unknown_keywords

_RANKDIRS = ("TB", "BT", "LR", "RL")
_SPLINES = ("ortho", "curved", "polyline", "spline", "line")
_CHARACTER, _LINE, _PAD, _GAP = 7.2, 16, 8, 32  # pixels, at 12 pixels of a monospaced font


def plot_model(
    model,
    to_file="model.png",
    show_shapes=False,
    show_dtype=False,
    show_layer_names=False,
    rankdir="TB",
    expand_nested=False,
    dpi=200,
    show_layer_activations=False,
    show_trainable=False,
    splines="ortho",
    **kwargs,
):
    """Draw the layers of a model to a file.

    Neither pydot nor graphviz is needed. Files that end in .svg need nothing, .dot and .gv are the
    graph as a text for graphviz; others (.png, .pdf, …) are drawn by matplotlib.

    Args:
        model: the model. One that isn't made of a graph is one box.
        to_file: the file, or `None` for none.
        show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable: what to
            write into the boxes.
        rankdir: where outputs lie, seen from the inputs: `"TB"` below, `"BT"` above, `"LR"` right,
            `"RL"` left.
        expand_nested: whether to draw the layers of models inside of the model.
        dpi: pixels per inch in images.
        splines: how graphviz draws lines; here they are straight for `"line"` and `"polyline"`.

    Returns:
        An object that notebooks show, with the drawing as `svg`.

    Example:

    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="classes")])
    >>> "classes (Dense)" in keras.utils.plot_model(model, None, show_layer_names=True).svg
    True
    """
    if kwargs:
        raise unknown_keywords("plot_model", kwargs)
    graph = _Graph(
        model,
        expand_nested,
        _Texts(show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable),
    )
    options = _checked(rankdir, dpi, splines)
    drawing = _Drawing(graph, rankdir, splines not in ("line", "polyline"))
    if to_file is not None:
        path = pathlib.Path(to_file)
        kind = path.suffix.lower()
        if kind == ".svg":
            path.write_text(drawing.svg(), encoding="utf-8")
        elif kind in (".dot", ".gv"):
            path.write_text(_dot(graph, options), encoding="utf-8")
        else:
            drawing.image(path, dpi)
    return ModelPlot(drawing.svg())


def model_to_dot(
    model,
    show_shapes=False,
    show_dtype=False,
    show_layer_names=True,
    rankdir="TB",
    expand_nested=False,
    dpi=200,
    subgraph=False,
    show_layer_activations=False,
    show_trainable=False,
    splines="ortho",
    **kwargs,
):
    """The graph of a model as pydot's `Dot`. `plot_model(model, "model.dot")` doesn't need pydot.

    Args:
        subgraph: whether to return a `Cluster`, to put into another graph.

    The other arguments are those of `plot_model`.
    """
    if kwargs:
        raise unknown_keywords("model_to_dot", kwargs)
    try:
        import pydot  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise missing_package("pydot", None, "keras.utils.model_to_dot") from None
    texts = _Texts(
        show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable
    )
    graph = _Graph(model, expand_nested, texts)
    options = _checked(rankdir, dpi, splines)
    if not subgraph:
        return pydot.graph_from_dot_data(_dot(graph, options))[0]
    cluster = pydot.Cluster(graph_name=model.name, label=model.name)
    for i, box in enumerate(graph.boxes):
        cluster.add_node(pydot.Node(_key(i), label="\n".join(box.lines), shape="box"))
    for start, end in graph.edges:
        cluster.add_edge(pydot.Edge(_key(start), _key(end)))
    return cluster


class ModelPlot:
    """The drawing of a model: `svg` is its text, which notebooks show."""

    def __init__(self, svg):
        self.svg = svg

    def _repr_svg_(self):
        return self.svg

    def __repr__(self):
        return f"<ModelPlot, an SVG of {len(self.svg)} characters>"


def _checked(rankdir, dpi, splines):
    one_of("rankdir", rankdir, _RANKDIRS)
    one_of("splines", splines, _SPLINES)
    if not dpi > 0:
        raise ValueError(expected("dpi", "above 0", dpi))
    return {"rankdir": rankdir, "dpi": dpi, "splines": splines}


# The graph ---------------------------------------------------------------------------------------


@dataclasses.dataclass
class _Texts:
    """What boxes tell of a layer."""

    shapes: bool
    dtype: bool
    names: bool
    activations: bool
    trainable: bool

    def lines(self, operation, node):
        kind = objects.class_name(operation)
        found = [f"{operation.name} ({kind})" if self.names else kind]
        activation = getattr(operation, "activation", None)
        if self.activations and activation is not None:
            found.append(
                f"activation: {getattr(activation, '__name__', type(activation).__name__)}"
            )
        if self.shapes and node is not None:
            outputs = ", ".join(str(x.shape) for x in node.outputs)
            inputs = ", ".join(str(x.shape) for x in node.inputs)
            found.append(f"{inputs} → {outputs}" if inputs else outputs)
        if self.dtype and node is not None:
            found.append(", ".join(dict.fromkeys(str(x.dtype) for x in node.outputs)))
        if self.trainable and hasattr(operation, "trainable"):
            found.append(f"trainable: {'yes' if operation.trainable else 'no'}")
        return found


@dataclasses.dataclass
class _Box:
    lines: list
    rank: int = 0


class _Graph:
    """Boxes, and edges between their numbers.

    A layer that is called several times is one box.
    """

    def __init__(self, model, expand, texts):
        self.boxes: list[Any] = []
        self.edges: list[tuple[int, int]] = []
        self._expand, self._texts = expand, texts
        self._numbers: dict[int, int] = {}
        if _function(model) is None:
            self._box(model, None)
        else:
            self._add(_function(model))
        self._rank()

    def _add(self, function):
        for node in function.nodes:
            inner = _function(node.operation) if self._expand else None
            if inner is not None:
                self._add(inner)
                starts: Any = [x.node for x in inner.inputs]
                for x, start in zip(node.inputs, starts):
                    self._edge(x, self._box(start.operation, start))
                continue
            end = self._box(node.operation, node)
            for x in node.inputs:
                self._edge(x, end)

    def _box(self, operation, node):
        number = self._numbers.get(id(operation))
        if number is None:
            number = self._numbers[id(operation)] = len(self.boxes)
            self.boxes.append(_Box(self._texts.lines(operation, node)))
        return number

    def _edge(self, x: Any, end):
        operation = x.node.operation
        inner = _function(operation) if self._expand else None
        if inner is not None:
            self._edge(inner.outputs[x.index], end)
        elif (edge := (self._box(operation, x.node), end)) not in self.edges:
            self.edges.append(edge)

    def _rank(self):
        """The longest way from an input; a layer that is called again counts by its first call."""
        forward = [(a, b) for a, b in self.edges if a < b]
        for a, b in sorted(forward, key=lambda edge: edge[1]):
            self.boxes[b].rank = max(self.boxes[b].rank, self.boxes[a].rank + 1)


def _function(model):
    """The graph of a model; `None` without one."""
    return getattr(model, "_function", None)


def _key(number):
    return f"box{number}"


def _dot(graph, options):
    lines = [f"digraph model {{ graph [{' '.join(f'{k}={v}' for k, v in options.items())}];"]
    lines.append('node [shape=box fontname="monospace"];')
    for i, box in enumerate(graph.boxes):
        text = "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"') for line in box.lines)
        lines.append(f'{_key(i)} [label="{text}"];')
    lines += [f"{_key(a)} -> {_key(b)};" for a, b in graph.edges]
    return "\n".join([*lines, "}", ""])


# The drawing -------------------------------------------------------------------------------------


class _Drawing:
    """Where the boxes lie, in pixels, and the points that lines go through.

    A line that passes ranks has a place in each of them, as a box without a size. In its rank a
    box is as near to the middle of those it is connected with as the others let it.
    """

    def __init__(self, graph, rankdir, curved):
        self._boxes, self._curved = graph.boxes, curved
        across = rankdir in ("TB", "BT")
        self._sizes = [
            (max(map(len, box.lines)) * _CHARACTER + 2 * _PAD, len(box.lines) * _LINE + _PAD)
            for box in graph.boxes
        ]
        sizes: dict = {i: size if across else size[::-1] for i, size in enumerate(self._sizes)}
        ranks: list[list] = [[] for _ in range(1 + max(box.rank for box in graph.boxes))]
        for i, box in enumerate(graph.boxes):
            ranks[box.rank].append(i)
        self._lines: list[list] = []
        for a, b in graph.edges:
            first, last = graph.boxes[a].rank, graph.boxes[b].rank
            passed = [(a, b, rank) for rank in range(first + 1, last)]
            for place in passed:
                ranks[place[2]].append(place)
                sizes[place] = (_GAP / 2, 0)
            self._lines.append([a, *passed, b])
        near: dict = {place: [] for rank in ranks for place in rank}
        for line in self._lines:
            for one, other in itertools.pairwise(line):
                near[one].append(other)
                near[other].append(one)
        at = {place: n * 100.0 for rank in ranks for n, place in enumerate(rank)}
        for sweep in range(8):
            for rank in ranks if sweep % 2 == 0 else reversed(ranks):
                wanted = {
                    place: sum(at[o] for o in near[place]) / len(near[place])
                    if near[place]
                    else at[place]
                    for place in rank
                }
                rank.sort(key=lambda place: wanted[place])
                _spread(rank, wanted, sizes, at)
        low = min(at[place] - sizes[place][0] / 2 for place in at) - _PAD
        wide = max(at[place] + sizes[place][0] / 2 for place in at) + _PAD - low
        depth, down, spans = _PAD, {}, {}
        for rank in ranks:
            tall = max((sizes[place][1] for place in rank), default=0)
            for place in rank:
                down[place] = depth + tall / 2
                half = (sizes[place][1] if isinstance(place, int) else tall) / 2
                spans[place] = down[place] - half, down[place] + half
            depth += tall + _GAP
        depth += _PAD - _GAP
        turn = {
            "TB": lambda x, y: (x, y),
            "BT": lambda x, y: (x, depth - y),
            "LR": lambda x, y: (y, x),
            "RL": lambda x, y: (depth - y, x),
        }[rankdir]
        self.size = (wide, depth) if across else (depth, wide)
        self._centres = {place: turn(at[place] - low, down[place]) for place in at}
        # Lines leave a box on the side of the next rank, come in on the other, and go straight
        # through the ranks that they pass.
        self._ways = []
        for line in self._lines:
            order = 1 if down[line[0]] <= down[line[-1]] else -1
            points = [(at[place] - low, y) for place in line for y in spans[place][::order]]
            self._ways.append([turn(x, y) for x, y in points[1:-1]])
        self._along = 1 if across else 0  # the axis that ranks follow

    def _curves(self, points):
        """Two control points for each piece of a line."""
        for (x, y), (u, v) in itertools.pairwise(points):
            if not self._curved:
                yield (x, y), (u, v), (u, v)
            elif self._along:
                yield (x, (y + v) / 2), (u, (y + v) / 2), (u, v)
            else:
                yield ((x + u) / 2, y), ((x + u) / 2, v), (u, v)

    def svg(self):
        """The drawing as a text."""
        width, height = self.size
        out = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
            f'viewBox="0 0 {width:.1f} {height:.1f}" font-family="monospace" font-size="12">',
            '<defs><marker id="end" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" '
            'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z"/></marker></defs>',
        ]
        for points in self._ways:
            way = f"M{points[0][0]:.1f} {points[0][1]:.1f}" + "".join(
                "C" + " ".join(f"{x:.1f} {y:.1f}" for x, y in piece)
                for piece in self._curves(points)
            )
            out.append(f'<path d="{way}" fill="none" stroke="black" marker-end="url(#end)"/>')
        for i, (wide, tall) in enumerate(self._sizes):
            x, y = self._centres[i]
            out.append(
                f'<rect x="{x - wide / 2:.1f}" y="{y - tall / 2:.1f}" width="{wide:.1f}" '
                f'height="{tall:.1f}" rx="4" fill="white" stroke="black"/>'
            )
            for n, line in enumerate(self._boxes[i].lines):
                top = y - tall / 2 + _PAD / 2 + (n + 0.75) * _LINE
                out.append(
                    f'<text x="{x:.1f}" y="{top:.1f}" text-anchor="middle">{escape(line)}</text>'
                )
        return "\n".join([*out, "</svg>"])

    def image(self, path, dpi):
        """Draw it with matplotlib."""
        try:
            import matplotlib.backends.backend_agg
            import matplotlib.figure
            import matplotlib.patches
            import matplotlib.path
        except ImportError:
            kind = os.path.splitext(path)[1]
            raise missing_package("matplotlib", "plot", f"plot_model to {kind}") from None
        width, height = self.size
        figure = matplotlib.figure.Figure(figsize=(width / 96, height / 96), dpi=dpi)
        matplotlib.backends.backend_agg.FigureCanvasAgg(figure)
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
        axes.axis("off")
        Path = matplotlib.path.Path
        for points in self._ways:
            corners, codes = [points[0]], [Path.MOVETO]
            for piece in self._curves(points):
                corners += piece
                codes += [Path.CURVE4] * 3
            axes.add_patch(
                matplotlib.patches.FancyArrowPatch(
                    path=Path(corners, codes), arrowstyle="-|>", mutation_scale=8, color="black"
                )
            )
        for i, (wide, tall) in enumerate(self._sizes):
            x, y = self._centres[i]
            corner = x - wide / 2, y - tall / 2
            axes.add_patch(
                matplotlib.patches.Rectangle(corner, wide, tall, fc="white", ec="black", zorder=3)
            )
            for n, line in enumerate(self._boxes[i].lines):
                top = corner[1] + _PAD / 2 + (n + 0.75) * _LINE
                style = {"family": "monospace", "fontsize": 9, "ha": "center", "zorder": 4}
                axes.text(x, top, line.replace("$", r"\$"), **style)
        figure.savefig(path, dpi=dpi)


def _spread(rank, wanted, sizes, at):
    """Put what is in a rank where it wants to be, without touching its neighbours."""
    groups: list[list] = []  # of neighbours that touch: [places, where the first would like to be]
    for place in rank:
        groups.append([[place], wanted[place], 0.0])
        while len(groups) > 1:
            (one, x, width), (two, y, more) = groups[-2:]
            gap = (sizes[one[-1]][0] + sizes[two[0]][0]) / 2 + _GAP / 2
            if y >= x + width + gap:
                break
            shift = width + gap
            middle = (x * len(one) + (y - shift) * len(two)) / (len(one) + len(two))
            groups[-2:] = [[one + two, middle, shift + more]]
    for places, x, _ in groups:
        for before, place in zip([None, *places], places):
            if before is not None:
                x += (sizes[before][0] + sizes[place][0]) / 2 + _GAP / 2
            at[place] = x
