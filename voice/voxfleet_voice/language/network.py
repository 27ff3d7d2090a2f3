"""VoxCPM 1.5's network in small: base and residual language model, LocEnc, LocDiT. Parameter names as published.

Knows: how one utterance's text and patches run through all parts at once, the true patches as history.
Does not know: losses, or how a patch is sampled.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from voxfleet_voice.language.transformer import Stack, StackSizes

AUDIO_START: Final = 101  # the token behind the text, published
_TIME_SCALE: Final = 1000.0
_LONGEST_PERIOD: Final = 10_000.0


@dataclass(frozen=True, slots=True)
class NetworkSizes:
    """Sizes of all parts."""

    vocabulary: int
    hidden: int = 192
    intermediate: int = 512
    heads: int = 6
    kv_heads: int = 2
    base_layers: int = 4
    residual_layers: int = 1
    local_hidden: int = 256  # LocEnc and LocDiT: a patch of 4 x 32 numbers has to pass
    local_intermediate: int = 512
    encoder_layers: int = 1
    dit_layers: int = 2
    patch: int = 4
    latents: int = 32
    quantized: int = 64
    levels: int = 9

    @property
    def head_dim(self) -> int:
        """Width of a head, the same in all stacks, as the published configuration implies."""
        return self.hidden // self.heads

    def language(self, layers: int) -> StackSizes:
        """Return the sizes of a language model."""
        return StackSizes(self.hidden, self.intermediate, self.heads, self.kv_heads, self.head_dim, layers)

    def local(self, layers: int) -> StackSizes:
        """Return the sizes of LocEnc or LocDiT."""
        heads = self.local_hidden // self.head_dim
        return StackSizes(self.local_hidden, self.local_intermediate, heads, self.kv_heads, self.head_dim, layers)


class LocEnc(nn.Module):
    """A patch -> one vector."""

    def __init__(self, sizes: NetworkSizes) -> None:
        """Make a stack without causality, read at its special token."""
        super().__init__()
        self.special_token = nn.Parameter(torch.randn(1, 1, 1, sizes.local_hidden))
        self.in_proj = nn.Linear(sizes.latents, sizes.local_hidden)
        self.encoder = Stack(sizes.local(sizes.encoder_layers))

    def forward(self, patches: Tensor) -> Tensor:
        """[patches, 4, 32] -> [patches, local_hidden]."""
        tokens = torch.cat((self.special_token[0].expand(len(patches), 1, -1), self.in_proj(patches)), 1)
        hidden: Tensor = self.encoder(tokens, is_causal=False, outputs=slice(0, 1))[0]
        return hidden[:, 0]


class TimeMlp(nn.Module):
    """A time -> one vector."""

    def __init__(self, width: int) -> None:
        """Make two linear layers."""
        super().__init__()
        self.linear_1 = nn.Linear(width, width)
        self.linear_2 = nn.Linear(width, width)

    def forward(self, time: Tensor) -> Tensor:
        """[batch] between 0 and 1 -> [batch, width]."""
        half = self.linear_1.in_features // 2
        rates = torch.exp(torch.arange(half) * (-math.log(_LONGEST_PERIOD) / (half - 1)))
        angles = _TIME_SCALE * time[:, None] * rates
        embedded: Tensor = self.linear_2(functional.silu(self.linear_1(torch.cat((angles.sin(), angles.cos()), -1))))
        return embedded


class LocDit(nn.Module):
    """The velocity of a noisy patch, given the patch before it and what the language models want."""

    def __init__(self, sizes: NetworkSizes) -> None:
        """Make a stack without causality over [wanted, patch before, noisy patch]."""
        super().__init__()
        self.patch = sizes.patch
        self.in_proj = nn.Linear(sizes.latents, sizes.local_hidden)
        self.cond_proj = nn.Linear(sizes.latents, sizes.local_hidden)
        self.out_proj = nn.Linear(sizes.local_hidden, sizes.latents)
        self.time_mlp = TimeMlp(sizes.local_hidden)
        self.delta_time_mlp = TimeMlp(sizes.local_hidden)
        self.decoder = Stack(sizes.local(sizes.dit_layers))

    def forward(self, noisy: Tensor, wanted: Tensor, time: Tensor, before: Tensor) -> Tensor:
        """[batch, 4, 32], [batch, local_hidden], [batch], [batch, 4, 32] -> velocities [batch, 4, 32]."""
        first = wanted + self.time_mlp(time) + self.delta_time_mlp(torch.zeros(1))
        tokens = torch.cat((first[:, None], self.cond_proj(before), self.in_proj(noisy)), 1)  # [batch, 9, local_hidden]
        hidden, _ = self.decoder(tokens, is_causal=False, outputs=slice(-self.patch, None))
        velocity: Tensor = self.out_proj(hidden)
        return velocity


class FlowDecoder(nn.Module):
    """LocDiT under its published name."""

    def __init__(self, sizes: NetworkSizes) -> None:
        """Make it."""
        super().__init__()
        self.estimator = LocDit(sizes)


class Quantizer(nn.Module):
    """Finite scalar quantization with straight-through gradients."""

    def __init__(self, sizes: NetworkSizes) -> None:
        """Make the projections around it."""
        super().__init__()
        self.levels = sizes.levels
        self.in_proj = nn.Linear(sizes.hidden, sizes.quantized)
        self.out_proj = nn.Linear(sizes.quantized, sizes.hidden)

    def forward(self, x: Tensor) -> Tensor:
        """[..., hidden], the same shape comes out."""
        bounded = torch.tanh(self.in_proj(x))
        rounded = torch.round(bounded * self.levels) / self.levels
        quantized: Tensor = self.out_proj(bounded + (rounded - bounded).detach())
        return quantized


@dataclass(frozen=True, slots=True)
class Sequences:
    """Utterances side by side: text, then patches, then padding."""

    tokens: Tensor  # [batch, length], 0 where there is no text
    is_text: Tensor  # [batch, length], bool
    is_patch: Tensor  # [batch, length], bool
    patches: Tensor  # [patches, 4, 32], in the order of is_patch


@dataclass(frozen=True, slots=True)
class Predictions:
    """What the network makes of the position before each patch."""

    wanted: Tensor  # [patches, local_hidden], what enters LocDiT
    stop: Tensor  # [patches, 2], logits of going on and of stopping behind this patch
    before: Tensor  # [patches, 4, 32], the patch before, zeros for the first
    text_scores: list[Tensor]  # per layer of the base model: [patches, length], scores of the first head


class VoiceNetwork(nn.Module):
    """All parts that model.safetensors holds."""

    def __init__(self, sizes: NetworkSizes) -> None:
        """Draw initial weights from torch's global generator."""
        super().__init__()
        self.sizes = sizes
        self.base_lm = Stack(sizes.language(sizes.base_layers), sizes.vocabulary)
        self.residual_lm = Stack(sizes.language(sizes.residual_layers))
        self.feat_encoder = LocEnc(sizes)
        self.feat_decoder = FlowDecoder(sizes)
        self.fsq_layer = Quantizer(sizes)
        self.enc_to_lm_proj = nn.Linear(sizes.local_hidden, sizes.hidden)
        self.lm_to_dit_proj = nn.Linear(sizes.hidden, sizes.local_hidden)
        self.res_to_dit_proj = nn.Linear(sizes.hidden, sizes.local_hidden)
        self.stop_proj = nn.Linear(sizes.hidden, sizes.hidden)
        self.stop_head = nn.Linear(sizes.hidden, 2, bias=False)
        _draw_weights(self)

    def forward(self, sequences: Sequences) -> Predictions:
        """Run all positions at once."""
        is_patch = sequences.is_patch
        embedded = self.enc_to_lm_proj(self.feat_encoder(sequences.patches))  # [patches, hidden]
        patches = torch.zeros(*is_patch.shape, self.sizes.hidden).masked_scatter(is_patch[..., None], embedded)
        text = self.base_lm.embed_tokens(sequences.tokens) * sequences.is_text[..., None]
        hidden, scores = self.base_lm(text + patches, is_causal=True)
        hidden = torch.where(is_patch[..., None], self.fsq_layer(hidden), hidden)
        residual, _ = self.residual_lm(hidden + patches, is_causal=True)
        predicts = is_patch.roll(-1, 1)  # the position before each patch; the first one is text, so nothing wraps
        base, fine = hidden[predicts], residual[predicts]  # [patches, hidden]
        return Predictions(
            self.lm_to_dit_proj(base) + self.res_to_dit_proj(fine),
            self.stop_head(functional.silu(self.stop_proj(base))),
            self._before(sequences),
            [each[predicts] for each in scores],
        )

    def _before(self, sequences: Sequences) -> Tensor:
        """Return the patch before each: they lie one behind the other, an utterance's first follows text."""
        is_first = (sequences.is_patch & ~sequences.is_patch.roll(1, 1))[sequences.is_patch]
        return sequences.patches.roll(1, 0) * ~is_first[:, None, None]


def _draw_weights(network: VoiceNetwork) -> None:
    """Matrices with a gain of 0.8, smaller where a layer adds to its residual, so that early steps are calm."""
    gains = {"o_proj": 0.3, "down_proj": 0.3, "estimator.out_proj": 0.1}
    for name, parameter in network.named_parameters():
        if parameter.dim() != 2:  # noqa: PLR2004 - matrices only
            continue
        gain = next((gain for part, gain in gains.items() if part in name), 1.0)
        deviation = 0.5 if "embed" in name else 0.8 * parameter.shape[1] ** -0.5
        nn.init.normal_(parameter, std=deviation * gain)
