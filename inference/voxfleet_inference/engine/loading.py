"""From settings to a model that can speak: a checkpoint on its device, with as much room as the machine has.

Knows: devices, threads, number formats and memory.
Does not know: what the engine does with the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch

from voxfleet_inference.engine.messages import Float32Array, Loaded, Sentence
from voxfleet_inference.engine.process import EngineSettings, WrongWeightsError
from voxfleet_inference.engine.runner import StepOutput as OneRowOutput
from voxfleet_inference.engine.speech_model import Seat
from voxfleet_inference.engine.voxcpm_speech import VoxCpmSpeech
from voxfleet_inference.model.checkpoint import load_checkpoint
from voxfleet_inference.model.errors import CheckpointError
from voxfleet_inference.model.seats.determinism import forbid_variation
from voxfleet_inference.model.seats.speaker import Room
from voxfleet_inference.model.voxcpm import VoxCPM
from voxfleet_inference.text.tokenizer import collapse_whitespace

DTYPES: Final = {"float32": torch.float32, "bfloat16": torch.bfloat16, "int8": torch.int8}
_WORTH_DIVIDING_BYTES: Final = 100_000_000
_SEATS_PER_ROW: Final = 4  # whoever is parked keeps a seat and takes no row
_CPU_POSITIONS_PER_ROW: Final = 1024  # a long sentence with a long voice prompt
_SHARE_OF_FREE_MEMORY: Final = 0.7  # of a GPU, for KV positions; the rest is for what steps need on their way


@dataclass(slots=True)
class SentenceDecoding:
    """One sentence in a speaker of its own, and the most steps it may take."""

    speech: VoxCpmSpeech
    max_steps: int


class OneRowSpeech:
    """VoxCPM behind the protocol of an engine that decodes one sentence at a time."""

    def __init__(self, model: VoxCPM) -> None:
        self._model = model
        self._measuring = VoxCpmSpeech(model, Room(0, model.config.max_length, rows=0))
        self.patch_size, self.feat_dim = model.config.patch_size, model.config.feat_dim
        self.encode_voice = self._measuring.encode_voice

    def count_tokens(self, text: str) -> int:
        """Tokens of a sentence, which bound how long it may take."""
        return len(self._model.tokenizer.encode(collapse_whitespace(text)))

    def prefill(self, sentence: Sentence) -> SentenceDecoding:
        """Give the sentence a speaker, and read it."""
        measured = self._measuring.measure(sentence)
        speech = VoxCpmSpeech(self._model, Room(seats=1, positions=measured.positions))
        speech.admit(Seat(0, 0, measured.positions), sentence)
        speech.prefill(0, measured.prompt_positions)
        return SentenceDecoding(speech, measured.max_steps)

    def step(self, decoding: SentenceDecoding, noise: Float32Array) -> OneRowOutput:
        """The next patch."""
        made = decoding.speech.step([0], noise[None]).collect()
        return OneRowOutput(made.latents[0], made.samples[0], bool(made.is_last[0]))


def load_speech_model(settings: EngineSettings) -> tuple[OneRowSpeech, Loaded]:
    """Load a checkpoint for an engine that decodes one sentence at a time."""
    model = _loaded(settings)
    return OneRowSpeech(model), _facts(model)


def load_seated_model(settings: EngineSettings) -> tuple[VoxCpmSpeech, Loaded]:
    """Load a checkpoint onto its device.

    Raises:
        WrongWeightsError: the checkpoint or the device is not what the settings say.
    """
    model = _loaded(settings)
    rows = settings.limits.max_rows
    room = Room(_SEATS_PER_ROW * rows, _kv_positions(settings, model), rows, settings.deterministic)
    return VoxCpmSpeech(model, room), _facts(model)


def _loaded(settings: EngineSettings) -> VoxCPM:
    if settings.device == "cpu":
        torch.set_num_threads(_cpu_threads(settings))
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise WrongWeightsError("--device cuda: no usable CUDA device or driver here; --device cpu serves without one")
    if settings.device == "cuda" and settings.dtype == "int8":
        raise WrongWeightsError("--dtype int8 is for --device cpu: on a GPU give bfloat16 or float32")
    if settings.deterministic and settings.device == "cuda":
        forbid_variation()
    try:
        return load_checkpoint(settings.model_path, settings.device, DTYPES[settings.dtype])
    except CheckpointError as error:
        raise WrongWeightsError(str(error)) from error


def _cpu_threads(settings: EngineSettings) -> int:
    """What was asked for; one for a small model, whose matrices are not worth dividing; else what PyTorch chose."""
    if settings.cpu_threads:
        return settings.cpu_threads
    weights = sum(each.stat().st_size for each in settings.model_path.glob("*") if each.is_file())
    return 1 if weights < _WORTH_DIVIDING_BYTES else torch.get_num_threads()


def _kv_positions(settings: EngineSettings, model: VoxCPM) -> int:
    """What was asked for; else as many as the device's free memory holds, and never more than could be used."""
    if settings.kv_cache_positions:
        return settings.kv_cache_positions
    longest = model.config.max_length
    if settings.device == "cpu":
        return max(longest, _CPU_POSITIONS_PER_ROW * settings.limits.max_rows)
    lms = (model.config.base_lm, model.config.residual_lm)
    position_bytes = sum(2 * lm.layers * lm.kv_heads * lm.head_dim for lm in lms) * model.dtype.itemsize
    free_bytes, _ = torch.cuda.mem_get_info(model.device)
    most = _SEATS_PER_ROW * settings.limits.max_rows * longest
    return min(int(free_bytes * _SHARE_OF_FREE_MEMORY) // position_bytes, most)


def _facts(model: VoxCPM) -> Loaded:
    return Loaded(
        sample_rate=model.config.sample_rate,
        patch_samples=model.patch_samples,
        token_rate=model.patches_per_second,
        patch_size=model.config.patch_size,
        feat_dim=model.config.feat_dim,
        loaded_seconds=0.0,
    )
