"""Layers that number the words, or integers, of a vocabulary."""

import numpy as np

from ..core import dtypes
from ..core.messages import expected, one_of, shown
from ._values import to_bytes, to_text, whole_numbers
from ._vocabulary import IndexLookup


class StringLookup(IndexLookup):
    """Numbers the words of a vocabulary, which is given or learned from data by `adapt`.

    With `output_mode="int"`, number 0 is the mask token's (if there is one), then come
    `num_oov_indices` numbers of unknown tokens, then those of the vocabulary. Missing values
    (`None`, NaN) are taken for the mask token, or for an unknown one if there is none.

    Args:
        max_tokens: largest size of the vocabulary, the special tokens included.
        num_oov_indices: how many numbers unknown tokens share, by a hash; with 0 they are an error.
        mask_token: the token that means "nothing".
        oov_token: what unknown tokens become with `invert=True`.
        vocabulary: list or array of tokens, or the path of a text file with one in each line.
        idf_weights: with `output_mode="tf_idf"`, a weight for each token of `vocabulary`.
        invert: whether to do the opposite: numbers to strings.
        output_mode: `"int"` for numbers. `"one_hot"`, `"multi_hot"`, `"count"` for vectors as
            `CategoryEncoding` makes them, `"tf_idf"` for counts times weights.
        pad_to_max_tokens: whether vectors have size `max_tokens` with a smaller vocabulary, too.
        sparse: must be `False`.
        encoding: that of `bytes` among the inputs and of a vocabulary file.
        salt: an int or two, the key of another hash for unknown tokens.

    Inputs: strings (`str` or `bytes`) of any shape, or lists of different lengths.

    Example:

    >>> layer = keras.layers.StringLookup(vocabulary=["a", "b", "c"])
    >>> layer([["a", "c"], ["z", "b"]]).tolist()
    [[1, 3], [0, 2]]
    >>> learned = keras.layers.StringLookup()
    >>> learned.adapt(["b", "a", "b"])
    >>> learned.get_vocabulary()
    ['[UNK]', 'b', 'a']
    >>> keras.layers.StringLookup(vocabulary=["a", "b"], invert=True)([1, 2, 0]).tolist()
    ['a', 'b', '[UNK]']
    """

    def __init__(
        self,
        max_tokens=None,
        num_oov_indices=1,
        mask_token=None,
        oov_token="[UNK]",
        vocabulary=None,
        idf_weights=None,
        invert=False,
        output_mode="int",
        pad_to_max_tokens=False,
        sparse=False,
        encoding="utf-8",
        name=None,
        salt=None,
        **kwargs,
    ):
        super().__init__(name=name, **kwargs)
        self.encoding = encoding
        self._set_up(
            max_tokens,
            num_oov_indices,
            mask_token,
            oov_token,
            vocabulary,
            idf_weights,
            invert,
            output_mode,
            pad_to_max_tokens,
            sparse,
            salt,
        )

    def _standard(self, tokens):
        return to_bytes(tokens, f"{type(self).__name__} '{self.name}'", self.encoding)

    def _plain(self, token):
        return to_text(token)

    def _plain_line(self, line):
        return to_text(line)

    def as_arrow(self, pa):
        """The tokens, each with a space after it, as an array of pyarrow's."""
        if self._held.arrow is None:
            self._held.arrow = pa.array([token + b" " for token in self._held.tokens], pa.binary())
        return self._held.arrow

    def _read_lines(self, path):
        lines = super()._read_lines(path)
        if self.encoding == "utf-8":
            return lines
        return [line.encode("utf-8", "surrogateescape").decode(self.encoding) for line in lines]

    def _as_string(self, key):
        return key

    def _hashable(self, flat):
        if not dtypes.is_text(flat):
            raise TypeError(
                expected(
                    f"The inputs of '{self.path}' (StringLookup)",
                    "strings",
                    flat,
                    "For integers there is IntegerLookup.",
                )
            )
        return self._standard(flat.tolist())

    def _inverted(self, inputs):
        positions, inside, mask = self._known_positions(inputs)
        words = np.array([*self.get_vocabulary(False), self.oov_token, self.mask_token], object)
        positions = np.where(inside, positions, np.where(mask, len(words) - 1, len(words) - 2))
        return words[positions].reshape(inputs.shape)


class IntegerLookup(IndexLookup):
    """Numbers the integers of a vocabulary, which is given or learned from data by `adapt`.

    With `output_mode="int"`, number 0 is the mask token's (if there is one), then come
    `num_oov_indices` numbers of unknown integers, then those of the vocabulary. Missing values
    (`None`, NaN) are taken for the mask token, or for an unknown one if there is none. All 64 bits
    of an integer count; floats must be whole numbers.

    Args:
        max_tokens: largest size of the vocabulary, the special tokens included.
        num_oov_indices: how many numbers unknown integers share; with 0 they are an error.
        mask_token: the integer that means "nothing".
        oov_token: what unknown integers become with `invert=True`.
        vocabulary: list or array of integers, or the path of a text file with one in each line.
        vocabulary_dtype: must be `"int64"`.
        idf_weights: with `output_mode="tf_idf"`, a weight for each integer of `vocabulary`.
        invert: whether to do the opposite: numbers to integers.
        output_mode: `"int"` for numbers. `"one_hot"`, `"multi_hot"`, `"count"` for vectors as
            `CategoryEncoding` makes them, `"tf_idf"` for counts times weights.
        sparse: must be `False`.
        pad_to_max_tokens: whether vectors have size `max_tokens` with a smaller vocabulary, too.
        oov_method: how unknown integers share their numbers: `"floormod"`, by the remainder, or
            `"farmhash"`, by a hash.
        salt: an int or two, the key of another hash.

    Inputs: whole numbers of any shape, or lists of different lengths.

    Example:

    >>> layer = keras.layers.IntegerLookup(vocabulary=[12, 36, 1138])
    >>> layer([[12, 1138], [7, 36]]).tolist()
    [[1, 3], [0, 2]]
    """

    _token_dtype = "int64"

    def __init__(
        self,
        max_tokens=None,
        num_oov_indices=1,
        mask_token=None,
        oov_token=-1,
        vocabulary=None,
        vocabulary_dtype="int64",
        idf_weights=None,
        invert=False,
        output_mode="int",
        sparse=False,
        pad_to_max_tokens=False,
        oov_method="floormod",
        salt=None,
        name=None,
        **kwargs,
    ):
        super().__init__(name=name, **kwargs)
        one_of("IntegerLookup's vocabulary_dtype", vocabulary_dtype, ("int64",))
        one_of("IntegerLookup's oov_method", oov_method, ("floormod", "farmhash"))
        if salt is not None and oov_method != "farmhash":
            raise ValueError(
                f"IntegerLookup: a salt needs oov_method='farmhash'; received {oov_method!r}."
            )
        self.vocabulary_dtype = vocabulary_dtype
        self.oov_method = oov_method
        self._set_up(
            max_tokens,
            num_oov_indices,
            mask_token,
            oov_token,
            vocabulary,
            idf_weights,
            invert,
            output_mode,
            pad_to_max_tokens,
            sparse,
            salt,
        )

    def _standard(self, tokens):
        owner = f"{type(self).__name__} '{self.name}'"
        numbers, missing = whole_numbers(np.array(tokens, object), owner)
        if missing.any():
            raise ValueError(f"{owner}: the vocabulary holds a missing value.")
        return numbers

    def _plain(self, token):
        return token

    def _plain_line(self, line):
        try:
            return int(line)
        except ValueError:
            raise ValueError(
                f"{type(self).__name__}: a vocabulary file has an integer in each line; this one "
                f"has {shown(to_text(line))}."
            ) from None

    def _has_duplicates(self, standard):
        return len(np.unique(standard)) < len(standard)

    def _kept(self, tokens):
        return np.array(tokens, np.int64)

    def _hashable(self, flat):
        numbers, missing = whole_numbers(flat, f"The inputs of '{self.path}' (IntegerLookup)")
        keys = numbers.tolist()
        for i in np.flatnonzero(missing).tolist():
            keys[i] = None
        return keys

    def _unknown_bins(self, keys):
        if self.oov_method == "floormod":
            return np.array([0 if key is None else key for key in keys], np.int64)
        return super()._unknown_bins(keys).astype(np.uint64)

    def _as_string(self, key):
        return b"%d" % key

    def _inverted(self, inputs):
        positions, inside, mask = self._known_positions(inputs)
        others = np.where(mask, self.mask_token or 0, self.oov_token)
        return np.where(inside, self._held.tokens[positions], others).reshape(inputs.shape)
