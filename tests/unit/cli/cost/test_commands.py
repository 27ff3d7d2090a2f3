"""`voxfleet cost`: what is printed, from which resources."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner
from voxfleet_cli.__main__ import app
from voxfleet_cli.errors import AbsentError, UsageError

FOLDER = "/apis/voxfleet.dev/v1alpha1/namespaces/{}/voxttsdeployments"
ALL = "/apis/voxfleet.dev/v1alpha1/voxttsdeployments"
MONTH = {
    "month": "2025-03",
    "region": "eu-central",
    "onDemandSeconds": "36000",
    "onDemandPaid": "10.1",
    "spotSeconds": "7200000",
    "spotPaid": "700",
    "spotSaved": "1320",
    "asleepSeconds": "360000",
    "asleepCost": "101",
    "baselineGpus": 3,
}


def resource(name: str, *months: dict[str, Any], namespace: str = "apps") -> dict[str, Any]:
    cost = {"asOf": "2025-03-31T00:00:00Z", "gpuSeconds": "0", "months": [*months]}
    return {"metadata": {"namespace": namespace, "name": name}, "status": {"cost": cost} if months else {}}


@pytest.fixture
def cost(served: Any) -> Any:
    api, _ = served
    narrator = resource("narrator", MONTH)
    api.objects[FOLDER.format("apps")] = {"items": [resource("new"), narrator]}
    api.objects[FOLDER.format("apps") + "/narrator"] = narrator
    bare = {"month": "2025-03", "region": "us", "onDemandSeconds": "3600", "unpricedSeconds": "3600"}
    api.objects[ALL] = {"items": [resource("z", bare, namespace="z"), narrator]}

    def run(*arguments: str) -> Any:
        given = ["cost", "--month", "2025-03", "--kubeconfig", api.kubeconfig, *arguments]
        return CliRunner().invoke(app, given, catch_exceptions=True)

    return run


def test_the_table_of_the_contexts_namespace(cost: Any) -> None:
    result = cost()
    head, table, note, *_ = result.stdout.split("\n\n")
    assert head == "2025-03"
    header, on_demand, spot, total = table.splitlines()
    assert header.split("  ")[0] == "NAME"
    assert on_demand.split() == [
        "narrator", "eu-central", "on", "demand", "10.0", "1.010", "10.10", "300.0", "303.00", "69.6%",
    ]  # fmt: skip
    assert spot.split() == ["narrator", "eu-central", "spot", "2,000.0", "0.350", "700.00", "1,320.00"]
    assert total.split() == ["TOTAL", "2,010.0", "710.10", "300.0", "303.00", "1,320.00", "69.6%"]
    assert "peak (GPUs: eu-central 3)" in note
    assert "have no price" not in note
    assert result.stderr == "1 VoxTTSDeployments have no costs in their status yet\n"


def test_all_namespaces_and_missing_prices(cost: Any) -> None:
    result = cost("-A")
    header, first, _, last, _ = result.stdout.split("\n\n")[1].splitlines()
    assert (header.split()[0], first.split()[:2], last.split()[:2]) == ("NAMESPACE", ["apps", "narrator"], ["z", "z"])
    assert "1.0 GPU hours have no price: set pricePerGpuHour of their regions." in result.stdout


def test_json(cost: Any) -> None:
    found = json.loads(cost("narrator", "-o", "json").stdout)
    assert (found["month"], [row["pool"] for row in found["rows"]]) == ("2025-03", ["on demand", "spot"])
    assert (found["total"]["paid"], found["peaks"]) == (710.1, {"apps/narrator/eu-central": 3})


def test_a_month_without_figures(cost: Any) -> None:
    result = cost("narrator", "--month", "2024-01")
    assert (result.exit_code, result.stdout) == (0, "no GPU time was used or avoided in 2024-01\n")


def test_the_present_month_goes_on_until_now(cost: Any) -> None:
    assert " until 20" in cost("narrator", "--month", "").stdout


@pytest.mark.parametrize(
    ("arguments", "raised", "message"),
    [
        (["--month", "2026-13"], UsageError, "--month must be a year and a month, such as 2026-11, not '2026-13'"),
        (["-A", "narrator"], UsageError, "give no NAME and no -n beside it"),
        (["absent"], AbsentError, "-n names another namespace"),
        (["-n", "other"], AbsentError, "voxfleet-crds brings the kind"),
    ],
)
def test_what_goes_wrong_is_named(cost: Any, arguments: list[str], raised: type[Exception], message: str) -> None:
    result = cost(*arguments)
    assert isinstance(result.exception, raised)
    assert message in str(result.exception)
