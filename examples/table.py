"""A raw table into a model: how many miles does a car of the 1970s go on a gallon?

The 406 cars (StatLib, 1983) are numbers, categories and names, some of them missing. What the
model learned about columns (means, vocabularies) is part of its file.

    python examples/table.py              train, save, predict
    python examples/table.py FILE TABLE   load the file, predict for the cars in a CSV file
"""

import pathlib
import sys

import pandas as pd

import hornbeam as keras
from hornbeam import layers, ops

DATA = pathlib.Path(__file__).parent / "data" / "cars.csv"


def cars():
    table = pd.read_csv(DATA).sample(frac=1, random_state=0)
    table = table[table["mpg"].notna()]  # the target; other columns may lack values
    return table.iloc[:320], table.iloc[320:]


def make_model(table):
    feature = keras.utils.FeatureSpace
    words = layers.TextVectorization(max_tokens=50, output_mode="multi_hot")
    columns = feature(
        {
            "weight": "float_normalized",
            "horsepower": "float_normalized",
            "displacement": "float_normalized",
            "year": "float_normalized",
            "cylinders": "integer_categorical",
            "origin": "string_categorical",
            "name": feature.feature("string", words, "float"),
        },
        crosses=[feature.cross(("cylinders", "origin"), crossing_dim=16)],
    )
    columns.adapt(table)
    x = columns.get_encoded_features()
    x = ops.where(ops.isnan(x), 0.0, x)  # a missing number is an average one
    x = layers.Dense(32, activation="relu")(x)
    model = keras.Model(columns.get_inputs(), layers.Dense(1)(layers.Dropout(0.2)(x)))
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="mse", metrics=["mae"])
    return model


def main(file="cars.keras"):
    keras.utils.set_random_seed(0)
    train, test = cars()
    model = make_model(train)
    model.fit(train, "mpg", epochs=60, verbose=0)
    _, error = model.evaluate(test, "mpg", verbose=0)
    print(f"held-out cars are off by {error:.1f} miles per gallon on average")
    model.save(file)
    return model, error


if __name__ == "__main__":
    if len(sys.argv) > 2:
        loaded = keras.saving.load_model(sys.argv[1])
        for miles in loaded.predict(pd.read_csv(sys.argv[2]), verbose=0)[:, 0]:
            print(repr(float(miles)))
    else:
        main()
