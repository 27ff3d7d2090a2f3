"""The CPU quota of a container.

Knows: Linux's control groups, both versions. Does not know: threads. A quota limits time and hides no CPU: a process
that starts a thread for each CPU uses up the quota early in every period, and the kernel then throttles all of its
threads until the next one.
"""

from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def granted_processors(root: Path = CGROUP) -> float | None:
    """Return how many CPUs' time this container may use, or None if it is not limited."""
    quota = _read(root / "cpu.max") or [
        *_read(root / "cpu" / "cpu.cfs_quota_us"),
        *_read(root / "cpu" / "cpu.cfs_period_us"),
    ]
    return processors_of(quota)


def processors_of(quota: list[str]) -> float | None:
    """Parse a quota and a period in microseconds, as the kernel writes them; "max" and -1 mean no limit."""
    if len(quota) != 2 or not all(number.isdigit() for number in quota) or int(quota[1]) == 0:  # noqa: PLR2004 - a pair
        return None
    return int(quota[0]) / int(quota[1])


def _read(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="ascii").split()
    except OSError:
        return []
