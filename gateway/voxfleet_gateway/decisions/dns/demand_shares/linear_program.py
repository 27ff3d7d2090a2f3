"""Shares demand out between regions at the least cost: a linear program, solved by HiGHS. Pure.

Minimise, over the part x[g, r] of group g's demand d[g] that region r serves,

    sum d[g] x[g, r] (rtt[g, r] + cost[r])  +  sum d[g] threshold[g] y[g, r]  +  OVERLOAD_SECONDS (t - 1)

where   sum over r of x[g, r] = 1,   sum over g of d[g] x[g, r] <= t rho_max slots[r],   t >= 1,
        y[g, r] >= x[g, r] - previous[g, r],   x, y >= 0.

y is demand that moves to a region: it moves for a gain above the threshold, or where capacity forces it to. t is 1
unless demand exceeds capacity; then it is as small as possible, so that every full region is equally overloaded.
Does not know: where its values come from, when it is solved.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import csr_array, hstack, identity, vstack

from voxfleet_gateway.decisions.dns.demand_shares.routing_problem import (
    SWITCH_SECONDS,
    SWITCH_SHARE,
    RoutingProblem,
    RoutingSolution,
    Shares,
)

OVERLOAD_SECONDS = 1000.0  # far above any round trip: capacity is exceeded by as little as possible
LEAST_SHARE = 1e-3  # what HiGHS leaves below this is rounding
LEAST_DEMAND = 1e-4  # of the whole; a group that asks for nothing yet is assigned as cheaply too

Floats = NDArray[np.float64]


def solve(problem: RoutingProblem) -> RoutingSolution | None:
    """Return the shares of every group; None when no region has capacity or a group may be served by none."""
    allowed = _allowed(problem)
    if not allowed.size or not allowed.any(axis=1).all():
        return None
    demand, costs = _demand(problem), _costs(problem)
    previous = _previous(problem)
    result = linprog(
        _objective(demand, costs, previous),
        A_ub=vstack([_capacity(problem, demand), _movement(*costs.shape)], format="csr"),
        b_ub=np.concatenate([np.zeros(len(problem.regions)), previous.ravel()]),
        A_eq=_whole(*costs.shape),
        b_eq=np.ones(len(problem.groups)),
        bounds=_bounds(allowed),
        method="highs",
    )
    if not result.success:
        return None
    parts: Floats = result.x[: costs.size].reshape(costs.shape)
    return RoutingSolution(
        {each.group: _shares(problem, parts[index]) for index, each in enumerate(problem.groups)},
        round(_overload(problem, parts), 4),
        round(float((demand[:, None] * parts * costs).sum()), 6),
    )


def _allowed(problem: RoutingProblem) -> NDArray[np.bool_]:
    """Return which region may serve which group: [groups, regions]."""
    may = np.array([[rtt is not None for rtt in each.rtt_seconds] for each in problem.groups], dtype=bool)
    has_slots = np.array([region.slots > 0 for region in problem.regions], dtype=bool)
    return may & has_slots if may.size else may


def _demand(problem: RoutingProblem) -> Floats:
    """Return each group's part of the whole demand, so that coefficients are of one magnitude: [groups]."""
    demand = np.array([each.open_requests for each in problem.groups], dtype=float)
    total = demand.sum()
    parts = demand / total if total > 0 else np.ones_like(demand)
    parts = np.maximum(parts, LEAST_DEMAND)
    return np.asarray(parts / parts.sum(), dtype=np.float64)


def _costs(problem: RoutingProblem) -> Floats:
    """Return what one request of a group costs in a region: [groups, regions]."""
    own = np.array([region.cost_seconds for region in problem.regions])
    rtts = [[0.0 if rtt is None else rtt for rtt in each.rtt_seconds] for each in problem.groups]
    return np.asarray(np.array(rtts) + own, dtype=np.float64)


def _previous(problem: RoutingProblem) -> Floats:
    """Return the shares in use; a group without any may go anywhere at no charge: [groups, regions]."""
    rows = []
    for each in problem.groups:
        shares = problem.previous.get(each.group)
        rows.append([1.0 if shares is None else shares.get(region.name, 0.0) for region in problem.regions])
    return np.array(rows, dtype=float)


def _objective(demand: Floats, costs: Floats, previous: Floats) -> Floats:
    """Return the coefficients of x, y and t."""
    now = (np.minimum(previous, 1.0) * costs).sum(axis=1)
    thresholds = np.maximum(SWITCH_SECONDS, SWITCH_SHARE * now)
    moves = np.broadcast_to((demand * thresholds)[:, None], costs.shape)
    return np.concatenate([(demand[:, None] * costs).ravel(), moves.ravel(), [OVERLOAD_SECONDS]])


def _capacity(problem: RoutingProblem, demand: Floats) -> csr_array:
    """Return the rows of `sum d x - t rho_max slots <= 0`, one per region."""
    groups, regions = len(problem.groups), len(problem.regions)
    total = sum(each.open_requests for each in problem.groups)
    loads = csr_array(np.tile(np.eye(regions), (1, groups)) * np.repeat(demand, regions))
    # In the same unit as demand. Nothing is asked for: capacity restricts nothing.
    slots = [region.slots * problem.rho_max / total if total > 0 else 1.0 for region in problem.regions]
    return csr_array(hstack([loads, csr_array((regions, groups * regions)), -csr_array(np.array(slots)[:, None])]))


def _movement(groups: int, regions: int) -> csr_array:
    """Return the rows of `x - y <= previous`."""
    size = groups * regions
    return csr_array(hstack([identity(size), -identity(size), csr_array((size, 1))]))


def _whole(groups: int, regions: int) -> csr_array:
    """Return the rows of `sum over r of x = 1`."""
    rows = csr_array(np.repeat(np.eye(groups), regions, axis=1))
    return csr_array(hstack([rows, csr_array((groups, groups * regions + 1))]))


def _bounds(allowed: NDArray[np.bool_]) -> Floats:
    """Return lower and upper bounds of x, y and t."""
    upper = np.concatenate([allowed.ravel().astype(float), np.ones(allowed.size), [np.inf]])
    lower = np.concatenate([np.zeros(2 * allowed.size), [1.0]])
    return np.column_stack([lower, upper])


def _shares(problem: RoutingProblem, parts: Floats) -> Shares:
    kept = {region.name: float(part) for region, part in zip(problem.regions, parts, strict=True) if part > LEAST_SHARE}
    total = sum(kept.values())
    return {name: round(part / total, 4) for name, part in kept.items()}


def _overload(problem: RoutingProblem, parts: Floats) -> float:
    """Return the fullest region's load over what rho_max lets it take; 1 at least."""
    loads = np.array([each.open_requests for each in problem.groups]) @ parts
    full = [
        load / (region.slots * problem.rho_max)
        for region, load in zip(problem.regions, loads, strict=True)
        if region.slots > 0
    ]
    return max([1.0, *map(float, full)])
