"""Each alert fires when it should and not when it should not, by Prometheus' own promtool."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import voxfleet_gateway.telemetry  # noqa: F401  # defines the gateway's metrics in REGISTRY
import yaml
from prometheus_client import REGISTRY, CollectorRegistry
from voxfleet_gateway.dns.telemetry import REGISTRY as DNS_REGISTRY
from voxfleet_testbed.fixtures import skipping
from voxfleet_testbed.programs.go_builds import build, find_programs
from voxfleet_testbed.settings import REPOSITORY, Settings

RULES = yaml.safe_load((REPOSITORY / "charts/voxfleet/files/alerts.yaml").read_text())
MODEL = {"namespace": "d", "name": "n"}
REGION = MODEL | {"region": "eu"}
AT_GATEWAY = {"namespace": "v", "pod": "g"}  # labels of the scrape
GATEWAY, OPERATOR, INFERENCE = "voxfleet_gateway_", "voxfleet_operator_", "voxfleet_inference_"
DNS = "voxfleet_dns_"
RENEWALS = f"{GATEWAY}lease_renewals_total"
PHASE, CONDITION = f"{OPERATOR}region_phase", f"{OPERATOR}condition"
REQUESTS, REFUSALS = f"{GATEWAY}requests_total", f"{GATEWAY}refusals_total"

Series = dict[str, str]  # values in promtool's notation, one each minute; by series
HOUR = 60


def series(name: str, /, **labels: str) -> str:
    return name + "{" + ", ".join(f'{key}="{value}"' for key, value in labels.items()) + "}"


def constant(name: str, value: float, /, **labels: str) -> Series:
    return {series(name, **labels): f"{value}x{5 * HOUR}"}


def rising(name: str, by: float, /, **labels: str) -> Series:
    return {series(name, **labels): f"0+{by}x{5 * HOUR}"}


def degraded(reason: str) -> Series:
    return constant(CONDITION, 1, **MODEL, type="Degraded", status="True", reason=reason)


def held(count: int, free: int) -> Series:
    pod = {"pod": "g"}
    return constant(f"{GATEWAY}held_requests", count, **REGION, **pod) | constant(
        f"{GATEWAY}free_hold_places", free, **MODEL, **pod
    )


def requests(code: str, by: float) -> Series:
    return rising(REQUESTS, by, **REGION, code=code, route="nearest")


SERVED = requests("200", 100)
# Alert: the series that make it fire, the labels it fires with, its series when all is well, minutes to look.
CASES: dict[str, tuple[Series, dict[str, str], Series, int]] = {
    "VoxFleetRegionFailed": (
        constant(PHASE, 1, **REGION, phase="Failed"),
        REGION,
        constant(PHASE, 1, **REGION, phase="Asleep"),
        10,
    ),
    "VoxFleetWakeSlow": (
        constant(PHASE, 1, **REGION, phase="Waking"),
        REGION,
        {series(PHASE, **REGION, phase="Waking"): "1x5 stale"},
        15,
    ),
    "VoxFleetLoadUnknown": (degraded("LoadUnknown"), MODEL, degraded("NoSurgeCapacity"), 15),
    "VoxFleetRemoteClusterAway": (
        constant(f"{OPERATOR}remote_cluster_up", 0, cluster="https://ap.example.com"),
        {"cluster": "https://ap.example.com"},
        constant(f"{OPERATOR}remote_cluster_up", 1, cluster="https://ap.example.com"),
        10,
    ),
    "VoxFleetHeldNearBound": (held(90, 10), MODEL | {"pod": "g"}, held(70, 30), 5),
    "VoxFleetRefusals": (
        SERVED | rising(REFUSALS, 10, **REGION, reason="too_many_waiting"),
        MODEL,
        SERVED | rising(REFUSALS, 50, **REGION, reason="model_not_found"),
        20,
    ),
    "VoxFleetErrorRatio": (
        SERVED | requests("500", 5),
        MODEL,
        SERVED | requests("503", 50) | requests("404", 50),
        20,
    ),
    "VoxFleetBrokenStreams": (
        SERVED | rising(f"{GATEWAY}broken_streams_total", 2, **REGION),
        REGION,
        SERVED | rising(f"{GATEWAY}broken_streams_total", 0.5, **REGION),
        20,
    ),
    "VoxFleetCircuitOpen": (
        rising(f"{GATEWAY}circuits_opened_total", 1, **REGION),
        REGION,
        rising(f"{GATEWAY}circuits_opened_total", 0.1, **REGION),
        30,
    ),
    "VoxFleetPodEjected": (
        constant(f"{GATEWAY}ejected_pods", 1, **REGION, pod="g"),
        REGION,
        {series(f"{GATEWAY}ejected_pods", **REGION, pod="g"): "1x9 0x60"},
        20,
    ),
    "VoxFleetPollsFail": (
        rising(f"{GATEWAY}pod_poll_failures_total", 50, **AT_GATEWAY),
        AT_GATEWAY,
        rising(f"{GATEWAY}pod_poll_failures_total", 10, **AT_GATEWAY),  # a pod that comes or goes now and then
        40,
    ),
    "VoxFleetLeaseRenewalsFail": (
        rising(RENEWALS, 12, **AT_GATEWAY, reason="active", result="failed"),
        AT_GATEWAY,
        rising(RENEWALS, 0.5, **AT_GATEWAY, reason="active", result="failed")
        | rising(RENEWALS, 60, **AT_GATEWAY, reason="active", result="conflict"),
        30,
    ),
    "VoxFleetGatewayWatchesFail": (
        rising(f"{GATEWAY}watch_restarts_total", 5, **AT_GATEWAY, watch="leases"),
        AT_GATEWAY | {"watch": "leases"},
        rising(f"{GATEWAY}watch_restarts_total", 0.4, **AT_GATEWAY, watch="leases"),
        30,
    ),
    "VoxFleetPeerSilent": (
        rising(f"{GATEWAY}peer_report_age_seconds", 60, **AT_GATEWAY, peer="us"),
        AT_GATEWAY | {"peer": "us"},
        constant(f"{GATEWAY}peer_report_age_seconds", 35, **AT_GATEWAY, peer="us"),  # a poll after a few failures
        10,
    ),
    "VoxFleetPeerRefused": (
        rising(f"{GATEWAY}peer_failures_total", 2, **AT_GATEWAY, peer="us", reason="certificate"),
        AT_GATEWAY | {"peer": "us", "reason": "certificate"},
        rising(f"{GATEWAY}peer_failures_total", 1, **AT_GATEWAY, peer="us", reason="certificate")
        | rising(f"{GATEWAY}peer_failures_total", 60, **AT_GATEWAY, peer="us", reason="timeout"),
        30,
    ),
    "VoxFleetDnsFallback": (
        constant("voxfleet_dns_fallback_models", 2, **AT_GATEWAY, fallback="geography"),
        {"namespace": "v", "fallback": "geography"},
        constant("voxfleet_dns_fallback_models", 2, **AT_GATEWAY, fallback="none")
        | constant("voxfleet_dns_fallback_models", 0, **AT_GATEWAY, fallback="geography"),
        20,
    ),
    "VoxFleetDnsDown": (
        constant(f"{DNS}connections", 0, **AT_GATEWAY),
        {"namespace": "v"},
        constant(f"{DNS}connections", 0, **AT_GATEWAY) | constant(f"{DNS}connections", 3, namespace="v", pod="other"),
        10,
    ),
    "VoxFleetDnsInternalErrors": (
        {series(f"{DNS}internal_errors_total", **AT_GATEWAY): f"0x15 1x{HOUR}"},
        {"namespace": "v"},
        constant(f"{DNS}internal_errors_total", 4, **AT_GATEWAY),  # long ago
        20,
    ),
    "VoxFleetDnsRegionOut": (
        constant(f"{DNS}region_admission_ratio", 0, **AT_GATEWAY, region="eu"),
        {"namespace": "v", "region": "eu"},
        constant(f"{DNS}region_admission_ratio", 0, **AT_GATEWAY, region="eu")
        | constant(f"{DNS}region_admission_ratio", 0.1, namespace="v", pod="other", region="eu"),
        10,
    ),
    "VoxFleetDnsReloadFails": (
        {series(f"{DNS}reload_failures_total", **AT_GATEWAY): f"0x15 1x{HOUR}"},
        {"namespace": "v"},
        constant(f"{DNS}reload_failures_total", 1, **AT_GATEWAY),
        HOUR,
    ),
    "VoxFleetRegistryInvalid": (
        constant(f"{GATEWAY}registry_invalid", 1, **AT_GATEWAY),
        {"namespace": "v"},
        constant(f"{GATEWAY}registry_invalid", 0, **AT_GATEWAY),
        10,
    ),
    "VoxFleetApiKeysInvalid": (
        constant(f"{GATEWAY}api_keys_invalid", 2, **AT_GATEWAY),
        {"namespace": "v"},
        constant(f"{GATEWAY}api_keys_invalid", 0, **AT_GATEWAY) | constant(f"{GATEWAY}api_keys", 9, **AT_GATEWAY),
        10,
    ),
    "VoxFleetReloadFails": (
        rising(f"{GATEWAY}reload_failures_total", 60, **AT_GATEWAY, what="tenants"),
        AT_GATEWAY | {"what": "tenants"},
        {series(f"{GATEWAY}reload_failures_total", **AT_GATEWAY, what="keys"): "0x5 3x60"},  # one unlucky look or three
        20,
    ),
    "VoxFleetSpotUnavailable": (degraded("SpotUnavailable"), MODEL, degraded("LoadUnknown"), 70),
    "VoxFleetOperatorMissing": (SERVED, {}, constant(f"{OPERATOR}resources", 0), 10),
    "VoxFleetReconcileErrors": (
        rising(f"{OPERATOR}reconcile_errors_total", 6, reason="forbidden"),
        {"reason": "forbidden"},
        rising(f"{OPERATOR}reconcile_errors_total", 60, reason="conflict"),
        30,
    ),
    "VoxFleetWorkqueueStalled": (
        rising(f"{OPERATOR}workqueue_oldest_seconds", 60, **AT_GATEWAY),
        AT_GATEWAY,
        constant(f"{OPERATOR}workqueue_oldest_seconds", 120, **AT_GATEWAY),
        30,
    ),
    "VoxFleetEngineRestarts": (
        rising("voxfleet_inference_engine_restarts_total", 0.2, **REGION, pod="p"),
        REGION | {"pod": "p"},
        {series("voxfleet_inference_engine_restarts_total", **REGION, pod="p"): "0x5 1x60"},
        40,
    ),
    "VoxFleetUnderruns": (
        rising(f"{INFERENCE}audio_seconds_total", 1600, **REGION, pod="p")
        | rising(f"{INFERENCE}underruns_total", 500, **REGION, pod="p"),
        REGION,
        rising(f"{INFERENCE}audio_seconds_total", 1600, **REGION, pod="p")
        | rising(f"{INFERENCE}underruns_total", 50, **REGION, pod="p"),
        30,
    ),
    "VoxFleetTruncatedSentences": (
        rising(f"{INFERENCE}sentences_total", 100, **REGION, pod="p")
        | rising(f"{INFERENCE}truncated_sentences_total", 5, **REGION, pod="p"),
        REGION,
        rising(f"{INFERENCE}sentences_total", 100, **REGION, pod="p")
        | rising(f"{INFERENCE}truncated_sentences_total", 1, **REGION, pod="p"),
        HOUR + 10,
    ),
    "VoxFleetIdleGpuCost": (
        constant(f"{OPERATOR}ready_replicas", 1, **REGION, pool="spot") | requests("200", 0),
        REGION,
        constant(f"{OPERATOR}ready_replicas", 1, **REGION, pool="spot") | SERVED,
        4 * HOUR,
    ),
}


# Metrics of the gateway that no alert reads, each with its reason; a new metric gets the one or the other.
WITHOUT_ALERT = {
    "figures, good or bad only by a goal": {
        "first_byte_seconds", "decision_seconds", "overhead_seconds", "open_requests", "servable_pods",
        "held_seconds", "wakes_total", "wake_seconds", "api_keys", "bodies_bytes", "bodies_limit_bytes",
        "tenant_requests_total", "tenant_characters_total", "tenant_audio_seconds_total",
        "spills_total", "spills_received_total", "rtt_samples_total", "rtt_groups", "voice_checks_total",
    },
    "health checks of load balancers, which send no PROXY header, count too": {"proxy_header_failures_total"},
    "a tenant's own limit": {"tenant_rejections_total"},
    "no client sees it, and VoxFleetPodEjected fires when it lasts": {
        "upstream_failures_total", "retries_total", "ejections_total",
    },
    "VoxFleetCircuitOpen reads its counter": {"open_circuits"},
    "a request that could not be handed over is held here again": {"handovers_total"},
    "of the fleet page alone, and its log line has the cause": {"unreadable_decisions_total"},
}  # fmt: skip


DNS_WITHOUT_ALERT = {
    "figures, good or bad only by a goal": {"answers_total", "solve_seconds", "overload_ratio"},
    "VoxFleetDnsFallback fires when they last": {"solve_failures_total"},
    "VoxFleetDnsRegionOut fires when they last": {"report_failures_total", "report_age_seconds"},
    "any client may ask for what is refused": {"failed_requests_total"},
}


@pytest.mark.parametrize(
    ("registry", "prefix", "without_alert"),
    [(REGISTRY, GATEWAY, WITHOUT_ALERT), (DNS_REGISTRY, DNS, DNS_WITHOUT_ALERT)],
    ids=["gateway", "dns"],
)
def test_every_metric_has_an_alert_or_a_reason_for_none(
    registry: CollectorRegistry, prefix: str, without_alert: dict[str, set[str]]
) -> None:
    suffixes = {"counter": "_total"}
    families = [family for family in registry.collect() if family.name.startswith(prefix)]
    names = {family.name.removeprefix(prefix) + suffixes.get(family.type, "") for family in families}
    in_rules = {name for rule in RULES for name in re.findall(rf"{prefix}(\w+)", rule["expr"])}
    reasoned = {name for listed in without_alert.values() for name in listed}
    assert names - in_rules == reasoned


@pytest.fixture(scope="session")
def promtool(testbed_settings: Settings) -> Path:
    programs = find_programs(testbed_settings)
    with skipping(testbed_settings):
        build(programs, ["promtool"])
    return programs.path("promtool")


@pytest.fixture(scope="session")
def rules_file(render: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    rendered = render({"alerts": {"enabled": True}}, api_versions="monitoring.coreos.com/v1")
    (rule,) = [each for each in rendered if each["kind"] == "PrometheusRule"]
    path: Path = tmp_path_factory.mktemp("rules") / "rules.yaml"
    path.write_text(yaml.safe_dump(rule["spec"]))
    return path


def unit_test(alert: str, given: Series, at_minutes: int, *fires: dict[str, str]) -> dict[str, Any]:
    """One case of `promtool test rules`: which series of the alert are firing at that time."""
    query = f'ALERTS{{alertname="{alert}", alertstate="firing"}}'
    severity = next(rule["severity"] for rule in RULES if rule["alert"] == alert)
    own = {"alertname": alert, "alertstate": "firing", "severity": severity}
    expected = [{"labels": series("ALERTS", **own, **labels), "value": 1} for labels in fires]
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in given.items()],
        "promql_expr_test": [{"expr": query, "eval_time": f"{at_minutes}m", "exp_samples": expected}],
    }


def test_every_alert_has_a_case() -> None:
    assert set(CASES) == {rule["alert"] for rule in RULES}


def test_prometheus_accepts_the_rules(promtool: Path, rules_file: Path) -> None:
    checked = subprocess.run(
        [promtool, "check", "rules", "--lint=all", "--lint-fatal", rules_file],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{len(RULES)} rules found" in checked.stdout


@pytest.mark.parametrize("alert", CASES)
def test_an_alert_fires_when_it_should_and_only_then(
    promtool: Path, rules_file: Path, tmp_path: Path, alert: str
) -> None:
    bad, labels, good, at_minutes = CASES[alert]
    waits_minutes = next(rule for rule in RULES if rule["alert"] == alert).get("for")
    tests = [unit_test(alert, bad, at_minutes, labels), unit_test(alert, good, at_minutes)]
    if waits_minutes:
        tests.append(unit_test(alert, bad, 1))
    cases = tmp_path / "cases.yaml"
    cases.write_text(yaml.safe_dump({"rule_files": [str(rules_file)], "evaluation_interval": "1m", "tests": tests}))
    ran = subprocess.run([promtool, "test", "rules", cases], capture_output=True, text=True, check=False, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr
