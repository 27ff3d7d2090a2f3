"""Word errors of one checkpoint under every condition that a deployment brings: load, formats, retries.

Knows: the conditions, as a table, and where the same seed must give the same audio. Does not know: limits on errors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path

from display import Display
from recognition.measurement import Measurement, read_all
from recognition.recogniser import Recogniser
from speaking.sentences import Sentence
from speaking.server import ServerError, ServerSettings, serving
from speaking.synthesis import SpeechSettings, Spoken, record, speak_all

BENCH_COLUMNS = ("condition", "WER", "length error", "same audio as", "RTF")
RETRIES_COUNTER = "voxfleet_inference_sentence_retries_total"
ATTEMPTS = 3  # per sentence, the server's limit
SIDE_BY_SIDE = 8
RECORDED_TEXT = "The old boat came back in the evening, and everyone ran down to the harbor to see it."  # words: speech


@dataclass(frozen=True, slots=True)
class Condition:
    """One row: a server, requests to it, and the row whose audio it is compared with."""

    name: str
    dtype: str = "fp32"
    is_deterministic: bool = False
    retries_everything: bool = False
    streams: int = SIDE_BY_SIDE
    is_streamed: bool = True
    audio_format: str = "pcm"
    is_cloned: bool = False  # from a recording of the checkpoint's own voice
    compared_with: str = ""
    must_be_equal: bool = False  # bit for bit, as `--deterministic` promises

    @property
    def server(self) -> tuple[str, bool, bool]:
        """What a server is started with; neighbours with the same share one."""
        return self.dtype, self.is_deterministic, self.retries_everything


ALONE, FIXED_ALONE = "1 stream", "--deterministic, 1 stream"
CONDITIONS = (
    Condition(ALONE, streams=1),
    Condition("8 streams side by side", compared_with=ALONE),
    Condition("32 streams side by side", streams=32, compared_with=ALONE),
    Condition("whole, not streamed", is_streamed=False, compared_with=ALONE),
    Condition("cloned from its own recording", is_cloned=True),
    *(Condition(name, audio_format=name) for name in ("mp3", "opus", "aac", "mulaw", "alaw")),
    *(Condition(name, audio_format=name, compared_with=ALONE) for name in ("flac", "wav")),
    Condition(FIXED_ALONE, is_deterministic=True, streams=1, compared_with=ALONE),
    # Not flac: its decoded samples differ from pcm's and wav's by at most SAME_AUDIO_TOLERANCE, but they differ.
    Condition("--deterministic, 32 streams", is_deterministic=True, streams=32,
              compared_with=FIXED_ALONE, must_be_equal=True),
    Condition("--deterministic, 8 streams, whole wav", is_deterministic=True, is_streamed=False, audio_format="wav",
              compared_with=FIXED_ALONE, must_be_equal=True),
    Condition("bf16", dtype="bf16"),
    Condition("int8", dtype="int8"),
    Condition("after two retries of each sentence", retries_everything=True, is_streamed=False),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """What is measured."""

    checkpoint: Path
    sentences: tuple[Sentence, ...]
    seeds: tuple[int, ...]
    cfg_value: float
    voice: str
    threads: int
    only: tuple[str, ...] = ()  # parts of names; empty: all conditions

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Return the conditions to run."""
        return tuple(each for each in CONDITIONS if not self.only or any(part in each.name for part in self.only))


@dataclass(slots=True)
class BenchResult:
    """Measurements by the conditions' names, and what must not be."""

    measurements: dict[str, Measurement] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)


def run_bench(options: BenchOptions, display: Display, recogniser: Recogniser) -> BenchResult:
    """Measure every condition and add its row to the table."""
    result = BenchResult()
    for _, group in groupby(options.conditions, lambda each: each.server):
        conditions = list(group)
        try:
            for condition, spoken in _speak(conditions, options, display, result):
                with display.counting(f"{condition.name}: recognising", len(spoken.clips)) as advance:
                    result.measurements[condition.name] = read_all(spoken, recogniser, advance)
                _judge(condition, result)
                display.add(*_row(condition, result))
        except ServerError as error:
            result.violations.append(f"{conditions[0].name}: {error}")
            display.add(conditions[0].name, f"not measured: {error}", "", "", "")
    return result


def _speak(
    conditions: list[Condition], options: BenchOptions, display: Display, result: BenchResult
) -> Iterator[tuple[Condition, Spoken]]:
    """Speak under conditions that share a server; it ends before the first clip is recognised."""
    dtype, is_deterministic, retries_everything = conditions[0].server
    settings = ServerSettings(
        options.checkpoint,
        dtype,
        options.threads,
        is_deterministic=is_deterministic,
        retries_everything=retries_everything,
    )
    spoken = []
    with serving(settings) as server:
        for condition in conditions:
            total = len(options.sentences) * len(options.seeds)
            with display.counting(f"{condition.name}: speaking", total) as advance:
                requests = _requests(condition, options)
                if condition.is_cloned:
                    requests = replace(requests, recording=record(server.url, RECORDED_TEXT))
                spoken.append((condition, speak_all(server.url, options.sentences, options.seeds, requests, advance)))
            if retries_everything and (count := server.counter(RETRIES_COUNTER)) != (ATTEMPTS - 1) * total:
                result.violations.append(f"{condition.name}: {count:.0f} retries of {total} sentences, not two of each")
    yield from spoken


def _requests(condition: Condition, options: BenchOptions) -> SpeechSettings:
    return SpeechSettings(
        streams=condition.streams,
        audio_format=condition.audio_format,
        is_streamed=condition.is_streamed,
        cfg_value=options.cfg_value,
        voice=options.voice,
    )


def _judge(condition: Condition, result: BenchResult) -> None:
    if not condition.must_be_equal or condition.compared_with not in result.measurements:
        return
    share = result.measurements[condition.name].same_bits_share(result.measurements[condition.compared_with])
    if share < 1:
        result.violations.append(
            f"{condition.name}: {share:.1%} of the clips equal {condition.compared_with!r}, not all"
        )


def _row(condition: Condition, result: BenchResult) -> tuple[str, ...]:
    measured = result.measurements[condition.name]
    return (
        condition.name,
        f"{measured.word_error_rate:.3f}",
        f"{measured.mean_length_error:.1%}",
        _comparison(condition, measured, result),
        f"{measured.real_time_factor:.2f}",
    )


def _comparison(condition: Condition, measured: Measurement, result: BenchResult) -> str:
    other = result.measurements.get(condition.compared_with)
    if other is None:
        return ""
    if condition.must_be_equal:
        return f"{condition.compared_with}: {measured.same_bits_share(other):.0%}, bit for bit"
    return f"{condition.compared_with}: {measured.same_audio_share(other):.0%}"
