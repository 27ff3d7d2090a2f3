"""The normal noise that patches are solved from: Philox4x32-10 and Box-Muller, on the host.

A counter-based generator, so a patch's noise depends on its key alone: not on the batch, the device or the order of
steps. The same arguments give the same bits everywhere.
Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011 (Philox); Box and Muller, 1958.

Knows: counters, keys and the order of numbers in a patch.
Does not know: models, batches or global random state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]
_ROUNDS: Final = 10
# Multipliers and key increments of Philox4x32, from the paper's reference code Random123.
_MULTIPLIERS: Final = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_KEY_STEPS: Final = (np.uint64(0x9E3779B9), np.uint64(0xBB67AE85))
_WORD: Final = 0xFFFFFFFF
_LOW_BITS: Final = np.uint64(_WORD)
_WORD_BITS: Final = np.uint64(32)
_TWO_TO_32: Final = 4294967296.0
_WORDS_PER_BLOCK: Final = 4
MAX_SEED: Final = 2**63 - 1  # the largest signed 64-bit integer


@dataclass(frozen=True, slots=True)
class NoiseKey:
    """What identifies one patch's noise."""

    seed: int
    sentence: int
    attempt: int
    step: int


def philox4x32(counters: Words, key: tuple[int, int] | tuple[Words, Words]) -> Words:
    """Ten rounds of Philox over 32-bit words kept in 64-bit lanes; `counters` is [blocks, 4], a key's half [blocks]."""
    c0, c1, c2, c3 = (counters[:, word] for word in range(_WORDS_PER_BLOCK))
    k0, k1 = (np.atleast_1d(np.asarray(half, np.uint64)) for half in key)
    for _ in range(_ROUNDS):
        first, second = _MULTIPLIERS[0] * c0, _MULTIPLIERS[1] * c2
        c0, c1, c2, c3 = (
            (second >> _WORD_BITS) ^ c1 ^ k0,
            second & _LOW_BITS,
            (first >> _WORD_BITS) ^ c3 ^ k1,
            first & _LOW_BITS,
        )
        k0, k1 = (k0 + _KEY_STEPS[0]) & _LOW_BITS, (k1 + _KEY_STEPS[1]) & _LOW_BITS
    return np.stack([c0, c1, c2, c3], axis=1)  # [blocks, 4]


def patch_noise(  # noqa: PLR0913, PLR0917 - four numbers identify a patch, two its shape
    seed: int, sentence: int, attempt: int, step: int, patch_size: int, feat_dim: int
) -> npt.NDArray[np.float32]:
    """Standard normal noise of one patch, float32 [patch_size, feat_dim]."""
    noise: npt.NDArray[np.float32] = step_noise([NoiseKey(seed, sentence, attempt, step)], patch_size, feat_dim)[0]
    return noise


def step_noise(keys: Sequence[NoiseKey], patch_size: int, feat_dim: int) -> npt.NDArray[np.float32]:
    """The noise of many patches at once, float32 [patches, patch_size, feat_dim]; each the same as on its own.

    Philox's key is the seed; its counter is (block, step, sentence, attempt), so no two patches share a block.
    """
    values = patch_size * feat_dim
    blocks = -(-values // _WORDS_PER_BLOCK)
    counters = np.zeros((len(keys), blocks, _WORDS_PER_BLOCK), dtype=np.uint64)
    counters[:, :, 0] = np.arange(blocks, dtype=np.uint64)
    counters[:, :, 1:] = np.array([[(key.step, key.sentence, key.attempt)] for key in keys], dtype=np.uint64)
    seeds = np.array([(key.seed & _WORD, (key.seed >> 32) & _WORD) for key in keys], dtype=np.uint64)  # [patches, 2]
    low, high = np.repeat(seeds, blocks, axis=0).T
    words = philox4x32(counters.reshape(-1, _WORDS_PER_BLOCK), (low, high))
    normal = _box_muller(words).reshape(len(keys), -1)[:, :values]
    noise: npt.NDArray[np.float32] = np.ascontiguousarray(normal).reshape(len(keys), patch_size, feat_dim)
    return noise


def _box_muller(words: Words) -> npt.NDArray[np.float32]:
    """Pairs of words to pairs of normal numbers; computed in float64, rounded once."""
    uniform = words.astype(np.float64).reshape(-1, 2)  # [pairs, 2]
    radius = np.sqrt(-2.0 * np.log((uniform[:, 0] + 1.0) / _TWO_TO_32))  # + 1: the logarithm of 0 does not exist
    angle = 2.0 * np.pi * (uniform[:, 1] / _TWO_TO_32)
    pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return pairs.astype(np.float32)
