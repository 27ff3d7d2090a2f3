"""Downloads the files of a listing into a folder: resumed, verified, and reported.

Knows what an interrupted download leaves behind, and which errors a new attempt may mend. Does not know any store's
protocol, nor when a folder is complete (folder.py).
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Final

from voxfleet_inference.fetching.errors import LastingError, PassingError
from voxfleet_inference.fetching.store import Listing, RemoteFile, Store, digest_of

_FILES_AT_ONCE: Final = 4
_ATTEMPTS_WITHOUT_PROGRESS: Final = 4
_FIRST_PAUSE_SECONDS: Final = 1.0

Report = Callable[[int, int], None]  # bytes that are in the folder, of all; called at the start and with each chunk


class Progress:
    """Bytes of a listing that are in the folder; `report` gets every change of them, from one thread at a time."""

    def __init__(self, present: int, total: int, report: Report) -> None:
        self._lock = Lock()
        self._present = present
        self._total = total
        self._report = report
        self.add(0)

    def add(self, count: int) -> None:
        """Count new bytes, or bytes that were discarded."""
        with self._lock:
            self._present += count
            self._report(self._present, self._total)


def download(store: Store, listing: Listing, folder: Path, report: Report) -> None:
    """Fill a folder with the files of a listing; what an earlier run left there is resumed. Raises FetchError."""
    present = sum(size_of(folder / file.name) for file in listing.files)
    progress = Progress(present, listing.size, report)
    with ThreadPoolExecutor(_FILES_AT_ONCE) as pool:
        for done in [pool.submit(_download_file, store, listing, file, folder, progress) for file in listing.files]:
            done.result()


def size_of(path: Path) -> int:
    """Return the size of a file, 0 for one that does not exist."""
    return path.stat().st_size if path.exists() else 0


def _download_file(store: Store, listing: Listing, file: RemoteFile, folder: Path, progress: Progress) -> None:
    path = folder / file.name
    failures, furthest = 0, size_of(path)
    while True:
        try:
            _receive(store, listing, file, path, progress)
            _verify(path, file, progress)
        except PassingError:
            # A file that was received whole and is another one has made no progress either: it began anew.
            failures = 1 if size_of(path) > furthest else failures + 1
            furthest = max(furthest, size_of(path))
            if failures >= _ATTEMPTS_WITHOUT_PROGRESS:
                raise
            time.sleep(_FIRST_PAUSE_SECONDS * 2 ** (failures - 1))
        else:
            return


def _receive(store: Store, listing: Listing, file: RemoteFile, path: Path, progress: Progress) -> None:
    """Append what a file lacks."""
    offset = size_of(path)
    if offset < file.size:
        with store.open(listing, file, offset) as chunks, _disk_errors(path), path.open("ab") as output:
            for chunk in chunks:
                output.write(chunk)
                progress.add(len(chunk))
    elif file.size == 0:
        path.touch()
    if size_of(path) < file.size:
        raise PassingError(f"{file.name} broke off after {size_of(path)} of {file.size} bytes")


def _verify(path: Path, file: RemoteFile, progress: Progress) -> None:
    """Delete a file that is not the listed one: the next attempt begins anew."""
    size = size_of(path)
    found = digest_of(path, file.digest, size) if file.digest and size == file.size else ""
    if size == file.size and (file.digest is None or found == file.digest.value):
        return
    path.unlink()
    progress.add(-size)
    if size != file.size:
        raise PassingError(f"{file.name} has {size} bytes, {file.size} are listed: try again")
    raise PassingError(f"{file.name} is not the listed file: {_difference(file, found)}: try again")


def _difference(file: RemoteFile, found: str) -> str:
    return f"its {file.digest.algorithm} is {found} and should be {file.digest.value}" if file.digest else ""


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EIO}:
            raise
        advice = "free space, or raise the size of the volume (in a cluster cache.weights.size)"
        advice = advice if error.errno in {errno.ENOSPC, errno.EDQUOT} else "check the volume"
        raise LastingError(f"cannot write {path}: {error.strerror}: {advice}") from error
