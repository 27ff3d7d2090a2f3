"""Seeds by purpose and step, so that what is random depends on them alone and not on how often a run was resumed."""

from __future__ import annotations

import zlib


def seed_of(*parts: int | str) -> int:
    """Return a seed of 32 bits for a purpose, such as `seed_of("batch", seed, step)`."""
    return zlib.crc32("/".join(map(str, parts)).encode())
