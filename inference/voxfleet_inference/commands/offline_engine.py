"""The engine's own loop in a thread of this process, for one sentence at a time.

Knows: noise tapes, and retries as a server makes them in whole responses.
Does not know: texts of several sentences, voices' names, or files of audio.
"""

from __future__ import annotations

import queue
import threading

import numpy as np

from voxfleet_inference.commands.synthesis_options import SynthesisError, SynthesisOptions
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
from voxfleet_inference.speech.retry_policy import MAX_ATTEMPTS, should_retry
from voxfleet_inference.worker.loading import load_backend
from voxfleet_inference.worker.voxcpm_backend import VoxCpmBackend


class OfflineEngine:
    """Runs the engine's loop in a thread of this process, one sentence at a time."""

    def __init__(self, options: SynthesisOptions) -> None:
        self.model, self.model_info = model, model_info = _load(options)
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

    def speak_sample(self, text: str, max_steps: int) -> VoicePrompt:
        """Return the voice that speaks a text with seed 0 and the model's own settings."""
        patches, _ = self._speak_once(Sentence(sequence_id=0, text=text, seed=0, max_steps=max_steps))
        return VoicePrompt(text, np.stack([patch.latents for patch in patches]))

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


def _load(options: SynthesisOptions) -> tuple[VoxCpmBackend, Loaded]:
    limits = _limits(options)
    try:
        return load_backend(
            EngineSettings(
                model_path=options.model_path,
                device=options.device,
                dtype=options.dtype,
                limits=limits,
                cpu_threads=options.cpu_threads,
            )
        )
    except WrongWeightsError as error:
        raise SynthesisError(str(error)) from error


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
