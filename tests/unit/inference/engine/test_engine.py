from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from voxfleet_inference.engine.engine import Engine
from voxfleet_inference.engine.messages import (
    Cancel,
    EncodeVoice,
    Idle,
    Outcome,
    Park,
    Report,
    Resume,
    Sentence,
    SequenceParams,
    Submit,
    VoiceEncoded,
)
from voxfleet_inference.engine.noise import patch_noise
from voxfleet_inference.engine.scheduling.plans import Limits


def test_a_sentence_makes_its_patches_in_order_and_ends_once(running: Any) -> None:
    running.submit(1, "five!")
    ended = running.listener.wait_for_ends(1)[1]
    assert (ended.outcome, ended.patches) == (Outcome.FINISHED, 5)
    samples = np.concatenate([patch.samples for patch in running.listener.patches(1)])
    assert len(samples) == 5 * 7056
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(len(samples)) / 44100)
    assert np.allclose(samples, expected, atol=1e-4)


def test_no_step_is_wasted_after_the_last_patch(running: Any, tone_model: Any) -> None:
    for sequence_id in (1, 2, 3):
        running.submit(sequence_id, "abc")
    running.listener.wait_for_ends(3)
    assert tone_model.steps_taken == 9


def test_the_noise_is_the_seeds_whatever_the_neighbours(running: Any, tone_model: Any) -> None:
    running.submit(5, "ab", sentence_index=2, attempt=1)
    running.submit(6, "ab")
    running.listener.wait_for_ends(2)
    made = {noise.tobytes() for noise in tone_model.noises}
    expected = {patch_noise(5, 2, 1, step, 4, 64).tobytes() for step in (0, 1)}
    expected |= {patch_noise(6, 0, 0, step, 4, 64).tobytes() for step in (0, 1)}
    assert made == expected


def test_a_tape_replaces_the_noise_and_a_short_one_says_what_is_missing(running: Any, tone_model: Any) -> None:
    tape = np.ones((2, 4, 64), dtype=np.float32)
    running.submit(1, "abc", noise_tape=tape)
    ended = running.listener.wait_for_ends(1)[1]
    assert ended.outcome is Outcome.FAILED
    assert "the noise tape has 2 steps; step 3 is needed" in ended.message
    assert all((noise == 1).all() for noise in tone_model.noises)


def test_max_steps_bounds_a_sentence(running: Any) -> None:
    running.submit(1, "a long sentence", max_steps=3)
    assert running.listener.wait_for_ends(1)[1].patches == 3


def test_one_bad_sentence_does_not_end_the_others(running: Any) -> None:
    running.submit(1, "refuse this")
    running.submit(2, "good")
    ends = running.listener.wait_for_ends(2)
    assert ends[1].outcome is Outcome.FAILED
    assert "this sentence cannot be read" in ends[1].message
    assert ends[2].outcome is Outcome.FINISHED


@pytest.mark.parametrize("words", ["CUDA error: an illegal memory access", "Triton Error [CUDA]: misaligned address"])
def test_an_error_of_the_device_ends_the_engine(tone_model: Any, listener: Any, words: str) -> None:
    tone_model.fatal_message = words
    engine = Engine(tone_model, Limits(max_rows=1, max_waiting=1), 0.16, listener)
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
    assert running.listener.wait_for_ends(1)[1].outcome is Outcome.CANCELLED
    running.submit(2, "ab")
    assert running.listener.wait_for_ends(2)[2].patches == 2
    assert tone_model.steps_taken == 1 + 2


def test_cancelling_a_waiting_sentence_costs_nothing(tone_model: Any, start_engine: Any) -> None:
    tone_model.gate = threading.Event()
    tone_model.slots = 1
    running = start_engine(tone_model, max_rows=1, max_waiting=4)
    running.submit(1, "ab")
    running.submit(2, "never")
    running.engine.enqueue(Cancel(2))
    tone_model.gate.set()
    ends = running.listener.wait_for_ends(2)
    assert (ends[2].outcome, ends[2].patches) == (Outcome.CANCELLED, 0)
    assert tone_model.prefilled == ["ab"]


def test_a_full_queue_ends_the_sentence_with_the_numbers(tone_model: Any, start_engine: Any, until: Any) -> None:
    tone_model.gate = threading.Event()
    tone_model.slots = 1
    running = start_engine(tone_model, max_rows=1, max_waiting=1)
    running.submit(1, "ab")
    until(lambda: tone_model.prefilled)  # it has the seat, and its first step waits at the gate
    for sequence_id in (2, 3, 4):
        running.submit(sequence_id, "ab")
    tone_model.gate.set()
    ends = running.listener.wait_for_ends(4)
    assert [ends[each].outcome for each in (1, 2, 3, 4)] == [Outcome.FINISHED] * 2 + [Outcome.QUEUE_FULL] * 2
    assert "1 of 1 sentences wait" in ends[3].message


def test_a_parked_sentence_makes_nothing_until_it_is_resumed(tone_model: Any, start_engine: Any, until: Any) -> None:
    tone_model.gate = threading.Event()
    running = start_engine(tone_model, max_rows=1, max_waiting=1)
    running.submit(1, "x" * 100)
    until(lambda: tone_model.prefilled)
    running.engine.enqueue(Park(1))
    tone_model.gate.set()
    running.listener.wait_for(lambda _: running.listener.patches(1))
    time.sleep(0.3)  # nothing tells that nothing happens; too short a wait could only pass
    assert len(running.listener.patches(1)) <= 3  # in flight or planned when the word came
    running.engine.enqueue(Resume(1))
    assert running.listener.wait_for_ends(1)[1].patches == 100


def test_a_voice_takes_what_steps_leave_of_the_processors(tone_model: Any, start_engine: Any) -> None:
    def priorities_of(caller: str) -> Callable[..., Any]:
        inner = getattr(tone_model, caller)

        def submission(*given: Any) -> Any:
            seen[caller] = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
            return inner(*given)

        return submission

    seen: dict[str, int] = {}
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    tone_model.encode_voice, tone_model.step = priorities_of("encode_voice"), priorities_of("step")
    running = start_engine(tone_model, max_rows=1, max_waiting=1)
    running.engine.enqueue(EncodeVoice(9, np.zeros(44100, dtype=np.float32), 44100))
    running.listener.wait_for(lambda reports: any(isinstance(each, VoiceEncoded) for each in reports))
    running.submit(1, "x")
    running.listener.wait_for_ends(1)
    assert seen == {"encode_voice": 19, "step": ours}


def test_a_voice_is_encoded_beside_the_steps(running: Any) -> None:
    running.engine.enqueue(EncodeVoice(9, np.zeros(44100, dtype=np.float32), 44100))
    running.engine.enqueue(EncodeVoice(10, np.zeros(10, dtype=np.float32), 44100))

    def answers(reports: list[Report]) -> list[VoiceEncoded]:
        return [each for each in reports if isinstance(each, VoiceEncoded)]

    running.listener.wait_for(lambda reports: len(answers(reports)) == 2)
    good, bad = answers(running.listener.reports)
    assert good.latents is not None
    assert good.latents.shape == (2, 4, 64)
    assert bad.latents is None
    assert "too short" in bad.message


def test_sentences_share_steps(tone_model: Any, start_engine: Any, until: Any) -> None:
    tone_model.gate = threading.Event()
    running = start_engine(tone_model, max_rows=4)
    for sequence_id in (1, 2, 3, 4):
        running.submit(sequence_id, "a sentence of thirty patches..")
    until(lambda: tone_model.prefilled)
    tone_model.gate.set()
    running.listener.wait_for_ends(4)
    assert max(tone_model.batches) == 4
    assert sum(tone_model.batches) == 120
    assert len(tone_model.batches) < 40


def test_a_long_prompt_is_read_in_pieces_and_patches_flow_meanwhile(
    tone_model: Any, start_engine: Any, until: Any
) -> None:
    tone_model.gate = threading.Event()
    running = start_engine(tone_model, max_prefill_tokens=7)
    running.submit(1, "x" * 60)
    until(lambda: tone_model.prefilled)  # its first step waits at the gate
    running.submit(2, "y" * 30)
    tone_model.gate.set()
    running.listener.wait_for_ends(2)
    assert tone_model.chunks == [7] * 8 + [5] + [7] * 4 + [3]
    readings = [step for step in running.listener.steps() if step.prefill_positions]
    assert [step.prefill_positions for step in readings] == tone_model.chunks
    assert [step.rows for step in readings] == [0] * 8 + [1] + [1] * 4 + [2]


def test_more_sentences_sit_than_a_step_has_rows(tone_model: Any, start_engine: Any) -> None:
    tone_model.slots = 6
    tone_model.gate = threading.Event()
    running = start_engine(tone_model, max_rows=2, max_waiting=20)
    for sequence_id in range(1, 13):
        running.submit(sequence_id, "z" * 20)
    tone_model.gate.set()
    ends = running.listener.wait_for_ends(12)
    assert {end.outcome for end in ends.values()} == {Outcome.FINISHED}
    assert max(tone_model.batches) == 2
    assert max(step.occupancy.slots_used for step in running.listener.steps()) == 6
    until_the_end = running.listener.steps()[-1].occupancy
    assert (until_the_end.slots_used, until_the_end.kv_positions_used) == (0, 0)


def test_what_could_never_fit_is_told_at_once(running: Any, tone_model: Any) -> None:
    running.submit(1, "an endless sentence")
    ended = running.listener.wait_for_ends(1)[1]
    assert ended.outcome is Outcome.TOO_LONG
    assert ended.message.startswith("the sentence needs a million positions")
    tone_model.kv_positions = 10  # the scheduler was told of more: what it refuses, it refuses by its own number
    running.submit(2, "q" * 200_000)
    assert "and this server has 1000000" in running.listener.wait_for_ends(2)[2].message


def test_a_deadline_ends_a_sentence_that_nothing_else_would_wake(
    tone_model: Any, start_engine: Any, until: Any
) -> None:
    """The engine sleeps, because the only sentence is parked; it wakes up for the deadline."""
    running = start_engine(tone_model)
    running.engine.enqueue(Park(1))
    running.submit(1, "x" * 50_000, params=SequenceParams(deadline_seconds=0.3))
    running.engine.enqueue(Park(1))
    ended = running.listener.wait_for_ends(1)[1]
    assert ended.outcome is Outcome.EXPIRED
    assert "not spoken within 0.3 seconds" in ended.message
    until(lambda: not tone_model.assigned)


def test_the_bound_cuts_and_says_so(running: Any) -> None:
    running.submit(1, "a long sentence", max_steps=3)
    running.submit(2, "abc", max_steps=3)
    running.listener.wait_for_ends(2)
    assert [patch.is_truncated for patch in running.listener.patches(1)] == [False, False, True]
    assert [patch.is_truncated for patch in running.listener.patches(2)] == [False] * 3  # it had no more to say


def test_an_end_tells_the_tokens_of_the_text(running: Any) -> None:
    running.submit(1, "seven..")
    assert running.listener.wait_for_ends(1)[1].text_tokens == 7


def test_a_step_tells_how_the_engine_stands(tone_model: Any, start_engine: Any, until: Any) -> None:
    tone_model.gate = threading.Event()
    running = start_engine(tone_model, max_rows=2)
    running.submit(1, "0123456789")
    until(lambda: tone_model.prefilled)
    for sequence_id in (2, 3):
        running.submit(sequence_id, "0123456789")
    tone_model.gate.set()
    running.listener.wait_for_ends(3)
    steps = running.listener.steps()
    assert [step.step for step in steps] == list(range(1, len(steps) + 1))
    assert sum(step.rows for step in steps) == 30
    assert (steps[0].occupancy.slots, steps[0].occupancy.kv_positions) == (64, 1_000_000)
    assert max(step.occupancy.kv_positions_used for step in steps) == 3 * (11 + 70)
    assert steps[-1].occupancy.kv_positions_used == 0
    assert max(step.occupancy.running for step in steps) == 3
    assert set(steps[0].part_seconds) == {"prefill", "launch", "wait"}
    assert all(step.step_seconds >= 0 for step in steps)


def test_an_engine_that_finds_no_step_says_what_it_had_obeyed_and_how_it_stands(
    tone_model: Any, start_engine: Any
) -> None:
    """The only seat is parked and a second sentence waits for it: nothing is owed, and whoever asks can tell."""
    tone_model.slots = 1
    running = start_engine(tone_model)
    running.submit(1, "x" * 1000)
    running.engine.enqueue(Park(1))
    running.submit(2, "abc")
    running.listener.wait_for(lambda reports: reports[-1] == rest_after(reports, 3))
    assert (running.listener.reports[-1].occupancy.running, running.listener.reports[-1].occupancy.waiting) == (1, 1)
    running.engine.enqueue(Cancel(1))
    running.listener.wait_for_ends(2)
    running.listener.wait_for(lambda reports: reports[-1] == rest_after(reports, 4))
    empty = running.listener.reports[-1].occupancy
    assert (empty.running, empty.parked, empty.waiting, empty.kv_positions_used) == (0, 0, 0, 0)


def rest_after(reports: list[Report], commands: int) -> Report | None:
    """The rest that followed so many commands, if there was one."""
    rests = [each for each in reports if isinstance(each, Idle) and each.commands == commands]
    return rests[-1] if rests else None


def test_a_sentence_cancelled_while_its_prompt_is_read_frees_its_seat(
    tone_model: Any, start_engine: Any, until: Any
) -> None:
    running = start_engine(tone_model, max_prefill_tokens=1)
    running.submit(1, "x" * 5_000)
    until(lambda: len(tone_model.chunks) > 3)
    running.engine.enqueue(Cancel(1))
    assert running.listener.wait_for_ends(1)[1].outcome is Outcome.CANCELLED
    until(lambda: not tone_model.assigned)
    assert len(tone_model.chunks) < 5_000
