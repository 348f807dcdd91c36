"""Distillation compared with the real Keras, and with the paper where Keras differs from it."""

import keras as real
import numpy as np
import pytest

import hornbeam as keras

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(40, 6)).astype("float32")
Y = (X[:, 0] > 0).astype("int64") + (X[:, 1] > 0.3)
TEACHER, STUDENT = RANDOM.normal(size=(2, 5, 3)).astype("float32")


def net(k, width, name, regularizer=None):
    layers = k.layers
    hidden = layers.Dense(width, "relu", name="hidden", kernel_regularizer=regularizer)
    return k.Sequential([k.Input((6,)), hidden, layers.Dense(3, name="out")], name=name)


def distiller(k, losses=None, weights=None, share=0.5, student=None):
    """A distiller with the same weights in both libraries, by the seed."""
    k.utils.clear_session(free_memory=False)
    k.utils.set_random_seed(0)
    if losses is None:
        losses = k.distillation.LogitsDistillation(2.0, "mse")
    model = k.distillation.Distiller(
        net(k, 4, "teacher"), student or net(k, 4, "student"), losses, weights, share
    )
    loss = k.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, metrics=["accuracy"])
    return model


def both(k):
    d = k.distillation
    return [d.LogitsDistillation(2.0, "mse"), d.FeatureDistillation("mae", "hidden", "hidden")]


@pytest.mark.parametrize("loss", ["mse", "mae", "cosine_similarity", "huber", ["mse", None]])
@pytest.mark.parametrize("kind", ["LogitsDistillation", "FeatureDistillation"])
def test_same_losses(kind, loss):
    values = [[TEACHER, X], [STUDENT, X + 1]] if isinstance(loss, list) else [TEACHER, STUDENT]
    found = [getattr(k.distillation, kind)(loss=loss).compute_loss(*values) for k in (keras, real)]
    np.testing.assert_allclose(*found, rtol=1e-5)


def softmax(x):
    e = np.exp(x)
    return e / e.sum(-1, keepdims=True)


@pytest.mark.parametrize("name", ["kl", "ce", "logits"])
def test_softened_probabilities(name):
    """Keras hands logits to losses of probabilities; here, it is as in the paper."""
    loss = {
        "kl": "kl_divergence",
        "ce": keras.losses.CategoricalCrossentropy(),
        "logits": keras.losses.CategoricalCrossentropy(from_logits=True),
    }[name]
    p, q = softmax(TEACHER / 3), softmax(STUDENT / 3)
    wanted = -np.sum(p * np.log(q), -1) + (np.sum(p * np.log(p), -1) if name == "kl" else 0)
    found = keras.distillation.LogitsDistillation(3.0, loss).compute_loss(TEACHER, STUDENT)
    np.testing.assert_allclose(found, 9 * wanted.mean(), rtol=1e-5)


@pytest.mark.parametrize(
    ("losses", "weights", "share"),
    [(lambda k: None, None, 0.5), (both, [1.0, 0.3], 0.7), (both, None, 1.0), (both, None, 0.0)],
)
def test_same_training(losses, weights, share):
    found = []
    for k in (keras, real):
        model = distiller(k, losses(k), weights, share)
        assert not model.teacher.trainable_variables and not model.teacher.trainable
        before = model.teacher.get_weights()
        history = model.fit(X, Y, batch_size=20, epochs=3, verbose=0).history
        for a, b in zip(before, model.teacher.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        found.append((history, model.student.get_weights()))
    (ours, our_weights), (theirs, their_weights) = found
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-4, err_msg=name)
    for a, b in zip(our_weights, their_weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_files_in_both_directions(tmp_path):
    models = {k.__name__: distiller(k, both(k), [1.0, 0.3], 0.7) for k in (keras, real)}
    for name, model in models.items():
        model.fit(X, Y, verbose=0)
        model.save(tmp_path / f"{name}.keras")
    ours = keras.models.load_model(tmp_path / "hornbeam.keras")
    with pytest.warns(UserWarning, match="holds no loss"):
        theirs = keras.models.load_model(tmp_path / "keras.keras")
    with pytest.warns(UserWarning):  # Keras can't compile a distiller from any file
        back = real.models.load_model(tmp_path / "hornbeam.keras")
    for loaded, name in ((ours, "hornbeam"), (theirs, "keras"), (back, "hornbeam")):
        expected = models[name].predict(X, verbose=0)
        np.testing.assert_allclose(loaded.predict(X, verbose=0), expected, rtol=1e-5, atol=1e-6)
        assert loaded.distillation_loss_weights == [1.0, 0.3] and loaded.student_loss_weight == 0.7
        assert loaded.distillation_losses[1].student_layer_name == "hidden"
    logs = [m.evaluate(X, Y, verbose=0) for m in (ours, models["hornbeam"])]
    np.testing.assert_allclose(*logs, rtol=1e-6)


@pytest.mark.parametrize("kind", ["LogitsDistillation", "FeatureDistillation"])
def test_same_configs(kind):
    for loss in ("kl_divergence", ["mse", None], {"a": "mae"}):
        ours, theirs = (getattr(k.distillation, kind)(loss=loss) for k in (keras, real))
        assert ours.get_config() == theirs.get_config()
        assert type(ours).from_config(theirs.get_config()).get_config() == ours.get_config()
        if not isinstance(loss, dict):  # Keras can't read its own
            back = type(theirs).from_config(ours.get_config())
            assert back.get_config() == theirs.get_config()


class Subclass(keras.Model):
    """A student without a graph, whose dropout must be drawn once a step."""

    def __init__(self):
        super().__init__()
        self.hidden = keras.layers.Dense(4, "relu", name="hidden", kernel_regularizer="l2")
        self.drop, self.out = keras.layers.Dropout(0.5, seed=1), keras.layers.Dense(3)

    def call(self, x):
        return self.out(self.drop(self.hidden(x)))


def test_features_of_a_subclass():
    keras.utils.set_random_seed(1)  # other weights than the teacher's
    model = distiller(keras, both(keras), student=Subclass())
    model.optimizer.learning_rate = 0.1
    before = model.evaluate(X, Y, verbose=0, return_dict=True)["distillation_loss"]
    model.fit(X, Y, epochs=4, verbose=0)
    assert model.evaluate(X, Y, verbose=0, return_dict=True)["distillation_loss"] < before
    assert int(model.student.drop.seed_generator.state[1]) == 8  # steps
    # The student's regularizer counts (in Keras it doesn't), and parts and whole agree.
    logs = model.evaluate(X, Y, verbose=0, return_dict=True)
    penalty = 0.01 * np.sum(model.student.hidden.kernel.numpy() ** 2)
    crossentropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    plain = float(crossentropy(Y, model.predict(X, verbose=0)))
    np.testing.assert_allclose(logs["student_loss"], plain + penalty, rtol=1e-4)
    mixed = (logs["student_loss"] + logs["distillation_loss"]) / 2
    np.testing.assert_allclose([logs["loss"], logs["total_loss"]], mixed, rtol=1e-5)


def test_sample_weights_count_in_all_parts():
    model = distiller(keras, both(keras))
    weight = np.arange(40.0) % 3
    logs = model.evaluate(X, Y, sample_weight=weight, verbose=0, batch_size=7, return_dict=True)
    rows = np.repeat(np.arange(40), weight.astype(int))
    wanted = model.evaluate(X[rows], Y[rows], verbose=0, return_dict=True)
    for name in ("loss", "student_loss", "distillation_loss"):
        np.testing.assert_allclose(logs[name], wanted[name], rtol=1e-5)


def test_several_outputs_and_no_labels():
    def two(name):
        x = keras.Input((6,))
        dense = keras.layers.Dense
        outputs = {"a": dense(3, name="a")(x), "b": dense(2, name="b")(x)}
        return keras.Model(x, outputs, name=name)

    loss = keras.distillation.LogitsDistillation(2.0, {"a": "kl_divergence", "b": "mse"})
    model = keras.distillation.Distiller(two("teacher"), two("student"), loss)
    model.compile("sgd", {"a": "mse", "b": "mse"}, metrics={"b": ["mae"]})
    logs = model.evaluate(X, {"a": X[:, :3], "b": X[:, :2]}, verbose=0, return_dict=True)
    np.testing.assert_allclose(logs["loss"], logs["total_loss"], rtol=1e-5)
    np.testing.assert_allclose(logs["student_loss"], logs["a_loss"] + logs["b_loss"], rtol=1e-5)

    model = keras.distillation.Distiller(
        two("teacher"), two("student"), loss, student_loss_weight=0
    )
    model.compile(keras.optimizers.Adam(0.1))
    model.fit(X, epochs=30, verbose=0)
    for name in "ab":
        agree = [m.predict(X, verbose=0)[name].argmax(-1) for m in (model.teacher, model.student)]
        assert np.mean(agree[0] == agree[1]) > 0.9


def made(**changes):
    arguments = {"teacher": net(keras, 4, "t"), "student": net(keras, 3, "s")}
    arguments["distillation_losses"] = keras.distillation.LogitsDistillation()
    return keras.distillation.Distiller(**{**arguments, **changes})


def dense(inputs, outputs, **options):
    return keras.Sequential([keras.Input((inputs,)), keras.layers.Dense(outputs, **options)])


D = keras.distillation
MISTAKES = {
    "temperature": (lambda: D.LogitsDistillation(0), "temperature should be a number above 0"),
    "no number": (lambda: D.LogitsDistillation("a"), "temperature should be a number above 0"),
    "no loss": (lambda: D.FeatureDistillation([None, None]), "loss should be .*at least one"),
    "unknown loss": (lambda: D.LogitsDistillation(loss="kl_div"), "Unknown loss 'kl_div'"),
    "structure of outputs": (
        lambda: D.LogitsDistillation().compute_loss([TEACHER], STUDENT),
        r"student's outputs should be in the structure of the teacher's outputs, \[\*\]",
    ),
    "structure of losses": (
        lambda: D.LogitsDistillation().compute_loss([TEACHER] * 2, [STUDENT] * 2),
        r"LogitsDistillation: loss should be in the structure.*\[\*, \*\]",
    ),
    "share": (lambda: made(student_loss_weight=1.5), "student_loss_weight should be from 0 to 1"),
    "weights": (
        lambda: made(distillation_loss_weights=[1, 2]),
        "distillation_loss_weights should be a list of 1 numbers",
    ),
    "no losses": (lambda: made(distillation_losses="kl"), "should be a DistillationLoss or a list"),
    "no model": (lambda: made(teacher="x"), "teacher should be a Model"),
    "inputs": (lambda: made(teacher=dense(5, 3)), "same input shapes"),
    "outputs": (lambda: made(teacher=dense(6, 4)), "same output shapes"),
    "dtypes": (lambda: made(teacher=dense(6, 3, dtype="bfloat16")), "same output dtypes"),
    "layer": (
        lambda: made(distillation_losses=D.FeatureDistillation("mse", "hidden", "hiden")),
        "in the student: .*no layer named 'hiden'. Did you mean 'hidden'",
    ),
    "no student loss": (lambda: made().compile("sgd"), "needs a `loss`.*student_loss_weight=0"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(name):
    act, message = MISTAKES[name]
    with pytest.raises(ValueError, match=message):
        act()


def test_features_of_different_sizes():
    loss = D.FeatureDistillation("mse", "hidden", "hidden")
    model = made(distillation_losses=loss)
    model.compile("sgd", "mse")
    with pytest.raises((TypeError, ValueError)) as info:
        model.fit(X, X[:, :3], verbose=0)
    assert any("compared (32, 4) values of the teacher" in n for n in info.value.__notes__)
    with pytest.raises(NotImplementedError, match="give it a method `compute_loss"):
        D.DistillationLoss().compute_loss(TEACHER, STUDENT)
