"""The voice of `synthesize`: of a recording, or by its name, as a server finds it.

Knows: built-in voices, OpenAI's names, and the voices of `--voices-dir`, by id or name.
Does not know: aliases of a server's settings, or other servers' voices.
"""

from __future__ import annotations

from pathlib import Path

from voxfleet_inference.audio.recordings import RecordingError, read_recording
from voxfleet_inference.commands.offline_engine import OfflineEngine
from voxfleet_inference.commands.synthesis_options import SynthesisError, SynthesisOptions
from voxfleet_inference.engine.messages import VoicePrompt
from voxfleet_inference.voice_names import BUILT_IN_VOICES, DEFAULT_VOICE, OPENAI_ALIASES, RANDOM_VOICE, is_voice_id
from voxfleet_inference.voices.disk_store import DiskStoreError, DiskVoiceStore, StoreLimits
from voxfleet_inference.voices.file_format import StoredVoice, VoiceFileError
from voxfleet_inference.voices.name_index import NameIndex
from voxfleet_inference.voices.prompt_builders import BUILT_IN_MAX_STEPS, BUILT_IN_VOICE_TEXT


def chosen_voice(options: SynthesisOptions, engine: OfflineEngine) -> VoicePrompt | None:
    """Return the prompt of the voice; None where the seed draws it.

    Raises:
        SynthesisError: the recording cannot be used, or there is no such voice.
    """
    if options.reference_audio is not None:
        file = _file_of(options.reference_audio)
        return _recorded(file, options.reference_text, engine, f"--reference-audio {options.reference_audio}")
    stored = _stored(options.voice, options.voices_dir) if options.voice else None
    if stored is not None:
        return _prompt_of(stored, engine)
    name = OPENAI_ALIASES.get(options.voice, options.voice) or RANDOM_VOICE
    if name not in BUILT_IN_VOICES:
        folder = options.voices_dir or "none is given: name it with --voices-dir"
        raise SynthesisError(
            f"--voice must be {' or '.join(BUILT_IN_VOICES)}, one of OpenAI's names ({', '.join(OPENAI_ALIASES)}), or"
            f" the id or name of a voice in the folder of voices ({folder}); given {options.voice!r}"
        )
    is_prompted = name == DEFAULT_VOICE and not engine.model_info.single_speaker
    return engine.speak_sample(BUILT_IN_VOICE_TEXT, BUILT_IN_MAX_STEPS) if is_prompted else None


def _stored(name: str, folder: Path | None) -> StoredVoice | None:
    if folder is None or name in BUILT_IN_VOICES:
        return None
    store = DiskVoiceStore(folder, StoreLimits(0, 0))
    try:
        ids = (name,) if is_voice_id(name) else NameIndex(store).ids_of(name)
        if len(ids) > 1:
            raise SynthesisError(f"--voice {name!r} names {len(ids)} voices; use an id: {', '.join(ids)}")
        return store.get(ids[0]) if ids else None
    except (DiskStoreError, VoiceFileError) as error:
        raise SynthesisError(f"--voices-dir {folder}: {error}") from error


def _prompt_of(stored: StoredVoice, engine: OfflineEngine) -> VoicePrompt:
    transcript = stored.metadata.transcript
    if stored.metadata.type != "seed":
        return _recorded(stored.payload, transcript, engine, f"--voice {stored.metadata.id}")
    if stored.latents.shape[1:] != (engine.model_info.patch_size, engine.model_info.feat_dim):
        raise SynthesisError(f"--voice {stored.metadata.id} was designed with another checkpoint")
    return VoicePrompt(transcript, stored.latents)


def _recorded(file: bytes, transcript: str, engine: OfflineEngine, option: str) -> VoicePrompt:
    try:
        recording = read_recording(file)
    except RecordingError as error:
        raise SynthesisError(f"{option}: {error}") from error
    return VoicePrompt(transcript, engine.model.encode_voice(recording.samples, recording.sample_rate))


def _file_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SynthesisError(f"--reference-audio {path}: {error}") from error
