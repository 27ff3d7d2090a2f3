"""Runs VoxCPM for many sequences at once: prefill the prompt of a slot, then step any slots together.

A step computes one patch (160 ms of audio in VoxCPM 1.5) for each row of a batch, in this order:

1. gather    the state of the rows' slots: both LMs' last hidden states, the previous patch, the solver's schedule
2. sample    refine noise into a patch of latents by flow matching, conditioned on hidden states and previous patch
3. decode    the patch to samples, continuing the streaming audio decoder's state
4. encode    the patch to an embedding, and run both LMs over it; their keys and values go into the KV caches
5. stop      predict from the new hidden state whether the next patch is the last
6. scatter   write hidden states, patch, decoder state and stop flag back to the slots

Step 3 and steps 4-5 do not depend on each other, so a GPU runs them on two streams (`cuda.graphs`).

Knows: the order of a step and the state between steps. Does not know: requests, queues, noise seeds or audio formats.
No method waits for the device. A call that runs out of memory can be repeated: slot state is written last, after
everything has been computed, and KV positions are overwritten with the same values.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from voxfleet_inference.model.layers.kv_cache import (
    Attend,
    AttentionMetadata,
    Extent,
    KvCache,
    attend_padded,
    attend_rows,
)
from voxfleet_inference.model.network import Hidden, KvCaches
from voxfleet_inference.model.runner.decoding import MIN_UTTERANCE_STEPS, DecodingSettings, PatchResult, Prompt
from voxfleet_inference.model.runner.prefill import PREFILL_CHUNK, PromptReader
from voxfleet_inference.model.runner.prompts import PromptCursor, VoiceEmbeddingCache, copy_to_device
from voxfleet_inference.model.runner.slot_states import CodecStates, PendingStep, RowStates, SlotStates, StepBatch
from voxfleet_inference.model.runner.solver_schedules import SolverSchedules
from voxfleet_inference.model.voxcpm import VoxCPM, frames_of

VOICE_CACHE_BYTES = 256 * 2**20


@dataclass(frozen=True, slots=True)
class RunnerConfig:
    """The capacity of a ModelRunner.

    `rows` padding slots and KV positions are allocated behind the assignable ones, to fill up a batch.
    """

    slots: int
    positions: int  # of each KV cache
    rows: int = 1  # largest batch of a step
    is_deterministic: bool = False


@dataclass(slots=True)
class AssignedSlot:
    """The host's bookkeeping for a slot that holds a sequence; its tensors are in SlotStates."""

    extent: Extent
    cursor: PromptCursor
    evaluations: int


class ModelRunner:
    """One model on one device with its slots and KV caches.

    The caller assigns slots and KV extents: `admit`, `prefill` until the prompt is read, `step` for each patch, then
    `release`. `step_fn` computes a batch; `cuda.optimize.capture_steps` replaces it by replayed CUDA graphs.
    """

    def __init__(self, model: VoxCPM, config: RunnerConfig, attend: Attend | None = None) -> None:
        self.model, self.config = model, config
        self.network, self.vae, self.device = model.network, model.vae, model.device
        self.is_on_cpu = self.device.type == "cpu"
        attend = attend or (attend_rows if self.is_on_cpu or config.is_deterministic else attend_padded)
        self.kv_caches = self._allocate_kv_caches(attend)
        self.slot_states, self.codec_states = self._allocate_states()
        self._prompt_reader = PromptReader(
            model, self.kv_caches, self.slot_states, self.codec_states, is_deterministic=config.is_deterministic
        )
        self.voice_cache = VoiceEmbeddingCache(
            self._embed_patches, self.device, group_size=PREFILL_CHUNK[self.device.type], limit_bytes=VOICE_CACHE_BYTES
        )
        self.step_fn: Callable[[StepBatch, Tensor], PatchResult] = self.compute_step
        self._assigned: dict[int, AssignedSlot] = {}
        self._schedules = SolverSchedules(self.network.feat_decoder)

    @torch.inference_mode()
    def admit(self, slot: int, first: int, positions: int, prompt: Prompt, settings: DecodingSettings) -> None:
        """Assign a slot and the KV extent `[first, first + positions)` to a prompt; nothing is read yet.

        Raises:
            ValueError: more timesteps than a slot has room for.
        """
        voice = None if prompt.latents is None or not len(prompt.latents) else self.voice_cache.get(prompt.latents)
        guidance = self._schedules.guidance(settings)
        cursor = PromptCursor(prompt.token_ids, voice, self.device)
        self._assigned[slot] = AssignedSlot(Extent(first, positions), cursor, guidance.step_sizes.shape[1])
        # The first patch is conditioned on the voice's last patch, or on zeros, as in the reference.
        silence = torch.zeros(self.model.config.patch_size, self.model.config.feat_dim, device=self.device)
        self.slot_states.assign(slot, first, voice.latents[-1] if voice else silence, guidance)
        self.codec_states.reset(slot)

    @torch.inference_mode()
    def prefill(self, slot: int, positions: int) -> None:
        """Read the next `positions` positions of a slot's prompt.

        Raises:
            ExtentFullError: the slot's extent has fewer free positions.
        """
        assigned = self._assigned[slot]
        self._prompt_reader.read(slot, assigned.extent, assigned.cursor, positions)

    @torch.inference_mode()
    def step(self, slots: Sequence[int], noise: Tensor) -> PatchResult:
        """Turn noise `[rows, patch_size, feat_dim]` into the next patch of each slot.

        Raises:
            ExtentFullError: a slot has no free KV position.
        """
        noise = copy_to_device(noise, self.device).to(self.model.dtype)
        if not self.config.is_deterministic:
            return self._step_batched(slots, noise)
        if self.is_on_cpu:  # rows one at a time: a padded batch would take a CPU as long as a full one
            return self._step_row_by_row(slots, noise)
        return self._step_padded(slots, noise)

    def release(self, slot: int) -> None:
        """Free a slot; its tensors keep their values until the slot is assigned again."""
        self._assigned.pop(slot, None)

    def free_memory(self) -> None:
        """Drop caches that exist for speed alone."""
        self.voice_cache.clear()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def compute_step(self, batch: StepBatch, noise: Tensor) -> PatchResult:
        """Compute a whole step on the device without waiting, in shapes that do not depend on data."""
        return self._commit(self._compute(batch, noise))

    def decode_audio(self, batch: StepBatch, latents: Tensor) -> Tensor:
        """Decode patches to samples `[rows, patch_samples]` and update the decoder states; independent of the LMs."""
        samples, codec_state = self._decode(batch, latents)
        self.codec_states.scatter(batch, codec_state)
        return samples

    def lm_step(self, batch: StepBatch, states: RowStates, latents: Tensor) -> Tensor:
        """Run the LMs over new patches and update the slots; returns whether the next patch is the last, `[rows]`."""
        hidden, next_is_last = self._run_lms(batch, states, latents)
        self.slot_states.scatter(batch, states, hidden, latents, next_is_last)
        return next_is_last

    def batch_of(self, slots: Sequence[int]) -> StepBatch:
        """Build the batch of these slots; slot numbers from `config.slots` on are padding slots."""
        assigned = [self._assigned.get(slot) for slot in slots]
        extents = tuple(
            (each.extent.first, each.extent.length) if each else (self.padding_position(slot), 0)
            for slot, each in zip(slots, assigned, strict=True)
        )
        return StepBatch(
            copy_to_device(torch.tensor(slots), self.device),
            tuple(slots),
            extents,
            max((each.evaluations for each in assigned if each), default=0),
        )

    def padding_position(self, slot: int) -> int:
        """Return the one KV position of a padding slot, behind those of sequences."""
        return self.config.positions + slot - self.config.slots

    def _compute(self, batch: StepBatch, noise: Tensor) -> PendingStep:
        states = self.slot_states.gather(batch)
        latents = self.network.sample_patch(noise, states.previous, states.hidden, states.guidance)  # as noise
        samples, codec_state = self._decode(batch, latents)
        hidden, next_is_last = self._run_lms(batch, states, latents)
        return PendingStep(batch, states, hidden, codec_state, latents, samples, next_is_last)

    def _commit(self, step: PendingStep) -> PatchResult:
        result = PatchResult(step.latents.float(), step.samples, step.before.next_is_last, step.next_is_last)
        self.codec_states.scatter(step.batch, step.codec_state)
        self.slot_states.scatter(step.batch, step.before, step.hidden, step.latents, step.next_is_last)
        return result

    def _decode(self, batch: StepBatch, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Return samples `[rows, patch_samples]` and the decoder states after them `[rows, values]`."""
        whole, state = self.codec_states.gather(batch)  # `state` is views of `whole`, which decoding updates in place
        return self.vae.decode(frames_of(latents.float()), state), whole

    def _run_lms(self, batch: StepBatch, states: RowStates, latents: Tensor) -> tuple[Hidden, Tensor]:
        embedded = self.network.embed_patches(latents[:, None])  # [rows, 1, hidden]
        metadata = AttentionMetadata.after(states.first, states.lengths, 1, batch.extents)
        hidden = self.network.forward_lms(embedded[:, :0], embedded, self.kv_caches, metadata)
        # This step computed patch `steps`, counted from 0, so an utterance that ends with the next has `steps + 2`.
        may_stop = states.steps >= MIN_UTTERANCE_STEPS - 2  # [rows] bool
        return hidden, self.network.predict_stop(hidden.base) & may_stop

    def _step_batched(self, slots: Sequence[int], noise: Tensor) -> PatchResult:
        self._check_capacity(slots)
        result = self.step_fn(self.batch_of(slots), noise)
        self._extend_lengths(slots)
        return result

    def _step_row_by_row(self, slots: Sequence[int], noise: Tensor) -> PatchResult:
        """Step in batches of one row; all rows are computed before the first slot is updated."""
        self._check_capacity(slots)
        steps = [self._compute(self.batch_of([slot]), row[None]) for slot, row in zip(slots, noise, strict=True)]
        result = PatchResult.concatenate([self._commit(step) for step in steps])
        self._extend_lengths(slots)
        return result

    def _step_padded(self, slots: Sequence[int], noise: Tensor) -> PatchResult:
        """Step in a batch of `config.rows` rows, filled up with padding slots."""
        missing = self.config.rows - len(slots)
        padding = range(self.config.slots, self.config.slots + missing)
        result = self._step_batched([*slots, *padding], torch.cat((noise, noise.new_zeros(missing, *noise.shape[1:]))))
        return result.first(len(slots))

    def _check_capacity(self, slots: Sequence[int]) -> None:
        for slot in slots:
            if slot in self._assigned:
                self._assigned[slot].extent.check_capacity(1)

    def _extend_lengths(self, slots: Sequence[int]) -> None:
        for slot in slots:
            if slot in self._assigned:
                self._assigned[slot].extent.length += 1

    def _embed_patches(self, latents: Tensor) -> Tensor:
        return self.network.embed_patches(latents.to(self.model.dtype))

    def _allocate_kv_caches(self, attend: Attend) -> KvCaches:
        positions = self.config.positions + self.config.rows  # one for each padding slot
        may_split_kv = not self.config.is_deterministic
        base, residual = (
            KvCache(shape, positions, self.device, self.model.dtype, attend, may_split_kv=may_split_kv)
            for shape in (self.model.config.base_lm, self.model.config.residual_lm)
        )
        return KvCaches(base, residual)

    @torch.inference_mode()
    def _allocate_states(self) -> tuple[SlotStates, CodecStates]:
        slots = self.config.slots + self.config.rows
        slot_states = SlotStates(self.model.config, slots, self.device, self.model.dtype)
        for slot in range(self.config.slots, slots):
            slot_states.first[slot], slot_states.position_increment[slot] = self.padding_position(slot), 0
        return slot_states, CodecStates(self.vae.decoder.initial_state(1), slots)
