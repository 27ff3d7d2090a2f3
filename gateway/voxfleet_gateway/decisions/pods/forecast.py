"""How many requests a pod has by now, when its report is some time old: mean and variance. Pure.

Knows: this gateway's own requests are counted as they come and go; those of others were in the report, and have partly
been replaced since. That is the transient of an M/M/infinity queue: after an age t a request of the report is still
there with probability exp(-t / service), and the others' usual number takes its place.
Does not know: how reports arrive, rows, waits (region_standing.py).
"""

import math
from typing import NamedTuple

USUAL_WEIGHT = 0.05  # of the newest report in the usual number: the last twenty, 20 s of polls or 40 s of a peer's


class Forecast(NamedTuple):
    """Requests in a pod, with and without a row: those that are known of, and what is probably there by now."""

    known: int
    mean: float
    variance: float


def usual_after(usual: float | None, reported: int) -> float:
    """Return the usual number of others' requests after one more report."""
    return float(reported) if usual is None else usual + USUAL_WEIGHT * (reported - usual)


def forecast(known: int, others: int, usual: float, age_seconds: float, service_seconds: float) -> Forecast:
    """Return what `known` requests, of which `others` are not this gateway's, are by now."""
    kept = math.exp(-age_seconds / service_seconds) if service_seconds > 0 else 0.0
    return Forecast(
        known,
        known + (usual - others) * (1 - kept),
        others * kept * (1 - kept) + usual * (1 - kept),
    )
