"""What Prometheus can read; every name stands in a table of docs/inference-server.md, which a test compares.

Knows: names, units and buckets, and which of the engine's reports fills which metric.
Does not know: when things happen.
"""

from __future__ import annotations

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
# By field of a reading.
_GPU_GAUGES: Final[Mapping[str, tuple[str, str]]] = {
    "utilization": (
        "gpu_utilization_ratio",
        "Part of the last second in which the GPU was busy; not told by a slice (MIG)",
    ),
    "memory_used_bytes": ("gpu_memory_used_bytes", "GPU memory in use, by whomever"),
    "memory_total_bytes": ("gpu_memory_total_bytes", "GPU memory that there is"),
}
_CUSHION_BUCKETS: Final = (-1.0, -0.25, 0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


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
    """The engine's steps, from its own reports."""

    def __init__(self, make: _Registered) -> None:
        self.steps = make.counter("steps", "Steps that the engine took")
        self.seconds = make.histogram("step_seconds", "Time of one step", _STEP_BUCKETS)
        self.part_seconds = make.histogram(
            "step_part_seconds", "Time of one step by part: prefill, launch, wait", _STEP_BUCKETS, "part"
        )
        self.rows = make.histogram("step_rows", "Sentences that one step gave a patch to", _ROW_BUCKETS)
        self.prompt_positions = make.counter("prefill_positions", "Positions of prompts that were read")
        self.audio_seconds = make.counter("audio_seconds", "Audio that the engine made")
        self.running = make.gauge("running_sequences", "Sentences in the batch: being read, running or parked")
        self.prefilling = make.gauge("prefilling_sequences", "Sentences whose prompt is being read")
        self.parked = make.gauge("parked_sequences", "Sentences that skip steps: their listeners are far ahead or slow")
        self.waiting = make.gauge("waiting_sequences", "Sentences waiting for a seat")
        self.slots = make.gauge("seats", "Sentences whose state there is room for")
        self.kv_positions = make.gauge("kv_positions", "Positions that the KV cache has")
        self.kv_positions_used = make.gauge("kv_positions_used", "Positions of the KV cache that are reserved")
        self.underruns = make.counter("underruns", "Patches that left after their listener's player had run dry")
        self.slack_seconds = make.histogram(
            "slack_seconds", "What the listener least far ahead had left to play after a step", _CUSHION_BUCKETS
        )

    def count(self, step: StepDone, audio_seconds: float) -> None:
        """Count one step."""
        self.steps.inc()
        self.seconds.observe(step.step_seconds)
        for part, seconds in step.part_seconds.items():
            self.part_seconds.labels(part).observe(seconds)
        self.rows.observe(step.rows)
        self.prompt_positions.inc(step.prefill_positions)
        self.audio_seconds.inc(audio_seconds)
        self.underruns.inc(step.underruns)
        if step.least_slack_seconds is not None:
            self.slack_seconds.observe(step.least_slack_seconds)

    def occupied(self, occupancy: Occupancy) -> None:
        """Take in how full the engine is."""
        self.running.set(occupancy.running)
        self.prefilling.set(occupancy.prefilling)
        self.parked.set(occupancy.parked)
        self.waiting.set(occupancy.waiting)
        self.slots.set(occupancy.slots)
        self.kv_positions.set(occupancy.kv_positions)
        self.kv_positions_used.set(occupancy.kv_positions_used)


class SpeechMetrics:
    """Sentences as they were heard, and whole requests."""

    def __init__(self, make: _Registered) -> None:
        self.sentences = make.counter("sentences", "Sentences that were spoken to their end")
        self.retries = make.counter("sentence_retries", "Sentences said again because they had lost their way")
        self.cut_sentences = make.counter("cut_sentences", "Sentences that reached their bound and were faded out")
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
        self.cut_sentences.inc(ended.is_truncated)
        self.trailing_silence_seconds.observe(ended.trailing_silence_seconds)


class GpuMetrics(Collector):
    """The GPU, where there is one; what is not known has no sample, because 0 would be a lie."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._reading: GpuReading | None = None
        registry.register(self)

    def read(self, reading: GpuReading) -> None:
        """Take in a reading."""
        self._reading = reading

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """What Prometheus is told."""
        known = {} if self._reading is None else asdict(self._reading)
        for field_name, (name, description) in _GPU_GAUGES.items():
            yield GaugeMetricFamily(f"{_PREFIX}_{name}", description, value=known.get(field_name))


class Metrics:
    """The server's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        make = _Registered(self.registry)
        self.steps = StepMetrics(make)
        self.speech = SpeechMetrics(make)
        self.gpu = GpuMetrics(self.registry)
        self.requests = make.counter(
            "requests", "Speech requests ended, by HTTP status and outcome", "status", "outcome"
        )
        self.open_requests = make.gauge("open_requests", "Speech requests whose last byte has not left")
        self.queued_audio_seconds = make.gauge("queued_audio_seconds", "Audio that open requests still wait for")
        self.first_audio_seconds = make.histogram(
            "first_audio_seconds", "From a request's last byte in to its first audio byte out", _SECONDS_BUCKETS
        )
        self.cancelled_requests = make.counter("cancelled_requests", "Requests whose client left before the end")
        self.engine_restarts = make.counter("engine_restarts", "Engine processes started because one had died")
        self.ready = make.gauge("ready", "1 while new requests are welcome")
        self.loaded_seconds = make.gauge("loaded_seconds", "Time that loading the weights took")
        self.warm_seconds = make.gauge("warm_seconds", "Time that the warm-up sentence took")
        self.build = make.gauge("build_info", "1; its labels say what runs", "version", "model", "device", "dtype")

    def describe(self, settings: ServeSettings) -> None:
        """Say what runs."""
        self.build.labels(__version__, settings.model_name, settings.device, settings.dtype).set(1)
