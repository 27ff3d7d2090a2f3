"""Which choices of a region try another one, so that its round trip is measured. Pure.

Knows: that one choice in 67 explores, which ones (by a hash of a key that the caller has, so that a replay explores the
same), and how much longer than the best an explored region may be assumed to take.
Does not know: what is chosen (the DNS answers choose); whether a region can serve: the caller passes those that can
without a wake.
"""

from collections.abc import Sequence
from hashlib import blake2b

SHARE = 0.015
MAX_EXTRA_SECONDS, MAX_EXTRA_RATIO = 0.03, 0.5  # beyond the best; the larger of both
HASH_RANGE = 2**32


def explored(regions: Sequence[tuple[str, float]], key: str, share: float = SHARE) -> str | None:
    """Return the region to try instead of the best of these, given with their round trips; None for most keys."""
    if len(regions) <= 1 or not is_exploring(key, share):
        return None
    best, best_seconds = min(regions, key=lambda each: (each[1], each[0]))
    limit_seconds = best_seconds + max(MAX_EXTRA_SECONDS, best_seconds * MAX_EXTRA_RATIO)
    others = sorted(name for name, seconds in regions if name != best and seconds <= limit_seconds)
    return others[_hash(key)[1] % len(others)] if others else None


def is_exploring(key: str, share: float = SHARE) -> bool:
    """Whether a key explores at all: round trips need to be known for these alone."""
    return _hash(key)[0] < share * HASH_RANGE


def _hash(key: str) -> tuple[int, int]:
    """Return two independent numbers below HASH_RANGE."""
    digest = blake2b(key.encode(), digest_size=8).digest()
    return int.from_bytes(digest[:4]), int.from_bytes(digest[4:])
