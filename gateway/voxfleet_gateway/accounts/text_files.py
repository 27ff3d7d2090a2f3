"""Reads a folder of small files, or one file, again when it has changed: a mounted Secret or ConfigMap.

Knows: how the kubelet replaces a mount's content at once by a symbolic link (`..data`), so that names and contents of
one reading belong together. Does not know: what the files hold.
"""

import os
from dataclasses import dataclass
from pathlib import Path

MAX_FILE_BYTES = 2 * 2**20  # a Secret or a ConfigMap has at most 1 MiB
ATTEMPTS = 3
MOUNT_LINK = "..data"

Version = tuple[tuple[str, int, int, int], ...]


@dataclass(slots=True)
class TextFiles:
    """The files of one path; those whose names begin with a dot are left out."""

    path: Path
    version: Version | None = None

    def read_changed(self) -> dict[str, str] | None:
        """Return all texts by file name, or None when nothing has changed. Raises OSError."""
        for _ in range(ATTEMPTS):
            before = self._version_now()
            if before == self.version:
                return None
            try:
                texts = {name: _read(path) for name, path in self._paths()}
            except FileNotFoundError:  # replaced meanwhile
                continue
            if self._version_now() == before:
                self.version = before
                return texts
        return None  # it keeps changing: the next call reads it

    def _paths(self) -> list[tuple[str, Path]]:
        if not self.path.is_dir():
            return [(self.path.name, self.path)]
        link = self.path / MOUNT_LINK
        # Through the link: the kubelet renames it first, and adds and removes the links of single files after that.
        folder = link.resolve() if link.is_symlink() else self.path
        names = sorted(entry.name for entry in os.scandir(folder) if not entry.name.startswith("."))
        return [(name, folder / name) for name in names]

    def _version_now(self) -> Version:
        link = self.path / MOUNT_LINK
        if link.is_symlink():  # a mount: one link stands for all of its files, however many there are
            status = link.lstat()
            return ((str(link.readlink()), status.st_ino, status.st_mtime_ns, 0),)
        return tuple((name, *_stamp(path)) for name, path in self._paths())


def _stamp(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    # With the inode: a file may be replaced by one of the same size and time.
    return status.st_ino, status.st_mtime_ns, status.st_size


def _read(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(MAX_FILE_BYTES).decode(errors="replace")
