"""Rates and measurements of one region."""

import pytest
from voxfleet_gateway.decisions.region_traffic import RegionTraffic


def test_the_arrival_rate_decays() -> None:
    traffic = RegionTraffic()
    for second in range(600):
        traffic.record_arrival(float(second))
    assert traffic.rate(600) == pytest.approx(1.0, rel=0.05)
    assert traffic.rate(900) < 0.01
    assert RegionTraffic().rate(1) == 0
