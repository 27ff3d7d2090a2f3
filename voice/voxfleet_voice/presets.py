"""Presets: how much of everything. `full` is the voice that ships, `smoke` runs the whole chain in two minutes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from voxfleet_voice.codec.audio_vae import VaeSizes


@dataclass(frozen=True, slots=True)
class Preset:
    """Amounts of data, steps, and sizes of networks."""

    seed: int = 1
    recording_shards: int = 22
    recording_seconds: float = 60.0  # a shard
    latent_shards: int = 120
    latent_seconds: float = 600.0  # a shard; 20 hours in all
    held_out_seconds: float = 200.0
    vae: VaeSizes = field(default_factory=VaeSizes)
    decoder_steps: int = 4_000
    encoder_steps: int = 3_000
    codec_batch: int = 4
    language_steps: int = 14_000
    language_batch: int = 32
    language_rate: float = 1.6e-3
    prompted_share: float = 0.6  # of the batches: their utterances follow a prompt, as those of a cloned voice do
    decay_share: float = 0.25  # of the language models' steps, at the end
    guided_share: float = 0.2  # of them, at the end
    guidance: float = 0.5
    held_out_utterances: int = 40


FULL: Final = Preset()
CONTINUED: Final = replace(
    FULL,
    seed=2,  # texts that the run before has not seen
    latent_shards=36,  # 6 hours
    decoder_steps=0,
    encoder_steps=1_500,
    language_steps=500,
    language_rate=8e-4,
    prompted_share=0.3,
    decay_share=0.8,
    guided_share=1.0,  # the network to go on from has been guided already
)
SMOKE: Final = replace(
    FULL,
    recording_shards=1,
    recording_seconds=20.0,
    latent_shards=1,
    latent_seconds=60.0,
    held_out_seconds=10.0,
    vae=VaeSizes(encoder_dim=4, decoder_dim=32),
    decoder_steps=20,
    encoder_steps=20,
    language_steps=20,
    language_batch=8,
    held_out_utterances=2,
)
PRESETS: Final[Mapping[str, Preset]] = {"full": FULL, "continued": CONTINUED, "smoke": SMOKE}
