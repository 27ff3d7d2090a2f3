"""What the other gateways hold is summed by region; what a silent one holds is unknown."""

from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.decisions.fleet.replica_reports import (
    FRESH_SECONDS,
    MOST_ROWS,
    HeldRow,
    ReplicaReport,
    ReplicaReports,
    held_rows,
)
from voxfleet_gateway.decisions.pods.pod_state import PodAddress
from voxfleet_gateway.regions import RegionKey

EU, US = RegionKey("d", "n", "eu"), RegionKey("d", "n", "us")
FIRST, SECOND, GONE = PodAddress("10.0.0.1"), PodAddress("10.0.0.2"), PodAddress("10.0.0.3")


def report(**held: int) -> ReplicaReport:
    return ReplicaReport(
        held=tuple(HeldRow(namespace="d", name="n", region=region, held_requests=n) for region, n in held.items())
    )


def test_fresh_reports_are_summed_and_others_are_forgotten() -> None:
    reports = ReplicaReports()
    reports.record(FIRST, report(eu=2), 10.0)
    reports.record(SECOND, report(eu=3, us=1), 10.0)
    reports.record(GONE, report(eu=100), 10.0)
    held = reports.held([FIRST, SECOND], 11.0)
    assert (held.of(EU), held.of(US), held.silent, held.others) == (5, 1, 0, 2)
    assert GONE not in reports.received


def test_a_gateway_without_a_fresh_report_is_silent_and_counts_for_nothing() -> None:
    reports = ReplicaReports()
    reports.record(FIRST, report(eu=2), 10.0)
    reports.record(SECOND, report(eu=3), 10.0 + FRESH_SECONDS)
    held = reports.held([FIRST, SECOND, GONE], 10.1 + FRESH_SECONDS)
    assert (held.of(EU), held.silent) == (3, 2)


counts = st.dictionaries(st.integers(0, 3 * MOST_ROWS), st.integers(0, 5), max_size=50)


@given(counts)
def test_a_report_has_the_regions_that_requests_are_held_for(held: dict[int, int]) -> None:
    keys = {RegionKey("d", str(number), "eu"): count for number, count in held.items()}
    rows = held_rows(keys, keys.__getitem__)
    assert {row.name: row.held_requests for row in rows} == {key.name: n for key, n in keys.items() if n}


def test_of_too_many_regions_the_fullest_are_reported() -> None:
    keys = {RegionKey("d", str(number), "eu"): number for number in range(1, MOST_ROWS + 3)}
    rows = held_rows(keys, keys.__getitem__)
    assert (len(rows), min(row.held_requests for row in rows)) == (MOST_ROWS, 3)
    assert ReplicaReport.model_validate_json(ReplicaReport(held=rows).model_dump_json()).held == rows


def test_the_newest_number_is_kept_also_of_the_ten_millionth_decision() -> None:
    reports = ReplicaReports()
    reports.record(FIRST, ReplicaReport(number=10_000_000), 10.0)
    reports.record(FIRST, ReplicaReport(), 11.0)
    assert reports.number(FIRST) == 10_000_000
    reports.record(FIRST, ReplicaReport(number=3), 12.0)  # it has begun anew
    assert reports.number(FIRST) == 3
    reports.held([], 12.0)
    assert reports.number(FIRST) == 0
