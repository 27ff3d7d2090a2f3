"""Whose voice speaks: the built-in one, a fresh one, a stored one, or that of a recording.

Knows: what names mean, where stored voices lie, and that latents are made once and kept for a while.
Does not know: requests' other fields, HTTP, or how latents are made.
"""

from __future__ import annotations

import time
from typing import Final

from voxfleet_inference.audio.recordings import RecordingError
from voxfleet_inference.engine.client import EngineClient, VoiceError
from voxfleet_inference.engine.messages import VoicePrompt
from voxfleet_inference.errors import InvalidFieldError, UnknownVoiceError
from voxfleet_inference.requests import SpeechRequest, recording_bytes
from voxfleet_inference.settings import ServeSettings
from voxfleet_inference.voice_names import BUILT_IN_VOICES, DEFAULT_VOICE, RANDOM_VOICE, parse_aliases
from voxfleet_inference.voices.prompt_cache import PromptCache
from voxfleet_inference.voices.prompt_making import (
    BUILT_IN_VOICE_TEXT,
    SampleTooLongError,
    built_in_voice,
    decoded_recording,
    designed_voice,
    recorded_voice,
)
from voxfleet_inference.voices.repository import VoiceRepository
from voxfleet_inference.voices.voice_file import StoredVoice, VoiceFacts, voice_id
from voxfleet_inference.voices.voice_request import DesignedVoice, RecordedVoice, VoiceRequest

_SHOWN_CHARACTERS: Final = 40
_LATENT_TYPE: Final = "<f4"


class VoiceCatalog:
    """The voices of one server."""

    def __init__(self, settings: ServeSettings) -> None:
        self.aliases = parse_aliases(settings.voice_aliases)
        self.repository = VoiceRepository(settings)
        self._cache = PromptCache(settings.voice_cache_bytes)
        self._default: VoicePrompt | None = None

    async def make_default(self, engine: EngineClient) -> None:
        """Speak the anchor sentence, to nobody; it also warms every code path.

        Raises:
            EngineError: it could not be spoken.
        """
        await self.repository.sweep()
        self._default = await built_in_voice(engine)

    async def choose(self, request: SpeechRequest, engine: EngineClient) -> VoicePrompt | None:
        """The voice to continue; None lets the seed draw one.

        Raises:
            InvalidFieldError: there is no such voice, or the recording cannot be used.
            UnavailableError: where the voice is kept cannot tell now.
            VoiceBusyError: too many recordings are being read.
        """
        if request.reference_audio is not None and request.reference_text is not None:
            file = recording_bytes(request.reference_audio)
            return await self._recorded(file, request.reference_text, engine, field_name="reference_audio")
        name = self.aliases.get(request.voice, request.voice)
        if name in BUILT_IN_VOICES:
            return self._default if name == DEFAULT_VOICE else None
        return await self._cache.get(name, lambda: self._stored(name, request.voice, engine))

    async def create(self, asked: VoiceRequest, engine: EngineClient) -> VoiceFacts:
        """Make a voice and keep it; one that is kept already gets its new name and consent.

        Raises:
            InvalidFieldError: the recording cannot be used.
            NotOfferedError: this server keeps no voices.
            StorageFullError: there is no room.
            EngineError: the sentence of a designed voice could not be spoken.
        """
        self.repository.check_keeps()
        voice = await (
            self._from_recording(asked, engine) if isinstance(asked, RecordedVoice) else self._from_seed(asked, engine)
        )
        known = await self.repository.facts(voice.facts.id)
        created_at = voice.facts.created_at if known is None else known.created_at
        facts = voice.facts.model_copy(update={"created_at": created_at})
        await self.repository.put(StoredVoice(facts, voice.payload))
        return facts

    async def get(self, name: str) -> VoiceFacts:
        """What there is to know about a stored voice.

        Raises:
            UnknownVoiceError: there is none.
        """
        facts = await self.repository.facts(self.aliases.get(name, name))
        if facts is None:
            raise _unknown(name)
        return facts

    async def delete(self, name: str) -> None:
        """Forget a stored voice; who speaks with it now goes on.

        Raises:
            UnknownVoiceError: there is none.
        """
        if not await self.repository.delete(name):
            raise _unknown(name)
        self._cache.forget(name)

    async def _stored(self, name: str, asked_for: str, engine: EngineClient) -> VoicePrompt:
        voice = await self.repository.find(name)
        if voice is None:
            message = (
                f"'voice' must be {DEFAULT_VOICE}, {RANDOM_VOICE}, an alias or the id of a stored voice"
                f" (GET /v1/audio/voices lists them); given {asked_for[:_SHOWN_CHARACTERS]!r}"
            )
            raise InvalidFieldError(message, param="voice", code="voice_not_found")
        if voice.facts.type == "seed":
            return self._designed(voice)
        return await _encoded(voice.payload, voice.facts.transcript, engine, field_name="voice")

    def _designed(self, voice: StoredVoice) -> VoicePrompt:
        latents = voice.latents
        assert self._default is not None, "requests come in only when ready"  # noqa: S101
        if latents.shape[1:] != self._default.latents.shape[1:]:
            message = f"'voice' {voice.facts.id} was designed with another checkpoint; design it anew with its seed"
            raise InvalidFieldError(message, param="voice", code="voice_of_another_model")
        return VoicePrompt(voice.facts.transcript, latents)

    async def _recorded(self, file: bytes, transcript: str, engine: EngineClient, *, field_name: str) -> VoicePrompt:
        """The same recording again is not encoded again."""
        key = voice_id("audio_sample", file, transcript)
        return await self._cache.get(key, lambda: _encoded(file, transcript, engine, field_name=field_name))

    async def _from_recording(self, asked: RecordedVoice, engine: EngineClient) -> StoredVoice:
        prompt = await self._recorded(asked.recording, asked.transcript, engine, field_name="audio_sample")
        facts = VoiceFacts(
            id=voice_id("audio_sample", asked.recording, asked.transcript),
            name=asked.name,
            created_at=int(time.time()),
            type="audio_sample",
            transcript=asked.transcript,
            consent=asked.consent,
            patches=len(prompt.latents),
            payload_bytes=len(asked.recording),
        )
        return StoredVoice(facts, asked.recording)

    async def _from_seed(self, asked: DesignedVoice, engine: EngineClient) -> StoredVoice:
        text = BUILT_IN_VOICE_TEXT if asked.text is None else asked.text
        try:
            prompt = await designed_voice(text, asked.seed, engine)
        except SampleTooLongError as error:
            message = "'transcript' must be what a voice says within 30 seconds; choose a shorter one, or another seed"
            raise InvalidFieldError(message, param="transcript", code="too_long") from error
        payload = prompt.latents.astype(_LATENT_TYPE).tobytes()
        patches, patch_size, feat_dim = prompt.latents.shape
        facts = VoiceFacts(
            id=voice_id("seed", payload, text),
            name=asked.name,
            created_at=int(time.time()),
            type="seed",
            transcript=text,
            seed=asked.seed,
            patches=patches,
            latents_shape=(patches, patch_size, feat_dim),
            payload_bytes=len(payload),
        )
        return StoredVoice(facts, payload)


async def _encoded(file: bytes, transcript: str, engine: EngineClient, *, field_name: str) -> VoicePrompt:
    try:
        return await recorded_voice(await decoded_recording(file), transcript, engine)
    except (RecordingError, VoiceError) as error:
        message = f"'{field_name}' cannot be used: {error}"
        raise InvalidFieldError(message, param=field_name, code="invalid") from error


def _unknown(name: str) -> UnknownVoiceError:
    return UnknownVoiceError(
        f"no voice {name[:_SHOWN_CHARACTERS]!r} is kept here", param="voice_id", code="voice_not_found"
    )
