"""What requests that are held for a region have to expect: room, time, and the refusal when it has passed.

Knows: which states of a region and of its model decide that. Does not know: the queues' order, when a request decides.
"""

from collections.abc import Mapping

from voxfleet_gateway.decisions.hold.hold_queue import free_by_region
from voxfleet_gateway.decisions.hold.wake_estimate import wait_estimate_seconds
from voxfleet_gateway.decisions.region_traffic import DEFAULT_WAKE_SECONDS
from voxfleet_gateway.dispatch.hold_queues import HoldQueues
from voxfleet_gateway.errors import Refusal
from voxfleet_gateway.pods.fleet import Fleet
from voxfleet_gateway.refusals import region_failing, still_full, still_waking
from voxfleet_gateway.regions import RegionKey

OFFERED_TO_PEER = 32  # held requests that a peer is asked at once to hold, which has bounds of its own


def free_capacity(fleet: Fleet, hold_queues: HoldQueues, key: RegionKey) -> Mapping[str, int] | None:
    """Return the capacity for requests held for the region, less those that were released and not sent yet."""
    region = fleet.regions.get(key)
    # None, when nothing is left to wait for: each is refused with the reason when it decides again.
    if region is None or not region.is_registered or region.model.suspended:
        return None
    home = fleet.standing(key)
    standings = fleet.standings(region.model) if region.model.gateway.spill else (home,)
    free = free_by_region(home.view, [standing.view for standing in standings])
    if free is None:
        return None
    remote = region.remote
    if remote is not None and remote.takes_requests and not home.view.is_stale:
        free[key.region] = max(free.get(key.region, 0), OFFERED_TO_PEER)  # they are held there
    deciding = hold_queues.deciding((key.namespace, key.name))
    return {name: count - deciding[name] for name, count in free.items()}


def estimate_seconds(fleet: Fleet, key: RegionKey) -> float:
    """Return the time until a request of the region would begin; of one that is gone, the default."""
    if key not in fleet.regions:
        return DEFAULT_WAKE_SECONDS
    return round(wait_estimate_seconds(fleet.standing(key).view), 1)


def not_held(fleet: Fleet, key: RegionKey) -> Refusal:
    """Return the refusal of a request that is held, if at all, by the gateway that sent it."""
    return still_full(key.region, 0.0, estimate_seconds(fleet, key))


def expired(fleet: Fleet, key: RegionKey, held_seconds: float) -> Refusal:
    """Return the refusal of a request whose deadline passed while it was held, with the present estimate."""
    view = fleet.standing(key).view if key in fleet.regions else None
    if view is not None and view.circuit_left_seconds > 0:
        return region_failing(key.region, estimate_seconds(fleet, key))
    refusal = still_full if view is not None and view.is_awake else still_waking
    return refusal(key.region, held_seconds, estimate_seconds(fleet, key))
