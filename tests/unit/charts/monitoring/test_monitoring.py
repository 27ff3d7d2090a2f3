"""Dashboards and alerts name only metrics that exist, and are rendered where they can be used."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import voxfleet_gateway.telemetry  # noqa: F401  # defines the gateway's metrics in REGISTRY
import yaml
from prometheus_client import REGISTRY
from voxfleet_gateway.dns.telemetry import REGISTRY as DNS_REGISTRY
from voxfleet_inference.telemetry.metrics import Metrics as InferenceMetrics
from voxfleet_operator.telemetry import Metrics as OperatorMetrics
from voxfleet_testbed.settings import REPOSITORY

Manifest = dict[str, Any]
Render = Callable[..., list[Manifest]]

CRDS = "monitoring.coreos.com/v1"
ENABLED = {"alerts": {"enabled": True}, "podMonitors": {"enabled": True}, "dashboards": {"enabled": True}}
RUNBOOKS = REPOSITORY / "docs" / "runbooks"
RULES = yaml.safe_load((REPOSITORY / "charts/voxfleet/files/alerts.yaml").read_text())
BOARDS = {
    path.stem: yaml.safe_load(path.read_text())
    for path in sorted((REPOSITORY / "charts/voxfleet/files/dashboards").iterdir())
}
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}
# Labels that metrics of pods get when they are scraped (templates/monitoring/pod-monitors.yaml).
TARGET_LABELS = {"namespace", "pod"}
INFERENCE_LABELS = TARGET_LABELS | {"name", "region", "pool"}


def series() -> dict[str, set[str]]:
    """The name of every series of the three parts, with its labels."""
    found = {}
    operator = OperatorMetrics()
    operator.observe(list, float, float)  # the gauges that it reads off resources
    for registry in (REGISTRY, DNS_REGISTRY, operator.registry, InferenceMetrics().registry):
        names = getattr(registry, "_collector_to_names")  # noqa: B009  # metrics without a sample have their labels here
        for collector in names:
            labels = set(getattr(collector, "_labelnames", ()))
            for family in collector.collect():
                added = INFERENCE_LABELS if family.name.startswith("voxfleet_inference") else TARGET_LABELS
                of_family = getattr(family, "_labelnames", ())
                of_samples = {label for sample in family.samples for label in sample.labels}
                for suffix in SUFFIXES.get(family.type, ("",)):
                    extra = {"le"} if suffix == "_bucket" else set()
                    found[family.name + suffix] = labels | of_samples | set(of_family) | added | extra
    return found


def queries() -> Iterator[tuple[str, str, str]]:
    """Every query with its place, and the text that uses its labels."""
    for rule in RULES:
        yield rule["alert"], rule["expr"], rule["summary"] + rule["description"]
    for name, board in BOARDS.items():
        for variable in board["variables"]:
            yield f"{name} ${variable['name']}", variable["query"], ""
        for panel in board["panels"]:
            for legend, query in panel["queries"].items():
                yield f"{name} {panel['title']}", query, legend


QUERIES = list(queries())
SERIES = series()


@pytest.mark.parametrize(("place", "query", "text"), QUERIES, ids=[place for place, _, _ in QUERIES])
def test_every_query_names_metrics_and_labels_that_exist(place: str, query: str, text: str) -> None:
    named = re.findall(r"\bvoxfleet_\w+", query)
    assert named, place
    assert set(named) <= set(SERIES), set(named) - set(SERIES)
    labels = set.union(*(SERIES[name] for name in named))
    for metric, matchers in re.findall(r"(\w+)\{([^}]*)\}", query):
        matched = set(re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"', matchers))
        assert matched <= SERIES[metric], (metric, matched - SERIES[metric])
    grouped = {label.strip() for group in re.findall(r"by \(([^)]*)\)", query) for label in group.split(",")}
    shown = set(re.findall(r"\{\{ ?(?:\$labels\.)?(\w+) ?\}\}", text)) - {"value"}
    assert grouped <= labels, grouped - labels
    assert shown <= (grouped or labels), shown


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    names = [rule["alert"] for rule in RULES]
    assert len(set(names)) == len(names)
    assert {path.stem for path in RUNBOOKS.iterdir()} == set(names)
    for name in names:
        text = (RUNBOOKS / f"{name}.md").read_text()
        headings = re.findall(r"^#+ (.*)$", text.replace("# by reason", "").replace("# conditions", ""), re.MULTILINE)
        assert headings == [name, "What it means", "What to look at", "What to do"]
        assert "kubectl " in text
        assert f"[{name}](runbooks/{name}.md)" in (REPOSITORY / "docs" / "monitoring.md").read_text()


def test_runbooks_link_to_pages_that_exist() -> None:
    for page in RUNBOOKS.iterdir():
        for link in re.findall(r"\]\(([^)#]+)", page.read_text()):
            assert (RUNBOOKS / link).exists(), (page.name, link)


def test_a_label_of_refusals_is_a_code_of_the_gateway() -> None:
    text = (REPOSITORY / "docs" / "gateway-responses.md").read_text()
    reasons = next(rule["expr"] for rule in RULES if rule["alert"] == "VoxFleetRefusals")
    for reason in re.findall(r'reason=~"([^"]+)"', reasons)[0].split("|"):
        assert f"`{reason}`" in text, reason


def test_nothing_is_rendered_by_default(manifests: list[Manifest]) -> None:
    assert not [each for each in manifests if each["kind"] in {"PodMonitor", "PrometheusRule", "ConfigMap"}]


def test_dashboards_need_no_crd_and_alerts_do(render: Render) -> None:
    without = render(ENABLED)
    assert {each["kind"] for each in without} & {"PodMonitor", "PrometheusRule", "ConfigMap"} == {"ConfigMap"}
    rendered = render(ENABLED, api_versions=CRDS)
    kinds = [each["kind"] for each in rendered]
    assert kinds.count("PodMonitor") == 3
    assert kinds.count("PrometheusRule") == 1


def test_notes_say_that_crds_are_missing(helm: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    chart = tmp_path / "voxfleet"
    shutil.copytree(REPOSITORY / "charts/voxfleet", chart)
    (chart / "templates/NOTES.txt").rename(chart / "notes")  # `helm template` leaves notes out
    (chart / "templates/notes.yaml").write_text('notes: {{ tpl (.Files.Get "notes") . | quote }}')

    def notes(values: Manifest, *served: str) -> str:
        return helm(
            "template", str(chart), "--kube-version", "1.34.4", *served, "-s", "templates/notes.yaml", values=values
        ).stdout

    assert "none were created" in notes(ENABLED)
    assert "none were created" not in notes(ENABLED, "--api-versions", CRDS)
    assert "rollout status" in notes({})
    assert "none were created" not in notes({})


def test_every_dashboard_is_what_grafana_reads(render: Render) -> None:
    labels = {"grafana_dashboard": "1"}
    found = [each for each in render(ENABLED) if each["metadata"]["name"].startswith("voxfleet-dashboard-")]
    assert len(found) == len(BOARDS) == 5
    uids = set()
    for manifest in found:
        assert labels.items() <= manifest["metadata"]["labels"].items()
        ((file_name, text),) = manifest["data"].items()
        dashboard, given = json.loads(text), BOARDS[file_name.removeprefix("voxfleet-").removesuffix(".json")]
        uids.add(dashboard["uid"])
        assert dashboard["title"] == given["title"]
        assert [each["name"] for each in dashboard["templating"]["list"][1:]] == [
            each["name"] for each in given["variables"]
        ]
        for panel, wanted in zip(dashboard["panels"], given["panels"], strict=True):
            assert {each["legendFormat"]: each["expr"] for each in panel["targets"]} == wanted["queries"]
            assert len({each["refId"] for each in panel["targets"]}) == len(wanted["queries"])
        places = {(each["gridPos"]["x"], each["gridPos"]["y"]) for each in dashboard["panels"]}
        assert len(places) == len(dashboard["panels"])
    assert len(uids) == len(found)


def test_values_are_used(render: Render) -> None:
    values: Manifest = {
        "alerts": {
            "enabled": True,
            "labels": {"release": "a"},
            "runbookBaseUrl": "https://e.example/r/",
            "runbookSuffix": ".html",
        },
        "podMonitors": {"enabled": True, "labels": {"release": "p"}},
        "dashboards": {
            "enabled": True,
            "namespace": "grafana",
            "labels": {"mine": "x"},
            "annotations": {"grafana_folder": "V"},
        },
    }
    rendered = render(values, api_versions=CRDS)
    (rule,) = [each for each in rendered if each["kind"] == "PrometheusRule"]
    assert rule["metadata"]["labels"]["release"] == "a"
    first = rule["spec"]["groups"][0]["rules"][0]
    assert first["annotations"]["runbook_url"] == "https://e.example/r/VoxFleetRegionFailed.html"
    monitors = [each for each in rendered if each["kind"] == "PodMonitor"]
    assert {each["metadata"]["labels"]["release"] for each in monitors} == {"p"}
    boards = [each for each in rendered if each["kind"] == "ConfigMap"]
    assert {each["metadata"]["namespace"] for each in boards} == {"grafana"}
    assert all(each["metadata"]["labels"]["mine"] == "x" for each in boards)
    assert all(each["metadata"]["annotations"] == {"grafana_folder": "V"} for each in boards)
