"""Voices on volumes, on a real API server: a claim for each gateway, kept when the release is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conftest import Cluster

APPS = "/apis/apps/v1/namespaces/voxfleet-system"
CLAIMS = "/api/v1/namespaces/voxfleet-system/persistentvolumeclaims"
PODS = "/api/v1/namespaces/voxfleet-system/pods"


def names(listed: dict[str, Any]) -> set[str]:
    return {each["metadata"]["name"] for each in listed["items"]}


def test_every_gateway_gets_a_claim_that_outlives_the_setting(installed: Cluster) -> None:
    regions = ("eu-central", "us-east")
    sets = {f"voxfleet-gateway-{region}" for region in regions}
    chart = installed.chart("voxfleet")
    settings = ("gateway.replicas=2", "gateway.voices.persistence.enabled=true")
    flags = [part for setting in settings for part in ("--set", setting)]
    installed.run_helm("upgrade", "voxfleet", chart, "--reuse-values", *flags)
    wanted = {f"voices-{name}-{number}" for name in sets for number in range(2)}
    installed.api.wait_for(CLAIMS, lambda listed: names(listed) == wanted, 60)
    # A restricted namespace admits the StatefulSets' pods too; both at once, although none becomes ready here.
    pods = {f"{name}-{number}" for name in sets for number in range(2)}
    installed.api.wait_for(PODS, lambda listed: pods <= names(listed), 60)
    assert names(installed.api.get(f"{APPS}/statefulsets")) == sets
    assert not sets & names(installed.api.get(f"{APPS}/deployments"))
    installed.install()  # with the values of before
    installed.api.wait_for(f"{APPS}/statefulsets", lambda listed: not listed["items"], 60)
    assert sets <= names(installed.api.get(f"{APPS}/deployments"))
    assert names(installed.api.get(CLAIMS)) == wanted
    for name in wanted:
        installed.api.delete(f"{CLAIMS}/{name}")
