"""`fetch` with the real client of the hub, against a hub on loopback that can fail."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

WEIGHTS, BIG = "model.safetensors", "audiovae.safetensors"
MIB = 2**20
PATIENCE_SECONDS = 120.0
LASTING, PASSING = 3, 75


def failure_line(done: subprocess.CompletedProcess[str], code: int = PASSING) -> str:
    """Return the line with which a failed command ends."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


def succeeds(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_downloads_the_checkpoint_and_no_other_file(hub: Any, fetching: Any, tiny_files: dict[str, bytes]) -> None:
    said = succeeds(fetching.run())
    assert fetching.there() == tiny_files
    assert f"{sum(map(len, tiny_files.values()))} bytes of hf://org/voice at main (commit c0ffee" in said
    before = len(hub.asked)
    hub.is_down = True
    assert "it was complete, and nothing was downloaded" in succeeds(fetching.run())
    assert len(hub.asked) == before
    marker = json.loads((fetching.target / ".voxfleet-weights.json").read_text())
    assert (marker["source"], marker["revision"]) == ("hf://org/voice", "main")
    assert marker["files"].keys() == tiny_files.keys()


def test_a_response_that_breaks_off_is_resumed(hub: Any, fetching: Any) -> None:
    hub.files[BIG] = big = os.urandom(24 * MIB)
    hub.cuts[BIG] = [12 * MIB, 6 * MIB]
    succeeds(fetching.run())
    assert fetching.there()[BIG] == big
    first, *later = hub.downloads(BIG)
    assert first is None
    offsets = [int(each.removeprefix("bytes=").rstrip("-")) for each in later]
    assert len(offsets) == 2
    assert offsets[0] >= 10 * MIB
    assert offsets[1] >= offsets[0] + 4 * MIB


def test_after_a_kill_it_resumes(hub: Any, fetching: Any) -> None:
    hub.files[BIG] = os.urandom(24 * MIB)
    hub.held[BIG] = threading.Event()
    process = fetching.start()
    partial = fetching.target / ".partial" / BIG
    wait_for(lambda: partial.exists() and partial.stat().st_size >= 8 * MIB)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert not fetching.there(), "no file has its name before all are verified"
    hub.held.pop(BIG).set()
    succeeds(fetching.run())
    assert fetching.there() == {name: body for name, body in hub.files.items() if name != "README.md"}
    assert len(hub.downloads(WEIGHTS)) == 1, "a whole file of the first run is kept"
    assert hub.downloads(BIG)[1].startswith("bytes=")
    assert not partial.parent.exists()


def test_another_file_of_the_same_size_is_rejected_and_downloaded_again(
    hub: Any, fetching: Any, tiny_files: dict[str, bytes]
) -> None:
    body = tiny_files[WEIGHTS]
    hub.swapped[WEIGHTS] = body[:-1] + bytes([body[-1] ^ 1])
    said = failure_line(fetching.run())
    assert f"{WEIGHTS} is not the listed file: its sha256 is" in said
    assert not fetching.there(), "no server can load it by mistake"
    hub.swapped.clear()
    succeeds(fetching.run())
    assert fetching.there()[WEIGHTS] == body


def test_a_small_file_is_checked_too(hub: Any, fetching: Any, tiny_files: dict[str, bytes]) -> None:
    hub.swapped["config.json"] = tiny_files["config.json"].replace(b"1", b"2")
    assert "config.json is not the listed file: its git-sha1 is" in failure_line(fetching.run())


def test_a_file_of_another_length_is_rejected(hub: Any, fetching: Any, tiny_files: dict[str, bytes]) -> None:
    hub.swapped[WEIGHTS] = tiny_files[WEIGHTS] + b"more"
    assert f"{WEIGHTS} has {len(tiny_files[WEIGHTS]) + 4} bytes" in failure_line(fetching.run())


def test_a_hub_that_always_breaks_off_is_one_line(hub: Any, fetching: Any) -> None:
    hub.cuts["config.json"] = [0] * 100
    assert "cannot fetch hf://org/voice at main" in failure_line(fetching.run())


def test_another_revision_that_fails_leaves_the_last_good_weights(
    hub: Any, fetching: Any, tiny_files: dict[str, bytes]
) -> None:
    succeeds(fetching.run())
    body = tiny_files["config.json"]
    hub.files["config.json"] = newer = body + b" "
    hub.cuts["config.json"] = [0] * 100
    assert "peer closed connection" in failure_line(fetching.run("", "v2"))
    assert fetching.there() == tiny_files
    assert "nothing was downloaded" in succeeds(fetching.run()), "the marker still names main"
    hub.cuts.clear()
    succeeds(fetching.run("", "v2"))
    assert fetching.there()["config.json"] == newer
    assert len(hub.downloads(WEIGHTS)) == 1, "a file that is the same in both is not downloaded again"


def test_two_runs_at_once_download_once(hub: Any, fetching: Any) -> None:
    hub.files[BIG] = os.urandom(2 * MIB)
    runs = [fetching.start() for _ in range(2)]
    for run in runs:
        output, errors = run.communicate(timeout=300)
        assert run.returncode == 0, output + errors
    assert len(hub.downloads(BIG)) == 1


def test_an_unreachable_hub_is_one_line(hub: Any, fetching: Any) -> None:
    hub.is_down = True
    assert "the hub cannot be reached: check the network, or HF_ENDPOINT for a mirror" in failure_line(fetching.run())


@pytest.mark.parametrize(
    ("source", "revision", "words"),
    [
        ("hf://org/other", "main", "cannot fetch hf://org/other at main: no such repository, or it is private"),
        ("hf://org/voice", "v9", "cannot fetch hf://org/voice at v9: there is no revision 'v9': set model.revision"),
    ],
)
def test_an_unknown_repository_or_revision_is_one_line(fetching: Any, source: str, revision: str, words: str) -> None:
    assert words in failure_line(fetching.run(source, revision), LASTING)


def test_a_gated_repository_needs_the_token_of_an_account_with_access(hub: Any, fetching: Any, tmp_path: Path) -> None:
    hub.is_gated = True
    reason = tmp_path / "termination-log"
    failed = failure_line(fetching.run("", "main", None, "--error-file", str(reason), HF_TOKEN=""), LASTING)
    assert "gated: request access on its page and set a token of that account" in failed
    assert reason.read_text() == failed.removeprefix("voxfleet-inference: ")
    succeeds(fetching.run(HF_TOKEN="right"))


def test_a_repository_without_a_checkpoint_is_rejected(hub: Any, fetching: Any) -> None:
    hub.files = {"README.md": b"nothing"}
    assert "there is no config.json" in failure_line(fetching.run(), LASTING)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a file system needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_too_small_downloads_nothing(hub: Any, fetching: Any, small_disk: Path) -> None:
    hub.files[BIG] = os.urandom(40 * MIB)
    said = failure_line(fetching.run("", "main", small_disk / "weights"), LASTING)
    assert "MB free and 4" in said
    assert "cache.weights.size" in said
    assert not hub.asked


def test_a_disk_that_fills_up_meanwhile_leaves_the_last_good_weights(
    hub: Any, fetching: Any, small_disk: Path, tiny_files: dict[str, bytes]
) -> None:
    target = small_disk / "weights"
    succeeds(fetching.run("", "main", target))
    hub.files[BIG] = os.urandom(20 * MIB)
    hub.held[BIG] = threading.Event()
    process = fetching.start("", "v2", target)
    partial = target / ".partial" / BIG
    wait_for(lambda: partial.exists() and partial.stat().st_size >= 8 * MIB)
    fill(small_disk / "ballast")
    hub.held[BIG].set()
    _, errors = process.communicate(timeout=120)
    assert "No space left on device: free space, or raise the size of the volume" in errors
    assert process.returncode == LASTING
    assert (target / "config.json").read_bytes() == tiny_files["config.json"]
    (small_disk / "ballast").unlink()
    hub.held.clear()
    succeeds(fetching.run("", "v2", target))
    assert (target / BIG).read_bytes() == hub.files[BIG]


def test_eviction_keeps_the_newest_weights_beside(fetching: Any, tmp_path: Path) -> None:
    root = tmp_path / "cache"
    for name in ("first", "second", "third"):
        revision = "v2" if name == "second" else "main"
        succeeds(fetching.run("", revision, root / name, "--evict"))
    assert sorted(each.name for each in root.iterdir()) == ["second", "third"]


def fill(path: Path) -> None:
    with path.open("wb") as ballast:
        try:
            while ballast.write(bytes(2**16)):
                ballast.flush()
        except OSError:
            return


def wait_for(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)
