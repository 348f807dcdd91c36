"""Hashes of strings, many at a time: the values that TensorFlow gives, so that files stay valid.

`fingerprint` is FarmHash's Fingerprint64 (https://github.com/google/farmhash), `keyed` is
SipHash-2-4 (Aumasson & Bernstein, 2012, https://cr.yp.to/siphash/siphash-20120918.pdf). Strings
of one length are the rows of a matrix, so each formula is written once, for columns.
"""

import collections

import numpy as np

from ..core.messages import expected

_K0, _K1, _K2 = (np.uint64(k) for k in (0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F))
# What TensorFlow starts a crossing with, and multiplies by.
_CROSSING_KEY, _CROSSING_FACTOR = np.uint64(0xDECAFCAFFE), np.uint64(0xC6A4A7935BD1E995)


def fingerprint(strings):
    """The fingerprints of a list of bytes, as an array of uint64."""
    return _by_length(strings, _farm)


def keyed(strings, key):
    """The SipHash-2-4 of a list of bytes under a key of two integers, as an array of uint64."""
    words = [np.uint64(k % 2**64) for k in key]
    return _by_length(strings, lambda rows: _sip(rows, words))


def crossed(hashes):
    """One hash of several arrays of hashes (uint64), element by element."""
    with np.errstate(over="ignore"):
        result = np.full_like(hashes[0], _CROSSING_KEY)
        for fp in hashes:
            mixed = _mix(fp * _CROSSING_FACTOR) * _CROSSING_FACTOR
            result = ((result ^ _CROSSING_FACTOR) ^ mixed) * _CROSSING_FACTOR
            result = _mix(_mix(result) * _CROSSING_FACTOR)
    return result


def _by_length(strings, function):
    hashes = np.empty(len(strings), np.uint64)
    groups = collections.defaultdict(list)
    for i, string in enumerate(strings):
        groups[len(string)].append(i)
    with np.errstate(over="ignore"):  # arithmetic is modulo 2**64
        for length, members in groups.items():
            data = b"".join([strings[i] for i in members])
            rows = np.frombuffer(data, np.uint8).reshape(len(members), length)
            hashes[members] = function(rows)
    return hashes


def _word(rows, at, bytes=8):
    """The number in `bytes` columns of `rows` from column `at` (from the end if negative)."""
    at %= rows.shape[1]
    part = np.ascontiguousarray(rows[:, at : at + bytes])
    return part.view(f"<u{bytes}")[:, 0].astype(np.uint64)


def _mix(v):
    return v ^ (v >> np.uint64(47))


def _right(v, n):
    return (v >> np.uint64(n)) | (v << np.uint64(64 - n))


def _left(v, n):
    return _right(v, 64 - n)


# FarmHash ----------------------------------------------------------------------------------------


def _farm(rows):
    length = rows.shape[1]
    if length > 64:
        return _farm_long(rows)
    if length == 0:
        return np.full(len(rows), _K2)
    factor = _K2 + np.uint64(2 * length)
    if length < 4:
        first, middle, last = (rows[:, i].astype(np.uint64) for i in (0, length >> 1, length - 1))
        y, z = first + (middle << np.uint64(8)), np.uint64(length) + (last << np.uint64(2))
        return _mix((y * _K2) ^ (z * _K0)) * _K2
    if length < 8:
        start = np.uint64(length) + (_word(rows, 0, 4) << np.uint64(3))
        return _pair(start, _word(rows, -4, 4), factor)
    if length <= 16:
        a, b = _word(rows, 0) + _K2, _word(rows, -8)
        return _pair(_right(b, 37) * factor + a, (_right(a, 25) + b) * factor, factor)
    a = _word(rows, 0) * (_K1 if length <= 32 else _K2)
    b, c, d = _word(rows, 8), _word(rows, -8) * factor, _word(rows, -16) * _K2
    y = _right(a + b, 43) + _right(c, 30) + d
    z = _pair(y, a + _right(b + _K2, 18) + c, factor)
    if length <= 32:
        return z
    e, f = _word(rows, 16) * factor, _word(rows, 24)
    g, h = (y + _word(rows, -32)) * factor, (z + _word(rows, -24)) * factor
    return _pair(_right(e + f, 43) + _right(g, 30) + h, e + _right(f + a, 18) + g, factor)


def _pair(u, v, factor):
    a = _mix((u ^ v) * factor)
    return _mix((v ^ a) * factor) * factor


def _farm_long(rows):
    count, length = rows.shape
    seed = np.uint64(81)
    y = np.full(count, seed * _K1 + np.uint64(113))
    z = _mix(y * _K2 + np.uint64(113)) * _K2
    x = seed * _K2 + _word(rows, 0)
    v = w = (np.zeros_like(x), np.zeros_like(x))
    end = (length - 1) // 64 * 64
    for at in range(0, end, 64):
        x, y, z, v, w = _farm_block(rows, at, x, y, z, v, w, _K1, 1)
    factor = _K1 + ((z & np.uint64(255)) << np.uint64(1))
    rest = w[0] + np.uint64((length - 1) & 63)
    v = (v[0] + rest, v[1])
    w = (rest + v[0], w[1])
    x, y, z, v, w = _farm_block(rows, length - 64, x, y, z, v, w, factor, 9)
    return _pair(
        _pair(v[0], w[0], factor) + _mix(y) * _K0 + z,
        _pair(v[1], w[1], factor) + x,
        factor,
    )


def _farm_block(rows, at, x, y, z, v, w, factor, weight):
    """One round over the 64 columns from `at`."""
    words = [_word(rows, at + i) for i in range(0, 64, 8)]
    weight = np.uint64(weight)
    x = _right(x + y + v[0] + words[1], 37) * factor
    y = _right(y + v[1] + words[6], 42) * factor
    x = x ^ (w[1] * weight)
    y = y + v[0] * weight + words[5]
    z = _right(z + w[0], 33) * factor
    v = _weak(words[:4], v[1] * factor, x + w[0])
    w = _weak(words[4:], z + w[1], y + words[2])
    return z, y, x, v, w


def _weak(words, a, b):
    a = a + words[0]
    b = _right(b + a + words[3], 21)
    total = a + words[1] + words[2]
    return total + words[3], b + _right(total, 44) + a


# SipHash -----------------------------------------------------------------------------------------


def _sip(rows, key):
    count, length = rows.shape
    v = [
        np.full(count, key[i % 2] ^ np.uint64(constant))
        for i, constant in enumerate(
            (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)
        )
    ]
    # The last word holds what is left, and the length in its highest byte.
    padded = np.zeros((count, length // 8 * 8 + 8), np.uint8)
    padded[:, :length] = rows
    padded[:, -1] = length & 255
    for at in range(0, padded.shape[1], 8):
        word = _word(padded, at)
        v[3] ^= word
        v = _sip_rounds(v, 2)
        v[0] ^= word
    v[2] ^= np.uint64(255)
    v = _sip_rounds(v, 4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def _sip_rounds(v, count):
    a, b, c, d = v
    for _ in range(count):
        a, c = a + b, c + d
        b, d = _left(b, 13) ^ a, _left(d, 16) ^ c
        a = _left(a, 32)
        c, a = c + b, a + d
        b, d = _left(b, 17) ^ c, _left(d, 21) ^ a
        c = _left(c, 32)
    return [a, b, c, d]


def check_salt(owner, salt):
    """The key of a hash, `[k0, k1]`, from one int or two; `None` for none."""
    if salt is None:
        return None
    key = [salt, salt] if isinstance(salt, (int, np.integer)) else salt
    if isinstance(key, (list, tuple)) and len(key) == 2 and all(isinstance(k, int) for k in key):
        return list(key)
    raise ValueError(expected(f"{owner}'s salt", "an int or two of them", salt))
