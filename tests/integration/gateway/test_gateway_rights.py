"""The rights that docs/gateway-settings.md lists are enough for a gateway."""

import json
from pathlib import Path
from typing import Any

import pytest

RBAC = "/apis/rbac.authorization.k8s.io/v1"
DEMAND_RULES = [
    {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "list", "watch", "patch"]}
]
SYSTEM_RULES = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]}]
EVERYWHERE_RULES = [{"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]}]


def grant(stage: Any, namespace: str | None, rules: list[dict[str, Any]]) -> None:
    """A role and its binding, in one namespace or everywhere."""
    kind, plural = ("Role", "roles") if namespace else ("ClusterRole", "clusterroles")
    where = f"{RBAC}/namespaces/{namespace}" if namespace else RBAC
    metadata = {"name": f"gateway-{stage.number}"} | ({"namespace": namespace} if namespace else {})
    subject = {"kind": "ServiceAccount", "name": "gateway", "namespace": stage.system}
    common = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": metadata}
    stage.api.apply(f"{where}/{plural}/{metadata['name']}", common | {"kind": kind, "rules": rules})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": metadata["name"]}
    stage.api.apply(
        f"{where}/{kind.lower()}bindings/{metadata['name']}",
        common | {"kind": f"{kind}Binding", "roleRef": role, "subjects": [subject]},
    )


@pytest.fixture
def limited(stage: Any, tmp_path: Path) -> str:
    """The kubeconfig of a service account with the documented rights."""
    accounts = f"/api/v1/namespaces/{stage.system}/serviceaccounts"
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "gateway", "namespace": stage.system}}
    stage.api.apply(f"{accounts}/gateway", account)
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token = stage.api.request("POST", f"{accounts}/gateway/token", asked)["status"]["token"]
    grant(stage, stage.demand, DEMAND_RULES)
    grant(stage, stage.system, SYSTEM_RULES)
    grant(stage, None, EVERYWHERE_RULES)
    config = json.loads(Path(stage.kubeconfig).read_text())
    config["users"][0]["user"] = {"token": token}
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(config))
    return str(path)


async def test_the_documented_rights_are_enough(
    stage: Any, limited: str, new_pod: Any, start_gateway: Any, speak: Any, meanwhile: Any
) -> None:
    stage.put_lease("eu-central")
    stage.put_model([stage.region("eu-central")])
    gateway = await start_gateway(VOXFLEET_KUBECONFIG=limited)
    async with meanwhile(speak(gateway)) as asked:
        await gateway.until(lambda: stage.lease("eu-central")["spec"].get("renewTime"), "renewal")
        stage.put_pods("eu-central", await new_pod())
        assert (await asked).status == 200
    complaints = [line["event"] for line in gateway.lines if line.get("level") in {"warning", "error"}]
    assert complaints == ["open_gateway"], "without keys it is open, and logs so"
