from __future__ import annotations

import os
from pathlib import Path

from stored_voices import voice
from voxfleet_inference.voices.disk_store import DiskVoiceStore, StoreLimits
from voxfleet_inference.voices.file_format import StoredVoice
from voxfleet_inference.voices.name_index import NameIndex

ROOMY = StoreLimits(max_voices=100, max_bytes=10_000_000)


class CountingStore(DiskVoiceStore):
    """Counts how often the folder is read."""

    readings = 0

    def all_metadata(self):  # type: ignore[no-untyped-def]  # noqa: ANN201
        self.readings += 1
        return super().all_metadata()


def named(name: str, transcript: str, created_at: int = 1) -> StoredVoice:
    made = voice(transcript, created_at=created_at)
    return StoredVoice(made.metadata.model_copy(update={"name": name}), made.payload)


def test_names_follow_every_write_of_any_server(tmp_path: Path) -> None:
    ours, theirs = DiskVoiceStore(tmp_path, ROOMY), DiskVoiceStore(tmp_path, ROOMY)
    index = NameIndex(ours)
    ada, other = named("Ada", "one", created_at=2), named("Ada", "two", created_at=1)
    assert index.ids_of("Ada") == ()
    theirs.put(ada)
    assert index.ids_of("Ada") == (ada.metadata.id,)
    theirs.put(other)
    assert index.ids_of("Ada") == (other.metadata.id, ada.metadata.id)
    theirs.put(named("Grace", "two"))
    assert (index.ids_of("Ada"), index.ids_of("Grace")) == ((ada.metadata.id,), (other.metadata.id,))
    theirs.delete(ada.metadata.id)
    assert index.ids_of("Ada") == ()


def test_a_folder_at_rest_is_read_once(tmp_path: Path) -> None:
    store = CountingStore(tmp_path, ROOMY)
    store.put(named("Ada", "one"))
    os.utime(tmp_path, (1, 1))
    index = NameIndex(store)
    assert [len(index.ids_of(name)) for name in ("Ada", "Grace", "Ada")] == [1, 0, 1]
    assert store.readings == 1
