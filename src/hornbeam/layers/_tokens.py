"""From texts to tokens, for a whole batch at once.

All texts are joined into one string of bytes, with a separator that is in none of them. Lowering,
stripping and splitting it are one call each of the standard library. That is 1.5 times as fast as
going text by text, and the same: only ASCII letters are lowered, and only ASCII whitespace splits,
as in TensorFlow. With pyarrow a large batch is looked up without an object for each token, which is
faster still. `benchmarks/text.py` measures.
"""

import importlib.util
import itertools
import string

import numpy as np

from ..core.messages import expected
from ._values import to_bytes, to_text

_UPPER, _LOWER = string.ascii_uppercase.encode(), string.ascii_lowercase.encode()
_SPACE = b"\t\n\x0b\x0c\r "
_LOWERED = bytes.maketrans(_UPPER, _LOWER)
_SAME = bytes.maketrans(b"", b"")
_SPACED = bytes.maketrans(_SPACE, b" " * len(_SPACE))
_PUNCTUATION = string.punctuation.encode()
STANDARDIZE = {  # name: (table, bytes to leave out)
    "lower_and_strip_punctuation": (_LOWERED, _PUNCTUATION),
    "lower": (_LOWERED, b""),
    "strip_punctuation": (_SAME, _PUNCTUATION),
    None: (_SAME, b""),
}
# Control characters may part texts: they are neither letters nor whitespace nor punctuation.
_SEPARATORS = [bytes([i]) for i in (*range(0x1C, 0x20), *range(9), *range(0x0E, 0x1C), 0x7F)]
_ROWS_FOR_ARROW = 512  # below, making pyarrow's table takes longer than it saves
_PIECE = 1024  # texts to encode at once: they stay in the processor's cache
_BYTES_FOR_ARROW = 1 << 30  # above, offsets would need more than 32 bits


class Tokenizer:
    """How texts become tokens.

    Args:
        standardize: name of a way, function of a `str`, or `None`.
        split: `"whitespace"`, `"character"`, function of a `str`, or `None` for one token.
        ngrams: tuple of the numbers of tokens that are joined to one, or `None`.
        encoding: of `bytes` among the texts.
        owner: what to name in errors.
    """

    def __init__(self, standardize, split, ngrams, encoding, owner):
        self.standardize, self.split, self.ngrams = standardize, split, ngrams
        self.encoding, self.owner = encoding, owner
        table, removed = STANDARDIZE[None if callable(standardize) else standardize]
        # Words end at a space then, whatever it was.
        self._change = (table.translate(_SPACED) if split == "whitespace" else table), removed

    def tokens(self, texts):
        """All tokens as a list of bytes, and the number of those of each text."""
        data, separator = self._joined(self._standardized(texts))
        if separator is None:
            rows = [self._cut(self._translated(text)) for text in data]
            flat, lengths = _chained(rows)
        elif self.split in ("whitespace", "character"):
            flat, lengths = _parted(self._cut(self._translated(data)), separator)
        else:
            flat, lengths = _chained(map(self._cut, self._translated(data).split(separator)))
        return self.joined(flat, lengths[: len(texts)])

    def count(self, texts, counts):
        """Add how often each token is in the texts to a `Counter`."""
        if self.split == "whitespace" and self.ngrams is None:
            data, separator = self._joined(self._standardized(texts))
            if separator is not None:
                counts.update(self._translated(data).split())
                counts[separator] -= max(len(texts) - 1, 0)
                return
        counts.update(self.tokens(texts)[0])

    def _cut(self, text):
        """The tokens of one standardized text."""
        if self.split is None:
            return [text]
        if self.split == "whitespace":
            return text.split()
        if self.split == "character":
            text = text.decode("utf-8", "replace")
            code = {c: c.encode() for c in set(text)}
            return list(map(code.__getitem__, text))
        tokens = self.split(to_text(text))
        if not isinstance(tokens, (list, tuple)) or not all(isinstance(t, str) for t in tokens):
            raise TypeError(expected("What `split` returns", "a list of str", tokens))
        return to_bytes(tokens, self.owner)

    def joined(self, flat, lengths):
        """Tokens with the n-grams that are asked for."""
        if self.ngrams is None:
            return flat, lengths
        row = np.repeat(np.arange(len(lengths)), lengths)
        grams, rows = [], [row[:0]]
        longest = lengths.max(initial=0)
        for n in (n for n in self.ngrams if n <= longest):
            inside = row[: max(len(row) - n + 1, 0)] == row[n - 1 :]
            together = zip(*(itertools.islice(flat, i, None) for i in range(n)))
            grams += map(b" ".join, itertools.compress(together, inside))
            rows.append(row[: len(inside)][inside])
        row = np.concatenate(rows)
        grams = [grams[i] for i in np.argsort(row, kind="stable").tolist()]
        return grams, np.bincount(row, minlength=len(lengths))

    def numbers(self, texts, vocabulary):
        """The numbers of all tokens, and the number of those of each text.

        Args:
            texts: list of strings.
            vocabulary: a `StringLookup`.
        """
        if self.split == "whitespace" and self.ngrams is None:
            data, separator = self._joined(self._standardized(texts), vocabulary.knows)
            if separator is not None:
                data = self._translated(data)
                large = len(texts) >= _ROWS_FOR_ARROW and len(data) < _BYTES_FOR_ARROW
                look_up = _by_arrow if large and importlib.util.find_spec("pyarrow") else _by_dict
                numbers, ends = look_up(data, separator, vocabulary)
                lengths = _lengths(ends, len(numbers))[: len(texts)]
                return np.delete(numbers, ends), lengths
        tokens, lengths = self.tokens(texts)
        return vocabulary.numbers_of(tokens), lengths

    def _standardized(self, texts):
        """The texts after a function of the user, if there is one, has changed them."""
        return [self._changed(text) for text in texts] if callable(self.standardize) else texts

    def _changed(self, value):
        (data,) = to_bytes([value], self.owner, self.encoding)
        text = self.standardize("" if data is None else to_text(data))
        if not isinstance(text, str):
            raise TypeError(expected("What `standardize` returns", "a str", text))
        return text

    def _translated(self, data):
        return data.translate(*self._change)

    def _joined(self, texts, taken=lambda separator: False):
        """The texts in one string of bytes, and what parts them: a token of its own.

        If they hold all that could part them: the texts as bytes, and `None`.

        Args:
            texts: list of strings.
            taken: function that tells whether a separator can't be used.
        """
        first, space = _SEPARATORS[0], b" " if self.split == "whitespace" else b""
        glue = space + first + space
        try:
            pieces = (texts[i : i + _PIECE] for i in range(0, len(texts), _PIECE))
            data = glue.join([glue.decode().join(piece).encode() for piece in pieces])
        except (TypeError, UnicodeEncodeError):  # not all are plain `str`
            texts = to_bytes(texts, self.owner, self.encoding)
            texts = [b"" if text is None else text for text in texts]
            data = glue.join(texts)
        if data.count(first) < max(len(texts), 1) and not taken(first):
            return data, first
        texts = [text.encode() if isinstance(text, str) else text for text in texts]
        data = b"".join(texts)
        for separator in _SEPARATORS[1:]:
            if separator not in data and not taken(separator):
                return (space + separator + space).join(texts), separator
        return texts, None


def _chained(rows):
    """The elements of all rows as a list, and the lengths of the rows."""
    rows = list(rows)
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    return list(itertools.chain.from_iterable(rows)), lengths


def _parted(tokens, separator):
    """Tokens without the separators among them, and the lengths of the rows that these part."""
    is_token = list(map(separator.__ne__, tokens))
    ends = np.flatnonzero(~np.array(is_token, bool))
    return list(itertools.compress(tokens, is_token)), _lengths(ends, len(tokens))


def _lengths(ends, count):
    """The lengths of rows in a list of `count` elements with separators at `ends`."""
    return np.diff(np.asarray(ends, np.int64), prepend=-1, append=count) - 1


def _by_dict(data, separator, vocabulary):
    """The numbers of all words in a string, and where those of separators are."""
    words = data.split()
    numbers = vocabulary.numbers_of(words)
    # Separators are not in the vocabulary, so they are looked for among few.
    unknown = np.flatnonzero(numbers == vocabulary.number_of_unknown).tolist()
    return numbers, [i for i in unknown if words[i] == separator]


def _by_arrow(data, separator, vocabulary):
    """The same without an object for each word: they are slices of `data`, each up to a space."""
    import pyarrow as pa
    import pyarrow.compute as pc

    data += b" "
    codes = np.frombuffer(data, np.uint8)
    stops = np.flatnonzero(codes == _SPACE[-1])
    offsets = np.zeros(len(stops) + 1, np.int32)
    np.add(stops, 1, out=offsets[1:], casting="unsafe")
    words = pa.Array.from_buffers(
        pa.binary(), len(stops), [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    )
    found = pc.index_in(words, vocabulary.as_arrow(pa))  # pyright: ignore[reportAttributeAccessIssue]
    found = pc.fill_null(found, -1)
    # Unknown words have the number before those of the vocabulary.
    numbers = found.to_numpy() + np.int32(vocabulary.number_of_unknown + 1)
    starts, is_word = offsets[:-1], np.diff(offsets) > 1
    if not is_word.all():  # spaces after each other
        numbers, starts = numbers[is_word], starts[is_word]
    return numbers, np.flatnonzero(codes[starts] == separator[0])
