from __future__ import annotations

import asyncio
import fcntl
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_inference.engine.messages import VoicePrompt
from voxfleet_inference.voice_names import OPENAI_ALIASES, is_voice_id, parse_aliases
from voxfleet_inference.voices.disk_store import DiskStoreError, DiskStoreFullError, DiskVoiceStore, StoreLimits
from voxfleet_inference.voices.file_format import (
    MAX_RECORDING_BYTES,
    StoredVoice,
    VoiceFileError,
    VoiceMetadata,
    parse_metadata,
    parse_voice,
    serialize_voice,
    voice_id,
)
from voxfleet_inference.voices.prompt_cache import PromptCache

ROOMY = StoreLimits(max_voices=100, max_bytes=10_000_000)


def voice(transcript: str = "What I said.", payload: bytes = b"sound" * 100, created_at: int = 1) -> StoredVoice:
    metadata = VoiceMetadata(
        id=voice_id("audio_sample", payload, transcript),
        name="Ada",
        created_at=created_at,
        type="audio_sample",
        transcript=transcript,
        consent="yes",
        payload_bytes=len(payload),
    )
    return StoredVoice(metadata, payload)


def designed(shape: tuple[int, int, int] = (3, 4, 64), seed: int = 7) -> StoredVoice:
    payload = np.arange(np.prod(shape), dtype="<f4").tobytes()
    metadata = VoiceMetadata(
        id=voice_id("seed", payload, "Hello."),
        name="seven",
        created_at=2,
        type="seed",
        transcript="Hello.",
        seed=seed,
        latents_shape=shape,
        payload_bytes=len(payload),
    )
    return StoredVoice(metadata, payload)


def test_a_voice_comes_back_as_it_was_kept(tmp_path: Path) -> None:
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


@given(st.text(min_size=1, max_size=50).filter(lambda text: text.isprintable()), st.binary(max_size=200))
def test_any_voice_survives_its_file(transcript: str, payload: bytes) -> None:
    kept = voice(transcript, payload)
    assert parse_voice(serialize_voice(kept), kept.metadata.id) == kept


def test_the_longest_facts_fit_into_a_header() -> None:
    longest = VoiceMetadata(
        id="voice_" + "0" * 32,
        name="\U0001f600" * 256,
        created_at=10**12,
        type="audio_sample",
        transcript="\x01" * 1000,
        consent="\x02" * 1000,
        seed=2**63 - 1,
        patches=10**9,
        latents_shape=(10**6, 10**6, 10**6),
        payload_bytes=MAX_RECORDING_BYTES,
    )
    assert parse_metadata(serialize_voice(StoredVoice(longest, b""))) == longest


@given(st.binary(max_size=300))
def test_no_bytes_are_taken_for_a_voice(data: bytes) -> None:
    with pytest.raises(VoiceFileError):
        parse_voice(data, voice().metadata.id)
    with pytest.raises(VoiceFileError):
        parse_metadata(data)


@given(st.data())
def test_every_change_of_a_file_is_noticed(data: st.DataObject) -> None:
    whole = serialize_voice(voice())
    at = data.draw(st.integers(min_value=whole.index(b"\n") + 1, max_value=len(whole) - 1))
    changed = whole[:at] + bytes([whole[at] ^ data.draw(st.integers(min_value=1, max_value=255))]) + whole[at + 1 :]
    with pytest.raises(VoiceFileError, match="hash"):
        parse_voice(changed, voice().metadata.id)
    with pytest.raises(VoiceFileError):
        parse_voice(whole[:at], voice().metadata.id)


def test_latents_that_do_not_have_their_shape_are_refused() -> None:
    right = designed()
    for shape in ((3, 4, 65), (0, 4, 64), (-1, -4, 192), None):
        wrong = StoredVoice(right.metadata.model_copy(update={"latents_shape": shape}), right.payload)
        with pytest.raises(VoiceFileError):
            parse_voice(serialize_voice(wrong), right.metadata.id)


def test_both_bounds_are_held_and_a_replacement_is_no_addition(tmp_path: Path) -> None:
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


def test_a_real_write_that_finds_no_room_leaves_nothing(tmp_path: Path) -> None:
    """The system's own bound on a file's size stands in for a full disk: the write itself fails, halfway."""
    code = textwrap.dedent(f"""
        import resource, sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from test_voice_store import ROOMY, voice
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
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120)
    assert "disk of --voices-dir is full" in told.stdout
    assert [each.name for each in tmp_path.iterdir()] == [voice("small").metadata.id + ".voice"]


def test_a_sweep_removes_what_the_dead_left_and_spares_who_is_writing(tmp_path: Path) -> None:
    store = DiskVoiceStore(tmp_path, ROOMY)
    (tmp_path / ".writing-dead").write_bytes(b"half")
    (tmp_path / "other file").write_bytes(b"not ours")
    (tmp_path / ".writing-link").symlink_to(tmp_path / "other file")
    with (tmp_path / ".writing-alive").open("wb") as writing:
        fcntl.flock(writing, fcntl.LOCK_EX)
        assert store.sweep() == 1
    assert sorted(each.name for each in tmp_path.iterdir()) == [".writing-alive", ".writing-link", "other file"]


def test_what_lies_in_the_folder_and_is_no_voice_is_passed_over(tmp_path: Path) -> None:
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
def test_only_an_id_reaches_the_folder(tmp_path: Path, name: str) -> None:
    store = DiskVoiceStore(tmp_path, ROOMY)
    assert not is_voice_id(name)
    assert store.get(name) is None
    assert not store.delete(name)


def test_a_folder_that_is_none_is_told_without_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = DiskVoiceStore(tmp_path / "file", ROOMY)
    with pytest.raises(DiskStoreError, match="--voices-dir cannot be used: Not a directory") as caught:
        store.put(voice())
    assert str(tmp_path) not in str(caught.value)


def test_writers_side_by_side_keep_the_bound(tmp_path: Path) -> None:
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


def prompt(patches: int) -> VoicePrompt:
    return VoicePrompt("so", np.zeros((patches, 4, 64), np.float32))


async def test_a_cache_keeps_the_latest_within_its_bytes() -> None:
    cache, made = PromptCache(max_bytes=3 * 1024), []

    async def make(name: str, patches: int) -> VoicePrompt:
        made.append(name)
        return prompt(patches)

    for name in ("a", "b", "c", "a", "d", "a", "b"):
        await cache.get(name, lambda name=name: make(name, 1))
    assert made == ["a", "b", "c", "d", "b"]
    assert cache.held_bytes == 3 * 1024
    await cache.get("huge", lambda: make("huge", 9))
    assert cache.held_bytes == 3 * 1024
    cache.forget("b")
    assert cache.held_bytes == 2 * 1024


async def test_who_asks_at_once_shares_one_making_and_who_leaves_spoils_nothing() -> None:
    cache, gate, made = PromptCache(max_bytes=10_000), asyncio.Event(), []

    async def make() -> VoicePrompt:
        made.append(1)
        await gate.wait()
        return prompt(1)

    asking = [asyncio.create_task(cache.get("a", make)) for _ in range(3)]
    await asyncio.sleep(0)
    asking[0].cancel()
    await asyncio.sleep(0)
    gate.set()
    first, second = await asyncio.gather(*asking[1:])
    assert first is second
    assert len(made) == 1


async def test_a_failure_reaches_everybody_and_is_not_kept() -> None:
    cache = PromptCache(max_bytes=10_000)

    async def fail() -> VoicePrompt:
        await asyncio.sleep(0)
        raise ValueError("no voice")

    async def succeed() -> VoicePrompt:
        return prompt(1)

    results = await asyncio.gather(*(cache.get("a", fail) for _ in range(2)), return_exceptions=True)
    assert [str(each) for each in results] == ["no voice", "no voice"]
    assert len((await cache.get("a", succeed)).latents) == 1


async def test_a_voice_deleted_while_it_is_made_is_not_kept() -> None:
    cache, gate = PromptCache(max_bytes=10_000), asyncio.Event()

    async def make() -> VoicePrompt:
        await gate.wait()
        return prompt(1)

    asking = asyncio.create_task(cache.get("a", make))
    await asyncio.sleep(0)
    cache.forget("a")
    gate.set()
    assert len((await asking).latents) == 1
    assert cache.held_bytes == 0


def test_aliases_are_read_and_openais_names_stay() -> None:
    name = "voice_" + "0" * 32
    assert parse_aliases("") == dict(OPENAI_ALIASES)
    assert parse_aliases(f" nova={name}, narrator = random ,")["nova"] == name
    assert parse_aliases("narrator=random") == {**OPENAI_ALIASES, "narrator": "random"}


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("nova", "is no alias"),
        ("nova=", "is no alias"),
        ("nova=alloy", "is no alias"),
        ("../x=default", "is no alias"),
        ("default=random", "has a meaning already"),
        ("a=default,a=random", "has a meaning already"),
        ("voice_" + "0" * 32 + "=default", "has a meaning already"),
    ],
)
def test_aliases_that_mean_nothing_are_refused(written: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_aliases(written)
