"""How long until a request that is not served now would be: the true estimate, and the Retry-After made of it. Pure.

Knows: the time that a wake still takes, and what the requests before it take of the region's rows.
Does not know: how wakes and requests are measured (region_traffic.py); headers.
"""

import math

from voxfleet_gateway.decisions.region_standing import wake_wait
from voxfleet_gateway.decisions.snapshot import RegionView

STALE_SECONDS = 5.0  # until a peer that has stopped reporting may do so again: a gateway restarts in less
RETRY_AFTER_MAX_SECONDS = 60  # OpenAI's clients ignore a larger Retry-After


def wait_estimate_seconds(view: RegionView) -> float:
    """Return the expected time until a request that came now would begin: the rest of wake and circuit, and a turn."""
    rows = max(1, view.rows or view.rows_per_pod)  # a region that wakes begins with one pod
    turns = view.held + view.waiting + (view.is_awake and view.running >= rows)
    return wake_wait(view) + view.circuit_left_seconds + turns * view.service_seconds / rows


def estimate_seconds(reason: str, nearest: RegionView | None) -> float | None:
    """Return the seconds until a refused request may succeed, not bounded as Retry-After is; None when unknown."""
    if nearest is None:
        return None
    waits = {
        "failed": nearest.retry_after_seconds,
        "hold-full": wait_estimate_seconds(nearest),
        "stale": STALE_SECONDS,
    }
    found = waits.get(reason)
    return None if found is None else round(found, 1)


def retry_after_seconds(estimated_seconds: float | None) -> int:
    """Return the Retry-After of an estimate: whole seconds, from 1 to RETRY_AFTER_MAX_SECONDS; the most if unknown."""
    if estimated_seconds is None:
        return RETRY_AFTER_MAX_SECONDS
    return max(1, math.ceil(min(RETRY_AFTER_MAX_SECONDS, estimated_seconds)))
