"""What checks read, as it was observed: objects, or why they could not be read. Pure.

Knows: the names of facts, what a missing one means for a check. Does not know: clusters, what is right or wrong.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from voxfleet_cli.doctor.observed import Body, Right, Unread
from voxfleet_cli.doctor.remote_facts import RemoteCluster
from voxfleet_cli.doctor.zone_facts import Zone

GATEWAY, OPERATOR, DNS = "gateway", "operator", "dns"
COMPONENT_LABEL = "app.kubernetes.io/component"


class NotReadError(Exception):
    """A fact that a check needs could not be read; the message says why."""


class State(StrEnum):
    """What a check found."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; `command` mends it, or shows more."""

    check: str
    state: State
    text: str
    command: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that was observed. `objects`: by the name of the fact, a list of objects, one object, or Unread."""

    system_namespace: str
    demand_namespace: str
    now: float  # by the API server's clock, in seconds since 1970
    clock_ahead_seconds: float = 0.0  # of the API server's clock, before this machine's
    objects: Mapping[str, list[Body] | Body | Unread] = field(default_factory=dict)
    rights: tuple[Right, ...] = ()
    resolved: Mapping[str, str] = field(default_factory=dict)  # host of a gatewayURL -> error; empty: it has addresses
    mistaken_keys: Mapping[str, str] | Unread = field(default_factory=dict)  # of the API keys' Secret, by id: the state
    key_count: int = 0
    zone: Zone | Unread = field(default_factory=lambda: Unread("was not observed", is_absent=True))
    remotes: tuple[RemoteCluster, ...] = ()

    def items(self, name: str) -> list[Body]:
        """Return a list of objects; none where the API server has no such kind. Raises NotReadError."""
        found = self.objects.get(name, Unread("was not observed"))
        if isinstance(found, Unread):
            if found.is_absent:
                return []
            raise NotReadError(found.reason)
        return found if isinstance(found, list) else [found]

    def one(self, name: str) -> Body | None:
        """Return an object, or None where there is none. Raises NotReadError."""
        return next(iter(self.items(name)), None)

    def system_pods(self, component: str) -> list[Body]:
        """Return the pods of one component of the installation. Raises NotReadError."""
        return [pod for pod in self.items("system pods") if labels_of(pod).get(COMPONENT_LABEL) == component]

    def regions(self) -> Iterator[tuple[Body, Body]]:
        """Yield each resource with each of its regions in this cluster. Raises NotReadError."""
        for resource in self.items("resources"):
            for region in resource["spec"].get("regions") or []:
                if not region.get("kubeConfigSecretRef"):
                    yield resource, region


def labels_of(body: Body) -> Mapping[str, str]:
    """Return an object's labels."""
    return body["metadata"].get("labels") or {}


def name_of(body: Body) -> str:
    """Return NAMESPACE/NAME, or the name of an object without a namespace."""
    metadata = body["metadata"]
    return f"{metadata['namespace']}/{metadata['name']}" if metadata.get("namespace") else str(metadata["name"])


def is_pod_ready(pod: Body) -> bool:
    """Whether a pod is ready."""
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def where(body: Body) -> str:
    """Return `-n NAMESPACE NAME`, as kubectl takes it."""
    return f"-n {body['metadata']['namespace']} {body['metadata']['name']}"
