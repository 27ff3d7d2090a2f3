"""The voices of one server: resolves a request's voice to a prompt, creates and deletes stored voices.

Knows: what voice names mean (built-in, alias, id, a stored voice's name, OpenAI's names, in this order; the recording
of a request), and the cache of prompts.
Does not know: other fields of requests, HTTP, files, or how latents are made.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from voxfleet_protocols.voice_upload import RecordedVoice, VoiceRequest

from voxfleet_inference.engine.client import EngineClient
from voxfleet_inference.engine.messages import Loaded, VoicePrompt
from voxfleet_inference.errors import InvalidFieldError, UnknownVoiceError
from voxfleet_inference.requests import SpeechRequest, recording_bytes
from voxfleet_inference.settings import ServeSettings
from voxfleet_inference.voice_names import (
    BUILT_IN_VOICES,
    DEFAULT_VOICE,
    OPENAI_ALIASES,
    RANDOM_VOICE,
    is_voice_id,
    parse_aliases,
)
from voxfleet_inference.voices.consents import Consents
from voxfleet_inference.voices.file_format import StoredVoice, VoiceMetadata, voice_id
from voxfleet_inference.voices.prompt_builders import built_in_prompt
from voxfleet_inference.voices.prompt_cache import PromptCache
from voxfleet_inference.voices.repository import VoiceRepository
from voxfleet_inference.voices.voice_making import designed_voice, encoded_prompt, recorded_voice

_SHOWN_CHARACTERS: Final = 40  # of a name in an error message
_SHOWN_NAMES: Final = 24  # in an error message: all of OpenAI's, and some
_SHOWN_IDS: Final = 4


@dataclass(frozen=True, slots=True)
class ChosenVoice:
    """The voice of a request: what its name means (a built-in voice or an id), and its prompt."""

    name: str
    prompt: VoicePrompt | None


class VoiceCatalog:
    """The voices of one server."""

    def __init__(self, settings: ServeSettings) -> None:
        self._aliases = parse_aliases(settings.voice_aliases)
        self.repository = VoiceRepository(settings)
        self.consents = Consents(self.repository)
        self._cache = PromptCache(settings.voice_cache_bytes)
        self._default: VoicePrompt | None = None
        self._single_speaker = False

    async def make_default(self, engine: EngineClient, model_info: Loaded) -> None:
        """Speak the text of the built-in voice and keep its prompt; this also warms up the engine.

        Raises:
            EngineError: the sentence failed.
        """
        await self.repository.sweep()
        self._default = await built_in_prompt(engine)
        self._single_speaker = model_info.single_speaker

    async def choose(self, request: SpeechRequest, engine: EngineClient, voice_token: str = "") -> ChosenVoice:
        """Return a request's voice; its prompt is None for `random`, whose voice the seed draws.

        A single-speaker checkpoint needs no prompt for `default` either: a prompt could only cost time and accuracy.

        Raises:
            InvalidFieldError: there is no such voice, or the recording cannot be used.
            UnavailableError: the voice's store cannot be read now.
            VoiceBusyError: too many recordings are being encoded.
        """
        if request.reference_audio is not None and request.reference_text is not None:
            file = recording_bytes(request.reference_audio)
            recorded = await self._recorded(file, request.reference_text, engine, field_name="reference_audio")
            return ChosenVoice(request.voice, recorded)
        # The name is resolved before the cache, so that a voice has one entry.
        name = await self._resolved(request.voice)
        if name in BUILT_IN_VOICES:
            is_prompted = name == DEFAULT_VOICE and not self._single_speaker
            return ChosenVoice(name, self._default if is_prompted else None)
        prompt = await self._cache.get(name, lambda: self._stored(name, request.voice, engine, voice_token))
        return ChosenVoice(name, prompt)

    def aliases(self, stored: Iterable[VoiceMetadata]) -> dict[str, str]:
        """Return every alias with the voice that it means beside the stored ones."""
        names = {each.name for each in stored}
        return {name: voice for name, voice in OPENAI_ALIASES.items() if name not in names} | self._aliases

    def listed(self, stored: Iterable[VoiceMetadata]) -> list[tuple[str, str]]:
        """Return what clients offer their users, ids with names: built-in voices, the table's names, stored voices."""
        named = (*BUILT_IN_VOICES, *self._aliases)
        return [*((name, name) for name in named), *((each.id, each.name) for each in stored)]

    async def create(self, request: VoiceRequest, engine: EngineClient) -> VoiceMetadata:
        """Make a voice and store it; a voice that is stored already gets the new name and consent.

        Raises:
            InvalidFieldError: the recording cannot be used, or the designed voice takes too long.
            NotOfferedError: this server stores no voices.
            StorageFullError: a limit on stored voices is reached, or the disk is full.
            EngineError: the sentence of a designed voice failed.
        """
        self.repository.check_writable()
        if isinstance(request, RecordedVoice):
            await self.consents.check(request.consent)
        voice = await self.make(request, engine)
        # The id is a hash: the same recording and transcript are the same voice, which keeps its creation time.
        known = await self.repository.metadata(voice.metadata.id)
        created_at = voice.metadata.created_at if known is None else known.created_at
        metadata = voice.metadata.model_copy(update={"created_at": created_at})
        await self.repository.put(StoredVoice(metadata, voice.payload))
        return metadata

    async def make(self, request: VoiceRequest, engine: EngineClient) -> StoredVoice:
        """Make a voice without storing it.

        Raises:
            UnusableRecordingError: the recording cannot be used.
            InvalidFieldError: the designed voice takes too long.
            VoiceBusyError: too many recordings are being encoded.
            EngineError: the sentence of a designed voice failed.
        """
        if not isinstance(request, RecordedVoice):
            return await designed_voice(request, engine)
        # Encoded before it is stored: a recording that cannot be used is rejected now, and the prompt is cached.
        prompt = await self._recorded(request.recording, request.transcript, engine, field_name="audio_sample")
        return recorded_voice(request, len(prompt.latents))

    async def get(self, name: str) -> VoiceMetadata:
        """Return the metadata of a stored voice, by its id, an alias or its name.

        Raises:
            UnknownVoiceError: there is none.
            InvalidFieldError: several voices have that name.
        """
        metadata = await self.repository.metadata(await self._resolved(name))
        if metadata is None:
            raise _unknown(name)
        return metadata

    async def delete(self, name: str) -> None:
        """Delete a stored voice; speech that has begun with it continues.

        Raises:
            UnknownVoiceError: there is none.
        """
        if not await self.repository.delete(name):
            raise _unknown(name)
        self._cache.forget(name)

    async def _stored(self, name: str, requested_name: str, engine: EngineClient, voice_token: str) -> VoicePrompt:
        voice = await self.repository.find(name, voice_token)
        if voice is None:
            raise await self._not_found(requested_name)
        if voice.metadata.type == "seed":
            return self._designed(voice)
        return await encoded_prompt(voice.payload, voice.metadata.transcript, engine, field_name="voice")

    async def _resolved(self, name: str) -> str:
        """Return what a name means: a built-in voice's name or a stored voice's id; an unknown name as it is.

        Raises:
            InvalidFieldError: several stored voices have that name.
        """
        if name in BUILT_IN_VOICES or name in self._aliases or is_voice_id(name):
            return self._aliases.get(name, name)
        ids = await self.repository.ids_of(name)
        if len(ids) > 1:
            shown = ", ".join(ids[:_SHOWN_IDS])
            message = f"'voice' must name one voice; {len(ids)} are called {name[:_SHOWN_CHARACTERS]!r}: {shown}"
            raise InvalidFieldError(message, param="voice", code="voice_ambiguous")
        return ids[0] if ids else OPENAI_ALIASES.get(name, name)

    async def _not_found(self, name: str) -> InvalidFieldError:
        """Return the error of an unknown name, which lists the known ones."""
        stored = [each.name for each in await self.repository.all_metadata()]
        known = [*dict.fromkeys((*BUILT_IN_VOICES, *self._aliases, *stored, *OPENAI_ALIASES))]
        shown = ", ".join(each[:_SHOWN_CHARACTERS] for each in known[:_SHOWN_NAMES])
        more = f" and {len(known) - _SHOWN_NAMES} more" if len(known) > _SHOWN_NAMES else ""
        message = (
            f"'voice' must be {DEFAULT_VOICE}, {RANDOM_VOICE}, an alias, or the id or name of a stored voice; this"
            f" server has {shown}{more} (GET /v1/audio/voices lists them); given {name[:_SHOWN_CHARACTERS]!r}"
        )
        return InvalidFieldError(message, param="voice", code="voice_not_found")

    def _designed(self, voice: StoredVoice) -> VoicePrompt:
        latents = voice.latents  # [patches, patch_size, feat_dim]
        assert self._default is not None, "requests come in only when ready"  # noqa: S101
        # The shape is all that the file reveals of its checkpoint; other latents would fail inside the engine.
        if latents.shape[1:] != self._default.latents.shape[1:]:
            message = f"'voice' {voice.metadata.id} was designed with another checkpoint; design it again with its seed"
            raise InvalidFieldError(message, param="voice", code="voice_of_another_model")
        return VoicePrompt(voice.metadata.transcript, latents)

    async def _recorded(self, file: bytes, transcript: str, engine: EngineClient, *, field_name: str) -> VoicePrompt:
        """Return the prompt of a recording; the id is the cache's key, so the same recording is encoded once."""
        key = voice_id("audio_sample", file, transcript)
        return await self._cache.get(key, lambda: encoded_prompt(file, transcript, engine, field_name=field_name))


def _unknown(name: str) -> UnknownVoiceError:
    return UnknownVoiceError(
        f"no voice {name[:_SHOWN_CHARACTERS]!r} is stored here", param="voice_id", code="voice_not_found"
    )
