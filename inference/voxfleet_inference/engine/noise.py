"""The noise that a sentence is made from: Philox4x32-10 and Box-Muller, on the host.

Knows: counters, keys and the order of numbers in a patch. The same arguments give the same bits on every device.
Does not know: models, batches or global random state.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

_ROUNDS: Final = 10
_MULTIPLIERS: Final = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_KEY_STEPS: Final = (0x9E3779B9, 0xBB67AE85)
_LOW_BITS: Final = np.uint64(0xFFFFFFFF)
_WORD_BITS: Final = np.uint64(32)
_TWO_TO_32: Final = 4294967296.0
_WORDS_PER_BLOCK: Final = 4
MAX_SEED: Final = 2**63 - 1


def philox4x32(counters: npt.NDArray[np.uint64], key: tuple[int, int]) -> npt.NDArray[np.uint64]:
    """Ten rounds of Philox over 32-bit words kept in 64-bit lanes; `counters` is [blocks, 4]."""
    c0, c1, c2, c3 = (counters[:, word] for word in range(_WORDS_PER_BLOCK))
    k0, k1 = key
    for _ in range(_ROUNDS):
        first, second = _MULTIPLIERS[0] * c0, _MULTIPLIERS[1] * c2
        c0, c1, c2, c3 = (
            (second >> _WORD_BITS) ^ c1 ^ np.uint64(k0),
            second & _LOW_BITS,
            (first >> _WORD_BITS) ^ c3 ^ np.uint64(k1),
            first & _LOW_BITS,
        )
        k0, k1 = (k0 + _KEY_STEPS[0]) & 0xFFFFFFFF, (k1 + _KEY_STEPS[1]) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], axis=1)  # [blocks, 4]


def patch_noise(  # noqa: PLR0913, PLR0917 - the six numbers that name one patch's noise
    seed: int, sentence: int, attempt: int, step: int, patch_size: int, feat_dim: int
) -> npt.NDArray[np.float32]:
    """Standard normal noise of one patch, float32 [patch_size, feat_dim].

    The key is the seed; the counter is (block, step, sentence, attempt), so no two patches share a block.
    """
    values = patch_size * feat_dim
    blocks = -(-values // _WORDS_PER_BLOCK)
    counters = np.zeros((blocks, _WORDS_PER_BLOCK), dtype=np.uint64)
    counters[:, 0] = np.arange(blocks, dtype=np.uint64)
    counters[:, 1:] = np.array([step, sentence, attempt], dtype=np.uint64)
    words = philox4x32(counters, (seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF))
    return _box_muller(words).reshape(-1)[:values].reshape(patch_size, feat_dim)


def _box_muller(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.float32]:
    """Pairs of words to pairs of normal numbers; computed in float64, rounded once."""
    uniform = words.astype(np.float64).reshape(-1, 2)  # [pairs, 2]
    radius = np.sqrt(-2.0 * np.log((uniform[:, 0] + 1.0) / _TWO_TO_32))
    angle = 2.0 * np.pi * (uniform[:, 1] / _TWO_TO_32)
    pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return pairs.astype(np.float32)
