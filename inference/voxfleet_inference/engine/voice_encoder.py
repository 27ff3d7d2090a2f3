"""Encodes recordings beside the engine's steps, on one thread of low priority.

Knows: a model by its protocol, and how many recordings may be queued.
Does not know: steps, sequences, files or voices' names.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from voxfleet_inference.engine.messages import EncodeVoice, Report, VoiceEncoded
from voxfleet_inference.engine.model_backend import ModelBackend

_MAX_JOBS: Final = 16  # queued or running; each holds up to 30 s of samples
_LOWEST_PRIORITY: Final = 19  # the highest nice value, setpriority(2)


class VoiceEncoder:
    """Reports one VoiceEncoded for every EncodeVoice."""

    def __init__(self, model: ModelBackend, report: Callable[[Report], None]) -> None:
        self._model = model
        self._report = report
        self._free_jobs = threading.BoundedSemaphore(_MAX_JOBS)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="voices", initializer=_lower_priority)

    def submit(self, job: EncodeVoice) -> None:
        """Queue a recording; over the limit, report at once that the encoder is busy."""
        if not self._free_jobs.acquire(blocking=False):
            message = f"{_MAX_JOBS} recordings are already being read"
            self._report(VoiceEncoded(job.job_id, None, message, is_busy=True))
            return
        self._thread.submit(self._encode, job)

    def close(self) -> None:
        """Wait for the recording that is being encoded; drop those that are queued."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _encode(self, job: EncodeVoice) -> None:
        try:
            report = VoiceEncoded(job.job_id, self._model.encode_voice(job.samples, job.sample_rate))
        except Exception as error:  # noqa: BLE001 - a recording that cannot be encoded ends one request
            report = VoiceEncoded(job.job_id, None, f"{type(error).__name__}: {error}")
        self._free_jobs.release()
        self._report(report)


def _lower_priority() -> None:
    """Lower this thread's priority so that encoding a recording does not slow decode steps.

    While a recording was encoded on two cores, a step took 1.4 instead of 3.3 times as long as alone. Threads that this
    one starts inherit the priority.
    """
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOWEST_PRIORITY)  # on Linux, of one thread
