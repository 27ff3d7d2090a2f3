"""Speaks one text into a file, without a server: for bug reports, parity checks and scripts.

Knows: the engine's own loop and tapes of noise. Sentences are tried again and joined as a server does it.
Does not know: HTTP.
"""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from voxfleet_inference.audio.encoding import make_encoder, with_exact_wav_length
from voxfleet_inference.audio.formats import FORMATS
from voxfleet_inference.audio.recordings import RecordingError, read_recording
from voxfleet_inference.engine.engine import Engine
from voxfleet_inference.engine.messages import (
    Float32Array,
    Loaded,
    Outcome,
    Patch,
    Report,
    Sentence,
    SequenceEnded,
    StepDone,
    Stop,
    Submit,
    VoicePrompt,
)
from voxfleet_inference.engine.process import EngineSettings, WrongWeightsError, prefill_tokens
from voxfleet_inference.engine.scheduling.plans import Limits
from voxfleet_inference.speech.assembling import Assembly
from voxfleet_inference.speech.derived_voice import kept_for_a_voice, voice_of
from voxfleet_inference.speech.events import SpeechAudio
from voxfleet_inference.speech.retrying import MAX_ATTEMPTS, wants_another_attempt
from voxfleet_inference.text.sentences import TextSentence, split
from voxfleet_inference.worker.loading import load_backend
from voxfleet_inference.worker.voxcpm_backend import VoxCpmBackend


class SynthesisError(Exception):
    """The text could not be spoken; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Synthesis:
    """What to speak and how."""

    model_path: Path
    text: str
    output: Path
    reference_audio: Path | None = None
    reference_text: str = ""
    seed: int = 0
    cfg_value: float = 2.0
    inference_timesteps: int = 10
    noise_file: Path | None = None
    latents_out: Path | None = None
    max_steps: int | None = None
    splits: bool = True
    retries: bool = True
    dtype: str = "float32"
    device: str = "cpu"


@dataclass(frozen=True, slots=True)
class Spoken:
    """A whole text's patches, the patch at which each sentence starts, and what there is to hear, pauses and all."""

    patches: tuple[Patch, ...]
    sentence_starts: tuple[int, ...]
    sample_rate: int
    samples: Float32Array  # [samples]

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / self.sample_rate


def synthesize(work: Synthesis) -> Spoken:
    """Speak a text and write it.

    Raises:
        SynthesisError: the checkpoint, the recording, the tape or the text cannot be used.
    """
    model, model_info = _load(work)
    voice = _voice(work, model)
    runner = _OfflineEngine(work, model, model_info)
    try:
        sentences = split(work.text) if work.splits else (TextSentence(work.text),)
        spoken = _speak_all(runner, sentences, voice, model_info)
    finally:
        runner.close()
    _write(work, spoken)
    return spoken


class _OfflineEngine:
    """Sentences one after the other through the engine's loop, in this process."""

    def __init__(self, work: Synthesis, model: VoxCpmBackend, model_info: Loaded) -> None:
        self._work, self._tape = work, _tape(work, model_info)
        self._reports: queue.SimpleQueue[Report] = queue.SimpleQueue()
        self._engine = Engine(model, _limits(work), 1 / model_info.token_rate, self._reports.put)
        self._thread = threading.Thread(target=self._engine.run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop the loop."""
        self._engine.enqueue(Stop())
        self._thread.join()

    def speak(self, index: int, text: str, voice: VoicePrompt | None) -> tuple[tuple[Patch, ...], SequenceEnded]:
        """One sentence; tried again when it went on for too long, except from a tape."""
        voice_patches = 0 if voice is None else len(voice.latents)
        patches, ended = self._speak_once(self._sentence(index, text, voice, 0))
        attempts = 1
        while self._may_retry and wants_another_attempt(attempts, len(patches), ended.text_tokens, voice_patches):
            patches, ended = self._speak_once(self._sentence(index, text, voice, attempts))
            attempts += 1
        self._tape = self._tape if self._tape is None else self._tape[len(patches) :]
        return patches, ended

    @property
    def _may_retry(self) -> bool:
        return self._work.retries and self._tape is None

    def _sentence(self, index: int, text: str, voice: VoicePrompt | None, attempt: int) -> Sentence:
        return Sentence(
            sequence_id=index * MAX_ATTEMPTS + attempt + 1,
            text=text,
            seed=self._work.seed,
            sentence_index=index,
            attempt=attempt,
            cfg_value=self._work.cfg_value,
            inference_timesteps=self._work.inference_timesteps,
            prompt=voice,
            max_steps=self._work.max_steps,
            noise_tape=self._tape,
        )

    def _speak_once(self, sentence: Sentence) -> tuple[tuple[Patch, ...], SequenceEnded]:
        self._engine.enqueue(Submit(sentence))
        patches: list[Patch] = []
        while not isinstance(report := self._reports.get(), SequenceEnded):
            patches += report.patches if isinstance(report, StepDone) else ()
        if report.outcome is Outcome.FAILED:
            raise SynthesisError(report.message.partition(": ")[2] or report.message)
        if report.outcome is not Outcome.FINISHED:
            raise SynthesisError(report.message)
        return tuple(patches), report


def _limits(work: Synthesis) -> Limits:
    """One sentence at a time, its prompt read in the same pieces as a server on such a device reads it."""
    return Limits(max_rows=1, max_waiting=1, max_prefill_tokens=prefill_tokens(work.device))


def _speak_all(
    runner: _OfflineEngine, sentences: tuple[TextSentence, ...], voice: VoicePrompt | None, model_info: Loaded
) -> Spoken:
    """With a voice every sentence continues it; without one the first sentence becomes the voice of the others."""
    patches: list[Patch] = []
    starts: list[int] = []
    heard: list[Float32Array] = []
    assembly = Assembly(model_info.sample_rate)
    for index, sentence in enumerate(sentences):
        starts.append(len(patches))
        made, ended = runner.speak(index, sentence.text, voice)
        patches += made
        heard += _lm_states(assembly, sentence, made)
        if voice is None and len(sentences) > 1:
            voice = voice_of(sentence.text, [kept_for_a_voice(patch) for patch in made], ended.text_tokens)
    return Spoken(tuple(patches), tuple(starts), model_info.sample_rate, np.concatenate(heard))


def _lm_states(assembly: Assembly, sentence: TextSentence, patches: tuple[Patch, ...]) -> list[Float32Array]:
    """The pause before a sentence, and the sentence."""
    before = [event.samples for event in assembly.begin(sentence) if isinstance(event, SpeechAudio)]
    spoken = [assembly.patch(patch).samples for patch in patches]
    assembly.end()
    return before + spoken


def _load(work: Synthesis) -> tuple[VoxCpmBackend, Loaded]:
    limits = _limits(work)
    try:
        return load_backend(
            EngineSettings(model_path=work.model_path, device=work.device, dtype=work.dtype, limits=limits)
        )
    except WrongWeightsError as error:
        raise SynthesisError(str(error)) from error


def _voice(work: Synthesis, model: VoxCpmBackend) -> VoicePrompt | None:
    if work.reference_audio is None:
        return None
    try:
        recording = read_recording(work.reference_audio.read_bytes())
    except (OSError, RecordingError) as error:
        raise SynthesisError(f"--reference-audio {work.reference_audio}: {error}") from error
    return VoicePrompt(work.reference_text, model.encode_voice(recording.samples, recording.sample_rate))


def _tape(work: Synthesis, model_info: Loaded) -> Float32Array | None:
    if work.noise_file is None:
        return None
    from safetensors import SafetensorError  # noqa: PLC0415
    from safetensors.numpy import load_file  # noqa: PLC0415

    try:
        tensors = load_file(work.noise_file)
    except (OSError, SafetensorError) as error:
        raise SynthesisError(f"--noise-file {work.noise_file}: {error}") from error
    noise = tensors.get("noise")
    wanted = (model_info.patch_size, model_info.feat_dim)
    if noise is None or noise.ndim != 3 or noise.shape[1:] != wanted:  # noqa: PLR2004 - [steps, patch_size, feat_dim]
        found = "no tensor `noise`" if noise is None else f"`noise` of shape {list(noise.shape)}"
        raise SynthesisError(f"--noise-file {work.noise_file} has {found}; [steps, {wanted[0]}, {wanted[1]}] is needed")
    tape: Float32Array = np.ascontiguousarray(noise, dtype=np.float32)
    return tape


def _write(work: Synthesis, spoken: Spoken) -> None:
    audio_format = FORMATS.get(work.output.suffix.removeprefix("."), FORMATS["wav"])
    rate = spoken.sample_rate if audio_format.name == "pcm" else audio_format.rate_for(None, spoken.sample_rate)
    encoder = make_encoder(audio_format, spoken.sample_rate, rate)
    audio = encoder.encode(spoken.samples) + encoder.finish()
    if audio_format.name == "wav":
        audio = with_exact_wav_length(audio, rate)
    try:
        work.output.write_bytes(audio)
        _write_latents(work.latents_out, spoken)
    except OSError as error:
        raise SynthesisError(f"cannot write {error.filename}: {error.strerror}") from error


def _write_latents(path: Path | None, spoken: Spoken) -> None:
    if path is None:
        return
    from safetensors.numpy import save_file  # noqa: PLC0415

    latents = np.stack([patch.latents for patch in spoken.patches])  # [steps, patch_size, feat_dim]
    save_file({"latents": latents, "sentence_starts": np.array(spoken.sentence_starts, np.int64)}, path)
