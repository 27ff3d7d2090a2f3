"""Chunks are found in a body that arrives in any pieces; ages and underruns follow from their times."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Load = Callable[[str], Any]


@pytest.fixture
def audio(load: Load) -> Any:
    return load("clients.audio")


@pytest.mark.parametrize(("chunks", "pause_ms"), [(1, 0), (63, 160)])
def test_a_pod_finds_the_text_in_a_request(audio: Any, chunks: int, pause_ms: int) -> None:
    text = audio.SpokenText(chunks, pause_ms)
    assert audio.SpokenText.find(f'{{"model":"m","input":"{text}"}}'.encode()) == text


def test_another_text_is_no_schedule(audio: Any) -> None:
    assert audio.SpokenText.find(b'{"input":"Hello."}') is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=4), st.lists(st.integers(1, 30_000), min_size=1))
def test_every_chunk_is_found_in_pieces_of_any_size(audio: Any, sent_at: list[float], sizes: list[int]) -> None:
    body = b"".join(audio.STAMP.pack(each) + bytes(audio.CHUNK_BYTES - audio.STAMP.size) for each in sent_at)
    reader, offset, number = audio.StreamReader(audio.SpokenText(len(sent_at))), 0, 0
    while offset < len(body):
        size = sizes[number % len(sizes)]
        reader.feed(body[offset : offset + size], now=float(number))
        offset, number = offset + size, number + 1
    assert reader.timing.sent_at == sent_at
    assert reader.timing.arrived_at == sorted(reader.timing.arrived_at)
    assert reader.timing.arrived_at[-1] == number - 1


def test_an_incomplete_chunk_has_not_arrived(audio: Any) -> None:
    reader = audio.StreamReader(audio.SpokenText(1))
    reader.feed(bytes(audio.CHUNK_BYTES - 1), now=1.0)
    assert reader.timing.arrived_at == []


@pytest.mark.parametrize(
    ("arrived_at", "stalls"),
    [
        ([], []),
        ([5.0, 5.0, 5.16, 5.32], []),  # one chunk ahead, as a pod sends them
        ([5.0, 5.16, 5.32], []),  # just in time
        ([5.0, 5.0, 5.16, 5.42], []),  # 100 ms late of the 160 ms that are buffered
        ([5.0, 5.0, 5.4], [0.08]),
        ([5.0, 5.2, 5.36, 5.52], [0.04]),  # playback goes on later: the chunks after it are in time
        ([5.0, 5.2, 5.4], [0.04, 0.04]),
    ],
)
def test_underruns_of_a_playback_that_starts_with_the_first_chunk(
    audio: Any, arrived_at: list[float], stalls: list[float]
) -> None:
    timing = audio.ChunkTiming(sent_at=[0.0] * len(arrived_at), arrived_at=arrived_at)
    assert [seconds for seconds in timing.stalls(0.16) if seconds > 1e-9] == pytest.approx(stalls)


def test_the_age_of_a_chunk_is_its_time_under_way(audio: Any) -> None:
    assert audio.ChunkTiming([1.0, 2.0], [1.5, 2.25]).ages() == [0.5, 0.25]
