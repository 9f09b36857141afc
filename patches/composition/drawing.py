"""Which entries of a delta are dropped: drawn by counting, the same on every machine.

SplitMix64 (Steele, Lea, Flood 2014, "Fast Splittable Pseudorandom Number Generators", OOPSLA) gives
the i-th entry of a tensor a 64-bit number of its own: mix(key + (i + 1)·0x9E3779B97F4A7C15). The
key is the first 8 bytes, little-endian, of the sha256 of "SEED DIGEST TENSOR", DIGEST being that of
the member's version. The entry is dropped if the upper 53 bits are below p·2⁵³.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E37_79B9_7F4A_7C15)
_FIRST = np.uint64(0xBF58_476D_1CE4_E5B9)
_SECOND = np.uint64(0x94D0_49BB_1331_11EB)


def key_of(seed: int, digest: str, tensor: str) -> int:
    """Where the numbers of one member on one tensor begin."""
    return int.from_bytes(
        hashlib.sha256(f"{seed} {digest} {tensor}".encode()).digest()[:8], "little"
    )


def is_dropped(key: int, start: int, count: int, drop: float) -> NDArray[np.bool_]:
    """For each of `count` entries from flat index `start` on, whether it is dropped."""
    state = np.arange(start + 1, start + count + 1, dtype=np.uint64) * _GOLDEN + np.uint64(key)
    state = (state ^ (state >> np.uint64(30))) * _FIRST
    state = (state ^ (state >> np.uint64(27))) * _SECOND
    state ^= state >> np.uint64(31)
    return (state >> np.uint64(11)).astype(np.float64) < drop * 2.0**53
