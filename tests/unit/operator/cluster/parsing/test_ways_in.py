"""What Gateways and a StatefulSet say, read from their status."""

from typing import Any

import pytest
from voxfleet_operator.cluster.parsing.pods import Receipt
from voxfleet_operator.cluster.parsing.ways_in import parse_notebook, parse_route

NOW = Receipt(0.0, is_listing=False)
REFUSED = {"type": "Accepted", "status": "False", "reason": "NoMatchingParent", "message": "no section tls"}


def route(*conditions: dict[str, Any], **parent: str) -> tuple[str, ...]:
    status = {"parents": [{"parentRef": {"name": "public", **parent}, "conditions": list(conditions)}]}
    return parse_route({"metadata": {"namespace": "default"}, "status": status}, None, NOW).refusals


def test_what_a_gateway_refuses_has_its_own_words() -> None:
    assert route(REFUSED) == ("default/public: NoMatchingParent: no section tls",)
    assert route(REFUSED, namespace="infra")[0].startswith("infra/public: ")
    unresolved = {"type": "ResolvedRefs", "status": "False", "reason": "RefNotPermitted"}
    assert route(unresolved) == ("default/public: RefNotPermitted",)


def test_what_is_accepted_or_of_another_type_is_no_refusal() -> None:
    assert route({"type": "Accepted", "status": "True", "reason": "Accepted"}) == ()
    assert route({"type": "example.com/Programmed", "status": "False", "reason": "Pending"}) == ()
    assert parse_route({"metadata": {"namespace": "default"}}, None, NOW).refusals == ()


@pytest.mark.parametrize(("replicas", "ready", "is_settled"), [(1, 1, True), (1, 0, False), (0, 0, True)])
def test_a_notebook_is_settled_when_its_pod_is_ready_or_shall_not_run(
    replicas: int, ready: int, *, is_settled: bool
) -> None:
    body = {"spec": {"replicas": replicas}, "status": {"readyReplicas": ready} if ready else {}}
    assert parse_notebook(body, None, NOW).is_settled is is_settled
