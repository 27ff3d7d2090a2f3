from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_inference.bench.playback import Arrival, Playback, first_audio_at, playback

moments = st.integers(0, 10_000).map(lambda milliseconds: milliseconds / 1024)  # exact in binary, so sums compare
pieces = st.lists(st.tuples(moments, moments), min_size=1, max_size=30)


def arrivals_of(pauses_and_audio: list[tuple[float, float]]) -> list[Arrival]:
    at, audio, arrivals = 0.0, 0.0, []
    for pause, more in pauses_and_audio:
        at, audio = at + pause, audio + more
        arrivals.append(Arrival(at, audio))
    return arrivals


def test_audio_that_comes_in_time_is_played_without_a_stop() -> None:
    assert playback([Arrival(1.0, 0.16), Arrival(1.16, 0.32), Arrival(1.3, 0.48)]) == Playback(0, 0.0)


def test_a_late_piece_is_one_underrun_of_its_lateness() -> None:
    late = playback([Arrival(1.0, 0.25), Arrival(1.75, 0.5), Arrival(1.8, 5.0)])
    assert late == Playback(1, 0.5)


def test_what_was_late_once_moves_the_rest() -> None:
    """After a stall the player is behind, so the next piece of the same delay is in time."""
    assert playback([Arrival(0.0, 1.0), Arrival(2.0, 2.0), Arrival(3.0, 3.0)]) == Playback(1, 1.0)


def test_half_a_frame_in_a_stall_does_not_make_it_two() -> None:
    with_half_frame = [Arrival(0.0, 1.0), Arrival(1.5, 1.0), Arrival(2.0, 2.0)]
    assert playback(with_half_frame) == playback([with_half_frame[0], with_half_frame[2]]) == Playback(1, 1.0)


def test_a_header_is_no_audio() -> None:
    assert first_audio_at([Arrival(0.1, 0.0), Arrival(0.5, 0.2)]) == 0.5
    assert first_audio_at([Arrival(0.1, 0.0)]) is None
    assert playback([Arrival(0.1, 0.0)]) == playback([]) == Playback()


@given(pieces)
def test_all_stalls_together_are_the_worst_lateness(pauses_and_audio: list[tuple[float, float]]) -> None:
    """However often a player stops, in the end it is behind by the latest piece: another way to the same figure."""
    arrivals = arrivals_of(pauses_and_audio)
    first = first_audio_at(arrivals)
    lateness, had = 0.0, 0.0
    for arrival in arrivals:
        if first is not None and arrival.audio_seconds > had:
            lateness = max(lateness, arrival.at_seconds - first - had if had else 0.0)
            had = arrival.audio_seconds
    assert playback(arrivals).stalled_seconds == pytest.approx(lateness, abs=1e-9)


@given(pieces, moments)
def test_waiting_before_the_first_sound_never_hurts_and_waiting_enough_heals(
    pauses_and_audio: list[tuple[float, float]], head_start: float
) -> None:
    arrivals = arrivals_of(pauses_and_audio)
    plain, later = playback(arrivals), playback(arrivals, head_start)
    assert later.underruns <= plain.underruns
    assert later.stalled_seconds == pytest.approx(max(0.0, plain.stalled_seconds - head_start), abs=1e-9)
    assert playback(arrivals, plain.stalled_seconds) == Playback(0, 0.0)


@given(pieces, moments)
def test_only_distances_count(pauses_and_audio: list[tuple[float, float]], shift: float) -> None:
    arrivals = arrivals_of(pauses_and_audio)
    moved = [Arrival(arrival.at_seconds + shift, arrival.audio_seconds) for arrival in arrivals]
    assert playback(moved) == playback(arrivals)


@given(pieces)
def test_underruns_and_stalls_come_together(pauses_and_audio: list[tuple[float, float]]) -> None:
    played = playback(arrivals_of(pauses_and_audio))
    assert (played.underruns == 0) == (played.stalled_seconds == 0)
    assert played.underruns < len(pauses_and_audio)
