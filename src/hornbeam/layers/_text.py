"""`TextVectorization`: raw text to numbers of its words."""

import math

import numpy as np

from ..core import dtypes
from ..core.loading import count_calls
from ..core.messages import expected, one_of
from ._arguments import positive_int
from ._encoding import device_name
from ._lookup import StringLookup
from ._tokens import STANDARDIZE, Tokenizer
from ._values import is_ragged, joined_rows, padded_rows, split_rows
from ._vocabulary import HasVocabulary

_MODES = ("int", "multi_hot", "count", "tf_idf")


class TextVectorization(HasVocabulary):
    """Turns each text into numbers of its words, or a vector that says which words are in it.

    A text is standardized, split into tokens, and these are joined to n-grams, if any are asked
    for. Tokens get the numbers of a `StringLookup`, whose vocabulary is given or learned from data
    by `adapt`: 0 fills up rows, 1 stands for all unknown tokens. Missing texts (`None`, NaN) are
    empty ones.

    Args:
        max_tokens: largest size of the vocabulary, the special tokens included.
        standardize: `"lower_and_strip_punctuation"`, `"lower"`, `"strip_punctuation"` (both change
            ASCII characters only), a function from a `str` to a `str`, or `None`.
        split: `"whitespace"` (ASCII's), `"character"`, a function from a `str` to a list of `str`,
            or `None`: then each string is a token, and rows of strings are texts.
        ngrams: an int, for all n-grams of up to so many tokens, or a tuple of sizes.
        output_mode: `"int"` for numbers. `"multi_hot"` or `"count"` for vectors of zeros and ones,
            or of how often a token is in the text, `"tf_idf"` for counts times weights.
        output_sequence_length: length to which rows of numbers are cut or filled up; by default
            that of the longest in a batch.
        pad_to_max_tokens: whether vectors have size `max_tokens` with a smaller vocabulary, too.
        vocabulary: list or array of tokens, or the path of a text file with one in each line.
        idf_weights: with `output_mode="tf_idf"`, a weight for each token of `vocabulary`.
        sparse: must be `False`.
        ragged: whether rows of numbers stay as long as they are. The result is then a NumPy array
            of arrays, which a model can't go on with.
        encoding: that of `bytes` among the texts and of a vocabulary file.

    Inputs: strings of shape `(batch,)` or `(batch, 1)`, or a single one.

    Example:

    >>> layer = keras.layers.TextVectorization(output_sequence_length=4)
    >>> layer.adapt(["The cat sat.", "The dog!"])
    >>> layer.get_vocabulary()
    ['', '[UNK]', 'the', 'sat', 'dog', 'cat']
    >>> layer(["The cat barked", "A dog?"]).tolist()
    [[2, 5, 1, 0], [1, 4, 0, 0]]
    """

    def __init__(
        self,
        max_tokens=None,
        standardize="lower_and_strip_punctuation",
        split="whitespace",
        ngrams=None,
        output_mode="int",
        output_sequence_length=None,
        pad_to_max_tokens=False,
        vocabulary=None,
        idf_weights=None,
        sparse=False,
        ragged=False,
        encoding="utf-8",
        name=None,
        **kwargs,
    ):
        super().__init__(name=name, **kwargs)
        one_of("TextVectorization's output_mode", output_mode, _MODES)
        if not callable(standardize):
            one_of("TextVectorization's standardize", standardize, tuple(STANDARDIZE))
        if not callable(split):
            one_of("TextVectorization's split", split, ("whitespace", "character", None))
        if output_mode != "int" and (output_sequence_length is not None or ragged):
            raise ValueError(
                "TextVectorization: output_sequence_length and ragged are about rows of numbers, "
                f"output_mode='int'; received output_mode={output_mode!r}."
            )
        if output_sequence_length is not None:
            positive_int("TextVectorization's output_sequence_length", output_sequence_length)
        self.max_tokens = max_tokens
        self.standardize = standardize
        self.split = split
        self.ngrams = ngrams
        self.output_mode = output_mode
        self.output_sequence_length = output_sequence_length
        self.pad_to_max_tokens = pad_to_max_tokens
        self.sparse = sparse
        self.ragged = ragged
        self.encoding = encoding
        self._tokenizer = Tokenizer(
            standardize, split, _sizes(ngrams), encoding, f"TextVectorization '{self.name}'"
        )
        # A layer of its own, since files have its weights under this name.
        self._lookup_layer = StringLookup(
            max_tokens,
            mask_token="",
            vocabulary=vocabulary,
            idf_weights=idf_weights,
            output_mode=output_mode,
            pad_to_max_tokens=pad_to_max_tokens,
            sparse=sparse,
            encoding=encoding,
            name=f"{self.name}_lookup",
            dtype=self.dtype_policy,
        )

    # Vocabulary -------------------------------------------------------------------------------

    def get_vocabulary(self, include_special_tokens=True):
        """The tokens in the order of their numbers.

        Args:
            include_special_tokens: whether the list begins with `""` and `"[UNK]"`, as numbers do
                (without `""` if `output_mode` is not `"int"`).
        """
        return self._lookup_layer.get_vocabulary(include_special_tokens)

    def vocabulary_size(self):
        """The number of tokens, the special ones included."""
        return self._lookup_layer.vocabulary_size()

    def set_vocabulary(self, vocabulary, idf_weights=None):
        """Use other tokens.

        Args:
            vocabulary: list or array of tokens, with or without the special ones in front, or the
                path of a text file with one in each line.
            idf_weights: with `output_mode="tf_idf"`, a weight for each token, the special ones left
                out.

        Raises:
            ValueError: if it is empty or too long, or has a token twice.
        """
        self._lookup_layer.set_vocabulary(vocabulary, idf_weights)

    def clone(self):
        """A new layer made from the same arguments, with the vocabulary that this one has."""
        other = super().clone()
        other._lookup_layer._held = self._lookup_layer._held
        return other

    # Learning ---------------------------------------------------------------------------------

    def start(self):
        return self._lookup_layer.start()

    def look(self, known, batch):
        if self.output_mode == "tf_idf" or self.split is None:
            tokens, lengths, _ = self._tokens(batch)
            known.add(tokens, lengths if self.output_mode == "tf_idf" else None)
        else:
            self._tokenizer.count(self._texts(batch)[0], known.tokens)
        return known

    def finish(self, known):
        self._lookup_layer.finish(known)

    # Computing --------------------------------------------------------------------------------

    def call(self, inputs):
        lookup = self._lookup_layer
        lookup.check_known()
        if self.split is None:
            tokens, lengths, shape = self._tokens(inputs)
            numbers = lookup.numbers_of(tokens)
        else:
            texts, shape = self._texts(inputs)
            numbers, lengths = self._tokenizer.numbers(texts, lookup)
        if self.output_mode != "int":
            vectors = lookup.outputs_of_rows(numbers, lengths)
            return vectors.reshape(*shape, vectors.shape[-1])
        width = self.output_sequence_length
        if self.ragged:
            rows = split_rows(numbers, lengths)
            return rows if width is None else _cut(rows, width)
        if inputs.ndim == 0 and self.split is None and width is None and self.ngrams is None:
            return numbers.reshape(())
        matrix = padded_rows(numbers, lengths, width)
        return matrix.reshape(*shape, matrix.shape[-1])

    def _tokens(self, batch):
        """All tokens of a batch, the lengths of its texts, and the shape that these are in."""
        if self.split is not None:
            texts, shape = self._texts(batch)
            return *self._tokenizer.tokens(texts), shape
        if is_ragged(batch):
            flat, lengths = joined_rows(batch)
            shape = lengths.shape
        else:
            shape = batch.shape[:-1]
            flat, rows = self._strings(batch), math.prod(shape)
            lengths = np.full(rows, batch.size // rows if rows else 0)
        plain = Tokenizer(self.standardize, None, None, self.encoding, self._tokenizer.owner)
        tokens, _ = plain.tokens(flat)
        return *self._tokenizer.joined(tokens, lengths), shape

    def _texts(self, array):
        """A list of texts, and the shape that they are in."""
        texts, shape = self._strings(array), array.shape
        if array.ndim < 2:
            return texts, shape
        if shape[-1] != 1:
            raise ValueError(
                expected(
                    f"The inputs of '{self.path}' (TextVectorization)",
                    "of shape (batch,) or (batch, 1)",
                    shape,
                    "Join the strings to one text, or pass them with split=None.",
                )
            )
        return texts, shape[:-1]

    def _strings(self, array):
        if not dtypes.is_text(array):
            raise TypeError(
                expected(f"The inputs of '{self.path}' (TextVectorization)", "strings", array)
            )
        return array.reshape(-1).tolist()

    def output_spec(self, inputs):
        shape = inputs.shape
        rows = shape if self.split is not None and len(shape) < 2 else shape[:-1]
        if self.output_mode != "int":
            return (*rows, self._lookup_layer.known_depth()), device_name(self.compute_dtype)
        width = self.output_sequence_length
        if self.split is None and self.ngrams is None and width is None:
            return shape, "int32"
        return (*rows, None if self.ragged else width), "int32"

    # Description and files --------------------------------------------------------------------

    @property
    def _lookup(self):
        return self._lookup_layer

    def save_own_variables(self, store):
        self._lookup_layer.save_own_variables(store)

    def load_own_variables(self, store):
        self._lookup_layer.load_own_variables(store)

    def save_assets(self, dir_path):
        """Write the vocabulary into a folder, unless the config holds it: `vocabulary.txt`."""
        self._lookup_layer.save_assets(dir_path)

    def load_assets(self, dir_path):
        """Read the vocabulary from a folder that `save_assets` wrote to."""
        self._lookup_layer.load_assets(dir_path)


def _sizes(ngrams):
    """The sizes of n-grams as a tuple, or `None`."""
    if ngrams is None:
        return None
    sizes = range(1, ngrams + 1) if isinstance(ngrams, int) else ngrams
    several = isinstance(sizes, (tuple, list, range))
    count_calls(len(sizes) if several else 0)
    whole = several and all(isinstance(n, int) for n in sizes)
    if not whole or not sizes or min(sizes) < 1:
        raise ValueError(
            expected("TextVectorization's ngrams", "a positive int or a tuple of them", ngrams)
        )
    return tuple(sizes)


def _cut(rows, width):
    shorter = np.empty(len(rows), object)
    shorter[:] = [row[:width] for row in rows]
    return shorter
