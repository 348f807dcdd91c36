"""Weights in HDF5: where they stand, and loading that is all or nothing."""

import h5py
import ml_dtypes
import numpy as np
import pytest

import hornbeam as keras
from hornbeam.saving._weights import walk

L = keras.layers


class Block(L.Layer):
    """A weight of its own, sublayers in attributes and containers."""

    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.zed = L.Dense(units)
        self.alpha = L.Dense(units)
        self.many = [L.Dense(units), self.zed, L.Dense(units), [L.Dense(units)], {"k": 1}]
        self._private = L.Dense(units)

    def build(self, input_shape):
        self.counter = self.add_weight((), "zeros", trainable=False, name="counter")
        self.scale = self.add_weight((self.units,), "ones", name="scale")

    def call(self, x):
        for layer in [self.alpha, *self.many[:3], self.many[3][0], self._private]:
            x = layer(x)
        return x * self.scale


class Subclassed(keras.Model):
    """Attributes before and after "layers" in the alphabet."""

    def __init__(self):
        super().__init__()
        self.zout = L.Dense(2)
        self.first = L.Dense(3)

    def call(self, x):
        return self.zout(self.first(x))


def model(units=4, last=2):
    return keras.Sequential(
        [keras.Input((3,)), L.Dense(units, name="a"), L.BatchNormalization(), L.Dense(last)]
    )


def paths(obj):
    return [path for path, _ in walk(obj)]


def values(obj):
    return [np.asarray(v) for v in obj.weights]


def same(a, b):
    assert len(a) == len(b)
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)


def save(tmp_path, obj, name="w"):
    path = tmp_path / f"{name}.weights.h5"
    keras.saving.save_weights(obj, path)
    return path


# Where things stand ------------------------------------------------------------------------------


def test_paths_of_a_sequential():
    m = keras.Sequential([L.Dense(1, name="zeta"), L.Dropout(0.5), L.Dense(1)])
    assert paths(m) == ["", "layers/dense", "layers/dropout", "layers/dense_1"]


def test_paths_of_attributes_and_containers():
    assert paths(Block()) == [
        "",
        "_private",
        "alpha",
        "many/dense",
        "many/dense_1",  # `zed`, met here first
        "many/dense_2",
        "many/container/dense",
    ]


def test_a_member_met_before_takes_up_a_number():
    layer = L.Layer()
    layer.alias = L.Dense(1)
    layer.many = [layer.alias, L.Dense(1)]
    assert paths(layer) == ["", "alias", "many/dense_1"]


def test_paths_of_a_subclassed_model():
    assert paths(Subclassed()) == ["", "first", "layers/dense"]


def test_paths_of_graphs():
    a = keras.Input((3,))
    inner = keras.Model(a, L.Dense(3)(a))
    x = keras.Input((3,))
    shared = L.Dense(3)
    m = keras.Model(x, L.Add()([shared(shared(x)), inner(x)]))
    m.extra = L.Dense(1)
    assert paths(m) == [
        "",
        "layers/input_layer",
        "layers/dense",
        "layers/functional",
        "layers/functional/layers/input_layer",
        "layers/functional/layers/dense",
        "layers/add",
        "extra",
    ]


def test_the_optimizer_has_its_place():
    m = model()
    m.compile("adam", "mse")
    assert paths(m)[-1] == "optimizer"


def test_layout(tmp_path):
    block = Block(name="b")
    block(np.ones((1, 3), "float32"))
    with h5py.File(save(tmp_path, block)) as file:
        assert file["vars"].attrs["name"] == "b"
        assert {k: d.shape for k, d in file["vars"].items()} == {"0": (3,), "1": ()}
        assert file["alpha/vars"].attrs["name"] == block.alpha.name
        assert file["alpha/vars/0"].shape == (3, 3)
        assert file["alpha/vars/0"].dtype == "float32"


def test_empty_groups_are_written(tmp_path):
    m = keras.Sequential([keras.Input((3,)), L.Dropout(0.5)])
    with h5py.File(save(tmp_path, m)) as file:
        assert file["layers/dropout/vars"].attrs["name"] == m.layers[0].name
        assert list(file["layers/dropout/vars"]) == []


# Round trips -------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [Block, Subclassed, model])
def test_round_trip(tmp_path, make):
    a, b = make(), make()
    for m in (a, b):
        m(np.ones((2, 3), "float32"))
    for v in a.weights:
        v.assign(np.random.default_rng(0).normal(size=v.shape))
    keras.saving.load_weights(b, save(tmp_path, a))
    same(values(a), values(b))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_dtypes(tmp_path, dtype):
    def make():
        layer = L.Dense(2, dtype=dtype)
        layer.build((None, 3))
        return layer

    a, b = make(), make()
    path = save(tmp_path, a)
    keras.saving.load_weights(b, path)
    same(values(a), values(b))
    with h5py.File(path) as file:
        stored = file["vars/0"]
        if dtype == "bfloat16":
            assert stored.dtype == "V2"
            assert stored.attrs["dtype"] == "bfloat16"
        else:
            assert stored.dtype == dtype


def test_optimizer_state(tmp_path):
    x, y = np.ones((4, 3), "float32"), np.ones((4, 2), "float32")
    a, b = model(), model()
    for m in (a, b):
        m.compile("adam", "mse")
    for _ in range(3):
        a.train_on_batch(x, y)
    b.load_weights(save(tmp_path, a))
    assert int(b.optimizer.iterations) == 3
    same([v.numpy() for v in a.optimizer.variables], [v.numpy() for v in b.optimizer.variables])
    a.train_on_batch(x, y)
    b.train_on_batch(x, y)
    same(values(a), values(b))


def test_weights_without_optimizer_and_the_reverse(tmp_path):
    plain, compiled = model(), model()
    compiled.compile("adam", "mse")
    compiled.train_on_batch(np.ones((4, 3), "float32"), np.ones((4, 2), "float32"))
    plain.load_weights(save(tmp_path, compiled))
    same(values(plain), values(compiled))
    compiled.load_weights(save(tmp_path, model()))
    assert int(compiled.optimizer.iterations) == 1


def test_state_of_another_optimizer_is_left_out_with_a_warning(tmp_path):
    a, b = model(), model()
    a.compile("adam", "mse")
    b.compile("sgd", "mse")
    for m in (a, b):
        m.train_on_batch(np.ones((4, 3), "float32"), np.ones((4, 2), "float32"))
    with pytest.warns(UserWarning, match="[Oo]ptimizer.*wasn't loaded"):
        b.load_weights(save(tmp_path, a))
    same(values(a), values(b))


def test_own_keys_of_a_layer(tmp_path):
    class Own(L.Layer):
        def __init__(self):
            super().__init__()
            self.w = self.add_weight((2,), "ones", name="w")

        def save_own_variables(self, store):
            store["mine"] = np.asarray(self.w.value) + 1

        def load_own_variables(self, store):
            self.w.assign(store["mine"][:] * 2)

    a, b = Own(), Own()
    keras.saving.load_weights(b, save(tmp_path, a))
    assert b.w.numpy().tolist() == [4, 4]


def test_from_a_whole_model_file(tmp_path):
    a, b = model(), model()
    a.save(tmp_path / "m.keras")
    b.load_weights(tmp_path / "m.keras")
    same(values(a), values(b))


# All or nothing ----------------------------------------------------------------------------------


def refused(obj, path, *patterns, **kwargs):
    before = values(obj)
    with pytest.raises(ValueError) as caught:
        keras.saving.load_weights(obj, path, **kwargs)
    same(before, values(obj))
    for pattern in patterns:
        assert caught.match(pattern)


def test_other_shapes(tmp_path):
    b = model(last=5)
    refused(
        b,
        save(tmp_path, model()),
        "nothing was changed",
        r"layers/dense_1/vars/0: \(4, 5\) \(.*kernel\) in the model, \(4, 2\) in the file",
        "skip_mismatch=True",
    )


def test_missing_and_surplus_layers_are_both_listed(tmp_path):
    a = keras.Sequential([keras.Input((3,)), L.Dense(4), L.Dense(4), L.Dense(4)])
    b = keras.Sequential([keras.Input((3,)), L.Dense(4), L.BatchNormalization()])
    refused(
        b,
        save(tmp_path, a),
        r"(?s)In the file, but not in the model:\n  layers/dense_1/vars/0 \(4, 4\)",
        r"(?s)In the model, but not in the file:\n  layers/batch_normalization/vars/0 \(4,\)",
    )
    refused(b, save(tmp_path, model(units=2)), "not in the model", "Different")


def test_surplus_variable(tmp_path):
    a = keras.Sequential([keras.Input((3,)), L.Dense(4)])
    b = keras.Sequential([keras.Input((3,)), L.Dense(4, use_bias=False)])
    refused(b, save(tmp_path, a), r"not in the model:\n  layers/dense/vars/1 \(4,\)")


def test_an_error_of_a_later_layer_undoes_earlier_ones(tmp_path):
    class Refuses(L.Layer):
        def __init__(self):
            super().__init__()
            self.w = self.add_weight((2,), "ones", name="w")

        def load_own_variables(self, store):
            super().load_own_variables(store)
            raise KeyError("not today")

        def call(self, x):
            return x

    m = keras.Sequential([keras.Input((3,)), L.Dense(4), Refuses()])
    path = save(tmp_path, m)
    for v in m.weights:
        v.assign(v + 1)
    refused(m, path, "not today")


def test_skip_mismatch(tmp_path):
    a, b = model(), model(last=5)
    for v in a.weights:
        v.assign(v + 1)
    kept = b.layers[-1].get_weights()
    with pytest.warns(UserWarning, match=r"(?s)Skipped what differs.*layers/dense_1/vars/0"):
        keras.saving.load_weights(b, save(tmp_path, a), skip_mismatch=True)
    same(kept, b.layers[-1].get_weights())
    same(a.layers[0].get_weights(), b.layers[0].get_weights())


def test_not_built(tmp_path):
    with pytest.raises(ValueError, match=r"is not built yet.*Call it on some data first"):
        Subclassed().load_weights(save(tmp_path, model()))


# Files that are no weights, or hostile -----------------------------------------------------------


def test_endings(tmp_path):
    with pytest.raises(ValueError, match=r"ends in '\.weights\.h5' or .*; received '.*a\.h5'"):
        keras.saving.save_weights(model(), tmp_path / "a.h5")
    with pytest.raises(ValueError, match=r"weights come from '\.weights\.h5', "):
        keras.saving.load_weights(model(), tmp_path / "a.txt")
    with pytest.raises(FileNotFoundError, match=r"a\.weights\.h5"):
        keras.saving.load_weights(model(), tmp_path / "a.weights.h5")


def test_arguments(tmp_path):
    path = save(tmp_path, model())
    with pytest.raises(FileExistsError, match="Pass overwrite=True"):
        keras.saving.save_weights(model(), path, overwrite=False)
    with pytest.raises(ValueError, match="by_name"):
        keras.saving.load_weights(model(), path, by_name=True)
    with pytest.raises(TypeError, match="skip_mismatch"):
        keras.saving.load_weights(model(), path, skip_mismatches=True)


def test_no_hdf5(tmp_path):
    path = tmp_path / "a.weights.h5"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match="can't be read as HDF5"):
        keras.saving.load_weights(model(), path)


def external_link(file):
    file["layers/dense/vars/9"] = h5py.ExternalLink("other.h5", "/x")


def soft_link(file):
    file["layers/soft"] = h5py.SoftLink("/layers/dense")


def cycle(file):
    file["layers/round"] = file["layers"]


def external_data(file):
    file.create_dataset("x/0", (3,), "float32", external=[("/etc/passwd", 0, 12)])


def huge(file):
    file.create_dataset("x/0", (1 << 40,), "float32", chunks=(1024,))


def unknown_dtype(file):
    kernel = file["layers/dense/vars"]
    del kernel["0"]
    kernel.create_dataset("0", data=np.zeros((3, 4), "V2"))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (external_link, "is a link"),
        (soft_link, "is a link"),
        (cycle, "contains itself"),
        (external_data, "takes its data from another file"),
        (huge, "claims .* bytes, of which the file holds 0"),
        (unknown_dtype, "no known number type"),
    ],
)
def test_hostile_files(tmp_path, spoil, message):
    m = model()
    path = save(tmp_path, m)
    with h5py.File(path, "a") as file:
        spoil(file)
    refused(m, path, message)


def test_bfloat16_reads_as_written_by_hand(tmp_path):
    layer = L.Dense(1, use_bias=False, dtype="bfloat16")
    layer.build((None, 2))
    path = tmp_path / "a.weights.h5"
    data = np.array([[1.5], [2.5]], ml_dtypes.bfloat16)
    with h5py.File(path, "w") as file:
        file.create_dataset("vars/0", data=data.view("V2")).attrs["dtype"] = "bfloat16"
    keras.saving.load_weights(layer, path)
    np.testing.assert_array_equal(layer.get_weights()[0], data)
