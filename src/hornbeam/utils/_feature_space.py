"""`FeatureSpace`: columns of a table to one vector."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import saving
from ..core import objects
from ..core.loading import check_tensor
from ..core.messages import did_you_mean, expected, one_of
from ..core.naming import auto_name
from ..core.symbolic import any_symbolic
from ..data import host_tables, to_host
from ..layers import (
    CategoryEncoding,
    Concatenate,
    Discretization,
    HashedCrossing,
    Hashing,
    Identity,
    Input,
    IntegerLookup,
    Layer,
    Normalization,
    Rescaling,
    StringLookup,
)
from ..layers._host import Adapted
from ..models._functional import Function, GraphLayer

_HOME = "keras.src.layers.preprocessing.feature_space"  # as files by Keras have it


class Feature(objects.Configurable):
    """A column of a table, and what becomes of it.

    Args:
        dtype: the column's dtype, `"string"`, an integer or a float type.
        preprocessor: a layer, or what one is serialized to.
        output_mode: `"float"` for the layer's result as it is, `"int"` for category numbers,
            `"one_hot"` to make vectors of these.
    """

    def __init__(self, dtype, preprocessor, output_mode):
        one_of("A feature's output_mode", output_mode, ("int", "one_hot", "float"))
        if isinstance(preprocessor, dict):
            preprocessor = objects.deserialize(preprocessor)
        if not isinstance(preprocessor, Layer):
            raise ValueError(expected("A feature's preprocessor", "a layer", preprocessor))
        self.dtype = dtype
        self.preprocessor = preprocessor
        self.output_mode = output_mode


class Cross(objects.Configurable):
    """Columns whose combinations are categories of their own.

    Args:
        feature_names: the columns.
        crossing_dim: number of bins that combinations are hashed to.
        output_mode: `"int"`, or `"one_hot"` for vectors.
    """

    def __init__(self, feature_names, crossing_dim, output_mode="one_hot"):
        one_of("A cross's output_mode", output_mode, ("int", "one_hot"))
        self.feature_names = tuple(feature_names)
        self.crossing_dim = crossing_dim
        self.output_mode = output_mode

    @property
    def name(self):
        """The columns' names, joined."""
        return "_X_".join(self.feature_names)


class FeatureSpace(GraphLayer):
    """Turns columns of numbers and categories into vectors: a table becomes the input of a model.

    `adapt` learns means, vocabularies and boundaries from data. Then the space can be called on
    columns, in a data pipeline or in front of a model, or be a part of a model: the functional
    model from `get_inputs()` to layers on `get_encoded_features()` takes raw columns, and its file
    holds everything that was learned.

    Args:
        features: dict from the columns' names to what becomes of each: what one of the methods
            below returns, or the name of a method, such as `"float_normalized"`.
        output_mode: `"concat"` for one vector, of the columns and then of the crosses, each in
            the order of their names, or `"dict"` for one for each.
        crosses: list of tuples of columns' names whose combinations are features, too, or of
            `FeatureSpace.cross(...)`.
        crossing_dim: number of bins for crosses that are given as tuples.
        hashing_dim: number of bins for `"string_hashed"` and `"integer_hashed"`.
        num_discretization_bins: number of bins for `"float_discretized"`.
        name: name.

    Example:

    >>> table = {"age": np.array([20.0, 30.0, 40.0]), "town": np.array(["Ulm", "Bonn", "Ulm"])}
    >>> space = keras.utils.FeatureSpace(
    ...     {"age": "float_normalized", "town": "string_categorical"}, output_mode="concat"
    ... )
    >>> space.adapt(table)
    >>> space(table)
    Array([[-1.2247449,  0.       ,  1.       ,  0.       ],
           [ 0.       ,  0.       ,  0.       ,  1.       ],
           [ 1.2247449,  0.       ,  1.       ,  0.       ]], dtype=float32)
    >>> outputs = keras.layers.Dense(1)(space.get_encoded_features())
    >>> model = keras.Model(space.get_inputs(), outputs)
    >>> model.predict(table, verbose=0).shape
    (3, 1)
    """

    def __init__(
        self,
        features,
        output_mode="concat",
        crosses=None,
        crossing_dim=32,
        hashing_dim=32,
        num_discretization_bins=32,
        name=None,
    ):
        if not isinstance(features, Mapping) or not features:
            wanted = "a dict from names of columns to features"
            raise ValueError(expected("FeatureSpace's features", wanted, features))
        one_of("FeatureSpace's output_mode", output_mode, ("concat", "dict"))
        super().__init__(name=name)
        self.crossing_dim = crossing_dim
        self.hashing_dim = hashing_dim
        self.num_discretization_bins = num_discretization_bins
        self.output_mode = output_mode
        self.features = {key: self._feature(key, value) for key, value in features.items()}
        self.crosses = [self._cross(cross) for cross in crosses or []]
        for key in (name for cross in self.crosses for name in cross.feature_names):
            if key not in self.features:
                raise ValueError(
                    f"FeatureSpace: a cross is of {key!r}, which is not among the features. "
                    + did_you_mean(key, self.features)
                )
        self.preprocessors = {key: f.preprocessor for key, f in self.features.items()}
        self.crossers = {
            cross.name: HashedCrossing(cross.crossing_dim, name=cross.name)
            for cross in self.crosses
        }
        # The vectors are made later, when all is known.
        hashes = [*self.preprocessors.values(), *self.crossers.values()]
        check_tensor((sum(getattr(x, "num_bins", None) or 0 for x in hashes),))
        self.one_hot_encoders: dict[str, Layer] = {}
        self._inputs = {
            key: Input((1,), dtype=feature.dtype, name=key)
            for key, feature in self.features.items()
        }
        self._adapted = not any(isinstance(p, Adapted) for p in self.preprocessors.values())
        self._made = None  # the graph, once it is known

    # Features -----------------------------------------------------------------------------------

    @classmethod
    def cross(cls, feature_names, crossing_dim, output_mode="one_hot"):
        """The combinations of columns, hashed to `crossing_dim` bins."""
        return Cross(feature_names, crossing_dim, output_mode)

    @classmethod
    def feature(cls, dtype, preprocessor, output_mode):
        """A column of any dtype with any layer; see `Feature`."""
        return Feature(dtype, preprocessor, output_mode)

    @classmethod
    def float(cls, name=None):
        """Numbers, as they are."""
        return Feature("float32", Identity(name=_named(name, "float")), "float")

    @classmethod
    def float_rescaled(cls, scale=1.0, offset=0.0, name=None):
        """Numbers, times `scale` plus `offset`."""
        layer = Rescaling(scale, offset, name=_named(name, "float_rescaled"))
        return Feature("float32", layer, "float")

    @classmethod
    def float_normalized(cls, name=None):
        """Numbers, shifted and scaled to mean 0 and variance 1."""
        return Feature("float32", Normalization(name=_named(name, "float_normalized")), "float")

    @classmethod
    def float_discretized(cls, num_bins, bin_boundaries=None, output_mode="one_hot", name=None):
        """The bins that numbers fall into; `adapt` finds boundaries if none are given."""
        layer = Discretization(
            bin_boundaries,
            num_bins if bin_boundaries is None else None,
            name=_named(name, "float_discretized"),
        )
        return Feature("float32", layer, output_mode)

    @classmethod
    def integer_categorical(
        cls, max_tokens=None, num_oov_indices=1, output_mode="one_hot", name=None
    ):
        """Integers as categories, numbered by a vocabulary that `adapt` learns."""
        name = _named(name, "integer_categorical")
        layer = IntegerLookup(max_tokens, num_oov_indices, name=name)
        return Feature("int32", layer, output_mode)

    @classmethod
    def string_categorical(
        cls, max_tokens=None, num_oov_indices=1, output_mode="one_hot", name=None
    ):
        """Strings as categories, numbered by a vocabulary that `adapt` learns."""
        name = _named(name, "string_categorical")
        layer = StringLookup(max_tokens, num_oov_indices, name=name)
        return Feature("string", layer, output_mode)

    @classmethod
    def string_hashed(cls, num_bins, output_mode="one_hot", name=None):
        """Strings as categories, numbered by a hash."""
        layer = Hashing(num_bins, name=_named(name, "string_hashed"))
        return Feature("string", layer, output_mode)

    @classmethod
    def integer_hashed(cls, num_bins, output_mode="one_hot", name=None):
        """Integers as categories, numbered by a hash."""
        layer = Hashing(num_bins, name=_named(name, "integer_hashed"))
        return Feature("int32", layer, output_mode)

    def _feature(self, key, value):
        if isinstance(value, Feature):
            return value
        if isinstance(value, dict):
            return objects.deserialize(value)
        options = {
            "float": {},
            "float_rescaled": {},
            "float_normalized": {},
            "float_discretized": {"num_bins": self.num_discretization_bins},
            "integer_categorical": {},
            "string_categorical": {},
            "string_hashed": {"num_bins": self.hashing_dim},
            "integer_hashed": {"num_bins": self.hashing_dim},
        }
        one_of(f"Feature {key!r}", value, tuple(options))
        return getattr(self, value)(**options[value], name=key)

    def _cross(self, value):
        if isinstance(value, dict):
            return objects.deserialize(value)
        return value if isinstance(value, Cross) else Cross(value, self.crossing_dim)

    # Learning -----------------------------------------------------------------------------------

    def adapt(self, dataset):
        """Learn what the features' layers need to know, in one pass over the data.

        Args:
            dataset: a dict of columns, a table, or anything that yields dicts of columns, or pairs
                of which the first is one.

        Raises:
            ValueError: if a column is missing, or there is no data; nothing is changed then.
        """
        learners: dict[str, Any] = {
            key: p for key, p in self.preprocessors.items() if isinstance(p, Adapted)
        }
        known = {key: layer.start() for key, layer in learners.items()}
        for table in host_tables(dataset):
            for key, layer in learners.items():
                if key not in table:
                    raise ValueError(
                        f"FeatureSpace '{self.name}': the data lacks the column {key!r}. "
                        + did_you_mean(key, table)
                    )
                known[key] = layer.look(known[key], _columnar(table[key]))
        for key, layer in learners.items():
            layer.finish(known[key])
        self.one_hot_encoders.clear()  # vocabularies have other sizes now
        self._adapted, self._made = True, None

    # The graph ----------------------------------------------------------------------------------

    def get_inputs(self):
        """A dict of the symbolic inputs, one for each column."""
        self._graph("inputs")
        return self._inputs

    def get_encoded_features(self):
        """The symbolic result for `get_inputs()`."""
        return self._graph("encoded features")._outputs_struct

    @property
    def _function(self):
        if self._made is None and self._adapted:
            self._made = Function(self._inputs, self._encoded(), name=self.name)
            vars(self)["built"] = True
        return self._made

    def _graph(self, what):
        if self._function is None:
            raise ValueError(
                f"FeatureSpace '{self.name}' has no {what} yet: its features depend on data. Call "
                "`adapt(data)` first."
            )
        return self._function

    def _encoded(self):
        numbers = {key: self.preprocessors[key](x) for key, x in self._inputs.items()}
        parts = {key: self._part(key, numbers[key], f) for key, f in sorted(self.features.items())}
        for cross in sorted(self.crosses, key=lambda cross: cross.name):
            crossed = self.crossers[cross.name]([numbers[key] for key in cross.feature_names])
            parts[cross.name] = self._part(cross.name, crossed, cross)
        if self.output_mode == "dict":
            return parts
        whole = [key for key, x in parts.items() if x.dtype != self.compute_dtype]
        if whole:
            raise ValueError(
                f"FeatureSpace '{self.name}': {', '.join(map(repr, whole))} can't be part of one "
                "vector, as category numbers: give the features output_mode='one_hot', or the "
                "space output_mode='dict'."
            )
        return Concatenate(axis=-1)(list(parts.values())) if len(parts) > 1 else parts.popitem()[1]

    def _part(self, key, x, feature):
        if feature.output_mode != "one_hot":
            return x
        if key not in self.one_hot_encoders:
            layer = self.crossers.get(key) or self.preprocessors[key]
            self.one_hot_encoders[key] = CategoryEncoding(_cardinality(key, layer), "multi_hot")
        return self.one_hot_encoders[key](x)

    def call(self, data):
        return self._graph("encoded features").call(data)

    def __call__(self, data):
        """The vectors for a dict of columns, or for one row: a dict of single values."""
        self._graph("encoded features")
        if any_symbolic([data]):
            return super().__call__(data)
        data = self._host_inputs(data)
        if not isinstance(data, dict) or any(np.ndim(x) for x in data.values()):
            return super().__call__(data)
        rows = super().__call__({key: x.reshape(1, 1) for key, x in data.items()})
        return {k: x[0] for k, x in rows.items()} if isinstance(rows, dict) else rows[0]

    # Description and files ----------------------------------------------------------------------

    def get_config(self):
        return {
            "features": {key: objects.serialize(f) for key, f in self.features.items()},
            "output_mode": self.output_mode,
            "crosses": [objects.serialize(cross) for cross in self.crosses],
            "crossing_dim": self.crossing_dim,
            "hashing_dim": self.hashing_dim,
            "num_discretization_bins": self.num_discretization_bins,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """A space made from what `get_config` returned."""
        with objects.CustomObjectScope(custom_objects):
            return cls(**config)

    def get_build_config(self):
        return {key: p.get_build_config() or {} for key, p in self.preprocessors.items()}

    def build_from_config(self, config):
        """Get ready for what was learned, to be read from a file."""
        for key, layer in self.preprocessors.items():
            layer.build_from_config(config.get(key) or {})
        self._adapted = True

    def save(self, filepath):
        """Write the space, and what it has learned, to a `.keras` file."""
        saving.save_model(self, filepath)


def _named(name, kind):
    return f"{name or auto_name(kind)}_preprocessor"


def _columnar(column):
    """A column as the layers of the graph see it: `(rows, 1)`."""
    column = to_host(column)
    return column.reshape(-1, 1) if column.ndim < 2 else column


def _cardinality(key, layer):
    """How many categories a layer numbers."""
    if isinstance(layer, Discretization):
        return len(layer.bin_boundaries or ()) + 1
    if hasattr(layer, "vocabulary_size"):
        return layer.vocabulary_size()
    if hasattr(layer, "num_bins"):
        return layer.num_bins
    raise ValueError(
        f"Feature {key!r}: nobody knows how many categories {type(layer).__name__} numbers. Give "
        "it output_mode='one_hot' itself, and the feature output_mode='float'."
    )


objects.publish(
    _HOME,
    {"Feature": Feature, "Cross": Cross, "TFDIdentity": Identity, "TFDConcat": Concatenate},
    ["Feature", "Cross"],
    aliases={"TFDIdentity": Identity, "TFDConcat": Concatenate},
)
