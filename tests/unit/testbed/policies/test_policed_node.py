"""Where the control plane of a policed node listens."""

from __future__ import annotations

from voxfleet_testbed.network.addresses import CANDIDATES, Layout
from voxfleet_testbed.policies.policed_node import host_endpoints

LAYOUT = Layout(CANDIDATES[0])


def test_pods_reach_the_api_server_across_the_link() -> None:
    found = host_endpoints(LAYOUT)
    assert found.server == f"https://{LAYOUT.host}:6443"
    assert found.advertised
