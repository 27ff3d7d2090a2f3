"""Fetches a checkpoint into a folder: the store by the address, the progress as log lines.

Knows: addresses, and which errors a new run may mend.
Does not know: any store's protocol, or how a folder is filled.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Final

from voxfleet_inference.fetching.errors import FetchError, LastingError
from voxfleet_inference.fetching.folder import Fetched, Wanted, fill
from voxfleet_inference.fetching.progress_server import LatestProgress, served
from voxfleet_inference.fetching.store import Store

_HUB: Final = re.compile(r"^hf://(?P<repository>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)$", re.ASCII)
_BUCKET: Final = re.compile(r"^s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(/(?P<prefix>[\w./=-]*))?$", re.ASCII)
_LOG_SECONDS: Final = 5.0


class ProgressLog:
    """Writes the progress as a line, at most once in five seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._written_at = float("-inf")

    def report(self, present: int, total: int) -> None:
        """Write a line, if the last one is old enough."""
        now = self._clock()
        if now - self._written_at >= _LOG_SECONDS:
            self._written_at = now
            sys.stderr.write(f"fetched {present / 1e6:.0f} of {total / 1e6:.0f} MB\n")


def fetch_checkpoint(
    source: str, revision: str, target: Path, *, evicts: bool = False, progress_port: int | None = None
) -> Fetched:
    """Fill a folder with a checkpoint; a complete one is left alone, without a request.

    The progress is a line in the log every five seconds, and an answer at `progress_port`, which is always the newest.

    Raises:
        FetchError: the address is wrong, the store refused or could not be reached, or the disk is full.
    """
    store_of = _store_of(source, revision)  # first: a wrong address is not "cannot fetch"
    place = f"{source} at {revision}" if source.startswith("hf://") else source
    latest, log = LatestProgress(), ProgressLog()

    def report(present: int, total: int) -> None:
        latest.report(present, total)
        log.report(present, total)

    try:
        with nullcontext() if progress_port is None else served(latest, progress_port):
            return fill(target, Wanted(source, revision), store_of, report, evicts=evicts)
    except FetchError as error:
        raise type(error)(f"cannot fetch {place}: {error}") from error


def _store_of(source: str, revision: str) -> Callable[[], Store]:
    """Return what makes the store of an address."""
    if address := _HUB.match(source):
        repository = address["repository"]

        def open_hub() -> Store:
            from voxfleet_inference.fetching.hub import HubStore  # noqa: PLC0415 - takes a second

            return HubStore(repository, revision)

        return open_hub
    if address := _BUCKET.match(source):
        bucket, prefix = address["bucket"], address["prefix"] or ""

        def open_bucket() -> Store:
            from voxfleet_inference.fetching.s3 import S3Store  # noqa: PLC0415 - takes half a second

            return S3Store(bucket, prefix)

        return open_bucket
    raise LastingError(f"--source {source!r} is not of the form hf://owner/name or s3://bucket/prefix")
