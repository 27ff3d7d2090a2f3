"""Files are whole or absent; a full or unusable disk is a clear error."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from voxfleet_gateway.errors import VoiceFileError, VoicesFullError, VoicesUnavailableError
from voxfleet_gateway.voices import disk
from voxfleet_gateway.voices.disk import VoiceFolder
from voxfleet_gateway.voices.file_format import StoredVoice, VoiceHeader, serialize, voice_id

VOICE = StoredVoice(
    VoiceHeader(id=voice_id(b"sound", "text"), transcript="text", payload_bytes=5, tenant="../t", version=1), b"sound"
)
GONE = VoiceHeader(id=VOICE.header.id, tenant="../t", version=2, is_deleted=True)


@pytest.fixture
def folder(tmp_path: Path) -> VoiceFolder:
    opened = VoiceFolder(tmp_path / "voices")
    opened.prepare()
    return opened


def test_a_voice_outlives_the_process_and_a_deletion_replaces_it(folder: VoiceFolder, tmp_path: Path) -> None:
    before = folder.changed_at()
    folder.write(VOICE)
    assert folder.changed_at() != before
    again = VoiceFolder(tmp_path / "voices")
    assert again.changed_headers() == [VOICE.header]
    assert again.changed_headers() == []
    assert again.read(VOICE.header.key) == serialize(VOICE)
    again.delete(GONE)
    assert again.changed_headers() == [GONE]
    assert again.read(VOICE.header.key) is None
    again.write(VOICE)
    assert again.changed_headers() == [VOICE.header]
    again.delete(GONE)
    again.forget(GONE)
    assert again.changed_headers() == []
    assert [each.name for each in tmp_path.iterdir()] == ["voices"]


@pytest.mark.parametrize(
    ("number", "error"),
    [(errno.ENOSPC, VoicesFullError), (errno.EDQUOT, VoicesFullError), (errno.EIO, VoicesUnavailableError)],
)
@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_no_part_of_a_voice_stays_when_writing_fails(
    folder: VoiceFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, error: type[Exception]
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(number, "no")

    with monkeypatch.context() as patched:
        patched.setattr(*((os, "fsync") if call == "fsync" else (Path, "rename")), fail)
        with pytest.raises(error) as raised:
            folder.write(VOICE)
    assert str(tmp_path) not in str(raised.value)
    assert list((tmp_path / "voices").iterdir()) == []


def test_half_written_files_are_never_read_and_removed_when_abandoned(folder: VoiceFolder, tmp_path: Path) -> None:
    half = tmp_path / "voices" / f"{disk.TEMPORARY}1.voice"
    half.write_bytes(serialize(VOICE))
    assert folder.changed_headers() == []
    folder.prepare()
    assert half.exists()  # another gateway may be writing it
    os.utime(half, (0, 0))
    folder.prepare()
    assert not half.exists()


def test_damaged_files_are_an_error_and_not_listed(folder: VoiceFolder, tmp_path: Path) -> None:
    folder.write(VOICE)
    (path,) = (tmp_path / "voices").iterdir()
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(VoiceFileError):
        folder.read(VOICE.header.key)
    path.write_bytes(b"nothing")
    assert folder.changed_headers() == []
