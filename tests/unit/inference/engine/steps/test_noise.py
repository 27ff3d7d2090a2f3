from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_inference.engine.steps.noise import NoiseKey, patch_noise, philox4x32, step_noise

# The known answers that the authors of Philox publish with Random123 (kat_vectors, "philox4x32 10").
KNOWN_ANSWERS = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    (
        (0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF),
        (0xFFFFFFFF, 0xFFFFFFFF),
        (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
    ),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]
word = st.integers(0, 2**32 - 1)


def philox_in_plain_integers(counter: tuple[int, ...], key: tuple[int, int]) -> tuple[int, ...]:
    c, k = list(counter), list(key)
    for _ in range(10):
        first, second = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(second >> 32) ^ c[1] ^ k[0], second % 2**32, (first >> 32) ^ c[3] ^ k[1], first % 2**32]
        k = [(k[0] + 0x9E3779B9) % 2**32, (k[1] + 0xBB67AE85) % 2**32]
    return tuple(c)


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN_ANSWERS)
def test_philox_gives_the_published_answers(
    counter: tuple[int, ...], key: tuple[int, int], answer: tuple[int, ...]
) -> None:
    assert tuple(philox4x32(np.array([counter], dtype=np.uint64), key)[0].tolist()) == answer


@given(st.lists(st.tuples(word, word, word, word), min_size=1, max_size=5), st.tuples(word, word))
def test_philox_equals_plain_integer_arithmetic(counters: list[tuple[int, ...]], key: tuple[int, int]) -> None:
    computed = philox4x32(np.array(counters, dtype=np.uint64), key)
    assert [tuple(row) for row in computed.tolist()] == [philox_in_plain_integers(c, key) for c in counters]


def test_noise_is_box_muller_of_the_counter_block_step_sentence_attempt() -> None:
    noise = patch_noise(seed=2**40 + 5, sentence=3, attempt=1, step=9, patch_size=4, feat_dim=64)
    words = philox_in_plain_integers((17, 9, 3, 1), (5, 2**8))
    radius = math.sqrt(-2 * math.log((words[2] + 1) / 2**32))
    angle = 2 * math.pi * words[3] / 2**32
    flat = noise.reshape(-1)
    assert flat[17 * 4 + 2] == np.float32(radius * math.cos(angle))
    assert flat[17 * 4 + 3] == np.float32(radius * math.sin(angle))


def test_noise_bits_are_golden() -> None:
    noise = patch_noise(seed=0, sentence=0, attempt=0, step=0, patch_size=4, feat_dim=64)
    assert noise.dtype == np.float32
    assert noise.shape == (4, 64)
    assert noise.reshape(-1)[:4].view(np.uint32).tolist() == GOLDEN_BITS


def test_noise_is_standard_normal() -> None:
    many = np.concatenate([patch_noise(1, 0, 0, step, 4, 64).reshape(-1) for step in range(200)])
    assert abs(float(many.mean())) < 0.02
    assert abs(float(many.std()) - 1) < 0.02
    assert np.isfinite(many).all()


def test_no_two_patches_share_noise() -> None:
    chance = random.Random(0)  # noqa: S311 - names to try, no secrets
    names = {(chance.randrange(3), chance.randrange(3), chance.randrange(3), chance.randrange(50)) for _ in range(200)}
    seen = {patch_noise(*name, 4, 64).tobytes() for name in names}
    assert len(seen) == len(names)


GOLDEN_BITS = [0x3F7DBB33, 0xBF6CB6B0, 0xBF1E1B9F, 0xBEF6D1B2]


@given(
    st.lists(st.tuples(st.integers(0, 2**63 - 1), word, st.integers(0, 2), st.integers(0, 400)), min_size=1, max_size=9)
)
def test_step_noise_has_the_same_bits_as_patch_noise(names: list[tuple[int, int, int, int]]) -> None:
    together = step_noise([NoiseKey(*each) for each in names], 4, 64)
    alone = [patch_noise(*each, 4, 64) for each in names]
    assert together.tobytes() == np.stack(alone).tobytes()


@pytest.mark.parametrize(("patch_size", "feat_dim"), [(1, 1), (2, 3), (4, 64)])
def test_noise_of_any_shape_is_finite(patch_size: int, feat_dim: int) -> None:
    noise = step_noise([NoiseKey(1, 0, 0, 0), NoiseKey(2, 0, 0, 0)], patch_size, feat_dim)
    assert noise.shape == (2, patch_size, feat_dim)
    assert np.isfinite(noise).all()
