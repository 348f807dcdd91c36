"""The record of a training as a figure and as a table."""

import builtins
import sys

import pytest

from hornbeam.callbacks import History


@pytest.fixture
def history():
    history = History()
    history.on_train_begin()
    history.on_epoch_end(0, {"loss": 3.0, "mae": 1.0, "confusion": [[1, 2]]})
    history.on_epoch_end(1, {"loss": 2.0, "mae": 0.5, "val_loss": 2.5, "confusion": [[1, 2]]})
    history.on_epoch_end(2, {"loss": 1.0, "mae": 0.25, "confusion": [[1, 2]]})
    return history


def lines(axes):
    return {line.get_label(): [list(map(float, d)) for d in line.get_data()] for line in axes.lines}


def test_plot(history, tmp_path):
    pytest.importorskip("matplotlib")
    figure = history.plot()
    loss, mae = figure.axes
    assert (loss.get_title(), mae.get_title()) == ("loss", "mae")
    assert lines(loss) == {"training": [[1, 2, 3], [3, 2, 1]], "validation": [[2], [2.5]]}
    assert lines(mae) == {"training": [[1, 2, 3], [1, 0.5, 0.25]]}
    assert loss.get_legend() is not None
    assert mae.get_legend() is None
    figure.savefig(tmp_path / "history.png")
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()


def test_plot_of_nothing():
    pytest.importorskip("matplotlib")
    assert History().plot().axes == []


def test_frame(history):
    pandas = pytest.importorskip("pandas")
    frame = history.to_frame()
    assert list(frame.columns) == ["loss", "mae", "confusion", "val_loss"]
    assert (frame.index.name, list(frame.index)) == ("epoch", [0, 1, 2])
    assert list(frame["loss"]) == [3.0, 2.0, 1.0]
    assert list(frame["val_loss"].isna()) == [True, False, True]
    assert frame["val_loss"][1] == 2.5
    assert isinstance(frame, pandas.DataFrame)


def test_dict_that_was_changed_by_hand(history):
    """Values without epochs of their own belong to all."""
    pytest.importorskip("matplotlib")
    history.history["mine"] = [1.0, 2.0, 3.0]
    assert lines(history.plot().axes[-1]) == {"training": [[1, 2, 3], [1, 2, 3]]}


@pytest.mark.parametrize(
    ("method", "package", "message"),
    [
        ("plot", "matplotlib", r'History.plot needs matplotlib.*"hornbeam\[plot]"'),
        ("to_frame", "pandas", "History.to_frame needs pandas, .* pip install pandas$"),
    ],
)
def test_without_the_package(history, monkeypatch, method, package, message):
    imported = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.split(".")[0] == package:
            raise ImportError(name)
        return imported(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ImportError, match=message):
        getattr(history, method)()
