"""A small scenario, which tests change by field."""

from collections.abc import Callable
from typing import Any

import pytest
from voxfleet_simulation.scenario.scenario import Scenario, parse_scenario

EU = {"name": "eu", "location": {"latitude": "50.1", "longitude": "8.7"}}
US = {"name": "us", "location": {"latitude": "38.9", "longitude": "-77.4"}}
DE = {"name": "DE", "location": {"latitude": 51.2, "longitude": 10.4}}
AMERICA = {"name": "US", "location": {"latitude": 40.7, "longitude": -74.0}}

Make = Callable[..., Scenario]


def raw_scenario(**changes: Any) -> dict[str, Any]:
    return {
        "name": "small",
        "period": {"hours": 0.5},
        "spec": {
            "regions": [EU, US],
            "autoscaling": {"minReplicas": 1, "maxReplicas": 1},
            "serving": {"maxBatchSize": 4, "maxQueuedRequests": 10_000},
        },
        "demand": {"requests": 1000, "countries": [DE, AMERICA]},
        "service": {"meanSeconds": 2, "distribution": "exponential"},
    } | changes


@pytest.fixture
def make() -> Make:
    return lambda **changes: parse_scenario(raw_scenario(**changes), "test.yaml")
