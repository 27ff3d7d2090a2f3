"""Reads the prompt of a slot, chunk by chunk: keys and values into the KV caches, the voice into the audio decoder.

Knows: how a prompt is divided, and what a slot's state is once its prompt is read. Does not know: which slots there
are, or how they step.
"""

from collections.abc import Iterator

from voxfleet_inference.model.layers.kv_cache import AttentionMetadata, Extent
from voxfleet_inference.model.network import KvCaches
from voxfleet_inference.model.runner.prompts import PromptCursor, VoiceEmbeddings
from voxfleet_inference.model.runner.slot_states import CodecStates, SlotStates
from voxfleet_inference.model.voxcpm import VoxCPM, frames_of

PRIMING_PATCHES = 2  # of the voice prompt, decoded and dropped, so that the first new patch joins without a click
# Positions per prefill chunk in deterministic mode (patches per embedding group always): kernels are chosen by shape,
# so chunks of a fixed size give the same bits however the scheduler divides a prompt.
PREFILL_CHUNK = {"cpu": 16, "cuda": 256}


class PromptReader:
    """Runs both LMs over prompts; the slots' states are the caller's.

    `read` that runs out of memory can be repeated: counters are written last.
    """

    def __init__(
        self,
        model: VoxCPM,
        kv_caches: KvCaches,
        slot_states: SlotStates,
        codec_states: CodecStates,
        *,
        is_deterministic: bool,
    ) -> None:
        self.model, self.network, self.vae = model, model.network, model.vae
        self.kv_caches, self.slot_states, self.codec_states = kv_caches, slot_states, codec_states
        self.is_deterministic, self._chunk = is_deterministic, PREFILL_CHUNK[model.device.type]

    def read(self, slot: int, extent: Extent, cursor: PromptCursor, positions: int) -> None:
        """Read the next `positions` positions of a slot's prompt.

        Raises:
            ExtentFullError: the extent has fewer free positions.
        """
        scheduled = min(cursor.scheduled + positions, cursor.positions)
        for count in self._chunks(cursor, scheduled):
            self._read_chunk(slot, extent, cursor, count)
        cursor.scheduled = scheduled

    def _chunks(self, cursor: PromptCursor, scheduled: int) -> Iterator[int]:
        """Yield chunk sizes up to `scheduled`; in deterministic mode they depend on the prompt alone."""
        while self.is_deterministic and scheduled - cursor.prefilled >= self._chunk:
            yield self._chunk
        may_defer = self.is_deterministic and scheduled < cursor.positions
        if cursor.prefilled < scheduled and not may_defer:
            yield scheduled - cursor.prefilled

    def _read_chunk(self, slot: int, extent: Extent, cursor: PromptCursor, count: int) -> None:
        """Read `count` positions; after the prompt's last position the slot is ready to step."""
        extent.check_capacity(count)
        token_ids, (begin, end) = cursor.next_chunk(count)
        text = self.network.embed_text(token_ids)  # [1, t, hidden]
        audio = cursor.voice.embeddings(begin, end) if cursor.voice and end > begin else text[:, :0]  # [1, p, hidden]
        here = slice(slot, slot + 1)  # a view instead of an index: no copy to the device
        metadata = AttentionMetadata.after(
            self.slot_states.first[here], self.slot_states.lengths[here], count, ((extent.first, extent.length),)
        )
        hidden = self.network.forward_lms(text, audio, self.kv_caches, metadata)
        if cursor.prefilled + count == cursor.positions:
            self._prime_codec(slot, cursor.voice)
            self.slot_states.hidden_base[here], self.slot_states.hidden_residual[here] = hidden.base, hidden.residual
        # Counters last: if anything above runs out of memory, the chunk can be read again.
        self.slot_states.lengths[here] += count
        extent.length += count
        cursor.prefilled += count

    def _prime_codec(self, slot: int, voice: VoiceEmbeddings | None) -> None:
        """Prime the decoder state with the voice prompt's last patches, or restore the cached state."""
        if voice is None:
            return
        if voice.codec_state is None:
            tail = voice.latents[None, -PRIMING_PATCHES:].flatten(1, 2)  # [1, frames, feat_dim]
            self.codec_states.reset(slot)
            self.vae.decode(frames_of(tail.to(self.model.dtype).float()), self.codec_states.view(slot))
            voice.codec_state = self.codec_states.flat[slot].clone()
        self.codec_states.flat[slot] = voice.codec_state
