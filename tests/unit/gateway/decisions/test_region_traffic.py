"""Rates and measurements of one region."""

from datetime import UTC, datetime

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


def test_the_default_service_time_is_forgotten_soon_and_one_long_text_moves_it_little() -> None:
    traffic = RegionTraffic()
    moment = datetime(2026, 11, 23, tzinfo=UTC)
    for _ in range(20):
        traffic.record_end(0.5, moment)
    assert 0.5 < traffic.service_seconds < 0.6
    before = traffic.service_seconds
    traffic.record_end(10.0, moment)
    assert traffic.service_seconds - before < 0.5
    for _ in range(400):
        traffic.record_end(4.0, moment)
    assert traffic.service_seconds > 3.9


def test_a_wait_for_a_row_is_no_part_of_the_service_time() -> None:
    traffic, moment = RegionTraffic(), datetime(2026, 11, 23, tzinfo=UTC)
    for _ in range(5):
        traffic.record_end(30.0, moment, has_waited=True)
    assert traffic.service_seconds > 20, "better than the default while there is nothing else"
    for _ in range(600):
        traffic.record_end(4.0, moment)
        traffic.record_end(30.0, moment, has_waited=True)
    assert traffic.service_seconds == pytest.approx(4.0, abs=0.2)
