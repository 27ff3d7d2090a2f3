"""What may be asked of which resource; each refusal has the way out."""

from typing import Any

import pytest
from voxfleet_cli.cluster import Cluster
from voxfleet_cli.demand.commands import Demand, check_can_sleep, check_can_wake, refusals
from voxfleet_cli.demand.progress import Outcome
from voxfleet_cli.demand.regions import regions_of
from voxfleet_cli.errors import RefusedError
from voxfleet_cli.options import Output


def resource(phase: str = "Awake", region: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "apps", "name": "narrator", "annotations": spec.pop("annotations", {})},
        "spec": {"regions": [{"name": "eu", **(region or {})}], **spec},
        "status": {"regions": [{"name": "eu", "phase": phase}]},
    }


PAUSED = {"voxfleet.dev/reconcile": "paused"}
MINIMUM = {"minReplicas": 2}
MAY_SLEEP = {"autoscaling": {"minReplicas": 0}}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (resource(suspend=True), "spec.suspend is true; set it to false: kubectl edit vtts -n apps narrator"),
        (resource(region={"suspend": True}), r"suspend of spec.regions\[eu\] is true"),
        (resource(annotations=PAUSED), "kubectl annotate vtts -n apps narrator voxfleet.dev/reconcile-"),
    ],
)
def test_what_does_not_wake(given: dict[str, Any], message: str) -> None:
    with pytest.raises(RefusedError, match=message):
        check_can_wake(given, "eu")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (resource(autoscaling=MINIMUM), "region eu never sleeps: autoscaling.minReplicas is 2; set it to 0"),
        (resource(region={"autoscaling": {"minReplicas": 1}}), "minReplicas is 1"),
        (resource(annotations=PAUSED), "reconcile: paused stops the operator"),
    ],
)
def test_what_does_not_sleep(given: dict[str, Any], message: str) -> None:
    with pytest.raises(RefusedError, match=message):
        check_can_sleep(given, "eu")


@pytest.mark.parametrize(
    "given",
    [
        resource(),
        resource(autoscaling=MINIMUM, region=MAY_SLEEP),
        resource("Suspended", suspend=True, autoscaling=MINIMUM),
    ],
)
def test_what_may_sleep(given: dict[str, Any]) -> None:
    check_can_sleep(given, "eu")


def test_of_all_regions_those_that_can_are_meant() -> None:
    two = resource()
    two["spec"]["regions"].append({"name": "us", "suspend": True})
    found = refusals(demand(two), check_can_wake, Outcome.SUSPENDED)
    assert [(each.region, each.outcome) for each in found.values()] == [("us", Outcome.SUSPENDED)]
    assert "set it to false" in found["us"].text
    with pytest.raises(RefusedError):
        refusals(demand(two, are_named=True), check_can_wake, Outcome.SUSPENDED)
    with pytest.raises(RefusedError, match=r"spec.suspend is true"):
        refusals(demand(resource(suspend=True)), check_can_wake, Outcome.SUSPENDED)


def demand(given: dict[str, Any], *, are_named: bool = False) -> Demand:
    cluster = Cluster()
    return Demand(cluster, given, regions_of(given, [], cluster, "d"), are_named, False, 1.0, Output.TEXT)
