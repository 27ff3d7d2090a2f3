"""The language models' training task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from voxfleet_voice.language.examples import Batch, Example, collate
from voxfleet_voice.language.losses import TrainedNetwork, losses_of
from voxfleet_voice.language.pools import Pools


@dataclass(frozen=True, slots=True)
class GuidanceRamp:
    """Guidance is trained in during the last part of a run, rising to its strength over a part of that."""

    strength: float
    from_step: int
    rise_steps: int

    def at(self, step: int) -> float:
        """Return the guidance of a step."""
        return self.strength * min(1.0, max(0.0, (step - self.from_step) / self.rise_steps))


class LanguageTask:
    """Text and patches -> patches."""

    name = "language"

    def __init__(
        self,
        network: TrainedNetwork,
        pools: Pools,
        held_out: Sequence[Example],
        guidance: GuidanceRamp,
    ) -> None:
        """Put the held-out examples side by side."""
        self.network = network
        self._pools, self._guidance = pools, guidance
        self._held_out: Batch = collate(held_out)

    def trained(self) -> list[nn.Parameter]:
        """Everything."""
        return list(self.network.parameters())

    def losses(self, step: int) -> Mapping[str, Tensor]:
        """Return the losses, and the number of patches."""
        batch = collate(self._pools.at(step))
        found = losses_of(self.network, batch, self._guidance.at(step))
        return {**found, "n_patches": torch.tensor(float(len(batch.phones)))}

    def held_out(self) -> Mapping[str, float]:
        """Return the losses on unseen texts, with the true history and without guidance."""
        return {name: value.item() for name, value in losses_of(self.network, self._held_out, 0.0).items()}
