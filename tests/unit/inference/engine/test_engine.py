from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from voxfleet_inference.engine.engine import Engine
from voxfleet_inference.engine.messages import (
    Cancel,
    EncodeVoice,
    Park,
    Patch,
    Report,
    Resume,
    Sentence,
    SequenceEnded,
    StepDone,
    Stop,
    Submit,
    VoiceEncoded,
)
from voxfleet_inference.engine.noise import patch_noise
from voxfleet_inference.engine.scheduling.plans import Limits
from voxfleet_inference.engine.sequences import Outcome


class Listener:
    def __init__(self) -> None:
        self.reports: list[Report] = []
        self.news = threading.Condition()

    def __call__(self, report: Report) -> None:
        with self.news:
            self.reports.append(report)
            self.news.notify_all()

    def wait_for(self, condition: Any) -> None:
        with self.news:
            assert self.news.wait_for(lambda: condition(self.reports), timeout=60), self.reports

    def ends(self) -> dict[int, SequenceEnded]:
        return {each.sequence_id: each for each in self.reports if isinstance(each, SequenceEnded)}

    def patches(self, sequence_id: int) -> list[Patch]:
        steps = [each for each in self.reports if isinstance(each, StepDone)]
        return [patch for step in steps for patch in step.patches if patch.sequence_id == sequence_id]

    def wait_for_ends(self, count: int) -> dict[int, SequenceEnded]:
        self.wait_for(lambda _: len(self.ends()) >= count)
        return self.ends()


class Running:
    def __init__(self, model: Any, limits: Limits) -> None:
        self.listener = Listener()
        self.engine = Engine(model, limits, 0.16, self.listener)
        self.thread = threading.Thread(target=self.engine.run, daemon=True)
        self.thread.start()

    def submit(self, sequence_id: int, text: str, **more: Any) -> None:
        self.engine.tell(Submit(Sentence(sequence_id=sequence_id, text=text, seed=sequence_id, **more)))

    def stop(self) -> None:
        self.engine.tell(Stop())
        self.thread.join(60)
        assert not self.thread.is_alive()


def wait_until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def running(tone_model: Any) -> Iterator[Running]:
    engine = Running(tone_model, Limits(max_rows=2, max_waiting=8))
    yield engine
    engine.stop()


def test_a_sentence_makes_its_patches_in_order_and_ends_once(running: Running) -> None:
    running.submit(1, "five!")
    ended = running.listener.wait_for_ends(1)[1]
    assert (ended.outcome, ended.patches) == (Outcome.FINISHED, 5)
    samples = np.concatenate([patch.samples for patch in running.listener.patches(1)])
    assert len(samples) == 5 * 7056
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(len(samples)) / 44100)
    assert np.allclose(samples, expected, atol=1e-4)


def test_no_step_is_wasted_after_the_last_patch(running: Running, tone_model: Any) -> None:
    for sequence_id in (1, 2, 3):
        running.submit(sequence_id, "abc")
    running.listener.wait_for_ends(3)
    assert tone_model.steps_taken == 9


def test_the_noise_is_the_seeds_whatever_the_neighbours(running: Running, tone_model: Any) -> None:
    running.submit(5, "ab", sentence_index=2, attempt=1)
    running.submit(6, "ab")
    running.listener.wait_for_ends(2)
    made = {noise.tobytes() for noise in tone_model.noises}
    expected = {patch_noise(5, 2, 1, step, 4, 64).tobytes() for step in (0, 1)}
    expected |= {patch_noise(6, 0, 0, step, 4, 64).tobytes() for step in (0, 1)}
    assert made == expected


def test_a_tape_replaces_the_noise_and_a_short_one_says_what_is_missing(running: Running, tone_model: Any) -> None:
    tape = np.ones((2, 4, 64), dtype=np.float32)
    running.submit(1, "abc", noise_tape=tape)
    ended = running.listener.wait_for_ends(1)[1]
    assert ended.outcome is Outcome.FAILED
    assert "the noise tape has 2 steps; step 3 is needed" in ended.message
    assert all((noise == 1).all() for noise in tone_model.noises)


def test_max_steps_bounds_a_sentence(running: Running) -> None:
    running.submit(1, "a long sentence", max_steps=3)
    assert running.listener.wait_for_ends(1)[1].patches == 3


def test_one_bad_sentence_does_not_end_the_others(running: Running) -> None:
    running.submit(1, "refuse this")
    running.submit(2, "good")
    ends = running.listener.wait_for_ends(2)
    assert ends[1].outcome is Outcome.FAILED
    assert "this sentence cannot be read" in ends[1].message
    assert ends[2].outcome is Outcome.FINISHED


def test_an_error_of_the_device_ends_the_engine(tone_model: Any) -> None:
    engine = Engine(tone_model, Limits(max_rows=1, max_waiting=1), 0.16, Listener())
    engine.tell(Submit(Sentence(sequence_id=1, text="a fatal sentence", seed=1)))
    with pytest.raises(RuntimeError, match="CUDA error"):
        engine.run()


def test_a_cancel_stops_generation_within_one_step(tone_model: Any) -> None:
    tone_model.gate = threading.Event()
    running = Running(tone_model, Limits(max_rows=1, max_waiting=1))
    running.submit(1, "a very long sentence indeed")
    wait_until(lambda: tone_model.prefilled)  # the first step waits at the gate
    running.engine.tell(Cancel(1))
    tone_model.gate.set()
    assert running.listener.wait_for_ends(1)[1].outcome is Outcome.CANCELLED
    running.submit(2, "ab")
    assert running.listener.wait_for_ends(2)[2].patches == 2
    assert tone_model.steps_taken == 1 + 2
    running.stop()


def test_cancelling_a_waiting_sentence_costs_nothing(tone_model: Any) -> None:
    tone_model.gate = threading.Event()
    tone_model.seats = 1
    running = Running(tone_model, Limits(max_rows=1, max_waiting=4))
    running.submit(1, "ab")
    running.submit(2, "never")
    running.engine.tell(Cancel(2))
    tone_model.gate.set()
    ends = running.listener.wait_for_ends(2)
    assert (ends[2].outcome, ends[2].patches) == (Outcome.CANCELLED, 0)
    assert tone_model.prefilled == ["ab"]
    running.stop()


def test_a_full_queue_ends_the_sentence_with_the_numbers(tone_model: Any) -> None:
    tone_model.gate = threading.Event()
    tone_model.seats = 1
    running = Running(tone_model, Limits(max_rows=1, max_waiting=1))
    running.submit(1, "ab")
    wait_until(lambda: tone_model.prefilled)  # it has the seat, and its first step waits at the gate
    for sequence_id in (2, 3, 4):
        running.submit(sequence_id, "ab")
    tone_model.gate.set()
    ends = running.listener.wait_for_ends(4)
    assert [ends[each].outcome for each in (1, 2, 3, 4)] == [Outcome.FINISHED] * 2 + [Outcome.REFUSED] * 2
    assert "1 of 1 sentences wait" in ends[3].message
    running.stop()


def test_a_parked_sentence_makes_nothing_until_it_is_resumed(tone_model: Any) -> None:
    tone_model.gate = threading.Event()
    running = Running(tone_model, Limits(max_rows=1, max_waiting=1))
    running.submit(1, "x" * 100)
    wait_until(lambda: tone_model.prefilled)
    running.engine.tell(Park(1))
    tone_model.gate.set()
    running.listener.wait_for(lambda _: running.listener.patches(1))
    time.sleep(0.3)  # nothing tells that nothing happens; too short a wait could only pass
    assert len(running.listener.patches(1)) <= 3  # in flight or planned when the word came
    running.engine.tell(Resume(1))
    assert running.listener.wait_for_ends(1)[1].patches == 100
    running.stop()


def test_a_voice_is_encoded_beside_the_steps(running: Running) -> None:
    running.engine.tell(EncodeVoice(9, np.zeros(44100, dtype=np.float32), 44100))
    running.engine.tell(EncodeVoice(10, np.zeros(10, dtype=np.float32), 44100))

    def answers(reports: list[Report]) -> list[VoiceEncoded]:
        return [each for each in reports if isinstance(each, VoiceEncoded)]

    running.listener.wait_for(lambda reports: len(answers(reports)) == 2)
    good, bad = answers(running.listener.reports)
    assert good.latents is not None
    assert good.latents.shape == (2, 4, 64)
    assert bad.latents is None
    assert "too short" in bad.message
