"""One learned figure: the mean of logarithms, its weight, and how both fade. Pure.

Knows: why logarithms. Round trips vary by ratios: a queue somewhere makes a sample several times as long, and must not
outweigh ten others. Does not know: what is measured, between which ends.
"""

import math
from dataclasses import dataclass

HALF_LIFE_SECONDS = 12 * 3600.0  # routes change within days; a weight that was earned in the evening counts at dawn
MAX_WEIGHT = 30.0  # an older sample counts less, however many there are: the mean follows a new route in 30 samples


@dataclass(slots=True)
class Cell:
    """The moving average of samples, each with weight 1 when it was taken."""

    mean: float = 0.0
    weight: float = 0.0
    at_seconds: float = 0.0  # of the newest sample
    passed_on_seconds: float = -math.inf  # when a sample of this cell was last passed on to coarser ones

    def weight_at(self, now_seconds: float) -> float:
        """Return what the samples still weigh."""
        age_seconds = now_seconds - self.at_seconds
        return self.weight * math.exp2(-age_seconds / HALF_LIFE_SECONDS) if age_seconds > 0 else self.weight

    def add(self, value: float, now_seconds: float) -> None:
        """Add a sample."""
        self.weight = min(self.weight_at(now_seconds), MAX_WEIGHT - 1) + 1
        self.mean += (value - self.mean) / self.weight
        self.at_seconds = now_seconds

    def shrunk(self, prior: float, prior_weight: float, now_seconds: float) -> tuple[float, float]:
        """Return the mean, drawn towards a prior that counts as so many samples, and the weight of its own samples."""
        weight = self.weight_at(now_seconds)
        return (weight * self.mean + prior_weight * prior) / (weight + prior_weight), weight
