"""Prefill state: how far a prompt has been read, and the cache of voice embeddings.

Knows: a prompt is text, the audio start token and a voice's patches, in this order; patches are embedded when they are
first read. Does not know: slots or steps.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Embed = Callable[[Tensor], Tensor]  # [rows, patches, patch_size, feat_dim] to [rows, patches, hidden]

AUDIO_START_TOKEN = 101  # <|audio_start|> of the published tokenizer


def copy_to_device(values: Tensor, device: torch.device) -> Tensor:
    """Copy a host tensor to the device without waiting for the copy.

    On a CPU the clone lies where PyTorch's allocator aligns it; an array that came from numpy may not be aligned.
    """
    return values.clone() if device.type == "cpu" else values.pin_memory().to(device, non_blocking=True)


class VoiceEmbeddings:
    """The patches of a recording and the embeddings of those that have been read so far."""

    def __init__(self, latents: Tensor, embed: Embed, group_size: int) -> None:
        """Embed `latents` `[patches, patch_size, feat_dim]` float32 lazily, in groups of `group_size` patches.

        Groups begin at fixed patches whatever range is read, so that a recording always has the same embeddings.
        """
        self.latents, self._embed, self._group_size = latents, embed, group_size
        self._groups: list[Tensor] = []  # [1, patches, hidden] each
        self.codec_state: Tensor | None = None  # [values], the audio decoder's after this voice; filled at first use

    def __len__(self) -> int:
        """Return the number of patches."""
        return len(self.latents)

    @property
    def memory_bytes(self) -> int:
        """Bytes that the voice takes so far."""
        tensors = (self.latents, *self._groups, *(() if self.codec_state is None else (self.codec_state,)))
        return sum(tensor.nbytes for tensor in tensors)

    def embeddings(self, begin: int, end: int) -> Tensor:
        """Return the embeddings of patches `begin` to `end`, `[1, end - begin, hidden]`."""
        while len(self._groups) * self._group_size < end:
            start = len(self._groups) * self._group_size
            self._groups.append(self._embed(self.latents[None, start : start + self._group_size]))
        return torch.cat(self._groups, dim=1)[:, begin:end]


class VoiceEmbeddingCache:
    """An LRU cache of voices, keyed by the content of their latents."""

    def __init__(self, embed: Embed, device: torch.device, *, group_size: int, limit_bytes: int) -> None:
        self._embed, self._device, self._group_size, self._limit_bytes = embed, device, group_size, limit_bytes
        self._entries: OrderedDict[bytes, VoiceEmbeddings] = OrderedDict()

    def __len__(self) -> int:
        """Return the number of cached voices."""
        return len(self._entries)

    def clear(self) -> None:
        """Drop all entries; sequences that use one keep a reference to it."""
        self._entries.clear()

    def get(self, latents: Tensor) -> VoiceEmbeddings:
        """Return the voice with these latents `[patches, patch_size, feat_dim]` float32, which are on the host."""
        key = hashlib.sha256(latents.contiguous().numpy().tobytes()).digest()
        if key not in self._entries:
            self._entries[key] = VoiceEmbeddings(copy_to_device(latents, self._device), self._embed, self._group_size)
        self._entries.move_to_end(key)
        # Entries grow as they are read, so the limit is checked at every use; the newest entry always stays.
        while len(self._entries) > 1 and sum(each.memory_bytes for each in self._entries.values()) > self._limit_bytes:
            self._entries.popitem(last=False)
        return self._entries[key]


class PromptCursor:
    """How far a prompt has been prefilled."""

    def __init__(self, token_ids: Sequence[int], voice: VoiceEmbeddings | None, device: torch.device) -> None:
        self.token_ids = copy_to_device(torch.tensor([[*token_ids, AUDIO_START_TOKEN]]), device)  # [1, tokens]
        self.voice = voice
        self.positions = self.token_ids.shape[1] + (len(voice) if voice else 0)
        self.prefilled = 0  # positions that the language models have read
        self.scheduled = 0  # positions that the scheduler has granted so far

    def next_chunk(self, positions: int) -> tuple[Tensor, tuple[int, int]]:
        """Return the next positions: token ids `[1, t]`, then the range of patches."""
        begin, end = self.prefilled, self.prefilled + positions
        tokens = self.token_ids.shape[1]
        return self.token_ids[:, begin:end], (max(begin - tokens, 0), max(end - tokens, 0))
