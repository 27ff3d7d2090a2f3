"""Streams at the engine's own loop: the time to first audio of each, and the underruns of a player.

Knows: the engine's commands and reports. Does not know: HTTP, which `voxfleet-inference bench` measures.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from result_file import Results, for_each
from voxfleet_inference.engine.engine import Engine
from voxfleet_inference.engine.messages import (
    Report,
    Sentence,
    SequenceEnded,
    SequenceParams,
    StepDone,
    Stop,
    Submit,
    VoicePrompt,
)
from voxfleet_inference.engine.scheduling.plans import Limits
from voxfleet_inference.text.sentences import split

if TYPE_CHECKING:
    from model_under_test import ModelUnderTest

LINE = "今天天气很好，我们一起去北京看看那座古老的城墙吧。"  # 25 characters
FIFTY_CHARACTERS = LINE * 2
LONG_TEXT = LINE * 12
VOICE_PATCHES = 30  # 4.8 s
NEVER_PARKED = 1e9  # seconds of unplayed audio


@dataclass
class ReportCollector:
    """Collects the engine's reports with their arrival times."""

    arrivals: dict[int, list[float]] = field(default_factory=dict)
    ended: dict[int, SequenceEnded] = field(default_factory=dict)
    step_seconds: list[float] = field(default_factory=list)
    all_ended: threading.Event = field(default_factory=threading.Event)
    expected: int = 0

    def __call__(self, report: Report) -> None:
        """Take a report; called by the engine's thread."""
        now = time.monotonic()
        if isinstance(report, StepDone):
            self.step_seconds.append(report.step_seconds)
            for patch in report.patches:
                self.arrivals.setdefault(patch.sequence_id, []).append(now)
        if isinstance(report, SequenceEnded):
            self.ended[report.sequence_id] = report
            if len(self.ended) == self.expected:
                self.all_ended.set()


def measure_streams(target: ModelUnderTest, streams: Sequence[int], patches: int, deadline: float) -> Iterator[Results]:
    """Measure so many streams at once that begin in the same instant, which is the worst case for first audio."""
    run_sentences(
        target, [_sentence(target, 1, FIFTY_CHARACTERS, 3)], deadline
    )  # warm up: captures and caches of first use

    def collected(count: int) -> Results:
        sentences = [_sentence(target, index + 1, FIFTY_CHARACTERS, patches) for index in range(count)]
        return _stream_statistics(target, *run_sentences(target, sentences, deadline))

    facts = {"patches": patches, "characters": len(FIFTY_CHARACTERS)}
    yield from (facts | found for found in for_each("streams", streams, deadline, collected, target.free))


def measure_text(target: ModelUnderTest, patches: int, deadline: float) -> Iterator[Results]:
    """Measure a long text, its sentences in parallel with a stored voice and none of them parked."""
    texts = [sentence.text for sentence in split(LONG_TEXT)]
    shares = [patches * (index + 1) // len(texts) - patches * index // len(texts) for index in range(len(texts))]
    sentences = [
        _sentence(target, index + 1, text, share, rank=index, request_id=1)
        for index, (text, share) in enumerate(zip(texts, shares, strict=True))
    ]
    started, collected = run_sentences(target, sentences, deadline)
    whole = max(times[-1] for times in collected.arrivals.values()) - started
    done = sum(len(times) for times in collected.arrivals.values())
    made = {
        "characters": len(LONG_TEXT),
        "sentences": len(texts),
        "patches": done,
        "seconds": whole,
        "first_audio_ms": 1e3 * (collected.arrivals[1][0] - started),
        "times_real_time": done * target.patch_seconds / whole,
    }
    target.print_line(str(made))
    yield made


def _sentence(target: ModelUnderTest, index: int, text: str, patches: int, **place: int) -> Sentence:
    shape = (VOICE_PATCHES, target.sizes.patch_size, target.sizes.feat_dim)
    latents = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    voice = VoicePrompt(LINE, latents)
    params = SequenceParams(**({"request_id": index} | place))
    return Sentence(sequence_id=index, text=text, seed=index, max_steps=patches, prompt=voice, params=params)


def run_sentences(
    target: ModelUnderTest, sentences: Sequence[Sentence], deadline: float
) -> tuple[float, ReportCollector]:
    """Run the sentences in a new engine until all have ended; returns the start time and the reports.

    Raises:
        TimeoutError, RuntimeError: not all of them ended in time, or one has no audio.
    """
    collected = ReportCollector(expected=len(sentences))
    most = max(len(sentences), 8)
    limits = Limits(target.rows, most, max_parallel_sentences=most, park_above_seconds=NEVER_PARKED)
    engine, failed = Engine(target.backend, limits, target.patch_seconds, collected), list[Exception]()

    def run() -> None:
        try:
            engine.run()
        except Exception as error:  # noqa: BLE001 - raised below, instead of waiting for a dead engine
            failed.append(error)
            collected.all_ended.set()

    thread = threading.Thread(target=run, name="engine")
    thread.start()
    started = time.monotonic()
    for sentence in sentences:
        engine.enqueue(Submit(sentence))
    is_done = collected.all_ended.wait(max(1.0, deadline - time.monotonic()))
    engine.enqueue(Stop())
    thread.join()
    if failed:
        raise failed[0]
    if not is_done:
        raise TimeoutError(f"{len(collected.ended)} of {len(sentences)} sentences ended within the part's time")
    wrong = [ended for ended in collected.ended.values() if len(collected.arrivals.get(ended.sequence_id, ())) == 0]
    if wrong:
        raise RuntimeError(f"{len(wrong)} sentences have no audio, the first: {wrong[0]}")
    return started, collected


def _stream_statistics(target: ModelUnderTest, started: float, collected: ReportCollector) -> Results:
    firsts = sorted(times[0] - started for times in collected.arrivals.values())
    wholes = [(times[-1] - started) / (len(times) * target.patch_seconds) for times in collected.arrivals.values()]
    audio = sum(len(times) for times in collected.arrivals.values()) * target.patch_seconds
    last = max(times[-1] for times in collected.arrivals.values())
    return {
        "first_audio_ms_p50": 1e3 * statistics.median(firsts),
        "first_audio_ms_p95": 1e3 * firsts[min(len(firsts) - 1, int(0.95 * len(firsts)))],
        "rtf_worst": max(wholes),
        "underruns": sum(underruns(times, target.patch_seconds) for times in collected.arrivals.values()),
        "step_ms_p50": 1e3 * statistics.median(collected.step_seconds),
        "audio_seconds_per_second": audio / (last - started),
    }


def underruns(arrivals: Sequence[float], patch_seconds: float) -> int:
    """Count how often the buffer of a player that starts with the first patch would be empty."""
    dry, ends = 0, arrivals[0]
    for arrived in arrivals:
        dry += arrived > ends
        ends = max(ends, arrived) + patch_seconds
    return dry
