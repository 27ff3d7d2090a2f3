"""The values that the linear program takes and returns. Pure, and without scipy.

Knows: what a region supplies and what a group demands. Does not know: how the program is solved (linear_program.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from voxfleet_gateway.decisions.dns.demand_shares.client_groups import ClientGroup

RHO_MAX = 0.8  # share of a region's slots that demand may fill: queues grow without bound towards 1
SWITCH_SECONDS = 0.030  # a group keeps its region unless another one is better by more than this,
SWITCH_SHARE = 0.15  # and by more than this share of what it costs now

Shares = Mapping[str, float]  # region -> part of a group's demand; they sum to 1


@dataclass(frozen=True, slots=True)
class RegionSupply:
    """What one region can serve of a model."""

    name: str
    slots: float  # requests that it can have open at once
    cost_seconds: float = 0.0  # what a request there costs beside its round trip: price, a wake


@dataclass(frozen=True, slots=True)
class GroupDemand:
    """What one group asks for."""

    group: ClientGroup
    open_requests: float
    rtt_seconds: tuple[float | None, ...]  # to each region, in their order; None: may not be served there


@dataclass(frozen=True, slots=True)
class RoutingProblem:
    """Regions, groups and the shares that are in use."""

    regions: tuple[RegionSupply, ...]
    groups: tuple[GroupDemand, ...]
    previous: Mapping[ClientGroup, Shares] = field(default_factory=dict)
    rho_max: float = RHO_MAX


@dataclass(frozen=True, slots=True)
class RoutingSolution:
    """The regions that each group's prefixes are sent to."""

    shares: Mapping[ClientGroup, Shares]
    overload: float = 1.0  # load of the fullest region over rho_max of its slots; above 1 demand exceeds capacity
    cost_seconds: float = 0.0  # mean over demand
