"""Layers that number categories by a hash, so that no vocabulary is needed."""

import numpy as np

from ..core import dtypes
from ..core.messages import expected
from ._arguments import positive_int
from ._encoding import MODES, check_output, device_name, encode, encoded_shape
from ._hashes import check_salt, crossed, fingerprint, keyed
from ._host import HostLayer
from ._values import to_bytes, whole_numbers


class _HashLayer(HostLayer):
    """What both layers share: bins, output modes, and a dtype that fits them."""

    def _set_up(self, num_bins, output_mode, sparse, modes):
        owner = type(self).__name__
        self.num_bins = positive_int(f"{owner}'s num_bins", num_bins)
        check_output(owner, output_mode, sparse, modes)
        if output_mode == "int" and not self.compute_dtype.startswith(("int", "uint")):
            raise ValueError(
                expected(
                    f"{owner}'s dtype",
                    "an integer type with output_mode='int'",
                    self.compute_dtype,
                )
            )
        self.output_mode = output_mode
        self.sparse = sparse

    def _outputs(self, bins):
        if self.output_mode != "int":
            bins = encode(bins, self.num_bins, self.output_mode)
        return bins.astype(device_name(self.compute_dtype))

    def _spec(self, shape):
        if self.output_mode != "int":
            shape = encoded_shape(shape, self.num_bins, self.output_mode)
        return shape, device_name(self.compute_dtype)


def _dtype(dtype, output_mode):
    return "int32" if dtype is None and output_mode == "int" else dtype


class Hashing(_HashLayer):
    """Numbers categories from `0` to `num_bins - 1` by a hash: equal ones get equal numbers.

    Integers are hashed as their decimal digits. Numbers are those of Keras on TensorFlow.

    Args:
        num_bins: number of bins.
        mask_value: a category that gets bin 0 for itself. Missing values (`None`, NaN) get it,
            too; without a `mask_value` they are hashed as `""`.
        salt: an int or two, the key of another hash (SipHash), so that different layers let
            different categories collide; by default the hash is FarmHash's.
        output_mode: `"int"`, or `"one_hot"`, `"multi_hot"`, `"count"` for vectors as
            `CategoryEncoding` makes them.
        sparse: must be `False`.

    Inputs: strings or whole numbers.

    Example:

    >>> keras.layers.Hashing(3)([["A"], ["B"], ["C"], ["D"], ["E"]]).tolist()
    [[1], [0], [1], [1], [2]]
    """

    def __init__(
        self,
        num_bins,
        mask_value=None,
        salt=None,
        output_mode="int",
        sparse=False,
        **kwargs,
    ):
        kwargs["dtype"] = _dtype(kwargs.get("dtype"), output_mode)
        super().__init__(**kwargs)
        self._set_up(num_bins, output_mode, sparse, ("int", *MODES))
        self.mask_value = mask_value
        self.salt = check_salt("Hashing", salt)

    def call(self, inputs):
        categories, mask_value = _categories(self, inputs), self.mask_value
        if mask_value is not None:
            mask_value = _categories(self, np.array(mask_value, object))[0]
        numbers = self._hashed(dict.fromkeys(categories), mask_value)
        bins = np.fromiter(map(numbers.__getitem__, categories), np.int64, len(categories))
        return self._outputs(bins.reshape(inputs.shape))

    def _hashed(self, distinct, mask_value):
        """`{category: bin}`."""
        strings = [b"" if category is None else category for category in distinct]
        hashes = fingerprint(strings) if self.salt is None else keyed(strings, self.salt)
        masks = mask_value is not None and self.num_bins > 1
        bins = hashes % np.uint64(self.num_bins - masks) + np.uint64(masks)
        numbers = dict(zip(distinct, bins.tolist()))
        if mask_value is not None:
            numbers[mask_value] = numbers[None] = 0
        return numbers

    def output_spec(self, inputs):
        return self._spec(inputs.shape)


class HashedCrossing(_HashLayer):
    """Numbers combinations of categories by a hash of them together.

    Numbers are those of Keras on TensorFlow.

    Args:
        num_bins: number of bins.
        output_mode: `"int"`, or `"one_hot"` for vectors.
        sparse: must be `False`.

    Inputs: a list or tuple of features, strings or integers, all of shape `()`, `(batch,)` or
    `(batch, 1)`.

    Example:

    >>> layer = keras.layers.HashedCrossing(5)
    >>> layer((np.array(["A", "B", "A", "B", "A"]), np.array([101, 101, 101, 102, 102]))).tolist()
    [1, 4, 1, 1, 3]
    """

    _several = True

    def __init__(
        self,
        num_bins,
        output_mode="int",
        sparse=False,
        name=None,
        dtype=None,
        **kwargs,
    ):
        super().__init__(name=name, dtype=_dtype(dtype, output_mode), **kwargs)
        self._set_up(num_bins, output_mode, sparse, ("int", "one_hot"))

    def call(self, inputs):
        self._check([x.shape for x in inputs] if isinstance(inputs, (list, tuple)) else inputs)
        hashes = [self._feature(x) for x in inputs]
        bins = crossed(hashes) % np.uint64(self.num_bins)
        return self._outputs(bins.astype(np.int64).reshape(inputs[0].shape))

    def _feature(self, array):
        """The hash of a string, or an integer itself."""
        if array.dtype.kind in "iub":
            return array.reshape(-1).astype(np.int64).astype(np.uint64)
        if not dtypes.is_text(array):
            raise TypeError(expected(f"The inputs of '{self.path}'", "strings or integers", array))
        categories = _categories(self, array)
        distinct = list(dict.fromkeys(categories))
        hashes = fingerprint([b"" if category is None else category for category in distinct])
        number = dict(zip(distinct, range(len(distinct))))
        return hashes[[number[category] for category in categories]]

    def _check(self, shapes):
        if not isinstance(shapes, list) or len(shapes) < 2:
            raise ValueError(
                expected(f"The inputs of '{self.path}'", "a list of two features or more", shapes)
            )
        if (
            len({len(s) for s in shapes}) > 1
            or len(shapes[0]) > 2
            or shapes[0][1:] not in ((), (1,))
        ):
            raise ValueError(
                expected(
                    f"The inputs of '{self.path}'",
                    "all of shape (), (batch,) or (batch, 1)",
                    shapes,
                )
            )
        if len({s for s in shapes if None not in s}) > 1:
            raise ValueError(expected(f"The inputs of '{self.path}'", "all of one shape", shapes))

    def get_config(self):
        return {**super().get_config(), "dtype": self.dtype_policy.name}

    def output_spec(self, inputs):
        shapes = [x.shape for x in inputs] if isinstance(inputs, (list, tuple)) else inputs
        self._check(shapes)
        return self._spec(shapes[0])


def _categories(layer, array):
    """A flat list of bytes, missing ones as `None`; numbers as their digits."""
    values = array.reshape(-1)
    if array.dtype.kind == "b":
        return [b"true" if value else b"false" for value in values.tolist()]
    if dtypes.is_text(array):
        digits = [b"%d" % x if isinstance(x, (int, np.integer)) else x for x in values.tolist()]
        return to_bytes(digits, f"Layer '{layer.path}'")
    numbers, missing = whole_numbers(values, f"Layer '{layer.path}'")
    categories = [b"%d" % number for number in numbers.tolist()]
    for i in np.flatnonzero(missing):
        categories[i] = None
    return categories
