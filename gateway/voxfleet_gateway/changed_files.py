"""Files of a mounted Secret, loaded again when the kubelet or cert-manager replaces them.

Knows: what shows that files were replaced; that files which do not load replace nothing, and are not tried again until
they change. Does not know: what is in the files.
"""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

import structlog

from voxfleet_gateway.errors import SettingsError

CHECK_SECONDS = 5.0  # kubelet replaces a Secret's files within a minute or two

log = structlog.get_logger(__name__)

Version = tuple[tuple[int, int, int], ...]


def version_of(paths: Iterable[Path]) -> Version:
    """Return what changes when any of the files is replaced; empty when one is missing."""
    try:
        found = [path.stat() for path in paths]
    except OSError:
        return ()
    # With the inode: Kubernetes replaces a file, perhaps by one of the same size and time.
    return tuple((each.st_ino, each.st_mtime_ns, each.st_size) for each in found)


async def follow_files(
    version: Callable[[], Version],
    paths: tuple[Path, ...],
    load: Callable[[], None],
    events: tuple[str, str],
    check_seconds: float = CHECK_SECONDS,
) -> None:
    """Load the files whenever they differ from the version that was loaded last, until cancelled.

    `load` raises SettingsError, and keeps what it had, for files that cannot be used; `events` are logged when
    they were loaded, and when not.
    """
    reloaded, not_reloaded = events
    while True:
        await asyncio.sleep(check_seconds)
        if version_of(paths) == version():
            continue
        try:
            await asyncio.to_thread(load)
            log.info(reloaded)
        except SettingsError as error:
            log.warning(not_reloaded, error=str(error))
