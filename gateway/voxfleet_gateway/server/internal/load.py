"""GET /internal/load: what the operator reads from a gateway to decide about sleep and replicas.

Knows: the form of the response. Does not know: which processes may connect (NetworkPolicy); it checks the bearer token.
"""

import time
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from voxfleet_gateway.decisions.demand_lease import format_time
from voxfleet_gateway.decisions.snapshot import RegionState
from voxfleet_gateway.pods.fleet import Fleet
from voxfleet_gateway.regions import RegionKey
from voxfleet_gateway.settings import Settings
from voxfleet_gateway.tokens import gateway_token, internal_matches


def load_body(fleet: Fleet, gateway: str, region: str, now_seconds: float) -> dict[str, Any]:
    """Return one row per registered region that requests arrived for, and the newest report of every pod."""
    # A region that has left the registry is the operator's no longer, even while its last requests run.
    regions = [fleet.regions[key] for key in sorted(fleet.regions) if fleet.regions[key].is_registered]
    return {
        "gateway": gateway,
        "region": region,
        # A region without a row has no requests here: with a thousand models at rest the response is short.
        "models": [_model_row(each, fleet.held(each.key), now_seconds) for each in regions if _is_news(each, fleet)],
        "pods": [row for each in regions for row in _pod_rows(each, now_seconds)],
    }


def _key_fields(key: RegionKey) -> dict[str, str]:
    return {"namespace": key.namespace, "name": key.name, "region": key.region}


def _is_news(region: RegionState, fleet: Fleet) -> bool:
    """Whether a request has arrived for the region since this gateway started."""
    traffic = region.traffic
    seen = (traffic.arrivals.last_seconds, traffic.last_finished, traffic.measured_wake_seconds)
    return bool(traffic.open_requests or fleet.held(region.key)) or any(each is not None for each in seen)


def _model_row(region: RegionState, held: int, now_seconds: float) -> dict[str, Any]:
    traffic = region.traffic
    finished = traffic.last_finished
    return _key_fields(region.key) | {
        "held_requests": held,
        "open_requests": traffic.open_requests,
        "arrivals_per_second": round(traffic.arrivals.at(now_seconds), 4),
        "arrivals_by_country": {
            country: round(rate.at(now_seconds), 4) for country, rate in sorted(traffic.arrivals_by_country.items())
        },
        "predicted_wake_seconds": traffic.measured_wake_seconds,
        "last_request_finished_at": format_time(finished) if finished else None,
    }


def _pod_rows(region: RegionState, now_seconds: float) -> list[dict[str, Any]]:
    return [
        _key_fields(region.key)
        | {
            "address": pod.address.ip,
            # An age and not a time: the operator's clock may differ from this one.
            "age_seconds": round(now_seconds - pod.received.received_seconds, 3),
            "load": pod.received.raw,
        }
        for pod in region.pods.values()
        if pod.received is not None
    ]


@dataclass(slots=True)
class LoadHandler:
    """GET /internal/load."""

    settings: Settings
    fleet: Fleet

    async def get(self, request: web.Request) -> web.Response:
        """Respond with the load, or with 401 without a valid token."""
        key = self.settings.internal_key.get_secret_value()
        if not internal_matches(request.headers, gateway_token(key)):
            return web.json_response({"error": {"message": "A valid bearer token is required."}}, status=401)
        body = load_body(self.fleet, self.settings.pod_name, self.settings.region, time.monotonic())
        return web.json_response(body)
