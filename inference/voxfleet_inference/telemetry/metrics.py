"""What Prometheus can read; every name stands in docs/inference-metrics.md.

Knows: names, units and buckets.
Does not know: when things happen.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from voxfleet_inference.engine.messages import StepDone

_SECONDS_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_STEP_BUCKETS: Final = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_PREFIX: Final = "voxfleet_inference"


class Metrics:
    """The server's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            f"{_PREFIX}_requests", "Speech requests ended, by HTTP status and outcome", ["status", "outcome"],
            registry=self.registry,
        )  # fmt: skip
        self.open_requests = self._gauge("open_requests", "Speech requests whose last byte has not left")
        self.queued_audio_seconds = self._gauge("queued_audio_seconds", "Audio that open requests still wait for")
        self.running_sequences = self._gauge("running_sequences", "Sentences in the batch")
        self.waiting_sequences = self._gauge("waiting_sequences", "Sentences waiting for a row")
        self.steps = self._counter("steps", "Steps that the engine took")
        self.step_seconds = self._histogram("step_seconds", "Time of one step", _STEP_BUCKETS)
        self.first_audio_seconds = self._histogram(
            "first_audio_seconds", "From a request's last byte in to its first audio byte out", _SECONDS_BUCKETS
        )
        self.audio_seconds = self._counter("audio_seconds", "Audio that the engine made")
        self.cancelled_requests = self._counter("cancelled_requests", "Requests whose client left before the end")
        self.engine_restarts = self._counter("engine_restarts", "Engine processes started because one had died")
        self.ready = self._gauge("ready", "1 while new requests are welcome")
        self.loaded_seconds = self._gauge("loaded_seconds", "Time that loading the weights took")
        self.warm_seconds = self._gauge("warm_seconds", "Time that the warm-up sentence took")

    def step_done(self, step: StepDone, audio_seconds: float) -> None:
        """Count one step of the engine."""
        self.steps.inc()
        self.step_seconds.observe(step.step_seconds)
        self.audio_seconds.inc(audio_seconds)
        self.running_sequences.set(step.running)
        self.waiting_sequences.set(step.waiting)

    def _gauge(self, name: str, description: str) -> Gauge:
        return Gauge(f"{_PREFIX}_{name}", description, registry=self.registry)

    def _counter(self, name: str, description: str) -> Counter:
        return Counter(f"{_PREFIX}_{name}", description, registry=self.registry)

    def _histogram(self, name: str, description: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"{_PREFIX}_{name}", description, registry=self.registry, buckets=buckets)
