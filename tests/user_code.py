# pyright: standard
"""What users write, for the type checker, which must report no error here (`make check`).

tests/test_user_code.py runs it, so that the calls are real ones. A signature that a type checker
misunderstands gets a line here.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import hornbeam as keras
from hornbeam import callbacks, initializers, layers, losses, metrics, optimizers, regularizers

X = np.ones((8, 4), "float32")
Y = np.zeros((8, 1), "float32")


# Classes of users --------------------------------------------------------------------------------


class Linear(layers.Layer):
    def __init__(self, units: int, activation: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.units = units
        self.activation = keras.activations.get(activation)
        self.dropout = layers.Dropout(0.1)

    def build(self, input_shape):
        self.kernel = self.add_weight(
            shape=(input_shape[-1], self.units), initializer="he_normal", name="kernel"
        )
        self.bias = self.add_weight((self.units,), initializers.Zeros(), trainable=False)
        self.scale = self.add_variable((), "ones", dtype="float32", name="scale")

    def call(self, inputs, training: bool | None = False, mask=None):
        self.add_loss(1e-3 * jnp.sum(self.kernel.value**2))
        outputs = inputs @ self.kernel + self.bias
        return self.activation(self.dropout(outputs * self.scale, training=training))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        config = super().get_config()
        config.update({"units": self.units})
        return {**config, "activation": keras.activations.serialize(self.activation)}


class TypedLayer(keras.Layer):
    """The same methods with annotations."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.gain: keras.Variable = self.add_weight((1,), initializer="ones")

    def call(self, inputs: jax.Array) -> jax.Array:
        return inputs * self.gain.value

    def get_config(self) -> dict[str, Any]:
        return super().get_config()

    @classmethod
    def from_config(cls, config: dict[str, Any]):
        return cls(**config)


class Net(keras.Model):
    def __init__(self, width: int = 8, name: str | None = None):
        super().__init__(name=name)
        self.hidden = Linear(width, "relu")
        self.head = layers.Dense(1)
        self.loss_tracker = metrics.Mean(name="loss")

    def call(self, inputs, training=None):
        return self.head(self.hidden(inputs, training=training))

    def train_step(self, data):
        x, y = data

        def loss_fn():
            y_pred = self(x, training=True)
            return self.compute_loss(x=x, y=y, y_pred=y_pred)

        loss, gradients = keras.value_and_grad(loss_fn, self.trainable_variables)()
        self.optimizer.apply(gradients, self.trainable_variables)
        self.loss_tracker.update_state(loss)
        return {"loss": self.loss_tracker.result()}

    @property
    def metrics(self):
        return [self.loss_tracker]


class Scaled(losses.Loss):
    def __init__(self, factor: float = 1.0, reduction="sum_over_batch_size", name="scaled"):
        super().__init__(reduction=reduction, name=name)
        self.factor = factor

    def call(self, y_true, y_pred):
        return self.factor * jnp.mean(jnp.square(y_true - y_pred), axis=-1)

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


class Largest(metrics.Metric):
    def __init__(self, name="largest", **kwargs: Any):
        super().__init__(name=name, **kwargs)
        self.largest = self.add_weight(name="largest", initializer="zeros")
        self.seen = self.add_variable(shape=(), initializer="zeros", name="seen")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.largest.assign(jnp.maximum(self.largest.value, jnp.max(y_pred)))
        self.seen.assign_add(1.0)

    def result(self):
        return self.largest.value

    def reset_state(self):
        for variable in self.variables:
            variable.assign(jnp.zeros(variable.shape))


class Log(callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.history: list[float] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None):
        self.history.append(float((logs or {})["loss"]))
        if self.model is not None and epoch > 100:
            self.model.stop_training = True

    def on_train_batch_end(self, batch, logs=None):
        pass


class Half(regularizers.Regularizer):
    def __call__(self, x):
        return 0.5 * jnp.sum(x)


class Filled(initializers.Initializer):
    def __call__(self, shape, dtype=None, **kwargs):
        return jnp.full(shape, 0.1, dtype=dtype or "float32")


class Descent(optimizers.Optimizer):
    def __init__(self, learning_rate: float = 0.1, name: str = "descent", **kwargs: Any):
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)

    def build(self, variables):
        super().build(variables)
        self.momentums = self.add_optimizer_variables(variables, "momentum")

    def update_step(self, gradient, variable, learning_rate):
        self.assign_sub(variable, learning_rate * gradient)


class Warmup(optimizers.schedules.LearningRateSchedule):
    def __call__(self, step):
        return 0.1 * jnp.minimum(1.0, step / 10)

    def get_config(self):
        return {}


# Calls -------------------------------------------------------------------------------------------


def make_losses() -> list[losses.Loss]:
    return [
        losses.MeanSquaredError(),
        losses.MeanSquaredError(reduction=None),
        losses.MeanAbsoluteError("sum", name=None, dtype="float16"),
        losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.1, axis=-1),
        losses.SparseCategoricalCrossentropy(ignore_class=255, reduction="none"),
        losses.CategoricalFocalCrossentropy(alpha=[0.3, 0.7], gamma=1),
        losses.Huber(delta=2, reduction="mean_with_sample_weight"),
        losses.Dice(axis=(1, 2), dtype=np.float32),
        losses.Tversky(alpha=0.3, beta=0.7, axis=None),
        losses.CosineSimilarity(axis=1, name=None),
        Scaled(2.0, reduction="sum"),
    ]


def make_metrics() -> list[metrics.Metric]:
    return [
        metrics.Mean(),
        metrics.Mean(name=None, dtype="float32"),
        metrics.BinaryAccuracy(threshold=0.3, name=None),
        metrics.AUC(num_thresholds=50, curve="PR", thresholds=[0.2, 0.5], label_weights=None),
        metrics.AUC(multi_label=True, num_labels=3, name="auc", dtype=jnp.float32),
        metrics.Precision(thresholds=[0.2, 0.8], top_k=None, class_id=1),
        metrics.Recall(thresholds=0.5),
        metrics.PrecisionAtRecall(0.5, num_thresholds=10, class_id=0, name="p"),
        metrics.F1Score(average="macro", threshold=0.5),
        metrics.FBetaScore(beta=2, average=None),
        metrics.MeanIoU(num_classes=2, ignore_class=255),
        metrics.IoU(num_classes=3, target_class_ids=(0, 1)),
        metrics.R2Score(class_aggregation=None),
        metrics.TopKCategoricalAccuracy(k=3, name=None),
        metrics.MeanMetricWrapper(losses.huber, name="h", delta=0.5),
        Largest(dtype="float32"),
    ]


def make_optimizers() -> list[optimizers.Optimizer]:
    schedule = optimizers.schedules.CosineDecay(0.1, 1000, alpha=0.1, warmup_steps=10)
    return [
        optimizers.SGD(),
        optimizers.SGD(learning_rate=1e-2, momentum=0.9, nesterov=True, name=None),
        optimizers.Adam(schedule, beta_1=0.8, clipnorm=1.0, weight_decay=None),
        optimizers.AdamW(learning_rate=Warmup(), weight_decay=0.01, use_ema=True),
        optimizers.RMSprop(0.001, rho=0.95, centered=True, gradient_accumulation_steps=2),
        optimizers.LossScaleOptimizer(optimizers.Adam(), initial_scale=1024.0),
        Descent(0.1),
    ]


def make_layers() -> list[layers.Layer]:
    return [
        layers.Dense(4),
        layers.Dense(4, activation="relu", kernel_regularizer="l2", bias_constraint="non_neg"),
        layers.Dense(4, activation=jnp.tanh, kernel_initializer=Filled(), name=None),
        layers.Dense(4, keras.activations.gelu, False, kernel_regularizer=regularizers.L1(0.1)),
        layers.Conv2D(8, 3, strides=2, padding="same", data_format=None),
        layers.Conv2D(8, (3, 3), strides=(1, 1), dilation_rate=[1, 1], kernel_regularizer=Half()),
        layers.MaxPooling2D(pool_size=2, strides=None),
        layers.BatchNormalization(axis=-1, momentum=0.9, name="norm", dtype="float32"),
        layers.LayerNormalization(axis=[-1], epsilon=1e-5),
        layers.Dropout(0.5, noise_shape=(None, 1), seed=1),
        layers.Embedding(10, 4, mask_zero=True, embeddings_initializer="uniform"),
        layers.Reshape((2, -1)),
        layers.Flatten(),
        layers.Activation("relu"),
        layers.Lambda(lambda x: x * 2, output_shape=None),
        layers.Concatenate(axis=1),
        Linear(3, activation="relu", name="linear", dtype="mixed_bfloat16", trainable=False),
    ]


def functional() -> keras.Model:
    inputs = keras.Input(shape=(4,), name="x", dtype="float32", batch_size=None)
    hidden = layers.Dense(8, activation="relu")(inputs)
    hidden = keras.ops.concatenate([hidden, inputs], axis=-1)
    outputs = layers.Dense(1, name="y")(hidden * 2 + 1)
    return keras.Model(inputs=inputs, outputs=[outputs], name=None)


def train() -> dict[str, list[float]]:
    model = keras.Sequential([keras.Input((4,)), Linear(8, "tanh")], name="net")
    model.add(layers.Dense(1))
    model.compile(
        optimizer=optimizers.Adam(1e-3),
        loss=Scaled(),
        metrics=["mae", metrics.RootMeanSquaredError(name=None), Largest()],
        weighted_metrics=None,
        run_eagerly=False,
    )
    stop = callbacks.EarlyStopping(monitor="loss", patience=2, baseline=None)
    history = model.fit(
        X,
        Y,
        batch_size=4,
        epochs=2,
        verbose=0,
        callbacks=[Log(), stop, callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: None)],
        validation_split=0.25,
        sample_weight=np.ones(8),
        class_weight=None,
    )
    model.evaluate(X, Y, verbose=0, return_dict=True)
    assert np.asarray(model.predict(X, batch_size=None, verbose=0)).shape == (8, 1)
    own = Net()
    own.compile("sgd", "mse")
    own.fit(x=X, y=Y, verbose=0)
    for weight in own.get_weights():
        assert weight.dtype == np.float32
    model.summary(print_fn=lambda line: None, line_length=80)
    return history.history


def calls() -> float:
    """Losses, metrics, ops, variables and random functions, called directly."""
    value = losses.MeanSquaredError()(Y, X[:, :1], sample_weight=[1.0] * 8)
    metric = metrics.MeanSquaredError()
    metric.update_state(Y, X[:, :1], sample_weight=None)
    metric.reset_state()
    total = float(value) + float(metric(Y, X[:, :1])) + float(metrics.Mean()([1.0, 2.0]))
    variable = keras.Variable(np.ones(2), trainable=False, dtype=None, name="v")
    variable.assign(variable + 1)
    variable.assign_add([1.0, 1.0])
    total += float(jnp.sum(variable.value)) + float(keras.ops.sum(variable))
    x = keras.random.normal((2, 3), mean=0.0, stddev=1.0, dtype=None, seed=1)
    x = keras.random.randint((2,), 0, 5, dtype=None, seed=keras.random.SeedGenerator(3))
    with keras.name_scope("scope"), keras.device("cpu:0"):
        layer = TypedLayer(name=None)
    y = keras.remat(layer)(X)
    total += float(keras.ops.mean(y)) + float(keras.losses.get("mse")(Y[0], Y[0]))
    keras.config.set_dtype_policy("float32")
    policy = keras.dtype_policies.get("mixed_bfloat16")
    assert policy.compute_dtype == "bfloat16" and x.shape == (2,)
    config: dict[str, Any] = layer.get_config()
    assert TypedLayer.from_config(config).name == layer.name
    return total
