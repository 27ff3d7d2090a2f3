"""Decides which ways into a deployment are made, and says why one that the spec asks for is not.

Knows the limits: kinds that the cluster serves, hosts that the installation allows and that no older resource has, and
whether it offers notebooks. The deployment is served without what is refused. Does not know the objects.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from voxfleet_operator.decisions.remote.recorded import regions_in
from voxfleet_operator.kinds import KINDS
from voxfleet_operator.resources import Key, Resource, VoxTTSDeploymentSpec


class Way(StrEnum):
    """A way in, by the field that asks for it."""

    INGRESS = "ingress"
    ROUTE = "route"
    POD_MONITOR = "monitoring.podMonitor"
    NOTEBOOK = "notebook"


KINDS_OF: dict[Way, tuple[str, ...]] = {Way.ROUTE: ("HTTPRoute", "ReferenceGrant"), Way.POD_MONITOR: ("PodMonitor",)}
REMEDIES = {
    Way.ROUTE: "install the Gateway API, version 1.2 or newer, or remove spec.route",
    Way.POD_MONITOR: "install the CRDs of the Prometheus operator, or set spec.monitoring.podMonitor to false and "
    "scrape port 9090 of the pods",
}
DOMAINS_VALUE = "allowedIngressDomains"  # of the chart

Refusal = tuple[str, str]  # reason and message of a problem


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What ways in depend on beside the spec, in one cluster.

    `served`: the optional kinds that its API server serves. `host_owners`: the oldest resource with each host of the
    spec. `kubeconfig`: of a remote cluster, where only its own servers' objects are made; empty: the operator's own.
    """

    served: frozenset[str] = frozenset()
    host_owners: Mapping[str, Key] = field(default_factory=dict)
    allowed_domains: tuple[str, ...] = ()
    has_notebooks: bool = False
    kubeconfig: str = ""


@dataclass(frozen=True, slots=True)
class WaysIn:
    """The ways that are made, and why others are not."""

    made: frozenset[Way] = frozenset()
    refusals: tuple[Refusal, ...] = ()


NO_WAYS = WaysIn()


@dataclass(frozen=True, slots=True)
class RouteState:
    """An HTTPRoute, as the Gateways that it names see it: what they refuse, empty while none has answered."""

    refusals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NotebookState:
    """Whether a notebook's pod is ready, or shall not run."""

    is_settled: bool


def hosts_of(spec: VoxTTSDeploymentSpec) -> tuple[str, ...]:
    """Return the hosts that the spec asks an Ingress for."""
    notebook = spec.notebook.host if spec.notebook.enabled else None
    return tuple(host for host in (spec.ingress.host, notebook) if host)


def decide_ways_in(resource: Resource, around: Surroundings) -> WaysIn:
    """Return which of the ways that the resource asks for are made in a cluster."""
    asked = tuple(_asked(resource, around.kubeconfig))
    refusals = {way: tuple(_refusals(resource, way, around)) for way in asked}
    made = frozenset(way for way in asked if not refusals[way])
    return WaysIn(made, tuple(each for way in asked for each in refusals[way]))


def _asked(resource: Resource, kubeconfig: str) -> Iterator[Way]:
    """Pods are scraped in their own cluster; every other way leads to the gateways of the operator's."""
    spec = resource.spec
    asks = {
        Way.INGRESS: spec.ingress.host is not None and not kubeconfig,
        Way.ROUTE: spec.route.parent_refs is not None and not kubeconfig,
        Way.POD_MONITOR: spec.monitoring.pod_monitor and bool(regions_in(resource, kubeconfig)),
        Way.NOTEBOOK: spec.notebook.enabled and not kubeconfig,
    }
    return (way for way, is_asked in asks.items() if is_asked)


def _refusals(resource: Resource, way: Way, around: Surroundings) -> Iterator[Refusal]:
    for kind in KINDS_OF.get(way, ()):
        if kind not in around.served:
            yield _not_served(way, kind, around.kubeconfig)
    if way == Way.NOTEBOOK and not around.has_notebooks:
        message = "spec.notebook: notebooks are not enabled in this installation; set the chart's notebooks.enabled"
        yield "FeatureNotAvailable", message
    field_of_host, host = _host(resource.spec, way)
    if host is not None and not is_within(host, around.allowed_domains):
        yield _host_forbidden(field_of_host, host, around.allowed_domains)
    owner = around.host_owners.get(host, resource.key) if host is not None else resource.key
    if owner != resource.key:
        yield _host_taken(field_of_host, str(host), owner)


def _host(spec: VoxTTSDeploymentSpec, way: Way) -> tuple[str, str | None]:
    hosts = {Way.INGRESS: spec.ingress.host, Way.NOTEBOOK: spec.notebook.host}
    return f"spec.{way}.host", hosts.get(way)


def _not_served(way: Way, kind: str, kubeconfig: str) -> Refusal:
    where = f"the cluster of {kubeconfig}" if kubeconfig else "the cluster"
    version = KINDS[kind].api_version
    return "KindNotServed", f"spec.{way}: {where} does not serve {kind} ({version}): {REMEDIES[way]}"


def _host_forbidden(name: str, host: str, allowed: tuple[str, ...]) -> Refusal:
    domains = f"only hosts within {', '.join(allowed)}" if allowed else "none"
    message = f"{name}: the chart's {DOMAINS_VALUE} allows {domains}, not {host}: choose another host, or have it added"
    return "HostForbidden", message


def _host_taken(name: str, host: str, owner: Key) -> Refusal:
    message = (
        f"{name}: {host} belongs to the older resource {owner}. All models answer at one host of the gateways, so that "
        "this resource needs none: remove it, or choose another host"
    )
    return "HostTaken", message


def is_within(host: str, domains: tuple[str, ...]) -> bool:
    """Whether a host is one of the domains or a subdomain of one."""
    return any(host == domain or host.endswith(f".{domain}") for domain in domains)
