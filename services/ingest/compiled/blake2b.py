"""BLAKE2b without a key, with a digest of up to 16 bytes (RFC 7693), in a form that numba compiles.

Written in 64-bit words as the standard has it; a test holds it against `hashlib`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

BLOCK_BYTES = 128

_IV = np.array(
    [
        0x6A09E667F3BCC908, 0xBB67AE8584CAA73B, 0x3C6EF372FE94F82B, 0xA54FF53A5F1D36F1,
        0x510E527FADE682D1, 0x9B05688C2B3E6C1F, 0x1F83D9ABFB41BD6B, 0x5BE0CD19137E2179,
    ],
    np.uint64,
)  # fmt: skip
_SIGMA = np.array(
    [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
        [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
        [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
        [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
        [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
        [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
        [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
        [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
        [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
    ],
    np.uint64,
)
"""Unsigned: an index that may be negative costs a look each time."""
_PARAMETERS = np.uint64(0x01010000)
"""No key, one leaf: the first word of the parameter block, but for the size of the digest."""
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
_R16, _R24, _R32, _R63 = np.uint64(16), np.uint64(24), np.uint64(32), np.uint64(63)
_L48, _L40, _L1 = np.uint64(48), np.uint64(40), np.uint64(1)


def _mixed(a: Any, b: Any, c: Any, d: Any, x: Any, y: Any) -> Any:
    """The function G of the standard."""
    a = a + b + x
    d = d ^ a
    d = (d >> _R32) | (d << _R32)
    c = c + d
    b = b ^ c
    b = (b >> _R24) | (b << _L40)
    a = a + b + y
    d = d ^ a
    d = (d >> _R16) | (d << _L48)
    c = c + d
    b = b ^ c
    b = (b >> _R63) | (b << _L1)
    return a, b, c, d


def _compress(h: Any, m: Any, counted: Any, last: Any) -> None:
    """The function F of the standard: the block ``m`` of sixteen words, into ``h``.

    ``counted``: bytes hashed with it; ``last``: all bits set for the last block, else none.
    """
    v0, v1, v2, v3, v4, v5, v6, v7 = h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7]
    v8, v9, v10, v11 = _IV[0], _IV[1], _IV[2], _IV[3]
    v12, v13, v14, v15 = _IV[4] ^ counted, _IV[5], _IV[6] ^ last, _IV[7]
    for turn in range(12):
        s = _SIGMA[turn]
        v0, v4, v8, v12 = _mixed(v0, v4, v8, v12, m[s[0]], m[s[1]])
        v1, v5, v9, v13 = _mixed(v1, v5, v9, v13, m[s[2]], m[s[3]])
        v2, v6, v10, v14 = _mixed(v2, v6, v10, v14, m[s[4]], m[s[5]])
        v3, v7, v11, v15 = _mixed(v3, v7, v11, v15, m[s[6]], m[s[7]])
        v0, v5, v10, v15 = _mixed(v0, v5, v10, v15, m[s[8]], m[s[9]])
        v1, v6, v11, v12 = _mixed(v1, v6, v11, v12, m[s[10]], m[s[11]])
        v2, v7, v8, v13 = _mixed(v2, v7, v8, v13, m[s[12]], m[s[13]])
        v3, v4, v9, v14 = _mixed(v3, v4, v9, v14, m[s[14]], m[s[15]])
    h[0], h[1], h[2], h[3] = h[0] ^ v0 ^ v8, h[1] ^ v1 ^ v9, h[2] ^ v2 ^ v10, h[3] ^ v3 ^ v11
    h[4], h[5], h[6], h[7] = h[4] ^ v4 ^ v12, h[5] ^ v5 ^ v13, h[6] ^ v6 ^ v14, h[7] ^ v7 ^ v15


def blake2b(words: Any, length: int, size: int, h: Any) -> None:
    """Hash the first ``length`` bytes, at least one, of ``words``; ``h`` begins with the digest.

    ``words``: uint64, little-endian, with nothing but zeros between ``length`` and the end of its
    block. ``size``: bytes of the digest. ``h``: eight uint64 to work in.
    """
    for each in range(8):
        h[each] = _IV[each]
    h[0] ^= _PARAMETERS ^ np.uint64(size)
    done = 0
    while length - done > BLOCK_BYTES:
        _compress(h, words[done // 8 :], np.uint64(done + BLOCK_BYTES), np.uint64(0))
        done += BLOCK_BYTES
    _compress(h, words[done // 8 :], np.uint64(length), _ALL)
