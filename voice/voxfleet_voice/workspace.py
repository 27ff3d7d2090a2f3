"""Where a training run keeps its files, all in one folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from voxfleet_voice.corpus.shards import ShardSet
from voxfleet_voice.presets import Preset


@dataclass(frozen=True, slots=True)
class Workspace:
    """Paths of a run, and the preset that it follows."""

    folder: Path
    preset: Preset

    @property
    def teacher(self) -> Path:
        """Where the teacher's model with durations lies."""
        return self.folder

    @property
    def basis(self) -> Path:
        """The latents' basis."""
        return self.folder / "basis.npz"

    @property
    def decoder(self) -> Path:
        """The training checkpoint of the codec's decoder."""
        return self.folder / "decoder.pt"

    @property
    def encoder(self) -> Path:
        """The training checkpoint of the codec's encoder, decoder included."""
        return self.folder / "encoder.pt"

    @property
    def language(self) -> Path:
        """The training checkpoint of the language models."""
        return self.folder / "language.pt"

    @property
    def checkpoint(self) -> Path:
        """The folder that a server loads."""
        return self.folder / "checkpoint"

    @property
    def recordings(self) -> ShardSet:
        """Speech for the codec."""
        preset = self.preset
        return ShardSet(self.folder / "recordings", preset.recording_shards, preset.recording_seconds, preset.seed)

    @property
    def latents(self) -> ShardSet:
        """Speech for the language models."""
        preset = self.preset
        return ShardSet(self.folder / "latents", preset.latent_shards, preset.latent_seconds, preset.seed + 1)

    @property
    def held_out_recordings(self) -> ShardSet:
        """Speech that the codec never trains on."""
        return ShardSet(self.folder / "held-out-recordings", 1, self.preset.held_out_seconds, self.preset.seed + 2)

    @property
    def held_out_latents(self) -> ShardSet:
        """Speech that the language models never train on."""
        return ShardSet(self.folder / "held-out-latents", 1, self.preset.held_out_seconds, self.preset.seed + 3)
