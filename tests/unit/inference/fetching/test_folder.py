"""Folders of weights, filled from a store in memory that breaks off, lies and changes."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from voxfleet_inference.fetching import download
from voxfleet_inference.fetching.errors import LastingError, PassingError
from voxfleet_inference.fetching.folder import MARKER, PARTIAL, Wanted, fill
from voxfleet_inference.fetching.store import Digest, Listing, RemoteFile, digest_of

md5 = partial(hashlib.md5, usedforsecurity=False)
MAIN, NEXT = Wanted("hf://a/b", "main"), Wanted("hf://a/b", "v2")
FILES = {"config.json": b"{}", "model.safetensors": bytes(range(256)) * 8}


@dataclass
class MemoryStore:
    """`cuts`: bytes after which a response breaks off, one per response; `sent`: (name, offset, bytes)."""

    files: dict[str, bytes]
    cuts: list[int] = field(default_factory=list)
    swapped: dict[str, bytes] = field(default_factory=dict)
    sent: list[tuple[str, int, int]] = field(default_factory=list)
    listings: int = 0

    def list_files(self) -> Listing:
        self.listings += 1
        return Listing(
            tuple(
                RemoteFile(name, len(body), Digest("sha256", hashlib.sha256(body).hexdigest()))
                for name, body in self.files.items()
            ),
            "c0ffee",
        )

    @contextmanager
    def open(self, listing: Listing, file: RemoteFile, offset: int, /) -> Iterator[Iterator[bytes]]:
        assert file in listing.files
        body = self.swapped.get(file.name, self.files[file.name])[offset:]
        cut = self.cuts.pop(0) if self.cuts else None
        part = body if cut is None else body[:cut]
        self.sent.append((file.name, offset, len(part)))
        yield iter([part] if part else [])
        if cut is not None:
            raise PassingError("broke off")


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_FIRST_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr("os.fsync", lambda _: None)  # seconds on a busy disk, and of no effect here


def silent(_present: int, _total: int) -> None:
    return


def content(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in folder.iterdir() if not each.name.startswith(".")}


def test_a_complete_folder_asks_no_store(tmp_path: Path) -> None:
    store = MemoryStore(FILES)
    assert fill(tmp_path, MAIN, lambda: store, silent).downloaded
    assert content(tmp_path) == FILES

    def forbidden() -> MemoryStore:
        raise AssertionError

    again = fill(tmp_path, MAIN, forbidden, silent)
    assert (again.downloaded, again.resolved, again.size) == (False, "c0ffee", sum(map(len, FILES.values())))


@given(cuts=st.lists(st.integers(0, 2048), max_size=3))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_breaks_off_no_byte_is_sent_twice(tmp_path_factory: pytest.TempPathFactory, cuts: list[int]) -> None:
    folder = tmp_path_factory.mktemp("weights")
    store = MemoryStore(FILES, cuts)
    fill(folder, MAIN, lambda: store, silent)
    assert content(folder) == FILES
    for name, body in FILES.items():
        assert sum(length for sent, _, length in store.sent if sent == name) == len(body)


@dataclass
class KillingStore(MemoryStore):
    """Kills its own process after so many bytes in all, as a node does when it ends."""

    after: int = 0

    @contextmanager
    def open(self, listing: Listing, file: RemoteFile, offset: int, /) -> Iterator[Iterator[bytes]]:
        with super().open(listing, file, offset) as parts:
            yield (byte.to_bytes() for part in parts for byte in part if self._lives())

    def _lives(self) -> bool:
        self.after -= 1
        if self.after < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return True


def fetched_until_killed(folder: Path, after: int) -> int:
    """Fetch in a process that ends after so many bytes; return the bytes that it had written."""
    process = os.fork()
    if process == 0:
        fill(folder, MAIN, lambda: KillingStore(THREE_FILES, after=after), silent)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(process, 0)[1]) == signal.SIGKILL
    return sum(each.stat().st_size for each in (folder / PARTIAL).iterdir())


THREE_FILES = {"a.safetensors": bytes(range(200)), "b.safetensors": bytes(300), "config.json": b"{}"}


@pytest.mark.parametrize("after", [0, 1, 199, 200, 201, 350, 500, 501])
def test_an_evicted_pod_is_followed_by_one_that_downloads_only_the_rest(tmp_path: Path, after: int) -> None:
    """The claim is what the next pod finds; files that are finished are not asked for again."""
    present = fetched_until_killed(tmp_path, after)
    finished = [
        each.name for each in (tmp_path / PARTIAL).iterdir() if each.stat().st_size == len(THREE_FILES[each.name])
    ]
    assert not (tmp_path / MARKER).exists()
    store = MemoryStore(THREE_FILES)
    assert fill(tmp_path, MAIN, lambda: store, silent).downloaded
    assert content(tmp_path) == THREE_FILES
    assert present + sum(length for _, _, length in store.sent) == sum(map(len, THREE_FILES.values()))
    assert not {name for name, _, _ in store.sent} & set(finished)


def test_a_store_that_only_breaks_off_is_left_after_a_few_attempts(tmp_path: Path) -> None:
    store = MemoryStore(FILES, cuts=[0] * 100)
    with pytest.raises(PassingError, match="broke off"):
        fill(tmp_path, MAIN, lambda: store, silent)
    assert len(store.sent) <= 8
    assert not (tmp_path / MARKER).exists()


def test_a_store_that_lies_and_breaks_off_is_left_too(tmp_path: Path) -> None:
    lie = {"model.safetensors": bytes(2048)}
    with pytest.raises(PassingError):
        fill(tmp_path, MAIN, lambda: MemoryStore(FILES, cuts=[500, 2048] * 50, swapped=lie), silent)


def test_bytes_that_are_not_the_listed_ones_get_no_name(tmp_path: Path) -> None:
    store = MemoryStore(FILES, swapped={"config.json": b"[]"})
    with pytest.raises(PassingError, match="its sha256 is"):
        fill(tmp_path, MAIN, lambda: store, silent)
    assert content(tmp_path) == {}


def test_another_revision_downloads_what_differs_and_drops_what_is_gone(tmp_path: Path) -> None:
    fill(tmp_path, MAIN, lambda: MemoryStore(FILES | {"old.json": b"1"}), silent)
    store = MemoryStore(FILES | {"config.json": b"{ }"})
    fill(tmp_path, NEXT, lambda: store, silent)
    assert content(tmp_path) == store.files
    assert [name for name, _, _ in store.sent] == ["config.json"]
    assert json.loads((tmp_path / MARKER).read_text())["revision"] == "v2"


def test_a_failed_other_revision_leaves_everything(tmp_path: Path) -> None:
    fill(tmp_path, MAIN, lambda: MemoryStore(FILES), silent)
    with pytest.raises(PassingError):
        fill(tmp_path, NEXT, lambda: MemoryStore({"config.json": b"[0]"}, cuts=[1] + [0] * 99), silent)
    assert content(tmp_path) == FILES
    assert not fill(tmp_path, MAIN, lambda: MemoryStore({}), silent).downloaded


def test_a_file_that_was_damaged_is_fetched_again(tmp_path: Path) -> None:
    fill(tmp_path, MAIN, lambda: MemoryStore(FILES), silent)
    (tmp_path / "model.safetensors").write_bytes(b"short")
    store = MemoryStore(FILES)
    assert fill(tmp_path, MAIN, lambda: store, silent).downloaded
    assert content(tmp_path) == FILES


def test_a_full_disk_is_known_before_the_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 100})())
    store = MemoryStore(FILES)
    with pytest.raises(LastingError, match=r"MB free and .* cache\.weights\.size"):
        fill(tmp_path, MAIN, lambda: store, silent)
    assert store.sent == []


def test_a_listing_without_a_config_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(LastingError, match=r"no config\.json"):
        fill(tmp_path, MAIN, lambda: MemoryStore({"model.safetensors": b"1"}), silent)


def test_runs_at_once_list_once(tmp_path: Path) -> None:
    store = MemoryStore(FILES)
    runs = [threading.Thread(target=fill, args=(tmp_path, MAIN, lambda: store, silent)) for _ in range(4)]
    for run in runs:
        run.start()
    for run in runs:
        run.join(60)
    assert store.listings == 1


def test_eviction_spares_the_newest_and_folders_without_weights(tmp_path: Path) -> None:
    (tmp_path / "users").mkdir()
    for name in ("a", "b", "c"):
        fill(tmp_path / name, MAIN, lambda: MemoryStore(FILES), silent, evicts=True)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["b", "c", "users"]


def test_a_file_in_place_of_the_folder_names_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LastingError, match="must be writable for user"):
        fill(tmp_path / "file" / "weights", MAIN, lambda: MemoryStore(FILES), silent)


@pytest.mark.parametrize("size", [0, 1, 5, 10, 23])
def test_digests(size: int, tmp_path: Path) -> None:
    path, body = tmp_path / "file", bytes(range(size))
    path.write_bytes(body)
    parts = [body[start : start + 5] for start in range(0, size, 5)]
    whole = md5(b"".join(md5(part).digest() for part in parts)).hexdigest()
    wanted: dict[Any, str] = {
        Digest("md5", ""): md5(body).hexdigest(),
        Digest("crc32", ""): f"{zlib.crc32(body):08x}",
        Digest("git-sha1", ""): hashlib.sha1(b"blob %d\0" % size + body, usedforsecurity=False).hexdigest(),
        Digest("md5-of-parts", "", 5): f"{whole}-{len(parts)}",
    }
    assert {each: digest_of(path, each, size) for each in wanted} == wanted
