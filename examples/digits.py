"""Learns to read handwritten digits: from data to a file that predicts elsewhere.

    python examples/digits.py

Everything it makes goes to `out/digits`.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

import hornbeam as keras

try:
    import tensorboardX  # noqa: F401  keras.callbacks.TensorBoard uses it
    from matplotlib.figure import Figure
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
except ImportError as error:
    sys.exit(f"{error}. This example needs: pip install scikit-learn matplotlib tensorboardX")

OUT = Path("out/digits")
GOAL = 0.97
RIGHT, WRONG = "#1f6feb", "#d1242f"


def load_data():
    """1,797 images of 8x8 pixels (0 to 16), a fifth of them held out to the very end."""
    images, labels = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8, 1).astype("float32")
    return train_test_split(images, labels, test_size=0.2, stratify=labels, random_state=0)


def make_model(images):
    """A small convolutional network that takes raw pixels: it normalizes them itself."""
    normalization = keras.layers.Normalization(axis=None)
    normalization.adapt(images)
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            normalization,
            keras.layers.Conv2D(32, 3, padding="same", activation="relu"),
            keras.layers.Conv2D(64, 3, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Dropout(0.3),
            keras.layers.Flatten(),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(10, activation="softmax"),
        ],
        name="digits",
    )


def train(model, images, labels):
    """Trains until the validation loss stops falling, and keeps the best weights."""
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model.fit(
        images,
        labels,
        validation_split=0.15,
        epochs=40,
        batch_size=32,
        callbacks=[
            keras.callbacks.EarlyStopping(patience=6, restore_best_weights=True),
            keras.callbacks.ModelCheckpoint(OUT / "best.keras", save_best_only=True),
            keras.callbacks.TensorBoard(OUT / "logs"),
        ],
    )


def draw_predictions(images, labels, probabilities, path):
    """Forty held-out digits with what the model read, its mistakes first."""
    read = probabilities.argmax(-1)
    order = np.argsort(read == labels, kind="stable")[:40]
    figure = Figure(figsize=(11, 6.2), layout="constrained")
    for ax, i in zip(figure.subplots(4, 10).flat, order):
        good = read[i] == labels[i]
        ax.imshow(images[i, ..., 0], cmap="gray_r")
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set(color="#d0d7de" if good else WRONG, linewidth=1 if good else 3)
        title = f"{read[i]}" if good else f"{read[i]}, not {labels[i]}"
        ax.set_title(title, color=RIGHT if good else WRONG, fontweight="bold")
        ax.set_xlabel(f"{probabilities[i, read[i]]:.0%} sure", fontsize=8, color="#57606a")
    count = (read != labels).sum()
    figure.suptitle(f"{len(labels)} held-out digits, {count} read wrongly (in red)", fontsize=14)
    figure.get_layout_engine().set(hspace=0.06)
    figure.savefig(path, dpi=120)


def draw_curves(history, path):
    """Loss and accuracy over the epochs, for training and validation."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    axes = figure.subplots(1, 2)
    best = int(np.argmin(history["val_loss"])) + 1
    for ax, name in zip(axes, ("loss", "accuracy")):
        epochs = np.arange(1, len(history[name]) + 1)
        ax.plot(epochs, history[name], color="#8c959f", lw=2, label="training")
        ax.plot(epochs, history[f"val_{name}"], color=RIGHT, lw=2, label="validation")
        ax.axvline(best, color=WRONG, ls=":", label=f"weights kept (epoch {best})")
        ax.set(xlabel="epoch", title=name.capitalize())
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(alpha=0.3)
        ax.legend(frameon=False)
    axes[0].set_yscale("log")
    figure.savefig(path, dpi=120)


def check_saved():
    """In a new process: the saved model predicts what the trained one did."""
    images, expected = (np.load(OUT / "held_out.npz")[name] for name in ("images", "expected"))
    model = keras.models.load_model(OUT / "digits.keras")
    np.testing.assert_array_equal(model.predict(images, verbose=0), expected)


def main():
    keras.utils.set_random_seed(0)
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)

    images, held_out, labels, held_out_labels = load_data()
    model = make_model(images)
    model.summary()
    history = train(model, images, labels).history
    _, accuracy = model.evaluate(held_out, held_out_labels, verbose=0)
    probabilities = model.predict(held_out, verbose=0)

    model.save(OUT / "digits.keras")
    np.savez(OUT / "held_out.npz", images=held_out, expected=probabilities)
    subprocess.run([sys.executable, __file__, "check"], check=True)

    draw_predictions(held_out, held_out_labels, probabilities, OUT / "predictions.png")
    draw_curves(history, OUT / "curves.png")
    print(
        f"""
Epochs: {len(history["loss"])}. Held-out digits read correctly: {accuracy:.1%} of {len(held_out)}.
A new process loaded the saved model and predicted the same numbers.

  {OUT}/digits.keras       the model
  {OUT}/predictions.png    sample digits and what the model read
  {OUT}/curves.png         loss and accuracy over the epochs
  {OUT}/best.keras         the best epoch's model, from ModelCheckpoint
  {OUT}/logs               for TensorBoard: tensorboard --logdir {OUT}/logs"""
    )
    if accuracy < GOAL:
        sys.exit(f"Expected at least {GOAL:.0%} on held-out digits, got {accuracy:.1%}.")


if __name__ == "__main__":
    check_saved() if sys.argv[1:] == ["check"] else main()
