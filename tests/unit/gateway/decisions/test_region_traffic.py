"""Rates and measurements of one region."""

import pytest
from voxfleet_gateway.decisions.region_traffic import ArrivalRate, RegionTraffic


def test_the_arrival_rate_decays() -> None:
    traffic = RegionTraffic()
    for second in range(600):
        traffic.record_arrival(float(second))
    assert traffic.arrivals.at(600) == pytest.approx(1.0, rel=0.05)
    assert traffic.arrivals.at(900) < 0.01
    assert ArrivalRate().at(1) == 0


def test_arrivals_are_counted_by_the_clients_country() -> None:
    traffic = RegionTraffic()
    for second in range(600):
        traffic.record_arrival(float(second), "DE" if second % 4 else None)
    by_country = {country: rate.at(600) for country, rate in traffic.arrivals_by_country.items()}
    assert by_country == {"DE": pytest.approx(0.75, rel=0.05), "": pytest.approx(0.25, rel=0.05)}
