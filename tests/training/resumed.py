"""A training to be killed: run as a script by test_resume.py.

    python resumed.py FOLDER FREQUENCY [slow]

It prints "training" when it begins to train, and at the end a digest of all that it leaves:
weights, optimizer, history, the best checkpoint, the log.
"""

import datetime
import hashlib
import pathlib
import sys
import time

import numpy as np

import hornbeam as keras

FREQUENCIES = {"epoch": "epoch", "steps": 3, "seconds": datetime.timedelta(milliseconds=50)}


class Slow(keras.callbacks.Callback):
    """Makes steps slow, so that a kill comes between two of them, or in one."""

    follows_steps = False

    def on_train_begin(self, logs=None):
        print("training", flush=True)

    def on_steps_end(self, steps_done, read_logs):
        time.sleep(0.004)


def train(folder, frequency, slow):
    folder = pathlib.Path(folder)
    keras.utils.set_random_seed(3)
    x = np.random.default_rng(0).normal(size=(203, 6)).astype("float32")
    y = x[:, :1] * x[:, 1:2]
    layers = [
        keras.layers.Dense(16, "relu"),
        keras.layers.Dropout(0.3),
        keras.layers.BatchNormalization(),
        keras.layers.GaussianNoise(0.1),
        keras.layers.Dense(1),
    ]
    model = keras.Sequential([keras.Input((6,)), *layers])
    schedule = keras.optimizers.schedules.ExponentialDecay(1e-2, 50, 0.9)
    optimizer = keras.optimizers.Adam(schedule, gradient_accumulation_steps=2, use_ema=True)
    model.compile(optimizer, "mse", metrics=["mae"])
    callbacks = [
        keras.callbacks.EarlyStopping("val_loss", patience=4, restore_best_weights=True),
        keras.callbacks.ModelCheckpoint(folder / "best.keras", save_best_only=True),
        keras.callbacks.CSVLogger(folder / "log.csv"),
    ]
    resume = None
    if frequency != "none":
        resume = keras.callbacks.BackupAndRestore(
            folder / "snapshots", FREQUENCIES[frequency], delete_checkpoint=False, replay=False
        )
    history = model.fit(
        x,
        y,
        batch_size=16,
        epochs=10,
        validation_split=0.2,
        callbacks=[*callbacks, Slow()] if slow else callbacks,
        verbose=0,
        resume=resume,
    )
    parts = [np.asarray(v).tobytes() for v in (*model.variables, *model.optimizer.variables)]
    parts += [repr(history.history).encode(), repr(history.epoch).encode()]
    parts += [(folder / name).read_bytes() for name in ("best.keras", "log.csv")]
    return " ".join(hashlib.sha256(part).hexdigest()[:12] for part in parts)


if __name__ == "__main__":
    print(train(sys.argv[1], sys.argv[2], "slow" in sys.argv))
