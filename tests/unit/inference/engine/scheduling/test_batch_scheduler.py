from __future__ import annotations

import pytest
from voxfleet_inference.engine.messages import Outcome, SequenceEnded, SequenceParams
from voxfleet_inference.engine.model_backend import SequenceCost, Slot
from voxfleet_inference.engine.scheduling.batch_scheduler import BatchScheduler
from voxfleet_inference.engine.scheduling.plans import (
    Admitted,
    Chunk,
    EngineCapacity,
    Limits,
    RowResult,
    StepPlan,
)

PATCH_SECONDS = 0.16


def scheduler(slots: int = 4, kv_positions: int = 10_000, **limits: int) -> BatchScheduler:
    bounds = Limits(**{"max_rows": 3, "max_waiting": 8, "max_prefill_tokens": 10, **limits})
    return BatchScheduler(bounds, EngineCapacity(slots, kv_positions), PATCH_SECONDS)


def submission(
    sequence_id: int, prompt: int = 5, steps: int = 50, **params: float
) -> tuple[int, SequenceParams, SequenceCost]:
    return sequence_id, SequenceParams(**params), SequenceCost(prompt, steps, text_tokens=prompt - 1)  # type: ignore[arg-type]


def one_patch_each(plan: StepPlan) -> tuple[RowResult, ...]:
    return tuple(RowResult(sequence_id) for sequence_id in plan.rows)


def step(batch: BatchScheduler, now: float = 0.0) -> StepPlan:
    """One step that is done at once."""
    plan = batch.schedule(now)
    batch.update(plan, one_patch_each(plan), now)
    return plan


def make_patches(batch: BatchScheduler, sequence_id: int, count: int, now: float = 0.0) -> None:
    for _ in range(count):
        assert sequence_id in step(batch, now).rows


def test_a_short_prompt_is_read_and_followed_by_the_first_patch_in_one_step() -> None:
    batch = scheduler()
    batch.submit(*submission(1), 0.0)
    assert batch.schedule(0.0) == StepPlan(1, Admitted(1, Slot(0, 0, 55)), Chunk(1, 5), (1,), (), 0.0)


def test_a_long_prompt_is_read_in_chunks_while_others_go_on() -> None:
    batch = scheduler()
    batch.submit(*submission(1), 0.0)
    step(batch)
    batch.submit(*submission(2, prompt=23), 0.0)
    plans = [step(batch) for _ in range(3)]
    assert [plan.chunk for plan in plans] == [Chunk(2, 10), Chunk(2, 10), Chunk(2, 3)]
    assert [plan.rows for plan in plans[:2]] == [(1,), (1,)]
    assert set(plans[2].rows) == {1, 2}


def test_one_chunk_and_one_admission_per_step() -> None:
    batch = scheduler()
    for sequence_id in (1, 2, 3):
        batch.submit(*submission(sequence_id), 0.0)
    assert [step(batch).chunk for _ in range(4)] == [Chunk(1, 5), Chunk(2, 5), Chunk(3, 5), None]


def test_rows_are_bounded_and_the_least_slack_goes_first() -> None:
    batch = scheduler(max_rows=1)
    batch.submit(*submission(1), 0.0)
    make_patches(batch, 1, 3)
    batch.submit(*submission(2), 0.0)
    rows = [step(batch).rows for _ in range(5)]
    assert rows == [(2,), (2,), (2,), (1,), (2,)]  # 0.48 s each, then in turns


def test_two_sequences_take_turns_at_one_row() -> None:
    batch = scheduler(max_rows=1)
    for sequence_id in (1, 2):
        batch.submit(*submission(sequence_id), 0.0)
    rows = [step(batch).rows[0] for _ in range(10)]
    assert rows.count(1) == rows.count(2) == 5


def test_a_sequence_at_four_times_the_speed_gets_four_times_the_rows() -> None:
    batch = scheduler(max_rows=1)
    batch.submit(*submission(1, speed=1.0), 0.0)
    batch.submit(*submission(2, speed=4.0), 0.0)
    rows = [step(batch).rows[0] for _ in range(50)]
    assert rows.count(2) == pytest.approx(4 * rows.count(1), abs=2)


def test_first_sentences_go_before_later_ones() -> None:
    batch = scheduler(max_rows=1, slots=8)
    for rank in (0, 1, 2):
        batch.submit(*submission(1 + rank, request_id=1, rank=rank), 0.0)
    batch.submit(*submission(9, request_id=2), 0.0)
    newcomers = [step(batch).admitted for _ in range(4)]
    assert [each.sequence_id for each in newcomers if each is not None] == [1, 9, 2, 3]


def test_a_later_sentence_becomes_urgent_once_it_is_the_one_played_next() -> None:
    batch = scheduler(max_rows=1)
    batch.submit(*submission(1, steps=2, request_id=1, rank=0), 0.0)
    batch.submit(*submission(2, request_id=1, rank=1), 0.0)
    make_patches(batch, 1, 2)
    batch.submit(*submission(3, request_id=2), 0.3)
    assert step(batch, 0.3).rows == (3,)  # it has no slack; the other request has 0.02 s left
    assert step(batch, 0.35).rows == (2,)


def test_a_higher_priority_goes_first_and_a_lower_one_does_not_starve() -> None:
    batch = scheduler(max_rows=1)
    batch.submit(*submission(1, priority=0, steps=500), 0.0)
    batch.submit(*submission(2, priority=1, steps=500), 0.0)
    served = [step(batch, PATCH_SECONDS * at).rows[0] for at in range(400)]  # 64 s; one row is enough for one sequence
    assert set(served[:60]) == {2}
    assert 3 <= served.count(1) <= 8  # once in ten seconds


def test_a_sequence_far_ahead_is_parked_whatever_its_priority() -> None:
    batch = scheduler(max_rows=1)
    batch.submit(*submission(1, priority=3, steps=500), 0.0)
    make_patches(batch, 1, 69)
    batch.submit(*submission(2), 0.0)
    assert step(batch).rows == (2,)


def test_one_request_has_no_more_slots_than_max_parallel_sentences() -> None:
    batch = scheduler(max_parallel_sentences=2)
    for rank in range(4):
        batch.submit(*submission(1 + rank, request_id=5, rank=rank), 0.0)
    for _ in range(5):
        plan = step(batch)
    assert set(plan.rows) == {1, 2}
    batch.cancel(1)
    batch.release_ended([1])
    assert set(step(batch).rows) == {2, 3}


def test_a_full_queue_rejects_with_its_limit() -> None:
    batch = scheduler(max_waiting=1)
    assert batch.submit(*submission(1), 0.0) is None
    message = "the engine's queue is full: 1 of 1 sentences wait"
    assert batch.submit(*submission(2), 0.0) == SequenceEnded(2, Outcome.QUEUE_FULL, message)
    assert not batch.knows(2)


def test_a_sequence_that_can_never_fit_is_rejected_as_too_long() -> None:
    batch = scheduler(kv_positions=100)
    rejection = batch.submit(*submission(1, prompt=60, steps=41), 0.0)
    assert rejection is not None
    assert rejection.outcome is Outcome.TOO_LONG
    assert "needs up to 101 KV positions, and this server has 100" in rejection.message
    assert batch.submit(*submission(1, prompt=60, steps=40), 0.0) is None


def test_an_id_in_use_raises() -> None:
    batch = scheduler()
    batch.submit(*submission(1), 0.0)
    with pytest.raises(ValueError, match="sequence 1 is already waiting"):
        batch.submit(*submission(1), 0.0)


def test_a_slot_is_reused_only_after_its_last_step_in_flight() -> None:
    batch = scheduler(slots=1)
    batch.submit(*submission(1), 0.0)
    batch.submit(*submission(2), 0.0)
    first = batch.schedule(0.0)
    second = batch.schedule(0.1)
    result = batch.update(first, [RowResult(1, is_last=True)], 0.1)
    assert result.ended == (SequenceEnded(1, Outcome.FINISHED, patches=1, text_tokens=4),)
    assert result.released == ()
    assert batch.schedule(0.2).is_empty
    assert batch.update(second, one_patch_each(second), 0.2).released == (1,)
    assert batch.schedule(0.3).admitted == Admitted(2, Slot(0, 0, 55))


def test_a_step_that_is_known_to_be_the_last_is_followed_by_none() -> None:
    batch = scheduler()
    batch.submit(*submission(1), 0.0)
    first = batch.schedule(0.0)
    second = batch.schedule(0.0)
    assert second.rows == (1,)
    batch.update(first, [RowResult(1, next_is_last=True)], 0.1)
    assert batch.schedule(0.2).is_empty
    assert batch.update(second, [RowResult(1, is_last=True)], 0.2).ended[0].patches == 2


def test_no_step_is_scheduled_beyond_max_steps() -> None:
    batch = scheduler()
    batch.submit(*submission(1, steps=2), 0.0)
    plans = [batch.schedule(0.0) for _ in range(3)]
    assert [plan.rows for plan in plans] == [(1,), (1,), ()]
    batch.update(plans[0], one_patch_each(plans[0]), 0.0)
    assert batch.update(plans[1], one_patch_each(plans[1]), 0.0).ended[0].outcome is Outcome.FINISHED


@pytest.mark.parametrize("steps_in_flight", [0, 1, 2])
def test_a_cancelled_sequence_takes_no_further_step(steps_in_flight: int) -> None:
    batch = scheduler()
    batch.submit(*submission(1), 0.0)
    plans = [batch.schedule(float(at)) for at in range(steps_in_flight)]
    assert batch.cancel(1) == SequenceEnded(1, Outcome.CANCELLED, text_tokens=4)
    assert batch.cancel(1) is None
    assert batch.schedule(9.0).is_empty
    for plan in plans:
        assert batch.update(plan, one_patch_each(plan), 9.0).ended == ()
    assert not batch.knows(1)


def test_a_failure_ends_its_sequence_alone() -> None:
    batch = scheduler()
    for sequence_id in (1, 2):
        batch.submit(*submission(sequence_id), 0.0)
        step(batch)
    plan = batch.schedule(0.0)
    results = [RowResult(1, failure="ValueError: no"), RowResult(2)]
    assert batch.update(plan, results, 0.0).ended == (SequenceEnded(1, Outcome.FAILED, "ValueError: no", 2, 4),)
    assert batch.schedule(0.0).rows == (2,)


def test_a_deadline_ends_a_waiting_and_a_running_sequence() -> None:
    batch = scheduler(slots=1)
    batch.submit(*submission(1, deadline_seconds=5.0), 0.0)
    batch.submit(*submission(2, deadline_seconds=4.0), 0.0)
    step(batch)
    assert batch.next_deadline == 4.0
    message = "the sentence was not spoken within {} seconds"
    assert batch.schedule(4.5).expired == (SequenceEnded(2, Outcome.EXPIRED, message.format(4), 0, 4),)
    plan = batch.schedule(5.0)
    assert plan.expired == (SequenceEnded(1, Outcome.EXPIRED, message.format(5), 1, 4),)
    assert plan.is_empty


def test_an_unread_sequence_skips_steps_and_keeps_its_slot() -> None:
    batch = scheduler(slots=1)
    batch.submit(*submission(1), 0.0)
    step(batch)
    batch.park(1)
    batch.submit(*submission(2), 0.0)
    assert batch.schedule(1.0).is_empty
    assert batch.occupancy().parked == 1
    batch.resume(1, 2.0)
    assert batch.schedule(2.0).rows == (1,)


@pytest.mark.parametrize("parked_early", [True, False])
def test_a_sequence_parked_before_it_runs_takes_steps_once_resumed(parked_early: bool) -> None:  # noqa: FBT001
    batch = scheduler()
    batch.submit(*submission(1, prompt=15), 0.0)
    if not parked_early:
        step(batch)
    batch.park(1)
    assert [step(batch).rows for _ in range(3)] == [()] * 3
    batch.resume(1, 1.0)
    assert step(batch, 1.0).rows == (1,)


def test_resuming_corrects_the_slack_by_the_unread_patches() -> None:
    batch = scheduler()
    batch.submit(*submission(1), 0.0)
    make_patches(batch, 1, 10)  # 1.6 s
    batch.park(1)
    batch.resume(1, 31.0, unread_patches=4)
    plan = batch.schedule(31.0)
    assert plan.least_slack_seconds == pytest.approx(0.64)
    assert batch.update(plan, one_patch_each(plan), 31.0).underruns == 0


def test_parking_or_resuming_an_unknown_sequence_changes_nothing() -> None:
    batch = scheduler()
    batch.park(99)
    batch.resume(99, 0.0)
    batch.submit(*submission(1), 0.0)
    batch.resume(1, 0.0)
    assert batch.schedule(0.0).rows == (1,)


def far_ahead(batch: BatchScheduler) -> None:
    """Sequence 1 with eleven seconds of slack."""
    batch.submit(*submission(1, steps=500), 0.0)
    make_patches(batch, 1, 69)


def test_a_lone_sequence_is_never_parked_by_its_slack() -> None:
    batch = scheduler()
    far_ahead(batch)
    make_patches(batch, 1, 100)


def test_a_sequence_far_ahead_is_parked_while_another_is_short_and_resumes_in_time() -> None:
    batch = scheduler()
    far_ahead(batch)
    batch.submit(*submission(2, steps=5000, speed=4.0), 0.0)
    resumed_at = None
    for at in range(1, 300):
        now = at * 0.04  # the other is played as fast as it is made: it is always short
        if 1 in step(batch, now).rows:
            resumed_at = now
            break
    assert resumed_at is not None
    assert 2.0 <= 69 * PATCH_SECONDS - resumed_at <= 2.2


def test_no_sequence_stays_parked_when_none_is_short() -> None:
    batch = scheduler()
    far_ahead(batch)
    batch.submit(*submission(2, steps=500), 0.0)
    rows = [step(batch, 0.0).rows for _ in range(15)]
    assert rows[0] == (2,)
    assert set(rows[-1]) == {1, 2}  # 2 has its two seconds of slack, and there are rows for both


def test_an_underrun_is_counted_once() -> None:
    batch = scheduler()
    batch.submit(*submission(1), 0.0)
    step(batch, 0.0)

    def underruns(now: float) -> int:
        plan = batch.schedule(now)
        return batch.update(plan, one_patch_each(plan), now).underruns

    assert underruns(0.1) == 0
    assert underruns(5.0) == 1
    assert underruns(5.1) == 0
    assert underruns(5.3) == 0


def test_a_retry_of_the_only_sentence_resets_the_slack() -> None:
    batch = scheduler()
    batch.submit(*submission(1, steps=3, request_id=4), 0.0)
    make_patches(batch, 1, 3)
    batch.submit(*submission(2, request_id=4), 0.2)
    assert batch.schedule(0.2).least_slack_seconds == 0.0


def test_the_slack_of_a_request_survives_between_its_sentences() -> None:
    """The sentence that becomes the voice of the others ends before the others are submitted."""
    batch = scheduler()
    batch.submit(*submission(1, steps=10, request_id=4), 0.0)
    make_patches(batch, 1, 10)
    assert not batch.knows(1)
    batch.submit(*submission(2, request_id=4, rank=1), 0.5)
    assert batch.schedule(0.5).least_slack_seconds == pytest.approx(1.1)


def test_idle_time_before_late_text_is_no_underrun() -> None:
    """As in a live session: all text was spoken and played, and more comes a while later."""
    batch = scheduler()
    batch.submit(*submission(1, steps=5, request_id=4), 0.0)
    make_patches(batch, 1, 5)
    batch.submit(*submission(2, request_id=4, rank=1), 30.0)
    plan = batch.schedule(30.0)
    assert plan.least_slack_seconds == pytest.approx(0.0)
    assert batch.update(plan, one_patch_each(plan), 30.0).underruns == 0


def test_parking_and_resuming_at_playback_speed_does_not_raise_the_slack() -> None:
    """Five patches fill the buffer, and with fewer than three it resumes: parked and resumed all the time."""
    batch = scheduler()
    assert batch.submit(*submission(1, steps=9_000), 0.0) is None
    unread, played, is_parked, least_slack = 0, 0, False, 0.0
    for at in range(6000):  # a minute, steps of 10 ms
        now = at * 0.01
        plan = batch.schedule(now)
        batch.update(plan, one_patch_each(plan), now)
        unread += len(plan.rows)
        least_slack = plan.least_slack_seconds or least_slack
        while unread and played * PATCH_SECONDS <= now:
            unread, played = unread - 1, played + 1
        if unread >= 5 and not is_parked:
            is_parked = True
            batch.park(1)
        elif unread < 3 and is_parked:
            is_parked = False
            batch.resume(1, now, unread)
    assert played > 370
    assert least_slack <= 6 * PATCH_SECONDS
