"""`fetch` with the real client of the hub, against a hub on loopback that can fail."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

WEIGHTS = "model.safetensors"
MIB = 2**20
PATIENCE_SECONDS = 60.0


def failure_line(done: subprocess.CompletedProcess[str]) -> str:
    """Return the line with which a failed command ends."""
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


def test_it_downloads_the_checkpoint_and_no_other_file(hub: Any, fetching: Any, tiny_files: dict[str, bytes]) -> None:
    done = fetching.run()
    assert done.returncode == 0, done.stderr
    assert fetching.there() == tiny_files
    assert f"{sum(map(len, tiny_files.values()))} bytes of hf://org/voice at main" in done.stdout
    again = fetching.run()
    assert again.returncode == 0, again.stderr
    assert len(hub.downloads(WEIGHTS)) == 1, "a complete file is not downloaded again"


def test_a_response_that_breaks_off_is_resumed(hub: Any, fetching: Any) -> None:
    hub.files["audiovae.safetensors"] = big = os.urandom(24 * MIB)
    hub.cuts["audiovae.safetensors"] = [12 * MIB, 11 * MIB]
    done = fetching.run()
    assert done.returncode == 0, done.stderr
    assert fetching.there()["audiovae.safetensors"] == big
    pieces = [None, f"bytes={10 * MIB}-", f"bytes={20 * MIB}-"]  # the client writes ten megabytes at a time
    assert hub.downloads("audiovae.safetensors") == pieces


def test_after_a_kill_it_downloads_only_missing_files(hub: Any, fetching: Any, tiny_files: dict[str, bytes]) -> None:
    hub.held[WEIGHTS] = threading.Event()
    process = fetching.start()
    wait_for(lambda: bool(hub.downloads(WEIGHTS)) and set(tiny_files) - {WEIGHTS} <= set(there(fetching.target)))
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert WEIGHTS not in there(fetching.target), "an incomplete file does not have its final name"
    hub.held.pop(WEIGHTS).set()
    before = len(hub.asked)
    done = fetching.run()
    assert done.returncode == 0, done.stderr
    assert fetching.there() == tiny_files
    assert [name for name, _ in hub.asked[before:]] == [WEIGHTS]
    assert not list(fetching.target.rglob("*.incomplete")), "the incomplete file of the first run is removed"


def test_another_file_of_the_same_size_is_rejected_and_downloaded_again(
    hub: Any, fetching: Any, tiny_files: dict[str, bytes]
) -> None:
    body = tiny_files[WEIGHTS]
    hub.swapped[WEIGHTS] = body[:-1] + bytes([body[-1] ^ 1])
    said = failure_line(fetching.run())
    assert f"{WEIGHTS} is not the hub's" in said
    assert "sha256" in said
    assert WEIGHTS not in fetching.there(), "no server can load it by mistake"
    hub.swapped.clear()
    done = fetching.run()
    assert done.returncode == 0, done.stderr
    assert fetching.there()[WEIGHTS] == body


def test_a_small_file_is_checked_too(hub: Any, fetching: Any, tiny_files: dict[str, bytes]) -> None:
    hub.swapped["config.json"] = tiny_files["config.json"].replace(b"1", b"2")
    assert "config.json is not the hub's" in failure_line(fetching.run())
    assert "config.json" not in fetching.there()


def test_a_file_of_another_length_is_rejected(hub: Any, fetching: Any, tiny_files: dict[str, bytes]) -> None:
    hub.swapped[WEIGHTS] = tiny_files[WEIGHTS] + b"more"
    assert "Consistency check failed" in failure_line(fetching.run())
    assert WEIGHTS not in fetching.there()


def test_a_hub_that_always_breaks_off_is_one_line(hub: Any, fetching: Any) -> None:
    hub.cuts["config.json"] = [0] * 100
    assert "cannot fetch hf://org/voice at main" in failure_line(fetching.run())


def test_while_the_hub_is_down_a_complete_folder_is_enough(hub: Any, fetching: Any) -> None:
    assert fetching.run().returncode == 0
    hub.is_down = True
    assert fetching.run().returncode == 0
    (fetching.target / WEIGHTS).unlink()
    assert "cannot fetch" in failure_line(fetching.run()), "a folder without weights is no checkpoint"


def test_an_unreachable_hub_is_one_line_and_an_incomplete_folder_no_checkpoint(hub: Any, fetching: Any) -> None:
    hub.is_down = True
    fetching.target.mkdir()
    (fetching.target / "config.json").write_text("{}")
    assert "the hub cannot be reached: check the network, or HF_ENDPOINT for a mirror" in failure_line(fetching.run())


@pytest.mark.parametrize(
    ("repository", "revision", "words"),
    [
        ("org/other", "main", "cannot fetch hf://org/other at main: no such repository"),
        ("org/voice", "v9", "cannot fetch hf://org/voice at v9: there is no revision 'v9'"),
    ],
)
def test_an_unknown_repository_or_revision_is_one_line(
    fetching: Any, repository: str, revision: str, words: str
) -> None:
    assert words in failure_line(fetching.run(repository, revision))


def test_a_repository_without_a_checkpoint_is_rejected(hub: Any, fetching: Any) -> None:
    hub.files = {"README.md": b"nothing"}
    assert "has no config.json" in failure_line(fetching.run())


def there(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()] if folder.is_dir() else []


def wait_for(is_so: Any) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)
