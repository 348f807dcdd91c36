"""Vocabularies in files: Keras's layout, read and written; odd tokens; no path from a config."""

import json
import pathlib
import zipfile

import numpy as np
import pytest

import hornbeam as keras

L = keras.layers
GOLDEN = pathlib.Path(__file__).parent / "golden"  # written by scripts/record_text
TEXTS = ["The cat sat", "the ÉTÉ dog", "", "the dog!"]


def golden(name):
    about = json.loads((GOLDEN / f"{name}.json").read_text())
    model = keras.saving.load_model(GOLDEN / f"{name}.keras")
    return model, [np.array(x) for x in about["inputs"]], about["outputs"]


@pytest.mark.parametrize("name", ["text_keras_tf", "tf_idf_keras_tf"])
def test_models_of_keras_on_tensorflow(name):
    model, (texts,), outputs = golden(name)
    np.testing.assert_allclose(model(texts), outputs, rtol=1e-5, atol=1e-6)


def test_layers_of_keras_on_tensorflow():
    model, (words, numbers), outputs = golden("categories_keras_tf")
    inputs = {"IntegerLookup": numbers}
    layers = [layer for layer in model.layers if not isinstance(layer, L.InputLayer)]
    kinds = ["StringLookup", "IntegerLookup", "StringLookup", "Hashing"]
    assert [type(layer).__name__ for layer in layers] == kinds
    for layer, kind, expected in zip(layers, kinds, outputs):
        np.testing.assert_allclose(layer(inputs.get(kind, words)), expected, rtol=1e-6)


def adapted(layer, data):
    layer.adapt(data)
    return layer


def of_texts(layer):
    return keras.Sequential([keras.Input((1,), dtype="string"), layer])


def test_layout_is_that_of_keras(tmp_path):
    theirs = zipfile.ZipFile(GOLDEN / "tf_idf_keras_tf.keras")
    model, (texts,), _ = golden("tf_idf_keras_tf")
    model.save(tmp_path / "m.keras")
    ours = zipfile.ZipFile(tmp_path / "m.keras")
    assert sorted(ours.namelist()) == sorted(theirs.namelist())
    for name in theirs.namelist():
        if name.startswith("assets/"):
            assert ours.read(name) == theirs.read(name)
    configs = [json.loads(z.read("config.json"))["config"]["layers"][1] for z in (ours, theirs)]
    for config in configs:
        del config["config"]["dtype"], config["config"]["name"]
    assert configs[0] == configs[1]
    again = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(again(texts), model(texts))


ODD = ["a\nb", "a\r", "", " ", "é", "\U0001f600", "\u2028", "a\0b", "שלום", "[UNK]x"]


@pytest.mark.parametrize(
    "vocabulary", [ODD, ODD[2:], ["b", ""], ["\n"], ["\udcff", "a"]], ids=range(5)
)
@pytest.mark.parametrize("learned", [True, False])
def test_odd_tokens(tmp_path, vocabulary, learned):
    layer = L.StringLookup(num_oov_indices=2)
    if learned:
        layer.set_vocabulary(vocabulary)
    else:
        layer = L.StringLookup(vocabulary=vocabulary, num_oov_indices=2)
    of_texts(layer).save(tmp_path / "m.keras")
    copy = keras.saving.load_model(tmp_path / "m.keras").layers[0]
    assert copy.get_vocabulary() == layer.get_vocabulary() == ["[UNK]", "[UNK]", *vocabulary]
    np.testing.assert_array_equal(copy(vocabulary), np.arange(len(vocabulary)) + 2)


@pytest.mark.parametrize(
    "layer",
    [
        lambda: adapted(L.TextVectorization(output_sequence_length=4), TEXTS),
        lambda: adapted(L.TextVectorization(output_mode="tf_idf", ngrams=2), TEXTS),
        lambda: adapted(L.TextVectorization(split=None, standardize=None), [*TEXTS, "a\nb"]),
        lambda: L.TextVectorization(vocabulary=["the", "cat"], output_mode="count"),
        lambda: L.TextVectorization(
            vocabulary=["the"], output_mode="tf_idf", idf_weights=np.array([0.3])
        ),
        lambda: adapted(L.StringLookup(output_mode="tf_idf"), [TEXTS]),
        lambda: L.StringLookup(vocabulary=TEXTS[:2], output_mode="tf_idf", idf_weights=[1, 2]),
        lambda: L.StringLookup(vocabulary=np.array(TEXTS), mask_token="the dog!x"),
        lambda: L.Hashing(7, salt=3, mask_value=""),
    ],
)
def test_round_trip(tmp_path, layer):
    layer = layer()
    model = of_texts(layer)
    model.save(tmp_path / "m.keras")
    copy = keras.saving.load_model(tmp_path / "m.keras")
    texts = np.array([[text] for text in TEXTS], object)
    np.testing.assert_array_equal(copy(texts), model(texts))
    assert copy.get_config() == model.get_config()


def test_integers_round_trip(tmp_path):
    layer = adapted(L.IntegerLookup(mask_token=0), [5, 5, 2**60, -3, 0])
    keras.Sequential([keras.Input((1,), dtype="int64"), layer]).save(tmp_path / "m.keras")
    copy = keras.saving.load_model(tmp_path / "m.keras").layers[0]
    assert copy.get_vocabulary() == [0, -1, 5, 2**60, -3]


def test_vocabulary_file_is_read_by_its_caller_only(tmp_path):
    path = tmp_path / "words.txt"
    path.write_bytes("red\r\ngrün\r\n".encode())
    for cls in (L.StringLookup, L.TextVectorization):
        layer = cls(vocabulary=str(path))
        assert layer.get_vocabulary(include_special_tokens=False) == ["red", "grün"]
        # The vocabulary goes into the model's file, not the path.
        assert layer.get_config()["vocabulary"] is None
        config = {**layer.get_config(), "vocabulary": str(path)}
        with pytest.raises(ValueError, match="no path in it is read"):
            cls.from_config(config)
    assert L.StringLookup(vocabulary=path, encoding="latin-1").get_vocabulary()[2] == "grÃ¼n"
    path.write_text("1\n2\n")
    assert L.IntegerLookup(vocabulary=path).get_vocabulary() == [-1, 1, 2]
    path.write_text("1\nb\n")
    with pytest.raises(ValueError, match=r"an integer in each line.*'b'"):
        L.IntegerLookup(vocabulary=path)
    with pytest.raises(ValueError, match="no vocabulary file"):
        L.StringLookup(vocabulary=tmp_path / "none.txt")


def changed(source, target, change):
    """A copy of a file, with `change(name, data)` in the place of what its members hold."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            if (data := change(name, old.read(name))) is not None:
                new.writestr(name, data)
    return target


def test_damaged_vocabularies(tmp_path):
    source = GOLDEN / "tf_idf_keras_tf.keras"
    is_asset = lambda name: name.startswith("assets/")
    longer = lambda name, data: data + b"\nmore" if is_asset(name) else data
    with pytest.raises(ValueError, match=r"tokens and .* idf_weights"):
        keras.saving.load_model(changed(source, tmp_path / "longer.keras", longer))
    twice = lambda name, data: data + b"\n" + data.split(b"\n")[1] if is_asset(name) else data
    with pytest.raises(ValueError, match="tokens twice"):
        keras.saving.load_model(changed(source, tmp_path / "twice.keras", twice))
    path = lambda name, data: data.replace(b'"vocabulary": null', b'"vocabulary": "/etc/passwd"')
    with pytest.raises(ValueError, match="no path in it is read"):
        keras.saving.load_model(changed(source, tmp_path / "path.keras", path))
    missing = lambda name, data: None if is_asset(name) else data
    model = keras.saving.load_model(changed(source, tmp_path / "missing.keras", missing))
    with pytest.raises(ValueError, match="no vocabulary yet"):
        model(np.array([["a"]]))
