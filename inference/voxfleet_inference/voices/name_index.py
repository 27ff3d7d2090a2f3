"""The ids of stored voices by name, in memory.

Knows: that every write of a voice changes the time of its folder, whichever server writes it.
Does not know: files. It blocks: call it from a thread.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Final

from voxfleet_inference.voices.disk_store import DiskVoiceStore

# Two writes within a tick of the folder's clock leave it the same time: only a reading from well after is kept.
_SETTLED_NS: Final = 2 * 10**9


@dataclass(frozen=True, slots=True)
class _Reading:
    """The folder at one time."""

    changed_at_ns: int = -1
    read_at_ns: int = -1
    ids: dict[str, tuple[str, ...]] = field(default_factory=dict)  # by name

    def holds(self, changed_at_ns: int) -> bool:
        """Return whether the folder is still as it was read."""
        return changed_at_ns == self.changed_at_ns and self.read_at_ns - self.changed_at_ns > _SETTLED_NS


class NameIndex:
    """Names of the voices in one folder, read again when it has changed."""

    def __init__(self, store: DiskVoiceStore) -> None:
        self._store = store
        self._reading = _Reading()

    def ids_of(self, name: str) -> tuple[str, ...]:
        """Return the ids of the voices with that name, oldest first.

        Raises:
            DiskStoreError: the folder cannot be read.
        """
        changed_at_ns = self._store.changed_at_ns()
        if not self._reading.holds(changed_at_ns):
            self._reading = self._read(changed_at_ns)
        return self._reading.ids.get(name, ())

    def _read(self, changed_at_ns: int) -> _Reading:
        read_at_ns = time.time_ns()
        ids: dict[str, tuple[str, ...]] = {}
        for metadata in self._store.all_metadata():
            ids[metadata.name] = (*ids.get(metadata.name, ()), metadata.id)
        return _Reading(changed_at_ns, read_at_ns, ids)
