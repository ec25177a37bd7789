"""Poisson(1) weights of the dialogue bootstrap, as a pure function of the dialogue.

A Poisson bootstrap gives every dialogue an independent weight in every replicate, so that replicates are built in one
pass over data that is spread over machines (Hanley and MacGibbon 2006; Chamandy et al. 2012). Here the weights come
from a hash of the session id: the same data gives the same interval, however it is partitioned; and a dialogue weighs
the same in every condition, which is what paired differences need.
"""

from __future__ import annotations

import math

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_LANES = 4  # one 64-bit word gives four weights


def _poisson_table() -> np.ndarray:
    """float64 (65536,): the weight that each 16-bit number stands for; shares are off by at most 2**-16, and so is
    the mean. (Beyond 8, whose share is below that, no weight occurs.)"""
    shares = np.cumsum([math.exp(-1) / math.factorial(k) for k in range(9)])
    uniform = (np.arange(1 << 16) + 0.5) / (1 << 16)
    return np.minimum(np.searchsorted(shares, uniform), 8).astype(np.float64)


_TABLE = _poisson_table()


def _mix(x: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014), in place; uint64 of any shape."""
    x ^= x >> np.uint64(30)
    x *= np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> np.uint64(27)
    x *= np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return x


def poisson_weights(dialogues: np.ndarray, replicates: int) -> np.ndarray:
    """float64 (len(dialogues), replicates), values 0, 1, 2, ..., mean 1, variance 1.

    dialogues: int64 or uint64 hashes of session ids, well mixed or not. Takes about 4 ns a weight on one core.
    """
    words = -(-replicates // _LANES)
    start = _mix(dialogues.astype(np.int64).view(np.uint64) + _GOLDEN)
    steps = _GOLDEN * np.arange(1, words + 1, dtype=np.uint64)
    random = _mix(start[:, None] + steps[None, :])
    # "<u8" fixes which lane comes first, so that machines of either byte order agree.
    return _TABLE[random.astype("<u8", copy=False).view("<u2")[:, :replicates]]
