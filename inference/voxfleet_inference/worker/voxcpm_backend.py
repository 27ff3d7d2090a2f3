"""VoxCPM as the engine's ModelBackend: numpy in, numpy out.

Knows: how a sentence becomes a prompt, noise a tensor, and a device's results arrays.
Does not know: checkpoints, the order of calls, pipes or requests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from voxfleet_inference.engine.messages import Float32Array, Sentence
from voxfleet_inference.engine.model_backend import SentenceTooLongError, SequenceCost, Slot, StepOutput
from voxfleet_inference.model.runner.decoding import DecodingSettings, PatchResult, Prompt, maximum_steps
from voxfleet_inference.model.runner.model_runner import ModelRunner, RunnerConfig
from voxfleet_inference.model.tokenizer import collapse_whitespace

if TYPE_CHECKING:
    from voxfleet_inference.model.voxcpm import VoxCPM


class VoxCpmBackend:
    """VoxCPM in the engine's terms; see ModelBackend for what each method promises."""

    def __init__(
        self, model: VoxCPM, config: RunnerConfig, prepare: Callable[[ModelRunner], None] = lambda _: None
    ) -> None:
        """`prepare` is called with the model runner before its first step; on a GPU it records the steps."""
        self._model, self._runner = model, ModelRunner(model, config)
        prepare(self._runner)
        self.patch_size, self.feat_dim = model.config.patch_size, model.config.feat_dim
        self.slots, self.kv_positions = config.slots, config.positions
        # A stream of its own, so that a recording is encoded beside the steps, not between them.
        self._voice_stream = torch.cuda.Stream(model.device) if model.device.type == "cuda" else None  # type: ignore[no-untyped-call]

    def estimate_cost(self, sentence: Sentence) -> SequenceCost:
        """Count its tokens; its bound on patches is the reference's for a text of that length, or `max_steps`."""
        text = collapse_whitespace(sentence.text)
        tokens = len(self._model.tokenizer.encode(text))
        steps = maximum_steps(tokens)
        steps = steps if sentence.max_steps is None else min(steps, sentence.max_steps)
        cost = SequenceCost(self._prompt(sentence).positions, steps, tokens)
        longest = min(self._model.config.max_length, self.kv_positions)
        if cost.positions > longest:
            raise SentenceTooLongError(
                f"the sentence needs {cost.prompt_positions} positions and up to {steps} steps, the model has room"
                f" for {longest} in all: shorten the text or the voice prompt"
            )
        return cost

    def admit(self, slot: Slot, sentence: Sentence) -> None:
        """Begin a sequence in a slot, with the prompt's text and the sentence tokenized as one."""
        settings = DecodingSettings(sentence.inference_timesteps, sentence.cfg_value)
        self._runner.admit(slot.index, slot.first_position, slot.positions, self._prompt(sentence), settings)

    def prefill(self, slot: int, positions: int) -> None:
        """Read the next positions of a slot's prompt."""
        self._runner.prefill(slot, positions)

    def step(self, slots: Sequence[int], noise: Float32Array) -> LaunchedStep:
        """Launch the next patch of these slots."""
        return LaunchedStep(self._runner.step(slots, torch.from_numpy(noise)))

    def release(self, slot: int) -> None:
        """Drop a slot's state."""
        self._runner.release(slot)

    def free_memory(self) -> None:
        """Drop the caches, of voices' embeddings and the allocator's."""
        self._runner.free_memory()

    def encode_voice(self, samples: Float32Array, sample_rate: int) -> Float32Array:
        """Resample as the reference does, and encode: samples [samples] to [patches, patch_size, feat_dim]."""
        at_model_rate = resampled(torch.from_numpy(samples), sample_rate, self._model.config.sample_rate)
        with torch.cuda.stream(self._voice_stream):
            return _array(self._model.encode_prompt_audio(at_model_rate))

    def _prompt(self, sentence: Sentence) -> Prompt:
        text = collapse_whitespace(sentence.text)
        if sentence.prompt is None:
            return Prompt(self._model.tokenizer.encode(text))
        token_ids = self._model.tokenizer.encode(sentence.prompt.text + text)
        return Prompt(token_ids, torch.from_numpy(sentence.prompt.latents))


def resampled(samples: Tensor, rate: int, wanted_rate: int) -> Tensor:
    """Mono samples [samples] at another rate, the same bits as torchaudio's.

    They are padded with silence to a power of two, because a CPU caches kernels for each length that it meets.
    torchaudio pads them with silence itself, so this changes none of the samples that are kept.
    """
    if rate == wanted_rate:
        return samples
    from torchaudio.functional import resample  # noqa: PLC0415 - takes a second, and most recordings do not need it

    silence = (1 << (len(samples) - 1).bit_length()) - len(samples)
    whole: Tensor = resample(functional.pad(samples, (0, silence)), rate, wanted_rate)
    return whole[: -(-len(samples) * wanted_rate // rate)]


class LaunchedStep:
    """A launched step: its copies to the host are queued after it, and an event marks their end."""

    def __init__(self, made: PatchResult) -> None:
        fields = (made.latents, made.samples, made.is_last, made.next_is_last)
        # On a GPU these are copies in progress; they are complete once the event has passed.
        self._on_host = [field.to("cpu", non_blocking=True) for field in fields]
        self._is_done = torch.cuda.Event() if made.latents.is_cuda else None  # type: ignore[no-untyped-call]
        if self._is_done is not None:
            self._is_done.record()

    def collect(self) -> StepOutput:
        """Wait for the device."""
        if self._is_done is not None:
            self._is_done.synchronize()
        return StepOutput(*(field.numpy() for field in self._on_host))


def _array(tensor: Tensor) -> Float32Array:
    array: Float32Array = np.ascontiguousarray(tensor.detach().to("cpu", torch.float32).numpy())
    return array
