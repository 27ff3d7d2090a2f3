"""A bundle: files of bounded size in a tar archive. Pure.

Knows: bounds, the form of the archive. Does not know: what the files have.
"""

import gzip
import io
import json
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

LONGEST_FILE_BYTES = 2 * 2**20
LONGEST_BUNDLE_BYTES = 24 * 2**20


@dataclass(frozen=True, slots=True)
class BundleFile:
    """One file, and what it has in words; `is_cut`: the end is left out."""

    name: str
    about: str
    content: bytes
    is_cut: bool = False


def json_file(name: str, about: str, content: Any) -> BundleFile:
    """Return a file of one JSON value; of a list that is too long the beginning."""
    text = json.dumps(content, indent=1).encode()
    is_cut = len(text) > LONGEST_FILE_BYTES and isinstance(content, list)
    while len(text) > LONGEST_FILE_BYTES and isinstance(content, list):
        content = content[: len(content) // 2]
        text = json.dumps(content, indent=1).encode()
    return BundleFile(name, about, text, is_cut)


def lines_file(name: str, about: str, lines: Iterable[str]) -> BundleFile:
    """Return a file of lines, the newest of them where they are too many."""
    kept: list[bytes] = []
    size = 0
    is_cut = False
    for line in reversed([*lines]):
        encoded = line.encode() + b"\n"
        size += len(encoded)
        if size > LONGEST_FILE_BYTES:
            is_cut = True
            break
        kept.append(encoded)
    return BundleFile(name, about, b"".join(reversed(kept)), is_cut)


def within_bounds(files: Iterable[BundleFile]) -> list[BundleFile]:
    """Return the first files that fit into a bundle; one that does not is named and empty."""
    found, size = [], 0
    for each in files:
        fits = size + len(each.content) <= LONGEST_BUNDLE_BYTES
        size += len(each.content) if fits else 0
        found.append(each if fits else BundleFile(each.name, each.about, b"", is_cut=True))
    return found


def archive(folder: str, files: Iterable[BundleFile], at: int) -> bytes:
    """Return the bytes of a .tar.gz with one folder; `at`: the time of the files."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=at) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for each in files:
            entry = tarfile.TarInfo(f"{folder}/{each.name}")
            entry.size, entry.mtime, entry.mode = len(each.content), at, 0o600
            tar.addfile(entry, io.BytesIO(each.content))
    return packed.getvalue()
