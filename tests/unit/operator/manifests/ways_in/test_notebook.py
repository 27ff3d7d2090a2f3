"""A notebook: TLS only, no rights in the cluster, a token that no manifest has, files that outlive it."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from voxfleet_operator.decisions.ways_in import Way, WaysIn
from voxfleet_operator.manifests import Entry, Installation
from voxfleet_operator.manifests.ways_in import token_secret, ways_in_objects
from voxfleet_operator.resources import Resource

Resources = Callable[..., Resource]
OWN_TLS: dict[str, Any] = {"enabled": True, "tlsSecretName": "lab-tls"}
BEHIND_INGRESS = OWN_TLS | {"host": "lab.example.com"}


def made(resource: Resource, installation: Installation) -> dict[str, dict[str, Any]]:
    objects = ways_in_objects(resource, WaysIn(frozenset({Way.NOTEBOOK})), installation)
    return {manifest.kind.removesuffix(" of a notebook"): manifest.body for manifest in objects}


def container(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    (only,) = found["StatefulSet"]["spec"]["template"]["spec"]["containers"]
    return dict(only)


def test_its_own_tls_without_a_host(resource: Resources, installation: Installation) -> None:
    found = made(resource(notebook=OWN_TLS), installation)
    assert list(found) == ["NetworkPolicy", "Service", "StatefulSet"], "the policy before the pod"
    arguments = container(found)["args"]
    assert "--ServerApp.certfile=/var/run/voxfleet/tls/tls.crt" in arguments
    assert "--ServerApp.keyfile=/var/run/voxfleet/tls/tls.key" in arguments
    assert container(found)["readinessProbe"]["httpGet"]["scheme"] == "HTTPS"
    volumes = found["StatefulSet"]["spec"]["template"]["spec"]["volumes"]
    assert {"name": "tls", "secret": {"secretName": "lab-tls"}} in volumes


def test_the_ingress_has_the_certificate_of_its_own_host(resource: Resources, installation: Installation) -> None:
    found = made(
        resource(notebook=BEHIND_INGRESS, ingress={"className": "nginx", "host": "t.example.com"}), installation
    )
    ingress = found["Ingress"]
    assert (ingress["kind"], ingress["metadata"]["namespace"]) == ("Ingress", "default")
    assert ingress["spec"]["tls"] == [{"hosts": ["lab.example.com"], "secretName": "lab-tls"}]
    assert ingress["spec"]["ingressClassName"] == "nginx"
    backend = ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
    assert backend == {"name": found["Service"]["metadata"]["name"], "port": {"number": 8888}}
    assert not [each for each in container(found)["args"] if "certfile" in each]


@pytest.mark.parametrize("notebook", [OWN_TLS, BEHIND_INGRESS])
def test_it_has_no_account_and_no_privilege(
    resource: Resources, installation: Installation, notebook: dict[str, Any]
) -> None:
    trusted = resource(notebook=notebook, podTemplate={"serviceAccountName": "admin"})
    spec = made(trusted, installation)["StatefulSet"]["spec"]["template"]["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert "serviceAccountName" not in spec, "the servers' account is not a notebook's"
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert container(made(trusted, installation))["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_no_server_is_taken_for_a_notebook_nor_the_other_way_round(
    resource: Resources, installation: Installation
) -> None:
    found = made(resource(notebook=OWN_TLS), installation)
    labels = found["StatefulSet"]["spec"]["template"]["metadata"]["labels"]
    assert "voxfleet.dev/deployment" not in labels
    for selector in (
        found["StatefulSet"]["spec"]["selector"]["matchLabels"],
        found["Service"]["spec"]["selector"],
        found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
    ):
        assert selector == {"voxfleet.dev/notebook": "narrator"}
        assert selector.items() <= labels.items()


def test_the_token_comes_from_a_secret_that_is_created_and_in_no_object(
    resource: Resources, installation: Installation
) -> None:
    path, body = token_secret(resource(notebook=OWN_TLS), "a-token")
    assert path == "/api/v1/namespaces/default/secrets"
    assert body["metadata"]["ownerReferences"][0]["uid"] == "u1"
    found = made(resource(notebook=OWN_TLS), installation)
    (variable,) = [each for each in container(found)["env"] if each["name"] == "JUPYTER_TOKEN"]
    assert variable["valueFrom"]["secretKeyRef"] == {"name": body["metadata"]["name"], "key": "token"}
    assert "token" in body["stringData"]
    assert "a-token" not in json.dumps(found)


def test_files_outlive_it_and_it_stops_when_the_deployment_is_suspended(
    resource: Resources, installation: Installation
) -> None:
    spec = made(resource(notebook=OWN_TLS | {"size": "1Gi"}), installation)["StatefulSet"]["spec"]
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    (claim,) = spec["volumeClaimTemplates"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "1Gi"
    assert "voxfleet.dev/deployment" not in claim["metadata"]["labels"], "claims of that label are deleted"
    assert spec["replicas"] == 1
    assert made(resource(notebook=OWN_TLS, suspend=True), installation)["StatefulSet"]["spec"]["replicas"] == 0


@pytest.mark.parametrize(("gateway_tls", "scheme"), [(False, "http"), (True, "https")])
def test_a_cell_finds_the_gateways_and_its_model(
    resource: Resources, installation: Installation, *, gateway_tls: bool, scheme: str
) -> None:
    with_tls = replace(installation, entry=Entry(gateway_tls=gateway_tls))
    variables = container(made(resource(notebook=OWN_TLS), with_tls))["env"]
    given = {each["name"]: each.get("value") for each in variables}
    assert given["VOXFLEET_URL"] == f"{scheme}://gw.voxfleet-system.svc:6006"
    assert given["VOXFLEET_MODEL"] == "default/narrator", "this name is its own, whatever others are called"


def test_jupyter_finds_its_pages_and_kernels_beside_its_packages(
    resource: Resources, installation: Installation
) -> None:
    """Installed into a folder of its own, it would look for them below Python's prefix, and serve an error page."""
    given = {
        each["name"]: each.get("value") for each in container(made(resource(notebook=OWN_TLS), installation))["env"]
    }
    packages, servers = given["PYTHONPATH"].split(":")
    dockerfile = (Path(__file__).parents[5] / "inference" / "Dockerfile").read_text()
    assert f"--target {packages} " in dockerfile
    assert f"ENV PYTHONPATH=/opt/voxfleet/src:{servers} " in dockerfile, "NumPy is one of the server's packages"
    assert given["JUPYTERLAB_DIR"] == f"{packages}/share/jupyter/lab"
    assert given["JUPYTER_PATH"] == f"{packages}/share/jupyter"
