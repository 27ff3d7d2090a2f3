"""How much of the machine's processors a container was granted.

Knows Linux's control groups, in both versions. Does not know threads. A quota is a share of time and hides no
processor: who starts a thread for each of them runs for a moment and is then stopped, all threads at once, until its
next share.
"""

from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def granted_processors(root: Path = CGROUP) -> float | None:
    """Processors' worth of time that this container may use, or None if all."""
    quota = _read(root / "cpu.max") or [
        *_read(root / "cpu" / "cpu.cfs_quota_us"),
        *_read(root / "cpu" / "cpu.cfs_period_us"),
    ]
    return processors_of(quota)


def processors_of(quota: list[str]) -> float | None:
    """Microseconds of work per microseconds of time, as the kernel writes them; "max" or -1 is no bound."""
    if len(quota) != 2 or not all(number.isdigit() for number in quota) or int(quota[1]) == 0:  # noqa: PLR2004 - a pair
        return None
    return int(quota[0]) / int(quota[1])


def _read(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="ascii").split()
    except OSError:
        return []
