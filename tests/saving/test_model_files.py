"""Whole models as `.keras` files: round trips, custom objects, errors."""

import base64
import io
import json
import marshal
import zipfile

import numpy as np
import pytest

import hornbeam as keras
from hornbeam.saving._weights import write_weights

L = keras.layers
X = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")


def graph():
    x = keras.Input((3,), name="x")
    shared = L.Dense(3, activation="tanh")
    return keras.Model(x, {"y": L.Dense(2)(shared(shared(x)) + 2 * x)}, name="graph")


def nested():
    x = keras.Input((3,))
    inner = keras.Sequential([keras.Input((3,)), L.Dense(3), L.BatchNormalization()])
    return keras.Model(x, inner(inner(x)))


def sequential():
    return keras.Sequential([keras.Input((3,)), L.Dense(4, activation="relu"), L.Dense(2)])


def without_input():
    model = keras.Sequential([L.Dense(4), L.Dropout(0.5)])
    model(X)
    return model


@keras.saving.register_keras_serializable("tests")
class Custom(keras.Model):
    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.dense = L.Dense(units)

    def call(self, x):
        return self.dense(x) * 2


def subclassed():
    model = Custom(units=5, name="mine")
    model(X)
    return model


def round_trip(tmp_path, model, **kwargs):
    model.save(tmp_path / "m.keras")
    return keras.saving.load_model(tmp_path / "m.keras", **kwargs)


def same(a, b):
    a, b = (x if isinstance(x, dict) else {"": x} for x in (a, b))
    assert a.keys() == b.keys()
    for k in a:
        np.testing.assert_array_equal(np.asarray(a[k]), np.asarray(b[k]))


@pytest.mark.parametrize("make", [graph, nested, sequential, without_input, subclassed])
def test_round_trip(tmp_path, make):
    model = make()
    copy = round_trip(tmp_path, model)
    assert type(copy) is type(model)
    assert copy.name == model.name
    assert [type(layer) for layer in copy.layers] == [type(layer) for layer in model.layers]
    same(model(X), copy(X))
    assert copy.get_config() == model.get_config()


def test_compiled(tmp_path):
    model = sequential()
    model.compile(keras.optimizers.Adam(0.5), loss="mse", metrics=["mae"])
    y = np.ones((4, 2), "float32")
    model.train_on_batch(X, y)
    copy = round_trip(tmp_path, model)
    assert type(copy.optimizer) is keras.optimizers.Adam
    assert int(copy.optimizer.iterations) == 1
    for m in (model, copy):
        m.train_on_batch(X, y)
    same(model(X), copy(X))
    assert round_trip(tmp_path, model, compile=False).optimizer is None


def test_a_compiled_but_untrained_model_loads_quietly(tmp_path):
    model = sequential()
    model.compile("adam", "mse")
    assert int(round_trip(tmp_path, model).optimizer.iterations) == 0


def test_unbuilt(tmp_path):
    model = keras.Sequential([L.Dense(4, name="first")])
    copy = round_trip(tmp_path, model)
    assert not copy.built
    assert copy(X).shape == (4, 4)


class Scaled(L.Layer):
    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, x):
        return x * self.factor


def double(x):
    return 2 * x


def test_custom_objects(tmp_path):
    layers = [keras.Input((3,)), Scaled(3.0), L.Activation(double)]
    model = keras.Sequential(layers)
    customs = {"Scaled": Scaled, "double": double}
    same(round_trip(tmp_path, model, custom_objects=customs)(X), X * 6)
    with keras.saving.custom_object_scope(customs):
        same(keras.saving.load_model(tmp_path / "m.keras")(X), X * 6)
    with pytest.raises(ValueError, match=r"Unknown class 'Scaled'.*custom_objects=\{'Scaled'"):
        keras.saving.load_model(tmp_path / "m.keras")
    with pytest.raises(ValueError, match="Unknown function 'double'"):
        keras.saving.load_model(tmp_path / "m.keras", custom_objects={"Scaled": Scaled})


class Vocabulary(L.Layer):
    """Keeps something in a file of its own."""

    words = ()

    def call(self, x):
        return x

    def save_assets(self, folder):
        with open(f"{folder}/words.txt", "w") as file:
            file.write("\n".join(self.words))

    def load_assets(self, folder):
        with open(f"{folder}/words.txt") as file:
            self.words = tuple(file.read().split("\n"))


def test_assets(tmp_path):
    layer = Vocabulary()
    layer.words = ("a", "b")
    model = keras.Sequential([keras.Input((3,)), layer])
    copy = round_trip(tmp_path, model, custom_objects={"Vocabulary": Vocabulary})
    assert copy.layers[0].words == ("a", "b")


# Errors ------------------------------------------------------------------------------------------


def edit(path, **members):
    """Replace members of a file; `None` removes one."""
    with zipfile.ZipFile(path) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    held.update({k.replace("__", "."): v for k, v in members.items()})
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in held.items():
            if data is not None:
                archive.writestr(name, data)


def config_of(path):
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("config.json"))


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "m.keras"
    sequential().save(path)
    return path


def test_saving_refused(tmp_path, saved):
    model = sequential()
    with pytest.raises(ValueError, match=r"a path ending in '\.keras'.*; received '.*m\.txt'"):
        model.save(tmp_path / "m.txt")
    with pytest.raises(FileExistsError, match="Pass overwrite=True"):
        model.save(saved, overwrite=False)
    with pytest.raises(ValueError, match="zipped=False"):
        model.save(saved, zipped=False)
    with pytest.raises(TypeError, match="overwrite"):
        model.save(saved, over_write=True)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        model.save(tmp_path / "nowhere" / "m.keras")


@pytest.mark.filterwarnings("ignore:.*not all of it would come back")
def test_a_failed_save_leaves_the_old_file(saved):
    class Fails(L.Layer):
        def call(self, x):
            return x

        def save_own_variables(self, store):
            raise RuntimeError("disk on fire")

    before = saved.read_bytes()
    with pytest.raises(RuntimeError, match="disk on fire"):
        keras.Sequential([keras.Input((3,)), Fails()]).save(saved)
    assert saved.read_bytes() == before
    assert [p.name for p in saved.parent.iterdir()] == [saved.name]


def test_what_is_no_data_is_named(tmp_path):
    class Keeps(Scaled):
        def call(self, x):
            return x

    model = keras.Sequential([keras.Input((3,)), Keeps({1, 2})])
    with pytest.raises(TypeError, match=r"\{1, 2\}.*layers\[1\].*factor.*get_config"):
        model.save(tmp_path / "m.keras")


class Forgets(L.Layer):
    """Its `get_config` leaves an argument out."""

    def __init__(self, factor=2.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, x):
        return x * self.factor

    def get_config(self):
        config = super().get_config()
        config.pop("factor", None)
        return config


class MakesItself(Forgets):
    """Knows what to do without."""

    @classmethod
    def from_config(cls, config):
        return cls(3.0, **config)


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_what_would_not_come_back_is_named_with_its_mend(tmp_path, ending):
    def local(x):
        return x

    class Local(L.Layer):
        def call(self, x):
            return x

    refused = [
        (L.Activation(local), r"function 'local' is local to test_what.*register_keras_serial"),
        (Local(), r"custom_objects=\{'Local': …\}"),
        (Forgets(3.0, name="f"), "'f' was given factor, which the `get_config` of Forgets leaves"),
    ]
    for layer, message in refused:
        model = keras.Sequential([keras.Input((3,)), layer])
        with pytest.warns(UserWarning, match=message):
            model.save(tmp_path / f"m.{ending}")
    fine = [Scaled(2.0), MakesItself(3.0), Forgets(), L.Activation(double)]
    keras.Sequential([keras.Input((3,)), *fine]).save(tmp_path / f"m.{ending}")
    with keras.saving.custom_object_scope({"local": local}):
        keras.Sequential([keras.Input((3,)), L.Activation(local)]).save(tmp_path / f"m.{ending}")


def test_loading_refused(tmp_path, saved):
    load = keras.saving.load_model
    with pytest.raises(ValueError, match=r"load_model reads '\.keras' and whole-model '\.h5'"):
        load(tmp_path / "m.txt")
    with pytest.raises(FileNotFoundError, match=r"There is no file"):
        load(tmp_path / "n.keras")
    (tmp_path / "n.keras").write_bytes(b"PK nothing")
    with pytest.raises(ValueError, match="can't be read as a zip"):
        load(tmp_path / "n.keras")


def test_missing_members(saved):
    edit(saved, metadata__json=None)
    keras.saving.load_model(saved)  # nothing in it is needed
    with zipfile.ZipFile(saved) as archive:
        config = archive.read("config.json")
    edit(saved, **{"model.weights.h5": None})
    with pytest.raises(ValueError, match=r"model\.weights\.h5 is missing"):
        keras.saving.load_model(saved)
    edit(saved, config__json=None)
    with pytest.raises(ValueError, match=r"config\.json is missing"):
        keras.saving.load_model(saved)
    edit(saved, config__json=config, **{"model.weights.h5": b"junk"})
    with pytest.raises(ValueError, match="can't be read as HDF5"):
        keras.saving.load_model(saved)


def test_weights_that_do_not_fit(saved):
    config = config_of(saved)
    config["config"]["layers"][2]["config"]["units"] = 7
    edit(saved, config__json=json.dumps(config))
    with pytest.raises(ValueError, match=r"layers/dense_1/vars/0: \(4, 7\).*\(4, 2\) in the file"):
        keras.saving.load_model(saved)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"class_name": "Dence"}, "Did you mean 'Dense'"),
        ({"module": "os", "class_name": "system"}, "Unknown class 'system'"),
        ({"module": "builtins", "class_name": "eval"}, "Unknown class 'eval'"),
    ],
)
@pytest.mark.parametrize("safe_mode", [True, False])
def test_names_are_looked_up_and_nothing_is_run(saved, entry, message, safe_mode):
    config = config_of(saved)
    config["config"]["layers"][1].update(entry)
    edit(saved, config__json=json.dumps(config))
    with pytest.raises(ValueError, match=message):
        keras.saving.load_model(saved, safe_mode=safe_mode)


def bytecode(function):
    """A lambda as Keras writes it."""
    code = base64.b64encode(marshal.dumps(function.__code__)).decode()
    return {"class_name": "__lambda__", "config": {"code": code, "defaults": [3], "closure": None}}


def test_bytecode_runs_only_where_the_call_asks_for_it(saved):
    entry = {"name": "f", "function": bytecode(lambda x, y=3: x * y)}
    config = config_of(saved)
    config["config"]["layers"][1].update(class_name="Lambda", config=entry)
    config["config"]["layers"].pop()
    edit(saved, config__json=json.dumps(config))
    weights = {"model.weights.h5": weights_of(keras.Sequential([keras.Input((3,))]))}
    edit(saved, **weights)
    for load in (keras.saving.load_model, lambda _: L.Lambda.from_config(entry)):
        keras.config.enable_unsafe_deserialization()
        with pytest.raises(keras.saving.LoadError, match=r"lambda as Python bytecode.*safe_mode"):
            load(saved)
    same(keras.saving.load_model(saved, safe_mode=False)(X), X * 3)
    same(L.Lambda.from_config(entry, safe_mode=False)(X), X * 3)
    with pytest.raises(keras.saving.LoadError, match="lambda as Python bytecode"):
        keras.saving.load_model(saved)


def weights_of(model):
    with io.BytesIO() as file:
        write_weights(model, file)
        return file.getvalue()


def test_no_model(saved):
    config = keras.saving.serialize_keras_object(keras.regularizers.L2(0.1))
    edit(saved, config__json=json.dumps(config))
    with pytest.raises(ValueError, match="describes no model"):
        keras.saving.load_model(saved)


def test_deeply_nested(saved):
    edit(saved, config__json='{"a":' * 50_000 + "1" + "}" * 50_000)
    with pytest.raises(ValueError, match=r"is nested 201 levels deep or more; the limit is 200"):
        keras.saving.load_model(saved)
