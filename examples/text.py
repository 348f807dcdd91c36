"""Raw sentences into a model: was it said before or after 1933?

The 2,000 sentences are from speeches of presidents of the USA on the state of the union, 1790 to
2021 (works of the federal government, in the public domain). The vocabulary is part of the model
and of its file.

    python examples/text.py                 train, save, predict
    python examples/text.py FILE SENTENCE   load the file, predict
"""

import pathlib
import sys

import numpy as np

import hornbeam as keras
from hornbeam import layers

DATA = pathlib.Path(__file__).parent / "data" / "speeches.tsv"


def sentences():
    lines = DATA.read_text(encoding="utf-8").splitlines()[1:]
    years, texts = zip(*(line.split("\t") for line in lines))
    return np.array(texts, dtype=object), np.array([int(year) >= 1933 for year in years], "float32")


def make_model(texts):
    vectorize = layers.TextVectorization(max_tokens=5000, ngrams=2, output_mode="tf_idf")
    vectorize.adapt(texts)
    model = keras.Sequential(
        [
            keras.Input((), dtype="string"),
            vectorize,
            layers.Dropout(0.5),
            layers.Dense(32, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
    return model


def main(file="speeches.keras"):
    keras.utils.set_random_seed(0)
    texts, late = sentences()
    model = make_model(texts[:1600])
    model.fit(texts[:1600], late[:1600], epochs=10, verbose=2)
    _, accuracy = model.evaluate(texts[1600:], late[1600:], verbose=0)
    print(f"{accuracy:.1%} of held-out sentences are put on the right side of 1933")
    model.save(file)
    return model, accuracy


if __name__ == "__main__":
    if len(sys.argv) > 2:
        loaded = keras.saving.load_model(sys.argv[1])
        for chance in loaded.predict(np.array(sys.argv[2:], dtype=object), verbose=0)[:, 0]:
            print(repr(float(chance)))
    else:
        main()
