"""`KerasFileEditor` changes weights files, `inspect_file` tells what is in any file."""

import hashlib
import json
import zipfile

import ml_dtypes
import numpy as np
import pytest

import hornbeam as keras

L = keras.layers


def nested(names=("a", "b")):
    x = keras.Input((3,))
    inner = keras.Sequential([keras.Input((3,)), L.Dense(3, name=names[0])], name="inner")
    model = keras.Model(x, L.Dense(2, name=names[1])(inner(x)), name="outer")
    model.compile("adam", "mse", metrics=["mae"])
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.fixture
def saved(tmp_path):
    nested().save_weights(tmp_path / "m.weights.h5")
    return tmp_path / "m.weights.h5"


def test_everything_is_kept(tmp_path, saved):
    keras.saving.KerasFileEditor(saved).save(tmp_path / "n.weights.h5")
    model = nested()
    model.load_weights(tmp_path / "n.weights.h5")
    again = nested()
    again.load_weights(saved)
    for a, b in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert model.optimizer.built


def test_half_precision_is_kept(tmp_path):
    model = keras.Sequential([keras.Input((3,)), L.Dense(2, dtype="bfloat16")])
    model.save_weights(tmp_path / "m.weights.h5")
    editor = keras.saving.KerasFileEditor(tmp_path / "m.weights.h5")
    editor.add_object("layers/more", {"0": np.ones(2, ml_dtypes.bfloat16)})
    editor.resave_weights(tmp_path / "m.weights.h5")
    report = keras.saving.inspect_file(tmp_path / "m.weights.h5")
    assert {dtype for _, dtype in report.weights.values()} == {"bfloat16"}


def test_a_changed_model_takes_the_weights(tmp_path, saved):
    editor = keras.saving.KerasFileEditor(saved)
    editor.delete_object("optimizer")
    editor.rename_object("sequential", "functional")
    editor.delete_weight("layers/dense", "1")
    editor.add_weights("layers/dense", {"0": np.ones((3, 5)), "1": np.zeros(5)})
    editor.add_object("layers/dense_1", {"0": np.full((5, 1), 2.0), "1": [1.0]})
    editor.save(tmp_path / "n.weights.h5")
    a, x = keras.Input((3,)), keras.Input((3,))
    inner = keras.Model(a, L.Dense(3)(a))
    model = keras.Model(x, L.Dense(1)(L.Dense(5)(inner(x))))
    model.load_weights(tmp_path / "n.weights.h5")
    assert model.layers[-1].bias.numpy() == [1.0]
    other = nested()
    other.load_weights(saved)
    kernel = model.layers[1].layers[-1].kernel
    np.testing.assert_array_equal(kernel.numpy(), other.layers[1].layers[-1].kernel.numpy())


def test_summary(capsys, saved):
    editor = keras.saving.KerasFileEditor(saved)
    editor.delete_object("optimizer")
    editor.summary()
    assert capsys.readouterr().out == (
        "Weights of 'm.weights.h5'\n"
        "└─ layers\n"
        "   ├─ dense\n"
        "   │  ├─ 0: shape=(3, 2), dtype=float32\n"
        "   │  └─ 1: shape=(2,), dtype=float32\n"
        "   └─ sequential\n"
        "      └─ layers\n"
        "         └─ dense\n"
        "            ├─ 0: shape=(3, 3), dtype=float32\n"
        "            └─ 1: shape=(3,), dtype=float32\n"
    )


def test_compare(capsys, saved):
    editor = keras.saving.KerasFileEditor(saved)
    n = 4 + 2 + 2 * 4  # weights, iterations and learning rate, two moments each
    assert editor.compare(nested()) == {"status": "success", "error_count": 0, "match_count": n}
    editor.add_weights("layers/dense", {"0": np.ones((3, 5))})
    editor.delete_weight("layers/dense", "1")
    editor.add_object("layers/other", {"0": np.ones(1)})
    found = editor.compare(nested())
    assert found == {"status": "error", "error_count": 3, "match_count": n - 2}
    out = capsys.readouterr().out
    assert "layers/dense/vars" not in out
    for line in (
        "layers/dense/0: (3, 5) in the file, (3, 2) in the model",
        "layers/dense/1 (2,): in the model, but not in the file",
        "layers/other/0 (1,): in the file, but not in the model",
        f"{n - 2} weights match, 3 don't.",
    ):
        assert line in out
    editor.delete_object("optimizer")
    assert editor.compare(nested())["error_count"] == 3


def test_editor_errors(tmp_path, saved):
    editor = keras.saving.KerasFileEditor(saved)
    refused = [
        (lambda: editor.rename_object("dens", "x"), "no object 'dens'.*Did you mean 'dense'"),
        (lambda: editor.rename_object("dense", "x"), "2 objects are named 'dense'; pass one of"),
        (lambda: editor.rename_object("layers/dense", "a/b"), "has no '/'; received 'a/b'"),
        (lambda: editor.rename_object("layers/dense", "sequential"), "is a 'layers/sequential'"),
        (lambda: editor.delete_object("layers/none"), "no object 'layers/none'"),
        (lambda: editor.delete_weight("layers/dense", "7"), r"no weight '7'; it has \['0', '1'\]"),
        (lambda: editor.add_object("layers/dense", {}), "is a 'layers/dense' in the file"),
        (lambda: editor.save(tmp_path / "m.h5"), r"ends in '\.weights\.h5'; received"),
    ]
    for call, message in refused:
        with pytest.raises(ValueError, match=message):
            call()


# inspect_file ------------------------------------------------------------------------------------


class Mine(L.Layer):
    """A layer that loading has to be told of."""

    def call(self, x):
        return x


@keras.saving.register_keras_serializable("here")
def halve(x):
    return x / 2


def test_structure(tmp_path):
    nested().save(tmp_path / "m.keras")
    report = keras.saving.inspect_file(tmp_path / "m.keras")
    found = [(x.name, x.class_name, x.path, x.parameters, x.depth) for x in report.layers]
    assert found[1:] == [
        ("inner", "Sequential", "layers/sequential", 12, 0),
        (found[2][0], "InputLayer", "layers/sequential/layers/input_layer", 0, 1),
        ("a", "Dense", "layers/sequential/layers/dense", 12, 1),
        ("b", "Dense", "layers/dense", 8, 0),
    ]
    assert report.model == "Functional outer"
    assert report.parameters == 20
    assert report.keras_version == "3.15.1"
    assert report.compiled == {"optimizer": "Adam", "loss": "mse", "metrics": ["mae"]}
    assert report.custom_objects == ()
    assert report.weights["layers/dense/vars/0"] == ((3, 2), "float32")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        for name in archive.namelist():
            data = archive.read(name)
            assert report.members[name].nbytes == len(data)
            assert report.members[name].sha256 == hashlib.sha256(data).hexdigest()
    text = repr(report)
    assert "\n    a (Dense): 12\n" in text
    assert report.members["config.json"].sha256 in text


def test_custom_objects_are_named_and_not_looked_up(tmp_path):
    layers = [keras.Input((3,)), Mine(), L.Dense(2, activation=halve), L.Activation("relu")]
    keras.Sequential(layers).save(tmp_path / "m.keras")
    report = keras.saving.inspect_file(tmp_path / "m.keras")
    assert report.custom_objects == ("Mine", "here>halve")
    assert "Needs custom_objects: Mine, here>halve" in repr(report)


def test_bytecode_is_named(tmp_path):
    model = keras.Sequential([keras.Input((3,)), L.Dense(2)])
    model.save(tmp_path / "m", zipped=False)
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    code = {"class_name": "__lambda__", "config": {"code": "", "defaults": None, "closure": None}}
    config["config"]["layers"][1] = {"class_name": "Lambda", "config": {"function": code}}
    (tmp_path / "m" / "config.json").write_text(json.dumps(config))
    report = keras.saving.inspect_file(tmp_path / "m")
    assert report.bytecode
    assert report.format == "folder of a model"
    assert "safe_mode=False" in repr(report)


@pytest.mark.parametrize(
    ("saved_as", "inspected", "form", "parts"),
    [
        ("m.weights.h5", "m.weights.h5", "Keras weights", 1),
        ("m.safetensors", "m.safetensors", "safetensors", 1),
        ("m.weights.h5", "m.weights.json", "index of Keras weights in several files", 3),
        ("m.safetensors", "m.safetensors.index.json", "index of safetensors in several files", 2),
    ],
)
def test_weights(tmp_path, saved_as, inspected, form, parts):
    size = None if saved_as == inspected else 100 / 2**30
    nested().save_weights(tmp_path / saved_as, max_shard_size=size)
    report = keras.saving.inspect_file(tmp_path / inspected)
    assert report.format == form
    assert report.parameters == 20
    assert report.weights["layers/dense/vars/0"] == ((3, 2), "float32")
    assert len(report.members) >= parts
    assert report.nbytes == sum(m.nbytes for m in report.members.values())
    assert "layers/dense/vars/0: (3, 2) float32" in repr(report)


def test_not_inspected(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no file"):
        keras.saving.inspect_file(tmp_path / "m.keras")
    for name in ("m.keras", "m.weights.h5", "m.safetensors", "m.weights.json", "m.txt"):
        (tmp_path / name).write_bytes(b"nothing")
        with pytest.raises(keras.saving.LoadError, match=rf"{name}'"):
            keras.saving.inspect_file(tmp_path / name)


def test_an_orbax_checkpoint(tmp_path):
    pytest.importorskip("orbax.checkpoint")
    model = keras.Sequential([keras.Input((3,)), L.Dense(2, name="a")], name="m")
    model.compile("sgd", "mse")
    callback = keras.callbacks.OrbaxCheckpoint(tmp_path, save_freq="epoch")
    model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0, callbacks=[callback])
    report = keras.saving.inspect_file(tmp_path)
    assert (report.format, report.model, report.parameters) == (
        "Orbax checkpoint",
        "Sequential m",
        8,
    )
    assert [x.parameters for x in report.layers] == [0, 8]
