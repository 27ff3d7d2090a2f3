"""A checkpoint as the engine's model: the one module of the engine that knows torch.

Knows: how a sentence becomes a prompt, how noise becomes a tensor, and how long loading took.
Does not know: who asks, rows, pipes or requests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from voxfleet_inference.engine.messages import Float32Array, Loaded, Sentence
from voxfleet_inference.engine.process import EngineSettings, WrongWeightsError
from voxfleet_inference.engine.runner import StepOutput
from voxfleet_inference.model.checkpoint import load_checkpoint
from voxfleet_inference.model.decoding import Decoding, DecodingSettings, Prompt, maximum_steps
from voxfleet_inference.model.errors import CheckpointError
from voxfleet_inference.model.voxcpm import VoxCPM
from voxfleet_inference.text.tokenizer import collapse_whitespace

DTYPES: Final = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_WORTH_DIVIDING_BYTES: Final = 100_000_000


@dataclass(slots=True)
class SentenceDecoding:
    """One sentence inside the model, and the most steps it may take."""

    inner: Decoding
    max_steps: int


class VoxCpmSpeech:
    """VoxCPM behind the engine's protocol: numpy in, numpy out, one sentence per decoding."""

    def __init__(self, model: VoxCPM) -> None:
        self._model = model
        self.patch_size: int = model.config.patch_size
        self.feat_dim: int = model.config.feat_dim

    def prefill(self, sentence: Sentence) -> SentenceDecoding:
        """Tokenize the prompt's text and the sentence as one, and read them."""
        text = collapse_whitespace(sentence.text)
        steps = maximum_steps(self.count_tokens(text))
        steps = steps if sentence.max_steps is None else min(steps, sentence.max_steps)
        settings = DecodingSettings(sentence.inference_timesteps, sentence.cfg_value)
        return SentenceDecoding(self._model.prefill(self._prompt(sentence, text), settings, steps), steps)

    def step(self, decoding: SentenceDecoding, noise: Float32Array) -> StepOutput:
        """The next patch."""
        made = self._model.step(decoding.inner, torch.from_numpy(noise)[None])  # [1, patch_size, feat_dim]
        return StepOutput(_array(made.latents[0]), _array(made.samples[0]), bool(made.is_last.item()))

    def count_tokens(self, text: str) -> int:
        """Tokens of a sentence, which bound how long it may take."""
        return len(self._model.tokenizer.encode(collapse_whitespace(text)))

    def encode_voice(self, samples: Float32Array, sample_rate: int) -> Float32Array:
        """Resample as the reference does, and encode."""
        at_model_rate = torch.from_numpy(samples)
        if sample_rate != self._model.config.sample_rate:
            from torchaudio.functional import resample  # noqa: PLC0415 - costs a second, and few need it

            at_model_rate = resample(at_model_rate, sample_rate, self._model.config.sample_rate)
        return _array(self._model.encode_prompt_audio(at_model_rate))

    def _prompt(self, sentence: Sentence, text: str) -> Prompt:
        if sentence.prompt is None:
            return Prompt(self._model.tokenizer.encode(text))
        token_ids = self._model.tokenizer.encode(sentence.prompt.text + text)
        return Prompt(token_ids, torch.from_numpy(sentence.prompt.latents))


def load_speech_model(settings: EngineSettings) -> tuple[VoxCpmSpeech, Loaded]:
    """Load a checkpoint onto its device.

    Raises:
        WrongWeightsError: the checkpoint or the device is not what the settings say.
    """
    if settings.device == "cpu":
        torch.set_num_threads(_cpu_threads(settings))
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise WrongWeightsError("--device cuda: no usable CUDA device or driver here; --device cpu serves without one")
    try:
        model = load_checkpoint(settings.model_path, settings.device, DTYPES[settings.dtype])
    except CheckpointError as error:
        raise WrongWeightsError(str(error)) from error
    return VoxCpmSpeech(model), _facts(model)


def _cpu_threads(settings: EngineSettings) -> int:
    """What was asked for; one for a small model, whose matrices are not worth dividing; else what PyTorch chose."""
    if settings.cpu_threads:
        return settings.cpu_threads
    weights = sum(each.stat().st_size for each in settings.model_path.glob("*") if each.is_file())
    return 1 if weights < _WORTH_DIVIDING_BYTES else torch.get_num_threads()


def _facts(model: VoxCPM) -> Loaded:
    return Loaded(
        sample_rate=model.config.sample_rate,
        patch_samples=model.patch_samples,
        token_rate=model.patches_per_second,
        patch_size=model.config.patch_size,
        feat_dim=model.config.feat_dim,
        loaded_seconds=0.0,
    )


def _array(tensor: Tensor) -> Float32Array:
    array: Float32Array = np.ascontiguousarray(tensor.detach().to("cpu", torch.float32).numpy())
    return array
