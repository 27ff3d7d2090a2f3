"""How much available memory a tmpfs for images needs."""

from __future__ import annotations

import pytest
from voxfleet_testbed.cluster.memory import available_bytes, has_memory_to_spare


@pytest.mark.parametrize(
    ("meminfo", "spare"),
    [
        ("MemTotal: 25165824 kB\nMemAvailable:   20971520 kB\n", True),
        ("MemTotal: 25165824 kB\nMemAvailable:   6291456 kB\n", True),
        ("MemTotal: 25165824 kB\nMemAvailable:   6291455 kB\n", False),
        ("MemTotal: 25165824 kB\n", False),
    ],
)
def test_images_are_kept_in_memory_only_where_there_is_plenty(meminfo: str, spare: bool) -> None:  # noqa: FBT001
    assert has_memory_to_spare(meminfo) is spare
    assert available_bytes(meminfo) >= 0
