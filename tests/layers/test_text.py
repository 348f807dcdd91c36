"""Text and categories: fast ways equal plain ones, hostile data, `adapt`, errors."""

import collections
import itertools
import os
import re
import string
import sys
from unittest import mock

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import hornbeam as keras
from hornbeam.layers import _tokens
from hornbeam.layers._tokens import Tokenizer
from hornbeam.layers._values import padded_rows

L = keras.layers
PUNCTUATION = re.compile(f"[{re.escape(string.punctuation)}]")


# A plain way, text by text ------------------------------------------------------------------------


def plain_tokens(text, standardize, split, ngrams):
    if "lower" in (standardize or ""):
        text = "".join(c.lower() if c.isascii() else c for c in text)
    if "strip" in (standardize or ""):
        text = PUNCTUATION.sub("", text)
    if split == "whitespace":
        tokens = [t for t in re.split("[ \t\n\r\f\v]+", text) if t]
    else:
        tokens = list(text) if split == "character" else [text]
    if ngrams is None:
        return tokens
    return [" ".join(tokens[i : i + n]) for n in ngrams for i in range(len(tokens) - n + 1)]


CHARACTERS = "aAbB ÉéßŁ.,'-_\t\n\v\f\r\x85\u00a0\u2028\0\x1c\x1d\x7fשל\U0001f600"
ALL_SEPARATORS = "a " + "".join(s.decode() + " " for s in _tokens._SEPARATORS)
TEXTS = st.lists(st.text(CHARACTERS, max_size=12), max_size=6)
WAYS = st.tuples(
    st.sampled_from(list(_tokens.STANDARDIZE)),
    st.sampled_from(["whitespace", "character", None]),
    st.sampled_from([None, (1,), (2, 1), (1, 2, 3)]),
)


@given(TEXTS, WAYS)
@example(["a\x1c", "\x1c b"], (None, "whitespace", None))
@example([ALL_SEPARATORS, "b", ALL_SEPARATORS], ("lower", "whitespace", None))
@example(["", "\x1c", ""], (None, "character", None))
def test_tokens(texts, ways):
    expected = [plain_tokens(text, *ways) for text in texts]
    tokenizer = Tokenizer(*ways, "utf-8", "test")
    for given_texts in (texts, [text.encode() for text in texts]):
        tokens, lengths = tokenizer.tokens(given_texts)
        assert lengths.tolist() == [len(row) for row in expected]
        assert [t.decode() for t in tokens] == list(itertools.chain.from_iterable(expected))
    counts = collections.Counter()
    tokenizer.count(texts, counts)
    flat = itertools.chain.from_iterable(expected)
    assert +counts == collections.Counter(t.encode() for t in flat)


@pytest.mark.parametrize("arrow", [True, False])
@given(TEXTS, WAYS, st.lists(st.text(CHARACTERS, min_size=1, max_size=3), min_size=1, unique=True))
@example(["a \x1c b", "\x1c"], (None, "whitespace", None), ["\x1c", "\x1d", "b"])
@example([ALL_SEPARATORS, "b"], (None, "whitespace", None), ["\x1c", "b"])
@example(["a  b ", " ", "", "b"], (None, "whitespace", None), ["a", "b"])
def test_numbers(arrow, texts, ways, vocabulary):
    if arrow:
        pytest.importorskip("pyarrow")
    number = dict(zip(vocabulary, itertools.count(2)))
    number[""] = 0
    expected = [[number.get(t, 1) for t in plain_tokens(text, *ways)] for text in texts]
    lookup = L.StringLookup(vocabulary=vocabulary, mask_token="")
    with mock.patch.object(_tokens, "_ROWS_FOR_ARROW", 0 if arrow else sys.maxsize):
        numbers, lengths = Tokenizer(*ways, "utf-8", "test").numbers(texts, lookup)
    assert lengths.tolist() == [len(row) for row in expected]
    assert numbers.tolist() == list(itertools.chain.from_iterable(expected))


@given(st.lists(st.lists(st.integers(1, 9), max_size=5), max_size=5), st.none() | st.integers(1, 6))
def test_padded_rows(rows, width):
    flat = np.array([x for row in rows for x in row], np.int32)
    lengths = np.array([len(row) for row in rows], np.int64)
    wide = max(map(len, rows), default=0) if width is None else width
    expected = [(row + [0] * wide)[:wide] for row in rows]
    assert padded_rows(flat, lengths, width).tolist() == expected


# Text ---------------------------------------------------------------------------------------------


def test_functions_of_the_user_get_python_strings():
    seen = []

    def standardize(text):
        seen.append(text)
        return text.replace("-", " ").upper()

    def split(text):
        return re.findall(r"[A-ZÉ]", text)

    layer = L.TextVectorization(standardize=standardize, split=split, vocabulary=["A", "É"])
    texts = np.array(["a-é", "É-x".encode(), None, ""], object)
    assert layer(texts).tolist() == [[2, 3], [3, 1], [0, 0], [0, 0]]
    assert seen == ["a-é", "É-x", "", ""]
    only_split = L.TextVectorization(split=str.split, vocabulary=["a"])
    assert only_split(["B, a!", ""]).tolist() == [[1, 2], [0, 0]]
    for broken, match in (
        ({"standardize": str.encode}, "`standardize` returns should be a str"),
        ({"split": len}, "`split` returns should be a list of str"),
        ({"split": str.encode}, "`split` returns should be a list of str"),
    ):
        with pytest.raises(TypeError, match=match):
            L.TextVectorization(vocabulary=["a"], **broken)(["a"])


@keras.saving.register_keras_serializable("tests")
def shout(text):
    return text.upper()


def test_functions_in_configs():
    layer = L.TextVectorization(standardize=shout, vocabulary=["A"])
    copy = L.deserialize(L.serialize(layer))
    assert copy.standardize is shout
    assert copy(["a b"]).tolist() == [[2, 1]]


HOSTILE = [
    b"\xff\xfe a",
    "a\0b",
    "\u202e\u05e9\u05dc\u05d5\u05dd",
    "x" * 1_000_000,
    "",
    None,
    np.nan,
    " ",
    "\ud800",
    "\udcff",
]


@pytest.mark.parametrize(
    "split, arrow",
    [("whitespace", True), ("whitespace", False), ("character", False), (None, False)],
)
def test_hostile_texts(split, arrow, monkeypatch):
    monkeypatch.setattr(_tokens, "_ROWS_FOR_ARROW", 0 if arrow else sys.maxsize)
    texts = np.array([t for t in HOSTILE if t != "\ud800"], object)
    layer = L.TextVectorization(split=split)
    layer.adapt(texts)
    numbers = layer(texts if split else texts[:, None])
    assert numbers.shape[0] == len(texts)
    assert int(numbers.min()) == 0 and 1 not in np.asarray(numbers)
    # What is learned, and what it is written as, leads back to the same.
    copy = L.TextVectorization(split=split, vocabulary=layer.get_vocabulary())
    assert (copy(texts if split else texts[:, None]) == numbers).all()
    with pytest.raises(UnicodeEncodeError, match="surrogates not allowed"):
        layer(np.array(["\ud800"]))


def test_hostile_words():
    words = [w for w in HOSTILE if isinstance(w, (str, bytes)) and w != "\ud800"]
    layer = L.StringLookup(vocabulary=words, num_oov_indices=3)
    np.testing.assert_array_equal(layer(np.array(words, object)), np.arange(len(words)) + 3)
    unknown = layer(np.array([None, np.nan, b"\xff\xff", "q" * 1_000_000], object))
    assert int(unknown.max()) < 3
    assert L.Hashing(3)(np.array(HOSTILE[:8], object)).shape == (8,)


def test_encoding_is_that_of_bytes():
    for cls in (L.StringLookup, L.TextVectorization):
        layer = cls(vocabulary=["é", "a"], encoding="latin-1")
        words = np.array(["é", "é".encode("latin-1"), b"a"], object)
        np.testing.assert_array_equal(np.ravel(layer(words)) - layer(["é"]).ravel(), [0, 0, 1])


def test_ragged_is_an_array_of_arrays():
    layer = L.TextVectorization(ragged=True, vocabulary=["a", "b"])
    rows = layer(["a b", "", "b"])
    assert isinstance(rows, np.ndarray)
    assert [row.tolist() for row in rows] == [[2, 3], [], [3]]
    # Lists of different lengths go in, too.
    for inputs in ([["a", "b"], ["q"]], [["a"], []]):
        expected = [[{"a": 1, "b": 2}.get(w, 0) for w in row] for row in inputs]
        lookup = L.StringLookup(vocabulary=["a", "b"])
        assert [row.tolist() for row in lookup(inputs)] == expected
    counts = L.StringLookup(vocabulary=["a", "b"], output_mode="count")([["a", "a"], ["q"]])
    assert counts.tolist() == [[0, 2, 0], [1, 0, 0]]
    no_split = L.TextVectorization(split=None, vocabulary=["a", "b"])
    assert no_split([["a", "b"], ["q"]]).tolist() == [[2, 3], [1, 0]]


# Integers -----------------------------------------------------------------------------------------


def test_all_bits_of_integers_count():
    numbers = [2**53, 2**53 + 1, -(2**63), 2**63 - 1]
    layer = L.IntegerLookup(vocabulary=numbers)
    assert layer(np.array(numbers)).tolist() == [1, 2, 3, 4]
    assert layer(np.array([2**53 + 2, 2**53 - 1])).tolist() == [0, 0]
    learned = L.IntegerLookup()
    learned.adapt(np.array([*numbers, 2**53 + 1]))
    assert learned.get_vocabulary()[1] == 2**53 + 1
    inverse = L.IntegerLookup(vocabulary=numbers, invert=True)
    assert inverse._host_call(np.array([1, 2, 9])).tolist() == [2**53, 2**53 + 1, -1]
    with pytest.raises(ValueError, match=r"don't fit into int32.*jax_enable_x64"):
        inverse(np.array([1]))


def test_floats_and_missing_numbers():
    layer = L.IntegerLookup(vocabulary=[1, 2])
    masked = L.IntegerLookup(vocabulary=[1, 2], mask_token=0)
    for column in (np.array([1.0, np.nan, 2.0]), np.array([1, None, 2], object)):
        assert layer(column).tolist() == [1, 0, 2]
        assert masked(column).tolist() == [2, 0, 3]
        layer2 = L.IntegerLookup()
        layer2.adapt(column)
        assert layer2.get_vocabulary() == [-1, 2, 1]
    for wrong in (
        np.array([1.5]),
        np.array([1e300]),
        np.array([np.inf]),
        np.array([2**64 - 1], "uint64"),
    ):
        with pytest.raises(ValueError, match=r"whole numbers|below 2\*\*63"):
            layer(wrong)
    with pytest.raises(ValueError, match="more than 64 bits"):
        layer(np.array([2**70], object))
    with pytest.raises(TypeError, match="whole numbers; received '1'"):
        layer(["1"])


# Errors -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make, match",
    [
        (lambda: L.StringLookup(output_mode="x"), "output_mode should be one of 'int'"),
        (
            lambda: L.StringLookup(num_oov_indices=-1),
            "num_oov_indices should be an int of at least",
        ),
        (lambda: L.StringLookup(max_tokens=1), "max_tokens should be an int of at least 2"),
        (lambda: L.StringLookup(max_tokens=2, mask_token=""), "leaves no room"),
        (lambda: L.StringLookup(invert=True, output_mode="count"), "'int' with invert=True"),
        (lambda: L.StringLookup(sparse=True, output_mode="count"), "sparse should be False"),
        (lambda: L.StringLookup(pad_to_max_tokens=True), "needs max_tokens"),
        (lambda: L.StringLookup(salt="x"), "salt should be an int or two"),
        (lambda: L.StringLookup(vocabulary=[]), "should not be empty"),
        (lambda: L.StringLookup(vocabulary=["a", "a"]), r"tokens twice: \['a'\]"),
        (lambda: L.StringLookup(vocabulary=["a", None]), "a missing value"),
        (lambda: L.StringLookup(vocabulary=[["a"]]), "vocabulary should be a list"),
        (lambda: L.StringLookup(vocabulary=["a", ""], mask_token=""), "mask token '' is not at"),
        (lambda: L.StringLookup(vocabulary=["a", "b"], max_tokens=2), "max_tokens is 2"),
        (lambda: L.StringLookup(mask_token="a", oov_token="a"), "should differ"),
        (lambda: L.StringLookup(idf_weights=[1.0]), "belong to output_mode='tf_idf'"),
        (lambda: L.StringLookup(idf_weights=[1.0], output_mode="tf_idf"), "need a vocabulary"),
        (lambda: L.StringLookup(vocabulary=["a"], output_mode="tf_idf"), "needs idf_weights"),
        (
            lambda: L.StringLookup(vocabulary=["a"], output_mode="tf_idf", idf_weights=[1, 2]),
            "one for each of the 1 tokens",
        ),
        (lambda: L.IntegerLookup(vocabulary_dtype="int32"), "should be one of 'int64'"),
        (lambda: L.IntegerLookup(salt=1), "needs oov_method='farmhash'"),
        (lambda: L.Hashing(0), "num_bins should be a positive int"),
        (lambda: L.Hashing(3, dtype="float32"), "an integer type with output_mode='int'"),
        (lambda: L.HashedCrossing(3, output_mode="count"), "one of 'int', 'one_hot'"),
        (lambda: L.TextVectorization(standardize="up"), "standardize should be one of"),
        (lambda: L.TextVectorization(split="comma"), "split should be one of"),
        (lambda: L.TextVectorization(ngrams=0), "ngrams should be a positive int"),
        (lambda: L.TextVectorization(output_mode="one_hot"), "output_mode should be one of"),
        (lambda: L.TextVectorization(output_sequence_length=0), "should be a positive int"),
        (lambda: L.TextVectorization(ragged=True, output_mode="count"), "about rows of numbers"),
        (lambda: L.CategoryEncoding(), "num_tokens should be a positive int"),
        (lambda: L.CategoryEncoding(3, "int"), "output_mode should be one of"),
        (lambda: L.Discretization(), "takes bin_boundaries, or num_bins"),
        (lambda: L.Discretization([2.0, 1.0]), "in ascending order"),
        (lambda: L.Discretization(num_bins=0), "num_bins should be a positive int"),
        (lambda: L.Discretization(num_bins=2, epsilon=0), "epsilon should be between"),
    ],
)
def test_wrong_arguments(make, match):
    with pytest.raises(ValueError, match=match):
        make()


def test_wrong_inputs():
    words = L.StringLookup(vocabulary=["a"])
    with pytest.raises(TypeError, match=r"should be strings.*there is IntegerLookup"):
        words([1, 2])
    with pytest.raises(TypeError, match="takes strings; received 1"):
        words(np.array(["a", 1], object))
    with pytest.raises(ValueError, match="no vocabulary yet"):
        L.StringLookup()(["a"])
    with pytest.raises(ValueError, match=r"num_oov_indices=0 .*\['q', None\]"):
        L.StringLookup(vocabulary=["a"], num_oov_indices=0)(np.array(["q", "a", None], object))
    texts = L.TextVectorization(vocabulary=["a"])
    with pytest.raises(ValueError, match=r"of shape \(batch,\) or \(batch, 1\).*split=None"):
        texts([["a", "b"]])
    with pytest.raises(TypeError, match="should be strings"):
        texts([1.5])
    crossing = L.HashedCrossing(3)
    with pytest.raises(ValueError, match="two features or more"):
        crossing([np.array(["a"])])
    with pytest.raises(ValueError, match="all of one shape"):
        crossing([np.array(["a"]), np.array(["a", "b"])])
    with pytest.raises(TypeError, match="strings or integers"):
        crossing([np.array(["a"]), np.array([0.5])])
    with pytest.raises(ValueError, match="count_weights are for"):
        L.CategoryEncoding(3)([[1]], count_weights=[[1.0]])
    with pytest.raises(ValueError, match="no bin_boundaries yet"):
        L.Discretization(num_bins=3)(np.ones(3))


# Learning -----------------------------------------------------------------------------------------


def batches():
    yield np.array(["b", "a"], object)
    yield ["b", "c"]


def sources():
    words = ["b", "a", "b", "c"]
    yield "list", words
    yield "rows", [["b", "a"], ["b", "c"]]
    yield "array", np.array(words)
    yield "objects", np.array(words, object)
    yield "generator", batches()
    yield "batches with targets", [(np.array(words[:2]), [0, 1]), (np.array(words[2:]), [0, 1])]
    for package, column in (("pandas", "Series"), ("polars", "Series"), ("pyarrow", "array")):
        yield package, getattr(pytest.importorskip(package), column)(words)


def test_sources_of_adapt():
    for name, data in sources():
        layer = L.StringLookup()
        layer.adapt(data)
        assert layer.get_vocabulary() == ["[UNK]", "b", "c", "a"], name
    numbers = L.IntegerLookup()
    numbers.adapt(jnp.array([3, 3, 7]))
    assert numbers.get_vocabulary() == [-1, 3, 7]


def test_adapt_by_steps_and_by_hand():
    layer = L.TextVectorization()
    layer.adapt(["a b", "c", "d"], batch_size=2, steps=1)
    assert layer.get_vocabulary() == ["", "[UNK]", "c", "b", "a"]
    layer.reset_state()
    layer.update_state(["x x"])
    layer.update_state(["y"])
    assert layer.vocabulary_size() == 5
    layer.finalize_state()
    assert layer.get_vocabulary(include_special_tokens=False) == ["x", "y"]
    layer.reset_state()
    layer.finalize_state()
    assert layer.vocabulary_size() == 4
    with pytest.raises(ValueError, match="given its vocabulary"):
        L.TextVectorization(vocabulary=["a"]).adapt(["b"])
    for data in ([], ["", " "], np.array([], object)):
        with pytest.raises(ValueError, match=r"at least one example|no token"):
            layer.adapt(data)


@pytest.mark.parametrize(
    "make, data",
    [
        (lambda: L.TextVectorization(output_mode="tf_idf"), ["a", "b"]),
        (lambda: L.Discretization(num_bins=2), [1.0, 2.0]),
    ],
)
def test_interrupted_adapt_changes_nothing(make, data):
    def interrupted():
        yield np.array(data) if isinstance(data[0], float) else np.array(["q", "r", "s"])
        raise KeyboardInterrupt

    layer = make()
    layer.adapt(data)
    before = layer(data)
    with pytest.raises(KeyboardInterrupt):
        layer.adapt(interrupted())
    np.testing.assert_array_equal(layer(data), before)


def test_tf_idf_of_parts_is_that_of_the_whole():
    texts = ["a b a", "b c", "", "d d a"] * 3
    whole, parts = (L.TextVectorization(output_mode="tf_idf") for _ in range(2))
    whole.adapt(texts)
    parts.adapt(texts, batch_size=5)
    assert whole.get_vocabulary() == parts.get_vocabulary()
    np.testing.assert_array_equal(whole(texts), parts(texts))
    n, d = 12, 6  # texts, and those with an "a"
    a = whole.get_vocabulary().index("a")
    np.testing.assert_allclose(whole(["a a"])[0, a], 2 * np.log(1 + n / (1 + d)), rtol=1e-6)


def test_quantiles_are_within_epsilon():
    rng = np.random.default_rng(0)
    data = np.concatenate([rng.normal(size=7001), rng.normal(5, 0.1, 333), np.full(500, np.nan)])
    known = data[~np.isnan(data)]
    for cut in (1, 7, 60):
        layer = L.Discretization(num_bins=8, epsilon=0.02)
        layer.adapt(np.array_split(rng.permutation(data), cut))
        shares = [(known < b).mean() for b in layer.bin_boundaries]
        np.testing.assert_allclose(shares, np.arange(1, 8) / 8, atol=0.02)


def test_many_words(tmp_path):
    """`scripts/nightly` runs it with 5 million; here they are few."""
    count = int(os.environ.get("WORDS", "20000"))
    words = [f"word{i}" for i in range(count)]
    layer = L.TextVectorization(split=None, standardize=None)
    layer.adapt(np.array(words, object))
    assert layer.vocabulary_size() == count + 2
    numbers = np.asarray(layer(np.array(words, object)))
    assert sorted(numbers.tolist()) == list(range(2, count + 2))
    keras.Sequential([keras.Input((1,), dtype="string"), layer]).save(tmp_path / "m.keras")
    copy = keras.saving.load_model(tmp_path / "m.keras").layers[0]
    some = np.array([[words[0], words[-1], "unknown"]], object)
    np.testing.assert_array_equal(copy(some), layer(some))
    number = dict(zip(words, numbers.tolist()))
    assert copy(some).tolist() == [[number[words[0]], number[words[-1]], 1]]
