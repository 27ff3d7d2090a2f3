"""What two states of a ledger differ by, region by region: what counters are increased by.

Knows that a month that is kept no longer takes nothing away. Does not know metrics.
"""

from typing import NamedTuple

from voxfleet_operator.decisions.cost.ledger import Ledger, RegionMonth


class Spending(NamedTuple):
    """Used and avoided GPU seconds and money of one region; none of them falls while time passes."""

    on_demand_seconds: float = 0.0
    spot_seconds: float = 0.0
    on_demand_paid: float = 0.0
    spot_paid: float = 0.0
    avoided_seconds: float = 0.0
    avoided_cost: float = 0.0


def spending_between(before: Ledger, after: Ledger) -> dict[str, Spending]:
    """Return by region what was spent and avoided between two states of a ledger."""
    found: dict[str, Spending] = {}
    for key, row in after.months.items():
        known = before.months.get(key)
        if known is row:  # an earlier month: only the present one grows
            continue
        old = _spending(known or RegionMonth(*key))
        so_far = found.get(row.region, Spending())
        found[row.region] = Spending(
            *(total + new - earlier for total, new, earlier in zip(so_far, _spending(row), old, strict=True))
        )
    return found


def _spending(row: RegionMonth) -> Spending:
    return Spending(
        row.on_demand_seconds,
        row.spot_seconds,
        row.on_demand_paid,
        row.spot_paid,
        row.avoided_seconds,
        row.avoided_cost,
    )
