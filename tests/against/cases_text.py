"""Rows for layers that Keras has on TensorFlow only: strings, hashes, 64-bit integers.

`scripts/record_text` runs them there, and `test_text.py` here. A row is a name, a layer, its
arguments, data to adapt it to (or `None`), and inputs.
"""

import string

WORDS = ["a", "b", "c"]
ROWS = [["a", "c", "z"], ["b", "", "a"]]
NUMBERS = [10, 20, 2**62 + 1, -5]
TEXTS = [
    "Hello, World!  foo",
    "the\tquick\nBROWN fox's ÉTÉ straße",
    "",
    'a-b_c <x> "q" `t` {y}~ |p|',
    "hello\x0bhello\x0cfoo\rthe\x1cend\x85of\u00a0a\u2003line\u3000x",
    "ש\u05bcל\u05d5\u05dd world \u202eabc a\0b",
]
VOCABULARY = ["hello", "world", "foo", "the", "quick", "ÉtÉ", "hello world", "h", " ", "é"]
# One of each length that FarmHash treats in another way, and of others.
STRINGS = ["", *("xyzé"[: n % 4] + "w" * n for n in range(70)), "v" * 127, "u" * 128, "t" * 1000]
INTEGERS = [0, 1, -1, 7, 123456789, 2**53 + 1, 2**63 - 1, -(2**63)]

CASES = []


def case(name, layer, kwargs, inputs, data=None):
    CASES.append((name, layer, kwargs, data, inputs))


# StringLookup
for mode in ("int", "one_hot", "multi_hot", "count"):
    for mask in (None, "", "b"):
        words = [w for w in WORDS if w != mask]
        kwargs = {"vocabulary": words, "output_mode": mode, "mask_token": mask}
        case(f"{mode}, mask {mask!r}", "StringLookup", kwargs, ROWS)
    case(f"{mode}, one row", "StringLookup", {"vocabulary": WORDS, "output_mode": mode}, ["c", "q"])
    case(f"{mode}, scalar", "StringLookup", {"vocabulary": WORDS, "output_mode": mode}, "c")
    column = [["a"], ["q"]]
    case(f"{mode}, column", "StringLookup", {"vocabulary": WORDS, "output_mode": mode}, column)
    kwargs = {"output_mode": mode, "num_oov_indices": 3, "mask_token": ""}
    case(f"{mode}, adapted", "StringLookup", kwargs, ROWS, ["a", "z", "z", "", "é", "Z"])
    if mode != "int":
        kwargs = {"max_tokens": 7, "pad_to_max_tokens": True, "output_mode": mode}
        case(f"{mode}, padded", "StringLookup", {"vocabulary": WORDS, **kwargs}, ROWS)
unknown = [[f"w{i}", "é" * i] for i in range(20)]
for salt in (None, 5, [1, 2], [133, 137]):
    kwargs = {"vocabulary": WORDS, "num_oov_indices": 7, "salt": salt}
    case(f"unknown, salt {salt}", "StringLookup", kwargs, unknown)
case("no unknown", "StringLookup", {"vocabulary": WORDS, "num_oov_indices": 0}, ["a", "c"])
case("oov_token", "StringLookup", {"vocabulary": WORDS, "oov_token": "b"}, ["a", "c"])
case(
    "special ones", "StringLookup", {"vocabulary": ["", "[UNK]", "a"], "mask_token": ""}, ["a", "q"]
)
case("oov_token within", "StringLookup", {"vocabulary": ["a", "[UNK]"]}, ["a", "q", "[UNK]"])
weights = {"output_mode": "tf_idf", "vocabulary": WORDS, "idf_weights": [0.5, 0.6, 0.8]}
case("weights", "StringLookup", weights, ROWS)
case("weights, 2 unknown", "StringLookup", {**weights, "num_oov_indices": 2}, ROWS)
padding = {"max_tokens": 7, "pad_to_max_tokens": True}
case("weights, padded", "StringLookup", {**weights, **padding}, ROWS)
documents = [["a", "b", "d", ""], ["a", "c", "d", ""], ["a", "a", "d", ""]]
for extra in ({}, {"mask_token": ""}, {"max_tokens": 3}, padding):
    kwargs = {"output_mode": "tf_idf", **extra}
    case(f"tf_idf {extra}", "StringLookup", kwargs, [["a", "z", ""]], documents)
case("tf_idf, words", "StringLookup", {"output_mode": "tf_idf"}, [["a", "z"]], ["a", "b", "a", "c"])
ties = ["b", "a", "c", "a", "b", "d", "c", "é", "Z", "\U0001f600", "\uffee"]
case("ties", "StringLookup", {}, ties, ties)
case("ties, cut", "StringLookup", {"max_tokens": 4}, ties, ties)
case("special in data", "StringLookup", {"mask_token": "d"}, ties, [*ties, "[UNK]", "[UNK]"])
for extra in ({}, {"mask_token": ""}, {"num_oov_indices": 2}):
    kwargs = {"vocabulary": WORDS, "invert": True, **extra}
    case(f"invert {extra}", "StringLookup", kwargs, [[0, 1, 2, 3], [4, 5, 9, -1]])

# IntegerLookup
for mode in ("int", "one_hot", "multi_hot", "count"):
    kwargs = {"vocabulary": NUMBERS, "output_mode": mode}
    case(f"integers, {mode}", "IntegerLookup", kwargs, [[10, 7, -5], [2**62 + 1, 2**62, 20]])
case("integers, mask", "IntegerLookup", {"vocabulary": [1, 2], "mask_token": 0}, [0, 1, 2, 3])
for kwargs in ({}, {"oov_method": "farmhash"}, {"oov_method": "farmhash", "salt": [3, 4]}):
    kwargs = {"vocabulary": NUMBERS, "num_oov_indices": 5, **kwargs}
    case(f"integers, unknown {kwargs}", "IntegerLookup", kwargs, INTEGERS)
case("integers, ties", "IntegerLookup", {}, [3, 1], [3, 1, 2, 10, -5, 9, 3, -1, -1])
case("integers, invert", "IntegerLookup", {"vocabulary": [4, 6], "invert": True}, [0, 1, 2, 3])
kwargs = {"output_mode": "tf_idf", "max_tokens": 4}
case("integers, tf_idf", "IntegerLookup", kwargs, [[1, 5, 1]], [[1, 2], [1, 3], [2, 2], [7, 1]])

# Hashing and HashedCrossing
for salt in (None, 133, [133, 137]):
    case(f"hashes, salt {salt}", "Hashing", {"num_bins": 2**31 - 1, "salt": salt}, STRINGS)
    case(f"hashed ints, salt {salt}", "Hashing", {"num_bins": 1000, "salt": salt}, INTEGERS)
for mode in ("one_hot", "multi_hot", "count"):
    case(
        f"hashes, {mode}", "Hashing", {"num_bins": 4, "output_mode": mode}, [["a", "b"], ["c", "c"]]
    )
case("hashes, mask", "Hashing", {"num_bins": 10, "mask_value": ""}, ["a", "", "b"])
case("hashed ints, mask", "Hashing", {"num_bins": 10, "mask_value": 1}, [0, 1, 2])
for bins in (10, 2**31 - 1):
    case(f"crossed, {bins}", "HashedCrossing", {"num_bins": bins}, (STRINGS[:8], INTEGERS))
case("crossed ints", "HashedCrossing", {"num_bins": 100}, (INTEGERS, INTEGERS[::-1]))
three = ([["a"], ["b"]], [[1], [2]], [["c"], ["d"]])
case("crossed, three", "HashedCrossing", {"num_bins": 100}, three)
kwargs = {"num_bins": 4, "output_mode": "one_hot"}
case("crossed, one_hot", "HashedCrossing", kwargs, (["a", "b"], [1, 2]))

# TextVectorization
for standardize in (None, "lower", "strip_punctuation", "lower_and_strip_punctuation"):
    for split in (None, "whitespace", "character"):
        kwargs = {"standardize": standardize, "split": split}
        texts = [*TEXTS, string.printable]
        if split == "character":  # Keras loses a NUL at the end of a token
            texts = [text.replace("\0", "") for text in texts]
        case(f"{kwargs}", "TextVectorization", kwargs, texts, texts)
for ngrams in (2, 3, (2,), (2, 1), (1, 3)):
    kwargs = {"ngrams": ngrams}
    case(f"{kwargs}", "TextVectorization", kwargs, TEXTS, TEXTS)
    kwargs["output_mode"] = "count"
    case(f"{kwargs}", "TextVectorization", kwargs, TEXTS[::-1], TEXTS)
case(
    "n-grams of characters",
    "TextVectorization",
    {"ngrams": 2, "split": "character"},
    ["ab"],
    ["abc"],
)
for length in (2, 9):
    kwargs = {"vocabulary": VOCABULARY, "output_sequence_length": length}
    case(f"length {length}", "TextVectorization", kwargs, TEXTS)
    case(f"length {length}, column", "TextVectorization", kwargs, [[t] for t in TEXTS])
    case(f"length {length}, scalar", "TextVectorization", kwargs, TEXTS[0])
    kwargs = {**kwargs, "split": None}
    case(
        f"length {length}, no split", "TextVectorization", kwargs, [["Hello", "foo"], ["z", "the"]]
    )
kwargs = {"vocabulary": VOCABULARY, "split": None}
case("no split", "TextVectorization", kwargs, [["Hello", "foo"], ["z", "the"]])
case("no split, a row", "TextVectorization", kwargs, ["Hello", "foo"])
case("no split, n-grams", "TextVectorization", {**kwargs, "ngrams": 2}, [["Hello", "world"]])
case("ragged", "TextVectorization", {"vocabulary": VOCABULARY, "ragged": True}, TEXTS)
kwargs = {"vocabulary": VOCABULARY, "ragged": True, "output_sequence_length": 2}
case("ragged, length 2", "TextVectorization", kwargs, TEXTS)
for mode in ("multi_hot", "count", "tf_idf"):
    kwargs = {"output_mode": mode}
    case(f"texts, {mode}", "TextVectorization", kwargs, TEXTS, TEXTS)
    case(f"a text, {mode}", "TextVectorization", kwargs, TEXTS[0], TEXTS)
    case(f"no word, {mode}", "TextVectorization", kwargs, ["", " \t"], TEXTS)
    kwargs = {"max_tokens": 12, "pad_to_max_tokens": True, **kwargs}
    case(f"texts, {kwargs}", "TextVectorization", kwargs, [[t] for t in TEXTS], TEXTS)
