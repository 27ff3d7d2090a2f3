"""Of every format: exact to the frame wherever a file is cut, in whatever pieces it comes, and safe for any bytes."""

import random
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from voxfleet_gateway.decisions.accounts.audio_meter import FRAMES

FILES = [
    ("mp3", 44_100),
    ("mp3", 24_000),
    ("mp3", 8000),
    ("aac", 44_100),
    ("aac", 11_025),
    ("opus", 48_000),
    ("flac", 44_100),
    ("flac", 24_000),
]
MOST_KEPT_BYTES = 2**20 + 2**16  # of a hostile stream


def counted(name: str, *pieces: bytes) -> float:
    counter = FRAMES[name]()
    for piece in pieces:
        counter.feed(piece)
    return counter.seconds() or 0.0


@pytest.mark.parametrize("is_whole", [False, True], ids=["stream", "file"])
@pytest.mark.parametrize(("name", "rate"), FILES)
def test_a_cut_file_is_as_long_as_its_complete_frames(files: Any, name: str, rate: int, *, is_whole: bool) -> None:
    made = files(name, rate, 1.5, is_whole=is_whole)
    assert len(made.ends) > 3
    around_ends = {end + step for end in made.ends for step in (-1, 0, 1, 5)}
    anywhere = random.Random(3).sample(range(len(made.data)), 40)  # noqa: S311  # cuts, not secrets
    for cut in sorted({*around_ends, *anywhere, len(made.data)}):
        assert counted(name, made.data[:cut]) == pytest.approx(made.seconds_at(cut), abs=1e-9), cut
    longest_frame = max(made.samples) / rate
    assert counted(name, made.data) == pytest.approx(1.5, abs=0.001 if name in {"opus", "flac"} else 3 * longest_frame)


@pytest.mark.parametrize(("name", "rate"), FILES)
@settings(max_examples=25)
@given(data=st.data())
def test_pieces_make_no_difference(files: Any, name: str, rate: int, data: st.DataObject) -> None:
    made = files(name, rate, 0.3)
    cuts = data.draw(st.lists(st.integers(0, len(made.data)), max_size=12).map(sorted))
    end = data.draw(st.integers(0, len(made.data)))
    pieces = [made.data[start:stop][: max(0, end - start)] for start, stop in pairwise([0, *cuts, len(made.data)])]
    assert counted(name, *pieces) == pytest.approx(made.seconds_at(end), abs=1e-9)


@pytest.mark.parametrize(("name", "rate"), FILES)
def test_byte_by_byte(files: Any, name: str, rate: int) -> None:
    made = files(name, rate, 0.3)
    pieces = [made.data[at : at + 1] for at in range(len(made.data))]
    assert counted(name, *pieces) == pytest.approx(made.seconds_at(len(made.data)), abs=1e-9)


@pytest.mark.parametrize("name", ["opus", "flac", "mp3", "aac"])
def test_one_stream_after_another(files: Any, name: str) -> None:
    rate = 48_000 if name == "opus" else 44_100
    made = files(name, rate, 0.5)
    assert counted(name, made.data, made.data) == pytest.approx(2 * made.seconds_at(len(made.data)), abs=1e-9)


@pytest.mark.parametrize("name", FRAMES)
@given(pieces=st.lists(st.binary(max_size=300), max_size=30))
def test_any_bytes_are_taken(name: str, pieces: list[bytes]) -> None:
    assert 0 <= counted(name, *pieces) < 1e6


@pytest.mark.parametrize(("name", "rate"), FILES)
@settings(max_examples=25)
@given(data=st.data())
def test_a_damaged_file_is_never_longer(files: Any, name: str, rate: int, data: st.DataObject) -> None:
    made = files(name, rate, 0.3)
    damaged = bytearray(made.data)
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    longest = 0.12 * 20 if name == "opus" else 65_536 / 8000  # of the frames' headers that were damaged
    assert 0 <= counted(name, bytes(damaged)) <= made.seconds_at(len(made.data)) + 8 * longest


@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize("block", [b"\xff", b"\xff\xfb", b"OggS" + b"\xff" * 300, b"\0", b"fLaC" + b"\xff\xf8" * 50])
def test_what_is_kept_is_bounded(name: str, block: bytes) -> None:
    counter = FRAMES[name]()
    counter.feed(b"fLaC\0\0\0\x22" + b"\x01" * 34)
    for _ in range(20):
        counter.feed(block * (2**16 // len(block)))
        assert len(counter.pending) <= MOST_KEPT_BYTES  # type: ignore[attr-defined]
