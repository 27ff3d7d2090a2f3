"""What an attempt says of itself; real connections are in tests/integration/charts/network_policies."""

from __future__ import annotations

from voxfleet_testbed.policies.connections import Attempt


def test_an_attempt_names_both_ends() -> None:
    assert str(Attempt(42, "10.64.1.2", 53, "UDP")) == "UDP from the namespace of 42 to 10.64.1.2 port 53"
