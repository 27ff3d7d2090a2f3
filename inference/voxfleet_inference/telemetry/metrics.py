"""Prometheus metrics; docs/inference-metrics.md is made from them.

Knows: names, units, buckets, meanings, and which field of the engine's reports fills which metric.
Does not know: when events happen.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from voxfleet_inference import __version__
from voxfleet_inference.engine.messages import Occupancy, StepDone
from voxfleet_inference.settings import ServeSettings
from voxfleet_inference.speech.events import SentenceEnded
from voxfleet_inference.telemetry.gpu import GpuReading

_PREFIX: Final = "voxfleet_inference"
_SECONDS_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_STEP_BUCKETS: Final = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_FACTOR_BUCKETS: Final = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 0.8, 1.0, 1.25, 2.0, 5.0)
_ROW_BUCKETS: Final = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256)
_SILENCE_BUCKETS: Final = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0)
_SLACK_BUCKETS: Final = (-1.0, -0.25, 0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)  # negative: an underrun

_Named = Mapping[str, tuple[str, str]]  # by the field of a report: name and description of its metric
_STEP_COUNTERS: Final[_Named] = {
    "prefill_positions": ("prefill_positions", "Prompt positions prefilled"),
    "underruns": ("underruns", "Patches sent after the client's playback buffer was empty"),
}
_OCCUPANCY_GAUGES: Final[_Named] = {
    "running": ("running_sequences", "Sequences with a slot: in prefill, running or parked"),
    "prefilling": ("prefilling_sequences", "Sequences in prefill"),
    "parked": ("parked_sequences", "Sequences that skip steps: their clients are far ahead or slow"),
    "waiting": ("waiting_sequences", "Sequences waiting for a slot"),
    "slots": ("slots", "Sequences whose state fits into memory"),
    "kv_positions": ("kv_positions", "Positions of the KV cache"),
    "kv_positions_used": ("kv_positions_used", "Positions of the KV cache that are reserved"),
}
_GPU_GAUGES: Final[_Named] = {
    "utilization": (
        "gpu_utilization_ratio",
        "Part of the last second in which the GPU was busy; absent for a MIG slice",
    ),
    "memory_used_bytes": ("gpu_memory_used_bytes", "GPU memory in use, by every process"),
    "memory_total_bytes": ("gpu_memory_total_bytes", "GPU memory in all"),
}


class RequestOutcome(enum.StrEnum):
    """How a request ended: `outcome` of the metric `requests` and of log lines."""

    COMPLETE = "complete"
    REJECTED = "rejected"  # an error of the request, or a limit, before the first byte
    FAILED = "failed"  # an error of the engine before the first byte
    BROKEN = "broken"  # an error after the first byte
    DISCONNECTED = "disconnected"  # by the client, or because it read nothing


# What begins with 0: for Prometheus, a series whose first value is 1 has not risen.
STEP_PARTS = ("prefill", "launch", "wait")
KNOWN_ENDS = (
    ("200", RequestOutcome.COMPLETE),
    *((status, RequestOutcome.REJECTED) for status in ("400", "429", "503")),
    ("499", RequestOutcome.DISCONNECTED),
    *(("500", outcome) for outcome in (RequestOutcome.FAILED, RequestOutcome.BROKEN)),
)


class _Registered:
    """Makes metrics of one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry

    def gauge(self, name: str, description: str, *labels: str) -> Gauge:
        return Gauge(f"{_PREFIX}_{name}", description, labels, registry=self.registry)

    def counter(self, name: str, description: str, *labels: str) -> Counter:
        return Counter(f"{_PREFIX}_{name}", description, labels, registry=self.registry)

    def histogram(self, name: str, description: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"{_PREFIX}_{name}", description, labels, registry=self.registry, buckets=buckets)


class StepMetrics:
    """The engine's steps and occupancy, from its reports."""

    def __init__(self, make: _Registered) -> None:
        self.steps = make.counter("steps", "Steps that the engine took")
        self.seconds = make.histogram("step_seconds", "Time of one step", _STEP_BUCKETS)
        self.part_seconds = make.histogram(
            "step_part_seconds", "Time of one step by part: prefill, launch, wait", _STEP_BUCKETS, "part"
        )
        for part in STEP_PARTS:
            self.part_seconds.labels(part)
        self.rows = make.histogram("step_rows", "Rows of one step: sequences that it made a patch for", _ROW_BUCKETS)
        self.audio_seconds = make.counter("audio_seconds", "Audio that the engine made")
        self.slack_seconds = make.histogram(
            "slack_seconds", "Least playback time buffered by any client after a step", _SLACK_BUCKETS
        )
        self._counters = {field_name: make.counter(*each) for field_name, each in _STEP_COUNTERS.items()}
        self._gauges = {field_name: make.gauge(*each) for field_name, each in _OCCUPANCY_GAUGES.items()}

    def count(self, step: StepDone, audio_seconds: float) -> None:
        """Count one step."""
        self.steps.inc()
        self.seconds.observe(step.step_seconds)
        for part, seconds in step.part_seconds.items():
            self.part_seconds.labels(part).observe(seconds)
        self.rows.observe(step.rows)
        self.audio_seconds.inc(audio_seconds)
        for field_name, counter in self._counters.items():
            counter.inc(getattr(step, field_name))
        if step.least_slack_seconds is not None:
            self.slack_seconds.observe(step.least_slack_seconds)

    def occupied(self, occupancy: Occupancy) -> None:
        """Set the gauges of the engine's occupancy."""
        for field_name, gauge in self._gauges.items():
            gauge.set(getattr(occupancy, field_name))


class SpeechMetrics:
    """Sentences as they were sent, and complete requests."""

    def __init__(self, make: _Registered) -> None:
        self.sentences = make.counter("sentences", "Sentences spoken to their end")
        self.retries = make.counter("sentence_retries", "Sentences decoded again because an attempt was a runaway")
        self.truncated_sentences = make.counter(
            "truncated_sentences", "Sentences that reached their limit of patches and were faded out"
        )
        self.trailing_silence_seconds = make.histogram(
            "trailing_silence_seconds", "Silence at the end of a sentence", _SILENCE_BUCKETS
        )
        self.real_time_factor = make.histogram(
            "request_real_time_factor", "Time from a request's arrival to its end, per second of audio", _FACTOR_BUCKETS
        )

    def sentence_ended(self, ended: SentenceEnded) -> None:
        """Count a sentence."""
        self.sentences.inc()
        self.retries.inc(ended.attempts - 1)
        self.truncated_sentences.inc(ended.is_truncated)
        self.trailing_silence_seconds.observe(ended.trailing_silence_seconds)


class RtcMetrics:
    """WebRTC sessions."""

    def __init__(self, make: _Registered) -> None:
        self.sessions = make.gauge("rtc_sessions", "WebRTC sessions that are open")
        self.connect_seconds = make.histogram(
            "rtc_connect_seconds", "From a WebRTC offer to its connection", _SECONDS_BUCKETS
        )
        self.unconnected = make.counter("rtc_unconnected_sessions", "WebRTC sessions that no connection was made for")
        self.late_frames = make.counter("rtc_late_frames", "Frames of WebRTC audio sent more than 20 ms late")


class GpuMetrics(Collector):
    """The newest GPU reading; an unknown value has no sample, because 0 would be wrong."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.reading: GpuReading | None = None
        registry.register(self)

    def read(self, reading: GpuReading) -> None:
        """Take a reading."""
        self.reading = reading

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield what a scrape returns."""
        known = {} if self.reading is None else asdict(self.reading)
        for field_name, (name, description) in _GPU_GAUGES.items():
            yield GaugeMetricFamily(f"{_PREFIX}_{name}", description, value=known.get(field_name))


class Metrics:
    """The server's metrics, in their own registry."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        make = _Registered(self.registry)
        self.steps = StepMetrics(make)
        self.speech = SpeechMetrics(make)
        self.rtc = RtcMetrics(make)
        self.gpu = GpuMetrics(self.registry)
        self.requests = make.counter(
            "requests",
            "Speech requests ended, by HTTP status and outcome: complete, rejected, failed, broken (after the first "
            "byte), disconnected",
            "status",
            "outcome",
        )
        for status, outcome in KNOWN_ENDS:
            self.requests.labels(status, outcome)
        self.open_requests = make.gauge("open_requests", "Speech requests whose last byte has not been sent")
        # Read from the limiter at each scrape; RequestTracker sets the function.
        self.queued_audio_seconds = make.gauge("queued_audio_seconds", "Audio that open requests still wait for")
        self.first_audio_seconds = make.histogram(
            "first_audio_seconds",
            "From a request's head, or a session's first sentence, to its first byte of audio",
            _SECONDS_BUCKETS,
        )
        self.cancelled_requests = make.counter("cancelled_requests", "Requests whose client left before the end")
        self.engine_restarts = make.counter("engine_restarts", "Engine processes started because one had died")
        self.ready = make.gauge("ready", "1 while new requests are admitted")
        self.process_seconds = make.gauge(
            "process_seconds", "Time from the start of the process until its packages were imported"
        )
        self.loaded_seconds = make.gauge("loaded_seconds", "Time that loading the weights took")
        self.warm_seconds = make.gauge("warm_seconds", "Time that the warm-up sentence took")
        self.build = make.gauge(
            "build_info", "1; its labels name version, model, device and dtype", "version", "model", "device", "dtype"
        )

    def describe(self, settings: ServeSettings) -> None:
        """Set the labels of `build_info`."""
        self.build.labels(__version__, settings.model_name, settings.device, settings.dtype).set(1)
