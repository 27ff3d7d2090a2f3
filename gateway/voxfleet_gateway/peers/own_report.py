"""What this gateway reports to those of other regions: the models of its own region, from its fleet.

Knows: where each number of a report comes from. Does not know: HTTP; which region asks.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from math import inf

from voxfleet_gateway.decisions.fleet.pools import pool_counts, requests_at, stages
from voxfleet_gateway.decisions.fleet.replica_reports import NO_OTHERS, HeldByOthers
from voxfleet_gateway.decisions.fleet.wake_progress import ENDED_AT, PodStage
from voxfleet_gateway.decisions.pods import balancing
from voxfleet_gateway.decisions.pods.pod_state import PodState
from voxfleet_gateway.decisions.region_traffic import RegionTraffic
from voxfleet_gateway.decisions.snapshot import RegionState
from voxfleet_gateway.peers.report import (
    MAX_COUNTRIES,
    MAX_FAILURE_CHARACTERS,
    ModelReport,
    PoolReport,
    RegionReport,
    new_report,
)
from voxfleet_gateway.pods.fleet import Fleet

WAKE_BEGUN_SECONDS = 0.01  # of a wake that another gateway has started: pods are there, and none is ready


def own_report(fleet: Fleet, gateway: str, others: HeldByOthers = NO_OTHERS) -> RegionReport:
    """Return the report of this gateway's region; `others`: what its other gateways hold."""
    report = new_report(fleet.gateway_region, gateway, fleet.replicas, _rows(fleet, others), datetime.now(UTC))
    return report.model_copy(update={"silent_gateways": min(1000, others.silent)})


def _rows(fleet: Fleet, others: HeldByOthers) -> Iterator[ModelReport]:
    """Yield a row per model with pods here, or with requests of its gateways' clients."""
    now_seconds = fleet.clock()
    for model in fleet.registry().entries.values():
        region = fleet.regions.get(model.key(fleet.gateway_region))
        if region is None:
            continue
        traffics = [fleet.regions[key].traffic for key in model.keys if key in fleet.regions]
        has_arrivals = any(each.arrivals.last_seconds is not None for each in traffics)
        if region.pods or _has_news(region.traffic) or has_arrivals or others.of(region.key):
            held_in_region = fleet.held(region.key) + others.of(region.key)
            yield _row(fleet, region, traffics, now_seconds).model_copy(update={"held_in_region": held_in_region})


def _has_news(traffic: RegionTraffic) -> bool:
    return traffic.measured_wake_seconds is not None or traffic.waking_since_seconds is not None


def _row(fleet: Fleet, region: RegionState, traffics: Iterable[RegionTraffic], now_seconds: float) -> ModelReport:
    key, traffic, view = region.key, region.traffic, fleet.standing(region.key).view
    pods = balancing.servable(region.pods.values(), now_seconds)
    elapsed_seconds = traffic.wake_elapsed(now_seconds) or (WAKE_BEGUN_SECONDS if region.pods and not pods else 0.0)
    per_second, by_country = _arrivals(traffics, now_seconds)
    return ModelReport(
        namespace=key.namespace,
        name=key.name,
        ready_pods=view.ready_pods,
        rows=view.rows,
        running=view.running,
        waiting=view.waiting,
        free_requests=view.free_requests,
        open_requests=traffic.open_requests,
        held_requests=fleet.held(key),
        service_seconds=view.service_seconds,
        step_seconds_p50=_most(pods, "step_seconds_p50"),
        first_audio_seconds_p95=_most(pods, "first_audio_seconds_p95"),
        measured_wake_seconds=traffic.measured_wake_seconds,
        wake_elapsed_seconds=elapsed_seconds,
        is_falling_asleep=view.is_falling_asleep,
        failure=view.failure[:MAX_FAILURE_CHARACTERS] if view.failure is not None else None,
        arrivals_per_second=per_second,
        arrivals_by_country=by_country,
        pools=_pools(region, now_seconds),
        languages=region.languages,
        pod_requests=requests_at(region.pods.values()),
        start_stage=None if pods else _foremost(stages(region.pods.values(), now_seconds)),
    )


def _pools(region: RegionState, now_seconds: float) -> tuple[PoolReport, ...]:
    service = region.entry.service.name if region.entry.service is not None else ""
    return tuple(map(PoolReport.model_validate, pool_counts(service, region.pods.values(), now_seconds)))


def _foremost(started: Iterable[PodStage]) -> PodStage | None:
    return max(started, key=ENDED_AT.__getitem__, default=None)


def _most(pods: Iterable[PodState], field: str) -> float | None:
    """Return the largest of a measurement that pods report, of the slowest pod; None without any."""
    reported = (getattr(pod.received.report, field) for pod in pods if pod.received is not None)
    found = max((value for value in reported if value is not None), default=-inf)
    return None if found == -inf else found


def _arrivals(traffics: Iterable[RegionTraffic], now_seconds: float) -> tuple[float, dict[str, float]]:
    """Return the arrivals of this gateway's clients, also those that another region has served."""
    total, by_country = 0.0, Counter[str]()
    for traffic in traffics:
        total += traffic.arrivals.at(now_seconds)
        for country, rate in traffic.arrivals_by_country.items():
            by_country[country] += rate.at(now_seconds)  # type: ignore[assignment]  # a Counter of rates
    kept = by_country.most_common(MAX_COUNTRIES)
    return round(total, 4), {country: round(rate, 4) for country, rate in kept}
