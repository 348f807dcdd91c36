"""What layers with a vocabulary share: learning it, numbering tokens by it, keeping it in files."""

import collections
import copy
import itertools
import json
import operator
import pathlib
import re
from encodings.aliases import aliases
from typing import Any

import numpy as np

from ..core import objects
from ..core.loading import count_variable
from ..core.messages import expected, shown
from ._encoding import check_output, device_name, encode, encode_rows, encoded_shape
from ._hashes import check_salt, fingerprint, keyed
from ._host import AdaptedLayer
from ._values import (
    is_ragged,
    joined_rows,
    split_rows,
    whole_numbers,
)

MODES = ("int", "one_hot", "multi_hot", "count", "tf_idf")

# What a token that isn't in the vocabulary has as its number until it gets one, and one that
# counts for nothing in a vector. `encode` leaves out both.
_UNKNOWN, _NOTHING = -1, -2

_LINES, _JSON = "vocabulary.txt", "vocabulary.json"


class HasVocabulary(AdaptedLayer):
    """What the configs of layers with a vocabulary have in common."""

    @property
    def _lookup(self) -> "IndexLookup":
        """The layer that holds the vocabulary: this one, or one inside."""
        raise NotImplementedError

    def constructor_arguments(self):
        given = self._lookup.given()
        names = objects.constructor_parameters(type(self))
        return {name: given[name] if name in given else getattr(self, name) for name in names}

    def get_config(self):
        lookup = self._lookup
        unread = lookup._size and lookup._held.tokens is None
        size = lookup._size if unread else lookup.vocabulary_size()
        return {**super().get_config(), "vocabulary_size": size}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """A layer made from what `get_config` returned.

        Raises:
            ValueError: if the vocabulary is a path: a config may come from a stranger's file, and
                what that says is no reason to read others.
        """
        config = dict(config)
        size = config.pop("vocabulary_size", None)
        refuse_names(cls, config)
        if "oov_method" not in objects.constructor_parameters(cls):  # Keras writes it all the same
            config.pop("oov_method", None)
        layer = super().from_config(config)
        layer._lookup._size = size
        return layer


class IndexLookup(HasVocabulary):
    """A vocabulary: tokens, and the numbers that stand for them.

    Numbers begin with that of the mask token (only with `output_mode="int"`, and if there is a
    mask token), then come `num_oov_indices` numbers of unknown tokens, then those of the
    vocabulary.

    Subclasses say what tokens are.
    """

    _size = None  # that of a vocabulary which is about to be read from a file

    @property
    def _lookup(self):
        return self

    def _set_up(
        self,
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
    ):
        owner = type(self).__name__
        check_output(owner, output_mode, sparse, MODES)
        _check_int(f"{owner}'s num_oov_indices", num_oov_indices, 0)
        count_variable(f"{owner}'s numbers of unknown tokens", (num_oov_indices,))
        if max_tokens is not None:
            _check_int(f"{owner}'s max_tokens", max_tokens, 2)
        if pad_to_max_tokens and max_tokens is None:
            raise ValueError(
                f"{owner}: pad_to_max_tokens=True needs max_tokens, the size to pad to."
            )
        if invert and output_mode != "int":
            raise ValueError(
                expected(f"{owner}'s output_mode", "'int' with invert=True", output_mode)
            )
        if idf_weights is not None and output_mode != "tf_idf":
            raise ValueError(
                f"{owner}: idf_weights belong to output_mode='tf_idf'; received {output_mode!r}."
            )
        if mask_token is not None and mask_token == oov_token:
            raise ValueError(
                f"{owner}: mask_token and oov_token should differ; both are {mask_token!r}."
            )
        self.max_tokens = max_tokens
        self.num_oov_indices = num_oov_indices
        self.mask_token = mask_token
        self.oov_token = oov_token
        self.invert = invert
        self.output_mode = output_mode
        self.pad_to_max_tokens = pad_to_max_tokens
        self.sparse = sparse
        self.salt = check_salt(owner, salt)
        if max_tokens is not None and max_tokens <= len(self._special):
            raise ValueError(
                f"{owner}: max_tokens={max_tokens} leaves no room for a vocabulary beside "
                f"{len(self._special)} special tokens."
            )
        self._held = _Vocabulary()
        if vocabulary is not None:
            self.set_vocabulary(vocabulary, idf_weights)
            self._held.given = not isinstance(vocabulary, (str, pathlib.PurePath))
            self._held.given_idf = idf_weights
        elif idf_weights is not None:
            raise ValueError(f"{owner}: idf_weights need a vocabulary, whose weights they are.")

    # What tokens are --------------------------------------------------------------------------

    def _standard(self, tokens) -> Any:
        """Tokens as they are compared; missing ones as `None`."""
        raise NotImplementedError

    def _plain(self, token) -> Any:
        """A token as users see it."""
        raise NotImplementedError

    # Vocabulary -------------------------------------------------------------------------------

    @property
    def idf_weights(self):
        """What counts are multiplied with for TF-IDF, one for each number; `None` if unknown."""
        return self._held.idf

    @property
    def _special(self):
        """The tokens that every vocabulary begins with."""
        has_mask = self.mask_token is not None and self.output_mode == "int"
        return [self.mask_token] * has_mask + [self.oov_token] * self.num_oov_indices

    def get_vocabulary(self, include_special_tokens=True):
        """The tokens in the order of their numbers.

        Args:
            include_special_tokens: whether the list begins with the mask token and those for
                unknown tokens, as numbers do.
        """
        special = self._special if include_special_tokens else []
        return special + [self._plain(token) for token in self._held.listed()]

    def vocabulary_size(self):
        """The number of tokens, the special ones included."""
        return len(self._special) + len(self._held.listed())

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
        if isinstance(vocabulary, (str, pathlib.PurePath)):
            vocabulary = self._read_lines(vocabulary)
        nested = (list, tuple, np.ndarray)
        flat = isinstance(vocabulary, nested) and getattr(vocabulary, "ndim", 1) == 1
        if not flat or any(isinstance(token, nested) for token in vocabulary):
            raise ValueError(
                expected(
                    f"{type(self).__name__}'s vocabulary",
                    "a list of tokens or the path of a text file",
                    vocabulary,
                )
            )
        weighted = self.output_mode == "tf_idf"
        if weighted != (idf_weights is not None):
            raise ValueError(
                f"{type(self).__name__}: a vocabulary needs idf_weights with "
                "output_mode='tf_idf', and only there; received "
                f"idf_weights={shown(idf_weights)} and output_mode={self.output_mode!r}."
            )
        tokens = self._checked(self._without_special(list(vocabulary)))
        weights = self._checked_weights(idf_weights, len(tokens)) if weighted else None
        self._use(tokens, weights)

    def _use(self, tokens, weights):
        """Take over a vocabulary, all at once."""
        self._held = _Vocabulary(tokens, weights)

    def _without_special(self, tokens):
        special = self._special
        if special and tokens[: len(special)] == special:
            return tokens[len(special) :]
        return tokens

    def _checked(self, tokens):
        """Tokens as they are compared, if they are a vocabulary."""
        owner = type(self).__name__
        if not len(tokens):
            raise ValueError(f"{owner}: the vocabulary should not be empty.")
        standard = self._standard(tokens)
        if isinstance(standard, list) and None in standard:
            raise ValueError(f"{owner}: the vocabulary holds a missing value.")
        self._check_mask(standard)
        if self._has_duplicates(standard):
            counts = collections.Counter(standard if isinstance(standard, list) else tokens)
            twice = [self._plain(t) for t, n in counts.items() if n > 1]
            raise ValueError(f"{owner}: the vocabulary holds tokens twice: {shown(twice)}.")
        size = len(standard) + len(self._special)
        if self.max_tokens is not None and size > self.max_tokens:
            raise ValueError(
                f"{owner}: the vocabulary has {size} tokens with the special ones; max_tokens is "
                f"{self.max_tokens}."
            )
        return standard

    def _has_duplicates(self, standard):
        return len(set(standard)) < len(standard)

    def _check_mask(self, standard):
        if self.mask_token is not None and self._standard([self.mask_token])[0] in standard:
            raise ValueError(
                f"{type(self).__name__}: the mask token {self.mask_token!r} is not at the start of "
                "the vocabulary. Leave the special tokens out, or begin with all of them: "
                f"{self._special}."
            )

    def _checked_weights(self, idf_weights, count):
        given = np.asarray(idf_weights, np.float32)
        if given.shape != (count,):
            raise ValueError(
                f"{type(self).__name__}: idf_weights should be one for each of the {count} tokens; "
                f"received {shown(idf_weights)}."
            )
        count_variable(f"{type(self).__name__}'s idf_weights", (self._depth(count),))
        # Unknown tokens count for as much as one of the vocabulary does in the mean.
        weights = np.concatenate([np.full(self.num_oov_indices, given.mean()), given])
        padding = self._depth(len(weights)) - len(weights)
        return np.pad(weights, (0, padding)).astype(np.float32)

    def _depth(self, size) -> Any:
        return self.max_tokens if self.pad_to_max_tokens else size

    def clone(self):
        """A new layer made from the same arguments, with the vocabulary that this one has."""
        other = super().clone()
        other._held = self._held
        return other

    # Learning ---------------------------------------------------------------------------------

    def adapt(self, data, steps=None):
        """Learn the vocabulary: the tokens in the data, the most frequent first.

        Of equally frequent ones the larger comes first. With `output_mode="tf_idf"` the weights
        are learned, too: `log(1 + documents / (1 + documents with the token))`, where each row
        is a document.

        Args:
            data: an array, a list, a column of a table, or anything that yields batches.
            steps: number of batches after which to stop.

        Raises:
            ValueError: if the vocabulary was given to the constructor, or there is no data.
        """
        super().adapt(data, steps=steps)

    def start(self):
        if self._held.given:
            raise ValueError(
                f"Layer '{self.name}' was given its vocabulary, so there is nothing for `adapt` to "
                "learn."
            )
        return _Counts()

    def look(self, known, batch):
        flat, lengths = self._documents(batch)
        known.add(flat, lengths if self.output_mode == "tf_idf" else None)
        return known

    def _documents(self, batch):
        """All tokens of a batch as a list, and how many each row has."""
        if is_ragged(batch):
            flat, lengths = joined_rows(batch)
            return self._hashable(flat), lengths
        rows = len(batch) if batch.ndim else 1
        lengths = np.full(rows, batch.size // rows if rows else 0)
        return self._hashable(batch.reshape(-1)), lengths

    def _hashable(self, flat):
        """Tokens as they are compared, in a list; missing ones as `None`."""
        raise NotImplementedError

    def finish(self, known):
        special = [token for token in (self.mask_token, self.oov_token) if token is not None]
        left_out = {None, *(self._standard([token])[0] for token in special)}
        counts = {t: n for t, n in known.tokens.items() if n and t not in left_out}
        if not counts:
            raise ValueError(f"Layer '{self.name}': adapt found no token in the data.")
        order = sorted(counts.items(), key=operator.itemgetter(1, 0), reverse=True)
        if self.max_tokens is not None:
            order = order[: self.max_tokens - len(self._special)]
        tokens = [token for token, _ in order]
        weights = None
        if self.output_mode == "tf_idf":
            found = np.array([known.documents[token] for token in tokens])
            idf = np.log(1 + known.rows / (1 + found))
            weights = self._checked_weights(idf, len(tokens))
        self._use(self._kept(tokens), weights)

    def _kept(self, tokens):
        return tokens

    # Computing --------------------------------------------------------------------------------

    def call(self, inputs):
        self.check_known()
        if self.invert:
            return self._inverted(inputs)
        if not is_ragged(inputs):
            return self.outputs_of(self._numbers(inputs.reshape(-1)).reshape(inputs.shape))
        flat, lengths = joined_rows(inputs)
        return self.outputs_of_rows(self._numbers(np.array(flat, object)), lengths)

    def outputs_of(self, numbers):
        """Numbers of tokens as the output mode has them."""
        if self.output_mode == "int":
            return numbers
        depth = self._depth(self.vocabulary_size())
        return self._weighted(encode(numbers, depth, self._vectors))

    def outputs_of_rows(self, flat, lengths):
        """The same for rows of different lengths, which `flat` holds one after another."""
        if self.output_mode == "int":
            return split_rows(flat, lengths)
        if self.output_mode == "one_hot":
            raise ValueError(
                f"Layer '{self.path}': output_mode='one_hot' needs rows of one length."
            )
        depth = self._depth(self.vocabulary_size())
        return self._weighted(encode_rows(flat, lengths, depth, self._vectors))

    @property
    def _vectors(self):
        return "count" if self.output_mode == "tf_idf" else self.output_mode

    def _weighted(self, vectors):
        if self.output_mode == "tf_idf":
            vectors = vectors * self._held.idf
        return vectors.astype(device_name(self.compute_dtype), copy=False)

    def check_known(self):
        """Raise an error if there is no vocabulary yet."""
        if self._held.tokens is None:
            raise ValueError(
                f"Layer '{self.path}' has no vocabulary yet. Call `adapt(data)` first, or pass "
                "`vocabulary=`."
            )

    def _numbers(self, flat):
        """The numbers of the tokens in a flat array."""
        return self.numbers_of(self._hashable(flat))

    def numbers_of(self, keys):
        """The numbers of a list of tokens as they are compared."""
        self.check_known()
        found = map(self._filled().get, keys, itertools.repeat(self.number_of_unknown))
        numbers = np.fromiter(found, np.int32, len(keys))
        unknown = numbers == _UNKNOWN
        if self.num_oov_indices != 1 and unknown.any():
            places = np.flatnonzero(unknown)
            numbers[places] = self._numbers_of_unknown([keys[i] for i in places.tolist()])
        return numbers

    def knows(self, key):
        """Whether a token has a number."""
        self.check_known()
        return key in self._filled()

    def _filled(self):
        if self._held.table is None:
            self._held.table = self._made_table()
        return self._held.table

    def _made_table(self):
        """`{token: number}`, with the numbers of the mask token and of missing values."""
        first = len(self._special)
        tokens = self._held.listed()
        table = dict(zip(tokens, range(first, first + len(tokens))))
        if self.mask_token is not None:
            mask = 0 if self.output_mode == "int" else _NOTHING
            table[self._standard([self.mask_token])[0]] = table[None] = mask
        return table

    @property
    def number_of_unknown(self):
        """The number of unknown tokens, if they have one number."""
        return len(self._special) - 1 if self.num_oov_indices == 1 else _UNKNOWN

    def _numbers_of_unknown(self, keys):
        if not self.num_oov_indices:
            raise ValueError(
                f"Layer '{self.path}': num_oov_indices=0 takes only tokens of the vocabulary; "
                f"received {shown([key if key is None else self._plain(key) for key in keys])}."
            )
        bins = self._unknown_bins(keys) % self.num_oov_indices
        return bins.astype(np.int64) + len(self._special) - self.num_oov_indices

    def _unknown_bins(self, keys):
        """Numbers that say which of the unknown ones a token becomes."""
        strings = [b"" if key is None else self._as_string(key) for key in keys]
        return fingerprint(strings) if self.salt is None else keyed(strings, self.salt)

    def _as_string(self, key):
        raise NotImplementedError

    def _inverted(self, inputs):
        raise NotImplementedError

    def _known_positions(self, inputs):
        """Numbers as positions in the vocabulary, which those of special tokens have not."""
        numbers, missing = whole_numbers(inputs.reshape(-1), f"Layer '{self.path}'")
        positions = numbers - len(self._special)
        inside = (positions >= 0) & (positions < len(self._held.tokens)) & ~missing
        mask = (numbers == 0) & (self.mask_token is not None)
        return np.where(inside, positions, 0), inside, mask & ~missing

    # Description ------------------------------------------------------------------------------

    def output_spec(self, inputs):
        if self.invert:
            return inputs.shape, device_name(self._token_dtype)
        if self.output_mode == "int":
            return inputs.shape, "int32"
        shape = encoded_shape(inputs.shape, self.known_depth(), self._vectors)
        return shape, device_name(self.compute_dtype)

    def known_depth(self):
        """The size of vectors, also before the vocabulary is read from a file."""
        return self._depth(self._size if self._held.tokens is None else self.vocabulary_size())

    _token_dtype = "string"

    def given(self):
        """What was given of the vocabulary, which may not be the one in use."""
        held, weights = self._held, self._held.given_idf
        return {
            "vocabulary": self.get_vocabulary(False) if held.given else None,
            "idf_weights": None if weights is None else np.asarray(weights).tolist(),
        }

    # Files ------------------------------------------------------------------------------------

    def _read_lines(self, path):
        """The tokens in the lines of a text file."""
        path = pathlib.Path(path)
        if not path.is_file():
            raise ValueError(f"{type(self).__name__}: there is no vocabulary file '{path}'.")
        return self._of_lines(path.read_bytes().replace(b"\r\n", b"\n"))

    def _of_lines(self, data):
        lines = data.removesuffix(b"\n").split(b"\n")
        return [self._plain_line(line) for line in lines]

    def _plain_line(self, line):
        raise NotImplementedError

    def save_own_variables(self, store):
        if self._held.idf is not None:
            store["idf_weights"] = self._held.idf

    def load_own_variables(self, store):
        if self.output_mode != "tf_idf" or set(store) != {"idf_weights"}:
            raise ValueError(
                f"Layer '{self.path}' ({type(self).__name__}) holds "
                f"{'idf_weights' if self.output_mode == 'tf_idf' else 'no weights'}; the file "
                f"holds {', '.join(sorted(store)) or 'nothing'} for it."
            )
        weights = np.asarray(store["idf_weights"], np.float32)
        wanted = self.known_depth()
        if weights.ndim != 1 or (wanted is not None and len(weights) != wanted):
            raise ValueError(
                f"Layer '{self.path}': idf_weights should have shape ({wanted},); those in the "
                f"file have shape {weights.shape}."
            )
        self._held = copy.copy(self._held)  # clones have the same one
        self._held.idf = weights

    def save_assets(self, dir_path):
        """Write the vocabulary into a folder, unless the config holds it.

        The file is `vocabulary.txt`, as Keras has it, with a token in each line. If tokens hold
        line breaks it is `vocabulary.json`.
        """
        if self._held.given or self._held.tokens is None:
            return
        vocabulary = self.get_vocabulary()
        lines = [line.encode("utf-8", "surrogateescape") for line in map(str, vocabulary)]
        data = b"\n".join(lines)
        if data.count(b"\n") >= len(lines) or b"\r" in data:
            pathlib.Path(dir_path, _JSON).write_text(json.dumps(vocabulary))
        else:
            pathlib.Path(dir_path, _LINES).write_bytes(data)

    def load_assets(self, dir_path):
        """Read the vocabulary from a folder that `save_assets` wrote to."""
        if self._held.given:
            return
        lines, listed = pathlib.Path(dir_path, _LINES), pathlib.Path(dir_path, _JSON)
        if listed.exists():
            vocabulary = json.loads(listed.read_text())
            if not isinstance(vocabulary, list):
                raise ValueError(expected(f"{_JSON} of '{self.path}'", "a list", vocabulary))
        elif lines.exists():
            # A last line that is empty is a token, unlike in a file that somebody typed.
            data = lines.read_bytes()
            count_variable(f"The vocabulary of '{self.path}'", (data.count(b"\n"),))
            held = data.split(b"\n")
            special = [str(token).encode() for token in self._special]
            skipped = len(special) if held[: len(special)] == special else 0
            vocabulary = [self._plain_line(line) for line in held[skipped:]]
        else:
            raise ValueError(
                f"Layer '{self.path}': there is neither {_LINES} nor {_JSON} in '{dir_path}'."
            )
        tokens = self._checked(self._without_special(vocabulary))
        size = len(tokens) + len(self._special)
        if self._held.idf is not None and len(self._held.idf) != self._depth(size):
            raise ValueError(
                f"Layer '{self.path}': the file holds {size} tokens and {len(self._held.idf)} "
                "idf_weights."
            )
        self._use(tokens, self._held.idf)


class _Vocabulary:
    """The tokens without the special ones, and what is made of them.

    It is an object of its own so that nobody who looks for layers and variables in the attributes
    goes through millions of words.
    """

    def __init__(self, tokens=None, idf=None):
        self.tokens: Any = tokens
        self.idf = idf  # what counts are multiplied with for TF-IDF
        self.table: Any = None  # from tokens to numbers, made when it's needed
        self.arrow: Any = None  # the tokens as an array of pyarrow's, the same
        self.given, self.given_idf = False, None  # whether, and with what, to the constructor

    def listed(self) -> Any:
        """The tokens as a list of Python objects."""
        tokens = () if self.tokens is None else self.tokens
        return tokens.tolist() if isinstance(tokens, np.ndarray) else tokens


class _Counts:
    """How often each token was seen, and in how many rows."""

    def __init__(self):
        self.tokens, self.documents, self.rows = collections.Counter(), collections.Counter(), 0

    def add(self, flat, lengths=None):
        """Count a list of tokens, and, given the lengths of its rows, the rows too."""
        self.tokens.update(flat)
        if lengths is not None:
            ends = np.cumsum(lengths).tolist()
            for start, end in zip([0, *ends], ends):
                self.documents.update(set(flat[start:end]))
            self.rows += len(lengths)


def refuse_names(cls, config):
    """An error if a config names a file to read a vocabulary from, or an unusual encoding: Python
    takes the names of encodings for those of modules, and of what a program registered."""
    if isinstance(config.get("vocabulary"), (str, pathlib.PurePath)):
        raise ValueError(
            expected(
                f"The vocabulary in a config of {cls.__name__}",
                "a list",
                config["vocabulary"],
                "A config may come from a stranger's file, so no path in it is read. Pass the path "
                "to the constructor.",
            )
        )
    encoding = config.get("encoding", "utf-8")
    known = {*aliases, *aliases.values(), "utf_8_sig"}
    if not isinstance(encoding, str) or re.sub(r"\W", "_", encoding.lower()) not in known:
        what = f"The encoding in a config of {cls.__name__}"
        raise ValueError(expected(what, "the name of one that Python brings along", encoding))


def _check_int(argument, value, least):
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < least:
        raise ValueError(expected(argument, f"an int of at least {least}", value))
