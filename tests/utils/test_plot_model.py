"""Drawings of models."""

import itertools
import re
import sys
import types
import xml.etree.ElementTree

import numpy as np
import pytest

import hornbeam as keras
from hornbeam import layers, utils

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def model():
    """Two inputs, a model inside, a layer that is called twice, and a line over several ranks."""
    image, features = keras.Input((8, 8, 3), name="image"), keras.Input((4,), name="features")
    inner = keras.Sequential(
        [
            keras.Input((8, 8, 3), name="start"),
            layers.Conv2D(4, 3, activation="relu", name="conv"),
            layers.GlobalAveragePooling2D(name="pool"),
        ],
        name="inner",
    )
    shared = layers.Dense(4, name="shared", trainable=False)
    x = layers.Add(name="sum")([shared(inner(image)), shared(features)])
    x = layers.Concatenate(name="join")([layers.Dense(3, name="skip")(x), features])
    return keras.Model([image, features], [layers.Dense(1, name=n)(x) for n in ("one", "two")])


def drawn(model, **options):
    """`{first line of a box: (left, top, right, bottom)}`, and all texts."""
    root = xml.etree.ElementTree.fromstring(utils.plot_model(model, None, **options).svg)
    boxes, texts = {}, [text.text for text in root.iter(f"{SVG}text")]
    children = [*root]
    for i, child in enumerate(children):
        if child.tag == f"{SVG}rect":
            x, y, w, h = (float(child.get(k)) for k in ("x", "y", "width", "height"))
            boxes[children[i + 1].text] = x, y, x + w, y + h
    width, height = float(root.get("width")), float(root.get("height"))
    for left, top, right, bottom in boxes.values():
        assert left >= 0 and top >= 0 and right <= width + 1 and bottom <= height + 1
    for a, b in itertools.combinations(boxes.values(), 2):  # boxes don't touch
        assert a[2] < b[0] or b[2] < a[0] or a[3] < b[1] or b[3] < a[1]
    return boxes, texts, len([*root.iter(f"{SVG}path")]) - 1  # one is the arrow's head


@pytest.mark.parametrize("rankdir", ["TB", "BT", "LR", "RL"])
def test_ranks(model, rankdir):
    boxes, _, edges = drawn(model, show_layer_names=True, rankdir=rankdir, show_shapes=True)
    assert len(boxes) == edges == 9
    side, sign = {"TB": (1, 1), "BT": (1, -1), "LR": (0, 1), "RL": (0, -1)}[rankdir]
    order = ["image (InputLayer)", "inner (Sequential)", "shared (Dense)", "sum (Add)"]
    places = [sign * boxes[name][side] for name in [*order, "join (Concatenate)", "one (Dense)"]]
    assert places == sorted(places)


def test_nested_models(model):
    boxes, _, edges = drawn(model, show_layer_names=True, expand_nested=True)
    assert {"start (InputLayer)", "conv (Conv2D)", "pool (GlobalAveragePooling2D)"} <= boxes.keys()
    assert "inner (Sequential)" not in boxes and edges == 11


def test_texts(model):
    _, texts, _ = drawn(model)
    assert set(texts) == {"InputLayer", "Sequential", "Dense", "Add", "Concatenate"}
    _, texts, _ = drawn(
        model,
        show_shapes=True,
        show_dtype=True,
        show_layer_activations=True,
        show_trainable=True,
        expand_nested=True,
    )
    assert {"(None, 8, 8, 3) → (None, 6, 6, 4)", "float32", "activation: relu"} <= set(texts)
    assert texts.count("trainable: no") == 1


def test_files(model, tmp_path):
    image = pytest.importorskip("PIL.Image")
    pytest.importorskip("matplotlib")
    for name in ("a.svg", "a.dot", "a.png", "a.pdf"):
        utils.plot_model(model, tmp_path / name, dpi=50, splines="line")
    assert (tmp_path / "a.svg").read_text() == utils.plot_model(model, None, splines="line").svg
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
    dot = (tmp_path / "a.dot").read_text()
    assert dot.startswith("digraph model { graph [rankdir=TB dpi=50 splines=line];")
    assert len(re.findall(r"box\d+ -> box\d+;", dot)) == 9
    # Ink along the whole picture.
    pixels = image.open(tmp_path / "a.png").convert("L")
    assert pixels.getbbox() and np.asarray(pixels).min() == 0
    assert utils.plot_model(model, None)._repr_svg_().startswith("<svg")


def test_models_without_a_graph():
    class Own(keras.Model):
        def call(self, x):
            return x

    assert [*drawn(Own(name="mine"), show_layer_names=True)[0]] == ["mine (Own)"]


def test_model_to_dot(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "pydot", None)
    with pytest.raises(ImportError, match="model_to_dot needs pydot, which is not installed"):
        utils.model_to_dot(model)
    fake = types.SimpleNamespace(graph_from_dot_data=lambda text: [text])
    monkeypatch.setitem(sys.modules, "pydot", fake)
    assert 'label="shared (Dense)"' in utils.model_to_dot(model)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"rankdir": "up"}, ValueError, "rankdir should be one of 'TB', 'BT', 'LR', 'RL'"),
        ({"splines": "round"}, ValueError, "splines should be one of"),
        ({"dpi": 0}, ValueError, "dpi should be above 0"),
        ({"layer_range": 3}, TypeError, "plot_model takes no argument 'layer_range'"),
    ],
)
def test_mistakes(model, options, error, message):
    with pytest.raises(error, match=message):
        utils.plot_model(model, None, **options)
