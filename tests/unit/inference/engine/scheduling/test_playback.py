from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_inference.engine.scheduling.playback import Playback

PATCH_SECONDS = 0.16


def made(count: int, rank: int = 0, at: float = 100.0) -> Playback:
    playback = Playback(PATCH_SECONDS)
    for _ in range(count):
        playback.patch_sent(rank, at, is_next_played=True)
    return playback


def test_a_request_without_audio_has_no_slack_however_long_it_waits() -> None:
    playback = Playback(PATCH_SECONDS)
    assert playback.slack(0, 0.0) == playback.slack(0, 1000.0) == 0.0
    assert playback.slack(0, 5.0, in_flight=1) == PATCH_SECONDS


def test_slack_is_audio_in_front_minus_time_since_the_first() -> None:
    playback = made(10)
    assert playback.slack(0, 100.0) == pytest.approx(1.6)
    assert playback.slack(0, 101.0) == pytest.approx(0.6)
    assert playback.slack(0, 101.0, in_flight=2) == pytest.approx(0.92)
    assert playback.slack(0, 103.0) == pytest.approx(-1.4)


def test_audio_of_later_sentences_adds_no_slack() -> None:
    playback = made(5)
    for _ in range(7):
        playback.patch_sent(1, 100.0, is_next_played=False)
    assert playback.slack(0, 100.0) == pytest.approx(5 * PATCH_SECONDS)
    assert playback.slack(1, 100.0) == pytest.approx(12 * PATCH_SECONDS)


def test_a_later_sentence_does_not_start_the_player() -> None:
    playback = Playback(PATCH_SECONDS)
    playback.patch_sent(1, 50.0, is_next_played=False)
    assert playback.started_at is None
    playback.patch_sent(0, 60.0, is_next_played=True)
    assert playback.started_at == 60.0


def test_after_an_underrun_the_player_goes_on_with_the_patch() -> None:
    playback = made(5)  # played at 100.8
    assert playback.patch_sent(0, 103.0, is_next_played=True)
    assert playback.slack(0, 103.0) == pytest.approx(PATCH_SECONDS)
    assert not playback.patch_sent(0, 103.1, is_next_played=True)


def test_a_restarted_sentence_counts_from_zero() -> None:
    playback = made(5)
    playback.patch_sent(1, 100.2, is_next_played=False)
    playback.restart_sentence(1)
    assert playback.slack(1, 100.0) == pytest.approx(5 * PATCH_SECONDS)
    playback.restart_sentence(0)
    assert playback.started_at is None


@given(st.lists(st.integers(1, 5), min_size=1, max_size=120))
def test_many_sentences_keep_their_sum_in_bounded_memory(lengths: list[int]) -> None:
    playback = Playback(PATCH_SECONDS)
    for rank, patches in enumerate(lengths):
        for _ in range(patches):
            playback.patch_sent(rank, 0.0, is_next_played=True)
    assert playback.slack(len(lengths), 0.0) == pytest.approx(sum(lengths) * PATCH_SECONDS)
    assert len(playback._made) <= 32
