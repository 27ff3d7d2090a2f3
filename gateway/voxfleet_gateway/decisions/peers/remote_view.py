"""The view of a region behind another gateway, from its report; and the round trips through this gateway. Pure.

Knows: which of a peer's numbers are believed, and how far: never more capacity than the registry allows the region.
Does not know: how a view is scored (region_standing.py, routing.py); clocks (the time is an argument).
"""

import math
from collections.abc import Sequence
from functools import lru_cache

from voxfleet_gateway.decisions.client_location import PRIOR_SECONDS, RegionPlaces
from voxfleet_gateway.decisions.peers.remote_state import RemoteState
from voxfleet_gateway.decisions.region_standing import RegionStanding
from voxfleet_gateway.decisions.region_traffic import DEFAULT_SERVICE_SECONDS, DEFAULT_WAKE_SECONDS
from voxfleet_gateway.decisions.snapshot import RegionState, RegionView


def remote_region_view(
    region: RegionState, remote: RemoteState, held: int, free_places: int, now_seconds: float
) -> RegionView:
    """Return the view of a region with the requests held for it here, and how many more may be."""
    entry, serving, report = region.entry, region.model.serving, remote.report
    is_stale = remote.is_stale(now_seconds)
    age_seconds = min(remote.age_seconds(now_seconds), 1e6)  # infinite before the first report
    # One pod more than the most: a pod that is replaced may overlap with its successor.
    most_pods = entry.max_replicas + 1
    rows = min(report.rows, most_pods * serving.max_batch_size)
    service_seconds = report.service_seconds or DEFAULT_SERVICE_SECONDS
    forecast = remote.forecast(now_seconds, service_seconds)
    running, waiting = _requests(min(report.running, rows), report.waiting, rows, forecast.known)
    most_requests = most_pods * (serving.max_batch_size + serving.max_queued_requests)
    free_requests = max(0, min(report.free_requests, most_requests) - remote.sent_since_report)
    may_send = remote.takes_requests and not is_stale
    circuit = region.circuit
    return RegionView(
        name=entry.name,
        is_remote=True,
        is_stale=is_stale,
        report_age_seconds=round(age_seconds, 2),
        hop_seconds=round(remote.hop_seconds, 4),
        is_suspended=entry.suspended or entry.phase == "Suspended",
        allowed_countries=entry.allowed_clients,
        failure=_failure(region, report.failure),
        retry_after_seconds=entry.retry_after_seconds,
        price_per_gpu_hour=entry.price_per_gpu_hour,
        ready_pods=0 if is_stale else min(report.ready_pods, most_pods),
        rows_per_pod=serving.max_batch_size,
        rows=rows,
        running=running,
        waiting=waiting,
        drift=round(forecast.mean - forecast.known, 2),
        spread=round(math.sqrt(forecast.variance), 2),
        free_requests=circuit.allowed(free_requests, remote.unanswered, now_seconds) if may_send else 0,
        circuit_left_seconds=round(circuit.left_seconds(now_seconds), 2),
        service_seconds=round(service_seconds, 3),
        is_falling_asleep=report.is_falling_asleep,
        wake_elapsed_seconds=round(report.wake_elapsed_seconds + age_seconds, 2)
        if report.wake_elapsed_seconds
        else 0.0,
        predicted_wake_seconds=round(
            report.measured_wake_seconds or entry.predicted_wake_seconds or DEFAULT_WAKE_SECONDS, 2
        ),
        held=held,
        free_places=free_places,
    )


def _requests(running: int, waiting: int, rows: int, known: int) -> tuple[int, int]:
    """Return reported requests with and without a row, changed so that together they are those known of by now."""
    change = known - running - waiting
    if change < 0:
        left = max(0, waiting + change)
        return known - left, left
    begun = min(change, max(0, rows - running))
    return running + begun, waiting + change - begun


def _failure(region: RegionState, reported: str | None) -> str | None:
    if region.entry.phase == "Failed":
        return region.entry.message or "the operator gave no reason"
    return reported


def through_gateway(
    rtts_seconds: tuple[float, ...], standings: Sequence[RegionStanding], places: RegionPlaces, gateway_region: str
) -> tuple[float, ...]:
    """Return the round trips with those to remote regions replaced: what a peer sends comes through this gateway.

    So a remote region is always farther than this gateway's own, wherever its client is: the request is here already.
    """
    hops_seconds = tuple([standing.hop_seconds for standing in standings])
    if hops_seconds.count(None) == len(hops_seconds):
        return rtts_seconds
    return _joined(rtts_seconds, hops_seconds, places, gateway_region)


@lru_cache(maxsize=1024)  # clients come from the same cities, and hops change with polls
def _joined(
    rtts_seconds: tuple[float, ...],
    hops_seconds: tuple[float | None, ...],
    places: RegionPlaces,
    gateway_region: str,
) -> tuple[float, ...]:
    to_gateway = next(
        (rtt for rtt, (name, _) in zip(rtts_seconds, places, strict=True) if name == gateway_region), PRIOR_SECONDS
    )
    return tuple(
        rtt if hop is None else round(to_gateway + hop, 4) for rtt, hop in zip(rtts_seconds, hops_seconds, strict=True)
    )
