"""A checkpoint as the engine's model: the one module of the engine that knows torch.

Knows: how a sentence becomes a prompt, how noise becomes a tensor, how much a machine has room for.
Does not know: who asks, in which order, pipes or requests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from voxfleet_inference.engine.messages import Float32Array, Loaded, Sentence
from voxfleet_inference.engine.process import EngineSettings, WrongWeightsError
from voxfleet_inference.engine.runner import StepOutput as OneRowOutput
from voxfleet_inference.engine.speech_model import Measured, Seat, SentenceTooLongError, StepOutput
from voxfleet_inference.model.checkpoint import load_checkpoint
from voxfleet_inference.model.errors import CheckpointError
from voxfleet_inference.model.seats.decoding import DecodingSettings, PatchResult, Prompt, maximum_steps
from voxfleet_inference.model.seats.determinism import align_weights, forbid_variation
from voxfleet_inference.model.seats.speaker import Room, Speaker
from voxfleet_inference.model.voxcpm import VoxCPM
from voxfleet_inference.text.tokenizer import collapse_whitespace

DTYPES: Final = {"float32": torch.float32, "bfloat16": torch.bfloat16, "int8": torch.int8}
_WORTH_DIVIDING_BYTES: Final = 100_000_000
_SEATS_PER_ROW: Final = 4  # whoever is parked keeps a seat and takes no row
_CPU_POSITIONS_PER_ROW: Final = 1024  # a long sentence with a long voice prompt
_SHARE_OF_FREE_MEMORY: Final = 0.7  # of a GPU, for KV positions; the rest is for what steps need on their way


class VoxCpmSpeech:
    """VoxCPM behind the engine's protocol: numpy in, numpy out."""

    def __init__(self, model: VoxCPM, room: Room) -> None:
        self._model, self._speaker = model, Speaker(model, room)
        self.patch_size, self.feat_dim = model.config.patch_size, model.config.feat_dim
        self.seats, self.kv_positions = room.seats, room.positions
        self._voice_stream = torch.cuda.Stream(model.device) if model.device.type == "cuda" else None  # type: ignore[no-untyped-call]

    def measure(self, sentence: Sentence) -> Measured:
        """Count its tokens; it may take as many patches as the reference allows a text of that length."""
        text = collapse_whitespace(sentence.text)
        tokens = len(self._model.tokenizer.encode(text))
        steps = maximum_steps(tokens)
        steps = steps if sentence.max_steps is None else min(steps, sentence.max_steps)
        measured = Measured(self._prompt(sentence).positions, steps, tokens)
        room = min(self._model.config.max_length, self.kv_positions)
        if measured.positions > room:
            raise SentenceTooLongError(
                f"the sentence needs {measured.prompt_positions} positions and up to {steps} steps, the model has room"
                f" for {room} in all: shorten the text or the voice prompt"
            )
        return measured

    def admit(self, seat: Seat, sentence: Sentence) -> None:
        """Tokenize the prompt's text and the sentence as one."""
        settings = DecodingSettings(sentence.inference_timesteps, sentence.cfg_value)
        self._speaker.admit(seat.index, seat.first_position, seat.positions, self._prompt(sentence), settings)

    def prefill(self, seat: int, positions: int) -> None:
        """Read the next positions of a seat's prompt."""
        self._speaker.prefill(seat, positions)

    def step(self, seats: Sequence[int], noise: Float32Array) -> LaunchedStep:
        """Launch the next patch of these seats."""
        return LaunchedStep(self._speaker.step(seats, torch.from_numpy(noise)))

    def release(self, seat: int) -> None:
        """Forget a seat."""
        self._speaker.release(seat)

    def encode_voice(self, samples: Float32Array, sample_rate: int) -> Float32Array:
        """Resample as the reference does, and encode, on a stream of its own where there are streams."""
        at_model_rate = torch.from_numpy(samples)
        if sample_rate != self._model.config.sample_rate:
            from torchaudio.functional import resample  # noqa: PLC0415 - costs a second, and few need it

            at_model_rate = resample(at_model_rate, sample_rate, self._model.config.sample_rate)
        with torch.cuda.stream(self._voice_stream):
            return _array(self._model.encode_prompt_audio(at_model_rate))

    def _prompt(self, sentence: Sentence) -> Prompt:
        text = collapse_whitespace(sentence.text)
        if sentence.prompt is None:
            return Prompt(self._model.tokenizer.encode(text))
        token_ids = self._model.tokenizer.encode(sentence.prompt.text + text)
        return Prompt(token_ids, torch.from_numpy(sentence.prompt.latents))


class LaunchedStep:
    """A step on its way: copies to the host are under way behind it, and an event says when they are done."""

    def __init__(self, made: PatchResult) -> None:
        fields = (made.latents, made.samples, made.is_last, made.next_is_last)
        self._on_host = [field.to("cpu", non_blocking=True) for field in fields]
        self._is_done = torch.cuda.Event() if made.latents.is_cuda else None  # type: ignore[no-untyped-call]
        if self._is_done is not None:
            self._is_done.record()

    def collect(self) -> StepOutput:
        """Wait for the device."""
        if self._is_done is not None:
            self._is_done.synchronize()
        return StepOutput(*(field.numpy() for field in self._on_host))


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
        model = load_checkpoint(settings.model_path, settings.device, DTYPES[settings.dtype])
    except CheckpointError as error:
        raise WrongWeightsError(str(error)) from error
    if settings.deterministic:
        align_weights(model.network)
        align_weights(model.vae)
    return model


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


def _array(tensor: Tensor) -> Float32Array:
    array: Float32Array = np.ascontiguousarray(tensor.detach().to("cpu", torch.float32).numpy())
    return array
