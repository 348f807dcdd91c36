"""Files that earlier releases wrote (`scripts/record_files`), and whole models as HDF5."""

import gzip
import json
import pathlib

import h5py
import numpy as np
import pytest

import hornbeam as keras
from hornbeam.saving._renamed import upgraded

L = keras.layers
GOLDEN = pathlib.Path(__file__).parent / "golden"
FILES = sorted(p.name.removesuffix(".gz") for p in GOLDEN.glob("*.gz"))
MODELS = [name for name in FILES if "weights" not in name]

pytestmark = pytest.mark.usefixtures("quick_compiles")


@pytest.fixture
def golden(tmp_path):
    """Function from a name to the file's path, and what was recorded with it."""

    def unpack(name):
        path = tmp_path / name
        path.write_bytes(gzip.decompress((GOLDEN / f"{name}.gz").read_bytes()))
        about = json.loads((GOLDEN / f"{name}.json").read_text())
        return path, {key: arrays(value) for key, value in about.items()}

    return unpack


def arrays(value):
    """Arrays of nested lists, of which the outer one may be a list of arrays."""
    try:
        return np.array(value, "float32")
    except ValueError:
        return [np.array(v, "float32") for v in value]


def close(found, expected, tolerance):
    found = found if isinstance(found, list) else [found]
    several = isinstance(expected, list) or len(found) > 1
    for a, b in zip(found, expected if several else [expected], strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def inputs_of(model, about):
    x = about["inputs"]
    return list(x) if len(model.inputs) > 1 else x


@pytest.mark.filterwarnings("ignore:Layer '.*got an input with a mask")
@pytest.mark.parametrize("name", MODELS)
def test_models_of_earlier_releases(golden, name):
    """Outputs are those that were recorded; so are those after one more step of training."""
    path, about = golden(name)
    model = keras.saving.load_model(path)
    x = inputs_of(model, about)
    close(model.predict(x, verbose=0), about["outputs"], 1e-4)
    assert int(model.optimizer.iterations) == 2
    targets = about["targets"]
    model.train_on_batch(x, list(targets) if len(model.outputs) > 1 else targets)
    close(model.predict(x, verbose=0), about["next"], 1e-3)


def nested():
    """The model `nested` of scripts/record_files."""
    a = keras.Input((3,))
    inner = keras.Model(a, L.Dense(3, activation="tanh", name="dense")(a), name="inner")
    layers = [keras.Input((3,)), L.Dense(3, name="dense_1"), L.BatchNormalization()]
    chain = keras.Sequential(layers, name="chain")
    x, z = keras.Input((3,), name="x"), keras.Input((3,), name="z")
    shared = L.Dense(3, name="shared")
    y = shared(inner(inner(chain(x)))) + 2.0 * shared(z) - x / 4.0
    y = L.Concatenate()([y, x[:, 1:]])
    return keras.Model([x, z], [L.Dense(2, name="one")(y), y], name="outer")


@pytest.mark.parametrize("name", ["2_nested.old_weights.h5", "2_nested.weights.h5"])
def test_weights_of_keras_2(golden, name):
    path, about = golden(name)
    model = nested()
    if name == "2_nested.old_weights.h5":
        path = path.rename(path.with_name("old.h5"))
    model.load_weights(path)
    close(model.predict(inputs_of(model, about), verbose=0), about["outputs"], 1e-5)


@pytest.mark.filterwarnings("ignore:Layer .*got an input with a mask")
@pytest.mark.parametrize("name", ["2_images", "2_sequences"])
def test_json_of_keras_2(name):
    model = keras.models.model_from_json((GOLDEN / f"{name}.config.json").read_text())
    assert model.count_params() > 100


def test_what_was_mapped_is_reported(golden):
    path, _ = golden("2_images.h5")
    report = keras.saving.inspect_file(path)
    assert report.keras_version.startswith("2.")
    assert report.format == "old Keras model (HDF5)"
    assert "LeakyReLU(alpha=…) of tf.keras 2 is negative_slope" in report.mapped
    assert "Mapped: LeakyReLU(alpha=…)" in repr(report)
    assert report.parameters == keras.saving.load_model(path).count_params()


# Configs -----------------------------------------------------------------------------------------


def entry(class_name, /, **config):
    return {"class_name": class_name, "config": config}


def call(name, calls, **more):
    return {"name": name, "inbound_nodes": calls, **more}


@pytest.mark.parametrize(
    ("old", "new", "report"),
    [
        (entry("LeakyReLU", alpha=0.1), entry("LeakyReLU", negative_slope=0.1), "negative_slope"),
        (entry("ThresholdedReLU", theta=2.0), entry("ReLU", threshold=2.0), "is a ReLU"),
        (entry("SyncBatchNormalization"), entry("BatchNormalization", synchronized=True), "is a"),
        (entry("LSTM", units=2, time_major=False), entry("LSTM", units=2), "time_major"),
        (entry("Custom>Adam", jit_compile=False), entry("Adam"), "jit_compile"),
        (entry("Dense", units=2, batch_input_shape=[None, 3]), entry("Dense", units=2), None),
        (entry("Policy", name="float16"), entry("DTypePolicy", name="float16"), None),
        (entry("Mine", alpha=0.1), entry("Mine", alpha=0.1), None),
        (entry("Custom>Mine", alpha=0.1), entry("Custom>Mine", alpha=0.1), None),
    ],
)
def test_arguments(old, new, report):
    found, texts = upgraded({"layer": [old]})
    assert found == {"layer": [new]}
    assert (report is None) == (not texts)
    assert report is None or report in texts[0]


@pytest.mark.parametrize(
    ("old", "message"),
    [
        (entry("LSTM", units=2, time_major=True), "LSTM of tf.keras 2 has time_major=True"),
        (entry("CuDNNLSTM", units=2), "no 'CuDNNLSTM' any more; an LSTM"),
        (entry("LocallyConnected1D"), "no 'LocallyConnected1D' any more"),
        (entry("BatchNormalization", virtual_batch_size=4), "virtual_batch_size=4, which is gone"),
        (entry("SGD", decay=0.1), "SGD of tf.keras 2 has decay=0.1"),
    ],
)
def test_what_is_gone(old, message):
    with pytest.raises(keras.saving.LoadError, match=message):
        upgraded(old)


def graph(function, arguments):
    """A graph of Keras 2 with one function of TensorFlow."""
    nodes = [["x", 0, 0, arguments]]
    return {
        "class_name": "Functional",
        "config": {
            "name": "m",
            "layers": [
                {**entry("InputLayer", batch_input_shape=[None, 4], name="x"), **call("x", [])},
                {**entry("TFOpLambda", name="f", function=function), **call("f", nodes)},
            ],
            "input_layers": [["x", 0, 0]],
            "output_layers": [["f", 0, 0]],
        },
    }


X = np.linspace(-1, 1, 8, dtype="float32").reshape(2, 4)


@pytest.mark.parametrize(
    ("function", "arguments", "expected"),
    [
        ("__operators__.add", {"y": 2, "name": None}, X + 2),
        ("math.subtract", {"y": ["x", 0, 0], "name": None}, X - X),
        ("math.truediv", {"y": 4.0}, X / 4),
        ("math.multiply", {"y": 3}, X * 3),
        ("math.square", {}, X**2),
        ("nn.relu", {}, np.maximum(X, 0)),
        ("math.reduce_sum", {"axis": 1, "keepdims": True}, X.sum(1, keepdims=True)),
        ("expand_dims", {"axis": 1}, X[:, None]),
        ("nn.softmax", {}, np.exp(X) / np.exp(X).sum(-1, keepdims=True)),
        ("reshape", {"shape": [-1, 2, 2]}, X.reshape(-1, 2, 2)),
        ("cast", {"dtype": "int32"}, X.astype("int32")),
        (
            "__operators__.getitem",
            {
                "slice_spec": [
                    {"start": None, "stop": None, "step": None},
                    {"start": 1, "stop": 3, "step": None},
                ]
            },
            X[:, 1:3],
        ),
    ],
)
def test_functions_of_tensorflow(function, arguments, expected):
    model = keras.models.model_from_json(json.dumps(graph(function, arguments)))
    np.testing.assert_allclose(model(X), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        ("signal.fft", {}, r"tf\.signal\.fft on symbolic tensors"),
        ("math.reduce_sum", {"axis": 1, "weird": 2}, r"tf\.math\.reduce_sum with weird"),
    ],
)
def test_unknown_functions_of_tensorflow(function, arguments, message):
    with pytest.raises(keras.saving.LoadError, match=message):
        keras.models.model_from_json(json.dumps(graph(function, arguments)))


# Written here ------------------------------------------------------------------------------------


class Own(keras.Model):
    """A model with a weight of its own."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = L.Dense(3)
        self.scale = self.add_weight((3,), "ones", name="scale")

    def call(self, x):
        return self.dense(x) * self.scale


def trained():
    model = nested()
    model.compile(keras.optimizers.Adam(0.01), ["mse", "mae"])
    x = [X[:, :3], X[:, 1:]]
    model.train_on_batch(x, [X[:, :2], np.zeros((2, 5))])
    return model, x


def test_round_trip(tmp_path):
    model, x = trained()
    model.save(tmp_path / "m.h5")
    copy = keras.saving.load_model(tmp_path / "m.h5")
    close(model.predict(x, verbose=0), copy.predict(x, verbose=0), 0)
    for a, b in zip(model.optimizer.variables, copy.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    plain = keras.saving.load_model(tmp_path / "m.h5", compile=False)
    assert plain.optimizer is None
    model.save(tmp_path / "n.hdf5", include_optimizer=False)
    assert keras.saving.load_model(tmp_path / "n.hdf5").optimizer is None


def test_a_models_own_weights(tmp_path):
    model, copy = Own(), Own()
    for m in (model, copy):
        m(X)
    model.scale.assign([1.0, 2.0, 3.0])
    model.save(tmp_path / "m.h5")
    copy.load_weights(tmp_path / "m.h5")
    np.testing.assert_array_equal(copy(X), model(X))


def test_many_names_are_divided(tmp_path):
    layers = [L.Dense(1, name=f"{'long_name_' * 20}{i}") for i in range(400)]
    model = keras.Sequential([keras.Input((1,)), *layers])
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5") as file:
        assert "layer_names1" in file["model_weights"].attrs
    copy = keras.Sequential([keras.Input((1,)), *(L.Dense(1) for _ in range(400))])
    copy.load_weights(tmp_path / "m.h5")
    np.testing.assert_array_equal(model.layers[-1].kernel, copy.layers[-1].kernel)


def chain(*sizes, names=()):
    layers = [L.Dense(n, name=name) for n, name in zip(sizes, names, strict=True)]
    return keras.Sequential([keras.Input((3,)), *layers])


def test_by_name(tmp_path):
    path = tmp_path / "m.h5"
    old = chain(4, 2, names=["a", "b"])
    old.save(path)
    new = chain(4, 4, 2, names=["a", "new", "b"])
    before = new.layers[1].kernel.numpy()
    with pytest.raises(keras.saving.LoadError, match=r"(?s)holds 2 layers.*has 3.*a \(2\), new"):
        new.load_weights(path)
    new.load_weights(path, by_name=True)
    np.testing.assert_array_equal(new.layers[0].kernel, old.layers[0].kernel)
    np.testing.assert_array_equal(new.layers[2].kernel, old.layers[1].kernel)
    np.testing.assert_array_equal(new.layers[1].kernel, before)


def test_what_does_not_fit_changes_nothing(tmp_path):
    path = tmp_path / "m.h5"
    old = chain(4, 2, names=["a", "b"])
    old.save(path)
    new = chain(4, 3, names=["a", "b"])
    before = new.get_weights()
    with pytest.raises(keras.saving.LoadError, match=r"b: \[\(4, 2\), \(2,\)\] in the file, \[\(4"):
        new.load_weights(path)
    for a, b in zip(before, new.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.warns(UserWarning, match="Skipped what differs"):
        new.load_weights(path, skip_mismatch=True)
    np.testing.assert_array_equal(new.layers[0].kernel, old.layers[0].kernel)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.attrs.__setitem__("model_config", "{"), "model_config is not JSON"),
        (lambda f: f.attrs.__delitem__("model_config"), "holds weights only"),
        (lambda f: f["model_weights"].attrs.__delitem__("layer_names"), "holds 0 layers"),
        (lambda f: f["model_weights"].attrs.__setitem__("layer_names", [1, 2]), "than names"),
        (lambda f: f["model_weights/a"].clear(), "lacks its array"),
        (lambda f: f.__setitem__("x", h5py.SoftLink("/model_weights")), "is a link"),
    ],
)
def test_broken(tmp_path, change, message):
    path = tmp_path / "m.h5"
    chain(4, names=["a"]).save(path)
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"\nhornbeam sha256 ")])
    with h5py.File(path, "a") as file:
        change(file)
    with pytest.raises(keras.saving.LoadError, match=message):
        keras.saving.load_model(path)


def test_number_types_that_the_format_lacks(tmp_path):
    model = keras.Sequential([keras.Input((3,)), L.Dense(2, dtype="bfloat16")])
    with pytest.raises(ValueError, match="have no numbers of type bfloat16"):
        model.save(tmp_path / "m.h5")
