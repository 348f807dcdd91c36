"""The CSV table, what goes to a server, the watch for NaN, and TensorBoard's files."""

import builtins
import glob
import http.server
import json
import os
import struct
import threading
import urllib.parse
from types import SimpleNamespace

import numpy as np
import pytest

import hornbeam as keras
from hornbeam.callbacks import (
    CallbackList,
    CSVLogger,
    RemoteMonitor,
    TensorBoard,
    TerminateOnNaN,
)

NAN, INF = float("nan"), float("inf")


def feed(callback, epochs):
    events = CallbackList([callback], model=SimpleNamespace())
    events.on_train_begin()
    for epoch, logs in enumerate(epochs):
        events.on_epoch_begin(epoch)
        events.on_epoch_end(epoch, logs)
    events.on_train_end()


EPOCHS = [{"loss": 1.0, "acc": 0.5, "v": np.array([1, 2])}, {"loss": 0.5, "val_loss": 2.0}]
ROWS = ["0,0.5,1.0,\"\"\"[1, 2]\"\"\",NA,NA,NA", "1,NA,0.5,NA,NA,2.0,NA"]  # fmt: skip
HEADER = "epoch,acc,loss,v,val_acc,val_loss,val_v"


@pytest.mark.parametrize(("append", "rows"), [(False, ROWS), (True, ROWS + ROWS)])
def test_csv(tmp_path, append, rows):
    callback = CSVLogger(tmp_path / "log.csv", append=append)
    for _ in range(2):
        feed(callback, EPOCHS)
    assert (tmp_path / "log.csv").read_text().splitlines() == [HEADER, *rows]


def test_csv_separator_and_validation_columns(tmp_path):
    feed(CSVLogger(tmp_path / "log.csv", separator=";"), [{"loss": 1.0, "val_loss": 2.0}])
    assert (tmp_path / "log.csv").read_text() == "epoch;loss;val_loss\n0;1.0;2.0\n"


@pytest.mark.parametrize(("append", "before"), [(False, []), (True, [HEADER, "7,NA,NA,NA"])])
@pytest.mark.parametrize("later", [0, 1], ids=["at once", "after a row more"])
def test_csv_goes_on_from_its_state(tmp_path, append, before, later):
    """Without the rows that were written after the state was taken; they come again."""
    path = tmp_path / "log.csv"
    path.write_text("".join(f"{row}\n" for row in before))
    one, other = (CSVLogger(path, append=append) for _ in range(2))
    feed(one, EPOCHS[:1])
    state = one.state()
    if later:
        one.on_epoch_end(1, EPOCHS[1])
    other.on_train_begin()
    other.set_state(state)
    other.on_epoch_end(1, EPOCHS[1])
    assert path.read_text().splitlines() == [*(before or [HEADER]), *ROWS]


def test_csv_goes_on_where_the_file_was_lost(tmp_path):
    callback = CSVLogger(tmp_path / "log.csv")
    feed(callback, EPOCHS[:1])
    os.remove(tmp_path / "log.csv")
    callback.set_state({**callback.state(), "size": 1000})
    callback.on_epoch_end(1, EPOCHS[1])
    assert (tmp_path / "log.csv").read_text().splitlines() == [HEADER, ROWS[1]]


# RemoteMonitor -----------------------------------------------------------------------------


@pytest.fixture
def server():
    """A server that keeps the requests it gets: `(path, headers, body)`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.requests.append((self.path, self.headers, body.decode()))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    with http.server.HTTPServer(("localhost", 0), Handler) as server:
        server.requests = []
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("as_json", [False, True])
def test_remote_monitor(server, as_json):
    root = f"http://localhost:{server.server_port}"
    callback = RemoteMonitor(root, "/here", "d", {"X-Key": "k"}, send_as_json=as_json)
    feed(callback, [{"loss": np.float32(0.5), "v": np.array([1, 2]), "bad": NAN}])
    ((path, headers, body),) = server.requests
    data = body if as_json else urllib.parse.parse_qs(body)["d"][0]
    assert (path, headers["X-Key"]) == ("/here", "k")
    assert json.loads(data) == {"epoch": 0, "loss": 0.5, "v": [1, 2], "bad": None}
    wanted = "application/json" if as_json else "application/x-www-form-urlencoded"
    assert headers["Content-Type"] == wanted


def test_remote_monitor_without_a_server(server):
    root = f"http://localhost:{server.server_port}"
    server.server_close()
    with pytest.warns(UserWarning, match=f"RemoteMonitor can't reach {root}/publish/epoch/end/"):
        feed(RemoteMonitor(root), [{"loss": 1.0}])


def test_remote_monitor_wants_an_address():
    with pytest.raises(ValueError, match="root should be 'http://…' or 'https://…'; received 'f"):
        RemoteMonitor("file:///etc")


@pytest.mark.parametrize(("loss", "stops"), [(NAN, True), (INF, True), (-INF, True), (1.0, False)])
@pytest.mark.parametrize("event", ["on_steps_end", "on_epoch_end"])
def test_terminate(capsys, loss, stops, event):
    model = SimpleNamespace(stop_training=False)
    events = CallbackList([TerminateOnNaN()], model=model)
    logs = {"loss": loss}
    events.on_train_begin()
    if event == "on_steps_end":
        events.on_steps_end(3, lambda: logs)
        message = f"The loss became {loss} within the first 3 steps of the epoch"
    else:
        message = f"The loss became {loss} in epoch 1"
    events.on_epoch_end(0, logs)
    assert model.stop_training == stops
    assert capsys.readouterr().out == (f"{message}: ending the training.\n" if stops else "")


def test_terminate_with_an_error():
    callback = TerminateOnNaN(raise_error=True)
    with pytest.raises(RuntimeError, match="The loss became nan in epoch 2"):
        feed(callback, [{"loss": 1.0}, {"loss": NAN}])


# TensorBoard -------------------------------------------------------------------------------


def train(folder, optimizer="sgd", **options):
    pytest.importorskip("tensorboardX")
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="d")])
    model.compile(optimizer, "mse")
    x, y = np.ones((8, 2), "float32"), np.ones((8, 1), "float32")
    board = TensorBoard(folder, **options)
    model.fit(x, y, epochs=2, batch_size=2, validation_data=(x, y), verbose=0, callbacks=[board])
    return written(folder)


def written(folder):
    """{(subfolder, tag): [steps]} of all event files."""
    from tensorboardX.proto import event_pb2

    found = {}
    for path in glob.glob(f"{folder}/*/events*"):
        with open(path, "rb") as file:
            data = file.read()
        while data:
            (size,) = struct.unpack("<Q", data[:8])
            event = event_pb2.Event.FromString(data[12 : 12 + size])
            data = data[16 + size :]
            for value in event.summary.value:
                key = os.path.basename(os.path.dirname(path)), value.tag
                found.setdefault(key, []).append(event.step)
    return found


EVERY_EPOCH = {
    ("train", "keras"): [0],
    ("train", "model/text_summary"): [0],
    ("train", "epoch_loss"): [0, 1],
    ("train", "epoch_learning_rate"): [0, 1],
    ("validation", "epoch_loss"): [0, 1],
    ("validation", "evaluation_loss_vs_iterations"): [4, 8],
}


def test_tensorboard(tmp_path):
    assert train(tmp_path) == EVERY_EPOCH


def test_tensorboard_without_a_learning_rate(tmp_path):
    several = keras.optimizers.OptimizerMap(keras.optimizers.SGD())
    found = train(tmp_path, keras.optimizers.MultiOptimizer(several))
    rate = ("train", "epoch_learning_rate")
    assert found == {k: v for k, v in EVERY_EPOCH.items() if k != rate}


def test_tensorboard_batches(tmp_path):
    found = train(tmp_path, update_freq=2, write_graph=False, write_steps_per_second=True)
    assert found == {
        **{k: v for k, v in EVERY_EPOCH.items() if k[1] not in ("keras", "model/text_summary")},
        ("train", "batch_loss"): [2, 4, 6, 8],
        ("train", "batch_steps_per_second"): [2, 4, 6, 8],
        ("train", "epoch_steps_per_second"): [0, 1],
    }


def test_tensorboard_weights(tmp_path):
    found = train(tmp_path, histogram_freq=1, write_images=True)
    assert [tag for _, tag in found if tag.endswith("kernel/histogram")]
    assert [tag for _, tag in found if tag.endswith("bias/histogram")]
    assert [found[key] for key in found if key[1].endswith("kernel/image")] == [[0, 1]]


def test_tensorboard_profile(tmp_path):
    train(tmp_path, profile_batch="2,3")
    assert glob.glob(f"{tmp_path}/train/plugins/profile/*/*")


def embedding_model(**options):
    pytest.importorskip("tensorboardX")
    model = keras.Sequential(
        [
            keras.Input((2,), dtype="int32"),
            keras.layers.Embedding(3, 2, name="words"),
            keras.layers.Flatten(),
            keras.layers.Dense(1),
        ]
    )
    model.compile("sgd", "mse")
    x, y = np.zeros((4, 2), "int32"), np.ones((4, 1))
    model.fit(x, y, epochs=2, verbose=0, callbacks=[TensorBoard(**options)])
    return model


@pytest.mark.parametrize(
    ("metadata", "line"),
    [
        (None, ""),
        ("words.txt", '  metadata_path: "../words.txt"\n'),
        ({"words": "words.txt"}, '  metadata_path: "../words.txt"\n'),
        ({}, ""),
    ],
)
def test_tensorboard_embeddings(tmp_path, metadata, line):
    model = embedding_model(log_dir=tmp_path, embeddings_freq=1, embeddings_metadata=metadata)
    config = (tmp_path / "train" / "projector_config.pbtxt").read_text()
    assert config == (
        'embeddings {\n  tensor_name: "words"\n  tensor_path: "words.tsv"\n' + line + "}\n"
    )
    table = np.loadtxt(tmp_path / "train" / "words.tsv", delimiter="\t")
    np.testing.assert_allclose(table, model.layers[0].embeddings.numpy(), rtol=1e-6)


def test_tensorboard_metadata_of_an_unknown_layer(tmp_path):
    with pytest.raises(ValueError, match=r"for layers with a table: words; received 'word'. Did y"):
        embedding_model(log_dir=tmp_path, embeddings_freq=1, embeddings_metadata={"word": "a"})


def test_tensorboard_and_evaluate(tmp_path):
    pytest.importorskip("tensorboardX")
    board = TensorBoard(tmp_path)
    model = SimpleNamespace(optimizer=SimpleNamespace(iterations=5))
    events = CallbackList([board], model=model)
    events.on_test_begin()
    events.on_test_end({"loss": 1.0})
    assert written(tmp_path) == {("validation", "evaluation_loss_vs_iterations"): [5]}


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"update_freq": "step"}, ValueError, "update_freq should be 'epoch', 'batch' or a posit"),
        ({"profile_batch": "a,b"}, ValueError, "profile_batch should be an int or a pair"),
        ({"profile_batch": (3, 2)}, ValueError, r"received \(3, 2\)"),
    ],
)
def test_tensorboard_arguments(tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        TensorBoard(tmp_path, **options)


def test_tensorboard_without_its_package(monkeypatch):
    imported = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name == "tensorboardX":
            raise ImportError(name)
        return imported(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(
        ImportError, match=r'TensorBoard needs tensorboardX.*"hornbeam\[tensorboard]"'
    ):
        TensorBoard()
