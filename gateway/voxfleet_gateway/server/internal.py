"""GET /internal/load: what the operator needs from a gateway to decide about sleep and replicas.

Knows: the contract's form. Does not know: who may reach the port (the bearer token says who may read).
"""

import time
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from voxfleet_gateway.decisions.demand_lease import format_time
from voxfleet_gateway.pods.fleet import Fleet
from voxfleet_gateway.regions import RegionKey
from voxfleet_gateway.settings import Settings
from voxfleet_gateway.tokens import bearer_matches, gateway_token


def load_body(fleet: Fleet, gateway: str, region: str, now_seconds: float) -> dict[str, Any]:
    """Every region this gateway knows, and the newest report of every pod."""
    keys = sorted(fleet.pods)
    return {
        "gateway": gateway,
        "region": region,
        "models": [_model_row(fleet, key, now_seconds) for key in keys],
        "pods": [row for key in keys for row in _pod_rows(fleet, key, now_seconds)],
    }


def _named(key: RegionKey) -> dict[str, str]:
    return {"namespace": key.namespace, "name": key.name, "region": key.region}


def _model_row(fleet: Fleet, key: RegionKey, now_seconds: float) -> dict[str, Any]:
    traffic = fleet.traffic(key)
    finished = traffic.last_finished
    return _named(key) | {
        "held_requests": traffic.held_requests,
        "open_requests": traffic.open_requests,
        "arrivals_per_second": round(traffic.rate(now_seconds), 4),
        "predicted_wake_seconds": traffic.measured_wake_seconds,
        "last_request_finished_at": format_time(finished) if finished else None,
    }


def _pod_rows(fleet: Fleet, key: RegionKey, now_seconds: float) -> list[dict[str, Any]]:
    return [
        _named(key)
        | {
            "address": pod.address.ip,
            "age_seconds": round(now_seconds - pod.received.received_seconds, 3),
            "load": pod.received.raw,
        }
        for pod in fleet.pods[key].values()
        if pod.received is not None
    ]


@dataclass(slots=True)
class Internal:
    """The handler."""

    settings: Settings
    fleet: Fleet

    async def load(self, request: web.Request) -> web.Response:
        """Answer the operator."""
        key = self.settings.internal_key.get_secret_value()
        if not bearer_matches(request.headers.get("Authorization"), gateway_token(key)):
            return web.json_response({"error": {"message": "A valid bearer token is required."}}, status=401)
        body = load_body(self.fleet, self.settings.pod_name, self.settings.region, time.monotonic())
        return web.json_response(body)


def internal_app(settings: Settings, fleet: Fleet) -> web.Application:
    """What port 9091 serves."""
    app = web.Application()
    app.router.add_get("/internal/load", Internal(settings, fleet).load)
    return app
