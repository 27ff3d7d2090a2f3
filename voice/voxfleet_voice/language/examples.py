"""Utterances as the language models see them: token ids, patches, and what only training knows.

Knows: how a spoken text becomes an example, and examples become a padded batch.
Does not know: which examples, networks, losses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from voxfleet_voice.corpus.latents import SpokenText
from voxfleet_voice.language.network import AUDIO_START, Sequences
from voxfleet_voice.teacher.hibari_voice import Floats

PATCH: Final = 4
_FINAL_MARKS: Final = (".", "?", "!")


@dataclass(frozen=True, slots=True)
class Example:
    """One utterance."""

    tokens: NDArray[np.int64]  # [text + 1], the audio start token behind the text
    patches: Floats  # [patches, 4, 32]
    phones: NDArray[np.int64]  # [patches, 4]
    pointers: NDArray[np.int64]  # [patches, 12], the token being spoken in each sub-frame
    has_final_mark: bool  # its text may stand directly before another
    prompt_patches: int = 0  # the first ones, which are a prompt: seen, and not trained on

    def __len__(self) -> int:
        """Return the number of positions."""
        return len(self.tokens) + len(self.patches)


@dataclass(frozen=True, slots=True)
class Batch:
    """Examples side by side; everything but the sequences has one row per patch, in their order."""

    sequences: Sequences
    phones: Tensor  # [patches, 4]
    is_last: Tensor  # [patches], 1 for an utterance's last patch
    attention: Tensor  # [patches, longest text], the share of each token in this patch's time
    utterances: Tensor  # [patches], the row of each patch's utterance
    is_target: Tensor  # [patches], False for the patches of a prompt


def example_of(spoken: SpokenText, token_ids: Sequence[int], phone_classes: Mapping[int, int]) -> Example:
    """Fill up to whole patches by the last frame, which is silent."""
    more = -len(spoken.latents) % PATCH
    latents = np.pad(spoken.latents.astype(np.float32), ((0, more), (0, 0)), mode="edge")
    phones = np.pad([phone_classes[int(phone)] for phone in spoken.phones], (0, more), mode="edge")
    pointers = np.pad(spoken.pointers, ((0, more), (0, 0)), mode="edge") + 1  # the word mark stands in front
    return Example(
        np.array([*token_ids, AUDIO_START]),
        latents.reshape(-1, PATCH, latents.shape[1]),
        phones.reshape(-1, PATCH),
        pointers.reshape(len(latents) // PATCH, -1).astype(np.int64),
        spoken.written[-1:] in _FINAL_MARKS,
    )


def prompted(prompt: Example, target: Example) -> Example:
    """Put a prompt before an utterance as the server does: text directly before text, patches before patches."""
    text = np.concatenate([prompt.tokens[:-1], target.tokens[1:]])  # one word mark in front, one audio start behind
    return Example(
        text,
        np.concatenate([prompt.patches, target.patches]),
        np.concatenate([prompt.phones, target.phones]),
        np.concatenate([prompt.pointers, target.pointers + len(prompt.tokens) - 2]),
        target.has_final_mark,
        len(prompt.patches),
    )


def collate(examples: Sequence[Example]) -> Batch:
    """Put examples side by side, padded behind."""
    rows, length = len(examples), max(map(len, examples))
    longest_text = max(len(example.tokens) for example in examples)
    tokens = torch.zeros(rows, length, dtype=torch.long)
    is_text, is_patch = torch.zeros(rows, length, dtype=torch.bool), torch.zeros(rows, length, dtype=torch.bool)
    for row, example in enumerate(examples):
        text = len(example.tokens)
        tokens[row, :text] = torch.from_numpy(example.tokens)
        is_text[row, :text] = True
        is_patch[row, text : len(example)] = True
    counts = torch.tensor([len(example.patches) for example in examples])
    is_target = torch.cat([torch.arange(len(each.patches)) >= each.prompt_patches for each in examples])
    is_last = torch.zeros(int(counts.sum()), dtype=torch.long)
    is_last[counts.cumsum(0) - 1] = 1
    patches, phones, pointers = (
        torch.from_numpy(np.concatenate([getattr(example, name) for example in examples]))
        for name in ("patches", "phones", "pointers")
    )
    return Batch(
        Sequences(tokens, is_text, is_patch, patches.float()),
        phones,
        is_last,
        attention_targets(pointers, longest_text),
        torch.repeat_interleave(torch.arange(rows), counts),
        is_target,
    )


def attention_targets(pointers: Tensor, tokens: int) -> Tensor:
    """Return where a patch should look: [patches, 12] -> [patches, tokens], blurred by one token to either side."""
    share = functional.one_hot(pointers, tokens).float().mean(1)
    behind, ahead = functional.pad(share, (1, 0))[:, :-1], functional.pad(share, (0, 1))[:, 1:]
    blurred = 0.5 * share + 0.25 * behind + 0.25 * ahead
    return blurred / blurred.sum(1, keepdim=True)
