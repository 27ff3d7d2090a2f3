from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from stored_voices import designed, voice
from voxfleet_inference.voice_names import is_voice_id
from voxfleet_inference.voices.disk_store import DiskStoreError, DiskStoreFullError, DiskVoiceStore, StoreLimits
from voxfleet_inference.voices.file_format import (
    VoiceFileError,
)

ROOMY = StoreLimits(max_voices=100, max_bytes=10_000_000)


def test_a_stored_voice_is_read_back_unchanged(tmp_path: Path) -> None:
    store = DiskVoiceStore(tmp_path / "a" / "b", ROOMY)
    assert store.sweep() == 0
    for each in (voice(), designed()):
        store.put(each)
        assert store.get(each.metadata.id) == each
        assert store.metadata(each.metadata.id) == each.metadata
    assert [metadata.name for metadata in store.all_metadata()] == ["Ada", "seven"]
    assert designed().latents.shape == (3, 4, 64)
    assert designed().latents[0, 0, :3].tolist() == [0, 1, 2]
    assert store.delete(voice().metadata.id)
    assert not store.delete(voice().metadata.id)
    assert store.get(voice().metadata.id) is None


def test_both_limits_hold_and_a_replacement_does_not_count_twice(tmp_path: Path) -> None:
    store = DiskVoiceStore(tmp_path, StoreLimits(max_voices=2, max_bytes=10_000_000))
    store.put(voice("one"))
    store.put(voice("two"))
    with pytest.raises(DiskStoreFullError, match=r"the limit is 2 \(--max-voices\)"):
        store.put(voice("three"))
    store.put(voice("two", created_at=9))
    assert store.metadata(voice("two").metadata.id) == voice("two", created_at=9).metadata
    with pytest.raises(DiskStoreFullError, match="--max-voices-bytes"):
        DiskVoiceStore(tmp_path, StoreLimits(max_voices=9, max_bytes=2000)).put(voice("three", b"x" * 1000))
    assert len(list(tmp_path.iterdir())) == 2


def test_a_failed_write_leaves_no_file(tmp_path: Path) -> None:
    """The system's own bound on a file's size stands in for a full disk: the write itself fails, halfway."""
    code = textwrap.dedent(f"""
        import resource, sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from test_disk_store import ROOMY, voice
        from pathlib import Path
        from voxfleet_inference.voices.disk_store import DiskVoiceStore, DiskStoreFullError
        store = DiskVoiceStore(Path({str(tmp_path)!r}), ROOMY)
        store.put(voice("small"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            store.put(voice("large", b"x" * 200_000))
        except DiskStoreFullError as error:
            print(error)
    """)
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120)
    assert "disk of --voices-dir is full" in done.stdout
    assert [each.name for each in tmp_path.iterdir()] == [voice("small").metadata.id + ".voice"]


def test_a_sweep_removes_abandoned_files_and_no_locked_ones(tmp_path: Path) -> None:
    store = DiskVoiceStore(tmp_path, ROOMY)
    (tmp_path / ".writing-dead").write_bytes(b"half")
    (tmp_path / "other file").write_bytes(b"not ours")
    (tmp_path / ".writing-link").symlink_to(tmp_path / "other file")
    with (tmp_path / ".writing-alive").open("wb") as writing:
        fcntl.flock(writing, fcntl.LOCK_EX)
        assert store.sweep() == 1
    assert sorted(each.name for each in tmp_path.iterdir()) == [".writing-alive", ".writing-link", "other file"]


def test_other_files_in_the_folder_are_skipped(tmp_path: Path) -> None:
    store = DiskVoiceStore(tmp_path, ROOMY)
    store.put(voice())
    names = [f"voice_{digit * 32}.voice" for digit in "abcdef"]
    (tmp_path / names[0]).write_bytes(b"torn")
    (tmp_path / names[1]).mkdir()
    (tmp_path / names[2]).symlink_to("/etc/hostname")
    os.mkfifo(tmp_path / names[3])
    (tmp_path / "notes.txt").write_bytes(b"")
    assert [metadata.id for metadata in store.all_metadata()] == [voice().metadata.id]
    for name in names[1:5]:
        assert store.get(name.removesuffix(".voice")) is None
    with pytest.raises(VoiceFileError):
        store.get(names[0].removesuffix(".voice"))


@pytest.mark.parametrize(
    "name", ["", "..", "../x", "voice_" + "0" * 33, "voice_" + "G" * 32, "voice_" + "0" * 32 + "\n"]
)
def test_names_that_are_no_ids_never_reach_the_folder(tmp_path: Path, name: str) -> None:
    store = DiskVoiceStore(tmp_path, ROOMY)
    assert not is_voice_id(name)
    assert store.get(name) is None
    assert not store.delete(name)


def test_an_unusable_folder_is_reported_without_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = DiskVoiceStore(tmp_path / "file", ROOMY)
    with pytest.raises(DiskStoreError, match="--voices-dir cannot be used: Not a directory") as caught:
        store.put(voice())
    assert str(tmp_path) not in str(caught.value)


def test_concurrent_writers_stay_within_the_limit(tmp_path: Path) -> None:
    store = DiskVoiceStore(tmp_path, StoreLimits(max_voices=5, max_bytes=10_000_000))
    refused: list[Exception] = []

    def write(number: int) -> None:
        try:
            store.put(voice(f"number {number}"))
        except DiskStoreFullError as error:
            refused.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(store.all_metadata()), len(refused)) == (5, 7)
