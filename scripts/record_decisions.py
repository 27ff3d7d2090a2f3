"""Write the decision lines that CI replays: one request per way that a decision can end, as gateways log them.

Run it after a rule of routing was changed on purpose; the lines' diff is what the change does:

    .venv/bin/python scripts/record_decisions.py > tests/unit/gateway/recorded/decisions.jsonl
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from voxfleet_gateway.decisions.client_location import expected_rtts_seconds
from voxfleet_gateway.decisions.record import DecisionRecord
from voxfleet_gateway.decisions.region_standing import stand_all
from voxfleet_gateway.decisions.routing import RouteRequest, decide
from voxfleet_gateway.decisions.snapshot import RegionView
from voxfleet_gateway.regions import GatewayRules, Location
from voxfleet_gateway.request_context import RequestContext

PLACES = {
    "eu-central": Location(50.11, 8.68),
    "us-east": Location(39.04, -77.49),
    "ap-east": Location(31.23, 121.47),
}
SHANGHAI, BERLIN = Location(31.2, 121.5), Location(52.52, 13.4)


def awake(name: str, **fields: Any) -> RegionView:
    """Return a region with servers."""
    return replace(RegionView(name, ready_pods=2, rows=64, running=5, free_requests=120), **fields)


def asleep(name: str, **fields: Any) -> RegionView:
    """Return a region without servers."""
    return replace(RegionView(name, predicted_wake_seconds=41.2), **fields)


HOME = RouteRequest("eu-central", BERLIN, "DE")
FAR = RouteRequest("ap-east", SHANGHAI, "CN")
FULL = {"running": 64, "waiting": 200, "free_requests": 0}

CASES: dict[str, tuple[tuple[RegionView, ...], RouteRequest]] = {
    "nearest": ((awake("eu-central"), awake("us-east"), awake("ap-east")), FAR),
    "spill-load": ((awake("eu-central", **FULL), awake("us-east")), HOME),
    "spill-wake": ((asleep("ap-east"), awake("us-east")), FAR),
    "hold-wake": ((asleep("eu-central"), asleep("us-east")), HOME),
    "hold-wake-no-spill": (
        (asleep("eu-central"), awake("us-east")),
        replace(HOME, rules=GatewayRules(spill=False)),
    ),
    "hold-load": ((awake("eu-central", **FULL),), HOME),
    "hold-circuit": ((awake("eu-central", free_requests=0, circuit_left_seconds=8.25),), HOME),
    "failover": ((asleep("ap-east", failure="weights are truncated"), awake("us-east")), FAR),
    "failed": ((asleep("eu-central", failure="image not found", retry_after_seconds=240.0),), HOME),
    "hold-full": ((asleep("eu-central", held=256, free_places=0),), HOME),
    "forbidden": ((awake("us-east", allowed_countries=("US",)),), HOME),
    "unreachable": ((awake("us-east", is_reachable=False),), HOME),
    "spill-load-remote": ((awake("eu-central", **FULL), awake("us-east", is_remote=True, hop_seconds=0.088)), HOME),
    "stale": ((asleep("us-east", is_remote=True, hop_seconds=0.088, is_stale=True),), HOME),
    "second-hop": ((awake("us-east", is_remote=True, hop_seconds=0.088),), replace(HOME, hops_left=0)),
    "suspended-region": ((awake("eu-central", is_suspended=True),), HOME),
    "suspended-model": ((awake("eu-central"),), replace(HOME, is_model_suspended=True)),
    "no-region": ((), HOME),
    "price": (
        (awake("eu-central", price_per_gpu_hour=1.01), awake("us-east", price_per_gpu_hour=0.35)),
        replace(HOME, client=None, client_country=None),
    ),
}


def lines() -> Iterator[str]:
    """Yield the log line of every case."""
    for name, (views, asked) in CASES.items():
        places = tuple((view.name, PLACES[view.name]) for view in views)
        rtts = expected_rtts_seconds(asked.client, places, asked.gateway_region)
        source = "assumed" if asked.client is None else "distance"
        request = replace(asked, rtt_seconds=tuple(round(each, 6) for each in rtts), rtt_source=source)
        standings = stand_all(views)
        context = RequestContext(name, "POST", "/v1/audio/speech", asked.gateway_region, started_seconds=0.0)
        context.record_decision(DecisionRecord(request, standings, decide(standings, request)))
        fields = context.log_fields() | {"total_seconds": 0.0, "model": "voxcpm-1.5"}
        yield json.dumps({"event": "request", **fields}, separators=(",", ":"))


if __name__ == "__main__":
    sys.stdout.write("\n".join(lines()) + "\n")
