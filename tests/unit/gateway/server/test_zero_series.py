"""Series begin with 0: for Prometheus, a series whose first value is 1 has not risen."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase
from voxfleet_gateway import telemetry
from voxfleet_gateway.pods import region_series
from voxfleet_gateway.pods.region_series import PER_REGION, REFRESHED, RegionSeries
from voxfleet_gateway.regions import RegionKey
from voxfleet_gateway.telemetry import KNOWN_LABELS, REFUSALS, WAKE

REGION = {"namespace": "d", "name": "n", "region": "eu"}
ALERTS = Path(__file__).parents[4] / "charts/voxfleet/files/alerts.yaml"
LABELLED = {
    name: metric
    for name, metric in vars(telemetry).items()
    if isinstance(metric, MetricWrapperBase) and metric._labelnames
}
TENANTS = {"TENANT_REQUESTS", "TENANT_CHARACTERS", "TENANT_AUDIO_SECONDS", "TENANT_REJECTIONS"}
PEERS = {"SPILLS", "SPILLS_RECEIVED", "PEER_FAILURES"}
SET_AT_EACH_SCRAPE = {"FREE_HOLD_PLACES", "PEER_REPORT_AGE", "RTT_GROUPS"}


def samples(metric: MetricWrapperBase, **labels: str) -> list[Any]:
    return [each for family in metric.collect() for each in family.samples if labels.items() <= each.labels.items()]


def test_every_labelled_metric_has_a_rule_by_which_it_begins() -> None:
    by_region = {name for name, metric in LABELLED.items() if metric in PER_REGION or metric in REFRESHED}
    known = {name for name, metric in LABELLED.items() if metric in KNOWN_LABELS}
    assert [TENANTS & PEERS, by_region & known] == [set(), set()]
    assert {*LABELLED} == by_region | known | TENANTS | PEERS | SET_AT_EACH_SCRAPE
    assert {name for name, metric in LABELLED.items() if {*REGION} <= {*metric._labelnames}} == by_region


def test_known_label_values_are_there_from_the_start() -> None:
    program = (
        "import voxfleet_gateway.telemetry; from prometheus_client import generate_latest as g; print(g().decode())"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    for counter, label_sets in KNOWN_LABELS.items():
        name = f"{counter.describe()[0].name}_total"
        assert len(re.findall(rf"^{name}{{.*}} 0\.0$", found, re.MULTILINE)) == len(label_sets) > 0
    assert "_created" not in found


async def test_a_region_and_a_tenant_begin_with_zero_before_their_first_request(keyed: Any) -> None:
    for name, metric in LABELLED.items():
        if metric in PER_REGION or name in TENANTS:
            metric.clear()
    async with keyed() as there:
        there.gateway.refresh_gauges()
        there.gateway.refresh_gauges()
    for name, metric in LABELLED.items():
        labels = {"tenant": "acme"} if name in TENANTS else REGION
        if metric in PER_REGION or name in TENANTS:
            found = samples(metric, **labels)
            assert found, name
            assert {each.value for each in found} == {0.0}, name


async def test_the_first_wake_is_a_rise_of_its_bucket(wire: Any) -> None:
    WAKE.clear()
    async with wire.gateway() as (_, gateway):
        gateway.refresh_gauges()
        assert REGISTRY.get_sample_value(f"{telemetry.PREFIX}wake_seconds_bucket", REGION | {"le": "30.0"}) == 0
        WAKE.labels(*REGION.values()).observe(17.9)
        assert REGISTRY.get_sample_value(f"{telemetry.PREFIX}wake_seconds_bucket", REGION | {"le": "30.0"}) == 1


keys = st.sets(st.builds(RegionKey, st.just("z"), st.sampled_from("abcdefgh"), st.just("eu")))


@given(st.lists(keys, min_size=1, max_size=6))
def test_series_follow_the_regions_and_are_bounded(seen: list[set[RegionKey]]) -> None:
    series = RegionSeries()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(region_series, "MOST_DETAILED_REGIONS", 3)
        for present in seen:
            series.follow(present)
        for _ in range(3):
            series.follow(seen[-1])
        named = {each.labels["name"] for metric in PER_REGION for each in samples(metric, namespace="z")}
        assert named == {key.name for key in seen[-1]}
        assert len({each.labels["name"] for each in samples(WAKE, namespace="z")}) == min(3, len(seen[-1]))
        assert not series.leaving
        for _ in range(3):
            series.follow(())
    assert not any(samples(metric, namespace="z") for metric in PER_REGION)


def test_what_alerts_look_for_in_refusals_begins_with_zero() -> None:
    """An alert divides these by all requests: of a burst, the first must count."""
    queries = [rule["expr"] for rule in yaml.safe_load(ALERTS.read_text()) if "expr" in rule]
    named = [found for query in queries for found in re.findall(r'refusals_total\{reason=~"([^"]*)"', query)]
    assert named
    assert {reason for each in named for reason in each.split("|")} <= {*region_series.REFUSED}
    assert REFUSALS in PER_REGION
