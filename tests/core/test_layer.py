"""The call pipeline of `Layer`: building, state, masks, casts, errors."""

import jax.numpy as jnp
import numpy as np
import pytest

import hornbeam as keras
from hornbeam import layers
from hornbeam.core import masks


class Linear(layers.Layer):
    def __init__(self, units=2, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape):
        self.kernel = self.add_weight((input_shape[-1], self.units), "ones", name="kernel")
        self.calls = self.add_weight((), "zeros", trainable=False, name="calls")

    def call(self, x, training=False):
        if training:
            self.calls.assign_add(1.0)
        return x @ self.kernel


class Nested(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.parts = [Linear(2), {"deep": (Linear(3), [Linear(4)])}]
        self.own = self.add_weight((), name="own")

    def call(self, x):
        a, (b, (c,)) = self.parts[0], self.parts[1]["deep"]
        return c(b(a(x))) * self.own


def test_layers_and_variables_are_found_in_nested_containers():
    layer = Nested()
    layer(np.ones((1, 3)))
    assert [v.path for v in layer.trainable_variables] == [
        "nested/own",
        "nested/linear/kernel",
        "nested/linear_1/kernel",
        "nested/linear_2/kernel",
    ]
    assert len(layer.weights) == 7 and len(layer.get_weights()) == 7
    layer.trainable = False
    assert layer.trainable_variables == [] and len(layer.non_trainable_variables) == 7
    layer.trainable = True
    assert len(layer.trainable_variables) == 4, "what never was trainable stays so"


def test_weights_appended_to_a_list_later_are_found():
    layer = layers.Layer()
    layer.blocks = []
    layer.blocks.append(Linear())
    layer.blocks[0](np.ones((1, 2)))
    assert len(layer.weights) == 2


def test_shared_variables_count_once():
    one, two = Linear(), layers.Layer()
    two.a, two.b = one, [one]
    one(np.ones((1, 2)))
    assert len(two.weights) == 2


def test_training_reaches_inner_layers():
    layer = Nested()
    layer(np.ones((1, 3)), training=True)
    assert float(layer.parts[0].calls) == 1.0
    layer(np.ones((1, 3)))
    assert float(layer.parts[0].calls) == 1.0


def test_stateless_call():
    layer = Linear()
    layer.build((None, 3))
    x = np.ones((2, 3), "float32")
    trainable = [v.value * 2 for v in layer.trainable_variables]
    others = [v.value for v in layer.non_trainable_variables]
    out, new = layer.stateless_call(trainable, others, x, training=True)
    assert float(out[0, 0]) == 6.0 and float(new[0]) == 1.0
    assert float(layer.calls) == 0.0 and float(layer.kernel[0, 0]) == 1.0
    with pytest.raises(ValueError, match="should hold 1 values"):
        layer.stateless_call([], others, x)


def test_shapes_by_tracing():
    assert Nested().compute_output_shape((None, 7, 3)) == (None, 7, 4)
    spec = Nested().compute_output_spec(keras.KerasTensor((5, 3)))
    assert spec.shape == (5, 4) and spec.node is None


def test_build_alone_builds_sublayers():
    layer = Nested()
    layer.build((None, 3))
    assert layer.built and len(layer.weights) == 7


def test_build_gets_one_shape_per_argument():
    class Two(layers.Layer):
        def build(self, query_shape, value_shape):
            self.shapes = query_shape, value_shape

        def call(self, query, value, extra=None):
            return query

    layer = Two()
    layer(np.ones((1, 2)), np.ones((1, 3)))
    assert layer.shapes == ((1, 2), (1, 3))
    assert layer.get_build_config() == {
        "shapes_dict": {"query_shape": (1, 2), "value_shape": (1, 3)}
    }
    again = Two()
    again.build_from_config(layer.get_build_config())
    assert again.shapes == ((1, 2), (1, 3))


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16", "bfloat16", "float32"])
def test_autocast(dtype):
    seen = []

    class Watched(Linear):
        def call(self, x, indices):
            seen.append((str(x.dtype), self.kernel.dtype, str(indices.dtype)))
            return x @ self.kernel

    layer = Watched(dtype=dtype)
    compute = dtype.removeprefix("mixed_")
    out = layer(np.ones((1, 2)), np.ones((1,), "int32"))
    assert seen == [(compute, compute, "int32")] and str(out.dtype) == compute
    assert layer.kernel.dtype == ("float32" if dtype.startswith("mixed") else compute)


def test_losses_of_a_call():
    class Adds(layers.Layer):
        def __init__(self):
            super().__init__(activity_regularizer="l2")
            self.inner = Linear()

        def call(self, x):
            self.add_loss(jnp.sum(x))
            return self.inner(x)

    layer = Adds()
    layer.inner.build((None, 2))
    layer.inner.kernel.regularizer = keras.regularizers.L1(1.0)
    for _ in range(2):  # losses of an earlier call are forgotten
        layer(np.ones((1, 2)))
        assert [round(float(v), 4) for v in layer.losses] == [2.0, 0.08, 4.0]
    _, _, losses = layer.stateless_call(
        [v.value for v in layer.trainable_variables],
        [v.value for v in layer.non_trainable_variables],
        np.ones((1, 2)),
        return_losses=True,
    )
    assert len(losses) == 3


def test_metrics_in_layers():
    class Watches(layers.Layer):
        def __init__(self):
            super().__init__()
            self.mean = keras.metrics.Mean(name="mean_input")

        def call(self, x):
            self.mean.update_state(x)
            return x

    layer = Watches()
    layer(np.full((2, 2), 3.0))
    assert layer.metrics == [layer.mean] and float(layer.mean.result()) == 3.0
    assert len(layer.metrics_variables) == 2 and layer.variables == []


# Masks ----------------------------------------------------------------------------------------


class Keeps(layers.Layer):
    def __init__(self):
        super().__init__()
        self.supports_masking = True
        self.seen = "nothing"

    def call(self, x, mask=None):
        vars(self)["seen"] = mask
        return x * 2


def masked(x, mask):
    x = jnp.asarray(x)
    masks.set_mask(x, jnp.asarray(mask))
    return x


def test_masks_are_handed_to_call_and_on():
    layer = Keeps()
    out = layer(masked(np.ones((1, 2, 3)), [[True, False]]))
    assert layer.seen.tolist() == [[True, False]]
    assert masks.get_mask(out).tolist() == [[True, False]]


def test_a_layer_that_drops_a_mask_says_so():
    with pytest.warns(UserWarning, match="'linear'.*the mask ends here"):
        out = Linear()(masked(np.ones((1, 2, 3)), [[True, False]]))
    assert masks.get_mask(out) is None


def test_masks_of_several_inputs():
    class Several(layers.Layer):
        supports = True

        def __init__(self):
            super().__init__()
            self.supports_masking = True

        def call(self, query, value, query_mask=None, value_mask=None):
            vars(self)["seen"] = (query_mask, value_mask)
            return query

        def compute_mask(self, query, previous_mask):
            return previous_mask

    layer = Several()
    layer(masked(np.ones((1, 2)), [[True, False]]), value=masked(np.ones((1, 2)), [[False, True]]))
    assert [m.tolist() for m in layer.seen] == [[[True, False]], [[False, True]]]


def test_masks_pass_through_operators_and_symbolic_graphs():
    x = keras.Input((None,), dtype="int32")
    h = layers.Embedding(5, 3, mask_zero=True)(x)
    layer = Keeps()
    model = keras.Model(x, layer((h + 1.0) * h))
    out = model(np.array([[1, 0, 2]]))
    assert layer.seen.tolist() == [[True, False, True]]
    assert masks.get_mask(out).tolist() == [[True, False, True]]


# Errors ---------------------------------------------------------------------------------------


def test_errors_keep_their_type_and_get_notes():
    class Broken(layers.Layer):
        def call(self, x):
            raise KeyError("mine")

    class Outer(layers.Layer):
        def __init__(self):
            super().__init__()
            self.broken = Broken()

        def call(self, x):
            return self.broken(x)

    for x in (np.ones((2, 3), "float32"), keras.Input((3,))):
        with pytest.raises(KeyError, match="mine") as info:
            Outer()(x)
        notes = [n for n in info.value.__notes__ if n.startswith("In layer")]
        assert "/broken" in notes[0] and "(Broken)" in notes[0]
        assert ", 3) float32, training=None" in notes[0] and len(notes) == 2


def no_super():
    class Forgets(layers.Layer):
        def __init__(self):
            self.dense = layers.Dense(1)

    Forgets()


def no_super_but_called():
    class Forgets(layers.Layer):
        def __init__(self):
            pass

    Forgets()(np.ones(1))


def changed_after_build():
    layer = Linear()
    layer(np.ones((1, 2)))
    layer.more = layers.Dense(1)


def weight_after_build():
    layer = Linear()
    layer(np.ones((1, 2)))
    layer.add_weight((1,), name="late")


def wrong_size():
    layer = layers.Dense(2)
    layer(np.ones((1, 3)))
    layer(np.ones((1, 4)))


@pytest.mark.parametrize(
    "act, error, message",
    [
        (no_super, RuntimeError, r"(?s)Forgets.__init__ didn't call.*super\(\).__init__"),
        (no_super_but_called, RuntimeError, "didn't call `super"),
        (changed_after_build, ValueError, "'linear' is built.*'more'"),
        (weight_after_build, ValueError, "'linear' is built.*'late'"),
        (wrong_size, ValueError, "'dense'.*size 3 along axis -1, not 4; received shape"),
        (lambda: layers.Dense(2)(np.ones(3)), ValueError, "at least 2 axes.*not 1"),
        (lambda: layers.Dense(2, unit=3), TypeError, "no argument 'unit'"),
        (
            lambda: layers.Dense(2)(np.ones((1, 2)), trainig=True),
            TypeError,
            "no argument 'trainig'",
        ),
        (lambda: layers.Dense(2)(), TypeError, "needs its argument 'inputs'"),
        (lambda: layers.Layer()(np.ones(1)), NotImplementedError, "call"),
        (lambda: layers.Dense(2, name="a/b"), ValueError, "without '/'"),
        (lambda: Linear().set_weights([1]), ValueError, "has 0 weights.*not built"),
        (lambda: Linear().count_params(), ValueError, "not built yet"),
    ],
)
def test_mistakes_are_explained(act, error, message):
    with pytest.raises(error, match=message):
        act()


def test_set_weights_changes_nothing_on_error():
    layer = Linear()
    layer(np.ones((1, 2)))
    before = layer.get_weights()
    with pytest.raises(ValueError, match="shape"):
        layer.set_weights([np.zeros((2, 2)), np.zeros(3)])
    np.testing.assert_array_equal(layer.get_weights()[0], before[0])


def test_own_variables_round_trip_through_a_store():
    one, two = Linear(), Linear()
    one(np.ones((1, 2))), two(np.ones((1, 2)))
    one.kernel.assign(np.full((2, 2), 7.0))
    store = {}
    one.save_own_variables(store)
    two.load_own_variables({k: np.asarray(v) for k, v in store.items()})
    assert two.kernel.numpy().tolist() == [[7.0, 7.0], [7.0, 7.0]]
    with pytest.raises(ValueError, match=r"has 2 variables.*holds 1"):
        two.load_own_variables({"0": 1})
