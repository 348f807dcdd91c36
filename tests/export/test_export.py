"""Models as programs: exported, loaded, and the same numbers."""

import json
import os
import pathlib
import subprocess
import sys
import threading
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from jax import export

import hornbeam as keras
from helpers import count_compiles
from hornbeam import layers

SOURCE = pathlib.Path(__file__).parents[2] / "src"
REVIEWS = ["What a film!", "A bad, bad film.", "Not bad: what a cast"]


def there_and_back(model, path, **options):
    model.export(path, format="stablehlo", verbose=False, **options)
    return keras.export.load(path)


def assert_same(ours, theirs):
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for x, y in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert x.dtype == y.dtype
        np.testing.assert_allclose(
            np.asarray(x, "float32"), np.asarray(y, "float32"), rtol=1e-5, atol=1e-6
        )


# Models ----------------------------------------------------------------------------------------


def dense(**options):
    return keras.Sequential([keras.Input((3,), name="x"), layers.Dense(2, name="d", **options)])


def convolutional():
    inner = keras.Sequential([keras.Input((6, 6, 2)), layers.Conv2D(4, 3), layers.MaxPooling2D()])
    x = keras.Input((6, 6, 2))
    y = layers.Flatten()(layers.BatchNormalization()(inner(x) + inner(x * 2.0)))
    return keras.Model(x, layers.Dropout(0.5)(layers.Dense(2)(y)))


def named():
    a, b = keras.Input((None, 3), name="a"), keras.Input((2,), name="b")
    h = layers.Bidirectional(layers.GRU(4))(layers.Masking()(a))
    return keras.Model(
        {"b": b, "a": a}, {"p": layers.Dense(1)(h), "q": [layers.Concatenate()([h, b])]}
    )


def listed():
    a, b = keras.Input((3,)), keras.Input((3,))
    return keras.Model([a, b], [a + b, a - b])


def attention():
    query, value = keras.Input((None, 4)), keras.Input((None, 4))
    return keras.Model(
        [query, value], layers.MultiHeadAttention(2, 3)(query, value, use_causal_mask=False)
    )


class Own(keras.Model):
    """A model with a `call` of its own."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.body, self.drop = layers.Dense(4), layers.Dropout(0.5)

    def call(self, inputs, training=False):
        x = self.drop(self.body(inputs["x"]), training=training)
        return {"sum": x + inputs["y"], "drop": x}


def subclass():
    model = Own()
    model({"x": np.ones((1, 3), "float32"), "y": np.ones((1, 4), "float32")})
    return model


def int8():
    model = keras.Sequential([keras.Input((8,)), layers.Dense(16)])
    model.quantize("int8")
    return model


def floats(*shape):
    return np.random.default_rng(len(shape)).normal(size=shape).astype("float32")


MODELS = {
    "dense": (dense, lambda n: floats(n, 3)),
    "convolutional": (convolutional, lambda n: floats(n, 6, 6, 2)),
    "named": (named, lambda n: {"a": floats(n, n + 2, 3), "b": floats(n, 2)}),
    "listed": (listed, lambda n: [floats(n, 3), floats(n, 3) * 2]),
    "attention": (attention, lambda n: [floats(n, 5, 4), floats(n, n + 1, 4)]),
    "subclass": (subclass, lambda n: {"x": floats(n, 3), "y": floats(n, 4)}),
    "half": (lambda: dense(dtype="mixed_bfloat16"), lambda n: floats(n, 3)),
    "int8": (int8, lambda n: floats(n, 8)),
    "integers": (
        lambda: keras.Sequential([keras.Input((3,), dtype="int32"), layers.Embedding(9, 2)]),
        lambda n: np.arange(3 * n).reshape(n, 3) % 9,
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_models(name, tmp_path):
    make, data = MODELS[name]
    model = make()
    exported = there_and_back(model, tmp_path / "m")
    for rows in (1, 4):
        assert_same(exported(data(rows)), model(data(rows)))
    assert exported.serve is exported.endpoints["serve"]


@pytest.mark.parametrize(
    "x", [[[1, 2, 3]], np.ones((1, 3)), np.ones((1, 3), "int64"), {"x": jnp.ones((1, 3))}]
)
def test_inputs_in_the_forms_that_the_model_takes(x, tmp_path):
    model = dense()
    assert_same(there_and_back(model, tmp_path / "m")(x), model(x))


def test_inputs_of_any_order(tmp_path):
    exported = there_and_back(model := named(), tmp_path / "m")
    data = MODELS["named"][1](2)
    assert_same(exported({"b": data["b"], "a": data["a"], "more": 1}), model(data))


# Sizes -----------------------------------------------------------------------------------------


def line_of(exported):
    return repr(exported).split("serve", 1)[1]


def sequences(function):
    a, b, c = (keras.Input((None, 4), name=name) for name in "abc")
    return keras.Model([a, b, c], function(a, b, c))


@pytest.mark.parametrize(
    ("function", "sizes"),
    [
        (lambda a, b, c: [a, b, c], ["a_1", "b_1", "c_1"]),
        (lambda a, b, c: [a + b, c], ["a_1", "a_1", "c_1"]),
        (lambda a, b, c: [a + b + c], ["a_1", "a_1", "a_1"]),
        (lambda a, b, c: layers.Attention()([a, b, c]), ["a_1", "b_1", "b_1"]),
    ],
    ids=["three", "two", "one", "attention"],
)
def test_sizes_are_equal_where_they_must_be(function, sizes, tmp_path):
    exported = there_and_back(sequences(function), tmp_path / "m")
    takes = [f"{name}: float32[batch, {size}, 4]" for name, size in zip("abc", sizes, strict=True)]
    assert line_of(exported).startswith(f"({', '.join(takes)}) -> ")


def test_sizes_are_large_enough(tmp_path):
    x = keras.Input((None, 2), name="x")
    model = keras.Model(x, layers.Dense(3)(layers.Cropping1D((1, 2))(x)))
    exported = there_and_back(model, tmp_path / "m")
    assert_same(exported(floats(2, 4, 2)), model(floats(2, 4, 2)))
    with pytest.raises(ValueError, match="leaves nothing"):
        model(floats(2, 2, 2))
    with pytest.raises(RuntimeError, match=r"can't be computed for inputs of shapes \(2, 2, 2\)"):
        exported(floats(2, 2, 2))


def test_sizes_of_a_signature(tmp_path):
    x = keras.Input((None, 2))
    model = keras.Model(x, layers.Dense(3)(x))
    exported = there_and_back(
        model, tmp_path / "m", input_signature=[keras.InputSpec(shape=(4, 5, 2))]
    )
    assert exported(floats(4, 5, 2)).shape == (4, 5, 3)
    with pytest.raises(ValueError, match=r"float32\[4, 5, 2\]; received float32\[3, 5, 2\]"):
        exported(floats(3, 5, 2))
    with pytest.raises(ValueError, match="shape"):
        model.export(tmp_path / "m", "stablehlo", input_signature=[keras.InputSpec(shape=(4, 2))])


def test_a_model_that_can_not_do_with_open_sizes(tmp_path):
    class Loop(layers.Layer):
        def call(self, x):
            return sum(x[:, i] for i in range(x.shape[1]))

    x = keras.Input((None, 2))
    model = keras.Model(x, Loop()(x))
    with pytest.raises(TypeError) as info:
        model.export(tmp_path / "m", format="stablehlo")
    assert any("pass an input_signature" in note for note in info.value.__notes__)
    assert not list(tmp_path.iterdir())
    exported = there_and_back(model, tmp_path / "m", input_signature=[jnp.ones((1, 3, 2))])
    assert_same(exported(floats(1, 3, 2)), model(floats(1, 3, 2)))


def test_one_compile_for_each_size(tmp_path):
    exported = there_and_back(dense(), tmp_path / "m")
    xs = [jnp.ones((n, 3)) for n in (2, 3)]
    with count_compiles() as n:
        for x in xs * 3:
            exported(x)
    assert n.total == 2, n.names


# The host --------------------------------------------------------------------------------------


def vectorization(**options):
    layer = layers.TextVectorization(**options)
    layer.adapt(REVIEWS)
    return layer


def texts():
    return keras.Sequential(
        [
            keras.Input((), dtype="string", name="text"),
            vectorization(),
            layers.Embedding(50, 4, mask_zero=True),
            layers.LSTM(3),
        ]
    )


def nested():
    """Two texts and numbers, with a text model inside that is called twice."""
    text, title = (keras.Input((), dtype="string", name=name) for name in ("text", "title"))
    number = keras.Input((2,), name="number")
    inner = texts()
    both = layers.Concatenate()([inner(text), inner(title)])
    answer = layers.Embedding(7, 3)(layers.StringLookup(vocabulary=["yes", "no"])(title))
    inputs = {"text": text, "title": title, "number": number}
    return keras.Model(inputs, layers.Concatenate()([both, answer, number]))


TEXTS_AND_NUMBERS = {
    "text": np.array(["What a film!", "bad"], object),
    "title": np.array(["yes", "what"], object),
    "number": np.array([[0.5, 1.0], [2.0, 3.0]]),
}


@pytest.mark.parametrize(
    "x",
    [
        REVIEWS,
        np.array(REVIEWS),
        np.array(REVIEWS, object),
        pd.Series(REVIEWS),
        {"text": np.array(REVIEWS, object)},
        ["", "bad"],
        ["film " * 30],
    ],
    ids=["list", "str", "object", "series", "dict", "short", "long"],
)
def test_texts(x, tmp_path):
    model = texts()
    exported = there_and_back(model, tmp_path / "m")
    assert line_of(exported) == "(text: string[batch]) -> float32[batch, 3]"
    assert_same(exported(x), model(x))


def test_a_host_part_inside(tmp_path):
    model = nested()
    exported = there_and_back(model, tmp_path / "m")
    assert_same(exported(TEXTS_AND_NUMBERS), model(TEXTS_AND_NUMBERS))
    frame = pd.DataFrame({"text": ["a", "b"], "title": ["yes", "no"], "number": [0.5, 1.5]})
    with pytest.raises(ValueError, match="'number' should have shape"):
        exported(frame)


def test_a_table(tmp_path):
    frame = pd.DataFrame(
        {"age": [20.0, np.nan, 40.0], "city": ["Ulm", None, "Kiel"], "job": ["a", "b", "a"]}
    )
    feature = keras.utils.FeatureSpace
    space = feature(
        features={
            "age": feature.float_normalized(),
            "city": feature.string_categorical(num_oov_indices=1),
            "job": feature.string_hashed(num_bins=5),
        },
        crosses=[feature.cross(("city", "job"), crossing_dim=8)],
    )
    space.adapt(frame)
    inputs = space.get_inputs()
    model = keras.Model(inputs, layers.Dense(2)(space.get_encoded_features()))
    exported = there_and_back(model, tmp_path / "m")
    assert_same(exported(frame), model(frame))
    columns = {name: frame[name].to_numpy()[:, None] for name in frame}
    assert_same(exported(columns), model(frame))


def test_all_on_the_host(tmp_path):
    model = keras.Sequential([keras.Input((), dtype="string"), vectorization()])
    exported = there_and_back(model, tmp_path / "m")
    assert_same(exported(REVIEWS), model(REVIEWS))
    assert exported.serve.program is None


def test_texts_go_into_nothing_that_is_compiled(tmp_path):
    exported = there_and_back(dense(), tmp_path / "m")
    with pytest.raises(ValueError, match="number type; received '<U1'"):
        exported(np.array([["a", "b", "c"]]))

    class Reader(keras.Model):
        def __init__(self):
            super().__init__()
            self.vectorize = vectorization()

        def call(self, x):
            return self.vectorize(x)

    model = Reader()
    with pytest.raises(TypeError, match="put it first, next to the inputs"):
        model.export(tmp_path / "m", "stablehlo", input_signature=[keras.Input((), dtype="string")])


# State -----------------------------------------------------------------------------------------


class Counter(layers.Layer):
    """Adds the number of its calls."""

    def build(self, input_shape):
        self.calls = self.add_weight((), "zeros", dtype="int32", trainable=False, name="calls")

    def call(self, x):
        self.calls.assign_add(1)
        return x + self.calls.value.astype(x.dtype)


def test_state_goes_on(tmp_path):
    x = keras.Input(batch_shape=(2, 3, 4))
    model = keras.Model(
        x, Counter()(layers.Dropout(0.5)(layers.LSTM(3, stateful=True)(x), training=True))
    )
    exported = there_and_back(model, tmp_path / "m")
    data = floats(2, 3, 4)
    for _ in range(3):
        assert_same(exported(data), model(data))


def test_state_in_threads(tmp_path):
    model = keras.Sequential([keras.Input((1,)), Counter()])
    exported = there_and_back(model, tmp_path / "m")
    seen = []
    call = lambda: seen.extend(float(exported(np.zeros((1, 1)))[0, 0]) for _ in range(25))
    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == list(range(1, 101))


def test_losses_of_layers_stay_numbers(tmp_path):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, activity_regularizer="l2")])
    model(x := floats(4, 3))
    before = [float(loss) for loss in model.losses]
    there_and_back(model, tmp_path / "m")
    assert [float(loss) for loss in model.losses] == before and before[0] > 0
    assert_same(keras.export.load(tmp_path / "m")(x), model(x))


def test_in_the_midst_of_training(tmp_path):
    model = dense()
    model.compile("sgd", "mse")
    x, seen = floats(8, 3), []
    write = lambda epoch, _: there_and_back(model, tmp_path / str(epoch))
    look = keras.callbacks.LambdaCallback(on_epoch_end=write)
    keep = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: seen.append(model(x)))
    model.fit(x, floats(8, 2), epochs=2, verbose=0, callbacks=[look, keep])
    for epoch, expected in enumerate(seen):
        assert_same(keras.export.load(tmp_path / str(epoch))(x), expected)


# Archives --------------------------------------------------------------------------------------


def test_endpoints_share_variables(tmp_path):
    model = keras.Sequential([keras.Input((2,)), Counter()])
    gain = keras.Variable([2.0, 3.0], name="gain")
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("call", model)
    archive.add_endpoint("scaled", lambda x: model(x) * gain, [keras.InputSpec(shape=(None, 2))])
    archive.add_endpoint(
        "both",
        lambda pair, z: {"sum": pair[0] + pair[1], "count": (z > 0).sum()},
        [(keras.InputSpec(shape=(None, 2)), jnp.ones((1, 2))), keras.InputSpec("int32", (None,))],
    )
    archive.add_variable_collection("gains", [gain])
    archive.add_variable_collection("counts", model.non_trainable_variables)
    archive.write_out(tmp_path / "m", format="stablehlo", verbose=False)
    exported = keras.export.load(tmp_path / "m")
    x = np.zeros((3, 2), "float32")
    assert exported.call(x).tolist() == [[1, 1]] * 3
    assert exported.scaled(x).tolist() == [[4, 6]] * 3
    assert exported(x).tolist() == [[3, 3]] * 3
    assert {k: v.tolist() for k, v in exported.collections["gains"].items()} == {"gain": [2, 3]}
    for _ in range(2):
        exported.call(x)
    assert exported.call(x).tolist() == [[6, 6]] * 3
    assert [int(v) for v in exported.collections["counts"].values()] == [6]
    both = exported.both((x, np.ones((1, 2))), np.array([1, 0, 2]))
    assert both["sum"].shape == (3, 2) and int(both["count"]) == 2
    assert {"call", "scaled", "both"} <= set(dir(exported))
    with pytest.raises(AttributeError, match="Did you mean 'scaled'"):
        exported.scale  # noqa: B018


@pytest.mark.parametrize(
    ("dtype", "x", "fits"),
    [
        ("float32", np.arange(3), True),
        ("float32", np.ones(3, "float64"), True),
        ("float32", np.ones(3, jnp.bfloat16), True),
        ("float32", np.ones(3, bool), True),
        ("int32", [1, 2**31 - 1], True),
        ("int32", [1, 2**31], False),
        ("int8", jnp.array([1, 128]), False),
        ("uint8", np.array([255]), True),
        ("uint8", np.array([-1]), False),
        ("int32", np.ones(3), False),
        ("bool", np.ones(3, bool), True),
        ("bool", np.ones(3, "int32"), False),
        ("float32", np.array(["a"]), False),
        ("float32", np.array(["a"], object), False),
        ("float32", np.ones(3, "complex64"), False),
        ("float32", np.ones((3, 1)), False),
        ("float32", np.ones(0), False),
    ],
)
def test_arrays_that_fit(dtype, x, fits, tmp_path):
    archive = keras.export.ExportArchive()
    archive.add_endpoint("f", lambda x: x, [keras.InputSpec(dtype, (None,))])
    archive.write_out(tmp_path / "m", format="stablehlo", verbose=False)
    exported = keras.export.load(tmp_path / "m")
    if fits:
        assert exported.f(x).tolist() == np.asarray(x, dtype).tolist()
    else:
        with pytest.raises(ValueError, match=rf"array 0 .* should be {dtype}\[batch\]; received"):
            exported.f(x)


def test_variables_of_one_name(tmp_path):
    first, second = keras.Variable(1.0, name="v"), keras.Variable(10.0, name="v")
    archive = keras.export.ExportArchive()
    archive.add_endpoint("f", lambda x: x * first + second, [keras.InputSpec(shape=(None,))])
    archive.write_out(tmp_path / "m", format="stablehlo", verbose=False)
    assert keras.export.load(tmp_path / "m").f([2.0]).tolist() == [12.0]


@pytest.mark.parametrize(
    ("act", "error", "message"),
    [
        (lambda a: a.add_endpoint("f", jnp.sin), ValueError, "needs an input_signature"),
        (lambda a: a.add_endpoint("f", jnp.sin, [3]), TypeError, "keras.InputSpec"),
        (lambda a: a.add_endpoint("a b", dense()), ValueError, "that of a method"),
        (lambda a: a.add_endpoint("there", dense()), ValueError, "named 'there' already"),
        (lambda a: a.add_endpoint("f", dense(), what=1), TypeError, "'what'"),
        (lambda a: a.add_variable_collection("c", [1]), TypeError, "takes variables"),
        (lambda a: a.add_endpoint("f", keras.Sequential([layers.Dense(1)])), ValueError, "built"),
        (lambda a: a.write_out("m", format="stable"), ValueError, "Did you mean 'stablehlo'"),
        (lambda a: a.write_out("m", format="stablehlo", opset=1), TypeError, "'opset'"),
    ],
)
def test_mistakes(act, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    archive = keras.export.ExportArchive()
    archive.add_endpoint("there", dense())
    with pytest.raises(error, match=message):
        act(archive)
    assert not list(tmp_path.iterdir())


def test_nothing_to_write(tmp_path):
    with pytest.raises(ValueError, match="add an endpoint"):
        keras.export.ExportArchive().write_out(tmp_path / "m", format="stablehlo")


def test_says_what_it_wrote(tmp_path, capsys):
    dense().export(tmp_path / "m", format="stablehlo")
    expected = (
        f"Exported to '{tmp_path / 'm'}':\n  serve(x: float32[batch, 3]) -> float32[batch, 2]\n"
    )
    assert capsys.readouterr().out == expected


def test_platforms(tmp_path):
    there_and_back(dense(), tmp_path / "m")
    assert keras.export.load(tmp_path / "m").serve.program.platforms == (
        "cpu",
        "cuda",
        "rocm",
        "tpu",
    )
    there_and_back(dense(), tmp_path / "m", platforms=["tpu"])
    with pytest.raises(RuntimeError, match="platform"):
        keras.export.load(tmp_path / "m")(np.ones((1, 3)))
    # JAX has no eigenvalues of general matrices on TPUs.
    archive = keras.export.ExportArchive()
    archive.add_endpoint("f", jnp.linalg.eigvals, [keras.InputSpec(shape=(None, 3, 3))])
    archive.write_out(tmp_path / "m", format="stablehlo", verbose=False)
    exported = keras.export.load(tmp_path / "m")
    assert_same(exported.f(floats(2, 3, 3)).real, jnp.linalg.eigvals(floats(2, 3, 3)).real)


# Files -----------------------------------------------------------------------------------------

WITHOUT_CODE = """
import json, sys, numpy as np, hornbeam as keras
exported = keras.export.load("m")
x = {name: np.array(value, object) for name, value in json.loads(sys.argv[1]).items()}
x["number"] = x["number"].astype("float32")
print(json.dumps(exported(x).tolist()))
"""

WITHOUT_HORNBEAM = """
import json, zipfile, numpy as np, jax
from jax import export
from safetensors.numpy import load
with zipfile.ZipFile("m") as file:
    program = export.deserialize(bytearray(file.read("serve.jax")))
    weights = load(file.read("weights.safetensors"))
outputs, changed = jax.jit(program.call)(weights, np.ones((2, 3), "float32"))
print(json.dumps(outputs.tolist()))
"""


def in_a_new_process(code, folder, *arguments):
    command = [sys.executable, "-c", code, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class Doubled(layers.Layer):
    """A class that other processes don't have."""

    def call(self, x):
        return x * 2


def test_without_the_code(tmp_path):
    inner = nested()
    model = keras.Model(inner.inputs, Doubled()(inner.outputs[0]))
    there_and_back(model, tmp_path / "m")
    data = json.dumps({name: x.tolist() for name, x in TEXTS_AND_NUMBERS.items()})
    found = in_a_new_process(WITHOUT_CODE, tmp_path, data)
    np.testing.assert_allclose(found, model(TEXTS_AND_NUMBERS), rtol=1e-5)


def test_without_hornbeam(tmp_path):
    model = dense()
    there_and_back(model, tmp_path / "m")
    expected = model(np.ones((2, 3)))
    np.testing.assert_allclose(in_a_new_process(WITHOUT_HORNBEAM, tmp_path), expected, rtol=1e-6)


def test_an_old_file_stays_until_the_new_one_is_whole(tmp_path, monkeypatch):
    there_and_back(dense(), tmp_path / "m")
    before = (tmp_path / "m").read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("hornbeam.export._stablehlo.write_safetensors", full)
        with pytest.raises(OSError, match="No space"):
            texts().export(tmp_path / "m", format="stablehlo")
    assert (tmp_path / "m").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_without_the_extra(tmp_path, monkeypatch):
    model = dense()
    there_and_back(model, tmp_path / "m")
    monkeypatch.setitem(sys.modules, "flatbuffers", None)
    for act in (lambda: model.export(tmp_path / "n", "stablehlo"), lambda: keras.export.load("m")):
        with pytest.raises(ImportError, match=r'pip install "hornbeam\[export\]"'):
            act()


def test_replaces_nothing_else(tmp_path):
    """Not a file of another kind, nor a folder."""
    (tmp_path / "notes").write_text("mine")
    model = dense()
    for path, format in (("notes", "stablehlo"), (".", "stablehlo"), (".", "tf_saved_model")):
        with pytest.raises(FileExistsError, match="isn't replaced"):
            model.export(tmp_path / path, format=format)
    with pytest.raises(FileExistsError, match="is a file"):
        model.export(tmp_path / "notes")
    assert (tmp_path / "notes").read_text() == "mine"


def test_equal_models_give_equal_bytes(tmp_path):
    model = texts()
    for name in "ab":
        model.export(tmp_path / name, format="stablehlo", verbose=False)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def members(path):
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def write_members(path, parts):
    with zipfile.ZipFile(path, "w") as file:
        for name, data in parts.items():
            file.writestr(name, data)


def calls_a_function():
    """A program that calls a function of the process by its name."""
    x, name = jax.ShapeDtypeStruct((2, 3), "float32"), "xla_ffi_python_cpu_callback"
    call = jax.jit(lambda _, x: (jax.ffi.ffi_call(name, x)(x), {}))
    disabled = [export.DisabledSafetyCheck.custom_call(name)]
    return bytes(export.export(call, disabled_checks=disabled)({}, x).serialize())


def other_arguments():
    x = jax.ShapeDtypeStruct((2, 3), "float32")
    return bytes(export.export(jax.jit(lambda x: x))(x).serialize())


def change_signature(**changes):
    return lambda parts: {
        "signature.json": json.dumps({**json.loads(parts["signature.json"]), **changes})
    }


BROKEN = {
    "calls": (lambda parts: {"serve.jax": calls_a_function()}, "which isn't known to be harmless"),
    "arguments": (lambda parts: {"serve.jax": other_arguments()}, "serve"),
    "program": (lambda parts: {"serve.jax": parts["serve.jax"][:100]}, "serve"),
    "no program": (lambda parts: {"serve.jax": None}, "it has no program"),
    "front": (lambda parts: {"serve.keras": b"what"}, "serve.keras"),
    "no weights": (lambda parts: {"weights.safetensors": None}, "isn't what `model.export` writes"),
    "weights": (lambda parts: {"weights.safetensors": b"what"}, "weights.safetensors"),
    "format": (change_signature(format="hornbeam.stablehlo 2"), "has the format"),
    "endpoints": (change_signature(endpoints={"serve": 3}), "signature.json is damaged"),
    "no endpoints": (change_signature(endpoints={}), "signature.json is damaged"),
    "another": (change_signature(endpoints={"other": {"takes": [], "gives": []}}), "other"),
    "collections": (change_signature(collections={"c": ["gone"]}), "signature.json is damaged"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files(name, tmp_path):
    change, message = BROKEN[name]
    path = tmp_path / "m"
    there_and_back(dense(), path)
    parts = members(path)
    parts = {k: v for k, v in {**parts, **change(parts)}.items() if v is not None}
    write_members(path, parts)
    with pytest.raises(keras.saving.LoadError, match=message) as info:
        keras.export.load(path)
    assert str(path) in str(info.value)


def test_every_byte_counts(tmp_path):
    path = tmp_path / "m"
    there_and_back(texts(), path)
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    for place in rng.integers(0, len(whole), 60):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(keras.saving.LoadError):
            keras.export.load(path)
    for place in rng.integers(0, len(whole), 10):
        path.write_bytes(whole[:place])
        with pytest.raises(keras.saving.LoadError):
            keras.export.load(path)


def test_other_files(tmp_path):
    with pytest.raises(FileNotFoundError):
        keras.export.load(tmp_path / "none")
    dense().save(tmp_path / "m.keras")
    with pytest.raises(keras.saving.LoadError, match=r"keras\.saving\.load_model"):
        keras.export.load(tmp_path / "m.keras")
    (tmp_path / "m").write_bytes(b"what")
    with pytest.raises(keras.saving.LoadError, match="too short"):
        keras.export.load(tmp_path / "m")


# TensorFlow ------------------------------------------------------------------------------------


def test_saved_model_without_tensorflow(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(ImportError, match="stablehlo"):
        dense().export(tmp_path / "m")
    with pytest.raises(ValueError, match="on the host"):
        texts().export(tmp_path / "m")


@pytest.mark.parametrize("name", ["dense", "convolutional", "named", "listed", "attention", "int8"])
def test_saved_model(name, tmp_path):
    tensorflow = pytest.importorskip("tensorflow")
    make, data = MODELS[name]
    model = make()
    model.export(tmp_path / "m", verbose=False)
    loaded = tensorflow.saved_model.load(str(tmp_path / "m"))
    for rows in (1, 4):
        outputs = jax.tree.map(lambda x: jnp.asarray(x.numpy()), loaded.serve(data(rows)))
        assert_same(outputs, model(data(rows)))
    signature = loaded.signatures["serving_default"].structured_input_signature[1]
    assert sorted(signature) == sorted(model.input_names)


def test_saved_model_with_state(tmp_path):
    tensorflow = pytest.importorskip("tensorflow")
    archive = keras.export.ExportArchive()
    model = keras.Sequential([keras.Input((1,)), Counter()])
    archive.add_endpoint("count", model)
    archive.add_variable_collection("counts", model.variables)
    archive.write_out(tmp_path / "m", verbose=False)
    loaded = tensorflow.saved_model.load(str(tmp_path / "m"))
    x = np.zeros((1, 1), "float32")
    assert [float(loaded.count(x)[0, 0]) for _ in range(2)] == [1.0, 2.0]
    assert int(loaded.counts[0]) == 2
