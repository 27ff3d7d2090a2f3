"""What simulated inference pods answer, as values: their load, and when a terminating one is gone.

Knows the load contract between pods, gateways and operator, and what a kubelet and a server's preStop hook do with a
pod that is deleted. Does not know sockets or the API server; pod_servers.py does.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from voxfleet_testbed.cluster.simulated_nodes import ANNOTATION_ENDS_ITSELF

LABEL_DEPLOYMENT, LABEL_NAMESPACE, LABEL_REGION = (
    "voxfleet.dev/deployment",
    "voxfleet.dev/namespace",
    "voxfleet.dev/region",
)
INFERENCE_PODS = "/api/v1/pods?labelSelector=app.kubernetes.io%2Fcomponent%3Dinference"


@dataclass(frozen=True, slots=True)
class PodFacts:
    """A pod as the API server stores it."""

    namespace: str
    name: str
    uid: str
    deployment: str
    region: str
    address: str
    node: str
    is_ready: bool
    ends_at: float | None  # it is being deleted, and killed then
    ends_itself: bool


@dataclass(slots=True)
class PodServer:
    """The state of one pod's server."""

    facts: PodFacts
    open_requests: int = 0
    is_draining: bool = False
    is_killed: bool = False
    last_request_finished_at: float | None = None

    def load(self) -> dict[str, Any]:
        """Return the answer of GET /internal/load."""
        finished = self.last_request_finished_at
        return {
            "model": self.facts.deployment,
            "state": "draining" if self.is_draining else "ready",
            "open_requests": self.open_requests,
            "last_request_finished_at": None if finished is None else micro_time(finished),
            "loaded_seconds": 0.2,
            "warm_seconds": 0.1,
        }

    def is_over(self, now: float) -> bool:
        """Whether a deleted pod ends now: nothing is open, or its grace period has passed."""
        if self.facts.ends_at is None or not self.facts.ends_itself:
            return False
        return self.open_requests == 0 or now >= self.facts.ends_at


def gateway_load(servers: list[PodServer], held: dict[tuple[str, str, str], int]) -> dict[str, Any]:
    """Return the answer of a gateway's GET /internal/load; `held`: requests by (namespace, name, region)."""
    opened: dict[tuple[str, str, str], int] = dict.fromkeys(held, 0)
    for server in servers:
        opened[region_of(server)] = opened.get(region_of(server), 0) + server.open_requests
    return {
        "gateway": "gateway-0",
        "region": "",
        "models": [
            _row(region) | {"held_requests": held.get(region, 0), "open_requests": count}
            for region, count in opened.items()
        ],
        "pods": [
            _row(region_of(server)) | {"address": server.facts.address, "age_seconds": 0.0, "load": server.load()}
            for server in servers
        ],
    }


def region_of(server: PodServer) -> tuple[str, str, str]:
    """Return the namespace and name of a server's resource, and its region."""
    return server.facts.namespace, server.facts.deployment, server.facts.region


def pod_facts(manifest: dict[str, Any]) -> PodFacts:
    """Read one pod."""
    metadata, spec, status = manifest["metadata"], manifest["spec"], manifest.get("status") or {}
    labels, ends = metadata.get("labels") or {}, metadata.get("deletionTimestamp")
    conditions = status.get("conditions") or []
    return PodFacts(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        deployment=labels.get(LABEL_DEPLOYMENT, ""),
        region=labels.get(LABEL_REGION, ""),
        address=status.get("podIP") or "",
        node=spec.get("nodeName") or "",
        is_ready=any(each["type"] == "Ready" and each["status"] == "True" for each in conditions),
        # The API server sets it to the time at which the grace period ends.
        ends_at=None if ends is None else datetime.fromisoformat(ends).timestamp(),
        ends_itself=ANNOTATION_ENDS_ITSELF in (metadata.get("annotations") or {}),
    )


def micro_time(seconds: float) -> str:
    """Return a time as Kubernetes' MicroTime."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _row(region: tuple[str, str, str]) -> dict[str, Any]:
    return dict(zip(("namespace", "name", "region"), region, strict=True))
