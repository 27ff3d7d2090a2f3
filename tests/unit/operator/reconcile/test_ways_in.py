"""Ways in through the reconcile loop: few objects and calls, and nothing is sent twice."""

from dataclasses import replace
from typing import Any

import pytest
from voxfleet_operator.cluster.api import CONFLICT, ConflictError, KubernetesError
from voxfleet_operator.manifests import Entry

OPTIONAL = {"HTTPRoute", "ReferenceGrant", "PodMonitor"}
WAYS: dict[str, Any] = {
    "ingress": {"host": "tts.example.com"},
    "route": {"parentRefs": [{"name": "public"}]},
    "monitoring": {"podMonitor": True},
}
NOTEBOOK = {"enabled": True, "tlsSecretName": "tls", "host": "lab.example.com"}
SECRETS = "/api/v1/namespaces/default/secrets"


@pytest.fixture
def open_loop(loop: Any) -> Any:
    """An installation that offers everything, in a cluster that serves every kind."""
    entry = Entry(allowed_domains=("example.com",), has_notebooks=True)
    loop.reconciler.installation = replace(loop.reconciler.installation, entry=entry)
    loop.store.served |= OPTIONAL
    loop.api.created = []

    async def create(path: str, body: dict[str, Any]) -> dict[str, Any]:
        loop.api.requests.append(("POST", path))
        if path in loop.api.failing:
            raise loop.api.failing[path]
        loop.api.created.append(body)
        return body

    loop.api.create = create
    return loop


def kinds(loop: Any) -> list[str]:
    return sorted(body["kind"] for body in loop.api.objects.values() if "kind" in body)


async def test_one_region_with_ways_in_is_within_the_budget_and_a_second_run_sends_nothing(open_loop: Any) -> None:
    open_loop.create(**WAYS)
    await open_loop.reconcile()
    assert len(kinds(open_loop)) - 1 <= 14, kinds(open_loop)  # the resource itself is not made by the operator
    assert len(open_loop.api.requests) <= 20, open_loop.api.requests
    assert {"Ingress", "HTTPRoute", "ReferenceGrant", "PodMonitor"} <= set(kinds(open_loop))
    assert open_loop.condition("Degraded") == ("False", "AsExpected")
    await open_loop.reconcile()
    assert await open_loop.writes_of(2) == []


async def test_a_field_that_is_taken_out_takes_its_objects_away(open_loop: Any) -> None:
    open_loop.create(**WAYS)
    await open_loop.reconcile()
    before = kinds(open_loop)
    open_loop.change_spec(ingress={}, route={}, monitoring={})
    await open_loop.reconcile()
    assert set(before) - set(kinds(open_loop)) == {"Ingress", "HTTPRoute", "ReferenceGrant", "PodMonitor"}
    assert "NetworkPolicy" in kinds(open_loop), "it protects the servers"


async def test_what_lies_elsewhere_goes_with_a_deleted_resource(open_loop: Any) -> None:
    key = open_loop.create(**WAYS)
    await open_loop.reconcile()
    open_loop.api.remove(f"/apis/voxfleet.dev/v1alpha1/namespaces/default/voxttsdeployments/{key.name}")
    await open_loop.reconcile()
    assert not {"Ingress", "ReferenceGrant", "ConfigMap"} & set(kinds(open_loop))


async def test_the_token_is_created_while_the_pod_is_not_ready_and_never_again(open_loop: Any) -> None:
    open_loop.create(notebook=NOTEBOOK)
    await open_loop.reconcile()
    (secret,) = open_loop.api.created
    assert "Ingress" in kinds(open_loop)
    assert len(secret["stringData"]["token"]) >= 40
    path = "/apis/apps/v1/namespaces/default/statefulsets/narrator-notebook"
    open_loop.api.failing[SECRETS] = ConflictError(CONFLICT, "already exists")
    assert SECRETS in await open_loop.writes_of(1)
    assert open_loop.condition("Ready") == ("True", "Asleep"), "a token that exists is no failure"
    open_loop.api.put(path, lambda found: found.update(status={"readyReplicas": 1}))
    await open_loop.reconcile()
    assert await open_loop.writes_of(2) == []


async def test_a_token_that_cannot_be_created_is_a_condition(open_loop: Any) -> None:
    open_loop.create(notebook=NOTEBOOK)
    open_loop.api.failing[SECRETS] = KubernetesError(403, "secrets is forbidden")
    with pytest.raises(KubernetesError):
        await open_loop.reconcile()
    assert open_loop.condition("Stalled") == ("True", "ApplyFailed")


async def test_nothing_is_made_of_what_the_cluster_lacks_or_the_installation_forbids(loop: Any) -> None:
    loop.create(**WAYS, notebook=NOTEBOOK)
    await loop.reconcile()
    assert kinds(loop) == [
        "ConfigMap", "Deployment", "Lease", "NetworkPolicy", "Service", "Service", "VoxTTSDeployment",
    ]  # fmt: skip
    assert loop.condition("Degraded") == ("True", "KindNotServed")
    assert loop.condition("Ready") == ("True", "Asleep")
