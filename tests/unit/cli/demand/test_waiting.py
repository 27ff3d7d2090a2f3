"""A wait for several regions: changes are shown once, and each region ends by itself."""

from datetime import UTC, datetime
from typing import Any

import pytest
from voxfleet_cli.cluster import Cluster
from voxfleet_cli.demand import waiting
from voxfleet_cli.demand.progress import Outcome
from voxfleet_cli.demand.progress import waking as judge_wake
from voxfleet_cli.demand.regions import DemandRegion
from voxfleet_cli.demand.waiting import Asked, Ended, wait_for

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
PATH = "/apis/voxfleet.dev/v1alpha1/namespaces/apps/voxttsdeployments/narrator"


def states(*phases: str) -> dict[str, Any]:
    regions = [
        {"name": name, "phase": phase, "message": f"{name} is {phase}", "readyReplicas": 1}
        for name, phase in zip(("eu", "us"), phases, strict=True)
    ]
    return {"metadata": {"namespace": "apps", "name": "narrator"}, "status": {"regions": regions}}


def asked(cluster: Cluster) -> list[Asked]:
    return [Asked(DemandRegion("apps", "narrator", name, cluster), NOW) for name in ("eu", "us")]


def test_each_change_is_shown_once_and_each_region_ends_by_itself(
    served: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    api, _ = served
    steps = [
        states("Waking", "Waking"),
        states("Waking", "Awake"),
        None,
        states("Waking", "Awake"),
        states("Awake", "Awake"),
    ]

    def step(_seconds: float) -> None:
        found = steps.pop(0)
        api.objects.update({PATH: found}) if found else api.objects.pop(PATH)

    monkeypatch.setattr(waiting.time, "sleep", lambda seconds: step(seconds) if steps else None)
    step(0)
    cluster = Cluster(api.kubeconfig)
    ended = wait_for(cluster, states("", ""), asked(cluster), lambda each, found: judge_wake(found, each.asked_at), 60)
    assert [(each.region, each.outcome) for each in ended] == [("eu", Outcome.AWAKE), ("us", Outcome.AWAKE)]
    shown = capsys.readouterr().err
    assert [shown.count(f"{name}  Waking  {name} is Waking") for name in ("eu", "us")] == [1, 1]


def test_a_wait_that_is_over_says_where_it_was(served: Any) -> None:
    api, _ = served
    api.objects[PATH] = states("Waking", "Awake")
    cluster = Cluster(api.kubeconfig)
    eu, us = wait_for(
        cluster, states("", ""), asked(cluster), lambda each, found: judge_wake(found, each.asked_at), 0.01
    )
    assert (eu.outcome, eu.phase, eu.text, us.outcome) == (Outcome.TIMED_OUT, "Waking", "eu is Waking", Outcome.AWAKE)
    assert eu.line("").startswith("region eu: timed out after ")


def test_the_line_of_a_region() -> None:
    assert Ended("eu", Outcome.REQUESTED).line("asked to wake") == "region eu: asked to wake"
    assert (
        Ended("eu", Outcome.AWAKE, 41.23, "Awake", "node 24.0").line("") == "region eu: awake after 41.2 s (node 24.0)"
    )
