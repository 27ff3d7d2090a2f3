"""VoxCPM as the engine uses it: prefill a sentence, then step until it ends.

Knows the order of a step and what a sentence keeps between steps. Does not know requests, batches, noise seeds or
sound formats. No method waits for the device. Order of a step: refine noise into a patch, decode it to samples, let
the language models hear the patch, and learn from what they now think whether the next patch is the last.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from voxfleet_inference.audio.vae import AudioVae, StreamMemory
from voxfleet_inference.model.config import ModelConfig
from voxfleet_inference.model.decoding import (
    SHORTEST_UTTERANCE_STEPS,
    Decoding,
    DecodingSettings,
    PatchResult,
    Prompt,
)
from voxfleet_inference.model.kv_cache import KvCache
from voxfleet_inference.model.network import Caches, Network
from voxfleet_inference.text.tokenizer import Tokenizer

AUDIO_START_TOKEN = 101
PRIMING_PATCHES = 2  # of a voice prompt, decoded and dropped, so that the first new patch joins on


class PromptTooLongError(ValueError):
    """A sentence that could never fit the model's positions."""


class VoxCPM:
    """A loaded model on one device. Every tensor it takes or gives begins with `rows`; prefill makes one row."""

    def __init__(self, config: ModelConfig, tokenizer: Tokenizer, network: Network, vae: AudioVae) -> None:
        self.config, self.tokenizer, self.network, self.vae = config, tokenizer, network, vae
        self.device, self.dtype = network.stop_head.weight.device, network.stop_head.weight.dtype

    @property
    def patch_samples(self) -> int:
        """Samples of one patch."""
        return self.config.patch_samples

    @property
    def patches_per_second(self) -> float:
        """Steps that one second of speech takes."""
        return self.config.patches_per_second

    @torch.inference_mode()
    def prefill(self, prompt: Prompt, settings: DecodingSettings, steps: int) -> Decoding:
        """Read a prompt and reserve room for `steps` patches; raises PromptTooLongError if they never fit."""
        self._check_room(prompt, steps)
        caches = self._caches(rows=1, capacity=prompt.positions + steps)
        patches = self._prompt_patches(prompt)  # [1, patches, patch_size, feat_dim], float32
        audio = self.network.embed_patches(patches.to(self.dtype))  # [1, patches, hidden]
        hidden = self.network.read(self._embedded_text(prompt.token_ids), audio, caches)
        return Decoding(
            caches=caches,
            hidden=hidden,
            previous=self._newest(patches).to(self.dtype),
            guidance=self.network.feat_decoder.guidance(settings.inference_timesteps, settings.cfg_value),
            memory=self._primed_memory(patches),
            steps=torch.zeros(1, dtype=torch.int64, device=self.device),
            next_is_last=torch.zeros(1, dtype=torch.bool, device=self.device),
        )

    @torch.inference_mode()
    def step(self, decoding: Decoding, noise: Tensor) -> PatchResult:
        """Turn noise `[rows, patch_size, feat_dim]` into each row's next patch, and get ready for the one after."""
        noise = noise.to(self.device, self.dtype)
        latents = self.network.draw(noise, decoding.previous, decoding.hidden, decoding.guidance)
        samples = self.vae.decode(frames_of(latents.float()), decoding.memory)  # [rows, patch_samples]
        is_last = decoding.next_is_last
        self._hear(decoding, latents)
        return PatchResult(latents.float(), samples, is_last, decoding.next_is_last)

    @torch.inference_mode()
    def encode_prompt_audio(self, samples: Tensor) -> Tensor:
        """Mono samples `[n]` at the model's rate to latents `[patches, patch_size, feat_dim]` float32.

        A recording that is no whole number of patches is padded at its beginning: its end is what speech continues.
        """
        padding = -len(samples) % self.patch_samples
        whole = functional.pad(samples.to(self.device, torch.float32), (padding, 0))
        latents = self.vae.encode(whole[None])[0]  # [feat_dim, frames]
        return latents.T.reshape(-1, self.config.patch_size, self.config.feat_dim)

    def _hear(self, decoding: Decoding, latents: Tensor) -> None:
        heard = self.network.embed_patches(latents[:, None])  # [rows, 1, hidden]
        decoding.hidden = self.network.read(heard[:, :0], heard, decoding.caches)
        decoding.previous = latents
        decoding.steps = decoding.steps + 1
        may_stop = decoding.steps >= SHORTEST_UTTERANCE_STEPS - 1
        decoding.next_is_last = self.network.wants_to_stop(decoding.hidden.base) & may_stop

    def _check_room(self, prompt: Prompt, steps: int) -> None:
        if prompt.positions + steps > self.config.max_length:
            raise PromptTooLongError(
                f"the sentence needs {prompt.positions} positions and up to {steps} steps, the model has"
                f" {self.config.max_length} in all: shorten the text or the voice prompt"
            )

    def _caches(self, rows: int, capacity: int) -> Caches:
        shapes = (self.config.base_lm, self.config.residual_lm)
        base, residual = (KvCache(shape, rows, capacity, self.device, self.dtype) for shape in shapes)
        return Caches(base, residual)

    def _embedded_text(self, token_ids: Sequence[int]) -> Tensor:
        ids = torch.tensor([[*token_ids, AUDIO_START_TOKEN]], device=self.device)  # [1, tokens]
        return self.network.embed_text(ids)  # [1, tokens, hidden]

    def _prompt_patches(self, prompt: Prompt) -> Tensor:
        if prompt.latents is None:
            return torch.zeros(1, 0, self.config.patch_size, self.config.feat_dim, device=self.device)
        return prompt.latents.to(self.device, torch.float32)[None]

    @staticmethod
    def _newest(patches: Tensor) -> Tensor:
        """The last patch `[rows, patch_size, feat_dim]`, or silence where there is none."""
        return patches[:, -1] if patches.shape[1] else patches.new_zeros(patches.shape[0], *patches.shape[2:])

    def _primed_memory(self, patches: Tensor) -> StreamMemory:
        memory = self.vae.decoder.start(patches.shape[0])
        if patches.shape[1]:
            tail = patches[:, -PRIMING_PATCHES:].flatten(1, 2)  # [rows, frames, feat_dim]
            self.vae.decode(frames_of(tail.to(self.dtype).float()), memory)
        return memory


def frames_of(latents: Tensor) -> Tensor:
    """Latents `[rows, frames, feat_dim]` as the audio decoder takes them: `[rows, feat_dim, frames]`."""
    return latents.transpose(1, 2)
