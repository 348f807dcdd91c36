"""Files that mean harm: judged from outside, by what a process that loads them does.

A case passes only if nothing was run, imported, opened, written or changed, if no more memory was
taken than the limits allow, and if the error is one of hornbeam's own.
"""

import base64
import copy
import inspect
import io
import json
import marshal
import os
import pathlib
import pickle
import shutil
import struct
import subprocess
import sys
import zipfile

import h5py
import numpy as np
import pytest

import hornbeam as keras
from hornbeam.core import objects
from hornbeam.saving._snapshot import read_snapshot, write_snapshot

L = keras.layers
CHILD = pathlib.Path(__file__).with_name("hostile_child.py")
# What a case may take; those that make variables without a file of weights, their limit of 2 GiB.
MEMORY = 400 << 20
VARIABLES = (2 << 30) + MEMORY
LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"


def model():
    layers = [keras.Input((3,)), L.Dense(4, name="a"), L.Dense(2, name="b")]
    made = keras.Sequential(layers)
    made.compile("adam", "mse")
    return made


class Files:
    """Makes the files of the cases in a folder."""

    def __init__(self, folder):
        self.folder = folder
        self.good = folder / "good.keras"
        self.good_weights = folder / "good.weights.h5"
        model().save(self.good)
        model().save_weights(self.good_weights)
        with zipfile.ZipFile(self.good) as archive:
            self.members = {name: archive.read(name) for name in archive.namelist()}
        self.config = json.loads(self.members["config.json"])
        self.count = 0
        (folder / "secret.txt").write_text("secret\nwords\n")
        (folder / "secret.bin").write_bytes(np.full(1000, 7.0, "float32").tobytes())
        with h5py.File(folder / "secret.h5", "w") as file:
            file["x"] = np.full(12, 7.0, "float32")

    def path(self, ending):
        self.count += 1
        return self.folder / f"case{self.count}{ending}"

    def zipped(self, members, **options):
        """A `.keras` file of these members: pairs of a name, or `ZipInfo`, and bytes."""
        path = self.path(".keras")
        with zipfile.ZipFile(path, "w", **options) as archive:
            for name, data in members.items() if isinstance(members, dict) else members:
                archive.writestr(name, data)
        return path

    def with_members(self, **members):
        named = {name.replace("__", "."): data for name, data in members.items()}
        return self.zipped({**self.members, **named})

    def with_config(self, config):
        text = config if isinstance(config, (str, bytes)) else json.dumps(config)
        return self.with_members(config__json=text)

    def with_layer(self, entry):
        """The good model with another layer in the place of its last."""
        config = copy.deepcopy(self.config)
        config["config"]["layers"][-1] = entry
        return config

    def with_weights(self, change):
        """The good weights, changed by a function of the open file."""
        path = self.path(".weights.h5")
        path.write_bytes(self.good_weights.read_bytes())
        with h5py.File(path, "r+") as file:
            change(file)
        return path


def layer(class_name, module="keras.layers", /, **config):
    return {"module": module, "class_name": class_name, "config": config, "registered_name": None}


CODE = base64.b64encode(marshal.dumps(compile("print('run')", "evil", "exec"))).decode()
BYTECODE = {
    "class_name": "__lambda__",
    "config": {"code": CODE, "defaults": None, "closure": None},
}


def function(name, module="builtins"):
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


# Layers, and what could stand in the place of one, that no door may let in.
ENTRIES = {
    "bytecode": layer("Lambda", function=BYTECODE),
    "bytecode as mask": layer("Lambda", function=function("relu"), mask=BYTECODE),
    "bytecode in a list": layer("Dense", units=2, activation=[BYTECODE]),
    "bytecode of Keras 2": layer("Lambda", function=[CODE, None, None], function_type="lambda"),
    "bytecode as initializer": layer("Dense", units=2, kernel_initializer=BYTECODE),
    "lambda by name": layer("Lambda", function="print", function_type="function", module="os"),
    "module os": layer("system", "os", command="touch run"),
    "module builtins": layer("eval", "builtins", source="1"),
    "module subprocess": layer("Popen", "subprocess", args=["touch", "run"]),
    "module not there": layer("Thing", "evil_module"),
    "module of hornbeam": layer("atomic_write", "hornbeam.saving._archive", path="run"),
    "module private": layer("get_file", "keras.src.utils.file_utils", fname="x"),
    "function get_file": layer("Dense", units=2, activation=function("get_file", "keras.utils")),
    "function os.system": layer("Activation", activation=function("system", "os")),
    "function open": layer("Lambda", function=function("open")),
    "function load_model": layer("Activation", activation=function("load_model", "keras.saving")),
    "function unsafe": layer(
        "Activation", activation=function("enable_unsafe_deserialization", "keras.config")
    ),
    "function set_floatx": layer("Lambda", function=function("set_floatx", "keras.config")),
    "function deserialize": layer("Activation", activation="deserialize"),
    "function dotted": layer("Activation", activation="os.system"),
    "callback": layer("CSVLogger", "keras.callbacks", filename="run.csv"),
    "callback as activation": layer(
        "Dense", units=2, activation=layer("ModelCheckpoint", "keras.callbacks", filepath="x.keras")
    ),
    "SavedModel": layer("TFSMLayer", filepath="saved_model"),
    "SavedModel, the class": {**layer("TFSMLayer"), "config": None},
    "SavedModel inside": layer("TimeDistributed", layer=layer("TFSMLayer", filepath="x")),
    "torch": layer("TorchModuleWrapper", "x"),
    "torch pickle": layer(
        "TorchModuleWrapper",
        module={
            "class_name": "__bytes__",
            "config": {"value": pickle.dumps(os.getcwd).decode("latin-1")},
        },
    ),
    "flax": layer("FlaxLayer", module=layer("Dense", units=1)),
    "vocabulary path": layer("StringLookup", vocabulary="secret.txt"),
    "vocabulary URL": layer("TextVectorization", vocabulary="http://127.0.0.1:9/words.txt"),
    "vocabulary of integers": layer("IntegerLookup", vocabulary="/etc/hostname"),
    "units": layer("Dense", units=10**9),
    "units beyond 64 bits": layer("Dense", units=10**30),
    "units no number": layer("Dense", units="many"),
    "units missing": layer("Dense"),
    "unknown argument": layer("Dense", units=2, unit=3),
    "filters": layer("Reshape", target_shape=[1 << 40, 1]),
    "repeat": layer("RepeatVector", n=10**10),
    "embedding": layer("Embedding", input_dim=10**9, output_dim=10**3),
    "many frequencies": layer("STFTSpectrogram", fft_length=10**9),
    "many bands": layer("MelSpectrogram", num_mel_bins=10**9),
    "many windows": layer("AdaptiveMaxPooling1D", output_size=10**9),
    "many windows in rows": layer("AdaptiveAveragePooling1D", output_size=10**9),
    "numpy of a long string": layer(
        "Rescaling",
        scale={"class_name": "__numpy__", "config": {"value": ["a"], "dtype": "U900000000"}},
    ),
    "numpy of objects": layer(
        "Rescaling", scale={"class_name": "__numpy__", "config": {"value": [1], "dtype": "object"}}
    ),
    "name with a slash": layer("Dense", units=2, name="../../evil"),
    "name with NUL": layer("Dense", units=2, name="a\0b"),
    "long name": layer("Dense", units=2, name="a" * 100_000),
    "name no string": layer("Dense", units=2, name=["a"]),
    "class name no string": {**layer("Dense", units=2), "class_name": ["Dense"]},
    "module no string": {**layer("Dense", units=2), "module": 3},
    "registered name no string": {**layer("Dense", units=2), "registered_name": {}},
    "config no dict": {**layer("Dense"), "config": [1]},
    "no layer": layer("Adam", "keras.optimizers"),
    "slow regular expression": layer(
        "Dense",
        units=2,
        name="a" * 60,
        dtype=layer(
            "DTypePolicyMap",
            "keras.dtype_policies",
            policy_map={"(a+)+/": "float32", "(a|a)*$": "float32"},
        ),
    ),
}


def case(name, door, argument, loads=False, says=""):
    """One file or description, and how it is loaded.

    Args:
        loads: whether it is harmless; `None` for what may be.
        says: what the message says.
    """
    argument = str(argument) if isinstance(argument, pathlib.Path) else argument
    return {"name": name, "door": door, "argument": argument, "loads": loads, "says": says}


FAMILIES = (
    *("legacy", "activation", "optimizer", "loss function", "metric"),
    *("initializer", "regularizer", "constraint"),
)


def config_cases(files):
    for name, entry in ENTRIES.items():
        config = files.with_layer(entry)
        yield case(f"{name}: load_model", "load_model", files.with_config(config))
        yield case(f"{name}: model_from_json", "model_from_json", json.dumps(config))
        yield case(f"{name}: Sequential", "Sequential", config)
        yield case(f"{name}: layers", "layers", entry, None)  # alone, nothing is built yet
        yield case(f"{name}: deserialize", "deserialize", [entry], None)
    for name in ("bytecode", "module os", "SavedModel", "callback"):
        for door in FAMILIES:
            yield case(f"{name}: {door}", door, ENTRIES[name])
        compiled = copy.deepcopy(files.config)
        compiled["compile_config"]["loss"] = ENTRIES[name]
        yield case(f"{name}: loss", "load_model", files.with_config(compiled))
    switched = {**files.config, "safe_mode": False, "enable_unsafe_deserialization": True}
    yield case("a switch in the file", "load_model", files.with_config(switched), True)
    unsafe = {**files.with_layer(ENTRIES["bytecode"]), "safe_mode": False}
    yield case("a switch and bytecode", "load_model", files.with_config(unsafe))


WORDS = ["a", "b"]
HUGE = 10**9
NUMPY_PATH = {"class_name": "__numpy__", "config": {"value": "secret.txt", "dtype": "str"}}
PADDED = {"vocabulary": WORDS, "max_tokens": HUGE, "pad_to_max_tokens": True}
TF_IDF = {"output_mode": "tf_idf", "idf_weights": [1.0, 2.0]}

# Layers next to an input of strings, and whether they load.
OF_STRINGS = {
    "bins": (layer("Hashing", num_bins=HUGE, output_mode="one_hot"), False),
    "bins as numbers": (layer("Hashing", num_bins=HUGE), True),
    "padded": (layer("StringLookup", output_mode="count", **PADDED), False),
    "padded weights": (layer("StringLookup", **PADDED, **TF_IDF), False),
    "padded texts": (layer("TextVectorization", output_mode="count", **PADDED), False),
    "padded weights of texts": (layer("TextVectorization", **PADDED, **TF_IDF), False),
    "unknown words": (layer("StringLookup", vocabulary=WORDS, num_oov_indices=HUGE), False),
    "a size": (layer("StringLookup", vocabulary_size=HUGE, output_mode="one_hot"), False),
    "long rows": (layer("TextVectorization", vocabulary=WORDS, output_sequence_length=HUGE), False),
    "n-grams": (layer("TextVectorization", vocabulary=WORDS, ngrams=HUGE), False),
    "many n-grams": (layer("TextVectorization", vocabulary=WORDS, ngrams=[1] * 10**5), False),
    "long n-grams": (layer("TextVectorization", vocabulary=WORDS, ngrams=[HUGE]), True),
    "a path as a word": (layer("TextVectorization", vocabulary=["secret.txt"]), True),
    "a path in a list": (layer("StringLookup", vocabulary=[["secret.txt"]]), False),
    "a path as an array": (layer("StringLookup", vocabulary=NUMPY_PATH), False),
    "a path of weights": (
        layer("StringLookup", vocabulary=WORDS, output_mode="tf_idf", idf_weights="secret.bin"),
        False,
    ),
    "an encoding": (layer("StringLookup", vocabulary=WORDS, encoding="evil_module"), False),
    "an encoding of texts": (layer("TextVectorization", encoding="os.path"), False),
    "get_file": (layer("TextVectorization", split=function("get_file", "keras.utils")), False),
    "bytecode to standardize": (layer("TextVectorization", standardize=BYTECODE), False),
}


def feature(preprocessor, dtype="string", output_mode="one_hot"):
    config = {"dtype": dtype, "preprocessor": preprocessor, "output_mode": output_mode}
    return layer("Feature", "keras.src.layers.preprocessing.feature_space", **config)


def space(features, **more):
    """The description of a FeatureSpace."""
    return {**layer("FeatureSpace", "keras.utils", features=features, **more), "build_config": {}}


HASHED = {"a": "string_hashed", "b": "string_hashed"}
CROSS = layer(
    "Cross",
    "keras.src.layers.preprocessing.feature_space",
    feature_names=["a", "b"],
    crossing_dim=HUGE,
)
SPACES = {
    "control": (space(HASHED, crosses=[["a", "b"]]), True),
    "a cross": (space(HASHED, crosses=[CROSS]), False),
    "crosses": (space(HASHED, crosses=[["a", "b"]], crossing_dim=HUGE), False),
    "hashes": (space(HASHED, hashing_dim=HUGE), False),
    "a feature": (space({"a": feature(layer("Hashing", num_bins=HUGE))}), False),
    "bytecode": (space({"a": feature(ENTRIES["bytecode"], "float32", "float")}), False),
    "SavedModel": (space({"a": feature(ENTRIES["SavedModel"])}), False),
    "a path": (space({"a": feature(ENTRIES["vocabulary path"])}), False),
    "an activation as a feature": (space({"a": function("relu", "keras.activations")}), False),
    "a method": (space({"a": "adapt"}), False),
    "a private method": (space({"a": "__init__"}), False),
    "a name": (space({"../a": "float"}), None),
}


def column_cases(files):
    """Layers of strings and categories, and what else came with them."""
    named = copy.deepcopy(files.config)
    named["config"]["layers"][0] = layer("InputLayer", batch_shape=[None, 1], dtype="string")
    del named["build_config"], named["config"]["build_input_shape"], named["compile_config"]
    for name, (entry, loads) in OF_STRINGS.items():
        config = copy.deepcopy(named)
        config["config"]["layers"][1:] = [entry]
        yield case(f"strings, {name}", "model_from_json", json.dumps(config), loads)
    for name, entry in {
        "tokens": layer("CategoryEncoding", num_tokens=HUGE),
        "unknown integers": layer("IntegerLookup", vocabulary=[1, 2], num_oov_indices=HUGE),
        "power iterations": layer(
            "SpectralNormalization", layer=layer("Dense", units=2), power_iterations=HUGE
        ),
    }.items():
        yield case(name, "model_from_json", json.dumps(files.with_layer(entry)))
    image = copy.deepcopy(named)
    image["config"]["layers"][0]["config"].update(batch_shape=[None, 8, 8, 3], dtype="float32")
    for entry in (
        layer("CenterCrop", height=HUGE, width=2),
        layer("Resizing", height=HUGE, width=1, interpolation="nearest"),
        layer("AugMix", chain_depth=HUGE),
        layer("MaxPooling2D", pool_size=HUGE, padding="same"),
        layer("AveragePooling2D", pool_size=[HUGE, 1], strides=1, padding="same"),
    ):
        image["config"]["layers"][1:] = [entry]
        yield case(f"images, {entry['class_name']}", "model_from_json", json.dumps(image))
    image["config"]["layers"][0]["config"]["batch_shape"] = [None, 100_000, 1]
    image["config"]["layers"][1:] = [
        layer("SimpleRNN", units=1, recurrent_initializer="zeros", unroll=True)
    ]
    yield case("unrolled", "model_from_json", json.dumps(image), says="the limit is")
    for name, (config, loads) in SPACES.items():
        yield case(f"space, {name}", "deserialize", config, loads)
        if not loads:  # the weights belong to another model
            yield case(f"space, {name}: load_model", "load_model", files.with_config(config), loads)
    path = files.path(".keras")
    keras.utils.FeatureSpace(HASHED, crosses=[("a", "b")]).save(path)
    yield case("space, control: load_model", "load_model", path, True)


def asset_cases(files):
    lookup = keras.Sequential([keras.Input((1,), dtype="string"), L.StringLookup(name="s")])
    lookup.layers[0].adapt(["x", "y"])
    path = files.path(".keras")
    lookup.save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    yield case("assets, control", "load_model", path, True)
    folder = "assets/layers/string_lookup/"
    lines = members.pop(folder + "vocabulary.txt")
    for name, data in {
        "deep lists": "[" * 100_000,
        "many lists": "[" + "[]," * 3_000_000 + "[]]",
        "lists": '[["[UNK]"], ["secret.txt"]]',
        "dicts": '["[UNK]", {"class_name": "Lambda", "config": {}}]',
        "nothing": "[null]",
        "a path": '"secret.txt"',
        "an object": '{"vocabulary": "secret.txt"}',
        "numbers": "[1, 2, 1e999]",
        "no JSON": "import os",
    }.items():
        path = files.zipped(
            {**members, folder + "vocabulary.json": data}, compression=zipfile.ZIP_DEFLATED
        )
        yield case(f"assets, {name}", "load_model", path)
    for name, data in {
        "a bomb of lines": b"\n" * (10 << 20),
        "nothing in it": b"",
        "a word twice": b"[UNK]\nx\nx",
        "no UTF-8": b"[UNK]\n\xff\xfe",
    }.items():
        path = files.zipped(
            {**members, folder + "vocabulary.txt": data}, compression=zipfile.ZIP_DEFLATED
        )
        loads = None if name in ("no UTF-8", "nothing in it") else False
        yield case(f"assets, {name}", "load_model", path, loads)
    link = info(folder + "vocabulary.txt", external_attr=0o120777 << 16, create_system=3)
    path = files.zipped([*members.items(), (link, "/etc/passwd")])
    yield case("assets, a link", "load_model", path, says="link")
    for name in ("vocabulary.txt/../../../x", "\0", "a:b"):
        path = files.zipped({**members, folder + name: lines})
        yield case(f"assets, the name {name!r}", "load_model", path)


def doubled(depth):
    """A model that calls one inside it twice, which calls one inside it twice, …."""
    x = keras.Input((3,))
    made = keras.Model(x, L.Dense(3)(x), name="m")
    for i in range(depth):
        x = keras.Input((3,))
        made = keras.Model(x, made(made(x)), name=f"m{i}")
    return json.loads(made.to_json())


def nested(config, times):
    """Models in models, each of which calls the one inside twice, without making them."""
    for i in range(times):
        inner = {**copy.deepcopy(config), "name": f"n{i}"}
        inner["inbound_nodes"] = config["config"]["layers"][1]["inbound_nodes"]
        reference = lambda name, node: {
            "class_name": "__keras_tensor__",
            "config": {"shape": [None, 3], "dtype": "float32", "keras_history": [name, node, 0]},
        }
        inner["inbound_nodes"] = [
            {"args": [reference(f"x{i}", 0)], "kwargs": {}},
            {"args": [reference(f"n{i}", 0)], "kwargs": {}},
        ]
        inner["config"] = {**inner["config"], "name": f"n{i}"}
        entry = layer("InputLayer", batch_shape=[None, 3], dtype="float32", name=f"x{i}")
        entry.update(name=f"x{i}", inbound_nodes=[])
        config = {
            **config,
            "config": {
                "name": f"o{i}",
                "trainable": True,
                "layers": [entry, inner],
                "input_layers": [[f"x{i}", 0, 0]],
                "output_layers": [[f"n{i}", 2, 0]],
            },
        }
    return config


def structure_cases(files):
    text = json.dumps(files.config)
    huge = text.replace('"units": 4', '"units": 1' + "0" * 5000)
    texts = {
        "deep lists": "[" * 100_000 + "]" * 100_000,
        "deep objects": '{"a":' * 100_000 + "1" + "}" * 100_000,
        "many values": '{"a": [' + "0," * 3_000_000 + "0]}",
        "many lists": '{"a": [' + "[]," * 3_000_000 + "0]}",
        "cut off": text[:-20],
        "a key twice": text.replace('"units": 4', '"units": 4, "units": 1000000000'),
        "a huge number": huge,
        "a number of 5000 digits": '{"class_name": ' + "1" * 5000 + "}",
        "no object": "[1, 2]",
        "no config": "{}",
        "NaN": text.replace('"units": 4', '"units": NaN'),
        "infinite": text.replace('"units": 4', '"units": Infinity'),
        "no UTF-8": text.encode()[:-30] + b"\xff\xfe" + text.encode()[-28:],
        "a lone surrogate": text.replace('"name": "a"', '"name": "\\ud800"'),
    }
    for name, config in texts.items():
        yield case(f"JSON, {name}: load_model", "load_model", files.with_config(config))
        if isinstance(config, str):
            yield case(f"JSON, {name}: model_from_json", "model_from_json", config)
    x = keras.Input((3,))
    leaf = json.loads(keras.Model(x, L.Dense(3)(x)).to_json())
    for depth in (6, 14, 30):
        config = json.dumps(nested(leaf, depth))
        yield case(f"doubled {depth} times", "model_from_json", config, depth == 6)
    wide = copy.deepcopy(files.config)
    wide["config"]["layers"][0]["config"]["batch_shape"] = [None, 10**12]
    yield case("huge input", "model_from_json", json.dumps(wide))
    many = copy.deepcopy(files.config)
    many["config"]["layers"] = [files.config["config"]["layers"][0]] + [
        layer("Dense", units=5000, name=f"d{i}") for i in range(200)
    ]
    yield case("many large layers: load_model", "load_model", files.with_config(many))
    if LONG:
        yield case("many large layers: model_from_json", "model_from_json", json.dumps(many))
    zeros = {
        **layer("Zeros", "keras.src.ops.numpy", name="z", shape=[1 << 36], dtype="float32"),
        "name": "z",
        "inbound_nodes": [{"args": [], "kwargs": {}}],
    }
    for name, shape in (("a large constant", [1 << 36]), ("many constants", [1 << 26])):
        config = copy.deepcopy(leaf)
        entry = copy.deepcopy(zeros)
        entry["config"]["shape"] = shape
        config["config"]["layers"] += [{**copy.deepcopy(entry), "name": f"z{i}"} for i in range(40)]
        yield case(f"{name} from a function", "model_from_json", json.dumps(config))
    any_of, absolute = function("any", "keras.ops"), function("abs", "keras.ops")
    add = function("add", "keras.ops")
    (tensor,) = leaf["config"]["layers"][1]["inbound_nodes"][0]["args"]
    for name, arguments in {
        "WhileLoop": {"cond": any_of, "body": absolute, "loop_vars": tensor},
        "WhileLoop to the end": {
            **{"cond": any_of, "body": absolute, "loop_vars": tensor},
            "maximum_iterations": HUGE,
        },
        "ForiLoop": {"lower": 0, "upper": HUGE, "body_fun": add, "init_val": tensor},
        "Scan": {"f": add, "init": tensor, "length": HUGE},
    }.items():
        config, (class_name, *_) = copy.deepcopy(leaf), name.split()
        entry = config["config"]["layers"][1]
        entry.update(layer(class_name, "keras.src.ops.core", name=entry["name"]))
        entry["inbound_nodes"] = [{"args": [], "kwargs": arguments}]
        yield case(name, "model_from_json", json.dumps(config), says="the limit is")
    shared = copy.deepcopy(leaf)
    shared["config"]["layers"][1]["inbound_nodes"] *= 50_000
    yield case("a layer called 50,000 times", "model_from_json", json.dumps(shared))
    loop = copy.deepcopy(leaf)
    history = loop["config"]["layers"][1]["inbound_nodes"][0]["args"][0]["config"]["keras_history"]
    history[0] = loop["config"]["layers"][1]["name"]
    yield case("a layer that feeds itself", "model_from_json", json.dumps(loop))


def info(name, **attributes):
    made = zipfile.ZipInfo(name)
    for key, value in attributes.items():
        setattr(made, key, value)
    return made


def zip_cases(files):
    members = files.members
    names = {
        "traversal": "assets/../../evil",
        "absolute": "/evil",
        "traversal at once": "../evil",
        "backslashes": "assets\\..\\..\\evil",
        "a drive": "assets/C:/evil",
        "an unknown member": "evil.py",
        "a pickle": "model.weights.pkl",
        "a module": "assets.py",
        "another weights file": "model.weights.h5.bak",
        "a name twice, in other words": "assets/./a",
        "an empty part": "assets//a",
    }
    for name, member in names.items():
        yield case(f"zip, {name}", "load_model", files.zipped({**members, member: b"x"}), says="")
        yield case(f"zip, {name}: weights", "load_weights", files.zipped({**members, member: b"x"}))
    link = info("assets/a", external_attr=0o120777 << 16, create_system=3)
    yield case("zip, a link", "load_model", files.zipped([*members.items(), (link, "/etc/passwd")]))
    device = info("assets/a", external_attr=0o020666 << 16, create_system=3)
    yield case("zip, a device", "load_model", files.zipped([*members.items(), (device, "x")]))
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = files.zipped([*members.items(), ("config.json", members["config.json"])])
    yield case("zip, a member twice", "load_model", twice, says="two members")
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        path = files.zipped(members, compression=method)
        yield case(f"zip, method {method}", "load_model", path, says="unknown method")
    path = files.zipped(members, compression=zipfile.ZIP_DEFLATED)
    yield case("zip, deflated", "load_model", path, True)
    bombs = {"config.json": b" " * (400 << 20), "assets/a": b"0" * (400 << 20)}
    for name, data in bombs.items():
        path = files.zipped({**members, name: data}, compression=zipfile.ZIP_DEFLATED)
        yield case(f"zip, a bomb in {name}", "load_model", path, says="the limit is")
    good = files.zipped(members).read_bytes()
    comment = files.path(".keras")
    with zipfile.ZipFile(comment, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
        archive.comment = good[-22:]
    yield case("zip, a comment that is a directory's end", "load_model", comment)
    end = good.rindex(b"PK\x05\x06")
    directory = good.index(b"PK\x01\x02")
    local = good.index(b"PK\x03\x04", 10)

    def edited(name, change):
        data = bytearray(good)
        change(data)
        path = files.path(".keras")
        path.write_bytes(bytes(data))
        return case(f"zip, {name}", "load_model", path)

    def put(form, place, value):
        return lambda data: struct.pack_into(form, data, place, value)

    yield edited("encrypted", put("<H", directory + 8, 1))
    yield edited("another flag", put("<H", directory + 8, 0x2000))
    yield edited("other sizes in the directory", put("<L", directory + 24, 5))
    yield edited("a size of 4 GB", put("<L", directory + 24, 0xFFFFFFF0))
    yield edited("a wide size without its field", put("<L", directory + 24, 0xFFFFFFFF))
    yield edited("an overlap", put("<L", directory + 42, local))
    yield edited("another name in front", lambda d: d.__setitem__(slice(30, 38), b"METADATA"))
    yield edited("another method in front", put("<H", 8, 8))
    yield edited("a wrong checksum", put("<L", directory + 16, 1))
    yield edited("more members than there are", put("<H", end + 10, 9))
    yield edited("the directory elsewhere", put("<L", end + 16, 3))
    yield edited("two disks", put("<H", end + 4, 1))
    yield edited("bytes before", lambda d: d.__setitem__(slice(0, 0), b"#!/bin/sh\n"))
    yield edited("bytes behind", lambda d: d.extend(b"x"))
    yield edited("nothing", lambda d: d.clear())
    many = files.path(".keras")
    with zipfile.ZipFile(many, "w") as archive:
        for i in range(70_000 if LONG else 3_000):
            archive.writestr(f"assets/{i}", b"")
    yield case("zip, very many members", "load_model", many)


def external_data(file):
    target = os.path.join(os.path.dirname(file.filename), "secret.bin")
    for vars_ in ("layers/dense/vars",):
        del file[vars_]["0"]
        file[vars_].create_dataset("0", (3, 4), "float32", external=[(target, 0, 48)])


def virtual(file):
    target = os.path.join(os.path.dirname(file.filename), "secret.h5")
    layout = h5py.VirtualLayout((3, 4), "float32")
    layout[:] = h5py.VirtualSource(target, "x", (12,))[:].__class__(target, "x", (3, 4))
    del file["layers/dense/vars/0"]
    file["layers/dense/vars"].create_virtual_dataset("0", layout)


def virtual_without_end(file):
    target = os.path.join(os.path.dirname(file.filename), "secret.h5")
    layout = h5py.VirtualLayout((12,), "float32", maxshape=(None,))
    layout[: h5py.h5s.UNLIMITED] = h5py.VirtualSource(target, "x", (12,), maxshape=(None,))[
        : h5py.h5s.UNLIMITED
    ]
    del file["layers/dense/vars/0"]
    file["layers/dense/vars"].create_virtual_dataset("0", layout)


def replaced(make):
    """A change of a file: another thing in the place of the first kernel."""

    def change(file):
        del file["layers/dense/vars/0"]
        make(file["layers/dense/vars"], "0")

    return change


def bomb(group, key):
    group.create_dataset(key, (1 << 36,), "float32", chunks=(1 << 16,))


def packed_bomb(group, key):
    group.create_dataset(key, data=np.zeros(100 << 20, "uint8"), chunks=(1 << 20,), compression=9)


def many_empty(group, key):
    for i in range(600):
        group.create_dataset(f"{key}{i}", (1 << 18,), "float32", chunks=(1 << 16,))


def large_chunk(group, key):
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((1 << 28,))
    space = h5py.h5s.create_simple((12,), (h5py.h5s.UNLIMITED,))
    h5py.h5d.create(group.id, key.encode(), h5py.h5t.IEEE_F32LE, space, plist)


def reference(group, key):
    group.create_dataset(key, data=[group.file["layers"].ref], dtype=h5py.ref_dtype)


def region(group, key):
    group.create_dataset(key, data=[group["1"].regionref[:]], dtype=h5py.regionref_dtype)


def words(group, key):
    group.create_dataset(key, data=["a"], dtype=h5py.string_dtype())


def ragged(group, key):
    group.create_dataset(key, (2,), h5py.vlen_dtype(np.dtype("float32")))


def compound(group, key):
    group.create_dataset(key, data=np.zeros(3, [("a", "f4"), ("c", "i8")]))


def named_type(group, key):
    group[key] = np.dtype("float32")


def unknown_filter(group, key):
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((3, 4))
    plist.set_filter(h5py.h5z.FILTER_DEFLATE, 0, (6,))
    space = h5py.h5s.create_simple((3, 4))
    h5py.h5d.create(group.id, key.encode(), h5py.h5t.IEEE_F32LE, space, plist)


def doubled_groups(file):
    group = file.create_group("g0")
    for i in range(1, 40):
        inner = file.create_group(f"g{i}")
        group["a"] = group["b"] = inner
        group = inner


def deep_groups(file):
    group = file
    for _ in range(3000):
        group = group.create_group("g")


HDF5 = {
    "external data": external_data,
    "virtual data": virtual,
    "virtual data without end": virtual_without_end,
    "an external link": lambda f: f.__setitem__("layers/x", h5py.ExternalLink("secret.h5", "/x")),
    "an external link at the root": lambda f: f.__setitem__("x", h5py.ExternalLink("s.h5", "/")),
    "a soft link": lambda f: f.__setitem__("layers/x", h5py.SoftLink("/layers/dense")),
    "a second name": lambda f: f.__setitem__("layers/x", f["layers/dense"]),
    "a circle": lambda f: f.__setitem__("layers/x", f["layers"]),
    "a bomb": replaced(bomb),
    "a packed bomb": replaced(packed_bomb),
    "many empty arrays": replaced(many_empty),
    "a large chunk": replaced(large_chunk),
    "an object reference": replaced(reference),
    "a region reference": replaced(region),
    "words": replaced(words),
    "arrays of any length": replaced(ragged),
    "compound numbers": replaced(compound),
    "arrays of arrays": replaced(lambda g, k: g.create_dataset(k, (2,), "(3,4)f4")),
    "a named type": replaced(named_type),
    "an opaque type": replaced(lambda g, k: g.create_dataset(k, data=np.zeros((3, 4), "V4"))),
    "a group for an array": replaced(lambda g, k: g.create_group(k)),
    "another shape": replaced(lambda g, k: g.create_dataset(k, (4, 3), "float32")),
    "no kernel": replaced(lambda g, k: None),
    "doubled groups": doubled_groups,
    "deep groups": deep_groups,
    "a large attribute": lambda f: f.attrs.__setitem__("x", np.zeros(8000)),
    "a surplus array": lambda f: f.__setitem__("x/vars/0", np.zeros(3)),
}


def hdf5_cases(files):
    for name, change in HDF5.items():
        if name == "a region reference" and not hasattr(h5py, "regionref_dtype"):
            continue
        path = files.with_weights(change)
        loads = name in ("a large attribute", "deep groups")
        yield case(f"HDF5, {name}: load_weights", "load_weights", path, loads)
        skipped = True if name in SKIPPED else loads
        yield case(f"HDF5, {name}: skip_mismatch", "skip_mismatch", path, skipped)
        whole = files.with_members(**{"model.weights.h5": path.read_bytes()})
        yield case(f"HDF5, {name}: load_model", "load_model", whole, loads)
    for name, data in {
        "nothing": b"",
        "a pickle": pickle.dumps(os.getcwd),
        "a NumPy file": np_file(np.array([1, "a"], object)),
        "a zip": files.good.read_bytes(),
        "its first half": files.good_weights.read_bytes()[:3000],
        "its mark alone": files.good_weights.read_bytes()[:8],
    }.items():
        path = files.path(".weights.h5")
        path.write_bytes(data)
        yield case(f"HDF5, {name}", "load_weights", path)
    whole = bytearray(files.good_weights.read_bytes())
    whole[2000] ^= 1
    path = files.path(".weights.h5")
    path.write_bytes(bytes(whole))
    yield case("HDF5, a bit", "load_weights", path, says="checksum")


SKIPPED = {"another shape", "no kernel", "a surplus array", "a group for an array"}


def np_file(array):
    with io.BytesIO() as file:
        np.save(file, array, allow_pickle=True)
        return file.getvalue()


def snapshot_cases(files):
    def written(data, ending=".snapshot"):
        path = files.path(ending)
        write_snapshot(path, data)
        return path

    good = written({"a": np.ones(3), "b": [1, "x"]})
    yield case("snapshot", "snapshot", good, True)
    with zipfile.ZipFile(good) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    texts = {
        "deep": "[" * 100_000,
        "another format": "{}",
        "an unknown kind": {"pickle": "x"},
        "two kinds": {"tuple": [], "dict": []},
        "a huge array": {"array": [0, "float32", [1 << 40]]},
        "a negative array": {"array": [0, "float64", [-3]]},
        "objects": {"array": [0, "object", [3]]},
        "an array that isn't there": {"array": ["../x", "float64", [3]]},
        "a key that is a list": {"dict": [[[1], 2]]},
    }
    for name, data in texts.items():
        if not isinstance(data, str):
            data = json.dumps({"format": "hornbeam training snapshot 1", "data": data})
        path = files.zipped({**members, "snapshot.json": data})
        yield case(f"snapshot, {name}", "snapshot", path)
    pickled = files.path(".snapshot")
    pickled.write_bytes(pickle.dumps(os.getcwd))
    yield case("snapshot, a pickle", "snapshot", pickled)


def changed(path, value, *keys):
    """A change of the data in a snapshot."""

    def change(data):
        for key in keys:
            data = data[key]
        data[path] = value

    return change


HOLES = [("History", {"epoch": [0]}), ("History", [])]
RESUMES = {
    "an epoch": changed("epoch", "1"),
    "an epoch below 0": changed("epoch", -1),
    "a step below 0": changed("step", -5),
    "a step": changed("step", 10**18),
    "no source": changed("source", None),
    "a source": changed("source", {"epoch": 10**18, "batch": 10**18, "drawn": True, "random": []}),
    "random numbers of a source": changed("random", ["MT19937", [1]], "source"),
    "another shape": changed(0, np.ones((4, 3), "float32"), "values"),
    "a value too few": changed("values", []),
    "words for values": changed(0, "secret.bin", "values"),
    "callbacks": changed("callbacks", HOLES),
    "callbacks by name": changed("callbacks", [("CSVLogger", {"filename": "run.csv"})]),
    "no callbacks": changed("callbacks", None),
    "random numbers of NumPy": changed("numpy", ("MT19937", [1, 2], 5)),
    "random numbers of Python": changed("python", (3, (1, 2), None)),
    "logs": changed("logs", ["loss"]),
    "another model": changed("variables", [("kernel", "float32", (9, 9))], "of"),
    "another number of batches": changed("num_batches", 10**9, "of"),
    "no description": changed("of", []),
}


def resume_cases(files):
    def folder(data):
        path = files.path("")
        path.mkdir()
        write_snapshot(path / "training-000000.snapshot", data)
        return path

    path = files.path("")
    made = model()
    made.fit(np.ones((2, 3)), np.ones((2, 2)), epochs=1, verbose=0, resume=path)
    good = read_snapshot(path / "training-000000.snapshot")
    yield case("resume: control", "resume", path, True)
    for name, change in RESUMES.items():
        data = copy.deepcopy(good)
        change(data)
        loads = None if name in ("a step", "callbacks by name") else False
        yield case(f"resume: {name}", "resume", folder(data), loads)
    for key in good:
        yield case(
            f"resume: without {key}", "resume", folder({k: good[k] for k in good if k != key})
        )
    broken = folder(good)
    (broken / "training-000001.snapshot").write_bytes(pickle.dumps(os.getcwd))
    yield case("resume: a pickle beside it", "resume", broken, True)


def orbax_cases(files):
    """Folders of Orbax with something in the place of one of their files."""
    pytest.importorskip("orbax.checkpoint")
    good = files.path("")
    callback = keras.callbacks.OrbaxCheckpoint(good)
    made = model()
    made.fit(np.ones((2, 3)), np.ones((2, 2)), verbose=0, callbacks=[callback])
    yield case("Orbax: control", "load_model", good, True)

    def replaced_file(name, change):
        path = files.path("")
        shutil.copytree(good, path)
        file = next(path.rglob(name))
        change(file)
        return path

    def edited(text, other, name):
        def change(file):
            found = file.read_text()
            assert text in found
            file.write_text(found.replace(text, other))

        return replaced_file(name, change)

    def linked(file):
        file.unlink()
        file.symlink_to(files.folder / "secret.bin")

    for name in ("manifest.ocdbt", "_METADATA", "_sharding", "_CHECKPOINT_METADATA", "process_0"):
        yield case(f"Orbax: {name} a link", "load_model", replaced_file(name, linked))
        data = pickle.dumps(os.getcwd)
        path = replaced_file(name, lambda file, data=data: file.write_bytes(data))
        yield case(f"Orbax: {name} a pickle", "load_model", path, None)
    for name, entry in ENTRIES.items():
        if name in ("bytecode", "module os", "SavedModel", "callback", "vocabulary path", "units"):
            about = json.loads((good / "0/about/metadata").read_text())
            data = json.dumps({**about, "config": files.with_layer(entry)})
            path = replaced_file("about", lambda x, data=data: (x / "metadata").write_text(data))
            yield case(f"Orbax: {name}", "load_model", path)
    traversals = {'"dense"': '"../../x"', "'dense'": "'..'", '"jax.Array"': '"os.system"'}
    for text, other in traversals.items():
        yield case(f"Orbax: {other}", "load_model", edited(text, other, "_METADATA"), None)
    yield case(
        "Orbax: a large shape",
        "load_model",
        edited('"write_shape": [3, 4]', '"write_shape": [30000000, 400000]', "_METADATA"),
        None,
    )
    handler = "orbax.checkpoint._src.handlers.json_checkpoint_handler.JsonCheckpointHandler"
    path = edited(handler, "os.system", "_CHECKPOINT_METADATA")
    yield case("Orbax: a handler", "load_model", path, None)


def all_cases(files):
    yield case("control: a model", "load_model", files.good, True)
    yield case("control: weights", "load_weights", files.good_weights, True)
    for make in (
        config_cases,
        column_cases,
        asset_cases,
        structure_cases,
        zip_cases,
        hdf5_cases,
        snapshot_cases,
        resume_cases,
        orbax_cases,
    ):
        yield from make(files)


def sandboxed(folder, cases):
    """What the process says of each case."""
    (folder / "cases.json").write_text(json.dumps(cases))
    box = folder / "box"
    for name in ("home", "cache", "work", "tmp"):
        (box / name).mkdir(parents=True)
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "HOME": str(box / "home"),
        "XDG_CACHE_HOME": str(box / "cache"),
        "TMPDIR": str(box / "tmp"),
        "JAX_PLATFORMS": "cpu",
    }
    done = subprocess.run(
        [sys.executable, str(CHILD), str(folder)],
        cwd=box / "work",
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
    )
    results = [json.loads(line) for line in done.stdout.splitlines()]
    found = {result["name"]: result for result in results}
    left = [c["name"] for c in cases if c["name"] not in found]
    assert not left, f"The process ended ({done.returncode}) at {left[0]!r}:\n{done.stderr[-3000:]}"
    return found


def test_names_that_files_may_use():
    """They are of packages that compute; where they are defined, little can open anything."""
    assert {module for module, _ in objects._public} == {
        *("keras", "keras.activations", "keras.constraints", "keras.distillation"),
        *("keras.dtype_policies", "keras.initializers", "keras.layers", "keras.losses"),
        *("keras.metrics", "keras.ops", "keras.ops.image", "keras.optimizers"),
        *("keras.optimizers.schedules", "keras.quantizers", "keras.random", "keras.regularizers"),
        *("keras.src.layers.preprocessing.feature_space", "keras.utils"),
    }
    utils = {name for module, name in objects._public if module == "keras.utils"}
    assert utils == {"FeatureSpace", "normalize", "pad_sequences", "to_categorical"}
    able = {"builtins", "ctypes", "importlib", "io", "marshal", "os", "pathlib", "pickle"}
    able |= {"shutil", "socket", "subprocess", "sys", "tempfile", "urllib", "zipfile"}
    found = set()
    things = objects._public.values()
    bases = {c for thing in things for c in getattr(thing, "__mro__", ()) if objects.is_ours(c)}
    for thing in {*things, *bases}:
        names = vars(inspect.getmodule(thing))
        held = {x.__name__.partition(".")[0] for x in names.values() if inspect.ismodule(x)}
        found |= {(thing.__module__, name) for name in able & held}
    assert found == {
        ("hornbeam.models._model", "os"),  # Model.save has a path
        ("hornbeam.layers._vocabulary", "pathlib"),  # of a vocabulary that the caller names
        ("hornbeam.core.objects", "builtins"),  # both for the lambda that the caller asks for
        ("hornbeam.core.objects", "marshal"),
        ("hornbeam.core.symbolic", "sys"),  # who calls, for an error
    }


def test_hostile_files(tmp_path):
    files = Files(tmp_path)
    cases = list(all_cases(files))
    assert len({c["name"] for c in cases}) == len(cases)
    results, wrong = sandboxed(tmp_path, cases), []
    for c in cases:
        result = results[c["name"]]
        problems = [*result["seen"], *result["changed"]]
        if c["name"].startswith("Orbax"):  # reports of errors in asyncio show lines of source
            problems = [text for text in problems if not text.startswith("compile ")]
        if result["error"] is not None and not result["own"]:
            problems.append(f"{result['error']} is no error of hornbeam's")
        if c["loads"] is not None and c["loads"] != (result["error"] is None):
            problems.append("it loads" if c["loads"] is False else "it should load")
        if c["says"] not in result["message"]:
            problems.append(f"the message doesn't say {c['says']!r}")
        most = VARIABLES if c["name"] == "many large layers: model_from_json" else MEMORY
        if result["memory"] > most:
            problems.append(f"it took {result['memory'] >> 20} MiB")
        if result["seconds"] > 20:
            problems.append(f"it took {result['seconds']} s")
        if result["after"] is not None:
            problems.append(f"afterwards: {result['after']}")
        if problems:
            wrong.append(f"{c['name']}: {'; '.join(problems)}\n    {result['message'][:300]}")
    assert not wrong, f"{len(wrong)} of {len(cases)}:\n" + "\n".join(wrong)
