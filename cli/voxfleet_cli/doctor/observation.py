"""Reads from a cluster what the checks need; whatever can't be read is a fact with its reason.

Knows: API paths, name resolution. Of Secrets it keeps names, counts and mistakes, never a value.
Does not know: what is right or wrong (checks).
"""

import base64
import binascii
import socket
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

import yaml

from voxfleet_cli.cluster import Body, Cluster
from voxfleet_cli.doctor.access_reviews import rights_of
from voxfleet_cli.doctor.facts import GATEWAY, Facts
from voxfleet_cli.doctor.needed_rights import DEMAND, OPERATOR_NEEDS, SYSTEM, USER_NEEDS, Need
from voxfleet_cli.doctor.observed import Right, Unread
from voxfleet_cli.doctor.remote_clusters import observe_remote_clusters
from voxfleet_cli.doctor.remote_facts import RemoteCluster
from voxfleet_cli.doctor.zone_facts import Zone
from voxfleet_cli.errors import AbsentError, ClusterError, ForbiddenError
from voxfleet_cli.keys.entries import stored_keys

OURS = quote("voxfleet.dev/deployment")
PATHS = {
    "version": "/version",
    "definition": "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/voxttsdeployments.voxfleet.dev",
    "resources": "/apis/voxfleet.dev/v1alpha1/voxttsdeployments",
    "nodes": "/api/v1/nodes",
    "pods": f"/api/v1/pods?labelSelector={OURS}",
    "storage classes": "/apis/storage.k8s.io/v1/storageclasses",
    "claims": f"/api/v1/persistentvolumeclaims?labelSelector={OURS}",
    "network policies": f"/apis/networking.k8s.io/v1/networkpolicies?labelSelector={OURS}",
    "node pools": "/apis/karpenter.sh/v1/nodepools",
    "cluster autoscaler": "/api/v1/namespaces/kube-system/configmaps/cluster-autoscaler-status",
}
SYSTEM_PATHS = {
    "system pods": "/api/v1/namespaces/{system}/pods?labelSelector=" + quote("app.kubernetes.io/name=voxfleet"),
    "system services": "/api/v1/namespaces/{system}/services",
    "zone file": "/api/v1/namespaces/{system}/configmaps/voxfleet-dns",
    "leases": "/apis/coordination.k8s.io/v1/namespaces/{demand}/leases",
}
OPERATOR_ACCOUNT = "system:serviceaccount:{system}:voxfleet-operator"


def observe(cluster: Cluster, system: str, demand: str) -> Facts:
    """Return everything that checks read. Raises ClusterError only when the API server does not respond at all."""
    cluster.get("/version")
    paths = PATHS | {name: path.format(system=system, demand=demand) for name, path in SYSTEM_PATHS.items()}
    objects = {name: _read(cluster, path) for name, path in paths.items()}
    keys, count = _keys(cluster, system, objects["system pods"])
    resources = objects["resources"]
    remotes = observe_remote_clusters(cluster, resources if isinstance(resources, list) else [], system, demand)
    return Facts(
        system_namespace=system,
        demand_namespace=demand,
        now=time.time() + cluster.clock_ahead_seconds,
        clock_ahead_seconds=cluster.clock_ahead_seconds,
        objects=objects,
        rights=(*_rights(cluster, system, demand, remotes),),
        resolved=_resolved(resources),
        zone=_zone(objects["zone file"], resources, system),
        remotes=remotes,
        mistaken_keys=keys,
        key_count=count,
    )


def _read(cluster: Cluster, path: str) -> list[Any] | Body | Unread:
    try:
        found = cluster.get(path)
    except ClusterError as error:
        return _unread(error)
    items = found.get("items")
    return items if isinstance(items, list) else found


def _unread(error: ClusterError) -> Unread:
    """Return why a fact is missing; of a missing right the right alone, since another check lists them all."""
    lacking = error.lacking if isinstance(error, ForbiddenError) else ""
    reason = f"you may not {lacking}, which this check needs" if lacking else str(error)
    return Unread(reason, is_absent=isinstance(error, AbsentError))


def _rights(cluster: Cluster, system: str, demand: str, remotes: Iterable[RemoteCluster]) -> list[Right]:
    account, namespaces = OPERATOR_ACCOUNT.format(system=system), {SYSTEM: system, DEMAND: demand}
    theirs = {region.namespace for each in remotes for region in each.regions}
    secrets = [Need("", "secrets", ("get",), namespace, "remote regions") for namespace in sorted(theirs)]
    return [
        *rights_of(cluster, "", USER_NEEDS, namespaces, "you"),
        *rights_of(cluster, account, OPERATOR_NEEDS, namespaces, "operator"),
        *rights_of(cluster, account, secrets, {name: name for name in theirs}, "operator's Secrets"),
    ]


def _zone(found: Any, resources: Any, system: str) -> Zone | Unread:
    """Return the zone of the chart's ConfigMap; `is_absent` where it serves none."""
    if not isinstance(found, Mapping):
        return found if isinstance(found, Unread) else Unread("was not observed")
    try:
        # Needs dnspython, which an installation without a zone does without.
        from voxfleet_cli.doctor.zone_queries import this_machines_client, zone_of  # noqa: PLC0415
    except ModuleNotFoundError as error:
        return Unread(f"queries need the Python package {error.name}: pip install dnspython")
    try:
        file = yaml.safe_load(found["data"]["zone.yaml"])
        return zone_of(file, resources if isinstance(resources, list) else [], this_machines_client())
    except (KeyError, TypeError, ValueError, AttributeError, yaml.YAMLError) as error:
        text = f"{type(error).__name__}: {error}"
        return Unread(f"ConfigMap {system}/voxfleet-dns has no usable zone.yaml: {text}")


def _resolved(resources: Any) -> dict[str, str]:
    """Return, for the host of each gatewayURL, why it has no address; an empty text where it has one."""
    found: dict[str, str] = {}
    for resource in resources if isinstance(resources, list) else []:
        for region in resource["spec"].get("regions") or []:
            host = urlsplit(region.get("gatewayURL") or "").hostname
            if host and host not in found:
                found[host] = _resolution_error(host)
    return found


def _resolution_error(host: str) -> str:
    try:
        socket.getaddrinfo(host, None)
    except OSError as error:
        return str(error)
    return ""


def _keys(cluster: Cluster, system: str, pods: Any) -> tuple[dict[str, str] | Unread, int]:
    """Return the mistaken and expired API keys by id, and the number of all."""
    if isinstance(pods, Unread):  # whether there are keys is unknown; a Secret that is absent is another finding
        return Unread(pods.reason), 0
    name = keys_secret(pods if isinstance(pods, list) else [])
    if not name:
        return {}, 0
    try:
        data = cluster.get(f"/api/v1/namespaces/{system}/secrets/{name}").get("data") or {}
        texts = {key: base64.b64decode(value).decode(errors="replace") for key, value in data.items()}
    except ClusterError as error:
        return _unread(error), 0
    except (binascii.Error, TypeError) as error:
        return Unread(f"the Secret's data is not base64: {error}"), 0
    now = datetime.now(UTC)
    states = {each.key_id: each.state(now) for each in stored_keys(texts)}
    return {key: state for key, state in states.items() if state != "valid"}, len(states)


def keys_secret(pods: list[Any]) -> str:
    """Return the name of the API keys' Secret, which gateways mount as `keys`; empty where they need none."""
    for pod in pods:
        if (pod["metadata"].get("labels") or {}).get("app.kubernetes.io/component") != GATEWAY:
            continue
        for volume in pod["spec"].get("volumes") or []:
            if volume["name"] == "keys" and "secret" in volume:
                return str(volume["secret"]["secretName"])
    return ""
