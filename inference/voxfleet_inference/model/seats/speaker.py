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
from voxfleet_inference.model.kv_cache import Attend, Extent, KvArena, Span, attend_padded, attend_rows
from voxfleet_inference.model.network import Arenas, Hidden
from voxfleet_inference.model.seats.decoding import SHORTEST_UTTERANCE_STEPS, DecodingSettings, PatchResult, Prompt
from voxfleet_inference.model.seats.pools import MOST_EVALUATIONS, Rows, RowStates, SeatPools, StreamPool
from voxfleet_inference.model.seats.prompts import Reading, Voice, Voices, sent
from voxfleet_inference.model.voxcpm import VoxCPM, frames_of

PRIMING_PATCHES = 2  # of a voice prompt, decoded and dropped, so that the first new patch joins on
VOICES_BYTES = 256 * 2**20
PIECE = {"cpu": 16, "cuda": 256}  # positions or patches, where they must be read in the same pieces whoever asks


@dataclass(frozen=True, slots=True)
class Room:
    """How much a speaker holds. Behind the seats are as many empty ones as a step has rows, to fill up a batch."""

    seats: int
    positions: int
    rows: int = 1  # the most that take a step together
    is_deterministic: bool = False


@dataclass(slots=True)
class Sitting:
    """What the host keeps of a seat."""

    extent: Extent
    reading: Reading
    evaluations: int


@dataclass(frozen=True, slots=True)
class Step:
    """A step that is computed and that no seat remembers yet."""

    rows: Rows
    before: RowStates
    hidden: Hidden
    memory: Tensor  # [rows, values], the audio decoder's
    latents: Tensor  # [rows, patch_size, feat_dim], in the model's dtype
    samples: Tensor  # [rows, patch_samples]
    next_is_last: Tensor  # [rows] bool


class Speaker:
    """The seats of one model on one device."""

    def __init__(self, model: VoxCPM, room: Room, attend: Attend | None = None) -> None:
        self.model, self.room = model, room
        self.network, self.vae, self.device = model.network, model.vae, model.device
        self.is_on_cpu = self.device.type == "cpu"
        attend = attend or (attend_rows if self.is_on_cpu or room.is_deterministic else attend_padded)
        self.arenas = self._arenas(attend)
        self.pools, self.streams = self._pools()
        self._piece = PIECE[self.device.type]
        self.voices = Voices(self._embed, self.device, at_once=self._piece, limit_bytes=VOICES_BYTES)
        self.advance: Callable[[Rows, Tensor], PatchResult] = self.take_step
        self._sitting: dict[int, Sitting] = {}
        self._guidance: dict[int, Guidance] = {}

    @torch.inference_mode()
    def admit(self, seat: int, first: int, positions: int, prompt: Prompt, settings: DecodingSettings) -> None:
        """Give a prompt a seat and its own `positions` of the arenas from `first` on; nothing is read yet."""
        voice = None if prompt.latents is None or not len(prompt.latents) else self.voices.of(prompt.latents)
        guidance = self._guidance_of(settings)
        reading = Reading(prompt.token_ids, voice, self.device)
        self._sitting[seat] = Sitting(Extent(first, positions), reading, guidance.step_sizes.shape[1])
        silence = torch.zeros(self.model.config.patch_size, self.model.config.feat_dim, device=self.device)
        self.pools.begin(seat, first, voice.latents[-1] if voice else silence, guidance)
        self.streams.forget(seat)

    @torch.inference_mode()
    def prefill(self, seat: int, positions: int) -> None:
        """Read the next positions of a seat's prompt."""
        sitting = self._sitting[seat]
        asked = min(sitting.reading.asked + positions, sitting.reading.positions)
        for count in self._pieces(sitting.reading, asked):
            self._read(seat, sitting, count)
        sitting.reading.asked = asked

    @torch.inference_mode()
    def step(self, seats: Sequence[int], noise: Tensor) -> PatchResult:
        """Turn noise `[rows, patch_size, feat_dim]` into each seat's next patch, and get ready for the one after."""
        noise = sent(noise, self.device).to(self.model.dtype)
        if not self.room.is_deterministic:
            return self._together(seats, noise)
        if self.is_on_cpu:  # one fixed batch shape: a batch filled up would cost a CPU its size in time
            return self._one_by_one(seats, noise)
        return self._filled_up(seats, noise)

    def release(self, seat: int) -> None:
        """Forget a seat; its state stays where it is until somebody else sits down."""
        self._sitting.pop(seat, None)

    def free_memory(self) -> None:
        """Give up what is kept for speed alone."""
        self.voices.forget_all()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def take_step(self, rows: Rows, noise: Tensor) -> PatchResult:
        """The whole step on the device: no waiting, no shape that depends on data."""
        return self._kept(self._computed(rows, noise))

    def sound(self, rows: Rows, latents: Tensor) -> Tensor:
        """The patches' samples `[rows, patch_samples]`; needs nothing of what the language models do."""
        samples, memory = self._decoded(rows, latents)
        self.streams.scatter(rows, memory)
        return samples

    def hear(self, rows: Rows, states: RowStates, latents: Tensor) -> Tensor:
        """Let the language models hear the patches; returns whether the next one is the last, `[rows]`."""
        hidden, next_is_last = self._heard(rows, states, latents)
        self.pools.scatter(rows, states, hidden, latents, next_is_last)
        return next_is_last

    def rows_of(self, seats: Sequence[int]) -> Rows:
        """Look up what the host knows of these seats; a seat beyond the room's is an empty one."""
        sittings = [self._sitting.get(seat) for seat in seats]
        extents = tuple(
            (each.extent.first, each.extent.length) if each else (self.empty_position(seat), 0)
            for seat, each in zip(seats, sittings, strict=True)
        )
        return Rows(
            sent(torch.tensor(seats), self.device),
            tuple(seats),
            extents,
            max((each.evaluations for each in sittings if each), default=0),
        )

    def empty_position(self, seat: int) -> int:
        """The one KV position of an empty seat."""
        return self.room.positions + seat - self.room.seats

    def _computed(self, rows: Rows, noise: Tensor) -> Step:
        states = self.pools.gather(rows)
        latents = self.network.draw(noise, states.previous, states.hidden, states.guidance)
        samples, memory = self._decoded(rows, latents)
        hidden, next_is_last = self._heard(rows, states, latents)
        return Step(rows, states, hidden, memory, latents, samples, next_is_last)

    def _kept(self, step: Step) -> PatchResult:
        made = PatchResult(step.latents.float(), step.samples, step.before.next_is_last, step.next_is_last)
        self.streams.scatter(step.rows, step.memory)
        self.pools.scatter(step.rows, step.before, step.hidden, step.latents, step.next_is_last)
        return made

    def _decoded(self, rows: Rows, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Samples, and what the audio decoder remembers after them."""
        whole, memory = self.streams.gather(rows)
        return self.vae.decode(frames_of(latents.float()), memory), whole

    def _heard(self, rows: Rows, states: RowStates, latents: Tensor) -> tuple[Hidden, Tensor]:
        heard = self.network.embed_patches(latents[:, None])  # [rows, 1, hidden]
        span = Span.after(states.first, states.lengths, 1, rows.extents)
        hidden = self.network.read(heard[:, :0], heard, self.arenas, span)
        may_stop = states.steps >= SHORTEST_UTTERANCE_STEPS - 2
        return hidden, self.network.wants_to_stop(hidden.base) & may_stop

    def _together(self, seats: Sequence[int], noise: Tensor) -> PatchResult:
        self._check_room(seats)
        made = self.advance(self.rows_of(seats), noise)
        self._lengthen(seats)
        return made

    def _one_by_one(self, seats: Sequence[int], noise: Tensor) -> PatchResult:
        """One fixed batch shape; all of them are computed before any seat remembers."""
        self._check_room(seats)
        steps = [self._computed(self.rows_of([seat]), row[None]) for seat, row in zip(seats, noise, strict=True)]
        made = PatchResult.joined([self._kept(step) for step in steps])
        self._lengthen(seats)
        return made

    def _check_room(self, seats: Sequence[int]) -> None:
        for seat in seats:
            if seat in self._sitting:
                self._sitting[seat].extent.check_room(1)

    def _lengthen(self, seats: Sequence[int]) -> None:
        for seat in seats:
            if seat in self._sitting:
                self._sitting[seat].extent.length += 1

    def _filled_up(self, seats: Sequence[int], noise: Tensor) -> PatchResult:
        missing = self.room.rows - len(seats)
        empty = range(self.room.seats, self.room.seats + missing)
        made = self._together([*seats, *empty], torch.cat((noise, noise.new_zeros(missing, *noise.shape[1:]))))
        return made.first(len(seats))

    def _read(self, seat: int, sitting: Sitting, count: int) -> None:
        """Read `count` positions; behind the last one the seat is ready to speak."""
        extent, reading = sitting.extent, sitting.reading
        extent.check_room(count)
        token_ids, (begin, end) = reading.next(count)
        text = self.network.embed_text(token_ids)  # [1, t, hidden]
        audio = reading.voice.embedded(begin, end) if reading.voice and end > begin else text[:, :0]  # [1, p, hidden]
        here = slice(seat, seat + 1)
        span = Span.after(self.pools.first[here], self.pools.lengths[here], count, ((extent.first, extent.length),))
        hidden = self.network.read(text, audio, self.arenas, span)
        if reading.read + count == reading.positions:
            self._prime(seat, reading.voice)
            self.pools.hidden_base[here], self.pools.hidden_residual[here] = hidden.base, hidden.residual
        self.pools.lengths[here] += count
        extent.length += count
        reading.read += count

    def _pieces(self, reading: Reading, asked: int) -> Iterator[int]:
        """How to read up to what was asked: at once, or in pieces that depend on the prompt alone."""
        while self.room.is_deterministic and asked - reading.read >= self._piece:
            yield self._piece
        may_rest = self.room.is_deterministic and asked < reading.positions
        if reading.read < asked and not may_rest:
            yield asked - reading.read

    def _prime(self, seat: int, voice: Voice | None) -> None:
        """Let the audio decoder hear the end of the voice, or remember what it was like."""
        if voice is None:
            return
        if voice.stream is None:
            tail = voice.latents[None, -PRIMING_PATCHES:].flatten(1, 2)  # [1, frames, feat_dim]
            self.streams.forget(seat)
            self.vae.decode(frames_of(tail.to(self.model.dtype).float()), self.streams.of(seat))
            voice.stream = self.streams.flat[seat].clone()
        self.streams.flat[seat] = voice.stream

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

    def _arenas(self, attend: Attend) -> Arenas:
        positions = self.room.positions + self.room.rows
        base, residual = (
            KvArena(shape, positions, self.device, self.model.dtype, attend, may_split=not self.room.is_deterministic)
            for shape in (self.model.config.base_lm, self.model.config.residual_lm)
        )
        return Arenas(base, residual)

    @torch.inference_mode()
    def _pools(self) -> tuple[SeatPools, StreamPool]:
        seats = self.room.seats + self.room.rows
        pools = SeatPools(self.model.config, seats, self.device, self.model.dtype)
        for seat in range(self.room.seats, seats):
            pools.first[seat], pools.growth[seat] = self.empty_position(seat), 0
        return pools, StreamPool(self.vae.decoder.start(1), seats)
