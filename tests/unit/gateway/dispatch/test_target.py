"""A pod as the target of an attempt."""

from typing import Any

from voxfleet_gateway.decisions.caller import ANONYMOUS, Caller
from voxfleet_gateway.decisions.pods.pod_state import PodAddress, PodEndpoint, PodState
from voxfleet_gateway.dispatch.target import PodTarget, Target
from voxfleet_gateway.regions import RegionKey


def test_a_pod_gets_the_callers_tenant_and_priority_and_nothing_of_an_anonymous_one() -> None:
    unused: Any = None
    pod = PodState(PodEndpoint(PodAddress("10.0.0.1")))
    target: Target = PodTarget(RegionKey("d", "n", "eu"), unused, pod, unused, unused)
    assert target.identity(Caller("acme", priority=2)) == {"Voxfleet-Tenant": "acme", "Voxfleet-Priority": "2"}
    assert target.identity(ANONYMOUS) == {}
    assert target.url("/v1/audio/speech") == "http://10.0.0.1:6006/v1/audio/speech"
