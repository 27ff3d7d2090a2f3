"""Listeners at the engine's own loop: when each hears its first patch, and whether a player would have run dry.

Knows the engine's commands and reports. Does not know HTTP: that is `voxfleet-inference bench`.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from gpu_bench_record import Found, for_each
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
    from gpu_bench_model import Bench

LINE = "今天天气很好，我们一起去北京看看那座古老的城墙吧。"  # 25 characters
FIFTY_CHARACTERS = LINE * 2
LONG_TEXT = LINE * 12
VOICE_PATCHES = 30
NEVER_PARKED = 1e9


@dataclass
class Listening:
    """Takes the engine's reports, each with the time it came."""

    arrivals: dict[int, list[float]] = field(default_factory=dict)
    ended: dict[int, SequenceEnded] = field(default_factory=dict)
    step_seconds: list[float] = field(default_factory=list)
    all_ended: threading.Event = field(default_factory=threading.Event)
    expected: int = 0

    def __call__(self, report: Report) -> None:
        """Called by the engine's thread."""
        now = time.monotonic()
        if isinstance(report, StepDone):
            self.step_seconds.append(report.step_seconds)
            for patch in report.patches:
                self.arrivals.setdefault(patch.sequence_id, []).append(now)
        if isinstance(report, SequenceEnded):
            self.ended[report.sequence_id] = report
            if len(self.ended) == self.expected:
                self.all_ended.set()


def measure_streams(bench: Bench, streams: Sequence[int], patches: int, deadline: float) -> Iterator[Found]:
    """So many listeners at once, all beginning in the same instant: the worst there is."""
    listen(bench, [_sentence(bench, 1, FIFTY_CHARACTERS, 3)], deadline)  # whatever is made at first use

    def heard(count: int) -> Found:
        sentences = [_sentence(bench, index + 1, FIFTY_CHARACTERS, patches) for index in range(count)]
        return _heard_by_all(bench, *listen(bench, sentences, deadline))

    facts = {"patches": patches, "characters": len(FIFTY_CHARACTERS)}
    yield from (facts | found for found in for_each("streams", streams, deadline, heard, bench.free))


def measure_text(bench: Bench, patches: int, deadline: float) -> Iterator[Found]:
    """A long text whole, its sentences side by side with a stored voice; nobody listens yet, so nothing is parked."""
    texts = [sentence.text for sentence in split(LONG_TEXT)]
    shares = [patches * (index + 1) // len(texts) - patches * index // len(texts) for index in range(len(texts))]
    sentences = [
        _sentence(bench, index + 1, text, share, rank=index, request_id=1)
        for index, (text, share) in enumerate(zip(texts, shares, strict=True))
    ]
    started, heard = listen(bench, sentences, deadline)
    whole = max(times[-1] for times in heard.arrivals.values()) - started
    done = sum(len(times) for times in heard.arrivals.values())
    made = {
        "characters": len(LONG_TEXT),
        "sentences": len(texts),
        "patches": done,
        "seconds": whole,
        "first_audio_ms": 1e3 * (heard.arrivals[1][0] - started),
        "times_real_time": done * bench.patch_seconds / whole,
    }
    bench.say(str(made))
    yield made


def _sentence(bench: Bench, index: int, text: str, patches: int, **place: int) -> Sentence:
    shape = (VOICE_PATCHES, bench.sizes.patch_size, bench.sizes.feat_dim)
    latents = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    voice = VoicePrompt(LINE, latents)
    params = SequenceParams(**({"request_id": index} | place))
    return Sentence(sequence_id=index, text=text, seed=index, max_steps=patches, prompt=voice, params=params)


def listen(bench: Bench, sentences: Sequence[Sentence], deadline: float) -> tuple[float, Listening]:
    """Give the sentences to an engine of their own and wait for their ends."""
    heard = Listening(expected=len(sentences))
    most = max(len(sentences), 8)
    limits = Limits(bench.rows, most, max_parallel_sentences=most, park_above_seconds=NEVER_PARKED)
    engine, failed = Engine(bench.speech, limits, bench.patch_seconds, heard), list[Exception]()

    def run() -> None:
        try:
            engine.run()
        except Exception as error:  # noqa: BLE001 - told below: nobody waits for a dead engine
            failed.append(error)
            heard.all_ended.set()

    thread = threading.Thread(target=run, name="engine")
    thread.start()
    started = time.monotonic()
    for sentence in sentences:
        engine.enqueue(Submit(sentence))
    is_done = heard.all_ended.wait(max(1.0, deadline - time.monotonic()))
    engine.enqueue(Stop())
    thread.join()
    if failed:
        raise failed[0]
    if not is_done:
        raise TimeoutError(f"{len(heard.ended)} of {len(sentences)} sentences ended within the part's time")
    wrong = [ended for ended in heard.ended.values() if len(heard.arrivals.get(ended.sequence_id, ())) == 0]
    if wrong:
        raise RuntimeError(f"{len(wrong)} sentences made no audio, the first: {wrong[0]}")
    return started, heard


def _heard_by_all(bench: Bench, started: float, heard: Listening) -> Found:
    firsts = sorted(times[0] - started for times in heard.arrivals.values())
    wholes = [(times[-1] - started) / (len(times) * bench.patch_seconds) for times in heard.arrivals.values()]
    audio = sum(len(times) for times in heard.arrivals.values()) * bench.patch_seconds
    last = max(times[-1] for times in heard.arrivals.values())
    return {
        "first_audio_ms_p50": 1e3 * statistics.median(firsts),
        "first_audio_ms_p95": 1e3 * firsts[min(len(firsts) - 1, int(0.95 * len(firsts)))],
        "rtf_worst": max(wholes),
        "underruns": sum(underruns(times, bench.patch_seconds) for times in heard.arrivals.values()),
        "step_ms_p50": 1e3 * statistics.median(heard.step_seconds),
        "audio_seconds_per_second": audio / (last - started),
    }


def underruns(arrivals: Sequence[float], patch_seconds: float) -> int:
    """How often a player that starts with the first patch would have run dry."""
    dry, ends = 0, arrivals[0]
    for arrived in arrivals:
        dry += arrived > ends
        ends = max(ends, arrived) + patch_seconds
    return dry
