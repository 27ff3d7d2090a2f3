from __future__ import annotations

import re
import threading
import time
from typing import Any

import numpy as np
import pytest
from voxfleet_inference.engine.engine import Engine
from voxfleet_inference.engine.messages import (
    Cancel,
    Idle,
    Outcome,
    Park,
    Report,
    Resume,
    Sentence,
    SequenceParams,
    Submit,
)
from voxfleet_inference.engine.scheduling.plans import Limits
from voxfleet_inference.engine.steps.noise import patch_noise


def test_a_sentence_makes_its_patches_in_order_and_ends_once(running: Any) -> None:
    running.submit(1, "five!")
    ended = running.log.wait_for_ends(1)[1]
    assert (ended.outcome, ended.patches) == (Outcome.FINISHED, 5)
    samples = np.concatenate([patch.samples for patch in running.log.patches(1)])
    assert len(samples) == 5 * 7056
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(len(samples)) / 44100)
    assert np.allclose(samples, expected, atol=1e-4)


def test_no_step_is_wasted_after_the_last_patch(running: Any, tone_model: Any) -> None:
    for sequence_id in (1, 2, 3):
        running.submit(sequence_id, "abc")
    running.log.wait_for_ends(3)
    assert tone_model.steps_taken == 9


def test_noise_depends_on_the_seed_and_not_on_other_rows(running: Any, tone_model: Any) -> None:
    running.submit(5, "ab", sentence_index=2, attempt=1)
    running.submit(6, "ab")
    running.log.wait_for_ends(2)
    made = {noise.tobytes() for noise in tone_model.noises}
    expected = {patch_noise(5, 2, 1, step, 4, 64).tobytes() for step in (0, 1)}
    expected |= {patch_noise(6, 0, 0, step, 4, 64).tobytes() for step in (0, 1)}
    assert made == expected


def test_a_tape_replaces_the_noise_and_a_short_one_fails_with_the_missing_step(running: Any, tone_model: Any) -> None:
    tape = np.ones((2, 4, 64), dtype=np.float32)
    running.submit(1, "abc", noise_tape=tape)
    ended = running.log.wait_for_ends(1)[1]
    assert ended.outcome is Outcome.FAILED
    assert "the noise tape has 2 steps; step 3 is needed" in ended.message
    assert all((noise == 1).all() for noise in tone_model.noises)


def test_max_steps_bounds_a_sentence(running: Any) -> None:
    running.submit(1, "a long sentence", max_steps=3)
    assert running.log.wait_for_ends(1)[1].patches == 3


def test_a_failed_sentence_does_not_end_the_others(running: Any) -> None:
    running.submit(1, "refuse this")
    running.submit(2, "good")
    ends = running.log.wait_for_ends(2)
    assert ends[1].outcome is Outcome.FAILED
    assert "this sentence cannot be read" in ends[1].message
    assert ends[2].outcome is Outcome.FINISHED


@pytest.mark.parametrize("words", ["CUDA error: an illegal memory access", "Triton Error [CUDA]: misaligned address"])
def test_an_error_of_the_device_ends_the_engine(tone_model: Any, report_log: Any, words: str) -> None:
    tone_model.fatal_message = words
    engine = Engine(tone_model, Limits(max_rows=1, max_waiting=1), 0.16, report_log)
    engine.enqueue(Submit(Sentence(sequence_id=1, text="a fatal sentence", seed=1)))
    with pytest.raises(RuntimeError, match=re.escape(words)):
        engine.run()


def test_a_cancel_stops_generation_within_one_step(tone_model: Any, start_engine: Any, until: Any) -> None:
    tone_model.gate = threading.Event()
    running = start_engine(tone_model, max_rows=1, max_waiting=1)
    running.submit(1, "a very long sentence indeed")
    until(lambda: tone_model.prefilled)  # the first step waits at the gate
    running.engine.enqueue(Cancel(1))
    tone_model.gate.set()
    assert running.log.wait_for_ends(1)[1].outcome is Outcome.CANCELLED
    running.submit(2, "ab")
    assert running.log.wait_for_ends(2)[2].patches == 2
    assert tone_model.steps_taken == 1 + 2


def test_a_sentence_cancelled_while_it_waits_is_never_prefilled(tone_model: Any, start_engine: Any) -> None:
    tone_model.gate = threading.Event()
    tone_model.slots = 1
    running = start_engine(tone_model, max_rows=1, max_waiting=4)
    running.submit(1, "ab")
    running.submit(2, "never")
    running.engine.enqueue(Cancel(2))
    tone_model.gate.set()
    ends = running.log.wait_for_ends(2)
    assert (ends[2].outcome, ends[2].patches) == (Outcome.CANCELLED, 0)
    assert tone_model.prefilled == ["ab"]


def test_a_full_queue_rejects_a_sentence_and_names_the_limit(tone_model: Any, start_engine: Any, until: Any) -> None:
    tone_model.gate = threading.Event()
    tone_model.slots = 1
    running = start_engine(tone_model, max_rows=1, max_waiting=1)
    running.submit(1, "ab")
    until(lambda: tone_model.prefilled)  # it has the slot, and its first step waits at the gate
    for sequence_id in (2, 3, 4):
        running.submit(sequence_id, "ab")
    tone_model.gate.set()
    ends = running.log.wait_for_ends(4)
    assert [ends[each].outcome for each in (1, 2, 3, 4)] == [Outcome.FINISHED] * 2 + [Outcome.QUEUE_FULL] * 2
    assert "1 of 1 sentences wait" in ends[3].message


def test_a_parked_sentence_makes_nothing_until_it_is_resumed(tone_model: Any, start_engine: Any, until: Any) -> None:
    tone_model.gate = threading.Event()
    running = start_engine(tone_model, max_rows=1, max_waiting=1)
    running.submit(1, "x" * 100)
    until(lambda: tone_model.prefilled)
    running.engine.enqueue(Park(1))
    tone_model.gate.set()
    running.log.wait_for(lambda _: running.log.patches(1))
    time.sleep(0.3)  # no event marks the absence of patches; a shorter wait could not fail
    assert len(running.log.patches(1)) <= 3  # in flight or scheduled when the command came
    running.engine.enqueue(Resume(1))
    assert running.log.wait_for_ends(1)[1].patches == 100


def test_sentences_share_steps(tone_model: Any, start_engine: Any, until: Any) -> None:
    tone_model.gate = threading.Event()
    running = start_engine(tone_model, max_rows=4)
    for sequence_id in (1, 2, 3, 4):
        running.submit(sequence_id, "a sentence of thirty patches..")
    until(lambda: tone_model.prefilled)
    tone_model.gate.set()
    running.log.wait_for_ends(4)
    assert max(tone_model.batches) == 4
    assert sum(tone_model.batches) == 120
    assert len(tone_model.batches) < 40


def test_a_long_prompt_is_read_in_chunks_while_other_sentences_get_patches(
    tone_model: Any, start_engine: Any, until: Any
) -> None:
    tone_model.gate = threading.Event()
    running = start_engine(tone_model, max_prefill_tokens=7)
    running.submit(1, "x" * 60)
    until(lambda: tone_model.prefilled)  # its first step waits at the gate
    running.submit(2, "y" * 30)
    tone_model.gate.set()
    running.log.wait_for_ends(2)
    assert tone_model.chunks == [7] * 8 + [5] + [7] * 4 + [3]
    readings = [step for step in running.log.steps() if step.prefill_positions]
    assert [step.prefill_positions for step in readings] == tone_model.chunks
    assert [step.rows for step in readings] == [0] * 8 + [1] + [1] * 4 + [2]


def test_more_sentences_have_slots_than_a_step_has_rows(tone_model: Any, start_engine: Any) -> None:
    tone_model.slots = 6
    tone_model.gate = threading.Event()
    running = start_engine(tone_model, max_rows=2, max_waiting=20)
    for sequence_id in range(1, 13):
        running.submit(sequence_id, "z" * 20)
    tone_model.gate.set()
    ends = running.log.wait_for_ends(12)
    assert {end.outcome for end in ends.values()} == {Outcome.FINISHED}
    assert max(tone_model.batches) == 2
    assert max(step.occupancy.slots_used for step in running.log.steps()) == 6
    until_the_end = running.log.steps()[-1].occupancy
    assert (until_the_end.slots_used, until_the_end.kv_positions_used) == (0, 0)


def test_a_sentence_that_can_never_fit_ends_as_too_long(running: Any, tone_model: Any) -> None:
    running.submit(1, "an endless sentence")
    ended = running.log.wait_for_ends(1)[1]
    assert ended.outcome is Outcome.TOO_LONG
    assert ended.message.startswith("the sentence needs a million positions")
    tone_model.kv_positions = 10  # the scheduler has the capacity of the start, and names that one
    running.submit(2, "q" * 200_000)
    assert "and this server has 1000000" in running.log.wait_for_ends(2)[2].message


def test_a_deadline_wakes_an_idle_engine(tone_model: Any, start_engine: Any, until: Any) -> None:
    """The only sentence is parked, so the engine sleeps until the deadline."""
    running = start_engine(tone_model)
    running.engine.enqueue(Park(1))
    running.submit(1, "x" * 50_000, params=SequenceParams(deadline_seconds=0.3))
    running.engine.enqueue(Park(1))
    ended = running.log.wait_for_ends(1)[1]
    assert ended.outcome is Outcome.EXPIRED
    assert "not spoken within 0.3 seconds" in ended.message
    until(lambda: not tone_model.assigned)


def test_the_last_patch_is_truncated_when_max_steps_ends_a_sentence(running: Any) -> None:
    running.submit(1, "a long sentence", max_steps=3)
    running.submit(2, "abc", max_steps=3)
    running.log.wait_for_ends(2)
    assert [patch.is_truncated for patch in running.log.patches(1)] == [False, False, True]
    assert [patch.is_truncated for patch in running.log.patches(2)] == [False] * 3  # it ended by itself


def test_an_end_carries_the_text_tokens(running: Any) -> None:
    running.submit(1, "seven..")
    assert running.log.wait_for_ends(1)[1].text_tokens == 7


def test_a_step_carries_the_occupancy(tone_model: Any, start_engine: Any, until: Any) -> None:
    tone_model.gate = threading.Event()
    running = start_engine(tone_model, max_rows=2)
    running.submit(1, "0123456789")
    until(lambda: tone_model.prefilled)
    for sequence_id in (2, 3):
        running.submit(sequence_id, "0123456789")
    tone_model.gate.set()
    running.log.wait_for_ends(3)
    steps = running.log.steps()
    assert [step.step for step in steps] == list(range(1, len(steps) + 1))
    assert sum(step.rows for step in steps) == 30
    assert (steps[0].occupancy.slots, steps[0].occupancy.kv_positions) == (64, 1_000_000)
    assert max(step.occupancy.kv_positions_used for step in steps) == 3 * (11 + 70)
    assert steps[-1].occupancy.kv_positions_used == 0
    assert max(step.occupancy.running for step in steps) == 3
    assert set(steps[0].part_seconds) == {"prefill", "launch", "wait"}
    assert all(step.step_seconds >= 0 for step in steps)


def test_idle_carries_the_commands_processed_and_the_occupancy(tone_model: Any, start_engine: Any) -> None:
    """The only slot belongs to a parked sentence and a second one waits for it: there is no step to take."""
    tone_model.slots = 1
    running = start_engine(tone_model)
    running.submit(1, "x" * 1000)
    running.engine.enqueue(Park(1))
    running.submit(2, "abc")
    running.log.wait_for(lambda reports: reports[-1] == idle_after(reports, 3))
    assert (running.log.reports[-1].occupancy.running, running.log.reports[-1].occupancy.waiting) == (1, 1)
    running.engine.enqueue(Cancel(1))
    running.log.wait_for_ends(2)
    running.log.wait_for(lambda reports: reports[-1] == idle_after(reports, 4))
    empty = running.log.reports[-1].occupancy
    assert (empty.running, empty.parked, empty.waiting, empty.kv_positions_used) == (0, 0, 0, 0)


def idle_after(reports: list[Report], commands: int) -> Report | None:
    """The last Idle after so many commands, if there is one."""
    found = [each for each in reports if isinstance(each, Idle) and each.commands == commands]
    return found[-1] if found else None


def test_a_sentence_cancelled_during_prefill_frees_its_slot(tone_model: Any, start_engine: Any, until: Any) -> None:
    running = start_engine(tone_model, max_prefill_tokens=1)
    running.submit(1, "x" * 5_000)
    until(lambda: len(tone_model.chunks) > 3)
    running.engine.enqueue(Cancel(1))
    assert running.log.wait_for_ends(1)[1].outcome is Outcome.CANCELLED
    until(lambda: not tone_model.assigned)
    assert len(tone_model.chunks) < 5_000
