from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_inference.bench.playback import Arrival, Playback, first_audio_at, playback

times = st.integers(0, 10_000).map(lambda milliseconds: milliseconds / 1024)  # exact in binary, so sums compare
pieces = st.lists(st.tuples(times, times), min_size=1, max_size=30)


def arrivals_of(pauses_and_audio: list[tuple[float, float]]) -> list[Arrival]:
    at, audio, arrivals = 0.0, 0.0, []
    for pause, more in pauses_and_audio:
        at, audio = at + pause, audio + more
        arrivals.append(Arrival(at, audio))
    return arrivals


def test_audio_in_time_has_no_underrun() -> None:
    assert playback([Arrival(1.0, 0.16), Arrival(1.16, 0.32), Arrival(1.3, 0.48)]) == Playback(0, 0.0)


def test_a_late_piece_is_one_underrun_of_its_lateness() -> None:
    late = playback([Arrival(1.0, 0.25), Arrival(1.75, 0.5), Arrival(1.8, 5.0)])
    assert late == Playback(1, 0.5)


def test_a_stall_delays_the_rest_of_the_playback() -> None:
    """After a stall the player is behind, so the next piece of the same delay is in time."""
    assert playback([Arrival(0.0, 1.0), Arrival(2.0, 2.0), Arrival(3.0, 3.0)]) == Playback(1, 1.0)


def test_a_partial_frame_does_not_split_a_stall() -> None:
    with_half_frame = [Arrival(0.0, 1.0), Arrival(1.5, 1.0), Arrival(2.0, 2.0)]
    assert playback(with_half_frame) == playback([with_half_frame[0], with_half_frame[2]]) == Playback(1, 1.0)


def test_a_header_is_no_audio() -> None:
    assert first_audio_at([Arrival(0.1, 0.0), Arrival(0.5, 0.2)]) == 0.5
    assert first_audio_at([Arrival(0.1, 0.0)]) is None
    assert playback([Arrival(0.1, 0.0)]) == playback([]) == Playback()


@given(pieces)
def test_stalls_add_up_to_the_largest_lateness(pauses_and_audio: list[tuple[float, float]]) -> None:
    """However often a player stops, in the end it is behind by the latest piece: another way to the same figure."""
    arrivals = arrivals_of(pauses_and_audio)
    first = first_audio_at(arrivals)
    lateness, had = 0.0, 0.0
    for arrival in arrivals:
        if first is not None and arrival.audio_seconds > had:
            lateness = max(lateness, arrival.at_seconds - first - had if had else 0.0)
            had = arrival.audio_seconds
    assert playback(arrivals).stalled_seconds == pytest.approx(lateness, abs=1e-9)


@given(pieces, times)
def test_a_head_start_shortens_stalls_and_a_long_one_removes_them(
    pauses_and_audio: list[tuple[float, float]], head_start: float
) -> None:
    arrivals = arrivals_of(pauses_and_audio)
    plain, later = playback(arrivals), playback(arrivals, head_start)
    assert later.underruns <= plain.underruns
    assert later.stalled_seconds == pytest.approx(max(0.0, plain.stalled_seconds - head_start), abs=1e-9)
    assert playback(arrivals, plain.stalled_seconds) == Playback(0, 0.0)


@given(pieces, times)
def test_a_shift_of_all_times_changes_nothing(pauses_and_audio: list[tuple[float, float]], shift: float) -> None:
    arrivals = arrivals_of(pauses_and_audio)
    moved = [Arrival(arrival.at_seconds + shift, arrival.audio_seconds) for arrival in arrivals]
    assert playback(moved) == playback(arrivals)


@given(pieces)
def test_there_are_stalls_exactly_if_there_are_underruns(pauses_and_audio: list[tuple[float, float]]) -> None:
    played = playback(arrivals_of(pauses_and_audio))
    assert (played.underruns == 0) == (played.stalled_seconds == 0)
    assert played.underruns < len(pauses_and_audio)
