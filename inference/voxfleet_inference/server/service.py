"""The parts of one server, and the speech that they make of a checked request.

Knows: settings, request accounting, voices, the engine's supervisor, and how a request's fields become a `Speech`.
Does not know: HTTP, sockets or how the engine is run.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

import structlog

from voxfleet_inference.admission.callers import ANONYMOUS, Caller
from voxfleet_inference.admission.request_limiter import Permit
from voxfleet_inference.admission.request_tracker import RequestTracker
from voxfleet_inference.engine.errors import EngineError, VoiceBusyError
from voxfleet_inference.engine.messages import SequenceParams, VoicePrompt
from voxfleet_inference.errors import UnavailableError
from voxfleet_inference.requests import SpeechRequest
from voxfleet_inference.server.engine_supervisor import EngineControl, EngineSupervisor, Failure
from voxfleet_inference.settings import ServeSettings
from voxfleet_inference.speech.events import SpeechAudio, SpeechEvent
from voxfleet_inference.speech.speaking import Speech, speak
from voxfleet_inference.telemetry.metrics import RequestOutcome
from voxfleet_inference.telemetry.speech_log import SpeechLog
from voxfleet_inference.text.reading import sentences_to_normalize
from voxfleet_inference.text.sentences import TextSentence, split
from voxfleet_inference.voices.catalog import ChosenVoice, VoiceCatalog

_logger: Final = structlog.get_logger("voxfleet_inference")


@dataclass(frozen=True, slots=True)
class SpeechService:
    """What HTTP handlers use: the server's parts, and speech; belongs to the event loop's thread."""

    settings: ServeSettings
    tracker: RequestTracker
    voices: VoiceCatalog
    supervisor: EngineSupervisor

    async def prepare(self, request: SpeechRequest, caller: Caller = ANONYMOUS) -> Speech:
        """Return what to speak for a request that has its seed; the settings fill in what the request leaves open.

        Raises:
            InvalidFieldError: its voice or its recording cannot be used.
            UnavailableError: the engine is already encoding too many recordings.
        """
        assert request.seed is not None, "with_seed() comes first"  # noqa: S101
        timesteps, cfg_value = request.inference_timesteps, request.cfg_value
        token_rate = self.supervisor.model_info.token_rate
        voice = await self._voice(request, caller)
        # At least one patch, or a sequence would be parked before its first audio.
        max_buffered_patches = max(1, int(self.settings.max_buffered_audio_seconds * token_rate))
        return Speech(
            sentences=sentences_to_normalize(request.input) if request.normalize else split(request.input),
            normalizes=request.normalize,
            seed=request.seed,
            cfg_value=self.settings.cfg_value if cfg_value is None else cfg_value,
            inference_timesteps=self.settings.inference_timesteps if timesteps is None else timesteps,
            voice=voice.prompt,
            voice_name=voice.name,
            single_speaker=self.supervisor.model_info.single_speaker,
            is_whole=not request.stream,  # nothing is sent early, so every runaway is retried
            max_parallel_sentences=self.settings.max_parallel_sentences,
            max_buffered_patches=max_buffered_patches,
            params=SequenceParams(
                priority=caller.priority, speed=request.speed, deadline_seconds=self.settings.max_request_seconds
            ),
        )

    async def speak(
        self,
        speech: Speech,
        permit: Permit,
        more: AsyncIterable[TextSentence] | None = None,
        on_voice: Callable[[VoicePrompt], None] | None = None,
        request: SpeechRequest | None = None,
    ) -> AsyncGenerator[SpeechEvent]:
        """Yield a speech's events, count its audio, and log it at its end; closing the iterator cancels the rest.

        Raises:
            EngineError: a sentence failed; no event follows.
        """
        sample_rate = self.supervisor.model_info.sample_rate
        log = SpeechLog(self.settings, speech, sample_rate, time.monotonic())
        outcome = RequestOutcome.DISCONNECTED  # what is left when the iterator is closed or cancelled
        try:
            async with aclosing(speak(self.supervisor.engine, speech, sample_rate, more, on_voice)) as events:
                async for event in events:
                    log.take(event, self.tracker.metrics.speech)
                    if isinstance(event, SpeechAudio):
                        self.tracker.spoken(permit, len(event.samples) / sample_rate)
                    yield event
            outcome = RequestOutcome.COMPLETE
        except EngineError:
            outcome = RequestOutcome.FAILED
            raise
        finally:
            self._log_speech(log, outcome, request)

    async def _voice(self, request: SpeechRequest, caller: Caller) -> ChosenVoice:
        try:
            return await self.voices.choose(request, self.supervisor.engine, caller.voice_token)
        except VoiceBusyError as error:
            raise UnavailableError(
                str(error), code="voices_busy", retry_after_seconds=self.tracker.retry_after_seconds()
            ) from error

    def _log_speech(self, log: SpeechLog, outcome: RequestOutcome, request: SpeechRequest | None) -> None:
        now = time.monotonic()
        factor = log.real_time_factor(now)
        if request is not None and outcome is RequestOutcome.COMPLETE and factor is not None:
            self.tracker.metrics.speech.real_time_factor.observe(factor)
        _logger.info("speech", **log.line(outcome, request, now))


def make_service(
    settings: ServeSettings, on_failure: Callable[[Failure], None], control: EngineControl | None = None
) -> SpeechService:
    """Make a server's parts; its supervisor has no engine before `attach`."""
    tracker, voices = RequestTracker(settings), VoiceCatalog(settings)
    supervisor = EngineSupervisor(settings, tracker, voices.make_default, on_failure, control)
    return SpeechService(settings, tracker, voices, supervisor)
