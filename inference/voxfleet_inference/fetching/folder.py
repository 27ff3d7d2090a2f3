"""A folder with weights: complete when it has a marker, which names source, revision, commit and each file's digest.

Knows how a download becomes visible: into the folder `.partial`, which a killed run leaves to the next, then renamed
file by file, the marker last. Weights that are there stay until the new ones are verified. Does not know any store.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from voxfleet_inference.fetching.download import Report, download, size_of
from voxfleet_inference.fetching.errors import FetchError, LastingError
from voxfleet_inference.fetching.store import CONFIG_FILE, Listing, Store

MARKER: Final = ".voxfleet-weights.json"
PARTIAL: Final = ".partial"
_LOCK: Final = ".lock"
_SPACE_TO_SPARE_BYTES: Final = 2**20  # for the marker and the file system's own records


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a folder shall hold."""

    source: str
    revision: str


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a folder holds now; `downloaded`: whether any byte was downloaded for it."""

    size: int
    resolved: str
    downloaded: bool


def fill(
    folder: Path, wanted: Wanted, open_store: Callable[[], Store], report: Report, *, evicts: bool = False
) -> Fetched:
    """Fill a folder unless it is complete; two runs at once on one folder wait for each other.

    `open_store` is called only when something is missing: a store's client takes a second to import. `evicts`: before a
    download, delete the weights in folders beside this one, except for the newest.

    Raises:
        FetchError: the store or the disk refused; the folder's earlier weights are as they were.
    """
    with _folder_errors(folder):
        if present := _complete(folder, wanted):
            return present
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            if present := _complete(folder, wanted):
                return present
            if evicts:
                _evict_beside(folder)
            return _fill(folder, wanted, open_store(), report)


def _fill(folder: Path, wanted: Wanted, store: Store, report: Report) -> Fetched:
    listing = store.list_files()
    if not any(file.name == CONFIG_FILE for file in listing.files):
        raise LastingError(f"there is no {CONFIG_FILE}: it is no checkpoint that can be served; check model.source")
    partial = folder / PARTIAL
    partial.mkdir(exist_ok=True)
    _prepare(folder, partial, listing)
    _check_space(partial, listing)
    download(store, listing, partial, report)
    _publish(folder, partial, wanted, listing)
    return Fetched(listing.size, listing.resolved, downloaded=True)


def _complete(folder: Path, wanted: Wanted) -> Fetched | None:
    """Return what is there, if it is what is wanted: by its marker, and by the sizes of its files."""
    marker = _marker(folder)
    if marker.get("source") != wanted.source or marker.get("revision") != wanted.revision:
        return None
    files: dict[str, dict[str, Any]] = marker["files"]
    if any(size_of(folder / name) != file["size"] for name, file in files.items()):
        return None
    return Fetched(sum(file["size"] for file in files.values()), marker["resolved"], downloaded=False)


def _marker(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return {}
    return found if isinstance(found, dict) and {"source", "revision", "resolved", "files"} <= found.keys() else {}


def _prepare(folder: Path, partial: Path, listing: Listing) -> None:
    """Drop what another listing left behind; take over files that are in the folder already.

    Those are hard links: if one turns out to be another file, only the link is deleted.
    """
    names = {file.name: file for file in listing.files}
    for path in partial.iterdir():
        if path.name not in names or path.stat().st_size > names[path.name].size:
            path.unlink()
    for name, file in names.items():
        if not (partial / name).exists() and size_of(folder / name) == file.size:
            with suppress(OSError):  # a file system without links
                os.link(folder / name, partial / name)


def _check_space(partial: Path, listing: Listing) -> None:
    needed = sum(file.size - size_of(partial / file.name) for file in listing.files)
    free = shutil.disk_usage(partial).free
    if needed + _SPACE_TO_SPARE_BYTES > free:
        raise LastingError(
            f"{partial.parent} has {free / 1e6:.1f} MB free and {needed / 1e6:.1f} MB are to be written: free space, or"
            " raise the size of the volume (in a cluster cache.weights.size)"
        )


def _publish(folder: Path, partial: Path, wanted: Wanted, listing: Listing) -> None:
    """Rename the verified files into place. Between the first rename and the marker the folder is not complete."""
    earlier = set(_marker(folder).get("files", ()))
    (folder / MARKER).unlink(missing_ok=True)
    # A server reads config.json first: while it is missing or old, the error is one that names the file.
    for file in sorted(listing.files, key=lambda each: each.name == CONFIG_FILE):
        _flush(partial / file.name)
        (partial / file.name).replace(folder / file.name)
    for name in earlier - {file.name for file in listing.files}:
        (folder / name).unlink(missing_ok=True)
    files = {
        file.name: {"size": file.size, "digest": asdict(file.digest) if file.digest else None} for file in listing.files
    }
    content = {"source": wanted.source, "revision": wanted.revision, "resolved": listing.resolved, "files": files}
    written = partial / MARKER
    written.write_text(json.dumps(content, indent=1), encoding="utf-8")
    _flush(written)
    written.replace(folder / MARKER)
    shutil.rmtree(partial, ignore_errors=True)


def _flush(path: Path) -> None:
    """A node that loses power must not leave a marker beside files without content."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _evict_beside(folder: Path) -> None:
    """Keep the newest complete folder, which servers may read; delete older ones and what killed runs left."""
    others = [each for each in folder.parent.iterdir() if each.is_dir() and each != folder]
    complete = sorted((each for each in others if _marker(each)), key=lambda each: (each / MARKER).stat().st_mtime)
    unfinished = [each for each in others if not _marker(each) and (each / PARTIAL).is_dir()]
    for each in [*complete[:-1], *unfinished]:
        shutil.rmtree(each, ignore_errors=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / _LOCK).open("w") as lock:
        with suppress(OSError):  # a file system without locks: its writers are one Job per folder
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _folder_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except FetchError:
        raise
    except OSError as error:
        raise LastingError(
            f"cannot use the folder {error.filename or folder}: {error.strerror or error}: it must be writable for user"
            f" {os.getuid()} (on a host: chown {os.getuid()} the folder)"
        ) from error
