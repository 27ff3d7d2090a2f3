"""What a run changes about its scenario, and what a run is left with.

Does not know how a run goes (world.py), nor what results mean (results/).
"""

from dataclasses import dataclass

from voxfleet_simulation.world.requests import Records

PRODUCT_POLICY = "voxfleet"


@dataclass(frozen=True, slots=True)
class Variant:
    """What a run changes about its scenario."""

    name: str
    policy: str = PRODUCT_POLICY
    constant: tuple[int, ...] | None = None  # replicas of each region, on demand and always on
    price_weight: float = 1.0  # times the weight that routing gives prices


@dataclass(frozen=True, slots=True)
class RunResult:
    """One run: how every request ended, and every machine's bill."""

    variant: Variant
    records: Records
    bills: tuple[tuple[tuple[str, float, float], ...], ...]  # by region: pool, begin, end
    lifetimes: tuple[tuple[tuple[float, float], ...], ...]  # by region: of each server, ready and admitting
    reclaims: int
    wakes: int
    events: int
