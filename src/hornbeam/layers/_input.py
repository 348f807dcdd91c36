"""Where a model begins: `Input` and the layer behind it."""

from ..core import dtypes
from ..core.messages import expected
from ..core.symbolic import KerasTensor, Node, copy_spec, standardize_shape
from ._base import Layer


class InputLayer(Layer):
    """A placeholder for data that a model takes; `keras.Input` makes one and returns its tensor.

    Args:
        shape: tuple of ints and `None`, without the batch.
        batch_size: size of the batch, if it is fixed.
        dtype: number type of the data, or `"string"`.
        sparse, ragged: must not be `True`: XLA has dense arrays only.
        batch_shape: shape with the batch, in the place of `shape` and `batch_size`.
        input_tensor: a `KerasTensor` to use in the place of a new one.
        optional: whether the model may be called with `None` for it.
        name: name of the layer and of its tensor.

    Raises:
        ValueError: if the shape is missing or given twice.

    Example:

    >>> keras.layers.InputLayer((3,), name="features").output
    <KerasTensor shape=(None, 3), dtype=float32, sparse=False, ragged=False, name=features>
    """

    def __init__(
        self,
        shape=None,
        batch_size=None,
        dtype=None,
        sparse=None,
        ragged=None,
        batch_shape=None,
        input_tensor=None,
        optional=False,
        name=None,
        **kwargs,
    ):
        super().__init__(name=name, **kwargs)
        if input_tensor is not None:
            tensor = self._standardize_tensor(input_tensor, dtype)
        else:
            shape = _batch_shape(self.name, shape, batch_size, batch_shape)
            tensor = KerasTensor(shape, dtype, sparse, ragged, name=self.name)
        self.sparse, self.ragged = False, False
        self.optional = bool(optional)
        self._batch_shape, self._input_dtype = tensor.shape, tensor.dtype
        self._inbound_nodes.append(Node(self, outputs=[tensor]))
        self.built = True

    def _standardize_tensor(self, tensor, dtype):
        if not isinstance(tensor, KerasTensor):
            raise ValueError(expected(f"Input '{self.name}': tensor", "a KerasTensor", tensor))
        if dtype is not None and dtypes.standardize_dtype(dtype) != tensor.dtype:
            raise ValueError(
                f"Input '{self.name}': dtype={dtype!r} contradicts the tensor's, {tensor.dtype}."
            )
        # A tensor that a layer made keeps its place in that graph.
        return tensor if tensor.node is None else copy_spec(tensor)

    @property
    def batch_shape(self):
        """The shape of the data, with the batch."""
        return self._batch_shape

    @property
    def dtype(self):
        """The number type of the data."""
        return self._input_dtype

    def call(self):
        """Not for calling: an input has no calculation."""
        raise NotImplementedError(
            f"Input '{self.name}' stands for data and computes nothing. Call the model that "
            "begins with it."
        )

    def get_config(self):
        return {
            "batch_shape": self.batch_shape,
            "dtype": self.dtype,
            "sparse": self.sparse,
            "ragged": self.ragged,
            "name": self.name,
            "optional": self.optional,
        }


def _batch_shape(name, shape, batch_size, batch_shape):
    if batch_shape is not None:
        for argument, value in (("shape", shape), ("batch_size", batch_size)):
            if value is not None:
                raise ValueError(
                    f"Input '{name}' takes batch_shape or {argument}, not both; received "
                    f"batch_shape={batch_shape!r} and {argument}={value!r}."
                )
        return batch_shape
    if shape is None:
        raise ValueError(
            f"Input '{name}' needs a shape, without the batch: `Input((3,))` takes rows of 3 "
            "numbers, `Input(())` takes one number for each example."
        )
    if not isinstance(shape, (list, tuple)):
        raise ValueError(
            expected(f"Input '{name}': shape", "a tuple of ints and None", shape, "Write (3,).")
        )
    return (batch_size, *standardize_shape(shape))


def Input(
    shape=None,
    batch_size=None,
    dtype=None,
    sparse=None,
    ragged=None,
    batch_shape=None,
    name=None,
    tensor=None,
    optional=False,
):
    """A symbolic tensor that stands for an input of a model.

    Args:
        shape: tuple of ints and `None` (any size), without the batch.
        batch_size: size of the batch, if it is fixed.
        dtype: number type of the data, by default the default float type.
        sparse, ragged: must not be `True`: XLA has dense arrays only.
        batch_shape: shape with the batch, in the place of `shape` and `batch_size`.
        name: name of the input, for feeding data as a dict.
        tensor: a `KerasTensor` to use in the place of a new one.
        optional: whether the model may be called with `None` for it.

    Example:

    >>> x = keras.Input((32,))
    >>> keras.layers.Dense(16)(x).shape
    (None, 16)
    """
    layer = InputLayer(
        shape, batch_size, dtype, sparse, ragged, batch_shape, tensor, optional, name
    )
    return layer.output
