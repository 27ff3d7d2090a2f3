"""Frames in order, marks with their frame, and time stamps that follow the clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_inference.server.live.rtc.play_queue import (
    FRAME_SAMPLES,
    FRAME_SECONDS,
    LEAD_FRAMES,
    MediaClock,
    Played,
    PlayQueue,
)
from voxfleet_inference.server.live.server_messages import SentenceStart

FIRST, SECOND = SentenceStart(0, "One.", 0.0), SentenceStart(1, "Two.", 1.0)


def test_a_sentence_starts_with_the_next_frame_that_is_pushed() -> None:
    queue = PlayQueue()
    queue.push([b"a"])
    queue.mark(FIRST)
    assert queue.take() == Played(b"a")
    assert queue.take() == Played(None)
    queue.push([b"b", b"c"])
    queue.mark(SECOND)
    queue.push([b"d"])
    assert [queue.take() for _ in range(3)] == [Played(b"b", (FIRST,)), Played(b"c"), Played(b"d", (SECOND,))]


def test_what_is_dropped_was_never_played_and_starts_nothing() -> None:
    queue = PlayQueue()
    queue.push([b"a", b"b"])
    queue.take()
    queue.mark(FIRST)
    queue.clear()
    queue.push([b"c"])
    assert (queue.waiting_seconds, queue.played_seconds) == (FRAME_SECONDS, FRAME_SECONDS)
    assert queue.take() == Played(b"c")


@given(st.lists(st.one_of(st.integers(1, 4), st.just("take"), st.just("clear"))))
def test_the_waiting_time_is_what_can_be_taken(actions: list[int | str]) -> None:
    queue, waiting, played = PlayQueue(), 0, 0
    for action in actions:
        if isinstance(action, int):
            queue.push([b"x"] * action)
            waiting += action
        elif action == "clear":
            queue.clear()
            waiting = 0
        else:
            assert (queue.take().packet is None) == (waiting == 0)
            played, waiting = played + min(1, waiting), max(0, waiting - 1)
    assert queue.waiting_seconds == pytest.approx(waiting * FRAME_SECONDS)
    assert queue.played_seconds == pytest.approx(played * FRAME_SECONDS)


def test_frames_are_due_every_20_ms_after_the_first_ones_and_late_ones_keep_their_time_stamps() -> None:
    clock = MediaClock(100.0)
    due = []
    for _ in range(5):
        due.append(clock.due_at)
        clock.advance(clock.due_at)
    assert due == pytest.approx([100.0, 100.0, 100.0, 100.02, 100.04])
    stamps = [clock.advance(now) for now in (100.06, 100.3, 100.3, 100.3)]
    assert stamps == [each * FRAME_SAMPLES for each in (5, 6, 7, 8)]
    assert clock.late_frames == 3


def test_after_a_long_stall_the_clock_skips_what_has_passed() -> None:
    clock = MediaClock(0.0)
    clock.advance(0.0)
    assert clock.advance(2.0) == 101 * FRAME_SAMPLES
    assert clock.due_at == pytest.approx(2.0)


@given(st.lists(st.floats(0, 3), min_size=1))
def test_time_stamps_rise_and_are_ahead_of_the_clock_by_the_lead_alone(waits: list[float]) -> None:
    clock, now, last = MediaClock(0.0), 0.0, -1
    for wait in waits:
        now = max(clock.due_at, now + wait)
        stamp = clock.advance(now)
        assert stamp > last
        assert stamp / 48000 <= now + LEAD_FRAMES * FRAME_SECONDS + 1e-6
        last = stamp
