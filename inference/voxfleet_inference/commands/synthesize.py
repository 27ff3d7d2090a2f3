"""Speaks one text into a file, without a server: for bug reports, parity checks and scripts.

Knows: the engine's own loop and noise tapes. Sentences are retried and joined as a server does it.
Does not know: HTTP.
"""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from voxfleet_inference.audio.encoding import make_encoder
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
from voxfleet_inference.speech.assembly import Assembly
from voxfleet_inference.speech.derived_voice import derive_voice, voice_patch
from voxfleet_inference.speech.events import SpeechAudio
from voxfleet_inference.speech.retry_policy import MAX_ATTEMPTS, should_retry
from voxfleet_inference.text.sentences import TextSentence, split
from voxfleet_inference.worker.loading import load_backend
from voxfleet_inference.worker.voxcpm_backend import VoxCpmBackend


class SynthesisError(Exception):
    """The text could not be spoken; the message names the option or the limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SynthesisOptions:
    """The options of `voxfleet-inference synthesize`."""

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
    max_steps: int | None = None  # patches per sentence
    splits: bool = True
    retries: bool = True
    dtype: str = "float32"
    device: str = "cpu"


@dataclass(frozen=True, slots=True)
class SynthesisResult:
    """The patches of a text, the index of the patch at which each sentence starts, and the samples with pauses."""

    patches: tuple[Patch, ...]
    sentence_starts: tuple[int, ...]
    sample_rate: int
    samples: Float32Array  # [samples]

    @property
    def seconds(self) -> float:
        """Duration of the audio."""
        return len(self.samples) / self.sample_rate


def synthesize(options: SynthesisOptions) -> SynthesisResult:
    """Speak a text, write the audio (and the latents, if requested), and return both.

    Raises:
        SynthesisError: the checkpoint, the recording, the tape or the text cannot be used.
    """
    model, model_info = _load(options)
    voice = _voice(options, model)
    engine = _OfflineEngine(options, model, model_info)
    try:
        sentences = split(options.text) if options.splits else (TextSentence(options.text),)
        result = _speak_all(engine, sentences, voice, model_info)
    finally:
        engine.close()
    _write(options, result)
    return result


class _OfflineEngine:
    """Runs the engine's loop in a thread of this process, one sentence at a time."""

    def __init__(self, options: SynthesisOptions, model: VoxCpmBackend, model_info: Loaded) -> None:
        self._options, self._tape = options, _tape(options, model_info)
        self._reports: queue.SimpleQueue[Report] = queue.SimpleQueue()
        self._engine = Engine(model, _limits(options), 1 / model_info.token_rate, self._reports.put)
        self._thread = threading.Thread(target=self._engine.run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop the loop and join its thread."""
        self._engine.enqueue(Stop())
        self._thread.join()

    def speak(self, index: int, text: str, voice: VoicePrompt | None) -> tuple[tuple[Patch, ...], SequenceEnded]:
        """Return the patches of one sentence and its end; a runaway sentence is retried, unless its noise is a tape."""
        voice_patches = 0 if voice is None else len(voice.latents)
        patches, ended = self._speak_once(self._sentence(index, text, voice, 0))
        attempts = 1
        while self._may_retry and should_retry(attempts, len(patches), ended.text_tokens, voice_patches):
            patches, ended = self._speak_once(self._sentence(index, text, voice, attempts))
            attempts += 1
        # The tape holds the noise of the whole text: each sentence reads on where the one before it ended.
        self._tape = self._tape if self._tape is None else self._tape[len(patches) :]
        return patches, ended

    @property
    def _may_retry(self) -> bool:
        return self._options.retries and self._tape is None  # a tape holds the noise of one attempt

    def _sentence(self, index: int, text: str, voice: VoicePrompt | None, attempt: int) -> Sentence:
        return Sentence(
            sequence_id=index * MAX_ATTEMPTS + attempt + 1,
            text=text,
            seed=self._options.seed,
            sentence_index=index,
            attempt=attempt,
            cfg_value=self._options.cfg_value,
            inference_timesteps=self._options.inference_timesteps,
            prompt=voice,
            max_steps=self._options.max_steps,
            noise_tape=self._tape,
        )

    def _speak_once(self, sentence: Sentence) -> tuple[tuple[Patch, ...], SequenceEnded]:
        self._engine.enqueue(Submit(sentence))
        patches: list[Patch] = []
        while not isinstance(report := self._reports.get(), SequenceEnded):
            patches += report.patches if isinstance(report, StepDone) else ()
        if report.outcome is Outcome.FAILED:
            # Reports of failures begin with the exception's class, which is no help to a user.
            raise SynthesisError(report.message.partition(": ")[2] or report.message)
        if report.outcome is not Outcome.FINISHED:
            raise SynthesisError(report.message)
        return tuple(patches), report


def _limits(options: SynthesisOptions) -> Limits:
    """Return limits for one sentence at a time, its prompt split for prefill as a server on this device splits it."""
    return Limits(max_rows=1, max_waiting=1, max_prefill_tokens=prefill_tokens(options.device))


def _speak_all(
    engine: _OfflineEngine, sentences: tuple[TextSentence, ...], voice: VoicePrompt | None, model_info: Loaded
) -> SynthesisResult:
    """Speak the sentences in order; without a voice, the first becomes that of the others."""
    patches: list[Patch] = []
    starts: list[int] = []
    parts: list[Float32Array] = []
    assembly = Assembly(model_info.sample_rate)
    for index, sentence in enumerate(sentences):
        starts.append(len(patches))
        spoken, ended = engine.speak(index, sentence.text, voice)
        patches += spoken
        parts += _pause_and_speech(assembly, sentence, spoken)
        if voice is None and len(sentences) > 1 and not model_info.single_speaker:
            voice = derive_voice(sentence.text, [voice_patch(patch) for patch in spoken], ended.text_tokens)
    return SynthesisResult(tuple(patches), tuple(starts), model_info.sample_rate, np.concatenate(parts))


def _pause_and_speech(assembly: Assembly, sentence: TextSentence, patches: tuple[Patch, ...]) -> list[Float32Array]:
    """Return the samples of the pause before a sentence, and those of the sentence."""
    before = [event.samples for event in assembly.begin(sentence) if isinstance(event, SpeechAudio)]
    spoken = [assembly.add_patch(patch).samples for patch in patches]
    assembly.end()
    return before + spoken


def _load(options: SynthesisOptions) -> tuple[VoxCpmBackend, Loaded]:
    limits = _limits(options)
    try:
        return load_backend(
            EngineSettings(model_path=options.model_path, device=options.device, dtype=options.dtype, limits=limits)
        )
    except WrongWeightsError as error:
        raise SynthesisError(str(error)) from error


def _voice(options: SynthesisOptions, model: VoxCpmBackend) -> VoicePrompt | None:
    if options.reference_audio is None:
        return None
    try:
        recording = read_recording(options.reference_audio.read_bytes())
    except (OSError, RecordingError) as error:
        raise SynthesisError(f"--reference-audio {options.reference_audio}: {error}") from error
    return VoicePrompt(options.reference_text, model.encode_voice(recording.samples, recording.sample_rate))


def _tape(options: SynthesisOptions, model_info: Loaded) -> Float32Array | None:
    if options.noise_file is None:
        return None
    from safetensors import SafetensorError  # noqa: PLC0415
    from safetensors.numpy import load_file  # noqa: PLC0415

    try:
        tensors = load_file(options.noise_file)
    except (OSError, SafetensorError) as error:
        raise SynthesisError(f"--noise-file {options.noise_file}: {error}") from error
    noise = tensors.get("noise")
    step_shape = (model_info.patch_size, model_info.feat_dim)
    if noise is None or noise.ndim != 3 or noise.shape[1:] != step_shape:  # noqa: PLR2004 - [steps, patch_size, feat_dim]
        found = "no tensor `noise`" if noise is None else f"`noise` of shape {list(noise.shape)}"
        expected = f"[steps, {step_shape[0]}, {step_shape[1]}]"
        raise SynthesisError(f"--noise-file {options.noise_file} has {found}; {expected} is required")
    tape: Float32Array = np.ascontiguousarray(noise, dtype=np.float32)
    return tape


def _write(options: SynthesisOptions, result: SynthesisResult) -> None:
    # pcm has no header for its rate, and a file is not a player: it keeps the model's rate instead of OpenAI's 24 kHz.
    audio_format = FORMATS.get(options.output.suffix.removeprefix("."), FORMATS["wav"])
    rate = result.sample_rate if audio_format.name == "pcm" else audio_format.rate_for(None, result.sample_rate)
    encoder = make_encoder(audio_format, result.sample_rate, rate, is_whole=True)
    audio = encoder.encode(result.samples) + encoder.finish()
    try:
        options.output.write_bytes(audio)
        _write_latents(options.latents_out, result)
    except OSError as error:
        raise SynthesisError(f"cannot write {error.filename}: {error.strerror}") from error


def _write_latents(path: Path | None, result: SynthesisResult) -> None:
    if path is None:
        return
    from safetensors.numpy import save_file  # noqa: PLC0415

    latents = np.stack([patch.latents for patch in result.patches])  # [steps, patch_size, feat_dim]
    save_file({"latents": latents, "sentence_starts": np.array(result.sentence_starts, np.int64)}, path)
