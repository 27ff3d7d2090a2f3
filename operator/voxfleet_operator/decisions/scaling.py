"""How many replicas an awake region shall have.

Knows demand, target and bounds. Growing is immediate; shrinking waits for the stabilisation window and, until pods
can be drained one by one, for a moment without open requests. Does not know sleep, wake or failure.
"""

from math import ceil

from voxfleet_operator.decisions.observed import LoadState, Policy


def clamped(replicas: int, policy: Policy) -> int:
    """Within the bounds, and at least one: this is asked for awake regions only."""
    return min(max(replicas, policy.min_replicas, 1), policy.max_replicas)


def replicas_for_demand(load: LoadState, policy: Policy) -> int:
    """What the demand alone asks for."""
    return clamped(ceil(load.demand / policy.target_requests_per_replica), policy)


def awake_replicas(current: int, peak_replicas: int, load: LoadState, policy: Policy) -> int:
    """What an awake region shall have now; unknown load changes nothing beyond the bounds."""
    if not load.is_known:
        return clamped(current, policy)
    goal = max(replicas_for_demand(load, policy), clamped(peak_replicas, policy))
    if goal < current and load.open_requests > 0:
        return clamped(current, policy)
    return goal
