"""What a sentence reads before it speaks, piece by piece, and the voices whose embeddings are kept.

Knows that a prompt is text, the audio start token and a voice's patches, in this order, and that patches are embedded
when they are first needed. Does not know seats or steps.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Embed = Callable[[Tensor], Tensor]  # [rows, patches, patch_size, feat_dim] to [rows, patches, hidden]

AUDIO_START_TOKEN = 101


def sent(values: Tensor, device: torch.device) -> Tensor:
    """A copy on the device, for which nobody waits; on a CPU it lies where PyTorch aligns it, unlike an array."""
    return values.clone() if device.type == "cpu" else values.pin_memory().to(device, non_blocking=True)


class VoiceEmbeddings:
    """A recording's patches and, as far as anyone needed them so far, their embeddings."""

    def __init__(self, latents: Tensor, embed: Embed, at_once: int) -> None:
        """`latents` are [patches, patch_size, feat_dim] float32; they are embedded `at_once` at a time, from the first.

        Groups begin at fixed places whoever reads, so that the same recording always has the same embeddings.
        """
        self.latents, self._embed, self._at_once = latents, embed, at_once
        self._groups: list[Tensor] = []  # [1, patches, hidden] each
        self.stream: Tensor | None = None  # [values], the audio decoder's memory behind it, once somebody needed it

    def __len__(self) -> int:
        """Patches."""
        return len(self.latents)

    @property
    def memory_bytes(self) -> int:
        """What it takes so far."""
        kept = (self.latents, *self._groups, *(() if self.stream is None else (self.stream,)))
        return sum(tensor.nbytes for tensor in kept)

    def embedded(self, begin: int, end: int) -> Tensor:
        """`[1, end - begin, hidden]`."""
        while len(self._groups) * self._at_once < end:
            start = len(self._groups) * self._at_once
            self._groups.append(self._embed(self.latents[None, start : start + self._at_once]))
        return torch.cat(self._groups, dim=1)[:, begin:end]


class VoiceEmbeddingCache:
    """The voices used last, found again by the content of their latents."""

    def __init__(self, embed: Embed, device: torch.device, *, at_once: int, limit_bytes: int) -> None:
        self._embed, self._device, self._at_once, self._limit_bytes = embed, device, at_once, limit_bytes
        self._kept: OrderedDict[bytes, VoiceEmbeddings] = OrderedDict()

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._kept)

    def forget_all(self) -> None:
        """Keep none; whoever speaks with one still has it."""
        self._kept.clear()

    def of(self, latents: Tensor) -> VoiceEmbeddings:
        """The voice with these latents `[patches, patch_size, feat_dim]` float32, which lie on the host."""
        key = hashlib.sha256(latents.contiguous().numpy().tobytes()).digest()
        if key not in self._kept:
            self._kept[key] = VoiceEmbeddings(sent(latents, self._device), self._embed, self._at_once)
        self._kept.move_to_end(key)
        while len(self._kept) > 1 and sum(voice.memory_bytes for voice in self._kept.values()) > self._limit_bytes:
            self._kept.popitem(last=False)
        return self._kept[key]


class PromptCursor:
    """How far a prompt has been read."""

    def __init__(self, token_ids: Sequence[int], voice: VoiceEmbeddings | None, device: torch.device) -> None:
        self.token_ids = sent(torch.tensor([[*token_ids, AUDIO_START_TOKEN]]), device)  # [1, tokens]
        self.voice = voice
        self.positions = self.token_ids.shape[1] + (len(voice) if voice else 0)
        self.read = 0  # positions that the language models have read
        self.asked = 0  # positions that they may read

    def next(self, positions: int) -> tuple[Tensor, tuple[int, int]]:
        """The next positions: token ids `[1, t]`, then patches from and to."""
        begin, end = self.read, self.read + positions
        tokens = self.token_ids.shape[1]
        return self.token_ids[:, begin:end], (max(begin - tokens, 0), max(end - tokens, 0))
