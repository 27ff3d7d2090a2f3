"""Computes how many replicas an awake region shall have.

Knows demand, target and bounds. Growing is immediate; shrinking waits for the stabilization window, and its pods are
drained one by one (shrinking.py). While load is unknown replicas only grow: the demand
that is missing may be larger than what is known. Does not know sleep, wake or failure.
"""

from math import ceil

from voxfleet_operator.decisions.observed import LoadState
from voxfleet_operator.resources import Autoscaling


def clamped(replicas: int, autoscaling: Autoscaling) -> int:
    """Return a number of replicas within the bounds, and at least 1: callers scale awake regions only."""
    return min(max(replicas, autoscaling.min_replicas, 1), autoscaling.max_replicas)


def replicas_for_demand(load: LoadState, autoscaling: Autoscaling) -> int:
    """Return the replicas that open and held requests need, within the bounds."""
    return clamped(ceil(load.demand / autoscaling.target_requests_per_replica), autoscaling)


def replicas_to_record(current: int, load: LoadState, autoscaling: Autoscaling) -> int:
    """Return the replicas that the stabilization window records for this moment.

    Unknown load asks for at least the present replicas: otherwise five minutes of silence would count as five minutes
    without demand, and the first reading after them would shrink the region.
    """
    asked = replicas_for_demand(load, autoscaling)
    return asked if load.is_known else max(asked, current)


def awake_replicas(current: int, peak_replicas: int, load: LoadState, autoscaling: Autoscaling) -> int:
    """Return the replicas of an awake region now; unknown load removes none but those above the bounds."""
    if not load.is_known:
        return max(clamped(current, autoscaling), replicas_for_demand(load, autoscaling))
    return max(replicas_for_demand(load, autoscaling), clamped(peak_replicas, autoscaling))
