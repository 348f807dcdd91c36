"""Distillation: a small network learns from a large one, without seeing a single label."""

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import hornbeam as keras
from hornbeam import layers
from hornbeam.distillation import Distiller, FeatureDistillation, LogitsDistillation


def network(name, *widths):
    hidden = [layers.Dense(n, activation="relu") for n in widths]
    output = [layers.Dense(16, "tanh", name="features"), layers.Dense(10)]
    return keras.Sequential([keras.Input((64,)), *hidden, *output], name=name)


def compiled(model):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(3e-3), loss, metrics=["accuracy"])
    return model


def main():
    keras.utils.set_random_seed(0)
    images, labels = load_digits(return_X_y=True)
    images, held_out, labels, held_out_labels = train_test_split(
        images / 16, labels, stratify=labels, random_state=0
    )

    teacher = compiled(network("teacher", 128, 128))
    teacher.fit(images, labels, epochs=10, verbose=0)

    alone = compiled(network("alone"))
    alone.fit(images[:60], labels[:60], epochs=30, verbose=0)

    student = network("student")
    losses = [LogitsDistillation(2.0), FeatureDistillation("mse", "features", "features")]
    distiller = Distiller(teacher, student, losses, [1.0, 0.1], student_loss_weight=0)
    distiller.compile(keras.optimizers.Adam(3e-3))
    distiller.fit(images, epochs=15, verbose=0)

    accuracy = {}
    for model in (teacher, alone, compiled(student)):
        accuracy[model.name] = model.evaluate(held_out, held_out_labels, verbose=0)[1]
        about = f"{model.count_params()} parameters"
        print(f"{model.name}: {accuracy[model.name]:.1%} of held-out digits, {about}")
    return accuracy


if __name__ == "__main__":
    main()
