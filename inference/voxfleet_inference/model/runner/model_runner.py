"""A model whose seats speak: read a seat's prompt, then let any seats take a step together.

Knows the order of a step and what a seat keeps between steps. Does not know requests, queues, noise seeds or sound
formats. No method waits for the device. Order of a step: refine noise into a patch, decode it to samples, let the
language models hear the patch, and learn from what they now think whether the next patch is the last. A call that runs
out of memory may be made again: what a seat remembers changes last, when all of it is computed, and KV positions are
written anew with the same values.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from voxfleet_inference.model.flow_matching import Guidance
from voxfleet_inference.model.kv_cache import Attend, AttentionMetadata, Extent, KvCache, attend_padded, attend_rows
from voxfleet_inference.model.network import Hidden, KvCaches
from voxfleet_inference.model.runner.decoding import SHORTEST_UTTERANCE_STEPS, DecodingSettings, PatchResult, Prompt
from voxfleet_inference.model.runner.prompts import PromptCursor, VoiceEmbeddingCache, VoiceEmbeddings, sent
from voxfleet_inference.model.runner.slot_states import MOST_EVALUATIONS, CodecStates, RowStates, SlotStates, StepBatch
from voxfleet_inference.model.voxcpm import VoxCPM, frames_of

PRIMING_PATCHES = 2  # of a voice prompt, decoded and dropped, so that the first new patch joins on
VOICES_BYTES = 256 * 2**20
PIECE = {"cpu": 16, "cuda": 256}  # positions or patches, where they must be read in the same pieces whoever asks


@dataclass(frozen=True, slots=True)
class RunnerConfig:
    """How much a speaker holds. Behind the seats are as many empty ones as a step has rows, to fill up a batch."""

    slots: int
    positions: int
    rows: int = 1  # the most that take a step together
    is_deterministic: bool = False


@dataclass(slots=True)
class SlotState:
    """What the host keeps of a seat."""

    extent: Extent
    reading: PromptCursor
    evaluations: int


@dataclass(frozen=True, slots=True)
class Step:
    """A step that is computed and that no seat remembers yet."""

    rows: StepBatch
    before: RowStates
    hidden: Hidden
    memory: Tensor  # [rows, values], the audio decoder's
    latents: Tensor  # [rows, patch_size, feat_dim], in the model's dtype
    samples: Tensor  # [rows, patch_samples]
    next_is_last: Tensor  # [rows] bool


class ModelRunner:
    """The seats of one model on one device."""

    def __init__(self, model: VoxCPM, config: RunnerConfig, attend: Attend | None = None) -> None:
        self.model, self.config = model, config
        self.network, self.vae, self.device = model.network, model.vae, model.device
        self.is_on_cpu = self.device.type == "cpu"
        attend = attend or (attend_rows if self.is_on_cpu or config.is_deterministic else attend_padded)
        self.kv_caches = self._kv_caches(attend)
        self.slot_states, self.codec_states = self._make_states()
        self._piece = PIECE[self.device.type]
        self.voices = VoiceEmbeddingCache(self._embed, self.device, at_once=self._piece, limit_bytes=VOICES_BYTES)
        self.step_fn: Callable[[StepBatch, Tensor], PatchResult] = self.compute_step
        self._slot_states: dict[int, SlotState] = {}
        self._guidance: dict[int, Guidance] = {}

    @torch.inference_mode()
    def admit(self, slot: int, first: int, positions: int, prompt: Prompt, settings: DecodingSettings) -> None:
        """Give a prompt a seat and its own `positions` of the arenas from `first` on; nothing is read yet."""
        voice = None if prompt.latents is None or not len(prompt.latents) else self.voices.of(prompt.latents)
        guidance = self._guidance_of(settings)
        reading = PromptCursor(prompt.token_ids, voice, self.device)
        self._slot_states[slot] = SlotState(Extent(first, positions), reading, guidance.step_sizes.shape[1])
        silence = torch.zeros(self.model.config.patch_size, self.model.config.feat_dim, device=self.device)
        self.slot_states.begin(slot, first, voice.latents[-1] if voice else silence, guidance)
        self.codec_states.reset(slot)

    @torch.inference_mode()
    def prefill(self, slot: int, positions: int) -> None:
        """Read the next positions of a seat's prompt."""
        state = self._slot_states[slot]
        asked = min(state.reading.asked + positions, state.reading.positions)
        for count in self._pieces(state.reading, asked):
            self._read(slot, state, count)
        state.reading.asked = asked

    @torch.inference_mode()
    def step(self, slots: Sequence[int], noise: Tensor) -> PatchResult:
        """Turn noise `[rows, patch_size, feat_dim]` into each seat's next patch, and get ready for the one after."""
        noise = sent(noise, self.device).to(self.model.dtype)
        if not self.config.is_deterministic:
            return self._together(slots, noise)
        if self.is_on_cpu:  # one fixed batch shape: a batch filled up would cost a CPU its size in time
            return self._one_by_one(slots, noise)
        return self._filled_up(slots, noise)

    def release(self, slot: int) -> None:
        """Forget a seat; its state stays where it is until somebody else sits down."""
        self._slot_states.pop(slot, None)

    def free_memory(self) -> None:
        """Give up what is kept for speed alone."""
        self.voices.forget_all()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def compute_step(self, rows: StepBatch, noise: Tensor) -> PatchResult:
        """The whole step on the device: no waiting, no shape that depends on data."""
        return self._kept(self._computed(rows, noise))

    def decode_audio(self, rows: StepBatch, latents: Tensor) -> Tensor:
        """The patches' samples `[rows, patch_samples]`; needs nothing of what the language models do."""
        samples, memory = self._decoded(rows, latents)
        self.codec_states.scatter(rows, memory)
        return samples

    def lm_step(self, rows: StepBatch, states: RowStates, latents: Tensor) -> Tensor:
        """Let the language models hear the patches; returns whether the next one is the last, `[rows]`."""
        hidden, next_is_last = self._lm_states(rows, states, latents)
        self.slot_states.scatter(rows, states, hidden, latents, next_is_last)
        return next_is_last

    def rows_of(self, slots: Sequence[int]) -> StepBatch:
        """Look up what the host knows of these seats; a seat beyond the room's is an empty one."""
        states = [self._slot_states.get(slot) for slot in slots]
        extents = tuple(
            (each.extent.first, each.extent.length) if each else (self.empty_position(slot), 0)
            for slot, each in zip(slots, states, strict=True)
        )
        return StepBatch(
            sent(torch.tensor(slots), self.device),
            tuple(slots),
            extents,
            max((each.evaluations for each in states if each), default=0),
        )

    def empty_position(self, slot: int) -> int:
        """The one KV position of an empty seat."""
        return self.config.positions + slot - self.config.slots

    def _computed(self, rows: StepBatch, noise: Tensor) -> Step:
        states = self.slot_states.gather(rows)
        latents = self.network.sample_patch(noise, states.previous, states.hidden, states.guidance)
        samples, memory = self._decoded(rows, latents)
        hidden, next_is_last = self._lm_states(rows, states, latents)
        return Step(rows, states, hidden, memory, latents, samples, next_is_last)

    def _kept(self, step: Step) -> PatchResult:
        made = PatchResult(step.latents.float(), step.samples, step.before.next_is_last, step.next_is_last)
        self.codec_states.scatter(step.rows, step.memory)
        self.slot_states.scatter(step.rows, step.before, step.hidden, step.latents, step.next_is_last)
        return made

    def _decoded(self, rows: StepBatch, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Samples, and what the audio decoder remembers after them."""
        whole, memory = self.codec_states.gather(rows)
        return self.vae.decode(frames_of(latents.float()), memory), whole

    def _lm_states(self, rows: StepBatch, states: RowStates, latents: Tensor) -> tuple[Hidden, Tensor]:
        heard = self.network.embed_patches(latents[:, None])  # [rows, 1, hidden]
        metadata = AttentionMetadata.after(states.first, states.lengths, 1, rows.extents)
        hidden = self.network.forward_lms(heard[:, :0], heard, self.kv_caches, metadata)
        may_stop = states.steps >= SHORTEST_UTTERANCE_STEPS - 2
        return hidden, self.network.wants_to_stop(hidden.base) & may_stop

    def _together(self, slots: Sequence[int], noise: Tensor) -> PatchResult:
        self._check_capacity(slots)
        made = self.step_fn(self.rows_of(slots), noise)
        self._lengthen(slots)
        return made

    def _one_by_one(self, slots: Sequence[int], noise: Tensor) -> PatchResult:
        """One fixed batch shape; all of them are computed before any seat remembers."""
        self._check_capacity(slots)
        steps = [self._computed(self.rows_of([slot]), row[None]) for slot, row in zip(slots, noise, strict=True)]
        made = PatchResult.joined([self._kept(step) for step in steps])
        self._lengthen(slots)
        return made

    def _check_capacity(self, slots: Sequence[int]) -> None:
        for slot in slots:
            if slot in self._slot_states:
                self._slot_states[slot].extent.check_capacity(1)

    def _lengthen(self, slots: Sequence[int]) -> None:
        for slot in slots:
            if slot in self._slot_states:
                self._slot_states[slot].extent.length += 1

    def _filled_up(self, slots: Sequence[int], noise: Tensor) -> PatchResult:
        missing = self.config.rows - len(slots)
        empty = range(self.config.slots, self.config.slots + missing)
        made = self._together([*slots, *empty], torch.cat((noise, noise.new_zeros(missing, *noise.shape[1:]))))
        return made.first(len(slots))

    def _read(self, slot: int, state: SlotState, count: int) -> None:
        """Read `count` positions; behind the last one the seat is ready to speak."""
        extent, reading = state.extent, state.reading
        extent.check_capacity(count)
        token_ids, (begin, end) = reading.next(count)
        text = self.network.embed_text(token_ids)  # [1, t, hidden]
        audio = reading.voice.embedded(begin, end) if reading.voice and end > begin else text[:, :0]  # [1, p, hidden]
        here = slice(slot, slot + 1)
        metadata = AttentionMetadata.after(
            self.slot_states.first[here], self.slot_states.lengths[here], count, ((extent.first, extent.length),)
        )
        hidden = self.network.forward_lms(text, audio, self.kv_caches, metadata)
        if reading.read + count == reading.positions:
            self._prime(slot, reading.voice)
            self.slot_states.hidden_base[here], self.slot_states.hidden_residual[here] = hidden.base, hidden.residual
        self.slot_states.lengths[here] += count
        extent.length += count
        reading.read += count

    def _pieces(self, reading: PromptCursor, asked: int) -> Iterator[int]:
        """How to read up to what was asked: at once, or in pieces that depend on the prompt alone."""
        while self.config.is_deterministic and asked - reading.read >= self._piece:
            yield self._piece
        may_rest = self.config.is_deterministic and asked < reading.positions
        if reading.read < asked and not may_rest:
            yield asked - reading.read

    def _prime(self, slot: int, voice: VoiceEmbeddings | None) -> None:
        """Let the audio decoder hear the end of the voice, or remember what it was like."""
        if voice is None:
            return
        if voice.stream is None:
            tail = voice.latents[None, -PRIMING_PATCHES:].flatten(1, 2)  # [1, frames, feat_dim]
            self.codec_states.reset(slot)
            self.vae.decode(frames_of(tail.to(self.model.dtype).float()), self.codec_states.of(slot))
            voice.stream = self.codec_states.flat[slot].clone()
        self.codec_states.flat[slot] = voice.stream

    def _embed(self, latents: Tensor) -> Tensor:
        return self.network.embed_patches(latents.to(self.model.dtype))

    def _guidance_of(self, settings: DecodingSettings) -> Guidance:
        if settings.inference_timesteps not in self._guidance:
            guidance = self.network.feat_decoder.guidance(settings.inference_timesteps, 1.0)
            if guidance.step_sizes.shape[1] > MOST_EVALUATIONS:
                raise ValueError(f"inference_timesteps {settings.inference_timesteps}: at most {MOST_EVALUATIONS + 2}")
            self._guidance[settings.inference_timesteps] = guidance
        found = self._guidance[settings.inference_timesteps]
        return Guidance(found.time_vectors, found.step_sizes, torch.full_like(found.cfg_values, settings.cfg_value))

    def _kv_caches(self, attend: Attend) -> KvCaches:
        positions = self.config.positions + self.config.rows
        base, residual = (
            KvCache(shape, positions, self.device, self.model.dtype, attend, may_split=not self.config.is_deterministic)
            for shape in (self.model.config.base_lm, self.model.config.residual_lm)
        )
        return KvCaches(base, residual)

    @torch.inference_mode()
    def _make_states(self) -> tuple[SlotStates, CodecStates]:
        slots = self.config.slots + self.config.rows
        slot_states = SlotStates(self.model.config, slots, self.device, self.model.dtype)
        for slot in range(self.config.slots, slots):
            slot_states.first[slot], slot_states.growth[slot] = self.empty_position(slot), 0
        return slot_states, CodecStates(self.vae.decoder.start(1), slots)
