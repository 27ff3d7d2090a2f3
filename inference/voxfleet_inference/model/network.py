"""VoxCPM's network: its parts under their published names, and the operations that prefill and steps consist of.

The paper's names (arXiv:2509.24650): `base_lm` is TSLM, the text-semantic language model; `fsq_layer` its
semi-discrete bottleneck; `residual_lm` RALM, the residual acoustic language model; `feat_encoder` LocEnc;
`feat_decoder` LocDiT with its solver.

Knows: tensors `[rows, ...]`. Does not know: sequences, settings, audio or files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from voxfleet_inference.model.layers.flow_matching import FlowMatching, Guidance, LocalDit
from voxfleet_inference.model.layers.kv_cache import AttentionMetadata, KvCache
from voxfleet_inference.model.layers.linear import Linear
from voxfleet_inference.model.layers.transformer import RotaryTable, Transformer

if TYPE_CHECKING:
    from voxfleet_inference.model.config import ModelConfig
    from voxfleet_inference.model.shapes import TransformerShape


STOP_CLASS = 1  # of the stop head's two classes


@dataclass(frozen=True, slots=True)
class KvCaches:
    """The KV caches of the two language models; a sequence has the same extent in both."""

    base: KvCache
    residual: KvCache


@dataclass(frozen=True, slots=True)
class Hidden:
    """The last hidden states of both language models, `[rows, hidden]` each."""

    base: Tensor
    residual: Tensor


class LocalEncoder(nn.Module):
    """Encodes a patch as one embedding: the output at a special token in front of the patch's frames."""

    def __init__(self, shape: TransformerShape, feat_dim: int, rotary: RotaryTable) -> None:
        super().__init__()
        self.special_token = nn.Parameter(torch.empty(1, 1, 1, shape.hidden))
        self.in_proj = Linear(feat_dim, shape.hidden)
        self.encoder = Transformer(shape, rotary)

    def forward(self, patches: Tensor) -> Tensor:
        """Encode `[patches, patch, feat_dim]` as `[patches, hidden]`."""
        first = self.special_token[0].expand(patches.shape[0], 1, -1)  # [patches, 1, hidden]
        return self.encoder(torch.cat((first, self.in_proj(patches)), dim=1))[:, 0]  # type: ignore[no-any-return]


class ScalarQuantizer(nn.Module):
    """Finite scalar quantization (FSQ, arXiv:2309.15505) of a hidden state in `latent` dimensions.

    Each dimension is bounded by tanh and rounded to one of `2 scale + 1` values. A code on the edge between two values
    may fall to either side when a sum is ordered differently; then results differ by a whole code.
    """

    def __init__(self, hidden: int, latent: int, scale: int) -> None:
        super().__init__()
        self.in_proj = Linear(hidden, latent)
        self.out_proj = Linear(latent, hidden)
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """Quantize `[..., hidden]` and project back to the same shape."""
        codes = torch.round(torch.tanh(self.in_proj(x)) * self.scale) / self.scale  # [..., latent]
        return self.out_proj(codes)  # type: ignore[no-any-return]


class Network(nn.Module):
    """All parameters of model.safetensors."""

    def __init__(self, config: ModelConfig, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__()
        lm, dit = config.base_lm, config.local_dit
        tables = _RotaryTables(config, device, dtype)
        self.base_lm = Transformer(lm, tables.of(lm))
        self.residual_lm = Transformer(config.residual_lm, tables.of(config.residual_lm))
        encoder = config.local_encoder
        self.feat_encoder = LocalEncoder(encoder, config.feat_dim, tables.of(encoder))
        self.feat_decoder = FlowMatching(LocalDit(dit, config.feat_dim, tables.of(dit)))
        self.fsq_layer = ScalarQuantizer(
            lm.hidden, config.scalar_quantization_latent_dim, config.scalar_quantization_scale
        )
        self.enc_to_lm_proj = Linear(config.local_encoder.hidden, lm.hidden)
        self.lm_to_dit_proj = Linear(lm.hidden, dit.hidden)
        self.res_to_dit_proj = Linear(lm.hidden, dit.hidden)
        self.stop_proj = Linear(lm.hidden, lm.hidden)
        self.stop_head = Linear(lm.hidden, 2, bias=False)
        self.embedding_scale = config.embedding_scale

    def embed_text(self, token_ids: Tensor) -> Tensor:
        """Embed `[rows, tokens]` ids as `[rows, tokens, hidden]`."""
        embedded: Tensor = self.base_lm.embed_tokens(token_ids)
        return embedded * self.embedding_scale

    def embed_patches(self, patches: Tensor) -> Tensor:
        """Embed latents `[rows, patches, patch, feat_dim]` as `[rows, patches, hidden]`."""
        flat: Tensor = self.enc_to_lm_proj(self.feat_encoder(patches.flatten(0, 1)))
        return flat.view(*patches.shape[:2], flat.shape[-1])

    def forward_lms(self, text: Tensor, audio: Tensor, kv_caches: KvCaches, metadata: AttentionMetadata) -> Hidden:
        """Run both LMs over text embeddings `[rows, t, hidden]` followed by patch embeddings `[rows, p, hidden]`.

        Returns the last position's hidden states. Only audio positions are quantized, and only there the residual LM
        receives the unquantized patch embedding again, added to the quantized state.
        """
        hidden = self.base_lm(torch.cat((text, audio), dim=1), kv_caches.base, metadata)  # [rows, t + p, hidden]
        hidden_text, hidden_audio = hidden.split((text.shape[1], audio.shape[1]), dim=1)
        hidden_audio = self.fsq_layer(hidden_audio)  # [rows, p, hidden]
        last = torch.cat((hidden_text, hidden_audio), dim=1)[:, -1]  # [rows, hidden]
        residual = self.residual_lm(torch.cat((hidden_text, hidden_audio + audio), dim=1), kv_caches.residual, metadata)
        return Hidden(last, residual[:, -1])

    def sample_patch(self, noise: Tensor, previous: Tensor, hidden: Hidden, guidance: Guidance) -> Tensor:
        """Refine noise `[rows, patch, feat_dim]` into the patch that follows `previous`."""
        condition = self.lm_to_dit_proj(hidden.base) + self.res_to_dit_proj(hidden.residual)  # [rows, dit_hidden]
        return self.feat_decoder(noise, condition, previous, guidance)  # type: ignore[no-any-return]

    def predict_stop(self, lm_hidden: Tensor) -> Tensor:
        """Predict from `[rows, hidden]` whether the patch sampled from this state is the last, `[rows]` bool."""
        return self.stop_head(functional.silu(self.stop_proj(lm_hidden))).argmax(dim=-1) == STOP_CLASS  # type: ignore[no-any-return]


class _RotaryTables:
    """One rotary table per head size; the local transformers use the first rows of the LMs' table."""

    def __init__(self, config: ModelConfig, device: torch.device, dtype: torch.dtype) -> None:
        self._positions, self._device, self._dtype = config.max_length, device, dtype
        self._tables: dict[int, RotaryTable] = {}

    def of(self, shape: TransformerShape) -> RotaryTable:
        if shape.head_dim not in self._tables:
            self._tables[shape.head_dim] = RotaryTable(shape.rotary, self._positions, self._device, self._dtype)
        return self._tables[shape.head_dim]
